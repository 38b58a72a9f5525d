"""Notebooks that students damage without meaning to, as data: repaired, they lose no line and earn what was earned.

Each damage takes the solved notebook, as the JSON in its file, and changes it, or returns another text for the file.
"""

import codecs
import copy
import json
import random
import re
import warnings
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from course.build import read_solution, release, solve
from course.grade.plan import role
from course.grade.repair import read, read_file, repair, repair_files
from helpers.errors import PlainError

TINY = Path(__file__).parent / "fixtures" / "00_tiny.py"

pytestmark = pytest.mark.quick

ANSWERS = {
    "double": 'def double(x):\n    """Returns twice x."""\n    two = 2\n    return two * x',
    "mean": (
        'def mean(values):\n    """Returns the arithmetic mean of a list of numbers."""\n    if not values:\n'
        '        raise ValueError("no numbers")\n    return sum(values) / len(values)'
    ),
    "centre": "def centre(values):\n    middle = mean(values)\n    return [value - middle for value in values]",
    "why_mean": "What is left is the distance from the middle.\n\nA network learns it more easily.",
}
EXERCISES = ("double", "mean", "centre")
DAMAGES = {}
"""By name: the function, the answers that the graded cells must then have, and the exercises that earn nothing."""


def damage(fails=(), **answers):
    """Registers a damage; by default all exercises pass, and all answers are in their cells."""

    def register(function):
        DAMAGES[function.__name__] = function, ANSWERS | answers, set(fails)
        return function

    return register


def at(notebook, name):
    return next(i for i, cell in enumerate(notebook["cells"]) if cell["id"] == name)


def cell(notebook, name):
    return notebook["cells"][at(notebook, name)]


def new(source, kind="code", **more):
    made = {"cell_type": kind, "id": f"new-{abs(hash(source)) % 10**8}", "metadata": {}, "source": source} | more
    return made | ({"outputs": [], "execution_count": 3} if kind == "code" else {})


def put(notebook, place, *cells):
    notebook["cells"][place:place] = cells


def strip(notebook, *, ids=True):
    for each in notebook["cells"]:
        each["metadata"] = {}
        if ids:
            del each["id"]


def delete(notebook, *names):
    notebook["cells"] = [each for each in notebook["cells"] if each["id"] not in names]


def lines_of(notebook):
    """The lines of all cells of a file, each without the spaces around it, whatever form the cells have."""
    cells = [
        each for sheet in [notebook, *(notebook.get("worksheets") or [])] if sheet for each in sheet.get("cells", [])
    ]
    sources = [each.get("source", each.get("input")) if isinstance(each, dict) else each for each in cells]
    texts = [text for source in sources for text in (source if isinstance(source, list) else [source])]
    return {line.strip() for text in texts if isinstance(text, str) for line in text.splitlines()}


# ---------------------------------------------------------------- what is lost


@damage()
def nothing(notebook):
    pass


@damage()
def all_metadata_stripped(notebook):
    strip(notebook, ids=False)


@damage()
def metadata_and_ids_stripped(notebook):
    strip(notebook)


@damage()
def colab(notebook):
    for each in notebook["cells"]:
        each["metadata"] = {"id": each.pop("id"), "colab": {"base_uri": "https://localhost:8080/"}, "cellView": "form"}
    notebook |= {"nbformat_minor": 0, "metadata": {"colab": {"provenance": []}, "accelerator": "GPU"}}


@damage()
def colab_with_new_ids(notebook):
    for number, each in enumerate(notebook["cells"]):
        each["metadata"] = {"id": f"aB3_{number}-x"}
        del each["id"]


@damage()
def metadata_a_list_or_null(notebook):
    for number, each in enumerate(notebook["cells"]):
        each["metadata"] = [[], None, "nbgrader", {"nbgrader": None}, {"nbgrader": ["grade"]}][number % 5]
    notebook["metadata"] = None


@damage()
def odd_grade_ids(notebook):
    for each, odd in zip(notebook["cells"], [None, 3, ["double"], {}, "", "double\ud800"] * 3, strict=False):
        each["metadata"]["nbgrader"] = {"grade_id": odd}
        del each["id"]


@damage()
def grade_ids_of_another_notebook(notebook):
    for number, each in enumerate(notebook["cells"]):
        if "nbgrader" in each["metadata"]:
            each["metadata"]["nbgrader"]["grade_id"] = each["id"] = f"embed_texts_{number}"


@damage()
def points_and_kinds_changed_in_metadata(notebook):
    for each in notebook["cells"]:
        if marks := each["metadata"].get("nbgrader"):
            marks |= {"points": 1000, "grade": True, "locked": False, "solution": True, "schema_version": 1}
            each["metadata"] |= {"tags": "none", "collapsed": 1, "editable": "yes"}


