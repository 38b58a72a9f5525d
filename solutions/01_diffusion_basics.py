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
# together again: your own sampling loop will give the same numbers as the library's, down to rounding. At the end
# you teach the machine something it has never seen.
#
# The models here are small and know only a picture-book world of cats, boats and rockets, so everything runs in seconds
# on a laptop. They are built from the same classes as Stable Diffusion and draw in the same steps, with far fewer
# numbers inside.
#
# **When you are done, you can**
#
# - say what happens to a picture on the way into noise, and compute any moment of it in one step
# - tell what the VAE, the text encoder and the U-Net each do, and what goes in and comes out
# - write the training loss of a diffusion model, and say why such a plain loss is enough
# - steer a picture towards a text with classifier-free guidance
# - write the sampling loop, and choose its number of steps with a measurement instead of a guess
# - teach a model a new thing with a LoRA adapter, and measure what it forgot
#
# **What you need**: Python functions and classes, tensors in PyTorch (shapes, broadcasting, what a gradient is).
# No statistics beyond mean and variance. No GPU, no network, no keys.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 Into the noise | 30 | 12 |
# | 2 The noise schedule | 15 | |
# | 3 Three models in one | 25 | |
# | 4 How it learns | 40 | 14 |
# | 5 Guidance | 20 | 8 |
# | 6 Out of the noise: the sampling loop | 45 | 18 |
# | 7 Seeds, steps, and a score | 40 | 20 |
# | 8 Teach it something new | 60 | 18 |
# | 9 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in the place of
# the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of them
# passed and what each is worth, and says in a sentence what is wrong. The points are decided by the same cases on other
# inputs. Every exercise has hints that unfold, and ● to ●●●●● tells how hard it is. If one keeps you from going on,
# `checks.borrow("add_noise")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order. Later ones call what you wrote before: `add_noise` in Part 4, `guide` in Part 6,
# `noise_prediction_loss` and `generate_images` in Part 8.

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
from random import Random

import matplotlib.pyplot as plt
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from torch.nn import functional as F

from helpers import checks, clip, flashcards, newthing, show, widgets
from helpers.models import load
from helpers.picturebook import Scene, Thing, describe, draw, random_scene
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
    print("The full Stable Diffusion would take minutes per picture: choose it where there is a GPU.")
print(f"Profile: {settings.profile}. Pictures are {size}×{size} pixels.")

# %% [markdown]
# ## Part 1 · Into the noise
#
# *30 minutes*
#
# Drawing a cat is hard. Ruining the drawing of a cat is easy: sprinkle noise over it, again and again, until nothing
# but noise is left. Diffusion models rest on this lopsidedness. We ruin many pictures in small steps, and let a network
# learn to undo *one* such step. Undoing a little noise is a task a network can learn well. And once it can undo a
# little, we start from pure noise and let it undo step after step, until there is a picture.
#
# The way into the noise is called the **forward process**; nothing is learned in it. The way back is the **reverse
# process**; there the network works. First the way in. Here is a cat from the picture-book world:

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
moments = [0, 50, 150, 300, 500, 999]

generator = torch.Generator().manual_seed(0)
x, kept = x0, {}
for t, beta in enumerate(schedule.betas):
    x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=generator)
    if t in moments:
        kept[t] = show.to_pil(x)

show.gallery(
    list(kept.values()),
    [f"t = {t}" for t in kept],
    width=130,
    alt=[f"the cat drawing after {t + 1} of 1000 steps of noise" for t in kept],
)
print(f"At the end: mean {x.mean():.2f}, standard deviation {x.std():.2f}. Pure noise has 0 and 1.")

# %% [markdown]
# Training needs pictures at *random* moments $t$, millions of them. Taking 700 small steps to see moment 700 would
# be a terrible waste. Luckily nobody has to: a picture that is made weaker many times is made weaker by the product
# of the factors, and a sum of many small Gaussian noises is one larger Gaussian noise. So the whole way from the
# clean picture $x_0$ to $x_t$ is **one** step:
#
# $$x_t = \sqrt{\bar\alpha_t}\;x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon
# \qquad\text{with}\qquad \bar\alpha_t = \prod_{s=0}^{t} (1-\beta_s)$$
#
# This is equation 4 of the DDPM paper (Ho et al. 2020). Read $\bar\alpha_t$ (*alpha bar*) as **the share of the picture
# that is left** at moment $t$: near 1 at the start, near 0 at the end. (It is a share of the *variance*, which is why
# the picture itself is multiplied by its square root.) The library calls the whole list `alphas_cumprod`, the
# cumulative product of the alphas.

