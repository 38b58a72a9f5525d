"""What a call ends in, for checks that expect a result where an error may come, or the very error that was raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from helpers.checks.expect import CheckFailed, cut

__all__ = ["error_of", "result_of"]

Result = TypeVar("Result")


def result_of(call: Callable[[], Result], refused: str) -> Result:
    """What the call gives; raises `CheckFailed` with this sentence and the error's words where it is a ValueError."""
    try:
        return call()
    except ValueError as error:
        raise CheckFailed(f"{refused} {cut(str(error), 200)}") from error


def error_of(call: Callable[[], object]) -> Exception | None:
    """The error that the call ends in, None where it ends well. That an exercise is not written goes on its way."""
    try:
        call()
    except NotImplementedError:
        raise
    except Exception as error:
        return error
    return None