@damage()
def metadata_that_is_deep(notebook):
    deep = []
    for _ in range(400):
        deep = [deep]
    for each in notebook["cells"]:
        each["metadata"]["deep"] = deep
    notebook["metadata"]["deep"] = deep


@damage()
def no_ids(notebook):
    for each in notebook["cells"]:
        del each["id"]


@damage()
def one_id_for_all(notebook):
    for each in notebook["cells"]:
        each["id"] = "double"


@damage()
def one_id_for_all_and_no_metadata(notebook):
    strip(notebook)
    for each in notebook["cells"]:
        each["id"] = "why_mean"


@damage()
def invalid_ids(notebook):
    odd = ["", " ", "é", "x" * 65, 7, None, "a/b", ["double"], "cell-9"]
    for number, each in enumerate(notebook["cells"]):
        each["id"] = odd[number % len(odd)]


@damage()
def ids_that_number_copies(notebook):
    put(notebook, 0, new("# my a", id="a"), new("# my b", id="a"), new("# my c", id="a-2"), new("# my d", id="a-2"))


# ---------------------------------------------------------------- cells moved, deleted, copied


@damage()
def moved_tests_above_their_exercise(notebook):
    for name in EXERCISES:
        put(notebook, at(notebook, name), notebook["cells"].pop(at(notebook, f"{name}_tests")))


@damage()
def moved_tests_above_everything(notebook):
    for name in EXERCISES:
        put(notebook, 0, notebook["cells"].pop(at(notebook, f"{name}_tests")))


@damage()
def an_exercise_moved_to_the_end(notebook):
    notebook["cells"].append(notebook["cells"].pop(at(notebook, "mean")))


@damage()
def setup_moved_to_the_end(notebook):
    notebook["cells"].append(notebook["cells"].pop(at(notebook, "setup")))


@damage()
def cells_upside_down(notebook):
    notebook["cells"].reverse()


@damage()
def cells_upside_down_without_metadata(notebook):
    notebook["cells"].reverse()
    strip(notebook)
    del notebook["cells"][at_question(notebook)]  # it would stand below its answer, which nobody could know
    put(notebook, 0, new("**Why do we subtract the mean?** Two or three sentences.", "markdown"))
    put(notebook, 1, notebook["cells"].pop(at_answer(notebook)))


def at_question(notebook):
    return next(i for i, each in enumerate(notebook["cells"]) if each["source"].startswith("**Why"))


def at_answer(notebook):
    return next(i for i, each in enumerate(notebook["cells"]) if each["source"] == ANSWERS["why_mean"])


@damage(fails=["double"], double=None)
def an_exercise_deleted(notebook):
    delete(notebook, "double")


@damage()
def deleted_tests(notebook):
    delete(notebook, "mean_tests")


@damage()
def setup_deleted(notebook):
    delete(notebook, "setup")


@damage()
def a_question_deleted(notebook):
    delete(notebook, "why_mean_question")


@damage(why_mean=None)
def an_answer_deleted(notebook):
    delete(notebook, "why_mean")


@damage(fails=["mean", "centre"], mean=None)
def several_neighbours_deleted(notebook):
    delete(notebook, "mean", "mean_tests", "49c2e2e465ab", "double_tests")


@damage(why_mean=None)
def the_end_deleted(notebook):
    del notebook["cells"][at(notebook, "centre_tests") :]


@damage(fails=EXERCISES, **dict.fromkeys(ANSWERS))
def everything_deleted(notebook):
    notebook["cells"] = []


@damage()
def a_stub_above_the_written_one(notebook):
    put(notebook, at(notebook, "double"), stub("double"))


@damage()
def a_stub_below_the_written_one(notebook):
    put(notebook, at(notebook, "double") + 1, stub("double"))


@damage()
def stubs_below_without_metadata(notebook):
    for name in EXERCISES:
        put(notebook, at(notebook, name) + 1, stub(name))
    strip(notebook)


@damage()
def stubs_above_without_metadata(notebook):
    for name in EXERCISES:
        put(notebook, at(notebook, name), stub(name))
    strip(notebook)


@damage()
def a_stub_below_the_tests(notebook):
    notebook["cells"].append(stub("mean") | {"metadata": {}, "id": "another"})


@damage()
def every_cell_twice(notebook):
    notebook["cells"] = [copy.deepcopy(each) for each in notebook["cells"] for _ in range(2)]


@damage()
def every_cell_twice_without_metadata(notebook):
    every_cell_twice(notebook)
    strip(notebook)


@damage()
def the_notebook_twice(notebook):
    notebook["cells"] += copy.deepcopy(notebook["cells"])


@damage()
def doubled_tests(notebook):
    put(notebook, at(notebook, "mean"), copy.deepcopy(cell(notebook, "mean_tests")))


@damage()
def a_question_twice(notebook):
    put(notebook, at(notebook, "why_mean"), copy.deepcopy(cell(notebook, "why_mean_question")))


