"""`euler_sample`: on a velocity that can be computed by hand; its times, its steps, its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect, expect_raises
from helpers.checks.nb08.material import Velocity
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["euler_sample"]

euler_sample = Exercise("euler_sample")


@euler_sample.core(20)
def one_step(euler_sample, generator) -> None:
    """one step from the noise"""
    x0, condition = _start((5, 2), generator)
    right = x0 + Velocity.of(x0, 0.0, condition)
    mistakes = (
        Mistake("The step starts at t = 1; it should start at t = 0.", lambda: x0 + Velocity.of(x0, 1.0, condition)),
        Mistake("The step goes backwards: add the velocity.", lambda: x0 - Velocity.of(x0, 0.0, condition)),
        Mistake("This is the noise as it came; one step should be taken.", lambda: x0),
        Mistake("This is the velocity alone; add it to x.", lambda: Velocity.of(x0, 0.0, condition)),
        Mistake("The condition does not reach the model.", lambda: x0 + Velocity.of(x0, 0.0, None)),
    )
    result = euler_sample(Velocity(), x0.clone(), condition, 1)
    compare_tensors(result, right, "The result of one step", mistakes)


@euler_sample.core(30)
def many_steps(euler_sample, rng, generator) -> None:
    """equal steps from t = 0 to t = 1"""
    for steps in (2, rng.randrange(3, 12)):
        x0, condition = _start((4, 2), generator)
        mistakes = (
            Mistake(
                "Each step is as long as the whole way: multiply the velocity by 1 / steps.",
                lambda n=steps, x=x0, c=condition: _walked(x, c, n, length=1.0),
            ),
            Mistake(
                "The time of a step is that of its end: the first should begin at t = 0, the last at 1 − 1 / steps.",
                lambda n=steps, x=x0, c=condition: _walked(x, c, n, first=1),
            ),
            Mistake(
                "The times run from 1 to 0: they should begin at t = 0, where there is noise.",
                lambda n=steps, x=x0, c=condition: _walked(x, c, n, backwards=True),
            ),
            Mistake(
                "The times end at t = 1, so that the model is asked where the way is over. For n steps they are 0, 1/n, …, "
                "(n − 1)/n.",
                lambda n=steps, x=x0, c=condition: _walked(x, c, n, spread=True),
            ),
            Mistake(
                "A step is missing: there should be as many as `steps` says.",
                lambda n=steps, x=x0, c=condition: _walked(x, c, n, last=n - 1),
            ),
            Mistake(
                "Every step was taken from the noise x0; each should start where the last one ended.",
                lambda n=steps, x=x0, c=condition: _from_the_start(x, c, n),
            ),
        )
        result = euler_sample(Velocity(), x0.clone(), condition, steps)
        compare_tensors(result, _walked(x0, condition, steps), f"The result of {steps} steps", mistakes)


@euler_sample.core(20)
def of_pictures(euler_sample, generator) -> None:
    """pictures, with and without a condition"""
    x0, condition = _start((3, 3, 4, 6), generator)
    for given in (condition, None):
        compare_tensors(
            euler_sample(Velocity(), x0.clone(), given, 3),
            _walked(x0, given, 3),
            f"The result for pictures {'without' if given is None else 'with'} a condition",
        )


@euler_sample.edge(10)
def times(euler_sample, generator) -> None:
    """the model gets the time as a tensor (batch,), once per step"""
    import torch

    model, (x0, condition) = Velocity(), _start((3, 2), generator)
    euler_sample(model, x0, condition, 4)
    expect(
        len(model.asked) == 4, f"Four steps should ask the model four times, but it was asked {len(model.asked)} times."
    )
    for asked in model.asked:
        expect(
            torch.is_tensor(asked.t) and asked.t.shape == (3,),
            "The model should get the time as a tensor with one number for each of the 3 samples, but it got "
            f"{described(asked.t)}. torch.full((len(x),), …) makes one.",
        )


@euler_sample.edge(10)
def no_gradients(euler_sample, generator) -> None:
    """no gradients are kept: sampling is not training"""
    import torch

    x0, condition = _start((3, 2), generator)
    weight = torch.ones((), requires_grad=True)

    def model(x, t, condition=None):
        return weight * Velocity.of(x, t, condition)

    expect(
        not euler_sample(model, x0, condition, 2).requires_grad,
        "The result carries the gradients of every step, which costs memory. Put @torch.no_grad() above the function.",
    )


@euler_sample.edge(5)
def noise_unchanged(euler_sample, generator) -> None:
    """the noise is left unchanged"""
    x0, condition = _start((3, 2), generator)
    call(euler_sample, Velocity(), x0, condition, 3)


@euler_sample.edge(5)
def no_steps(euler_sample, rng, generator) -> None:
    """a ValueError for fewer than one step"""
    x0, condition = _start((2, 2), generator)
    for steps in (0, -rng.randrange(1, 5)):
        expect_raises(
            lambda steps=steps: euler_sample(Velocity(), x0, condition, steps),
            ValueError,
            f"steps = {steps}",
            hint="Otherwise the noise would pass for a picture.",
        )


def _start(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(noise, condition)"""
    import torch

    return torch.randn(shape, generator=generator), torch.randint(2, shape[:1], generator=generator)


def _walked(x, condition, steps: int, *, first=0, last=None, length=None, backwards=False, spread=False):
    """The right walk, or one with a mistake."""
    for i in range(steps if last is None else last):
        t = (i + first) / steps
        t = i / max(1, steps - 1) if spread else 1 - t if backwards else t
        x = x + Velocity.of(x, t, condition) * (1 / steps if length is None else length)
    return x


def _from_the_start(x0, condition, steps: int):
    return x0 + sum(Velocity.of(x0, i / steps, condition) for i in range(steps)) / steps
