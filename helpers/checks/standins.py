"""Stand-ins for what a student's function talks to: a chat model, a pipeline, a runner, the screen, a folder.

With them a check sees everything that a function does, costs next to nothing, and gives the same verdict each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from PIL import Image

__all__ = [
    "Batch",
    "Heard",
    "NeverEnds",
    "Received",
    "chat_says",
    "quick_pipeline",
    "runner",
    "scratch_folder",
    "scribble",
    "scribbled",
    "shown_things",
]

ENDLESS = 20
"""Requests to a chat model after which a loop is taken for endless."""

# ---------------------------------------------------------------- a chat model


class Heard(NamedTuple):
    """A request that the chat model got: its text, its pictures as data URLs, and the temperature."""

    text: str
    pictures: list[str]
    temperature: float


class NeverEnds(BaseException):
    """More requests than any right answer makes: a loop without an end.

    No Exception, so that an `except Exception` in the loop can't swallow it.
    """


@contextmanager
def chat_says(reply: Callable[[Heard], str]) -> Iterator[list[Heard]]:
    """While it lasts, every model of `helpers.chat.chat_model` answers with `reply`; gives the list of requests.

    The models are real ones that are kept from asking anybody. So one that a student keeps works afterwards, too.
    """
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    from helpers import chat, models
    from helpers.fallback import FallbackChat

    heard: list[Heard] = []
    made: list[tuple[FallbackChat, float]] = []
    make = chat._fallback_chat

    def remember(service, client, key, options, **further) -> FallbackChat:
        made.append((make(service, client, key, options, **further), options["temperature"]))
        return made[-1][0]

    def answer(model: FallbackChat, messages: Sequence[BaseMessage], temperature: float | None) -> str:
        if temperature is None:
            temperature = next((known for each, known in made if each is model), 0.0)
        heard.append(Heard(*_text_and_pictures(messages), temperature))
        if len(heard) > ENDLESS:
            raise NeverEnds
        return reply(heard[-1])

    def generate(self, messages, stop=None, run_manager=None, *, temperature=None, **options):
        message = AIMessage(answer(self, messages, temperature))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def stream(self, messages, stop=None, run_manager=None, *, temperature=None, **options):
        yield ChatGenerationChunk(message=AIMessageChunk(answer(self, messages, temperature)))

    with (
        patch("helpers.endpoint.ensure", lambda address: [models.entry("chat").id]),
        patch.object(chat, "_fallback_chat", remember),
        patch.multiple(FallbackChat, _generate=generate, _stream=stream),
    ):
        yield heard


def _text_and_pictures(messages: Sequence[BaseMessage]) -> tuple[str, list[str]]:
    """All text of a request that is not the model's own, and the addresses of its pictures."""
    texts, pictures = [], []
    for message in messages:
        parts = [message.content] if isinstance(message.content, str) else message.content
        for part in parts:
            part = {"text": part} if isinstance(part, str) else part
            if message.type != "ai":
                texts.append(part.get("text", ""))
            if "image_url" in part:
                address = part["image_url"]
                pictures.append(address["url"] if isinstance(address, dict) else address)
    return "\n".join(texts).strip(), pictures


# ---------------------------------------------------------------- a pipeline


class Batch(NamedTuple):
    """One call of the pipeline: a prompt for each picture, the steps and the guidance."""

    prompts: list[str]
    steps: int
    guidance_scale: float


@contextmanager
def quick_pipeline() -> Iterator[list[Batch]]:
    """While it lasts, Stable Diffusion pipelines only scribble; gives the list of batches that were drawn.

    A scribble depends on its prompt, the noise of its generator, the steps and the guidance, as a picture does.
    """
    from helpers.models import quiet

    with quiet():  # diffusers, imported for the first time, has hints about torchvision
        from diffusers import StableDiffusionPipeline
        from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput

    batches: list[Batch] = []

    def draw(
        self,
        prompt=None,
        height=None,
        width=None,
        num_inference_steps=50,
        *positional,
        guidance_scale=7.5,
        num_images_per_prompt=1,
        generator=None,
        **options,
    ):
        import torch

        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        prompts = [text for text in prompts for _ in range(num_images_per_prompt)]
        if isinstance(generator, list):
            if len(generator) != len(prompts):
                raise ValueError(f"There are {len(generator)} generators for {len(prompts)} pictures.")
            noise = [torch.randn(4, generator=each) for each in generator]
        else:
            noise = torch.randn(len(prompts), 4, generator=generator)
        batches.append(Batch(prompts, num_inference_steps, guidance_scale))
        images = [
            scribble((text, x, num_inference_steps, guidance_scale)) for text, x in zip(prompts, noise, strict=True)
        ]
        return StableDiffusionPipelineOutput(images=images, nsfw_content_detected=None)

    with patch.object(StableDiffusionPipeline, "__call__", draw):
        yield batches


def scribble(ingredients: object) -> Image.Image:
    """A picture of 4×4 coloured squares that differs for different ingredients."""
    from PIL import Image

    colours = hashlib.sha512(repr(ingredients).encode()).digest()[:48]
    return Image.frombytes("RGB", (4, 4), colours).resize((32, 32), Image.Resampling.NEAREST)


def scribbled(prompt: str, seed: int, *, steps: int, guidance_scale: float) -> Image.Image:
    """What `quick_pipeline` draws for a prompt with a generator of this seed."""
    import torch

    return scribble((prompt, torch.randn(4, generator=torch.Generator().manual_seed(seed)), steps, guidance_scale))


# ---------------------------------------------------------------- a runner


class Received(NamedTuple):
    """A request that the stand-in of the runner got: its path and its JSON body."""

    path: str
    body: dict


@contextmanager
def runner(status: int, answer: bytes) -> Iterator[tuple[str, list[Received]]]:
    """A server on a free port that answers every POST in this way; gives its address and what it got."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with contextlib.suppress(ValueError):
                received.append(Received(self.path, json.loads(body)))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


# ---------------------------------------------------------------- the screen, and a folder


@contextmanager
def shown_things() -> Iterator[list]:
    """A list that is filled when something is shown: by IPython's display, by plt.show, or as an open figure."""
    import IPython.display
    import matplotlib.pyplot as plt

    shown: list = []
    figures = set(plt.get_fignums())
    with (
        patch.object(IPython.display, "display", lambda *things, **options: shown.extend(things)),
        patch.object(plt, "show", lambda *args, **options: shown.append("plt.show")),
    ):
        yield shown
    left = set(plt.get_fignums()) - figures
    shown.extend(left)
    for number in left:
        plt.close(number)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Work in an empty folder for a while, so that a check never touches what the student has made."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)
