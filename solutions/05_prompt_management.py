# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Prompt management: pictures and texts in a database
#
# You remember the picture: a small frog on something green, at night. It was perfect. What was the prompt? It is one of
# two thousand, in a file, and no search for words will find it, because you don't know the words.
#
# In this notebook you build what people build who work with many prompts. You put thousands of them into a database,
# each with a vector that says what it *means*. Then you search: with half an idea, with a style, or with a picture. You
# let a language model improve your own prompts with the best of what was found, draw the result, and store it with the
# others. All of it works on your computer (on Windows: in WSL), with nothing to install or start; and the same code
# works on a database server with a hundred million prompts.
#
# **When you are done, you can**
#
# - embed texts and pictures into one space, and say what a distance in it means
# - make a table for vectors that refuses what does not belong in it
# - fill it from a file of any size, so that a bad row never leaves half a batch behind
# - find prompts by meaning, and the prompt behind a picture, with SQL that nobody can abuse
# - give a language model what it needs to know by searching for it first
# - put an index on vectors, and measure what it gains and what it loses
#
# **What you need**: Python functions, dictionaries, a little numpy. The SQL is explained where it comes. No GPU, no
# network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 One space for texts and pictures | 35 | 16 |
# | 2 A table for vectors | 25 | 10 |
# | 3 Filling it | 40 | 16 |
# | 4 Search by text | 35 | 12 |
# | 5 Search by picture | 25 | 6 |
# | 6 A map, and a search box | 15 | |
# | 7 Better prompts | 30 | 8 |
# | 8 Draw it, store it | 30 | 8 |
# | 9 When the collection grows | 45 | 14 |
# | 10 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place of
# the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of them
# passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on other
# inputs. The cases work in tables of their own and leave yours alone. Every exercise has hints that unfold, and ● to ●●●●●
# tells how hard it is. If one keeps you from going on, `checks.borrow("embed_texts")` lends you the course's own version of
# it, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `embed_texts` in Parts 3 and 4, `embed_images` in
# Part 5, `insert_prompts` in Part 8.

# %% [markdown]
# ## Set-up
#
# One cell fetches the course if need be, one loads what the notebook uses. `helpers` is the course's small library,
# made to be read: `show.gallery??` in a cell shows the code of that function.

# %% locked="fetch_course"
# On Colab this fetches the course and the few libraries that are missing; where the course is installed it does nothing.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("helpers") is None:
    if not Path("picture-this").exists():
        address = "https://github.com/picture-this-course/picture-this"
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", address], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", "picture-this"], check=True)
    sys.path.insert(0, str(Path("picture-this").resolve()))

# %% locked="setup"
import time
import uuid
from itertools import islice
from numbers import Integral
from random import Random

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from helpers import checks, collection, flashcards, show, store, widgets
from helpers.chat import chat_model
from helpers.models import load
from helpers.picturebook import COLOURS, SIZES, STYLES, Scene, Thing, describe, draw, parse, random_scene
from helpers.pictures import as_rgb
from helpers.search_gallery import picture_of
from helpers.settings import settings

client = store.connect()
COLUMNS = list(collection.COLUMNS)  # id, prompt, url, width, height, source_site

print(f"Profile: {settings.profile}. The models run on: {settings.device}.")
print(f"Database: version {client.server_version}, {'embedded' if settings.store.startswith('chdb') else 'a server'}.")

# %% [markdown]
# ## Part 1 · One space for texts and pictures
#
# *35 minutes*
#
# How can a computer tell that *a storm at sea* has to do with *a boat in high waves*? Apart from *a* they have no word
# in common. What we need is a way to turn a text into numbers so that **texts that mean similar things get similar
# numbers**. Such a list of numbers is called an **embedding**, and a model learned to make it.
#
# Our model is **CLIP**, which you know from notebook 02. It was trained on pictures and their captions, with one aim: the
# vector of a picture should point in the same direction as the vector of *its* caption, and in other directions than
# those of all other captions. So it does something that no dictionary can: texts and pictures land in the **same** space.
#
# A vector of ours has 512 numbers. Its length does not matter, only its direction; we scale all of them to length 1.
# Then the cosine of the angle between two of them is simply their dot product, and
#
# $$\text{cosine distance}(a, b) = 1 - \cos(a, b) = 1 - a \cdot b$$
#
# is 0 where they point in the same direction, 1 where they have nothing to do with each other, and 2 where they are
# opposites.

# %% [markdown]
# ### Exercise 1 · `embed_texts`
#
# *Difficulty ●●○○○ · 15 minutes · 10 points*
#
# Texts to vectors. Thousands of them, so not one by one (the computer would mostly wait for the next), and not all at once
# (the memory would overflow), but in batches.
#
# | step | what goes in | what comes out |
# |---|---|---|
# | `clip.processor(text=…, padding=True, truncation=True, return_tensors="pt")` | a list of strings | the tensors that the model wants, as a dict |
# | `clip.model.get_text_features(**inputs)` | those | an object; its `pooler_output` is (batch, 512) |
# | `torch.nn.functional.normalize(…, dim=-1)` | vectors of any length | vectors of length 1 |
#
# <details><summary>Hint 1: the batches</summary>
#
# `for start in range(0, len(texts), batch_size):` and then `texts[start : start + batch_size]`. The last batch is
# shorter by itself. Collect the arrays in a list, and join them at the end with `np.concatenate`.
# </details>
#
# <details><summary>Hint 2: why padding, why truncation?</summary>
#
# The texts of a batch have different numbers of tokens, and a tensor has no ragged rows. So the shorter ones are filled up
# (`padding`). And CLIP reads so many tokens and no more (ours 40, OpenAI's 77); what is longer is cut (`truncation`).
# </details>
#
# <details><summary>Help: "Can't call numpy() on Tensor that requires grad"</summary>
#
# torch remembers each step for a training that we don't want. Put `with torch.inference_mode():` around the model's call:
# it forgets, and is faster.
# </details>


# %% exercise="embed_texts"
def embed_texts(texts, *, batch_size=256):
    """Embed texts with CLIP, load("clip") (Radford et al. 2021).

    texts: a list of strings, at least one; it stays as it is. What is longer than CLIP reads is cut.
    batch_size: how many go through the model at a time; the last batch may be smaller.

    Returns a float32 numpy array (number of texts, 512); each row has length 1.
    """
    ### BEGIN SOLUTION
    clip = load("clip")
    rows = []
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        inputs = clip.processor(text=batch, padding=True, truncation=True, return_tensors="pt").to(clip.model.device)
        with torch.inference_mode():
            features = clip.model.get_text_features(**inputs).pooler_output.float()
        rows.append(torch.nn.functional.normalize(features, dim=-1).cpu().numpy())
    return np.concatenate(rows)
    ### END SOLUTION


# %% tests="embed_texts" points=10
checks.nb05.embed_texts(embed_texts)

# %% [markdown]
# Try it. Three texts; before you run the cell, guess which two are closest.

