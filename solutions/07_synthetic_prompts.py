# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Synthetic prompts
#
# You upload a photo, click *more like this*, and a moment later there are four new pictures of the same subject: one at
# night, one as a pencil sketch, one in the snow. Many image services have such a button, and behind it is always the
# same chain. One model looks at the picture and says what it sees. Another makes several prompts out of that sentence.
# A third draws them. Nobody typed these prompts: they are **synthetic prompts**.
#
# In this last notebook you build that button out of everything the course has taught you, run it on four pictures, hand
# in the result, and have it judged. It is the course's assessment: at the end there is a certificate.
#
# The models are the small ones of the picture-book world, so a whole run takes about a minute on a laptop, without a
# network and without keys. The code is the same for large models.
#
# **When you are done, you can**
#
# - connect a model that sees, one that writes and one that draws, and hold the chain together when one of them slips
# - tell a truly different prompt from one that only looks different, and insist on the former
# - draw many prompts in one batch, and still be able to draw any one picture again by itself
# - save results without ever losing older ones, each with its provenance: how it was made
# - hand in a file that a program will judge, and read its verdict
#
# **What you need**: notebooks 01 (drawing) and 03 (chat models). You don't need 02, 04, 05 and 06, but you will
# recognise their ideas.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 The chain | 10 | |
# | 2 Look | 20 | 9 |
# | 3 Write | 55 | 22 |
# | 4 Draw and save | 50 | 20 |
# | 5 The button | 25 | 12 |
# | 6 The submission | 35 | 20 |
# | 7 The assessment | 30 | 7 |
# | 8 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place
# of the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of
# them passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on
# other inputs. Every exercise has hints that unfold, and ● to ●●●●● shows how hard it is. If you are stuck on one,
# `checks.borrow("prompts_in")` lends you the course's own version of it, which earns no points.
#
# One exercise, `handed_in` in Part 6, is not a function: there the *file* that your code has written is judged, the
# pictures in it included.
#
# Take the parts in order. Part 3 calls its own `prompts_in`, and Part 5 what you wrote in Parts 2 to 4.

# %% [markdown]
# ## Set-up
#
# One cell fetches the course if necessary, and one loads what the notebook uses. `helpers` is the course's small
# library, made to be read: `show.gallery??` in a cell shows the code of that function.

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
import base64
import io
import json
import math
import re
import time
from itertools import count
from urllib.parse import urlsplit
from urllib.request import urlopen

import matplotlib.pyplot as plt
import pandas as pd
import requests
import torch
from langchain_core.messages import HumanMessage
from PIL import Image
from tqdm import tqdm

from helpers import checks, clip, endpoint, flashcards, show, widgets
from helpers.chat import chat_model
from helpers.models import defaults, few_step, load
from helpers.originals import draw_originals
from helpers.pictures import as_rgb
from helpers.prompts import distinct, on_subject, same
from helpers.settings import settings
from helpers.submission import (
    attach,
    make_provenance,
    make_record,
    pack,
    provenance_of,
    read_metadata,
    save_with_provenance,
    write_metadata,
)

STEPS, GUIDANCE = defaults("few_step")  # of every picture in this notebook
FOLDER = "generated_images"  # where all results go
originals = draw_originals(f"{FOLDER}/originals")

print(
    f"Profile: {settings.profile}. The models run on: {settings.device}. Who answers chats: {settings.chat_provider}."
)

# %% locked="open_picture"
# What you wrote in notebook 02 as fetch_image, in short: a picture from wherever it is, and what to call it.


def open_picture(source):
    """The picture behind a path (string or Path), or an http(s), file or data address, as RGB."""
    address = str(source)
    if re.match("https?:", address):
        with requests.get(address, headers={"User-Agent": "Picture This"}, timeout=20, stream=True) as answer:
            answer.raise_for_status()
            source = io.BytesIO(answer.raw.read(20_000_000, decode_content=True))
    elif re.match("(file|data):", address):
        with urlopen(address) as answer:
            source = io.BytesIO(answer.read())
    with Image.open(source) as image:
        return as_rgb(image)


def picture_name(source):
    """The file name in a path or an address: "cat.png" for https://example.com/pets/cat.png?size=2."""
    if str(source).startswith("data:"):
        return "image.png"
    return Path(urlsplit(str(source)).path).name or "image.png"


# %% [markdown]
# ## Part 1 · The chain
#
# *10 minutes*
#
# Here is the whole plan. Each box is a function that you will write. Below it is what it hands on.

# %%
stages = [
    ("original", "a picture", "#dddddd"),
    ("ask_about_image", "a description", "#a8cdf0"),
    ("llm_rewrite_to_\nimage_prompts", "4 distinct prompts", "#f6c28b"),
    ("generate_images", "4 pictures, one batch", "#b5dfb0"),
    ("plot_imgs", "4 files", "#b5dfb0"),
    ("send_metadata", "one JSON file", "#dcc6ee"),
]
show.chain(stages, "The chain of this notebook", width=900)

# %% [markdown]
# A chain is as good as its weakest link, and these links are not ordinary functions. A model may describe the wrong
# thing, repeat itself, or answer a question that nobody asked. So between the links there have to be *checks*, and a
# decision about what to do when one fails: ask again, leave something out, or stop and say so. That is what this
# notebook is really about.
#
# The four pictures to start from are well-known subjects: two cats on a sofa, an astronaut on mars, a car on the road
# at sunset, and a tree frog.

