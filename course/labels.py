"""Where things are in a picture, on a grid: the kind and colour in each cell, and the position of each thing's foot."""

from __future__ import annotations

import numpy as np

from helpers.judge import FOOT
from helpers.picturebook import COLOURS, KINDS, Scene, boxes

GRID = 8
FOOT_GRID = 16
IGNORE = -100
"""The label that `cross_entropy` ignores."""


def segmentation_labels(scene: Scene, grid: int = GRID) -> np.ndarray:
    """Return int64 (2, grid * grid), row by row: kind and colour of what covers each cell's centre, counted from 1.

    0 is the background; where things overlap, the one in front counts.
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


def foot_labels(scene: Scene) -> np.ndarray:
    """Return float32 (4, 16, 16): how near each cell's centre is to a thing's foot (1 at the foot), and around each
    foot half the thing's side, its kind and its colour; kind and colour are `IGNORE` elsewhere.

    Feet, not centres: a cat in the middle of a boat has almost the same centre as the boat.
    """
    labels = np.zeros((4, FOOT_GRID, FOOT_GRID), dtype=np.float32)
    labels[2:] = IGNORE
    cells = np.arange(FOOT_GRID) + 0.5
    for box in boxes(scene):
        y = box.y + FOOT * box.half
        distance = np.add.outer((cells - y * FOOT_GRID) ** 2, (cells - box.x * FOOT_GRID) ** 2)
        nearest = np.unravel_index(distance.argmin(), distance.shape)
        closeness = np.exp(-distance)
        closeness[nearest] = 1.0
        nearby = (closeness > 0.3) & (closeness >= labels[0])
        labels[1:, nearby] = np.array([[box.half], [KINDS.index(box.thing.kind)], [COLOURS.index(box.thing.colour)]])
        labels[0] = np.maximum(labels[0], closeness)
    return labels
