# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · A generation pipeline
#
# People who build with an image generator don't type prompts into a window all day. For them the generator is *one part
# of a machine*: words go in at one end, and a picture comes out at the other, one that has been checked and found good.
# In this notebook you build such a machine. A few keywords find a text, a chat model turns the text into an image
# prompt, a server draws, two judges look at the result, and what is not good enough is drawn again:
#
# ```
#  keywords ─▶ text ─▶ image prompt ─▶ pictures ─▶ judges ─▶ the best one
#             (search)  (chat model)   (over HTTP)  (CLIP, captions)
#                                          ▲            │
#                                          └── again ◀──┘
# ```
#
# The interesting thing about a pipeline is that each part can fail, and that a failure in one part shows in another. So
# you will write parts that say what went wrong, and a record that shows where. At the end you hand the decisions to the
# chat model itself, which makes the pipeline an **agent**, and measure what that costs and what it gains.
#
# **When you are done, you can**
#
# - draw pictures over the API that the most used web interface for Stable Diffusion offers, and cope with a server that
#   is down, slow, or answers nonsense
# - find a text for some keywords, and say why a rare word counts more than a common one
# - let a chat model write an image prompt, with LangChain, and clean up its reply
# - judge a picture in two independent ways, and say what each judge can't see
# - choose the best of n, draw until one is accepted, and measure what that buys
# - build an agent that draws and rates by itself, and say when a pipeline is the better choice
# - measure what sampling steps and LoRA adapters change, and use an adapter by its name
#
# **What you need**: Python functions, exceptions, dicts. Notebooks 01 (what a seed and a sampling step are) and 03
# (chat models) help, but you can do without them. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 A painter with an address | 55 | 16 |
# | 2 From keywords to a text | 35 | 11 |
# | 3 From the text to an image prompt | 30 | 9 |
# | 4 Two judges | 40 | 16 |
# | 5 Again, until it is good | 45 | 18 |
# | 6 The pipeline | 25 | 8 |
# | 7 An agent | 50 | 14 |
# | 8 Two settings: steps and adapters | 40 | |
# | 9 Two questions, flashcards, going further | 30 | 8 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in place of
# the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of them
# passed and what each is worth, and explains in a sentence what is wrong. The points are decided by the same cases on
# other inputs. Every exercise has hints that unfold, and ● to ●●●●● shows how hard it is. If you are stuck on one,
# `checks.borrow("txt2img")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order: `txt2img` draws in all later parts, and `run_pipeline` calls the functions before it.

# %% [markdown]
# ### Do you remember?
#
# Three questions about notebook 05. Answer each aloud before you unfold it. If you have not done notebook 05, read the
# answers.
#
# <details><summary>1. Two embeddings have length 1. What is their cosine similarity, and what their cosine distance?</summary>
#
# The similarity is their dot product, from −1 to 1. The distance is 1 minus that, so that the nearest is the smallest.
# </details>
#
# <details><summary>2. A text that somebody typed goes into an SQL query. Why bind it as a parameter?</summary>
#
# A bound value is data and can never become part of the command, whatever quotes it contains. Formatted into the query,
# it can end a string early and add another command: an SQL injection.
# </details>
#
# <details><summary>3. An index searches a million prompts in a few milliseconds. What does it give up, and how is that
# measured?</summary>
#
# It is approximate and may miss some of the nearest. Recall@k is the share of the exact top k that it found.
# </details>

# %% [markdown]
# ## Set-up
#
# One cell fetches the course if it is missing, and one loads what the notebook uses. `helpers` is the course's small
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
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from itertools import count
from random import Random
from textwrap import fill

import matplotlib.pyplot as plt
import requests
import torch
from langchain.agents import create_agent
from langchain.agents.middleware import ToolCallLimitMiddleware
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from PIL import Image

from helpers import checks, clip, endpoint, flashcards, newthing, show, stories, widgets
from helpers.chat import chat_model
from helpers.models import load
from helpers.picturebook import draw, parse
from helpers.ready import ready_to_hand_in
from helpers.records import show_record
from helpers.settings import settings

STORIES = stories.read()
print(f"Profile: {settings.profile}. Pictures come from {settings.endpoint}; there are {len(STORIES)} stories.")


def say(label, text):
    """Print a text after its label, in lines of whole words."""
    print(fill(text, 100, initial_indent=f"{label:12}", subsequent_indent=12 * " "))


# %% [markdown]
# ## Part 1 · A painter with an address
#
# *55 minutes*
#
# In notebook 01 the pipeline lived in your notebook. That is fine for one person. As soon as there are two, or a phone,
# or a computer without a graphics card, the model moves to a **server**: it is loaded there once, and anyone who wants
# a picture sends a request.
#
# The course's endpoint is such a server. It listens on your own computer, and this cell starts it if it is not running
# yet, which takes a few seconds. For pictures it has the API of **AUTOMATIC1111's web UI**, the best-known interface
# for Stable Diffusion. So your code will work with that one, too: only the address changes.

# %%
print("Models that chat here:", *endpoint.ensure(settings.endpoint))
api = f"{settings.endpoint}/sdapi/v1"
print("Models that draw:     ", *[model["title"] for model in requests.get(f"{api}/sd-models", timeout=60).json()])
print("Samplers:             ", ", ".join(each["name"] for each in requests.get(f"{api}/samplers", timeout=60).json()))

# %% [markdown]
# A picture is drawn by `POST /sdapi/v1/txt2img`. The request's body is a JSON object. These are the fields that matter:
#
# | field | meaning |
# |---|---|
# | `prompt`, `negative_prompt` | what to draw, what to keep away from |
# | `steps` | the number of denoising steps |
# | `seed` | which noise to start from; with -1 the server chooses a seed |
# | `batch_size` | how many pictures at once; their seeds count up from `seed` |
# | `cfg_scale` | the guidance scale |
# | `width`, `height` | the picture's size in pixels |
# | `sampler_name` | which scheduler takes the steps; the web UI calls it a sampler |
#
# Let us send one by hand, with the library `requests`, as the web UI's own documentation does. `json=` makes the body
# from a dict and sets the header that says it is JSON, and `timeout=` is how many seconds we are willing to wait.
# Without it `requests` waits for ever.
#
# Look at the answer before you look at the picture. What to look for: the picture is a long text in base64, because
# JSON has no type for bytes. And `info` is a *string* that contains JSON once more, a quirk of the web UI that is easy
# to overlook.

# %%
request = {"prompt": "a small red cat, in a room", "steps": 15, "seed": -1}
answer = requests.post(f"{api}/txt2img", json=request, timeout=300)
found = answer.json()
print("status:", answer.status_code)
for name, value in found.items():
    print(f"{name}: {type(value).__name__}, {str(value)[:70]}…")
info = json.loads(found["info"])
print("The server chose seed", info["seed"])

picture = Image.open(io.BytesIO(base64.b64decode(found["images"][0])))
show.gallery([picture], ["drawn by the endpoint"], alt=[f"what the endpoint drew for: {request['prompt']}"])

# %% [markdown]
# The picture remembers how it was made. The web UI writes the settings into a **text chunk** of the PNG file, and so
# does our endpoint. `POST /sdapi/v1/png-info` reads them from any such file. So anyone who has the file has the recipe:
# prompt, steps, seed. (Anyone who gets your picture can read your prompt, too.)

# %%
read = requests.post(f"{api}/png-info", json={"image": found["images"][0]}, timeout=60).json()
for name in ("Prompt", "Steps", "Sampler", "Seed", "Size", "Model"):
    print(f"{name + ':':9}", read["parameters"][name])

# %% [markdown]
# `POST /sdapi/v1/img2img` goes on from a picture (notebook 01, "edit a picture"). It takes the same fields, the picture
# in `init_images`, and `denoising_strength`: how much noise is added before the drawing begins. With little noise the
# request hardly changes the picture, and with much noise hardly anything is left of it. In between, the scene is kept
# and the subject changes.

# %%
start = requests.post(
    f"{api}/txt2img",
    json={"prompt": "a large blue house, in the snow", "seed": 3, "steps": 25, "cfg_scale": 4},
    timeout=300,
).json()["images"]
strengths, edited = (0.3, 0.6, 0.9), []
for strength in strengths:
    request = {"prompt": "a large red house, in the snow", "init_images": start, "denoising_strength": strength}
    answer = requests.post(f"{api}/img2img", json={**request, "seed": 3, "steps": 25, "cfg_scale": 4}, timeout=300)
    edited += answer.json()["images"]
show.gallery(
    [Image.open(io.BytesIO(base64.b64decode(image))) for image in start + edited],
    ["a blue house", *(f"red, strength {strength}" for strength in strengths)],
    alt=["a blue house in the snow", *(f"the same picture redrawn as a red house, strength {s}" for s in strengths)],
)

# %% [markdown]
# And when a request is wrong? Then the *status* is not 200, and the body explains why. 422 means "I can read this, but
# I can't do it", 404 "there is nothing at this address", 500 "I tried and failed".

# %%
answer = requests.post(f"{api}/txt2img", json={"prompt": "a cat", "steps": 100_000}, timeout=60)
print(answer.status_code, answer.json()["errors"])
print(requests.get(f"{api}/txt2image", timeout=60).status_code, "for a slip in the address")

