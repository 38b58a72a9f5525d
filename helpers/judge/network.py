"""The judge's network: it predicts where things have their feet and what they are.

On a 16 × 16 grid it predicts where things have their feet and, there, each thing's kind, colour and size (the idea of
CenterNet, Zhou et al. 2019, arXiv:1904.07850): two cats side by side have two feet, and a cat in a boat stands higher
than the boat. For the whole picture it predicts place and style.
"""

from __future__ import annotations

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn
from torch.nn import functional as F

from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES

__all__ = ["FOOT", "Judge"]

FOOT = 0.8
"""How far below a thing's centre its foot is, in half side lengths."""


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
