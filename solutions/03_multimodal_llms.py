# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Multimodal LLMs: language models that see
#
# Show a chat model a photo of your fridge, ask "what can I cook?", and it answers in whole sentences. Yet inside it
# sits a **large language model** (LLM), a machine that reads nothing but a row of vectors, one for each word. How does
# a picture get into it? The answer is so simple that it surprised the field: *as words*. A small network turns the
# picture into some dozens of vectors that look, to the language model, as if they were words of a strange language. In
# this notebook you build that road yourself, look at the picture-words on their way in, and see how the model was
# taught to read them. Then you talk to it as programs do, through an API, and make it answer in a form that a program
# can use. At the end it competes with a specialist.
#
# The chat model here is small and knows only a picture-book world, so everything runs on a laptop. It is a real LLaVA:
# the same class, the same parts, only fewer numbers inside. And every line that talks to it also talks to a model of
# many billion parameters at Groq or NVIDIA.
#
# **When you are done, you can**
#
# - say what the vision tower, the projector and the language model each do, and compute a picture's image tokens
# - find the image tokens among the words, and put others in their place
# - explain the two stages in which such a model is trained, and why the projector comes first
# - send a picture to a chat model inside a message, with LangChain, to any provider by changing one argument
# - get answers that a program can read, and recover when a reply is malformed
# - choose between a specialist and a generalist with a measurement instead of a feeling
#
# **What you need**: Python functions, dicts and exceptions, tensors in PyTorch. Notebook 02 (patches, ViLT) helps, but
# is not needed. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Two ways to answer | 20 | |
# | 2 How a LLaVA is built | 45 | 18 |
# | 3 Image tokens among words | 40 | |
# | 4 How it was taught | 35 | |
# | 5 Pictures in messages | 45 | 24 |
# | 6 Answers that a program can read | 60 | 38 |
# | 7 Specialist against generalist | 35 | 10 |
# | 8 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place of
# the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of them
# passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on other
# inputs. Every exercise has hints that unfold, and ● to ●●●●● tells how hard it is. If one keeps you from going on,
# `checks.borrow("parse_reply")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `image_tokens` in Parts 3 and 4, `data_url` in
# `build_message`, `build_message` and `parse_reply` in `describe_as_json`.

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
import base64
import io
import json
import math
import re
import time
from collections import defaultdict
from random import Random
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import torch
from langchain_core.messages import HumanMessage
from PIL import Image
from torch.nn import functional as F

from helpers import checks, flashcards, show, widgets
from helpers.chat import chat_model
from helpers.models import load
from helpers.picturebook import COLOURS, KINDS, PLACES, SIZES, Scene, Thing, describe, draw, questions, random_scene
from helpers.settings import settings

model, processor = load("chat")
vision, size = model.config.vision_config, model.config.vision_config.image_size
side = size // vision.patch_size  # patches in a row, and rows
pd.set_option("display.max_colwidth", None)  # tables show whole sentences
print(f"Profile: {settings.profile}, on the {settings.device}. The chat model takes pictures of {size}×{size} pixels.")

# %% [markdown]
# ## Part 1 · Two ways to answer
#
# *20 minutes*
#
# Here are two pictures that we shall use throughout.

# %%
cat = draw(Scene((Thing("cat", "red"),), place="meadow", layout=4), size=size)
boat = draw(Scene((Thing("boat", "blue"),), place="sea", layout=3), size=size)
show.gallery(
    [cat, boat],
    ["the cat", "the boat"],
    alt=["a drawing of a large red cat on a meadow", "a drawing of a large blue boat on the sea"],
)

# %% [markdown]
# Two models of this course can answer questions about them. They could hardly be more different:
#
# - the **specialist**, a ViLT (notebook 02), was built for this one task. It gives a number to each answer on a fixed
#   list and says the one with the largest. It cannot say anything that is not on the list.
# - the **generalist**, a LLaVA, is a language model that was given eyes. It *writes* its answer, one **token** after the
#   other: a token is a word, a piece of a word or a punctuation mark. Each is chosen from the model's whole vocabulary.
#   Nobody wrote a list of its answers, and it takes any instruction.

# %%
vqa, vqa_processor = load("vqa")


def specialist(image, question):
    """ViLT's answer and how sure it is: "red (98%)"."""
    inputs = vqa_processor(image, question, truncation=True, return_tensors="pt").to(vqa.device)
    with torch.inference_mode():
        scores = vqa(**inputs).logits[0].sigmoid()
    return f"{vqa.config.id2label[scores.argmax().item()]} ({scores.max():.0%})"


def inputs_for(image, text):
    """What goes into the chat model for a user's message: token ids, their mask, the picture's pixels."""
    message = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return processor.apply_chat_template([message], **options).to(model.device, model.dtype)


def reply_to(inputs, max_new_tokens=100):
    """The chat model's reply, always with the likeliest next token."""
    made = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return processor.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


for question in (
    "What is the colour of the cat?",
    "Describe the picture.",
    "Tell me a funny story about this picture.",
):
    print(
        f"{question}\n   specialist: {specialist(cat, question)}\n   generalist: {reply_to(inputs_for(cat, question))}\n"
    )

for name, each in (("specialist", vqa), ("generalist", model)):
    millions = sum(p.numel() for p in each.parameters()) / 1e6
    print(f"The {name}: {type(each).__name__}, {millions:.1f} million numbers.")
print(f"The specialist chooses among {vqa.config.num_labels} answers,")
print(f"the generalist among {model.config.text_config.vocab_size:,} tokens, again and again.")

# %% [markdown]
# What to look for: asked for a colour, both do well. Asked to describe, the specialist is at a loss and says a word all
# the same; only its score, near 0 %, admits it. The generalist speaks fluently, whatever you ask. Which of the two is
# better? That depends, and in Part 7 you measure it. First we open the generalist.

