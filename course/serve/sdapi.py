"""``/sdapi/v1/txt2img`` and what goes with it: pictures, as AUTOMATIC1111's web UI for Stable Diffusion serves them.

The web UI's API is described at https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API. A client of that API
works here, within these limits: one model, text to picture, and the fields of `Txt2Img`; other fields of a request
are let pass unread, as its scripts and extensions add some of their own. A field that is left out takes what suits the
model here (its own size, 25 steps, a guidance scale of 4), where the web UI has 512×512, 50 and 7.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import ConfigDict, Field, field_validator
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from course.serve.errors import ApiError, readable
from course.serve.painter import SAMPLERS, Cancelled, Drawing, Painter
from course.serve.schema import Incoming, Text
from helpers import __version__, models

if TYPE_CHECKING:
    from helpers.models import Entry

__all__ = ["MAX_PIXELS", "Txt2Img", "sdapi"]

MAX_STEPS = 150
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
    steps: int = Field(25, ge=1, le=MAX_STEPS)
    cfg_scale: float = Field(4.0, ge=1, le=30)
    width: Side | None = None
    height: Side | None = None
    send_images: bool = True

    @field_validator("sampler_name", "sampler_index")
    @classmethod
    def _known(cls, name: str) -> str:
        if name and name not in SAMPLERS:
            raise ValueError(f"there is no sampler {name!r} here; there are: {', '.join(SAMPLERS)}")
        return name


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
        return JSONResponse(await run_in_threadpool(_finished, asked, drawing, pictures))

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

    @app.get("/sd-models")
    async def sd_models() -> list[dict]:
        entry = models.entry("diffusion")
        names = {"title": entry.id, "model_name": entry.id, "filename": entry.id}
        return [{**names, "hash": _short_hash(entry), "sha256": None, "config": None}]

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
    """The drawing that a request asks for. Raises ``ApiError`` 422 for more pixels than are drawn in one request."""
    side = await painter.side()
    width, height, count = asked.width or side, asked.height or side, asked.batch_size * asked.n_iter
    if count * width * height > MAX_PIXELS:
        raise ApiError(
            422,
            f"batch_size × n_iter = {count} pictures of {width}×{height} are more than the {MAX_PIXELS:,} pixels that "
            f"one request may have: ask for at most {MAX_PIXELS // (width * height)} of that size.",
        )
    first = random.randrange(2**32 - count) if asked.seed == -1 else asked.seed
    return Drawing(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        seeds=tuple(range(first, first + count)),
        batch_size=asked.batch_size,
        steps=asked.steps,
        cfg_scale=asked.cfg_scale,
        width=width,
        height=height,
        sampler=asked.sampler_name or asked.sampler_index or DEFAULT_SAMPLER,
    )


async def _cancel_when_gone(request: Request, drawing: Drawing) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    drawing.cancelled = True


# -- from a drawing to the answer


def _finished(asked: Txt2Img, drawing: Drawing, pictures: Sequence[Image.Image]) -> dict:
    entry = models.entry("diffusion")
    texts = [_infotext(drawing, seed, entry) for seed in drawing.seeds]
    return {
        "images": [_png(*pair) for pair in zip(pictures, texts, strict=True)] if asked.send_images else [],
        "parameters": {**asked.model_dump(), "width": drawing.width, "height": drawing.height},
        "info": json.dumps(_info(drawing, texts, entry)),
    }


def _short_hash(entry: Entry) -> str | None:
    return entry.revision[:10] or None


def _infotext(drawing: Drawing, seed: int, entry: Entry) -> str:
    """How the picture with this seed was made, as the web UI writes it into a PNG (and reads it from there)."""
    facts = {
        "Steps": drawing.steps,
        "Sampler": drawing.sampler,
        "CFG scale": f"{drawing.cfg_scale:g}",
        "Seed": seed,
        "Size": f"{drawing.width}x{drawing.height}",
        "Model hash": _short_hash(entry),
        "Model": entry.id,
        "Version": f"picture-this {__version__}",
    }
    last = ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    negative = f"\nNegative prompt: {drawing.negative_prompt}" if drawing.negative_prompt else ""
    return f"{drawing.prompt}{negative}\n{last}".strip()


def _info(drawing: Drawing, texts: list[str], entry: Entry) -> dict[str, Any]:
    """What the web UI tells of its work, field by field; fields of things that are not done here hold its defaults."""
    count, first = len(drawing.seeds), drawing.seeds[0]
    return {
        "prompt": drawing.prompt,
        "all_prompts": [drawing.prompt] * count,
        "negative_prompt": drawing.negative_prompt,
        "all_negative_prompts": [drawing.negative_prompt] * count,
        "seed": first,
        "all_seeds": drawing.seeds,
        "subseed": first,
        "all_subseeds": drawing.seeds,
        "subseed_strength": 0,
        "width": drawing.width,
        "height": drawing.height,
        "sampler_name": drawing.sampler,
        "cfg_scale": drawing.cfg_scale,
        "steps": drawing.steps,
        "batch_size": drawing.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": entry.id,
        "sd_model_hash": _short_hash(entry),
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "version": f"picture-this {__version__}",
    }


def _png(picture: Image.Image, parameters: str | None = None) -> str:
    """The picture as a PNG file in base64, with ``parameters`` in its text chunk of that name."""
    words = PngInfo()
    if parameters is not None:
        words.add_text("parameters", parameters)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=words)
    return base64.b64encode(file.getvalue()).decode()


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
        "current_image": _png(picture) if picture else None,
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
