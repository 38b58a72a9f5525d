"""What students hand in at the end of the course: four records, and the pictures that they name.

A record describes one source picture: its description, the prompts that were made from it, and the pictures that were
made from those. All records together are the file `all_metadata.json`; `pack` puts them and their pictures into the
request for the assessment runner (`POST <endpoint>/run_assessment`).

A text chunk in each picture's PNG says how it was drawn (`Provenance`), and so does its record. The same model,
adapter, scheduler, prompt, seed, steps and guidance give the same picture, so anyone can draw it again and compare::

    generator = torch.Generator().manual_seed(seed)
    pipe(prompt, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator)

Each picture has its own seed and its own generator, on the CPU, so that it comes out the same alone, in a batch with
others, and on a GPU.

`docs/submission.schema.json` is the request's JSON Schema, made by `python -m helpers.submission`.
"""

from __future__ import annotations

import base64
import codecs
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from helpers.errors import PlainError
from helpers.provenance import (
    CHUNK,
    MAX_ITEMS,
    AdapterUsed,
    Name,
    Part,
    Prompt,
    Provenance,
    adapter_used,
    at_most,
    attach,
    checkpoint_of,
    make_provenance,
    pixels_sha256,
    provenance_of,
    save_with_provenance,
)

__all__ = [
    "CHUNK",
    "METADATA",
    "AdapterUsed",
    "Provenance",
    "Record",
    "Submission",
    "adapter_used",
    "attach",
    "checkpoint_of",
    "faults",
    "json_schema",
    "make_provenance",
    "make_record",
    "pack",
    "pixels_sha256",
    "provenance_of",
    "read_metadata",
    "save_with_provenance",
    "write_metadata",
]

#: The file that `write_metadata` writes.
METADATA = "all_metadata.json"

#: The most pictures in a request.
MAX_IMAGES = 64

Description = Annotated[str, StringConstraints(max_length=8_000)]
ImagePath = Annotated[str, StringConstraints(max_length=500)]


class Record(Part):
    """One source picture and what was made from it. The i-th picture was drawn from the i-th prompt.

    Paths are relative to the folder that the notebook runs in, with forward slashes. Early submissions have only the
    first three fields.
    """

    original_description: Description
    prompts: list[Prompt] = Field(max_length=MAX_ITEMS)
    image_paths: list[ImagePath] = Field(max_length=MAX_ITEMS)
    source_image: ImagePath | None = Field(None, description="path of the source picture")
    provenance: list[Provenance | None] | None = Field(
        None, max_length=MAX_ITEMS, description="one for each of image_paths; null if it is unknown"
    )


class Submission(Part):
    """The body of `POST /run_assessment`. The pictures are in `zip`, in `images` or in `folder`."""

    submission: list[Record] = Field(max_length=MAX_ITEMS)
    student: Name = Field("", description="the name for the certificate")
    course: Name = Field("", description="the course's name for the certificate")
    zip: str | None = Field(None, description="a zip archive in base64, its members named as the records name them")
    images: Annotated[dict[ImagePath, str] | None, at_most(MAX_IMAGES)] = Field(
        None, max_length=MAX_IMAGES, description="path → the picture's file in base64"
    )
    folder: ImagePath | None = Field(
        None,
        description="a folder on the runner's computer, inside the one that it was started for; that one itself if a "
        "request has neither pictures nor a folder",
    )


Records = TypeAdapter(list[Record])


# -- the records and their file


def make_record(
    description: str,
    prompts: Sequence[str],
    image_paths: Sequence[str | Path],
    *,
    source_image: str | Path | None = None,
) -> Record:
    """Make a record with the provenance that its pictures carry.

    Raises:
        PlainError: a value has the wrong type or size.
    """
    for name, value in (("prompts", prompts), ("image_paths", image_paths)):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):  # a string would be split into letters
            raise PlainError(
                f"make_record expects a list of {name}, one for each picture, but got {type(value).__name__}: "
                f"{value!r:.80}. Put it in square brackets, even if there is only one."
            )
    paths = list(image_paths)
    try:
        record = Record(
            original_description=description,
            prompts=list(prompts),
            image_paths=[_posix(path) for path in paths],
            source_image=_posix(source_image),
        )
    except ValidationError as error:
        raise PlainError(f"This is not a valid record: {_sentences(error)}") from None
    found = [provenance_of(path) for path in paths]
    return record.model_copy(update={"provenance": found}) if any(found) else record


def _posix(path: Any) -> Any:
    """Return a path with forward slashes; anything else is returned unchanged, and pydantic reports it."""
    return Path(path).as_posix() if isinstance(path, (str, Path)) else path


def write_metadata(records: Sequence[Record], folder: str | Path) -> Path:
    """Write the records to `folder/all_metadata.json` (the folder is made if it is missing), and return that path."""
    path = Path(folder) / METADATA
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([record.model_dump(exclude_none=True) for record in records], indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_metadata(path: str | Path) -> list[Record]:
    """Read a file that `write_metadata` wrote, or one with the three fields of early submissions.

    Raises:
        PlainError: the file is missing or not valid; the message says where.
    """
    path = Path(path)
    try:
        return Records.validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise PlainError(f"{path} can't be read ({error.strerror}). Run the cell with send_metadata first.") from error
    except ValidationError as error:
        raise PlainError(f"{path} does not contain valid records: {_sentences(error)}") from None


def pack(records: Sequence[Record], folder: str | Path = ".", *, student: str = "", course: str = "") -> dict[str, Any]:
    """Make the request for `POST /run_assessment`: the records, and a zip archive of the pictures that they name.

    Paths in it are relative to `folder`, the one that the notebook runs in. A missing picture is left out, and the
    runner reports it.

    Raises:
        PlainError: a path leads out of the folder, or a name is too long.
    """
    root = Path(folder).resolve()
    archive, members = io.BytesIO(), {}

    def name_of(path: str) -> str:
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            raise PlainError(f"{path} is outside {root}. Save pictures inside it, and name them relative to it.")
        name = file.relative_to(root).as_posix()
        if file.is_file():
            members[name] = file
        return name

    packed = []
    for record in records:
        changes: dict[str, Any] = {"image_paths": [name_of(path) for path in record.image_paths]}
        if record.source_image is not None:
            changes["source_image"] = name_of(record.source_image)
        packed.append(record.model_copy(update=changes))
    with zipfile.ZipFile(archive, "w") as file:  # not compressed: PNG files already are
        for name, path in members.items():
            file.writestr(zipfile.ZipInfo(name), path.read_bytes())  # no dates: the same pictures give the same request
    content = base64.b64encode(archive.getvalue()).decode("ascii")
    try:
        body = Submission(submission=packed, student=student, course=course, zip=content)
    except ValidationError as error:
        raise PlainError(f"This is not a valid submission: {_sentences(error)}") from None
    return body.model_dump(exclude_none=True)


def faults(error: ValidationError) -> list[str]:
    """Return a sentence for each error that pydantic found: where it is, and what was expected."""
    return [
        f"{'.'.join(str(part)[:80] for part in fault['loc']) or 'the whole'}: "
        f"{fault['msg'].removeprefix('Value error, ')}."
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _sentences(error: ValidationError) -> str:
    """Return the first three errors."""
    found = faults(error)
    return " ".join(found[:3]) + (f" And {len(found) - 3} more." if len(found) > 3 else "")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the request; the one of a record is in `$defs.Record`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Submission.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
