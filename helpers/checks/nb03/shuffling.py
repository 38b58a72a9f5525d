"""`pixel_shuffle`: grids whose tokens hold their own row and column, and random ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect, expect_raises

if TYPE_CHECKING:
    import torch

__all__ = ["pixel_shuffle"]

pixel_shuffle = Exercise("pixel_shuffle")


@pixel_shuffle.core(35)
def two_by_two(pixel_shuffle, generator) -> None:
    """2×2 neighbours become one token"""
    for side, hidden in ((4, 5), (6, 3)):
        _compare(pixel_shuffle, _tokens(1, side, hidden, generator), 2)


@pixel_shuffle.core(30)
def several_pictures(pixel_shuffle, generator) -> None:
    """several pictures, and other factors"""
    for batch, side, factor in ((2, 6, 3), (3, 8, 4), (4, 4, 2)):
        _compare(pixel_shuffle, _tokens(batch, side, 4, generator), factor)


@pixel_shuffle.edge(10)
def not_a_square(pixel_shuffle, rng) -> None:
    """a ValueError if the tokens are not a square grid"""
    for n in (rng.choice([8, 20]), 4 * rng.choice([6, 10, 11])):  # the whole part of the root is even
        _expect_error(pixel_shuffle, n, 2, f"{n} tokens, which are not a square grid,")


@pixel_shuffle.edge(10)
def not_divisible(pixel_shuffle, rng) -> None:
    """a ValueError if the grid can't be cut into whole blocks"""
    for side, factor in ((9, 2), (4, 3), (rng.choice([5, 7]), 4)):
        _expect_error(pixel_shuffle, side**2, factor, f"a grid of {side}×{side} tokens and factor {factor}")


@pixel_shuffle.edge(8)
def smallest_and_largest_factor(pixel_shuffle, rng, generator) -> None:
    """factor 1 changes nothing, and a factor as large as the grid's side makes one token out of all"""
    side = rng.choice([3, 4, 5])
    for factor in (1, side):
        _compare(pixel_shuffle, _tokens(2, side, 3, generator), factor)


@pixel_shuffle.edge(7)
def tokens_unchanged(pixel_shuffle, generator) -> None:
    """the tokens are left unchanged"""
    call(pixel_shuffle, _tokens(2, 4, 3, generator), 2)


def _tokens(batch: int, side: int, hidden: int, generator: torch.Generator) -> torch.Tensor:
    import torch

    return torch.randn(batch, side**2, hidden, generator=generator)


def _parts(tokens: torch.Tensor, factor: int) -> torch.Tensor:
    """The tokens as (batch, row of blocks, row in the block, column of blocks, column in the block, hidden)."""
    batch, n, hidden = tokens.shape
    blocks = math.isqrt(n) // factor
    return tokens.reshape(batch, blocks, factor, blocks, factor, hidden)


def _shuffled(tokens: torch.Tensor, factor: int, order: tuple[int, ...] = (0, 1, 3, 2, 4, 5)) -> torch.Tensor:
    """The right result, or the one with the dimensions of `_parts` in another order."""
    batch, n, hidden = tokens.shape
    return _parts(tokens, factor).permute(order).reshape(batch, n // factor**2, hidden * factor**2)


def _compare(pixel_shuffle, tokens: torch.Tensor, factor: int) -> None:
    """Raise `CheckFailed` unless the result is right; a known mistake is named."""
    (batch, n, hidden), side = tokens.shape, math.isqrt(tokens.shape[1])
    result, right = pixel_shuffle(tokens.clone(), factor), _shuffled(tokens, factor)
    shape = tuple(getattr(result, "shape", ()))
    expect(
        factor == 1 or shape != (batch, n // factor**2, hidden),
        f"The shape is {shape}: each token is still {hidden} numbers long, so the neighbours were averaged or all but one "
        f"dropped. Their numbers should stand side by side, {hidden * factor**2} of them.",
    )
    expect(
        factor == 1 or shape != (batch, n // factor, hidden * factor),
        f"The shape is {shape}: only {factor} neighbours were joined. A block has {factor}×{factor} of them.",
    )
    mistakes = (
        Mistake(
            f"You join {factor**2} tokens that follow each other in the row. Neighbours in the picture also lie below each "
            f"other: make a grid of {side}×{side} first, and cut it into blocks of {factor}×{factor}.",
            lambda: tokens.reshape(right.shape),
        ),
        Mistake(
            "Inside a block the parts come column by column. They should come row by row.",
            lambda: _shuffled(tokens, factor, (0, 1, 3, 4, 2, 5)),
        ),
        Mistake(
            "The blocks come column by column. They should come row by row, as the tokens do.",
            lambda: _shuffled(tokens, factor, (0, 3, 1, 2, 4, 5)),
        ),
        Mistake(
            "The grid was transposed: blocks and parts come column by column. Rows come first in both.",
            lambda: _shuffled(tokens, factor, (0, 3, 1, 4, 2, 5)),
        ),
        Mistake(
            "Inside a new token the numbers of its parts are interleaved. Each part's numbers should stay together: first all "
            "of the upper left token, then all of the one to its right.",
            lambda: _shuffled(tokens, factor, (0, 1, 3, 5, 2, 4)),
        ),
        Mistake(
            "You join tokens that lie far from each other, one from each part of the grid. A block is made of neighbours.",
            lambda: _far_apart(tokens, factor),
        ),
    )
    compare_tensors(result, right, f"The tokens of a {side}×{side} grid at factor {factor}", mistakes, tolerance=1e-6)


def _far_apart(tokens: torch.Tensor, factor: int) -> torch.Tensor:
    """Every block is made of tokens far apart, as if the grid's dimensions were split the other way."""
    batch, n, hidden = tokens.shape
    blocks = math.isqrt(n) // factor
    parts = tokens.reshape(batch, factor, blocks, factor, blocks, hidden)
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(batch, n // factor**2, hidden * factor**2)


def _expect_error(pixel_shuffle, n: int, factor: int, situation: str) -> None:
    import torch

    expect_raises(
        lambda: pixel_shuffle(torch.zeros(1, n, 4), factor),
        ValueError,
        situation,
        hint="Its blocks would not be made of neighbours.",
    )
