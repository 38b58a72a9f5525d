"""The small world of the speedrun: one large thing of four kinds and four colours, in 32 × 32 pixels.

A picture's *condition* is a pair of numbers, its kind's and its colour's. Place and layout (where in the picture the thing
is, and which way it faces) are left open, so that a model has to choose them. There are few layouts: with any number of them,
minutes are not enough to learn clean shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from helpers.picturebook import Scene, Thing, draw

__all__ = [
    "COLOURS",
    "KINDS",
    "PLACES",
    "SIZE",
    "batches",
    "draw_scenes",
    "every_condition",
    "to_images",
    "to_pixels",
    "words",
]

KINDS = ("car", "tree", "box", "ball")
COLOURS = ("red", "yellow", "green", "blue")
PLACES = ("meadow", "desert")
SIZE = 32
"""A picture's side in pixels."""

LAYOUTS = 8
DRAWINGS = 1024
"""How many drawings `batches` chooses from: nearly all of the 256 pictures of this world are among them."""


def draw_scenes(n: int, seed: int) -> tuple[list[Image.Image], torch.Tensor]:
    """Draw n random scenes of the small world; return the pictures and their conditions, a LongTensor (n, 2)."""
    rng = np.random.default_rng(seed)
    images, conditions = [], []
    for _ in range(n):
        kind, colour, place = (int(rng.integers(len(names))) for names in (KINDS, COLOURS, PLACES))
        thing = Thing(KINDS[kind], COLOURS[colour])
        images.append(draw(Scene((thing,), PLACES[place], layout=int(rng.integers(LAYOUTS))), SIZE))
        conditions.append((kind, colour))
    return images, torch.tensor(conditions).reshape(n, 2)


def batches(size: int, seed: int, *, drawings: int = DRAWINGS) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """Return a function without arguments that returns the next batch: pictures (size, 3, 32, 32) in -1 … 1, conditions.

    All drawings are made at once, because drawing a picture takes longer than the network takes to learn from it. The
    seed decides which scenes there are and which are in each batch.
    """
    images, conditions = draw_scenes(drawings, seed)
    pixels, generator = to_pixels(images), torch.Generator().manual_seed(seed)

    def draw_batch() -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(drawings, (size,), generator=generator)
        return pixels[chosen], conditions[chosen]

    return draw_batch


def every_condition(times: int) -> torch.Tensor:
    """Return all 16 conditions, `times` times, as a LongTensor (16 × times, 2)."""
    pairs = [(kind, colour) for kind in range(len(KINDS)) for colour in range(len(COLOURS))]
    return torch.tensor(pairs).repeat(times, 1)


def words(condition: torch.Tensor | Sequence[int]) -> str:
    """Return a condition in words: "red car"."""
    kind, colour = (int(number) for number in condition)
    return f"{COLOURS[colour]} {KINDS[kind]}"


def to_pixels(images: Sequence[Image.Image]) -> torch.Tensor:
    """Convert RGB pictures to a tensor (n, 3, height, width) in -1 … 1."""
    stacked = np.stack([np.asarray(image.convert("RGB")) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def to_images(pixels: torch.Tensor) -> list[Image.Image]:
    """Convert a tensor (n, 3, height, width) in -1 … 1 to RGB pictures; what is beyond is cut off."""
    shown = pixels.detach().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return [Image.fromarray(picture.permute(1, 2, 0).cpu().numpy()) for picture in shown]
