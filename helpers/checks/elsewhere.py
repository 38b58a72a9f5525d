"""Where the student's function runs: in this process, or, when a grader judges it, in another one.

A check changes things around the function: it puts fakes in the place of models, counts steps, opens a scratch folder.
What is marked `mirrored` happens where the function runs, and what it records comes back. So a check need not know
where that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Protocol

__all__ = ["Elsewhere", "changes_wanted", "mirrored", "runs_elsewhere", "with_changes"]


class Elsewhere(Protocol):
    """The process in which the student's function runs."""

    def entered(self, make: Callable, args: tuple, options: dict) -> AbstractContextManager:
        """Enter a context manager there; lists and records that it yields are kept equal to those over there."""
        ...


_elsewhere: ContextVar[Elsewhere | None] = ContextVar("elsewhere", default=None)


@contextmanager
def runs_elsewhere(there: Elsewhere) -> Iterator[None]:
    """Let student's functions run in another process meanwhile; graders use this."""
    before = _elsewhere.set(there)
    try:
        yield
    finally:
        _elsewhere.reset(before)


def mirrored(make: Callable[..., AbstractContextManager]) -> Callable[..., AbstractContextManager]:
    """Mark a function that returns a context manager: it is entered where the student's function runs."""

    @wraps(make)
    def entered(*args, **options) -> AbstractContextManager[Any]:
        there = _elsewhere.get()
        return there.entered(entered, args, options) if there else make(*args, **options)

    entered.__mirrored__ = True
    return entered


_changes: ContextVar[bool] = ContextVar("changes", default=False)


@contextmanager
def with_changes() -> Iterator[None]:
    """Let changes that a function in another process makes to its inputs be seen here; otherwise inputs stay as given."""
    before = _changes.set(True)
    try:
        yield
    finally:
        _changes.reset(before)


def changes_wanted() -> bool:
    """Whether a check looks for changed inputs."""
    return _changes.get()
