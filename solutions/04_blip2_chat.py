# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Chat with BLIP-2: a language model learns to see
#
# A language model has read a lot and seen nothing. A vision model sees and cannot speak. BLIP-2 puts a small translator
# between the two, and the result looks at a picture, describes it, and answers questions about it. In this notebook you
# follow a picture all the way: from pixels to vectors, from vectors to sixteen "words" that are in no dictionary, and
# from there to a sentence. You switch these words off one by one to find out what each of them carries. At the end you
# chat with the model about a picture.
#
# The models here are small and know only a picture-book world of cats, boats and rockets, so everything runs in seconds
# on a laptop. They are built like the BLIP-2 of the paper: the same classes and the same steps, with far fewer
# parameters. (They were trained a little differently. Part 2 explains how.)
#
# **When you are done, you can**
#
# - say how a text becomes tokens, and read the Ġ in them
# - explain what the vision model, the Q-Former and the language model each do, and what goes in and comes out
# - compute the soft prompts of a picture, and hand them to a language model yourself
# - find out which part of a model carries which fact, by switching parts off
# - write captions, and answers to questions, with the processor and `generate`
# - give a memory to a model that forgets everything, and say where that memory is and where it ends
# - talk about a picture in a chat window
#
# **What you need**: Python functions and classes, tensors in PyTorch (shapes, matrix products). Attention is explained
# where it comes up. Notebooks 02 and 03 help, but you can do without them. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Text in pieces | 25 | 4 |
# | 2 The Q-Former: sixteen questions about a picture | 25 | |
# | 3 Soft prompts | 35 | 20 |
# | 4 Which query carries what? | 35 | 18 |
# | 5 Captions, and an inkblot | 30 | 11 |
# | 6 Questions and answers | 30 | 17 |
# | 7 A memory | 45 | 20 |
# | 8 The chat window | 10 | |
# | 9 Two questions, flashcards, going further | 25 | 10 |
#
# **How the exercises work.** Each is a function (the last is a class) with a docstring that says what it must do. Put
# your code in the place of the line `raise NotImplementedError(…)`. The cell below it tries your function in several
# cases, lists which of them passed and what each is worth, and explains what is wrong in a sentence. The points are
# decided by the same cases on other inputs. Every exercise has hints that unfold, and ● to ●●●●● shows how hard it is.
# If you are stuck, `checks.borrow("complete")` lends you the course's version of that exercise, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `readable` and `soft_prompts` in Parts 3 to 6,
# `complete` in `answer` and in Part 7, `chat_prompt` in the `Conversation`.

# %% [markdown]
# ## Set-up
#
# The first cell fetches the course if it is missing, the second loads what the notebook uses. `helpers` is the course's
# small library, made to be read: `show.gallery??` in a cell shows the code of that function.

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
from collections import Counter
from random import Random
from threading import Thread

import matplotlib.pyplot as plt
import torch
from transformers import TextIteratorStreamer

from helpers import checks, flashcards, show, widgets
from helpers.models import load
from helpers.picturebook import (
    COLOURS,
    KINDS,
    PLACES,
    SIZES,
    STYLES,
    Scene,
    Thing,
    describe,
    draw,
    questions,
    random_scene,
    read_caption,
    with_article,
)
from helpers.ready import ready_to_hand_in
from helpers.settings import settings

model, processor = load("blip2")
tokenizer = processor.tokenizer

print(f"Profile: {settings.profile}. The models run on: {settings.device}.")
for name in ("vision_model", "qformer", "language_model"):
    part = getattr(model, name)
    millions = sum(p.numel() for p in part.parameters()) / 1e6
    print(f"{name:15} {type(part).__name__:18} {millions:8.1f} million parameters")

# %% [markdown]
# ### Before you start: three questions about notebook 03
#
# Answer each aloud before you unfold it. If one is new to you, you can still go on. The parts that you need come up
# again here.
#
# <details><summary>1. What goes into LLaVA's projector, what comes out, and why is it needed?</summary>
#
# The vectors of the vision tower go in, one for each patch. As many vectors come out, with the width of the language
# model's embeddings. The language model's layers can only take vectors of that width, and they must lie where its
# layers can make sense of them.
# </details>
#
# <details><summary>2. In training, the labels of the question's tokens are −100. What does that do?</summary>
#
# The loss leaves these positions out. So the model learns to write the answer, and not to write the question.
# </details>
#
# <details><summary>3. A model says that there is a cat where there is none. Why, and how can you measure it?</summary>
#
# It writes what is likely after the text so far, and "yes" may be likely whatever the picture shows. Ask about things
# that are absent, and count how often it says that they are there: that is the hallucination rate.
# </details>

# %% [markdown]
# ## Part 1 · Text in pieces
#
# *25 minutes*
#
# A language model reads neither letters nor words. It reads **tokens**: pieces of text from a fixed list, its
# vocabulary. Each token has a number, and the number is all that the model gets. Here is a sentence as our model reads
# it. What do you notice? Look at how the tokens begin, and at which words are a single token and which are in pieces.

# %%
text = "Question: What colour is the large cat? Answer: red."
tokens = tokenizer.tokenize(text)
show.tokens(tokens, tokenizer.convert_tokens_to_ids(tokens))
print(f"{len(text)} characters, {len(tokens)} tokens. The vocabulary has {len(tokenizer):,} tokens.")

# %% [markdown]
# That strange **Ġ** stands where a space was. The space is part of the token that follows it: `Ġcat` is *cat after a
# space*. At the start of a text, or right after other letters, *cat* becomes other tokens with other numbers. This way
# nothing gets lost. Join the tokens, put spaces where the Ġ are, and you have the very same text again, to the last
# space. Nobody has to guess where the spaces were.

# %%
for text in ("cat", " cat", "a cat", "a  cat", "redcat"):
    print(f"{text!r:10} → {tokenizer.tokenize(text)}")

# %% [markdown]
# And why Ġ, of all letters? The tokenizer works on **bytes**, the numbers from 0 to 255 that files are made of. So it
# can spell *every* text, in any language, emoji included, even if it has never met it: in the worst case byte by byte.
# But some bytes have no printable character, and the space (number 32) is one of them. To be able to write them down,
# GPT-2's authors gave these bytes, one after another, the characters from number 256 on. Byte 0 got number 256, byte 1
# number 257, and so the space, byte 32, got number 288, which happens to be Ġ. A line end (byte 10) becomes Ċ.

# %%
print(f"space → {chr(32 + 256)}   line end → {chr(10 + 256)}\n")
for text in ("a red cat\na blue boat", "an axolotl", "señor 🐸"):
    print(
        f"{text!r:26} {len(text.encode()):3} bytes → {len(tokenizer.tokenize(text)):2} tokens:",
        tokenizer.tokenize(text),
    )

# %% [markdown]
# Where does the vocabulary come from? From counting. **Byte pair encoding** (BPE, Sennrich et al. 2016) starts with
# single characters, in GPT-2's version with single bytes. It looks for the most frequent pair of neighbours in a large
# pile of text, merges it into a new token, and repeats, until the vocabulary is as large as wanted. Frequent words end
# up as one token, rare ones stay in pieces. The cell below does the first rounds on 300 captions of our world. Watch
# words grow.

# %%
rng = Random(0)
captions = [describe(random_scene(rng), rng) for _ in range(300)]
words = Counter(word for text in captions for word in text.replace(" ", " Ġ").split(" "))
pieces = {word: list(word) for word in words}
for round_ in range(1, 25):
    pairs = Counter()
    for word, times in words.items():
        for pair in zip(pieces[word], pieces[word][1:]):
            pairs[pair] += times
    left, right = pairs.most_common(1)[0][0]
    for word, old in pieces.items():
        new = old[:1]
        for piece in old[1:]:
            if (new[-1], piece) == (left, right):
                new[-1] = left + right
            else:
                new.append(piece)
        pieces[word] = new
    print(f"{f'{round_:2}. {left} + {right} → {left + right}':28}", end="" if round_ % 3 else "\n")

# %% [markdown]
# ### Exercise 1 · `readable`
#
# *Difficulty ●○○○○ · 5 minutes · 4 points*
#
# Tokens with Ġ are hard on the eyes. Write a function that shows each Ġ as `_`, so that you see at once where a space
# belongs to a token. Everything else stays as it is.
#
# <details><summary>Hint: one string or many?</summary>
#
# A list comes in and a list goes out, with one string for each token. A list comprehension with `str.replace` does it.
# </details>
#
# <details><summary>Help: I can't type Ġ on my keyboard</summary>
#
# Copy it from here, or write `"\u0120"`: 0x120 is 288, which is 32 + 256.
# </details>


