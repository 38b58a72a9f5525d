"""How each kind of thing looks: one function per kind, which returns a list of shapes in the square from -1 to 1.

Things that stand touch the lower edge (y = 1). They face right; some are mirrored when they are drawn.
`SEATS` says how high something on top of a thing sits.
"""

from __future__ import annotations

import math
from random import Random

from helpers.picturebook.shapes import INK, WHITE, Shape, blob, curve, line, oval, poly

__all__ = ["DRAWINGS", "FLYING", "SEATS"]

GLASS = (176, 220, 240)
WOOD = (121, 79, 52)
METAL = (150, 156, 170)
FLAME = (255, 170, 50)
LEAVES = ((-0.5, -0.1), (0.55, -0.4), (-0.05, -0.66), (0.5, 0.02), (-0.55, -0.5))


def _eye(x: float, y: float, r: float = 0.07) -> list[Shape]:
    return [oval(WHITE, x, y, r * 1.6, r * 1.6), oval(INK, x + r * 0.3, y, r, r)]


def cat() -> list[Shape]:
    return [
        curve("shade", 0.2, (-0.45, 0.8), (-0.9, 0.72), (-0.93, 0.25), (-0.72, 0.0)),
        blob("body", (-0.1, -0.1), (0.38, 0.1), (0.48, 0.95), (0.1, 1.0), (-0.5, 1.0), (-0.58, 0.6), (-0.4, 0.15)),
        oval("light", 0.12, 0.72, 0.2, 0.26),
        poly("body", (-0.3, -0.45), (-0.3, -1.0), (0.1, -0.72)),
        poly("body", (0.3, -0.72), (0.7, -1.0), (0.68, -0.42)),
        oval("body", 0.2, -0.35, 0.56, 0.47),
        poly("light", (-0.21, -0.62), (-0.22, -0.86), (-0.03, -0.74)),
        poly("light", (0.45, -0.74), (0.61, -0.86), (0.6, -0.62)),
        oval(INK, 0.02, -0.42, 0.07, 0.11),
        oval(INK, 0.42, -0.42, 0.07, 0.11),
        poly((235, 110, 130), (0.14, -0.24), (0.3, -0.24), (0.22, -0.15)),
        line(INK, 0.035, (-0.02, -0.2), (-0.42, -0.26)),
        line(INK, 0.035, (-0.02, -0.12), (-0.4, -0.06)),
        line(INK, 0.035, (0.46, -0.2), (0.86, -0.26)),
        line(INK, 0.035, (0.46, -0.12), (0.84, -0.06)),
    ]


def dog() -> list[Shape]:
    return [
        curve("shade", 0.17, (-0.7, 0.15), (-0.95, -0.1), (-0.9, -0.42)),
        poly("shade", (-0.5, 0.4), (-0.28, 0.4), (-0.3, 1.0), (-0.52, 1.0)),
        poly("shade", (0.12, 0.4), (0.34, 0.4), (0.36, 1.0), (0.14, 1.0)),
        blob("body", (-0.75, 0.0), (0.2, -0.05), (0.42, 0.1), (0.4, 0.5), (-0.2, 0.62), (-0.75, 0.56)),
        poly("body", (-0.75, 0.3), (-0.52, 0.4), (-0.52, 1.0), (-0.76, 1.0)),
        poly("body", (0.2, 0.3), (0.44, 0.3), (0.5, 1.0), (0.26, 1.0)),
        blob("body", (0.05, -0.7), (0.4, -0.82), (0.62, -0.6), (0.95, -0.45), (0.93, -0.2), (0.5, -0.1), (0.1, -0.12)),
        blob("shade", (0.0, -0.75), (0.18, -0.78), (0.26, -0.4), (0.12, -0.02), (-0.1, -0.08), (-0.12, -0.45)),
        oval(INK, 0.92, -0.44, 0.1, 0.085),
        *_eye(0.48, -0.52, 0.065),
        curve(INK, 0.04, (0.9, -0.26), (0.75, -0.24), (0.62, -0.3)),
        line((215, 60, 70), 0.11, (0.06, -0.02), (0.44, 0.0)),
    ]


