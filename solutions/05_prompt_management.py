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
# In this notebook you build what people who work with many prompts build. You put thousands of them into a database,
# each with a vector that stands for what it *means*. Then you search: with half an idea, with a style, or with a
# picture. You let a language model improve your own prompts with the best of what was found, draw the result, and store
# it with the others. All of it runs on your computer (on Windows: in WSL), with nothing to install or start, and the
# same code works on a database server with a hundred million prompts.
#
# **When you are done, you can**
#
# - embed texts and pictures into one space, and say what a distance in it means
# - make a table for vectors that refuses what does not belong in it
# - fill it from a file of any size, so that a bad row never leaves half a batch behind
# - find prompts by meaning, and the prompt behind a picture, with SQL that nobody can abuse
# - answer *nothing fits*, with a threshold that you have measured
# - look at the best candidates a second time, and search by words and by meaning at once
# - give a language model what it needs to know by searching for it first
# - put an index on vectors, and measure what it gains and what it loses
#
# **What you need**: Python functions, dictionaries, a little numpy. SQL is explained where it comes up. Notebooks 02
# (CLIP) and 03 (chat models) help, but you can do without them. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 One space for texts and pictures | 45 | 12 |
# | 2 A table for vectors | 25 | 8 |
# | 3 Filling it | 40 | 12 |
# | 4 Search by text | 50 | 16 |
# | 5 Search by picture | 60 | 13 |
# | 6 Words and vectors together | 40 | 8 |
# | 7 Better prompts | 30 | 6 |
# | 8 Draw it, store it | 30 | 6 |
# | 9 When the collection grows | 45 | 10 |
# | 10 Two questions, flashcards, going further | 30 | 9 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place
# of the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of
# them passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on
# other inputs. The cases use separate tables and leave yours alone. Every exercise has hints that unfold, and ● to
# ●●●●● shows how hard it is. If you are stuck on one, `checks.borrow("embed_texts")` lends you the course's own version
# of it, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `embed_texts` in Parts 3, 4 and 6, `embed_images` in
# Part 5, `insert_prompts` in Part 8.

# %% [markdown]
# ## Three questions about notebook 04
#
# They take two minutes. Answer aloud, then unfold. If you have not done notebook 04, read the answers.
#
# 1. What does the Q-Former of BLIP-2 hand to the language model?
#
# <details><summary>Answer</summary>
#
# A fixed number of vectors, the soft prompts. They stand where words would stand, and carry what the queries have read
# from the picture.
# </details>
#
# 2. A chat knows what you asked before. Where is that memory?
#
# <details><summary>Answer</summary>
#
# In the prompt: all earlier questions and answers are sent again with each new question. The model itself remembers
# nothing.
# </details>
#
# 3. A caption says "a blue cat and a red dog" about a red cat and a blue dog. Every word is in the picture. What went
#    wrong?
#
# <details><summary>Answer</summary>
#
# The binding: which colour belongs to which thing. It will matter again in Part 5.
# </details>

# %% [markdown]
# ## Set-up
#
# The first cell fetches the course if it is not installed, the second loads what the notebook uses. `helpers` is the
# course's small library, made to be read: `show.gallery??` in a cell shows the code of that function.

# %% locked="fetch_course"
# On Colab this fetches the course and the few missing libraries. Where the course is installed, it does nothing.
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
import re
import time
import uuid
from collections import defaultdict
from fractions import Fraction
from itertools import islice
from numbers import Integral
from random import Random

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from helpers import checks, collection, flashcards, show, store, widgets
from helpers.agreement import facts_of
from helpers.chat import chat_model
from helpers.models import load
from helpers.picturebook import COLOURS, SIZES, STYLES, Scene, Thing, describe, draw, parse, random_scene
from helpers.pictures import as_rgb
from helpers.ready import ready_to_hand_in
from helpers.search_gallery import picture_of
from helpers.settings import settings

client = store.connect()
COLUMNS = list(collection.COLUMNS)  # id, prompt, url, width, height, source_site

print(f"Profile: {settings.profile}. The models run on: {settings.device}.")
print(f"Database: version {client.server_version}, {'embedded' if settings.store.startswith('chdb') else 'a server'}.")

# %% [markdown]
# ## Part 1 · One space for texts and pictures
#
# *45 minutes*
#
# How can a computer tell that *a storm at sea* has to do with *a boat in high waves*? Apart from *a* they have no word
# in common. What we need is a way to turn a text into numbers so that **texts that mean similar things get similar
# numbers**. Such a list of numbers is called an **embedding**, and a model learned to make it.
#
# Our model is **CLIP**, the subject of notebook 02. It was trained on pictures and their captions, with one aim: the
# vector of a picture should point in the same direction as the vector of *its* caption, and in other directions than
# those of all other captions. So it does something that no dictionary can: texts and pictures land in the **same**
# space.
#
# Each of our vectors has 512 numbers. Only its direction matters, so we scale all of them to length 1.
# Then the cosine of the angle between two of them is simply their dot product, and
#
# $$\text{cosine distance}(a, b) = 1 - \cos(a, b) = 1 - a \cdot b$$
#
# is 0 if they point in the same direction, 1 if they have nothing to do with each other, and 2 if they are opposites.

# %% [markdown]
# ### Exercise 1 · `embed_texts`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# Turn texts into vectors. There are thousands of them. One by one, the computer would mostly wait. All at once, they
# would not fit into memory. So they go through the model in batches.
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
# The texts of a batch have different numbers of tokens, and a tensor has no ragged rows. So the shorter ones are filled
# up (`padding`). And CLIP reads a limited number of tokens (ours 40, OpenAI's 77), so what is longer is cut
# (`truncation`).
# </details>
#
# <details><summary>Help: "Can't call numpy() on Tensor that requires grad"</summary>
#
# torch records each step in case you want to train. Put `with torch.inference_mode():` around the model's call: nothing
# is recorded, and it is faster.
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


# %% tests="embed_texts" points=8
checks.nb05.embed_texts(embed_texts)

# %% [markdown]
# Try it on three texts. Before you run the cell, guess which two are closest.

# %%
texts = ["a red cat on a sofa", "two cats in a room", "a rocket on mars"]
a, b, c = embed_texts(texts)
for one, other, x, y in ((0, 1, a, b), (0, 2, a, c), (1, 2, b, c)):
    print(f"{texts[one]!r} and {texts[other]!r}: distance {1 - x @ y:.2f}")

# %% [markdown]
# ### Exercise 2 · `embed_images`
#
# *Difficulty ●○○○○ · 5 minutes · 4 points*
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

    images: a list of PIL pictures of any size and mode, at least one; it stays as it is. Transparent pixels count as
        white.
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


# %% tests="embed_images" points=4
checks.nb05.embed_images(embed_images)

# %% [markdown]
# Now both at once: five pictures, five texts, and the cosine of each with each. The largest number of each column
# should stand where picture and text belong together. That is the whole trick of this notebook.

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
# ### A map
#
# What does this space look like? Nobody can see 512 dimensions. But we can look for the flat sheet through the cloud of
# points on which they are spread out most, and draw their shadows on it. This is a **principal component analysis**
# (PCA). The axes have no names. Only *near* and *far* mean something, and even that only roughly: the label of each
# axis gives the share of the whole spread that it shows.
#
# Take three subjects, with twenty prompts and their twenty pictures each. The colour shows the subject, and the mark
# shows whether a point is a text or a picture. Which of the two decides where a point lies?


# %%
def plane(vectors):
    """The vectors (n, d) on the flat sheet on which they are spread out most, (n, 2), and each axis's share of the spread."""
    centred = vectors - vectors.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T, sizes[:2] ** 2 / (sizes**2).sum()


rng, subjects = Random(5), {"cat": "room", "boat": "sea", "rocket": "mars"}
scenes = [
    Scene((Thing(kind, rng.choice(COLOURS), rng.choice(SIZES)),), place=place, style=rng.choice(STYLES))
    for kind, place in subjects.items()
    for _ in range(20)
]
text_vectors = embed_texts([describe(scene, rng) for scene in scenes])
image_vectors = embed_images([draw(scene, size=128) for scene in scenes])
points, shares = plane(np.concatenate([text_vectors, image_vectors]))
points = points.reshape(2, 3, 20, 2)  # text or picture, subject, scene, axis

figure, axes = plt.subplots(figsize=(7, 4.5))
for what, mark, some in zip(("texts", "pictures"), "o^", points):
    for kind, colour, group in zip(subjects, ("#d55e00", "#0072b2", "#009e73"), some):
        axes.scatter(*group.T, marker=mark, s=40, color=colour, alpha=0.7, linewidths=0, label=f"{kind}s: {what}")
axes.set(xlabel=f"first direction ({shares[0]:.0%} of the spread)", ylabel=f"second ({shares[1]:.0%})")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
centres = points.mean(axis=(0, 2))
own = np.linalg.norm(points[:, :, :, None] - centres, axis=-1).argmin(axis=-1) == np.arange(3)[:, None]
words = f"{own.mean():.0%} of the points are nearest to the centre of their own subject"
show.plot(
    figure,
    alt=f"A map of 60 texts (circles) and 60 pictures (triangles) of cats, boats and rockets: {words}.",
    width=680,
)

