"""`/sdapi/v1`: image generation with the API of AUTOMATIC1111's web UI for Stable Diffusion.

The web UI's API is described at https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API. Its clients work
here, within these limits: one model, text-to-image and image-to-image, and the fields of `Txt2Img` and `Img2Img`;
`comments` in the response's `info` lists what has no effect. Defaults are those of the model and the sampler here (the
model's own size; 4 steps and no guidance for LCM, otherwise 25 steps and a guidance scale of 4), where the web UI has
512×512, 50 and 7.

The sampler `LCM` adds the few-step adapter; `<lora:few_step:0.8>` in a prompt sets its weight. Other adapters are files
in the folder that `/cmd-flags` calls `lora_dir`; `/loras` lists them (`course.serve.loras`).
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
from course.serve.disconnect import CLIENT_CLOSED_REQUEST, on_disconnect
from course.serve.errors import faults, message_for, sent_as_json
from course.serve.images import read_base64
from course.serve.painter import Cancelled, Painter
from course.serve.samplers import SAMPLERS, SCHEDULES, schedule_name
from course.serve.sdoptions import DONE, EMPTY, options, unchangeable
from course.serve.sdplan import plan
from course.serve.sdschema import Img2Img, PngInfo, Txt2Img
from helpers import __version__, models

__all__ = ["sdapi"]


def sdapi(painter: Painter) -> FastAPI:
    """Create the app for `/sdapi/v1`. Its errors have the web UI's shape, `{"error", "detail", "body", "errors"}`."""
    app = FastAPI(title="Picture This: pictures", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, _respond)
    app.add_exception_handler(RequestValidationError, _respond_invalid)
    app.add_exception_handler(Exception, _respond_unexpected)
    _add_drawing(app, painter)
    _add_lists(app, painter)
    return app


def _add_drawing(app: FastAPI, painter: Painter) -> None:
    async def draw(body: Txt2Img, request: Request) -> Response:
        job = await plan(body, painter)

        def cancel() -> None:
            job.cancelled = True

        try:
            async with on_disconnect(request, cancel):
                pictures = await painter.draw(job)
        except Cancelled:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return JSONResponse(await run_in_threadpool(sdinfo.finished, body, job, pictures))

    @app.post("/txt2img")
    async def txt2img(body: Txt2Img, request: Request) -> Response:
        """Draw pictures from a prompt."""
        return await draw(body, request)

    @app.post("/img2img")
    async def img2img(body: Img2Img, request: Request) -> Response:
        """Redraw a picture with a prompt."""
        return await draw(body, request)

    @app.get("/progress")
    async def progress(skip_current_image: bool = False) -> dict:
        """Return the progress of the running job."""
        job = painter.current_job
        picture = None
        if job and not skip_current_image:
            picture = await run_in_threadpool(painter.preview, job)
        return sdinfo.progress(job, picture)

    @app.post("/interrupt")
    async def interrupt() -> dict:
        """End the running job early, keeping the current pictures."""
        painter.interrupt()
        return {}

    @app.post("/png-info")
    def png_info(body: PngInfo) -> dict:
        """Return the settings stored in a picture."""
        items = {key: value for key, value in read_base64(body.image, "image").info.items() if isinstance(value, str)}
        text = items.get("parameters", "")
        return {"info": text, "items": items, "parameters": sdinfo.read_infotext(text) if text else {}}


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
        found = {loras.FEW_STEP: loras.FEW_STEP} if await painter.has_few_step() else {}
        found |= painter.loras.files()
        return [{"name": name, "alias": name, "path": str(path), "metadata": {}} for name, path in found.items()]

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
        """Accept the fixed options, which clients send before they draw; refuse any change."""
        if messages := unchangeable(wanted):
            raise ApiError(422, messages[0])

    @app.get("/scripts")
    async def scripts() -> dict:
        return {"txt2img": [], "img2img": []}

    @app.get("/embeddings")
    async def embeddings() -> dict:
        return {"loaded": {}, "skipped": {}}

    @app.get("/cmd-flags")
    async def cmd_flags() -> dict:
        return {"lora_dir": str(painter.loras.path)}

    async def empty() -> list:
        return []

    async def done() -> None:
        pass

    for name in EMPTY:
        app.add_api_route(f"/{name}", empty, methods=["GET"], name=name)
    for name in DONE:
        app.add_api_route(f"/{name}", done, methods=["POST"], name=name)


# -- errors


def _error(kind: str, status: int, message: str, detail: Any, headers: dict | None = None) -> JSONResponse:
    body = {"error": kind, "detail": detail, "body": "", "errors": message}
    return JSONResponse(body, status, headers)


def _respond(request: Request, error: HTTPException) -> JSONResponse:
    message = message_for(request, error)
    return _error("HTTPException", error.status_code, message, message, error.headers)


def _respond_unexpected(request: Request, error: Exception) -> JSONResponse:
    return _error(type(error).__name__, 500, "The endpoint failed; see its log.", "")


def _respond_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """422, or 415 for what is not JSON, with FastAPI's list of what is wrong, and all of it in one line."""
    found = faults(error)
    details = [{"loc": ["body", *fault.path], "msg": fault.message, "type": fault.type} for fault in found]
    return _error("RequestValidationError", 422 if sent_as_json(error) else 415, " ".join(map(str, found)), details)
