"""`create_table` and `create_index`: what the database itself reports about the table and its index."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from helpers.checks.answers import in_short
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect
from helpers.checks.fakes import RecordingClient, insert_rows, scratch_table, stored_rows
from helpers.checks.nb05.rows import fresh_rows, vectors_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["create_index", "create_table"]

SIDES = ("UInt16", "UInt32", "UInt64", "Int32", "Int64")
KINDS = {
    "id": ("String",),
    "prompt": ("String",),
    "url": ("String",),
    "width": ("UInt32", *SIDES),
    "height": ("UInt32", *SIDES),
    "source_site": ("String", "LowCardinality(String)"),
    "prompt_vector": ("Array(Float32)",),
}
"""The types that each column may have, beginning with the one that the exercise asks for."""

create_table = Exercise("create_table")
create_index = Exercise("create_index")


@create_table.given
@create_index.given
def rows(rng) -> list[dict]:
    return fresh_rows(12, rng)


# -- create_table


@create_table.core(40)
def columns_and_types(create_table) -> None:
    """a table of this name, with the seven columns and their types"""
    with scratch_table(made=False) as (client, table):
        create_table(client, table)
        columns = _columns(client, table)
    missing = [name for name in KINDS if name not in columns]
    expect(not missing, f"The table has no column {' and no column '.join(missing)}.")
    more = [name for name in columns if name not in KINDS]
    expect(not more, f"The table has a column {' and a column '.join(more)}, which should not be there.")
    for column, kinds in KINDS.items():
        expect(columns[column] in kinds, f"The column {column} should be {kinds[0]}, but it is {columns[column]}.")


@create_table.core(25)
def length_constraint(create_table, rows) -> None:
    """vectors of 512 numbers are stored, all others rejected"""
    from clickhouse_connect.driver.exceptions import DatabaseError

    with scratch_table(made=False) as (client, table):
        create_table(client, table)
        _store(client, table, rows[:5])
        for length in (511, 513, 0):
            try:
                insert_rows(client.own, table, rows[:1], [[0.1] * length])
            except DatabaseError:
                continue
            raise CheckFailed(
                f"The table accepted a vector of {length} numbers. Make it reject all that are not 512 long, with CONSTRAINT "
                "vector_length CHECK length(prompt_vector) = 512 after the columns."
            )


@create_table.edge(10)
def second_call(create_table, rows) -> None:
    """a second call changes nothing"""
    from clickhouse_connect.driver.exceptions import DatabaseError

    with scratch_table(made=False) as (client, table):
        create_table(client, table)
        _store(client, table, rows[:5])
        try:
            create_table(client, table)
        except DatabaseError as error:
            if "already exists" in str(error):
                raise CheckFailed(
                    "A second call of create_table with the same name fails: write CREATE TABLE IF NOT EXISTS."
                ) from error
            raise
        left = len(stored_rows(client, table))
        expect(
            left == 5,
            f"There were 5 rows in the table; after a second create_table there are {left}. A table that already exists "
            "should be left unchanged: write CREATE TABLE IF NOT EXISTS.",
        )


@create_table.edge(8)
def sorted_by_id(create_table) -> None:
    """sorted by id"""
    _, order = _engine_and_order(create_table)
    expect(
        re.fullmatch(r"\W*(?:tuple\()?\W*id\W*(?:,.*)?", order) is not None,
        f"The table should be sorted by id (ORDER BY id), but it is sorted by {order or 'nothing'}.",
    )


@create_table.edge(8)
def merge_tree(create_table) -> None:
    """the engine MergeTree"""
    engine, _ = _engine_and_order(create_table)
    expect(
        engine in ("MergeTree", "ReplicatedMergeTree", "SharedMergeTree"),
        f"The engine should be MergeTree, which keeps all rows on disk, but it is {engine}.",
    )


@create_table.edge(4)
def order_of_columns(create_table) -> None:
    """the columns in the given order"""
    with scratch_table(made=False) as (client, table):
        create_table(client, table)
        columns = _columns(client, table)
    expect(
        list(columns) == list(KINDS),
        f"The columns should be in the order {', '.join(KINDS)}, but it is {', '.join(columns)}.",
    )


@create_table.edge(5)
def name_with_a_space(create_table) -> None:
    """a table whose name has a space in it"""
    with scratch_table(made=False, prefix="my prompts ") as (client, table):
        create_table(client, table)
        _columns(client, table)


def _store(client: RecordingClient, table: str, rows: list[dict]) -> None:
    """Put good rows into the table; raise `CheckFailed` if it does not exist or rejects them."""
    _columns(client, table)
    try:
        insert_rows(client.own, table, rows, vectors_of(rows))
    except Exception as error:  # the driver raises many kinds of errors for rows that don't fit
        raise CheckFailed(
            f"Good rows with vectors of 512 numbers can't be stored in the table ({type(error).__name__}: "
            f"{in_short(str(error))})."
        ) from error


def _engine_and_order(create_table) -> tuple[str, str]:
    with scratch_table(made=False) as (client, table):
        create_table(client, table)
        _columns(client, table)
        return client.own.query(
            "SELECT engine, sorting_key FROM system.tables "
            "WHERE database = currentDatabase() AND name = {table:String}",
            parameters={"table": table},
        ).first_row


def _columns(client: RecordingClient, table: str) -> dict[str, str]:
    """The types of the table's columns; raise `CheckFailed` if it does not exist."""
    from helpers import store

    name = store.quoted(table)
    expect(
        bool(client.own.command(f"EXISTS TABLE {name}")),
        "After create_table(client, table) there is no table of that name. Use the client and the name that are passed in.",
    )
    return {row[0]: row[1] for row in client.own.query(f"DESCRIBE TABLE {name}").result_rows}


