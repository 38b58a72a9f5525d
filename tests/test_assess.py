"""The runner: kept before judged, judged after a kill -9, an answer for every request; and a picture truly drawn again."""

import base64
import copy
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from handins import CHECKPOINT, another, redrawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import PATIENCE, until

from course.assess import redraw, sight
from course.assess import runner as runner_module
from course.assess.api import assessment_router
from course.assess.certificate import Signer, verify
from course.assess.judge import Verdict, judge
from course.assess.ledger import LEASE, Ledger
from course.assess.parcel import Parcel, pack_files
from course.assess.runner import Answer, Busy, Runner
from course.serve.errors import BodyLimit, add_error_handlers
from helpers import clip
from helpers.errors import PlainError
from helpers.submission import Record

LIMIT = 2_000_000  # bytes of a request
JSON = {"Content-Type": "application/json"}


def body_of(hand_in, **fields):
    """The request of a submission, its pictures in base64."""
    images = {path: base64.b64encode(content).decode() for path, content in hand_in.files.items()}
    return {"submission": hand_in.records, "images": images, **fields}


def parcel(name="a cat"):
    return Parcel(
        [Record(original_description=name, prompts=["a"], image_paths=["a.png"])], "Ada", files={"a.png": b"A"}
    )


def passes(parcel):
    return Verdict(passed=True, score=100, criteria=[], messages=[])


def fails(parcel):
    return Verdict(passed=False, score=12.5, criteria=[], messages=["no"])


class Clock:
    """Stands still but for a millisecond with each look, so that no claim runs out before `run_down`."""

    def __init__(self):
        self.time = datetime.now(UTC)

    def __call__(self):
        self.time += timedelta(milliseconds=1)
        return self.time

    def run_down(self, leases=1.5):
        self.time += leases * LEASE


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    return Ledger(f"sqlite:///{tmp_path}/new/submissions.db", clock=clock)


def colleague(ledger):
    """The ledger as another runner's process has it open."""
    return Ledger(ledger._url, clock=ledger._clock)


@pytest.fixture(params=["sqlite", "server"])
def database(request, ledger, clock):
    """The ledger in SQLite; and in a server's empty database, where COURSE_TEST_DATABASE names one."""
    if request.param == "sqlite":
        return ledger
    if "COURSE_TEST_DATABASE" not in os.environ:
        pytest.skip("COURSE_TEST_DATABASE names no server's database (postgresql+psycopg://…)")
    return Ledger(os.environ["COURSE_TEST_DATABASE"], clock=clock)


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "key.pem")


@pytest.fixture
def brisk(monkeypatch):
    """Runners that look after the claims all the time."""
    monkeypatch.setattr(runner_module, "BEAT", 0.02)


def calls(monkeypatch, owner, name):
    """The list of the first arguments that a method is called with from now on."""
    method, seen = getattr(owner, name), []

    def noted(first, *rest):
        result = method(first, *rest)
        seen.append(first)
        return result

    monkeypatch.setattr(owner, name, noted)
    return seen


def until_two_more(seen):
    """Waits for a call that began after this moment, and its end."""
    now = len(seen)
    until(lambda: len(seen) >= now + 2)


@contextmanager
def at_work(ledger, signer, judge, **options):
    runner = Runner(ledger, signer, judge=judge, **options)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


# -- keeping


def test_what_is_kept_comes_back(database):
    one, other = parcel(), parcel("ein großer Frosch\0")
    for each in (one, other, one):
        database.add(each)
    assert database.waiting() == [one.id, other.id]
    assert database.load(other.id) == other
    assert database.answer(one.id) is None and database.knows(one.id) and not database.knows("another")
    assert database.finish(one.id, "first") == database.finish(one.id, "second") == "first"
    assert database.waiting() == [other.id]


