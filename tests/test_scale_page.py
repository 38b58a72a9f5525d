"""docs/scale.md: its SQL is SQL, its table is one that the course can fill, and its sums are right."""

import re
from pathlib import Path

import numpy as np
import pytest

from helpers import store
from helpers.collection import insert_rows, made_prompts

PAGE = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
STATEMENTS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
LOCAL, DISTRIBUTED, SELECT = STATEMENTS


@pytest.fixture(scope="module")
def client():
    client = store.connect("chdb://memory")
    yield client
    client.close()


@pytest.mark.parametrize("statement", STATEMENTS, ids=["local", "distributed", "select"])
def test_its_sql_is_understood(client, statement):
    assert "Query" in client.query(f"EXPLAIN AST {statement}", parameters={"v": [1.0]}).result_rows[0][0]


def test_a_shards_table_can_be_filled_and_searched(client):
    one_machine = LOCAL.replace(" ON CLUSTER course", "").replace("prompts_local", "prompts")
    client.command(re.sub(r"ReplicatedMergeTree\(.*?\)", "MergeTree", one_machine))
    rows = [row for row, _ in zip(made_prompts(), range(30), strict=False)]
    vectors = np.random.default_rng(0).normal(size=(30, store.VECTOR_LENGTH)).astype(np.float32)
    insert_rows(client, "prompts", rows, vectors)
    found = client.query(SELECT, parameters={"v": vectors[7].tolist()}).result_rows
    assert len(found) == 10 and found[0][:2] == (rows[7]["prompt"], rows[7]["url"])
    plan = client.query(f"EXPLAIN indexes = 1 {SELECT}", parameters={"v": vectors[7].tolist()}).result_rows
    assert "vec_idx" in str(plan)


def test_its_index_is_the_one_that_index_ddl_makes(client):
    (kind,) = re.findall(r"TYPE (vector_similarity\(.*?\))", LOCAL)
    assert kind in store.index_ddl(client, "prompts")[0]


def test_its_sums_are_right():
    column, index = store.VECTOR_LENGTH * 4, store.VECTOR_LENGTH * 2 + 32 * 2 * 4
    for number in (
        f"{column:,} bytes on",
        f"{index:,} bytes per vector",
        f"{100_000_000 * column / 4e9:.0f} GB on the disk",
    ):
        assert number in PAGE
    assert f"{900_000 * column / 1e9:.1f} GB" in PAGE and f"index: {900_000 * index / 1e9:.1f} GB" in PAGE
    assert f"index: {100_000_000 * index / 1e9:.0f} GB" in PAGE
    assert f"index\nof {100_000_000 * index / 4e9:.0f} GB in memory" in PAGE