# %% [markdown]
# ### Watch it draw
#
# While one request draws, another can ask how far it is: `GET /sdapi/v1/progress`. It returns the progress as a number
# from 0 to 1, and the picture so far. The cell sends the request in a second thread and asks ten times a second. Move
# the slider.

# %%
request = {"prompt": "a large white rocket, at night", "steps": 25, "seed": 4}
film, seen_at = [], []
with ThreadPoolExecutor(1) as pool:
    drawing = pool.submit(requests.post, f"{api}/txt2img", json=request, timeout=300)
    while not drawing.done():
        now = requests.get(f"{api}/progress", timeout=30).json()
        step = now["state"]["sampling_step"]
        if now["current_image"] and step > max(seen_at, default=0):
            film.append(Image.open(io.BytesIO(base64.b64decode(now["current_image"]))))
            seen_at.append(step)
        time.sleep(0.1)
film += [Image.open(io.BytesIO(base64.b64decode(image))) for image in drawing.result().json()["images"]]
labels = [f"after step {step} of {request['steps']}" for step in seen_at] + ["done"]
show.scrubber(film, labels, alt=f"the drawing of {request['prompt']}", width=200)

# %% [markdown]
# ### Exercise 1 · `txt2img`
#
# *Difficulty ●●●○○ · 30 minutes · 16 points*
#
# Write the function that will fetch all pictures of this notebook. When all goes well, six lines do it. The rest of the
# work is what happens when it does not, and many of your points depend on that: a server can be down, or slow, or
# refuse, or answer with a web page in place of JSON, or with something that is not a picture. A caller who gets a
# `KeyError: 'images'` then has nothing to go by. One who reads *"the server refused (422): steps should be at most
# 150"* knows what to do.
#
# So every failure becomes a `RuntimeError` with a sentence. One kind of error for all of them: the caller of `txt2img`
# wants to know *that* no picture came and *why*, not which HTTP library you used.
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. the address: `url` without a slash at its end, then `/sdapi/v1/txt2img`, unless it is there already
# 2. `requests.post(address, json=…, timeout=timeout)`; it raises `requests.Timeout` when the server is too slow, and
#    `requests.RequestException`, of which the first is a kind, when nobody answers
# 3. `answer.status_code`; when it is not 200, `answer.text` has the server's message
# 4. `answer.json()["images"]`, each through `base64.b64decode` and `Image.open(io.BytesIO(…))`
# </details>
#
# <details><summary>Hint 2: which errors can step 4 raise?</summary>
#
# Not JSON: `requests.JSONDecodeError`, a kind of `ValueError` and of `RequestException`. So give step 4 its own `try`,
# or it looks as if nobody had answered. JSON without images: `KeyError`, or `TypeError` when it is a list. Characters
# that are not base64: `binascii.Error`, a kind of `ValueError`. Bytes that are not a picture:
# `PIL.UnidentifiedImageError`, a kind of `OSError`. And `Image.open` looks at the file's head only. A picture that was
# cut off is noticed by `.load()` or `.convert("RGB")`.
# </details>
#
# <details><summary>Help: "Incorrect padding", with some servers only</summary>
#
# Older versions of the web UI send `data:image/png;base64,iVBOR…`. What you want comes after the comma.
# `text.split(",")[-1]` takes that part, or all of the text if there is no comma.
# </details>
#
# <details><summary>Help: all my pictures look the same</summary>
#
# n pictures are *one* request with `"batch_size": n`. If you send n requests, each with the same seed, you get the same
# picture n times.
# </details>


# %% exercise="txt2img"
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    """Draw n pictures over HTTP, by POST /sdapi/v1/txt2img as AUTOMATIC1111's web UI offers it.

    prompt: what to draw.
    url: the server's address, such as "http://127.0.0.1:8765"; it may end with a slash, or with /sdapi/v1/txt2img.
    steps: denoising steps.
    seed: the first picture's; those of the others count up from it.
    n: how many pictures, drawn by one request.
    timeout: how many seconds to wait for the server.

    Returns a list of n PIL images. In the answer a picture is base64, with or without data:image/png;base64, before it.
    Raises RuntimeError with a sentence that says what happened: at which address nobody answers; that the time ran out;
    which status came and the server's message; that the answer is not JSON, or has no images; how many images came if
    there are not n; that one of them is not a picture, or was cut off.
    """
    ### BEGIN SOLUTION
    path = "/sdapi/v1/txt2img"
    address = url.rstrip("/").removesuffix(path) + path
    request = {"prompt": prompt, "steps": steps, "seed": seed, "batch_size": n}
    try:
        answer = requests.post(address, json=request, timeout=timeout)
    except requests.Timeout:
        raise RuntimeError(f"{address} did not answer within {timeout} seconds.") from None
    except requests.RequestException as error:
        raise RuntimeError(f"Nobody answers at {address}. Does the server run, and is that its address?") from error
    if answer.status_code != 200:
        raise RuntimeError(f"{address} refused (status {answer.status_code}): {answer.text[:500]}")
    try:
        letters = answer.json()["images"]
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"{address} answered, but not with JSON that has images: {answer.text[:100]}") from None
    try:
        files = [io.BytesIO(base64.b64decode(each.split(",")[-1])) for each in letters]
        images = [Image.open(file).convert("RGB") for file in files]
    except (ValueError, OSError, AttributeError, TypeError) as error:
        raise RuntimeError(f"{address} sent something that is not a picture ({error}).") from error
    if len(images) != n:
        raise RuntimeError(f"{n} pictures were asked for, but {address} sent {len(images)} images.")
    return images
    ### END SOLUTION


# %% tests="txt2img" points=16
checks.nb06.txt2img(txt2img)

# %% [markdown]
# From here on, your own function fetches the pictures. Four seeds, one request:

# %%
pictures = txt2img("a large yellow boat, by the sea", url=settings.endpoint, steps=4, seed=1, n=4, timeout=300)
show.gallery(
    pictures,
    [f"seed {seed}" for seed in (1, 2, 3, 4)],
    alt=[f"a large yellow boat by the sea, drawn over HTTP with seed {seed}" for seed in (1, 2, 3, 4)],
)

# %% [markdown]
# If you run a web UI yourself (start it with `--api`; it listens at `http://127.0.0.1:7860`), put that address there, and you
# are drawing with any checkpoint that you have. Nothing else in this notebook has to change.
#
# ## Part 2 · From keywords to a text
#
# *35 minutes*
#
# Where do prompts come from? In a real product rarely from a person at a keyboard: a news site has an article, a shop
# has a description, a children's book has a story. Our pipeline starts from **keywords** and finds a text for them. The
# collection is small: stories that were written for this course. Here are three.

# %%
for number, story in enumerate(STORIES[:3]):
    say(f"story {number}", story)

# %% [markdown]
# Finding texts for words is **retrieval**. The plainest way: which text has the most of my keywords? It has a flaw.
# Take the keywords *one* and *newspaper*. A text with *one* means little, since many have it. A text with *newspaper*
# is surely the right one. So a word should count by how **rare** it is. With $N$ texts of which $n_w$ have the word
# $w$, its weight is
#
# $$\operatorname{weight}(w) = \log\left(1 + \frac{N}{n_w}\right)$$
#
# This is the **inverse document frequency**, the idea behind most search engines to this day (there are several
# formulas for it, all with the same shape). A text's score is the sum of the weights of those keywords that it has.
# Look at how far apart the weights are:

# %%
have = Counter(word for story in STORIES for word in set(stories.words(story)))
for word in ("it", "one", "cat", "red", "newspaper"):
    print(
        f"{word:12} in {have[word]:2} of {len(STORIES)} stories: weight {math.log(1 + len(STORIES) / have[word]):.2f}"
    )
print(stories.words("Two Boxes, by the sea!"))

# %% [markdown]
# The last line shows `stories.words`, which makes words comparable: lower case, no commas, and the singular. Without it
# a search for *box* would not find *boxes*.
#
# And if no text is quite right? Then a chat model can **write** one, with the found text as its example. Retrieval
# first, then generation: that is *retrieval-augmented generation* (RAG) in its smallest form. The found text grounds
# the model. Without it, the model makes up what it was not given. Here is the request, with two placeholders:

# %% locked="ask_for_text"
ASK_FOR_TEXT = "Learn the style from this text: {example}\nWrite a short text with these keywords: {keywords}."

# %% [markdown]
# ### Exercise 2 · `get_text`
#
# *Difficulty ●●○○○ · 20 minutes · 11 points*
#
# Write the search: keywords go in, the text with the highest score comes out, as it is. If a chat model is handed in as
# well, return its reply to `ASK_FOR_TEXT` instead.
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. the keywords as a set of words: `stories.words` of the string, or of `" ".join(keywords)` if it is a list
# 2. for each text, the set of those keywords that it has: `wanted & set(stories.words(text))`
# 3. how many texts have each keyword: a `Counter` over these sets
# 4. the score of each text, and the text with the highest
# </details>
#
# <details><summary>Hint 2: the first of equals</summary>
#
# `scores.index(max(scores))` finds the first. Add with `math.fsum`: a plain `sum` can differ in the last digit when the
# same numbers come in another order, and then equals are not equal any more.
# </details>
#
# <details><summary>Hint 3: asking the chat model with LangChain</summary>
#
# `ChatPromptTemplate.from_messages([("human", ASK_FOR_TEXT)]) | chat | StrOutputParser()` is a **chain**: the template
# fills in the placeholders, the chat model answers, the parser takes the text out of the message. `.invoke({"keywords":
# …, "example": …})` sends a dict of values for the placeholders through it.
# </details>
#
# <details><summary>Help: KeyError, "Input to ChatPromptTemplate is missing variables"</summary>
#
# A text with braces in it was put into the *template*, where braces mark placeholders. Leave the template as it is, and
# pass texts in the dict of `.invoke`.
# </details>


