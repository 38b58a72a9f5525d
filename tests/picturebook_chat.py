"""A stand-in for `course serve` that needs no model: it speaks picture-book English by rule, and judges by rote.

Its words are those of the training dialogues (`course.talk`), so a notebook meets replies of the right form.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

from PIL import Image, ImageChops, ImageStat

from course.talk.answers import full_answer
from course.talk.chatter import REFUSAL
from course.talk.dialogues import REWRITE, description
from course.talk.prompts import numbered, variations
from helpers.originals import SCENES
from helpers.picturebook import Scene, draw, parse, questions

#: "Write {n} prompts about: {query}" as patterns, for all the wordings that the chat model practises with.
REQUESTS = [
    re.compile(re.escape(form).replace(r"\{n\}", r"(?P<n>\d+)").replace(r"\{query\}", r"(?P<query>.+)"))
    for form in REWRITE
]


def reply(text: str, picture: Image.Image | None) -> str:
    """What the chat model would say if it never erred. It knows the four originals and nothing else."""
    if picture is not None:
        return _about(text, min(SCENES.values(), key=lambda scene: _difference(draw(scene, size=128), picture)))
    for request in REQUESTS:
        if found := request.fullmatch(text):
            scene = _scene(found["query"])
            return REFUSAL if scene is None else numbered(variations(scene, min(int(found["n"]), 6), Random(len(text))))
    return REFUSAL


def _about(question: str, scene: Scene) -> str:
    for seed in range(8):  # wordings differ by lot
        answers = dict(questions(scene, Random(seed)))
        if question in answers:
            return full_answer(question, answers[question])
    if kind := re.fullmatch(r"Is there an? (\w+) in the picture\?", question):
        return full_answer(question, "yes" if kind[1] in {thing.kind for thing in scene.things} else "no")
    return description(scene)


def _scene(query: str) -> Scene | None:
    query = query.removeprefix("The picture shows ").rstrip(".")
    for caption in (query, f"{query}, on a meadow"):
        try:
            return parse(caption)
        except ValueError:
            continue
    return None


def _difference(a: Image.Image, b: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB").resize(a.size))).mean)


@contextmanager
def picturebook_chat(assessment: dict) -> Iterator[tuple[str, list[dict]]]:
    """Serve `reply` as a chat model, and `assessment` to every submission; gives the address, and the submissions."""
    submissions: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer({"status": "ok", "course": "picture-this", "models": ["chat"]})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/run_assessment":
                submissions.append(body)
                self.answer(assessment)
            elif self.path == "/notebooks":  # one joins
                self.answer({})
            else:
                message = {"role": "assistant", "content": reply(*_asked(body["messages"][-1]["content"]))}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                self.answer(
                    {"id": "1", "object": "chat.completion", "created": 0, "model": "chat", "choices": [choice]}
                )

        def answer(self, content: dict) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", submissions
        finally:
            server.shutdown()


def _asked(content: str | list[dict]) -> tuple[str, Image.Image | None]:
    if isinstance(content, str):
        return content, None
    text = " ".join(part["text"] for part in content if part["type"] == "text")
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return text, Image.open(io.BytesIO(base64.b64decode(urls[0].partition(",")[2]))) if urls else None
