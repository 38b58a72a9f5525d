"""The judge: a small convolutional network that reads picture-book pictures, independent of every other model.

It is trained on drawn scenes only, and no other model is trained with it, so its reading of a generated picture is an
independent opinion. On a 16 × 16 grid it predicts where things have their feet and, there, each thing's kind, colour
and size (the idea of CenterNet, Zhou et al. 2019, arXiv:1904.07850): two cats side by side have two feet, and a cat in
a boat stands higher than the boat. For the whole picture it predicts place and style. `course.evaluate.judge` turns its
outputs into things with positions.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn
from torch.nn import functional as F

from course.data import Batch, Batches, Drawing, stacked, to_pixels
from course.labels import FOOT, IGNORE
from course.train.loop import Plan, Recipe
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES

FOOT_WEIGHT = 10.0
"""The weight of errors at feet, which are few among 256 cells."""


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.layers(x))


class Judge(nn.Module, PyTorchModelHubMixin):
    """Pixels (n, 3, 128, 128) in -1 … 1 to predictions about the picture (see `forward`).

    Args:
        channels: width of the late layers.
        foot: how far below a thing's centre its predicted foot is, in half side lengths; saved with the weights, which
            depend on it.
    """

    def __init__(self, channels: int = 112, foot: float = FOOT):
        super().__init__()
        self.foot_below = foot

        def downsample(inner: int, outer: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inner, outer, 4, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU())

        self.early = nn.Sequential(downsample(3, 24), downsample(24, 48))
        self.late = nn.Sequential(
            downsample(48, channels), *(Block(channels, dilation) for dilation in (1, 2, 4, 1, 2, 1))
        )
        self.foot = nn.Conv2d(channels, 1, 1)
        self.extent = nn.Conv2d(channels, 1, 1)
        self.kind = nn.Conv2d(channels, len(KINDS), 1)
        self.colour = nn.Conv2d(channels, len(COLOURS), 1)
        self.place = nn.Linear(channels, len(PLACES))
        self.style = nn.Linear(channels, len(STYLES))

    def features(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return early features (n, 48, 32, 32) and late ones (n, channels, 16, 16)."""
        early = self.early(pixels)
        return early, self.late(early)

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return logits: foot (n, 16, 16), kind (n, 19, 16, 16), colour (n, 8, 16, 16), place, style; and half
        (n, 16, 16), half the side of the thing whose foot is there, relative to the picture's side."""
        _, cells = self.features(pixels)
        whole = cells.mean((2, 3))
        return {
            "foot": self.foot(cells)[:, 0],
            "half": self.extent(cells)[:, 0],
            "kind": self.kind(cells),
            "colour": self.colour(cells),
            "place": self.place(whole),
            "style": self.style(whole),
        }


def box_blur(pixels: torch.Tensor, width: int) -> torch.Tensor:
    """Replace each pixel of (n, 3, h, w) by the mean of the width × width (odd) around it: strokes blur into a tint."""
    return F.avg_pool2d(pixels, width, stride=1, padding=width // 2, count_include_pad=False)


class JudgeBatches(Batches):
    """Pictures with labels of what stands where."""

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        things = stacked(drawings, "feet")
        return {
            "pixels": stacked(drawings),
            "foot": things[:, 0],
            "half": things[:, 1],
            "kind": things[:, 2].long(),
            "colour": things[:, 3].long(),
            "place": torch.tensor([PLACES.index(d.scene.place) for d in drawings]),
            "style": torch.tensor([STYLES.index(d.scene.style) for d in drawings]),
        }


class JudgeRecipe(Recipe):
    name = "judge"
    cpu = Plan(batch_size=32, learning_rate=2e-3, samples=160_000)
    gpu = Plan(batch_size=128, learning_rate=2e-3, samples=300_000)
    warmup_steps = 50

    def __init__(self):
        torch.manual_seed(self.seed)
        self.batches = JudgeBatches()
        self.modules = Judge()

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        pixels = to_pixels(batch["pixels"])
        # Generated pictures are slightly noisy, soft and off in brightness; the judge must be robust to that.
        if torch.rand(()) < 0.4:
            pixels = box_blur(pixels, width=3 + 2 * int(torch.randint(4, ())))
        pixels = pixels * (1 + 0.1 * torch.randn(len(pixels), 1, 1, 1, device=pixels.device))
        pixels = pixels + 0.08 * torch.randn(len(pixels), 3, 1, 1, device=pixels.device)
        noise = 0.15 * torch.rand(len(pixels), 1, 1, 1, device=pixels.device)
        answers = {name: a.float() for name, a in self.modules(pixels + noise * torch.randn_like(pixels)).items()}
        near = batch["kind"] != IGNORE
        weights = 1 + (FOOT_WEIGHT - 1) * batch["foot"].float()
        foot = F.binary_cross_entropy_with_logits(answers["foot"], batch["foot"].float(), weight=weights)
        half = ((answers["half"] - batch["half"]).abs() * near).sum() / near.sum().clamp(min=1)
        named = sum(
            F.cross_entropy(answers[name], batch[name], ignore_index=IGNORE)
            for name in ("kind", "colour", "place", "style")
        )
        return named + 5 * foot + half

    def export(self, modules: Judge, folder: Path) -> None:
        copy.deepcopy(modules).half().save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules.load_state_dict(Judge.from_pretrained(folder).float().state_dict())
