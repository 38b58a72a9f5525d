"""Whether a text fits a picture according to CLIP, and whether another one fits better.

A text fits a picture if CLIP finds it more similar than nearly all of 200 rivals, captions of other scenes. So no
threshold depends on the scale of one CLIP's similarities.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from helpers import clip
from helpers.picturebook import describe, random_scene

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["ENOUGH", "Fits", "compare", "fits"]

RIVALS = 200
#: The share of the rivals that a text must beat to fit. Measured with the mini CLIP on 200 drawn scenes: every full
#: caption does, 99.0 % of those without three words in five, and 0.5 % of another scene's captions; of 16 pictures of
#: the mini diffusion model all fit their prompts, and none fits a prompt about other things. A caption with one wrong
#: word usually fits too (place 99.5 %, kind 83 %), hence `MARGIN` of `description_criteria`.
ENOUGH = 0.98
#: A picture belongs to another record if that record's text is more similar than its own texts by more than this
#: (cosine). Measured with the mini models on 96 pictures drawn in four steps for 24 records: none is assigned to
#: another record; of those moved to another record 97 % are found, with a lead of at least 0.24 for their own prompt
#: over the other four. Of 200 drawn scenes no caption is assigned to another one, and 98 % of swapped ones are found,
#: with a lead of at least 0.37. Of pictures that belong to no record, noise is never assigned to one (at 0.1 in 6 % of
#: the cases), a scene of other things in 5 %.
CLEAR_LEAD = 0.2


@cache
def _rivals(checkpoint: str) -> np.ndarray:
    """Embed captions of other scenes with the CLIP of this name: float32 array (RIVALS, projection size)."""
    rng = Random(0)
    return clip.embed_texts([describe(random_scene(rng), rng) for _ in range(RIVALS)])


class Fits(NamedTuple):
    """How well each text fits each picture.

    Attributes:
        cosines: cosine similarity, array (texts, pictures).
        beaten: the share of the rivals, 0 to 1, that are less similar to the picture than the text; same shape.
    """

    cosines: np.ndarray
    beaten: np.ndarray

    def fits(self, text: int, picture: int) -> bool:
        """Return whether the text fits the picture."""
        return bool(self.beaten[text, picture] >= ENOUGH)

    def clearly_better(self, other: int, own: Sequence[int], picture: int) -> bool:
        """Return whether another text fits clearly better than all of the `own` ones, of which the first doesn't fit."""
        nearest = max(self.cosines[text, picture] for text in own)
        fits_only_other = self.fits(other, picture) and not self.fits(own[0], picture)
        return bool(fits_only_other and self.cosines[other, picture] > nearest + CLEAR_LEAD)


def compare(texts: Sequence[str], images: Sequence[Image.Image]) -> Fits:
    """Compare each text with each picture; there must be at least one of both."""
    from helpers import models

    embeddings = clip.embed_images(images)
    cosines = clip.embed_texts(texts) @ embeddings.T
    rivals = _rivals(models.entry("clip").id) @ embeddings.T
    return Fits(cosines, (cosines[:, None, :] > rivals[None, :, :]).mean(1))


def fits(texts: Sequence[str], images: Sequence[Image.Image]) -> list[bool]:
    """Return whether each text fits the picture with the same index."""
    if not texts:
        return []
    found = compare(texts, images)
    return [found.fits(i, i) for i in range(len(texts))]
