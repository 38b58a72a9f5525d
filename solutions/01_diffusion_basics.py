# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Diffusion basics
#
# You write *a large red cat, on a meadow*, and two seconds later there is a picture that nobody has ever drawn.
# In this notebook you take the machine that does this apart, write its most important parts yourself, and put it
# together again: your own sampling loop will give the same numbers as the library's, down to rounding. With the same
# loop you then repaint a part of a picture and leave the rest as it is. At the end you teach the machine something it
# has never seen.
#
# The models here are small and know only a picture-book world of cats, boats and rockets, so everything runs in seconds
# on a laptop. They are built from the same classes as Stable Diffusion and draw in the same steps, with far fewer
# parameters.
#
# **When you are done, you can**
#
# - say what happens to a picture on the way into noise, and jump to any timestep in one step
# - say what the VAE, the text encoder and the U-Net each do, and what goes in and comes out
# - write the training loss of a diffusion model, and say why such a plain loss is enough
# - steer a picture towards a text with classifier-free guidance
# - write the sampling loop, and choose its number of steps with a measurement instead of a guess
# - edit a picture: change all of it a little (img2img), or one part of it completely (inpainting)
# - measure how good a model is in three ways, and name what each of them misses
# - teach a model a new thing with a LoRA adapter, and measure what it forgot
#
# **What you need**: Python functions and classes, tensors in PyTorch (shapes, broadcasting, what a gradient is).
# No statistics beyond mean and variance. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Into the noise | 30 | 10 |
# | 2 The noise schedule | 15 | |
# | 3 Three models in one | 25 | |
# | 4 How it learns | 40 | 12 |
# | 5 Guidance | 20 | 6 |
# | 6 Out of the noise: the sampling loop | 45 | 16 |
# | 7 Seeds, steps, and a score | 40 | 14 |
# | 8 Edit a picture | 60 | 16 |
# | 9 Fewer steps on purpose | 20 | |
# | 10 How good is it? | 20 | |
# | 11 Teach it something new | 60 | 16 |
# | 12 Responsibility | 15 | |
# | 13 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place
# of the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of
# them passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on
# other inputs. Every exercise has hints that unfold, and ● to ●●●●● shows how hard it is. If you are stuck on one,
# `checks.borrow("add_noise")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `add_noise` in Part 4, `guide` in Parts 6 and 8,
# `generate_images` in Part 7 and later, `noise_prediction_loss` in Part 11.

# %% [markdown]
# ## Before you start
#
# Three questions on what this notebook assumes you know. Answer each one in your head, then unfold the answer. If two
# of them are new to you, read PyTorch's tutorial on tensors first.
#
# 1. `a` has the shape `(4,)` and `x` the shape `(4, 3, 8, 8)`. What do `a * x` and `a.reshape(4, 1, 1, 1) * x` give?
#
# <details><summary>Answer 1</summary>
#
# Broadcasting lines up shapes from the right, so `a * x` tries to match the 4 with the last 8 and raises an error. With
# the shape `(4, 1, 1, 1)` each of the four pictures is multiplied by its own number.
# </details>
#
# 2. Two independent random numbers each have variance 1. What is the variance of 0.6 times the first plus 0.8 times the
#    second?
#
# <details><summary>Answer 2</summary>
#
# 0.36 + 0.64 = 1. A factor enters squared, and the variances of independent numbers add up.
# </details>
#
# 3. After `loss.backward()`, what is in `weight.grad`? And what does a step of gradient descent do with it?
#
# <details><summary>Answer 3</summary>
#
# How fast the loss grows as each number in the weight grows. A step subtracts a small multiple of it, so the loss
# falls.
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
from random import Random

import matplotlib.pyplot as plt
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler
from PIL import Image
from torch.nn import functional as F

from helpers import checks, clip, flashcards, newthing, show, widgets
from helpers.models import few_step, load, with_scheduler
from helpers.picturebook import COLOURS, KINDS, PLACES, Scene, Thing, describe, draw, random_scene
from helpers.provenance import make_provenance, provenance_of, save_with_provenance
from helpers.ready import ready_to_hand_in
from helpers.settings import settings

pipe = load("diffusion")
size = pipe.unet.config.sample_size * pipe.vae_scale_factor  # side of a picture, in pixels

if settings.device == "cuda":
    print(f"There is a GPU, {torch.cuda.get_device_name()}, and the models run on it.")
elif settings.device == "mps":
    print("There is an Apple GPU, and the models run on it.")
else:
    print(f"No GPU was found, so the models run on the CPU with {torch.get_num_threads()} threads.")
    print("That is enough for the mini models: a picture takes a second or two, the fine-tuning a minute.")
    print("The full Stable Diffusion would take minutes per picture, so use it only with a GPU.")
print(f"Profile: {settings.profile}. Pictures are {size}×{size} pixels.")

# %% [markdown]
# ## Part 1 · Into the noise
#
# *30 minutes*
#
# Drawing a cat is hard. Ruining the drawing of a cat is easy: sprinkle noise over it, again and again, until nothing
# but noise is left. Diffusion models make use of this difference. We ruin many pictures in small steps, and let a
# network learn to undo *one* such step. Undoing a little noise is a task a network can learn well. And once it can undo
# a little, we start from pure noise and let it undo step after step, until there is a picture.
#
# The way into the noise is called the **forward process**. Nothing is learned in it. The way back is the **reverse
# process**, and there the network works. First the way in. Here is a cat from the picture-book world:

# %%
cat = draw(Scene((Thing("cat", "red"),), place="meadow", layout=4), size=size)
show.gallery([cat], ["our cat"], alt=["a drawing of a large red cat on a meadow"])

# %% [markdown]
# For a network a picture is a block of numbers. We scale them to run from −1 to 1, so that 0 is a middle grey:

# %%
x0 = pipe.image_processor.preprocess(cat)[0]  # (3, height, width)
print(f"shape {tuple(x0.shape)}, smallest {x0.min():.2f}, largest {x0.max():.2f}")

# %% [markdown]
# One small step into the noise makes the picture a little weaker and adds a little noise:
#
# $$x_t = \sqrt{1-\beta_t}\;x_{t-1} + \sqrt{\beta_t}\;\varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1)$$
#
# $\beta_t$ (*beta*) is a small number that says how much noise step $t$ adds. Why make the picture weaker at all?
# Because otherwise the numbers would grow without end. Variances of independent things add up, so with these two
# factors a variance of 1 stays a variance of 1: $(1-\beta_t)\cdot 1 + \beta_t\cdot 1 = 1$.
#
# Let us take all 1,000 steps, one by one, and keep a few pictures from the way. (The list of betas comes from a
# `DDPMScheduler`, the library's object that keeps it. Part 6 shows what else a scheduler does.) You should see the cat
# fade slowly at first, then drown.

# %%
schedule = DDPMScheduler.from_config(pipe.scheduler.config, clip_sample=False)  # our model's betas
shown = [0, 50, 150, 300, 500, 999]

generator = torch.Generator().manual_seed(0)
x, kept = x0, {}
for t, beta in enumerate(schedule.betas):
    x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=generator)
    if t in shown:
        kept[t] = show.to_pil(x)

show.gallery(
    list(kept.values()),
    [f"t = {t}" for t in kept],
    width=130,
    alt=[f"the cat drawing after {t + 1} of 1000 steps of noise" for t in kept],
)
print(f"At the end: mean {x.mean():.2f}, standard deviation {x.std():.2f}. Pure noise has 0 and 1.")

# %% [markdown]
# The number $t$ is called the **timestep**. Training needs pictures at *random* timesteps, millions of them. Taking 700
# small steps to reach timestep 700 would be a terrible waste. Luckily nobody has to: a picture that is scaled down many
# times is scaled down by the product of the factors, and a sum of many small Gaussian noises is one larger Gaussian
# noise. So the whole way from the clean picture $x_0$ to $x_t$ is **one** step:
#
# $$x_t = \sqrt{\bar\alpha_t}\;x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon
# \qquad\text{with}\qquad \bar\alpha_t = \prod_{s=0}^{t} (1-\beta_s)$$
#
# This is equation 4 of the DDPM paper (Ho et al. 2020). Read $\bar\alpha_t$ (*alpha bar*) as **the share of the picture
# that is left** at timestep $t$: near 1 at the start, near 0 at the end. (It is a share of the *variance*, which is why
# the picture itself is multiplied by its square root.) The library calls the whole list `alphas_cumprod`, the
# cumulative product of the alphas.

# %% [markdown]
# ### Exercise 1 · `add_noise`
#
# *Difficulty ●○○○○ · 10 minutes · 10 points*
#
# Write that one step. In training each picture of a batch gets its own timestep, so `t` may be a single number or a
# tensor with one number for each picture.
#
# <details><summary>Hint 1: the shapes</summary>
#
# `alphas_cumprod[t]` works for both kinds of `t`. For a tensor it has shape `(batch,)`, and the pictures have shape
# `(batch, channels, height, width)`. Broadcasting lines shapes up from the *right*, so that the batch would meet the
# width. Reshape to `(batch, 1, 1, 1)` first.
# </details>
#
# <details><summary>Hint 2: the dtype</summary>
#
# The schedule is float32. Multiplying a float16 picture with a float32 tensor gives float32, and a float16 U-Net
# then refuses the result. `.to(x0.dtype)` on the factors keeps things as they came.
# </details>
#
# <details><summary>Help: "The size of tensor a (8) must match the size of tensor b (4) at non-singleton dimension 3"</summary>
#
# That is Hint 1: the four numbers of the batch met the eight columns of the pictures. Where batch and width happen to
# be equal there is no error at all, and each *column* gets its own noise. Look for it with pictures that are not
# square or a batch of another size.
# </details>


# %% exercise="add_noise"
def add_noise(x0, noise, t, alphas_cumprod):
    """Take clean pictures to timestep t of the forward process in one step (Ho et al. 2020, equation 4).

    Args:
        x0: clean pictures or latents, tensor (batch, channels, height, width).
        noise: standard normal noise, same shape.
        t: the timestep, 0 to len(alphas_cumprod) - 1; an int for all pictures, or a LongTensor (batch,) with one for
            each.
        alphas_cumprod: tensor (timesteps,), the share of the picture that is left at each timestep.

    Returns:
        x_t, with the shape, dtype and device of x0. The inputs stay as they are.
    """
    ### BEGIN SOLUTION
    kept = alphas_cumprod.to(x0.device)[t].reshape(-1, *[1] * (x0.ndim - 1))
    return kept.sqrt().to(x0.dtype) * x0 + (1 - kept).sqrt().to(x0.dtype) * noise
    ### END SOLUTION


# %% tests="add_noise" points=10
checks.nb01.add_noise(add_noise)

# %% [markdown]
# With your function any timestep costs the same, so we can move through the forward process with a slider. Drag it, or
# click on it and use the arrow keys, and find the timestep after which *you* can no longer see that there is a cat. You
# may be surprised how late it is: large areas of colour stay visible long after the details are gone. Remember this. On
# the way back it means that **the large forms are decided first, the details last**.
#
# <details><summary>Help: I see many pictures and no slider</summary>
#
# Then this page runs no scripts, as in GitHub's preview. In Jupyter run the cell again, or choose File → Trust
# Notebook.
# </details>

# %%
noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
times = [*range(0, 1000, 40), 999]
noisy = [add_noise(x0[None], noise[None], t, schedule.alphas_cumprod)[0] for t in times]
show.scrubber([show.to_pil(x) for x in noisy], [f"t = {t}" for t in times], alt="the cat drawing with noise")

# %% [markdown]
# ## Part 2 · The noise schedule
#
# *15 minutes*
#
# How fast does the picture fade? That is our choice. The list of betas is called the **noise schedule**, and it decides
# what the network spends its time on: timesteps at which next to nothing is hidden teach it little, and so do timesteps
# at which everything is.
#
# A good way to look at a schedule is the **signal-to-noise ratio**, how much stronger the picture is than the noise:
#
# $$\text{SNR}(t) = \frac{\bar\alpha_t}{1-\bar\alpha_t}$$
#
# At SNR 1 they are equally strong. Here are three schedules: the straight line of betas from the DDPM paper, the
# *scaled linear* one of Stable Diffusion (and of our model), and a *cosine*. What to look for: the linear one
# destroys the picture early and then spends hundreds of steps on almost pure noise, while the cosine one fades evenly.

