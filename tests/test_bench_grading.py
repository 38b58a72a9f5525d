"""`course bench`: a class whose answers are known, graded both ways, and graded while the grader is killed."""

from __future__ import annotations

import json
from random import Random

import nbformat
import pytest
from judge import FIXTURES
from typer.testing import CliRunner

from course.bench import classroom, grading, kills
from course.bench.classroom import answers_in, choose, chosen_solutions, make_class
from course.cli import app
from course.grade.plan import role
from course.grade.sandbox import is_available
from helpers.errors import PlainError

TINY = FIXTURES / "00_tiny.py"


def test_answers_are_sorted_by_kind():
    found = answers_in(classroom.ANSWERS / "nb02.py")
    assert {"right", "partial", "wrong"} == {*found["fetch_image"]}
    assert {"right", "wrong"} == {*answers_in(FIXTURES / "nb00.py")["double"]}
    with pytest.raises(PlainError, match="clone"):
        answers_in(FIXTURES / "nb99.py")


def test_students_answer_about_half_of_the_exercises_in_all_ways():
    known = answers_in(classroom.ANSWERS / "nb02.py")
    chosen = [choose(known, Random(number)) for number in range(40)]
    assert 0.35 < sum(map(len, chosen)) / (40 * len(known)) < 0.65
    for kind in ("right", "partial", "wrong"):
        assert any(source in known[name][kind] for each in chosen for name, source in each.items())
    assert chosen == [choose(known, Random(number)) for number in range(40)]


def test_notebooks_are_chosen_by_number():
    assert [file.stem for file in chosen_solutions(["02"])] == ["02_vqa_specialist"]
    assert len(chosen_solutions([])) >= 7
    with pytest.raises(PlainError, match="no notebook 99"):
        chosen_solutions(["99"])


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_the_first_student_has_solved_everything(tmp_path):
    root = tmp_path / "course"
    make_class(root, [TINY], 2, answers=FIXTURES)
    solved = nbformat.read(root / "build/source/00_tiny/00_tiny.ipynb", as_version=4)
    solutions = {cell.id: cell.source for cell in solved.cells if role(cell) == "exercise"}
    first = nbformat.read(root / "submitted/student_001/00_tiny/00_tiny.ipynb", as_version=4)
    assert {cell.id: cell.source for cell in first.cells if cell.id in solutions} == solutions
    assert "HIDDEN" not in nbformat.writes(first)
    assert (root / "gradebook.db").exists()


@pytest.mark.skipif(not is_available(), reason="there is no sandbox here")
def test_both_graders_give_the_same_points():
    found = grading.measure(3, solutions=[TINY], answers=FIXTURES)
    assert found["same_scores"], found["differences"]
    assert found["sandbox"] and found["students"] == 3 and found["differences"] == []
    assert found["per_notebook"].keys() == {"00_tiny"}
    assert found["ratio"] > 0
    assert "the same" in grading.table(found)


def measured(**changes):
    row = {"stock_s": 90.0, "ours_s": 10.0, "ratio": 9.0, "same_scores": True}
    return row | {"sandbox": True, "students": 6, "per_notebook": {"02_x": row}, "differences": []} | changes


def test_the_command_prints_json_or_a_table_and_fails_if_points_differ(monkeypatch):
    asked = []
    monkeypatch.setattr(grading, "measure", lambda students, numbers: asked.append((students, numbers)) or measured())
    printed = CliRunner().invoke(app, ["bench", "grading", "--json", "--students", "2", "--notebooks", "02, 05"])
    assert (printed.exit_code, json.loads(printed.output), asked) == (0, measured(), [(2, ["02", "05"])])
    odd = measured(same_scores=False, differences=[["02_x", "student_002", "ask_tests", 5.0, 4.0]])
    monkeypatch.setattr(grading, "measure", lambda *_, **__: odd)
    printed = CliRunner().invoke(app, ["bench", "grading"])
    assert printed.exit_code == 1
    assert "different" in printed.output and "ask_tests: nbgrader 5.0, course 4.0" in printed.output


def test_the_command_that_kills_says_when_and_fails_if_grades_change(monkeypatch):
    found = {"kills": [[3.2, 1, 0]], "identical": True, "scores": 9, "undisturbed_s": 8.0}
    monkeypatch.setattr(kills, "measure", lambda *_, **__: found)
    printed = CliRunner().invoke(app, ["bench", "kills", "--times", "1"])
    assert printed.exit_code == 0 and "killed after   3.20 s, with 1 results, 0 of them recorded" in printed.output
    monkeypatch.setattr(kills, "measure", lambda *_, **__: found | {"identical": False})
    printed = CliRunner().invoke(app, ["bench", "kills", "--json"])
    assert printed.exit_code == 1 and json.loads(printed.output)["identical"] is False
