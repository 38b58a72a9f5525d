"""A fake image generator and its rater, for functions that draw and choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.fakes.pipeline import fake_image

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FakeGenerator"]


class Drawn(NamedTuple):
    """A call of `generate`."""

    prompt: str
    seed: int
    image: Image.Image


class Rated(NamedTuple):
    """A call of `rate`, and its score."""

    text: str
    image: Image.Image
    score: float


class FakeGenerator:
    """A generator whose `generate` and `rate` record every call in `drawn` and `rated`.

    The first picture drawn gets the first score, the next one the second, and so on. The same prompt and seed give the
    same picture again.
    """

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = list(scores)
        self.drawn: list[Drawn] = []
        self.rated: list[Rated] = []

    @property
    def images(self) -> list[Image.Image]:
        """The pictures that were drawn, each once, in the order in which they were first drawn."""
        return list({id(each.image): each.image for each in self.drawn}.values())

    def generate(self, prompt, *, seed):
        known = [each.image for each in self.drawn if (each.prompt, each.seed) == (prompt, seed)]
        image = known[0] if known else fake_image((prompt, seed))
        self.drawn.append(Drawn(prompt, seed, image))
        return image

    def rate(self, text, image):
        """Return the picture's score; the lowest score for a picture not drawn here, or one too many."""
        scores = dict(zip(map(id, self.images), self.scores, strict=False))
        self.rated.append(Rated(text, image, scores.get(id(image), min(self.scores))))
        return self.rated[-1].score
