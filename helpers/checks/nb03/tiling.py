"""`tile`: noise and drawings, wider than tall or taller than wide, whose sides are multiples of the tile's or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, expect, expect_no_mistake, expect_pictures
from helpers.checks.samples import random_drawing
from helpers.likeness import difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

__all__ = ["tile"]

CLOSE = 12
"""The largest mean difference per value, of 255, that another way of resampling makes in an overview."""

tile = Exercise("tile")


@tile.core(40)
def whole_tiles(tile, rng) -> None:
    """tiles row by row, of a picture that they fill exactly"""
    for rows, columns in ((2, 3), (3, 1), (2, 2)):
        size = rng.choice([16, 24, 32])
        picture = _picture(rng, columns * size, rows * size)
        _compare(tile(picture.copy(), size, overview=False), _tiles(picture, size), picture, size)


@tile.core(25)
def overview_first(tile, rng) -> None:
    """an overview of the whole picture before the tiles"""
    for rows, columns in ((2, 2), (1, 3)):
        size = rng.choice([24, 32])
        picture = _picture(rng, columns * size, rows * size)
        result = tile(picture.copy(), size)
        _expect_overview(result, picture, size)
        _compare(result[1:], _tiles(picture, size), picture, size)
    expect(
        len(tile(picture.copy(), size, overview=True)) == 1 + rows * columns,
        "With overview=True there should be the overview and the tiles, as by default.",
    )


@tile.edge(20)
def padded_with_the_edge(tile, rng) -> None:
    """a picture that is not a multiple is padded at the right and below by repeating its edge"""
    for rows, columns in ((2, 2), (1, 3)):
        size = rng.choice([16, 24, 32])
        picture = _picture(rng, columns * size - rng.randrange(3, 9), rows * size - rng.randrange(3, 9))
        _compare(tile(picture.copy(), size, overview=False), _tiles(picture, size), picture, size)


@tile.edge(8)
def overview_without_padding(tile, rng) -> None:
    """the overview shows the picture without padding"""
    size = rng.choice([24, 32])
    picture = _picture(rng, size + 5, 2 * size + 6)
    _expect_overview(tile(picture.copy(), size), picture, size)


@tile.edge(4)
def smaller_than_a_tile(tile, rng) -> None:
    """a picture smaller than a tile becomes one tile, not enlarged"""
    picture = _picture(rng, 21, 26)
    _compare(tile(picture.copy(), 32, overview=False), _tiles(picture, 32), picture, 32)


@tile.edge(3)
def picture_unchanged(tile, rng) -> None:
    """the picture is left unchanged"""
    call(tile, _picture(rng, 40, 30), 16)


def _picture(rng, width: int, height: int) -> Image.Image:
    """A drawing of this size, tinted from edge to edge, so that every part of it differs from every other."""
    from PIL import Image

    down = Image.linear_gradient("L")
    across = down.rotate(90)
    tint = Image.merge("RGB", (across, down, Image.eval(across, lambda value: 255 - value)))
    picture = Image.blend(random_drawing(rng, 96).resize(tint.size), tint, 0.5)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _whole(picture: Image.Image, size: int) -> tuple[int, ...]:
    """The picture's width and height, each raised to a multiple of a tile's side."""
    return tuple(-(-side // size) * size for side in picture.size)


def _tiles(picture: Image.Image, size: int, *, by_columns: bool = False, mode: str = "edge") -> list[Image.Image]:
    """The right tiles, or those column by column, or of a picture that was padded in another way (numpy's modes)."""
    import numpy as np
    from PIL import Image

    width, height = _whole(picture, size)
    rows, columns = height // size, width // size
    missing = ((0, height - picture.height), (0, width - picture.width), (0, 0))
    pixels = np.pad(np.asarray(picture), missing, mode=mode)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    if by_columns:
        places.sort(key=lambda place: place[::-1])
    return [
        Image.fromarray(pixels[row * size : (row + 1) * size, column * size : (column + 1) * size].copy())
        for row, column in places
    ]


def _compare(result, right: Sequence[Image.Image], picture: Image.Image, size: int) -> None:
    """Raise `CheckFailed` unless these are the right tiles; a known mistake is named."""
    width, height = picture.size
    what = f"The tiles of a picture of {width}×{height} pixels at size {size}"
    if isinstance(result, list) and len(result) != len(right):
        _explain_number(len(result), len(right), picture, size)
    expect_pictures(result, len(right), what, size=(size, size))
    if _same(result, right):
        return
    corner = picture.getpixel((width - 1, height - 1))
    pictures = {"yours": _joined(result), "expected": _joined(right), "alt": "the tiles"}
    mistakes = (
        Mistake(
            "The tiles come column by column. They should come row by row.",
            lambda: _tiles(picture, size, by_columns=True),
        ),
        Mistake(
            "The picture is padded with black. Repeat its last column and its last row instead: black bars look like "
            "something in the picture.",
            lambda: _tiles(picture, size, mode="constant"),
        ),
        Mistake(
            f"The picture is padded with one colour, {corner}. Repeat its last column and row, each pixel with its own colour.",
            lambda: _one_colour(picture, size, corner),
        ),
        Mistake(
            "The picture is padded by mirroring it. Repeat its last column and its last row.",
            lambda: _tiles(picture, size, mode="symmetric"),
        ),
        Mistake(
            "The picture was stretched to a multiple. Pad it, so that nothing changes its shape.",
            lambda: _stretched(picture, size),
        ),
    )
    expect_no_mistake(mistakes, lambda tiles: _same(result, tiles), **pictures)
    raise CheckFailed(
        f"{what} are not the right ones: every pixel of the picture should be in its tile, unchanged.", **pictures
    )


def _explain_number(number: int, right: int, picture: Image.Image, size: int) -> None:
    whole = (picture.width // size) * (picture.height // size)
    there = f"A picture of {picture.width}×{picture.height} pixels has {right} tile{'s' * (right != 1)} of size {size}"
    expect(
        number != right + 1,
        f"{there}, but there are {number} pictures. Is one of them an overview? overview=False asks for the tiles alone.",
    )
    expect(
        number != whole or whole == right,
        f"{there}, but you returned {number}: what is left at the right and below was dropped. Pad the picture to a multiple.",
    )
    raise CheckFailed(f"{there}, but you returned {number}.")


def _expect_overview(result, picture: Image.Image, size: int) -> None:
    """Raise `CheckFailed` unless the first of the pictures is an overview, whatever its resampling."""
    from PIL import Image

    from helpers import show

    tiles = _tiles(picture, size)
    expect_pictures(result, len(result) if isinstance(result, list) else 0, "What tile returns", size=(size, size))
    expect(
        bool(result) and not _same(result, tiles),
        f"There are {len(result)} pictures and no overview. By default, overview=True, the whole picture comes first, at the "
        "size of a tile.",
    )
    right = picture.resize((size, size), Image.Resampling.BICUBIC)
    if difference(result[0], right) <= CLOSE:
        return
    expect(
        difference(result[-1], right) > CLOSE,
        "The overview comes last. It should come first: the model reads the whole before the parts.",
    )
    pictures = {"yours": result[0], "expected": right, "alt": "the overview"}
    padded = show.mosaic(tiles, _whole(picture, size)[0] // size)
    expect(
        difference(result[0], padded.resize((size, size))) > CLOSE / 3 or padded.size == picture.size,
        "The overview shows the padded picture. Make it of the picture itself.",
        **pictures,
    )
    raise CheckFailed(f"The first picture should be the whole picture, resized to {size}×{size} pixels.", **pictures)


def _one_colour(picture: Image.Image, size: int, colour: tuple[int, ...]) -> list[Image.Image]:
    from PIL import Image

    canvas = Image.new("RGB", _whole(picture, size), colour)
    canvas.paste(picture)
    return _tiles(canvas, size)


def _stretched(picture: Image.Image, size: int) -> list[Image.Image]:
    from PIL import Image

    return _tiles(picture.resize(_whole(picture, size), Image.Resampling.BICUBIC), size)


def _same(pictures: Sequence[Image.Image], others: Sequence[Image.Image]) -> bool:
    return len(pictures) == len(others) and all(
        difference(one, other) < 0.5 for one, other in zip(pictures, others, strict=True)
    )


def _joined(tiles: Sequence[Image.Image]) -> Image.Image:
    """The tiles side by side, with gaps between them."""
    from helpers import show

    return show.mosaic(list(tiles), len(tiles), gap=3)
