"""CLIP's trained vision tower as the start of other models' eyes."""

from __future__ import annotations

import torch
from torch import nn
from transformers import CLIPVisionModel


@torch.no_grad()
def entry_without_norm(vision: CLIPVisionModel, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Weights of an entry that needs no LayerNorm after it, and gives nearly what CLIP's entry and its norm give.

    CLIP normalises its patch embeddings before the first layer; ViLT and BLIP-2's vision model do not. A LayerNorm is
    linear but for the division by each token's standard deviation; here all tokens are divided by the same number, the
    mean deviation over `pixels` (n, 3, h, w).

    Returns:
        "patch.weight" (width, 3, p, p), "patch.bias" (width,), "class" (width,), "position" (patches + 1, width).
    """
    embeddings, norm = vision.embeddings, vision.pre_layrnorm
    spread = embeddings(pixels).std(dim=-1).mean()
    position = embeddings.position_embedding.weight

    def through(x: torch.Tensor) -> torch.Tensor:
        return norm.weight * (x - x.mean(-1, keepdim=True)) / spread

    patch = embeddings.patch_embedding.weight
    return {
        "patch.weight": through(patch.flatten(1).T).T.reshape(patch.shape),
        "patch.bias": norm.bias.clone(),
        "class": through(embeddings.class_embedding) + norm.bias,
        "position": through(position),
    }


@torch.no_grad()
def copy_linear(into: nn.Linear, *sources: nn.Linear) -> None:
    """Copies weights and biases, of several layers one below the other."""
    into.weight.copy_(torch.cat([source.weight for source in sources]))
    into.bias.copy_(torch.cat([source.bias for source in sources]))
