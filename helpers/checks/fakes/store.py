"""A database client that records its calls, and tables that are dropped when a check is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from pandas import DataFrame

__all__ = ["RecordingClient", "insert_rows", "scratch_table", "stored_rows"]


class RecordingClient:
    """A client of the prompt store that works like the real one and records its calls.

    Attributes:
        own: the real client, for the check's own queries.
        statements: the SQL of all statements except inserts, as it was sent, before parameters are filled in.
        inserts: the name of the method, for each insert.
        most_rows: the number of rows in the largest result of a SELECT.
        at_insert: called before each insert.
    """

    def __init__(self, client: Client) -> None:
        self.own = client
        self.statements: list[str] = []
        self.inserts: list[str] = []
        self.most_rows = 0
        self.at_insert: Callable[[], object] = lambda: None

    @staticmethod
    def __elsewhere__(name: str) -> bool:
        """Whether a student's function in another process may use what has this name: all of the real client's."""
        return name not in ("own", "statements", "inserts", "most_rows", "at_insert")

    def __repr__(self) -> str:
        return "client"  # as the notebook calls it; failure messages quote calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.own, name)
        if not callable(method) or name.startswith("_"):
            return method

        def recorded(*args, **options):
            texts = (*args[:1], options.get("query"), options.get("cmd"))
            sql = next((text.strip() for text in texts if isinstance(text, str)), "")
            verb = sql.partition(" ")[0].strip("(\n").upper()
            if "insert" in name or verb == "INSERT":
                self.inserts.append(name)
                self.at_insert()
            else:
                self.statements.append(sql)
            result = method(*args, **options)
            if verb.startswith(("SELECT", "WITH")):
                self.most_rows = max(self.most_rows, _rows_in(result))
            return result

        return recorded


def _rows_in(result: Any) -> int:
    for counted in (getattr(result, "result_rows", None), result):
        if hasattr(counted, "__len__") and not isinstance(counted, (str, bytes)):
            return len(counted)
    return 0


@contextmanager
def scratch_table(
    rows: Sequence[dict] = (), vectors: Iterable = (), *, made: bool = True, prefix: str = "check_"
) -> Iterator[tuple[RecordingClient, str]]:
    """Yield a recording client and the name of a table with these rows and their vectors, dropped at the end.

    With made=False the table does not exist yet. Its name begins with `prefix`.
    """
    from helpers import store

    client, table = store.connect(), f"{prefix}{uuid4().hex[:12]}"
    name = store.quoted(table)
    if made:
        client.command(
            f"CREATE TABLE {name} (id String, prompt String, url String, width UInt32, height UInt32, "
            f"source_site String, prompt_vector Array(Float32), CONSTRAINT vector_length "
            f"CHECK length(prompt_vector) = {store.VECTOR_LENGTH}) ENGINE = MergeTree ORDER BY id"
        )
    try:
        if rows:
            insert_rows(client, table, rows, vectors)
        yield RecordingClient(client), table
    finally:
        client.command(f"DROP TABLE IF EXISTS {name} SYNC")
        client.close()


def insert_rows(client: Client, table: str, rows: Sequence[dict], vectors: Iterable) -> None:
    """Put rows and their vectors into a table with the notebook's columns."""
    from helpers.collection import COLUMNS

    data = [[*(row[column] for column in COLUMNS), list(vector)] for row, vector in zip(rows, vectors, strict=True)]
    client.insert(table, data, column_names=[*COLUMNS, "prompt_vector"])


def stored_rows(client: RecordingClient, table: str) -> DataFrame:
    """Return all rows of a table, in the order of their ids; not recorded."""
    from helpers import store

    return client.own.query_df(f"SELECT * FROM {store.quoted(table)} ORDER BY id")