# %% [markdown]
# ### Exercise 1 · `add_noise`
#
# *Difficulty ●○○○○ · 10 minutes · 12 points*
#
# Write that one step. In training each picture of a batch gets a moment of its own, so `t` may be a single number or a
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

    x0: clean pictures or latents, tensor (batch, channels, height, width).
    noise: standard normal noise, same shape.
    t: the timestep, 0 to len(alphas_cumprod) - 1; an int for all pictures, or a LongTensor (batch,)
        with one for each.
    alphas_cumprod: tensor (timesteps,), the share of the picture that is left at each timestep.

    Returns x_t, with the shape, dtype and device of x0. The inputs stay as they are.
    """
    ### BEGIN SOLUTION
    kept = alphas_cumprod.to(x0.device)[t].reshape(-1, *[1] * (x0.ndim - 1))
    return kept.sqrt().to(x0.dtype) * x0 + (1 - kept).sqrt().to(x0.dtype) * noise
    ### END SOLUTION


# %% tests="add_noise" points=12
checks.nb01.add_noise(add_noise)

# %% [markdown]
# With your function any moment costs the same, so we can wander through the forward process with a slider. Move it
# (with the mouse, or click on it and use the arrow keys) and find the moment from which on *you* can no longer tell
# that there is a cat. You will be surprised how late it is: large areas of colour stay visible long after the
# details are gone. Remember this. On the way back it means that **the large forms are decided first, the details
# last**.
#
# <details><summary>Help: I see many pictures and no slider</summary>
#
# Then this page runs no scripts, as in GitHub's preview. In Jupyter run the cell again, or choose File → Trust Notebook.
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
# Who says how fast the picture fades? We do. The list of betas is a choice, called the **noise schedule**, and it
# decides on what the network spends its time: moments where next to nothing is hidden teach it little, and so do
# moments where everything is.
#
# A good way to look at a schedule is the **signal-to-noise ratio**, how much stronger the picture is than the noise:
#
# $$\text{SNR}(t) = \frac{\bar\alpha_t}{1-\bar\alpha_t}$$
#
# At SNR 1 they are equally strong. Here are three schedules: the straight line of betas from the DDPM paper, the
# *scaled linear* one of Stable Diffusion (and of our model), and a *cosine*. What to look for: the linear one
# destroys the picture early and then spends hundreds of steps on almost pure noise; the cosine one fades evenly.

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
    alt="Two plots over the moment t, for three noise schedules. Left: the share of the picture that is "
    "left falls from 1 to 0, fastest for linear, most evenly for cosine. Right: the signal-to-noise ratio on "
    "a logarithmic scale, falling from about a thousand or more to a hundredth or less.",
    width=860,
)

even = int((schedule.alphas_cumprod < 0.5).nonzero()[0])
print(f"In our schedule picture and noise are equally strong at t = {even}.")
print(f"At the last moment {schedule.alphas_cumprod[-1]:.2%} of the picture's variance is left.")

# %% [markdown]
# That last line is a small flaw with a story. The network never sees *pure* noise in training: at the last moment a
# trace of the picture is left, enough to give away how bright it is on average. When we draw, though, we start from
# pure noise. That is why the first Stable Diffusion models could not draw a very dark or a very bright picture well
# (Lin et al. 2023).

# %% [markdown]
# ## Part 3 · Three models in one
#
# *25 minutes*
#
# So far we put noise on pixels. A 512×512 photo has 786,432 numbers, though, and most of them say nothing new: the
# sky is blue here, and one pixel on it is blue as well. Stable Diffusion first presses the picture into a much
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
# with their captions; the whole of it comes in Part 7.

# %%
for name in ("vae", "text_encoder", "unet"):
    model = getattr(pipe, name)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{name:13} {type(model).__name__:22} {millions:6.1f} million numbers")

# %% [markdown]
# ### The VAE: a small working space
#
# Two functions that you will need again: pictures to latents, and back. The multiplication with `scaling_factor` gives
# latents a standard deviation of about 1, so that they are as large as the noise that is added to them.


# %% locked="latents"
@torch.no_grad()
def to_latents(images):
    """Encode a list of PIL pictures: latents (n, channels, height, width), scaled for the U-Net."""
    pixels = pipe.image_processor.preprocess(images).to(pipe.device, pipe.vae.dtype)
    return pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor


@torch.no_grad()
def to_pictures(latents):
    """Decode latents (n, channels, height, width): a list of n PIL pictures."""
    pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    return pipe.image_processor.postprocess(pixels)


# %% [markdown]
# Now into the latents and out again. What comes out should look like the cat, a little softer: what the VAE loses
# here, no U-Net can ever bring back. The latents have far fewer rows and columns, and several channels; each channel
# is shown as a grey picture. You can still make out the cat in them. That is no accident: the VAE keeps things where
# they are, and so the U-Net can be a network for pictures.

# %%
latents = to_latents([cat])
print(
    f"{x0.numel():,} numbers in the picture, {latents.numel():,} in the latents: "
    f"{x0.numel() / latents.numel():.0f} times fewer. Standard deviation {latents.std():.2f}."
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
    width=100,
)

# %% [markdown]
# ### The text encoder: words as vectors
#
# The prompt is cut into **tokens** (whole words where they are common, pieces where they are not), padded to a fixed
# length, and sent through CLIP's text model. Out comes one vector for each token. These vectors know their
# neighbours: the vector at *cat* has been told about *red*. A word that the encoder has never met is spelled out in
# pieces; watch what happens to *mushroom*, it will be important in Part 8.

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
# Seen from outside, the U-Net is one function: `unet(noisy_latents, t, text_states)`. It gives a block of the same
# shape as the latents: its opinion on what in them is noise. Its name comes from its form: it shrinks the latents to
# see the whole picture, grows them again to place the details, and has direct connections between levels of the same
# size, so that nothing gets lost on the way.
#
# How does the text get in? Through **cross-attention**. Think of each spot of the picture as a reader who goes
# through the words and asks of each: *do you concern me?* The spot sends out a **query** $q$, each word holds up a
# **key** $k$, and their dot product says how well they fit. A softmax turns that into weights that sum to 1, and
# the spot takes home the words' **values** in these proportions:
#
# $$\text{weights} = \operatorname{softmax}\!\left(\frac{q \cdot k}{\sqrt d}\right)$$
#
# Let us listen to one of these layers at work. The code hooks into the layers that make queries and keys, runs the
# U-Net once on a half-noisy cat, and computes the weights from what it heard. Bright spots in a picture below are
# the spots that listen to that word.

# %%
words = pipe.tokenizer.tokenize("a large red cat, on a meadow")
attention = [module for name, module in pipe.unet.named_modules() if name.endswith("attn2")][-1]
heard = {}
hooks = [
    layer.register_forward_hook(lambda layer, inputs, output, name=name: heard.update({name: output}))
    for name, layer in (("q", attention.to_q), ("k", attention.to_k))
]
with torch.no_grad():
    half_noisy = schedule.add_noise(latents, torch.randn_like(latents), torch.tensor([400]))
    pipe.unet(half_noisy, 400, text_states)
for hook in hooks:
    hook.remove()

q, k = (heard[name].unflatten(-1, (attention.heads, -1)).transpose(1, 2) for name in ("q", "k"))
weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)  # (1, heads, spots, tokens)
weights = weights.mean(1)[0]
side = int(weights.shape[0] ** 0.5)
maps = weights[:, 1 : len(words) + 1]  # token 0 only says that a text starts
maps = maps.T.reshape(-1, side, side).float().cpu()
maps = (maps - maps.amin((1, 2), True)) / (maps.amax((1, 2), True) - maps.amin((1, 2), True))
show.gallery(
    [show.to_pil((each * 2 - 1).expand(3, -1, -1)) for each in maps],
    [word.replace("</w>", "") for word in words],
    width=90,
    alt=[f"where in the cat picture the word {word.replace('</w>', '')} is listened to" for word in words],
)

# %% [markdown]
# ## Part 4 · How it learns
#
# *40 minutes*
#
# Training a diffusion model is a guessing game, played millions of times:
#
# 1. take a picture and its caption from the training set, and make latents of the picture
# 2. roll dice for a moment $t$ and for noise $\varepsilon$, and mix them into noisy latents $x_t$ (your `add_noise`)
# 3. show the U-Net the noisy latents, $t$ and the caption, and let it guess the noise
# 4. the loss is the mean squared difference between its guess and the true noise; change the weights a little so that
#    it would have been smaller
#
# That is all. No second network as a judge, no balancing of forces: a plain regression. It works because a network
# that can tell noise from picture at every moment must know what pictures look like.
#
# Here is one round of the game with our trained U-Net, at four moments. It gets the noisy latents (left) and the
# caption; from its guess of the noise we compute what it takes for the picture behind (right). What to look for: with
# little noise it is nearly right. With much noise it can only give the *average* of all cats it could be, a blur.
# That blur is the reason why drawing takes many steps: nobody can jump from noise to a sharp picture in one go.

# %%
text_states = pipe.encode_prompt("a large red cat, on a meadow", pipe.device, 1, False)[0]
noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2)).to(latents)
rows, moments = [], (150, 450, 750, 950)
for t in moments:
    noisy = schedule.add_noise(latents, noise, torch.tensor([t]))
    with torch.no_grad():
        guess = pipe.unet(noisy, t, text_states).sample
    behind = schedule.step(guess, t, noisy).pred_original_sample
    rows.append(to_pictures(torch.cat([noisy, behind])))
columns = ["what the U-Net sees", "what it takes for the picture"]
show.grid(rows, [f"t = {t}" for t in moments], columns, alt="the red cat", width=140)

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
# Both say the same in the end: whoever knows $x_t$ and one of $\varepsilon$, $v_t$, $x_0$ can compute the other two.

# %%
print(f"Our model's prediction_type is {pipe.scheduler.config.prediction_type!r}.")

# %% [markdown]
# ### Exercise 2 · `noise_prediction_loss`
#
# *Difficulty ●●○○○ · 20 minutes · 14 points*
#
# Write steps 2 to 4 of the game up to the loss. The noise and the moments are given, so that the result can be
# compared. Use your `add_noise` with `scheduler.alphas_cumprod`.
#
# <details><summary>Hint 1: the plan</summary>
#
# Three lines of work: noisy latents; the U-Net's guess, `unet(noisy, t, text_states).sample`; the target that the
# scheduler's `prediction_type` asks for. Then `F.mse_loss(guess, target)`.
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
# moments of its last drawing, and takes the last one for any other. For training use `DDPMScheduler`, or your own
# `add_noise`, which needs nothing but `alphas_cumprod`.
# </details>


# %% exercise="noise_prediction_loss"
def noise_prediction_loss(unet, scheduler, latents, text_states, noise, t):
    """The training loss of a diffusion model: mean squared error of the U-Net's guess.

    unet: a UNet2DConditionModel.
    scheduler: has `alphas_cumprod` and `config.prediction_type`, "epsilon" or "v_prediction".
    latents: clean latents, tensor (batch, channels, height, width).
    text_states: the captions' states, tensor (batch, tokens, width).
    noise: standard normal noise with the shape of latents.
    t: LongTensor (batch,), a timestep for each.

    Returns a scalar tensor through which gradients flow to the U-Net's weights. The inputs stay as they are.
    Raises ValueError for any other prediction_type.
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


