"""What the endpoints answer to a request that they refuse."""

from __future__ import annotations

from starlette.exceptions import HTTPException

__all__ = ["ApiError"]


class ApiError(HTTPException):
    """A request that gets no answer; the message tells the client why, and what would help.

    Args:
        status: the HTTP status, 4xx or 5xx.
        code: the word that programs look for, as OpenAI's API names it ("model_not_found", …).
        param: the field of the request that is wrong.
        headers: further headers of the answer.
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
