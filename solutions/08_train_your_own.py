# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Train your own
#
# Every picture in this course so far came from a model that somebody else had trained. In this bonus notebook you train one
# yourself, **from nothing**: random weights go in, and a few minutes later the model draws *a red car* or *a blue ball*
# when you ask for one. On this laptop, without a graphics card, in less than ten minutes.
#
# That is possible because the world is small (32 × 32 pixels, four kinds of things, four colours) and because the method is
# simpler than the diffusion of notebook 01. It is called **flow matching**, and large picture models such as Stable
# Diffusion 3 and FLUX are trained with it. Your network is of their kind as well, a small **diffusion transformer**. The
# method is first tried on points in the plane, where you can see everything.
#
# **When you are done, you can**
#
# - walk from noise to data on a straight line, and say what a network learns there
# - write the loss of flow matching, and say why it never reaches zero
# - write a training loop with warm-up, decay and a clock, that gives the same result for the same seed
# - sample with Euler steps, and explain what one step, eight and fifty steps give
# - make guidance out of any model in four lines
# - cut pictures into tokens and join them again, and say what a diffusion transformer does with them
# - report a result so that others can check it
#
# **What you need**: PyTorch (modules, optimizers), notebook 01 (noise, guidance) and notebook 02 (patches, attention).
# No GPU, no network, no keys. This notebook is a bonus: nothing else depends on it.

# %% [markdown]
# | part | minutes | points |
# |---|---|---|
# | 1 A straight line from noise to data | 45 | 22 |
# | 2 Train it | 45 | 22 |
# | 3 Follow the arrows | 30 | 14 |
# | 4 Guidance | 25 | 12 |
# | 5 A transformer on patches | 40 | 20 |
# | 6 From nothing | 20 | |
# | 7 Fewer steps, more guidance | 20 | |
# | 8 An honest gallery | 15 | |
# | 9 Two questions, flashcards, going further | 30 | 10 |
#
# **How the exercises work.** Each is a function with a docstring that says what it must do. Put your code in place of
# the line `raise NotImplementedError(…)`. The cell below it tries your function in several cases, lists which of them
# passed and what each is worth, and explains in a sentence what is wrong. The points are decided by the same cases on other
# inputs. Every exercise has hints that unfold, and ● to ●●●●● shows how hard it is. If you are stuck on one,
# `checks.borrow("interpolate")` lends you the course's own version of it, which earns no points.
#
# Take the parts in order: the loss calls `interpolate`, `train` calls the loss, and Part 6 needs all seven functions.

# %% [markdown]
# ### Do you remember?
#
# Three questions about notebooks 01 and 02. Answer each aloud before you unfold it.
#
# <details><summary>1. In notebook 01, what does the network get, and what does it learn to predict?</summary>
#
# A noisy picture (or its latents), the timestep and the text. It predicts the noise in it, or a mixture of noise and
# picture, the velocity, depending on `prediction_type`. The loss is the mean squared error.
# </details>
#
# <details><summary>2. Classifier-free guidance needs a model that can do two things. Which?</summary>
#
# Predict with the text and without it. So in training the text is left out now and then. At sampling the difference of the
# two predictions is what the text adds, and a scale above 1 exaggerates it.
# </details>
#
# <details><summary>3. A transformer gets 64 patches as a bag of vectors. How does it know which one is the top left?</summary>
#
# By a position vector that is added to each patch, a different one for each place, learned like everything else.
# </details>

# %% [markdown]
# ## Set-up
#
# One cell fetches the course if it is missing, and one loads what the notebook uses. `helpers` is the course's small
# library, made to be read: `speedrun.DiT??` in a cell shows the code of that class.

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
import math
import time

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from helpers import checks, flashcards, show, speedrun, widgets
from helpers.ready import ready_to_hand_in
from helpers.settings import settings

print(f"torch {torch.__version__}, {speedrun.choose_threads()} thread(s): the faster of all and one, just measured.")


MOON_COLOURS = ("tab:blue", "tab:orange")


def scatter(axes, points, colour="tab:blue", size=4):
    """Draw points of the plane."""
    axes.scatter(*points.T, s=size, c=colour, alpha=0.6, linewidths=0)
    axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    axes.tick_params(labelsize=7)


# %% [markdown]
# ## Part 1 · A straight line from noise to data
#
# *45 minutes*
#
# A model that draws has to turn noise into pictures. So there are two clouds of points: the *noise*, from which we can take
# as many samples as we like, and the *data*, of which we have some. A picture of 32 × 32 pixels is a point with 3,072
# coordinates, which nobody can see. So we begin with points that have two. Our data are two half circles, the **two
# moons**, an old test for methods that learn shapes:

# %%
noise = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
data, moon = speedrun.moons(2000, torch.Generator().manual_seed(1))

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
scatter(left, noise, "grey")
scatter(right, data, [MOON_COLOURS[each] for each in moon])
left.set_title("noise, t = 0")
right.set_title("data, t = 1")
show.plot(
    figure,
    alt="Left, noise: a round cloud of grey points, densest in the middle. Right, the data: two interleaved half circles, "
    "a blue one that is open below and an orange one that is open above.",
)

# %% [markdown]
# Diffusion leads from the data to the noise along a curve, with a noise schedule, square roots, a thousand timesteps.
# **Flow matching** (Lipman et al. 2023, Liu et al. 2023) takes the simplest way there is. Draw a noise point $x_0$ and a data
# point $x_1$, and join them by a **straight line**. The time $t$ runs from 0 (noise) to 1 (data). Mind the direction: in
# notebook 01 it was the other way round.
#
# $$x_t = (1 - t)\,x_0 + t\,x_1$$
#
# ### Exercise 1 · `interpolate`
#
# *Difficulty ●○○○○ · 10 minutes · 8 points*
#
# Write that line. In training each sample of a batch gets its own time, so `t` can be a number or a tensor with one time for
# each sample. The samples may be points `(batch, 2)`, pictures `(batch, 3, height, width)`, or anything else.
#
# <details><summary>Hint 1: any number of axes</summary>
#
# As with `add_noise` in notebook 01, a tensor of times has to be reshaped to `(batch, 1, 1, …)` before it meets the samples.
# `x0.ndim` is the number of axes, and `[1] * (x0.ndim - 1)` a list of that many ones, less one.
# </details>
#
# <details><summary>Hint 2: half precision</summary>
#
# float32 times and float16 samples give a float32 result. `t.to(x0.dtype)` keeps the samples' own precision.
# </details>


