"""Visible checks of notebook 05, Prompt management: one function an exercise, named like it.

Each check works in a table of its own in the prompt store (`table_of_its_own`), which is gone when it ends, and hands
the student's function a client that listens (`Listening`): what was sent to the database, and how much came back.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from uuid import uuid4

from helpers.checks import CheckFailed, compare_tensors, described, expect, name_of, passed
from helpers.checks.standins import scripted_chat, text_of
from helpers.collection import COLUMNS, made_prompts

if TYPE_CHECKING:
    import numpy as np
    from clickhouse_connect.driver.client import Client
    from pandas import DataFrame
    from PIL import Image

__all__ = [
    "create_index",
    "create_table",
    "embed_images",
    "embed_texts",
    "generate_and_store",
    "improve_prompt",
    "insert_prompts",
    "recall_at_k",
    "search_by_image",
    "search_by_text",
]

TOLERANCE = 1e-3  # of embeddings and distances: how texts are put into batches changes the last digits

# ---------------------------------------------------------------- rows and tables to try functions on


def fresh_rows(n: int, seed: int) -> list[dict]:
    """n rows with different prompts from the picture-book world, about one kind of thing each."""
    from helpers.picturebook import parse

    return list(islice((row for row in made_prompts(seed) if len(parse(row["prompt"]).things) == 1), n))


def vectors_of(rows: Sequence[dict]) -> np.ndarray:
    """The CLIP vectors of the rows' prompts, float32 (n, 512)."""
    from helpers import clip

    return clip.embed_texts([row["prompt"] for row in rows])


@contextmanager
def table_of_its_own(rows: Sequence[dict] = (), *, made: bool = True) -> Iterator[tuple[Listening, str]]:
    """A listening client and the name of a table with these rows, which is dropped at the end.

    With made=False there is only the name, for a table that is yet to be made.
    """
    from helpers import store

    client, table = store.connect(), f"check_{uuid4().hex[:12]}"
    name = store.quoted(table)
    if made:
        client.command(
            f"CREATE TABLE {name} (id String, prompt String, url String, width UInt32, height UInt32, "
            "source_site String, prompt_vector Array(Float32), "
            "CONSTRAINT vector_length CHECK length(prompt_vector) = 512) ENGINE = MergeTree ORDER BY id"
        )
    try:
        if rows:
            insert(client, table, rows, vectors_of(rows))
        yield Listening(client), table
    finally:
        client.command(f"DROP TABLE IF EXISTS {name} SYNC")
        client.close()


def insert(client: Client, table: str, rows: Sequence[dict], vectors: Iterable) -> None:
    """Put rows and their vectors into a table, as the notebook's columns are."""
    data = [[*(row[column] for column in COLUMNS), list(vector)] for row, vector in zip(rows, vectors, strict=True)]
    client.insert(table, data, column_names=[*COLUMNS, "prompt_vector"])


def stored(client: Listening, table: str) -> DataFrame:
    """All that is in a table, in the order of its ids."""
    from helpers import store

    return client.own.query_df(f"SELECT * FROM {store.quoted(table)} ORDER BY id")


class Listening:
    """A client of the prompt store that does what `client` does, and keeps what was asked of it.

    `statements` are the SQL texts, `inserts` the numbers of rows of each insert, `most_rows` the largest result.
    `own` is the client itself, for the check's own questions.
    """

    def __init__(self, client: Client):
        self.own = client
        self.statements: list[str] = []
        self.inserts: list[str] = []
        self.most_rows = 0
        self.at_insert: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        it = getattr(self.own, name)
        if not callable(it) or name.startswith("_"):
            return it

        def heard(*args, **options):
            sql = next((x for x in (*args[:1], options.get("query"), options.get("cmd")) if isinstance(x, str)), "")
            if "insert" in name or sql.lstrip().upper().startswith("INSERT"):
                self.inserts.append(name)
                self.at_insert()
            else:
                self.statements.append(sql)
            result = it(*args, **options)
            self.most_rows = max(self.most_rows, _rows_in(result))
            return result

        return heard


def _rows_in(result: Any) -> int:
    for counted in (getattr(result, "result_rows", None), result):
        if hasattr(counted, "__len__") and not isinstance(counted, (str, bytes)):
            return len(counted)
    return 0


# ---------------------------------------------------------------- embed_texts, embed_images


