"""A fake chat model that rewrites a text into image prompts, good and bad ones, in scripted replies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import NamedTuple

from helpers.checks.fakes.chat import ChatRequest, fake_chat

__all__ = ["RewritingScript", "fake_rewriter", "rewriting_script"]

PADDING = ("{} (variation 2)", "{}, beautiful", "{}.", "Once again: {}", "{}, option 3, very detailed")
"""Ways to repeat a prompt without asking for another picture."""
OFF_TOPIC = "I only know picture-book scenes."


class RewritingScript(NamedTuple):
    """What the model is asked to rewrite, and what it replies.

    Attributes:
        query: the text to rewrite.
        replies: the replies, in this order.
        filler: the reply to all later requests; nothing in it is new.
        good: the prompts to keep, in order.
    """

    query: str
    replies: list[str]
    filler: str
    good: list[str]


def rewriting_script(rng: Random, per_reply: Sequence[int]) -> RewritingScript:
    """Make a script with this number of good prompts in each reply; the rest is padding, off topic, or chat."""
    from helpers.picturebook import PLACES, STYLES, describe, random_scene

    scene = random_scene(rng, things=rng.choice((1, 1, 2)))
    kinds = {thing.kind for thing in scene.things}
    ways = rng.sample([(place, style) for place in PLACES for style in STYLES], sum(per_reply))
    good = [describe(replace(scene, place=place, style=style), rng) for place, style in ways]

    def off_topic() -> str:
        while True:
            other = random_scene(rng)
            if not kinds & {thing.kind for thing in other.things}:
                return describe(other, rng)

    def padding(known: Sequence[str]) -> list[str]:
        """Use every form of padding once, each on a random one of these prompts."""
        forms = rng.sample(PADDING, len(PADDING)) if known else []
        return [form.format(_capitalised(rng.choice(known))) for form in forms]

    replies, found = [], 0
    for count in per_reply:
        first, others = good[found : found + count][:1], good[found : found + count][1:]
        found += count
        # Some bad prompts come between the good ones, but padding never comes before the prompt that it repeats.
        between = [off_topic(), *padding(first)[:2]]
        replies.append(_as_list([*first, *between, *others, *padding(good[:found]), off_topic()]))
    filler = _as_list([*padding(good), off_topic()])
    return RewritingScript(f"The picture shows {describe(scene, rng)}.", replies, filler, good)


@contextmanager
def fake_rewriter(script: RewritingScript) -> Iterator[list[ChatRequest]]:
    """Make the chat model give the script's replies in turn; yield the list of requests.

    At temperature 0 the same request gets the same reply. A request without the text to rewrite gets a refusal, and one
    with a picture gets that text, as the picture's description.
    """
    known: dict[str, str] = {}
    left = iter(script.replies)

    def reply(request: ChatRequest) -> str:
        if request.pictures:
            return f"{script.query}\n"
        if script.query not in request.text:
            return OFF_TOPIC
        if request.temperature > 0 or request.text not in known:
            known[request.text] = next(left, script.filler)
        return known[request.text]

    with fake_chat(reply) as requests:
        yield requests


def _capitalised(prompt: str) -> str:
    return prompt[:1].upper() + prompt[1:]


def _as_list(prompts: Sequence[str]) -> str:
    """Write a reply with a plain list, which even a prompts_in with small mistakes can read."""
    lines = "\n".join(f"{i}. {prompt}" for i, prompt in enumerate(prompts, start=1))
    return f"Sure! Here are some prompts:\n\n{lines}\n\nTell me if you need more."
