"""The drawing vocabulary: every picture is a list of filled polygons and pen lines.

A shape is a list of points and a paint. Curves are polygons with many corners, so that every style can fill,
outline, mirror and scale all shapes in the same way. Coordinates: x to the right, y *down*; things are drawn in the
square from -1 to 1, places in the square from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

__all__ = ["INK", "WHITE", "Colour", "Point", "Shape", "blob", "curve", "line", "oval", "poly", "with_depths"]

Point = tuple[float, float]
Colour = tuple[int, int, int]

INK: Colour = (43, 38, 52)
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Shape:
    """A polygon or a pen line.

    Attributes:
        paint: an RGB colour, or for things one of the names "body", "shade" and "light" (the thing's own colour, a
            darker and a lighter one), which become colours when the thing is drawn.
        points: the corners of the polygon, or the points of the line.
        width: of the line, in the units of its points; None for a polygon.
        depth: how deep the shape lies inside another one of its drawing, once `with_depths` has measured it.
    """

    paint: Colour | str
    points: tuple[Point, ...]
    width: float | None = None
    depth: float = 0.0

    @cached_property
    def mirrored(self) -> Shape:
        """The same shape with left and right swapped."""
        return replace(self, points=tuple((-x, y) for x, y in self.points))

    @cached_property
    def corners(self) -> list[tuple[int, float, float, bool]]:
        """The corners of a pen line, or of the line around a polygon.

        Each is the index of its point (a polygon's first two points are repeated at the end), the angles in degrees
        at which the rounding of the corner begins and ends, seen from its point, and whether the line turns left.
        """
        points = self.points if self.width is not None else self.points + self.points[:2]
        angles = [math.degrees(math.atan2(x1 - x0, y0 - y1)) % 360 for (x0, y0), (x1, y1) in pairwise(points)]
        corners = []
        for i, (before, after) in enumerate(pairwise(angles), start=1):
            if before != after:
                left = before + 180 < after or after < before < after + 180
                outside = 0 if left else -180
                corners.append((i, before + outside, after + outside, left))
        return corners


def poly(paint: Colour | str, *points: Point) -> Shape:
    """Return a polygon with straight sides."""
    return Shape(paint, points)


def line(paint: Colour | str, width: float, *points: Point) -> Shape:
    """Return a pen line through the points."""
    return Shape(paint, points, width)


def oval(paint: Colour | str, x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Shape:
    """Return an ellipse around (x, y), turned clockwise by `turn` degrees."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    points = []
    for across, down in _CIRCLE:
        dx, dy = rx * across, ry * down
        points.append((x + dx * cos - dy * sin, y + dx * sin + dy * cos))
    return Shape(paint, tuple(points))


_CIRCLE = [(math.cos(2 * math.pi * i / 36), math.sin(2 * math.pi * i / 36)) for i in range(36)]
_STEPS = [step / 7 for step in range(7)]


def _spline(points: tuple[Point, ...], closed: bool) -> tuple[Point, ...]:
    """Return a smooth curve through the points (Catmull-Rom: each segment's slopes follow its neighbours)."""
    n = len(points)
    curve = []
    for i in range(n if closed else n - 1):
        if closed:
            neighbours = [points[(i + k) % n] for k in (-1, 0, 1, 2)]
        else:
            neighbours = [points[min(max(i + k, 0), n - 1)] for k in (-1, 0, 1, 2)]
        xs, ys = zip(*neighbours, strict=True)
        curve.extend(zip(_between(*xs), _between(*ys), strict=True))
    return tuple(curve) if closed else (*curve, points[-1])


def _between(a: float, b: float, c: float, d: float) -> list[float]:
    """Return points from b almost to c on the cubic curve whose slopes there follow a and d."""
    slope, bend, twist = c - a, 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d
    return [0.5 * (2 * b + slope * t + bend * t * t + twist * t * t * t) for t in _STEPS]


def blob(paint: Colour | str, *points: Point) -> Shape:
    """Return a closed smooth outline through the points."""
    return Shape(paint, _spline(points, closed=True))


def curve(paint: Colour | str, width: float, *points: Point) -> Shape:
    """Return a smooth pen line through the points."""
    return Shape(paint, _spline(points, closed=False), width)


def with_depths(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Return the shapes with their depths: how far each is from the edge of the polygon around it; 0 outside of all.

    The outline of a drawing does not show around a shape that lies deep enough, and need not be drawn there.
    """
    polygons = [shape for shape in shapes if shape.width is None]
    return tuple(
        replace(shape, depth=max([0.0, *(_depth(shape, other) for other in polygons if other is not shape)]))
        for shape in shapes
    )


def _depth(shape: Shape, polygon: Shape) -> float:
    inner, outer = np.array(shape.points), np.array(polygon.points)
    (x, y), (x0, y0), (x1, y1) = inner.T[..., None], outer.T, np.roll(outer, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)  # a ray to the right from a point inside crosses the edge an odd number of times
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses &= x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    if not (crosses.sum(axis=1) % 2).all():
        return 0.0
    return min(_distance(inner, outer), _distance(outer, inner)) - (shape.width or 0) / 2


def _distance(points: np.ndarray, corners: np.ndarray) -> float:
    """Return the shortest distance of the points, (n, 2), from the line around the corners, (m, 2)."""
    edges = np.roll(corners, -1, axis=0) - corners
    offsets = points[:, None] - corners
    t = (offsets * edges).sum(axis=2) / np.maximum((edges**2).sum(axis=1), 1e-12)
    return float(np.linalg.norm(offsets - t.clip(0, 1)[..., None] * edges, axis=2).min())