# %% [markdown]
# Large CLIP models, which were trained on photos and captions from the web, look different. On *their* map, texts and
# pictures lie in two separate clouds, with a gap between them, the **modality gap** (Liang et al. 2022). CLIP's
# training only asks that a picture be nearer to its own text than to other texts, and that works across a gap as well.
# But then two texts that have nothing to do with each other can be nearer than a picture and its own text. Is there a
# gap in ours? Measure it: compare the mean distance from a picture to its own text with that between two texts about
# different subjects.

# %%
own = 1 - (text_vectors * image_vectors).sum(axis=1).mean()
cats, boats, rockets = text_vectors.reshape(3, 20, -1)
other = 1 - np.mean([cats @ boats.T, cats @ rockets.T, boats @ rockets.T])
print(f"A picture and its own text: {own:.2f}. Two texts about different subjects: {other:.2f}.")
print(
    "There is a gap."
    if own > other
    else "There is no gap: a picture is nearer to its own text than two such texts are."
)

# %% [markdown]
# ## Part 2 · A table for vectors
#
# *25 minutes*
#
# Where do we put thousands of such vectors? With a file, we would have to read all of it for each question, write all
# of it for each change, and take care of everything ourselves: two programs at once, a crash in the middle, a broken
# row. **Databases** do this for us. Ours is **ClickHouse**, which is made for large tables. The variable `client` is
# your connection to it. At the moment the database runs inside this notebook (this is called *embedded*, and the
# package is chDB) and keeps its files in a folder beside it. If `COURSE_STORE` names a server, the same code talks to
# the server.
#
# You talk to a database in **SQL**. `client.command(…)` is for statements that do something, `client.query(…)` for
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
# Why a rule for the length? Imagine that somebody stores a few vectors from another model, with 768 numbers. Nothing
# happens until a search meets one of them, months later, in the middle of the night.

# %% [markdown]
# ### Exercise 3 · `create_table`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# Write such a statement for the prompts, and send it with `client.command`. The docstring has the columns, their types
# and the rule. Nothing is returned, and a second call must change nothing.
#
# <details><summary>Hint 1: the table's name</summary>
#
# A name can't simply be written into the text of the SQL: it may have a space in it, or worse. Write
# `{table:Identifier}` where the name belongs, and pass the name separately:
# `client.command("DROP TABLE {table:Identifier}", parameters={"table": table})`.
# </details>
#
# <details><summary>Hint 2: idempotent</summary>
#
# A function is *idempotent* if calling it twice is the same as calling it once. In a notebook, cells are run twice all
# the time! `CREATE TABLE IF NOT EXISTS` does nothing if the table exists. (`CREATE OR REPLACE TABLE` does a lot: it
# throws the old one away, with everything in it.)
# </details>


# %% exercise="create_table"
def create_table(client, table):
    """Make the table for prompts. If it exists, it stays as it is.

    client: the connection to the database.
    table: the name of the table; it may have spaces in it.

    Columns, in this order: id, prompt, url (String), width, height (UInt32), source_site (String), and prompt_vector,
    an Array(Float32) that must have 512 numbers: any other row is refused. MergeTree, sorted by id.
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


# %% tests="create_table" points=8
checks.nb05.create_table(create_table)

# %%
create_table(client, "prompts")
client.query_df("DESCRIBE TABLE prompts")[["name", "type"]]

# %% [markdown]
# The model solution adds one thing, `CODEC(NONE)` after the vector: *don't compress this column*. ClickHouse compresses
# everything it stores. Texts shrink to a fraction. But the digits of embeddings are as good as random, so next to
# nothing is gained, and each search has to unpack them all. In a trial with 100,000 rows, searches took three times as
# long.

# %% [markdown]
# ## Part 3 · Filling it
#
# *40 minutes*
#
# Now the prompts. Ours describe the picture-book world, and `collection` writes as many as you want into a file with
# the columns of the real dataset. Each url leads to a picture that the course's endpoint draws on request, so none of
# them has to be stored. Two thousand will do for today:

# %%
ROWS = 2000
collection.write_prompts("prompts.csv", rows=ROWS)
pd.read_csv("prompts.csv", nrows=4)

# %% [markdown]
# `collection.read_prompts` yields the rows of such a file one after the other, as dictionaries. It is a **generator**:
# it reads the next row only when you ask for it, so a file of 900,000 rows needs no more memory than one of ten. It
# also reads the real dataset's file, unchanged.

# %%
for row in islice(collection.read_prompts("prompts.csv"), 2):
    print(row)

# %% [markdown]
# Real files are never clean. Somewhere among 900,000 rows there is one without a prompt, one whose width is `"wide"`,
# one that was cut off. What then? Skipping them silently is bad: nobody ever finds out. Stopping *somewhere* is worse:
# half of a batch is in the table, half is not, and nobody knows which half. So the rule is **all or nothing**: a batch
# is checked as a whole, and stored as a whole or not at all. And the error names the number of the row, for the person
# who has to repair the file.
#
# Batches are faster, too. Each insert writes a new *part* to the disk, a few files that the database has to
# merge with others later. A thousand rows in one insert are one part. A thousand inserts are a thousand parts.

# %% [markdown]
# ### Exercise 4 · `insert_prompts`
#
# *Difficulty ●●●●○ · 30 minutes · 12 points*
#
# `client.insert(table, data, column_names=[…])` stores a list of rows, each a list of values in the order of the names;
# the vector may be a numpy array. `COLUMNS` has the names of all columns but the vector's.
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. Take the next `batch_size` rows. Stop if there are none.
# 2. Check each of them. Raise `ValueError` at the first bad one.
# 3. Embed their prompts with your `embed_texts`.
# 4. Insert the batch in one call. Count its rows, and move the progress bar.
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
# A missing text comes as `nan`, which is a float. Test `isinstance(prompt, str)` before you call `prompt.strip()`. And
# whole numbers may be numpy's: `isinstance(width, Integral)` is true for those and for Python's `int`.
# </details>


# %% exercise="insert_prompts"
def insert_prompts(client, table, rows, *, batch_size=500):
    """Store rows together with CLIP's vectors of their prompts, a batch at a time, with a progress bar (tqdm).

    client, table: the connection, and the name of a table as create_table makes it.
    rows: any iterable of dicts with the keys id, prompt, url, width, height, source_site, in any order. It may be a
        generator, so no more than a batch or two is held in memory. Values are stored as they are.
    batch_size: how many rows go into each insert; the last batch may be smaller.

    A row is bad if a key is missing, if its id, prompt, url or source_site is not a string, if its prompt is blank, or
    if its width or height is not a whole number (Integral) from 0 on (0 means unknown). At the first bad row a
    ValueError gives its number (the first of all rows is 0) and what is wrong. The batches before it are stored by
    then, but nothing of its own batch.

    Returns the number of stored rows; 0 if there are none.
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


# %% tests="insert_prompts" points=12
checks.nb05.insert_prompts(insert_prompts)

# %% [markdown]
# Now store the two thousand prompts. CLIP takes most of the time. (If you run this cell a second time, the table has
# all of them already and is left alone: otherwise each prompt would be there twice. If you stopped it halfway, it
# starts again: `TRUNCATE` empties a table.)

# %%
if client.query("SELECT count() FROM prompts").result_rows[0][0] < ROWS:
    client.command("TRUNCATE TABLE prompts")
    print(f"{insert_prompts(client, 'prompts', collection.read_prompts('prompts.csv'))} prompts stored.")
client.query_df("SELECT count() AS prompts, min(length(prompt_vector)) AS shortest_vector, any(prompt) FROM prompts")

# %% [markdown]
# SQL can count, too. `countIf` counts the rows that meet a condition. `ILIKE` compares texts and ignores
# capitals, and `%` stands for any characters, so `'%night%'` matches every text that has *night* in it. How many of
# our prompts ask for night, and how many for Mars?

# %%
client.query_df("SELECT countIf(prompt ILIKE '%night%') AS night, countIf(prompt ILIKE '%mars%') AS mars FROM prompts")

# %% [markdown]
# ## Part 4 · Search by text
#
# *50 minutes*
#
# A search takes the vector of what you typed, the **query**, and asks for the rows whose vectors are nearest. In SQL
# that is one sentence: *compute the distance for each row, sort by it, give me the first five*.
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
# Somebody typed a bit of SQL into the search box, and the database obeyed. This one only counts astronauts. Others
# delete tables or read passwords. **SQL injection** is one of the oldest security holes on the web. (And an innocent
# *don't*, with its ', breaks the page, too.)
#
# The remedy is to keep the two apart. The text of the SQL is yours and never changes. Values travel separately, as
# **parameters**. The text has a placeholder with a name and a type, and whatever is filled in there is a value and
# nothing else:

# %%
client.query("SELECT count() FROM prompts WHERE prompt = {text:String}", parameters={"text": typed}).result_rows

# %% [markdown]
# No prompt is equal to that strange text, so the count is 0, as it should be.

