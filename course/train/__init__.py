"""Training of the mini models: `course train MODEL --minutes N`, or `course train all --minutes N` for the whole chain.

Each model has a module here with its `Recipe`; `loop` runs any of them, on a GPU if there is one. Checkpoints go to the
git-ignored folder build/train; when a run ends, or its time is up, its averaged weights are exported to models/.

The order is that of `FOLDERS`: the text encoder, the judge and the VAE depend on nothing, CLIP on the text encoder, the
U-Net on text encoder and VAE; the few-step adapter depends on the U-Net; ViLT, the chat model and BLIP-2 start from
CLIP's vision tower. Retraining the text encoder or the VAE makes CLIP and the U-Net useless; the last three are
self-contained. The diffusion model itself is not trained: it consists of the four parts in its folder.
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
"""The fraction of the training time for each model when several share it."""


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

        return VAERecipe(exported)
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
    """Train a mini model for a limited time and export it to models/.

    Resumes from the checkpoint, else from the exported weights; if there are neither, starts from scratch.

    Args:
        model: a key of `FOLDERS`.
        minutes: the time limit, including setup.
        device: "auto" (a GPU if there is one), "cpu" or "cuda".
        finish: decay the learning rate and finish within this time, however few samples that allows.
        fresh: ignore exported weights: without a checkpoint, start from scratch.
        workers: number of processes that draw; None chooses by the number of cores.

    Raises:
        ValueError: there is no such model.
        PlainError: there is no such device.
    """
    started = time.monotonic()
    from course.train.loop import Run

    run = Run(_recipe(model, fresh=fresh), WORK / model, device=device, workers=workers)
    if run.checkpoint.exists():
        run.load()
    elif not fresh and (MODELS / FOLDERS[model] / "training.json").exists():
        run.start_from(MODELS / FOLDERS[model])
    run.train(minutes - (time.monotonic() - started) / 60, finish=finish)
    run.export(MODELS / FOLDERS[model])


def train_all(
    models: Sequence[str] = tuple(FOLDERS), *, minutes: float, device: str = "auto", workers: int | None = None
) -> None:
    """Train several models from scratch, one after the other, dividing the time among them by `SHARES`.

    Finished models are skipped and unfinished ones resumed, so the same command continues an interrupted run.
    """
    deadline = time.monotonic() + 60 * minutes
    for i, model in enumerate(models):
        left = max(0.0, deadline - time.monotonic()) / 60
        share = left * SHARES[model] / sum(SHARES[other] for other in models[i:])
        train(model, minutes=share, device=device, finish=True, fresh=True, workers=workers)
