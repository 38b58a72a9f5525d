"""`best_of_n`: the picture that it chooses, and its calls of the generator and the rater."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_raises, expect_tuple
from helpers.checks.fakes import FakeGenerator
from helpers.checks.words import cut, described

__all__ = [
    "best_of_n",
    "expect_best",
    "expect_scores",
    "expect_seeds",
    "expect_triple",
    "expect_value_errors",
    "random_scores",
    "task",
]

best_of_n = Exercise("best_of_n")


@best_of_n.given
def task(rng) -> tuple[str, str]:
    """The text and the prompt to draw."""
    return f"a story of {rng.randrange(100)} cats", f"{rng.randrange(100, 200)} red cats, in a room"


@best_of_n.core(25)
def best_picture(best_of_n, task, rng) -> None:
    """the best of n pictures and its score, rated by the text"""
    for n in (1, 3, rng.randrange(4, 9)):
        fake, result = _chosen(best_of_n, task, random_scores(rng, n))
        expect_best(fake, result, task[0], n)


@best_of_n.core(20)
def all_scores(best_of_n, task, rng) -> None:
    """a list of all n scores, in order"""
    for n in (3, rng.randrange(4, 9)):
        fake, result = _chosen(best_of_n, task, random_scores(rng, n))
        expect_scores(result, fake.scores)


@best_of_n.core(20)
def seeds(best_of_n, task, rng) -> None:
    """generate(prompt, seed=i) for i = 0 to n - 1"""
    for n in (1, 2, rng.randrange(3, 9)):
        fake, _ = _chosen(best_of_n, task, random_scores(rng, n))
        expect_seeds(fake, task[1], n)


@best_of_n.edge(7)
def scores_below_zero(best_of_n, task, rng) -> None:
    """scores below 0"""
    fake, result = _chosen(best_of_n, task, [round(score - 1, 2) for score in random_scores(rng, 4)])
    expect_best(fake, result, task[0], 4, "A loop that starts with best = 0 never finds a score below it.")


@best_of_n.edge(7)
def first_of_equals(best_of_n, task, rng) -> None:
    """the first of equals wins"""
    low, high = sorted(rng.sample(range(1, 100), 2))
    for scores in ([low, high, low, high], [high, high], [low, low, high, high, high]):
        fake, result = _chosen(best_of_n, task, [score / 100 for score in scores])
        expect_best(fake, result, task[0], len(scores), "The first of equals wins.")


@best_of_n.edge(7)
def each_picture_once(best_of_n, task, rng) -> None:
    """each picture is drawn and rated once"""
    fake, _ = _chosen(best_of_n, task, random_scores(rng, 4))
    _expect_calls(fake, 4)


@best_of_n.edge(7)
def n_below_1(best_of_n, task, rng) -> None:
    """a ValueError for n below 1, before anything is drawn"""
    expect_value_errors(lambda n, **fake: best_of_n(*task, n, **fake), "n", (0, -1, -rng.randrange(2, 9)))


@best_of_n.edge(7)
def message_for_n(best_of_n, task, rng) -> None:
    """a ValueError that names n"""
    expect_value_errors(lambda n, **fake: best_of_n(*task, n, **fake), "n", (0, -rng.randrange(2, 9)), named=True)


def _chosen(best_of_n, task: tuple[str, str], scores: Sequence[float]) -> tuple[FakeGenerator, tuple]:
    """The generator, and what best_of_n returns for these scores."""
    fake = FakeGenerator(scores)
    result = best_of_n(*task, len(scores), generate=fake.generate, rate=fake.rate)
    return fake, expect_triple(result, "best_of_n")


# -- assertions that until_accepted and run_pipeline share


def expect_best(fake: FakeGenerator, result: tuple, text: str, tries: int, hint: str = "") -> None:
    """Raise `CheckFailed` unless the best of `tries` pictures, rated by the text, is returned with its score."""
    image, score, *_ = result
    images, scores = fake.images, fake.scores[:tries]
    expect(
        len(images) == tries,
        f"{tries} different {'pictures' if tries > 1 else 'picture'} should be drawn, but there {_number_of(images)}: call "
        "generate(prompt, seed=i), each time with a different seed.",
    )
    by = {rated.text for rated in fake.rated} - {text}
    expect(not by, f"rate should get {text!r} as the text, but it got {by}.")
    expect(
        all(any(rated.image is each for each in images) for rated in fake.rated),
        "rate should get the pictures as generate returned them.",
    )
    best = max(scores)
    winner = f"Of pictures with the scores {scores}, number {scores.index(best)} (from 0) is the best"
    expect(score == best, f"{winner}: its score is {best}, but you returned {described(score)}. {hint}".strip())
    expect(image is images[scores.index(best)], f"{winner}, but you returned another picture. {hint}".strip())


def expect_seeds(fake: FakeGenerator, prompt: str, n: int) -> None:
    """Raise `CheckFailed` unless the generator was asked for the prompt with each seed from 0 to n - 1, in order."""
    prompts = {drawn.prompt for drawn in fake.drawn} - {prompt}
    expect(not prompts, f"generate should get the prompt, {prompt!r}, but it got {prompts}.")
    seeds = list(dict.fromkeys(drawn.seed for drawn in fake.drawn))
    expect(
        seeds == list(range(n)),
        f"generate(prompt, seed=i) should be called for i = {'0' if n == 1 else f'0 to {n - 1}'}, in this order, but the seeds "
        f"were {seeds}.",
    )


def expect_scores(result: tuple, right: list[float]) -> None:
    """Raise `CheckFailed` unless the result's third part is the list of these scores."""
    expect(
        isinstance(result[2], (list, tuple)) and list(result[2]) == right,
        f"The third value returned should be the list of all scores in order, {right}, but it is {described(result[2])}.",
    )


