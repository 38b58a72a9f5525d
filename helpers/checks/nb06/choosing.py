"""`best_of_n`: which picture it chooses, and how it calls the generator and the rater."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_raises, expect_tuple
from helpers.checks.fakes import FakeGenerator
from helpers.checks.words import cut, described

__all__ = [
    "asked",
    "best_of_n",
    "expect_best",
    "expect_refusals",
    "expect_scores",
    "expect_seeds",
    "expect_triple",
    "random_scores",
]

best_of_n = Exercise("best_of_n")


@best_of_n.given
def asked(rng) -> tuple[str, str]:
    """(text, prompt)."""
    return f"a story of {rng.randrange(100)} cats", f"{rng.randrange(100, 200)} red cats, in a room"


@best_of_n.core(25)
def chooses_the_best(best_of_n, asked, rng) -> None:
    """the best of n pictures and its score, rated by the text"""
    for n in (1, 3, rng.randrange(4, 9)):
        fake, result = _chosen(best_of_n, asked, random_scores(rng, n))
        expect_best(fake, result, asked[0], n)


@best_of_n.core(20)
def returns_all_scores(best_of_n, asked, rng) -> None:
    """a list of all n scores, in order"""
    for n in (3, rng.randrange(4, 9)):
        fake, result = _chosen(best_of_n, asked, random_scores(rng, n))
        expect_scores(result, fake.scores)


@best_of_n.core(20)
def draws_with_seeds(best_of_n, asked, rng) -> None:
    """generate(prompt, seed=i) for i = 0 to n - 1"""
    for n in (1, 2, rng.randrange(3, 9)):
        fake, _ = _chosen(best_of_n, asked, random_scores(rng, n))
        expect_seeds(fake, asked[1], n)


@best_of_n.edge(7)
def scores_below_zero(best_of_n, asked, rng) -> None:
    """scores below 0"""
    fake, result = _chosen(best_of_n, asked, [round(score - 1, 2) for score in random_scores(rng, 4)])
    expect_best(fake, result, asked[0], 4, "A loop that starts with best = 0 finds nothing below it.")


@best_of_n.edge(7)
def first_of_equals(best_of_n, asked, rng) -> None:
    """the first of equals wins"""
    low, high = sorted(rng.sample(range(1, 100), 2))
    for scores in ([low, high, low, high], [high, high], [low, low, high, high, high]):
        fake, result = _chosen(best_of_n, asked, [score / 100 for score in scores])
        expect_best(fake, result, asked[0], len(scores), "The first of equals wins.")


@best_of_n.edge(7)
def each_picture_once(best_of_n, asked, rng) -> None:
    """each picture is drawn and rated once"""
    fake, _ = _chosen(best_of_n, asked, random_scores(rng, 4))
    _expect_calls(fake, 4)


@best_of_n.edge(7)
def refuses_no_pictures(best_of_n, asked, rng) -> None:
    """a ValueError for n below 1, before anything is drawn"""
    expect_refusals(lambda n, **fake: best_of_n(*asked, n, **fake), "n", (0, -1, -rng.randrange(2, 9)))


@best_of_n.edge(7)
def says_what_is_wrong_with_n(best_of_n, asked, rng) -> None:
    """a ValueError that names n"""
    expect_refusals(lambda n, **fake: best_of_n(*asked, n, **fake), "n", (0, -rng.randrange(2, 9)), names=True)


def _chosen(best_of_n, asked: tuple[str, str], scores: Sequence[float]) -> tuple[FakeGenerator, tuple]:
    """The generator, and what best_of_n returns with these scores to come."""
    fake = FakeGenerator(scores)
    result = best_of_n(*asked, len(scores), generate=fake.generate, rate=fake.rate)
    return fake, expect_triple(result, "best_of_n")


# -- what must hold of until_accepted and run_pipeline, too


def expect_best(fake: FakeGenerator, result: tuple, text: str, tries: int, hint: str = "") -> None:
    """Raise `CheckFailed` unless the best of so many pictures, rated by the text, is returned with its score."""
    image, score, *_ = result
    images, scores = fake.images, fake.scores[:tries]
    expect(
        len(images) == tries,
        f"{tries} different {'pictures' if tries > 1 else 'picture'} should be drawn, but there {_number_of(images)}: call "
        "generate(prompt, seed=i), each time with another seed.",
    )
    by = {rated.text for rated in fake.rated} - {text}
    expect(not by, f"rate should get {text!r} as the text, but it got {by}.")
    expect(
        all(any(rated.image is each for each in images) for rated in fake.rated),
        "rate should get the pictures as generate gave them.",
    )
    best = max(scores)
    winner = f"Of pictures with the scores {scores}, number {scores.index(best)} is the best"
    expect(score == best, f"{winner}: its score is {best}, but what you returned is {described(score)}. {hint}".strip())
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
        f"The third thing should be the list of all scores in order, {right}, but it is {described(result[2])}.",
    )


def _expect_calls(fake: FakeGenerator, n: int) -> None:
    for name, calls in (("generate", fake.drawn), ("rate", fake.rated)):
        expect(len(calls) == n, f"For {n} pictures {name} should be called {n} times, but there {_number_of(calls)}.")


def _number_of(things: Sequence) -> str:
    return "was one" if len(things) == 1 else f"were {len(things)}"


def expect_triple(result, name: str) -> tuple:
    """Raise `CheckFailed` unless the result is a tuple of three; gives it."""
    expect_tuple(result, ("picture", "score", "all scores"), name)
    return result


def expect_refusals(call: Callable, parameter: str, values: Sequence[int], *, names: bool = False) -> None:
    """Raise `CheckFailed` unless the call with each value raises a ValueError: before anything is drawn, or that names it.

    Args:
        call: makes the call, with the value, `generate` and `rate`.
        parameter: the value's name.
        values: those to try.
        names: ask for its words in place of its time.
    """
    for value in values:
        fake = FakeGenerator([0.5])
        said = expect_raises(
            lambda value=value, fake=fake: call(value, generate=fake.generate, rate=fake.rate),
            ValueError,
            f"{parameter}={value}",
        )
        if names:
            expect(
                bool(re.search(rf"\b{parameter}\b|{value}", said)),
                f"For {parameter}={value} the ValueError should have a sentence of your own that names {parameter} or its "
                f"value, but it says {cut(said, 150)!r}.",
            )
        else:
            expect(not fake.drawn, f"With {parameter}={value} nothing should be drawn.")


def random_scores(rng, n: int) -> list[float]:
    """n different scores from 0.01 to 0.99, of which the best is neither the first nor the last where n allows it."""
    scores = [score / 100 for score in rng.sample(range(1, 100), n)]
    if n > 2:
        scores.remove(best := max(scores))
        scores.insert(rng.randrange(1, n - 1), best)
    return scores