# %% exercise="interpolate"
def interpolate(x0, x1, t):
    """Return the point at time t on the straight line from noise to data.

    Args:
        x0: noise, tensor (batch, …) of any shape.
        x1: data, same shape.
        t: the time, from 0 (noise) to 1 (data); a number for all samples, or a tensor (batch,) with one for each.

    Returns:
        x_t, with the shape and dtype of x0. The inputs stay as they are.
    """
    ### BEGIN SOLUTION
    if torch.is_tensor(t) and t.ndim:
        t = t.to(x0.dtype).reshape(-1, *[1] * (x0.ndim - 1))
    return (1 - t) * x0 + t * x1
    ### END SOLUTION


# %% tests="interpolate" points=8
checks.nb08.interpolate(interpolate)

# %% [markdown]
# Forty lines, and the two clouds on the way into each other. What to look for: the lines **cross**. Near the middle there are
# places through which many lines go, in all directions. Remember them, they will explain most of what follows.

# %%
figure, axes = plt.subplots(1, 5, figsize=(15, 3.2))
for start, end in zip(noise[:40], data[:40]):
    axes[0].plot(*torch.stack([start, end]).T, color="grey", linewidth=0.6)
scatter(axes[0], noise[:40], "black", 12)
scatter(axes[0], data[:40], "tab:red", 12)
axes[0].set_title("40 lines, black to red", fontsize=10)
for panel, t in zip(axes[1:], (0, 0.4, 0.8, 1)):
    scatter(panel, interpolate(noise, data, t))
    panel.set_title(f"t = {t}", fontsize=10)
show.plot(
    figure,
    alt="Far left: 40 straight lines from noise points to data points; they cross each other, mostly in the middle. To the "
    "right: 2,000 points at four times between 0 and 1; the round cloud splits into two moons, first blurred, then sharp.",
    width=900,
)

# %% [markdown]
# The same formula works for pictures. The world of this notebook is a corner of the picture book: a car, tree, box or
# ball, in red, yellow, green or blue, on a meadow or in the desert, at one of eight spots: 256 different pictures, each of
# 3,072 numbers.

# %%
drawings, conditions = speedrun.draw_scenes(5, seed=17)
pixels = speedrun.to_pixels(drawings)
pictured_noise = torch.randn(pixels[:1].shape, generator=torch.Generator().manual_seed(0))
times = (0, 0.25, 0.5, 0.75, 1)
way = [interpolate(pictured_noise, pixels[:1], t)[0] for t in times]


def enlarged(x, side=128):
    """Pictures as PIL images with large pixels."""
    return [image.resize((side, side), resample=0) for image in speedrun.to_images(x)]


show.gallery(
    enlarged(pixels),
    [speedrun.words(each) for each in conditions],
    alt=[f"a drawing of 32 by 32 pixels: a {speedrun.words(each)}" for each in conditions],
    width=128,
)
show.gallery(
    enlarged(torch.stack(way)),
    [f"t = {t}" for t in times],
    alt=[f"the drawing of a {speedrun.words(conditions[0])} mixed with noise, at time {t}" for t in times],
    width=128,
)

# %% [markdown]
# **What is there to learn?** Somebody who walks along such a line has a constant **velocity**. She covers the whole way in
# one unit of time, so her velocity is
#
# $$v = x_1 - x_0$$
#
# While we train, we know it, because we know both ends. When we draw, we don't: there is only a point, somewhere between
# noise and data, and a time. So a network has to *guess the velocity from the point and the time*:
#
# $$\mathcal L = \mathbb E\;\big\lVert\, f(x_t, t) - (x_1 - x_0) \,\big\rVert^2$$
#
# That is all. No schedule, no weighting, no ᾱ. And what does the network learn where many lines cross? A squared error is
# smallest for the **mean**, so there it learns the mean of all velocities that pass through the point at that time. The mean
# of many straight lines is a curved stream. Those streams don't cross any more, and that they carry the whole cloud of noise
# into the cloud of data is the theorem on which the method rests.
#
# ### Exercise 2 · `flow_matching_loss`
#
# *Difficulty ●●○○○ · 15 minutes · 14 points*
#
# Write the loss. All models in this notebook are called the same way, `model(x, t, condition)`: points or pictures, a
# tensor of times `(batch,)`, and what the picture should show (None if that is left open).
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. the points on the way, with your `interpolate`
# 2. what the model says about them: pass it the points, the times as they came, and the condition
# 3. the mean squared difference between that and `x1 - x0`: `F.mse_loss`
# </details>
#
# <details><summary>Help: "element 0 of tensors does not require grad"</summary>
#
# The loss must stay connected with the model's weights. `.item()`, `.detach()` or `torch.no_grad()` cut the connection.
# </details>


# %% exercise="flow_matching_loss"
def flow_matching_loss(model, x1, condition, *, x0, t):
    """Return the loss of flow matching (Lipman et al. 2023): how wrong the model is about the velocity.

    Args:
        model: a function (x, t, condition) that returns a velocity of the shape of x.
        x1: data, tensor (batch, …).
        condition: what the data show, passed on to the model; None for no condition.
        x0: noise, like x1.
        t: times from 0 to 1, tensor (batch,).

    Returns:
        A scalar tensor: the mean squared error of the model's velocity on the lines from x0 to x1, at the times t.
    """
    ### BEGIN SOLUTION
    return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x1 - x0)
    ### END SOLUTION


# %% tests="flow_matching_loss" points=14
checks.nb08.flow_matching_loss(flow_matching_loss)

# %% [markdown]
# ## Part 2 · Train it
#
# *45 minutes*
#
# Now a loop that makes the loss small. You have written `train_head` in notebook 02 and `fine_tune` in notebook 01, so you
# know its core: draw a batch, compute the loss, step. This one is meant to become *yours*: it will train a model from
# nothing, on a computer whose speed nobody knows, and others should be able to repeat what you did. So it differs in
# three points.
#
# **A clock in place of a number of steps.** It trains for so many seconds, whatever the computer. How far it is (`done`, from
# 0 to 1) is the share of the time that has passed.
#
# **A learning rate that rises and falls.** Big steps bring a network near a good place fast, but only small ones let it settle
# there. So the learning rate climbs during the first few per cent of the time (the **warm-up**, while Adam has not yet
# measured how large gradients are), and then sinks to zero until the end, along half a cosine:

# %%
done = torch.linspace(0, 1, 200)
rate = 2e-3 * (done / 0.05).clamp(max=1) * (1 + torch.cos(math.pi * done)) / 2
figure, axes = plt.subplots(figsize=(6, 2.4))
axes.plot(done, rate)
axes.set(xlabel="share of the time that has passed", ylabel="learning rate")
show.plot(
    figure,
    alt="The learning rate over the time: it rises in the first 5 % to nearly 0.002, then falls to 0 like a wave.",
    width=520,
)

