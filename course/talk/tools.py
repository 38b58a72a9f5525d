"""Dialogues with tools: a picture is drawn, rated, and redrawn until it fits or the tries are used up.

The rule: a score below the threshold is low. The threshold is that of the tool's result, otherwise of the user or the
system message, otherwise `LOW`; if a result judges in words ("too low"), the words decide. After a low score the
picture is redrawn from a fuller prompt, at most `MAX_TRIES` times, or as often as the limit on calls permits.

The assistant thinks aloud: "The threshold is 0.50, and 0.48 is too low." A model of this size cannot compare a score
with a number from far above in an unfamiliar sentence, but it can first write the number down and then compare the two
(chain of thought, Wei et al. 2022, arXiv:2201.11903). It counts its tries aloud for the same reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from course.talk.messages import Dialogue, Message, Tool
from course.talk.offers import DrawTool, RateTool, Rating, draw_result, offer, picture_ids, rate_result
from course.talk.strange import NOUNS, made_up
from course.talk.tool_requests import (
    CALLS,
    CHECK,
    COMPARE,
    DRAW,
    LIKE_THIS,
    LIMITS,
    NUMBER_WORDS,
    RATE,
    SYSTEM,
    THRESHOLD,
)
from course.talk.wording import as_typed, plain_caption
from helpers.picturebook import COLOURS, Scene, Thing, as_seen, describe, with_article
from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import PLACE_PHRASES, PLURALS, SIZE_WORDS, STYLE_OPENINGS

LOW = 0.25
MAX_TRIES = 3
LOW_SHARES = (0.5, 0.4, 0.5)
"""The fraction of first, second and third tries with a low score."""
CALLS_PER_TRY = 2
MAX_LENGTH = 1100
"""In characters: about 420 tokens with their context."""


def is_low(score: float, threshold: float | None = None) -> bool:
    """Whether a picture with this score should be redrawn."""
    return score < (LOW if threshold is None else threshold)


def tries(most_calls: int | None = None) -> int:
    """Return how often a picture is drawn and rated at most, given the limit on calls."""
    return MAX_TRIES if most_calls is None else max(1, min(MAX_TRIES, most_calls // CALLS_PER_TRY))


# -- the assistant's final replies


def verdict(rating: Rating) -> str:
    """Say "The threshold is 0.50, and 0.48 is too low.", or without a limit "A score of 0.48 is too low."."""
    score = (
        f"A score of {rating.score}"
        if rating.limit is None
        else f"The threshold is {rating.limit:.2f}, and {rating.score}"
    )
    return f"{score} is {'too low' if rating.low else 'enough'}."


def counted_try(n: int, most: int) -> str:
    return f"That was try {n} of {most}."


def accepted(picture: str, rating: Rating) -> str:
    return f"{verdict(rating)} Picture {picture} shows it."


def given_up(picture: str, rating: Rating) -> str:
    return f"{verdict(rating)} Picture {picture} is my last try."


def drawn(pictures: list[str]) -> str:
    if not pictures:
        return "The picture is drawn."
    if len(pictures) > 1:
        return f"Pictures {' and '.join(pictures)} are drawn."
    return f"Picture {pictures[0]} is drawn."


def rated(picture: str, score: str) -> str:
    return f"Picture {picture} has a score of {score}."


def failed(tool: str) -> str:
    return f"The tool {tool} failed."


# -- what is drawn


@dataclass(frozen=True)
class Wish:
    """What the user wants drawn, in the user's words, and fuller prompts for further tries."""

    text: str
    again: tuple[str, ...]


def _bare(text: str) -> str:
    return re.sub(r"^a (picture|drawing) of ", "", text)


def wish(rng: Rng, scene: Scene | None = None) -> Wish:
    """Make up something to draw: a scene with or without details, or one time in eight a thing outside the world."""
    if scene is None or rng.random() < 0.12:
        colour = f"{pick(rng, COLOURS)} " if rng.random() < 0.6 else ""
        thing = made_up(rng) if rng.random() < 0.4 else pick(rng, NOUNS)
        text = with_article(f"{colour}{thing.lower()}") + (f" {pick(rng, PLACES)}" if rng.random() < 0.6 else "")
        return Wish(text, (f"a picture of {text}", f"a drawing of {text}"))
    text = _bare(describe(scene, rng, detail=pick(rng, (1.0, 1.0, 1.0, 0.7, 0.0))))
    return Wish(text, fuller(text, scene))


PLACES = tuple(phrases[0] for phrases in PLACE_PHRASES.values())


