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
# A language model has read a lot and seen nothing. A vision model sees and cannot speak. BLIP-2 puts a small
# translator between the two, and suddenly there is something that looks at a picture, says what is on it, and answers
# questions about it. In this notebook you follow a picture all the way: from pixels to vectors, from vectors to
# sixteen "words" that no dictionary has, and from there to a sentence. At the end you chat with your own pictures.
#
# The models here are small and know only a picture-book world of cats, boats and rockets, so everything runs in seconds
# on a laptop. They are built like the BLIP-2 of the paper: the same classes, the same steps, far fewer numbers inside.
# (They were trained a little differently; Part 2 says how.)
#
# **When you are done, you can**
#
# - say how a text becomes tokens, and read the Ġ in them
# - tell what the vision model, the Q-Former and the language model each do, and what goes in and comes out
# - compute the soft prompts of a picture, and hand them to a language model yourself
# - write captions, and answers to questions, with the processor and `generate`
# - give a model that forgets everything a memory, and say where that memory is
# - chat with a picture in a window of your own
#
# **What you need**: Python functions and classes, tensors in PyTorch (shapes, matrix products). Attention is explained
# where it comes. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Text in pieces | 30 | 8 |
# | 2 The Q-Former: sixteen questions about a picture | 25 | |
# | 3 Soft prompts | 35 | 20 |
# | 4 Captions, and an inkblot | 35 | 14 |
# | 5 Questions and answers | 40 | 24 |
# | 6 A memory | 40 | 24 |
# | 7 The chat window | 15 | |
# | 8 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function (the last is a class) with a docstring that says what it must do. Put
# your code in the place of the line `raise NotImplementedError(…)`. The cell below it tries your function in several
# cases, lists which of them passed and what each is worth, and says in a sentence what is wrong. The points are decided
# by the same cases on other inputs. Every exercise has hints that unfold, and ● to ●●●●● tells how hard it is. If one
# keeps you from going on, `checks.borrow("complete")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `readable` and `soft_prompts` in Parts 3 to 5, `complete`
# in `answer` and in Part 6, `chat_prompt` in the `Conversation`.

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
from collections import Counter
from random import Random
from threading import Thread

import torch
from transformers import TextIteratorStreamer

from helpers import checks, flashcards, show, widgets
from helpers.models import load
from helpers.picturebook import Scene, Thing, describe, draw, parse, questions, random_scene
from helpers.settings import settings

model, processor = load("blip2")
tokenizer = processor.tokenizer

print(f"Profile: {settings.profile}. The models run on: {settings.device}.")
for name in ("vision_model", "qformer", "language_model"):
    part = getattr(model, name)
    millions = sum(p.numel() for p in part.parameters()) / 1e6
    print(f"{name:15} {type(part).__name__:18} {millions:8.1f} million numbers")

# %% [markdown]
# ## Part 1 · Text in pieces
#
# *30 minutes*
#
# A language model does not read letters, and it does not read words either. It reads **tokens**: pieces of text from a
# fixed list, its vocabulary. Each token has a number, and the number is all that the model gets. Here is a sentence as
# our model reads it. What do you notice? Look at how the tokens begin, and at which words are a single token and which
# are in pieces.

# %%
text = "Question: What colour is the large cat? Answer: red."
tokens = tokenizer.tokenize(text)
show.tokens(tokens, tokenizer.convert_tokens_to_ids(tokens))
print(f"{len(text)} letters and signs, {len(tokens)} tokens. The vocabulary has {len(tokenizer):,} tokens.")

# %% [markdown]
# That strange **Ġ** stands where a space was. The space is part of the token that follows it: `Ġcat` is *cat after a
# space*, and `cat` is *cat right after something else*. They are two different tokens with two different numbers. Why?
# So that nothing gets lost. Glue the tokens together, put spaces where the Ġ are, and you have the very same text
# again, to the last space. There is no need to guess where the spaces were.

# %%
for text in ("cat", " cat", "a cat", "a  cat", "redcat"):
    print(f"{text!r:10} → {tokenizer.tokenize(text)}")

# %% [markdown]
# And why Ġ, of all letters? The tokenizer works on **bytes**, the numbers from 0 to 255 that files are made of. So it
# can spell *every* text, in any language, emoji included, even if it has never met it: in the worst case byte by byte.
# But some bytes have no printable sign, the space among them (number 32). To be able to write them down, GPT-2's
# authors gave these bytes, one after another, the characters from number 256 on. Byte 0 got number 256, byte 1 number
# 257, and so the space, byte 32, got number 288, which happens to be Ġ. A line end (byte 10) becomes Ċ.

# %%
print(f"space → {chr(32 + 256)}   line end → {chr(10 + 256)}\n")
for text in ("a red cat\na blue boat", "an axolotl", "señor 🐸"):
    print(
        f"{text!r:26} {len(text.encode()):3} bytes → {len(tokenizer.tokenize(text)):2} tokens:",
        tokenizer.tokenize(text),
    )

