"""A student's function seen from outside: its last call, and the message for an error that it raises."""

from __future__ import annotations

import functools
import inspect
import linecache
import re
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from helpers.checks.borrowing import hint
from helpers.checks.words import cut, described_call, name_of
from helpers.errors import PlainError
from helpers.shorten import in_short

__all__ = ["NotWritten", "calls_recorded", "message_for", "own_lines", "unwritten"]

STUB = re.compile(r"(\w+): put your code here")
"""The error of the placeholder in an exercise that is not written yet."""
HELPERS = Path(__file__).resolve().parents[1]
ELSEWHERE = (HELPERS, HELPERS.with_name("course"), Path(sysconfig.get_path("stdlib")).resolve())
PACKAGES = {"site-packages", "dist-packages"}
"""Folders whose code is not the student's, and the names of such folders."""


class NotWritten(PlainError, NotImplementedError):
    """An exercise is not written yet; `needed` is the name that the current cell needs from it."""

    def __init__(self, exercise: str, needed: str = "") -> None:
        needs = (
            f"This cell needs {needed}, which an earlier cell creates once {exercise} is written. " if needed else ""
        )
        super().__init__(f"{needs}{exercise} is not written yet. {hint(exercise)}".strip())
        self.exercise = exercise


def unwritten(error: BaseException) -> str:
    """Return the exercise whose code is missing according to this error, or ""."""
    if isinstance(error, NotWritten):
        return error.exercise
    found = STUB.match(str(error)) if isinstance(error, NotImplementedError) else None
    return found[1] if found else ""


def calls_recorded(answer: Any) -> Any:
    """Wrap a function so that it keeps its last call, as code, in `last_call`; return a class unchanged."""
    if inspect.isclass(answer) or not callable(answer):
        return answer

    @functools.wraps(answer)
    def recorded(*inputs, **options):
        recorded.last_call = described_call(name_of(answer), inputs, options)
        return answer(*inputs, **options)

    recorded.last_call = ""
    return recorded


def message_for(error: BaseException, answer: Any) -> str:
    """Return the message for an error in a case: the call, the student's line that raised it, and the error.

    Raises:
        NotWritten: the error says that an exercise is not written yet.
    """
    if exercise := unwritten(error):
        raise NotWritten(exercise) from None
    if not isinstance(error, Exception):
        return str(error)  # it is written for students
    named = f"{type(error).__name__}: {in_short(str(error))}".rstrip(": ")
    called = getattr(answer, "last_call", "") or name_of(answer)
    lines = own_lines(error)
    if not lines:
        return f"{called} returned something that can't be checked ({named})."
    number, line = lines[-1]
    where = f" in line {number} of its cell{f', `{cut(line, 100)}`' if line else ''}"
    return f"{called} raised an error{where}. {named}."


def own_lines(error: BaseException) -> list[tuple[int, str]]:
    """Return the student's lines in an error's traceback, each as (number, text); a grader attaches them as `own_lines`."""
    if (attached := getattr(error, "own_lines", None)) is not None:
        return attached
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame.filename)]
    return [
        (frame.lineno or 0, frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip())
        for frame in frames
    ]


def is_own(filename: str) -> bool:
    """Whether this file is the student's: a cell, or a module that belongs neither to a library nor to the course.

    Compiled modules give their source as a relative path, and generated code has no file.
    """
    if filename.startswith("<"):
        return filename.startswith("<ipython-input")
    path = Path(filename)
    is_source = path.is_absolute() and path.suffix == ".py"
    return is_source and not PACKAGES & {*path.parts} and not any(map(path.resolve().is_relative_to, ELSEWHERE))