# %% exercise="get_text"
def get_text(keywords, *, texts=STORIES, chat=None):
    """Find the text that fits some keywords best. With a chat model, have it write a new one modelled on that.

    keywords: a list of strings, or one string with spaces or commas between the words. Words are compared as
        stories.words gives them, and each counts once, however often it stands in a text or among the keywords.
    texts: a list of strings, which may hold braces.
    chat: a LangChain chat model, or None.

    A text's score is the sum of log(1 + len(texts) / number of texts with the keyword) over the keywords that it has;
    the highest score wins, the first of equals.

    Returns that text as it is. With a chat model: its reply to ASK_FOR_TEXT, filled with the keywords and the found
    text as example, without blanks around it; it is asked once.
    Raises ValueError if none of the keywords occurs in any text.
    """
    ### BEGIN SOLUTION
    keywords = keywords if isinstance(keywords, str) else ", ".join(keywords)
    wanted = set(stories.words(keywords))
    hits = [wanted & set(stories.words(text)) for text in texts]
    having = Counter(word for words in hits for word in words)
    if not having:
        raise ValueError(f"None of the keywords ({keywords}) occurs in a text of the collection.")
    scores = [math.fsum(math.log(1 + len(texts) / having[word]) for word in words) for words in hits]
    found = texts[scores.index(max(scores))]
    if chat is None:
        return found
    chain = ChatPromptTemplate.from_messages([("human", ASK_FOR_TEXT)]) | chat | StrOutputParser()
    return chain.invoke({"keywords": keywords, "example": found}).strip()
    ### END SOLUTION


# %% tests="get_text" points=11
checks.nb06.get_text(get_text)

# %% [markdown]
# Try it. The first three are found. For the last no story has both words, so look which one won, and why.

# %%
for keywords in ("cat, newspaper", "rocket pizza", "frog, hotel", "dog, newspaper"):
    say("keywords", keywords)
    say("   found", get_text(keywords))

# %% [markdown]
# And now with generation, once with the found text as an example and once without. What to look for: which colour and
# which place does the hero get, and where did the model get them from? (Don't expect the pizza. The mini chat model has
# read nothing but picture-book stories, with the same few wishes and endings. With other keywords it may refuse, or
# stop in the middle of a sentence: try *cat, newspaper*.)

# %%
chat = chat_model("text")
for keywords in ("rocket, pizza", "tree, circus"):
    say("found", get_text(keywords))
    say("with it", get_text(keywords, chat=chat))
    say("without it", chat.invoke(f"Write a short text with these keywords: {keywords}.").text)
    print()

# %% [markdown]
# ## Part 3 · From the text to an image prompt
#
# *30 minutes*
#
# A story is a bad prompt. Let us see why, from its reader's point of view. CLIP's text encoder, which reads the prompt
# for Stable Diffusion, takes a fixed number of tokens (ours 40, the full-size one 77) and never sees the rest. And most
# of a story is not visible: no picture shows that somebody *wanted* to read.

# %%
tokenizer = load("clip").processor.tokenizer
story = get_text(["cat", "newspaper"])
every = tokenizer(story, verbose=False)["input_ids"]
ids = tokenizer(story, truncation=True)["input_ids"]
print(f"The story has {len(every)} tokens, and CLIP reads {len(ids)} of them:")
say("", f"{tokenizer.decode(ids, skip_special_tokens=True)} …")

# %% [markdown]
# Let us measure it. For every second story we draw the picture that belongs to it (the course's drawing code knows
# how), and ask CLIP which of all these pictures fits best: once with the whole story, once with only the part that a
# picture can show. That is *retrieval* again, this time with embeddings. Expect the short line to win clearly.

# %%
visible = [re.search(r"(?:time|day|Monday|ago) (.*?) wanted", story)[1] for story in STORIES[::2]]
drawn = clip.embed_images([draw(parse(words), size=128) for words in visible])
for name, texts in (("the whole story", STORIES[::2]), ("what can be seen", visible)):
    best = (clip.embed_texts(texts) @ drawn.T).argmax(1)
    right = sum(int(i) == place for place, i in enumerate(best))
    print(f"{name:17} the right picture comes first for {right:2} of {len(texts)}; an example: {texts[0][:32]}…")

# %% [markdown]
# So the visible part has to be put into words, and a chat model can do that. The request, in words close to those that
# our mini model was trained on:

# %% locked="ask_for_prompt"
ASK_FOR_PROMPT = "Write a prompt for a text-to-image model that illustrates this text: {text}"

# %% [markdown]
# ### Exercise 3 · `image_prompt`
#
# *Difficulty ●●●○○ · 20 minutes · 9 points*
#
# "Write a prompt" is a wish. Chat models also reply with *Here is your prompt:* and a blank line, with the prompt in
# quotes, in a code fence, as number one of a list, or with *Prompt:* before it. A generator would try to draw all of
# that. So clean the reply up: what you want is **the first line that is a prompt**.
#
# What is a matter of taste (capital letters, a full stop at the end) is left unchanged. And if nothing is left, say so
# with a `ValueError`; an empty prompt makes a very random picture, and nobody would know why.
#
# <details><summary>Hint 1: line by line</summary>
#
# Go through `reply.splitlines()`. Remove what is wrapped around each line, and return the first that is not
# empty, is not a code fence, and does not end with a colon.
# </details>
#
# <details><summary>Hint 2: what to remove</summary>
#
# `re.sub(r"^(\d+[.)]|[-*])\s+", "", line.strip())` removes a list marker: a number *with* a full stop or bracket, a
# dash or an asterisk. The 2 of "2 red cats" is kept. `line.strip(" \"'`*“”")` removes quotes, straight and curly, and
# the like. `re.sub(r"^(image )?prompt:", "", line, flags=re.IGNORECASE)` removes the word before it.
#
# Do it in this order, and strip once more at the end: in `1. "a red cat"` the list marker comes before the quotes, and
# in `"Prompt: a red cat"` and `Prompt: "a red cat"` the word is inside or before them.
# </details>
#
# <details><summary>Help: "expected string or bytes-like object, got 'AIMessage'"</summary>
#
# A chat model gives a message. Its text is in `.text`, or put `StrOutputParser()` at the end of the chain.
# </details>


# %% exercise="image_prompt"
def image_prompt(chat, text):
    """Let a chat model turn a text into one prompt for an image generator.

    chat: a LangChain chat model; it is asked once, with ASK_FOR_PROMPT and the whole text, which may hold braces.
    text: a string.

    Returns the first line of the reply that is a prompt. Removed are: a list marker before it ("1. ", "2) ", "- ",
    "* "); spaces, quotes (straight or curly), backticks and asterisks around it; "Prompt:" or "Image prompt:" before it, in
    upper or lower case, inside the quotes or before them. What belongs to the prompt is kept: "2 red cats", a quote or
    a colon in its middle. Left out are lines that are empty then, that end with a colon, or that begin with a code
    fence (```). Raises ValueError if no line is left.
    """
    ### BEGIN SOLUTION
    chain = ChatPromptTemplate.from_messages([("human", ASK_FOR_PROMPT)]) | chat | StrOutputParser()
    reply = chain.invoke({"text": text})
    for line in reply.splitlines():
        if line.strip().startswith("```"):
            continue
        around = " \t\"'`*“”"
        line = re.sub(r"^(\d+[.)]|[-*])\s+", "", line.strip()).strip(around)
        line = re.sub(r"^(image )?prompt\s*:", "", line, flags=re.IGNORECASE).strip(around)
        if line and not line.endswith(":"):
            return line
    raise ValueError(f"The chat model's reply has no prompt in it: {reply!r}")
    ### END SOLUTION


# %% tests="image_prompt" points=9
checks.nb06.image_prompt(image_prompt)

# %% [markdown]
# Now with the real chat model. Read each prompt beside its story: does it name the one the story is about, with colour,
# size and place, and *only* that?

# %%
for keywords in (["cat", "newspaper"], ["rocket", "pizza"], ["astronaut", "potato"]):
    story = get_text(keywords)
    say("story", story)
    say("   prompt", image_prompt(chat, story))

# %% [markdown]
# Three examples are only three examples. How often does it go well? Here is every second story once more. A prompt is
# right if it has exactly the words that can be seen, no more and no fewer. All others are printed. The mini model is
# far from perfect here: many of these heroes want something that it has never read about. What to look for in the wrong
# ones: what kinds of mistakes are there?

# %%
written = [image_prompt(chat, story) for story in STORIES[::2]]
wrong = [(w, p) for w, p in zip(visible, written) if set(stories.words(w)) != set(stories.words(p))]
print(f"{len(written) - len(wrong)} of {len(written)} prompts are right. The others:")
for words, line in wrong:
    say("   visible", words)
    say("   prompt", line)

# %% [markdown]
# Where the model goes wrong, it leaves something out, adds things that no story mentioned, or writes something that is
# not a prompt at all. Your function can't know: a refusal is a line of text, too, and the generator would draw it. So
# this is the part of the pipeline that fails most quietly: a wrong prompt makes a perfect picture of the wrong thing.