def _expect_calls(fake: FakeGenerator, n: int) -> None:
    for name, calls in (("generate", fake.drawn), ("rate", fake.rated)):
        expect(len(calls) == n, f"For {n} pictures {name} should be called {n} times, but there {_number_of(calls)}.")


def _number_of(things: Sequence) -> str:
    return "was one" if len(things) == 1 else f"were {len(things)}"


def expect_triple(result, name: str) -> tuple:
    """Return the result; raise `CheckFailed` unless it is a tuple of three."""
    expect_tuple(result, ("picture", "score", "all scores"), name)
    return result


def expect_value_errors(call: Callable, parameter: str, values: Sequence[int], *, named: bool = False) -> None:
    """Raise `CheckFailed` unless the call raises a ValueError for each value, before anything is drawn.

    Args:
        call: makes the call, with the value, `generate` and `rate`.
        parameter: the value's name.
        values: the values to try.
        named: check that the error names the parameter or its value, not when it is raised.
    """
    for value in values:
        fake = FakeGenerator([0.5])
        message = expect_raises(
            lambda value=value, fake=fake: call(value, generate=fake.generate, rate=fake.rate),
            ValueError,
            f"{parameter}={value}",
        )
        if named:
            expect(
                bool(re.search(rf"\b{parameter}\b|{value}", message)),
                f"For {parameter}={value}, the ValueError should have your own message, which names {parameter} or its value, "
                f"but it says {cut(message, 150)!r}.",
            )
        else:
            expect(
                not fake.drawn,
                f"With {parameter}={value} nothing should be drawn: raise the ValueError before the first call of generate.",
            )


def random_scores(rng, n: int) -> list[float]:
    """Return n different scores from 0.01 to 0.99; if n > 2, the best is neither the first nor the last."""
    scores = [score / 100 for score in rng.sample(range(1, 100), n)]
    if n > 2:
        scores.remove(best := max(scores))
        scores.insert(rng.randrange(1, n - 1), best)
    return scores
