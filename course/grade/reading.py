"""Read a notebook file of any version, as well as it can be read: every text in it is kept, in valid cells.

Of the metadata only what tells a cell's place is kept, its grade id, and the notebook's sheet; and no outputs, for the
cells will run again.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from course.sheets import KEY, SHEET
from helpers.errors import PlainError

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

__all__ = ["MOST_BYTES", "read", "read_bytes", "read_file"]

MOST_BYTES = 50 << 20
MOST_CELLS = 2000
MOST_TEXT = 4_000_000
OLDER_KINDS = {"heading": "markdown", "html": "markdown"}
"""What cells of notebook formats 2 and 3 became in format 4."""


def read_file(file: Path) -> NotebookNode:
    """Read a notebook from a file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        PlainError: it can't be read, is too large, is not a notebook or has too many cells.
    """
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise PlainError(
                f"The file is too large: {size / 2**20:.0f} MB, and at most {MOST_BYTES >> 20} MB are read. "
                "Clear the notebook's outputs and save it again."
            )
        data = file.read_bytes()
    except OSError as error:
        raise PlainError(f"The file can't be read ({error.strerror or error}).") from error
    return read_bytes(data)


def read_bytes(data: bytes) -> NotebookNode:
    """Read a notebook in UTF-8, UTF-16 or UTF-32; see `read`."""
    return read(data.decode(json.detect_encoding(data), errors="replace"))


def read(text: str) -> NotebookNode:
    """Read a notebook.

    Raises:
        PlainError: it is not a notebook, or has too many cells.
    """
    import nbformat

    try:
        data = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise PlainError(f"The file is not a notebook: it is not JSON ({str(error)[:200]}).") from error
    cells = _cells(data)
    if len(cells) > MOST_CELLS:
        raise PlainError(f"The notebook has {len(cells):,} cells; at most {MOST_CELLS:,} are graded.")
    if sum(len(str(cell.get("source", "") if isinstance(cell, dict) else cell)) for cell in cells) > MOST_TEXT:
        raise PlainError(f"The notebook's cells have more than {MOST_TEXT:,} characters, the most that is graded.")
    made = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": _marks(data),
        "cells": [_cell(cell, number) for number, cell in enumerate(cells) if isinstance(cell, dict | str | list)],
    }
    writable = json.dumps(made, ensure_ascii=False).encode("utf-8", errors="replace")  # JSON can name half a character
    return nbformat.from_dict(json.loads(writable))


def _marks(data: Any) -> dict:
    """The notebook's metadata: its sheet, if it has one."""
    sheet = _dict(_dict(_dict(data).get("metadata")).get(KEY)).get("sheet")
    return {KEY: {"sheet": sheet}} if isinstance(sheet, str) and SHEET.fullmatch(sheet) else {}


def _cells(data: Any) -> list:
    if isinstance(data, dict):
        if isinstance(data.get("cells"), list):
            return data["cells"]
        if isinstance(data.get("worksheets"), list):  # up to format 3
            sheets = [_dict(sheet).get("cells") for sheet in data["worksheets"]]
            return [cell for cells in sheets if isinstance(cells, list) for cell in cells]
    raise PlainError("The file is not a notebook: it has no list of cells.")


def _cell(cell: dict | str | list, number: int) -> dict:
    """The cell in a valid form; a bare text becomes a raw cell."""
    if not isinstance(cell, dict):
        cell = {"source": cell}
    kind = str(cell.get("cell_type"))
    kind = OLDER_KINDS.get(kind, kind if kind in ("code", "markdown") else "raw")
    marks = _dict(cell.get("metadata"))
    name = cell.get("id", marks.get("id"))  # Colab keeps a cell's id in its metadata
    grade_id = _dict(marks.get("nbgrader")).get("grade_id")
    made = {
        "cell_type": kind,
        "id": name if isinstance(name, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) else f"cell-{number}",
        "metadata": {"nbgrader": {"grade_id": grade_id}} if isinstance(grade_id, str) else {},
        "source": _text(cell.get("source", cell.get("input"))),  # `input` up to format 3
    }
    if kind == "code":
        return made | {"outputs": [], "execution_count": None}
    attachments = _attachments(cell.get("attachments"))
    return made | ({"attachments": attachments} if attachments else {})


def _text(source: Any) -> str:
    """The text of a source, which may be a list of lines, with or without line ends."""
    if isinstance(source, list):
        lines = [line for line in source if isinstance(line, str)]
        source = ("" if any(line.endswith("\n") for line in lines) else "\n").join(lines)
    return source.replace("\r\n", "\n").replace("\r", "\n") if isinstance(source, str) else ""


def _attachments(value: Any) -> dict:
    """The pictures that were pasted into a text."""
    bundles = {
        name: {kind: text for kind, data in _dict(bundle).items() if (text := _text(data))}
        for name, bundle in _dict(value).items()
    }
    return {name: bundle for name, bundle in bundles.items() if bundle}


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}
