"""`generate_images_from_image`: picture → description → n prompts → one batch of n pictures → n files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_tuple
from helpers.checks.fakes import (
    ChatRequest,
    Drawing,
    PipelineCall,
    RewritingScript,
    fake_drawing,
    fake_rewriter,
    recorded_display,
    recorded_drawings,
    rewriting_script,
    saved_picture,
    scratch_folder,
)
from helpers.checks.nb07.looking import expect_picture_in
from helpers.checks.words import described
from helpers.pictures import data_url

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["generate_images_from_image"]

PER_REPLY = {4: [3, 1], 1: [1], 5: [5]}
"""For a number of pictures, the number of good prompts in each of the chat model's replies."""

generate_images_from_image = Exercise("generate_images_from_image")


class Chain(NamedTuple):
    """One run of the chain.

    Attributes:
        script: the fake chat model's script.
        image: the original picture.
        name: the picture's name, without its suffix.
        result: what the function returned.
        requests: its requests to the chat model.
        batches: its calls of the pipeline.
        drawn_from: for each path in the result, the prompt that its file was drawn from; "" if the pipeline did not draw
            it, None if there is no such file.
    """

    script: RewritingScript
    image: Image.Image
    name: str
    result: tuple
    requests: list[ChatRequest]
    batches: list[PipelineCall]
    drawn_from: list[str | None]


@generate_images_from_image.given
def run(generate_images_from_image, rng) -> Callable[[int], Chain]:
    """A function that runs the chain for n pictures, once for each n, because plotting figures is slow."""
    return functools.cache(lambda n: _run(generate_images_from_image, rng, PER_REPLY[n], n=n))


@generate_images_from_image.core(35)
def description_and_prompts(run) -> None:
    """the picture's description, and the prompts made from it"""
    for chain in map(run, PER_REPLY):
        expect_picture_in(_requests_with_picture(chain)[0], chain.image)
        _, prompts, description = chain.result
        expect(
            description == chain.script.query,
            f"The third value returned should be the description, {chain.script.query!r}, but it is "
            f"{described(description)}.",
        )
        expect(
            prompts == chain.script.good,
            f"The second value returned should be the prompts {chain.script.good}, but it is {described(prompts)}.",
        )


@generate_images_from_image.core(30)
def file_for_each_prompt(run) -> None:
    """a file for each prompt, in the same order, with the picture that was drawn from it"""
    for n in PER_REPLY:
        chain = run(n)
        paths = _paths(chain)
        expect(
            len(paths) == n,
            f"For num_images={n} the first value returned should be a list of {n} paths, but it has {len(paths)}.",
        )
        for i, (path, found, prompt) in enumerate(zip(paths, chain.drawn_from, chain.script.good, strict=True)):
            expect(found is not None, f"There is no file {path}.")
            expect(found != "", f"{path} is not a picture that the pipeline drew.")
            expect(
                found == prompt,
                f"File {i} (from 0), {path}, should be drawn from prompt {i}, {prompt!r}, but it was drawn from {found!r}.",
            )


@generate_images_from_image.edge(10)
def one_batch(run) -> None:
    """all prompts in one batch"""
    batches = run(4).batches
    expect(
        len(batches) == 1,
        f"All prompts of a picture should be drawn in one batch, but the pipeline was called {len(batches)} times. Pass "
        "generate_images the whole list of prompts.",
    )


@generate_images_from_image.edge(8)
def files_named_after_the_picture(run) -> None:
    """files in generated_images that are named after the picture"""
    chain = run(5)
    _expect_names(chain, chain.name, 5)


@generate_images_from_image.edge(5)
def four_by_default(generate_images_from_image, rng) -> None:
    """four pictures by default"""
    chain = _run(generate_images_from_image, rng, [4])
    paths, prompts = _paths(chain), chain.result[1]
    expect(
        len(paths) == len(prompts) == 4,
        f"Without num_images there should be 4 paths and 4 prompts, but there are {len(paths)} and {len(prompts)}.",
    )


@generate_images_from_image.edge(6)
def from_a_data_url(generate_images_from_image, rng) -> None:
    """a data URL instead of a path"""
    chain = _run(generate_images_from_image, rng, [2], n=2, by_data_url=True)
    expect_picture_in(_requests_with_picture(chain)[0], chain.image)
    _expect_names(chain, "image", 2)


@generate_images_from_image.edge(6)
def one_description(run) -> None:
    """the picture is described once"""
    requests = _requests_with_picture(run(4))
    expect(
        len(requests) == 1,
        f"The picture should be described once, but the chat model was shown a picture {len(requests)} times.",
    )


def _run(
    generate_images_from_image,
    rng: Random,
    per_reply: Sequence[int],
    *,
    n: int | None = None,
    by_data_url: bool = False,
) -> Chain:
    """Run the chain with fakes; raise `CheckFailed` unless it returns three values."""
    script, image, name = rewriting_script(rng, per_reply), fake_drawing(rng), f"photo{rng.randrange(1000)}"
    with scratch_folder(), fake_rewriter(script) as requests, recorded_drawings() as (batches, drawings):
        url = data_url(image) if by_data_url else saved_picture(image, f"photos/{name}.png")
        with recorded_display():
            result = generate_images_from_image(url, *([] if n is None else [n]))
        expect_tuple(result, ("image_paths", "prompts", "description"), "generate_images_from_image")
        drawn_from = [_drawn_from(path, drawings) for path in result[0]] if _are_paths(result[0]) else []
    return Chain(script, image, name, result, requests, batches, drawn_from)


def _are_paths(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(path, (str, Path)) for path in value)


def _drawn_from(path: str | Path, drawings: Sequence[Drawing]) -> str | None:
    from PIL import Image

    if not Path(path).is_file():
        return None
    with Image.open(path) as image:
        pixels = image.convert("RGB").tobytes()
    return next((drawing.prompt for drawing in drawings if drawing.image.tobytes() == pixels), "")


def _paths(chain: Chain) -> list[str | Path]:
    paths = chain.result[0]
    expect(
        _are_paths(paths),
        f"The first value returned should be the list of paths that plot_imgs returns, but it is {described(paths)}.",
    )
    return paths


def _requests_with_picture(chain: Chain) -> list[ChatRequest]:
    requests = [request for request in chain.requests if request.pictures]
    expect(bool(requests), "The chat model was not shown the picture. Call ask_about_image.")
    return requests


def _expect_names(chain: Chain, name: str, n: int) -> None:
    right = [f"generated_images/{name}_{i}.png" for i in range(1, n + 1)]
    expect(
        [Path(path) for path in _paths(chain)] == [Path(path) for path in right],
        f"The files should be named after the picture: {right}, but the paths are "
        f"{[str(path) for path in _paths(chain)]}. Pass plot_imgs picture_name(image_url).",
    )
