"""The checks of notebook 05 listen to what a database and a chat are asked, and name the mistake.

CLIP and the image model are stood in for by vectors and pictures made from the text itself; the database is real, in memory.
"""

import hashlib
from contextlib import nullcontext
from itertools import islice
from numbers import Integral
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import store
from helpers.checks import CheckFailed, nb05
from helpers.settings import settings

NEAREST = (
    "SELECT prompt, url, {distance}(prompt_vector, {{v:Array(Float32)}}) AS dist FROM {{t:Identifier}} "
    "ORDER BY dist {order} LIMIT {{k:UInt32}}"
)


def vectors(items):
    """A vector of length 1 for each text or picture, always the same; a picture's is that of the text it hides."""
    rows = []
    for item in items:
        text = item if isinstance(item, str) else item.info.get("text", str(item.tobytes()))
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        rows.append(np.random.default_rng(seed).normal(size=512))
    rows = np.array(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
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


def search(client, table, query, k=5, *, distance="cosineDistance", order="", sql=None, columns=None):
    sql = sql or NEAREST.format(distance=distance, order=order)
    found = client.query_df(sql, parameters={"v": vectors([query])[0].tolist(), "t": table, "k": k})
    return found[columns] if columns else found


def test_a_right_search_passes_and_is_told_that_it_is_not_the_whole_grade(connection, capsys):
    nb05.search_by_text(search)
    nb05.search_by_image(search)
    assert capsys.readouterr().out.count("hidden tests decide") == 2


@pytest.mark.parametrize(
    "mistake, says",
    [
        ({"order": "DESC"}, "the farthest came first"),
        ({"distance": "L2Distance"}, "Take cosineDistance"),
        ({"distance": "1 - cosineDistance", "order": "DESC"}, "holds the cosine similarity"),
        ({"columns": ["prompt", "dist"]}, "should be prompt, url and dist, but they are prompt, dist"),
        ({"columns": ["prompt", "dist", "url"]}, "but they are prompt, dist, url"),
    ],
)
def test_the_sentence_names_a_mistake_in_searching(connection, mistake, says):
    with pytest.raises(CheckFailed, match=says):
        nb05.search_by_text(lambda client, table, query, k=5: search(client, table, query, k, **mistake))


@pytest.mark.parametrize(
    "sql, says",
    [
        (lambda v, t, k: NEAREST.replace("{{v:Array(Float32)}}", str(v)), "numbers stand in the text of the SQL"),
        (lambda v, t, k: NEAREST.replace("{{k:UInt32}}", str(k)), "changes with the query or with k"),
        (lambda v, t, k: NEAREST.replace("{{k:UInt32}}", "5"), "for the query 'a red cat' and k = 3 there should be 3"),
    ],
)
def test_values_in_the_sql_are_noticed(connection, sql, says):
    def wrong(client, table, query, k=5):
        text = sql(vectors([query])[0].tolist(), table, k).format(distance="cosineDistance", order="")
        return search(client, table, query, k, sql=text)

    with pytest.raises(CheckFailed, match=f"(?i){says}"):
        nb05.search_by_text(wrong)


def test_fetching_all_rows_is_noticed(connection):
    def wrong(client, table, query, k=5):
        found = client.query_df(f"SELECT prompt, url, prompt_vector FROM {table}")
        found["dist"] = 1 - np.stack(found.prompt_vector) @ vectors([query])[0]
        return found.sort_values("dist")[:k][["prompt", "url", "dist"]]

    with pytest.raises(CheckFailed, match="12 rows came from the database for k = 3"):
        nb05.search_by_text(wrong)


def test_another_client_or_table_is_noticed(connection):
    with pytest.raises(CheckFailed, match="did not ask the client that it was given"):
        nb05.search_by_text(lambda client, table, query, k=5: search(connection, table, query, k))
    with pytest.raises(CheckFailed, match="there should be 3 rows, but there are 0"):
        nb05.search_by_text(lambda client, table, query, k=5: client.query_df(f"SELECT url FROM {table} LIMIT 0"))
    with pytest.raises(CheckFailed, match="should return a pandas DataFrame, but it returned None"):
        nb05.search_by_text(lambda client, table, query, k=5: client.command("SELECT 1") and None)


def test_only_the_table_with_its_rule_passes(connection):
    def create(client, table, how="TABLE IF NOT EXISTS", rule=", CONSTRAINT r CHECK length(prompt_vector) = 512"):
        client.command(
            f"CREATE {how} {table} (id String, prompt String, url String, width UInt32, height UInt32, "
            f"source_site String, prompt_vector Array(Float32){rule}) ENGINE = MergeTree ORDER BY id"
        )

    nb05.create_table(create)
    for options, says in (
        ({"rule": ""}, "took a vector of 511 numbers"),
        ({"how": "TABLE"}, "write CREATE TABLE IF NOT EXISTS"),
        ({"how": "OR REPLACE TABLE"}, "after a second create_table there are 0"),
    ):
        with pytest.raises(CheckFailed, match=says):
            nb05.create_table(lambda client, table, options=options: create(client, table, **options))
    with pytest.raises(CheckFailed, match="there is no table of that name"):
        nb05.create_table(lambda client, table: None)


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
            data = [[*map(row.get, nb05.COLUMNS), vector] for row, vector in zip(batch, made, strict=True)]
            for part in parts(data):
                client.insert(table, part, column_names=[*nb05.COLUMNS, "prompt_vector"])
            done += len(batch)
    return done


def why(row):
    return "a key is missing" if "url" not in row else "no width" if row["width"] == -1 else "no text"


def is_good(row):
    whole = all(isinstance(size, Integral) and size >= 0 for size in (row.get("width"), row.get("height")))
    told = all(isinstance(row.get(name), str) for name in ("id", "prompt", "url", "source_site"))
    return whole and told and row["prompt"].strip() != ""


def test_a_right_insert_passes(connection, capsys):
    nb05.insert_prompts(insert)
    assert "insert_prompts: visible check passed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "mistake, says",
    [
        ({"take": list}, "7 of 7 rows had been taken"),
        ({"parts": lambda data: [[row] for row in data]}, "are 3 inserts, but there were 7"),
        ({"bar": lambda **options: nullcontext()}, "no progress bar"),
        ({"first": 1}, "should name the bad row by its number, 4"),
        ({"look": lambda row: "url" in row}, "Row 1 is bad: its prompt is blank"),
        ({"look": lambda row: is_good(row | {"url": ""}) and "url" in row}, "Row 5 is bad: its url is None"),
        ({"look": lambda row: True}, "Row 4 is bad: it has no url"),
        ({"parts": lambda data: []}, "7 rows were to be stored, but 0 are in the table"),
    ],
)
def test_the_sentence_names_a_mistake_in_inserting(connection, mistake, says):
    with pytest.raises(CheckFailed, match=says):
        nb05.insert_prompts(
            lambda client, table, rows, *, batch_size: insert(client, table, rows, batch_size=batch_size, **mistake)
        )