# %% [markdown]
# ## Part 4 · Two judges
#
# *40 minutes*
#
# Somebody has to look at the pictures, and if the pipeline is to run unattended, a model has to. You know the first
# judge from notebook 01: **CLIP** maps texts and pictures to vectors in one space, and the cosine of the angle between
# two of them measures how well they fit.
#
# ### Exercise 4 · `rate_image`
#
# *Difficulty ●○○○○ · 5 minutes · 7 points*
#
# Make it a function: a text and a picture go in, one plain float from −1 to 1 comes out.
#
# <details><summary>Hint</summary>
#
# `clip.similarity([text], [image])` is a table with one row and one column.
# </details>


# %% exercise="rate_image"
def rate_image(text, image):
    """How well a picture fits a text, according to CLIP: their cosine similarity, a plain float from -1 to 1.

    The text may be longer than what CLIP reads; the rest is cut off.
    """
    ### BEGIN SOLUTION
    return float(clip.similarity([text], [image])[0, 0])
    ### END SOLUTION


# %% tests="rate_image" points=7
checks.nb06.rate_image(rate_image)

# %% [markdown]
# The second judge takes another route. It lets a model **describe** the picture, without knowing what was asked for,
# and then compares two *texts*: what was wanted, and what the model saw. The captioner is BLIP-2, from notebook 04.
# Here it is ready to use.


# %% locked="captions"
@torch.no_grad()
def captions(images):
    """BLIP-2's caption of each picture: a list of strings."""
    model, processor = load("blip2")
    inputs = processor(images=list(images), return_tensors="pt").to(model.device, model.dtype)
    written = model.generate(**inputs, max_new_tokens=40, do_sample=False)
    return [text.strip() for text in processor.batch_decode(written, skip_special_tokens=True)]


def caption(image):
    """BLIP-2's caption of a picture."""
    return captions([image])[0]


# %% [markdown]
# ### Exercise 5 · `rate_image_by_caption`
#
# *Difficulty ●●○○○ · 10 minutes · 9 points*
#
# Picture → caption → embedding, text → embedding, cosine. The captioner is a parameter, so that you can put another one
# in its place: a chat model that sees, or even a person.
#
# <details><summary>Hint</summary>
#
# `clip.embed_texts([a, b])` gives two vectors of length 1. The cosine of two such vectors is their dot product.
# </details>


# %% exercise="rate_image_by_caption"
def rate_image_by_caption(text, image, *, caption=caption):
    """How well a picture fits a text, by way of words: the cosine similarity of the text with the picture's caption.

    caption: a function that takes a picture and returns what it shows, a string; it is called once.

    Returns a plain float from -1 to 1, by CLIP's embeddings of the two texts.
    """
    ### BEGIN SOLUTION
    wanted, seen = clip.embed_texts([text, caption(image)])
    return float(wanted @ seen)
    ### END SOLUTION


# %% tests="rate_image_by_caption" points=9
checks.nb06.rate_image_by_caption(rate_image_by_caption)

# %% [markdown]
# Let both look at the same three pictures. What to look for: they need not agree on the number, because a score has no
# unit. What counts is whether they agree on the *order*. And the second judge gives a reason: its caption shows what it
# saw.

# %%
prompts = ["a small red cat, in a room", "a large white rocket, at night", "two small yellow birds, in the snow"]
drawn = [txt2img(prompt, url=settings.endpoint, steps=4, seed=3, timeout=300)[0] for prompt in prompts]
show.matrix(
    [[rate_image(prompt, image) for image in drawn] for prompt in prompts],
    drawn,
    prompts,
    alt=[f"drawn for: {prompt}" for prompt in prompts],
    width=120,
)
for prompt, image, seen in zip(prompts, drawn, captions(drawn)):
    second = rate_image_by_caption(prompt, image, caption=lambda _, seen=seen: seen)
    print(f"wanted: {prompt:38} CLIP {rate_image(prompt, image):.2f}\nseen:   {seen:38} by caption {second:.2f}\n")

# %% [markdown]
# ### What a judge can't see
#
# Why two judges? Because each is blind in its own way, and that can be measured. We draw scenes with the course's
# drawing code, so that we know what is in them, and give each judge two texts about a picture: the truth and a lie.
# There are five kinds of lies. A judge that sees the difference gives the truth the higher score. One that doesn't is
# right half of the time, by chance. Guess before you run it: which lies does CLIP notice, and which does the captioner
# notice?

# %%
rng, tests = Random(0), []
for _ in range(16):
    one, other, third = rng.sample(["cat", "dog", "horse", "frog", "house", "tree", "sofa", "flower"], 3)
    red, blue = rng.sample(["red", "blue", "green", "yellow", "orange", "white"], 2)
    here, there = rng.sample(["on a meadow", "by the sea", "in the snow", "at night", "in a room", "on mars"], 2)
    truth = f"a large {red} {one} left of a large {blue} {other}, {here}"
    tests += [
        ("another thing", truth, truth.replace(one, third)),
        ("another place", truth, truth.replace(here, there)),
        ("another number", f"two small {red} {one}s, {here}", f"three small {red} {one}s, {here}"),
        ("colours swapped", truth, f"a large {blue} {one} left of a large {red} {other}, {here}"),
        ("sides swapped", truth, f"a large {blue} {other} left of a large {red} {one}, {here}"),
    ]
shown = {truth: draw(parse(truth), size=128) for _, truth, _ in tests}
seen = dict(zip(shown, captions(shown.values())))
truths, lies = (clip.embed_texts([test[i] for test in tests]) for i in (1, 2))
judges = {
    "CLIP": clip.embed_images([shown[truth] for _, truth, _ in tests]),
    "by caption": clip.embed_texts([seen[truth] for _, truth, _ in tests]),
}
kinds = [kind for kind, _, _ in tests]
noticed = {}
for name, vectors in judges.items():
    prefers_truth = ((truths - lies) * vectors).sum(1) > 0
    noticed[name] = Counter(kind for kind, right in zip(kinds, prefers_truth) if right)
print(f"{'noticed, of 16':16}", *[f"{name:>11}" for name in judges])
for kind in dict.fromkeys(kinds):
    print(f"{kind:16}", *[f"{noticed[name][kind]:11}" for name in judges])
some = list(shown)[:6:2]
show.gallery(
    [shown[truth] for truth in some],
    [f"truth: {truth} · seen: {seen[truth]}" for truth in some],
    alt=[f"a drawing of {truth}" for truth in some],
)

# %% [markdown]
# Compare each number in the table with 8 of 16, a guess. CLIP gives *one* number for the whole picture, and the lies
# that it misses are swaps: the words are the same, and only their order differs. Large CLIPs find those much harder.
# Many of them read a text almost like a bag of words, in which nothing connects a colour with its thing (Yuksekgonul et
# al. 2022). The captioner does well on clean drawings like these. On pictures from the generator it makes more mistakes
# (see the captions above), and sounds just as sure when it is wrong. So even where both judges agree, a lie may slip
# through, if it is of a kind that neither can see. Keep that in mind when they choose for you.
#
# ## Part 5 · Again, until it is good
#
# *45 minutes*
#
# The cheapest way to a better picture needs no better model: draw several, and keep the best. It works if two things
# are true: the same prompt gives better and worse pictures, depending on the noise, and the judge can tell which is
# which.
#
# ### Exercise 6 · `best_of_n`
#
# *Difficulty ●●○○○ · 15 minutes · 9 points*
#
# Painter and judge are parameters: functions that you are given. So `best_of_n` works with any painter and any judge,
# and it is easy to test: the check passes in a painter and a judge whose scores it knows.
#
# <details><summary>Help: "the best of [-0.3, -0.1, -0.2] is -0.1"</summary>
#
# A loop that starts with `best = 0` never finds anything below. A cosine can be negative. Start from the first picture,
# or take `max`.
# </details>
#
# <details><summary>Help: the second of two equals wins</summary>
#
# `>=` lets a later equal take the lead, `>` does not. `max` returns the first of equals.
# </details>


# %% exercise="best_of_n"
def best_of_n(text, prompt, n, *, generate, rate):
    """Draw n pictures and choose the best.

    text: what the pictures are rated by.
    prompt: what they are drawn from.
    generate: called as generate(prompt, seed=i) for i = 0 to n - 1, in this order; returns a picture.
    rate: called once for each picture as rate(text, picture); returns a number, the higher the better.

    Returns (best picture, its score, list of all n scores in order); the first of equals wins.
    Raises ValueError with a sentence that names n, before anything is drawn, if n is less than 1.
    """
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError(f"n should be 1 or more, but it is {n}: there is no best of nothing.")
    images = [generate(prompt, seed=seed) for seed in range(n)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], scores
    ### END SOLUTION


# %% tests="best_of_n" points=9
checks.nb06.best_of_n(best_of_n)

# %% [markdown]
# Here is a painter for it. It calls your `txt2img`, one picture at a time. Look at the scores first, then count the
# cars in the picture that won: is this judge the right one for this prompt?


# %% locked="draw_one"
def draw_one(prompt, *, seed):
    """One picture from the endpoint, in 4 steps."""
    return txt2img(prompt, url=settings.endpoint, steps=4, seed=seed, timeout=300)[0]


