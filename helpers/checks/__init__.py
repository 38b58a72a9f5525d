"""Checks of the exercises: `checks.nb01.add_noise(add_noise)` tests a student's function and explains what is wrong.

An exercise is a list of cases (`helpers.checks.cases`). A check that fails lists them, each failed one with a message;
where pictures say it better, yours is shown beside the expected one. The hidden tests run the same cases on other inputs.
"""

from __future__ import annotations

import importlib

from helpers.checks.borrowing import borrow
from helpers.checks.calls import call, count_loads
from helpers.checks.cases import for_points, sheet
from helpers.checks.expect import CheckFailed, Mistake, compare_tensors, expect
from helpers.checks.notebook import watch
from helpers.checks.words import described, name_of

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
    "sheet",
]


def __getattr__(name: str):
    """Import a notebook's module, such as `checks.nb01`, on first access."""
    if name.startswith("nb"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


watch()
