"""`course demo` executes the capstone in a kernel of its own, tells what went wrong, and makes a page that stands alone."""

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from typer.testing import CliRunner

from course.assess.certificate import Certificate, Signer
from course.cli import app
from course.demo import capstone, execute, score_table
from course.demo.report import render
from helpers.errors import PlainError
from helpers.submission import Provenance, attach, make_record, pixels_sha256, save_with_provenance

ROOT = Path(__file__).resolve().parent.parent

ASSESSMENT = {
    "id": "ab12",
    "result": "passed",
    "score": 93.5,
    "criteria": [
        {"criterion": "shape", "about": "four records", "points": 10.0, "of": 10, "advice": "Nothing to improve."},
        {"criterion": "fit", "about": "as asked", "points": 8.5, "of": 15, "advice": "Look at each <picture>."},
    ],
    "messages": ["cats_on_a_sofa, prompt 2 & 3: look again."],
    "exceptions": [],
    "certificate": None,
}


def test_the_capstone_is_the_solved_notebook_without_its_tests():
    notebook = capstone()
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert any("def llm_rewrite_to_image_prompts" in source and "chat_model(" in source for source in sources)
    assert any("assessment.json" in source for source in sources)
    assert not any(re.match(r"checks\.nb07\.", source) or "hidden_tests" in source for source in sources)


def test_cells_run_in_the_folder_and_the_bar_tells_where_it_is(tmp_path, capsys):
    execute(small_notebook("from pathlib import Path\nPath('made.txt').write_text('here')"), tmp_path)
    assert (tmp_path / "made.txt").read_text() == "here"
    assert "Part 1" in capsys.readouterr().err


def test_a_cell_that_fails_is_told_in_one_sentence(tmp_path):
    with pytest.raises(PlainError, match=r"stopped in 'Part 1': ValueError: no cats today"):
        execute(small_notebook("raise ValueError('no cats today')"), tmp_path)


def small_notebook(source):
    cells = [nbformat.v4.new_markdown_cell("## Part 1\n\nwords"), nbformat.v4.new_code_cell(source)]
    return nbformat.v4.new_notebook(cells=cells)


def test_the_score_table_has_every_criterion_and_every_sentence():
    lines = score_table(ASSESSMENT).splitlines()
    assert lines[:3] == [
        "shape            10 of  10  four records",
        "fit             8.5 of  15  as asked",
        "all together   93.5 of 100  passed",
    ]
    assert lines[3:] == ["- cats_on_a_sofa, prompt 2 & 3: look again."]


def test_the_command_exits_1_when_the_submission_does_not_pass(monkeypatch, tmp_path):
    monkeypatch.setattr("course.demo.demo", lambda folder: {**ASSESSMENT, "result": "failed"})
    done = CliRunner().invoke(app, ["demo", "--folder", str(tmp_path)])
    assert done.exit_code == 1
    assert "93.5 of 100  failed" in done.output and "generated_images/report.html" in done.output


# -- the report


@pytest.fixture
def records(tmp_path):
    """Two records with pictures in the folder: one with papers and original, one as early submissions are."""
    made = []
    for number, colour in enumerate(("red", "blue")):
        prompts = [f'a {colour} "cat" <b>{i}</b>' for i in range(4)]
        paths = [f"generated_images/{colour}_{i}.png" for i in range(4)]
        for i, path in enumerate(paths):
            image = Image.new("RGB", (8, 8), (60 * i, 0, 100 * number))
            if number == 0:
                how = {"prompt": prompts[i], "model": "diffusion", "revision": "r1", "seed": i, "steps": 25}
                attach(image, Provenance(**how, guidance_scale=4.0, sha256=pixels_sha256(image)))
            save_with_provenance(image, tmp_path / path)
        source = "generated_images/originals/cat.png" if number == 0 else None
        if source:
            save_with_provenance(Image.new("RGB", (8, 8), "green"), tmp_path / source)
        record = make_record(f"The picture shows a {colour} cat.", prompts, [tmp_path / path for path in paths])
        made.append(record.model_copy(update={"image_paths": paths, "source_image": source}))
    return made


class Page(HTMLParser):
    """What a browser would load from a page, and its pictures with their alt texts."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.alts, self.viewport = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [attrs[name] for name in ("src", "href") if name in attrs]
        if tag == "img":
            self.alts.append(attrs.get("alt", ""))
        self.viewport |= tag == "meta" and attrs.get("name") == "viewport"


def test_the_report_stands_alone_and_every_picture_has_words(records, tmp_path):
    text = render(records, ASSESSMENT, tmp_path, [[0.3, 0.2, 0.1, 0.0]] * 2)
    page = Page(text)
    assert page.viewport
    assert len(page.loads) == 9 and all(source.startswith("data:image/png;base64,") for source in page.loads)
    first = base64.b64decode(page.loads[1].partition(",")[2])
    assert first == (tmp_path / records[0].image_paths[0]).read_bytes()
    assert page.alts[0] == "The original. The picture shows a red cat."
    assert page.alts[1] == 'drawn from the prompt: a red "cat" <b>0</b>'
    assert len(page.alts) == 9 and all(page.alts)
    assert not re.search(r"url\(|@import|<script", text)


def test_the_report_tells_scores_seeds_and_models_and_escapes_what_it_shows(records, tmp_path):
    text = render(records, ASSESSMENT, tmp_path, [[0.31, 0.2, 0.1, 0.0]] * 2)
    assert "93.5 of 100 points" in text and "8.5 of 15" in text and "CLIP 0.31" in text
    assert "seed 3" in text and "diffusion (r1)" in text
    assert "prompt 2 &amp; 3" in text and "&lt;picture&gt;" in text and "<b>0</b>" not in text


def test_the_report_shows_a_certificate_with_its_words(records, tmp_path):
    words = Certificate(student="Ada", course="", score=93.5, date="2026-11-22", submission="ab12")
    certificate = Signer(tmp_path / "key.pem").issue(words)
    page = Page(render(records, {**ASSESSMENT, "certificate": certificate}, tmp_path, [[0.0] * 4] * 2))
    assert page.alts[-1] == "Certificate of Ada: passed Picture This with 93.5 of 100 points on 2026-11-22"


# -- the whole of it


def test_the_demo_goes_from_four_pictures_to_a_report(tmp_path, monkeypatch):
    """The command in a process of its own; the chat model and the runner are stand-ins, all else is real."""
    from picturebook_chat import picturebook_chat

    (tmp_path / "flashcards.md").write_text("# Cards\n\nQ: What?\nA: That.\n")
    with picturebook_chat(ASSESSMENT) as (url, submissions):
        monkeypatch.setenv("COURSE_ENDPOINT", url)
        command = [sys.executable, "-m", "course", "demo", "--folder", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all together   93.5 of 100  passed" in done.stdout
    assert done.stdout.rstrip().endswith("report.html") and "100% " in done.stderr

    results = tmp_path / "generated_images"
    records = json.loads((results / "all_metadata.json").read_text())
    assert submissions[0]["submission"] == records and submissions[0]["student"]
    paths = [path for record in records for path in record["image_paths"]]
    assert len(set(paths)) == 16 and all((tmp_path / path).is_file() for path in paths)
    assert all(len(record["provenance"]) == 4 for record in records)
    page = Page((results / "report.html").read_text())
    assert len(page.alts) == 20 and all(source.startswith("data:") for source in page.loads)