# %% [markdown]
# ## Part 2 · How a LLaVA is built
#
# *45 minutes*
#
# LLaVA (Liu et al. 2023) is made of two finished models and a bridge between them:
#
# ```
#  picture ──▶ vision tower ──▶ projector ──▶ image tokens ┐
#                                                          ├──▶ language model ──▶ next word
#  text ─────▶ tokenizer ─────▶ word vectors ──────────────┘
# ```
#
# | part | goes in | comes out | where it comes from |
# |---|---|---|---|
# | **vision tower** | a picture | one vector per patch | a CLIP, taken as it is |
# | **projector** | a patch's vector | a vector as long as the language model's | new: two linear layers with a non-linear function (GELU) between |
# | **language model** | a row of vectors | the next token | a Llama, finished as well |
#
# A **patch** is a small square of the picture; the tower reads the picture as a row of them.
#
# Why a projector at all? The tower's vectors mean something to CLIP: they have CLIP's length and CLIP's directions. To
# the language model they are noise. (In our mini model both happen to be 192 numbers long. In the large LLaVA it is 1,024
# there and 4,096 here; the length is the lesser problem.) The projector is an **interpreter**: it says in the language
# model's own space what the tower has seen. It is tiny beside the other two, and it is the only part that has to be made
# from nothing.

# %%
parts = {
    "vision tower": model.model.vision_tower,
    "projector": model.model.multi_modal_projector,
    "language model": model.model.language_model,
}
for name, part in parts.items():
    print(f"{name:15} {type(part).__name__:28} {sum(p.numel() for p in part.parameters()):>12,} numbers")
print()
print(model.model.multi_modal_projector)

# %% [markdown]
# Let us follow the cat. The tower cuts it into patches, puts a **class token** before them (a place where CLIP gathers
# the picture as a whole), and sends all through its layers. With `output_hidden_states=True` it keeps what came out of
# each layer.

# %%
pixel_values = inputs_for(cat, "")["pixel_values"]
with torch.no_grad():
    eyes = model.model.vision_tower(pixel_values, output_hidden_states=True)
print(f"pixels: {tuple(pixel_values.shape)}, one picture of 3 channels")
print(f"hidden states: {len(eyes.hidden_states)}, the first before any layer, then one after each layer")
print(f"each of them: {tuple(eyes.hidden_states[0].shape)} = (pictures, class token + {side}×{side} patches, width)")
print()
print(f"vision_feature_layer = {model.config.vision_feature_layer}")
print(f"vision_feature_select_strategy = {model.config.vision_feature_select_strategy!r}")
print(f"width of the language model = {model.config.text_config.hidden_size}")

# %% [markdown]
# The last three lines are the model's own notes on how it was trained, and both choices have a reason:
#
# - **Not the last layer, the one before it** (`-2`). CLIP's last layer works for the class token alone: only that one is
#   compared with the caption, so nobody ever asked the patches to keep their details there. One layer earlier
#   they still have them.
# - **Without the class token** (`"default"`; `"full"` would keep it). It tells what the picture shows as a whole, not
#   where. The patches have both.
#
# ### Exercise 1 · `image_tokens`
#
# *Difficulty ●●○○○ · 20 minutes · 18 points*
#
# Take a picture from pixels to image tokens, through the two parts. The models have a method for that,
# `get_image_features`: here it is out of reach, since you are to write what it does.
#
# <details><summary>Hint 1: the plan</summary>
#
# The tower with `output_hidden_states=True`, one of its `hidden_states`, without its first token if the strategy is
# `"default"`, through the projector, and out of the batch of one.
# </details>
#
# <details><summary>Hint 2: which numbers to write down</summary>
#
# None. The layer and the strategy are in `model.config`, and the check tries models that were trained with others.
# Tokens are the second dimension of the hidden states: `states[:, 1:]` leaves out the first of each picture.
# </details>
#
# <details><summary>Help: "'NoneType' object is not subscriptable"</summary>
#
# Then `hidden_states` is None, because nobody asked for it: call the tower with `output_hidden_states=True`.
# </details>
#
# <details><summary>Help: "mat1 and mat2 shapes cannot be multiplied"</summary>
#
# The projector got something that is not as wide as the tower's hidden states. Is it `pooler_output`, or the pixels?
# </details>