def test_half_a_batch_in_the_table_is_noticed(connection):
    def half(client, table, rows, *, batch_size=500):
        done = 0
        for number, row in enumerate(rows):
            if not is_good(row):
                raise ValueError(f"row {number} is bad")
            done += insert(client, table, [row])
        return done

    good = nb05.fresh_rows(5, seed=1)
    with pytest.raises(CheckFailed, match="0 rows should be in the table and nothing of its own, but there are 2"):
        nb05.refuses(half, good, {2: {}}, "it is empty", batch_size=3)


def test_an_index_counts_when_it_is_built(connection):
    def index(client, table, statements=slice(None), old="", new=""):
        for statement in store.index_ddl(client, table)[statements]:
            client.command(statement.replace(old, new) if old else statement)

    nb05.create_index(index)
    for options, says in (
        ({"statements": slice(0, 1)}, "knows none of the rows that were stored before"),
        ({"old": "cosineDistance", "new": "L2Distance"}, "made for another distance"),
        ({"old": " IF NOT EXISTS", "new": ""}, "Write ADD INDEX IF NOT EXISTS"),
        ({"statements": slice(0, 0)}, "should be one index on the table, but there are 0"),
    ):
        with pytest.raises(CheckFailed, match=says):
            nb05.create_index(lambda client, table, options=options: index(client, table, **options))


def test_recall_is_checked_by_hand_made_lists(capsys):
    def recall(approximate, exact, k):
        shares = [len(set(a[:k]) & set(e[:k])) / len(e[:k]) for a, e in zip(approximate, exact, strict=True)]
        return sum(shares) / len(shares)

    nb05.recall_at_k(recall)
    assert "visible check passed" in capsys.readouterr().out
    with pytest.raises(CheckFailed, match="the order within the top k does not count"):
        nb05.recall_at_k(lambda a, e, k: float(np.mean([x[:k] == y[:k] for x, y in zip(a, e, strict=True)])))
    with pytest.raises(CheckFailed, match="changed the lists"):
        nb05.recall_at_k(lambda a, e, k: [recall(a, e, k), a.append([])][0])


