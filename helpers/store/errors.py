"""The error of the prompt store."""

from __future__ import annotations

from clickhouse_connect.driver.exceptions import DatabaseError

from helpers.errors import PlainError

__all__ = ["CHECK_SERVER", "StoreError"]

#: What to do about a server that is down.
CHECK_SERVER = (
    "Check COURSE_STORE and your connection, or ask the server's administrator; without COURSE_STORE, the database "
    "inside the notebook is used."
)


class StoreError(PlainError, DatabaseError):
    """What went wrong with the prompt store, in a sentence.

    It is also clickhouse-connect's own `DatabaseError`, with the database's `code` and `name` if there are any.
    """
