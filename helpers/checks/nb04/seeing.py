"""`soft_prompts`: from pixels to the vectors that the language model gets, with BLIP-2s of several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect
from helpers.checks.fakes import only_parts, tiny_blip2
from helpers.checks.samples import random_drawing

if TYPE_CHECKING:
    import torch
    from transformers import Blip2ForConditionalGeneration

__all__ = ["own_soft_prompts", "soft_prompts"]

DO_IT_YOURSELF = (
    "soft_prompts lets the model do all of it. Write the three steps yourself, with model.vision_model, model.qformer "
    "and model.language_projection."
)

soft_prompts = Exercise("soft_prompts")


@soft_prompts.core(40)
def all_three_steps(soft_prompts, generator) -> None:
    """the result of vision model, Q-Former and projection for a picture"""
    import torch

    for queries, width in ((5, 32), (3, 40), (7, 16)):
        model = tiny_blip2(queries=queries, hidden_size=width, word_embed_proj_dim=width)
        pixels = torch.randn(1, 3, 16, 16, generator=generator)
        _compare(soft_prompts, model, pixels, f"of {queries} queries for a language model of width {width}")


@soft_prompts.core(25)
def of_drawings(soft_prompts, rng) -> None:
    """the soft prompts of drawings, with the course's BLIP-2"""
    from helpers.models import load

    model, processor = load("blip2")
    for _ in range(2):
        pixels = processor(images=random_drawing(rng, 128), return_tensors="pt")["pixel_values"]
        _compare(soft_prompts, model, pixels.to(model.device, model.dtype), "of a drawing")


@soft_prompts.edge(13)
def one_row_per_query(soft_prompts, generator) -> None:
    """one row for each query, without a batch dimension"""
    model, pixels = tiny_blip2(), _noise(generator)
    result, right = _from_parts(soft_prompts, model, pixels), own_soft_prompts(model, pixels)
    expect(
        getattr(result, "shape", None) != (1, *right.shape),
        "There is a batch dimension left. There is one picture, so take the first of the batch: [0].",
    )
    compare_tensors(result, right, "The tensor of soft prompts")


@soft_prompts.edge(8)
def of_a_single_query(soft_prompts, generator) -> None:
    """a tensor (1, width) if the model has a single query"""
    model, pixels = tiny_blip2(queries=1), _noise(generator)
    result, right = _from_parts(soft_prompts, model, pixels), own_soft_prompts(model, pixels)
    expect(
        getattr(result, "shape", None) != right[0].shape,
        "If the model has a single query, its dimension is gone. squeeze() removes every dimension of size 1; take the first "
        "of the batch with [0] instead.",
    )
    compare_tensors(_one_picture(result), right, "The tensor of a single soft prompt")


@soft_prompts.edge(7)
def in_half_precision(soft_prompts, generator) -> None:
    """a model in half precision, whose Q-Former is still in float32"""
    model = tiny_blip2().half()
    model.qformer.float()
    model.query_tokens.data = model.query_tokens.data.float()
    _compare(soft_prompts, model, _noise(generator).half(), "of a model in half precision", tolerance=1e-2)


@soft_prompts.edge(7)
def pixels_unchanged(soft_prompts, generator) -> None:
    """the pixels are left unchanged"""
    with only_parts(model := tiny_blip2(), DO_IT_YOURSELF):
        call(soft_prompts, model, _noise(generator))


def _noise(generator) -> torch.Tensor:
    import torch

    return torch.randn(1, 3, 16, 16, generator=generator)


def _compare(soft_prompts, model, pixels: torch.Tensor, what: str, *, tolerance: float = 1e-4) -> None:
    """Raise `CheckFailed` unless the values are right, with or without a batch dimension."""
    import torch

    right, result = own_soft_prompts(model, pixels), _one_picture(_from_parts(soft_prompts, model, pixels))

    def queried(vectors: torch.Tensor) -> torch.Tensor:
        return model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=vectors).last_hidden_state

    def projected(vectors: torch.Tensor) -> torch.Tensor:
        return model.language_projection(vectors.to(right.dtype))[0]

    with torch.no_grad():
        vision = model.vision_model(pixels)
        before = queried(vision.last_hidden_state)[0]
        expect(
            getattr(result, "shape", None) != before.shape or before.shape == right.shape,
            "This is the output of the Q-Former, in the Q-Former's width. The language model's vectors have another width: "
            "send them through model.language_projection.",
        )
        mistakes = (
            Mistake(
                "The Q-Former's vectors are not projected yet: send them through model.language_projection.",
                lambda: before,
            ),
            Mistake(
                "The queries have not seen the picture: project what the Q-Former returns, not model.query_tokens.",
                lambda: projected(model.query_tokens),
            ),
            Mistake(
                "The Q-Former should see all vectors of the picture, last_hidden_state; pooler_output is only one.",
                lambda: projected(queried(vision.pooler_output[:, None])),
            ),
        )
        compare_tensors(result, right, f"The tensor of soft prompts {what}", mistakes, tolerance=tolerance)


def _from_parts(soft_prompts, model: Blip2ForConditionalGeneration, pixels: torch.Tensor):
    """The result of the student's function, which may call only the model's parts."""
    with only_parts(model, DO_IT_YOURSELF):
        return soft_prompts(model, pixels.clone())


def _one_picture(result):
    """The result without a batch dimension."""
    import torch

    return result[0] if torch.is_tensor(result) and result.dim() == 3 and len(result) == 1 else result


def own_soft_prompts(model: Blip2ForConditionalGeneration, pixel_values: torch.Tensor) -> torch.Tensor:
    """Return the soft prompts (queries, language model's width) that the model itself makes for one picture."""
    made = []
    hook = model.language_projection.register_forward_hook(lambda layer, inputs, output: made.append(output))
    try:
        model.generate(pixel_values=pixel_values, max_new_tokens=1, do_sample=False)
    finally:
        hook.remove()
    return made[0][0]