# %%
schedules = {
    "linear (DDPM)": DDPMScheduler(beta_schedule="linear"),
    "ours: " + pipe.scheduler.config.beta_schedule.replace("_", " "): schedule,
    "cosine": DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
for name, each in schedules.items():
    share = each.alphas_cumprod
    left.plot(share, label=name)
    right.semilogy(share / (1 - share), label=name)
left.set(xlabel="t", title="share of the picture that is left")
right.set(xlabel="t", title="signal-to-noise ratio", ylim=(1e-5, 1e5))
right.axhline(1, color="grey", linewidth=0.8)
left.legend()
show.plot(
    figure,
    alt="Two plots against the timestep t, for three noise schedules. Left: the share of the picture that is "
    "left falls from 1 to 0, fastest for linear, most evenly for cosine. Right: the signal-to-noise ratio on "
    "a logarithmic scale, falling from about a thousand or more to a hundredth or less.",
    width=860,
)

even = int((schedule.alphas_cumprod < 0.5).nonzero()[0])
print(f"In our schedule picture and noise are equally strong at t = {even}.")
print(f"At the last timestep {schedule.alphas_cumprod[-1]:.2%} of the picture's variance is left.")

# %% [markdown]
# That last line shows a small flaw, and there is a story behind it. The network never sees *pure* noise in training: at
# the last timestep a trace of the picture is left, enough to give away how bright it is on average. When we draw,
# though, we start from pure noise. That is why the first Stable Diffusion models could not draw a very dark or a very
# bright picture well (Lin et al. 2023).

# %% [markdown]
# ## Part 3 · Three models in one
#
# *25 minutes*
#
# So far we put noise on pixels. A 512×512 photo has 786,432 numbers, though, and most of them say nothing new: the sky
# is blue here, and one pixel further on it is blue as well. Stable Diffusion first presses the picture into a much
# smaller block of numbers, the **latents**, and does all its noising and denoising there. Three networks share the
# work:
#
# | network | goes in | comes out | its job |
# |---|---|---|---|
# | **VAE** (variational autoencoder) | a picture | latents, and back | makes the working space small |
# | **text encoder** (from CLIP) | a prompt | one vector per token | turns words into numbers with a meaning |
# | **U-Net** | noisy latents, $t$, the vectors of the text | a guess of what is noise | the artist |
#
# Only the U-Net takes part in diffusion. The VAE works once, at the very end (and in training once, at the beginning),
# the text encoder once at the start. It is the text half of **CLIP**, a model that was trained on pictures together
# with their captions. Part 7 uses both halves.

# %%
for name in ("vae", "text_encoder", "unet"):
    model = getattr(pipe, name)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{name:13} {type(model).__name__:22} {millions:6.1f} million parameters")

unet = pipe.unet.config
stages = [
    ("prompt", "a text", "#e8e8e8"),
    ("text encoder", f"{pipe.tokenizer.model_max_length} vectors\nof {unet.cross_attention_dim} numbers", "#bcd9f5"),
    (
        "U-Net, once per step,\nbegins with noise",
        f"latents\n{unet.in_channels}×{unet.sample_size}×{unet.sample_size}",
        "#f6c28b",
    ),
    ("VAE decoder", f"pixels\n3×{size}×{size}", "#b5dfb0"),
]
show.chain(stages, "The way from a prompt to a picture")

# %% [markdown]
# ### The VAE: a small working space
#
# Two functions that you will need again: pictures to latents, and back. Multiplying by `scaling_factor` gives the
# latents a standard deviation of about 1, so that they are as large as the noise that is added to them.


# %% locked="latents"
@torch.no_grad()
def to_latents(images, pipe=pipe):
    """Encode a list of PIL pictures: latents (n, channels, height, width), scaled for the U-Net."""
    pixels = pipe.image_processor.preprocess(images).to(pipe.device, pipe.vae.dtype)
    return pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor


@torch.no_grad()
def to_pictures(latents, pipe=pipe):
    """Decode latents (n, channels, height, width): a list of n PIL pictures."""
    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(pixels)


# %% [markdown]
# Now into the latents and out again. What comes out should look like the cat, a little softer: what the VAE loses
# here, no U-Net can ever bring back. The latents have far fewer rows and columns, and several channels. Each channel
# is shown as a grey picture. You can still make out the cat in them. That is no accident: the VAE keeps things where
# they are, and so the U-Net can be a network for pictures.

# %%
latents = to_latents([cat])
print(
    f"{x0.numel():,} numbers in the picture, {latents.numel():,} in the latents: "
    f"{x0.numel() / latents.numel():.0f} times fewer. The scaling factor is {pipe.vae.config.scaling_factor:.3f}, the "
    f"latents' standard deviation {latents.std():.2f}."
)
back = to_pictures(latents)[0]
show.gallery(
    [cat, back],
    ["picture", "→ latents → picture"],
    alt=["the red cat as drawn", "the red cat after the VAE's encoder and decoder"],
)

channels = latents[0].cpu()
low, high = channels.amin((1, 2), True), channels.amax((1, 2), True)
greys = (channels - low) / (high - low) * 2 - 1  # every channel from -1 to 1
show.gallery(
    [show.to_pil(grey.expand(3, -1, -1)) for grey in greys],
    [f"channel {i}" for i in range(len(greys))],
    alt=[f"channel {i} of the cat's latents as a small grey picture" for i in range(len(greys))],
    width=120,
)

# %% [markdown]
# ### The text encoder: words as vectors
#
# The prompt is cut into **tokens** (whole words where they are common, pieces where they are not), padded to a fixed
# length, and sent through CLIP's text model. Out comes one vector for each token. These vectors know their
# neighbours: the vector at *cat* carries *red* as well. A word that the encoder has never met is spelled out in
# pieces. Watch what happens to *mushroom*: it will be important in Part 11.

# %%
for prompt in ("a large red cat, on a meadow", "a mushroom"):
    print(pipe.tokenizer.tokenize(prompt))

text_states, empty_states = pipe.encode_prompt("a large red cat, on a meadow", pipe.device, 1, True)
print(
    f"\nText states: {tuple(text_states.shape)} = (prompts, tokens, width). The empty prompt has them too: "
    f"{tuple(empty_states.shape)}."
)

# %% [markdown]
# ### The U-Net: the artist
#
# Seen from outside, the U-Net is one function: `unet(noisy_latents, t, text_states)`. It returns a block of the same
# shape as the latents: its prediction of the noise in them. Its name comes from its form. It shrinks the latents to see
# the whole picture, grows them again to place the details, and has direct connections between levels of the same size
# (**skip connections**), so that nothing gets lost on the way:

# %%
channels, side = pipe.unet.config.block_out_channels, pipe.unet.config.sample_size
kinds = [*pipe.unet.config.down_block_types, pipe.unet.config.mid_block_type, *pipe.unet.config.up_block_types]
levels = [*range(len(channels)), len(channels) - 1, *reversed(range(len(channels)))]
heights = [-level - 0.6 * (x == len(channels)) for x, level in enumerate(levels)]  # the middle block hangs lower
figure, axes = plt.subplots(figsize=(8.5, 2 + 0.6 * len(channels)), layout="constrained")
for x, (kind, level, y) in enumerate(zip(kinds, levels, heights)):
    reads = "CrossAttn" in kind
    text = f"{channels[level]} channels\n{side >> level}×{side >> level}" + ("\nreads the text" if reads else "")
    box = {"boxstyle": "round,pad=0.5", "facecolor": "#bcd9f5" if reads else "#f6c28b", "edgecolor": "none"}
    axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)
    if x:
        axes.annotate("", (x - 0.42, y), (x - 0.58, heights[x - 1]), arrowprops={"arrowstyle": "->", "color": "grey"})
    if x < len(channels):
        mirror = len(kinds) - 1 - x
        axes.annotate("", (mirror - 0.45, y), (x + 0.45, y), arrowprops={"arrowstyle": "->", "linestyle": ":"})
        axes.text((x + mirror) / 2, y + 0.08, "skip", ha="center", fontsize=8, color="grey")
axes.text(-0.9, 0, "noisy\nlatents →", ha="center", va="center", fontsize=9)
axes.text(len(kinds) - 0.1, 0, "→ predicted\nnoise", ha="center", va="center", fontsize=9)
axes.set(xlim=(-1.3, len(kinds) + 0.3), ylim=(-len(channels) - 0.2, 0.6))
axes.axis("off")
show.plot(
    figure,
    alt="The U-Net as a row of boxes in the form of a U, from noisy latents on the left to predicted noise on the right: "
    + "; ".join(
        f"{channels[level]} channels at {side >> level}×{side >> level}{', reads the text' * ('CrossAttn' in kind)}"
        for kind, level in zip(kinds, levels)
    )
    + ". Dotted arrows, the skip connections, join the boxes of the same level.",
    width=760,
)

# %% [markdown]
# How does the text get in? Through **cross-attention**. Think of each position in the picture as a reader who goes
# through the words and asks of each: *do you concern me?* The position sends out a **query** $q$, each word holds up a
# **key** $k$, and their dot product says how well they fit. A softmax turns that into weights that sum to 1, and the
# position collects the words' **values** in these proportions:
#
# $$\text{weights} = \operatorname{softmax}\!\left(\frac{q \cdot k}{\sqrt d}\right)$$
#
# Let us look at these layers at work. The code hooks into the layers that make queries and keys, runs the U-Net on the
# noisy latents of a picture at seven timesteps, and computes the weights from what it recorded. It takes a layer on the
# way up, where the U-Net decides what goes where, and averages over timesteps and heads. This layer has 8×8 positions.
# Those that attend most to the word are bright.

# %%
scene = Scene((Thing("cat", "red"), Thing("house", "blue")), place="meadow", relation="left of", layout=3)
picture, prompt = draw(scene, size=size), "a large red cat left of a large blue house, on a meadow"
scene_latents, scene_states = to_latents([picture]), pipe.encode_prompt(prompt, pipe.device, 1, False)[0]
words = [word.replace("</w>", "") for word in pipe.tokenizer.tokenize(prompt)]

reader = next(block for block in pipe.unet.up_blocks if hasattr(block, "attentions"))
attention = reader.attentions[-1].transformer_blocks[0].attn2
recorded = {}
hooks = [
    layer.register_forward_hook(lambda layer, inputs, output, name=name: recorded.update({name: output}))
    for name, layer in (("q", attention.to_q), ("k", attention.to_k))
]
generator, timesteps, maps = torch.Generator().manual_seed(0), range(200, 801, 100), 0
for t in timesteps:
    noise = torch.randn(scene_latents.shape, generator=generator).to(scene_latents)
    with torch.no_grad():
        pipe.unet(add_noise(scene_latents, noise, t, schedule.alphas_cumprod), t, scene_states)
    q, k = (recorded[name].unflatten(-1, (attention.heads, -1)).transpose(1, 2) for name in ("q", "k"))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)  # (1, heads, positions, tokens)
    maps = maps + weights.mean(1)[0] / len(timesteps)
for hook in hooks:
    hook.remove()

side = int(maps.shape[0] ** 0.5)
maps = maps[:, 1 : len(words) + 1].T.reshape(-1, side, side)  # token 0 only says that a text starts
chosen = [words.index(word) for word in ("red", "cat", "blue", "house", ",", "meadow")]
show.gallery(
    [picture, *(show.spotlight(picture, maps[i] - maps[i].min()) for i in chosen)],
    [prompt, *(words[i] for i in chosen)],
    width=150,
    alt=[f"a drawing of {prompt}", *(f"the same, bright where the token {words[i]!r} is attended to" for i in chosen)],
)

# %% [markdown]
# *red* and *cat* are read where the cat is, *blue* and *house* where the house is. So the colours end up on the right
# thing. The comma lights up at the house, too. The text encoder reads from left to right, and each token's vector also
# carries what came before it, so the comma stands for the house that precedes it. And don't read too much into single
# maps: *meadow*, the last word, does not light up the meadow. This is one layer of several.

# %% [markdown]
# ## Part 4 · How it learns
#
# *40 minutes*
#
# Training a diffusion model is a guessing game, played millions of times:
#
# 1. take a picture and its caption from the training set, and make latents of the picture
# 2. draw a timestep $t$ and noise $\varepsilon$ at random, and mix them into noisy latents $x_t$ (your `add_noise`)
# 3. show the U-Net the noisy latents, $t$ and the caption, and let it predict the noise
# 4. the loss is the mean squared difference between its prediction and the true noise. Change the weights a little so
#    that it would have been smaller
#
# That is all. There is no second network as a judge and no balancing of forces: it is a plain regression. It works
# because a network that can separate noise from picture at every timestep must know what pictures look like.
#
# Here is one round of the game with our trained U-Net, at four timesteps. It gets the noisy latents (left) and the
# caption. From its prediction of the noise we compute its guess of the clean picture (right). What to look for: with
# little noise it is nearly right. With much noise it can only give the *average* of all cats it could be, a blur.
# That blur is the reason why drawing takes many steps: nobody can jump from noise to a sharp picture in one go.

# %%
text_states = pipe.encode_prompt("a large red cat, on a meadow", pipe.device, 1, False)[0]
noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2)).to(latents)
rows, timesteps = [], (150, 450, 750, 950)
for t in timesteps:
    noisy = schedule.add_noise(latents, noise, torch.tensor([t]))
    with torch.no_grad():
        guess = pipe.unet(noisy, t, text_states).sample
    behind = schedule.step(guess, t, noisy).pred_original_sample
    rows.append(to_pictures(torch.cat([noisy, behind])))
