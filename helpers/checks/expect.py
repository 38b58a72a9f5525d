"""What must hold of a student's answer, each with the sentence to read where it does not.

Known mistakes are data (`Mistake`): what the mistake would have given, and what to say of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.words import cut, described, on_one_line, with_article

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "A_PICTURE",
    "TOO_SLOW",
    "CheckFailed",
    "Mistake",
    "Pictures",
    "compare_gradients",
    "compare_tensors",
    "error_of",
    "expect",
    "expect_floats",
    "expect_no_error",
    "expect_no_mistake",
    "expect_number",
    "expect_picture",
    "expect_pictures",
    "expect_propagates",
    "expect_raises",
    "expect_tuple",
    "expect_type",
]

A_PICTURE = ("picture", "image")
TOO_SLOW = ("tim", "second", "too long", "slow")
"""Words of which an error has one that says what it should of a picture, and of a server that is too slow."""


class Pictures(NamedTuple):
    """A student's picture beside the expected one; `alt` says what they show."""

    yours: Image.Image | None = None
    expected: Image.Image | None = None
    alt: str = ""

    def show(self) -> None:
        """Show the pair, where there is one."""
        if self.yours is not None and self.expected is not None:
            from helpers import show

            show.compare(self.yours, self.expected, alt=self.alt)


