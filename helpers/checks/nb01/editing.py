"""`img2img`: compared with diffusers' own pipeline for it, and at strengths 0 and 1 with what these must give.

That pipeline draws the picture's latents at random from the VAE's posterior, and uses up numbers of the generator for
that, so its noise is never that of a drawing from text alone. Here it takes the posterior's mean, as the notebook does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, expect, expect_picture, expect_raises
from helpers.checks.nb01.material import (
    ROUNDING,
    drawn_from_text,
    expect_drawing,
    mean_latents,
    no_pipeline,
    picture_size,
    untrained,
)
from helpers.checks.samples import random_drawing, random_prompt
from helpers.likeness import difference
from helpers.models import with_scheduler

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from PIL import Image

__all__ = ["img2img"]

STEPS = 4
SCALING = (
    "This is with Euler's scheduler: multiply the first noise by scheduler.init_noise_sigma at strength 1, and scale the "
    "U-Net's input with scheduler.scale_model_input(latents, t)."
)

img2img = Exercise("img2img")


class _Edit(NamedTuple):
    """What the student's function gets besides the pipeline."""

    picture: Image.Image
    prompt: str
    strength: float
    guidance_scale: float
    seed: int

    @classmethod
    def at_random(cls, pipe: StableDiffusionPipeline, rng, strength: float) -> _Edit:
        picture = random_drawing(rng, picture_size(pipe), things=1)
        return cls(picture, random_prompt(rng, things=1), strength, rng.uniform(3, 6), rng.randrange(1, 10**6))

    def by(self, img2img, pipe: StableDiffusionPipeline) -> Any:
        """Run the student's function."""
        with no_pipeline("img2img"):
            return img2img(
                pipe,
                self.picture.copy(),
                self.prompt,
                strength=self.strength,
                steps=STEPS,
                guidance_scale=self.guidance_scale,
                seed=self.seed,
            )


@img2img.given
def pipe() -> StableDiffusionPipeline:
    from helpers.models import load

    return untrained(load("diffusion"))


@img2img.core(25)
def between(img2img, pipe, rng) -> None:
    """the same picture as diffusers' own img2img pipeline"""
    edit = _Edit.at_random(pipe, rng, (STEPS - 0.98) / STEPS)
    first, again = (edit.by(img2img, pipe) for _ in range(2))
    expect_picture(first, "What img2img returns", size=edit.picture.size)
    expect(
        difference(first, again) <= ROUNDING,
        "Two calls with the same seed gave different pictures: make a torch.Generator with manual_seed(seed) in each call.",
    )
    _compare(first, pipe, edit)
    edit = _Edit.at_random(pipe, rng, (STEPS - 1.98) / STEPS)
    _compare(edit.by(img2img, pipe), pipe, edit)


@img2img.core(20)
def text_alone(img2img, pipe, rng) -> None:
    """at strength 1 the same as drawing from the text alone"""
    edit = _Edit.at_random(pipe, rng, 1.0)
    shines_through = Mistake(
        "At strength 1 your start is the picture with noise over it, and even at the last timestep a trace of it is left. "
        "Start from the noise alone there, multiplied by scheduler.init_noise_sigma.",
        lambda: _by_diffusers(pipe, edit),
    )
    expect_drawing(
        edit.by(img2img, pipe), _from_text(pipe, edit), "At strength 1 your picture", (shines_through,), alt=edit.prompt
    )


@img2img.core(20)
def reconstruction(img2img, pipe, rng) -> None:
    """at strength 0 the picture as the VAE reconstructs it"""
    edit = _Edit.at_random(pipe, rng, 0.0)
    unscaled = Mistake(
        "The latents have the wrong scale: multiply them by the VAE's scaling_factor after encoding, and divide by it before "
        "decoding.",
        lambda: _reconstructed(pipe, edit, pipe.vae.config.scaling_factor),
    )
    untouched = Mistake(
        "At strength 0 you return the picture itself. It should go through the VAE: encoded and decoded.",
        lambda: edit.picture,
    )
    what = "At strength 0 your picture"
    expect_drawing(
        edit.by(img2img, pipe), _reconstructed(pipe, edit), what, (untouched, unscaled), alt="the VAE's reconstruction"
    )


@img2img.edge(10)
def scheduler_that_scales(img2img, pipe, rng) -> None:
    """the same with Euler's scheduler, which adds noise in its own way"""
    from diffusers import EulerDiscreteScheduler

    other = with_scheduler(pipe, EulerDiscreteScheduler.from_config(pipe.scheduler.config))
    edit = _Edit.at_random(pipe, rng, (STEPS - 1.98) / STEPS)
    _compare(edit.by(img2img, other), other, edit, hint=SCALING)
    edit = _Edit.at_random(pipe, rng, 1.0)
    expect_drawing(
        edit.by(img2img, other), _from_text(other, edit), "At strength 1 your picture", alt=edit.prompt, hint=SCALING
    )


