"""The web UI's options, which are fixed here, and its lists that are empty here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers import models

__all__ = ["DONE", "EMPTY", "options", "unchangeable"]

#: Lists that clients fetch before they show a page; they are empty here.
EMPTY = (
    "face-restorers",
    "hypernetworks",
    "latent-upscale-modes",
    "prompt-styles",
    "realesrgan-models",
    "script-info",
    "sd-vae",
    "upscalers",
)
#: Actions that clients request from the web UI; there is nothing to do for them here.
DONE = ("refresh-checkpoints", "refresh-embeddings", "refresh-loras", "refresh-vae")


def options() -> dict[str, Any]:
    """Return the options that clients look for."""
    return {
        "sd_model_checkpoint": models.entry("diffusion").id,
        "sd_vae": "Automatic",
        "samples_format": "png",
        "enable_pnginfo": True,
        "live_previews_enable": True,
        "show_progress_every_n_steps": 1,
        "CLIP_stop_at_last_layers": 1,
    }


def unchangeable(wanted: Mapping[str, Any]) -> list[str]:
    """Return a message for each option in `wanted` that differs from its fixed value."""
    fixed = options()
    return [
        f"The option {name[:50]!r} can't be changed: it is {fixed[name]!r}."
        if name in fixed
        else f"There is no option {name[:50]!r} here."
        for name, value in wanted.items()
        if name not in fixed or value != fixed[name]
    ]