def horse() -> list[Shape]:
    return [
        curve("shade", 0.18, (-0.72, -0.05), (-0.95, 0.15), (-0.9, 0.62)),
        poly("shade", (-0.45, 0.2), (-0.27, 0.2), (-0.3, 1.0), (-0.44, 1.0)),
        poly("shade", (0.1, 0.2), (0.28, 0.2), (0.3, 1.0), (0.16, 1.0)),
        poly("body", (-0.72, 0.1), (-0.5, 0.2), (-0.55, 1.0), (-0.7, 1.0)),
        poly("body", (0.22, 0.2), (0.42, 0.1), (0.5, 1.0), (0.35, 1.0)),
        blob("body", (-0.74, -0.12), (-0.1, -0.1), (0.35, -0.2), (0.46, 0.1), (0.2, 0.4), (-0.6, 0.4)),
        poly("body", (0.0, -0.05), (0.3, -0.78), (0.6, -0.72), (0.46, 0.12)),
        blob(
            "body", (0.28, -0.78), (0.52, -0.88), (0.92, -0.5), (0.9, -0.34), (0.72, -0.3), (0.48, -0.45), (0.34, -0.5)
        ),
        poly("body", (0.32, -0.78), (0.36, -1.0), (0.5, -0.82)),
        curve(WOOD, 0.17, (0.32, -0.86), (0.14, -0.55), (-0.02, -0.16)),
        *_eye(0.55, -0.64, 0.055),
        oval(INK, 0.84, -0.42, 0.035, 0.035),
        *[line(INK, 0.13, (x - 0.07, 0.96), (x + 0.07, 0.96)) for x in (-0.62, -0.37, 0.23, 0.43)],
    ]


def bird() -> list[Shape]:
    return [
        line(FLAME, 0.07, (-0.05, 0.6), (-0.08, 0.98), (0.12, 0.98)),
        line(FLAME, 0.07, (0.22, 0.6), (0.2, 0.98), (0.4, 0.98)),
        poly("shade", (-0.45, 0.1), (-1.0, -0.25), (-0.95, 0.2), (-0.5, 0.5)),
        blob("body", (-0.6, 0.1), (-0.1, -0.3), (0.5, -0.15), (0.6, 0.35), (0.2, 0.72), (-0.35, 0.6)),
        oval("body", 0.42, -0.38, 0.38, 0.36),
        poly(FLAME, (0.74, -0.5), (1.0, -0.32), (0.74, -0.22)),
        oval("light", 0.38, 0.3, 0.2, 0.28),
        blob("shade", (-0.45, 0.05), (0.05, -0.1), (0.2, 0.15), (-0.1, 0.45), (-0.55, 0.42)),
        *_eye(0.5, -0.46, 0.075),
    ]


def fish() -> list[Shape]:
    return [
        poly("shade", (-0.45, 0.0), (-1.0, -0.55), (-0.85, 0.0), (-1.0, 0.55)),
        poly("shade", (-0.25, -0.4), (0.1, -0.85), (0.35, -0.4)),
        poly("shade", (-0.1, 0.4), (0.0, 0.75), (0.25, 0.4)),
        blob("body", (-0.6, 0.0), (-0.15, -0.46), (0.45, -0.46), (0.97, 0.0), (0.45, 0.46), (-0.15, 0.46)),
        curve("light", 0.09, (0.28, -0.42), (0.4, 0.0), (0.28, 0.42)),
        curve("light", 0.09, (-0.1, -0.42), (0.02, 0.0), (-0.1, 0.42)),
        *_eye(0.62, -0.14, 0.085),
        curve(INK, 0.045, (0.9, 0.14), (0.8, 0.17), (0.72, 0.14)),
    ]


def frog() -> list[Shape]:
    return [
        blob("shade", (-0.5, 0.2), (-0.95, 0.35), (-0.98, 0.8), (-0.6, 0.98), (-0.3, 0.9)),
        blob("shade", (0.5, 0.2), (0.95, 0.35), (0.98, 0.8), (0.6, 0.98), (0.3, 0.9)),
        blob("body", (0.0, -0.05), (0.6, 0.25), (0.6, 0.85), (0.0, 1.0), (-0.6, 0.85), (-0.6, 0.25)),
        oval("light", 0.0, 0.62, 0.34, 0.3),
        oval("body", -0.42, -0.52, 0.29, 0.29),
        oval("body", 0.42, -0.52, 0.29, 0.29),
        oval("body", 0.0, -0.15, 0.8, 0.46),
        oval(WHITE, -0.42, -0.54, 0.18, 0.18),
        oval(WHITE, 0.42, -0.54, 0.18, 0.18),
        oval(INK, -0.4, -0.54, 0.09, 0.11),
        oval(INK, 0.44, -0.54, 0.09, 0.11),
        curve(INK, 0.06, (-0.5, -0.06), (0.0, 0.12), (0.5, -0.06)),
        line("shade", 0.15, (-0.5, 0.95), (-0.2, 0.95)),
        line("shade", 0.15, (0.2, 0.95), (0.5, 0.95)),
    ]


