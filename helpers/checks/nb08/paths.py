"""`interpolate`: compared with the straight line from noise to data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors

if TYPE_CHECKING:
    import torch

__all__ = ["interpolate"]

interpolate = Exercise("interpolate")


@interpolate.core(40)
def one_time(interpolate, rng, generator) -> None:
    """the point on the line at one time for all"""
    for shape in ((5, 2), (3, 3, 4, 6)):
        t = round(rng.uniform(0.1, 0.9), 3)
        _compare(interpolate, *_ends(shape, generator), t, f"interpolate(x0, x1, {t})")


@interpolate.core(30)
def a_time_for_each(interpolate, generator) -> None:
    """a time for each sample, a tensor (batch,)"""
    import torch

    for shape in ((5, 2), (3, 3, 4, 6), (4, 3, 4, 4)):  # in the last one, a batch that also fits the width
        t = torch.rand(shape[0], generator=generator)
        _compare(
            interpolate, *_ends(shape, generator), t, f"interpolate for shape {shape} and t of shape {(shape[0],)}"
        )


@interpolate.edge(10)
def any_shape(interpolate, generator) -> None:
    """samples of any shape, also single numbers"""
    import torch

    for shape in ((6,), (4, 3, 5), (2, 3, 2, 2, 4)):
        t = torch.rand(shape[0], generator=generator)
        _compare(interpolate, *_ends(shape, generator), t, f"interpolate for shape {shape}")


@interpolate.edge(10)
def the_ends(interpolate, generator) -> None:
    """exactly x0 at t = 0 and x1 at t = 1"""
    x0, x1 = _ends((4, 3, 2, 2), generator)
    for t, right in ((0, x0), (1, x1), (0.0, x0), (1.0, x1)):
        compare_tensors(interpolate(x0.clone(), x1.clone(), t), right, f"The result for t = {t}", tolerance=1e-7)


@interpolate.edge(10)
def inputs_unchanged(interpolate, generator) -> None:
    """the inputs are left unchanged, and half precision stays half precision"""
    import torch

    call(interpolate, *_ends((3, 2), generator), torch.rand(3, generator=generator))
    x0, x1 = (x.half() for x in _ends((3, 2, 2), generator))
    t = torch.rand(3, generator=generator)
    right = torch.lerp(x0.float(), x1.float(), t.reshape(3, 1, 1)).half()
    compare_tensors(interpolate(x0, x1, t), right, "The result for float16", tolerance=2e-3)


def _ends(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(noise, data)"""
    import torch

    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator) + 3


def _compare(interpolate, x0: torch.Tensor, x1: torch.Tensor, t, what: str) -> None:
    import torch

    each = torch.as_tensor(t, dtype=x0.dtype)
    each = each.reshape(-1, *[1] * (x0.ndim - 1)) if each.ndim else each
    mistakes = (
        Mistake(
            "The ends are swapped: at t = 0 there is only noise, x0, and at t = 1 only data, x1.",
            lambda: each * x0 + (1 - each) * x1,
        ),
        Mistake(
            "The noise keeps its full strength; it should fade, with the factor 1 − t.",
            lambda: x0 + each * x1,
        ),
        Mistake(
            "These are the square roots of diffusion (notebook 01). Here the way is a straight line, without them.",
            lambda: (1 - each).sqrt() * x0 + each.sqrt() * x1,
        ),
        Mistake(
            "The times meet the last axis in place of the batch. Reshape t to (batch, 1, 1, …), with as many axes as x0.",
            lambda: (1 - torch.as_tensor(t)) * x0 + torch.as_tensor(t) * x1 if _fits(t, x0) else x0,
        ),
    )
    compare_tensors(interpolate(x0.clone(), x1.clone(), t), (1 - each) * x0 + each * x1, what, mistakes, tolerance=1e-5)


def _fits(t, x: torch.Tensor) -> bool:
    """Whether times would broadcast against the last axis."""
    import torch

    return torch.is_tensor(t) and t.ndim == 1 and x.shape[-1] == len(t)
