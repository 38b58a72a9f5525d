"""A student's function from outside: how it was called last, and what to say where it ends in an error."""

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
from helpers.checks.words import cut, described_call
from helpers.errors import PlainError
from helpers.shorten import in_short

__all__ = ["NotWritten", "calls_recorded", "sentence_for", "unwritten"]

STUB = re.compile(r"(\w+): put your code here")
"""What the line says that stands in an exercise until its code is written."""
ELSEWHERE = (Path(__file__).resolve().parents[1], Path(sysconfig.get_path("stdlib")).resolve())
PACKAGES = {"site-packages", "dist-packages"}
"""Folders whose code is not the student's, and names of such folders."""


class NotWritten(PlainError, NotImplementedError):
    """An exercise is not written yet; `needed` is what it should have made for the cell that runs."""

    def __init__(self, exercise: str, needed: str = "") -> None:
        needs = f"This cell needs {needed}, which an earlier cell makes when {exercise} is written. " if needed else ""
        super().__init__(f"{needs}{exercise} is not written yet. {hint(exercise)}".strip())
        self.exercise = exercise


def unwritten(error: BaseException) -> str:
    """The exercise whose code is missing where this error says so, else ""."""
    if isinstance(error, NotWritten):
        return error.exercise
    found = STUB.match(str(error)) if isinstance(error, NotImplementedError) else None
    return found[1] if found else ""


def calls_recorded(answer: Any) -> Any:
    """The function, which keeps its last call, as one would write it, in `last_call` from now on; a class stays as it is."""
    if inspect.isclass(answer) or not callable(answer):
        return answer
    name = getattr(answer, "__name__", "your function")

    @functools.wraps(answer)
    def recorded(*inputs, **options):
        recorded.last_call = described_call(name, inputs, options)
        return answer(*inputs, **options)

    recorded.last_call = ""
    return recorded


def sentence_for(error: BaseException, answer: Any) -> str:
    """What to say of an error that a case ended in: the call, the error, and the student's own line that it came from.

    Raises:
        NotWritten: the error says that an exercise is not written yet.
    """
    if exercise := unwritten(error):
        raise NotWritten(exercise) from None
    if not isinstance(error, Exception):
        return str(error)  # it has a sentence of its own
    said = f"{type(error).__name__}: {in_short(str(error))}".rstrip(": ")
    called = getattr(answer, "last_call", "") or f"A call of {getattr(answer, '__name__', 'your function')}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame.filename)]
    if not frames:
        return f"What {called} gives can't be checked ({said})."
    line = frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno or 0).strip()
    where = f" in line {frames[-1].lineno} of its cell{f', `{cut(line, 100)}`' if line else ''}"
    return f"{called} ends in an error{where}. {said}."


def is_own(filename: str) -> bool:
    """Whether a line of this file is the student's: of a cell, or of a module that is no library's and not the course's.

    Modules that are compiled name their source by a path that is not absolute, and code that is generated has no file.
    """
    if filename.startswith("<"):
        return filename.startswith("<ipython-input")
    path = Path(filename)
    is_source = path.is_absolute() and path.suffix == ".py"
    return is_source and not PACKAGES & {*path.parts} and not any(map(path.resolve().is_relative_to, ELSEWHERE))
