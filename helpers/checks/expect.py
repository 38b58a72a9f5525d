"""What must hold of a student's answer, each with the sentence to read where it does not.

Known mistakes are data (`Mistake`): what the mistake would have given, and what to say of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "CheckFailed",
    "Mistake",
    "Pictures",
    "call",
    "compare_tensors",
    "count_loads",
    "count_optimizer_steps",
    "described",
    "described_call",
    "expect",
    "expect_number",
    "expect_picture",
    "expect_raises",
    "expect_type",
    "name_of",
]


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
    result: Callable[[], torch.Tensor | float]


def expect(holds: bool, message: str, **pictures) -> None:
    """Raise `CheckFailed` with the message (and pictures) unless the condition holds."""
    if not holds:
        raise CheckFailed(message, **pictures)


# -- values


def expect_type(value, kind: type, what: str, hint: str = "") -> None:
    """Raise `CheckFailed` unless the value is of exactly this type; `what` begins the sentence, `hint` ends it."""
    expect(
        type(value) is kind,
        f"{what} should be {_a(kind.__name__)}, but it is {described(value)}.{f' {hint}' if hint else ''}",
    )


def expect_number(
    value, right: float, what: str, mistakes: Iterable[Mistake] = (), *, tolerance: float = 1e-6, hint: str = ""
) -> None:
    """Raise `CheckFailed` unless the value is a float near `right`; names the mistake where it is a known one."""
    expect_type(value, float, what, "Turn a tensor into a number with .item() or float(…).")
    if abs(value - right) <= tolerance:
        return
    for mistake in mistakes:
        if math.isclose(value, float(mistake.result()), abs_tol=tolerance):
            raise CheckFailed(mistake.message)
    raise CheckFailed(f"{what} should be {right:.4g}, but it is {value:.4g}.{f' {hint}' if hint else ''}")


def expect_picture(value, what: str, *, size: tuple[int, int] | None = None, mode: str = "RGB", hint: str = "") -> None:
    """Raise `CheckFailed` unless the value is a PIL picture of this mode (and size)."""
    from PIL import Image

    expect(isinstance(value, Image.Image), f"{what} should be a PIL picture, but it is {described(value)}.")
    expect(value.mode == mode, f"{what} should have mode {mode}, but it has {value.mode}.{f' {hint}' if hint else ''}")
    expect(
        size is None or value.size == size,
        f"{what} should be {'×'.join(map(str, size or ()))} pixels large, but it is {value.width}×{value.height}.",
    )


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


# -- calls


def call(fn: Callable, *inputs, **options):
    """Call a student's function; raise `CheckFailed` where it has changed one of its inputs."""
    import torch

    before = [_copy(x) for x in inputs]
    result = fn(*inputs, **options)
    for x, old in zip(inputs, before, strict=True):
        same = torch.equal(x, old) if torch.is_tensor(x) else not isinstance(x, (list, dict)) or x == old
        how = (
            "Make a new tensor: write a * x or x - y, not x *= a, x -= y or a method whose name ends with an underscore."
            if torch.is_tensor(x)
            else "Make a new one: whoever calls it may need the old one again."
        )
        expect(same, f"{name_of(fn)} changed one of its inputs. {how}")
    return result


def _copy(value):
    import torch

    if torch.is_tensor(value):
        return value.clone()
    return type(value)(value) if type(value) in (list, dict) else value


def expect_raises(
    call: Callable[[], object],
    kind: type[Exception],
    when: str,
    *,
    mentions: Sequence[str] = (),
    instead: str = "",
) -> str:
    """Raise `CheckFailed` unless the call raises an error of this kind whose words say what is wrong.

    Args:
        call: a function of no arguments that makes the call.
        kind: the kind of error that is wanted.
        when: the situation, as a sentence goes on after "For" or "With": "a grid of 3×5 tokens".
        mentions: words, in any case, of which the error's text must have one; none where any text will do.
        instead: a hint that ends the sentence where nothing is raised.

    Returns:
        The error's text.
    """
    try:
        result = call()
    except NotImplementedError:
        raise
    except kind as error:
        said = str(error)
    except Exception as error:
        raise CheckFailed(
            f"For {when} there should be a {kind.__name__} with a sentence of your own, but there is a "
            f"{type(error).__name__} ({cut(str(error), 100)})."
        ) from error
    else:
        raise CheckFailed(
            f"For {when} there should be a {kind.__name__}, but what came back is {described(result)}."
            f"{f' {instead}' if instead else ''}"
        )
    expect(
        not mentions or any(word.lower() in said.lower() for word in mentions),
        f"For {when} the {kind.__name__} should say what is wrong, but it says {cut(said, 200)!r}. Whoever reads it should "
        f"find {_one_of(mentions)} in it.",
    )
    return said


def _one_of(words: Sequence[str]) -> str:
    """ "'a'", "'a' or 'b'", "'a', 'b' or 'c'"."""
    *first, last = [repr(word) for word in words[:4]] or ["a reason"]
    return f"{', '.join(first)} or {last}" if first else last


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


@contextmanager
def count_optimizer_steps() -> Iterator[list]:
    """Give a list that grows by one at each step of any torch optimizer."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = []
    hook = register_optimizer_step_post_hook(lambda *args: steps.append(1))
    try:
        yield steps
    finally:
        hook.remove()


# -- words


def name_of(fn: Callable) -> str:
    """A function's name to begin a sentence with; a `functools.partial` has none."""
    return getattr(fn, "__name__", "Your function")


def described(value) -> str:
    """What a value is, in words for the middle or the end of a sentence; the full stop is the sentence's."""
    if value is None:
        return "None (does the function end with `return`?)"
    if len(shape := getattr(value, "shape", ())) > 1:
        return f"a {type(value).__name__} of shape {tuple(shape)}"
    return f"the {type(value).__name__} {cut(_repr(value), 120)}"


def described_call(name: str, inputs: Sequence, options: dict) -> str:
    """A call as one would write it, with large values in words: "patchify(tensor (3, 48, 64), 16)"."""
    written = [_in_short(value) for value in inputs]
    written += [f"{key}={_in_short(value)}" for key, value in options.items()]
    return f"{name}({', '.join(written)})"


def _in_short(value) -> str:
    kind = type(value).__name__
    if hasattr(value, "shape"):
        return f"{kind.lower()} {tuple(value.shape)}"
    if hasattr(value, "size") and hasattr(value, "mode"):
        return f"{value.mode} picture {value.size[0]}×{value.size[1]}"
    if kind in ("ScriptedChat", "FallbackChat"):
        return "chat model"
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (str, int, float)):
        return f"{kind} of {len(value)}"
    if callable(value):
        return name_of(value) if hasattr(value, "__name__") else kind
    return cut(_repr(value), 60)


def _repr(value) -> str:
    try:
        return " ".join(repr(value).split())
    except Exception:  # the student's own class may say anything
        return "that can't be shown"


def cut(text: str, length: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
