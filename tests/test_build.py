"""`course build`: what it makes, and what it refuses, each fault with its notebook and cell."""

import codecs
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from course.authoring import ROLES
from course.build import build, read_solution, release, solve

pytestmark = pytest.mark.quick

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def course(tmp_path):
    """A course folder with the tiny solution file and its flashcards."""
    return course_with(tmp_path, FIXTURES / "00_tiny.py", FIXTURES / "00_flashcards.md")


def course_with(root, *files):
    (root / "solutions").mkdir()
    for file in files:
        shutil.copy(file, root / "solutions")
    return root


def notebook(path):
    return nbformat.read(path, as_version=4)


def tiny():
    return read_solution(FIXTURES / "00_tiny.py")


def cell(nb, grade_id):
    return next(c for c in nb.cells if c.id == grade_id)


# ---------------------------------------------------------------- what it makes


def test_build_makes_the_solved_and_the_student_notebook(course):
    assert build(root=course) == []
    made = {p.relative_to(course).as_posix() for p in course.rglob("*") if p.is_file()}
    assert made - {"solutions/00_tiny.py", "solutions/00_flashcards.md"} == {
        f"{folder}/00_tiny/{file}"
        for folder in ("build/source", "notebooks")
        for file in ("00_tiny.ipynb", "flashcards.md")
    } | {"helpers/checks/borrowed.bin"}
    assert build(root=course, check=True) == []


def test_both_notebooks_are_valid_for_jupyter_and_nbgrader(course):
    build(root=course)
    for path in course.rglob("*.ipynb"):
        nb = notebook(path)
        nbformat.validate(nb)
        MetadataValidator().validate_nb(nb)
        assert set(nb.metadata) == {"kernelspec"}, path


def test_compact_metadata_becomes_nbgraders():
    solved = solve(tiny())
    flags = ("grade", "solution", "locked", "points")
    found = {
        c.metadata.nbgrader.grade_id: tuple(c.metadata.nbgrader.get(flag) for flag in flags)
        for c in solved.cells
        if "nbgrader" in c.metadata
    }
    assert found == {
        "setup": (False, False, True, None),
        "double": (False, True, False, None),
        "double_tests": (True, False, True, 30),
        "mean": (False, True, False, None),
        "mean_tests": (True, False, True, 30),
        "centre": (False, True, False, None),
        "centre_tests": (True, False, True, 30),
        "why_mean_question": (False, False, True, None),
        "why_mean": (True, True, False, 10),
    }
    assert not any(role in c.metadata for c in solved.cells for role in ROLES)


def test_an_exercise_keeps_its_docstring_and_gets_a_stub_that_names_it():
    source = cell(release(solve(tiny())), "double").source
    assert source.splitlines() == [
        "def double(x):",
        '    """Returns twice x."""',
        '    raise NotImplementedError("double: put your code here, in place of this line.")',
    ]
    namespace = {}
    exec(source, namespace)
    with pytest.raises(NotImplementedError, match=r"^double: put your code here"):
        namespace["double"](1)


def test_students_get_the_visible_check_without_the_hidden_tests():
    tests = cell(release(solve(tiny())), "double_tests")
    assert tests.source == 'assert double(2) == 4, "double(2) should be 4."'


def test_a_written_question_is_locked_and_its_answer_open():
    student = release(solve(tiny()))
    question, answer = cell(student, "why_mean_question"), cell(student, "why_mean")
    assert question.source.strip() == "**Why do we subtract the mean?** Two or three sentences."
    assert question.metadata.editable is False
    assert answer.source == "*Your answer: double-click here and write, in your own words.*"
    assert "editable" not in answer.metadata


def test_cell_ids_do_not_move_when_another_cell_is_added():
    before = tiny()
    after = tiny()
    after.cells.insert(0, nbformat.v4.new_markdown_cell("A new beginning"))
    assert {c.id for c in solve(before).cells} < {c.id for c in solve(after).cells}


def test_cells_with_the_same_text_get_different_ids():
    twice = tiny()
    twice.cells += [nbformat.v4.new_markdown_cell("Again."), nbformat.v4.new_markdown_cell("Again.")]
    ids = [c.id for c in solve(twice).cells]
    assert len(set(ids)) == len(ids)