# %% tests="noise_prediction_loss" points=14
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
# Our U-Net has taken some thousands of such steps, with batches of hundreds of pictures, on one GPU; its
# [card](https://github.com/picture-this-course/picture-this/blob/main/models/diffusion/README.md) says how many. Stable
# Diffusion took hundreds of thousands, with batches of 2,048, on 256 GPUs. The step is the same.
#
# One more look at the loss. It is a mean over all moments, but the moments are not equally hard. We measure it on
# the eight pictures, moment by moment:

# %%
times, losses = list(range(20, 1000, 70)), []
for moment in times:
    batch["t"] = torch.full((8,), moment, device=pipe.device)
    with torch.no_grad():
        losses.append(noise_prediction_loss(pipe.unet, schedule, **batch).item())
figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(times, losses, marker="o")
axes.set(xlabel="t", ylabel="loss", ylim=(0, None), title="how hard is each moment?")
show.plot(figure, alt="The U-Net's loss on eight fresh pictures, plotted over the moment t.", width=520)

# %% [markdown]
# Where the loss is high, there is much to guess. On the left the latents are nearly clean, and the faint noise hides in fine
# detail. On the right next to nothing is left of the picture, and $v$ asks for just that: the caption says what to draw, but
# not where and how. In between, the caption and what is left settle almost everything. A low loss in the mean can hide a
# weakness at some moments, so look at the curve, not at one number.