def test_one_claims_a_submission_at_a_time(database, clock):
    one, other = parcel("claimed"), colleague(database)
    database.add(one)
    assert database.begin(one.id) == 1
    assert other.begin(one.id) is None
    database.put_back(one.id)
    assert other.begin(one.id) == 1
    clock.run_down(0.8)
    other.renew(one.id)
    clock.run_down(0.8)
    assert database.begin(one.id) is None
    clock.run_down(0.8)
    assert database.begin(one.id) == 2  # whoever had the claim is dead
    database.finish(one.id, "answer")
    assert other.begin(one.id) is None


def test_who_comes_back_late_leaves_the_claim_to_its_new_owner(database, clock):
    one = parcel("stalled")
    late, owner, third = database, colleague(database), colleague(database)
    late.add(one)
    assert late.begin(one.id) == 1
    clock.run_down()
    assert owner.begin(one.id) == 2
    late.put_back(one.id)
    assert third.begin(one.id) is None
    clock.run_down(0.8)
    late.renew(one.id)
    clock.run_down(0.8)
    assert third.begin(one.id) == 3  # nor was the count set back
    assert late.finish(one.id, "late") == third.finish(one.id, "later") == "late"


def test_a_database_of_earlier_runners_is_used_on(tmp_path, ledger):
    old = {"id": "0" * 32, "records": '{"submission": []}', "pictures": pack_files({}), "problems": "{}", "attempts": 0}
    old |= {"received": "2026-01-01 00:00:00.000000", "judged": None, "answer": None}
    (tmp_path / "new").mkdir()
    with closing(sqlite3.connect(tmp_path / "new" / "submissions.db")) as file, file:
        columns = (
            "id VARCHAR(32) PRIMARY KEY, received DATETIME NOT NULL, records TEXT NOT NULL, pictures BLOB NOT NULL"
        )
        file.execute(
            f"CREATE TABLE submissions ({columns}, problems TEXT, attempts INTEGER, judged DATETIME, answer TEXT)"
        )
        file.execute(
            f"INSERT INTO submissions ({', '.join(old)}) VALUES ({', '.join('?' * len(old))})", [*old.values()]
        )
    assert ledger.waiting() == ["0" * 32]
    assert ledger.begin("0" * 32) == 1
    ledger.finish("0" * 32, "answer")
    ledger.add(parcel())
    assert ledger.waiting() == [parcel().id]


def test_several_runners_may_make_the_tables_at_once(tmp_path):
    ledgers = [Ledger(f"sqlite:///{tmp_path}/submissions.db") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: each.add(parcel()), ledgers))
    assert ledgers[0].waiting() == [parcel().id]


@pytest.mark.parametrize("url", ["", "submissions.db", "nosuchdatabase://x", "sqlite:////proc/nowhere/submissions.db"])
def test_a_database_that_cannot_be_had_gets_a_sentence(url):
    with pytest.raises(PlainError, match=r"is no database|There is no driver|can't be used"):
        Ledger(url).add(parcel())


def test_a_runner_that_nobody_needed_leaves_no_file(ledger, signer, tmp_path):
    with at_work(ledger, signer, fails):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_password_is_told():
    with pytest.raises(PlainError) as told:
        Ledger("nosuchdatabase://ada:secret@host/db").add(parcel())
    assert "secret" not in str(told.value)


# -- judging


def test_a_pass_earns_a_certificate(ledger, signer, tmp_path):
    with at_work(ledger, signer, passes) as runner:
        answer = runner.hand_in(parcel()).result(PATIENCE)
    assert answer.result == "passed" and answer.score == 100
    path = tmp_path / "certificate.png"
    path.write_bytes(base64.b64decode(answer.certificate["png"]))
    assert verify(path, signer.public_key).student == "Ada"
    assert runner.look_up(answer.id) == answer


def test_a_failure_earns_none(ledger, signer):
    with at_work(ledger, signer, fails) as runner:
        answer = runner.hand_in(parcel()).result(PATIENCE)
    assert (answer.result, answer.score, answer.messages) == ("failed", 12.5, ["no"])
    assert answer.certificate is None


def test_the_same_submission_is_judged_once(ledger, signer):
    seen = []

    def counting(one):
        seen.append(one)
        return fails(one)

    with at_work(ledger, signer, counting) as runner:
        first = runner.hand_in(parcel()).result(PATIENCE)
        assert runner.hand_in(parcel()).result(PATIENCE) == first
    assert len(seen) == 1


