"""Where things are in a picture, and what a word finds there: what models are asked while they learn, beside their task."""

from __future__ import annotations

import numpy as np
import torch

from helpers.picturebook import COLOURS, KINDS, Scene, boxes

GRID = 8
IGNORE = -100
"""The label of what is not asked: `cross_entropy` leaves it out."""


def cover_labels(scene: Scene, grid: int = GRID) -> np.ndarray:
    """int64 (2, grid * grid), row by row: kind and colour of what covers each cell's centre, counted from 1.

    0 is the background; where things cover each other, the one in front counts.
    """
    labels = np.zeros((2, grid, grid), dtype=np.int64)
    centres = (np.arange(grid) + 0.5) / grid
    for box in boxes(scene):
        inside_x, inside_y = np.abs(centres - box.x) < box.half * 0.85, np.abs(centres - box.y) < box.half * 0.9
        cover = np.outer(inside_y, inside_x)
        labels[0][cover] = 1 + KINDS.index(box.thing.kind)
        labels[1][cover] = 1 + COLOURS.index(box.thing.colour)
    return labels.reshape(2, -1)


def looked_up(scene: Scene, kind: str) -> int:
    """What the picture says of a kind: 1 + its colour's index, 0 where there is none, `IGNORE` where there are two."""
    colours = [thing.colour for thing in scene.things if thing.kind == kind]
    if not colours:
        return 0
    return 1 + COLOURS.index(colours[0]) if len(colours) == 1 else IGNORE


def word_labels(ids: torch.Tensor, named: dict[int, str], scenes: list[Scene]) -> torch.Tensor:
    """What each word looks up, (n, length): `looked_up` where a token names a kind, `IGNORE` elsewhere.

    Args:
        ids: (n, length), token ids of texts about the scenes.
        named: the kind that a token names, by its id.
    """
    labels = torch.full_like(ids, IGNORE)
    for row, column in torch.isin(ids, torch.tensor(list(named))).nonzero().tolist():
        labels[row, column] = looked_up(scenes[row], named[ids[row, column].item()])
    return labels
