"""`fetch_image`: pictures from the web, from files and from data URLs, and what can be wrong with them."""

from __future__ import annotations

import io
import mimetypes
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import PICTURE_WORDS, TIMEOUT_WORDS, expect, expect_picture, expect_raises
from helpers.checks.fakes import Reply, Request, web_server
from helpers.checks.samples import random_drawing
from helpers.pictures import data_url, encoded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["fetch_image", "serve"]

SIZE_WORDS = ("large", "big", "limit", "size", "heavy", "exceed", "more than", "too many", "pixel", "mb", "byte")

fetch_image = Exercise("fetch_image")


@fetch_image.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, rng.randrange(40, 90))


@fetch_image.given
def address(picture) -> Iterator[str]:
    """The address of a web server that has the picture in many forms."""
    whole = encoded(picture)
    pages = {
        "/picture.png": Reply(whole),
        "/long.png": Reply(whole + bytes(3_000_000), with_length=False),
        "/late.png": Reply(whole, wait=1.0),
        "/palette.png": Reply(encoded(picture.quantize(64))),
        "/grey.png": Reply(encoded(picture.convert("L"))),
        "/four.png": Reply(encoded(picture.convert("RGBA"))),
        "/transparent.png": Reply(encoded(with_transparent_corner(picture))),
        "/rotated.png": Reply(rotated_by_exif(picture)),
        "/page.html": Reply(b"<html><p>There used to be a picture here.</p></html>"),
        "/half.png": Reply(whole[: len(whole) // 2]),
        "/lie.png": Reply(bytes(range(256)) * 20),
        "/empty.png": Reply(b""),
        "/slow.png": Reply(whole, wait=6),
        "/heavy.png": Reply(whole + bytes(30_000_000), with_length=False),
        "/declared.png": Reply(whole + bytes(30_000_000)),
        "/huge.png": Reply(huge_picture()),
    }
    with serve(pages) as address:
        yield address


@fetch_image.core(25)
def from_the_web(fetch_image, address, picture) -> None:
    """a picture on the web"""
    _expect_fetched(fetch_image, f"{address}/picture.png", picture, "a picture on the web")
    _expect_fetched(fetch_image, f"{address}/picture.png?width=200&x=%20", picture, "an address with a query")
    _expect_fetched(fetch_image, f"{address}/long.png", picture, "a file of 3 MB")
    _expect_fetched(fetch_image, f"{address}/late.png", picture, "a server that answers after a second")


@fetch_image.core(20)
def from_files_and_data(fetch_image, picture, rng) -> None:
    """a picture in a data URL, and one in a file"""
    _expect_fetched(fetch_image, data_url(picture), picture, "a data URL")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"my picture {rng.randrange(1000)}.png")
        picture.save(file)
        _expect_fetched(fetch_image, file.as_uri(), picture, "a file URL with a space in it (%20)")


@fetch_image.core(20)
def always_rgb(fetch_image, address, picture) -> None:
    """palette, greyscale and RGBA pictures are returned as RGB"""
    palette, grey = picture.quantize(64).convert("RGB"), picture.convert("L").convert("RGB")
    _expect_fetched(fetch_image, f"{address}/palette.png", palette, "a picture with a palette")
    _expect_fetched(fetch_image, f"{address}/grey.png", grey, "a greyscale picture")
    _expect_fetched(fetch_image, f"{address}/four.png", picture, "a picture with an alpha channel (RGBA)")


@fetch_image.edge(8)
def as_viewers_show_it(fetch_image, address, picture) -> None:
    """photos are upright, and transparent pixels are white"""
    from PIL import Image

    from helpers.pictures import as_rgb

    upright = as_rgb(Image.open(io.BytesIO(rotated_by_exif(picture))))
    result = fetch_image(f"{address}/rotated.png")
    expect_picture(result, "The result for a photo taken with the camera on its side")
    expect(
        result.size == upright.size and result.tobytes() == upright.tobytes(),
        "A photo whose EXIF data says that it lies on its side should be rotated: use helpers.pictures.as_rgb or PIL's "
        "ImageOps.exif_transpose.",
        yours=result,
        expected=upright,
        alt="a photo, rotated as its EXIF data says",
    )
    result = fetch_image(f"{address}/transparent.png")
    expect_picture(result, "The result for a picture with transparent pixels")
    corner = result.getpixel((0, 0))
    expect(
        corner == (255, 255, 255),
        f"Transparent pixels should become white, as viewers show them, but yours is {corner}. .convert('RGB') puts the "
        "picture on black, helpers.pictures.as_rgb on white.",
    )


@fetch_image.edge(10)
def not_a_picture(fetch_image, address, rng) -> None:
    """an error that says so if there is nothing at the address, or no picture"""
    _expect_error(
        fetch_image,
        f"{address}/{rng.randrange(10**6)}.png",
        "an address where the server answers 404",
        ("404", "not found"),
    )
    for page in ("page.html", "half.png", "lie.png", "empty.png"):
        _expect_error(fetch_image, f"{address}/{page}", f"{page}, which is not a whole picture", PICTURE_WORDS)
    _expect_error(fetch_image, "data:text/plain;base64,bm8gcGljdHVyZQ==", "a data URL of a text", PICTURE_WORDS)
    missing = Path(tempfile.gettempdir(), f"{rng.random()}.png").as_uri()
    _expect_error(fetch_image, missing, "a file that does not exist", ())


@fetch_image.edge(8)
def timeout(fetch_image, address) -> None:
    """an error that says so if the server takes longer than the timeout"""
    when = "a server that takes longer than timeout=0.4"
    _expect_error(fetch_image, f"{address}/slow.png", when, TIMEOUT_WORDS, timeout=0.4)


@fetch_image.edge(9)
def too_large(fetch_image, address) -> None:
    """an error that says so for 30 MB, and for 42 million pixels"""
    _expect_error(fetch_image, f"{address}/heavy.png", "a file of 30 MB", SIZE_WORDS)
    _expect_error(fetch_image, f"{address}/declared.png", "a file of 30 MB", SIZE_WORDS)
    _expect_error(fetch_image, f"{address}/huge.png", "a picture of 42 million pixels", SIZE_WORDS)


def _expect_fetched(fetch_image, url: str, expected: Image.Image, what: str) -> None:
    result = fetch_image(url)
    hint = 'Models need exactly three channels, so end with .convert("RGB") or helpers.pictures.as_rgb.'
    expect_picture(result, f"The result for {what}", hint=hint)
    same = result.size == expected.size and result.tobytes() == expected.tobytes()
    expect(same, f"For {what}, the result differs from the original.", yours=result, expected=expected, alt=what)


def _expect_error(fetch_image, url: str, when: str, mentions: tuple[str, ...], **options) -> None:
    message = expect_raises(
        lambda: fetch_image(url, **options),
        ValueError,
        when,
        mentions=mentions,
        hint="Otherwise the caller would go on with something that is not the picture.",
    )
    expect(
        "0x" not in message,
        f"For {when}, your error repeats Pillow's message, and with it a memory address (0x…): leave Pillow's message out, "
        "or chain its error with `from error`.",
    )


def with_transparent_corner(picture: Image.Image) -> Image.Image:
    """Return the picture with a transparent corner, over black."""
    made = picture.convert("RGBA")
    made.paste((0, 0, 0, 0), (0, 0, made.width // 3, made.height // 3))
    return made


def rotated_by_exif(picture: Image.Image) -> bytes:
    """Return a PNG of the picture's upper part whose EXIF data says that it should be rotated by 90 degrees."""
    strip = picture.crop((0, 0, picture.width, picture.height * 2 // 3))
    exif = strip.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    strip.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def huge_picture() -> bytes:
    """Return a PNG of a few kilobytes that unpacks to 42 million pixels."""
    from PIL import Image

    return encoded(Image.new("1", (7000, 6000)))


@contextmanager
def serve(pages: Mapping[str, Reply]) -> Iterator[str]:
    """Run a local web server that has `pages`, by path, and 404 for anything else; yield its address."""

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        kind, _ = mimetypes.guess_type(path)
        return pages[path]._replace(kind=kind) if path in pages else Reply(b"", 404)

    with web_server(answer) as address:
        yield address
