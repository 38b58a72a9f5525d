"""`rate_image` and `rate_image_by_caption`: CLIP's cosine of a text with a picture, and with the picture's caption."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, expect, expect_number, expect_type
from helpers.checks.fakes import fake_image
from helpers.checks.samples import random_prompts
from helpers.checks.words import cut, described

if TYPE_CHECKING:
    from PIL import Image

    from helpers.picturebook import Scene

__all__ = ["rate_image", "rate_image_by_caption"]

TOLERANCE = 1e-3
"""The largest error of a cosine: only rounding, for example in batches of another size."""
PLAIN_FLOAT = "Convert it with float(…) or .item()."

# -- rate_image

rate_image = Exercise("rate_image")


@rate_image.given
def scenes(rng) -> list[Scene]:
    """Three scenes with different kinds of things."""
    from helpers.picturebook import KINDS, PLACES, Scene, Thing

    kinds, places = rng.sample(KINDS, 3), rng.sample(PLACES, 3)
    colours = rng.sample(["red", "blue", "yellow", "white"], 3)
    return [Scene((Thing(kind, colour),), place) for kind, colour, place in zip(kinds, colours, places, strict=True)]


@rate_image.given
def drawings(scenes) -> list[Image.Image]:
    from helpers.picturebook import draw

    return [draw(scene, size=128) for scene in scenes]


@rate_image.given
def captions(scenes, rng) -> list[str]:
    from helpers.picturebook import describe

    return [describe(scene, rng) for scene in scenes]


@rate_image.core(40)
def texts_that_fit(rate_image, drawings, captions) -> None:
    """the cosine of a picture and a text that fits"""
    for text, image in zip(captions, drawings, strict=True):
        _expect_cosine(rate_image(text, image), text, image)


@rate_image.core(25)
def texts_that_do_not_fit(rate_image, drawings, captions) -> None:
    """the cosine of a picture and a text that does not fit"""
    for text, image in zip(captions[1:] + captions[:1], drawings, strict=True):
        _expect_cosine(rate_image(text, image), text, image)


@rate_image.edge(20)
def as_a_float(rate_image, drawings, captions) -> None:
    """a plain float"""
    expect_type(rate_image(captions[0], drawings[0]), float, "What rate_image returns", PLAIN_FLOAT)


@rate_image.edge(15)
def long_texts(rate_image, drawings, rng) -> None:
    """a text that is longer than CLIP can read"""
    from helpers import stories

    text = " ".join(rng.sample(stories.read(), 3))
    _expect_cosine(rate_image(text, drawings[0]), text, drawings[0])


def _expect_cosine(result, text: str, image: Image.Image) -> None:
    from helpers import clip

    right = float(clip.similarity([text], [image])[0, 0])
    mistakes = (
        Mistake("This is a distance, which grows as the fit gets worse. Return the cosine.", lambda: 1 - right),
        Mistake("The sign is wrong: the better they fit, the higher the cosine should be.", lambda: -right),
        Mistake("A cosine is from -1 to 1: don't turn it into a percentage.", lambda: 100 * right),
    )
    _expect_score(result, right, f"The cosine of {cut(text, 80)!r} and its picture", mistakes)


def _expect_score(result, right: float, what: str, mistakes: tuple[Mistake, ...]) -> None:
    """Raise `CheckFailed` unless the result is this number; another case checks whether it is a plain float."""
    number = result.item() if getattr(result, "size", None) == 1 or hasattr(result, "detach") else result
    expect(isinstance(number, (int, float)), f"{what} should be a float, but it is {described(result)}.")
    hint = "The cosine of two vectors is their dot product if both have length 1."
    expect_number(float(number), right, what, mistakes, tolerance=TOLERANCE, hint=hint)


# -- rate_image_by_caption

rate_image_by_caption = Exercise("rate_image_by_caption")


@rate_image_by_caption.given
def texts(rng) -> list[str]:
    """Six texts that differ."""
    return random_prompts(rng, 6)


@rate_image_by_caption.given
def picture(rng) -> Image.Image:
    return fake_image(rng.random())


@rate_image_by_caption.core(40)
def similar_captions(rate_image_by_caption, texts, picture) -> None:
    """the cosine of the text and a caption that has most of its words"""
    for text in texts[:3]:
        _expect_caption_cosine(rate_image_by_caption, text, picture, f"a picture of {text}")


@rate_image_by_caption.core(25)
def different_captions(rate_image_by_caption, texts, picture) -> None:
    """the cosine of the text and a caption of something else"""
    for text, caption in zip(texts[:3], [*texts[3:5], "a picture"], strict=True):
        _expect_caption_cosine(rate_image_by_caption, text, picture, caption)


@rate_image_by_caption.edge(20)
def one_caption(rate_image_by_caption, texts, picture) -> None:
    """the picture is captioned once"""
    shown: list = []
    rate_image_by_caption(texts[0], picture, caption=lambda image: shown.append(image) or texts[1])
    expect(
        len(shown) == 1,
        f"caption(image) should be called once, but there were {len(shown)} calls. Captioning takes seconds.",
    )
    expect(
        getattr(shown[0], "tobytes", bytes)() == picture.tobytes(),
        f"caption should get the picture unchanged, but it got {described(shown[0])}.",
    )


@rate_image_by_caption.edge(15)
def caption_score_as_a_float(rate_image_by_caption, texts, picture) -> None:
    """a plain float"""
    result = rate_image_by_caption(texts[0], picture, caption=lambda image: texts[1])
    expect_type(result, float, "What rate_image_by_caption returns", PLAIN_FLOAT)


def _expect_caption_cosine(rate_image_by_caption, text: str, image: Image.Image, caption: str) -> None:
    """Raise `CheckFailed` unless the score is the cosine of the text and this caption."""
    from helpers import clip

    result = rate_image_by_caption(text, image, caption=lambda _: caption)
    one, other = clip.embed_texts([text, caption])
    mistakes = (
        Mistake(
            "This compares the text with the picture; compare it with the picture's caption.",
            lambda: clip.similarity([text], [image])[0, 0],
        ),
        Mistake(
            "This compares the caption with the picture; compare it with the text.",
            lambda: clip.similarity([caption], [image])[0, 0],
        ),
        Mistake("This is a distance, which grows as the fit gets worse. Return the cosine.", lambda: 1 - one @ other),
        Mistake("This is a squared distance. Return the cosine.", lambda: ((one - other) ** 2).sum()),
    )
    what = f"The cosine of the text {text!r} and the caption {caption!r}"
    _expect_score(result, float(one @ other), what, mistakes)
