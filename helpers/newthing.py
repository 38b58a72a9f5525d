"""Things that the picture-book world does not have, for teaching a trained model something new.

`pictures("robot", 16, seed=0)` draws robots in random places, `figure` makes one for `canvas.draw_figures`. No model
of the course has learnt their names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
from PIL import Image

from helpers.picturebook import KINDS, PLACES, STYLES
from helpers.picturebook.canvas import draw_figures
from helpers.picturebook.kinds import DRAWINGS
from helpers.picturebook.pieces import PAINTS, Figure
from helpers.picturebook.shapes import INK, WHITE, Colour, Shape, blob, curve, line, oval, poly

__all__ = ["NEW_THINGS", "figure", "pictures", "random_picture"]

GLOW, RED, CREAM, CARROT = (255, 214, 64), (222, 50, 54), (250, 240, 222), (247, 138, 32)
BODIES: dict[str, Colour] = {"robot": (150, 162, 180), "snowman": (244, 248, 255), "mushroom": RED}
"""The colour of each new thing's "body"."""


@cache
def _robot() -> tuple[Shape, ...]:
    return (
        line(INK, 0.06, (0, -0.72), (0, -0.92)),
        oval(RED, 0, -0.92, 0.09, 0.09),
        line("shade", 0.17, (-0.48, 0.05), (-0.82, 0.42)),
        line("shade", 0.17, (0.48, 0.05), (0.82, -0.25)),
        oval("shade", -0.84, 0.44, 0.13, 0.13),
        oval("shade", 0.84, -0.28, 0.13, 0.13),
        poly("shade", (-0.36, 0.5), (-0.1, 0.5), (-0.1, 1), (-0.42, 1)),
        poly("shade", (0.1, 0.5), (0.36, 0.5), (0.42, 1), (0.1, 1)),
        poly("body", (-0.5, -0.12), (0.5, -0.12), (0.42, 0.62), (-0.42, 0.62)),
        poly("body", (-0.44, -0.74), (0.44, -0.74), (0.44, -0.16), (-0.44, -0.16)),
        oval(GLOW, -0.19, -0.5, 0.13, 0.13),
        oval(GLOW, 0.19, -0.5, 0.13, 0.13),
        oval(INK, -0.19, -0.5, 0.05, 0.05),
        oval(INK, 0.19, -0.5, 0.05, 0.05),
        line(INK, 0.06, (-0.22, -0.27), (0.22, -0.27)),
        oval(RED, -0.18, 0.12, 0.08, 0.08),
        oval(GLOW, 0.02, 0.12, 0.08, 0.08),
        poly(WHITE, (-0.26, 0.3), (0.26, 0.3), (0.24, 0.48), (-0.24, 0.48)),
    )


@cache
def _snowman() -> tuple[Shape, ...]:
    return (
        line((121, 79, 52), 0.07, (-0.3, 0.0), (-0.86, -0.3)),
        line((121, 79, 52), 0.07, (0.3, 0.0), (0.86, -0.3)),
        oval("body", 0, 0.58, 0.52, 0.42),
        oval("body", 0, 0.04, 0.38, 0.34),
        oval("body", 0, -0.42, 0.29, 0.27),
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
    )


@cache
def _mushroom() -> tuple[Shape, ...]:
    return (
        blob(CREAM, (-0.26, -0.1), (0.26, -0.1), (0.3, 0.6), (0.4, 0.98), (-0.4, 0.98), (-0.3, 0.6)),
        blob("body", (-0.95, 0.08), (-0.72, -0.55), (0, -0.9), (0.72, -0.55), (0.95, 0.08), (0, 0.16)),
        oval(WHITE, -0.42, -0.32, 0.17, 0.13),
        oval(WHITE, 0.12, -0.58, 0.16, 0.12),
        oval(WHITE, 0.5, -0.2, 0.17, 0.13),
        oval(WHITE, 0.02, -0.12, 0.12, 0.09),
        curve((214, 196, 168), 0.05, (-0.2, 0.3), (0, 0.38), (0.2, 0.3)),
    )


NEW_THINGS = {"robot": _robot, "snowman": _snowman, "mushroom": _mushroom}


def figure(kind: str, x: float, y: float, half: float, *, mirrored: bool = False) -> Figure:
    """Make a new thing for `canvas.draw_figures`: its centre and half its side, in the square from 0 to 1 (y down).

    Raises:
        ValueError: the kind is not in `NEW_THINGS`.
    """
    if kind not in NEW_THINGS:
        raise ValueError(f"{kind!r} is not a new thing; choose one of: {', '.join(NEW_THINGS)}")
    return Figure(NEW_THINGS[kind](), BODIES[kind], x, y, half, mirrored)


def pictures(kind: str, n: int = 16, *, seed: int = 0, size: int = 128, style: str = "flat") -> list[Image.Image]:
    """Draw n RGB pictures of a large new thing, each in the next place; a seed fixes them all.

    Raises:
        ValueError: the kind is not in `NEW_THINGS`, the style is unknown, or the size is below 32.
    """
    rng = Random(f"{kind} {seed}")
    places = sorted(PLACES)
    rng.shuffle(places)
    drawn = []
    for i in range(n):
        half = rng.uniform(0.27, 0.33)
        x, y = rng.uniform(half + 0.03, 0.97 - half), rng.uniform(0.84, 0.95) - half
        things, layout = [figure(kind, x, y, half)], rng.randrange(2**31)
        drawn.append(draw_figures(things, places[i % len(places)], style, layout=layout, size=size))
    return drawn


def random_picture(rng: np.random.Generator, size: int = 128) -> Image.Image:
    """Draw a new thing in a random place and style, large or small; sometimes beside a second one or a known thing."""
    count = 2 if rng.random() < 0.3 else 1
    things = []
    for i in range(count):
        large, small = ((0.27, 0.33), (0.15, 0.2)) if count == 1 else ((0.2, 0.23), (0.13, 0.16))
        half = rng.uniform(*(large if rng.random() < 0.6 else small))
        low, high = i / count + half + 0.01, (i + 1) / count - half - 0.01
        where = (rng.uniform(low, high), rng.uniform(0.82, 0.95) - half, half, rng.random() < 0.5)
        if i == 1 and rng.random() < 0.5:
            kind, colour = KINDS[rng.integers(len(KINDS))], list(PAINTS)[rng.integers(len(PAINTS))]
            things.append(Figure(DRAWINGS[kind](), PAINTS[colour], *where))
        else:
            kind = list(NEW_THINGS)[rng.integers(len(NEW_THINGS))]
            x, y, half, mirrored = where
            things.append(figure(kind, x, y, half, mirrored=mirrored))
    if rng.random() < 0.5:  # so that the known thing stands left or right
        things = [replace(thing, x=1 - thing.x) for thing in things]
    place, style = PLACES[rng.integers(len(PLACES))], STYLES[rng.integers(len(STYLES))]
    return draw_figures(things, place, style, layout=int(rng.integers(2**31)), size=size)
