"""`add_noise`: compared with equation 4 of the DDPM paper, with one timestep for all pictures and one per picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect

if TYPE_CHECKING:
    import torch

__all__ = ["add_noise"]

add_noise = Exercise("add_noise")


@add_noise.given
def alphas_cumprod(rng) -> torch.Tensor:
    """A short schedule, in which neighbouring timesteps can't be mistaken for each other."""
    import torch

    return torch.linspace(rng.uniform(0.95, 0.99), rng.uniform(0.01, 0.05), rng.randrange(20, 40))


@add_noise.core(30)
def one_timestep(add_noise, alphas_cumprod, rng, generator) -> None:
    """one timestep for all pictures"""
    last = len(alphas_cumprod) - 1
    for t in (rng.randrange(5, last - 5), 0, last):
        x0, noise = _pictures((3, 2, 4, 5), generator)
        result = add_noise(x0.clone(), noise.clone(), t, alphas_cumprod.clone())
        _compare(result, x0, noise, t, alphas_cumprod, f"x_t for t = {t}")


@add_noise.core(35)
def timestep_per_picture(add_noise, alphas_cumprod, rng, generator) -> None:
    """a timestep for each picture of a batch"""
    import torch

    # Batch and width are equal at first, so that ᾱ of the wrong shape gives wrong values: they explain more than an error.
    for shape in ((4, 3, 2, 4), (5, 3, 4, 6), (1, 2, 3, 3)):
        t = torch.tensor(rng.sample(range(len(alphas_cumprod)), shape[0]))
        x0, noise = _pictures(shape, generator)
        result = add_noise(x0.clone(), noise.clone(), t, alphas_cumprod.clone())
        _compare(result, x0, noise, t, alphas_cumprod, f"x_t for pictures of shape {shape} with a timestep for each")


@add_noise.edge(12)
def half_precision(add_noise, alphas_cumprod, rng, generator) -> None:
    """float16 pictures stay float16"""
    import torch

    x0, noise = _pictures((4, 3, 2, 4), generator)
    t = torch.tensor(rng.sample(range(len(alphas_cumprod)), 4))
    result = add_noise(x0.half(), noise.half(), t, alphas_cumprod)
    expect(
        not torch.is_tensor(result) or result.dtype == torch.float16,
        f"For float16 pictures x_t should be float16 like x0, but it is {getattr(result, 'dtype', '')}: the schedule is "
        "float32, and so is the product. Convert the factors with .to(x0.dtype).",
    )
    _compare(result, x0.half(), noise.half(), t, alphas_cumprod, "x_t of float16 pictures", tolerance=1e-2)


@add_noise.edge(8)
def double_precision(add_noise, alphas_cumprod, rng, generator) -> None:
    """float64 pictures stay float64"""
    import torch

    x0, noise = (each.double() for each in _pictures((4, 3, 2, 4), generator))
    t = torch.tensor(rng.sample(range(len(alphas_cumprod)), 4))
    result = add_noise(x0.clone(), noise.clone(), t, alphas_cumprod.clone())
    _compare(result, x0, noise, t, alphas_cumprod, "x_t of float64 pictures")


@add_noise.edge(15)
def inputs_unchanged(add_noise, alphas_cumprod, rng, generator) -> None:
    """the inputs are left unchanged"""
    import torch

    for t in (rng.randrange(len(alphas_cumprod)), torch.tensor(rng.sample(range(len(alphas_cumprod)), 3))):
        call(add_noise, *_pictures((3, 2, 4, 3), generator), t, alphas_cumprod)


def _pictures(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(x0, noise)"""
    import torch

    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def _x_t(x0: torch.Tensor, noise: torch.Tensor, t, alphas_cumprod: torch.Tensor) -> torch.Tensor:
    kept = alphas_cumprod[t].reshape(-1, 1, 1, 1)
    return kept.sqrt() * x0 + (1 - kept).sqrt() * noise


def _compare(
    result, x0: torch.Tensor, noise: torch.Tensor, t, alphas_cumprod: torch.Tensor, what: str, tolerance: float = 1e-4
) -> None:
    """Raise `CheckFailed` unless the result is x_t, of the same dtype as x0; a known mistake is named."""
    kept = alphas_cumprod[t].reshape(-1, 1, 1, 1)
    mistakes = [
        Mistake(
            "The square roots are missing: scale the picture by √ᾱ and the noise by √(1 − ᾱ), so that the variances add "
            "up to 1.",
            lambda: kept * x0 + (1 - kept) * noise,
        ),
        Mistake(
            "Picture and noise are swapped: early on (ᾱ near 1) the picture should be strong and the noise weak.",
            lambda: (1 - kept).sqrt() * x0 + kept.sqrt() * noise,
        ),
        Mistake("The noise is scaled by √ᾱ too; it needs √(1 − ᾱ).", lambda: kept.sqrt() * (x0 + noise)),
        Mistake(
            "The noise is scaled by 1 − √ᾱ; DDPM's equation 4 has √(1 − ᾱ).",
            lambda: kept.sqrt() * x0 + (1 - kept.sqrt()) * noise,
        ),
        Mistake(
            "This is x_t for t − 1: alphas_cumprod[t] is already the value for t.",
            lambda: _x_t(x0, noise, (t - 1) % len(alphas_cumprod), alphas_cumprod),
        ),
    ]
    if kept.numel() == x0.shape[-1]:
        mistakes.append(
            Mistake(
                f"Each column got its own timestep instead of each picture: broadcasting lines up shapes from the right. Give "
                f"ᾱ the shape ({len(x0)}, 1, 1, 1) first.",
                lambda: kept.flatten().sqrt() * x0 + (1 - kept.flatten()).sqrt() * noise,
            )
        )
    if kept.numel() > 1:
        mistakes.append(
            Mistake(
                "All pictures got the timestep of the first one; t has one for each picture.",
                lambda: _x_t(x0, noise, t[:1], alphas_cumprod),
            )
        )
    right = _x_t(x0, noise, t, alphas_cumprod).to(x0.dtype)
    compare_tensors(result, right, what, mistakes, tolerance=tolerance)
