"""Image prompts: several distinct prompts about one subject, as a numbered list."""

from __future__ import annotations

from dataclasses import replace

from course.talk.wording import plain_caption
from helpers.picturebook import PLACES, STYLES, Scene
from helpers.picturebook.scene import Rng, pick

MAX_PROMPTS = 6
STRIDES = (1, 3, 5, 7)
"""Strides coprime to the number of places, eight, so that they visit every place before repeating one."""


def variations(scene: Scene, n: int, rng: Rng) -> list[str]:
    """Return n distinct image prompts, 1 to 6, about the scene's things: the first in its place, the others elsewhere.

    Places and styles follow a fixed order with a random stride. So all prompts of a list differ, and a small model can
    derive each from the last.
    """
    place, style = PLACES.index(scene.place), STYLES.index(scene.style)
    stride, turn = pick(rng, STRIDES), pick(rng, (1, 3))
    return [
        plain_caption(
            replace(
                scene,
                place=PLACES[(place + i * stride) % len(PLACES)],
                style=STYLES[(style + i * turn) % len(STYLES)],
            )
        )
        for i in range(n)
    ]


def numbered(lines: list[str]) -> str:
    """Format the lines as a numbered list: "1. …", "2. …"."""
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, start=1))
