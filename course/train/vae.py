"""The VAE: pictures of 128 × 128 × 3 to latents of 16 × 16 × 8 and back.

Most steps see 64 × 64 cut-outs, which cost a quarter and teach the same local lesson; the last third sees whole
pictures, so that the group norms meet the statistics they will meet later.

The loss is the mean squared plus the mean absolute error of the pixels (the first brings the large areas of colour
quickly, the second makes edges sharp) plus a small KL term, which keeps the latents near unit scale and
smooth (Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from course.data import Pictures
from course.train.loop import Recipe

KL_WEIGHT = 1e-4
CROP = 64


def new_vae() -> AutoencoderKL:
    """The untrained VAE, begun as a plain linear network: each residual branch starts at zero.

    With the library's own start such a small VAE spends its first thousand steps without colours, which have to
    find their way through a dozen normalised branches first.
    """
    vae = AutoencoderKL(
        sample_size=128,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(12, 24, 48, 64),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=1,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )
    with torch.no_grad():
        for name, module in vae.named_modules():
            if isinstance(module, nn.Conv2d) and name.endswith("conv2"):
                module.weight.zero_()
            elif isinstance(module, nn.Conv2d) and not name.endswith("conv1"):
                module.weight.mul_(3**0.5)  # PyTorch's start shrinks a linear signal's variance to a third
    return vae


def to_pixels(batch: np.ndarray) -> torch.Tensor:
    """uint8 (n, h, w, 3) → float32 (n, 3, h, w) in -1 … 1."""
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float().div(127.5).sub(1)


class VAERecipe(Recipe):
    name = "vae"
    total_steps = 2600
    batch_size = 8
    learning_rate = 1.5e-3
    weight_decay = 0.0
    warmup_steps = 100

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
        """Saves the VAE with the scaling factor that gives its latents unit variance."""
        rows = np.random.default_rng(self.seed).integers(len(self.data), size=256)
        latents = [
            modules.encode(to_pixels(np.stack([self.data.pixels[r] for r in part]))).latent_dist.sample()
            for part in np.array_split(rows, 16)
        ]
        modules.register_to_config(scaling_factor=round(1 / torch.cat(latents).std().item(), 4))
        modules.half().save_pretrained(folder)
        modules.float()

    def warm_start(self, folder: Path) -> None:
        self.modules.load_state_dict(AutoencoderKL.from_pretrained(folder).state_dict())
