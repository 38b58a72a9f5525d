"""Draw pictures again from their provenance: what it says is true where the same picture comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from helpers.submission import Provenance

__all__ = ["TOLERANCE", "alike", "difference", "redraw"]

#: The largest `difference` at which two pictures count as the same drawing. Measured with the mini model on a CPU: alone
#: against in a batch, one thread against two, and the same 16 pictures in two runs, 0.000; 24 steps against 25, 0.5;
#: guidance 4.2 against 4, 0.8. With another seed the 16 pictures of notebook 07 differ by 11 to 39 (25 steps); after
#: fewer steps, when all pictures of a prompt are still alike, 15 prompts by 6 to 32 (8 steps) and 26 prompts by at least
#: 8 (3 steps). Another prompt: 118. The rest is room for other processors' rounding.
TOLERANCE = 2.0


def redraw(wanted: Sequence[Provenance]) -> list[Image.Image]:
    """The pictures that the registry's diffusion model draws from these, by the recipe of `helpers.submission`.

    Those of equal steps and guidance are drawn in one batch: with a generator of its own, a picture comes out the same.
    """
    import torch

    from helpers.models import load, with_scheduler

    pipe = load("diffusion")
    # The endpoint may be drawing with the pipeline's own scheduler, which counts its steps, at this moment.
    pipe = with_scheduler(pipe, pipe.scheduler)
    batches = defaultdict(list)
    for place, one in enumerate(wanted):
        batches[one.steps, one.guidance_scale].append(place)
    drawn: dict[int, Image.Image] = {}
    for (steps, guidance_scale), places in batches.items():
        images = pipe(
            [wanted[place].prompt for place in places],
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=[torch.Generator().manual_seed(wanted[place].seed) for place in places],
        ).images
        drawn.update(zip(places, images, strict=True))
    return [drawn[place].convert("RGB") for place in range(len(wanted))]


def difference(first: Image.Image, second: Image.Image) -> float:
    """The mean absolute difference of two RGB pictures of one size, in the 256 steps of a channel."""
    import numpy as np

    return float(np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float)).mean())


def alike(first: Image.Image, second: Image.Image) -> bool:
    """Whether two RGB pictures are the same drawing, but for rounding."""
    return first.size == second.size and difference(first, second) <= TOLERANCE
