"""``/sdapi/v1/txt2img`` and what goes with it: pictures, as AUTOMATIC1111's web UI for Stable Diffusion serves them.

The web UI's API is described at https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API. A client of that API
works here, within these limits: one model, text to picture, and the fields of `Txt2Img`; other fields of a request
are let pass unread, as its scripts and extensions add some of their own. A field that is left out takes what suits the
model and the sampler here (its own size; 4 steps and no guidance for LCM, else 25 steps and a guidance scale of 4),
where the web UI has 512×512, 50 and 7.

The sampler ``LCM`` brings the adapter for few steps with it; ``<lora:few_step:0.8>`` in a prompt sets how much of it.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import ConfigDict, Field, field_validator
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from course.api_error import ApiError
from course.serve import loras
from course.serve.errors import readable
from course.serve.painter import LCM, MAX_STEPS, SAMPLERS, Cancelled, Drawing, Painter
from course.serve.schema import Incoming, Text
from course.serve.sdinfo import finished, png, short_hash
from helpers import models

__all__ = ["MAX_PIXELS", "Txt2Img", "sdapi"]

MAX_SIDE = 1024
#: The most pixels of all pictures of a request together: 64 of 128×128, 4 of 512×512.
MAX_PIXELS = MAX_SIDE**2
MAX_PICTURES = 64
#: JSON readers keep whole numbers up to here to the last digit.
MAX_SEED = 2**53
DEFAULT_SAMPLER = next(iter(SAMPLERS))

Side = Annotated[int, Field(ge=64, le=MAX_SIDE, multiple_of=8)]
Several = Annotated[int, Field(ge=1, le=MAX_PICTURES)]


class Txt2Img(Incoming):
    """The body of ``POST /txt2img``. ``"20"`` is taken for 20, as the web UI takes it.

    There are ``n_iter`` batches of ``batch_size`` pictures, whose seeds count up from ``seed``; a seed of -1 is
    drawn at random. ``sampler_index`` is the older name of ``sampler_name``.
    """

    model_config = ConfigDict(strict=False)

    prompt: Annotated[Text, Field(max_length=10_000)] = ""
    negative_prompt: Annotated[Text, Field(max_length=10_000)] = ""
    seed: int = Field(-1, ge=-1, le=MAX_SEED)
    sampler_name: str = ""
    sampler_index: str = ""
    batch_size: Several = 1
    n_iter: Several = 1
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    cfg_scale: float | None = Field(None, ge=1, le=30)
    width: Side | None = None
    height: Side | None = None
    send_images: bool = True

    @field_validator("sampler_name", "sampler_index")
    @classmethod
    def _known(cls, name: str) -> str:
        if name and name not in SAMPLERS:
            raise ValueError(f"there is no sampler {name!r} here; there are: {', '.join(SAMPLERS)}")
        return name

    @field_validator("prompt")
    @classmethod
    def _known_loras(cls, prompt: str) -> str:
        loras.read(prompt)
        return prompt


def sdapi(painter: Painter) -> FastAPI:
    """The app to mount at ``/sdapi/v1``. Its errors have the web UI's shape, ``{"error", "detail", "body", "errors"}``."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(Exception, _answer_unexpected)

    @app.post("/txt2img")
    async def txt2img(asked: Txt2Img, request: Request) -> Response:
        drawing = await _planned(asked, painter)
        watch = asyncio.create_task(_cancel_when_gone(request, drawing))
        try:
            pictures = await painter.draw(drawing)
        except Cancelled:
            return Response(status_code=499)  # the word for it in servers' logs; nobody is there to read it
        finally:
            watch.cancel()
        return JSONResponse(await run_in_threadpool(finished, asked, drawing, pictures))

    @app.get("/progress")
    async def progress(skip_current_image: bool = False) -> dict:
        drawing = painter.at_work
        picture = None
        if drawing and not skip_current_image:
            picture = await run_in_threadpool(painter.preview, drawing)
        return _progress(drawing, picture)

    @app.get("/samplers")
    async def samplers() -> list[dict]:
        return [{"name": s.name, "aliases": s.aliases, "options": s.options} for s in SAMPLERS.values()]

    @app.get("/loras")
    async def known_loras() -> list[dict]:
        found = loras.LORAS if await painter.has_few_step() else ()
        return [{"name": name, "alias": name, "path": name, "metadata": {}} for name in found]

    @app.get("/sd-models")
    async def sd_models() -> list[dict]:
        entry = models.entry("diffusion")
        names = {"title": entry.id, "model_name": entry.id, "filename": entry.id}
        return [{**names, "hash": short_hash(entry), "sha256": None, "config": None}]

    @app.get("/options")
    async def options() -> dict:
        return {
            "sd_model_checkpoint": models.entry("diffusion").id,
            "samples_format": "png",
            "enable_pnginfo": True,
            "live_previews_enable": True,
            "show_progress_every_n_steps": 1,
            "CLIP_stop_at_last_layers": 1,
        }

    @app.get("/scripts")
    async def scripts() -> dict:
        return {"txt2img": [], "img2img": []}  # none; some clients ask before they send anything else

    return app