@damage()
def a_question_and_its_answer_twice_the_second_written(notebook):
    question = copy.deepcopy(cell(notebook, "why_mean_question"))
    put(notebook, at(notebook, "why_mean"), stub("why_mean"), question)


@damage()
def the_same_without_metadata(notebook):
    a_question_and_its_answer_twice_the_second_written(notebook)
    strip(notebook)


@damage()
def an_exercise_copied_to_write_the_next(notebook):
    copied = cell(notebook, "double") | {"id": "new", "source": ANSWERS["mean"]}
    notebook["cells"][at(notebook, "mean")] = copied


@damage(mean="def mean(values):\n    return 'my second try'", fails=["mean", "centre"])
def two_tries_of_an_exercise(notebook):
    put(
        notebook,
        at(notebook, "mean") + 1,
        cell(notebook, "mean") | {"source": "def mean(values):\n    return 'my second try'"},
    )


# ---------------------------------------------------------------- exercises and answers in other cells


@damage(mean="import math\n\n" + ANSWERS["mean"])
def an_exercise_split_into_helper_and_function(notebook):
    written = cell(notebook, "mean")
    put(notebook, at(notebook, "mean"), written | {"source": "def my_helper():\n    return 1"})
    written["source"] = "import math\n\n" + ANSWERS["mean"]


@damage()
def an_exercise_split_into_function_and_trial(notebook):
    trial = cell(notebook, "mean") | {
        "source": "print(mean([1, 2]))"
    }  # JupyterLab copies metadata when it splits a cell
    put(notebook, at(notebook, "mean") + 1, trial)


@damage(double=ANSWERS["double"] + "\n\n\n" + ANSWERS["mean"], mean="# mean is written in the cell of double.")
def two_exercises_merged(notebook):
    cell(notebook, "double")["source"] += "\n\n\n" + ANSWERS["mean"]
    delete(notebook, "mean")


@damage(double=ANSWERS["double"] + "\n\n\n" + ANSWERS["mean"], mean="# mean is written in the cell of double.")
def two_exercises_merged_while_a_stub_stays(notebook):
    cell(notebook, "double")["source"] += "\n\n\n" + ANSWERS["mean"]
    cell(notebook, "mean")["source"] = stub("mean")["source"]


@damage(double=ANSWERS["double"] + "\n" + ANSWERS["mean"], mean="# mean is written in the cell of double.")
def two_exercises_merged_without_metadata(notebook):
    cell(notebook, "double")["source"] += "\n" + ANSWERS["mean"]
    cell(notebook, "49c2e2e465ab")["source"] = "print('my own trial', double(21))"
    delete(notebook, "mean")
    strip(notebook)


@damage(**dict.fromkeys(ANSWERS))
def everything_in_one_cell(notebook):
    notebook["cells"] = [new("\n\n".join(comment(each) for each in notebook["cells"]))]


def comment(each):
    return each["source"] if each["cell_type"] == "code" else re.sub("^", "# ", each["source"], flags=re.MULTILINE)


@damage()
def an_exercise_in_a_cell_of_its_own(notebook):
    put(notebook, at(notebook, "double") + 1, new(ANSWERS["double"]))
    cell(notebook, "double")["source"] = stub("double")["source"]


@damage()
def exercises_in_cells_of_their_own_above_the_stubs(notebook):
    for name in EXERCISES:
        put(notebook, at(notebook, name), new(ANSWERS[name]))
        cell(notebook, name)["source"] = stub(name)["source"]


@damage()
def an_exercise_in_a_cell_of_its_own_at_the_end(notebook):
    notebook["cells"].append(new(ANSWERS["mean"]))
    cell(notebook, "mean")["source"] = ""


@damage()
def an_exercise_in_a_cell_of_its_own_and_a_trial_in_its_cell(notebook):
    put(notebook, at(notebook, "mean"), new(ANSWERS["mean"]))
    cell(notebook, "mean")["source"] = "print('mine', mean([1, 2, 3]))"


@damage()
def exercises_in_cells_of_their_own_without_metadata(notebook):
    exercises_in_cells_of_their_own_above_the_stubs(notebook)
    strip(notebook)


@damage()
def exercises_in_the_tests_cells(notebook):
    for name in EXERCISES:
        tests = cell(notebook, f"{name}_tests")
        tests["source"] = f"{ANSWERS[name]}\n\n{tests['source']}"
        cell(notebook, name)["source"] = stub(name)["source"]


@damage()
def an_exercise_in_place_of_the_tests(notebook):
    cell(notebook, "double_tests")["source"] = ANSWERS["double"]
    cell(notebook, "double")["source"] = stub("double")["source"]


@damage(double="from statistics import fmean as double", fails=["double"])
def an_exercise_imported(notebook):
    put(notebook, at(notebook, "double"), new("from statistics import fmean as double"))
    cell(notebook, "double")["source"] = stub("double")["source"]


