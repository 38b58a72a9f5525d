"""The gallery of runs: a file with one line for each training, so that groups can compare honestly.

An entry says everything that is needed to train the model again: the seed, the network, the number of samples.
`course speedrun FILE` does so, says whether the score holds, and signs those that do.
"""

from __future__ import annotations

import base64
import io
import json
import os
import platform
from collections.abc import Sequence
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helpers.errors import PlainError
from helpers.show import display_html, mosaic
from helpers.speedrun.score import standard_error
from helpers.speedrun.world import COLOURS, KINDS, to_images

if TYPE_CHECKING:
    pass

__all__ = ["FILE", "Entry", "Network", "add", "contact_sheet", "read", "show_gallery"]

FILE = "speedrun.jsonl"
"""The gallery's file, in the notebook's folder."""


class Part(BaseModel):
    """Rejects "3" for 3 and NaN."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True)


class Network(Part):
    """The shape of a DiT: bounded, because whoever verifies an entry has to train it."""

    width: int = Field(96, ge=8, le=1024)
    depth: int = Field(4, ge=1, le=32)
    heads: int = Field(3, ge=1, le=32)
    patch: int = Field(4, ge=2, le=16)


def _computer() -> str:
    return f"{torch.get_num_threads()} of {os.cpu_count()} threads, {platform.machine()}"


class Entry(Part):
    """One run: what it was trained with, how long that took, and how good its pictures are."""

    name: str = Field(max_length=80, description="of the group or the student")
    seed: int = Field(ge=0, lt=2**31)
    samples: int = Field(ge=1, le=10**8, description="how many samples the network was trained on")
    batch: int = Field(ge=1, le=4096)
    network: Network
    steps: int = Field(ge=1, le=200, description="steps of sampling")
    guidance: float = Field(ge=0, le=50)
    score: float = Field(ge=0, le=1, description="the share of pictures with the right kind and colour")
    pictures: int = Field(ge=16, le=10_000, description="how many pictures were judged")
    minutes: float = Field(ge=0, description="of training; on another computer it takes another time")
    computer: str = Field(default_factory=_computer, max_length=200)
    date: str = Field(default_factory=lambda: date.today().isoformat(), max_length=10)
    sheet: str = Field("", max_length=400_000, description="the first picture of each condition, a PNG in base64")
    token: str = Field("", max_length=10_000, description="the signature of whoever has trained it again")

    @property
    def claim(self) -> dict:
        """What is signed: all but the picture and the signature."""
        return self.model_dump(exclude={"sheet", "token"})


def contact_sheet(pixels: torch.Tensor) -> str:
    """Return the first 16 pictures as one PNG, in base64: none of them chosen."""
    file = io.BytesIO()
    mosaic(to_images(pixels[:16]), len(COLOURS), gap=1).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def add(entry: Entry, file: str | Path = FILE) -> list[Entry]:
    """Add an entry to the gallery, in place of one of the same run; return all entries."""

    def run(each: Entry) -> tuple:
        return each.name, each.seed, each.batch, each.network, each.samples

    entries = [each for each in read(file) if run(each) != run(entry)] + [entry]
    write(entries, file)
    return entries


def write(entries: Sequence[Entry], file: str | Path) -> None:
    """Write the gallery."""
    Path(file).write_text("".join(f"{entry.model_dump_json()}\n" for entry in entries), encoding="utf-8")


def read(*files: str | Path) -> list[Entry]:
    """Return the entries of one or more galleries; a file that is missing has none.

    Raises:
        PlainError: a line is not an entry.
    """
    entries = []
    for file in map(Path, files or (FILE,)):
        if not file.exists():
            continue
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            try:
                entries.append(Entry.model_validate(json.loads(line)))
            except (ValidationError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise PlainError(f"{file}, line {number}, is not an entry of the gallery ({reason}).") from None
    return entries


def show_gallery(entries: Sequence[Entry]) -> None:
    """Show the entries as a table, the best score first, each with its unselected pictures."""
    heads = ("pictures", "name", "score", "minutes", "samples", "network", "seed", "computer", "")
    rows = ""
    for entry in sorted(entries, key=lambda each: -each.score):
        error = standard_error(entry.score, entry.pictures)
        network = f"width {entry.network.width}, depth {entry.network.depth}, patch {entry.network.patch}"
        cells = (
            entry.name,
            f"{entry.score:.2f} ± {error:.2f}",
            f"{entry.minutes:.1f}",
            f"{entry.samples:,}",
            network,
            entry.seed,
            entry.computer,
            "signed" if entry.token else "",
        )
        words = f"16 pictures of {entry.name}'s run with seed {entry.seed}: {', '.join(KINDS)}, each in {', '.join(COLOURS)}"
        sheet = f'<img src="data:image/png;base64,{escape(entry.sheet)}" width="264" style="image-rendering:pixelated" alt="{escape(words)}">'
        rows += f"<tr><td>{sheet if entry.sheet else ''}</td>"
        rows += "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    display_html(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