# %%
show.gallery(
    [open_picture(path) for path in originals],
    [path.stem.replace("_", " ") for path in originals],
    alt=[f"a drawing from the picture book: {path.stem.replace('_', ' ')}" for path in originals],
)

# %% [markdown]
# ## Part 2 · Look
#
# *20 minutes*
#
# First a model has to see. As in notebook 03 you send a message with two parts, a text and a picture, and get a text
# back. The picture travels inside the message as a **data URL**: its PNG file, written with 64 harmless characters.
#
# ### Exercise 1 · `ask_about_image`
#
# *Difficulty ●●○○○ · 15 minutes · 9 points*
#
# `chat_model("vision")` gives you the chat model. Call it inside your function: that costs next to nothing, and only
# the first call has to start the endpoint.
#
# <details><summary>Hint 1: from picture to data URL</summary>
#
# ```python
# buffer = io.BytesIO()
# image.save(buffer, "PNG")
# url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
# ```
# </details>
#
# <details><summary>Hint 2: the message</summary>
#
# `HumanMessage(content=[{"type": "text", "text": …}, {"type": "image_url", "image_url": {"url": …}}])`, handed to the
# model's `invoke` in a list. The words of the reply are its `.text`.
# </details>


# %% exercise="ask_about_image"
def ask_about_image(image_path, question="Describe the image"):
    """Ask chat_model("vision") about a picture.

    image_path: where the picture is; anything that open_picture takes (a string or Path, or an address).
    question: what to ask. The picture and the question go to the model in one request.

    Returns the model's answer, a string without spaces or line ends around it.
    """
    ### BEGIN SOLUTION
    buffer = io.BytesIO()
    open_picture(image_path).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": url}}]
    return chat_model("vision").invoke([HumanMessage(content=parts)]).text.strip()
    ### END SOLUTION


# %% tests="ask_about_image" points=9
checks.nb07.ask_about_image(ask_about_image)

# %% [markdown]
# Now with the real model. The first call starts the local endpoint, which takes some seconds.

# %%
for path in originals:
    print(f"{path.name:22}", ask_about_image(path))
print()
for question in ("What colour is the car?", "Where is this?", "Is there a dog in the picture?"):
    print(f"{question:32}", ask_about_image(originals[2], question))

# %% [markdown]
# Compare each answer with its picture, and don't take a model's word for it. Does it name the right things, as many as
# there are, in the right colours and the right place? Small models err often, large ones more rarely, but all in the
# same sure tone. The model's [card](https://github.com/picture-this-course/picture-this/blob/main/models/chat/README.md) says how
# often ours does: describing one thing is what it does best.

# %% [markdown]
# ## Part 3 · Write
#
# *55 minutes*
#
# Now the heart of it: one sentence in, four prompts out. "Rewrite this into four image prompts" is easily said. Here
# are three replies of the kind that chat models really give:
#
# ```text
# Sure! Here are four prompts:                     1. a red cat, on a meadow
#                                                  2. a red cat, on a meadow (variation 2)
# 1. a red cat, on a meadow                        3. A red cat on a meadow.
# 2) "a neon picture of a red cat, at night"       4. a beautiful red cat, on a meadow
# - **a red cat, in the snow**
# 4. a blue boat, by the sea                       I only know picture-book scenes.
#
# Let me know if you need more!
# ```
#
# The left one is good apart from its decoration and its last prompt, which has lost the subject. The one on the upper
# right has four lines and *one* prompt. Padding like that is what models do when they run out of ideas. And sometimes
# there is nothing at all. So you need three things: read the list, sift it, and ask again until there are enough.
#
# ### Reading
#
# ### Exercise 2 · `prompts_in`
#
# *Difficulty ●●○○○ · 15 minutes · 7 points*
#
# Read a reply and return the prompts in it, bare: a list of strings without list markers, quotes and asterisks. For the
# reply on the left that is four strings, for *I only know picture-book scenes.* an empty list.
#
# <details><summary>Hint 1: one pattern for all list markers</summary>
#
# `re.match(r"\s*(?:\(?\d+[.):]|[-*•])\s+(.+)", line)` matches "2) a cat" and "- a cat", and group 1 is what follows.
# </details>
#
# <details><summary>Hint 2: quotes and asterisks</summary>
#
# `text.strip(" \t\"'“”*`")` removes all such characters at both ends at once.
# </details>
#
# <details><summary>Help: a prompt "3 cats on a sofa" disappears, or loses its 3</summary>
#
# A number is a list marker only with `.`, `)` or `:` after it, and a space after that.
# </details>


# %% exercise="prompts_in"
def prompts_in(reply):
    """Return the prompts that a chat model's reply lists.

    reply: the text. A line is a prompt if it starts with a list marker and at least one space after it. Markers are a
        number with . or ) or : after it, perhaps with ( before it, and the characters - * and •. Spaces may come before
        the marker. All other lines are chat.

    Returns a list of strings in the reply's order, without the markers and without quotes, asterisks and spaces at both
    ends; the inside of a prompt is left unchanged. The list is empty if the reply has no list. A prompt that is empty
    after that is left out; a prompt that comes twice is returned twice.
    """
    ### BEGIN SOLUTION
    found = re.findall(r"^[ \t]*(?:\(?\d+[.):]|[-*•])[ \t]+(.*)$", reply, flags=re.MULTILINE)
    bare = (text.strip(" \t\r\"'“”‘’*`") for text in found)
    return [text for text in bare if text]
    ### END SOLUTION