def embed_texts(fn: Callable) -> None:
    """Check `embed_texts(texts, batch_size=…)` against CLIP, and look at how many texts it is given at a time."""
    embeds(fn, ["a red cat", "a small blue boat, at sea", "two stars", "a pixel art picture of a frog"], batch_size=3)
    passed("embed_texts")


def embed_images(fn: Callable) -> None:
    """Check `embed_images(images, batch_size=…)` against CLIP, with a picture that has transparency among them."""
    images = _drawings("cat", "boat", "frog")
    embeds(fn, [images[0], images[1].convert("RGBA"), images[2].convert("P")], batch_size=2)
    passed("embed_images")


def embeds(fn: Callable, items: Sequence, *, batch_size: int) -> None:
    """Expect that `fn` embeds texts or pictures as CLIP does, in batches of this size at most."""
    import numpy as np
    import torch

    from helpers import clip

    texts = isinstance(items[0], str)
    right = (clip.embed_texts if texts else clip.embed_images)(items)
    given = list(items)
    with _batches("text_model" if texts else "vision_model") as sizes:
        result = fn(given, batch_size=batch_size)
    expect(given == list(items), f"{name_of(fn)} changed the list that it was given.")
    expect(
        isinstance(result, np.ndarray),
        f"{name_of(fn)} should return a numpy array, but it returned {described(result)}. A tensor becomes one with "
        ".cpu().numpy(), a list of arrays with np.concatenate.",
    )
    expect(
        result.shape != (right.shape[1], right.shape[0]) or right.shape[0] == right.shape[1],
        "There should be one row for each text or picture, and you have one column for each.",
    )
    _expect_units(name_of(fn), result, right)
    expect(
        result.dtype == np.float32,
        f"The array should be float32, but it is {result.dtype}: the model may compute in another format, so make it "
        "float32 with .float() or .astype(np.float32).",
    )
    compare_tensors(torch.from_numpy(result), torch.from_numpy(right), f"{name_of(fn)}'s array", tolerance=TOLERANCE)
    expect(
        max(sizes, default=0) <= batch_size,
        f"With batch_size={batch_size} the model got {max(sizes, default=0)} at a time. Take the next batch_size of "
        "them in each round; 900,000 at once fit into no memory.",
    )
    rounds = -(-len(items) // batch_size)
    expect(
        len(sizes) <= rounds,
        f"{len(items)} in batches of {batch_size} need {rounds} rounds, but the model was called {len(sizes)} times. "
        "Give it a whole batch each time: that is many times faster.",
    )


def _expect_units(name: str, result: np.ndarray, right: np.ndarray) -> None:
    """Expect the right shape and rows of length 1."""
    import numpy as np

    expect(
        result.shape == right.shape,
        f"{name}'s array should have shape {right.shape}, one row for each of the {len(right)}, but it has "
        f"{result.shape}.",
    )
    lengths = np.linalg.norm(result.astype(float), axis=1)
    expect(
        np.allclose(lengths, 1, atol=TOLERANCE),
        f"Each row should have length 1, but the first has {lengths[0]:.2f}. Divide each row by its norm; with torch: "
        "torch.nn.functional.normalize(features, dim=-1).",
    )


@contextmanager
def _batches(tower: str) -> Iterator[list[int]]:
    """How many inputs each call of CLIP's text or vision model gets."""
    from helpers import models

    sizes: list[int] = []

    def count(module, args, options):
        sizes.append(len(args[0] if args else next(iter(options.values()))))

    hook = getattr(models.load("clip").model, tower).register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield sizes
    finally:
        hook.remove()


def _drawings(*kinds: str) -> list[Image.Image]:
    from helpers.picturebook import Scene, Thing, draw

    return [draw(Scene((Thing(kind, "red"),), place="meadow", layout=4), size=128) for kind in kinds]


# ---------------------------------------------------------------- create_table


def create_table(fn: Callable) -> None:
    """Check `create_table(client, table)`: its columns, its rule, and that a second call keeps what is stored."""
    makes_table(fn, fresh_rows(2, seed=5))
    passed("create_table")


KINDS = {
    "id": ("String",),
    "prompt": ("String",),
    "url": ("String",),
    "width": ("UInt16", "UInt32", "UInt64", "Int32", "Int64"),
    "height": ("UInt16", "UInt32", "UInt64", "Int32", "Int64"),
    "source_site": ("String", "LowCardinality(String)"),
    "prompt_vector": ("Array(Float32)",),
}


def makes_table(fn: Callable, rows: Sequence[dict]) -> None:
    """Expect that `fn` makes the notebook's table, and leaves it alone when it is there; `rows` are to be stored."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    from helpers import store

    vectors = vectors_of(rows)
    with table_of_its_own(made=False) as (client, table):
        name = store.quoted(table)
        fn(client, table)
        expect(
            bool(client.own.command(f"EXISTS TABLE {name}")),
            f"After create_table(client, {table!r}) there is no table of that name. Use the client and the name that "
            "the function is given.",
        )
        columns = {row[0]: row[1] for row in client.own.query(f"DESCRIBE TABLE {name}").result_rows}
        expect(
            list(columns) == list(KINDS),
            f"The columns should be {', '.join(KINDS)}, in this order, but they are {', '.join(columns)}.",
        )
        for column, kinds in KINDS.items():
            expect(
                columns[column] in kinds,
                f"The column {column} should be {kinds[0]}, but it is {columns[column]}.",
            )
        engine, order = client.own.query(
            "SELECT engine, sorting_key FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
            parameters={"table": table},
        ).first_row
        expect(
            engine in ("MergeTree", "ReplicatedMergeTree", "SharedMergeTree"),
            f"The engine should be MergeTree, which keeps all rows on the disk, but it is {engine}.",
        )
        expect(
            order.split(",")[0].strip() == "id",
            f"The table should be sorted by id (ORDER BY id), but it is sorted by {order or 'nothing'}.",
        )
        insert(client.own, table, rows, vectors)
        for length in (511, 513, 0):
            try:
                insert(client.own, table, rows[:1], [[0.1] * length])
            except DatabaseError:
                continue
            raise CheckFailed(
                f"The table took a vector of {length} numbers. Let it refuse all that are not 512 long, with CONSTRAINT "
                "vector_length CHECK length(prompt_vector) = 512 after the columns."
            )
        try:
            fn(client, table)
        except DatabaseError as error:
            expect(
                "already exists" not in str(error),
                "A second create_table with the same name fails: write CREATE TABLE IF NOT EXISTS.",
            )
            raise
        left = len(stored(client, table))
        expect(
            left == len(rows),
            f"There were {len(rows)} rows in the table; after a second create_table there are {left}. A table that is "
            "already there should stay as it is: CREATE TABLE IF NOT EXISTS.",
        )


# ---------------------------------------------------------------- insert_prompts


def insert_prompts(fn: Callable) -> None:
    """Check `insert_prompts(client, table, rows, batch_size=…)` with good rows, and with bad ones among them."""
    import numpy as np

    rows = fresh_rows(7, seed=6)
    stores(fn, [row | {"width": np.int64(row["width"])} for row in rows], batch_size=3)
    stores(fn, [], batch_size=3)
    without = {name: value for name, value in rows[4].items() if name != "url"}
    said = {
        refuses(fn, rows, {4: without}, "it has no url", batch_size=3),
        refuses(fn, rows, {1: rows[1] | {"prompt": "  "}}, "its prompt is blank", batch_size=3),
        refuses(fn, rows, {6: rows[6] | {"width": -1}}, "its width is -1", batch_size=3),
    }
    expect(
        len({re.sub(r"\d+", "", each) for each in said}) == 3,
        f"The ValueError should also say what is wrong with the row, but it says the same of all rows: {said.pop()[:150]!r}",
    )
    refuses(fn, rows, {5: rows[5] | {"url": None}}, "its url is None", batch_size=3)
    passed("insert_prompts")


def stores(fn: Callable, rows: Sequence[dict], *, batch_size: int) -> None:
    """Expect that `fn` stores these rows with their vectors, a batch at a time, and counts them."""
    import numpy as np

    with table_of_its_own() as (client, table), _bars() as bars:
        taken, held = 0, []

        def counted() -> Iterator[dict]:
            nonlocal taken
            for row in rows:
                taken += 1
                yield dict(reversed(row.items()))  # the columns are found by their names, not by their order

        client.at_insert = lambda: held.append(taken)
        try:
            said = fn(client, table, counted(), batch_size=batch_size)
        except (AttributeError, TypeError) as error:
            raise CheckFailed(
                f"Storing {len(rows)} good rows ended in {type(error).__name__}: {str(error)[:150]}. Their keys come in another "
                "order than the columns: take each value by its name, row[name]."
            ) from error
        expect(
            isinstance(said, int) and not isinstance(said, bool) and said == len(rows),
            f"insert_prompts stored {len(rows)} rows, so it should return {len(rows)}, but it returned {said!r}.",
        )
        found = stored(client, table)
        expect(len(found) == len(rows), f"{len(rows)} rows were to be stored, but {len(found)} are in the table.")
        if not rows:
            return
        ordered = sorted(rows, key=lambda row: row["id"])
        for column in COLUMNS:
            expect(
                found[column].tolist() == [row[column] for row in ordered],
                f"The column {column} does not hold what the rows say. Take each value by its name: row[name].",
            )
        expect(
            np.allclose(np.stack(found.prompt_vector), vectors_of(ordered), atol=TOLERANCE),
            "A row's prompt_vector is not CLIP's vector of its prompt.",
        )
        expect(bool(client.inserts), "insert_prompts did not use the client that it was given.")
        rounds = -(-len(rows) // batch_size)
        expect(
            len(client.inserts) <= rounds,
            f"{len(rows)} rows in batches of {batch_size} are {rounds} inserts, but there were {len(client.inserts)}. "
            "Send a whole batch at a time: each insert makes a new part on the disk.",
        )
        expect(
            len(client.inserts) == rounds and held[0] <= 2 * batch_size,
            f"When the first batch of {batch_size} was to be stored, {held[0]} of {len(rows)} rows had been taken. Take a batch, "
            "store it, take the next: a large file does not fit into memory.",
        )
        expect(bool(bars), "There was no progress bar: use tqdm, which is imported above.")


def refuses(fn: Callable, rows: Sequence[dict], bad: dict[int, dict], why: str, *, batch_size: int) -> str:
    """Expect a ValueError that names the first bad row, and nothing of its batch in the table; gives what it says.

    rows: good ones. bad: what stands in their place, by number. why: the fault of the first, for the message.
    """
    number = min(bad)
    mixed = [bad.get(i, row) for i, row in enumerate(rows)]
    kept = number // batch_size * batch_size
    with table_of_its_own() as (client, table), _bars():
        try:
            fn(client, table, iter(mixed), batch_size=batch_size)
        except ValueError as error:
            said = str(error)
        except Exception as error:
            raise CheckFailed(
                f"Row {number} is bad: {why}. insert_prompts should raise a ValueError that says so, but it raised "
                f"{type(error).__name__}: {str(error)[:150]}"
            ) from error
        else:
            left = len(stored(client, table))
            raise CheckFailed(
                f"Row {number} is bad: {why}. insert_prompts should raise a ValueError, but it raised nothing, and "
                f"{left} of {len(rows)} rows are in the table."
            )
        expect(
            str(number) in re.findall(r"\d+", said),
            f"The ValueError should name the bad row by its number, {number} (the first row is row 0, and they are "
            f"counted through all batches), but it says: {said[:150]!r}",
        )
        batch = {str(i) for i in range(kept, min(kept + batch_size, len(rows)))}
        expect(
            len(batch) < 3 or not batch <= set(re.findall(r"(?<!\w)\d+(?!\w)", said)),
            f"The ValueError should name the bad row, {number}, and not all rows of its batch, but it says: {said[:150]!r}",
        )
        left = len(stored(client, table))
        expect(
            left == kept,
            f"Row {number} is bad, in batches of {batch_size}. Of the batches before it {kept} rows should be in the "
            f"table and nothing of its own, but there are {left}. Look at all rows of a batch before you store any.",
        )
    return said


@contextmanager
def _bars() -> Iterator[list]:
    """The progress bars that are made meanwhile, whichever kind of tqdm makes them. They stay invisible."""
    from tqdm.std import tqdm

    made, build = [], tqdm.__init__

    def init(self, *args, **options):
        made.append(self)
        build(self, *args, **options | {"disable": True})

    with patch.object(tqdm, "__init__", init):
        yield made


# ---------------------------------------------------------------- search_by_text, search_by_image


def search_by_text(fn: Callable) -> None:
    """Check `search_by_text(client, table, query, k)` against distances that numpy computes."""
    rows = fresh_rows(12, seed=7)
    queries = ["a red cat", "a boat at sea", "'); DROP TABLE prompts; --"]
    searches(fn, rows, queries, [3, 5, 4])
    passed("search_by_text")


def search_by_image(fn: Callable) -> None:
    """Check `search_by_image(client, table, image, k)` against distances that numpy computes."""
    searches(fn, fresh_rows(12, seed=8), _drawings("cat", "boat"), [3, 5])
    passed("search_by_image")


def searches(fn: Callable, rows: Sequence[dict], queries: Sequence, ks: Sequence[int]) -> None:
    """Expect that `fn` finds the nearest of these rows for each query (texts or pictures), with each its k."""
    from helpers import clip

    texts = isinstance(queries[0], str)
    targets = (clip.embed_texts if texts else clip.embed_images)(queries)
    vectors = vectors_of(rows)
    with table_of_its_own(rows) as (client, table):
        for query, k, target in zip(queries, ks, targets, strict=True):
            client.most_rows = 0
            before = len(client.statements)
            found = fn(client, table, query, k=k)
            expect(
                len(client.statements) > before,
                f"{name_of(fn)} did not ask the client that it was given.",
            )
            what = f"the query {query!r}" if texts else "a picture"
            _nearest(found, rows, vectors, target, k, what)
            expect(
                client.most_rows <= k,
                f"{client.most_rows} rows came from the database for k = {k}. Let the database sort and cut, with ORDER BY "
                "and LIMIT: of 900,000 rows only k should travel.",
            )
        _bound(client.statements)
        _nearest(fn(client, table, queries[0]), rows, vectors, targets[0], 5, "a search without k")
        expect(len(stored(client, table)) == len(rows), "The search changed the table.")


def _nearest(found: Any, rows: Sequence[dict], vectors: np.ndarray, target: np.ndarray, k: int, what: str) -> None:
    """Expect a table of the k nearest rows to the target vector, nearest first."""
    import numpy as np
    import pandas as pd

    expect(
        isinstance(found, pd.DataFrame),
        f"The search should return a pandas DataFrame, but it returned {described(found)}. client.query_df gives one.",
    )
    n = min(k, len(rows))
    expect(len(found) == n, f"For {what} and k = {k} there should be {n} rows, but there are {len(found)}.")
    expect(
        list(found.columns) == ["prompt", "url", "dist"],
        f"The columns should be prompt, url and dist, but they are {', '.join(map(str, found.columns))}.",
    )
    own = dict(zip([row["prompt"] for row in rows], 1 - vectors @ target, strict=True))
    addresses = {row["prompt"]: row["url"] for row in rows}
    ranked = np.sort(list(own.values()))
    dist = found["dist"].to_numpy(float)

    def like(values) -> bool:
        return np.allclose(dist, values, atol=TOLERANCE)

    expect(
        not like(ranked[::-1][:n]) or like(ranked[:n]),
        f"For {what} the farthest came first. The smaller the distance, the better: ORDER BY dist, without DESC.",
    )
    expect(
        not like(1 - ranked[:n]) and not like(1 - ranked[::-1][:n]),
        "dist holds the cosine similarity, which is 1 for the same direction. The cosine distance is 1 minus that: 0 "
        "for the same direction.",
    )
    euclid = np.sqrt(2 * ranked[:n])
    expect(not like(euclid), "dist holds the straight (L2) distance. Take cosineDistance.")
    expect(
        set(found["prompt"]) <= set(own),
        f"For {what} there are prompts that are not in the table that the function was given.",
    )
    expect(
        like(ranked[:n]),
        f"For {what} the distances should be {_listed(ranked[:n])}, but they are {_listed(dist)}.",
    )
    for prompt, url, distance in found.itertuples(index=False):
        expect(
            abs(own[prompt] - distance) < TOLERANCE and addresses[prompt] == url,
            f"For {what} the row of {prompt!r} has the distance or the url of another prompt.",
        )


def _bound(statements: Sequence[str]) -> None:
    """Expect that no value was written into the SQL: its text is the same for each query and each k."""
    for sql in statements:
        expect(
            not re.search(r"\d\.\d+(e-?\d+)?\s*,\s*-?\d\.\d+", sql),
            "The vector's numbers stand in the text of the SQL. Bind it: write {emb:Array(Float32)} in the SQL, and give "
            'parameters={"emb": vector.tolist()}.',
        )
    texts = set(statements)
    expect(
        len(texts) <= len(statements) // 2 or len(texts) == 1,
        "The text of the SQL changes with the query or with k. Values belong in parameters, whatever is in them: write "
        '{k:UInt32} in the SQL, and give parameters={"k": k}.',
    )


# ---------------------------------------------------------------- recall_at_k


def recall_at_k(fn: Callable) -> None:
    """Check `recall_at_k(approximate, exact, k)` on lists small enough to count by hand."""
    exact = [["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    for approximate, k, right, why in (
        (exact, 4, 1.0, "everything was found"),
        ([["b", "a", "d", "c"], ["h", "g", "f", "e"]], 4, 1.0, "the order within the top k does not count"),
        ([["a", "x", "y", "z"], ["e", "f", "z", "y"]], 4, 0.375, "1 of 4 and 2 of 4 were found, so the mean is 3 of 8"),
        ([["a", "b", "c", "d"], ["x", "y", "e", "f"]], 2, 0.5, "only the first 2 of each list count"),
        ([["c", "d", "a", "b"], ["e", "f", "g", "h"]], 2, 0.5, "only the first 2 of each list count"),
        ([["a"], []], 2, 0.25, "the approximate search may find fewer; 1 of 2 and 0 of 2 were found"),
        ([["a", "a", "a", "a"], ["e", "f", "g", "h"]], 4, 0.625, "the same id found four times is found once"),
    ):
        recalls(fn, approximate, exact, k, right, why)
    recalls(fn, [[1, 2, 3]], [[1, 2]], 3, 1.0, "the table has only 2 rows, and both were found")
    passed("recall_at_k")


def recalls(fn: Callable, approximate: list[list], exact: list[list], k: int, right: float, why: str) -> None:
    """Expect this recall, and that the lists stay as they are."""
    before = repr((approximate, exact))
    said = fn(approximate, exact, k)
    expect(
        isinstance(said, float) or type(said) is int,
        f"recall_at_k should return a float, but it returned {described(said)}.",
    )
    expect(
        abs(said - right) < 1e-6,
        f"recall_at_k({approximate}, {exact}, {k}) should be {right:g} ({why}), but it is {said:g}.",
    )
    expect(repr((approximate, exact)) == before, "recall_at_k changed the lists that it was given.")


# ---------------------------------------------------------------- create_index


def create_index(fn: Callable) -> None:
    """Check `create_index(client, table)`: the index is there, covers the rows that were there before, and is used."""
    makes_index(fn, fresh_rows(10, seed=9))
    passed("create_index")


def makes_index(fn: Callable, rows: Sequence[dict]) -> None:
    """Expect that `fn` puts a vector index on a table with these rows, builds it, and may be called again."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    from helpers import store

    with table_of_its_own(rows) as (client, table):
        fn(client, table)
        about = {"parameters": {"table": table}}
        found = client.own.query(
            "SELECT name, type, type_full, expr FROM system.data_skipping_indices "
            "WHERE database = currentDatabase() AND table = {table:String}",
            **about,
        ).result_rows
        expect(len(found) == 1, f"There should be one index on the table, but there are {len(found)}.")
        name, kind, full, column = found[0]
        expect(name == "vec_idx", f"The index should be called vec_idx, but its name is {name}.")
        expect(
            kind == "vector_similarity" and column == "prompt_vector",
            f"The index should be a vector_similarity index on prompt_vector, but it is {full} on {column}.",
        )
        expect(
            "cosineDistance" in full,
            f"The index is made for another distance: {full}. Our searches sort by cosineDistance, and an index helps only "
            "with the distance that it was made for.",
        )
        expect(
            _built(client.own, table),
            "The index is there, but it knows none of the rows that were stored before: ADD INDEX counts for new rows "
            "alone. Build it for the old ones with ALTER TABLE … MATERIALIZE INDEX …",
        )
        try:
            fn(client, table)
        except DatabaseError as error:
            raise CheckFailed(
                f"A second create_index on the same table fails: {str(error)[:150]} Write ADD INDEX IF NOT EXISTS."
            ) from error
        target = vectors_of(rows[:1])[0]
        nearest = client.own.query(
            f"SELECT prompt FROM {store.quoted(table)} "
            "ORDER BY cosineDistance(prompt_vector, {target:Array(Float32)}) LIMIT 1",
            parameters={"target": target.tolist()},
        ).result_rows
        expect(nearest == [(rows[0]["prompt"],)], "With the index, a prompt's own vector no longer finds that prompt.")


def _built(client: Client, table: str) -> bool:
    """Whether every part of the table has its index; waits for one that is being built."""
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


# ---------------------------------------------------------------- improve_prompt


def improve_prompt(fn: Callable) -> None:
    """Check `improve_prompt(chat, idea, neighbours)` with a chat model that has its answer ready, and listens."""
    neighbours = ["a small red cat on a large purple sofa, in a room", "a large white cat, in the snow"]
    improves(fn, "a cat on a sofa", neighbours, "a large red cat on a large sofa, in a room")
    improves(fn, "a cat {on} a sofa", neighbours, '  "a large red cat on a large sofa, in a room"\n')
    improves(fn, "a cat on a sofa", [], "a large cat, in a room")
    _no_answer(fn, neighbours)
    passed("improve_prompt")


def improves(fn: Callable, idea: str, neighbours: list[str], reply: str) -> None:
    """Expect that the chat hears the idea and the neighbours, nearest first, in one request; and its reply, clean."""
    chat = scripted_chat([reply])
    given = list(neighbours)
    try:
        said = fn(chat, idea, given)
    except (KeyError, ValueError) as error:
        expect(
            "{" not in idea,
            f"An idea with braces, {idea!r}, ends in {type(error).__name__}: it was taken for a place in a template. Put "
            "ideas and prompts into the finished message (an f-string does), not into the template itself.",
        )
        raise
    expect(given == neighbours, "improve_prompt changed the list of neighbours.")
    expect(len(chat.heard) == 1, f"The chat should be asked once, but it was asked {len(chat.heard)} times.")
    text = text_of(chat.heard[0])
    expect(idea in text, f"The chat was not told the idea, {idea!r}. It was asked: {text[:300]!r}")
    places = [text.find(prompt) for prompt in neighbours]
    expect(
        -1 not in places,
        f"Of the {len(neighbours)} neighbours the chat was told {sum(place >= 0 for place in places)}. It was asked: "
        f"{text[:300]!r}",
    )
    expect(places == sorted(places), "The neighbours should be told in the order they come in, the nearest first.")
    clean = reply.strip().strip('"')
    expect(
        type(said) is str,
        f"improve_prompt should return a string, but it returned {described(said)}. The text of a reply is in reply.text.",
    )
    expect(
        said == clean,
        f"The chat replied {reply!r}, so improve_prompt should return {clean!r}, without spaces and quotation marks around "
        f"it, but it returned {said!r}.",
    )


def _no_answer(fn: Callable, neighbours: list[str]) -> None:
    for reply in ("  \n", ' ""\n'):
        try:
            said = fn(scripted_chat([reply]), "a cat", list(neighbours))
        except ValueError:
            continue
        raise CheckFailed(
            f"Where the chat replies {reply!r}, nothing is left without spaces and quotation marks: improve_prompt should "
            f"raise a ValueError, but it returned {said!r}."
        )


# ---------------------------------------------------------------- generate_and_store


def generate_and_store(fn: Callable) -> None:
    """Check `generate_and_store(client, table, prompt, …)`: what is drawn, what is stored, and that both are found."""
    draws_and_stores(fn, fresh_rows(12, seed=10), seed=1)
    passed("generate_and_store")


def draws_and_stores(fn: Callable, rows: Sequence[dict], *, seed: int, steps: int = 8) -> None:
    """Expect that a drawn picture's row is stored beside these rows, and is near its prompt and its picture."""
    import numpy as np

    from helpers import clip

    *others, prompt = [row["prompt"] for row in rows]
    prompt = _drawable(prompt, others, seed=seed, steps=steps)
    with table_of_its_own(rows[:-1]) as (client, table), tempfile.TemporaryDirectory() as folder, _bars():
        row = fn(client, table, prompt, seed=seed, steps=steps, folder=Path(folder) / "pictures")
        expect(
            isinstance(row, dict) and set(COLUMNS) <= set(row),
            f"generate_and_store should return the stored row, a dict with {', '.join(COLUMNS)}, but it returned "
            f"{described(row)}.",
        )
        found = stored(client, table)
        new = found[found["id"] == row["id"]]
        expect(
            len(found) == len(rows) and len(new) == 1,
            f"One row more should be in the table, with the id {row['id']!r}; there are {len(found) - len(others)} more, "
            f"and {len(new)} with this id.",
        )
        expect(row["prompt"] == prompt, f"The row's prompt should be {prompt!r}, but it is {row['prompt']!r}.")
        for column in COLUMNS:
            expect(
                new[column].item() == row[column],
                f"In the table {column} is {new[column].item()!r}, but the row that was returned says {row[column]!r}.",
            )
        (vector,) = new.prompt_vector
        expect(
            np.allclose(vector, clip.embed_texts([prompt])[0], atol=TOLERANCE),
            "The stored prompt_vector is not CLIP's vector of the prompt.",
        )
        picture = _picture_at(row["url"])
        expect(
            picture.size == (row["width"], row["height"]),
            f"The picture is {picture.width} × {picture.height} pixels, but the row says {row['width']} × {row['height']}.",
        )
        expect(
            row["source_site"] == "generated",
            f'The row\'s source_site should be "generated", but it is {row["source_site"]!r}.',
        )
        file = _file_at(row["url"])
        expect(
            file.suffix == ".png" and file.read_bytes()[:4] == b"\x89PNG",
            f"The picture should be saved as a PNG file, but {file.name} is none.",
        )
        expect(
            file.parent.samefile(Path(folder) / "pictures") if (Path(folder) / "pictures").is_dir() else False,
            f"The picture should be saved in the folder that the function is given, but it is in {file.parent}.",
        )
        distances = 1 - vectors_of([*rows[:-1], row]) @ clip.embed_images([picture])[0]
        rank = int((distances < distances[-1]).sum())
        expect(
            rank < 5,
            f"A search with the picture at {row['url'][:60]} finds {rank} other prompts before this one, {prompt!r}. Is it "
            "the picture that was drawn for it?",
            yours=picture,
            expected=_draw(prompt, seed, steps),
            alt=prompt,
        )
        again = fn(client, table, prompt, seed=seed, steps=steps, folder=Path(folder) / "pictures")
        expect(
            _picture_at(again["url"]).tobytes() == picture.tobytes(),
            "The same prompt and seed gave another picture: hand the pipeline a torch.Generator with manual_seed(seed).",
        )
        expect(
            again["id"] != row["id"] and again["url"] != row["url"],
            "Two rows have the same id or the same file: the second picture would take the place of the first. Give each "
            "row an id of its own, for example uuid.uuid4().hex.",
        )
        other = fn(client, table, prompt, seed=seed + 1, steps=steps, folder=Path(folder) / "pictures")
        expect(
            _picture_at(other["url"]).tobytes() != picture.tobytes(),
            "Another seed gave the same picture, so the seed is not used.",
        )
        rough = fn(client, table, prompt, seed=seed, steps=steps // 2, folder=Path(folder) / "pictures")
        expect(
            _picture_at(rough["url"]).tobytes() != picture.tobytes(),
            "Half as many steps gave the same picture, so steps is not used.",
        )


def _drawable(prompt: str, others: Sequence[str], *, seed: int, steps: int) -> str:
    """The prompt, or a simpler one where the model's own drawing of it would not be told from others' prompts.

    A small model draws some prompts badly, and nobody should lose points for that.
    """
    from helpers import clip

    for candidate in (prompt, "a large red cat, on a meadow", "a large yellow star, at night"):
        target = clip.embed_images([_draw(candidate, seed, steps)])[0]
        distances = 1 - clip.embed_texts([*others, candidate]) @ target
        if (distances < distances[-1]).sum() < 3:
            break
    return candidate


def _draw(prompt: str, seed: int, steps: int) -> Image.Image:
    import torch

    from helpers.models import load

    generator = torch.Generator().manual_seed(seed)
    return load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0, generator=generator).images[0]


def _picture_at(url: Any) -> Image.Image:
    """The picture at a file: or data: address."""
    from urllib.request import urlopen

    from PIL import Image

    try:
        with urlopen(url) as file:
            return Image.open(file).convert("RGB")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckFailed(
            f"There is no picture at the row's url, {str(url)[:80]!r} ({type(error).__name__}). Save the picture, and take "
            "the file's address with path.resolve().as_uri()."
        ) from error


def _file_at(url: str) -> Path:
    """The path in a file: address."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    expect(
        url.startswith("file:"), f"The row's url should be the address of the file, file://…, but it is {url[:80]!r}."
    )
    return Path(url2pathname(urlsplit(url).path))


# ---------------------------------------------------------------- words


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.3f}" for number in numbers)
