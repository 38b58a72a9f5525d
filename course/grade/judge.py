"""The judge's process: lets the student's process run its cells, and judges what they define.

It runs the locked cells itself as well, so that the tests find their imports and helpers here; only the names of
exercises come from the student's side. A test cell of any form is judged in this way: checks of the course, and plain
asserts. A test cell earns points only by an output that was made here.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat

from course.grade.cells import CellRunner, clean_outputs, error_output
from course.grade.feedback import Kept, explained, reports_kept
from course.grade.judge_end import Gone, Judge, Slow
from course.grade.plan import needed_cells, role
from course.grade.wire import Wire
from helpers.checks.elsewhere import runs_elsewhere
from helpers.checks.names import names

__all__ = ["grade", "work"]


def work(order: dict, to_student: socket.socket, interrupts: socket.socket, to_grader: socket.socket) -> None:
    """Receive a submission from the grader, grade it, and send each cell's outputs as soon as they are there."""
    wire = Wire(to_grader)

    def tell(number: int, **found: Any) -> None:
        wire.send({"cell": number, **found})

    try:
        wire.send(_work(order, Wire(to_student), interrupts, wire.receive()[0], tell))
    except Exception as error:  # a fault of ours: the submission is not graded, and the instructor reads why
        wire.send({"lost": f"The judge failed ({type(error).__name__}: {str(error)[:500]})."})


def _work(order: dict, to_student: Wire, interrupts: socket.socket, task: dict, tell: Callable) -> dict:
    judge = Judge(to_student, seconds=task["seconds"], interrupt=lambda: interrupts.send(b"!"))
    folder = Path(order["shared"], ".tmp")
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = str(folder)  # the student's process sees what is made here
    os.environ["IPYTHONDIR"] = str(folder)
    try:
        judge.function("__name__")
    except Gone:
        return {"lost": "The student's process did not start."}
    return {"ran": grade(task, judge, tell)["ran"]}


def grade(task: dict, judge: Judge, tell: Callable[..., None] = lambda number, **found: None) -> dict:
    """Run and judge one submission.

    Args:
        task: {"submitted": the repaired notebook, "released": the one that students got, "graded": the source of each
            tests cell with its hidden part, by grade id, "seed": of the hidden inputs, "seconds": for each cell,
            "feedback": whether to explain what failed}.
        judge: the connection to the student's process.
        tell: called after each cell with its number and its `outputs`, and then perhaps with its number and `feedback`,
            what `course.grade.feedback.explained` returns.

    Returns:
        {"outputs": [[number of the cell, its outputs], …], "ran": how many cells were run}. A tests cell that earns
        points ends with their number, every other one with an error.
    """
    submitted, released = (nbformat.from_dict(task[name]) for name in ("submitted", "released"))
    settings_for(task)
    runner, own, outputs, folder = CellRunner(), set(), [], Path.cwd()
    cells = needed_cells(submitted, released)
    for i in cells:
        cell, reports = submitted.cells[i], []
        judge.begin(task["seconds"])
        if role(cell) == "tests":
            marks = cell.metadata.nbgrader
            source = task["graded"].get(marks.grade_id, cell.source)
            found, reports = _judged(source, marks.points, runner, own, judge)
        else:
            found = _run(cell.source, judge)
            if role(cell) == "locked":
                before = set(runner.namespace)
                runner.run(cell.source)
                own |= set(runner.namespace) - before
        outputs.append([i, _with_names_as_written(found, folder)])
        tell(i, outputs=outputs[-1][1])
        if task.get("feedback") and (feedback := _explained(reports, judge)):
            tell(i, feedback=_with_names_as_written(feedback, folder))
    return {"outputs": outputs, "ran": len(cells)}


def settings_for(task: dict) -> None:
    """Set the seed of the hidden inputs."""
    from helpers.settings import settings

    settings.grader_seed = task["seed"]
    os.environ["COURSE_GRADER_SEED"] = str(task["seed"])  # for tests that are not the course's own


def _with_names_as_written(outputs: Any, folder: Path) -> Any:
    """The outputs, in which files are named relative to the notebook's folder: where the sandbox is does not matter."""
    names = [str(folder)]
    if folder.is_relative_to(Path.home()):
        names.append(str("~" / folder.relative_to(Path.home())))  # so IPython shows it
    place = re.compile(rf"(?:{'|'.join(map(re.escape, names))})(/|(?![\w-]))")
    text = json.dumps(outputs, ensure_ascii=False)
    return json.loads(place.sub(lambda found: "" if found[1] else ".", text))


def _run(source: str, judge: Judge) -> list[dict]:
    """A cell's outputs from the student's process."""
    try:
        return clean_outputs(judge.request({"do": "run", "source": source}))
    except (Gone, Slow) as error:
        return [error_output("KernelLost", str(error))]
    except Exception as error:  # whatever the student's process says
        return [error_output(type(error).__name__, str(error)[:2000])]


def _judged(
    source: str, points: float, runner: CellRunner, own: set[str], judge: Judge
) -> tuple[list[dict], list[Kept]]:
    """The outputs of a tests cell and the reports that it made; names that are not `own` come from the student's side."""
    reports: list[Kept] = []
    try:
        with _at_most(judge.seconds), reports_kept() as reports:
            if judge.gone:
                raise Gone(judge.gone)
            judge.forget()
            needed, _ = names(source)
            for name in dict.fromkeys(needed):
                if name not in own and not hasattr(builtins, name):
                    runner.namespace.pop(name, None)
                    with contextlib.suppress(NameError):  # the cell itself says that the name is missing
                        runner.namespace[name] = judge.function(name)
            with runs_elsewhere(judge):
                outputs = clean_outputs(runner.run(source))
    except Exception as error:  # the judge goes on whatever the student's process does
        name = "KernelLost" if isinstance(error, Gone) else type(error).__name__
        return [error_output(name, str(error)[:2000])], reports
    if runner.result is None and not any(output["output_type"] == "error" for output in outputs):
        text = {"text/plain": repr(float(points))}  # asserts that all hold earn all points
        outputs.append({"output_type": "execute_result", "data": text, "metadata": {}, "execution_count": 1})
    return outputs, reports


def _explained(reports: list[Kept], judge: Judge) -> dict | None:
    """The explanation of a tests cell that runs one exercise, if there is time left for it."""
    if len(reports) != 1 or judge.gone:
        return None
    left = max(0, judge.until - time.monotonic())
    with contextlib.suppress(Exception), _at_most(left), runs_elsewhere(judge):
        return explained(reports[0])
    return None


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `Slow` after so many seconds, also while this process computes with what it was sent."""

    def stop(*_) -> None:
        raise Slow(f"It took longer than {seconds:g} seconds, and was stopped.")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds + 10, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
