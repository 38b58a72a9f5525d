"""The VAE's decoder once more, alone, on whole pictures: sharp edges, also from latents that are not quite right.

The encoder stays as it is, and with it the latents that the U-Net learns. Stable Diffusion's own decoders were trained
on in this way as well (the model card of `sd-vae-ft-mse` tells of it). What a U-Net draws is never just what an encoder
would have given, so this decoder meets latents with a little noise on them.

What it hardly learns is the hatching of pencil sketches, one stroke every eight pixels: within an even tint all
latents are alike, and convolutions make the same of each pixel of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from course.data import Pictures, to_pixels
from course.train.loop import Recipe
from course.train.unet import all_latents

NOISE = 0.15
"""The largest standard deviation of the noise on the latents, whose own is 1."""


class DecoderRecipe(Recipe):
    name = "decoder"
    total_steps = 700
    batch_size = 8
    learning_rate = 1e-3
    weight_decay = 0.0
    warmup_steps = 50

    def __init__(self, data: Pictures, vae: Path, work: Path):
        torch.manual_seed(self.seed)
        self.data = data
        self.vae = AutoencoderKL.from_pretrained(vae).float().eval()
        self.latents = all_latents(self.vae, data, work)
        self.modules = nn.ModuleDict({"post_quant_conv": self.vae.post_quant_conv, "decoder": self.vae.decoder})

    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(len(self.data), size=self.batch_size)
        latents = self.latents[torch.from_numpy(rows)].float() / self.vae.config.scaling_factor
        latents = latents + NOISE * torch.rand(len(rows), 1, 1, 1) * torch.randn_like(latents)
        decoded = self.modules["decoder"](self.modules["post_quant_conv"](latents))
        error = decoded - to_pixels(np.stack([self.data.pixels[row] for row in rows]))
        return error.square().mean() + error.abs().mean()

    def export(self, modules: nn.Module, folder: Path) -> None:
        """Puts the decoder into the VAE that `folder` lies in, and leaves its encoder as it is."""
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder.parent))  # knows no folder's name, for others
        vae.load_state_dict(AutoencoderKL.from_pretrained(folder.parent).state_dict())
        vae.post_quant_conv.load_state_dict(modules["post_quant_conv"].state_dict())
        vae.decoder.load_state_dict(modules["decoder"].state_dict())
        vae.half().save_pretrained(folder.parent)

    def warm_start(self, folder: Path) -> None:
        """The weights are those of the VAE that it has loaded already."""