@damage(mean="values = [1, 2]\nmean = lambda values: sum(values) / len(values) if values else int('')")
def an_exercise_as_a_lambda(notebook):
    cell(notebook, "mean")["source"] = (
        "values = [1, 2]\nmean = lambda values: sum(values) / len(values) if values else int('')"
    )
    strip(notebook)


@damage(mean=None, fails=["mean", "centre"])
def a_variable_with_the_name_of_an_unwritten_exercise(notebook):
    put(notebook, at(notebook, "mean"), new("mean = 1 + 2  # of my numbers"))
    cell(notebook, "mean")["source"] = stub("mean")["source"]


@damage()
def an_answer_in_a_cell_of_its_own(notebook):
    put(notebook, at(notebook, "why_mean") + 1, new(ANSWERS["why_mean"], "markdown"))
    cell(notebook, "why_mean")["source"] = stub("why_mean")["source"]


@damage()
def an_answer_in_a_cell_of_its_own_without_metadata(notebook):
    an_answer_in_a_cell_of_its_own(notebook)
    put(notebook, at(notebook, "why_mean"), new("", "markdown"))
    strip(notebook)


@damage()
def an_answer_in_place_of_its_deleted_cell(notebook):
    put(notebook, at(notebook, "why_mean"), new(ANSWERS["why_mean"], "markdown"))
    delete(notebook, "why_mean")


@damage()
def an_answer_in_the_question(notebook):
    cell(notebook, "why_mean_question")["source"] += "\n\n" + ANSWERS["why_mean"]
    cell(notebook, "why_mean")["source"] = stub("why_mean")["source"]


@damage()
def an_answer_in_the_question_without_metadata(notebook):
    question = cell(notebook, "why_mean_question")
    question["source"] += "\n\nIt is fair."
    cell(notebook, "double")["source"] = ANSWERS["double"]
    strip(notebook)


# ---------------------------------------------------------------- locked cells edited, types changed


@damage()
def locked_lines_changed(notebook):
    cell(notebook, "setup")["source"] = cell(notebook, "setup")["source"].replace('"0"', '"my own seed"')
    cell(notebook, "double_tests")["source"] = "assert double(2) == 5, 'my own sentence'"


@damage(mean=ANSWERS["mean"].replace("sum(values)", "math.fsum(values)"))
def a_line_added_to_a_locked_cell(notebook):
    cell(notebook, "setup")["source"] += "\nimport math"
    cell(notebook, "mean")["source"] = ANSWERS["mean"].replace("sum(values)", "math.fsum(values)")


@damage()
def locked_cells_emptied(notebook):
    for name in ("setup", "double_tests", "mean_tests", "why_mean_question"):
        cell(notebook, name)["source"] = ""


@damage()
def locked_cells_edited_without_metadata(notebook):
    locked_lines_changed(notebook)
    cell(notebook, "double_tests")["source"] = "assert double(2) == 5, 'double(2) should be 4.'"
    cell(notebook, "why_mean_question")["source"] += " (my remark)"
    strip(notebook)


@damage()
def locked_tests_as_text(notebook):
    for name, kind in (("double_tests", "markdown"), ("mean_tests", "raw"), ("centre_tests", "heading")):
        each = cell(notebook, name)
        each["cell_type"] = kind
        del each["outputs"], each["execution_count"]


@damage()
def locked_tests_as_text_without_metadata(notebook):
    locked_tests_as_text(notebook)
    strip(notebook)


@damage()
def an_exercise_as_text(notebook):
    for name, kind in (("double", "markdown"), ("mean", "raw")):
        cell(notebook, name)["cell_type"] = kind


@damage()
def an_answer_as_code(notebook):
    cell(notebook, "why_mean")["cell_type"] = "code"


@damage()
def an_answer_as_code_without_metadata(notebook):
    an_answer_as_code(notebook)
    strip(notebook)


@damage(fails=["centre"], centre="def centre(values):\n    return [value - for value in values]")
def a_syntax_error(notebook):
    cell(notebook, "centre")["source"] = "def centre(values):\n    return [value - for value in values]"


@damage(fails=["centre"], centre="def centre(values):\n    return [value - for value in values]")
def a_syntax_error_without_metadata(notebook):
    a_syntax_error(notebook)
    strip(notebook)


@damage(mean="%%time\n" + ANSWERS["mean"], double="%matplotlib inline\n!ls\n" + ANSWERS["double"])
def magics(notebook):
    cell(notebook, "mean")["source"] = "%%time\n" + ANSWERS["mean"]
    cell(notebook, "double")["source"] = "%matplotlib inline\n!ls\n" + ANSWERS["double"]
    strip(notebook)


FORM = '#@title My function { display-mode: "form" }\n'


