"""Pack values for the other process: as JSON and buffers, never pickled.

Plain data, tensors, arrays, pictures, tables, messages and errors go by value. Everything else goes by reference: the
other side gets a stand-in whose few operations are calls back. A value that comes back to where it came from is the same
object again, so `result is image` holds as if both sides were one process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
import torch
from langchain_core.messages import BaseMessage
from PIL import Image

from course.grade.forms import BASES, DEPTH, DTYPES, MESSAGES, MODES, NUMPY_KINDS, Unfit, fields_of, is_record

__all__ = ["Packer"]


class Packer:
    """Packs the values of one message.

    Args:
        special: called first with each value; returns its node, or None for the forms below.
        refer: returns the node of a value that goes by reference.
        track: returns a number for a value that has an identity, or None.
    """

    def __init__(
        self,
        special: Callable[[Packer, Any], dict | None],
        refer: Callable[[Any], dict],
        track: Callable[[Any], int | None] = lambda value: None,
    ) -> None:
        self.special, self.refer, self.track = special, refer, track
        self.buffers: list = []
        self.inside: set[int] = set()

    def pack(self, value: Any) -> Any:
        """Return the value's node.

        Raises:
            Unfit: it contains itself, or is nested too deeply.
        """
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str:
            return value if _is_unicode(value) else {"text": self.buffer(value.encode("utf-32-le", "surrogatepass"))}
        if kind is int:
            return value if abs(value) < 1 << 63 else {"int": str(value)}
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if (node := self.special(self, value)) is not None:
            return node
        if id(value) in self.inside or len(self.inside) > DEPTH:
            raise Unfit("a value that contains itself, or is nested too deeply")
        self.inside.add(id(value))
        try:
            return self._packed(value, kind)
        finally:
            self.inside.discard(id(value))

    def contents(self, value: Any) -> Any:
        """Return the node of a list, dict, tensor, array or picture, even if it is known to the other side."""
        return self._packed(value, type(value))

    def buffer(self, data: Any) -> int:
        """Add a buffer; return its number."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    def _packed(self, value: Any, kind: type) -> Any:
        if kind is list:
            return {"list": [self.pack(item) for item in value], "is": self.track(value)}
        if kind is dict:
            return {"dict": [[self.pack(key), self.pack(item)] for key, item in value.items()], "is": self.track(value)}
        if kind is tuple:
            return {"tuple": [self.pack(item) for item in value]}
        if kind in (set, frozenset):
            return {kind.__name__: [self.pack(item) for item in value]}
        if kind in (bytes, bytearray):
            return {kind.__name__: self.buffer(value)}
        if kind is complex:
            return {"complex": [repr(value.real), repr(value.imag)]}
        if kind is range:
            return {"range": [value.start, value.stop, value.step]}
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        if isinstance(value, torch.Generator):
            return {"generator": self.buffer(value.get_state().numpy()), "is": self.track(value)}
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, np.generic) and value.dtype.kind in NUMPY_KINDS:
            return {"scalar": [value.dtype.str, self.buffer(np.atleast_1d(np.asarray(value)).view(np.uint8))]}
        if isinstance(value, Image.Image):
            return self._picture(value)
        if isinstance(value, pd.DataFrame):
            columns = [[self.pack(name), self._column(value.iloc[:, i])] for i, name in enumerate(value.columns)]
            return {"frame": columns, "index": self._column(value.index), "is": self.track(value)}
        if isinstance(value, (pd.Series, pd.Index)):
            index = self._column(value.index) if isinstance(value, pd.Series) else None
            return {"series": self._column(value), "index": index, "name": self.pack(value.name)}
        if kind.__module__ == "pyarrow.lib" and kind.__name__ == "Table":
            return {"arrow": self.buffer(_arrow_bytes(value))}
        if isinstance(value, PurePath):
            return {"path": str(value)}
        if isinstance(value, BaseMessage) and kind.__name__ in MESSAGES:
            return {"message": kind.__name__, "fields": self.pack(_message_fields(value))}
        if isinstance(value, BaseException):
            return self.error(value)
        if is_record(value):
            return {"record": f"{kind.__module__}:{kind.__qualname__}", "fields": self.pack(fields_of(value))}
        for name, base in BASES.items():  # such as a message's .text, which is a kind of str
            if isinstance(value, base) and kind.__module__ != "builtins":
                return {"kind": kind.__name__, "of": name, "value": self.pack(base(value))}
        return self.refer(value)

    def tensor(self, value: torch.Tensor) -> dict:
        """Return the node of a tensor."""
        name = str(value.dtype).removeprefix("torch.")
        if name not in DTYPES or value.layout != torch.strided:
            raise Unfit(f"a tensor of dtype {name} and layout {value.layout}")
        flat = value.detach().cpu().contiguous().reshape(-1)
        data = flat.view(torch.uint8).numpy() if flat.numel() else b""
        form: dict = {"dtype": name, "shape": list(value.shape), "data": self.buffer(data)}
        if type(value) is torch.nn.Parameter:
            form["parameter"] = True
        if value.requires_grad:
            form["grad"] = True
        return {"tensor": form, "is": self.track(value)}

    def _array(self, value: np.ndarray) -> dict:
        if value.dtype.kind not in NUMPY_KINDS:
            return {"objects": [self.pack(item) for item in value.ravel().tolist()], "shape": list(value.shape)}
        data = np.ascontiguousarray(value)
        buffer = self.buffer(data.reshape(-1).view(np.uint8) if data.size else b"")
        return {"array": [value.dtype.str, list(value.shape), buffer], "is": self.track(value)}

    def _picture(self, value: Image.Image) -> dict:
        if value.mode not in MODES:
            value = value.convert("RGBA")
        info = {key: item for key, item in value.info.items() if isinstance(item, (str, int, bytes))}
        form = {
            "mode": value.mode,
            "size": list(value.size),
            "data": self.buffer(value.tobytes()),
            "info": self.pack(info),
        }
        if value.mode in ("P", "PA") and value.palette is not None:
            form["palette"] = [value.palette.mode, self.buffer(bytes(value.palette.palette))]
        if text := getattr(value, "text", None):  # of a PNG file that was opened
            form["text"] = self.pack({str(key): str(item) for key, item in text.items()})
        return {"picture": form, "is": self.track(value)}

    def _column(self, column: pd.Series | pd.Index) -> dict:
        if column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype):
            return self._array(np.array(column.to_numpy()))
        return {"items": [self.pack(_plain(item)) for item in column.tolist()], "dtype": str(column.dtype)}

    def error(self, error: BaseException) -> dict:
        """Return the node of an error: its class, its message, and the arguments if they are plain."""
        kind = type(error)
        try:
            message = str(error)
        except Exception:
            message = "an error whose message can't be shown"
        plain = all(type(arg) in (str, int, float, bool, type(None)) for arg in error.args)
        return {
            "error": f"{kind.__module__}:{kind.__qualname__}",
            "bases": [base.__name__ for base in kind.__mro__ if base.__module__ == "builtins"],
            "message": message[:100_000],
            "args": self.pack(list(error.args)) if plain else None,
            "is": self.track(error),
        }


def _is_unicode(text: str) -> bool:
    """Whether the text has no surrogates: JSON would join two of them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _arrow_bytes(table: Any) -> Any:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _plain(item: Any) -> Any:
    return item.isoformat() if isinstance(item, pd.Timestamp) else item


def _message_fields(message: BaseMessage) -> dict:
    fields = {"content": message.content, "id": message.id, "name": message.name}
    for name in ("tool_calls", "tool_call_id", "status", "additional_kwargs", "response_metadata"):
        if value := getattr(message, name, None):
            fields[name] = value
    return {name: value for name, value in fields.items() if value is not None}
