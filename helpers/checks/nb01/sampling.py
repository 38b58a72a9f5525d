"""`sample_latents`: compared with the pipeline's own latents, with schedulers that need different things from the loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect
from helpers.checks.nb01.material import no_pipeline, untrained
from helpers.checks.samples import random_prompt
from helpers.models import with_scheduler

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline
    from PIL import Image

__all__ = ["sample_latents"]

TOLERANCE = 1e-2
"""The largest error of a latent, relative to the largest latent: rounding errors add up over the steps."""

sample_latents = Exercise("sample_latents")


@sample_latents.given
def pipe() -> StableDiffusionPipeline:
    from helpers.models import load

    return load("diffusion")


@sample_latents.given
def untrained_pipe(pipe) -> StableDiffusionPipeline:
    """The same pipeline with a tiny U-Net, which is enough to compare latents in no time."""
    return untrained(pipe)


@sample_latents.core(40)
def own_scheduler(sample_latents, pipe, rng) -> None:
    """the same latents as the pipeline"""
    _compare(sample_latents, pipe, _Drawing.at_random(rng, steps=rng.randrange(4, 8)))


@sample_latents.core(25)
def scheduler_that_scales(sample_latents, untrained_pipe, rng) -> None:
    """the same latents with Euler's scheduler, which scales the first noise and the U-Net's input"""
    from diffusers import EulerDiscreteScheduler

    other = with_scheduler(untrained_pipe, EulerDiscreteScheduler.from_config(untrained_pipe.scheduler.config))
    _compare(sample_latents, other, _Drawing.at_random(rng, steps=rng.randrange(4, 8)))


@sample_latents.edge(12)
def scheduler_that_draws_noise(sample_latents, untrained_pipe, rng) -> None:
    """the same latents with DDPM's scheduler, which draws new noise in each step"""
    from diffusers import DDPMScheduler

    other = with_scheduler(
        untrained_pipe, DDPMScheduler.from_config(untrained_pipe.scheduler.config, clip_sample=False)
    )
    _compare(sample_latents, other, _Drawing.at_random(rng, steps=rng.randrange(4, 8)))


@sample_latents.edge(6)
def guidance_of_one(sample_latents, untrained_pipe, rng) -> None:
    """the same latents with guidance 1, which is just the prediction with text"""
    _compare(sample_latents, untrained_pipe, _Drawing.at_random(rng, steps=5)._replace(guidance_scale=1.0))


@sample_latents.edge(9)
def defaults(sample_latents, untrained_pipe, rng) -> None:
    """25 steps and guidance 4 by default"""
    drawing = _Drawing.at_random(rng, steps=25)._replace(guidance_scale=4.0)
    with no_pipeline("sample_latents"):
        result = sample_latents(untrained_pipe, drawing.prompt, generator=drawing.generator())
    compare_tensors(result, drawing.latents(untrained_pipe), "Your latents with the defaults", tolerance=TOLERANCE)


@sample_latents.edge(4)
def without_generator(sample_latents, untrained_pipe, rng) -> None:
    """different noise on each call without a generator"""
    import torch

    prompt = _Drawing.at_random(rng, steps=2).prompt
    with no_pipeline("sample_latents"):
        one, two = (sample_latents(untrained_pipe, prompt, steps=2) for _ in range(2))
    same = torch.is_tensor(one) and torch.is_tensor(two) and torch.equal(one, two)
    expect(not same, "Two calls without a generator gave the same latents. They should start from different noise.")


@sample_latents.edge(4)
def no_gradients(sample_latents, untrained_pipe, rng) -> None:
    """no gradients are tracked"""
    result = _Drawing.at_random(rng, steps=2).by(sample_latents, untrained_pipe)
    expect(
        not getattr(result, "requires_grad", False),
        "The latents track gradients, which fills up the memory. Keep @torch.no_grad() above the function.",
    )


class _Drawing(NamedTuple):
    """What to draw, with the pipeline and with a student's loop."""

    prompt: str
    steps: int
    guidance_scale: float
    seed: int

    @classmethod
    def at_random(cls, rng, *, steps: int) -> _Drawing:
        return cls(random_prompt(rng), steps, rng.uniform(3, 7), rng.randrange(10**6))

    def generator(self) -> torch.Generator:
        import torch

        return torch.Generator().manual_seed(self.seed)

    def by(self, sample_latents, pipe: StableDiffusionPipeline) -> Any:
        """Run the student's loop."""
        with no_pipeline("sample_latents"):
            return sample_latents(
                pipe,
                self.prompt,
                steps=self.steps,
                guidance_scale=self.guidance_scale,
                generator=self.generator(),
            )

    def latents(self, pipe: StableDiffusionPipeline, **more) -> torch.Tensor:
        """Return the pipeline's own latents."""
        return pipe(
            self.prompt,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            generator=self.generator(),
            output_type="latent",
            **more,
        ).images


