"""Side effects of a student's function: changed inputs, requests, loaded models, optimizer steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored, with_changes
from helpers.checks.expect import expect
from helpers.checks.words import name_of

__all__ = ["call", "changed_weights", "count_loads", "count_optimizer_steps", "expect_asked_once", "expect_no_load"]


def call(fn: Callable, *inputs, **options) -> Any:
    """Call a student's function; raise `CheckFailed` if it changes one of its inputs.

    Tensors, arrays, pictures, lists, tuples and dicts are compared, with everything in them.
    """
    import torch

    given = [value for value in (*inputs, *options.values()) if _is_data(value)]
    before = copy.deepcopy(given)
    with with_changes():
        result = fn(*inputs, **options)
    for value, old in zip(given, before, strict=True):
        how = (
            "Make a new tensor: write a * x or x - y, not x *= a, x -= y or a method whose name ends with an underscore."
            if torch.is_tensor(value)
            else "Make a new one: the caller may still need the original."
        )
        expect(_same(value, old), f"{name_of(fn)} changed one of its inputs. {how}")
    return result


def _is_data(value: Any) -> bool:
    import numpy as np
    import torch
    from PIL import Image

    return isinstance(value, (torch.Tensor, np.ndarray, Image.Image, list, tuple, dict))


def _same(value: Any, old: Any) -> bool:
    """Whether the value still equals its copy."""
    import numpy as np
    import torch

    if type(value) is not type(old):
        return False
    if torch.is_tensor(value):
        return value.dtype == old.dtype and torch.equal(value, old)
    if isinstance(value, np.ndarray):
        return value.dtype == old.dtype and np.array_equal(value, old)
    if isinstance(value, dict):
        return [*value] == [*old] and all(_same(value[key], old[key]) for key in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(old) and all(map(_same, value, old))
    return value is old or bool(value == old)


def expect_asked_once(requests: Sequence) -> None:
    """Raise `CheckFailed` unless the chat model got exactly one request."""
    expect(len(requests) == 1, f"The chat model should be asked once, but it was asked {len(requests)} times.")


@contextmanager
def expect_no_load(role: str) -> Iterator[None]:
    """Raise `CheckFailed` if a model is loaded from disk meanwhile, instead of the one that `load(role)` keeps."""
    if role == "diffusion":
        from diffusers import DiffusionPipeline as Loaded
    else:
        from transformers import PreTrainedModel as Loaded

    with count_loads(Loaded) as loads:
        yield
    expect(
        not loads,
        f'The model is loaded again on each call, which takes seconds: use load("{role}"), which loads it once and keeps it.',
    )


@mirrored
@contextmanager
def count_loads(base: type) -> Iterator[list]:
    """Yield a list that grows by one whenever a model of this class or a subclass is loaded from disk.

    Args:
        base: for example transformers' `PreTrainedModel` or diffusers' `DiffusionPipeline`.
    """
    loads, load = [], base.from_pretrained.__func__

    def counted(cls, *args, **kwargs):
        loads.append(args)
        return load(cls, *args, **kwargs)

    with patch.object(base, "from_pretrained", classmethod(counted)):
        yield loads


@mirrored
@contextmanager
def changed_weights(role: str) -> Iterator[list[str]]:
    """Yield a list that has, at the end, the names of the weights of the model for `role` that have changed meanwhile."""
    import torch

    from helpers.models import load

    model = load(role).model
    before, changed = {name: weight.clone() for name, weight in model.state_dict().items()}, []
    yield changed
    left = model.state_dict()
    changed += [name for name, weight in before.items() if not torch.equal(weight, left[name])]


@mirrored
@contextmanager
def count_optimizer_steps() -> Iterator[list]:
    """Yield a list that grows by one at each step of any torch optimizer."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = []
    hook = register_optimizer_step_post_hook(lambda *args: steps.append(1))
    try:
        yield steps
    finally:
        hook.remove()
