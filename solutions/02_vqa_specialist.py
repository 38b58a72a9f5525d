# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · A VQA specialist: answering questions about pictures
#
# *What colour is the boat?* You answer before you have finished reading. For a machine, two very different things have
# to meet: a block of numbers that is a picture, and a handful of words. In this notebook you follow both of them. You
# cut a picture into the pieces that a transformer reads, you write the attention with which these pieces look at each
# other, and the loss that taught CLIP to put pictures and words into one space. Then you question a specialist for
# **visual question answering** (VQA): a model that answers questions about pictures, quickly and well, as long as the
# answer is one of the fifty or so words that it knows. Finally you find out what it does when the answer is *not* one
# of them.
#
# The models are the small ones of the picture-book world. They are built like the real CLIP and the real ViLT, so
# everything here runs in seconds, and the same code runs with their full-size versions.
#
# **When you are done, you can**
#
# - fetch a picture from anywhere, and say clearly what went wrong if that fails
# - cut a picture into patches, and show that this is all that a vision transformer's first layer does
# - write attention, and check it against a real model's own layer
# - write the contrastive losses of CLIP and SigLIP, and say how they differ
# - sort pictures into classes that no model was trained on (zero-shot), and know how much the wording matters
# - question a VQA model, read its confidence, and say what that number leaves out
# - test whether a model knows *which* colour belongs to *which* thing
# - measure accuracy beside a guess that never looks, and tell whether a confidence is calibrated
# - train a linear probe, and say what it proves about the features
#
# **What you need**: Python functions and dicts, tensors in PyTorch (reshape, permute, softmax). Notebook 01 helps, but
# you can do without it. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Getting a picture | 25 | 8 |
# | 2 What a transformer sees | 30 | 12 |
# | 3 Attention | 50 | 14 |
# | 4 Pictures and words in one space | 60 | 22 |
# | 5 Zero-shot | 25 | 8 |
# | 6 The specialist | 50 | 8 |
# | 7 How good, and how sure? | 45 | 6 |
# | 8 Training your own head | 40 | 10 |
# | 9 Two questions, flashcards, going further | 30 | 12 |
#
# **How the exercises work.** Each one is a function with a docstring that says what it must do. Replace the line
# `raise NotImplementedError(…)` with your code. The cell below it tries your function in several cases, lists which of
# them passed and what each is worth, and says in a sentence what is wrong. Your points are decided by the same cases on
# other inputs. Every exercise has hints that unfold, and ● to ●●●●● shows how hard it is. If you are stuck on one,
# `checks.borrow("ask")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order: Part 7 calls the `ask` that you write in Part 6.

# %% [markdown]
# ### Before you start: three questions on notebook 01
#
# Answer aloud, then unfold. If you have not done notebook 01, read the answers. You will meet the third one again in
# Part 3.
#
# <details><summary>1. You want a picture's noisy version at timestep 600. Do you have to add noise 600 times?</summary>
#
# No. Many small steps of Gaussian noise add up to one large step of Gaussian noise, so there is a closed form: $x_t =
# \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon$. Training relies on it, because each example gets a
# random timestep.
# </details>
#
# <details><summary>2. What does the guidance scale do, and what happens if it is very large?</summary>
#
# The model predicts the noise twice, with the prompt and without it, and guidance goes further in the direction from
# the second prediction to the first. A larger scale follows the prompt more closely and costs variety. A very large one
# gives oversaturated colours.
# </details>
#
# <details><summary>3. How do the words of a prompt get into the picture?</summary>
#
# By cross-attention. The text encoder makes one vector per token, and at every denoising step each position in the
# picture looks at these vectors and takes from them what it can use.
# </details>

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
import copy
import io
import math
import tempfile
import urllib.request
from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

import matplotlib.pyplot as plt
import requests
import torch
from PIL import Image, ImageFilter
from torch.nn import functional as F

from helpers import checks, clip, flashcards, newthing, show, widgets
from helpers.models import load
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, Scene, Thing, describe, draw, questions, random_scene
from helpers.pictures import as_rgb, data_url
from helpers.ready import ready_to_hand_in
from helpers.settings import settings

config = load("clip").model.config.vision_config
size, patch = config.image_size, config.patch_size  # side of a picture and of a patch, in pixels
print(f"Profile: {settings.profile}, on the {settings.device}. CLIP takes pictures of {size}×{size} pixels.")

# %% [markdown]
# ## Part 1 · Getting a picture
#
# *25 minutes*
#
# Before a model can look at a picture, you have to fetch it. Pictures live at three kinds of address:
#
# | address | where the picture is |
# |---|---|
# | `https://…/cat.png` | on a web server |
# | `file:///home/…/cat.png` | on this computer |
# | `data:image/png;base64,iVBOR…` | in the address itself, written as text |
#
# The third kind looks odd, but you will meet it all the time: it is how pictures travel inside a message to a chat
# model. Here is a picture and the beginning of its data URL.

# %%
cat = draw(Scene((Thing("cat", "red"),), place="meadow", layout=4), size=size)
address = data_url(cat)
show.gallery([cat], ["our cat"], alt=["a drawing of a large red cat on a meadow"])
print(address[:72] + "…")
print(f"{len(address):,} characters in all. base64 spends 4 characters on 3 bytes of the PNG file.")

# %% [markdown]
# When all goes well, two lines fetch a picture. A program that talks to the world spends its other lines on everything
# that can go wrong:
#
# - the server answers **404**: there is no such page (any more)
# - something arrives, but it is a web page and **not a picture**
# - the server accepts the request and then **stays silent**, so that without a time limit your notebook waits forever
# - the picture is **enormous**. A file of a few kilobytes can unpack to gigabytes of pixels. Such files are made on
#   purpose, and are called decompression bombs
#
# In each of these cases the caller wants a sentence that says what happened, not 40 lines of a library's stack trace.
# And when all goes well, it wants three channels: models expect red, green and blue, but files also come in grey, with
# a palette, or with a fourth channel for transparency. Phones store a photo as the sensor saw it, with a note about how
# to rotate it. `as_rgb` from `helpers.pictures` turns all of these into what a viewer would show: upright, three
# channels, and white where the picture is transparent.
#
# ### Exercise 1 · `fetch_image`
#
# *Difficulty ●●○○○ · 20 minutes · 8 points*
#
# `requests.get(url, timeout=…, stream=True)` fetches from the web, as in most programs that you will meet. Python's own
# `urllib.request.urlopen(url)` opens the other two kinds of address. The check runs a little web server on your own
# computer, with good and bad pages, so nothing here needs the internet.
#
# <details><summary>Hint 1: the plan</summary>
#
# Open the address and read the bytes. Are there too many? `Image.open(io.BytesIO(data))` knows the picture's `.size`
# before it has unpacked a single pixel. Are there too many pixels? Then `as_rgb(image)`. Put a `try … except … raise
# ValueError("a sentence") from error` around the first and the last of these steps.
# </details>
#
# <details><summary>Hint 2: how to stop reading in time</summary>
#
# With `stream=True` nothing is read before you ask: `response.iter_content(100_000)` gives the bytes in pieces, and you
# can stop when there are more than `MAX_BYTES`. Don't trust the header `Content-Length`: it may be missing or wrong.
# `urlopen(…).read(MAX_BYTES + 1)` never reads more than that.
# </details>
#
# <details><summary>Hint 3: which errors?</summary>
#
# `response.raise_for_status()` turns a 404 into `requests.HTTPError`, and a silent server is a `requests.Timeout`.
# These two, `requests.ConnectionError` and `urllib.error.URLError` (no such file) are all kinds of `OSError`. When the
# bytes are not a picture, or only half of one, `Image.open` and `as_rgb` raise an `OSError` or a `SyntaxError`.
# Pillow's own message contains a memory address (`0x7f…`), which helps nobody: write your own.
# </details>
#
# <details><summary>Help: a server gives me 403, but my browser shows the picture</summary>
#
# Some servers refuse clients that don't identify themselves. `requests.get(url, headers={"User-Agent": "…"}, …)` does
# that. No test needs it.
# </details>


# %% exercise="fetch_image"
MAX_BYTES = 20_000_000
MAX_PIXELS = 25_000_000


def fetch_image(url, *, timeout=10):
    """Fetch a picture.

    Args:
        url: an address that starts with http:, https:, file: or data:.
        timeout: how many seconds to wait for a server to send something.

    Returns:
        A PIL image of mode "RGB", as viewers show it: `as_rgb(image)` turns photos upright, and puts pictures with
        transparent parts on white.

    Raises:
        ValueError: its message says what is wrong: the server's answer (such as 404), no answer in time, not a picture,
            a file of more than MAX_BYTES, a picture of more than MAX_PIXELS.
    """
    ### BEGIN SOLUTION
    place = url if len(url) < 120 else f"{url[:100]}…"
    data = b""
    try:
        if url.startswith("http"):
            with requests.get(url, timeout=timeout, stream=True) as response:
                response.raise_for_status()
                for piece in response.iter_content(100_000):
                    data += piece
                    if len(data) > MAX_BYTES:
                        break
        else:
            with urllib.request.urlopen(url) as response:
                data = response.read(MAX_BYTES + 1)
    except requests.Timeout as error:
        raise ValueError(f"{place} did not answer within {timeout} seconds.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{place} can't be opened: {error}.") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"The file at {place} is too large: it has more than {MAX_BYTES:,} bytes.")
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"The picture at {place} is too large: {image.width} × {image.height} pixels.")
        return as_rgb(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"What is at {place} is not a picture that can be read.") from error
    ### END SOLUTION


# %% tests="fetch_image" points=8
checks.nb02.fetch_image(fetch_image)

# %% [markdown]
# Now the same cat by two routes, from a file and from an address, and one route that leads nowhere:

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "our cat.png")
    cat.save(file)
    from_file = fetch_image(file.as_uri())
from_data = fetch_image(address)
show.gallery(
    [from_file, from_data],
    ["file://…", "data:image/png…"],
    alt=["the red cat, fetched from a file", "the red cat, fetched from a data URL"],
)
try:
    fetch_image("data:text/plain,I am a cat, trust me")
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# ## Part 2 · What a transformer sees
#
# *30 minutes*
#
# A transformer reads a sequence of vectors, called **tokens**. With text that is natural: one vector per word. But a
# picture has no words. You could treat every pixel as a word, but a transformer compares each word with every other
# one, and for 16,384 pixels that would be 268 million comparisons in every layer.
#
# The **vision transformer** (ViT, Dosovitskiy et al. 2021) has a disarmingly simple answer: take scissors. Cut the
# picture into squares, and call each square a word.

