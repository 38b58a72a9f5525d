"""The drawing vocabulary: every picture is a list of filled polygons and pen lines.

A shape is a list of points and a paint. Curves are polygons with many corners, so that every style can fill,
outline, mirror and scale any shape in the same way. Coordinates: x to the right, y *down*; things live in the square
from -1 to 1, places in the square from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["INK", "WHITE", "Colour", "Point", "Shape", "blob", "curve", "line", "oval", "poly"]

Point = tuple[float, float]
Colour = tuple[int, int, int]

INK: Colour = (43, 38, 52)
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Shape:
    """A polygon (`width` is None) or a pen line of `width` (in the units of its points).

    `paint` is an RGB colour, or for things one of the names "body", "shade", "light" (the thing's own colour, darker,
    lighter) that become colours when the thing is drawn.
    """

    paint: Colour | str
    points: tuple[Point, ...]
    width: float | None = None


def poly(paint: Colour | str, *points: Point) -> Shape:
    """A polygon with straight sides."""
    return Shape(paint, points)


def line(paint: Colour | str, width: float, *points: Point) -> Shape:
    """A pen line through the points."""
    return Shape(paint, points, width)


def oval(paint: Colour | str, x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Shape:
    """An ellipse around (x, y), turned clockwise by `turn` degrees."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    corners = 36
    points = []
    for i in range(corners):
        angle = 2 * math.pi * i / corners
        dx, dy = rx * math.cos(angle), ry * math.sin(angle)
        points.append((x + dx * cos - dy * sin, y + dx * sin + dy * cos))
    return Shape(paint, tuple(points))


def _spline(points: tuple[Point, ...], closed: bool, steps: int = 7) -> tuple[Point, ...]:
    """A smooth curve through the points (Catmull-Rom: each piece's slope follows its neighbours)."""
    n = len(points)
    curve = []
    for i in range(n if closed else n - 1):
        if closed:
            p0, p1, p2, p3 = (points[(i + k) % n] for k in (-1, 0, 1, 2))
        else:
            p0, p1, p2, p3 = (points[min(max(i + k, 0), n - 1)] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            curve.append(
                tuple(
                    0.5
                    * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
            )
    return tuple(curve) if closed else (*curve, points[-1])


def blob(paint: Colour | str, *points: Point) -> Shape:
    """A closed smooth outline through the points."""
    return Shape(paint, _spline(points, closed=True))


def curve(paint: Colour | str, width: float, *points: Point) -> Shape:
    """A smooth pen line through the points."""
    return Shape(paint, _spline(points, closed=False), width)