class CheckFailed(AssertionError):
    """What a student's answer gets wrong, in a sentence; pictures where they say it better."""

    def __init__(
        self,
        message: str,
        *,
        yours: Image.Image | None = None,
        expected: Image.Image | None = None,
        alt: str = "",
    ) -> None:
        super().__init__(message)
        self.pictures = Pictures(yours, expected, alt)
        self._is_shown = False

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback. It asks twice, so the pictures are shown the first time only."""
        if not self._is_shown:
            self._is_shown = True
            self.pictures.show()
        return [f"Not yet: {self}"]


class Mistake(NamedTuple):
    """A mistake that students make: the sentence that helps, and a function of no arguments that makes it."""

    message: str
    result: Callable[[], Any]


def expect(holds: bool, message: str, **pictures) -> None:
    """Raise `CheckFailed` with the message (and pictures) unless the condition holds."""
    if not holds:
        raise CheckFailed(message, **pictures)


def expect_no_mistake(mistakes: Iterable[Mistake], fits: Callable[[Any], bool], **pictures) -> None:
    """Raise `CheckFailed` with the message of the first mistake whose result fits what the student has got."""
    for mistake in mistakes:
        expect(not fits(mistake.result()), mistake.message, **pictures)


# -- values


def expect_type(value, kind: type, what: str, hint: str = "") -> None:
    """Raise `CheckFailed` unless the value is of exactly this type; `what` begins the sentence, `hint` ends it."""
    expect(
        type(value) is kind,
        f"{what} should be {with_article(kind.__name__)}, but it is {described(value)}.{f' {hint}' if hint else ''}",
    )


def expect_tuple(value, parts: Sequence[str], name: str) -> None:
    """Raise `CheckFailed` unless the value, which the function of this name has returned, is a tuple of so named parts."""
    expect(
        isinstance(value, tuple) and len(value) == len(parts),
        f"{name} should return a tuple ({', '.join(parts)}), but what it returned is {described(value)}.",
    )


def expect_number(
    value, right: float, what: str, mistakes: Iterable[Mistake] = (), *, tolerance: float = 1e-6, hint: str = ""
) -> None:
    """Raise `CheckFailed` unless the value is a float near `right`; names the mistake where it is a known one."""
    expect_type(value, float, what, "Turn a tensor into a number with .item() or float(…).")
    if abs(value - right) <= tolerance:
        return
    expect_no_mistake(mistakes, lambda other: math.isclose(value, float(other), abs_tol=tolerance))
    raise CheckFailed(f"{what} should be {right:.4g}, but it is {value:.4g}.{f' {hint}' if hint else ''}")


def expect_floats(values: Iterable, what: str) -> None:
    """Raise `CheckFailed` unless all values are plain floats."""
    wrong = sorted({type(value).__name__ for value in values} - {"float"})
    expect(not wrong, f"{what} should be plain floats, but there is {', '.join(wrong)}: use .item() or float(…).")


def expect_picture(value, what: str, *, size: tuple[int, int] | None = None, hint: str = "") -> None:
    """Raise `CheckFailed` unless the value is a PIL picture of mode RGB (and of this size)."""
    from PIL import Image

    expect(isinstance(value, Image.Image), f"{what} should be a PIL picture, but it is {described(value)}.")
    expect(value.mode == "RGB", f"{what} should have mode RGB, but it has {value.mode}.{f' {hint}' if hint else ''}")
    expect(
        size is None or value.size == size,
        f"{what} should be {'×'.join(map(str, size or ()))} pixels large, but it is {value.width}×{value.height}.",
    )


def expect_pictures(value, n: int, what: str, *, size: tuple[int, int] | None = None) -> None:
    """Raise `CheckFailed` unless the value is a list of n RGB pictures (of this size)."""
    expect_type(value, list, what)
    expect(len(value) == n, f"{what} should be a list of {n} picture{'s' * (n != 1)}, but it has {len(value)}.")
    for picture in value:
        expect_picture(picture, "What is in the list", size=size)


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
    expect_no_mistake(mistakes, lambda other: _close(result, other, tolerance), **pictures)
    off = (result.detach().float() - right.float()).abs().max().item()
    raise CheckFailed(f"{what} has the right shape, but its values are off by up to {off:.3g}.", **pictures)


def _close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    import torch

    a, b = a.detach().float(), b.detach().float()
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=tolerance * b.abs().max().item() + 1e-7)


def compare_gradients(
    loss, right: torch.Tensor, inputs: Sequence[torch.Tensor], what: str, *, tolerance: float
) -> None:
    """Raise `CheckFailed` unless the loss has a gradient, the one that `right` has, for each of these inputs."""
    import torch

    expect(
        torch.is_tensor(loss) and loss.requires_grad,
        "No gradient can flow from this loss, so nothing could learn: remove torch.no_grad(), .detach() and .item().",
    )
    for yours, wanted in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(right, inputs), strict=True):
        compare_tensors(yours, wanted, what, tolerance=tolerance)


# -- errors


def expect_raises(
    call: Callable[[], object],
    kind: type[Exception],
    when: str,
    *,
    mentions: Sequence[str] = (),
    apart_from: Sequence[str] = (),
    instead: str = "",
) -> str:
    """Raise `CheckFailed` unless the call raises an error of this kind whose words say what is wrong.

    Args:
        call: a function of no arguments that makes the call.
        kind: the kind of error that is wanted.
        when: the situation, as a sentence goes on after "For" or "With": "a grid of 3×5 tokens".
        mentions: words, in any case, of which the error's text must have one; none where any text will do.
        apart_from: texts, such as an address, inside which no word counts.
        instead: a hint that ends the sentence where nothing is raised.

    Returns:
        The error's text.
    """
    result, error = _ending(call)
    wanted = f"For {when} there should be {with_article(kind.__name__)}"
    if error is None:
        raise CheckFailed(f"{wanted}, but what came back is {described(result)}.{f' {instead}' if instead else ''}")
    if not isinstance(error, kind):
        raise CheckFailed(f"{wanted} with a sentence of your own, but there is {_named(error)}.") from error
    said, counted = str(error), str(error).lower()
    for text in apart_from:
        counted = counted.replace(text.lower(), "")
    expect(
        not mentions or any(word.lower() in counted for word in mentions),
        f"For {when} the {kind.__name__} should say what is wrong, but it says {cut(said, 200)!r}. Whoever reads it should "
        f"find {_one_of(mentions)} in it.",
    )
    return said


def expect_propagates(call: Callable[[], object], error: Exception, raiser: str, hint: str = "") -> None:
    """Raise `CheckFailed` unless the call ends in just this error.

    Args:
        call: a function of no arguments that makes the call.
        error: what is raised by something that the student's function uses.
        raiser: that something, to begin a sentence with: "The chat model".
        hint: what ends the sentence.
    """
    result, raised = _ending(call)
    came = f"your function returned {described(result)}" if raised is None else f"what came out is {_named(raised)}"
    expect(
        raised is error,
        f"{raiser} raised {_named(error)}, and that error should come out, but {came}.{f' {hint}' if hint else ''}",
    )


@contextmanager
def expect_no_error(
    kind: type[Exception] | tuple[type[Exception], ...], sentence: Callable[[Exception], str]
) -> Iterator[None]:
    """Raise `CheckFailed` with a sentence about it where an error of this kind comes meanwhile; others go on their way."""
    try:
        yield
    except (CheckFailed, NotImplementedError):
        raise
    except kind as error:
        raise CheckFailed(sentence(error)) from error


def error_of(call: Callable[[], object]) -> Exception | None:
    """The error that a call of no arguments ends in; None where it ends well."""
    return _ending(call)[1]


def _ending(call: Callable[[], object]) -> tuple[object, Exception | None]:
    """What the call returns, and the error that it ends in; what a check says itself goes on its way."""
    try:
        return call(), None
    except (CheckFailed, NotImplementedError):  # the latter says that an exercise is not written yet
        raise
    except Exception as error:
        return None, error


def _named(error: Exception) -> str:
    """ "a KeyError ('sample')"."""
    return f"{with_article(type(error).__name__)} ({cut(on_one_line(str(error)), 100)})"


def _one_of(words: Sequence[str]) -> str:
    """ "'a'", "'a' or 'b'", "'a', 'b' or 'c'"."""
    *first, last = [repr(word) for word in words[:4]] or ["a reason"]
    return f"{', '.join(first)} or {last}" if first else last
