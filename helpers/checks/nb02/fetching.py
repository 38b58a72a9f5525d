"""`fetch_image`: pictures from the web, from files and out of addresses, and what can be wrong with them."""

from __future__ import annotations

import io
import mimetypes
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import A_PICTURE, TOO_SLOW, expect, expect_picture, expect_raises
from helpers.checks.fakes import Reply, Request, web_server
from helpers.checks.samples import random_drawing
from helpers.pictures import data_url, encoded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["fetch_image", "serve"]

TOO_LARGE = ("large", "big", "limit", "size", "heavy", "exceed", "more than", "too many", "pixel", "mb", "byte")

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
        "/long.png": Reply(whole + bytes(3_000_000), says_length=False),
        "/late.png": Reply(whole, wait=1.0),
        "/palette.png": Reply(encoded(picture.quantize(64))),
        "/grey.png": Reply(encoded(picture.convert("L"))),
        "/four.png": Reply(encoded(picture.convert("RGBA"))),
        "/clear.png": Reply(encoded(clear(picture))),
        "/turned.png": Reply(turned(picture)),
        "/page.html": Reply(b"<html><p>Here was a picture once.</p></html>"),
        "/half.png": Reply(whole[: len(whole) // 2]),
        "/lie.png": Reply(bytes(range(256)) * 20),
        "/empty.png": Reply(b""),
        "/slow.png": Reply(whole, wait=6),
        "/heavy.png": Reply(whole + bytes(30_000_000), says_length=False),
        "/said.png": Reply(whole + bytes(30_000_000)),
        "/vast.png": Reply(vast_picture()),
    }
    with serve(pages) as address:
        yield address


@fetch_image.core(25)
def from_the_web(fetch_image, address, picture) -> None:
    """a picture on the web"""
    _fetches(fetch_image, f"{address}/picture.png", picture, "a picture on the web")
    _fetches(fetch_image, f"{address}/picture.png?width=200&x=%20", picture, "an address with a query")
    _fetches(fetch_image, f"{address}/long.png", picture, "a file of 3 MB")
    _fetches(fetch_image, f"{address}/late.png", picture, "a server that answers after a second")


@fetch_image.core(20)
def from_files_and_data(fetch_image, picture, rng) -> None:
    """a picture in a data URL, and one in a file"""
    _fetches(fetch_image, data_url(picture), picture, "a data URL")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"my picture {rng.randrange(1000)}.png")
        picture.save(file)
        _fetches(fetch_image, file.as_uri(), picture, "a file URL with a space in it (%20)")


@fetch_image.core(20)
def always_rgb(fetch_image, address, picture) -> None:
    """pictures with a palette, in grey or with four channels come as RGB"""
    palette, grey = picture.quantize(64).convert("RGB"), picture.convert("L").convert("RGB")
    _fetches(fetch_image, f"{address}/palette.png", palette, "a picture with a palette")
    _fetches(fetch_image, f"{address}/grey.png", grey, "a grey picture")
    _fetches(fetch_image, f"{address}/four.png", picture, "a picture with a fourth channel (RGBA)")


@fetch_image.edge(8)
def as_viewers_show_it(fetch_image, address, picture) -> None:
    """photos stand upright, and clear pixels are white"""
    from PIL import Image

    from helpers.pictures import as_rgb

    upright = as_rgb(Image.open(io.BytesIO(turned(picture))))
    result = fetch_image(f"{address}/turned.png")
    expect_picture(result, "What comes back for a photo that was taken with the camera on its side")
    expect(
        result.size == upright.size and result.tobytes() == upright.tobytes(),
        "A photo whose EXIF data says that it lies on its side should be turned: helpers.pictures.as_rgb does it, "
        "or PIL's ImageOps.exif_transpose.",
        yours=result,
        expected=upright,
        alt="a photo, turned as its EXIF data says",
    )
    result = fetch_image(f"{address}/clear.png")
    expect_picture(result, "What comes back for a picture that is clear in places")
    corner = result.getpixel((0, 0))
    expect(
        corner == (255, 255, 255),
        f"Where a picture is clear, a viewer shows white; your pixel there is {corner}. .convert('RGB') lays it on "
        "black, helpers.pictures.as_rgb on white.",
    )


