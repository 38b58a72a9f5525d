"""Feedback on an exercise: its cases, what came of the notebook's own inputs, pictures side by side, and the hints."""

from __future__ import annotations

import base64
import io
import re

import nbformat
import pytest
from PIL import Image
from traitlets.config import Config

from course.grade.book import TakeOutputs
from course.grade.feedback import ONLY_OTHERS, as_html, explained, hints_for, reports_kept
from helpers.checks.cases import Exercise, for_points
from helpers.checks.expect import expect
from helpers.settings import settings

pytestmark = pytest.mark.quick
HIDDEN = 718_281_828_459

paint = Exercise("paint")


@paint.given
def number(rng):
    return rng.randrange(10**6)


@paint.core(60)
def colour(paint, number):
    """the colour of the number"""
    picture, wanted = paint(number), Image.new("RGB", (400, 300), (number % 256, 0, 0))
    same = picture.getpixel((0, 0)) == wanted.getpixel((0, 0))
    expect(same, f"paint({number}) has another colour.", yours=picture, expected=wanted, alt='a <b>"red"</b> area')


@paint.edge(25)
def size(paint, number):
    """400 × 300 pixels"""
    expect(paint(number).size == (400, 300), f"For {number} the size is wrong.")


@paint.edge(15)
def mode(paint, number):
    """mode RGB"""
    expect(paint(number).mode == "RGB", "Its mode is <i>wrong</i>.")


def right(number):
    return Image.new("RGB", (400, 300), (number % 256, 0, 0))


def judged(answer, monkeypatch) -> dict:
    monkeypatch.setattr(settings, "grader_seed", HIDDEN)
    with reports_kept() as kept:
        for_points(10)
        paint(answer)
    (report,) = kept
    assert report.report == paint.run(answer, HIDDEN)
    return explained(report)


def inputs() -> tuple[int, int]:
    """The number that the notebook's check gives, and the hidden one."""
    seen = []
    for seed in ("visible", HIDDEN):
        paint.run(lambda number: seen.append(number) or right(number), seed)
    return seen[0], seen[-1]


def test_all_that_is_right_has_a_mark_and_no_words(monkeypatch, capsys):
    found = judged(right, monkeypatch)
    assert found["exercise"] == "paint" and found["percent"] == 100
    assert [(case["name"], case["percent"], case["passed"]) for case in found["cases"]] == [
        ("the colour of the number", 60, True),
        ("400 × 300 pixels", 25, True),
        ("mode RGB", 15, True),
    ]
    page = as_html(found, "<details><summary>Hint</summary>\n\nRed.\n\n</details>")
    assert page.count("✓") == 3 and "✗" not in page and "Hint" not in page


def test_what_failed_is_shown_with_the_inputs_of_the_notebook(monkeypatch):
    visible, hidden = inputs()
    found = judged(lambda number: right(number).resize((8, 8)), monkeypatch)
    page = as_html(found)
    assert found["percent"] == 75 and page.count("✓") == 2 and page.count("✗") == 1
    assert f"For {visible} the size is wrong." in page and str(hidden) not in page
    page = as_html(found, hidden=True)
    assert f"For {hidden} the size is wrong." in page and str(visible) not in page


def test_an_answer_for_the_notebooks_inputs_alone_reads_so(monkeypatch):
    visible, hidden = inputs()
    found = judged(lambda number: right(number if number == visible else 0).convert("RGB"), monkeypatch)
    page = as_html(found)
    assert ONLY_OTHERS in page and str(hidden) not in page


def test_pictures_stand_side_by_side_small_and_with_their_alt_text(monkeypatch):
    page = as_html(judged(lambda number: Image.new("RGB", (400, 300), "blue"), monkeypatch))
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">', page)
    assert [alt.partition(":")[0] for _, alt in pictures] == ["yours", "expected"]
    assert "a &lt;b&gt;&quot;red&quot;&lt;/b&gt; area" in pictures[0][1]
    opened = [Image.open(io.BytesIO(base64.b64decode(data))) for data, _ in pictures]
    assert [picture.size for picture in opened] == [(256, 192), (256, 192)]
    assert opened[0].getpixel((0, 0)) == (0, 0, 255)


def test_nothing_that_a_student_sends_is_html_or_half_a_character(monkeypatch):
    def answer(number):
        raise ValueError("<script>alert(1)</script> \ud800")

    page = as_html(judged(answer, monkeypatch))
    assert "<script>" not in page and "&lt;script&gt;" in page
    page.encode("utf-8")
    assert "Its mode is &lt;i&gt;wrong" in as_html(judged(lambda number: right(number).convert("L"), monkeypatch))


def test_hints_are_those_above_the_exercise():
    new = nbformat.v4
    marks = {"nbgrader": {"grade_id": "paint"}}
    notebook = new.new_notebook(
        cells=[
            new.new_markdown_cell("<details><summary>Hint of another</summary>\n\nno\n\n</details>"),
            new.new_code_cell("1"),
            new.new_markdown_cell("### Paint\n\n<details><summary>Hint 1</summary>\n\n**Red**\n\n</details>\ntext"),
            new.new_markdown_cell("<details><summary>Help</summary>\n\n`mode`\n\n</details>"),
            new.new_code_cell("def paint(): ...", metadata=marks),
        ]
    )
    hints = hints_for("paint", notebook)
    assert "Hint 1" in hints and "Help" in hints and "another" not in hints and "text" not in hints
    found = {"exercise": "paint", "percent": 0, "cases": []}
    assert "<strong>Red</strong>" in as_html(found, hints)
    assert hints_for("unknown", notebook) == ""


@pytest.mark.parametrize("hidden", [False, True])
def test_the_graded_notebook_has_the_page_in_place_of_what_the_check_printed(monkeypatch, hidden):
    found = judged(lambda number: right(number).resize((8, 8)), monkeypatch)
    number = {"output_type": "execute_result", "data": {"text/plain": "7.5"}, "metadata": {}, "execution_count": 1}
    printed = {"output_type": "stream", "name": "stdout", "text": f"paint failed for {HIDDEN}"}
    config = Config({"TakeOutputs": {"show_hidden_inputs": hidden}})
    config.TakeOutputs.outputs = {"paint_tests": [printed, number], "other": [printed]}
    config.TakeOutputs.feedback = {"paint_tests": (found, "")}
    take, new = TakeOutputs(config=config), nbformat.v4
    cell, _ = take.preprocess_cell(new.new_code_cell("", id="paint_tests"), {}, 3)
    assert [output.output_type for output in cell.outputs] == ["display_data", "execute_result"]
    assert (f"For {inputs()[hidden]} the size is wrong." in cell.outputs[0].data["text/html"]) is True
    other, _ = take.preprocess_cell(new.new_code_cell("", id="other"), {}, 4)
    assert other.outputs == [printed]
