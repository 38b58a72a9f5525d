"""`patchify_tokens` and `unpatchify`: compared with torch's own `unfold` and `fold`, and with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect_raises

if TYPE_CHECKING:
    import torch

__all__ = ["patchify_tokens", "unpatchify"]

patchify_tokens = Exercise("patchify_tokens")
unpatchify = Exercise("unpatchify")


@patchify_tokens.core(45)
def of_pictures(patchify_tokens, generator) -> None:
    """patches row by row, each flattened channel first, for every picture of a batch"""
    x = _pictures(generator, 2, 3, 8, 12)
    blocks = x.reshape(2, 3, 2, 4, 3, 4)
    mistakes = (
        Mistake(
            "The patches come column by column; they should come row by row, as one reads.",
            lambda: blocks.permute(0, 4, 2, 1, 3, 5).reshape(2, 6, -1),
        ),
        Mistake(
            "Inside a patch, the three colours of each pixel are side by side. They should come channel first, as in "
            "notebook 02.",
            lambda: blocks.permute(0, 2, 4, 3, 5, 1).reshape(2, 6, -1),
        ),
        Mistake(
            "Inside a patch, rows and columns are swapped, so that each patch lies on its side.",
            lambda: blocks.permute(0, 2, 4, 1, 5, 3).reshape(2, 6, -1),
        ),
        Mistake(
            "A plain reshape keeps the order of the numbers in memory, so that a 'patch' is a strip of pixel rows. Split "
            "height and width into two axes each, reorder the axes with permute, and only then reshape.",
            lambda: x.reshape(2, 6, -1),
        ),
        Mistake("The patches and their contents are swapped: the last axis holds a patch.", lambda: _cut(x, 4).mT),
    )
    compare_tensors(call(patchify_tokens, x, 4), _cut(x, 4), "The result of patchify_tokens", mistakes)


@patchify_tokens.core(25)
def of_other_sizes(patchify_tokens, generator) -> None:
    """other patches, other numbers of channels, double precision"""
    for batch, channels, height, width, patch in ((1, 1, 6, 6, 2), (3, 4, 5, 10, 5), (2, 3, 3, 4, 1), (4, 2, 7, 7, 7)):
        x = _pictures(generator, batch, channels, height, width).double()
        what = f"The result for shape {tuple(x.shape)} and patches of {patch}"
        compare_tensors(patchify_tokens(x, patch), _cut(x, patch), what, tolerance=1e-6)


@patchify_tokens.edge(15)
def height_does_not_fit(patchify_tokens, rng) -> None:
    """a ValueError if the height is not a multiple of the patch"""
    _expect_no_whole_patches(patchify_tokens, (2, 3, 4 * rng.randrange(1, 5) + rng.randrange(1, 4), 12))


@patchify_tokens.edge(15)
def width_does_not_fit(patchify_tokens, rng) -> None:
    """a ValueError if the width is not a multiple of the patch"""
    _expect_no_whole_patches(patchify_tokens, (2, 3, 12, 4 * rng.randrange(1, 5) + rng.randrange(1, 4)))


def _expect_no_whole_patches(patchify_tokens, shape: tuple[int, ...]) -> None:
    import torch

    expect_raises(
        lambda: patchify_tokens(torch.zeros(shape), 4),
        ValueError,
        f"pictures of shape {shape} and patches of 4",
        hint="They can't be cut into whole patches.",
    )


@unpatchify.core(40)
def of_pictures_again(unpatchify, generator) -> None:
    """the pictures again, out of their patches"""
    x = _pictures(generator, 2, 3, 12, 12)
    tokens = _cut(x, 4)
    grid = tokens.reshape(2, 3, 3, 3, 4, 4)
    mistakes = (
        Mistake(
            "The patches go into columns first; they should go row by row, as one reads.",
            lambda: grid.permute(0, 3, 2, 4, 1, 5).reshape(2, 3, 12, 12),
        ),
        Mistake(
            "Inside a patch, rows and columns are swapped.",
            lambda: grid.permute(0, 3, 1, 5, 2, 4).reshape(2, 3, 12, 12),
        ),
        Mistake(
            "The channels are taken for the last axis of a patch, but they are its first.",
            lambda: tokens.reshape(2, 3, 3, 4, 4, 3).permute(0, 5, 1, 3, 2, 4).reshape(2, 3, 12, 12),
        ),
        Mistake(
            "A plain reshape fills the picture in the order of the numbers in memory. Split the axes, reorder them with "
            "permute, and only then reshape.",
            lambda: tokens.reshape(2, 3, 12, 12),
        ),
    )
    compare_tensors(call(unpatchify, tokens, 4, 3), x, "The result of unpatchify", mistakes)


@unpatchify.core(25)
def of_other_sizes_again(unpatchify, generator) -> None:
    """other patches, other numbers of channels, double precision"""
    for batch, channels, side, patch in ((1, 1, 6, 2), (3, 4, 10, 5), (2, 3, 4, 1), (4, 2, 7, 7)):
        x = _pictures(generator, batch, channels, side, side).double()
        what = f"The result for {channels} channels, patches of {patch} and {(side // patch) ** 2} tokens"
        compare_tensors(unpatchify(_cut(x, patch), patch, channels), x, what, tolerance=1e-6)


@unpatchify.edge(20)
def not_a_square(unpatchify, rng) -> None:
    """a ValueError if the tokens don't make a square"""
    import torch

    side = rng.randrange(2, 6)
    for n in (side**2 + 1, side * (side + 1)):
        expect_raises(
            lambda n=n: unpatchify(torch.zeros(2, n, 12), 2, 3),
            ValueError,
            f"{n} tokens, which don't make a square",
            hint="How many rows would the picture have?",
        )


@unpatchify.edge(15)
def other_contents(unpatchify, rng) -> None:
    """a ValueError if a token is not a patch with these channels"""
    import torch

    for width in (12 + rng.randrange(1, 8), 4):
        expect_raises(
            lambda width=width: unpatchify(torch.zeros(2, 9, width), 2, 3),
            ValueError,
            f"tokens of {width} numbers, patches of 2 and 3 channels",
            hint="A patch has channels · patch · patch numbers.",
        )


def _pictures(generator: torch.Generator, *shape: int) -> torch.Tensor:
    import torch

    return torch.randn(shape, generator=generator)


def _cut(x: torch.Tensor, patch: int) -> torch.Tensor:
    from torch.nn import functional as F

    return F.unfold(x, patch, stride=patch).mT