def fuller(text: str, scene: Scene) -> tuple[str, ...]:
    """Return prompts that describe the whole scene; what the text omits gets defaults: large, on a meadow, no style."""
    if not any(opening.strip() and text.startswith(opening) for opening in STYLE_OPENINGS[scene.style]):
        scene = replace(scene, style="flat")
    if not any(phrase in text for phrase in PLACE_PHRASES[scene.place]):
        scene = replace(scene, place="meadow")
    things = tuple(
        thing if _names_size(thing, text) else replace(thing, size=scene.sizes_for(i)[0])
        for i, thing in enumerate(scene.things)
    )
    scene = replace(scene, things=things)
    openings = [opening for opening in dict.fromkeys(STYLE_OPENINGS[scene.style]) if opening]
    body = plain_caption(scene).removeprefix(STYLE_OPENINGS[scene.style][0])
    return tuple(prompt for prompt in (f"{opening}{body}" for opening in openings) if prompt != text)


def _names_size(thing: Thing, text: str) -> bool:
    nouns = (thing.kind, PLURALS[thing.kind], f"{thing.colour} {thing.kind}", f"{thing.colour} {PLURALS[thing.kind]}")
    return any(f"{word} {noun}" in text for word in SIZE_WORDS[thing.size] for noun in nouns)


def typed_request(frame: str, rng: Rng, **words: str) -> str:
    """Return the request as people type it, with the inserted words unchanged."""
    places = {name: f"\0{i}" for i, name in enumerate(words)}
    typed = as_typed(frame.format(**places), rng)
    for name, place in places.items():
        typed = typed.replace(place, words[name])
    return typed


def _ended(text: str) -> str:
    return text + (
        "?" if text.startswith(("Can ", "Could ", "Does ", "Is ", "How ", "What ")) and ". " not in text else "."
    )


# -- dialogues


@dataclass(frozen=True)
class Job:
    """A request to draw: what, whether to check it, the threshold, and the maximum number of tries."""

    wish: Wish
    check: bool
    threshold: float | None = None
    most: int = MAX_TRIES


def draw_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    """Draw, mostly with a check; sometimes a second picture. At most `MAX_LENGTH` characters long."""
    return _within_length(_draw_dialogue, scene, rng)


def _within_length(make: Callable[[Scene, Rng], Dialogue], scene: Scene, rng: Rng) -> Dialogue:
    while True:
        made = make(scene, rng)
        if sum(len(message.written) for message in made.messages) <= MAX_LENGTH:
            return made


def _draw_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    tools, draw, rate = offer(rng, rating=rng.random() < 0.93)
    ids = picture_ids(rng)
    check = rng.random() < 0.75
    job = Job(wish(rng, scene), check)
    system, request, job = _request(job, rng)
    messages = [Message("user", request), *_carry_out(job, draw, rate, ids, rng)]
    if len(messages) < 6 and rng.random() < 0.15:
        other = wish(rng, None if rng.random() < 0.5 else as_seen(scene))
        again = replace(job, wish=other)
        frame = pick(rng, ("Now {x}.", "And {x}.", "Now draw {x}.", "The same for {x}."))
        messages += [Message("user", typed_request(frame, rng, x=other.text)), *_carry_out(again, draw, rate, ids, rng)]
    return Dialogue(None, tuple(messages), system, tools)


def _request(job: Job, rng: Rng) -> tuple[str, str, Job]:
    """Make a system message, mostly empty, the user's request, and the job with the limits that they set."""
    words, rest = {"x": job.wish.text}, ""
    frame = pick(rng, DRAW)
    if not job.check:
        return "", typed_request(_ended(frame), rng, **words), job
    limited, counted = rng.random() < 0.6, rng.random() < 0.5
    if limited:
        threshold, words["t"] = _threshold(rng)
        job = replace(job, threshold=threshold)
    if counted:
        n = pick(rng, (2, 3, 4, 5, 6, 6, 7, 8, 10))
        words["n"], job = (str(n) if rng.random() < 0.7 else NUMBER_WORDS[n]), replace(job, most=tries(n))
    if limited and counted and rng.random() < 0.5:
        rest = pick(rng, LIMITS)
    else:
        rest = (pick(rng, THRESHOLD) if limited else "") + (pick(rng, CALLS) if counted else "")
    if rng.random() < 0.2:
        system = pick(rng, SYSTEM).replace("{rest}", rest).format(**words)
        return system, typed_request(_ended(frame), rng, x=job.wish.text), job
    if rng.random() < 0.1:
        frame = pick(
            rng, ("Make sure that the picture fits: {x}", "Draw and check: {x}", "Draw, rate, and repeat: {x}")
        )
    elif not rest or rng.random() < 0.7:
        rest = pick(rng, CHECK) + rest
    return "", typed_request(_ended(frame + rest), rng, **words), job


def _threshold(rng: Rng) -> tuple[float, str]:
    """Return a threshold, and how the user writes it."""
    threshold = round(0.1 + int(rng.random() * 86) / 100, 2) if rng.random() < 0.6 else pick(rng, ROUND)
    return threshold, f"{threshold:.2f}" if rng.random() < 0.5 else f"{threshold:g}"


ROUND = (0.2, 0.25, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)


