"""Pictures out of requests: what a stranger's bytes may be, and how much of them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence

import httpx
from PIL import Image

from course.api_error import ApiError
from helpers.pictures import Unreadable, open_untrusted

__all__ = ["download", "read_base64", "read_picture"]

#: The longest side in shortest sides: a picture is scaled by its shortest side before it is cropped.
MAX_ASPECT = 50
#: The longest side of what is kept of a picture, in pixels: several times what models look at.
SIDE = 1024
MAX_DOWNLOAD = 20_000_000  # bytes, of all pictures of a request
TIMEOUT = 10.0  # seconds, for all of them


async def download(pictures: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """What is behind each http(s) URL among the pictures' (URL, name of its field).

    Follows no redirects, and takes a body as it comes: unfolded, one of 20 MB may have gigabytes.

    Raises:
        ApiError: status 400, for what can't be had, is too large, or is not there in time.
    """
    found: dict[str, bytes] = {}
    deadline = asyncio.get_running_loop().time() + TIMEOUT
    for url, param in pictures:
        if _scheme(url) in ("http", "https") and url not in found:
            room = MAX_DOWNLOAD - sum(map(len, found.values()))
            found[url] = await _fetch(url, param, room, deadline)
    return found


def read_picture(url: str, param: str, downloads: Mapping[str, bytes]) -> Image.Image:
    """The RGB picture in a ``data:image/…;base64,`` URL, or behind an http(s) URL that is among the ``downloads``.

    Never opens a file. Reads a picture's size before its pixels, so that a small file which unfolds into
    gigabytes is refused unread. ``param`` is the request's field, for the errors.

    Raises:
        ApiError: status 400, for anything else.
    """
    scheme = _scheme(url)
    if scheme == "data":
        content = _decode(url, param)
    elif scheme not in ("http", "https"):
        raise _bad(param, "A picture comes as a URL that starts with data:image/png;base64, (or jpeg, webp, gif)")
    elif url in downloads:
        content = downloads[url]
    else:
        raise _bad(param, "This endpoint fetches no URLs: send the picture itself, as a data: URL")
    return _open(content, param)


def read_base64(text: str, param: str) -> Image.Image:
    """The RGB picture in base64, or in a ``data:`` URL. Raises as `read_picture` does."""
    return read_picture(text, param, {}) if ":" in text[:100] else _open(_decoded(text, param), param)


def _scheme(url: str) -> str:
    return url.split(":", 1)[0].lower()


def _decode(url: str, param: str) -> bytes:
    head, comma, body = url.partition(",")
    words = head.lower().split(";")
    if not comma or not words[0].startswith("data:image/") or words[-1] != "base64":
        raise _bad(param, "Expected data:image/png;base64, (or jpeg, webp, gif) and then the picture in base64")
    return _decoded(body, param)


def _decoded(text: str, param: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # some encoders break lines
    except ValueError as error:
        raise _bad(param, f"The picture is not whole in base64 ({error})") from error


async def _fetch(url: str, param: str, room: int, deadline: float) -> bytes:
    content = bytearray()
    try:
        async with (
            asyncio.timeout_at(deadline),
            httpx.AsyncClient(headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > room:
                    raise _bad(param, f"The pictures at URLs are larger than {MAX_DOWNLOAD / 1e6:g} MB")
    except TimeoutError as error:
        raise _bad(param, f"The picture at that URL was not there within {TIMEOUT:g} seconds") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _bad(param, f"The picture at that URL can't be had ({type(error).__name__}: {error})") from error
    return bytes(content)


def _open(content: bytes, param: str) -> Image.Image:
    try:
        picture = open_untrusted(content, side=SIDE)
    except Unreadable as error:
        raise _bad(param, f"The picture can't be had: {error}") from error
    longest, shortest = max(picture.size), min(picture.size)
    if longest > MAX_ASPECT * (shortest + (longest == SIDE)):  # of one that was reduced the shortest side is rounded
        raise _bad(param, f"The picture is more than {MAX_ASPECT} times as long as wide, too narrow to look at")
    return picture


def _bad(param: str, message: str) -> ApiError:
    return ApiError(400, f"{message}.", code="invalid_image", param=param)