def _compare(sample_latents, pipe: StableDiffusionPipeline, drawing: _Drawing) -> None:
    import torch

    scheduler = type(pipe.scheduler).__name__
    result, again = drawing.by(sample_latents, pipe), drawing.by(sample_latents, pipe)
    expect(
        not torch.is_tensor(result) or torch.equal(result, again),
        f"With the {scheduler}, two calls with the same generator gave different latents. Draw the first noise with "
        "generator=generator, and pass the generator to scheduler.step as well, because some schedulers draw new noise in "
        "each step: scheduler.step(…, **pipe.prepare_extra_step_kwargs(generator, 0.0)).",
    )
    right = drawing.latents(pipe)
    mistakes = (*_mistakes_in_the_loop(pipe, drawing, right), *_mistakes_in_scaling(pipe, drawing, right))
    pictures = {"yours": _decoded(pipe, result), "expected": _decoded(pipe, right), "alt": drawing.prompt}
    what = f"The result of your loop with the {scheduler}"
    compare_tensors(result, right, what, mistakes, tolerance=TOLERANCE, **pictures)


def _mistakes_in_the_loop(pipe: StableDiffusionPipeline, drawing: _Drawing, right: torch.Tensor) -> Iterator[Mistake]:
    if drawing.guidance_scale != 1:
        yield Mistake(
            "The guidance had no effect: combine the two predictions with guide(…, guidance_scale).",
            lambda: drawing._replace(guidance_scale=1.0).latents(pipe),
        )
    yield Mistake(
        "The two predictions are swapped: what goes in first comes out first. If the empty prompt is in the first half of "
        "the batch, the first half of the output is the unconditional prediction.",
        lambda: drawing._replace(prompt="").latents(pipe, negative_prompt=drawing.prompt),
    )
    yield Mistake(
        "The prompt had no effect: this is the result for the empty prompt. Is the prompt encoded, too?",
        lambda: drawing._replace(prompt="").latents(pipe),
    )
    yield Mistake(
        f"You drew with 25 steps, but steps={drawing.steps} was asked for.",
        lambda: drawing._replace(steps=25).latents(pipe),
    )
    yield Mistake(
        "The latents are divided by the VAE's scaling factor. That belongs to decoding, which comes later.",
        lambda: right / pipe.vae.config.scaling_factor,
    )


def _mistakes_in_scaling(pipe: StableDiffusionPipeline, drawing: _Drawing, right: torch.Tensor) -> Iterator[Mistake]:
    """Mistakes that show only if the scheduler scales something."""
    import torch

    class Unscaled(type(pipe.scheduler)):
        def scale_model_input(self, sample, timestep):
            self.is_scale_input_called = True  # Euler's scheduler warns unless this was called
            return sample

    noise = torch.randn(right.shape, generator=drawing.generator(), dtype=right.dtype).to(right.device)

    def unscaled() -> StableDiffusionPipeline:
        return with_scheduler(pipe, Unscaled.from_config(pipe.scheduler.config))

    def weak() -> torch.Tensor:
        """First noise that is unscaled after the pipeline has multiplied it by `init_noise_sigma`."""
        pipe.scheduler.set_timesteps(drawing.steps)
        return noise / pipe.scheduler.init_noise_sigma

    yield Mistake(
        "This scheduler needs the U-Net's input scaled before each call: scheduler.scale_model_input(latents, t).",
        lambda: drawing.latents(unscaled()),
    )
    yield Mistake(
        "Each scheduler sets how strong the noise is at the start: multiply the first noise by "
        "scheduler.init_noise_sigma.",
        lambda: drawing.latents(pipe, latents=weak()),
    )
    yield Mistake(
        "Both scalings are missing: multiply the first noise by scheduler.init_noise_sigma, and before each call of the "
        "U-Net scale its input with scheduler.scale_model_input(latents, t).",
        lambda: drawing.latents(unscaled(), latents=weak()),
    )


def _decoded(pipe: StableDiffusionPipeline, latents: Any) -> Image.Image | None:
    """The picture that latents decode to; None if they are not latents."""
    import torch

    if not torch.is_tensor(latents) or latents.ndim != 4 or latents.shape[1] != pipe.vae.config.latent_channels:
        return None
    with torch.no_grad():
        pixels = pipe.vae.decode(latents.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(pixels)[0]