# %%
texts = ["a red cat on a sofa", "two cats in a room", "a rocket on mars"]
a, b, c = embed_texts(texts)
for one, other, x, y in ((0, 1, a, b), (0, 2, a, c), (1, 2, b, c)):
    print(f"{texts[one]!r} and {texts[other]!r}: distance {1 - x @ y:.2f}")

# %% [markdown]
# ### Exercise 2 · `embed_images`
#
# *Difficulty ●○○○○ · 5 minutes · 6 points*
#
# The same for pictures. `clip.processor(images=…, return_tensors="pt")` resizes them and scales their pixels as in the
# training; `clip.model.get_image_features(**inputs)` gives an object with a `pooler_output` again.
#
# <details><summary>Hint: transparency, palettes</summary>
#
# PNG files may have an alpha channel, and GIFs a palette. `as_rgb(image)` of `helpers.pictures` turns all pictures into
# RGB, as viewers show them, on white; `image.convert("RGB")` alone would put transparent pixels on black.
# </details>


# %% exercise="embed_images"
def embed_images(images, *, batch_size=64):
    """Embed pictures with CLIP, load("clip"), into the space of embed_texts.

    images: a list of PIL pictures of any size and mode, at least one; it stays as it is. Transparent pixels count as white.
    batch_size: how many go through the model at a time; the last batch may be smaller.

    Returns a float32 numpy array (number of pictures, 512); each row has length 1.
    """
    ### BEGIN SOLUTION
    clip = load("clip")
    rows = []
    for start in range(0, len(images), batch_size):
        batch = [as_rgb(image) for image in images[start : start + batch_size]]
        inputs = clip.processor(images=batch, return_tensors="pt").to(clip.model.device, clip.model.dtype)
        with torch.inference_mode():
            features = clip.model.get_image_features(**inputs).pooler_output.float()
        rows.append(torch.nn.functional.normalize(features, dim=-1).cpu().numpy())
    return np.concatenate(rows)
    ### END SOLUTION


# %% tests="embed_images" points=6
checks.nb05.embed_images(embed_images)

# %% [markdown]
# Now both at once: five pictures, five texts, and the cosine of each with each. The largest number of each column should
# stand where picture and text belong together. That is the whole trick of this notebook.

# %%
scenes = [
    Scene((Thing("cat", "red"),), place="meadow", layout=4),
    Scene((Thing("boat", "blue", "small"),), place="sea", layout=1),
    Scene((Thing("rocket", "white"),), place="mars", layout=2),
    Scene((Thing("star", "yellow", "small", 3),), place="night", layout=3),
    Scene((Thing("frog", "green"),), place="room", style="neon", layout=5),
]
captions = [describe(scene, Random(0)) for scene in scenes]
pictures = [draw(scene, size=128) for scene in scenes]
show.matrix(embed_texts(captions) @ embed_images(pictures).T, pictures, captions, alt=captions)

# %% [markdown]
# ## Part 2 · A table for vectors
#
# *25 minutes*
#
# Where do we put thousands of such vectors? In a file we would have to read all of it for each question, write all of it
# for each change, and look after everything ourselves: two programs at once, a crash in the middle, a row that is broken.
# That is what **databases** are for. Ours is **ClickHouse**, which is made for large tables. The variable `client` is your
# connection to it. At the moment the database runs inside this notebook (that is called *embedded*; the package is chDB)
# and keeps its files in a folder beside it. If `COURSE_STORE` names a server, the same code talks to the server.
#
# One talks to a database in **SQL**. `client.command(…)` is for statements that do something, `client.query(…)` for
# questions with an answer in rows, `client.query_df(…)` for the answer as a pandas table:

# %%
print(client.query("SELECT 1 + 1, upper('hello')").result_rows)
client.query_df("SELECT number, number * number AS square FROM numbers(4)")

# %% [markdown]
# What should a row hold? There is a public collection of 900,000 prompts that people gave to Stable Diffusion, the
# [Diffusion Prompts dataset](https://www.kaggle.com/datasets/tanreinama/900k-diffusion-prompts-dataset), with these
# columns: an `id`, the `prompt`, the `url` of the picture, its `width` and `height`, and the `source_site`. We take the
# same, so that you can load it later. And we add one: the vector of the prompt.
#
# A statement that makes a table looks like this one, for books:
#
# ```sql
# CREATE TABLE books (
#     isbn String,
#     title String,
#     pages UInt32,
#     grades Array(Float32),
#     CONSTRAINT three_grades CHECK length(grades) = 3
# ) ENGINE = MergeTree ORDER BY isbn
# ```
#
# Each column has a name and a type: `String` for texts, `UInt32` for whole numbers from 0 on, `Array(Float32)` for a
# list of numbers. A **constraint** is a rule, and a row that breaks it is refused. `MergeTree` is the kind of table
# that keeps its rows sorted on the disk, by what comes after `ORDER BY`.
#
# Why a rule for the length? Imagine that somebody stores a few vectors of another model, with 768 numbers. Nothing
# happens, until a search meets one of them, months later, in the middle of the night.

# %% [markdown]
# ### Exercise 3 · `create_table`
#
# *Difficulty ●●○○○ · 15 minutes · 10 points*
#
# Write such a statement for the prompts, and send it with `client.command`. The docstring has the columns, their types
# and the rule. Nothing is returned, and a second call must change nothing.
#
# <details><summary>Hint 1: the table's name</summary>
#
# Names can't be written into the text of SQL just like that; think of a name with a space, or with worse in it. Write
# `{table:Identifier}` where the name belongs, and hand it over beside the text:
# `client.command("DROP TABLE {table:Identifier}", parameters={"table": table})`.
# </details>
#
# <details><summary>Hint 2: idempotent</summary>
#
# A function is *idempotent* if calling it twice is the same as calling it once. In a notebook cells are run twice all the
# time! `CREATE TABLE IF NOT EXISTS` does nothing where the table is there. (`CREATE OR REPLACE TABLE` does a lot: it throws
# the old one away, with all that is in it.)
# </details>


# %% exercise="create_table"
def create_table(client, table):
    """Make the table for prompts, unless it is there; then it stays as it is.

    client: the connection to the database.
    table: the name of the table; it may have spaces in it.

    Columns, in this order: id, prompt, url (String), width, height (UInt32), source_site (String), and prompt_vector,
    an Array(Float32) that must have 512 numbers: a row with another number of them is refused. MergeTree, sorted by id.
    """
    ### BEGIN SOLUTION
    client.command(
        """
        CREATE TABLE IF NOT EXISTS {table:Identifier} (
            id String,
            prompt String,
            url String,
            width UInt32,
            height UInt32,
            source_site String,
            prompt_vector Array(Float32) CODEC(NONE),
            CONSTRAINT vector_length CHECK length(prompt_vector) = 512
        ) ENGINE = MergeTree ORDER BY id
        """,
        parameters={"table": table},
    )
    ### END SOLUTION


# %% tests="create_table" points=10
checks.nb05.create_table(create_table)

