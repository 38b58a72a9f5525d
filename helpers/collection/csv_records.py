"""Read the records of a CSV that may be damaged: an unclosed quote costs its own line and no other."""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper

__all__ = ["Refused", "open_text", "read_header", "read_records"]


class Refused(Exception):
    """A row that is left out; the message is the reason, worded to follow a number of rows."""


def open_text(raw: BufferedReader) -> TextIOWrapper:
    """Decode a file as UTF-8, or as UTF-16 if it begins with a byte order mark (Excel's "Unicode text")."""
    utf16 = raw.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return TextIOWrapper(raw, encoding="utf-16" if utf16 else "utf-8-sig", errors="replace", newline="")


def read_header(file: TextIOWrapper) -> list[str]:
    """Read the column names from the first line."""
    line = file.readline()
    try:
        return [name.strip() for name in _fields(line)]
    except csv.Error:  # one line of more than 131,072 characters: not a CSV
        return [line]


def read_records(file: Iterator[str], width: int) -> Iterator[tuple[int, list[str] | Refused]]:
    """Yield the records after the header, each with the number of its first line; empty lines are left out.

    To the csv module, a quote that is not closed makes all that follows part of its field. Here, such a field costs
    only its first line: reading resumes with the next one.

    Args:
        file: the lines after the header.
        width: how many fields the header has.
    """
    again: deque[str] = deque()
    record: list[str] = []  # the lines of the current record

    def lines() -> Iterator[str]:
        while again or (line := next(file, None)) is not None:
            record.append(again.popleft() if again else line)
            yield record[-1]

    reader = csv.reader(lines(), strict=True)
    number = 2
    while True:
        try:
            values = next(reader)
            closed = len(record) == 1 or len(values) == width
        except StopIteration:
            return
        except csv.Error:
            closed = False
        if not closed:
            again.extendleft(reversed(record[1:]))
            del record[1:]
            reader = csv.reader(lines(), strict=True)
            values = _read_line(record[0])
        if isinstance(values, list) and values and len(values) != width:
            values = Refused(f"with more or fewer fields than the header's {width}")
        if values:
            yield number, values
        number += len(record)
        record.clear()


def _read_line(line: str) -> list[str] | Refused:
    """Return the fields of a single line, even if it has stray quotes."""
    try:
        values = _fields(line)
    except csv.Error:
        return Refused(f"with a field of more than {csv.field_size_limit():,} characters")
    return Refused("with a quote that is not closed") if values[-1].endswith("\n") else values


def _fields(line: str) -> list[str]:
    """Return the fields of one line; if its last quote is not closed, the last field keeps the line's end."""
    return next(csv.reader([line.rstrip("\r\n") + "\n"]))
