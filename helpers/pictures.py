"""Open untrusted pictures: their bytes may be anything, and a small file may unpack to gigabytes."""

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
    """The bytes can't be opened as a picture; the message says why: "the file is damaged"."""


def as_rgb(image: Image.Image) -> Image.Image:
    """Return the picture as every viewer shows it: rotated by its EXIF data, on white, with 8 bits per channel.

    Models expect exactly three channels; to them transparent pixels would be black, and a photo that needs rotating
    would lie on its side. The picture keeps its `info`, such as the texts of a PNG.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    else:
        rgb = image.convert("RGB")
    rgb.info = dict(image.info)
    return rgb


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    """Return the bytes of the picture's file."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def data_url(image: Image.Image, kind: str = "PNG") -> str:
    """Return the picture as a data URL: data:image/png;base64,…"""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encoded(image, kind)).decode()}"


def open_untrusted(
    content: bytes, formats: Sequence[str] = FORMATS, max_pixels: int = MAX_PIXELS, side: int | None = None
) -> Image.Image:
    """Open the picture in `content`, as viewers show it (`as_rgb`); its `info` has the texts that it carries.

    Args:
        content: the bytes of its file.
        formats: the accepted ones, as Pillow names them.
        max_pixels: a picture with more pixels than this is refused before they are read.
        side: if given, a larger picture is reduced to fit into side × side pixels.

    Raises:
        Unreadable: the bytes are not such a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content), formats=formats)
        if image.width * image.height > max_pixels:
            raise Image.DecompressionBombError
        if side:
            image.draft("RGB", (side, side))  # a JPEG can be read at a smaller scale from the start
        image.load()  # all of it: texts may come after the pixels
        image = as_rgb(image)
        if side:
            image.thumbnail((side, side))
        return image
    except UnidentifiedImageError:
        raise Unreadable(f"the file is not a picture in one of the formats {', '.join(formats)}") from None
    except Image.DecompressionBombError:  # Pillow has its own limit, beyond ours
        raise Unreadable(f"it is too large: it has more than {max_pixels:,} pixels") from None
    except Exception as error:  # damaged files raise whatever their format's reader runs into
        raise Unreadable(f"the file is damaged ({type(error).__name__})") from error