# %%
create_table(client, "prompts")
client.query_df("DESCRIBE TABLE prompts")[["name", "type"]]

# %% [markdown]
# The model solution says one thing more, `CODEC(NONE)` behind the vector: *don't compress this column*. ClickHouse
# compresses all it stores. Texts shrink to a fraction. But the digits of embeddings are as good as random, so next to
# nothing is gained, and each search has to unpack them all: on 100,000 rows that made our searches three times slower.

# %% [markdown]
# ## Part 3 · Filling it
#
# *40 minutes*
#
# Now the prompts. Ours tell of the picture-book world, and `collection` writes as many as you want into a file with the
# columns of the real dataset. Each url leads to a picture that the course's endpoint draws when somebody asks for it, so
# not one of them has to be stored. Two thousand will do for today:

# %%
ROWS = 2000
collection.write_prompts("prompts.csv", rows=ROWS)
pd.read_csv("prompts.csv", nrows=4)

# %% [markdown]
# `collection.read_prompts` gives the rows of such a file one after the other, as dictionaries. It is a **generator**: it reads
# on when the next row is wanted, so that a file of 900,000 rows needs no more memory than one of ten. It reads the real
# dataset's file as it is, too.

# %%
for row in islice(collection.read_prompts("prompts.csv"), 2):
    print(row)

# %% [markdown]
# Real files are never clean. Somewhere among 900,000 rows there is one without a prompt, one whose width is `"wide"`, one
# that was cut off. What then? Going on silently is bad: nobody ever learns of it. Stopping *somewhere* is worse: half of
# a batch is in the table, and half is not, and nobody knows which. So the rule is **all or nothing**: a batch is looked at
# as a whole, and goes in as a whole or not at all. And whoever has to repair the file gets the number of the row.
#
# Batches are good for the speed, too. Each insert writes a new *part* to the disk, some files of its own, which the
# database has to merge with others later. A thousand rows in one insert are one part; a thousand inserts are a thousand.

# %% [markdown]
# ### Exercise 4 · `insert_prompts`
#
# *Difficulty ●●●●○ · 30 minutes · 16 points*
#
# `client.insert(table, data, column_names=[…])` stores a list of rows, each a list of values in the order of the names;
# the vector may be a numpy array. `COLUMNS` has the names of all columns but the vector's.
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. Take the next `batch_size` rows; stop when there are none.
# 2. Look at each of them; raise `ValueError` at the first bad one.
# 3. Embed their prompts with your `embed_texts`.
# 4. One insert for the batch. Count, and move the progress bar.
# </details>
#
# <details><summary>Hint 2: the next rows of something endless</summary>
#
# `rows` may be a generator, which has no length and no `rows[3:6]`. `rows = iter(rows)`, and then
# `list(islice(rows, batch_size))` takes the next ones (fewer at the end, and `[]` when there are no more):
# `while batch := list(islice(rows, batch_size)):`
# </details>
#
# <details><summary>Hint 3: the progress bar</summary>
#
# `with tqdm(unit=" prompts") as bar:` around the loop, and `bar.update(len(batch))` after each batch.
# </details>
#
# <details><summary>Help: what pandas makes of an empty field</summary>
#
# A missing text comes as `nan`, which is a float. Ask `isinstance(prompt, str)` before you call `prompt.strip()`. And whole
# numbers may come as numpy's; `isinstance(width, Integral)` is true of those and of Python's `int`.
# </details>


# %% exercise="insert_prompts"
def insert_prompts(client, table, rows, *, batch_size=500):
    """Store rows together with CLIP's vectors of their prompts, a batch at a time, with a progress bar (tqdm).

    client, table: the connection, and the name of a table as create_table makes it.
    rows: any iterable of dicts with the keys id, prompt, url, width, height, source_site, in any order; also a generator,
        of which no more than a batch or two is held in memory. What is in them is stored as it is.
    batch_size: how many rows go into each insert; the last batch may be smaller.

    A row is bad if a key is missing, if its id, prompt, url or source_site is no string, if its prompt is blank, or if its
    width or height is no whole number (Integral) from 0 on (0 means that it is not known). At the first bad row a ValueError
    says its number (the first of all rows is 0) and what is wrong. The batches before it are stored then, and nothing of its
    own.

    Returns the number of stored rows; 0 where there are none.
    """
    ### BEGIN SOLUTION
    rows, stored = iter(rows), 0
    with tqdm(unit=" prompts") as bar:
        while batch := list(islice(rows, batch_size)):
            for number, row in enumerate(batch, start=stored):
                missing = [name for name in COLUMNS if name not in row]
                if missing:
                    raise ValueError(f"Row {number} has no {missing[0]}.")
                for name in ("id", "prompt", "url", "source_site"):
                    if not isinstance(row[name], str):
                        raise ValueError(f"Row {number}: its {name} should be text, but is {row[name]!r}.")
                if not row["prompt"].strip():
                    raise ValueError(f"Row {number} has a blank prompt.")
                for side in ("width", "height"):
                    if not isinstance(row[side], Integral) or row[side] < 0:
                        raise ValueError(f"Row {number}: its {side} should be 0 or more, but is {row[side]!r}.")

            vectors = embed_texts([row["prompt"] for row in batch])
            data = [[*(row[name] for name in COLUMNS), vector] for row, vector in zip(batch, vectors)]
            client.insert(table, data, column_names=[*COLUMNS, "prompt_vector"])
            stored += len(batch)
            bar.update(len(batch))
    return stored
    ### END SOLUTION


# %% tests="insert_prompts" points=16
checks.nb05.insert_prompts(insert_prompts)

# %% [markdown]
# Now store the two thousand prompts. Most of the time is CLIP's. (If the table has all of them already, because you run
# this cell a second time, it leaves it alone: otherwise each prompt would be there twice. If it has some of them,
# because you stopped it halfway, it begins afresh: `TRUNCATE` empties a table.)

# %%
if client.query("SELECT count() FROM prompts").result_rows[0][0] < ROWS:
    client.command("TRUNCATE TABLE prompts")
    print(f"{insert_prompts(client, 'prompts', collection.read_prompts('prompts.csv'))} prompts stored.")
client.query_df("SELECT count() AS prompts, min(length(prompt_vector)) AS shortest_vector, any(prompt) FROM prompts")

# %% [markdown]
# SQL can count, too. `countIf` counts the rows that fulfil a condition. `ILIKE` compares texts without regard to
# capital letters, and `%` stands for any letters, so `'%night%'` fits every text that has *night* in it. How many of
# our prompts ask for night, how many for Mars?

# %%
client.query_df("SELECT countIf(prompt ILIKE '%night%') AS night, countIf(prompt ILIKE '%mars%') AS mars FROM prompts")

