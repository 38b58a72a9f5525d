"""The tokens by which `course grade --serve` knows its students: a table that the instructor hands out line by line."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from course.students import expect_names
from helpers.errors import PlainError

__all__ = ["Tokens", "give_tokens"]

COLUMNS = ["id", "token"]


class Tokens:
    """Who has which token.

    Args:
        given: the token of each student.
    """

    def __init__(self, given: dict[str, str]) -> None:
        # A look-up by hash takes as long for a token that is nearly right as for any other.
        self._students = {_hash(token): student for student, token in given.items()}

    @property
    def students(self) -> list[str]:
        """All who have one."""
        return [*self._students.values()]

    def student(self, token: str) -> str | None:
        """Return the student who has this token, if there is one."""
        return self._students.get(_hash(token))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def give_tokens(file: Path, students: Iterable[str]) -> Tokens:
    """Read the table of tokens, and write it anew with a token for each student who has none there.

    Only its owner may read the file. To take a token back, delete its line.

    Args:
        file: the table, which need not be there yet.
        students: who should have a token; the others in the table keep theirs.

    Raises:
        PlainError: it can't be read or written, an id can't be the name of a folder, or nobody has a token.
    """
    given = _read(file) if file.exists() else {}
    new = [student for student in students if student not in given]
    given |= {student: secrets.token_urlsafe(24) for student in new}
    expect_names(given)
    if not given:
        raise PlainError(f"Nobody has a token in {file}: name the students with --students FILE.")
    if new:
        _write(file, given)
    return Tokens(given)


def _read(file: Path) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as table:
            rows = csv.DictReader(table)
            if rows.fieldnames != COLUMNS:
                raise PlainError(f"{file} is no table of tokens: its first line should be {','.join(COLUMNS)}.")
            return {row["id"]: row["token"] for row in rows if row["id"] and row["token"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlainError(f"{file} can't be read as a table of tokens ({error}).") from error


def _write(file: Path, given: dict[str, str]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([COLUMNS, *given.items()])
    trial = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text.getvalue())
        trial.replace(file)
    except OSError as error:
        raise PlainError(f"{file} can't be written ({error.strerror or error}).") from error
