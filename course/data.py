"""Training data: an endless stream of fresh picture-book scenes, drawn by worker processes.

A drawing costs milliseconds and a training step on a GPU hardly more, so each worker keeps what it drew and uses it
`reuse` times on average: every batch brings some fresh scenes and repeats others, and no training ever sees the same
few epochs. What is drawn for a step, and how it is put into words, depends on the seed and the step alone; which
drawings are repeated, also on the step at which the run began and on the number of workers.
"""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from course.labels import FOOT_GRID, cover_labels, foot_labels
from helpers.picturebook import Scene, Thing, draw, random_scene
from helpers.picturebook.scene import Rng, pick

SIZE = 128
Batch = dict[str, torch.Tensor]


def to_pixels(batch: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 (n, h, w, 3) → float32 (n, 3, h, w) in -1 … 1."""
    return torch.as_tensor(batch).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def scene_to_json(scene: Scene) -> str:
    """One line of JSON with all of the scene, its layout included."""
    return json.dumps(asdict(scene))


def scene_from_json(text: str) -> Scene:
    """The inverse of `scene_to_json`."""
    record = json.loads(text)
    record["things"] = tuple(Thing(**thing) for thing in record["things"])
    return Scene(**record)


def fresh_scenes(n: int, seed: int, *, things: int | None = None) -> list[Scene]:
    """n scenes, each from a generator of its own, so that a data set of any size begins with the same scenes."""
    return [random_scene(np.random.default_rng((seed, i)), things=things) for i in range(n)]


@dataclass
class Drawing:
    """A scene and its pixels, uint8 (128, 128, 3); what covers its cells is worked out once."""

    scene: Scene
    pixels: np.ndarray

    @cached_property
    def covers(self) -> np.ndarray:
        """int8 (2, 8 * 8): kind and colour of what covers each cell (see `cover_labels`)."""
        return cover_labels(self.scene).astype(np.int8)

    @cached_property
    def fine_covers(self) -> np.ndarray:
        """int8 (2, 16 * 16): the same on the latents' grid."""
        return cover_labels(self.scene, FOOT_GRID).astype(np.int8)

    @cached_property
    def feet(self) -> np.ndarray:
        """float32 (4, 16, 16): where things have their feet and what they are (see `foot_labels`)."""
        return foot_labels(self.scene)


THINGS = {1: 0.42, 2: 0.43, 3: 0.08, 4: 0.07}
"""How many different things a scene of `mixed_scene` has: two are harder than one."""


def mixed_scene(rng: Rng) -> Scene:
    """A random scene, of two things as often as of one."""
    return random_scene(rng, things=pick(rng, tuple(THINGS), tuple(THINGS.values())))


def drawn(scene: Scene) -> Drawing:
    """The scene, drawn."""
    return Drawing(scene, np.asarray(draw(scene, SIZE)))


def stacked(drawings: list[Drawing], name: str = "pixels") -> torch.Tensor:
    """One attribute of all drawings as a tensor (n, …)."""
    return torch.from_numpy(np.stack([getattr(drawing, name) for drawing in drawings]))


class Batches(ABC):
    """What a recipe learns from; it runs in worker processes and holds no model.

    `progress` (0 … 1) says how far the training is, for what changes on the way.
    """

    pictures = True
    """Whether batches are made of drawings; else `make` gets none and makes its own."""

    def fresh(self, rng: Rng, progress: float) -> Drawing:
        """One fresh drawing."""
        return drawn(random_scene(rng))

    @abstractmethod
    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        """The batch of `size` samples, tensors by name, on the CPU."""


class Stream(IterableDataset):
    """Endless batches from step `first` on, each worker making every n-th of them.

    Args:
        batches: what the batches are made of.
        size: samples in a batch.
        seed: fixes scenes and words.
        first: the step to begin at.
        reuse: how often a drawing is used on average.
        memory: how many drawings a worker keeps (48 KB each).
        progress: a shared float that the training writes.
    """

    def __init__(self, batches: Batches, *, size: int, seed: int, first: int, reuse: int, memory: int, progress):
        self.batches, self.size, self.seed, self.first = batches, size, seed, first
        self.reuse, self.memory, self.progress = reuse, memory, progress

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        kept: list[Drawing] = []
        place = 0
        for step in itertools.count(self.first + number, workers):
            rng = np.random.default_rng((self.seed, step))
            progress = self.progress.value
            chosen: list[Drawing] = []
            if self.batches.pictures:
                wanted = max(1, self.size // self.reuse)
                new = [self.batches.fresh(rng, progress) for _ in range(max(wanted, min(64, self.size) - len(kept)))]
                for drawing in new:
                    if len(kept) < self.memory:
                        kept.append(drawing)
                    else:
                        kept[place % self.memory] = drawing
                        place += 1
                rows = rng.integers(len(kept), size=self.size - min(len(new), self.size))
                chosen = new[: self.size] + [kept[row] for row in rows]
            yield self.batches.make(chosen, self.size, rng, progress)