# %% exercise="readable"
def readable(tokens):
    """Show the spaces in byte-level tokens.

    Args:
        tokens: a list of strings, as `tokenizer.tokenize` gives them. It is left unchanged.

    Returns:
        A list of the same length, with each Ġ replaced by "_" and everything else as it was.
    """
    ### BEGIN SOLUTION
    return [token.replace("Ġ", "_") for token in tokens]
    ### END SOLUTION


# %% tests="readable" points=4
checks.nb04.readable(readable)

# %% [markdown]
# Look at a few texts with your function. The number of tokens matters more than the number of words: a language model's
# context is measured in tokens, and so is the bill for a paid one.

# %%
for text in ("a large red cat, on a meadow", "an inkblot", "Who painted the Mona Lisa?"):
    tokens = readable(tokenizer.tokenize(text))
    print(f"{len(tokens):2} tokens: {' '.join(tokens)}")

# %% [markdown]
# ## Part 2 · The Q-Former: sixteen questions about a picture
#
# *25 minutes*
#
# Now the picture. A **vision model** (the same kind of vision transformer as in CLIP) cuts it into patches and gives
# one vector for each, plus one for the whole. These vectors encode what is in the picture. But the language model has
# never met anything like them, so to it they are noise. And there are many of them.
#
# The obvious idea is to train both models until they understand each other. The BLIP-2 paper could not afford that: its
# language models had up to 11 billion parameters. So it leaves both models **frozen**, as they are, and trains a small
# translator between them, the **Q-Former** ("querying transformer"):

# %%
config = model.config
side = config.vision_config.image_size // config.vision_config.patch_size
stages = [
    ("picture", f"{config.vision_config.image_size} × {config.vision_config.image_size} pixels", "#dddddd"),
    ("vision model", f"{side * side + 1} vectors\nof {config.vision_config.hidden_size} numbers", "#a8cdf0"),
    ("Q-Former", f"{config.num_query_tokens} vectors\nof {config.qformer_config.hidden_size} numbers", "#f6c28b"),
    ("projection", f"{config.num_query_tokens} vectors\nof {config.text_config.hidden_size} numbers", "#f6c28b"),
    ("language model", "text", "#b5dfb0"),
]
show.chain(stages, "The way through BLIP-2")

# %% [markdown]
# **Where does a vision model come from?** Usually from training as in CLIP (notebook 02), and ours is the vision tower
# of the course's mini CLIP. OpenAI published CLIP's weights in 2021, but neither its 400 million pairs of picture and
# text nor the code that trained it. **OpenCLIP** is the open counterpart: code that trains CLIP models, and many models
# trained with it on public collections of pictures such as LAION-2B and DataComp, some of them larger than OpenAI's.
# You load one with `open_clip.create_model_and_transforms("ViT-B-32", pretrained="laion2b_s34b_b79k")`. Since its data
# and recipes are open, others could measure how CLIP improves with more data and larger models (Cherti et al. 2022),
# and build on it: Stable Diffusion 2 reads its prompts with a text encoder from OpenCLIP, and SDXL with two encoders,
# one from OpenCLIP and one from OpenAI.
#
# How does the Q-Former translate? It asks its own questions. It has a few learned vectors, the **queries**. Ours has
# sixteen, the paper's has 32. They are the same for every picture. In **cross-attention** each query goes to the
# vectors of the picture and asks each of them: *do you have something for me?* The dot product of a query $q$ with a
# patch's key $k$ says how well they fit. (A **key** is what a patch offers, made from its vector by a learned matrix.
# What it hands over, its **value**, is made by another.) A softmax turns these numbers into weights that sum to 1, and
# the query takes home the patches' values in these proportions:
#
# $$\text{weights} = \operatorname{softmax}\!\left(\frac{q \cdot k}{\sqrt d}\right)$$
#
# In **self-attention** the queries then exchange what they found, so that they do not all bring home the same thing.
# After a few such layers each query is a vector that holds what it found.
#
# We can watch them. The code below attaches hooks to the layers that make $q$ and $k$, shows the model a picture, and
# computes the weights from what the hooks recorded. Each picture is bright where its query looks.


# %%
@torch.no_grad()
def where_queries_look(image, layer=-1):
    """The cross-attention weights of one layer, mean over its heads: tensor (queries, rows, columns)."""
    layers = [each for each in model.qformer.encoder.layer if each.has_cross_attention]
    attention, recorded = layers[layer].crossattention.attention, {}
    hooks = [
        linear.register_forward_hook(lambda linear, inputs, output, name=name: recorded.update({name: output}))
        for name, linear in (("q", attention.query), ("k", attention.key))
    ]
    model.generate(**processor(images=image, return_tensors="pt").to(model.device, model.dtype), max_new_tokens=1)
    for hook in hooks:
        hook.remove()

    heads = model.config.qformer_config.num_attention_heads
    q, k = (recorded[name].unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("q", "k"))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(1)[0]
    return weights[:, 1:].unflatten(-1, (side, side))  # without the vector for the whole picture


size = config.vision_config.image_size
on_box = Scene((Thing("bird", "blue", "small"), Thing("box", "red")), relation="on", place="meadow", layout=0)
by_sea = Scene((Thing("star", "white", "small"), Thing("boat", "yellow")), relation="above", place="sea", layout=3)
bird, boat = draw(on_box, size=size), draw(by_sea, size=size)
bird_alt = "a small blue bird on a large red box, on a meadow"
boat_alt = "a small white star above a large yellow boat, on the sea"
shown = [i for i in (0, 3, 13, 14) if i < config.num_query_tokens]
rows = []
for image in (bird, boat):
    looks = where_queries_look(image)
    rows.append([image, *(show.spotlight(image, looks[i]) for i in shown)])
show.grid(
    rows,
    ["bird on a box", "star above a boat"],
    ["the picture", *(f"query {i}" for i in shown)],
    alt="a picture, or the same picture dark except where a query looks in the last layer",
    width=150,
)

# %% [markdown]
# Compare the two rows. Query 0 sits on the bird in one picture and on the star in the other: it moves to the *thing*
# that the caption names first. Query 3 goes to the other thing, the box or the boat. Query 13 looks at the ground and
# the water, to find out the *place*. Query 14 looks mostly at the background, because lines and shades there show the
# *style*.
#
# Who gave them these roles? In the paper nobody did: its queries were trained to match each picture with its text and
# to help write that text, and they found out by themselves what is worth asking. Our mini model had little time, so we
# helped. In its training query 0 had to name the first thing with its colour, query 3 the second thing, query 12 their
# relation, query 13 the place and query 14 the style. Number 15 was left free. (There is a second difference: our
# language model is so small that it was not frozen, but trained along with the rest.)
#
# Try `where_queries_look(image, layer=0)[i]` above: in the first layer a query has seen nothing of the picture yet.
# Does it know already where to look?
#
# The Q-Former is a **bottleneck**, and on purpose. Whatever is not in these few vectors, the language model will never
# know. In return it has only sixteen vectors to read, however large the picture is.

# %% [markdown]
# ## Part 3 · Soft prompts
#
# *35 minutes*
#
# One step is missing. The language model turns each token's number into a vector, its **embedding**, and all its layers
# work on these vectors. It does not check where a vector comes from! So we may put our own vectors in front, where
# embeddings of words would stand. A linear layer, the **projection**, gives the queries' vectors the right width, and
# there they are:
#
# $$\underbrace{s_1\; s_2\; \dots\; s_{16}}_{\text{from the picture}}\;\; \underbrace{e_\text{Question}\; e_\text{:}\; e_\text{\_What}\; \dots}_{\text{from the text}}$$
#
# They are called **soft prompts**: prompts, because they stand in front and prepare the model for what the text is
# about, and soft, because they are not tokens from a list. They can take any value, so they can be learned by gradient
# descent.

# %% [markdown]
# ### Exercise 2 · `soft_prompts`
#
# *Difficulty ●●●○○ · 25 minutes · 20 points*
#
# Compute the soft prompts of a picture from the model's parts. Don't call the model itself.
#
# | part | what goes in | what comes out |
# |---|---|---|
# | `model.vision_model(pixel_values)` | pixels (batch, 3, height, width) | an object with `last_hidden_state` (batch, patches + 1, width) |
# | `model.query_tokens` | | the learned queries, (1, queries, width of the Q-Former) |
# | `model.qformer(query_embeds=…, encoder_hidden_states=…)` | queries, and what they look at | an object with `last_hidden_state` (batch, queries, width of the Q-Former) |
# | `model.language_projection(…)` | (…, width of the Q-Former) | (…, width of the language model) |
#
# <details><summary>Hint 1: the plan</summary>
#
# Three lines: the picture through the vision model, the queries through the Q-Former with the picture's vectors as
# `encoder_hidden_states`, and the result through the projection. Then take the one picture out of the batch.
# </details>
#
# <details><summary>Hint 2: last_hidden_state or pooler_output?</summary>
#
# `pooler_output` is one vector for the whole picture. The queries choose among the patches, so they need them all.
# </details>
#
# <details><summary>Help: "mat1 and mat2 shapes cannot be multiplied"</summary>
#
# Some part got vectors of the wrong width. Print the shapes after each step. The picture's vectors belong in the
# Q-Former, not in the projection.
# </details>
#
# <details><summary>Help: it works here, but the check reports a wrong width</summary>
#
# In our mini model the Q-Former and the language model happen to have the same width, so a forgotten projection makes
# no error here. The check takes a model in which all widths differ.
# </details>