# %% [markdown]
# Where does the vocabulary come from? From counting. **Byte pair encoding** (BPE; Sennrich et al. 2016) starts with
# single characters, in GPT-2's version with single bytes. Then it looks for the pair of neighbours that is the most
# frequent in a large pile of text, glues it to a new token, and repeats, until the vocabulary is as large as wanted.
# Frequent words end up as one token, rare ones stay in pieces. The cell below does the first rounds on 300 captions of
# our world. Watch words grow.

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
# *Difficulty ●○○○○ · 5 minutes · 8 points*
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

    tokens: a list of strings, as `tokenizer.tokenize` gives them; it stays as it is.

    Returns a list of as many strings, each Ġ in them replaced by "_", all else as it was.
    """
    ### BEGIN SOLUTION
    return [token.replace("Ġ", "_") for token in tokens]
    ### END SOLUTION


# %% tests="readable" points=8
checks.nb04.readable(readable)

# %% [markdown]
# With your function, look at a few texts from this notebook. The number of tokens is what counts for a language model:
# its memory is measured in them, and so is the bill of a paid one.

# %%
for text in ("a large red cat, on a meadow", "an inkblot", "Who painted the Mona Lisa?"):
    tokens = readable(tokenizer.tokenize(text))
    print(f"{len(tokens):2} tokens: {' '.join(tokens)}")

# %% [markdown]
# ## Part 2 · The Q-Former: sixteen questions about a picture
#
# *25 minutes*
#
# Now the picture. A **vision model** (the same kind of vision transformer as in CLIP) cuts it into patches and gives one
# vector for each, plus one for the whole. These vectors know what is to be seen. But the language model has never met
# anything like them; to it they are noise. And there are many of them.
#
# The obvious idea is to train both models until they understand each other. The BLIP-2 paper could not afford that: its
# language models had up to 11 billion numbers. So it leaves both models **frozen**, as they are, and trains a small
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
# How does it translate? It brings its own questions. The Q-Former has a few learned vectors, the **queries**; ours has
# sixteen, the paper's 32. They are the same for every picture. In **cross-attention** each query goes to the vectors of
# the picture and asks of each: *have you something for me?* The dot product of a query $q$ with a patch's key $k$ says
# how well they fit. (A **key** is what a patch offers, made from its vector by a learned matrix; what it hands over,
# its **value**, is made by another.) A softmax turns these numbers into weights that sum to 1, and the query takes home
# the patches' values in these proportions:
#
# $$\text{weights} = \operatorname{softmax}\!\left(\frac{q \cdot k}{\sqrt d}\right)$$
#
# In **self-attention** the queries then talk with each other, so that not all of them bring home the same. After a few
# such layers each query is a vector that says what it has found.
#
# We can watch them. The code hooks into the layers that make $q$ and $k$, lets the model look at a picture, and computes
# the weights from what it heard. In the pictures below, what a query looks at is bright.


# %%
@torch.no_grad()
def where_queries_look(image, layer=-1):
    """The cross-attention weights of one layer, mean over its heads: tensor (queries, rows, columns)."""
    layers = [each for each in model.qformer.encoder.layer if each.has_cross_attention]
    attention, heard = layers[layer].crossattention.attention, {}
    hooks = [
        linear.register_forward_hook(lambda linear, inputs, output, name=name: heard.update({name: output}))
        for name, linear in (("q", attention.query), ("k", attention.key))
    ]
    model.generate(**processor(images=image, return_tensors="pt").to(model.device, model.dtype), max_new_tokens=1)
    for hook in hooks:
        hook.remove()

    heads = model.config.qformer_config.num_attention_heads
    q, k = (heard[name].unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("q", "k"))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(1)[0]
    return weights[:, 1:].unflatten(-1, (side, side))  # without the vector for the whole picture


size = config.vision_config.image_size
on_box = Scene((Thing("bird", "blue", "small"), Thing("box", "red")), relation="on", place="meadow", layout=4)
by_sea = Scene((Thing("star", "white", "small"), Thing("boat", "yellow")), relation="above", place="sea", layout=3)
bird, boat = draw(on_box, size=size), draw(by_sea, size=size)
shown = [i for i in (0, 1, 3, 6, 12, 13, 14, 15) if i < config.num_query_tokens]
rows = [[show.spotlight(image, where_queries_look(image)[i]) for i in shown] for image in (bird, boat)]
show.gallery(
    [bird, boat],
    ["bird", "boat"],
    alt=[
        "a small blue bird on a large red box, on a meadow",
        "a small white star above a large yellow boat, on the sea",
    ],
    width=130,
)
show.grid(
    rows, ["bird", "boat"], [f"query {i}" for i in shown], alt="what a query looks at, in the last layer", width=95
)

# %% [markdown]
# Compare the two rows. Query 0 sits on the bird in one picture and on the star in the other: it moves to the *thing*
# that the caption names first. Query 3 goes to the other thing, the box or the boat. Query 13 looks at the ground and
# the water, to find out the *place*; query 14 at everything but the things, because lines and shades there tell the
# *style*.
#
# Who told them? In the paper nobody: its queries were trained to tell which text belongs to which picture, and to help
# write that text, and found out by themselves what is worth asking. Our mini model had little time, so we helped. In
# its training query 0 had to name the first thing with its colour, query 3 the second thing, query 12 their relation,
# 13 the place and 14 the style. Number 15 was left free. (There is a second difference: our language model is so small
# that it was not frozen, but trained along with the rest.)
#
# Try `where_queries_look(image, layer=0)[i]` above: in the first layer a query has seen nothing of the picture yet.
# Does it know already where to look?
#
# The Q-Former is a **bottleneck**, and on purpose. Whatever is not in these few vectors, the language model will never
# know. In return it has only so many vectors to read, however large the picture is.

# %% [markdown]
# ## Part 3 · Soft prompts
#
# *35 minutes*
#
# One step is missing. The language model turns each token's number into a vector, its **embedding**, and all its layers
# work on these vectors. It does not check where a vector comes from! So we may put vectors of our own in front, where
# embeddings of words would stand. A linear layer, the **projection**, gives the queries' vectors the right width, and
# there they are:
#
# $$\underbrace{s_1\; s_2\; \dots\; s_{16}}_{\text{from the picture}}\;\; \underbrace{e_\text{Question}\; e_\text{:}\; e_\text{\_What}\; \dots}_{\text{from the text}}$$
#
# They are called **soft prompts**: prompts, because they stand in front and tell the model what the text is about;
# soft, because they are no tokens from a list but can take any value, and so be learned by gradient descent.

# %% [markdown]
# ### Exercise 2 · `soft_prompts`
#
# *Difficulty ●●●○○ · 25 minutes · 20 points*
#
# Compute the soft prompts of a picture from the model's parts. Don't call the model itself.
#
# | part | what goes in | what comes out |
# |---|---|---|
# | `model.vision_model(pixel_values)` | pixels (batch, 3, height, width) | an object; its `last_hidden_state` is (batch, patches + 1, width) |
# | `model.query_tokens` | | the learned queries, (1, queries, width of the Q-Former) |
# | `model.qformer(query_embeds=…, encoder_hidden_states=…)` | queries, and what they look at | an object; its `last_hidden_state` is (batch, queries, width of the Q-Former) |
# | `model.language_projection(…)` | (…, width of the Q-Former) | (…, width of the language model) |
#
# <details><summary>Hint 1: the plan</summary>
#
# Three lines: the picture through the vision model; the queries through the Q-Former, with the picture's vectors as
# `encoder_hidden_states`; the result through the projection. Then take the one picture out of the batch.
# </details>
#
# <details><summary>Hint 2: last_hidden_state or pooler_output?</summary>
#
# `pooler_output` is one vector for the whole picture. The queries want to choose among the patches, so they need them all.
# </details>
#
# <details><summary>Help: "mat1 and mat2 shapes cannot be multiplied"</summary>
#
# Some part got vectors of a width that it does not know. Print the shapes after each step. The picture's vectors belong
# in the Q-Former, not in the projection.
# </details>
#
# <details><summary>Help: it works here, and the check says that the width is wrong</summary>
#
# In our mini model the Q-Former and the language model happen to have the same width, so a forgotten projection makes no
# error here. The check takes a model in which all widths differ.
# </details>


# %% exercise="soft_prompts"
@torch.no_grad()
def soft_prompts(model, pixel_values):
    """What BLIP-2's language model gets of a picture (Li et al. 2023): vision model → Q-Former → projection.

    Computed from the model's parts; the model as a whole is not called.

    model: a Blip2ForConditionalGeneration with any number of queries. In half precision, as on a graphics card, its
        Q-Former is still in float32; what it found has to be brought to the projection's number format.
    pixel_values: one picture as the processor gives it, tensor (1, 3, height, width); it stays as it is.

    Returns a tensor (number of queries, width of the language model), without a dimension for the batch.
    """
    ### BEGIN SOLUTION
    seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found.to(model.language_projection.weight.dtype))[0]
    ### END SOLUTION


# %% tests="soft_prompts" points=20
checks.nb04.soft_prompts(soft_prompts)

# %% [markdown]
# Is that really *all* that the language model gets of the picture? Let us take BLIP-2 apart and drive the language model
# alone. It gets your soft prompts, then the token that starts a text (in OPT it is `</s>`, the same that ends one), and
# goes on from there. If you are right, it says the same as BLIP-2 in one piece.


# %%
def pixels_of(image):
    return processor(images=image, return_tensors="pt")["pixel_values"].to(model.device, model.dtype)


@torch.no_grad()
def in_front_of(prompts, text=""):
    """Vectors for the language model: soft prompts, the token that starts a text, and the text's embeddings."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[config.text_config.bos_token_id, *ids]], device=model.device)
    return torch.cat([prompts[None], model.get_input_embeddings()(ids)], dim=1)


