"""Visible checks: `checks.nb01.add_noise(add_noise)` tries a student's function and teaches where it goes wrong.

A check that fails raises `CheckFailed` with one sentence; where pictures say it better, yours is shown beside
the expected one. Known mistakes are data (`Mistake`): what the mistake would have given, and what to say.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "CheckFailed",
    "Mistake",
    "call",
    "compare_tensors",
    "count_loads",
    "described",
    "expect",
    "name_of",
    "passed",
]


class CheckFailed(AssertionError):
    """An answer that is not right yet; shown in a notebook as its sentence alone, without a stack trace."""

    def __init__(
        self,
        message: str,
        *,
        yours: Image.Image | None = None,
        expected: Image.Image | None = None,
        alt: str = "",
    ) -> None:
        super().__init__(message)
        self.pictures = (yours, expected, alt)

    def _render_traceback_(self) -> list[str]:
        yours, expected, alt = self.pictures
        if yours is not None and expected is not None:
            from helpers import show

            show.compare(yours, expected, alt=alt)
        return [f"Not yet: {self}"]


class Mistake(NamedTuple):
    """A mistake that students make: the sentence that helps, and a function of no arguments that makes it."""

    message: str
    result: Callable[[], torch.Tensor]


def expect(holds: bool, message: str, **pictures) -> None:
    """Raise `CheckFailed` with the message (and pictures) unless the condition holds."""
    if not holds:
        raise CheckFailed(message, **pictures)


def described(value) -> str:
    """What a value is, in words for the middle or the end of a sentence; the full stop is the sentence's."""
    if value is None:
        return "None (does the function end with `return`?)"
    try:
        words = " ".join(repr(value).split())
    except Exception:  # the student's own class may say anything
        words = "that can't be shown"
    return f"the {type(value).__name__} {words if len(words) <= 120 else words[:119] + '…'}"


def name_of(fn: Callable) -> str:
    """A function's name to begin a sentence with; a `functools.partial` has none."""
    return getattr(fn, "__name__", "Your function")


def call(fn: Callable, *inputs):
    """Call a student's function; raise `CheckFailed` where it has changed a tensor that it was given."""
    import torch

    before = [x.clone() if torch.is_tensor(x) else x for x in inputs]
    result = fn(*inputs)
    for x, old in zip(inputs, before, strict=True):
        expect(
            not torch.is_tensor(x) or torch.equal(x, old),
            f"{name_of(fn)} changed one of its inputs. Make a new tensor: write a * x or x - y, not x *= a, x -= y "
            "or a method whose name ends with an underscore.",
        )
    return result


@contextmanager
def count_loads(base: type) -> Iterator[list]:
    """Give a list that grows by one whenever a model of this class, or of one made from it, is loaded from disk.

    base: such as transformers' `PreTrainedModel` or diffusers' `DiffusionPipeline`.
    """
    loads, load = [], base.from_pretrained.__func__

    def counted(cls, *args, **kwargs):
        loads.append(args)
        return load(cls, *args, **kwargs)

    with patch.object(base, "from_pretrained", classmethod(counted)):
        yield loads


def passed(name: str) -> None:
    """Print the friendly line at the end of a check."""
    print(f"{name}: visible check passed (hidden tests decide the points).")


def compare_tensors(
    result,
    right: torch.Tensor,
    what: str,
    mistakes: Iterable[Mistake] = (),
    *,
    tolerance: float = 1e-4,
    **pictures,
) -> None:
    """Raise `CheckFailed` unless `result` is a tensor equal to `right`; names the mistake where it is a known one.

    `what` names the result in the sentence. The tolerance is a share of the largest value of `right`.
    """
    import torch

    expect(type(result) is torch.Tensor, f"{what} should be a torch tensor, but it is {described(result)}.")
    expect(
        result.shape == right.shape,
        f"{what} should have shape {tuple(right.shape)}, but it has {tuple(result.shape)}.",
    )
    expect(result.dtype == right.dtype, f"{what} should have dtype {right.dtype}, but it has {result.dtype}.")
    if _close(result, right, tolerance):
        return
    for mistake in mistakes:
        if _close(result, mistake.result(), tolerance):
            raise CheckFailed(mistake.message, **pictures)
    off = (result.detach().float() - right.float()).abs().max().item()
    raise CheckFailed(f"{what} has the right shape, but its values are off by up to {off:.3g}.", **pictures)


def _close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    import torch

    a, b = a.detach().float(), b.detach().float()
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=tolerance * b.abs().max().item() + 1e-7)


def __getattr__(name: str):
    """`checks.nb01` imports the module of that notebook when it is first asked for."""
    if name.startswith("nb"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
