"""Fake pictures with provenance, files of them, and a record of which picture was drawn from which prompt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored
from helpers.checks.fakes.pipeline import PipelineCall, fake_image, fake_pipeline
from helpers.checks.fakes.rewriter import rewriting_script

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Drawing", "drawn_result", "fake_drawing", "recorded_drawings", "saved_picture"]


class Drawing(NamedTuple):
    """A picture that the fake pipeline drew, and its prompt."""

    prompt: str
    image: Image.Image


@mirrored
@contextmanager
def recorded_drawings() -> Iterator[tuple[list[PipelineCall], list[Drawing]]]:
    """Use a `fake_pipeline` that also keeps its pictures; yield its calls and the drawings."""
    with fake_pipeline() as calls:
        from diffusers import StableDiffusionPipeline

        drawings: list[Drawing] = []
        draw = StableDiffusionPipeline.__call__

        def draw_and_keep(self, *inputs, **options):
            output = draw(self, *inputs, **options)
            drawings.extend(Drawing(*each) for each in zip(calls[-1].prompts, output.images, strict=True))
            return output

        with patch.object(StableDiffusionPipeline, "__call__", draw_and_keep):
            yield calls, drawings


def fake_drawing(rng: Random, prompt: str = "a cat", *, with_provenance: bool = True) -> Image.Image:
    """Make a random picture, with provenance as `generate_images` attaches it."""
    from helpers.submission import Provenance, attach, pixels_sha256

    image = fake_image(rng.random())
    if with_provenance:
        how = {"model": "fake", "revision": "1", "steps": 25, "guidance_scale": 4.0}
        attach(image, Provenance(prompt=prompt, seed=rng.randrange(10**6), sha256=pixels_sha256(image), **how))
    return image


def saved_picture(image: Image.Image, path: str | Path) -> str:
    """Save a picture, create its folder if necessary, and return the path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return str(path)


def drawn_result(rng: Random, name: str, *, with_provenance: bool = True) -> tuple[list[str], list[str], str]:
    """Return what generate_images_from_image would return for a picture of this name, with its four files saved."""
    from helpers.submission import save_with_provenance

    script = rewriting_script(rng, [4])
    paths = [f"generated_images/{name}_{i}.png" for i in range(1, 5)]
    for path, prompt in zip(paths, script.good, strict=True):
        save_with_provenance(fake_drawing(rng, prompt, with_provenance=with_provenance), path)
    return paths, script.good, script.query
