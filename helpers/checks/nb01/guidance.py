"""`guide`: compared with the formula of classifier-free guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors

if TYPE_CHECKING:
    import torch

__all__ = ["guide"]

TOLERANCE = 1e-3

guide = Exercise("guide")


@guide.core(45)
def scales_above_1(guide, rng, generator) -> None:
    """beyond the prediction with text at scales above 1"""
    for scale in (4.0, 7.5, rng.uniform(1.5, 10)):
        _compare(guide, *_predictions((2, 4, 3, 5), generator), scale)


@guide.core(20)
def scales_up_to_1(guide, generator) -> None:
    """the unconditional prediction at scale 0, the one with text at scale 1, the mean of both at 0.5"""
    uncond, text = _predictions((2, 4, 3, 5), generator)
    for scale, right, what in (
        (1.0, text, "With scale 1 the result should be the prediction with text; yours"),
        (0.0, uncond, "With scale 0 the result should be the unconditional prediction; yours"),
        (0.5, (uncond + text) / 2, "With scale 0.5 the result should be the mean of both predictions; yours"),
    ):
        compare_tensors(guide(uncond.clone(), text.clone(), scale), right, what, tolerance=TOLERANCE)


@guide.edge(10)
def whole_numbers(guide, rng, generator) -> None:
    """a scale that is a whole number"""
    _compare(guide, *_predictions((1, 4, 4, 4), generator), rng.randrange(2, 10))


@guide.edge(10)
def any_shape(guide, rng, generator) -> None:
    """predictions of any shape"""
    for shape in ((6,), (3, 8, 5, 2), (2, 3, 2, 2, 4)):
        _compare(guide, *_predictions(shape, generator), rng.uniform(1.5, 8))


@guide.edge(15)
def inputs_unchanged(guide, rng, generator) -> None:
    """the inputs are left unchanged"""
    call(guide, *_predictions((2, 4, 3, 3), generator), rng.uniform(2, 8))


def _predictions(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(unconditional, with text)"""
    import torch

    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def _compare(guide, uncond: torch.Tensor, text: torch.Tensor, scale: float) -> None:
    result = guide(uncond.clone(), text.clone(), scale)
    mistakes = (
        Mistake(
            "Without brackets the unconditional prediction cancels out, and scale · text is left. Subtract first: "
            "uncond + scale · (text − uncond).",
            lambda: scale * text,
        ),
        Mistake(
            "The difference needs brackets: scale · text − uncond multiplies the text alone. Write "
            "uncond + scale · (text − uncond).",
            lambda: scale * text - uncond,
        ),
        Mistake(
            "Guidance starts from the unconditional prediction, which is missing: uncond + scale · (text − uncond).",
            lambda: scale * (text - uncond),
        ),
        Mistake(
            "The two predictions are swapped: start from the unconditional one and go towards the text.",
            lambda: text + scale * (uncond - text),
        ),
        Mistake(
            "Guidance starts from the unconditional prediction, not from the one with text. (Papers that start from the "
            "text count the scale from 0; here scale 1 means no extra guidance.)",
            lambda: text + scale * (text - uncond),
        ),
        Mistake(
            "The difference has the wrong sign: it should point from unconditional to text.",
            lambda: uncond + scale * (uncond - text),
        ),
        Mistake(
            "The result stops at the prediction with text. Above scale 1 it should go beyond it.",
            lambda: text,
        ),
    )
    right = (1 - scale) * uncond + scale * text
    compare_tensors(result, right, f"guide(uncond, text, {scale:.4g})", mistakes, tolerance=TOLERANCE)
