"""From a scene to pixels: where things stand, what their colours are, and the four styles.

Everything is drawn three times as large as asked for and then scaled down (supersampling), which gives smooth edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from helpers.picturebook.kinds import DRAWINGS, FLYING, SEATS
from helpers.picturebook.places import PLACE_DRAWINGS
from helpers.picturebook.scene import PLACES, STYLES, Scene, Thing
from helpers.picturebook.shapes import INK, Colour, Point, Shape, with_depths

__all__ = ["MIN_SIZE", "PAINTS", "Box", "Figure", "boxes", "draw", "draw_figures", "figures"]

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


@lru_cache(maxsize=4096)
def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with a `share` (0 to 1) of `b` in it."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))


# ---------------------------------------------------------------------------------------------------------- drawing


@dataclass(frozen=True)
class Figure:
    """Shapes that stand somewhere in a picture.

    Attributes:
        shapes: the drawing, in the square from -1 to 1.
        colour: the colour of the parts painted "body"; "shade" and "light" are made from it, and it glows in neon.
        x: the centre, like all that follows in the square from 0 to 1 (y down).
        y: the centre.
        half: half the side of the drawing's square.
        mirrored: whether left and right change places.
    """

    shapes: Sequence[Shape]
    colour: Colour
    x: float
    y: float
    half: float
    mirrored: bool = False


@dataclass(slots=True)
class _Piece:
    """A shape in pixels of the large canvas, its paint decided."""

    shape: Shape
    paint: Colour
    points: list[Point]
    width: int | None
    detail: bool  # a small part that gets no outline of its own
    depth: float = 0.0  # how deep it lies inside another piece


@cache
def _shapes(kind: str) -> tuple[Shape, ...]:
    """The drawing of a kind, made once: only an inkblot is different each time."""
    return with_depths(DRAWINGS[kind]())


def figures(scene: Scene) -> list[Figure]:
    """The scene's single things, ready to be drawn."""
    placed = []
    for box in boxes(scene):
        kind = box.thing.kind
        shapes = DRAWINGS[kind](Random(scene.layout)) if kind == "inkblot" else _shapes(kind)
        placed.append(Figure(shapes, PAINTS[box.thing.colour], box.x, box.y, box.half, box.mirrored))
    return placed


def _place_pieces(place: str, layout: int, side: int) -> list[_Piece]:
    """The pieces of a place; the first one covers the whole canvas."""
    return [
        _Piece(s, s.paint, [(x * side, y * side) for x, y in s.points], _pixels(s.width, side), True)
        for s in PLACE_DRAWINGS[place](Random(layout + 1))
    ]


def _figure_pieces(figure: Figure, side: int) -> list[_Piece]:
    x, y, half, body = figure.x, figure.y, figure.half, figure.colour
    named = {"body": body, "shade": mix(body, INK, 0.28), "light": mix(body, (255, 255, 255), 0.5)}
    scale = half * side
    pieces = []
    for shape in figure.shapes:
        if figure.mirrored:
            shape = shape.mirrored
        points = [((x + px * half) * side, (y + py * half) * side) for px, py in shape.points]
        paint = named.get(shape.paint, shape.paint)
        detail = shape.paint not in ("body", "shade")
        pieces.append(_Piece(shape, paint, points, _pixels(shape.width, scale), detail, shape.depth * scale))
    return pieces


def _pixels(width: float | None, scale: float) -> int | None:
    return None if width is None else max(1, round(width * scale))


@lru_cache(maxsize=16384)
def _rim(angle: float, radius: float) -> tuple[int, int]:
    """The whole pixels from a centre to its rim, in the direction of an angle in degrees."""
    x, y = radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))
    return math.floor(x) if x > 0 else math.ceil(x), math.floor(y) if y > 0 else math.ceil(y)


