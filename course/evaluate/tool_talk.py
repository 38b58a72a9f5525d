"""Whether the chat model calls tools correctly: dialogues with fake tools that pretend to draw and rate pictures.

A dialogue is correct if each call is the expected one, with the right arguments, and the final reply names the right
picture and its score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from course.talk.messages import Call, Message, Tool, read_calls
from course.talk.tools import LOW, MAX_TRIES, is_low, tries
from helpers.picturebook import COLOURS, Scene, describe, read_caption
from helpers.picturebook.scene import pick
from helpers.picturebook.words import SINGULARS

DRAW, RATE = Tool("draw", ("prompt",)), Tool("rate", ("picture_id", "text"))
TOOLS = (DRAW, RATE)
REQUESTS = (
    ("Draw {x} and make sure that it fits.", None, None),
    ("Please draw {x}. Rate it, and accept from 0.7 on.", 0.7, None),
    ("Draw {x} and check that it fits. Use the threshold 0.35 and at most 6 tool calls.", 0.35, 6),
    ("I need {x}. Check the result, it has to score 0.5 or more.", 0.5, None),
    ("Draw {x}, and verify it with a rating of at least 0.82. Make no more than 4 tool calls.", 0.82, 4),
)
"""Request, threshold, maximum number of calls; none of the requests is in `course.talk`."""

Replier = Callable[[Sequence[Sequence[Message]], Sequence[Sequence[Tool]]], list[str]]
"""Returns the assistant's reply to each conversation, given the tools offered in it."""


@dataclass
class Trial:
    """A running dialogue: what is expected next, and whether everything was correct so far."""

    wanted: str
    threshold: float | None
    most: int
    scores: tuple[float, ...]
    messages: list[Message] = field(default_factory=list)
    shown: int = 0
    rating_due: bool = False
    done: bool = False
    correct: bool = True

    @property
    def picture(self) -> str:
        return f"p{self.shown}"

    @property
    def score(self) -> float:
        return self.scores[self.shown - 1]

    def step(self, reply: str) -> None:
        """Check the reply and answer it as the tools would."""
        finished = self.shown > 0 and not self.rating_due and self._good_or_last()
        try:
            calls = read_calls(reply)
        except ValueError:
            calls = []
        if finished:
            self.done, self.correct = True, "<tool_call>" not in reply and self._names_picture_and_score(reply)
            return
        if len(calls) != 1 or not self._is_expected(calls[0]):
            self.done, self.correct = True, False
            return
        text = reply.partition("<tool_call>")[0].strip()
        self.messages.append(Message("assistant", text, tuple(calls)))
        if self.rating_due:
            self.messages.append(Message("tool", f'{{"score": {self.score:.2f}}}'))
        else:
            self.shown += 1
            self.messages.append(Message("tool", f'{{"picture_id": "{self.picture}"}}'))
        self.rating_due = not self.rating_due

    def _good_or_last(self) -> bool:
        return not is_low(self.score, self.threshold) or self.shown == self.most

    def _is_expected(self, call: Call) -> bool:
        if self.rating_due:
            expected = {"picture_id": self.picture, "text": call.arguments.get("text")}
            return call.name == RATE.name and call.arguments == expected and fits(expected["text"], self.wanted)
        return (
            call.name == DRAW.name and set(call.arguments) == {"prompt"} and fits(call.arguments["prompt"], self.wanted)
        )

    def _names_picture_and_score(self, reply: str) -> bool:
        says_low = re.search(r"too low", reply) is not None
        named = re.search(rf"\b{self.picture}\b", reply) and f"{self.score:.2f}" in reply
        return bool(named) and says_low == is_low(self.score, self.threshold)


def fits(prompt: object, wanted: str) -> bool:
    """Whether a prompt has the kinds and colours of the wanted text, correctly paired."""
    if not isinstance(prompt, str):
        return False
    drawn, target = read_caption(prompt), read_caption(wanted)
    if drawn and target:
        return [(t.kind, t.colour, t.count) for t in drawn.things] == [
            (t.kind, t.colour, t.count) for t in target.things
        ]
    return _kinds(prompt) == _kinds(wanted) and _colours(wanted) <= _colours(prompt)


def _kinds(text: str) -> list[str]:
    return [SINGULARS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in SINGULARS]


def _colours(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]+", text.lower()) if word in COLOURS}


def new_trial(scene: Scene, i: int, seed: Sequence[int]) -> Trial:
    """Start a dialogue about this scene, with scores near the threshold and far from it."""
    rng = np.random.default_rng((*seed, i))
    request, threshold, calls = REQUESTS[i % len(REQUESTS)]
    wanted = re.sub(r"^a (picture|drawing) of ", "", describe(scene, rng, detail=pick(rng, (1.0, 0.7))))
    limit = LOW if threshold is None else threshold
    scores = []
    for _ in range(MAX_TRIES):
        off = 0.01 + rng.random() * 0.24
        scores.append(round(min(max(limit + (off if rng.random() < 0.45 else -off), 0.0), 1.0), 2))
    return Trial(wanted, threshold, tries(calls), tuple(scores), [Message("user", request.format(x=wanted))])


def tool_trials(scenes: Sequence[Scene], reply: Replier, seed: Sequence[int]) -> list[bool]:
    """Return, for each scene's dialogue, whether all of it was correct."""
    trials = [new_trial(scene, i, seed) for i, scene in enumerate(scenes)]
    while running := [trial for trial in trials if not trial.done]:
        replies = reply([trial.messages for trial in running], [TOOLS] * len(running))
        for trial, text in zip(running, replies, strict=True):
            trial.step(text)
    return [trial.correct for trial in trials]
