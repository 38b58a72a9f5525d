"""The one thread that draws pictures, and the queue in front of it.

Jobs run one after the other, each in batches. Every picture has its own seed, so (except for rounding) the others in
its batch do not affect it.
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
from course.serve.loras import LoraFolder, adapted
from course.serve.samplers import SAMPLERS, make_scheduler
from helpers.errors import PlainError
from helpers.models import has_few_step, with_scheduler

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
    from PIL import Image

__all__ = ["Cancelled", "ImageJob", "Painter"]

log = logging.getLogger(__name__)


@dataclass(eq=False)
class ImageJob:
    """The pictures that a request asks for, and their progress.

    Attributes:
        seeds: one per picture; the pictures are drawn in this order, `batch_size` at a time.
        width, height: in pixels, multiples of 8.
        schedule: the sampler's noise schedule, one of `SCHEDULES`.
        picture: the picture to start from, of that size; None to start from pure noise.
        strength: how much noise is added to it: 1 for nothing but noise.
        comments: messages for the client about what has no effect.
        loras: the weight of each adapter, by its name.
        lora_hashes: the beginning of the hash of each one's file, once the job has started.
        batch: the number of finished batches.
        step, steps_planned: progress of the current batch, in scheduler steps.
        latents: those of the current batch, shape (pictures, channels, height / 8, width / 8).
        started: when the job started, in seconds of `time.monotonic`; None while it waits.
        cancelled: the client is gone.
        interrupted: the client wants what there is so far.
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
    loras: dict[str, float] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    lora_hashes: dict[str, str] = field(default_factory=dict)
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
        """The fraction that is done, 0 to 1."""
        current = self.step / self.steps_planned if self.steps_planned else 0.0
        return min(1.0, (self.batch + current) / self.batches)


class Cancelled(Exception):
    """The client is gone."""


