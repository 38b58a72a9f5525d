"""`insert_prompts`: what is in the table afterwards if all rows are good, and if some are bad."""

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
    """The result of a call of insert_prompts: what it returned, the table, its inserts and progress bars.

    `taken` is the number of rows that had been read from the generator at each insert.
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
    """Good rows whose ids and urls have no digits, so that a row's number is the only number in a message."""
    letters = rng.sample("abcdefghijklm", 11)
    found = fresh_rows(11, rng)
    return [row | {"id": x * 3, "url": f"https://example.org/{x}.png"} for row, x in zip(found, letters, strict=True)]


@insert_prompts.given
def batch_size(rng) -> int:
    return rng.choice((3, 4))


@insert_prompts.given
def filled(insert_prompts, rows, batch_size) -> Filled:
    """The result if all rows are good."""
    return _fill(insert_prompts, rows, batch_size)


@insert_prompts.given
def error_for(insert_prompts, rows) -> Iterator[Callable[..., str]]:
    """A function that calls insert_prompts with bad rows instead of good ones; it returns the ValueError's message."""
    with scratch_table() as (client, table), recorded_bars():

        def error_for(bad: dict[int, dict], why: str, batch_size: int) -> str:
            return expect_raises(
                lambda: insert_prompts(client, table, iter(_mixed(rows, bad)), batch_size=batch_size),
                ValueError,
                f"rows of which row {min(bad)} is bad ({why})",
                hint="Otherwise the caller would never know.",
            )

        yield error_for


@insert_prompts.core(25)
def stored_table(filled, rows) -> None:
    """all rows are stored, each with the vector of its prompt"""
    _expect_stored(filled.table, rows)


@insert_prompts.core(20)
def bad_rows(error_for, rows, batch_size, rng) -> None:
    """a ValueError if a key is missing, or a prompt is empty"""
    for name in COLUMNS:
        at = rng.randrange(11)
        without = {key: value for key, value in rows[at].items() if key != name}
        error_for({at: without}, f"it has no {name}", batch_size)
    at = rng.randrange(11)
    error_for({at: rows[at] | {"prompt": ""}}, "its prompt is empty", batch_size)


@insert_prompts.core(25)
def all_or_nothing(insert_prompts, rows, batch_size, rng) -> None:
    """nothing of a bad row's batch is stored, but all batches before it are"""
    for at in (rng.randrange(batch_size + 1, 2 * batch_size), rng.randrange(2 * batch_size, 11)):
        kept = at // batch_size * batch_size
        with scratch_table() as (client, table), recorded_bars():
            try:
                insert_prompts(
                    client, table, iter(_mixed(rows, {at: rows[at] | {"prompt": ""}})), batch_size=batch_size
                )
            except NotImplementedError:
                raise
            except Exception as error:  # another case checks which error it is
                if not isinstance(error, ValueError) and not len(stored_rows(client, table)):
                    raise
            left = stored_rows(client, table)
        expect(
            len(left) == kept,
            f"Row {at} is bad, in batches of {batch_size}. The {kept} rows of the batches before it should be in the table, "
            f"and none of its own batch, but there are {len(left)} rows. Check all rows of a batch before you store any.",
        )
        _expect_stored(left, rows[:kept])


@insert_prompts.edge(4)
def texts(error_for, rows, batch_size, rng) -> None:
    """a ValueError if a prompt is blank, or a text is not a string"""
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
        error_for({at: rows[at] | {name: value}}, f"its {name} is {value!r}", batch_size)


@insert_prompts.edge(4)
def sizes(error_for, rows, batch_size, rng) -> None:
    """a ValueError if a width or height is not a whole number, 0 or more"""
    for name, value in (("width", "wide"), ("height", -1), ("width", None), ("height", 127.5)):
        at = rng.randrange(11)
        error_for({at: rows[at] | {name: value}}, f"its {name} is {value!r}", batch_size)


@insert_prompts.edge(5)
def number_of_the_row(error_for, rows, rng) -> None:
    """the error names the first bad row by its number"""
    at = rng.choice((7, 8))
    for bad, batch_size in (({at: ""}, 3), ({4: "", 7: ""}, 4), ({4: "", 7: " "}, 9)):
        blank = {number: rows[number] | {"prompt": prompt} for number, prompt in bad.items()}
        message = error_for(blank, "its prompt is blank", batch_size)
        number, named = min(bad), set(map(int, re.findall(r"(?<![\d.])\d+", message)))
        expect(
            number in named,
            f"The ValueError should name the first bad row by its number, {number} (the first row is row 0, counted across "
            f"all batches), but it says: {message[:150]!r}",
        )
        batch = number // batch_size * batch_size
        others = set(range(batch, min(batch + batch_size, 11))) - {number}
        expect(
            not others <= named,
            f"The ValueError should name the bad row, {number}, and no other rows of its batch, but it says: "
            f"{message[:150]!r}",
        )