@img2img.edge(8)
def steps_rounded_down(img2img, pipe, rng) -> None:
    """the number of steps is rounded down"""
    steps = rng.randrange(1, STEPS - 1)
    edit = _Edit.at_random(pipe, rng, (steps + 0.8) / STEPS)
    rounded = Mistake(
        f"With steps={STEPS} and strength={edit.strength:.2g} you take {steps + 1} steps: round down, with "
        "int(steps * strength), as diffusers does.",
        lambda: _by_diffusers(pipe, edit._replace(strength=(steps + 1.02) / STEPS)),
    )
    what = f"With steps={STEPS} and strength={edit.strength:.2g} your picture"
    expect_drawing(edit.by(img2img, pipe), _by_diffusers(pipe, edit), what, (rounded,), alt=edit.prompt)


@img2img.edge(7)
def defaults(img2img, pipe, rng) -> None:
    """strength 0.6, 25 steps, guidance 4 and seed 0 by default"""
    edit = _Edit.at_random(pipe, rng, 0.6)
    explicit = {"strength": 0.6, "steps": 25, "guidance_scale": 4.0, "seed": 0}
    with no_pipeline("img2img"):
        short, long = (img2img(pipe, edit.picture.copy(), edit.prompt, **some) for some in ({}, explicit))
    expect_drawing(short, long, "Without options your picture", alt=edit.prompt)


@img2img.edge(10)
def impossible_strengths(img2img, pipe, rng) -> None:
    """a ValueError for a strength outside 0 to 1"""
    for strength in (-0.1 - rng.random(), 1.1 + rng.random()):
        edit = _Edit.at_random(pipe, rng, strength)
        expect_raises(
            lambda edit=edit: edit.by(img2img, pipe),
            ValueError,
            f"strength={strength:.2f}",
            hint="A strength is a share of the steps, from 0 to 1.",
        )


def _compare(result: Any, pipe: StableDiffusionPipeline, edit: _Edit, *, hint: str = "") -> None:
    """Raise `CheckFailed` unless the student's picture is that of diffusers' pipeline; a known mistake is named."""
    what = f"With steps={STEPS} and strength={edit.strength:.2f} your picture"
    expect_drawing(result, _by_diffusers(pipe, edit), what, _mistakes(pipe, edit), alt=edit.prompt, hint=hint)


def _mistakes(pipe: StableDiffusionPipeline, edit: _Edit) -> Iterator[Mistake]:
    class Noiseless(type(pipe.scheduler)):
        def add_noise(self, original_samples, noise, timesteps):
            return original_samples

    yield Mistake(
        "No noise was added to the picture's latents before the first step: scheduler.add_noise(latents, noise, timesteps).",
        lambda: _by_diffusers(with_scheduler(pipe, Noiseless.from_config(pipe.scheduler.config)), edit),
    )
    for off, way in ((1, "early: the first"), (-1, "late: the first")):
        yield Mistake(
            f"You start one step too {way} of the remaining timesteps is timesteps[steps - int(steps * strength)].",
            lambda off=off: _by_diffusers(pipe, edit._replace(strength=edit.strength + off / STEPS)),
        )
    yield Mistake(
        "The strength works the wrong way round: 1 changes everything, 0 nothing. Leave out the *first* "
        "steps - int(steps * strength) timesteps.",
        lambda: _by_diffusers(pipe, edit._replace(strength=1 - edit.strength)),
    )
    yield Mistake(
        "Your picture is drawn from the text alone: the given picture has no influence.", lambda: _from_text(pipe, edit)
    )
    yield Mistake(
        "The guidance had no effect: combine the two predictions with guide(…, guidance_scale).",
        lambda: _by_diffusers(pipe, edit._replace(guidance_scale=1.0)),
    )
    yield Mistake(
        "The noise is not the generator's first one. Does the VAE draw from it first? Take latent_dist.mean, not "
        ".sample(generator).",
        lambda: _by_diffusers(pipe, edit, posterior_mean=False),
    )
    yield Mistake(
        f"You draw with seed 0, but seed={edit.seed} was asked for.", lambda: _by_diffusers(pipe, edit._replace(seed=0))
    )


# -- what is right


def _by_diffusers(pipe: StableDiffusionPipeline, edit: _Edit, *, posterior_mean: bool = True) -> Image.Image:
    """Edit with diffusers' own pipeline."""
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution as Posterior

    if int(STEPS * edit.strength) < 1:
        return _reconstructed(pipe, edit)
    parts = with_scheduler(pipe, pipe.scheduler).components
    editor = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
    editor.set_progress_bar_config(disable=True)
    sample = (lambda self, generator=None: self.mode()) if posterior_mean else Posterior.sample
    with patch.object(Posterior, "sample", sample):
        return editor(
            edit.prompt,
            edit.picture,
            strength=min(edit.strength, 1.0),
            num_inference_steps=STEPS,
            guidance_scale=edit.guidance_scale,
            generator=torch.Generator().manual_seed(edit.seed),
        ).images[0]


def _from_text(pipe: StableDiffusionPipeline, edit: _Edit) -> Image.Image:
    """Draw the prompt, without the picture."""
    return drawn_from_text(pipe, edit.prompt, steps=STEPS, guidance_scale=edit.guidance_scale, seed=edit.seed)


def _reconstructed(pipe: StableDiffusionPipeline, edit: _Edit, factor: float = 1.0) -> Image.Image:
    """Encode and decode the picture; the latents are multiplied by a factor in between, which should be 1."""
    import torch

    with torch.no_grad():
        return pipe.image_processor.postprocess(pipe.vae.decode(mean_latents(pipe, edit.picture) * factor).sample)[0]