by_hand = model.language_model.generate(
    inputs_embeds=in_front_of(soft_prompts(model, pixels_of(bird))), max_new_tokens=40, do_sample=False
)
in_one_piece = model.generate(pixel_values=pixels_of(bird), max_new_tokens=40, do_sample=False)
for said in (by_hand, in_one_piece):
    print(tokenizer.decode(said[0], skip_special_tokens=True).strip())

# %% [markdown]
# Two equal lines. From the projection on, BLIP-2 *is* a language model with strange words in front.
#
# What do these words mean? We can ask which token's embedding points most nearly in the direction of each soft prompt,
# and how nearly: the cosine is 1 for the same direction, 0 for a right angle. Don't expect a sentence. Nothing in the
# training asks soft prompts to lie near words; they only have to make the language model say the right thing afterwards,
# and there is much more room between the words than on them. So most cosines are small, and most words have nothing to do
# with the picture. Is there an exception? Look at number 13, which had to know the place. And at number 14, which had to
# know the style: near a word for a style, perhaps, but is it the right one? (Both pictures are *flat*.) A soft prompt is
# no hidden word.

# %%
table = torch.nn.functional.normalize(model.get_input_embeddings().weight.float(), dim=-1)
for name, image in (("bird, on a meadow", bird), ("boat, on the sea", boat)):
    prompts = torch.nn.functional.normalize(soft_prompts(model, pixels_of(image)).float(), dim=-1)
    likeness, nearest = (prompts @ table.T).max(-1)
    words = readable(tokenizer.convert_ids_to_tokens(nearest.tolist()))
    print(f"{name}: for each soft prompt its number, the nearest token and the cosine")
    show.tokens([f"{i}: {word} {cosine:.2f}" for i, (word, cosine) in enumerate(zip(words, likeness.tolist()))])

