"""Stop work for clients that close their connection before the response is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Request

__all__ = ["CLIENT_CLOSED_REQUEST", "on_disconnect"]

#: nginx's status code for this; nobody receives it.
CLIENT_CLOSED_REQUEST = 499


@asynccontextmanager
async def on_disconnect(request: Request, stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call `stop` if the client disconnects before the block ends."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        stop()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
