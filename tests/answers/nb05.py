"""Answers to the exercises of notebook 05: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

EMBED_TEXTS = """
def embed_texts(texts, *, batch_size=256):
    clip = load("clip")
    {body}
"""

EMBED_IMAGES = """
def embed_images(images, *, batch_size=64):
    clip = load("clip")
    {body}
"""

CREATE_TABLE = '''
def create_table(client, table):
    client.command(
        f"""
        CREATE {create} {{store.quoted(table)}} (
            id String, prompt String, url String, width UInt32, height UInt32, source_site String,
            prompt_vector Array(Float32){rule}
        ) ENGINE = {engine}
        """
    )
'''
TABLE = {
    "create": "TABLE IF NOT EXISTS",
    "rule": ", CONSTRAINT vector_length CHECK length(prompt_vector) = 512",
    "engine": "MergeTree ORDER BY id",
}

# One insert; a mistake is made in one of its parts.
INSERT = """
def insert_prompts(client, table, rows, *, batch_size=500):
    {start}
    stored = 0
    names = COLUMNS + ["prompt_vector"]

    def look_at(number, row):
        for name in COLUMNS:
            if name not in row:
                raise ValueError(f"row {{number}}: there is no {{name}}")
        text = row["prompt"]
        if not all(isinstance(row[name], str) for name in {texts}) or {blank}:
            raise ValueError(f"row {{number}}: no text, or a blank prompt: {{row}}")
        for name in ("width", "height"):
            if {bad_side}:
                raise ValueError(f"row {{number}}: {{name}} is {{row[name]!r}}")

    for _ in tqdm(iter(lambda: 0, 1), desc="storing"):
        batch = list(islice(rows, batch_size))
        if not batch:
            {end}
        {loop}
        stored += len(batch)
"""
INSERT_RIGHT = {
    "start": "rows = iter(rows)",
    "texts": '["id", "prompt", "url", "source_site"]',
    "blank": 'text.strip() == ""',
    "bad_side": "not isinstance(row[name], Integral) or row[name] < 0",
    "end": "return stored",
    "loop": """for i, row in enumerate(batch):
            look_at(stored + i, row)
        vectors = embed_texts([row["prompt"] for row in batch]).tolist()
        client.insert(table, [[row[n] for n in COLUMNS] + [v] for row, v in zip(batch, vectors)], column_names=names)""",
}

SEARCH = """
def search_by_text(client, table, query, k=5):
    vector = embed_texts([query])[0]
    {body}
"""

IMAGE_SEARCH = """
def search_by_image(client, table, image, k=5):
    {body}
"""

RECALL = """
def recall_at_k(approximate, exact, k):
    {body}
"""

OR_NONE = """
def search_or_none(client, table, query, k=5, *, threshold):
    {body}
"""

FUSE = """
def fuse(rankings, *, k=60):
    {body}
"""

RERANK = """
def rerank(candidates, image, *, describe):
    {body}
"""

INDEX = """
def create_index(client, table):
    {body}
"""

IMPROVE = """
def improve_prompt(chat, idea, neighbours):
    {body}
"""

# A picture drawn and stored; a mistake is made in one of its parts.
GENERATE = """
def generate_and_store(client, table, prompt, *, seed=0, steps=25, folder="generated_images"):
    pipe = load("diffusion")
    generator = torch.Generator().manual_seed({seed})
    picture = pipe({drawn}, num_inference_steps=steps, guidance_scale=4.0, generator=generator).images[0]
    name = {name}
    folder = Path(folder)
    folder.mkdir(exist_ok=True, parents=True)
    file = folder.resolve() / (name + ".png")
    picture.save(file)
    row = dict(
        id=name, prompt=prompt, url={url}, width={width}, height=picture.size[1], source_site="generated"
    )
    {store}
    return {result}
"""
GENERATE_RIGHT = {
    "seed": "seed",
    "drawn": "[prompt]",
    "name": "str(uuid.uuid4())",
    "url": "file.as_uri()",
    "width": "picture.size[0]",
    "store": "insert_prompts(client, table, iter([row]), batch_size=1)",
    "result": "row",
}

TOLD_INSERT = """
def insert_prompts(client, table, rows, *, batch_size=500):
    rows, stored = iter(rows), 0
    with tqdm() as bar:
        while batch := list(islice(rows, batch_size)):
            fault = None
            for number, row in enumerate(batch, stored):
                missing = [name for name in COLUMNS if name not in row]
                texts = [row.get(name) for name in ("id", "prompt", "url", "source_site")]
                sides = [row.get(name) for name in ("width", "height")]
                if missing:
                    fault = f"row {number} has no {missing[0]}"
                elif not all(isinstance(t, str) for t in texts) or not row["prompt"].strip():
                    fault = f"row {number} has a text that is none"
                elif not all(isinstance(s, Integral) and s >= 0 for s in sides):
                    fault = f"row {number} has a side that is no whole number"
                if fault:
                    break
            if fault:
                raise ValueError(fault)
            vectors = embed_texts([row["prompt"] for row in batch])
            data = [[row[name] for name in COLUMNS] + [v] for row, v in zip(batch, vectors)]
            client.insert(table, data, column_names=[*COLUMNS, "prompt_vector"])
            stored += len(batch)
            bar.update(len(batch))
    return stored
"""

STORED_DRAWING = """
def generate_and_store(client, table, prompt, *, seed=0, steps=25, folder="generated_images"):
    generator = torch.Generator().manual_seed(seed)
    image = load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0, generator=generator).images[0]
    key = uuid.uuid4().hex
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / f"{key}.png"
    image.save(path)
    row = {"id": key, "prompt": prompt, "url": path.as_uri(), "width": image.width, "height": image.height, "source_site": "generated"}
    insert_prompts(client, table, [row])
    return row
