"""Draw pictures again from their provenance: it is true if the same pictures come out."""

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
    """Draw the pictures that these describe with the registry's diffusion model, by the recipe of `helpers.submission`.

    Those with equal settings are drawn in one batch: each has its own generator, so it comes out the same.
    """
    import torch

    from helpers.models import load

    pipe = load("diffusion")
    batches = defaultdict(list)
    for i, one in enumerate(wanted):
        weight = one.adapter.weight if one.adapter else None
        batches[weight, one.scheduler, one.steps, one.guidance_scale].append(i)
    drawn: dict[int, Image.Image] = {}
    for (weight, scheduler, steps, guidance_scale), batch in batches.items():
        images = _pipeline(pipe, weight, scheduler)(
            [wanted[i].prompt for i in batch],
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=[torch.Generator().manual_seed(wanted[i].seed) for i in batch],
        ).images
        drawn.update(zip(batch, images, strict=True))
    return [drawn[i].convert("RGB") for i in range(len(wanted))]


def unlike_here(provenance: Provenance) -> str:
    """Say which adapter or scheduler of a provenance is unavailable here.

    Returns:
        A sentence without a full stop; empty if both are available.
    """
    from helpers.models import LCM_STEPS, ModelUnavailable, few_step, load

    if not (provenance.adapter or provenance.scheduler):
        return ""
    pipe = load("diffusion")
    if provenance.adapter:
        try:
            here = adapter_used(few_step(pipe))
        except ModelUnavailable:
            return f"it was drawn with the adapter {provenance.adapter.name[:80]}, which is unavailable here"
        if (provenance.adapter.name, provenance.adapter.revision) != (here.name, here.revision):
            return (
                f"it was drawn with the adapter {provenance.adapter.name[:80]} ({provenance.adapter.revision[:80]}), "
                f"but the one here is {here.name} ({here.revision})"
            )
    few, own = "LCMScheduler", type(pipe.scheduler).__name__
    scheduler = provenance.scheduler or (few if provenance.adapter else own)
    if scheduler not in (own, few):
        return f"it was drawn with {scheduler[:80]}, not with the model's own {own} or with {few}"
    if scheduler == few and provenance.steps > LCM_STEPS:
        return f"{few} takes at most {LCM_STEPS} steps, but the provenance says {provenance.steps}"
    return ""


def _pipeline(pipe: StableDiffusionPipeline, weight: float | None, scheduler: str | None) -> StableDiffusionPipeline:
    """Return a pipeline with its own scheduler, since the endpoint may be using the registry's right now.

    Args:
        pipe: the registry's.
        weight: of the adapter; None for no adapter.
        scheduler: its class; None for the default with that adapter, or without one.
    """
    from helpers.models import few_step, lcm_scheduler, with_scheduler

    own = pipe.scheduler
    if scheduler is None:
        scheduler = type(own).__name__ if weight is None else "LCMScheduler"
    painter = pipe if weight is None else few_step(pipe, weight)
    return with_scheduler(painter, own if scheduler == type(own).__name__ else lcm_scheduler(own))
