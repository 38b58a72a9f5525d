"""Rows of prompts to try functions on, and CLIP's vectors of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helpers.collection import made_prompts

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TOLERANCE", "fresh_rows", "same_direction", "vectors_of"]

TOLERANCE = 1e-3
"""How far vectors and distances may be off: how texts are put into batches changes the last digits."""


def fresh_rows(n: int, rng: random.Random) -> list[dict]:
    """n rows with different prompts from the picture-book world, each about one kind of thing."""
    from helpers.picturebook import parse

    rows: dict[str, dict] = {}  # by prompt: two scenes may be told in the same words
    for row in made_prompts(rng.randrange(10**6)):
        if len(parse(row["prompt"]).things) == 1:
            rows.setdefault(row["prompt"], row)
        if len(rows) == n:
            return list(rows.values())
    raise AssertionError("made_prompts never ends")


def vectors_of(rows: Sequence[dict]) -> np.ndarray:
    """The CLIP vectors of the rows' prompts, float32 (n, 512)."""
    from helpers import clip

    return clip.embed_texts([row["prompt"] for row in rows])


def same_direction(vectors: np.ndarray, right: np.ndarray) -> np.ndarray:
    """For each of the vectors, of any length, whether it points where the right one of length 1 does: bool (n,)."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1)
    cosines = (vectors * right).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    return cosines > 1 - TOLERANCE  # False of NaN, too
