"""`attend`: scaled dot-product attention on small random tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, compare_tensors, expect, expect_tuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

__all__ = ["attend"]

LARGEST_SCORE = 14.0
"""exp(14) is too large for float16, whose largest number is 65,504."""

attend = Exercise("attend")


@attend.core(25)
def of_one_sequence(attend, generator) -> None:
    """the softmax of q·k / √d as weights, and the mean of the values with these weights"""
    for n, m, d, dv in ((3, 5, 4, 2), (4, 2, 9, 6)):
        q, k, v = _random(generator, (n, d), (m, d), (m, dv))
        scores = q @ k.mT
        mistakes = (
            Mistake("The scores are not divided by √d, d = q.shape[-1].", lambda s=scores: s.softmax(-1)),
            Mistake(
                "The scores are divided by d. Divide them by its square root.",
                lambda s=scores, d=d: (s / d).softmax(-1),
            ),
            Mistake(
                "The scores are multiplied by √d. Divide them by it.",
                lambda s=scores, d=d: (s * math.sqrt(d)).softmax(-1),
            ),
            Mistake(
                "The scores are divided by √m. It should be √d, and d is the width of the queries and keys, q.shape[-1].",
                lambda s=scores, m=m: (s / math.sqrt(m)).softmax(-1),
            ),
            Mistake(
                "The scores are divided by √dv. It should be √d, and d is the width of the queries and keys, q.shape[-1].",
                lambda s=scores, dv=dv: (s / math.sqrt(dv)).softmax(-1),
            ),
            Mistake(
                "The softmax runs over the queries, so each column of weights sums to 1. It should run over the keys, the "
                "last axis: softmax(-1).",
                lambda s=scores, d=d: (s / math.sqrt(d)).softmax(-2),
            ),
            Mistake(
                "These are the scores before the softmax. Return the weights after it.",
                lambda s=scores, d=d: s / math.sqrt(d),
            ),
            Mistake(
                "Divide the scores by √d before the softmax, not the weights after it.",
                lambda s=scores, d=d: s.softmax(-1) / math.sqrt(d),
            ),
            Mistake(
                "This is a sigmoid of each score. A softmax over the keys makes the weights of a query sum to 1.",
                lambda s=scores, d=d: (s / math.sqrt(d)).sigmoid(),
            ),
        )
        _compare(attend, q, k, v, mistakes=mistakes)


@attend.core(20)
def of_batches_and_heads(attend, generator) -> None:
    """every sequence of a batch, and every head, by itself"""
    for leading in ((3,), (2, 3)):
        q, k, v = _random(generator, (*leading, 4, 8), (*leading, 5, 8), (*leading, 5, 6))
        _compare(attend, q, k, v, what=f" for tensors with leading dimensions {leading}")


@attend.core(20)
def masked(attend, generator) -> None:
    """no weight where the mask is False"""
    for leading in ((), (2, 3)):
        n, m, d = 4, 6, 8
        q, k, v = _random(generator, (*leading, n, d), (*leading, m, d), (*leading, m, 3))
        mask = _random_mask(generator, (*leading, n, m))
        scores = q @ k.mT / math.sqrt(d)
        kept = scores.softmax(-1) * mask
        mistakes = (
            Mistake("The mask has no effect.", lambda s=scores: s.softmax(-1)),
            Mistake(
                "The mask is used the wrong way round: True means that attending is allowed.",
                lambda s=scores, mask=mask: s.masked_fill(mask, -math.inf).softmax(-1),
            ),
            Mistake(
                "The rows no longer sum to 1: set the forbidden scores to −∞ before the softmax instead of their weights to "
                "0 after it.",
                lambda kept=kept: kept,
            ),
            Mistake(
                "Where the mask is False the score is 0, but exp(0) is 1, so these keys still get some weight. Their score "
                "should be −∞.",
                lambda s=scores, mask=mask: (s * mask).softmax(-1),
            ),
            Mistake(
                "The mask is added to the scores as 1 and 0. Where it is False, the score should be −∞.",
                lambda s=scores, mask=mask: (s + mask).softmax(-1),
            ),
        )
        _compare(attend, q, k, v, mask, what=" under a mask", mistakes=mistakes)


@attend.edge(15)
def nothing_allowed(attend, generator) -> None:
    """zeros, not NaN, for a query that may attend to nothing"""
    for leading in ((), (3,)):
        q, k, v = _random(generator, (*leading, 4, 8), (*leading, 5, 8), (*leading, 5, 3))
        mask = _random_mask(generator, (*leading, 4, 5))
        mask[..., 1, :] = False
        _, weights = _pair(call(attend, q, k, v, mask))
        row = weights[..., 1, :]
        expect(
            not bool(row.isnan().any()),
            "If a query may attend to nothing, its weights are NaN: the softmax of a row of −∞ is 0 / 0. They should be 0.",
        )
        expect(
            bool((row < 1e-3).all()),
            "If a query may attend to nothing, its weights should be 0, but the largest is "
            f"{row.max().item():.2f}. A softmax over equal scores shares out the whole, however low they are: set the "
            "weights to 0 afterwards where the mask is False.",
        )
        _compare(attend, q, k, v, mask, what=" where one query may attend to nothing")


@attend.edge(10)
def broadcast(attend, generator) -> None:
    """leading dimensions that broadcast, as in q @ k.mT"""
    q, k, v = _random(generator, (2, 1, 3, 4), (5, 6, 4), (5, 6, 7))
    _compare(attend, q, k, v, what=" for q of shape (2, 1, 3, 4) and k of shape (5, 6, 4)")
    q, k, v = _random(generator, (2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 5))
    mask = _random_mask(generator, (2, 1, 1, 6))
    _compare(attend, q, k, v, mask, what=" for q of shape (2, 3, 4, 8) and a mask of shape (2, 1, 1, 6)")


@attend.edge(10)
def other_precisions(attend, generator) -> None:
    """float16, in which exp(12) is already too large, and float64"""
    import torch

    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float16, 2e-2)):
        q, k, v = _random(generator, (5, 16), (6, 16), (6, 4))
        q = q * LARGEST_SCORE * math.sqrt(16) / (q @ k.mT).max()
        q, k, v, mask = q.to(dtype), k.to(dtype), v.to(dtype), _random_mask(generator, (5, 6))
        what = f" in {str(dtype).removeprefix('torch.')}"
        output, weights = _pair(call(attend, q, k, v, mask))
        finite = bool(output.isfinite().all()) and bool(weights.isfinite().all())
        expect(
            finite,
            f"The result{what} is not finite: exp(score) does not fit into it. Use torch's softmax, which subtracts the "
            "largest score first.",
        )
        _compare(attend, q, k, v, mask, what=what, tolerance=tolerance)


def _compare(
    attend, q, k, v, mask=None, *, what: str = "", mistakes: Iterable[Mistake] = (), tolerance: float = 1e-4
) -> None:
    output, weights = _pair(call(attend, q, k, v) if mask is None else call(attend, q, k, v, mask=mask))
    right_output, right_weights = _attention(q, k, v, mask)
    expect(
        (output.shape, weights.shape) != (right_weights.shape, right_output.shape),
        "The two results are swapped: return first the output, then the weights.",
    )
    compare_tensors(weights, right_weights, f"The tensor of weights{what}", mistakes, tolerance=tolerance)
    compare_tensors(output, right_output, f"The output{what}", tolerance=tolerance)


def _pair(result) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    expect_tuple(result, ("output", "weights"), "attend")
    if not all(map(torch.is_tensor, result)):
        raise CheckFailed("attend should return two tensors, the output and the weights.")
    return result


def _attention(q, k, v, mask=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (output, weights), computed in double precision."""
    scores = q.double() @ k.double().mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(-1).nan_to_num(0)
    return (weights @ v.double()).to(v.dtype), weights.to(q.dtype)


def _random(generator, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    import torch

    return [torch.randn(shape, generator=generator) for shape in shapes]


def _random_mask(generator, shape: tuple[int, ...]) -> torch.Tensor:
    """A random mask in which every row has at least one True and one False."""
    import torch

    order = torch.rand(shape, generator=generator).argsort(-1)
    return order < torch.randint(1, shape[-1], (*shape[:-1], 1), generator=generator)
