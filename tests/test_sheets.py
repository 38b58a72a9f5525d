"""Students' own sheets: each student's checks draw other inputs, and all can earn the same points."""

from __future__ import annotations

import ast
import csv
import importlib
import json
import sys
from copy import deepcopy

import nbformat
import pytest
import torch
from instructor import ROOT, Instructor
from judge import FIXTURES, answers_to, cells_of, solutions_in
from nbgrader.utils import compute_checksum
from test_course_grade import graded_by_hand
from typer.testing import CliRunner

from course.build import build, read_solution, release, solve
from course.cli import app
from course.grade.feedback import explained, reports_kept
from course.grade.reading import read
from course.grade.repair import repair, repair_files
from course.grade.run import grade_all, table, write_csv
from course.sheets import FOLDER, SECRET, Owners, own_sheet, restored, sheet_of, with_sheet
from course.students import students_in
from helpers import checks
from helpers.checks import cases
from helpers.checks.cases import Exercise, for_points
from helpers.checks.expect import expect
from helpers.errors import PlainError

NAME = "00_tiny"
TINY = FIXTURES / f"{NAME}.py"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    """A secret to make sheets from, and afterwards the sheet of this process as it was."""
    monkeypatch.setenv(SECRET, "only the instructor knows this")
    monkeypatch.setattr(cases, "_sheet", [])


@pytest.fixture(scope="module")
def solution(tmp_path_factory):
    """The tiny solution file, whose set-up imports `checks`, as that of every notebook of the course does."""
    file = tmp_path_factory.mktemp("tiny") / TINY.name
    file.write_text(TINY.read_text("utf-8").replace("import random\n", "import random\n\nfrom helpers import checks\n"))
    return file


@pytest.fixture(scope="module")
def released(solution):
    return release(solve(read_solution(solution)))


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


# ---------------------------------------------------------------- what is drawn


def inputs_of(exercise: Exercise, sheet: str = "") -> list:
    """What an exercise's check gives to an answer; without a sheet what it gives to all."""
    seen = []
    cases._sheet[:] = [sheet] if sheet else []
    exercise.run(lambda *inputs, **options: seen.append(repr((inputs, options))))
    return seen


@pytest.mark.quick
@pytest.mark.parametrize("name", ["nb01.add_noise", "nb02.contrastive_loss", "nb03.mask_labels", "nb07.prompts_in"])
def test_a_sheet_draws_the_same_inputs_each_time_and_no_others_draws_them(name):
    module, exercise = name.split(".")
    exercise = getattr(getattr(checks, module), exercise)
    ada, bob = own_sheet("ada"), own_sheet("bob")
    assert inputs_of(exercise, ada) == inputs_of(exercise, ada)
    assert len({str(inputs_of(exercise, sheet)) for sheet in ("", ada, bob)}) == 3


def recorded(answer, kept: list):
    """An answer that keeps what it returns."""

    def record(*inputs, **options):
        kept.append(answer(*inputs, **options))
        return deepcopy(kept[-1])

    return record


@pytest.mark.quick
@pytest.mark.parametrize("name", ["add_noise", "guide"])
def test_pasted_results_win_on_the_sheet_they_are_from_and_lose_on_another(name):
    namespace = {"torch": torch}
    exec(solutions_in(ROOT / "solutions" / "01_diffusion_basics.py")[name], namespace)
    exercise, kept = getattr(checks.nb01, name), []
    checks.sheet(own_sheet("ada"))
    assert exercise.run(recorded(namespace[name], kept)).share == 1
    pasted = iter(kept)
    again = exercise.run(lambda *inputs, **options: next(pasted))
    assert sum(outcome.case.share for outcome in again.outcomes if outcome.passed) >= 80
    checks.sheet(own_sheet("bob"))
    pasted = iter(kept)
    assert exercise.run(lambda *inputs, **options: next(pasted)).share == 0
    assert exercise.run(namespace[name]).share == 1


@pytest.mark.quick
def test_hidden_inputs_are_the_same_for_all_and_feedback_shows_those_of_the_own_sheet(monkeypatch, capsys):
    seen, draw = [], Exercise("draw")

    @draw.core(100)
    def number(draw, rng):
        seen.append(rng.randrange(10**9))
        expect(draw(seen[-1]), f"It fails for {seen[-1]}.")

    for sheet in ("", own_sheet("ada"), own_sheet("bob")):
        cases._sheet[:] = [sheet] if sheet else []
        with reports_kept() as kept:
            for_points(10)
            assert draw(lambda number: False) == 0
        assert explained(kept[0])["cases"][0]["visible"]["says"] == f"It fails for {seen[-1]}."
    hidden, visible = seen[::2], seen[1::2]
    assert len(set(hidden)) == 1 and len({*visible, *hidden}) == 4