# %% exercise="image_tokens"
def image_tokens(model, pixel_values):
    """The vectors that stand for a picture in a LLaVA's language model (Liu et al. 2023, section 4.1).

    model: a LlavaForConditionalGeneration. Its config names the hidden state that its projector reads
        (vision_feature_layer, an int: from 0 at the front or, below 0, from the end) and whether the class token is
        dropped (vision_feature_select_strategy, "default": yes, "full": no).
    pixel_values: one picture as the model's processor gives it, tensor (1, 3, height, width); it stays as it is.

    Returns a tensor (number of image tokens, hidden size of the language model), made by the model's vision tower
    and its projector, without get_image_features.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        eyes = model.model.vision_tower(pixel_values, output_hidden_states=True)
        states = eyes.hidden_states[model.config.vision_feature_layer]
        if model.config.vision_feature_select_strategy == "default":
            states = states[:, 1:]
        return model.model.multi_modal_projector(states)[0]
    ### END SOLUTION


# %% tests="image_tokens" points=18
checks.nb03.image_tokens(image_tokens)

# %% [markdown]
# ## Part 3 · Image tokens among words
#
# *40 minutes*
#
# Now into the language model. The **chat template** writes the conversation down as one text, with a placeholder
# `<image>` where the picture belongs; the processor repeats the placeholder as often as the picture has tokens. Here is
# everything the language model is given for one question, each token with its place in the row below it. The blue ones
# are the placeholders: most of what it reads is the picture.

# %%
question = "What is in the picture?"
inputs = inputs_for(cat, question)
ids = inputs["input_ids"][0]
is_image = ids == model.config.image_token_index
words = ["▦" if image else processor.decode([i]).replace("\n", "⏎") for i, image in zip(ids, is_image)]
show.tokens(words, range(len(words)), marked=is_image, meaning="image tokens")

# %% [markdown]
# Each token id has a vector, its **embedding**, in one large table. The placeholder has one too, but it is never used: in
# its place comes what you computed. The next cell does it by hand. It looks up the words, writes your image tokens over
# the placeholders, and sends the row through the language model. Out come the **logits**: for each place in the row a
# number for each token of the vocabulary, the larger, the likelier it comes next. If that is really all, they must be
# the same as those of the whole model:

# %%
embed = model.get_input_embeddings()
tokens_of_cat = image_tokens(model, inputs["pixel_values"])

with torch.no_grad():
    row = embed(ids)
    row[is_image] = tokens_of_cat
    by_hand = model.lm_head(model.model.language_model(inputs_embeds=row[None]).last_hidden_state)
    own = model(**inputs).logits
print(f"The row: {tuple(row.shape)} = (tokens, width), of which {tuple(tokens_of_cat.shape)} are the picture.")
print(f"Largest difference to the model's own logits: {(by_hand - own).abs().max():.1e}")
print(f"Likeliest next token: {processor.decode([by_hand[0, -1].argmax()])!r}")

# %% [markdown]
# That is the whole trick. The language model has not been rebuilt in any way. It reads a row of vectors, and does not
# know that some of them are a picture.
#
# **What do they look like?** First their size, the norm of each vector, along the row (left) and laid over the picture
# (right). The words' vectors were learned as words; the image tokens only have to be *useful*, and each layer of the
# language model first normalises what it reads, which divides the size away. So there is no reason that both should be
# equally long, and in our model the image tokens are many times as long as the words. In the right picture look for a
# pattern: are the patches with the cat different from those with nothing but sky or grass?

# %%
norms = row.float().norm(dim=-1).cpu()
positions, image_at = torch.arange(len(ids)), is_image.cpu()
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(2, 1), layout="constrained")
left.bar(positions[~image_at], norms[~image_at], color="grey", label="words")
left.bar(positions[image_at], norms[image_at], color="#3c82f0", label="image tokens")
left.set(xlabel="place in the row", ylabel="size (norm)", ylim=(0, 1.3 * norms.max()), title="the row, token by token")
left.legend()
right.imshow(cat.convert("L"), cmap="gray", extent=(0, side, side, 0))  # in grey, so that all colour is the map's
shades = right.imshow(norms[image_at].reshape(side, side), extent=(0, side, side, 0), cmap="viridis", alpha=0.65)
right.set(title="the image tokens, by patch", xticks=[], yticks=[])
figure.colorbar(shades, label="size (norm)")
show.plot(
    figure,
    alt=f"Left: bars of the vectors' sizes by position; words have a mean of {norms[~image_at].mean():.2f}, image "
    f"tokens of {norms[image_at].mean():.2f}. Right: the image tokens' sizes from {norms[image_at].min():.2f} to "
    f"{norms[image_at].max():.2f}, as a map over the picture of the cat.",
    width=860,
)

# %% [markdown]
# **What do they mean?** If image tokens are words of a strange language, we can look for the nearest words of ours. For
# each patch the left picture shows the word of the vocabulary whose embedding points most nearly in the same direction
# (the cosine). The right one asks later, behind the last layer: which word would the language model say next if it had
# to speak at this patch? (To ask the same behind an *earlier* layer is called the **logit lens**.)
#
# Don't expect a caption. Nothing in the training asked a single image token to resemble a single word; all that counted
# was that the *reply* came out right. What you can expect is a pattern. In the left picture neighbouring patches that
# show the same get the same words, and now and then a word fits: read the words on the cat, and along the bottom edge.
# The right picture is harder to read, full of commas and small words: at these places nobody ever asked the model to
# say anything. (Tokens can be pieces of words, too, or bytes that are no letter by themselves: �.)


# %%
def write_on_patches(axes, picture, words, title):
    """Draw a faded picture with a word on each patch."""
    axes.imshow(picture, extent=(0, side, side, 0), alpha=0.35)
    for place, word in enumerate(words):
        axes.text(place % side + 0.5, place // side + 0.5, word, ha="center", va="center", fontsize=8)
    axes.set(title=title, xticks=range(side + 1), yticks=range(side + 1), xticklabels=[], yticklabels=[])
    axes.tick_params(length=0)
    axes.grid(color="white", linewidth=0.8)


with torch.no_grad():
    directions = F.normalize(embed.weight.float(), dim=-1)
    nearest = (F.normalize(tokens_of_cat.float(), dim=-1) @ directions.T).max(-1)
    behind = model.model.language_model(inputs_embeds=row[None]).last_hidden_state[0, is_image]
    next_words = model.lm_head(behind).argmax(-1)
going_in, coming_out = (
    [processor.decode([i]).strip().replace("\n", "⏎") for i in each] for each in (nearest.indices, next_words)
)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.4))
write_on_patches(left, cat, going_in, "nearest word, going in")
write_on_patches(right, cat, coming_out, "next word, behind the last layer")
figure.tight_layout()
show.plot(
    figure,
    alt=f"The picture of the cat twice, with a word on each of its {side}×{side} patches. Left, the nearest words going "
    f"in, row by row: {', '.join(going_in)}. Right, behind the last layer: {', '.join(coming_out)}.",
    width=960,
)
print(f"Cosine with the nearest word: {nearest.values.mean():.2f} on average. 1 would be that word itself.")

# %% [markdown]
# **The proof by exchange.** If the row of vectors is all that the model knows of the picture, then we can lie to it. Same
# question, other tokens: the boat's; the upper half of the cat with the lower half of the boat; the cat's, shuffled; none
# at all, only zeros. Before you run the cell, guess: what will become of the *shuffled* cat? A hint: the tower has its own
# sense of place. Each patch was told where it lies before the first layer, so every image token carries its place with it.


# %%
@torch.no_grad()
def reply_from(image_part):
    """The reply to the question above, with these vectors in the picture's place."""
    row = embed(ids)
    row[is_image] = image_part
    mask = torch.ones_like(ids)[None]
    made = model.generate(inputs_embeds=row[None], attention_mask=mask, max_new_tokens=20, do_sample=False)
    return processor.decode(made[0], skip_special_tokens=True).strip()


tokens_of_boat = image_tokens(model, inputs_for(boat, question)["pixel_values"])
half = len(tokens_of_cat) // 2
shuffled = torch.randperm(len(tokens_of_cat), generator=torch.Generator().manual_seed(0))
exchanges = {
    "the cat's tokens": tokens_of_cat,
    "the boat's tokens": tokens_of_boat,
    "cat above, boat below": torch.cat([tokens_of_cat[:half], tokens_of_boat[half:]]),
    "the cat's, shuffled": tokens_of_cat[shuffled],
    "zeros": torch.zeros_like(tokens_of_cat),
}
print(question)
for name, part in exchanges.items():
    print(f"   {name:24}{reply_from(part)}")

# %% [markdown]
# The last line is worth a second look. With no picture at all the model does not say "I see nothing". It says something
# that sounds just as sure as the rest, because it has learned what answers sound like. This is called a
# **hallucination**, and you will need this experiment again in Question 2.

