"""`fuse`: reciprocal rank fusion, on rankings for which every known mistake gives another order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, expect_type

__all__ = ["fuse"]

TRIALS = 4
"""The number of random inputs for each case."""
TRIES = 5000
"""How often to draw rankings until they are of the kind that a case needs."""

fuse = Exercise("fuse")


@fuse.core(40)
def two_rankings(fuse, rng) -> None:
    """two rankings, by the sum of 1 / (60 + rank)"""
    for _ in range(TRIALS):
        _compare(fuse, _drawn(rng, 2, rng.randrange(5, 8)))


@fuse.core(30)
def more_rankings(fuse, rng) -> None:
    """one, three or four rankings, with ids that are not in all of them"""
    _compare(fuse, [["c", "a", "b"]])
    for queries in (3, 4, 3, 4):
        _compare(fuse, _drawn(rng, queries, rng.randrange(4, 7)))


@fuse.edge(8)
def other_k(fuse, rng) -> None:
    """another k"""
    for k, others in ((1, (0, 60)), (5, (60,))):
        rankings = _until(
            lambda: _rankings(rng, 3, 6),
            lambda rankings, k=k, others=others: (
                not _has_ties(rankings, k) and all(_fused(rankings, k) != _fused(rankings, other) for other in others)
            ),
        )
        _compare(fuse, rankings, k)


@fuse.edge(8)
def ties(fuse, rng) -> None:
    """equal scores in the order in which the ids appear first"""
    for _ in range(TRIALS):
        a, b, *others = _ids(rng, 6)
        _compare(fuse, [[a, b, *others[:2]], [b, a, *others[2:]]])


@fuse.edge(5)
def ties_of_fractions(fuse, rng) -> None:
    """scores that are equal as fractions, but not as floats"""
    for k in (60, 10):
        rankings = _until(
            lambda: [_ids(rng, 3, of=3) for _ in range(4)],
            lambda rankings, k=k: _fused(rankings, k, number=float) != _fused(rankings, k),
        )
        _compare(fuse, rankings, k)


@fuse.edge(5)
def found_twice(fuse, rng) -> None:
    """an id that is twice in a ranking counts at its first rank"""
    for _ in range(TRIALS):
        rankings = _until(
            lambda: [rng.choices("pqrs", k=6), _ids(rng, 4)],
            lambda rankings: _fused(rankings, 60) != _fused(rankings, 60, again=True),
        )
        _compare(fuse, rankings)


@fuse.edge(2)
def nothing_found(fuse) -> None:
    """rankings that are empty, and none at all"""
    _compare(fuse, [[], ["b", "a"], []])
    _compare(fuse, [])


@fuse.edge(2)
def rankings_unchanged(fuse, rng) -> None:
    """the rankings are left unchanged"""
    call(fuse, _rankings(rng, 2, 5))


def _ids(rng: random.Random, n: int, *, of: int = 9) -> list[str]:
    """n different ids in random order, so that the order of the alphabet is not the right one."""
    return [f"id{i}" for i in rng.sample(range(of), n)]


def _rankings(rng: random.Random, queries: int, n: int) -> list[list[str]]:
    return [_ids(rng, n) for _ in range(queries)]


def _drawn(rng: random.Random, queries: int, n: int) -> list[list[str]]:
    """Rankings without ties for which each known mistake gives another order."""
    return _until(
        lambda: _rankings(rng, queries, n),
        lambda rankings: (
            not _has_ties(rankings, 60) and all(m.result() != _fused(rankings, 60) for m in _mistakes(rankings, 60))
        ),
    )


def _until(draw: Callable[[], list], suits: Callable[[list], bool]) -> list:
    """Draw until one suits."""
    return next(drawn for drawn in (draw() for _ in range(TRIES)) if suits(drawn))


def _compare(fuse: Callable, rankings: list[list[str]], k: int = 60) -> None:
    """Raise `CheckFailed` unless the order is right; a known mistake is named."""
    result = fuse([list(ranking) for ranking in rankings], **({} if k == 60 else {"k": k}))
    asked = f"fuse({rankings}{'' if k == 60 else f', k={k}'})"
    expect_type(result, list, f"What {asked} returns")
    right = _fused(rankings, k)
    if result == right:
        return
    twice = [each for i, each in enumerate(result) if each in result[:i]]
    if twice:
        raise CheckFailed(f"{asked} returned {result}: {twice[0]} is in it twice. Each id comes once.")
    missing = [each for each in right if each not in result]
    if missing:
        raise CheckFailed(
            f"{asked} should have all ids of all rankings, but {missing[0]} is missing. An id that only one ranking has counts, "
            "too."
        )
    from_0 = Mistake("These are ranks from 0, but the first has rank 1.", lambda: _fused(rankings, k - 1))
    why = next((mistake.message for mistake in (from_0, *_mistakes(rankings, k)) if result == mistake.result()), "")
    raise CheckFailed(f"{asked} should be {right}, but it is {result}.{f' {why}' if why else ''}")


def _fused(rankings: Sequence[list], k: int, **how) -> list:
    """The ids by their scores, the highest first."""
    scores = _scores(rankings, k, **how)
    return sorted(scores, key=scores.get, reverse=True)


def _has_ties(rankings: Sequence[list], k: int) -> bool:
    scores = _scores(rankings, k)
    return len({*scores.values()}) < len(scores)


def _scores(rankings: Sequence[list], k: int, *, number: type = Fraction, again: bool = False) -> dict:
    """Each id's sum of 1 / (k + rank), summed as `number`; `again` counts an id at each of its ranks."""
    scores: dict = {}
    for ranking in rankings:
        for rank, each in enumerate(ranking, start=1):
            if again or each not in ranking[: rank - 1]:
                scores[each] = scores.get(each, 0) + number(1) / (k + rank)
    return scores


