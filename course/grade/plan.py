"""Which cells of a submission must run: what is graded, what the student wrote, and what these need."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from IPython.core.inputtransformer2 import TransformerManager

from helpers.checks.names import names

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["needed_cells", "role"]


def role(cell: NotebookNode) -> str:
    """Return what a cell is to nbgrader: "tests", "exercise", "locked", "written", or "" for any other."""
    marks = cell.metadata.get("nbgrader", {})
    if marks.get("solution"):
        return "written" if marks.get("grade") else "exercise"
    if marks.get("grade"):
        return "tests"
    return "locked" if marks.get("locked") else ""


def needed_cells(submitted: NotebookNode, released: NotebookNode) -> list[int]:
    """Return the numbers of the code cells to run, in order.

    A cell that teaches, that stands as it was released, and that defines no name that a later one of these cells uses,
    is left out.
    """
    as_released = {cell.source.strip() for cell in released.cells if cell.cell_type == "code" and not role(cell)}
    needed: set[str] = set()
    found = []
    for i in range(len(submitted.cells) - 1, -1, -1):
        cell = submitted.cells[i]
        if cell.cell_type != "code":
            continue
        uses, defines = _names(cell.source)
        if not role(cell) and cell.source.strip() in as_released and not defines & needed:
            continue
        found.append(i)
        needed = (needed - defines) | uses
    return found[::-1]


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell uses, in its functions as well, and those that it defines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            uses, defines = names(TransformerManager().transform_cell(source), in_functions=True)
    except Exception:  # code that can't be compiled fails in many ways
        return set(), set()
    return set(uses), defines