class Painter:
    """Draws with one pipeline, loaded on first use.

    Args:
        load: returns the pipeline.
        max_pending: the most jobs accepted at a time, waiting ones included; further ones are asked to retry.

    Attributes:
        current_job: the running job, or None.
        loras: the folder of adapters that prompts can name.
    """

    def __init__(self, load: Callable[[], StableDiffusionPipeline], *, max_pending: int = 16):
        self.max_pending = max_pending
        self.current_job: ImageJob | None = None
        self.loras = LoraFolder()
        self._load = load
        self._pipe: StableDiffusionPipeline | None = None
        self._pending = 0  # accepted, unfinished jobs; changed on the event loop only
        self._executor = ThreadPoolExecutor(1, "painter")

    def stop(self) -> None:
        """Stop the thread after the current step, and remove the folder of adapters."""
        if job := self.current_job:
            job.cancelled = True
        self._executor.shutdown(cancel_futures=True)
        self.loras.remove()

    # -- on the event loop

    async def side(self) -> int:
        """Return the side length of the model's training pictures, in pixels.

        Raises:
            ApiError: status 503 if the model is unavailable.
        """
        pipe = await self._loaded()
        return pipe.unet.config.sample_size * pipe.vae_scale_factor

    async def has_few_step(self) -> bool:
        """Whether the few-step adapter is available. Raises like `side`."""
        return has_few_step(await self._loaded())

    async def _loaded(self) -> StableDiffusionPipeline:
        return self._pipe or await asyncio.get_running_loop().run_in_executor(self._executor, self._load_once)

    def interrupt(self) -> None:
        """End the running job early, keeping the current pictures."""
        if job := self.current_job:
            job.interrupted = True

    async def draw(self, job: ImageJob) -> list[Image.Image]:
        """Return the pictures in the order of their seeds; for an interrupted job, those that were started.

        Raises:
            ApiError: status 429 when too many jobs are pending, 500 when the model fails.
            Cancelled: `job.cancelled` was set.
        """
        if self._pending >= self.max_pending:
            raise ApiError(
                429,
                f"The endpoint already has {self.max_pending} drawings to do: try again in a few seconds.",
                headers={"Retry-After": "5"},
            )
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._draw, job)
        except (ApiError, Cancelled):
            raise
        except Exception as error:
            log.exception("Drawing failed.")
            raise ApiError(500, f"Drawing failed ({type(error).__name__}); see the endpoint's log.") from error
        finally:
            self._pending -= 1

    # -- in any thread

    def preview(self, job: ImageJob) -> Image.Image | None:
        """Return the first picture of the current batch as it looks now; None before the first step."""
        import torch

        pipe, latents = self._pipe, job.latents
        if latents is None:
            return None
        with torch.inference_mode():
            pixels = pipe.vae.decode(latents[:1] / pipe.vae.config.scaling_factor).sample
            return pipe.image_processor.postprocess(pixels)[0]

    # -- in the painter's thread

    def _load_once(self) -> StableDiffusionPipeline:
        if self._pipe is None:
            try:
                self._pipe = self._load()
            except PlainError as error:
                raise ApiError(503, str(error)) from error
        return self._pipe

    def _draw(self, job: ImageJob) -> list[Image.Image]:
        pipe = self._pipeline(job)
        pictures = []
        job.comments += _truncated(pipe, job)
        job.started, self.current_job = time.monotonic(), job
        try:
            while len(pictures) < len(job.seeds) and not job.interrupted:
                seeds = job.seeds[len(pictures) : len(pictures) + job.batch_size]
                pictures += self._batch(pipe, job, seeds)
                job.step, job.latents = 0, None
                job.batch += 1
            return pictures
        finally:
            self.current_job = None

    def _batch(self, pipe: StableDiffusionPipeline, job: ImageJob, seeds: tuple[int, ...]) -> list[Image.Image]:
        import torch

        def after_step(pipe, step: int, t, tensors: dict) -> dict:
            job.step, job.steps_planned = step + 1, pipe.num_timesteps
            job.latents = tensors["latents"]
            if job.cancelled:
                raise Cancelled
            pipe._interrupt = job.interrupted
            return tensors

        if job.cancelled:
            raise Cancelled
        start = {"width": job.width, "height": job.height}
        if job.picture:
            start = {"image": [job.picture] * len(seeds), "strength": job.strength}
        # Noise is generated on the CPU, where a seed gives the same on every computer.
        return pipe(
            [job.prompt] * len(seeds),
            negative_prompt=[job.negative_prompt] * len(seeds),
            num_inference_steps=job.steps,
            guidance_scale=job.cfg_scale,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            callback_on_step_end=after_step,
            **start,
        ).images

    def _pipeline(self, job: ImageJob) -> StableDiffusionPipeline:
        """Return the pipeline with its own scheduler, so that no state carries over to the next job."""
        pipe = self._load_once()
        scheduler = make_scheduler(pipe, SAMPLERS[job.sampler], job.schedule)
        try:
            pipe, job.lora_hashes = adapted(pipe, job.loras, self.loras.files())
        except PlainError as error:
            raise ApiError(503, str(error)) from error
        pipe = with_scheduler(pipe, scheduler)
        return _from_pictures(pipe) if job.picture else pipe


def _from_pictures(pipe: StableDiffusionPipeline) -> StableDiffusionImg2ImgPipeline:
    from diffusers import StableDiffusionImg2ImgPipeline

    img2img = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    img2img.set_progress_bar_config(disable=True)
    return img2img


def _truncated(pipe: StableDiffusionPipeline, job: ImageJob) -> list[str]:
    """Return a comment for each prompt that is longer than the model's limit."""
    tokenizer, sentences = pipe.tokenizer, []
    limit = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()
    for name in ("prompt", "negative_prompt"):
        count = len(tokenizer(getattr(job, name), add_special_tokens=False, verbose=False).input_ids)
        if count > limit:
            sentences.append(f"{name} has {count} tokens, of which the model reads the first {limit}.")
    return sentences
