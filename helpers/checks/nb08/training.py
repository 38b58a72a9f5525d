"""`train`: a small network learns two moons, by a clock on which each step takes the same time.

So a training ends after the same number of steps on any computer. `stops_in_time` alone uses the real time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect, expect_tuple, expect_type
from helpers.checks.fakes import stepping_clock
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["train"]

STEPS = 300
BATCH = 128
MOST_BATCHES = 2 * STEPS
"""After so many batches the time is over, whatever a training thinks."""
ENOUGH = 0.5
"""The least share of what the course's own training learns in the same number of steps."""
LEFT_OUT = 0.03, 0.3
"""The share of batches to be learned without a condition: about one in ten, as chance has it."""
SECONDS, WAIT = 0.8, 0.05

train = Exercise("train")


@train.given
def moons(rng) -> Moons:
    return Moons(rng.randrange(10**6))


@train.core(40)
def learns(train, moons) -> None:
    """a velocity that is nearly as good as that of the course's own training"""
    loss = moons.loss(moons.trained(train))
    expect(
        loss <= moons.before - ENOUGH * (moons.before - moons.after),
        f"After {STEPS} steps the loss is {loss:.2f} on points that were not trained on; it was {moons.before:.2f} before, and "
        f"a plain training reaches {moons.after:.2f}. Does the optimizer have the model's parameters, are the gradients set "
        "to zero, does it step? With AdamW, 2e-3 is a good learning rate here.",
    )


@train.core(25)
def learns_without_condition(train, moons) -> None:
    """about one batch in ten is learned without its condition"""
    moons.trained(train)
    with_it, without = moons.network.calls.tolist()
    share, (least, most) = without / max(1, with_it + without), LEFT_OUT
    expect(
        least <= share <= most,
        f"Of {with_it + without:.0f} batches, {without:.0f} were learned without a condition. For guidance the model must know "
        "both: in about one batch of ten pass None as the condition.",
    )


@train.edge(13)
def stops_in_time(train) -> None:
    """no new batch once the seconds are over"""

    asked, batches = [], Batches(0)
    # Each batch takes so long that only these fit into the time, on a computer of any speed.
    most = round(SECONDS / WAIT) + 1

    def slow_batch() -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(1)
        if len(asked) > most + 1:
            raise CheckFailed(
                f"With seconds={SECONDS} and batches that take {WAIT} s each, the training should be over after {most} of "
                f"them, but it asks for number {len(asked)}. Measure with time.perf_counter(), and compare with its value at "
                "the start."
            )
        time.sleep(WAIT)
        return batches()

    train(_network(0), slow_batch, seconds=SECONDS, seed=0)


@train.edge(8)
def losses(train) -> None:
    """a list of losses, one float for each batch"""
    batches = Batches(0)
    with stepping_clock(1.0):
        result = train(_network(0), batches, seconds=30.0, seed=1)
    expect_tuple(result, ("model", "losses"), "train")
    _, found = result
    expect_type(found, list, "The losses")
    kinds = {type(loss).__name__ for loss in found}
    expect(kinds <= {"float"}, f"The losses should be plain floats, but there is {', '.join(kinds)}: use loss.item().")
    expect(
        len(found) == batches.count,
        f"There should be a loss for each batch, but there are {len(found)} for {batches.count} batches.",
    )
    expect(all(map(math.isfinite, found)), "A loss is not a finite number: is the learning rate too large?")


@train.edge(7)
def seeds(train) -> None:
    """the same seed gives the same noise and times, another seed others"""
    first = [_first_loss(train, seed) for seed in (3, 3, 4)]
    expect(
        first[0] == first[1],
        "Two trainings with the same seed have different first losses: draw noise and times with a generator that has "
        "this seed.",
    )
    expect(first[0] != first[2], "Trainings with different seeds have the same first loss: the seed has no effect.")


@train.edge(7)
def own_random_numbers(train) -> None:
    """torch's own random numbers are neither used nor set anew"""
    import torch

    before = torch.random.get_rng_state()
    _first_loss(train, 5)
    expect(
        torch.equal(before, torch.random.get_rng_state()),
        "train has changed the state of torch's global generator, so that whatever draws random numbers after it depends on "
        "it. Use a torch.Generator of your own and pass it to torch.randn and torch.rand.",
    )


class Batches:
    """The batches of a seed, two moons each, and how many there have been."""

    __name__ = "draw_batch"

    def __init__(self, seed: int) -> None:
        import torch

        self.count, self.generator = 0, torch.Generator().manual_seed(seed)

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        from helpers.speedrun import moons

        self.count += 1
        if self.count > MOST_BATCHES:
            raise CheckFailed(f"The training has asked for {MOST_BATCHES} batches, long after its time was over.")
        return moons(BATCH, self.generator)


class Moons:
    """Held-out moons, and what can be learned about them in `STEPS` steps.

    Attributes:
        network: the one that a student's train gets.
        before: the loss of an untrained network.
        after: that of a plainly trained one.
    """

    def __init__(self, seed: int) -> None:
        import torch

        from helpers.speedrun import moons

        self.seed = seed
        generator = torch.Generator().manual_seed(seed + 1)
        self.x1, self.condition = moons(2000, generator)
        self.x0 = torch.randn(self.x1.shape, generator=generator)
        self.t = torch.rand(len(self.x1), generator=generator)
        self.network, reference = _network(seed), _network(seed)
        self._trained: Callable | None = None
        self.before = self.loss(reference)
        _train(reference, Batches(seed))
        self.after = self.loss(reference)

    def loss(self, network: Callable) -> float:
        """Return the loss on the held-out moons."""
        import torch

        t = self.t[:, None]
        with torch.no_grad():
            velocity = network((1 - t) * self.x0 + t * self.x1, self.t, self.condition)
        return (velocity - (self.x1 - self.x0)).square().mean().item()

    def trained(self, train: Callable) -> Callable:
        """Return the network that train has trained; it is trained once for all cases."""
        if self._trained is None:
            with stepping_clock(1.0):
                result = train(self.network, Batches(self.seed), seconds=float(STEPS), seed=self.seed % 1000)
            expect_tuple(result, ("model", "losses"), "train")
            expect(callable(result[0]), f"train should return the model first, but it returned {described(result[0])}.")
            self._trained = result[0]
        return self._trained


def _network(seed: int):
    """A network whose weights the seed decides."""
    import torch

    from helpers.checks.nb08.counting import CountingNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CountingNet(width=64)


def _train(network, batches: Batches) -> None:
    """Train in the simplest way."""
    import torch

    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(STEPS):
        x1, condition = batches()
        x0, t = torch.randn(x1.shape, generator=generator), torch.rand(len(x1), generator=generator)
        loss = (network(torch.lerp(x0, x1, t[:, None]), t, condition) - (x1 - x0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _first_loss(train: Callable, seed: int) -> float:
    with stepping_clock(1.0):
        result = train(_network(0), Batches(0), seconds=3.0, seed=seed)
    expect_tuple(result, ("model", "losses"), "train")
    expect(len(result[1]) > 0, "There should be a loss for each batch, but there is none.")
    return float(result[1][0])
