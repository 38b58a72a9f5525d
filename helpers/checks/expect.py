"""Assertions about a student's answer, each with the message to show if it fails.

Known mistakes are data (`Mistake`): the result that the mistake leads to, and the message that explains it.
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
    "PICTURE_WORDS",
    "TIMEOUT_WORDS",
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

PICTURE_WORDS = ("picture", "image")
TIMEOUT_WORDS = ("tim", "second", "too long", "slow")
"""An error about a picture, or about a server that is too slow, should contain one of these words."""


class Pictures(NamedTuple):
    """A student's picture and the expected one; `alt` describes them."""

    yours: Image.Image | None = None
    expected: Image.Image | None = None
    alt: str = ""

    def show(self) -> None:
        """Show the pair, if there is one."""
        if self.yours is not None and self.expected is not None:
            from helpers import show

            show.compare(self.yours, self.expected, alt=self.alt)


class CheckFailed(AssertionError):
    """A failed check: a message that says what is wrong, and a pair of pictures where they say it better."""

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
        """Return what IPython prints instead of a traceback. It calls this twice; pictures are shown the first time."""
        if not self._is_shown:
            self._is_shown = True
            self.pictures.show()
        return [f"Not yet: {self}"]


class Mistake(NamedTuple):
    """A common mistake: the message that explains it, and a function that returns the result it leads to."""

    message: str
    result: Callable[[], Any]


def expect(condition: bool, message: str, **pictures) -> None:
    """Raise `CheckFailed` with the message (and pictures) unless the condition holds."""
    if not condition:
        raise CheckFailed(message, **pictures)


def expect_no_mistake(mistakes: Iterable[Mistake], matches: Callable[[Any], bool], **pictures) -> None:
    """Raise `CheckFailed` with the message of the first mistake that leads to the student's result."""
    for mistake in mistakes:
        expect(not matches(mistake.result()), mistake.message, **pictures)


# -- values


def expect_type(value, kind: type, what: str, hint: str = "") -> None:
    """Raise `CheckFailed` unless the value is of exactly this type; `what` begins the message, `hint` ends it."""
    expect(
        type(value) is kind,
        f"{what} should be {with_article(kind.__name__)}, but it is {described(value)}.{f' {hint}' if hint else ''}",
    )


def expect_tuple(value, parts: Sequence[str], name: str) -> None:
    """Raise `CheckFailed` unless the value that the function `name` returned is a tuple of these parts."""
    expect(
        isinstance(value, tuple) and len(value) == len(parts),
        f"{name} should return a tuple ({', '.join(parts)}), but it returned {described(value)}.",
    )


def expect_number(
    value, right: float, what: str, mistakes: Iterable[Mistake] = (), *, tolerance: float = 1e-6, hint: str = ""
) -> None:
    """Raise `CheckFailed` unless the value is a float near `right`; a known mistake is named."""
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
        f"{what} should have {'×'.join(map(str, size or ()))} pixels, but it has {value.width}×{value.height}.",
    )


def expect_pictures(value, n: int, what: str, *, size: tuple[int, int] | None = None) -> None:
    """Raise `CheckFailed` unless the value is a list of n RGB pictures (of this size)."""
    expect_type(value, list, what)
    expect(len(value) == n, f"{what} should be a list of {n} picture{'s' * (n != 1)}, but it has {len(value)}.")
    for picture in value:
        expect_picture(picture, "Each picture in the list", size=size)


def compare_tensors(
    result,
    right: torch.Tensor,
    what: str,
    mistakes: Iterable[Mistake] = (),
    *,
    tolerance: float = 1e-4,
    **pictures,
) -> None:
    """Raise `CheckFailed` unless `result` is a tensor equal to `right`; a known mistake is named.

    `what` names the result in the message. The tolerance is relative to the largest value of `right`.
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
    """Raise `CheckFailed` unless the loss has the same gradient as `right` for each of these inputs."""
    import torch

    expect(
        torch.is_tensor(loss) and loss.requires_grad,
        "No gradient can flow through this loss, so nothing would learn: remove torch.no_grad(), .detach() and .item().",
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
    ignoring: Sequence[str] = (),
    hint: str = "",
) -> str:
    """Raise `CheckFailed` unless the call raises an error of this kind whose message says what is wrong.

    Args:
        call: a function without arguments that makes the call.
        kind: the expected kind of error.
        when: the situation, as it follows "For": "a grid of 3×5 tokens".
        mentions: words, in any case, one of which the message must contain; empty if any message will do.
        ignoring: texts, such as a URL, in which these words don't count.
        hint: the end of the failure message if nothing is raised.

    Returns:
        The error's message.
    """
    result, error = _outcome(call)
    expected = f"For {when}, your function should raise {with_article(kind.__name__)}"
    if error is None:
        raise CheckFailed(f"{expected}, but it returned {described(result)}.{f' {hint}' if hint else ''}")
    if not isinstance(error, kind):
        raise CheckFailed(f"{expected} with your own message, but it raised {_named(error)}.") from error
    message, counted = str(error), str(error).lower()
    for text in ignoring:
        counted = counted.replace(text.lower(), "")
    expect(
        not mentions or any(word.lower() in counted for word in mentions),
        f"For {when}, the {kind.__name__} should say what is wrong, but it says {cut(message, 200)!r}. Mention "
        f"{_one_of(mentions)} in it.",
    )
    return message


def expect_propagates(call: Callable[[], object], error: Exception, raiser: str, hint: str = "") -> None:
    """Raise `CheckFailed` unless the call raises exactly this error.

    Args:
        call: a function without arguments that makes the call.
        error: the error raised by something that the student's function uses.
        raiser: that something, to begin the message with: "The chat model".
        hint: the end of the message.
    """
    result, raised = _outcome(call)
    actual = f"returned {described(result)}" if raised is None else f"raised {_named(raised)}"
    expect(
        raised is error,
        f"{raiser} raised {_named(error)}, and your function should let that error through, but it {actual}."
        f"{f' {hint}' if hint else ''}",
    )


@contextmanager
def expect_no_error(
    kind: type[Exception] | tuple[type[Exception], ...], message: Callable[[Exception], str]
) -> Iterator[None]:
    """Turn errors of this kind into a `CheckFailed` with `message(error)`; let all others through."""
    try:
        yield
    except (CheckFailed, NotImplementedError):
        raise
    except kind as error:
        raise CheckFailed(message(error)) from error


def error_of(call: Callable[[], object]) -> Exception | None:
    """Return the error that a call without arguments raises, or None."""
    return _outcome(call)[1]


def _outcome(call: Callable[[], object]) -> tuple[object, Exception | None]:
    """Return the call's result and its error; let a failed check and an unwritten exercise through."""
    try:
        return call(), None
    except (CheckFailed, NotImplementedError):
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
