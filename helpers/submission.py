"""What is handed in at the end of the course: four records, and the pictures that they name.

A record tells of one source picture: its description, the prompts that were made from it, and the pictures that
were made from those. All records together are the file ``all_metadata.json``; `pack` puts them and their pictures
into the request that the assessment runner takes (``POST <endpoint>/run_assessment``).

Each picture says in a text chunk of its PNG how it was drawn (`Provenance`), and its record says so too. With the
same model, prompt, seed, steps and guidance the same picture comes out again, so anybody can draw it afresh and
compare::

    pipe(prompt, num_inference_steps=steps, guidance_scale=guidance_scale, generator=torch.Generator().manual_seed(seed))

The seed is the picture's own: each picture gets a generator of its own, on the CPU, so that it comes out the same
alone, in a batch with others, and on a graphics card.

``docs/submission.schema.json`` is the request's JSON Schema, made by ``python -m helpers.submission``.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from helpers.errors import PlainError
from helpers.pictures import open_untrusted

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from PIL import Image

__all__ = [
    "METADATA",
    "Provenance",
    "Record",
    "Submission",
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

#: The PNG text chunk that holds the provenance, as JSON.
CHUNK = "provenance"

#: The libraries whose versions decide what a pipeline draws.
LIBRARIES = ("diffusers", "torch", "transformers")

#: No list of a submission may be longer, though only four times four wins all the points.
MAX_ITEMS = 16
#: Nor may more pictures come.
MAX_IMAGES = 64


def _at_most(keys: int) -> BeforeValidator:
    """Refuses a longer dict unread: pydantic reads all of it first, and tells of each of a million wrong values."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > keys:
            raise ValueError(f"Dictionary should have at most {keys} items, not {len(value)}")
        return value

    return BeforeValidator(check)


Description = Annotated[str, StringConstraints(max_length=8_000)]
Prompt = Annotated[str, StringConstraints(max_length=2_000)]
ImagePath = Annotated[str, StringConstraints(max_length=500)]
Name = Annotated[str, StringConstraints(max_length=200)]


class _Part(BaseModel):
    """Takes no "3" for 3, no NaN and no half of a character; lets fields that it does not know pass unread."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Provenance(_Part):
    """How one picture was drawn: enough to draw it again, and a hash that tells whether it was changed since."""

    prompt: Prompt
    model: Name = Field(description="the checkpoint: its name on the Hugging Face hub, or the mini model's name")
    revision: Name = Field(
        description="the checkpoint's commit on the hub; of a local folder 'sha256:…' of its weights"
    )
    seed: int = Field(ge=0, lt=2**63, description="of this picture's own generator, on the CPU")
    steps: int = Field(ge=1, le=150, description="num_inference_steps")
    guidance_scale: float = Field(ge=0, le=100)
    libraries: Annotated[dict[Name, Name], _at_most(MAX_ITEMS)] = Field(
        {}, max_length=MAX_ITEMS, description="versions of the libraries that drew it"
    )
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the RGB pixels; see helpers.submission.pixels_sha256")


class Record(_Part):
    """One source picture and what was made from it. The i-th picture was drawn from the i-th prompt.

    Paths are relative to the folder that the notebook runs in, with forward slashes. Early submissions have the
    first three fields only.
    """

    original_description: Description
    prompts: list[Prompt] = Field(max_length=MAX_ITEMS)
    image_paths: list[ImagePath] = Field(max_length=MAX_ITEMS)
    source_image: ImagePath | None = Field(None, description="path of the source picture")
    provenance: list[Provenance | None] | None = Field(
        None, max_length=MAX_ITEMS, description="one for each of image_paths; null where it is not known"
    )


class Submission(_Part):
    """The body of ``POST /run_assessment``. The pictures travel in ``zip`` or ``images``, or lie in ``folder``."""

    submission: list[Record] = Field(max_length=MAX_ITEMS)
    student: Name = Field("", description="the name for the certificate")
    course: Name = Field("", description="the course's name for the certificate")
    zip: str | None = Field(None, description="a zip archive in base64, its members named as the records name them")
    images: Annotated[dict[ImagePath, str] | None, _at_most(MAX_IMAGES)] = Field(
        None, max_length=MAX_IMAGES, description="path → the picture's file in base64"
    )
    folder: ImagePath | None = Field(
        None,
        description="a folder of the runner's own computer, inside the one that it was started for; "
        "where a request has neither pictures nor a folder, that folder itself",
    )


Records = TypeAdapter(list[Record])


# -- pictures and how they were drawn


def pixels_sha256(image: Image.Image) -> str:
    """SHA-256, 64 hex digits, of "<width> <height> " in ASCII and the RGB bytes, row by row.

    Of the pixels and not of the file, so that it can stand inside the file, and saving it again changes nothing.
    """
    head = f"{image.width} {image.height} ".encode("ascii")
    return hashlib.sha256(head + image.convert("RGB").tobytes()).hexdigest()


def make_provenance(
    image: Image.Image,
    pipe: StableDiffusionPipeline,
    *,
    prompt: str,
    seed: int,
    steps: int,
    guidance_scale: float,
) -> Provenance:
    """How ``pipe`` drew ``image`` just now: with a generator of the picture's own, ``torch.Generator().manual_seed(seed)``."""
    model, revision = checkpoint_of(pipe)
    return Provenance(
        prompt=prompt,
        model=model,
        revision=revision,
        seed=int(seed),
        steps=int(steps),
        guidance_scale=float(guidance_scale),
        libraries={name: metadata.version(name) for name in LIBRARIES},
        sha256=pixels_sha256(image),
    )


