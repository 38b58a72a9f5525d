"""The local chat endpoint (`course serve`): check whether it is running, start it if not."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from ipaddress import ip_address
from typing import BinaryIO
from urllib.parse import urlsplit

from helpers import proxies
from helpers.errors import PlainError
from helpers.replies import content_of, message_of
from helpers.settings import REPOSITORY, settings

__all__ = ["ensure", "is_local", "served_at"]

START_SECONDS = 180  # on a busy computer, importing torch alone can take a minute
ENDING_SECONDS = 15  # how long an endpoint that is shutting down may take
ROUNDS = 3  # of finding an endpoint and, if it has just shut down, starting another

_lock = threading.Lock()


def is_local(address: str) -> bool:
    """Return whether `address` (`http://127.0.0.1:8765`) is on this computer."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost"


def served_at(address: str) -> list[str]:
    """Return the names of the models that the course's endpoint at `address` serves; none if it is not running.

    Raises:
        PlainError: something other than the course's endpoint responds, or the endpoint refuses the request.
    """
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=10) as response:
            found = json.load(response)
    except urllib.error.HTTPError as error:
        if error.code == 403:  # the course's endpoint does this for a Host that is not local
            reason = message_of(content_of(error.read(2000)))[:500]
            raise PlainError(f"The endpoint at {address} refuses the request: {reason}") from None
        found = None
    except OSError as error:
        if isinstance(getattr(error, "reason", error), ConnectionRefusedError) or not is_local(address):
            return []
        found = None
    except (http.client.HTTPException, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("course") != "picture-this":
        raise PlainError(
            f"{address} is in use by something other than the course's chat endpoint (or it is too busy to "
            f"respond properly). Stop that program, or set COURSE_ENDPOINT to another address, for example "
            f"http://127.0.0.1:{_port(address) + 1}, and restart the kernel."
        )
    return found["models"]


def ensure(address: str) -> list[str]:
    """Return the names of the models served at `address`; if that is on this computer, start the endpoint if necessary.

    Any number of threads and notebooks may call this at once: the endpoint is started once, and they all share it. It
    shuts down with the last notebook that called this.

    Raises:
        PlainError: the endpoint can't be started, or an address elsewhere does not respond.
    """
    with _lock:
        if not is_local(address):
            if served := served_at(address):
                return served
            raise PlainError(
                proxies.fault(address)
                or f"There is no response from {address}. Ask the administrator of that server, or unset "
                "COURSE_ENDPOINT and restart the kernel: the course then starts a chat endpoint on this computer."
            )
        for _ in range(ROUNDS):
            if (served := served_at(address)) and _join(address):
                return served
            _start(address)
        raise PlainError(f"The chat endpoint at {address} exits right after starting. {_DEBUG}")


def _join(address: str) -> bool:
    """Ask the endpoint to run as long as this process. Returns False if it is just shutting down."""
    body = json.dumps({"pid": os.getpid()}).encode()
    request = urllib.request.Request(f"{address}/notebooks", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + ENDING_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except urllib.error.HTTPError as error:
            if error.code == 404:  # started by hand: it does not shut down with the notebooks
                return True
        except OSError as error:
            if isinstance(getattr(error, "reason", error), ConnectionRefusedError):
                return False
        time.sleep(0.1)
    raise PlainError(f"The chat endpoint at {address} is running but rejects new notebooks. {_DEBUG}")


_DEBUG = "Run `python -m course serve` in a terminal to see more, or set COURSE_ENDPOINT to another address."


def _start(address: str) -> None:
    print(f"Starting the chat endpoint at {address}; the first time takes a few seconds.")
    # An anonymous file, deleted when the last process closes it.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            _command(_port(address)),
            cwd=REPOSITORY,
            env={
                **os.environ,
                "COURSE_PROFILE": settings.profile,
                "COURSE_DEVICE": settings.device_choice,
                "COURSE_MODELS": str(settings.models_dir.absolute()),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # In its own process group, or the notebook's "interrupt" would stop it too.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            _wait(address, process, log)
        except BaseException:
            _stop(process)
            raise


def _command(port: int) -> list[str]:
    return [sys.executable, "-m", "course", "serve", "--port", str(port), "--parent-pid", str(os.getpid())]


def _wait(address: str, process: subprocess.Popen, log: BinaryIO) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        alive = process.poll() is None
        # Even if ours has stopped: another notebook may have started one at the same moment, and been quicker.
        if served_at(address):
            return
        if not alive:
            raise PlainError(f"The chat endpoint stopped while it was starting. {_last_output(log)}")
        time.sleep(0.1)
    _stop(process)
    raise PlainError(f"The chat endpoint was not ready after {START_SECONDS} seconds. {_last_output(log)}")


def _last_output(log: BinaryIO) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    if not lines:
        return "It wrote nothing; run `python -m course serve` in a terminal to see more."
    return f"Last output: {' / '.join(lines[-3:])[-600:]}"


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _port(address: str) -> int:
    parts = urlsplit(address)
    return parts.port or (443 if parts.scheme == "https" else 80)
