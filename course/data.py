"""Training data: an endless stream of new picture-book scenes, drawn by worker processes.

Drawing takes milliseconds and a training step on a GPU hardly more, so each worker keeps its drawings and uses each
`reuse` times on average: every batch has some new scenes and repeats others, and there are no epochs over a fixed data
set. The new drawings of a step, and their captions, depend only on the seed and the step; which drawings are repeated
also depends on the step at which the run started and on the number of workers.
"""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from course.labels import FOOT_GRID, foot_labels, segmentation_labels
from helpers.picturebook import Scene, Thing, draw, random_scene
from helpers.picturebook.scene import Rng, pick

SIZE = 128
Batch = dict[str, torch.Tensor]


def to_pixels(batch: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Convert uint8 (n, h, w, 3) to float32 (n, 3, h, w) in -1 … 1."""
    return torch.as_tensor(batch).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def scene_to_json(scene: Scene) -> str:
    """Serialize the whole scene, layout included, as one line of JSON."""
    return json.dumps(asdict(scene))


def scene_from_json(text: str) -> Scene:
    """The inverse of `scene_to_json`."""
    record = json.loads(text)
    record["things"] = tuple(Thing(**thing) for thing in record["things"])
    return Scene(**record)


def fresh_scenes(n: int, seed: int, *, things: int | None = None) -> list[Scene]:
    """Return n scenes, each from its own generator, so that a data set of any size starts with the same scenes."""
    return [random_scene(np.random.default_rng((seed, i)), things=things) for i in range(n)]


@dataclass
class Drawing:
    """A scene and its pixels, uint8 (128, 128, 3), with cached labels."""

    scene: Scene
    pixels: np.ndarray

    @cached_property
    def covers(self) -> np.ndarray:
        """int8 (2, 8 * 8): kind and colour of what covers each cell (see `segmentation_labels`)."""
        return segmentation_labels(self.scene).astype(np.int8)

    @cached_property
    def fine_covers(self) -> np.ndarray:
        """int8 (2, 16 * 16): the same on the latents' grid."""
        return segmentation_labels(self.scene, FOOT_GRID).astype(np.int8)

    @cached_property
    def feet(self) -> np.ndarray:
        """float32 (4, 16, 16): where things have their feet and what they are (see `foot_labels`)."""
        return foot_labels(self.scene)


THINGS = {1: 0.42, 2: 0.43, 3: 0.08, 4: 0.07}
"""The distribution of the number of different things in `mixed_scene`; two are harder than one."""


SEVERAL = 0.35
"""How often `mixed_scene` repeats its first thing: models learn numbers last."""


def mixed_scene(rng: Rng) -> Scene:
    """Return a random scene, with two things as often as one, and with repeated things more often than usual."""
    scene = random_scene(rng, things=pick(rng, tuple(THINGS), tuple(THINGS.values())))
    return _several(scene, rng) if len(scene.things) < 3 and rng.random() < SEVERAL else scene


def _several(scene: Scene, rng: Rng) -> Scene:
    """Return the scene with two to four of its only thing, or two of the first of its two things."""
    first, *others = scene.things
    first = replace(first, count=2 if others else pick(rng, (2, 3, 4)), size="small")
    smaller = (thing if scene.relation == "on" else replace(thing, size="small") for thing in others)
    return replace(scene, things=(first, *smaller))


def drawn(scene: Scene) -> Drawing:
    """Draw the scene."""
    return Drawing(scene, np.asarray(draw(scene, SIZE)))


def stacked(drawings: list[Drawing], name: str = "pixels") -> torch.Tensor:
    """Stack one attribute of all drawings into a tensor (n, …)."""
    return torch.from_numpy(np.stack([getattr(drawing, name) for drawing in drawings]))


class Batches(ABC):
    """Makes a recipe's batches; runs in worker processes and has no model.

    `progress` (0 … 1) is the progress of the training, for what changes during it.
    """

    pictures = True
    """Whether batches are made from drawings; otherwise `make` gets none."""

    def fresh(self, rng: Rng, progress: float) -> Drawing:
        """Make one new drawing."""
        return drawn(random_scene(rng))

    @abstractmethod
    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        """Make a batch of `size` samples: tensors by name, on the CPU."""


class Stream(IterableDataset):
    """Endless batches from step `first` on; each of n workers makes every n-th.

    Args:
        batches: makes the batches.
        size: samples per batch.
        seed: determines scenes and captions.
        first: the step to start at.
        reuse: how often each drawing is used on average.
        memory: how many drawings each worker keeps (48 KB each).
        progress: a shared float that the training loop sets.
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