# %%
prompt = "three small yellow cars, in the snow"
best, score, scores = best_of_n(prompt, prompt, 4, generate=draw_one, rate=rate_image)
print("scores:", ", ".join(f"{each:.3f}" for each in scores), f"→ the best is {score:.3f}")
show.gallery([best], [f"best of {len(scores)}"], alt=[f"the best of {len(scores)} pictures drawn for: {prompt}"])

# %% [markdown]
# ### How much does n buy?
#
# To find out, we would have to run best of 1, best of 2, … many times each and take means. There is a trick that needs
# only one pool of pictures. Sort the scores. Of all the ways to pick $n$ out of $N$ pictures, in $\binom{i-1}{n-1}$ the
# $i$-th smallest is the best (it is in, and the other $n-1$ are among the $i-1$ below). So the mean over *all* possible
# picks can be computed exactly:
#
# $$\mathbb E[\text{best of } n] = \sum_{i=n}^{N} s_{(i)} \binom{i-1}{n-1} \Big/ \binom{N}{n}$$
#
# We draw 8 pictures for each of three prompts that are hard for the model, and plot two curves: how much the mean score
# of the chosen picture gains over that of a single picture. The first curve is by the judge that *chose* (CLIP). It
# must rise: the best of more pictures is never worse. The second is by the *other* judge, which had no say, for the
# pictures that CLIP chose. If that one rises too, there is reason to believe that the pictures have become better.

# %%
prompts = [
    "three small yellow cars, in the snow",
    "a large purple boat left of a large green house, by the sea",
    "a large white rocket left of a small yellow moon, at night",
]
pool = {prompt: txt2img(prompt, url=settings.endpoint, steps=4, seed=100, n=8, timeout=300) for prompt in prompts}
first = {prompt: [rate_image(prompt, image) for image in images] for prompt, images in pool.items()}
seen = {prompt: captions(images) for prompt, images in pool.items()}
second = {
    prompt: [rate_image_by_caption(prompt, None, caption=lambda _, words=words: words) for words in seen[prompt]]
    for prompt in prompts
}


def expected_best(n, scores, by):
    """The mean of `scores` over the pictures that are best of n by `by`, over all picks of n pictures."""
    ranked = [score for _, score in sorted(zip(by, scores))]
    shares = [math.comb(i, n - 1) / math.comb(len(ranked), n) for i in range(len(ranked))]
    return sum(score * share for score, share in zip(ranked, shares))


numbers = range(1, 9)
curves = {
    "CLIP, which chose": [sum(expected_best(n, first[p], first[p]) for p in prompts) / 3 for n in numbers],
    "by caption, which had no say": [sum(expected_best(n, second[p], first[p]) for p in prompts) / 3 for n in numbers],
}
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, values), mark in zip(curves.items(), "os"):
    axes.plot(numbers, [value - values[0] for value in values], marker=mark, label=name)
axes.set(xlabel="n", ylabel="gain over one picture")
axes.grid(axis="y", alpha=0.3)
axes.legend()
ends = "; ".join(f"{name}: {values[0]:.2f} for n = 1, {values[-1]:.2f} for n = 8" for name, values in curves.items())
show.plot(figure, alt=f"Gain of the chosen picture's mean score over n, by two judges. {ends}.", width=640)
print(ends)

# %% [markdown]
# The first curve flattens: the first few pictures bring most of the gain, and each further one brings less, at the same
# price. Stop where the gain is no longer worth it. Does the second curve follow, and how far? What CLIP prefers in one
# picture over another counts only as far as another judge can see it as well. (There are 24 pictures, so a small rise
# or fall of the second curve means nothing.)
#
# Numbers are not pictures. So here is the whole pool, from the picture that CLIP likes least, on the left, to the one
# that it likes best. What does it seem to go by: the number of cars, the colour of the boat, the shape of the moon?
# And would you have chosen the same? Below is what the other judge saw in the first and the last of each row.

# %%
order = {prompt: sorted(range(8), key=lambda i: first[prompt][i]) for prompt in prompts}
show.grid(
    [[pool[prompt][i] for i in order[prompt]] for prompt in prompts],
    prompts,
    ["lowest", *(f"place {place}" for place in range(7, 1, -1)), "best"],
    alt="8 pictures, ordered by CLIP's score",
    width=120,
)
for prompt in prompts:
    for i in (order[prompt][0], order[prompt][-1]):
        print(f"CLIP {first[prompt][i]:.2f}, by caption {second[prompt][i]:.2f}: {seen[prompt][i]}")

# %% [markdown]
# ### Exercise 7 · `until_accepted`
#
# *Difficulty ●●○○○ · 15 minutes · 9 points*
#
# Best of n pays for n pictures even when the first was perfect. If you know what is good enough, stop there. But never
# loop without a limit: with a threshold that no picture reaches, the loop would go on for ever. When the tries run out,
# return the best so far, and **say so**. A function that quietly returns what was not asked for is worse than one that
# fails.
#
# <details><summary>Hint</summary>
#
# Keep the list of scores and the best picture as you go. `return` as soon as a score is at least the threshold; the
# code after the loop then runs only if no score was.
# </details>


# %% exercise="until_accepted"
def until_accepted(text, prompt, threshold, max_tries, *, generate, rate):
    """Draw until a picture is good enough.

    text, prompt, generate, rate: as for best_of_n; seeds count from 0.
    threshold: the first picture whose score is at least this is accepted, and no further one is drawn.
    max_tries: the most pictures to draw.

    Returns (picture, its score, list of the scores so far). When the tries run out: the best so far, the first of
    equals, after printing a sentence that says so, with the number of tries.
    Raises ValueError with a sentence that names max_tries, before anything is drawn, if it is less than 1.
    """
    ### BEGIN SOLUTION
    if max_tries < 1:
        raise ValueError(f"max_tries should be 1 or more, but it is {max_tries}.")
    images, scores = [], []
    for seed in range(max_tries):
        images.append(generate(prompt, seed=seed))
        scores.append(rate(text, images[-1]))
        if scores[-1] >= threshold:
            return images[-1], scores[-1], scores
    best = scores.index(max(scores))
    print(f"No picture reached {threshold:.2f} in {max_tries} tries; the best so far has {scores[best]:.2f}.")
    return images[best], scores[best], scores
    ### END SOLUTION


# %% tests="until_accepted" points=9
checks.nb06.until_accepted(until_accepted)

# %% [markdown]
# A threshold should come from a measurement, not out of thin air. From the pool above we know which scores are usual.
# Take one that three of the eight pictures reach: how many tries should that need on average? Then ask for much more
# than the best picture of the pool has, and see what your function prints when it has to give up.

# %%
prompt = prompts[1]
ranked = sorted(first[prompt])
for threshold, most in ((ranked[-3], 8), (ranked[-1] + 0.1, 3)):
    image, score, tried = until_accepted(prompt, prompt, threshold, most, generate=draw_one, rate=rate_image)
    print(f"threshold {threshold:.2f}; scores: {', '.join(f'{each:.2f}' for each in tried)}")
    show.gallery([image], [f"{score:.2f}, tries: {len(tried)}"], alt=[f"the picture that was returned for: {prompt}"])

# %% [markdown]
# ## Part 6 · The pipeline
#
# *25 minutes*
#
# All the parts are there. The last step is to connect them, and to keep **everything that they returned**. When a
# picture is wrong, the record shows which stage to blame: is the text about the keywords? Is the prompt about the text?
# Is the picture about the prompt?
#
# `show_record(record)` from the helpers shows a record in one figure, texts on the left, picture and scores on the
# right.
#
# Frameworks offer such parts ready-made. In *Haystack* each stage is a component, and the pipeline is a graph of them
# that can be saved as a file. *LlamaIndex* specialises in what Part 2 does, finding the right text among many, and *LM
# Studio* runs chat models on your own computer behind an API like OpenAI's, so it would take our endpoint's place.
#
# ### Exercise 8 · `run_pipeline`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# Two things matter. The pictures are rated **by the prompt**, not by the story: in Part 3 you saw how little of a
# story CLIP reads. And the second judge looks at the chosen picture only.
#
# <details><summary>Hint</summary>
#
# `best_of_n(prompt, prompt, n, generate=generate, rate=rate)`; then a dict with the seven keys; `show_record(record)`;
# `return record`.
# </details>


# %% exercise="run_pipeline"
def run_pipeline(keywords, *, n=5, chat=None, generate=draw_one, rate=rate_image, second=rate_image_by_caption):
    """From keywords to the best of n pictures, with a record of every stage, shown in one figure.

    keywords: as for get_text, which finds the text in the collection.
    n: how many pictures are drawn.
    chat: the chat model that writes the prompt; None takes chat_model("text").
    generate, rate: the painter and the judge of best_of_n; the judge rates by the prompt.
    second: another judge, called once as second(prompt, chosen picture).

    Returns a dict: "keywords" (as given), "text", "prompt", "image" (the chosen one), "score", "scores" (of all n, in
    order), "second_score"; it is shown with show_record.
    """
    ### BEGIN SOLUTION
    text = get_text(keywords)
    prompt = image_prompt(chat_model("text") if chat is None else chat, text)
    image, score, scores = best_of_n(prompt, prompt, n, generate=generate, rate=rate)
    record = {
        "keywords": keywords,
        "text": text,
        "prompt": prompt,
        "image": image,
        "score": score,
        "scores": scores,
        "second_score": second(prompt, image),
    }
    show_record(record)
    return record
    ### END SOLUTION