# %% [markdown]
# ## Part 4 · How it was taught
#
# *35 minutes*
#
# A LLaVA starts with two models that never met. It is trained in two stages, and the order matters:
#
# | stage | what it sees | what learns | what stays frozen |
# |---|---|---|---|
# | **1 alignment** | pictures and captions | the projector alone | vision tower, language model |
# | **2 instructions** | pictures, instructions and replies of all kinds | projector and language model | vision tower |
#
# Why not all at once? At the start the projector is random, and its image tokens are garbage. A language model that
# learns from garbage learns one thing: *ignore these tokens*, and damages its language on the way. So first only the
# interpreter learns, against a language model that does not move, until pictures read like captions. Then both
# learn to follow instructions: to describe, to answer, to reply in JSON, to tell a story.
#
# (The large LLaVA got a Llama that could already talk. Ours had to learn its English first, from dialogues in which a
# caption stands where later the picture will be. So our training has a stage 0, with text alone. And since our
# picture-book world is so small, its stage 1 could practise on all kinds of dialogues about pictures, not on captions
# only.)
#
# In both stages the loss is the language model's usual one, the cross-entropy of the next token, and it counts **only
# what the assistant says**. Nobody wants the model to learn how to ask, or to predict patches. Here is a training
# example of stage 1. Blue is what counts:

