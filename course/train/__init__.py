"""Trains the mini models: `course train MODEL --minutes N`, or `course train all --minutes N` for the whole chain.

Each model has a module here with its `Recipe`; `loop` runs any of them, on a GPU where there is one. Checkpoints are
kept in the ignored folder build/train; when a run has ended, or its minutes are over, its averaged weights go to
models/.

The order is the order of `FOLDERS`: the text encoder, the judge and the VAE need nothing, CLIP needs the text encoder,
the U-Net both; the few-step adapter needs the U-Net; ViLT, the chat model and BLIP-2 start from CLIP's vision tower.
Retraining the text encoder or the VAE makes CLIP and the U-Net worthless; the last three carry all they need. The
diffusion model has no training of its own: it is the four in its folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course.train.loop import Recipe

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "train"
MODELS = ROOT / "models"
FOLDERS = {
    "text": "diffusion/text_encoder",
    "judge": "judge",
    "vae": "diffusion/vae",
    "clip": "clip",
    "unet": "diffusion/unet",
    "few_step": "diffusion/few_step",
    "vqa": "vqa",
    "chat": "chat",
    "blip2": "blip2",
}
"""Each trainable model and its folder in models/."""
SHARES = {
    "text": 0.04,
    "judge": 0.04,
    "vae": 0.19,
    "clip": 0.10,
    "unet": 0.27,
    "few_step": 0.07,
    "vqa": 0.07,
    "chat": 0.14,
    "blip2": 0.08,
}
"""How much of the minutes each model gets where several share them."""


def _recipe(model: str, *, fresh: bool) -> Recipe:
    exported = None if fresh else MODELS / FOLDERS[model]
    diffusion, clip = MODELS / "diffusion", MODELS / "clip"
    if model == "text":
        from course.train.text import TextRecipe

        return TextRecipe(None if fresh else diffusion)
    if model == "judge":
        from course.train.judge import JudgeRecipe

        return JudgeRecipe()
    if model == "vae":
        from course.train.vae import VAERecipe

        return VAERecipe()
    if model == "clip":
        from course.train.clip import CLIPRecipe

        return CLIPRecipe(diffusion)
    if model == "unet":
        from course.train.unet import UNetRecipe

        return UNetRecipe(diffusion)
    if model == "few_step":
        from course.train.few_step import FewStepRecipe

        return FewStepRecipe(diffusion)
    if model == "vqa":
        from course.train.vqa import VQARecipe

        return VQARecipe(clip, exported)
    if model == "chat":
        from course.train.chat import ChatRecipe

        return ChatRecipe(clip, exported)
    if model == "blip2":
        from course.train.blip2 import Blip2Recipe

        return Blip2Recipe(clip, exported)
    raise ValueError(f"No model {model!r} to train; choose one of: {', '.join(FOLDERS)}.")


def train(
    model: str,
    *,
    minutes: float,
    device: str = "auto",
    finish: bool = False,
    fresh: bool = False,
    workers: int | None = None,
) -> None:
    """Trains a mini model for so many minutes and exports it to models/.

    It goes on from its checkpoint, from the exported weights where there is none, from nothing where there are
    neither.

    Args:
        model: a key of `FOLDERS`.
        minutes: how long at most, setting up included.
        device: "auto" (a GPU where there is one), "cpu" or "cuda".
        finish: decay the learning rate and end within these minutes, however many samples that gives.
        fresh: begin from nothing where there is no checkpoint, even where there are exported weights.
        workers: processes that draw; chosen by the number of cores where None.

    Raises:
        ValueError: there is no such model.
        PlainError: there is no such device.
    """
    began = time.monotonic()
    from course.train.loop import Run

    run = Run(_recipe(model, fresh=fresh), WORK / model, device=device, workers=workers)
    if run.checkpoint.exists():
        run.load()
    elif not fresh and (MODELS / FOLDERS[model] / "training.json").exists():
        run.start_from(MODELS / FOLDERS[model])
    run.train(minutes - (time.monotonic() - began) / 60, finish=finish)
    run.export(MODELS / FOLDERS[model])


def train_all(
    models: Sequence[str] = tuple(FOLDERS), *, minutes: float, device: str = "auto", workers: int | None = None
) -> None:
    """Trains several models from nothing, one after the other, and divides the minutes among them by `SHARES`.

    What is finished already is left alone, and what was begun goes on, so that the same command goes on where it was
    stopped.
    """
    deadline = time.monotonic() + 60 * minutes
    for i, model in enumerate(models):
        left = max(0.0, deadline - time.monotonic()) / 60
        share = left * SHARES[model] / sum(SHARES[other] for other in models[i:])
        train(model, minutes=share, device=device, finish=True, fresh=True, workers=workers)
