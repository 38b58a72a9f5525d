"""Pictures out of requests: what a stranger's bytes may be, and how much of them."""

from __future__ import annotations

import base64
import binascii
import io
import struct

import httpx
from PIL import Image, UnidentifiedImageError

from course.serve.errors import ApiError

__all__ = ["MAX_PIXELS", "read_picture"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
#: The most pixels of one picture: more than a phone's camera takes, less than fills a laptop's memory.
MAX_PIXELS = 32_000_000
#: The longest side in shortest sides: a picture is scaled by its shortest side before it is cropped.
MAX_ASPECT = 50
MAX_DOWNLOAD = 20_000_000  # bytes
TIMEOUT = 10.0  # seconds


def read_picture(url: str, param: str, *, allow_urls: bool) -> Image.Image:
    """The RGB picture in a ``data:image/…;base64,`` URL, or behind an http(s) URL where ``allow_urls``.

    Never opens a file. Reads a picture's size before its pixels, so that a small file which unfolds into
    gigabytes is refused unread. ``param`` is the request's field, for the errors.

    Raises:
        ApiError: status 400, for anything else.
    """
    scheme = url.split(":", 1)[0].lower()
    if scheme == "data":
        content = _decode(url, param)
    elif scheme not in ("http", "https"):
        raise _bad(param, "A picture comes as a URL that starts with data:image/png;base64, (or jpeg, webp, gif)")
    elif allow_urls:
        content = _download(url, param)
    else:
        raise _bad(param, "This endpoint fetches no URLs: send the picture itself, as a data: URL")
    return _open(content, param)


def _decode(url: str, param: str) -> bytes:
    head, comma, body = url.partition(",")
    words = head.lower().split(";")
    if not comma or not words[0].startswith("data:image/") or words[-1] != "base64":
        raise _bad(param, "Expected data:image/png;base64, (or jpeg, webp, gif) and then the picture in base64")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(param, f"The picture is not whole in base64 ({error})") from error


def _download(url: str, param: str) -> bytes:
    content = bytearray()
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT, follow_redirects=True) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_DOWNLOAD:
                    raise _bad(param, f"The picture at that URL is larger than {MAX_DOWNLOAD / 1e6:g} MB")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _bad(param, f"The picture at that URL can't be had ({type(error).__name__}: {error})") from error
    return bytes(content)


def _open(content: bytes, param: str) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise Image.DecompressionBombError(f"{width}×{height} pixels")
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise _bad(param, f"A picture of {width}×{height} pixels is too narrow to look at")
        return picture.convert("RGB")
    except UnidentifiedImageError as error:
        raise _bad(param, f"The bytes are no picture in one of the formats {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:  # Pillow has a limit of its own, beyond ours
        raise _bad(param, f"The picture is too large ({error}); up to {MAX_PIXELS:,} pixels are taken") from error
    # Damaged files raise whatever their format's reader stumbles over.
    except (OSError, ValueError, SyntaxError, IndexError, struct.error) as error:
        raise _bad(param, f"The picture is damaged ({error})") from error


def _bad(param: str, message: str) -> ApiError:
    return ApiError(400, f"{message}.", code="invalid_image", param=param)
