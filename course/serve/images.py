"""Read the pictures of requests: untrusted bytes, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import httpx
from PIL import Image

from course.api_error import ApiError
from course.base64_text import from_base64
from helpers.pictures import Unreadable, open_untrusted

__all__ = ["download", "read_base64", "read_picture"]

#: Longest over shortest side: models scale a picture by its shortest side before they crop it.
MAX_ASPECT = 50
#: Larger pictures are reduced to this longest side, in pixels: several times what the models see.
SIDE = 1024
MAX_DOWNLOAD = 20_000_000  # bytes, of all pictures of a request
TIMEOUT = 10.0  # seconds, for all of them


async def download(pictures: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """Download each http(s) URL among the pictures' (URL, name of its field).

    Redirects are not followed, and compressed bodies are not unpacked: 20 MB could become gigabytes.

    Raises:
        ApiError: status 400, if a download fails, is too large or takes too long.
    """
    found: dict[str, bytes] = {}
    deadline = asyncio.get_running_loop().time() + TIMEOUT
    for url, param in pictures:
        if _scheme(url) in ("http", "https") and url not in found:
            room = MAX_DOWNLOAD - sum(map(len, found.values()))
            found[url] = await _fetch(url, param, room, deadline)
    return found


def read_picture(url: str, param: str, downloads: Mapping[str, bytes]) -> Image.Image:
    """Return the RGB picture of a `data:image/…;base64,` URL, or of an http(s) URL that is among the `downloads`.

    Never opens a file. Reads a picture's size before its pixels, so that a small file which would unpack to
    gigabytes is refused unread. `param` is the request's field, for the errors.

    Raises:
        ApiError: status 400, for anything else.
    """
    scheme = _scheme(url)
    if scheme == "data":
        content = _decoded(url, param)
    elif scheme not in ("http", "https"):
        raise _bad(param, "Send a picture as a URL that starts with data:image/png;base64, (or jpeg, webp, gif)")
    elif url in downloads:
        content = downloads[url]
    else:
        raise _bad(param, "This endpoint does not download pictures: send the picture itself, as a data: URL")
    return _open(content, param)


def read_base64(text: str, param: str) -> Image.Image:
    """Return the RGB picture in base64, or in a `data:` URL. Raises as `read_picture` does."""
    return read_picture(text, param, {}) if ":" in text[:100] else _open(_decoded(text, param), param)


def _scheme(url: str) -> str:
    return url.partition(":")[0].strip("\ufeff \t\r\n").lower()


def _decoded(text: str, param: str) -> bytes:
    try:
        return from_base64(text)
    except ValueError as error:
        expected = "Expected a picture, such as data:image/png;base64,… (or jpeg, webp, gif)"
        raise _bad(param, f"{expected}, but it is not valid base64 ({error})") from error


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
        raise _bad(param, f"The picture at that URL did not arrive within {TIMEOUT:g} seconds") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _bad(param, f"The picture at that URL can't be downloaded ({type(error).__name__}: {error})") from error
    return bytes(content)


def _open(content: bytes, param: str) -> Image.Image:
    try:
        picture = open_untrusted(content, side=SIDE)
    except Unreadable as error:
        raise _bad(param, f"The picture can't be opened: {error}") from error
    longest, shortest = max(picture.size), min(picture.size)
    if longest > MAX_ASPECT * (shortest + (longest == SIDE)):  # the shortest side of a reduced picture is rounded
        raise _bad(
            param, f"The picture is more than {MAX_ASPECT} times as long as wide, which is too narrow for the models"
        )
    return picture


def _bad(param: str, message: str) -> ApiError:
    return ApiError(400, f"{message}.", code="invalid_image", param=param)
