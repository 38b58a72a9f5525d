"""Scores of the generative models: the VAE, and the diffusion model with and without its few-step adapter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from course.data import fresh_scenes, to_pixels
from course.evaluate.looking import features, frechet_distance
from course.evaluate.scenes import EVALUATION_SEED, accuracy, pair_scenes, single_scenes
from helpers.judge import load_judge, read, shows_number, shows_scene, shows_thing
from helpers.picturebook import STYLES, Scene, describe, draw, random_scene

BATCH = 8


def captions(scenes: Sequence[Scene], seed: int) -> list[str]:
    """Return a complete caption for each scene."""
    rng = np.random.default_rng((EVALUATION_SEED, seed))
    return [describe(scene, rng) for scene in scenes]


# -- the VAE


@torch.no_grad()
def reconstructed(vae, images: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures and their reconstructions, float32 (n, 3, h, w) in -1 … 1."""
    before, after = [], []
    for start in range(0, len(images), 16):
        pixels = to_pixels(np.stack([np.asarray(image) for image in images[start : start + 16]]))
        after.append(vae.decode(vae.encode(pixels).latent_dist.mean).sample.clamp(-1, 1).numpy())
        before.append(pixels.numpy())
    return np.concatenate(before), np.concatenate(after)


def to_images(pixels: np.ndarray) -> list[Image.Image]:
    """Convert float32 (n, 3, h, w) in -1 … 1 to RGB pictures."""
    bytes_ = ((pixels + 1) * 127.5).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(picture) for picture in bytes_]


def edges(pixels: np.ndarray) -> float:
    """Return the mean gradient magnitude of pictures (n, 3, h, w)."""
    across, down = np.diff(pixels, axis=-1)[..., :-1, :], np.diff(pixels, axis=-2)[..., :-1]
    return float(np.sqrt(across**2 + down**2).mean())


def vae(n: int, seed: int, models: Path) -> dict:
    """Evaluate the VAE's reconstructions: L1 and edge ratio (1 is as sharp as the drawing) by style, and the judge's
    accuracy on them."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL.from_pretrained(models / "diffusion" / "vae").float().eval()
    l1, edge_ratio = {}, {}
    for number, style in enumerate(STYLES):
        scenes = [
            random_scene(np.random.default_rng((EVALUATION_SEED, seed, number, i)), style=style) for i in range(n // 4)
        ]
        before, after = reconstructed(model, [draw(scene) for scene in scenes])
        l1[style] = round(float(np.abs(before - after).mean()), 4)
        edge_ratio[style] = round(edges(after) / edges(before), 3)
    singles = single_scenes(n, seed)
    seen = read(load_judge(models / "judge"), to_images(reconstructed(model, [draw(s) for s in singles])[1]))
    right = [shows_thing(r, s) and r.place == s.place for r, s in zip(seen, singles, strict=True)]
    return {
        "l1": round(float(np.mean(list(l1.values()))), 4),
        "l1_by_style": l1,
        "edge_ratio": edge_ratio,
        "judge": accuracy(right),
    }


# -- the diffusion model


def generated(pipe, scenes: Sequence[Scene], seed: int, steps: int, guidance_scale: float) -> list[Image.Image]:
    """Generate a picture of each scene from its caption."""
    images, prompts = [], captions(scenes, seed)
    for start in range(0, len(prompts), BATCH):
        generator = torch.Generator().manual_seed(seed * 100_003 + start)
        part = prompts[start : start + BATCH]
        images += pipe(part, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator).images
    return images


def scores(pipe, judge, n: int, seed: int, steps: int, guidance_scale: float) -> dict:
    """Return the judge's accuracies on n pictures of one thing, n of two things and n of two to four of a kind, and the
    Fréchet distances of the first 2n to new drawings."""
    singles, pairs = single_scenes(n, seed), pair_scenes(n, seed)
    several = [s for s in fresh_scenes(8 * n + 40, EVALUATION_SEED + 7 + seed, things=1) if s.total > 1][:n]
    of_singles, of_pairs, of_several = (
        generated(pipe, scenes, seed, steps, guidance_scale) for scenes in (singles, pairs, several)
    )
    seen, seen_pairs, seen_several = (read(judge, images) for images in (of_singles, of_pairs, of_several))
    return {
        "kind_and_colour": accuracy([shows_thing(r, s) for r, s in zip(seen, singles, strict=True)]),
        "place": accuracy([r.place == s.place for r, s in zip(seen, singles, strict=True)]),
        "two_things": accuracy([shows_scene(r, s) for r, s in zip(seen_pairs, pairs, strict=True)]),
        "number": accuracy([shows_number(r, s) for r, s in zip(seen_several, several, strict=True)]),
        "frechet": distances(judge, [*of_singles, *of_pairs], n, seed),
    }


def distances(judge, images: Sequence[Image.Image], n: int, seed: int) -> dict[str, float]:
    """Return Fréchet distances, in the judge's features, to new drawings of n single things and n pairs: `whole`, of
    whole pictures; `places`, of early features at every position, which show ragged outlines."""
    drawings = [draw(scene) for scene in [*single_scenes(n, seed + 1000), *pair_scenes(n, seed + 1000)]]
    ours, theirs = features(judge, images), features(judge, drawings)
    return {
        name: round(frechet_distance(*pair), 4)
        for name, pair in zip(("whole", "places"), zip(ours, theirs, strict=True), strict=True)
    }


def diffusion(n: int, seed: int, models: Path) -> dict:
    """Evaluate with 25 steps and, if there is an adapter, with four; also the floors of the Fréchet distances, from
    drawings and from VAE reconstructions, and the seconds for four pictures."""
    from diffusers import StableDiffusionPipeline

    from helpers.models import defaults, few_step

    pipe = StableDiffusionPipeline.from_pretrained(models / "diffusion")
    pipe.set_progress_bar_config(disable=True)
    judge = load_judge(models / "judge")
    found = scores(pipe, judge, n, seed, *defaults("diffusion"))
    scenes = [*single_scenes(n, seed), *pair_scenes(n, seed)]
    drawings = [draw(scene) for scene in scenes]
    found["frechet_floor"] = {
        "drawings": distances(judge, drawings, n, seed),
        "reconstructions": distances(judge, to_images(reconstructed(pipe.vae, drawings)[1]), n, seed),
    }
    four = captions(scenes[:4], seed)
    found["seconds_for_4"] = _seconds(lambda: pipe(four, num_inference_steps=25, guidance_scale=4.0))
    if (models / "diffusion" / "few_step").exists():
        quick = few_step(pipe)
        quick.set_progress_bar_config(disable=True)
        found["few_step"] = scores(quick, judge, n, seed, *defaults("few_step"))
        found["few_step"]["seconds_for_4"] = _seconds(lambda: quick(four))
    return found


def _seconds(draw_four) -> float:
    draw_four()  # warm-up
    started = time.perf_counter()
    draw_four()
    return round(time.perf_counter() - started, 2)
