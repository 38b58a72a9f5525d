"""Values and calls in words, for the sentences that students read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

__all__ = ["cut", "described", "described_call", "name_of", "on_one_line", "with_article"]

ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")
AN = re.compile(r"[aeio]|un(?!i[cov])|nd|http|ssl", re.IGNORECASE)
"""How names begin that are spoken with a vowel first: IndexError and UnboundLocalError, but not UnicodeError."""
BRACKETS = {list: "[]", tuple: "()", set: "{}"}
MOST = 50
"""How many items of a list are written, at most: more than a sentence has room for."""


def described(value: Any) -> str:
    """What a value is, in words for the middle or the end of a sentence, without a full stop."""
    kind = type(value).__name__
    if value is None:
        return "None (does the function end with `return`?)"
    if isinstance(value, Iterator):
        return f"{with_article(kind)} (list(…) makes a list of what it gives)"
    if _is_large(value):
        return f"{with_article(kind)} of shape {tuple(value.shape)}"
    if _is_picture(value):
        return f"a picture of mode {value.mode} and {value.width}×{value.height} pixels"
    written = _in_short(value, 120)
    return with_article(kind) if written == kind else f"the {kind} {written}"


def described_call(name: str, inputs: Sequence, options: dict) -> str:
    """A call as one would write it, with large values in words: "patchify(tensor (3, 48, 64), 16)"."""
    written = [_in_short(value, 60) for value in inputs]
    written += [f"{key}={_in_short(value, 60)}" for key, value in options.items()]
    return f"{name}({', '.join(written)})"


def name_of(fn: Callable) -> str:
    """A function's name to begin a sentence with; a `functools.partial` has none."""
    return getattr(fn, "__name__", "Your function")


def with_article(name: str) -> str:
    """The name of a type with its article: "a ValueError", "an IndexError"."""
    return f"{'an' if AN.match(name) else 'a'} {name}"


def on_one_line(text: str) -> str:
    """The text on one line, without addresses in memory (0x…), which help nobody."""
    return ADDRESS.sub("", " ".join(text.split()))


def cut(text: str, length: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _in_short(value: Any, length: int) -> str:
    try:
        return cut(_written(value), length)
    except Exception:  # the student's own class may do anything
        return "that can't be shown"


def _written(value: Any) -> str:
    """A value as one would write it; what can't be written, such as a tensor, a picture or a function, by its name."""
    kind = type(value)
    if isinstance(value, str):
        return repr(value)
    if kind in BRACKETS and value:
        opening, closing = BRACKETS[kind]
        comma = "," if kind is tuple and len(value) == 1 else ""
        return f"{opening}{', '.join(map(_written, islice(value, MOST)))}{comma}{closing}"
    if kind is dict:
        return "{" + ", ".join(f"{_written(key)}: {_written(item)}" for key, item in islice(value.items(), MOST)) + "}"
    if _is_large(value):
        return f"{kind.__name__.lower()} {tuple(value.shape)}"
    if _is_picture(value):
        return f"{value.mode} picture {value.width}×{value.height}"
    if callable(value):
        return getattr(value, "__name__", kind.__name__)
    if isinstance(value, Iterator) or kind.__repr__ is object.__repr__:
        return kind.__name__
    return on_one_line(repr(value))


def _is_large(value: Any) -> bool:
    """Whether it is a table, or a tensor or array of more than a few numbers."""
    shape = getattr(value, "shape", ())
    return isinstance(shape, tuple) and (len(shape) > 1 or any(length > 8 for length in shape))


def _is_picture(value: Any) -> bool:
    return hasattr(value, "mode") and hasattr(value, "width") and hasattr(value, "height")