# %% [markdown]
# ## Part 4 · Search by text
#
# *35 minutes*
#
# A search takes the vector of what you typed, the **query**, and asks for the rows whose vectors are nearest. As SQL that
# is one sentence: *compute the distance for each row, sort by it, give me the first five*.
#
# ```sql
# SELECT prompt, url, cosineDistance(prompt_vector, [0.01, -0.07, …]) AS dist
# FROM prompts
# ORDER BY dist
# LIMIT 5
# ```
#
# But how does the vector get into the SQL? It is tempting to paste it in with an f-string. **Don't.** Look at what can
# happen, with a text in place of the vector. A friend has a search page with this line in it:

# %%
typed = "' OR prompt ILIKE '%astronaut%"
sql = f"SELECT count() FROM prompts WHERE prompt = '{typed}'"
print(sql)
print(client.query(sql).result_rows)

# %% [markdown]
# Somebody typed a bit of SQL into the search box, and the database obeyed. This one only counts astronauts. Others delete
# tables or read passwords; **SQL injection** is one of the oldest holes on the web. (And an honest *don't* with its ' breaks
# the page, too.)
#
# The remedy is to keep them apart: the text of the SQL is yours and never changes. Values travel beside it, as
# **parameters**. The text has a placeholder with a name and a type, and whatever is filled in there is a value and
# nothing else:

# %%
client.query("SELECT count() FROM prompts WHERE prompt = {text:String}", parameters={"text": typed}).result_rows

# %% [markdown]
# Zero prompts are equal to that strange text. This is right.

# %% [markdown]
# ### Exercise 5 · `search_by_text`
#
# *Difficulty ●●●○○ · 20 minutes · 12 points*
#
# Write the search above with vector, table and k as parameters. Return what `client.query_df` gives: a DataFrame with
# the columns prompt, url and dist, the nearest first.
#
# <details><summary>Hint 1: the types</summary>
#
# `{emb:Array(Float32)}` for the vector, `{k:UInt32}` for the number of rows, `{table:Identifier}` for the table's name.
# </details>
#
# <details><summary>Hint 2: the vector</summary>
#
# `embed_texts` wants a list and gives an array with one row for each: `embed_texts([query])[0]`. As a parameter it has to
# be a plain list: `.tolist()`.
# </details>
#
# <details><summary>Help: my SQL has braces, and Python complains about them</summary>
#
# Then there is an f in front of the string. It is no f-string: the braces are the database's, not Python's.
# </details>


# %% exercise="search_by_text"
def search_by_text(client, table, query, k=5):
    """Find the prompts that are nearest in meaning to a text, by the cosine distance of CLIP's vectors.

    client, table: the connection, and the name of a table as create_table makes it.
    query: any text, also one with quotation marks or SQL in it.
    k: how many to find; where there are fewer rows, all are found.

    Returns a DataFrame with the columns prompt, url and dist, the nearest first, and at most k rows. The database sorts
    and cuts; the vector and k are bound as parameters, so that the SQL's text is the same for each search.
    """
    ### BEGIN SOLUTION
    found = client.query_df(
        """
        SELECT prompt, url, cosineDistance(prompt_vector, {emb:Array(Float32)}) AS dist
        FROM {table:Identifier}
        ORDER BY dist
        LIMIT {k:UInt32}
        """,
        parameters={"emb": embed_texts([query])[0].tolist(), "table": table, "k": k},
    )
    return found.reindex(columns=["prompt", "url", "dist"])  # where nothing is found, the columns are missing
    ### END SOLUTION


# %% tests="search_by_text" points=12
checks.nb05.search_by_text(search_by_text)

# %% [markdown]
# Now search. The first query could be one of our prompts. *Sleeping* and *storm* are in none of them; watch what is found
# all the same. And the last query has nothing to do with our world. Compare the distances: they tell how sure the search
# can be.

# %%
for query in ("a dog in the snow", "a cat is sleeping on the sofa", "a storm at sea", "a cathedral full of dragons"):
    found = search_by_text(client, "prompts", query, k=3)
    print(f"\n{query!r}")
    for prompt, _, dist in found.itertuples(index=False):
        print(f"   {dist:.3f}  {prompt}")

# %% [markdown]
# There is no prompt in which a cat sleeps, so you get the nearest there is. And there is nothing at all like a cathedral
# full of dragons, but you get an answer, too: a vector search **always** finds something. It is up to you to look at the
# distance and say *that is too far*.
#
# What a search understands is what its model has read. Our small CLIP has read captions of the picture book and nothing
# else. It never met *sleeping* or *storm* and goes by the words that it knows. Search for *a kitten*: it is lost. A large
# CLIP, which has read captions from all over the web, knows that this is a small cat.
#
# A style is an idea like any other: search for the style alone. How many of the first 20 have it? The prompts of our world
# can be read back with `parse`, so we can count.

# %%
print(f"{'query':32} of the first 20 in that style")
for query, style in (("a pencil drawing", "pencil sketch"), ("pixel art", "pixel art"), ("neon", "neon")):
    prompts = search_by_text(client, "prompts", query, k=20).prompt
    print(f"{query:32} {sum(parse(prompt).style == style for prompt in prompts)}")

# %% [markdown]
# Meaning and facts can be combined. That is where a database pays off: `WHERE` keeps only rows that fulfil a condition, and
# the vector search ranks those that are left. *Something like a cat on the sofa, but at night:*

# %%
found = client.query(
    """
    SELECT prompt, cosineDistance(prompt_vector, {emb:Array(Float32)}) AS dist FROM prompts
    WHERE prompt ILIKE {word:String} ORDER BY dist LIMIT 3
    """,
    parameters={"emb": embed_texts(["a cat on a sofa"])[0].tolist(), "word": "%night%"},
)
for prompt, dist in found.result_rows:
    print(f"{dist:.3f}  {prompt}")

# %% [markdown]
# ## Part 5 · Search by picture
#
# *25 minutes*
#
# Now the search from the beginning of this notebook: you have a picture, and want the prompt. Think for a moment about what
# has to change in your SQL.

# %% [markdown]
# ### Exercise 6 · `search_by_image`
#
# *Difficulty ●○○○○ · 10 minutes · 6 points*
#
# Write the same search for a picture. It returns a DataFrame of the same form.
#
# <details><summary>Hint</summary>
#
# Nothing in the SQL changes; the vector comes from the picture. You may put the SQL into a function of its own that
# both searches call; then take care that this cell has all it needs.
# </details>


# %% exercise="search_by_image"
def search_by_image(client, table, image, k=5):
    """Find the prompts that fit a picture best, by the cosine distance of CLIP's vectors.

    image: a PIL picture of any size and mode. All else as in search_by_text.

    Returns a DataFrame with the columns prompt, url and dist, the nearest first, and at most k rows.
    """
    ### BEGIN SOLUTION
    found = client.query_df(
        """
        SELECT prompt, url, cosineDistance(prompt_vector, {emb:Array(Float32)}) AS dist
        FROM {table:Identifier}
        ORDER BY dist
        LIMIT {k:UInt32}
        """,
        parameters={"emb": embed_images([image])[0].tolist(), "table": table, "k": k},
    )
    return found.reindex(columns=["prompt", "url", "dist"])  # where nothing is found, the columns are missing
    ### END SOLUTION


