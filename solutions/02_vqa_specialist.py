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
# *What colour is the boat?* You answer before you have finished reading. For a machine two worlds have to meet: a block
# of numbers that is a picture, and a handful of words. In this notebook you follow them both. You cut a picture into
# the pieces that a transformer reads, you write the loss that taught CLIP to put pictures and words into one space, and
# you question a specialist for **visual question answering** (VQA): a model that answers questions about pictures,
# quickly and well, as long as the answer is one of about fifty words that it knows. Then you find out what it does when
# the answer is *not* one of them.
#
# The models are the small ones of the picture-book world. They are built like the real CLIP and the real ViLT, so that
# everything here runs in seconds, and would run the same with their large sisters.
#
# **When you are done, you can**
#
# - fetch a picture from anywhere, and say clearly what went wrong when there is none
# - cut a picture into patches, and show that this is all that a vision transformer's first layer does
# - write the contrastive loss of CLIP, and say what the temperature in it is for
# - sort pictures into classes that nobody trained (zero-shot), and know how much the wording matters
# - question a VQA model, read its confidence, and tell what that number does not say
# - measure accuracy beside a guess that never looks
# - train a linear probe, and say what it proves about the features
#
# **What you need**: Python functions and dicts, tensors in PyTorch (reshape, permute, softmax). Notebook 01 is not
# needed. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Getting a picture | 30 | 12 |
# | 2 What a transformer sees | 40 | 14 |
# | 3 Pictures and words in one space | 45 | 16 |
# | 4 Zero-shot | 30 | 12 |
# | 5 The specialist | 40 | 12 |
# | 6 How good, and how sure? | 40 | 8 |
# | 7 A head of your own | 45 | 14 |
# | 8 Two questions, flashcards, going further | 30 | 12 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place of
# the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of them
# passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on other
# inputs. Every exercise has hints that unfold, and ● to ●●●●● tells how hard it is. If one keeps you from going on,
# `checks.borrow("ask")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order; Part 6 calls the `ask` that you write in Part 5.

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
import copy
import io
import math
import tempfile
import urllib.request
from collections import Counter, defaultdict
from random import Random

import matplotlib.pyplot as plt
import requests
import torch
from PIL import Image
from torch.nn import functional as F

from helpers import checks, clip, flashcards, newthing, show, widgets
from helpers.models import load
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES, Scene, Thing, describe, draw, questions, random_scene
from helpers.pictures import as_rgb, data_url
from helpers.settings import settings

config = load("clip").model.config.vision_config
size, patch = config.image_size, config.patch_size  # side of a picture and of a patch, in pixels
print(f"Profile: {settings.profile}, on the {settings.device}. CLIP takes pictures of {size}×{size} pixels.")

# %% [markdown]
# ## Part 1 · Getting a picture
#
# *30 minutes*
#
# Before a model can look at a picture, somebody has to fetch it. Pictures live at addresses of three kinds:
#
# | address | where the picture is |
# |---|---|
# | `https://…/cat.png` | on a web server |
# | `file:///home/…/cat.png` | on this computer |
# | `data:image/png;base64,iVBOR…` | in the address itself, written in letters |
#
# The third kind looks odd, but you will meet it all the time: it is how pictures travel inside a message to a chat
# model. Here is a picture and the beginning of its data URL.

# %%
cat = draw(Scene((Thing("cat", "red"),), place="meadow", layout=4), size=size)
address = data_url(cat)
show.gallery([cat], ["our cat"], alt=["a drawing of a large red cat on a meadow"])
print(address[:72] + "…")
print(f"{len(address):,} letters in all. base64 spends 4 letters on 3 bytes of the PNG file.")

# %% [markdown]
# Fetching is two lines as long as all goes well. A program that talks to the world spends its other lines on the days
# when it does not:
#
# - the server says **404**: there is no such page (any more)
# - something comes, but it is a web page and **no picture**
# - the server takes the call and then **stays silent**; without a limit of time your notebook waits forever
# - the picture is **enormous**. A file of a few kilobytes can unpack to gigabytes of pixels: such files are made on
#   purpose, and are called decompression bombs
#
# In each of these cases the one who called wants a sentence that says what happened, not 40 lines of a library's
# stack trace. And when all goes well, three channels: models want red, green and blue, but files also come grey, with a
# palette, or with a fourth channel for transparency. Phones store a photo as the sensor saw it, and note beside it how to
# turn it. `as_rgb` of `helpers.pictures` makes of all that what a viewer would show: upright, three channels, white where
# the picture is clear.
#
# ### Exercise 1 · `fetch_image`
#
# *Difficulty ●●○○○ · 20 minutes · 12 points*
#
# `requests.get(url, timeout=…, stream=True)` fetches from the web, as in most programs that you will meet;
# `urllib.request.urlopen(url)` of Python's own library opens the other two kinds of address. The check runs a little web
# server on your own computer, with good and bad pages, so nothing here needs the internet.
#
# <details><summary>Hint 1: the plan</summary>
#
# Open and read the bytes; are they too many? `Image.open(io.BytesIO(data))` knows the picture's `.size` before it has
# unpacked a single pixel; are they too many? Then `as_rgb(image)`. Around the first and the last of these steps goes a
# `try … except … raise ValueError("a sentence") from error`.
# </details>
#
# <details><summary>Hint 2: how to stop reading in time</summary>
#
# With `stream=True` nothing is read before you ask: `response.iter_content(100_000)` gives the bytes in pieces, and you
# can stop when there are more than `MAX_BYTES`. Don't trust the header `Content-Length`: it may be missing, or say
# anything. `urlopen(…).read(MAX_BYTES + 1)` never reads more than that.
# </details>
#
# <details><summary>Hint 3: which errors?</summary>
#
# `response.raise_for_status()` turns a 404 into `requests.HTTPError`; a silent server is a `requests.Timeout`. These two,
# `requests.ConnectionError` and `urllib.error.URLError` (no such file) are all kinds of `OSError`. When the bytes are not a
# picture, or half of one, `Image.open` and `as_rgb` raise an `OSError` or a `SyntaxError`. Pillow's own words have an address
# in memory in them (`0x7f…`), which helps nobody: say it in yours.
# </details>
#
# <details><summary>Help: a server gives me 403, but my browser shows the picture</summary>
#
# Some servers refuse callers that don't say who they are. `requests.get(url, headers={"User-Agent": "…"}, …)` introduces
# you. No test needs it.
# </details>