# %% [markdown]
# ## Part 5 · Guidance
#
# *20 minutes*
#
# Ask the U-Net about the same noisy latents twice: once with your prompt, once with the empty prompt. The two
# answers differ only by what the words say. In training one caption in ten was replaced with the empty one, just so
# that this second question has a sensible answer.
#
# Below is that difference, spot by spot, for three prompts on the same noise. Bright is where the words have a say.

# %%
start = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5)).to(latents)
t = 800
says = []
prompts = ["a large red cat, on a meadow", "a small blue boat, on the sea", "a yellow moon, at night"]
for prompt in prompts:
    text_states, empty_states = pipe.encode_prompt(prompt, pipe.device, 1, True)
    with torch.no_grad():
        with_text = pipe.unet(start, t, text_states).sample
        without = pipe.unet(start, t, empty_states).sample
    difference = (with_text - without)[0].norm(dim=0).float().cpu()
    says.append(show.to_pil((difference / difference.max() * 2 - 1).expand(3, -1, -1)))
show.gallery(
    says,
    prompts,
    alt=[f"where in the picture the prompt '{prompt}' makes a difference" for prompt in prompts],
)

# %% [markdown]
# **Classifier-free guidance** (Ho & Salimans 2022) takes this difference and exaggerates it. (The name says what it
# does without: an earlier method needed a second network, a classifier, to pull the picture towards what was asked
# for.) Start from the answer without text and walk towards the answer with text, and then *further*:
#
# $$\hat\varepsilon = \varepsilon_\text{empty} + s\,(\varepsilon_\text{text} - \varepsilon_\text{empty})$$
#
# The number $s$ is the **guidance scale**. With 0 the prompt has no say, with 1 the answer is the one with text, as
# trained, and with 4 the step towards the text is four times as long. The same works for a model that predicts $v$:
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
# *Difficulty ●○○○○ · 5 minutes · 8 points*
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

    noise_uncond: the U-Net's answer for the empty prompt, tensor of any shape.
    noise_text: its answer for the prompt, same shape.
    scale: 0 ignores the text, 1 gives noise_text, more exaggerates the difference.

    Returns a new tensor of the same shape. The inputs stay as they are.
    """
    ### BEGIN SOLUTION
    return noise_uncond + scale * (noise_text - noise_uncond)
    ### END SOLUTION


# %% tests="guide" points=8
checks.nb01.guide(guide)

# %% [markdown]
# ## Part 6 · Out of the noise: the sampling loop
#
# *45 minutes*
#
# Everything is ready for the way back. Start from pure noise, and repeat: ask the U-Net (twice, with and without
# text), guide, take a step towards less noise. Who knows how large that step is and where exactly it leads? The
# **scheduler**. There are many of them (DDPM, DDIM, Euler, DPM-Solver++ …), and they all answer the same question:
# *given noisy latents and a guess of what is noise in them, where are we a little earlier?* Simple ones need 1,000
# steps. Clever ones, like our DPM-Solver++, remember their last guesses, draw a curve through them, and make do with 20.
#
# First watch the library's pipeline do it. We let it call us after every step, and keep two things: the noisy latents
# as they are, and the scheduler's current guess of the *finished* latents. Move the slider. Even in the first steps,
# where the left picture is nothing but noise, the guess on the right has a mood of colours; then forms; then details.

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
# *Difficulty ●●●○○ · 30 minutes · 18 points*
#
# Now write the loop yourself. Your result must be the same as the pipeline's own,
# `pipe(prompt, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator, output_type="latent").images`,
# and it must be so with *any* scheduler. Don't call the pipeline itself; use its parts:
#
# | part | what it gives |
# |---|---|
# | `pipe.encode_prompt(prompt, pipe.device, 1, True)` | text states, and the states of the empty prompt |
# | `pipe.scheduler.set_timesteps(steps)` | prepares the scheduler; then `pipe.scheduler.timesteps` is the list of moments |
# | `pipe.scheduler.init_noise_sigma` | how strong the noise at the start should be |
# | `pipe.scheduler.scale_model_input(latents, t)` | what the U-Net should see of the latents at moment t |
# | `pipe.unet(latents, t, encoder_hidden_states=states).sample` | the U-Net's answer |
# | `pipe.prepare_extra_step_kwargs(generator, 0.0)` | a dict of what else this scheduler's `step` takes: the generator, if it draws fresh noise in each step |
# | `pipe.scheduler.step(answer, t, latents, **extra).prev_sample` | the latents one step further; `extra` is that dict |
#
# The first noise has the shape `(1, in_channels, sample_size, sample_size)`; both numbers are in `pipe.unet.config`.
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
# `torch.cat` the latents with themselves and the empty states with the text states, call the U-Net once on this batch of
# two, and take its answer apart with `.chunk(2)`. What went in first comes out first.
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
# function is for; leave it there.
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

    pipe: a StableDiffusionPipeline with any scheduler.
    prompt: a string.
    steps: number of denoising steps.
    guidance_scale: 1 or more.
    generator: torch.Generator of all noise that is drawn; None draws it from torch's global one.

    Returns the final latents, tensor (1, channels, height, width), equal to what the pipeline gives for
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


# %% tests="sample_latents" points=18
checks.nb01.sample_latents(sample_latents)

# %% [markdown]
# The proof of the pudding: your latents through the VAE's decoder, four times, with different noise at the start.

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
# *Difficulty ●●○○○ · 10 minutes · 10 points*
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
# Then your function loads the model each time. `load("diffusion")` keeps what it has loaded; `from_pretrained` does not.
# </details>


# %% exercise="generate_images"
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    """Draw n pictures of a prompt with load("diffusion"), which is loaded at the first call and kept.

    prompt: a string.
    n: how many pictures.
    seed: the same seed gives the same pictures; the n pictures differ from each other.
    steps, guidance_scale: as in sample_latents.

    Returns a list of n PIL images.
    """
    ### BEGIN SOLUTION
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    drawn = load("diffusion")(
        [prompt] * n, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generators
    )
    return drawn.images
    ### END SOLUTION


# %% tests="generate_images" points=10
checks.nb01.generate_images(generate_images)

# %% [markdown]
# ### Steps × guidance
#
# Two knobs, one seed. Each row has a number of steps, each column a guidance scale. Before you look, guess: where in
# the table are the pictures that ignore the prompt? Where are the ones with burnt colours?

# %%
prompt = "a small purple rocket above a large green tree, at night"
steps, scales = (1, 3, 8, 25), (1.0, 2.0, 4.0, 10.0)
table = [[generate_images(prompt, seed=11, steps=n, guidance_scale=scale)[0] for scale in scales] for n in steps]
show.grid(
    table,
    [f"{n} steps" if n > 1 else "1 step" for n in steps],
    [f"guidance {scale:g}" for scale in scales],
    alt=prompt,
)

# %% [markdown]
# With few steps the picture is a blur: one big stride from noise lands at the average of all pictures that would fit.
# With guidance 1 the prompt is a suggestion; far beyond 4 colours and edges get harsh, because guidance pushes the
# latents to places where no real picture lives. Change the prompt and the seed above, and see whether it holds.

# %% [markdown]
# ### A score for pictures
#
# "Looks good" is no measurement. CLIP gives us one. It was trained to place pictures and texts as points in one common
# space, with a picture near its own caption. The **CLIP score** of a picture is the cosine of the angle between its
# point and the prompt's: near 1 they agree. Here are three pictures against three captions. The largest number
# of each column should be on the diagonal.

# %%
rng = Random(3)
scenes = [random_scene(rng, things=1) for _ in range(3)]
captions = [describe(scene, rng) for scene in scenes]
pictures = [draw(scene, size=size) for scene in scenes]
show.gallery(pictures, captions)
for caption, row in zip(captions, clip.similarity(captions, pictures)):
    print("  ".join(f"{score:5.2f}" for score in row), " ", caption)

# %% [markdown]
# ### Exercise 6 · `steps_sweep`
#
# *Difficulty ●●○○○ · 15 minutes · 10 points*
#
# How many steps are enough? Draw the prompt with each number of steps and look at the CLIP score. For a fair
# comparison all pictures start from the same noise.
#
# <details><summary>Hint: from table to number</summary>
#
# `clip.similarity([prompt], [picture])` is a table with one row and one column. `float(table[0, 0])` takes the number out.
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

    prompt: a string.
    steps: the numbers of steps to try, for example [1, 2, 4, 8].
    seed: every picture starts from the noise of this seed; guidance is 4.0.

    Returns a dict: number of steps → CLIP score (a float) of the one picture drawn with it, in the
    order of steps. The pipeline is load("diffusion"), which is loaded once.
    """
    ### BEGIN SOLUTION
    pictures = [generate_images(prompt, seed=seed, steps=n)[0] for n in steps]
    scores = clip.similarity([prompt], pictures)[0]
    return {n: float(score) for n, score in zip(steps, scores)}
    ### END SOLUTION


