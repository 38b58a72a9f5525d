"""Exercises as cases: what an answer earns, what a student reads, and how the course's own version is borrowed."""

import functools
import importlib
import re
import tempfile
from pathlib import Path

import pytest
import torch
from PIL import Image

import helpers
from helpers import checks
from helpers.checks import borrowing
from helpers.checks.answers import NotWritten, is_own
from helpers.checks.cases import VISIBLE, CasesFailed, Exercise
from helpers.checks.expect import CheckFailed, expect, expect_raises
from helpers.checks.fakes import NeverEnds
from helpers.errors import PlainError
from helpers.settings import settings

pytestmark = pytest.mark.quick


@pytest.fixture
def double():
    """An exercise: twice a number, and a ValueError for text; what it drew is in `double.log`."""
    double = Exercise("double")
    double.log = []

    @double.given
    def number(rng):
        number = rng.randrange(10**6)
        double.log.append(number)
        yield number
        double.log.append("over")

    @double.core(40)
    def any_number(double, number):
        """twice the number"""
        expect(double(number) == 2 * number, f"double({number}) should be {2 * number}.")

    @double.core(30)
    def zero(double):
        """twice nothing"""
        expect(double(0) == 0, "double(0) should be 0.")

    @double.edge(30)
    def text(double):
        """a ValueError for text"""
        expect_raises(lambda: double("two"), ValueError, "text", mentions=["number"])

    return double


def right(x):
    if isinstance(x, str):
        raise ValueError("not a number")
    return 2 * x


@pytest.mark.parametrize(
    "answer, share",
    [
        (right, 1.0),
        (lambda x: 2 * x, 0.7),  # an edge is missed
        (lambda x: right(x) or 1, 0.7),
        (lambda x: right(x) + 1, 0.0),  # the edge alone is right
        (lambda x: None, 0.0),
    ],
)
def test_an_answer_earns_the_shares_of_its_cases_and_edges_alone_nothing(double, answer, share):
    assert double.run(answer).share == share


def test_visible_inputs_are_fixed_and_hidden_ones_are_the_graders(double, capsys):
    double(right)
    double(right)
    for seed in (1, 1, 2):
        double.run(right, seed)
    drawn = [entry for entry in double.log if entry != "over"]
    assert drawn[0] == drawn[1] and drawn[2] == drawn[3]
    assert len(set(drawn)) == 3
    assert double.log.count("over") == 5


def test_a_check_lists_its_cases_and_a_failed_one_shows_sentences_only(double, capsys):
    double(right)
    assert "double: 3 of 3 cases passed, 100 % of the points." in capsys.readouterr().out
    with pytest.raises(CasesFailed) as failed:
        double(lambda x: 2 * x)
    shown = "\n".join(failed.value._render_traceback_())
    assert "✓ twice the number (40 %)" in shown
    assert "✗ a ValueError for text (30 %)\n      For text, your function should raise a ValueError" in shown
    assert "Traceback" not in shown


def test_long_messages_break_between_words():
    words = Exercise("words")

    @words.core(100)
    def it_fails():
        """it fails"""
        raise CheckFailed("`words(1)`\n" + "unbreakable " * 30 + "x" * 120)

    lines = str(words.run(lambda: None)).splitlines()
    assert lines[2] == "      `words(1)`" and lines[-1] == "      " + "x" * 120
    assert all(set(line.split()) == {"unbreakable"} and len(line) <= 100 for line in lines[3:-1])


def test_the_same_sentence_is_said_once():
    paint = Exercise("paint")
    for share in (60, 40):
        paint.core(share)(lambda paint: expect(False, "It is red."))
    assert str(paint.run(None)).count("It is red.") == 1


def test_an_error_in_the_answer_names_the_call_and_the_students_own_line(double):
    source = "def double(x):\n    y = x + 1\n    return y[5]\n"
    names = {}
    exec(compile(source, "<ipython-input-1-0>", "exec"), names)
    said = double.run(names["double"], 3).failed[0].message
    assert re.match(
        r"double\(\d+\) raised an error in line 3 of its cell\. TypeError: 'int' object is not subscript", said
    )


def test_an_error_inside_a_compiled_library_names_the_students_own_line(double):
    names = {}
    source = "import numpy as np\n\ndef double(x):\n    return np.random.default_rng('a seed')\n"
    exec(compile(source, "<ipython-input-2-0>", "exec"), names)
    with pytest.raises(TypeError) as raised:
        names["double"](1)
    assert str(raised.traceback[-1].path).endswith(".pyx")
    assert " raised an error in line 4 of its cell. TypeError:" in double.run(names["double"]).failed[0].message


@pytest.mark.parametrize(
    "filename, own",
    [
        ("<ipython-input-1-0123abcd>", True),
        (f"{tempfile.gettempdir()}/ipykernel_7/1234567.py", True),
        (str(Path(helpers.__file__).parent.with_name("helpers_of_mine") / "tools.py"), True),
        ("clickhouse_connect/driverc/dataconv.pyx", False),
        ("pandas/_libs/hashtable_class_helper.pxi", False),
        ("charset_normalizer/md.py", False),
        (f"{tempfile.gettempdir()}/dist-packages/yaml/loader.py", False),
        ("<string>", False),
        ("<frozen importlib._bootstrap>", False),
        ("<the course's embed_texts>", False),
        (torch.__file__, False),
        (re.__file__, False),
        (helpers.__file__, False),
    ],
)
def test_a_line_is_the_students_in_cells_and_in_their_modules(filename, own):
    assert is_own(filename) is own