# %% [markdown]
# ### Exercise 5 · `search_by_text`
#
# *Difficulty ●●●○○ · 20 minutes · 10 points*
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
# `embed_texts` expects a list and returns an array with one row per text: `embed_texts([query])[0]`. A parameter has to
# be a plain list: `.tolist()`.
# </details>
#
# <details><summary>Help: my SQL has braces, and Python complains about them</summary>
#
# Then there is an f in front of the string. Take it away: the braces are for the database, not for Python.
# </details>


# %% exercise="search_by_text"
def search_by_text(client, table, query, k=5):
    """Find the prompts that are nearest in meaning to a text, by the cosine distance of CLIP's vectors.

    client, table: the connection, and the name of a table as create_table makes it.
    query: any text, also one with quotation marks or SQL in it.
    k: how many to find; if there are fewer rows, all are found.

    Returns a DataFrame with the columns prompt, url and dist, the nearest first, and at most k rows. The database sorts
    and limits them. The vector and k are bound as parameters, so the text of the SQL is the same for every search.
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
    return found.reindex(columns=["prompt", "url", "dist"])  # if nothing is found, the columns are missing
    ### END SOLUTION


# %% tests="search_by_text" points=10
checks.nb05.search_by_text(search_by_text)

# %% [markdown]
# Now search. The first query could be one of our prompts. *Sleeping* and *storm* are in none of them. Watch what is
# found anyway. And the last query has nothing to do with our world. Compare the distances of the first three queries
# with those of the last.

# %%
for query in ("a dog in the snow", "a cat is sleeping on the sofa", "a storm at sea", "a cathedral full of dragons"):
    found = search_by_text(client, "prompts", query, k=3)
    print(f"\n{query!r}")
    for prompt, _, dist in found.itertuples(index=False):
        print(f"   {dist:.3f}  {prompt}")

# %% [markdown]
# There is no prompt in which a cat sleeps, so you get the nearest there is. And nothing in the table is like a
# cathedral full of dragons, but you get an answer anyway: a vector search **always** finds something. At the end of
# this part you will teach it to say *nothing fits*.
#
# What a search understands is what its model has read. Our small CLIP has read captions of the picture book and nothing
# else. It never met *sleeping* or *storm*, and goes by the words that it knows. Search for *a kitten*: it is lost. A
# large CLIP, which has read captions from all over the web, knows that this is a small cat.
#
# A style is an idea like any other: search for the style alone. How many of the first 20 have it? The prompts of our
# world can be read back with `parse`, so we can count.

# %%
print(f"{'query':32} of the first 20 in that style")
for query, style in (("a pencil drawing", "pencil sketch"), ("pixel art", "pixel art"), ("neon", "neon")):
    prompts = search_by_text(client, "prompts", query, k=20).prompt
    print(f"{query:32} {sum(parse(prompt).style == style for prompt in prompts)}")

# %% [markdown]
# Meaning and facts can be combined, and this is where a database pays off: `WHERE` keeps only the rows that meet a
# condition, and the vector search ranks those that are left. *Something like a cat on the sofa, but at night:*

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
# ### When nothing fits
#
# A search box that shows three frogs to somebody who asked for a cathedral looks broken. An honest answer would be
# *nothing fits*. The distances should make that possible. If the nearest prompt is far away, the idea is probably not
# in the collection:
#
# | the nearest prompt is | the search returns |
# |---|---|
# | at most `threshold` away | all k rows, as before |
# | farther away | no rows |
#
# Only the nearest row decides. If it fits, the others are shown as well, as the next best.

# %% [markdown]
# ### Exercise 6 · `search_or_none`
#
# *Difficulty ●●○○○ · 10 minutes · 6 points*
#
# Use your `search_by_text`. Where the threshold should lie is the question after the exercise, so here it is a
# parameter.
#
# <details><summary>Hint 1: an empty DataFrame that keeps its columns</summary>
#
# `found.iloc[:0]` has no rows and all the columns of `found`.
# </details>
#
# <details><summary>Hint 2: an empty table</summary>
#
# Then `found` has no rows, and `found.dist.iloc[0]` raises an error. Look at `len(found)` first.
# </details>


# %% exercise="search_or_none"
def search_or_none(client, table, query, k=5, *, threshold):
    """Find the prompts that are nearest in meaning to a text, or nothing if even the nearest is too far away.

    client, table, query, k: as in search_by_text.
    threshold: the largest cosine distance at which the nearest prompt still fits. A prompt exactly at it fits.

    Returns a DataFrame with the columns prompt, url and dist, the nearest first. If the nearest prompt is not farther
    than the threshold, it has all that search_by_text finds, even rows that are farther. If it is, or if the table is
    empty, the DataFrame has these columns and no rows.
    """
    ### BEGIN SOLUTION
    found = search_by_text(client, table, query, k)
    fits = len(found) > 0 and found.dist.iloc[0] <= threshold
    return found if fits else found.iloc[:0]
    ### END SOLUTION


# %% tests="search_or_none" points=6
checks.nb05.search_or_none(search_or_none)

# %% [markdown]
# Now the threshold. Don't guess it, **measure**. We need ideas that are in the collection, and ideas that are not. For
# the first kind we take sixty prompts of the table and reword them as people would, with half of the details left out.
# For the second kind, here are thirty ideas from outside the picture book.

# %%
OUTSIDE = """
a cathedral full of dragons; a bowl of spaghetti; a violin on a stage; two knights fighting in a castle;
a plate of sushi; a portrait of an old woman; a wolf in a dark forest; a guitar and a piano; an elephant in the jungle;
a laptop on a desk; a bridge over a river; a wedding in a church; a teapot and two cups; a crowded market;
a snake in the grass; a steam train in the mountains; a ballet dancer; a bicycle against a wall;
a skeleton with a crown; the skyline of Tokyo; a loaf of bread; a wizard reading a book; a spider in its web;
a waterfall in Iceland; a penguin with an umbrella; a football match in the rain; a robot playing chess;
an owl with glasses; a pirate with a parrot; a submarine among whales
"""


def some_rows(n):
    """n rows of the table, with prompt and prompt_vector: as if chosen at random, but always the same ones."""
    sql = "SELECT prompt, prompt_vector FROM prompts ORDER BY cityHash64(id) LIMIT {n:UInt32}"
    rows = client.query_df(sql, parameters={"n": n})
    if rows.empty:
        raise LookupError("The table is empty. Solve insert_prompts (Part 3), and run the cell that fills it.")
    return rows


def nearest_distance(query):
    return search_by_text(client, "prompts", query, k=1).dist.iloc[0]


rng = Random(3)
sketches = [describe(parse(prompt), rng, detail=0.5) for prompt in some_rows(60).prompt]
present = np.array([nearest_distance(sketch) for sketch in sketches])
absent = np.array([nearest_distance(idea.strip()) for idea in OUTSIDE.split(";")])
print(f"in the collection: {sketches[0]!r}, {sketches[1]!r}, …, from {present.min():.2f} to {present.max():.2f}")
print(f"not in it: from {absent.min():.2f} to {absent.max():.2f}")

# %% [markdown]
# How well do the distances separate the two kinds, whatever the threshold? One number measures that, the **AUROC** (the
# area under the ROC curve): take one present and one absent idea at random. How often is the absent one farther away?
# 0.5 is a coin toss, 1 means always.
#
# For the threshold itself we use every second idea, and choose the value that gets most of them right. The other half
# is kept to see whether that choice holds for ideas that it was not made for.


# %%
def auroc(near, far):
    """How often one of `far` is larger than one of `near`; a tie counts half."""
    return np.mean([(b > a) + (b == a) / 2 for a in near for b in far])


def right(threshold, near, far):
    """The mean of the shares of present ideas that are kept and absent ones that are refused."""
    return ((near <= threshold).mean() + (far > threshold).mean()) / 2


candidates = np.linspace(0, 1, 201)
scores = np.array([right(threshold, present[::2], absent[::2]) for threshold in candidates])
THRESHOLD = candidates[scores == scores.max()].mean()  # the middle of all that are equally good

figure, axes = plt.subplots(figsize=(6.5, 3))
bins = np.linspace(0, max(present.max(), absent.max()) + 0.02, 25)
axes.hist(present, bins, color="#0072b2", alpha=0.7, label="in the collection")
axes.hist(absent, bins, color="#d55e00", alpha=0.7, label="not in it")
axes.axvline(THRESHOLD, color="black", linestyle="--", label=f"threshold {THRESHOLD:.2f}")
axes.set(xlabel="distance of the nearest prompt", ylabel="ideas")
axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
show.plot(
    figure,
    alt=f"Histograms of the distance of the nearest prompt. 60 ideas that are in the collection: half of them at "
    f"{np.median(present):.2f} or less. 30 that are not: half at {np.median(absent):.2f} or less. The threshold is {THRESHOLD:.2f}.",
    width=600,
)
print(f"AUROC {auroc(present, absent):.3f}")
print(f"right with the threshold {THRESHOLD:.2f}, on the half that was not used to choose it:")
print(f"   present ideas kept    {(present[1::2] <= THRESHOLD).mean():.0%}")
print(f"   absent ideas refused  {(absent[1::2] > THRESHOLD).mean():.0%}")

# %%
for query in ("a dog in the snow", "a cathedral full of dragons", "a cat is sleeping on the sofa"):
    found = search_or_none(client, "prompts", query, k=2, threshold=THRESHOLD)
    print(f"{query!r}: {', '.join(map(repr, found.prompt)) if len(found) else 'nothing fits'}")

# %% [markdown]
# Now the search can say no, to the cathedral at least. The third query is a hard one. There are cats on sofas in the
# table, but none that sleeps, and the word that CLIP does not know throws the whole sentence off. Is *nothing fits* the
# answer that you want here? The threshold can't know. A higher one suits people who are happy with something nearly
# right, a lower one suits those who want nothing that is wrong. And it belongs to one model and one collection: measure
# again whenever either changes.

# %% [markdown]
# ## Part 5 · Search by picture
#
# *60 minutes*
#
# Now the search from the beginning of this notebook: you have a picture, and want the prompt. Think for a moment about
# what has to change in your SQL.

# %% [markdown]
# ### Exercise 7 · `search_by_image`
#
# *Difficulty ●○○○○ · 10 minutes · 4 points*
#
# Write the same search for a picture. It returns a DataFrame of the same form.
#
# <details><summary>Hint</summary>
#
# Nothing in the SQL changes. Only the vector comes from the picture. You may put the SQL into a function that both
# searches call. Then make sure that this cell has everything it needs.
# </details>


# %% exercise="search_by_image"
def search_by_image(client, table, image, k=5):
    """Find the prompts that fit a picture best, by the cosine distance of CLIP's vectors.

    image: a PIL picture of any size and mode. The rest is as in search_by_text.

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
    return found.reindex(columns=["prompt", "url", "dist"])  # if nothing is found, the columns are missing
    ### END SOLUTION