# %% exercise="fetch_image"
MAX_BYTES = 20_000_000
MAX_PIXELS = 25_000_000


def fetch_image(url, *, timeout=10):
    """Fetch a picture.

    url: an address that starts with http:, https:, file: or data:.
    timeout: how many seconds to wait for a server to say something.

    Returns a PIL image of mode "RGB", as viewers show it: `as_rgb(image)` turns photos upright, and lays pictures
    that are clear in places on white.
    Raises ValueError with a sentence that says what is wrong: the server's answer (such as 404), no answer in
    time, no picture, a file of more than MAX_BYTES, a picture of more than MAX_PIXELS.
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
        raise ValueError(f"What is at {place} is no picture that can be read.") from error
    ### END SOLUTION


# %% tests="fetch_image" points=12
checks.nb02.fetch_image(fetch_image)

# %% [markdown]
# Now the same cat by two roads, out of a file and out of an address, and one road that leads nowhere:

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
# *40 minutes*
#
# A transformer reads a sequence of vectors. With text that is natural: one vector for each word. But a picture has no
# words. One could take every pixel for a word; yet a transformer compares each word with each other one, and for
# 16,384 pixels that would be 268 million comparisons in every layer.
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
# A square with the ear of a cat in it is still a block of numbers. It becomes a vector in the simplest way there is: write all
# its numbers in a row, and multiply by one matrix, the same for all patches. That matrix is learned. In libraries
# this step is called a *convolution* whose stride is as large as its window, which sounds grander than it is. You will
# show in a minute that it is the same.
#
# ### Exercise 2 · `patchify`
#
# *Difficulty ●●○○○ · 20 minutes · 14 points*
#
# Cut a tensor into patches, each written in a row. The order counts, twice:
#
# - the **patches** come as one reads, the top row from left to right, then the next row
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
# Height is made of *rows of patches* and *rows inside a patch*: `reshape(3, rows, p, columns, p)` splits both sides of
# the picture so. Now you have five axes. Which order do you want them in? `permute` puts them there, and a last
# `reshape` joins them again.
# </details>
#
# <details><summary>Hint 2: the order</summary>
#
# Outside: row of patches, column of patches. Inside: channel, row, column. In the five axes of Hint 1 these have the
# numbers 1, 3 and 0, 2, 4.
# </details>
#
# <details><summary>Help: "view size is not compatible with input tensor's size and stride"</summary>
#
# After `permute` the numbers lie in memory in another order than the axes say. `.reshape` copies them where it must;
# `.view` refuses.
# </details>


# %% exercise="patchify"
def patchify(pixel_values, patch_size):
    """Cut a picture into patches, each flattened (Dosovitskiy et al. 2021, section 3.1).

    pixel_values: tensor (3, height, width).
    patch_size: side of a patch in pixels.

    Returns a tensor (patches, 3 * patch_size * patch_size): patches row by row, each flattened channel first, so
    that patches @ conv.weight.flatten(1).T + conv.bias is what the ViT's patch convolution gives.
    Raises ValueError where height or width is no multiple of patch_size.
    """
    ### BEGIN SOLUTION
    channels, height, width = pixel_values.shape
    if height % patch_size or width % patch_size:
        raise ValueError(f"a picture of {height} × {width} can't be cut into patches of {patch_size} without a rest")
    blocks = pixel_values.reshape(channels, height // patch_size, patch_size, width // patch_size, patch_size)
    return blocks.permute(1, 3, 0, 2, 4).reshape(-1, channels * patch_size * patch_size)
    ### END SOLUTION


# %% tests="patchify" points=14
checks.nb02.patchify(patchify)

# %% [markdown]
# And now the proof, on a real model. CLIP, which is the hero of Part 3, reads pictures with a vision transformer: its
# *vision tower*. We multiply your patches by the tower's matrix, and compare with what its own first layer gives. The
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
# **Where was that patch?** Something is lost when the scissors have done their work. To a transformer its input is a bag
# of vectors: nothing in attention knows which came first. So the ViT adds to each patch a **position vector**, one for
# each place, learned like everything else. We can see what it is good for by taking it away.
#
# In the end the tower sums the whole picture up in a single vector, its **embedding**. Below is the picture as a jigsaw;
# then we measure the angle between the embeddings of picture and jigsaw, with position vectors and without. What to
# expect: without them the angle is 0, to CLIP picture and jigsaw are *the same*. With them they are far apart.

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
# **Who looks where?** The patches get company: a **class token**, a vector that belongs to no patch. In each layer
# every vector looks at all others and takes from them what it can use. This is **attention**: a softmax over how well
# they fit, so the shares sum to 1. It is done several times side by side, by **heads** that each look for something
# different; we average over them. Whatever the class token has gathered after the last layer stands for the whole
# picture: the embedding is made from it alone.
#
# So let us see where the class token looks, layer by layer. Bright patches are those it takes most from. Most of the
# light should fall on the things and their edges, little on empty snow or sky; in the last layer a few patches are left.
# Don't expect it to be tidy: some layers look at the background, too, for that is where it says *snow* or *night*.

# %%
pictures = [picture, draw(Scene((Thing("star", "yellow", count=2),), place="night", layout=5), size=size)]
both = processor(images=pictures, return_tensors="pt").to(model.device)
model.set_attn_implementation("eager")  # the faster ways to compute attention don't keep its weights
with torch.no_grad():
    attentions = model.vision_model(**both, output_attentions=True).attentions  # per layer (2, heads, tokens, tokens)
model.set_attn_implementation("sdpa")

layers = range(0, len(attentions), max(1, len(attentions) // 6))
lit = [
    [show.spotlight(each, attentions[layer][i].mean(0)[0, 1:].reshape(columns, columns)) for layer in layers]
    for i, each in enumerate(pictures)
]
show.grid(
    [[each, *row] for each, row in zip(pictures, lit)],
    ["cat and house", "two stars"],
    ["picture", *(f"layer {layer + 1}" for layer in layers)],
    alt="where the class token looks, the brighter the more",
)

# %% [markdown]
# A warning that holds for all pictures of attention. They show *where information was taken from*, averaged over heads
# that each have a job of their own. They do not show what was taken, or that it changed the result. A patch of
# empty sky may be used as a notepad. Take such pictures as a hint, never as an explanation (Jain & Wallace 2019).

# %% [markdown]
# ## Part 3 · Pictures and words in one space
#
# *45 minutes*
#
# What should a vision transformer be trained *for*? Older models were trained to sort photos into a thousand fixed
# classes, on a million photos that people had labelled by hand. CLIP (Radford et al. 2021) learns from something there
# is far more of: pictures with a text beside them. And its task is a game:
#
# > Here are some pictures, and here, shuffled, are their captions. Which belong together?
#
# Let us play. Each number in the table is the cosine of the angle between a picture's vector and a caption's vector: 1
# means the same direction, 0 means nothing to do with each other. In each column, the largest number is bold. If CLIP
# plays well, the bold numbers stand on the diagonal.

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
show.matrix(clip.similarity(captions, pictures), pictures, captions, alt=captions)

# %% [markdown]
# To win this game CLIP has two towers: the vision transformer you have just seen, and a text transformer. They never
# exchange a word. Each ends in a vector, and all that training does is to move these vectors: **what belongs together
# moves closer, all else moves apart.** This is called **contrastive** learning. The wrong pairs cost nothing, they are
# all the other pairs of the batch: with $N$ pictures there are $N$ right pairs and $N^2 - N$ wrong ones.
#
# As a loss it reads like this. Take one column of the table, one picture. (In the formula below $i$ counts pictures and
# $j$ texts, so there a picture is a *row*.) Its captions are like the classes of a classifier, and the right class is
# on the diagonal. A softmax turns the column into shares, and the picture pays minus the logarithm of the right
# caption's share: nothing if it is 1, much if it is small. That is **cross-entropy**, the loss of every classifier. The
# same for each row of the table, one caption that looks for its picture. The loss is the mean of both directions:
#
# $$s_{ij} = \frac{\cos(\text{image}_i, \text{text}_j)}{\tau} \qquad
# \mathcal L = -\frac{1}{2N}\sum_i\left[\log\frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
# + \log\frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}\right]$$
#
# This is the symmetric **InfoNCE** loss (van den Oord et al. 2018). One letter needs a word: $\tau$ (*tau*), the
# **temperature**. Cosines lie between −1 and 1. A softmax over numbers that close together is almost even, so even a
# perfect model could never be sure. Dividing by a small $\tau$ stretches them. CLIP learns this number along with its
# weights; the library keeps it as `logit_scale`, the logarithm of $1/\tau$.

# %%
scale = model.logit_scale.exp().item()
cosines = torch.tensor([0.6, 0.5, 0.1])
print(f"CLIP has learned to multiply by {scale:.1f}, which is a temperature of {1 / scale:.3f}.\n")
for tau in (1, 0.25, 1 / scale, 0.01):
    shares = "  ".join(f"{share:5.1%}" for share in (cosines / tau).softmax(0))
    print(f"cosines 0.6, 0.5, 0.1 at temperature {tau:5.3f}:  {shares}")

# %% [markdown]
# ### Exercise 3 · `contrastive_loss`
#
# *Difficulty ●●○○○ · 20 minutes · 16 points*
#
# Write the formula above: the embeddings of $N$ pictures and of their $N$ texts go in, the loss comes out, a tensor
# with a single number. Embeddings may have any length, so bring them to length 1 first.
#
# <details><summary>Hint 1: the plan</summary>
#
# `F.normalize(…, dim=-1)` brings all embeddings to length 1; then one matrix product is the whole table of cosines.
# Divide by the temperature. The right class of row *i* is *i*, so the targets are `torch.arange(n)`. Twice
# `F.cross_entropy`, once on the table and once on its transpose.
# </details>
#
# <details><summary>Hint 2: why not write out logarithm and sums?</summary>
#
# At low temperatures $e^{s}$ overflows. `F.cross_entropy` takes the numbers $s$ as they are (the *logits*, as numbers
# before a softmax are called) and never computes $e^s$ alone. Give it no softmax: it has one inside.
# </details>
#
# <details><summary>Help: "Expected all tensors to be on the same device"</summary>
#
# `torch.arange(n)` is on the CPU. Write `torch.arange(n, device=image_embeds.device)`.
# </details>


# %% exercise="contrastive_loss"
def contrastive_loss(image_embeds, text_embeds, temperature):
    """CLIP's loss: symmetric InfoNCE (Radford et al. 2021, figure 3).

    image_embeds: tensor (pairs, width); the rows may have any length (norm).
    text_embeds: tensor (pairs, width); row i belongs to row i of image_embeds.
    temperature: number above 0 (or a scalar tensor); cosines are divided by it.

    Returns a scalar tensor through which gradients flow to the embeddings: the mean of the two cross-entropies,
    pictures that look for their text and texts that look for their picture.
    """
    ### BEGIN SOLUTION
    cosines = F.normalize(image_embeds, dim=-1) @ F.normalize(text_embeds, dim=-1).T
    logits = cosines / temperature
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
    ### END SOLUTION


# %% tests="contrastive_loss" points=16
checks.nb02.contrastive_loss(contrastive_loss)

# %% [markdown]
# Your loss against the one inside the library, on 32 fresh pairs; then the captions shuffled, so that nothing fits; and
# the loss of somebody who guesses blindly, which is $\ln N$. What to expect: the first two equal, well below the
# blind guess, in fact nearly 0; the shuffled one far above it. A model that is sure and wrong pays more than one that
# shrugs.

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
# guess. Far to the left it is so sharp that a single pair in the wrong order costs a fortune. These 32 pairs are too easy
# to show that: none is in the wrong order, so the curve just stays down; in a training with millions of hard pairs it
# would rise again. CLIP's own temperature should stand where the curve is low.

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
# **Watch it learn.** The smallest CLIP in the world: six pairs, and each picture and each text is just a point on a circle
# that may move freely. Nothing but your loss pulls at them. Dots are pictures, crosses are texts, a line joins each pair.
# You should see pairs find each other *and* spread around the circle. Both matter: were there only the pulling, all
# twelve points would end up in one place and be happy.

# %%
points = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(3)).requires_grad_()
optimizer = torch.optim.Adam([points], lr=0.05)
figure, all_axes = plt.subplots(1, 3, figsize=(9, 3.2))
distances = []
for step in range(301):
    if step in (0, 15, 300):
        axes = all_axes[len(distances)]
        dots, crosses = F.normalize(points.detach(), dim=-1)
        distances.append((dots - crosses).norm(dim=1).mean().item())
        axes.add_patch(plt.Circle((0, 0), 1, fill=False, color="lightgrey"))
        for i, (a, b) in enumerate(zip(dots, crosses)):
            axes.plot(*torch.stack([a, b]).T, color=f"C{i}", linewidth=1)
            axes.plot(*a, "o", color=f"C{i}")
            axes.plot(*b, "x", color=f"C{i}", markersize=9)
        axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal", title=f"after {step} steps")
        axes.axis("off")
    loss = contrastive_loss(points[0], points[1], 0.2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
show.plot(
    figure,
    alt="Three circles with six dots and six crosses, joined in pairs. The mean distance of dot and cross in a pair is "
    + ", ".join(f"{distance:.2f}" for distance in distances)
    + " after 0, 15 and 300 steps; in the end the pairs are spread around the circle.",
    width=820,
)

# %% [markdown]
# ## Part 4 · Zero-shot
#
# *30 minutes*
#
# Here is what made CLIP famous. Nobody ever taught it to be a classifier. But a class is a word, and words have a place in
# its space: so write the classes down as texts, and see which one is nearest to the picture. A classifier for
# classes of your choice, trained with zero examples: **zero-shot**.
#
# ### Exercise 4 · `zero_shot`
#
# *Difficulty ●●○○○ · 15 minutes · 12 points*
#
# The labels go to CLIP as they are: who calls the function chooses the words. The probabilities are those of Part 3:
# cosines, divided by the temperature CLIP has learned, through a softmax.
#
# <details><summary>Hint 1: two ways</summary>
#
# With the course's helper: `clip.similarity(labels, [image])` is a table of cosines with a row for each label and one
# column. Or with the model itself: `processor(text=labels, images=image, padding=True, return_tensors="pt")` makes its
# inputs, and the output has `logits_per_image`, where the temperature is in already.
# </details>
#
# <details><summary>Help: all my probabilities are nearly the same</summary>
#
# That is a softmax over bare cosines. Look at the table of temperatures in Part 3: yours is 1. Multiply by
# `model.logit_scale.exp()` first.
# </details>
#
# <details><summary>Help: all my probabilities are 1</summary>
#
# Then your softmax runs along the wrong axis, over the one picture in place of over the labels: a share among one is
# always the whole.
# </details>


# %% exercise="zero_shot"
def zero_shot(image, labels):
    """Sort a picture into classes that are given as texts, with load("clip") (Radford et al. 2021, section 3.1).

    image: a PIL image.
    labels: a list of different texts; each is embedded as it is.

    Returns a dict: label → probability (a float); they sum to 1.
    """
    ### BEGIN SOLUTION
    model, processor = load("clip")
    inputs = processor(text=labels, images=image, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs.to(model.device)).logits_per_image[0]
    return dict(zip(labels, logits.softmax(-1).tolist()))
    ### END SOLUTION


# %% tests="zero_shot" points=12
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
# The last row is another story. *flat* alone could mean anything; captions of this style say "a drawing of a cat", if
# they say anything at all.

# %%
rng = Random(21)
scenes = [random_scene(rng, things=1, style=rng.choice(STYLES)) for _ in range(240)]
pictures = [draw(each, size=size) for each in scenes]
embedded = clip.embed_images(pictures)  # once, for all that follows
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
# **And if no label fits?** A softmax hands out shares that sum to 1, whatever comes in. Ask whether a picture of a robot,
# which CLIP has never seen, is a cat, a car or a flower, and one of them *must* win, whether it fits or not. The
# probabilities of `zero_shot` say *which of these labels fits best*, not *whether any of them fits*.

# %%
robot = newthing.pictures("robot", 1, seed=3, size=size)[0]
show.gallery([robot], ["a robot"], alt=["a drawing of a grey robot with yellow eyes, new to CLIP"])
show.bars(zero_shot(robot, ["a cat", "a car", "a flower"]), "What is this?")

# %% [markdown]
# ## Part 5 · The specialist
#
# *40 minutes*
#
# CLIP compares whole pictures with whole sentences. It cannot take a *question*. "How many boats?" and "What colour is
# the boat?" about the same picture have different answers, so a model has to look at the picture *with the question in
# mind*. The task is called **visual question answering**, VQA.
#
# Our specialist is a **ViLT** (Kim et al. 2021), and after Part 2 you know nearly all of it. Cut the picture into
# patches, cut the question into tokens, and put *both into one transformer*. Each word can look at each patch and the
# other way round, in every layer. At the end, one vector goes through a small **head** that gives a number for each
# answer that it knows.

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
# And these are all the answers there are. Whatever you show it, whatever you ask: the specialist will say one of these
# words. It has a **closed answer set**. That makes it small and fast, and easy to grade. It also means that the truth
# may not be on its list.

# %%
answers = [specialist.config.id2label[i] for i in range(logits.shape[-1])]
print(f"{len(answers)} answers:", ", ".join(answers[:60]), "…" if len(answers) > 60 else "")

# %% [markdown]
# **From number to confidence.** The head gives a *logit* for each answer: any number, large if the answer fits. ViLT is
# trained with one small yes-or-no decision for each answer, *is this a right answer here?*, because people who are asked
# about the same picture don't always use the same word. So its probability for an answer is the **sigmoid** of the logit,
# $1 / (1 + e^{-\text{logit}})$, which squeezes any number into the range from 0 to 1: a logit of 0 becomes 50 %, one of 4
# becomes 98 %, one of −4 becomes 2 %. The probabilities of all answers need not sum to 1: all of them can be low. (A
# softmax, which makes the answers compete for one whole, is a common choice too. The tests take either.)
#
# ### Exercise 5 · `ask`
#
# *Difficulty ●●○○○ · 15 minutes · 12 points*
#
# Make a function of what you have just seen: a picture and a question go in, the best answer (a word) and its
# probability (a float from 0 to 1) come out, as a tuple.
#
# <details><summary>Hint: the plan</summary>
#
# `load("vqa")` gives the model and its processor, as above. Inputs, logits, the largest of them: its number is looked up
# in `model.config.id2label`, and its sigmoid is the score.
# </details>
#
# <details><summary>Help: "Unable to infer channel dimension format", or shapes that don't fit</summary>
#
# The picture has four channels, or one. `as_rgb(image)` makes it three, as in Part 1.
# </details>


# %% exercise="ask"
def ask(image, question):
    """Ask load("vqa") about a picture.

    image: a PIL image of any mode.
    question: a string.

    Returns (answer, score): the word of the model's answer set with the largest logit, and the model's probability
    for it, a float from 0 to 1.
    """
    ### BEGIN SOLUTION
    model, processor = load("vqa")
    inputs = processor(as_rgb(image), question, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        probabilities = model(**inputs).logits[0].sigmoid()
    best = probabilities.argmax().item()
    return model.config.id2label[best], probabilities[best].item()
    ### END SOLUTION


# %% tests="ask" points=12
checks.nb02.ask(ask)

# %% [markdown]
# Ask away. Expect six right answers, nearly all with scores above 90 %; only for *What is left of the
# house?* is it less sure. Then change the questions, and see what it makes of yours:

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
# **Where does each word look?** As with the class token before, we can watch the words of the question look at the
# patches, here in the last layer. Same picture, two questions: what changes from the first row to the second? The word
# that names a thing should look at that thing, *cat* at the cat and *house* at the house. And so should `[CLS]`, whose
# vector is the one that goes into the head: the question has told it where to look. Words like *what* and *is* have
# nothing of their own to look for; where their light falls means little.
#
# One detail in the code is worth a look. ViLT's code draws patches at random when there are too many, and so hands them
# to the transformer in *random* order even when it keeps them all. That does no harm, since each has its position
# vector with it. So we ask for their places, and put the weights back where they belong.


# %%
def look(image, question):
    """For each token of a question, where in the picture it looks: a dict token → picture with light on it."""
    inputs = specialist_processor(image, question, return_tensors="pt").to(specialist.device)
    with torch.no_grad():
        patches, mask, (places, (rows, columns)) = specialist.vilt.embeddings.visual_embed(
            inputs.pixel_values, inputs.pixel_mask, max_image_length=specialist.config.max_image_length
        )
        words = {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask}
        output = specialist(**words, image_embeds=patches, pixel_mask=mask, output_attentions=True)
    weights = output.attentions[-1].mean(1)[0]  # of the last layer, the mean over its heads: (tokens, tokens)
    tokens = specialist_processor.tokenizer.convert_ids_to_tokens(inputs.input_ids[0])
    lit = {}
    for i, token in enumerate(tokens):
        grid = torch.zeros(rows, columns)
        grid[places[0, :, 0].cpu(), places[0, :, 1].cpu()] = weights[i, len(tokens) + 1 :].cpu()
        lit[f"{i}: {token}"] = show.spotlight(image, grid)
    return lit


for question in ("What colour is the cat?", "What colour is the house?"):
    lit = look(picture, question)
    show.gallery(
        list(lit.values()),
        list(lit),
        alt=[f"where the token {token} of '{question}' looks in the picture" for token in lit],
        width=100,
    )

# %% [markdown]
# **What it says when it cannot know.** Now we leave the specialist's world, in four ways. Guess first what will happen,
# then look at its five best answers:
#
# - a question it was made for, to compare
# - a question about something that is not there
# - a question whose answer is not in its set
# - a picture of something it has never seen


# %%
def best_answers(image, question, n=5):
    """The n answers with the highest scores, and these: a dict answer → score."""
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
# It never says "I don't know", because nobody gave it these words. All it can do is to give low scores. For the second
# and the third question ours should, far below its score for the cat's colour: some of its training questions had no
# answer, and there *every* word counted as wrong. (Here the sigmoid pays off. A softmax has to share out a whole 100 %
# even when nothing fits.) But nobody has prepared it for robots, and there wrong words get scores that sound like
# knowledge. A confidence is a number that the model learned to give *on pictures and questions like those it
# was trained on*; elsewhere nobody knows what it means. The next part measures it.

# %% [markdown]
# ## Part 6 · How good, and how sure?
#
# *40 minutes*
#
# A handful of questions tell us nothing. We need many, and fresh ones. The picture-book world makes them by the hundred, with
# their right answers. What counts as right? The model says `red`; somebody's list of answers may say `Red` or `red `.
# Capitals and spaces are no mistakes in seeing, so they must not count. But `red` is not `dark red`.
#
# ### Exercise 6 · `vqa_accuracy`
#
# *Difficulty ●○○○○ · 10 minutes · 8 points*
#
# Write the measurement: a list of (picture, question, right answer) goes in, the share that your `ask` gets right comes
# out, a float from 0 to 1.
#
# <details><summary>Hint: comparing words</summary>
#
# `.strip().lower()` on both sides, then `==`. Not `in`: the letters of `red` are `in` "a hundred".
# </details>


# %% exercise="vqa_accuracy"
def vqa_accuracy(examples):
    """The share of questions that load("vqa") answers right.

    examples: a list of (image, question, answer): PIL image, string, string. The model's
        answer is right if it equals that one, apart from capital letters and from spaces around it.

    Returns a float from 0 to 1. Raises ValueError where there are no examples.
    """
    ### BEGIN SOLUTION
    if not examples:
        raise ValueError("vqa_accuracy needs at least one example, but got none")
    right = [ask(image, question)[0].strip().lower() == answer.strip().lower() for image, question, answer in examples]
    return sum(right) / len(right)
    ### END SOLUTION


# %% tests="vqa_accuracy" points=8
checks.nb02.vqa_accuracy(vqa_accuracy)

# %% [markdown]
# Now 240 fresh questions. Beside the accuracy we put a rival who **never looks**: for each question it gives the answer
# that is most often right for that question, counted on a thousand other scenes. "Is there a …?" is answered *yes* half
# of the time, "How many cats are there?" is mostly 1: one can score well with one's eyes shut. That was found out the
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
    captions += [describe(scene, rng)] * 3  # what can be seen, for those who can't see the pictures below
never_looks = sum(blind.get(question) == answer for _, question, answer in examples) / len(examples)
print(f"the specialist: {vqa_accuracy(examples):.0%} of {len(examples)} questions right")
print(f"never looks:    {never_looks:.0%}")

# %% [markdown]
# **Look at the mistakes.** A number says how many, never which. Before you trust or distrust a model, look at what it got
# wrong, with your own eyes. Would you have got it right? Do the mistakes have something in common: counting, or things
# that are half hidden, or *left* and *right*? And watch the number in brackets, the score.

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
# **How sure is it when it is wrong?** For a specialist at work that may be the most important question of all. We sort
# the answers into four groups:
#
# - the right ones, and the wrong ones, to the 240 questions
# - those to questions that have **no answer**, "What colour is the boat?" where there is no boat
# - those to pictures of things it has **never seen**, robots, snowmen and mushrooms; the right word is not on its list
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
# What can one do with such a number? **Let the model stay silent** (*abstain*) when it is low: answer only above a
# threshold, and hand the rest to a person. The higher the threshold, the fewer questions are answered, and the better
# the answers should be. The last two columns show how many of the answers that should never have been given still get
# through. What to expect: a moderate threshold stops nearly all answers to questions that have none, for which the
# model was trained to give low scores. To stop the robots you have to set it so high that many right answers go as
# well.

# %%
print("threshold   answered   right of these   of 'no answer'   of 'never seen'")
for threshold in (0.0, 0.5, 0.8, 0.95, 0.99):
    kept = {name: sum(score >= threshold for score in scores) for name, scores in groups.items()}
    answered = kept["right"] + kept["wrong"]
    of_these = f"{kept['right'] / answered:.0%}" if answered else "–"
    through = [kept[name] / len(groups[name]) for name in ("no answer", "never seen")]
    print(f"{threshold:9.2f} {answered / len(examples):10.0%} {of_these:>16} {through[0]:16.0%} {through[1]:17.0%}")

# %% [markdown]
# A model whose 90 % answers are right in 90 % of the cases is called **calibrated**. Modern networks often are not: they
# are too sure of themselves (Guo et al. 2017). And even one that is calibrated on its own kind of pictures need not be on others: the
# threshold that works on picture-book scenes promises nothing for robots.

# %% [markdown]
# ## Part 7 · A head of your own
#
# *45 minutes*
#
# Suppose you have a question that neither CLIP's words nor the specialist's answer set cover, and two hundred labelled
# pictures. Must you train a transformer? No. Let a trained one look, **keep it frozen**, and train only a head on the
# vectors that it makes of your pictures: these are called its **features**. Ours are CLIP's embeddings. If the head is a
# single linear layer, this is called a **linear probe** (Alain & Bengio 2016). It is used in two ways:
#
# - **as a tool**: a classifier for your own task, trained in a second on a laptop
# - **as a measuring instrument**: a straight cut through the space is all it can do. If that is enough to separate the
#   answers, they must have been in the features already, plain to see
#
# Here is what such a cut has to deal with: the 240 embeddings of Part 4, each 512 numbers, pressed flat onto the two
# directions in which they differ most. A dot is a drawing. We colour the same dots twice: first some of the kinds of
# things, then the styles. What to expect: kinds lie together, each in a corner of its own. The styles don't, all four are
# all over the place. Are they not in the features, then? A flat shadow keeps two directions of 512 (the axes say how
# little of the spread that is), and these two happen to tell *what* is drawn, not *how*. (The second picture may be
# mirrored: a direction has no sign. It is the same cloud.) Keep it in mind.

# %%
features = torch.from_numpy(embedded)
kinds = [each.things[0].kind for each in scenes]
corners = ["cat", "rocket", "ball", "moon"]
show.projection(
    {name: embedded[[kind == name for kind in kinds]] for name in corners}
    | {"all others": embedded[[kind not in corners for kind in kinds]]}
)
show.projection({style: embedded[[each.style == style for each in scenes]] for style in STYLES})

# %% [markdown]
# ### Exercise 7 · `train_head`
#
# *Difficulty ●●●○○ · 25 minutes · 14 points*
#
# Train a linear head. It gets features and the numbers of the right answers; it never sees a picture, and CLIP stays as
# it is. You choose optimizer, learning rate and number of steps. The points are decided on pictures that your head
# has not seen.
#
# <details><summary>Hint 1: the plan</summary>
#
# A `torch.nn.Linear` from the features' width to the number of answers, `answers.max() + 1`. Then the training loop as
# always: `F.cross_entropy(head(features), answers)`, `backward`, `step`, `zero_grad`. All pictures at once: there are
# only a few hundred.
# </details>
#
# <details><summary>Hint 2: which learning rate?</summary>
#
# Embeddings of length 1 in 512 dimensions have tiny numbers, about 0.04 each. The head needs large weights to make
# anything of them. With AdamW a learning rate of 1e-3 is too shy for a few hundred steps; try between 1e-2 and 1e-1.
# Print the loss now and then.
# </details>
#
# <details><summary>Help: "Inference tensors cannot be saved for backward"</summary>
#
# The features were computed under `torch.inference_mode()`. `.clone()` makes ordinary tensors of them.
# </details>
#
# <details><summary>Help: 100 % on my pictures, far less on the others</summary>
#
# With 512 numbers for each picture, almost any 160 points can be separated by a straight cut: your head has learned
# them by heart. Was there a hidden layer in it? Are there too many steps? A little `weight_decay` helps.
# </details>


# %% exercise="train_head"
def train_head(features, answers, *, steps=300):
    """Train a linear probe: one linear layer on features of a frozen model.

    features: float tensor (n, width).
    answers: LongTensor (n,), the number of the right answer to each row, from 0.
    steps: at most so many steps of the optimizer.

    Returns a torch module: features (m, width) → logits (m, answers.max() + 1), linear in the features. Nothing but
    the head is trained; features and answers stay as they are.
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