# %% tests="steps_sweep" points=10
checks.nb01.steps_sweep(steps_sweep)

# %% [markdown]
# Now the plot. One seed can be lucky, so we take the mean over a few, for two prompts. Look for the bend: from there on
# more steps cost time and give nothing.

# %%
numbers = [1, 2, 4, 8, 16]
figure, axes = plt.subplots(figsize=(6, 3.2))
for prompt in ("a large red cat, on a meadow", "a small yellow star above a large blue house, in the snow"):
    sweeps = [steps_sweep(prompt, numbers, seed=seed) for seed in range(2)]
    means = [sum(sweep[n] for sweep in sweeps) / len(sweeps) for n in numbers]
    axes.plot(numbers, means, marker="o", label=prompt)
axes.set(xlabel="steps", ylabel="CLIP score, mean of 2 seeds", title="how many steps are enough?")
axes.legend(fontsize=8)
show.plot(
    figure,
    alt="CLIP score over the number of steps for two prompts: both curves rise steeply for the first "
    "steps and then stay level.",
    width=520,
)

# %% [markdown]
# ## Part 8 · Teach it something new
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
# mushroom, because nothing tells the weights to keep what they knew. And the result would be a second copy of the whole
# model.
#
# **LoRA** (low-rank adaptation, Hu et al. 2021) leaves every weight matrix $W$ as it is and puts a small detour next
# to it:
#
# $$W x \;+\; B\,A\,x$$
#
# $A$ squeezes the input down to a few numbers (the **rank** $r$, here 8), $B$ spreads them out again. Only $A$ and $B$
# are trained. $B$ starts as all zeros, so at first the detour adds nothing and the model draws exactly as before. Afterwards
# the adapter is a small file of its own: switch it on and there are mushrooms; switch it off and you have the old
# model back, to the last bit.

