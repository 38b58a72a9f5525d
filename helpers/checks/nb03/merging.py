"""`merge_image_tokens`: random vectors in rows whose placeholders lie in one piece, scattered, or in different places."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.elsewhere import with_changes
from helpers.checks.expect import Mistake, compare_tensors, expect, expect_raises

if TYPE_CHECKING:
    import torch

__all__ = ["merge_image_tokens"]

HIDDEN = 6

merge_image_tokens = Exercise("merge_image_tokens")


class Rows(NamedTuple):
    """The three inputs."""

    text_embeds: torch.Tensor
    image_embeds: torch.Tensor
    is_image: torch.Tensor


@merge_image_tokens.core(35)
def one_row(merge_image_tokens, rng, generator) -> None:
    """one row, its placeholders side by side"""
    for length, n in ((9, 4), (12, 1), (7, 6)):
        start = rng.randrange(1, length - n + 1)
        _compare(merge_image_tokens, _rows(length, [range(start, start + n)], generator))


@merge_image_tokens.core(30)
def several_rows(merge_image_tokens, rng, generator) -> None:
    """several rows, each with its own image in its own places"""
    for length, n, batch in ((10, 3, 4), (8, 5, 2)):
        starts = rng.sample(range(length - n + 1), batch)
        _compare(merge_image_tokens, _rows(length, [range(start, start + n) for start in starts], generator))


@merge_image_tokens.edge(9)
def scattered_places(merge_image_tokens, rng, generator) -> None:
    """placeholders with words between them, as with two images in a message"""
    for length, n, batch in ((11, 4, 3), (9, 5, 1)):
        _compare(merge_image_tokens, _rows(length, [_gaps(rng, length, n) for _ in range(batch)], generator))


@merge_image_tokens.edge(8)
def another_number(merge_image_tokens, rng, generator) -> None:
    """a ValueError if there are more or fewer placeholders than image tokens"""
    for n in (2, 6):
        text, image, _ = _rows(9, [range(1, 5)] * 2, generator)
        places = _mask(9, [rng.sample(range(9), n) for _ in range(2)])
        _expect_error(merge_image_tokens, Rows(text, image, places), f"{n} placeholders per row and 4 image tokens")


@merge_image_tokens.edge(8)
def uneven_rows(merge_image_tokens, generator) -> None:
    """a ValueError if one row has too many and another too few, though their sum is right"""
    text, image, _ = _rows(9, [range(1, 5)] * 2, generator)
    places = _mask(9, [range(2, 5), range(1, 6)])
    _expect_error(
        merge_image_tokens, Rows(text, image, places), "rows with 3 and 5 placeholders and 4 image tokens each"
    )


@merge_image_tokens.edge(5)
def gradients(merge_image_tokens, rng, generator) -> None:
    """gradients flow to the image tokens and to the words"""
    import torch

    rows = _rows(8, [_gaps(rng, 8, 3) for _ in range(2)], generator)
    inputs = [rows.text_embeds.requires_grad_(), rows.image_embeds.requires_grad_()]
    weights = torch.randn(2, 8, HIDDEN, generator=generator)
    result = merge_image_tokens(*rows)
    expect(
        torch.is_tensor(result) and result.requires_grad,
        "No gradient can flow through the result, so no projector could learn: remove torch.no_grad(), .detach() and .data.",
    )
    found = torch.autograd.grad((result * weights).sum(), inputs, allow_unused=True)
    wanted = torch.autograd.grad((_merged(*rows) * weights).sum(), inputs)
    for yours, right, name in zip(found, wanted, ("text_embeds", "image_embeds"), strict=True):
        expect(yours is not None, f"No gradient reaches {name}.")
        compare_tensors(yours, right, f"The gradient for {name}")


@merge_image_tokens.edge(5)
def inputs_unchanged(merge_image_tokens, rng, generator) -> None:
    """the inputs are left unchanged"""
    call(merge_image_tokens, *_rows(9, [_gaps(rng, 9, 4) for _ in range(2)], generator))


def _gaps(rng: Random, length: int, n: int) -> list[int]:
    """n places of a row, in order, with at least one gap between them."""
    while True:
        places = sorted(rng.sample(range(length), n))
        if places[-1] - places[0] >= n:
            return places


def _mask(length: int, places) -> torch.Tensor:
    import torch

    mask = torch.zeros(len(places), length, dtype=torch.bool)
    for row, columns in enumerate(places):
        mask[row, list(columns)] = True
    return mask


def _rows(length: int, places, generator: torch.Generator) -> Rows:
    import torch

    batch, n = len(places), len(places[0])
    return Rows(
        torch.randn(batch, length, HIDDEN, generator=generator),
        torch.randn(batch, n, HIDDEN, generator=generator),
        _mask(length, places),
    )


def _merged(text_embeds: torch.Tensor, image_embeds: torch.Tensor, is_image: torch.Tensor) -> torch.Tensor:
    """The right result: every place looks up its vector, a placeholder by how many came before it in its row."""
    import torch

    number = (is_image.cumsum(1) - 1).clamp(0, image_embeds.shape[1] - 1)
    looked_up = image_embeds.gather(1, number[..., None].expand(-1, -1, image_embeds.shape[-1]))
    return torch.where(is_image[..., None], looked_up, text_embeds)


def _compare(merge_image_tokens, rows: Rows) -> None:
    """Raise `CheckFailed` unless the result is right; a known mistake is named."""
    import torch

    text, image, is_image = rows
    with with_changes():  # a result that is one of the inputs, changed in place, is also judged by its values
        result = merge_image_tokens(*(part.clone() for part in rows))
    right = _merged(*rows)
    (batch, length, _), n = text.shape, image.shape[1]
    shape = tuple(getattr(result, "shape", ()))
    expect(
        shape != (batch, length + n, HIDDEN),
        f"The rows are {length + n} long: the image tokens were added to the {length} words. They should take the "
        f"placeholders' places, so that each row stays {length} long.",
    )
    expect(
        shape != (length, HIDDEN),
        f"The shape is {shape}: the batch dimension is missing. There can be several rows, (batch, length, hidden).",
    )
    first = is_image.float().argmax(1)
    starts = torch.arange(length)[None] - first[:, None]
    in_one_piece = (starts >= 0) & (starts < n)
    mistakes = (
        Mistake("The placeholders still have their own vectors: the image tokens were not written.", lambda: text),
        Mistake(
            "The image tokens were added to the placeholders' vectors. They should replace them.",
            lambda: torch.where(is_image[..., None], right + text, text),
        ),
        Mistake(
            "Every row has the first row's image. Each row has its own, in the same order as the rows.",
            lambda: _merged(text, image[:1].expand_as(image), is_image),
        ),
        Mistake(
            "Every row uses the first row's places. is_image says for each row where its placeholders are.",
            lambda: _merged(text, image, is_image[:1].expand_as(is_image)),
        ),
        Mistake("The image tokens come in reverse order.", lambda: _merged(text, image.flip(1), is_image)),
        Mistake(
            "The rows' images got mixed up: the tokens should be written row by row, as image_embeds holds them.",
            lambda: _merged(text, image.transpose(0, 1).reshape(image.shape), is_image),
        ),
        Mistake(
            "You write the tokens side by side, beginning at the first placeholder. They belong in the places that is_image "
            "marks, and there can be words between them.",
            lambda: _merged(text, image, in_one_piece),
        ),
    )
    compare_tensors(result, right, "The merged rows", mistakes, tolerance=1e-6)


def _expect_error(merge_image_tokens, rows: Rows, situation: str) -> None:
    expect_raises(
        lambda: merge_image_tokens(*rows),
        ValueError,
        situation,
        hint="Count the True values of each row before you write anything.",
    )
