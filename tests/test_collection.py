"""helpers.collection: making, reading, embedding and storing prompts; and `course prompts`."""

import csv
import os
import signal
import subprocess
import sys
import tracemalloc
from itertools import islice

import numpy as np
import pytest
import store_server
from typer.testing import CliRunner

from course.cli import app
from helpers import store
from helpers.collection import COLUMNS, Report, load_prompts, made_prompts, making, read_prompts, write_prompts
from helpers.errors import PlainError
from helpers.picturebook import parse
from helpers.store import StoreError

#: As the rows of the dataset are: quotes, line breaks, commas, other scripts; and as they should not be.
KAGGLE = """\
id,prompt,url,width,height,source_site
00a1,"portrait of a ""cyber"" cat, trending on artstation",https://example.org/00a1.png,512,768,stablediffusionweb.com
00a2,"a poem:
roses are red

  -- and so on",https://example.org/00a2.png,512.0,512,lexica.art
00a3,,https://example.org/00a3.png,512,512,lexica.art
,a prompt without id,https://example.org/0.png,512,512,lexica.art
00a1,another prompt with the first id,https://example.org/00a1.png,512,512,lexica.art

00a4,"portrait of a ""cyber"" cat, trending on artstation",https://example.org/00a4.png,512,512,lexica.art
00a5,ein Frosch im Schnee 🐸,,,,
00a6,"unquoted, too many commas, here",https://example.org/6.png,512,512,lexica.art,more
00a7,large,https://example.org/7.png,huge,512,lexica.art
00a8,'; DROP TABLE prompts; --,https://example.org/8.png,512,512,lexica.art
00a9,cut off in the mid
"""
GOOD = ["00a1", "00a2", "00a5", "00a8"]
REFUSED = {
    "without prompt": "line 7",
    "without id": "line 8",
    "with the id of an earlier row": "line 9",
    "with the prompt of an earlier row": "line 11",
    "with more or fewer fields than the header's 6": "line 13",
    "with an invalid width": "line 14",
}


@pytest.fixture
def kaggle(tmp_path):
    path = tmp_path / "diffusion_prompts.csv"
    path.write_text(KAGGLE, encoding="utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    client = store.connect(f"chdb://{tmp_path_factory.mktemp('collection')}")
    yield client
    client.close()


def ddl(table):
    columns = "id String, prompt String, url String, width UInt16, height UInt16, source_site String"
    return (
        f"CREATE OR REPLACE TABLE {table} ({columns}, prompt_vector Array(Float32), "
        "CONSTRAINT vector_length CHECK length(prompt_vector) = 4) ENGINE = MergeTree ORDER BY id"
    )


@pytest.fixture
def table(client):
    client.command(ddl("prompts"))
    yield "prompts"
    client.command("DROP TABLE prompts SYNC")


def embed(texts):
    """A stand-in for CLIP: a vector that tells of its text."""
    return np.array([[1, len(text), sum(map(ord, text)) % 1000, 0] for text in texts], dtype=np.float32)


# -- making


def test_made_prompts_are_different_scenes_that_can_be_drawn():
    rows = list(islice(made_prompts(), 1500))
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 1500
    assert len({repr(parse(row["prompt"])) for row in rows}) == 1500
    assert tuple(rows[0]) == COLUMNS


def test_the_same_seed_gives_the_same_rows_and_another_gives_others():
    first = list(islice(made_prompts(1), 50))
    assert first == list(islice(made_prompts(1), 50))
    other = list(islice(made_prompts(2), 50))
    assert {row["id"] for row in first} != {row["id"] for row in other}


def test_a_scene_has_the_same_id_in_every_collection():
    ids = [{str(parse(row["prompt"])): row["id"] for row in islice(made_prompts(seed), 3000)} for seed in (1, 2)]
    common = ids[0].keys() & ids[1].keys()
    assert common and all(ids[0][scene] == ids[1][scene] for scene in common)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_written_file_is_read_back(tmp_path, suffix):
    path = write_prompts(tmp_path / f"made{suffix}", 120, seed=5)
    assert list(read_prompts(path)) == list(islice(made_prompts(5), 120))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_header_is_the_datasets(tmp_path):
    path = write_prompts(tmp_path / "made.csv", 1)
    assert path.read_text().splitlines()[0] == "id,prompt,url,width,height,source_site"


def test_an_interrupted_file_does_not_appear(tmp_path, monkeypatch):
    def interrupted(seed):
        yield from islice(made_prompts(seed), 3)
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "made_prompts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_prompts(tmp_path / "made.csv", 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "rows", "sentence"),
    [
        ("made.csv", 0, "A collection has 1 to 900,000 prompts, but 0 were requested"),
        ("made.csv", 900_001, "but 900,001 were requested"),
        ("made.txt", 1, r"made\.txt should end in \.csv or \.parquet"),
        ("nowhere/made.csv", 1, r"made\.csv can't be written \(No such file or directory\)"),
    ],
)
def test_what_can_not_be_written(tmp_path, name, rows, sentence):
    with pytest.raises(PlainError, match=sentence):
        write_prompts(tmp_path / name, rows)


