"""From shapes to pieces: drawings put in their place in a picture, with colours, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random

from helpers.picturebook.kinds import DRAWINGS
from helpers.picturebook.layout import boxes
from helpers.picturebook.places import PLACE_DRAWINGS
from helpers.picturebook.scene import Scene
from helpers.picturebook.shapes import INK, WHITE, Colour, Point, Shape, with_depths

__all__ = ["PAINTS", "Figure", "Piece", "figure_pieces", "figures", "mix", "place_pieces"]

PAINTS: dict[str, Colour] = {
    "red": (222, 50, 54),
    "orange": (247, 138, 32),
    "yellow": (252, 216, 60),
    "green": (62, 172, 84),
    "blue": (52, 104, 216),
    "purple": (138, 74, 190),
    "pink": (252, 140, 188),
    "white": (248, 248, 251),
}


@dataclass(frozen=True)
class Figure:
    """A drawing and its place in a picture.

    Attributes:
        shapes: the drawing, in the square from -1 to 1.
        colour: the colour of the parts painted "body"; "shade" and "light" are made from it, and in neon it glows.
        x: the centre, like all that follows in the square from 0 to 1 (y down).
        y: the centre.
        half: half the side of the drawing's square.
        mirrored: whether left and right are swapped.
    """

    shapes: Sequence[Shape]
    colour: Colour
    x: float
    y: float
    half: float
    mirrored: bool = False


def figures(scene: Scene) -> list[Figure]:
    """Turn the scene's things into figures, one per single thing, in drawing order."""
    placed = []
    for box in boxes(scene):
        kind = box.thing.kind
        shapes = DRAWINGS[kind](Random(scene.layout)) if kind == "inkblot" else _shapes(kind)
        placed.append(Figure(shapes, PAINTS[box.thing.colour], box.x, box.y, box.half, box.mirrored))
    return placed


@cache
def _shapes(kind: str) -> tuple[Shape, ...]:
    """Return the drawing of a kind, made once: only an inkblot is different each time."""
    return with_depths(DRAWINGS[kind]())


@dataclass(slots=True)
class Piece:
    """A shape in pixels of the large canvas, its paint decided.

    Attributes:
        detail: whether it is a small part, drawn without an outline.
        depth: how deep it lies inside another piece.
    """

    shape: Shape
    paint: Colour
    points: list[Point]
    width: int | None
    detail: bool
    depth: float = 0.0


def place_pieces(place: str, layout: int, side: int) -> list[Piece]:
    """Return the pieces of a place; the first one covers the whole canvas."""
    return [
        Piece(s, s.paint, [(x * side, y * side) for x, y in s.points], _pixels(s.width, side), True)
        for s in PLACE_DRAWINGS[place](Random(layout + 1))
    ]


def figure_pieces(figure: Figure, side: int) -> list[Piece]:
    """Return the pieces of a figure on a canvas of `side` × `side` pixels."""
    x, y, half, body = figure.x, figure.y, figure.half, figure.colour
    named = {"body": body, "shade": mix(body, INK, 0.28), "light": mix(body, WHITE, 0.5)}
    scale = half * side
    pieces = []
    for shape in figure.shapes:
        if figure.mirrored:
            shape = shape.mirrored
        points = [((x + px * half) * side, (y + py * half) * side) for px, py in shape.points]
        paint = named.get(shape.paint, shape.paint)
        detail = shape.paint not in ("body", "shade")
        pieces.append(Piece(shape, paint, points, _pixels(shape.width, scale), detail, shape.depth * scale))
    return pieces


def _pixels(width: float | None, scale: float) -> int | None:
    return None if width is None else max(1, round(width * scale))


@lru_cache(maxsize=4096)
def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Blend `a` with a `share` (0 to 1) of `b`."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
