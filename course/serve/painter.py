"""The one thread that draws pictures, and the queue before it.

Drawings are made one after the other, each in batches. A picture has noise of its own seed, so that it does not
matter (but for rounding) which others are in its batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from course.api_error import ApiError
from course.serve.samplers import SAMPLERS, make_scheduler
from helpers.errors import PlainError
from helpers.models import few_step, has_few_step, with_scheduler
from helpers.provenance import adapter_used

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
    from PIL import Image

__all__ = ["Cancelled", "Drawing", "Painter"]

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Drawing:
    """What a request wants drawn, and how far it has come.

    Attributes:
        seeds: one a picture; the pictures are drawn in this order, ``batch_size`` at a time.
        width, height: in pixels, multiples of 8.
        schedule: how the sampler's noise falls, one of `SCHEDULES`.
        picture: what to start from, of that size; None to start from noise alone.
        strength: how much of the picture is noise at the start: 1 for all of it.
        comments: what the client should know: what of its request has no effect.
        lora: how much of the adapter for few steps is added; 0 for none.
        lora_revision: which adapter it is, once drawing has begun.
        batch: the number of batches that are done.
        step, steps_planned: how far the batch in the making is, in calls of the scheduler.
        latents: those of the batch in the making, shape (pictures, channels, height / 8, width / 8).
        started: when drawing began, in seconds of ``time.monotonic``; None while it waits.
        cancelled: nobody waits for it any more.
        interrupted: what there is by now is wanted.
    """

    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]
    batch_size: int
    steps: int
    cfg_scale: float
    width: int
    height: int
    sampler: str
    schedule: str = "Automatic"
    picture: Image.Image | None = None
    strength: float = 1.0
    lora: float = 0.0
    comments: list[str] = field(default_factory=list)

    lora_revision: str = ""
    batch: int = 0
    step: int = 0
    steps_planned: int = 0
    latents: torch.Tensor | None = None
    started: float | None = None
    cancelled: bool = False
    interrupted: bool = False

    @property
    def batches(self) -> int:
        return -(-len(self.seeds) // self.batch_size)

    @property
    def progress(self) -> float:
        """The share that is done, 0 to 1."""
        begun = self.step / self.steps_planned if self.steps_planned else 0.0
        return min(1.0, (self.batch + begun) / self.batches)


class Cancelled(Exception):
    """Nobody waits for the drawing any more."""


class Painter:
    """Draws with one pipeline, which is loaded when it is first needed.

    Args:
        load: gives the pipeline.
        places: the most drawings taken in at a time, waiting ones included; beyond that they are told to come again.

    Attributes:
        at_work: the drawing in the making, or None.
    """

    def __init__(self, load: Callable[[], StableDiffusionPipeline], *, places: int = 16):
        self.places = places
        self.at_work: Drawing | None = None
        self._load = load
        self._pipe: StableDiffusionPipeline | None = None
        self._taken = 0  # drawings in hand; changed on the event loop only
        self._desk = ThreadPoolExecutor(1, "painter")

    def stop(self) -> None:
        """Ends the thread after the step that it is in."""
        if drawing := self.at_work:
            drawing.cancelled = True
        self._desk.shutdown(cancel_futures=True)

    # -- on the event loop

    async def side(self) -> int:
        """The side of the pictures that the model was trained on, in pixels.

        Raises:
            ApiError: status 503 when the model can't be had.
        """
        pipe = await self._there()
        return pipe.unet.config.sample_size * pipe.vae_scale_factor

    async def has_few_step(self) -> bool:
        """Whether the adapter for few steps is there. Raises as `side` does."""
        return has_few_step(await self._there())

    async def _there(self) -> StableDiffusionPipeline:
        return self._pipe or await asyncio.get_running_loop().run_in_executor(self._desk, self._get)

    def interrupt(self) -> None:
        """Ends the drawing in the making with what there is of it."""
        if drawing := self.at_work:
            drawing.interrupted = True

    async def draw(self, drawing: Drawing) -> list[Image.Image]:
        """The pictures, in the order of their seeds; of a drawing that is interrupted those that were begun.

        Raises:
            ApiError: status 429 when there is no place, 500 when the model fails.
            Cancelled: ``drawing.cancelled`` was set.
        """
        if self._taken >= self.places:
            raise ApiError(
                429,
                f"The endpoint has {self.places} drawings in hand already: try again in a while.",
                headers={"Retry-After": "5"},
            )
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._desk, self._draw, drawing)
        except (ApiError, Cancelled):
            raise
        except Exception as error:
            log.exception("Drawing failed.")
            raise ApiError(500, f"Drawing failed ({type(error).__name__}); the endpoint's log says more.") from error
        finally:
            self._taken -= 1

    # -- in any thread

    def preview(self, drawing: Drawing) -> Image.Image | None:
        """What the first picture in the making looks like at this step; None before the first."""
        import torch

        pipe, latents = self._pipe, drawing.latents
        if latents is None:
            return None
        with torch.inference_mode():
            pixels = pipe.vae.decode(latents[:1] / pipe.vae.config.scaling_factor).sample
            return pipe.image_processor.postprocess(pixels)[0]

    # -- in the painter's thread

    def _get(self) -> StableDiffusionPipeline:
        if self._pipe is None:
            try:
                self._pipe = self._load()
            except PlainError as error:
                raise ApiError(503, str(error)) from error
        return self._pipe

    def _draw(self, drawing: Drawing) -> list[Image.Image]:
        pipe = self._pipeline(drawing)
        pictures = []
        drawing.comments += _unread(pipe, drawing)
        drawing.started, self.at_work = time.monotonic(), drawing
        try:
            while len(pictures) < len(drawing.seeds) and not drawing.interrupted:
                seeds = drawing.seeds[len(pictures) : len(pictures) + drawing.batch_size]
                pictures += self._batch(pipe, drawing, seeds)
                drawing.step, drawing.latents = 0, None
                drawing.batch += 1
            return pictures
        finally:
            self.at_work = None

    def _batch(self, pipe: StableDiffusionPipeline, drawing: Drawing, seeds: tuple[int, ...]) -> list[Image.Image]:
        import torch

        def after_step(pipe, step: int, t, tensors: dict) -> dict:
            drawing.step, drawing.steps_planned = step + 1, pipe.num_timesteps
            drawing.latents = tensors["latents"]
            if drawing.cancelled:
                raise Cancelled
            pipe._interrupt = drawing.interrupted
            return tensors

        if drawing.cancelled:
            raise Cancelled
        start = {"width": drawing.width, "height": drawing.height}
        if drawing.picture:
            start = {"image": [drawing.picture] * len(seeds), "strength": drawing.strength}
        # Noise is drawn on the CPU: there a seed means the same on every computer.
        return pipe(
            [drawing.prompt] * len(seeds),
            negative_prompt=[drawing.negative_prompt] * len(seeds),
            num_inference_steps=drawing.steps,
            guidance_scale=drawing.cfg_scale,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            callback_on_step_end=after_step,
            **start,
        ).images

    def _pipeline(self, drawing: Drawing) -> StableDiffusionPipeline:
        """The same models with a scheduler of their own, so that one drawing leaves no trace in the next."""
        pipe = self._get()
        scheduler = make_scheduler(pipe, SAMPLERS[drawing.sampler], drawing.schedule)
        try:
            drawn_with = few_step(pipe, drawing.lora) if drawing.lora else pipe
        except PlainError as error:
            raise ApiError(503, str(error)) from error
        drawing.lora_revision = adapter_used(drawn_with).revision if drawing.lora else ""
        pipe = with_scheduler(drawn_with, scheduler)
        return _from_pictures(pipe) if drawing.picture else pipe


def _from_pictures(pipe: StableDiffusionPipeline) -> StableDiffusionImg2ImgPipeline:
    from diffusers import StableDiffusionImg2ImgPipeline

    other = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


def _unread(pipe: StableDiffusionPipeline, drawing: Drawing) -> list[str]:
    """For each prompt that is longer than the model reads, a sentence that says so."""
    tokenizer, sentences = pipe.tokenizer, []
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()
    for name in ("prompt", "negative_prompt"):
        count = len(tokenizer(getattr(drawing, name), add_special_tokens=False, verbose=False).input_ids)
        if count > room:
            sentences.append(f"{name} has {count} tokens, of which the model reads the first {room}.")
    return sentences