# %% tests="search_by_image" points=4
checks.nb05.search_by_image(search_by_image)

# %% [markdown]
# The proof: we pick a few prompts from the table, draw their pictures, and ask for the prompts. The title of each
# picture is the true one. Is it the first that is found? If it is not, read what came first: is it *wrong*, or another
# way to say the same?

# %%
for truth in some_rows(3).prompt:
    image = draw(parse(truth), size=128)
    show.gallery([image], [truth], width=150)
    for prompt, _, dist in search_by_image(client, "prompts", image, k=3).itertuples(index=False):
        print(f"   {dist:.3f}  {prompt}{'   ← the one' if prompt == truth else ''}")

# %% [markdown]
# Three pictures are an anecdote. For a measurement we take forty, and count how often the true prompt comes first, and
# how often it is among the first ten. This is **recall@1** and **recall@10**. What would blind guessing give? If
# another prompt comes first, the cell shows both.

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
# ### A second look
#
# If the true prompt comes first every time, what is left to gain? But two thousand prompts are few, and 2 KB per vector
# is a lot: for a hundred million prompts that is 205 GB of memory. Large collections therefore search with less: with
# shorter vectors or with fewer bits per number. That is quick and **coarse**: the right prompt is still near the top,
# but often no longer first.
#
# So they work in two steps. The first is coarse, and picks twenty candidates out of millions. The second is slow and
# thorough, and looks only at those twenty: it **reranks** them. Ours asks a model that can talk, BLIP-2 from notebook
# 04, what it sees in the picture, and compares its answer with each prompt, fact by fact.
#
# `facts_of(text)` of the course's library picks the facts out of a text and returns them as a set. Words that mean the
# same give the same fact, and each colour stays with its thing:

# %%
for text in ("a little red cat left of a blue house, at night", "a small blue cat left of a red house, at night"):
    print(f"{text!r}\n   {sorted(facts_of(text))}")

# %% [markdown]
# How well do two sets of facts agree? Count what they share, and divide by the number of all facts that either of them
# has:
#
# $$\text{agreement}(A, B) = \frac{|A \cap B|}{|A \cup B|}$$
#
# It is 1 if both say the same, and 0 if they share nothing. Why divide? A prompt that lists many things shares many
# facts with any picture. Dividing by all facts makes it pay for those that are not in the picture. (If neither has a
# fact, the agreement is 0.)

# %% [markdown]
# ### Exercise 8 · `rerank`
#
# *Difficulty ●●●○○ · 15 minutes · 9 points*
#
# Put the candidates of a search into a new order. `describe` is a parameter: any function that looks at a picture and
# returns a text. So the same `rerank` works with BLIP-2, with a large model behind an API, and in the check with one
# that always gives the same answer.
#
# <details><summary>Hint 1: sets in Python</summary>
#
# `a & b` is what both have, `a | b` is what either has, `len(…)` counts. `max(len(a | b), 1)` avoids a division by
# zero.
# </details>
#
# <details><summary>Hint 2: sorting by two columns</summary>
#
# `candidates.assign(agreement=[…])` returns a new DataFrame with one more column. Then
# `.sort_values(["agreement", "dist"], ascending=[False, True])` puts the largest agreement first, and of equal ones the
# smallest distance. `.drop(columns="agreement")` takes the column away again.
# </details>
#
# <details><summary>Help: it takes seconds, although there are only twenty candidates</summary>
#
# Then `describe(image)` is inside the loop, and the model looks at the same picture twenty times. Call it once, before
# the loop.
# </details>


# %% exercise="rerank"
def rerank(candidates, image, *, describe):
    """Order the candidates of an image search by how well each prompt agrees with a description of the picture.

    candidates: a DataFrame with the columns prompt, url and dist, as search_by_image returns it, in any order, perhaps
        without rows. It stays as it is.
    image: a PIL picture.
    describe: a function that takes the picture and returns a text. It is slow, so it is called once.

    The agreement of a prompt is the number of facts that it shares with the description, divided by the number of facts
    that either of them has: facts_of(…) gives the facts of a text as a set. It is 0 if neither has any.

    Returns a DataFrame with the same rows and columns, the largest agreement first. Of equal ones the nearer comes
    first (dist), and if these are equal, too, the one that was first in candidates.
    """
    ### BEGIN SOLUTION
    seen = facts_of(describe(image))
    facts = [facts_of(prompt) for prompt in candidates.prompt]
    agreement = [len(own & seen) / max(len(own | seen), 1) for own in facts]
    ranked = candidates.assign(agreement=agreement).sort_values(["agreement", "dist"], ascending=[False, True])
    return ranked.drop(columns="agreement")
    ### END SOLUTION


# %% tests="rerank" points=9
checks.nb05.rerank(rerank)

# %% [markdown]
# Now the two steps together. The coarse search compares only the first few numbers of each vector, which `arraySlice`
# picks out. BLIP-2 describes each of twenty pictures once. What do you expect: how many numbers should a vector keep
# for the second look to help most, and when can it no longer help?


# %%
def caption(image):
    """What BLIP-2 sees in a picture, as in notebook 04."""
    model, processor = load("blip2")
    inputs = processor(images=as_rgb(image), return_tensors="pt").to(model.device, model.dtype)
    said = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(said[0], skip_special_tokens=True).strip()


def coarse_search(vector, numbers, k=20):
    """The candidates for a vector of a picture if only its first few numbers are compared."""
    return client.query_df(
        """
        SELECT prompt, url, cosineDistance(
            arraySlice(prompt_vector, 1, {numbers:UInt32}), arraySlice({emb:Array(Float32)}, 1, {numbers:UInt32})
        ) AS dist
        FROM prompts ORDER BY dist LIMIT {k:UInt32}
        """,
        parameters={"emb": vector.tolist(), "numbers": numbers, "k": k},
    )


truths = some_rows(20).prompt.tolist()
images = [draw(parse(truth), size=128) for truth in truths]
vectors = embed_images(images)
started = time.perf_counter()
descriptions = [caption(image) for image in images]
print(f"A description takes {1000 * (time.perf_counter() - started) / len(images):.0f} ms.\n")

print("numbers   memory   the right one is first   among 20   first after reranking")
for numbers in (512, 64, 32, 16, 8):
    first = among = reranked = 0
    for truth, image, vector, said in zip(truths, images, vectors, descriptions):
        candidates = coarse_search(vector, numbers)
        first += candidates.prompt.iloc[0] == truth
        among += truth in candidates.prompt.tolist()
        reranked += rerank(candidates, image, describe=lambda image, said=said: said).prompt.iloc[0] == truth
    print(f"{numbers:7}   1/{512 // numbers:<5} {first:16} of 20 {among:7} of 20 {reranked:12} of 20")

# %% [markdown]
# Read the table from top to bottom. With all 512 numbers the search needs no help. The shorter the vectors, the less
# often the right prompt comes first, while it stays among the twenty for much longer. In between, the second look does
# its work: it moves to the top what the first one has found. It can't bring back what the first one has missed.
#
# And it is only as good as the model that writes the descriptions. If BLIP-2 gets a colour wrong, a wrong prompt agrees
# better than the right one. Here is how often its description has exactly the facts of the prompt, for these twenty
# pictures and for the same ones made small and large again:

# %%
small = [image.resize((32, 32)).resize((128, 128)) for image in images]
for name, said in (("clear", descriptions), ("blurred", [caption(image) for image in small])):
    hits = sum(facts_of(truth) == facts_of(each) for truth, each in zip(truths, said))
    print(f"{name:8} {hits} of 20 descriptions are exactly right")
