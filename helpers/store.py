"""The prompt store: one ClickHouse client, whether the database is inside this notebook or on a server.

    >>> from helpers import store
    >>> client = store.connect()
    >>> client.query("SELECT version()").result_rows

``COURSE_STORE`` says where the prompts are:

==========================================  ==================================================================
``chdb://prompt_store`` (the default)       chDB, ClickHouse inside this process; its files are in the folder
                                            ``prompt_store`` of the working folder (of this notebook)
``chdb:///data/prompts``                    the same, in a folder of your choice
``chdb://memory``                           the same, in memory: gone with the kernel
``clickhouse://ada@db.example.org/course``  a ClickHouse or MyScale server: user, host, database; its HTTP port
                                            8123 unless another is named. The password comes from
                                            ``COURSE_STORE_PASSWORD`` (environment or Colab's secrets)
``clickhouses://…``                         the same over TLS, port 8443 unless another is named
==========================================  ==================================================================

The SQL is the same everywhere: ``distance`` of two vectors, which MyScale has, is made where the database has only
``cosineDistance``. How MyScale makes an index, `index_ddl` knows.

An embedded store belongs to one process at a time, and one process has one embedded store at a time. Never query it
in a forked child (``multiprocessing`` on Linux forks up to Python 3.13): the engine's threads are not there, and
the query waits for ever.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.exceptions import DatabaseError, Error, OperationalError, ProgrammingError

from helpers.errors import PlainError
from helpers.settings import settings, store_address
from helpers.shorten import in_short

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client

__all__ = [
    "EXACT",
    "VECTOR_LENGTH",
    "StoreError",
    "check_vectors",
    "connect",
    "index_ddl",
    "is_myscale",
    "known_settings",
    "quoted",
]

#: How many numbers a prompt's vector has: the projection size of the course's CLIP, and of OpenAI's ViT-B/32.
VECTOR_LENGTH = 512

#: Settings of a query that is to look at every row, also where the table has an index.
EXACT = {"use_skip_indexes": 0}

# What the server answers when user and password don't fit: unknown user, wrong password, one is needed, any of these.
_NOT_LET_IN = (192, 193, 194, 516)
_CONSTRAINT = re.compile(
    r"at row (?P<row>\d+)\. Expression: \((?P<rule>.+?)\)\.(?: Column values: (?P<column>\w+) = \[(?P<vector>[^]]*)\])?"
)
_INDEX = re.compile(
    r"(?P<vector>VECTOR\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\S+)\s+(?P<column>\S+)\s+TYPE\s+\w+(?:\s*\([^)]*\))?",
    re.IGNORECASE,
)

# The client tells of lost connections on stderr, too; the error that it raises is enough.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


class StoreError(PlainError, DatabaseError):
    """What went wrong with the prompt store, in a sentence.

    It is also clickhouse-connect's own ``DatabaseError``, with the database's ``code`` and ``name`` where it gave one.
    """


def connect(dsn: str | None = None) -> Client:
    """A client of the prompt store at ``dsn``; of ``settings.store`` (``COURSE_STORE``) if not given.

    It is clickhouse-connect's own client: ``command``, ``query``, ``query_df``, ``insert``, ``insert_arrow``, and so
    on. Any number of clients of one store may be open in a process; ``client.close()`` ends one.

    Raises:
        StoreError: the store can't be had; the message says why and what to do. Later, the client's calls raise it,
            too: with what to do where that is known, and else with what the database says, without long vectors.
    """
    address = settings.store if dsn is None else dsn
    try:
        address = store_address(address)
    except ValueError as error:
        raise StoreError(f"The address of a prompt store is not understood: {error}.") from None
    scheme, place = address.split("://", 1)
    client, name = _embedded(place) if scheme == "chdb" else _server(address)
    with suppress(DatabaseError):  # MyScale has a distance; elsewhere this user may not be let make one
        client.command("CREATE FUNCTION IF NOT EXISTS distance AS (a, b) -> cosineDistance(a, b)")
    for call in _CALLS:
        setattr(client, call, _plainly(getattr(client, call), name))
    return client


# -- the database inside this process


def _embedded(place: str) -> tuple[Client, str]:
    if place in ("memory", ":memory:"):
        return _open_embedded(None), "the prompt store in memory"
    folder, reason = Path(place), ""
    try:
        folder = folder.expanduser().absolute()
        if "?" in str(folder.resolve()):  # chDB would store in a folder with the name before it
            reason = "chDB takes no question mark in a name"
        else:
            folder.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(folder, os.W_OK) else "this user may not write there"
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: the ~ of nobody; ValueError: a null character
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise StoreError(
            f"The prompt store can't be kept in {folder} ({reason}). Set COURSE_STORE=chdb:///FOLDER to another folder "
            "that you can write to, and restart the kernel."
        )
    return _open_embedded(folder), f"the prompt store in {folder}"


def _open_embedded(folder: Path | None) -> Client:
    _refuse_if_held(folder)
    try:
        return clickhouse_connect.get_client(
            interface="chdb", path=str(folder) if folder else None, show_clickhouse_errors="scrub"
        )
    except ImportError as error:
        raise StoreError(_no_engine()) from error
    except ProgrammingError as error:
        other = re.search(r"already initialized with path '(.*?)'", str(error))
        if other:
            raise StoreError(
                f"This notebook already has another prompt store open, {other[1]}, and can have one at a time. Close "
                "it with client.close(), or restart the kernel."
            ) from error
        _refuse_if_held(folder)  # by one that was quicker
        raise StoreError(
            f"The prompt store in {folder or 'memory'} does not open ({in_short(str(error))}). If it was damaged, "
            "delete that folder and fill it again."
        ) from error


def _no_engine() -> str:
    if sys.platform == "win32":
        return (
            "chDB, the database inside the notebook, does not run on Windows. Work in WSL (Windows' own Linux), or set "
            "COURSE_STORE=clickhouse://USER@HOST/DATABASE to a ClickHouse server."
        )
    return "chDB, the database inside the notebook, is not installed: run `pip install chdb` and restart the kernel."


def _refuse_if_held(folder: Path | None) -> None:
    """Raises `StoreError` where another process has the store in ``folder`` open: it locks a file named status."""
    if folder is None or sys.platform == "win32":
        return
    import fcntl

    try:
        with (folder / "status").open() as status:
            held = status.read()
            fcntl.flock(status, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
    except BlockingIOError:
        process = re.search(r"PID: (\d+)", held)
    except OSError:  # nobody ever opened it, or it can't be read: the engine will say
        return
    if process and int(process[1]) == os.getpid():
        return
    raise StoreError(
        f"Another notebook or program{f' (process {process[1]})' if process else ''} has the prompt store in {folder} "
        "open, and one at a time can. Shut down that notebook's kernel, or set COURSE_STORE to another folder or to a "
        "server."
    )


# -- a server


def _server(address: str) -> tuple[Client, str]:
    parts = urlsplit(address)
    if parts.fragment:
        raise StoreError(
            "The address of a prompt store is not understood: a # ends it. Write %23 for a # in a name or password."
        )
    secure = parts.scheme == "clickhouses"
    port = parts.port or (8443 if secure else 8123)
    user = unquote(parts.username or "default")
    password = unquote(parts.password or "")
    if not password and (secret := settings.find_secret("COURSE_STORE_PASSWORD")):
        password = secret.get_secret_value()
    name = f"the database server at {parts.hostname}:{port}"
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
        raise StoreError(_refusal(error, name, user), code=error.code, name=error.name) from error
    return client, name


def _refusal(error: Error, name: str, user: str) -> str:
    if error.code in _NOT_LET_IN:
        return (
            f"{_capital(name)} does not let the user {user!r} in with this password. Set COURSE_STORE_PASSWORD (and "
            "the user in COURSE_STORE) to what the server's owner gave you, and restart the kernel."
        )
    if error.code == 81:
        return (
            f"{_capital(name)} has no such database ({in_short(str(error))}). Name one that is there at the end of "
            "COURSE_STORE, or leave it out for the user's own."
        )
    if isinstance(error, OperationalError):
        return f"{_capital(name)} does not answer. {_ASK}"
    return (
        f"{_capital(name)} speaks no ClickHouse over HTTP ({in_short(str(error))}). Name its HTTP port (8123, or 8443 "
        "with TLS and clickhouses://), not 9000, which speaks another protocol."
    )


_ASK = (
    "Check COURSE_STORE and your connection, or ask whoever runs that server; without COURSE_STORE, the database "
    "inside the notebook is taken."
)


# -- errors of calls, as sentences

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


def _plainly(call: Callable, name: str) -> Callable:
    """``call`` of the client, raising `StoreError` for every error of the database."""

    @functools.wraps(call)
    def plain(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except StoreError:
            raise
        except Error as error:
            statement = str(args[0] if args else options.get("cmd") or options.get("query"))
            raise StoreError(_sentence(error, name, statement), code=error.code, name=error.name) from error

    return plain


def _sentence(error: Error, name: str, statement: str) -> str:
    said = in_short(str(error))
    if error.code == 469 and (broken := _broken_rule(str(error))):
        return broken
    if error.code in (62, 80) and (index := _index_of_myscale(statement, said)):
        return index
    if error.code == 190 or (error.code == 80 and "dimension" in str(error)):  # without an index, with one
        return (
            "Two vectors of different lengths can't be compared: the one that was searched for is longer or shorter "
            "than the table's. Embed both with the same CLIP model."
        )
    if error.code == 46 and re.search(r"function (with name )?[`']?distance\b", said, re.IGNORECASE):
        return "This database has no function distance, and you may not make one there. Write cosineDistance instead."
    if error.code == 60 and "vector_indices" in said:
        return (
            "Only MyScale has system.vector_indices. Here an index is complete when ALTER TABLE … MATERIALIZE INDEX … "
            "SETTINGS mutations_sync = 2 has ended, and system.data_skipping_indices lists it."
        )
    if error.code == 60:
        return (
            "There is no such table. Run the cell that makes it, with create_table, and then this one again. The "
            f"database says: {said}."
        )
    if isinstance(error, OperationalError) and error.code is None:
        return f"{_capital(name)} stopped answering. {_ASK}"
    return f"{said}."


def _index_of_myscale(statement: str, said: str) -> str | None:
    """What to write in place of a vector index that other databases know, where the statement makes or drops one."""
    found = _INDEX.search(statement)
    if found and (found["vector"] or "Unknown Index type" in said):
        written, distance = " ".join(found[0].split()), "L2Distance" if "=L2" in found[0] else "cosineDistance"
        return (
            f"ClickHouse has other words for a vector index. In place of `{written}` write `INDEX {found['name']} "
            f"{found['column']} TYPE vector_similarity('hnsw', '{distance}', {VECTOR_LENGTH})`. For rows that are there "
            f"already it is built by ALTER TABLE … MATERIALIZE INDEX {found['name']}: store.index_ddl(client, table) "
            "gives both statements."
        )
    if re.search(r"\bVECTOR\s+INDEX\b", statement, re.IGNORECASE):
        return "ClickHouse has no VECTOR INDEX, only INDEX: leave out the word VECTOR."
    return None


def _broken_rule(message: str) -> str | None:
    found = _CONSTRAINT.search(message)
    if not found:
        return None
    sentence = f"Nothing was stored: row {found['row']} of what was sent breaks the table's rule {found['rule']}"
    if found["vector"] is None:
        return f"{sentence}."
    numbers = found["vector"].split(",") if found["vector"].strip() else []
    zero = ", all of them 0" if numbers and not any(map(float, numbers)) else ""
    return f"{sentence}: its {found['column']} has {len(numbers)} numbers{zero}."


def check_vectors(vectors: np.ndarray, length: int = VECTOR_LENGTH) -> None:
    """Refuses vectors that a table must not get: of another length, with NaN or infinity, or all zeros.

    A zero vector points nowhere: its cosine distance to everything is NaN, and a search that meets one is worthless.

    Args:
        vectors: array (n, length).

    Raises:
        StoreError: names the first vector (counting from 0) that is wrong, and how.
    """
    import numpy as np

    if vectors.ndim != 2 or vectors.shape[1] != length:
        raise StoreError(f"Vectors should come as an array of shape (n, {length}), but its shape is {vectors.shape}.")
    for what, wrong in (
        ("has NaN or infinity among its numbers", ~np.isfinite(vectors).all(axis=1)),
        ("is all zeros: it points nowhere, and its distance to everything is NaN", ~vectors.any(axis=1)),
    ):
        if wrong.any():
            raise StoreError(f"Vector {wrong.argmax()} {what}. Nothing was stored; look at what it was made from.")


# -- where databases differ


def is_myscale(client: Client) -> bool:
    """Whether the store is a MyScale server: it is the one that lists vector indices in a table of their own."""
    return bool(client.command("EXISTS TABLE system.vector_indices"))


def index_ddl(
    client: Client,
    table: str,
    *,
    column: str = "prompt_vector",
    length: int = VECTOR_LENGTH,
    quantization: str = "bf16",
    neighbours: int = 32,
    candidates: int = 128,
) -> list[str]:
    """The statements that put a vector index on ``table``, to be given to ``client.command`` one by one.

    On ClickHouse it is HNSW (Malkov and Yashunin 2016), and the last statement builds it for the rows that are
    there, and takes its time. On MyScale it is that database's own index, which builds itself meanwhile.

    Args:
        quantization: how a number is kept in the index: "f32", "bf16", "i8", … Fewer bits take less memory.
        neighbours: to how many others each vector is linked (M in the paper). More find more, and take more memory.
        candidates: how many are looked at to find those (efConstruction). More find better ones, and take longer.
    """
    name, column = quoted(table), quoted(column)
    if is_myscale(client):
        return [f"ALTER TABLE {name} ADD VECTOR INDEX vec_idx {column} TYPE SCANN('metric_type=Cosine')"]
    kind = f"'hnsw', 'cosineDistance', {length:d}, '{quantization}', {neighbours:d}, {candidates:d}"
    return [
        f"ALTER TABLE {name} ADD INDEX IF NOT EXISTS vec_idx {column} TYPE vector_similarity({kind})",
        f"ALTER TABLE {name} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2",
    ]


def known_settings(client: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    """Those of the ``wanted`` settings that this database knows: an older or another one refuses what it doesn't."""
    return {name: value for name, value in wanted.items() if name in client.server_settings}


def quoted(name: str) -> str:
    """The name of a table (``prompts`` or ``course.prompts``) or column as it may stand in SQL, whatever is in it.

    Values are never written into SQL: bind them, ``client.query("… {text:String}", parameters={"text": text})``.
    """
    return ".".join(quote_identifier(part) for part in name.split("."))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
