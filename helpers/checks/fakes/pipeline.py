"""Stable Diffusion pipelines that draw nothing but coloured squares, in no time, and record what they were asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PipelineCall", "fake_image", "fake_picture", "fake_pipeline"]


class PipelineCall(NamedTuple):
    """One call of the pipeline: a prompt for each picture, the steps and the guidance, and whether `few_step` made it."""

    prompts: list[str]
    steps: int
    guidance_scale: float
    few_step: bool = False


@contextmanager
def fake_pipeline() -> Iterator[list[PipelineCall]]:
    """While it lasts, Stable Diffusion pipelines draw nothing but `fake_image`s; gives the list of their calls.

    Such a picture depends on its prompt, the noise of its generator, the steps and the guidance, as a picture does.
    """
    from helpers.models import adapter_of, quiet

    with quiet():  # diffusers, imported for the first time, has hints about torchvision
        from diffusers import StableDiffusionPipeline
        from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput

    batches: list[PipelineCall] = []

    def draw(
        self,
        prompt=None,
        height=None,
        width=None,
        num_inference_steps=50,
        *positional,
        guidance_scale=7.5,
        num_images_per_prompt=1,
        generator=None,
        **options,
    ):
        import torch

        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        prompts = [text for text in prompts for _ in range(num_images_per_prompt)]
        if isinstance(generator, list):
            if len(generator) != len(prompts):
                raise ValueError(f"There are {len(generator)} generators for {len(prompts)} pictures.")
            noise = [torch.randn(4, generator=each) for each in generator]
        else:
            noise = torch.randn(len(prompts), 4, generator=generator)
        batches.append(PipelineCall(prompts, num_inference_steps, guidance_scale, adapter_of(self) is not None))
        images = [
            fake_image((text, x, num_inference_steps, guidance_scale)) for text, x in zip(prompts, noise, strict=True)
        ]
        return StableDiffusionPipelineOutput(images=images, nsfw_content_detected=None)

    with patch.object(StableDiffusionPipeline, "__call__", draw):
        yield batches


def fake_image(ingredients: object) -> Image.Image:
    """A picture of 4×4 coloured squares that differs for different ingredients."""
    from PIL import Image

    colours = hashlib.sha512(repr(ingredients).encode()).digest()[:48]
    return Image.frombytes("RGB", (4, 4), colours).resize((32, 32), Image.Resampling.NEAREST)


def fake_picture(prompt: str, seed: int, *, steps: int, guidance_scale: float) -> Image.Image:
    """What `fake_pipeline` draws for a prompt with a generator of this seed."""
    import torch

    return fake_image((prompt, torch.randn(4, generator=torch.Generator().manual_seed(seed)), steps, guidance_scale))
