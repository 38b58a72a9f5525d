"""The student's process: runs the cells of a notebook, and then the functions that they have defined.

It lives in the sandbox and is not trusted with anything: it knows neither the seed of the hidden inputs nor the right
results.
"""

from __future__ import annotations

import socket

from course.grade.cells import CellRunner
from course.grade.student_end import Student
from course.grade.wire import Wire

__all__ = ["work"]


def work(order: dict, end: socket.socket) -> None:
    """Serve the judge at the other end of a socket."""
    runner = CellRunner()
    runner.namespace["__name__"] = "__main__"
    Student(Wire(end), runner.namespace, run=runner.run).serve()