def _line(pen: ImageDraw.ImageDraw, piece: _Piece, points: list[Point], paint: Colour, width: int) -> None:
    """What `pen.line(points, paint, width, joint="curve")` draws, in less time.

    A wide line needs round corners. Pillow works out the angles of all corners each time a line is drawn; a shape
    keeps its own (`Shape.corners`), as they are the same wherever it stands and however large it is.
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
        if width > 8:  # no gap between the line and the corner
            (x0, y0), (x1, y1) = _rim(before, width / 2 - 1), _rim(after, width / 2 - 1)
            pen.line((x + x0, y + y0, x, y, x + x1, y + y1), paint, 3)


def _fill(pen: ImageDraw.ImageDraw, piece: _Piece, paint: Colour) -> None:
    if piece.width is None:
        pen.polygon(piece.points, paint)
    else:
        _line(pen, piece, piece.points, paint, piece.width)


def _outline(pen: ImageDraw.ImageDraw, piece: _Piece, paint: Colour, width: int) -> None:
    if piece.width is None:
        _line(pen, piece, piece.points + piece.points[:2], paint, width)


def _halo(pen: ImageDraw.ImageDraw, pieces: list[_Piece], paint: Colour, width: int) -> None:
    """Fat outlines of the pieces: what still shows when the pieces are filled is the outline of their silhouette."""
    for piece in pieces:
        if piece.depth > width + 3:  # hidden when the piece around it is filled
            continue
        if piece.width is None:
            _outline(pen, piece, paint, 2 * width)
        else:
            _line(pen, piece, piece.points, paint, piece.width + 2 * width)


@dataclass(frozen=True)
class _Page:
    """What all styles draw."""

    figures: Sequence[Figure]
    place: str
    layout: int


def _draw_flat(page: _Page, side: int, *, pen_width: float = 0.009) -> Image.Image:
    ground = _place_pieces(page.place, page.layout, side)
    canvas = Image.new("RGB", (side, side), ground[0].paint)
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(pen_width * side))
    for piece in ground[1:]:
        _fill(pen, piece, piece.paint)
    for figure in page.figures:
        pieces = _figure_pieces(figure, side)
        _halo(pen, pieces, INK, width)
        for piece in pieces:
            _fill(pen, piece, piece.paint)
            if not piece.detail:
                _outline(pen, piece, INK, max(1, round(width * 0.7)))
    return canvas


@lru_cache(maxsize=4)
def _hatching(side: int) -> tuple[Image.Image, Image.Image]:
    """Slanted pencil strokes: how much of the place's colour shows, and where the strokes are."""
    mask = Image.new("L", (side, side), 225)
    pen = ImageDraw.Draw(mask)
    step = side / 16
    for i in range(-16, 32):
        x = i * step
        pen.line([(x, side), (x + side, 0)], fill=95, width=round(step * 0.4))
    return mask, mask.point([255] * 225 + [0] * 31, "1")


