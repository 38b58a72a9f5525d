"""The judge of `course.evaluate.judge`, trained on drawn scenes only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from course.data import Pictures, to_pixels
from course.evaluate.judge import GRID, Judge
from course.train.labels import cover_labels
from course.train.loop import Recipe
from helpers.picturebook import PLACES, STYLES


def _softened(pixels: torch.Tensor, width: int) -> torch.Tensor:
    """The pictures (n, 3, h, w), each pixel the mean of the width × width (odd) around it: strokes melt into a tint."""
    return F.avg_pool2d(pixels, width, stride=1, padding=width // 2, count_include_pad=False)


class JudgeRecipe(Recipe):
    name = "judge"
    total_steps = 2500
    batch_size = 32
    learning_rate = 2e-3
    warmup_steps = 50

    def __init__(self, data: Pictures):
        torch.manual_seed(self.seed)
        self.data = data
        self.modules = Judge()

    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(len(self.data), size=self.batch_size)
        scenes = [self.data.scenes[row] for row in rows]
        pixels = to_pixels(np.stack([self.data.pixels[row] for row in rows]))
        # Generated pictures are a little noisy, soft and off in brightness; the judge must not mind.
        if rng.random() < 0.5:
            pixels = _softened(pixels, width=int(rng.choice((3, 5, 7, 9))))
        pixels = pixels * (1 + 0.1 * torch.randn(len(rows), 1, 1, 1)) + 0.08 * torch.randn(len(rows), 3, 1, 1)
        pixels = pixels + 0.15 * torch.rand(len(rows), 1, 1, 1) * torch.randn_like(pixels)
        answers = self.modules(pixels)
        covers = torch.from_numpy(np.stack([cover_labels(scene, GRID) for scene in scenes])).view(-1, 2, GRID, GRID)
        labels = {
            "kind": covers[:, 0],
            "colour": covers[:, 1],
            "place": torch.tensor([PLACES.index(scene.place) for scene in scenes]),
            "style": torch.tensor([STYLES.index(scene.style) for scene in scenes]),
        }
        return sum(F.cross_entropy(answers[name], label) for name, label in labels.items())

    def export(self, modules: Judge, folder: Path) -> None:
        modules.save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules.load_state_dict(Judge.from_pretrained(folder).state_dict())