def astronaut() -> list[Shape]:
    return [
        poly(METAL, (-0.62, -0.2), (0.3, -0.2), (0.3, 0.5), (-0.62, 0.5)),
        poly("body", (-0.38, 0.4), (-0.04, 0.4), (-0.08, 0.95), (-0.42, 0.95)),
        poly("body", (0.06, 0.4), (0.4, 0.4), (0.44, 0.95), (0.1, 0.95)),
        line(INK, 0.14, (-0.46, 0.93), (-0.06, 0.93)),
        line(INK, 0.14, (0.08, 0.93), (0.52, 0.93)),
        curve("body", 0.27, (-0.36, 0.0), (-0.65, 0.2), (-0.78, 0.45)),
        curve("body", 0.27, (0.38, 0.0), (0.68, -0.12), (0.8, -0.42)),
        oval("light", -0.8, 0.5, 0.14, 0.14),
        oval("light", 0.82, -0.5, 0.14, 0.14),
        blob("body", (-0.42, -0.1), (0.42, -0.1), (0.46, 0.5), (-0.46, 0.5)),
        oval("body", 0.0, -0.5, 0.52, 0.5),
        oval(INK, 0.1, -0.48, 0.37, 0.33),
        oval(GLASS, 0.0, -0.58, 0.1, 0.12, 30),
        poly("light", (-0.2, 0.1), (0.22, 0.1), (0.22, 0.34), (-0.2, 0.34)),
        oval((215, 60, 70), -0.08, 0.22, 0.06, 0.06),
    ]


def car() -> list[Shape]:
    return [
        poly("body", (-0.62, 0.12), (-0.4, -0.42), (0.28, -0.42), (0.56, 0.12)),
        poly(GLASS, (-0.46, 0.1), (-0.31, -0.3), (-0.1, -0.3), (-0.1, 0.1)),
        poly(GLASS, (0.02, 0.1), (0.02, -0.3), (0.22, -0.3), (0.41, 0.1)),
        blob("body", (-0.98, 0.2), (-0.6, 0.06), (0.55, 0.06), (0.95, 0.22), (0.98, 0.6), (0.5, 0.68), (-0.96, 0.68)),
        line("shade", 0.08, (-0.95, 0.52), (0.95, 0.52)),
        oval((255, 235, 140), 0.88, 0.3, 0.09, 0.09),
        oval(INK, -0.52, 0.7, 0.3, 0.3),
        oval(INK, 0.52, 0.7, 0.3, 0.3),
        oval(METAL, -0.52, 0.7, 0.13, 0.13),
        oval(METAL, 0.52, 0.7, 0.13, 0.13),
    ]


def boat() -> list[Shape]:
    return [
        line(WOOD, 0.1, (0.02, 0.4), (0.02, -0.98)),
        poly(WHITE, (0.12, -0.9), (0.12, 0.28), (0.8, 0.28)),
        poly("light", (-0.08, -0.7), (-0.08, 0.28), (-0.62, 0.28)),
        poly("body", (-0.98, 0.4), (0.98, 0.4), (0.66, 0.98), (-0.66, 0.98)),
        line("shade", 0.12, (-0.86, 0.6), (0.86, 0.6)),
    ]