# %% tests="prompts_in" points=7
checks.nb07.prompts_in(prompts_in)

# %% [markdown]
# ### Sifting: when are two prompts the same?
#
# Two prompts are different if a painter would paint two different pictures. How can a program know? It could compare
# their CLIP vectors, as in notebook 05, but then somebody would have to choose a threshold, and nobody could explain a
# verdict. Here we look at the words. `helpers.prompts` (it is short; `same??` in a cell shows its code) takes away
# everything that changes no picture: capital letters, commas, articles, numbers of a list, praise such as *beautiful*,
# and *variation 2*. If the same words are left, the prompts are the same. `helpers.prompts` even understands captions
# of the picture book: *a big cat* is *a large cat*, but *a red cat left of a blue dog* and *a blue cat left of a red
# dog* are not the same picture, though their words are.

# %%
pairs = [
    ("a large red cat, on a meadow", "A big red cat in a meadow."),
    ("a large red cat, on a meadow", "a beautiful large red cat, on a meadow (variation 2)"),
    ("a large red cat, on a meadow", "a neon picture of a large red cat, on a meadow"),
    ("a red cat left of a blue dog, at night", "a blue cat left of a red dog, at night"),
    ("an axolotl in a glass of tea", "in a glass of tea: an axolotl"),
]
for one, other in pairs:
    print(f"{'the same ' if same(one, other) else 'different'}  {one}\n           {other}\n")

# %% [markdown]
# And the **subject**? A prompt is about the same subject if it names every kind of thing that the description names.
# Place, colours and style may change, which is the point of a variation. `distinct(prompts)` and `on_subject(prompt,
# text)` do the sifting:

# %%
told = "The picture shows a large red cat, on a meadow."
listed = ["a red cat, at night", "Red cat at night", "a blue boat, by the sea", "two red cats in the snow"]
print([prompt for prompt in distinct(listed) if on_subject(prompt, told)])

# %% [markdown]
# ### Asking again
#
# If too few are left, ask again. But how? With temperature 0 a model always takes the likeliest word. Ask it the *same
# thing in the same words*, and you get the same reply, again and again. Two ways out: **other words**, or a higher
# **temperature**, which picks the words at random. Both together are best. Small models want to be asked in words that
# they know. Ours has practised with these (n stands for the number, query for the text):
#
# - `Rewrite this into n different image prompts, as a numbered list: query`
# - `Give me n different prompts for pictures of query Number them.`
# - `Write n distinct prompts for an image generator about: query`
# - `Turn the text into n prompts for text-to-image models, one a line, numbered. Text: query`
#
# And how often? Not for ever: programs hang and bills grow when a loop waits for a model to do what it can't.
# After some tries it is time to stop and **say plainly** what is missing. An honest error that names three good prompts
# is better than four prompts of which one is padding.
#
# ### Exercise 3 · `llm_rewrite_to_image_prompts`
#
# *Difficulty ●●●●○ · 35 minutes · 15 points*
#
# Put it together: ask, read the reply with `prompts_in`, sift with `on_subject` and `distinct`, and ask again in other
# words. Return a list of exactly n strings, or raise a `ValueError` that says how many were found.
#
# <details><summary>Hint 1: what to keep between requests</summary>
#
# A list of good prompts. After each reply: `good = distinct([*good, *new])`, where `new` are the reply's prompts that
# are on the subject. When there are n, return the first n.
# </details>
#
# <details><summary>Hint 2: other words, and temperature</summary>
#
# A list of wordings and `for attempt in range(8)`: take number `attempt % len(wordings)`. Make the model with
# `chat_model("text", temperature=0.8)` from the second attempt on.
# </details>
#
# <details><summary>Help: my function gives up, but there were enough prompts</summary>
#
# Do you throw the good ones of the first reply away when the second comes? Two replies with three good prompts each can
# make four.
# </details>


# %% exercise="llm_rewrite_to_image_prompts"
def llm_rewrite_to_image_prompts(user_query, n=4):
    """Have a chat model rewrite a text into n distinct image prompts about the same subject.

    user_query: the text, for example a picture's description; it is in every request.
    n: how many prompts; the first request says how many. ValueError where it is less than 1.

    A reply's prompts are those that prompts_in finds. Good are those that are on the subject (on_subject) and distinct
    from each other and from those of earlier replies (distinct). While there are fewer than n, the model is asked
    again, in other words or with a temperature above 0; at least 3 and at most 10 requests are made.

    Returns a list of the first n good prompts, as the model wrote them. Raises ValueError, with how many of the n were
    found, when there are too few in the end. Errors of the chat model itself are not caught.
    """
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError(f"n must be at least 1, but it is {n}.")
    wordings = (
        "Rewrite this into {n} different image prompts, as a numbered list: {query}",
        "Give me {n} different prompts for pictures of {query} Number them.",
        "Write {n} distinct prompts for an image generator about: {query}",
        "Turn the text into {n} prompts for text-to-image models, one a line, numbered. Text: {query}",
    )
    good = []
    for attempt in range(8):
        chat = chat_model("text", temperature=0.8 if attempt else 0.0)
        request = wordings[attempt % len(wordings)].format(n=n, query=user_query)
        listed = prompts_in(chat.invoke([HumanMessage(request)]).text)
        good = distinct([*good, *(prompt for prompt in listed if on_subject(prompt, user_query))])
        if len(good) >= n:
            return good[:n]
    raise ValueError(
        f"After 8 requests there are only {len(good)} of {n} distinct prompts about {user_query!r}: {good}. "
        "Describe the picture in other words, or ask for fewer."
    )
    ### END SOLUTION


