"""The desk of `course grade --serve`: takes a student's notebook, has it graded, and keeps the report for a while.

Each request gets hidden inputs of its own, which are not those of the real grade. So a student who finds out some of them
has learnt nothing that helps. A student has one notebook graded at a time, and only some an hour.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from course.api_error import ApiError
from course.grade.found import assignment_with
from course.grade.reading import read_bytes
from course.grade.repair import repair
from course.grade.report import report_on
from course.grade.run import Assignment, ids_of, task_for
from course.grade.workers import Workers
from course.sheets import Owners
from helpers.errors import PlainError

if TYPE_CHECKING:
    from traitlets.config import Config

__all__ = ["Desk", "Ticket"]

HOUR = 3600
KEPT = 3
"""How many reports are kept for each student."""
MOST = 200
"""How many notebooks may wait or be graded at a time."""


@dataclass(frozen=True)
class Ticket:
    """A notebook that was taken: whose and what it is, and its report, which may still be to come."""

    student: str
    assignment: str
    report: Future[dict] = field(default_factory=Future)
    id: str = field(default_factory=lambda: secrets.token_hex(16))


class Desk:
    """Takes notebooks and gives reports.

    Args:
        assignments: by name.
        config: nbgrader's, which has the time limit of a cell.
        workers: that grade.
        owners: of students' own sheets.
        per_hour: how many notebooks of a student are graded in an hour.
        keep: the folder in which each student's last notebook is kept as nbgrader expects it; None to keep none.
        clock: returns the seconds since some moment.
    """

    def __init__(
        self,
        assignments: dict[str, Assignment],
        config: Config,
        workers: Workers,
        owners: Owners,
        *,
        per_hour: int,
        keep: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.assignments, self.config, self.workers = assignments, config, workers
        self.owners, self.per_hour, self.keep, self.clock = owners, per_hour, keep, clock
        self.ids = {name: ids_of(assignment) for name, assignment in assignments.items()}
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._begun: dict[str, list[float]] = {}
        self._tickets: dict[str, list[Ticket]] = {}
        self._running: set[Future[dict]] = set()

    def admit(self, student: str) -> None:
        """Let a student come to the desk, where nobody is before they leave; `hand_in` or `leave` must follow.

        Raises:
            ApiError: the student's last notebook is not graded yet, or this hour's are used up, or too many wait.
        """
        with self._lock:
            now = self.clock()
            begun = self._begun[student] = [at for at in self._begun.get(student, []) if now - at < HOUR]
            if student in self._busy:
                raise _come_back(10, "Your last notebook is still being graded: wait for its report.")
            if len(begun) >= self.per_hour:
                wait = math.ceil(begun[0] + HOUR - now)
                most = f"{self.per_hour} notebook{'s' if self.per_hour > 1 else ''}"
                raise _come_back(
                    wait, f"Only {most} an hour can be graded for you: the next one in {math.ceil(wait / 60)} minutes."
                )
            if len(self._busy) >= MOST:
                raise _come_back(60, "Too many notebooks are waiting: try again in a minute.")
            self._busy.add(student)

    def leave(self, student: str) -> None:
        """Let the student come again."""
        with self._lock:
            self._busy.discard(student)

    def hand_in(self, student: str, data: bytes, name: str = "") -> Ticket:
        """Take a notebook, and have it graded; the student leaves when the report is there.

        Args:
            student: who was admitted.
            data: the notebook's file.
            name: the assignment; "" for the one whose cells the notebook has.

        Raises:
            ApiError: it is not a notebook, or of none of the assignments, or on another student's sheet.
        """
        try:
            submitted = read_bytes(data)
        except PlainError as error:
            raise ApiError(422, f"{error} Send the notebook's file itself as the request's body.") from error
        name = name or assignment_with(submitted, self.ids)
        if name not in self.assignments:
            raise ApiError(422, f"The notebook is none of these assignments: {', '.join(self.assignments)}.")
        assignment = self.assignments[name]
        try:
            repaired = repair(submitted, assignment.released)
        except PlainError as error:
            raise ApiError(422, str(error)) from error
        if self.owners.is_of_another(student, repaired.sheet):
            raise ApiError(403, "This notebook is on another student's sheet: send your own.")
        if self.keep:
            _keep(self.keep / student / name, name, data)
        ticket, began = Ticket(student, name), self.clock()
        ticket.report.set_running_or_notify_cancel()  # a client that hangs up must not cancel it

        def finish(graded: Future[dict]) -> None:
            try:
                ticket.report.set_result(report_on(repaired, assignment, graded.result()))
            except BaseException as error:  # a judge that was lost, or a queue that was cancelled: it does not count
                with self._lock, contextlib.suppress(ValueError):
                    self._begun[student].remove(began)
                ticket.report.set_exception(error)
            finally:
                self._running.discard(graded)
                self.leave(student)

        with self._lock:
            self._begun[student].append(began)
            self._tickets[student] = [*self._tickets.get(student, []), ticket][-KEPT:]
        task = task_for(repaired, assignment, self.config, seed=secrets.randbelow(1 << 62))
        graded = self.workers.submit(task)
        self._running.add(graded)
        graded.add_done_callback(finish)
        return ticket

    def close(self) -> None:
        """Give up what waits; what is being graded goes on to its end."""
        for graded in [*self._running]:
            graded.cancel()

    def find(self, student: str, id: str) -> Ticket | None:
        """Return a student's own ticket, if it is still kept."""
        with self._lock:
            return next((ticket for ticket in self._tickets.get(student, []) if ticket.id == id), None)


def _come_back(seconds: int, sentence: str) -> ApiError:
    return ApiError(429, sentence, headers={"Retry-After": str(seconds)})


def _keep(place: Path, name: str, data: bytes) -> None:
    """Keep a notebook, and when it came, where `course grade` and nbgrader look for them."""
    place.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    for file, content in ((f"{name}.ipynb", data), ("timestamp.txt", when.encode())):
        trial = place / f".{file}.{os.getpid()}.tmp"
        trial.write_bytes(content)
        trial.replace(place / file)
