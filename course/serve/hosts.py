"""Which clients may call the endpoint: programs that address it by its own name, but no web pages from other sites.

A browser lets a page of evil.example send requests to 127.0.0.1, and read the responses if evil.example by then
resolves to that address (DNS rebinding). But `Host` has the name that the page used, and `Origin` the page's site.
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

__all__ = ["TrustedHosts"]


class TrustedHosts:
    """ASGI middleware: answers 403 unless `Host` and `Origin` are local names of this computer or `host`.

    Args:
        host: the address that the endpoint listens on; with 0.0.0.0 or :: it answers every request.
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
        except ValueError:  # not an address
            return False

    def _refuse(self, address: str) -> JSONResponse:
        error = ApiError(
            403,
            f"{address} may not use this endpoint: it only answers programs that call it 127.0.0.1, localhost or what "
            f"--host says, and no other sites' pages. To answer all, start it with --host 0.0.0.0.",
        )
        return JSONResponse(error_body(error), error.status_code)


def _same(name: str, other: str) -> bool:
    """Whether both are the same name or address, however it is written."""
    try:
        return ip_address(name) == ip_address(other)
    except ValueError:
        return name.rstrip(".").lower() == other.rstrip(".").lower()


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
