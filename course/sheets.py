"""A sheet of their own for each student: the seed of the checks that a notebook shows, so that others draw other inputs.

A sheet stands in two places of a notebook: in its metadata, and in the locked cell that imports `checks`, as the line
`checks.sheet("…")`, because a kernel can't read metadata. The hidden tests don't depend on it, so neither do the points.
"""

from __future__ import annotations

import ast
import hmac
import os
import re
import unicodedata
from collections.abc import Collection, Iterable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "FOLDER",
    "KEY",
    "SHEET",
    "Owners",
    "own_sheet",
    "restored",
    "secret",
    "sheet_of",
    "with_sheet",
    "without_line",
]

FOLDER = Path("build", "sheets")
"""Where the notebooks of students with their own sheets are, a folder for each student."""
SECRET = "COURSE_SHEET_SECRET"
"""The environment variable from which, and a student's id, a sheet is made."""
KEY = "picture_this"
"""The course's own part of a notebook's metadata."""
SHEET = re.compile(r"[0-9a-z]{1,32}")
LINE = re.compile(rf'\n*^checks\.sheet\("({SHEET.pattern})"\)[ \t]*(?:#[^\n]*)?$', re.MULTILINE)


def secret() -> str:
    """Return the secret from which sheets are made; "" if there is none."""
    return os.environ.get(SECRET, "").strip()


def own_sheet(student: str) -> str:
    """Return the sheet of a student.

    Raises:
        PlainError: there is no secret.
    """
    if not (key := secret()):
        raise PlainError(
            f"Set {SECRET} to a long text that only you know, such as what `openssl rand -hex 32` prints, and keep it as "
            "long as the course runs: from it and a student's id, each student's sheet is made."
        )
    name = unicodedata.normalize("NFC", student)  # a Mac names folders in another form
    return hmac.digest(key.encode(), name.encode(), "sha256").hex()[:16]


# ---------------------------------------------------------------- in a notebook


def with_sheet(notebook: NotebookNode, sheet: str) -> NotebookNode:
    """Return a copy of a released or solved notebook with this sheet; one without checks has none and stays as it is."""
    notebook = deepcopy(notebook)
    for cell in filter(_takes_sheet, notebook.cells):
        cell.source = _with_line(cell.source, sheet)
        if "checksum" in cell.metadata.nbgrader:
            from nbgrader.utils import compute_checksum

            cell.metadata.nbgrader.checksum = compute_checksum(cell)
        notebook.metadata[KEY] = {"sheet": sheet}
        break
    return notebook


def sheet_of(notebook: NotebookNode) -> str:
    """Return a notebook's sheet, "" if it has none: what its metadata says, or, if a tool has lost that, its code."""
    said = notebook.metadata.get(KEY, {}).get("sheet", "")
    found = (line[1] for cell in notebook.cells if cell.cell_type == "code" and (line := LINE.search(cell.source)))
    return said or next(found, "")


def without_line(source: str) -> str:
    """Return a cell's source without the line that names a sheet."""
    return LINE.sub("", source)


def restored(cell: NotebookNode, before: str) -> str:
    """Return the source of a cell that was restored from the release, with its sheet if it had one `before`.

    No other cell than the one that imports `checks` gets the line: a tests cell would end with it, and not with points.
    """
    line = LINE.search(before)
    return _with_line(cell.source, line[1]) if line and _takes_sheet(cell) else cell.source


def _with_line(source: str, sheet: str) -> str:
    return f'{without_line(source)}\n\nchecks.sheet("{sheet}")  # the inputs of the checks below'


def _takes_sheet(cell: NotebookNode) -> bool:
    marks = cell.metadata.get("nbgrader", {})
    if cell.cell_type != "code" or not marks.get("locked") or marks.get("grade"):
        return False
    try:
        imports = [node for node in ast.parse(cell.source).body if isinstance(node, ast.ImportFrom)]
    except (SyntaxError, ValueError):  # a magic, or what a student has made of the cell
        return False
    return any(node.module == "helpers" and "checks" in [name.name for name in node.names] for node in imports)


# ---------------------------------------------------------------- whose it is


class Owners:
    """Whose sheets there may be.

    Args:
        given: the students for whom sheets were made.
        others: those who have handed something in.
    """

    def __init__(self, given: Collection[str], others: Iterable[str]) -> None:
        self.given = {*given}
        self.known = {own_sheet(student): student for student in self.given.union(others)} if secret() else {}

    @classmethod
    def of(cls, root: Path, handed_in: Iterable[str]) -> Owners:
        """Return those of a course's folder, and of these students."""
        folder = root / FOLDER
        return cls({place.name for place in folder.iterdir()} if folder.is_dir() else set(), handed_in)

    def is_of_another(self, student: str, sheet: str) -> bool:
        """Whether a sheet is known to be another student's."""
        return self.known.get(sheet, student) != student

    def remark(self, student: str, sheet: str, released: str) -> str:
        """Return what is odd about the sheet of a submission, in a sentence; "" if nothing is.

        Args:
            student: whose submission it is.
            sheet: what it has, "" for none.
            released: the sheet that all students get who have none of their own, "" for none.
        """
        if sheet == released:
            return f"This is not {student}'s own sheet, but everybody's." if student in self.given else ""
        if not self.known:
            return f"Whose sheet this is can't be said: {SECRET} is not set."
        owner = self.known.get(sheet)
        if owner == student:
            return ""
        return f"This is the sheet of {owner}." if owner else "This is a sheet of none of these students."
