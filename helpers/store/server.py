"""A ClickHouse or MyScale server, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import Error, OperationalError

from helpers.settings import settings
from helpers.shorten import in_short
from helpers.store.errors import CHECK_SERVER, StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["connect_server"]

# The server's codes for a login that fails: unknown user, wrong password, password required, any of these.
_LOGIN_FAILED = (192, 193, 194, 516)


def connect_server(address: str) -> tuple[Client, str]:
    """Open a client of a server, and return it with the server's name for messages.

    Raises:
        StoreError: the server does not answer, or does not accept the user or database.
    """
    parts = urlsplit(address)
    if parts.fragment:
        raise StoreError(
            "The address of the prompt store is not valid: a # ends it. Write %23 for a # in a name or password."
        )
    secure = parts.scheme == "clickhouses"
    port = parts.port or (8443 if secure else 8123)
    user = unquote(parts.username or "default")
    password = unquote(parts.password or "")
    if not password and (secret := settings.find_secret("COURSE_STORE_PASSWORD")):
        password = secret.get_secret_value()
    place = f"{parts.hostname}:{port}"
    try:
        client = clickhouse_connect.get_client(
            host=parts.hostname,
            port=port,
            secure=secure,
            username=user,
            password=password,
            database=unquote(parts.path.strip("/")) or None,
            # A session allows one query at a time; without one, several threads can share the client.
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",  # without the request's address and the database's version
        )
    except Error as error:
        message = f"The database server at {place} {_refusal(error, user)}"
        raise StoreError(message, code=error.code, name=error.name) from error
    return client, f"the database server at {place}"


def _refusal(error: Error, user: str) -> str:
    """Say why the server refused, and what to do, as the rest of a sentence that begins with the server's name."""
    if error.code in _LOGIN_FAILED:
        return (
            f"does not accept the user {user!r} with this password. Set COURSE_STORE_PASSWORD (and the user in "
            "COURSE_STORE) to what the server's owner gave you, and restart the kernel."
        )
    if error.code == 81:
        return (
            f"has no such database ({in_short(str(error))}). End COURSE_STORE with an existing one, or leave it out to "
            "use the user's default."
        )
    if isinstance(error, OperationalError):
        return f"does not answer. {CHECK_SERVER}"
    return (
        f"does not speak ClickHouse's HTTP protocol ({in_short(str(error))}). Use its HTTP port (8123, or 8443 with "
        "TLS and clickhouses://), not 9000, which uses a different protocol."
    )
