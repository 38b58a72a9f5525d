"""Base64 as people and programs send it."""

from __future__ import annotations

import base64
import re

__all__ = ["from_base64"]


def from_base64(text: str) -> bytes:
    """Decode base64 that may have line breaks, a byte order mark, a `data:` head or the URL-safe alphabet.

    Raises:
        ValueError: The text is cut off, or has other characters in it.
    """
    text = re.sub(r"\Adata:[^,]{0,200};base64,", "", text.strip().removeprefix("\ufeff"), flags=re.IGNORECASE)
    return base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