# %% [markdown]
# **The condition is left out now and then.** For guidance (Part 4) the model must know the velocity with and without a
# condition. So about one batch in ten is learned with the condition None.
#
# ### Exercise 3 · `train`
#
# *Difficulty ●●●●○ · 35 minutes · 22 points*
#
# Write the loop. `draw_batch()` returns the next batch, `(x1, condition)`. Everything else that is random (noise, times, which
# batches lose their condition) comes from a `torch.Generator` with the given seed, so that the same seed always gives the
# same numbers.
#
# Which times? Evenly spread ones are fine for the moons. For pictures more of the work is in the middle of the way: at the
# start everything is noise and only the mean is left to guess, at the end little is left to do. Stable Diffusion 3 draws a
# normal number and squeezes it into 0 … 1 with a sigmoid: `torch.sigmoid(torch.randn(…))` (Esser et al. 2024).
#
# <details><summary>Hint 1: the plan</summary>
#
# 1. a generator with the seed, an optimizer (AdamW; 2e-3 is a good largest learning rate), the time at the start
# 2. while the time is not over: how much of it has passed? Set `group["lr"]` for each `group` of `optimizer.param_groups`
# 3. draw a batch; draw noise of its shape and a time for each sample, both with `generator=generator`
# 4. in one batch of ten, replace the condition by None
# 5. the loss, the gradients, the step; keep `loss.item()`
# </details>
#
# <details><summary>Hint 2: the clock</summary>
#
# `time.perf_counter()` counts seconds from some moment in the past. Take it once before the loop, and compare.
# `time.process_time()` would not do: it counts only while this program computes.
# </details>
#
# <details><summary>Hint 3: one in ten</summary>
#
# `torch.rand((), generator=generator) < 0.1` is true for about one number in ten.
# </details>
#
# <details><summary>Help: the loss becomes NaN, or jumps</summary>
#
# Then some step was too large. `torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)` between `backward` and `step`
# shortens gradients that are longer than 1. And is the learning rate really small in the first steps?
# </details>