wrong = next(i for i in range(20) if i == 19 or facts_of(truths[i]) != facts_of(said[i]))
show.gallery([images[wrong], small[wrong]], [f"prompt: {truths[wrong]}", f"BLIP-2: {said[wrong]}"], width=180)

# %% [markdown]
# ### A map of the collection, and a search box
#
# Here is some of your whole collection, on a map like that of Part 1. Expect a muddle: the sheet shows a small share of
# the spread, and prompts that lie side by side on it may be far apart in the other 510 directions. Yet there is some
# order in it. Those whose first thing is yellow keep to their own side. Do the red ones? The ones on mars
# (`parse(prompt).place == "mars"`)? Change the line and look again.

# %%
sample = some_rows(500)
chosen = np.array([parse(prompt).things[0].colour == "yellow" for prompt in sample.prompt])
vectors = np.stack(sample.prompt_vector)
show.projection({"others": vectors[~chosen], "yellow": vectors[chosen]})

# %% [markdown]
# And now a search box around your two functions. Type an idea and press Enter. Under each picture is a button that
# searches with the picture itself. Wander from picture to picture. How many clicks does it take from a cat to a rocket?
#
# <details><summary>Help: I see no search box</summary>
#
# Then you are reading this where widgets can't run, as in GitHub's preview. In Jupyter, run the cell again, or choose
# File → Trust Notebook.
# </details>

# %%
widgets.SearchGallery(
    lambda query: search_by_text(client, "prompts", query, k=8),
    lambda image: search_by_image(client, "prompts", image, k=8),
    query="a cat is sleeping on the sofa",
)

# %% [markdown]
# ## Part 6 · Words and vectors together
#
# *40 minutes*
#
# Vectors stand for meanings, and that is also their weakness. A name, a number, or a word that the model has never read
# means nothing to it. Suppose that some painters sign their prompts with an invented name. Here is a small table of 240
# prompts, a tenth of them signed, and a search for one of the names:

# %%
NAMES = ("Mirova", "Quillmark", "Tzolk", "Brannoch")
create_table(client, "signed")
client.command("TRUNCATE TABLE signed")
signed = list(islice(collection.made_prompts(seed=7), 240))
for i, row in enumerate(signed[::10]):
    row["prompt"] += f", by {NAMES[i % 4]}"
insert_prompts(client, "signed", signed)

for prompt, _, dist in search_by_text(client, "signed", "by Quillmark", k=5).itertuples(index=False):
    print(f"{dist:.3f}  {prompt}")

# %% [markdown]
# Is a single one of them by Quillmark? A plain search for the *word* would find them all. Databases had that long
# before they had vectors: they split texts into words (tokens) and can look up which rows have which word. They also
# put the rows in an order. The idea behind it is old and simple: **a rare word is worth more than a common one**. Each
# word of the query that a prompt has counts $\log(\text{all prompts} / \text{prompts with this word})$. A word that is
# in half of the prompts or more is left out:

# %%
WORDS_SQL = """
WITH (SELECT count() FROM {table:Identifier}) AS total
SELECT id, sum(log(total / prompts_with_it)) AS score
FROM (
    SELECT id, count() OVER (PARTITION BY word) AS prompts_with_it
    FROM (
        SELECT id, arrayJoin(arrayIntersect(tokens(lower(prompt)), {words:Array(String)})) AS word
        FROM {table:Identifier}
        WHERE hasAnyTokens(lower(prompt), {words:Array(String)})
    )
)
WHERE prompts_with_it < total / 2
GROUP BY id ORDER BY score DESC, id LIMIT {n:UInt32}
"""


def ids_by_words(client, table, query, n):
    """The ids of the n prompts that have most of the query's words, rare words counting more; fewer if fewer have any."""
    words = re.findall(r"\w+", query.lower())
    found = client.query(WORDS_SQL, parameters={"table": table, "words": words, "n": n})
    return [row_id for row_id, score in found.result_rows]


def ids_by_vector(client, table, query, n):
    """The ids of the n prompts that are nearest in meaning."""
    found = client.query(
        "SELECT id FROM {table:Identifier} ORDER BY cosineDistance(prompt_vector, {emb:Array(Float32)}) LIMIT {n:UInt32}",
        parameters={"table": table, "emb": embed_texts([query])[0].tolist(), "n": n},
    )
    return [row_id for (row_id,) in found.result_rows]


prompt_of = {row["id"]: row["prompt"] for row in signed}
for query in ("by Quillmark", "little birds indoors"):
    for search in (ids_by_words, ids_by_vector):
        print(f"\n{query!r}, {search.__name__}")
        for row_id in search(client, "signed", query, 3):
            print("  ", prompt_of[row_id])

# %% [markdown]
# (In SQL, `arrayJoin` makes a row of each word, `count() OVER (PARTITION BY word)` counts the rows that have the same
# word. On a large table, an index of type `text` makes `hasAnyTokens` fast.)
#
# Words find the name. But to them *indoors* and *in a room* have nothing to do with each other. To the vectors both
# mean the same, but the name is lost. We want both. But how do we merge the two lists? The scores can't be compared:
# one is a distance up to 2, the other a sum of logarithms. The **ranks** can be compared. In **reciprocal rank fusion**
# (Cormack, Clarke and Büttcher 2009), each list gives an id $1 / (k + \text{rank})$ points, with rank 1 for its first:
#
# $$\text{score}(\text{id}) = \sum_{\text{rankings that have it}} \frac{1}{k + \text{rank}}$$
#
# | id | rank by words | rank by vector | score with k = 60 | |
# |---|---|---|---|---|
# | a | 1 | 3 | 1/61 + 1/63 = 0.0323 | first |
# | b | – | 1 | 1/61 = 0.0164 | third |
# | c | 2 | 4 | 1/62 + 1/64 = 0.0318 | second |
# | d | – | 2 | 1/62 = 0.0161 | fourth |
#
# An id in both lists beats one that is first in one of them. The constant k sets by how much: with k = 0 a first place
# counts twice as much as a second one, with k = 60 hardly more. The value 60 comes from that paper and is still in use.

# %% [markdown]
# ### Exercise 9 · `fuse`
#
# *Difficulty ●●●○○ · 20 minutes · 8 points*
#
# Write reciprocal rank fusion for any number of rankings. Each is a list of ids, the best first, and so is the result.
#
# <details><summary>Hint 1: a dictionary of scores</summary>
#
# `scores = defaultdict(Fraction)` starts each id at 0. Two loops: over the rankings, and in each over
# `enumerate(ranking, start=1)`. A dictionary keeps its keys in the order in which they were added.
# </details>
#
# <details><summary>Hint 2: equal scores</summary>
#
# `sorted(scores, key=scores.get, reverse=True)` leaves ids with equal scores in the order in which they came, even with
# `reverse=True`.
# </details>
#
# <details><summary>Help: two ids that should tie don't</summary>
#
# `1/61 + 1/62 + 1/63` and `1/63 + 1/62 + 1/61` may differ in their last digit, if they are floats. `Fraction(1, k +
# rank)` computes exactly.
# </details>


# %% exercise="fuse"
def fuse(rankings, *, k=60):
    """Merge rankings by reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).

    rankings: a list of rankings, each a list of ids (texts or numbers), the best first. They stay as they are. An id
        may be in some of them only. If it is in one ranking twice, its first rank counts. Some or all may be empty.
    k: a whole number, 0 or more.

    The score of an id is the sum of 1 / (k + rank) over the rankings that have it; the rank of the first is 1. Scores
    are compared exactly, as fractions. Equal ones are in the order in which the ids appear first, when you read the
    first ranking from top to bottom, then the second, and so on.

    Returns a list of all ids, each once, the highest score first.
    """
    ### BEGIN SOLUTION
    scores = defaultdict(Fraction)
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            if found not in ranking[: rank - 1]:
                scores[found] += Fraction(1, k + rank)
    return sorted(scores, key=scores.get, reverse=True)
    ### END SOLUTION


# %% tests="fuse" points=8
checks.nb05.fuse(fuse)

# %% [markdown]
# With it, a **hybrid search** takes the first fifty of each kind, fuses them, and fetches the rows of the first k.


# %%
def hybrid_search(client, table, query, k=5):
    """Find prompts by words and by meaning: a DataFrame with the columns prompt, url and dist, the best first."""
    rankings = [search(client, table, query, max(k, 50)) for search in (ids_by_words, ids_by_vector)]
    found = client.query_df(
        """
        SELECT prompt, url, cosineDistance(prompt_vector, {emb:Array(Float32)}) AS dist
        FROM {table:Identifier} WHERE id IN {ids:Array(String)}
        ORDER BY indexOf({ids:Array(String)}, id)
        """,
        parameters={"table": table, "ids": fuse(rankings)[:k], "emb": embed_texts([query])[0].tolist()},
    )
    return found.reindex(columns=["prompt", "url", "dist"])  # if nothing is found, the columns are missing


for query in ("a bird by Quillmark", "little birds indoors"):
    print(f"\n{query!r}")
    for prompt, _, dist in hybrid_search(client, "signed", query, k=3).itertuples(index=False):
        print(f"   {dist:.3f}  {prompt}")

