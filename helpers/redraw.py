"""Draw pictures again from their provenance: what it says is true where the same picture comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helpers.submission import adapter_used

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from PIL import Image

    from helpers.submission import Provenance

__all__ = ["redraw", "unlike_here"]


def redraw(wanted: Sequence[Provenance]) -> list[Image.Image]:
    """The pictures that the registry's diffusion model draws from these, by the recipe of `helpers.submission`.

    Those of equal settings are drawn in one batch: with a generator of its own, a picture comes out the same.
    """
    import torch

    from helpers.models import load

    pipe = load("diffusion")
    batches = defaultdict(list)
    for place, one in enumerate(wanted):
        weight = one.adapter.weight if one.adapter else None
        batches[weight, one.scheduler, one.steps, one.guidance_scale].append(place)
    drawn: dict[int, Image.Image] = {}
    for (weight, scheduler, steps, guidance_scale), places in batches.items():
        images = _pipeline(pipe, weight, scheduler)(
            [wanted[place].prompt for place in places],
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=[torch.Generator().manual_seed(wanted[place].seed) for place in places],
        ).images
        drawn.update(zip(places, images, strict=True))
    return [drawn[place].convert("RGB") for place in range(len(wanted))]


def unlike_here(said: Provenance) -> str:
    """What a provenance names that is not available here, besides its checkpoint, as a sentence without a full stop.

    Empty where all is.
    """
    from helpers.models import LCM_STEPS, ModelUnavailable, few_step, load

    if not (said.adapter or said.scheduler):
        return ""
    pipe = load("diffusion")
    if said.adapter:
        try:
            here = adapter_used(few_step(pipe))
        except ModelUnavailable:
            return f"it was drawn with the adapter {said.adapter.name[:80]}, which is not here"
        if (said.adapter.name, said.adapter.revision) != (here.name, here.revision):
            return (
                f"it was drawn with the adapter {said.adapter.name[:80]} ({said.adapter.revision[:80]}), "
                f"and here is {here.name} ({here.revision})"
            )
    few, own = "LCMScheduler", type(pipe.scheduler).__name__
    scheduler = said.scheduler or (few if said.adapter else own)
    if scheduler not in (own, few):
        return f"it was drawn with {scheduler[:80]}, not with the model's own {own} or with {few}"
    if scheduler == few and said.steps > LCM_STEPS:
        return f"{few} takes at most {LCM_STEPS} steps, and it should have taken {said.steps}"
    return ""


def _pipeline(pipe: StableDiffusionPipeline, weight: float | None, scheduler: str | None) -> StableDiffusionPipeline:
    """A pipeline with a scheduler of its own: the endpoint may be drawing with another, which counts its steps, just now.

    Args:
        pipe: the registry's.
        weight: of the adapter; None for no adapter.
        scheduler: its class; None for the one that goes with the adapter, or with no adapter.
    """
    from helpers.models import few_step, lcm_scheduler, with_scheduler

    own = pipe.scheduler
    if scheduler is None:
        scheduler = type(own).__name__ if weight is None else "LCMScheduler"
    painter = pipe if weight is None else few_step(pipe, weight)
    return with_scheduler(painter, own if scheduler == type(own).__name__ else lcm_scheduler(own))