# %%
prompt = processor.apply_chat_template(
    [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe the picture."}]}],
    add_generation_prompt=True,
)
prompt = prompt.replace("<image>", "<image>" * len(tokens_of_cat))
tokenizer = processor.tokenizer
asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
reply = f" The picture shows a large red cat, on a meadow.{tokenizer.eos_token}"
said = tokenizer(reply, add_special_tokens=False)["input_ids"]
words = ["▦" if i == model.config.image_token_index else processor.decode([i]).replace("\n", "⏎") for i in asked + said]
show.tokens(words, marked=[False] * len(asked) + [True] * len(said), meaning="counted in the loss")

# %% [markdown]
# ### Stage 1, live
#
# Stage 1 is small enough to watch. We throw the projector away, put a random one in its place, freeze everything else,
# and train the new one for some seconds, on 96 pictures with captions. On 32 other pictures we measure its loss before and
# after. The plot has two lines to compare it with:
#
# - dashed: **the best guess without looking**. Somebody who knows how these captions go, but does not see the picture, must
#   guess the kind, the colour, the size and the place. Choosing blindly among $n$ equally likely things costs a
#   cross-entropy of $\ln n$; the cell works it out.
# - solid: the course's own projector, which was trained for longer.
#
# What to look for: the curve starts far above the dashed line. Random image tokens are worse than none, because they
# disturb. Then it falls quickly, and crosses the line. Whatever it gains *below* the dashed line can only come from
# looking at the pictures.

# %%
steps = 40 if settings.profile == "mini" else 0  # a model of 7 billion numbers needs a training machine
rng = Random(3)
things = [Thing(rng.choice(KINDS), rng.choice(COLOURS), rng.choice(SIZES)) for _ in range(128)]
scenes = [Scene((thing,), rng.choice(PLACES), layout=layout) for layout, thing in enumerate(things)]
plainest = SimpleNamespace(random=lambda: 0.0)  # "random" numbers that always choose the first wording, the plainest
captions = [f" The picture shows {describe(scene, plainest)}.{tokenizer.eos_token}" for scene in scenes]
texts = tokenizer(
    [prompt + caption for caption in captions],
    add_special_tokens=False,
    padding=True,
    padding_side="right",
    return_tensors="pt",
).to(model.device)
labels = texts["input_ids"].masked_fill(texts["attention_mask"] == 0, -100)
labels[:, : len(asked)] = -100  # -100 is how cross_entropy is told not to count a token
tokens_a_caption = (labels != -100).sum().item() / len(captions)

pixels = processor.image_processor([draw(scene, size=size) for scene in scenes], return_tensors="pt")["pixel_values"]
model.requires_grad_(False)
with torch.no_grad():  # the tower is frozen, so one look at each picture is enough
    seen = model.model.vision_tower(pixels.to(model.device, model.dtype), output_hidden_states=True)
    seen = seen.hidden_states[model.config.vision_feature_layer][:, 1:]


def caption_loss(projector, rows):
    """Mean cross-entropy per caption token, for the pictures and captions with these numbers."""
    ids = texts["input_ids"][rows]
    vectors = embed(ids).masked_scatter((ids == model.config.image_token_index)[..., None], projector(seen[rows]))
    states = model.model.language_model(inputs_embeds=vectors, attention_mask=texts["attention_mask"][rows])
    logits = model.lm_head(states.last_hidden_state[:, len(asked) - 1 : -1])
    return F.cross_entropy(logits.flatten(0, 1).float(), labels[rows, len(asked) :].flatten())


train, test = torch.arange(96), torch.arange(96, 128)
trained = model.model.multi_modal_projector
torch.manual_seed(0)
fresh = type(trained)(model.config).to(model.device, model.dtype)
optimizer = torch.optim.AdamW(fresh.parameters(), lr=5e-3)
with torch.no_grad():
    lines = {
        "best guess without looking": math.log(len(KINDS) * len(COLOURS) * len(SIZES) * len(PLACES)) / tokens_a_caption,
        "the course's projector": caption_loss(trained, test).item(),
    }
    before = caption_loss(fresh, test).item()
losses = []
for _ in range(steps):
    loss = caption_loss(fresh, train[torch.randperm(len(train))[:8]])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
with torch.no_grad():
    after = caption_loss(fresh, test).item()

figure, axes = plt.subplots(figsize=(7, 3.6))
axes.plot(losses, label="a fresh projector, learning")
for (name, value), style in zip(lines.items(), ("--", "-")):
    axes.axhline(value, color="grey", linestyle=style, label=name)
axes.set(xlabel="step", ylabel="loss per caption token", ylim=(0, None), title="stage 1: the projector alone learns")
axes.legend()
show.plot(
    figure,
    alt=f"The loss of a fresh projector over {steps} steps: on pictures it has not learned from, {before:.2f} before and "
    f"{after:.2f} after. Lines for comparison: "
    + ", ".join(f"{name} {value:.2f}" for name, value in lines.items())
    + ".",
)
print(f"On {len(test)} pictures that were not trained on: {before:.2f} before, {after:.2f} after {steps} steps.")
for name, value in lines.items():
    print(f"{name}: {value:.2f}")

# %% [markdown]
# ## Part 5 · Pictures in messages
#
# *45 minutes*
#
# So far the model lived in this notebook. The large ones live in data centres, and one talks to them over HTTP: a list of
# **messages** goes out, one message comes back. Nearly all providers speak the same dialect, the one that OpenAI began
# with. A picture travels *inside* the message, written in letters: as a **data URL**. Three things hide in this long word:
#
# ```
# data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA…
#      ───┬────  ──┬──  ───────┬────────────────
#  what kind    in which      the bytes of the file, in letters:
#  of file      alphabet      base64 writes 3 bytes as 4 letters
# ```
#
# ### Exercise 2 · `data_url`
#
# *Difficulty ●●○○○ · 15 minutes · 12 points*
#
# The bytes are those of a *file*, with its header that says how large the picture is and how it is packed. But no file
# has to be written to disk: `io.BytesIO()` is a file in memory.
#
# <details><summary>Hint 1: the steps</summary>
#
# `image.save(buffer, format=…)`, `buffer.getvalue()`, `base64.b64encode(…)`, and the beginning of the address before it.
# </details>
#
# <details><summary>Hint 2: PNG and JPEG want different things</summary>
#
# PNG keeps every pixel of every picture, with transparency and palette: save the picture as it is. JPEG knows red, green
# and blue only: `image.convert("RGB")` gives a new picture without the rest.
# </details>
#
# <details><summary>Help: "data:image/png;base64,b'iVBOR…'"</summary>
#
# `b64encode` gives bytes, and an f-string writes bytes with `b'…'` around them. `.decode()` makes a string of them.
# </details>
#
# <details><summary>Help: "cannot write mode RGBA as JPEG"</summary>
#
# See Hint 2. The same comes for pictures of mode P, those with a palette.
# </details>


# %% exercise="data_url"
def data_url(image, *, format="PNG"):
    """A picture as an address that holds the picture itself.

    image: a PIL image of mode RGB, RGBA, L (grey) or P (palette); it stays as it is.
    format: "PNG", which keeps every pixel and the transparency, "JPEG" or "WEBP", which are smaller and lose a little.

    Returns a string that starts with data:image/png;base64, (the format's name in lower case), all in one line.
    """
    ### BEGIN SOLUTION
    buffer = io.BytesIO()
    if format.upper() == "JPEG":
        image = image.convert("RGB")
    image.save(buffer, format=format)
    letters = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{format.lower()};base64,{letters}"
    ### END SOLUTION


# %% tests="data_url" points=12
checks.nb03.data_url(data_url)

# %% [markdown]
# How large is such an address? Services have limits (some take less than 200 kB in a request), and every letter has to
# travel. What to look for in the table: the drawing with its flat areas is small in each format. A photo, here made of the
# drawing with noise, is ten times larger as PNG, which keeps every grain, and much less so as JPEG, which does not.

# %%
photo = Image.blend(cat, Image.effect_noise(cat.size, 90).convert("RGB"), 0.3)
rows = [
    {"picture": name, **{format: f"{len(data_url(image, format=format)):,}" for format in ("PNG", "JPEG", "WEBP")}}
    for name, image in (("the drawing", cat), ("with noise, like a photo", photo))
]
pd.DataFrame(rows).style.hide(axis="index").set_caption("letters of the data URL")

# %% [markdown]
# **LangChain** is a library with one interface for all chat services. A conversation is a list of message objects: a
# `SystemMessage` gives the rules, a `HumanMessage` is what the user says, an `AIMessage` what the model replied. The
# content of a message is a text, or, where there is more than text, a list of **parts**:
#
# ```python
# [
#     {"type": "text", "text": "What is this?"},
#     {"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}},
# ]
# ```
#
# ### Exercise 3 · `build_message`
#
# *Difficulty ●○○○○ · 10 minutes · 12 points*
#
# Write the function that packs a text and a picture into one such message, the picture as your `data_url`.
#
# <details><summary>Hint</summary>
#
# `HumanMessage(content=[…])` with the list above, and your `data_url` in it. Mind the second level: the value of
# `"image_url"` is a dict with the key `"url"`. Some services take a bare string there, others refuse it.
# </details>


# %% exercise="build_message"
def build_message(text, image):
    """A user's message with a picture, as chat services take it.

    text: what the user says.
    image: a PIL image of any mode that data_url takes.

    Returns a new langchain_core.messages.HumanMessage whose content is a list of two parts: one of type "text", and one
    of type "image_url" with the picture's data URL. A later message leaves it as it is.
    """
    ### BEGIN SOLUTION
    return HumanMessage(
        content=[
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": data_url(image)}},
        ]
    )
    ### END SOLUTION


# %% tests="build_message" points=12
checks.nb03.build_message(build_message)

# %% [markdown]
# ### The first call
#
# `chat_model("vision")` gives a LangChain chat model. Without further words it is the course's own model behind a **local
# endpoint**: a small server on this computer that speaks the dialect of the large services. If none is running, it is
# started for you, which takes some seconds, and it ends with the last notebook that uses it.

# %%
chat = chat_model("vision")
reply = chat.invoke([build_message("Describe the picture.", boat)])
print(type(reply).__name__, "says:", reply.text)

# %% [markdown]
# `invoke` waits for the whole reply. `stream` hands you the pieces as they are made, which is how chat windows seem to
# type. `batch` asks several things at once.

# %%
for piece in chat.stream([build_message("Tell me a funny story about this picture.", cat)]):
    print(piece.text, end="", flush=True)
print("\n")

asked_about_boat = ["What is the colour of the boat?", "Where is this?", "How many boats are there?"]
for question, reply in zip(asked_about_boat, chat.batch([[build_message(q, boat)] for q in asked_about_boat])):
    print(f"{question:34}{reply.text}")

# %% [markdown]
# **The same code, another provider.** This is the point of an interface: what follows runs against this computer, Groq or
# NVIDIA, and only one argument differs. Groq and NVIDIA want a key (both give one for free; `chat_model` asks for it, hides
# what you type, and never stores it in the notebook) and the internet, and your pictures leave your computer. So the list
# has only `"local"`. Add the others when you have a key.

# %%
for provider in ["local"]:  # add "groq", "nvidia", or the http(s) address of a server of your own
    chat = chat_model("vision", provider=provider)
    clock = time.perf_counter()
    reply = chat.invoke([build_message("Describe this image in one sentence.", boat)])
    print(f"{provider} ({chat.model}, {time.perf_counter() - clock:.1f} s): {reply.text}")
chat = chat_model("vision")

# %% [markdown]
# **A chat model remembers nothing.** Each request stands alone. What looks like a conversation is a program that sends
# the *whole* conversation again each time, picture and all. Look at the difference. Asked alone, the second question comes
# without a picture. A good model would say so; watch what ours does.

# %%
first = build_message("What is in the picture?", boat)
reply = chat.invoke([first])
second = HumanMessage("What is the colour of the boat?")
print("the first question:              ", reply.text)
print("the second, alone:               ", chat.invoke([second]).text)
print("with the conversation before it: ", chat.invoke([first, reply, second]).text)

# %% [markdown]
# ## Part 6 · Answers that a program can read
#
# *60 minutes*
#
# People read sentences, programs read fields. If a program is to go on with the reply, we ask for **JSON**: a text with
# keys and values, as in `{"description": "…", "funny_story": "…"}`. A chat model usually complies. *Usually* is the word
# that makes this part an hour long. These replies are all from the wild:
#
# - `{"description": "A cat.", "funny_story": "It left."}`: just what was asked for
# - the same inside a fence of three backticks, with or without the word `json`, because it looks nicer in a chat window
# - *Sure! Here is your JSON {as requested}:*, then the JSON, then *Let me know if …*
# - JSON with a key missing, or with a list where a text should be, or cut off in the middle
# - a polite sentence and no JSON at all
#
# ### Exercise 4 · `parse_reply`
#
# *Difficulty ●●●○○ · 30 minutes · 20 points*
#
# Find the object in the reply. Don't look for it with a regular expression: a story may have quotes, braces and
# backslashes in it, and only a real JSON parser knows where a string ends. (And never with `eval`: that would let a
# stranger run code on your computer.)
#
# What you raise when there is none matters as much as what you return. In the next exercise the *model* will read
# your error, so write what a helpful person would say to it.
#
# <details><summary>Hint 1: a parser that stops by itself</summary>
#
# `json.loads` wants nothing but JSON. `json.JSONDecoder().raw_decode(text, start)` reads *one* value that begins at
# `start`, and gives it with the place where it ends, whatever follows. Fences and chat then need no care at all.
# </details>
#
# <details><summary>Hint 2: where does it begin?</summary>
#
# At some `{`. Which one? Try them in turn, with `text.find("{", start)`, until one can be read *and* has both keys with
# strings. A `{` in the middle of the chat can't be read: catch the error and go to the next one.
# </details>
#
# <details><summary>Help: my error says "Expecting value: line 1 column 1 (char 0)"</summary>
#
# That is the parser's own `JSONDecodeError`, which is a ValueError too. True, and of no use to a model that has to do
# better. Catch it, and say in words what you looked for and what is missing.
# </details>


# %% exercise="parse_reply"
def parse_reply(text):
    """Read description and funny story out of a chat model's reply.

    text: the reply. The JSON object may stand alone, in a fence of backticks, or amid chat, which can have braces of
        its own or other objects in it. The first object that has both keys with strings counts; its other keys are left
        out.

    Returns a dict with just the keys "description" and "funny_story", both strings, as the reply has them.
    Raises ValueError, with a sentence that names each key which is missing or has no string, or says that there is no
    JSON object at all.
    """
    ### BEGIN SOLUTION
    if not isinstance(text, str):
        raise ValueError(f"The reply should be a text with a JSON object in it, but it is a {type(text).__name__}.")
    faults = []
    start = text.find("{")
    while start >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(text, start)
        except json.JSONDecodeError:
            end = start + 1  # a brace in the chat
        else:
            wrong = [key for key in ("description", "funny_story") if not isinstance(found.get(key), str)]
            if not wrong:
                return {"description": found["description"], "funny_story": found["funny_story"]}
            faults.append(
                " ".join(
                    f"The key {key} should have a string, but it has {json.dumps(found[key])}."
                    if key in found
                    else f"The key {key} is missing."
                    for key in wrong
                )
            )
        start = text.find("{", end)
    raise ValueError(min(faults, key=len, default="No JSON object was found, or it is not complete."))
    ### END SOLUTION


# %% tests="parse_reply" points=20
checks.nb03.parse_reply(parse_reply)

# %% [markdown]
# ### Ask, check, ask again
#
# When a reply is no good, a person would say so: "the key funny_story is missing, try again". A program can do the same.
# Here is the request; its words are some that the chat model has practised with, which matters for a small one.

# %% locked="request"
ASK_FOR_JSON = (
    'Describe the image and write a funny story about it. Answer in JSON with the keys "description" and "funny_story".'
)

# %% [markdown]
# ### Exercise 5 · `describe_as_json`
#
# *Difficulty ●●●○○ · 25 minutes · 18 points*
#
# Ask with `ASK_FOR_JSON` and the picture, read the reply with your `parse_reply`, and if that raises a ValueError, ask
# again and **tell the model what was wrong**. This is more than politeness. How much chance there is in the choice of the
# next token is called the **temperature**. `chat_model` sets it to 0: always the likeliest token. So the same request gets
# the same reply, word for word, however often you send it. Only when the request changes can the reply change.
#
# And know when to stop. A loop that asks until all is well can ask forever, at your cost.
#
# <details><summary>Hint 1: the conversation grows</summary>
#
# Keep a list of messages. It begins with `build_message(ASK_FOR_JSON, image)`. After a bad reply, append the reply and a
# `HumanMessage` with the error, and send the whole list again: so the picture is in every request.
# </details>
#
# <details><summary>Hint 2: words for the second request</summary>
#
# `f"Your reply could not be read: {error} Answer with one JSON object with description and funny_story."`
# </details>
#
# <details><summary>Hint 3: where does the <code>try</code> go?</summary>
#
# Around `parse_reply` alone, with `except ValueError`. If the *service* fails (no key, no network), asking again with
# the same words won't help; let that error out.
# </details>
#
# <details><summary>Help: "cannot access local variable 'error'" after the loop</summary>
#
# Python forgets the name of `except ValueError as error` at the end of the block. Keep it: `fault = error`.
# </details>


# %% exercise="describe_as_json"
def describe_as_json(chat, image, *, max_tries=3):
    """Have a chat model describe a picture and tell a funny story, in a form that a program can read.

    chat: a LangChain chat model that takes pictures.
    image: a PIL image; each request has it.
    max_tries: the largest number of requests, 1 or more. After a reply that parse_reply refuses, the next request tells the model
        parse_reply's error.

    Returns what parse_reply makes of the first good reply, and asks no more. Raises ValueError, with the number of tries
    and what was wrong at last, when no reply was good. Errors of the chat model itself are not caught.
    """
    ### BEGIN SOLUTION
    messages, fault = [build_message(ASK_FOR_JSON, image)], "nothing was asked."
    for _ in range(max_tries):
        reply = chat.invoke(messages)
        try:
            return parse_reply(reply.text)
        except ValueError as error:
            fault = error
        complaint = (
            f"Your reply could not be read: {fault} Answer with one JSON object with description and funny_story."
        )
        messages += [reply, HumanMessage(complaint)]
    raise ValueError(f"The chat model gave no good reply in {max_tries} tries. At last: {fault}")
    ### END SOLUTION


# %% tests="describe_as_json" points=18
checks.nb03.describe_as_json(describe_as_json)

# %% [markdown]
# Now the real model, on two pictures. Each result is a dict that a program can go on with.

# %%
for picture, name in ((cat, "the cat"), (boat, "the boat")):
    record = describe_as_json(chat, picture)
    print(f"{name}:")
    for key, value in record.items():
        print(f"   {key}: {value}")

# %% [markdown]
# Many services can go one step further and *force* the form: with `response_format={"type": "json_object"}` tokens that
# would break the JSON are never even considered. Our endpoint can, too: `chat.bind(response_format=…)`. It spares you the
# broken braces, but the model can still leave out a key, or fill one with nonsense. Check what you get.

# %% [markdown]
# ## Part 7 · Specialist against generalist
#
# *35 minutes*
#
# Who should answer? Put both to the same questions and look.
#
# ### Exercise 6 · `compare`
#
# *Difficulty ●●○○○ · 15 minutes · 10 points*
#
# A comparison runs for a while, and it must not die of one bad answer: if one of the two raises an exception, its cell
# says so, and everything else goes on. That is good manners for every program that measures.
#
# <details><summary>Hint 1: rows</summary>
#
# A list of dicts, one for each question, makes a table: `pd.DataFrame(rows, columns=[…])`. With `columns` the table has
# its columns even when there are no rows.
# </details>
#
# <details><summary>Hint 2: two models, one piece of code</summary>
#
# A small function that asks one model and gives its answer *or* the error as a text; call it for each of the two.
# </details>


# %% exercise="compare"
def compare(image, questions, *, specialist, generalist):
    """Put the same questions about a picture to two models.

    image: a PIL image.
    questions: a list of strings; it stays as it is.
    specialist, generalist: functions (image, question) → the model's answer, a string. Each is asked each question once.

    Returns a pandas DataFrame with the columns "question", "specialist" and "generalist", one row per question, in the
    order of the questions; a question that comes twice has two rows, and without questions there are no rows but still
    the three columns. Where a function raises an exception, its cell has the exception's class and message, as in
    "ValueError: no such word".
    """

    ### BEGIN SOLUTION
    def answer(model, question):
        try:
            return model(image, question)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    rows = [
        {"question": q, "specialist": answer(specialist, q), "generalist": answer(generalist, q)} for q in questions
    ]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])
    ### END SOLUTION


