"""Errors as OpenAI's clients know them, ``{"error": {"message", "type", "param", "code"}}``, and the size limit."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from course.api_error import ApiError

__all__ = ["BodyLimit", "add_error_handlers", "error_body", "readable"]

log = logging.getLogger(__name__)


def readable(text: str) -> str:
    """``text``, in which a part of a request may stand: JSON can hold half a character that UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


def error_body(error: HTTPException) -> dict:
    """The JSON object that tells of ``error``."""
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    if error.status_code == 429:
        kind = "rate_limit_error"
    return {
        "error": {
            "message": readable(error.detail),
            "type": kind,
            "param": getattr(error, "param", None),
            "code": getattr(error, "code", None),
        }
    }


def add_error_handlers(app: FastAPI) -> None:
    """Makes every error of ``app``, its own and the framework's, come in OpenAI's shape."""
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(Exception, _answer_unexpected)


def _answer(request: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse(error_body(error), error.status_code, error.headers)


def _answer_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _answer(request, ApiError(400, f"The request's body is not valid JSON ({first['ctx']['error']})."))
    # The path starts with the word "body"; the rest is the way to the field: messages.0.content.1.image_url
    param = ".".join(map(str, first["loc"][1:])) or None
    place = f"In {param!r}: " if param else "In the request's body: "
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return _answer(request, ApiError(400, f"{place}{message}.", param=param))


def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, ApiError(500, f"The endpoint failed ({type(error).__name__}); its log says more."))


class BodyLimit:
    """ASGI middleware: a request whose body is longer than ``limit`` bytes gets a 413.

    It reads such a body to its end, keeping nothing: a client that is still sending hears no answer.
    """

    def __init__(self, app: ASGIApp, limit: int):
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self.limit:
                return message
            while message.get("more_body"):
                message = await receive()
            raise ApiError(
                413, f"The request is larger than the {self.limit / 1e6:g} MB taken here: send smaller pictures."
            )

        await self.app(scope, counted, send)
