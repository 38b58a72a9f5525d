"""The judge of notebook 07's hand-in: what `generated_images/all_metadata.json` and its pictures are worth.

Each criterion has points of its own, so a fault of the prompts leaves the pictures theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks import CheckFailed
from helpers.pictures import open_untrusted
from helpers.prompts import distinct, on_subject

if TYPE_CHECKING:
    from PIL import Image

    from helpers.submission import Provenance, Record

__all__ = ["Criterion", "criteria", "false_provenance", "points_of_hand_in"]


class Criterion(NamedTuple):
    """One thing that a submission is judged by: its points, and what is wrong ("" where nothing is)."""

    name: str
    points: int
    fault: str


def points_of_hand_in(*, points: int, seed: int, folder: str | Path = ".") -> float:
    """The points of a submission: those of `criteria`, and one where a picture drawn again comes out the same."""
    judged = criteria(Path(folder))
    fault = false_provenance(Path(folder), seed)
    for text in [*(f"{each.name}: {each.fault}" for each in judged if each.fault), fault]:
        if text:
            print(text)
    won = sum(each.points for each in judged if not each.fault) + (not fault)
    most = sum(each.points for each in judged) + 1
    return points * won / most


def criteria(folder: Path) -> list[Criterion]:
    """What the records in `folder`/generated_images/all_metadata.json are worth. Raises `CheckFailed` for no file."""
    entries = _records(folder)
    shape = _shape(folder, entries)
    judged = [Criterion("records", 2, shape)]
    for name, points, judge in (
        ("descriptions", 2, _descriptions),
        ("prompts", 3, _prompts),
        ("pictures", 2, _pictures),
        ("pictures and prompts", 2, _fit),
    ):
        # Nobody can say whether things fit where some of them are missing.
        judged.append(Criterion(name, points, judge(folder, entries) if not shape else "the records come first"))
    return judged


def _records(folder: Path) -> list[Record]:
    from helpers.errors import PlainError
    from helpers.submission import METADATA, read_metadata

    try:
        return read_metadata(folder / "generated_images" / METADATA)
    except PlainError as error:
        raise CheckFailed(str(error)) from None


def _shape(folder: Path, entries: Sequence[Record]) -> str:
    from helpers.originals import SCENES

    if len(entries) != len(SCENES):
        return f"there should be {len(SCENES)} records, one for each original, but there are {len(entries)}."
    for i, record in enumerate(entries):
        for name, items in (("prompts", record.prompts), ("image_paths", record.image_paths)):
            if len(items) != 4:
                return f"record number {i} should have 4 {name}, but it has {len(items)}."
        if not record.original_description.strip():
            return f"record number {i} has no description."
        for path in [*record.image_paths, record.source_image or ""]:
            if not _inside(folder, path):
                return f"record number {i} names {path!r}, which is no file in this notebook's folder."
        if any(record.image_paths == other.image_paths for other in entries[:i]):
            return f"record number {i} names the pictures of another record."
    names = sorted(Path(record.source_image).name for record in entries)
    if names != sorted(SCENES):
        return (
            f"each original should have one record, but source_image names {', '.join(names)}. "
            "Hand send_metadata(results, sources=originals)."
        )
    return ""


def _inside(folder: Path, path: str) -> bool:
    file = (folder / path).resolve()
    return file.is_file() and file.is_relative_to(folder.resolve())


def _descriptions(folder: Path, entries: Sequence[Record]) -> str:
    """Each description should fit its own original better than the other three."""
    from helpers import clip
    from helpers.originals import SCENES
    from helpers.picturebook import draw

    names = [Path(record.source_image).name for record in entries]
    table = clip.similarity(
        [record.original_description for record in entries], [draw(SCENES[name], size=128) for name in names]
    )
    for i, (record, row) in enumerate(zip(entries, table, strict=True)):
        if row.argmax() != i:
            return (
                f"the description of {names[i]}, {record.original_description!r}, fits {names[row.argmax()]} better. "
                "Have they been mixed up?"
            )
    return ""


def _prompts(folder: Path, entries: Sequence[Record]) -> str:
    for record in entries:
        kept = distinct(record.prompts)
        if len(kept) < len(record.prompts):
            again = next(prompt for prompt in record.prompts if prompt not in kept or record.prompts.count(prompt) > 1)
            return f"{again!r} says nothing that another prompt of its record does not say."
        for prompt in record.prompts:
            if not on_subject(prompt, record.original_description):
                return f"{prompt!r} is not about the subject of {record.original_description!r}."
    return ""


def _pictures(folder: Path, entries: Sequence[Record]) -> str:
    from helpers.submission import pixels_sha256

    seen: dict[str, str] = {}
    for path in _all_paths(entries):
        try:
            image = _open(folder / path)
        except OSError:
            return f"{path} can't be opened as a picture."
        if image.getextrema() == tuple((low, low) for low, _ in image.getextrema()):
            return f"{path} is of one single colour."
        first = seen.setdefault(pixels_sha256(image), path)
        if first != path:
            return f"{path} is the same picture as {first}."
    paths = _all_paths(entries)
    return (
        f"{next(p for p in paths if paths.count(p) > 1)} is named more than once."
        if len(set(paths)) < len(paths)
        else ""
    )


def _fit(folder: Path, entries: Sequence[Record]) -> str:
    """A record's pictures should on average be nearer to their own prompts than to the prompts of other records."""
    from helpers import clip

    try:
        images = [_open(folder / path) for path in _all_paths(entries)]
    except OSError:
        return "a picture can't be opened."
    table = clip.similarity([prompt for record in entries for prompt in record.prompts], images)
    for i, record in enumerate(entries):
        mine = range(4 * i, 4 * i + 4)
        own = sum(float(table[k, k]) for k in mine) / 4
        others = max(
            sum(float(table[4 * j + k, 4 * i + k]) for k in range(4)) / 4 for j in range(len(entries)) if j != i
        )
        if own <= others:
            return (
                f"the pictures of {Path(record.source_image).name} fit the prompts of another record better than their own "
                f"(CLIP similarity {others:.2f} against {own:.2f})."
            )
    return ""


def false_provenance(folder: Path, seed: int) -> str:
    """What is wrong with the provenance of the pictures; one picture, chosen by the seed, is drawn again."""
    from helpers.redraw import alike, redraw
    from helpers.submission import pixels_sha256, provenance_of

    entries = _records(folder)
    named = [
        (path, prompt) for record in entries for path, prompt in zip(record.image_paths, record.prompts, strict=False)
    ]
    if not named:
        return "provenance: there is no picture."
    said: dict[str, Provenance] = {}
    for path, prompt in named:
        try:
            found, image = provenance_of(folder / path), _open(folder / path)
        except OSError:
            return f"provenance: {path} can't be opened."
        if found is None:
            return f"provenance: {path} has none. Save pictures with save_with_provenance."
        if found.prompt != prompt or found.sha256 != pixels_sha256(image):
            return f"provenance: that of {path} belongs to another prompt or another picture."
        said[path] = found
    path = Random(seed).choice(sorted(said))
    if not alike(redraw([said[path]])[0], _open(folder / path)):
        return f"provenance: {path} does not come out again from the prompt and seed that it names."
    return ""


def _all_paths(entries: Sequence[Record]) -> list[str]:
    return [path for record in entries for path in record.image_paths]


def _open(path: Path) -> Image.Image:
    return open_untrusted(path.read_bytes())
