"""Initialise other models' vision towers from CLIP's trained one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel

SHARED_SETTINGS = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("image_size", "patch_size", "hidden_act", "layer_norm_eps"),
)


def shared_settings(config: CLIPVisionConfig) -> dict[str, Any]:
    """Return the settings that a model must share with CLIP's vision tower to take over its layers."""
    return {name: getattr(config, name) for name in SHARED_SETTINGS}


@torch.no_grad()
def fold_pre_layernorm(vision: CLIPVisionModel, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Fold CLIP's first LayerNorm into its embedding weights, approximately.

    CLIP normalises its patch embeddings before the first layer; ViLT and BLIP-2's vision model do not. A LayerNorm is
    linear except for dividing by each token's standard deviation; here all tokens are divided by the same number, the
    mean deviation over `pixels` (n, 3, h, w).

    Returns:
        "patch.weight" (width, 3, p, p), "patch.bias" (width,), "class" (width,), "position" (patches + 1, width).
    """
    embeddings, norm = vision.embeddings, vision.pre_layrnorm
    deviation = embeddings(pixels).std(dim=-1).mean()
    position = embeddings.position_embedding.weight

    def fold(x: torch.Tensor) -> torch.Tensor:
        return norm.weight * (x - x.mean(-1, keepdim=True)) / deviation

    patch = embeddings.patch_embedding.weight
    return {
        "patch.weight": fold(patch.flatten(1).T).T.reshape(patch.shape),
        "patch.bias": norm.bias.clone(),
        "class": fold(embeddings.class_embedding) + norm.bias,
        "position": fold(position),
    }


@torch.no_grad()
def copy_linear(into: nn.Linear, *sources: nn.Linear) -> None:
    """Copy weights and biases, stacking those of several layers."""
    into.weight.copy_(torch.cat([source.weight for source in sources]))
    into.bias.copy_(torch.cat([source.bias for source in sources]))
