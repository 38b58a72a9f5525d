"""What happens to students by accident costs them no points that they earned, and costs other students nothing.

All on the tiny notebook, in one batch; and unit tests of the classes in course/nbgrader_hooks.py.
"""

import copy
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from instructor import ROOT, Instructor
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import determine_grade

from course.nbgrader_hooks import PartialCredit

TINY = Path(__file__).parent / "fixtures" / "00_tiny.py"

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

# Each mishap takes the solved notebook and does to it what a student might; beside it, what it may cost.
ALL = {
    "double_tests": 30,
    "mean_tests": 30,
    "centre_tests": 30,
    "why_mean": None,
}  # None: a person has to look


def index(notebook, grade_id):
    return next(i for i, cell in enumerate(notebook.cells) if cell.id == grade_id)


def cell(notebook, grade_id):
    return notebook.cells[index(notebook, grade_id)]


def copied_cells(notebook):
    for at, grade_id in enumerate(["mean_tests", "double", "double_tests", "setup", "why_mean"]):
        twin = copy.deepcopy(cell(notebook, grade_id))
        twin.id = f"copy-{at}"
        notebook.cells.insert(index(notebook, grade_id), twin)


def deleted_cells(notebook):
    gone = {"setup", "double", "double_tests", "mean_tests", "why_mean_question", "why_mean"}
    notebook.cells = [c for c in notebook.cells if c.id not in gone]


def lost_metadata(notebook):
    for c in notebook.cells:
        c.metadata.pop("nbgrader", None)


def edited_tests(notebook):
    tests = cell(notebook, "double_tests")
    tests.source = "assert False"
    tests.metadata.nbgrader.points = 1000
    cell(notebook, "mean_tests").cell_type = "raw"
    del cell(notebook, "mean_tests")["outputs"], cell(notebook, "mean_tests")["execution_count"]
    cell(notebook, "setup").source = "seed = 'mine'"


def damaged_metadata(notebook):
    cell(notebook, "double_tests").metadata.nbgrader = {"grade": True}
    cell(notebook, "mean_tests").metadata.nbgrader.schema_version = 1
    cell(notebook, "centre").metadata.nbgrader.grade_id = "from_another_notebook"


def warnings_and_progress_bars(notebook):
    cell(notebook, "double").source = (
        "import sys, warnings\n"
        "def double(x):\n"
        "    warnings.warn('old function')\n"
        "    print('100%|####|', file=sys.stderr)\n"
        "    print(file=sys.stderr)\n"
        "    return 2 * x"
    )


def a_kernel_that_dies(notebook):
    cell(notebook, "centre").source = "import os\ndef centre(values):\n    os._exit(1)"


def an_endless_loop(notebook):
    cell(notebook, "mean").source = "def mean(values):\n    while True:\n        pass"
    cell(notebook, "centre").source = "def centre(values):\n    return [v - sum(values) / len(values) for v in values]"


def a_loop_that_cannot_be_interrupted(notebook):
    cell(notebook, "mean").source = (
        "import signal, time\n"
        "def mean(values):\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "    while True:\n"
        "        time.sleep(1)"
    )


def a_number_shown_before_the_error(notebook):
    cell(notebook, "double").source = "import sys\ndef double(x):\n    sys.displayhook(30)\n    return 0"


def two_numbers_shown(notebook):
    cell(notebook, "centre").source = "import sys\ndef centre(values):\n    sys.displayhook(30)\n    return [-1, 1]"


def an_error_in_the_students_code(notebook):
    cell(notebook, "double").source = "def double(x):\n    return 2 * x if x == 2 else x / 'two'"


