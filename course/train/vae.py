"""The VAE: pictures of 128 × 128 × 3 to latents of 16 × 16 × 8 and back.

The loss is the mean absolute plus the mean squared error of the pixels, the absolute error of the differences between
neighbouring pixels (which makes edges as sharp as in the drawing), and a small KL term, which keeps the latents near
unit scale (Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.1).

Two things make the latents suitable for *generation*, not only for reconstruction. The decoder is trained on noisy
latents, because a U-Net's output never exactly matches an encoder's. And sometimes it must decode rotated, mirrored or
shrunk latents into an equally transformed picture: EQ-VAE (Kouzelis et al. 2025, arXiv:2502.09509), which makes latents
smooth and easy to learn.

The first half of the training sees 64 × 64 crops, which cost a quarter and teach the same local structure; the rest
sees whole pictures, so that the group norms see the statistics of inference.

A trained VAE can be trained further without spoiling the U-Net that draws its latents: then only the decoder learns.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional as F

from course.data import Batch, Batches, Drawing, drawn, stacked, to_pixels
from course.train.loop import Plan, Recipe
from helpers import newthing
from helpers.picturebook import random_scene
from helpers.picturebook.scene import Rng

KL_WEIGHT = 1e-4
EDGE_WEIGHT = 1.0
LATENT_CHANNELS = 8
CROP = 64
WHOLE_FROM = 0.5
"""The fraction of the training after which pictures are whole."""
NOVEL_SHARE = 0.08
"""Fraction of pictures of novel things: only the VAE sees them, so that it can represent them."""
NOISE = 0.15
"""The largest standard deviation of the noise on the latents, relative to theirs."""
EQUIVARIANT_SHARE = 0.25
STATISTICS = 512


def new_vae() -> AutoencoderKL:
    """Create the untrained VAE, initialised to keep the mean colour of each 8 × 8 block (see `_init_as_codec`)."""
    vae = AutoencoderKL(
        sample_size=128,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=1,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )
    _init_as_codec(vae)
    return vae


@torch.no_grad()
def _init_as_codec(vae: AutoencoderKL) -> None:
    """Initialise the weights so that colours pass from end to end.

    By default such a small, deep VAE discovers the colour axes one by one, hundreds of steps apart. Here channels 0 … 2
    carry red, green and blue from the first step on and channels 3 … 5 their negatives
    (silu(x) − silu(−x) = x preserves them through the last activation); the residual branches start at zero and
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
    for first in (vae.encoder.conv_in, vae.decoder.conv_in):
        first.weight[:6].zero_()
        for i in range(3):
            first.weight[i, i, 1, 1], first.weight[3 + i, i, 1, 1] = 1.0, -1.0
    for last in (vae.encoder.conv_out, vae.decoder.conv_out):
        last.weight[:3].zero_()
        for i in range(3):
            last.weight[i, i, 1, 1], last.weight[i, 3 + i, 1, 1] = 1.0, -1.0
    log_variance = slice(LATENT_CHANNELS, None)
    vae.encoder.conv_out.weight[log_variance].zero_()
    vae.encoder.conv_out.weight[3:LATENT_CHANNELS].normal_(std=0.03)
    vae.quant_conv.bias[log_variance] = -4.0


