"""The checks of notebook 05 record what a database and a chat model are asked, and name the mistake.

Vectors and pictures made from the text itself take the place of CLIP's and the image model's; the database is real, in
memory.
"""

import hashlib
import random
from contextlib import nullcontext
from fractions import Fraction
from itertools import chain, islice
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import store
from helpers.agreement import facts_of
from helpers.checks import CheckFailed, nb05
from helpers.checks.fakes import insert_rows, scratch_table, stored_rows
from helpers.checks.nb05 import drawing
from helpers.checks.nb05.rows import fresh_rows, same_direction
from helpers.collection import COLUMNS
from helpers.settings import settings

NEAREST = (
    "SELECT prompt, url, {distance}(prompt_vector, {{v:Array(Float32)}}) AS dist FROM {{t:Identifier}} "
    "ORDER BY dist {order} LIMIT {{k:UInt32}}"
)


def vectors(items):
    """A vector of length 1 for each text or picture, always the same."""
    rows = []
    for item in items:
        seed = hashlib.blake2b(item.encode() if isinstance(item, str) else item.tobytes(), digest_size=8)
        rows.append(np.random.default_rng(int.from_bytes(seed.digest())).normal(size=512))
    rows = np.array(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def fake_clip(monkeypatch):
    monkeypatch.setattr(settings, "store", "chdb://memory")
    monkeypatch.setattr("helpers.clip.embed_texts", vectors)
    monkeypatch.setattr("helpers.clip.embed_images", vectors)


@pytest.fixture
def connection():
    """Keeps the engine open, as the notebook's own client does, and sees that no table is left."""
    client = store.connect()
    yield client
    tables = client.query("SHOW TABLES").result_rows
    client.close()
    assert tables == []


# -- the fakes


def test_the_client_records_statements_inserts_and_how_much_came_back(connection):
    rows = fresh_rows(3, random.Random(1))
    with scratch_table(rows, vectors([row["prompt"] for row in rows])) as (client, table):
        assert (client.statements, client.inserts, client.most_rows) == ([], [], 0)
        at_insert = []
        client.at_insert = lambda: at_insert.append(len(stored_rows(client, table)))
        insert_rows(client, table, [rows[0] | {"id": "another"}], vectors(["one"]))
        client.query(f"DESCRIBE TABLE {table}")
        assert client.most_rows == 0
        assert len(client.query_df("SELECT id FROM {t:Identifier} LIMIT 2", parameters={"t": table})) == 2
        assert client.statements == [f"DESCRIBE TABLE {table}", "SELECT id FROM {t:Identifier} LIMIT 2"]
        assert (client.inserts, at_insert, client.most_rows) == (["insert"], [3], 2)
        client.command(f"INSERT INTO {table} SELECT * FROM {table}")
        assert client.inserts == ["insert", "command"] and len(stored_rows(client, table)) == 8
        assert repr(client) == "client"
    assert connection.query("SHOW TABLES").result_rows == []


def test_rows_differ_in_their_prompts_and_directions_are_compared_at_any_length():
    rows = fresh_rows(60, random.Random(2))
    assert len({row["prompt"] for row in rows}) == 60 and fresh_rows(60, random.Random(2)) == rows
    right = vectors(["a", "b"])
    given = np.stack([right[0] * 7, right[0]])
    assert same_direction(given, right).tolist() == [True, False]
    assert not same_direction(np.stack([right[0] * 0, right[0] * np.nan]), right).any()


# -- searching


def search(client, table, query, k=5, *, distance="cosineDistance", order="", sql=None, columns=None):
    sql = sql or NEAREST.format(distance=distance, order=order)
    found = client.query_df(sql, parameters={"v": vectors([query])[0].tolist(), "t": table, "k": k})
    return found[columns] if columns else found


def share(exercise, answer):
    return exercise.run(answer).share


def test_a_right_search_passes_in_all_cases(connection, capsys):
    nb05.search_by_text(search)
    nb05.search_by_image(search)
    assert capsys.readouterr().out.count("100 % of the points") == 2


@pytest.mark.parametrize(
    "mistake, says, earns",
    [
        ({"order": "DESC"}, "the farthest came first", 0),
        ({"distance": "L2Distance"}, "Use cosineDistance", 0.75),
        ({"distance": "L2SquaredDistance"}, "dist holds the squared L2 distance", 0.75),
        ({"distance": "1 - cosineDistance", "order": "DESC"}, "holds the cosine similarity", 0.75),
        ({"columns": ["prompt", "dist"]}, "should be prompt, url and dist, but they are prompt, dist", 0.92),
        ({"columns": ["prompt", "dist", "url"]}, "but they are prompt, dist, url", 0.92),
        (
            {"sql": NEAREST.replace("{{k:UInt32}}", "5").format(distance="cosineDistance", order="")},
            "there should",
            0.45,
        ),
    ],
)
def test_the_sentence_names_a_mistake_in_searching(connection, mistake, says, earns):
    def wrong(client, table, query, k=5):
        return search(client, table, query, k, **mistake)

    with pytest.raises(CheckFailed, match=says):
        nb05.search_by_image(wrong)
    assert share(nb05.search_by_image, wrong) == pytest.approx(earns)


@pytest.mark.parametrize(
    "sql, says",
    [
        (lambda v, k: NEAREST.replace("{{v:Array(Float32)}}", str(v)), "numbers are written into the SQL"),
        (lambda v, k: NEAREST.replace("{{k:UInt32}}", str(k)), "changes with the query or with k"),
    ],
)
def test_values_in_the_sql_are_noticed(connection, sql, says):
    def wrong(client, table, query, k=5):
        text = sql(vectors([query])[0].tolist(), k).format(distance="cosineDistance", order="")
        return search(client, table, query, k, sql=text)

    with pytest.raises(CheckFailed, match=says):
        nb05.search_by_text(wrong)
    assert share(nb05.search_by_text, wrong) == 0.8


def test_fetching_all_rows_is_noticed(connection):
    def wrong(client, table, query, k=5):
        found = client.query_df(f"SELECT prompt, url, prompt_vector FROM {table}")
        found["dist"] = 1 - np.stack(found.prompt_vector) @ vectors([query])[0]
        return found.sort_values("dist")[:k][["prompt", "url", "dist"]]

    with pytest.raises(CheckFailed, match="The database sent 20 rows for k = 3"):
        nb05.search_by_text(wrong)
    assert share(nb05.search_by_text, wrong) == 0.93


def test_rows_in_a_list_miss_the_data_frame_alone(connection):
    def rows(client, table, query, k=5):
        return list(search(client, table, query, k).itertuples(index=False, name=None))

    with pytest.raises(CheckFailed, match="should return a pandas DataFrame, but it returned the list"):
        nb05.search_by_text(rows)
    assert share(nb05.search_by_text, rows) == 0.92


def test_another_client_or_table_is_noticed(connection):
    with pytest.raises(CheckFailed, match="did not use the client that it was given"):
        nb05.search_by_text(lambda client, table, query, k=5: search(connection, table, query, k))
    with pytest.raises(CheckFailed, match="rows, but there are 0"):
        nb05.search_by_text(lambda client, table, query, k=5: client.query_df(f"SELECT url FROM {table} LIMIT 0"))
    with pytest.raises(CheckFailed, match=r"should return a pandas DataFrame, but it returned None"):
        nb05.search_by_text(lambda client, table, query, k=5: client.command("SELECT 1") and None)


# -- nothing fits


def or_none(client, table, query, k=5, *, threshold, fits=lambda dist, most: dist.iloc[0] <= most, none=None):
    found = search(client, table, query, k).reindex(columns=["prompt", "url", "dist"])
    return found if len(found) and fits(found.dist, threshold) else found[:0] if none is None else none


@pytest.mark.parametrize(
    "mistake, says, earns",
    [
        ({}, None, 1),
        ({"fits": lambda dist, most: True}, "so nothing should be found, but there are 5 rows", 0.62),
        ({"fits": lambda dist, most: dist.iloc[0] < most}, "compare with <=", 0.95),
        (
            {"fits": lambda dist, most: dist.iloc[-1] <= most},
            "Only the nearest one decides|so it should be found",
            0.83,
        ),
        ({"none": pd.DataFrame()}, r"found\.iloc\[:0\] keeps them", 0.92),
        (
            {"none": "nothing fits"},
            "search_or_none should return a pandas DataFrame, but it returned .*empty one",
            0.57,
        ),
    ],
)
def test_the_sentence_names_a_mistake_in_saying_that_nothing_fits(connection, mistake, says, earns):
    def student(client, table, query, k=5, *, threshold):
        return or_none(client, table, query, k, threshold=threshold, **mistake)

    if says:
        with pytest.raises(CheckFailed, match=says):
            nb05.search_or_none(student)
    assert share(nb05.search_or_none, student) == pytest.approx(earns)


def test_rows_beyond_the_threshold_stay(connection):
    def student(client, table, query, k=5, *, threshold):
        found = search(client, table, query, k).reindex(columns=["prompt", "url", "dist"])
        return found[found.dist <= threshold]

    with pytest.raises(CheckFailed, match="so all k = 4 rows should be found, but there are 1"):
        nb05.search_or_none(student)
    assert share(nb05.search_or_none, student) == pytest.approx(0.83)


# -- fusing


def fused(rankings, *, k=60, number=Fraction, first=1, again=False, key=lambda score: -score):
    scores = {}
    for ranking in rankings:
        for rank, each in enumerate(ranking, start=first):
            if again or each not in ranking[: rank - first]:
                scores[each] = scores.get(each, 0) + number(1) / (k + rank)
    return sorted(scores, key=lambda each: key(scores[each]))


@pytest.mark.parametrize(
    "student, says, earns",
    [
        (fused, None, 1),
        (lambda r, *, k=60: fused(r), r"fuse\(.*, k=1\) should be", 0.92),
        (lambda r, *, k=60: fused(r, k=k, first=0), r"fuse\(.*, k=1\) should be", 0.92),
        (lambda r, *, k=60: fused(r, k=k, number=float), "should be .* but it is", 0.95),
        (lambda r, *, k=60: fused(r, k=k, again=True), "should be .* but it is", 0.95),
        (lambda r, *, k=60: fused(r, k=k, key=lambda score: score), "The worst came first", 0),
        (lambda r, *, k=60: fused(r, k=0), "The k is missing", 0),
        (lambda r, *, k=60: list(dict.fromkeys(chain(*r))), "one after the other", 0),
        (lambda r, *, k=60: list(chain(*r)), "Each id comes once", 0),
        (lambda r, *, k=60: fused(r[:1]), "is missing. An id that only one ranking has counts, too", 0),
        (lambda r, *, k=60: tuple(fused(r, k=k)), "should be a list, but it is the tuple", 0),
    ],
)
def test_the_sentence_names_a_mistake_in_fusing(student, says, earns):
    if says:
        with pytest.raises(CheckFailed, match=says):
            nb05.fuse(student)
    assert share(nb05.fuse, student) == pytest.approx(earns)


def test_changed_rankings_are_noticed():
    with pytest.raises(CheckFailed, match="changed one of its inputs"):
        nb05.fuse(lambda r, *, k=60: [fused(r, k=k), [each.clear() for each in r]][0])


# -- a second look


def agreement(own, seen):
    return len(own & seen) / max(len(own | seen), 1)


def reranked(candidates, image, *, describe, score=agreement, by=("score", "dist"), best_first=True, times=1):
    for _ in range(times):
        seen = facts_of(describe(image))
    scored = candidates.assign(score=[score(facts_of(prompt), seen) for prompt in candidates.prompt])
    ascending = [not best_first, True][: len(by)]
    return scored.sort_values(list(by), ascending=ascending, kind="stable").drop(columns="score")


@pytest.mark.parametrize(
    "mistake, says, earns",
    [
        ({}, None, 1),
        ({"best_first": False}, "The prompt that agrees least came first", 0),
        ({"score": lambda own, seen: len(own & seen)}, "was not divided", 0.75),
        ({"score": lambda own, seen: len(own & seen) / max(len(own), 1)}, "so a prompt that says little wins", 0.75),
        ({"by": ("score",)}, "in the order of their distances, the nearer one first", 0.88),
        ({"times": 3}, "should be called once, but it was called 3 times for 6 candidates", 0.92),
    ],
)
def test_the_sentence_names_a_mistake_in_reranking(mistake, says, earns):
    def student(candidates, image, *, describe):
        return reranked(candidates, image, describe=describe, **mistake)

    if says:
        with pytest.raises(CheckFailed, match=says):
            nb05.rerank(student)
    assert share(nb05.rerank, student) == pytest.approx(earns)


@pytest.mark.parametrize(
    "student, says",
    [
        (lambda candidates, image, *, describe: candidates, "in the order of their distances, as before"),
        (lambda candidates, image, *, describe: candidates[:2], "all 6 candidates in a new order, each once"),
        (lambda candidates, image, *, describe: list(candidates.prompt), "should return a pandas DataFrame"),
        (
            lambda candidates, image, *, describe: reranked(candidates, "a picture", describe=describe),
            "should get the picture, but it got the str 'a picture'",
        ),
        (
            lambda candidates, image, *, describe: reranked(candidates, image, describe=describe)[["prompt", "url"]],
            "columns should be those of the candidates, prompt, url, dist",
        ),
    ],
)
def test_what_comes_back_from_reranking_is_looked_at(student, says):
    with pytest.raises(CheckFailed, match=says):
        nb05.rerank(student)


def test_changed_candidates_are_noticed():
    def student(candidates, image, *, describe):
        found = reranked(candidates, image, describe=describe)
        candidates["score"] = 1.0
        return found

    with pytest.raises(CheckFailed, match="changed the candidates"):
        nb05.rerank(student)
    assert share(nb05.rerank, student) == pytest.approx(0.95)


def test_facts_are_the_same_in_other_words():
    assert facts_of("a little red kitten, at night") == facts_of("a small red cat under the night sky")
    assert facts_of("a red cat left of a blue dog") == facts_of("a blue dog to the right of a red cat")
    assert facts_of("a cathedral full of dragons") == set()
    swapped = facts_of("a red cat left of a blue dog") & facts_of("a blue cat left of a red dog")
    assert swapped == {"cat", "dog", "1 cat", "1 dog", "large cat", "large dog"}


# -- the table and its index


def test_only_the_table_with_its_rule_passes(connection):
    def create(
        client,
        table,
        how="TABLE IF NOT EXISTS",
        rule=", CONSTRAINT r CHECK length(prompt_vector) = 512",
        order="id",
        engine="MergeTree",
    ):
        client.command(
            f"CREATE {how} {store.quoted(table)} (id String, prompt String, url String, width UInt32, height UInt32, "
            f"source_site String, prompt_vector Array(Float32){rule}) ENGINE = {engine} ORDER BY {order}"
        )

    for order in ("id", "(id)", "(id, prompt)", "`id`"):
        assert share(nb05.create_table, lambda client, table, order=order: create(client, table, order=order)) == 1
    for options, says, earns in (
        ({"rule": ""}, "accepted a vector of 511 numbers", 0.75),
        ({"how": "TABLE"}, "write CREATE TABLE IF NOT EXISTS", 0.9),
        ({"how": "OR REPLACE TABLE"}, "after a second create_table there are 0", 0.9),
        ({"order": "tuple()"}, "but it is sorted by nothing", 0.92),
        ({"order": "(url, id)"}, "but it is sorted by url, id", 0.92),
        ({"engine": "ReplacingMergeTree"}, "but it is ReplacingMergeTree", 0.92),
    ):

        def wrong(client, table, options=options):
            create(client, table, **options)

        with pytest.raises(CheckFailed, match=says):
            nb05.create_table(wrong)
        assert share(nb05.create_table, wrong) == pytest.approx(earns)
    with pytest.raises(CheckFailed, match="there is no table of that name"):
        nb05.create_table(lambda client, table: None)
    assert share(nb05.create_table, lambda client, table: None) == 0


def test_an_index_counts_when_it_is_built(connection):
    def index(client, table, statements=slice(None), old="", new=""):
        for statement in store.index_ddl(client, table)[statements]:
            client.command(statement.replace(old, new) if old else statement)

    assert share(nb05.create_index, index) == 1
    for options, says, earns in (
        ({"statements": slice(0, 1)}, "covers none of the rows that were stored before", 0.7),
        ({"old": "cosineDistance", "new": "L2Distance"}, "made for another distance", 0),
        ({"old": " IF NOT EXISTS", "new": ""}, "Write ADD INDEX IF NOT EXISTS", 0.9),
        ({"old": "vec_idx", "new": "idx"}, "should be called vec_idx, but its name is idx", 0.9),
        ({"statements": slice(0, 0)}, "should be one index on the table, but there are none", 0),
    ):

        def wrong(client, table, options=options):
            index(client, table, **options)

        with pytest.raises(CheckFailed, match=says):
            nb05.create_index(wrong)
        assert share(nb05.create_index, wrong) == pytest.approx(earns)


# -- filling it


def insert(client, table, rows, *, batch_size=500, take=iter, first=0, parts=lambda data: [data], bar=None, look=None):
    """A student's insert_prompts, with a mistake where the arguments say so."""
    from tqdm import tqdm

    rows, done = iter(take(rows)), 0
    with (bar or tqdm)(unit=" rows"):
        while batch := list(islice(rows, batch_size)):
            for number, row in enumerate(batch, start=first + done):
                if not (look or is_good)(row):
                    raise ValueError(f"row {number} is bad: {why(row)}")
            made = vectors([row["prompt"] for row in batch])
            data = [[*map(row.get, COLUMNS), vector] for row, vector in zip(batch, made, strict=True)]
            for part in parts(data):
                client.insert(table, part, column_names=[*COLUMNS, "prompt_vector"])
            done += len(batch)
    return done


def why(row):
    return "a key is missing" if "url" not in row else "no width" if row.get("width") == -1 else "no text"


def is_good(row):
    whole = all(isinstance(size, Integral) and size >= 0 for size in (row.get("width"), row.get("height")))
    told = all(isinstance(row.get(name), str) for name in ("id", "prompt", "url", "source_site"))
    return whole and told and row["prompt"].strip() != ""


@pytest.mark.parametrize(
    "mistake, says, earns",
    [
        ({}, None, 1),
        ({"take": list}, "11 of 11 rows had already been read", 0.98),
        ({"parts": lambda data: [[row] for row in data]}, "inserts, but there were 11", 0.98),
        ({"bar": lambda **options: nullcontext()}, "no progress bar", 0.98),
        ({"first": 1}, "should name the first bad row by its number", 0.95),
        (
            {"look": lambda row: is_good(row | {"url": ""}) and "url" in row},
            r"\(its url is None\), your function should raise",
            0.96,
        ),
        ({"look": lambda row: True}, "Check all rows of a batch before you store any", 0.39),
        ({"parts": lambda data: []}, "11 rows should be stored, but 0 are in the table", 0.43),
    ],
)
def test_the_sentence_names_a_mistake_in_inserting(connection, mistake, says, earns):
    def student(client, table, rows, *, batch_size):
        return insert(client, table, rows, batch_size=batch_size, **mistake)

    if says:
        with pytest.raises(CheckFailed, match=says):
            nb05.insert_prompts(student)
    assert share(nb05.insert_prompts, student) == pytest.approx(earns)


def test_half_a_batch_in_the_table_is_noticed(connection):
    def half(client, table, rows, *, batch_size=500):
        done = 0
        for number, row in enumerate(rows):
            if not is_good(row):
                raise ValueError(f"row {number} is bad")
            done += insert(client, table, [row])
        return done

    with pytest.raises(CheckFailed, match="should be in the table, and none of its own batch, but there are"):
        nb05.insert_prompts(half)


# -- recall


def recall(approximate, exact, k):
    shares = [len(set(a[:k]) & set(e[:k])) / len(e[:k]) for a, e in zip(approximate, exact, strict=True)]
    return sum(shares) / len(shares)


def test_recall_is_checked_by_lists_that_can_be_counted_by_hand(capsys):
    nb05.recall_at_k(recall)
    assert "100 % of the points" in capsys.readouterr().out
    assert share(nb05.recall_at_k, lambda a, e, k: np.float64(recall(a, e, k))) == 1
    with pytest.raises(CheckFailed, match="the order within the top k does not count"):
        nb05.recall_at_k(lambda a, e, k: float(np.mean([x[:k] == y[:k] for x, y in zip(a, e, strict=True)])))
    with pytest.raises(CheckFailed, match="changed one of its inputs"):
        nb05.recall_at_k(lambda a, e, k: [recall(a, e, k), a[0].append(1)][0])
    with pytest.raises(CheckFailed, match="should return a float, but it returned None"):
        nb05.recall_at_k(lambda a, e, k: None)


# -- improving a prompt


def improve(chat, idea, neighbours, *, told=slice(None), strip=' \n"', times=1, refuse=True):
    text = "\n".join([f"Improve: {idea}", *neighbours[told]])
    for _ in range(times):
        reply = chat.invoke(text).content.strip(strip)
    if refuse and not reply.strip():
        raise ValueError("nothing")
    return reply


@pytest.mark.parametrize(
    "mistake, says, earns",
    [
        ({}, None, 1),
        ({"told": slice(0, 1)}, "should contain all 3 neighbours, but it contains 1", 0.45),
        ({"told": slice(None, None, -1)}, "in the order they come in", 0.97),
        ({"strip": " \n"}, "without spaces and quotation marks around", 0.85),
        ({"times": 2}, "asked once, but it was asked 2 times", 0.97),
        ({"refuse": False}, "should raise a ValueError, but it returned the str ''", 0.93),
    ],
)
def test_the_sentence_names_a_mistake_in_asking_the_chat(mistake, says, earns):
    def student(chat, idea, neighbours):
        return improve(chat, idea, neighbours, **mistake)

    if says:
        with pytest.raises(CheckFailed, match=says):
            nb05.improve_prompt(student)
    assert share(nb05.improve_prompt, student) == pytest.approx(earns)


# -- drawing and storing


def draw_and_store(
    client,
    table,
    prompt,
    *,
    seed=0,
    steps=25,
    folder="generated_images",
    stored=True,
    shows=None,
    use_seed=True,
    use_steps=True,
    path=False,
    **changes,
):
    """A student's generate_and_store, with a mistake where the arguments say so."""
    from diffusers import StableDiffusionPipeline

    pipe = object.__new__(StableDiffusionPipeline)  # without weights: the fake one draws
    picture = pipe(
        shows or prompt,
        num_inference_steps=steps if use_steps else 25,
        generator=torch.Generator().manual_seed(seed if use_seed else 0),
    ).images[0]
    name = f"made-{random.getrandbits(60):x}"
    file = Path(folder, f"{name}.png")
    file.parent.mkdir(exist_ok=True, parents=True)
    picture.save(file)
    url = str(file) if path else file.resolve().as_uri()
    row = {"id": name, "prompt": prompt, "url": url, "width": 32, "height": 32, "source_site": "generated"} | changes
    if stored:
        insert_rows(client, table, [row], vectors([prompt]))
    return row


@pytest.mark.parametrize(
    "mistake, says, earns",
    [
        ({}, None, 1),
        ({"stored": False}, "There should be one more row in the table", 0.62),
        ({"width": 512}, "The picture has 32 × 32 pixels, but the row says 512 × 32", 0.97),
        ({"use_seed": False}, "Another seed gave the same picture", 0.95),
        ({"use_steps": False}, "With steps=4 the pipeline should take 4 steps, but it took 25", 0.97),
        ({"source_site": "diffusion"}, 'should be "generated"', 0.98),
        ({"shows": "a small white moon, at night"}, "but it was asked for 'a small white moon, at night'", 0.5),
        ({"path": True}, r"use path\.resolve\(\)\.as_uri\(\)", 0.97),
    ],
)
def test_the_sentence_names_a_mistake_in_drawing_and_storing(connection, mistake, says, earns):
    def student(client, table, prompt, **options):
        return draw_and_store(client, table, prompt, **options, **mistake)

    if says:
        with pytest.raises(CheckFailed, match=says):
            nb05.generate_and_store(student)
    assert share(nb05.generate_and_store, student) == pytest.approx(earns)


def test_an_address_without_a_picture_is_said(tmp_path):
    drawn = drawing.Drawn("a cat", {name: str(tmp_path / "none.png") for name in COLUMNS}, [], 1)
    with pytest.raises(CheckFailed, match=r"use the file's URL, path\.resolve\(\)\.as_uri\(\)"):
        assert drawn.picture
