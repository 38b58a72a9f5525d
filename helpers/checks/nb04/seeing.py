"""`soft_prompts` and `without_queries`: the vectors that the language model gets, from BLIP-2s of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect, expect_raises
from helpers.checks.fakes import only_parts, tiny_blip2
from helpers.checks.samples import random_drawing

if TYPE_CHECKING:
    import torch
    from transformers import Blip2ForConditionalGeneration

__all__ = ["own_soft_prompts", "soft_prompts", "without_queries"]

DO_IT_YOURSELF = (
    "soft_prompts lets the model do all of it. Write the three steps yourself, with model.vision_model, model.qformer "
    "and model.language_projection."
)

soft_prompts, without_queries = Exercise("soft_prompts"), Exercise("without_queries")


# -- soft_prompts


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


# -- without_queries


@without_queries.core(40)
def one_query(without_queries, generator) -> None:
    """the mean soft prompt in place of one query's; the others stay"""
    for queries, index in ((5, 3), (7, 6), (4, 0)):
        _compare_without(without_queries, tiny_blip2(queries=queries), _noise(generator), [index])


@without_queries.core(25)
def several_queries(without_queries, generator) -> None:
    """several queries: each replaced by the mean over all queries of the picture"""
    for queries, indices in ((6, [1, 4]), (7, [5, 0, 2])):
        _compare_without(without_queries, tiny_blip2(queries=queries), _noise(generator), indices)


@without_queries.edge(10)
def no_query(without_queries, generator) -> None:
    """an empty list: all soft prompts stay"""
    _compare_without(without_queries, tiny_blip2(), _noise(generator), [])


@without_queries.edge(9)
def every_query(without_queries, generator) -> None:
    """every query: each row is the mean soft prompt"""
    _compare_without(without_queries, tiny_blip2(), _noise(generator), [0, 1, 2, 3, 4])


@without_queries.edge(8)
def unknown_query(without_queries, generator) -> None:
    """a ValueError for a query that the model does not have"""
    model, pixels = tiny_blip2(queries=5), _noise(generator)
    for index in (-1, 5):
        expect_raises(
            lambda index=index: without_queries(model, pixels, [1, index]),
            ValueError,
            f"query {index} of a model whose queries are 0 to 4",
            hint="PyTorch counts negative indices from the end, so -1 would switch the last query off.",
        )


@without_queries.edge(8)
def inputs_unchanged(without_queries, generator) -> None:
    """the pixels and the list of queries are left unchanged"""
    call(without_queries, tiny_blip2(), _noise(generator), [3, 1])


def _compare_without(without_queries, model, pixels: torch.Tensor, indices: Sequence[int]) -> None:
    """Raise `CheckFailed` unless the given queries are replaced by the mean and the others are not."""
    prompts = own_soft_prompts(model, pixels).detach()
    result = without_queries(model, pixels.clone(), list(indices))
    shape = getattr(result, "shape", None)
    kept = [i for i in range(len(prompts)) if i not in indices]
    expect(
        shape != (len(kept), prompts.shape[1]) or not indices,
        "The soft prompts of these queries are gone, so the language model would get fewer vectors. Leave every row in its "
        "place, and replace its values.",
    )
    expect(
        shape != (1, *prompts.shape),
        "There is a batch dimension left. The result should have the same shape as that of soft_prompts.",
    )

    def replaced(rows: Sequence[int], vector: torch.Tensor | float) -> torch.Tensor:
        changed = prompts.clone()
        changed[list(rows)] = vector
        return changed

    def one_after_another() -> torch.Tensor:
        changed = prompts.clone()
        for index in indices:
            changed[index] = changed.mean(dim=0)
        return changed

    def before_the_qformer() -> torch.Tensor:
        queries = model.query_tokens.detach().clone()
        queries[:, list(indices)] = queries.mean(dim=1, keepdim=True)
        seen = model.vision_model(pixels).last_hidden_state
        found = model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        return model.language_projection(found)[0].detach()

    mean = prompts.mean(dim=0)
    mistakes = (
        Mistake("None of the soft prompts has changed.", lambda: prompts),
        Mistake(
            "The soft prompts of these queries are zero. Replace them with the mean soft prompt, prompts.mean(dim=0).",
            lambda: replaced(indices, 0.0),
        ),
        Mistake(
            "The others are replaced: `indices` names the queries to switch off, not those to keep.",
            lambda: replaced(kept, mean),
        ),
        Mistake(
            "The neighbours are replaced: queries are counted from 0.",
            lambda: replaced([index - 1 for index in indices], mean),
        ),
        Mistake(
            "This is one number, the mean of everything. The mean soft prompt is a vector: take the mean over the queries, "
            "with dim=0.",
            lambda: replaced(indices, prompts.mean()),
        ),
        Mistake(
            "This is the mean over the queries that stay. Take it over all queries of the picture.",
            lambda: replaced(indices, prompts[kept].mean(dim=0)),
        ),
        Mistake(
            "This is the mean over the queries that are switched off. Take it over all queries of the picture.",
            lambda: replaced(indices, prompts[list(indices)].mean(dim=0)),
        ),
        Mistake(
            "The mean is taken again after each replacement, so it has changed by then. Take it once, before you replace "
            "anything.",
            one_after_another,
        ),
        Mistake(
            "The queries are replaced before they have seen the picture. Replace what soft_prompts returns.",
            before_the_qformer,
        ),
    )
    off = f"with the queries {list(indices)} switched off" if indices else "with no query switched off"
    compare_tensors(result, replaced(indices, mean), f"The tensor of soft prompts {off}", mistakes if indices else ())
