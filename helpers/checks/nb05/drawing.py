"""`generate_and_store`: the call of the pipeline, the file, and the row in the table.

A fake pipeline draws coloured squares that depend on the prompt, the seed and the steps, as real pictures do.
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
    """Rows that are in the table, and a last one whose prompt is to be drawn."""
    return fresh_rows(9, rng)


@dataclass
class Harness:
    """The student's function, what it works with, and the pipeline's recorded calls."""

    generate_and_store: Any
    client: RecordingClient
    table: str
    calls: list[PipelineCall]
    known: set[str]

    def __call__(self, prompt: str, **options) -> Drawn:
        """Call generate_and_store; return its result, and the new rows in the table."""
        options = {"folder": "some/pictures", **options}
        returned = self.generate_and_store(self.client, self.table, prompt, **options)
        table = stored_rows(self.client, self.table)
        new = [row for row in table.to_dict("records") if row["id"] not in self.known]
        self.known |= set(table["id"])
        drawn = Drawn(prompt, returned, new, len(table))
        with suppress(CheckFailed, OSError, ValueError):  # the cases that need the file report what is wrong
            drawn.content = drawn.file.read_bytes()
        return drawn


@dataclass
class Drawn:
    """The result of a call of generate_and_store, and what it left in the table and in the file.

    The file's content is kept as it was then: a later call may overwrite it.
    """

    prompt: str
    returned: Any
    new: list[dict]
    rows: int
    content: bytes = b""

    @property
    def stored(self) -> dict:
        """The new row in the table."""
        expect(bool(self.new), "There is no new row in the table. Insert one with its own id.")
        return self.new[0]

    @property
    def url(self) -> str:
        """The url in the new row or, if nothing is stored, in the returned row."""
        known = self.new[0] if self.new else self.returned
        expect(
            isinstance(known, dict) and "url" in known,
            f"generate_and_store should store a row and return it, but it returned {described(self.returned)}, and there is "
            "no new row in the table.",
        )
        return str(known["url"])

    @property
    def file(self) -> Path:
        """The file at the url, which may be a plain path: another case checks that it is a URL."""
        return Path(url2pathname(urlsplit(self.url).path)) if self.url.startswith("file:") else Path(self.url)

    @property
    def picture(self) -> Image.Image:
        from PIL import Image

        try:
            return Image.open(io.BytesIO(self.content)).convert("RGB")
        except (OSError, ValueError) as error:
            raise CheckFailed(
                f"There is no picture at the row's url, {self.url[:80]!r}. Save the picture, and use the file's URL, "
                "path.resolve().as_uri()."
            ) from error


@generate_and_store.given
def harness(generate_and_store, rows) -> Iterator[Harness]:
    with ExitStack() as stack:
        # The table comes first: in another folder, the client would open another store.
        client, table = stack.enter_context(scratch_table(rows[:-1], vectors_of(rows[:-1])))
        stack.enter_context(scratch_folder())
        stack.enter_context(recorded_bars())
        calls = stack.enter_context(fake_pipeline())
        yield Harness(generate_and_store, client, table, calls, {row["id"] for row in rows[:-1]})


@generate_and_store.given
def seed(rng) -> int:
    return rng.randrange(1, 10**6)


@generate_and_store.given
def drawn(harness, rows, seed) -> Drawn:
    return harness(rows[-1]["prompt"], seed=seed, steps=10)


@generate_and_store.core(50)
def picture_of_the_prompt(harness, drawn, rows, seed) -> None:
    """the pipeline draws the prompt, and the picture is in the file at the url"""
    prompts = [prompt for call in harness.calls for prompt in call.prompts]
    expect(bool(prompts), 'Nothing was drawn: use the pipeline that load("diffusion") returns.')
    expect(
        drawn.prompt in prompts,
        f"The pipeline should draw {drawn.prompt!r}, but it was asked for {', '.join(prompts[:3])!r}.",
    )
    other = harness(rows[0]["prompt"], seed=seed, steps=10)
    expect(
        other.picture.tobytes() != drawn.picture.tobytes(),
        "Two prompts gave the same picture in the file: save the picture that was drawn.",
    )


@generate_and_store.core(20)
def stored_row(drawn, rows) -> None:
    """a new row is in the table, with CLIP's vector of the prompt"""
    import numpy as np

    expect(
        len(drawn.new) == 1 and drawn.rows == len(rows),
        f"There should be one more row in the table, with its own id, but there are {drawn.rows - len(rows) + 1} more.",
    )
    (new,) = drawn.new
    expect(new["prompt"] == drawn.prompt, f"The row's prompt should be {drawn.prompt!r}, but it is {new['prompt']!r}.")
    expect(
        bool(same_direction(np.array([new["prompt_vector"]]), vectors_of(rows[-1:])).all()),
        "The stored prompt_vector is not CLIP's vector of the prompt: use embed_texts([prompt])[0].",
    )


