"""The places: one function per place, which returns a list of shapes in the square from 0 to 1, far things first.

The random generator shifts hills, clouds and stars, so that no two pictures of a place are the same.
"""

from __future__ import annotations

from random import Random

from helpers.picturebook.shapes import Shape, blob, line, oval, poly

__all__ = ["PLACE_DRAWINGS"]


def _band(paint: tuple[int, int, int], top: float, bottom: float) -> Shape:
    return poly(paint, (0, top), (1, top), (1, bottom), (0, bottom))


def _hill(paint: tuple[int, int, int], rng: Random, height: float, wave: float) -> Shape:
    x = rng.uniform(0.2, 0.8)
    return blob(
        paint, (-0.3, 1.3), (-0.3, height + wave / 2), (x, height - wave / 2), (1.3, height + wave / 2), (1.3, 1.3)
    )


def meadow(rng: Random) -> list[Shape]:
    x = rng.uniform(0.1, 0.9)
    shapes = [
        _band((176, 224, 250), 0, 1),
        oval((255, 255, 255), x, 0.1, 0.11, 0.035),
        oval((255, 255, 255), x + 0.05, 0.085, 0.06, 0.04),
        _hill((150, 208, 120), rng, 0.6, 0.1),
        _hill((126, 190, 96), rng, 0.72, 0.05),
    ]
    for _ in range(5):
        x, y = rng.uniform(0.03, 0.97), rng.uniform(0.78, 0.96)
        shapes.append(line((84, 150, 70), 0.012, (x - 0.02, y), (x, y - 0.03), (x + 0.02, y)))
    return shapes


def sea(rng: Random) -> list[Shape]:
    shapes = [
        _band((206, 236, 250), 0, 1),
        _band((58, 150, 200), 0.52, 1),
        _band((40, 122, 178), 0.76, 1),
    ]
    shift = rng.random() * 0.2
    for row, y in enumerate((0.6, 0.7, 0.84, 0.94)):
        for i in range(4):
            x = (i * 0.3 + row * 0.13 + shift) % 1.15 - 0.08
            shapes.append(line((150, 212, 236), 0.012, (x, y), (x + 0.05, y - 0.02), (x + 0.1, y)))
    return shapes


def desert(rng: Random) -> list[Shape]:
    x = rng.choice((rng.uniform(0.06, 0.16), rng.uniform(0.84, 0.94)))
    green = (92, 142, 84)
    return [
        _band((252, 222, 160), 0, 1),
        oval((255, 246, 206), rng.uniform(0.2, 0.8), 0.14, 0.08, 0.08),
        _hill((238, 190, 112), rng, 0.6, 0.12),
        line(green, 0.04, (x, 0.5), (x, 0.7)),
        line(green, 0.025, (x - 0.05, 0.54), (x - 0.05, 0.61), (x, 0.61)),
        line(green, 0.025, (x + 0.05, 0.52), (x + 0.05, 0.58), (x, 0.58)),
        _hill((224, 168, 92), rng, 0.76, 0.07),
    ]


def snow(rng: Random) -> list[Shape]:
    x = rng.uniform(0.25, 0.75)
    shapes = [
        _band((190, 208, 226), 0, 1),
        poly((150, 170, 196), (x - 0.4, 0.62), (x, 0.26), (x + 0.4, 0.62)),
        poly((250, 252, 255), (x - 0.13, 0.38), (x, 0.26), (x + 0.13, 0.38), (x + 0.03, 0.35), (x - 0.05, 0.4)),
        _hill((236, 242, 250), rng, 0.62, 0.08),
        _hill((250, 252, 255), rng, 0.76, 0.05),
    ]
    for i in range(12):
        flake = (rng.uniform(0, 0.25) + (i % 4) * 0.25, rng.uniform(0, 0.18) + (i // 4) * 0.18)
        shapes.append(oval((255, 255, 255), *flake, 0.012, 0.012))
    return shapes


def night(rng: Random) -> list[Shape]:
    shapes = [_band((28, 34, 84), 0, 1), _band((44, 50, 110), 0.34, 1)]
    for i in range(14):
        x, y = rng.uniform(0, 0.2) + (i % 5) * 0.2, rng.uniform(0, 0.18) + (i // 5) * 0.18
        r = rng.choice((0.007, 0.012))
        shapes.append(oval((255, 244, 190), x, y, r, r))
    return [*shapes, _hill((26, 56, 74), rng, 0.66, 0.08), _hill((20, 42, 60), rng, 0.78, 0.05)]


def room(rng: Random) -> list[Shape]:
    x = rng.choice((rng.uniform(0.14, 0.24), rng.uniform(0.76, 0.86)))
    frame, pane = (250, 250, 244), (168, 214, 240)
    stripes = [line((232, 206, 188), 0.02, (s, 0), (s, 0.68)) for s in (0.06, 0.28, 0.5, 0.72, 0.94)]
    return [
        _band((244, 222, 204), 0, 1),
        *stripes,
        poly(frame, (x - 0.13, 0.1), (x + 0.13, 0.1), (x + 0.13, 0.4), (x - 0.13, 0.4)),
        poly(pane, (x - 0.1, 0.13), (x + 0.1, 0.13), (x + 0.1, 0.37), (x - 0.1, 0.37)),
        line(frame, 0.02, (x, 0.13), (x, 0.37)),
        line(frame, 0.02, (x - 0.1, 0.25), (x + 0.1, 0.25)),
        _band((178, 130, 92), 0.68, 1),
        line((250, 250, 244), 0.025, (0, 0.68), (1, 0.68)),
        line((150, 104, 72), 0.01, (0, 0.79), (1, 0.79)),
        line((150, 104, 72), 0.01, (0, 0.9), (1, 0.9)),
    ]


def road_at_sunset(rng: Random) -> list[Shape]:
    x = rng.uniform(0.25, 0.75)
    dashes = [line((250, 232, 150), 0.018, (s + 0.04, 0.84), (s + 0.15, 0.84)) for s in (0.0, 0.27, 0.54, 0.81)]
    return [
        _band((120, 70, 130), 0, 1),
        _band((206, 92, 118), 0.16, 1),
        _band((246, 136, 92), 0.32, 1),
        _band((254, 186, 98), 0.46, 1),
        oval((255, 236, 150), x, 0.56, 0.13, 0.13),
        _band((92, 62, 84), 0.58, 1),
        _band((70, 68, 82), 0.7, 1),
        line((222, 214, 206), 0.012, (0, 0.7), (1, 0.7)),
        *dashes,
    ]


def mars(rng: Random) -> list[Shape]:
    x = rng.uniform(0.15, 0.85)
    shapes = [
        _band((70, 34, 50), 0, 1),
        _band((104, 48, 54), 0.3, 1),
        oval((150, 186, 220), x, 0.13, 0.035, 0.035),
        _hill((176, 80, 54), rng, 0.6, 0.1),
        _hill((150, 62, 44), rng, 0.74, 0.05),
    ]
    for i in range(4):
        cx, cy = rng.uniform(0.02, 0.23) + i * 0.25, rng.uniform(0.8, 0.95)
        shapes.append(oval((116, 44, 36), cx, cy, 0.06, 0.02))
    return shapes


PLACE_DRAWINGS = {
    "meadow": meadow,
    "sea": sea,
    "desert": desert,
    "snow": snow,
    "night": night,
    "room": room,
    "road at sunset": road_at_sunset,
    "mars": mars,
}