# %% tests="train_head" points=14
checks.nb02.train_head(train_head)

# %% [markdown]
# Three ways to answer the same question about the same 80 pictures: always say what is most common, zero-shot with
# well-chosen phrases (Part 4), and your probe, trained on the other 160. A fourth question is new: *how many?* What to
# look for: where zero-shot is weak although the probe is strong, the answer was in the features and only the *words* for
# it were missing. Where the probe is weak as well, the answer is not plain to see in these features.

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
# **How many labelled pictures does it take?** That is what one wants to know before one sits down to label. We train
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
# training, of course; but also not when you chose the learning rate or the number of steps. Whoever tries twenty
# learning rates and reports the best number on the test pictures has trained on the test pictures, only slowly. Keep
# three sets: the **training set**; the **validation set**, on which you choose; and the **test set**, which you touch
# once, to report.

# %% [markdown]
# ## Part 8 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="what_ninety_percent_means" points=6
# ### Question 1 · What 90 % means
#
# A friend has trained a specialist like ours for the photos of her museum. She writes: "90 % of 500 questions right, and
# when it is wrong you see it, the scores are low. Next week it goes online, for visitors' own photos." Name three things
# that you would ask her to measure or to change first, and say for each what could go wrong otherwise.
#
# ### BEGIN MARK SCHEME
# 2 points for each of three different and well-founded things (1 for the thing, 1 for what could go wrong), such as
# - the blind guess beside the accuracy (majority answer for each question): 90 % may be little, if most answers are "yes"
# - questions and pictures that had no part in training or in choosing settings: else the number is too good
# - visitors' photos are another world: confidence and accuracy were measured on museum photos, and say nothing there
# - the closed answer set: what is not in it gets a wrong word, perhaps with a high score; a way to say "I don't know"
# - the scores of wrong answers as a distribution, or calibration, not an impression; a threshold chosen on held-out data
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# First, how good is a guess that never looks, giving each question's most common answer? If most of the 500 questions
# are yes-or-no questions with answer "yes", 90 % may be hardly better than that. Second, are the 500 questions really
# fresh? If their photos were in training, or if they were used to choose the settings, the number is too good. Third,
# visitors bring photos from outside: of dogs and lunches that have no word in the answer set. The model will say some word
# all the same, and its score has a meaning only on photos like those it was trained on. I would collect some visitors'
# photos, look at the scores of wrong answers and of those outside the set, choose a threshold on part of them, and let
# the model say "I don't know" below it.
# ### END SOLUTION

