"""Measure how long four pictures take one by one, in a batch, and in few steps; prints a small table.

    python bench/few_steps.py [--rounds 3] [--json]

The usual way in courses loads the pipeline for each prompt and draws one picture at a time, in 50 steps with guidance.
The ways take turns in each round, and the median is shown. Times depend on the machine and its load: compare only the
ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from helpers.models import defaults, entry, few_step, load, quiet
from helpers.settings import settings

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

PROMPTS = [
    "a large red cat, on a meadow",
    "a small blue boat, by the sea",
    "an astronaut, on mars",
    "a green frog, at night",
]
#: A pipeline's own defaults, which most courses use.
USUAL_STEPS, USUAL_GUIDANCE = 50, 7.5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=3, help="how often each way is measured; the median is shown")
    arguments.add_argument("--json", action="store_true", help="print JSON instead of the table")
    chosen = arguments.parse_args()
    seconds = measure(ways(), chosen.rounds)
    found = {
        "prompts": len(PROMPTS),
        "profile": settings.profile,
        "device": settings.device,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "seconds": seconds,
    }
    print(json.dumps(found) if chosen.json else table(seconds))


def ways() -> dict[str, Callable[[], None]]:
    """Return the ways to compare, by the names that the table shows; the last one is the course's."""
    pipe, batch, few = load("diffusion"), defaults(), defaults("few_step")
    adapted = few_step(pipe)
    return {
        f"loaded for each prompt, {USUAL_STEPS} steps, guidance {USUAL_GUIDANCE:g}": usual,
        f"one batch, {batch.steps} steps, guidance {batch.guidance_scale:g}": lambda: draw(pipe, PROMPTS, *batch),
        f"one batch, few_step, {few.steps} steps, no guidance": lambda: draw(adapted, PROMPTS, *few),
    }


def usual() -> None:
    from diffusers import StableDiffusionPipeline

    for prompt in PROMPTS:
        with quiet():
            pipe = StableDiffusionPipeline.from_pretrained(
                load("diffusion").config._name_or_path, safety_checker=None, local_files_only=True
            ).to(settings.device, settings.dtype)
        pipe.set_progress_bar_config(disable=True)
        draw(pipe, [prompt], USUAL_STEPS, USUAL_GUIDANCE)


def draw(pipe: StableDiffusionPipeline, prompts: list[str], steps: int, guidance_scale: float) -> None:
    """Draw a picture of each prompt, all in one batch."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
    pipe(prompts, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generators)


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each way."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:  # the first round is the warm-up
                found[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def table(seconds: dict[str, float]) -> str:
    """Return a table with one line per way: its seconds, and their ratio to the last one's."""
    width, last = max(map(len, seconds)), list(seconds.values())[-1]
    title = f"{len(PROMPTS)} pictures of {entry('diffusion').id}"
    head = f"{title:{width}}  {'seconds':>8}  vs the last one"
    return "\n".join([head, *(f"{name:{width}}  {s:8.2f}  {s / last:6.1f} ×" for name, s in seconds.items())])


if __name__ == "__main__":
    main()
