"""Unpack what the other process has sent; whatever that is, the outcome is a value or an `Unfit`."""

from __future__ import annotations

import builtins
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from course.grade.forms import (
    BASES,
    DEPTH,
    DTYPES,
    MESSAGES,
    MODES,
    MOST_PIXELS,
    NUMPY_KINDS,
    ODD,
    Unfit,
    error_class,
    is_error,
    record_of,
)

__all__ = ["Unpacker"]


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
                value = self.contents(node, depth + 1)
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

    def contents(self, node: dict, depth: int = 1) -> Any:
        """Return a new value for the node of one, even if it is known here."""
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
                return self.tensor(value)
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
                return record_of(value, self.unpack(node["fields"], depth))
            case "kind":
                return _subclass(node["kind"], BASES[node["of"]])(self.unpack(node["value"], depth))
        raise Unfit(f"a value of an unknown form, {key!r}")

    def tensor(self, form: dict) -> torch.Tensor:
        """Return the tensor of this form."""
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
        kind = error_class(module, name)
        if kind is not None:
            with contextlib.suppress(Exception):
                error = kind(*args)
                if str(error) == message:
                    return error
        known = (getattr(builtins, str(base), None) for base in node["bases"])
        base = next((base for base in known if is_error(base) and not issubclass(base, ODD)), Exception)
        lookalike = type(name, (base,), {"__init__": lambda self, *args: None, "__str__": lambda self: message})
        lookalike.__module__ = module
        return lookalike(message)


def _subclass(name: str, base: type) -> type:
    return type(str(name)[:100], (base,), {})