# %% tests="search_by_image" points=6
checks.nb05.search_by_image(search_by_image)

# %% [markdown]
# The proof: we take a few prompts out of the table, draw their pictures, and ask for the prompts. The title of each picture
# is the true one. Is it the first that is found? Where it is not, read what came first: is it *wrong*, or another way to
# say the same?


# %%
def some_rows(n):
    """n rows of the table, with prompt and prompt_vector: as if chosen at random, but always the same ones."""
    sql = "SELECT prompt, prompt_vector FROM prompts ORDER BY cityHash64(id) LIMIT {n:UInt32}"
    rows = client.query_df(sql, parameters={"n": n})
    if rows.empty:
        raise LookupError("The table is empty. Solve insert_prompts (Part 3), and run the cell that fills it.")
    return rows


for truth in some_rows(3).prompt:
    image = draw(parse(truth), size=128)
    show.gallery([image], [truth], width=150)
    for prompt, _, dist in search_by_image(client, "prompts", image, k=3).itertuples(index=False):
        print(f"   {dist:.3f}  {prompt}{'   ← the one' if prompt == truth else ''}")

# %% [markdown]
# Three pictures are an anecdote. For a measurement we take forty, and count how often the true prompt comes first, and how
# often it is among the first ten. This is **recall@1** and **recall@10**. What would blind guessing give? Among so few
# prompts ours should hardly ever miss; where another prompt came first, the cell shows both. Expect much less of a table with
# hundreds of thousands of rows, where many prompts differ in one word only.

# %%
truths = some_rows(40).prompt.tolist()
places = []
for truth in truths:
    ranked = search_by_image(client, "prompts", draw(parse(truth), size=128), k=10).prompt.tolist()
    places.append(ranked.index(truth) if truth in ranked else 10)
    if places[-1] > 0:
        print(f"the true one:  {truth}\ncame first:    {ranked[0]}\n")
print(f"recall@1  {sum(place == 0 for place in places) / len(places):.0%}")
print(f"recall@10 {sum(place < 10 for place in places) / len(places):.0%}")
print(f"guessing  {1 / ROWS:.2%} and {10 / ROWS:.1%}")

# %% [markdown]
# ## Part 6 · A map, and a search box
#
# *15 minutes*
#
# What does this space look like? Nobody can see 512 dimensions. But we can look for the flat sheet through the cloud of
# points on which they are spread out the most, and draw their shadows on it. This is a **principal component analysis**
# (PCA). The axes have no names; only *near* and *far* mean something, and even that only roughly: the title of each axis
# says how much of the whole spread it shows.
#
# First three subjects, twenty prompts of each, and their pictures. What decides where a point lies: what it is about, or
# whether it is a text or a picture?

# %%
rng, groups = Random(5), {}
for kind, place in (("cat", "room"), ("boat", "sea"), ("rocket", "mars")):
    things = [Thing(kind, rng.choice(COLOURS), rng.choice(SIZES)) for _ in range(20)]
    scenes = [Scene((thing,), place=place, style=rng.choice(STYLES)) for thing in things]
    groups[f"{kind}s: texts"] = embed_texts([describe(scene, rng) for scene in scenes])
    groups[f"{kind}s: pictures"] = embed_images([draw(scene, size=128) for scene in scenes])
show.projection(groups)

# %% [markdown]
# Now some of your whole collection. Expect a muddle: the sheet shows a small share of the spread, and prompts that lie side by
# side on it may be far apart in the other 510 directions. Yet there is some order in it. Those whose first thing is yellow
# keep to their own side. Do the red ones? The ones on mars (`parse(prompt).place == "mars"`)? Change the line and look again.

# %%
sample = some_rows(500)
chosen = np.array([parse(prompt).things[0].colour == "yellow" for prompt in sample.prompt])
vectors = np.stack(sample.prompt_vector)
show.projection({"others": vectors[~chosen], "yellow": vectors[chosen]})

# %% [markdown]
# One thing is different in large CLIP models that were trained on photos and captions from the web. On *their* map,
# texts and pictures lie in two separate clouds, with a gap between them, the **modality gap** (Liang et al. 2022).
# CLIP's training only asks that a picture be nearer to its own text than to other texts, and that works across a gap as
# well. But then two texts that have nothing to do with each other can be nearer than a picture and its very own text.
# Is there a gap in ours? Measure it: compare the mean distance from a picture to its own text with that between two
# texts, whatever they are about.

# %%
few = sample.prompt[:60].tolist()
text_vectors, image_vectors = vectors[:60], embed_images([draw(parse(prompt), size=128) for prompt in few])
own = 1 - (text_vectors * image_vectors).sum(axis=1).mean()
other = 1 - (text_vectors @ text_vectors.T)[np.triu_indices(60, k=1)].mean()  # each pair of texts once
print(f"A picture and its own text: {own:.2f}. Two texts: {other:.2f}.")
print("There is a gap." if own > other else "There is no gap: a picture lies nearer to its text than two texts do.")

# %% [markdown]
# And now a search box around your two functions. Type an idea and press Enter. Under each picture is a button that searches
# with the picture itself. Wander from picture to picture; how many clicks from a cat to a rocket?
#
# <details><summary>Help: I see no search box</summary>
#
# Then this page runs no widgets, as in GitHub's preview. In Jupyter run the cell again, or choose File → Trust Notebook.
# </details>

# %%
widgets.SearchGallery(
    lambda query: search_by_text(client, "prompts", query, k=8),
    lambda image: search_by_image(client, "prompts", image, k=8),
    query="a cat is sleeping on the sofa",
)

# %% [markdown]
# ## Part 7 · Better prompts
#
# *30 minutes*
#
# *A frog at night.* A language model could make a better prompt of that: a size, colours, a style. But which? Left alone, it
# does what language models do, and writes what is likely in general. It knows nothing of *your* collection and of what
# works with *your* image model.
#
# So we tell it. We search for prompts that are near the idea, put the best of them into the request as examples, and
# let it write with those before its eyes. This pattern, **search first, then generate**, is called
# **retrieval-augmented generation**, and most systems that answer questions about a company's documents work like this.
# The model needs no training for it; what it has to know is in its prompt.

# %% [markdown]
# ### Exercise 7 · `improve_prompt`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# Ask a chat model, in one message. Our small model knows requests of this form (a large one understands any):
#
# ```text
# Improve this image prompt: a cat on a sofa
# Here are good prompts:
# - a small red cat on a large purple sofa, in a room
# - a large white cat, in the snow
# ```
#
# <details><summary>Hint 1: asking</summary>
#
# `reply = chat.invoke("…")`, as in notebook 03. The text of the reply is `reply.text`.
# </details>
#
# <details><summary>Hint 2: quotation marks</summary>
#
# Models like to put a prompt in quotation marks. `text.strip().strip('"')` takes them away.
# </details>
#
# <details><summary>Help: braces</summary>
#
# In a `ChatPromptTemplate` braces are places to be filled, also those in somebody's prompt. Give the texts as values to
# `invoke`, or build the message with an f-string and use no template.
# </details>