# %% [markdown]
# ### Which is best? nDCG and recall
#
# Recall@k asks how many of the right rows are among the first k. It doesn't care *where* they are, and every row is
# either right or wrong. As a measure of a search, that is too coarse in two ways. A good row in first place is worth
# more than one in tenth place. And rows can be more or less right: for *a small red cat in the snow*, a small red cat
# at night is not the answer, but it is better than a blue boat. **nDCG** (Järvelin and Kekäläinen 2002) counts both.
# Each found row brings a gain between 0 and 1, divided by the logarithm of its place:
#
# $$\text{DCG@k} = \sum_{i=1}^{k} \frac{\text{gain}_i}{\log_2(i + 1)} \qquad \text{nDCG@k} = \frac{\text{DCG@k}}{\text{DCG@k of the best possible order}}$$
#
# | place i | 1 | 2 | 3 | 4 | 5 |
# |---|---|---|---|---|---|
# | a gain there counts | 1.00 | 0.63 | 0.50 | 0.43 | 0.39 |
#
# The gain of our rows is the agreement of Part 5. If the query has a painter's name, all rows without that name have
# gain 0. We try three kinds of queries on the same table: a name, another wording of a prompt with half of its details,
# and both at once.


# %%
def ndcg_at_k(ranked, gain, k):
    """nDCG@k of one search: `ranked` has the ids that were found, `gain` the gain of every id, from 0 to 1."""
    weights = 1 / np.log2(np.arange(2, k + 2))
    best = sorted(gain.values(), reverse=True)[:k]
    found = [gain[row_id] for row_id in ranked[:k]]
    return (found * weights[: len(found)]).sum() / (best * weights[: len(best)]).sum()


def gains(name="", scene=""):
    """The gain of each id: whether it is signed by `name`, times its agreement with `scene` (1 if there is none)."""
    wanted = facts_of(scene)
    agreement = {i: len(facts & wanted) / len(facts | wanted) if scene else 1.0 for i, facts in facts_by_id.items()}
    return {i: agreement[i] * prompt_of[i].endswith(name) for i in prompt_of}


rng = Random(11)
facts_by_id = {row_id: facts_of(prompt) for row_id, prompt in prompt_of.items()}
tasks = {"a name": [], "another wording": [], "both": []}
for row in signed[::10]:
    scene, _, name = row["prompt"].rpartition(", by ")
    sketch = describe(parse(scene), rng, detail=0.5)
    tasks["another wording"].append((sketch, gains(scene=scene)))
    tasks["both"].append((f"{sketch} by {name}", gains(name, scene)))
tasks["a name"] = [(f"by {name}", gains(name)) for name in NAMES]

ways = {
    "words": ids_by_words,
    "vectors": ids_by_vector,
    "both, fused": lambda *search: fuse([ids_by_words(*search), ids_by_vector(*search)]),
}
print(f"{'nDCG@5':14}" + "".join(f"{kind:>18}" for kind in tasks))
for way, search in ways.items():
    means = [
        np.mean([ndcg_at_k(search(client, "signed", q, 50), gain, 5) for q, gain in some]) for some in tasks.values()
    ]
    print(f"{way:14}" + "".join(f"{mean:18.2f}" for mean in means))

# %% [markdown]
# Go through the columns. If the query is a name, the search by words puts the prompts with that name first, and the
# search by vectors finds hardly any of them. The fused list lies between the two: every second place goes to a row that
# only the vectors have proposed. If the query is another wording, each way makes its own mistakes, and the fused list
# makes up for some of both. If it has a name and a scene, all three do well.
#
# So fusion is not always best, but it still works where one of its parts fails. That is why so many search boxes use
# it: nobody knows in advance what people will type.

# %% [markdown]
# ## Part 7 · Better prompts
#
# *30 minutes*
#
# *A frog at night.* A language model could make a better prompt of that: with a size, colours, a style. But which? Left
# alone, it does what language models do, and writes what is likely in general. It knows nothing about *your*
# collection, or about what works with *your* image model.
#
# So we tell it. We search for prompts that are near the idea, put the best of them into the request as examples, and
# let it write with these in view. This pattern, **search first, then generate**, is called
# **retrieval-augmented generation**, and most systems that answer questions about a company's documents work like this.
# The model needs no training for this, because what it has to know is in its prompt.

# %% [markdown]
# ### Exercise 10 · `improve_prompt`
#
# *Difficulty ●●○○○ · 15 minutes · 6 points*
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
# In a `ChatPromptTemplate`, braces are places to be filled, even those in somebody's prompt. Pass the texts as values
# to `invoke`, or build the message with an f-string and no template.
# </details>


# %% exercise="improve_prompt"
def improve_prompt(chat, idea, neighbours):
    """Let a chat model make a full image prompt of an idea, with good prompts as examples.

    chat: a LangChain chat model. It is asked once.
    idea: a text.
    neighbours: a list of prompts, the nearest first. It may be empty, and stays as it is. The model gets the idea and
        all of them, in this order, each as it is, even with braces in it.

    Returns the reply as a string, without spaces and quotation marks (") around it. What is inside stays as it is.
    Raises ValueError if nothing is left.
    """
    ### BEGIN SOLUTION
    examples = "\n".join(f"- {prompt}" for prompt in neighbours)
    reply = chat.invoke(f"Improve this image prompt: {idea}\nHere are good prompts:\n{examples}")
    prompt = reply.text.strip().strip('"').strip()
    if not prompt:
        raise ValueError("The chat model replied with nothing; ask again, or ask another model.")
    return prompt
    ### END SOLUTION


# %% tests="improve_prompt" points=6
checks.nb05.improve_prompt(improve_prompt)

# %% [markdown]
# Try it with the real model. (The first call starts the course's chat endpoint on your computer.) It gets the same idea
# twice: first with the idea's own neighbours, then with those of another search, for neon. Which parts of each answer
# come from your idea, and which from the neighbours? Is any of the idea lost? Our small model has a simple habit: it
# keeps your things, and takes much of the rest from the first neighbour. Then try other ideas, for example *a cat on a
# sofa*.

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
# The circle closes: draw the prompt, and put it into the collection with its picture, so that the next search finds it.
# In this way a good prompt becomes an example for the next one.

# %% [markdown]
# ### Exercise 11 · `generate_and_store`
#
# *Difficulty ●●●○○ · 25 minutes · 6 points*
#
# Draw with the pipeline of notebook 01, save the picture, and store a row with your `insert_prompts`.
#
# <details><summary>Hint 1: drawing</summary>
#
# `load("diffusion")(prompt, num_inference_steps=steps, guidance_scale=4.0,
# generator=torch.Generator().manual_seed(seed))` gives an object; its `images[0]` is the picture.
# </details>
#
# <details><summary>Hint 2: an id, a file, an address</summary>
#
# `uuid.uuid4().hex` is an id that nobody else has. Save the picture as `<id>.png` in the folder (which you may have to
# make: `Path(folder).mkdir(parents=True, exist_ok=True)`). `path.resolve().as_uri()` is the file's address as a url.
# </details>
#
# <details><summary>Help: it should be found by its picture, but the table has only the prompt's vector</summary>
#
# That is enough. If the drawing shows what the prompt says, its vector is near the prompt's. All other pictures are
# found in this way, too.
# </details>


