"""The exercises of notebook 02, A VQA specialist."""

from helpers.checks.nb02.asking import ask, vqa_accuracy
from helpers.checks.nb02.attention import attend
from helpers.checks.nb02.contrast import contrastive_loss, sigmoid_loss
from helpers.checks.nb02.fetching import fetch_image
from helpers.checks.nb02.patches import patchify
from helpers.checks.nb02.probing import train_head
from helpers.checks.nb02.zeroshot import zero_shot

__all__ = [
    "ask",
    "attend",
    "contrastive_loss",
    "fetch_image",
    "patchify",
    "sigmoid_loss",
    "train_head",
    "vqa_accuracy",
    "zero_shot",
]