columns = ["what the U-Net sees", "its guess of the clean picture"]
show.grid(rows, [f"t = {t}" for t in timesteps], columns, alt="the red cat", width=140)

# %% [markdown]
# **What exactly should it guess?** Two answers are common, and the scheduler's `prediction_type` says which one a
# model was trained with:
#
# - **`"epsilon"`**: the noise $\varepsilon$. Simple, but look at the end of the schedule: there the input *is* nearly
#   pure noise. Copying the input gets a perfect score, and says nothing about the picture.
# - **`"v_prediction"`**: the "velocity" $v_t = \sqrt{\bar\alpha_t}\;\varepsilon - \sqrt{1-\bar\alpha_t}\;x_0$ (Salimans
#   & Ho 2022). At the start ($\bar\alpha$ near 1) it asks for the noise, at the end (near 0) for the picture, with its
#   sign flipped. It always asks for what is hard to see.
#
# Both come to the same thing in the end: from $x_t$ and one of $\varepsilon$, $v_t$, $x_0$ you can compute the other
# two.

# %%
print(f"Our model's prediction_type is {pipe.scheduler.config.prediction_type!r}.")

# %% [markdown]
# ### Exercise 2 · `noise_prediction_loss`
#
# *Difficulty ●●○○○ · 20 minutes · 12 points*
#
# Write steps 2 to 4 of the game up to the loss. The noise and the timesteps are given, so that the result can be
# compared. Use your `add_noise` with `scheduler.alphas_cumprod`.
#
# <details><summary>Hint 1: the plan</summary>
#
# Three lines of work: the noisy latents, the U-Net's guess `unet(noisy, t, text_states).sample`, and the target that
# the scheduler's `prediction_type` asks for. Then `F.mse_loss(guess, target)`.
# </details>
#
# <details><summary>Hint 2: the velocity without a second formula</summary>
#
# Compare $v_t$ with $x_t$: the factors have changed places, and one sign has. You can write it out with
# `scheduler.alphas_cumprod[t]`, or ask a `DDPMScheduler` for `get_velocity(latents, noise, t)`.
# </details>
#
# <details><summary>Help: "element 0 of tensors does not require grad and does not have a grad_fn"</summary>
#
# The way from the U-Net's weights to your loss is cut somewhere: by `torch.no_grad()`, by `.detach()`, by `.item()`,
# or by building a new tensor from numbers, as in `torch.tensor(loss)`.
# </details>
#
# <details><summary>Help: the loss is wrong with the pipeline's own scheduler, and there is no error</summary>
#
# `DPMSolverMultistepScheduler`, the pipeline's scheduler, is made for drawing. Its `add_noise` knows only the few
# timesteps of its last drawing, and uses the last one for any other. For training use `DDPMScheduler`, or your own
# `add_noise`, which needs nothing but `alphas_cumprod`.
# </details>


# %% exercise="noise_prediction_loss"
def noise_prediction_loss(unet, scheduler, latents, text_states, noise, t):
    """The training loss of a diffusion model: mean squared error of the U-Net's guess.

    Args:
        unet: a UNet2DConditionModel.
        scheduler: has `alphas_cumprod` and `config.prediction_type`, "epsilon" or "v_prediction".
        latents: clean latents, tensor (batch, channels, height, width).
        text_states: the captions' states, tensor (batch, tokens, width).
        noise: standard normal noise with the shape of latents.
        t: LongTensor (batch,), one timestep per picture.

    Returns:
        A scalar tensor through which gradients flow to the U-Net's weights. The inputs stay as they are.

    Raises:
        ValueError: the scheduler has any other prediction_type.
    """
    ### BEGIN SOLUTION
    kept = scheduler.alphas_cumprod
    prediction_type = scheduler.config.prediction_type
    if prediction_type == "epsilon":
        target = noise
    elif prediction_type == "v_prediction":
        target = add_noise(noise, -latents, t, kept)  # √ᾱ · noise − √(1 − ᾱ) · latents
    else:
        raise ValueError(f"expected prediction_type 'epsilon' or 'v_prediction', but got {prediction_type!r}")
    guess = unet(add_noise(latents, noise, t, kept), t, encoder_hidden_states=text_states).sample
    return F.mse_loss(guess, target)
    ### END SOLUTION


# %% tests="noise_prediction_loss" points=12
checks.nb01.noise_prediction_loss(noise_prediction_loss)

# %% [markdown]
# ### One real training step
#
# Now we train. On a copy of the U-Net, so that the trained one stays as it is: eight fresh pictures that it has never
# seen, one guess, one step of the optimizer, and the same guess again. Expect the loss to fall a little for these
# eight. The step uses plain gradient descent, so you can see all of it: *weight minus learning rate times gradient*.

# %%
rng = Random(1)
scenes = [random_scene(rng) for _ in range(8)]
captions = [describe(scene, rng) for scene in scenes]
pictures = [draw(scene, size=size) for scene in scenes]
show.gallery(pictures, captions, width=130)

student = copy.deepcopy(pipe.unet)
generator = torch.Generator().manual_seed(1)
batch = {
    "latents": to_latents(pictures),
    "text_states": pipe.encode_prompt(captions, pipe.device, 1, False)[0].detach(),
    "noise": torch.randn(8, *latents.shape[1:], generator=generator).to(pipe.device, pipe.dtype),
    "t": torch.randint(0, 1000, (8,), generator=generator).to(pipe.device),
}
loss = noise_prediction_loss(student, schedule, **batch)
loss.backward()  # now every weight knows in which direction the loss grows
with torch.no_grad():
    for weight in student.parameters():
        weight -= 0.01 * weight.grad
    after = noise_prediction_loss(student, schedule, **batch)
print(f"\nLoss before the step {loss.item():.4f}, after it {after.item():.4f}.")

# %% [markdown]
# Our U-Net has taken several thousand such steps, with batches of hundreds of pictures, on one GPU. Its
# [card](https://github.com/picture-this-course/picture-this/blob/main/models/diffusion/README.md) says how many. Stable
# Diffusion took hundreds of thousands, with batches of 2,048, on 256 GPUs. The step is the same.
#
# One more look at the loss. It is a mean over all timesteps, but they are not equally hard. We measure it on the eight
# pictures, timestep by timestep:

# %%
times, losses = list(range(20, 1000, 70)), []
for t in times:
    batch["t"] = torch.full((8,), t, device=pipe.device)
    with torch.no_grad():
        losses.append(noise_prediction_loss(pipe.unet, schedule, **batch).item())
figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(times, losses, marker="o")
axes.set(xlabel="t", ylabel="loss", ylim=(0, None), title="how hard is each timestep?")
easiest = times[losses.index(min(losses))]
show.plot(
    figure,
    alt=f"The U-Net's loss on eight fresh pictures, plotted over the timestep t: {losses[0]:.2f} at t = {times[0]}, "
    f"lowest at t = {easiest} with {min(losses):.2f}, and {losses[-1]:.2f} at t = {times[-1]}.",
    width=520,
)

# %% [markdown]
# Where the loss is high, there is much to guess. On the left the latents are nearly clean, and the faint noise hides in
# fine detail. On the right next to nothing is left of the picture, and $v$ asks for just that: the caption says what to
# draw, but not where and how. In between, the caption and what is left settle almost everything. A low loss in the mean
# can hide a weakness at some timesteps, so look at the curve, not at one number.

# %% [markdown]
# ## Part 5 · Guidance
#
# *20 minutes*
#
# Ask the U-Net about the same noisy latents twice: once with your prompt, once with the empty prompt. The two answers
# differ only by what the words add. In training one caption in ten was replaced with the empty one, so that this second
# question has a sensible answer.
#
# Below is that difference, position by position, for three prompts on the same noise. It is bright where the words
# matter.

# %%
start = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5)).to(latents)
t = 800
differences = []
prompts = ["a large red cat, on a meadow", "a small blue boat, on the sea", "a yellow moon, at night"]
for prompt in prompts:
    text_states, empty_states = pipe.encode_prompt(prompt, pipe.device, 1, True)
    with torch.no_grad():
        with_text = pipe.unet(start, t, text_states).sample
        without = pipe.unet(start, t, empty_states).sample
    difference = (with_text - without)[0].norm(dim=0).float().cpu()
    differences.append(show.to_pil((difference / difference.max() * 2 - 1).expand(3, -1, -1)))
show.gallery(
    differences,
    prompts,
    alt=[f"where in the picture the prompt '{prompt}' makes a difference" for prompt in prompts],
)

# %% [markdown]
# **Classifier-free guidance** (Ho & Salimans 2022) takes this difference and exaggerates it. (The name refers to an
# earlier method, which needed a second network, a classifier, to pull the picture towards the prompt. This one does
# without it.) Start from the answer without text and walk towards the answer with text, and then *further*:
#
# $$\hat\varepsilon = \varepsilon_\text{empty} + s\,(\varepsilon_\text{text} - \varepsilon_\text{empty})$$
#
# The number $s$ is the **guidance scale**. With 0 the prompt has no influence, with 1 the answer is the one with text,
# as trained, and with 4 the step towards the text is four times as long. The same works for a model that predicts $v$:
# the formula only ever mixes two answers of the same kind.

# %%
empty, text = torch.tensor([1.0, 0.6]), torch.tensor([1.6, 1.1])
figure, axes = plt.subplots(figsize=(6, 3.6))
for scale in (0, 1, 2, 4):
    point = torch.lerp(empty, text, float(scale))
    axes.plot(*point, "o", markersize=9)
    axes.annotate(f"scale {scale}", point + torch.tensor([0.09, -0.09]))
axes.annotate("", torch.lerp(empty, text, 4.0), empty, arrowprops={"arrowstyle": "->", "color": "grey"})
axes.text(*(empty + torch.tensor([-0.42, 0.12])), "without text")
axes.text(*(text + torch.tensor([-0.42, 0.12])), "with text")
axes.set(
    xlim=(0.4, 4.2),
    ylim=(0.3, 3),
    xticks=[],
    yticks=[],
    title="guidance walks on, beyond the answer with text",
)
show.plot(
    figure,
    alt="A line through two points, the answer without text at scale 0 and the answer with text at scale "
    "1; the points for scale 2 and 4 lie further along the same line.",
    width=480,
)

# %% [markdown]
# ### Exercise 3 · `guide`
#
# *Difficulty ●○○○○ · 5 minutes · 6 points*
#
# Write the formula above as a function: the U-Net's two answers and the scale go in, and the guided answer comes out, a
# new tensor of the same shape. One line is enough.
#
# <details><summary>Help: my pictures are grey soup, although the formula looks right</summary>
#
# Check the order. `guide(uncond, text, 1)` must be `text`, and `guide(uncond, text, 0)` must be `uncond`. If it is
# the other way round, guidance walks *away* from your prompt.
# </details>


# %% exercise="guide"
def guide(noise_uncond, noise_text, scale):
    """Classifier-free guidance (Ho & Salimans 2022).

    Args:
        noise_uncond: the U-Net's answer for the empty prompt, tensor of any shape.
        noise_text: its answer for the prompt, same shape.
        scale: 0 ignores the text, 1 gives noise_text, more exaggerates the difference.

    Returns:
        A new tensor of the same shape. The inputs stay as they are.
    """
    ### BEGIN SOLUTION
    return noise_uncond + scale * (noise_text - noise_uncond)
    ### END SOLUTION


# %% tests="guide" points=6
checks.nb01.guide(guide)

# %% [markdown]
# ## Part 6 · Out of the noise: the sampling loop
#
# *45 minutes*
#
# Everything is ready for the way back. Start from pure noise, and repeat: ask the U-Net (twice, with and without text),
# guide, take a step towards less noise. How large is that step, and where exactly does it lead? That is for the
# **scheduler** to decide. There are many of them (DDPM, DDIM, Euler, DPM-Solver++ …), and they all answer the same
# question: *given noisy latents and a guess of what is noise in them, where are we a little earlier?* Simple ones need
# 1,000 steps. Clever ones, like our DPM-Solver++, remember their last guesses, draw a curve through them, and make do
# with 20.
#
# First watch the library's pipeline do it. We let it call us after every step, and keep two things: the noisy latents
# as they are, and the scheduler's current guess of the *finished* latents. Move the slider. Even in the first steps,
# where the left picture is nothing but noise, the guess on the right shows the main colours, then forms, then details.

# %%
prompt = "a large red cat, on a meadow"
watched = type(pipe)(
    **{**pipe.components, "scheduler": DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)},
    requires_safety_checker=False,
)  # the same models; DPM-Solver++ keeps its guesses for us to see
watched.set_progress_bar_config(disable=True)
noisy, guesses, captions = [], [], []


