"""Pictures in data URLs: decoded, with the likely reason if that fails, and compared with the original."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import TYPE_CHECKING

from helpers.checks.expect import CheckFailed, expect
from helpers.checks.words import described

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["close_pixels", "decode", "kind_of", "looks_like", "same_pixels"]

LOSSY = 12
"""The largest mean error of a lossy file's values, which are 0 to 255."""


def decode(url, what: str, *, kind: str = "PNG") -> Image.Image:
    """Decode the picture in a data URL of this file type.

    Raises:
        CheckFailed: the URL is faulty; the message begins with `what` and gives the likely reason.
    """
    from PIL import Image

    expect(isinstance(url, str), f"{what} should be a string, but it is {described(url)}.")
    start = f"data:image/{kind.lower()};base64,"
    expect(url.startswith(start), f"{what} should start with {start!r}, but it starts with {url[: len(start)]!r}.")
    letters = url[len(start) :]
    expect(
        not letters.startswith(("b'", 'b"')),
        f"{what} has b'…' in it: b64encode returns bytes; .decode() turns them into a string.",
    )
    expect(
        not re.search(r"\s", letters),
        f"{what} has line breaks in it, which don't belong in a URL: use base64.b64encode, not encodebytes.",
    )
    expect(
        not re.search(r"[-_]", letters),
        f"{what} is in base64's URL-safe alphabet (with - and _): use base64.b64encode, not urlsafe_b64encode.",
    )
    try:
        data = base64.b64decode(letters, validate=True)
    except binascii.Error as error:
        raise CheckFailed(f"{what} is not valid base64: {error}.") from None
    expect(
        bool(data),
        f"{what} has no bytes in it. After image.save(buffer), the buffer's position is at its end, so read() returns "
        "nothing; getvalue() returns everything.",
    )
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except OSError:
        raise CheckFailed(
            f"{what} holds {len(data):,} bytes that are not a picture file. Image.tobytes() returns bare pixels, without "
            "size and format: save the picture to an io.BytesIO() and use its getvalue()."
        ) from None
    expect(image.format == kind, f"{what} says {kind}, but it holds a {image.format}.")
    return image


def kind_of(url) -> str:
    """Return the file type that a data URL declares: "PNG", "JPEG" or "WEBP"; "PNG" for anything else."""
    found = re.match(r"data:image/(jpeg|webp);", url if isinstance(url, str) else "")
    return found[1].upper() if found else "PNG"


def same_pixels(url, image: Image.Image, what: str) -> None:
    """Raise `CheckFailed` unless the data URL holds a PNG with exactly the picture's pixels, transparency included."""
    found = decode(url, what)
    _expect_size(found, image, what)
    expect(
        found.convert("RGB").tobytes() == image.convert("RGB").tobytes(),
        f"{what} does not hold the picture's own pixels. PNG keeps every pixel: save the picture as it is.",
        **_pair(found, image),
    )
    expect(
        found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes(),
        f"{what} has lost the transparency. PNG can keep it: save the picture as it is, without .convert().",
    )


def close_pixels(url, image: Image.Image, what: str, *, kind: str) -> None:
    """Raise `CheckFailed` unless the data URL holds a file of this kind that looks like the picture."""
    found = decode(url, what, kind=kind)
    _expect_size(found, image, what)
    expect(looks_like(found, image), f"{what} holds a picture that looks different.", **_pair(found, image))


def looks_like(found: Image.Image, image: Image.Image) -> bool:
    """Whether both are the same picture, apart from the changes of lossy compression."""
    from PIL import ImageChops, ImageStat

    if found.size != image.size:
        return False
    difference = ImageChops.difference(found.convert("RGB"), image.convert("RGB"))
    return sum(ImageStat.Stat(difference).mean) / 3 < LOSSY


def _expect_size(found: Image.Image, image: Image.Image, what: str) -> None:
    expect(
        found.size == image.size,
        f"{what} holds a picture of {found.width}×{found.height} pixels, but the original has "
        f"{image.width}×{image.height}.",
    )


def _pair(found: Image.Image, image: Image.Image) -> dict:
    return {"yours": found.convert("RGB"), "expected": image.convert("RGB"), "alt": "the picture in the data URL"}
