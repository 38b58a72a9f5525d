"""From a request to the web UI's API to the drawing that it asks for."""

from __future__ import annotations

import random
import re

from PIL import Image, ImageOps
from starlette.concurrency import run_in_threadpool

from course.api_error import ApiError
from course.serve import loras
from course.serve.images import read_base64
from course.serve.painter import Drawing, Painter
from course.serve.samplers import LCM, SAMPLERS, Sampler, find
from course.serve.sdoptions import unchangeable
from course.serve.sdschema import MAX_SIDE, Img2Img, Txt2Img

__all__ = ["MAX_PIXELS", "plan"]

#: The most pixels of all pictures of a request together: 64 of 128×128, 4 of 512×512.
MAX_PIXELS = MAX_SIDE**2
#: The most fields or options that are named in a comment.
MAX_NAMED = 20
DEFAULT_SAMPLER = next(iter(SAMPLERS))

#: How a picture comes to the size that is drawn, by the web UI's numbers.
RESIZE = (Image.Image.resize, ImageOps.fit, ImageOps.pad)
WEIGHT = re.compile(r"\([^():]{1,200}:\s*\d[\d.]*\)")


async def plan(asked: Txt2Img, painter: Painter) -> Drawing:
    """The drawing that a request asks for.

    Raises:
        ApiError: status 422 for more pixels or steps than are drawn, and for settings that don't go together; 400 for
            a picture that can't be read.
    """
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
    sampler, schedule = await _sampler(asked, weight, painter)
    if weight is None:
        weight = 1.0 if sampler.name == LCM else 0.0
    drawing = Drawing(
        prompt=prompt,
        negative_prompt=asked.negative_prompt,
        seeds=tuple(range(first, first + count)),
        batch_size=asked.batch_size,
        steps=asked.steps or sampler.steps,
        cfg_scale=asked.cfg_scale or sampler.cfg_scale,
        width=width,
        height=height,
        sampler=sampler.name,
        schedule=schedule,
        lora=weight,
    )
    if drawing.steps > sampler.max_steps:
        raise ApiError(422, f"steps: {sampler.name} takes at most {sampler.max_steps} steps, not {drawing.steps}.")
    if isinstance(asked, Img2Img):
        await _start_from_picture(asked, drawing)
    drawing.comments += _without_effect(asked, drawing)
    return drawing


async def _sampler(asked: Txt2Img, lora: float | None, painter: Painter) -> tuple[Sampler, str]:
    """The sampler and the schedule that it follows."""
    name, schedule = find(asked.sampler_name or asked.sampler_index or await _default_sampler(asked, lora, painter))
    sampler, schedule = SAMPLERS[name], asked.scheduler or schedule or "Automatic"
    if schedule not in sampler.schedules:
        raise ApiError(422, f"scheduler: {name} can't follow {schedule!r}, only: {', '.join(sampler.schedules)}.")
    return sampler, schedule


async def _default_sampler(asked: Txt2Img, lora: float | None, painter: Painter) -> str:
    """LCM where its adapter is there or is asked for, and nothing is asked for that it can't do."""
    if lora:
        return LCM
    guided = (asked.cfg_scale or 1) > 1 or asked.negative_prompt  # which without guidance has no say
    beyond = (asked.steps or 1) > SAMPLERS[LCM].max_steps or asked.scheduler not in ("", *SAMPLERS[LCM].schedules)
    if guided or beyond or lora == 0 or not await painter.has_few_step():
        return DEFAULT_SAMPLER
    return LCM


async def _start_from_picture(asked: Img2Img, drawing: Drawing) -> None:
    if drawing.steps * asked.denoising_strength < 1:
        raise ApiError(
            422,
            f"denoising_strength: {asked.denoising_strength:g} of {drawing.steps} steps is less than one: "
            "ask for more of either.",
        )
    picture = await run_in_threadpool(read_base64, asked.init_images[0], "init_images.0")
    drawing.picture = RESIZE[asked.resize_mode](picture, (drawing.width, drawing.height))
    drawing.strength = asked.denoising_strength


def _without_effect(asked: Txt2Img, drawing: Drawing) -> list[str]:
    """A sentence for each setting that was asked for and is not done."""
    comments = unchangeable(asked.override_settings)[:MAX_NAMED]
    if fields := asked.without_effect:
        comments.append(f"These fields have no effect here: {', '.join(name[:50] for name in fields[:MAX_NAMED])}.")
    if drawing.negative_prompt and drawing.cfg_scale == 1:
        comments.append("negative_prompt has no effect with a cfg_scale of 1.")
    if WEIGHT.search(drawing.prompt + drawing.negative_prompt):
        comments.append("Weights such as (word:1.2) have no effect in prompts here.")
    return comments