def test_a_failing_judge_loses_nothing(ledger, signer):
    def without_a_model(one):
        raise PlainError("The model is away.")

    with at_work(ledger, signer, without_a_model) as runner:
        for _ in range(3):  # more often than a submission may stop the runner
            answer = runner.hand_in(parcel()).result(PATIENCE)
            assert (answer.result, answer.exceptions) == ("error", ["The model is away."])
            assert "not your fault" in answer.messages[0]
        assert runner.look_up(answer.id) == answer  # and whoever waits for it hears so
    with at_work(ledger, signer, passes) as runner:
        assert runner.hand_in(parcel()).result(PATIENCE).result == "passed"


@pytest.mark.parametrize("broken", ["signer", "database"])
def test_what_fails_after_the_judge_condemns_nobody(ledger, signer, monkeypatch, broken):
    def fail(*args, **kwargs):
        raise PlainError("It is away.")

    with at_work(ledger, signer, passes) as runner:
        with monkeypatch.context() as patch:
            patch.setattr(*((signer, "certificate") if broken == "signer" else (ledger, "finish")), fail)
            for _ in range(3):
                assert runner.hand_in(parcel()).result(PATIENCE).exceptions == ["It is away."]
        assert runner.hand_in(parcel()).result(PATIENCE).result == "passed"


def test_what_failed_waits_again_when_it_is_sent_again(ledger, signer):
    free, tries = threading.Event(), []

    def fails_once(one):
        tries.append(one)
        if len(tries) == 1:
            raise PlainError("The model is away.")
        assert free.wait(PATIENCE)
        return fails(one)

    with at_work(ledger, signer, fails_once) as runner:
        assert runner.hand_in(parcel()).result(PATIENCE).result == "error"
        again = runner.hand_in(parcel())
        assert runner.look_up(parcel().id).result == "waiting"
        free.set()
        assert again.result(PATIENCE).result == "failed"


def test_runners_of_one_database_judge_a_submission_once(ledger, tmp_path, brisk):
    free, seen = threading.Event(), []

    def slow(one):
        seen.append(one.student)
        assert free.wait(PATIENCE)
        return passes(one)

    ledger.add(parcel())
    with ExitStack() as stack:
        runners = [
            stack.enter_context(at_work(colleague(ledger), Signer(tmp_path / f"{i}.pem"), slow)) for i in range(3)
        ]
        stack.callback(free.set)
        until(lambda: seen)
        asked = [runner.hand_in(parcel()) for runner in runners]
        until(lambda: sum(each.done() for each in asked) == 2)  # nobody waits for another runner's end
        assert [each.result().result for each in asked if each.done()] == ["waiting"] * 2
        assert {runner.look_up(parcel().id).result for runner in runners} == {"waiting"}
        free.set()
        for runner in runners:
            until(lambda r=runner: r.look_up(parcel().id).result == "passed")
        answers = [runner.look_up(parcel().id) for runner in runners]
        assert answers[0] == answers[1] == answers[2]
    assert seen == ["Ada"]


def test_a_claim_holds_as_long_as_the_judge_takes(ledger, signer, clock, brisk, monkeypatch):
    free = threading.Event()

    def slow(one):
        assert free.wait(PATIENCE)
        return passes(one)

    renewed = calls(monkeypatch, ledger, "renew")
    with at_work(ledger, signer, slow) as runner:
        asked = runner.hand_in(parcel())
        for _ in range(2):
            until_two_more(renewed)
            clock.run_down(0.8)
        assert colleague(ledger).begin(parcel().id) is None
        free.set()
        assert asked.result(PATIENCE).result == "passed"


