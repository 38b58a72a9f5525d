"""`image_tokens`: compared with the model's own image tokens, for the course's LLaVA and tiny ones of other configs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect
from helpers.checks.fakes import noise_for, tiny_llava, without_image_features
from helpers.checks.samples import random_drawing

if TYPE_CHECKING:
    import torch
    from transformers import LlavaForConditionalGeneration

__all__ = ["image_tokens"]

DO_IT_YOURSELF = (
    "image_tokens lets the model do it (get_image_features, or a call of the whole model). Do it yourself: "
    "model.model.vision_tower first, then model.model.multi_modal_projector."
)

image_tokens = Exercise("image_tokens")


@image_tokens.core(35)
def of_the_chat_model(image_tokens, rng) -> None:
    """the chat model's image tokens for a drawing"""
    from helpers.models import load

    model, processor = load("chat")
    for _ in range(2):
        picture = random_drawing(rng, model.config.vision_config.image_size)
        pixels = processor.image_processor(picture, return_tensors="pt")["pixel_values"]
        _compare(
            image_tokens, model, pixels.to(model.device, model.dtype), "The result of image_tokens for the chat model"
        )


@image_tokens.core(30)
def of_other_layers(image_tokens, rng, generator) -> None:
    """image tokens of small models whose config names another layer"""
    for layer in (-3, -1, rng.choice([-4, -3])):
        _compare_small(image_tokens, rng, generator, layer=layer)


@image_tokens.edge(15)
def class_token_kept(image_tokens, rng, generator) -> None:
    """the class token is kept if the strategy is full"""
    _compare_small(image_tokens, rng, generator, strategy="full")


@image_tokens.edge(15)
def layers_from_the_front(image_tokens, rng, generator) -> None:
    """a layer that the config counts from the front"""
    for layer in (1, 2):
        _compare_small(image_tokens, rng, generator, layer=layer)


@image_tokens.edge(5)
def pixels_unchanged(image_tokens, generator) -> None:
    """the pixels are left unchanged"""
    model = tiny_llava()
    with without_image_features(DO_IT_YOURSELF):
        call(image_tokens, model, noise_for(model, generator))


def _compare_small(image_tokens, rng, generator, *, layer: int = -2, strategy: str = "default") -> None:
    model = tiny_llava(layer=layer, strategy=strategy, seed=rng.randrange(10**6))
    _compare(image_tokens, model, noise_for(model, generator), "The result of image_tokens for a small model")


def _compare(image_tokens, model: LlavaForConditionalGeneration, pixels: torch.Tensor, what: str) -> None:
    """Raise `CheckFailed` unless the result equals the model's own tokens; a known mistake is named."""
    import torch

    with torch.no_grad():
        right = model.get_image_features(pixels).pooler_output[0]
        vision = model.model.vision_tower(pixels, output_hidden_states=True)
    with without_image_features(DO_IT_YOURSELF):
        result = image_tokens(model, pixels.clone())
    _explain_shape(result, right, model.config, class_and_patches=vision.last_hidden_state.shape[1])
    compare_tensors(result, right, what, _mistakes(model, vision))


def _mistakes(model: LlavaForConditionalGeneration, vision) -> tuple[Mistake, ...]:
    import torch

    layer = model.config.vision_feature_layer
    kept = slice(1 if model.config.vision_feature_select_strategy == "default" else 0, None)
    projector = model.model.multi_modal_projector

    @torch.no_grad()
    def through(states: torch.Tensor, project=projector) -> torch.Tensor:
        return project(states)

    from_the_front = (  # for a negative layer these two results mean other mistakes
        Mistake(
            f"You count the layers from the end, but this model's config.vision_feature_layer is {layer}: use "
            "hidden_states[model.config.vision_feature_layer] as it is.",
            lambda: through(vision.hidden_states[-layer][0, kept]),
        ),
        Mistake(
            "This is one layer too late: hidden_states[0] is the input of the first layer, so "
            f"hidden_states[{layer}] is the output of layer {layer}.",
            lambda: through(vision.hidden_states[layer + 1][0, kept]),
        ),
    )
    return (
        *(from_the_front if layer > 0 else ()),
        Mistake(
            "These are the tokens of the vision tower's last layer. model.config.vision_feature_layer says which of "
            f"its hidden_states the projector was trained on: here number {layer}.",
            lambda: through(vision.hidden_states[-1][0, kept]),
        ),
        Mistake(
            "last_hidden_state is the vision tower's last layer; the projector needs hidden_states"
            "[model.config.vision_feature_layer].",
            lambda: through(vision.last_hidden_state[0, kept]),
        ),
        Mistake(
            f"You always take layer -2, but this model's config.vision_feature_layer is {layer}: use the config's value.",
            lambda: through(vision.hidden_states[-2][0, kept]),
        ),
        Mistake(
            f"You count the layers from the other end: use hidden_states[{layer}], as config.vision_feature_layer says.",
            lambda: through(vision.hidden_states[-layer][0, kept]),
        ),
        Mistake(
            "You left out the last patch and kept the class token, which is the first: states[:, 1:], not states[:, :-1].",
            lambda: through(vision.hidden_states[layer][0, :-1]),
        ),
        Mistake(
            "These are the vision tower's own vectors. The projector is missing: model.model.multi_modal_projector(states).",
            lambda: vision.hidden_states[layer][0, kept],
        ),
        Mistake(
            "The projector's non-linear function (GELU) between its two layers is left out. Call the projector as a whole: "
            "model.model.multi_modal_projector(states).",
            lambda: through(
                vision.hidden_states[layer][0, kept], lambda states: projector.linear_2(projector.linear_1(states))
            ),
        ),
    )


def _explain_shape(result, right: torch.Tensor, config, *, class_and_patches: int) -> None:
    """Explain a wrong shape; other mistakes are left to `compare_tensors`."""
    shape = tuple(getattr(result, "shape", ()))
    tokens, width = right.shape
    expect(
        shape != (1, tokens, width),
        f"The shape is {shape}: the batch dimension is still there. One picture has {tokens} tokens, so take [0] at the end.",
    )
    tower = config.vision_config.hidden_size
    expect(
        width == tower or shape[-1:] != (tower,),
        f"The vectors are {tower} numbers long, as the vision tower returns them. The projector is missing: it makes them "
        f"{width} long, like the language model's.",
    )
    expect(
        tokens == class_and_patches or shape[-2:-1] != (class_and_patches,),
        f"There should be {tokens} tokens, but there are {class_and_patches}: the class token, the first one, is still "
        'there. vision_feature_select_strategy="default" means that it is dropped.',
    )
    expect(
        tokens != class_and_patches or shape[-2:-1] != (class_and_patches - 1,),
        f"There should be {tokens} tokens, but there are {class_and_patches - 1}. This model's "
        'vision_feature_select_strategy is "full": the class token stays. Only "default" drops it.',
    )