# %% tests="compare" points=10
checks.nb03.compare(compare)

# %% [markdown]
# First what both can do, then what only one of them was made for. The picture has a cat and a house. Read the table row
# by row:
#
# - Who is right? Compare also the first two rows: does the same question in other words get the same answer?
# - There is no dog. Who notices, and does either contradict itself from one row to the next?
# - Who is *sure*, in percent or in tone? What do the low percentages go with?
# - Who says "I don't know"?


# %%
def generalist(image, question):
    """The chat model's reply, through the endpoint."""
    return chat.invoke([build_message(question, image)]).text


def to_read(table):
    """The table without row numbers, and all of its texts at the left."""
    left = {"text-align": "left", "vertical-align": "top"}
    heads = [{"selector": "th", "props": list(left.items())}]
    return table.style.hide(axis="index").set_properties(**left).set_table_styles(heads)


scene = Scene((Thing("cat", "red"), Thing("house", "blue")), place="snow", relation="left of", layout=2)
picture = draw(scene, size=size)
asked = [
    "What is the colour of the cat?",
    "What colour is the cat?",
    "What is left of the house?",
    "How many things are in the picture?",
    "Is there a dog in the picture?",
    "What colour is the dog?",
    "Describe the picture.",
    "Write a caption for this picture.",
    "Tell me a funny story about this picture.",
    "What is the capital of France?",
]
show.gallery([picture], ["cat and house"], alt=["a drawing of a red cat left of a blue house, in the snow"])
to_read(compare(picture, asked, specialist=specialist, generalist=generalist))

