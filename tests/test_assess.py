"""The runner: kept before judged, judged after a kill -9, an answer for every request; and a picture truly drawn again."""

import base64
import copy
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from types import SimpleNamespace

import httpx
import jwt
import numpy as np
import postgres
import pytest
import sqlalchemy as sql
import uvicorn
from fastapi import FastAPI
from handins import CHECKPOINT, another, redrawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import PATIENCE, until

from course.assess import runner as runner_module
from course.assess.api import assessment_router
from course.assess.certificate import Signer, verify
from course.assess.parcel import Parcel, pack_files
from course.assess.runner import ATTEMPTS, Answer, Busy, Runner, judge_parcel
from course.assess.submissions import SubmissionStore
from course.serve.errors import BodyLimit, add_error_handlers
from helpers import clip, redraw
from helpers.assessment import Verdict, clip_fit, provenance_criteria
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


@pytest.fixture(scope="session")
def server():
    """The address of a PostgreSQL of these tests' own."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'psycopg[binary]'")
    if not postgres.programs():
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as url:
        yield sql.make_url(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/submissions.db"
    server, name = request.getfixturevalue("server"), f"of_{uuid.uuid4().hex}"
    with sql.create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def store(tmp_path):
    return SubmissionStore(f"sqlite:///{tmp_path}/new/submissions.db")


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "key.pem")


@pytest.fixture(autouse=True)
def brisk(monkeypatch):
    """Runners that look after each other's work all the time."""
    monkeypatch.setattr(runner_module, "PAUSE", 0.02)


@contextmanager
def at_work(store, signer, judge, **options):
    runner = Runner(store, signer, judge=judge, **options)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


class Slow:
    """A judge that waits until it may go on."""

    def __init__(self, verdict):
        self.verdict, self.free, self.seen = verdict, threading.Event(), []

    def __call__(self, one):
        self.seen.append(one)
        assert self.free.wait(PATIENCE)
        return self.verdict(one)


# -- keeping


def test_what_is_kept_comes_back(url):
    store, one, other = SubmissionStore(url), parcel(), parcel("ein großer Frosch\0")
    for each in (one, other, one):
        store.add(each)
    assert store.waiting() == [one.id, other.id]
    assert store.load(other.id) == other
    assert store.answer(one.id) is None and store.knows(one.id) and not store.knows("another")
    with store.claim() as claim:
        assert (claim.id, claim.attempts) == (one.id, 1)
        claim.answer = "{}"
    assert store.answer(one.id) == "{}" and store.waiting() == [other.id]
    with store.claim(exclude=[other.id]) as claim:
        assert claim is None


def test_two_runners_never_have_the_same_submission(url):
    mine, theirs, first, second = SubmissionStore(url), SubmissionStore(url), parcel("first"), parcel("second")
    mine.add(first)
    with mine.claim() as claim:
        theirs.add(second)  # is taken in meanwhile
        assert theirs.answer(first.id) is None and theirs.waiting() == [first.id, second.id]
        with theirs.claim() as other:  # SQLite lets one runner judge at a time
            assert other is None if url.startswith("sqlite") else other.id == second.id
        claim.answer = "{}"
    with theirs.claim() as claim:
        assert claim.id == second.id


def test_a_claim_that_fails_does_not_count(url):
    store = SubmissionStore(url)
    store.add(parcel())
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), store.claim() as claim:
            assert claim.attempts == 1
            raise ZeroDivisionError
    assert store.waiting() == [parcel().id] and store.answer(parcel().id) is None


HOLDER = """
import sys, threading
from course.assess.submissions import SubmissionStore

with SubmissionStore(sys.argv[1]).claim() as claim:
    print(claim.id, flush=True)
    threading.Event().wait()
"""


def test_the_lock_of_a_killed_runner_goes_with_it(url):
    store, attempts = SubmissionStore(url), []
    store.add(parcel())
    with subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == parcel().id
        with store.claim() as claim:
            assert claim is None
        process.kill()

    def take_over():
        with store.claim() as claim:
            if claim:
                attempts.append(claim.attempts)
                claim.answer = "{}"
        return attempts

    until(take_over)  # a server needs a moment to notice that its client has gone
    assert attempts == [2]


