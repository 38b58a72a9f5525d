"""Show a message instead of a traceback if an exercise is not written yet, also in the cells that depend on it."""

from __future__ import annotations

import ast
import sys
from functools import partial
from typing import TYPE_CHECKING

from helpers.checks.answers import NotWritten, unwritten
from helpers.checks.names import names

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

__all__ = ["watch"]

UNMADE: dict[str, str] = {}
"""Names that are missing or incomplete because an exercise is not written, each with that exercise."""
FAILED: set[str] = set()
"""Names that are missing because the cell that creates them raised another error."""


def watch(shell: InteractiveShell | None = None) -> None:
    """Make the current notebook, if there is one, show a message for what is missing."""
    ipython = sys.modules.get("IPython")
    shell = shell or (ipython.get_ipython() if ipython else None)
    if shell is None or getattr(shell, "_picture_this_watches", False):
        return
    shell._picture_this_watches = True
    shell.set_custom_exc((NotImplementedError, NameError), _show)
    shell.events.register("post_run_cell", partial(_remember, shell))
    shell.ast_transformers.append(_Skip())


class _Skip(ast.NodeTransformer):
    """Replaces a cell that needs a name from an unwritten exercise with an error that says so."""

    def visit_Module(self, cell: ast.Module) -> ast.Module:
        try:
            needed, _ = names(cell)
        except SyntaxError:  # such as a `return` outside a function, which IPython reports later
            return cell
        name = next((name for name in needed if name in UNMADE), None)
        if name is None:
            return cell
        raised = f"from helpers.checks.answers import NotWritten\nraise NotWritten({UNMADE[name]!r}, needed={name!r})"
        return ast.parse(raised)


def _show(shell: InteractiveShell, kind: type, error: BaseException, tb, tb_offset=None) -> None:
    """Handle such an error; IPython calls this instead of showing the traceback."""
    name = getattr(error, "name", None)
    if isinstance(error, NotWritten):
        lines = [str(error)]
    elif exercise := _exercise(error):
        lines = [str(NotWritten(exercise, needed=name if isinstance(error, NameError) else ""))]
    elif isinstance(error, NameError) and name in FAILED:
        lines = [f"This cell needs {name}, but the cell that creates it raised an error."]
    else:
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
        return
    shell._showtraceback(kind, error, lines)


def _remember(shell: InteractiveShell, result: ExecutionResult) -> None:
    """Record the names that a failed cell should have created, and drop those that now exist."""
    try:
        _, made = names(shell.transform_cell(result.info.raw_cell))
    except SyntaxError:
        return
    error = result.error_in_exec
    exercise = "" if error is None else _exercise(error)
    for name in made:
        UNMADE.pop(name, None)
        FAILED.discard(name)
    if exercise:
        UNMADE.update(dict.fromkeys(made, exercise))
    elif error is not None:
        FAILED.update(name for name in made if name not in shell.user_ns)


def _exercise(error: BaseException) -> str:
    """Return the unwritten exercise behind an error, or "". A called function may need a name that is missing, too."""
    missing = error.name if isinstance(error, NameError) else None
    return unwritten(error) or UNMADE.get(missing, "")
