"""Where the things of a scene stand: one box per thing, in the square from 0 to 1 (y down)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from helpers.picturebook.kinds import FLYING, SEATS
from helpers.picturebook.scene import Scene, Thing

__all__ = ["Box", "boxes"]

Placed = tuple[Thing, float, float, float]  # a thing, its centre (x, y) and half its side


@dataclass(frozen=True)
class Box:
    """Where one thing stands: its centre and half its side, in the square from 0 to 1 (y down)."""

    thing: Thing
    x: float
    y: float
    half: float
    mirrored: bool = False


def boxes(scene: Scene) -> list[Box]:
    """Place each single thing of the scene, as `scene.layout` decides.

    Returns:
        The boxes in drawing order, all inside the picture. A thing with count 2 has two.
    """
    rng = Random(scene.layout)
    if scene.relation in ("left of", "right of") or scene.relation is None:
        placed = _side_by_side(scene, rng) if scene.total > 1 else [_alone(scene.things[0], rng)]
    elif scene.relation == "on":
        placed = _on_top(scene, rng)
    else:
        placed = _stacked(scene, rng)
    return [Box(thing, x, y, half, rng.random() < 0.5) for thing, x, y, half in placed]


def _alone(thing: Thing, rng: Random) -> Placed:
    half = 0.31 if thing.size == "large" else 0.18
    x = rng.uniform(half + 0.03, 0.97 - half)
    return thing, x, _height(thing, half, rng), half


def _height(thing: Thing, half: float, rng: Random) -> float:
    """Return the y of the centre: on the ground, or anywhere in the air for what flies."""
    if thing.kind in FLYING:
        return rng.uniform(half + 0.04, 0.8 - half)
    return rng.uniform(0.82, 0.95) - half


def _side_by_side(scene: Scene, rng: Random) -> list[Placed]:
    singles = [thing for thing in scene.things for _ in range(thing.count)]
    if scene.relation == "right of":
        singles.reverse()
    n = len(singles)
    room = 1 / n
    placed = []
    for i, thing in enumerate(singles):
        half = {2: 0.23 if thing.size == "large" else 0.15, 3: 0.145, 4: 0.115}[n]
        slack = room / 2 - half
        x = (i + 0.5) * room + rng.uniform(-slack, slack) * 0.8
        placed.append((thing, x, _height(thing, half, rng), half))
    return placed


def _stacked(scene: Scene, rng: Random) -> list[Placed]:
    small, other = scene.things
    half = 0.15
    other_half = 0.23 if other.size == "large" else 0.15
    x = rng.uniform(0.3, 0.7)
    other_x = min(max(x + rng.uniform(-0.08, 0.08), other_half + 0.02), 0.98 - other_half)
    low, high = rng.uniform(0.9, 0.96), rng.uniform(0.03, 0.07)
    y, other_y = (high + half, low - other_half) if scene.relation == "above" else (low - half, high + other_half)
    return [(other, other_x, other_y, other_half), *[(small, c, y, half) for c in _columns(small.count, half, x)]]


def _on_top(scene: Scene, rng: Random) -> list[Placed]:
    rider, base = scene.things
    base_half = 0.3 if base.size == "large" else 0.21
    half = (0.16 if base.size == "large" else 0.14) * (0.75 if rider.count == 2 else 1)
    x = rng.uniform(base_half + 0.02, 0.98 - base_half)
    y = rng.uniform(0.88, 0.95) - base_half
    seat = y + SEATS[base.kind] * base_half
    return [(base, x, y, base_half), *[(rider, c, seat - half, half) for c in _columns(rider.count, half, x)]]


def _columns(count: int, half: float, x: float) -> list[float]:
    """Return the x of one or two things in a row around x, moved so that the row stays inside the picture."""
    reach = half * 2.1 * count / 2 + 0.02
    x = min(max(x, reach), 1 - reach)
    return [x] if count == 1 else [x - 1.05 * half, x + 1.05 * half]
