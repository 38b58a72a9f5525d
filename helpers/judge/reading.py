"""What the judge detects in a picture: things with positions, the place, the style."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from helpers.judge.network import Judge
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, Scene
from helpers.settings import settings

__all__ = ["Reading", "Seen", "load_judge", "read", "shows_number", "shows_scene", "shows_thing"]

GRID = 16
DETECTION_THRESHOLD = 0.4
"""The probability from which a foot counts as detected."""


@dataclass(frozen=True)
class Seen:
    """A detected thing: what it is, its centre (x, y) and half its side, in 0 … 1, y downwards."""

    kind: str
    colour: str
    x: float
    y: float
    half: float


@dataclass(frozen=True)
class Reading:
    """What the judge detects in a picture: the things, largest first, the place and the style."""

    things: tuple[Seen, ...]
    place: str
    style: str


def load_judge(folder: Path | None = None, device: str = "cpu") -> Judge:
    """Load the trained judge, ready for inference, by default from the folder of the mini models."""
    with redirect_stdout(io.StringIO()):  # it prints that the folder is a local one
        judge = Judge.from_pretrained(folder or settings.models_dir / "judge")
    return judge.float().eval().to(device)


@torch.no_grad()
def read(judge: Judge, images: Sequence[Image.Image], *, batch_size: int = 32) -> list[Reading]:
    """Read pictures (RGB, any size) with the judge."""
    readings = []
    device = next(judge.parameters()).device
    for start in range(0, len(images), batch_size):
        part = [np.asarray(image.convert("RGB").resize((128, 128))) for image in images[start : start + batch_size]]
        answers = judge(_to_pixels(np.stack(part)).to(device))
        foot = answers["foot"].sigmoid()
        peaks = (foot >= DETECTION_THRESHOLD) & (foot == F.max_pool2d(foot[:, None], 3, stride=1, padding=1)[:, 0])
        kinds, colours = answers["kind"].argmax(1), answers["colour"].argmax(1)
        for i in range(len(part)):
            things = []
            for row, column in peaks[i].nonzero().tolist():
                kind, colour = KINDS[kinds[i, row, column]], COLOURS[colours[i, row, column]]
                half = answers["half"][i, row, column].item()
                things.append(
                    Seen(kind, colour, (column + 0.5) / GRID, (row + 0.5) / GRID - judge.foot_below * half, half)
                )
            things.sort(key=lambda thing: -thing.half)
            place, style = answers["place"][i].argmax().item(), answers["style"][i].argmax().item()
            readings.append(Reading(tuple(things), PLACES[place], STYLES[style]))
    return readings


def shows_thing(reading: Reading, scene: Scene) -> bool:
    """Whether the largest detected thing has the kind and colour of the scene's first thing."""
    wanted = scene.things[0]
    return bool(reading.things) and (reading.things[0].kind, reading.things[0].colour) == (wanted.kind, wanted.colour)


def shows_number(reading: Reading, scene: Scene) -> bool:
    """Whether exactly the scene's things are detected: the right number of each kind and colour, and nothing else."""
    seen = Counter((thing.kind, thing.colour) for thing in reading.things)
    return seen == Counter({(thing.kind, thing.colour): thing.count for thing in scene.things})


def shows_scene(reading: Reading, scene: Scene) -> bool:
    """Whether both things of a two-thing scene are detected with their colours and in the right relation."""
    pair = []
    for thing in scene.things:
        matches = [s for s in reading.things if (s.kind, s.colour) == (thing.kind, thing.colour)]
        if not matches:
            return False
        pair.append(matches)
    (x, y, bottom, _), (other_x, other_y, _, top) = (_middle(matches) for matches in pair)
    dx, dy = x - other_x, y - other_y
    return {
        "left of": dx < 0 and abs(dx) > abs(dy) / 2,
        "right of": dx > 0 and abs(dx) > abs(dy) / 2,
        "above": dy < 0 and abs(dy) > abs(dx),
        "below": dy > 0 and abs(dy) > abs(dx),
        "on": dy < 0 and abs(dx) < 0.2 and bottom > top - 1.5 / GRID,
    }[scene.relation]


def _middle(things: list[Seen]) -> tuple[float, float, float, float]:
    """Return the mean centre of things, and their mean lower and upper edges."""
    x, y, half = (float(np.mean([getattr(thing, name) for thing in things])) for name in ("x", "y", "half"))
    return x, y, y + half, y - half


def _to_pixels(batch: np.ndarray) -> torch.Tensor:
    """Convert uint8 (n, h, w, 3) to float32 (n, 3, h, w) in -1 … 1."""
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float().div(127.5).sub(1)