def test_a_database_of_earlier_versions_is_used_on(tmp_path, store):
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
        file.execute("CREATE TABLE claims (id VARCHAR(32) PRIMARY KEY, owner VARCHAR(32), renewed DATETIME)")
        file.execute("INSERT INTO claims VALUES (?, 'a runner', '2999-01-01 00:00:00')", ["0" * 32])
    assert store.waiting() == ["0" * 32]
    with store.claim() as claim:
        assert (claim.id, claim.attempts) == ("0" * 32, 1)
        claim.answer = "{}"
    store.add(parcel())
    assert store.waiting() == [parcel().id]


def test_several_runners_may_make_the_table_at_once(url):
    stores = [SubmissionStore(url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: each.add(parcel()), stores))
    assert stores[0].waiting() == [parcel().id]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "submissions.db",
        "nosuchdatabase://x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x.db?uri=true",
        "sqlite:////proc/nowhere/submissions.db",
    ],
)
def test_a_database_that_cannot_be_used_gets_a_sentence(url):
    with pytest.raises(PlainError, match=r"is not a database|names no file|There is no driver|can't be used"):
        SubmissionStore(url).add(parcel())


def test_a_lock_file_that_cannot_be_made_gets_a_sentence(store, tmp_path):
    store.add(parcel())
    (tmp_path / "new" / "submissions.db.lock").mkdir()
    with pytest.raises(PlainError, match="can't be used"), store.claim():
        pass


def test_a_runner_that_nobody_needed_leaves_no_file(store, signer, tmp_path):
    with at_work(store, signer, fails):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_password_is_told():
    with pytest.raises(PlainError) as told:
        SubmissionStore("nosuchdatabase://ada:secret@host/db").add(parcel())
    assert "secret" not in str(told.value)


# -- judging


def test_a_pass_earns_a_certificate(url, signer, tmp_path):
    with at_work(SubmissionStore(url), signer, passes) as runner:
        answer = runner.hand_in(parcel()).result(PATIENCE)
    assert answer.result == "passed" and answer.score == 100
    path = tmp_path / "certificate.png"
    path.write_bytes(base64.b64decode(answer.certificate["png"]))
    assert verify(path, signer.public_key).student == "Ada"
    assert runner.look_up(answer.id) == answer


def test_a_failure_earns_none(store, signer):
    with at_work(store, signer, fails) as runner:
        answer = runner.hand_in(parcel()).result(PATIENCE)
    assert (answer.result, answer.score, answer.messages) == ("failed", 12.5, ["no"])
    assert answer.certificate is None


def test_an_answer_of_earlier_versions_gets_todays_certificate(store, signer):
    words = {"student": "Ada", "course": "", "score": 80.0, "date": "2026-01-01", "submission": parcel().id}
    signed = {"certificate": {**words, "picture_sha256": "0" * 64}, "signature": "…", "public_key": "…"}
    old = Answer(id=parcel().id, result="passed", score=80, certificate={"json": signed, "png": "…"})
    store.add(parcel())
    with store.claim() as claim:
        claim.answer = old.model_dump_json()
    runner = Runner(store, signer)
    for answer in (runner.look_up(parcel().id), runner.hand_in(parcel()).result(0)):
        assert set(answer.certificate) == {"jwt", "png"} and answer.score == 80
        claims = jwt.decode(answer.certificate["jwt"], jwt.PyJWK(signer.jwk), ["EdDSA"])
        assert claims == {"iss": "Picture This", **words}


def test_the_same_submission_is_judged_once(store, signer):
    seen = []

    def counting(one):
        seen.append(one)
        return fails(one)

    with at_work(store, signer, counting) as runner:
        first = runner.hand_in(parcel()).result(PATIENCE)
        assert runner.hand_in(parcel()).result(PATIENCE) == first
    assert len(seen) == 1


def test_a_failing_judge_loses_nothing(url, signer):
    def without_a_model(one):
        raise PlainError("The model is away.")

    store = SubmissionStore(url)
    with at_work(store, signer, without_a_model) as runner:
        for _ in range(ATTEMPTS + 1):
            answer = runner.hand_in(parcel()).result(PATIENCE)
            assert (answer.result, answer.exceptions) == ("error", ["The model is away."])
            assert "not your fault" in answer.messages[0]
        assert runner.look_up(answer.id) == answer  # and whoever waits for it is told so
    with at_work(store, signer, passes) as runner:
        assert runner.hand_in(parcel()).result(PATIENCE).result == "passed"


