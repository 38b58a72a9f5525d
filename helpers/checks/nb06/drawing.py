"""`txt2img`: its request to a web UI, the pictures that it returns, and its errors."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from helpers.checks.cases import Exercise
from helpers.checks.expect import PICTURE_WORDS, TIMEOUT_WORDS, CheckFailed, expect, expect_raises
from helpers.checks.fakes import TXT2IMG_PATH, FakeWebUI, Reply, as_base64, drawn_by_web_ui, fake_web_ui
from helpers.checks.samples import random_prompt
from helpers.checks.words import cut, described
from helpers.pictures import encoded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["txt2img"]

REFUSALS = (400, 401, 404, 422, 500, 502, 503)
DECODING = (
    "Decode what comes after the comma, if there is one, with base64.b64decode, and open io.BytesIO(data); a buffer that you "
    "write to yourself is read from its start only after .seek(0)."
)
WAITING = "By default it should wait for a minute."

txt2img = Exercise("txt2img")


@txt2img.given
def prompt(rng) -> str:
    return random_prompt(rng) + rng.choice(["", ' "☃"', " {x}\n"])


@txt2img.given
def word(rng) -> str:
    """A word that a server can't send by chance."""
    return "".join(rng.choices("abcdefgh", k=12))


# -- successful requests


@txt2img.core(20)
def one_picture(txt2img, prompt, rng) -> None:
    """one picture, from a request with prompt, steps and seed"""
    _expect_drawn(txt2img, prompt, steps=rng.randrange(2, 19), seed=rng.randrange(1, 10**6))
    _expect_drawn(txt2img, "a dog")


@txt2img.core(20)
def several_pictures(txt2img, prompt, rng) -> None:
    """n pictures from one request, in order"""
    for n in (2, rng.randrange(3, 6)):
        _expect_drawn(txt2img, prompt, steps=rng.randrange(21, 40), seed=rng.randrange(1, 10**6), n=n)


@txt2img.edge(4)
def forms_of_the_address(txt2img, prompt) -> None:
    """the address may end with a slash, or with /sdapi/v1/txt2img"""
    for ending in ("/", TXT2IMG_PATH):
        _expect_drawn(txt2img, prompt, ending=ending)


@txt2img.edge(4)
def pictures_as_data_urls(txt2img, prompt) -> None:
    """a picture may begin with data:image/png;base64,"""
    _expect_drawn(txt2img, prompt, prefix="data:image/png;base64,")


# -- errors


@txt2img.core(25)
def error_status(txt2img, word, rng) -> None:
    """a RuntimeError with the status and the server's message if it refuses"""
    bodies = [
        {"detail": word},
        {"error": "X", "detail": "", "errors": word},
        {"detail": [{"loc": ["body", "steps"], "msg": f"should be at most {word}", "type": "x"}]},
    ]
    for status in REFUSALS:
        message = _expect_error(
            txt2img, _json(rng.choice(bodies), status), f"a server that answers {status}", [str(status)]
        )
        expect(
            word in message,
            f"For a server that answers {status}, the RuntimeError should repeat what the server says in the body of its "
            f"answer (answer.text with requests), here {word!r}, but it says {cut(message, 200)!r}.",
        )


@txt2img.edge(7)
def timeout(txt2img, prompt) -> None:
    """it waits as long as timeout says, then raises a RuntimeError that says so"""
    _expect_drawn(txt2img, prompt, wait=1.2)
    with fake_web_ui(wait=3) as ui:
        message = _expect_runtime_error(
            lambda: txt2img(prompt, url=ui.address, timeout=0.4),
            ui.address,
            "a server that takes three seconds, with timeout=0.4",
            TIMEOUT_WORDS,
        )
    expect(
        "json" not in message.lower(),
        f"After a timeout, the RuntimeError should say only that, but it mentions JSON: {cut(message, 200)!r}",
    )


