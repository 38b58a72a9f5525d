"""`generate_and_store`: what the pipeline is asked for, the file, and the row in the table.

A fake pipeline draws coloured squares that depend on the prompt, the seed and the steps, as its pictures do.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname, urlopen

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect
from helpers.checks.fakes import (
    PipelineCall,
    RecordingClient,
    fake_pipeline,
    recorded_bars,
    scratch_folder,
    scratch_table,
    stored_rows,
)
from helpers.checks.nb05.rows import fresh_rows, same_direction, vectors_of
from helpers.checks.words import described
from helpers.collection import COLUMNS

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["generate_and_store"]

generate_and_store = Exercise("generate_and_store")


@generate_and_store.given
def rows(rng) -> list[dict]:
    """Rows that are in the table, and in the end one whose prompt is to be drawn."""
    return fresh_rows(9, rng)


@dataclass
class Studio:
    """What a student's function works with, and what the pipeline was asked for."""

    draw: Any
    client: RecordingClient
    table: str
    calls: list[PipelineCall]
    known: set[str]

    def __call__(self, prompt: str, **options) -> Drawn:
        """Call generate_and_store; gives what it returned, and the rows that are new in the table."""
        returned = self.draw(self.client, self.table, prompt, **{"folder": "some/pictures", **options})
        table = stored_rows(self.client, self.table)
        new = [row for row in table.to_dict("records") if row["id"] not in self.known]
        self.known |= set(table["id"])
        drawn = Drawn(prompt, returned, new, len(table))
        with suppress(CheckFailed, OSError, ValueError):  # the cases that need it say what is wrong
            drawn.content = drawn.file.read_bytes()
        return drawn


@dataclass
class Drawn:
    """What a call of generate_and_store gave and left.

    The file's content is as it was then: a later call may overwrite it.
    """

    prompt: str
    returned: Any
    new: list[dict]
    rows: int
    content: bytes = b""

    @property
    def stored(self) -> dict:
        """The new row in the table."""
        expect(bool(self.new), "There is no new row in the table, with an id of its own.")
        return self.new[0]

    @property
    def url(self) -> str:
        """The address in the new row or, where nothing is stored, in the row that was returned."""
        known = self.new[0] if self.new else self.returned
        expect(
            isinstance(known, dict) and "url" in known,
            f"generate_and_store should store a row and return it, but what it returned is {described(self.returned)}, and "
            "there is no new row in the table.",
        )
        return str(known["url"])

    @property
    def file(self) -> Path:
        """The file that the url leads to; a path will do, for a case of its own asks for an address."""
        return Path(url2pathname(urlsplit(self.url).path)) if self.url.startswith("file:") else Path(self.url)

    @property
    def picture(self) -> Image.Image:
        from PIL import Image

        try:
            return Image.open(io.BytesIO(self.content)).convert("RGB")
        except (OSError, ValueError) as error:
            raise CheckFailed(
                f"There is no picture at the row's url, {self.url[:80]!r}. Save the picture, and take the file's "
                "address with path.resolve().as_uri()."
            ) from error


@generate_and_store.given
def studio(generate_and_store, rows) -> Iterator[Studio]:
    with ExitStack() as stack:
        # The table comes first: in another folder the store would be another one.
        client, table = stack.enter_context(scratch_table(rows[:-1], vectors_of(rows[:-1])))
        stack.enter_context(scratch_folder())
        stack.enter_context(recorded_bars())
        calls = stack.enter_context(fake_pipeline())
        yield Studio(generate_and_store, client, table, calls, {row["id"] for row in rows[:-1]})


@generate_and_store.given
def seed(rng) -> int:
    return rng.randrange(1, 10**6)


@generate_and_store.given
def drawn(studio, rows, seed) -> Drawn:
    return studio(rows[-1]["prompt"], seed=seed, steps=10)


@generate_and_store.core(50)
def draws_the_prompt(studio, drawn, rows, seed) -> None:
    """the pipeline draws the prompt, and the picture is in the file that the url leads to"""
    asked = [prompt for call in studio.calls for prompt in call.prompts]
    expect(bool(asked), 'Nothing was drawn: call load("diffusion").')
    expect(
        drawn.prompt in asked,
        f"The pipeline should draw {drawn.prompt!r}, but it was asked for {', '.join(asked[:3])!r}.",
    )
    other = studio(rows[0]["prompt"], seed=seed, steps=10)
    expect(
        other.picture.tobytes() != drawn.picture.tobytes(),
        "Two prompts, but the same picture in the file: is it the one that was drawn?",
    )


