"""helpers.store: embedded, on a server (a double over chDB, or a real one), and what it says when something fails.

A process can have one embedded store at a time: every test that needs the engine shares one, in a database of its own.
A real server is tested, too, where PICTURE_THIS_TEST_STORE names one: clickhouse://user:password@host:8123/database.
"""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
import store_server
from clickhouse_connect.driver.exceptions import DatabaseError

from helpers import store
from helpers.errors import PlainError
from helpers.settings import Settings, settings
from helpers.store import StoreError

REAL = os.environ.get("PICTURE_THIS_TEST_STORE")
INJECTIONS = [
    "'; DROP TABLE prompts; --",
    "') OR 1=1 --",
    "{v:Array(Float32)}",
    "%(table)s {0} %s",
    "back\\slash, \"double\", 'single', `tick`",
    "line\nbreak\ttab\0nul",
    "a 🐸 in the snow",
]


def python(code, *arguments, **options):
    """Runs ``code`` in another process, to its end."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("store") / "prompt_store"


@pytest.fixture(scope="module")
def embedded(folder):
    client = store.connect(f"chdb://{folder}")
    yield client
    client.close()


@pytest.fixture(scope="module")
def place():
    """Host and port of the server double; its user is ada, her password s3cr:t/"""
    with store_server.running() as double:
        yield double.place


@pytest.fixture(scope="module")
def server(place):
    client = store.connect(f"clickhouse://ada:s3cr%3At%2F@{place}")
    yield client
    client.close()


@pytest.fixture(scope="module")
def real():
    if not REAL:
        pytest.skip("PICTURE_THIS_TEST_STORE names no ClickHouse server")
    client = store.connect(REAL)
    yield client
    client.close()


@pytest.fixture(params=["embedded", "server", "real"])
def client(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def table(client):
    """A table of four-dimensional vectors with a length rule."""
    name = "pt_test_store"
    client.command(f"DROP TABLE IF EXISTS {name} SYNC")
    client.command(
        f"CREATE TABLE {name} (id String, prompt_vector Array(Float32), "
        f"CONSTRAINT vector_length CHECK length(prompt_vector) = 4) ENGINE = MergeTree ORDER BY id"
    )
    yield name
    client.command(f"DROP TABLE IF EXISTS {name} SYNC")


def insert(client, table, *rows):
    return client.insert(table, [list(row) for row in rows], column_names=["id", "prompt_vector"])


NEAREST = (
    "SELECT id, cosineDistance(prompt_vector, {{v:Array(Float32)}}) AS dist FROM {} ORDER BY dist LIMIT {{k:UInt32}}"
)


def nearest(client, table, vector, k=2, **wanted):
    parameters = {"v": vector, "k": k}
    return client.query(
        NEAREST.format(table), parameters=parameters, settings=store.known_settings(client, wanted)
    ).result_rows


# -- one client, one SQL


def test_what_is_stored_is_found_nearest_first(client, table):
    insert(client, table, ("east", [1, 0, 0, 0]), ("north", [0, 1, 0, 0]), ("west", [-1, 0, 0, 0]))
    found = nearest(client, table, [1.0, 0.1, 0, 0], k=3)
    assert [name for name, _ in found] == ["east", "north", "west"]
    assert found[0][1] == pytest.approx(1 - 1 / np.sqrt(1.01), abs=1e-6)


@pytest.mark.parametrize("text", INJECTIONS)
def test_bound_text_stays_text(client, table, text):
    insert(client, table, (text, [1, 0, 0, 0]), ("innocent", [0, 1, 0, 0]))
    found = client.query(f"SELECT id FROM {table} WHERE id = {{text:String}}", parameters={"text": text})
    assert found.result_rows == [(text,)]
    assert client.command(f"SELECT count() FROM {table}") == 2


def test_a_name_with_a_tick_in_it_is_still_a_name(embedded):
    name = "evil` (x Int8) ENGINE = Memory; --"
    embedded.command(f"CREATE TABLE {store.quoted(name)} (x Int8) ENGINE = Memory")
    assert name in [row[0] for row in embedded.query("SHOW TABLES").result_rows]
    embedded.command(f"DROP TABLE {store.quoted(name)}")
    assert store.quoted("course.prompts") == "`course`.`prompts`"


def test_threads_may_share_a_client(client, table):
    insert(client, table, ("east", [1, 0, 0, 0]))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(client.command, [f"SELECT count() FROM {table}"] * 8)) == [1] * 8


def test_a_notebook_may_connect_again(embedded, folder):
    again = store.connect(f"chdb://{folder}")
    embedded.command("CREATE OR REPLACE TABLE seen_by_both (x Int8) ENGINE = Memory")
    assert again.command("SELECT count() FROM seen_by_both") == 0
    again.close()
    embedded.command("DROP TABLE seen_by_both")


# -- the index


def test_the_index_finds_what_exact_search_finds(client, table):
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
    insert(client, table, *((f"{i:03}", vector.tolist()) for i, vector in enumerate(vectors)))
    for statement in store.index_ddl(client, table, length=4):
        client.command(statement)
    assert "vec_idx" in client.command(f"SHOW CREATE TABLE {table}")
    plan = "EXPLAIN indexes = 1 " + NEAREST.format(table)
    explained = {
        name: str(client.query(plan, parameters={"v": [1.0, 2, 3, 4], "k": 2}, settings=wanted).result_rows)
        for name, wanted in {"index": {}, "exact": store.EXACT}.items()
    }
    assert "vec_idx" in explained["index"] and "vec_idx" not in explained["exact"]
    exact = nearest(client, table, [1.0, 2, 3, 4], k=5, **store.EXACT)
    approximate = nearest(client, table, [1.0, 2, 3, 4], k=5, hnsw_candidate_list_size_for_search=300)
    assert len({row[0] for row in exact} & {row[0] for row in approximate}) >= 4


def test_distance_is_cosine_distance_and_uses_the_index(client, table):
    insert(client, table, ("east", [1, 0, 0, 0]), ("north", [0, 1, 0, 0]))
    asked = NEAREST.replace("cosineDistance", "distance").format(table)
    parameters = {"v": [1.0, 0.1, 0, 0], "k": 2}
    assert client.query(asked, parameters=parameters).result_rows == nearest(client, table, [1.0, 0.1, 0, 0])
    for statement in store.index_ddl(client, table, length=4):
        client.command(statement)
    assert "vec_idx" in str(client.query(f"EXPLAIN indexes = 1 {asked}", parameters=parameters).result_rows)


def test_who_may_make_no_function_is_told_to_write_cosine_distance(embedded, folder):
    embedded.command("DROP FUNCTION distance")
    with pytest.raises(StoreError, match=r"has no function distance.*Write cosineDistance instead"):
        embedded.command("SELECT distance([1, 0], [0, 1])")
    store.connect(f"chdb://{folder}").close()
    assert embedded.command("SELECT distance([1, 0], [0, 1])") == 1


def test_making_the_index_twice_is_no_fault(embedded):
    embedded.command("CREATE OR REPLACE TABLE twice (v Array(Float32)) ENGINE = MergeTree ORDER BY ()")
    for statement in store.index_ddl(embedded, "twice", column="v", length=4) * 2:
        embedded.command(statement)
    embedded.command("DROP TABLE twice")


def test_unknown_settings_are_not_sent(client):
    assert store.known_settings(client, {"max_threads": 1, "no_such_setting": 1}) == {"max_threads": 1}


class FakeMyScale:
    """Answers as MyScale does to the one question that tells it apart; no such server can be had for tests."""

    def command(self, sql):
        assert sql == "EXISTS TABLE system.vector_indices"
        return 1


def test_myscale_makes_its_index_in_its_own_words():
    assert store.index_ddl(FakeMyScale(), "prompts") == [
        "ALTER TABLE `prompts` ADD VECTOR INDEX vec_idx `prompt_vector` TYPE SCANN('metric_type=Cosine')"
    ]


# -- sentences


def test_a_vector_of_the_wrong_length_is_refused_with_its_row(client, table):
    with pytest.raises(
        StoreError, match=r"row 2 of the data violates the table's constraint length\(prompt_vector\) = 4"
    ):
        insert(client, table, ("a", [1, 2, 3, 4]), ("b", [1, 2]))
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_how_long_it_was_is_said(embedded):
    embedded.command("CREATE OR REPLACE TABLE ruled (prompt_vector Array(Float32), CONSTRAINT length CHECK length(prompt_vector) = 4, CONSTRAINT zero CHECK arrayExists(x -> x != 0, prompt_vector)) ENGINE = Memory")  # fmt: skip
    with pytest.raises(StoreError, match=r"its prompt_vector has 3 numbers\.$"):
        embedded.insert("ruled", [[[1, 2, 3]]])
    with pytest.raises(StoreError, match=r"its prompt_vector has 4 numbers, all of them 0\.$"):
        embedded.insert("ruled", [[[0, 0, 0, 0]]])
    embedded.command("DROP TABLE ruled")


def test_a_query_of_the_wrong_length_is_refused(client, table):
    insert(client, table, ("a", [1, 2, 3, 4]))
    with pytest.raises(StoreError, match="Embed both with the same CLIP model"):
        nearest(client, table, [1.0, 2])
    for statement in store.index_ddl(client, table, length=4):
        client.command(statement)
    with pytest.raises(StoreError, match="Embed both with the same CLIP model"):
        nearest(client, table, [1.0, 2])


def test_a_sentence_is_still_the_drivers_own_error(client, table):
    with pytest.raises(DatabaseError) as caught:
        insert(client, table, ("b", [1, 2]))
    assert isinstance(caught.value, PlainError) and caught.value.code == 469


def test_a_table_that_was_not_made_is_named(client):
    with pytest.raises(StoreError, match=r"Run the cell that makes it.*pt_no_such_table"):
        client.query("SELECT * FROM pt_no_such_table")


def test_other_errors_are_what_the_database_says_in_short(client, table):
    vector = np.random.default_rng(0).normal(size=512).tolist()
    with pytest.raises(StoreError, match=r"^Syntax error: failed at position \d+ \(FORM\)") as caught:
        client.query(f"SELECT id, cosineDistance(prompt_vector, {vector}) AS d FORM {table}")
    assert caught.value.code == 62 and len(str(caught.value)) <= 301
    for asked, parameters in (
        (f"SELECT cosineDistance(prompt_vektor, {vector}) FROM {table}", {}),
        (f"SELECT cosineDistance(prompt_vektor, {{v:Array(Float32)}}) FROM {table}", {"v": vector}),
    ):
        with pytest.raises(StoreError, match=r"prompt_vektor.*\[-?0\.\d+, -?0\.\d+, -?0\.\d+, …\]") as caught:
            client.query(asked, parameters=parameters)
        assert len(str(caught.value)) <= 301 and "DB::" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        (
            "ALTER TABLE {} ADD VECTOR INDEX vec_idx prompt_vector TYPE MSTG('metric_type=Cosine')",
            "Instead of `VECTOR INDEX vec_idx prompt_vector TYPE MSTG('metric_type=Cosine')` write "
            "`INDEX vec_idx prompt_vector TYPE vector_similarity('hnsw', 'cosineDistance', 512)`",
        ),
        (
            "CREATE TABLE other (id String, v Array(Float32),\n vector index i v TYPE SCANN('metric_type=L2')) "
            "ENGINE = MergeTree ORDER BY id",
            "write `INDEX i v TYPE vector_similarity('hnsw', 'L2Distance', 512)`",
        ),
        (
            "ALTER TABLE {} ADD INDEX vec_idx prompt_vector TYPE annoy('cosineDistance')",
            "Instead of `INDEX vec_idx prompt_vector TYPE annoy('cosineDistance')` write `INDEX vec_idx",
        ),
        ("ALTER TABLE {} DROP VECTOR INDEX vec_idx", "leave out the word VECTOR"),
        ("SELECT status FROM system.vector_indices", "Only MyScale has system.vector_indices"),
    ],
)
def test_the_words_of_other_databases_for_a_vector_index(client, table, statement, line):
    with pytest.raises(StoreError) as caught:
        client.command(statement.format(table))
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        (np.ones((2, 3)), r"shape \(n, 4\), but its shape is \(2, 3\)"),
        (np.ones(4), r"shape \(n, 4\), but its shape is \(4,\)"),
        (np.array([[1, 0, 0, 0], [0, 0, 0, 0]]), "Vector 1 is all zeros"),
        (np.array([[1, 0, 0, np.nan]]), "Vector 0 has NaN or infinity"),
        (np.array([[1, 0, 0, 0], [1, np.inf, 0, 0]]), "Vector 1 has NaN or infinity"),
    ],
)
def test_vectors_that_a_table_must_not_get(vectors, sentence):
    with pytest.raises(StoreError, match=sentence):
        store.check_vectors(vectors, 4)
    store.check_vectors(np.eye(4), 4)


# -- stores that can't be had


def test_another_process_has_it_open(embedded, folder):
    code = "import sys; from helpers import store; store.connect(sys.argv[1])"
    ran = python(code, f"chdb://{folder}")
    last = ran.stderr.strip().splitlines()[-1]
    assert ran.returncode == 1
    assert f"(process {os.getpid()}) has the prompt store in {folder} open; only one process at a time can" in last
    assert "Shut down that notebook's kernel" in last
    assert embedded.command("SELECT 1") == 1


def test_it_can_be_had_once_the_other_process_has_ended(tmp_path):
    code = "import sys; from helpers import store; c = store.connect(sys.argv[1]); c.command(sys.argv[2]); {}"
    address = f"chdb://{tmp_path}/kept"
    ended = python(
        code.format("import os; os._exit(9)"), address, "CREATE TABLE t (x Int8) ENGINE = MergeTree ORDER BY x"
    )
    assert ended.returncode == 9
    ran = python(code.format("print(c.command('SELECT count() FROM t'))"), address, "INSERT INTO t VALUES (1)")
    assert (ran.stdout, ran.returncode) == ("1\n", 0), ran.stderr


def test_a_second_store_in_one_process(embedded, folder, tmp_path):
    with pytest.raises(StoreError, match=f"already has another prompt store open, {folder}") as caught:
        store.connect(f"chdb://{tmp_path}")
    assert "client.close()" in str(caught.value)


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't be kept in .*/file \(File exists\). Set COURSE_STORE=chdb:///FOLDER"):
        store.connect(f"chdb://{tmp_path}/file")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("What is VQA?", r"What is VQA\? \(chDB does not allow a question mark in a name\)"),
        ("Why?/prompts", r"Why\?/prompts \(chDB does not allow a question mark in a name\)"),
        ("~nobody_of_this_name/prompts", r"~nobody_of_this_name/prompts \("),
        ("nul\0", r"nul\0 \("),
    ],
)
def test_a_folder_that_the_engine_would_take_for_another(monkeypatch, tmp_path, place, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=f"can't be kept in .*{reason}"):
        store.connect(f"chdb://{place}")
    assert list(tmp_path.iterdir()) == []


def test_a_working_folder_with_a_question_mark(monkeypatch, tmp_path):
    (tmp_path / "What is VQA?").mkdir()
    monkeypatch.chdir(tmp_path / "What is VQA?")
    with pytest.raises(StoreError, match="does not allow a question mark"):
        store.connect("chdb://prompt_store")
    assert [folder.name for folder in tmp_path.iterdir()] == ["What is VQA?"]


FOLDERS = ["sp ace", "ha#sh", "per%20cent", "a&b=c", "a+b", "a:b", "semi;colon", "quo'te", "Frösche 🐸"]


def test_other_folders_are_taken_by_their_names(tmp_path):
    code = (
        "import sys; from helpers import store\n"
        "for folder in sys.argv[1:]:\n"
        "    client = store.connect(f'chdb://{folder}')\n"
        "    client.command('CREATE TABLE t (x Int8) ENGINE = MergeTree ORDER BY x')\n"
        "    client.close()"
    )
    ran = python(code, *FOLDERS, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(FOLDERS)
    assert all((folder / "store").is_dir() for folder in tmp_path.iterdir())


def test_a_server_address_that_a_hash_cuts_off():
    with pytest.raises(StoreError, match="Write %23 for a #") as caught:
        store.connect("clickhouse://ada:12#ss@db.example.org/course")
    assert "12" not in str(caught.value)


@pytest.mark.parametrize(
    ("platform", "sentence"),
    [("win32", "does not run on Windows. Work in WSL"), ("linux", "run `pip install chdb` and restart")],
)
def test_no_engine(monkeypatch, tmp_path, platform, sentence):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("clickhouse_connect.get_client", lambda **_: (_ for _ in ()).throw(ImportError("no chdb")))
    with pytest.raises(StoreError, match=sentence):
        store.connect(f"chdb://{tmp_path}")


def test_nobody_answers():
    with pytest.raises(
        StoreError, match=r"^The database server at 127\.0\.0\.1:1 does not answer\. Check COURSE_STORE"
    ):
        store.connect("clickhouse://ada:s3cret@127.0.0.1:1/course")


def test_the_server_goes_away():
    with store_server.running() as double:
        client = store.connect(f"clickhouse://ada:s3cr%3At%2F@{double.place}")
        double.kill()
        double.wait()
        with pytest.raises(StoreError, match=rf"^The database server at {double.place} stopped answering"):
            client.command("SELECT 1")


def test_something_else_answers():
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Quiet) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(
            StoreError, match=rf"at 127.0.0.1:{other.server_port} does not speak ClickHouse's HTTP protocol"
        ):
            store.connect(f"clickhouse://127.0.0.1:{other.server_port}")
        other.shutdown()


def test_a_wrong_password_is_not_repeated(place):
    with pytest.raises(StoreError, match="does not accept the user 'ada' with this password") as caught:
        store.connect(f"clickhouse://ada:wr0ng@{place}")
    assert "COURSE_STORE_PASSWORD" in str(caught.value) and "wr0ng" not in str(caught.value)
    assert caught.value.code == 516


def test_the_password_may_come_from_the_environment(place, monkeypatch):
    monkeypatch.setenv("COURSE_STORE_PASSWORD", "s3cr:t/")
    settings.forget_secret("COURSE_STORE_PASSWORD")
    assert store.connect(f"clickhouse://ada@{place}").command("SELECT 1") == 1
    settings.forget_secret("COURSE_STORE_PASSWORD")


def test_no_such_database(place):
    with pytest.raises(StoreError, match="has no such database") as caught:
        store.connect(f"clickhouse://ada:s3cr%3At%2F@{place}/nowhere")
    assert "End COURSE_STORE with an existing one" in str(caught.value)


@pytest.mark.parametrize("address", ["postgres://host/db", "chdb://", "clickhouse://", "clickhouse://h/d?x=1", "/tmp"])
def test_an_address_that_is_none(address):
    with pytest.raises(StoreError, match="it should be chdb://FOLDER or clickhouse://USER@HOST:PORT/DATABASE"):
        store.connect(address)


def test_the_setting_keeps_its_password_to_itself(monkeypatch):
    monkeypatch.setenv("COURSE_STORE", "clickhouse://ada:s3cret@db.example.org/course")
    assert "s3cret" not in repr(Settings()) and Settings().store.startswith("clickhouse://ada")
    monkeypatch.setenv("COURSE_STORE", "mysql://ada:s3cret@db.example.org/course")
    with pytest.raises(
        PlainError, match=r"COURSE_STORE is 'mysql://…@db\.example\.org/course', but it should"
    ) as caught:
        Settings()
    assert "s3cret" not in str(caught.value)


def test_the_default_is_a_folder_of_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_STORE", raising=False)
    assert Settings().store == "chdb://prompt_store"
    code = "from helpers import store; c = store.connect(); print(c.command('SELECT 1'))"
    ran = python(code, cwd=tmp_path)
    assert ran.stdout == "1\n", ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["prompt_store"]
