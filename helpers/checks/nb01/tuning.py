"""`fine_tune`: judged by what the tuned model draws, the new thing and the old ones, with the same seeds as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.cases import Exercise
from helpers.checks.expect import count_optimizer_steps, described, expect
from helpers.checks.nb01.material import picture_size, private_copy, random_prompt

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from PIL import Image

__all__ = ["fine_tune"]

LEARNED = 0.5
"""How far the pictures get, at least, from what the untaught model draws to how the new thing's own pictures look."""
FORGOTTEN = 0.12
"""How far old prompts' pictures get, at most, from how they were to how pictures of other prompts look."""
NEW, OLD = 4, 8

fine_tune = Exercise("fine_tune")


class Drawn(NamedTuple):
    """What a model draws: the new thing, and what it knew already."""

    new: list[Image.Image]
    old: list[Image.Image]


class Tuned(NamedTuple):
    """What came out of a fine-tuning.

    Attributes:
        kind: the new thing.
        example: a picture of it that it was taught with.
        adapter: what fine_tune returned.
        own_changed: names of the U-Net's own weights that are not as they were.
        before, after: what the model drew, with the same seeds.
        learned, forgotten: shares, from 0 to 1, as `LEARNED` and `FORGOTTEN` say.
    """

    kind: str
    example: Image.Image
    adapter: Any
    own_changed: list[str]
    before: Drawn
    after: Drawn
    learned: float
    forgotten: float


@fine_tune.given
def tuned(fine_tune, rng) -> Tuned:
    """The real pipeline, taught a new thing: the one fine-tuning from beginning to end that all cases share."""
    import torch

    from helpers import newthing
    from helpers.models import load

    pipe = private_copy(load("diffusion"))
    own = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    kind = rng.choice(["robot", "snowman"])  # the notebook has the mushroom
    images, fresh = (newthing.pictures(kind, 16, seed=rng.randrange(10**6), size=picture_size(pipe)) for _ in range(2))
    old_prompts = [random_prompt(rng) for _ in range(OLD)]

    before = _draw(pipe, kind, old_prompts)
    adapter = fine_tune(pipe, images, f"a {kind}")
    if not pipe.get_active_adapters():
        _put_in(pipe, adapter)
    after = _draw(pipe, kind, old_prompts)
    pipe.unload_lora_weights()
    left = pipe.unet.state_dict()
    changed = [name for name in own if name not in left or not torch.equal(own[name], left[name])]
    return Tuned(
        kind=kind,
        example=images[0],
        adapter=adapter,
        own_changed=changed,
        before=before,
        after=after,
        learned=_learned(before, after, images, fresh),
        forgotten=_forgotten(before, after),
    )


def _draw(pipe: StableDiffusionPipeline, kind: str, old_prompts: list[str]) -> Drawn:
    import torch

    prompts = [f"a {kind}"] * NEW + old_prompts
    generators = [torch.Generator().manual_seed(i) for i in range(len(prompts))]
    images = pipe(prompts, num_inference_steps=15, guidance_scale=4.0, generator=generators).images
    return Drawn(images[:NEW], images[NEW:])


def _put_in(pipe: StableDiffusionPipeline, adapter: Any) -> None:
    """Load an adapter, whether its names start with "unet." or not."""
    import torch

    expect(
        isinstance(adapter, dict) and bool(adapter) and all(map(torch.is_tensor, adapter.values())),
        "fine_tune should return the adapter's state dict, names with tensors, as get_peft_model_state_dict gives it, but "
        f"what it returned is {described(adapter)}.",
    )
    prefix = "unet" if all(str(name).startswith("unet.") for name in adapter) else None
    pipe.unet.load_lora_adapter(adapter, prefix=prefix, adapter_name="tried")


def _learned(before: Drawn, after: Drawn, images: list[Image.Image], fresh: list[Image.Image]) -> float:
    """In CLIP's eyes, by the likeness to pictures of the new thing that the student's function has not seen."""
    from helpers.clip import embed_images

    seen = embed_images(fresh).mean(0)
    first, last, best = (float((embed_images(some) @ seen).mean()) for some in (before.new, after.new, images))
    return (last - first) / (best - first)


def _forgotten(before: Drawn, after: Drawn) -> float:
    """In CLIP's eyes, by how unlike a picture is to the one of the same prompt and seed before."""
    from helpers.clip import embed_images

    likeness = embed_images(before.old) @ embed_images(after.old).T
    own, strangers = likeness.diagonal().mean(), (likeness.sum() - likeness.trace()) / (OLD * OLD - OLD)
    return float((1 - own) / (1 - strangers))