# %% exercise="improve_prompt"
def improve_prompt(chat, idea, neighbours):
    """Let a chat model make a full image prompt of an idea, with good prompts as examples.

    chat: a LangChain chat model. It is asked once.
    idea: a text.
    neighbours: a list of prompts, the nearest first; it may be empty, and stays as it is. The model is told the idea and
        all of them, in this order, each as it is, also with braces in it.

    Returns the reply as a string, without spaces and quotation marks (") around it; what is inside stays as it is. Raises
    ValueError where nothing is left then.
    """
    ### BEGIN SOLUTION
    examples = "\n".join(f"- {prompt}" for prompt in neighbours)
    reply = chat.invoke(f"Improve this image prompt: {idea}\nHere are good prompts:\n{examples}")
    prompt = reply.text.strip().strip('"').strip()
    if not prompt:
        raise ValueError("The chat model replied with nothing; ask again, or ask another model.")
    return prompt
    ### END SOLUTION


# %% tests="improve_prompt" points=8
checks.nb05.improve_prompt(improve_prompt)

# %% [markdown]
# Try it with the real model. (The first call starts the course's chat endpoint on your computer.) It gets the same idea
# twice: first with the idea's own neighbours, then with those of another search, for neon. What of each answer comes from
# your idea, and what from the neighbours? Is any of the idea lost? Expect a simple habit of our small model: the things are
# yours, and much of the rest it takes from the first neighbour. Then try other ideas, for example *a cat on a sofa*.

# %%
idea = "a frog at night"
chat = chat_model("text")
improved = []
for search in (idea, "neon"):
    neighbours = search_by_text(client, "prompts", search, k=3).prompt.tolist()
    improved.append(improve_prompt(chat, idea, neighbours))
    print(f"{idea!r} with the neighbours of {search!r}")
    for prompt in neighbours:
        print("   neighbour:", prompt)
    print("   improved: ", improved[-1])

# %% [markdown]
# ## Part 8 · Draw it, store it
#
# *30 minutes*
#
# The circle closes: draw the prompt, and put it into the collection with its picture, so that the next search finds it. Then
# what is good becomes an example for what comes next.

# %% [markdown]
# ### Exercise 8 · `generate_and_store`
#
# *Difficulty ●●●○○ · 25 minutes · 8 points*
#
# Draw with the pipeline of notebook 01, save the picture, and store a row with your `insert_prompts`.
#
# <details><summary>Hint 1: drawing</summary>
#
# `load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0, generator=torch.Generator().manual_seed(seed))`
# gives an object; its `images[0]` is the picture.
# </details>
#
# <details><summary>Hint 2: an id, a file, an address</summary>
#
# `uuid.uuid4().hex` is an id that nobody else has. Save the picture as `<id>.png` in the folder (make the folder, if need be:
# `Path(folder).mkdir(parents=True, exist_ok=True)`). `path.resolve().as_uri()` is the file's address as a url.
# </details>
#
# <details><summary>Help: it should be found by its picture, but the table has only the prompt's vector</summary>
#
# That is enough. If the drawing shows what the prompt says, its vector is near the prompt's. This is how all other pictures
# are found, too.
# </details>


# %% exercise="generate_and_store"
def generate_and_store(client, table, prompt, *, seed=0, steps=25, folder="generated_images"):
    """Draw a prompt with load("diffusion"), save the picture, and store its row, so that both searches find it.

    client, table: the connection, and the name of a table as create_table makes it.
    seed: the same seed gives the same picture.
    steps: sampling steps.
    folder: where the picture is saved as a PNG file; it is made if it is not there. No other picture is overwritten.

    Returns the stored row, a dict: an id that is new also for the same prompt and seed, the prompt, url (the address of the
    file, file://…), the picture's width and height, and source_site "generated".
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    drawn = load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0, generator=generator)
    image = drawn.images[0]

    row_id = uuid.uuid4().hex
    path = Path(folder) / f"{row_id}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)

    row = {
        "id": row_id,
        "prompt": prompt,
        "url": path.resolve().as_uri(),
        "width": image.width,
        "height": image.height,
        "source_site": "generated",
    }
    insert_prompts(client, table, [row])
    return row
    ### END SOLUTION


# %% tests="generate_and_store" points=8
checks.nb05.generate_and_store(generate_and_store)

# %% [markdown]
# Your idea and its two improved versions, drawn from the same seed. What the idea leaves open, the image model decides by
# chance; what the better prompt says, it should obey. (Small things come out softer than large ones: our model is small.) Then two searches: does each find the row of the last picture? In the
# end the cell takes its rows out again, so that your table stays as it was.

# %%
rows = [generate_and_store(client, "prompts", prompt, seed=3) for prompt in (idea, *improved)]
images = [picture_of(row["prompt"], row["url"]) for row in rows]
show.gallery(images, [row["prompt"] for row in rows], width=180)

by_text = search_by_text(client, "prompts", rows[-1]["prompt"], k=5)
by_image = search_by_image(client, "prompts", images[-1], k=5)
client.command("DELETE FROM prompts WHERE source_site = 'generated'")
print("found by its prompt: ", rows[-1]["url"] in by_text.url.tolist())
print("found by its picture:", rows[-1]["url"] in by_image.url.tolist())

# %% [markdown]
# ## Part 9 · When the collection grows
#
# *45 minutes*
#
# Your searches so far were **exact**: the database computes the distance to *every* row and sorts. That is simple, always
# right, and cheaper than one thinks. Measure it before you believe that you need anything else.


# %%
def ranked_ids(vectors, k, **how):
    """The ids of the k nearest rows for each vector, and the seconds that a search took; `how`: the database's settings."""
    ids, started = [], time.perf_counter()
    for vector in vectors:
        found = client.query(
            "SELECT id FROM prompts ORDER BY cosineDistance(prompt_vector, {emb:Array(Float32)}) LIMIT {k:UInt32}",
            parameters={"emb": vector.tolist(), "k": k},
            settings=store.known_settings(client, how),
        )
        ids.append([row_id for (row_id,) in found.result_rows])
    return ids, (time.perf_counter() - started) / len(vectors)


rng = Random(99)
query_vectors = embed_texts([describe(random_scene(rng), rng, detail=0.5) for _ in range(30)])
exact, seconds = ranked_ids(query_vectors, 10, **store.EXACT)
print(f"An exact search among {ROWS} prompts takes {1000 * seconds:.1f} ms.")

