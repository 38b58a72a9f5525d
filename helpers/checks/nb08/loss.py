"""`flow_matching_loss`: on a velocity that can be computed by hand, and on a small network for the gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_gradients, compare_tensors, expect
from helpers.checks.nb08.material import Velocity
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["flow_matching_loss"]

flow_matching_loss = Exercise("flow_matching_loss")


@flow_matching_loss.core(40)
def of_points(flow_matching_loss, generator) -> None:
    """the mean squared error of the velocity, for points"""
    for _ in range(2):
        _compare(flow_matching_loss, *_batch((6, 2), generator))


@flow_matching_loss.core(25)
def gradients(flow_matching_loss, generator) -> None:
    """a loss whose gradients reach the network's weights"""
    import torch
    from torch.nn.functional import mse_loss

    from helpers.speedrun import PointNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        network = PointNet(width=8)
    x0, x1, t, condition = _batch((6, 2), generator)
    loss = flow_matching_loss(network, x1.clone(), condition.clone(), x0=x0.clone(), t=t.clone())
    right = mse_loss(network(_between(x0, x1, t), t, condition), x1 - x0)
    weights = [network.point.weight, network.velocity.weight]
    compare_gradients(loss, right, weights, "The gradient of the loss", tolerance=1e-3)


@flow_matching_loss.edge(10)
def of_pictures(flow_matching_loss, generator) -> None:
    """the same for pictures"""
    _compare(flow_matching_loss, *_batch((3, 3, 4, 6), generator))


@flow_matching_loss.edge(9)
def no_condition(flow_matching_loss, generator) -> None:
    """None as the condition is passed on"""
    x0, x1, t, _ = _batch((4, 2), generator)
    _compare(flow_matching_loss, x0, x1, t, None)


@flow_matching_loss.edge(8)
def times_for_the_model(flow_matching_loss, generator) -> None:
    """the model gets t as it came, a tensor (batch,)"""
    import torch

    model, (x0, x1, t, condition) = Velocity(), _batch((3, 3, 2, 2), generator)
    flow_matching_loss(model, x1, condition, x0=x0, t=t)
    for asked in model.asked:
        expect(
            torch.is_tensor(asked.t) and asked.t.shape == t.shape and torch.equal(asked.t, t),
            f"The model should get t as a tensor of shape {tuple(t.shape)}, as flow_matching_loss got it, but it got "
            f"{described(asked.t)}. Reshape it for the line only.",
        )


@flow_matching_loss.edge(8)
def inputs_unchanged(flow_matching_loss, generator) -> None:
    """the inputs are left unchanged, and the given noise and times are used"""
    x0, x1, t, condition = _batch((4, 2), generator)
    first, second = (call(flow_matching_loss, Velocity(), x1, condition, x0=x0, t=t) for _ in range(2))
    expect(
        float(first) == float(second),
        "Two calls with the same inputs gave different losses. Use the noise x0 and the times t that are given.",
    )


def _batch(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """(x0, x1, t, condition)"""
    import torch

    x0, x1 = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator) + 2
    return x0, x1, torch.rand(shape[0], generator=generator), torch.randint(2, shape[:1], generator=generator)


def _between(x0: torch.Tensor, x1: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    each = t.reshape(-1, *[1] * (x0.ndim - 1))
    return (1 - each) * x0 + each * x1


def _compare(flow_matching_loss, x0, x1, t, condition) -> None:
    model = Velocity()
    copies = [None if value is None else value.clone() for value in (x1, condition, x0, t)]
    loss = flow_matching_loss(model, *copies[:2], x0=copies[2], t=copies[3])
    expect(len(model.asked) > 0, "The model was never called: the loss compares its output with the velocity.")
    asked, xt = model.asked[-1], _between(x0, x1, t)
    compare_tensors(
        asked.x,
        xt,
        "What the model gets as x",
        (
            Mistake("The model was given the data x1; it should get the point on the way, x_t.", lambda: x1),
            Mistake("The model was given the noise x0; it should get the point on the way, x_t.", lambda: x0),
            Mistake(
                "The ends of the way are swapped: at t = 0 there is noise, at t = 1 data.",
                lambda: _between(x1, x0, t),
            ),
        ),
    )
    expect(
        (asked.condition is None) == (condition is None),
        "The condition should reach the model as it came; None is the empty one.",
    )
    velocity = Velocity.of(xt, t, condition)
    right = (velocity - (x1 - x0)).square().mean()
    mistakes = (
        Mistake(
            "The velocity has the wrong sign: it leads from noise to data, x1 − x0.",
            lambda: (velocity - (x0 - x1)).square().mean(),
        ),
        Mistake(
            "The target is the data x1; this network predicts the velocity x1 − x0.",
            lambda: (velocity - x1).square().mean(),
        ),
        Mistake(
            "The target is the noise x0; this network predicts the velocity x1 − x0.",
            lambda: (velocity - x0).square().mean(),
        ),
        Mistake(
            "The target is what is left of the way, x1 − x_t; the velocity is the same all along it, x1 − x0.",
            lambda: (velocity - (x1 - xt)).square().mean(),
        ),
        Mistake(
            "Take the mean of the squared differences, not their sum.",
            lambda: (velocity - (x1 - x0)).square().sum(),
        ),
        Mistake(
            "This is the mean absolute difference; square the differences.",
            lambda: (velocity - (x1 - x0)).abs().mean(),
        ),
        Mistake("The condition does not reach the model.", lambda: _mean_square(Velocity.of(xt, t, None), x0, x1)),
    )
    compare_tensors(loss, right, "The loss", mistakes)


def _mean_square(velocity: torch.Tensor, x0: torch.Tensor, x1: torch.Tensor) -> torch.Tensor:
    return (velocity - (x1 - x0)).square().mean()
