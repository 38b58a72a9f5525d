"""The VAE: pictures of 128 × 128 × 3 to latents of 16 × 16 × 8 and back.

Most steps see 64 × 64 cut-outs, which cost a quarter and teach the same local lesson; the last third sees whole
pictures, so that the group norms meet the statistics they will meet later.

The loss is the mean squared plus the mean absolute error of the pixels (the first brings the large areas of colour
quickly, the second makes edges sharp) plus a small KL term, which keeps the latents near unit scale and
smooth (Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.1).
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from course.data import Pictures, to_pixels
from course.train.loop import Recipe

KL_WEIGHT = 1e-4
LATENT_CHANNELS = 8
CROP = 64


def new_vae() -> AutoencoderKL:
    """The untrained VAE, begun as a codec that keeps the mean colour of each 8 × 8 block (see `_begin_as_codec`)."""
    vae = AutoencoderKL(
        sample_size=128,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(12, 24, 48, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=1,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )
    _begin_as_codec(vae)
    return vae


@torch.no_grad()
def _begin_as_codec(vae: AutoencoderKL) -> None:
    """Sets the start so that colours pass through from end to end.

    With the library's start such a small, deep VAE finds one colour axis after the other, each after hundreds of
    steps. Here channels 0 … 2 carry red, green and blue from the first step on and channels 3 … 5 their negatives
    (silu(x) − silu(−x) = x takes them unharmed through the last activation); the residual branches start at zero and
    all other channels with random filters, as usual.
    """
    for name, conv in vae.named_modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        conv.bias.zero_()
        if name.endswith("conv2"):
            conv.weight.zero_()
        elif not name.endswith("conv1"):
            passed = min(conv.weight.shape[:2])
            conv.weight[:passed].zero_()
            identity = torch.eye(passed)[:, :, None, None]
            if "downsamplers" in name:
                conv.weight[:passed, :passed] = identity / 9  # the mean of 3 × 3 pixels
            else:
                middle = conv.kernel_size[0] // 2
                conv.weight[:passed, :passed, middle, middle] = identity[..., 0, 0]
    for entry in (vae.encoder.conv_in, vae.decoder.conv_in):
        entry.weight[:6].zero_()
        for i in range(3):
            entry.weight[i, i, 1, 1], entry.weight[3 + i, i, 1, 1] = 1.0, -1.0
    for way_out in (vae.encoder.conv_out, vae.decoder.conv_out):
        way_out.weight[:3].zero_()
        for i in range(3):
            way_out.weight[i, i, 1, 1], way_out.weight[i, 3 + i, 1, 1] = 1.0, -1.0
    log_variance = slice(LATENT_CHANNELS, None)
    vae.encoder.conv_out.weight[log_variance].zero_()
    vae.encoder.conv_out.weight[3:LATENT_CHANNELS].normal_(std=0.03)
    vae.quant_conv.bias[log_variance] = -4.0


@torch.no_grad()
def standardise(vae: AutoencoderKL, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Folds (latents - mean) / std, a number a channel, into the convolutions on both sides of the latents.

    A diffusion model adds noise of strength 1 to every channel; a channel much weaker than that would drown early.
    What the VAE decodes stays the same.
    """
    into, out_of, n = vae.quant_conv, vae.post_quant_conv, len(mean)
    into.weight[:n] /= std.view(-1, 1, 1, 1)
    into.bias[:n] = (into.bias[:n] - mean) / std
    into.bias[n:] -= 2 * std.log()
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= std.view(1, -1, 1, 1)


class VAERecipe(Recipe):
    name = "vae"
    total_steps = 2200
    batch_size = 8
    learning_rate = 1.5e-3
    weight_decay = 0.0
    warmup_steps = 50

    def __init__(self, data: Pictures):
        torch.manual_seed(self.seed)
        self.data = data
        self.modules = new_vae()

    def _batch(self, step: int, rng: np.random.Generator) -> np.ndarray:
        whole = step >= self.total_steps * 2 // 3
        rows = rng.integers(len(self.data), size=self.batch_size // 4 if whole else self.batch_size)
        pictures = [self.data.pixels[row] for row in rows]
        if not whole:
            corners = rng.integers(self.data.pixels.shape[1] - CROP, size=(len(rows), 2))
            pictures = [p[y : y + CROP, x : x + CROP] for p, (y, x) in zip(pictures, corners, strict=True)]
        return np.stack(pictures)

    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        pixels = to_pixels(self._batch(step, rng))
        posterior = self.modules.encode(pixels).latent_dist
        decoded = self.modules.decode(posterior.sample()).sample
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        error = decoded - pixels
        return error.square().mean() + error.abs().mean() + KL_WEIGHT * kl

    @torch.no_grad()
    def export(self, modules: AutoencoderKL, folder: Path) -> None:
        """Saves the VAE with latents of mean 0 and standard deviation 1 in each channel."""
        vae = copy.deepcopy(modules)
        rows = np.random.default_rng(self.seed).integers(len(self.data), size=256)
        parts = np.array_split(rows, 16)
        means = [
            vae.encode(to_pixels(np.stack([self.data.pixels[r] for r in part]))).latent_dist.mean for part in parts
        ]
        standardise(vae, torch.cat(means).mean((0, 2, 3)), torch.cat(means).std((0, 2, 3)))
        vae.half().save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules.load_state_dict(AutoencoderKL.from_pretrained(folder).state_dict())