# %% tests="llm_rewrite_to_image_prompts" points=15
checks.nb07.llm_rewrite_to_image_prompts(llm_rewrite_to_image_prompts)

# %% [markdown]
# Now with the real model, for a description and for a text of your own. Are there really four prompts? Are they about
# the same subject?

# %%
for text in (ask_about_image(originals[1]), "two green frogs on a purple boat"):
    print(text)
    for number, prompt in enumerate(llm_rewrite_to_image_prompts(text), start=1):
        print(f"  {number}. {prompt}")

# %% [markdown]
# And what if there is nothing to rewrite? Ask for something from outside the picture book. The model refuses politely,
# and your function should say plainly that it has found nothing, not invent prompts.

# %%
print("The model:", chat_model("text").invoke("Write 4 image prompts about: the capital of France").text)
try:
    print(llm_rewrite_to_image_prompts("the capital of France"))
except ValueError as error:
    print(f"ValueError: {error}")

# %% [markdown]
# ## Part 4 · Draw and save
#
# *50 minutes*
#
# ### One batch, many seeds
#
# Four prompts, four pictures. You could call the pipeline four times. But a model that goes through all its weights
# anyway can take several pictures along: drawn as one **batch**, four pictures take clearly less time than one by one
# (on a graphics card often hardly more than one). The pipeline takes a list of prompts, and a list of generators, one
# for each.
#
# Why one generator for each picture, when one would do for all? Because then a picture depends on *its own* seed alone.
# It can be drawn again by itself, out of the middle of a batch, months later, by somebody else. That is what makes a
# result verifiable, and the assessment will really do it: it takes some of your pictures and draws them again.
#
# So that it can, each picture has to carry its **provenance**, a note of how it was made: prompt, model, seed, steps,
# guidance. Two helpers do it:
#
# - `make_provenance(image, pipe, prompt=…, seed=…, steps=…, guidance_scale=…)` writes it, with a fingerprint of the
#   pixels
# - `attach(image, provenance)` puts it into the picture, where `save_with_provenance` will find it
#
# ### Exercise 4 · `generate_images`
#
# *Difficulty ●●●○○ · 20 minutes · 10 points*
#
# It is your function from notebook 01, and does three more things: it takes a list of prompts, it attaches the
# provenance, and it draws in few steps. `few_step(load("diffusion"))` gives the same pipeline with a small **adapter**,
# a LoRA as in notebook 01 that has been trained to come close, in 4 steps and without guidance, to what the model alone
# draws in 25. The pictures are a little softer, and the U-Net runs 4 times for each instead of 50. `STEPS` and
# `GUIDANCE` are the adapter's, and `make_provenance` notes by itself which adapter was in the pipeline.
#
# <details><summary>Hint 1: one list for both cases</summary>
#
# Make the list of prompts first, one entry for each picture: `[prompt] * n` for a string, and for a list of prompts
# each of them n times. After that there is only one case.
# </details>
#
# <details><summary>Hint 2: the seeds</summary>
#
# Picture number *i* of the whole batch gets `torch.Generator().manual_seed(seed + i)`, and `seed + i` also goes into
# its provenance.
# </details>


# %% exercise="generate_images"
def generate_images(prompt, n=1, *, seed=0):
    """Draw pictures with few_step(load("diffusion")), all in one batch, each with its provenance.

    prompt: one prompt, or a list of prompts; one that comes twice in the list is drawn twice.
    n: how many pictures of each prompt.
    seed: picture number i (from 0) starts from torch.Generator().manual_seed(seed + i).

    Each picture takes STEPS steps with guidance GUIDANCE, and its provenance is attached to it. The pipeline is loaded
    once, not at each call.

    Returns a list of PIL images, in the order of the prompts; the n pictures of a prompt stand together.
    """
    ### BEGIN SOLUTION
    prompts = [prompt] * n if isinstance(prompt, str) else [text for text in prompt for _ in range(n)]
    pipe, seeds = few_step(load("diffusion")), [seed + i for i in range(len(prompts))]
    generators = [torch.Generator().manual_seed(each) for each in seeds]
    drawn = pipe(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators)
    for image, text, each in zip(drawn.images, prompts, seeds):
        provenance = make_provenance(image, pipe, prompt=text, seed=each, steps=STEPS, guidance_scale=GUIDANCE)
        attach(image, provenance)
    return drawn.images
    ### END SOLUTION


# %% tests="generate_images" points=10
checks.nb07.generate_images(generate_images)

# %% [markdown]
# Does it really come out the same? Here are two pictures from one batch, and the second of them once more, drawn alone
# from its provenance. The second and the third should not differ in any way that you can see.

