"""How good a model's pictures are: the share in which the judge sees the kind and the colour that were asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch

from helpers.judge import Judge, load_judge, read, shows_thing
from helpers.picturebook import Scene, Thing
from helpers.speedrun.world import COLOURS, KINDS, PLACES, to_images

__all__ = ["fits", "standard_error"]


@cache
def _judge() -> Judge:
    return load_judge()


def fits(pixels: torch.Tensor, conditions: torch.Tensor) -> list[bool]:
    """Return for each picture whether the judge sees the right kind in the right colour, as in `course evaluate`.

    Args:
        pixels: the pictures, (n, 3, height, width) in -1 … 1; the judge enlarges them to the size it was trained with.
        conditions: what was asked for, (n, 2).
    """
    wanted = [Scene((Thing(KINDS[kind], COLOURS[colour]),), PLACES[0]) for kind, colour in conditions.tolist()]
    readings = read(_judge(), to_images(pixels))
    return [shows_thing(reading, scene) for reading, scene in zip(readings, wanted, strict=True)]


def standard_error(hits: Sequence[bool] | float, n: int | None = None) -> float:
    """Return by how much a share of n pictures varies by chance, from the hits themselves or the share and n."""
    share, n = (hits, n) if n is not None else (sum(hits) / len(hits), len(hits))
    return math.sqrt(max(share * (1 - share), 1 / (4 * n)) / n)
