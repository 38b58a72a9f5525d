"""A fake of AUTOMATIC1111's web UI: POST /sdapi/v1/txt2img "draws" in no time, and requests are recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from helpers.checks.fakes.pipeline import fake_image
from helpers.checks.fakes.web import Reply, Request, web_server
from helpers.pictures import data_url

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["TXT2IMG_PATH", "FakeWebUI", "as_base64", "drawn_by_web_ui", "fake_web_ui"]

TXT2IMG_PATH = "/sdapi/v1/txt2img"
WHOLE_NUMBERS = ("seed", "steps", "batch_size", "n_iter")


@dataclass
class FakeWebUI:
    """The server's address, the requests for pictures that it got, as dicts, and its refusals with the reasons."""

    address: str = ""
    requests: list[dict] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


@contextmanager
def fake_web_ui(reply: Reply | None = None, *, prefix: str = "", wait: float = 0) -> Iterator[FakeWebUI]:
    """Run a local server that draws with `drawn_by_web_ui` and refuses what the web UI would refuse.

    Args:
        reply: a fixed reply to send instead.
        prefix: text before the base64 of each picture, such as "data:image/png;base64," in old versions.
        wait: how many seconds it waits before it answers.
    """
    ui = FakeWebUI()

    def answer(request: Request) -> Reply:
        return reply or _answer(request, ui, prefix)._replace(wait=wait)

    with web_server(answer) as ui.address:
        yield ui


def drawn_by_web_ui(prompt: str, seed: int) -> Image.Image:
    """Return what the fake web UI draws for a prompt and a seed."""
    return fake_image((prompt, seed))


def as_base64(image: Image.Image) -> str:
    """Encode the picture as a PNG file in base64, as the web UI sends it."""
    return data_url(image).partition(",")[2]


def _answer(request: Request, ui: FakeWebUI, prefix: str) -> Reply:
    def refusal(status: int, message: str) -> Reply:
        ui.refusals.append(f"{status}: {message}")
        return Reply(json.dumps({"detail": message}).encode(), status)

    if request.path != TXT2IMG_PATH:
        return refusal(404, f"there is nothing at {request.path}; pictures are drawn at {TXT2IMG_PATH}")
    if request.method != "POST":
        return refusal(405, "pictures are drawn only for POST requests")
    if request.kind != "application/json":
        return refusal(415, "the header Content-Type should be application/json (json=… sends JSON with this header)")
    try:
        wanted = json.loads(request.body)
    except ValueError:
        return refusal(422, "the request's body is not JSON (send it with json=…)")
    if not isinstance(wanted, dict):
        return refusal(422, "the request's body should be a JSON object")
    ui.requests.append(wanted)
    numbers = {name: wanted.get(name, 1) for name in WHOLE_NUMBERS}
    wrong = [name for name, value in numbers.items() if type(value) is not int or value < (name != "seed")]
    if wrong or not isinstance(wanted.get("prompt"), str):
        return refusal(422, f"bad value for {', '.join(wrong) or 'prompt'}")
    first, count = numbers["seed"], numbers["batch_size"] * numbers["n_iter"]
    images = [prefix + as_base64(drawn_by_web_ui(wanted["prompt"], seed)) for seed in range(first, first + count)]
    return Reply(json.dumps({"images": images, "parameters": wanted, "info": "{}"}).encode())
