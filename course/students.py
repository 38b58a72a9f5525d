"""The ids of students, from the table in which the instructor has them; each is the name of a folder."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from helpers.errors import PlainError

__all__ = ["expect_names", "students_in"]

FORBIDDEN = re.compile(r'[\\/:*?"<>|\x00-\x1f]|^\.|^\s|[\s.]$')
"""What no name of a folder may have, on any system."""


def students_in(file: Path) -> list[str]:
    """Read the students' ids from the table that `nbgrader db student import` takes as well.

    Raises:
        PlainError: it can't be read, has no column `id`, or an id that can't be the name of a folder.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as table:
            rows = csv.DictReader(table)
            if "id" not in (rows.fieldnames or []):
                raise PlainError(f"{file} has no column `id`: its first line should name the columns.")
            found = [(row["id"] or "").strip() for row in rows]
    except OSError as error:
        raise PlainError(f"{file} can't be read ({error.strerror or error}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PlainError(f"{file} can't be read as a table in UTF-8 ({error}).") from error
    return expect_names(dict.fromkeys(filter(None, found)))


def expect_names(students: Iterable[str]) -> list[str]:
    """Return the ids of students, each of which will be the name of a folder.

    Raises:
        PlainError: one can't be.
    """
    for student in (students := list(students)):
        if not student or FORBIDDEN.search(student):
            raise PlainError(f"The student's id {student!r} can't be the name of a folder: choose another.")
    return students