def _carry_out(job: Job, draw: DrawTool, rate: RateTool | None, ids: Iterator[str], rng: Rng) -> list[Message]:
    """Return all calls, their results, and the final reply."""
    prompts = (job.wish.text, *job.wish.again)
    messages: list[Message] = []
    said = ""
    for attempt in range(job.most):
        messages.append(Message("assistant", said, (draw.call(prompts[min(attempt, len(prompts) - 1)]),)))
        if rng.random() < 0.02:
            return [*messages, Message("tool", _error(rng)), Message("assistant", failed(draw.tool.name))]
        picture = next(ids)
        messages.append(Message("tool", draw_result(picture, rng)))
        if not job.check or rate is None:
            return [*messages, Message("assistant", drawn([picture]))]
        messages.append(Message("assistant", calls=(rate.call(picture, job.wish.text),)))
        if rng.random() < 0.02:
            return [*messages, Message("tool", _error(rng)), Message("assistant", failed(rate.tool.name))]
        result, rating = rate_result(picture, job.threshold, rng.random() < LOW_SHARES[attempt], rng, default=LOW)
        messages.append(Message("tool", result))
        if not rating.low:
            return [*messages, Message("assistant", accepted(picture, rating))]
        said = f"{verdict(rating)} {counted_try(attempt + 1, job.most)}"
    return [*messages, Message("assistant", given_up(picture, rating))]


def _error(rng: Rng) -> str:
    forms = ('{{"error": "{}"}}', "error: {}", "Error: {}", "failed: {}")
    return pick(rng, forms).format(pick(rng, ("out of memory", "timeout", "no such picture", made_up(rng), "unknown")))


def rate_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    """Rate one to four existing pictures, and judge the scores if the user names a threshold."""
    return _within_length(_rate_dialogue, scene, rng)


def _rate_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    tools, _, rate = offer(rng, drawing=rng.random() < 0.8)
    ids, wanted = picture_ids(rng), wish(rng, scene)
    threshold, frame, words = None, pick(rng, RATE), {"x": wanted.text}
    if rng.random() < 0.7:
        threshold, words["t"] = _threshold(rng)
        frame += pick(rng, THRESHOLD)
    messages: list[Message] = []
    for i in range(pick(rng, (1, 2, 3, 4) if threshold else (1, 1, 2))):
        picture = next(ids)
        asked = (
            _ended(frame) if not i else pick(rng, ("And {id}?", "Now {id}.", "The same for {id}.", "And picture {id}?"))
        )
        result, rating = rate_result(picture, threshold, rng.random() < 0.5, rng, default=LOW, words=False)
        messages += [
            Message("user", typed_request(asked, rng, id=picture, **words)),
            Message("assistant", calls=(rate.call(picture, wanted.text),)),
            Message("tool", result),
            Message("assistant", rated(picture, rating.score) if threshold is None else verdict(rating)),
        ]
    return Dialogue(None, tuple(messages), "", tools)


def compare_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    """Compare scores with one threshold, without tools: the step on which all checking depends."""
    threshold, written = _threshold(rng)
    messages: list[Message] = []
    for i in range(pick(rng, (4, 8, 12))):
        _, rating = rate_result("", threshold, rng.random() < 0.5, rng, default=LOW, words=False)
        frame = pick(rng, ("And {s}?", "{s}?", "What about {s}?", "Now {s}.", "{s}")) if i else pick(rng, COMPARE)
        messages.append(Message("user", typed_request(frame, rng, s=rating.score, t=written)))
        messages.append(Message("assistant", verdict(rating)))
    return Dialogue(None, tuple(messages))


def two_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    """Draw two pictures requested together: two calls in one message."""
    tools, draw, _ = offer(rng)
    ids, wishes = picture_ids(rng), [wish(rng, replace(scene, things=scene.things[:1], relation=None)), wish(rng)]
    if rng.random() < 0.5:
        wishes.reverse()
    frame = pick(rng, ("Draw two pictures: {a}; {b}.", "Draw {a}, and in a second picture {b}.", "Draw:\n- {a}\n- {b}"))
    pictures = [next(ids), next(ids)]
    messages = (
        Message("user", typed_request(frame, rng, a=wishes[0].text, b=wishes[1].text)),
        Message("assistant", calls=tuple(draw.call(each.text) for each in wishes)),
        *(Message("tool", draw_result(picture, rng)) for picture in pictures),
        Message("assistant", drawn(pictures)),
    )
    return Dialogue(None, messages, "", tools)


def like_dialogue(scene: Scene, rng: Rng) -> Dialogue:
    """Draw a picture like the one shown."""
    tools, draw, _ = offer(rng)
    picture = next(picture_ids(rng))
    messages = (
        Message("user", typed_request(_ended(pick(rng, LIKE_THIS)), rng)),
        Message("assistant", calls=(draw.call(plain_caption(as_seen(scene))),)),
        Message("tool", draw_result(picture, rng)),
        Message("assistant", drawn([picture])),
    )
    return Dialogue(scene, messages, "", tools)


def some_tools(rng: Rng) -> tuple[Tool, ...]:
    """Pick tools that are offered but not needed."""
    return offer(rng)[0]
