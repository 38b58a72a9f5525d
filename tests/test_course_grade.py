"""`course grade`: from a folder of submissions to nbgrader's gradebook, also when it is stopped in the middle."""

from __future__ import annotations

import csv
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from instructor import ROOT, Instructor
from judge import FIXTURES
from nbgrader.api import Gradebook

from course.bench import kills
from course.grade import run, workers
from course.grade.book import course_folder, release_missing
from course.grade.plan import role
from course.grade.repair import repair
from course.grade.report import report_on
from course.grade.run import STATE, assignments_of, grade_all, table, write_csv
from course.grade.sandbox import is_available
from course.grade.workers import Workers
from helpers.errors import PlainError

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


def test_a_report_on_demand_is_made_of_such_results(course, graded):
    assignment = assignments_of(course.root)[NAME]
    repaired = repair(course.released, assignment.released)
    kept = (course.root / STATE / "results").iterdir()
    reports = [report_on(repaired, assignment, json.loads(file.read_text("utf-8"))) for file in kept]
    assert sorted(report["points"] for report in reports) == [0, 30, 90, 90]
    says = {each["says"] for report in reports for each in report["exercises"] if each["points"] == 0}
    assert "The tests stopped with AssertionError." in says and not any("large number" in sentence for sentence in says)


def test_kill_9_costs_nothing_but_time():
    found = kills.measure(times=1, students=3, solutions=[TINY], answers=FIXTURES)
    assert len(found["kills"]) == 1 and found["scores"] == 3 * len(POINTS)
    assert found["identical"], kills.table(found)


def copied(course, folder):
    """A copy of the course's folder, in which nothing is graded yet."""
    root = folder / "course"
    shutil.copytree(course.root, root)
    for left in (root / STATE, root / "autograded"):
        shutil.rmtree(left, ignore_errors=True)
    return root


def without_gradebook(course, folder):
    root = copied(course, folder)
    for file in root.glob("gradebook.db*"):
        file.unlink()
    return root


def test_an_assignment_that_is_half_in_the_gradebook_is_recorded_anew(course, tmp_path):
    root = without_gradebook(course, tmp_path)
    folder, config = course_folder(root, submitted=root / STATE / "staged")
    ids = {cell.metadata.nbgrader.grade_id for cell in course.released.cells if "nbgrader" in cell.metadata}
    release_missing(folder, config, {NAME: ids})
    with Gradebook(folder.db_url, folder.course_id) as book:
        notebook = book.find_notebook(NAME, NAME)
        for cell in [*notebook.source_cells][1:]:
            book.db.delete(cell)
        book.db.commit()
    release_missing(folder, config, {NAME: ids})
    with Gradebook(folder.db_url, folder.course_id) as book:
        assert {cell.name for cell in book.find_notebook(NAME, NAME).source_cells} == ids


def test_grading_leaves_the_students_notebooks_as_they_are(course, tmp_path):
    root = without_gradebook(course, tmp_path)
    release = root / "notebooks" / NAME / f"{NAME}.ipynb"
    before = release.stat().st_ino, release.stat().st_mtime_ns
    folder, config = course_folder(root, submitted=root / STATE / "staged")
    release_missing(folder, config, {NAME: {"double"}})
    assert (release.stat().st_ino, release.stat().st_mtime_ns) == before
    assert (root / "gradebook.db").exists() and not list(root.glob("*.tmp"))


def test_equal_submissions_share_a_result_and_only_one_is_graded(course, tmp_path, monkeypatch):
    root = copied(course, tmp_path)
    for student in ("fay", "gus"):
        shutil.copytree(root / "handed_in" / "ada", root / "handed_in" / student)
    asked = graded_by_hand(monkeypatch)
    rows = grade_all(root / "handed_in", root=root, jobs=2)
    assert len(asked) == 4  # ada, fay and gus; bob; cem; dee, whose cells have other ids
    points = {row.student: row.points for row in rows if row.exercise == "double"}
    assert points == {"ada": 7, "bob": 7, "cem": 7, "dee": 7, "fay": 7, "gus": 7}


def graded_by_hand(monkeypatch, points: float = 7) -> list[dict]:
    """Gives every tests cell these points, without any process; returns the list of tasks that were graded."""
    asked = []

    def grade(task):
        asked.append(task)
        shown = {"output_type": "execute_result", "data": {"text/plain": f"{points}"}, "metadata": {}}
        cells = enumerate(task["submitted"].cells)
        tests = [number for number, cell in cells if role(cell) == "tests"]
        return {
            "outputs": [[number, [shown | {"execution_count": 1}]] for number in tests],
            "feedback": {},
            "ran": 3,
            "took": 0,
        }

    @contextmanager
    def by_hand(jobs, *, sandboxed):
        with ThreadPoolExecutor(1) as pool:
            yield Workers(lambda task: pool.submit(grade, task), lambda: 1)

    monkeypatch.setattr(run, "on_this_computer", by_hand)
    return asked


def test_two_runs_in_one_folder_do_not_get_in_each_others_way(course, tmp_path):
    root = copied(course, tmp_path)
    (root / STATE).mkdir()
    with FileLock(root / STATE / "lock"), pytest.raises(PlainError, match="Another `course grade` is running"):
        grade_all(root / "handed_in", root=root)


def test_the_time_limit_of_a_cell_is_nbgraders_own(course, tmp_path, monkeypatch):
    root = copied(course, tmp_path)
    config = root / "nbgrader_config.py"
    config.write_text(config.read_text().replace("c.Execute.timeout = 300", "c.Execute.timeout = 45"))
    asked = graded_by_hand(monkeypatch)
    grade_all(root / "handed_in", root=root)
    assert {task["seconds"] for task in asked} == {45}


def test_without_a_sandbox_nothing_is_graded_unless_submissions_are_trusted(course, monkeypatch):
    monkeypatch.setattr(workers, "is_available", lambda: False)
    with pytest.raises(PlainError, match="--trust-submissions"):
        grade_all(course.root / "handed_in", root=course.root)
    with pytest.raises(PlainError, match="no folder"):
        grade_all(Path("missing"), root=course.root, sandboxed=False)