@generate_and_store.edge(4)
def returned_row(drawn) -> None:
    """the stored row is returned"""
    row = drawn.returned
    expect(
        isinstance(row, dict) and set(COLUMNS) <= set(row),
        f"generate_and_store should return the stored row, a dict with {', '.join(COLUMNS)}, but it returned "
        f"{described(row)}.",
    )
    new = next(iter(drawn.new), {})
    for column in COLUMNS:
        expect(
            new.get(column) == row[column],
            f"In the table {column} is {new.get(column)!r}, but in the returned row it is {row[column]!r}.",
        )


@generate_and_store.edge(5)
def seeds(harness, drawn, seed) -> None:
    """the same seed gives the same picture, another seed a different one"""
    picture = drawn.picture.tobytes()
    expect(
        harness(drawn.prompt, seed=seed, steps=10).picture.tobytes() == picture,
        "The same prompt and seed gave a different picture: pass the pipeline a torch.Generator with manual_seed(seed).",
    )
    expect(
        harness(drawn.prompt, seed=seed + 1, steps=10).picture.tobytes() != picture,
        "Another seed gave the same picture, so the seed is not used.",
    )


@generate_and_store.edge(3)
def number_of_steps(harness, drawn, seed) -> None:
    """the number of steps that was asked for"""
    before = len(harness.calls)
    harness(drawn.prompt, seed=seed, steps=4)
    steps = {call.steps for call in harness.calls[before:]}
    expect(
        steps == {4}, f"With steps=4 the pipeline should take 4 steps, but it took {', '.join(map(str, steps)) or 0}."
    )


@generate_and_store.edge(3)
def size_of_the_picture(drawn) -> None:
    """width and height are the picture's"""
    size, row = drawn.picture.size, drawn.stored
    expect(
        size == (row["width"], row["height"]),
        f"The picture has {size[0]} × {size[1]} pixels, but the row says {row['width']} × {row['height']}.",
    )


@generate_and_store.edge(2)
def source_site(drawn) -> None:
    """its source_site is generated"""
    site = drawn.stored["source_site"]
    expect(site == "generated", f'The row\'s source_site should be "generated", but it is {site!r}.')


@generate_and_store.edge(4)
def png_in_the_folder(drawn) -> None:
    """a PNG file in the folder, which is created if necessary"""
    expect(
        drawn.file.suffix == ".png" and drawn.content.startswith(b"\x89PNG"),
        f"The picture should be saved as a PNG file, but {drawn.file.name} is not one.",
    )
    folder = Path("some/pictures")
    expect(
        folder.is_dir() and drawn.file.parent.samefile(folder),
        f"The picture should be saved in the folder that was passed in, but it is in {drawn.file.parent}.",
    )


@generate_and_store.edge(6)
def new_id_each_time(harness, drawn, seed) -> None:
    """a new id and a new file each time, even for the same prompt and seed"""
    first, again = drawn.stored, harness(drawn.prompt, seed=seed, steps=10)
    expect(
        bool(again.new) and again.stored["url"] != first["url"],
        "Two rows have the same id or the same file: the second picture would replace the first. Give each row its own id, "
        "for example uuid.uuid4().hex.",
    )


@generate_and_store.edge(3)
def file_url(drawn) -> None:
    """the url is a file URL, file://…"""
    url = str(drawn.stored["url"])
    try:
        with urlopen(url) as file:
            exists = bool(file.read(1))
    except (OSError, ValueError):
        exists = False
    expect(
        exists and url.startswith("file:"),
        f"The row's url should be the file's URL, file://…, but it is {url[:80]!r}: use path.resolve().as_uri().",
    )
