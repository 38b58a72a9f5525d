"""`guided`: a model made of another one, compared with the formula of classifier-free guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, compare_tensors, expect
from helpers.checks.nb08.material import Velocity
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["guided"]

guided = Exercise("guided")


@guided.core(45)
def scales_above_1(guided, rng, generator) -> None:
    """beyond the velocity with a condition at scales above 1"""
    for scale in (2.0, 4.0, rng.uniform(1.5, 8)):
        _compare(guided, *_inputs((4, 3), generator), scale)


@guided.core(20)
def scales_up_to_1(guided, generator) -> None:
    """the velocity with a condition at scale 1, the one without at 0"""
    x, t, condition = _inputs((4, 3), generator)
    for scale, right, what in (
        (1.0, condition, "with scale 1 should be that with the condition; yours"),
        (0.0, None, "with scale 0 should be that without a condition; yours"),
    ):
        found = _velocity(guided(Velocity(), scale), x, t, condition)
        compare_tensors(found, Velocity.of(x, t, right), f"The velocity {what}")


@guided.edge(10)
def pictures(guided, rng, generator) -> None:
    """pictures, and a scale that is a whole number"""
    _compare(guided, *_inputs((3, 3, 4, 5), generator), rng.randrange(2, 9))


@guided.edge(10)
def empty_condition(guided, generator) -> None:
    """without a condition, the velocity without a condition"""
    x, t, _ = _inputs((4, 3), generator)
    found = _velocity(guided(Velocity(), 3.0), x, t, None)
    compare_tensors(found, Velocity.of(x, t, None), "The velocity for the condition None")


@guided.edge(8)
def several_models(guided, generator) -> None:
    """models of several scales beside each other, each used more than once"""
    x, t, condition = _inputs((4, 3), generator)
    made = {scale: guided(Velocity(), scale) for scale in (2.0, 5.0)}
    for _ in range(2):
        for scale, model in made.items():
            compare_tensors(
                _velocity(model, x, t, condition), _right(x, t, condition, scale), f"The velocity of scale {scale}"
            )


@guided.edge(7)
def inputs_unchanged(guided, generator) -> None:
    """x, t and the condition are left unchanged, and nothing is asked of the model before it is needed"""
    model = Velocity()
    made = guided(model, 3.0)
    expect(not model.asked, "guided(model, scale) should only make a new model; it has called the old one already.")
    call(made, *_inputs((4, 3), generator))


def _inputs(shape: tuple[int, ...], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """(x, t, condition)"""
    import torch

    return (
        torch.randn(shape, generator=generator),
        torch.rand(shape[0], generator=generator),
        torch.randint(1, 4, shape[:1], generator=generator),
    )


def _velocity(made, x, t, condition):
    expect(
        callable(made),
        f"guided should return a function of (x, t, condition), but it returned {described(made)}. Define one inside "
        "guided, and return it without calling it.",
    )
    return made(x.clone(), t.clone(), condition if condition is None else condition.clone())


def _right(x, t, condition, scale: float) -> torch.Tensor:
    empty = Velocity.of(x, t, None)
    return empty + scale * (Velocity.of(x, t, condition) - empty)


def _compare(guided, x, t, condition, scale: float) -> None:
    empty, with_it = Velocity.of(x, t, None), Velocity.of(x, t, condition)
    mistakes = (
        Mistake(
            "The difference needs brackets: v_empty + scale · (v_condition − v_empty).",
            lambda: empty + scale * with_it - empty,
        ),
        Mistake(
            "This starts from the velocity with the condition. Start from the empty one: v_empty + scale · (v_condition − "
            "v_empty).",
            lambda: with_it + scale * (with_it - empty),
        ),
        Mistake(
            "The velocity without a condition is missing: v_empty + scale · (v_condition − v_empty).",
            lambda: scale * (with_it - empty),
        ),
        Mistake(
            "The two velocities are swapped: start from the empty one and go towards the condition.",
            lambda: with_it + scale * (empty - with_it),
        ),
        Mistake(
            "The difference has the wrong sign: it should lead from the empty velocity to the one with the condition.",
            lambda: empty + scale * (empty - with_it),
        ),
        Mistake("This is the velocity with the condition; the scale has no effect.", lambda: with_it),
    )
    found = _velocity(guided(Velocity(), scale), x, t, condition)
    compare_tensors(
        found, _right(x, t, condition, scale), f"The velocity with scale {scale:.4g}", mistakes, tolerance=1e-3
    )