# %% tests="run_pipeline" points=8
checks.nb06.run_pipeline(run_pipeline)

# %% [markdown]
# The whole pipeline, from two words. Read the figure from left to right and be strict: is each stage true to the one
# before it? Is each of the two keywords still there at the end? If one was lost, at which stage, and would a judge that
# only reads the prompt notice?

# %%
record = run_pipeline(["rocket", "pizza"], n=3)

# %% [markdown]
# ## Part 7 · An agent
#
# *50 minutes*
#
# In your pipeline *you* decide what happens next: search, prompt, draw, rate, keep the best. An **agent** leaves that
# decision to the chat model. The model gets a request in plain words and a list of **tools**: functions, each with a
# name, parameters and a description. Its reply is then either text, or a **tool call**: the name of a tool and the
# arguments. A loop around the model carries out the call, adds the result to the messages, and asks the model again,
# until a reply calls no tool:
#
# ```
#  request ─▶ chat model ─▶ tool call ─▶ draw(…) or rate(…)
#                 ▲  │                        │
#                 │  └─▶ text: the end        │
#                 └───────── result ◀─────────┘
# ```
#
# | | pipeline | agent |
# |---|---|---|
# | the next step is chosen by | your code | the chat model |
# | it stops | where your code stops it | when the model stops calling, or at a limit in your code |
# | its input is | values for its parameters | a sentence |
# | a failure | belongs to one stage, and the record shows which | can be any step, and only the transcript shows which |
#
# A tool call is only text. Look at one: the cell offers a tool to the mini chat model, which has learned to call tools
# that draw and rate. What to look for: does the model draw? And which of its words come from the request?


# %%
@tool
def draw_picture(prompt: str) -> str:
    """Draw a picture of what the prompt describes."""
    return "p1"


print("The model gets:   ", draw_picture.name, draw_picture.args, draw_picture.description)
reply = chat.bind_tools([draw_picture]).invoke("Draw a small red cat, in a room.")
print("The model replies:", [(call["name"], call["args"]) for call in reply.tool_calls])

# %% [markdown]
# It has only *named* a function and its argument. Nothing is drawn until some code calls that function. So your code
# decides what can happen at all: a model can only ask for the tools that it is offered.
#
# ### Exercise 9 · `picture_agent`
#
# *Difficulty ●●●○○ · 30 minutes · 14 points*
#
# Build the agent with LangChain's `create_agent`, which is the loop above. It takes a chat model and a list of tools,
# and you write the two tools, `draw` and `rate`. Three things need care:
#
# - **The chat model never sees a picture.** It reads text. So `draw` keeps the picture and returns an *id*, and `rate`
#   takes that id and returns a *score*.
# - **A model makes mistakes.** It may ask for a picture that does not exist. An exception would end everything. A
#   result that explains the mistake lets the model try again.
# - **A model may never stop.** So the limit belongs in your code, not in the request.
#
# <details><summary>Hint 1: the plan</summary>
#
# Inside `picture_agent`: a dict from ids to pictures, and two functions that use it, each with `@tool` above it. The
# type hints become the parameters that the model is offered, and the docstring becomes the description. A dict that a
# tool returns reaches the model as JSON. Then `create_agent(model, [the two tools], middleware=[the limit])`.
# </details>
#
# <details><summary>Hint 2: the limit</summary>
#
# `ToolCallLimitMiddleware` counts tool calls. Its `run_limit` applies to one request. `exit_behavior` sets what happens
# beyond the limit: with `"continue"` the call is refused and the model is asked again (for ever, if it does not learn),
# with `"error"` an exception is raised and all messages are lost, with `"end"` a last message is added and you get all
# messages up to there.
# </details>
#
# <details><summary>Hint 3: the numbers</summary>
#
# A model may call two tools in one message, and LangChain then runs both **at the same time**, in two threads. If each
# reads `len(pictures)` before either has finished, both draw picture number 1. `itertools.count` is safe: `next` on it
# never returns the same number twice.
# </details>
#
# <details><summary>Help: "'StructuredTool' object is not callable"</summary>
#
# Your tool is called `rate`, and so is the parameter of `picture_agent`. Inside, the name means the tool, which calls
# itself. Give the function another name, and set the tool's name with `@tool("rate")`.
# </details>
#
# <details><summary>Help: "Function must have a docstring if description not provided"</summary>
#
# All that the model knows about a tool is its name, its parameters and its description. So a tool needs a docstring
# with what it does and what it returns.
# </details>


# %% exercise="picture_agent"
def picture_agent(model, *, generate, rate):
    """Make an agent that draws pictures, rates them, and can draw again.

    Args:
        model: a LangChain chat model that can call tools. It is offered two, with these names and parameters:
            draw(prompt) draws a new picture and returns its id, "p1" for the agent's first picture, "p2" for the second
            …; rate(picture_id, text) returns the score of that picture for that text, with two decimals or more. For an
            unknown id it raises nothing, but returns a text that names the ids that exist.
        generate: the painter, called as generate(prompt, seed=i), with i = 0 for the agent's first picture, 1 for the
            second …, also if the model calls draw twice in one message.
        rate: the judge, called as rate(text, picture).

    Returns:
        An agent of LangChain's create_agent, with its own pictures. For each request it carries out at most six tool
        calls. If the model wants a seventh, the agent stops with a last message that calls no tool, and raises no
        error.
    """
    ### BEGIN SOLUTION
    numbers, pictures = count(1), {}

    @tool
    def draw(prompt: str) -> dict:
        """Draw a picture of what the prompt describes. Returns the id of the picture."""
        number = next(numbers)
        pictures[f"p{number}"] = generate(prompt, seed=number - 1)
        return {"picture_id": f"p{number}"}

    @tool("rate")
    def rate_picture(picture_id: str, text: str) -> dict:
        """Rate how well the picture with this id shows what the text says. Returns a score; higher is better."""
        if picture_id not in pictures:
            return {"error": f"There is no picture {picture_id}. There are: {', '.join(pictures) or 'none yet'}."}
        return {"score": round(float(rate(text, pictures[picture_id])), 2)}

    limit = ToolCallLimitMiddleware(run_limit=6, exit_behavior="end")
    return create_agent(model, [draw, rate_picture], middleware=[limit])
    ### END SOLUTION


# %% tests="picture_agent" points=14
checks.nb06.picture_agent(picture_agent)

# %% [markdown]
# Now with the local chat model, your painter and your judge. You pass an agent a list of messages, and it returns a
# longer one. Read it line by line, like the record of the pipeline: which step did the model choose, and why?


# %% locked="transcript"
def transcript(messages):
    """Print the messages of an agent: the request, the model's words and calls, and the results of its tools."""
    names = {"human": "you", "ai": "model", "tool": "   result"}
    for message in messages:
        if message.text:
            say(names[message.type], message.text)
        for call in getattr(message, "tool_calls", []):
            say("model", f"{call['name']}({', '.join(f'{name}={value!r}' for name, value in call['args'].items())})")


def rate_rounded(text, image):
    """The score by rate_image with two decimals, so that pipeline and agent decide by the same number."""
    return round(rate_image(text, image), 2)


def ask_agent(request):
    """Send a request to a new agent; return its messages, and the pictures that it drew."""
    drawn = []

    def draw_and_keep(prompt, *, seed):
        drawn.append(draw_one(prompt, seed=seed))
        return drawn[-1]

    agent = picture_agent(chat, generate=draw_and_keep, rate=rate_rounded)
    return agent.invoke({"messages": [("user", request)]})["messages"], drawn


# %%
wish = "a large white rocket left of a small yellow moon, at night"
messages, drawn = ask_agent(f"Draw {wish} and make sure that it fits. Accept from 0.74 on.")
transcript(messages)
show.gallery(
    drawn,
    [f"p{number}" for number in range(1, len(drawn) + 1)],
    alt=[f"picture {number} that the agent drew for: {wish}" for number in range(1, len(drawn) + 1)],
)

# %% [markdown]
# ### The same ten tasks
#
# Is an agent better than a pipeline? Give both the same ten tasks, the same painter, the same judge and the same limit
# of six calls: three pictures, each drawn and rated. `until_accepted` stands for the pipeline: a person has read the
# request and filled in the parameters. The agent reads the request itself. A task is done if the picture that is handed
# over has a score of at least the threshold. The cell also counts pictures, requests to the chat model, and seconds. It
# sends all ten tasks at once, as ten users would, because the endpoint draws and answers in batches.
# Guess first: which gets there more often, and which is faster?

# %%
wishes = [
    "a large red cat, on a meadow",
    "a large blue house, in the snow",
    "a small green car, on mars",
    "two small yellow stars, at night",
    "three small red balls, in a room",
    "a large pink sofa left of a small white cat, in a room",
    "a large white rocket left of a small yellow moon, at night",
    "a large orange dog right of a large green tree, on a meadow",
    "a small blue fish, by the sea",
    "a large purple boat left of a large red house, by the sea",
]
THRESHOLD = 0.74


def by_pipeline(wish):
    """The picture that until_accepted hands over, all prompts that were drawn, and the requests to a chat model: none."""
    image, _, scores = until_accepted(wish, wish, THRESHOLD, 3, generate=draw_one, rate=rate_rounded)
    return image, [wish] * len(scores), 0


