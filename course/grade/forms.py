"""What crosses between judge and student by value, and under which names: dtypes, modes, records, errors.

Everything here is data or a lookup of the course's own classes by name; nothing that arrives is executed.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import hashlib
import importlib
from collections.abc import Iterable
from typing import Any

import torch
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage

__all__ = [
    "BASES",
    "DEPTH",
    "DTYPES",
    "MESSAGES",
    "MODES",
    "MOST_PIXELS",
    "NUMPY_KINDS",
    "ODD",
    "Unfit",
    "digest",
    "error_class",
    "fields_of",
    "is_error",
    "is_record",
    "named",
    "record_of",
]

DEPTH = 60
"""How deeply values may be nested."""
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64),
    )
}
NUMPY_KINDS = "biufcU"
MODES = {"1", "L", "P", "LA", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"}
MOST_PIXELS = 1 << 26
MESSAGES = {kind.__name__: kind for kind in (AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage)}
TRUSTED = ("helpers.", "clickhouse_connect.", "langchain_core.", "openai", "requests.", "PIL.", "urllib3.", "httpx")
"""Modules whose errors keep their class on the other side."""
OURS = ("helpers.", "clickhouse_connect.")
"""Modules whose records (dataclasses, named tuples, pydantic models) cross by value."""
ODD = (SyntaxError, BaseExceptionGroup)
"""Errors that Python shows in a special way: a SyntaxError with a line of any file that it names."""
BASES = {"str": str, "int": int, "float": float, "list": list, "tuple": tuple, "dict": dict, "bytes": bytes}


class Unfit(Exception):
    """A value that can't cross, or that doesn't have the form of one."""


def digest(node: Any, buffers: Iterable) -> bytes:
    """Return a hash of a packed value, to see whether it has changed."""
    found = hashlib.blake2b(repr(node).encode(), digest_size=16)
    for buffer in buffers:
        found.update(buffer)
    return found.digest()


def is_record(value: Any) -> bool:
    """Whether the value is a record that crosses by value: a dataclass, a named tuple or a pydantic model."""
    kind = type(value)
    ours = kind.__module__.startswith(OURS) and "<locals>" not in kind.__qualname__
    return ours and (
        dataclasses.is_dataclass(value)
        or hasattr(kind, "model_fields")
        or (isinstance(value, tuple) and hasattr(kind, "_fields"))
    )


def fields_of(value: Any) -> dict:
    """Return the fields of a record."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, tuple):
        return value._asdict()
    return {name: getattr(value, name) for name in type(value).model_fields}


def record_of(path: str, fields: dict) -> Any:
    """Make the record that was packed.

    Raises:
        Unfit: there is no such kind of record.
    """
    kind = named(path)
    if not isinstance(kind, type) or f"{kind.__module__}:{kind.__qualname__}" != path:
        raise Unfit(f"a record of an unknown kind, {path}")
    if dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return kind(**fields)
    if hasattr(kind, "model_validate"):
        return kind.model_validate(fields)
    raise Unfit(f"a record of an unknown kind, {path}")


def named(path: str) -> Any:
    """Return what a path such as "helpers.picturebook.scene:Scene" names in the course's own modules."""
    module, _, name = path.partition(":")
    if not module.startswith(OURS):
        raise Unfit(f"{path} is not the course's own")
    found = importlib.import_module(module)
    for part in name.split("."):
        if part.startswith("__"):
            raise Unfit(f"{path} is not the course's own")
        found = getattr(found, part)
    return found


def error_class(module: str, name: str) -> type[BaseException] | None:
    """Return the class of a built-in error, or of a library's that tests may ask for."""
    found = None
    if module == "builtins":
        found = getattr(builtins, name, None)
    elif module.startswith(TRUSTED):
        with contextlib.suppress(Exception):
            found = getattr(importlib.import_module(module), name)
    return found if is_error(found) and not issubclass(found, ODD) else None


def is_error(kind: Any) -> bool:
    """Whether this is a class of errors."""
    return isinstance(kind, type) and issubclass(kind, BaseException)