def test_what_fails_after_the_judge_condemns_nobody(store, signer, monkeypatch):
    def fail(*args, **kwargs):
        raise PlainError("It is away.")

    with at_work(store, signer, passes) as runner:
        with monkeypatch.context() as patch:
            patch.setattr(signer, "issue", fail)
            for _ in range(ATTEMPTS + 1):
                assert runner.hand_in(parcel()).result(PATIENCE).exceptions == ["It is away."]
        assert runner.hand_in(parcel()).result(PATIENCE).result == "passed"


def test_a_database_that_is_lost_meanwhile_condemns_nobody(store, signer):
    def fail(connection, cursor, statement, *rest):
        if "answer=" in statement:
            raise sql.exc.OperationalError(statement, None, Exception("it is away"))

    store.add(parcel())
    sql.event.listen(store._engine, "before_cursor_execute", fail)
    with at_work(store, signer, passes) as runner:
        for _ in range(ATTEMPTS + 1):
            assert "it is away" in runner.hand_in(parcel()).result(PATIENCE).exceptions[0]
        sql.event.remove(store._engine, "before_cursor_execute", fail)
        assert runner.hand_in(parcel()).result(PATIENCE).result == "passed"


def test_a_server_that_ends_the_connection_condemns_nobody(server, signer):
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    engine, lost = sql.create_engine(server, isolation_level="AUTOCOMMIT"), []

    def loses_it(one):
        if len(lost) < ATTEMPTS + 1:
            with engine.connect() as connection:
                lost.append(connection.exec_driver_sql(ends).all())
        return passes(one)

    with at_work(SubmissionStore(server.render_as_string(hide_password=False)), signer, loses_it) as runner:
        for _ in range(ATTEMPTS + 1):
            answer = runner.hand_in(parcel()).result(PATIENCE)
            assert answer.result == "error" and "can't be used" in answer.exceptions[0]
        assert runner.hand_in(parcel()).result(PATIENCE).result == "passed"
    assert all(lost)


def test_what_failed_waits_again_when_it_is_sent_again(store, signer):
    slow, tries = Slow(fails), []

    def fails_once(one):
        tries.append(one)
        if len(tries) == 1:
            raise PlainError("The model is away.")
        return slow(one)

    with at_work(store, signer, fails_once) as runner:
        assert runner.hand_in(parcel()).result(PATIENCE).result == "error"
        again = runner.hand_in(parcel())
        assert runner.look_up(parcel().id).result == "waiting"
        slow.free.set()
        assert again.result(PATIENCE).result == "failed"


def test_runners_of_one_database_judge_a_submission_once(url, tmp_path):
    slow = Slow(passes)
    SubmissionStore(url).add(parcel())
    with ExitStack() as stack:
        runners = [
            stack.enter_context(at_work(SubmissionStore(url), Signer(tmp_path / f"{i}.pem"), slow)) for i in range(3)
        ]
        stack.callback(slow.free.set)
        until(lambda: slow.seen)
        asked = [runner.hand_in(parcel()) for runner in runners]
        assert {runner.look_up(parcel().id).result for runner in runners} == {"waiting"}
        slow.free.set()
        answers = [each.result(PATIENCE) for each in asked]  # whichever runner was asked
        assert answers[0].result == "passed"
        assert answers == [runner.look_up(parcel().id) for runner in runners] == answers[:1] * 3
    assert len(slow.seen) == 1


def test_a_second_runner_takes_in_while_the_first_is_busy(url, signer):
    """And judges what it took in: with SQLite when the first one has ended its own, with PostgreSQL at once."""
    slow = Slow(passes)
    with at_work(SubmissionStore(url), signer, slow) as busy, ExitStack() as stack:
        stack.callback(slow.free.set)
        first = busy.hand_in(parcel("first"))
        until(lambda: slow.seen)
        with at_work(SubmissionStore(url), signer, fails) as other:
            second = other.hand_in(parcel("second"))
            if url.startswith("sqlite"):
                assert other.look_up(parcel("second").id).result == "waiting"
                slow.free.set()
            assert second.result(PATIENCE).result in ("passed", "failed")
            slow.free.set()
            assert first.result(PATIENCE).result == "passed"


def test_a_runner_goes_on_with_what_is_there_at_its_start_and_with_what_others_leave(url, signer):
    store, others = SubmissionStore(url), SubmissionStore(url)
    others.add(parcel("before"))
    with at_work(store, signer, fails) as runner:
        until(lambda: runner.look_up(parcel("before").id).result == "failed")
        others.add(parcel("after"))
        until(lambda: runner.look_up(parcel("after").id).result == "failed")


