"""What the checks need: models, what the pipeline draws and encodes, and how two drawings are compared."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored
from helpers.checks.expect import CheckFailed, Mistake, expect_no_mistake, expect_picture
from helpers.likeness import difference
from helpers.models import with_scheduler

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from PIL import Image

__all__ = [
    "ROUNDING",
    "drawn_from_text",
    "expect_drawing",
    "mean_latents",
    "no_pipeline",
    "picture_size",
    "private_copy",
    "tiny_unet",
    "untrained",
]

ROUNDING = 1.0
"""The largest mean difference of two drawings, in grey levels, that counts as rounding."""


def tiny_unet(*, channels: int = 4, side: int = 8, width: int = 8) -> UNet2DConditionModel:
    """Make a U-Net with random weights, for latents (channels, side, side) and text states of this width."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=width,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def untrained(pipe: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """Return the pipeline with a tiny U-Net, whose pictures show nothing but are quick to make and the same each time."""
    import torch

    own = pipe.unet.config
    unet = tiny_unet(channels=own.in_channels, side=own.sample_size, width=own.cross_attention_dim)
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_out" in name:
                weight *= 10  # so that the prompt makes a difference
    other = with_scheduler(pipe, pipe.scheduler)
    other.register_modules(unet=unet.eval())
    return other


def private_copy(pipe: StableDiffusionPipeline) -> StableDiffusionPipeline:
    """Copy a pipeline together with its U-Net, so that training the copy leaves `pipe` unchanged.

    The copy has nothing that a student's fine-tuning left in `pipe`: no adapter and no frozen weights.
    """
    other = with_scheduler(pipe, pipe.scheduler)
    other.register_modules(unet=copy.deepcopy(pipe.unet))
    other.unload_lora_weights()
    other.unet.requires_grad_(True)
    return other


def picture_size(pipe: StableDiffusionPipeline) -> int:
    """Return the side length of the pipeline's pictures, in pixels."""
    return pipe.unet.config.sample_size * pipe.vae_scale_factor


@mirrored
@contextmanager
def no_pipeline(exercise: str) -> Iterator[None]:
    """Make a call of a Stable Diffusion pipeline raise `CheckFailed`: the exercise's loop must be written by hand."""
    import diffusers

    by_hand = CheckFailed(f"{exercise} calls a pipeline. Write the loop yourself, with the pipeline's parts.")
    with ExitStack() as patches:
        for kind in ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"):
            patches.enter_context(patch.object(getattr(diffusers, kind), "__call__", side_effect=by_hand))
        yield


def drawn_from_text(
    pipe: StableDiffusionPipeline, prompt: str, *, steps: int, guidance_scale: float, seed: int
) -> Image.Image:
    """Draw the prompt with the pipeline itself."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return pipe(prompt, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator).images[0]


def mean_latents(pipe: StableDiffusionPipeline, picture: Image.Image) -> torch.Tensor:
    """Encode a picture: the mean of the VAE's latents, (1, channels, height, width), not scaled."""
    import torch

    with torch.no_grad():
        pixels = pipe.image_processor.preprocess(picture).to(pipe.device, pipe.vae.dtype)
        return pipe.vae.encode(pixels).latent_dist.mean


def expect_drawing(
    result: Any, right: Image.Image, what: str, mistakes: Iterable[Mistake] = (), *, alt: str, hint: str = ""
) -> None:
    """Raise `CheckFailed` unless two drawings are the same apart from rounding; a known mistake is named."""
    expect_picture(result, what, size=right.size)
    off = difference(result, right)
    if off <= ROUNDING:
        return
    pictures = {"yours": result, "expected": right, "alt": alt}
    expect_no_mistake(mistakes, lambda other: difference(result, other) <= ROUNDING, **pictures)
    message = f"{what} differs from the expected one by {off:.1f} of 255 grey levels on average. {hint}".rstrip()
    raise CheckFailed(message, **pictures)
