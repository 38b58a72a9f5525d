"""The one thread that judges. The database is its queue.

What is taken in is in the database first. The thread judges whatever waits there, the first received first: what is
handed in here, what an earlier runner has left, and what is handed to another runner of the same database that is
busy or gone. `SubmissionStore.turn` sees to it that only one of them judges a submission.
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
from course.assess.submissions import SubmissionStore, Turn
from helpers.assessment import Score, Verdict, judge
from helpers.errors import PlainError

__all__ = ["Answer", "Busy", "Runner"]

log = logging.getLogger(__name__)

#: How often judging a submission may begin without coming to an end.
ATTEMPTS = 3
#: Seconds between two looks for what other runners have judged or left.
PAUSE = 2.0


class Answer(BaseModel):
    """What a client is told.

    Attributes:
        id: of the submission; the same submission, sent again, has the same id.
        result: "passed" or "failed"; "waiting" when it is kept and not judged yet; "invalid" when it is not a submission;
            "error" when the runner could not judge it.
        score: points of 100.
        messages: a sentence for each fault of the submission.
        exceptions: what went wrong in the runner; not the student's fault.
        certificate: on a pass, the certificate: {"jwt": the signed words, "png": a picture of them in base64}.
    """

    id: str | None = None
    result: Literal["passed", "failed", "waiting", "invalid", "error"]
    score: float = 0
    criteria: list[Score] = []
    messages: list[str] = []
    exceptions: list[str] = []
    certificate: dict[str, Any] | None = None


def judge_parcel(parcel: Parcel) -> Verdict:
    """The verdict on what came in. Raises ``helpers.models.ModelUnavailable`` where a model can't be had."""
    return judge(parcel.opened())


class Busy(Exception):
    """So many submissions are waiting that no more are taken in."""


class Runner:
    """Takes submissions in and judges them, one after the other.

    Args:
        judge: says what a submission is worth; replaced in tests.
        max_waiting: no more are taken in while this many wait in the database.
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
        self._asked: dict[str, Future[Answer]] = {}  # whose answers clients of this runner wait for
        self._failed: dict[str, Answer] = {}  # what could not be judged; it waits until it is sent again
        self._lock = threading.Lock()  # around the two
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="assessment", daemon=True)

    @classmethod
    def at_home(cls, url: str | None = None) -> Runner:
        """The runner of this computer's user: its key, and its database unless ``url`` names another, in the data folder."""
        return cls(SubmissionStore(url or f"sqlite:///{home() / 'submissions.db'}"), Signer.at_home())

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the submission that it is at; the others wait in the database."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for id in list(self._asked):
            self._reply(waiting(id))

    def hand_in(self, parcel: Parcel) -> Future[Answer]:
        """Keeps a submission until it is judged; when this returns, no accident can lose it.

        Raises:
            Busy: too many are waiting.
            PlainError: the database can't be used.
        """
        id, future = parcel.id, Future()
        future.set_running_or_notify_cancel()  # a client that hangs up cancels nothing
        if answer := self._kept_answer(id):
            future.set_result(answer)
            return future
        ahead = set(self.store.waiting()) - {id, *self._failed}
        if len(ahead) >= self.max_waiting:
            raise Busy(f"{len(ahead)} submissions are waiting already: send yours again in a minute.")
        self.store.add(parcel)
        with self._lock:
            self._failed.pop(id, None)
            future = self._asked.setdefault(id, future)
        self._wake.set()
        return future

    def look_up(self, id: str) -> Answer | None:
        """The answer to the submission with this id; None where there is none.

        "waiting" before it is judged, and "error" from when the runner could not until it is sent again.
        """
        if answer := self._kept_answer(id) or self._failed.get(id):
            return answer
        return waiting(id) if self.store.knows(id) else None

    def _kept_answer(self, id: str) -> Answer | None:
        """The answer in the database."""
        if not (kept := self.store.answer(id)):
            return None
        answer = Answer.model_validate_json(kept)
        if answer.certificate and "jwt" not in answer.certificate:  # as an earlier release signed it
            answer.certificate = self.signer.issue(
                Certificate.model_validate(answer.certificate["json"]["certificate"])
            )
        return answer

    def _reply(self, answer: Answer, *, failed: bool = False) -> None:
        """Gives the answer to those who wait for it."""
        with self._lock:
            if failed:
                self._failed[answer.id] = answer
            future = self._asked.pop(answer.id, None)
        if future:
            future.set_result(answer)

    # -- in the thread that judges

    def _run(self) -> None:
        trouble = ""
        while not self._stopping.is_set():
            self._wake.clear()
            more = False
            try:
                more = self._judge_next()
                self._reply_for_others()
                trouble = ""
            except Exception as error:  # mostly the database is away, and those who hand in are told so
                if trouble != (trouble := str(error)):
                    log.error("The runner can't go on, and tries again: %s", error)
            if not more:
                self._wake.wait(PAUSE)

    def _judge_next(self) -> bool:
        """Judges the next submission; False where none waits that this runner could judge now."""
        id = None
        try:
            with self.store.turn(besides=list(self._failed)) as turn:
                if turn is None:
                    return False
                id = turn.id
                answer = self._judged(turn)
                turn.answer = answer.model_dump_json()
            self._reply(answer)
        except Exception as error:
            if id is None:
                raise
            log.exception("Submission %s could not be judged.", id)
            reason = str(error) if isinstance(error, PlainError) else f"{type(error).__name__}, see the runner's log"
            sentence = "The runner could not judge this submission, which is not your fault. It is kept: send it again."
            self._reply(Answer(id=id, result="error", messages=[sentence], exceptions=[reason]), failed=True)
        return True

    def _judged(self, turn: Turn) -> Answer:
        if turn.attempts > ATTEMPTS:
            sentence = f"Judging this submission has begun {ATTEMPTS} times and never ended: ask your instructor."
            return Answer(id=turn.id, result="error", messages=[sentence], exceptions=["the runner stopped"])
        parcel = self.store.load(turn.id)
        verdict = self._judge(parcel)
        answer = Answer(
            id=turn.id,
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
                submission=turn.id,
            )
            answer.certificate = self.signer.issue(certificate)
        return answer

    def _reply_for_others(self) -> None:
        """Gives those who asked here the answers that other runners have found."""
        for id in list(self._asked):
            if answer := self._kept_answer(id):
                self._reply(answer)


def waiting(id: str) -> Answer:
    """What a client is told while its submission waits."""
    return Answer(
        id=id,
        result="waiting",
        messages=[f"The submission is kept and waits to be judged: ask for /run_assessment/{id}."],
    )
