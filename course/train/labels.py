"""Where things are in a picture, as labels on a grid: what the vision models are asked while they learn."""

from __future__ import annotations

import numpy as np

from helpers.picturebook import COLOURS, KINDS, Scene, boxes

GRID = 8


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
