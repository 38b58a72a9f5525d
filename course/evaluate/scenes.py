"""The new scenes on which models are evaluated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course.data import fresh_scenes
from helpers.picturebook import Scene

EVALUATION_SEED = 20_000


def single_scenes(n: int, seed: int) -> list[Scene]:
    """Return new scenes with a single thing."""
    found: list[Scene] = []
    scenes = iter(fresh_scenes(4 * n + 20, EVALUATION_SEED + seed, things=1))
    while len(found) < n:
        scene = next(scenes)
        if scene.total == 1:
            found.append(scene)
    return found


def pair_scenes(n: int, seed: int) -> list[Scene]:
    """Return new scenes with two things in a relation."""
    return fresh_scenes(n, EVALUATION_SEED + 2 + seed, things=2)


def accuracy(hits: Sequence[bool]) -> float:
    """Return the fraction of hits, 0 to 1."""
    return round(float(np.mean(hits)), 4)
