"""Text files that people have edited, with whatever editor."""

from __future__ import annotations

from pathlib import Path

from helpers.errors import PlainError

__all__ = ["read_utf8"]


def read_utf8(path: Path) -> str:
    """Read a text file, with or without a byte order mark. Raises `PlainError` if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PlainError(
            f"{path.name} should be in UTF-8, but line {line} is not ({error.reason}): "
            "open it in an editor that displays it correctly, and save it as UTF-8."
        ) from None
