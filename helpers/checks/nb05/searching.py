"""`search_by_text`, `search_by_image` and `search_or_none`: compared with distances computed by numpy.

The first two have the same cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, Mistake, expect, expect_no_mistake
from helpers.checks.fakes import RecordingClient, scratch_table, stored_rows
from helpers.checks.nb05.rows import TOLERANCE, expect_frame, fresh_rows, vectors_of
from helpers.checks.samples import random_drawing, random_prompt
from helpers.checks.words import described, name_of

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

__all__ = ["search_by_image", "search_by_text", "search_or_none"]

search_by_text = Exercise("search_by_text")
search_by_image = Exercise("search_by_image")
search_or_none = Exercise("search_or_none")

ABSENT = ("a cathedral full of dragons", "a violin on a stage", "a bowl of spaghetti", "two knights in a castle")
"""Ideas that are in no prompt of the picture-book world."""


def _ideas(rng) -> list[str]:
    return [random_prompt(rng, detail=0.5) for _ in range(3)]


def _pictures(rows, rng) -> list:
    from helpers.picturebook import draw, parse

    pictures = [draw(parse(row["prompt"]), size=128) for row in rng.sample(rows, 2)]
    return [*pictures, random_drawing(rng, 200)]


search_by_text.givens |= {"search": lambda search_by_text: search_by_text, "queries": _ideas}
search_by_image.givens |= {"search": lambda search_by_image: search_by_image, "queries": _pictures}
search_or_none.givens |= {"queries": _ideas}


@search_by_text.given
@search_by_image.given
@search_or_none.given
def rows(rng) -> list[dict]:
    return fresh_rows(20, rng)


@dataclass
class Table:
    """A filled table, and the client to query it with."""

    client: RecordingClient
    name: str
    rows: list[dict]
    vectors: np.ndarray

    def distances(self, query) -> dict[str, float]:
        """Return the cosine distance of each prompt to a text or a picture."""
        from helpers import clip

        (target,) = clip.embed_texts([query]) if isinstance(query, str) else clip.embed_images([query])
        return dict(zip([row["prompt"] for row in self.rows], (1 - self.vectors @ target).tolist(), strict=True))


@search_by_text.given
@search_by_image.given
@search_or_none.given
def table(rows) -> Iterator[Table]:
    vectors = vectors_of(rows)
    with scratch_table(rows, vectors) as (client, name):
        yield Table(client, name, rows, vectors)


@search_by_text.core(40)
@search_by_image.core(40)
def nearest_first(search, table, queries, rng) -> None:
    """the k nearest prompts, the nearest first"""
    for query, k in zip(queries, rng.sample(range(1, 12), len(queries)), strict=True):
        before = len(table.client.statements)
        found = search(table.client, table.name, query, k=k)
        expect(len(table.client.statements) > before, f"{name_of(search)} did not use the client that it was given.")
        _expect_nearest(found, table, query, k)


@search_by_text.core(20)
@search_by_image.core(25)
def cosine_distances(search, table, queries) -> None:
    """dist is the cosine distance"""
    for query in queries:
        found = _expect_columns(search(table.client, table.name, query), ("dist",))
        _expect_distances(found["dist"], sorted(table.distances(query).values()), _words(query, 5))


@search_by_text.edge(8)
@search_by_image.edge(8)
def data_frame(search, table, queries) -> None:
    """a DataFrame with the columns prompt, url and dist"""
    found = expect_frame(
        search(table.client, table.name, queries[0], k=4), "The search", "client.query_df returns one."
    )
    expect(
        list(found.columns) == ["prompt", "url", "dist"],
        f"The columns should be prompt, url and dist, but they are {', '.join(map(str, found.columns))}.",
    )
    urls = {row["prompt"]: row["url"] for row in table.rows}
    for prompt, url in zip(found["prompt"], found["url"], strict=True):
        expect(urls.get(prompt) == url, f"The row of {prompt!r} has the url of another prompt.")


@search_by_text.edge(20)
@search_by_image.edge(12)
def bound_parameters(search, table, queries) -> None:
    """the vector and k are parameters: the SQL is the same for each search"""
    texts = []
    for query, k in ((queries[0], 3), (queries[1], 7)):
        before = len(table.client.statements)
        search(table.client, table.name, query, k=k)
        texts.append(table.client.statements[before:])
    expect(bool(texts[0]), f"{name_of(search)} did not use the client that it was given.")
    expect(
        not any(re.search(r"\d\.\d+(e-?\d+)?\s*,\s*-?\d\.\d+", sql) for sql in texts[0]),
        "The vector's numbers are written into the SQL. Bind them: write {emb:Array(Float32)} in the SQL, and pass "
        'parameters={"emb": vector.tolist()}.',
    )
    expect(
        texts[0] == texts[1],
        "The SQL changes with the query or with k. Values belong in parameters: write {k:UInt32} in the SQL, and pass "
        'parameters={"k": k}.',
    )


@search_by_text.edge(7)
@search_by_image.edge(7)
def rows_from_the_database(search, table, queries) -> None:
    """the database sorts and limits the rows: it sends only k of them"""
    table.client.most_rows = 0
    search(table.client, table.name, queries[1], k=3)
    expect(
        table.client.most_rows <= 3,
        f"The database sent {table.client.most_rows} rows for k = 3. Let it sort and limit them, with ORDER BY and LIMIT: of "
        "900,000 rows it should send only k.",
    )


@search_by_text.edge(5)
def any_text(search_by_text, table, rng) -> None:
    """any text and any k, and the table is left unchanged"""
    drop = f"'); DROP TABLE `{table.name}`; --"
    for query, k in (('it\'s \\ "strange"', 6), (drop, 4), (rng.choice(table.rows)["prompt"], 40)):
        _expect_nearest(search_by_text(table.client, table.name, query, k=k), table, query, k)
    expect(len(stored_rows(table.client, table.name)) == len(table.rows), "The search changed the table.")


@search_by_image.edge(8)
def any_picture(search_by_image, table, queries) -> None:
    """RGBA, greyscale (L) and palette (P) pictures, and any k"""
    for mode, k in (("RGBA", 4), ("L", 2), ("P", 40)):
        picture = queries[0].convert(mode)
        _expect_nearest(search_by_image(table.client, table.name, picture, k=k), table, picture, k)


# -- search_or_none


@search_or_none.core(35)
def near_enough(search_or_none, table, queries, rng) -> None:
    """the k nearest prompts, if the nearest is near enough"""
    for query, k in zip(queries, rng.sample(range(2, 9), len(queries)), strict=True):
        threshold = max(table.distances(query).values()) + 0.01
        found = search_or_none(table.client, table.name, query, k=k, threshold=threshold)
        _expect_something(found, table, query, threshold)
        _expect_nearest(found, table, query, k)


@search_or_none.core(30)
def too_far(search_or_none, table, rng) -> None:
    """nothing, if the nearest is farther than the threshold"""
    for query in rng.sample(ABSENT, 2):
        nearest = min(table.distances(query).values())
        threshold = nearest - 0.05
        found = _expect_frame(search_or_none(table.client, table.name, query, threshold=threshold))
        expect(
            len(found) == 0,
            f"The nearest prompt to {query!r} is at {nearest:.3f}, farther than threshold={threshold:.3f}, so nothing should be "
            f"found, but there are {len(found)} rows.",
        )


@search_or_none.edge(12)
def only_the_nearest_decides(search_or_none, table, queries) -> None:
    """rows that are farther than the threshold stay, if the nearest is not"""
    for query in queries:
        first, second, *_ = sorted(table.distances(query).values())
        found = search_or_none(table.client, table.name, query, k=4, threshold=(first + second) / 2)
        _expect_something(found, table, query, (first + second) / 2)
        expect(
            len(found) == 4,
            f"The nearest prompt to {query!r} is near enough, so all k = 4 rows should be found, but there are {len(found)}. Only "
            "the nearest one decides; the others may be farther than the threshold.",
        )


@search_or_none.edge(8)
def columns_of_nothing(search_or_none, table, rng) -> None:
    """an empty DataFrame has the columns prompt, url and dist, too"""
    found = _expect_frame(search_or_none(table.client, table.name, rng.choice(ABSENT), threshold=-1.0))
    expect(len(found) == 0, f"With threshold=-1.0 nothing should be found, but there are {len(found)} rows.")
    expect(
        list(found.columns) == ["prompt", "url", "dist"],
        "An empty DataFrame should have the columns prompt, url and dist, too, so that found.prompt works, but its columns are "
        f"{', '.join(map(str, found.columns)) or 'missing'}. found.iloc[:0] keeps them.",
    )


@search_or_none.edge(5)
def at_the_threshold(search_or_none, table, queries) -> None:
    """a nearest prompt that is exactly at the threshold is found"""
    found = _expect_columns(search_or_none(table.client, table.name, queries[0], k=2, threshold=3.0), ("dist",))
    expect(len(found) == 2, f"With threshold=3.0 two rows should be found for k = 2, but there are {len(found)}.")
    nearest = float(found["dist"].iloc[0])
    again = search_or_none(table.client, table.name, queries[0], k=2, threshold=nearest)
    expect(
        len(_expect_frame(again)) == 2,
        "The nearest prompt is exactly at the threshold, which is not farther, so it should be found: compare with <=.",
    )


@search_or_none.edge(5)
def five_without_k(search_or_none, table, queries) -> None:
    """five rows for a search without k"""
    found = _expect_frame(search_or_none(table.client, table.name, queries[1], threshold=3.0))
    expect(len(found) == 5, f"For a search without k, there should be 5 rows, but there are {len(found)}.")


@search_or_none.edge(5)
def empty_table(search_or_none, queries) -> None:
    """nothing in an empty table"""
    with scratch_table() as (client, name):
        found = _expect_frame(search_or_none(client, name, queries[0], threshold=0.5))
    expect(len(found) == 0, f"In an empty table nothing should be found, but there are {len(found)} rows.")


# -- the verdict


def _expect_frame(found: Any) -> DataFrame:
    return expect_frame(found, "search_or_none", "If nothing is near enough, return an empty one.")


def _expect_something(found: Any, table: Table, query: str, threshold: float) -> None:
    nearest = min(table.distances(query).values())
    expect(
        len(_expect_frame(found)) > 0,
        f"The nearest prompt to {query!r} is at {nearest:.3f}, not farther than threshold={threshold:.3f}, so it should be "
        "found, but there are no rows.",
    )


def _words(query, k: int) -> str:
    """ "the query 'a cat' and k = 3"."""
    what = f"the query {query!r}" if isinstance(query, str) else f"a picture of mode {query.mode}"
    return f"{what} and k = {k}"


def _expect_columns(found: Any, names: Sequence[str]) -> DataFrame:
    """What was found as a DataFrame with these columns; a list of rows will do: another case checks the type."""
    import pandas as pd

    if isinstance(found, (list, tuple)) and found and all(len(row) == 3 for row in found if hasattr(row, "__len__")):
        made = pd.DataFrame(list(found))
        found = made if isinstance(found[0], dict) else made.set_axis(["prompt", "url", "dist"], axis=1)
    expect_frame(found, "The search", "client.query_df returns one.")
    for name in names:
        expect(name in found.columns or not len(found), f"The search returned no column {name}.")
    return found.reindex(columns=list(names))


def _expect_nearest(found: Any, table: Table, query, k: int) -> None:
    """Raise `CheckFailed` unless the prompts of the k nearest rows were found, nearest first."""
    what, own = _words(query, k), table.distances(query)
    found = _expect_columns(found, ("prompt",))
    ranked, n = sorted(own.values()), min(k, len(own))
    expect(len(found) == n, f"For {what}, there should be {n} rows, but there are {len(found)}.")
    strange = [prompt for prompt in found["prompt"] if prompt not in own]
    expect(not strange, f"For {what}, the result has prompts that are not in the table that the function was given.")
    distances = [own[prompt] for prompt in found["prompt"]]
    if _close(distances, ranked[:n]) and found["prompt"].is_unique:
        return
    if _close(distances, ranked[::-1][:n]):
        raise CheckFailed(
            f"For {what}, the farthest came first. The smaller the distance, the better: ORDER BY dist, without DESC."
        )
    raise CheckFailed(
        f"For {what}, the distances of the prompts found should be {_listed(ranked[:n])}, but they are "
        f"{_listed(distances)}. ORDER BY puts the nearest first, LIMIT keeps the first k."
    )


def _expect_distances(dist: Iterable, ranked: list[float], what: str) -> None:
    """Raise `CheckFailed` unless these are the five smallest cosine distances; a known mistake is named."""
    import numpy as np

    expect(len(dist) == 5, f"For a search without k, there should be 5 rows, but there are {len(dist)}.")
    try:
        dist = np.asarray(dist, dtype=float)
    except (TypeError, ValueError):
        raise CheckFailed(f"The column dist should hold numbers, but the first is {described(dist.iloc[0])}.") from None
    right = np.array(ranked[:5])
    if _close(dist, right):
        return
    mistakes = (
        Mistake(
            "dist holds the cosine similarity, which is 1 for the same direction. The distance is 1 minus that.",
            lambda: 1 - right,
        ),
        Mistake(
            "dist holds the negative cosine similarity. The distance is 1 minus the similarity.", lambda: right - 1
        ),
        Mistake("dist holds the Euclidean (L2) distance. Use cosineDistance.", lambda: np.sqrt(2 * right)),
        Mistake("dist holds the squared L2 distance. Use cosineDistance.", lambda: 2 * right),
        Mistake("The farthest came first. The smaller the distance, the better: no DESC.", lambda: ranked[::-1][:5]),
    )
    expect_no_mistake(mistakes, lambda other: _close(dist, other))
    raise CheckFailed(f"For {what}, dist should be {_listed(right)}, but it is {_listed(dist)}.")


def _close(a: Sequence[float], b: Sequence[float]) -> bool:
    import numpy as np

    return len(a) == len(b) and bool(np.allclose(a, b, rtol=0, atol=TOLERANCE))


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.3f}" for number in numbers)
