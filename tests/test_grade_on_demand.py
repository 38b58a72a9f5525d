"""`course grade --serve`: who may ask, how often, what a report says and what it keeps to itself."""

from __future__ import annotations

import json
import os
import stat
import threading
from concurrent.futures import Future
from dataclasses import replace

import nbformat
import pytest
from judge import FIXTURES
from starlette.testclient import TestClient
from traitlets.config import Config
from typer.testing import CliRunner

from course.build import build
from course.cli import app as cli
from course.grade import desk as desk_module
from course.grade.desk import Desk
from course.grade.feedback import ONLY_OTHERS
from course.grade.found import submissions_in
from course.grade.plan import role
from course.grade.repair import repair
from course.grade.report import page, report_on
from course.grade.run import assignments_of, ids_of
from course.grade.tokens import Tokens, give_tokens
from course.grade.web import DESK, create_app
from course.grade.workers import Workers
from course.sheets import SECRET, Owners, own_sheet
from helpers.errors import PlainError
from helpers.settings import settings

NAME = "00_tiny"
ADA, BOB = ({"Authorization": f"Bearer {name} token"} for name in ("ada", "bob"))
pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def assignments(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    (root / "solutions").mkdir()
    (root / "solutions" / f"{NAME}.py").write_bytes((FIXTURES / f"{NAME}.py").read_bytes())
    assert build(root=root) == []
    return assignments_of(root)


@pytest.fixture
def assignment(assignments):
    return assignments[NAME]


@pytest.fixture
def notebook(assignment):
    """The file of a notebook in which nothing is written."""
    return nbformat.writes(assignment.released).encode()


class Place:
    """A desk whose graders only do what they are told, and whose hours pass at will."""

    def __init__(self, assignments, **options):
        self.tasks, self.futures, self.now = [], [], 0.0
        workers = Workers(self.submit, lambda: 1)
        owners = Owners(["ada", "bob"], [])
        self.desk = Desk(assignments, Config(), workers, owners, clock=lambda: self.now, **{"per_hour": 2} | options)
        tokens = Tokens({"ada": "ada token", "bob": "bob token"})
        self.client = TestClient(create_app(self.desk, tokens, max_body=200_000), raise_server_exceptions=False)

    def submit(self, task):
        self.tasks.append(task)
        self.futures.append(Future())
        return self.futures[-1]

    def grade(self, *, points=7, **result):
        """Let the first notebook that waits be graded."""
        future, task = self.futures.pop(0), self.tasks[-1]
        shown = {"output_type": "execute_result", "data": {"text/plain": f"{points}"}, "metadata": {}}
        tests = [number for number, cell in enumerate(task["submitted"].cells) if role(cell) == "tests"]
        outputs = [[number, [shown | {"execution_count": 1}]] for number in tests]
        future.set_result({"outputs": outputs, "feedback": {}} | result)

    def send(self, data, *, headers=ADA, wait=0, **params):
        return self.client.post("/grade", content=data, headers=headers, params={"wait": wait} | params)


@pytest.fixture
def place(assignments):
    return Place(assignments)


def message(answer) -> str:
    return answer.json()["error"]["message"]


# ---------------------------------------------------------------- one notebook


def test_a_notebook_is_graded_and_its_report_kept_for_its_student_alone(place, notebook):
    taken = place.send(notebook)
    assert taken.status_code == 202 and taken.json()["state"] == "waiting"
    assert int(taken.headers["Retry-After"]) > 0
    where = taken.headers["Location"]
    assert where == f"/grade/{taken.json()['id']}"
    assert place.client.get(where, headers=ADA).status_code == 202
    place.grade()
    found = place.client.get(where, headers=ADA)
    assert found.status_code == 200
    report = found.json()
    assert (report["state"], report["assignment"], report["points"], report["of"]) == ("graded", NAME, 21, 90)
    assert [each["exercise"] for each in report["exercises"]] == ["double", "mean", "centre"]
    shown = place.client.get(where, headers=ADA | {"Accept": "text/html"})
    assert shown.headers["content-type"].startswith("text/html") and f"<h1>{NAME}: 21 of 90 points</h1>" in shown.text
    assert "script" not in shown.headers["content-security-policy"].replace("style-src", "")
    assert place.client.get(where, headers=BOB).status_code == 404
    assert place.client.get("/grade/unknown", headers=ADA).status_code == 404


def test_one_that_is_graded_in_time_is_answered_at_once(place, notebook):
    timer = threading.Timer(0.05, lambda: place.grade())
    place.desk.workers = Workers(lambda task: [place.submit(task), timer.start()][0], lambda: 1)
    answer = place.send(notebook, wait=60)
    assert answer.status_code == 200 and answer.json()["points"] == 21


def test_hidden_inputs_are_new_each_time_and_not_those_of_the_grade(place, notebook):
    for headers in (ADA, BOB):
        place.send(notebook, headers=headers)
    seeds = {task["seed"] for task in place.tasks}
    assert len(seeds) == 2 and settings.grader_seed not in seeds


def test_nothing_is_kept_unless_a_folder_is_named(assignments, notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Place(assignments).send(notebook)
    assert list(tmp_path.iterdir()) == []
    place = Place(assignments, keep=tmp_path / "submitted")
    place.send(b'{"cells": []}', assignment=NAME)
    place.futures[0].set_result({"lost": "x"})
    place.send(notebook)
    ids = {NAME: ids_of(assignments[NAME])}
    (kept,) = submissions_in(tmp_path / "submitted", ids)
    assert (kept.student, kept.assignment, kept.file.read_bytes()) == ("ada", NAME, notebook)
    assert kept.timestamp.read_text().endswith(" UTC") and kept.others == ()
    assert sorted(file.name for file in kept.file.parent.iterdir()) == [f"{NAME}.ipynb", "timestamp.txt"]


def test_a_notebook_is_repaired_before_it_is_graded(place, assignment, notebook):
    damaged = json.loads(notebook)
    damaged["cells"] = [cell for cell in damaged["cells"] if cell["id"] != "mean_tests"]
    answer = place.send(json.dumps(damaged))
    place.grade()
    report = place.client.get(answer.headers["Location"], headers=ADA).json()
    assert report["repaired"] == ["mean_tests was missing; restored from the release."] and report["of"] == 90


# ---------------------------------------------------------------- who may ask, and how often


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic ada token"}])
def test_without_a_token_nothing_is_read(place, notebook, headers):
    for answer in (place.send(notebook, headers=headers), place.client.get("/grade/x", headers=headers)):
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in message(answer)
    assert place.tasks == []


def test_a_student_has_one_notebook_graded_at_a_time(place, notebook):
    assert place.send(notebook).status_code == 202
    refused = place.send(notebook)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
    assert "still being graded" in message(refused)
    assert place.send(notebook, headers=BOB).status_code == 202
    place.grade()
    assert place.send(notebook).status_code == 202


def test_and_only_some_an_hour(place, notebook):
    for minute in (0, 10):
        place.now = 60 * minute
        assert place.send(notebook).status_code == 202
        place.grade()
    place.now = 60 * 20
    refused = place.send(notebook)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == str(60 * 40)
    assert message(refused) == "Only 2 notebooks an hour can be graded for you: the next one in 40 minutes."
    assert place.send(notebook, headers=BOB).status_code == 202
    place.now = 60 * 60
    assert place.send(notebook).status_code == 202


def test_what_is_not_graded_does_not_count(place, notebook):
    for _ in range(3):
        answer = place.send(b"no notebook")
        assert answer.status_code == 422 and "not a notebook" in message(answer)
        answer = place.send(notebook)
        place.grade(lost="Its judge ended.")
        answer = place.client.get(answer.headers["Location"], headers=ADA)
        assert answer.status_code == 503 and "Its judge ended." in message(answer)


def test_too_many_at_once_are_asked_to_come_back(place, notebook, monkeypatch):
    monkeypatch.setattr(desk_module, "MOST", 1)
    assert place.send(notebook).status_code == 202
    assert "Too many" in message(place.send(notebook, headers=BOB))


def test_a_notebook_may_not_be_too_large_nor_of_another_course(place, notebook):
    answer = place.send(notebook + b" " * 200_000)
    assert answer.status_code == 413 and "clear the notebook's outputs" in message(answer)
    for data, name in ((b'{"cells": []}', ""), (notebook, "09_other")):
        answer = place.send(data, assignment=name)
        assert answer.status_code == 422 and f"none of these assignments: {NAME}" in message(answer)
    assert place.send(notebook).status_code == 202


def test_a_notebook_on_the_sheet_of_another_student_is_refused(assignments, notebook, monkeypatch):
    monkeypatch.setenv(SECRET, "only the instructor knows this")
    # The tiny notebook has no checks, and so no sheet.
    monkeypatch.setattr("course.grade.desk.repair", lambda *both: replace(repair(*both), sheet=own_sheet("bob")))
    place = Place(assignments)
    answer = place.send(notebook)
    assert answer.status_code == 403 and "another student's sheet" in message(answer) and place.tasks == []
    assert place.send(notebook, headers=BOB).status_code == 202


def test_what_waits_is_given_up_when_the_server_stops(place, notebook):
    answer = place.send(notebook)
    place.desk.close()
    assert place.client.get(answer.headers["Location"], headers=ADA).status_code == 503


def test_only_the_last_reports_are_kept(assignments, notebook):
    place, places = Place(assignments, per_hour=9), []
    for _ in range(desk_module.KEPT + 1):
        places.append(place.send(notebook).headers["Location"])
        place.grade()
    found = [place.client.get(where, headers=ADA).status_code for where in places]
    assert found == [404] + [200] * desk_module.KEPT


def test_the_page_needs_nothing_from_elsewhere(place):
    answer = place.client.get("/")
    assert answer.text == DESK and "http" not in DESK.replace("http-equiv", "")
    assert place.client.get("/health").json()["assignments"] == [NAME]


# ---------------------------------------------------------------- what a report says


def case(name, passed, hidden="", visible=""):
    return {"name": name, "percent": 50, "passed": passed, "hidden": {"says": hidden}, "visible": {"says": visible}}


def found(assignment, feedback, *outputs):
    """The report on a notebook whose first exercise has these outputs and this feedback."""
    repaired = repair(assignment.released, assignment.released)
    number = next(i for i, cell in enumerate(repaired.notebook.cells) if cell.id == "double_tests")
    result = {"outputs": [[number, [*outputs]]], "feedback": {str(number): feedback} if feedback else {}}
    return report_on(repaired, assignment, result)


def error(name, sentence):
    return {"output_type": "error", "ename": name, "evalue": sentence, "traceback": [sentence]}


def test_a_report_shows_what_came_of_the_notebooks_inputs_and_never_of_the_hidden_ones(assignment):
    cases = [case("a", True), case("b", False, "4711 <b>", "for 5 <i>"), case("c", False, "4711 again")]
    report = found(assignment, {"exercise": "double", "percent": 50, "cases": cases}, error("AssertionError", "4711"))
    says = [each["says"] for each in report["exercises"][0]["cases"]]
    assert says == ["", "for 5 <i>", ONLY_OTHERS]
    shown = page(report, assignment.released)
    assert "for 5 &lt;i&gt;" in shown and ONLY_OTHERS.split(",")[0] in shown
    assert "4711" not in shown + json.dumps(report)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (error("AssertionError", "wrong for 4711"), "The tests stopped with AssertionError."),
        (error("NotImplementedError", "mean: put your code here, in place of this line."), "mean is not written yet."),
        (error("KernelLost", "It took longer than 3 seconds."), "KernelLost: It took longer than 3 seconds."),
        ({"output_type": "stream", "name": "stdout", "text": "double is not written yet. Do."}, "double is not written yet. Do."),
        ({"output_type": "stream", "name": "stdout", "text": "double: 4711 is wrong"}, "The tests have not passed."),
    ],
)  # fmt: skip
def test_tests_without_cases_say_why_unless_it_is_about_their_inputs(assignment, output, says):
    report = found(assignment, None, output)
    assert report["exercises"][0]["says"] == says and report["points"] == 0
    assert says in page(report, assignment.released)


