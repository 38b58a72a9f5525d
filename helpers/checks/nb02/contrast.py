"""`contrastive_loss` and `zero_shot`: CLIP's loss and CLIP's probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import (
    CheckFailed,
    Mistake,
    compare_gradients,
    compare_tensors,
    expect,
    expect_floats,
    expect_no_mistake,
    expect_type,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["contrastive_loss", "zero_shot"]

PROBABILITY_TOLERANCE = 2e-3
"""The largest error of a probability: only rounding, for example in batches of another size."""

# -- contrastive_loss

contrastive_loss = Exercise("contrastive_loss")


@contrastive_loss.core(45)
def of_unit_vectors(contrastive_loss, generator) -> None:
    """the mean of both directions, picture to text and text to picture, at any temperature"""
    from torch.nn.functional import normalize

    for pairs, temperature in ((5, 0.25), (2, 2.0), (7, 0.5)):
        images, texts = (normalize(x, dim=-1) for x in _pairs(pairs, 8, generator))
        logits = images @ texts.T / temperature
        loss = call(contrastive_loss, images, texts, temperature)
        what = f"The loss of {pairs} pairs at temperature {temperature}"
        compare_tensors(loss, _both_ways(logits), what, _mistakes(logits, temperature))


def _mistakes(logits: torch.Tensor, temperature: float) -> tuple[Mistake, ...]:
    import torch
    from torch.nn.functional import cross_entropy

    own = torch.arange(len(logits))
    no_softmax = "cross_entropy takes logits and includes the softmax. Leave your softmax out."
    return (
        Mistake(
            "This is only the direction from picture to text. Add the one from text to picture (logits.T), and take the mean "
            "of the two.",
            lambda: cross_entropy(logits, own),
        ),
        Mistake(
            "This is only the direction from text to picture. Add the one from picture to text, and take the mean of the two.",
            lambda: cross_entropy(logits.T, own),
        ),
        Mistake(
            "Divide the similarities by the temperature; you multiply. A low temperature should sharpen the probabilities.",
            lambda: _both_ways(logits * temperature**2),
        ),
        Mistake(
            "The temperature has no effect: divide the similarities by it.", lambda: _both_ways(logits * temperature)
        ),
        Mistake("This is the sum of the two directions; take their mean.", lambda: 2 * _both_ways(logits)),
        Mistake(
            no_softmax,
            lambda: (cross_entropy(logits.softmax(1), own) + cross_entropy(logits.T.softmax(1), own)) / 2,
        ),
        Mistake(
            no_softmax,
            lambda: (cross_entropy(logits.softmax(1), own) + cross_entropy(logits.softmax(1).T, own)) / 2,
        ),
    )


@contrastive_loss.core(20)
def gradients(contrastive_loss, generator) -> None:
    """a loss that a model can learn from"""
    from torch.nn.functional import normalize

    images, texts = (normalize(x, dim=-1).requires_grad_() for x in _pairs(6, 5, generator))
    loss, right = contrastive_loss(images, texts, 0.4), _right_loss(images, texts, 0.4)
    compare_gradients(loss, right, (images, texts), "The loss's gradient", tolerance=1e-2)


@contrastive_loss.edge(20)
def of_any_length(contrastive_loss, generator) -> None:
    """embeddings of any length"""
    import torch

    for pairs, width in ((5, 8), (12, 5)):
        lengths = torch.rand(2, pairs, 1, generator=generator) * 9 + 0.2
        images, texts = torch.stack(_pairs(pairs, width, generator)) * lengths
        temperature = 0.5
        unscaled = images @ texts.T / temperature
        mistakes = (
            Mistake(
                "The embeddings are not scaled to length 1 first, so long ones seem similar to everything: use "
                "F.normalize(…, dim=-1).",
                lambda unscaled=unscaled: _both_ways(unscaled),
            ),
        )
        loss = call(contrastive_loss, images, texts, temperature)
        compare_tensors(
            loss, _right_loss(images, texts, temperature), "The loss of embeddings that are not of length 1", mistakes
        )


@contrastive_loss.edge(15)
def at_low_temperature(contrastive_loss, generator) -> None:
    """a low temperature, at which exp(similarity / temperature) is too large for a float"""
    import torch
    from torch.nn.functional import normalize

    images, texts = (normalize(x, dim=-1) for x in _pairs(6, 4, generator))
    loss = contrastive_loss(images, texts, 0.005)
    expect(
        not torch.is_tensor(loss) or bool(torch.isfinite(loss).all()),
        "At temperature 0.005 the loss is not finite: exp(200) does not fit into a float. Use cross_entropy or log_softmax, "
        "which subtract the largest logit first.",
    )
    compare_tensors(loss, _right_loss(images, texts, 0.005), "The loss at temperature 0.005", tolerance=1e-3)


def _pairs(n: int, width: int, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of n pictures and their texts; each text is a little like its picture."""
    import torch

    images, texts = torch.randn(2, n, width, generator=generator)
    return images, texts + images * torch.rand((), generator=generator)


def _both_ways(logits: torch.Tensor) -> torch.Tensor:
    both = logits.logsumexp(0) + logits.logsumexp(1) - 2 * logits.diagonal()
    return both.mean() / 2


def _right_loss(images: torch.Tensor, texts: torch.Tensor, temperature: float) -> torch.Tensor:
    images = images.double() / images.double().norm(dim=1, keepdim=True)
    texts = texts.double() / texts.double().norm(dim=1, keepdim=True)
    return _both_ways(images @ texts.T / temperature).float()


# -- zero_shot

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
