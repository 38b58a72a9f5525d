"""The database's errors in a sentence: with what to do where that is known, otherwise in its own words."""

from __future__ import annotations

import re

from clickhouse_connect.driver.exceptions import Error, OperationalError

from helpers.shorten import in_short
from helpers.store.errors import CHECK_SERVER
from helpers.store.vectors import VECTOR_LENGTH

__all__ = ["message_for"]

_CONSTRAINT = re.compile(
    r"at row (?P<row>\d+)\. Expression: \((?P<rule>.+?)\)\.(?: Column values: (?P<column>\w+) = \[(?P<vector>[^]]*)\])?"
)
_INDEX = re.compile(
    r"(?P<vector>VECTOR\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\S+)\s+(?P<column>\S+)"
    r"\s+TYPE\s+\w+(?:\s*\([^)]*\))?",
    re.IGNORECASE,
)


def message_for(error: Error, name: str, statement: str) -> str:
    """Return the sentence for an error that a statement caused on the database called `name`."""
    text = in_short(str(error))
    if error.code == 469 and (violation := _violation(str(error))):
        return violation
    if error.code in (62, 80) and (index := _index_of_myscale(statement, text)):
        return index
    if error.code == 190 or (error.code == 80 and "dimension" in str(error)):  # without an index, with one
        return (
            "Two vectors of different lengths can't be compared: the one that you searched for is longer or shorter "
            "than the table's. Embed both with the same CLIP model."
        )
    if error.code == 46 and re.search(r"function (with name )?[`']?distance\b", text, re.IGNORECASE):
        return "This database has no function distance, and you may not define one there. Write cosineDistance instead."
    if error.code == 60 and "vector_indices" in text:
        return (
            "Only MyScale has system.vector_indices. Here an index is complete when ALTER TABLE … MATERIALIZE INDEX … "
            "SETTINGS mutations_sync = 2 has ended, and system.data_skipping_indices lists it."
        )
    if error.code == 60:
        return (
            "There is no such table. Run the cell that makes it, with create_table, and then this one again. The "
            f"database says: {text}."
        )
    if isinstance(error, OperationalError) and error.code is None:
        return f"{name[0].upper()}{name[1:]} stopped answering. {CHECK_SERVER}"
    return f"{text}."


def _violation(message: str) -> str | None:
    """Say which row violates which constraint; None if the message doesn't tell."""
    found = _CONSTRAINT.search(message)
    if not found:
        return None
    sentence = f"Nothing was stored: row {found['row']} of the data violates the table's constraint {found['rule']}"
    if found["vector"] is None:
        return f"{sentence}."
    numbers = found["vector"].split(",") if found["vector"].strip() else []
    zero = ", all of them 0" if numbers and not any(map(float, numbers)) else ""
    return f"{sentence}: its {found['column']} has {len(numbers)} numbers{zero}."


def _index_of_myscale(statement: str, message: str) -> str | None:
    """Say what to write instead of another database's vector index; None if the statement has none."""
    found = _INDEX.search(statement)
    if found and (found["vector"] or "Unknown Index type" in message):
        written, distance = " ".join(found[0].split()), "L2Distance" if "=L2" in found[0] else "cosineDistance"
        return (
            f"ClickHouse has a different syntax for a vector index. Instead of `{written}` write `INDEX "
            f"{found['name']} {found['column']} TYPE vector_similarity('hnsw', '{distance}', {VECTOR_LENGTH})`. For "
            f"existing rows, ALTER TABLE … MATERIALIZE INDEX {found['name']} builds it: store.index_ddl(client, table) "
            "returns both statements."
        )
    if re.search(r"\bVECTOR\s+INDEX\b", statement, re.IGNORECASE):
        return "ClickHouse has no VECTOR INDEX, only INDEX: leave out the word VECTOR."
    return None