@pytest.mark.parametrize("asked", [True, False])
def test_a_runner_goes_on_with_what_another_has_left(ledger, signer, clock, brisk, monkeypatch, asked):
    """When it was asked, too, or started later."""
    tried = calls(monkeypatch, ledger, "begin")

    def leave():  # as a process does that ends now
        ledger.add(parcel())
        colleague(ledger).begin(parcel().id)

    if not asked:
        leave()
    with at_work(ledger, signer, passes) as runner:
        if asked:
            until(lambda: runner._begun)
            leave()
            assert runner.hand_in(parcel()).result(PATIENCE).result == "waiting"
        until_two_more(tried)
        assert runner.look_up(parcel().id).result == "waiting"
        clock.run_down()
        until(lambda: runner.look_up(parcel().id).result == "passed")


def test_a_runner_leaves_to_others_what_is_handed_to_them(ledger, tmp_path, brisk, monkeypatch):
    free, first, second = threading.Event(), parcel("first"), parcel("second")

    def slow(one):
        assert free.wait(PATIENCE)
        return passes(one)

    other = colleague(ledger)
    tried = calls(monkeypatch, other, "begin")
    with at_work(ledger, Signer(tmp_path / "1.pem"), slow) as runner:
        runner.hand_in(first)
        until(lambda: runner._claimed)
        with at_work(other, Signer(tmp_path / "2.pem"), fails):
            until(lambda: tried)  # the other one would go on with the first
            answer = runner.hand_in(second)
            until_two_more(tried)
            until_two_more(tried)
            free.set()
            assert answer.result(PATIENCE).result == "passed"
    assert set(tried) == {first.id}


def test_what_waits_is_taken_up_when_the_database_is_back(ledger, signer, brisk, monkeypatch):
    ledger.add(parcel())
    back, waiting, looks = threading.Event(), ledger.waiting, []

    def away_at_first():
        looks.append(1)
        if not back.is_set():
            raise PlainError("It is away.")
        return waiting()

    monkeypatch.setattr(ledger, "waiting", away_at_first)
    with at_work(ledger, signer, passes) as runner:
        until(lambda: looks)
        back.set()
        until(lambda: runner.look_up(parcel().id).result == "passed")


def test_no_more_are_taken_in_than_there_are_places(ledger, signer):
    free = threading.Event()

    def slow(one):
        assert free.wait(PATIENCE)
        return fails(one)

    with at_work(ledger, signer, slow, places=2) as runner:
        first = [runner.hand_in(parcel(name)) for name in "ab"]
        with pytest.raises(Busy, match="2 submissions are waiting already"):
            runner.hand_in(parcel("c"))
        runner.hand_in(parcel("b"))  # is in hand already
        free.set()
        assert [each.result(PATIENCE).result for each in first] == ["failed"] * 2
        assert runner.hand_in(parcel("c")).result(PATIENCE).result == "failed"


def test_a_submission_that_stops_the_runner_is_not_tried_for_ever(ledger, signer, clock):
    ledger.add(parcel())
    for _ in range(2):  # as a process that dies while it judges leaves it
        colleague(ledger).begin(parcel().id)
        clock.run_down()
    with at_work(ledger, signer, passes) as runner:
        answer = runner.hand_in(parcel()).result(PATIENCE)
    assert answer.result == "error" and "has stopped the runner 2 times" in answer.messages[0]


# -- over HTTP


@contextmanager
def serving(app):
    """The app on a free port of this computer: its client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(base_url=url, timeout=PATIENCE) as http:
                yield http
        finally:
            server.should_exit = True
            thread.join()


def listening(runner, **options):
    """The runner's routes alone, with the endpoint's limit and errors."""
    app = FastAPI()
    app.add_middleware(BodyLimit, limit=LIMIT)
    add_error_handlers(app)
    app.include_router(assessment_router(runner, **options))
    return serving(app)


def numbers(key, n=64):
    """A unit vector that depends on a text or a picture only: CLIP, without an idea of anything."""
    seed = hash(key) % 2**32
    vector = np.random.default_rng(seed).standard_normal(n).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def no_models():
    """The whole judge without a model: a CLIP that knows nothing, and a "model" that draws scenes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "embed_texts", lambda texts: np.stack([numbers(text) for text in texts]))
        patch.setattr(clip, "embed_images", lambda images: np.stack([numbers(image.tobytes()) for image in images]))
        patch.setattr(redraw, "redraw", lambda wanted: redrawn(wanted) if _readable(wanted) else _blank(wanted))
        patch.setattr(redraw, "_checkpoint", lambda: CHECKPOINT)
        sight._rivals.cache_clear()
        yield
        sight._rivals.cache_clear()