"""

RIGHT = {
    "embed_texts": [
        EMBED_TEXTS.format(
            body="""found = []
    with torch.no_grad():
        for i in range(0, len(texts), batch_size):
            inputs = clip.processor(
                text=list(texts[i : i + batch_size]), padding="longest", truncation=True, return_tensors="pt"
            )
            output = clip.model.get_text_features(**inputs.to(clip.model.device))
            vectors = output.pooler_output.cpu().numpy().astype("float32")
            found.extend(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return np.array(found)"""
        ),
        """
from helpers import clip as measuring


def embed_texts(texts, *, batch_size=256):
    return measuring.embed_texts(texts, batch_size=batch_size)
""",
        """
def embed_texts(texts, *, batch_size=256):
    model, processor = load("clip")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # alike lengths need little padding
    vectors = torch.empty(len(texts), model.config.projection_dim)
    for places in torch.tensor(order).split(batch_size):
        some = [texts[i] for i in places.tolist()]
        inputs = processor(text=some, padding=True, truncation=True, return_tensors="pt").to(model.device)
        with torch.no_grad():
            vectors[places] = model.get_text_features(**inputs).pooler_output.float().cpu()
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()
""",
    ],
    "embed_images": [
        """
def embed_images(images, *, batch_size=64):
    model, processor = load("clip")
    left, vectors = [as_rgb(image) for image in images], []
    while left:
        now, left = left[:batch_size], left[batch_size:]
        with torch.no_grad():
            pixels = processor(images=now, return_tensors="pt")["pixel_values"].to(model.device, model.dtype)
            vectors.append(model.get_image_features(pixel_values=pixels).pooler_output.float().cpu())
    vectors = torch.cat(vectors)
    return (vectors / vectors.norm(dim=1, keepdim=True)).numpy()
""",
        EMBED_IMAGES.format(
            body="""from PIL import Image

    n = -(-len(images) // batch_size)
    out = np.empty((len(images), clip.model.config.projection_dim), dtype=np.float32)
    for i in range(n):
        part = slice(i * batch_size, (i + 1) * batch_size)
        batch = [picture.convert("RGBA") for picture in images[part]]
        batch = [Image.alpha_composite(Image.new("RGBA", each.size, "white"), each).convert("RGB") for each in batch]
        with torch.inference_mode():
            inputs = clip.processor(images=batch, return_tensors="pt").to(clip.model.device)
            out[part] = clip.model.get_image_features(**inputs).pooler_output.cpu().numpy()
    return out / np.sqrt((out**2).sum(axis=1))[:, None]"""
        ),
        """
def embed_images(images, *, batch_size=64):
    model, processor = load("clip")
    rest, rows = iter(images), []
    while batch := [as_rgb(image) for image in islice(rest, batch_size)]:
        pixels = processor.image_processor(batch, return_tensors="pt").pixel_values.to(model.device)
        with torch.inference_mode():
            seen = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
        rows += [row / np.linalg.norm(row) for row in seen.float().cpu().numpy()]
    return np.vstack(rows)
""",
    ],
    "create_table": [
        CREATE_TABLE.format(**TABLE),
        CREATE_TABLE.format(**TABLE | {"engine": "MergeTree() ORDER BY (id)"}),
        """
def create_table(client, table):
    if client.query("EXISTS TABLE {t:Identifier}", parameters={"t": table}).result_rows[0][0]:
        return
    columns = {name: "String" for name in COLUMNS} | {"width": "UInt32", "height": "UInt32"}
    columns["prompt_vector"] = "Array(Float32)"
    lines = [f"{name} {kind}" for name, kind in columns.items()]
    lines.append("CONSTRAINT length_512 CHECK 512 = length(prompt_vector)")
    client.command(f"CREATE TABLE `{table}` ({', '.join(lines)}) ENGINE = MergeTree() ORDER BY (id, prompt)")
""",
        """
def create_table(client, table):
    client.command(
        \"""CREATE TABLE IF NOT EXISTS {name:Identifier}
        (
            `id` String,
            `prompt` String,
            `url` String,
            `width` UInt32,
            `height` UInt32,
            `source_site` String,
            `prompt_vector` Array(Float32),
            CONSTRAINT c512 CHECK equals(length(prompt_vector), 512)
        )
        ENGINE = MergeTree()
        PRIMARY KEY id\""",
        parameters={"name": table},
    )
""",
    ],
    "insert_prompts": [
        INSERT.format(**INSERT_RIGHT),
        """
def insert_prompts(client, table, rows, *, batch_size=500):
    def store(batch, first):
        for number, row in enumerate(batch, first):
            try:
                assert set(COLUMNS) <= row.keys(), "a column is missing"
                assert row["prompt"].strip(), "the prompt is blank"
                assert row["width"] >= 0 and row["height"] >= 0, "a side is negative"
                assert row["width"] == int(row["width"]) and row["height"] == int(row["height"]), "a side is no whole number"
                assert all(isinstance(row[n], str) for n in COLUMNS[:3] + COLUMNS[5:]), "a field is no text"
            except (AssertionError, AttributeError, TypeError) as error:
                raise ValueError(f"Row {number} is bad: {error}") from error
        table_of_them = pd.DataFrame(batch)[COLUMNS]
        table_of_them["prompt_vector"] = list(embed_texts(table_of_them.prompt.tolist()))
        client.insert_df(table, table_of_them)

    batch, done = [], 0
    with tqdm(desc="prompts") as bar:
        for row in rows:
            batch.append(row)
            if len(batch) == batch_size:
                store(batch, done)
                done += len(batch)
                bar.update(len(batch))
                batch = []
        if batch:
            store(batch, done)
            done += len(batch)
    return done
""",
        """
def insert_prompts(client, table, rows, *, batch_size=500):
    def checked(number, row):
        def bad(what):
            return ValueError(f"Row number {number} can't be stored: {what}.")

        for name in COLUMNS:
            try:
                value = row[name]
            except KeyError:
                raise bad(f"{name} is missing") from None
            if name in ("width", "height"):
                if not isinstance(value, Integral) or value < 0:
                    raise bad(f"{name} should be a whole number from 0 on")
            elif not isinstance(value, str) or name == "prompt" and not value.strip():
                raise bad(f"{name} should be a text")
        return row

    numbered, total = enumerate(rows), 0
    with tqdm(unit="row") as bar:
        while batch := [checked(number, row) for number, row in islice(numbered, batch_size)]:
            columns = [[row[name] for row in batch] for name in COLUMNS]
            columns.append(list(embed_texts(columns[COLUMNS.index("prompt")])))
            client.insert(table, columns, column_names=[*COLUMNS, "prompt_vector"], column_oriented=True)
            total += len(batch)
            bar.update(len(batch))
    return total
""",
        TOLD_INSERT,
    ],
    "search_by_text": [
        SEARCH.format(
            body="""result = client.query(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist ASC LIMIT {n:UInt32}",
        parameters={"v": vector.tolist(), "t": table, "n": k},
    )
    return pd.DataFrame(result.result_rows, columns=["prompt", "url", "dist"])"""
        ),
        SEARCH.format(
            body="""sql = f"SELECT prompt, url, 1 - arraySum((a, b) -> a * b, prompt_vector, {{emb:Array(Float32)}}) AS dist FROM {table} ORDER BY dist LIMIT {{k:UInt64}}"
    return client.query_df(sql, parameters={"emb": [float(x) for x in vector], "k": k})"""
        ),
        SEARCH.format(
            body="""return client.query_df(
        "WITH {emb:Array(Float32)} AS target SELECT prompt, url, cosineDistance(prompt_vector, target) AS dist "
        f"FROM {store.quoted(table)} ORDER BY cosineDistance(prompt_vector, target) LIMIT {{k:UInt16}}",
        parameters=dict(emb=vector.tolist(), k=k),
    )"""
        ),
        """
def search_by_text(client, table, query, k=5):
    vector = embed_texts([query])[0].tolist()
    answer = client.query(
        \"""
        SELECT prompt, url, dist
        FROM (SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier})
        ORDER BY dist
        LIMIT {k:UInt64}
        \""",
        parameters={"v": vector, "t": table, "k": int(k)},
    )
    return pd.DataFrame(list(answer.named_results()), columns=answer.column_names)
""",
        """
def search_by_text(client, table, query, k=5):
    sql = "SELECT prompt, url, cosineDistance(prompt_vector, %(v)s) AS dist FROM `" + table + "` ORDER BY dist LIMIT %(k)s"
    return client.query_df(sql, parameters={"v": embed_texts([query])[0].tolist(), "k": k})
""",
    ],
    "search_by_image": [
        IMAGE_SEARCH.format(
            body="""sql = (
        "SELECT prompt, url, cosineDistance({v:Array(Float32)}, prompt_vector) AS dist FROM {t:Identifier} "
        "ORDER BY dist LIMIT {n:UInt32}"
    )
    (vector,) = embed_images([image], batch_size=1)
    rows = client.query(sql, parameters={"v": vector.tolist(), "t": table, "n": k}).result_rows
    return pd.DataFrame(rows, columns="prompt url dist".split())"""
        ),
        """
def _nearest(client, table, vector, k):
    return client.query_df(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist "
        "FROM {t:Identifier} ORDER BY dist LIMIT {k:UInt32}",
        parameters={"v": vector.tolist(), "t": table, "k": k},
    )


def search_by_image(client, table, image, k=5):
    return _nearest(client, table, embed_images([image])[0], k)
""",
        """
def search_by_image(client, table, image, k=5):
    vector = embed_images([image]).ravel().tolist()
    found = client.query_df(
        query="SELECT prompt, url, cosineDistance(prompt_vector, {vector:Array(Float32)}) dist FROM {table:Identifier} "
        "ORDER BY dist ASC, id LIMIT {k:UInt32}",
        parameters=dict(vector=vector, table=table, k=k),
    )
    return found[["prompt", "url", "dist"]]
""",
    ],
    "search_or_none": [
        OR_NONE.format(
            body="""found = search_by_text(client, table, query, k)
    is_near = len(found) > 0 and found["dist"].iloc[0] <= threshold
    return found if is_near else found.head(0)"""
        ),
        OR_NONE.format(
            body="""found = search_by_text(client, table, query, k=k)
    return found[[bool((found.dist <= threshold).any())] * len(found)]"""
        ),
        """
def search_or_none(client, table, query, k=5, *, threshold):
    found = client.query_df(
        \"""
        WITH found AS (
            SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist
            FROM {t:Identifier} ORDER BY dist LIMIT {k:UInt32}
        )
        SELECT prompt, url, dist FROM found WHERE (SELECT min(dist) FROM found) <= {threshold:Float64} ORDER BY dist
        \""",
        parameters={"v": embed_texts([query])[0].tolist(), "t": table, "k": k, "threshold": threshold},
    )
    return found if len(found) else pd.DataFrame(columns=["prompt", "url", "dist"])
""",
    ],
    "fuse": [
        FUSE.format(
            body="""scores = defaultdict(Fraction)
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            if ranking.index(found) == rank - 1:
                scores[found] += Fraction(1, k + rank)
    return sorted(scores, key=lambda found: -scores[found])"""
        ),
        """
def fuse(rankings, *, k=60):
    names = list(dict.fromkeys(name for ranking in rankings for name in ranking))

    def score(name):
        return sum(Fraction(1, k + ranking.index(name) + 1) for ranking in rankings if name in ranking)

    scores = {name: score(name) for name in names}
    return [name for _, _, name in sorted((-scores[name], place, name) for place, name in enumerate(names))]
""",
        """
from math import fsum


def fuse(rankings, *, k=60):
    parts = {}
    for ranking in rankings:
        seen = set()
        for rank, name in enumerate(ranking):
            if name not in seen:
                seen.add(name)
                parts.setdefault(name, []).append(1 / (k + rank + 1))
    return sorted(parts, key=lambda name: fsum(parts[name]), reverse=True)
""",
    ],
    "rerank": [
        RERANK.format(
            body="""told = facts_of(describe(image))
    ranked = candidates.copy()
    scores = []
    for prompt in ranked["prompt"]:
        own = facts_of(prompt)
        scores.append(len(own & told) / max(len(own | told), 1))
    ranked["score"] = scores
    ranked = ranked.sort_values(by=["score", "dist"], ascending=[False, True], kind="stable")
    return ranked.drop(columns="score")"""
        ),
        """
def rerank(candidates, image, *, describe):
    said = facts_of(describe(image))

    def key(place):
        row = candidates.iloc[place]
        prompt = facts_of(row.prompt)
        return -len(prompt.intersection(said)) / (len(prompt.union(said)) or 1), row.dist

    return candidates.iloc[sorted(range(len(candidates)), key=key)].reset_index(drop=True)
""",
        """
def rerank(candidates, image, *, describe):
    if candidates.empty:
        return candidates.copy()
    said = facts_of(describe(image))
    facts = [facts_of(prompt) for prompt in candidates.prompt]
    shared = np.array([len(said & each) / (len(said | each) or 1) for each in facts])
    return candidates.iloc[np.lexsort((candidates.dist, -shared))]
""",
    ],
    "create_index": [
        INDEX.format(
            body="""for statement in store.index_ddl(client, table):
        client.command(statement)"""
        ),
        INDEX.format(
            body="""client.command(
        f"ALTER TABLE `{table}` ADD INDEX IF NOT EXISTS vec_idx prompt_vector "
        "TYPE vector_similarity('hnsw', 'cosineDistance', 512, 'f32', 16, 64)"
    )
    client.command(f"ALTER TABLE `{table}` MATERIALIZE INDEX vec_idx")"""
        ),
        """
def create_index(client, table):
    name = {"parameters": {"table": table}}
    there = client.query(
        "SELECT count() FROM system.data_skipping_indices "
        "WHERE database = currentDatabase() AND table = {table:String} AND name = 'vec_idx'",
        **name,
    ).first_row[0]
    if not there:
        client.command(
            "ALTER TABLE {table:Identifier} ADD INDEX vec_idx prompt_vector "
            "TYPE vector_similarity('hnsw', 'cosineDistance', 512)",
            **name,
        )
    client.command("ALTER TABLE {table:Identifier} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2", **name)
""",
    ],
    "recall_at_k": [
        RECALL.format(
            body="""total = 0.0
    for found, true in zip(approximate, exact):
        wanted = true[:k]
        hits = sum(1 for i in wanted if i in found[:k])
        total += hits / len(wanted)
    return total / len(exact)"""
        ),
        RECALL.format(
            body="""return float(np.mean([np.isin(e[:k], a[:k]).mean() if a else 0 for a, e in zip(approximate, exact)]))"""
        ),
        """
def recall_at_k(approximate, exact, k):
    def share(found, true):
        true = set(true[:k])
        return len(true.intersection(found[:k])) / len(true)

    shares = list(map(share, approximate, exact))
    return float(np.mean(shares))
""",
    ],
    "improve_prompt": [
        """
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate


def improve_prompt(chat, idea, neighbours):
    template = ChatPromptTemplate.from_messages(
        [
            ("system", "You write prompts for an image model. Reply with the prompt alone."),
            ("human", "Idea: {idea}\\nExamples, the best first:\\n{examples}"),
        ]
    )
    chain = template | chat | StrOutputParser()
    text = chain.invoke({"idea": idea, "examples": "\\n".join(neighbours)}).strip(' \\n"')
    if text == "":
        raise ValueError("no answer")
    return text
""",
        """
from langchain_core.messages import HumanMessage, SystemMessage


def improve_prompt(chat, idea, neighbours):
    lines = [f"Make a better prompt of this: {idea}"]
    if neighbours:
        lines += ["Similar prompts:", *neighbours]
    reply = chat.invoke([SystemMessage("Be brief."), HumanMessage("\\n".join(lines))]).content
    reply = reply.strip()
    if reply.startswith('"'):
        reply = reply.strip('"')
    if not reply:
        raise ValueError("The model said nothing.")
    return reply
""",
        """
def improve_prompt(chat, idea, neighbours):
    examples = "".join(f"\\n- {prompt}" for prompt in neighbours)
    request = f"Improve this image prompt: {idea}" + ("\\nHere are good prompts:" + examples if examples else "")
    text = "".join(piece.text for piece in chat.stream(request))
    text = text.strip(' \\t\\r\\n"')
    if text:
        return text
    raise ValueError("The chat model gave no prompt.")
""",
    ],
    "generate_and_store": [
        GENERATE.format(**GENERATE_RIGHT),
        """
import base64
import io
import secrets


def generate_and_store(client, table, prompt, *, seed=0, steps=25, folder="generated_images"):
    torch.manual_seed(seed)
    picture = load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0).images[0]
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    number = secrets.token_hex(8)
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / f"{number}.png").write_bytes(buffer.getvalue())
    values = [number, prompt, (Path(folder).absolute() / f"{number}.png").as_uri(), *picture.size, "generated"]
    vector = embed_texts([prompt])[0]
    client.insert(table, [[*values, vector]], column_names=[*COLUMNS, "prompt_vector"])
    return dict(zip(COLUMNS, values))
""",
        """
def generate_and_store(client, table, prompt, *, seed=0, steps=25, folder="generated_images"):
    import os

    generator = torch.manual_seed(seed)
    image = load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0, generator=generator).images[0]
    os.makedirs(folder, exist_ok=True)
    key = f"{time.time_ns()}-{uuid.uuid4()}"
    file = Path(os.path.abspath(os.path.join(folder, f"{key}.png")))
    image.save(file, "PNG")
    width, height = image.size
    row = {"id": key, "prompt": prompt, "url": file.as_uri(), "width": width, "height": height}
    row["source_site"] = "generated"
    assert insert_prompts(client, table, [row]) == 1
    return row
""",
        STORED_DRAWING,
    ],
}

WRONG = {
    "embed_texts": [
        (
            "not of length 1",
            EMBED_TEXTS.format(
                body="""rows = []
    for i in range(0, len(texts), batch_size):
        inputs = clip.processor(text=texts[i : i + batch_size], padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(clip.model.get_text_features(**inputs).pooler_output.numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "normalised over the batch",
            EMBED_TEXTS.format(
                body="""rows = []
    for i in range(0, len(texts), batch_size):
        inputs = clip.processor(text=texts[i : i + batch_size], padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=0).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "all at once",
            EMBED_TEXTS.format(
                body="""inputs = clip.processor(text=texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        features = clip.model.get_text_features(**inputs).pooler_output
    return torch.nn.functional.normalize(features, dim=-1).numpy()"""
            ),
        ),
        (
            "one by one",
            EMBED_TEXTS.format(
                body="""rows = []
    for text in texts:
        inputs = clip.processor(text=[text], truncation=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "forgets the last batch",
            EMBED_TEXTS.format(
                body="""rows = []
    for i in range(max(len(texts) // batch_size, 1)):
        batch = texts[i * batch_size : (i + 1) * batch_size]
        inputs = clip.processor(text=batch, padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "a tensor",
            EMBED_TEXTS.format(
                body="""rows = []
    for i in range(0, len(texts), batch_size):
        inputs = clip.processor(text=texts[i : i + batch_size], padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=-1))
    return torch.cat(rows)"""
            ),
        ),
        (
            "texts as long as they are",
            EMBED_TEXTS.format(
                body="""rows = []
    for i in range(0, len(texts), batch_size):
        inputs = clip.processor(text=texts[i : i + batch_size], padding=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "one text gives a vector, not an array of one row",
            EMBED_TEXTS.format(
                body="""rows = []
    for i in range(0, len(texts), batch_size):
        inputs = clip.processor(text=texts[i : i + batch_size], padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=-1).numpy())
    return np.concatenate(rows).squeeze()"""
            ),
        ),
        (
            "takes the texts out of the list",
            EMBED_TEXTS.format(
                body="""rows = []
    while texts:
        inputs = clip.processor(text=texts[:batch_size], padding=True, truncation=True, return_tensors="pt")
        del texts[:batch_size]
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_text_features(**inputs).pooler_output, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "the same vector for all",
            """
def embed_texts(texts, *, batch_size=256):
    return np.full((len(texts), 512), 512**-0.5, dtype=np.float32)
""",
        ),
    ],
    "embed_images": [
        (
            "not of length 1",
            EMBED_IMAGES.format(
                body="""rows = []
    for i in range(0, len(images), batch_size):
        batch = [as_rgb(image) for image in images[i : i + batch_size]]
        with torch.no_grad():
            rows.append(clip.model.get_image_features(**clip.processor(images=batch, return_tensors="pt")).pooler_output)
    return torch.cat(rows).numpy()"""
            ),
        ),
        (
            "before the projection",
            EMBED_IMAGES.format(
                body="""rows = []
    for i in range(0, len(images), batch_size):
        batch = [as_rgb(image) for image in images[i : i + batch_size]]
        with torch.no_grad():
            seen = clip.model.vision_model(**clip.processor(images=batch, return_tensors="pt")).pooler_output
        rows.append(torch.nn.functional.normalize(seen, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "double precision",
            EMBED_IMAGES.format(
                body="""rows = []
    for i in range(0, len(images), batch_size):
        batch = [as_rgb(image) for image in images[i : i + batch_size]]
        with torch.no_grad():
            seen = clip.model.get_image_features(**clip.processor(images=batch, return_tensors="pt")).pooler_output
        rows.append(torch.nn.functional.normalize(seen.double(), dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "all at once",
            EMBED_IMAGES.format(
                body="""inputs = clip.processor(images=[as_rgb(image) for image in images], return_tensors="pt")
    with torch.no_grad():
        features = clip.model.get_image_features(**inputs).pooler_output
    return torch.nn.functional.normalize(features, dim=-1).numpy()"""
            ),
        ),
        (
            "only RGB pictures",
            EMBED_IMAGES.format(
                body="""rows = []
    for i in range(0, len(images), batch_size):
        if any(image.mode != "RGB" for image in images[i : i + batch_size]):
            raise ValueError("RGB pictures only")
        inputs = clip.processor(images=images[i : i + batch_size], return_tensors="pt")
        with torch.no_grad():
            rows.append(torch.nn.functional.normalize(clip.model.get_image_features(**inputs).pooler_output, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "transparent pixels become black",
            EMBED_IMAGES.format(
                body="""rows = []
    for i in range(0, len(images), batch_size):
        batch = [image.convert("RGB") for image in images[i : i + batch_size]]
        with torch.no_grad():
            seen = clip.model.get_image_features(**clip.processor(images=batch, return_tensors="pt")).pooler_output
        rows.append(torch.nn.functional.normalize(seen, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
        (
            "one by one",
            EMBED_IMAGES.format(
                body="""rows = []
    for image in images:
        with torch.no_grad():
            seen = clip.model.get_image_features(**clip.processor(images=as_rgb(image), return_tensors="pt"))
        rows.append(torch.nn.functional.normalize(seen.pooler_output, dim=-1).numpy())
    return np.concatenate(rows)"""
            ),
        ),
    ],
    "create_table": [
        ("no rule for the length", CREATE_TABLE.format(**TABLE | {"rule": ""})),
        (
            "a rule that lets short ones in",
            CREATE_TABLE.format(**TABLE | {"rule": ", CONSTRAINT r CHECK length(prompt_vector) <= 512"}),
        ),
        ("fails the second time", CREATE_TABLE.format(**TABLE | {"create": "TABLE"})),
        ("throws the old table away", CREATE_TABLE.format(**TABLE | {"create": "OR REPLACE TABLE"})),
        ("in memory", CREATE_TABLE.format(**TABLE | {"engine": "Memory"})),
        (
            "the name as it is in the SQL",
            CREATE_TABLE.replace("{{store.quoted(table)}}", "{{table}}").format(**TABLE),
        ),
        (
            "the vector first",
            """
def create_table(client, table):
    client.command(
        \"""CREATE TABLE IF NOT EXISTS {t:Identifier} (
            prompt_vector Array(Float32), id String, prompt String, url String, width UInt32, height UInt32,
            source_site String, CONSTRAINT vector_length CHECK length(prompt_vector) = 512
        ) ENGINE = MergeTree ORDER BY id\""",
        parameters={"t": table},
    )
""",
        ),
        ("always the same table", CREATE_TABLE.replace("{{store.quoted(table)}}", "prompts").format(**TABLE)),
        (
            "vectors as text",
            CREATE_TABLE.replace("Array(Float32)", "String").format(
                **TABLE | {"rule": ", CONSTRAINT r CHECK length(prompt_vector) = 512"}
            ),
        ),
        (
            "in no order",
            """
def create_table(client, table):
    client.command(
        \"""CREATE TABLE IF NOT EXISTS {t:Identifier} (
            id String, prompt String, url String, width UInt32, height UInt32, source_site String,
            prompt_vector Array(Float32), CONSTRAINT vector_length CHECK length(prompt_vector) = 512
        ) ENGINE = MergeTree ORDER BY tuple()\""",
        parameters={"t": table},
    )
""",
        ),
        (
            "sorted by prompt",
            """
def create_table(client, table):
    client.command(
        \"""CREATE TABLE IF NOT EXISTS {t:Identifier} (
            id String, prompt String, url String, width UInt32, height UInt32, source_site String,
            prompt_vector Array(Float32), CONSTRAINT vector_length CHECK length(prompt_vector) = 512
        ) ENGINE = MergeTree ORDER BY prompt\""",
        parameters={"t": table},
    )
""",
        ),
        (
            "rows of the same id replace each other",
            """
def create_table(client, table):
    client.command(
        \"""CREATE TABLE IF NOT EXISTS {t:Identifier} (
            id String, prompt String, url String, width UInt32, height UInt32, source_site String,
            prompt_vector Array(Float32), CONSTRAINT vector_length CHECK length(prompt_vector) = 512
        ) ENGINE = ReplacingMergeTree ORDER BY id\""",
        parameters={"t": table},
    )
""",
        ),
    ],
    "insert_prompts": [
        (
            "row by row",
            INSERT.format(
                **INSERT_RIGHT
                | {
                    "loop": """for i, row in enumerate(batch):
            look_at(stored + i, row)
        for row in batch:
            vector = embed_texts([row["prompt"]])[0]
            client.insert(table, [[row[n] for n in COLUMNS] + [vector]], column_names=names)"""
                }
            ),
        ),
        (
            "half a batch is stored",
            INSERT.format(
                **INSERT_RIGHT
                | {
                    "loop": """good = []
        try:
            for i, row in enumerate(batch):
                look_at(stored + i, row)
                good.append(row)
        finally:
            if good:
                vectors = embed_texts([row["prompt"] for row in good])
                data = [[row[n] for n in COLUMNS] + [v] for row, v in zip(good, vectors)]
                client.insert(table, data, column_names=names)"""
                }
            ),
        ),
        (
            "bad rows are left out silently",
            INSERT.format(
                **INSERT_RIGHT
                | {
                    "loop": """good = []
        for i, row in enumerate(batch):
            try:
                look_at(stored + i, row)
                good.append(row)
            except ValueError:
                pass
        if good:
            vectors = embed_texts([row["prompt"] for row in good])
            data = [[row[n] for n in COLUMNS] + [v] for row, v in zip(good, vectors)]
            client.insert(table, data, column_names=names)"""
                }
            ),
        ),
        (
            "the number within its batch",
            INSERT.format(**INSERT_RIGHT | {"loop": INSERT_RIGHT["loop"].replace("stored + i", "i")}),
        ),
        (
            "counted from 1",
            INSERT.format(**INSERT_RIGHT | {"loop": INSERT_RIGHT["loop"].replace("stored + i", "stored + i + 1")}),
        ),
        ("everything in memory", INSERT.format(**INSERT_RIGHT | {"start": "rows = iter(list(rows))"})),
        ("an empty field of pandas goes in", INSERT.format(**INSERT_RIGHT | {"texts": '["prompt"]'})),
        ("blank prompts go in", INSERT.format(**INSERT_RIGHT | {"blank": 'text == ""'})),
        (
            "any number is a width",
            INSERT.format(**INSERT_RIGHT | {"bad_side": "not isinstance(row[name], (int, float))"}),
        ),
        ("nothing returned", INSERT.format(**INSERT_RIGHT | {"end": "return"})),
        (
            "values in the order of the dict",
            INSERT.format(
                **INSERT_RIGHT
                | {"loop": INSERT_RIGHT["loop"].replace("[row[n] for n in COLUMNS]", "list(row.values())")}
            ),
        ),
        (
            "no progress bar",
            INSERT.format(**INSERT_RIGHT).replace('tqdm(iter(lambda: 0, 1), desc="storing")', "iter(lambda: 0, 1)"),
        ),
        (
            "one vector for all",
            INSERT.format(
                **INSERT_RIGHT
                | {
                    "loop": INSERT_RIGHT["loop"].replace(
                        '[row["prompt"] for row in batch]', '[batch[0]["prompt"]] * len(batch)'
                    )
                }
            ),
        ),
        (
            "the last bad row of a batch is named",
            TOLD_INSERT.replace("                if fault:\n                    break\n", ""),
        ),
        (
            "prompts are trimmed before they are embedded and stored",
            TOLD_INSERT.replace('[row["prompt"] for row in batch]', '[row["prompt"].strip() for row in batch]').replace(
                "[row[name] for name in COLUMNS]",
                "[str(row[name]).strip() if name == 'prompt' else row[name] for name in COLUMNS]",
            ),
        ),
        (
            "names all rows of the batch",
            TOLD_INSERT.replace(
                'f"row {number} has', 'f"one of the rows {list(range(stored, stored + len(batch)))} has'
            ),
        ),
        (
            "looks at nothing",
            INSERT.format(**INSERT_RIGHT | {"loop": INSERT_RIGHT["loop"].replace("look_at(stored + i, row)", "row")}),
        ),
        ("stores nothing", INSERT.format(**INSERT_RIGHT | {"loop": ""})),
        (
            "does not say what is wrong",
            TOLD_INSERT.replace("raise ValueError(fault)", 'raise ValueError(" ".join(fault.split()[:2]) + " is bad")'),
        ),
    ],
    "search_by_text": [
        (
            "vector written into the SQL",
            SEARCH.format(
                body="""return client.query_df(
        f"SELECT prompt, url, cosineDistance(prompt_vector, {vector.tolist()}) AS dist FROM {table} ORDER BY dist LIMIT {k}"
    )"""
            ),
        ),
        (
            "k written into the SQL",
            SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist "
        f"FROM {table} ORDER BY dist LIMIT {k}",
        parameters={"v": vector.tolist()},
    )"""
            ),
        ),
        (
            "farthest first",
            SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist DESC LIMIT {k:UInt32}",
        parameters={"v": vector.tolist(), "t": table, "k": k},
    )"""
            ),
        ),
        (
            "similarity for distance",
            SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, 1 - cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist DESC LIMIT {k:UInt32}",
        parameters={"v": vector.tolist(), "t": table, "k": k},
    )"""
            ),
        ),
        (
            "straight distance",
            SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, L2Distance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist LIMIT {k:UInt32}",
        parameters={"v": vector.tolist(), "t": table, "k": k},
    )"""
            ),
        ),
        (
            "all rows fetched, sorted in Python",
            SEARCH.format(
                body="""found = client.query_df("SELECT prompt, url, prompt_vector FROM {t:Identifier}", parameters={"t": table})
    found["dist"] = 1 - np.stack(found.prompt_vector) @ vector
    return found.sort_values("dist").head(k)[["prompt", "url", "dist"]].reset_index(drop=True)"""
            ),
        ),
        (
            "always five",
            SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist LIMIT 5",
        parameters={"v": vector.tolist(), "t": table},
    )"""
            ),
        ),
        (
            "the words searched, not the meaning",
            SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, 0.0 AS dist FROM {t:Identifier} WHERE prompt ILIKE {q:String} LIMIT {k:UInt32}",
        parameters={"q": f"%{query}%", "t": table, "k": k},
    )"""
            ),
        ),
        (
            "rows, no table",
            SEARCH.format(
                body="""return client.query(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist LIMIT {k:UInt32}",
        parameters={"v": vector.tolist(), "t": table, "k": k},
    ).result_rows"""
            ),
        ),
    ],
    "search_by_image": [
        (
            "captions it first",
            IMAGE_SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist LIMIT {k:UInt32}",
        parameters={"v": embed_texts(["a picture"])[0].tolist(), "t": table, "k": k},
    )"""
            ),
        ),
        (
            "vector written into the SQL",
            IMAGE_SEARCH.format(
                body="""vector = embed_images([image])[0].tolist()
    return client.query_df(
        f"SELECT prompt, url, cosineDistance(prompt_vector, {vector}) AS dist FROM {table} ORDER BY dist LIMIT {k}"
    )"""
            ),
        ),
        (
            "all rows fetched, sorted in Python",
            IMAGE_SEARCH.format(
                body="""found = client.query_df("SELECT prompt, url, prompt_vector FROM {t:Identifier}", parameters={"t": table})
    found["dist"] = 1 - np.stack(found.prompt_vector) @ embed_images([image])[0]
    return found.sort_values("dist").head(k)[["prompt", "url", "dist"]].reset_index(drop=True)"""
            ),
        ),
        (
            "columns missing",
            IMAGE_SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} "
        "ORDER BY dist LIMIT {k:UInt32}",
        parameters={"v": embed_images([image])[0].tolist(), "t": table, "k": k},
    )"""
            ),
        ),
        (
            "not sorted",
            IMAGE_SEARCH.format(
                body="""return client.query_df(
        "SELECT prompt, url, cosineDistance(prompt_vector, {v:Array(Float32)}) AS dist FROM {t:Identifier} LIMIT {k:UInt32}",
        parameters={"v": embed_images([image])[0].tolist(), "t": table, "k": k},
    )"""
            ),
        ),
    ],
    "search_or_none": [
        ("the threshold is not used", OR_NONE.format(body="return search_by_text(client, table, query, k)")),
        (
            "None for nothing",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if len(found) and found.dist.iloc[0] <= threshold else None"""
            ),
        ),
        (
            "an error for nothing",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    if not len(found) or found.dist.iloc[0] > threshold:
        raise LookupError("nothing fits")
    return found"""
            ),
        ),
        (
            "the wrong way round",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if len(found) and found.dist.iloc[0] > threshold else found.iloc[:0]"""
            ),
        ),
        (
            "a similarity is compared",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if len(found) and 1 - found.dist.iloc[0] >= threshold else found.iloc[:0]"""
            ),
        ),
        (
            "each row is judged by itself",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found[found.dist <= threshold]"""
            ),
        ),
        (
            "the farthest decides",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if len(found) and found.dist.max() <= threshold else found.iloc[:0]"""
            ),
        ),
        (
            "an empty DataFrame without columns",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if len(found) and found.dist.iloc[0] <= threshold else pd.DataFrame()"""
            ),
        ),
        (
            "an empty table is an error",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if found.dist.iloc[0] <= threshold else found.iloc[:0]"""
            ),
        ),
        (
            "at the threshold is too far",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query, k)
    return found if len(found) and found.dist.iloc[0] < threshold else found.iloc[:0]"""
            ),
        ),
        (
            "k is not passed on",
            OR_NONE.format(
                body="""found = search_by_text(client, table, query)
    return found if len(found) and found.dist.iloc[0] <= threshold else found.iloc[:0]"""
            ),
        ),
    ],
    "fuse": [
        (
            "without k",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(dict.fromkeys(ranking), start=1):
            scores[found] = scores.get(found, 0) + Fraction(1, rank)
    return sorted(scores, key=scores.get, reverse=True)"""
            ),
        ),
        (
            "the best rank",
            FUSE.format(
                body="""best = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            best[found] = min(rank, best.get(found, rank))
    return sorted(best, key=best.get)"""
            ),
        ),
        (
            "the sum of the ranks",
            FUSE.format(
                body="""total = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            total[found] = total.get(found, 0) + rank
    return sorted(total, key=total.get)"""
            ),
        ),
        (
            "one after the other",
            FUSE.format(body="return list(dict.fromkeys(found for ranking in rankings for found in ranking))"),
        ),
        (
            "dealt out in turn",
            FUSE.format(
                body="""from itertools import zip_longest

    turns = [found for turn in zip_longest(*rankings) for found in turn if found is not None]
    return list(dict.fromkeys(turns))"""
            ),
        ),
        (
            "the worst first",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(dict.fromkeys(ranking), start=1):
            scores[found] = scores.get(found, 0) + Fraction(1, k + rank)
    return sorted(scores, key=scores.get)"""
            ),
        ),
        (
            "only what all have found",
            FUSE.format(
                body="""common = set.intersection(*map(set, rankings)) if rankings else set()
    return sorted(common, key=lambda found: -sum(Fraction(1, k + ranking.index(found) + 1) for ranking in rankings))"""
            ),
        ),
        (
            "pairs of id and score",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            scores[found] = scores.get(found, 0) + Fraction(1, k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])"""
            ),
        ),
        (
            "always 60",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            if found not in ranking[: rank - 1]:
                scores[found] = scores.get(found, 0) + Fraction(1, 60 + rank)
    return sorted(scores, key=scores.get, reverse=True)"""
            ),
        ),
        (
            "ranks from 0",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking):
            if found not in ranking[:rank]:
                scores[found] = scores.get(found, 0) + Fraction(1, k + rank)
    return sorted(scores, key=scores.get, reverse=True)"""
            ),
        ),
        (
            "sums of floats",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            if found not in ranking[: rank - 1]:
                scores[found] = scores.get(found, 0) + 1 / (k + rank)
    return sorted(scores, key=scores.get, reverse=True)"""
            ),
        ),
        (
            "an id that is found twice counts twice",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            scores[found] = scores.get(found, 0) + Fraction(1, k + rank)
    return sorted(scores, key=scores.get, reverse=True)"""
            ),
        ),
        (
            "ties by the alphabet",
            FUSE.format(
                body="""scores = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            if found not in ranking[: rank - 1]:
                scores[found] = scores.get(found, 0) + Fraction(1, k + rank)
    return sorted(scores, key=lambda found: (-scores[found], found))"""
            ),
        ),
    ],
    "rerank": [
        (
            "the order stays",
            RERANK.format(
                body="""describe(image)
    return candidates.copy()"""
            ),
        ),
        (
            "the worst first",
            RERANK.format(
                body="""told = facts_of(describe(image))
    scores = [len(facts_of(p) & told) / max(len(facts_of(p) | told), 1) for p in candidates.prompt]
    ranked = candidates.assign(score=scores).sort_values(["score", "dist"])
    return ranked.drop(columns="score")"""
            ),
        ),
        (
            "words in place of facts",
            RERANK.format(
                body="""told = set(describe(image).lower().replace(",", "").split())

    def score(prompt):
        words = set(prompt.lower().replace(",", "").split())
        return len(words & told) / len(words | told)

    ranked = candidates.assign(score=[score(prompt) for prompt in candidates.prompt])
    return ranked.sort_values(["score", "dist"], ascending=[False, True]).drop(columns="score")"""
            ),
        ),
        (
            "the picture is not looked at",
            RERANK.format(
                body="""told = facts_of(candidates.prompt.iloc[0]) if len(candidates) else set()
    scores = [len(facts_of(p) & told) / max(len(facts_of(p) | told), 1) for p in candidates.prompt]
    ranked = candidates.assign(score=scores).sort_values(["score", "dist"], ascending=[False, True])
    return ranked.drop(columns="score")"""
            ),
        ),
        (
            "the best one alone",
            RERANK.format(
                body="""told = facts_of(describe(image))
    scores = [len(facts_of(p) & told) / max(len(facts_of(p) | told), 1) for p in candidates.prompt]
    ranked = candidates.assign(score=scores).sort_values(["score", "dist"], ascending=[False, True])
    return ranked.drop(columns="score").head(1)"""
            ),
        ),
        (
            "the share of the prompt's facts",
            RERANK.format(
                body="""told = facts_of(describe(image))
    scores = [len(facts_of(p) & told) / max(len(facts_of(p)), 1) for p in candidates.prompt]
    ranked = candidates.assign(score=scores).sort_values(["score", "dist"], ascending=[False, True])
    return ranked.drop(columns="score")"""
            ),
        ),
        (
            "the number of shared facts",
            RERANK.format(
                body="""told = facts_of(describe(image))
    scores = [len(facts_of(p) & told) for p in candidates.prompt]
    ranked = candidates.assign(score=scores).sort_values(["score", "dist"], ascending=[False, True])
    return ranked.drop(columns="score")"""
            ),
        ),
        (
            "distances do not break ties",
            RERANK.format(
                body="""told = facts_of(describe(image))
    scores = [len(facts_of(p) & told) / max(len(facts_of(p) | told), 1) for p in candidates.prompt]
    ranked = candidates.assign(score=scores).sort_values("score", ascending=False, kind="stable")
    return ranked.drop(columns="score")"""
            ),
        ),
        (
            "describes the picture for each candidate",
            RERANK.format(
                body="""def score(prompt):
        a, b = facts_of(prompt), facts_of(describe(image))
        return len(a & b) / max(len(a | b), 1)

    ranked = candidates.assign(score=[score(prompt) for prompt in candidates.prompt])
    return ranked.sort_values(["score", "dist"], ascending=[False, True]).drop(columns="score")"""
            ),
        ),
        (
            "leaves a column in the candidates",
            RERANK.format(
                body="""told = facts_of(describe(image))
    candidates["score"] = [len(facts_of(p) & told) / max(len(facts_of(p) | told), 1) for p in candidates.prompt]
    return candidates.sort_values(["score", "dist"], ascending=[False, True]).drop(columns="score")"""
            ),
        ),
        (
            "one column more",
            RERANK.format(
                body="""told = facts_of(describe(image))
    scores = [len(facts_of(p) & told) / max(len(facts_of(p) | told), 1) for p in candidates.prompt]
    return candidates.assign(score=scores).sort_values(["score", "dist"], ascending=[False, True])"""
            ),
        ),
    ],
    "create_index": [
        (
            "not built for the old rows",
            INDEX.format(body="client.command(store.index_ddl(client, table)[0])"),
        ),
        (
            "for another distance",
            INDEX.format(
                body="""for statement in store.index_ddl(client, table):
        client.command(statement.replace("cosineDistance", "L2Distance"))"""
            ),
        ),
        (
            "fails the second time",
            INDEX.format(
                body="""for statement in store.index_ddl(client, table):
        client.command(statement.replace("IF NOT EXISTS ", ""))"""
            ),
        ),
        (
            "an index for numbers",
            INDEX.format(
                body="""client.command(f"ALTER TABLE {table} ADD INDEX IF NOT EXISTS vec_idx length(prompt_vector) TYPE minmax")
    client.command(f"ALTER TABLE {table} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2")"""
            ),
        ),
        (
            "the name as it is in the SQL",
            INDEX.format(
                body="""client.command(
        f"ALTER TABLE {table} ADD INDEX IF NOT EXISTS vec_idx prompt_vector "
        "TYPE vector_similarity('hnsw', 'cosineDistance', 512)"
    )
    client.command(f"ALTER TABLE {table} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2")"""
            ),
        ),
        ("nothing at all", INDEX.format(body="client.command('SELECT 1')")),
        (
            "an index of another name",
            """
def create_index(client, table):
    about = {"parameters": {"table": table}}
    client.command("ALTER TABLE {table:Identifier} ADD INDEX IF NOT EXISTS idx prompt_vector TYPE vector_similarity('hnsw', 'cosineDistance', 512)", **about)
    client.command("ALTER TABLE {table:Identifier} MATERIALIZE INDEX idx", **about)
""",
        ),
    ],
    "recall_at_k": [
        (
            "the order counts",
            RECALL.format(
                body="""return sum(
        sum(x == y for x, y in zip(a[:k], e[:k])) / len(e[:k]) for a, e in zip(approximate, exact)
    ) / len(exact)"""
            ),
        ),
        (
            "precision",
            RECALL.format(
                body="""shares = [len(set(a[:k]) & set(e[:k])) / max(len(a[:k]), 1) for a, e in zip(approximate, exact)]
    return sum(shares) / len(shares)"""
            ),
        ),
        (
            "whole lists",
            RECALL.format(
                body="""return sum(len(set(a) & set(e)) / len(e) for a, e in zip(approximate, exact)) / len(exact)"""
            ),
        ),
        (
            "approximate list not cut",
            RECALL.format(
                body="""return sum(len(set(a) & set(e[:k])) / len(e[:k]) for a, e in zip(approximate, exact)) / len(exact)"""
            ),
        ),
        (
            "a sum, no mean",
            RECALL.format(body="return sum(len(set(a[:k]) & set(e[:k])) / k for a, e in zip(approximate, exact))"),
        ),
        (
            "divided by k",
            RECALL.format(
                body="return sum(len(set(a[:k]) & set(e[:k])) / k for a, e in zip(approximate, exact)) / len(exact)"
            ),
        ),
        (
            "an id that is found twice counts twice",
            RECALL.format(
                body="""shares = [sum(i in e[:k] for i in a[:k]) / len(e[:k]) for a, e in zip(approximate, exact)]
    return sum(shares) / len(shares)"""
            ),
        ),
        (
            "cuts the lists themselves",
            RECALL.format(
                body="""for ids in approximate + exact:
        del ids[k:]
    return sum(len(set(a) & set(e)) / len(e) for a, e in zip(approximate, exact)) / len(exact)"""
            ),
        ),
        ("always 1", RECALL.format(body="return 1.0")),
        (
            "at least one",
            RECALL.format(
                body="return sum(bool(set(a[:k]) & set(e[:k])) for a, e in zip(approximate, exact)) / len(exact)"
            ),
        ),
    ],
    "improve_prompt": [
        (
            "neighbours forgotten",
            IMPROVE.format(
                body="""reply = chat.invoke(f"Improve this image prompt: {idea}").text.strip().strip('"').strip()
    if not reply:
        raise ValueError("nothing")
    return reply"""
            ),
        ),
        (
            "only the nearest",
            IMPROVE.format(
                body="""example = neighbours[0] if neighbours else ""
    reply = chat.invoke(f"Improve this image prompt: {idea}\\nHere is a good one: {example}").text.strip().strip('"').strip()
    if not reply:
        raise ValueError("nothing")
    return reply"""
            ),
        ),
        (
            "a message, no string",
            IMPROVE.format(
                body="""examples = "\\n".join(neighbours)
    return chat.invoke(f"Improve this image prompt: {idea}\\nHere are good prompts:\\n{examples}")"""
            ),
        ),
        (
            "quotation marks left on",
            IMPROVE.format(
                body="""examples = "\\n".join(neighbours)
    reply = chat.invoke(f"Improve this image prompt: {idea}\\nHere are good prompts:\\n{examples}").text.strip()
    if not reply:
        raise ValueError("nothing")
    return reply"""
            ),
        ),
        (
            "texts written into a template",
            IMPROVE.format(
                body="""from langchain_core.prompts import ChatPromptTemplate

    examples = "\\n".join(neighbours)
    template = ChatPromptTemplate.from_template(f"Improve this image prompt: {idea}\\nHere are good prompts:\\n{examples}")
    reply = (template | chat).invoke({}).text.strip().strip('"').strip()
    if not reply:
        raise ValueError("nothing")
    return reply"""
            ),
        ),
        (
            "the farthest first",
            IMPROVE.format(
                body="""examples = "\\n".join(reversed(neighbours))
    reply = chat.invoke(f"Improve this image prompt: {idea}\\nHere are good prompts:\\n{examples}").text.strip().strip('"')
    if not reply.strip():
        raise ValueError("nothing")
    return reply"""
            ),
        ),
        (
            "asked once for each neighbour",
            IMPROVE.format(
                body="""prompt = idea
    for neighbour in neighbours or [""]:
        prompt = chat.invoke(f"Improve this image prompt: {prompt}\\nHere are good prompts:\\n{neighbour}").text.strip().strip('"')
    if not prompt.strip():
        raise ValueError("nothing")
    return prompt"""
            ),
        ),
        (
            "nothing is a prompt, too",
            IMPROVE.format(
                body="""examples = "\\n".join(neighbours)
    reply = chat.invoke(f"Improve this image prompt: {idea}\\nHere are good prompts:\\n{examples}")
    return reply.text.strip().strip('"')"""
            ),
        ),
        (
            "an empty prompt in quotation marks passes",
            """
def improve_prompt(chat, idea, neighbours):
    text = f"Improve this image prompt: {idea}\\nHere are good prompts:\\n" + "\\n".join(f"- {p}" for p in neighbours)
    reply = chat.invoke(text).text.strip()
    if not reply:
        raise ValueError("nothing came")
    return reply.strip('"')
""",
        ),
        (
            "a full stop is taken away",
            """
def improve_prompt(chat, idea, neighbours):
    text = f"Improve this image prompt: {idea}\\nHere are good prompts:\\n" + "\\n".join(f"- {p}" for p in neighbours)
    reply = chat.invoke(text).text.strip()
    if not reply.strip('"'):
        raise ValueError("nothing came")
    return reply.strip('"').rstrip('.')
""",
        ),
        (
            "five at most",
            """
def improve_prompt(chat, idea, neighbours):
    text = f"Improve this image prompt: {idea}\\nHere are good prompts:\\n" + "\\n".join(f"- {p}" for p in neighbours[:5])
    reply = chat.invoke(text).text.strip()
    if not reply.strip('"'):
        raise ValueError("nothing came")
    return reply.strip('"')
""",
        ),
        (
            "all quotation marks",
            """
def improve_prompt(chat, idea, neighbours):
    text = f"Improve this image prompt: {idea}\\nHere are good prompts:\\n" + "\\n".join(f"- {p}" for p in neighbours)
    reply = chat.invoke(text).text.strip()
    if not reply.strip('"'):
        raise ValueError("nothing came")
    return reply.replace('"', '')
""",
        ),
    ],
    "generate_and_store": [
        ("the seed is not used", GENERATE.format(**GENERATE_RIGHT | {"seed": "0"})),
        ("one file for all", GENERATE.format(**GENERATE_RIGHT | {"name": '"picture"'})),
        ("a path, no address", GENERATE.format(**GENERATE_RIGHT | {"url": "str(file)"})),
        ("not stored", GENERATE.format(**GENERATE_RIGHT | {"store": "pass"})),
        ("another picture", GENERATE.format(**GENERATE_RIGHT | {"drawn": '["a small white moon, at night"]'})),
        ("a wrong width", GENERATE.format(**GENERATE_RIGHT | {"width": "512"})),
        ("nothing returned", GENERATE.format(**GENERATE_RIGHT | {"result": "None"})),
        (
            "stored without its prompt's vector",
            GENERATE.format(
                **GENERATE_RIGHT
                | {
                    "store": 'client.insert(table, [[*row.values(), np.ones(512)]], column_names=[*COLUMNS, "prompt_vector"])'
                }
            ),
        ),
        ("the id from prompt and seed", GENERATE.format(**GENERATE_RIGHT | {"name": 'f"{abs(hash(prompt))}-{seed}"'})),
        ("the steps are not used", STORED_DRAWING.replace("num_inference_steps=steps", "num_inference_steps=25")),
        (
            "the folder is not used",
            STORED_DRAWING.replace("folder = Path(folder)", 'folder = Path("generated_images")'),
        ),
        ("a JPEG that is called PNG", STORED_DRAWING.replace("image.save(path)", 'image.save(path, "JPEG")')),
        ("another source_site", STORED_DRAWING.replace('"source_site": "generated"', '"source_site": "diffusion"')),
    ],
}

