"""Pictures that somebody else has made: their bytes may be anything, and a small file may unfold into gigabytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Unreadable", "as_rgb", "data_url", "encoded", "open_untrusted"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
#: More than a phone's camera takes, less than fills a laptop's memory.
MAX_PIXELS = 32_000_000


class Unreadable(OSError):
    """The bytes are no picture that can be had; the message says why: "the file is damaged"."""


def as_rgb(image: Image.Image) -> Image.Image:
    """The picture as every viewer shows it: turned as its EXIF data says, on white where it is clear, 8 bits a channel.

    Models want exactly three channels, and would take clear pixels for black, and a photo lying on its side for that.
    Its ``info``, such as the texts of a PNG, comes along.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        rgb = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    else:
        rgb = image.convert("RGB")
    rgb.info = dict(image.info)
    return rgb


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    """The bytes of the file that the picture would be saved as."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def data_url(image: Image.Image, kind: str = "PNG") -> str:
    """The picture inside an address: data:image/png;base64,…"""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encoded(image, kind)).decode()}"


def open_untrusted(
    content: bytes, formats: Sequence[str] = FORMATS, max_pixels: int = MAX_PIXELS, side: int | None = None
) -> Image.Image:
    """The picture in ``content``, as viewers show it (`as_rgb`); its ``info`` has the texts that it carries.

    Reads its size before its pixels, so that one of more than ``max_pixels`` stays unread. Where ``side`` is given, a
    larger picture is reduced to fit into side × side pixels. Raises ``Unreadable``.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content), formats=formats)
        if image.width * image.height > max_pixels:
            raise Image.DecompressionBombError
        if side:
            image.draft("RGB", (side, side))  # a JPEG can be read at a smaller scale from the start
        image.load()  # all of it: a text may come after the pixels
        image = as_rgb(image)
        if side:
            image.thumbnail((side, side))
        return image
    except UnidentifiedImageError:
        raise Unreadable(f"the file is no picture in one of the formats {', '.join(formats)}") from None
    except Image.DecompressionBombError:  # Pillow has a limit of its own, beyond ours
        raise Unreadable(f"it is too large: it has more than the {max_pixels:,} pixels that are looked at") from None
    except Exception as error:  # a damaged file raises whatever its format's reader stumbles over
        raise Unreadable(f"the file is damaged ({type(error).__name__})") from error
