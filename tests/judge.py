"""Judges every answer of tests/answers to some notebooks by the cells that nbgrader runs, without a kernel for each.

    python tests/judge.py solutions/01_diffusion_basics.py solutions/02_vqa_specialist.py

prints a line of JSON per answer: notebook, exercise, kind, fault ("" for a right answer), points, most points, what the
student reads.
Starting a kernel and importing torch takes longer than most answers. So the libraries and the models are loaded once,
and each answer runs in a fork of that process, where it can do no harm to the others. Every fourth answer is judged
from another process, as `course grade` does it, the others in their own, as in a student's notebook. test_grading.py
shows with a few answers that nbgrader itself gives the same points.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import runpy
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from course.grade.plan import role
from course.grade.warm import warm_up as load_all

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = Path(__file__).parent / "fixtures"
SEED = "2026"
SECONDS = 240
"""As long may an answer take. Nobody waits for an endless loop."""


@dataclass(frozen=True)
class Answer:
    exercise: str
    kind: str  # "wrong", "partial" (the core is right, an edge is missed), "right", or "unwritten": the stub
    fault: str  # what is wrong with it; "" when it is right
    source: str
    calls: frozenset[str]  # other exercises it needs


def answers_to(solution: Path) -> list[list[Answer]]:
    """The answers to each exercise in answers/nbNN.py, wrong ones first, and last what students got.

    WRONG has all answers with a fault, PARTIAL names the faults that miss an edge alone.
    """
    folder = FIXTURES if solution.parent == FIXTURES else ROOT / "tests" / "answers"
    file = runpy.run_path(str(folder / f"nb{solution.stem[:2]}.py"))
    right, wrong, partial = file["RIGHT"], file["WRONG"], file.get("PARTIAL", {})
    stubs = {cell.id: cell.source for cell in built(solution)[1].cells}
    solutions = solutions_in(solution)
    assert right.keys() == wrong.keys() == solutions.keys()

    return [
        [
            Answer(
                exercise,
                "partial" if fault in partial.get(exercise, ()) else "wrong",
                fault,
                source,
                calls(exercise, source, solutions),
            )
            for fault, source in wrong[exercise]
        ]
        + [Answer(exercise, "right", "", source, calls(exercise, source, solutions)) for source in right[exercise]]
        + [Answer(exercise, "unwritten", "as released", stubs[exercise], frozenset())]
        for exercise in right
    ]


@cache
def cells_of(solution: Path) -> list[NotebookNode]:
    from course.build import read_solution

    return read_solution(solution).cells


def solutions_in(notebook: Path) -> dict[str, str]:
    """The solved cell of each exercise."""
    return {cell.metadata.exercise: cell.source for cell in cells_of(notebook) if "exercise" in cell.metadata}


def calls(exercise: str, source: str, solutions: dict[str, str]) -> frozenset[str]:
    """Other exercises that the source uses, and those that their solutions use."""
    direct = {i for i in solutions if i != exercise and re.search(rf"(?<![\w.]){i}\b", source)}
    return frozenset(direct.union(*(calls(i, solutions[i], solutions) for i in direct)))


def just(points: float, most: float, kind: str) -> bool:
    """Whether an answer got what it deserves.

    A right one all points, a partial one, which misses an edge, at least half of them; a wrong one loses a fifth or more,
    and a stub has none.
    """
    if kind == "right":
        return points == most
    if kind == "unwritten":
        return points == 0
    return most / 2 <= points < most if kind == "partial" else points <= 0.8 * most


def judge(solution: Path, answer: Answer) -> tuple[float, float, str]:
    """(points, most points, what the student reads): runs what a submission with this answer alone would run."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    from course.build import graded_source

    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(SECONDS)
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    with tempfile.TemporaryDirectory() as folder, capture_output() as shown:
        os.chdir(folder)
        for cell in cells_of(solution):
            meta = cell.metadata
            if meta.get("exercise") == answer.exercise:
                source = answer.source
            elif meta.get("tests") == answer.exercise:
                source = graded_source(cell, meta["points"])
            elif "locked" in meta or meta.get("exercise") in answer.calls:
                source = cell.source
            else:
                continue
            outcome = shell.run_cell(source)
            if meta.get("tests") == answer.exercise:
                break
    signal.alarm(0)
    most = float(meta["points"])
    error = outcome.error_before_exec or outcome.error_in_exec
    if error:
        return 0.0, most, " ".join(f"{type(error).__name__}: {error}".split())
    return most if outcome.result is None else float(outcome.result), most, failures(shown.stdout)