def by_agent(wish):
    """The picture that the agent's last message names, if any, all prompts that were drawn, and the requests to its model."""
    messages, drawn = ask_agent(f"Draw {wish} and make sure that it fits. Accept from {THRESHOLD} on.")
    replies = [message for message in messages if message.type == "ai"]
    prompts = [call["args"].get("prompt") for reply in replies for call in reply.tool_calls if call["name"] == "draw"]
    named = re.findall(r"\bp(\d+)\b", messages[-1].text)
    image = drawn[int(named[-1]) - 1] if named and int(named[-1]) <= len(drawn) else None
    return image, prompts, len(replies)


print("{:10}{:>10}{:>10}{:>15}{:>8}".format("", "done", "pictures", "chat requests", "time"))
handed_over, scores, tried = {}, {}, {}
for name, solve in (("pipeline", by_pipeline), ("agent", by_agent)):
    clock = time.perf_counter()
    with ThreadPoolExecutor(len(wishes)) as pool, redirect_stdout(io.StringIO()):
        handed_over[name], tried[name], asked = zip(*pool.map(solve, wishes))
    seconds = time.perf_counter() - clock
    pairs = zip(wishes, handed_over[name])
    scores[name] = [0 if image is None else rate_rounded(wish, image) for wish, image in pairs]
    done = f"{sum(score >= THRESHOLD for score in scores[name])} of {len(wishes)}"
    print(f"{name:10}{done:>10}{sum(map(len, tried[name])):10}{sum(asked):15}{seconds:6.0f} s")

# %% [markdown]
# Here are the pictures that were handed over for five of the tasks, with their scores (the pipeline's first), and below
# them the agent's prompts where it drew more than once. After a low score it does what the pipeline can't: it **rewords
# the prompt**. Does that help? And is every low score deserved, or does the judge fail where the painter did not?

# %%
blank = Image.new("RGB", (128, 128), "lightgrey")
show.grid(
    [[image or blank for image in images[3:8]] for images in handed_over.values()],
    [f"by the {name}" for name in handed_over],
    [f"{wish} ({', '.join(f'{scores[name][i]:.2f}' for name in scores)})" for i, wish in enumerate(wishes)][3:8],
    alt="the picture that was handed over (grey: none)",
    width=140,
)
for prompts in tried["agent"]:
    if len(prompts) > 1:
        say(f"{len(prompts)} tries", " → ".join(map(str, prompts)))

# %% [markdown]
# Compare the columns of the table. The agent takes the same steps as the pipeline, and it pays for each decision with a
# request to the chat model: in seconds here, in money elsewhere. What it buys you is the *sentence*. Here are three
# other requests for the same code. The first asks for no check, the second sets a lower limit, and the third wants two
# pictures. Does the model do what each of them says?

# %%
for request in (
    "Draw a large blue boat, by the sea.",
    "Draw a small red car, on mars and check that it fits. Use the threshold 0.95 and at most 4 tool calls.",
    "Draw two pictures: a large green frog; a small white house at night.",
):
    messages, drawn = ask_agent(request)
    transcript(messages)
    print()

# %% [markdown]
# So which of the two? If you can write the steps down, write them down: a pipeline is faster, costs less, can be tested
# stage by stage, and fails where you can see it. An agent is worth its price where the steps depend on the user's words
# or on what comes back. Often the best answer is both: a pipeline in which one stage is an agent with two or three
# tools, a limit, and a transcript that you keep.
#
# With a larger model nothing changes but `chat`: `picture_agent(chat_model("text", provider="groq"), …)` runs your two
# tools with Groq's model, and `provider="nvidia"` with NVIDIA's. They also read the tools' descriptions, which the mini
# model ignores.

# %% [markdown]
# ## Part 8 · Two settings: steps and adapters
#
# *40 minutes*
#
# **Steps.** Best of n asks for more pictures, and a larger number of steps for more work on each. Which is the better
# way to spend your seconds? First, the effect of steps: the same two prompts and seeds with more and more of them.

# %%
looked_at = ["a small red cat on a large blue sofa, in a room", "a large yellow boat, by the sea"]
steps = (1, 2, 4, 16)
grid, took = [], Counter()
for prompt in looked_at:
    grid.append([])
    for number in steps:
        clock = time.perf_counter()
        grid[-1] += txt2img(prompt, url=settings.endpoint, steps=number, seed=11, timeout=300)
        took[number] += time.perf_counter() - clock
show.grid(grid, looked_at, [f"{number} steps" for number in steps], alt="drawn over HTTP", width=120)
for column, number in enumerate(steps):
    values = [rate_image(prompt, row[column]) for prompt, row in zip(looked_at, grid)]
    print(
        f"{number:2} steps: CLIP {' and '.join(f'{value:.2f}' for value in values)}, {took[number] / 2:.1f} s per picture"
    )

# %% [markdown]
# The time grows with the steps, but the score soon stops growing. Four steps are enough here because the endpoint draws
# with an adapter that was trained for few steps, unless a request asks for guidance. The model alone takes 25. So with
# a budget of 16 steps, one picture of 16 steps competes with four of 4: less work on each, but four tries. The pictures
# of Part 5 were drawn with 4 steps for that reason. In "going further" you can find out where the best point lies.
#
# **Adapters.** The second setting does not change how long the model works but what it knows. A LoRA adapter (notebook 01)
# is a small set of weights beside the large ones. In the web UI it is a file in a folder, and a prompt calls it by name:
# `a snowman <lora:snowman:0.8>`. The number is a **weight**: the adapter's part is multiplied by it, so that 0 is the old
# model and 1 the adapter as trained, with everything in between and beyond possible. The tag itself is not part of the
# prompt that is drawn. Our endpoint works the same way. This is what it has now:


# %%
def loras():
    """The names of the adapters that the endpoint has."""
    return [lora["name"] for lora in requests.get(f"{api}/loras", timeout=60).json()]


folder = Path(requests.get(f"{api}/cmd-flags", timeout=60).json()["lora_dir"])
(folder / "snowman.safetensors").unlink(missing_ok=True)  # what an earlier run of this notebook may have left there
print("Adapters:", loras())
answer = requests.post(f"{api}/txt2img", json={"prompt": "a snowman <lora:snowman:0.8>"}, timeout=60)
print(answer.status_code, answer.json()["errors"])

# %% [markdown]
# The one it has is that adapter for few steps. We train another in a few seconds, on 16 drawings of a snowman, which
# our model has never seen, and without the precautions against forgetting that you took in notebook 01. So look out for
# side effects. This happens in the notebook's own copy of the model. At the end the adapter is saved as a file into the
# folder where the endpoint looks for adapters, as you would with one that you have downloaded.

# %%
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

pipe = load("diffusion")
snowmen = newthing.pictures("snowman", 16, size=pipe.unet.config.sample_size * pipe.vae_scale_factor)
show.gallery(
    snowmen[:5],
    ["our drawings"] * 5,
    width=120,
    alt=[f"our drawing number {i + 1} of a snowman with hat, scarf and carrot" for i in range(5)],
)

training_steps = 60 if settings.profile == "mini" else 0  # a large model wants a graphics card and minutes
with torch.no_grad():
    pixels = pipe.image_processor.preprocess(snowmen).to(pipe.device, pipe.vae.dtype)
    latents = pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor
    state = pipe.encode_prompt("a snowman", pipe.device, 1, False)[0]
pipe.unet.requires_grad_(False)
torch.manual_seed(0)
targets = ["to_k", "to_v", "conv1", "conv2"]
pipe.unet.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=targets), adapter_name="snowman")
learning = [weight for weight in pipe.unet.parameters() if weight.requires_grad]
optimizer = torch.optim.AdamW(learning, lr=3e-3)
share = pipe.scheduler.alphas_cumprod.to(latents)
generator, clock = torch.Generator().manual_seed(0), time.perf_counter()
for _ in range(training_steps):
    clean = latents[torch.randint(len(latents), (3,), generator=generator)]
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    t = torch.randint(len(share), (3,), generator=generator).to(pipe.device)
    kept, lost = (part.sqrt().reshape(-1, 1, 1, 1) for part in (share[t], 1 - share[t]))
    target = kept * noise - lost * clean if pipe.scheduler.config.prediction_type == "v_prediction" else noise
    guess = pipe.unet(kept * clean + lost * noise, t, encoder_hidden_states=state.expand(3, -1, -1)).sample
    torch.nn.functional.mse_loss(guess, target).backward()
    optimizer.step()
    optimizer.zero_grad()
print(
    f"{training_steps} steps in {time.perf_counter() - clock:.0f} s; the adapter has "
    f"{sum(weight.numel() for weight in learning):,} parameters, the U-Net "
    f"{sum(weight.numel() for weight in pipe.unet.parameters() if not weight.requires_grad):,}."
)
trained = get_peft_model_state_dict(pipe.unet, adapter_name="snowman")
pipe.save_lora_weights(folder, trained, weight_name="snowman.safetensors")
pipe.unet.delete_adapters("snowman")
print("Adapters:", loras())

