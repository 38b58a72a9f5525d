"""The notebooks that an endpoint runs for: the first starts it, others find it and join, and it ends with the last."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psutil
from fastapi import APIRouter
from pydantic import BaseModel, Field

from course.api_error import ApiError

__all__ = ["Notebooks", "notebooks_router"]


class Notebooks:
    """Processes on this computer, told by their ids; ``pid`` is the first.

    A process is remembered by its id and its start, as psutil does it: another that later gets the same id is not it.
    """

    def __init__(self, pid: int):
        self._lock = threading.Lock()
        self._processes: set[psutil.Process] = set()
        self._closed = False
        self.join(pid)

    def join(self, pid: int) -> bool:
        """Adds a process, unless it has ended already. False if the endpoint is already shutting down."""
        with self._lock, suppress(psutil.NoSuchProcess):
            self._processes.add(psutil.Process(pid))
        return not self._closed

    def wait(self) -> None:
        """Returns when all have ended; from then on nobody can join."""
        while not self._closed:
            with self._lock:
                self._processes = set(filter(_runs, self._processes))
                self._closed = not self._processes
            if not self._closed:
                time.sleep(0.5)


def _runs(process: psutil.Process) -> bool:
    """False also of a process that has ended and that nobody has collected yet (a zombie): psutil says it runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # there, but another user's
        return True


class Joining(BaseModel):
    pid: int = Field(ge=1, lt=2**31)


def notebooks_router(notebooks: Notebooks) -> APIRouter:
    """``POST /notebooks`` with ``{"pid"}``: the endpoint will not end before this process does, or says 409."""
    router = APIRouter()

    @router.post("/notebooks", status_code=204)
    async def join(joining: Joining) -> None:
        if not notebooks.join(joining.pid):
            raise ApiError(409, "This endpoint is ending: start another.")

    return router