# ---------------------------------------------------------------- tokens, and the command


def test_tokens_are_given_once_and_only_their_owner_reads_them(tmp_path):
    file = tmp_path / "tokens.csv"
    first = give_tokens(file, ["ada", "bob"])
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    given = dict(line.split(",") for line in file.read_text().splitlines()[1:])
    assert [first.student(given[name]) for name in ("ada", "bob")] == ["ada", "bob"]
    assert len(given["ada"]) >= 32 and first.student("") is first.student(given["ada"][:-1]) is None
    again = give_tokens(file, ["bob", "cem"])
    assert again.student(given["ada"]) == "ada" and again.student(given["bob"]) == "bob"
    assert len(file.read_text().splitlines()) == 4
    with pytest.raises(PlainError, match="--students"):
        give_tokens(tmp_path / "none.csv", [])
    file.write_text("a,b\n")
    with pytest.raises(PlainError, match="id,token"):
        give_tokens(file, ["ada"])
    file.write_text("id,token\n../ada,x\n")
    with pytest.raises(PlainError, match="folder"):
        give_tokens(file, [])


def test_the_command_serves_or_grades(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("course.grade.web.serve", lambda root, **options: asked.update(options))
    (tmp_path / "students.csv").write_text("id\nada\n")
    words = ["grade", "--serve", "--students", str(tmp_path / "students.csv"), "--per-hour", "3"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert (asked["students"], asked["per_hour"], asked["keep"], asked["sandboxed"]) == (["ada"], 3, None, True)
    assert CliRunner().invoke(cli, ["grade"]).exit_code == 2