def judge_apart(solution: Path, answer: Answer) -> tuple[float, float, str]:
    """The same, but the answer runs in another process than its judge."""
    from course.grade.cells import CellRunner
    from course.grade.judge import grade
    from course.grade.judge_end import Judge
    from course.grade.run import score
    from course.grade.student_end import Student
    from course.grade.wire import Wire

    solved, released = built(solution)
    notebook = deepcopy(solved)
    kept = {answer.exercise, f"{answer.exercise}_tests", *answer.calls}
    locked = {cell.id for cell in solved.cells if role(cell) == "locked"}
    notebook.cells = [cell for cell in notebook.cells if cell.id in kept | locked]
    for cell in notebook.cells:
        if cell.id == answer.exercise:
            cell.source = answer.source
    tests = next(cell for cell in notebook.cells if cell.id == f"{answer.exercise}_tests")

    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if (student := os.fork()) == 0:
            ours.close()
            with open(os.devnull, "w") as sys.stdout:
                runner = CellRunner()
                Student(Wire(theirs), runner.namespace, run=runner.run).serve()
            os._exit(0)
        theirs.close()
        judge = Judge(Wire(ours), seconds=SECONDS, interrupt=lambda: os.kill(student, signal.SIGINT))
        task = {"submitted": notebook, "released": released, "graded": {tests.id: tests.source}}
        with redirect_stdout(io.StringIO()):
            outputs = dict(grade(task | {"seed": SEED, "seconds": SECONDS}, judge)["outputs"])
        os.kill(student, signal.SIGKILL)
        os.waitpid(student, 0)
    most = float(tests.metadata.nbgrader.points)
    points, why = score(outputs.get(notebook.cells.index(tests), []), most)
    return points, most, why


@cache
def built(solution: Path) -> tuple[NotebookNode, NotebookNode]:
    """The solved notebook, and the released one."""
    from course.build import read_solution, release, solve

    solved = solve(read_solution(solution))
    return solved, release(solved)


def failures(report: str) -> str:
    """The sentences of the cases that failed, out of what a check prints."""
    return " ".join(line.strip() for line in report.splitlines() if line.startswith(6 * " "))


def _give_up(*_) -> None:
    raise TimeoutError(f"the answer took longer than {SECONDS} seconds")


def _line(task: tuple[Path, Answer, bool]) -> str:
    solution, answer, apart = task
    points, most, said = (judge_apart if apart else judge)(solution, answer)
    verdict = {"exercise": answer.exercise, "kind": answer.kind, "fault": answer.fault, "points": points, "most": most}
    return json.dumps({"notebook": solution.stem, **verdict, "said": said[:300]})


def warm_up(solutions: Sequence[Path]) -> None:
    """Loads in this process what the forks of it would otherwise all load by themselves."""
    from course.nbgrader_hooks import GRADER_ENVIRONMENT

    os.environ |= {**GRADER_ENVIRONMENT, "COURSE_GRADER_SEED": SEED}
    load_all()
    from helpers import checks

    for solution in solutions:
        for cell in cells_of(solution):
            if "locked" in cell.metadata:
                body = ast.parse(cell.source).body
                imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
                exec(compile(ast.Module(imports, []), solution.name, "exec"), {})
        for exercise in solutions_in(solution):
            getattr(checks, exercise, None)
        built(solution)


def serve() -> None:
    """Starts the endpoint, which otherwise every fork that talks to it would start and stop."""
    from helpers import endpoint
    from helpers.settings import settings

    with redirect_stdout(sys.stderr):
        endpoint.ensure(settings.endpoint)


def main(solutions: Sequence[Path]) -> None:
    """Judges all answers, as many at a time as there are processors."""
    warm_up(solutions)
    if any(re.search(r"\b(chat_model|endpoint)\b", solution.read_text("utf-8")) for solution in solutions):
        serve()
    tasks = [
        (solution, answer, turn % 4 == 1)
        for solution in solutions
        for some in answers_to(solution)
        for turn, answer in enumerate(some)
    ]
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for line in pool.imap(_line, tasks, chunksize=1):
            print(line, flush=True)


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]])