# %% [markdown]
# A table of ten rows convinces, but it proves nothing. So now a measurement: six fresh scenes, four questions each whose
# right answers we know, because the scenes are generated. The specialist answers with a word, the generalist with a
# sentence; we call it right when the right word is in it ("2" or "two"), and put a ✗ before it when not. The clock runs,
# too. Twenty-four questions are few: a difference of two or three may well be luck.

# %%
numbers = dict(zip("12345678", ["one", "two", "three", "four", "five", "six", "seven", "eight"]))


def is_right(said, right):
    """Whether an answer has the right word in it; what stands in parentheses (the score) does not count."""
    words = f"{right}|{numbers.get(right, right)}"
    return re.search(rf"\b({words})\b", said.split(" (")[0].lower()) is not None


seconds = defaultdict(list)


def timed(name, function):
    """The function, with a clock."""

    def answer(image, question):
        clock = time.perf_counter()
        try:
            return function(image, question)
        finally:
            seconds[name].append(time.perf_counter() - clock)

    return answer


rng, tables = Random(11), []
for _ in range(6):
    scene = random_scene(rng)
    known = dict(rng.sample(questions(scene, rng), 4))
    table = compare(
        draw(scene, size=size),
        list(known),
        specialist=timed("specialist", specialist),
        generalist=timed("generalist", generalist),
    )
    tables.append(table.assign(right=list(known.values())))
results = pd.concat(tables, ignore_index=True)