# %% exercise="train"
def train(model, draw_batch, *, seconds, seed):
    """Train a model with flow matching for a given time.

    The learning rate warms up and then decays to 0 at the end of the time. About one batch in ten is learned without its
    condition.

    Args:
        model: a torch module, called as model(x, t, condition); it is trained in place.
        draw_batch: a function without arguments that returns the next batch: data (batch, …) and their conditions.
        seconds: how long to train, by time.perf_counter(); no batch is drawn after that.
        seed: of the generator of noise, times and left-out conditions. torch's global generator stays as it is.

    Returns:
        (model, losses): the trained model, and a list with the loss of each batch, floats.
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.01)
    start, losses = time.perf_counter(), []
    while (done := (time.perf_counter() - start) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, done / 0.05) * (1 + math.cos(math.pi * done)) / 2
        x1, condition = draw_batch()
        x0 = torch.randn(x1.shape, generator=generator)
        t = torch.sigmoid(torch.randn(len(x1), generator=generator))
        if torch.rand((), generator=generator) < 0.1:
            condition = None
        loss = flow_matching_loss(model, x1, condition, x0=x0, t=t)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model, losses
    ### END SOLUTION


# %% tests="train" points=22
checks.nb08.train(train)

# %% [markdown]
# Your loop on the two moons, for a few seconds. The network, `speedrun.PointNet`, has three hidden layers. (A grader or a
# test machine can shorten all trainings with `COURSE_LONGEST_TRAINING`. Unless you set it, `training_seconds` returns the
# number that you give it.)

# %%
torch.manual_seed(0)
points = speedrun.PointNet()
seconds = settings.training_seconds(12)
points, losses = train(points, speedrun.moon_batches(256, seed=0), seconds=seconds, seed=0)
smooth = torch.tensor(losses)[: len(losses) // 20 * 20].reshape(-1, 20).mean(1)
figure, axes = plt.subplots(figsize=(6, 2.6))
axes.plot([20 * i for i in range(len(smooth))], smooth)
axes.set(xlabel="batch", ylabel="loss", ylim=(0, None))
show.plot(
    figure,
    alt=f"The loss over {len(losses):,} batches, in means of 20: it falls fast at first and then stays near {smooth[-1]:.2f}.",
    width=520,
)
print(f"{len(losses):,} batches in {seconds:.0f} s; the loss at the end is {smooth[-1]:.2f}.")

# %% [markdown]
# It falls, and then it stays far above zero. Training longer will not change that, nor will a larger network. Where lines
# cross, one point has many velocities, and whatever the network answers, it is wrong about most of them. What the loss
# can't get rid of is the *spread* of the velocities around their mean. So don't judge a flow model by how near to zero its
# loss is. Compare it with the loss of another model on the same data, or look at what it draws.
#
# And this is what it has learned: a **vector field**, an arrow at every point, at every time. (Here without a condition, so
# both moons are meant.) Go through the panels from left to right. At $t = 0$ nothing is decided and the arrows point
# roughly to the middle. Later they part: each place has its moon.

# %%
grid = torch.stack(
    torch.meshgrid(torch.linspace(-2.7, 2.7, 16), torch.linspace(-2.7, 2.7, 16), indexing="xy"), -1
).reshape(-1, 2)
figure, axes = plt.subplots(1, 4, figsize=(15, 3.9))
for panel, t in zip(axes, (0.0, 0.4, 0.7, 0.95)):
    with torch.no_grad():
        arrows = points(grid, torch.full((len(grid),), t), None)
    scatter(panel, interpolate(noise, data, t), "lightsteelblue", 3)
    panel.quiver(*grid.T, *arrows.T, angles="xy", scale=45, width=0.005)
    panel.set_title(f"t = {t}")
show.plot(
    figure,
    alt="The learned vector field at four times, as arrows on a grid of 16 by 16, over the cloud of points at that time. At "
    "t = 0 all arrows point to the middle; towards t = 1 they point to the nearer of the two moons.",
    width=900,
)

# %% [markdown]
# ## Part 3 · Follow the arrows
#
# *30 minutes*
#
# With the field in hand, drawing a sample needs no new idea: start at a random point, and let yourself be carried. In
# mathematics this is an **ordinary differential equation**, $\frac{dx}{dt} = f(x, t)$. The simplest way of solving one is
# **Euler's**: look at the arrow where you are, walk along it for a short time, look again. With $n$ steps each lasts $1/n$:
#
# $$x \leftarrow x + \tfrac1n\, f(x, t), \qquad t = 0, \tfrac1n, \tfrac2n, \dots, \tfrac{n-1}{n}$$
#
# ### Exercise 4 · `euler_sample`
#
# *Difficulty ●●○○○ · 15 minutes · 14 points*
#
# Write this loop, for any model and any shape of `x0`.
#
# <details><summary>Hint 1: the time</summary>
#
# The model wants a tensor with one time per sample: `torch.full((len(x),), i / steps)`. The first is 0. The last is *not* 1:
# at $t = 1$ the way is over, and no step starts there.
# </details>
#
# <details><summary>Hint 2: what must stay as it is</summary>
#
# `x = x + …` makes a new tensor, `x += …` changes the noise that the caller gave you.
# </details>
#
# <details><summary>Help: memory grows with every step</summary>
#
# torch remembers each step for a backward pass that will never come. `@torch.no_grad()` above the function switches that
# off.
# </details>


# %% exercise="euler_sample"
def euler_sample(model, x0, condition, steps):
    """Draw samples: follow the model's velocity from noise to data in equal Euler steps.

    Args:
        model: a function (x, t, condition) that returns a velocity; t is a tensor (batch,).
        x0: noise, tensor (batch, …); it stays as it is.
        condition: passed on to the model; None for no condition.
        steps: the number of steps, at least 1.

    Returns:
        x at t = 1, without gradients.

    Raises:
        ValueError: steps is below 1.
    """
    ### BEGIN SOLUTION
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    x = x0
    with torch.no_grad():
        for i in range(steps):
            t = torch.full((len(x),), i / steps, dtype=x.dtype, device=x.device)
            x = x + model(x, t, condition) / steps
    return x
    ### END SOLUTION


# %% tests="euler_sample" points=14
checks.nb08.euler_sample(euler_sample)

# %% [markdown]
# The same 2,000 noise points, with 1, 2, 8 and 50 steps. Each point is told at random which moon it should go to (the
# condition, blue or orange). Below each panel: how many points end up on a moon, as near to real data as 99 of 100 fresh real
# points are.

# %%
real, _ = speedrun.moons(4000, torch.Generator().manual_seed(2))


def on_a_moon(samples):
    """The share of points that are as near to real ones as 99 of 100 fresh real points are."""
    fresh, _ = speedrun.moons(1000, torch.Generator().manual_seed(3))
    limit = torch.cdist(fresh, real).amin(1).quantile(0.99)
    return (torch.cdist(samples, real).amin(1) <= limit).float().mean().item()


counts = (1, 2, 8, 50)
drawn = {steps: euler_sample(points, noise, moon, steps) for steps in counts}
figure, axes = plt.subplots(1, 4, figsize=(15, 3.9))
for panel, steps in zip(axes, counts):
    scatter(panel, drawn[steps], [MOON_COLOURS[each] for each in moon])
    panel.set_title(f"{steps} step{'s' * (steps > 1)}")
    panel.set_xlabel(f"{on_a_moon(drawn[steps]):.0%} on a moon")
shares = ", ".join(f"{steps}: {on_a_moon(drawn[steps]):.0%}" for steps in counts)
show.plot(
    figure,
    alt="Samples drawn with 1, 2, 8 and 50 Euler steps. One step: two small blobs, each inside the curve of its moon. Two: "
    f"bent smears. With 8 steps two moons, with 50 sharper ones. Share of points on a moon by steps: {shares}.",
    width=900,
)

# %% [markdown]
# **One step lands in the middle.** At $t = 0$ the network can't know where on its moon a point is going, so its arrow leads to
# the mean of that moon. It lies inside the curve, where there are no data at all. A picture model with one step does the
# same: it draws the mean of all pictures that fit. That is the blur you saw in notebook 01. Each further step corrects
# the direction once.
#
# To see why so many corrections are needed, look at the ways that points take with 50 steps. The lines of Part 1 were
# straight. Some of these bend:

# %%
path = [noise[:60]]
for i in range(50):
    with torch.no_grad():
        path.append(path[-1] + points(path[-1], torch.full((60,), i / 50), moon[:60]) / 50)
path = torch.stack(path)
figure, axes = plt.subplots(figsize=(5, 5))
scatter(axes, data, "lightsteelblue", 3)
axes.plot(path[:, :, 0], path[:, :, 1], color="grey", linewidth=0.7)
scatter(axes, path[0], "black", 10)
scatter(axes, path[-1], "tab:red", 10)
show.plot(
    figure,
    alt="The ways of 60 points from the noise (black) to the moons (red) in 50 steps. They head for the inside of their moon "
    "at first and then bend towards a place on it.",
    width=420,
)
straight = (path[-1] - path[0]).norm(dim=-1) / (path[1:] - path[:-1]).norm(dim=-1).sum(0)
print(f"On average, the straight distance is {straight.mean():.0%} of the way that a point has taken.")

# %% [markdown]
# If the ways were straight, one step would do. That is the idea of **rectified flow** (Liu et al. 2023): sample many pairs of
# noise and result with the trained model, join each pair by a new straight line, and train again. The new lines hardly
# cross, so the new ways are straighter. *InstaFlow* made a one-step model of Stable Diffusion that way (Liu et al. 2024).
# In "going further" you can try it on the moons.

# %% [markdown]
# ## Part 4 · Guidance
#
# *25 minutes*
#
# So far we got a point of any moon. With the condition, the network draws the moon that we ask for: 0 is the upper one, 1
# the lower one. It has also learned the velocity *without* a condition, so notebook 01's guidance is possible. The formula is the
# same, with velocities in place of noise:
#
# $$v = v_\varnothing + s\,(v_\text{condition} - v_\varnothing)$$
#
# ### Exercise 5 · `guided`
#
# *Difficulty ●●○○○ · 10 minutes · 12 points*
#
# In notebook 01 guidance sat inside the sampling loop. Here is a neater way: a function that takes a model and returns
# **another model**, called in the same way, whose velocity is the guided one. Then `euler_sample(guided(model, 2), …)`
# needs no change at all.
#
# <details><summary>Hint 1: a function that returns a function</summary>
#
# ```python
# def louder(model):
#     def velocity(x, t, condition):
#         return 2 * model(x, t, condition)
#
#     return velocity
# ```
# </details>
#
# <details><summary>Hint 2: the condition None</summary>
#
# Without a condition both velocities are the same one, and the formula gives that.
# </details>


# %% exercise="guided"
def guided(model, scale):
    """Make a guided model of a model (classifier-free guidance, Ho & Salimans 2022).

    Args:
        model: a function (x, t, condition) that returns a velocity; condition None is the empty one.
        scale: 0 ignores the condition, 1 is the model itself, more exaggerates what the condition changes.

    Returns:
        A function (x, t, condition) that returns v_empty + scale · (v_condition − v_empty).
    """

    ### BEGIN SOLUTION
    def velocity(x, t, condition):
        empty = model(x, t, None)
        return empty + scale * (model(x, t, condition) - empty)

    return velocity
    ### END SOLUTION


# %% tests="guided" points=12
checks.nb08.guided(guided)

# %% [markdown]
# We ask for the upper moon, with four scales. What to look for: at 0 the wish is ignored. At 1 we get the moon that we asked
# for. And beyond? The points move away from the *other* moon. They get denser where that one is far away, and leave the
# true moon where it is near. Guidance makes samples more typical, and in the end more typical than the data.

# %%
scales = (0, 1, 2, 5)
upper = torch.zeros(len(noise), dtype=torch.long)
figure, axes = plt.subplots(1, 4, figsize=(15, 3.9))
on_target = {}
for panel, scale in zip(axes, scales):
    samples = euler_sample(guided(points, scale), noise, upper, 50)
    on_target[scale] = on_a_moon(samples)
    scatter(panel, data, "lightsteelblue", 3)
    scatter(panel, samples, "tab:red")
    panel.set_title(f"scale {scale}")
    panel.set_xlabel(f"{on_target[scale]:.0%} on a moon")
words = ", ".join(f"{scale}: {share:.0%}" for scale, share in on_target.items())
show.plot(
    figure,
    alt="The two moons in pale blue, and samples for the upper one in red, with guidance scales 0, 1, 2 and 5. At 0 they lie "
    f"on both moons, at 1 on the upper one; with larger scales they are pushed away from the lower one. On a moon: {words}.",
    width=900,
)

# %% [markdown]
# ## Part 5 · A transformer on patches
#
# *40 minutes*
#
# Loss, loop, sampler and guidance are finished. Not one of them knows what a point is, so they work for pictures as they
# are. Only the network has to change: from 3,072 numbers and a time to 3,072 numbers.
#
# In notebook 01 this was a U-Net of convolutions. Most newer models use a **diffusion transformer** (DiT, Peebles & Xie 2022): a
# vision transformer as in notebook 02, whose output is a picture again. It cuts the noisy picture into patches, lets them
# exchange what they know, and joins what comes out into a picture of velocities.

# %%
show.chain(
    [
        ("noisy picture", "3 × 32 × 32", "#dbe9f6"),
        ("cut into\npatches", "64 tokens of 48", "#e8e8e8"),
        ("a matrix and\na position each", "64 × 96", "#e8e8e8"),
        ("transformer blocks,\nset by t and condition", "64 × 96", "#fbe3c8"),
        ("a matrix", "64 tokens of 48", "#e8e8e8"),
        ("join", "3 × 32 × 32", "#e8e8e8"),
        ("velocity", "", "#dbe9f6"),
    ],
    "A diffusion transformer",
    width=980,
)

# %% [markdown]
# ### Exercises 6 and 7 · `patchify_tokens` and `unpatchify`
#
# *Difficulty ●●○○○ and ●●●○○ · 25 minutes · 10 + 10 points*
#
# `patchify_tokens` is `patchify` of notebook 02 for a whole batch: patches row by row, and inside a patch the channel first.
# `unpatchify` is the way back. From the tokens alone nobody can tell how wide the picture was, so we agree that it is
# square: 64 tokens are 8 rows of 8.
#
# <details><summary>Hint 1: there</summary>
#
# `reshape(batch, channels, rows, patch, columns, patch)` gives each axis a name. Then `permute` to (batch, rows, columns,
# channels, patch, patch), and join the axes that belong together.
# </details>
#
# <details><summary>Hint 2: and back</summary>
#
# The same in reverse: split the tokens into (batch, rows, columns, channels, patch, patch), and permute to (batch,
# channels, rows, patch, columns, patch). `math.isqrt(n)` is the whole root of n; if its square isn't n, there is no square.
# </details>
#
# <details><summary>Help: the picture comes out as stripes</summary>
#
# Then a `reshape` joined axes that are not neighbours. Every reshape here either splits axes or joins ones that stand side
# by side; only `permute` may change their order.
# </details>


# %% exercise="patchify_tokens"
def patchify_tokens(x, patch):
    """Cut pictures into tokens, one per patch.

    Args:
        x: tensor (batch, channels, height, width).
        patch: side of a patch, in pixels.

    Returns:
        Tensor (batch, n, channels * patch * patch): patches row by row, each flattened channel first.

    Raises:
        ValueError: height or width is not a multiple of patch.
    """
    ### BEGIN SOLUTION
    batch, channels, height, width = x.shape
    if height % patch or width % patch:
        raise ValueError(f"pictures of {height} × {width} can't be cut into whole patches of {patch}")
    blocks = x.reshape(batch, channels, height // patch, patch, width // patch, patch)
    return blocks.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * patch**2)
    ### END SOLUTION


# %% tests="patchify_tokens" points=10
checks.nb08.patchify_tokens(patchify_tokens)


# %% exercise="unpatchify"
def unpatchify(tokens, patch, channels):
    """Join tokens into square pictures: the inverse of patchify_tokens.

    Args:
        tokens: tensor (batch, n, channels * patch * patch), with n a square number.
        patch: side of a patch, in pixels.
        channels: of the pictures.

    Returns:
        Tensor (batch, channels, side, side).

    Raises:
        ValueError: n is not a square number, or the tokens are not patches with so many channels.
    """
    ### BEGIN SOLUTION
    batch, n, width = tokens.shape
    rows = math.isqrt(n)
    if rows**2 != n or width != channels * patch**2:
        raise ValueError(
            f"{n} tokens of {width} numbers don't make a square of {channels} channels, patches of {patch}"
        )
    blocks = tokens.reshape(batch, rows, rows, channels, patch, patch)
    return blocks.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, rows * patch, rows * patch)
    ### END SOLUTION


# %% tests="unpatchify" points=10
checks.nb08.unpatchify(unpatchify)

# %% [markdown]
# A drawing, its 64 tokens with gaps between them, and the drawing again:

# %%
tokens = patchify_tokens(pixels[:1], 4)
tiles = [show.to_pil(token.reshape(3, 4, 4)).resize((16, 16), resample=0) for token in tokens[0]]
what = speedrun.words(conditions[0])
show.gallery(
    [*enlarged(pixels[:1], 150), show.mosaic(tiles, 8, gap=3), *enlarged(unpatchify(tokens, 4, 3), 150)],
    ["the drawing", f"{tokens.shape[1]} tokens of {tokens.shape[2]} numbers", "joined again"],
    alt=[
        f"a {what}, 32 by 32 pixels",
        f"the {what} cut into 8 by 8 patches with gaps",
        f"the same {what}, joined again",
    ],
    width=150,
)

# %% [markdown]
# The network itself is given: `speedrun.DiT`. You know most of its parts from notebook 02. Three are new:
#
# - The time $t$ becomes sines and cosines of several frequencies, because a network reads 64 waves more easily than one
#   number. Kind and colour each have a table with a vector per word. (A model for free text has a text encoder here.)
# - **adaLN**: the sum of these three vectors decides, in each block, by how much the normalized tokens are scaled and shifted,
#   and how strongly the block's result counts. All of these numbers begin at 0. So at first each block does nothing, and
#   training starts from a network that answers 0 everywhere.
# - A **convolution** before each attention mixes a token with its eight neighbours. Large models do without: given enough
#   pictures, attention finds out by itself that neighbours belong together. A network that is trained for minutes is told.
#
# Have a look at `speedrun.DiT??`. It calls your two functions.

# %%
torch.manual_seed(0)
model = speedrun.DiT(cut=patchify_tokens, join=unpatchify)
with torch.no_grad():
    answer = model(pixels, torch.rand(len(pixels)), conditions)
print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters, of which")
for name, part in model.named_children():
    print(f"  {sum(weight.numel() for weight in part.parameters()):9,} in {name}")
print(f"The untrained network's velocity: shape {tuple(answer.shape)}, largest number {answer.abs().max():.0f}")

# %% [markdown]
# ## Part 6 · From nothing
#
# *20 minutes*
#
# Everything is ready. Of the next two cells, the first one prepares what is shown on the way, and the second one trains the
# network on drawings of the small world, with *your* loop and *your* loss. Every few seconds *your* sampler draws the same
# noise with the network as it is then. `speedrun.Watch` shows all that: it passes for `draw_batch`, so `train` doesn't
# notice.
#
# It takes nearly four minutes. Close other programs: what counts is how many drawings the network sees in that time, and
# on a computer that is busy with something else it may see a tenth. Below 60,000 the shapes stay rough. Then give it more
# seconds.
#
# While you wait, watch what comes first: the colours of sky and ground, then a spot of the right colour, then the shape, wheels
# and trunks last. It is the order of notebook 01 again, coarse before fine. And compare the pictures with the loss: most of
# what your eyes call progress happens while the curve looks flat.

# %%
seed, batch = 0, 32
seconds = settings.training_seconds(230)
full_run = seconds >= 150  # a grader or a test machine trains for seconds only, and draws less
sampling_steps, times_each, few = (25, 8, 64) if full_run else (4, 1, 8)

wanted = speedrun.every_condition(1)
first_noise = torch.randn(len(wanted), 3, 32, 32, generator=torch.Generator().manual_seed(1))
held_out, held_out_condition = speedrun.batches(64, seed=999, drawings=64)()
held_out_noise = torch.randn(held_out.shape, generator=torch.Generator().manual_seed(2))
held_out_time = torch.linspace(0.01, 0.99, 64)


# %%
def preview(model):
    """One picture of each kind, each in another colour."""
    return euler_sample(guided(model, 2), first_noise[::5], wanted[::5], 8)


def held_out_loss(model):
    """The loss on drawings that the model does not learn from."""
    return flow_matching_loss(model, held_out, held_out_condition, x0=held_out_noise, t=held_out_time)


torch.manual_seed(seed)
model = speedrun.DiT(cut=patchify_tokens, join=unpatchify)
draw_batch = speedrun.batches(batch, seed, drawings=1024 if full_run else 256)
print(f"Training with {speedrun.choose_threads()} thread(s).")
watch = speedrun.Watch(model, draw_batch, seconds=seconds, sample=preview, loss=held_out_loss)
started = time.perf_counter()
model, losses = train(model, watch, seconds=seconds, seed=seed)
minutes = (time.perf_counter() - started) / 60
watch.close()
print(f"{watch.samples:,} samples in {minutes:.1f} minutes.")

# %% [markdown]
# One picture for each of the 16 conditions. They are not chosen: the noise was fixed before the training began.

# %%
drawn = euler_sample(guided(model, 2), first_noise, wanted, sampling_steps)
show.grid(
    [enlarged(drawn[4 * row : 4 * row + 4]) for row in range(4)],
    speedrun.KINDS,
    speedrun.COLOURS,
    alt="drawn by the network that was just trained",
    width=128,
)

# %% [markdown]
# How good are they? Your eyes are one judge. The course has another: the small network that also scores the models of the
# other notebooks. It was trained on drawings only, and names the kind and the colour of what it sees. On real drawings of
# this small world it is nearly always right, so its score is a fair one. The share of pictures in which it sees what was
# asked for, over fresh noise:

# %%
score_conditions = speedrun.every_condition(times_each)
score_noise = torch.randn(len(score_conditions), 3, 32, 32, generator=torch.Generator().manual_seed(1000 + seed))


def score_of(steps, scale, first=None):
    """Hits of the judge on pictures drawn with these settings, and the pictures."""
    model_ = model if scale == 1 else guided(model, scale)
    pictures = euler_sample(model_, score_noise[:first], score_conditions[:first], steps)
    return speedrun.fits(pictures, score_conditions[:first]), pictures


real_pictures, real_conditions = speedrun.draw_scenes(len(score_conditions), seed=77)
real_hits = speedrun.fits(speedrun.to_pixels(real_pictures), real_conditions)
hits, judged_pictures = score_of(sampling_steps, 2)
score = sum(hits) / len(hits)
print(f"real drawings: {sum(real_hits) / len(real_hits):.2f}")
print(f"your network:  {score:.2f} ± {speedrun.standard_error(hits):.2f}, from {len(hits)} pictures")
print("a blind guess: 0.06, one in sixteen")

# %% [markdown]
# The number after ± is the **standard error**: by how much the score varies by chance, because it comes from a limited number
# of pictures. Two runs whose scores differ by less than about three of these may be equally good.
#
# Which ones failed? Look at some before you believe any score. Is the judge right?

# %%
failed = [i for i, hit in enumerate(hits) if not hit][:6]
if failed:
    show.gallery(
        enlarged(judged_pictures[failed]),
        [f"wanted: {speedrun.words(score_conditions[i])}" for i in failed],
        alt=[f"a picture in which the judge does not see a {speedrun.words(score_conditions[i])}" for i in failed],
        width=128,
    )
else:
    print("The judge saw what was asked for in every picture.")

# %% [markdown]
# ## Part 7 · Fewer steps, more guidance
#
# *20 minutes*
#
# **Steps.** Part 3 again, with pictures: the same noise, with one, two, eight and fifty steps. What to look for: one step
# gives a soft spot of the right colour, the *mean* of all pictures with this condition. Which step count is the first that
# you would accept?

# %%
four = [0, 5, 10, 15]
columns = {steps: euler_sample(guided(model, 2), first_noise[four], wanted[four], steps) for steps in counts}
show.grid(
    [[enlarged(columns[steps][row : row + 1])[0] for steps in counts] for row in range(4)],
    [speedrun.words(wanted[i]) for i in four],
    [f"{steps} step{'s' * (steps > 1)}" for steps in counts],
    alt="drawn from the same noise",
    width=128,
)

# %% [markdown]
# **Guidance.** The same noise, with 25 steps and five scales. At 0 the condition is ignored, so the columns show what the
# network draws when nobody asks. Watch the colours and the background as the scale grows.

# %%
scales = (0, 1, 2, 4, 8)
columns = {
    scale: euler_sample(guided(model, scale), first_noise[four], wanted[four], sampling_steps) for scale in scales
}
show.grid(
    [[enlarged(columns[scale][row : row + 1])[0] for scale in scales] for row in range(4)],
    [speedrun.words(wanted[i]) for i in four],
    [f"scale {scale}" for scale in scales],
    alt="drawn from the same noise",
    width=128,
)

# %% [markdown]
# And the same as figures. Every point is the score of 64 pictures, so each has a standard error of up to 0.06, drawn as a
# line. Don't read more into a difference than that.

# %%
by_steps = {steps: score_of(steps, 2, few)[0] for steps in (1, 2, 4, 8, 25)}
by_scale = {scale: score_of(sampling_steps, scale, few)[0] for scale in (0, 1, 2, 4, 8)}
figure, panels = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
for panel, results, label in zip(
    panels, (by_steps, by_scale), ("steps, guidance 2", f"guidance scale, {sampling_steps} steps")
):
    means = [sum(each) / len(each) for each in results.values()]
    errors = [speedrun.standard_error(each) for each in results.values()]
    panel.errorbar(range(len(results)), means, yerr=errors, marker="o", capsize=3)
    panel.set(xticks=range(len(results)), xticklabels=results, xlabel=label, ylim=(0, 1.05))
panels[0].set_ylabel("kind and colour right")
words = "; ".join(
    f"{name}: " + ", ".join(f"{key}: {sum(each) / len(each):.2f}" for key, each in results.items())
    for name, results in (("by steps", by_steps), ("by guidance scale", by_scale))
)
show.plot(figure, alt=f"The score with error bars, {words}.", width=820)

# %% [markdown]
# The score says what a picture shows, and nothing about how it looks, or how much the pictures differ. Compare the score at
# scale 8 with the pictures above: a judge of kinds and colours does not mind a garish sky.

# %% [markdown]
# ## Part 8 · An honest gallery
#
# *15 minutes*
#
# "We reached 0.97!" In which time, with how many tries, on how many pictures? Was the seed the best of twenty? Machine
# learning is full of results that nobody can repeat. Small races with strict rules are a good answer: everyone trains the
# same thing, and everything that is needed to do it again goes into the record. (The best known is the *NanoGPT speedrun*,
# in which people have cut the training of a small language model from 45 minutes to under three.)
#
# This cell adds your run to such a **gallery**, a file with one line per run: seed, samples, network, minutes, score, the
# number of judged pictures, and the first 16 of them, unchosen. Put in the name of your group.

# %%
name = "my group"
entry = speedrun.Entry(
    name=name,
    seed=seed,
    samples=watch.samples,
    batch=batch,
    network=speedrun.Network(width=96, depth=4, heads=3, patch=4),
    steps=sampling_steps,
    guidance=2.0,
    score=round(score, 4),
    pictures=len(hits),
    minutes=round(minutes, 2),
    sheet=speedrun.contact_sheet(judged_pictures),
)
speedrun.show_gallery(speedrun.add(entry))

# %% [markdown]
# To compare, exchange the files: `speedrun.read("speedrun.jsonl", "their_speedrun.jsonl")` returns the entries of both. And
# to *verify*, run in a terminal
#
# ```
# course speedrun speedrun.jsonl
# ```
#
# It trains each entry again from its seed, with the network and the number of samples that the entry names, draws as many
# pictures, asks the judge, and says whether the score holds. It uses the course's own loop, and counts samples, not
# minutes, because another computer has another speed. Entries that hold are signed with the key of whoever verified them,
# as the certificate of notebook 07 is, so that nobody can change a digit afterwards.
#
# A score holds if the second run is not worse by more than chance explains. Two trainings are never the same to the last digit, because
# the clock decides when the learning rate falls. So run yours with three seeds before you claim anything, and report all
# three.

# %% [markdown]
# ## Part 9 · Two questions, flashcards, going further
#
# *30 minutes*
#
# The two questions are read by a person. A short paragraph each is enough.

# %% [markdown] written="why_not_zero" points=5
# ### Question 1 · The loss that stays
#
# Two students train on the moons. Ada's loss is 0.95 at the end, Bob's 0.90, and both are disappointed that it is not near 0.
# Explain to them why it can't be. Then: Cem's loss is 0.02 from the first minute on, and his samples are useless. What could he
# have done wrong?
#
# ### BEGIN MARK SCHEME
# - 2 points: many lines from noise to data pass through (nearly) the same point at the same time, with different velocities
#   (1); the network's best answer is their mean, and the spread around it remains as loss (1)
# - 1 point: so the loss is to be compared with other models' on the same data, or the samples are to be judged
# - 2 points: a mistake that makes the task trivial, with its reason: for example the model sees the answer (x0 or x1 as the
#   condition, or the same noise for every sample), t always near one end with a target that can be read off, the target
#   multiplied by something small, one single data point
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# In the middle of the way many lines cross, and one point at one time has many true velocities. The squared error is smallest
# if the network answers their mean, and what remains is their spread around it. No network can know more, because the point
# does not tell which line it is on. So 0.95 and 0.90 can only be compared with each other (on the same held-out points), and
# the samples decide. Cem's task is too easy: perhaps he uses the same noise x0 in every batch, so that the network
# can learn which x1 belongs to each point, or he hands x1 to the model in place of x_t. At sampling that help is missing.
# ### END SOLUTION

# %% [markdown] written="fair_comparison" points=5
# ### Question 2 · Fair comparison
#
# A group reports: "With a patch of 8 in place of 4 our network reaches 0.94 instead of 0.91 in the same three minutes, so larger
# patches are better." They trained each network once and judged 128 pictures of each. What do you ask them before you
# believe it? How would you plan the comparison?
#
# ### BEGIN MARK SCHEME
# - 1 point: the standard error of each score is about 0.02 to 0.025, so a difference of 0.03 can be chance
# - 1 point: one training each: seeds differ, so several seeds for both, and all of them reported
# - 1 point: in the same time the two saw different numbers of samples, and the parameters differ: say what is held equal (time,
#   samples or parameters), and conclude only about that
# - 1 point: other settings (learning rate, width) were perhaps tuned for one of them only
# - 1 point: the judge sees kind and colour alone; look at the pictures, or at variety and sharpness, too
# ### END MARK SCHEME
#
# ### BEGIN SOLUTION
# The standard error of 0.91 from 128 pictures is 0.025, of 0.94 it is 0.021, so the difference of 0.03 is less than one
# standard error of a difference (0.033) and may be nothing. Each network was trained once. I would train both with at least five
# seeds, judge 500 pictures per run, and report all scores with mean and spread. I would ask what was equal: in three minutes
# the network with 16 tokens sees far more samples than the one with 64, which is a fair advantage in a race by time, but does
# not show that the larger patch is better per sample. And the judge counts kinds and colours only. If the edges of the patches
# are visible, the pictures can look worse at a higher score.
# ### END SOLUTION

# %% [markdown]
# ### Flashcards
#
# Fifteen cards to keep. Read the question, answer aloud, flip. The cell also writes the same cards as a deck for Anki,
# which asks you again just before you forget; importing it twice does not double your cards.

# %%
cards = flashcards.find("08_train_your_own")
widgets.flashcards(cards)
flashcards.export_anki(flashcards.read(cards), "train_your_own.apkg")
print("Wrote train_your_own.apkg; open it with Anki.")

# %% [markdown]
# ### What you can do now
#
# | you can | with | part |
# |---|---|---|
# | walk on a straight line from noise to data | `interpolate` | 1 |
# | write the loss of flow matching, and say what it can't get rid of | `flow_matching_loss` | 1 |
# | train from nothing, by the clock, with a seed that others can use | `train` | 2 |
# | draw by solving a differential equation, and say what few steps cost | `euler_sample` | 3, 7 |
# | make a guided model of any model | `guided` | 4, 7 |
# | say what a diffusion transformer does with a picture | `patchify_tokens`, `unpatchify` | 5 |
# | judge a model with a number that has an error bar | `speedrun.fits` | 6 |
# | report a run so that others can check it | `speedrun.Entry`, `course speedrun` | 8 |
#
# ### Going further
#
# - **Straighten the ways.** Draw 20,000 pairs of noise and result with your moon model, and train a new `PointNet` on the lines
#   between *these* pairs (your `draw_batch` has to return both ends). How good is one step now?
# - **A better solver.** Heun's method looks at the arrow at both ends of a step and takes the mean. Twice the work per step:
#   is it worth it at equal numbers of model calls?
# - **Learned by heart?** There are only 256 pictures in this world. Find the nearest drawing to each picture that the network
#   draws. Are they copies? Then take `layout` from a million numbers in place of eight, and look what that costs.
# - **Race.** What gives the best score in 60 seconds? Try patches of 8, fewer blocks, another batch size, an average of the
#   weights over the last steps (EMA). Each with three seeds.
# - **What was it not shown?** Leave out all blue balls of the training data, and ask for one. Does the network put *blue* and
#   *ball* together?
# - **More words.** Add the place to the condition. Then let the kinds grow to eight. Which of the two costs more minutes?
# - **With a graphics card** this training takes seconds: move network and batches there (`.to("cuda")`), and go to 64 × 64 pixels.
#
# ### References
#
# - Lipman et al. 2023, *Flow Matching for Generative Modeling*, [arXiv:2210.02747](https://arxiv.org/abs/2210.02747): the method
# - Liu, Gong & Liu 2023, *Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow*, [arXiv:2209.03003](https://arxiv.org/abs/2209.03003): straight lines, made straighter
# - Liu et al. 2024, *InstaFlow: One Step is Enough for High-Quality Diffusion-Based Text-to-Image Generation*, [arXiv:2309.06380](https://arxiv.org/abs/2309.06380)
# - Albergo & Vanden-Eijnden 2023, *Building Normalizing Flows with Stochastic Interpolants*, [arXiv:2209.15571](https://arxiv.org/abs/2209.15571): the same idea, found independently
# - Lipman et al. 2024, *Flow Matching Guide and Code*, [arXiv:2412.06264](https://arxiv.org/abs/2412.06264): the textbook
# - Peebles & Xie 2022, *Scalable Diffusion Models with Transformers*, [arXiv:2212.09748](https://arxiv.org/abs/2212.09748): DiT and adaLN
# - Ho & Salimans 2022, *Classifier-Free Diffusion Guidance*, [arXiv:2207.12598](https://arxiv.org/abs/2207.12598)
# - Esser et al. 2024, *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*, [arXiv:2403.03206](https://arxiv.org/abs/2403.03206): Stable Diffusion 3, and which times to train on
# - Black Forest Labs 2025, *FLUX.1 Kontext*, [arXiv:2506.15742](https://arxiv.org/abs/2506.15742): a flow model that draws and edits
# - Geng et al. 2025, *Mean Flows for One-step Generative Modeling*, [arXiv:2505.13447](https://arxiv.org/abs/2505.13447): learns the mean velocity of a whole step, so that one is enough
# - Li & He 2025, *Back to Basics: Let Denoising Generative Models Denoise*, [arXiv:2511.13720](https://arxiv.org/abs/2511.13720): plain transformers on large patches of pixels
# - Jordan et al. 2024–2026, *modded-nanogpt: the NanoGPT speedrun*, [github.com/KellerJordan/modded-nanogpt](https://github.com/KellerJordan/modded-nanogpt): how a race with rules is kept honest
#
# ### Before you hand in
#
# The last cell looks at this notebook's saved file and lists what is still missing.

# %%
ready_to_hand_in()