@damage(mean=FORM + ANSWERS["mean"])
def form_headers(notebook):
    for name in ("setup", "mean", "mean_tests"):
        cell(notebook, name)["source"] = FORM + cell(notebook, name)["source"]
    strip(notebook)


@damage(mean="# %% my mean\n" + ANSWERS["mean"])
def percent_left_overs(notebook):
    for name in ("mean", "double_tests"):
        cell(notebook, name)["source"] = "# %% my mean\n" + cell(notebook, name)["source"]
    strip(notebook)


@damage(mean="<!-- my cell -->\n" + ANSWERS["mean"], fails=["mean", "centre"])
def html(notebook):
    cell(notebook, "mean")["source"] = "<!-- my cell -->\n" + ANSWERS["mean"]
    cell(notebook, "why_mean_question")["source"] += '\n<span style="color: red">my mark</span>'
    strip(notebook)


LOOK_ALIKE = ANSWERS["double"].replace("double", "d\u043euble")


@damage(double=LOOK_ALIKE, fails=["double"])
def a_name_with_a_letter_of_another_alphabet(notebook):
    cell(notebook, "double")["source"] = LOOK_ALIKE
    strip(notebook)


WIDE = ANSWERS["double"].replace("double", "\uff44ouble")


@damage(double=WIDE)
def a_name_with_a_wide_letter(notebook):
    cell(notebook, "double")["source"] = WIDE
    strip(notebook)


# ---------------------------------------------------------------- files


@damage()
def format_3(notebook):
    for each in notebook["cells"]:
        del each["id"]
        if each["cell_type"] == "code":
            each |= {"input": each.pop("source"), "language": "python", "prompt_number": 3, "collapsed": False}
            each["outputs"] = [{"output_type": "pyout", "text": ["4"], "prompt_number": 3}]
    notebook["cells"][0] |= {"cell_type": "heading", "level": 1}
    sheets = [{"cells": notebook["cells"][:5], "metadata": {}}, {"cells": notebook["cells"][5:]}, None]
    notebook |= {"nbformat": 3, "nbformat_minor": 0, "worksheets": sheets, "metadata": {"name": "", "signature": "x"}}
    del notebook["cells"]


@damage()
def worksheets_without_a_format(notebook):
    format_3(notebook)
    del notebook["nbformat"], notebook["nbformat_minor"], notebook["metadata"]


@damage()
def no_minor_format(notebook):
    del notebook["nbformat_minor"]


@damage()
def odd_formats(notebook):
    notebook |= {"nbformat": "four", "nbformat_minor": None, "metadata": []}


@damage()
def a_format_of_the_future(notebook):
    notebook |= {"nbformat": 5, "nbformat_minor": 10}


@damage()
def sources_as_lists(notebook):
    for each in notebook["cells"]:
        each["source"] = each["source"].splitlines(keepends=True)


@damage()
def sources_as_lists_without_line_ends(notebook):
    for each in notebook["cells"]:
        each["source"] = [*each["source"].splitlines(), None]


@damage()
def sources_missing(notebook):
    del cell(notebook, "setup")["source"]
    put(notebook, 3, {"cell_type": "code"}, {"cell_type": "markdown", "source": None}, {"source": 3}, {})


@damage()
def cells_that_are_texts(notebook):
    put(
        notebook,
        2,
        "# my lonely text",
        None,
        7,
        [],
        ["my list\n", "of lines"],
        {"cell_type": "raw", "source": "my raw"},
    )


@damage()
def cell_types_missing_or_odd(notebook):
    for number, each in enumerate(notebook["cells"]):
        each["cell_type"] = [None, "Code", 3, ["code"], ""][number % 5]


@damage()
def outputs_of_every_odd_form(notebook):
    odd = [None, "text", {}, [None], [{}], ["x"], [{"output_type": "pyout"}], [{"output_type": "stream", "text": 3}], 7]
    odd += [[{"output_type": "error", "traceback": None}], [{"output_type": "display_data", "data": []}]]
    for each, outputs in zip([each for each in notebook["cells"] if each["cell_type"] == "code"], odd, strict=False):
        each |= {"outputs": outputs, "execution_count": "3"}
    for each in notebook["cells"][::3]:
        each["outputs"] = odd


@damage()
def unknown_fields(notebook):
    for each in notebook["cells"]:
        each |= {"level": 3, "prompt_number": 1, "execution": {}, "attachments": 3}
    notebook |= {"author": "me", "signature": 3}


@damage()
def other_line_ends(notebook):
    for number, each in enumerate(notebook["cells"]):
        each["source"] = each["source"].replace("\n", "\r\n" if number % 2 else "\r")
    strip(notebook)


@damage(double=ANSWERS["double"].replace("    ", "\t").replace("\n", "  \n"))
def tabs_and_trailing_spaces(notebook):
    for each in notebook["cells"]:
        each["source"] = "\n\n" + each["source"].replace("    ", "\t").replace("\n", "  \n") + " \n\n"
    for name in ANSWERS:
        cell(notebook, name)["source"] = ANSWERS[name]
    cell(notebook, "double")["source"] = ANSWERS["double"].replace("    ", "\t").replace("\n", "  \n")
    strip(notebook)


