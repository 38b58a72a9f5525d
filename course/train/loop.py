"""The training loop that all mini models share: resumable, seeded, averaged, drawn.

A model brings a `Recipe`: its modules, the loss of a step, how to export it. The loop brings the rest: Muon for
matrices and AdamW for everything else, a learning rate that warms up, stays, and falls to zero over the last 30 % of the steps, an exponential moving average
(EMA) of the weights, a progress bar, and a checkpoint every few minutes that is replaced as a whole, so that a run
killed at any moment goes on from the last one. A step's batch depends on (seed, step) alone: a resumed run sees the
batches it would have seen.
"""

from __future__ import annotations

import copy
import json
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from course.train.muon import Muon, matrices

EMA_DECAY = 0.999
CHECKPOINT_EVERY_SECONDS = 180


class Recipe(ABC):
    """How one mini model is trained. `modules` holds all that is optimised, parts that are not exported included."""

    name: str
    total_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup_steps: int = 200
    seed: int = 0
    modules: nn.Module

    @abstractmethod
    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        """The loss, a scalar, of one batch; `rng` and torch's global generator are seeded for this step."""

    @abstractmethod
    def export(self, modules: nn.Module, folder: Path) -> None:
        """Saves the (averaged) modules with `save_pretrained` into `folder`."""

    @abstractmethod
    def warm_start(self, folder: Path) -> None:
        """Takes over exported weights, where there is no checkpoint to go on from."""


def save_half(model: PreTrainedModel, folder: Path) -> None:
    """Saves a transformers model as float16, half the size, so that plain `from_pretrained` makes it float32 again.

    transformers loads a model in the dtype that its config names, and diffusers would then find a float16 text
    encoder beside a float32 U-Net.
    """
    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    config = type(half.config).from_pretrained(folder)
    config.dtype = "float32"
    config.save_pretrained(folder)


def learning_rate_factor(step: int, total: int, warmup: int) -> float:
    """1 in the middle, rising from 0 over `warmup` steps, falling to 0 over the last 30 % of `total`."""
    decay_steps = max(1, int(0.3 * total))
    return min((step + 1) / warmup, 1.0, max(0.0, (total - step) / decay_steps))


class Run:
    """One training run of a recipe, its state kept in `folder`/checkpoint.pt."""

    def __init__(self, recipe: Recipe, folder: Path):
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        self.restarted_at: int | None = None  # the step at which a new optimizer took up exported weights
        self.seconds = 0.0
        self.losses: list[tuple[int, float]] = []
        self.ema = copy.deepcopy(recipe.modules).requires_grad_(False)
        by_muon = matrices(recipe.modules)
        ids = {id(weight) for weight in by_muon}
        rest = [p for p in recipe.modules.parameters() if p.requires_grad and id(p) not in ids]
        self.optimizers = [
            Muon(by_muon, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(rest, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.99)),
        ]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def finished(self) -> bool:
        return self.step >= self.recipe.total_steps

    def save(self) -> None:
        """Writes the checkpoint beside the old one and swaps them: a kill leaves one of the two whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "modules": self.recipe.modules.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        os.replace(fresh, self.checkpoint)

    def load(self) -> None:
        """Goes on from the checkpoint."""
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.step, self.seconds = state["step"], state["seconds"]
        self.losses = [tuple(entry) for entry in state["losses"]]
        self.recipe.modules.load_state_dict(state["modules"])
        self.ema.load_state_dict(state["ema"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)

    def start_from(self, folder: Path) -> None:
        """Goes on from exported weights and their `training.json`; the optimizer starts anew, with a warm-up."""
        self.recipe.warm_start(folder)
        record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        self.step = self.restarted_at = record["step"]
        self.seconds = record["seconds"]
        self.losses = [tuple(entry) for entry in record["losses"]]
        self.ema = copy.deepcopy(self.recipe.modules).requires_grad_(False)

    def train(self, minutes: float) -> None:
        """Trains until the recipe's steps are done or the minutes are over."""
        recipe = self.recipe
        started = saved = time.monotonic()
        recent: list[float] = []
        bar = tqdm(total=recipe.total_steps, initial=self.step, desc=recipe.name, unit="step", mininterval=5)
        while not self.finished and time.monotonic() - started < 60 * minutes:
            torch.manual_seed(hash((recipe.seed, self.step)) % 2**31)
            loss = recipe.loss(self.step, np.random.default_rng((recipe.seed, self.step)))
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"The loss of {recipe.name} is {loss.item()} at step {self.step}. The last good state is in "
                    f"{self.checkpoint}; lower the learning rate and start again."
                )
            recipe.modules.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(recipe.modules.parameters(), 1.0)
            factor = learning_rate_factor(self.step, recipe.total_steps, recipe.warmup_steps)
            if self.restarted_at is not None:
                factor *= min(1.0, (self.step - self.restarted_at + 1) / recipe.warmup_steps)
            for optimizer in self.optimizers:
                optimizer.param_groups[0]["lr"] = recipe.learning_rate * factor
                optimizer.step()
            self._average()
            self.step += 1
            bar.update()
            recent.append(loss.item())
            if self.step % 25 == 0:
                self.losses.append((self.step, float(np.mean(recent))))
                bar.set_postfix(loss=f"{np.mean(recent):.4f}", refresh=False)
                recent = []
            now = time.monotonic()
            if now - saved > CHECKPOINT_EVERY_SECONDS:
                self.seconds += now - saved
                saved = now
                self.save()
        self.seconds += time.monotonic() - saved
        bar.close()
        self.save()

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        pairs = zip(self.ema.parameters(), self.recipe.modules.parameters(), strict=True)
        averaged, current = zip(*pairs, strict=True)
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)
        for kept, buffer in zip(self.ema.buffers(), self.recipe.modules.buffers(), strict=True):
            kept.copy_(buffer)

    def export(self, folder: Path) -> None:
        """Exports the averaged weights, `training.json` (where the run stands) and the loss curve."""
        folder.mkdir(parents=True, exist_ok=True)
        self.recipe.export(self.ema, folder)
        record = {
            "step": self.step,
            "total_steps": self.recipe.total_steps,
            "batch_size": self.recipe.batch_size,
            "learning_rate": self.recipe.learning_rate,
            "parameters": sum(p.numel() for p in self.recipe.modules.parameters()),
            "seconds": round(self.seconds),
            "losses": self.losses[:: max(1, len(self.losses) // 200)],
        }
        (folder / "training.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        plot_losses(self.losses, folder / "loss.png", self.recipe.name)


def plot_losses(losses: list[tuple[int, float]], file: Path, name: str) -> None:
    """Saves the loss curve as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*losses, strict=True)) if losses else None
    axes.set(xlabel="step", ylabel="training loss", title=name, yscale="log")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)