# %% [markdown] written="which_tool" points=6
# ### Question 2 · Which tool?
#
# Zero-shot with CLIP, a linear probe, or a VQA model that reads picture and question together: which would you take, and
# why? **(a)** Sort 10,000 holiday photos into beach, mountains and city, by tonight. **(b)** A tile factory has 300
# photos in four classes of faults, which are called F1 to F4. **(c)** A shop asks of each photo of a shelf: "Is the red box left of
# the blue one?", and tomorrow something else.
#
# ### BEGIN MARK SCHEME
# - (a) 1 point: zero-shot. 1 point: there are no labels, and the classes are words that captions use
# - (b) 1 point: linear probe. 1 point: labels are there, names without a meaning in captions can't be zero-shot; 300 are
#   enough for a linear head on frozen features, not for training a transformer
# - (c) 1 point: VQA. 1 point: the question changes from picture to picture and needs relation and binding of colours;
#   one vector for the picture, made without knowing the question, does not suffice
# - another choice with a sound reason gets the points as well
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# (a) Zero-shot: there are no labels and no time, and "a photo of a beach" is just the kind of phrase CLIP has read in
# captions. I would try a few wordings on twenty photos. (b) A linear probe: "F3" means nothing to a text tower, so
# zero-shot is out; but there are 300 labels, and a linear layer on frozen features needs no more. I would keep some of
# the photos to measure. (c) A VQA model: the answer depends on the question, and on which colour belongs to which box and
# where each stands. A model that sees picture and words together can look for it; CLIP's single vector was made before
# the question was known, and a probe would have to be trained anew for each question.
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Thirteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget; importing it twice does not double your cards.

