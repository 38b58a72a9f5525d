"""Scores of the mini models on fresh scenes: `course evaluate MODEL` prints them as JSON.

Fresh scenes come from a seed that no training uses. Scores are fractions of 1. The models that draw are measured in
`drawing`, those that look in `looking`, those that talk in `talk`.
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
"""The module that measures each model, and the usual number of scenes."""


def evaluate(model: str, *, n: int | None = None, seed: int = 0) -> dict:
    """The scores of a mini model; each model's function in its module says which, with n and seed beside them.

    Args:
        model: a key of `EVALUATIONS`.
        n: how many fresh scenes; the model's own number where None.
        seed: which fresh scenes, and which noise.

    Raises:
        ValueError: there is no such model, or n is not positive.
        PlainError: another profile than mini is chosen: its scores would be taken for the mini model's.
    """
    if model not in EVALUATIONS:
        raise ValueError(f"No model {model!r} to evaluate; choose one of: {', '.join(EVALUATIONS)}.")
    if settings.profile != "mini":
        raise PlainError(
            f"`course evaluate` measures the mini models, but COURSE_PROFILE is {settings.profile}. "
            "Run it with COURSE_PROFILE=mini."
        )
    module, usual = EVALUATIONS[model]
    n = usual if n is None else n
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    measure: Callable[[int, int, Path], dict] = getattr(import_module(f"course.evaluate.{module}"), model)
    return {**measure(n, seed, settings.models_dir), "n": n, "seed": seed}
