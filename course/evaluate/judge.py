"""The judge: a small convolutional network that reads a picture-book picture, independent of every other model.

It has seen drawn scenes only and took no part in any training but its own, so what it says of a generated picture is
a second opinion. It labels a 16 × 16 grid with the kind and colour of the thing that covers each cell, and the whole
picture with place and style; `read` turns the grid into things with positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from PIL import Image
from torch import nn
from torch.nn import functional as F

from course.data import to_pixels
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, Scene

GRID = 16
MIN_CELLS = 4
"""A thing counts as seen where at least so many of the 256 cells show it; the smallest thing covers about 9."""


class Block(nn.Module):
    """Two convolutions with a short cut."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.layers(x))


class Judge(nn.Module, PyTorchModelHubMixin):
    """Pixels (n, 3, 128, 128) in -1 … 1 to logits: kind (n, 20, 16, 16), colour (n, 9, 16, 16), place, style."""

    def __init__(self, channels: int = 80):
        super().__init__()
        steps = [(3, 24), (24, 48), (48, channels)]
        stem = [
            layer
            for inner, outer in steps
            for layer in (nn.Conv2d(inner, outer, 4, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU())
        ]
        self.body = nn.Sequential(*stem, *(Block(channels, dilation) for dilation in (1, 2, 4, 1)))
        self.kind = nn.Conv2d(channels, len(KINDS) + 1, 1)
        self.colour = nn.Conv2d(channels, len(COLOURS) + 1, 1)
        self.place = nn.Linear(channels, len(PLACES))
        self.style = nn.Linear(channels, len(STYLES))

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        cells = self.body(pixels)
        whole = cells.mean((2, 3))
        return {
            "kind": self.kind(cells),
            "colour": self.colour(cells),
            "place": self.place(whole),
            "style": self.style(whole),
        }


@dataclass(frozen=True)
class Seen:
    """One thing that the judge sees: what it is, its centre (x, y) and lower and upper edge, in 0 … 1, y down."""

    kind: str
    colour: str
    x: float
    y: float
    top: float
    bottom: float
    cells: int


@dataclass(frozen=True)
class Reading:
    """What the judge sees in one picture."""

    things: tuple[Seen, ...]
    place: str
    style: str


def _things(kinds: np.ndarray, colours: np.ndarray) -> tuple[Seen, ...]:
    """All cells of one kind and colour are one entry; largest first."""
    seen = []
    for kind in set(kinds[kinds > 0].tolist()):
        for colour in set(colours[(kinds == kind) & (colours > 0)].tolist()):
            rows, columns = np.nonzero((kinds == kind) & (colours == colour))
            if len(rows) >= MIN_CELLS:
                x, y = (columns.mean() + 0.5) / GRID, (rows.mean() + 0.5) / GRID
                edges = rows.min() / GRID, (rows.max() + 1) / GRID
                seen.append(Seen(KINDS[kind - 1], COLOURS[colour - 1], x, y, *edges, len(rows)))
    return tuple(sorted(seen, key=lambda thing: -thing.cells))


@torch.no_grad()
def read(judge: Judge, images: list[Image.Image], *, batch_size: int = 32) -> list[Reading]:
    """What the judge sees in each picture (RGB, any size)."""
    readings = []
    for start in range(0, len(images), batch_size):
        part = [np.asarray(image.convert("RGB").resize((128, 128))) for image in images[start : start + batch_size]]
        answers = {name: logits.argmax(1).numpy() for name, logits in judge(to_pixels(np.stack(part))).items()}
        for kinds, colours, place, style in zip(*answers.values(), strict=True):
            readings.append(Reading(_things(kinds, colours), PLACES[place], STYLES[style]))
    return readings


def shows_thing(reading: Reading, scene: Scene) -> bool:
    """Whether the largest thing seen has the kind and colour of the scene's first thing."""
    wanted = scene.things[0]
    return bool(reading.things) and (reading.things[0].kind, reading.things[0].colour) == (wanted.kind, wanted.colour)


def shows_scene(reading: Reading, scene: Scene) -> bool:
    """Whether both things of a two-thing scene are seen with their colours, and stand in its relation."""
    first, second = (
        next((s for s in reading.things if (s.kind, s.colour) == (thing.kind, thing.colour)), None)
        for thing in scene.things
    )
    if first is None or second is None:
        return False
    dx, dy = first.x - second.x, first.y - second.y
    touching = first.bottom > second.top - 1.5 / GRID
    return {
        "left of": dx < 0 and abs(dx) > abs(dy) / 2,
        "right of": dx > 0 and abs(dx) > abs(dy) / 2,
        "above": dy < 0 and abs(dy) > abs(dx),
        "below": dy > 0 and abs(dy) > abs(dx),
        "on": dy < 0 and abs(dx) < 0.2 and touching,
    }[scene.relation]