# %% [markdown]
# Most of that is spent on reading the SQL with its 512 numbers and on handing the answer back, not on the search. But
# the work grows with the number of rows: a million rows are five hundred times as much, a hundred million fifty
# thousand times. And then not one person searches, but many.
#
# An **index** answers without looking at every row. The one that is used most for vectors is **HNSW** (*hierarchical
# navigable small world*; Malkov and Yashunin 2016). It links each vector to some of its neighbours. A search starts
# somewhere and goes from link to link, always to the one that is nearest to the target, until no neighbour is nearer. A
# few layers with long links on top of that make it fast: first by plane, then by train, then on foot.
#
# The price: the walk can end in a place that is near, but not the nearest. The search is **approximate**. And the index
# has to be built, and kept in memory.
#
# On a table it looks like this; 512 is the length of the vectors, and the distance must be the one you search with:
#
# ```sql
# ALTER TABLE prompts ADD INDEX IF NOT EXISTS vec_idx prompt_vector TYPE vector_similarity('hnsw', 'cosineDistance', 512)
# ALTER TABLE prompts MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2
# ```
#
# The first line says that there is an index. It counts for rows that come *from now on*. The second one builds it for those
# that are there, and `mutations_sync = 2` waits until that is done.

# %% [markdown]
# ### Exercise 9 · `create_index`
#
# *Difficulty ●●○○○ · 10 minutes · 6 points*
#
# Send these two statements, for a table of any name. Nothing is returned, and a second call must be no error.
#
# <details><summary>Hint</summary>
#
# Two calls of `client.command`, with `{table:Identifier}` for the name.
# </details>
#
# <details><summary>Help: my server is MyScale</summary>
#
# MyScale, a database built on ClickHouse, has an index of its own and other words for it. `store.index_ddl(client,
# table)` gives the statements for the database that you are connected to; run each of them.
# </details>


# %% exercise="create_index"
def create_index(client, table):
    """Put an HNSW index for cosine distances, vec_idx, on prompt_vector, and build it for the rows that are there.

    client, table: the connection, and the name of a table as create_table makes it; it may have spaces in it. On a table
    that has the index already, a second call is not an error.
    """
    ### BEGIN SOLUTION
    for statement in (
        "ALTER TABLE {table:Identifier} ADD INDEX IF NOT EXISTS vec_idx prompt_vector "
        "TYPE vector_similarity('hnsw', 'cosineDistance', 512)",
        "ALTER TABLE {table:Identifier} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2",
    ):
        client.command(statement, parameters={"table": table})
    ### END SOLUTION


# %% tests="create_index" points=6
checks.nb05.create_index(create_index)

# %% [markdown]
# ### Exercise 10 · `recall_at_k`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# How good is an approximate search? Ask both ways, and count which share of the *true* first k the approximate search has
# among *its* first k: that is **recall@k**. 1 means that nothing was missed. (In Part 5 the truth was one prompt, the
# picture's own. Here the truth is what the exact search finds, good or bad: we judge the index, not CLIP.)
#
# <details><summary>Hint 1: one query first</summary>
#
# The first k of a list are `ids[:k]`. How many are in both is `len(set(a) & set(b))`. Then take the mean over all queries.
# </details>
#
# <details><summary>Hint 2: divide by what?</summary>
#
# By the number of true ones, which is k; but only as many as there are, if the exact list is shorter.
# </details>


# %% exercise="recall_at_k"
def recall_at_k(approximate, exact, k):
    """The mean share of the exact top k that is in the approximate top k, from 0 to 1.

    approximate, exact: for each query a list of ids (texts or numbers), the nearest first; both have as many lists. They
        stay as they are. A list may be longer than k (the rest does not count) or shorter (then there were not more; an
        exact list has at least one id). An id that is found twice counts once.
    k: 1 or more. The order within the top k does not count.

    Returns a float from 0 to 1.
    """
    ### BEGIN SOLUTION
    shares = [len(set(a[:k]) & set(e[:k])) / len(e[:k]) for a, e in zip(approximate, exact)]
    return sum(shares) / len(shares)
    ### END SOLUTION


# %% tests="recall_at_k" points=8
checks.nb05.recall_at_k(recall_at_k)

# %% [markdown]
# Build the index on your prompts, and measure. Each search has a setting, `hnsw_candidate_list_size_for_search`: how
# many candidates the walk keeps in hand before it decides. The more, the better and the slower.
#
# For comparison we build a second, meagre one afterwards: each vector is linked to 4 others in place of 32. `store.index_ddl`
# writes the SQL for it. Each is dropped when it has been measured, so that all your other searches stay exact.


# %%
def drop_index():
    client.command("ALTER TABLE prompts DROP INDEX IF EXISTS vec_idx SETTINGS mutations_sync = 2")


CANDIDATES = (10, 25, 60, 150)
recalls = {}
drop_index()
for name in ("32 neighbours", "4 neighbours"):
    if name.startswith("32"):
        started = time.perf_counter()
        create_index(client, "prompts")
        print(f"The index was built in {time.perf_counter() - started:.1f} s.")
    else:
        for statement in store.index_ddl(client, "prompts", neighbours=4, candidates=8):
            client.command(statement)
    recalls[name] = []
    for candidates in CANDIDATES:
        found, seconds = ranked_ids(query_vectors, 10, hnsw_candidate_list_size_for_search=candidates)
        recalls[name].append(recall_at_k(found, exact, 10))
        print(
            f"{name:14} {candidates:4} candidates: recall@10 {recalls[name][-1]:.3f}, {1000 * seconds:5.1f} ms per search"
        )
    drop_index()

figure, axes = plt.subplots(figsize=(6, 3.2))
for (name, values), mark in zip(recalls.items(), "os"):
    axes.plot(CANDIDATES, values, marker=mark, label=name)
axes.set(xlabel="candidates in hand during a search", ylabel="recall@10", ylim=(0, 1.03))
axes.legend(loc="lower right")
words = "; ".join(f"{name}: {', '.join(f'{v:.2f}' for v in values)}" for name, values in recalls.items())
show.plot(figure, alt=f"Recall@10 for {', '.join(map(str, CANDIDATES))} candidates. {words}.", width=560)

# %% [markdown]
# Two things to take home. A good index loses hardly anything. And at this size it does not *win* anything either: two
# thousand rows are searched exactly in no time. **Exact first; an index when a measurement says that you need it.**
#
# There is a trap in the combination with `WHERE`. The index knows nothing of your condition. If it finds its ten nearest
# *first* and the condition is applied *afterwards*, few of the ten may be left, or none. The other order, condition first
# (`prefilter`), finds all ten, but makes less use of the index. Compare the numbers of rows that come back:

# %%
create_index(client, "prompts")
for strategy in ("postfilter", "prefilter"):
    found = client.query(
        """
        SELECT id FROM prompts WHERE prompt ILIKE '%neon%mars%'
        ORDER BY cosineDistance(prompt_vector, {emb:Array(Float32)}) LIMIT 10
        """,
        parameters={"emb": embed_texts(["a cat on a sofa"])[0].tolist()},
        settings=store.known_settings(client, {"vector_search_filter_strategy": strategy}),
    )
    print(f"{strategy:12} {len(found.result_rows)} of 10 rows")
drop_index()

# %% [markdown]
# ### What does a larger collection cost?
#
# A vector of 512 numbers of 4 bytes is 2 KB. From this, and from the time of your own exact search on a longer table, you
# can work out what is to come. To time it well, let the database compute the distance to each of your rows twenty times:

