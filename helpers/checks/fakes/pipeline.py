"""Fake Stable Diffusion pipelines, which draw coloured squares in no time and record their calls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PipelineCall", "fake_image", "fake_picture", "fake_pipeline"]


SIDE = 32
"""The width and height of a fake picture, in pixels."""


class PipelineCall(NamedTuple):
    """A call of the pipeline: a prompt for each picture, the steps and the guidance, and whether it has `few_step`'s adapter."""

    prompts: list[str]
    steps: int
    guidance_scale: float
    few_step: bool = False


@mirrored
@contextmanager
def fake_pipeline(*, side: int = SIDE) -> Iterator[list[PipelineCall]]:
    """Make Stable Diffusion pipelines draw a `fake_image` of this size for each picture; yield the list of their calls.

    Like a real picture, it depends on its prompt, the noise of its generator, the steps and the guidance.
    """
    from helpers.models import adapter_of, quiet

    with quiet():  # the first import of diffusers prints hints about torchvision
        from diffusers import StableDiffusionPipeline
        from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput

    calls: list[PipelineCall] = []

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
        calls.append(PipelineCall(prompts, num_inference_steps, guidance_scale, adapter_of(self) is not None))
        images = [
            fake_image((text, x, num_inference_steps, guidance_scale), side=side)
            for text, x in zip(prompts, noise, strict=True)
        ]
        return StableDiffusionPipelineOutput(images=images, nsfw_content_detected=None)

    with patch.object(StableDiffusionPipeline, "__call__", draw):
        yield calls


def fake_image(ingredients: object, *, side: int = SIDE) -> Image.Image:
    """Make a picture of 4×4 coloured squares that differs for different ingredients."""
    from PIL import Image

    colours = hashlib.sha512(repr(ingredients).encode()).digest()[:48]
    return Image.frombytes("RGB", (4, 4), colours).resize((side, side), Image.Resampling.NEAREST)


def fake_picture(prompt: str, seed: int, *, steps: int, guidance_scale: float) -> Image.Image:
    """Return what `fake_pipeline` draws for a prompt with a generator of this seed."""
    import torch

    return fake_image((prompt, torch.randn(4, generator=torch.Generator().manual_seed(seed)), steps, guidance_scale))
