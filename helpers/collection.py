"""A collection of prompts: in a file, and on its way into the prompt store.

The file is a CSV or Parquet with the columns of the 900k Diffusion Prompts dataset: `COLUMNS`. Two kinds of file fit:
the dataset's own, unchanged, and one made here from the picture-book world, of any size, whose urls lead to pictures
that the course's endpoint draws when they are asked for.

    >>> from helpers import collection, store
    >>> collection.write_prompts("prompts.csv", rows=2000)
    >>> collection.load_prompts(store.connect(), "prompts", "prompts.csv")     # into a table that is there
    2,000 stored

Everything streams: rows are read, embedded and stored batch by batch, so a file of any size needs little memory.
"""

from __future__ import annotations

import codecs
import csv
import os
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from helpers.errors import PlainError
from helpers.settings import settings

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client
    from tqdm import tqdm

__all__ = [
    "COLUMNS",
    "MAX_ROWS",
    "SIZE",
    "Report",
    "insert_rows",
    "load_prompts",
    "made_prompts",
    "read_prompts",
    "write_prompts",
]

COLUMNS = ("id", "prompt", "url", "width", "height", "source_site")

#: The largest collection that `write_prompts` makes. The world has some ten times as many scenes.
MAX_ROWS = 900_000

#: Width and height of the picture behind a made prompt, in pixels.
SIZE = 128

BATCH = 4096  # rows that are embedded and stored together


# -- prompts of the picture-book world


