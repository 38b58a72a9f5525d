"""`patchify`: compared with torch's own `unfold`, on pictures that are wider than high."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect_raises

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["patchify"]

ROWS, COLUMNS, SIZE = 3, 4, 16

patchify = Exercise("patchify")


@patchify.given
def pixels(rng) -> torch.Tensor:
    """A drawing of 48×64 pixels as a tensor with values from -1 to 1."""
    import numpy as np
    import torch

    from helpers.picturebook import draw, random_scene

    picture = draw(random_scene(rng), size=64).crop((0, 8, 64, 56))
    return torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


@patchify.core(45)
def of_a_drawing(patchify, pixels) -> None:
    """patches row by row, each flattened channel first"""
    blocks = pixels.reshape(3, ROWS, SIZE, COLUMNS, SIZE)
    mistakes = (
        Mistake(
            "The patches come column by column; they should come row by row, as one reads: first the top row from left "
            "to right, then the next.",
            lambda: blocks.permute(3, 1, 0, 2, 4).reshape(ROWS * COLUMNS, -1),
        ),
        Mistake(
            "Inside a patch, the three colours of each pixel are side by side. They should come channel first: all red "
            "values, then all green ones, then all blue ones, as in the convolution's weights.",
            lambda: blocks.permute(1, 3, 2, 4, 0).reshape(ROWS * COLUMNS, -1),
        ),
        Mistake(
            "Inside a patch, rows and columns are swapped, so each patch lies on its side. Keep the height axis first.",
            lambda: blocks.permute(1, 3, 0, 4, 2).reshape(ROWS * COLUMNS, -1),
        ),
        Mistake(
            "A plain reshape keeps the order of the numbers in memory, so a 'patch' is a strip of pixel rows. Split height "
            "and width into two axes each, reorder the axes with permute, and only then reshape.",
            lambda: pixels.reshape(ROWS * COLUMNS, -1),
        ),
    )
    expected, result = _unfolded(pixels, SIZE), call(patchify, pixels, SIZE)
    pictures = {"yours": _joined(result), "expected": _joined(expected), "alt": "the patches of a drawing"}
    compare_tensors(result, expected, "The result of patchify", mistakes, **pictures)


@patchify.core(25)
def of_other_sizes(patchify, generator) -> None:
    """patches of other sizes, and double precision"""
    import torch

    for size, rows, columns, dtype in (
        (8, 6, 8, torch.float32),
        (7, 2, 6, torch.float64),
        (1, 3, 4, torch.float32),
        (6, 1, 1, torch.float32),
    ):
        pixels = torch.randn(3, rows * size, columns * size, generator=generator, dtype=dtype)
        what = f"The result of patchify for {rows * size}×{columns * size} pixels and patches of size {size}"
        compare_tensors(call(patchify, pixels, size), _unfolded(pixels, size), what, tolerance=1e-6)


@patchify.edge(15)
def height_does_not_fit(patchify, rng) -> None:
    """a ValueError if the height is not a multiple of the patch size"""
    _expect_error(patchify, (3, 4 * rng.randrange(1, 5) + rng.randrange(1, 4), 12))


@patchify.edge(15)
def width_does_not_fit(patchify, rng) -> None:
    """a ValueError if the width is not a multiple of the patch size"""
    _expect_error(patchify, (3, 12, 4 * rng.randrange(1, 5) + rng.randrange(1, 4)))


def _expect_error(patchify, shape: tuple[int, int, int]) -> None:
    import torch

    expect_raises(
        lambda: patchify(torch.zeros(shape), 4),
        ValueError,
        f"a picture of shape {shape} and patches of size 4",
        hint="It can't be cut into whole patches.",
    )


def _unfolded(pixels: torch.Tensor, size: int) -> torch.Tensor:
    from torch.nn import functional as F

    return F.unfold(pixels[None], size, stride=size)[0].T


def _joined(patches) -> Image.Image | None:
    """The patches as one picture, with gaps between them; None if they are not patches."""
    import torch

    from helpers import show

    if not torch.is_tensor(patches) or patches.shape != (ROWS * COLUMNS, 3 * SIZE * SIZE):
        return None
    return show.mosaic([show.to_pil(patch.reshape(3, SIZE, SIZE)) for patch in patches], COLUMNS, gap=3)
