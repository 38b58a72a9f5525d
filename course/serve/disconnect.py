"""Clients that close their connection before the answer is there: what they asked for is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Request

__all__ = ["CLIENT_CLOSED_REQUEST", "when_gone"]

#: nginx's status for it, which nobody receives.
CLIENT_CLOSED_REQUEST = 499


@asynccontextmanager
async def when_gone(request: Request, stop: Callable[[], None]) -> AsyncIterator[None]:
    """Calls ``stop`` if the client goes away before the block is done."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        stop()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
