"""Trains the judge (`helpers.judge`), on drawn scenes only, so that its reading of a generated picture is independent."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from course.data import Batch, Batches, Drawing, stacked, to_pixels
from course.labels import IGNORE
from course.train.loop import Plan, Recipe
from helpers.judge import Judge
from helpers.picturebook import PLACES, STYLES

FOOT_WEIGHT = 10.0
"""The weight of errors at feet, which are few among 256 cells."""


def box_blur(pixels: torch.Tensor, width: int) -> torch.Tensor:
    """Replace each pixel of (n, 3, h, w) by the mean of the width × width (odd) around it: strokes blur into a tint."""
    return F.avg_pool2d(pixels, width, stride=1, padding=width // 2, count_include_pad=False)


class JudgeBatches(Batches):
    """Pictures with labels of what stands where."""

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        things = stacked(drawings, "feet")
        return {
            "pixels": stacked(drawings),
            "foot": things[:, 0],
            "half": things[:, 1],
            "kind": things[:, 2].long(),
            "colour": things[:, 3].long(),
            "place": torch.tensor([PLACES.index(d.scene.place) for d in drawings]),
            "style": torch.tensor([STYLES.index(d.scene.style) for d in drawings]),
        }


class JudgeRecipe(Recipe):
    name = "judge"
    cpu = Plan(batch_size=32, learning_rate=2e-3, samples=160_000)
    gpu = Plan(batch_size=128, learning_rate=2e-3, samples=300_000)
    warmup_steps = 50

    def __init__(self):
        torch.manual_seed(self.seed)
        self.batches = JudgeBatches()
        self.modules = Judge()

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        pixels = to_pixels(batch["pixels"])
        # Generated pictures are slightly noisy, soft and off in brightness; the judge must be robust to that.
        if torch.rand(()) < 0.4:
            pixels = box_blur(pixels, width=3 + 2 * int(torch.randint(4, ())))
        pixels = pixels * (1 + 0.1 * torch.randn(len(pixels), 1, 1, 1, device=pixels.device))
        pixels = pixels + 0.08 * torch.randn(len(pixels), 3, 1, 1, device=pixels.device)
        noise = 0.15 * torch.rand(len(pixels), 1, 1, 1, device=pixels.device)
        answers = {name: a.float() for name, a in self.modules(pixels + noise * torch.randn_like(pixels)).items()}
        near = batch["kind"] != IGNORE
        weights = 1 + (FOOT_WEIGHT - 1) * batch["foot"].float()
        foot = F.binary_cross_entropy_with_logits(answers["foot"], batch["foot"].float(), weight=weights)
        half = ((answers["half"] - batch["half"]).abs() * near).sum() / near.sum().clamp(min=1)
        named = sum(
            F.cross_entropy(answers[name], batch[name], ignore_index=IGNORE)
            for name in ("kind", "colour", "place", "style")
        )
        return named + 5 * foot + half

    def export(self, modules: Judge, folder: Path) -> None:
        copy.deepcopy(modules).half().save_pretrained(folder)

    def warm_start(self, folder: Path) -> None:
        self.modules.load_state_dict(Judge.from_pretrained(folder).float().state_dict())
