"""Visible checks of notebook 01, Diffusion basics: one function an exercise, named like it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from helpers.checks import CheckFailed, Mistake, call, compare_tensors, count_loads, described, expect, passed
from helpers.models import with_scheduler

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "add_noise",
    "fine_tune",
    "generate_images",
    "guide",
    "noise_prediction_loss",
    "sample_latents",
    "steps_sweep",
]

PROMPT = "a large red cat, on a meadow"


def add_noise(fn: Callable) -> None:
    """Check `add_noise(x0, noise, t, alphas_cumprod)` with one t for all and with a t for each of a batch."""
    import torch

    random = torch.Generator().manual_seed(1)
    x0, noise = (torch.randn(3, 2, 4, 4, generator=random) for _ in range(2))
    alphas_cumprod = torch.linspace(0.98, 0.02, 10)
    each = torch.tensor([0, 4, 9])
    _add_noise_at(6, "x_t for one t", fn, x0, noise, alphas_cumprod)
    _add_noise_at(each, "x_t for a batch with a t for each picture", fn, x0, noise, alphas_cumprod)
    half = fn(x0.half(), noise.half(), each, alphas_cumprod)
    expect(
        half.dtype == torch.float16,
        f"For half-precision pictures x_t should be torch.float16 like x0, but it is {half.dtype}: the schedule is "
        "float32 and pulls the product along. Convert the factors with .to(x0.dtype).",
    )
    passed("add_noise")


def _add_noise_at(t, what: str, fn: Callable, x0, noise, alphas_cumprod) -> None:
    share = alphas_cumprod[t].reshape(-1, 1, 1, 1)  # how much of the picture's variance is left
    earlier = alphas_cumprod[(t - 1) % len(alphas_cumprod)].reshape(-1, 1, 1, 1)
    mistakes = (
        Mistake(
            "The square roots are missing: scale the picture by √ᾱ and the noise by √(1 − ᾱ), so that the "
            "variances add up to 1.",
            lambda: share * x0 + (1 - share) * noise,
        ),
        Mistake(
            "Picture and noise are swapped: early on (ᾱ near 1) the picture should be strong and the noise weak.",
            lambda: (1 - share).sqrt() * x0 + share.sqrt() * noise,
        ),
        Mistake(
            "The noise is scaled by √ᾱ too; it needs √(1 − ᾱ).",
            lambda: share.sqrt() * (x0 + noise),
        ),
        Mistake(
            "The noise is scaled by 1 − √ᾱ; DDPM's equation 4 has √(1 − ᾱ).",
            lambda: share.sqrt() * x0 + (1 - share.sqrt()) * noise,
        ),
        Mistake(
            "That is the value for t − 1: alphas_cumprod[t] already is the value for t.",
            lambda: earlier.sqrt() * x0 + (1 - earlier).sqrt() * noise,
        ),
    )
    try:
        result = call(fn, x0, noise, t, alphas_cumprod)
    except RuntimeError as error:
        expect(
            "size of tensor" not in str(error),
            f"For t of shape (3,) and pictures of shape (3, 2, 4, 4) torch says: {error} Give ᾱ the shape "
            "(3, 1, 1, 1) first, so that each number meets its own picture.",
        )
        raise
    compare_tensors(result, share.sqrt() * x0 + (1 - share).sqrt() * noise, what, mistakes)


def noise_prediction_loss(fn: Callable) -> None:
    """Check `noise_prediction_loss(unet, scheduler, latents, text_states, noise, t)` on a tiny U-Net."""
    for prediction_type in ("epsilon", "v_prediction"):
        _loss_for(prediction_type, fn)
    passed("noise_prediction_loss")


def _loss_for(prediction_type: str, fn: Callable) -> None:
    import torch
    from diffusers import DDPMScheduler
    from torch.nn.functional import mse_loss

    torch.manual_seed(2)
    unet = tiny_unet()
    latents, noise = torch.randn(2, 3, 4, 8, 8)
    text_states, t = torch.randn(3, 5, 8), torch.tensor([10, 400, 900])
    scheduler = DDPMScheduler(prediction_type=prediction_type, beta_schedule="scaled_linear")
    velocity = scheduler.get_velocity(latents, noise, t)
    target, other = (noise, velocity) if prediction_type == "epsilon" else (velocity, noise)
    with torch.no_grad():
        guess = unet(scheduler.add_noise(latents, noise, t), t, text_states).sample
        blind = unet(latents, t, text_states).sample
    mistakes = (
        Mistake(
            f"The scheduler's prediction_type is {prediction_type}, but the loss compares with the target of the "
            "other kind: look at scheduler.config.prediction_type.",
            lambda: mse_loss(guess, other),
        ),
        Mistake(
            "The U-Net was given the clean latents; it should get the noisy ones, made with add_noise.",
            lambda: mse_loss(blind, target),
        ),
        Mistake(
            "The sign of v is turned: v = √ᾱ · noise − √(1 − ᾱ) · latents.",
            lambda: mse_loss(guess, -velocity),
        ),
        Mistake(
            "The target is the clean latents; this U-Net does not predict them directly.",
            lambda: mse_loss(guess, latents),
        ),
        Mistake(
            "Take the mean of the squared differences, not their sum.",
            lambda: (guess - target).square().sum(),
        ),
        Mistake(
            "That is the mean absolute difference; square the differences.",
            lambda: (guess - target).abs().mean(),
        ),
    )
    loss = call(fn, unet, scheduler, latents, text_states, noise, t)
    compare_tensors(loss, mse_loss(guess, target), f"The loss for {prediction_type}", mistakes)
    expect(
        loss.requires_grad,
        "No gradient can flow from this loss, so nothing could learn: remove torch.no_grad(), .detach() and .item().",
    )


def guide(fn: Callable) -> None:
    """Check `guide(noise_uncond, noise_text, scale)` at the scales 0, 1 and 4."""
    import torch

    random = torch.Generator().manual_seed(3)
    uncond, text = (torch.randn(2, 4, 3, 3, generator=random) for _ in range(2))
    mistakes = (
        Mistake(
            "The scale belongs to the difference alone: uncond + scale · (text − uncond).",
            lambda: 4 * (text - uncond),
        ),
        Mistake(
            "The two predictions are swapped: start from the unconditional one and go towards the text.",
            lambda: text + 4 * (uncond - text),
        ),
        Mistake(
            "The step of guidance starts from the unconditional prediction, not from the one with text. (Papers "
            "that start from the text count the scale from 0; here scale 1 means no extra guidance.)",
            lambda: text + 4 * (text - uncond),
        ),
        Mistake(
            "The difference has the wrong sign: it should point from unconditional to text.",
            lambda: uncond + 4 * (uncond - text),
        ),
    )
    compare_tensors(call(fn, uncond, text, 4.0), uncond + 4 * (text - uncond), "guide(uncond, text, 4)", mistakes)
    compare_tensors(
        call(fn, uncond, text, 1.0),
        text,
        "With scale 1 the answer is the prediction with text; yours",
        tolerance=1e-3,
    )
    compare_tensors(call(fn, uncond, text, 0.0), uncond, "With scale 0 the text has no say; yours", tolerance=1e-3)
    passed("guide")


def sample_latents(fn: Callable) -> None:
    """Check `sample_latents(pipe, prompt, …)` against the pipeline: with its own scheduler and with two of Euler's.

    One of these scales what the U-Net sees, the other also draws fresh noise in each step.
    """
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

    from helpers.models import load

    pipe = load("diffusion")
    _sampling(pipe, fn)
    for kind in (EulerDiscreteScheduler, EulerAncestralDiscreteScheduler):
        _sampling(with_scheduler(pipe, kind.from_config(pipe.scheduler.config)), fn)
    passed("sample_latents")


def _sampling(pipe, fn: Callable) -> None:
    import torch

    class Unscaled(type(pipe.scheduler)):
        def scale_model_input(self, sample, timestep):
            return sample

    def generator():
        return torch.Generator().manual_seed(0)

    def draw(prompt=PROMPT, *, pipe=pipe, steps=6, guidance_scale=4.0, **more):
        settings = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "output_type": "latent"}
        return pipe(prompt, generator=generator(), **settings, **more).images

    expected = draw()
    noise = torch.randn(expected.shape, generator=generator(), dtype=expected.dtype).to(expected.device)
    mistakes = (
        Mistake(
            "The guidance had no effect: combine the two predictions with guide(…, guidance_scale).",
            lambda: draw(guidance_scale=1.0),
        ),
        Mistake(
            "The two predictions are swapped: what goes in first comes out first. If the empty prompt is the first "
            "half of the batch, the first half of the answer is the unconditional prediction.",
            lambda: draw("", negative_prompt=PROMPT),
        ),
        Mistake("The prompt had no effect: that is what the empty prompt gives.", lambda: draw("")),
        Mistake("You drew with 25 steps, but steps=6 was asked for.", lambda: draw(steps=25)),
        Mistake(
            "The latents are divided by the VAE's scaling factor. That belongs to decoding, which comes later.",
            lambda: expected / pipe.vae.config.scaling_factor,
        ),
        Mistake(
            "Before each call of the U-Net this scheduler wants its input scaled: "
            "scheduler.scale_model_input(latents, t).",
            lambda: draw(pipe=with_scheduler(pipe, Unscaled.from_config(pipe.scheduler.config))),
        ),
        Mistake(
            "Each scheduler says how strong the noise is at the start: multiply the first noise by "
            "scheduler.init_noise_sigma.",
            lambda: draw(latents=noise / pipe.scheduler.init_noise_sigma),
        ),
    )
    by_hand = CheckFailed("sample_latents calls the pipeline. Write the loop yourself, with the pipeline's parts.")
    with patch.object(type(pipe), "__call__", side_effect=by_hand):
        result, again = (fn(pipe, PROMPT, steps=6, guidance_scale=4.0, generator=generator()) for _ in range(2))
    expect(
        not torch.is_tensor(result) or torch.equal(result, again),
        f"With the {type(pipe.scheduler).__name__}, two calls with the same generator gave different latents. Draw the "
        "first noise with generator=generator, and hand the generator to scheduler.step as well, for some schedulers "
        "draw fresh noise in each step: scheduler.step(…, **pipe.prepare_extra_step_kwargs(generator, 0.0)).",
    )
    pictures = {"yours": _decoded(pipe, result), "expected": _decoded(pipe, expected), "alt": PROMPT}
    what = f"What your loop draws with the {type(pipe.scheduler).__name__}"
    compare_tensors(result, expected, what, mistakes, tolerance=1e-2, **pictures)


def generate_images(fn: Callable) -> None:
    """Check `generate_images(prompt, n, seed=…)`: a list of n pictures, the same for the same seed, one load."""
    from diffusers import DiffusionPipeline
    from PIL import Image

    fn(PROMPT)  # the first call may load the model
    with count_loads(DiffusionPipeline) as loads:
        pictures = fn(PROMPT, 2, seed=0)
    expect(type(pictures) is list, f"generate_images should return a list, but it returned {described(pictures)}.")
    expect(len(pictures) == 2, f"n=2 should give 2 pictures, but it gave {len(pictures)}.")
    for picture in pictures:
        expect(
            isinstance(picture, Image.Image),
            f"The list should hold PIL pictures, but it holds {described(picture)}; the pipeline gives PIL pictures "
            "unless output_type says otherwise.",
        )
    expect(
        not loads,
        "generate_images loads the pipeline again at each call, which takes seconds: use "
        'load("diffusion"), which loads once and keeps it.',
    )
    pair = {"yours": pictures[0], "alt": PROMPT}
    expect(
        pictures[0].tobytes() != pictures[1].tobytes(),
        "The two pictures are the same: each needs noise of its own.",
        expected=pictures[1],
        **pair,
    )
    again = fn(PROMPT, 2, seed=0)
    expect(
        [p.tobytes() for p in again] == [p.tobytes() for p in pictures],
        "Two calls with the same seed gave different pictures: make a torch.Generator with manual_seed(seed) in "
        "each call and hand it to the pipeline.",
        expected=again[0],
        **pair,
    )
    other = fn(PROMPT, 2, seed=12345)  # as many as before: a batch of another size rounds differently
    expect(
        other[0].tobytes() not in [p.tobytes() for p in pictures],
        "Another seed gave the same picture, so the seed is not used.",
        expected=other[0],
        **pair,
    )
    passed("generate_images")


def steps_sweep(fn: Callable) -> None:
    """Check `steps_sweep(prompt, steps, seed=…)`: a CLIP score for the picture of each number of steps."""
    import torch

    from helpers import clip
    from helpers.models import load

    scores = fn(PROMPT, [1, 8], seed=3)
    expect(type(scores) is dict, f"steps_sweep should return a dict, but it returned {described(scores)}.")
    expect(
        list(scores) == [1, 8],
        f"The keys should be the numbers of steps, [1, 8], but they are {list(scores)}.",
    )
    wrong = {type(score).__name__ for score in scores.values()} - {"float"}
    expect(
        not wrong,
        f"The scores should be plain floats, but there is {', '.join(wrong)}: wrap them in float(…).",
    )
    for steps, score in scores.items():
        picture = load("diffusion")(
            PROMPT, num_inference_steps=steps, guidance_scale=4.0, generator=torch.Generator().manual_seed(3)
        ).images[0]
        right = float(clip.similarity([PROMPT], [picture])[0, 0])
        expect(
            math.isfinite(score) and abs(score - right) < SCORE_TOLERANCE,
            f"For {steps} steps the picture that prompt and seed give has the CLIP score {right:.3f}, "
            f"but yours is {score:.3f}. Every picture should start from the same seed, with guidance 4, and be "
            "compared with the prompt by clip.similarity.",
        )
    passed("steps_sweep")


def fine_tune(fn: Callable) -> None:
    """Check the mechanics of `fine_tune(pipe, images, prompt, max_steps=…)` with two steps; drawings come later."""
    import torch

    from helpers import newthing
    from helpers.models import load

    pipe = private_copy(load("diffusion"))
    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    images = newthing.pictures("mushroom", 16, size=picture_size(pipe))
    with count_optimizer_steps() as steps:
        adapter = fn(pipe, images, "a mushroom", max_steps=2)
    expect(
        isinstance(adapter, dict) and bool(adapter) and all(torch.is_tensor(w) for w in adapter.values()),
        "fine_tune should return the adapter's state dict, names with tensors, as get_peft_model_state_dict gives "
        f"it, but it returned {described(adapter)}.",
    )
    expect(
        all("lora" in name for name in adapter),
        "The adapter should hold LoRA weights and nothing else, but there "
        f"is {next((name for name in adapter if 'lora' not in name), '')!r}.",
    )
    expect(len(steps) <= 2, f"max_steps=2 allows two steps of the optimizer, but there were {len(steps)}.")
    up = [weight for name, weight in adapter.items() if "lora_B" in name or "lora.up" in name]
    expect(
        any(weight.abs().max() > 0 for weight in up),
        "The adapter's B matrices are still all zero, so nothing "
        "was learned: does the optimizer hold the adapter's parameters, and do you call loss.backward() and "
        "optimizer.step()?",
    )
    pipe.unload_lora_weights()
    after = pipe.unet.state_dict()
    changed = [name for name in before if name not in after or not torch.equal(before[name], after[name])]
    expect(
        not changed,
        f"The U-Net's own weights have changed ({', '.join(changed[:2])}, …). Freeze them with "
        "pipe.unet.requires_grad_(False) before add_adapter, and train the adapter alone.",
    )
    passed("fine_tune")


SCORE_TOLERANCE = 0.002
"""How far a CLIP score may be off: only rounding, as from batches of another size."""


def tiny_unet() -> torch.nn.Module:
    """A U-Net with 4 latent channels at 8×8 and text states of width 8, small enough for checks."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def private_copy(pipe):
    """A pipeline whose U-Net is a copy, so that training it leaves `pipe` alone."""
    other = with_scheduler(pipe, pipe.scheduler)
    other.register_modules(unet=copy.deepcopy(pipe.unet))
    return other


def picture_size(pipe) -> int:
    """Side of the pipeline's pictures in pixels."""
    return pipe.unet.config.sample_size * pipe.vae_scale_factor


@contextmanager
def count_optimizer_steps():
    """Give a list that grows by one at each step of any torch optimizer."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = []
    hook = register_optimizer_step_post_hook(lambda *args: steps.append(1))
    try:
        yield steps
    finally:
        hook.remove()


def _decoded(pipe, latents) -> Image.Image | None:
    """The picture of some latents, or None where they are none."""
    import torch

    if not torch.is_tensor(latents) or latents.ndim != 4 or latents.shape[1] != pipe.vae.config.latent_channels:
        return None
    with torch.no_grad():
        pixels = pipe.vae.decode(latents.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(pixels)[0]