# %% [markdown]
# ## Part 4 · Captions, and an inkblot
#
# *35 minutes*
#
# A language model does one thing: it gives, for the text so far, a probability for every token of its vocabulary to be
# the next. Here they are at two places: at the very start, with nothing but the picture, and after the words "a small
# blue". A caption begins with "a" or with a number, so expect little doubt at the start. What comes after "blue" can only be
# known from the picture. How sure is the model that this is a bird?

# %%
for start, where in (("", "the picture"), ("a small blue", "the picture and “a small blue”")):
    with torch.no_grad():
        vectors = in_front_of(soft_prompts(model, pixels_of(bird)), start)
        logits = model.language_model(inputs_embeds=vectors).logits[0, -1]
    best = logits.float().softmax(-1).topk(4)
    words = readable(tokenizer.convert_ids_to_tokens(best.indices.tolist()))
    show.bars(dict(zip(words, best.values.tolist())), f"the next token after {where}")

# %% [markdown]
# To write a text, take a token, put it behind the text, ask again, and so on, until the model chooses `</s>`, *the
# end*. (Such a token, which stands for no letters, is called a **special token**.) Which token to take? **Greedy**
# decoding takes the likeliest every time (`do_sample=False`): the same picture always gets the same caption.
# **Sampling** picks at random, with these probabilities: more varied, and more often wrong. For captions that can be
# graded, greedy it is.
#
# `model.generate` runs this loop, and the **processor** prepares what goes in: it resizes the picture, scales its pixels
# as in the training, and turns the text into token numbers.

# %%
inputs = processor(images=bird, return_tensors="pt")
for name, tensor in inputs.items():
    print(f"{name}: {tuple(tensor.shape)}, from {tensor.min():.2f} to {tensor.max():.2f}")

# %% [markdown]
# ### Exercise 3 · `caption`
#
# *Difficulty ●●○○○ · 10 minutes · 14 points*
#
# Write the function that says what is on a picture: processor, `generate`, and tokens back into text. Give the model no
# text at all; then it writes a caption.
#
# <details><summary>Hint 1: the plan</summary>
#
# `inputs = processor(images=image, return_tensors="pt")`, then `model.generate(**inputs, …)` gives token numbers, one row
# for each picture. `processor.decode(row, skip_special_tokens=True)` makes a string of a row.
# </details>
#
# <details><summary>Hint 2: on a graphics card</summary>
#
# Model and inputs must be in the same place and of the same number format: `inputs.to(model.device, model.dtype)`.
# </details>
#
# <details><summary>Help: my caption stops in the middle</summary>
#
# Without `max_new_tokens`, `generate` stops after 20 tokens, and some captions are longer. Allow 60 new ones; the model
# stops by itself when it has said everything.
# </details>
#
# <details><summary>Help: my caption begins with &lt;image&gt;&lt;image&gt;&lt;image&gt;…</summary>
#
# These are the places of the soft prompts in the output. They are special tokens: `skip_special_tokens=True` leaves them
# out.
# </details>


# %% exercise="caption"
def caption(image):
    """Say what is on a picture: BLIP-2's caption, greedily decoded, of at most 60 tokens.

    image: a PIL picture of any size.

    Returns the caption as a string, without special tokens and without spaces around it. The model is loaded once, not
    at each call.
    """
    ### BEGIN SOLUTION
    inputs = processor(images=image, return_tensors="pt").to(model.device, model.dtype)
    said = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(said[0], skip_special_tokens=True).strip()
    ### END SOLUTION


