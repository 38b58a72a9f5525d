"""From a request to the web UI's API to the image job it asks for."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from PIL import Image, ImageOps
from starlette.concurrency import run_in_threadpool

from course.api_error import ApiError
from course.serve import loras
from course.serve.images import read_base64
from course.serve.painter import ImageJob, Painter
from course.serve.samplers import LCM, SAMPLERS, Sampler, find
from course.serve.sdoptions import unchangeable
from course.serve.sdschema import MAX_SIDE, Img2Img, Txt2Img

__all__ = ["MAX_PIXELS", "plan"]

#: The most pixels per request, all pictures together: 64 of 128×128, 4 of 512×512.
MAX_PIXELS = MAX_SIDE**2
#: The most fields or options named in a comment.
MAX_NAMED = 20
DEFAULT_SAMPLER = next(iter(SAMPLERS))

#: How a picture is resized, by the web UI's numbers.
RESIZE = (Image.Image.resize, ImageOps.fit, ImageOps.pad)
WEIGHT = re.compile(r"\([^():]{1,200}:\s*\d[\d.]*\)")


async def plan(body: Txt2Img, painter: Painter) -> ImageJob:
    """Return the image job that a request asks for.

    Raises:
        ApiError: status 422 for too many pixels or steps, for incompatible settings and unknown adapters; 400 for a
            picture that can't be read.
    """
    side = await painter.side()
    width, height, count = body.width or side, body.height or side, body.batch_size * body.n_iter
    if count * width * height > MAX_PIXELS:
        raise ApiError(
            422,
            f"batch_size × n_iter = {count} pictures of {width}×{height} exceed the limit of {MAX_PIXELS:,} pixels "
            f"per request: ask for at most {MAX_PIXELS // (width * height)} of that size.",
        )
    first = random.randrange(2**32 - count) if body.seed == -1 else body.seed
    prompt, weights = loras.read(body.prompt)
    _expect_known(weights, painter)
    sampler, schedule = await _sampler(body, weights.get(loras.FEW_STEP), painter)
    if sampler.name == LCM:
        weights.setdefault(loras.FEW_STEP, 1.0)
    job = ImageJob(
        prompt=prompt,
        negative_prompt=body.negative_prompt,
        seeds=tuple(range(first, first + count)),
        batch_size=body.batch_size,
        steps=body.steps or sampler.steps,
        cfg_scale=body.cfg_scale or sampler.cfg_scale,
        width=width,
        height=height,
        sampler=sampler.name,
        schedule=schedule,
        loras={name: weight for name, weight in weights.items() if weight},
    )
    if job.steps > sampler.max_steps:
        raise ApiError(422, f"steps: {sampler.name} takes at most {sampler.max_steps} steps, not {job.steps}.")
    if isinstance(body, Img2Img):
        await _start_from_picture(body, job)
    job.comments += _comments(body, job)
    return job


def _expect_known(names: Iterable[str], painter: Painter) -> None:
    known = (loras.FEW_STEP, *painter.loras.files())
    for name in names:
        if name not in known:
            raise ApiError(
                422, f"prompt: there is no LoRA {name[:50]!r} here; available: {', '.join(known[:MAX_NAMED])}."
            )


async def _sampler(body: Txt2Img, lora: float | None, painter: Painter) -> tuple[Sampler, str]:
    """Return the sampler and its schedule."""
    name, schedule = find(body.sampler_name or body.sampler_index or await _default_sampler(body, lora, painter))
    sampler, schedule = SAMPLERS[name], body.scheduler or schedule or "Automatic"
    if schedule not in sampler.schedules:
        raise ApiError(422, f"scheduler: {name} does not support {schedule!r}, only: {', '.join(sampler.schedules)}.")
    return sampler, schedule


async def _default_sampler(body: Txt2Img, lora: float | None, painter: Painter) -> str:
    """LCM if its adapter is requested, or is available and the request has nothing that LCM can't do."""
    if lora:
        return LCM
    wants_guidance = (body.cfg_scale or 1) > 1 or body.negative_prompt  # neither has an effect without guidance
    unsupported = (body.steps or 1) > SAMPLERS[LCM].max_steps or body.scheduler not in ("", *SAMPLERS[LCM].schedules)
    if wants_guidance or unsupported or lora == 0 or not await painter.has_few_step():
        return DEFAULT_SAMPLER
    return LCM


async def _start_from_picture(body: Img2Img, job: ImageJob) -> None:
    if job.steps * body.denoising_strength < 1:
        raise ApiError(
            422,
            f"denoising_strength: {body.denoising_strength:g} of {job.steps} steps is less than one: increase either.",
        )
    picture = await run_in_threadpool(read_base64, body.init_images[0], "init_images.0")
    job.picture = RESIZE[body.resize_mode](picture, (job.width, job.height))
    job.strength = body.denoising_strength


def _comments(body: Txt2Img, job: ImageJob) -> list[str]:
    """Return a comment for each setting that has no effect."""
    comments = unchangeable(body.override_settings)[:MAX_NAMED]
    if fields := body.without_effect:
        comments.append(f"These fields have no effect here: {', '.join(name[:50] for name in fields[:MAX_NAMED])}.")
    if job.negative_prompt and job.cfg_scale == 1:
        comments.append("negative_prompt has no effect with a cfg_scale of 1.")
    if WEIGHT.search(job.prompt + job.negative_prompt):
        comments.append("Weights such as (word:1.2) have no effect in prompts here.")
    return comments