def test_building_twice_gives_the_same_bytes(course):
    def all_bytes():
        return {path: path.read_bytes() for path in course.rglob("*.ipynb")}

    build(root=course)
    first = all_bytes()
    build(root=course)
    assert all_bytes() == first


# ---------------------------------------------------------------- what it refuses in solutions/


BROKEN = {
    "10_roles": [
        "cell double: it is both exercise and tests; choose one.",
        "cell double: points=10 is only for tests and written cells; remove it.",
        'cell halve: exercise="halve" belongs in a code cell, but this is a markdown cell.',
        'cell halve_tests: tests="halve" has no points; add, for example, points=10.',
        'cell a square: exercise="a square" must be a name of at most 55 letters, digits, _ and -.',
        'cell a square_tests: tests="a square" must be a name of at most 55 letters, digits, _ and -.',
        "cell a square_tests: points=-5 must be a number above 0.",
        "cell 'print(\"points for nothing\")': points=95 is only for tests and written cells; remove it.",
        'cell double: the exercise has no tests cell after it; add # %% tests="double" points=….',
    ],
    "11_regions": [
        'cell double: exercise="double" has no SOLUTION region (### BEGIN SOLUTION … ### END SOLUTION).',
        "cell double_tests: unknown marker '### BEGIN HIDEN TESTS'; regions are SOLUTION, HIDDEN TESTS, MARK SCHEME.",
        "cell double_tests: END HIDDEN TESTS has no BEGIN HIDDEN TESTS before it.",
        'cell double_tests: tests="double" has no HIDDEN TESTS region (### BEGIN HIDDEN TESTS … ### END HIDDEN TESTS).',
        "cell halve: BEGIN SOLUTION has no END SOLUTION.",
        "cell halve_tests: BEGIN MARK SCHEME is inside the region HIDDEN TESTS; end that one first.",
        "cell '### BEGIN SOLUTION': a SOLUTION region belongs in a cell with exercise=… or written=…; here it would not be removed correctly.",
    ],
    "12_pairs": [
        'cell double_tests: tests="double" has no visible check: add one, e.g. checks.nb01.double(double), above the hidden tests.',
        'cell why: written="why" has no question: add it above the mark scheme.',
        "cell double: the id is used 2 times; every cell needs its own.",
        'cell double_tests: there is no # %% exercise="double" before it.',
        'cell double: the exercise has no tests cell after it; add # %% tests="double" points=….',
        "all cells: the points add up to 90, not 100.",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_solution_file_is_refused_with_every_fault_named(tmp_path, name):
    course = course_with(tmp_path, FIXTURES / "broken" / f"{name}.py")
    assert build(root=course) == [f"{name}, {fault}" for fault in BROKEN[name]]
    assert not (course / "notebooks").exists() and not (course / "build").exists()


def test_faults_of_all_files_are_reported_together(tmp_path):
    course = course_with(tmp_path, FIXTURES / "00_tiny.py", *(FIXTURES / "broken").glob("1[0-2]*.py"))
    assert len(build(root=course)) == sum(map(len, BROKEN.values()))


def test_a_hint_that_gives_the_solution_away_is_refused(tmp_path):
    course = course_with(tmp_path, FIXTURES / "broken" / "13_leak.py")
    (problem,) = build(root=course)
    assert problem.startswith("notebooks/13_leak/13_leak.ipynb, cell ")
    assert problem.endswith(": shows lines of norm's SOLUTION, which students must not see.")
    assert not (course / "notebooks").exists()


@pytest.mark.parametrize(
    ("name", "encoding", "line"),
    [
        ("00_tiny.py", "latin-1", 2),
        ("00_tiny.py", "utf-16", 1),
        ("00_flashcards.md", "cp1252", 2),
    ],
)
def test_a_source_in_another_encoding_is_told_with_its_line(course, name, encoding, line):
    source = course / "solutions" / name
    source.write_bytes(("# \n# naïve\n" + source.read_text(encoding="utf-8")).encode(encoding, errors="replace"))
    shutil.copy(FIXTURES / "broken" / "10_roles.py", course / "solutions")
    problem, *others = build(root=course)
    assert others == [f"10_roles, {fault}" for fault in BROKEN["10_roles"]]
    assert problem.startswith(f"{name} should be in UTF-8, but line {line} is not (")
    assert not (course / "notebooks").exists()


@pytest.mark.parametrize("name", ["00_tiny.py", "00_flashcards.md"])
def test_a_byte_order_mark_changes_nothing(course, name):
    build(root=course)
    before = {path: path.read_bytes() for path in (course / "notebooks").rglob("*.*")}
    source = course / "solutions" / name
    source.write_bytes(codecs.BOM_UTF8 + source.read_bytes())
    assert build(root=course, check=True) == []
    assert build(root=course) == []
    assert {path: path.read_bytes() for path in (course / "notebooks").rglob("*.*")} == before


def test_a_folder_without_solutions_is_an_error(tmp_path):
    (problem,) = build(root=tmp_path)
    assert problem.startswith("There is no solution file")


# ---------------------------------------------------------------- what it refuses in notebooks/


@pytest.fixture
def built(course):
    assert build(root=course) == []
    return course / "notebooks" / "00_tiny" / "00_tiny.ipynb"


def check(built):
    return build(check=True, root=built.parents[2])


def edit(path, change):
    nb = json.loads(path.read_text())
    change(nb)
    path.write_text(json.dumps(nb, indent=1, ensure_ascii=False) + "\n")


def test_check_names_the_cell_that_is_stale_and_leaves_it(built):
    solutions = built.parents[2] / "solutions" / "00_tiny.py"
    solutions.write_text(solutions.read_text().replace("Returns twice x.", "Returns x, twice."))
    before = built.read_bytes()
    assert check(built) == [
        "notebooks/00_tiny/00_tiny.ipynb does not match solutions/ (cells double differ); "
        "run `course build` and commit it.",
        "helpers/checks/borrowed.bin does not match solutions/; run `course build` and commit it.",
    ]
    assert built.read_bytes() == before


def test_check_finds_a_stale_flashcard_file(built):
    (built.parent / "flashcards.md").write_text("Q: old\nA: older\n")
    assert check(built) == [
        "notebooks/00_tiny/flashcards.md does not match solutions/; run `course build` and commit it."
    ]


def test_check_finds_a_missing_and_a_left_over_notebook(built):
    built.rename(built.with_name("old.ipynb"))
    assert check(built) == [
        "notebooks/00_tiny/00_tiny.ipynb is missing; run `course build` and commit it.",
        "notebooks/00_tiny/old.ipynb has no source in solutions/; delete it.",
    ]


def test_check_finds_outputs_and_widget_state(built):
    def run_it(nb):
        nb["metadata"]["widgets"] = {}
        nb["cells"][1] |= {"execution_count": 1}

    edit(built, run_it)
    (problem,) = check(built)
    assert "widget state is stored" in problem
    assert "cell setup: it has outputs or an execution count" in problem


def test_check_finds_a_notebook_that_is_not_one(built):
    built.write_text("{")
    (problem,) = check(built)
    assert "it can't be read as a notebook" in problem


def test_check_finds_a_solution_beside_the_notebook(built):
    shutil.copy(FIXTURES / "00_tiny.py", built.with_suffix(".py"))
    problems = check(built)
    for leak in (
        "has the marker '### BEGIN SOLUTION'",
        "shows lines of mean's SOLUTION",
        "shows lines of mean_tests's HIDDEN TESTS",
        "shows lines of why_mean's MARK SCHEME",
    ):
        assert f"notebooks/00_tiny/00_tiny.py {leak}, which students must not see." in problems


def test_check_finds_a_notebook_with_a_solution_in_it(built):
    solved = built.parents[2] / "build" / "source" / "00_tiny" / "00_tiny.ipynb"
    shutil.copy(solved, built)
    problems = "\n".join(check(built))
    assert "does not match solutions/" in problems
    assert "cell mean: shows lines of mean's SOLUTION" in problems
    assert "cell why_mean_question: has the marker '### BEGIN MARK SCHEME'" in problems