# %%
cards = flashcards.find("02_vqa_specialist")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "vqa_specialist.apkg")
print("Wrote vqa_specialist.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Pictures of the first layer.** Each row of `first_layer.weight` is a tiny picture, as large as a patch, with
#   three channels: what that number of a patch's vector looks for. Scale some to −1 … 1 and show them with `show.to_pil`.
# - **A harder game.** Write captions that differ in one word ("a red cat left of a blue house", "a blue cat left of a red
#   house") and look at the matrix. Why does CLIP find these hard? (Think of what it needs to win its game in training.)
# - **Several wordings.** Average the embeddings of five phrases for each class, bring the mean to length 1, and measure
#   zero-shot again. The CLIP paper calls this an ensemble of prompts.
# - **The language prior.** Cover the picture: ask the specialist the 240 questions of Part 6 about a grey square. How far
#   above chance is it? Compare with the rival who never looks.
# - **Calibration.** Sort the 240 answers into five groups by score, and plot the share of right answers over the mean
#   score of each group. Where does your curve leave the diagonal?
# - **A head that reads.** Put CLIP's embedding of a question beside that of the picture, and train a head on both. Why can
#   a *linear* head not make use of the question? What is the smallest change that lets it?
# - **The real thing.** With `COURSE_PROFILE=full` the same code runs on OpenAI's CLIP and on a ViLT with 3,129 answers.
#
# ### References
#
# - Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, [arXiv:2010.11929](https://arxiv.org/abs/2010.11929): the vision transformer
# - Jain & Wallace 2019, *Attention is not Explanation*, [arXiv:1902.10186](https://arxiv.org/abs/1902.10186)
# - van den Oord, Li & Vinyals 2018, *Representation Learning with Contrastive Predictive Coding*, [arXiv:1807.03748](https://arxiv.org/abs/1807.03748): InfoNCE
# - Radford et al. 2021, *Learning Transferable Visual Models From Natural Language Supervision*, [arXiv:2103.00020](https://arxiv.org/abs/2103.00020): CLIP
# - Antol et al. 2015, *VQA: Visual Question Answering*, [arXiv:1505.00468](https://arxiv.org/abs/1505.00468): the task
# - Goyal et al. 2017, *Making the V in VQA Matter*, [arXiv:1612.00837](https://arxiv.org/abs/1612.00837): answers without looking
# - Kim, Son & Kim 2021, *ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision*, [arXiv:2102.03334](https://arxiv.org/abs/2102.03334)
# - Guo et al. 2017, *On Calibration of Modern Neural Networks*, [arXiv:1706.04599](https://arxiv.org/abs/1706.04599)
# - Alain & Bengio 2016, *Understanding Intermediate Layers Using Linear Classifier Probes*, [arXiv:1610.01644](https://arxiv.org/abs/1610.01644)
