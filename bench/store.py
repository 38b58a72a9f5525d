"""Benchmark searches in the prompt store: chDB, exact and with its index, beside numpy, faiss and usearch.

    python bench/store.py --rows 10000 100000                        # random vectors
    python bench/store.py --prompts prompts.csv --folder bench-900k  # the prompts of a file, embedded by CLIP
    python bench/store.py --prompts prompts.csv --search 1000 --rerank 200

For each size it prints one table. Each row is measured in a separate process, so that peak memory is per row; all use the
same vectors and the same queries:

load      seconds until all rows are stored (for chDB: on the disk), without embedding them
build     seconds until the index is built; "cpu s" is the processor time for that, summed over threads
p50, p95  milliseconds of one search for the 10 nearest, one at a time: median and 95th percentile;
          "cpu ms" is the mean processor time of a search
recall    recall@10: the share of the true 10 nearest that was found
memory    the process's peak in MB, including the interpreter and its libraries (about 350 for chDB's)
disk      size of the table's files in MB

Times depend on the machine and its load: compare only the ratios within one run, and those of processor time if the
machine is busy. The random vectors lie near a 32-dimensional subspace of the 512 dimensions: real embeddings are
low-dimensional, too, and without that no index would help.

With --prompts the collection is loaded by `helpers.collection.load_prompts`, as a student would load it; its seconds
include embedding. --folder keeps the store; the next run resumes loading where the last one stopped. --search N also
searches for N of the collection's prompts, by another wording and by their picture, and prints how often the right one
came first, and among the first ten; and how well the distance of the nearest prompt separates ideas that are in the
collection from ideas that are not (AUROC). --rerank N takes N of the pictures to the end: 20 candidates from the store, a
caption by BLIP-2, and the candidates in the order of their agreement with it, as notebook 05 does; with the median times
of search and captioning.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from helpers import store
from helpers.collection import insert_rows, load_prompts, made_prompts
from helpers.store import VECTOR_LENGTH

ROOT = Path(__file__).resolve().parent.parent
K = 10
CHUNK = 20_000  # rows per pass
TABLE = "prompts"
CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    id String, prompt String, url String, width UInt16, height UInt16, source_site LowCardinality(String),
    prompt_vector Array(Float32) CODEC(NONE),
    CONSTRAINT vector_length CHECK length(prompt_vector) = {VECTOR_LENGTH}
) ENGINE = MergeTree ORDER BY id
"""
NEAREST = f"SELECT id FROM {TABLE} ORDER BY cosineDistance(prompt_vector, {{v:Array(Float32)}}) LIMIT {{k:UInt32}}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, nargs="+", default=[10_000], help="numbers of random vectors")
    arguments.add_argument("--queries", type=int, default=100, help="how many searches to measure")
    arguments.add_argument("--prompts", type=Path, help="a collection (CSV, Parquet) to embed and load instead")
    arguments.add_argument("--folder", type=Path, help="where to keep the collection's store; default: nowhere")
    arguments.add_argument("--search", type=int, default=0, metavar="N", help="also search for N of its prompts")
    arguments.add_argument("--rerank", type=int, default=0, metavar="N", help="also rerank for N of their pictures")
    arguments.add_argument("--threads", type=int, default=os.cpu_count(), help="threads for every row")
    arguments.add_argument("--step", nargs=2, help=argparse.SUPPRESS)  # for subprocesses: step and folder
    chosen = arguments.parse_args()
    if chosen.step:
        step, folder = chosen.step
        print(json.dumps(STEPS[step](Path(folder), chosen) | {"memory": peak_memory()}))
        return
    if chosen.folder and not chosen.prompts:
        arguments.error("--folder keeps the store of a collection: name one with --prompts")
    if (chosen.search or chosen.rerank) and not chosen.prompts:
        arguments.error("--search and --rerank look for prompts: name a collection with --prompts")
    for rows in [None] if chosen.prompts else chosen.rows:
        with kept(chosen.folder) as folder:
            compare(folder, rows, chosen)


