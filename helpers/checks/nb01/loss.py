"""`noise_prediction_loss`: on a tiny U-Net, for both prediction types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_gradients, compare_tensors, expect, expect_raises
from helpers.checks.nb01.material import tiny_unet

if TYPE_CHECKING:
    import torch
    from diffusers import DDPMScheduler, UNet2DConditionModel

__all__ = ["noise_prediction_loss"]

noise_prediction_loss = Exercise("noise_prediction_loss")


@noise_prediction_loss.given
def unet() -> UNet2DConditionModel:
    return tiny_unet()


@noise_prediction_loss.core(22)
def epsilon(noise_prediction_loss, unet, generator) -> None:
    """the loss of a U-Net that predicts the noise"""
    _compare(noise_prediction_loss, unet, "epsilon", _batch(3, generator))


@noise_prediction_loss.core(23)
def v_prediction(noise_prediction_loss, unet, generator) -> None:
    """the loss of a U-Net that predicts the velocity"""
    _compare(noise_prediction_loss, unet, "v_prediction", _batch(3, generator))


@noise_prediction_loss.core(20)
def gradients(noise_prediction_loss, unet, generator) -> None:
    """a loss whose gradients reach the U-Net's weights"""
    weights = [weight for name, weight in unet.named_parameters() if name.startswith(("conv_in", "conv_out"))]
    for prediction_type in ("epsilon", "v_prediction"):
        scheduler, batch = _scheduler(prediction_type), _batch(3, generator)
        loss = noise_prediction_loss(unet, scheduler, *(x.clone() for x in batch))
        right = _right_loss(unet, scheduler, *batch)
        compare_gradients(loss, right, weights, f"The gradient of the loss for {prediction_type}", tolerance=1e-3)


@noise_prediction_loss.edge(15)
def other_prediction_types(noise_prediction_loss, unet, generator) -> None:
    """a ValueError for any other prediction_type"""
    expect_raises(
        lambda: noise_prediction_loss(unet, _scheduler("sample"), *_batch(2, generator)),
        ValueError,
        "the prediction_type 'sample'",
        hint="A loss with the wrong target would train the U-Net to predict the wrong thing.",
    )


@noise_prediction_loss.edge(10)
def one_picture(noise_prediction_loss, unet, generator) -> None:
    """a batch of one picture"""
    _compare(noise_prediction_loss, unet, "v_prediction", _batch(1, generator))


@noise_prediction_loss.edge(10)
def inputs_unchanged(noise_prediction_loss, unet, generator) -> None:
    """the inputs are left unchanged"""
    for prediction_type in ("epsilon", "v_prediction"):
        call(noise_prediction_loss, unet, _scheduler(prediction_type), *_batch(2, generator))


def _scheduler(prediction_type: str) -> DDPMScheduler:
    from diffusers import DDPMScheduler

    return DDPMScheduler(prediction_type=prediction_type, beta_schedule="scaled_linear", beta_end=0.015)


def _batch(pictures: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """(latents, text_states, noise, t), with early, middle and late timesteps."""
    import torch

    latents, noise = torch.randn(2, pictures, 4, 8, 8, generator=generator)
    text_states = torch.randn(pictures, 7, 8, generator=generator)
    t = torch.tensor([100, 450, 800])[:pictures] + torch.randint(0, 150, (pictures,), generator=generator)
    return latents, text_states, noise, t


def _right_loss(unet, scheduler, latents, text_states, noise, t) -> torch.Tensor:
    guess = unet(scheduler.add_noise(latents, noise, t), t, text_states).sample
    is_noise = scheduler.config.prediction_type == "epsilon"
    target = noise if is_noise else scheduler.get_velocity(latents, noise, t)
    return (guess - target).square().mean()


def _compare(noise_prediction_loss, unet, prediction_type: str, batch: tuple[torch.Tensor, ...]) -> None:
    import torch
    from torch.nn.functional import mse_loss

    scheduler = _scheduler(prediction_type)
    loss = noise_prediction_loss(unet, scheduler, *(x.clone() for x in batch))
    again = noise_prediction_loss(unet, scheduler, *(x.clone() for x in batch))
    expect(
        not torch.is_tensor(loss) or torch.equal(loss, again),
        "Two calls with the same inputs gave different losses. Use the noise and the timesteps that are given.",
    )
    latents, text_states, noise, t = batch
    velocity = scheduler.get_velocity(latents, noise, t)
    target, other = (noise, velocity) if prediction_type == "epsilon" else (velocity, noise)
    with torch.no_grad():
        guess = unet(scheduler.add_noise(latents, noise, t), t, text_states).sample
        from_clean = unet(latents, t, text_states).sample
    mistakes = (
        Mistake(
            f"The scheduler's prediction_type is {prediction_type}, but the loss uses the target of the other type: choose "
            "it by scheduler.config.prediction_type.",
            lambda: mse_loss(guess, other),
        ),
        Mistake(
            "The U-Net was given the clean latents; it should get the noisy ones, from scheduler.add_noise.",
            lambda: mse_loss(from_clean, target),
        ),
        Mistake(
            "The sign of v is wrong: v = √ᾱ · noise − √(1 − ᾱ) · latents.",
            lambda: mse_loss(guess, -velocity),
        ),
        Mistake(
            "The target is the clean latents; this U-Net does not predict them directly.",
            lambda: mse_loss(guess, latents),
        ),
        Mistake("Take the mean of the squared differences, not their sum.", lambda: (guess - target).square().sum()),
        Mistake("This is the mean absolute difference; square the differences.", lambda: (guess - target).abs().mean()),
    )
    compare_tensors(loss, mse_loss(guess, target), f"The loss for {prediction_type}", mistakes)
