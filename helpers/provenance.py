"""How a picture was drawn: its provenance, stored in a text chunk of its PNG and in the submission.

`helpers.submission` re-exports all of these names.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from helpers.errors import PlainError
from helpers.models import ADAPTER_WEIGHTS, adapter_of
from helpers.pictures import open_untrusted

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from PIL import Image

__all__ = [
    "AdapterUsed",
    "Provenance",
    "adapter_used",
    "attach",
    "checkpoint_of",
    "make_provenance",
    "pixels_sha256",
    "provenance_of",
    "save_with_provenance",
]

#: The PNG text chunk that holds the provenance, as JSON.
CHUNK = "provenance"

#: The libraries whose versions decide what a pipeline draws.
LIBRARIES = ("diffusers", "torch", "transformers")

#: The longest list allowed in a submission; four items in each are enough for full marks.
MAX_ITEMS = 16


def at_most(keys: int) -> BeforeValidator:
    """Reject a longer dict before pydantic reads all of it and reports each of a million invalid values."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > keys:
            raise ValueError(f"Dictionary should have at most {keys} items, not {len(value)}")
        return value

    return BeforeValidator(check)


Prompt = Annotated[str, StringConstraints(max_length=2_000)]
Name = Annotated[str, StringConstraints(max_length=200)]


class Part(BaseModel):
    """Rejects "3" for 3, NaN and lone surrogates; ignores unknown fields."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class AdapterUsed(Part):
    """The adapter that was in the U-Net. See `helpers.models.few_step`."""

    name: Name = Field(description="its name on the Hugging Face hub, or the mini adapter's name")
    revision: Name = Field(description="as the checkpoint's")
    weight: float = Field(1.0, ge=-10, le=10, description="how much of it was added: 1 is all of it")


class Provenance(Part):
    """How one picture was drawn: enough to draw it again, and a hash that shows whether it has been changed since."""

    prompt: Prompt
    model: Name = Field(description="the checkpoint: its name on the Hugging Face hub, or the mini model's name")
    revision: Name = Field(
        description="the checkpoint's commit on the hub; of a local folder 'sha256:…' of its weights"
    )
    seed: int = Field(ge=0, lt=2**63, description="of this picture's own generator, on the CPU")
    steps: int = Field(ge=1, le=150, description="num_inference_steps")
    guidance_scale: float = Field(ge=0, le=100)
    adapter: AdapterUsed | None = Field(None, description="null where there was none")
    scheduler: Name | None = Field(
        None, description="its class in diffusers; null in early submissions, which drew with the model's own"
    )
    libraries: Annotated[dict[Name, Name], at_most(MAX_ITEMS)] = Field(
        {}, max_length=MAX_ITEMS, description="versions of the libraries that drew it"
    )
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the RGB pixels; see helpers.submission.pixels_sha256")


# -- pictures and how they were drawn


def pixels_sha256(image: Image.Image) -> str:
    """Return the SHA-256, 64 hex digits, of "<width> <height> " in ASCII and the RGB bytes, row by row.

    It hashes the pixels, not the file, so it can be stored in the file, and saving again does not change it.
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
    """Describe how `pipe` has just drawn `image`, with the generator `torch.Generator().manual_seed(seed)`."""
    model, revision = checkpoint_of(pipe)
    scheduler = getattr(pipe, "scheduler", None)
    return Provenance(
        prompt=prompt,
        model=model,
        revision=revision,
        seed=int(seed),
        steps=int(steps),
        guidance_scale=float(guidance_scale),
        adapter=adapter_used(pipe),
        scheduler=scheduler and type(scheduler).__name__,
        libraries={name: metadata.version(name) for name in LIBRARIES},
        sha256=pixels_sha256(image),
    )


def checkpoint_of(pipe: StableDiffusionPipeline) -> tuple[str, str]:
    """Return the name and revision of a pipeline's checkpoint, as `Provenance` has them."""
    return _checkpoint(Path(pipe.config._name_or_path))


def adapter_used(pipe: StableDiffusionPipeline) -> AdapterUsed | None:
    """Return the adapter in a pipeline, as `Provenance` has it; None if there is none."""
    adapter = adapter_of(pipe)
    if adapter is None:
        return None
    name, revision = _checkpoint(adapter.folder)
    return AdapterUsed(name=name, revision=revision, weight=adapter.weight)


@cache
def _checkpoint(folder: Path) -> tuple[str, str]:
    """Return the name and revision of the weights in `folder`: the hub's, if it was downloaded from there.

    The weights of an adapter inside a model's folder don't count as the model's.
    """
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/"), folder.name
    digest = hashlib.sha256()
    for weights in sorted(folder.rglob("*.safetensors")):
        if weights.parent == folder or weights.name != ADAPTER_WEIGHTS:
            digest.update(weights.read_bytes())
    return folder.name, f"sha256:{digest.hexdigest()[:16]}"


def attach(image: Image.Image, provenance: Provenance) -> Image.Image:
    """Attach its provenance to `image`, for `save_with_provenance` to write; return `image`.

    It is kept in `image.info`, which `copy()` preserves and most other operations on a picture lose.
    """
    image.info[CHUNK] = provenance.model_dump_json()
    return image


def provenance_of(picture: Image.Image | str | Path) -> Provenance | None:
    """Return the provenance that a picture (an open one, or a PNG's path) carries; None if it has no readable one."""
    try:
        image = open_untrusted(Path(picture).read_bytes()) if isinstance(picture, (str, Path)) else picture
        return Provenance.model_validate_json(image.info.get(CHUNK, ""))
    except (OSError, ValueError):  # an Unreadable is an OSError, a ValidationError a ValueError
        return None


def save_with_provenance(image: Image.Image, path: str | Path, provenance: Provenance | None = None) -> Path:
    """Save `image` as a PNG that carries `provenance` (by default the one from `attach`), and return the path.

    Missing folders are made.

    Raises:
        PlainError: the path is not a .png (a JPEG would change the pixels), or the provenance is another picture's.
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