def compare(folder: Path, rows: int | None, chosen: argparse.Namespace) -> None:
    """Fill a store in ``folder`` and print the table for it."""

    def run(step: str) -> dict:
        environment = os.environ | {
            "OMP_NUM_THREADS": str(chosen.threads),
            "COURSE_STORE": f"chdb://{folder / 'store'}",
        }
        command = [sys.executable, __file__, "--step", step, str(folder), "--queries", str(chosen.queries)]
        command += ["--threads", str(chosen.threads), "--search", str(chosen.search)]
        command += ["--rerank", str(chosen.rerank)]
        command += ["--prompts", str(chosen.prompts)] if chosen.prompts else ["--rows", str(rows)]
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(ran.stdout.splitlines()[-1])

    filled = run("fill")
    run("export")
    print(f"\n{filled['count']:,} rows of {VECTOR_LENGTH}, {chosen.threads} threads, {chosen.queries} queries")
    if chosen.prompts:
        print(
            f"embedded and stored in {filled['load']:,.0f} s with a peak of {filled['memory']:,.0f} MB: {filled['report']}"
        )
    print(" ".join([" " * 12, *(f"{title:>8}" for title in COLUMNS)]))
    for step in ENGINES:
        found = run(step)
        if step == "chDB exact" and not chosen.prompts:
            found["load"] = filled["load"]
        cells = (f"{found[name]:8{form}}" if name in found else " " * 8 for name, form in COLUMNS.values())
        print(" ".join([f"{step:12}", *cells]), flush=True)
    if chosen.search:
        found = run("search")
        for name, (first, ten) in found["recalls"].items():
            print(f"{name:24} recall@1 {first:.1%}, recall@10 {ten:.1%}, of {chosen.search} prompts")
        print(f"{'absent ideas':24} AUROC {found['auroc']:.4f}")
    if chosen.rerank:
        for name, way in run("rerank")["ways"].items():
            print(
                f"{'by the picture, ' + name:24} recall@1 {way['first']:.1%}, reranked {way['reranked']:.1%}, of {chosen.rerank} "
                f"prompts; p50 of a search {way['search']:.1f} ms, of a caption {way['caption']:.0f} ms"
            )


#: Each column's title, its key in a step's result, and its format.
COLUMNS = {
    "load s": ("load", ".2f"),
    "build s": ("build", ".2f"),
    "cpu s": ("build_cpu", ".2f"),
    "p50 ms": ("p50", ".2f"),
    "p95 ms": ("p95", ".2f"),
    "cpu ms": ("cpu", ".2f"),
    "recall": ("recall", ".3f"),
    "memory": ("memory", ".0f"),
    "disk": ("disk", ".0f"),
}


@contextmanager
def kept(folder: Path | None) -> Iterator[Path]:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.absolute()
    else:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)


# -- data