@damage()
def a_byte_order_mark(notebook):
    return codecs.BOM_UTF8 + json.dumps(notebook).encode()


@damage()
def in_utf_16(notebook):
    return json.dumps(notebook).encode("utf-16")


@damage()
def a_letter_that_is_no_utf_8(notebook):
    put(notebook, 0, new("# na\xefve", "markdown"))
    return json.dumps(notebook, ensure_ascii=False).encode("latin-1", errors="replace")


@damage()
def half_a_character(notebook):
    put(notebook, 0, new("# my \ud83d", attachments={"\ud800": {"text/plain": "\udfff"}}))


# ---------------------------------------------------------------- cells added


@damage()
def cells_between(notebook):
    notebook["cells"] = [
        both for number, each in enumerate(notebook["cells"]) for both in (each, new(f"my_{number} = 1  # and more"))
    ]
    put(notebook, at(notebook, "why_mean_question") + 1, notebook["cells"].pop(at(notebook, "why_mean")))


@damage()
def many_cells(notebook):
    for number in range(1500):
        put(notebook, number % len(notebook["cells"]), new(f"my_{number} = {number}  # cell {number}"))
    put(notebook, at(notebook, "why_mean_question") + 1, notebook["cells"].pop(at(notebook, "why_mean")))
    strip(notebook)


@damage()
def a_cell_that_is_huge(notebook):
    put(notebook, 2, new("my_numbers = [" + "1, " * 300_000 + "]"), new("(" * 5000), new("-" * 100_000 + "1"))
    strip(notebook)
    delete_first_locked = next(i for i, each in enumerate(notebook["cells"]) if each["source"].startswith("import os"))
    del notebook["cells"][delete_first_locked]


@damage()
def ids_of_graded_cells_on_others(notebook):
    names = [each["id"] for each in notebook["cells"] if "nbgrader" in each["metadata"]]
    for number, name in enumerate(names):
        cell(notebook, name)["id"] = f"other-{number}"
        put(notebook, 0, new(f"# my cell {name}", id=name))


# ---------------------------------------------------------------- the tests


@pytest.fixture(scope="module")
def tiny():
    """(solved by the author, released)"""
    solved = solve(read_solution(TINY))
    return solved, release(solved)


STUBS = {}


def stub(name):
    return copy.deepcopy(STUBS[name])


@pytest.fixture
def handed_in(tiny):
    """The notebook, solved by a student, as in its file."""
    notebook = json.loads(json.dumps(tiny[1]))
    STUBS.update({name: copy.deepcopy(cell(notebook, name)) for name in ANSWERS})
    for each in notebook["cells"]:
        each["source"] = ANSWERS.get(each["id"], each["source"])
    return notebook


def damaged(handed_in, tmp_path, function):
    """The file of a damaged notebook."""
    data = function(handed_in)
    file = tmp_path / "notebook.ipynb"
    file.write_bytes(data or json.dumps(handed_in).encode())
    return file


def assert_graded_cells_are_as_released(notebook, released):
    graded = {each.id: each for each in released.cells if role(each)}
    found = [each for each in notebook.cells if each.metadata]
    assert sorted(each.metadata.nbgrader.grade_id for each in found) == sorted(graded)
    for each in found:
        original = graded[each.metadata.nbgrader.grade_id]
        assert (each.id, each.metadata, each.cell_type) == (original.id, original.metadata, original.cell_type)
        if role(original) in ("tests", "locked"):
            assert each.source == original.source