def rocket() -> list[Shape]:
    return [
        poly(FLAME, (-0.24, 0.55), (0.24, 0.55), (0.12, 0.85), (0.0, 1.0), (-0.12, 0.85)),
        poly("shade", (-0.3, 0.05), (-0.72, 0.5), (-0.66, 0.78), (-0.26, 0.55)),
        poly("shade", (0.3, 0.05), (0.72, 0.5), (0.66, 0.78), (0.26, 0.55)),
        blob("body", (0.0, -1.0), (0.26, -0.6), (0.36, 0.0), (0.28, 0.6), (-0.28, 0.6), (-0.36, 0.0), (-0.26, -0.6)),
        poly("light", (0.0, -0.98), (0.19, -0.66), (-0.19, -0.66)),
        oval(INK, 0.0, -0.22, 0.2, 0.2),
        oval(GLASS, 0.0, -0.22, 0.13, 0.13),
        line("shade", 0.1, (-0.3, 0.36), (0.3, 0.36)),
    ]


def house() -> list[Shape]:
    return [
        poly(WOOD, (0.42, -0.9), (0.64, -0.9), (0.64, -0.3), (0.42, -0.5)),
        poly("body", (-0.76, -0.2), (0.76, -0.2), (0.76, 1.0), (-0.76, 1.0)),
        poly("shade", (-0.98, -0.12), (0.0, -0.95), (0.98, -0.12)),
        poly(WOOD, (-0.14, 0.4), (0.2, 0.4), (0.2, 1.0), (-0.14, 1.0)),
        poly(GLASS, (-0.6, 0.1), (-0.28, 0.1), (-0.28, 0.42), (-0.6, 0.42)),
        poly(GLASS, (0.34, 0.1), (0.64, 0.1), (0.64, 0.42), (0.34, 0.42)),
        oval((255, 235, 140), 0.12, 0.7, 0.05, 0.05),
    ]


def tree() -> list[Shape]:
    crown = []
    lobes = 9
    for i in range(2 * lobes):  # a cloud-like outline: bulges with notches between them
        angle = math.pi * i / lobes
        radius = 1.0 if i % 2 == 0 else 0.8
        crown.append((0.9 * radius * math.cos(angle), -0.32 + 0.66 * radius * math.sin(angle)))
    return [
        poly(WOOD, (-0.13, 0.1), (0.13, 0.1), (0.16, 0.86), (0.36, 1.0), (-0.36, 1.0), (-0.16, 0.86)),
        blob("body", *crown),
        line(WOOD, 0.09, (0.0, 0.3), (0.0, -0.1), (-0.28, -0.4)),
        line(WOOD, 0.09, (0.0, 0.02), (0.26, -0.26)),
        *[curve("shade", 0.06, (x - 0.13, y), (x, y - 0.08), (x + 0.13, y)) for x, y in LEAVES],
    ]


def flower() -> list[Shape]:
    petals = [
        oval("body", 0.42 * math.cos(a), -0.4 + 0.42 * math.sin(a), 0.29, 0.2, math.degrees(a))
        for a in (math.pi * i / 3 + math.pi / 6 for i in range(6))
    ]
    return [
        line((60, 140, 70), 0.12, (0.0, 0.0), (0.0, 0.98)),
        blob((80, 165, 85), (0.02, 0.75), (0.3, 0.42), (0.6, 0.4), (0.4, 0.72)),
        blob((80, 165, 85), (-0.02, 0.85), (-0.3, 0.55), (-0.6, 0.55), (-0.4, 0.84)),
        *petals,
        oval((250, 205, 70), 0.0, -0.4, 0.23, 0.23),
    ]


def sofa() -> list[Shape]:
    return [
        line(WOOD, 0.14, (-0.7, 0.8), (-0.7, 0.95)),
        line(WOOD, 0.14, (0.7, 0.8), (0.7, 0.95)),
        blob("shade", (-0.75, -0.4), (0.0, -0.48), (0.75, -0.4), (0.8, 0.4), (-0.8, 0.4)),
        line(INK, 0.035, (0.0, -0.44), (0.0, 0.2)),
        poly("light", (-0.68, 0.18), (0.68, 0.18), (0.68, 0.46), (-0.68, 0.46)),
        poly("body", (-0.7, 0.44), (0.7, 0.44), (0.7, 0.84), (-0.7, 0.84)),
        blob("body", (-0.98, 0.0), (-0.74, -0.06), (-0.62, 0.1), (-0.62, 0.84), (-0.96, 0.84)),
        blob("body", (0.98, 0.0), (0.74, -0.06), (0.62, 0.1), (0.62, 0.84), (0.96, 0.84)),
    ]


