"""The error with which the endpoints refuse a request."""

from __future__ import annotations

from starlette.exceptions import HTTPException

__all__ = ["ApiError"]


class ApiError(HTTPException):
    """A refused request; the message tells the client why, and what to do.

    Args:
        status: the HTTP status, 4xx or 5xx.
        code: OpenAI's error code for programs ("model_not_found", …).
        param: the invalid field of the request.
        headers: additional response headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(status, message, headers)
        self.code, self.param = code, param
