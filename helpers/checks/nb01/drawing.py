"""`generate_images`: pictures that fit the prompt and depend on the seed and the settings.

The model itself draws the pictures whose content counts. Where only sameness counts, a fake pipeline draws: a hand-written
loop, which does not call the pipeline, draws with the model there as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from helpers.checks.calls import expect_no_load
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_pictures
from helpers.checks.fakes import fake_pipeline
from helpers.checks.nb01.material import picture_size
from helpers.checks.samples import random_prompt
from helpers.likeness import same_drawing

if TYPE_CHECKING:
    from PIL import Image

    from helpers.picturebook import Scene

__all__ = ["generate_images"]

generate_images = Exercise("generate_images")

FITS = 0.6
"""The least fit of the pictures to their prompt: 0 is their fit to other prompts, 1 the fit of a drawing made for it.

The mini model's pictures reach 0.76 to 1.04 (24 prompts), pictures of another prompt at most 0.47.
"""


@generate_images.given
def scene(rng) -> Scene:
    from helpers.picturebook import random_scene

    return random_scene(rng, things=1)


@generate_images.given
def prompt(scene, rng) -> str:
    from helpers.picturebook import describe

    return describe(scene, rng)


@generate_images.given
def seed(rng) -> int:
    return rng.randrange(1, 10**6)


@generate_images.given
def pair(generate_images, prompt, seed) -> list[Image.Image]:
    """Two pictures of the prompt."""
    return _drawn(generate_images(prompt, 2, seed=seed), 2)


@generate_images.given
def fitting_pair(scene, prompt, pair, rng) -> list[Image.Image]:
    """The same two pictures, which must fit the prompt: pictures of anything else show nothing about seeds."""
    from helpers import clip
    from helpers.picturebook import draw

    drawing = draw(scene, size=pair[0].width)
    others = [random_prompt(rng, things=1) for _ in range(6)]
    fits = clip.similarity([prompt, *others], [*pair, drawing])
    fit, best, by_chance = fits[0, :2].mean(), fits[0, 2], fits[1:, :2].mean()
    expect(
        fit >= by_chance + FITS * (best - by_chance),
        f"CLIP's similarity of your pictures to their prompt, {prompt!r}, is {fit:.2f}, and to other prompts "
        f"{by_chance:.2f}; for a drawing of the prompt it is {best:.2f}. Is the prompt used, and are the pictures finished?",
        yours=pair[0],
        expected=drawing,
        alt=prompt,
    )
    return pair


@generate_images.given
def quickly(pair) -> Iterator[None]:
    """The pipeline draws in no time meanwhile; the pair, which shows something, is drawn before."""
    with fake_pipeline(side=pair[0].width):
        yield


@generate_images.given
def one(generate_images, prompt, seed, quickly) -> Image.Image:
    """One picture, with the default settings."""
    return _drawn(generate_images(prompt, seed=seed), 1)[0]


@generate_images.given
def few(generate_images, prompt, seed, quickly) -> Image.Image:
    """The same picture in two steps."""
    return _reproducible(generate_images, prompt, seed=seed, steps=2)


@generate_images.core(30)
def pictures_of_the_prompt(prompt, fitting_pair) -> None:
    """n different pictures that fit the prompt"""
    first, second = fitting_pair
    expect(
        not same_drawing(first, second),
        "The two pictures are the same: each needs its own noise.",
        yours=first,
        expected=second,
        alt=prompt,
    )


@generate_images.core(35)
def seeds(generate_images, prompt, seed, fitting_pair, quickly) -> None:
    """the same seed gives the same pictures, another seed gives different ones"""
    import torch

    first = _drawn(generate_images(prompt, 2, seed=seed), 2)
    torch.manual_seed(seed + 1)  # in a notebook, torch's global generator has moved on, too
    pictures = _drawn(generate_images(prompt, 2, seed=seed), 2)
    expect(
        all(map(same_drawing, first, pictures)),
        "Two calls with the same seed gave different pictures: make a torch.Generator with manual_seed(seed) in each call "
        "and pass it to the pipeline.",
    )
    other = _drawn(generate_images(prompt, 1, seed=seed + 1000), 1)[0]
    expect(
        not any(same_drawing(other, known) for known in first),
        "Another seed gave the same picture, so the seed is not used.",
    )


@generate_images.edge(8)
def default_settings(generate_images, prompt, seed, one, quickly) -> None:
    """one picture, 25 steps and guidance 4 by default"""
    explicit = _drawn(generate_images(prompt, 1, seed=seed, steps=25, guidance_scale=4.0), 1)[0]
    expect(
        same_drawing(one, explicit),
        "Without steps and guidance_scale the picture should be the same as with steps=25, guidance_scale=4.0.",
    )


@generate_images.edge(9)
def steps_are_used(one, few) -> None:
    """the number of steps that was asked for"""
    expect(
        not same_drawing(one, few),
        "With steps=2 the picture is the same as with 25 steps: pass steps to the pipeline as num_inference_steps.",
    )


@generate_images.edge(9)
def guidance_is_used(generate_images, prompt, seed, few, quickly) -> None:
    """the guidance that was asked for"""
    strong = _reproducible(generate_images, prompt, seed=seed, steps=2, guidance_scale=12.0)
    expect(
        not same_drawing(few, strong),
        "With guidance_scale=12.0 the picture is the same as with 4.0: pass guidance_scale to the pipeline.",
    )


@generate_images.edge(9)
def loaded_once(generate_images, prompt, seed, quickly) -> None:
    """the pipeline is loaded once, not on each call"""
    with expect_no_load("diffusion"):  # the first call, which may load it, has drawn the pair
        generate_images(prompt, seed=seed, steps=2)


def _reproducible(generate_images, prompt: str, **settings) -> Image.Image:
    """A picture; raise `CheckFailed` if the same call gives a different one, which shows nothing about the settings."""
    first, second = (_drawn(generate_images(prompt, 1, **settings), 1)[0] for _ in range(2))
    options = ", ".join(f"{name}={value}" for name, value in settings.items())
    expect(
        same_drawing(first, second),
        f"Two calls with {options} gave different pictures: make a torch.Generator with manual_seed(seed) in each call.",
    )
    return first


def _drawn(result, n: int) -> list[Image.Image]:
    """The pictures; raise `CheckFailed` unless they are a list of n PIL pictures."""
    from helpers.models import load

    side = picture_size(load("diffusion"))
    expect_pictures(result, n, f"What generate_images returns for n={n}", size=(side, side))
    return result
