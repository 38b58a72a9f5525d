"""A course's folder in which some students have handed in: solutions in which some exercises have other answers."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from course.build import ROOT, build
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["ANSWERS", "chosen_solutions", "make_class", "run_command", "scores"]

ANSWERS = ROOT / "tests" / "answers"
SUBMITTED = "submitted"
SEED = "20261128"
"""The seed of the graders' inputs, and of who answers what."""


def chosen_solutions(numbers: Sequence[str]) -> list[Path]:
    """Return the solution files of these notebooks ("02"), or all.

    Raises:
        PlainError: there is no such notebook.
    """
    found = {file.name[:2]: file for file in sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py"))}
    if unknown := [number for number in numbers if number not in found]:
        raise PlainError(f"There is no notebook {', '.join(unknown)}; choose from {', '.join(found)}.")
    return [found[number] for number in numbers or found]


def make_class(root: Path, solutions: Sequence[Path], students: int, *, answers: Path = ANSWERS) -> None:
    """Make the folder: build the notebooks, record their release in the gradebook, and let students hand in.

    The first student has solved everything. Each other one has replaced about half of the exercises by answers of
    `answers`: right ones, written differently, partial and wrong ones.

    Args:
        root: the folder, which does not exist yet.
        solutions: the notebooks' solution files.
        students: how many of them.
        answers: the folder of nbNN.py.

    Raises:
        PlainError: a solution file has a fault.
    """
    import nbformat

    (root / "solutions").mkdir(parents=True)
    for file in solutions:
        cards = file.with_name(f"{file.name[:2]}_flashcards.md")
        for each in filter(Path.exists, (file, cards)):
            shutil.copy(each, root / "solutions")
    if problems := build(root=root):
        raise PlainError("\n".join(problems))
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for solution in solutions:
        name = solution.stem
        released, solved = (
            nbformat.read(root / folder / name / f"{name}.ipynb", as_version=4)
            for folder in ("notebooks", "build/source")
        )
        known = answers_in(answers / f"nb{name[:2]}.py")
        for number in range(students):
            chosen = choose(known, Random(f"{SEED} {name} {number}")) if number else {}
            place = root / SUBMITTED / f"student_{number + 1:03}" / name
            place.mkdir(parents=True)
            nbformat.write(answered(released, solved, chosen), place / f"{name}.ipynb")
    for solution in solutions:
        run_command(["nbgrader", "generate_assignment", solution.stem], root)


def answers_in(file: Path) -> dict[str, dict[str, list[str]]]:
    """Return the sources of answers in a file of tests/answers: by exercise, then by kind."""
    if not file.exists():
        raise PlainError(f"There is no {file}: this measures a clone of the course, which has its tests.")
    found = runpy.run_path(str(file))
    answers: dict[str, dict[str, list[str]]] = {}
    for exercise, right in found["RIGHT"].items():
        kinds: dict[str, list[str]] = {"right": list(right), "partial": [], "wrong": []}
        missed = found.get("PARTIAL", {}).get(exercise, ())
        for fault, source in found["WRONG"][exercise]:
            kinds["partial" if fault in missed else "wrong"].append(source)
        answers[exercise] = {kind: sources for kind, sources in kinds.items() if sources}
    return answers


def choose(known: Mapping[str, Mapping[str, list[str]]], rng: Random) -> dict[str, str]:
    """Choose an answer of any kind to about half of the exercises."""
    chosen = {}
    for exercise, kinds in known.items():
        kind = rng.choice([*kinds])
        source = rng.choice(kinds[kind])
        if rng.random() < 0.5:
            chosen[exercise] = source
    return chosen


def answered(released: NotebookNode, solved: NotebookNode, chosen: Mapping[str, str]) -> NotebookNode:
    """Return the student's notebook with the solution of each exercise, or with the answer chosen in its place."""
    from copy import deepcopy

    from course.grade.plan import role

    solutions = {cell.id: cell.source for cell in solved.cells if role(cell) in ("exercise", "written")}
    notebook = deepcopy(released)
    for cell in notebook.cells:
        if cell.id in solutions:
            cell.source = chosen.get(cell.id, solutions[cell.id])
    return notebook


def run_command(arguments: Sequence[str], root: Path, *, may_fail: bool = False) -> float:
    """Run a Python module's command in the course's folder; return its seconds.

    Raises:
        PlainError: it failed; the message is the end of what it printed.
    """
    command = [sys.executable, "-W", "ignore", "-m", *arguments]
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=root, env=environment(), capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    if done.returncode and not may_fail:
        raise PlainError(f"`{' '.join(arguments)}` failed.\n{(done.stdout + done.stderr)[-3000:]}")
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """The environment in which both sides grade: the same seed, and an endpoint that nobody else uses."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    return os.environ | {"PYTHONPATH": str(ROOT), "COURSE_GRADER_SEED": SEED, "COURSE_ENDPOINT": endpoint}


def scores(root: Path, names: Sequence[str]) -> dict[tuple[str, str, str], float | None]:
    """Return what is in the gradebook: the automatic score by notebook, student and cell."""
    from nbgrader.api import Gradebook, MissingEntry

    found = {}
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "picture-this") as book:
        for name in names:
            for folder in sorted((root / SUBMITTED).iterdir()):
                try:
                    grades = book.find_submission_notebook(name, name, folder.name).grades
                except MissingEntry:
                    continue
                found |= {(name, folder.name, grade.name): grade.auto_score for grade in grades}
    return found