def assert_valid(notebook):
    assert len({each.id for each in notebook.cells}) == len(notebook.cells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbformat.validate(notebook)
    nbformat.writes(notebook).encode("utf-8")


def assert_nothing_is_left_to_repair(notebook, released):
    again = repair(read(nbformat.writes(notebook)), released)
    assert again.notes == []
    assert again.notebook == notebook


class Shell:
    """Runs what a cell magic stands above."""

    def __init__(self, namespace):
        self.namespace = namespace

    def run_cell_magic(self, name, line, source):
        exec(source, self.namespace)

    def __getattr__(self, name):
        return lambda *args: None


def passed(notebook, solved):
    """The exercises whose tests pass, hidden ones included, when the cells run from top to bottom."""
    tests = {each.id: each.source for each in solved.cells if role(each) == "tests"}
    names, found = {}, set()
    shell = Shell(names)
    names["get_ipython"] = lambda: shell
    for each in notebook.cells:
        if each.cell_type != "code" or len(each.source) > 50_000:
            continue
        try:
            exec(TransformerManager().transform_cell(tests.get(each.id, each.source)), names)
        except Exception:
            continue
        if each.id in tests:
            found.add(each.id.removesuffix("_tests"))
    return found


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_notebook_is_repaired(name, tiny, handed_in, tmp_path, capsys):
    solved, released = tiny
    function, answers, fails = DAMAGES[name]
    file = damaged(handed_in, tmp_path, function)
    written = lines_of(handed_in) - lines_of(released)

    repaired = repair(read_file(file), released)

    assert capsys.readouterr() == ("", "")
    assert {line.replace("\ud83d", "?").replace("\xef", "\ufffd") for line in written} <= lines_of(repaired.notebook)
    assert_graded_cells_are_as_released(repaired.notebook, released)
    assert_valid(repaired.notebook)
    assert_nothing_is_left_to_repair(repaired.notebook, released)
    found = {each.id: each.source.strip() for each in repaired.notebook.cells}
    assert {each: found[each] for each in answers if answers[each]} == {k: v for k, v in answers.items() if v}
    assert passed(repaired.notebook, solved) == {*EXERCISES} - fails


@pytest.mark.parametrize("seed", range(40))
def test_damages_add_up(seed, tiny, handed_in, tmp_path):
    chosen = random.Random(seed).sample(
        [name for name in DAMAGES if name not in ("many_cells", "a_cell_that_is_huge")], 3
    )
    data = None
    for name in chosen:
        try:
            data = DAMAGES[name][0](handed_in) or data
        except (KeyError, StopIteration, AttributeError, TypeError):
            continue  # what it would damage is gone
    file = tmp_path / "notebook.ipynb"
    file.write_bytes(data or json.dumps(handed_in).encode())
    written = lines_of(read_file(file)) - lines_of(tiny[1])

    repaired = repair(read_file(file), tiny[1]).notebook

    assert written <= lines_of(repaired), chosen
    assert_graded_cells_are_as_released(repaired, tiny[1])
    assert_valid(repaired)
    assert_nothing_is_left_to_repair(repaired, tiny[1])


def test_what_is_whole_is_left_alone(tiny, handed_in):
    assert repair(read(json.dumps(handed_in)), tiny[1]).notes == []
    assert repair(read(nbformat.writes(tiny[1])), tiny[1]).notebook == tiny[1]


def test_repair_leaves_what_it_is_given_unchanged(tiny, handed_in):
    every_cell_twice_without_metadata(handed_in)
    submitted, released = read(json.dumps(handed_in)), copy.deepcopy(tiny[1])
    before = copy.deepcopy(submitted)
    repair(submitted, released)
    assert (submitted, released) == (before, tiny[1])


def test_what_was_done_is_said_in_sentences(tiny, handed_in):
    put(handed_in, at(handed_in, "double"), stub("double"))
    cell(handed_in, "setup")["source"] += "\nmine = 1"
    cell(handed_in, "mean_tests")["source"] = ""
    delete(handed_in, "centre_tests", "why_mean_question")
    put(handed_in, at(handed_in, "mean"), handed_in["cells"].pop(at(handed_in, "mean_tests")))
    assert repair(read(json.dumps(handed_in)), tiny[1]).notes == [
        "double is there 2 times; the second one is graded.",
        "setup was changed; it is restored, and what was added is kept below.",
        "mean_tests was changed; it is restored.",
        "why_mean_question was missing; restored from the release.",
        "centre_tests was missing; restored from the release.",
        "A copy of double is left out.",
        "mean_tests stood above mean; it is below it again.",
    ]


def test_an_answer_that_is_nowhere_is_shown_to_a_person(tiny, handed_in):
    from nbgrader.utils import determine_grade

    delete(handed_in, "why_mean")
    answer = next(each for each in repair(read(json.dumps(handed_in)), tiny[1]).notebook.cells if each.id == "why_mean")
    assert determine_grade(answer) == (None, 10)


def test_changed_lines_of_a_locked_cell_are_kept_but_do_not_run(tiny, handed_in):
    cell(handed_in, "setup")["source"] = "import os\nseed = 'mine'"
    cells = repair(read(json.dumps(handed_in)), tiny[1]).notebook.cells
    assert [(each.cell_type, each.source) for each in cells if "mine" in each.source] == [("raw", "seed = 'mine'")]


PASTED = {"me.png": {"image/png": "iVBORw0K"}}


@pytest.mark.parametrize("name", ["why_mean", "why_mean_question"])
def test_a_pasted_picture_stays_in_the_answer(tiny, handed_in, name):
    cell(handed_in, "why_mean")["source"] = stub("why_mean")["source"]
    cell(handed_in, name)["source"] += "\n![my drawing](attachment:me.png)"
    cell(handed_in, name)["attachments"] = PASTED | {"bad": None, "worse": {"image/png": 3}}
    notebook = repair(read(json.dumps(handed_in)), tiny[1]).notebook
    (answer,) = [each for each in notebook.cells if each.id == "why_mean"]
    assert "my drawing" in answer.source and answer.attachments == PASTED
    assert_valid(notebook)


# ---------------------------------------------------------------- more than one question, an exercise without a name


MORE = """
# %% exercise="written_down"
# Writes the mean of [1, 3] to mean.txt.
### BEGIN SOLUTION
open("mean.txt", "w").write("2")
### END SOLUTION

# %% tests="written_down" points=5
assert open("mean.txt").read() == "2"
### BEGIN HIDDEN TESTS
pass
### END HIDDEN TESTS

# %% [markdown] written="why_write" points=5
# **Why do we write it down?**
#
# ### BEGIN MARK SCHEME
# - 5: a reason
# ### END MARK SCHEME
# ### BEGIN SOLUTION
# To remember it.
# ### END SOLUTION
"""


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    file = tmp_path_factory.mktemp("longer") / "00_longer.py"
    file.write_text(TINY.read_text("utf-8") + MORE, "utf-8")
    return release(solve(read_solution(file)))


@pytest.mark.parametrize(
    ("why_mean", "why_write"),
    [("Because.", ""), ("", "To remember it, I think."), ("", ""), ("The same.", "The same.")],
)
def test_answers_without_metadata_stay_with_their_questions(longer, why_mean, why_write):
    notebook = json.loads(json.dumps(longer))
    for name, text in (("why_mean", why_mean), ("why_write", why_write)):
        cell(notebook, name)["source"] = text or cell(notebook, name)["source"]
    expected = {each: cell(notebook, each)["source"] for each in ("why_mean", "why_write")}
    strip(notebook)
    found = {each.id: each.source for each in repair(read(json.dumps(notebook)), longer).notebook.cells}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("source", ['open("mean.txt", "w").write("2")  # mine', "mine = ("])
def test_an_exercise_that_defines_nothing_is_told_by_what_it_kept_of_its_stub(longer, source):
    notebook = json.loads(json.dumps(longer))
    comment = "# Writes the mean of [1, 3] to mean.txt."
    cell(notebook, "written_down")["source"] = f"{comment}\n{source}"
    strip(notebook)
    put(notebook, 0, new("# my own"))
    repaired = repair(read(json.dumps(notebook)), longer).notebook
    assert {each.id: each.source for each in repaired.cells}["written_down"] == f"{comment}\n{source}"


# ---------------------------------------------------------------- files that can't be repaired


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"# %% a script", "is not JSON"),
        (b'{"cells": [', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "has no list of cells"),
        (b'{"cells": {}}', "has no list of cells"),
        (b'{"worksheets": null}', "has no list of cells"),
        (json.dumps({"cells": [{}] * 2001}).encode(), "has 2,001 cells; at most 2,000 are graded"),
    ],
)
def test_a_file_that_is_no_notebook_is_told_in_a_sentence(tmp_path, data, said):
    (tmp_path / "a.ipynb").write_bytes(data)
    with pytest.raises(PlainError, match=said):
        read_file(tmp_path / "a.ipynb")


