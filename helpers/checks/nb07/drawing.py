"""`generate_images`: one batch, a generator for each picture, and true provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.calls import call, expect_no_load
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect, expect_pictures
from helpers.checks.fakes import PipelineCall, fake_picture, fake_pipeline
from helpers.checks.samples import random_prompts
from helpers.likeness import same_drawing

if TYPE_CHECKING:
    from PIL import Image

    from helpers.submission import Provenance

__all__ = ["generate_images"]

generate_images = Exercise("generate_images")


class Drawn(NamedTuple):
    """What generate_images returned for `call`, its calls of the pipeline, and the right prompts and seed."""

    call: str
    images: list[Image.Image]
    batches: list[PipelineCall]
    prompts: list[str]
    seed: int


@generate_images.given
def texts(rng) -> list[str]:
    return random_prompts(rng, 4)


@generate_images.given
def seed(rng) -> int:
    return rng.randrange(1, 10**6)


@generate_images.core(24)
def own_seeds(generate_images, texts, seed) -> None:
    """a picture of each prompt in a list, in order, from generators with seed, seed + 1, …"""
    _expect_own_seeds(_drawn(generate_images, texts, texts, seed=seed))
    _expect_own_seeds(_drawn(generate_images, texts[:2], texts[:2]))


@generate_images.core(21)
def few_steps(generate_images, texts, seed) -> None:
    """few steps: the pipeline of few_step with STEPS and GUIDANCE"""
    from helpers.models import defaults

    drawn = _drawn(generate_images, texts[0], texts[:1], seed=seed)
    few, own = defaults("few_step"), defaults()
    for batch in drawn.batches:
        used = (batch.steps, batch.guidance_scale)
        expect(
            batch.few_step or used != few,
            f'{drawn.call}: in {few.steps} steps load("diffusion") draws only blurs. Draw with few_step(load("diffusion")).',
        )
        steps, guidance_scale = few if batch.few_step else own
        expect(
            used == (steps, guidance_scale),
            f"{drawn.call}: the pictures should take {steps} steps (num_inference_steps=STEPS) with guidance "
            f"{guidance_scale:g} (guidance_scale=GUIDANCE), but they took {batch.steps} with {batch.guidance_scale:g}.",
        )


@generate_images.core(21)
def provenance(generate_images, texts, seed) -> None:
    """each picture with its provenance: its own prompt, its own seed, its own pixels"""
    from helpers.submission import pixels_sha256

    for prompts in (texts[:3], texts[3:]):
        drawn = _drawn(generate_images, prompts, prompts, seed=seed)
        for i, (image, prompt) in enumerate(zip(drawn.images, prompts, strict=True)):
            found = _provenance(image, drawn.call)
            for name, right in (("prompt", prompt), ("seed", seed + i)):
                value = getattr(found, name)
                expect(
                    value == right,
                    f"{drawn.call}: the provenance of picture {i} (from 0) names the {name} {value!r}, but the picture was "
                    f"drawn from {right!r}.",
                )
            expect(
                found.sha256 == pixels_sha256(image),
                f"{drawn.call}: picture {i} (from 0) has the provenance of another picture.",
            )


@generate_images.edge(9)
def n_of_each(generate_images, texts, seed) -> None:
    """n pictures of each prompt, one after the other"""
    _expect_own_seeds(_drawn(generate_images, texts[0], [texts[0]] * 3, n=3, seed=seed))
    each = [texts[0], texts[0], texts[1], texts[1]]
    _expect_own_seeds(_drawn(generate_images, texts[:2], each, n=2, seed=seed))


@generate_images.edge(4)
def repeated_prompt(generate_images, texts, seed) -> None:
    """a prompt that comes twice in the list is drawn twice"""
    twice = [*texts[:2], texts[0]]
    _expect_own_seeds(_drawn(generate_images, twice, twice, seed=seed))


@generate_images.edge(6)
def one_batch(generate_images, texts, seed) -> None:
    """all pictures in one batch"""
    batches = _drawn(generate_images, texts, texts, seed=seed).batches
    expect(
        len(batches) == 1,
        f"generate_images should call the pipeline once, with all prompts in a list, but for {len(texts)} prompts it "
        f"called it {len(batches)} times.",
    )


@generate_images.edge(6)
def settings_in_the_provenance(generate_images, texts, seed) -> None:
    """the provenance names the steps, the guidance and the adapter that were used"""
    drawn = _drawn(generate_images, texts, texts, seed=seed)
    batch = drawn.batches[0]
    for image in drawn.images:
        found = _provenance(image, drawn.call)
        for name in ("steps", "guidance_scale"):
            used, recorded = getattr(batch, name), getattr(found, name)
            expect(
                recorded == used,
                f"{drawn.call}: the provenance names {name} {recorded:g}, but the picture was drawn with {used:g}.",
            )
        expect(
            (found.adapter is not None) == batch.few_step,
            f"{drawn.call}: the pictures were drawn {'with' if batch.few_step else 'without'} the adapter for few steps, "
            "but their provenance says otherwise. Pass make_provenance the pipeline that drew the picture.",
        )


@generate_images.edge(6)
def redrawn_picture(generate_images, texts, seed) -> None:
    """the real model draws the same picture again from its provenance"""
    from helpers.redraw import redraw

    images = generate_images(texts[:2], seed=seed)
    expect_pictures(images, 2, "What generate_images returns for 2 prompts")
    again = redraw([_provenance(images[1], "generate_images")])[0]
    expect(
        same_drawing(again, images[1]),
        "The model does not draw the second of two pictures again from its provenance: does that name the picture's own seed?",
        yours=images[1],
        expected=again,
        alt="the second picture of a batch, and what the model draws from its provenance",
    )


@generate_images.edge(3)
def loaded_once(generate_images, texts) -> None:
    """the pipeline is loaded once, not on each call"""
    _drawn(generate_images, texts[:1], texts[:1])  # the first call may load it
    with expect_no_load("diffusion"):
        _drawn(generate_images, texts[:1], texts[:1])


def _drawn(
    generate_images, prompt: str | list[str], prompts: list[str], *, n: int | None = None, seed: int | None = None
) -> Drawn:
    """Call the function with a fake pipeline; raise `CheckFailed` unless there is a picture for each of `prompts`."""
    options = {name: value for name, value in (("n", n), ("seed", seed)) if value is not None}
    written = ", ".join([repr(prompt), *(f"{name}={value}" for name, value in options.items())])
    what = f"generate_images({written})"
    with fake_pipeline() as batches:
        images = call(generate_images, prompt, **options)
    expect_pictures(images, len(prompts), f"What {what} returns")
    expect(bool(batches), f'{what} did not draw with load("diffusion").')
    return Drawn(what, images, batches, prompts, seed or 0)


def _expect_own_seeds(drawn: Drawn) -> None:
    """Raise `CheckFailed` unless picture i is the one for its prompt and a generator with seed + i."""
    rights = [_all_of(prompt, drawn.seed + i, drawn.batches) for i, prompt in enumerate(drawn.prompts)]
    for i, (image, right) in enumerate(zip(drawn.images, rights, strict=True)):
        if image.tobytes() in right:
            continue
        other = next((k for k, pictures in enumerate(rights) if image.tobytes() in pictures), None)
        expect(
            other is None,
            f"{drawn.call}: picture {i} (from 0) is the one that belongs in place {other}. The pictures should come in the "
            f"order of the prompts {drawn.prompts}.",
        )
        prompts = [prompt for batch in drawn.batches for prompt in batch.prompts]
        expect(
            prompts == drawn.prompts,
            f"{drawn.call}: the pipeline should draw {drawn.prompts}, in this order, but it drew {prompts}.",
        )
        raise CheckFailed(
            f"{drawn.call}: picture {i} (from 0) is not the one for its own generator, "
            f"torch.Generator().manual_seed({drawn.seed + i}). Pass the pipeline a list of generators, one for each picture."
        )


def _all_of(prompt: str, seed: int, batches: Sequence[PipelineCall]) -> set[bytes]:
    """The picture of a prompt and a seed, with the steps and the guidance of each batch."""
    ways = {(batch.steps, batch.guidance_scale) for batch in batches}
    return {fake_picture(prompt, seed, steps=steps, guidance_scale=scale).tobytes() for steps, scale in ways}


def _provenance(image: Image.Image, what: str) -> Provenance:
    from helpers.submission import provenance_of

    found = provenance_of(image)
    expect(
        found is not None,
        f"{what}: a picture has no provenance. Add it with attach(image, make_provenance(image, pipe, prompt=…, …)).",
    )
    return found
