"""`rerank`: the order by agreement with a fake model's description, on candidates made one change at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from helpers.agreement import facts_of
from helpers.checks.cases import Exercise
from helpers.checks.elsewhere import with_changes
from helpers.checks.expect import CheckFailed, Mistake, expect, expect_no_mistake
from helpers.checks.nb05.rows import expect_frame
from helpers.checks.samples import random_drawing
from helpers.checks.words import described

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL import Image

    from helpers.picturebook import Scene

__all__ = ["rerank"]

rerank = Exercise("rerank")


@rerank.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, 64)


@rerank.core(40)
def by_agreement(rerank, picture, rng) -> None:
    """the prompts whose facts agree best with the description come first"""
    for _ in range(3):
        candidates, said = _situation(rng)
        _compare(rerank, candidates, picture, said)


@rerank.core(25)
def facts_of_one_side(rerank, picture, rng) -> None:
    """facts that only the prompt has, or only the description, count against it"""
    for _ in range(2):
        cat, house = _two_things(rng)
        both = replace(cat, things=(*cat.things, *house.things), relation="left of")
        swapped = replace(
            both,
            things=tuple(
                replace(thing, colour=other.colour) for thing, other in zip(both.things, both.things[::-1], strict=True)
            ),
        )
        for scene in (both, cat):
            others = [_worded(each, rng) for each in (both, swapped, cat, house) if each != scene]
            farthest = [*rng.sample(others, 3), _worded(scene, rng)]
            _compare(rerank, _candidates(farthest, rng, shuffled=False), picture, _worded(scene, rng))


@rerank.edge(12)
def ties(rerank, picture, rng) -> None:
    """of prompts that agree equally well, the nearer one comes first"""
    scene = _one_thing(rng)
    close, far = _farther_and_farther(scene, rng)[1:3]
    prompts = [_worded(each, rng) for each in (close, far, close, far, close, far)]
    _compare(rerank, _candidates(prompts, rng)[::-1], picture, _worded(scene, rng))


@rerank.edge(4)
def ties_of_distances(rerank, picture, rng) -> None:
    """of prompts with the same agreement and distance, the one that was first stays first"""
    scene = _one_thing(rng)
    candidates = _candidates([_worded(scene, rng) for _ in range(20)], rng)
    _compare(rerank, candidates.assign(dist=0.25), picture, _worded(scene, rng))


@rerank.edge(8)
def described_once(rerank, picture, rng) -> None:
    """describe is called once, with the picture"""
    candidates, said = _situation(rng)
    asked: list = []
    rerank(candidates, picture, describe=_describing(said, asked))
    expect(
        len(asked) == 1,
        f"describe should be called once, but it was called {len(asked)} times for {len(candidates)} candidates. A model that looks "
        "at a picture is slow: call it before the loop, and keep what it returns.",
    )
    expect(asked[0] is picture, f"describe should get the picture, but it got {described(asked[0])}.")


@rerank.edge(5)
def candidates_unchanged(rerank, picture, rng) -> None:
    """the candidates are left unchanged"""
    candidates, said = _situation(rng)
    before = candidates.copy(deep=True)
    with with_changes():
        rerank(candidates, picture, describe=_describing(said, []))
    expect(
        candidates.equals(before) and list(candidates.columns) == list(before.columns),
        "rerank changed the candidates that it was given. Make a new DataFrame: candidates.assign(…) and sort_values(…) "
        "return one.",
    )


@rerank.edge(4)
def rows_and_columns(rerank, picture, rng) -> None:
    """a DataFrame with the candidates' rows and columns"""
    candidates, said = _situation(rng)
    columns = list(candidates.columns)
    found = rerank(candidates, picture, describe=_describing(said, []))
    expect_frame(found, "rerank")
    expect(
        list(found.columns) == columns,
        f"The columns should be those of the candidates, {', '.join(columns)}, but they are "
        f"{', '.join(map(str, found.columns))}.",
    )
    own = {row.prompt: (row.url, row.dist) for row in candidates.itertuples()}
    for row in found.itertuples():
        expect(
            own.get(row.prompt) == (row.url, row.dist),
            f"The row of {row.prompt!r} has the url or the distance of another prompt: move whole rows.",
        )


@rerank.edge(2)
def no_candidates(rerank, picture, rng) -> None:
    """no candidates give an empty DataFrame"""
    found = rerank(_candidates([], rng), picture, describe=_describing("a red cat, at night", []))
    expect_frame(found, "rerank")
    expect(len(found) == 0, f"Without candidates there should be no rows, but there are {len(found)}.")


# -- the inputs


def _situation(rng: random.Random) -> tuple[DataFrame, str]:
    """Candidates farther and farther from a scene, and what a model says about its picture."""
    scene = _one_thing(rng)
    said = _worded(scene, rng)
    return _candidates([_worded(each, rng) for each in _farther_and_farther(scene, rng)], rng), said


def _one_thing(rng: random.Random) -> Scene:
    """A scene of one thing in the plain style, at a place that is one fact: not on a road at sunset, which is two."""
    from helpers.picturebook import COLOURS, KINDS, SIZES, Scene, Thing

    return Scene((Thing(rng.choice(KINDS), rng.choice(COLOURS), rng.choice(SIZES)),), rng.choice(_places()))


