"""Measure how fast the local endpoint answers and what batching gains; prints a small table.

    python bench/endpoint.py [FOLDER] [--tokens 48] [--rounds 3]

FOLDER holds a LLaVA-style model and its processor; without it, the course's own chat model is measured. Times depend on
the machine and its load: compare only the ratios within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import uvicorn

from course.serve.app import create_app
from course.serve.engine import Engine
from helpers.picturebook import draw, random_scene

CLIENTS = 8
MODEL = "measured"


class Timing(NamedTuple):
    """One streamed reply: seconds to the first text, seconds to the end, and the number of tokens."""

    first: float
    whole: float
    tokens: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", type=Path, help="a model; the course's chat model if not given")
    arguments.add_argument("--tokens", type=int, default=48, help="the maximum length of a reply, in tokens")
    arguments.add_argument("--rounds", type=int, default=3, help="how often each row is measured; the median is shown")
    chosen = arguments.parse_args()
    with endpoint(chosen.folder) as url:
        for kind, content in contents():
            request = {
                "model": MODEL,
                "messages": [{"role": "user", "content": content}],
                "temperature": 0,
                "max_tokens": chosen.tokens,
            }
            asyncio.run(run_clients(url, request, 1))  # warm-up
            rows = [[asyncio.run(run_clients(url, request, n)) for _ in range(chosen.rounds)] for n in (1, CLIENTS)]
            report(kind, rows)


@contextmanager
def endpoint(folder: Path | None) -> Iterator[str]:
    """Run the endpoint in a thread of this process, on a free port; yields its URL."""
    app = create_app(Engine(*load(folder)), MODEL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
        finally:
            server.should_exit = True
            thread.join()


def load(folder: Path | None) -> tuple:
    """Return a model in evaluation mode, and its processor."""
    if folder is None:
        from helpers import models

        return models.load("chat")
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True)
    return model.eval(), AutoProcessor.from_pretrained(folder, backend="pil", local_files_only=True)


def contents() -> Iterator[tuple[str, list[dict]]]:
    """Yield the requests to measure: (name, parts of the message)."""
    text = {"type": "text", "text": "Tell a short story about a red cat."}
    yield "text", [text]
    file = io.BytesIO()
    draw(random_scene(np.random.default_rng(0)), 128).save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    yield "picture", [{"type": "image_url", "image_url": {"url": url}}, {**text, "text": "Describe the picture."}]


async def run_clients(url: str, request: dict, clients: int) -> tuple[float, list[Timing]]:
    """Return the seconds until all of these concurrent clients have their replies, and the timing of each."""
    async with httpx.AsyncClient(timeout=600) as http:
        start = time.perf_counter()
        timings = await asyncio.gather(*(ask(http, url, request) for _ in range(clients)))
        return time.perf_counter() - start, list(timings)


async def ask(http: httpx.AsyncClient, url: str, request: dict) -> Timing:
    request = {**request, "stream": True, "stream_options": {"include_usage": True}}
    start, first, tokens = time.perf_counter(), None, 0
    async with http.stream("POST", url, json=request) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if first is None and any(choice["delta"].get("content") for choice in chunk["choices"]):
                first = time.perf_counter() - start
            if chunk["usage"]:
                tokens = chunk["usage"]["completion_tokens"]
    whole = time.perf_counter() - start
    return Timing(whole if first is None else first, whole, tokens)


def report(kind: str, rows: list[list[tuple[float, list[Timing]]]]) -> None:
    """Print one line for a single client and one for all of them, each from the median round."""
    print(f"\n{kind:8} {'first text':>12} {'a reply':>10} {'tokens/s, all':>14}   vs one client")
    alone = None
    for rounds in rows:
        seconds, timings = sorted(rounds, key=lambda row: row[0])[len(rounds) // 2]
        first = statistics.median(timing.first for timing in timings)
        whole = statistics.median(timing.whole for timing in timings)
        speed = sum(timing.tokens for timing in timings) / seconds
        alone = alone or speed
        who = f"{len(timings)} at once" if len(timings) > 1 else "1 client"
        print(f"{who:8} {first * 1e3:9.0f} ms {whole * 1e3:7.0f} ms {speed:14.0f}   {speed / alone:.2f} × tokens/s")


if __name__ == "__main__":
    main()
