"""Scores of the vision models: CLIP {kind, colour, place, retrieval_r1, prompt_r1} and the judge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from course.data import fresh_scenes
from course.evaluate.scenes import EVALUATION_SEED, accuracy, pair_scenes, single_scenes
from helpers.judge import load_judge, read, shows_number, shows_scene, shows_thing
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, Scene, describe, draw, parse, with_article
from helpers.picturebook.words import PLACE_PHRASES

COLLECTION = 10_000
"""How many prompts `prompt_r1` searches."""


def clip(n: int, seed: int, models: Path) -> dict[str, float]:
    """Evaluate CLIP's zero-shot kind, colour and place; retrieval of a picture's caption among 1,000 (`retrieval_r1`),
    and of its prompt among 10,000 of `course prompts` (`prompt_r1`)."""
    from helpers.clip import embed_images, embed_texts

    scenes = single_scenes(n, seed)
    image_embeds = embed_images([draw(scene) for scene in scenes])
    candidates: dict[str, tuple[list[str], list[int]]] = {
        "kind": ([with_article(k) for k in KINDS], [KINDS.index(s.things[0].kind) for s in scenes]),
        "place": ([PLACE_PHRASES[p][0] for p in PLACES], [PLACES.index(s.place) for s in scenes]),
    }
    scores = {}
    for name, (labels, truth) in candidates.items():
        guessed = (image_embeds @ embed_texts(labels).T).argmax(1)
        scores[name] = accuracy(guessed == np.array(truth))
    # Colours are tested with the kind given: "a red cat".
    texts = [with_article(f"{c} {s.things[0].kind}") for s in scenes for c in COLOURS]
    of_colours = embed_texts(texts).reshape(n, len(COLOURS), -1)
    guessed = np.einsum("nd,ncd->nc", image_embeds, of_colours).argmax(1)
    scores["colour"] = accuracy([COLOURS[g] == s.things[0].colour for g, s in zip(guessed, scenes, strict=True)])

    different: dict[Scene, str] = {}
    for scene in fresh_scenes(1200, EVALUATION_SEED + 1 + seed):
        different.setdefault(scene, describe(scene, np.random.default_rng((seed, len(different)))))
    captions, pictured = list(different.values())[:1000], list(different)[:1000]
    nearest = (embed_images([draw(s) for s in pictured]) @ embed_texts(captions).T).argmax(1)
    return {
        **scores,
        "retrieval_r1": accuracy(nearest == np.arange(len(captions))),
        "prompt_r1": _prompt_r1(min(n, COLLECTION), seed),
    }


def _prompt_r1(n: int, seed: int) -> float:
    """Return how often the prompt that a picture was drawn from is the nearest of 10,000."""
    from helpers.clip import embed_images, embed_texts
    from helpers.collection import made_prompts

    prompts = [row["prompt"] for row in islice(made_prompts(seed), COLLECTION)]
    queries = np.random.default_rng((EVALUATION_SEED, seed)).choice(COLLECTION, size=n, replace=False)
    pictures = embed_images([draw(parse(prompts[i])) for i in queries])
    return accuracy((pictures @ embed_texts(prompts).T).argmax(1) == queries)


def judge(n: int, seed: int, models: Path) -> dict[str, float]:
    """Evaluate the judge on drawn pictures: kind and colour, place, two things, number; kind and colour by style."""
    judge = load_judge(models / "judge")
    singles, pairs, several = single_scenes(n, seed), pair_scenes(n, seed), fresh_scenes(n, EVALUATION_SEED + 7 + seed)
    seen, of_pairs, of_several = (
        read(judge, [draw(scene) for scene in scenes]) for scenes in (singles, pairs, several)
    )
    by_style = {style: [i for i, scene in enumerate(singles) if scene.style == style] for style in STYLES}
    return {
        "kind_and_colour": accuracy([shows_thing(r, s) for r, s in zip(seen, singles, strict=True)]),
        "place": accuracy([r.place == s.place for r, s in zip(seen, singles, strict=True)]),
        "two_things": accuracy([shows_scene(r, s) for r, s in zip(of_pairs, pairs, strict=True)]),
        "number": accuracy([shows_number(r, s) for r, s in zip(of_several, several, strict=True)]),
        "by_style": {
            style: accuracy([shows_thing(seen[i], singles[i]) for i in rows])
            for style, rows in by_style.items()
            if rows
        },
    }


def features(judge, images: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Return the judge's late features per picture (n, 112), and its early ones per position (n · 32 · 32, 48)."""
    import torch

    from course.data import to_pixels

    whole, early = [], []
    device = next(judge.parameters()).device
    with torch.no_grad():
        for start in range(0, len(images), 32):
            pixels = to_pixels(np.stack([np.asarray(image) for image in images[start : start + 32]])).to(device)
            near, far = judge.features(pixels)
            whole.append(far.mean((2, 3)).cpu().numpy())
            early.append(near.permute(0, 2, 3, 1).flatten(0, 2).cpu().numpy())
    return np.concatenate(whole), np.concatenate(early)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Fréchet distance between two sets of features (n, d), treated as Gaussians (Heusel et al. 2017,
    arXiv:1706.08500)."""
    means, covariances = [x.mean(0) for x in (a, b)], [np.cov(x, rowvar=False) for x in (a, b)]
    root_trace = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0)).sum()
    distance = np.square(means[0] - means[1]).sum() + sum(np.trace(c) for c in covariances) - 2 * root_trace
    return float(max(0.0, distance))