def test_a_file_that_cannot_be_read_is_told_in_a_sentence(tmp_path):
    with pytest.raises(PlainError, match=r"^The file can't be read \(Is a directory\)\.$"):
        read_file(tmp_path)
    with (tmp_path / "large.ipynb").open("wb") as file:
        file.truncate(60 << 20)
    with pytest.raises(PlainError, match="too large: 60 MB, and at most 50 MB are read"):
        read_file(tmp_path / "large.ipynb")


# ---------------------------------------------------------------- `course repair`


@pytest.fixture
def course_folder(tiny, tmp_path):
    (tmp_path / "notebooks" / "00_tiny").mkdir(parents=True)
    nbformat.write(tiny[1], tmp_path / "notebooks" / "00_tiny" / "00_tiny.ipynb")
    return tmp_path


def test_the_command_says_what_it_did_and_writes_beside_the_file(course_folder, handed_in):
    delete(handed_in, "double_tests")
    file = course_folder / "Copy of 00_tiny.ipynb"
    file.write_text(json.dumps(handed_in), "utf-8")
    (said,) = repair_files([file], root=course_folder, write=True)
    assert said == f"{file} (00_tiny): double_tests was missing; restored from the release."
    repaired = course_folder / "Copy of 00_tiny.repaired.ipynb"
    assert list(repair_files([repaired], root=course_folder, write=False)) == [
        f"{repaired} (00_tiny): nothing to repair."
    ]


def test_the_command_names_a_file_that_it_cannot_repair(course_folder):
    (course_folder / "00_tiny.ipynb").write_text("no JSON")
    for name, said in (
        ("none.ipynb", "There is no file"),
        ("00_tiny.ipynb", r"00_tiny\.ipynb: The file is not a notebook"),
    ):
        with pytest.raises(PlainError, match=said):
            list(repair_files([course_folder / name], root=course_folder, write=False))