# %%
boats = generate_images(["a large red boat, by the sea", "a neon picture of a large red boat, at night"], seed=7)
provenance = provenance_of(boats[1])
(again,) = generate_images(provenance.prompt, seed=provenance.seed)
show.gallery(
    [*boats, again],
    ["seed 7", "seed 8", f"drawn again: seed {provenance.seed}"],
    alt=["a red boat by the sea", "a neon picture of a red boat at night", "the same neon boat once more"],
)
for name, value in provenance.model_dump().items():
    print(f"{name:15} {value}")

# %% [markdown]
# ### Never overwrite
#
# Generated pictures are cheap and hard to get back once they are gone: nobody remembers the seed. The commonest way to
# lose them is a file name. `generated_1.png` for the cats, then `generated_1.png` for the frog. Two rules help. The
# name says which picture it came from, and an existing file is never touched: if `tree_frog_1.png` is there, the next
# one is `tree_frog_2.png`.
#
# ### Exercise 5 · `plot_imgs`
#
# *Difficulty ●●●○○ · 25 minutes · 10 points*
#
# Show the pictures as a grid, and save them. `save_with_provenance(image, path)` saves a PNG with the provenance that
# the picture carries, and makes the folder.
#
# <details><summary>Hint 1: the next free name</summary>
#
# `count(1)` from itertools gives 1, 2, 3, … without end. Take the first number whose path does not exist *now*: so do
# it for each picture, right before you save it.
# </details>
#
# <details><summary>Hint 2: the grid</summary>
#
# `figure, axes = plt.subplots(r, c, squeeze=False)` gives an array of axes, and `axes.flat` goes through them row by
# row. `show.plot(figure, alt=…)` shows it with words for those who can't see it, and closes it.
# </details>
#
# <details><summary>Help: original_image_name is "photos/cat.jpg"</summary>
#
# `Path("photos/cat.jpg").stem` is `"cat"`: no folder, no suffix.
# </details>


# %% exercise="plot_imgs"
def plot_imgs(images, r=2, c=2, original_image_name="image.png", output_dir="generated_images"):
    """Save pictures as PNG files, and show them as a grid.

    images: PIL images; at most r * c, else ValueError before anything is saved.
    r, c: rows and columns of the grid.
    original_image_name: name or path of the picture that they were made from. For "photos/cat.jpg" the files are called
        cat_1.png, cat_2.png, …, and for "cat.v2.jpg" cat.v2_1.png, …
    output_dir: the folder for the files, made if it is missing. A file that exists is never overwritten: its number is
        skipped.

    The provenance that a picture carries is in its file, too. Returns the paths as strings, in the order of the images.
    """
    ### BEGIN SOLUTION
    if len(images) > r * c:
        raise ValueError(f"{len(images)} pictures do not fit into {r} rows of {c}.")
    paths = []
    for image in images:
        names = (Path(output_dir) / f"{Path(original_image_name).stem}_{i}.png" for i in count(1))
        path = next(path for path in names if not path.exists())
        paths.append(save_with_provenance(image, path).as_posix())

    figure, axes = plt.subplots(r, c, squeeze=False, figsize=(2.2 * c, 2.4 * r))
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, path in zip(axes.flat, images, paths):
        axis.imshow(image)
        axis.set_title(Path(path).stem, fontsize=8)
    made = [provenance_of(image) for image in images]
    prompts = "; ".join(each.prompt if each else "unknown prompt" for each in made)
    show.plot(figure, alt=f"{len(images)} pictures made from {original_image_name}: {prompts}", width=150 * c)
    return paths
    ### END SOLUTION


# %% tests="plot_imgs" points=10
checks.nb07.plot_imgs(plot_imgs)

# %%
print(plot_imgs(boats, 1, 2, original_image_name="boat.png", output_dir=f"{FOLDER}/tries"))

# %% [markdown]
# ## Part 5 · The button
#
# *25 minutes*
#
# All the links are there. Put the chain together, from the address of a picture to new pictures.
#
# ### Exercise 6 · `generate_images_from_image`
#
# *Difficulty ●●○○○ · 20 minutes · 12 points*
#
# Call your four functions one after the other. Return three things, in this order: the paths, the prompts, the
# description.
#
# <details><summary>Hint: which grid for how many?</summary>
#
# `columns = math.ceil(math.sqrt(num_images))` and as many rows as are needed: `math.ceil(num_images / columns)`. For 4
# that is 2 by 2, for 5 it is 2 rows of 3.
# </details>
#
# <details><summary>Help: it takes four times as long as it should</summary>
#
# Call `generate_images` once, with the list of prompts, not once for each prompt.
# </details>


# %% exercise="generate_images_from_image"
def generate_images_from_image(image_url, num_images=4):
    """The whole chain for one picture: describe it once, make distinct prompts of that, draw them in one batch, save them.

    image_url: where the picture is; anything that open_picture takes.
    num_images: how many prompts, and pictures: one of each prompt.

    The files are in generated_images, named after the picture (picture_name).

    Returns (image_paths, prompts, description): a list of paths, a list of prompts in the same order, a string.
    """
    ### BEGIN SOLUTION
    description = ask_about_image(image_url)
    prompts = llm_rewrite_to_image_prompts(description, num_images)
    columns = math.ceil(math.sqrt(num_images))
    rows = math.ceil(num_images / columns)
    paths = plot_imgs(generate_images(prompts), rows, columns, original_image_name=picture_name(image_url))
    return paths, prompts, description
    ### END SOLUTION


