"""Rows of prompts as inputs for the checks, and their CLIP vectors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helpers.collection import made_prompts

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TOLERANCE", "fresh_rows", "same_direction", "vectors_of"]

TOLERANCE = 1e-3
"""The largest error of vectors and distances: batches of another size change the last digits."""


def fresh_rows(n: int, rng: random.Random) -> list[dict]:
    """Return n rows with different prompts from the picture-book world, each about one kind of thing."""
    from helpers.picturebook import parse

    rows: dict[str, dict] = {}  # by prompt: two scenes may have the same description
    for row in made_prompts(rng.randrange(10**6)):
        if len(parse(row["prompt"]).things) == 1:
            rows.setdefault(row["prompt"], row)
        if len(rows) == n:
            return list(rows.values())
    raise AssertionError("made_prompts never ends")


def vectors_of(rows: Sequence[dict]) -> np.ndarray:
    """Return the CLIP vectors of the rows' prompts, float32 (n, 512)."""
    from helpers import clip

    return clip.embed_texts([row["prompt"] for row in rows])


def same_direction(vectors: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether each vector, of any length, has the direction of the right one, which has length 1: bool (n,)."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1)
    cosines = (vectors * right).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    return cosines > 1 - TOLERANCE  # False for NaN, too
