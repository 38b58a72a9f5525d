"""The pen: fills and outlines pieces on a Pillow canvas."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from PIL import ImageDraw

from helpers.picturebook.pieces import Piece
from helpers.picturebook.shapes import Colour, Point

__all__ = ["fill", "halo", "line", "outline"]


def fill(pen: ImageDraw.ImageDraw, piece: Piece, paint: Colour) -> None:
    """Fill a polygon, or draw a pen line."""
    if piece.width is None:
        pen.polygon(piece.points, paint)
    else:
        line(pen, piece, piece.points, paint, piece.width)


def outline(pen: ImageDraw.ImageDraw, piece: Piece, paint: Colour, width: int) -> None:
    """Draw the outline of a polygon; a pen line has none."""
    if piece.width is None:
        line(pen, piece, piece.points + piece.points[:2], paint, width)


def halo(pen: ImageDraw.ImageDraw, pieces: Iterable[Piece], paint: Colour, width: int) -> None:
    """Draw thick outlines; what still shows once the pieces are filled is the outline of their silhouette."""
    for piece in pieces:
        if piece.depth > width + 3:  # hidden when the piece around it is filled
            continue
        if piece.width is None:
            outline(pen, piece, paint, 2 * width)
        else:
            line(pen, piece, piece.points, paint, piece.width + 2 * width)


def line(pen: ImageDraw.ImageDraw, piece: Piece, points: list[Point], paint: Colour, width: int) -> None:
    """Draw what `pen.line(points, paint, width, joint="curve")` draws, in less time.

    A wide line needs round corners. Pillow computes the angles of all corners each time a line is drawn; a shape keeps
    its own (`Shape.corners`), since they don't depend on its place or size.
    """
    pen.line(points, paint, width)
    if width <= 4:
        return
    for i, before, after, left in piece.shape.corners:
        x, y = points[i]
        square = (x - width / 2 + 1, y - width / 2 + 1, x + width / 2 - 1, y + width / 2 - 1)
        if left:
            pen.pieslice(square, after, before, paint)
        else:
            pen.pieslice(square, before, after, paint)
        if width > 8:  # close the gap between the line and the corner
            (x0, y0), (x1, y1) = _rim(before, width / 2 - 1), _rim(after, width / 2 - 1)
            pen.line((x + x0, y + y0, x, y, x + x1, y + y1), paint, 3)


@lru_cache(maxsize=16384)
def _rim(angle: float, radius: float) -> tuple[int, int]:
    """Return the offset from a centre to its rim in whole pixels, in the direction of `angle` (degrees)."""
    x, y = radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))
    return math.floor(x) if x > 0 else math.ceil(x), math.floor(y) if y > 0 else math.ceil(y)
