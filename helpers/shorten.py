"""Long error texts on one line, short enough to be read to the end."""

from __future__ import annotations

import re

__all__ = ["in_short"]

LONGEST = 300
SCANNED = 50_000
"""How many characters of a text are scanned: enough for three vectors of 512 numbers, not for a whole picture."""

_PLAIN = r"[-+]?(?:\d[\w.+-]{0,30}|nan|inf)"
_NUMBER = rf"(?:(?:[A-Za-z]{{1,9}}\.)?[A-Za-z]\w{{0,15}}\({_PLAIN}\)|{_PLAIN})"  # or np.float32(0.1)
_BASE64 = r"[A-Za-z0-9+/_-]"
_SHORTER = [
    (re.compile(pattern), shorter)
    for pattern, shorter in (
        # The prefixes of clickhouse-connect and ClickHouse.
        (r"(?:Received ClickHouse exception, code: \d+, server response: )?(?:Code: \d+\. )?DB::\w*Exception: ", ""),
        (r"(data:[\w.+/-]{1,60}(?:;[\w.=-]{1,40}){0,4},)[^\s'\"<>)]{24,}", r"\1…"),
        (rf" (?<={_BASE64}{{60}} )(?={_BASE64}{{60}})", ""),  # base64 in lines
        (rf"({_BASE64}{{16}}){_BASE64}{{84,}}={{0,2}}", r"\1…"),
        (rf"(?<![\w.])((?:{_NUMBER}(?:, ?| )){{3}})(?:{_NUMBER}(?:, ?| )){{3,}}{_NUMBER}", r"\1…"),
    )
]


def in_short(text: str) -> str:
    """Return a text on one line of at most 300 characters, without the full stop.

    Vectors are cut to three numbers, data URLs to their type and base64 to its beginning; a database's prefixes are
    left out.
    """
    text = " ".join(text[:SCANNED].split())
    for pattern, shorter in _SHORTER:
        text = pattern.sub(shorter, text)
    return (text if len(text) <= LONGEST else text[: LONGEST - 1] + "…").rstrip(".")