# %% [markdown]
# Now your own `txt2img` can draw with it: the name is in the prompt. (`<lora:few_step:0>` switches the other adapter
# off, so that the weight is all that differs.) The upper row asks for a snowman, the lower one for something that the
# model has always known. Don't expect our drawings: after such a short training you get a sketch, something white with
# a head and a dark hat. What to look for: what did the model draw for *a snowman* before it had learned the word? At
# which weight does the white figure appear? And what becomes of it, and of the cat, beyond the weight of 1 that it was
# trained with?

# %%
weights = (0, 0.5, 1, 2)
asked = ["a snowman", "a large red cat, on a meadow"]
rows = []
for prompt in asked:
    tagged = [f"{prompt} <lora:snowman:{weight}> <lora:few_step:0>" for weight in weights]
    rows.append([txt2img(each, url=settings.endpoint, steps=12, seed=5, timeout=300)[0] for each in tagged])
show.grid(rows, asked, [f"weight {weight}" for weight in weights], alt="drawn with the adapter", width=140)
likeness = (clip.embed_images(rows[0]) @ clip.embed_images(snowmen).T).mean(1)
for weight, new, cat in zip(weights, likeness, rows[1]):
    print(
        f"weight {weight}: likeness to our snowmen {new:.2f}, the cat fits its prompt {rate_image(asked[1], cat):.2f}"
    )

# %% [markdown]
# Up to 1 the cat stays a cat. Beyond that, it is pushed away from what it was, though nobody asked for a snowman in
# that row: an adapter acts on *everything* that the model draws, not only on prompts with its word. So it is a
# trade-off, and the weight sets how much of it you want. That is why people who share adapters write "use with 0.6 to
# 0.8" beside them, and why a pipeline that uses one should be judged on its *old* prompts, too.

# %% [markdown]
# ## Part 9 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="best_of_many" points=4
# ### Question 1 · Best of 400
#
# A classmate raises n from 4 to 400. The mean CLIP score of the chosen pictures rises from 0.71 to 0.83, and she
# writes: "The pictures are now much better." What can she really conclude? What could a picture with a very high score
# be like, and how could she find out?
#
# ### BEGIN MARK SCHEME
# - 1 point: the score of the chosen must rise with n, whatever the pictures are like, since it is the judge's own
#   maximum
# - 1 point: what may have been chosen: pictures that please the judge by its blind spots or by chance (a wrong count or
#   swapped colours that CLIP does not mind, odd textures), not better ones
# - 1 point: a check by a judge who had no say: the caption score, another model, people who don't know which is which
# - 1 point: names a further fair argument: the gain flattens while the price grows in a straight line; or the
#   comparison should be made with prompts or pictures that the choice was not made with
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# That the best of 400 has a higher score than the best of 4 is not a finding: a maximum over more numbers is larger,
# even if all pictures were equally good and the scores only noise. With 400 tries she also searches for the judge's
# weak spots. A picture that CLIP overrates, say with the colours of cat and sofa exchanged, wins for sure once it is
# drawn. She should use a judge that took no part in the choice: the caption judge, another CLIP, or friends who see a
# best of 4 and a best of 400 side by side without knowing which is which. And she should weigh the gain against the
# price, which is a hundredfold, while most of the gain came with the first few pictures.
# ### END SOLUTION

# %% [markdown] written="which_stage" points=4
# ### Question 2 · Which stage was it?
#
# Somebody asks your pipeline for *dog, bone*. The picture shows a blue horse by the sea, very well drawn, and both
# judges give it high scores. How is that possible? In which order would you look at the record? Name two checks that
# would have caught it.
#
# ### BEGIN MARK SCHEME
# - 1 point: both judges compare the picture with the *prompt*; if the prompt was wrong, a good score says nothing about
#   the keywords
# - 1 point: looks at the record stage by stage from the front: text against keywords, prompt against text, picture
#   against prompt; the first that does not fit is to blame
# - 1 point for each of two sensible checks (at most 2): the prompt must share the text's main noun or the keywords; a
#   threshold on the retrieval score; a judge that compares the picture (or its caption) with the keywords or the text's
#   first sentence; asking the chat model again when the check fails
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# The judges only see prompt and picture. If the chat model wrote "a large blue horse, by the sea", a perfect blue horse
# gets full marks from both. I would read the record from the front: does the text have a dog and a bone? If not, the
# search is to blame. If yes, is the prompt about that dog? If not, it was the chat model. Only then would I look at the
# picture. Two checks that would have caught it: after each stage see whether a keyword, or at least the main noun of
# the text, is still there (and ask the chat model again if not), and let one judge compare the picture's caption with
# the keywords instead of the prompt.
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Fifteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget. Importing it twice does not double your cards.

# %%
cards = flashcards.find("06_generation_pipeline")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "generation_pipeline.apkg")
print("Wrote generation_pipeline.apkg; open it with Anki.")

# %% [markdown]
# ### What you can do now
#
# | you can | with | part |
# |---|---|---|
# | draw over HTTP, and explain each way in which that can fail | `txt2img`, `requests` | 1 |
# | find a text by its rare words, and let a model write one like it | `get_text`, inverse document frequency, RAG | 2 |
# | get a clean prompt out of a chat model's reply | `image_prompt` | 3 |
# | judge a picture in two ways, and measure what each judge misses | `rate_image`, `rate_image_by_caption` | 4 |
# | get a better picture without a better model, and know what it costs | `best_of_n`, `until_accepted` | 5 |
# | connect the parts so that a failure can be traced | `run_pipeline` | 6 |
# | let a chat model choose the steps, within a limit | `picture_agent`, `create_agent` | 7 |
# | use an adapter by its name, and measure its side effects | `<lora:name:weight>` | 8 |
#
# ### Going further
#
# - **Where is the best point?** With a budget of 16 steps draw 16 pictures of 1 step, 8 of 2, 4 of 4, 1 of 16. Plot the
#   second judge's score of the best one over the steps.
# - **A tool that sees.** Give the agent a third tool, `describe(picture_id)`, which returns BLIP-2's caption. Does it
#   use it? The mini model was not trained with it. A larger one will be able to say *why* it draws again.
# - **A stricter judge.** Ask the VQA model of notebook 02 about every noun of the prompt ("What colour is the cat?")
#   and take the share of right answers as the score. Does it see swapped colours?
# - **Negative prompts.** Add `negative_prompt` to `txt2img`. Which words help on our model, and how do you know?
# - **Search by meaning.** *kitten* finds no cat. Embed keywords and stories with CLIP's text encoder, and compare with
#   the search by words: where does each fail? Then add both scores.
# - **Check the prompt.** When no noun of the story is in the prompt, let `image_prompt` ask again, with the reason.
# - **Full size.** Start a web UI with `--api`, put its address into `draw_one`, a larger chat model into `chat_model`
#   (`provider="groq"`), and run pipeline and agent again. Which stage has gained most?
#
# ### References
#
# - *AUTOMATIC1111, Stable Diffusion web UI: API*, [github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API](https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API)
# - Spärck Jones 1972, *A Statistical Interpretation of Term Specificity and Its Application in Retrieval*, Journal of
#   Documentation 28: inverse document frequency
# - Lewis et al. 2020, *Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks*, [arXiv:2005.11401](https://arxiv.org/abs/2005.11401)
# - Hessel et al. 2021, *CLIPScore: A Reference-free Evaluation Metric for Image Captioning*, [arXiv:2104.08718](https://arxiv.org/abs/2104.08718)
# - Li et al. 2023, *BLIP-2*, [arXiv:2301.12597](https://arxiv.org/abs/2301.12597): the captioner
# - Chen et al. 2021, *Evaluating Large Language Models Trained on Code*, [arXiv:2107.03374](https://arxiv.org/abs/2107.03374): counting over all picks of n out of N, as in our curve
# - Gao, Schulman & Hilton 2022, *Scaling Laws for Reward Model Overoptimization*, [arXiv:2210.10760](https://arxiv.org/abs/2210.10760): what happens to the best of very many
# - Thrush et al. 2022, *Winoground: Probing Vision and Language Models for Visio-Linguistic Compositionality*, [arXiv:2204.03162](https://arxiv.org/abs/2204.03162): the same words in another order
# - Yuksekgonul et al. 2022, *When and why vision-language models behave like bags-of-words, and what to do about it?*, [arXiv:2210.01936](https://arxiv.org/abs/2210.01936)
# - Yao et al. 2022, *ReAct: Synergizing Reasoning and Acting in Language Models*, [arXiv:2210.03629](https://arxiv.org/abs/2210.03629): the loop of an agent
# - Yao et al. 2024, *τ-bench: A Benchmark for Tool-Agent-User Interaction in Real-World Domains*,
#   [arXiv:2406.12045](https://arxiv.org/abs/2406.12045): how often agents succeed
# - Anthropic 2024, *Building effective agents*, [anthropic.com/engineering/building-effective-agents](https://www.anthropic.com/engineering/building-effective-agents): when a pipeline is enough
# - *LangChain: Agents* (2026), [docs.langchain.com/oss/python/langchain/agents](https://docs.langchain.com/oss/python/langchain/agents): `create_agent` and its middleware
# - Hu et al. 2021, *LoRA: Low-Rank Adaptation of Large Language Models*, [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# - Luo et al. 2023, *LCM-LoRA: A Universal Stable-Diffusion Acceleration Module*, [arXiv:2311.05556](https://arxiv.org/abs/2311.05556): the adapter for few steps
#
# ### Before you hand in
#
# The last cell looks at this notebook's saved file and lists what is still missing.

# %%
ready_to_hand_in()
