"""Two moons: points in the plane, to learn flow matching on before it draws pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["moon_batches", "moons"]


def moons(n: int, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n points (n, 2) on two interleaved half circles, and each point's moon, 0 above or 1 below, (n,)."""
    moon = torch.randint(2, (n,), generator=generator)
    angle = torch.pi * torch.rand(n, generator=generator)
    sign = 1.0 - 2.0 * moon
    x = 1.2 * sign * torch.cos(angle) - 0.6 * sign
    y = 1.2 * sign * torch.sin(angle) - 0.3 * sign
    points = torch.stack([x, y], 1)
    return points + 0.06 * torch.randn(n, 2, generator=generator), moon


def moon_batches(size: int, seed: int) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """Return a function without arguments that returns the next batch of `moons`: points (size, 2), and their moons."""
    generator = torch.Generator().manual_seed(seed)
    return lambda: moons(size, generator)