# %% exercise="soft_prompts"
@torch.no_grad()
def soft_prompts(model, pixel_values):
    """Compute what BLIP-2's language model gets of a picture (Li et al. 2023): vision model → Q-Former → projection.

    Uses the model's parts and never calls the model as a whole.

    Args:
        model: a Blip2ForConditionalGeneration with any number of queries. In half precision, as on a graphics card, its
            Q-Former is still in float32, so its output has to be brought to the projection's dtype.
        pixel_values: one picture as the processor gives it, tensor (1, 3, height, width). It is left unchanged.

    Returns:
        A tensor (number of queries, width of the language model), without a batch dimension.
    """
    ### BEGIN SOLUTION
    seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found.to(model.language_projection.weight.dtype))[0]
    ### END SOLUTION


# %% tests="soft_prompts" points=20
checks.nb04.soft_prompts(soft_prompts)

# %% [markdown]
# Is that really *all* that the language model gets of the picture? Let us take BLIP-2 apart and drive the language
# model alone. It gets your soft prompts, then the token that starts a text (in OPT, the language model of BLIP-2, it is
# `</s>`, which also ends one), and continues from there. If you are right, it writes the same as BLIP-2 in one piece.


# %%
def pixels_of(image):
    return processor(images=image, return_tensors="pt")["pixel_values"].to(model.device, model.dtype)