# %% tests="caption" points=14
checks.nb04.caption(caption)

# %% [markdown]
# Now let it talk. Four pictures that it has never seen, with what it says of them, and below what the world knows to be
# right. The wording may differ: *little* is *small*, and the model names what is on the left or above first, so that "a
# dog left of a box" is its way to say "a box right of a dog". Look for what it gets wrong: the kind, the colour, the
# number, the place? Then run the cell again with another seed.

# %%
rng = Random(4)
scenes = [random_scene(rng) for _ in range(4)]
drawn = [draw(scene, size=size) for scene in scenes]
show.gallery(drawn, [f"BLIP-2: {caption(image)}" for image in drawn], alt=[describe(scene, rng) for scene in scenes])
for i, scene in enumerate(scenes, 1):
    print(f"{i}. right: {describe(scene, Random(0))}")

# %% [markdown]
# Four pictures are an impression. To *know* how good a model is, count. The next cell captions 16 fresh pictures with one
# thing and 16 with two, reads each caption back (`parse` is the inverse of `describe`) and asks three questions: are the
# kinds right, are the colours right, and does each kind have its own colour? With one thing expect nearly all to be right.
# With two, compare the last two columns: a caption that says "a blue cat and a red dog" of a red cat and a blue dog has
# all the right colours, on the wrong things. To keep what belongs together is called **binding**, and it is hard for large
# models, too.


# %%
def things_in(text):
    """The kinds and colours that a caption names; none where it can't be read."""
    try:
        return [(thing.kind, thing.colour) for thing in parse(text).things]
    except ValueError:
        return []


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
# In 1921 Hermann Rorschach published ten cards with inkblots. A blot is nothing in particular, so what people see in it
# says more about them than about the blot. Let us do the same to BLIP-2. It knows the word *inkblot* from its
# training, and should call a blot a blot:

# %%
blots = [
    draw(Scene((Thing("inkblot", colour),), place=place, layout=layout), size=size)
    for colour, place, layout in (
        ("purple", "desert", 1),
        ("blue", "snow", 2),
        ("red", "meadow", 5),
        ("green", "room", 8),
    )
]
show.gallery(
    blots,
    [caption(blot) for blot in blots],
    alt=[
        "a purple inkblot in the desert",
        "a blue inkblot in the snow",
        "a red inkblot on a meadow",
        "a green inkblot in a room",
    ],
)

# %% [markdown]
# Not what we wanted to know. So we forbid it the word: `suppress_tokens` sets the probability of some tokens to zero,
# and the model has to take the next best. Now it must say what *else* the blot looks like to it. And we let it sample,
# five times for each blot, for a look at what it has in mind. What shows is what it knows: a model that has only seen
# cats, boats and stars can only see cats, boats and stars.

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
# ## Part 5 · Questions and answers
#
# *40 minutes*
#
# BLIP-2 can answer questions, but not because it understands what a question is. Its language model (OPT) does nothing
# but *go on with a text*. So we give it a text whose natural continuation is the answer:
#
# `Question: What is on the box? Answer:`
#
# and it goes on with `_bird`. The form is no law of nature: it was in the training data exactly so, with these colons
# and spaces.
#
# Here is the raw output of `generate` for such a prompt, all tokens shown. Look closely at where the answer is.

# %%
prompt = "Question: What is on the box? Answer:"
inputs = processor(images=bird, text=prompt, return_tensors="pt").to(model.device, model.dtype)
said = model.generate(**inputs, max_new_tokens=10, do_sample=False)[0]
show.tokens(readable(tokenizer.convert_ids_to_tokens(said.tolist())))
print(f"{inputs['input_ids'].shape[1]} tokens went in, {len(said)} came out.")

# %% [markdown]
# Three things to learn from this row:
#
# - The processor has put one `<image>` for each soft prompt in front of the text. They only keep the places; the model
#   puts the soft prompts there.
# - The output **repeats the whole prompt**. The answer is what comes after as many tokens as went in.
# - The prompt ends with the colon, without a space, because the space belongs to the first token of the answer. After
#   the answer comes `</s>`: the model has finished.
#
# ### Exercise 4 · `complete`
#
# *Difficulty ●●○○○ · 15 minutes · 14 points*
#
# Write the function that lets BLIP-2 go on after a picture and any text, and returns only what is new.
#
# <details><summary>Hint: cut tokens, not letters</summary>
#
# `said[:, inputs["input_ids"].shape[1]:]` are the new tokens. Cutting the *text* at the last "Answer:" works for
# questions, but not for a prompt such as "a picture of".
# </details>
#
# <details><summary>Help: the answer has nothing to do with the picture</summary>
#
# Picture and text must go through the processor in *one* call, `processor(images=image, text=prompt, …)`, and all that it
# returns must go to `generate`. If you tokenize the text alone, there are no `<image>` places, and the model leaves the
# picture out without a word of complaint.
# </details>
#
# <details><summary>Help: "Using the model-agnostic default `max_length`", or an answer that breaks off</summary>
#
# Without `max_new_tokens` the library allows 20 new tokens, and warns you. Say how many you allow.
# </details>