def test_the_command(tmp_path):
    path = tmp_path / "made.csv"
    ran = CliRunner().invoke(app, ["prompts", "--rows", "7", "--output", str(path), "--seed", "5"])
    assert ran.exit_code == 0 and str(path) in ran.output
    assert list(read_prompts(path)) == list(islice(made_prompts(5), 7))
    ran = CliRunner().invoke(app, ["prompts", "--rows", "7", "--output", str(tmp_path / "made.txt")])
    assert ran.exit_code == 1 and "should end in .csv or .parquet" in ran.output


# -- reading


def test_the_datasets_csv_is_read_unchanged(kaggle):
    report = Report()
    rows = list(read_prompts(kaggle, report))
    assert [row["id"] for row in rows] == GOOD
    assert rows[0]["prompt"] == 'portrait of a "cyber" cat, trending on artstation'
    assert rows[1]["prompt"] == "a poem:\nroses are red\n\n  -- and so on"
    assert (rows[1]["width"], rows[1]["height"]) == (512, 512)
    assert rows[2] == dict(zip(COLUMNS, ("00a5", "ein Frosch im Schnee 🐸", "", 0, 0, ""), strict=True))
    assert report.first == REFUSED
    assert report.refused == dict.fromkeys(REFUSED, 1) | {"with more or fewer fields than the header's 6": 2}


def test_a_report_reads_as_a_sentence():
    report = Report(stored=1200, already_there=3)
    report.refuse("without prompt", "line 7")
    report.refuse("without prompt", "line 1,009")
    assert str(report) == "1,200 stored; 3 already there; 2 refused: 2 without prompt (first in line 7)"
    assert repr(Report()) == "0 stored"


def test_a_parquet_with_missing_values(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "prompts.parquet"
    frame = pandas.DataFrame({"id": ["a", "b", None], "prompt": ["one", None, "three"], "width": [512, None, 512]})
    frame.to_parquet(path)
    report = Report()
    assert [(row["id"], row["width"]) for row in read_prompts(path, report)] == [("a", 512)]
    assert report.first == {"without prompt": "row 2", "without id": "row 3"}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gone.csv", None, r"gone\.csv can't be read \(No such file or directory\)"),
        ("empty.csv", b"", r"empty\.csv has no column id and no prompt.*first line has: nothing"),
        ("other.csv", b"text,label\nx,1\n", r"other\.csv has no column id and no prompt.*first line has: text, label"),
        ("zip.csv", b"PK\x03\x04\xff\xfe", r"has no column id and no prompt"),
        ("one line.csv", b"x" * 200_000, r"has no column id and no prompt"),
        ("no.parquet", b"id,prompt\n", r"no\.parquet is not a Parquet file, or is damaged"),
    ],
)
def test_files_that_are_no_collection(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PlainError, match=sentence):
        list(read_prompts(tmp_path / name))


