"""Checks of the exercises: `checks.nb01.add_noise(add_noise)` tries a student's function and teaches where it goes wrong.

An exercise is a list of cases (`helpers.checks.cases`). A check that fails lists them, each with one sentence; where
pictures say it better, yours is shown beside the expected one. The hidden tests run the same cases on other inputs.
"""

from __future__ import annotations

import importlib

from helpers.checks.borrowing import borrow
from helpers.checks.expect import (
    CheckFailed,
    Mistake,
    call,
    compare_tensors,
    count_loads,
    described,
    expect,
    name_of,
)
from helpers.checks.notebook import watch

__all__ = [
    "CheckFailed",
    "Mistake",
    "borrow",
    "call",
    "compare_tensors",
    "count_loads",
    "described",
    "expect",
    "for_points",
    "name_of",
    "passed",
    "points_asked",
]

_asked: list[float] = []


def for_points(points: float) -> None:
    """Let the next check give points, at most so many, in place of raising an error; graders call this."""
    _asked[:] = [points]


def points_asked() -> float | None:
    """The points that the next check can give; None where nobody asked for points."""
    return _asked.pop() if _asked else None


def passed(name: str) -> None:
    """Print the friendly line at the end of a check."""
    print(f"{name}: visible check passed (hidden tests decide the points).")


def __getattr__(name: str):
    """`checks.nb01` imports the module of that notebook when it is first asked for."""
    if name.startswith("nb"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


watch()
