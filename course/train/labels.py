"""What models are asked while they learn, beside their task: what a word finds in the picture."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from course.labels import IGNORE
from helpers.picturebook import COLOURS, Scene


def known_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy over the labels that are not `IGNORE`, 0 where there are none.

    Args:
        logits: (n, classes).
        labels: (n,).
    """
    losses = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="sum")
    return losses / (labels != IGNORE).sum().clamp(min=1)


MOST = 4
"""The largest number of things of a kind that is told apart."""


def looked_up(scene: Scene, kind: str) -> tuple[int, int]:
    """What the picture says of a kind: 1 + its colour's index (0 where there is none, `IGNORE` where there are two
    colours), and how many there are."""
    colours = [thing.colour for thing in scene.things if thing.kind == kind]
    number = min(MOST, sum(thing.count for thing in scene.things if thing.kind == kind))
    if not colours:
        return 0, 0
    return (1 + COLOURS.index(colours[0]) if len(colours) == 1 else IGNORE), number


def word_labels(ids: torch.Tensor, named: dict[int, str], scenes: list[Scene]) -> torch.Tensor:
    """What each word looks up, (n, length, 2): `looked_up` where a token names a kind, `IGNORE` elsewhere.

    Args:
        ids: (n, length), token ids of texts about the scenes.
        named: the kind that a token names, by its id.
    """
    labels = torch.full((*ids.shape, 2), IGNORE)
    for row, column in torch.isin(ids, torch.tensor(list(named))).nonzero().tolist():
        labels[row, column] = torch.tensor(looked_up(scenes[row], named[ids[row, column].item()]))
    return labels


class LookUp(nn.Module):
    """What a word that names a kind must tell while a model learns: the colour of that thing in the picture, or that
    it is not there, and how many there are.

    Without it "Is there a frog?" is guessed for a long time before the words begin to look things up.
    """

    def __init__(self, width: int):
        super().__init__()
        self.colour = nn.Linear(width, len(COLOURS) + 1)
        self.number = nn.Linear(width, MOST + 1)

    def forward(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss; `hidden` (n, length, width), `labels` (n, length, 2) of `word_labels`."""
        asked = (labels[..., 1] != IGNORE).nonzero(as_tuple=True)
        words, labels = hidden[asked], labels[asked]
        return known_loss(self.colour(words), labels[:, 0]) + known_loss(self.number(words), labels[:, 1])
