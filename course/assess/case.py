"""A submission with its pictures opened, as the criteria read it, and what a criterion says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

from course.assess.parcel import RECORDS, Parcel
from helpers.pictures import Unreadable, open_untrusted
from helpers.submission import Provenance, Record, provenance_of

__all__ = ["PICTURES", "RECORDS", "Case", "Finding", "Picture"]

#: How many pictures all points are for.
PICTURES = RECORDS * RECORDS

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 4_200_000  # 2048×2048 and a little
MIN_SIDE = 32


@dataclass(frozen=True)
class Finding:
    """What a criterion found: the share of its points that is won, 0 to 1, and a sentence for each fault."""

    share: float
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Picture:
    """A picture that a record names; ``image`` is RGB, or None where ``problem`` says why it can't be had."""

    name: str
    path: str
    image: Image.Image | None = None
    provenance: Provenance | None = None
    problem: str = ""


@dataclass(frozen=True)
class Case:
    """The first four records, the first four prompts and pictures of each; what is beyond them wins nothing.

    Attributes:
        records: all that came.
        pictures: one list for each of the first four records.
        sources: the source picture of each of them, None where the record names none.
    """

    records: list[Record]
    pictures: list[list[Picture]]
    sources: list[Picture | None]

    @classmethod
    def of(cls, parcel: Parcel) -> Case:
        records = parcel.records[:RECORDS]
        return cls(
            parcel.records,
            [
                [
                    _open(parcel, path, f"Record {i}, picture {k}")
                    for k, path in enumerate(record.image_paths[:RECORDS], start=1)
                ]
                for i, record in enumerate(records, start=1)
            ],
            [
                None
                if record.source_image is None
                else _open(parcel, record.source_image, f"Record {i}, source picture")
                for i, record in enumerate(records, start=1)
            ],
        )

    def judged(self) -> Iterator[tuple[str, Record, list[Picture], Picture | None]]:
        """Of each of the first four records: its name for messages, itself, its pictures, its source picture."""
        for i, record in enumerate(self.records[:RECORDS]):
            yield f"Record {i + 1}", record, self.pictures[i], self.sources[i]


def _open(parcel: Parcel, path: str, name: str) -> Picture:
    """The picture at ``path``, or why it can't be had."""
    if path not in parcel.files:
        return Picture(name, path, problem=parcel.problems[path])
    try:
        image = open_untrusted(parcel.files[path], FORMATS, MAX_PIXELS)
    except Unreadable as error:
        return Picture(name, path, problem=str(error))
    if min(image.size) < MIN_SIDE:
        return Picture(name, path, problem=f"it has {image.width}×{image.height} pixels, too few to see anything")
    return Picture(name, path, image, provenance_of(image))
