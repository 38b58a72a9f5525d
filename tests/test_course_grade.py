"""`course grade`: from a folder of submissions to nbgrader's gradebook, also when it is stopped in the middle."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from instructor import ROOT, Instructor
from judge import FIXTURES

from course.grade.run import STATE, grade_all, table, write_csv
from course.grade.sandbox import is_available

TINY = FIXTURES / "00_tiny.py"
NAME = TINY.stem
POINTS = {"double_tests": 30, "mean_tests": 30, "centre_tests": 30, "why_mean": None}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.skipif(not is_available(), reason="there is no sandbox here"),
]


def solutions(instructor: Instructor) -> dict[str, str]:
    return {
        cell.id: cell.source for cell in instructor.solved.cells if cell.id in ("double", "mean", "centre", "why_mean")
    }


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course's folder in which five students have handed in, each in a way of their own."""
    instructor = Instructor(tmp_path_factory.mktemp("course") / "course", TINY)
    shutil.copy(ROOT / "nbgrader_config.py", instructor.root)
    right = solutions(instructor)
    handed_in = {
        "ada": (f"{NAME}.ipynb", instructor.answered(right)),
        "bob": (f"Copy of {NAME} (1).ipynb", instructor.answered(right | {"mean": "def mean(values):\n    return 0"})),
        "cem": (f"{NAME}.ipynb", instructor.released),
        "dee": ("Untitled.ipynb", without_marks(instructor.answered(right))),
    }
    for student, (file, notebook) in handed_in.items():
        folder = instructor.root / "handed_in" / student / NAME
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / file)
    broken = instructor.root / "handed_in" / "eve" / NAME / f"{NAME}.ipynb"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"cells": [')
    return instructor


def without_marks(notebook):
    """What Colab leaves of a notebook."""
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("nbgrader", None)
        cell.id = f"x{number}"
    return notebook


def expected() -> dict[str, dict]:
    none = dict.fromkeys(POINTS, 0)
    return {"ada": POINTS, "bob": POINTS | {"mean_tests": 0, "centre_tests": 0}, "cem": none, "dee": POINTS}


@pytest.fixture(scope="module")
def graded(course):
    return grade_all(course.root / "handed_in", root=course.root, jobs=2)


def test_the_gradebook_has_what_each_deserves(course, graded):
    for student, points in expected().items():
        assert course.scores(student) == points, student


def test_nbgraders_own_feedback_and_export_go_on_working(course, graded):
    from nbgrader.converters import GenerateFeedback

    course.coursedir.student_id, course.coursedir.assignment_id = "*", NAME
    GenerateFeedback(coursedir=course.coursedir, config=course.config).start()
    assert "mean" in course.feedback("bob")
    course.grade_by_hand("ada", "why_mean", 10)
    assert float(course.export()["ada"]["score"]) == 100


def test_the_table_says_who_lost_what_and_why(course, graded, tmp_path):
    shown = table(graded)
    assert f"{NAME}  ada  90 of 90" in shown
    assert "mean  0 of 30" in shown and "eve  not graded: " in shown and "JSON" in shown
    write_csv(graded, tmp_path / "grades.csv")
    rows = list(csv.DictReader((tmp_path / "grades.csv").open(newline="")))
    assert {(row["student"], row["exercise"]): row["points"] for row in rows}["bob", "mean"] == "0"


def test_what_is_graded_is_not_graded_again(course, graded):
    results = course.root / STATE / "results"
    before = {file.name: file.stat().st_mtime_ns for file in results.iterdir()}
    again = grade_all(course.root / "handed_in", root=course.root, jobs=2)
    assert again == graded
    assert {file.name: file.stat().st_mtime_ns for file in results.iterdir()} == before


def test_kill_9_at_any_moment_costs_nothing_but_time(course, graded, tmp_path):
    root = tmp_path / "course"
    shutil.copytree(course.root, root)
    for left in (root / STATE, root / "autograded"):
        shutil.rmtree(left, ignore_errors=True)
    command = [sys.executable, "-W", "ignore", "-m", "course", "grade", "handed_in", "--jobs", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for results in (2,):  # killed when there are so many results
        run = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while run.poll() is None and len(list((root / STATE / "results").glob("*.json"))) < results:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    moved = Instructor.__new__(Instructor)
    moved.__dict__ = course.__dict__ | {
        "root": root,
        "coursedir": type(course.coursedir)(config=course.config, root=str(root)),
    }
    for student, points in expected().items():
        assert moved.scores(student) == points, student
    recorded = json.loads((root / STATE / "recorded.json").read_text())
    assert set(recorded) == {f"{student}/{NAME}" for student in expected()}


def test_without_a_sandbox_nothing_is_graded_unless_submissions_are_trusted(course, monkeypatch):
    from course.grade import run
    from helpers.errors import PlainError

    monkeypatch.setattr(run, "is_available", lambda: False)
    with pytest.raises(PlainError, match="--trust-submissions"):
        grade_all(course.root / "handed_in", root=course.root)
    with pytest.raises(PlainError, match="no folder"):
        grade_all(Path("missing"), root=course.root, sandboxed=False)
