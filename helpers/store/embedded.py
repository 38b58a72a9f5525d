"""The database inside this process: chDB, in a folder or in memory."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ProgrammingError

from helpers.shorten import in_short
from helpers.store.errors import StoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["connect_embedded"]


def connect_embedded(place: str) -> tuple[Client, str]:
    """Open a client of the store in a folder or in memory, and return it with the store's name for messages.

    Raises:
        StoreError: the folder is unusable, another process or another store of this process is in the way, or chDB is
            missing.
    """
    if place in ("memory", ":memory:"):
        return _open(None), "the prompt store in memory"
    folder, reason = Path(place), ""
    try:
        folder = folder.expanduser().absolute()
        if "?" in str(folder.resolve()):  # chDB would store in a folder with the name before it
            reason = "chDB does not allow a question mark in a name"
        else:
            folder.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(folder, os.W_OK) else "this user may not write there"
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~ of no user; ValueError: a null character
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise StoreError(
            f"The prompt store can't be kept in {folder} ({reason}). Set COURSE_STORE=chdb:///FOLDER to another folder "
            "that you can write to, and restart the kernel."
        )
    return _open(folder), f"the prompt store in {folder}"


def _open(folder: Path | None) -> Client:
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
                f"This notebook already has another prompt store open, {other[1]}, and can have only one at a time. "
                "Close it with client.close(), or restart the kernel."
            ) from error
        _refuse_if_held(folder)  # by a process that was quicker
        raise StoreError(
            f"The prompt store in {folder or 'memory'} does not open ({in_short(str(error))}). If it is damaged, "
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
    """Raise `StoreError` if another process has the store in `folder` open: it locks a file named status."""
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
    except OSError:  # never opened before, or not readable: the engine will report that
        return
    if process and int(process[1]) == os.getpid():
        return
    raise StoreError(
        f"Another notebook or program{f' (process {process[1]})' if process else ''} has the prompt store in {folder} "
        "open; only one process at a time can. Shut down that notebook's kernel, or set COURSE_STORE to another folder "
        "or to a server."
    )