def keep(pipeline, step, t, tensors):
    noisy.append(tensors["latents"])
    guesses.append(pipeline.scheduler.model_outputs[-1])
    captions.append(f"step {step + 1}, t = {int(t)}: noisy latents, and the guess of the finished picture")
    return tensors


watched(
    prompt,
    num_inference_steps=25,
    guidance_scale=4.0,
    generator=torch.Generator().manual_seed(7),
    callback_on_step_end=keep,
    output_type="latent",
)
film = []
for left, right in zip(to_pictures(torch.cat(noisy)), to_pictures(torch.cat(guesses))):
    frame = left.resize((2 * size, size))
    frame.paste(left, (0, 0))
    frame.paste(right, (size, 0))
    film.append(frame)
show.scrubber(film, captions, alt=f"drawing of {prompt}", width=480)

# %% [markdown]
# ### Exercise 4 · `sample_latents`
#
# *Difficulty ●●●○○ · 30 minutes · 16 points*
#
# Now write the loop yourself. Your result must be the same as the pipeline's own, `pipe(prompt,
# num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator, output_type="latent").images`, and this
# must hold for *any* scheduler. Don't call the pipeline itself. Use its parts:
#
# | part | what it gives |
# |---|---|
# | `pipe.encode_prompt(prompt, pipe.device, 1, True)` | text states, and the states of the empty prompt |
# | `pipe.scheduler.set_timesteps(steps)` | prepares the scheduler. Then `pipe.scheduler.timesteps` lists the timesteps, the noisiest first |
# | `pipe.scheduler.init_noise_sigma` | how strong the noise at the start should be |
# | `pipe.scheduler.scale_model_input(latents, t)` | the latents as the U-Net should see them at timestep t |
# | `pipe.unet(latents, t, encoder_hidden_states=states).sample` | the U-Net's answer |
# | `pipe.prepare_extra_step_kwargs(generator, 0.0)` | a dict of what else this scheduler's `step` takes: the generator, if it draws fresh noise in each step |
# | `pipe.scheduler.step(answer, t, latents, **extra).prev_sample` | the latents one step further (`extra` is that dict) |
#
# The first noise has the shape `(1, in_channels, sample_size, sample_size)`. Both numbers are in `pipe.unet.config`.
#
# <details><summary>Hint 1: the plan</summary>
#
# Before the loop: encode the prompt, set the timesteps, draw the noise with the generator, multiply it by
# `init_noise_sigma`. In the loop: scale the input, ask the U-Net with and without text, `guide`, `step`. Whatever else
# `step` takes is the same each time, so ask for it once, before the loop.
# </details>
#
# <details><summary>Hint 2: two questions, one call</summary>
#
# `torch.cat` the latents with themselves and the empty states with the text states, call the U-Net once on this batch
# of two, and take its answer apart with `.chunk(2)`. What went in first comes out first.
# </details>
#
# <details><summary>Hint 3: why scale the input?</summary>
#
# Some schedulers, like Euler's, keep latents in which the noise is much stronger than 1, which is handy for their
# formulas. The U-Net has never seen such numbers, so they are scaled down for it. Our DPM-Solver++ does not need this:
# there both `scale_model_input` and `init_noise_sigma` change nothing. Leave them out, and your loop works until
# somebody picks another scheduler.
# </details>
#
# <details><summary>Help: memory grows, or it gets slower with every step</summary>
#
# PyTorch remembers every step in case you want gradients. You don't. That is what `@torch.no_grad()` above the
# function is for. Leave it there.
# </details>
#
# <details><summary>Help: "mat1 and mat2 shapes cannot be multiplied"</summary>
#
# The U-Net got text states of the wrong shape. They need three dimensions, (batch, tokens, width), and a batch as
# large as that of the latents.
# </details>