def star() -> list[Shape]:
    def tips(scale: float) -> list[tuple[float, float]]:
        radii = (1.0, 0.42) * 5
        angles = (-math.pi / 2 + math.pi * i / 5 for i in range(10))
        return [(scale * r * math.cos(a), 0.06 + scale * r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]

    return [poly("body", *tips(0.98)), poly("light", *tips(0.5))]


def moon() -> list[Shape]:
    outer = [(0.95 * math.cos(a), 0.95 * math.sin(a)) for a in (math.radians(d) for d in range(50, 311, 10))]
    inner = [(0.3 + 0.8 * math.cos(a), 0.72 * math.sin(a)) for a in (math.radians(d) for d in range(292, 67, -10))]
    return [
        poly("body", *outer, *inner),
        oval("shade", -0.62, -0.2, 0.13, 0.13),
        oval("shade", -0.5, 0.36, 0.1, 0.1),
        oval("shade", -0.3, -0.62, 0.08, 0.08),
    ]


def ball() -> list[Shape]:
    return [
        oval("body", 0.0, 0.0, 0.96, 0.96),
        blob(
            WHITE,
            (-0.9, -0.3),
            (-0.3, -0.2),
            (0.3, -0.2),
            (0.9, -0.3),
            (0.95, 0.12),
            (0.3, 0.26),
            (-0.3, 0.26),
            (-0.95, 0.12),
        ),
        oval("light", -0.35, -0.58, 0.2, 0.12, -30),
        oval("shade", 0.35, 0.62, 0.26, 0.14, -30),
    ]


def box() -> list[Shape]:
    tape = (238, 216, 170)
    return [
        poly("body", (-0.9, -0.35), (0.45, -0.35), (0.45, 1.0), (-0.9, 1.0)),
        poly("light", (-0.9, -0.35), (-0.45, -0.8), (0.9, -0.8), (0.45, -0.35)),
        poly("shade", (0.45, -0.35), (0.9, -0.8), (0.9, 0.5), (0.45, 1.0)),
        poly(tape, (-0.36, -0.35), (-0.08, -0.35), (-0.08, 0.1), (-0.36, 0.1)),
        poly(tape, (-0.36, -0.35), (0.09, -0.8), (0.37, -0.8), (-0.08, -0.35)),
        line(INK, 0.05, (-0.7, 0.75), (-0.4, 0.75)),
    ]


def inkblot(rng: Random | None = None) -> list[Shape]:
    """Return a folded-paper blot: its right half mirrors its left, and each `rng` gives another outline."""
    rng = rng or Random(0)
    half = []
    corners = 9
    for i in range(corners):
        angle = -math.pi / 2 + math.pi * (i + 0.5) / corners
        radius = rng.uniform(0.42, 0.62) if i % 2 else rng.uniform(0.74, 0.98)
        half.append((max(0.18, radius * math.cos(angle)), radius * math.sin(angle)))
    outline = half + [(-x, y) for x, y in reversed(half)]
    x, y = rng.uniform(0.2, 0.32), rng.uniform(-0.3, 0.3)
    splash_y = rng.uniform(-0.8, 0.8)
    splash_x = rng.uniform(0.72, 0.82)
    return [
        blob("body", *outline),
        *[oval("shade", side * splash_x, splash_y, 0.12, 0.12) for side in (-1, 1)],
        *[oval("light", side * x, y, 0.1, 0.16, side * 20) for side in (-1, 1)],
        *[oval("shade", side * x * 0.9, y + 0.38, 0.09, 0.09) for side in (-1, 1)],
    ]


DRAWINGS = {
    function.__name__: function
    for function in (
        cat,
        dog,
        horse,
        bird,
        fish,
        frog,
        astronaut,
        car,
        boat,
        rocket,
        house,
        tree,
        flower,
        sofa,
        star,
        moon,
        ball,
        box,
        inkblot,
    )
}

SEATS = {"sofa": 0.2, "box": -0.6, "house": -0.8, "car": -0.36, "boat": 0.42, "horse": -0.08, "tree": -0.85}
"""For each kind that can carry others: the height, in its own square, at which they sit."""

FLYING = ("star", "moon", "rocket", "bird", "fish", "inkblot")
"""Kinds that need no ground beneath them."""
