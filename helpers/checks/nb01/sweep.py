"""`steps_sweep`: the CLIP scores of the pictures for a prompt and a seed, recomputed with the pipeline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from helpers.checks.calls import expect_no_load
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, expect, expect_floats, expect_no_mistake, expect_type
from helpers.checks.samples import random_prompt
from helpers.checks.words import described

__all__ = ["steps_sweep"]

steps_sweep = Exercise("steps_sweep")

SCORE_TOLERANCE = 2e-3
"""The largest error of a CLIP score: only rounding, for example in batches of another size."""


class _Sweep(NamedTuple):
    """The inputs of the student's function, and the scores that it returned."""

    prompt: str
    steps: list[int]
    seed: int
    scores: Any


@steps_sweep.given
def first_sweep(steps_sweep, rng) -> _Sweep:
    """A sweep with the default seed."""
    prompt, steps = random_prompt(rng, things=1), [rng.randrange(6, 9), 2, rng.randrange(3, 6)]
    return _Sweep(prompt, steps, 0, steps_sweep(prompt, list(steps)))


@steps_sweep.core(30)
def score_of_each(first_sweep) -> None:
    """the CLIP score of the picture drawn with each number of steps"""
    _compare_scores(first_sweep)


@steps_sweep.core(35)
def same_noise(steps_sweep, rng) -> None:
    """every picture starts from the noise of the seed"""
    prompt, steps, seed = random_prompt(rng, things=1), [2, rng.randrange(4, 6)], rng.randrange(1, 10**6)
    _compare_scores(_Sweep(prompt, steps, seed, steps_sweep(prompt, list(steps), seed=seed)))


@steps_sweep.edge(12)
def plain_floats(first_sweep) -> None:
    """scores that are plain floats"""
    expect_floats(_scores(first_sweep).values(), "The scores")


@steps_sweep.edge(11)
def in_order(first_sweep) -> None:
    """scores in the order of `steps`"""
    keys = list(_scores(first_sweep))
    expect(
        keys == first_sweep.steps,
        f"For steps={first_sweep.steps} the keys should be in that order, but they are {keys}.",
    )


@steps_sweep.edge(12)
def pipeline_is_loaded_once(steps_sweep, first_sweep) -> None:
    """the pipeline is loaded once, not for each number of steps"""
    with expect_no_load("diffusion"):
        steps_sweep(first_sweep.prompt, [1, 2])


def _scores(sweep: _Sweep) -> dict:
    expect_type(sweep.scores, dict, "What steps_sweep returns")
    return sweep.scores


def _compare_scores(sweep: _Sweep) -> None:
    scores = _scores(sweep)
    expect(
        set(scores) == set(sweep.steps),
        f"The keys should be the numbers of steps, {sweep.steps}, but they are {list(scores)}.",
    )
    yours = [_number(scores[steps]) for steps in sweep.steps]
    right = [_score(sweep, steps) for steps in sweep.steps]
    if _close(yours, right):
        return
    expect_no_mistake(_mistakes(sweep), lambda scores: _close(yours, scores))
    steps, score, wanted = next(x for x in zip(sweep.steps, yours, right, strict=True) if not _close([x[1]], [x[2]]))
    raise CheckFailed(
        f"The CLIP score of the picture with {steps} steps should be {wanted:.3f}, but it is {score:.3f}. Make a new "
        "generator with manual_seed(seed) for each number of steps, draw with guidance 4, and score the picture against the "
        "prompt with clip.similarity."
    )


def _mistakes(sweep: _Sweep) -> Iterator[Mistake]:
    yield Mistake(
        "You always draw with 25 steps: pass each number of steps to the pipeline as num_inference_steps.",
        lambda: [_score(sweep, 25)] * len(sweep.steps),
    )
    yield Mistake(
        "You draw with the pipeline's default guidance, 7.5; it should be 4.",
        lambda: [_score(sweep, steps, guidance_scale=7.5) for steps in sweep.steps],
    )
    if sweep.seed:
        yield Mistake(
            f"You draw with seed 0, but seed={sweep.seed} was asked for.",
            lambda: [_score(sweep._replace(seed=0), steps) for steps in sweep.steps],
        )


def _close(some: list[float], others: list[float]) -> bool:
    return all(abs(a - b) < SCORE_TOLERANCE for a, b in zip(some, others, strict=True))


def _number(score: Any) -> float:
    """A score as a number, whatever it is wrapped in."""
    try:
        number = float(score.item() if hasattr(score, "item") else score)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    expect(math.isfinite(number), f"The scores should be numbers, but one is {described(score)}.")
    return number


def _score(sweep: _Sweep, steps: int, *, guidance_scale: float = 4.0) -> float:
    """The CLIP score of the picture that the pipeline draws."""
    import torch

    from helpers import clip
    from helpers.models import load

    picture = load("diffusion")(
        sweep.prompt,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(sweep.seed),
    ).images[0]
    return float(clip.similarity([sweep.prompt], [picture])[0, 0])
