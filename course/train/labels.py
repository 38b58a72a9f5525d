"""Where things are in a picture, and what a word finds there: what models are asked while they learn, beside their task."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers.picturebook import COLOURS, KINDS, Scene, boxes

GRID = 8
FOOT_GRID = 16
IGNORE = -100
"""The label of what is not asked: `cross_entropy` leaves it out."""


def cover_labels(scene: Scene, grid: int = GRID) -> np.ndarray:
    """int64 (2, grid * grid), row by row: kind and colour of what covers each cell's centre, counted from 1.

    0 is the background; where things cover each other, the one in front counts.
    """
    labels = np.zeros((2, grid, grid), dtype=np.int64)
    centres = [(i + 0.5) / grid for i in range(grid)]
    for box in boxes(scene):
        columns = [i for i, centre in enumerate(centres) if abs(centre - box.x) < box.half * 0.85]
        rows = [i for i, centre in enumerate(centres) if abs(centre - box.y) < box.half * 0.9]
        if rows and columns:
            cells = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            labels[0][cells] = 1 + KINDS.index(box.thing.kind)
            labels[1][cells] = 1 + COLOURS.index(box.thing.colour)
    return labels.reshape(2, -1)


FOOT = 0.8
"""How far below a thing's centre its foot is, in halves of its side."""


def foot_labels(scene: Scene) -> np.ndarray:
    """float32 (4, 16, 16): how near each cell's centre is to a thing's foot (1 at it), and around each foot half the
    thing's side, its kind and its colour; kind and colour are `IGNORE` elsewhere.

    Feet, not centres: a cat in the middle of a boat has nearly the boat's centre.
    """
    labels = np.zeros((4, FOOT_GRID, FOOT_GRID), dtype=np.float32)
    labels[2:] = IGNORE
    cells = np.arange(FOOT_GRID) + 0.5
    for box in boxes(scene):
        y = box.y + FOOT * box.half
        away = np.add.outer((cells - y * FOOT_GRID) ** 2, (cells - box.x * FOOT_GRID) ** 2)
        nearest = np.unravel_index(away.argmin(), away.shape)
        closeness = np.exp(-away)
        closeness[nearest] = 1.0
        mine = (closeness > 0.3) & (closeness >= labels[0])
        labels[1:, mine] = np.array([[box.half], [KINDS.index(box.thing.kind)], [COLOURS.index(box.thing.colour)]])
        labels[0] = np.maximum(labels[0], closeness)
    return labels


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
