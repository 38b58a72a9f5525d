"""The names that a notebook's cell needs from other cells, and those that it defines, as Python's compiler finds them."""

from __future__ import annotations

import ast
import dis
import inspect
import warnings
from types import CodeType

__all__ = ["names"]

LOADS = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
STORES = {"STORE_NAME", "STORE_GLOBAL"}


def names(cell: str | ast.Module, *, in_functions: bool = False) -> tuple[list[str], set[str]]:
    """Find the names that a cell needs before it defines them itself, and those that it defines.

    Args:
        cell: The cell's code, or its syntax tree.
        in_functions: Also count what the functions that it defines will need when they are called.

    Returns:
        (needed, defined); `needed` is in the order of use and includes builtins.

    Raises:
        SyntaxError: The cell is not valid Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notebook's own compiler has warned, or will
        code = compile(cell, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return _names(code, in_functions)


def _names(code: CodeType, in_functions: bool) -> tuple[list[str], set[str]]:
    needed, defined = [], set()
    for step in dis.get_instructions(code):
        if step.opname in STORES:
            defined.add(step.argval)
        elif step.opname in LOADS and step.argval not in defined:
            needed.append(step.argval)
        elif isinstance(step.argval, CodeType) and (in_functions or not _is_function(step.argval)):
            inner, stored = _names(step.argval, in_functions)
            needed += [name for name in inner if name not in defined]
            if _has_fast_locals(step.argval):  # so it stores only global names, such as y in [(y := x) for x in …]
                defined |= stored
    return needed, defined


def _is_function(code: CodeType) -> bool:
    """Whether the code runs only when it is called; class bodies, comprehensions and type parameters run at once."""
    return _has_fast_locals(code) and (code.co_name == "<lambda>" or not code.co_name.startswith("<"))


def _has_fast_locals(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_OPTIMIZED)
