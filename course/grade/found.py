"""Find the submissions in a folder, whatever their files are called.

A folder has a folder for each student. Below that, nbgrader has one for each assignment with the notebook in it; a
learning platform may have just files. A file belongs to the assignment that its folder or its name says, or whose cells
it has; of several for one assignment, the best name counts, then the newest file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from course.grade.likeness import Cell
from course.grade.reading import MOST_BYTES, read_file
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Submission", "assignment_of", "assignment_with", "submissions_in"]

ENDINGS = (".ipynb", ".ipynb.txt", ".ipynb.json", ".json", ".txt")
MOST_DEEP = 20
"""How many folders may lie within each other."""
SKIPPED = {"__MACOSX", "__pycache__"}
"""Folders that are left out, apart from hidden ones."""
MOODLE = re.compile(r"_assignsubmission_\w+$")
"""What Moodle appends to a student's name and number."""


@dataclass(frozen=True)
class Submission:
    """A student's file for an assignment; `others` are files that are not graded."""

    student: str
    assignment: str
    file: Path
    others: tuple[Path, ...] = ()

    @property
    def timestamp(self) -> Path | None:
        """The file in which nbgrader keeps when it was handed in, if there is one."""
        found = self.file.parent / "timestamp.txt"
        return found if _is_file(found) else None


def submissions_in(folder: Path, assignments: Mapping[str, set[str]]) -> Iterator[Submission]:
    """Yield the submissions below a folder, students in order.

    A file that can't be read, or is too large, is yielded as well if there is no better one, for somebody has to be told.

    Args:
        folder: one folder per student.
        assignments: the grade ids of each assignment, by name.

    Raises:
        PlainError: there is no such folder.
    """
    if not folder.is_dir():
        raise PlainError(f"There is no folder {folder}: name the one that has a folder for each student.")
    students: dict[str, dict[str, list[Path]]] = {}
    for place in sorted(folder.iterdir()):
        if not place.is_dir() or place.is_symlink() or _is_skipped(place.name):
            continue
        claims = students.setdefault(MOODLE.sub("", place.name), {})
        for file in _files(place):
            if name := assignment_of(file, place, assignments):
                claims.setdefault(name, []).append(file)
    for student, claims in students.items():
        for name in sorted(claims):
            best, *others = sorted(claims[name], key=lambda file: _rank(file, name), reverse=True)
            yield Submission(student, name, best, tuple(others))


def _files(place: Path) -> Iterator[Path]:
    """The files below a folder that may be notebooks."""
    places = [place]
    while places:
        folder = places.pop()
        inside = sorted(Path(folder, name) for name in os.listdir(folder) if not _is_skipped(name))
        yield from (file for file in inside if file.name.lower().endswith(ENDINGS) and _is_file(file))
        if len(folder.parts) - len(place.parts) < MOST_DEEP:
            places += [each for each in reversed(inside) if each.is_dir() and not each.is_symlink()]


def _is_skipped(name: str) -> bool:
    """Whether a file or folder is hidden, as checkpoints are, or one that computers make for themselves."""
    return name.startswith(".") or name in SKIPPED


def _is_file(file: Path) -> bool:
    """Whether this is a file: no link, which may lead to another student's, nor a pipe, which would never end."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def assignment_of(file: Path, place: Path, assignments: Mapping[str, set[str]]) -> str:
    """Return the assignment that a file below a student's folder `place` belongs to, or ""."""
    if said := _named(file, place, assignments):
        is_notebook = file.name.lower().endswith(".ipynb")
        return said if is_notebook or _marks(file) is not None else ""
    return _sharing(_marks(file) or set(), assignments)


def assignment_with(notebook: NotebookNode, assignments: Mapping[str, set[str]]) -> str:
    """Return the assignment whose cells a notebook has, or ""."""
    return _sharing(_marks_in(notebook), assignments)


def _sharing(marks: set[str], assignments: Mapping[str, set[str]]) -> str:
    shared = {name: len(marks & ids) for name, ids in assignments.items()}
    most = max(shared.values(), default=0)
    best = [name for name, number in shared.items() if number == most > 0]
    return best[0] if len(best) == 1 else ""


def _named(file: Path, place: Path, assignments: Mapping[str, set[str]]) -> str:
    """The assignment that a file's folder, or else its name, says."""
    for parent in file.parents:
        if parent == place:
            break
        if parent.name in assignments:
            return parent.name
    return max((name for name in assignments if _plain(name) in _plain(file.name)), key=len, default="")


def _marks(file: Path) -> set[str] | None:
    """What tells a notebook's cells: their grade ids, their ids and what they define; None if it is not a notebook."""
    try:
        return _marks_in(read_file(file))
    except PlainError:
        return None


def _marks_in(notebook: NotebookNode) -> set[str]:
    cells = [Cell(cell) for cell in notebook.cells]
    ids = {cell.node.id for cell in cells} | {
        cell.node.metadata.nbgrader.grade_id for cell in cells if cell.node.metadata
    }
    return ids.union(*(cell.made for cell in cells if cell.node.cell_type == "code"))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rank(file: Path, name: str) -> tuple:
    """How good a file is: one that can be read, the longest common part of the names, their likeness, then the newest."""
    own = file.name.lower().removesuffix(".ipynb")
    about = file.stat()
    matcher = SequenceMatcher(None, own, name.lower(), autojunk=False)
    can_be_read = about.st_size <= MOST_BYTES and os.access(file, os.R_OK)
    return can_be_read, matcher.find_longest_match().size, round(matcher.ratio(), 3), about.st_mtime, own
