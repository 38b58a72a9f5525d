"""`insert_prompts`: what is in the table afterwards, where all rows are good, and where some are bad."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_no_error, expect_raises
from helpers.checks.fakes import recorded_bars, scratch_table, stored_rows
from helpers.checks.nb05.rows import fresh_rows, same_direction, vectors_of
from helpers.checks.words import with_article
from helpers.collection import COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["insert_prompts"]

insert_prompts = Exercise("insert_prompts")


@dataclass
class Filled:
    """What a call of insert_prompts left: what it returned, the table, its inserts and progress bars.

    `taken` says how many rows had been taken from the generator at each insert.
    """

    returned: Any = None
    table: DataFrame | None = None
    inserts: list[str] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    bars: list = field(default_factory=list)


def _fill(insert_prompts, rows: Sequence[dict], batch_size: int) -> Filled:
    """Call insert_prompts with a generator of the rows and an empty table."""
    filled, taken = Filled(), 0

    def one_by_one() -> Iterator[dict]:
        nonlocal taken
        for row in rows:
            taken += 1
            yield dict(row)

    with scratch_table() as (client, table), recorded_bars() as filled.bars:
        client.at_insert = lambda: filled.taken.append(taken)
        filled.returned = insert_prompts(client, table, one_by_one(), batch_size=batch_size)
        filled.inserts = client.inserts
        filled.table = stored_rows(client, table)
    return filled


@insert_prompts.given
def rows(rng) -> list[dict]:
    """Good rows, whose ids and addresses have no digits: the number of a row is then the only one in a message."""
    letters = rng.sample("abcdefghijklm", 11)
    found = fresh_rows(11, rng)
    return [row | {"id": x * 3, "url": f"https://example.org/{x}.png"} for row, x in zip(found, letters, strict=True)]


@insert_prompts.given
def batch_size(rng) -> int:
    return rng.choice((3, 4))


@insert_prompts.given
def filled(insert_prompts, rows, batch_size) -> Filled:
    """What is left when all rows are good."""
    return _fill(insert_prompts, rows, batch_size)


@insert_prompts.given
def refusal(insert_prompts, rows) -> Iterator[Callable[..., str]]:
    """A function that calls insert_prompts with bad rows in the place of good ones; gives the text of the ValueError."""
    with scratch_table() as (client, table), recorded_bars():

        def refusal(bad: dict[int, dict], why: str, batch_size: int) -> str:
            return expect_raises(
                lambda: insert_prompts(client, table, iter(_mixed(rows, bad)), batch_size=batch_size),
                ValueError,
                f"rows of which row {min(bad)} is bad ({why})",
                instead="Whoever gave the rows would never learn of it.",
            )

        yield refusal


@insert_prompts.core(25)
def stores_rows(filled, rows) -> None:
    """all rows are stored, each with the vector of its prompt"""
    _expect_stored(filled.table, rows)


@insert_prompts.core(20)
def refuses_bad_rows(refusal, rows, batch_size, rng) -> None:
    """a ValueError where a key is missing, or a prompt is empty"""
    for name in COLUMNS:
        at = rng.randrange(11)
        without = {key: value for key, value in rows[at].items() if key != name}
        refusal({at: without}, f"it has no {name}", batch_size)
    at = rng.randrange(11)
    refusal({at: rows[at] | {"prompt": ""}}, "its prompt is empty", batch_size)


@insert_prompts.core(25)
def all_or_nothing(insert_prompts, rows, batch_size, rng) -> None:
    """nothing of a bad row's batch is stored, and all of the batches before it"""
    for at in (rng.randrange(batch_size + 1, 2 * batch_size), rng.randrange(2 * batch_size, 11)):
        kept = at // batch_size * batch_size
        with scratch_table() as (client, table), recorded_bars():
            try:
                insert_prompts(
                    client, table, iter(_mixed(rows, {at: rows[at] | {"prompt": ""}})), batch_size=batch_size
                )
            except NotImplementedError:
                raise
            except Exception as error:  # what it raises is another case's
                if not isinstance(error, ValueError) and not len(stored_rows(client, table)):
                    raise
            left = stored_rows(client, table)
        expect(
            len(left) == kept,
            f"Row {at} is bad, in batches of {batch_size}. Of the batches before it {kept} rows should be in the table "
            f"and nothing of its own, but there are {len(left)}. Look at all rows of a batch before you store any.",
        )
        _expect_stored(left, rows[:kept])


@insert_prompts.edge(4)
def texts(refusal, rows, batch_size, rng) -> None:
    """a ValueError where a prompt is blank, or a text isn't one"""
    for name, value in (
        ("prompt", "  "),
        ("prompt", "\n \t"),
        ("prompt", None),
        ("prompt", float("nan")),
        ("id", 7),
        ("url", None),
        ("source_site", float("nan")),
    ):
        at = rng.randrange(11)
        refusal({at: rows[at] | {name: value}}, f"its {name} is {value!r}", batch_size)


@insert_prompts.edge(4)
def sizes(refusal, rows, batch_size, rng) -> None:
    """a ValueError where a width or height isn't a whole number from 0 on"""
    for name, value in (("width", "wide"), ("height", -1), ("width", None), ("height", 127.5)):
        at = rng.randrange(11)
        refusal({at: rows[at] | {name: value}}, f"its {name} is {value!r}", batch_size)


