"""What requests to the web UI's API may contain, as far as it is supported here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from course.serve import loras, samplers
from course.serve.incoming import Incoming, Text, not_served

__all__ = ["Img2Img", "PngInfo", "Txt2Img"]

MAX_SIDE = 1024
MAX_PICTURES = 64
#: JSON parsers keep integers exact up to here.
MAX_SEED = 2**53

Side = Annotated[int, Field(ge=64, le=MAX_SIDE, multiple_of=8)]
Several = Annotated[int, Field(ge=1, le=MAX_PICTURES)]
Prompt = Annotated[Text, Field(max_length=10_000)]

#: Values that request nothing, from clients that fill in every field.
NOTHING = (0, -1, "", [], {})


class Txt2Img(Incoming):
    """The body of `POST /txt2img`. `"20"` is accepted for 20, as by the web UI.

    There are `n_iter` batches of `batch_size` pictures, whose seeds count up from `seed`; -1 stands for a random
    seed. `sampler_index` is the older name of `sampler_name`. Other fields have no effect, because the web UI's
    scripts and extensions add their own; the `info` of the response lists them.
    """

    model_config = ConfigDict(strict=False, extra="allow")

    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    seed: int = Field(-1, ge=-1, le=MAX_SEED)
    sampler_name: str = ""
    sampler_index: str = ""
    scheduler: str = ""
    batch_size: Several = 1
    n_iter: Several = 1
    steps: int | None = Field(None, ge=1, le=samplers.MAX_STEPS)
    cfg_scale: float | None = Field(None, ge=1, le=30)
    width: Side | None = None
    height: Side | None = None
    send_images: bool = True
    override_settings: dict[str, Any] = Field({}, exclude=True)

    @field_validator("sampler_name", "sampler_index")
    @classmethod
    def _known_sampler(cls, name: str) -> str:
        if name:
            samplers.find(name)
        return name

    @field_validator("scheduler")
    @classmethod
    def _known_schedule(cls, name: str) -> str:
        return samplers.find_schedule(name) if name else name

    @field_validator("prompt")
    @classmethod
    def _readable_loras(cls, prompt: str) -> str:
        loras.read(prompt)
        return prompt

    @property
    def without_effect(self) -> list[str]:
        """The unsupported fields that request something."""
        return [name for name, value in self.model_extra.items() if value not in NOTHING]

    def parameters(self) -> dict[str, Any]:
        """Return the supported fields as they were sent, without the pictures."""
        return self.model_dump(exclude=set(self.model_extra))


class Img2Img(Txt2Img):
    """The body of `POST /img2img`; `denoising_strength` is how much of the picture is redrawn, 1 for all of it."""

    init_images: list[str] = Field(min_length=1, max_length=1, exclude=True, description="a picture in base64")
    denoising_strength: float = Field(0.75, gt=0, le=1)
    resize_mode: int = Field(0, ge=0, le=2, description="0 stretches the picture, 1 crops it, 2 adds margins")
    mask: not_served("leave it out, the whole picture is redrawn") = Field(None, exclude=True)


class PngInfo(Incoming):
    """The body of `POST /png-info`."""

    image: str = Field(description="a picture in base64")