MISHAPS = {
    copied_cells: ALL,
    deleted_cells: ALL | {"double_tests": 0},
    lost_metadata: ALL,
    edited_tests: ALL,
    damaged_metadata: ALL,
    warnings_and_progress_bars: ALL,
    a_kernel_that_dies: ALL | {"centre_tests": 0},
    an_endless_loop: ALL | {"mean_tests": 0},
    a_loop_that_cannot_be_interrupted: ALL | {"mean_tests": 0, "centre_tests": 0},
    a_number_shown_before_the_error: ALL | {"double_tests": 0},
    two_numbers_shown: ALL | {"centre_tests": 0},
    an_error_in_the_students_code: ALL | {"double_tests": 0},
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    instructor = Instructor(tmp_path_factory.mktemp("mishaps") / "course", TINY, cell_timeout=10)
    for mishap in MISHAPS:
        notebook = instructor.solved
        mishap(notebook)
        instructor.hand_in(mishap.__name__, notebook)
    instructor.grade()
    return instructor


@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
def test_a_mishap_costs_what_it_must_and_no_more(graded, mishap):
    assert graded.scores(mishap.__name__) == MISHAPS[mishap]


def feedback(instructor, mishap):
    return html.unescape(re.sub(r"<[^>]*>", "", instructor.feedback(mishap.__name__)))


def test_feedback_shows_the_line_of_the_students_code_that_failed(graded):
    text = feedback(graded, an_error_in_the_students_code)
    assert "TypeError: unsupported operand" in text
    # In the exercise, in the error of the cell that tries it out, and in the error of the tests.
    assert len(re.findall("x / 'two'", text)) == 3
    assert "BEGIN HIDDEN" not in text and "repeat a text" not in text


def test_feedback_says_why_a_cell_has_no_points(graded):
    assert "stopped after 300 seconds. Is there a loop that never ends?" in feedback(graded, an_endless_loop)
    assert "Python stopped in this cell" in feedback(graded, a_kernel_that_dies)
    assert "should end with an assert, or with one number" in feedback(graded, two_numbers_shown)


# ---------------------------------------------------------------- partial credit


def score(*outputs):
    """The points, of 10, for a tests cell with these outputs."""
    cell = new_code_cell("float(score)", outputs=list(outputs))
    cell.metadata.nbgrader = {"grade": True, "solution": False, "points": 10, "grade_id": "a_tests"}
    cell, _ = PartialCredit().preprocess_cell(cell, {}, 0)
    points, most = determine_grade(cell)
    assert most == 10
    return points


def result(text):
    return new_output("execute_result", data={"text/plain": text}, execution_count=1)


@pytest.mark.parametrize(("shown", "points"), [("0.0", 0), ("2.5", 2.5), ("7", 7), ("10.0", 10), ("11.5", 10)])
def test_a_plain_number_is_partial_credit_up_to_the_maximum(shown, points):
    assert score(result(shown)) == points


@pytest.mark.parametrize(
    "shown",
    ["-1", "nan", "inf", "None", "False", "True", "'0.5'", "tensor(0.5)", "np.float64(0.5)", "[5]", ""],
)
def test_any_other_value_is_no_credit(shown):
    assert score(result(shown)) == 0


def test_a_picture_is_no_credit():
    assert score(new_output("execute_result", data={"image/png": "iVBORw0K"}, execution_count=1)) == 0


def test_no_value_is_full_credit_and_an_error_is_none():
    error = new_output("error", ename="AssertionError", evalue="", traceback=[])
    assert score(new_output("stream", name="stdout", text="checked")) == 10
    assert score(error) == 0
    assert score(result("10.0"), error) == 0


# ---------------------------------------------------------------- the commands that an instructor types


def test_the_nbgrader_command_works_in_a_course_folder_without_an_activated_environment(tmp_path):
    from course.build import build

    (tmp_path / "solutions").mkdir()
    shutil.copy(TINY, tmp_path / "solutions")
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    assert build(root=tmp_path) == []
    built = {file: file.read_bytes() for file in (tmp_path / "notebooks").rglob("*.ipynb")}
    environment = os.environ | {"PATH": "/usr/bin:/bin"}
    for _ in range(2):  # the second time, the release and the gradebook are there already
        subprocess.run(
            [sys.executable, "-m", "nbgrader", "generate_assignment", "00_tiny"],
            cwd=tmp_path,
            env=environment,
            check=True,
        )
    assert {file: file.read_bytes() for file in (tmp_path / "notebooks").rglob("*.ipynb")} == built
    assert (tmp_path / "gradebook.db").exists()
