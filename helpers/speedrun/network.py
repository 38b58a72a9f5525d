"""The two networks of notebook 08: one for points in the plane, one for pictures.

Both are called as `network(x, t, condition)` and return a velocity of the same shape as `x`. `t` is a tensor (batch,),
`condition` a LongTensor with a row for each sample, or None for none at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["DiT", "PointNet", "time_waves"]


def time_waves(t: torch.Tensor, width: int) -> torch.Tensor:
    """Return sines and cosines of the times (n,), slow to fast, as a tensor (n, width): a network can read them better
    than a single number."""
    speeds = torch.exp(torch.linspace(0, math.log(1000), width // 2, device=t.device))
    angles = t.float()[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], 1)


class PointNet(nn.Module):
    """The velocity of points (batch, 2), from three hidden layers.

    Args:
        width: of the hidden layers.
        classes: how many conditions there are; one more is for none.
    """

    def __init__(self, width: int = 96, classes: int = 2):
        super().__init__()
        self.config = {"width": width, "classes": classes}
        self.point = nn.Linear(2, width)
        self.time = nn.Linear(16, width)
        self.condition = nn.Embedding(classes + 1, width)
        self.layers = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.velocity = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return the velocity of each point, (batch, 2)."""
        empty = self.config["classes"]
        condition = torch.full((len(x),), empty) if condition is None else condition
        hidden = self.point(x) + self.time(time_waves(t, 16)) + self.condition(condition)
        return self.velocity(self.layers(hidden))


class Block(nn.Module):
    """A transformer block whose normalization is set by the time and the condition (adaLN, Peebles & Xie 2022).

    Six vectors scale, shift and weight what attention and the small network (MLP) do. They start at zero, so that at
    first a block changes nothing. Before attention, a convolution mixes each token with its eight neighbours on the grid
    (Chu et al. 2021, arXiv:2102.10882): in minutes of training there is no time to find out that neighbours belong together.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.neighbours = _zeros(nn.Conv2d(width, width, 3, padding=1, groups=width))
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.modulation = _zeros(nn.Linear(width, 6 * width))

    def forward(self, tokens: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        """Return the tokens (batch, n, width), changed; `signal` (batch, width) holds time and condition."""
        scale, shift, weight, mlp_scale, mlp_shift, mlp_weight = self.modulation(signal)[:, None].chunk(6, -1)
        tokens = tokens + self.mix(tokens)
        tokens = tokens + weight * self.attend(_normalized(tokens) * (1 + scale) + shift)
        return tokens + mlp_weight * self.mlp(_normalized(tokens) * (1 + mlp_scale) + mlp_shift)

    def mix(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what each token takes from its neighbours on the square grid."""
        side = math.isqrt(tokens.shape[1])
        return self.neighbours(tokens.mT.unflatten(2, (side, side))).flatten(2).mT

    def attend(self, tokens: torch.Tensor) -> torch.Tensor:
        """Let every token look at every other: notebook 02's `attend`, in several heads."""
        batch, n, width = tokens.shape
        split = self.query_key_value(tokens).view(batch, n, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        q, k = (F.rms_norm(each, each.shape[-1:]) for each in (q, k))  # keeps attention calm at high learning rates
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, n, width))


class DiT(nn.Module):
    """A diffusion transformer (Peebles & Xie 2022): the velocity of pictures (batch, 3, size, size).

    Args:
        width: of a token.
        depth: the number of blocks.
        heads: of attention; they must divide the width.
        patch: side of a patch, in pixels.
        size: side of a picture, in pixels.
        kinds: the number of kinds.
        colours: the number of colours.
        cut: cuts pictures into rows of patches, `cut(x, patch)`; by default the course's own way.
        join: its inverse, `join(tokens, patch, 3)`.
    """

    def __init__(
        self,
        width: int = 96,
        depth: int = 4,
        heads: int = 3,
        patch: int = 4,
        size: int = 32,
        kinds: int = 4,
        colours: int = 4,
        *,
        cut: Callable | None = None,
        join: Callable | None = None,
    ):
        super().__init__()
        self.patch, self.size = patch, size
        self.cut, self.join = cut or self._cut, join or self._join
        self.token = nn.Linear(3 * patch**2, width)
        self.position = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, width))
        self.kind = nn.Embedding(kinds + 1, width)  # the last one is for none
        self.colour = nn.Embedding(colours + 1, width)
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.modulation = _zeros(nn.Linear(width, 2 * width))
        self.velocity = _zeros(nn.Linear(width, 3 * patch**2))

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return the velocity of each picture; `condition` is (batch, 2), kind and colour."""
        if condition is None:
            condition = torch.tensor([[self.kind.num_embeddings - 1, self.colour.num_embeddings - 1]]).expand(len(x), 2)
        signal = F.silu(self.time(time_waves(t, 64)) + self.kind(condition[:, 0]) + self.colour(condition[:, 1]))
        tokens = self.token(self.cut(x, self.patch)) + self.position
        for block in self.blocks:
            tokens = block(tokens, signal)
        scale, shift = self.modulation(signal)[:, None].chunk(2, -1)
        return self.join(self.velocity(_normalized(tokens) * (1 + scale) + shift), self.patch, 3)

    @staticmethod
    def _cut(x: torch.Tensor, patch: int) -> torch.Tensor:
        return F.unfold(x, patch, stride=patch).mT

    def _join(self, tokens: torch.Tensor, patch: int, channels: int) -> torch.Tensor:
        return F.fold(tokens.mT, self.size, patch, stride=patch)


def _normalized(tokens: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(tokens, tokens.shape[-1:])


def _zeros(layer: nn.Module) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
