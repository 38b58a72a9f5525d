"""Prompts of the picture-book world, and files of them."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from helpers.collection.streaming import COLUMNS, batches, progress_bar
from helpers.errors import PlainError
from helpers.settings import settings

__all__ = ["SIZE", "made_prompts", "write_prompts"]

#: The largest collection that `write_prompts` makes. The world has about ten times as many scenes.
MAX_ROWS = 900_000

#: Width and height of the picture behind a made prompt, in pixels.
SIZE = 128


def made_prompts(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield rows without end, each with the prompt of a different scene of the picture-book world.

    The same seed gives the same rows. A row's id is made from its scene, so the same scene has the same id in every
    collection. Its url leads to `/pictures/…` of the course's endpoint (`settings.endpoint`), which draws the prompt.
    """
    from helpers.picturebook import describe, random_scene

    rng = random.Random(seed)
    seen: set[int] = set()  # hashes of 8 bytes instead of the scenes themselves: about 70 MB for 900,000
    while True:
        scene = random_scene(rng)
        key = blake2b(repr((scene.things, scene.place, scene.style, scene.relation)).encode(), digest_size=8)
        number = int.from_bytes(key.digest())
        if number in seen:
            continue
        seen.add(number)
        prompt = describe(scene, rng)
        yield {
            "id": key.hexdigest(),
            "prompt": prompt,
            "url": f"{settings.endpoint}/pictures/{key.hexdigest()}.png?prompt={quote(prompt)}",
            "width": SIZE,
            "height": SIZE,
            "source_site": "picture-book",
        }


def write_prompts(path: str | Path, rows: int, *, seed: int = 0) -> Path:
    """Write a file of `rows` made prompts, CSV or Parquet by its suffix, and return its path.

    The file appears once it is complete. A longer file of the same seed begins with the shorter one's rows.

    Raises:
        PlainError: `rows` is not from 1 to 900,000, the suffix is neither, or the folder is not writable.
    """
    path = Path(path)
    if not 1 <= rows <= MAX_ROWS:
        raise PlainError(f"A collection has 1 to {MAX_ROWS:,} prompts, but {rows:,} were requested.")
    write = {".csv": _write_csv, ".parquet": _write_parquet}.get(path.suffix.lower())
    if write is None:
        raise PlainError(f"{path.name} should end in .csv or .parquet: the suffix decides which format is written.")
    part = path.with_name(f"{path.name}.part")
    try:
        write(part, progress_bar(islice(made_prompts(seed), rows), desc=path.name, total=rows, unit=" prompts"))
        part.replace(path)
    except OSError as error:
        raise PlainError(f"{path} can't be written ({error.strerror or error}). Choose another file.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _write_csv(path: Path, rows: Iterable[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Iterable[dict]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    numbers = {"width", "height"}
    schema = pa.schema([(name, pa.int32() if name in numbers else pa.string()) for name in COLUMNS])
    with ParquetWriter(path, schema) as writer:
        for batch in batches(rows, 10_000):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))
