"""A network that counts how often it is trained with a condition and without."""

from __future__ import annotations

import torch

from helpers.speedrun.network import PointNet

__all__ = ["CountingNet"]


class CountingNet(PointNet):
    """A `PointNet` that counts its calls in training.

    The numbers are a buffer, so they come back with the weights from the process in which a student's function runs.

    Attributes:
        calls: how often it was called with gradients, with a condition and without.
    """

    def __init__(self, width: int = 64, classes: int = 2):
        super().__init__(width, classes)
        self.register_buffer("calls", torch.zeros(2))

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return the velocity, and count."""
        if torch.is_grad_enabled():
            self.calls[int(condition is None)] += 1
        return super().forward(x, t, condition)