@torch.no_grad()
def in_front_of(prompts, text=""):
    """Soft prompts (n, queries, width), the token that starts a text, and the text, as embeddings: n equally long rows."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[config.text_config.bos_token_id, *ids]], device=model.device)
    words = model.get_input_embeddings()(ids)
    return torch.cat([prompts, words.expand(len(prompts), -1, -1)], dim=1)


def write(prompts):
    """The captions that the language model writes after soft prompts (n, queries, width): a list of n strings."""
    written = model.language_model.generate(inputs_embeds=in_front_of(prompts), max_new_tokens=40, do_sample=False)
    return [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]


in_one_piece = model.generate(pixel_values=pixels_of(bird), max_new_tokens=40, do_sample=False)
print("by hand:     ", *write(soft_prompts(model, pixels_of(bird))[None]))
print("in one piece:", tokenizer.decode(in_one_piece[0], skip_special_tokens=True).strip())

# %% [markdown]
# Two equal lines. From the projection on, BLIP-2 *is* a language model with strange words in front.
#
# What do these words mean? We can ask which token's embedding points most nearly in the direction of each soft prompt,
# and how nearly: the cosine is 1 for the same direction, 0 for a right angle. Don't expect a sentence. Nothing in the
# training asks soft prompts to lie near words. They only have to make the language model write the right thing
# afterwards, and there is much more room between the words than on them. So most cosines are small, and most words have
# nothing to do with the picture.

# %%
table = torch.nn.functional.normalize(model.get_input_embeddings().weight.float(), dim=-1)
for name, image in (("bird, on a meadow", bird), ("boat, on the sea", boat)):
    prompts = torch.nn.functional.normalize(soft_prompts(model, pixels_of(image)).float(), dim=-1)
    likeness, nearest = (prompts @ table.T).max(-1)
    words = readable(tokenizer.convert_ids_to_tokens(nearest.tolist()))
    print(f"{name}: for each soft prompt its number, the nearest token and the cosine")
    show.tokens([f"{i}: {word} {cosine:.2f}" for i, (word, cosine) in enumerate(zip(words, likeness.tolist()))])

# %% [markdown]
# ## Part 4 · Which query carries what?
#
# *35 minutes*
#
# The bright patches of Part 2 suggest that query 0 deals with the first thing and query 13 with the place. But looking
# is not the same as carrying. A query may look at the sky and pass on nothing about it. And since the queries exchange
# what they found, one of them may carry what another one saw. To learn what a part of a machine does, switch it off and
# see what breaks. In machine learning this is called an **ablation**.
#
# How do you switch a soft prompt off? If you take it out, all the others move up, and the language model meets them in
# places where it does not expect them. If you set it to zero, it meets a vector unlike any it has seen. So put
# something there that looks usual and carries nothing in particular: the **mean soft prompt**, which is the mean of all
# soft prompts of the same picture. With four queries, and query 2 switched off:
#
# | position | 0 | 1 | 2 | 3 |
# |---|---|---|---|---|
# | all queries on | $s_0$ | $s_1$ | $s_2$ | $s_3$ |
# | without query 2 | $s_0$ | $s_1$ | $m$ | $s_3$ |
#
# $$m = \frac{s_0 + s_1 + s_2 + s_3}{4}$$
#
# The mean is taken over *all* queries of the picture, those that are switched off included, and it stays the same
# however many you switch off.
#
# ### Exercise 3 · `without_queries`
#
# *Difficulty ●●○○○ · 15 minutes · 18 points*
#
# Compute the soft prompts of a picture, with some of the queries switched off.
#
# <details><summary>Hint 1: the plan</summary>
#
# Check the indices first, and refuse any that do not belong to a query. Then call your `soft_prompts`, take the mean
# over the queries, make a copy, and write the mean into the copy's rows.
# </details>
#
# <details><summary>Hint 2: several rows at once</summary>
#
# A tensor can be indexed with a list: `changed[[1, 4]] = mean` writes the vector `mean` into rows 1 and 4. An empty
# list changes nothing.
# </details>
#
# <details><summary>Help: one query works, two are slightly off</summary>
#
# You probably take the mean again after the first row has been replaced. Take it once, before you replace anything.
# </details>
#
# <details><summary>Help: "shape mismatch", or all values of a row are the same number</summary>
#
# `prompts.mean()` is one number, and `prompts.mean(dim=1)` has one number for each query. The mean soft prompt has the
# width of the language model: the mean runs over the queries, `dim=0`.
# </details>


# %% exercise="without_queries"
def without_queries(model, pixel_values, indices):
    """Compute a picture's soft prompts with some queries switched off.

    The soft prompts of the given queries are replaced by the mean soft prompt: the mean over all queries of this
    picture, as they were before anything was replaced. The others stay as `soft_prompts` gives them.

    Args:
        model: a Blip2ForConditionalGeneration with any number of queries.
        pixel_values: one picture as the processor gives it, tensor (1, 3, height, width). It is left unchanged.
        indices: the queries to switch off, a list of integers from 0 to the number of queries − 1. It may be empty, and
            it is left unchanged.

    Returns:
        A tensor (number of queries, width of the language model), like that of `soft_prompts`.

    Raises:
        ValueError: the model has no query with one of these indices. Negative ones are refused, too.
    """
    ### BEGIN SOLUTION
    prompts = soft_prompts(model, pixel_values)
    if unknown := [index for index in indices if not 0 <= index < len(prompts)]:
        raise ValueError(f"There are no queries {unknown}. They are numbered from 0 to {len(prompts) - 1}.")
    changed = prompts.clone()
    changed[list(indices)] = prompts.mean(dim=0)
    return changed
    ### END SOLUTION


# %% tests="without_queries" points=18
checks.nb04.without_queries(without_queries)

# %% [markdown]
# Now switch the queries off, one at a time, and let the model describe the two pictures again. The cell prints only the
# captions that change. Before you run it: which words will change without query 0, and which without query 13?

# %%
every_query = range(config.num_query_tokens)
for name, image in (("bird", bird), ("boat", boat)):
    pixels = pixels_of(image)
    usual, *changed, blind = write(
        torch.stack(
            [without_queries(model, pixels, off) for off in ([], *([i] for i in every_query), list(every_query))]
        )
    )
    print(f"{name}, all queries on:  {usual}")
    for i, text in enumerate(changed):
        if text != usual:
            print(f"   without query {i:2}:    {text}")
    print(f"   without any query:   {blind}\n")

# %% [markdown]
# Two pictures give only an impression. To measure, we need many pictures and facts that can be counted. The next cell
# draws 16 pictures with one or two things of one kind, and reads six facts out of each caption: kind, colour, size,
# number, place and style. It does so with all queries on, then with each query off, and then with four groups of
# queries off. The heat map shows **how many percentage points of accuracy each fact loses**. A caption that can't be
# read counts as wrong for all six facts.


# %%
FACTS = ("kind", "colour", "size", "number", "place", "style")


def facts_of(scene):
    """The facts about a scene with things of one kind, in the order of FACTS. None for each if there is no scene."""
    if scene is None:  # the caption could not be read
        return [None] * len(FACTS)
    thing = scene.things[0]
    return [thing.kind, thing.colour, thing.size, thing.count, scene.place, scene.style]


kept = (0, 1, 2, 13, 14)
switched_off = {str(i): [i] for i in every_query} | {
    "0 to 2": [0, 1, 2],
    "3 to 11": list(range(3, 12)),
    "0 to 11": list(range(12)),
    "all but 0, 1, 2, 13, 14": [i for i in every_query if i not in kept],
}
rng, pictures = Random(0), 16
right = torch.zeros(1 + len(switched_off), len(FACTS))
for _ in range(pictures):
    thing = Thing(rng.choice(KINDS), rng.choice(COLOURS), rng.choice(SIZES), rng.choice((1, 2)))
    scene = Scene((thing,), rng.choice(PLACES), rng.choice(STYLES), layout=rng.randrange(1000))
    pixels = pixels_of(draw(scene, size=size))
    texts = write(torch.stack([without_queries(model, pixels, off) for off in ([], *switched_off.values())]))
    right += torch.tensor([[a == b for a, b in zip(facts_of(read_caption(text)), facts_of(scene))] for text in texts])

accuracy = 100 * right / pictures
print("all queries on:", ", ".join(f"{fact} {share:.0f} %" for fact, share in zip(FACTS, accuracy[0].tolist())))
lost = accuracy[0] - accuracy[1:]
figure, axes = plt.subplots(figsize=(7, 7))
axes.imshow(lost, cmap="Blues", vmin=0, vmax=100, aspect="auto")
for i, row in enumerate(lost.tolist()):
    for j, points in enumerate(row):
        axes.text(j, i, f"{points:.0f}", ha="center", va="center", color="white" if points > 55 else "black")
axes.axhline(len(every_query) - 0.5, color="grey")
axes.set(xticks=range(len(FACTS)), xticklabels=FACTS, yticks=range(len(lost)), yticklabels=switched_off)
axes.set(ylabel="queries that are switched off", title="Percentage points of accuracy lost")
most = ", ".join(
    f"{fact} {lost[: len(every_query), j].max():.0f} without query {lost[: len(every_query), j].argmax()}"
    for j, fact in enumerate(FACTS)
)
alt = "A heat map with a row for each query and for four groups of queries, and a column for each fact."
show.plot(figure, f"{alt} The most points that a fact loses when a single query is switched off: {most}.", width=640)

# %% [markdown]
# Read the columns of the upper part first. The *place* is lost without query 13, and most of the *style* without query
# 14. No other query can stand in for them: these two are **necessary**. The *kind* and the *colour* suffer somewhat
# without query 0, and the *size* and the *number* hardly at all, whichever single query is missing. Does no query carry
# them?
#
# The groups answer that. Without queries 0 to 11 the thing is mostly lost, but much of it survives without 0 to 2, and
# all of it without 3 to 11. So several queries carry the same fact, and one can stand in for another. The number even
# survives without all twelve, so there must be yet another copy. (The mean soft prompt is not quite empty either. It
# contains a sixteenth of each soft prompt.) The last row shows that five queries are **sufficient**: with all the
# others off, nothing is lost.
#
# Keep this in mind whenever somebody switches off a part of a network, sees no effect, and concludes that the part does
# nothing. There may be a second copy.
#
# ### Alternatives to the Q-Former
#
# Few of today's models have a Q-Former. What do they use instead?
#
# | connector | how it works | image tokens | models |
# |---|---|---|---|
# | Q-Former | learned queries, trained in a stage before the language model joins in | few and fixed: 32 | BLIP-2 (2023). In InstructBLIP (2023) the queries also see the question |
# | Perceiver resampler | learned queries, too, but trained with the language model's loss from the start | few and fixed: 64 in Flamingo | Flamingo (2022), Idefics2 (2024), xGen-MM, also called BLIP-3 (2024) |
# | MLP | each patch's vector is projected, and none is left out | one for each patch: 576 in LLaVA-1.5 | LLaVA-1.5 (2023) |
# | MLP with pixel shuffle | four, nine or sixteen neighbouring patches become one longer vector, then the MLP projects it | a quarter, a ninth or a sixteenth of the patches, so more for a larger picture | InternVL 1.5, Qwen2-VL, Idefics3 (2024), SmolVLM, Qwen3-VL (2025) |
#
# Why did the field move on?
#
# - **Queries are chosen before the question is known.** Ours carry what their training asked for. The text on a sign,
#   the seventh bird or an exact position has no query, so it is lost. With an MLP every patch arrives, and the language
#   model decides what it needs when it reads the question.
# - **A Q-Former has to be trained first**, on many pairs of picture and text: 129 million pictures in the paper. LLaVA
#   showed that much less is enough. Its projector was trained on 595,000 pairs, in a few hours on eight GPUs, and then
#   together with the language model on instructions.
# - **Context has become cheap.** Many open language models of early 2023 could read 2,048 tokens, and 576 of them for
#   one picture were expensive. Qwen3-VL reads 256,000.
# - **Pixel shuffle keeps neighbours together.** It shortens the prompt without choosing: what was in the top left
#   corner is still there. You can write it yourself in notebook 03.
#
# A small, fixed number of queries is still a good choice where the prompt has to stay short whatever comes in: for a
# video of many frames, or on a phone.

# %% [markdown]
# ## Part 5 · Captions, and an inkblot
#
# *30 minutes*
#
# A language model does one thing: given the text so far, it gives every token of its vocabulary a probability of coming
# next. Here are these probabilities at two places: at the very start, with nothing but the picture, and after the words
# "a small blue". A caption begins with "a" or with a number, so expect little doubt at the start. What comes after
# "blue" can only be known from the picture. How sure is the model that this is a bird?

# %%
for start, where in (("", "the picture"), ("a small blue", "the picture and “a small blue”")):
    with torch.no_grad():
        vectors = in_front_of(soft_prompts(model, pixels_of(bird))[None], start)
        logits = model.language_model(inputs_embeds=vectors).logits[0, -1]
    best = logits.float().softmax(-1).topk(4)
    words = readable(tokenizer.convert_ids_to_tokens(best.indices.tolist()))
    show.bars(dict(zip(words, best.values.tolist())), f"the next token after {where}")

# %% [markdown]
# To write a text, take a token, append it to the text, ask again, and so on, until the model chooses `</s>`, *the end*.
# (Such a token, which stands for no letters, is called a **special token**.) Which token to take? **Greedy** decoding
# takes the most likely one every time (`do_sample=False`), so the same picture always gets the same caption.
# **Sampling** picks at random, with these probabilities, which is more varied and more often wrong. For captions that
# can be graded, we decode greedily.
#
# `model.generate` runs this loop, and the **processor** prepares what goes in: it resizes the picture, scales its
# pixels as in the training, and turns the text into token numbers.

# %%
inputs = processor(images=bird, return_tensors="pt")
for name, tensor in inputs.items():
    print(f"{name}: {tuple(tensor.shape)}, from {tensor.min():.2f} to {tensor.max():.2f}")

# %% [markdown]
# ### Exercise 4 · `caption`
#
# *Difficulty ●●○○○ · 10 minutes · 11 points*
#
# Write the function that describes a picture: processor, `generate`, and tokens back into text. Give the model no text
# at all. Then it writes a caption.
#
# <details><summary>Hint 1: the plan</summary>
#
# `inputs = processor(images=image, return_tensors="pt")`, then `model.generate(**inputs, …)` gives token numbers, one
# row for each picture. `processor.decode(row, skip_special_tokens=True)` makes a string of a row.
# </details>
#
# <details><summary>Hint 2: on a graphics card</summary>
#
# Model and inputs must be on the same device and have the same dtype: `inputs.to(model.device, model.dtype)`.
# </details>
#
# <details><summary>Help: my caption stops in the middle</summary>
#
# Without `max_new_tokens`, `generate` stops after 20 tokens, and some captions are longer. Allow 60 new ones. The model
# stops by itself when its sentence is complete.
# </details>
#
# <details><summary>Help: my caption begins with &lt;image&gt;&lt;image&gt;&lt;image&gt;…</summary>
#
# These are the places of the soft prompts in the output. They are special tokens, and `skip_special_tokens=True` leaves
# them out.
# </details>


# %% exercise="caption"
def caption(image):
    """Describe a picture with BLIP-2's caption, greedily decoded, of at most 60 tokens.

    The model is loaded once, not on each call.

    Args:
        image: a PIL picture of any size.

    Returns:
        The caption as a string, without special tokens and without spaces around it.
    """
    ### BEGIN SOLUTION
    inputs = processor(images=image, return_tensors="pt").to(model.device, model.dtype)
    said = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(said[0], skip_special_tokens=True).strip()
    ### END SOLUTION


# %% tests="caption" points=11
checks.nb04.caption(caption)

# %% [markdown]
# Here are four pictures that the model has never seen, with its captions, and the right descriptions below them. The
# wording may differ: *little* is *small*, and the model names what is on the left or above first, so that "a dog left
# of a box" is its way of saying "a box right of a dog". Look for what it gets wrong: the kind, the colour, the number,
# the place? Then run the cell again with another seed.

# %%
rng = Random(4)
scenes = [random_scene(rng) for _ in range(4)]
drawn = [draw(scene, size=size) for scene in scenes]
show.gallery(drawn, [f"BLIP-2: {caption(image)}" for image in drawn], alt=[describe(scene, rng) for scene in scenes])
for i, scene in enumerate(scenes, 1):
    print(f"{i}. right: {describe(scene, Random(0))}")

# %% [markdown]
# Four pictures give only an impression. To *know* how good a model is, count. The next cell captions 16 fresh pictures
# with one thing and 16 with two, reads each caption back (`read_caption` is the inverse of `describe`) and asks three
# questions: are the kinds right, are the colours right, and does each kind have the right colour? Compare the last two
# columns. Where the last one is smaller, a caption has the right colours on the wrong things: "a blue cat and a red
# dog" for a picture of a red cat and a blue dog. Keeping together what belongs together is called **binding**, and it
# is hard for large models, too.


# %%
def things_in(text):
    """The kinds and colours that a caption names. None where it can't be read."""
    scene = read_caption(text)
    return [(thing.kind, thing.colour) for thing in scene.things] if scene else []


