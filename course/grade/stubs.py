"""Stand-ins on the judge's side for what can't cross by value: each operation on one is a request to the student's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from course.grade.forms import Unfit

__all__ = ["Method", "Remote", "Stub", "StubModule", "shown", "stub", "update"]


class Method(str):
    """The name of a method, which is called by another request."""


class Remote(torch.autograd.Function):
    """A result of the student's function, whose gradients are asked for on the other side."""

    @staticmethod
    def forward(ctx, request, number, keys, value, *inputs):
        ctx.request, ctx.number, ctx.keys = request, number, keys
        return value.clone()

    @staticmethod
    def backward(ctx, along):
        grads = ctx.request({"do": "grad", "of": ctx.number, "wrt": ctx.keys}, (along,))
        if not isinstance(grads, list) or len(grads) != len(ctx.keys):
            raise Unfit("gradients that are not one for each input")
        return None, None, None, None, *grads


class Stub:
    """Stands for something on the student's side that can't cross by value."""

    def __init__(self, request: Callable, number: int, shown: str) -> None:
        self.__dict__.update(_request=request, _number=number, _repr=shown)

    def __repr__(self) -> str:
        return self._repr

    def __call__(self, *args, **options) -> Any:
        return self._request({"do": "call", "of": self._number}, args, options, traced=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in ("__name__", "__globals__", "__borrowed__"):
            raise AttributeError(name)
        return self._request({"do": "attribute", "of": self._number, "name": name})

    def __setattr__(self, name: str, value: Any) -> None:
        self._request({"do": "set", "of": self._number, "name": name}, (value,))


class StubIterator(Stub, Iterator):
    """Stands for an iterator on the student's side."""

    def __next__(self) -> Any:
        found = self._request({"do": "next", "of": self._number})
        if not found:
            raise StopIteration
        return found[0]


class StubModule(torch.nn.Module):
    """Stands for a torch module on the student's side."""

    def __init__(self, request: Callable, number: int, shown: str) -> None:
        super().__init__()
        self._request, self._number, self._repr = request, number, shown

    def __repr__(self) -> str:
        return self._repr

    def forward(self, *args, **options) -> Any:
        """Call the module in the mode, training or evaluation, that this one is in."""
        message = {"do": "call", "of": self._number, "training": self.training}
        return self._request(message, args, options, traced=torch.is_grad_enabled())


def stub(request: Callable, node: dict) -> Any:
    """Make the stand-in for what the student's side refers to; requests about it are made with `request`."""
    bases = {"iterator": (StubIterator,), "module": (StubModule,)}.get(node["how"], (Stub,))
    kind = type(str(node["type"])[:100], bases, {})
    return kind(request, int(node["mine"]), str(node["shown"])[:2000])


def shown(value: Any) -> str:
    """Return a value's repr, or the name of its type if it has none."""
    try:
        return repr(value)[:2000]
    except Exception:
        return type(value).__name__


def update(old: Any, new: Any) -> None:
    """Make a value equal to another one of its kind, in place."""
    from PIL import Image

    if isinstance(old, list) and isinstance(new, list):
        old[:] = new
    elif isinstance(old, dict) and isinstance(new, dict):
        old.clear()
        old.update(new)
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for mine, other in zip(old, new, strict=False):
            update(mine, other)
    elif torch.is_tensor(old) and torch.is_tensor(new):
        with torch.no_grad():
            old.set_(new.detach()) if old.is_leaf and old.shape != new.shape else old.data.copy_(new)
    elif isinstance(old, torch.Generator) and isinstance(new, torch.Generator):
        old.set_state(new.get_state())
    elif isinstance(old, Image.Image) and isinstance(new, Image.Image):
        old.im, old._mode, old._size, old.palette, old.info = new.im, new.mode, new.size, new.palette, new.info
    elif type(old).__module__ == "numpy" and type(new) is type(old) and old.shape == new.shape:
        old[...] = new
    elif type(old) is type(new) and hasattr(old, "__dict__"):
        old.__dict__.update(new.__dict__)
