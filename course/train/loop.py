"""The training loop of all mini models: on any device, resumable, seeded, with averaged weights and a loss curve.

Each model has a `Recipe`: its modules, its batches, the loss of a batch, how to export it. The loop adds the rest:
accelerate for device, mixed precision and gradient clipping; Muon for matrices and AdamW for everything else; a
learning rate that warms up, stays, and decays over the last 30 % (transformers' warmup-stable-decay schedule); an
exponential moving average (EMA) of the weights (diffusers' `EMAModel`); a progress bar. A checkpoint is written
atomically every few minutes, so that a run killed at any moment resumes from the last one.
"""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from diffusers.training_utils import EMAModel
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import PreTrainedModel, get_wsd_schedule

from course.data import Batch, Batches, Stream
from course.train.muon import Muon, matrices
from helpers.errors import PlainError

EMA_DECAY = 0.999
DECAY_SHARE = 0.3
MEASURE_FROM = 0.5
"""A run that must finish in time measures its speed from here until the decay starts, to plan the decay."""
CHECKPOINT_EVERY_SECONDS = 180
LOG_EVERY = 25
NEVER = 10**9


@dataclass(frozen=True)
class Plan:
    """Batch size, learning rate, and number of samples of a complete training."""

    batch_size: int
    learning_rate: float
    samples: int

    @property
    def steps(self) -> int:
        """The steps of a complete training."""
        return max(1, self.samples // self.batch_size)


class Recipe(ABC):
    """How one mini model is trained.

    Attributes:
        modules: everything that is optimised, including parts that are not exported.
        frozen: modules that the loss needs but that are not trained.
        batches: makes the training batches.
        cpu, gpu: the plans for a few CPU cores and for a GPU.
        reuse: how often each drawing is used on average.
        memory: how many drawings each worker keeps.
    """

    name: str
    cpu: Plan
    gpu: Plan
    weight_decay: float = 0.01
    warmup_steps: int = 100
    reuse: int = 8
    memory: int = 12_000
    seed: int = 0
    modules: nn.Module
    frozen: nn.ModuleDict
    batches: Batches

    @abstractmethod
    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        """Return the scalar loss of a batch on the modules' device; `progress` runs from 0 to 1."""

    @abstractmethod
    def export(self, modules: nn.Module, folder: Path) -> None:
        """Save the averaged modules, which are on the CPU, into `folder` with `save_pretrained`."""

    @abstractmethod
    def warm_start(self, folder: Path) -> None:
        """Load exported weights, when there is no checkpoint to resume from."""


def save_half(model: PreTrainedModel, folder: Path) -> None:
    """Save a transformers model as float16, half the size, so that plain `from_pretrained` loads it as float32.

    transformers loads a model in the dtype of its config, and diffusers would then combine a float16 text encoder with
    a float32 U-Net.
    """
    half = copy.deepcopy(model).half()
    half.save_pretrained(folder)
    config = type(half.config).from_pretrained(folder)
    config.dtype = "float32"
    config.save_pretrained(folder)


@dataclass
class State:
    """The progress of a run; saved with each checkpoint."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    progress: float = 0.0
    started_at: int = 0  # the step at which training resumed from exported weights
    decay_from: int = NEVER
    decay_steps: int = 1
    device: str = ""
    losses: list[tuple[int, float]] = field(default_factory=list)

    def state_dict(self) -> dict:
        return asdict(self)

    def load_state_dict(self, kept: dict) -> None:
        for name, value in kept.items():
            setattr(self, name, value)

    @property
    def finished(self) -> bool:
        return self.step >= self.decay_from + self.decay_steps


class Run:
    """One training run of a recipe, with its state in `folder`/checkpoint.

    Args:
        recipe: what to train.
        folder: where the checkpoint goes.
        device: "auto" (a GPU if there is one), "cpu" or "cuda".
        workers: number of processes that draw; by default all cores but two with a GPU, otherwise one.
    """

    def __init__(self, recipe: Recipe, folder: Path, *, device: str = "auto", workers: int | None = None):
        cpu = device == "cpu" or not torch.cuda.is_available()
        if device == "cuda" and cpu:
            raise PlainError("There is no CUDA device here; use --device auto or cpu.")
        self.accelerator = Accelerator(cpu=cpu, mixed_precision="no" if cpu else "bf16")
        self.recipe, self.folder = recipe, folder
        self.plan = recipe.cpu if cpu else recipe.gpu
        cores = os.cpu_count() or 1
        self.workers = workers if workers is not None else (1 if cpu else max(1, cores - 2))
        self.state = State(device="CPU" if cpu else torch.cuda.get_device_name())
        if not cpu:
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.benchmark = True
        memory_format = torch.preserve_format if cpu else torch.channels_last
        recipe.modules.to(self.accelerator.device, memory_format=memory_format)
        getattr(recipe, "frozen", nn.ModuleDict()).to(self.accelerator.device, memory_format=memory_format)
        self._begin()

    def _begin(self) -> None:
        """Create optimizers and EMA for the modules' current weights."""
        modules = self.recipe.modules
        by_muon = matrices(modules)
        ids = {id(weight) for weight in by_muon}
        rest = [p for p in modules.parameters() if p.requires_grad and id(p) not in ids]
        rate, decay = self.plan.learning_rate, self.recipe.weight_decay
        self.ema = EMAModel(
            modules.parameters(), decay=EMA_DECAY, use_ema_warmup=True, inv_gamma=10, power=1, foreach=True
        )
        self.optimizers = [
            self.accelerator.prepare(optimizer(weights, lr=rate, weight_decay=decay))
            for optimizer, weights in ((Muon, by_muon), (partial(torch.optim.AdamW, betas=(0.9, 0.99)), rest))
            if weights
        ]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def finished(self) -> bool:
        return self.state.finished

    def _parts(self) -> dict:
        return {
            "modules": self.recipe.modules,
            "ema": self.ema,
            "state": self.state,
            **{type(o.optimizer).__name__: o for o in self.optimizers},
        }

    def save(self) -> None:
        """Write the checkpoint next to the old one and swap them: a kill leaves one of the two intact."""
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.checkpoint.with_suffix(".new")
        torch.save({name: part.state_dict() for name, part in self._parts().items()}, new)
        os.replace(new, self.checkpoint)

    def load(self) -> None:
        """Resume from the checkpoint."""
        kept = torch.load(self.checkpoint, map_location=self.accelerator.device, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(kept[name])

    def start_from(self, folder: Path) -> None:
        """Resume from exported weights and their `training.json`; the optimizer starts afresh, with a warm-up."""
        self.recipe.warm_start(folder)
        record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        self.state.step = self.state.started_at = record["step"]
        self.state.samples, self.state.seconds = record["samples"], record["seconds"]
        self.state.progress = record["progress"]
        self.state.losses = [tuple(entry) for entry in record["losses"]]
        self._begin()

    def _schedule(self) -> list:
        """Return the learning rate schedules from this step on: warm-up, stable phase, and the decay once known."""
        warmup = min(self.recipe.warmup_steps, max(1, self.plan.steps // 10))
        state = self.state
        schedules = []
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", self.plan.learning_rate)
            schedules.append(
                get_wsd_schedule(
                    optimizer.optimizer,
                    num_warmup_steps=warmup,
                    num_stable_steps=max(0, state.decay_from - state.started_at - warmup),
                    num_decay_steps=state.decay_steps,
                    decay_type="1-sqrt",
                    last_epoch=state.step - state.started_at - 1,
                )
            )
        return schedules

    def _stream(self, progress) -> Iterator[Batch]:
        recipe = self.recipe
        stream = Stream(
            recipe.batches,
            size=self.plan.batch_size,
            seed=recipe.seed,
            first=self.state.step,
            reuse=recipe.reuse,
            memory=recipe.memory,
            progress=progress,
        )
        loader = DataLoader(
            stream,
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        return iter(loader)

    def train(self, minutes: float, *, finish: bool = False, keep_going: Callable[[], bool] = lambda: True) -> None:
        """Train until the plan's samples are used up or the time is over.

        Args:
            minutes: the time limit.
            finish: finish within this time, however few samples that allows: the learning rate decays over its last
                30 %. Otherwise the decay starts when 30 % of the plan's samples are left, and a run that is stopped
                earlier can be resumed later.
            keep_going: called before each step; the run stops when it returns False.
        """
        state, plan = self.state, self.plan
        if state.finished:
            return
        started = saved = time.monotonic()
        first_progress = state.progress
        progress = multiprocessing.Value("d", state.progress)
        if not finish and state.decay_from == NEVER:
            state.decay_steps = max(1, round(DECAY_SHARE * plan.steps))
            state.decay_from = max(plan.steps - state.decay_steps, state.step)
        schedules = self._schedule()
        bar = tqdm(
            total=None if finish else plan.steps, initial=state.step, desc=self.recipe.name, unit="step", mininterval=5
        )
        recent: list[torch.Tensor] = []
        weights = [p for p in self.recipe.modules.parameters() if p.requires_grad]
        stream = self._stream(progress)
        measured: tuple[float, int] | None = None
        while not state.finished and keep_going():
            now = time.monotonic()
            share = (now - started) / (60 * minutes) if minutes > 0 else 1.0
            if share >= 1:
                break
            if finish:
                state.progress = first_progress + (1 - first_progress) * share
                if share >= MEASURE_FROM and measured is None:
                    measured = now, state.step
                if state.decay_from == NEVER and share >= 1 - DECAY_SHARE and measured and now > measured[0]:
                    rate = (state.step - measured[1]) / (now - measured[0])
                    state.decay_from = state.step
                    state.decay_steps = max(1, int(0.97 * rate * 60 * minutes * (1 - share)))
                    schedules = self._schedule()
            else:
                state.progress = min(1.0, max(state.progress, state.samples / plan.samples))
            progress.value = state.progress
            batch = send_to_device(next(stream), self.accelerator.device, non_blocking=True)
            torch.manual_seed(int(np.random.SeedSequence((self.recipe.seed, state.step)).generate_state(1)[0]))
            with self.accelerator.autocast():
                loss = self.recipe.loss(batch, state.progress)
            self.recipe.modules.zero_grad(set_to_none=True)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(weights, 1.0)
            for optimizer, schedule in zip(self.optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
            self.ema.step(self.recipe.modules.parameters())
            state.step += 1
            state.samples += plan.batch_size
            bar.update()
            recent.append(loss.detach())
            if state.step % LOG_EVERY == 0:
                state.losses.append((state.step, self._mean(recent)))
                bar.set_postfix(loss=f"{state.losses[-1][1]:.4f}", refresh=False)
                recent = []
            if now - saved > CHECKPOINT_EVERY_SECONDS:
                self._mean(recent)
                state.seconds += now - saved
                saved = now
                self.save()
        self._mean(recent)
        state.seconds += time.monotonic() - saved
        bar.close()
        self.save()

    def _mean(self, losses: list[torch.Tensor]) -> float:
        """Return the mean of recent losses; raise if it is not finite, so that a diverged run is not saved."""
        mean = torch.stack(losses).mean().item() if losses else 0.0
        if not np.isfinite(mean):
            raise FloatingPointError(
                f"The loss of {self.recipe.name} is {mean} before step {self.state.step}. The last good state is in "
                f"{self.checkpoint}; lower the learning rate and start again."
            )
        return mean

    def export(self, folder: Path) -> None:
        """Export the averaged weights, `training.json` (the state of the run) and the loss curve."""
        folder.mkdir(parents=True, exist_ok=True)
        parameters = list(self.recipe.modules.parameters())
        self.ema.store(parameters)
        self.ema.copy_to(parameters)
        averaged = copy.deepcopy(self.recipe.modules).cpu().to(memory_format=torch.contiguous_format).eval()
        self.ema.restore(parameters)
        self.recipe.export(averaged, folder)
        state = self.state
        record = {
            "step": state.step,
            "samples": state.samples,
            "progress": round(state.progress, 3),
            "batch_size": self.plan.batch_size,
            "learning_rate": self.plan.learning_rate,
            "parameters": sum(p.numel() for p in self.recipe.modules.parameters() if p.requires_grad),
            "seconds": round(state.seconds),
            "device": state.device,
            "losses": state.losses[:: max(1, len(state.losses) // 200)],
        }
        (folder / "training.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        plot_losses(state.losses, folder / "loss.png", self.recipe.name)


def plot_losses(losses: list[tuple[int, float]], file: Path, name: str) -> None:
    """Save the loss curve as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*losses, strict=True)) if losses else None
    axes.set(xlabel="step", ylabel="training loss", title=name, yscale="log")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)