def test_a_case_fails_also_without_a_sentence():
    silent = Exercise("silent")
    silent.core(70)(lambda silent: expect(False, ""))
    silent.edge(30)(lambda: None)
    report = silent.run(None)
    assert [outcome.passed for outcome in report.outcomes] == [False, True] and report.share == 0


def test_points_are_asked_for_once_and_drawn_from_the_graders_seed(double, capsys, monkeypatch):
    monkeypatch.setattr(settings, "grader_seed", 7)
    checks.for_points(20)
    assert double(lambda x: 2 * x) == 14.0
    assert "✗ a ValueError for text" in capsys.readouterr().out
    with pytest.raises(CasesFailed):
        double(lambda x: 2 * x)
    double.run(right, 7)
    numbers = [entry for entry in double.log if entry != "over"]
    assert numbers[0] == numbers[2] != numbers[1]


def test_an_exercise_that_is_not_written_says_so_and_earns_nothing(double, capsys):
    def unwritten(x):
        raise NotImplementedError("double: put your code here, in place of this line.")

    with pytest.raises(NotWritten, match=r"^double is not written yet"):
        double(unwritten)
    checks.for_points(20)
    assert double(unwritten) == 0.0
    assert "double is not written yet" in capsys.readouterr().out


def test_one_that_needs_another_that_is_not_written_names_that_one(double):
    def embed_texts(texts):
        raise NotImplementedError("embed_texts: put your code here, in place of this line.")

    with pytest.raises(NotWritten, match=r"^embed_texts is not written yet"):
        double(lambda x: embed_texts([x]))


def test_a_loop_without_end_fails_its_case_alone():
    endless = Exercise("endless")

    @endless.core(60)
    def ends(endless):
        endless()

    @endless.core(40)
    def other(endless):
        pass

    def answer():
        raise NeverEnds

    report = endless.run(answer)
    assert [outcome.passed for outcome in report.outcomes] == [False, True]
    assert "forever" in report.failed[0].message


def test_pictures_of_a_failed_case_are_shown_once(monkeypatch):
    pages = []
    monkeypatch.setattr("IPython.display.display", lambda html: pages.append(html.data))
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    paint = Exercise("paint")

    @paint.core(100)
    def is_blue(paint):
        raise CheckFailed("It is red.", yours=red, expected=blue, alt="a square")

    with pytest.raises(CasesFailed) as failed:
        paint(lambda: red)
    failed.value._render_traceback_()
    failed.value._render_traceback_()
    assert len(pages) == 1 and 'alt="yours: a square"' in pages[0]


def test_an_answers_own_randomness_is_seeded_and_the_students_left_alone():
    noise = Exercise("noise")
    seen = []

    @noise.core(100)
    def draws(noise):
        seen.append(noise())

    torch.manual_seed(5)
    before = torch.get_rng_state()
    for _ in range(2):
        noise.run(lambda: torch.randn(1).item())
    assert seen[0] == seen[1] and torch.equal(torch.get_rng_state(), before)


def test_a_function_without_a_name_is_checked_all_the_same(double):
    report = double.run(functools.partial(lambda factor, x: factor * x, 2))
    assert report.share == 0.7


# -- every notebook


EXERCISES = [
    exercise
    for number in ("01", "02", "03", "04", "05", "06", "07")
    for exercise in vars(importlib.import_module(f"helpers.checks.nb{number}")).values()
    if isinstance(exercise, Exercise)
]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_shares_sum_to_100_and_the_core_to_60_or_70(exercise):
    shares = [case.share for case in exercise.cases]
    core = [case.share for case in exercise.cases if case.core]
    assert sum(shares) == 100 and 60 <= sum(core) <= 70 and min(core) >= 20
    names = [case.name for case in exercise.cases]
    assert len(set(names)) == len(names)


# -- borrowing


def test_a_borrowed_version_runs_with_the_notebooks_own_names_and_earns_nothing(double, monkeypatch, capsys):
    source = "FACTOR = 2\n\n\ndef double(x):\n    return right(x)\n"
    monkeypatch.setattr(borrowing, "unpacked", lambda file: {"03/double": source})
    borrowed = checks.borrow("double")
    assert borrowed(4) == 8 and globals()["double"] is not borrowed
    assert borrowing.hint("double").startswith('To continue without it, run double = checks.borrow("double")')
    checks.for_points(10)
    assert double(borrowed) == 0.0
    assert "earns no points" in capsys.readouterr().out
    with pytest.raises(PlainError, match="choose one of: double"):
        checks.borrow("triple")


def test_where_two_notebooks_have_an_exercise_one_says_which(monkeypatch):
    both = {f"{number}/draw": f"def draw():\n    return {number}\n" for number in ("81", "97")}
    monkeypatch.setattr(borrowing, "unpacked", lambda file: both)
    with pytest.raises(PlainError, match=r'checks.borrow\("draw", "81"\) or checks.borrow\("draw", "97"\)'):
        checks.borrow("draw")
    assert checks.borrow("draw", "97")() == 97


def test_the_seed_of_the_visible_check_is_no_graders():
    assert not isinstance(VISIBLE, int)