@fetch_image.edge(10)
def refuses_what_is_not_a_picture(fetch_image, address, rng) -> None:
    """an error that says so where nothing is there, or no picture"""
    _refuses(
        fetch_image,
        f"{address}/{rng.randrange(10**6)}.png",
        "an address where the server answers 404",
        ("404", "not found"),
    )
    for page in ("page.html", "half.png", "lie.png", "empty.png"):
        _refuses(fetch_image, f"{address}/{page}", f"{page}, which is not a whole picture,", A_PICTURE)
    _refuses(fetch_image, "data:text/plain;base64,bm8gcGljdHVyZQ==", "a data URL of a text", A_PICTURE)
    _refuses(fetch_image, Path(tempfile.gettempdir(), f"{rng.random()}.png").as_uri(), "a file that is not there", ())


@fetch_image.edge(8)
def gives_up_in_time(fetch_image, address) -> None:
    """an error that says so where the server is silent for longer than the timeout"""
    when = "a server that is silent for longer than timeout=0.4"
    _refuses(fetch_image, f"{address}/slow.png", when, TOO_SLOW, timeout=0.4)


@fetch_image.edge(9)
def refuses_what_is_too_large(fetch_image, address) -> None:
    """an error that says so for 30 MB, and for 42 million pixels"""
    _refuses(fetch_image, f"{address}/heavy.png", "a file of 30 MB", TOO_LARGE)
    _refuses(fetch_image, f"{address}/said.png", "a file of 30 MB", TOO_LARGE)
    _refuses(fetch_image, f"{address}/vast.png", "a picture of 42 million pixels", TOO_LARGE)


def _fetches(fetch_image, url: str, expected: Image.Image, what: str) -> None:
    result = fetch_image(url)
    hint = 'Models want exactly three channels, so end with .convert("RGB") or helpers.pictures.as_rgb.'
    expect_picture(result, f"What comes back for {what}", hint=hint)
    same = result.size == expected.size and result.tobytes() == expected.tobytes()
    expect(same, f"For {what} another picture came out than went in.", yours=result, expected=expected, alt=what)


def _refuses(fetch_image, url: str, when: str, mentions: tuple[str, ...], **options) -> None:
    said = expect_raises(
        lambda: fetch_image(url, **options),
        ValueError,
        when,
        mentions=mentions,
        instead="Whoever calls it would go on with something that is not the picture.",
    )
    expect(
        "0x" not in said,
        f"For {when} your sentence repeats Pillow's words, and with them an address in memory (0x…): leave Pillow's "
        "error out of it, or chain it with `from error`.",
    )


def clear(picture: Image.Image) -> Image.Image:
    """The picture with a corner that is clear, over black."""
    made = picture.convert("RGBA")
    made.paste((0, 0, 0, 0), (0, 0, made.width // 3, made.height // 3))
    return made


def turned(picture: Image.Image) -> bytes:
    """A PNG of the picture, a strip cut off, that says in its EXIF data: turn me by 90 degrees."""
    strip = picture.crop((0, 0, picture.width, picture.height * 2 // 3))
    exif = strip.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    strip.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def vast_picture() -> bytes:
    """A PNG of a few kilobytes that unpacks to 42 million pixels."""
    from PIL import Image

    return encoded(Image.new("1", (7000, 6000)))


@contextmanager
def serve(pages: Mapping[str, Reply]) -> Iterator[str]:
    """Run a web server on this computer that has `pages`, by path, and 404 for all else; gives its address."""

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        kind, _ = mimetypes.guess_type(path)
        return pages[path]._replace(kind=kind) if path in pages else Reply(b"", 404)

    with web_server(answer) as address:
        yield address