rng = Random(0)
print(f"{'things':8} {'kinds':>10} {'colours':>10} {'kinds with their colours':>26}")
for n in (1, 2):
    hits = Counter()
    for _ in range(16):
        scene = random_scene(rng, things=n)
        right, told = [(thing.kind, thing.colour) for thing in scene.things], things_in(caption(draw(scene, size=size)))
        hits["kinds"] += sorted(kind for kind, _ in told) == sorted(kind for kind, _ in right)
        hits["colours"] += sorted(colour for _, colour in told) == sorted(colour for _, colour in right)
        hits["both"] += sorted(told) == sorted(right)
    print(f"{n:<8} {hits['kinds']:4} of 16 {hits['colours']:4} of 16 {hits['both']:20} of 16")

# %% [markdown]
# ### What do you see in it?
#
# In 1921 Hermann Rorschach published ten cards with inkblots. A blot shows nothing in particular, so what people see in
# it says more about them than about the blot. Let us do the same to BLIP-2. To make a blot, drop ink on paper and fold
# it once. Our `inkblot` does this with random numbers: noise of five sizes, from broad shapes to a ragged edge, is the
# depth of the ink on the right half of the paper, and the left half mirrors it.


# %%
def inkblot(seed, ink=(40.0, 36.0, 56.0)):
    """Ink on paper, folded once: the left half mirrors the right one. Each seed gives a different blot.

    Args:
        seed: an integer.
        ink: the colour of the ink, red, green and blue from 0 to 255.
    """
    generator = torch.Generator().manual_seed(seed)
    down, right = torch.meshgrid(torch.linspace(-1, 1, 256), torch.linspace(0, 1, 128), indexing="ij")
    depth = 0.5 - 2.6 * (right**2 + down**2) ** 1.5  # most in the middle, none at the edge of the paper
    for cells in (2, 4, 8, 16, 32):
        noise = torch.randn(1, 1, 2 * cells, cells, generator=generator)
        depth += 1.6 / cells**0.8 * torch.nn.functional.interpolate(noise, depth.shape, mode="bicubic")[0, 0]
    half = (14 * depth).sigmoid() * (0.7 + 0.25 * depth).clamp(0.6, 1)  # from 0, bare paper, to 1, thick ink
    cover = torch.cat([half.flip(1), half], dim=1)[..., None]
    colours = torch.tensor([250.0, 247.0, 238.0]) * (1 - cover) + torch.tensor(ink) * cover
    return show.to_pil(colours.permute(2, 0, 1) / 127.5 - 1)


DARK, RED, BLUE = (40.0, 36.0, 56.0), (120.0, 24.0, 36.0), (28.0, 52.0, 120.0)
blots = [inkblot(3, DARK), inkblot(12, RED), inkblot(16, BLUE), inkblot(31, DARK)]
blot_alts = [
    f"{ink} ink on white paper, the left half a mirror image of the right" for ink in ("dark", "red", "blue", "dark")
]
show.gallery(blots, [caption(blot) for blot in blots], alt=blot_alts, width=180)

# %% [markdown]
# The white paper becomes snow, and the ink becomes whatever is nearest among the things that the model has met. There
# is no black in its world, so it may give dark things the colour of the paper. It knows the word *inkblot*, too, from
# the smooth and colourful blots of its training, and uses it for one of ours.
#
# That is not what we wanted to know. So we forbid that word: `suppress_tokens` sets the probability of some tokens to
# zero, and the model has to take the next best. And we let it sample, five times for each blot, to see what else it has
# in mind. A model that has only seen cats, boats and stars can only see cats, boats and stars.

# %%
forbidden = [number for token, number in tokenizer.get_vocab().items() if "inkblot" in token] or None
torch.manual_seed(0)
for i, blot in enumerate(blots, 1):
    said = model.generate(
        pixel_values=pixels_of(blot).expand(5, -1, -1, -1), max_new_tokens=40, suppress_tokens=forbidden, do_sample=True
    )
    print(f"blot {i}")
    for text, times in Counter(processor.batch_decode(said, skip_special_tokens=True)).most_common():
        print(f"   {times} × {text.strip()}")

# %% [markdown]
# ## Part 6 · Questions and answers
#
# *30 minutes*
#
# BLIP-2 can answer questions, but not because it understands what a question is. Its language model, OPT, only
# *continues a text*. So we give it a text whose natural continuation is the answer:
#
# `Question: What is on the box? Answer:`
#
# and it continues with `_bird`. There is nothing special about this form. The training data looked exactly like this,
# with these colons and spaces.
#
# Here is the raw output of `generate` for such a prompt, with all its tokens. Look closely at where the answer is.

# %%
prompt = "Question: What is on the box? Answer:"
inputs = processor(images=bird, text=prompt, return_tensors="pt").to(model.device, model.dtype)
said = model.generate(**inputs, max_new_tokens=10, do_sample=False)[0]
show.tokens(readable(tokenizer.convert_ids_to_tokens(said.tolist())))
print(f"{inputs['input_ids'].shape[1]} tokens went in, {len(said)} came out.")

# %% [markdown]
# Three things to learn from this row:
#
# - The processor has put one `<image>` for each soft prompt in front of the text. They only reserve the places where
#   the model puts the soft prompts.
# - The output **repeats the whole prompt**. The answer comes after as many tokens as went in.
# - The prompt ends with the colon, without a space, because the space belongs to the first token of the answer. After
#   the answer comes `</s>`: the model has finished.
#
# ### Exercise 5 · `complete`
#
# *Difficulty ●●○○○ · 15 minutes · 12 points*
#
# Write the function that lets BLIP-2 continue after a picture and any text, and returns only what is new.
#
# <details><summary>Hint: cut tokens, not letters</summary>
#
# `said[:, inputs["input_ids"].shape[1]:]` are the new tokens. Cutting the *text* at the last "Answer:" works for
# questions, but not for a prompt such as "a picture of".
# </details>
#
# <details><summary>Help: the answer has nothing to do with the picture</summary>
#
# Picture and text must go through the processor in *one* call, `processor(images=image, text=prompt, …)`, and
# everything that it returns must go to `generate`. If you tokenize the text alone, there are no `<image>` places, and
# the model leaves the picture out without any warning.
# </details>
#
# <details><summary>Help: "Using the model-agnostic default `max_length`", or an answer that breaks off</summary>
#
# Without `max_new_tokens` the library allows 20 new tokens, and warns you. Set how many you allow.
# </details>


# %% exercise="complete"
def complete(image, prompt):
    """Let BLIP-2 continue after a picture and a text, greedily decoded, with at most 30 new tokens.

    The model is loaded once, not on each call.

    Args:
        image: a PIL picture of any size.
        prompt: a string. The model gets it as it is.

    Returns:
        Only what is new, as a string without special tokens and without spaces around it.
    """
    ### BEGIN SOLUTION
    inputs = processor(images=image, text=prompt, return_tensors="pt").to(model.device, model.dtype)
    said = model.generate(**inputs, max_new_tokens=30, do_sample=False)
    new = said[0, inputs["input_ids"].shape[1] :]
    return processor.decode(new, skip_special_tokens=True).strip()
    ### END SOLUTION