# %% exercise="sample_latents"
@torch.no_grad()
def sample_latents(pipe, prompt, *, steps=25, guidance_scale=4.0, generator=None):
    """Draw the latents of one picture: the sampling loop of Stable Diffusion by hand.

    Args:
        pipe: a StableDiffusionPipeline with any scheduler.
        prompt: a string.
        steps: number of denoising steps.
        guidance_scale: 1 or more.
        generator: torch.Generator for all noise that is drawn; None uses torch's global one.

    Returns:
        The final latents, tensor (1, channels, height, width), equal to what the pipeline gives for
        output_type="latent" and the same generator. They keep no gradients.
    """
    ### BEGIN SOLUTION
    unet, scheduler = pipe.unet, pipe.scheduler
    text_states, empty_states = pipe.encode_prompt(prompt, pipe.device, 1, True)
    states = torch.cat([empty_states, text_states])
    scheduler.set_timesteps(steps, device=pipe.device)

    shape = (1, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    source = pipe.device if generator is None else generator.device
    latents = torch.randn(shape, generator=generator, device=source, dtype=states.dtype).to(pipe.device)
    latents = latents * scheduler.init_noise_sigma
    extra = pipe.prepare_extra_step_kwargs(generator, 0.0)
    for t in scheduler.timesteps:
        twice = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        noise_uncond, noise_text = unet(twice, t, encoder_hidden_states=states).sample.chunk(2)
        answer = guide(noise_uncond, noise_text, guidance_scale)
        latents = scheduler.step(answer, t, latents, **extra).prev_sample
    return latents
    ### END SOLUTION


# %% tests="sample_latents" points=16
checks.nb01.sample_latents(sample_latents)

# %% [markdown]
# Now the proof: your latents go through the VAE's decoder, four times, with different noise at the start.

# %%
seeds = [1, 2, 3, 4]
drawn = torch.cat(
    [
        sample_latents(pipe, "a small blue boat, on the sea", generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
)
show.gallery(
    to_pictures(drawn),
    [f"seed {seed}" for seed in seeds],
    alt=[f"a small blue boat on the sea, drawn by my own loop with seed {seed}" for seed in seeds],
)

# %% [markdown]
# ## Part 7 · Seeds, steps, and a score
#
# *40 minutes*
#
# With a scheduler like ours, which adds no noise on the way, the only luck in a drawing is the noise it starts from. So
# **the seed is the picture**: same prompt, same seed, same settings, same versions of the libraries, same picture,
# today and in a year. That makes results repeatable, and experiments fair. To learn what guidance does, keep the seed
# and change the scale alone.
#
# There is one catch. A GPU has another source of random numbers than the CPU, and rounds in another order: the same
# seed gives another picture there. All code in this course draws its noise on the CPU, so that only the rounding
# differs.

# %% [markdown]
# ### Exercise 5 · `generate_images`
#
# *Difficulty ●●○○○ · 10 minutes · 6 points*
#
# Wrap it all up in the function that you will use from now on. Here the pipeline may do the work. It takes a list of
# prompts, and a list of generators, one for each picture.
#
# <details><summary>Hint: how to give each picture its own seed</summary>
#
# `[torch.Generator().manual_seed(seed + i) for i in range(n)]`. Then picture number *i* is the same whether you ask for
# two pictures or for ten, and you can draw the one you like again alone.
# </details>
#
# <details><summary>Help: the first call takes seconds, and so does the second</summary>
#
# Then your function loads the model each time. `load("diffusion")` keeps what it has loaded, but `from_pretrained` does
# not.
# </details>


# %% exercise="generate_images"
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    """Draw n pictures of a prompt with load("diffusion"), which is loaded at the first call and kept.

    Args:
        prompt: a string.
        n: how many pictures.
        seed: the same seed gives the same pictures; the n pictures differ from each other.
        steps: as in sample_latents.
        guidance_scale: as in sample_latents.

    Returns:
        A list of n PIL images.
    """
    ### BEGIN SOLUTION
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    drawn = load("diffusion")(
        [prompt] * n, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generators
    )
    return drawn.images
    ### END SOLUTION


# %% tests="generate_images" points=6
checks.nb01.generate_images(generate_images)

# %% [markdown]
# ### Steps × guidance
#
# Two settings, one seed. Each row has a number of steps, each column a guidance scale. Before you look, guess: where in
# the table are the blurred pictures, and where the ones with harsh colours?

# %%
prompt = "a large yellow rocket, at night"
steps, scales = (1, 3, 8, 25), (1.0, 4.0, 20.0)
table = [[generate_images(prompt, seed=11, steps=n, guidance_scale=scale)[0] for scale in scales] for n in steps]
show.grid(
    table,
    [f"{n} steps" if n > 1 else "1 step" for n in steps],
    [f"guidance {scale:g}" for scale in scales],
    alt=prompt,
    width=130,
)

# %% [markdown]
# With few steps the picture is a blur, because one long step from noise lands at the average of all pictures that would
# fit. Few steps with strong guidance are worse still: each step goes too far, and too few are left to correct it.
# Guidance can't be judged from one seed, though. So draw another prompt, which leaves more open, with eight seeds at
# each scale. Count the fish, and compare the places:

# %%
prompt, scales, drawn = "three yellow fish", (1.0, 2.0, 4.0, 10.0, 20.0), {}
for scale in scales:
    drawn[scale] = generate_images(prompt, 8, seed=0, steps=10, guidance_scale=scale)
shown = (1.0, 4.0, 20.0)
show.gallery(
    [show.mosaic(drawn[scale], 4, gap=4) for scale in shown],
    [f"guidance {scale:g}, eight seeds" for scale in shown],
    width=520,
    alt=[f"eight drawings of {prompt} with guidance {scale:g}, in two rows" for scale in shown],
)

# %% [markdown]
# ### A score for pictures
#
# "Looks good" is not a measurement. CLIP gives us one. It was trained to place pictures and texts as points in one
# common space, with a picture near its own caption. The **CLIP score** of a picture (Hessel et al. 2021) is the cosine
# of the angle between its point and the prompt's: the larger, the better they fit. Here are three pictures against
# three captions. The largest number in each column should be on the diagonal.

# %%
rng = Random(3)
scenes = [random_scene(rng, things=1) for _ in range(3)]
captions = [describe(scene, rng) for scene in scenes]
pictures = [draw(scene, size=size) for scene in scenes]
show.matrix(
    clip.similarity(captions, pictures),
    pictures,
    captions,
    alt=[f"a drawing of {each}" for each in captions],
    width=130,
)

# %% [markdown]
# Even a perfect match does not reach 1. With our mini CLIP, which knows one small world, a drawing and its caption
# score about 0.75. The real CLIP gives a photograph and its caption about 0.3: all its pictures lie in one region of
# the space and all its texts in another, the **modality gap** (Liang et al. 2022). So only compare scores from the same
# CLIP, and never use a fixed threshold.
#
# With a score we can draw two curves from the pictures above. The *fit* is the mean CLIP score of the eight pictures.
# Their *variety* is 1 minus the mean cosine between two of them.


# %%
def variety(pictures):
    """1 minus the mean CLIP cosine between two different pictures: 0 if all are the same."""
    cosines = clip.embed_images(pictures) @ clip.embed_images(pictures).T
    return 1 - cosines[~np.eye(len(pictures), dtype=bool)].mean()


fits = [clip.similarity([prompt], drawn[scale]).mean() for scale in scales]
varieties = [variety(drawn[scale]) for scale in scales]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for axes, values, title in ((left, fits, "fit to the prompt"), (right, varieties, "variety")):
    axes.semilogx(scales, values, marker="o")
    axes.set(xlabel="guidance scale", title=title, xticks=scales, xticklabels=[f"{scale:g}" for scale in scales])
    axes.minorticks_off()
rows = "; ".join(f"{scale:g}: {fit:.2f} and {v:.2f}" for scale, fit, v in zip(scales, fits, varieties))
show.plot(
    figure,
    alt=f"Two curves against the guidance scale, for eight seeds of {prompt}: the mean CLIP score, and the variety. {rows}.",
    width=780,
)

# %% [markdown]
# In our small world the model follows a prompt well even at scale 1, so from there to 10 the fit changes little, and
# the variety falls a little. At 20 the fit falls. The variety rises, but not because the pictures are richer: they
# break, each in its own way. Colours and edges get harsh, because so much guidance pushes the latents to places where
# no real picture lives. Models that can draw anything depend on guidance far more. Without it their pictures often miss
# half of the prompt, and with more of it they resemble each other more and more (Ho & Salimans 2022). Our 4, and the
# 7.5 that is usual for Stable Diffusion, are compromises.

# %% [markdown]
# ### Exercise 6 · `steps_sweep`
#
# *Difficulty ●●○○○ · 15 minutes · 8 points*
#
# How many steps are enough? Draw the prompt with each number of steps and look at the CLIP score. For a fair
# comparison all pictures start from the same noise.
#
# <details><summary>Hint: from table to number</summary>
#
# `clip.similarity([prompt], [picture])` is a table with one row and one column. `float(table[0, 0])` takes the number
# out.
# </details>
#
# <details><summary>Help: my scores go up and down at random</summary>
#
# Then each picture has another seed. Make a new generator with `manual_seed(seed)` for *each* number of steps: one that
# has been used has moved on.
# </details>


# %% exercise="steps_sweep"
def steps_sweep(prompt, steps, *, seed=0):
    """Measure how the number of denoising steps changes a picture's fit to its prompt.

    The pipeline is load("diffusion"), which is loaded once.

    Args:
        prompt: a string.
        steps: the numbers of steps to try, for example [1, 2, 4, 8].
        seed: every picture starts from the noise of this seed; guidance is 4.0.

    Returns:
        A dict: number of steps → CLIP score (a float) of the one picture drawn with it, in the order of steps.
    """
    ### BEGIN SOLUTION
    pictures = [generate_images(prompt, seed=seed, steps=n)[0] for n in steps]
    scores = clip.similarity([prompt], pictures)[0]
    return {n: float(score) for n, score in zip(steps, scores)}
    ### END SOLUTION


# %% tests="steps_sweep" points=8
checks.nb01.steps_sweep(steps_sweep)

# %% [markdown]
# Now the plot. One seed can be lucky, so we take the mean over a few, for two prompts. Look for the bend: from there on
# more steps cost time and give nothing.

# %%
numbers, words = [1, 2, 4, 8, 16], []
figure, axes = plt.subplots(figsize=(6, 3.2))
for prompt in ("a large red cat, on a meadow", "a small yellow star above a large blue house, in the snow"):
    sweeps = [steps_sweep(prompt, numbers, seed=seed) for seed in range(2)]
    means = [sum(sweep[n] for sweep in sweeps) / len(sweeps) for n in numbers]
    axes.plot(numbers, means, marker="o", label=prompt)
    words.append(f"{prompt}: " + ", ".join(f"{mean:.2f} at {n}" for n, mean in zip(numbers, means)))
axes.set(xlabel="steps", ylabel="CLIP score, mean of 2 seeds", title="how many steps are enough?", xticks=numbers)
axes.legend(fontsize=8)
show.plot(figure, alt=f"CLIP score against the number of steps for two prompts. {'; '.join(words)}.", width=520)

# %% [markdown]
# Both curves rise steeply up to 2 or 4 steps and are level from there on: more steps cost time and gain nothing that
# CLIP can see. Even a single step has a score well above 0, because colour and place are visible even in a blur. Part 9
# looks at what CLIP misses.

# %% [markdown]
# ## Part 8 · Edit a picture
#
# *60 minutes*
#
# So far every picture began as pure noise. It doesn't have to. Take a picture that you have, put noise over it, and
# hand it to the loop: to the U-Net it looks like any half-finished drawing, and the U-Net finishes it. This is
# **img2img** (SDEdit, Meng et al. 2021). How much of your picture survives depends on how much noise you put over it,
# and Part 1 showed what survives longest: the large areas.
#
# The amount is called the **strength**. It is the share of the steps that the loop still takes:
#
# | strength | the loop starts from | steps it takes, of 25 |
# |---|---|---|
# | 0 | your picture's latents, without noise | 0 |
# | 0.6 | your picture's latents, noised to the timestep of the 11th step | 15 |
# | 1 | pure noise | 25 |
#
# Below is what the loop starts from at five strengths, decoded so that you can see it. With how much noise can you
# still see the house?

# %%
house = draw(Scene((Thing("house", "blue"),), place="snow", layout=2), size=size)
strengths = (0.2, 0.4, 0.6, 0.8, 1.0)
scheduler = with_scheduler(pipe, pipe.scheduler).scheduler
scheduler.set_timesteps(25)
house_latents = to_latents([house])
noise = torch.randn(house_latents.shape, generator=torch.Generator().manual_seed(0)).to(house_latents)
starts = [
    scheduler.add_noise(house_latents, noise, scheduler.timesteps[25 - int(25 * strength)][None])
    for strength in strengths[:-1]
]
show.gallery(
    [house, *to_pictures(torch.cat([*starts, noise]))],
    ["your picture", *(f"start at strength {strength:g}" for strength in strengths)],
    width=130,
    alt=["a drawing of a large blue house in the snow", *(f"the house under noise, strength {s:g}" for s in strengths)],
)

# %% [markdown]
# ### Exercise 7 · `img2img`
#
# *Difficulty ●●●○○ · 20 minutes · 8 points*
#
# Write it with your loop of Exercise 4. Only the beginning is new:
#
# - The picture's latents come from the VAE's encoder (`to_latents`, which takes the mean of what the encoder returns).
# - All noise comes from `torch.Generator().manual_seed(seed)`, and the first noise is the first thing it draws.
# - Of the scheduler's timesteps you take the last `int(steps * strength)`.
# - `scheduler.add_noise(latents, noise, timesteps)` puts noise over latents, as much as the scheduler expects at that
#   timestep. It takes the timesteps as a tensor with one entry per picture, for example `timesteps[:1]`.
#
# The two ends need care. At strength 0, and whenever no step is left, the result is the VAE's reconstruction. At
# strength 1 it is the picture that the pipeline draws from the text alone with this seed. As in Exercise 4, don't call
# a pipeline.
#
# <details><summary>Hint 1: the plan</summary>
#
# Check the strength. Make the generator, the latents and the noise. `set_timesteps(steps)`, and keep the last
# `int(steps * strength)` timesteps. Choose the start: the latents (no step left), the noise times `init_noise_sigma`
# (strength 1), or the latents with noise at the first timestep that is left. Then the loop as before, and
# `to_pictures`.
# </details>
#
# <details><summary>Hint 2: why is strength 1 a special case?</summary>
#
# Look back at the end of Part 2: even at the last timestep a trace of the picture is left. `add_noise` leaves this
# trace. "From the text alone" means without it.
# </details>
#
# <details><summary>Help: strange colours, even at strength 0</summary>
#
# `to_latents` multiplies by the scaling factor and `to_pictures` divides by it. If you call the VAE yourself, do both.
# </details>
#
# <details><summary>Help: my pictures differ from those of diffusers' StableDiffusionImg2ImgPipeline</summary>
#
# For the same seed, they do. That pipeline draws the latents at random from the distribution that the encoder returns,
# and uses up some of the generator's numbers for that. With the mean in place of that sample, the two agree.
# </details>


# %% exercise="img2img"
@torch.no_grad()
def img2img(pipe, picture, prompt, *, strength=0.6, steps=25, guidance_scale=4.0, seed=0):
    """Draw a prompt, starting from a picture under noise (SDEdit, Meng et al. 2021).

    Args:
        pipe: a StableDiffusionPipeline; its scheduler has one timestep per step.
        picture: a PIL picture of mode RGB, of the size that the pipeline draws.
        prompt: a string.
        strength: the share of the steps that is taken, 0 to 1; int(steps * strength) of them.
        steps: number of denoising steps at strength 1.
        guidance_scale: 1 or more.
        seed: for all noise. The same seed gives the same picture.

    Returns:
        A PIL picture of the same size: at strength 0 the VAE's reconstruction of `picture`, at strength 1 what the
        pipeline draws from the prompt alone with torch.Generator().manual_seed(seed).

    Raises:
        ValueError: the strength is below 0 or above 1.
    """
    ### BEGIN SOLUTION
    if not 0 <= strength <= 1:
        raise ValueError(f"strength should be from 0 to 1, but it is {strength}")
    unet, scheduler, generator = pipe.unet, pipe.scheduler, torch.Generator().manual_seed(seed)
    known = to_latents([picture], pipe)
    noise = torch.randn(known.shape, generator=generator, dtype=known.dtype).to(pipe.device)
    scheduler.set_timesteps(steps, device=pipe.device)
    timesteps = scheduler.timesteps[steps - int(steps * strength) :]
    if strength == 1:
        latents = noise * scheduler.init_noise_sigma
    elif len(timesteps):
        latents = scheduler.add_noise(known, noise, timesteps[:1])
    else:
        latents = known

    text_states, empty_states = pipe.encode_prompt(prompt, pipe.device, 1, True)
    states = torch.cat([empty_states, text_states])
    extra = pipe.prepare_extra_step_kwargs(generator, 0.0)
    for t in timesteps:
        twice = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        noise_uncond, noise_text = unet(twice, t, encoder_hidden_states=states).sample.chunk(2)
        latents = scheduler.step(guide(noise_uncond, noise_text, guidance_scale), t, latents, **extra).prev_sample
    return to_pictures(latents, pipe)[0]
    ### END SOLUTION


# %% tests="img2img" points=8
checks.nb01.img2img(img2img)

# %% [markdown]
# Now the blue house should become a red one. Which strength changes the colour and keeps the scene?

# %%
prompt = "a large red house, in the snow"
edited = [img2img(pipe, house, prompt, strength=strength) for strength in (0, *strengths)]
show.gallery(
    [house, *edited],
    ["your picture", *(f"strength {strength:g}" for strength in (0, *strengths))],
    width=130,
    alt=[
        "a large blue house in the snow",
        *(f"{prompt}, from the blue one at strength {s:g}" for s in (0, *strengths)),
    ],
)

# %% [markdown]
# Up to 0.6 only details change, and the house stays blue. At 0.8 it is red, and it still stands where yours stood,
# before the same mountain. At 1 nothing of your picture is left. The strength at which the colour turns differs from
# picture to picture, so with img2img you always try a few strengths.
#
# ### One part only
#
# img2img changes everything a little, the snow as well as the house. What if one part should change completely, and the
# rest not at all? Then we need a **mask**: a grey picture that is white where something new should appear and black
# where the old picture should stay.

# %%
mask = Image.new("L", house.size, 0)
mask.paste(255, (size // 2, 0, size, size))  # the right half
left_house = draw(
    Scene(
        (Thing("house", "blue", "small"), Thing("tree", "green", "small")), place="snow", relation="left of", layout=5
    ),
    size=size,
)
show.gallery(
    [left_house, mask],
    ["your picture", "the mask"],
    alt=[
        "a small blue house left of a small green tree, in the snow",
        "a mask: black on the left half, white on the right",
    ],
)

# %% [markdown]
# **Inpainting** needs no new network. The idea (RePaint, Lugmayr et al. 2022) is to correct the loop at every step.
# Just before the U-Net is asked about timestep $t$, put the old picture back where the mask is black, noised to that
# same $t$:
#
# $$x_t \;\leftarrow\; \text{mask} \cdot x_t \;+\; (1 - \text{mask}) \cdot \bigl(\sqrt{\bar\alpha_t}\;x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon\bigr)$$
#
# So at every step the U-Net sees a picture, one part of which is right, and it completes the other part so that both
# fit together. All of this happens in the latents, so the mask is scaled down to their size. The VAE changes the kept
# part a little, so at the end the old pixels are pasted over it.
#
# ### Exercise 8 · `inpaint`
#
# *Difficulty ●●●○○ · 20 minutes · 8 points*
#
# Again it is the loop of Exercise 4, from pure noise, with one more line in it. The noise that you put over the kept
# part may be the same first noise each time. Don't call a pipeline.
#
# <details><summary>Hint 1: the mask in the latents</summary>
#
# `mask.resize((side, side), Image.Resampling.NEAREST)` makes it small, and `torch.from_numpy(np.array(small)) > 127`
# makes a tensor of True and False, which broadcasts against latents of shape (1, channels, side, side).
# </details>
#
# <details><summary>Hint 2: where in the loop?</summary>
#
# First in the loop, before `scale_model_input`: `latents = torch.where(white, latents, kept)`, where `kept` is
# `scheduler.add_noise(known, noise, t[None])`.
# </details>
#
# <details><summary>Hint 3: the end</summary>
#
# `Image.composite(drawn, picture, mask)` takes pixels of `drawn` where the mask is white, and of `picture` where it is
# black.
# </details>
#
# <details><summary>Help: there is a car, but the house has vanished from the latents</summary>
#
# Then the kept part was put back only once, before the loop. After one step the U-Net has changed it. Put it back at
# every step.
# </details>


# %% exercise="inpaint"
@torch.no_grad()
def inpaint(pipe, picture, mask, prompt, *, steps=25, guidance_scale=4.0, seed=0):
    """Draw the white part of a picture anew and keep the black part (after RePaint, Lugmayr et al. 2022).

    At every step, before the U-Net is asked, the kept part of the latents is replaced by that of `picture`, noised to
    the step's timestep.

    Args:
        pipe: a StableDiffusionPipeline with any scheduler.
        picture: a PIL picture of mode RGB, of the size that the pipeline draws.
        mask: a PIL picture of mode L and of the same size: white (255) is drawn anew, black (0) stays.
        prompt: a string, about the whole picture.
        steps: number of denoising steps.
        guidance_scale: 1 or more.
        seed: for all noise. The first noise is the one that the pipeline starts from with
            torch.Generator().manual_seed(seed), so with an all-white mask the result is what the pipeline draws.

    Returns:
        A PIL picture of the same size. Where the mask is black, its pixels are exactly those of `picture`.

    Raises:
        ValueError: the mask's size is not the picture's, or its mode is not L.
    """
    ### BEGIN SOLUTION
    if mask.mode != "L" or mask.size != picture.size:
        raise ValueError(f"the mask should have mode L and size {picture.size}, but has {mask.mode} and {mask.size}")
    unet, scheduler, generator = pipe.unet, pipe.scheduler, torch.Generator().manual_seed(seed)
    known = to_latents([picture], pipe)
    small = mask.resize((known.shape[3], known.shape[2]), Image.Resampling.NEAREST)
    white = (torch.from_numpy(np.array(small)) > 127).to(pipe.device)

    text_states, empty_states = pipe.encode_prompt(prompt, pipe.device, 1, True)
    states = torch.cat([empty_states, text_states])
    scheduler.set_timesteps(steps, device=pipe.device)
    noise = torch.randn(known.shape, generator=generator, dtype=known.dtype).to(pipe.device)
    latents = noise * scheduler.init_noise_sigma
    extra = pipe.prepare_extra_step_kwargs(generator, 0.0)
    for t in scheduler.timesteps:
        latents = torch.where(white, latents, scheduler.add_noise(known, noise, t[None]))
        twice = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        noise_uncond, noise_text = unet(twice, t, encoder_hidden_states=states).sample.chunk(2)
        latents = scheduler.step(guide(noise_uncond, noise_text, guidance_scale), t, latents, **extra).prev_sample
    return Image.composite(to_pictures(latents, pipe)[0], picture, mask)
    ### END SOLUTION


# %% tests="inpaint" points=8
checks.nb01.inpaint(inpaint)

# %% [markdown]
# The tree goes, and something else comes in its place. The prompt describes the whole picture, because that is what the
# U-Net sees.

# %%
things = ["small red car", "small yellow rocket", "small orange dog", "small purple flower"]
painted = [
    inpaint(pipe, left_house, mask, f"a small blue house left of a {thing}, in the snow", seed=3) for thing in things
]
show.gallery(
    [left_house, *painted],
    ["your picture", *things],
    width=160,
    alt=[
        "a small blue house left of a small green tree, in the snow",
        *(f"the same house, unchanged, with a {thing} on the right in place of the tree" for thing in things),
    ],
)
same = [np.array_equal(np.array(each)[:, : size // 2], np.array(left_house)[:, : size // 2]) for each in painted]
print(f"Left halves that equal the picture's own, to the last pixel: {sum(same)} of {len(same)}.")

# %% [markdown]
# Nobody told the loop where the ground is, or how large a car is beside this house. It took both from the kept half, at
# every step. Look at the border between the halves, too: sky and mountain continue across it, or nearly so.
#
# ### Negative prompts
#
# There is a third way to steer, and you know its formula already. `guide` starts from the prediction for the *empty*
# prompt and walks away from it. Put another text in the place of the empty one, and guidance walks away from *that*.
# The pipeline calls it `negative_prompt`:

# %%
ways = {  # the prompt and the negative prompt
    "no negative prompt": ("a large house, in the snow", ""),
    "negative prompt: a blue house": ("a large house, in the snow", "a blue house"),
    "prompt with: not blue": ("a large house, not blue, in the snow", ""),
}
colours, drawn = [f"a {colour} house" for colour in COLOURS], {}
for way, (prompt, negative) in ways.items():
    options = {"num_inference_steps": 8, "guidance_scale": 4.0, "negative_prompt": [negative] * 8}
    generators = [torch.Generator().manual_seed(seed) for seed in range(8)]
    drawn[way] = pipe([prompt] * 8, generator=generators, **options).images
    counts = np.bincount(clip.similarity(colours, drawn[way]).argmax(0), minlength=len(COLOURS))
    print(f"{way:30}", ", ".join(f"{count} {colour}" for colour, count in zip(COLOURS, counts) if count))
show.gallery(
    [show.mosaic(pictures[:6], 3, gap=4) for pictures in drawn.values()],
    list(drawn),
    width=380,
    alt=[f"six drawings of a large house in the snow, {way}" for way in drawn],
)

# %% [markdown]
# Without a negative prompt the house comes in many colours. With *a blue house* as the negative prompt the blue houses
# are gone, and most are now yellow, the colour furthest from blue: guidance does not just leave blue out, it walks away
# from it. Words in the prompt don't work like that. *not blue* makes the houses blue, because *blue* is in it, and the
# model has never learned *not*.

# %% [markdown]
# ## Part 9 · Fewer steps on purpose
#
# *20 minutes*
#
# With guidance, 25 steps are 50 predictions of the U-Net for one picture. Our model takes about a second for that on a
# laptop, and Stable Diffusion takes minutes. Can it be done in fewer? First a closer look at why one step gives a blur.
# The loss of Part 4 is a mean *squared* error, and the best answer to that is always an average. From pure noise, all
# the U-Net knows is the prompt. So its best guess of the clean picture is the average of all pictures with this prompt.
# Here they are side by side, the guess after one step and the mean of 24 finished pictures:

# %%
prompt = "a large yellow rocket, at night"
fast = few_step(load("diffusion"))  # explained below: draws in 4 steps
many = fast([prompt] * 24, generator=[torch.Generator().manual_seed(i) for i in range(24)]).images
mean = Image.fromarray(np.mean([np.array(each) for each in many], axis=0).round().astype(np.uint8))
one = [generate_images(prompt, seed=seed, steps=1, guidance_scale=1.0)[0] for seed in (0, 1)]
show.gallery(
    [*many[:2], mean, *one],
    ["finished picture", "another one", "mean of 24 finished", "after one step", "one step, another seed"],
    width=150,
    alt=[
        f"{prompt}, seed 0",
        f"{prompt}, seed 1",
        "the pixel mean of 24 finished pictures: a blur",
        "the picture after a single step: a similar blur",
        "the same with another seed",
    ],
)

# %% [markdown]
# There are two ways out. The first is a better **scheduler**. All of them follow the same curve from noise to picture,
# but they take its bends differently: DDIM (Song et al. 2020) and Euler's method walk along the tangent, while
# DPM-Solver++ (Lu et al. 2022) also uses the previous step and so follows the bend. With very many steps they all
# arrive at the same picture. So we can measure how far from it they are after a few. The second way is to change the
# U-Net. In **distillation** the trained model is the teacher. It takes its many guided steps, and a student learns to
# jump from any point on that path straight to its end. A *latent consistency model* (Luo et al. 2023) does this, and
# what changes in the weights fits in a small file, an adapter. Using it takes two lines, and guidance is built in, so
# the U-Net predicts once per step instead of twice:
#
# ```python
# fast = few_step(load("diffusion"))
# pictures = fast(["a large yellow rocket, at night"]).images
# ```
#
# We let all of them draw the same four prompts from the same noise. The plot shows how far each scheduler still is from
# the picture after 30 steps, and the table shows what 4 steps give.

# %%
captions = [
    "a large white car, on a meadow",
    "a large green boat right of a large orange rocket, on mars",
    "four small purple horses, by the sea",
    "two small green trees on a small yellow boat, in the desert",
]


def draw_batch(pipe, captions, **options):
    """Draw each caption once, with seeds 0, 1, 2 …"""
    return pipe(captions, generator=[torch.Generator().manual_seed(i) for i in range(len(captions))], **options).images


def far_from(pictures, others):
    """Mean difference between two lists of pictures, in grey levels from 0 to 255."""
    return np.mean([np.abs(np.subtract(a, b, dtype=float)).mean() for a, b in zip(pictures, others)])


config, numbers = pipe.scheduler.config, (4, 8, 16)
samplers = {
    "DDIM": with_scheduler(pipe, DDIMScheduler.from_config(config, clip_sample=False)),
    "Euler": with_scheduler(pipe, EulerDiscreteScheduler.from_config(config)),
    "DPM-Solver++": pipe,
}
goal = draw_batch(pipe, captions, num_inference_steps=30, guidance_scale=4.0)
drawn, words = {}, []
figure, axes = plt.subplots(figsize=(6, 3))
for name, sampler in samplers.items():
    drawn[name] = [draw_batch(sampler, captions, num_inference_steps=n, guidance_scale=4.0) for n in numbers]
    off = [far_from(pictures, goal) for pictures in drawn[name]]
    axes.plot(numbers, off, marker="o", label=name)
    words.append(f"{name}: {', '.join(f'{value:.1f}' for value in off)}")
axes.set(xlabel="steps", xticks=numbers, ylabel="grey levels", ylim=(0, None), title="difference from 30 steps")
axes.legend(fontsize=8)
show.plot(
    figure, alt=f"Difference from the picture after 30 steps, at 4, 8 and 16 steps. {'; '.join(words)}.", width=520
)

quick = draw_batch(fast, captions, num_inference_steps=4)
rows = {f"{name}, 4 steps": pictures[0] for name, pictures in drawn.items()}
rows |= {"few_step adapter, 4 steps": quick, "DPM-Solver++, 30 steps": goal}
show.grid(list(rows.values()), list(rows), captions, alt="a drawing", width=150)

# %% [markdown]
# After 4 steps DPM-Solver++ is nearest to the end of the path, and after 16 all three are close to it. Look at the
# hardest prompt, the trees on the boat: where 4 steps of DDIM or Euler melt the trees together, the adapter draws two.
# It predicts 4 times per picture, the schedulers 8 times, and 25 steps with guidance 50 times.
#
# It isn't free. Surfaces are a little blotchy, and the adapter follows its own path, so its pictures are not those of
# the full model. Part 10 measures what is lost. Real models have gone the same way: SDXL Turbo (Sauer et al. 2023)
# draws in 1 to 4 steps, and MeanFlow (Geng et al. 2025) trains one-step models without a teacher.

# %% [markdown]
# ## Part 10 · How good is it?
#
# *20 minutes*
#
# You can judge a picture by looking at it, but not a *model*, because it can draw endlessly many. Three measurements
# are common, and each asks a different question.
#
# | measurement | asks | needs |
# |---|---|---|
# | CLIP score | does each picture fit its prompt? | pictures and prompts |
# | attributes, counted (GenEval, Ghosh et al. 2023) | is the right thing there, in the right colour? | prompts whose facts are known, and a judge |
# | Fréchet distance (FID, Heusel et al. 2017) | do all pictures together look like the real ones? | real pictures |
#
# The **Fréchet distance** describes a set of pictures by a cloud of points, here their CLIP embeddings: its centre
# $\mu$ and its spread, the covariance matrix $\Sigma$. Then it compares two clouds:
#
# $$d^2 = \lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}\!\left(\Sigma_1 + \Sigma_2 - 2\,(\Sigma_1 \Sigma_2)^{1/2}\right)$$
#
# It is 0 if both clouds have the same centre and spread. With few pictures the covariance is rough, so even two sets of
# real pictures are some distance apart. That distance is the floor, and it belongs beside every other number.


# %%
def frechet(some, others):
    """Squared Fréchet distance between two sets of embeddings, arrays (n, d)."""
    gap = np.square(some.mean(0) - others.mean(0)).sum()
    some, others = ((each - each.mean(0)) / (len(each) - 1) ** 0.5 for each in (some, others))  # covariance: a.T @ a
    roots = np.linalg.svd(some @ others.T, compute_uv=False).sum()  # the trace of the square root
    return float(gap + np.square(some).sum() + np.square(others).sum() - 2 * roots)


# %% [markdown]
# For the attributes we need a judge that can read kind, colour and place off a picture. CLIP can do it (zero-shot):
# compare the picture with *a cat*, *a dog*, … and take the nearest text. GenEval uses an object detector and CLIP. The
# first row of the table, drawings whose facts we know, shows whether the judge is any good.
#
# The table uses 48 captions, each about one kind of thing. The first three rows are honest: drawings of these scenes,
# our model, and our model with the adapter for few steps. The last three are failures on purpose: pictures after a
# single step, the model's pictures dealt to the wrong captions, and six drawings with their captions, copied eight
# times. Look for the failure that a column does *not* see.

# %%
n, rng = 48, Random(10)
scenes = [random_scene(rng, things=1, style="flat") for _ in range(n)]
captions = [describe(scene, rng) for scene in scenes]
reference = clip.embed_images([draw(random_scene(rng, things=1, style="flat"), size=size) for _ in range(3 * n)])
drawings = clip.embed_images([draw(scene, size=size) for scene in scenes])
model = clip.embed_images(draw_batch(pipe, captions, num_inference_steps=8, guidance_scale=4.0))
quick = clip.embed_images(draw_batch(fast, captions))
hasty = clip.embed_images(draw_batch(pipe, captions, num_inference_steps=1, guidance_scale=4.0))

own, copies = np.arange(n), np.repeat(np.arange(n // 8), 8)
rows = {  # the pictures, and for each the number of its caption
    "drawings of the scenes": (drawings, own),
    "our model, 8 steps": (model, own),
    "few_step adapter, 4 steps": (quick, own),
    "our model, 1 step": (hasty, own),
    "our model, dealt to wrong captions": (np.roll(model, 1, axis=0), own),
    f"{n // 8} drawings, each 8 times": (drawings[copies], copies),
}

# %% [markdown]
# For each caption and each fact, the judge gets the texts to choose from, the true one first. Then a row of the table
# takes three short calculations.


# %%
def true_first(true, words):
    """The words, beginning with the true one."""
    return [true, *(word for word in words if word != true)]


texts, choices = clip.embed_texts(captions), {"kind": [], "colour": [], "place": []}
for scene in scenes:
    thing = scene.things[0]
    choices["kind"].append(clip.embed_texts([f"a {kind}" for kind in true_first(thing.kind, KINDS)]))
    choices["colour"].append(clip.embed_texts([f"a {each} {thing.kind}" for each in true_first(thing.colour, COLOURS)]))
    choices["place"].append(clip.embed_texts(true_first(scene.place, PLACES)))

print(f"{'':34}  Fréchet  CLIP score  right: {'  '.join(f'{name:>6}' for name in choices)}")
for name, (points, order) in rows.items():
    fit = np.mean([text @ point for text, point in zip(texts[order], points)])
    right = [
        np.mean([(options[i] @ point).argmax() == 0 for i, point in zip(order, points)]) for options in choices.values()
    ]
    shares = "  ".join(f"{share:6.0%}" for share in right)
    print(f"{name:34}  {frechet(points, reference):7.3f}  {fit:10.2f}         {shares}")

# %% [markdown]
# The first row is the best that can be expected: the judge reads the drawings without a mistake, and their Fréchet
# distance is the floor. Our model comes close to it in every column, and the adapter follows a little behind, as Part 9
# promised. A single step fails everywhere. The other two failures each pass somewhere. Dealt to the wrong captions, the
# pictures have the same Fréchet distance as before. And the copies fit their captions perfectly, while only the Fréchet
# distance notices how few they are.
#
# | | can't see |
# |---|---|
# | CLIP score | a lack of variety, and what CLIP never learned to read, such as the number of fingers |
# | attributes | everything nobody asked about: style, beauty, a second thing that should not be there |
# | Fréchet distance | whether a picture fits its prompt, and single bad pictures among many |
#
# There is more to know about the Fréchet distance. It depends on the number of pictures, so compare only sets of the
# same size. It depends on the network that makes the embeddings: the classic FID uses one that was trained to sort
# photographs into 1,000 classes. CLIP embeddings agree better with people's judgement (Jayasumana et al. 2024). And
# papers ask people as well: which of these two pictures fits the prompt better?

# %% [markdown]
# ## Part 11 · Teach it something new
#
# *60 minutes*
#
# Our model has seen very many drawings, but never a mushroom. Ask it for one, and it improvises from
# what the letters remind it of (the last piece of the word is *room*). Below its ideas is what *we* mean by a mushroom:

# %%
mushrooms = newthing.pictures("mushroom", 16, size=size)
show.gallery(
    generate_images("a mushroom", 4, seed=0),
    ["the model's idea"] * 4,
    width=120,
    alt=[f"what the untaught model draws for 'a mushroom', picture {i + 1}" for i in range(4)],
)
show.gallery(
    mushrooms[:8],
    [f"mushroom {i + 1}" for i in range(8)],
    width=120,
    alt=[f"our drawing number {i + 1} of a red mushroom with white dots" for i in range(8)],
)

# %% [markdown]
# We have 16 pictures. Training all weights of the U-Net on them would work: too well. Soon *every* prompt would give a
# mushroom, because nothing asks the weights to keep what they knew. And the result would be a second copy of the whole
# model.
#
# **LoRA** (low-rank adaptation, Hu et al. 2021) leaves every weight matrix $W$ as it is and puts a small detour next to
# it. (The adapter of Part 9 was one.)
#
# $$W x \;+\; B\,A\,x$$
#
# $A$ squeezes the input down to a few numbers (the **rank** $r$, here 8), $B$ spreads them out again. Only $A$ and $B$
# are trained. $B$ starts as all zeros, so at first the detour adds nothing and the model draws exactly as before.
# Afterwards the adapter is a small file. Switch it on and there are mushrooms, switch it off and you have the old model
# back, to the last bit.

# %%
rows, columns = attention.to_k.weight.shape
rank = 8
print(f"One attention matrix has {rows} × {columns} = {rows * columns:,} weights.")
print(f"Its detour of rank {rank} has {rank} × {columns} + {rows} × {rank} = {rank * (rows + columns):,}.")

# %% [markdown]
# **And forgetting?** A detour can be strong too. With long training it will pull other prompts along: a cat may get a
# mushroom's body. The remedy of DreamBooth (Ruiz et al. 2023) is simple. Let the model draw some *old* pictures before
# the training starts, and mix them, with their prompts, into every batch: *learn the mushroom, and keep drawing these
# as you do.* This is called **prior preservation**.
#
# ### Exercise 9 · `fine_tune`
#
# *Difficulty ●●●●○ · 45 minutes · 16 points*
#
# Write the whole fine-tuning. It is graded by what the tuned model draws (the check brings another new thing than
# mushrooms), by what it still remembers (are cats still cats, drawn with the same seeds as before?), and by whether the
# old model comes back when the adapter is taken off. Forty steps are enough: about 20 seconds on two CPU cores. (The
# grader stops a cell after 300 seconds, training and test drawings together.)
#
# The peft library builds the detours. This is what you need of it:
#
# ```python
# from peft import LoraConfig, get_peft_model_state_dict
#
# targets = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"]
# pipe.unet.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=targets), adapter_name="new")
# get_peft_model_state_dict(pipe.unet, adapter_name="new")   # name → tensor, the adapter's weights alone
# ```
#
# The names in `targets` end the names of the layers that get a detour. The first four are those of the attention, where
# LoRA began. A shape that the model has never drawn comes out clean only when the convolutions learn it, too.
#
# Keep `lora_alpha` equal to `r`. The detour is multiplied by `lora_alpha / r`, and the state dict does not carry that
# number.
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. Freeze the U-Net: `pipe.unet.requires_grad_(False)`. Then `add_adapter`, whose weights are trainable.
# 2. Once, before the loop: latents of the pictures, text states of the prompt. Let the model draw old pictures
#    (`output_type="latent"` saves you the way through the VAE) and encode their prompts.
# 3. `torch.optim.AdamW` over the parameters with `requires_grad`, learning rate about 2e-3.
# 4. `max_steps` times: choose some new and some old ones, draw noise and t at random, `noise_prediction_loss`,
#    `backward`, `step`, `zero_grad`.
# </details>
#
# <details><summary>Hint 2: which scheduler?</summary>
#
# The loss needs `alphas_cumprod` and the `prediction_type`. `DDPMScheduler.from_config(pipe.scheduler.config)` has
# both.
# </details>
#
# <details><summary>Hint 3: what makes good old pictures?</summary>
#
# Prompts from all over the world it knows: `describe(random_scene(rng), rng)` makes as many as you like. Half a dozen
# is enough here. Draw them *before* `add_adapter`, by the model as it was.
# </details>
#
# <details><summary>Help: "Adapter with name … already exists" when I run the cell again</summary>
#
# The adapter of your last run is still in the pipeline. Begin with `pipe.unload_lora_weights()`.
# </details>
#
# <details><summary>Help: the loss does not fall at all</summary>
#
# Does the optimizer hold the adapter's parameters? If you made it before `add_adapter`, it holds none of them. Do you
# call `optimizer.zero_grad()` in each step? And expect a bumpy curve: each step draws a different $t$, and timesteps
# are not equally hard (Part 4).
# </details>
#
# <details><summary>Help: "Trying to backward through the graph a second time"</summary>
#
# Latents or text states that you computed once still remember how. Compute them under `torch.no_grad()`, or
# `.detach()` them.
# </details>


# %% exercise="fine_tune"
def fine_tune(pipe, images, prompt, *, max_steps=40, batch_size=8, learning_rate=2e-3, seed=0):
    """Teach a pipeline a new thing with a LoRA adapter of its U-Net (Hu et al. 2021) and prior
    preservation (Ruiz et al. 2023).

    Args:
        pipe: a StableDiffusionPipeline. Its own weights stay as they are. Afterwards the adapter is loaded in its
            U-Net, under any name, and switched on; pipe.disable_lora() switches it off, pipe.unload_lora_weights()
            removes it.
        images: PIL pictures of the new thing.
        prompt: the text that should draw it, one for all pictures.
        max_steps: the most steps that the optimizer may take.
        batch_size: pictures in each step, new and old together.
        learning_rate: the optimizer's.
        seed: the same seed gives the same adapter.

    Returns:
        The adapter's state dict: names that start with "unet." → tensors, as pipe.load_lora_weights takes it.
    """
    ### BEGIN SOLUTION
    from peft import LoraConfig, get_peft_model_state_dict

    pipe.unload_lora_weights()
    rng, generator = Random(seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        pixels = pipe.image_processor.preprocess(images).to(pipe.device, pipe.vae.dtype)
        new_latents = pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor
        old_prompts = [describe(random_scene(rng), rng) for _ in range(6)]
        draw_old = {"num_inference_steps": 15, "guidance_scale": 4.0, "output_type": "latent"}
        old_latents = pipe(old_prompts, generator=generator, **draw_old).images
        latents = torch.cat([new_latents, old_latents])
        prompts = [prompt] * len(images) + old_prompts
        text_states = pipe.encode_prompt(prompts, pipe.device, 1, False)[0]

    pipe.unet.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # peft fills the A matrices from torch's global generator
        attention = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out"]
        targets = [*attention, "ff.net.0.proj", "ff.net.2", "conv1", "conv2"]  # a new shape needs the convolutions, too
        detours = LoraConfig(r=8, lora_alpha=8, target_modules=targets)
        pipe.unet.add_adapter(detours, adapter_name="new_thing")
    trained = [p for p in pipe.unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate)

    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    for _ in range(max_steps):
        # Of 8 pictures about 6 are new and 2 are old.
        chosen = torch.randint(len(latents), (batch_size,), generator=generator)
        noise = torch.randn(batch_size, *latents.shape[1:], generator=generator).to(latents)
        t = torch.randint(len(scheduler), (batch_size,), generator=generator).to(pipe.device)
        loss = noise_prediction_loss(pipe.unet, scheduler, latents[chosen], text_states[chosen], noise, t)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    weights = get_peft_model_state_dict(pipe.unet, adapter_name="new_thing")
    return {f"unet.{name}": weight.detach() for name, weight in weights.items()}
    ### END SOLUTION


# %% [markdown]
# Try it on the mushrooms. The tuned model should draw red caps with white dots on a pale stem, and still know its cats.
# The first row is the old model, the second the tuned one, with the same seeds.

# %%
import time

prompts = [
    "a mushroom",
    "a mushroom",
    "a large red cat, on a meadow",
    "a small blue boat, on the sea",
    "a yellow moon, at night",
]


def draw_all():
    return [generate_images(prompt, seed=20 + i, steps=15)[0] for i, prompt in enumerate(prompts)]


pipe.unload_lora_weights()
before = draw_all()
clock = time.perf_counter()
adapter = fine_tune(pipe, mushrooms, "a mushroom")
print(
    f"Fine-tuned in {time.perf_counter() - clock:.0f} seconds. "
    f"The adapter has {sum(w.numel() for w in adapter.values()):,} weights, "
    f"the U-Net {sum(p.numel() for p in pipe.unet.parameters()):,}."
)
after = draw_all()
show.grid([before, after], ["before", "after"], prompts, alt="drawn by the model")

pipe.disable_lora()
same = [a.tobytes() == b.tobytes() for a, b in zip(before, draw_all())]
print(f"Adapter off: {sum(same)} of {len(same)} pictures are as before, to the last bit.")
pipe.unload_lora_weights()

# %% tests="fine_tune" points=16
checks.nb01.fine_tune(fine_tune)

# %% [markdown]
# ## Part 12 · Responsibility
#
# *15 minutes*
#
# **What does it draw when you don't say?** "A cat" names no colour, so the model has to choose one. In our training
# data each of the eight colours is equally likely. Is that true of the pictures? We draw 64 cats with the few-step
# adapter and let CLIP name the colours.

# %%
cats = draw_batch(fast, ["a cat"] * 64)
show.gallery(
    [show.mosaic(cats[:8], 4, gap=4)],
    [f"the first eight of {len(cats)} cats"],
    width=520,
    alt=["eight drawings of 'a cat' in several colours and places"],
)
rng = Random(0)
seen = [thing.colour for _ in range(4000) for thing in random_scene(rng).things if thing.kind == "cat"]
nearest = clip.similarity([f"a {colour} cat" for colour in COLOURS], cats).argmax(0)
drawn = np.bincount(nearest, minlength=len(COLOURS)) / len(cats)
given = np.array([seen.count(colour) / len(seen) for colour in COLOURS])
errors = np.sqrt(given * (1 - given) / len(cats))  # by how much a share of 64 draws varies by chance

figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
axes.bar(np.arange(len(COLOURS)) - 0.2, drawn, width=0.38, yerr=errors, ecolor="grey", label=f"{len(cats)} pictures")
axes.bar(np.arange(len(COLOURS)) + 0.2, given, width=0.38, label="training data")
axes.set(xticks=range(len(COLOURS)), xticklabels=COLOURS, ylabel="share of the cats", ylim=(0, 1.5 * drawn.max()))
axes.legend(ncols=2)
rows = "; ".join(f"{colour} {a:.0%} and {b:.0%}" for colour, a, b in zip(COLOURS, drawn, given))
show.plot(figure, alt=f"Which colour 'a cat' gets, in the pictures and in the training data: {rows}.", width=720)
beyond = [colour for colour, a, b, error in zip(COLOURS, drawn, given, errors) if abs(a - b) > 2 * error]
print(f"More than two standard errors from the training data: {', '.join(beyond) or 'no colour'}.")

# %% [markdown]
# The grey lines are one standard error long in each direction. That is how much a share of 64 draws varies by chance,
# and a difference within two of them proves nothing. If the last line names no colour, our cats are as mixed as the
# training data, as far as 64 pictures can show. A shift of a few per cent would stay hidden, and four times as many
# pictures would only halve the error.
#
# With cats this is harmless. Real models do the same with people: asked for "a CEO" or "a nurse", they draw men and
# women in proportions that are further apart than in their training data or in real life (Bianchi et al. 2023, Luccioni
# et al. 2023). A prompt that says nothing is not neutral. Count before you publish.
#
# **Where does a picture come from?** Say it in the file. Every picture that you hand in for this course carries its
# **provenance** in a text chunk of the PNG: prompt, model, seed, settings, and a hash of the pixels.

# %%
picture = generate_images("a cat", seed=0)[0]
made = make_provenance(picture, pipe, prompt="a cat", seed=0, steps=25, guidance_scale=4.0)
path = save_with_provenance(picture, "cat.png", made)
found = provenance_of(path)
print(f"cat.png: {found.prompt!r}, seed {found.seed}, model {found.model!r}, SHA-256 {found.sha256[:12]}…")
Image.open(path).convert("RGB").save("cat.jpg", quality=95)
print("cat.jpg, made from it:", provenance_of("cat.jpg"))

# %% [markdown]
# A copy in another format loses it, and so does a screenshot. That is why there are also **watermarks**, changes to the
# pixels, too small to see, which a program can find again even in a smaller or compressed copy. Signed provenance
# (Content Credentials, the C2PA standard) shows who made a file. A watermark is harder to lose, but shows less, and
# neither helps against people who remove them on purpose.
#
# **Whose pictures did it learn from?** Ours were drawn by a program for this course, as the model's card says. Stable
# Diffusion learned from billions of pictures and captions collected from the web (LAION-5B, Schuhmann et al. 2022),
# most of them by people who were not asked. Models can also learn single pictures by heart, mainly those that occur
# often in the data, and then return them nearly unchanged (Carlini et al. 2023). Before you use a model's pictures,
# read its card and its licence: what was it trained on, and what may you do with what it draws?

# %% [markdown]
# ## Part 13 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="why_guidance" points=5
# ### Question 1 · Guidance
#
# A classmate draws the same prompt with ten different seeds, once with guidance 1, once with 4 and once with 20. What
# will she see, in fitting the prompt, in variety, and in how natural the pictures look? Explain each of the three with
# the formula of `guide`.
#
# ### BEGIN MARK SCHEME
# - 1 point: names what happens to the fit to the prompt (parts are missing at 1, unless the prompt is easy, as in our
#   small world; good at 4; no better or worse at 20)
# - 1 point: names what happens to variety (falls as the scale grows; at 20 broken pictures may differ again, as in
#   Part 7)
# - 1 point: names what happens to naturalness (harsh colours, hard edges, artefacts at 20)
# - 2 points: explains with the formula: the difference of the two answers is what the prompt says; the scale multiplies
#   it (1); beyond 1 the result is extrapolated to answers that the network never learned to give (1)
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# At scale 1 the answer is the one with text, as trained: varied and natural pictures, but some ignore parts of the
# prompt, since the text is one influence among others. At scale 4 the difference between the answers with and without
# text, which is exactly what the prompt adds, counts four times: nearly all pictures fit, and they resemble each other
# more, because every step pushes towards what is typical for the prompt. At scale 20 the step leads far beyond both
# answers, to a point the network never gave in training. The latents leave the range of real pictures: oversaturated
# colours, hard edges, and no better fit. Most models then draw ten nearly equal pictures. Ours, in Part 7, broke each
# one in another way.
# ### END SOLUTION

# %% [markdown] written="what_is_forgotten" points=5
# ### Question 2 · Forgetting
#
# A friend fine-tunes *all* weights of the U-Net for 2,000 steps on 16 pictures of her dog and is delighted: every "my
# dog" is perfect. How can she find out what the model has lost? And what are two ways to lose less?
#
# ### BEGIN MARK SCHEME
# - 2 points: a measurement, not an impression: old prompts, same seeds, before and after; a score such as CLIP's or a
#   classifier (1); something on variety of the new thing as well, or on prompts that combine it with something else (1)
# - 1 point for each of two remedies: fewer steps or a smaller learning rate; LoRA or a lower rank; prior preservation;
#   varied captions for the new pictures (at most 2)
# - 1 point: says why it happens: nothing in the loss asks the weights to keep what they knew
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# The loss asks only for the dog, so every weight that helped with other things may drift. She should keep a list of old
# prompts with fixed seeds, draw them with the model before and after, and compare a score, such as CLIP's for prompt
# and picture, beside the pictures themselves. She should also try her dog in new places: if all pictures show the sofa
# of the training photos, the model has learned these photos by heart. To lose less she can train a LoRA adapter with
# few steps in place of all weights, and mix pictures that the old model drew into each batch (prior preservation).
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Fifteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget. Importing it twice does not double your cards.

# %%
cards = flashcards.find("01_diffusion_basics")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "diffusion_basics.apkg")
print("Wrote diffusion_basics.apkg; open it with Anki.")

# %% [markdown]
# ### What you can do now
#
# | You can … | … and you have shown it in |
# |---|---|
# | take a picture to any timestep of the forward process in one step | `add_noise` |
# | read a noise schedule | Part 2 |
# | name the three networks and what goes in and comes out | Part 3 |
# | write the loss that a diffusion model is trained with, for both prediction types | `noise_prediction_loss` |
# | steer with guidance, and say what it costs | `guide`, Part 7 |
# | write the sampling loop for any scheduler | `sample_latents` |
# | draw reproducibly, and choose the number of steps by a measurement | `generate_images`, `steps_sweep` |
# | edit a whole picture, or one part of it | `img2img`, `inpaint` |
# | say why few steps blur, and what distillation does about it | Part 9 |
# | compare two models by fit, attributes and Fréchet distance | Part 10 |
# | teach a model a new thing, and measure what it forgets | `fine_tune` |
# | say where a picture comes from, and what a model adds on its own | Part 12 |
#
# ### Going further
#
# - **The road between two seeds.** Mix two first noises with `torch.lerp`, draw, and find out why the pictures in the
#   middle look washed out. Then rescale the mix to standard deviation 1.
# - **Combine.** Does your tuned model know "a mushroom, on mars"? "Two mushrooms"? Why is that harder than a mushroom?
# - **Fewer weights.** Lower the LoRA rank to 4, 2, 1. From which rank on is the mushroom no longer a mushroom?
# - **Fewer places.** Put detours into the attention alone, as in the original paper. Which new shapes can it still
#   learn?
# - **The real thing.** With a GPU set `COURSE_PROFILE=full`, restart, and run this notebook with Stable Diffusion 1.5.
#   The code stays the same.
#
# ### References
#
# *The method*
#
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, [arXiv:1503.03585](https://arxiv.org/abs/1503.03585): the idea
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv:2006.11239](https://arxiv.org/abs/2006.11239): `add_noise` is equation 4
# - Rombach et al. 2022, *High-Resolution Image Synthesis with Latent Diffusion Models*, [arXiv:2112.10752](https://arxiv.org/abs/2112.10752): Stable Diffusion
# - Salimans & Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*, [arXiv:2202.00512](https://arxiv.org/abs/2202.00512): v-prediction, and distillation
# - Ho & Salimans 2022, *Classifier-Free Diffusion Guidance*, [arXiv:2207.12598](https://arxiv.org/abs/2207.12598)
# - Lin et al. 2023, *Common Diffusion Noise Schedules and Sample Steps are Flawed*, [arXiv:2305.08891](https://arxiv.org/abs/2305.08891)
#
# *Fewer steps*
#
# - Song, Meng & Ermon 2020, *Denoising Diffusion Implicit Models*, [arXiv:2010.02502](https://arxiv.org/abs/2010.02502): DDIM
# - Lu et al. 2022, *DPM-Solver++*, [arXiv:2211.01095](https://arxiv.org/abs/2211.01095): our scheduler
# - Luo et al. 2023, *Latent Consistency Models*, [arXiv:2310.04378](https://arxiv.org/abs/2310.04378), and *LCM-LoRA*, [arXiv:2311.05556](https://arxiv.org/abs/2311.05556): our adapter
# - Sauer et al. 2023, *Adversarial Diffusion Distillation*, [arXiv:2311.17042](https://arxiv.org/abs/2311.17042): SDXL Turbo
# - Geng et al. 2025, *Mean Flows for One-step Generative Modeling*, [arXiv:2505.13447](https://arxiv.org/abs/2505.13447)
#
# *Editing and teaching*
#
# - Meng et al. 2021, *SDEdit*, [arXiv:2108.01073](https://arxiv.org/abs/2108.01073): img2img
# - Lugmayr et al. 2022, *RePaint*, [arXiv:2201.09865](https://arxiv.org/abs/2201.09865): inpainting
# - Hu et al. 2021, *LoRA: Low-Rank Adaptation of Large Language Models*, [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# - Ruiz et al. 2023, *DreamBooth*, [arXiv:2208.12242](https://arxiv.org/abs/2208.12242): prior preservation
#
# *Measuring*
#
# - Heusel et al. 2017, *GANs Trained by a Two Time-Scale Update Rule …*, [arXiv:1706.08500](https://arxiv.org/abs/1706.08500): the Fréchet Inception distance
# - Radford et al. 2021, *Learning Transferable Visual Models From Natural Language Supervision*, [arXiv:2103.00020](https://arxiv.org/abs/2103.00020): CLIP
# - Hessel et al. 2021, *CLIPScore*, [arXiv:2104.08718](https://arxiv.org/abs/2104.08718)
# - Liang et al. 2022, *Mind the Gap*, [arXiv:2203.02053](https://arxiv.org/abs/2203.02053): the modality gap
# - Ghosh, Hajishirzi & Schmidt 2023, *GenEval*, [arXiv:2310.11513](https://arxiv.org/abs/2310.11513)
# - Jayasumana et al. 2024, *Rethinking FID*, [arXiv:2401.09603](https://arxiv.org/abs/2401.09603)
#
# *Responsibility*
#
# - Schuhmann et al. 2022, *LAION-5B*, [arXiv:2210.08402](https://arxiv.org/abs/2210.08402)
# - Bianchi et al. 2023, *Easily Accessible Text-to-Image Generation Amplifies Demographic Stereotypes at Large Scale*, [arXiv:2211.03759](https://arxiv.org/abs/2211.03759)
# - Luccioni et al. 2023, *Stable Bias*, [arXiv:2303.11408](https://arxiv.org/abs/2303.11408)
# - Carlini et al. 2023, *Extracting Training Data from Diffusion Models*, [arXiv:2301.13188](https://arxiv.org/abs/2301.13188)
#
# *What came after*: transformers in place of the U-Net, straight paths in place of the noise schedule
#
# - Peebles & Xie 2022, *Scalable Diffusion Models with Transformers*, [arXiv:2212.09748](https://arxiv.org/abs/2212.09748): DiT
# - Liu, Gong & Liu 2022, *Flow Straight and Fast*, [arXiv:2209.03003](https://arxiv.org/abs/2209.03003): rectified flow
# - Esser et al. 2024, *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*, [arXiv:2403.03206](https://arxiv.org/abs/2403.03206): Stable Diffusion 3
# - Black Forest Labs 2025, *FLUX.1 Kontext*, [arXiv:2506.15742](https://arxiv.org/abs/2506.15742): a flow model that draws and edits

# %% [markdown]
# The last cell checks your notebook before you hand it in, and lists what is not written, not saved or damaged.

# %%
ready_to_hand_in()