# ---------------------------------------------------------------- making them


@pytest.mark.quick
def test_a_sheet_hangs_on_the_student_and_the_secret_alone(monkeypatch):
    made = own_sheet("ada")
    assert own_sheet("ada") == made != own_sheet("bob") and len(made) == 16
    assert own_sheet("Zoe\u0308") == own_sheet("Zo\u00eb")
    monkeypatch.setenv(SECRET, "another")
    assert own_sheet("ada") != made
    monkeypatch.setenv(SECRET, " ")
    with pytest.raises(PlainError, match=SECRET):
        own_sheet("ada")


@pytest.mark.quick
def test_an_own_notebook_differs_in_one_line_and_in_its_metadata_alone(released):
    own = with_sheet(released, own_sheet("ada"))
    line = f'\n\nchecks.sheet("{own_sheet("ada")}")  # the inputs of the checks below'
    setup = cell(own, "setup")
    assert setup.source == cell(released, "setup").source + line
    assert (
        setup.metadata.nbgrader.checksum
        == compute_checksum(setup)
        != cell(released, "setup").metadata.nbgrader.checksum
    )
    assert own.metadata.picture_this == {"sheet": own_sheet("ada")}
    setup.source, setup.metadata.nbgrader.checksum = (
        cell(released, "setup").source,
        cell(released, "setup").metadata.nbgrader.checksum,
    )
    del own.metadata["picture_this"]
    assert own == released and sheet_of(released) == ""
    assert with_sheet(with_sheet(released, "7"), "8") == with_sheet(released, "8")
    exec(cell(with_sheet(released, "7"), "setup").source, {})
    assert cases._sheet == ["7"]


@pytest.fixture
def folder(tmp_path, solution):
    """A course's folder with nothing but the tiny solution file."""
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / TINY.name).write_bytes(solution.read_bytes())
    return tmp_path


def files_in(folder) -> dict:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.quick
def test_sheets_are_written_beside_the_notebooks_which_stay_byte_by_byte(folder):
    assert build(root=folder) == []
    before = files_in(folder)
    assert build(root=folder, students=["ada", "bob"]) == []
    made = {name: text for name, text in files_in(folder).items() if name not in before}
    assert {name: text for name, text in files_in(folder).items() if name in before} == before
    assert made.keys() == {f"build/sheets/{student}/{NAME}/{NAME}.ipynb" for student in ("ada", "bob")}
    for student in ("ada", "bob"):
        own = nbformat.read(folder / FOLDER / student / NAME / f"{NAME}.ipynb", as_version=4)
        nbformat.validate(own)
        assert sheet_of(own) == own_sheet(student)
    assert build(root=folder, check=True) == []


@pytest.mark.quick
def test_a_seed_gives_all_students_another_sheet(folder):
    assert build(root=folder, seed=7) == []
    for place in ("notebooks", "build/source"):
        assert sheet_of(nbformat.read(folder / place / NAME / f"{NAME}.ipynb", as_version=4)) == "7"
    assert build(root=folder, seed=7, check=True) == []
    assert len(build(root=folder, check=True)) == 1


@pytest.mark.quick
def test_without_a_secret_nothing_is_built(folder, monkeypatch):
    monkeypatch.delenv(SECRET)
    with pytest.raises(PlainError, match=SECRET):
        build(root=folder, students=["ada"])
    assert files_in(folder).keys() == {f"solutions/{TINY.name}"}


