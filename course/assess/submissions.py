"""The submission database: SQLite in a file, or PostgreSQL.

A submission is committed here before it is judged. So whenever the process ends, even by kill -9, every accepted one is
still there, and `SubmissionStore.claim` hands them to the next runner, one after the other.

Several runners may share a database. A runner judges under a lock that is released when its process ends: in PostgreSQL
it locks the submission's row. SQLite has no row locks, so a lock file beside it lets one runner judge at a time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sql
from filelock import FileLock, Timeout
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InvalidRequestError

from course.assess.parcel import Parcel, pack_files, unpack_files
from helpers.errors import PlainError
from helpers.submission import Submission

__all__ = ["Claim", "SubmissionStore"]

_metadata = sql.MetaData()
_submissions = sql.Table(
    "submissions",
    _metadata,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("received", sql.DateTime(timezone=True), nullable=False),
    sql.Column("records", sql.Text, nullable=False),  # JSON: a Submission without its pictures
    sql.Column("pictures", sql.LargeBinary, nullable=False),  # a zip archive
    sql.Column("problems", sql.Text, nullable=False),  # JSON: path → why that picture is missing
    sql.Column("attempts", sql.Integer, nullable=False, default=0),
    # Both are NULL until it is judged. Without the index, finding those that wait would read all the pictures.
    sql.Column("judged", sql.DateTime(timezone=True), index=True),
    sql.Column("answer", sql.Text),  # JSON
)
_id, _answer, _attempts = _submissions.c.id, _submissions.c.answer, _submissions.c.attempts
_waits = _submissions.c.judged.is_(None)


@dataclass
class Claim:
    """A submission reserved for this runner to judge.

    Attributes:
        attempts: how many times judging it has started without finishing, including this time.
        answer: to be set by the runner, as JSON.
    """

    id: str
    attempts: int
    answer: str | None = None


class SubmissionStore:
    """The submissions in the database at `url` (`sqlite:///FILE`, `postgresql+psycopg://…`).

    Opened on first use, when it also creates its table; thread-safe. Every method raises `PlainError` if the database
    can't be used.
    """

    def __init__(self, url: str):
        advice = "write sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE."
        try:
            self._url = sql.make_url(url)
        except ArgumentError:
            raise PlainError(f"{url!r} is not a database URL: {advice}") from None
        database = self._url.database or ":memory:"
        sqlite = self._url.get_backend_name() == "sqlite"
        if sqlite and database.startswith((":memory:", "file:")):
            raise PlainError(f"{url!r} names no file to keep submissions in: {advice}")
        #: SQLite's file; None for other databases.
        self._file = Path(database) if sqlite else None

    @cached_property
    def _engine(self) -> sql.Engine:
        try:
            if self._file:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            # SQLite allows one writer at a time; the others wait up to this many seconds.
            options = {"timeout": 60} if self._file else {}
            engine = sql.create_engine(self._url, connect_args=options, pool_pre_ping=True)
            try:
                _make_table(engine)
            except DBAPIError:  # another runner was creating it at the same time: now it exists
                _make_table(engine)
        except (ArgumentError, InvalidRequestError, ImportError) as error:
            raise PlainError(f"There is no driver for {self._name} here ({error}): install one.") from error
        except (DBAPIError, OSError) as error:
            raise self._unusable(error) from error
        return engine

    @property
    def _name(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def _unusable(self, error: Exception) -> PlainError:
        reason = getattr(error, "orig", error)
        return PlainError(f"The submission database, {self._name}, can't be used ({reason}).")

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        engine = self._engine
        try:
            with engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._unusable(error) from error

    def _do(self, statement: sql.Executable) -> sql.CursorResult:
        """Run the statement in its own transaction, and fetch all its rows."""
        with self._transaction() as connection:
            result = connection.execute(statement)
            return result.freeze()() if result.returns_rows else result

    # -- storing and looking up

    def add(self, parcel: Parcel) -> None:
        """Store a submission; once this returns, it is on disk. One that is already there is left unchanged."""
        row = {
            "id": parcel.id,
            "received": datetime.now(UTC),
            "records": Submission(**parcel.body()).model_dump_json(exclude_none=True),
            "pictures": pack_files(parcel.files),
            "problems": json.dumps(parcel.problems),
            "attempts": 0,
        }
        try:
            self._do(sql.insert(_submissions).values(row))
        except IntegrityError:  # the same id means the same submission
            if not self.knows(parcel.id):
                raise

    def knows(self, id: str) -> bool:
        """Whether a submission with this id is there."""
        return self._do(sql.select(_id).where(_id == id)).first() is not None

    def answer(self, id: str) -> str | None:
        """Return the answer as JSON; None for a submission that is not judged yet, or not there."""
        return self._do(sql.select(_answer).where(_id == id)).scalar()

    def waiting(self) -> list[str]:
        """Return the ids of those that are not judged yet, in order of arrival."""
        if self._file and not self._file.exists():
            return []  # without creating the file
        return list(self._do(sql.select(_id).where(_waits).order_by(_submissions.c.received)).scalars())

    def load(self, id: str) -> Parcel:
        """Return the submission with this id, which must be there."""
        row = self._do(sql.select(_submissions).where(_id == id)).one()
        kept = Submission.model_validate_json(row.records)
        return Parcel(kept.submission, kept.student, kept.course, unpack_files(row.pictures), json.loads(row.problems))

    # -- judging

    @contextmanager
    def claim(self, *, exclude: Collection[str] = ()) -> Iterator[Claim | None]:
        """Claim the next submission to judge; None if all are judged, or being judged by other runners.

        Until the block ends, no other runner gets it; then the answer set in the block is stored. If the block raises,
        this attempt does not count; if its process is killed, it does.

        Args:
            exclude: ids of submissions to skip.
        """
        with self._sole_runner() as may_judge:
            claim = self._begin(exclude) if may_judge else None
            if claim is None:
                yield None
                return
            this = sql.update(_submissions).where(_id == claim.id, _waits)
            try:
                with self._transaction() as connection:
                    lock = sql.select(_id).where(_id == claim.id, _waits).with_for_update(skip_locked=True)
                    if not self._file and connection.execute(lock).first() is None:
                        yield None  # another runner came between the two transactions
                        return
                    yield claim
                    if claim.answer is not None:
                        connection.execute(this.values(answer=claim.answer, judged=datetime.now(UTC)))
            except Exception:
                with suppress(PlainError):
                    self._do(this.values(attempts=0))
                raise

    @contextmanager
    def _sole_runner(self) -> Iterator[bool]:
        """Yield whether this runner may judge now; with SQLite no other runner may until the block ends."""
        if not self._file or not self._file.exists():  # no submissions yet: don't create the lock file
            yield not self._file
            return
        lock = FileLock(f"{self._file}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pass
        except (OSError, NotImplementedError) as error:
            raise self._unusable(error) from error
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def _begin(self, exclude: Collection[str]) -> Claim | None:
        """Count an attempt at the next submission, in its own transaction, so that a killed runner's attempt counts."""
        waiting = sql.select(_id, _attempts).where(_waits, _id.not_in(list(exclude))).order_by(_submissions.c.received)
        with self._transaction() as connection:
            row = connection.execute(waiting.limit(1).with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            claim = Claim(row.id, row.attempts + 1)
            connection.execute(sql.update(_submissions).where(_id == claim.id).values(attempts=claim.attempts))
        return claim


def _make_table(engine: sql.Engine) -> None:
    """Create what is missing; a database from an earlier version has no index."""
    _metadata.create_all(engine)
    for index in _submissions.indexes:
        index.create(engine, checkfirst=True)
