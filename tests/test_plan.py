"""Which cells of a submission are run: what is graded, what the student wrote, and what these need."""

from __future__ import annotations

import copy

import pytest
from judge import FIXTURES, ROOT, built
from nbformat.v4 import new_code_cell

from course.grade.plan import needed_cells, role

pytestmark = pytest.mark.quick
SOLUTIONS = sorted((ROOT / "solutions").glob("*.py"))


def run(notebook, released) -> list[str]:
    return [notebook.cells[i].source for i in needed_cells(notebook, released)]


def inserted(notebook, before: str, source: str):
    at = next(i for i, cell in enumerate(notebook.cells) if cell.id == before)
    notebook.cells.insert(at, new_code_cell(source))


@pytest.fixture
def tiny():
    solved, released = built(FIXTURES / "00_tiny.py")
    return copy.deepcopy(solved), copy.deepcopy(released)


def test_a_cell_that_teaches_and_that_nothing_needs_is_left_out(tiny):
    solved, released = tiny
    assert not any("A cell between exercises" in source for source in run(solved, released))


def test_a_cell_that_the_student_changed_or_added_is_run(tiny):
    solved, released = tiny
    teaching = next(cell for cell in solved.cells if "A cell between exercises" in cell.source)
    teaching.source += "\nprint('mine')"
    inserted(solved, "mean", "my_own = 5")
    assert {teaching.source, "my_own = 5"} <= {*run(solved, released)}


@pytest.mark.parametrize(
    "use", ["return numbers[0]", "return [n for n in numbers][0]", "return (lambda: numbers)()[0]"]
)
def test_a_cell_that_teaches_is_run_if_an_exercise_uses_its_names(tiny, use):
    solved, released = tiny
    for notebook in (solved, released):
        inserted(notebook, "double", "base = [1]")
        inserted(notebook, "double", "numbers = base + [2]")
        inserted(notebook, "double", "others = numbers")
    next(cell for cell in solved.cells if cell.id == "mean").source = f"def mean(values):\n    {use}"
    found = run(solved, released)
    assert "base = [1]" in found and "numbers = base + [2]" in found and "others = numbers" not in found


@pytest.mark.parametrize("source", ["def mean(:", "%matplotlib inline\n!ls", "(" * 3000, "x = '\0'"])
def test_code_that_is_no_python_is_run_and_says_so_itself(tiny, source):
    solved, released = tiny
    inserted(solved, "mean", source)
    assert source in run(solved, released)


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda solution: solution.stem)
def test_all_that_is_graded_is_run_and_little_else(solution):
    solved, released = built(solution)
    cells = needed_cells(solved, released)
    graded = {i for i, cell in enumerate(solved.cells) if role(cell) and cell.cell_type == "code"}
    code = sum(cell.cell_type == "code" for cell in solved.cells)
    assert graded <= {*cells} and len(cells) < 0.9 * code
