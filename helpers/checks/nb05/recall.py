"""`recall_at_k`: on lists that can be counted by hand, and on random ones."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from numbers import Real

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, expect
from helpers.checks.words import described

__all__ = ["recall_at_k"]

TRIALS = 6
"""The number of random lists for each case: enough that no mistake is right by chance in all of them."""

recall_at_k = Exercise("recall_at_k")


@recall_at_k.core(40)
def mean_share(recall_at_k, rng) -> None:
    """the mean share of the exact top k that was found, in any order"""
    exact = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    for approximate, why in (
        (exact, "everything was found"),
        ([["b", "a", "d", "c"], ["h", "g", "f", "e"]], "the order within the top k does not count"),
        ([["a", "x", "y", "z"], ["e", "f", "z", "y"]], "1 of 4 and 2 of 4 were found, so the mean is 3 of 8"),
    ):
        _compare(recall_at_k, approximate, exact, 4, why)
    for _ in range(TRIALS):
        k, queries = rng.randrange(3, 6), rng.randrange(2, 5)
        exact, approximate = ([_ids(rng, k, of=2 * k) for _ in range(queries)] for _ in range(2))
        _compare(recall_at_k, approximate, exact, k)


@recall_at_k.core(25)
def first_k_of_longer_lists(recall_at_k, rng) -> None:
    """only the first k of longer lists count"""
    exact = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    for approximate in ([["b", "x", "c", "d"], ["x", "y", "e", "f"]], [["c", "d", "a", "b"], ["f", "e", "g", "h"]]):
        _compare(recall_at_k, approximate, exact, 2, "only the first 2 of each list count")
    for _ in range(TRIALS):
        k, queries = rng.randrange(1, 4), rng.randrange(2, 5)
        exact, approximate = ([_ids(rng, 6, of=8) for _ in range(queries)] for _ in range(2))
        _compare(recall_at_k, approximate, exact, k)


@recall_at_k.edge(12)
def fewer_found(recall_at_k, rng) -> None:
    """the approximate search may find fewer than k, or none"""
    _compare(recall_at_k, [["b"], []], [["a", "b"], ["c", "d"]], 2, "1 of 2 and 0 of 2 were found")
    for _ in range(TRIALS):
        k, queries = rng.randrange(3, 6), rng.randrange(1, 5)
        exact = [_ids(rng, k, of=10) for _ in range(queries)]
        approximate = [_ids(rng, rng.randrange(k), of=10) for _ in range(queries)]
        _compare(recall_at_k, approximate, exact, k)


@recall_at_k.edge(12)
def fewer_exact(recall_at_k, rng) -> None:
    """the exact list may be shorter than k"""
    _compare(recall_at_k, [["b", "x", "y"]], [["a", "b"]], 3, "there are only 2 to find, and 1 was found")
    for _ in range(TRIALS):
        k, queries = rng.randrange(3, 6), rng.randrange(1, 5)
        exact = [_ids(rng, rng.randrange(1, k), of=10) for _ in range(queries)]
        approximate = [_ids(rng, k, of=10) for _ in range(queries)]
        _compare(recall_at_k, approximate, exact, k)


@recall_at_k.edge(5)
def found_twice(recall_at_k) -> None:
    """an id that is found twice counts once"""
    approximate, exact = [["a", "a", "a", "a"], ["e", "f", "g", "h"]], [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    _compare(recall_at_k, approximate, exact, 4, "an id that was found four times counts once")


@recall_at_k.edge(6)
def lists_unchanged(recall_at_k, rng) -> None:
    """the lists are left unchanged"""
    lists = [[_ids(rng, 5, of=9) for _ in range(3)] for _ in range(2)]
    call(recall_at_k, *lists, 3)


def _ids(rng: random.Random, n: int, *, of: int) -> list[str]:
    """n different ids of `of`, in random order."""
    return [f"id{i}" for i in rng.sample(range(of), n)]


def _compare(recall_at_k: Callable, approximate: list[list], exact: list[list], k: int, why: str = "") -> None:
    """Raise `CheckFailed` unless the recall is right, for ids that are strings and for numbers."""
    numbers = {name: i for i, name in enumerate({name: 0 for ids in (*exact, *approximate) for name in ids})}
    for inputs in (
        (approximate, exact),
        [[[numbers[name] for name in ids] for ids in lists] for lists in (approximate, exact)],
    ):
        result = recall_at_k(*copy.deepcopy(inputs), k)
        expect(
            isinstance(result, Real) and not isinstance(result, bool),
            f"recall_at_k should return a float, but it returned {described(result)}.",
        )
        right = _recall(*inputs, k)
        if abs(result - right) < 1e-6:
            continue
        for mistake in _mistakes(*inputs, k):
            if abs(result - mistake.result()) < 1e-6:
                why = mistake.message
        raise CheckFailed(
            f"recall_at_k({inputs[0]}, {inputs[1]}, {k}) should be {right:.4g}{f' ({why})' if why else ''}, but it is "
            f"{result:.4g}."
        )


def _recall(approximate: Sequence[list], exact: Sequence[list], k: int) -> float:
    return _mean(len(set(a[:k]) & set(e[:k])) / len(e[:k]) for a, e in zip(approximate, exact, strict=True))


def _mistakes(approximate: Sequence[list], exact: Sequence[list], k: int) -> tuple[Mistake, ...]:
    pairs = list(zip(approximate, exact, strict=True))
    hits = [len(set(a[:k]) & set(e[:k])) for a, e in pairs]
    return (
        Mistake(
            "the order within the top k does not count",
            lambda: _mean(sum(x == y for x, y in zip(a, e, strict=False)) / len(e) for a, e in pairs),
        ),
        Mistake("take the mean over the queries, not the sum", lambda: sum(n / k for n in hits)),
        Mistake("count the share of each list, not whether anything was found", lambda: _mean(n > 0 for n in hits)),
        Mistake(
            "only the first k of the exact list count, too",
            lambda: _mean(len(set(a[:k]) & set(e)) / len(e) for a, e in pairs),
        ),
        Mistake(
            "only the first k of the approximate list count, too",
            lambda: _mean(len(set(a) & set(e[:k])) / len(e[:k]) for a, e in pairs),
        ),
        Mistake(
            "divide by the number of exact ids, not by the number of approximate ones",
            lambda: _mean(n / max(len(a[:k]), 1) for n, (a, _) in zip(hits, pairs, strict=True)),
        ),
        Mistake(
            "divide by the number of exact ids, which is less than k if the exact list is shorter",
            lambda: _mean(n / k for n in hits),
        ),
    )


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)
