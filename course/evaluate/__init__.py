"""Scores of the mini models on fresh scenes: `course evaluate MODEL` prints them as JSON.

Fresh scenes come from a seed that no training uses. Scores are fractions of 1. The models that draw and look are
measured here, those that talk in `talk`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from course.data import fresh_scenes
from course.evaluate.scenes import EVALUATION_SEED, share, single_scenes
from helpers.picturebook import COLOURS, KINDS, PLACES, Scene, describe, draw, with_article
from helpers.picturebook.words import PLACE_PHRASES

STEPS, GUIDANCE_SCALE, BATCH = 25, 4.0, 8


def evaluate(model: str, *, n: int | None = None, seed: int = 0) -> dict[str, float | int]:
    """The scores of a model: clip {kind, colour, place, retrieval_r1}, diffusion {kind_and_colour, place,
    two_things, seconds_for_4}, judge {kind_and_colour, place, two_things}, and those of `talk`; each with n and seed.

    Args:
        model: a key of `EVALUATIONS`.
        n: how many fresh scenes; the model's own number where None.
        seed: which fresh scenes, and which noise.

    Raises:
        ValueError: there is no such model, or n is not positive.
    """
    if model not in EVALUATIONS:
        raise ValueError(f"No model {model!r} to evaluate; choose one of: {', '.join(EVALUATIONS)}.")
    measure, usual = EVALUATIONS[model]
    n = usual if n is None else n
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}.")
    return {**measure(n, seed), "n": n, "seed": seed}


def _captions(scenes: Sequence[Scene], seed: int) -> list[str]:
    rng = np.random.default_rng((EVALUATION_SEED, seed))
    return [describe(scene, rng) for scene in scenes]


def _clip(n: int, seed: int) -> dict[str, float]:
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
        scores[name] = share(guessed == np.array(truth))
    # A colour is always the colour of something: "a red cat", the kind being known.
    texts = [with_article(f"{c} {s.things[0].kind}") for s in scenes for c in COLOURS]
    of_colours = embed_texts(texts).reshape(n, len(COLOURS), -1)
    guessed = np.einsum("nd,ncd->nc", image_embeds, of_colours).argmax(1)
    scores["colour"] = share([COLOURS[g] == s.things[0].colour for g, s in zip(guessed, scenes, strict=True)])

    different: dict[Scene, str] = {}
    for scene in fresh_scenes(1200, EVALUATION_SEED + 1 + seed):
        different.setdefault(scene, describe(scene, np.random.default_rng((seed, len(different)))))
    captions, pictured = list(different.values())[:1000], list(different)[:1000]
    nearest = (embed_images([draw(s) for s in pictured]) @ embed_texts(captions).T).argmax(1)
    return {**scores, "retrieval_r1": share(nearest == np.arange(len(captions)))}


def _diffusion(n: int, seed: int) -> dict[str, float]:
    import torch

    from course.evaluate.judge import Judge, read, shows_scene, shows_thing
    from course.train import MODELS
    from helpers.models import load

    pipe = load("diffusion")
    judge = Judge.from_pretrained(MODELS / "judge").eval()

    def generate(scenes: Sequence[Scene]) -> list:
        images = []
        captions = _captions(scenes, seed)
        for start in range(0, len(captions), BATCH):
            generator = torch.Generator().manual_seed(seed * 100_003 + start)
            part = captions[start : start + BATCH]
            images += pipe(part, num_inference_steps=STEPS, guidance_scale=GUIDANCE_SCALE, generator=generator).images
        return read(judge, images)

    singles = single_scenes(n, seed)
    pairs = fresh_scenes(n, EVALUATION_SEED + 2 + seed, things=2)
    seen = generate(singles)
    seen_pairs = generate(pairs)
    generate(singles[:4])  # warm
    started = time.perf_counter()
    generate(singles[:4])
    seconds = time.perf_counter() - started
    return {
        "kind_and_colour": share([shows_thing(r, s) for r, s in zip(seen, singles, strict=True)]),
        "place": share([r.place == s.place for r, s in zip(seen, singles, strict=True)]),
        "two_things": share([shows_scene(r, s) for r, s in zip(seen_pairs, pairs, strict=True)]),
        "seconds_for_4": round(seconds, 2),
    }


def _judge(n: int, seed: int) -> dict[str, float]:
    from course.evaluate.judge import Judge, read, shows_scene, shows_thing
    from course.train import MODELS

    judge = Judge.from_pretrained(MODELS / "judge").eval()
    singles = single_scenes(n, seed)
    pairs = fresh_scenes(n, EVALUATION_SEED + 2 + seed, things=2)
    seen, seen_pairs = (read(judge, [draw(scene) for scene in scenes]) for scenes in (singles, pairs))
    return {
        "kind_and_colour": share([shows_thing(r, s) for r, s in zip(seen, singles, strict=True)]),
        "place": share([r.place == s.place for r, s in zip(seen, singles, strict=True)]),
        "two_things": share([shows_scene(r, s) for r, s in zip(seen_pairs, pairs, strict=True)]),
    }


def _talk(model: str) -> Callable[[int, int], dict[str, float]]:
    def measure(n: int, seed: int) -> dict[str, float]:
        from course.evaluate import talk

        return getattr(talk, model)(n, seed)

    return measure


EVALUATIONS: dict[str, tuple[Callable[[int, int], dict[str, float]], int]] = {
    "clip": (_clip, 1000),
    "diffusion": (_diffusion, 200),
    "judge": (_judge, 1000),
    "vqa": (_talk("vqa"), 1000),
    "blip2": (_talk("blip2"), 300),
    "chat": (_talk("chat"), 200),
}
"""Each model's measure and its usual number of scenes."""