def _draw_sketch(page: _Page, side: int) -> Image.Image:
    paper, graphite = (247, 243, 232), (74, 72, 82)
    shows, strokes = _hatching(side)
    ground = _place_pieces(page.place, page.layout, side)
    coloured = Image.new("RGB", (side, side), mix(ground[0].paint, paper, 0.3))
    pen = ImageDraw.Draw(coloured)
    for piece in ground[1:]:
        _fill(pen, piece, mix(piece.paint, paper, 0.3))
    canvas = Image.new("RGB", (side, side), paper)
    canvas.paste(coloured, mask=shows)
    pen = ImageDraw.Draw(canvas)
    hand = Random(page.layout)
    width = max(1, round(0.006 * side))
    for piece in ground[1:]:
        _outline(pen, piece, mix(graphite, paper, 0.55), max(1, width // 2))
    for figure in page.figures:
        pieces = _figure_pieces(figure, side)
        _halo(pen, pieces, graphite, width)
        for piece in pieces:
            _fill(pen, piece, mix(piece.paint, paper, 0.16))
            if not piece.detail:
                for _ in range(2):  # a pencil goes over each line twice, never quite the same way
                    dx, dy = hand.uniform(-1, 1) * width, hand.uniform(-1, 1) * width
                    if piece.width is None:
                        moved = [(x + dx, y + dy) for x, y in piece.points]
                        _line(pen, piece, moved + moved[:2], graphite, max(1, width // 2))
    canvas.paste(canvas.point([v * 212 // 255 for v in range(256)] * 3), mask=strokes)
    return canvas


def _draw_pixels(page: _Page, size: int) -> Image.Image:
    """Drawn small, its colours cut to a short palette, then enlarged without smoothing."""
    grid = size // 2
    canvas = _draw_flat(page, grid * SUPERSAMPLING, pen_width=0.016).resize((grid, grid), Image.Resampling.BOX)
    canvas = Image.eval(canvas, lambda v: min(255, (v + 10) // 20 * 20))
    return canvas.resize((size, size), Image.Resampling.NEAREST)


def _add(a: Image.Image, b: Image.Image) -> Image.Image:
    """What `ImageChops.add(a, b)` gives, in half the time: `b` is cut to what `a` can still take."""
    return ImageChops.add_modulo(a, ImageChops.darker(b, ImageChops.invert(a)))


def _draw_neon(page: _Page, side: int) -> Image.Image:
    dark, black = (16, 12, 34), (0, 0, 0)
    ground = _place_pieces(page.place, page.layout, side)
    canvas = Image.new("RGB", (side, side), mix(ground[0].paint, dark, 0.6))
    tubes = Image.new("RGB", (side, side))
    pen, glow = ImageDraw.Draw(canvas), ImageDraw.Draw(tubes)
    width = max(1, round(0.012 * side))
    for i, piece in enumerate(ground):
        if i > 0:
            _fill(pen, piece, mix(piece.paint, dark, 0.6))
        _outline(glow, piece, mix(piece.paint, black, 0.5), max(1, width // 2))
    for figure in page.figures:
        pieces = _figure_pieces(figure, side)
        _halo(glow, pieces, figure.colour, width)
        for piece in pieces:  # what is in front hides the tubes behind it
            tube = piece.width is not None
            _fill(pen, piece, mix(piece.paint, dark, 0.55))
            _fill(glow, piece, mix(piece.paint, black, 0.3) if tube else black)
            if not piece.detail:
                _outline(glow, piece, figure.colour, width)
    halo = tubes.resize((side // 4, side // 4), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(side * 0.02 / 4))
    halo = halo.resize((side, side), Image.Resampling.BILINEAR)
    return _add(_add(canvas, halo), tubes)


def draw_figures(
    figures: Sequence[Figure], place: str, style: str = "flat", *, layout: int = 0, size: int = 128
) -> Image.Image:
    """Any figures in a place, in one of the styles: the way to draw what the picture-book world has no word for.

    Args:
        figures: what to draw, what is in front last.
        place: one of `PLACES`.
        style: one of `STYLES`.
        layout: the seed of the place's hills, clouds and stars, and of the pencil's hand.
        size: side of the RGB picture, in pixels.

    Raises:
        ValueError: the size is below 32 pixels, or the place or style is unknown.
    """
    if size < MIN_SIZE:
        raise ValueError(f"size must be at least {MIN_SIZE} pixels, got {size}.")
    if place not in PLACES or style not in STYLES:
        raise ValueError(f"No place {place!r} or no style {style!r}; places: {PLACES}, styles: {STYLES}.")
    page = _Page(figures, place, layout)
    if style == "pixel art":
        return _draw_pixels(page, size)
    painter = {"flat": _draw_flat, "pencil sketch": _draw_sketch, "neon": _draw_neon}[style]
    return painter(page, size * SUPERSAMPLING).resize((size, size), Image.Resampling.BOX)


def draw(scene: Scene, size: int = 128) -> Image.Image:
    """The scene as an RGB picture of `size` × `size` pixels. The same scene and layout give the same picture.

    Raises:
        ValueError: the size is below 32 pixels.
    """
    return draw_figures(figures(scene), scene.place, scene.style, layout=scene.layout, size=size)
