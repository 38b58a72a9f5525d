"""Rows of prompts as inputs for the checks, their CLIP vectors, and the DataFrame that a search returns."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.checks.expect import expect
from helpers.checks.words import described
from helpers.collection import made_prompts

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

__all__ = ["TOLERANCE", "expect_frame", "fresh_rows", "same_direction", "vectors_of"]

TOLERANCE = 1e-3
"""The largest error of vectors and distances: batches of another size change the last digits."""


def expect_frame(found: Any, what: str, hint: str = "") -> DataFrame:
    """Return what was found, or raise `CheckFailed` if it is not a DataFrame; `what` is the subject of the message."""
    import pandas as pd

    expect(
        isinstance(found, pd.DataFrame),
        f"{what} should return a pandas DataFrame, but it returned {described(found)}.{f' {hint}' if hint else ''}",
    )
    return found


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
