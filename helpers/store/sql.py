"""SQL that depends on the database: vector indexes, settings, quoted names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.binding import quote_identifier

from helpers.store.vectors import VECTOR_LENGTH

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["EXACT", "index_ddl", "is_myscale", "known_settings", "quoted"]

#: Settings of a query that should compare every row, even if the table has an index.
EXACT = {"use_skip_indexes": 0}


def index_ddl(
    client: Client,
    table: str,
    *,
    column: str = "prompt_vector",
    length: int = VECTOR_LENGTH,
    quantization: str = "bf16",
    neighbours: int = 32,
    candidates: int = 128,
) -> list[str]:
    """Return the statements that put a vector index on `table`; pass them to `client.command` one by one.

    On ClickHouse it is HNSW (Malkov and Yashunin 2016), and the last statement builds it for the existing rows, which
    takes a while. On MyScale it is that database's own index, which is built in the background.

    Args:
        client: of the prompt store.
        table: its name.
        column: the column of vectors.
        length: the length of a vector.
        quantization: the number format in the index: "f32", "bf16", "i8", … Fewer bits take less memory.
        neighbours: the number of links per vector (M in the paper). More of them find more, and take more memory.
        candidates: how many vectors are examined to choose those links (efConstruction). More of them choose better,
            and take longer.
    """
    name, column = quoted(table), quoted(column)
    if is_myscale(client):
        return [f"ALTER TABLE {name} ADD VECTOR INDEX vec_idx {column} TYPE SCANN('metric_type=Cosine')"]
    kind = f"'hnsw', 'cosineDistance', {length:d}, '{quantization}', {neighbours:d}, {candidates:d}"
    return [
        f"ALTER TABLE {name} ADD INDEX IF NOT EXISTS vec_idx {column} TYPE vector_similarity({kind})",
        f"ALTER TABLE {name} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2",
    ]


def is_myscale(client: Client) -> bool:
    """Return whether the store is a MyScale server: only that one has a system table of vector indexes."""
    return bool(client.command("EXISTS TABLE system.vector_indices"))


def known_settings(client: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return those of the `wanted` settings that this database knows; it would refuse the others."""
    return {name: value for name, value in wanted.items() if name in client.server_settings}


def quoted(name: str) -> str:
    """Quote the name of a table (`prompts` or `course.prompts`) or column for SQL, whatever characters it has.

    Values are never written into SQL: bind them, `client.query("… {text:String}", parameters={"text": text})`.
    """
    return ".".join(quote_identifier(part) for part in name.split("."))
