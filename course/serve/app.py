"""The FastAPI app of `course serve`, assembled from its routes."""

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
from course.serve.hosts import TrustedHosts
from course.serve.notebooks import Notebooks, notebooks_router
from course.serve.painter import Painter
from course.serve.pictures import pictures_router
from course.serve.sdapi import sdapi
from helpers import __version__, models

__all__ = ["MAX_BODY", "create_app"]

MAX_BODY = 20_000_000  # bytes

#: The text at the top of `/openapi.json`.
DESCRIPTION = """
The course's endpoint: OpenAI's chat completions at `/v1`, the API of the Stable Diffusion web UI at `/sdapi/v1`, whose
routes are in `/sdapi/v1/openapi.json`.
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
    """Create the app that serves `engine`'s model under the name `model_id`.

    The chat routes are under `/v1`, and under `/openai/v1`, where Groq's client looks for them; the picture
    routes under `/sdapi/v1`.

    Args:
        host: the address it listens on; requests to any other host name are refused (`TrustedHosts`).
        painter: draws the pictures; by default one with the registry's diffusion model, loaded at the first request.
        runner: judges submissions at `/run_assessment`; without it there is no such route.
        notebooks: those that it runs for; without it notebooks can't join.
        submission_root: the folder inside which a submission may name folders; without it, it may name none.
        strict_models: answer requests for any other model with 404, instead of with `engine`'s.
        allow_image_urls: fetch pictures from http(s) URLs in requests.
        max_body: the largest request body, in bytes.
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

    # FastAPI's documentation pages load their scripts from a CDN: without the internet they are blank.
    pages = {"docs_url": None, "redoc_url": None}
    app = FastAPI(title="Picture This", version=__version__, description=DESCRIPTION, lifespan=lifespan, **pages)
    app.add_middleware(BodyLimit, limit=max_body)
    app.add_middleware(TrustedHosts, host=host)
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
    @app.get("/docs", include_in_schema=False)  # where the web UI lists its routes
    async def home() -> RedirectResponse:
        return RedirectResponse("/openapi.json")

    @app.get("/health")
    async def health() -> dict:
        """Which server this is, for clients that check whether a port is taken."""
        return {"status": "ok", "course": "picture-this", "models": [model_id]}

    return app
