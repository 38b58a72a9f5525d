"""Trains the mini models: `course train MODEL --minutes N`.

Each model has a module here with its `Recipe`; `loop` runs any of them. Checkpoints and drawn scenes are kept in the
ignored folder build/train; when a run has ended, or its minutes are over, its averaged weights go to models/.

The order is the order of `FOLDERS`: the text encoder and the VAE need nothing, CLIP needs the text encoder, the U-Net
needs both; the VAE's decoder is trained on beside it, its encoder left alone; ViLT, the chat model and BLIP-2 start
from CLIP's vision tower. Retraining the text encoder or the VAE makes CLIP and the U-Net worthless; the last three
carry all they need. The diffusion model has no training of its own: it is the four in its folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course.train.loop import Recipe

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "train"
MODELS = ROOT / "models"
TRAINING_SCENES, TRAINING_SEED = 72_000, 1
FOLDERS = {
    "text": "diffusion/text_encoder",
    "vae": "diffusion/vae",
    "decoder": "diffusion/vae/decoder",
    "clip": "clip",
    "unet": "diffusion/unet",
    "judge": "judge",
    "vqa": "vqa",
    "chat": "chat",
    "blip2": "blip2",
}
"""Each trainable model and its folder in models/."""


def _recipe(model: str) -> Recipe:
    if model == "text":
        from course.train.text import TextRecipe

        return TextRecipe(MODELS / "diffusion")

    from course.data import pictures

    data = pictures(TRAINING_SCENES, TRAINING_SEED, WORK)
    if model == "vae":
        from course.train.vae import VAERecipe

        return VAERecipe(data)
    if model == "decoder":
        from course.train.decoder import DecoderRecipe

        return DecoderRecipe(data, MODELS / FOLDERS["vae"], WORK)
    if model == "clip":
        from course.train.clip import CLIPRecipe

        return CLIPRecipe(data, MODELS / "diffusion")
    if model == "judge":
        from course.train.judge import JudgeRecipe

        return JudgeRecipe(data)
    if model == "vqa":
        from course.train.vqa import VQARecipe

        return VQARecipe(data, MODELS / "clip", MODELS / FOLDERS[model])
    if model == "chat":
        from course.train.chat import ChatRecipe

        return ChatRecipe(data, MODELS / "clip", MODELS / FOLDERS[model])
    if model == "blip2":
        from course.train.blip2 import Blip2Recipe

        return Blip2Recipe(data, MODELS / "clip", MODELS / FOLDERS[model])
    from course.train.unet import UNetRecipe

    return UNetRecipe(data, MODELS / "diffusion", WORK)


def train(model: str, *, minutes: float) -> None:
    """Trains a mini model for so many minutes and exports it to models/.

    It goes on from its checkpoint, from the exported weights where there is none, from nothing where there are
    neither.

    Raises:
        ValueError: there is no such model.
    """
    if model not in FOLDERS:
        raise ValueError(f"No model {model!r} to train; choose one of: {', '.join(FOLDERS)}.")
    from course.train.loop import Run

    run = Run(_recipe(model), WORK / model)
    if run.checkpoint.exists():
        run.load()
    elif (MODELS / FOLDERS[model] / "training.json").exists():
        run.start_from(MODELS / FOLDERS[model])
    run.train(minutes)
    run.export(MODELS / FOLDERS[model])