def checkpoint_of(pipe: StableDiffusionPipeline) -> tuple[str, str]:
    """The name and the revision of a pipeline's checkpoint, as `Provenance` has them."""
    return _checkpoint(Path(pipe.config._name_or_path))


@cache
def _checkpoint(folder: Path) -> tuple[str, str]:
    """The name and revision of the model in ``folder``: the hub's where it is a download of the hub's."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/"), folder.name
    digest = hashlib.sha256()
    for weights in sorted(folder.rglob("*.safetensors")):
        digest.update(weights.read_bytes())
    return folder.name, f"sha256:{digest.hexdigest()[:16]}"


def attach(image: Image.Image, provenance: Provenance) -> Image.Image:
    """Make ``image`` carry its provenance, until `save_with_provenance` writes it; returns ``image``.

    It stands in ``image.info``, which ``copy()`` keeps and most other operations on a picture lose.
    """
    image.info[CHUNK] = provenance.model_dump_json()
    return image


def provenance_of(picture: Image.Image | str | Path) -> Provenance | None:
    """The provenance that a picture carries (an open one, or a PNG's path); None when it has none that can be read."""
    try:
        image = open_untrusted(Path(picture).read_bytes()) if isinstance(picture, (str, Path)) else picture
        return Provenance.model_validate_json(image.info.get(CHUNK, ""))
    except (OSError, ValueError):  # an Unreadable is an OSError, a ValidationError a ValueError
        return None


def save_with_provenance(image: Image.Image, path: str | Path, provenance: Provenance | None = None) -> Path:
    """Save ``image`` as a PNG that carries ``provenance`` (by default what `attach` gave it); returns the path.

    Makes missing folders. Raises ``PlainError`` when the path is no .png (a JPEG would change the pixels), or the
    picture is not the one that the provenance tells of.
    """
    from PIL.PngImagePlugin import PngInfo

    path = Path(path)
    if path.suffix.lower() != ".png":
        raise PlainError(
            f"save_with_provenance writes PNG files, but got {path.name!r}: give it a name like cat_1.png."
        )
    provenance = provenance or provenance_of(image)
    chunks = PngInfo()
    if provenance is not None:
        if provenance.sha256 != pixels_sha256(image):
            raise PlainError(
                f"The picture for {path.name} has changed since it was drawn, so its provenance no longer fits. "
                "Save the picture as the model drew it; resize or retouch a copy."
            )
        chunks.add_text(CHUNK, provenance.model_dump_json())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert("RGB").save(path, "PNG", pnginfo=chunks)
    return path


# -- the records and their file


def make_record(
    description: str,
    prompts: Sequence[str],
    image_paths: Sequence[str | Path],
    *,
    source_image: str | Path | None = None,
) -> Record:
    """A record with the provenance that its pictures carry. Raises ``PlainError`` for a value of a wrong type or size."""
    for name, value in (("prompts", prompts), ("image_paths", image_paths)):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):  # a text would give its letters
            raise PlainError(
                f"make_record takes a list of {name}, one for each picture, but got {type(value).__name__}: "
                f"{value!r:.80}. Put it in square brackets, even where there is only one."
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
        raise PlainError(f"This is no record of a submission: {_sentences(error)}") from None
    found = [provenance_of(path) for path in paths]
    return record.model_copy(update={"provenance": found}) if any(found) else record


def _posix(path: Any) -> Any:
    """A path with forward slashes; what is none stays as it is, for pydantic to tell."""
    return Path(path).as_posix() if isinstance(path, (str, Path)) else path


def write_metadata(records: Sequence[Record], folder: str | Path) -> Path:
    """Write the records to ``folder/all_metadata.json`` (made where it is missing); returns that path."""
    path = Path(folder) / METADATA
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([record.model_dump(exclude_none=True) for record in records], indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_metadata(path: str | Path) -> list[Record]:
    """The records of a file that `write_metadata` wrote, or one of the three fields that early submissions have.

    Raises ``PlainError``, with the place of each fault, for a file that is missing or holds something else.
    """
    path = Path(path)
    try:
        return Records.validate_json(path.read_bytes())
    except OSError as error:
        raise PlainError(f"{path} can't be read ({error.strerror}). Run the cell with send_metadata first.") from error
    except ValidationError as error:
        raise PlainError(f"{path} holds no records of a submission: {_sentences(error)}") from None


def pack(records: Sequence[Record], folder: str | Path = ".", *, student: str = "", course: str = "") -> dict[str, Any]:
    """The request for ``POST /run_assessment``: the records, and the pictures that they name in a zip archive.

    Paths in it are relative to ``folder``, the one that the notebook runs in. A picture that is missing stays out
    and is left to the runner to tell. Raises ``PlainError`` for a path that leads out of the folder, or a name
    that is too long.
    """
    root = Path(folder).resolve()
    archive, members = io.BytesIO(), {}

    def name_of(path: str) -> str:
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            raise PlainError(f"{path} is outside of {root}. Save pictures inside it, and name them relative to it.")
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
    with zipfile.ZipFile(archive, "w") as file:  # not compressed: PNG files are already
        for name, path in members.items():
            file.writestr(zipfile.ZipInfo(name), path.read_bytes())  # no dates: the same pictures, the same request
    content = base64.b64encode(archive.getvalue()).decode("ascii")
    try:
        body = Submission(submission=packed, student=student, course=course, zip=content)
    except ValidationError as error:
        raise PlainError(f"This is no submission: {_sentences(error)}") from None
    return body.model_dump(exclude_none=True)


def faults(error: ValidationError) -> list[str]:
    """A sentence for each fault that pydantic found: where it is, and what should stand there."""
    return [
        f"{'.'.join(str(part)[:80] for part in fault['loc']) or 'the whole'}: "
        f"{fault['msg'].removeprefix('Value error, ')}."
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _sentences(error: ValidationError) -> str:
    """The first three faults."""
    found = faults(error)
    return " ".join(found[:3]) + (f" And {len(found) - 3} more." if len(found) > 3 else "")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the request; that of one record is in ``$defs.Record``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Submission.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
