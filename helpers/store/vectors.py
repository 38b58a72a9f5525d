"""Which vectors a table may get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.store.errors import StoreError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["VECTOR_LENGTH", "check_vectors"]

#: The length of a prompt's vector: the projection size of the course's CLIP, and of OpenAI's ViT-B/32.
VECTOR_LENGTH = 512


def check_vectors(vectors: np.ndarray, length: int = VECTOR_LENGTH) -> None:
    """Refuse vectors that a table must not get: of another length, with NaN or infinity, or all zeros.

    A zero vector has no direction: its cosine distance to everything is NaN, and so it spoils every search.

    Args:
        vectors: array (n, length).
        length: the length that the table expects.

    Raises:
        StoreError: names the first invalid vector (counting from 0), and what is wrong with it.
    """
    import numpy as np

    if vectors.ndim != 2 or vectors.shape[1] != length:
        raise StoreError(f"Expected vectors as an array of shape (n, {length}), but its shape is {vectors.shape}.")
    for what, wrong in (
        ("has NaN or infinity among its numbers", ~np.isfinite(vectors).all(axis=1)),
        ("is all zeros: it has no direction, and its distance to everything is NaN", ~vectors.any(axis=1)),
    ):
        if wrong.any():
            raise StoreError(f"Vector {wrong.argmax()} {what}. Nothing was stored; check what it was made from.")
