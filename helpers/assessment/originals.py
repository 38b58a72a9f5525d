"""The course's four originals: recognise them, and find the one for a record that names no source picture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from helpers import clip
from helpers.assessment.findings import Spot
from helpers.assessment.opened import JudgedRecord, OpenedSubmission, Picture
from helpers.likeness import near_duplicate
from helpers.originals import SCENES
from helpers.picturebook import Scene, draw
from helpers.picturebook.words import plain_caption

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["Original", "original_of", "originals", "with_originals"]


class Original(NamedTuple):
    """One of the four: its file name, its scene, and the picture."""

    name: str
    scene: Scene
    image: Image.Image


@cache
def originals() -> tuple[Original, ...]:
    """Draw the four."""
    return tuple(Original(name, scene, draw(scene, size=128)) for name, scene in SCENES.items())


def original_of(image: Image.Image) -> Original | None:
    """Return the original that a picture shows; None if it is not one of them."""
    return next((original for original in originals() if near_duplicate(original.image, image)), None)


def with_originals(opened: OpenedSubmission) -> OpenedSubmission:
    """Give each record without a source picture the original that it fits best, each original once.

    Early submissions name no source pictures.
    """
    lacking = [one for one in opened.judged() if one.source is None]
    if not lacking:
        return opened
    known = [original_of(source.image) for source in opened.sources if source and source.image]
    named = {original.name for original in known if original}
    left = [original for original in originals() if original.name not in named]
    scores = _scores(lacking, left)
    best = max(
        permutations(range(len(left)), len(lacking)),
        key=lambda order: sum(scores[row, column] for row, column in enumerate(order)),
    )
    sources = list(opened.sources)
    for one, column in zip(lacking, best, strict=True):
        original = left[column]
        sources[one.number - 1] = Picture(Spot(one.number, "source picture"), original.name, original.image)
    return replace(opened, sources=sources)


def _scores(records: list[JudgedRecord], candidates: list[Original]) -> np.ndarray:
    """Return how well each record fits each original: array (records, originals).

    The score is the similarity of the description to the original, plus the mean similarity of the record's pictures to
    a caption of the original.
    """
    import numpy as np

    scores = np.zeros((len(records), len(candidates)))
    embeddings = clip.embed_images([original.image for original in candidates])
    captions = clip.embed_texts([plain_caption(original.scene) for original in candidates])
    for row, one in enumerate(records):
        if one.record.original_description.strip():
            scores[row] += (clip.embed_texts([one.record.original_description]) @ embeddings.T)[0]
        if images := [picture.image for picture in one.pictures if picture.image is not None]:
            scores[row] += (clip.embed_images(images) @ captions.T).mean(0)
    return scores
