"""What tells one cell from another: its text but for white space, what it defines, and how alike two texts are."""

from __future__ import annotations

import ast
import heapq
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Cell", "added_lines", "most_alike", "most_kept"]

ALIKE = 0.6
"""How similar, from 0 to 1, an edited text must be to the released one to be taken for it."""
TRIES = 3
"""How many texts are compared in full: those that share most words."""
LONGEST = 4
"""How many times longer than the released text it may be."""
MOST_CODE = 100_000
"""The longest text that is read as code."""
MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
DEFINITION = re.compile(r"^(?:async +)?(?:def|class) +(\w+)", re.MULTILINE)


@dataclass(eq=False)
class Cell:
    """A cell of a notebook; two are equal only if they are the same one."""

    node: NotebookNode

    @cached_property
    def text(self) -> str:
        """The source with neither tabs, trailing spaces nor empty lines around it."""
        return "\n".join(line.rstrip() for line in self.node.source.expandtabs(4).strip().splitlines())

    @cached_property
    def words(self) -> list[str]:
        """The words and signs of the text."""
        return re.findall(r"\w+|[^\w\s]", self.text)

    @cached_property
    def made(self) -> dict[str, bool]:
        """The names that the cell defines outside of functions, and whether each is a function, a class or an alias."""
        if self._tree is None:
            return dict.fromkeys(DEFINITION.findall(self.node.source), True) if self.node.cell_type == "code" else {}
        made: dict[str, bool] = {}
        todo: list[ast.AST] = [self._tree]
        for node in todo:  # it grows
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                made[node.name] = True
            elif isinstance(node, ast.alias):
                made[node.asname or node.name] = True
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                made.setdefault(node.id, False)
            else:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda | ast.Name | ast.Attribute):
                    made |= {target.id: True for target in node.targets if isinstance(target, ast.Name)}
                todo += ast.iter_child_nodes(node)
        return made

    @property
    def is_code(self) -> bool:
        """Whether this is a code cell whose text is code."""
        return self.node.cell_type == "code" and self._tree is not None

    @cached_property
    def _tree(self) -> ast.Module | None:
        """The source's syntax tree, magics left out; None if it is not Python."""
        source = self.node.source
        for code in (source, MAGIC.sub("", source)) if len(source) <= MOST_CODE else ():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return ast.parse(code)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
        return None


def added_lines(cell: Cell, original: Cell) -> tuple[str, bool]:
    """Return the lines of a changed cell that the released one does not have, and whether it still has all of those."""
    had = Counter(line.strip() for line in original.text.splitlines())
    added = []
    for line in cell.node.source.splitlines():
        if had[line.strip()] > 0:
            had[line.strip()] -= 1
        else:
            added.append(line.rstrip())
    return "\n".join(added).strip("\n"), not any(had.values())


def most_alike(original: Cell, cells: list[Cell]) -> Cell | None:
    """Return the cell whose words are most like the original's, or None if none is like it."""
    matcher = SequenceMatcher(b=original.words, autojunk=False)

    def likeness(cell: Cell, *, limit: bool = False) -> float:
        """How alike a cell is, or a quick upper limit of that; 0 for less than `ALIKE`."""
        if len(cell.text) > LONGEST * len(original.text):
            return 0.0
        matcher.set_seq1(cell.words)
        found = matcher.quick_ratio() if limit else matcher.ratio()
        return found if found >= ALIKE else 0.0

    tried = heapq.nlargest(
        TRIES, [(limit, -i) for i, cell in enumerate(cells) if (limit := likeness(cell, limit=True))]
    )
    best = max((cells[-i] for _, i in tried), key=likeness, default=None)
    return best if best and likeness(best) else None


def most_kept(stub: Cell, cells: list[Cell]) -> Cell | None:
    """Return the code cell that has kept most lines of an exercise's stub, or None if none has kept half of them."""
    lines = {line.strip() for line in stub.text.splitlines() if "raise NotImplementedError(" not in line} - {""}

    def kept(cell: Cell) -> int:
        return len(lines & {line.strip() for line in cell.text.splitlines()})

    best = max((cell for cell in cells if cell.node.cell_type == "code"), key=kept, default=None)
    return best if best and lines and kept(best) >= len(lines) / 2 else None