for name in ("specialist", "generalist"):
    hits = list(map(is_right, results[name], results["right"]))
    print(f"{name}: {sum(hits)} of {len(hits)} right, {sum(seconds[name]) / len(hits) * 1000:.0f} ms per answer")
    results[name] = [said if hit else f"✗ {said}" for said, hit in zip(results[name], hits)]
to_read(results)

# %% [markdown]
# What such measurements usually show, and what to check in yours:
#
# | | specialist | generalist |
# |---|---|---|
# | closed questions | very good, and fast: one pass through the network | less good where it is as small as ours, and slower: one pass for every token |
# | open requests | a word from its list, whatever you ask | what you asked for |
# | a new task | new labels, new training | a new sentence in the prompt |
# | how sure? | a number for each answer; a low one is a warning | a fluent tone, always |
# | the form | always one of its answers | must be parsed, and checked |
#
# There is no winner. There is a question to ask first: *do I know all the answers beforehand?*

# %% [markdown]
# ## Part 8 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="two_stages" points=5
# ### Question 1 · Two stages
#
# A friend builds a LLaVA from a good vision tower, a good language model and a random projector. To save time he trains
# everything at once on instructions. Afterwards the model speaks worse than before and hardly looks at the picture.
# Explain what happened, say what he should do instead, and name one thing that must stay frozen in each of your stages,
# with the reason.
#
# ### BEGIN MARK SCHEME
# - 2 points: what happened: at first the image tokens are garbage (1); the language model learns from it, gets worse, and
#   learns to ignore these positions, so that the projector gets little to learn from (1)
# - 2 points: the remedy: first the projector alone, on pictures with captions (1), then projector and language model
#   together on instructions (1)
# - 1 point: a frozen part with a reason: the language model in stage 1, so that it is a fixed target and keeps its
#   language; the vision tower in both, since it sees well already and the little data would spoil it
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# The random projector turns every picture into garbage. With all weights free, the quickest way to a smaller loss is not
# to make the garbage meaningful but to ignore it, and to guess replies from the words alone. The gradients of these first
# steps also pull at a language model that was fine before, so it forgets. He should first train only the projector, on
# pictures with captions, with language model and tower frozen: the language model is then a fixed reader, and the only
# way to a smaller loss is to write what it can read. Afterwards projector and language model learn together to follow
# instructions. The tower stays frozen in both stages, because it has seen millions of pictures, and the few thousand
# here would only narrow it.
# ### END SOLUTION

# %% [markdown] written="does_it_look" points=5
# ### Question 2 · Does it look?
#
# A company sells a chat model that describes photos for blind people. Its descriptions are fluent and sound right. How
# can you find out whether a description comes from the *picture*, or from what descriptions usually say? Name two
# experiments, with what you would measure and what result would worry you. What should the product do when it is unsure?
#
# ### BEGIN MARK SCHEME
# - 2 points for each of two experiments with a measurement and a worrying result (1 for the experiment, 1 for measurement
#   and result), such as: another picture, or zeros, in place of the right image tokens, and the reply stays the same; ask
#   for things that are not there and count "yes"; unusual pictures (a blue banana) and count usual answers; loss or
#   accuracy with the wrong picture against the right one
# - 1 point: what to do when unsure: say so, ask for another photo, offer a person; not a fluent guess. Or a remark that
#   the tone tells nothing about how sure it is, so that sureness must be measured otherwise
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# First I exchange the picture: I ask for descriptions with the right photo, with a random other one and with zeros for
# image tokens, and measure how often the description stays the same, or how much the loss of the true description rises.
# If it hardly changes, the model isn't looking. Second I ask about things that are not there ("What colour is the dog?"
# in a photo without a dog) and about unusual ones, such as a blue banana, and count how often it says what is usual
# instead of what is there. Many invented dogs and yellow bananas would worry me. The fluent tone says nothing about how
# sure the model is. When such tests, or a second look with another wording, give different answers, the product should
# say that it isn't sure and ask for a better photo or for a person.
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Fourteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget; importing it twice does not double your cards.

# %%
cards = flashcards.find("03_multimodal_llms")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "multimodal_llms.apkg")
print("Wrote multimodal_llms.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **The linear projector.** The first LLaVA had a single linear layer. Put `torch.nn.Linear` in place of the projector in
#   the live stage 1, with the same steps. How much does the second layer bring?
# - **Fewer tokens.** Average the image tokens of 2×2 neighbouring patches before they enter the row (a quarter of the
#   tokens, and less to compute). What does the model still see? Which questions suffer first?
# - **Two pictures in a message.** Add a second `image_url` part, and ask what is different. Our model has never practised
#   that. Does the large one at Groq or NVIDIA manage?
# - **Where does it look?** `model(**inputs, output_attentions=True)` gives the language model's attention (load the model
#   with eager attention for it). Draw, for the last token, the weights on the image tokens as a map over the picture.
# - **Forced JSON.** Compare `describe_as_json` with and without `chat.bind(response_format={"type": "json_object"})` at
#   temperature 1: how many tries does each need in 20 runs?
# - **The real thing.** With a key run the table of Part 7 against Groq or NVIDIA, with photos of your own. Which rows change?
#
# ### References
#
# - Liu et al. 2023, *Visual Instruction Tuning*, [arXiv:2304.08485](https://arxiv.org/abs/2304.08485): LLaVA, its parts and its two stages
# - Liu et al. 2023, *Improved Baselines with Visual Instruction Tuning*, [arXiv:2310.03744](https://arxiv.org/abs/2310.03744): LLaVA-1.5, the two-layer projector
# - Kim, Son & Kim 2021, *ViLT*, [arXiv:2102.03334](https://arxiv.org/abs/2102.03334): the specialist
# - Radford et al. 2021, *Learning Transferable Visual Models From Natural Language Supervision*, [arXiv:2103.00020](https://arxiv.org/abs/2103.00020): CLIP, the vision tower
# - Touvron et al. 2023, *LLaMA*, [arXiv:2302.13971](https://arxiv.org/abs/2302.13971): the language model
# - nostalgebraist 2020, *Interpreting GPT: the logit lens*, [lesswrong.com](https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens)
# - Li et al. 2023, *Evaluating Object Hallucination in Large Vision-Language Models*, [arXiv:2305.10355](https://arxiv.org/abs/2305.10355): asking for what is not there
# - The LangChain documentation on [messages](https://docs.langchain.com/oss/python/langchain/messages)
