"""`helpers.ready_to_hand_in()` says what is still missing in a notebook, from its file and from what has run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from course.build import read_solution, release, solve
from helpers import ready_to_hand_in
from helpers.checks import borrowing
from helpers.errors import PlainError

TINY = Path(__file__).parent / "fixtures" / "00_tiny.py"

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def released():
    return json.dumps(release(solve(read_solution(TINY))))


@pytest.fixture
def notebook(released):
    """The student's notebook, solved; a dict of cells by their id."""
    cells = {cell["id"]: cell for cell in json.loads(released)["cells"]}
    cells["double"]["source"] = "def double(x):\n    return 2 * x"
    cells["mean"]["source"] = "def mean(values):\n    return sum(values) / len(values)"
    cells["centre"]["source"] = "def centre(values):\n    return [value - mean(values) for value in values]"
    cells["why_mean"]["source"] = "Because what is left then has the mean 0."
    return cells


@pytest.fixture
def report(notebook, tmp_path, monkeypatch, capsys):
    """Saves the notebook, runs its cells and returns what ready_to_hand_in() prints at its end."""
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(borrowing, "FILE", tmp_path / "borrowed.bin")
    monkeypatch.setenv("JPY_SESSION_NAME", "00_tiny.ipynb")
    monkeypatch.chdir(tmp_path)
    own = "def {}(*_):\n    return 1\n"
    borrowing.FILE.write_bytes(
        borrowing.packed({f"00/{name}": own.format(name) for name in ("double", "mean", "centre")})
    )

    def report(save="00_tiny.ipynb", first="", run=None):
        if save:
            Path(save).write_text(json.dumps({"cells": list(notebook.values())}), "utf-8")
        for source in [first, *(cell["source"] for cell in notebook.values() if cell["cell_type"] == "code")]:
            shell.run_cell(source, store_history=True)
        capsys.readouterr()
        ready_to_hand_in()
        return capsys.readouterr().out

    return report


STUB = 'def double(x):\n    raise NotImplementedError("double: put your code here, in place of this line.")'


def test_a_notebook_that_is_solved_and_whole_is_ready(report):
    assert report() == (
        "Nothing is missing; whether it is right, the checks in the notebook say.\n"
        "(This is about 00_tiny.ipynb as it was last saved.)\n"
    )


def test_the_released_notebook_lacks_everything_that_a_student_writes(released, report, notebook):
    notebook.update({cell["id"]: cell for cell in json.loads(released)["cells"]})
    lines = report().splitlines()
    assert lines[:-1] == [
        "double is not written yet.",
        "mean is not written yet.",
        "centre is not written yet.",
        "why_mean is not answered yet.",
    ]


@pytest.mark.parametrize(
    ("cell", "source", "said"),
    [
        ("double", STUB, "double is not written yet."),
        ("double", "", "double is not written yet."),
        ("mean", "mean = 1 / 0", "mean is missing here: run its cell, and see whether it raises an error."),
        (
            "mean",
            "import helpers.checks\nmean = helpers.checks.borrow('mean', '00')",
            "mean is the course's own version,",
        ),
        ("setup", "seed = 5", "setup was changed, but is graded as it was released"),
        ("mean_tests", "assert True", "mean_tests was changed, but is graded as it was released"),
        ("why_mean_question", "What?", "why_mean_question was changed, but is graded as it was released"),
    ],
)
def test_each_thing_that_is_missing_is_one_sentence(report, notebook, cell, source, said):
    notebook[cell]["source"] = source
    lines = report().splitlines()
    assert lines[0].startswith(said) and len(lines) == 2


@pytest.mark.parametrize("name", ["double_tests", "why_mean_question"])
def test_a_deleted_locked_cell_is_missed(report, notebook, name):
    del notebook[name]
    assert report().startswith(f"{name} is missing in the file; a grader puts it back.")


def test_a_deleted_exercise_is_missed(report, notebook):
    del notebook["mean"], notebook["mean_tests"]
    assert report().startswith("mean is not written yet.")


def test_an_exercise_written_in_another_cell_counts(report, notebook):
    notebook["own"] = notebook["double"] | {"id": "own", "metadata": {}}
    notebook["double"] = notebook["double"] | {"source": STUB}
    assert report().startswith("Nothing is missing")


def test_what_is_not_saved_yet_is_said(report, notebook):
    solved, notebook["double"]["source"] = notebook["double"]["source"], STUB
    report()
    notebook["double"]["source"] = solved
    assert report(save="").startswith("double is written, but not in the file: save the notebook.")


def test_a_file_without_nbgraders_marks_is_looked_at_all_the_same(report, notebook):
    for cell in notebook.values():
        cell["metadata"] = {"id": "x"}
    notebook["double"]["source"] = STUB
    said = report()
    assert said.startswith("double is not written yet.\nThe file has lost the marks of its cells")


def test_without_the_file_what_has_run_is_reported(report, notebook, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("helpers.checks.nb")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "helpers.checks.nb00", object())
    notebook["double"]["source"] = STUB
    lines = report(save="").splitlines()
    assert lines == [
        "double is not written yet.",
        "The notebook's file can't be found or read from here, so its cells were not looked at.",
    ]


@pytest.mark.parametrize("session", ["notebooks/00_tiny.ipynb", "/elsewhere/00_tiny.ipynb", "", "00_tiny-0a1b-kernel"])
def test_the_file_is_found_by_its_name_or_by_its_cells(report, monkeypatch, tmp_path, session):
    monkeypatch.setenv("JPY_SESSION_NAME", session)
    (tmp_path / "other.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "1", "metadata": {}}]}')
    (tmp_path / "broken.ipynb").write_text("no JSON")
    assert "(This is about 00_tiny.ipynb as it was last saved.)" in report()


def test_where_nothing_is_known_nothing_is_promised(report, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("helpers.checks.nb")]:
        monkeypatch.delitem(sys.modules, name)
    assert report(save="") == "The notebook's file can't be found or read from here, so its cells were not looked at.\n"


def test_outside_a_notebook_it_says_where_to_run_it(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    with pytest.raises(PlainError, match="run it in the notebook's last cell"):
        ready_to_hand_in()


def test_of_two_copies_neither_is_taken_for_the_file(report, monkeypatch, tmp_path):
    monkeypatch.delenv("JPY_SESSION_NAME")
    report()
    (tmp_path / "copy.ipynb").write_bytes((tmp_path / "00_tiny.ipynb").read_bytes())
    assert "can't be found" in report(save="")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"cells": 1}', '{"cells": [1]}', '{"cells": [{"source": null}]}', "\ufeff{}"]
)
def test_a_damaged_file_is_no_error(report, tmp_path, text):
    (tmp_path / "00_tiny.ipynb").write_text(text, "utf-8")
    assert "can't be found or read" in report(save="")


def test_damaged_marks_are_no_error(report, notebook):
    notebook["centre_tests"]["source"] += "\ud800"
    notebook["double_tests"]["metadata"]["nbgrader"] = {"grade_id": "double_tests", "grade": True, "points": "many"}
    notebook["mean_tests"]["metadata"]["nbgrader"] = ["grade"]
    assert "double_tests is missing in the file" in report()


def test_it_is_exported_without_making_helpers_slow_to_import():
    code = "import sys, helpers; assert not {'IPython', 'helpers.checks'} & {*sys.modules}; helpers.ready_to_hand_in"
    subprocess.run([sys.executable, "-c", code], check=True)
