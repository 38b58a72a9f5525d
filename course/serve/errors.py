"""Errors in OpenAI's shape, `{"error": {"message", "type", "param", "code"}}`; the limit on a request's size."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from course.api_error import ApiError

__all__ = ["BodyLimit", "Fault", "add_error_handlers", "error_body", "faults", "message_for", "sent_as_json"]


# -- what is wrong with a request, whatever the shape of the response


def readable(text: str) -> str:
    """Return `text`, which may quote a request, as valid UTF-8: JSON can contain lone surrogates, UTF-8 can't."""
    return text.encode("utf-8", "backslashreplace").decode()


def message_for(request: Request, error: HTTPException) -> str:
    """Return the error's message, replacing the framework's where that doesn't help."""
    if isinstance(error.__cause__, UnicodeDecodeError):
        return f"The request's body is not UTF-8 (byte {error.__cause__.start}): send JSON in UTF-8."
    if error.status_code in (404, 405) and error.detail == HTTPStatus(error.status_code).phrase:
        here = request.scope.get("root_path", "")
        return readable(
            f"There is no {request.method} {request.url.path} here: see {here}/openapi.json for the routes."
        )
    return readable(error.detail)


class Fault(NamedTuple):
    """What is wrong with one field of a request; `path` is empty for the request as a whole."""

    path: tuple[str | int, ...]
    message: str
    type: str

    @property
    def field(self) -> str:
        return ".".join(map(str, self.path))

    def __str__(self) -> str:
        return f"In {self.field!r}: {self.message}." if self.path else f"The request's body: {self.message}."


def sent_as_json(error: RequestValidationError) -> bool:
    """Whether the request's body was sent as JSON; FastAPI leaves any other body as bytes."""
    return not isinstance(error.body, bytes)


def faults(error: RequestValidationError) -> list[Fault]:
    """Return everything that is wrong with a request."""
    if not sent_as_json(error):
        return [Fault((), "expected JSON, sent with the header Content-Type: application/json", "content_type")]
    return [Fault(_path(fault, error.body), _message(fault), fault["type"]) for fault in error.errors()]


def _message(fault: dict[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return f"it is not valid JSON ({fault['ctx']['error']})"
    return readable(fault["msg"].removeprefix("Value error, ").rstrip("."))


def _path(fault: dict[str, Any], body: Any) -> tuple[str | int, ...]:
    """Return the path to the field in `body` as it was sent.

    Pydantic's path also names the member of a union, and continues inside what a validator made of a field.
    """
    source, *parts = fault["loc"]
    if source != "body":
        return tuple(parts)
    missing = [parts.pop()] if parts and fault["type"] == "missing" else []
    path = []
    for part in parts:
        if (isinstance(body, dict) and part in body) or (isinstance(body, list) and isinstance(part, int)):
            path.append(part)
            body = body[part]
    return (*path, *missing)


# -- in OpenAI's shape


def error_body(error: HTTPException) -> dict:
    """Return the JSON object for `error`."""
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
    """Give every error of `app`, its own and the framework's, OpenAI's shape."""
    app.add_exception_handler(HTTPException, _respond)
    app.add_exception_handler(RequestValidationError, _respond_invalid)
    app.add_exception_handler(Exception, _respond_unexpected)


def _respond(request: Request, error: HTTPException) -> JSONResponse:
    error.detail = message_for(request, error)
    return JSONResponse(error_body(error), error.status_code, error.headers)


def _respond_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    first = faults(error)[0]
    return _respond(request, ApiError(400 if sent_as_json(error) else 415, str(first), param=first.field or None))


def _respond_unexpected(request: Request, error: Exception) -> JSONResponse:
    return _respond(request, ApiError(500, f"The endpoint failed ({type(error).__name__}); see its log."))


class BodyLimit:
    """ASGI middleware: a request whose body is longer than `limit` bytes gets a 413.

    It reads such a body to its end and discards it: a client that is still sending would miss the response. `remedy`
    says what the client should do instead.
    """

    def __init__(self, app: ASGIApp, limit: int, remedy: str = "send smaller pictures"):
        self.app, self.limit, self.remedy = app, limit, remedy

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
            raise ApiError(413, f"The request is larger than the limit of {self.limit / 1e6:g} MB: {self.remedy}.")

        await self.app(scope, counted, send)
