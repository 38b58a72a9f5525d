"""A submission with its pictures opened, as the criteria expect it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from helpers.assessment.findings import PICTURES, RECORDS, Spot
from helpers.pictures import Unreadable, open_untrusted

if TYPE_CHECKING:
    from PIL import Image

    from helpers.submission import Provenance, Record

__all__ = ["MAX_FILE", "MISSING", "OUTSIDE", "TOO_LARGE", "JudgedRecord", "OpenedSubmission", "Picture"]

#: The largest file of a picture, in bytes.
MAX_FILE = 5_000_000

MISSING = "it is missing"
OUTSIDE = "its path leads out of the submission's folder"
TOO_LARGE = f"its file is larger than {MAX_FILE / 1e6:g} MB"

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 4_200_000  # 2048×2048 and a little
MIN_SIDE = 32


@dataclass(frozen=True)
class Picture:
    """A picture that a record names.

    Attributes:
        spot: where the record names it.
        path: its path in the record.
        image: RGB; None if it can't be opened.
        provenance: how it was drawn, according to its PNG.
        problem: why it can't be opened.
    """

    spot: Spot
    path: str
    image: Image.Image | None = None
    provenance: Provenance | None = None
    problem: str = ""


class JudgedRecord(NamedTuple):
    """A record with its number (counted from 1), its first four pictures, and its source picture if it has one."""

    number: int
    record: Record
    pictures: list[Picture]
    source: Picture | None

    @property
    def prompts(self) -> list[str]:
        """The first four prompts."""
        return self.record.prompts[:RECORDS]


@dataclass(frozen=True)
class OpenedSubmission:
    """The first four records, with the first four prompts and pictures of each; any more earn nothing.

    Attributes:
        records: all records of the submission.
        pictures: one list for each of the first four records.
        sources: the source picture of each of them; None if the record names none.
    """

    records: list[Record]
    pictures: list[list[Picture]]
    sources: list[Picture | None]

    @classmethod
    def from_files(
        cls, records: Sequence[Record], files: Mapping[str, bytes], problems: Mapping[str, str]
    ) -> OpenedSubmission:
        """Open what came over the network.

        Args:
            records: the records.
            files: the bytes of the pictures by path.
            problems: why there are none for other paths.
        """
        first = records[:RECORDS]

        def opened(path: str, spot: Spot) -> Picture:
            if path not in files:
                return Picture(spot, path, problem=problems.get(path, MISSING))
            return _open(files[path], Picture(spot, path))

        return cls(
            list(records),
            [
                [opened(path, Spot(i, "picture", k)) for k, path in enumerate(record.image_paths[:RECORDS], start=1)]
                for i, record in enumerate(first, start=1)
            ],
            [
                None if record.source_image is None else opened(record.source_image, Spot(i, "source picture"))
                for i, record in enumerate(first, start=1)
            ],
        )

    @classmethod
    def from_folder(cls, folder: str | Path) -> OpenedSubmission:
        """Open what a notebook has left in its folder: generated_images/all_metadata.json and the pictures in it.

        Raises:
            PlainError: that file is missing or is something else.
        """
        from helpers.submission import METADATA, read_metadata

        root = Path(folder).resolve()
        records = read_metadata(root / "generated_images" / METADATA)
        files, problems = {}, {}
        for record in records[:RECORDS]:
            for path in [*record.image_paths[:RECORDS], record.source_image]:
                try:
                    if path is not None:
                        files[path] = _read(root, path)
                except Unreadable as error:
                    problems[path] = str(error)
        return cls.from_files(records, files, problems)

    @property
    def handed_in(self) -> Fraction:
        """The share of the sixteen pictures that the records name."""
        return Fraction(sum(map(len, self.pictures)), PICTURES)

    def judged(self) -> Iterator[JudgedRecord]:
        """Yield the first four records."""
        for i, record in enumerate(self.records[:RECORDS]):
            yield JudgedRecord(i + 1, record, self.pictures[i], self.sources[i])


def _read(root: Path, path: str) -> bytes:
    """Read a file inside a folder. Raises `Unreadable`."""
    try:
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            raise Unreadable(OUTSIDE)
        if not file.is_file():
            raise Unreadable(MISSING)
        if file.stat().st_size > MAX_FILE:
            raise Unreadable(TOO_LARGE)
        return file.read_bytes()
    except ValueError:  # a path with a null character
        raise Unreadable(MISSING) from None
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(f"it can't be read ({error.strerror})") from error


def _open(content: bytes, picture: Picture) -> Picture:
    """Return the picture with its pixels and its provenance, or with what is wrong with its bytes."""
    from helpers.submission import provenance_of

    try:
        image = open_untrusted(content, FORMATS, MAX_PIXELS)
    except Unreadable as error:
        return replace(picture, problem=str(error))
    if min(image.size) < MIN_SIDE:
        return replace(picture, problem=f"it has {image.width}×{image.height} pixels, too few to show anything")
    return replace(picture, image=image, provenance=provenance_of(image))