# %%
started = time.perf_counter()
client.query(
    "SELECT min(cosineDistance(prompt_vector, {emb:Array(Float32)})) FROM prompts CROSS JOIN numbers(20) AS times",
    parameters={"emb": query_vectors[0].tolist()},
)
each = (time.perf_counter() - started) / (20 * ROWS)
print(f"{'rows':>12}  {'vectors':>8}  {'an exact search':>16}")
for rows in (1_000, 900_000, 100_000_000):
    print(f"{rows:12,}  {rows * 2048 / 1e9:5.1f} GB  {each * rows:14.2f} s")

# %% [markdown]
# Thousands of rows need nothing. At a million an index begins to pay, if many people search. A hundred million vectors
# are 205 GB: too much for a laptop, and one machine that has the memory could not serve many people at once. Then the
# table is spread over several machines, each searches its own rows, and the first ten of all of them are merged into
# the first ten. In ClickHouse that is a second table, which holds nothing itself and asks all the others; your
# `search_by_text` works on it as it is:
#
# ```sql
# CREATE TABLE prompts ON CLUSTER course AS prompts_local
# ENGINE = Distributed('course', currentDatabase(), 'prompts_local', sipHash64(id))
# ```
#
# [docs/scale.md](https://github.com/picture-this-course/picture-this/blob/main/docs/scale.md) has the whole recipe, and
# measurements of what 1,000 and 900,000 rows really cost, exactly and with an index, beside other programs.

# %% [markdown]
# ## Part 10 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="the_gap" points=5
# ### Question 1 · The gap
#
# A classmate works with a large CLIP model, one that has a gap between texts and pictures (Part 6). She wants to find *more*
# with each search, and stores two rows for each picture: one with the vector of its prompt, one with the vector of the
# picture itself, in the same column. Then she searches with texts and with pictures. What will she see in the results, and
# why? Explain it with a map (draw or describe it), and say what she could do instead.
#
# ### BEGIN MARK SCHEME
# - 2 points: what she sees: text searches find (almost) only rows with text vectors first, picture searches (almost) only
#   rows with picture vectors (1), even where a row of the other kind fits better (1)
# - 2 points: why: texts and pictures lie in two separate regions (modality gap) (1); the distance across it is larger than
#   most distances within one, so the kind of the row outweighs its meaning (1)
# - 1 point: a remedy: two columns or tables, searched separately and the results merged by rank; or one kind of vector
#   only; or moving the clouds onto each other (subtracting each one's mean)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# Her text searches will bring up text rows first and nearly nothing else, and her picture searches picture rows. On the
# map the two kinds lie in two clouds with a gap between them: CLIP was only trained to rank a picture's own text before
# other texts, not to put it close by. So a text is usually nearer to a so-so text than to the very best picture, and
# whether a row is a text or a picture counts more than what it means. She should keep the vectors in two columns,
# search each with a query of its own, and merge the two lists by rank and not by distance. Subtracting the mean of each
# cloud would help, too.
# ### END SOLUTION

# %% [markdown] written="exact_or_index" points=5
# ### Question 2 · Exact, or with an index?
#
# Decide and give reasons, with numbers from Part 9: (a) your own 3,000 prompts, (b) 900,000 prompts on a website with a
# hundred searches a second, (c) the same 900,000 prompts, but in each search people see only their own, about 200 each.
# For (b): how would you find out whether the index is good enough?
#
# ### BEGIN MARK SCHEME
# - 1 point: (a) exact: a few milliseconds, always right, nothing to build
# - 1 point: (b) index: an exact search costs about a second (or what the student's own table says), a hundred a second are
#   impossible
# - 1 point: (c) exact among the person's own rows: WHERE first, 200 distances are nothing; or says that an index would
#   filter afterwards and return too few
# - 2 points: measure recall@k against exact search (1) on real or realistic queries, a sample of them, and turn the number
#   of candidates up until recall (and time) are good (1)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# (a) Exact. Two thousand rows took a few milliseconds, most of it overhead; an index would be one more thing to build,
# for nothing. (b) An index: by my table an exact search among 900,000 rows takes around a second, so a hundred a second
# would need a hundred computers. (c) Exact, after a WHERE on the owner: only 200 distances are left to be computed. The
# index would be harmful here: its nearest ten are mostly other people's, and after the filter hardly any would be left.
# For (b) I would collect some hundred real queries, run each of them once with an exact search, at night, and compare
# its first ten with those of the index: recall@10. Then I would turn up the number of candidates until recall is, say,
# 0.98, and see whether the time is still good.
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Fifteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget; importing it twice does not double your cards.

# %%
cards = flashcards.find("05_prompt_management")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "prompt_management.apkg")
print("Wrote prompt_management.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Arithmetic with meanings.** Take the mean vector of all neon prompts minus the mean of all flat ones. Add it to the
#   vector of *a cat*, make it 1 long again, and search. Does it work with places, too?
# - **Close the gap.** With `COURSE_PROFILE=full` there is one. Draw texts and pictures as two groups, with
#   `show.projection(…, pairs=("texts", "pictures"))`. Then subtract from all text vectors their mean and from all picture
#   vectors theirs, draw again, and measure recall@1 before and after.
# - **The real prompts.** Download the [Diffusion Prompts
#   dataset](https://www.kaggle.com/datasets/tanreinama/900k-diffusion-prompts-dataset) (900,000 rows; Kaggle asks you
#   to make an account) and load it with `collection.load_prompts`, which goes on where it stopped if you interrupt it.
#   On a GPU, set `COURSE_PROFILE=full` first: the mini CLIP has never read about dragons and cathedrals.
# - **A real server.** Start ClickHouse on another computer, set `COURSE_STORE=clickhouse://you@address/database`, and run
#   this notebook again. Not a line of it changes.
# - **Words and meaning.** Combine a search for words (`ILIKE`, or `hasToken`) with the vector search: take the first 20 of
#   each and merge them by rank. When is which of them better?
#
# ### References
#
# - A. Radford et al.: *Learning Transferable Visual Models From Natural Language Supervision*, 2021,
#   [arXiv:2103.00020](https://arxiv.org/abs/2103.00020). CLIP.
# - W. Liang et al.: *Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning*, 2022,
#   [arXiv:2203.02053](https://arxiv.org/abs/2203.02053)
# - Yu. Malkov, D. Yashunin: *Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
#   World graphs*, 2016, [arXiv:1603.09320](https://arxiv.org/abs/1603.09320)
# - K. Pearson: *On Lines and Planes of Closest Fit to Systems of Points in Space*, 1901. Principal component analysis.
# - P. Lewis et al.: *Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks*, 2020,
#   [arXiv:2005.11401](https://arxiv.org/abs/2005.11401)
# - The documentation of ClickHouse on [vector
#   search](https://clickhouse.com/docs/engines/table-engines/mergetree-family/annindexes), exact and approximate.
