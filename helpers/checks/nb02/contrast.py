"""`contrastive_loss` and `sigmoid_loss`: the losses of CLIP and of SigLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_gradients, compare_tensors, expect

if TYPE_CHECKING:
    import torch

__all__ = ["contrastive_loss", "sigmoid_loss"]

NOT_NORMALISED = (
    "The embeddings are not scaled to length 1 first, so long ones seem similar to everything: use "
    "F.normalize(…, dim=-1)."
)

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
        mistakes = (Mistake(NOT_NORMALISED, lambda unscaled=unscaled: _both_ways(unscaled)),)
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
    return _both_ways(_cosines(images, texts) / temperature).float()


def _cosines(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """The cosine of each picture with each text, in double precision."""
    images = images.double() / images.double().norm(dim=1, keepdim=True)
    texts = texts.double() / texts.double().norm(dim=1, keepdim=True)
    return images @ texts.T


# -- sigmoid_loss

sigmoid_loss = Exercise("sigmoid_loss")


@sigmoid_loss.core(45)
def of_all_pairs(sigmoid_loss, generator) -> None:
    """the sum over all pairs, right and wrong ones, divided by the batch size"""
    from torch.nn.functional import normalize

    for pairs, temperature, bias in ((5, 4.0, -1.5), (2, 0.5, 0.75), (7, 10.0, -3.0)):
        images, texts = (normalize(x, dim=-1) for x in _pairs(pairs, 8, generator))
        loss = call(sigmoid_loss, images, texts, temperature, bias)
        what = f"The loss of {pairs} pairs at temperature {temperature} and bias {bias}"
        cosines = images @ texts.T
        compare_tensors(loss, _pairwise(cosines * temperature + bias), what, _slips(cosines, temperature, bias))


def _slips(cosines: torch.Tensor, temperature: float, bias: float) -> tuple[Mistake, ...]:
    import torch
    from torch.nn.functional import logsigmoid, softplus

    logits, n = cosines * temperature + bias, len(cosines)
    own = torch.eye(n, dtype=torch.bool)
    signs = 2.0 * own - 1
    return (
        Mistake(
            "Here the temperature multiplies the similarities, as in the paper. You divide by it.",
            lambda: _pairwise(cosines / temperature + bias),
        ),
        Mistake("The temperature has no effect: multiply the similarities by it.", lambda: _pairwise(cosines + bias)),
        Mistake("The bias has no effect: add it to the logits.", lambda: _pairwise(cosines * temperature)),
        Mistake("Add the bias. You subtract it.", lambda: _pairwise(cosines * temperature - bias)),
        Mistake(
            "Add the bias after multiplying by the temperature, not before.",
            lambda: _pairwise((cosines + bias) * temperature),
        ),
        Mistake(
            "This is the mean over all N² pairs. Divide their sum by N, the batch size.",
            lambda: _pairwise(logits) / n,
        ),
        Mistake("This is the sum over all pairs. Divide it by N, the batch size.", lambda: _pairwise(logits) * n),
        Mistake(
            "Only the right pairs, on the diagonal, are counted. The wrong ones belong to the sum too, with label −1.",
            lambda: softplus(-logits.diagonal()).mean(),
        ),
        Mistake(
            "All pairs are counted as right ones. Those off the diagonal have the label −1.",
            lambda: softplus(-logits).sum() / n,
        ),
        Mistake(
            "The wrong pairs have the label 0 here, so their logits play no part. The label should be −1.",
            lambda: -logsigmoid(own * logits).sum() / n,
        ),
        Mistake(
            "The labels are the wrong way round: +1 belongs to the diagonal, −1 to all other pairs.",
            lambda: _pairwise(-logits),
        ),
        Mistake(
            "The logarithm is missing: a pair's loss is −log of the sigmoid.",
            lambda: -(signs * logits).sigmoid().sum() / n,
        ),
        Mistake("The sign is wrong: the logarithm of a probability is negative.", lambda: -_pairwise(logits)),
        Mistake(
            "This is a softmax over the batch, as in contrastive_loss. Here each pair has a sigmoid.",
            lambda: _both_ways(logits),
        ),
    )


@sigmoid_loss.core(20)
def gradients_of_pairs(sigmoid_loss, generator) -> None:
    """a loss from which embeddings, temperature and bias can be learned"""
    import torch
    from torch.nn.functional import normalize

    images, texts = (normalize(x, dim=-1).requires_grad_() for x in _pairs(6, 5, generator))
    temperature, bias = torch.tensor(3.0, requires_grad=True), torch.tensor(-1.0, requires_grad=True)
    inputs = images, texts, temperature, bias
    compare_gradients(
        sigmoid_loss(*inputs), _right_sigmoid_loss(*inputs), inputs, "The loss's gradient", tolerance=1e-2
    )


@sigmoid_loss.edge(20)
def of_pairs_of_any_length(sigmoid_loss, generator) -> None:
    """embeddings of any length"""
    import torch

    for pairs, width in ((5, 8), (12, 5)):
        lengths = torch.rand(2, pairs, 1, generator=generator) * 9 + 0.2
        images, texts = torch.stack(_pairs(pairs, width, generator)) * lengths
        unscaled = Mistake(NOT_NORMALISED, lambda products=images @ texts.T: _pairwise(products * 2.0 - 1.0))
        loss = call(sigmoid_loss, images, texts, 2.0, -1.0)
        right = _right_sigmoid_loss(images, texts, 2.0, -1.0)
        compare_tensors(loss, right, "The loss of embeddings that are not of length 1", (unscaled,))


@sigmoid_loss.edge(15)
def of_large_logits(sigmoid_loss, generator) -> None:
    """large logits, whose sigmoid is 0 in a float"""
    import torch
    from torch.nn.functional import normalize

    images, texts = (normalize(x, dim=-1) for x in _pairs(6, 4, generator))
    loss = call(sigmoid_loss, images, texts, 400.0, -10.0)
    expect(
        not torch.is_tensor(loss) or bool(torch.isfinite(loss).all()),
        "At temperature 400 the loss is not finite: the sigmoid of a logit such as −200 is 0 in a float, and log(0) is −∞. "
        "Use F.logsigmoid.",
    )
    compare_tensors(loss, _right_sigmoid_loss(images, texts, 400.0, -10.0), "The loss at temperature 400")


def _pairwise(logits: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn.functional import softplus

    signs = 2 * torch.eye(len(logits), dtype=logits.dtype) - 1
    return softplus(-signs * logits).sum() / len(logits)


def _right_sigmoid_loss(images: torch.Tensor, texts: torch.Tensor, temperature, bias) -> torch.Tensor:
    return _pairwise(_cosines(images, texts) * temperature + bias).float()