# %% tests="complete" points=12
checks.nb04.complete(complete)

# %% [markdown]
# ### Exercise 6 · `answer`
#
# *Difficulty ●○○○○ · 5 minutes · 5 points*
#
# With `complete`, answering a question is a matter of the right prompt.
#
# <details><summary>Hint</summary>
#
# One line: your `complete` with an f-string. Mind the colons and the spaces, and that nothing comes after `Answer:`.
# </details>


# %% exercise="answer"
def answer(image, question):
    """Answer a question about a picture, with the prompt "Question: … Answer:".

    The model is loaded once, not on each call.

    Args:
        image: a PIL picture of any size.
        question: a string, such as "What colour is the cat?".

    Returns:
        BLIP-2's whole answer and nothing else, as a string without spaces around it.
    """
    ### BEGIN SOLUTION
    return complete(image, f"Question: {question} Answer:")
    ### END SOLUTION


# %% tests="answer" points=5
checks.nb04.answer(answer)

# %% [markdown]
# Ask the model every question that our world has about a picture. A tick marks a right answer. Where an answer is
# wrong, look for a reason: would it be right for something else in the picture?

# %%
show.gallery([bird], ["ask me"], alt=[bird_alt])
for question, right in questions(on_box, Random(1)):
    said = answer(bird, question)
    print(f"{'✓' if said.rstrip('.') == right else ' '} {question:42} {said:12} (right: {right})")

# %% [markdown]
# Again, count. The cell asks about 16 fresh pictures with one thing and 16 with two, one question of each sort. The two
# things of a picture always differ in kind, colour and size. So it is not enough to know that there is something large
# and something small. The model has to know which is which. Before you read the table, think about what a guess would
# score. A yes-or-no question: half. Large or small: half. The colour of one of two things, for a model that knows both
# colours and cannot tell which belongs to which: half. A row near 8 of 16 is no better than tossing a coin, however
# sure the answers sound.


# %%
def differ(things):
    """Whether no two of the things have the same kind, colour or size."""
    return all(len({getattr(thing, part) for thing in things}) == len(things) for part in ("kind", "colour", "size"))


sorts = {"colour": "What colo", "size": "large or small", "number": "How many", "is it there?": "Is there"}
rng, right = Random(0), Counter()
for n in (1, 2):
    for _ in range(16):
        while not differ((scene := random_scene(rng, things=n)).things):
            pass
        image, pairs = draw(scene, size=size), questions(scene, rng)
        for sort, words in sorts.items():
            question, truth = rng.choice([pair for pair in pairs if words in pair[0]])
            right[sort, n] += answer(image, question).rstrip(".") == truth

print(f"{'question':14} {'one thing':>12} {'two things':>12}")
for sort in sorts:
    print(f"{sort:14}", *(f"{right[sort, n]:6} of 16" for n in (1, 2)))

# %% [markdown]
# With one thing everything is right, and with two things nearly everything, except for the size. There the model is
# about as good as a coin toss. Is the size lost in the bottleneck? No: the caption in Part 3 named the sizes of both
# bird and box, so they have come through. It is the *language model* that fails to match the thing in the question with
# the right soft prompt. (This is binding again.) For colour and number it had help. An extra term in its training loss
# made every word that names a thing look up that thing's colour and number in the picture, and nothing did the same for
# the size.
#
# Does the form of the prompt really matter? Same picture, same question, four ways to put it. The first is the form of
# the training. The model has never met the others. To a model that continues texts, a question without `Answer:` is a
# text that might go on in any way, or end there. So keep to the form that a model was trained with. Its model card
# describes it.

# %%
question = "What is on the box?"
for prompt in (f"Question: {question} Answer:", question, f"Q: {question} A:", f"Question: {question}"):
    print(f"{prompt:42} → {complete(bird, prompt)!r}")

# %% [markdown]
# The start of a caption works as well, since these two forms were in the training, too.

# %%
for prompt in ("a picture of", "This is"):
    print(prompt, complete(bird, prompt))

# %% [markdown]
# ## Part 7 · A memory
#
# *45 minutes*
#
# Try to have a conversation. In the picture there are a bird and a box. First you ask whether there is a box. Then you
# want to know what colour *it* is.

# %%
first, second = "Is there a box in the picture?", "What colour is it?"
print(f"{first} {answer(bird, first)}")
print(f"{second} {answer(bird, second)}   ← the colour of what?")

# %% [markdown]
# The model has no way to know what *it* is: the bird or the box? To the model, your second question is the first one it
# was ever asked. It names a colour all the same, because it always answers.
#
# Between two calls of `generate` **nothing stays behind** in the model. Its weights do not change, and what it computed
# is thrown away.
#
# So where is the memory of a chat? In the *prompt*. With each question we send the whole conversation along:
#
# `Question: Is there a box in the picture? Answer: yes. Question: What colour is it? Answer:`
#
# The model reads it from the start, every time, and *it* has become the box. All chat models work like this, large ones
# too, whatever they look like from the outside. (A server may keep what it computed for the text so far, to save time.
# That is a cache and not a memory: without the text it is worth nothing.)
#
# ### Exercise 7 · `chat_prompt`
#
# *Difficulty ●●○○○ · 10 minutes · 8 points*
#
# Write the prompt of a conversation, in the form of the training: parts separated by single spaces, and one full stop
# after each earlier answer.
#
# <details><summary>Hint 1: the plan</summary>
#
# One string for each earlier turn, `f"Question: {q} Answer: {a}."`, one for the new question, and `" ".join(…)` over
# all.
# </details>
#
# <details><summary>Hint 2: exactly one full stop</summary>
#
# An answer may come with a full stop or with spaces: `a.strip().rstrip(".")` takes them away, then you put one there.
# </details>


# %% exercise="chat_prompt"
def chat_prompt(memory, question):
    """Write the prompt for a question that follows earlier ones.

    Spaces around questions and answers don't count.

    Args:
        memory: the earlier turns, a list of (question, answer), the oldest first. It is left unchanged.
        question: the new question.

    Returns:
        "Question: q1 Answer: a1. Question: q2 Answer: a2. Question: <question> Answer:", with single spaces between the
        parts and one full stop after each earlier answer, even if the answer already ends with one.
    """
    ### BEGIN SOLUTION
    turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}." for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])
    ### END SOLUTION


# %% tests="chat_prompt" points=8
checks.nb04.chat_prompt(chat_prompt)

# %% [markdown]
# Now the proof. The same picture and the same last question, after two different first questions. If the memory works,
# *it* is the box in one conversation and the bird in the other.

# %%
for first in ("Is there a box in the picture?", "What is on the box?"):
    prompt = chat_prompt([(first, answer(bird, first))], second)
    print(prompt, complete(bird, prompt))

# %% [markdown]
# How often does that work? Count it on 16 fresh pictures, with the memory and without. Without it, the model names the
# colour of one of the two things, and is right only if it happens to be the one we mean.

# %%
rng, hits = Random(1), Counter()
while hits["pictures"] < 16:
    scene = random_scene(rng, things=2)
    one, other = scene.things
    if one.kind == other.kind or one.colour == other.colour or one.count > 1:
        continue  # "it" would not be clear, or the answer would be the same for both
    image, hits["pictures"] = draw(scene, size=size), hits["pictures"] + 1
    about_one = f"What is {scene.relation} the {other.kind}?", one.kind
    about_other = f"Is there {with_article(other.kind)} in the picture?", "yes"
    turn, it = rng.choice([(about_one, one), (about_other, other)])
    hits["with memory"] += complete(image, chat_prompt([turn], second)).rstrip(".") == it.colour
    hits["without"] += answer(image, second).rstrip(".") == it.colour
print(f"Right with the memory: {hits['with memory']} of 16. Without it: {hits['without']} of 16.")

# %% [markdown]
# ### Exercise 8 · `Conversation`
#
# *Difficulty ●●●○○ · 20 minutes · 12 points*
#
# Put it into a class: a conversation knows its picture and what has been said, and asks each question with all of it.
#
# <details><summary>Hint: what ask does</summary>
#
# Make the prompt from the memory and the question, let `complete` continue it, put (question, answer) into the memory,
# and return the answer. In this order: the new question does not belong in the memory until it is answered.
# </details>
#
# <details><summary>Help: a new conversation remembers the old one</summary>
#
# `class Conversation: memory = []` makes *one* list for all conversations, and so does `def __init__(self, image,
# memory=[])`: Python makes a default value once, when it reads the function. Write `self.memory = []` in `__init__`.
# </details>


