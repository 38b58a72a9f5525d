"""Values that cross between judge and student: written as JSON and buffers, never pickled.

Plain data, tensors, arrays, pictures, tables, messages and errors go by value. Everything else goes by reference: the
other side gets a stand-in whose few operations are calls back (`course.grade.peer`). A value that comes back to where it
came from is the same object again, so `result is image` holds as if both sides were one process.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import hashlib
import importlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import torch
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from PIL import Image

__all__ = ["Packer", "Unfit", "Unpacker", "digest"]

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
MODES = {"1": 1 / 8, "L": 1, "P": 1, "LA": 2, "PA": 2, "RGB": 3, "RGBA": 4, "RGBX": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3}
MODES |= {"LAB": 3, "I": 4, "F": 4, "I;16": 2}
MOST_PIXELS = 1 << 26
MESSAGES = {kind.__name__: kind for kind in (AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage)}
TRUSTED = ("helpers.", "clickhouse_connect.", "langchain_core.", "openai", "requests.", "PIL.", "urllib3.", "httpx")
"""Modules whose errors keep their class on the other side."""
OURS = ("helpers.", "clickhouse_connect.")
"""Modules whose records (dataclasses, named tuples, pydantic models) cross by value."""
ODD = (SyntaxError, BaseExceptionGroup)
"""Errors that Python shows in a way of their own: a SyntaxError with a line of any file that it names."""
BASES = {"str": str, "int": int, "float": float, "list": list, "tuple": tuple, "dict": dict, "bytes": bytes}


class Unfit(Exception):
    """A value that can't cross, or that doesn't have the form of one."""


def digest(node: Any, buffers: Iterable) -> bytes:
    """Return a hash of a packed value, to see whether it has changed."""
    found = hashlib.blake2b(repr(node).encode(), digest_size=16)
    for buffer in buffers:
        found.update(buffer)
    return found.digest()


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
            return self._tensor(value)
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
        if _is_record(value):
            return {"record": f"{kind.__module__}:{kind.__qualname__}", "fields": self.pack(_fields(value))}
        for name, base in BASES.items():  # such as a message's .text, which is a kind of str
            if isinstance(value, base) and kind.__module__ != "builtins":
                return {"kind": kind.__name__, "of": name, "value": self.pack(base(value))}
        return self.refer(value)

    def _tensor(self, value: torch.Tensor) -> dict:
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


class Unpacker:
    """Unpacks the values of one message.

    Args:
        buffers: those that came with it.
        special: called first with each node that is a dict; returns (True, value), or (False, None).
        keep: called with each value that has a number, and that number.
    """

    def __init__(
        self,
        buffers: list,
        special: Callable[[Unpacker, dict], tuple[bool, Any]],
        keep: Callable[[Any, int], None] = lambda value, number: None,
    ) -> None:
        self.buffers, self.special, self.keep = buffers, special, keep

    def unpack(self, node: Any, depth: int = 0) -> Any:
        """Return the value of a node.

        Raises:
            Unfit: it is not the node of a value.
        """
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if not isinstance(node, dict) or depth > 4 * DEPTH:
            raise Unfit("a message that holds no value")
        try:
            found, value = self.special(self, node)
            if not found:
                value = self._unpacked(node, depth + 1)
        except Unfit:
            raise
        except Exception as error:
            raise Unfit(f"a value that can't be read ({type(error).__name__}: {error})") from error
        if isinstance(number := node.get("is"), int):
            self.keep(value, number)
        return value

    def buffer(self, number: Any) -> Any:
        """Return a buffer by its number."""
        if type(number) is not int or not 0 <= number < len(self.buffers):
            raise Unfit("a buffer that is missing")
        return self.buffers[number]

    def _all(self, nodes: list, depth: int) -> list:
        return [self.unpack(node, depth) for node in nodes]

    def _unpacked(self, node: dict, depth: int) -> Any:
        key = next(iter(node))
        value = node[key]
        match key:
            case "list":
                return self._all(value, depth)
            case "dict":
                return {self.unpack(name, depth): self.unpack(item, depth) for name, item in value}
            case "tuple":
                return tuple(self._all(value, depth))
            case "set" | "frozenset":
                return (set if key == "set" else frozenset)(self._all(value, depth))
            case "bytes" | "bytearray":
                return (bytes if key == "bytes" else bytearray)(self.buffer(value))
            case "text":
                return bytes(self.buffer(value)).decode("utf-32-le", "surrogatepass")
            case "int":
                return int(value[:4000])
            case "float":
                return float(value)
            case "complex":
                return complex(*map(float, value))
            case "range":
                found = range(*value)
                if abs(found.stop - found.start) > MOST_PIXELS:
                    raise Unfit("a range that never ends")
                return found
            case "tensor":
                return self._tensor(value)
            case "dtype":
                return DTYPES[value]
            case "device":
                return torch.device("cpu")
            case "generator":
                generator = torch.Generator()
                generator.set_state(torch.frombuffer(self.buffer(value), dtype=torch.uint8).clone())
                return generator
            case "array":
                return self._array(*value)
            case "objects":
                array = np.empty(len(value), dtype=object)
                array[:] = self._all(value, depth)
                return array.reshape(node["shape"])
            case "scalar":
                return self._array(value[0], [1], value[1])[0]
            case "picture":
                return self._picture(value)
            case "frame":
                columns = [self._column(column, depth) for _, column in value]
                index = self._column(node["index"], depth)
                names = [self.unpack(name, depth) for name, _ in value]
                frame = pd.DataFrame(dict(enumerate(columns)), index=index)
                return frame.set_axis(names, axis=1) if names else frame
            case "series":
                column, name = self._column(value, depth), self.unpack(node["name"], depth)
                if node["index"] is None:
                    return pd.Index(column, name=name)
                return pd.Series(column, index=self._column(node["index"], depth), name=name)
            case "arrow":
                import pyarrow as pa

                return pa.ipc.open_stream(pa.py_buffer(self.buffer(value))).read_all()
            case "path":
                return Path(value)
            case "message":
                fields = self.unpack(node["fields"], depth)
                made = MESSAGES[value](**fields)
                made.content = fields["content"]  # pydantic has copied it
                return made
            case "error":
                return self.error(node)
            case "record":
                return _record(value, self.unpack(node["fields"], depth))
            case "kind":
                return _subclass(node["kind"], BASES[node["of"]])(self.unpack(node["value"], depth))
        raise Unfit(f"a value of an unknown form, {key!r}")

    def _tensor(self, form: dict) -> torch.Tensor:
        data, shape = self.buffer(form["data"]), [int(length) for length in form["shape"]]
        dtype = DTYPES[form["dtype"]]
        if math.prod(shape) * dtype.itemsize != len(data) or min(shape, default=0) < 0:
            raise Unfit("a tensor whose data do not fit its shape")
        flat = torch.frombuffer(data, dtype=dtype).clone() if len(data) else torch.empty(0, dtype=dtype)
        tensor = flat.reshape(shape)
        grad = form.get("grad", False) is True
        if form.get("parameter") is True:
            return torch.nn.Parameter(tensor, requires_grad=grad)
        return tensor.requires_grad_(grad) if grad else tensor

    def _array(self, dtype: str, shape: list, number: int) -> np.ndarray:
        dtype, data = np.dtype(dtype), self.buffer(number)
        if dtype.kind not in NUMPY_KINDS or math.prod(shape) * dtype.itemsize != len(data):
            raise Unfit("an array whose data do not fit its shape")
        return np.frombuffer(bytes(data), dtype=dtype).reshape(shape).copy()

    def _picture(self, form: dict) -> Image.Image:
        (width, height), data = form["size"], bytes(self.buffer(form["data"]))
        if width * height > MOST_PIXELS or form["mode"] not in MODES:
            raise Unfit("a picture that is too large, or of an unknown mode")
        picture = Image.frombytes(form["mode"], (width, height), data)
        if "palette" in form:
            mode, number = form["palette"]
            picture.putpalette(bytes(self.buffer(number)), mode)
        picture.info.update(self.unpack(form["info"]))
        if "text" in form:
            picture.text = self.unpack(form["text"])
        return picture

    def _column(self, node: dict, depth: int) -> Any:
        if "array" in node:
            return self._array(*node["array"])
        items = self._all(node["items"], depth)
        with contextlib.suppress(Exception):  # such as the dtype of a library that is missing here
            return pd.array(items, dtype=node["dtype"])
        return items

    def error(self, node: dict) -> BaseException:
        """Return an error of the same class if it is a known one, else of a new class of the same name and bases."""
        module, _, path = str(node["error"]).partition(":")
        name = path.rpartition(".")[2]
        message = str(node["message"])
        args = self.unpack(node["args"]) if node["args"] is not None else None
        if not isinstance(args, list) or not all(type(arg) in (str, int, float, bool, type(None)) for arg in args):
            args = [message]
        kind = _error_class(module, name)
        if kind is not None:
            with contextlib.suppress(Exception):
                error = kind(*args)
                if str(error) == message:
                    return error
        known = (getattr(builtins, str(base), None) for base in node["bases"])
        base = next((base for base in known if _is_error(base) and not issubclass(base, ODD)), Exception)
        lookalike = type(name, (base,), {"__init__": lambda self, *args: None, "__str__": lambda self: message})
        lookalike.__module__ = module
        return lookalike(message)


# ---------------------------------------------------------------- parts of values


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


def _is_record(value: Any) -> bool:
    """Whether the value is a record that crosses by value: a dataclass, a named tuple or a pydantic model."""
    kind = type(value)
    ours = kind.__module__.startswith(OURS) and "<locals>" not in kind.__qualname__
    return ours and (
        dataclasses.is_dataclass(value)
        or hasattr(kind, "model_fields")
        or (isinstance(value, tuple) and hasattr(kind, "_fields"))
    )


def _fields(value: Any) -> dict:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, tuple):
        return value._asdict()
    return {name: getattr(value, name) for name in type(value).model_fields}


def _record(path: str, fields: dict) -> Any:
    kind = _named(path)
    if not isinstance(kind, type) or f"{kind.__module__}:{kind.__qualname__}" != path:
        raise Unfit(f"a record of an unknown kind, {path}")
    if dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return kind(**fields)
    if hasattr(kind, "model_validate"):
        return kind.model_validate(fields)
    raise Unfit(f"a record of an unknown kind, {path}")


def _named(path: str) -> Any:
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


def _message_fields(message: BaseMessage) -> dict:
    fields = {"content": message.content, "id": message.id, "name": message.name}
    for name in ("tool_calls", "tool_call_id", "status", "additional_kwargs", "response_metadata"):
        if value := getattr(message, name, None):
            fields[name] = value
    return {name: value for name, value in fields.items() if value is not None}


def _subclass(name: str, base: type) -> type:
    return type(str(name)[:100], (base,), {})


def _error_class(module: str, name: str) -> type[BaseException] | None:
    """Return the class of a built-in error, or of a library's that tests may ask for."""
    found = None
    if module == "builtins":
        found = getattr(builtins, name, None)
    elif module.startswith(TRUSTED):
        with contextlib.suppress(Exception):
            found = getattr(importlib.import_module(module), name)
    return found if _is_error(found) and not issubclass(found, ODD) else None


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)
