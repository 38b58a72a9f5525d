"""`data_url` and `build_message`: a picture in a string, and that string in a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.data_urls import close_pixels, decode, kind_of, looks_like, same_pixels
from helpers.checks.expect import expect
from helpers.checks.samples import random_drawing
from helpers.checks.words import described

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["build_message", "data_url"]

data_url = Exercise("data_url")
build_message = Exercise("build_message")


@data_url.given
@build_message.given
def drawing(rng) -> Image.Image:
    """Part of a drawing, not square."""
    width, height = rng.sample(range(40, 90), 2)
    return random_drawing(rng, 128).crop((9, 20, 9 + width, 20 + height))


# -- data_url


@data_url.core(40)
def every_pixel(data_url, drawing) -> None:
    """an RGB picture as PNG, with every pixel unchanged"""
    same_pixels(data_url(drawing.copy()), drawing, "The data URL")


@data_url.core(25)
def other_format(data_url, drawing) -> None:
    """a JPEG if the format says so"""
    close_pixels(data_url(drawing.copy(), format="JPEG"), drawing, "The data URL", kind="JPEG")


@data_url.edge(10)
def transparency(data_url, drawing) -> None:
    """a PNG keeps the transparency of an RGBA picture"""
    image = transparent_at_the_top(drawing)
    same_pixels(data_url(image.copy()), image, "The data URL")


@data_url.edge(5)
def grey_and_palette(data_url, drawing) -> None:
    """PNGs of greyscale (L) and palette (P) pictures"""
    for mode in ("L", "P"):
        image = drawing.convert(mode)
        same_pixels(data_url(image.copy()), image, f"The data URL of a picture of mode {mode}")


@data_url.edge(10)
def jpeg_of_other_modes(data_url, drawing) -> None:
    """JPEGs of pictures that are not RGB"""
    for image in (drawing.convert("RGBA"), drawing.quantize(32), drawing.convert("L")):
        what = f"The data URL of a picture of mode {image.mode}"
        close_pixels(data_url(image.copy(), format="JPEG"), image, what, kind="JPEG")


@data_url.edge(5)
def webp(data_url, drawing) -> None:
    """a WEBP if the format says so"""
    close_pixels(data_url(drawing.copy(), format="WEBP"), drawing, "The data URL", kind="WEBP")


@data_url.edge(5)
def picture_unchanged(data_url, drawing) -> None:
    """the picture is left unchanged"""
    for image in (drawing, transparent_at_the_top(drawing), drawing.quantize(32)):
        for kind in ("PNG", "JPEG"):
            call(data_url, image.copy(), format=kind)


def transparent_at_the_top(picture: Image.Image) -> Image.Image:
    """Return the picture as RGBA, transparent at the top and opaque at the bottom."""
    from PIL import Image

    made = picture.convert("RGBA")
    made.putalpha(Image.linear_gradient("L").resize(made.size))
    return made


# -- build_message


@build_message.given
def texts(rng) -> list[str]:
    """Users' texts, with characters that break templates and format strings."""
    number = rng.randrange(100, 1000)
    return [f"What is number {number}?", f'Is it a "cat"?\nOr a dog {{{number}}}?', "¿Qué es esto?", "☃ <image> ?"]


@build_message.given
def drawings(drawing) -> list[Image.Image]:
    """Two pictures of the same size."""
    from PIL import ImageOps

    return [drawing, ImageOps.invert(drawing)]


@build_message.core(40)
def text_part(build_message, texts, drawing) -> None:
    """the text, in its own part"""
    for text in texts:
        _expect_text(_parts(build_message(text, drawing.copy())), text)


@build_message.core(30)
def picture_part(build_message, texts, drawings) -> None:
    """the picture's data URL, in the other part"""
    for image in drawings:
        _expect_picture(_parts(build_message(texts[0], image.copy())), image)


@build_message.edge(12)
def nested_url(build_message, texts, drawing) -> None:
    """the URL under "url", one level deeper"""
    parts = _parts(build_message(texts[0], drawing.copy()))
    _expect_picture(parts, drawing)
    inner = parts["image_url"]["image_url"]
    expect(
        isinstance(inner, dict) and not set(inner) - {"url", "detail"},
        'The URL belongs one level deeper: {"type": "image_url", "image_url": {"url": data_url(image)}}. Some services '
        "accept it as you have it, others reject it.",
    )


@build_message.edge(8)
def other_modes(build_message, texts, drawing) -> None:
    """RGBA, palette (P) and greyscale (L) pictures"""
    for image in (drawing.convert("RGBA"), drawing.quantize(32), drawing.convert("L")):
        parts = _parts(build_message(texts[1], image.copy()))
        _expect_text(parts, texts[1])
        _expect_picture(parts, image)


@build_message.edge(10)
def separate_messages(build_message, texts, drawings) -> None:
    """a second message leaves the first one unchanged"""
    pairs = [*zip(texts, drawings, strict=False)]
    messages = [build_message(text, image.copy()) for text, image in pairs]
    for message, (text, image) in zip(messages, pairs, strict=True):
        _expect_text(_parts(message), text)
        _expect_picture(_parts(message), image)


def _parts(message) -> dict[str, dict]:
    """The parts of a message by type; raise `CheckFailed` unless it is a user's, with a text and a picture."""
    from langchain_core.messages import HumanMessage

    expect(
        isinstance(message, HumanMessage),
        f"build_message should return a HumanMessage, but it returned {described(message)}.",
    )
    content = message.content
    expect(
        isinstance(content, list) and all(isinstance(part, dict) for part in content),
        "The message's content should be a list of two dicts, the text part and the image_url part, but it is "
        f"{described(content)}.",
    )
    kinds = sorted(str(part.get("type")) for part in content)
    expect(
        kinds == ["image_url", "text"],
        f'The parts should be one of type "text" and one of type "image_url", but their types are {kinds}.',
    )
    return {part["type"]: part for part in content}


def _expect_text(parts: dict[str, dict], text: str) -> None:
    found = parts["text"].get("text")
    expect(found == text, f'The text part should be {{"type": "text", "text": {text!r}}}, but its text is {found!r}.')


def _expect_picture(parts: dict[str, dict], image: Image.Image) -> None:
    """Raise `CheckFailed` unless the picture is in the message, at either level."""
    inner = parts["image_url"].get("image_url")
    url = inner.get("url") if isinstance(inner, dict) else inner
    found = decode(url, "The url of the image_url part", kind=kind_of(url))
    expect(
        looks_like(found, image),
        "The message holds a different picture from the one that build_message was given.",
        yours=found.convert("RGB"),
        expected=image.convert("RGB"),
        alt="the picture in the message",
    )
