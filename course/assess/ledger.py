"""The database of submissions: SQLite in a file, or any other that SQLAlchemy speaks to, such as PostgreSQL.

A submission is committed here before anybody judges it, so whenever the process ends, even by kill -9, those that were
taken in are still there, and `Ledger.waiting` lists the ones that nobody has answered yet.

Several runners may share a database. Who judges a submission holds a claim on it, and renews the claim as long as the
judging goes on; when its process ends, the claim runs out, and another runner may have it. One that only stood still
for so long finds that the claim is another's, and leaves it alone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InvalidRequestError

from course.assess.parcel import Parcel, pack_files, unpack_files
from helpers.errors import PlainError
from helpers.submission import Submission

__all__ = ["LEASE", "Ledger"]

#: How long a claim holds after it was last renewed: longer than the clocks of two runners' computers differ.
LEASE = timedelta(seconds=60)

_metadata = sql.MetaData()
_submissions = sql.Table(
    "submissions",
    _metadata,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("received", sql.DateTime(timezone=True), nullable=False),
    sql.Column("records", sql.Text, nullable=False),  # JSON: a Submission without its pictures
    sql.Column("pictures", sql.LargeBinary, nullable=False),  # a zip archive
    sql.Column("problems", sql.Text, nullable=False),  # JSON: path → why there is no such picture
    sql.Column("attempts", sql.Integer, nullable=False, default=0),
    # Both are NULL until it is judged. Without the index, whoever looks for those that wait reads all the pictures.
    sql.Column("judged", sql.DateTime(timezone=True), index=True),
    sql.Column("answer", sql.Text),  # JSON
)
_id, _answer, _attempts = _submissions.c.id, _submissions.c.answer, _submissions.c.attempts
_claims = sql.Table(
    "claims",
    _metadata,
    sql.Column("id", sql.String(32), primary_key=True),  # of the submission
    sql.Column("owner", sql.String(32), nullable=False),  # the `Ledger` of the runner that judges
    sql.Column("renewed", sql.DateTime(timezone=True), nullable=False),
)


class Ledger:
    """The submissions in the database at ``url`` (``sqlite:///FILE``, ``postgresql+psycopg://…``).

    It is opened, and its table made, when it is first used; any thread may use it. Every method raises ``PlainError``
    when the database can't be had.

    Args:
        clock: tells the time; replaced in tests.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._clock = clock
        self._owner = uuid.uuid4().hex
        try:
            self._url = sql.make_url(url)
        except ArgumentError:
            raise PlainError(
                f"{url!r} is no database: write sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE."
            ) from None

    @cached_property
    def _engine(self) -> sql.Engine:
        try:
            if self._file:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            # SQLite lets one writer in at a time; the others wait for so many seconds.
            options = {"timeout": 60} if self._file else {}
            engine = sql.create_engine(self._url, connect_args=options, pool_pre_ping=True)
            try:
                _make_tables(engine)
            except DBAPIError:  # another runner was making them at the same moment: now they are there
                _make_tables(engine)
        except (ArgumentError, InvalidRequestError, ImportError) as error:
            raise PlainError(f"There is no driver for {self._name} here ({error}): install one.") from error
        except (DBAPIError, OSError) as error:
            raise self._unusable(error) from error
        return engine

    @property
    def _file(self) -> Path | None:
        """The file that SQLite keeps the database in; None for another kind of database."""
        sqlite = self._url.get_backend_name() == "sqlite" and self._url.database
        return Path(self._url.database) if sqlite else None

    @property
    def _name(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def _unusable(self, error: Exception) -> PlainError:
        reason = getattr(error, "orig", error)
        return PlainError(f"The database of submissions, {self._name}, can't be used ({reason}).")

    def _do(self, *statements: sql.Executable) -> sql.CursorResult:
        """Runs the statements in a transaction of their own; the rows of the last one are all fetched."""
        engine = self._engine
        try:
            with engine.begin() as connection:
                result = [connection.execute(statement) for statement in statements][-1]
                return result.freeze()() if result.returns_rows else result
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._unusable(error) from error

    def add(self, parcel: Parcel) -> None:
        """Keeps a submission; when this returns, it is on the disk. One that is there already stays as it is."""
        row = {
            "id": parcel.id,
            "received": self._clock(),
            "records": Submission(**parcel.body()).model_dump_json(exclude_none=True),
            "pictures": pack_files(parcel.files),
            "problems": json.dumps(parcel.problems),
            "attempts": 0,
        }
        try:
            self._do(sql.insert(_submissions).values(row))
        except IntegrityError:  # the same id: the same submission
            if not self.knows(parcel.id):
                raise

    def knows(self, id: str) -> bool:
        """Whether a submission with this id is there."""
        return self._do(sql.select(_id).where(_id == id)).first() is not None

    def answer(self, id: str) -> str | None:
        """The answer as JSON; None for a submission that is not judged yet, or is not there."""
        return self._do(sql.select(_answer).where(_id == id)).scalar()

    def waiting(self) -> list[str]:
        """The ids of those that are not judged yet, first come, first."""
        if self._file and not self._file.exists():
            return []  # and no file is made for nothing
        rows = self._do(sql.select(_id).where(_submissions.c.judged.is_(None)).order_by(_submissions.c.received))
        return list(rows.scalars())

    def load(self, id: str) -> Parcel:
        """The submission with this id, which must be there."""
        row = self._do(sql.select(_submissions).where(_id == id)).one()
        kept = Submission.model_validate_json(row.records)
        return Parcel(kept.submission, kept.student, kept.course, unpack_files(row.pictures), json.loads(row.problems))

    def begin(self, id: str) -> int | None:
        """Claims a submission, to judge it; returns how many times that has begun, this one included, without an end.

        None where there is nothing to do: it is answered, or another runner has a claim on it.
        """
        now = self._clock()
        mine = {"owner": self._owner, "renewed": now}
        try:
            self._do(sql.insert(_claims).values(id=id, **mine))
        except IntegrityError:  # there is a claim; the process that had it may be dead
            run_out = sql.and_(_claims.c.id == id, _claims.c.renewed < now - LEASE)
            if not self._do(sql.update(_claims).where(run_out).values(mine)).rowcount:
                return None
        if self.answer(id):
            self._do(self._release(id))
            return None
        begun = sql.update(_submissions).where(_id == id).values(attempts=_attempts + 1)
        return self._do(begun, sql.select(_attempts).where(_id == id)).scalar_one()

    def renew(self, id: str) -> None:
        """Keeps the claim from running out for another `LEASE`."""
        self._do(sql.update(_claims).where(self._own(id)).values(renewed=self._clock()))

    def put_back(self, id: str) -> None:
        """Notes that judging came to an end without an answer, for a reason that has nothing to do with the submission."""
        own = _id.in_(sql.select(_claims.c.id).where(self._own(id)))
        self._do(sql.update(_submissions).where(own).values(attempts=0), self._release(id))

    def finish(self, id: str, answer: str) -> str:
        """Keeps the answer, unless another runner was quicker; returns the one that is kept."""
        values = {"answer": answer, "judged": self._clock()}
        self._do(sql.update(_submissions).where(_id == id, _answer.is_(None)).values(values), self._release(id))
        return self.answer(id)

    def _own(self, id: str) -> sql.ColumnElement[bool]:
        return sql.and_(_claims.c.id == id, _claims.c.owner == self._owner)

    def _release(self, id: str) -> sql.Delete:
        return sql.delete(_claims).where(self._own(id))


def _make_tables(engine: sql.Engine) -> None:
    """Makes what is missing; a database that an earlier runner made has fewer tables and no index."""
    _metadata.create_all(engine)
    for index in _submissions.indexes:
        index.create(engine, checkfirst=True)
