"""What a scene of the picture-book world is, and how to draw one at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

__all__ = [
    "COLOURS",
    "KINDS",
    "MAX_THINGS",
    "OPPOSITES",
    "PLACES",
    "RELATIONS",
    "SIZES",
    "STYLES",
    "SUPPORTS",
    "Rng",
    "Scene",
    "Thing",
    "as_seen",
    "in_picture_order",
    "pick",
    "random_scene",
]

KINDS = (
    "cat",
    "dog",
    "horse",
    "bird",
    "fish",
    "frog",
    "astronaut",
    "car",
    "boat",
    "rocket",
    "house",
    "tree",
    "flower",
    "sofa",
    "star",
    "moon",
    "ball",
    "box",
    "inkblot",
)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
SIZES = ("large", "small")
PLACES = ("meadow", "sea", "desert", "snow", "night", "room", "road at sunset", "mars")
STYLES = ("flat", "pencil sketch", "pixel art", "neon")
RELATIONS = ("left of", "right of", "above", "below", "on")
OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
SUPPORTS = ("sofa", "box", "house", "car", "boat", "horse", "tree")
"""Kinds that another thing can be *on*."""

MAX_THINGS = 4
"""The most things in a picture, counted one by one."""

T = TypeVar("T")


class Rng(Protocol):
    """Any random generator with a `random()` in [0, 1): `random.Random` and numpy's `Generator` both have one."""

    def random(self) -> float: ...


def pick(rng: Rng, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """Choose one of `options` at random; `weights` need not sum to 1."""
    if weights is None:
        return options[int(rng.random() * len(options))]
    ticket = rng.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        ticket -= weight
        if ticket < 0:
            return option
    return options[-1]


def _expect(value: object, allowed: Sequence[str], what: str) -> None:
    if value not in allowed:
        raise ValueError(f"The picture-book world has no {what} {value!r}; choose one of: {', '.join(allowed)}.")


@dataclass(frozen=True)
class Thing:
    """One entry of a scene: `count` things of one kind, colour and size ("two small red cats")."""

    kind: str
    colour: str
    size: str = "large"
    count: int = 1

    def __post_init__(self) -> None:
        _expect(self.kind, KINDS, "kind")
        _expect(self.colour, COLOURS, "colour")
        _expect(self.size, SIZES, "size")
        if not 1 <= self.count <= MAX_THINGS:
            raise ValueError(f"count must be 1 to {MAX_THINGS}, got {self.count}.")


@dataclass(frozen=True)
class Scene:
    """What a caption can say about a picture.

    Two things stand in a `relation` ("a red cat *left of* a blue house": the first thing is left of the second);
    three or four different things stand side by side, in the order of `things` from left to right.
    `layout` is the seed of their exact positions, which a caption does not mention: scenes that differ only in their
    layout are equal.

    Raises:
        ValueError: a word is unknown to the world, or the scene can't be drawn (more than four things, large things
            where only small ones fit, something on a thing that can't carry it).
    """

    things: tuple[Thing, ...]
    place: str
    style: str = "flat"
    relation: str | None = None
    layout: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "things", tuple(self.things))
        _expect(self.place, PLACES, "place")
        _expect(self.style, STYLES, "style")
        if not 1 <= (total := self.total) <= MAX_THINGS:
            raise ValueError(f"A picture holds 1 to {MAX_THINGS} things, got {total}.")
        if len(self.things) == 2:
            _expect(self.relation, RELATIONS, "relation")
            if any(thing.count > 2 for thing in self.things) or self.things[1].count > 1:
                raise ValueError(
                    "In a relation of two things, the first may have a count of 1 or 2, the second only 1."
                )
        elif self.relation is not None:
            raise ValueError(f"A relation needs two different things, got {len(self.things)}.")
        if self.relation == "on" and self.things[1].kind not in SUPPORTS:
            raise ValueError(
                f"Nothing can be on a {self.things[1].kind}; things that can carry others: {', '.join(SUPPORTS)}."
            )
        for i, thing in enumerate(self.things):
            if thing.size == "large" and self.sizes_for(i) == ("small",):
                raise ValueError(f"The {thing.kind} must be small to fit into this picture.")
        if len(self.things) > 2 and any(thing.count > 1 for thing in self.things):
            raise ValueError("Among three or four different things, each must have a count of 1.")
        if len(self.things) > 1 and len({(t.kind, t.colour) for t in self.things}) < len(self.things):
            raise ValueError("Different things of one picture must differ in kind or colour.")

    @property
    def total(self) -> int:
        """The number of things in the picture, counted one by one."""
        return sum(thing.count for thing in self.things)

    def sizes_for(self, i: int) -> tuple[str, ...]:
        """Return the sizes the i-th thing can have: in a full picture only small things fit."""
        if self.total >= 3:
            carries = self.relation == "on" and i == 1  # two cats on a sofa: the sofa may be large
            return SIZES if carries else ("small",)
        if self.relation == "on" and i == 0:
            return ("small",)
        if self.relation in ("above", "below") and i == 0:
            return ("small",)  # two large things don't fit one above the other
        return SIZES


def in_picture_order(scene: Scene) -> tuple[tuple[Thing, ...], str | None]:
    """Return the scene's things and relation, left or above first: a picture does not show which was named first."""
    if scene.relation in ("right of", "below"):
        return scene.things[::-1], OPPOSITES[scene.relation]
    return scene.things, scene.relation


def as_seen(scene: Scene) -> Scene:
    """Return the scene in its picture's order, so that scenes of one picture are equal.

    If the world has no words for that order ("a large house above a small cat"), the scene is returned unchanged.
    """
    things, relation = in_picture_order(scene)
    try:
        return replace(scene, things=things, relation=relation)
    except ValueError:
        return scene


def random_scene(rng: Rng, *, things: int | None = None, style: str | None = None) -> Scene:
    """Return a random scene.

    Args:
        rng: `random.Random(seed)` or `numpy.random.default_rng(seed)`; the same seed gives the same scene.
        things: how many *different* things, 1 to 4; if None, a random number (mostly one or two).
        style: one of `STYLES`; if None, a random one (mostly "flat").

    Raises:
        ValueError: `things` is not 1 to 4, or the style is unknown.
    """
    if things is None:
        things = pick(rng, (1, 2, 3, 4), (0.5, 0.38, 0.07, 0.05))
    if things not in (1, 2, 3, 4):
        raise ValueError(f"things must be 1 to {MAX_THINGS}, got {things!r}.")
    style = style or pick(rng, STYLES, (0.55, 0.15, 0.15, 0.15))
    _expect(style, STYLES, "style")
    place = pick(rng, PLACES)
    relation = pick(rng, RELATIONS) if things == 2 else None
    counts = [1] * things
    if things == 1:
        counts = [pick(rng, (1, 2, 3, 4), (0.7, 0.12, 0.1, 0.08))]
    elif things == 2 and rng.random() < 0.15:
        counts = [2, 1]

    chosen: list[tuple[str, str]] = []
    for i in range(things):
        kinds = SUPPORTS if relation == "on" and i == 1 else KINDS
        while (candidate := (pick(rng, kinds), pick(rng, COLOURS))) in chosen:
            pass
        chosen.append(candidate)

    def scene_with(sizes: Sequence[str]) -> Scene:
        entries = tuple(
            Thing(kind, colour, size, count) for (kind, colour), size, count in zip(chosen, sizes, counts, strict=True)
        )
        return Scene(entries, place, style, relation, layout)

    layout = int(rng.random() * 2**31)
    smallest = scene_with(["small"] * things)
    return scene_with([pick(rng, smallest.sizes_for(i)) for i in range(things)])