# %% tests="generate_images_from_image" points=12
checks.nb07.generate_images_from_image(generate_images_from_image)

# %% [markdown]
# ## Part 6 · The submission
#
# *35 minutes*
#
# A pile of pictures is not a result. Somebody else, or a program, must be able to see what belongs together: this
# description, these prompts, these files. That is what **metadata** is for. The assessment wants one JSON file, a list
# with one record for each original:
#
# ```json
# {
#   "original_description": "The picture shows …",
#   "prompts": ["…", "…", "…", "…"],
#   "image_paths": ["generated_images/tree_frog_1.png", "…"],
#   "source_image": "generated_images/originals/tree_frog.png",
#   "provenance": [{"prompt": "…", "model": "…", "seed": 0, "sha256": "…"}, "…"]
# }
# ```
#
# `make_record(description, prompts, image_paths, source_image=…)` makes one, checks its types, and reads each picture's
# provenance out of its file. `write_metadata(records, folder)` writes them all to `folder/all_metadata.json`.
#
# ### Exercise 7 · `send_metadata`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# Mind the order: `generate_images_from_image` gives (paths, prompts, description), and the record wants them the other
# way round.
#
# <details><summary>Hint: from record to dict</summary>
#
# `record.model_dump(exclude_none=True)` gives a record's fields as a dict, without those that nobody filled in.
# </details>


# %% exercise="send_metadata"
def send_metadata(results, *, sources=None):
    """Write what generate_images_from_image gave to generated_images/all_metadata.json, in place of what was in it.

    results: a list of (image_paths, prompts, description).
    sources: the paths of the originals (strings or Paths), one for each result, for the records' source_image; None
        where they are not known. ValueError where there are more or fewer of them than results, an empty list included.

    Returns the records as a list of dicts: "original_description", "prompts", "image_paths", and where they are known
    "source_image" and "provenance".
    """
    ### BEGIN SOLUTION
    if sources is None:
        sources = [None] * len(results)
    if len(sources) != len(results):
        raise ValueError(f"There are {len(results)} results, but {len(sources)} sources.")
    records = [
        make_record(description, prompts, paths, source_image=source)
        for (paths, prompts, description), source in zip(results, sources)
    ]
    write_metadata(records, "generated_images")
    return [record.model_dump(exclude_none=True) for record in records]
    ### END SOLUTION


# %% tests="send_metadata" points=8
checks.nb07.send_metadata(send_metadata)

# %% [markdown]
# ### Exercise 8 · `handed_in`
#
# *Difficulty ●●○○○ · 15 minutes · 12 points*
#
# Now press the button four times. This exercise is not a function: run the chain on all four `originals`, and write the
# file with their paths as `sources`. What is judged is **the file** and the pictures that it names, so look at them
# before you go on. You get points for each of these:
#
# | | of the points |
# |---|---|
# | four records of four prompts and four pictures | 10 % |
# | descriptions that fit their originals | 20 % |
# | prompts that are distinct and about the subject of their description | 20 % |
# | pictures that exist, and are all different | 18 % |
# | pictures that show what their prompts ask for | 20 % |
# | provenance that is true: pictures that are drawn again from it come out the same | 12 % |
#
# They are the criteria of the assessment in Part 7. What a small model says and draws need not be perfect: two thirds
# of the descriptions, and of the pictures that fit their prompts, are enough. The rest has to be right altogether.
#
# <details><summary>Hint: one result slips</summary>
#
# Run that original again and put the new result in place of the old one in your list. Nothing is overwritten, and the
# file names what your list names.
# </details>
#
# <details><summary>Help: "only 3 of 4 distinct prompts"</summary>
#
# That is your own function being honest. Ask the model another question about the picture (`ask_about_image(path, "What
# do you see in this picture?")`), and see whether prompts come more easily from that description.
# </details>

# %% exercise="handed_in"
# Writes generated_images/all_metadata.json.
### BEGIN SOLUTION
results = [generate_images_from_image(path) for path in tqdm(originals, desc="pictures")]
records = send_metadata(results, sources=originals)
### END SOLUTION

# %% tests="handed_in" points=12
checks.nb07.handed_in(FOLDER)

# %% [markdown]
# Look at what you hand in: each original with its description and its four children. The number is the CLIP similarity
# of picture and prompt, as in notebook 01.

# %%
for record in read_metadata(f"{FOLDER}/all_metadata.json"):
    pictures = [open_picture(path) for path in record.image_paths]
    scores = [float(clip.similarity([prompt], [picture])[0, 0]) for prompt, picture in zip(record.prompts, pictures)]
    show.gallery(
        [open_picture(record.source_image), *pictures],
        [record.original_description, *(f"{p} ({score:.2f})" for p, score in zip(record.prompts, scores))],
        alt=[f"the original: {record.original_description}", *(f"drawn from the prompt: {p}" for p in record.prompts)],
        width=135,
    )

