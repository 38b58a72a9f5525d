"""What a notebook shows where an exercise is not written yet: one sentence, also in the cells that depend on it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from helpers.checks.answers import NotWritten, unwritten

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

__all__ = ["watch"]

UNMADE: dict[str, str] = {}
"""Names that are missing, or only half made, because an exercise is not written, each with that exercise."""
FAILED: set[str] = set()
"""Names that are missing because the cell that makes them ended in another error."""


def watch(shell: InteractiveShell | None = None) -> None:
    """From now on the notebook, where there is one, says in a sentence what is missing."""
    ipython = sys.modules.get("IPython")
    shell = shell or (ipython.get_ipython() if ipython else None)
    if shell is None or getattr(shell, "_picture_this_watches", False):
        return
    shell._picture_this_watches = True
    shell.set_custom_exc((NotImplementedError, NameError), _show)
    shell.events.register("post_run_cell", partial(_remember, shell))
    shell.ast_transformers.append(_Skip())


class _Skip(ast.NodeTransformer):
    """Puts a sentence in the place of a cell that needs what an unwritten exercise should have made."""

    def visit_Module(self, cell: ast.Module) -> ast.Module:
        name = next((name for name in _used(cell, set()) if name in UNMADE), None)
        if name is None:
            return cell
        raised = f"from helpers.checks.answers import NotWritten\nraise NotWritten({UNMADE[name]!r}, needed={name!r})"
        return ast.parse(raised)


def _show(shell: InteractiveShell, kind: type, error: BaseException, tb, tb_offset=None) -> None:
    """What IPython calls in place of showing the trace of such an error."""
    name = getattr(error, "name", None)
    if exercise := unwritten(error):
        lines = [str(error) if isinstance(error, NotWritten) else str(NotWritten(exercise))]
    elif isinstance(error, NameError) and name in FAILED:
        lines = [f"This cell needs {name}, but the cell that makes it ended in an error."]
    else:
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
        return
    shell._showtraceback(kind, error, lines)


def _remember(shell: InteractiveShell, result: ExecutionResult) -> None:
    """Keep what a cell that stopped should have made; what a cell has made that ran is there."""
    try:
        made = _assigned(ast.parse(result.info.raw_cell))
    except SyntaxError:
        return
    for name in made:
        UNMADE.pop(name, None)
        FAILED.discard(name)
    error = result.error_in_exec
    if error is not None and (exercise := unwritten(error)):
        UNMADE.update(dict.fromkeys(made, exercise))
    elif error is not None:
        FAILED.update(name for name in made if name not in shell.user_ns)


BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.ExceptHandler)


def _used(block: ast.AST, made: set[str]) -> Iterator[str]:
    """The names that a cell needs when it runs: before it defines them itself, and outside of functions' bodies."""
    for part in ast.iter_child_nodes(block):
        if isinstance(part, BLOCKS):
            yield from _used(part, made)
        else:
            yield from (name for name in _loaded(part) if name not in made)
            made |= _assigned(part)


def _loaded(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        own = set().union(*(_assigned(part.target) for part in node.generators))
        yield from (name for child in ast.iter_child_nodes(node) for name in _loaded(child) if name not in own)
    elif not isinstance(node, (ast.FunctionDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _loaded(child)


def _assigned(node: ast.AST) -> set[str]:
    """The names that some code defines, with functions and imports, but without what is local to functions."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return set()
    return set().union(*(_assigned(child) for child in ast.iter_child_nodes(node)))