# %%
rows, columns = attention.to_k.weight.shape
rank = 8
print(f"One attention matrix has {rows} × {columns} = {rows * columns:,} weights.")
print(f"Its detour of rank {rank} has {rank} × {columns} + {rows} × {rank} = {rank * (rows + columns):,}.")

# %% [markdown]
# **And forgetting?** A detour can be strong too. With long training it will pull other prompts along: a cat
# may get a mushroom's body. The remedy of DreamBooth (Ruiz et al. 2023) is simple. Let the model draw some *old* pictures before the
# training starts, and mix them, with their prompts, into every batch: *learn the mushroom, and keep drawing these as
# you do.* This is called **prior preservation**.
#
# ### Exercise 7 · `fine_tune`
#
# *Difficulty ●●●●○ · 45 minutes · 18 points*
#
# Write the whole fine-tuning. It is graded by what the tuned model draws (the check brings another new thing than
# mushrooms), by what it still remembers (are cats still cats, drawn with the same seeds as before?), and by whether the old
# model comes back when the adapter is taken off. Forty steps are enough: about 20 seconds on two CPU cores. (The grader
# stops a cell after 300 seconds, training and test drawings together.)
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
# The names in `targets` end the names of the layers that get a detour. The first four are those of the attention, where LoRA
# began. A shape that the model has never drawn comes out clean only when the convolutions learn it, too.
#
# Keep `lora_alpha` equal to `r`. The detour is multiplied by `lora_alpha / r`, and the state dict does not carry that number.
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. Freeze the U-Net: `pipe.unet.requires_grad_(False)`. Then `add_adapter`, whose weights are trainable.
# 2. Once, before the loop: latents of the pictures, text states of the prompt; let the model draw old pictures
#    (`output_type="latent"` saves you the way through the VAE) and encode their prompts.
# 3. `torch.optim.AdamW` over the parameters with `requires_grad`, learning rate about 2e-3.
# 4. `max_steps` times: choose some new and some old ones, roll noise and t, `noise_prediction_loss`, `backward`, `step`,
#    `zero_grad`.
# </details>
#
# <details><summary>Hint 2: which scheduler?</summary>
#
# The loss needs `alphas_cumprod` and the `prediction_type`. `DDPMScheduler.from_config(pipe.scheduler.config)` has both.
# </details>
#
# <details><summary>Hint 3: what makes good old pictures?</summary>
#
# Prompts from all over the world it knows: `describe(random_scene(rng), rng)` makes as many as you like. Half a dozen is
# enough here. Draw them *before* `add_adapter`, by the model as it was.
# </details>
#
# <details><summary>Help: "Adapter with name … already exists" when I run the cell again</summary>
#
# The adapter of your last run is still in the pipeline. Begin with `pipe.unload_lora_weights()`.
# </details>
#
# <details><summary>Help: the loss does not fall at all</summary>
#
# Does the optimizer hold the adapter's parameters? If you made it before `add_adapter`, it holds none of them. Do you call
# `optimizer.zero_grad()` in each step? And expect a bumpy curve: each step rolls another $t$, and moments are not
# equally hard (Part 4).
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

    pipe: a StableDiffusionPipeline. Its own weights stay as they are. Afterwards the adapter is loaded
        in its U-Net, under any name, and switched on; pipe.disable_lora() switches it off,
        pipe.unload_lora_weights() removes it.
    images: PIL pictures of the new thing.
    prompt: the text that should draw it, one for all pictures.
    max_steps: at most so many steps of the optimizer.
    batch_size: pictures in each step, new and old together.
    learning_rate: the optimizer's.
    seed: the same seed gives the same adapter.

    Returns the adapter's state dict: names that start with "unet." → tensors, as
    pipe.load_lora_weights takes it.
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
# Try it on the mushrooms. The tuned model should draw red caps with white dots on a pale stem, and still know its cats. The
# first row is the old model, the second the tuned one; same seeds.

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

