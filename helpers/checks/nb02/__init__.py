"""The exercises of notebook 02, A VQA specialist."""

from helpers.checks.nb02.asking import ask, vqa_accuracy
from helpers.checks.nb02.contrast import contrastive_loss, zero_shot
from helpers.checks.nb02.fetching import fetch_image
from helpers.checks.nb02.patches import patchify
from helpers.checks.nb02.probing import train_head

__all__ = [
    "ask",
    "contrastive_loss",
    "fetch_image",
    "patchify",
    "train_head",
    "vqa_accuracy",
    "zero_shot",
]
