"""Prompts for image models: one subject in several distinct pictures, and a bare idea made into a full prompt."""

from __future__ import annotations

from dataclasses import replace

from course.talk.wording import plain_caption
from helpers.picturebook import PLACES, STYLES, Scene
from helpers.picturebook.scene import Rng, pick

MOST_PROMPTS = 6
STRIDES = (1, 3, 5, 7)
"""Steps through the eight places that meet each of them once before the first comes again."""


def variations(scene: Scene, n: int, rng: Rng) -> list[str]:
    """n distinct image prompts, 1 to 6, about the scene's things: the first in its own place, the others elsewhere.

    Places and styles follow each other in a fixed order from a first one and a stride taken at random. That keeps any two
    prompts of a list apart, and lets a small model find the next one from the last.
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
    """The lines as a numbered list: "1. …", "2. …"."""
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, start=1))
