"""The notebooks that an endpoint runs for: the first starts it, others join it, and it ends with the last."""

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
    """Processes on this computer; `pid` is the first.

    psutil identifies them by pid and start time, so that a reused pid is not mistaken for the same process.
    """

    def __init__(self, pid: int):
        self._lock = threading.Lock()
        self._processes: set[psutil.Process] = set()
        self._closed = False
        self.join(pid)

    def join(self, pid: int) -> bool:
        """Add a process, unless it has already ended. Return False if the endpoint is already shutting down."""
        with self._lock, suppress(psutil.NoSuchProcess):
            self._processes.add(psutil.Process(pid))
        return not self._closed

    def wait(self) -> None:
        """Wait until all have ended; from then on none can join."""
        while not self._closed:
            with self._lock:
                self._processes = set(filter(_is_running, self._processes))
                self._closed = not self._processes
            if not self._closed:
                time.sleep(0.5)


def _is_running(process: psutil.Process) -> bool:
    """Whether the process is running; psutil alone would count zombies, too."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it exists, but belongs to another user
        return True


class JoinRequest(BaseModel):
    pid: int = Field(ge=1, lt=2**31)


def notebooks_router(notebooks: Notebooks) -> APIRouter:
    """`POST /notebooks` with `{"pid"}`: the endpoint will outlive this process, or answers 409."""
    router = APIRouter()

    @router.post("/notebooks", status_code=204)
    async def join(request: JoinRequest) -> None:
        if not notebooks.join(request.pid):
            raise ApiError(409, "This endpoint is shutting down: start another.")

    return router