# %% exercise="Conversation"
class Conversation:
    """A conversation with BLIP-2 about one picture.

    Attributes:
        memory: what has been said, a list of (question, answer), the oldest first. Each question is asked with whatever
            it holds at that moment.
    """

    def __init__(self, image):
        """Start a conversation about a PIL picture of any size, with an empty memory that no other conversation shares."""
        ### BEGIN SOLUTION
        self.image = image
        self.memory = []
        ### END SOLUTION

    def ask(self, question):
        """Ask with the whole memory (chat_prompt), remember question and answer, and return the answer."""
        ### BEGIN SOLUTION
        said = complete(self.image, chat_prompt(self.memory, question))
        self.memory.append((question, said))
        return said
        ### END SOLUTION

    def reset(self):
        """Forget everything that was said. The picture stays."""
        ### BEGIN SOLUTION
        self.memory = []
        ### END SOLUTION


# %% tests="Conversation" points=12
checks.nb04.Conversation(Conversation)

# %% [markdown]
# Now three conversations about the same picture. One begins with the box, one with the bird, and one has no memory at
# all: each of its questions is asked alone. Before you run it: in which rows should the columns differ, and in which
# can they not?

# %%
about_box, about_bird = Conversation(bird), Conversation(bird)
openings = "Is there a box in the picture?", "What is on the box?"
print(f"{'':26} {'after “Is there a box …?”':28} {'after “What is on the box?”':30} without memory")
print(f"{'(first answer)':26} {about_box.ask(openings[0]):28} {about_bird.ask(openings[1]):30}")
for question in ("What colour is it?", "Is it large or small?", "Where is this?"):
    print(f"{question:26} {about_box.ask(question):28} {about_bird.ask(question):30} {answer(bird, question)}")

print(f"\nThe last prompt about the bird:\n{chat_prompt(about_bird.memory[:-1], about_bird.memory[-1][0])}")

# %% [markdown]
# The colour and the size are those of the box in the first conversation and those of the bird in the second. The place
# is the same in all three columns, because it can be answered from the picture alone. Without a memory the model still
# answers, but nothing makes it talk about the same thing twice.
#
# ### Where the memory ends
#
# This memory has a price and a limit. Each question makes the prompt longer, and the model reads all of it again. And
# the model has a maximum length, its **context window**: the number of positions for which it has learned an embedding,
# for soft prompts and tokens together. Let us fill it. The cell takes 8 pictures with one thing, has a conversation of
# 0 to 30 turns about each (with right answers, and never about the place), and then asks where this is.

# %%
longest = config.text_config.max_position_embeddings


def length_of(prompt):
    """How many positions a prompt takes up: soft prompts and tokens."""
    return config.num_query_tokens + len(tokenizer(prompt, verbose=False)["input_ids"])


def turns_about(scene, n, rng):
    """A conversation of n turns about a scene, with right answers, that never mentions the place."""
    pairs = [pair for pair in questions(scene, rng) if pair[1] != scene.place]
    return [pairs[i % len(pairs)] for i in range(n)]


rng, lengths, right = Random(5), Counter(), Counter()
tried = (0, 2, 4, 6, 8, 10, 20, 30)
for _ in range(8):
    scene = random_scene(rng, things=1)
    image = draw(scene, size=size)
    for turns in tried:
        prompt = chat_prompt(turns_about(scene, turns, rng), "Where is this?")
        lengths[turns] += length_of(prompt) / 8
        right[turns] += complete(image, prompt).rstrip(".") == scene.place

figure, axes = plt.subplots(figsize=(7, 3))
axes.plot([lengths[turns] for turns in tried], [right[turns] for turns in tried], marker="o")
axes.axvline(longest, color="grey", linestyle="dashed")
axes.text(longest - 6, 0.5, f"{longest} positions:\nthe end", ha="right")
axes.set(
    xlabel="length of the prompt, in positions", ylabel="right answers of 8", xlim=(0, longest + 20), ylim=(-0.4, 8.4)
)
found = ", ".join(f"{right[turns]} after {turns} turns ({lengths[turns]:.0f} positions)" for turns in tried)
print(f"Right of 8: {found}.")
show.plot(figure, f"A line of right answers against the length of the prompt. Of 8 answers are right: {found}.")

# %% [markdown]
# The window has two ends. The hard one is at the dashed line, where the positions run out. The soft one comes much
# earlier, where the right answers end. In its training the model rarely met more than four earlier turns, so it has
# hardly practised with the positions further on. A context window is how much text *fits*, not how much *works*. That
# holds for large models, too. Their makers train long contexts in extra stages, and measure how far they reach.
#
# And what happens beyond the dashed line?

# %%
prompt = chat_prompt(turns_about(on_box, 40, Random(0)), "Where is this?")
print(f"The prompt takes {length_of(prompt)} positions, and the model has {longest}.")
if model.device.type == "cpu":  # on a graphics card this error would end the session
    try:
        print(complete(bird, prompt))
    except IndexError as error:
        print(f"IndexError: {error}")

# %% [markdown]
# There are no embeddings for further positions, so the model can't even begin. (On a graphics card the same mistake
# ends in a much longer error, and the notebook has to be restarted.) A program that chats has to notice this in time,
# and decide what to leave out. Usually the oldest turns go first. How early should it begin? The curve above is for an
# easy question, and other questions may fail sooner, so let us try two limits. The cell asks 24 questions about the
# bird, one after another, in a conversation without a limit and in two that keep their prompts short.


# %%
class ShortConversation(Conversation):
    """A conversation that drops its oldest turns when the prompt would get too long."""

    def __init__(self, image, room):
        """Start a conversation about a picture. A prompt may take `room` positions."""
        super().__init__(image)
        self.room = room

    def ask(self, question):
        while self.memory and length_of(chat_prompt(self.memory, question)) > self.room:
            self.memory.pop(0)
        return super().ask(question)


asked = [pair for seed in (1, 2) for pair in questions(on_box, Random(seed))]
chats = {"no limit": Conversation(bird)} | {f"at most {room}": ShortConversation(bird, room) for room in (128, 80)}
for name, chat in chats.items():
    hits = sum(chat.ask(question).rstrip(".") == truth for question, truth in asked)
    print(f"{name:12} {hits:2} of {len(asked)} right, {len(chat.memory):2} turns in the memory at the end")

# %% [markdown]
# The lower limit is the better one. A short memory that the model can use is worth more than a long one that it can't.
#
# What is dropped is gone. After that, a question about *it* has nothing to refer to. Many chat programs therefore
# replace the oldest turns with a short summary.
#
# ### A memory can lie
#
# The model cannot know that *we* wrote an answer into its memory. Two lies: that this is on Mars, and that there is a
# cat on the box. What will it answer?

# %%
for lie, question in (
    (("Where is this?", "mars"), "Where is this?"),
    (("What is on the box?", "cat"), "What colour is it?"),
):
    liar = Conversation(bird)
    liar.memory = [lie]
    print(f"We claim: {lie[0]} {lie[1]}.".ljust(34), question, liar.ask(question))

# %% [markdown]
# The first lie meets a model that would rather look than read: a place is easy to see. (In its training the memory was
# always true and the picture always there, so it never had to choose between the two.) It accepts the second lie. It
# does not say "there is no cat", because nobody taught it to. It names a colour, and anyone who reads the conversation
# now believes in a cat of that colour.
#
# Large chat models have read far more text, and text weighs more with them: they often go along with what a prompt
# claims, even against the picture. That is why it matters who may write into a memory.

# %% [markdown]
# ## Part 8 · The chat window
#
# *10 minutes*
#
# Enough of `print`. `widgets.Chatbot` is a small chat window made of plain ipywidgets: bubbles, a field, two buttons.
# It takes your `Conversation` as it is, because all it needs is something with a method `ask`. Type a question and
# press Enter. "Clear" calls your `reset`. If your code fails, the error appears as a bubble.
#
# Ask what is on the box, then what colour it is, where this is, how many there are. Then make it fail: ask about
# something that is not there, or about the weather. It has no words for "I don't know", so it will say *something*.

# %%
widgets.Chatbot(Conversation(bird), bird, alt=bird_alt)

# %% [markdown]
# Large models take a while for an answer, and chat windows show it word by word, as it comes. That is not a trick: the
# model *does* write one token after the other. `TextIteratorStreamer` hands out each piece of text as soon as it is
# there, while `generate` runs in another thread. The window takes a function that yields pieces, too. Whatever you type
# here, you get a caption, piece by piece:


# %%
def tell(question):
    """Caption the boat, and yield the text in pieces as they come."""
    pieces = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    inputs = processor(images=boat, text="a picture of", return_tensors="pt").to(model.device, model.dtype)
    Thread(
        target=model.generate, kwargs={**inputs, "max_new_tokens": 60, "do_sample": False, "streamer": pieces}
    ).start()
    yield from pieces


