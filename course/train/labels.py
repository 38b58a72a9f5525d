"""Auxiliary training losses: tokens that name a kind must predict its attributes in the picture."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from course.labels import IGNORE
from helpers.picturebook import COLOURS, Scene


def masked_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy over the labels that are not `IGNORE`, 0 if there are none.

    Args:
        logits: (n, classes).
        labels: (n,).
    """
    losses = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="sum")
    return losses / (labels != IGNORE).sum().clamp(min=1)


MAX_COUNT = 4
"""The largest count of a kind that is distinguished."""


def attribute_labels(scene: Scene, kind: str) -> tuple[int, int]:
    """Return the labels of a kind: 1 + its colour's index (0 if there is none, `IGNORE` if there are two colours), and
    its count."""
    colours = [thing.colour for thing in scene.things if thing.kind == kind]
    number = min(MAX_COUNT, sum(thing.count for thing in scene.things if thing.kind == kind))
    if not colours:
        return 0, 0
    return (1 + COLOURS.index(colours[0]) if len(colours) == 1 else IGNORE), number


def word_labels(ids: torch.Tensor, named: dict[int, str], scenes: list[Scene]) -> torch.Tensor:
    """Return labels of all tokens, (n, length, 2): `attribute_labels` where a token names a kind, `IGNORE` elsewhere.

    Args:
        ids: (n, length), token ids of texts about the scenes.
        named: token id → the kind it names.
    """
    labels = torch.full((*ids.shape, 2), IGNORE)
    for row, column in torch.isin(ids, torch.tensor(list(named))).nonzero().tolist():
        labels[row, column] = torch.tensor(attribute_labels(scenes[row], named[ids[row, column].item()]))
    return labels


class AttributeHead(nn.Module):
    """Predicts, from a token that names a kind, the colour of that thing in the picture, or its absence, and its count.

    Without it, answers to "Is there a frog?" stay guesses for long, until the tokens learn to attend to the things.
    """

    def __init__(self, width: int):
        super().__init__()
        self.colour = nn.Linear(width, len(COLOURS) + 1)
        self.number = nn.Linear(width, MAX_COUNT + 1)

    def forward(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss; `hidden` (n, length, width), `labels` (n, length, 2) from `word_labels`."""
        asked = (labels[..., 1] != IGNORE).nonzero(as_tuple=True)
        words, labels = hidden[asked], labels[asked]
        return masked_cross_entropy(self.colour(words), labels[:, 0]) + masked_cross_entropy(
            self.number(words), labels[:, 1]
        )
