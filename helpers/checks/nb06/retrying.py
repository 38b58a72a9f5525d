"""`until_accepted`: when it ends, what it returns then, and what it says when the tries run out."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect
from helpers.checks.fakes import FakeGenerator
from helpers.checks.nb06.choosing import (
    asked,
    expect_best,
    expect_refusals,
    expect_scores,
    expect_seeds,
    expect_triple,
    random_scores,
)
from helpers.checks.words import cut

__all__ = ["until_accepted"]

until_accepted = Exercise("until_accepted")
until_accepted.given(asked)


@until_accepted.core(25)
def ends_when_it_is_good_enough(until_accepted, asked, rng) -> None:
    """the first picture that is good enough, and no further one is drawn"""
    for tries in (1, 2, rng.randrange(3, 6)):
        scores = [*(rng.randrange(1, 50) / 100 for _ in range(tries - 1)), 0.6, 0.9, 0.3]
        fake, result, _ = _tried(until_accepted, asked, 0.55, scores)
        expect(
            len(fake.drawn) == tries,
            f"With the scores {scores} and the threshold 0.55 number {tries - 1} is the first that is good enough: after "
            f"{tries} {'tries' if tries > 1 else 'try'} it should end, but you drew {len(fake.drawn)}.",
        )
        expect_best(fake, result, asked[0], tries)


@until_accepted.core(20)
def best_so_far(until_accepted, asked, rng) -> None:
    """the best so far when the tries run out"""
    for n in (1, 3, rng.randrange(4, 9)):
        fake, result, _ = _tried(until_accepted, asked, 1.0, random_scores(rng, n))
        expect(
            len(fake.drawn) == n,
            f"max_tries={n} allows {n} {'tries' if n > 1 else 'try'}, and no picture is good enough, but you drew "
            f"{len(fake.drawn)}.",
        )
        expect_best(fake, result, asked[0], n)


@until_accepted.core(20)
def scores_so_far(until_accepted, asked, rng) -> None:
    """seeds that count from 0, and the list of the scores so far"""
    scores = [rng.randrange(1, 50) / 100 for _ in range(3)] + [0.6, 0.1]
    for threshold, tries in ((0.55, 4), (0.7, 5)):
        fake, result, _ = _tried(until_accepted, asked, threshold, scores)
        expect_seeds(fake, asked[1], tries)
        expect_scores(result, scores[:tries])


@until_accepted.edge(6)
def at_least_the_threshold(until_accepted, asked, rng) -> None:
    """a score that equals the threshold is enough"""
    threshold = rng.randrange(30, 90) / 100
    fake, result, _ = _tried(until_accepted, asked, threshold, [0.2, threshold, 0.95])
    expect(
        len(fake.drawn) == 2 and result[1] == threshold,
        f"Number 1 of the scores {fake.scores} has the threshold, {threshold}, and is good enough: it should end after 2 "
        f"tries with this score, but you drew {len(fake.drawn)} and returned {result[1]}.",
    )


@until_accepted.edge(5)
def below_zero_and_equals(until_accepted, asked, rng) -> None:
    """when the tries run out: scores below 0, and the first of equals"""
    high = -rng.randrange(1, 50) / 100
    fake, result, _ = _tried(until_accepted, asked, 0.0, [-0.8, high, -0.7, high])
    expect_best(fake, result, asked[0], 4, "Scores may be below 0, and the first of equals wins.")


@until_accepted.edge(8)
def says_that_it_gives_up(until_accepted, asked, rng) -> None:
    """a printed sentence with the number of tries when they run out"""
    n = rng.randrange(11, 20)
    _, _, printed = _tried(until_accepted, asked, 1.0, random_scores(rng, n))
    expect(
        bool(printed.strip()),
        "No picture was good enough, and nothing was printed. Say that what comes back is not what was asked for.",
    )
    expect(
        bool(re.search(rf"(?<![\d.]){n}(?!\.?\d)", printed)),
        f"The sentence should say after how many tries it gave up, {n}, but it is {cut(printed.strip(), 150)!r}.",
    )


@until_accepted.edge(6)
def says_so_only_then(until_accepted, asked, rng) -> None:
    """nothing of the kind when the last try is good enough"""
    scores = [rng.randrange(1, 50) / 100 for _ in range(rng.randrange(1, 5))] + [0.6]
    given_up, *accepted = (_tried(until_accepted, asked, threshold, scores)[2] for threshold in (0.99, 0.55, 0.6))
    for printed, threshold in zip(accepted, (0.55, 0.6), strict=True):
        expect(
            not given_up or _without_scores(printed) != _without_scores(given_up),
            f"With the scores {scores} and the threshold {threshold} the last picture is good enough, but what is printed, "
            f"{cut(printed.strip(), 150)!r}, is also printed when none is. Say that the tries ran out only when they did.",
        )


def _without_scores(printed: str) -> str:
    return re.sub(r"-?\d*\.\d+", "…", printed)


@until_accepted.edge(5)
def refuses_no_tries(until_accepted, asked, rng) -> None:
    """a ValueError for max_tries below 1, before anything is drawn"""
    expect_refusals(lambda n, **fake: until_accepted(*asked, 0.5, n, **fake), "max_tries", (0, -rng.randrange(1, 9)))


@until_accepted.edge(5)
def says_what_is_wrong_with_max_tries(until_accepted, asked, rng) -> None:
    """a ValueError that names max_tries"""
    values = (0, -rng.randrange(1, 9))
    expect_refusals(lambda n, **fake: until_accepted(*asked, 0.5, n, **fake), "max_tries", values, names=True)


def _tried(until_accepted, asked: tuple[str, str], threshold: float, scores: Sequence[float]) -> tuple:
    """(generator, result, what was printed) with these scores to come and as many tries."""
    fake = FakeGenerator(scores)
    with recorded_output() as printed:
        result = until_accepted(*asked, threshold, len(scores), generate=fake.generate, rate=fake.rate)
    return fake, expect_triple(result, "until_accepted"), "".join(printed)


@contextmanager
def recorded_output() -> Iterator[list[str]]:
    """A list that gets, at the end, what was printed, and what was warned of."""
    printed: list[str] = []
    out = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(out), redirect_stderr(out):
        warnings.simplefilter("always")
        yield printed
    printed += [out.getvalue(), *(str(each.message) for each in warned)]