# -- create_index


@create_index.given
def indexed(create_index, rows) -> Iterator[tuple[RecordingClient, str]]:
    """A client and a table with the rows, on which create_index was called once."""
    with scratch_table(rows, vectors_of(rows)) as (client, table):
        create_index(client, table)
        yield client, table


@create_index.core(40)
def hnsw_index(indexed) -> None:
    """an HNSW index on prompt_vector, for cosine distances"""
    _index(*indexed)


@create_index.core(30)
def built_for_old_rows(indexed) -> None:
    """the index is built for the rows that are already there"""
    client, table = indexed
    _index(client, table)
    expect(
        _built(client.own, table),
        "The index exists, but it covers none of the rows that were stored before: ADD INDEX applies only to new rows. "
        "Build it for the old ones with ALTER TABLE … MATERIALIZE INDEX …",
    )


@create_index.edge(10)
def name_of_the_index(indexed) -> None:
    """its name is vec_idx"""
    name, *_ = _index(*indexed)
    expect(name == "vec_idx", f"The index should be called vec_idx, but its name is {name}.")


@create_index.edge(10)
def second_index(create_index, rows) -> None:
    """a second call is not an error"""
    from clickhouse_connect.driver.exceptions import DatabaseError

    with scratch_table(rows, vectors_of(rows)) as (client, table):
        create_index(client, table)
        try:
            create_index(client, table)
        except DatabaseError as error:
            raise CheckFailed(
                f"A second call of create_index on the same table fails ({in_short(str(error))}). Write ADD INDEX IF NOT "
                "EXISTS."
            ) from error


@create_index.edge(5)
def search_with_the_index(indexed, rows, rng) -> None:
    """with the index, a prompt's own vector still finds that prompt"""
    from helpers import store

    client, table = indexed
    row = rng.choice(rows)
    nearest = client.own.query(
        f"SELECT prompt FROM {store.quoted(table)} ORDER BY cosineDistance(prompt_vector, {{target:Array(Float32)}}) LIMIT 1",
        parameters={"target": vectors_of([row])[0].tolist()},
    ).result_rows
    expect(
        nearest == [(row["prompt"],)],
        f"With the index, the vector of {row['prompt']!r} no longer finds that prompt, but finds {nearest}.",
    )


@create_index.edge(5)
def index_on_a_name_with_a_space(create_index, rows) -> None:
    """a table whose name has a space in it"""
    with scratch_table(rows, vectors_of(rows), prefix="my prompts ") as (client, table):
        create_index(client, table)
        _index(client, table)


def _index(client: RecordingClient, table: str) -> tuple[str, str]:
    """(name, type) of the table's only index; raise `CheckFailed` unless it suits the notebook's searches."""
    found = client.own.query(
        "SELECT name, type, type_full, expr FROM system.data_skipping_indices "
        "WHERE database = currentDatabase() AND table = {table:String}",
        parameters={"table": table},
    ).result_rows
    expect(len(found) == 1, f"There should be one index on the table, but there are {len(found) or 'none'}.")
    name, kind, full, column = found[0]
    expect(
        kind == "vector_similarity" and column == "prompt_vector",
        f"The index should be a vector_similarity index on prompt_vector, but it is {full} on {column}.",
    )
    expect(
        "cosineDistance" in full,
        f"The index is made for another distance: {full}. The searches sort by cosineDistance, and an index helps only with "
        "the distance that it was made for.",
    )
    return name, full


def _built(client: Client, table: str) -> bool:
    """Whether every part of the table has its index; wait for one that is being built."""
    about = {"parameters": {"table": table}}
    for _ in range(100):
        busy = client.query(
            "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = {table:String} "
            "AND NOT is_done",
            **about,
        ).result_rows
        if busy == [(0,)]:
            break
        time.sleep(0.2)
    sizes = client.query(
        "SELECT secondary_indices_compressed_bytes FROM system.parts "
        "WHERE database = currentDatabase() AND table = {table:String} AND active",
        **about,
    ).result_rows
    return bool(sizes) and all(size > 0 for (size,) in sizes)