def improve(chat, idea, neighbours, *, told=slice(None), strip=' \n"', times=1):
    text = "\n".join([f"Improve: {idea}", *neighbours[told]])
    for _ in range(times):
        reply = chat.invoke(text).content.strip(strip)
    if not reply.strip():
        raise ValueError("nothing")
    return reply


@pytest.mark.parametrize(
    "mistake, says",
    [
        ({"told": slice(0, 1)}, "Of the 2 neighbours the chat was told 1"),
        ({"told": slice(None, None, -1)}, "in the order they come in"),
        ({"strip": " \n"}, "without spaces and quotation marks around"),
        ({"times": 2}, "asked once, but it was asked 2 times"),
    ],
)
def test_the_sentence_names_a_mistake_in_asking_the_chat(mistake, says):
    nb05.improve_prompt(improve)
    with pytest.raises(CheckFailed, match=says):
        nb05.improve_prompt(lambda chat, idea, neighbours: improve(chat, idea, neighbours, **mistake))


def test_a_prompt_made_of_nothing_is_noticed():
    def unmoved(chat, idea, neighbours):
        return chat.invoke("\n".join([idea, *neighbours])).content.strip(' \n"')

    with pytest.raises(CheckFailed, match="should raise a ValueError, but it returned ''"):
        nb05.improve_prompt(unmoved)


# -- drawing and storing: the image model's pictures hide their prompt, and the stand-in for CLIP reads it


def paint(prompt, seed, steps):
    picture = Image.new("RGB", (8, 6), (seed % 256, steps, 7))
    picture.info["text"] = prompt
    return picture


@pytest.fixture
def pictures(monkeypatch):
    """The pictures by their addresses, for a file would not keep what they carry."""
    kept = {}
    monkeypatch.setattr(nb05, "_draw", paint)
    monkeypatch.setattr(nb05, "_picture_at", lambda url: kept[url])
    return kept


def draw_and_store(
    pictures,
    client,
    table,
    prompt,
    *,
    seed,
    steps,
    folder,
    stored=True,
    shows=None,
    use_seed=True,
    use_steps=True,
    **changes,
):
    """A student's generate_and_store, with a mistake where the arguments say so."""
    name = f"made-{len(pictures)}"
    picture = paint(shows or prompt, seed if use_seed else 0, steps if use_steps else 0)
    path = Path(folder, f"{name}.png")
    path.parent.mkdir(exist_ok=True)
    picture.save(path)
    url = path.as_uri()
    pictures[url] = picture
    row = {"id": name, "prompt": prompt, "url": url, "width": 8, "height": 6, "source_site": "generated"} | changes
    if stored:
        nb05.insert(client, table, [row], vectors([prompt]))
    return row


@pytest.mark.parametrize(
    "mistake, says",
    [
        ({}, None),
        ({"stored": False}, "One row more should be in the table"),
        ({"width": 512}, "The picture is 8 × 6 pixels, but the row says 512 × 6"),
        ({"use_seed": False}, "Another seed gave the same picture"),
        ({"use_steps": False}, "Half as many steps gave the same picture"),
        ({"source_site": "diffusion"}, 'should be "generated"'),
        ({"shows": "a small white moon, at night"}, "finds .* other prompts before this one"),
    ],
)
def test_the_sentence_names_a_mistake_in_drawing_and_storing(connection, pictures, mistake, says):
    def student(client, table, prompt, *, seed, steps, folder):
        options = {"seed": seed, "steps": steps, "folder": folder} | mistake
        return draw_and_store(pictures, client, table, prompt, **options)

    if says is None:
        return nb05.generate_and_store(student)
    with pytest.raises(CheckFailed, match=says):
        nb05.generate_and_store(student)


def test_an_address_without_a_picture_is_said(tmp_path):
    with pytest.raises(CheckFailed, match=r"take the file's address with path\.resolve\(\)\.as_uri\(\)"):
        nb05._picture_at(str(tmp_path / "picture.png"))
    Image.new("RGB", (3, 2)).save(tmp_path / "picture.png")
    assert nb05._picture_at((tmp_path / "picture.png").as_uri()).size == (3, 2)