@torch.no_grad()
def normalize_latents(vae: AutoencoderKL, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Centre the latents and give all channels the same standard deviation, whose inverse is `scaling_factor`.

    A diffusion model adds noise of strength 1 to every channel; a much weaker channel would vanish early. Mean and
    relative deviation of each channel are folded into the convolutions on both sides of the latents, so that decoded
    pictures stay the same; the mean deviation remains, and goes into `scaling_factor`, as in Stable Diffusion.
    """
    into, out_of, n = vae.quant_conv, vae.post_quant_conv, len(mean)
    relative = std / std.mean()
    into.weight[:n] /= relative.view(-1, 1, 1, 1)
    into.bias[:n] = (into.bias[:n] - mean) / relative
    into.bias[n:] -= 2 * relative.log()
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= relative.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=round(1 / std.mean().item(), 5))


def transformed(x: torch.Tensor, turn: int, mirror: bool, scale: float) -> torch.Tensor:
    """Scale pictures or latents (n, c, h, w) by `scale`, mirror them, and rotate them by `turn` quarter turns."""
    if scale != 1:
        x = F.interpolate(x, scale_factor=scale, mode="area")
    if mirror:
        x = x.flip(-1)
    return torch.rot90(x, turn, (-2, -1))


def differences(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the differences between neighbouring pixels, horizontally and vertically."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


class VAEBatches(Batches):
    """Pictures of the world and a few of novel things; crops at first."""

    def fresh(self, rng: Rng, progress: float) -> Drawing:
        if rng.random() < NOVEL_SHARE:
            return Drawing(None, np.asarray(newthing.random_picture(rng)))
        return drawn(random_scene(rng))

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        if progress >= WHOLE_FROM:
            return {"pixels": stacked(drawings[: size // 4])}
        corners = rng.integers(129 - CROP, size=(size, 2))
        cut = [d.pixels[y : y + CROP, x : x + CROP] for d, (y, x) in zip(drawings, corners, strict=True)]
        return {"pixels": torch.from_numpy(np.stack(cut))}


class VAERecipe(Recipe):
    name = "vae"
    cpu = Plan(batch_size=32, learning_rate=2e-3, samples=600_000)
    gpu = Plan(batch_size=256, learning_rate=2e-3, samples=2_000_000)
    weight_decay = 0.0
    warmup_steps = 50
    memory = 16_000

    def __init__(self, exported: Path | None = None):
        torch.manual_seed(self.seed)
        self.batches = VAEBatches()
        self.modules = new_vae()
        self.latents_are_fixed = exported is not None and _is_trained(exported)
        if self.latents_are_fixed:
            self.modules.encoder.requires_grad_(False)
            self.modules.quant_conv.requires_grad_(False)

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        pixels = to_pixels(batch["pixels"])
        posterior = self.modules.encode(pixels).latent_dist
        latents = posterior.sample()
        strength = NOISE * torch.rand(len(latents), 1, 1, 1, device=latents.device)
        latents = latents + strength * latents.detach().float().std() * torch.randn_like(latents)
        if self.latents_are_fixed:
            return self._error(self.modules.decode(latents).sample.float(), pixels)
        if torch.rand(()) < EQUIVARIANT_SHARE:
            turn, mirror = int(torch.randint(4, ())), bool(torch.rand(()) < 0.5)
            scale = 0.5 if torch.rand(()) < 0.5 else 1.0  # at other scales pixels and latents would not align
            latents, pixels = transformed(latents, turn, mirror, scale), transformed(pixels, turn, mirror, scale)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        return self._error(self.modules.decode(latents).sample.float(), pixels) + KL_WEIGHT * kl

    def _error(self, decoded: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        error = decoded - pixels
        edges = sum((a - b).abs().mean() for a, b in zip(differences(decoded), differences(pixels), strict=True))
        return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges

    @torch.no_grad()
    def export(self, modules: AutoencoderKL, folder: Path) -> None:
        """Save the VAE with latents of mean 0 and equal standard deviation, stored in `scaling_factor`."""
        vae = copy.deepcopy(modules)
        if not self.latents_are_fixed:
            self._normalize(vae)
        vae.half().save_pretrained(folder)

    def _normalize(self, vae: AutoencoderKL) -> None:
        rng = np.random.default_rng(self.seed)
        pictures = [drawn(random_scene(rng)) for _ in range(STATISTICS)]
        means = torch.cat(
            [
                vae.encode(to_pixels(stacked(pictures[start : start + 32]))).latent_dist.mean
                for start in range(0, STATISTICS, 32)
            ]
        )
        normalize_latents(vae, means.mean((0, 2, 3)), means.std((0, 2, 3)))

    def warm_start(self, folder: Path) -> None:
        trained = AutoencoderKL.from_pretrained(folder)
        self.modules.load_state_dict(trained.state_dict())
        self.modules.register_to_config(scaling_factor=trained.config.scaling_factor)


def _is_trained(folder: Path) -> bool:
    """Return whether the training of the exported model came to its end."""
    record = folder / "training.json"
    return record.exists() and json.loads(record.read_text(encoding="utf-8"))["progress"] >= 1
