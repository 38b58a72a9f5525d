"""Stand-ins for what a student's function talks to: a chat model, a pipeline, a server, the screen, a folder.

With them a check sees everything that a function does, costs next to nothing, and gives the same verdict each time.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from PIL import Image

__all__ = [
    "Batch",
    "Heard",
    "NeverEnds",
    "Received",
    "Reply",
    "Request",
    "chat_says",
    "data_url",
    "encoded",
    "ours",
    "pictures_of",
    "quick_pipeline",
    "runner",
    "scratch_folder",
    "scribble",
    "scribbled",
    "scripted_chat",
    "shown_things",
    "text_of",
    "web_server",
]

ENDLESS = 20
"""Requests to a chat model after which a loop is taken for endless."""

# ---------------------------------------------------------------- a chat model


class Heard(NamedTuple):
    """A request that the chat model got: its text, its pictures as data URLs, the temperature, and the model's role.

    The role is "" of a model that is no longer known.
    """

    text: str
    pictures: list[str]
    temperature: float
    role: str = ""


class NeverEnds(BaseException):
    """More requests than any right answer makes: a loop without an end.

    No Exception, so that an `except Exception` in the loop can't swallow it. A notebook shows its sentence alone.
    """

    def __str__(self) -> str:
        return (
            f"Your function has asked the chat model {ENDLESS} times and would go on without end: count the requests."
        )

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def scripted_chat(replies: Sequence[str | Exception]) -> BaseChatModel:
    """A LangChain chat model that gives these replies in turn, the last one again and again; an exception is raised.

    Its `heard` is the list of what it was sent: for each call the messages as they were then.
    """
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class ScriptedChat(BaseChatModel):
        script: list
        heard: list

        def _generate(self, messages, stop=None, run_manager=None, **options):
            self.heard.append(copy.deepcopy(messages))
            if len(self.heard) > ENDLESS:
                raise NeverEnds
            reply = self.script[min(len(self.heard), len(self.script)) - 1]
            if isinstance(reply, Exception):
                raise reply
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=reply))])

        @property
        def _llm_type(self) -> str:
            return "scripted"

    return ScriptedChat(script=list(replies), heard=[])


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
    made: list[tuple[FallbackChat, float, str]] = []
    make_local = chat._local

    def remember(name, role, model, options) -> FallbackChat:
        made.append((make_local(model, options), options["temperature"], role))
        return made[-1][0]

    def answer(model: FallbackChat, messages: Sequence[BaseMessage], temperature: float | None) -> str:
        known, role = next(((known, role) for each, known, role in made if each is model), (0.0, ""))
        temperature = known if temperature is None else temperature
        heard.append(Heard(text_of(ours(messages)).strip(), pictures_of(messages), temperature, role))
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
        patch.object(chat.settings, "chat_provider", "groq"),  # where the roles have different models
        patch.object(chat, "_hosted", remember),
        patch.multiple(FallbackChat, _generate=generate, _stream=stream),
    ):
        yield heard


def ours(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages of a request that are not the model's own."""
    return [message for message in messages if message.type != "ai"]


def text_of(messages: Sequence[BaseMessage]) -> str:
    """All text of these messages."""
    return "\n".join(part.get("text", "") for part in _parts(messages))


def pictures_of(messages: Sequence[BaseMessage]) -> list[str]:
    """The addresses of all pictures of these messages."""
    places = [part["image_url"] for part in _parts(messages) if "image_url" in part]
    return [place["url"] if isinstance(place, dict) else place for place in places]


def _parts(messages: Sequence[BaseMessage]) -> Iterator[dict]:
    for message in messages:
        for part in [message.content] if isinstance(message.content, str) else message.content:
            yield {"text": part} if isinstance(part, str) else part


# ---------------------------------------------------------------- a pipeline


class Batch(NamedTuple):
    """One call of the pipeline: a prompt for each picture, the steps and the guidance, and whether `few_step` made it."""

    prompts: list[str]
    steps: int
    guidance_scale: float
    few_step: bool = False


@contextmanager
def quick_pipeline() -> Iterator[list[Batch]]:
    """While it lasts, Stable Diffusion pipelines only scribble; gives the list of batches that were drawn.

    A scribble depends on its prompt, the noise of its generator, the steps and the guidance, as a picture does.
    """
    from helpers.models import adapter_of, quiet

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
        batches.append(Batch(prompts, num_inference_steps, guidance_scale, adapter_of(self) is not None))
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


# ---------------------------------------------------------------- a server


class Request(NamedTuple):
    """A request as a server gets it."""

    method: str
    path: str
    body: bytes


class Reply(NamedTuple):
    """What a server answers: it is silent for `wait` seconds before, and need not say how long the body is."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    wait: float = 0
    says_length: bool = True


@contextmanager
def web_server(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """A server on a free port of this computer that answers every GET and POST like this; gives its address."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Event, Thread

    over = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.requestline.split()[1]  # self.path would put the two slashes of //sdapi together
            reply = answer(Request(self.command, path, body))
            over.wait(reply.wait)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            if reply.says_length:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, *_):
            pass  # who has seen enough, or waited long enough, hangs up

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with patch.dict(os.environ, no_proxy="*", NO_PROXY="*"):  # not even a proxy of the system's settings is asked
            yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


class Received(NamedTuple):
    """A request that the stand-in of the runner got: its path and its JSON body."""

    path: str
    body: dict


@contextmanager
def runner(status: int, answer: bytes) -> Iterator[tuple[str, list[Received]]]:
    """A server that answers every POST in this way; gives its address and what it got."""
    received: list[Received] = []
    kind = "application/json" if answer.startswith(b"{") else "text/plain"

    def reply(request: Request) -> Reply:
        if request.method != "POST":
            return Reply(b"{}", 405)
        with contextlib.suppress(ValueError):
            received.append(Received(request.path, json.loads(request.body)))
        return Reply(answer, status, kind)

    with web_server(reply) as address:
        yield address, received


# ---------------------------------------------------------------- pictures as files


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    """The bytes of the file that the picture would be saved as."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def data_url(image: Image.Image, kind: str = "PNG") -> str:
    """The picture inside a URL: data:image/png;base64,…"""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encoded(image, kind)).decode()}"


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