def _readable(wanted):
    try:
        return redrawn(wanted)
    except ValueError:
        return None


def _blank(wanted):
    from PIL import Image

    return [Image.new("RGB", (128, 128)) for _ in wanted]


@pytest.fixture(scope="module")
def http(no_models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runner")
    (folder / "root" / "ada").mkdir(parents=True)
    for path, content in another().files.items():
        (folder / "root" / "ada" / path).parent.mkdir(exist_ok=True)
        (folder / "root" / "ada" / path).write_bytes(content)
    runner = Runner(Ledger(f"sqlite:///{folder}/submissions.db"), Signer(folder / "key.pem"))
    with listening(runner, root=folder / "root") as client:
        yield client
    runner.stop()


def told(answer, status):
    """The messages of an answer that must have ``status`` and all that an answer has."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == set(Answer.model_fields)
    return " ".join(answer.json()["messages"] + answer.json()["exceptions"])


def test_an_answer_has_a_score_for_each_criterion(http):
    answer = http.post("/run_assessment", json=body_of(another(), student="Ada"))
    assert "does not fit the source picture" in told(answer, 200)  # this CLIP knows nothing
    answer = answer.json()
    assert answer["result"] == "failed" and answer["exceptions"] == []
    names = [score["criterion"] for score in answer["criteria"]]
    assert names == ["shape", "descriptions", "prompts", "pictures", "fit", "provenance"]
    assert all(score["advice"] for score in answer["criteria"])
    points = {score["criterion"]: score["points"] for score in answer["criteria"]}
    assert (points["shape"], points["prompts"], points["pictures"], points["provenance"]) == (10, 20, 15, 20)
    assert http.get(f"/run_assessment/{answer['id']}").json() == answer


def test_pictures_may_lie_in_a_folder_of_the_runner(http):
    answer = http.post("/run_assessment", json={"submission": another().records, "folder": "ada"}).json()
    travelled = http.post("/run_assessment", json=body_of(another())).json()
    assert answer == travelled  # the same submission, whichever way its pictures came


def test_without_a_folder_the_runners_own_is_meant(http):
    it = another()
    for record in it.records:
        record["image_paths"] = [f"ada/{path}" for path in record["image_paths"]]
        record["source_image"] = f"ada/{record['source_image']}"
    answer = http.post("/run_assessment", json={"submission": it.records})
    assert "no pictures came" not in told(answer, 200)
    (score,) = (s for s in answer.json()["criteria"] if s["criterion"] == "pictures")
    assert score["points"] == score["of"]


def test_the_public_key_is_told(http):
    assert len(base64.b64decode(http.get("/run_assessment/key").json()["public_key"])) == 32


def test_who_asks_for_nothing_hears_that(http):
    for id in ("0" * 32, "0123", "%00", "key2"):
        assert "no submission with this id" in told(http.get(f"/run_assessment/{id}"), 404)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "Invalid JSON"),
        (b"no JSON", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[]", "the whole: Input should be an object"),
        (b"{}", "submission: Field required"),
        (b'{"submission": NaN}', "submission: Input should be a valid array"),
        (b'{"submission": {}}', "submission: Input should be a valid array"),
        (b'{"submission": [7]}', "submission.0: Input should be an object"),
        (b'{"submission": [{"original_description": NaN}]}', "submission.0.original_description: Input should be"),
        (b'{"submission": [{"prompts": "a cat"}]}', "submission.0.prompts: Input should be a valid array"),
        (b'{"submission": [{"prompts": ["a", null]}]}', "submission.0.prompts.1: Input should be a valid string"),
        (b'{"submission": [], "student": ["Ada"]}', "student: Input should be a valid string"),
        (b'{"submission": [], "student": "\\ud800"}', "Invalid JSON"),
        (b'{"submission": [{"provenance": [{"seed": 1e999}]}]}', "seed"),
        (b'{"submission": [{"provenance": [{"seed": ' + b"9" * 5000 + b"}]}]}", "Invalid JSON: number out of range"),
        (
            b'{"submission": [{"provenance": [{"guidance_scale": NaN}]}]}',
            "guidance_scale: Input should be a finite number",
        ),
        (b'{"submission": ' + b"[" * 100_000, "recursion limit"),
        (b'{"submission": [' + b"{}," * 100 + b"{}]}", "submission: List should have at most 16 items"),
        (b'{"submission": [], "images": ["a.png"]}', "images: Input should be an object"),
    ],
)
def test_what_is_no_submission_gets_a_sentence(http, body, sentence):
    answer = http.post("/run_assessment", content=body, headers=JSON)
    assert sentence in told(answer, 422)
    assert answer.json()["result"] == "invalid" and answer.json()["score"] == 0
    assert "docs/submission.schema.json says what a submission is" in told(answer, 422)


def test_many_faults_are_summed_up(http):
    answer = http.post("/run_assessment", json={"submission": [{}] * 16})
    assert "And 38 more." in told(answer, 422)
    assert len(answer.json()["messages"]) == 12


def test_a_body_of_100_mb_is_refused(http):
    chunk = b" " * 1_000_000
    answer = http.post("/run_assessment", content=(chunk for _ in range(100)), headers=JSON)
    assert "larger than the 2 MB" in told(answer, 413)
    assert answer.json()["result"] == "invalid"


@pytest.mark.parametrize(
    "type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
def test_a_web_page_can_hand_nothing_in(ledger, signer, type):
    """What a page may post to other servers unasked has one of these types."""
    with at_work(ledger, signer, fails) as runner, listening(runner) as http:
        headers = {"Content-Type": type} if type else {}
        answer = http.post("/run_assessment", content=b'{"submission": []}', headers=headers)
        assert "with the header Content-Type: application/json" in told(answer, 415)
        assert ledger.waiting() == []
        usual = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert http.post("/run_assessment", content=b'{"submission": []}', headers=usual).status_code == 200


def test_paths_that_lead_out_are_told(http):
    it = another()
    for path in ("../../../etc/passwd", "/etc/passwd"):
        it.records[0]["image_paths"][1] = path
        for fields in ({"images": body_of(it)["images"]}, {"folder": "ada"}):
            answer = http.post("/run_assessment", json={"submission": it.records, **fields})
            assert f"Record 1, picture 2 ('{path}'): its path leads out of the submission's folder" in told(answer, 200)
            (score,) = (s for s in answer.json()["criteria"] if s["criterion"] == "pictures")
            assert score["points"] == 14.1


def test_who_has_to_wait_gets_a_number(ledger, signer):
    free = threading.Event()

    def slow(one):
        assert free.wait(PATIENCE)
        return fails(one)

    with at_work(ledger, signer, slow, places=1) as runner, listening(runner, patience=0.01) as http:
        answer = http.post("/run_assessment", json={"submission": []})
        id = answer.json()["id"]
        assert f"ask for /run_assessment/{id}" in told(answer, 202)
        assert answer.json()["result"] == http.get(f"/run_assessment/{id}").json()["result"] == "waiting"
        other = http.post("/run_assessment", json={"submission": [], "student": "Ada"})
        assert "send yours again in a minute" in told(other, 429) and other.headers["retry-after"] == "60"
        free.set()
        while (answer := http.get(f"/run_assessment/{id}")).status_code == 202:
            time.sleep(0.01)
        assert answer.json()["result"] == "failed"


def test_a_runner_without_a_database_says_so(signer):
    with at_work(Ledger("sqlite:////proc/nowhere/db"), signer, fails) as runner, listening(runner) as http:
        assert "can't be used" in told(http.post("/run_assessment", json={"submission": []}), 503)
        assert "can't be used" in told(http.get(f"/run_assessment/{'0' * 32}"), 503)


def test_the_endpoint_has_the_runner(ledger, signer):
    from course.serve.app import create_app

    ledger.add(parcel())  # as an earlier runner left it
    engine = SimpleNamespace(start=lambda: None, stop=lambda: None)
    with serving(create_app(engine, "chat", runner=Runner(ledger, signer, judge=fails))) as http:
        assert told(http.post("/run_assessment", json={"submission": []}), 200) == "no"
        assert http.get(f"/run_assessment/{parcel().id}").json()["result"] == "failed"


# -- hostile requests

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@st.composite
def spoiled(draw):
    """The body of a good submission with one to three of its parts replaced, cut short or taken out."""
    body = body_of(_small)
    for _ in range(draw(st.integers(1, 3))):
        node = copy.deepcopy(body)
        body, parent, key = node, None, None
        while isinstance(node, (dict, list)) and node and (parent is None or draw(st.booleans())):
            parent, key = (
                node,
                draw(st.sampled_from(sorted(node, key=str) if isinstance(node, dict) else range(len(node)))),
            )
            node = node[key]
        if parent is None:
            return body
        what = draw(st.sampled_from(["replace", "remove", "cut"]))
        if what == "remove":
            del parent[key]
        elif what == "cut" and isinstance(node, str):
            parent[key] = node[: draw(st.integers(0, len(node)))]
        else:
            parent[key] = draw(values)
    return body


_small = another()  # of small pictures, quick to judge
for _path in list(_small.files):
    if not _path.startswith("generated_images/0") and "_" in _path.removeprefix("generated_images/"):
        _small.files.pop(_path)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoiled() | values)
def test_no_json_is_too_hostile_for_an_answer(http, body):
    answer = http.post("/run_assessment", content=json.dumps(body), headers=JSON)
    told(answer, answer.status_code)
    assert answer.status_code in (200, 422)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_no_bytes_are_too_hostile_for_an_answer(http, content):
    text = base64.b64encode(content).decode()
    record = {"original_description": "a cat", "prompts": ["a cat"], "image_paths": ["a.png"]}
    for fields in ({"zip": text}, {"images": {"a.png": text}}):
        told(http.post("/run_assessment", json={"submission": [record], **fields}), 200)
    told(http.post("/run_assessment", content=content, headers=JSON), 422)


# -- kill -9

SERVER = """
import socket, sys, threading
import uvicorn
from fastapi import FastAPI
from course.assess.api import assessment_router
from course.assess.certificate import Signer
from course.assess.ledger import Ledger
from course.assess.runner import Runner

runner = Runner(Ledger(sys.argv[1]), Signer(sys.argv[2]), judge=lambda parcel: threading.Event().wait())
app = FastAPI()
app.include_router(assessment_router(runner, patience=0.01))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical")).run([listener])
"""


def test_a_kill_loses_no_submission_that_was_taken_in(tmp_path, ledger, signer, clock):
    taken = []

    def hand_in(number):
        try:
            answer = http.post("/run_assessment", json={"submission": [], "student": str(number)})
        except httpx.HTTPError:
            return
        if answer.status_code == 202:
            taken.append(answer.json()["id"])
            if len(taken) == 12:
                process.kill()

    command = [sys.executable, "-c", SERVER, f"sqlite:///{tmp_path}/new/submissions.db", signer.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        with httpx.Client(base_url=url, timeout=PATIENCE) as http, ThreadPoolExecutor(4) as pool:
            list(pool.map(hand_in, range(40)))
    assert process.wait() == -9
    assert len(taken) >= 12
    assert set(taken) <= set(ledger.waiting())
    clock.time = datetime.now(UTC) + 1.5 * LEASE  # the process had a real clock
    with at_work(ledger, signer, fails) as runner:
        until(lambda: not ledger.waiting())
        assert {runner.look_up(id).result for id in taken} == {"failed"}


# -- the model itself


def test_the_judge_is_the_runners_own():
    assert Runner.__init__.__kwdefaults__["judge"] is judge
