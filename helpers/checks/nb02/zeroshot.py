"""`zero_shot`: CLIP's probabilities of labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, expect, expect_floats, expect_no_mistake, expect_type

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["zero_shot"]

PROBABILITY_TOLERANCE = 2e-3
"""The largest error of a probability: only rounding, for example in batches of another size."""

zero_shot = Exercise("zero_shot")


@zero_shot.given
def scene(rng):
    from helpers.picturebook import random_scene

    return random_scene(rng, things=1)


@zero_shot.given
def drawing(scene, rng) -> Image.Image:
    from helpers.picturebook import draw

    return draw(scene, size=rng.choice([96, 128, 160]))


@zero_shot.core(40)
def similar_captions(zero_shot, scene, drawing, rng) -> None:
    """CLIP's probabilities of similar captions"""
    thing = scene.things[0]
    nouns = [f"{thing.colour} {thing.kind}", f"large {thing.colour} {thing.kind}", f"small {thing.colour} {thing.kind}"]
    labels = [f"a {noun}" for noun in nouns] + [f"the {nouns[0]}", f"a picture of a {nouns[0]}", thing.kind]
    _compare(zero_shot, drawing, rng.sample(labels, len(labels)))


@zero_shot.core(25)
def many_labels(zero_shot, scene, drawing, rng) -> None:
    """CLIP's probabilities of many and few labels, of all kinds"""
    from helpers.picturebook import COLOURS, PLACES, describe, random_scene

    thing = scene.things[0]
    captions = dict.fromkeys(describe(each, rng) for each in (scene, random_scene(rng), random_scene(rng)))
    for labels in ([f"a {colour} {thing.kind}" for colour in COLOURS], list(PLACES), list(captions)):
        _compare(zero_shot, drawing, labels)


@zero_shot.edge(15)
def one_label(zero_shot, drawing) -> None:
    """a single label has probability 1"""
    _compare(zero_shot, drawing, ["a yellow star, at night"])


@zero_shot.edge(20)
def picture_with_four_channels(zero_shot, drawing) -> None:
    """a picture with an alpha channel (RGBA)"""
    _compare(zero_shot, drawing.convert("RGBA"), ["a red cat", "a blue boat, by the sea", "a star"])


def clip_cosines(image: Image.Image, labels: list[str]) -> tuple[torch.Tensor, float]:
    """Return CLIP's cosines of the picture with each label, tensor (labels,), and 1 / its temperature."""
    import torch

    from helpers import clip
    from helpers.models import load

    cosines = torch.from_numpy(clip.similarity(labels, [image])[:, 0])
    return cosines, load("clip").model.logit_scale.exp().item()


def _compare(zero_shot, image: Image.Image, labels: list[str]) -> None:
    """Raise `CheckFailed` unless the result is a dict of CLIP's own probabilities; a known mistake is named."""
    cosines, scale = clip_cosines(image, labels)

    def probs(factor: float) -> dict[str, float]:
        return dict(zip(labels, (cosines.double() * factor).softmax(0).tolist(), strict=True))

    result, right = zero_shot(image, labels), probs(scale)
    expect_type(result, dict, "What zero_shot returns")
    expect(
        result.keys() == right.keys(),
        f"The dict's keys should be the labels as they were given, {labels}, but they are {list(result)}.",
    )
    expect_floats(result.values(), "The probabilities")
    total = sum(result.values())
    expect(
        math.isfinite(total) and abs(total - 1) < 1e-3,
        f"The probabilities should sum to 1, but they sum to {total:.3f}. Is the softmax over the labels?",
    )

    def same(other: dict[str, float]) -> bool:
        return all(abs(result[label] - other[label]) < PROBABILITY_TOLERANCE for label in labels)

    if same(right):
        return
    mistakes = (
        Mistake(
            "The cosines go into the softmax as they are, so all labels get nearly the same probability. CLIP divides by its "
            "temperature first: multiply by model.logit_scale.exp().",
            lambda: probs(1.0),
        ),
        Mistake(
            "model.logit_scale is the logarithm of the factor: multiply by model.logit_scale.exp().",
            lambda: probs(math.log(scale)),
        ),
    )
    expect_no_mistake(mistakes, same)
    label = max(right, key=lambda label: abs(result[label] - right[label]))
    raise CheckFailed(
        f"For {label!r} zero_shot returns {result[label]:.3f}, but CLIP's probability is {right[label]:.3f}. Are both "
        "embeddings scaled to length 1, and is each label used as it is, without words around it?"
    )
