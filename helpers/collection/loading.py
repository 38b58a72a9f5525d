"""Embed a collection's prompts and store them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.collection.reading import Report, read_prompts
from helpers.collection.streaming import COLUMNS, batches
from helpers.errors import PlainError

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client

__all__ = ["insert_rows", "load_prompts"]


def load_prompts(
    client: Client,
    table: str,
    path: str | Path,
    *,
    embed: Callable[[list[str]], np.ndarray] | None = None,
    batch_size: int = 4096,
) -> Report:
    """Embed the prompts of a file and store them, batch by batch.

    A batch is stored as a whole or not at all, and what is stored stays, whatever happens to this process. After an
    interruption, call it again: rows whose id is in the table are neither embedded nor stored again.

    Args:
        client: of the prompt store.
        table: a table with the columns of `COLUMNS` and `prompt_vector`.
        path: the file.
        embed: turns texts into a float32 array (n, length); by default `helpers.clip.embed_texts`.
        batch_size: rows per batch. 4,096 vectors of 512 numbers are 8 MB.

    Returns:
        How many rows were stored, skipped and refused.

    Raises:
        PlainError: the file can't be read, or the store refuses the batch; earlier batches are in the table.
    """
    if embed is None:
        from helpers import models
        from helpers.clip import embed_texts as embed

        models.load("clip")  # if it is unavailable, fail now rather than in the middle
    report = Report()
    for batch in batches(read_prompts(path, report), batch_size):
        there = _ids_in(client, table, batch)
        new = [row for row in batch if row["id"] not in there]
        report.already_there += len(batch) - len(new)
        if new:
            insert_rows(client, table, new, _embed_by_length([row["prompt"] for row in new], embed))
            report.stored += len(new)
    return report


def _ids_in(client: Client, table: str, rows: list[dict]) -> set[str]:
    from helpers.store import quoted

    sql = f"SELECT id FROM {quoted(table)} WHERE id IN {{ids:Array(String)}}"
    return {row[0] for row in client.query(sql, parameters={"ids": [row["id"] for row in rows]}).result_rows}


def _embed_by_length(texts: list[str], embed: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """Embed texts sorted by length, so that short ones aren't padded to the length of long ones."""
    import numpy as np

    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.asarray(embed([texts[i] for i in order]), dtype=np.float32)
    if len(vectors) != len(texts):
        raise PlainError(f"embed should return {len(texts)} vectors, one per text, but returned {len(vectors)}.")
    return vectors[np.argsort(order)]


def insert_rows(client: Client, table: str, rows: list[dict], vectors: np.ndarray) -> None:
    """Store rows (dicts with the keys `COLUMNS`) with their vectors, float32 (n, length): all of them, or none.

    This is a single INSERT of one block of data, which the database takes as a whole or not at all; keep n below
    about 100,000.

    Raises:
        StoreError: a vector is zero, not finite or of the wrong length for the table, or the server is down.
    """
    import numpy as np
    import pyarrow as pa

    from helpers.store import check_vectors, known_settings, quoted

    n, length = vectors.shape
    check_vectors(vectors, length)
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    offsets = np.arange(0, (n + 1) * length, length, dtype=np.int32)
    columns["prompt_vector"] = pa.ListArray.from_arrays(offsets, vectors.ravel())
    # The server must not queue inserts before it stores them; a cluster's first node must wait for the others.
    at_once = known_settings(client, {"async_insert": 0, "distributed_foreground_insert": 1})
    client.insert_arrow(quoted(table), pa.table(columns), settings=at_once)