PARTIAL = {
    "embed_texts": (
        "all at once",
        "one by one",
        "a tensor",
        "texts as long as they are",
        "one text gives a vector, not an array of one row",
        "takes the texts out of the list",
    ),
    "embed_images": (
        "double precision",
        "all at once",
        "one by one",
        "only RGB pictures",
        "transparent pixels become black",
    ),
    "create_table": (
        "fails the second time",
        "throws the old table away",
        "in memory",
        "in no order",
        "sorted by prompt",
        "rows of the same id replace each other",
        "the name as it is in the SQL",
        "the vector first",
    ),
    "insert_prompts": (
        "row by row",
        "the number within its batch",
        "counted from 1",
        "everything in memory",
        "an empty field of pandas goes in",
        "blank prompts go in",
        "any number is a width",
        "nothing returned",
        "values in the order of the dict",
        "no progress bar",
        "the last bad row of a batch is named",
        "prompts are trimmed before they are embedded and stored",
        "names all rows of the batch",
        "does not say what is wrong",
    ),
    "search_by_text": (
        "vector written into the SQL",
        "k written into the SQL",
        "all rows fetched, sorted in Python",
        "rows, no table",
    ),
    "search_by_image": ("vector written into the SQL", "all rows fetched, sorted in Python", "columns missing"),
    "search_or_none": (
        "each row is judged by itself",
        "the farthest decides",
        "an empty DataFrame without columns",
        "an empty table is an error",
        "at the threshold is too far",
    ),
    "fuse": (
        "always 60",
        "ranks from 0",
        "sums of floats",
        "an id that is found twice counts twice",
        "ties by the alphabet",
    ),
    "rerank": (
        "the share of the prompt's facts",
        "the number of shared facts",
        "distances do not break ties",
        "describes the picture for each candidate",
        "leaves a column in the candidates",
        "one column more",
    ),
    "create_index": ("fails the second time", "the name as it is in the SQL", "an index of another name"),
    "recall_at_k": ("divided by k", "an id that is found twice counts twice", "cuts the lists themselves"),
    "improve_prompt": (
        "quotation marks left on",
        "texts written into a template",
        "the farthest first",
        "nothing is a prompt, too",
        "an empty prompt in quotation marks passes",
        "a full stop is taken away",
        "five at most",
        "all quotation marks",
    ),
    "generate_and_store": (
        "the seed is not used",
        "one file for all",
        "a path, no address",
        "a wrong width",
        "nothing returned",
        "the id from prompt and seed",
        "the steps are not used",
        "the folder is not used",
        "a JPEG that is called PNG",
        "another source_site",
    ),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