@txt2img.edge(5)
def no_server(txt2img) -> None:
    """a RuntimeError with the address if no server answers"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    message = expect_raises(
        lambda: txt2img("a dog", url=address), RuntimeError, "an address without a server", mentions=[str(port)]
    )
    expect(
        "json" not in message.lower(),
        f"If no server answers, the RuntimeError should say only that, but it mentions JSON: {cut(message, 200)!r}",
    )


@txt2img.edge(5)
def other_answers(txt2img, word) -> None:
    """a RuntimeError that says so if the answer is not JSON, or has no images"""
    for body in (b"", b"<html>" + word.encode(), b'{"images": ['):
        _expect_error(txt2img, Reply(body), f"the answer {body!r}, which is not JSON", ["json"])
    for found in ({"detail": word}, [1, 2], None):
        _expect_error(txt2img, _json(found), f"the JSON {found!r}, which has no images", PICTURE_WORDS)


@txt2img.edge(5)
def damaged_pictures(txt2img, word) -> None:
    """a RuntimeError that says so if a picture is cut off, or is not a picture"""
    whole = encoded(drawn_by_web_ui(word, 0))
    damaged = {
        "a file that is cut off": base64.b64encode(whole[: len(whole) - 40]).decode(),
        "the base64 of a text": base64.b64encode(word.encode()).decode(),
        "text that is not base64": "&&&&",
        "half a base64 letter": "?",
        "an empty text": "",
        "a data URL without data": "data:image/png;base64,",
    }
    for what, text in damaged.items():
        images = [as_base64(drawn_by_web_ui(word, 1)), text]
        when = f"{what} in place of the second picture"
        _expect_error(txt2img, _json({"images": images}), when, PICTURE_WORDS, n=2)


@txt2img.edge(5)
def number_of_pictures(txt2img) -> None:
    """a RuntimeError with their number if too few or too many pictures come"""
    _expect_error(txt2img, _json({"images": []}), "an empty list of images", PICTURE_WORDS)
    for sent, n in ((7, 9), (9, 7)):
        images = [as_base64(drawn_by_web_ui("a dog", i)) for i in range(sent)]
        when = f"{sent} pictures where {n} were asked for"
        _expect_error(txt2img, _json({"images": images}), when, ["7", "9", "seven", "nine"], n=n)


# -- helpers


def _expect_drawn(txt2img, prompt: str, *, ending: str = "", prefix: str = "", wait: float = 0, **options) -> None:
    """Raise `CheckFailed` unless the right pictures are asked for and returned.

    Args:
        txt2img: the student's function.
        prompt: what to draw.
        ending: the end of the server's address.
        prefix: text before each picture in the answer.
        wait: how many seconds the server waits before it answers.
        options: steps, seed and n, unless they are to be left out.
    """
    with fake_web_ui(prefix=prefix, wait=wait) as ui:
        try:
            result = txt2img(prompt, url=ui.address + ending, **options)
        except NotImplementedError:
            raise
        except RuntimeError as error:
            _expect_request(ui, prompt, options)
            raise CheckFailed(
                f"The server sent what it was asked for{f' after {wait} seconds' if wait else ''}, but txt2img raised a "
                f"RuntimeError: {cut(str(error), 200)!r}. {WAITING if wait else DECODING}"
            ) from error
        except Exception:
            if ui.refusals:  # they explain why the answer has no pictures
                _expect_request(ui, prompt, options)
            raise
    request, n = _expect_request(ui, prompt, options), options.get("n", 1)
    expect(len(ui.requests) == 1, f"One request should draw all {n} pictures, but you sent {len(ui.requests)}.")
    _expect_pictures(result, [drawn_by_web_ui(prompt, request["seed"] + i) for i in range(n)])


def _expect_request(ui: FakeWebUI, prompt: str, options: dict) -> dict:
    """Return the last request; raise `CheckFailed` unless it asked for the right pictures."""
    if not ui.requests:
        refused = f": it answered {ui.refusals[-1]}" if ui.refusals else ""
        raise CheckFailed(f"No request for pictures reached the server{refused}.")
    request, n = ui.requests[-1], options.get("n", 1)
    for name, right in (("prompt", prompt), ("steps", options.get("steps", 20)), ("seed", options.get("seed", 0))):
        expect(
            type(request.get(name)) is type(right) and request[name] == right,
            f"The request should have {name!r}: {right!r}, but it is {cut(str(request), 200)}. For a missing field, the "
            "server uses its own default.",
        )
    count = request.get("batch_size", 1) * request.get("n_iter", 1)
    expect(
        count == n,
        f'For n={n} the request should have "batch_size": {n}, but it asks for {count}: {cut(str(request), 200)}.',
    )
    return request


def _expect_pictures(result, expected: Sequence[Image.Image]) -> None:
    """Raise `CheckFailed` unless the result is a list of exactly these pictures."""
    from PIL import Image

    kinds = [type(picture).__name__ for picture in result] if isinstance(result, list) else described(result)
    expect(
        isinstance(result, list)
        and len(result) == len(expected)
        and all(isinstance(picture, Image.Image) for picture in result),
        f"txt2img should return a list of {len(expected)} PIL picture{'s' * (len(expected) > 1)}, but it returned {kinds}.",
    )
    for i, (picture, right) in enumerate(zip(result, expected, strict=True)):
        picture = picture.convert("RGB")
        expect(
            picture.size == right.size and picture.tobytes() == right.tobytes(),
            f"Picture {i} is not the one that the server sent as number {i}.",
            yours=picture,
            expected=right,
            alt=f"the picture that the server sent as number {i}",
        )


def _expect_error(txt2img, reply: Reply, when: str, mentions: Sequence[str], **options) -> str:
    """Raise `CheckFailed` unless this reply leads to a RuntimeError with one of these words; return its message."""
    with fake_web_ui(reply) as ui:
        return _expect_runtime_error(lambda: txt2img("a dog", url=ui.address, **options), ui.address, when, mentions)


def _expect_runtime_error(call: Callable, address: str, when: str, mentions: Sequence[str]) -> str:
    """Like `expect_raises` for a RuntimeError, but ignore the server's address.

    Its digits could be taken for a status or a number of pictures. Some libraries write it in parts: host='…', port=….
    """
    return expect_raises(
        call,
        RuntimeError,
        when,
        mentions=mentions,
        ignoring=(TXT2IMG_PATH, *urlsplit(address).netloc.split(":")),
        hint="Otherwise the caller would go on as if all were well.",
    )


def _json(found, status: int = 200) -> Reply:
    return Reply(json.dumps(found).encode(), status)