@pytest.mark.quick
def test_ids_come_from_the_command_line_and_from_a_table(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("course.build.build", lambda **options: asked.update(options) or [])
    listed = tmp_path / "students.csv"
    listed.write_text("\ufefffirst_name,id\nBob,bob\n,cem \n,\n", "utf-8")
    made = CliRunner().invoke(app, ["build", "--student", "ada", "--students", str(listed), "--seed", "3"])
    assert made.exit_code == 0 and "3 students" in made.output
    assert (asked["students"], asked["seed"], asked["check"]) == (["ada", "bob", "cem"], 3, False)
    assert CliRunner().invoke(app, ["build", "--student", "ada", "--check"]).exit_code == 2
    assert CliRunner().invoke(app, ["build", "--student", "../ada"]).exit_code == 1
    listed.write_text("name\nada\n")
    with pytest.raises(PlainError, match="no column `id`"):
        students_in(listed)
    listed.write_bytes(b"id\n\xff\n")
    with pytest.raises(PlainError, match="UTF-8"):
        students_in(listed)
    with pytest.raises(PlainError, match="can't be read"):
        students_in(tmp_path / "missing.csv")


# ---------------------------------------------------------------- handing them in


def as_handed_in(notebook):
    return read(nbformat.writes(notebook))


@pytest.mark.quick
def test_repair_keeps_a_sheet(released, tmp_path):
    own = with_sheet(released, own_sheet("ada"))
    found = repair(as_handed_in(own), released)
    assert (found.notes, found.sheet) == ([], own_sheet("ada"))
    assert found.notebook == own
    place = tmp_path / "notebooks" / NAME / f"{NAME}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(released, place)
    nbformat.write(own, tmp_path / f"{NAME}.ipynb")
    (line,) = repair_files([tmp_path / f"{NAME}.ipynb"], root=tmp_path, write=True)
    assert line.endswith(f"({NAME}, sheet {own_sheet('ada')}): nothing to repair.")
    assert sheet_of(nbformat.read(tmp_path / f"{NAME}.repaired.ipynb", as_version=4)) == own_sheet("ada")


@pytest.mark.quick
@pytest.mark.parametrize("lost", ["line", "metadata", "marks", "cell", "own line"])
def test_what_a_notebook_loses_of_its_sheet_is_restored(released, lost):
    own, damaged = (with_sheet(released, own_sheet("ada")) for _ in range(2))
    setup = cell(damaged, "setup")
    if lost == "line":
        setup.source = cell(released, "setup").source
    elif lost == "own line":
        setup.source = setup.source.replace(own_sheet("ada"), own_sheet("bob"))
    elif lost == "cell":
        damaged.cells.remove(setup)
    else:
        damaged.metadata.clear()
    if lost == "marks":
        for each in damaged.cells:
            each.metadata.clear()
    found = repair(as_handed_in(damaged), released)
    assert found.sheet == own_sheet("ada")
    assert cell(found.notebook, "setup") == cell(own, "setup")
    assert [each.source for each in found.notebook.cells if "nbgrader" in each.metadata] == [
        each.source for each in own.cells if "nbgrader" in each.metadata
    ]


@pytest.mark.quick
@pytest.mark.parametrize("sheet", ["A", "a" * 33, 'a"); print("', "é", "", None, ["a"], {"a": 1}])
def test_what_is_no_sheet_is_left_out(released, sheet):
    damaged = json.loads(nbformat.writes(released))
    damaged["metadata"]["picture_this"] = {"sheet": sheet}
    setup = next(each for each in damaged["cells"] if each["id"] == "setup")
    setup["source"] = [*setup["source"], f'\n\nchecks.sheet("{sheet}")' if isinstance(sheet, str) else ""]
    found = repair(read(json.dumps(damaged)), released)
    assert found.sheet == "" and cell(found.notebook, "setup") == cell(released, "setup")


@pytest.mark.quick
def test_no_tests_cell_gets_the_line(released):
    """It would end with None in place of its points, and for nbgrader this means all of them."""
    solved = solve(read_solution(TINY))
    tests = cell(solved, "double_tests")
    tests.source = "from helpers import checks\n\nchecks.for_points(30)\nchecks.nb00.double(double)"
    assert restored(tests, f'{tests.source}\nchecks.sheet("a")') == tests.source
    setup = cell(released, "setup")
    assert restored(setup, f'{setup.source}\nchecks.sheet("a")') == cell(with_sheet(released, "a"), "setup").source
    assert sheet_of(with_sheet(solve(read_solution(TINY)), "a")) == ""  # a notebook without checks has no sheet


@pytest.mark.quick
def test_whose_sheet_it_is_is_said(monkeypatch):
    ada, bob, cem = map(own_sheet, ("ada", "bob", "cem"))
    owners = Owners({"ada", "bob"}, {"ada", "dee"})
    assert owners.remark("ada", ada, "") == owners.remark("dee", "", "") == owners.remark("dee", "7", "7") == ""
    assert owners.remark("ada", bob, "") == "This is the sheet of bob."
    assert owners.remark("ada", cem, "") == "This is a sheet of none of these students."
    assert owners.remark("ada", "7", "7") == "This is not ada's own sheet, but everybody's."
    monkeypatch.delenv(SECRET)
    assert "COURSE_SHEET_SECRET is not set" in Owners({"ada"}, {"dee"}).remark("ada", ada, "")


def test_course_grade_takes_sheets_and_reports_those_of_others(tmp_path, solution, monkeypatch):
    instructor = Instructor(tmp_path / "course", solution)
    root = instructor.root
    (root / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    assert build(root=root, students=["ada", "bob", "cem"]) == []
    for student, owner in {"ada": "ada", "bob": "ada", "cem": ""}.items():
        place = root / "handed_in" / student / NAME
        place.mkdir(parents=True)
        own = root / FOLDER / owner if owner else root / "notebooks"
        (place / f"{NAME}.ipynb").write_bytes((own / NAME / f"{NAME}.ipynb").read_bytes())
    asked = graded_by_hand(monkeypatch)
    rows = grade_all(root / "handed_in", root=root, sandboxed=False)
    assert {row.student: (row.sheet, row.remark) for row in rows} == {
        "ada": (own_sheet("ada"), ""),
        "bob": (own_sheet("ada"), "This is the sheet of ada."),
        "cem": ("", "This is not cem's own sheet, but everybody's."),
    }
    assert {row.points for row in rows} == {7}
    assert [sheet_of(task["submitted"]) for task in asked] == [own_sheet("ada"), ""]
    for student in ("ada", "bob"):
        graded = nbformat.read(root / "autograded" / student / NAME / f"{NAME}.ipynb", as_version=4)
        assert f'checks.sheet("{own_sheet("ada")}")' in "".join(each.source for each in graded.cells)
    assert "    sheet  This is the sheet of ada." in table(rows).splitlines()
    write_csv(rows, tmp_path / "grades.csv")
    with (tmp_path / "grades.csv").open(newline="") as file:
        written = {row["student"]: (row["sheet"], row["remark"]) for row in csv.DictReader(file)}
    assert written["bob"] == (own_sheet("ada"), "This is the sheet of ada.")


def test_without_sheets_the_table_of_points_is_as_before(tmp_path):
    from course.grade.run import Row

    write_csv([Row("ada", NAME, "double", 7, 30)], tmp_path / "grades.csv")
    assert (tmp_path / "grades.csv").read_text().splitlines() == [
        "student,assignment,exercise,points,of,why",
        f"ada,{NAME},double,7,30,",
    ]


# ---------------------------------------------------------------- right answers

CHEAP = {
    "01": ("add_noise", "guide"),
    "02": ("patchify", "attend", "contrastive_loss", "sigmoid_loss"),
    "03": ("merge_image_tokens", "mask_labels", "pixel_shuffle", "tile", "parse_reply", "data_url"),
    "04": ("readable", "chat_prompt"),
    "05": ("recall_at_k", "fuse", "rerank"),
    "06": ("best_of_n", "until_accepted"),
    "07": ("prompts_in",),
}
"""Exercises, by notebook, whose checks take milliseconds."""
LIGHT = {*sys.stdlib_module_names, "PIL", "helpers", "numpy", "pandas", "torch"}
"""What their answers use of what the set-up cells import."""
SHEETS = 5


@pytest.mark.quick
@pytest.mark.parametrize("number", CHEAP)
def test_right_answers_win_on_every_sheet(number):
    (solution,) = (ROOT / "solutions").glob(f"{number}_*.py")
    locked = [ast.parse(cell.source) for cell in cells_of(solution) if "locked" in cell.metadata]
    imports = [node for tree in locked for node in tree.body if _module(node).split(".")[0] in LIGHT]
    exec(compile(ast.Module(imports, []), solution.name, "exec"), namespace := {})
    right = [answer for some in answers_to(solution) for answer in some if answer.kind == "right"]
    tried = [answer for answer in right if answer.exercise in CHEAP[number] and not answer.calls]
    assert {answer.exercise for answer in tried} == {*CHEAP[number]}
    lost = []
    for answer in tried:
        exec(answer.source, own := {**namespace})
        exercise = getattr(importlib.import_module(f"helpers.checks.nb{number}"), answer.exercise)
        for student in range(SHEETS):
            checks.sheet(own_sheet(f"student {student}"))
            lost += [(answer.exercise, student, each.message) for each in exercise.run(own[answer.exercise]).failed]
    assert lost == []


def _module(node: ast.stmt) -> str:
    """The module from which a statement imports, or ""."""
    if isinstance(node, ast.ImportFrom):
        return node.module or ""
    return node.names[0].name if isinstance(node, ast.Import) else ""