@insert_prompts.edge(5)
def number_of_the_row(refusal, rows, rng) -> None:
    """the error names the first bad row by its number"""
    at = rng.choice((7, 8))
    for bad, batch_size in (({at: ""}, 3), ({4: "", 7: ""}, 4), ({4: "", 7: " "}, 9)):
        blank = {number: rows[number] | {"prompt": prompt} for number, prompt in bad.items()}
        said = refusal(blank, "its prompt is blank", batch_size)
        number, named = min(bad), set(map(int, re.findall(r"(?<![\d.])\d+", said)))
        expect(
            number in named,
            f"The ValueError should name the first bad row by its number, {number} (the first row is row 0, and they are "
            f"counted through all batches), but it says: {said[:150]!r}",
        )
        batch = number // batch_size * batch_size
        others = set(range(batch, min(batch + batch_size, 11))) - {number}
        expect(
            not others <= named,
            f"The ValueError should name the bad row, {number}, and not all rows of its batch, but it says: {said[:150]!r}",
        )


@insert_prompts.edge(3)
def what_is_wrong(refusal, rows, rng) -> None:
    """the error says what is wrong with the row"""
    at = rng.randrange(7, 11)
    without = {key: value for key, value in rows[at].items() if key != "url"}
    said = [
        refusal({at: bad}, why, 3)
        for bad, why in (
            (without, "it has no url"),
            (rows[at] | {"prompt": ""}, "its prompt is empty"),
            (rows[at] | {"width": -1}, "its width is -1"),
        )
    ]
    expect(
        len(set(said)) == 3,
        f"The ValueError should also say what is wrong with the row, but it says the same of different faults: {said[0][:150]!r}",
    )


@insert_prompts.edge(3)
def number_stored(insert_prompts, filled, rows) -> None:
    """the number of stored rows is returned, 0 where there are none"""
    for result, n in ((filled.returned, len(rows)), (_fill(insert_prompts, [], 3).returned, 0)):
        expect(
            type(result) is int and result == n,
            f"insert_prompts stored {n} rows, so it should return {n}, but it returned {result!r}.",
        )


@insert_prompts.edge(3)
def values_as_they_are(insert_prompts, rows) -> None:
    """spaces around a prompt, a size of 0 and numpy's whole numbers are fine"""
    import numpy as np

    given = [row | {"prompt": f" {row['prompt']} ", "width": 0, "height": np.int64(row["height"])} for row in rows[:6]]
    _expect_stored(_fill(insert_prompts, given, 3).table, given)


@insert_prompts.edge(2)
def keys_in_any_order(insert_prompts, rows) -> None:
    """the keys of a row may come in any order"""
    given = [dict(reversed(row.items())) for row in rows]
    with expect_no_error(
        Exception,  # such as the driver's for a text where the database wants a number
        lambda error: (
            f"Storing rows whose keys come in another order ends in {with_article(type(error).__name__)}: take each value "
            "by its name, row[name]."
        ),
    ):
        found = _fill(insert_prompts, given, 4).table
    _expect_stored(found, rows)


@insert_prompts.edge(2)
def one_insert_a_batch(filled, rows, batch_size) -> None:
    """one insert for each batch"""
    rounds = -(-len(rows) // batch_size)
    expect(bool(filled.inserts), "insert_prompts did not use the client that it was given.")
    expect(
        len(filled.inserts) == rounds,
        f"{len(rows)} rows in batches of {batch_size} are {rounds} inserts, but there were {len(filled.inserts)}. Send a "
        "whole batch at a time: each insert makes a new part on the disk.",
    )


@insert_prompts.edge(2)
def a_batch_at_a_time(filled, rows, batch_size) -> None:
    """no more than a batch or two is held in memory"""
    taken = filled.taken[0] if filled.taken else 0
    expect(
        taken <= 2 * batch_size,
        f"When the first batch of {batch_size} was to be stored, {taken} of {len(rows)} rows had been taken. Take a batch, "
        "store it, take the next: a large file does not fit into memory.",
    )


@insert_prompts.edge(2)
def progress_bar(filled) -> None:
    """there is a progress bar"""
    expect(bool(filled.bars), "There was no progress bar: use tqdm, which is imported above.")


def _mixed(rows: Sequence[dict], bad: dict[int, dict]) -> list[dict]:
    """Good rows with bad ones in their place, by number."""
    return [bad.get(i, row) for i, row in enumerate(rows)]


def _expect_stored(found: DataFrame, rows: Sequence[dict]) -> None:
    """Raise `CheckFailed` unless the table holds these rows, each with a vector that points where its prompt's does."""
    import numpy as np

    expect(len(found) == len(rows), f"{len(rows)} rows were to be stored, but {len(found)} are in the table.")
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: row["id"])
    for column in COLUMNS:
        expect(
            found[column].tolist() == [row[column] for row in ordered],
            f"The column {column} does not hold what the rows say. Take each value by its name, row[name], and leave it as "
            "it is.",
        )
    expect(
        bool(same_direction(np.stack(found["prompt_vector"]), vectors_of(ordered)).all()),
        "A row's prompt_vector is not CLIP's vector of its prompt.",
    )
