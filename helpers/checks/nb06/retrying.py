"""`until_accepted`: when it stops, what it returns, and what it prints when the tries run out."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from helpers.checks.cases import Exercise
from helpers.checks.elsewhere import mirrored
from helpers.checks.expect import expect
from helpers.checks.fakes import FakeGenerator
from helpers.checks.nb06.choosing import (
    expect_best,
    expect_scores,
    expect_seeds,
    expect_triple,
    expect_value_errors,
    random_scores,
    task,
)
from helpers.checks.words import cut

__all__ = ["until_accepted"]

until_accepted = Exercise("until_accepted")
until_accepted.given(task)


@until_accepted.core(25)
def first_good_picture(until_accepted, task, rng) -> None:
    """the first picture that is good enough, and no more are drawn"""
    for tries in (1, 2, rng.randrange(3, 6)):
        scores = [*(rng.randrange(1, 50) / 100 for _ in range(tries - 1)), 0.6, 0.9, 0.3]
        fake, result, _ = _tried(until_accepted, task, 0.55, scores)
        expect(
            len(fake.drawn) == tries,
            f"With the scores {scores} and the threshold 0.55, number {tries - 1} (from 0) is the first that is good enough. "
            f"Stop after {_tries(tries)}; you drew {_pictures(fake.drawn)}.",
        )
        expect_best(fake, result, task[0], tries)


@until_accepted.core(20)
def best_so_far(until_accepted, task, rng) -> None:
    """the best so far when the tries run out"""
    for n in (1, 3, rng.randrange(4, 9)):
        fake, result, _ = _tried(until_accepted, task, 1.0, random_scores(rng, n))
        expect(
            len(fake.drawn) == n,
            f"max_tries={n} allows {_tries(n)}, and no picture is good enough, but you drew {len(fake.drawn)}.",
        )
        expect_best(fake, result, task[0], n)


@until_accepted.core(20)
def scores_so_far(until_accepted, task, rng) -> None:
    """seeds that count from 0, and the list of the scores so far"""
    scores = [rng.randrange(1, 50) / 100 for _ in range(3)] + [0.6, 0.1]
    for threshold, tries in ((0.55, 4), (0.7, 5)):
        fake, result, _ = _tried(until_accepted, task, threshold, scores)
        expect_seeds(fake, task[1], tries)
        expect_scores(result, scores[:tries])


@until_accepted.edge(6)
def at_least_the_threshold(until_accepted, task, rng) -> None:
    """a score that equals the threshold is enough"""
    threshold = rng.randrange(30, 90) / 100
    fake, result, _ = _tried(until_accepted, task, threshold, [0.2, threshold, 0.95])
    expect(
        len(fake.drawn) == 2 and result[1] == threshold,
        f"Number 1 (from 0) of the scores {fake.scores} equals the threshold, {threshold}, and is good enough. Stop after 2 "
        f"tries with this score; you drew {_pictures(fake.drawn)} and returned {result[1]}.",
    )


@until_accepted.edge(5)
def below_zero_and_equals(until_accepted, task, rng) -> None:
    """when the tries run out: scores below 0, and the first of equals"""
    high = -rng.randrange(1, 50) / 100
    fake, result, _ = _tried(until_accepted, task, 0.0, [-0.8, high, -0.7, high])
    expect_best(fake, result, task[0], 4, "Scores may be below 0, and the first of equals wins.")


@until_accepted.edge(8)
def message_when_giving_up(until_accepted, task, rng) -> None:
    """a printed message with the number of tries when they run out"""
    n = rng.randrange(11, 20)
    _, _, printed = _tried(until_accepted, task, 1.0, random_scores(rng, n))
    expect(
        bool(printed.strip()),
        "No picture was good enough, and nothing was printed. Print that the result is not good enough.",
    )
    expect(
        bool(re.search(rf"(?<![\d.]){n}(?!\.?\d)", printed)),
        f"The message should say after how many tries it gave up, {n}, but it is {cut(printed.strip(), 150)!r}.",
    )


@until_accepted.edge(6)
def no_message_on_success(until_accepted, task, rng) -> None:
    """no such message when the last try is good enough"""
    scores = [rng.randrange(1, 50) / 100 for _ in range(rng.randrange(1, 5))] + [0.6]
    given_up, *accepted = (_tried(until_accepted, task, threshold, scores)[2] for threshold in (0.99, 0.55, 0.6))
    for printed, threshold in zip(accepted, (0.55, 0.6), strict=True):
        expect(
            not given_up or _without_scores(printed) != _without_scores(given_up),
            f"With the scores {scores} and the threshold {threshold} the last picture is good enough, but your message, "
            f"{cut(printed.strip(), 150)!r}, is also printed when none is. Print it only if the tries ran out.",
        )


def _without_scores(printed: str) -> str:
    return re.sub(r"-?\d*\.\d+", "…", printed)


@until_accepted.edge(5)
def max_tries_below_1(until_accepted, task, rng) -> None:
    """a ValueError for max_tries below 1, before anything is drawn"""
    values = (0, -rng.randrange(1, 9))
    expect_value_errors(lambda n, **fake: until_accepted(*task, 0.5, n, **fake), "max_tries", values)


@until_accepted.edge(5)
def message_for_max_tries(until_accepted, task, rng) -> None:
    """a ValueError that names max_tries"""
    values = (0, -rng.randrange(1, 9))
    expect_value_errors(lambda n, **fake: until_accepted(*task, 0.5, n, **fake), "max_tries", values, named=True)


def _tries(n: int) -> str:
    return "1 try" if n == 1 else f"{n} tries"


def _pictures(drawn: Sequence) -> str:
    return f"{len(drawn)} picture{'s' * (len(drawn) != 1)}"


def _tried(until_accepted, task: tuple[str, str], threshold: float, scores: Sequence[float]) -> tuple:
    """(generator, result, what was printed) for these scores, with one try for each."""
    fake = FakeGenerator(scores)
    with recorded_output() as printed:
        result = until_accepted(*task, threshold, len(scores), generate=fake.generate, rate=fake.rate)
    return fake, expect_triple(result, "until_accepted"), "".join(printed)


@mirrored
@contextmanager
def recorded_output() -> Iterator[list[str]]:
    """Yield a list that holds, at the end, what was printed and the warnings."""
    printed: list[str] = []
    out = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(out), redirect_stderr(out):
        warnings.simplefilter("always")
        yield printed
    printed += [out.getvalue(), *(str(each.message) for each in warned)]
