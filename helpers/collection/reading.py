"""Read a collection's rows, and report how many were left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.collection.csv_records import Refused, open_text, read_header, read_records
from helpers.collection.streaming import COLUMNS, progress_bar
from helpers.errors import PlainError

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Report", "read_prompts"]


@dataclass
class Report:
    """How many of a collection's rows were stored, skipped and refused; it prints as a sentence.

    Attributes:
        stored: rows stored in this run.
        already_there: rows whose id was in the table before, from an earlier, perhaps interrupted, run.
        refused: the number of rows refused, by reason.
        first: the first refused row per reason: "line 2" of a CSV (the header is line 1), "row 1" of a Parquet.
    """

    stored: int = 0
    already_there: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def refuse(self, reason: str, place: str) -> None:
        """Count a refused row."""
        self.refused[reason] += 1
        self.first.setdefault(reason, place)

    def __str__(self) -> str:
        parts = [f"{self.stored:,} stored"]
        if self.already_there:
            parts.append(f"{self.already_there:,} already there")
        if self.refused:
            reasons = (
                f"{count:,} {reason} (first in {self.first[reason]})" for reason, count in self.refused.most_common()
            )
            parts.append(f"{self.refused.total():,} refused: {', '.join(reasons)}")
        return "; ".join(parts)

    __repr__ = __str__


def read_prompts(path: str | Path, report: Report | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a collection one by one, as dicts with the keys `COLUMNS`, and show a progress bar.

    A row that lacks an id or prompt, repeats an earlier one, or does not fit the columns is left out, and counted in
    `report` with the reason. A missing url or source_site becomes "", a missing size 0. Earlier ids and prompts are
    remembered as hashes of 8 bytes: about 140 MB for 900,000 rows.

    Raises:
        PlainError: there is no such file, or it is not a CSV or Parquet with the columns id and prompt.
    """
    path, report = Path(path), report or Report()
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    seen: set[int] = set()
    try:
        with progress_bar(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True) as bar:
            for place, record in read(path, bar):
                try:
                    row = _row(record)
                    _refuse_seen(row, seen)
                except Refused as reason:
                    report.refuse(str(reason), place)
                else:
                    yield row
    except OSError as error:
        raise PlainError(f"{path} can't be read ({error.strerror or error}). Check its name and folder.") from error


def _read_csv(path: Path, bar: tqdm) -> Iterator[tuple[str, dict | Refused]]:
    with path.open("rb") as raw, open_text(raw) as file:
        header = read_header(file)
        _expect_columns(path, header)
        for number, values in read_records(file, len(header)):
            bar.update(raw.tell() - bar.n)
            record = values if isinstance(values, Refused) else dict(zip(header, values, strict=True))
            yield f"line {number:,}", record


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
        raise PlainError(f"{path} is not a Parquet file, or is damaged ({error}).") from error


def _expect_columns(path: Path, found: list[str]) -> None:
    if missing := [name for name in ("id", "prompt") if name not in found]:
        raise PlainError(
            f"{path} has no column {' and no '.join(missing)}. A collection has the columns {', '.join(COLUMNS)}; this "
            f"file's first line has: {', '.join(found)[:200] or 'nothing'}."
        )


def _row(record: dict | Refused) -> dict[str, Any]:
    """Turn a record into a row of the table, or raise `Refused`."""
    if isinstance(record, Refused):
        raise record
    row: dict[str, Any] = {name: _text(record.get(name)) for name in COLUMNS}
    for name in ("id", "prompt"):
        if not row[name]:
            raise Refused(f"without {name}")
    for name in ("width", "height"):
        try:
            row[name] = int(float(row[name] or 0))  # pandas writes whole numbers as 512.0 if some are missing
        except (ValueError, OverflowError):
            row[name] = -1
        if not 0 <= row[name] < 2**16:
            raise Refused(f"with an invalid {name}")
    return row


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()  # NaN is not itself


def _refuse_seen(row: dict, seen: set[int]) -> None:
    keys = {name: hash((name, row[name])) for name in ("id", "prompt")}
    for name, key in keys.items():
        if key in seen:
            raise Refused(f"with the {name} of an earlier row")
    seen.update(keys.values())