def test_what_waits_is_taken_up_when_the_database_is_back(store, signer, monkeypatch):
    store.add(parcel())
    back, claim, looks = threading.Event(), store.claim, []

    def away_at_first(**options):
        looks.append(1)
        if not back.is_set():
            raise PlainError("It is away.")
        return claim(**options)

    monkeypatch.setattr(store, "claim", away_at_first)
    with at_work(store, signer, passes) as runner:
        until(lambda: looks)
        back.set()
        until(lambda: runner.look_up(parcel().id).result == "passed")


def test_no_more_are_taken_in_than_may_wait(store, signer):
    slow = Slow(fails)
    with at_work(store, signer, slow, max_waiting=2) as runner:
        first = [runner.hand_in(parcel(name)) for name in "ab"]
        with pytest.raises(Busy, match="2 submissions are already waiting"):
            runner.hand_in(parcel("c"))
        runner.hand_in(parcel("b"))  # waits already
        slow.free.set()
        assert [each.result(PATIENCE).result for each in first] == ["failed"] * 2
        assert runner.hand_in(parcel("c")).result(PATIENCE).result == "failed"


def test_who_still_waits_when_the_runner_stops_is_told_so(store, signer):
    slow = Slow(fails)
    with at_work(store, signer, slow) as runner:
        first, second = (runner.hand_in(parcel(name)) for name in "ab")
        until(lambda: slow.seen)
        threading.Timer(0.1, slow.free.set).start()
    assert first.result(0).result == "failed" and second.result(0).result == "waiting"
    assert store.waiting() == [parcel("b").id]


def test_a_submission_that_stops_the_runner_is_not_tried_for_ever(store, signer):
    store.add(parcel())
    for _ in range(ATTEMPTS):  # as processes that die while they judge leave it
        store._begin([])
    with at_work(store, signer, passes) as runner:
        answer = runner.hand_in(parcel()).result(PATIENCE)
    assert answer.result == "error" and "has started 3 times and never finished" in answer.messages[0]


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
        patch.setattr(provenance_criteria, "checkpoint_here", lambda: CHECKPOINT)
        clip_fit._rivals.cache_clear()
        yield
        clip_fit._rivals.cache_clear()


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
    runner = Runner(SubmissionStore(f"sqlite:///{folder}/submissions.db"), Signer(folder / "key.pem"))
    runner.start()
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
    assert "do not fit their source picture" in told(answer, 200)  # this CLIP knows nothing
    answer = answer.json()
    assert answer["result"] == "failed" and answer["exceptions"] == []
    names = [score["criterion"] for score in answer["criteria"]]
    assert names == ["shape", "descriptions", "prompts", "pictures", "fit", "provenance"]
    assert all(score["advice"] for score in answer["criteria"])
    points = {score["criterion"]: score["points"] for score in answer["criteria"]}
    assert (points["shape"], points["prompts"], points["pictures"], points["provenance"]) == (12, 16, 16, 20)
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


def test_each_request_gets_its_own_reasons(http):
    """The same records, once without pictures and then with some that can't be read."""
    asked = {"submission": another().records[:1], "student": "w"}
    for fields, reason in (
        ({"images": {}}, 'the field "images" has no files'),
        ({"zip": "not base64!"}, 'the field "zip" is not valid base64'),
        ({"folder": "nobody"}, "this runner looked in its folder 'nobody'"),
        ({"images": {}}, 'the field "images" has no files'),
    ):
        assert reason in told(http.post("/run_assessment", json={**asked, **fields}), 200)


def test_a_byte_order_mark_is_passed_over(http):
    body = b"\xef\xbb\xbf" + json.dumps({"submission": another().records, "folder": "ada"}).encode()
    assert http.post("/run_assessment", content=body, headers=JSON).status_code == 200


def test_the_public_key_is_told(http):
    told = http.get("/run_assessment/key").json()
    raw = base64.b64decode(told["public_key"])
    assert len(raw) == 32
    assert jwt.PyJWK(told["jwk"]).key.public_bytes_raw() == raw


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
    assert "docs/submission.schema.json describes a submission" in told(answer, 422)


def test_many_faults_are_summed_up(http):
    answer = http.post("/run_assessment", json={"submission": [{}] * 16})
    assert "And 38 more." in told(answer, 422)
    assert len(answer.json()["messages"]) == 12