@generate_and_store.core(20)
def stores_the_row(drawn, rows) -> None:
    """a new row is in the table, with CLIP's vector of the prompt"""
    import numpy as np

    expect(
        len(drawn.new) == 1 and drawn.rows == len(rows),
        f"One row more should be in the table, with an id of its own, but there are {drawn.rows - len(rows) + 1} more.",
    )
    (new,) = drawn.new
    expect(new["prompt"] == drawn.prompt, f"The row's prompt should be {drawn.prompt!r}, but it is {new['prompt']!r}.")
    expect(
        bool(same_direction(np.array([new["prompt_vector"]]), vectors_of(rows[-1:])).all()),
        "The stored prompt_vector is not CLIP's vector of the prompt.",
    )


@generate_and_store.edge(4)
def returns_the_row(drawn) -> None:
    """the stored row is returned"""
    row = drawn.returned
    expect(
        isinstance(row, dict) and set(COLUMNS) <= set(row),
        f"generate_and_store should return the stored row, a dict with {', '.join(COLUMNS)}, but what it returned is "
        f"{described(row)}.",
    )
    new = next(iter(drawn.new), {})
    for column in COLUMNS:
        expect(
            new.get(column) == row[column],
            f"In the table {column} is {new.get(column)!r}, but the row that was returned says {row[column]!r}.",
        )


@generate_and_store.edge(5)
def seed_decides(studio, drawn, seed) -> None:
    """the same seed gives the same picture, another seed another one"""
    picture = drawn.picture.tobytes()
    expect(
        studio(drawn.prompt, seed=seed, steps=10).picture.tobytes() == picture,
        "The same prompt and seed gave another picture: hand the pipeline a torch.Generator with manual_seed(seed).",
    )
    expect(
        studio(drawn.prompt, seed=seed + 1, steps=10).picture.tobytes() != picture,
        "Another seed gave the same picture, so the seed is not used.",
    )


@generate_and_store.edge(3)
def as_many_steps(studio, drawn, seed) -> None:
    """as many steps as asked for"""
    before = len(studio.calls)
    studio(drawn.prompt, seed=seed, steps=4)
    steps = {call.steps for call in studio.calls[before:]}
    expect(
        steps == {4}, f"With steps=4 the pipeline should take 4 steps, but it took {', '.join(map(str, steps)) or 0}."
    )


@generate_and_store.edge(3)
def size_of_the_picture(drawn) -> None:
    """width and height are the picture's"""
    size, row = drawn.picture.size, drawn.stored
    expect(
        size == (row["width"], row["height"]),
        f"The picture is {size[0]} × {size[1]} pixels, but the row says {row['width']} × {row['height']}.",
    )


@generate_and_store.edge(2)
def generated(drawn) -> None:
    """its source_site is generated"""
    site = drawn.stored["source_site"]
    expect(site == "generated", f'The row\'s source_site should be "generated", but it is {site!r}.')


@generate_and_store.edge(4)
def png_in_the_folder(drawn) -> None:
    """a PNG file in the folder, which is made if need be"""
    expect(
        drawn.file.suffix == ".png" and drawn.content.startswith(b"\x89PNG"),
        f"The picture should be saved as a PNG file, but {drawn.file.name} is not one.",
    )
    folder = Path("some/pictures")
    expect(
        folder.is_dir() and drawn.file.parent.samefile(folder),
        f"The picture should be saved in the folder that the function is given, but it is in {drawn.file.parent}.",
    )


@generate_and_store.edge(6)
def a_new_id_each_time(studio, drawn, seed) -> None:
    """a new id and a new file each time, also for the same prompt and seed"""
    first, again = drawn.stored, studio(drawn.prompt, seed=seed, steps=10)
    expect(
        bool(again.new) and again.stored["url"] != first["url"],
        "Two rows have the same id or the same file: the second picture would take the place of the first. Give each row "
        "an id of its own, for example uuid.uuid4().hex.",
    )


@generate_and_store.edge(3)
def address_of_the_file(drawn) -> None:
    """the url is an address, file://…"""
    url = str(drawn.stored["url"])
    try:
        with urlopen(url) as file:
            there = bool(file.read(1))
    except (OSError, ValueError):
        there = False
    expect(
        there and url.startswith("file:"),
        f"The row's url should be the address of the file, file://…, but it is {url[:80]!r}: take "
        "path.resolve().as_uri().",
    )
