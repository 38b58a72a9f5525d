"""Describe values and calls in words, for the messages that students read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

__all__ = ["cut", "described", "described_call", "name_of", "on_one_line", "with_article"]

ADDRESS = re.compile(r"(?: object)? at 0x[0-9a-fA-F]+")
AN = re.compile(r"[aeio]|un(?!i[cov])|nd|http|ssl", re.IGNORECASE)
"""The beginnings of names that take "an": IndexError and UnboundLocalError, but not UnicodeError."""
BRACKETS = {list: "[]", tuple: "()", set: "{}"}
MOST = 50
"""The largest number of a list's items to write out: more than a message has room for."""


def described(value: Any) -> str:
    """Describe a value in words for the middle or the end of a sentence, without a full stop."""
    kind = type(value).__name__
    if value is None:
        return "None (does the function end with `return`?)"
    if isinstance(value, Iterator):
        return f"{with_article(kind)} (list(…) turns it into a list)"
    if _is_large(value):
        return f"{with_article(kind)} of shape {tuple(value.shape)}"
    if _is_picture(value):
        return f"a picture of mode {value.mode} and {value.width}×{value.height} pixels"
    written = _in_short(value, 120)
    return with_article(kind) if written == kind else f"the {kind} {written}"


def described_call(name: str, inputs: Sequence, options: dict) -> str:
    """Write a call as code, with large values in words: "patchify(tensor (3, 48, 64), 16)"."""
    written = [_in_short(value, 60) for value in inputs]
    written += [f"{key}={_in_short(value, 60)}" for key, value in options.items()]
    return f"{name}({', '.join(written)})"


def name_of(fn: Callable) -> str:
    """Return a function's name to begin a sentence with; a `functools.partial` has none."""
    return getattr(fn, "__name__", "Your function")


def with_article(name: str) -> str:
    """Return the name of a type with its article: "a ValueError", "an IndexError"."""
    return f"{'an' if AN.match(name) else 'a'} {name}"


def on_one_line(text: str) -> str:
    """Return the text on one line, without memory addresses (0x…)."""
    return ADDRESS.sub("", " ".join(text.split()))


def cut(text: str, length: int) -> str:
    """Cut the text with an ellipsis if it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _in_short(value: Any, length: int) -> str:
    try:
        return cut(_written(value), length)
    except Exception:  # the student's own class may do anything
        return "that can't be shown"


def _written(value: Any) -> str:
    """Write a value as code; a value that has no short form, such as a tensor, a picture or a function, by its name."""
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
    """Whether the value is a table, or a tensor or array of more than a few numbers."""
    shape = getattr(value, "shape", ())
    return isinstance(shape, tuple) and (len(shape) > 1 or any(length > 8 for length in shape))


def _is_picture(value: Any) -> bool:
    return hasattr(value, "mode") and hasattr(value, "width") and hasattr(value, "height")