@fine_tune.core(25)
def draws_the_new_thing(tuned) -> None:
    """the tuned model draws the new thing"""
    _has_learned(tuned)


@fine_tune.core(25)
def remembers_the_old_ones(tuned) -> None:
    """the tuned model draws the old things as before"""
    _has_learned(tuned)  # a model that learns nothing forgets nothing
    changes = [_difference(*pair) for pair in zip(tuned.before.old, tuned.after.old, strict=True)]
    worst = changes.index(max(changes))
    expect(
        tuned.forgotten <= FORGOTTEN,
        f"The tuned model has forgotten too much: with the same seeds, its pictures of old prompts have come "
        f"{tuned.forgotten:.0%} of the way to how pictures of other prompts look; it should be {FORGOTTEN:.0%} or less. Are "
        "there old pictures, drawn by the model before, in each batch (prior preservation)?",
        yours=tuned.after.old[worst],
        expected=tuned.before.old[worst],
        alt="an old prompt's picture",
    )


@fine_tune.core(20)
def old_model_comes_back(tuned) -> None:
    """without the adapter it is the old model again"""
    _has_learned(tuned)
    expect(
        not tuned.own_changed,
        f"The U-Net's own weights have changed ({', '.join(tuned.own_changed[:2])}, …). Freeze them with "
        "pipe.unet.requires_grad_(False) before add_adapter, and train the adapter alone.",
    )


@fine_tune.edge(10)
def adapter_is_returned(tuned) -> None:
    """the adapter that is returned draws the same in a new pipeline"""
    from helpers.models import load
    from helpers.redraw import alike

    other = private_copy(load("diffusion"))
    _put_in(other, tuned.adapter)
    stray = next((name for name in tuned.adapter if "lora" not in name), "")
    expect(not stray, f"The adapter should hold LoRA weights and nothing else, but there is {stray!r}.")
    drawn = _draw(other, tuned.kind, []).new[0]
    expect(
        alike(drawn, tuned.after.new[0]),
        "The adapter that you return draws something else than the tuned pipeline. Does it have all LoRA weights, after the "
        "training? And is lora_alpha equal to r?",
        yours=drawn,
        expected=tuned.after.new[0],
        alt=f"a {tuned.kind}",
    )


class Short(NamedTuple):
    """Two fine-tunings that may take two steps each: what each returned, and how many steps the first one took."""

    adapters: tuple[Any, Any]
    steps: int


@fine_tune.given
def short(fine_tune) -> Short:
    import torch

    from helpers import newthing
    from helpers.models import load

    def tune() -> Any:
        pipe = private_copy(load("diffusion"))
        return fine_tune(pipe, newthing.pictures("mushroom", 8, size=picture_size(pipe)), "a mushroom", max_steps=2)

    with count_optimizer_steps() as steps:
        first = tune()
    taken = len(steps)
    torch.manual_seed(0)  # in a notebook, too, torch's own generator has moved on
    return Short((first, tune()), taken)


@fine_tune.edge(10)
def as_many_steps(short) -> None:
    """no more steps than max_steps allows"""
    expect(short.steps <= 2, f"max_steps=2 allows two steps of the optimizer, but there were {short.steps}.")


@fine_tune.edge(10)
def same_seed(short) -> None:
    """the same seed gives the same adapter"""
    import torch

    first, second = short.adapters
    expect(
        isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys(),
        f"Two calls should give adapters with the same names, but the first gave {described(first)}.",
    )
    expect(
        all(torch.allclose(first[name], second[name], atol=1e-5) for name in first),
        "Two calls with the same seed gave different adapters. Noise, timesteps, old pictures and the adapter's own first "
        "weights, which peft draws from torch's global generator, should all come from the seed.",
    )


def _has_learned(tuned: Tuned) -> None:
    expect(
        tuned.learned >= LEARNED,
        f"After the fine-tuning, 'a {tuned.kind}' has come {tuned.learned:.0%} of the way to how its pictures look, in "
        f"CLIP's eyes; it should be {LEARNED:.0%} or more.",
        yours=tuned.after.new[0],
        expected=tuned.example,
        alt=f"a {tuned.kind}",
    )


def _difference(first: Image.Image, second: Image.Image) -> float:
    from helpers.redraw import difference

    return difference(first, second)
