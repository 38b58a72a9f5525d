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
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from course.grade.cells import error_output
from course.grade.plan import role
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
SPARE = 60
"""Seconds after which a judge that does not stop a cell is stopped itself: nothing interrupts a loop in C."""
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
        self._starter = ThreadPoolExecutor(1)  # bubblewrap ends with the thread that has started it
        self._parent = self._started()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End all processes and delete the scratch folders."""
        self._parent.close()
        self._starter.shutdown()
        if not self.sandboxed:
            close_shared(self.folder, mounted=False)

    def _warm(self) -> Parent:
        """The warm parent; a new one if it has ended."""
        if self._parent.process.poll() is not None:
            self._parent.close()
            self._parent = self._started()
        return self._parent

    def _started(self) -> Parent:
        parent = self._starter.submit(Parent, sandboxed=self.sandboxed).result()
        parent.wait()
        return parent

    def grade(self, task: dict) -> dict:
        """Grade one submission; see `course.grade.judge.grade`. Several threads may do so at a time.

        Returns:
            {"outputs": [[number of the cell, its outputs], …], "feedback": {number of a tests cell, as text: see
            `course.grade.feedback.explained`}, "ran": how many cells, "took": seconds}, or {"lost": a sentence} if there
            is no result. If the time is up, what was judged until then counts, and all later tests get an error.
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
            try:
                return _result(Wire(ours), task)
            except Lost as lost:
                return {"lost": f"Its judge ended before it was done ({lost})."}
            finally:
                for end in (control, own_control):  # closed, they end the processes
                    end.close()
                with self._lock, contextlib.suppress(OSError):
                    parent.order("close", about)


def _result(wire: Wire, task: dict) -> dict:
    """Send a submission to its judge, and gather the outputs of its cells, until the last or the time is up."""
    seconds, began = task.get("seconds", SECONDS), time.monotonic()
    wire.send(task | {"seconds": seconds})
    outputs, feedback, stopped = [], {}, ""
    while True:
        left = began + WHOLE - time.monotonic()
        try:
            message, _ = wire.receive(min(seconds + SPARE, left))
        except TooSlow:
            whole = f"the submission took longer than {WHOLE / 60:g} minutes"
            stopped = whole if left < seconds + SPARE else f"a cell took longer than {seconds:g} seconds"
            break
        if "lost" in message:
            return message
        if "cell" not in message:
            break
        if "outputs" in message:
            outputs.append([message["cell"], message["outputs"]])
        if "feedback" in message:
            feedback[str(message["cell"])] = message["feedback"]
    why = f"This was not checked: {stopped or 'it did not run'}."
    outputs += [[number, [error_output("KernelLost", why)]] for number in _missed(task, outputs)]
    took = round(time.monotonic() - began, 3)
    return {"outputs": outputs, "feedback": feedback, "ran": len(outputs), "took": took}


def _missed(task: dict, outputs: list) -> list[int]:
    """The numbers of the tests cells that have no outputs: to nbgrader, no error would mean all points."""
    import nbformat

    seen = {number for number, _ in outputs}
    cells = enumerate(nbformat.from_dict(task["submitted"]).cells)
    return [number for number, cell in cells if role(cell) == "tests" and number not in seen]