# %%
scene = Scene((Thing("cat", "red"), Thing("house", "blue")), place="snow", relation="left of", layout=2)
picture = draw(scene, size=size)
columns = size // patch
corners = [(x, y) for y in range(0, size, patch) for x in range(0, size, patch)]
tiles = [picture.crop((x, y, x + patch, y + patch)) for x, y in corners]
show.gallery(
    [picture, show.mosaic(tiles, columns, gap=size // 40)],
    ["what you see", f"what the transformer sees: {len(tiles)} patches"],
    alt=[
        "a drawing of a red cat left of a blue house, in the snow",
        f"the same drawing, cut into {columns} rows of {columns} square patches that stand a little apart",
    ],
    width=280,
)
print(f"{len(tiles)} patches of {patch}×{patch} pixels, {3 * patch * patch} numbers each.")

# %% [markdown]
# A square with a cat's ear in it is still a block of numbers. It becomes a vector in the simplest possible way: write
# all its numbers in a row, and multiply by one matrix, the same for all patches. That matrix is learned. In libraries
# this step is called a *convolution* whose stride is as large as its window, which sounds grander than it is. In a
# minute you will show that it is the same thing.
#
# ### Exercise 2 · `patchify`
#
# *Difficulty ●●○○○ · 20 minutes · 12 points*
#
# Cut a tensor into patches, each written in a row. The order matters, twice:
#
# - the **patches** come in reading order, the top row from left to right, then the next row
# - **inside a patch** the channel comes first: all its red numbers, row by row, then all green ones, then all blue ones
#
# ```
#  picture, 4 × 6, patches of 2          one patch, channel first
#
#   ┌────┬────┬────┐                     ┌─────┐
#   │ 0  │ 1  │ 2  │                     │ a b │  →  a b c d of red,
#   ├────┼────┼────┤                     │ c d │     a b c d of green,
#   │ 3  │ 4  │ 5  │                     └─────┘     a b c d of blue
#   └────┴────┴────┘
# ```
#
# <details><summary>Hint 1: give every axis a name</summary>
#
# The height consists of *rows of patches* and *rows inside a patch*: `reshape(3, rows, p, columns, p)` splits both
# sides of the picture that way. Now you have five axes. Which order do you want them in? `permute` puts them there, and
# a last `reshape` joins them again.
# </details>
#
# <details><summary>Hint 2: the order</summary>
#
# Outside: row of patches, column of patches. Inside: channel, row, column. In the five axes of Hint 1 these are numbers
# 1, 3 and 0, 2, 4.
# </details>
#
# <details><summary>Help: "view size is not compatible with input tensor's size and stride"</summary>
#
# After `permute` the order of the numbers in memory no longer matches the axes. `.reshape` copies them where it must,
# `.view` refuses.
# </details>


# %% exercise="patchify"
def patchify(pixel_values, patch_size):
    """Cut a picture into patches, each flattened (Dosovitskiy et al. 2021, section 3.1).

    Args:
        pixel_values: tensor (3, height, width).
        patch_size: side of a patch in pixels.

    Returns:
        Tensor (patches, 3 * patch_size * patch_size): patches row by row, each flattened channel first, so that
        patches @ conv.weight.flatten(1).T + conv.bias is what the ViT's patch convolution gives.

    Raises:
        ValueError: height or width is not a multiple of patch_size.
    """
    ### BEGIN SOLUTION
    channels, height, width = pixel_values.shape
    if height % patch_size or width % patch_size:
        raise ValueError(f"a picture of {height} × {width} can't be cut into whole patches of {patch_size}")
    blocks = pixel_values.reshape(channels, height // patch_size, patch_size, width // patch_size, patch_size)
    return blocks.permute(1, 3, 0, 2, 4).reshape(-1, channels * patch_size * patch_size)
    ### END SOLUTION


# %% tests="patchify" points=12
checks.nb02.patchify(patchify)

# %% [markdown]
# And now the proof, on a real model. CLIP, the subject of Part 4, reads pictures with a vision transformer: its *vision
# tower*. We multiply your patches by the tower's matrix, and compare with what its own first layer gives. The
# difference should be nothing but rounding.

# %%
model, processor = load("clip")
pixels = processor(images=picture, return_tensors="pt").pixel_values.to(model.device)
first_layer = model.vision_model.embeddings.patch_embedding
with torch.no_grad():
    by_hand = patchify(pixels[0], patch) @ first_layer.weight.flatten(1).T
    by_clip = first_layer(pixels)[0].flatten(1).T
print(f"{tuple(by_hand.shape)} = (patches, width): each patch is a vector of {by_hand.shape[1]} numbers now.")
print(f"Largest difference between yours and CLIP's: {(by_hand - by_clip).abs().max():.1e}")

# %% [markdown]
# **Where was that patch?** Something is lost when you cut. To a transformer its input is a bag of vectors: nothing in
# attention knows which one came first (Part 3 shows it). So the ViT adds a **position vector** to each patch, one for
# each place, learned like everything else. To see what it is good for, take it away.
#
# At the end the tower sums up the whole picture in a single vector, its **embedding**. Below is the picture as a
# jigsaw. We measure the angle between the embeddings of picture and jigsaw, with position vectors and without. What to
# expect: without them the angle is 0, because to CLIP picture and jigsaw are then *the same*. With them they are far
# apart.

# %%
order = torch.randperm(len(tiles), generator=torch.Generator().manual_seed(0)).tolist()
jigsaw = show.mosaic([tiles[i] for i in order], columns)
show.gallery(
    [picture, jigsaw],
    ["picture", "jigsaw"],
    alt=["a red cat left of a blue house, in the snow", "the patches of that picture in a random order"],
)

without_positions = copy.deepcopy(model)
torch.nn.init.zeros_(without_positions.vision_model.embeddings.position_embedding.weight)
for name, each in (("with position vectors", model), ("without", without_positions)):
    both = processor(images=[picture, jigsaw], return_tensors="pt").to(model.device)
    with torch.no_grad():
        a, b = F.normalize(each.visual_projection(each.vision_model(**both).pooler_output), dim=-1)
    angle = 2 * math.degrees(math.asin((a - b).norm().item() / 2))
    print(f"{name:22} angle between picture and jigsaw: {angle:5.2f}°")

# %% [markdown]
# ## Part 3 · Attention
#
# *50 minutes*
#
# A patch that shows half an ear can't know whether it belongs to a cat or to a horse. It has to look at the other
# patches. That is what happens in every layer of a transformer: each token looks at all tokens, and takes from them
# what it can use. This is **attention** (Vaswani et al. 2017). It is the heart of every model in this course, and it is
# five lines of code.
#
# Three matrices, all learned, turn each token into three vectors:
#
# | vector | the question it answers | shape, for all tokens together |
# |---|---|---|
# | **query** $q$ | What am I looking for? | $(n, d)$ |
# | **key** $k$ | What do I have to offer? | $(m, d)$ |
# | **value** $v$ | What do I hand over to those who look at me? | $(m, d_v)$ |
#
# The dot product of a query and a key is the **score**: large if they point the same way. A softmax turns the scores of
# one query into **weights** that sum to 1. The output for that query is the mean of the values with these weights. Here
# it is with one query and three keys in two dimensions. The values are colours, so that you can see what the query
# gets. Which key points the same way as the query?

# %%
query = torch.tensor([1.6, 0.9])
names = ["ear", "roof", "snow"]
keys = torch.tensor([[1.9, 0.4], [0.3, 1.7], [-1.1, 0.3]])
values = torch.tensor([[0.85, 0.2, 0.2], [0.2, 0.35, 0.85], [0.85, 0.85, 0.85]])  # red, blue, light grey
scores = keys @ query / math.sqrt(2)
weights = scores.softmax(0)
output = weights @ values

figure, (plane, bars, colours) = plt.subplots(1, 3, figsize=(9.5, 2.9), layout="constrained")
for name, key, colour in zip(names, keys.tolist(), values.tolist()):
    plane.annotate("", key, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 3})
    plane.text(key[0], key[1] + 0.12, f"key: {name}", ha="center")
plane.annotate("", query.tolist(), (0, 0), arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 2})
plane.text(query[0].item() + 0.1, query[1].item() + 0.1, "query")
plane.set(xlim=(-1.8, 2.6), ylim=(-0.3, 2.2), aspect="equal", title="1. one query, three keys")
bars.bar(names, weights, color=values.tolist(), edgecolor="grey")
for i, (score, weight) in enumerate(zip(scores.tolist(), weights.tolist())):
    bars.text(i, weight + 0.02, f"{weight:.0%}\nscore {score:.2f}", ha="center", fontsize=9)
bars.set(ylim=(0, 1), title="2. weights: softmax of the scores")
colours.imshow([[output.tolist()]])
colours.set(xticks=[], yticks=[], title="3. output: the values, mixed")
mixture = ", ".join(f"{weight:.0%} of the {name}'s value" for name, weight in zip(names, weights.tolist()))
show.plot(
    figure,
    alt="Left, four arrows from one point: a query and the keys of ear, roof and snow. The query points nearly the same way "
    f"as the key of the ear. Middle, bars of the weights. Right, the output as a colour, a mixture of {mixture}.",
    width=820,
)

# %% [markdown]
# As a formula, for all $n$ queries and $m$ keys at once, with one row per query, key and value:
#
# $$\text{weights} = \text{softmax}\left(\frac{Q K^\top}{\sqrt d}\right) \qquad \text{output} = \text{weights}\; V$$
#
# The softmax runs along the keys, so each row of the weights sums to 1.
#
# **Why $\sqrt d$?** A dot product is a sum of $d$ products. If the numbers in $q$ and $k$ are of size 1, the scores
# have a spread (standard deviation) of $\sqrt d$. A softmax over large numbers gives nearly everything to one key,
# and then hardly any gradient flows. Dividing by $\sqrt d$ keeps the spread at 1, whatever the width. You can watch it
# happen, with random queries and 16 random keys each:

# %%
generator = torch.Generator().manual_seed(0)
print("        spread of the scores    largest of 16 weights")
print("    d   as they are    / √d     as they are     / √d")
for d in (4, 32, 256, 2048):
    q, k = torch.randn(500, 1, d, generator=generator), torch.randn(500, 16, d, generator=generator)
    raw = (q @ k.mT)[:, 0]
    scaled = raw / math.sqrt(d)
    largest = [scores.softmax(-1).amax(-1).mean() for scores in (raw, scaled)]
    print(f"{d:5} {raw.std():13.1f} {scaled.std():7.1f} {largest[0]:15.0%} {largest[1]:8.0%}")

# %% [markdown]
# **Masks.** Not every token may look at every other one. Texts in a batch have different lengths and are filled up with
# padding, which nobody should look at. A language model that predicts the next word must not look at the words to come.
# So attention takes a **mask**: True where a query may look at a key. Elsewhere the score becomes $-\infty$ *before*
# the softmax, because $e^{-\infty} = 0$: no weight, and the other weights still sum to 1.
#
# One trap: if a row of the mask is False everywhere, the softmax of nothing but $-\infty$ is $0/0$, which is NaN (*not
# a number*). NaN is contagious: one such row of padding, and soon the whole batch is NaN. So here a query that may look
# at nothing gets weights of 0, and its output is 0 too.
#
# ### Exercise 3 · `attend`
#
# *Difficulty ●●●○○ · 25 minutes · 14 points*
#
# Write attention. The dots in the shapes stand for any number of leading dimensions: none for a single sequence, one
# for a batch, two for a batch and its heads (more about heads in a minute). They broadcast, as everywhere in PyTorch.
#
# <details><summary>Hint 1: the plan</summary>
#
# Scores: `q @ k.mT / math.sqrt(d)`. Here `.mT` swaps the last two axes, whatever comes before them. Then the mask, the
# softmax over the last axis, and `weights @ v`. The operator `@` broadcasts leading dimensions by itself.
# </details>
#
# <details><summary>Hint 2: how to mask</summary>
#
# `scores.masked_fill(~mask, value)` puts `value` wherever the mask is False. A row in which every score has been
# replaced needs care: set the weights to 0 wherever the mask is False *after* the softmax as well.
# </details>
#
# <details><summary>Help: "value cannot be converted to type at::Half without overflow"</summary>
#
# float16 ends at 65,504, so it can't hold −1e9. `-torch.inf` exists in every precision, and so does
# `torch.finfo(scores.dtype).min`, the most negative number of that precision.
# </details>
#
# <details><summary>Help: my weights are NaN</summary>
#
# Either a row has nothing to look at (see above), or you wrote the softmax yourself and `exp` overflowed: in float16
# already at 12, in float32 at 89. PyTorch's `softmax` subtracts the largest score first, which changes nothing in the
# result and keeps `exp` at 1 or below.
# </details>
#
# <details><summary>Help: "'.T' … is deprecated", or my shapes don't fit</summary>
#
# `.T` reverses *all* axes. `.mT`, or `.transpose(-2, -1)`, swaps only the last two.
# </details>


# %% exercise="attend"
def attend(q, k, v, mask=None):
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1).

    Args:
        q: queries, tensor (..., n, d).
        k: keys, tensor (..., m, d).
        v: values, tensor (..., m, dv), in the precision of q and k: float16, float32 or float64.
        mask: bool tensor (..., n, m), True where a query may attend to a key; None allows everything.

    Returns:
        (output, weights): tensors (..., n, dv) and (..., n, m) in the precision of the inputs. A query that may attend
        to nothing has weights and output 0. Leading dimensions of q, k, v and mask broadcast. The inputs
        stay as they are.
    """
    ### BEGIN SOLUTION
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights @ v, weights
    ### END SOLUTION


# %% tests="attend" points=14
checks.nb02.attend(attend)

# %% [markdown]
# **Against the model's own layer.** Libraries have fast versions of attention that never keep the weights. So let us
# look inside: a *hook* is a function that PyTorch calls whenever a module has run, with what went in and what came out.
# CLIP's layer has modules that make queries, keys and values, and one, `out_proj`, whose input is what attention gives.
# We catch all four.
#
# A layer does attention several times side by side. Each of these **heads** has its own slice of the queries, keys and
# values, and so can look for something different. For `attend` the heads are just one more leading dimension.


# %%
def inside_attention(tower, pixels):
    """Run a vision tower on pictures and catch what its attention works with.

    Args:
        tower: a vision transformer, such as CLIP's.
        pixels: tensor (pictures, 3, height, width).

    Returns:
        A dict for each layer with "q", "k", "v" and the layer's own "output", tensors (pictures, heads, tokens, d).
    """
    heads = tower.config.num_attention_heads
    caught, hooks = [], []

    def catch(store, name, *, of_input=False):
        def hook(module, inputs, output):
            numbers = inputs[0] if of_input else output
            store[name] = numbers.unflatten(-1, (heads, -1)).transpose(1, 2)

        return hook

    for layer in tower.encoder.layers:
        attention, store = layer.self_attn, {}
        caught.append(store)
        hooks += [
            attention.q_proj.register_forward_hook(catch(store, "q")),
            attention.k_proj.register_forward_hook(catch(store, "k")),
            attention.v_proj.register_forward_hook(catch(store, "v")),
            attention.out_proj.register_forward_hook(catch(store, "output", of_input=True)),
        ]
    with torch.no_grad():
        tower(pixel_values=pixels)
    for hook in hooks:
        hook.remove()
    return caught


pictures = [picture, draw(Scene((Thing("star", "yellow", count=2),), place="night", layout=5), size=size)]
both = processor(images=pictures, return_tensors="pt").to(model.device)
layers = inside_attention(model.vision_model, both.pixel_values)
print("queries of a layer:", tuple(layers[0]["q"].shape), "= (pictures, heads, tokens, d)\n")
for number, layer in enumerate(layers, 1):
    by_hand, weights = attend(layer["q"], layer["k"], layer["v"])
    print(f"layer {number}: largest difference from CLIP's own {(by_hand - layer['output']).abs().max():.0e}")

# %% [markdown]
# There are 65 tokens and not 64, because the patches are joined by a **class token**, a vector that belongs to no
# patch. It comes first. Whatever it has gathered after the last layer stands for the whole picture: the embedding is
# made from it alone.
#
# And now what Part 2 promised: nothing in attention knows the order. Shuffle the keys and the values together, and the
# output stays the same. That is why the ViT needs position vectors.

# %%
layer = layers[0]
shuffled = torch.randperm(layer["k"].shape[-2], generator=torch.Generator().manual_seed(1))
again, _ = attend(layer["q"], layer["k"][:, :, shuffled], layer["v"][:, :, shuffled])
print(f"keys and values shuffled: the output changes by {(again - layer['output']).abs().max():.0e}")

# %% [markdown]
# **Where does it look?** The weights of your `attend` can be laid over the picture. Below you see where the class token
# looks in a few of the layers, averaged over all heads. A patch keeps its full colour where the weight is largest, and
# fades to light grey where it is 0. Most of the colour should be left on the things and their edges, and little on
# empty snow or sky. Don't expect it to be tidy: some layers look at the background too, because that is what shows
# *snow* or *night*.


# %%
def overlay(image, weights):
    """Fade a picture to light grey where attention weights are small.

    Args:
        image: a PIL image.
        weights: tensor (rows, columns), one number per patch; the largest one leaves its patch as it is.

    Returns:
        A PIL image of the same size.
    """
    light = weights.float().cpu() / weights.max().item()
    light = Image.fromarray((light * 255).byte().numpy()).resize(image.size, Image.Resampling.NEAREST)
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, "gainsboro"), light)


# %%
# per layer (pictures, heads, tokens, tokens)
looks = [attend(layer["q"], layer["k"], layer["v"])[1] for layer in layers]
chosen = torch.linspace(0, len(layers) - 1, 4).round().int().tolist()
from_class_token = [
    [overlay(each, looks[layer][i].mean(0)[0, 1:].reshape(columns, columns)) for layer in chosen]
    for i, each in enumerate(pictures)
]
show.grid(
    [[each, *row] for each, row in zip(pictures, from_class_token)],
    ["cat and house", "two stars"],
    ["picture", *(f"layer {layer + 1}" for layer in chosen)],
    alt="where the class token looks: patches with little weight fade to grey",
    width=150,
)

# %% [markdown]
# That was a mean over heads. One by one they differ: here are the heads of a single layer, on the cat and the house.

# %%
middle = len(layers) // 2
by_head = [overlay(picture, head[0, 1:].reshape(columns, columns)) for head in looks[middle][0][:6]]
show.gallery(
    by_head,
    [f"head {number}" for number in range(1, len(by_head) + 1)],
    alt=[
        f"where the class token looks in head {number} of layer {middle + 1}" for number in range(1, len(by_head) + 1)
    ],
    width=150,
)

# %% [markdown]
# A warning that holds for all attention maps: they show *where information was taken from*. They do not show what was
# taken, or that it changed the result (Jain & Wallace 2019). Large vision transformers even use a patch of empty sky as
# a notepad for the whole picture, and look at it for that reason (Darcet et al. 2024). Take such pictures as a hint,
# never as an explanation.

# %% [markdown]
# ## Part 4 · Pictures and words in one space
#
# *60 minutes*
#
# What should a vision transformer be trained *for*? Older models were trained to sort photos into a thousand fixed
# classes, on a million photos that people had labelled by hand. CLIP (Radford et al. 2021) learns from something that
# is far more plentiful: pictures with a text beside them. And its task is a game:
#
# > Here are some pictures, and here, shuffled, are their captions. Which belong together?
#
# Let us play. Each number in the table is the cosine of the angle between a caption's vector and a picture's vector: 1
# means the same direction, 0 means nothing in common. In each column, the largest number is bold. If CLIP plays well,
# the bold numbers stand on the diagonal.

# %%
scenes = [
    Scene((Thing("star", "yellow"),), "night", layout=1),
    Scene((Thing("boat", "blue"),), "sea", layout=2),
    Scene((Thing("cat", "red"),), "room", layout=3),
    Scene((Thing("tree", "green", "small"),), "desert", layout=4),
    Scene((Thing("house", "purple"),), "snow", layout=5),
]
pictures = [draw(each, size=size) for each in scenes]
captions = [describe(each, Random(i)) for i, each in enumerate(scenes)]
show.matrix(clip.similarity(captions, pictures), pictures, captions, alt=captions, width=120)

# %% [markdown]
# To win this game CLIP has two towers: the vision transformer that you have just looked into, and a text transformer.
# The two never exchange anything. Each ends in a vector, and all that training does is move these vectors: **what
# belongs together moves closer, everything else moves apart.** This is called **contrastive** learning. The wrong pairs
# come for free, because they are simply all the other pairs of the batch: with $N$ pictures there are $N$ right pairs
# and $N^2 - N$ wrong ones.
#
# As a loss it works like this. Take one column of the table: one picture. Its captions are like the classes of a
# classifier, and the right class is on the diagonal. A softmax turns the column into shares, and the picture pays minus
# the logarithm of the right caption's share: nothing if it is 1, a lot if it is small. That is **cross-entropy**, the
# loss of every classifier. Each row of the table, one caption that looks for its picture, does the same. The loss is
# the mean of both directions. With the table's row $i$ for a text and column $j$ for a picture:
#
# $$s_{ij} = \frac{\cos(\text{text}_i, \text{image}_j)}{\tau} \qquad
# \mathcal L = -\frac{1}{2N}\sum_{i}\Bigg[\underbrace{\log\frac{e^{s_{ii}}}{\sum_k e^{s_{ki}}}}_{\text{column }i\text{:
# a picture}}
# + \underbrace{\log\frac{e^{s_{ii}}}{\sum_k e^{s_{ik}}}}_{\text{row }i\text{: a text}}\Bigg]$$
#
# This is the symmetric **InfoNCE** loss (van den Oord et al. 2018). One letter needs a word: $\tau$ (*tau*), the
# **temperature**. Cosines lie between −1 and 1. A softmax over numbers that close together is almost even, so even a
# perfect model could never be sure. Dividing by a small $\tau$ stretches them. CLIP learns this number along with its
# weights. The library keeps it as `logit_scale`, the logarithm of $1/\tau$.

# %%
scale = model.logit_scale.exp().item()
cosines = torch.tensor([0.6, 0.5, 0.1])
print(f"CLIP has learned to multiply by {scale:.1f}, which is a temperature of {1 / scale:.3f}.\n")
for tau in (1, 0.25, 1 / scale, 0.01):
    shares = "  ".join(f"{share:5.1%}" for share in (cosines / tau).softmax(0))
    print(f"cosines 0.6, 0.5, 0.1 at temperature {tau:5.3f}:  {shares}")

# %% [markdown]
# ### Exercise 4 · `contrastive_loss`
#
# *Difficulty ●●○○○ · 20 minutes · 12 points*
#
# Write the formula above: the embeddings of $N$ pictures and of their $N$ texts go in, the loss comes out, a tensor
# with a single number. Embeddings may have any length, so bring them to length 1 first.
#
# <details><summary>Hint 1: the plan</summary>
#
# `F.normalize(…, dim=-1)` brings all embeddings to length 1, and then one matrix product is the whole table of cosines.
# Divide by the temperature. The right class of row *i* is *i*, so the targets are `torch.arange(n)`. Twice
# `F.cross_entropy`, once on the table and once on its transpose.
# </details>
#
# <details><summary>Hint 2: why not write out logarithm and sums?</summary>
#
# At low temperatures $e^{s}$ overflows. `F.cross_entropy` takes the numbers $s$ as they are (the **logits**, as numbers
# before a softmax are called) and never computes $e^s$ alone. Don't give it a softmax: it has one inside.
# </details>
#
# <details><summary>Help: "Expected all tensors to be on the same device"</summary>
#
# `torch.arange(n)` is on the CPU. Write `torch.arange(n, device=image_embeds.device)`.
# </details>


# %% exercise="contrastive_loss"
def contrastive_loss(image_embeds, text_embeds, temperature):
    """CLIP's loss: symmetric InfoNCE (Radford et al. 2021, figure 3).

    Args:
        image_embeds: tensor (pairs, width); the rows may have any length (norm).
        text_embeds: tensor (pairs, width); row i belongs to row i of image_embeds.
        temperature: number above 0 (or a scalar tensor); cosines are divided by it.

    Returns:
        A scalar tensor through which gradients flow to the embeddings: the mean of the two cross-entropies, of pictures
        that look for their text and of texts that look for their picture.
    """
    ### BEGIN SOLUTION
    cosines = F.normalize(image_embeds, dim=-1) @ F.normalize(text_embeds, dim=-1).T
    logits = cosines / temperature
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
    ### END SOLUTION


# %% tests="contrastive_loss" points=12
checks.nb02.contrastive_loss(contrastive_loss)

# %% [markdown]
# Your loss against the one inside the library, on 32 fresh pairs. Then the captions shuffled, so that nothing fits, and
# the loss of a blind guess, which is $\ln N$. What to expect: the first two are equal and nearly 0, well below the
# blind guess. The shuffled one is far above it: a model that is sure and wrong pays more than one that is unsure.

# %%
rng = Random(8)
scenes = [random_scene(rng) for _ in range(32)]
pairs = processor(
    text=[describe(each, rng) for each in scenes],
    images=[draw(each, size=size) for each in scenes],
    padding=True,
    truncation=True,
    return_tensors="pt",
).to(model.device)
with torch.no_grad():
    output = model(**pairs, return_loss=True)
images, texts = output.image_embeds, output.text_embeds
print(f"CLIP's own loss     {output.loss:.4f}")
print(f"yours               {contrastive_loss(images, texts, 1 / scale):.4f}")
print(f"captions shuffled   {contrastive_loss(images, texts.roll(1, 0), 1 / scale):.4f}")
print(f"a blind guess       {math.log(len(scenes)):.4f}")

# %% [markdown]
# Now turn the temperature. Far to the right of the plot the softmax is so even that nobody can do better than the blind
# guess. Far to the left it is so sharp that a single pair in the wrong order costs a fortune. These 32 pairs are too
# easy to show that: none is in the wrong order, so the curve just stays low. In training, with millions of hard pairs,
# it would rise again. CLIP's own temperature should stand where the curve is low.

# %%
temperatures = torch.logspace(-2.3, 0.7, 40)
losses = [contrastive_loss(images, texts, tau).item() for tau in temperatures]
figure, axes = plt.subplots(figsize=(6, 3))
axes.semilogx(temperatures, losses)
axes.axhline(math.log(len(scenes)), color="grey", linewidth=0.8, linestyle="--", label="a blind guess, ln 32")
axes.axvline(1 / scale, color="tab:orange", linewidth=1, label="CLIP's temperature")
axes.set(xlabel="temperature", ylabel="loss", ylim=(0, None), title="the same pairs at other temperatures")
axes.legend()
lowest = temperatures[losses.index(min(losses))].item()
show.plot(
    figure,
    alt=f"CLIP's loss on 32 pairs over the temperature: lowest at {lowest:.2f}, nearing the blind guess at high "
    f"temperatures. CLIP's own temperature is {1 / scale:.2f}.",
    width=520,
)

# %% [markdown]
# **Watch it learn.** The smallest CLIP in the world: six pairs, and each picture and each text is just a point on a
# circle that may move freely. Nothing but your loss pulls at them. Dots are pictures, crosses are texts, and a line
# joins each pair. You should see pairs find each other *and* spread around the circle. Both matter: with the pulling
# alone, all twelve points would simply end up in one place.


# %%
def play(loss, *, pairs=6, batch=6, steps=300, seed=3, learned=()):
    """Let the points of a tiny CLIP move as a loss pulls them.

    Args:
        loss: a function of the pictures and the texts of a batch, tensors (batch, 2).
        pairs: how many pairs there are.
        batch: how many of them, drawn at random, each step sees.
        steps: how many steps to take.
        seed: decides where the points start and which pairs are drawn.
        learned: other tensors that the loss uses and that should be learned too.

    Returns:
        The points on the circle at the start, after 15 steps and at the end: three tensors (2, pairs, 2), each with the
        pictures first and then the texts.
    """
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(2, pairs, 2, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([points, *learned], lr=0.05)
    seen = []
    for step in range(steps + 1):
        if step in (0, 15, steps):
            seen.append(F.normalize(points.detach(), dim=-1))
        chosen = torch.randperm(pairs, generator=generator)[:batch]
        value = loss(points[0, chosen], points[1, chosen])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return seen


def draw_circle(axes, points, title):
    """Draw pictures as dots and texts as crosses on a circle, and return the mean distance within a pair."""
    dots, crosses = points
    axes.add_patch(plt.Circle((0, 0), 1, fill=False, color="lightgrey"))
    for a, b, colour in zip(dots, crosses, plt.get_cmap("tab20").colors):
        axes.plot(*torch.stack([a, b]).T, color=colour, linewidth=1)
        axes.plot(*a, "o", color=colour)
        axes.plot(*b, "x", color=colour, markersize=9)
    axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal", title=title)
    axes.axis("off")
    return (dots - crosses).norm(dim=1).mean().item()


figure, all_axes = plt.subplots(1, 3, figsize=(9, 3.2))
stages = play(lambda images, texts: contrastive_loss(images, texts, 0.2))
distances = [
    draw_circle(axes, points, f"after {step} steps") for axes, points, step in zip(all_axes, stages, (0, 15, 300))
]
show.plot(
    figure,
    alt="Three circles with six dots and six crosses, joined in pairs. The mean distance of dot and cross in a pair is "
    + ", ".join(f"{distance:.2f}" for distance in distances)
    + " after 0, 15 and 300 steps. In the end the pairs are spread around the circle.",
    width=820,
)

# %% [markdown]
# **The same game without a softmax.** In InfoNCE every pair competes with all the others: the share of the right
# caption has the whole column in its denominator. SigLIP (Zhai et al. 2023), whose vision tower sits in many of today's
# multimodal models, asks a simpler question about each pair by itself: *do these two belong together, yes or no?* That
# is a sigmoid for each cell of the table, with the label $z_{ij} = +1$ on the diagonal and $-1$ everywhere else:
#
# $$\mathcal L = -\frac{1}{N}\sum_{i}\sum_{j}\log\sigma\big(z_{ij}\,(t\cos(\text{text}_i, \text{image}_j) + b)\big)
# \qquad \sigma(x) = \frac{1}{1 + e^{-x}}$$
#
# Here are the labels and the logits for the first five of our 32 pairs, at SigLIP's own starting values $t = 10$ and
# $b = -10$. The **bias** $b$ is there because nearly all pairs are wrong ones. With $b = -10$ the loss starts from the
# guess *no* for every pair, instead of wasting its first steps on finding out that *no* is usually right.

# %%
with torch.no_grad():
    cosines = F.normalize(texts[:5], dim=-1) @ F.normalize(images[:5], dim=-1).T
    logits = 10 * cosines - 10
print("label × logit for 5 texts (rows) and 5 pictures (columns)      loss of the row")
for i, row in enumerate(logits):
    labels = [1 if i == j else -1 for j in range(5)]
    cells = "  ".join(f"{label:+d} × {logit:5.1f}" for label, logit in zip(labels, row.tolist()))
    print(f"{cells}   {-F.logsigmoid(torch.tensor(labels) * row.cpu()).sum():.2f}")

# %% [markdown]
# Nearly all of the loss comes from the diagonal: even a pair that fits has a logit below 0, which means *no*. Training
# moves the embeddings, $t$ and $b$ until right pairs are well above 0 and wrong ones well below.
#
# ### Exercise 5 · `sigmoid_loss`
#
# *Difficulty ●●○○○ · 15 minutes · 10 points*
#
# Write SigLIP's loss. Note two differences from `contrastive_loss`: here the temperature *multiplies*, as in the paper,
# and the sum over all $N^2$ pairs is divided by $N$, not by $N^2$.
#
# <details><summary>Hint 1: the plan</summary>
#
# The table of cosines as before, times the temperature, plus the bias. `2 * torch.eye(n) - 1` is the table of labels.
# Then `F.logsigmoid(labels * logits)`, summed over everything.
# </details>
#
# <details><summary>Hint 2: why logsigmoid?</summary>
#
# The sigmoid of −200 is 0 in a float, and the logarithm of 0 is −∞. `F.logsigmoid` computes both in one step and gives
# −200. (`F.softplus(-x)` and `F.binary_cross_entropy_with_logits` give the same with the opposite sign.)
# </details>


# %% exercise="sigmoid_loss"
def sigmoid_loss(image_embeds, text_embeds, temperature, bias):
    """SigLIP's loss: a sigmoid for each pair (Zhai et al. 2023, algorithm 1).

    Args:
        image_embeds: tensor (pairs, width); the rows may have any length (norm) and are brought to length 1.
        text_embeds: tensor (pairs, width); row i belongs to row i of image_embeds.
        temperature: number above 0 (or a scalar tensor); cosines are multiplied by it.
        bias: number (or a scalar tensor) that is added to every logit.

    Returns:
        A scalar tensor through which gradients flow to the embeddings, and to temperature and bias if they are tensors:
        minus the sum of log sigmoid(label * logit) over all pairs, divided by the number of rows. Labels are +1 on the
        diagonal and -1 elsewhere. It stays finite for large logits.
    """
    ### BEGIN SOLUTION
    cosines = F.normalize(image_embeds, dim=-1) @ F.normalize(text_embeds, dim=-1).T
    logits = cosines * temperature + bias
    labels = 2 * torch.eye(len(logits), device=logits.device) - 1
    return -F.logsigmoid(labels * logits).sum() / len(logits)
    ### END SOLUTION


# %% tests="sigmoid_loss" points=10
checks.nb02.sigmoid_loss(sigmoid_loss)

# %% [markdown]
# **What the batch size does to each.** First on the 32 pairs of CLIP's embeddings. We cut them into batches of $N$ and
# take the mean loss of the batches. InfoNCE's question gets harder with every rival in the batch, so its loss grows
# with $N$, as that of the blind guess does. In SigLIP each pair keeps its own term, whatever else is in the batch: the
# part from the right pairs does not change at all, and more wrong pairs only add more terms.

# %%
print("batch size   InfoNCE   blind guess   SigLIP   its right pairs   its wrong pairs")
for n in (2, 4, 8, 16, 32):
    batches = list(zip(images.split(n), texts.split(n)))
    info_nce = sum(contrastive_loss(a, b, 0.2).item() for a, b in batches) / len(batches)
    siglip = sum(sigmoid_loss(a, b, 10, -10).item() for a, b in batches) / len(batches)
    right = -F.logsigmoid(10 * F.cosine_similarity(images, texts) - 10).mean().item()
    print(f"{n:10} {info_nce:9.3f} {math.log(n):13.3f} {siglip:8.3f} {right:17.3f} {siglip - right:17.3f}")

# %% [markdown]
# Why does it matter? The softmax needs all $N$ texts before it can judge a single picture, so training spread over many
# machines has to bring all embeddings together at every step. Sigmoids can be added up piece by piece, wherever the
# pieces are. In the paper SigLIP does better than the softmax with small batches, and about as well with very large
# ones.
#
# Now the toy: twelve pairs on the circle, and each step sees only 2, 4 or all 12 of them. This time temperature and
# bias are learned along with the points, as in both papers. What to look for: with batches of two, InfoNCE gives each
# pair a single rival per step, and may not sort out all pairs. For SigLIP a larger batch means more wrong pairs for
# each right one, and you can see in the last column how the bias follows.


# %%
def play_learned(name, batch, *, seed=0):
    """Play with twelve pairs, and learn the temperature (and SigLIP's bias) too; return points, temperature, bias."""
    log_scale, bias = torch.tensor(math.log(10)).requires_grad_(), torch.tensor(-10.0).requires_grad_()
    losses = {
        "InfoNCE": lambda images, texts: contrastive_loss(images, texts, 1 / log_scale.exp()),
        "SigLIP": lambda images, texts: sigmoid_loss(images, texts, log_scale.exp(), bias),
    }
    *_, points = play(losses[name], pairs=12, batch=batch, steps=400, seed=seed, learned=[log_scale, bias])
    return points, log_scale.exp().item(), bias.item()


figure, rows = plt.subplots(2, 3, figsize=(9, 6.6))
described = []
print("          batch   find their own text   1/τ or t   bias")
for row, name in zip(rows, ("InfoNCE", "SigLIP")):
    for axes, batch in zip(row, (2, 4, 12)):
        points, found_scale, bias = play_learned(name, batch)
        own = ((points[0] @ points[1].T).argmax(1) == torch.arange(12)).sum().item()
        print(f"{name:9} {batch:5} {own:15} of 12 {found_scale:10.0f} {f'{bias:.0f}' if name == 'SigLIP' else '–':>6}")
        draw_circle(axes, points, f"{name}, batches of {batch}:\n{own} of 12 find their own text")
        described.append(f"{name} with batches of {batch}: {own} of 12 pictures are nearest to their own text")
show.plot(figure, alt=f"Six circles with twelve pairs of dots and crosses each. {'; '.join(described)}.", width=820)

# %% [markdown]
# ## Part 5 · Zero-shot
#
# *25 minutes*
#
# Here is what made CLIP famous. Nobody ever trained it as a classifier. But a class is a word, and words have a place
# in its space: so write the classes down as texts, and see which one is nearest to the picture. That is a classifier
# for classes of your choice, trained with zero examples: **zero-shot**.
#
# ### Exercise 6 · `zero_shot`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# The labels go to CLIP as they are: the caller chooses the words. The probabilities are those of Part 4: cosines,
# divided by the temperature that CLIP has learned, through a softmax.
#
# <details><summary>Hint 1: two ways</summary>
#
# With the course's helper: `clip.similarity(labels, [image])` is a table of cosines with a row for each label and one
# column. Or with the model itself, under `with torch.inference_mode():` because nothing is trained here:
# `processor(text=labels, images=image, padding=True, return_tensors="pt")` makes its inputs, and the output has
# `logits_per_image`, in which the temperature is included already.
# </details>
#
# <details><summary>Help: "UserWarning: Converting a tensor with requires_grad=True to a scalar"</summary>
#
# PyTorch keeps what it would need for a gradient. Put the call of the model under `with torch.inference_mode():`.
# </details>
#
# <details><summary>Help: all my probabilities are nearly the same</summary>
#
# That is a softmax over bare cosines. Look at the table of temperatures in Part 4: yours is 1. Multiply by
# `model.logit_scale.exp()` first.
# </details>
#
# <details><summary>Help: all my probabilities are 1</summary>
#
# Then your softmax runs along the wrong axis, over the one picture instead of over the labels: with a single picture,
# its share is always 1.
# </details>


# %% exercise="zero_shot"
def zero_shot(image, labels):
    """Sort a picture into classes that are given as texts, with load("clip") (Radford et al. 2021, section 3.1).

    Args:
        image: a PIL image.
        labels: a list of different texts; each is embedded as it is.

    Returns:
        A dict: label → probability (a float); they sum to 1.
    """
    ### BEGIN SOLUTION
    model, processor = load("clip")
    inputs = processor(text=labels, images=image, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs.to(model.device)).logits_per_image[0]
    return dict(zip(labels, logits.softmax(-1).tolist()))
    ### END SOLUTION


# %% tests="zero_shot" points=8
checks.nb02.zero_shot(zero_shot)

# %% [markdown]
# One picture, three classifiers, each made in the time it takes to write down its labels. The right answer has a tick.

# %%
boat = draw(Scene((Thing("boat", "blue"),), "sea", "pencil sketch", layout=2), size=size)
show.gallery([boat], ["one picture"], alt=["a pencil sketch of a large blue boat, by the sea"])
for title, labels, right in (
    ("Which colour?", [f"a large {colour} boat" for colour in COLOURS], "a large blue boat"),
    ("Which place?", ["by the sea", "in the desert", "in the snow", "in a room", "on mars"], "by the sea"),
    ("Which style?", ["a drawing", "a pencil sketch", "pixel art", "a neon picture"], "a pencil sketch"),
):
    show.bars(zero_shot(boat, labels), title, right=right)

# %% [markdown]
# **Words matter.** CLIP was trained on captions, whole phrases. A bare label is not what it is used to. We draw 240
# pictures, each with one kind of thing in it, and sort the last 80 of them twice: with bare labels, and with the label
# in a phrase as it would stand in a caption. What to expect: for colours and places it hardly matters, *red* is *red*.
# The last row is another story. *flat* alone could mean anything. Captions of this style say "a drawing of a cat", if
# they mention the style at all.

# %%
rng = Random(21)
scenes = [random_scene(rng, things=1, style=rng.choice(STYLES)) for _ in range(240)]
pictures = [draw(each, size=size) for each in scenes]
embedded = clip.embed_images(pictures)  # once, for everything that follows
tests = slice(160, 240)


def sort_by(labels):
    """For each of the 80 pictures, the number of the nearest label."""
    return (embedded[tests] @ clip.embed_texts(labels).T).argmax(1)


phrases = {
    "colour": ([*COLOURS], [f"{'an' if colour == 'orange' else 'a'} {colour} cat" for colour in COLOURS]),
    "place": ([*PLACES], [describe(Scene((Thing("cat", "red"),), place), Random(0)) for place in PLACES]),
    "style": (
        [*STYLES],
        ["a drawing of a cat", "a pencil sketch of a cat", "pixel art of a cat", "a neon picture of a cat"],
    ),
}
truth = {
    "colour": [COLOURS.index(each.things[0].colour) for each in scenes],
    "place": [PLACES.index(each.place) for each in scenes],
    "style": [STYLES.index(each.style) for each in scenes],
}
zero_shot_accuracy = {}
print("question   bare label   in a phrase")
for question, (bare, phrase) in phrases.items():
    right = torch.tensor(truth[question][tests]).numpy()
    zero_shot_accuracy[question] = float((sort_by(phrase) == right).mean())
    print(f"{question:8} {(sort_by(bare) == right).mean():11.0%} {zero_shot_accuracy[question]:13.0%}")

# %% [markdown]
# **And if no label fits?** A softmax hands out shares that sum to 1, whatever comes in. Ask whether a picture of a
# robot, which CLIP has never seen, is a cat, a car or a flower, and one of them *must* win, whether it fits or not. The
# probabilities of `zero_shot` say *which of these labels fits best*, not *whether any of them fits*.

# %%
robot = newthing.pictures("robot", 1, seed=3, size=size)[0]
show.gallery([robot], ["a robot"], alt=["a drawing of a grey robot with yellow eyes, new to CLIP"])
show.bars(zero_shot(robot, ["a cat", "a car", "a flower"]), "What is this?")

# %% [markdown]
# ## Part 6 · The specialist
#
# *50 minutes*
#
# CLIP compares whole pictures with whole sentences. It cannot take a *question*. "How many boats?" and "What colour is
# the boat?" about the same picture have different answers, so a model has to look at the picture *with the question in
# mind*. The task is called **visual question answering**, VQA.
#
# Our specialist is a **ViLT** (Kim et al. 2021), and after Parts 2 and 3 you know nearly all of it. Cut the picture
# into patches, cut the question into tokens, and put *both into one transformer*. Each word can look at each patch, and
# each patch at each word, in every layer. At the end, one vector goes through a small **head** that gives a number for
# each answer that it knows.

# %%
specialist, specialist_processor = load("vqa")
scene = Scene((Thing("cat", "red"), Thing("house", "blue")), place="snow", relation="left of", layout=2)
picture = draw(scene, size=size)
question = "What colour is the cat?"
inputs = specialist_processor(picture, question, return_tensors="pt").to(specialist.device)
tokens = specialist_processor.tokenizer.convert_ids_to_tokens(inputs.input_ids[0])
with torch.no_grad():
    logits = specialist(**inputs).logits
show.gallery([picture], ["the picture"], alt=["a drawing of a red cat left of a blue house, in the snow"])
print("tokens of the question:", tokens)
print(f"the picture: {tuple(inputs.pixel_values.shape)}, a batch of one")
print(f"out of the head: {tuple(logits.shape)}, a number for each answer")

# %% [markdown]
# And these are all the answers there are. Whatever you show it, whatever you ask, the specialist gives one of these
# words. It has a **closed answer set**. That makes it small and fast, and easy to grade. It also means that the truth
# may not be on its list.

# %%
answers = [specialist.config.id2label[i] for i in range(logits.shape[-1])]
print(f"{len(answers)} answers:", ", ".join(answers[:60]), "…" if len(answers) > 60 else "")

# %% [markdown]
# **From logit to confidence.** The head gives a *logit* for each answer: any number, large if the answer fits. ViLT is
# trained with one small yes-or-no decision for each answer, *is this a right answer here?*, because people who are
# asked about the same picture don't always use the same word. So its probability for an answer is the **sigmoid** of
# the logit, just as in SigLIP: a logit of 0 becomes 50 %, one of 4 becomes 98 %, one of −4 becomes 2 %. The
# probabilities of all answers need not sum to 1: all of them can be low. (A softmax, which makes the answers compete
# for a total of 1, is a common choice too. The tests accept either.)
#
# ### Exercise 7 · `ask`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# Make a function of what you have just seen: a picture and a question go in, and the best answer (a word) and its
# probability (a float from 0 to 1) come out, as a tuple.
#
# <details><summary>Hint: the plan</summary>
#
# `load("vqa")` gives the model and its processor, as above. Make the inputs, get the logits, and take the largest. Its
# number is looked up in `model.config.id2label`, and its sigmoid is the score.
# </details>
#
# <details><summary>Help: "KeyError: tensor(19)"</summary>
#
# The keys of `id2label` are ints. A tensor that holds 19 is not found among them, because a dict looks for the object
# and not for the number in it. `.item()` turns the tensor into an int.
# </details>
#
# <details><summary>Help: "mean must have 4 elements if it is an iterable, got 3", or shapes that don't fit</summary>
#
# The picture has four channels, or one. `as_rgb(image)` makes it three, as in Part 1.
# </details>


# %% exercise="ask"
def ask(image, question):
    """Ask load("vqa") about a picture.

    Args:
        image: a PIL image of any mode.
        question: a string.

    Returns:
        (answer, score): the word of the model's answer set with the largest logit, and the model's probability for it,
        a float from 0 to 1.
    """
    ### BEGIN SOLUTION
    model, processor = load("vqa")
    inputs = processor(as_rgb(image), question, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        probabilities = model(**inputs).logits[0].sigmoid()
    best = probabilities.argmax().item()
    return model.config.id2label[best], probabilities[best].item()
    ### END SOLUTION


# %% tests="ask" points=8
checks.nb02.ask(ask)

# %% [markdown]
# Ask away. Expect six right answers, nearly all with high scores. Then change the questions, and see what it makes
# of yours:

# %%
for question in (
    "What colour is the cat?",
    "What colour is the house?",
    "What is left of the house?",
    "Is there a boat in the picture?",
    "How many things are in the picture?",
    "Where is this?",
):
    answer, score = ask(picture, question)
    print(f"{question:38} {answer:16} {score:6.1%}")

# %% [markdown]
# **If you know this from an older course.** There it was one line, `pipeline("visual-question-answering")`. Version 5
# of transformers no longer has that task, as you see below: most people now put such questions to a generative model
# (`pipeline("image-text-to-text")`, notebook 03). The specialist itself has not gone away. `ViltProcessor` and
# `ViltForQuestionAnswering` are still there, and what the pipeline did with them is the five lines of your `ask`:
# processor, model, sigmoid, largest, `id2label`.

# %%
from transformers import pipeline

try:
    pipeline("visual-question-answering", model=specialist)
except Exception as error:
    print(f"{type(error).__name__}: {str(error)[:150]}…")
print("classes that load() uses:", type(specialist_processor).__name__, "and", type(specialist).__name__)

# %% [markdown]
# **Where does each word look?** As with the class token before, we can watch the words of the question look at the
# patches, here in the last layer. Same picture, two questions: what changes from the first row to the second? The word
# that names a thing should look at that thing, *cat* at the cat and *house* at the house. And so should `[CLS]`, whose
# vector is the one that goes into the head: the question has told it where to look. Words like *what* and *is* have
# nothing to look for, and where their weights fall means little.
#
# One detail in the code is worth a look. ViLT's code draws patches at random when there are too many, and so passes
# them to the transformer in *random* order even when it keeps them all. That does no harm, because each has its
# position vector with it. So we ask for their places, and put the weights back where they belong.


# %%
def look(image, question):
    """For each token of a question, where in the picture it looks: a dict token → faded picture."""
    inputs = specialist_processor(image, question, return_tensors="pt").to(specialist.device)
    with torch.no_grad():
        patches, mask, (places, (rows, columns)) = specialist.vilt.embeddings.visual_embed(
            inputs.pixel_values, inputs.pixel_mask, max_image_length=specialist.config.max_image_length
        )
        words = {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask}
        output = specialist(**words, image_embeds=patches, pixel_mask=mask, output_attentions=True)
    weights = output.attentions[-1].mean(1)[0]  # of the last layer, the mean over its heads: (tokens, tokens)
    tokens = specialist_processor.tokenizer.convert_ids_to_tokens(inputs.input_ids[0])
    faded = {}
    for i, token in enumerate(tokens):
        grid = torch.zeros(rows, columns)
        grid[places[0, :, 0].cpu(), places[0, :, 1].cpu()] = weights[i, len(tokens) + 1 :].cpu()
        faded[f"{i}: {token}"] = overlay(image, grid)
    return faded


for question in ("What colour is the cat?", "What colour is the house?"):
    faded = look(picture, question)
    shown = {name: image for name, image in faded.items() if name.split(": ")[1] not in ("?", "[SEP]")}
    show.gallery(
        list(shown.values()),
        list(shown),
        alt=[f"where the token {token} of '{question}' looks in the picture" for token in shown],
        width=140,
    )

# %% [markdown]
# **Which colour belongs to which thing?** *A red cat left of a blue house* and *a blue cat left of a red house* are
# made of exactly the same words. A model that only notices that there is something red, something blue, a cat and a
# house can't tell them apart, and is right half of the time. The test for this is called **Winoground** (Thrush et al.
# 2022). Its authors tried CLIP, ViLT and others on photos with such pairs of captions, and none did much better than
# chance. Joining attributes to things is called **binding**.
#
# Here is a small Winoground. In each scene we swap the two colours, the two sizes, or the two places, and ask which of
# the two captions CLIP prefers for the picture. The first row is an easy control, with a colour in the wrong caption
# that is nowhere in the picture. ViLT can't read a caption, so it gets a question, and we compare the logits of the
# right word and the swapped one. Chance is 50 % in every cell.

# %%
rng = Random(17)


def variants(scene):
    """Wrong versions of a scene of two things, each with a question that distinguishes it from the right one.

    Returns:
        A dict: what is wrong → (the wrong scene, the question, the right answer, the wrong answer).
    """
    a, b = scene.things
    other = rng.choice([colour for colour in COLOURS if colour not in (a.colour, b.colour)])
    relation = rng.choice(["left of", "right of"])
    right_first = ["yes", "no"] if relation == scene.relation else ["no", "yes"]

    def wrong(*things):
        return replace(scene, things=things)

    which_colour = f"What colour is the {a.kind}?"
    return {
        "another colour": (wrong(replace(a, colour=other), b), which_colour, a.colour, other),
        "colours swapped": (
            wrong(replace(a, colour=b.colour), replace(b, colour=a.colour)),
            which_colour,
            a.colour,
            b.colour,
        ),
        "sizes swapped": (
            wrong(replace(a, size=b.size), replace(b, size=a.size)),
            f"Is the {a.kind} large or small?",
            a.size,
            b.size,
        ),
        "places swapped": (wrong(b, a), f"Is the {a.kind} {relation} the {b.kind}?", *right_first),
    }


two_things = []
while len(two_things) < 60:
    each = random_scene(rng, things=2)
    a, b = each.things
    side_by_side = a.count == 1 and each.relation in ("left of", "right of")
    if side_by_side and a.kind != b.kind and a.colour != b.colour and a.size != b.size:
        two_things.append(each)

preferred = {"CLIP": Counter(), "ViLT": Counter()}
for number, each in enumerate(two_things):
    image, wrong_ones = draw(each, size=size), variants(each)
    scenes_to_tell_apart = [each, *(wrong for wrong, *_ in wrong_ones.values())]
    captions = [describe(scene, Random(number)) for scene in scenes_to_tell_apart]
    right_cosine, *wrong_cosines = clip.similarity(captions, [image])[:, 0]
    asked = [question for _, question, *_ in wrong_ones.values()]
    inputs = specialist_processor([image] * len(asked), asked, padding=True, return_tensors="pt").to(specialist.device)
    with torch.no_grad():
        logits = specialist(**inputs).logits.tolist()
    for (what, (*_, right_word, wrong_word)), cosine, row in zip(wrong_ones.items(), wrong_cosines, logits):
        preferred["CLIP"][what] += right_cosine > cosine
        preferred["ViLT"][what] += row[answers.index(right_word)] > row[answers.index(wrong_word)]
    if number == 0:
        show.gallery([image], ["the first of the pictures"], alt=[f"a drawing: {captions[0]}"])
        print(f"cosine {right_cosine:.2f}  {captions[0]}")
        for what, cosine, caption in zip(wrong_ones, wrong_cosines, captions[1:]):
            print(f"       {cosine:.2f}  {caption}  ({what})")

print(f"\nprefers the right one, in {len(two_things)} scenes   CLIP   ViLT   chance")
for what in preferred["CLIP"]:
    shares = "".join(f"{preferred[name][what] / len(two_things):7.0%}" for name in preferred)
    print(f"{what:36}{shares}      50%")

# %% [markdown]
# With 60 scenes a coin toss lands between 37 % and 63 % nineteen times out of twenty, so take only what lies well above
# that as knowledge. Three things are worth seeing:
#
# - **CLIP**: compare the rows below the control with the control, and look at the cosines above. A caption with a new
#   colour is clearly worse. One with swapped sizes has nearly the same cosine as the right one, and there CLIP is wrong
#   most often. Still, it does much better here than the real CLIP did on Winoground. Our captions name the colour and
#   the size of *every* thing. People's captions leave most of that out, and then there is hardly anything to be gained
#   by learning to bind (Gurung et al. 2025). Surprisingly, the real CLIP's two towers each know the binding. What is
#   missing is the agreement between them (Koishigarina et al. 2026).
# - **ViLT** looks at the picture with the question in mind: what colour is the box? It has no trouble with colours and
#   sizes.
# - **And left or right?** In the last row ViLT is hardly better than a coin toss, although questions like this one were
#   among its training questions, and although it got *What is left of the house?* right above. The form of the question
#   matters. The accuracy that you will measure in Part 7 hides that, because it is a mean over all kinds of questions.

# %% [markdown]
# **What it says when it cannot know.** Now we leave the specialist's world, in three ways. Guess first what will
# happen, then look at its five best answers:
#
# - a question it was made for, for comparison
# - a question about something that is not there
# - a question whose answer is not in its set
# - a picture of something it has never seen


# %%
def best_answers(image, question, n=5):
    """The n answers with the highest scores: a dict answer → score."""
    inputs = specialist_processor(image, question, return_tensors="pt").to(specialist.device)
    with torch.no_grad():
        best = specialist(**inputs).logits[0].sigmoid().topk(n)
    return {answers[i]: score for i, score in zip(best.indices.tolist(), best.values.tolist())}


show.bars(best_answers(picture, "What colour is the cat?"), "What colour is the cat?", right="red")
show.bars(best_answers(picture, "What colour is the boat?"), "What colour is the boat? (there is none)")
show.bars(best_answers(picture, "What is the name of the cat?"), "What is the name of the cat? (who knows?)")
show.gallery([robot], ["the robot again"], alt=["a drawing of a grey robot with yellow eyes"])
show.bars(best_answers(robot, "What is this?"), "What is this? (a robot, but that is not in its answer set)")

# %% [markdown]
# It never says "I don't know", because it was never given these words. All it can do is give low scores. For the second
# and the third question ours should, far below its score for the cat's colour: some of its training questions had no
# answer, and there *every* word counted as wrong. (Here the sigmoid pays off. A softmax has to share out a full 100 %
# even when nothing fits.) But nothing has prepared it for robots, and there wrong words get scores that look like
# knowledge. A confidence is a number that the model learned to give *on pictures and questions like those it was
# trained on*. Elsewhere nobody knows what it means. The next part measures it.

# %% [markdown]
# ## Part 7 · How good, and how sure?
#
# *45 minutes*
#
# A handful of questions proves nothing. We need many, and fresh ones. The picture-book world makes them by the hundred,
# with their right answers. What counts as right? The model says `red`, and somebody's list of answers may say `Red` or
# `red `. Capitals and spaces are not mistakes in seeing, so they must not count. But `red` is not `dark red`.
#
# ### Exercise 8 · `vqa_accuracy`
#
# *Difficulty ●○○○○ · 10 minutes · 6 points*
#
# Write the measurement: a list of (picture, question, right answer) goes in, and the share that your `ask` gets right
# comes out, a float from 0 to 1.
#
# <details><summary>Hint: comparing words</summary>
#
# `.strip().lower()` on both sides, then `==`. Not `in`: the letters of `red` are `in` "a hundred".
# </details>


# %% exercise="vqa_accuracy"
def vqa_accuracy(examples):
    """The share of questions that load("vqa") answers right.

    Args:
        examples: a list of (image, question, answer): PIL image, string, string. The model's answer is right if it
            equals that one, apart from capital letters and from spaces around it.

    Returns:
        A float from 0 to 1.

    Raises:
        ValueError: there are no examples.
    """
    ### BEGIN SOLUTION
    if not examples:
        raise ValueError("vqa_accuracy needs at least one example, but got none")
    right = [ask(image, question)[0].strip().lower() == answer.strip().lower() for image, question, answer in examples]
    return sum(right) / len(right)
    ### END SOLUTION


# %% tests="vqa_accuracy" points=6
checks.nb02.vqa_accuracy(vqa_accuracy)

# %% [markdown]
# Now 240 fresh questions. Beside the accuracy we put a rival who **never looks**: for each question it gives the answer
# that is most often right for that question, counted on a thousand other scenes. "Is there a …?" is answered *yes* half
# of the time, "How many cats are there?" is mostly 1: you can score well with your eyes shut. That was discovered the
# hard way. On the first large VQA collection models did so well without looking that it had to be balanced (Goyal et
# al. 2017). So: **no accuracy without the blind guess beside it.** (In the literature it is called a *question-only
# baseline*, and what it lives on is the *language prior*.)

# %%
rng = Random(31)
counts = defaultdict(Counter)
for _ in range(1000):
    for question, answer in questions(random_scene(rng), rng):
        counts[question][answer] += 1
blind = {question: answers_seen.most_common(1)[0][0] for question, answers_seen in counts.items()}

examples, captions = [], []
for _ in range(80):
    scene = random_scene(rng)
    image = draw(scene, size=size)
    examples += [(image, *pair) for pair in rng.sample(questions(scene, rng), 3)]
    captions += [describe(scene, rng)] * 3  # for the alt texts of the pictures below
never_looks = sum(blind.get(question) == answer for _, question, answer in examples) / len(examples)
print(f"the specialist: {vqa_accuracy(examples):.0%} of {len(examples)} questions right")
print(f"never looks:    {never_looks:.0%}")

# %% [markdown]
# **Look at the mistakes.** A number says how many, never which. Before you trust or distrust a model, look at what it
# got wrong, with your own eyes. Would you have got it right? Do the mistakes have something in common: counting, or
# things that are half hidden, or *left* and *right*? And watch the number in brackets, the score.

# %%
found = [ask(image, question) for image, question, _ in examples]
mistakes = [i for i, (answer, _) in enumerate(found) if answer != examples[i][2]]
print(f"{len(mistakes)} mistakes in {len(examples)} answers; the first six:")
show.gallery(
    [examples[i][0] for i in mistakes[:6]],
    [f"{examples[i][1]} {found[i][0]} ({found[i][1]:.0%}). Right: {examples[i][2]}" for i in mistakes[:6]],
    alt=[f"a drawing: {captions[i]}" for i in mistakes[:6]],
)

# %% [markdown]
# **Can you trust the number?** A model is called **calibrated** if the answers that it gives with 80 % confidence are
# right in 80 % of cases, those with 60 % in 60 %, and so on. The test is a **reliability diagram**: sort the answers by
# score, cut them into groups of the same size, and plot the share that is right against the mean score of each group. A
# calibrated model stays on the diagonal. Below it the model is too sure of itself, as modern networks often are (Guo et
# al. 2017). The mean gap between the two, over all answers, is the *expected calibration error* (ECE).
#
# Our specialist makes so few mistakes on its own kind of picture that nearly all its answers sit in one corner. To see
# more, we ask the same 240 questions about the same pictures again, blurred. A model that knew how little it sees would
# give lower scores and stay on the diagonal. What to expect: it doesn't.


# %%
def reliability(scores, right, groups=6):
    """For groups of equal size, from the least to the most confident answers: mean scores and shares of right ones."""
    order = torch.tensor(scores).argsort()
    parts = [order[i * len(order) // groups : (i + 1) * len(order) // groups] for i in range(groups)]
    return (
        [torch.tensor(scores)[part].mean().item() for part in parts],
        [torch.tensor(right)[part].float().mean().item() for part in parts],
    )


blur = ImageFilter.GaussianBlur(size / 40)
blurred = [ask(image.filter(blur), question) for image, question, _ in examples]
first = examples[0][0]
show.gallery(
    [first, first.filter(blur)],
    ["as drawn", "blurred"],
    alt=[f"a drawing: {captions[0]}", "the same drawing, blurred"],
)

figure, axes = plt.subplots(figsize=(5.4, 4.4))
axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=0.9, label="calibrated")
described = []
for name, results in (("as drawn", found), ("blurred", blurred)):
    right = [answer == example[2] for (answer, _), example in zip(results, examples)]
    confidence, share = reliability([score for _, score in results], right)
    gap = sum(abs(a - b) for a, b in zip(confidence, share)) / len(share)
    axes.plot(confidence, share, marker="o", label=f"{name}: {sum(right) / len(right):.0%} right")
    groups_in_words = [f"{b:.0%} right at a mean score of {a:.0%}" for a, b in zip(confidence, share)]
    described.append(f"{name}: {', '.join(groups_in_words)}")
    print(f"{name:9} {sum(right) / len(right):4.0%} right, calibration error {gap:.1%}")
axes.set(xlabel="mean score of a group of 40 answers", ylabel="share of them that is right")
axes.set(xlim=(-0.02, 1.02), ylim=(0, 1.02))
axes.legend(loc="upper left")
show.plot(figure, alt=f"A reliability diagram with two curves. {'. '.join(described)}.", width=500)

# %% [markdown]
# As drawn, the curve stays close to the diagonal. Blurred, it leaves the diagonal on both sides. On the right are
# groups with scores near 100 % in which many answers are wrong. On the left is a group with scores near 0, and some of
# its answers are right. A blurred picture is not what the model was trained on, and its score has lost its meaning.
# Blur stands here for anything that differs between the training pictures and those that you meet in use: another
# camera, another season, another photographer.
#
# **How sure is it when it is wrong?** For a specialist at work that may be the most important question of all. We sort
# the answers into four groups:
#
# - the right ones, and the wrong ones, to the 240 questions
# - those to questions that have **no answer**, "What colour is the boat?" where there is no boat
# - those to pictures of things it has **never seen**, robots, snowmen and mushrooms, whose names are not on its list
#
# The scores of the right answers should lie far to the right. The other three *ought* to lie on the left. Do they?
# Compare the last two above all: the one it was prepared for in training, and the one that nobody thought of.

# %%
groups = {"right": [], "wrong": [], "no answer": [], "never seen": []}
for i, (_, score) in enumerate(found):
    groups["wrong" if i in mistakes else "right"].append(score)
for _ in range(40):
    scene = random_scene(rng)
    absent = rng.choice([kind for kind in KINDS if kind not in {thing.kind for thing in scene.things}])
    groups["no answer"].append(ask(draw(scene, size=size), f"What colour is the {absent}?")[1])
for kind in newthing.NEW_THINGS:
    for image in newthing.pictures(kind, 7, seed=5, size=size):
        groups["never seen"].append(ask(image, "What is this?")[1])
show.confidences(groups)

# %% [markdown]
# What can you do with such a number? **Let the model stay silent** (*abstain*) when it is low: answer only above a
# threshold, and hand the rest to a person. The higher the threshold, the fewer questions are answered, and the better
# the answers should be. The last two columns show how many of the answers that should never have been given still get
# through. What to expect: a moderate threshold stops nearly all answers to questions that have none, for which the
# model was trained to give low scores. With the robots it is different: even a threshold so high that it costs right
# answers lets some of them through.

# %%
print("threshold   answered   right of these   of 'no answer'   of 'never seen'")
for threshold in (0.0, 0.5, 0.8, 0.95, 0.99):
    kept = {name: sum(score >= threshold for score in scores) for name, scores in groups.items()}
    answered = kept["right"] + kept["wrong"]
    of_these = f"{kept['right'] / answered:.0%}" if answered else "–"
    through = [kept[name] / len(groups[name]) for name in ("no answer", "never seen")]
    print(f"{threshold:9.2f} {answered / len(examples):10.0%} {of_these:>16} {through[0]:16.0%} {through[1]:17.0%}")

# %% [markdown]
# The lesson of the diagram again: a model that is calibrated on its own kind of pictures need not be on others. The
# threshold that works on picture-book scenes promises nothing for robots.

# %% [markdown]
# ## Part 8 · Training your own head
#
# *40 minutes*
#
# Suppose you have a question that neither CLIP's words nor the specialist's answer set cover, and two hundred labelled
# pictures. Do you have to train a transformer? No. Take a trained one, **keep it frozen**, and train only a head on the
# vectors that it makes of your pictures. These are called its **features**. Ours are CLIP's embeddings. If the head is
# a single linear layer, this is called a **linear probe** (Alain & Bengio 2016). It is used in two ways:
#
# - **as a tool**: a classifier for your own task, trained in a second on a laptop
# - **as a measuring instrument**: a straight cut through the space is all it can do. If that is enough to separate the
#   answers, they must have been in the features already, easy to read
#
# Here is what such a cut has to deal with: the 240 embeddings of Part 5, each 512 numbers, projected onto the two
# directions in which they differ most. A dot is a drawing. We colour the same dots twice: first by the number of things
# in the picture, then by style. What to expect: the numbers are sorted along the first direction, with single things
# apart from the rest. The styles are all over the place. Does that mean they are not in the features? A 2-D projection
# keeps two directions of 512 (the axes show how little of the spread that is), and these two happen to show *how many*,
# not *how* they are drawn. (The picture may be mirrored on your machine: a direction has no sign.) Keep this projection
# in mind.

# %%
features = torch.from_numpy(embedded)
show.projection(
    {f"{n} thing{'s' * (n > 1)}": embedded[[each.things[0].count == n for each in scenes]] for n in (1, 2, 3, 4)}
)
show.projection({style: embedded[[each.style == style for each in scenes]] for style in STYLES})

# %% [markdown]
# ### Exercise 9 · `train_head`
#
# *Difficulty ●●●○○ · 25 minutes · 10 points*
#
# Train a linear head. It gets features and the numbers of the right answers. It never sees a picture, and CLIP stays as
# it is. You choose optimizer, learning rate and number of steps. Your points are decided on pictures that your head
# has not seen.
#
# <details><summary>Hint 1: the plan</summary>
#
# A `torch.nn.Linear` from the features' width to the number of answers, `answers.max() + 1`. Then the training loop as
# always: `F.cross_entropy(head(features), answers)`, `backward`, `step`, `zero_grad`. Use all pictures at once: there
# are only a few hundred.
# </details>
#
# <details><summary>Hint 2: which learning rate?</summary>
#
# Embeddings of length 1 in 512 dimensions have tiny numbers, about 0.04 each. The head needs large weights to make
# anything of them. With AdamW a learning rate of 1e-3 is too small for a few hundred steps. Try between 1e-2 and 1e-1,
# and print the loss now and then.
# </details>
#
# <details><summary>Help: "Inference tensors cannot be saved for backward"</summary>
#
# The features were computed under `torch.inference_mode()`. `.clone()` makes ordinary tensors of them.
# </details>
#
# <details><summary>Help: 100 % on my pictures, far less on the others</summary>
#
# With 512 numbers per picture, a straight cut can separate almost any 160 points: your head has learned them by heart.
# Does it have a hidden layer? Are there too many steps? A little `weight_decay` helps.
# </details>


# %% exercise="train_head"
def train_head(features, answers, *, steps=300):
    """Train a linear probe: one linear layer on features of a frozen model.

    Args:
        features: float tensor (n, width).
        answers: LongTensor (n,), the number of the right answer for each row, from 0.
        steps: the largest number of steps that the optimizer may take.

    Returns:
        A torch module: features (m, width) → logits (m, answers.max() + 1), linear in the features. Nothing but the
        head is trained; features and answers stay as they are.
    """
    ### BEGIN SOLUTION
    head = torch.nn.Linear(features.shape[1], int(answers.max()) + 1)
    torch.nn.init.zeros_(head.weight)  # all answers equally likely: the same start, and so the same head, each time
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.05)
    for _ in range(steps):
        loss = F.cross_entropy(head(features), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head
    ### END SOLUTION


# %% tests="train_head" points=10
checks.nb02.train_head(train_head)

# %% [markdown]
# Three ways to answer the same question about the same 80 pictures: always give the most common answer, zero-shot with
# well-chosen phrases (Part 5), and your probe, trained on the other 160. A fourth question is new: *how many?* What to
# look for: zero-shot and probe both leave the most common answer far behind. The phrases do so well because each of
# these answers is a word that CLIP has read in captions. Remember the bare style labels of Part 5, which did worse: the
# answer was in the features, and only the right *words* for it were missing. A probe needs no words.

# %%
truth["how many"] = [each.things[0].count - 1 for each in scenes]
phrases["how many"] = (None, ["a cat", "two cats", "three cats", "four cats"])
print("question   most common   zero-shot   probe")
for question, numbers in truth.items():
    numbers = torch.tensor(numbers)
    head = train_head(features[:160], numbers[:160])
    with torch.no_grad():
        probe = (head(features[tests]).argmax(1) == numbers[tests]).float().mean()
    common = (numbers[tests] == numbers[:160].mode().values).float().mean()
    nearest = torch.from_numpy(sort_by(phrases[question][1]))
    print(f"{question:8} {common:13.0%} {(nearest == numbers[tests]).float().mean():11.0%} {probe:7.0%}")

# %% [markdown]
# Where had the styles been all along? Look at the 80 test pictures once more, but from where your head looks: not along
# the two directions in which the embeddings differ most, but along those that its logits have found. What to expect:
# what was one crowd falls apart into clouds, of pictures that the head has never seen. (Two styles may still touch:
# four logits make more directions than paper has.) Nothing about the features has changed. A good place to stand is all
# that a linear probe looks for.

# %%
head = train_head(features[:160], torch.tensor(truth["style"][:160]))
with torch.no_grad():
    logits = head(features[tests]).numpy()
show.projection({style: logits[[each.style == style for each in scenes[tests]]] for style in STYLES})

# %% [markdown]
# **How many labelled pictures does it take?** That is what you want to know before you sit down to label. We train
# the probe for style on the first 10, 20, 40 … pictures, always measured on the same 80.

# %%
numbers = torch.tensor(truth["style"])
amounts, shares = [10, 20, 40, 80, 160], []
for amount in amounts:
    head = train_head(features[:amount], numbers[:amount])
    with torch.no_grad():
        logits = head(features[tests])
    shares.append((logits.argmax(1) == numbers[tests]).float().mean().item())
figure, axes = plt.subplots(figsize=(5.6, 3))
axes.plot(amounts, shares, marker="o", label="probe")
axes.axhline(zero_shot_accuracy["style"], color="grey", linestyle="--", linewidth=0.9, label="zero-shot, no labels")
axes.set(xlabel="labelled pictures", ylabel="accuracy", ylim=(0, 1.02), title="which style is it drawn in?")
axes.legend()
show.plot(
    figure,
    alt="Accuracy of the style probe over the number of labelled pictures: "
    + ", ".join(f"{share:.0%} with {amount}" for amount, share in zip(amounts, shares))
    + f". Zero-shot without labels reaches {zero_shot_accuracy['style']:.0%}.",
    width=480,
)

# %% [markdown]
# One trap, before you use probes in earnest: measure on pictures that had **no part in anything** you decided. Not in
# training, of course, but also not in choosing the learning rate or the number of steps. If you try twenty learning
# rates and report the best number on the test pictures, you have trained on the test pictures, only slowly. Keep three
# sets: the **training set**, the **validation set**, on which you choose, and the **test set**, which you touch once,
# to report.

# %% [markdown]
# ## Part 9 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="what_ninety_percent_means" points=6
# ### Question 1 · What 90 % means
#
# A friend has trained a specialist like ours for the photos of her museum. She writes: "90 % of 500 questions right,
# and when it is wrong you can see it, because the scores are low. Next week it goes online, for visitors' own photos."
# Name three things that you would ask her to measure or to change first, and say for each what could go wrong
# otherwise.
#
# ### BEGIN MARK SCHEME
# 2 points for each of three different and well-founded things (1 for the thing, 1 for what could go wrong), such as
# - the blind guess beside the accuracy (majority answer for each question): 90 % may be little, if most answers are
#   "yes"
# - questions and pictures that had no part in training or in choosing settings: otherwise the number is too good
# - visitors' photos are another world: confidence and accuracy were measured on museum photos, and say nothing there
# - the closed answer set: what is not in it gets a wrong word, perhaps with a high score; a way to say "I don't know"
# - the scores of wrong answers as a distribution, or calibration, not an impression; a threshold chosen on held-out
#   data
# - binding: whether the right colour goes with the right thing, measured on pairs with swapped attributes
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# First, how good is a guess that never looks, giving each question's most common answer? If most of the 500 questions
# are yes-or-no questions with the answer "yes", 90 % may be hardly better than that. Second, are the 500 questions
# really fresh? If their photos were in training, or if they were used to choose the settings, the number is too good.
# Third, visitors bring photos from outside: of dogs and lunches that have no word in the answer set. The model will say
# some word all the same, and its score means something only on photos like those it was trained on. I would collect
# some visitors' photos, look at the scores of wrong answers and of those outside the set, choose a threshold on part of
# them, and let the model say "I don't know" below it.
# ### END SOLUTION

# %% [markdown] written="which_tool" points=6
# ### Question 2 · Which tool?
#
# Zero-shot with CLIP, a linear probe, or a VQA model that reads picture and question together: which would you choose,
# and why? **(a)** Sort 10,000 holiday photos into beach, mountains and city, by tonight. **(b)** A tile factory has 300
# photos in four classes of faults, which are called F1 to F4. **(c)** A shop asks about each photo of a shelf: "Is the
# red box left of the blue one?", and tomorrow something else.
#
# ### BEGIN MARK SCHEME
# - (a) 1 point: zero-shot. 1 point: there are no labels, and the classes are words that captions use
# - (b) 1 point: linear probe. 1 point: labels are there, names that mean nothing in captions can't be used zero-shot;
#   300 are enough for a linear head on frozen features, not for training a transformer
# - (c) 1 point: VQA. 1 point: the question changes from picture to picture and needs relation and binding of colours;
#   one vector for the picture, made without knowing the question, does not suffice
# - another choice with a sound reason gets the points as well
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# (a) Zero-shot: there are no labels and no time, and "a photo of a beach" is just the kind of phrase CLIP has read in
# captions. I would try a few wordings on twenty photos. (b) A linear probe: "F3" means nothing to a text tower, so
# zero-shot is out, but there are 300 labels, and a linear layer on frozen features needs no more. I would keep some of
# the photos to measure. (c) A VQA model: the answer depends on the question, and on which colour belongs to which box
# and where each stands. A model that sees picture and words together can look for it. CLIP's single vector was made
# before the question was known, and a probe would have to be trained anew for each question.
# ### END SOLUTION

# %% [markdown]
# ### What you can do now
#
# Cover the right column and answer it aloud. If a row gives you trouble, go back to its part.
#
# | you can | part | try it without looking |
# |---|---|---|
# | fetch a picture from the web, a file or a data URL, safely | 1 | Why check `Image.size` before `as_rgb`? |
# | turn a picture into a sequence of vectors | 2 | Which five axes does `patchify` have in between? |
# | write attention, with a mask | 3 | Why $\sqrt d$? What happens in a row of $-\infty$? |
# | write the losses of CLIP and SigLIP | 4 | Which of the two needs the whole batch, and what for? |
# | classify without training | 5 | Why do probabilities of labels not show that any label fits? |
# | question a closed-set VQA model, and test its binding | 6 | What score does a bag of words get with swapped colours? |
# | report an accuracy that means something, and a confidence | 7 | What does a curve below the diagonal mean? |
# | train a linear probe and read its result | 8 | What has been shown if the probe is weak as well? |

# %% [markdown]
# ### Flashcards
#
# Fifteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget. Importing it twice does not double your cards.

# %%
cards = flashcards.find("02_vqa_specialist")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "vqa_specialist.apkg")
print("Wrote vqa_specialist.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Pictures of the first layer.** Each row of `first_layer.weight` is a tiny picture, as large as a patch, with three
#   channels: what that number of a patch's vector looks for. Scale some to −1 … 1 and show them with `show.to_pil`.
# - **Who looks at the cat?** Use `looks` of Part 3 the other way round: for the patch in the middle of the cat, which
#   tokens look at it most, in which layer?
# - **A bias that starts at 0.** Let SigLIP's bias in `play_learned` (Part 4) start at 0 instead of −10, with batches of
#   twelve. How many pictures find their own text now? Print the loss of every twentieth step for both starts. What do
#   the first steps do?
# - **Several wordings.** Average the embeddings of five phrases for each class, bring the mean to length 1, and measure
#   zero-shot again. The CLIP paper calls this an ensemble of prompts.
# - **Harder binding.** Repeat the table of Part 6 with three or four things in a picture. Which swap suffers first?
# - **The language prior.** Cover the picture: ask the specialist the 240 questions of Part 7 about a grey square. How
#   far above chance is it? Compare with the rival who never looks.
# - **Temperature scaling.** Divide the specialist's logits by one number, the same for all answers, before the sigmoid.
#   Can you choose it so that the blurred pictures of Part 7 come back to the diagonal? What does that do to the sharp
#   ones?
# - **A head that reads.** Put CLIP's embedding of a question beside that of the picture, and train a head on both. Why
#   can a *linear* head not make use of the question? What is the smallest change that lets it?
# - **The real thing.** With `COURSE_PROFILE=full` the same code runs on OpenAI's CLIP and on a ViLT with 3,129 answers.
#
# ### References
#
# - Vaswani et al. 2017, *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, [arXiv:2010.11929](https://arxiv.org/abs/2010.11929): the vision transformer
# - Jain & Wallace 2019, *Attention is not Explanation*, [arXiv:1902.10186](https://arxiv.org/abs/1902.10186)
# - Darcet et al. 2024, *Vision Transformers Need Registers*, [arXiv:2309.16588](https://arxiv.org/abs/2309.16588): patches used as a notepad
# - van den Oord, Li & Vinyals 2018, *Representation Learning with Contrastive Predictive Coding*, [arXiv:1807.03748](https://arxiv.org/abs/1807.03748): InfoNCE
# - Radford et al. 2021, *Learning Transferable Visual Models From Natural Language Supervision*, [arXiv:2103.00020](https://arxiv.org/abs/2103.00020): CLIP
# - Zhai et al. 2023, *Sigmoid Loss for Language Image Pre-Training*, [arXiv:2303.15343](https://arxiv.org/abs/2303.15343): SigLIP
# - Tschannen et al. 2025, *SigLIP 2*, [arXiv:2502.14786](https://arxiv.org/abs/2502.14786): the encoder of many of today's models
# - Antol et al. 2015, *VQA: Visual Question Answering*, [arXiv:1505.00468](https://arxiv.org/abs/1505.00468): the task
# - Goyal et al. 2017, *Making the V in VQA Matter*, [arXiv:1612.00837](https://arxiv.org/abs/1612.00837): answers without looking
# - Kim, Son & Kim 2021, *ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision*, [arXiv:2102.03334](https://arxiv.org/abs/2102.03334)
# - Thrush et al. 2022, *Winoground: Probing Vision and Language Models for Visio-Linguistic Compositionality*, [arXiv:2204.03162](https://arxiv.org/abs/2204.03162)
# - Yuksekgonul et al. 2023, *When and Why Vision-Language Models Behave like Bags-of-Words, and What to Do About It?*, [arXiv:2210.01936](https://arxiv.org/abs/2210.01936)
# - Gurung, Hoffmann & Brox 2025, *CLIP Won't Learn Object-Attribute Binding from Natural Data and Here is Why*, [arXiv:2507.07985](https://arxiv.org/abs/2507.07985)
# - Koishigarina, Uselis & Oh 2026, *CLIP Behaves like a Bag-of-Words Model Cross-modally but not Uni-modally*, ICLR, [arXiv:2502.03566](https://arxiv.org/abs/2502.03566)
# - Guo et al. 2017, *On Calibration of Modern Neural Networks*, [arXiv:1706.04599](https://arxiv.org/abs/1706.04599)
# - Alain & Bengio 2016, *Understanding Intermediate Layers Using Linear Classifier Probes*, [arXiv:1610.01644](https://arxiv.org/abs/1610.01644)

# %% [markdown]
# ### Before you hand in
#
# Save the notebook, then run this cell: it lists exercises that are not written yet, questions without an answer, and
# cells that have gone missing.

# %%
ready_to_hand_in()