# %% tests="fine_tune" points=18
checks.nb01.fine_tune(fine_tune)

# %% [markdown]
# ## Part 9 · Two questions, flashcards, going further
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
# - 1 point: names what happens to the fit to the prompt (poor at 1, good at 4, hardly better or worse at 20)
# - 1 point: names what happens to variety (falls as the scale grows)
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
# answers, to a point the network never gave in training. The latents leave the range of real pictures: burnt colours,
# hard edges, ten nearly equal pictures, and no better fit.
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
# The loss asks only for the dog; every weight that helped with other things may drift. She should keep a list of old
# prompts with fixed seeds, draw them with the model before and after, and compare a score, such as CLIP's for prompt and
# picture, beside the pictures themselves. She should also try her dog in new places: if all pictures show the sofa of
# the training photos, the model has learned these photos by heart. To lose less she can train a LoRA adapter with few
# steps in place of all weights, and mix pictures that the old model drew into each batch (prior preservation).
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Twelve cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget; importing it twice does not double your cards.

# %%
cards = flashcards.find("01_diffusion_basics")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "diffusion_basics.apkg")
print("Wrote diffusion_basics.apkg; open it with Anki.")

# %% [markdown]
# ### Going further
#
# - **Negative prompts.** The pipeline takes `negative_prompt="…"`, which simply stands where the empty prompt stood.
#   Look at `guide` and say what that does before you try it.
# - **Picture to picture.** Don't start from pure noise: encode a picture, `add_noise` up to t = 600, and run the rest of
#   your loop with another prompt. You have built img2img.
# - **The road between two seeds.** Mix two first noises with `torch.lerp`, draw, and find out why the pictures in the
#   middle look washed out. Then rescale the mix to standard deviation 1.
# - **Combine.** Does your tuned model know "a mushroom, on mars"? "Two mushrooms"? Why is that harder than a mushroom?
# - **Fewer weights.** Lower the LoRA rank to 4, 2, 1. From which rank on is the mushroom no longer a mushroom?
# - **Fewer places.** Put detours into the attention alone, as in the original paper. Which new shapes can it still learn?
# - **The real thing.** With a GPU set `COURSE_PROFILE=full`, restart, and run this notebook with Stable Diffusion 1.5.
#   The code stays the same.
#
# ### References
#
# - Sohl-Dickstein et al. 2015, *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, [arXiv:1503.03585](https://arxiv.org/abs/1503.03585): the idea
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv:2006.11239](https://arxiv.org/abs/2006.11239): `add_noise` is equation 4
# - Rombach et al. 2022, *High-Resolution Image Synthesis with Latent Diffusion Models*, [arXiv:2112.10752](https://arxiv.org/abs/2112.10752): Stable Diffusion
# - Salimans & Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*, [arXiv:2202.00512](https://arxiv.org/abs/2202.00512): v-prediction
# - Ho & Salimans 2022, *Classifier-Free Diffusion Guidance*, [arXiv:2207.12598](https://arxiv.org/abs/2207.12598)
# - Lu et al. 2022, *DPM-Solver++*, [arXiv:2211.01095](https://arxiv.org/abs/2211.01095): our scheduler
# - Lin et al. 2023, *Common Diffusion Noise Schedules and Sample Steps are Flawed*, [arXiv:2305.08891](https://arxiv.org/abs/2305.08891)
# - Radford et al. 2021, *Learning Transferable Visual Models From Natural Language Supervision*, [arXiv:2103.00020](https://arxiv.org/abs/2103.00020): CLIP
# - Hu et al. 2021, *LoRA: Low-Rank Adaptation of Large Language Models*, [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# - Ruiz et al. 2023, *DreamBooth*, [arXiv:2208.12242](https://arxiv.org/abs/2208.12242): prior preservation
