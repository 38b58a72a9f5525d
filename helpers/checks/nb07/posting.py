"""`post_submission`: with fake runners that answer, refuse, answer nonsense, time out, or don't exist."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64decode
from collections.abc import Iterator, Sequence
from random import Random

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_raises
from helpers.checks.fakes import Received, Reply, drawn_result, fake_runner, scratch_folder, web_server

__all__ = ["post_submission"]

post_submission = Exercise("post_submission")


@post_submission.given
def file(rng) -> Iterator[str]:
    """The path of a submission with two records, in a scratch folder that lasts for all cases."""
    from helpers.submission import make_record, write_metadata

    with scratch_folder():
        results = [drawn_result(rng, f"picture{i}") for i in range(2)]
        records = [make_record(description, prompts, paths) for paths, prompts, description in results]
        yield str(write_metadata(records, "generated_images"))


@post_submission.core(40)
def request_and_answer(post_submission, file, rng) -> None:
    """records and pictures go to <url>/run_assessment, and the runner's answer is returned"""
    from helpers.submission import read_metadata

    answer = _passed(rng)
    with fake_runner(200, json.dumps(answer).encode()) as (url, received):
        result = post_submission(file, url)
    path, body = _only(received)
    expect(path == "/run_assessment", f"The request should go to <url>/run_assessment, but it went to {path!r}.")
    expect(
        isinstance(body, dict) and "submission" in body,
        "The request's body should be what pack(records, …) returns, with 'submission'.",
    )
    records = [record.model_dump(exclude_none=True) for record in read_metadata(file)]
    expect(
        body["submission"] == records,
        "The body's 'submission' should be all the file's records, unchanged.",
    )
    members = _members(body)
    missing = [path for record in records for path in record["image_paths"] if path not in members]
    expect(
        not missing,
        f"The pictures should be in the request's body (pack puts them there), but {', '.join(missing)} did not arrive.",
    )
    expect(result == answer, f"The runner answered {answer}, but post_submission returned {result!r}.")


@post_submission.core(25)
def refused(post_submission, file, rng) -> None:
    """a RuntimeError if the runner refuses"""
    for status in (400, 404, 422):
        _expect_error(post_submission, file, rng, status)


@post_submission.edge(5)
def server_errors(post_submission, file, rng) -> None:
    """also for status 500 and above"""
    for status in (500, 503):
        _expect_error(post_submission, file, rng, status)


@post_submission.edge(9)
def text_of_the_error(post_submission, file, rng) -> None:
    """the error has the address and the runner's message"""
    for status in (404, 422):
        url, words, message = _expect_error(post_submission, file, rng, status)
        expect(
            words in message and url in message,
            f"If the runner refuses, the error should have the address, {url}, and the runner's message, {words!r}, but it "
            f"says: {message}",
        )


@post_submission.edge(6)
def students_name(post_submission, file, rng) -> None:
    """the student's name arrives, whatever its letters"""
    for student in (f"Ada {rng.randrange(1000)}", "Zoë Ω"):
        with fake_runner(200, json.dumps(_passed(rng)).encode()) as (url, received):
            post_submission(file, url, student=student)
        name = _only(received).body.get("student")
        expect(name == student, f"The student's name should be {student!r}, but what arrived is {name!r}.")


@post_submission.edge(5)
def not_json(post_submission, file, rng) -> None:
    """a RuntimeError with the address and the runner's answer if that is not JSON"""
    words = f"Welcome, visitor {rng.randrange(10**6)}"
    with fake_runner(200, words.encode()) as (url, _):
        when = "a runner whose answer is not JSON"
        message = expect_raises(lambda: post_submission(file, url), RuntimeError, when, mentions=[url])
    expect(words in message, f"For {when}, the error should have that answer, {words!r}, but it says: {message}")


@post_submission.edge(5)
def no_server(post_submission, file) -> None:
    """a RuntimeError with the address if no server answers"""
    with fake_runner(200, b"{}") as (url, _):
        pass  # from here on the port is closed
    expect_raises(lambda: post_submission(file, url), RuntimeError, "an address without a server", mentions=[url])


@post_submission.edge(5)
def timeout(post_submission, file) -> None:
    """a RuntimeError with the address if no answer comes within the timeout"""
    with web_server(lambda request: Reply(b'{"result": "passed"}', wait=3)) as url:
        expect_raises(
            lambda: post_submission(file, url, timeout=0.4),
            RuntimeError,
            "a runner that takes longer than timeout=0.4",
            mentions=[url],
        )


def _passed(rng: Random) -> dict:
    """An answer of the runner."""
    return {
        "result": "passed",
        "messages": [f"Well done {rng.randrange(100)}!"],
        "exceptions": [],
        "score": rng.random(),
    }


def _only(received: Sequence[Received]) -> Received:
    expect(
        len(received) == 1,
        f"There should be one POST request with JSON, but there were {len(received)}. json=… sends JSON with the header "
        "Content-Type: application/json, which the runner needs.",
    )
    return received[0]


def _members(body: dict) -> set[str]:
    """The names of the pictures in the request, zipped or one by one."""
    if not body.get("zip"):
        return set(body.get("images") or {})
    with zipfile.ZipFile(io.BytesIO(b64decode(body["zip"]))) as archive:
        return set(archive.namelist())


def _expect_error(post_submission, file: str, rng: Random, status: int) -> tuple[str, str, str]:
    """The runner's address, its message, and the RuntimeError's; raise `CheckFailed` if there is no RuntimeError."""
    words = f"sorry, no {rng.randrange(10**6)}"
    with fake_runner(status, json.dumps({"detail": words}).encode()) as (url, _):
        message = expect_raises(
            lambda: post_submission(file, url), RuntimeError, f"a runner that refuses with status {status}"
        )
    return url, words, message
