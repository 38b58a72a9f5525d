"""Whether a text fits a picture, as CLIP sees it, and whether it fits another one better.

A text fits a picture when it suits it better than nearly all of 200 rivals do, the captions of other scenes, in
CLIP's cosine similarity. So no threshold hangs on the scale of one CLIP's similarities.
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
#: The share of the rivals that a text must beat to fit. Measured with the mini CLIP, on 200 drawn scenes: every full
#: caption does, 99.0 % of those that leave out three words of five, and 0.5 % of another scene's captions; of 16
#: pictures of the mini diffusion model all fit their prompts, and none fits a prompt about other things. A caption
#: that is wrong in one word mostly fits as well (place 99.5 %, kind 83 %), hence `MARGIN` of `description_criteria`.
ENOUGH = 0.98
#: So much nearer, in cosine similarity, a text that fits must be than those that should fit, for the picture to be its own.
#: Measured with the mini models on 96 pictures drawn in four steps for 24 records: none is held to be another record's;
#: moved to another record, 97 % are found, each at least 0.24 nearer to its own prompt than to the other four. Of 200
#: drawn scenes no caption is held to be another's, and 98 % of exchanged ones are found, at least 0.37 nearer. Of pictures
#: that belong to no record, noise is never held to be another record's (with 0.1 in 6 % of the cases), and a scene of
#: other things in 5 %.
CLEARLY = 0.2


@cache
def _rivals(checkpoint: str) -> np.ndarray:
    """Captions of other scenes, embedded by the CLIP of this name: float32 array (RIVALS, projection size)."""
    rng = Random(0)
    return clip.embed_texts([describe(random_scene(rng), rng) for _ in range(RIVALS)])


class Fits(NamedTuple):
    """How well each text fits each picture.

    Attributes:
        cosines: cosine similarity, array (texts, pictures).
        beaten: the share of the rivals, 0 to 1, that the text is nearer to the picture than; of the same shape.
    """

    cosines: np.ndarray
    beaten: np.ndarray

    def fits(self, text: int, picture: int) -> bool:
        """Whether the text fits the picture."""
        return bool(self.beaten[text, picture] >= ENOUGH)

    def clearly_better(self, other: int, own: Sequence[int], picture: int) -> bool:
        """Whether another text fits the picture, and clearly better than all of its own, the first of which does not."""
        nearest = max(self.cosines[text, picture] for text in own)
        fits_only_other = self.fits(other, picture) and not self.fits(own[0], picture)
        return bool(fits_only_other and self.cosines[other, picture] > nearest + CLEARLY)


def compare(texts: Sequence[str], images: Sequence[Image.Image]) -> Fits:
    """Each text with each picture. There must be at least one of both."""
    from helpers import models

    seen = clip.embed_images(images)
    cosines = clip.embed_texts(texts) @ seen.T
    rivals = _rivals(models.entry("clip").id) @ seen.T
    return Fits(cosines, (cosines[:, None, :] > rivals[None, :, :]).mean(1))


def fits(texts: Sequence[str], images: Sequence[Image.Image]) -> list[bool]:
    """Whether each text fits the picture of the same place."""
    if not texts:
        return []
    found = compare(texts, images)
    return [found.fits(i, i) for i in range(len(texts))]
