"""The routes of ``course serve``, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from course.assess.api import assessment_router
from course.assess.runner import Runner
from course.serve.chat import chat_router
from course.serve.engine import Engine
from course.serve.errors import BodyLimit, add_error_handlers
from course.serve.hosts import OwnNames
from course.serve.notebooks import Notebooks, notebooks_router
from course.serve.painter import Painter
from course.serve.pictures import pictures_router
from course.serve.sdapi import sdapi
from helpers import __version__, models

__all__ = ["MAX_BODY", "create_app"]

MAX_BODY = 20_000_000  # bytes

#: What stands at the head of ``/docs``.
DESCRIPTION = """
The endpoint of the course: OpenAI's chat completions at `/v1`, the API of the web UI for Stable Diffusion at
[/sdapi/v1](/sdapi/v1/docs), which has a page of its own. This page needs the internet; `/openapi.json` does not.
"""


def create_app(
    engine: Engine,
    model_id: str,
    *,
    host: str = "127.0.0.1",
    painter: Painter | None = None,
    runner: Runner | None = None,
    notebooks: Notebooks | None = None,
    submission_root: Path | None = None,
    strict_models: bool = False,
    allow_image_urls: bool = False,
    max_body: int = MAX_BODY,
) -> FastAPI:
    """The app that answers with ``engine``'s model under the name ``model_id``.

    The chat routes are under ``/v1``, and under ``/openai/v1``, where Groq's client looks for them; the picture
    routes under ``/sdapi/v1``.

    Args:
        host: the address that it listens on; requests that call it by another name are refused (`OwnNames`).
        painter: draws the pictures; if not given, one with the registry's diffusion model, loaded at the first request.
        runner: judges submissions at ``/run_assessment``; if not given, there is no such route.
        notebooks: those that it runs for; if not given, notebooks can't join.
        submission_root: the folder whose folders a submission may name; if not given, it may name none.
        strict_models: answer requests for another model with 404, and not with ``engine``'s.
        allow_image_urls: fetch a picture from an http(s) URL that a request names.
        max_body: the longest body of a request, in bytes.
    """

    painter = painter or Painter(partial(models.load, "diffusion"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        if runner:
            runner.start()
        yield
        if runner:
            runner.stop()
        painter.stop()
        engine.stop()

    app = FastAPI(title="Picture This", version=__version__, description=DESCRIPTION, lifespan=lifespan, redoc_url=None)
    app.add_middleware(BodyLimit, limit=max_body)
    app.add_middleware(OwnNames, host=host)
    add_error_handlers(app)
    chat = chat_router(engine, model_id, strict_models=strict_models, allow_image_urls=allow_image_urls)
    app.include_router(chat, prefix="/v1")
    app.include_router(chat, prefix="/openai/v1", include_in_schema=False)
    app.include_router(pictures_router())

    app.mount("/sdapi/v1", sdapi(painter))
    if runner:
        app.include_router(assessment_router(runner, root=submission_root))
    if notebooks:
        app.include_router(notebooks_router(notebooks))

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/docs")

    @app.get("/health")
    async def health() -> dict:
        """Who is here, for those that look whether a port is taken."""
        return {"status": "ok", "course": "picture-this", "models": [model_id]}

    return app