def _first_seen(rankings: Sequence[list]) -> list:
    return list(dict.fromkeys(each for ranking in rankings for each in ranking))


def _by(rankings: Sequence[list], score: Callable[[list[int]], float]) -> list:
    """The ids by a score of the ranks that they have, the highest first."""
    ranks = {each: [r.index(each) + 1 for r in rankings if each in r] for each in _first_seen(rankings)}
    return sorted(ranks, key=lambda each: score(ranks[each]), reverse=True)


def _mistakes(rankings: Sequence[list], k: int) -> tuple[Mistake, ...]:
    """The mistakes that give another order; one ranking alone has few."""
    longest = max(map(len, rankings), default=0)
    several = (
        Mistake(
            "The k is missing: the score is the sum of 1 / (k + rank).",
            lambda: _by(rankings, lambda r: sum(1 / x for x in r)),
        ),
        Mistake(
            "This is the order of the best rank of each id. Add up 1 / (k + rank) over the rankings.",
            lambda: _by(rankings, lambda ranks: -min(ranks)),
        ),
        Mistake(
            "This is the order of the mean rank. Add up 1 / (k + rank) instead.",
            lambda: _by(rankings, lambda ranks: -sum(ranks) / len(ranks)),
        ),
        Mistake("These are the rankings one after the other. Add up scores.", lambda: _first_seen(rankings)),
        Mistake(
            "These are the rankings dealt out in turn. Add up scores.",
            lambda: _first_seen([[r[i] for r in rankings if i < len(r)] for i in range(longest)]),
        ),
        Mistake(
            "The ranks are added up, so an id that is in only one ranking wins. Add up 1 / (k + rank).",
            lambda: _by(rankings, lambda ranks: -sum(ranks)),
        ),
    )
    worst_first = Mistake("The worst came first: sort with the highest score first.", lambda: _fused(rankings, k)[::-1])
    return (worst_first, *several) if len(rankings) > 1 else (worst_first,)
