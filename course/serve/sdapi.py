"""``/sdapi/v1``: pictures, as AUTOMATIC1111's web UI for Stable Diffusion serves them.

The web UI's API is described at https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API. A client of that API
works here, within these limits: one model, text to picture and picture to picture, and the fields of `Txt2Img` and
`Img2Img`; the answer's ``info`` names what has no effect, in its ``comments``. A field that is left out takes what suits
the model and the sampler here (its own size; 4 steps and no guidance for LCM, else 25 steps and a guidance scale of 4),
where the web UI has 512×512, 50 and 7.

The sampler ``LCM`` brings the adapter for few steps with it; ``<lora:few_step:0.8>`` in a prompt sets how much of it.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from course.api_error import ApiError
from course.serve import loras, sdinfo
from course.serve.disconnect import CLIENT_CLOSED_REQUEST, when_gone
from course.serve.errors import faults, sentence_of, was_json
from course.serve.images import read_base64
from course.serve.painter import Cancelled, Painter
from course.serve.samplers import SAMPLERS, SCHEDULES, schedule_name
from course.serve.sdoptions import DONE, EMPTY, options, unchangeable
from course.serve.sdplan import plan
from course.serve.sdschema import Img2Img, PngInfo, Txt2Img
from helpers import __version__, models

__all__ = ["sdapi"]


def sdapi(painter: Painter) -> FastAPI:
    """The app to mount at ``/sdapi/v1``. Its errors have the web UI's shape, ``{"error", "detail", "body", "errors"}``."""
    app = FastAPI(title="Picture This: pictures", version=__version__, redoc_url=None)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(Exception, _answer_unexpected)
    _add_drawing(app, painter)
    _add_lists(app, painter)
    return app


def _add_drawing(app: FastAPI, painter: Painter) -> None:
    async def draw(asked: Txt2Img, request: Request) -> Response:
        drawing = await plan(asked, painter)

        def cancel() -> None:
            drawing.cancelled = True

        try:
            async with when_gone(request, cancel):
                pictures = await painter.draw(drawing)
        except Cancelled:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return JSONResponse(await run_in_threadpool(sdinfo.finished, asked, drawing, pictures))

    @app.post("/txt2img")
    async def txt2img(asked: Txt2Img, request: Request) -> Response:
        """Pictures of a prompt."""
        return await draw(asked, request)

    @app.post("/img2img")
    async def img2img(asked: Img2Img, request: Request) -> Response:
        """Pictures of a prompt that begin with a picture."""
        return await draw(asked, request)

    @app.get("/progress")
    async def progress(skip_current_image: bool = False) -> dict:
        """How far the drawing in the making is."""
        drawing = painter.at_work
        picture = None
        if drawing and not skip_current_image:
            picture = await run_in_threadpool(painter.preview, drawing)
        return sdinfo.progress(drawing, picture)

    @app.post("/interrupt")
    async def interrupt() -> dict:
        """Ends the drawing in the making with what there is of it."""
        painter.interrupt()
        return {}

    @app.post("/png-info")
    def png_info(asked: PngInfo) -> dict:
        """The words in a picture: how it was drawn."""
        items = {name: text for name, text in read_base64(asked.image, "image").info.items() if isinstance(text, str)}
        words = items.get("parameters", "")
        return {"info": words, "items": items, "parameters": sdinfo.read_infotext(words) if words else {}}


def _add_lists(app: FastAPI, painter: Painter) -> None:
    @app.get("/samplers")
    async def samplers() -> list[dict]:
        return [{"name": s.name, "aliases": s.aliases, "options": s.options} for s in SAMPLERS.values()]

    @app.get("/schedulers")
    async def schedulers() -> list[dict]:
        more = {"aliases": None, "default_rho": -1, "need_inner_model": False}
        return [{"name": schedule_name(label), "label": label, **more} for label in SCHEDULES]

    @app.get("/loras")
    async def known_loras() -> list[dict]:
        found = loras.LORAS if await painter.has_few_step() else ()
        return [{"name": name, "alias": name, "path": name, "metadata": {}} for name in found]

    @app.get("/sd-models")
    async def sd_models() -> list[dict]:
        entry = models.entry("diffusion")
        names = {"title": entry.id, "model_name": entry.id, "filename": entry.id}
        return [{**names, "hash": sdinfo.short_hash(entry), "sha256": None, "config": None}]

    @app.get("/options")
    async def get_options() -> dict:
        return options()

    @app.post("/options")
    async def set_options(wanted: dict[str, Any]) -> None:
        """Takes the options as they are, which clients send before they draw; others are refused."""
        if sentences := unchangeable(wanted):
            raise ApiError(422, sentences[0])

    @app.get("/scripts")
    async def scripts() -> dict:
        return {"txt2img": [], "img2img": []}

    @app.get("/embeddings")
    async def embeddings() -> dict:
        return {"loaded": {}, "skipped": {}}

    @app.get("/cmd-flags")
    async def cmd_flags() -> dict:
        return {}

    async def empty() -> list:
        return []

    async def done() -> None:
        pass

    for name in EMPTY:
        app.add_api_route(f"/{name}", empty, methods=["GET"], name=name)
    for name in DONE:
        app.add_api_route(f"/{name}", done, methods=["POST"], name=name)


# -- errors


def _error(kind: str, status: int, sentence: str, detail: Any, headers: dict | None = None) -> JSONResponse:
    body = {"error": kind, "detail": detail, "body": "", "errors": sentence}
    return JSONResponse(body, status, headers)


def _answer(request: Request, error: HTTPException) -> JSONResponse:
    sentence = sentence_of(request, error)
    return _error("HTTPException", error.status_code, sentence, sentence, error.headers)


def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    return _error(type(error).__name__, 500, "The endpoint failed; its log says more.", "")


def _answer_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """422, or 415 for what is not JSON, with a list of what is wrong as FastAPI has it, and all of it in one line."""
    found = faults(error)
    details = [{"loc": ["body", *fault.path], "msg": fault.message, "type": fault.type} for fault in found]
    return _error("RequestValidationError", 422 if was_json(error) else 415, " ".join(map(str, found)), details)