def test_a_body_of_100_mb_is_refused(http):
    chunk = b" " * 1_000_000
    answer = http.post("/run_assessment", content=(chunk for _ in range(100)), headers=JSON)
    assert "larger than the limit of 2 MB" in told(answer, 413)
    assert answer.json()["result"] == "invalid"


@pytest.mark.parametrize(
    "type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
def test_a_web_page_can_hand_nothing_in(store, signer, type):
    """What a page may post to other servers unasked has one of these types."""
    with at_work(store, signer, fails) as runner, listening(runner) as http:
        headers = {"Content-Type": type} if type else {}
        answer = http.post("/run_assessment", content=b'{"submission": []}', headers=headers)
        assert "with the header Content-Type: application/json" in told(answer, 415)
        assert store.waiting() == []
        usual = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert http.post("/run_assessment", content=b'{"submission": []}', headers=usual).status_code == 200


def test_paths_that_lead_out_are_told(http):
    it = another()
    for path in ("../../../etc/passwd", "/etc/passwd"):
        it.records[0]["image_paths"][1] = path
        for fields in ({"images": body_of(it)["images"]}, {"folder": "ada"}):
            answer = http.post("/run_assessment", json={"submission": it.records, **fields})
            reason = "can't be opened: its path leads out of the submission's folder"
            assert f"Record 1, picture 2 ('{path}') {reason}" in told(answer, 200)
            (score,) = (s for s in answer.json()["criteria"] if s["criterion"] == "pictures")
            assert score["points"] == 15


def test_who_has_to_wait_gets_a_number(store, signer):
    free = threading.Event()

    def slow(one):
        assert free.wait(PATIENCE)
        return fails(one)

    with at_work(store, signer, slow, max_waiting=1) as runner, listening(runner, timeout=0.01) as http:
        answer = http.post("/run_assessment", json={"submission": []})
        id = answer.json()["id"]
        assert f"look it up at /run_assessment/{id}" in told(answer, 202)
        assert answer.json()["result"] == http.get(f"/run_assessment/{id}").json()["result"] == "waiting"
        other = http.post("/run_assessment", json={"submission": [], "student": "Ada"})
        assert "send yours again in a minute" in told(other, 429) and other.headers["retry-after"] == "60"
        free.set()
        while (answer := http.get(f"/run_assessment/{id}")).status_code == 202:
            time.sleep(0.01)
        assert answer.json()["result"] == "failed"


def test_a_runner_without_a_database_says_so(signer):
    with at_work(SubmissionStore("sqlite:////proc/nowhere/db"), signer, fails) as runner, listening(runner) as http:
        assert "can't be used" in told(http.post("/run_assessment", json={"submission": []}), 503)
        assert "can't be used" in told(http.get(f"/run_assessment/{'0' * 32}"), 503)


def test_the_endpoint_has_the_runner(store, signer):
    from course.serve.app import create_app

    store.add(parcel())  # as an earlier runner left it
    engine = SimpleNamespace(start=lambda: None, stop=lambda: None)
    with serving(create_app(engine, "chat", runner=Runner(store, signer, judge=fails))) as http:
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
from course.assess.runner import Runner
from course.assess.submissions import SubmissionStore

runner = Runner(SubmissionStore(sys.argv[1]), Signer(sys.argv[2]), judge=lambda parcel: threading.Event().wait())
runner.start()
app = FastAPI()
app.include_router(assessment_router(runner, timeout=0.01))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical")).run([listener])
"""


def test_a_kill_loses_no_submission_that_was_taken_in(url, signer):
    taken, store = [], SubmissionStore(url)

    def hand_in(number):
        try:
            answer = http.post("/run_assessment", json={"submission": [], "student": str(number)})
        except httpx.HTTPError:
            return
        if answer.status_code == 202:
            taken.append(answer.json()["id"])
            if len(taken) == 12:
                process.kill()

    command = [sys.executable, "-c", SERVER, url, signer.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = f"http://127.0.0.1:{int(process.stdout.readline())}"
        with httpx.Client(base_url=address, timeout=PATIENCE) as http, ThreadPoolExecutor(4) as pool:
            list(pool.map(hand_in, range(40)))
    assert process.wait() == -9
    assert len(taken) >= 12
    assert set(taken) <= set(store.waiting())
    with at_work(store, signer, fails) as runner:
        until(lambda: not store.waiting())
        assert {runner.look_up(id).result for id in taken} == {"failed"}


# -- the model itself


def test_the_judge_is_the_runners_own():
    assert Runner.__init__.__kwdefaults__["judge"] is judge_parcel
