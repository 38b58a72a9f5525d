"""The one thread that judges submissions. The database is its queue.

Submissions are stored in the database first. The thread judges whatever waits there, in order of arrival: what was
handed in here, what an earlier runner left behind, and what was handed in to another runner of the same database that
is busy or gone. `SubmissionStore.claim` makes sure that only one of them judges a submission.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from course.assess.certificate import Certificate, Signer, home
from course.assess.parcel import Parcel
from course.assess.submissions import Claim, SubmissionStore
from helpers.assessment import Score, Verdict, judge
from helpers.errors import PlainError

__all__ = ["Answer", "Busy", "Runner"]

log = logging.getLogger(__name__)

#: How often judging a submission may start without finishing.
ATTEMPTS = 3
#: Seconds between checks for what other runners have judged or left behind.
PAUSE = 2.0


class Answer(BaseModel):
    """The response to a client.

    Attributes:
        id: of the submission; the same submission, sent again, has the same id.
        result: "passed" or "failed"; "waiting" if it is stored but not judged yet; "invalid" if it is not a submission;
            "error" if the runner could not judge it.
        score: points out of 100.
        messages: a sentence for each fault of the submission.
        exceptions: what went wrong in the runner; not the student's fault.
        certificate: on a pass, the certificate: {"jwt": the signed token, "png": a picture of it in base64}.
    """

    id: str | None = None
    result: Literal["passed", "failed", "waiting", "invalid", "error"]
    score: float = 0
    criteria: list[Score] = []
    messages: list[str] = []
    exceptions: list[str] = []
    certificate: dict[str, Any] | None = None


def judge_parcel(parcel: Parcel) -> Verdict:
    """Judge a received submission. Raises `helpers.models.ModelUnavailable` if a model is unavailable."""
    return judge(parcel.opened())


class Busy(Exception):
    """Too many submissions are waiting to accept more."""


class Runner:
    """Accepts submissions and judges them, one after the other.

    Args:
        judge: returns the verdict on a submission; replaced in tests.
        max_waiting: no more are accepted while this many are waiting in the database.
    """

    def __init__(
        self,
        store: SubmissionStore,
        signer: Signer,
        *,
        judge: Callable[[Parcel], Verdict] = judge_parcel,
        max_waiting: int = 64,
    ):
        self.store, self.signer, self.max_waiting = store, signer, max_waiting
        self._judge = judge
        self._pending: dict[str, Future[Answer]] = {}  # answers that clients of this runner wait for, by id
        self._failed: dict[str, Answer] = {}  # what could not be judged, until it is sent again
        self._lock = threading.Lock()  # guards these two
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="assessment", daemon=True)

    @classmethod
    def at_home(cls, url: str | None = None) -> Runner:
        """Return this computer's user's runner; key and (unless `url` is given) database are in the data folder."""
        return cls(SubmissionStore(url or f"sqlite:///{home() / 'submissions.db'}"), Signer.at_home())

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after the current submission; the others wait in the database."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for id in list(self._pending):
            self._reply(waiting(id))

    def hand_in(self, parcel: Parcel) -> Future[Answer]:
        """Store a submission to be judged; once this returns, no crash can lose it.

        Raises:
            Busy: too many are waiting.
            PlainError: the database can't be used.
        """
        id, future = parcel.id, Future()
        future.set_running_or_notify_cancel()  # a client that disconnects cancels nothing
        if answer := self._stored_answer(id):
            future.set_result(answer)
            return future
        ahead = set(self.store.waiting()) - {id, *self._failed}
        if len(ahead) >= self.max_waiting:
            raise Busy(f"{len(ahead)} submissions are already waiting: send yours again in a minute.")
        self.store.add(parcel)
        with self._lock:
            self._failed.pop(id, None)
            future = self._pending.setdefault(id, future)
        self._wake.set()
        return future

    def look_up(self, id: str) -> Answer | None:
        """Return the answer to the submission with this id; None if there is no such submission.

        It is "waiting" until judged, and after a failed attempt "error" until sent again.
        """
        if answer := self._stored_answer(id) or self._failed.get(id):
            return answer
        return waiting(id) if self.store.knows(id) else None

    def _stored_answer(self, id: str) -> Answer | None:
        """Return the answer in the database."""
        if not (stored := self.store.answer(id)):
            return None
        answer = Answer.model_validate_json(stored)
        if answer.certificate and "jwt" not in answer.certificate:  # signed by an earlier release
            answer.certificate = self.signer.issue(
                Certificate.model_validate(answer.certificate["json"]["certificate"])
            )
        return answer

    def _reply(self, answer: Answer, *, failed: bool = False) -> None:
        """Pass the answer to the clients that wait for it."""
        with self._lock:
            if failed:
                self._failed[answer.id] = answer
            future = self._pending.pop(answer.id, None)
        if future:
            future.set_result(answer)

    # -- in the thread that judges

    def _run(self) -> None:
        last_error = ""
        while not self._stopping.is_set():
            self._wake.clear()
            more = False
            try:
                more = self._judge_next()
                self._reply_for_others()
                last_error = ""
            except Exception as error:  # usually the database is down, which clients learn when they submit
                if last_error != (last_error := str(error)):
                    log.error("The runner can't continue, and will try again: %s", error)
            if not more:
                self._wake.wait(PAUSE)

    def _judge_next(self) -> bool:
        """Judge the next submission; return False if there is none that this runner can judge now."""
        id = None
        try:
            with self.store.claim(exclude=list(self._failed)) as claim:
                if claim is None:
                    return False
                id = claim.id
                answer = self._judge_claimed(claim)
                claim.answer = answer.model_dump_json()
            self._reply(answer)
        except Exception as error:
            if id is None:
                raise
            log.exception("Submission %s could not be judged.", id)
            reason = str(error) if isinstance(error, PlainError) else f"{type(error).__name__}, see the runner's log"
            message = "The runner could not judge this submission, which is not your fault. It is stored; to retry, send it again."
            self._reply(Answer(id=id, result="error", messages=[message], exceptions=[reason]), failed=True)
        return True

    def _judge_claimed(self, claim: Claim) -> Answer:
        if claim.attempts > ATTEMPTS:
            message = f"Judging this submission has started {ATTEMPTS} times and never finished: ask your instructor."
            return Answer(id=claim.id, result="error", messages=[message], exceptions=["the runner stopped"])
        parcel = self.store.load(claim.id)
        verdict = self._judge(parcel)
        answer = Answer(
            id=claim.id,
            result="passed" if verdict.passed else "failed",
            score=verdict.score,
            criteria=verdict.criteria,
            messages=verdict.messages,
        )
        if verdict.passed:
            certificate = Certificate(
                student=parcel.student,
                course=parcel.course,
                score=verdict.score,
                date=str(datetime.now(UTC).date()),
                submission=claim.id,
            )
            answer.certificate = self.signer.issue(certificate)
        return answer

    def _reply_for_others(self) -> None:
        """Pass on the answers that other runners have found to the clients waiting here."""
        for id in list(self._pending):
            if answer := self._stored_answer(id):
                self._reply(answer)


def waiting(id: str) -> Answer:
    """Return the answer to a client whose submission is waiting."""
    return Answer(
        id=id,
        result="waiting",
        messages=[f"The submission is stored and waiting to be judged: look it up at /run_assessment/{id}."],
    )