# %% [markdown]
# ## Part 7 · The assessment
#
# *30 minutes*
#
# The **assessment runner** is a small web service. It takes your submission, judges it with models of its own, draws
# some of your pictures again from their provenance, and answers with a score for each criterion and a sentence on how
# to improve. A courseware platform runs such a service on a computer elsewhere. Ours is part of the local endpoint.
#
# You talk to it over HTTP: send `POST <address>/run_assessment` with a JSON body, and JSON comes back:
#
# ```text
# {"submission": [the records], "student": "your name", "zip": "the pictures"}
#     →  {"result": "passed", "score": 93.5, "criteria": […], "messages": […], "exceptions": […]}
# ```
#
# `pack(records, student=…)` makes the body. The pictures travel in it as a zip archive, because a runner elsewhere
# can't look into your folder.
#
# The runner's 100 points decide only whether you get the certificate. The points of this notebook's exercises are
# counted separately. You pass with 70 points if every criterion keeps two thirds of its points (provenance three
# quarters).
#
# ### Exercise 9 · `post_submission`
#
# *Difficulty ●●●○○ · 20 minutes · 7 points*
#
# Three things can go wrong, and whoever calls your function has to learn which it was: nobody is there, the service
# refuses (status 400 and above), or the answer is not JSON.
#
# <details><summary>Hint: requests in three lines</summary>
#
# `answer = requests.post(address, json=body, timeout=timeout)`, then `answer.status_code`, `answer.text` and
# `answer.json()`. When nobody answers in time, `requests` raises a `requests.RequestException`. `answer.json()` raises
# a `ValueError` if the text is not JSON, and that is a `RequestException`, too. So give it a separate `try`.
# </details>
#
# <details><summary>Help: "silent for longer than timeout=0.4" … "what came back is the dict"</summary>
#
# Your function waited: without a timeout, `requests` waits for ever. Pass `timeout` on.
# </details>


# %% exercise="post_submission"
def post_submission(metadata_file, url, *, student="", timeout=600):
    """Send a submission to an assessment runner.

    metadata_file: path of all_metadata.json (read_metadata reads it). The pictures' paths in it are relative to the
        folder that this notebook runs in.
    url: the address of the runner; the request goes to <url>/run_assessment.
    student: your name, for the certificate.
    timeout: seconds to wait for the answer.

    Returns the runner's answer, a dict. Raises RuntimeError when nobody answers within the timeout, the runner refuses
    (status 400 and above), or its answer is not JSON; the message names the address and says what the runner said.
    """
    ### BEGIN SOLUTION
    address = f"{url}/run_assessment"
    body = pack(read_metadata(metadata_file), student=student)
    try:
        answer = requests.post(address, json=body, timeout=timeout)
    except requests.RequestException as error:
        raise RuntimeError(f"Nobody answered at {address} in {timeout} seconds: {type(error).__name__}") from error
    if answer.status_code >= 400:
        raise RuntimeError(f"{address} refuses the submission ({answer.status_code}): {answer.text[:500]}")
    try:
        return answer.json()
    except ValueError as error:
        raise RuntimeError(f"{address} answers, but not in JSON: {answer.text[:500]}") from error
    ### END SOLUTION


# %% tests="post_submission" points=7
checks.nb07.post_submission(post_submission)

# %% [markdown]
# Now hand it in. Write your name as it should appear on the certificate. A runner that has many submissions to judge
# keeps yours and answers *waiting*. Then `assess` asks for the verdict until it is there.

# %%
student = "Ada Lovelace"


def assess(metadata_file):
    """Hand a submission in, and wait for the verdict."""
    answer = post_submission(metadata_file, settings.endpoint, student=student)
    while answer["result"] == "waiting":
        time.sleep(2)
        answer = requests.get(f"{settings.endpoint}/run_assessment/{answer['id']}", timeout=60).json()
    return answer


endpoint.ensure(settings.endpoint)
assessment = assess(f"{FOLDER}/all_metadata.json")
Path(f"{FOLDER}/assessment.json").write_text(json.dumps(assessment, indent=2, ensure_ascii=False), encoding="utf-8")

print(f"{assessment['result']}: {assessment['score']:g} of 100 points")
for sentence in assessment["messages"] + assessment["exceptions"]:
    print("-", sentence)
pd.DataFrame(assessment["criteria"]).style.hide(axis="index").format(precision=1)

# %% [markdown]
# Did you lose points for a description? The runner knows the four originals, and it can count. If a criterion has lost
# points, read its sentence, fix the cause, and send the submission again. There is no penalty for trying.
#
# When you have passed, the answer holds your **certificate**: a signed token (a JSON Web Token, as web services use
# them to say who somebody is), and a picture of its words that carries it. Whoever gets one of the two can find out
# with `course verify` that this runner gave it, and that nobody has changed a word of the token since.

# %%
certificate = assessment["certificate"]
if certificate:
    Path(f"{FOLDER}/certificate.jwt").write_text(certificate["jwt"], encoding="utf-8")
    Path(f"{FOLDER}/certificate.png").write_bytes(base64.b64decode(certificate["png"]))
    words = f"the certificate of {student}: passed with {assessment['score']:g} of 100 points"
    show.gallery([open_picture(f"{FOLDER}/certificate.png")], [f"{FOLDER}/certificate.png"], alt=[words], width=460)
else:
    print("No certificate yet: look at the sentences above.")

