"""What making, reading and loading share: the columns, batches, a progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["COLUMNS", "batches", "progress_bar"]

COLUMNS = ("id", "prompt", "url", "width", "height", "source_site")


def batches(rows: Iterable[dict], size: int) -> Iterator[list[dict]]:
    """Yield the rows in lists of `size`; the last one may be shorter."""
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


def progress_bar(*arguments: Any, **options: Any) -> tqdm:
    """Make a tqdm bar that stays out of logs, where each step would be a line."""
    from tqdm.auto import tqdm

    return tqdm(*arguments, disable=None, **options)