# -- from a request to a drawing


async def _planned(asked: Txt2Img, painter: Painter) -> Drawing:
    """The drawing that a request asks for. Raises ``ApiError`` 422 for more pixels or steps than are drawn."""
    side = await painter.side()
    width, height, count = asked.width or side, asked.height or side, asked.batch_size * asked.n_iter
    if count * width * height > MAX_PIXELS:
        raise ApiError(
            422,
            f"batch_size × n_iter = {count} pictures of {width}×{height} are more than the {MAX_PIXELS:,} pixels that "
            f"one request may have: ask for at most {MAX_PIXELS // (width * height)} of that size.",
        )
    first = random.randrange(2**32 - count) if asked.seed == -1 else asked.seed
    prompt, weight = loras.read(asked.prompt)
    sampler = SAMPLERS[asked.sampler_name or asked.sampler_index or await _default_sampler(asked, weight, painter)]
    steps = asked.steps or sampler.steps
    if steps > sampler.max_steps:
        raise ApiError(422, f"steps: {sampler.name} takes at most {sampler.max_steps} steps, not {steps}.")
    if weight is None:
        weight = 1.0 if sampler.name == LCM else 0.0
    return Drawing(
        prompt=prompt,
        negative_prompt=asked.negative_prompt,
        seeds=tuple(range(first, first + count)),
        batch_size=asked.batch_size,
        steps=steps,
        cfg_scale=asked.cfg_scale or sampler.cfg_scale,
        width=width,
        height=height,
        sampler=sampler.name,
        lora=weight,
    )


async def _default_sampler(asked: Txt2Img, lora: float | None, painter: Painter) -> str:
    """LCM where its adapter is there or is asked for, and nothing is asked for that it can't do."""
    if lora:
        return LCM
    guided = (asked.cfg_scale or 1) > 1 or asked.negative_prompt  # which without guidance has no say
    if guided or (asked.steps or 1) > SAMPLERS[LCM].max_steps or lora == 0 or not await painter.has_few_step():
        return DEFAULT_SAMPLER
    return LCM


async def _cancel_when_gone(request: Request, drawing: Drawing) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    drawing.cancelled = True


# -- from a drawing to the answer


def _progress(drawing: Drawing | None, picture: Image.Image | None) -> dict:
    """How far the drawing in the making is; all zeros when there is none. ``eta_relative`` is in seconds."""
    state = {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }
    done = eta = 0.0
    if drawing:
        done = drawing.progress
        passed = time.monotonic() - drawing.started
        eta = passed / done - passed if done else 0.0
        state |= {"job": "txt2img", "job_count": drawing.batches, "job_no": drawing.batch}
        state |= {"sampling_step": drawing.step, "sampling_steps": drawing.steps_planned or drawing.steps}
    return {
        "progress": done,
        "eta_relative": eta,
        "state": state,
        "current_image": png(picture) if picture else None,
        "textinfo": None,
    }


# -- errors


def _error(kind: str, status: int, sentence: str, detail: Any, headers: dict | None = None) -> JSONResponse:
    body = {"error": kind, "detail": detail, "body": "", "errors": sentence}
    return JSONResponse(body, status, headers)


def _answer(request: Request, error: HTTPException) -> JSONResponse:
    sentence = readable(error.detail)
    return _error("HTTPException", error.status_code, sentence, sentence, error.headers)


def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    return _error(type(error).__name__, 500, "The endpoint failed; its log says more.", "")


def _answer_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """422, with FastAPI's list of what is wrong, and all of it in one line."""
    faults = []
    for fault in error.errors():
        message = readable(fault["msg"].removeprefix("Value error, "))
        faults.append({"loc": [readable(str(part)) for part in fault["loc"]], "msg": message, "type": fault["type"]})
    sentence = " ".join(f"{'.'.join(fault['loc'][1:]) or 'The body'}: {fault['msg'].rstrip('.')}." for fault in faults)
    return _error("RequestValidationError", 422, sentence, faults)
