"""Pairs of questions, the second of which depends on the first: "What is on the sofa?", "What colour is it?"."""

from __future__ import annotations

from helpers.picturebook import Scene, with_article
from helpers.picturebook.scene import Rng, pick

Pair = tuple[str, str]
"""A question and its short answer."""


def follow_up(scene: Scene, rng: Rng) -> tuple[Pair, Pair] | None:
    """Return a question whose answer names a thing, and one about "it"; None if kinds repeat or things exceed two.

    The second question names no thing: without the first it can't be answered, unless there is only one thing.
    """
    kinds = [thing.kind for thing in scene.things]
    if len(set(kinds)) < len(kinds) or len(kinds) > 2:
        return None
    i = int(rng.random() * len(kinds))
    thing = scene.things[i]
    if len(kinds) == 1:
        first = (pick(rng, ("What is in the picture?", "What do you see?", "What is this?")), thing.kind)
    elif i == 0:
        first = (f"What is {scene.relation} the {kinds[1]}?", thing.kind)
    else:
        first = (f"Is there {with_article(thing.kind)} in the picture?", "yes")
    it, verb = ("it", "is") if thing.count == 1 else ("they", "are")
    second = pick(
        rng,
        (
            (f"What colour {verb} {it}?", thing.colour),
            (f"What color {verb} {it}?", thing.colour),
            (f"{verb.capitalize()} {it} large or small?", thing.size),
            ("How many are there?", str(thing.count)),
        ),
    )
    return first, second
