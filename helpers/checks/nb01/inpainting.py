"""`inpaint`: which part of the picture is kept, what is drawn, and what the U-Net sees of the kept part at each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.elsewhere import mirrored, with_changes
from helpers.checks.expect import CheckFailed, Mistake, expect, expect_picture, expect_raises
from helpers.checks.nb01.material import (
    drawn_from_text,
    expect_drawing,
    mean_latents,
    no_pipeline,
    picture_size,
    untrained,
)
from helpers.checks.samples import random_drawing, random_prompt
from helpers.models import with_scheduler

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline
    from PIL import Image

__all__ = ["inpaint"]

STEPS = 5
CLEAN = 0.05
"""The largest mean difference between latents that counts as none: a sample of the VAE's latents differs a little from
their mean."""
OFF_MEAN, OFF_SPREAD = 0.25, 0.2
"""How far the mean and the standard deviation of 500 or more standard normal numbers may be from 0 and 1: six times what
is usual by chance."""

inpaint = Exercise("inpaint")


class _Job(NamedTuple):
    """What the student's function gets besides the pipeline."""

    picture: Image.Image
    mask: Image.Image
    prompt: str
    seed: int

    @classmethod
    def at_random(cls, pipe: StableDiffusionPipeline, rng) -> _Job:
        """A white rectangle on black, whose edges are edges of latents, too."""
        from PIL import Image

        side, cell = picture_size(pipe), pipe.vae_scale_factor
        cells = side // cell
        left, top = (rng.randrange(1, cells // 2) for _ in range(2))
        width, height = (rng.randrange(cells // 4, cells // 2) for _ in range(2))
        mask = Image.new("L", (side, side), 0)
        mask.paste(255, tuple(cell * edge for edge in (left, top, left + width, top + height)))
        return cls(random_drawing(rng, side, things=1), mask, random_prompt(rng, things=1), rng.randrange(1, 10**6))

    def by(self, inpaint, pipe: StableDiffusionPipeline, **options) -> Any:
        """Run the student's function, on copies: it may return the picture that it was given, with something pasted in."""
        options = {"steps": STEPS, "guidance_scale": 4.0, "seed": self.seed, **options}
        with no_pipeline("inpaint"), with_changes():
            return inpaint(pipe, self.picture.copy(), self.mask.copy(), self.prompt, **options)


@inpaint.given
def pipe() -> StableDiffusionPipeline:
    from helpers.models import load

    return untrained(load("diffusion"))


@inpaint.given
def job(pipe, rng) -> _Job:
    return _Job.at_random(pipe, rng)


class _Painted(NamedTuple):
    """What the student's function returned, and what the U-Net saw meanwhile: the latents at each timestep."""

    picture: Any
    seen: dict[float, torch.Tensor]


@inpaint.given
def painted(inpaint, pipe, job) -> _Painted:
    """One call, watched."""
    with unet_inputs() as calls:
        picture = job.by(inpaint, pipe)
    return _Painted(picture, {t: latents for latents, t in calls})


@inpaint.core(20)
def kept_pixels(painted, job) -> None:
    """where the mask is black, the picture's own pixels"""
    import numpy as np

    expect_picture(painted.picture, "What inpaint returns", size=job.picture.size)
    result, own, white = (np.asarray(each) for each in (painted.picture, job.picture, job.mask))
    white = white > 127
    pictures = {"yours": painted.picture, "expected": job.picture, "alt": "the black part must stay as it is"}
    expect(
        (result[~white] == own[~white]).all() or (result[white] != own[white]).any(),
        "The mask's black and white are swapped: white should be drawn anew, black should stay.",
        **pictures,
    )
    off = np.abs(result[~white].astype(int) - own[~white]).mean()
    expect(
        off == 0,
        f"Where the mask is black, your picture differs from the given one by {off:.1f} of 255 grey levels on average. It "
        "must have the very same pixels there: paste them at the end, with Image.composite(drawn, picture, mask).",
        **pictures,
    )
    expect((result[white] != own[white]).any(), "Where the mask is white, nothing was drawn anew.", **pictures)


@inpaint.core(20)
def all_white(inpaint, pipe, job, rng) -> None:
    """with an all-white mask the same as drawing from the text alone"""
    from PIL import Image

    guidance_scale = rng.uniform(5, 7)
    white = job._replace(mask=Image.new("L", job.mask.size, 255))
    result = white.by(inpaint, pipe, guidance_scale=guidance_scale)
    mistakes = (
        Mistake(
            "With an all-white mask nothing of the picture should be left, but you return the picture.",
            lambda: job.picture,
        ),
        Mistake(
            "The guidance had no effect: combine the two predictions with guide(…, guidance_scale).",
            lambda: _from_text(pipe, job, 1.0),
        ),
        Mistake(
            f"You draw with seed 0, but seed={job.seed} was asked for.",
            lambda: _from_text(pipe, job._replace(seed=0), guidance_scale),
        ),
    )
    right = _from_text(pipe, job, guidance_scale)
    expect_drawing(
        result,
        right,
        "With an all-white mask your picture",
        mistakes,
        alt=job.prompt,
        hint="It should be the one that the pipeline draws for this prompt and seed. Is the first noise the first that a "
        "torch.Generator with this seed draws, times init_noise_sigma?",
    )


@inpaint.core(25)
def put_back(painted, pipe, job) -> None:
    """at every step the U-Net sees the kept part of the picture, noised to that timestep"""
    pipe.scheduler.set_timesteps(STEPS)
    timesteps = [float(t) for t in pipe.scheduler.timesteps]
    expect(
        painted.seen.keys() == set(timesteps),
        f"With steps={STEPS} the U-Net should be asked once for each of the timesteps {_listed(timesteps)}, but it was asked "
        f"for {_listed(painted.seen) or 'none'}.",
    )
    known = mean_latents(pipe, job.picture)[0].float().cpu() * pipe.vae.config.scaling_factor
    kept = _kept_cells(pipe, job)
    known, seen = known[:, kept], [painted.seen[t][:, kept] for t in timesteps]

    def noised_to(some: list[float]) -> list[bool]:
        """Whether the kept part was noised to these timesteps, at all steps but the first, where noise covers it anyway."""
        return [_is_noised(latents, known, pipe, t) for latents, t in zip(seen[1:], some, strict=True)]

    right = noised_to(timesteps[1:])
    if all(right):
        return
    expect(
        not all((latents - known).abs().mean().item() < CLEAN for latents in seen[1:]),
        "The kept part of the latents has no noise. The U-Net expects as much noise there as in the rest: add it with "
        "scheduler.add_noise(known, noise, t).",
    )
    expect(
        not all(noised_to(timesteps[:-1])),
        "The kept part of the latents is noised to the timestep before the one that the U-Net is asked about. Put it back "
        "just before the U-Net is asked, noised to the timestep it is asked about.",
    )
    raise CheckFailed(
        f"At timestep {timesteps[1 + right.index(False)]:.0f} the kept part of the latents is not the picture's, noised to "
        "that timestep. Put it back at every step: torch.where(white, latents, scheduler.add_noise(known, noise, t[None])). "
        "(Are the known latents multiplied by the VAE's scaling_factor, and is the mask the right way round?)"
    )


def _is_noised(seen: torch.Tensor, known: torch.Tensor, pipe: StableDiffusionPipeline, t: float) -> bool:
    """Whether latents are the known ones, noised to timestep t: without these, standard normal noise is left."""
    share = pipe.scheduler.alphas_cumprod[int(t)].item()
    noise = (seen - share**0.5 * known) / (1 - share) ** 0.5
    return abs(noise.mean().item()) <= OFF_MEAN and abs(noise.std().item() - 1) <= OFF_SPREAD


@inpaint.edge(10)
def mask_of_another_size(inpaint, pipe, job) -> None:
    """a ValueError for a mask of another size"""
    small = job._replace(mask=job.mask.resize((job.mask.width // 2, job.mask.height // 2)))
    expect_raises(lambda: small.by(inpaint, pipe), ValueError, "a mask of another size than the picture")


@inpaint.edge(10)
def mask_of_another_mode(inpaint, pipe, job) -> None:
    """a ValueError for a mask of another mode than L"""
    for mode in ("RGB", "1"):
        other = job._replace(mask=job.mask.convert(mode))
        expect_raises(lambda other=other: other.by(inpaint, pipe), ValueError, f"a mask of mode {mode}")


@inpaint.edge(8)
def scheduler_that_scales(inpaint, pipe, job, rng) -> None:
    """the same with Euler's scheduler, whose latents have stronger noise"""
    from diffusers import EulerDiscreteScheduler
    from PIL import Image

    other = with_scheduler(pipe, EulerDiscreteScheduler.from_config(pipe.scheduler.config))
    white = job._replace(mask=Image.new("L", job.mask.size, 255))
    expect_drawing(
        white.by(inpaint, other),
        _from_text(other, job, 4.0),
        "With Euler's scheduler and an all-white mask your picture",
        alt=job.prompt,
        hint="Multiply the first noise by scheduler.init_noise_sigma, and scale the U-Net's input with "
        "scheduler.scale_model_input(latents, t).",
    )


@inpaint.edge(7)
def inputs_unchanged(inpaint, pipe, job) -> None:
    """picture and mask are left unchanged"""
    with no_pipeline("inpaint"):
        call(inpaint, pipe, job.picture.copy(), job.mask.copy(), job.prompt, steps=1)


@mirrored
@contextmanager
def unet_inputs() -> Iterator[list[tuple[torch.Tensor, float]]]:
    """Yield a list of what a U-Net gets at each call meanwhile: the first latents of the batch, and the timestep."""
    from diffusers import UNet2DConditionModel

    calls, forward = [], UNet2DConditionModel.forward

    def watched(self, sample, timestep, *args, **options):
        calls.append((sample[0].detach().float().cpu().clone(), float(timestep)))
        return forward(self, sample, timestep, *args, **options)

    with patch.object(UNet2DConditionModel, "forward", watched):
        yield calls


def _kept_cells(pipe: StableDiffusionPipeline, job: _Job) -> torch.Tensor:
    """Which latents are kept for certain: black ones without a white neighbour, which a soft mask might mix in."""
    import numpy as np
    import torch

    side = pipe.unet.config.sample_size
    white = torch.from_numpy(np.asarray(job.mask.resize((side, side), 0), dtype=np.float32))
    return torch.nn.functional.max_pool2d(white[None], 3, stride=1, padding=1)[0] == 0


def _from_text(pipe: StableDiffusionPipeline, job: _Job, guidance_scale: float) -> Image.Image:
    """Draw the prompt, without the picture."""
    return drawn_from_text(pipe, job.prompt, steps=STEPS, guidance_scale=guidance_scale, seed=job.seed)


def _listed(timesteps: Any) -> str:
    return ", ".join(f"{t:.0f}" for t in sorted(timesteps, reverse=True))
