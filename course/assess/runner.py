"""The one thread that judges, and the queue before it.

What is taken in is in the database first. So the queue may be lost at any moment: when a runner starts, it takes up all
that nobody has judged yet. Several runners may share a database; each judges what no other has a claim on. What is
handed to the others after its start it leaves to them, for their models, and so their points, may be other ones.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from course.assess.certificate import Signer, home
from course.assess.judge import Score, Verdict, judge
from course.assess.ledger import LEASE, Ledger
from course.assess.parcel import Parcel
from helpers.errors import PlainError

__all__ = ["Answer", "Busy", "Runner"]

log = logging.getLogger(__name__)

ATTEMPTS = 2
#: Seconds between two renewals of a claim.
BEAT = LEASE.total_seconds() / 4


class Answer(BaseModel):
    """What a client hears.

    Attributes:
        id: of the submission; the same submission, sent again, has the same id.
        result: "passed" or "failed"; "waiting" when it is kept and not judged yet; "invalid" when it is no submission;
            "error" when the runner could not judge it.
        score: points of 100.
        messages: a sentence for each fault of the submission.
        exceptions: what went wrong in the runner; not the student's fault.
        certificate: on a pass, the signed certificate: {"json": …, "png": base64}.
    """

    id: str | None = None
    result: Literal["passed", "failed", "waiting", "invalid", "error"]
    score: float = 0
    criteria: list[Score] = []
    messages: list[str] = []
    exceptions: list[str] = []
    certificate: dict[str, Any] | None = None


class Busy(Exception):
    """So many submissions are waiting that no more are taken in."""


class Runner:
    """Takes submissions in and judges them, one after the other.

    Args:
        judge: says what a submission is worth; replaced in tests.
        places: the most submissions in hand at a time.
    """

    def __init__(self, ledger: Ledger, signer: Signer, *, judge: Callable[[Parcel], Verdict] = judge, places: int = 64):
        self.ledger, self.signer, self.places = ledger, signer, places
        self._judge = judge
        self._desk = ThreadPoolExecutor(1, "assessment")
        self._in_hand: dict[str, Future[Answer]] = {}
        self._failed: dict[str, Answer] = {}  # what could not be judged; it waits until it is sent again
        self._lock = threading.Lock()
        self._claimed: str | None = None  # what is being judged
        self._elsewhere: set[str] = set()  # what another runner has a claim on, which may run out
        self._begun = False
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="assessment claims", daemon=True)

    @classmethod
    def at_home(cls, url: str | None = None) -> Runner:
        """The runner of this computer's user: its key, and its database unless ``url`` names another, in the data folder."""
        return cls(Ledger(url or f"sqlite:///{home() / 'submissions.db'}"), Signer.at_home())

    def start(self) -> None:
        """Takes up what an earlier runner has left."""
        self._desk.submit(self._begin)
        self._keeper.start()

    def stop(self) -> None:
        """Ends the thread after the submission that it is at; the others wait in the database."""
        self._desk.shutdown(cancel_futures=True)
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()

    def hand_in(self, parcel: Parcel) -> Future[Answer]:
        """Keeps a submission and puts it into the queue; when this returns, no accident can lose it.

        Raises:
            Busy: there is no place for it.
            PlainError: the database can't be had.
        """
        if answer := self.ledger.answer(parcel.id):
            done: Future[Answer] = Future()
            done.set_result(Answer.model_validate_json(answer))
            return done
        if len(self._in_hand) >= self.places and parcel.id not in self._in_hand:
            raise Busy(f"{self.places} submissions are waiting already: send yours again in a minute.")
        self.ledger.add(parcel)
        return self._enqueue(parcel.id)

    def look_up(self, id: str) -> Answer | None:
        """The answer to the submission with this id; None where there is no such one.

        "waiting" before it is judged, and "error" from when the runner could not until it is sent again.
        """
        if answer := self.ledger.answer(id):
            return Answer.model_validate_json(answer)
        if failed := self._failed.get(id):
            return failed
        return waiting(id) if self.ledger.knows(id) else None

    def _enqueue(self, id: str) -> Future[Answer]:
        with self._lock:
            if id not in self._in_hand:
                self._elsewhere.discard(id)
                self._failed.pop(id, None)
                self._in_hand[id] = self._desk.submit(self._work, id)
            return self._in_hand[id]

    # -- in a thread of its own

    def _keep(self) -> None:
        """Renews the claim on what is being judged, and tries again what others had a claim on."""
        while not self._ended.wait(BEAT):
            try:
                if claimed := self._claimed:
                    self.ledger.renew(claimed)
                if not self._begun:  # the database was away
                    self._desk.submit(self._begin)
                for id in list(self._elsewhere):
                    self._enqueue(id)
            except Exception:  # the database is away, of which those who hand in are told; or the runner is stopping
                log.debug("A beat was missed.", exc_info=True)

    # -- in the thread that judges

    def _begin(self) -> None:
        if self._begun:
            return
        try:
            for id in self.ledger.waiting():
                self._enqueue(id)
            self._begun = True
        except PlainError as error:
            log.error("%s", error)

    def _work(self, id: str) -> Answer:
        try:
            return self._answer(id)
        except Exception as error:
            log.exception("Submission %s could not be judged.", id)
            reason = str(error) if isinstance(error, PlainError) else f"{type(error).__name__}, see the runner's log"
            sentence = "The runner could not judge this submission, which is not your fault. It is kept: send it again."
            self._failed[id] = Answer(id=id, result="error", messages=[sentence], exceptions=[reason])
            return self._failed[id]
        finally:
            with self._lock:
                del self._in_hand[id]

    def _answer(self, id: str) -> Answer:
        """The answer that is kept; "waiting" where another runner is at it."""
        attempts = self.ledger.begin(id)
        if attempts is None:
            answer = self.look_up(id) or waiting(id)
            if answer.result == "waiting":
                self._elsewhere.add(id)
            return answer
        self._claimed = id
        try:
            answer = self._judged(id, attempts)
            return Answer.model_validate_json(self.ledger.finish(id, answer.model_dump_json()))
        except Exception:
            with suppress(PlainError):  # with the database away, the claim runs out
                self.ledger.put_back(id)
            raise
        finally:
            self._claimed = None

    def _judged(self, id: str, attempts: int) -> Answer:
        if attempts > ATTEMPTS:
            sentence = f"Judging this submission has stopped the runner {ATTEMPTS} times: ask your instructor."
            answer = Answer(id=id, result="error", messages=[sentence], exceptions=["the runner stopped"])
        else:
            parcel = self.ledger.load(id)
            verdict = self._judge(parcel)
            answer = Answer(
                id=id,
                result="passed" if verdict.passed else "failed",
                score=verdict.score,
                criteria=verdict.criteria,
                messages=verdict.messages,
            )
            if verdict.passed:
                answer.certificate = self.signer.certificate(
                    student=parcel.student,
                    course=parcel.course,
                    score=verdict.score,
                    date=datetime.now(UTC).date(),
                    submission=id,
                )
        return answer


def waiting(id: str) -> Answer:
    """What a client hears while its submission waits."""
    return Answer(
        id=id,
        result="waiting",
        messages=[f"The submission is kept and waits to be judged: ask for /run_assessment/{id}."],
    )
