"""The gallery: 32 prompts drawn by the mini diffusion model, eight per row, for the README and the model card."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

PROMPTS = (
    "a large red cat, on a meadow",
    "a large orange dog, in a room",
    "a large white horse, in the desert",
    "a small blue bird, in the snow",
    "a large yellow fish, at the sea",
    "a large green frog, on a meadow",
    "a large white astronaut, on mars",
    "a large yellow car, on a road at sunset",
    "a large red boat, at the sea",
    "a large purple rocket, at night",
    "a large blue house, in the snow",
    "a large green tree, in the desert",
    "a large pink flower, in a room",
    "a large purple sofa, in a room",
    "a large yellow star, at night",
    "a large white moon, at night",
    "a pencil sketch of a large red ball, on a meadow",
    "a pencil sketch of a large blue box, in the desert",
    "a pencil sketch of a large orange cat, in a room",
    "a pencil sketch of a large green rocket, on mars",
    "pixel art of a large pink frog, in the snow",
    "pixel art of a large purple inkblot, in the desert",
    "pixel art of a small red car, on a road at sunset",
    "a neon picture of a large blue fish, at the sea",
    "a neon picture of a large yellow horse, at night",
    "a neon picture of a large red house, on mars",
    "two small white cats on a large purple sofa, in a room",
    "a large red cat left of a small blue house, on a meadow",
    "a small green frog on a large green tree, on a meadow",
    "a small yellow star above a large red house, at night",
    "three small orange fish, at the sea",
    "a small white dog right of a large pink ball, in the snow",
)
COLUMNS, GAP = 8, 6


def draw_gallery(file: Path, *, seed: int = 0) -> None:
    """Draw all prompts, each with the same seed, and save them as one picture."""
    import torch

    from helpers.models import load
    from helpers.show import mosaic

    pipe = load("diffusion")
    drawn: list[Image.Image] = []
    for start in range(0, len(PROMPTS), COLUMNS):
        prompts = list(PROMPTS[start : start + COLUMNS])
        noises = [torch.Generator().manual_seed(seed) for _ in prompts]
        drawn += pipe(prompts, num_inference_steps=25, guidance_scale=4.0, generator=noises).images
    file.parent.mkdir(parents=True, exist_ok=True)
    mosaic(drawn, COLUMNS, gap=GAP).save(file)