# %% exercise="complete"
def complete(image, prompt):
    """Let BLIP-2 go on after a picture and a text, greedily decoded, with at most 30 new tokens.

    image: a PIL picture of any size.
    prompt: a string; the model gets it as it is.

    Returns only what is new, as a string without special tokens and without spaces around it. The model is loaded once,
    not at each call.
    """
    ### BEGIN SOLUTION
    inputs = processor(images=image, text=prompt, return_tensors="pt").to(model.device, model.dtype)
    said = model.generate(**inputs, max_new_tokens=30, do_sample=False)
    new = said[0, inputs["input_ids"].shape[1] :]
    return processor.decode(new, skip_special_tokens=True).strip()
    ### END SOLUTION


# %% tests="complete" points=14
checks.nb04.complete(complete)

# %% [markdown]
# ### Exercise 5 · `answer`
#
# *Difficulty ●○○○○ · 5 minutes · 10 points*
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

    image: a PIL picture of any size.
    question: a string, such as "What colour is the cat?".

    Returns BLIP-2's whole answer and nothing else, as a string without spaces around it. The model is loaded once, not
    at each call.
    """
    ### BEGIN SOLUTION
    return complete(image, f"Question: {question} Answer:")
    ### END SOLUTION


# %% tests="answer" points=10
checks.nb04.answer(answer)

# %% [markdown]
# Ask it about a picture, with all questions that our world knows about it. A tick says that the answer is right. Where it
# is wrong, look for a reason: is the wrong answer somewhere else in the picture?

# %%
show.gallery([bird], ["ask me"], alt=["a small blue bird on a large red box, on a meadow"])
for question, right in questions(on_box, Random(1)):
    said = answer(bird, question)
    print(f"{'✓' if said.rstrip('.') == right else ' '} {question:42} {said:12} (right: {right})")

# %% [markdown]
# Again, count. The cell asks about 12 fresh pictures with one thing and 12 with two, one question of each sort. Before
# you read the table, think what a guess would get. A yes-or-no question: half. A large or small thing: half. The colour
# of one of two things, for a model that knows both colours and cannot tell which belongs to which: half. A row near 6
# of 12 is no better than tossing a coin, however sure the answers sound. What to expect: with one thing nearly
# everything is right; with two, *size* and *colour* fall towards the coin.

# %%
sorts = {"colour": "What colo", "size": "large or small", "number": "How many", "is it there?": "Is there"}
rng, right, asked = Random(0), Counter(), Counter()
for n in (1, 2):
    for _ in range(12):
        scene = random_scene(rng, things=n)
        image, pairs = draw(scene, size=size), questions(scene, rng)
        for sort, words in sorts.items():
            if fitting := [pair for pair in pairs if words in pair[0]]:  # two things of one kind: no question names one
                question, truth = rng.choice(fitting)
                asked[sort, n] += 1
                right[sort, n] += answer(image, question).rstrip(".") == truth

print(f"{'question':14} {'one thing':>12} {'two things':>12}")
for sort in sorts:
    print(f"{sort:14}", *(f"{right[sort, n]:6} of {asked[sort, n]:2}" for n in (1, 2)))

# %% [markdown]
# If the colours of two things are little better than a coin toss, where is the fault? Query 0 looked at the first thing
# and query 3 at the other, and captions name both colours, so they have come through the bottleneck. Then it is the
# *language model* that must match the word in the question with the right soft prompt, and it is the smallest of the
# three parts.
#
# Does the form of the prompt really matter? Same picture, same question, four ways to put it. The first is the form of the
# training; the others the model has never met. Expect surprises: a strange form may work, or give nothing at all, or a
# piece of a caption. To a model that goes on with texts, a question without `Answer:` is a text that
# might go on in any way, or end there. So keep to the form that a model was trained with; its model card says which.

# %%
question = "What is on the box?"
for prompt in (f"Question: {question} Answer:", question, f"Q: {question} A:", f"Question: {question}"):
    print(f"{prompt:42} → {complete(bird, prompt)!r}")

# %% [markdown]
# The start of a caption works as well, for these two forms were in the training, too.

# %%
for prompt in ("a picture of", "This is"):
    print(prompt, complete(bird, prompt))

# %% [markdown]
# ## Part 6 · A memory
#
# *40 minutes*
#
# Try to have a conversation. In the picture there are a bird and a box. First you ask what is on the box; then you want
# to know what colour *it* is.

# %%
first, second = "What is on the box?", "What colour is it?"
print(f"{first} {answer(bird, first)}")
print(f"{second} {answer(bird, second)}   ← what is 'it'?")

# %% [markdown]
# The model has no way to know what *it* is: the bird or the box? It sees your second question as the first one it was
# ever asked. It names a colour all the same, because it always answers; which of the two is luck. (If it happens to be
# the right one, try another picture. We count in a moment.)
#
# Between two calls of `generate` **nothing stays behind** in the model. Its weights do not change, and what it computed
# is thrown away.
#
# So where is the memory of a chat? In the *prompt*. With each question we send the whole conversation along:
#
# `Question: What is on the box? Answer: bird. Question: What colour is it? Answer:`
#
# The model reads it from the start, every time, and *it* has become the bird. All chat models work like this, large ones
# too, whatever they look like from outside.
#
# ### Exercise 6 · `chat_prompt`
#
# *Difficulty ●●○○○ · 15 minutes · 12 points*
#
# Write the prompt of a conversation. The form is the one of the training: parts separated by single spaces, and one full
# stop after each earlier answer.
#
# <details><summary>Hint 1: the plan</summary>
#
# One string for each earlier turn, `f"Question: {q} Answer: {a}."`, one for the new question, and `" ".join(…)` over all.
# </details>
#
# <details><summary>Hint 2: exactly one full stop</summary>
#
# An answer may bring a full stop or spaces of its own: `a.strip().rstrip(".")` takes them away, then you put one there.
# </details>


# %% exercise="chat_prompt"
def chat_prompt(memory, question):
    """The prompt for a question that follows on others.

    memory: the earlier turns, a list of (question, answer), the oldest first; it stays as it is.
    question: the new question. Spaces around questions and answers don't count.

    Returns "Question: q1 Answer: a1. Question: q2 Answer: a2. Question: <question> Answer:", with single spaces
    between the parts and one full stop after each earlier answer, also where the answer ends with one already.
    """
    ### BEGIN SOLUTION
    turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}." for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])
    ### END SOLUTION


# %% tests="chat_prompt" points=12
checks.nb04.chat_prompt(chat_prompt)

# %% [markdown]
# Now the proof. The same picture and the same last question, after two different first questions. If the memory works,
# *it* is the bird in one conversation and the box in the other.

# %%
for first in ("What is on the box?", "Is there a box in the picture?"):
    prompt = chat_prompt([(first, answer(bird, first))], second)
    print(prompt, complete(bird, prompt))

# %% [markdown]
# How often does that work? Count it on 16 fresh pictures, with the memory and without. Without it, expect about half: there
# are two colours to choose from. With it there should be more right answers; all of them would be much for a language model
# of two million numbers, which has to do with *it* what it found hard with *the bird*.

# %%
rng, hits = Random(1), Counter()
while hits["pictures"] < 16:
    scene = random_scene(rng, things=2)
    one, other = scene.things
    if one.kind == other.kind or one.colour == other.colour or one.count > 1:
        continue  # "it" would not be clear, or the answer would be the same for both
    image, hits["pictures"] = draw(scene, size=size), hits["pictures"] + 1
    prompt = chat_prompt([(f"What is {scene.relation} the {other.kind}?", one.kind)], second)
    hits["with memory"] += complete(image, prompt).rstrip(".") == one.colour
    hits["without"] += answer(image, second).rstrip(".") == one.colour
print(f"Right with the memory: {hits['with memory']} of 16. Without it: {hits['without']} of 16.")

# %% [markdown]
# ### Exercise 7 · `Conversation`
#
# *Difficulty ●●●○○ · 20 minutes · 12 points*
#
# Put it into a class: a conversation knows its picture and what has been said, and asks each question with all of it.
#
# <details><summary>Hint: what ask does</summary>
#
# Make the prompt from the memory and the question, let `complete` go on, put (question, answer) into the memory, return
# the answer. In this order: the new question does not belong in the memory until it is answered.
# </details>
#
# <details><summary>Help: a new conversation remembers the old one</summary>
#
# `class Conversation: memory = []` makes *one* list for all conversations, and `def __init__(self, image, memory=[])` does
# so, too: Python makes a default value once, when it reads the function. Write `self.memory = []` in `__init__`.
# </details>


# %% exercise="Conversation"
class Conversation:
    """A conversation with BLIP-2 about one picture.

    memory: what has been said, a list of (question, answer), the oldest first. Each question is asked with
        whatever it holds at that moment.
    """

    def __init__(self, image):
        """image: a PIL picture of any size. A new conversation has its own memory, which is empty."""
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
        """Forget everything that was said; the picture stays."""
        ### BEGIN SOLUTION
        self.memory = []
        ### END SOLUTION


# %% tests="Conversation" points=12
checks.nb04.Conversation(Conversation)

# %% [markdown]
# The same five questions, asked with a memory and without. Before you run it: which of them lean on an earlier one, and
# which can be answered from the picture alone? Expect a difference in the first kind only.

# %%
chat = Conversation(bird)
print(f"{'question':28} {'with memory':16} without")
for question in (
    "Is there a box in the picture?",
    "What colour is it?",
    "Is it large or small?",
    "Where is this?",
    "How many are there?",
):
    print(f"{question:28} {chat.ask(question):16} {answer(bird, question)}")

print(f"\nThe last prompt:\n{chat_prompt(chat.memory[:-1], chat.memory[-1][0])}")

# %% [markdown]
# This memory has a price and a limit. Each question makes the prompt longer, and the model reads all of it again. And
# there is an end: a language model has a largest length, its **context window**. Whoever writes a chat has to decide
# what to leave out when it is full; usually the oldest turns go first.

# %%
longest = config.text_config.max_position_embeddings
for turns in (1, 5, 20, 40):
    length = len(tokenizer(chat_prompt([("What colour is it?", "blue")] * turns, "Where is this?"))["input_ids"])
    print(f"{turns:2} turns in the memory: {config.num_query_tokens} + {length} tokens; {longest} fit")

# %% [markdown]
# And a memory can lie. The model cannot know that *we* wrote an answer into it. Two lies: that this is on Mars, and that
# there is a cat on the box. What will it say?

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
# always true and the picture always there, so it never had to choose between the two.) The second lie it swallows. It does
# not say "there is no cat"; nobody taught it to. It names a colour, and whoever reads the conversation now believes in a
# cat of that colour.
#
# Large chat models have read far more text, and text weighs more with them: they often go along with what a prompt claims,
# even against the picture. That is why it matters who may write into a memory.

# %% [markdown]
# ## Part 7 · The chat window
#
# *15 minutes*
#
# Enough of `print`. `widgets.Chatbot` is a small chat window made of plain ipywidgets: bubbles, a field, two buttons. It
# takes your `Conversation` as it is, because all it needs is something with a method `ask`. Type a question and press
# Enter. "Clear" calls your `reset`. If your code fails, the error appears as a bubble.
#
# Ask what is on the box, then what colour it is, where this is, how many there are. Then make it fail: ask about something
# that is not there, or about the weather. It has no words for "I don't know", so it will say *something*.

# %%
widgets.Chatbot(Conversation(bird), bird, alt="a small blue bird on a large red box, on a meadow")

# %% [markdown]
# Large models take a while for an answer, and chat windows show it word by word, as it comes. That is no trick: the model
# *does* write one token after the other. `TextIteratorStreamer` hands each piece of text out as soon as it is there;
# `generate` runs in a thread of its own meanwhile. The window takes a function that yields pieces, too. Whatever you
# type here, you get a caption, piece by piece:


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
widgets.Chatbot(tell, boat, alt="a small white star above a large yellow boat, on the sea", placeholder="Say anything")

# %% [markdown]
# ## Part 8 · Two questions, flashcards, going further
#
# *30 minutes*
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
# are the same for every picture; they are sent out before anybody has asked anything. Each brings home a weighted mean
# over the patches. A small detail that no query cares for, such as a word on a sign or the seventh of nine birds, is
# averaged away, and no question can bring it back. So I expect BLIP-2 to do worse at reading text, at counting many
# things and at exact positions, where LLaVA can still look into each patch's own vector.
# ### END SOLUTION

# %% [markdown] written="where_is_the_memory" points=5
# ### Question 2 · Where is the memory?
#
# A friend says: "My chat model learns from our conversations: it still knew my cat's name after an hour." Then, the next
# morning, in a new chat, it does not know the name any more. Explain both with what you built in Part 6. What would have
# to be done so that the name is known in the new chat, and what could go wrong with it?
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
# ### Flashcards
#
# Fourteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget; importing it twice does not double your cards.

# %%
cards = flashcards.find("04_blip2_chat")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "blip2_chat.apkg")
print("Wrote blip2_chat.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Switch a query off.** Set one of the soft prompts to zero (or to the mean of all) and look which part of the caption
#   changes. Do it for all of them: a table of what each query carries.
# - **Mix two pictures.** Take half of the soft prompts from the bird and half from the boat. What does the language model
#   make of it?
# - **Forget in an orderly way.** Let `Conversation` drop its oldest turns when the prompt would be longer than the context
#   window, and let it say so.
# - **The full model.** On a GPU set `COURSE_PROFILE=full` before you start the notebook: the same code then loads
#   Salesforce's BLIP-2 with a language model of 2.7 billion numbers (15 GB to download). Give it photos, and inkblots.
#
# ### References
#
# - R. Sennrich, B. Haddow, A. Birch: *Neural Machine Translation of Rare Words with Subword Units*, 2016,
#   [arXiv:1508.07909](https://arxiv.org/abs/1508.07909). Byte pair encoding.
# - A. Radford et al.: *Language Models are Unsupervised Multitask Learners*, 2019. GPT-2, and BPE on bytes with its Ġ.
# - J. Li, D. Li, S. Savarese, S. Hoi: *BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
#   Large Language Models*, 2023, [arXiv:2301.12597](https://arxiv.org/abs/2301.12597)
# - S. Zhang et al.: *OPT: Open Pre-trained Transformer Language Models*, 2022,
#   [arXiv:2205.01068](https://arxiv.org/abs/2205.01068)
# - A. Vaswani et al.: *Attention Is All You Need*, 2017, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - B. Lester, R. Al-Rfou, N. Constant: *The Power of Scale for Parameter-Efficient Prompt Tuning*, 2021,
#   [arXiv:2104.08691](https://arxiv.org/abs/2104.08691). Soft prompts.