print("|".join(filter(None, tell("What do you see?"))))
widgets.Chatbot(tell, boat, alt=boat_alt, placeholder="Say anything")

# %% [markdown]
# ## Part 9 · Two questions, flashcards, going further
#
# *25 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="why_a_bottleneck" points=5
# ### Question 1 · The bottleneck
#
# BLIP-2 gives its language model 16 vectors of a picture (32 in the paper). LLaVA, the model of notebook 03, hands over
# one vector for each patch: 64 in our mini model, 256 in the first LLaVA, 576 in LLaVA-1.5. Name one advantage and one
# drawback of BLIP-2's way, and a kind of question for which you would expect BLIP-2 to do worse. Say why, with what you
# know of the Q-Former's queries.
#
# ### BEGIN MARK SCHEME
# - 1 point: an advantage (short prompts: less time and memory, more room for text; cost independent of the picture's
#   size; both large models can stay frozen)
# - 1 point: a drawback (what the queries did not bring home is lost; the Q-Former has to be trained first)
# - 1 point: a fitting kind of question (small details, text in the picture, many things, exact positions, counting)
# - 2 points: the reason with the mechanism: the queries are the same for each picture and chosen before the question is
#   known (1); each brings home a weighted mean of patches, so fine detail and places are averaged away or never
#   asked for (1)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# Sixteen vectors make a short prompt: the language model reads it fast, has room left for the conversation, and it
# stays equally short for a larger picture. The price is that everything else is lost. The queries are learned once and
# are the same for every picture, and they look before anybody has asked anything. Each brings home a weighted mean
# over the patches. A small detail that no query looks for, such as a word on a sign or the seventh of nine birds, is
# averaged away, and no question can bring it back. So I expect BLIP-2 to do worse at reading text, at counting many
# things and at exact positions, where LLaVA can still look into each patch's own vector.
# ### END SOLUTION

# %% [markdown] written="where_is_the_memory" points=5
# ### Question 2 · Where is the memory?
#
# A friend says: "My chat model learns from our conversations: it still knew my cat's name after an hour." Then, the
# next morning, in a new chat, it does not know the name any more. Explain both with what you built in Part 7. What
# would it take for the name to be known in the new chat, and what could go wrong with that?
#
# ### BEGIN MARK SCHEME
# - 2 points: the model itself keeps nothing; the whole conversation is sent as text with each question (1), and the new
#   chat starts with an empty memory (1)
# - 1 point: the weights do not change, so it has not "learned"
# - 1 point: a way to keep it: store turns (or a summary, or facts) and put them into the new chat's prompt
# - 1 point: a problem with it: context window and cost, false or deceiving entries are believed, privacy
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# The model has learned nothing: its weights are the same before and after. It knew the name because the program sends
# the whole conversation along with each question, as our `chat_prompt` does, and the name stood in that text. The new
# chat begins with an empty memory, like a new `Conversation`, so the name is nowhere. To keep it, the program would
# have to store the turns, or facts taken from them, and write them into the prompt of the next chat. That makes each
# prompt longer, until the context window is full and something must be left out. And the model cannot tell who wrote an
# entry: it went along with our cat on the box, and so it may with any wrong or planted one. Private things may turn up
# in later chats.
# ### END SOLUTION

# %% [markdown]
# ### What you can do now
#
# | you can | with | you did it in |
# |---|---|---|
# | read a text as tokens, and explain the Ġ | `tokenizer`, `readable` | Part 1 |
# | explain how queries collect what they need from a picture, and see where they look | cross-attention, hooks | Part 2 |
# | turn a picture into soft prompts and hand them to a language model | `soft_prompts` | Part 3 |
# | find out what a part of a model carries, by switching it off and measuring the loss | `without_queries` | Part 4 |
# | say why newer models use an MLP or a resampler instead of a Q-Former | | Part 4 |
# | write captions, greedily or sampled, and count how many are right | `caption` | Part 5 |
# | get an answer out of a model that only continues texts | `complete`, `answer` | Part 6 |
# | give a memory to a model that forgets, and shorten it before it overflows | `chat_prompt`, `Conversation` | Part 7 |
#
# ### Flashcards
#
# Fifteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget. Importing it twice does not double your cards.

# %%
cards = flashcards.find("04_blip2_chat")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "blip2_chat.apkg")
print("Wrote blip2_chat.apkg. Open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Leave only one query on.** Call `without_queries` with all the others. How much of a caption survives on one soft
#   prompt, and on the best three?
# - **Mix two pictures.** Take half of the soft prompts from the bird and half from the boat. What does the language
#   model make of it?
# - **Summarize instead of dropping.** Before a turn leaves the memory, keep its fact ("The bird is blue.") as a single
#   short turn at the start. How many turns fit now?
# - **The full model, with a GPU.** Set `COURSE_PROFILE=full` before you start the notebook. The same code then loads
#   Salesforce's BLIP-2 with a language model of 2.7 billion parameters (15 GB to download), and the cell below shows
#   what it writes about our drawings and about the inkblots. Expect free wording that `read_caption` can't read, so the
#   counts of Parts 4 and 5 mean nothing there. Expect fewer exact facts about our drawings, which the mini model was
#   trained on and the large one was not, and many more ideas about a blot.

# %%
if settings.profile == "full":
    show.gallery([bird, boat, *blots], [caption(image) for image in (bird, boat, *blots)], width=170)
else:
    print("This cell is for the full model, with a GPU.")

# %% [markdown]
# ### References
#
# - R. Sennrich, B. Haddow, A. Birch: *Neural Machine Translation of Rare Words with Subword Units*, 2016,
#   [arXiv:1508.07909](https://arxiv.org/abs/1508.07909). Byte pair encoding.
# - A. Radford et al.: *Language Models are Unsupervised Multitask Learners*, 2019. GPT-2, and BPE on bytes with its Ġ.
# - A. Vaswani et al.: *Attention Is All You Need*, 2017, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - M. Cherti et al.: *Reproducible scaling laws for contrastive language-image learning*, 2022,
#   [arXiv:2212.07143](https://arxiv.org/abs/2212.07143). OpenCLIP.
# - J. Li, D. Li, S. Savarese, S. Hoi: *BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
#   Large Language Models*, 2023, [arXiv:2301.12597](https://arxiv.org/abs/2301.12597)
# - S. Zhang et al.: *OPT: Open Pre-trained Transformer Language Models*, 2022,
#   [arXiv:2205.01068](https://arxiv.org/abs/2205.01068)
# - B. Lester, R. Al-Rfou, N. Constant: *The Power of Scale for Parameter-Efficient Prompt Tuning*, 2021,
#   [arXiv:2104.08691](https://arxiv.org/abs/2104.08691). Soft prompts.
# - J.-B. Alayrac et al.: *Flamingo: a Visual Language Model for Few-Shot Learning*, 2022,
#   [arXiv:2204.14198](https://arxiv.org/abs/2204.14198). The Perceiver resampler.
# - W. Dai et al.: *InstructBLIP: Towards General-purpose Vision-Language Models with Instruction Tuning*, 2023,
#   [arXiv:2305.06500](https://arxiv.org/abs/2305.06500)
# - H. Liu et al.: *Improved Baselines with Visual Instruction Tuning*, 2023,
#   [arXiv:2310.03744](https://arxiv.org/abs/2310.03744). LLaVA-1.5 and its MLP.
# - Z. Chen et al.: *How Far Are We to GPT-4V?*, 2024, [arXiv:2404.16821](https://arxiv.org/abs/2404.16821). InternVL
#   1.5 and pixel shuffle.
# - H. Laurençon et al.: *What matters when building vision-language models?*, 2024,
#   [arXiv:2405.02246](https://arxiv.org/abs/2405.02246). Idefics2: connectors compared.
# - L. Xue et al.: *xGen-MM (BLIP-3): A Family of Open Large Multimodal Models*, 2024,
#   [arXiv:2408.08872](https://arxiv.org/abs/2408.08872)
# - P. Wang et al.: *Qwen2-VL: Enhancing Vision-Language Model's Perception of the World at Any Resolution*, 2024,
#   [arXiv:2409.12191](https://arxiv.org/abs/2409.12191)
# - A. Marafioti et al.: *SmolVLM: Redefining small and efficient multimodal models*, 2025,
#   [arXiv:2504.05299](https://arxiv.org/abs/2504.05299)
# - S. Bai et al.: *Qwen3-VL Technical Report*, 2025, [arXiv:2511.21631](https://arxiv.org/abs/2511.21631)

# %% [markdown]
# Before you hand the notebook in, save it and run this last cell. It lists what is not written yet, and which cells are
# missing or damaged.

# %%
ready_to_hand_in()