HEADER = ",".join(COLUMNS) + "\n"
OPEN = "with a quote that is not closed"
GOOD_ROWS = "".join(f"f{i},a frog {i},u,1,1,s\n" for i in range(498))
QUOTED_ROWS = "".join(f'f{i},"a frog, {i}",u,1,1,s\n' for i in range(498))
LONG_ROWS = "".join(f"f{i},{i} {'word ' * 400},u,1,1,s\n" for i in range(498))


@pytest.mark.parametrize("rows", [GOOD_ROWS, QUOTED_ROWS, LONG_ROWS], ids=["plain", "quoted", "long"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_an_open_quote_is_named_with_its_line_and_costs_no_other(tmp_path, rows, end):
    path = tmp_path / "quote.csv"
    text = f'{HEADER}a,"two\nlines",u,1,1,s\n1,"a cat,u,1,1,s\n{rows}2,"a dog,u,1,1,s'
    path.write_text(text.replace("\n", end), encoding="utf-8", newline="")
    report = Report()
    assert [row["id"] for row in read_prompts(path, report)] == ["a", *(f"f{i}" for i in range(498))]
    assert report.refused == {OPEN: 2} and report.first == {OPEN: "line 4"}


@pytest.mark.parametrize(
    ("damaged", "read", "reason"),
    [
        ('1,"a "big" cat",u,1,1,s', ["1", "2", "3"], None),  # as before: what is meant is clear enough
        ('"1","a cat,"u","1","1","s"', ["2", "3"], "with more or fewer fields than the header's 6"),
        ('1,a cat,u,1,1,"s', ["2", "3"], OPEN),
        ('1,"a cat,u,1,1,s\n4,"a ""tall"" dog, too",u,1,1,s', ["4", "2", "3"], OPEN),
        (f"1,{'x' * 140_000},u,1,1,s", ["2", "3"], "with a field of more than 131,072 characters"),
    ],
)
def test_other_damage_with_quotes_costs_its_line(tmp_path, damaged, read, reason):
    path = tmp_path / "quotes.csv"
    path.write_text(f'{HEADER}{damaged}\n2,"a dog",u,1,1,s\n3,a frog,u,1,1,s\n', encoding="utf-8")
    report = Report()
    assert [row["id"] for row in read_prompts(path, report)] == read
    assert report.first == ({reason: "line 2"} if reason else {})


@pytest.mark.parametrize("header", ["id, prompt", 'id,"prompt'])
def test_a_header_may_have_spaces_and_an_open_quote(tmp_path, header):
    path = tmp_path / "header.csv"
    path.write_text(f"{header}\n1,a cat\n2, a dog\n", encoding="utf-8")
    assert [row["prompt"] for row in read_prompts(path)] == ["a cat", "a dog"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_csv_as_spreadsheets_write_it(tmp_path, encoding):
    path = tmp_path / "saved.csv"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_text(f"{mark}{HEADER}1,ein Frosch im Schnee 🐸,u,1,1,s\n", encoding=encoding)
    assert [row["prompt"] for row in read_prompts(path)] == ["ein Frosch im Schnee 🐸"]


def test_reading_holds_no_rows(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([i, f"{i} " + "word " * 2000, "", 1, 1, ""] for i in range(2000))
    tracemalloc.start()
    assert sum(1 for _ in read_prompts(path)) == 2000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 20e6 and peak < 4e6


# -- storing


def test_loading_stores_each_good_row_with_its_own_vector(client, table, kaggle):
    report = load_prompts(client, table, kaggle, embed=embed, batch_size=3)
    assert (report.stored, report.refused.total()) == (4, 7)
    found = client.query(f"SELECT id, prompt, prompt_vector FROM {table} ORDER BY id").result_rows
    assert [row[0] for row in found] == GOOD
    for _, prompt, vector in found:
        assert vector == embed([prompt])[0].tolist()


def test_loading_into_a_server(kaggle):
    with store_server.running() as double:
        client = store.connect(f"clickhouse://ada:s3cr%3At%2F@{double.place}")
        client.command(ddl("prompts"))
        assert load_prompts(client, "prompts", kaggle, embed=embed, batch_size=3).stored == 4
        assert load_prompts(client, "prompts", kaggle, embed=embed).already_there == 4
        found = client.query("SELECT id, prompt, prompt_vector FROM prompts ORDER BY id").result_rows
        client.close()
    assert [row[0] for row in found] == GOOD
    assert all(vector == embed([prompt])[0].tolist() for _, prompt, vector in found)


def test_loading_again_embeds_and_stores_nothing(client, table, kaggle):
    load_prompts(client, table, kaggle, embed=embed)
    report = load_prompts(client, table, kaggle, embed=lambda texts: pytest.fail("embedded again"))
    assert str(report).startswith("0 stored; 4 already there; 7 refused")
    assert client.command(f"SELECT count() FROM {table}") == 4


def test_a_batch_that_fails_leaves_nothing_of_itself(client, table, tmp_path):
    path = write_prompts(tmp_path / "made.csv", 30)
    calls = []

    def failing(texts):
        calls.append(len(texts))
        vectors = embed(texts)
        if len(calls) == 2:
            vectors[3] = 0
        return vectors

    with pytest.raises(StoreError, match="is all zeros"):
        load_prompts(client, table, path, embed=failing, batch_size=10)
    assert client.command(f"SELECT count() FROM {table}") == 10
    report = load_prompts(client, table, path, embed=embed, batch_size=10)
    assert (report.stored, report.already_there) == (20, 10)


def test_vectors_of_another_length_are_refused_by_the_table(client, table, kaggle):
    with pytest.raises(StoreError, match=r"violates the table's constraint length\(prompt_vector\) = 4"):
        load_prompts(client, table, kaggle, embed=lambda texts: np.ones((len(texts), 3)))
    with pytest.raises(PlainError, match="embed should return 4 vectors, one per text, but returned 1"):
        load_prompts(client, table, kaggle, embed=lambda texts: np.ones((1, 4)))
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_texts_of_a_length_are_embedded_side_by_side(client, table, kaggle):
    seen = []
    load_prompts(client, table, kaggle, embed=lambda texts: seen.extend(texts) or embed(texts))
    assert [len(text) for text in seen] == sorted(len(text) for text in seen)


LOADER = """
import sys
import numpy as np
from helpers import store
from helpers.collection import load_prompts

def embed(texts):
    print("next", flush=True)  # the batches before this one have been acknowledged
    return np.array([[1, len(text), 0, 0] for text in texts], dtype=np.float32)

client = store.connect(sys.argv[1])
client.command(sys.argv[2])
print(load_prompts(client, "killed", sys.argv[3], embed=embed, batch_size=50))
"""


def test_kill_9_loses_no_acknowledged_batch(tmp_path):
    batches = 6
    path = write_prompts(tmp_path / "made.csv", 1000)
    create = ddl("killed").replace("CREATE OR REPLACE TABLE", "CREATE TABLE IF NOT EXISTS")
    command = [sys.executable, "-c", LOADER, f"chdb://{tmp_path / 'store'}", create, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loader:
        for _ in range(batches + 1):
            assert loader.stdout.readline() == "next\n"
        os.kill(loader.pid, signal.SIGKILL)
    check = (
        "import sys; from helpers import store; c = store.connect(sys.argv[1]); "
        "print(*c.query('SELECT count(), uniqExact(id), countIf(length(prompt_vector) != 4) FROM killed').result_rows[0])"
    )
    ran = subprocess.run([sys.executable, "-c", check, command[3]], capture_output=True, text=True, check=True)
    count, different, broken = map(int, ran.stdout.split())
    assert count >= 50 * batches and count % 50 == 0 and different == count and broken == 0
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[-1] == f"{1000 - count:,} stored; {count:,} already there"