def random_vectors(n: int, seed: int) -> np.ndarray:
    """Return n float32 unit vectors near a 32-dimensional subspace, which is the same for every seed."""
    space = np.random.default_rng(0).normal(size=(32, VECTOR_LENGTH)).astype(np.float32)
    rng = np.random.default_rng((1, seed))
    vectors = rng.normal(size=(n, 32)).astype(np.float32) @ space
    vectors += 0.5 * rng.standard_normal((n, VECTOR_LENGTH), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fill(folder: Path, chosen: argparse.Namespace) -> dict:
    """Fill the store; the seconds returned are for storing, with --prompts also for embedding."""
    client = store.connect()
    client.command(CREATE)
    if chosen.prompts:
        start = time.perf_counter()
        report = load_prompts(client, TABLE, chosen.prompts)
        seconds = time.perf_counter() - start
        return {"count": client.command(f"SELECT count() FROM {TABLE}"), "load": seconds, "report": str(report)}
    (rows,), seconds = chosen.rows, 0.0
    blank = {"url": "", "width": 0, "height": 0, "source_site": ""}
    for start in range(0, rows, CHUNK):
        numbers = range(start, min(start + CHUNK, rows))
        made = [{"id": f"{i:09}", "prompt": f"prompt {i}", **blank} for i in numbers]
        vectors = random_vectors(len(made), start)
        begun = time.perf_counter()
        insert_rows(client, TABLE, made, vectors)
        seconds += time.perf_counter() - begun
    return {"count": rows, "load": seconds}


def export(folder: Path, chosen: argparse.Namespace) -> dict:
    """Save all vectors as vectors.npy, in the order of their ids, and the queries as queries.npy."""
    client = store.connect()
    count = client.command(f"SELECT count() FROM {TABLE}")
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (count, VECTOR_LENGTH))
    ids: list[str] = []
    while len(ids) < count:
        sql = f"SELECT id, prompt_vector FROM {TABLE} WHERE id > {{last:String}} ORDER BY id LIMIT {CHUNK}"
        block = client.query_arrow(sql, parameters={"last": ids[-1] if ids else ""}, use_strings=True)
        numbers = block["prompt_vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors[len(ids) : len(ids) + len(block)] = numbers.reshape(len(block), VECTOR_LENGTH)
        ids += block["id"].to_pylist()
    vectors.flush()
    (folder / "ids.txt").write_text("\n".join(ids))
    np.save(folder / "queries.npy", fresh_queries(chosen))
    return {}


def fresh_queries(chosen: argparse.Namespace) -> np.ndarray:
    if not chosen.prompts:
        return random_vectors(chosen.queries, -1 % 2**32)
    from helpers.clip import embed_texts

    return embed_texts([row["prompt"] for row in islice(made_prompts(seed=2**31), chosen.queries)])


# -- search engines: each returns its times and recall


def numpy_exact(folder: Path, chosen: argparse.Namespace) -> dict:
    vectors = np.load(folder / "vectors.npy")

    def search(query: np.ndarray) -> np.ndarray:
        similar = vectors @ query
        best = np.argpartition(-similar, K - 1)[:K]
        return best[np.argsort(-similar[best])]

    truth = [search(query) for query in np.load(folder / "queries.npy")]
    np.save(folder / "truth.npy", np.array(truth))
    return measured(folder, search)


def faiss_hnsw(folder: Path, chosen: argparse.Namespace) -> dict:
    import faiss

    faiss.omp_set_num_threads(chosen.threads)
    vectors = np.load(folder / "vectors.npy")
    index = faiss.IndexHNSWFlat(VECTOR_LENGTH, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 128, 256
    with clock() as built:
        index.add(vectors)
    del vectors
    return {**built, **measured(folder, lambda query: index.search(query[None], K)[1][0])}


def usearch_hnsw(folder: Path, chosen: argparse.Namespace) -> dict:
    from usearch.index import Index

    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    index = Index(
        ndim=VECTOR_LENGTH, metric="cos", dtype="bf16", connectivity=32, expansion_add=128, expansion_search=256
    )
    with clock() as built:
        index.add(np.arange(len(vectors)), np.asarray(vectors), threads=chosen.threads)
    return {**built, **measured(folder, lambda query: index.search(query, K).keys)}


def chdb_exact(folder: Path, chosen: argparse.Namespace) -> dict:
    client = store.connect()
    return {"disk": disk(client), **measured(folder, chdb_search(client, folder, chosen, store.EXACT))}


def chdb_hnsw(folder: Path, chosen: argparse.Namespace) -> dict:
    client = store.connect()
    with clock() as built:
        for statement in store.index_ddl(client, TABLE):
            client.command(statement)
    settings = {"hnsw_candidate_list_size_for_search": 256}
    found = measured(folder, chdb_search(client, folder, chosen, settings))
    return {**built, "disk": disk(client), **found}


def chdb_search(client, folder: Path, chosen: argparse.Namespace, settings: dict) -> Callable:
    number_of = {name: i for i, name in enumerate((folder / "ids.txt").read_text().split("\n"))}
    settings = store.known_settings(client, settings | {"max_threads": chosen.threads})

    def search(query: np.ndarray) -> list[int]:
        parameters = {"v": query.tolist(), "k": K}
        return [
            number_of[row[0]] for row in client.query(NEAREST, parameters=parameters, settings=settings).result_rows
        ]

    return search


def measured(folder: Path, search: Callable[[np.ndarray], np.ndarray]) -> dict:
    """Return p50 and p95 in milliseconds, and recall@K against the exact result."""
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    for query in queries[:5]:  # warm-up
        search(query)
    times, recalls, cpu = [], [], time.process_time()
    for query, nearest in zip(queries, truth, strict=True):
        start = time.perf_counter()
        found = search(query)
        times.append((time.perf_counter() - start) * 1e3)
        recalls.append(len(set(nearest.tolist()) & {int(i) for i in found}) / K)
    return {
        "p50": np.percentile(times, 50),
        "p95": np.percentile(times, 95),
        "cpu": (time.process_time() - cpu) * 1e3 / len(queries),
        "recall": float(np.mean(recalls)),
    }


@contextmanager
def clock() -> Iterator[dict]:
    """Yield a dict that after the block holds its wall-clock and processor seconds."""
    built: dict = {}
    start, cpu = time.perf_counter(), time.process_time()
    yield built
    built |= {"build": time.perf_counter() - start, "build_cpu": time.process_time() - cpu}


# -- finding the right prompt


def some_prompts(client, n: int) -> list[tuple[str, str]]:
    """Return id and prompt of n rows, as if drawn at random, but the same ones each time."""
    sql = f"SELECT id, prompt FROM {TABLE} ORDER BY sipHash64(id) LIMIT {{n:UInt32}}"
    return client.query(sql, parameters={"n": n}).result_rows


def search(folder: Path, chosen: argparse.Namespace) -> dict:
    """Return recall@1 and recall@K for prompts of the collection, by another wording and by the picture, and the AUROC."""
    import random

    from helpers.clip import embed_images, embed_texts
    from helpers.picturebook import describe, draw, parse

    client = store.connect()
    wanted = some_prompts(client, chosen.search)
    number_of = {name: i for i, name in enumerate((folder / "ids.txt").read_text().split("\n"))}
    right = [number_of[name] for name, _ in wanted]
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    rng = random.Random(0)

    def reworded(prompt: str) -> str:
        """Return a different caption of the same scene; a random one could be the prompt itself."""
        while (text := describe(parse(prompt), rng)) == prompt:
            pass
        return text

    ways = {
        "by another wording": embed_texts([reworded(prompt) for _, prompt in wanted]),
        "by the picture": embed_images([draw(parse(prompt), 128) for _, prompt in wanted]),
    }
    recalls = {}
    for name, queries in ways.items():
        ranks = ranks_of(right, queries, vectors)
        recalls[name] = (float(np.mean(ranks == 0)), float(np.mean(ranks < K)))
    present = [describe(parse(prompt), rng, detail=0.5) for _, prompt in wanted]
    absent = [f"{subject} {where}" for subject in SUBJECTS for where in ELSEWHERE]
    near, far = (nearest_distances(embed_texts(texts), vectors) for texts in (present, absent))
    return {"recalls": recalls, "auroc": float((far[:, None] > near).mean() + (far[:, None] == near).mean() / 2)}


#: Ideas from outside the picture-book world: each subject at each place.
SUBJECTS = (
    *(
        "a dragon",
        "a violin",
        "two knights",
        "a bowl of spaghetti",
        "an old woman",
        "a guitar",
        "an elephant",
        "a laptop",
    ),
    *("a teapot", "a ballet dancer", "a bicycle", "a skeleton", "a wizard", "a spider", "a penguin", "a pirate"),
)
ELSEWHERE = ("in a cathedral", "on a stage", "in the jungle", "on a bridge", "in a kitchen", "in the mountains")


def nearest_distances(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return for each query the cosine distance of the nearest of the vectors (n, length)."""
    nearest = np.full(len(queries), np.inf)
    for start in range(0, len(vectors), CHUNK):
        nearest = np.minimum(nearest, 1 - (vectors[start : start + CHUNK] @ queries.T).max(axis=0))
    return nearest


def rerank(folder: Path, chosen: argparse.Namespace) -> dict:
    """Return how often the right prompt comes first by its picture, before and after reranking, and the median times."""
    from course.evaluate.talk import Blip2
    from helpers.agreement import facts_of
    from helpers.clip import embed_images
    from helpers.picturebook import draw, parse

    client, model = store.connect(), Blip2(ROOT / "models")
    wanted = some_prompts(client, chosen.rerank)
    pictures = [draw(parse(prompt), 128) for _, prompt in wanted]
    model.captions(pictures[:1])  # warm-up
    facts, captioning = [], []
    for picture in pictures:
        start = time.perf_counter()
        facts.append(facts_of(*model.captions([picture])))
        captioning.append((time.perf_counter() - start) * 1e3)

    sql, vectors = NEAREST.replace("SELECT id", "SELECT id, prompt"), embed_images(pictures)
    ways = {}
    for name, settings in (("exact", store.EXACT), ("index", {"hnsw_candidate_list_size_for_search": 256})):
        settings = store.known_settings(client, settings | {"max_threads": chosen.threads})

        def nearest(vector: np.ndarray, settings: dict = settings) -> list[tuple[str, str]]:
            return client.query(sql, parameters={"v": vector.tolist(), "k": 20}, settings=settings).result_rows

        nearest(vectors[0])  # warm-up
        searching, first, reranked = [], 0, 0
        for (right, _), vector, seen in zip(wanted, vectors, facts, strict=True):
            start = time.perf_counter()
            rows = nearest(vector)
            searching.append((time.perf_counter() - start) * 1e3)
            best = max(rows, key=lambda row: agreement(facts_of(row[1]), seen))  # of equals the nearest
            first, reranked = first + (rows[0][0] == right), reranked + (best[0] == right)
        ways[name] = {"first": first / len(wanted), "reranked": reranked / len(wanted)}
        ways[name] |= {"search": np.median(searching), "caption": np.median(captioning)}
    return {"ways": ways}


def agreement(one: set[str], other: set[str]) -> float:
    """Return the share of all facts of two sets that both have."""
    return len(one & other) / max(len(one | other), 1)


def ranks_of(right: list[int], queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return for each query how many of the vectors (n, length) are nearer to it than the one that ``right`` names.

    That is its rank in an exact search, counted from 0; here thousands of queries share one pass.
    """
    own = (vectors[right] * queries).sum(axis=1) + 1e-6  # the product below may round differently
    ranks = np.zeros(len(queries), dtype=int)
    for start in range(0, len(vectors), CHUNK):
        ranks += (vectors[start : start + CHUNK] @ queries.T > own).sum(axis=0)
    return ranks


def peak_memory() -> float:
    """Return this process's peak resident memory in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def disk(client) -> float:
    """Return the MB of the table's active parts; those that a merge has replaced are deleted some minutes later."""
    return client.command(f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = '{TABLE}'") / 1e6


ENGINES = {
    "numpy exact": numpy_exact,  # first: the recall of the others is measured against it
    "faiss HNSW": faiss_hnsw,
    "usearch HNSW": usearch_hnsw,
    "chDB exact": chdb_exact,
    "chDB HNSW": chdb_hnsw,
}
STEPS = {"fill": fill, "export": export, "search": search, "rerank": rerank, **ENGINES}

if __name__ == "__main__":
    main()
