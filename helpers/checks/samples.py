"""Random drawings and prompts from the picture-book world, as inputs for the checks."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["random_drawing", "random_prompt", "random_prompts"]


def random_drawing(rng: Random, size: int, *, things: int | None = None) -> Image.Image:
    """Draw a square picture of a random scene, with any number of things or with `things`."""
    from helpers.picturebook import draw, random_scene

    return draw(random_scene(rng, things=things), size=size)


def random_prompt(rng: Random, *, things: int | None = None, detail: float = 1.0) -> str:
    """Return a prompt such as "two small red cats, on a meadow"; `detail` is the probability of each detail."""
    from helpers.picturebook import describe, random_scene

    return describe(random_scene(rng, things=things), rng, detail=detail)


def random_prompts(rng: Random, n: int) -> list[str]:
    """Return n different prompts."""
    found: dict[str, None] = {}
    while len(found) < n:
        found[random_prompt(rng)] = None
    return list(found)
