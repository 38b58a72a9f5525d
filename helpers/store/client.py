"""`connect()`: a client of the prompt store, whose errors are sentences."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import DatabaseError, Error

from helpers.settings import settings, store_address
from helpers.store.embedded import connect_embedded
from helpers.store.errors import StoreError
from helpers.store.messages import message_for
from helpers.store.server import connect_server

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["connect"]

_CALLS = (
    "command",
    "insert",
    "insert_arrow",
    "insert_df",
    "insert_df_arrow",
    "query",
    "query_arrow",
    "query_df",
    "query_df_arrow",
    "query_np",
    "raw_insert",
    "raw_query",
)

# The driver logs lost connections to stderr, too; the error that it raises is enough.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


def connect(dsn: str | None = None) -> Client:
    """Open a client of the prompt store at `dsn`, by default the one of `settings.store` (`COURSE_STORE`).

    It is clickhouse-connect's own client: `command`, `query`, `query_df`, `insert`, `insert_arrow`, and so on. A
    process may open any number of clients of one store; `client.close()` ends one.

    Raises:
        StoreError: the store is unavailable; the message says why and what to do. Later, the client's methods raise it
            too: with what to do where that is known, otherwise with the database's message, long vectors cut short.
    """
    address = settings.store if dsn is None else dsn
    try:
        address = store_address(address)
    except ValueError as error:
        raise StoreError(f"The address of the prompt store is not valid: {error}.") from None
    scheme, place = address.split("://", 1)
    client, name = connect_embedded(place) if scheme == "chdb" else connect_server(address)
    with suppress(DatabaseError):  # MyScale has a distance; elsewhere this user may not be allowed to define one
        client.command("CREATE FUNCTION IF NOT EXISTS distance AS (a, b) -> cosineDistance(a, b)")
    for call in _CALLS:
        setattr(client, call, _translate_errors(getattr(client, call), name))
    return client


def _translate_errors(call: Callable, name: str) -> Callable:
    """Wrap a method of the client so that it raises `StoreError` for every error of the database."""

    @functools.wraps(call)
    def translated(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except StoreError:
            raise
        except Error as error:
            statement = str(args[0] if args else options.get("cmd") or options.get("query"))
            raise StoreError(message_for(error, name, statement), code=error.code, name=error.name) from error

    return translated
