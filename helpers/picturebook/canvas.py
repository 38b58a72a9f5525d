"""From a scene to pixels: the four styles.

Everything is drawn at three times the requested size and then scaled down (supersampling), which smooths the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from helpers.picturebook.pen import fill, halo, line, outline
from helpers.picturebook.pieces import Figure, figure_pieces, figures, mix, place_pieces
from helpers.picturebook.scene import PLACES, STYLES, Scene
from helpers.picturebook.shapes import INK

__all__ = ["draw", "draw_figures"]

SUPERSAMPLING = 3
MIN_SIZE = 32


def draw(scene: Scene, size: int = 128) -> Image.Image:
    """Draw the scene as an RGB picture of `size` × `size` pixels. The same scene and layout give the same picture.

    Raises:
        ValueError: the size is below 32 pixels.
    """
    return draw_figures(figures(scene), scene.place, scene.style, layout=scene.layout, size=size)


def draw_figures(
    figures: Sequence[Figure], place: str, style: str = "flat", *, layout: int = 0, size: int = 128
) -> Image.Image:
    """Draw any figures in a place, in one of the styles: the way to draw what the picture-book world has no word for.

    Args:
        figures: what to draw, the frontmost last.
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


@dataclass(frozen=True)
class _Page:
    """What a style draws."""

    figures: Sequence[Figure]
    place: str
    layout: int


def _draw_flat(page: _Page, side: int, *, pen_width: float = 0.009) -> Image.Image:
    ground = place_pieces(page.place, page.layout, side)
    canvas = Image.new("RGB", (side, side), ground[0].paint)
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(pen_width * side))
    for piece in ground[1:]:
        fill(pen, piece, piece.paint)
    for figure in page.figures:
        pieces = figure_pieces(figure, side)
        halo(pen, pieces, INK, width)
        for piece in pieces:
            fill(pen, piece, piece.paint)
            if not piece.detail:
                outline(pen, piece, INK, max(1, round(width * 0.7)))
    return canvas


def _draw_sketch(page: _Page, side: int) -> Image.Image:
    paper, graphite = (247, 243, 232), (74, 72, 82)
    shows, strokes = _hatching(side)
    ground = place_pieces(page.place, page.layout, side)
    coloured = Image.new("RGB", (side, side), mix(ground[0].paint, paper, 0.3))
    pen = ImageDraw.Draw(coloured)
    for piece in ground[1:]:
        fill(pen, piece, mix(piece.paint, paper, 0.3))
    canvas = Image.new("RGB", (side, side), paper)
    canvas.paste(coloured, mask=shows)
    pen = ImageDraw.Draw(canvas)
    hand = Random(page.layout)
    width = max(1, round(0.006 * side))
    for piece in ground[1:]:
        outline(pen, piece, mix(graphite, paper, 0.55), max(1, width // 2))
    for figure in page.figures:
        pieces = figure_pieces(figure, side)
        halo(pen, pieces, graphite, width)
        for piece in pieces:
            fill(pen, piece, mix(piece.paint, paper, 0.16))
            if not piece.detail:
                for _ in range(2):  # a pencil traces each line twice, never quite the same way
                    dx, dy = hand.uniform(-1, 1) * width, hand.uniform(-1, 1) * width
                    if piece.width is None:
                        moved = [(x + dx, y + dy) for x, y in piece.points]
                        line(pen, piece, moved + moved[:2], graphite, max(1, width // 2))
    canvas.paste(canvas.point([v * 212 // 255 for v in range(256)] * 3), mask=strokes)
    return canvas


@lru_cache(maxsize=4)
def _hatching(side: int) -> tuple[Image.Image, Image.Image]:
    """Return two masks of slanted pencil strokes: how much of the place's colour shows, and where the strokes are."""
    mask = Image.new("L", (side, side), 225)
    pen = ImageDraw.Draw(mask)
    step = side / 16
    for i in range(-16, 32):
        x = i * step
        pen.line([(x, side), (x + side, 0)], fill=95, width=round(step * 0.4))
    return mask, mask.point([255] * 225 + [0] * 31, "1")


def _draw_pixels(page: _Page, size: int) -> Image.Image:
    """Draw small, reduce the colours to a short palette, and enlarge without smoothing."""
    grid = size // 2
    canvas = _draw_flat(page, grid * SUPERSAMPLING, pen_width=0.016).resize((grid, grid), Image.Resampling.BOX)
    canvas = Image.eval(canvas, lambda v: min(255, (v + 10) // 20 * 20))
    return canvas.resize((size, size), Image.Resampling.NEAREST)


def _draw_neon(page: _Page, side: int) -> Image.Image:
    dark, black = (16, 12, 34), (0, 0, 0)
    ground = place_pieces(page.place, page.layout, side)
    canvas = Image.new("RGB", (side, side), mix(ground[0].paint, dark, 0.6))
    tubes = Image.new("RGB", (side, side))
    pen, glow = ImageDraw.Draw(canvas), ImageDraw.Draw(tubes)
    width = max(1, round(0.012 * side))
    for i, piece in enumerate(ground):
        if i > 0:
            fill(pen, piece, mix(piece.paint, dark, 0.6))
        outline(glow, piece, mix(piece.paint, black, 0.5), max(1, width // 2))
    for figure in page.figures:
        pieces = figure_pieces(figure, side)
        halo(glow, pieces, figure.colour, width)
        for piece in pieces:  # what is in front hides the tubes behind it
            tube = piece.width is not None
            fill(pen, piece, mix(piece.paint, dark, 0.55))
            fill(glow, piece, mix(piece.paint, black, 0.3) if tube else black)
            if not piece.detail:
                outline(glow, piece, figure.colour, width)
    shine = tubes.resize((side // 4, side // 4), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(side * 0.02 / 4))
    shine = shine.resize((side, side), Image.Resampling.BILINEAR)
    return _add(_add(canvas, shine), tubes)


def _add(a: Image.Image, b: Image.Image) -> Image.Image:
    """Return what `ImageChops.add(a, b)` does, in half the time: `b` is limited to what `a` can still take."""
    return ImageChops.add_modulo(a, ImageChops.darker(b, ImageChops.invert(a)))