def made_prompts(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows without end, each with the prompt of another scene of the picture-book world; same seed, same rows.

    A row's id is made from its scene, so the same scene has the same id in every collection. Its url leads to
    ``/pictures/…`` of the course's endpoint (``settings.endpoint``), which draws the prompt.
    """
    from helpers.picturebook import describe, random_scene

    rng = random.Random(seed)
    seen: set[int] = set()  # 8 bytes of each, not the scenes themselves: some 70 MB for 900,000
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
    """Writes a file of ``rows`` made prompts, CSV or Parquet by its suffix, and gives its path.

    The file appears when it is complete. A longer file of the same seed begins with the shorter one's rows.

    Raises:
        PlainError: more than `MAX_ROWS` rows or none, another suffix, or a folder that can't be written to.
    """
    path = Path(path)
    if not 1 <= rows <= MAX_ROWS:
        raise PlainError(f"A collection has 1 to {MAX_ROWS:,} prompts, but {rows:,} were asked for.")
    write = {".csv": _write_csv, ".parquet": _write_parquet}.get(path.suffix.lower())
    if write is None:
        raise PlainError(f"{path.name} should end in .csv or .parquet: the suffix says which of the two is written.")
    part = path.with_name(f"{path.name}.part")
    try:
        write(part, _bar(islice(made_prompts(seed), rows), desc=path.name, total=rows, unit=" prompts"))
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
        for batch in _batches(rows, 10_000):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))


# -- reading a collection


@dataclass
class Report:
    """What became of a collection's rows; printed, it is a sentence."""

    stored: int = 0
    #: Their id was in the table already, from an earlier, perhaps interrupted, run.
    already_there: int = 0
    #: How many rows were refused, by reason.
    refused: Counter[str] = field(default_factory=Counter)
    #: For each reason where the first such row is: "line 2" of a CSV (the header is line 1), "row 1" of a Parquet.
    first: dict[str, str] = field(default_factory=dict)

    def refuse(self, reason: str, place: str) -> None:
        self.refused[reason] += 1
        self.first.setdefault(reason, place)

    def __str__(self) -> str:
        parts = [f"{self.stored:,} stored"]
        if self.already_there:
            parts.append(f"{self.already_there:,} were there already")
        if self.refused:
            reasons = (
                f"{count:,} {reason} (first in {self.first[reason]})" for reason, count in self.refused.most_common()
            )
            parts.append(f"{self.refused.total():,} refused: {', '.join(reasons)}")
        return "; ".join(parts)

    __repr__ = __str__


def read_prompts(path: str | Path, report: Report | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a collection one by one, as dicts with the keys `COLUMNS`; a bar shows how far it is.

    A row without id or prompt, with an id or prompt that came before, or that is no row of this table is left out,
    and counted in ``report`` with the reason. A missing url or source_site becomes "", a missing size 0. What came
    before is known by 8 bytes of each id and prompt: some 140 MB for 900,000 rows.

    Raises:
        PlainError: there is no such file, or it is no CSV or Parquet with the columns id and prompt.
    """
    path, report = Path(path), report or Report()
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    seen: set[int] = set()
    try:
        with _bar(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True) as bar:
            for place, record in read(path, bar):
                try:
                    row = _row(record)
                    _refuse_seen(row, seen)
                except _Refused as reason:
                    report.refuse(str(reason), place)
                else:
                    yield row
    except OSError as error:
        raise PlainError(f"{path} can't be read ({error.strerror or error}). Check its name and folder.") from error


class _Refused(Exception):
    """A row that can't be taken; the message is the reason, as it follows a number of rows."""


def _read_csv(path: Path, bar: tqdm) -> Iterator[tuple[str, dict | _Refused]]:
    with path.open("rb") as raw:
        utf16 = raw.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Excel's "Unicode text"
        encoding = "utf-16" if utf16 else "utf-8-sig"
        with TextIOWrapper(raw, encoding=encoding, errors="replace", newline="") as file:
            header = _header(file.readline())
            _expect_columns(path, header)
            for number, values in _records(file, len(header)):
                bar.update(raw.tell() - bar.n)
                if isinstance(values, list) and len(values) != len(header):
                    values = _Refused(f"with another number of fields than the header's {len(header)}")
                record = values if isinstance(values, _Refused) else dict(zip(header, values, strict=True))
                yield f"line {number:,}", record


def _records(file: Iterator[str], width: int) -> Iterator[tuple[int, list[str] | _Refused]]:
    """The records of a CSV after its header, each with the number of its first line; empty lines are left out.

    A quote that is not closed would take all that follows into its field. Where it did, only its line is lost: reading
    goes on with the next one.
    """
    again: deque[str] = deque()
    record: list[str] = []  # the lines of the record that is being read

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
            values = _line(record[0])
        if values:
            yield number, values
        number += len(record)
        record.clear()


def _line(line: str) -> list[str] | _Refused:
    """The fields of a line by itself, also where quotes stand in them as they should not."""
    try:
        values = _fields(line)
    except csv.Error:
        return _Refused(f"with a field of more than {csv.field_size_limit():,} characters")
    return _Refused("with a quote that is not closed") if values[-1].endswith("\n") else values


def _header(line: str) -> list[str]:
    try:
        return [name.strip() for name in _fields(line)]
    except csv.Error:  # one line of more than 131,072 characters: it is another kind of file
        return [line]


def _fields(line: str) -> list[str]:
    """The fields of one line; where its last quote is open, the last one ends with the line's end."""
    return next(csv.reader([line.rstrip("\r\n") + "\n"]))


def _read_parquet(path: Path, bar: tqdm) -> Iterator[tuple[str, dict]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            _expect_columns(path, file.schema_arrow.names)
            step = bar.total / max(file.metadata.num_rows, 1)
            number = 0
            for batch in file.iter_batches(columns=[name for name in COLUMNS if name in file.schema_arrow.names]):
                for record in batch.to_pylist():
                    bar.update(step)
                    number += 1
                    yield f"row {number:,}", record
    except ArrowException as error:
        raise PlainError(f"{path} is no Parquet file, or is damaged ({error}).") from error


def _expect_columns(path: Path, found: list[str]) -> None:
    if missing := [name for name in ("id", "prompt") if name not in found]:
        raise PlainError(
            f"{path} has no column {' and no '.join(missing)}. A collection has the columns {', '.join(COLUMNS)}; this "
            f"file's first line has: {', '.join(found)[:200] or 'nothing'}."
        )


def _row(record: dict | _Refused) -> dict[str, Any]:
    """A record as a row of the table. Raises `_Refused`."""
    if isinstance(record, _Refused):
        raise record
    row: dict[str, Any] = {name: _text(record.get(name)) for name in COLUMNS}
    for name in ("id", "prompt"):
        if not row[name]:
            raise _Refused(f"without {name}")
    for name in ("width", "height"):
        try:
            row[name] = int(float(row[name] or 0))  # pandas writes whole numbers as 512.0 where some are missing
        except (ValueError, OverflowError):
            row[name] = -1
        if not 0 <= row[name] < 2**16:
            raise _Refused(f"with a {name} that is none")
    return row


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()  # NaN is not itself


def _refuse_seen(row: dict, seen: set[int]) -> None:
    keys = {name: hash((name, row[name])) for name in ("id", "prompt")}
    for name, key in keys.items():
        if key in seen:
            raise _Refused(f"with the {name} of an earlier row")
    seen.update(keys.values())


# -- into the store


def load_prompts(
    client: Client,
    table: str,
    path: str | Path,
    *,
    embed: Callable[[list[str]], np.ndarray] | None = None,
    batch_size: int = BATCH,
) -> Report:
    """Embeds the prompts of a file and stores them, batch by batch; says what became of the rows.

    ``table`` has the columns of `COLUMNS` and ``prompt_vector``. A batch is stored as a whole or not at all, and what
    is stored stays, whatever happens to this process. Interrupted, call it again: rows whose id is in the table are
    neither embedded nor stored again.

    Args:
        embed: texts to a float32 array (n, length); `helpers.clip.embed_texts` if not given.
        batch_size: rows of a batch. 4,096 vectors of 512 numbers are 8 MB.

    Raises:
        PlainError: the file can't be read, or the store refuses the batch; earlier batches are in the table.
    """
    if embed is None:
        from helpers import models
        from helpers.clip import embed_texts as embed

        models.load("clip")  # if it can't be had, better now than in the middle
    report = Report()
    with _threads():
        for batch in _batches(read_prompts(path, report), batch_size):
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
    """``embed(texts)``, with texts of a length side by side: a short one is not padded to the length of a long one."""
    import numpy as np

    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.asarray(embed([texts[i] for i in order]), dtype=np.float32)
    if len(vectors) != len(texts):
        raise PlainError(f"embed should give a vector for each of the {len(texts)} texts, but gave {len(vectors)}.")
    return vectors[np.argsort(order)]


def insert_rows(client: Client, table: str, rows: list[dict], vectors: np.ndarray) -> None:
    """Stores rows (the keys `COLUMNS`) with their vectors, float32 (n, length): all of them or, with an error, none.

    It is one INSERT of one block of data, which the database takes whole or not at all; keep n below some 100,000.

    Raises:
        StoreError: a vector is zero, not finite or too long for the table, or the server has gone away.
    """
    import numpy as np
    import pyarrow as pa

    from helpers.store import check_vectors, known_settings, quoted

    n, length = vectors.shape
    check_vectors(vectors, length)
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    offsets = np.arange(0, (n + 1) * length, length, dtype=np.int32)
    columns["prompt_vector"] = pa.ListArray.from_arrays(offsets, vectors.ravel())
    # The server is not to collect batches before it stores them; a cluster's first node is to wait for the others.
    at_once = known_settings(client, {"async_insert": 0, "distributed_foreground_insert": 1})
    client.insert_arrow(quoted(table), pa.table(columns), settings=at_once)


@contextmanager
def _threads() -> Iterator[None]:
    """Lets torch use the cores that are free: on a busy machine two threads are many times slower than one."""
    torch = sys.modules.get("torch")
    if torch is None or "OMP_NUM_THREADS" in os.environ:  # nothing to choose, or chosen
        yield
        return
    import psutil

    before = torch.get_num_threads()
    busy = psutil.cpu_percent(interval=0.5) / 100
    torch.set_num_threads(max(1, min(before, round(before * (1 - busy)))))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _bar(*arguments: Any, **options: Any) -> tqdm:
    from tqdm.auto import tqdm

    return tqdm(*arguments, disable=None, **options)  # None: not in a log, where each step would be a line


def _batches(rows: Iterable[dict], size: int) -> Iterator[list[dict]]:
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch
