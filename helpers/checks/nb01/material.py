"""Models for the checks: a tiny U-Net, and copies of the real pipeline that may be trained."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from helpers.models import with_scheduler

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

__all__ = ["picture_size", "private_copy", "tiny_unet"]


def tiny_unet() -> UNet2DConditionModel:
    """Make a U-Net with random weights: 4 latent channels of 8×8, and text states of width 8."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


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
