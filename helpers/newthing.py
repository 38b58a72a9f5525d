"""Things that the picture-book world does not know, for teaching a trained model something new.

`pictures("robot", 16, seed=0)` draws robots in random places. No model of the course has ever seen one.
"""

from __future__ import annotations

from random import Random

from PIL import Image, ImageDraw

from helpers.picturebook.places import PLACE_DRAWINGS
from helpers.picturebook.shapes import INK, WHITE, Shape, blob, curve, line, oval, poly

__all__ = ["NEW_THINGS", "pictures"]

SUPERSAMPLING = 3
STEEL, DARK_STEEL, GLOW = (150, 162, 180), (98, 110, 132), (255, 214, 64)
RED, CREAM, CARROT = (222, 50, 54), (250, 240, 222), (247, 138, 32)


def _robot() -> list[Shape]:
    return [
        line(INK, 0.06, (0, -0.72), (0, -0.92)),
        oval(RED, 0, -0.92, 0.09, 0.09),
        line(DARK_STEEL, 0.17, (-0.48, 0.05), (-0.82, 0.42)),
        line(DARK_STEEL, 0.17, (0.48, 0.05), (0.82, -0.25)),
        oval(DARK_STEEL, -0.84, 0.44, 0.13, 0.13),
        oval(DARK_STEEL, 0.84, -0.28, 0.13, 0.13),
        poly(DARK_STEEL, (-0.36, 0.5), (-0.1, 0.5), (-0.1, 1), (-0.42, 1)),
        poly(DARK_STEEL, (0.1, 0.5), (0.36, 0.5), (0.42, 1), (0.1, 1)),
        poly(STEEL, (-0.5, -0.12), (0.5, -0.12), (0.42, 0.62), (-0.42, 0.62)),
        poly(STEEL, (-0.44, -0.74), (0.44, -0.74), (0.44, -0.16), (-0.44, -0.16)),
        oval(GLOW, -0.19, -0.5, 0.13, 0.13),
        oval(GLOW, 0.19, -0.5, 0.13, 0.13),
        oval(INK, -0.19, -0.5, 0.05, 0.05),
        oval(INK, 0.19, -0.5, 0.05, 0.05),
        line(INK, 0.06, (-0.22, -0.27), (0.22, -0.27)),
        oval(RED, -0.18, 0.12, 0.08, 0.08),
        oval(GLOW, 0.02, 0.12, 0.08, 0.08),
        poly(WHITE, (-0.26, 0.3), (0.26, 0.3), (0.24, 0.48), (-0.24, 0.48)),
    ]


def _snowman() -> list[Shape]:
    snow = (244, 248, 255)
    return [
        line((121, 79, 52), 0.07, (-0.3, 0.0), (-0.86, -0.3)),
        line((121, 79, 52), 0.07, (0.3, 0.0), (0.86, -0.3)),
        oval(snow, 0, 0.58, 0.52, 0.42),
        oval(snow, 0, 0.04, 0.38, 0.34),
        oval(snow, 0, -0.42, 0.29, 0.27),
        poly(INK, (-0.24, -1), (0.24, -1), (0.22, -0.62), (-0.22, -0.62)),
        poly(INK, (-0.42, -0.68), (0.42, -0.68), (0.42, -0.58), (-0.42, -0.58)),
        line(RED, 0.13, (-0.3, -0.2), (0.3, -0.2)),
        line(RED, 0.13, (0.16, -0.18), (0.24, 0.16)),
        oval(INK, -0.11, -0.48, 0.045, 0.045),
        oval(INK, 0.11, -0.48, 0.045, 0.045),
        poly(CARROT, (-0.02, -0.42), (-0.02, -0.32), (0.36, -0.35)),
        oval(INK, 0, 0.06, 0.05, 0.05),
        oval(INK, 0, 0.42, 0.05, 0.05),
        oval(INK, 0, 0.66, 0.05, 0.05),
    ]


def _mushroom() -> list[Shape]:
    return [
        blob(CREAM, (-0.26, -0.1), (0.26, -0.1), (0.3, 0.6), (0.4, 0.98), (-0.4, 0.98), (-0.3, 0.6)),
        blob(RED, (-0.95, 0.08), (-0.72, -0.55), (0, -0.9), (0.72, -0.55), (0.95, 0.08), (0, 0.16)),
        oval(WHITE, -0.42, -0.32, 0.17, 0.13),
        oval(WHITE, 0.12, -0.58, 0.16, 0.12),
        oval(WHITE, 0.5, -0.2, 0.17, 0.13),
        oval(WHITE, 0.02, -0.12, 0.12, 0.09),
        curve((214, 196, 168), 0.05, (-0.2, 0.3), (0, 0.38), (0.2, 0.3)),
    ]


NEW_THINGS = {"robot": _robot, "snowman": _snowman, "mushroom": _mushroom}


def pictures(kind: str, n: int = 16, *, seed: int = 0, size: int = 128) -> list[Image.Image]:
    """Draw n RGB pictures of a new thing, large, the places taking turns; a seed fixes them all.

    Raises ValueError for a kind that is not in `NEW_THINGS`.
    """
    if kind not in NEW_THINGS:
        raise ValueError(f"{kind!r} is no new thing; choose one of: {', '.join(NEW_THINGS)}")
    rng = Random(f"{kind} {seed}")
    places = sorted(PLACE_DRAWINGS)
    rng.shuffle(places)
    return [_draw(NEW_THINGS[kind](), places[i % len(places)], rng, size) for i in range(n)]


def _draw(thing: list[Shape], place: str, rng: Random, size: int) -> Image.Image:
    side = size * SUPERSAMPLING
    canvas = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(canvas)
    for shape in PLACE_DRAWINGS[place](rng):
        _paint(pen, shape, 0, 0, side, outline=0)
    half = rng.uniform(0.27, 0.33)
    x, y = rng.uniform(half + 0.03, 0.97 - half), rng.uniform(0.84, 0.95) - half
    for shape in thing:
        _paint(pen, shape, x * side, y * side, half * side, outline=max(1, round(0.007 * side)))
    return canvas.resize((size, size), Image.Resampling.BOX)


def _paint(pen: ImageDraw.ImageDraw, shape: Shape, x: float, y: float, scale: float, *, outline: int) -> None:
    points = [(x + px * scale, y + py * scale) for px, py in shape.points]
    if shape.width is not None:
        pen.line(points, fill=shape.paint, width=max(1, round(shape.width * scale)), joint="curve")
        return
    pen.polygon(points, fill=shape.paint)
    if outline:
        pen.line([*points, *points[:2]], fill=INK, width=outline, joint="curve")
