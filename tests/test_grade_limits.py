"""Limits of a grader: what never ends costs no more than a cell's time, and nobody reads where the sandbox lies."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from judge import FIXTURES, ROOT

from course.build import read_solution, release, solve
from course.grade import grader as grading
from course.grade.grader import Grader
from course.grade.judge import _with_names_as_written
from course.grade.plan import role
from course.grade.run import score
from course.grade.sandbox import is_available
from course.grade.wire import Wire

TINY = FIXTURES / "00_tiny.py"
SECONDS = 3
sandboxed = pytest.mark.skipif(not is_available(), reason="there is no sandbox here")


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        yield grader


def task(**answers: str) -> dict:
    """What is graded if these exercises are answered so, and all others are solved."""
    solved = solve(read_solution(TINY))
    released = release(solved)
    submitted = release(solved)
    solutions = {cell.id: cell.source for cell in solved.cells if role(cell) == "exercise"}
    for cell in submitted.cells:
        cell.source = (solutions | answers).get(cell.id, cell.source)
    tests = [cell for cell in solved.cells if role(cell) == "tests"]
    graded = {cell.metadata.nbgrader.grade_id: cell.source for cell in tests}
    return {"submitted": submitted, "released": released, "graded": graded, "seed": "1", "seconds": SECONDS}


def points(task: dict, result: dict) -> dict[str, tuple[float, str]]:
    """The points of each exercise, and why they are not all."""
    assert "lost" not in result, result
    names = {task["submitted"].cells[number].id: outputs for number, outputs in result["outputs"]}
    return {name.removesuffix("_tests"): score(names[name], 30) for name in task["graded"]}


# ---------------------------------------------------------------- time


@sandboxed
def test_a_loop_in_c_in_the_judge_costs_no_more_than_a_cells_time(grader, monkeypatch):
    monkeypatch.setattr(grading, "SPARE", 3)
    asked = task()
    asked["graded"] |= {"centre_tests": "sum(range(10**15))"}  # what a forged value might make of a test
    result = grader.grade(asked)
    assert result["took"] < 30
    found = points(asked, result)
    assert found["double"] == (30, "") and found["mean"] == (30, "")  # what was judged before counts
    assert found["centre"] == (0, "KernelLost: This was not checked: a cell took longer than 3 seconds.")
    assert points(asked, grader.grade(task()))["centre"] == (30, "")  # and the grader goes on


@sandboxed
def test_a_loop_in_c_in_a_students_function_costs_no_more_than_a_cells_time(grader):
    asked = task(mean="def mean(values):\n    return sum(range(10**15))")
    result = grader.grade(asked)
    assert result["took"] < 30
    found = points(asked, result)
    assert found["double"] == (30, "")
    assert found["mean"][0] == found["centre"][0] == 0 and "took longer than 3 seconds" in found["mean"][1]


@sandboxed
def test_when_a_submissions_time_is_up_the_rest_is_not_checked(grader, monkeypatch):
    monkeypatch.setattr(grading, "WHOLE", 2)
    asked = task(mean="import time\n\n\ndef mean(values):\n    time.sleep(60)")
    found = points(asked, grader.grade(asked))
    assert found["double"] == (30, "")
    assert found["mean"][0] == found["centre"][0] == 0 and "longer than 0.0333333 minutes" in found["centre"][1]


def test_a_tests_cell_without_outputs_gets_an_error_for_nbgrader_would_give_it_all_points():
    ours, theirs = socket.socketpair()
    asked = task()

    def judge():
        wire = Wire(theirs)
        sent, _ = wire.receive()
        tests = [number for number, cell in enumerate(asked["submitted"].cells) if role(cell) == "tests"]
        assert sent["seconds"] == SECONDS
        wire.send({"cell": tests[0], "outputs": []})
        wire.send({"ran": 1})

    thread = threading.Thread(target=judge)
    thread.start()
    result = grading._result(Wire(ours), asked)
    thread.join()
    assert result["ran"] == 3
    assert [outputs[0]["ename"] for _, outputs in result["outputs"][1:]] == ["KernelLost", "KernelLost"]


# ---------------------------------------------------------------- names of files


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("There is no file /tmp/shared/3/generated_images/a.json.", "There is no file generated_images/a.json."),
        ("File ~/shared/3/tools.py:2", "File tools.py:2"),
        ("it is outside /tmp/shared/3. Save it inside", "it is outside .. Save it inside"),
        ("'/tmp/shared/3'", "'.'"),
        ("/tmp/shared/31/a", "/tmp/shared/31/a"),
        ("/tmp/shared/3-a", "/tmp/shared/3-a"),
    ],
)
def test_files_are_named_as_the_student_wrote_them(monkeypatch, said, read):
    monkeypatch.setenv("HOME", "/tmp")
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": said},
        {"output_type": "error", "ename": "E", "evalue": said, "traceback": [said, "“quotes” \\ \n"]},
    ]
    stream, error = _with_names_as_written(outputs, Path("/tmp/shared/3"))
    assert stream["text"] == error["evalue"] == read and error["traceback"] == [read, "“quotes” \\ \n"]


@sandboxed
def test_a_missing_file_is_named_as_the_student_wrote_it(grader):
    asked = task(double="import os\n\n\ndef double(x):\n    open(os.path.abspath('pictures/mine.png'))")
    result = grader.grade(asked)
    points_, why = points(asked, result)["double"]
    assert points_ == 0 and "'pictures/mine.png'" in why
    assert "/shared/" not in str(result["outputs"]) and f"{os.sep}tmp" not in why


# ---------------------------------------------------------------- what is said about an exercise


@sandboxed
def test_an_exercise_of_the_course_is_explained_case_by_case(grader):
    solved = solve(read_solution(ROOT / "solutions" / "02_vqa_specialist.py"))
    released, submitted = release(solved), release(solved)
    submitted.cells = [
        cell for cell in submitted.cells if role(cell) == "locked" or cell.id in ("patchify", "patchify_tests")
    ]
    wrong = "def patchify(pixel_values, patch_size):\n    return pixel_values.reshape(-1, 3 * patch_size**2)"
    for cell in submitted.cells:
        cell.source = wrong if cell.id == "patchify" else cell.source
    graded = {cell.id: cell.source for cell in solved.cells if role(cell) == "tests"}
    asked = {"submitted": submitted, "released": released, "graded": graded, "seed": "1"}
    assert grader.grade(asked)["feedback"] == {}
    result = grader.grade(asked | {"feedback": True})
    (found,) = result["feedback"].values()
    assert found["exercise"] == "patchify" and sum(case["percent"] for case in found["cases"]) == 100
    failed = [case for case in found["cases"] if not case["passed"]]
    assert failed and all(case["hidden"]["says"] for case in failed)
    assert any(case["visible"]["says"] for case in failed)
