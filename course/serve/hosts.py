"""Which clients may call the endpoint: programs that call it by its own name, and no web page from elsewhere.

A browser lets a page of evil.example send requests to 127.0.0.1, and lets it read the answers if evil.example leads
there by then (DNS rebinding). But it tells the name that the page used in ``Host``, and the page's own in ``Origin``.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from course.api_error import ApiError
from course.serve.errors import error_body
from helpers.endpoint import is_local

__all__ = ["OwnNames"]


class OwnNames:
    """ASGI middleware: a request to, or from a page of, neither this computer's own names nor ``host`` gets a 403.

    Args:
        host: the address that the endpoint listens on; with 0.0.0.0 or :: it answers all.
    """

    def __init__(self, app: ASGIApp, host: str):
        self.app, self.host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_every_address(self.host):
            headers = Headers(scope=scope)
            for address in (f"http://{headers.get('host', '')}", headers.get("origin")):
                if address is not None and not self._is_ours(address):
                    await self._refuse(address)(scope, receive, send)
                    return
        await self.app(scope, receive, send)

    def _is_ours(self, address: str) -> bool:
        try:
            return is_local(address) or _same(urlsplit(address).hostname or "", self.host)
        except ValueError:  # no address
            return False

    def _refuse(self, address: str) -> JSONResponse:
        error = ApiError(
            403,
            f"This endpoint answers programs that call it 127.0.0.1, localhost or what --host says, and no pages from "
            f"elsewhere: not {address}. Started with --host 0.0.0.0 it answers all.",
        )
        return JSONResponse(error_body(error), error.status_code)


def _same(name: str, other: str) -> bool:
    """Whether both are one name or one address, however it is written."""
    try:
        return ip_address(name) == ip_address(other)
    except ValueError:
        return name.rstrip(".").lower() == other.rstrip(".").lower()


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