# %% [markdown]
# The runner is not easily fooled. Try it: here a copy of your submission names one picture four times in each record.
# (The real submission stays as it is.) Descriptions and prompts lose nothing by that, and still the submission does not
# pass: no other criterion can make up for one with less than two thirds of its points.

# %%
cheat = read_metadata(f"{FOLDER}/all_metadata.json")
for record in cheat:
    record.image_paths[:] = record.image_paths[:1] * 4
write_metadata(cheat, f"{FOLDER}/tries")
verdict = assess(f"{FOLDER}/tries/all_metadata.json")

print(f"{verdict['result']}: {verdict['score']:g} of 100 points")
print(", ".join(f"{each['criterion']} {each['points']:g} of {each['of']}" for each in verdict["criteria"]))
print(f"{len(verdict['messages'])} complaints. The first and the last of them:")
for sentence in (verdict["messages"][0], verdict["messages"][-1]):
    print("-", sentence)

# %% [markdown]
# What else would you try? Swap two descriptions, retouch a pixel, invent a seed.

# %% [markdown]
# ## Part 8 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="what_gets_lost" points=5
# ### Question 1 · What gets lost
#
# Your new pictures were made from a picture, and yet no pixel of it has reached the model that drew them. What of the
# original can come through this chain, and what can't? Name one thing of each kind from your own results, and propose
# one change to the chain by which more of the original would come through. What would be the price of that change?
#
# ### BEGIN MARK SCHEME
# - 1 point: all information passes through a text (description, then prompt): what is not in words is lost
# - 1 point: an example of what came through (kind, colour, number, relation), from the student's own results
# - 1 point: an example of what did not (exact place, shape, layout, a face, light, style that was not mentioned)
# - 1 point: a fitting change (longer or several descriptions, image-to-image / starting from the noised original, image
#   embeddings as condition, choosing among more candidates by similarity to the original)
# - 1 point: its price (less variety, more time, another model, copying what one has no right to)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# Everything has to pass through one sentence. What the sentence says can come through: the astronaut stayed a white
# astronaut in all four pictures. What it does not say is lost: the raised arm, the planet in the sky, where exactly it
# stands. I would start the drawing not from pure noise but from the noised original (image-to-image), so that the
# layout survives. Then the four pictures resemble the original and each other more: there is less variety, and with a
# photo that belongs to somebody else it comes close to copying it.
# ### END SOLUTION

# %% [markdown] written="who_judges" points=5
# ### Question 2 · A judge made of models
#
# The assessment judges pictures with models (CLIP among them), and prompts with rules about their words. Describe one
# submission that is good, but would lose points, and one that is poor, but would win them. For one of the two: how
# would you change the assessment, and which new mistake could that bring?
#
# ### BEGIN MARK SCHEME
# - 1 point: a good submission that loses, with the reason (synonyms: "kitten" for cat; a style that CLIP does not know;
#   a model judge that errs on a correct picture)
# - 1 point: a poor one that wins, with the reason (prompts that differ in one word without interest; pictures that
#   please CLIP and not people; originals described by hand)
# - 2 points: a change that addresses the reason (a second, independent judge; a human for borderline cases; comparing
#   meanings instead of words; drawing again)
# - 1 point: the new mistake or cost it could bring
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# A prompt about "two kittens on a couch" is a fine variation of two cats on a sofa, but the rule wants the words cat
# and sofa, so it loses. A submission with "a red cat in a room", "a red cat in the snow" and so on, one word changed
# each time, wins, though it is dull. For the first I would compare meanings instead of words, with CLIP's text vectors
# and a threshold. But then prompts that are merely similar (a dog in place of the cat) could pass, and nobody could say
# any more from reading them why one has failed.
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Fourteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget. Importing it twice does not double your cards.

# %%
cards = flashcards.find("07_synthetic_prompts")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "synthetic_prompts.apkg")
print("Wrote synthetic_prompts.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Best of n.** Put notebook 06 into the chain: draw each prompt three times and keep the picture that CLIP likes
#   best. How much does the score rise, and do you like the pictures better, too?
# - **Look at your own work.** Let `ask_about_image` describe the new pictures. In how many does it name the subject of
#   the prompt?
# - **Around the circle.** Take one of the four new pictures as the next original, and so on, ten times. What is left of
#   the cats?
# - **Your own photos, large models.** With `COURSE_PROFILE=full` (a graphics card) and `COURSE_CHAT=groq` or `nvidia`
#   (a key) the same functions work on photos. Watch what `on_subject` does with words that are not in the picture book.
#
# ### References
#
# - J. Betker et al.: *Improving Image Generation with Better Captions*, 2023 (DALL·E 3). Synthetic captions for
#   training, and prompts that a language model has rewritten before they are drawn.
# - Y. Hao, Z. Chi, L. Dong, F. Wei: *Optimizing Prompts for Text-to-Image Generation*, 2022,
#   [arXiv:2212.09611](https://arxiv.org/abs/2212.09611)
# - J. Hessel et al.: *CLIPScore: A Reference-free Evaluation Metric for Image Captioning*, 2021,
#   [arXiv:2104.08718](https://arxiv.org/abs/2104.08718)
# - M. Strathern: *"Improving ratings": audit in the British University system*, 1997. Goodhart's law in her words:
#   "When a measure becomes a target, it ceases to be a good measure."