# %% exercise="generate_and_store"
def generate_and_store(client, table, prompt, *, seed=0, steps=25, folder="generated_images"):
    """Draw a prompt with load("diffusion"), save the picture, and store its row, so that both searches find it.

    client, table: the connection, and the name of a table as create_table makes it.
    seed: the same seed gives the same picture.
    steps: sampling steps.
    folder: where the picture is saved as a PNG file; it is made if it does not exist. No other picture is overwritten.

    Returns the stored row, a dict: an id that is new even for the same prompt and seed, the prompt, url (the address of
    the file, file://…), the picture's width and height, and source_site "generated".
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


# %% tests="generate_and_store" points=6
checks.nb05.generate_and_store(generate_and_store)

# %% [markdown]
# Here are your idea and its two improved versions, drawn from the same seed. Where the idea says nothing, the image
# model decides by chance. Where the better prompt says something, it should obey. Then two searches: does each find the
# row of the last picture? At the end the cell deletes its rows again, so your table stays as it was.

# %%
rows = [generate_and_store(client, "prompts", prompt, seed=3) for prompt in (idea, *improved)]
images = [picture_of(row["prompt"], row["url"]) for row in rows]
show.gallery(images, [row["prompt"] for row in rows], width=200)

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
# Your searches so far were **exact**: the database computes the distance to *every* row and sorts. That is simple,
# always right, and cheaper than you may think. Measure it before you believe that you need anything else.
#
# Measuring time needs some care. The first search is slow, because nothing is in the caches yet: warm up, and don't
# count it. Then something else on your computer interrupts one search in ten: take the **median**, which one slow
# search can't move.
#
# Two thousand rows are too few to see much. So we make a larger table, `crowd`: five copies of each of your vectors,
# each moved a little at random, as if there were five similar prompts for each of yours.


# %%
def make_crowd(copies=5):
    """Fill the table crowd with copies of all prompts, whose vectors are moved a little; return its number of rows."""
    rows = client.query_df("SELECT * FROM prompts ORDER BY id")
    create_table(client, "crowd")
    client.command("TRUNCATE TABLE crowd")
    vectors = np.stack(rows.pop("prompt_vector"))
    noise = np.random.default_rng(0)
    for copy in range(copies):
        moved = vectors + noise.normal(scale=0.02, size=vectors.shape)
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        marked = rows.assign(id=rows.id + f"-{copy}").to_dict("records")
        collection.insert_rows(client, "crowd", marked, moved.astype(np.float32))
    return copies * len(rows)


def ranked_ids(table, vectors, k, **how):
    """The ids of the k nearest rows for each vector, and the median milliseconds of a search; `how`: settings."""
    ids, times = [], []
    for vector in (*vectors[:3], *vectors):  # the first three warm up
        started = time.perf_counter()
        found = client.query(
            "SELECT id FROM {table:Identifier} ORDER BY cosineDistance(prompt_vector, {emb:Array(Float32)}) LIMIT {k:UInt32}",
            parameters={"table": table, "emb": vector.tolist(), "k": k},
            settings=store.known_settings(client, how),
        )
        times.append(1000 * (time.perf_counter() - started))
        ids.append([row_id for (row_id,) in found.result_rows])
    return ids[3:], np.median(times[3:])


CROWD = make_crowd()
rng = Random(99)
query_vectors = embed_texts([describe(random_scene(rng), rng, detail=0.5) for _ in range(30)])
_, few = ranked_ids("prompts", query_vectors, 10, **store.EXACT)
exact, many = ranked_ids("crowd", query_vectors, 10, **store.EXACT)
print(f"An exact search among {ROWS:6,} prompts takes {few:5.1f} ms.")
print(f"An exact search among {CROWD:6,} prompts takes {many:5.1f} ms.")

# %% [markdown]
# Five times the rows, but not five times the milliseconds. Part of the time is the same for every search: reading the
# SQL with its 512 numbers, handing back the answer. The rest grows with the rows: a million rows are a hundred times as
# many as in `crowd`, a hundred million ten thousand times as many. And then not one person searches, but many.
#
# An **index** answers without looking at every row. The most common one for vectors is **HNSW** (*hierarchical
# navigable small world*, Malkov and Yashunin 2016). It links each vector to some of its neighbours. A search starts
# somewhere and goes from link to link, always to the one nearest to the target, until no neighbour is nearer. A
# few layers with long links on top make it fast: first by plane, then by train, then on foot.
#
# The price: the walk can end at a place that is near, but not the nearest. The search is **approximate**. And the index
# has to be built, and kept in memory.
#
# In SQL it looks like this. 512 is the length of the vectors, and the distance must be the one you search with:
#
# ```sql
# ALTER TABLE prompts ADD INDEX IF NOT EXISTS vec_idx prompt_vector TYPE vector_similarity('hnsw', 'cosineDistance', 512)
# ALTER TABLE prompts MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2
# ```
#
# The first statement declares the index, for rows that are inserted *from now on*. The second one builds it for the
# rows that are already there, and `mutations_sync = 2` waits until that is done.

# %% [markdown]
# ### Exercise 12 · `create_index`
#
# *Difficulty ●●○○○ · 10 minutes · 4 points*
#
# Send these two statements, for a table of any name. Nothing is returned, and a second call must not raise an error.
#
# <details><summary>Hint</summary>
#
# Two calls of `client.command`, with `{table:Identifier}` for the name.
# </details>
#
# <details><summary>Help: my server is MyScale</summary>
#
# MyScale, a database built on ClickHouse, has another index and another syntax. `store.index_ddl(client,
# table)` returns the statements for the database that you are connected to. Run each of them.
# </details>


# %% exercise="create_index"
def create_index(client, table):
    """Put an HNSW index for cosine distances, vec_idx, on prompt_vector, and build it for the rows that are there.

    client, table: the connection, and the name of a table as create_table makes it; it may have spaces in it. On a
    table that has the index already, a second call is not an error.
    """
    ### BEGIN SOLUTION
    for statement in (
        "ALTER TABLE {table:Identifier} ADD INDEX IF NOT EXISTS vec_idx prompt_vector "
        "TYPE vector_similarity('hnsw', 'cosineDistance', 512)",
        "ALTER TABLE {table:Identifier} MATERIALIZE INDEX vec_idx SETTINGS mutations_sync = 2",
    ):
        client.command(statement, parameters={"table": table})
    ### END SOLUTION


# %% tests="create_index" points=4
checks.nb05.create_index(create_index)

# %% [markdown]
# ### Exercise 13 · `recall_at_k`
#
# *Difficulty ●●○○○ · 15 minutes · 6 points*
#
# How good is an approximate search? Search both ways, and work out what share of the *true* first k the approximate
# search has among *its* first k. That is **recall@k**. 1 means that nothing was missed. (In Part 5 the truth was one
# prompt, the picture's own. Here the truth is what the exact search finds, good or bad: we judge the index, not CLIP.)
#
# <details><summary>Hint 1: one query first</summary>
#
# The first k of a list are `ids[:k]`. How many are in both is `len(set(a) & set(b))`. Then take the mean over all
# queries.
# </details>
#
# <details><summary>Hint 2: divide by what?</summary>
#
# By the number of true ones. That is k, or less if the exact list is shorter.
# </details>


# %% exercise="recall_at_k"
def recall_at_k(approximate, exact, k):
    """The mean share of the exact top k that is in the approximate top k, from 0 to 1.

    approximate, exact: for each query a list of ids (texts or numbers), the nearest first. Both have the same number of
        lists, and stay as they are. A list may be longer than k (the rest does not count) or shorter (if no more were
        found; an exact list has at least one id). An id that is found twice counts once.
    k: 1 or more. The order within the top k does not count.

    Returns a float from 0 to 1.
    """
    ### BEGIN SOLUTION
    shares = [len(set(a[:k]) & set(e[:k])) / len(e[:k]) for a, e in zip(approximate, exact)]
    return sum(shares) / len(shares)
    ### END SOLUTION


# %% tests="recall_at_k" points=6
checks.nb05.recall_at_k(recall_at_k)

# %% [markdown]
# Build the index on the crowd, and measure. Each search has a setting, `hnsw_candidate_list_size_for_search`: how
# many candidates the walk keeps in hand before it decides. More candidates find more and take longer.
#
# For comparison we first build a meagre index, in which each vector is linked to 8 others instead of 32.
# `store.index_ddl` writes the SQL for it.

# %%
CANDIDATES = (10, 25, 60, 150)
recalls = {}
for name in ("8 neighbours", "32 neighbours"):
    client.command("ALTER TABLE crowd DROP INDEX IF EXISTS vec_idx SETTINGS mutations_sync = 2")
    started = time.perf_counter()
    if name.startswith("8"):
        for statement in store.index_ddl(client, "crowd", neighbours=8, candidates=16):
            client.command(statement)
    else:
        create_index(client, "crowd")
    print(f"{name}: the index was built in {time.perf_counter() - started:.1f} s.")
    recalls[name] = []
    for candidates in CANDIDATES:
        found, median = ranked_ids("crowd", query_vectors, 10, hnsw_candidate_list_size_for_search=candidates)
        recalls[name].append(recall_at_k(found, exact, 10))
        print(f"   {candidates:4} candidates: recall@10 {recalls[name][-1]:.3f}, {median:5.1f} ms")
print(f"without an index: recall@10 1.000, {many:5.1f} ms")

figure, axes = plt.subplots(figsize=(6.5, 3.2))
for (name, values), mark in zip(recalls.items(), "so"):
    axes.plot(CANDIDATES, values, marker=mark, label=name)
axes.set(xlabel="candidates in hand during a search", ylabel="recall@10", ylim=(0, 1.03))
axes.legend(loc="lower right")
words = "; ".join(f"{name}: {', '.join(f'{v:.2f}' for v in values)}" for name, values in recalls.items())
show.plot(figure, alt=f"Recall@10 for {', '.join(map(str, CANDIDATES))} candidates. {words}.", width=600)

# %% [markdown]
# The good index comes close to the exact search, and the more candidates it keeps in hand, the closer. With few links
# per vector it misses more, however many candidates it has: there are places that no link leads to. In return, it was
# built much faster. Now compare the milliseconds with those of the exact search: among ten thousand rows the index
# saves time. But an exact search of your own two thousand takes little longer than the fixed time of any search.
# **Exact first, and an index when a measurement says that you need it.**
#
# ### A filter that loses rows
#
# There is a trap when you combine an index with `WHERE`. The index knows nothing about your condition. If it finds its
# ten nearest *first* and the condition is applied *afterwards* (`postfilter`), few of the ten may be left, or none. The
# other order, condition first (`prefilter`), finds all ten. Here is the same search in both orders, and how many rows
# come back:

# %%
print("rows that meet the condition:", client.command("SELECT count() FROM crowd WHERE prompt ILIKE '%neon%mars%'"))
for strategy in ("postfilter", "prefilter"):
    found = client.query(
        """
        SELECT id FROM crowd WHERE prompt ILIKE '%neon%mars%'
        ORDER BY cosineDistance(prompt_vector, {emb:Array(Float32)}) LIMIT 10
        """,
        parameters={"emb": embed_texts(["a cat on a sofa"])[0].tolist()},
        settings=store.known_settings(client, {"vector_search_filter_strategy": strategy}),
    )
    print(f"{strategy:12} {len(found.result_rows)} of 10 rows")

# %% [markdown]
# There are far more than ten rows that meet the condition, and the first search returns few of them or none, without
# any warning. The second one fixes that. Whenever a search has both an index and a `WHERE`, count the rows that come
# back. If the condition leaves few rows (your own prompts among those of everybody), searching them exactly is the
# simplest remedy.
#
# ### What does a larger collection cost?
#
# A vector of 512 numbers of 4 bytes is 2 KB. From this, and from the time of your own exact search on a longer table,
# you can calculate what a larger table would take. To time it well, let the database compute the distance to each row
# of `crowd` several times:

# %%
TIMES = 5
measured = []
for _ in range(4):  # the first one warms up
    started = time.perf_counter()
    client.query(
        f"SELECT min(cosineDistance(prompt_vector, {{emb:Array(Float32)}})) FROM crowd CROSS JOIN numbers({TIMES}) AS times",
        parameters={"emb": query_vectors[0].tolist()},
        settings=store.known_settings(client, store.EXACT),
    )
    measured.append(1000 * (time.perf_counter() - started))
each = np.median(measured[1:]) / (TIMES * CROWD)
client.command("DROP TABLE crowd")
print(f"{'rows':>12}  {'vectors':>11}  {'an exact search':>16}")
for rows in (1_000, 20_000, 900_000, 100_000_000):
    print(f"{rows:12,}  {rows * 2048 / 1e6:8,.0f} MB  {each * rows:13,.1f} ms")

# %% [markdown]
# Thousands of rows need nothing. At a million an index begins to pay, if many people search. A hundred million vectors
# are 205 GB: too much for a laptop, and one machine with that much memory could not serve many people at once. Then the
# table is spread over several machines. Each searches its own rows, and the first ten of all of them are merged into
# the first ten overall. In ClickHouse that is a second table, which holds nothing itself and asks all the others. Your
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
# A person reads your answers to these two questions. A short paragraph each is enough.

# %% [markdown] written="the_gap" points=4
# ### Question 1 · The gap
#
# A classmate works with a large CLIP model, one that has a gap between texts and pictures (Part 1). She wants to find
# *more* with each search, and stores two rows for each picture: one with the vector of its prompt, one with the vector
# of the picture itself, in the same column. Then she searches with texts and with pictures. What will she see in the
# results, and why? Explain it with a map (draw or describe it), and say what she could do instead.
#
# ### BEGIN MARK SCHEME
# - 1 point: what she sees: text searches find (almost) only rows with text vectors first, picture searches (almost)
#   only rows with picture vectors, even if a row of the other kind fits better
# - 2 points: why: texts and pictures lie in two separate regions (modality gap) (1); the distance across it is larger
#   than most distances within one, so the kind of the row outweighs its meaning (1)
# - 1 point: a remedy: two columns or tables, searched separately and the results merged by rank (`fuse`); or one kind
#   of vector only; or moving the clouds onto each other (subtracting each one's mean)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# Her text searches will bring up text rows first and nearly nothing else, and her picture searches picture rows. On the
# map the two kinds lie in two clouds with a gap between them: CLIP was only trained to rank a picture's own text before
# other texts, not to put it close by. So a text is usually nearer to a so-so text than to the very best picture, and
# whether a row is a text or a picture counts more than what it means. She should keep the vectors in two columns,
# search each separately, and merge the two lists by rank (fuse) and not by distance. Subtracting the mean of each
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
# - 1 point: (b) index: an exact search costs about a second (or what the student's own table says), a hundred a second
#   are impossible
# - 1 point: (c) exact among the person's own rows: WHERE first, 200 distances are nothing; or says that an index would
#   filter afterwards and return too few
# - 2 points: measure recall@k against exact search (1) on real or realistic queries, a sample of them, and turn the
#   number of candidates up until recall (and time) are good (1)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# (a) Exact. Two thousand rows took a few milliseconds, most of it overhead. An index would be one more thing to build,
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
# which asks you again just before you forget. Importing it twice does not double your cards.

# %%
cards = flashcards.find("05_prompt_management")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "prompt_management.apkg")
print("Wrote prompt_management.apkg; open it with Anki.")

# %% [markdown]
# ### What you can do now
#
# | you can | you wrote | Part |
# |---|---|---|
# | put texts and pictures into one space | `embed_texts`, `embed_images` | 1 |
# | make a table that refuses wrong vectors, and fill it batch by batch | `create_table`, `insert_prompts` | 2, 3 |
# | search by meaning, with SQL that nobody can abuse | `search_by_text`, `search_by_image` | 4, 5 |
# | say *nothing fits*, with a measured threshold (AUROC) | `search_or_none` | 4 |
# | let a slow, thorough model reorder the candidates of a quick search | `rerank` | 5 |
# | merge rankings whose scores can't be compared, and judge them by recall and nDCG | `fuse` | 6 |
# | search first, then generate; draw the result and store it | `improve_prompt`, `generate_and_store` | 7, 8 |
# | weigh exact search against an index, by milliseconds and recall | `create_index`, `recall_at_k` | 9 |
#
# ### Going further
#
# - **Arithmetic with meanings.** Take the mean vector of all neon prompts minus the mean of all flat ones. Add it to
#   the vector of *a cat*, bring the sum to length 1, and search. Does it work with places, too?
# - **Close the gap.** With `COURSE_PROFILE=full` there is one. Draw texts and pictures as two groups, with
#   `show.projection(…, pairs=("texts", "pictures"))`. Then subtract from all text vectors their mean and from all
#   picture vectors theirs, draw again, and measure recall@1 before and after.
# - **The real prompts.** Download the [Diffusion Prompts
#   dataset](https://www.kaggle.com/datasets/tanreinama/900k-diffusion-prompts-dataset) (900,000 rows; Kaggle asks you
#   to make an account) and load it with `collection.load_prompts`, which resumes where it stopped if you interrupt it.
#   On a GPU, set `COURSE_PROFILE=full` first: the mini CLIP has never read about dragons and cathedrals.
# - **A real server.** Start ClickHouse on another computer, set `COURSE_STORE=clickhouse://you@address/database`, and
#   run this notebook again. Not a line of it changes.
# - **Fusion by weight.** Give the rankings of `fuse` weights, and choose them on half of the queries of Part 6. Does
#   the other half gain, too?
# - **A threshold for pictures.** Draw pictures of things that are in no prompt of the table. Does the distance show
#   that?
#
# ### References
#
# - A. Radford et al.: *Learning Transferable Visual Models From Natural Language Supervision*, 2021,
#   [arXiv:2103.00020](https://arxiv.org/abs/2103.00020). CLIP.
# - W. Liang et al.: *Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning*, 2022,
#   [arXiv:2203.02053](https://arxiv.org/abs/2203.02053)
# - K. Pearson: *On Lines and Planes of Closest Fit to Systems of Points in Space*, 1901. Principal component analysis.
# - Z. Wang et al.: *DiffusionDB: A Large-scale Prompt Gallery Dataset for Text-to-Image Generative Models*, 2022,
#   [arXiv:2210.14896](https://arxiv.org/abs/2210.14896)
# - R. Nogueira, K. Cho: *Passage Re-ranking with BERT*, 2019, [arXiv:1901.04085](https://arxiv.org/abs/1901.04085). Two
#   steps, the second one slow and thorough.
# - G. Cormack, C. Clarke, S. Büttcher: *Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
#   Methods*, SIGIR 2009
# - S. Robertson, H. Zaragoza: *The Probabilistic Relevance Framework: BM25 and Beyond*, 2009. How search engines weigh
#   words.
# - K. Järvelin, J. Kekäläinen: *Cumulated Gain-Based Evaluation of IR Techniques*, 2002. nDCG.
# - P. Lewis et al.: *Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks*, 2020,
#   [arXiv:2005.11401](https://arxiv.org/abs/2005.11401)
# - Yu. Malkov, D. Yashunin: *Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
#   World graphs*, 2016, [arXiv:1603.09320](https://arxiv.org/abs/1603.09320)
# - L. Patel et al.: *ACORN: Performant and Predicate-Agnostic Search Over Vector Embeddings and Structured Data*, 2024,
#   [arXiv:2403.04871](https://arxiv.org/abs/2403.04871). An index that knows about filters.
# - M. Tschannen et al.: *SigLIP 2: Multilingual Vision-Language Encoders with Improved Semantic Understanding,
#   Localization, and Dense Features*, 2025, [arXiv:2502.14786](https://arxiv.org/abs/2502.14786). What many use now
#   where this notebook uses CLIP.
# - O. Weller et al.: *On the Theoretical Limitations of Embedding-Based Retrieval*, 2025,
#   [arXiv:2508.21038](https://arxiv.org/abs/2508.21038). What a single vector can't find, however well it was trained.
# - The documentation of ClickHouse on [vector
#   search](https://clickhouse.com/docs/engines/table-engines/mergetree-family/annindexes), exact and approximate.

# %% [markdown]
# ### Before you hand in
#
# The last cell looks for exercises that are not written and cells that were changed or deleted. Save the notebook
# first.

# %%
ready_to_hand_in()
