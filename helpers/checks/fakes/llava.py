"""Tiny LLaVAs with random weights, which can be kept from doing the student's work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored
from helpers.checks.expect import CheckFailed

if TYPE_CHECKING:
    import torch
    from transformers import LlavaForConditionalGeneration

__all__ = ["noise_for", "tiny_llava", "without_image_features"]


def tiny_llava(*, layer: int = -2, strategy: str = "default", seed: int = 0) -> LlavaForConditionalGeneration:
    """Make a LLaVA with random weights: 16 patches of 8×8 pixels, a vision tower 24 wide, a language model 40 wide.

    Args:
        layer: which of the tower's five hidden states its projector reads.
        strategy: "default" drops the class token, "full" keeps it.
        seed: the seed of the weights.
    """
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    small = {"intermediate_size": 48, "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(
            LlavaConfig(
                vision_config=CLIPVisionConfig(
                    hidden_size=24, num_hidden_layers=4, image_size=32, patch_size=8, initializer_factor=4.0, **small
                ),
                text_config=LlamaConfig(hidden_size=40, num_hidden_layers=1, vocab_size=30, **small),
                image_token_index=29,
                image_seq_length=16,
                vision_feature_layer=layer,
                vision_feature_select_strategy=strategy,
            )
        )
        with torch.no_grad():  # new biases are 0, so leaving them out would go unnoticed
            for name, weight in model.model.multi_modal_projector.named_parameters():
                weight.normal_(std=0.5 if "bias" in name else 0.3)
    return model.eval()


def noise_for(model: LlavaForConditionalGeneration, generator: torch.Generator | None = None) -> torch.Tensor:
    """Make a noise picture as the model's processor would return it, tensor (1, 3, height, width)."""
    import torch

    side = model.config.vision_config.image_size
    return torch.randn(1, 3, side, side, generator=generator)


@mirrored
@contextmanager
def without_image_features(message: str) -> Iterator[None]:
    """Make a call of the models' own `get_image_features` raise `CheckFailed` with this message."""
    from transformers import LlavaForConditionalGeneration, LlavaModel

    refusal = CheckFailed(message)
    with (
        patch.object(LlavaModel, "get_image_features", side_effect=refusal),
        patch.object(LlavaForConditionalGeneration, "get_image_features", side_effect=refusal),
    ):
        yield
