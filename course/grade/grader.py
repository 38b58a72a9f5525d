"""The grader: starts the warm parents, and grades submissions, several at a time."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from course.grade.sandbox import FIRST_USER, ROOT, bubblewrap, close_shared
from course.grade.wire import Lost, TooSlow, Wire
from course.grade.zygote import send_order
from course.nbgrader_hooks import GRADER_ENVIRONMENT
from helpers.errors import PlainError

__all__ = ["Grader"]

INSIDE = Path("/tmp/shared")
"""Where the folders are that students' processes share with their judges, inside the sandbox."""
START = 300
"""Seconds that a warm parent may take to start."""
SECONDS = 300
"""Seconds that a cell may take."""
WHOLE = 1800
"""Seconds that a submission may take."""


class Parent:
    """A warm parent: its process, and the socket for orders.

    Raises:
        PlainError: there is no sandbox here.
    """

    def __init__(self, *, sandboxed: bool) -> None:
        self.end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-W", "ignore", "-m", "course.grade.zygote", str(theirs.fileno())]
        if sandboxed:
            command = bubblewrap([*command, "--sandboxed"])
        settings = GRADER_ENVIRONMENT | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"}
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.said,
            stderr=self.said,
            env=os.environ | settings,
            cwd=ROOT,
        )
        theirs.close()

    def order(self, what: str, about: dict, *ends: socket.socket) -> None:
        """Order something; see `course.grade.zygote.main`."""
        send_order(self.end, about | {"do": what}, ends)

    def wait(self) -> None:
        """Wait until it is warm.

        Raises:
            PlainError: it has not started.
        """
        self.end.settimeout(START)
        with contextlib.suppress(OSError):
            if self.end.recv(16) == b"ready":
                return
        self.close()
        self.said.seek(0)
        said = self.said.read().decode("utf-8", "replace").strip()
        raise PlainError(f"The graders' warm process did not start. {said[-2000:]}")

    def close(self) -> None:
        """End it, and all that it has forked."""
        self.end.close()
        self.process.kill()
        self.process.wait()


class Grader:
    """Grades submissions; use it in a `with` statement.

    Args:
        sandboxed: whether students' processes run in the sandbox.

    Raises:
        PlainError: there is no sandbox here, or a warm parent does not start.
    """

    def __init__(self, *, sandboxed: bool = True) -> None:
        self.sandboxed = sandboxed
        self.folder = INSIDE if sandboxed else Path(tempfile.mkdtemp(prefix="course-grade-"))
        if not sandboxed:
            self.folder.chmod(0o755)
        self._count, self._lock = itertools.count(1), threading.Lock()
        self._parent = Parent(sandboxed=sandboxed)
        self._parent.wait()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End all processes and delete the scratch folders."""
        self._parent.close()
        if not self.sandboxed:
            close_shared(self.folder, mounted=False)

    def _warm(self) -> Parent:
        """The warm parent; a new one if it has ended."""
        if self._parent.process.poll() is not None:
            self._parent.close()
            self._parent = Parent(sandboxed=self.sandboxed)
            self._parent.wait()
        return self._parent

    def grade(self, task: dict) -> dict:
        """Grade one submission; see `course.grade.judge.grade`. Several threads may do so at a time.

        Returns:
            Its result, or {"lost": a sentence} if there is none.
        """
        with contextlib.ExitStack() as ends:

            def pair() -> tuple[socket.socket, socket.socket]:
                both = socket.socketpair()
                for end in both:
                    ends.enter_context(end)
                return both

            (student, of_judge), (control, of_student) = pair(), pair()
            (ours, to_grader), (own_control, judge_control) = pair(), pair()
            with self._lock:
                number, parent = next(self._count), self._warm()
                about = {"shared": str(self.folder / str(number)), "user": FIRST_USER + number}
                parent.order("open", about)
                parent.order("student", about, student, of_student)
                parent.order("judge", about, of_judge, control, to_grader, judge_control)
            for end in (student, of_student, of_judge, to_grader, judge_control):
                end.close()
            wire = Wire(ours)
            try:
                wire.send(task | {"seconds": task.get("seconds", SECONDS)})
                result, _ = wire.receive(WHOLE)
            except TooSlow:
                return {"lost": f"The submission took longer than {WHOLE // 60} minutes and was stopped."}
            except Lost as lost:
                return {"lost": f"Its judge ended before it was done ({lost})."}
            finally:
                for end in (control, own_control):  # closed, they end the processes
                    end.close()
                with self._lock, contextlib.suppress(OSError):
                    parent.order("close", about)
            return result
