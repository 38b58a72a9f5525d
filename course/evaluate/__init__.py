"""Scores of the mini models on new scenes: `course evaluate MODEL` prints them as JSON.

New scenes come from a seed that no training uses. Scores range from 0 to 1. The generative models are measured in
`drawing`, the vision models in `looking`, the language models in `talk`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from helpers.errors import PlainError
from helpers.settings import settings

EVALUATIONS: dict[str, tuple[str, int]] = {
    "vae": ("drawing", 400),
    "clip": ("looking", 1000),
    "diffusion": ("drawing", 1000),
    "judge": ("looking", 1000),
    "vqa": ("talk", 1000),
    "blip2": ("talk", 300),
    "chat": ("talk", 300),
}
"""The module that evaluates each model, and the default number of scenes."""


def evaluate(model: str, *, n: int | None = None, seed: int = 0) -> dict:
    """Return the scores of a mini model, described in the function of its name, together with n and seed.

    Args:
        model: a key of `EVALUATIONS`.
        n: how many new scenes; None for the model's default.
        seed: the seed of scenes and noise.

    Raises:
        ValueError: there is no such model, or n is not positive.
        PlainError: the profile is not mini: its scores would be mistaken for the mini model's.
    """
    if model not in EVALUATIONS:
        raise ValueError(f"No model {model!r} to evaluate; choose one of: {', '.join(EVALUATIONS)}.")
    if settings.profile != "mini":
        raise PlainError(
            f"`course evaluate` measures the mini models, but COURSE_PROFILE is {settings.profile}. "
            "Run it with COURSE_PROFILE=mini."
        )
    module, default = EVALUATIONS[model]
    n = default if n is None else n
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    measure: Callable[[int, int, Path], dict] = getattr(import_module(f"course.evaluate.{module}"), model)
    return {**measure(n, seed, settings.models_dir), "n": n, "seed": seed}