def _places() -> list[str]:
    from helpers.picturebook import PLACES

    return [place for place in PLACES if " " not in place]


def _two_things(rng: random.Random) -> tuple[Scene, Scene]:
    """Two scenes at one place, each with a thing of another kind, colour and size."""
    from helpers.picturebook import COLOURS, KINDS, Scene, Thing

    kinds, colours, place = rng.sample(KINDS, 2), rng.sample(COLOURS, 2), rng.choice(_places())
    things = [Thing(*each) for each in zip(kinds, colours, ("small", "large"), strict=True)]
    return Scene((things[0],), place), Scene((things[1],), place)


def _farther_and_farther(scene: Scene, rng: random.Random) -> list[Scene]:
    """The scene of one thing, and five that differ from it in one fact, two facts, and so on."""
    from helpers.picturebook import COLOURS, KINDS, SIZES

    def another(values: Sequence[str], than: str) -> str:
        return rng.choice([value for value in values if value != than])

    (thing,) = scene.things
    place, colour = another(_places(), scene.place), another(COLOURS, thing.colour)
    size, kind = another(SIZES, thing.size), another(KINDS, thing.kind)
    return [
        scene,
        replace(scene, place=place),
        replace(scene, place=place, things=(replace(thing, colour=colour),)),
        replace(scene, place=place, things=(replace(thing, colour=colour, size=size),)),
        replace(scene, things=(replace(thing, kind=kind),)),
        replace(scene, place=place, things=(replace(thing, kind=kind),)),
    ]


def _worded(scene: Scene, rng: random.Random) -> str:
    from helpers.picturebook import describe

    return describe(scene, rng)


def _candidates(prompts: Sequence[str], rng: random.Random, *, shuffled: bool = True) -> DataFrame:
    """A DataFrame as a search returns it, with these prompts, in random order or the first one nearest."""
    import pandas as pd

    prompts = rng.sample(list(prompts), len(prompts)) if shuffled else list(prompts)
    dist = sorted(rng.sample(range(100, 500), len(prompts)))
    urls = [f"https://example.org/{rng.getrandbits(30):x}.png" for _ in prompts]
    candidates = pd.DataFrame({"prompt": prompts, "url": urls, "dist": [each / 1000 for each in dist]})
    return candidates.astype({"dist": float})


def _describing(text: str, asked: list) -> Callable:
    """A function that returns this text for every picture, and keeps the pictures."""

    def describe(image):
        asked.append(image)
        return text

    return describe


# -- the verdict


def _compare(rerank: Callable, candidates: DataFrame, picture: Image.Image, said: str) -> None:
    """Raise `CheckFailed` unless the rows are in the order of their agreement; a known mistake is named."""
    found = rerank(candidates.copy(), picture, describe=_describing(said, []))
    expect_frame(found, "rerank")
    expect("url" in found.columns, "rerank returned no column url: keep the candidates' columns.")
    order = list(found["url"])
    right = _order(candidates, said, _agreement)
    if order == right:
        return
    expect(
        sorted(order) == sorted(right),
        f"rerank should return all {len(right)} candidates in a new order, each once, but it returned {len(order)} rows.",
    )
    expect_no_mistake(_mistakes(candidates, said), lambda other: order == other)
    prompts = dict(zip(candidates["url"], candidates["prompt"], strict=True))
    raise CheckFailed(
        f"For the description {said!r}, the prompts should come in the order {[prompts[url] for url in right]}, but the order is "
        f"{[prompts[url] for url in order]}."
    )


def _agreement(prompt: set, said: set) -> float:
    return len(prompt & said) / max(len(prompt | said), 1)


def _order(candidates: DataFrame, said: str, score: Callable[[set, set], float], *, nearest: bool = True) -> list[str]:
    """The urls by a score of the facts of prompt and description, the highest first."""
    told = facts_of(said)
    rows = sorted(candidates.itertuples(), key=lambda row: row.dist if nearest else 0)
    return [row.url for row in sorted(rows, key=lambda row: score(facts_of(row.prompt), told), reverse=True)]


def _mistakes(candidates: DataFrame, said: str) -> tuple[Mistake, ...]:
    return (
        Mistake(
            "The rows are in the order of their distances, as before. Sort them by agreement.",
            lambda: _order(candidates, said, lambda prompt, told: 0),
        ),
        Mistake(
            "The prompt that agrees least came first. Sort with the highest agreement first.",
            lambda: _order(candidates, said, lambda prompt, told: -_agreement(prompt, told)),
        ),
        Mistake(
            "The number of shared facts was not divided by the number of all facts that either text has, so a longer prompt "
            "wins.",
            lambda: _order(candidates, said, lambda prompt, told: len(prompt & told)),
        ),
        Mistake(
            "The number of shared facts was divided by the number of the prompt's facts, so a prompt that says little wins. "
            "Divide by the number of facts in either text, len(a | b).",
            lambda: _order(candidates, said, lambda prompt, told: len(prompt & told) / max(len(prompt), 1)),
        ),
        Mistake(
            "Prompts that agree equally well should be in the order of their distances, the nearer one first.",
            lambda: _order(candidates, said, _agreement, nearest=False),
        ),
    )