@insert_prompts.edge(3)
def what_is_wrong(error_for, rows, rng) -> None:
    """the error says what is wrong with the row"""
    at = rng.randrange(7, 11)
    without = {key: value for key, value in rows[at].items() if key != "url"}
    messages = [
        error_for({at: bad}, why, 3)
        for bad, why in (
            (without, "it has no url"),
            (rows[at] | {"prompt": ""}, "its prompt is empty"),
            (rows[at] | {"width": -1}, "its width is -1"),
        )
    ]
    expect(
        len(set(messages)) == 3,
        "The ValueError should also say what is wrong with the row, but it says the same for different faults: "
        f"{messages[0][:150]!r}",
    )


@insert_prompts.edge(3)
def number_stored(insert_prompts, filled, rows) -> None:
    """the number of stored rows is returned, 0 if there are none"""
    for result, n in ((filled.returned, len(rows)), (_fill(insert_prompts, [], 3).returned, 0)):
        expect(
            type(result) is int and result == n,
            f"insert_prompts stored {n} rows, so it should return {n}, but it returned {result!r}.",
        )


@insert_prompts.edge(3)
def unusual_values(insert_prompts, rows) -> None:
    """spaces around a prompt, a size of 0 and numpy integers are stored unchanged"""
    import numpy as np

    given = [row | {"prompt": f" {row['prompt']} ", "width": 0, "height": np.int64(row["height"])} for row in rows[:6]]
    _expect_stored(_fill(insert_prompts, given, 3).table, given)


@insert_prompts.edge(2)
def keys_in_any_order(insert_prompts, rows) -> None:
    """the keys of a row may come in any order"""
    given = [dict(reversed(row.items())) for row in rows]
    with expect_no_error(
        Exception,  # for example the driver's for a string in a column of numbers
        lambda error: (
            f"Storing rows whose keys come in another order raises {with_article(type(error).__name__)}: get each value by "
            "its name, row[name]."
        ),
    ):
        found = _fill(insert_prompts, given, 4).table
    _expect_stored(found, rows)


@insert_prompts.edge(2)
def one_insert_per_batch(filled, rows, batch_size) -> None:
    """one insert for each batch"""
    rounds = -(-len(rows) // batch_size)
    expect(bool(filled.inserts), "insert_prompts did not use the client that it was given.")
    expect(
        len(filled.inserts) == rounds,
        f"{len(rows)} rows in batches of {batch_size} need {rounds} inserts, but there were {len(filled.inserts)}. Send a "
        "whole batch at a time: each insert makes a new part on disk.",
    )


@insert_prompts.edge(2)
def batches_in_memory(filled, rows, batch_size) -> None:
    """no more than a batch or two is held in memory"""
    taken = filled.taken[0] if filled.taken else 0
    expect(
        taken <= 2 * batch_size,
        f"When the first batch of {batch_size} was stored, {taken} of {len(rows)} rows had already been read. Read a batch, "
        "store it, then read the next: a large file does not fit into memory.",
    )


@insert_prompts.edge(2)
def progress_bar(filled) -> None:
    """a progress bar"""
    expect(bool(filled.bars), "There was no progress bar: use tqdm, which is imported above.")


def _mixed(rows: Sequence[dict], bad: dict[int, dict]) -> list[dict]:
    """The good rows, some replaced by bad ones, by number."""
    return [bad.get(i, row) for i, row in enumerate(rows)]


def _expect_stored(found: DataFrame, rows: Sequence[dict]) -> None:
    """Raise `CheckFailed` unless the table holds these rows, each with a vector in the direction of its prompt's."""
    import numpy as np

    expect(len(found) == len(rows), f"{len(rows)} rows should be stored, but {len(found)} are in the table.")
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: row["id"])
    for column in COLUMNS:
        expect(
            found[column].tolist() == [row[column] for row in ordered],
            f"The column {column} does not hold the rows' values. Get each value by its name, row[name], and leave it "
            "unchanged.",
        )
    expect(
        bool(same_direction(np.stack(found["prompt_vector"]), vectors_of(ordered)).all()),
        "A row's prompt_vector is not CLIP's vector of its prompt.",
    )
