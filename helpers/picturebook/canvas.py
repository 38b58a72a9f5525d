"""From a scene to pixels: where things stand, what their colours are, and the four styles.

Everything is drawn three times as large as asked for and then scaled down (supersampling), which gives smooth edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from helpers.picturebook.kinds import DRAWINGS, FLYING, SEATS
from helpers.picturebook.places import PLACE_DRAWINGS
from helpers.picturebook.scene import Scene, Thing
from helpers.picturebook.shapes import INK, Colour, Point, Shape

__all__ = ["MIN_SIZE", "PAINTS", "Box", "boxes", "draw"]

SUPERSAMPLING = 3
MIN_SIZE = 32

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
class Box:
    """Where one thing stands: its centre and half its side, in the square from 0 to 1 (y down)."""

    thing: Thing
    x: float
    y: float
    half: float
    mirrored: bool = False


# ---------------------------------------------------------------------------------------------------------- layout


def boxes(scene: Scene) -> list[Box]:
    """Where each single thing of the scene stands, in drawing order; decided by `scene.layout`.

    A thing with count 2 gives two boxes. Every box lies inside the picture.
    """
    rng = Random(scene.layout)
    if scene.relation in ("left of", "right of") or scene.relation is None:
        placed = _side_by_side(scene, rng) if scene.total > 1 else [_alone(scene.things[0], rng)]
    elif scene.relation == "on":
        placed = _on_top(scene, rng)
    else:
        placed = _stacked(scene, rng)
    return [Box(thing, x, y, half, rng.random() < 0.5) for thing, x, y, half in placed]


Placed = tuple[Thing, float, float, float]


def _alone(thing: Thing, rng: Random) -> Placed:
    half = 0.31 if thing.size == "large" else 0.18
    x = rng.uniform(half + 0.03, 0.97 - half)
    return thing, x, _height(thing, half, rng), half


def _height(thing: Thing, half: float, rng: Random) -> float:
    """The y of the centre: on the ground, or anywhere up there for what flies."""
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


def _columns(count: int, half: float, x: float) -> list[float]:
    """The x of one or two things of a row around x, moved so that the row lies inside the picture."""
    reach = half * 2.1 * count / 2 + 0.02
    x = min(max(x, reach), 1 - reach)
    return [x] if count == 1 else [x - 1.05 * half, x + 1.05 * half]


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


# ---------------------------------------------------------------------------------------------------------- colours


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with a `share` (0 to 1) of `b` in it."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))


def _thing_paint(colour: str) -> Callable[[Colour | str], Colour]:
    body = PAINTS[colour]
    named = {"body": body, "shade": mix(body, INK, 0.28), "light": mix(body, (255, 255, 255), 0.5)}
    return lambda paint: named.get(paint, paint)


# ---------------------------------------------------------------------------------------------------------- drawing


@dataclass(frozen=True)
class _Piece:
    """A shape in pixels of the large canvas, its paint decided."""

    paint: Colour
    points: list[Point]
    width: int | None
    detail: bool  # a small part that gets no outline of its own


def _place_pieces(scene: Scene, side: int) -> list[_Piece]:
    shapes = PLACE_DRAWINGS[scene.place](Random(scene.layout + 1))
    return [_piece(s, s.paint, lambda p: (p[0] * side, p[1] * side), side, detail=True) for s in shapes]


def _box_pieces(box: Box, scene: Scene, side: int) -> list[_Piece]:
    drawing = DRAWINGS[box.thing.kind]
    shapes = drawing(Random(scene.layout)) if box.thing.kind == "inkblot" else drawing()
    paint = _thing_paint(box.thing.colour)
    flip = -1 if box.mirrored else 1

    def to_canvas(point: Point) -> Point:
        return ((box.x + flip * point[0] * box.half) * side, (box.y + point[1] * box.half) * side)

    scale = box.half * side
    return [_piece(s, paint(s.paint), to_canvas, scale, detail=s.paint not in ("body", "shade")) for s in shapes]


def _piece(shape: Shape, paint: Colour, to_canvas: Callable[[Point], Point], scale: float, detail: bool) -> _Piece:
    width = None if shape.width is None else max(1, round(shape.width * scale))
    return _Piece(paint, [to_canvas(p) for p in shape.points], width, detail)


def _fill(pen: ImageDraw.ImageDraw, piece: _Piece, paint: Colour) -> None:
    if piece.width is None:
        pen.polygon(piece.points, fill=paint)
    else:
        pen.line(piece.points, fill=paint, width=piece.width, joint="curve")


def _outline(pen: ImageDraw.ImageDraw, piece: _Piece, paint: Colour, width: int) -> None:
    if piece.width is None:
        pen.line([*piece.points, *piece.points[:2]], fill=paint, width=width, joint="curve")


def _halo(pen: ImageDraw.ImageDraw, pieces: list[_Piece], paint: Colour, width: int) -> None:
    """The silhouette of the pieces, a little fatter: what shows around them is their outer outline."""
    for piece in pieces:
        if piece.width is None:
            pen.polygon(piece.points, fill=paint)
            pen.line([*piece.points, *piece.points[:2]], fill=paint, width=2 * width, joint="curve")
        else:
            pen.line(piece.points, fill=paint, width=piece.width + 2 * width, joint="curve")


def _draw_flat(scene: Scene, side: int, *, pen_width: float = 0.009) -> Image.Image:
    canvas = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(pen_width * side))
    for piece in _place_pieces(scene, side):
        _fill(pen, piece, piece.paint)
    for box in boxes(scene):
        pieces = _box_pieces(box, scene, side)
        _halo(pen, pieces, INK, width)
        for piece in pieces:
            _fill(pen, piece, piece.paint)
            if not piece.detail:
                _outline(pen, piece, INK, max(1, round(width * 0.7)))
    return canvas


@lru_cache(maxsize=4)
def _hatching(side: int) -> Image.Image:
    """A mask of slanted pencil strokes: light where the paper shows through."""
    mask = Image.new("L", (side, side), 225)
    pen = ImageDraw.Draw(mask)
    step = side / 16
    for i in range(-16, 32):
        x = i * step
        pen.line([(x, side), (x + side, 0)], fill=95, width=round(step * 0.4))
    return mask


def _draw_sketch(scene: Scene, side: int) -> Image.Image:
    paper, graphite = (247, 243, 232), (74, 72, 82)
    canvas = Image.new("RGB", (side, side), paper)
    pen = ImageDraw.Draw(canvas)
    ground = _place_pieces(scene, side)
    things = [_box_pieces(box, scene, side) for box in boxes(scene)]
    for piece in ground:
        _fill(pen, piece, mix(piece.paint, paper, 0.3))
    for pieces in things:
        for piece in pieces:
            _fill(pen, piece, piece.paint)
    canvas = Image.composite(canvas, Image.new("RGB", (side, side), paper), _hatching(side))
    pen = ImageDraw.Draw(canvas)
    hand = Random(scene.layout)
    width = max(1, round(0.006 * side))
    for piece in ground[1:]:
        _outline(pen, piece, mix(graphite, paper, 0.55), max(1, width // 2))
    for pieces in things:
        _halo(pen, pieces, graphite, width)
        layer = ImageDraw.Draw(canvas)
        for piece in pieces:
            _fill(layer, piece, mix(piece.paint, paper, 0.16))
            if not piece.detail:
                for _ in range(2):  # a pencil goes over each line twice, never quite the same way
                    dx, dy = hand.uniform(-1, 1) * width, hand.uniform(-1, 1) * width
                    moved = _Piece(piece.paint, [(x + dx, y + dy) for x, y in piece.points], None, False)
                    if piece.width is None:
                        _outline(pen, moved, graphite, max(1, width // 2))
    strokes = Image.eval(_hatching(side), lambda v: 255 - (225 - v) // 3)
    return ImageChops.multiply(canvas, Image.merge("RGB", (strokes,) * 3))


def _draw_pixels(scene: Scene, size: int) -> Image.Image:
    """Drawn small, its colours cut to a short palette, then enlarged without smoothing."""
    grid = size // 2
    canvas = _draw_flat(scene, grid * SUPERSAMPLING, pen_width=0.016).resize((grid, grid), Image.Resampling.BOX)
    canvas = Image.eval(canvas, lambda v: min(255, (v + 10) // 20 * 20))
    return canvas.resize((size, size), Image.Resampling.NEAREST)


def _draw_neon(scene: Scene, side: int) -> Image.Image:
    dark = (16, 12, 34)
    canvas = Image.new("RGB", (side, side), dark)
    tubes = Image.new("RGB", (side, side))
    pen, glow = ImageDraw.Draw(canvas), ImageDraw.Draw(tubes)
    width = max(1, round(0.012 * side))
    for piece in _place_pieces(scene, side):
        _fill(pen, piece, mix(piece.paint, dark, 0.6))
        _outline(glow, piece, mix(piece.paint, (0, 0, 0), 0.5), max(1, width // 2))
    for box in boxes(scene):
        pieces = _box_pieces(box, scene, side)
        colour = PAINTS[box.thing.colour]
        _halo(glow, pieces, colour, width)
        for piece in pieces:  # what is in front hides the tubes behind it
            tube = piece.width is not None
            _fill(pen, piece, mix(piece.paint, dark, 0.55))
            _fill(glow, piece, mix(piece.paint, (0, 0, 0), 0.3) if tube else (0, 0, 0))
            if not piece.detail:
                _outline(glow, piece, colour, width)
    halo = tubes.resize((side // 4, side // 4), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(side * 0.02 / 4))
    halo = halo.resize((side, side), Image.Resampling.BILINEAR)
    return ImageChops.add(ImageChops.add(canvas, halo), tubes)


def draw(scene: Scene, size: int = 128) -> Image.Image:
    """The scene as an RGB picture of `size` × `size` pixels. The same scene and layout give the same picture.

    Raises:
        ValueError: the size is below 32 pixels.
    """
    if size < MIN_SIZE:
        raise ValueError(f"size must be at least {MIN_SIZE} pixels, got {size}.")
    if scene.style == "pixel art":
        return _draw_pixels(scene, size)
    painter = {"flat": _draw_flat, "pencil sketch": _draw_sketch, "neon": _draw_neon}[scene.style]
    return painter(scene, size * SUPERSAMPLING).resize((size, size), Image.Resampling.BOX)
