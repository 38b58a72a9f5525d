"""Visible checks of notebook 07, Synthetic prompts: one function an exercise, named like it.

What a model says or draws is a matter of luck; what a function does with it is not. So a chat model whose replies are
written down here (`chat_says`) and a pipeline that scribbles (`quick_pipeline`) stand in for the real ones. Only
`handed_in` looks at real pictures: it judges the file that was handed in.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks import CheckFailed, described, expect, passed
from helpers.checks.handin import criteria
from helpers.checks.nb03 import close_pixels
from helpers.checks.standins import (
    Batch,
    Heard,
    NeverEnds,
    Reply,
    chat_says,
    data_url,
    quick_pipeline,
    runner,
    scratch_folder,
    scribble,
    scribbled,
    shown_things,
    web_server,
)
from helpers.prompts import on_subject, same

if TYPE_CHECKING:
    from PIL import Image


__all__ = [
    "ask_about_image",
    "generate_images",
    "generate_images_from_image",
    "handed_in",
    "llm_rewrite_to_image_prompts",
    "plot_imgs",
    "post_submission",
    "prompts_in",
    "send_metadata",
]

FEWEST_REQUESTS, MOST_REQUESTS = 3, 10
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

# ---------------------------------------------------------------- ask_about_image


def ask_about_image(fn: Callable) -> None:
    """Check `ask_about_image(image_path, question)`: the picture and the question arrive, the answer comes back bare."""
    image = _picture("boat")
    asks(fn, image, "What colour is the boat?", "The boat is yellow.")
    asks(fn, image, None, " The picture shows a large yellow boat, by the sea.\n")
    asks(fn, image, None, "The picture shows a boat.", as_address=True)
    passed("ask_about_image")


def asks(fn: Callable, image: Image.Image, question: str | None, reply: str, *, as_address: bool = False) -> None:
    """Raise `CheckFailed` unless the chat model gets the picture and the question (None: the default), once."""
    with scratch_folder(), chat_says(lambda heard: reply) as heard:
        place = data_url(image) if as_address else _saved(image, "photos/boat.png")
        result = fn(place) if question is None else fn(place, question)
    expect(
        len(heard) == 1, f"ask_about_image should ask chat_model(…) once, but it made {_times(len(heard), 'request')}."
    )
    wanted = question or "Describe the image"
    expect(
        wanted in heard[0].text, f"The question {wanted!r} should be in the request, but its text is {heard[0].text!r}."
    )
    expect(
        heard[0].role != "text",
        'The request went to chat_model("text"), which sees no pictures with most services: take chat_model("vision").',
    )
    _sees(heard[0], image)
    expect(isinstance(result, str), f"ask_about_image should return a string, but it returned {described(result)}.")
    expect(
        result == reply.strip(),
        f"The model said {reply!r}, but ask_about_image returned {result!r}. Return its words, without the spaces and "
        "line ends around them (.strip()).",
    )


def _sees(heard: Heard, image: Image.Image) -> None:
    """Raise `CheckFailed` unless the request holds just this picture."""
    expect(
        len(heard.pictures) == 1,
        f"The request should hold one picture, but it holds {len(heard.pictures)}. The message's content is a list of "
        'two parts, {"type": "text", …} and {"type": "image_url", "image_url": {"url": …}}.',
    )
    kind = "JPEG" if heard.pictures[0].startswith("data:image/jpeg") else "PNG"
    close_pixels(heard.pictures[0], image, "The url of the picture in the request", kind=kind)


# ---------------------------------------------------------------- prompts_in


def prompts_in(fn: Callable) -> None:
    """Check `prompts_in(reply)` on lists with all kinds of marks, with chat around them, and on no list at all."""
    lists(fn, "1. a red cat\n2. a blue dog", ["a red cat", "a blue dog"])
    lists(
        fn,
        'Sure! Here are 4 prompts:\n\n 1) "a red cat"\n(2) a blue dog\n- **a box**\n* 3 cats\n• it\'s a 50-50 mix\n\nEnjoy!',
        ["a red cat", "a blue dog", "a box", "3 cats", "it's a 50-50 mix"],
    )
    lists(fn, "1. a red cat\n2. a red cat\n3. ", ["a red cat", "a red cat"])
    lists(fn, "I only know picture-book scenes.\n3 cats would be nice, 1.5 of them small.", [])
    passed("prompts_in")


def lists(fn: Callable, reply: str, right: list[str]) -> None:
    """Raise `CheckFailed` unless the student's function finds these prompts in the reply."""
    result = fn(reply)
    shown = f"For the reply\n{reply}\n"
    expect(type(result) is list, f"{shown}prompts_in should return a list, but it returned {described(result)}.")
    if result == right:
        return
    texts = [str(text) for text in result]
    for text in texts:
        expect(
            not re.match(r"\s*(?:\(?\d+[.):]|[-*•])\s", text), f"{shown}a mark is still there: {text!r}. Take it away."
        )
        expect(
            text == text.strip(" \t\r\"'“”‘’*`"),
            f"{shown}there are quotes, asterisks or spaces left at the ends of {text!r}.",
        )
    more = [text for text in texts if text not in right]
    less = [text for text in right if text not in texts]
    expect(
        not more or bool(less),
        f"{shown}prompts_in found {more[:1]}, which is no prompt: only lines that start with a mark are.",
    )
    raise CheckFailed(f"{shown}prompts_in should return\n{right}\nbut it returned\n{result}")


# ---------------------------------------------------------------- llm_rewrite_to_image_prompts


def llm_rewrite_to_image_prompts(fn: Callable) -> None:
    """Check `llm_rewrite_to_image_prompts(user_query, n)` with a chat model whose replies are written down here."""
    rng = Random(7)
    rewrites(fn, *script(rng, 4, [4]))
    rewrites(fn, *script(rng, 4, [2, 2]), n=4)
    rewrites(fn, *script(rng, 5, [5]), n=3)
    runs_dry(fn, *script(rng, 2, [2]), n=4)
    refuses_less_than_one(fn)
    passed("llm_rewrite_to_image_prompts")


class Script(NamedTuple):
    """What is asked, the replies in turn (after the last, `junk` comes), and the good prompts among them in order."""

    query: str
    replies: list[str]
    junk: str
    right: list[str]


def script(rng: Random, n: int, per_reply: Sequence[int]) -> Script:
    """A conversation with n good prompts, so many in each reply; all else is padding, off the subject, or chat."""
    from helpers.picturebook import PLACES, STYLES, describe, random_scene

    scene = random_scene(rng, things=rng.choice((1, 1, 2)))
    kinds = {thing.kind for thing in scene.things}
    query = f"The picture shows {describe(scene, rng)}."
    ways = rng.sample([(place, style) for place in PLACES for style in STYLES], n)
    good = [describe(replace(scene, place=place, style=style), rng) for place, style in ways]

    def off_subject() -> str:
        while True:
            other = random_scene(rng)
            if not kinds & {thing.kind for thing in other.things}:
                return describe(other, rng)

    def padding(prompt: str) -> str:
        forms = ("{} (variation 2)", "{}, beautiful", "{}.", "Another version: {}", "{}, option 3, very detailed")
        return rng.choice(forms).format(prompt[0].upper() + prompt[1:])

    replies, found = [], 0
    for count in per_reply:
        lines = good[found : found + count]
        found += count
        junk = [*(padding(prompt) for prompt in good[:found][:2]), off_subject()]
        # What is not good comes between the good ones, but nothing before what it repeats.
        replies.append(_as_list([*lines[:1], off_subject(), *lines[1:], *junk]))
    junk = _as_list([*map(padding, good), off_subject()])
    return Script(query, replies, junk, good)


def _as_list(prompts: Sequence[str]) -> str:
    lines = "\n".join(f"{i}. {prompt}" for i, prompt in enumerate(prompts, start=1))
    return f"Sure! Here are some prompts:\n\n{lines}\n\nTell me if you need more."


@contextmanager
def conversation(query: str, replies: Sequence[str], junk: str) -> Iterator[list[Heard]]:
    """A chat model that gives these replies in turn, then `junk`; the same request at temperature 0 gets the same."""
    given: dict[str, str] = {}
    left = iter(replies)

    def reply(heard: Heard) -> str:
        if heard.temperature > 0 or heard.text not in given:
            given[heard.text] = next(left, junk)
        return given[heard.text]

    with chat_says(reply) as heard:
        yield heard


def rewrites(
    fn: Callable, query: str, replies: Sequence[str], junk: str, right: Sequence[str], *, n: int | None = None
) -> None:
    """Raise `CheckFailed` unless the first n good prompts come back, after no more requests than are needed."""
    number = 4 if n is None else n
    with conversation(query, replies, junk) as heard:
        try:
            result = fn(query) if n is None else fn(query, n)
        except ValueError as error:
            same_words = len({each.text for each in heard}) == 1 and len(heard) > 1 and not heard[-1].temperature
            hint = (
                " It asked in the same words each time with temperature 0, and so got the same reply each time."
                if same_words
                else f" It made {_times(len(heard), 'request')}."
            )
            raise CheckFailed(
                f"There were {number} good prompts in {len(replies)} replies, but your function gave up: {error}{hint}"
            ) from None
        except NeverEnds:
            raise CheckFailed("Your function asks again and again, without end. Count the requests.") from None
    _good(result, query, number)
    expect(
        result == list(right[:number]),
        f"The good prompts should come as the model wrote them, in the order in which they came,\n{list(right[:number])}\n"
        f"but your function returned\n{result}",
    )
    _requests(heard, query, number)
    expect(
        len(heard) == len(replies),
        f"After {_times(len(replies), 'reply', 'replies')} there were {number} good prompts, but your function made "
        f"{_times(len(heard), 'request')}. Stop as soon as there are enough.",
    )


def _good(result, query: str, n: int) -> None:
    """Raise `CheckFailed` unless these are n distinct prompts on the subject."""
    expect(
        type(result) is list and all(type(prompt) is str for prompt in result),
        f"llm_rewrite_to_image_prompts should return a list of strings, but it returned {described(result)}.",
    )
    for i, prompt in enumerate(result):
        for other in result[:i]:
            expect(
                not same(prompt, other),
                f"These two prompts are the same, only decorated differently:\n{other}\n{prompt}\n"
                "Sift all that you have with distinct(…).",
            )
        expect(
            on_subject(prompt, query),
            f"The prompt {prompt!r} is not about the subject of {query!r}. Keep only those with on_subject(prompt, user_query).",
        )
    expect(len(result) == n, f"There should be exactly {n} prompts, but there are {len(result)}.")


def _requests(heard: Sequence[Heard], query: str, n: int) -> None:
    """Raise `CheckFailed` unless each request has the query in it, and the first says how many prompts are wanted."""
    expect(bool(heard), "The chat model was not asked at all; where do the prompts come from?")
    for number, request in enumerate(heard, start=1):
        expect(query in request.text, f"Request {number} does not contain the text to rewrite: {request.text!r}.")
    rest = heard[0].text.replace(query, "")
    expect(
        bool(re.search(rf"\b({n}|{NUMBERS[n] if n < len(NUMBERS) else n})\b", rest, re.IGNORECASE)),
        f"The first request does not say how many prompts you want ({n}): {heard[0].text!r}.",
    )


def runs_dry(fn: Callable, query: str, replies: Sequence[str], junk: str, right: Sequence[str], *, n: int) -> None:
    """Raise `CheckFailed` unless, with too few good prompts, a ValueError says how many there are."""
    with conversation(query, replies, junk) as heard:
        try:
            result = fn(query, n)
        except ValueError as error:
            message = str(error)
        except NeverEnds:
            raise CheckFailed(
                "The model had too few good prompts, and your function asks again and again, without end. Stop after "
                f"some requests (at most {MOST_REQUESTS}) and raise a ValueError."
            ) from None
        else:
            if type(result) is list and len(result) >= n:
                _good(result, query, n)
            raise CheckFailed(
                f"The model had {len(right)} good prompts of {n}, but your function returned {result!r}. It should "
                "raise a ValueError that says so."
            )
    expect(
        FEWEST_REQUESTS <= len(heard) <= MOST_REQUESTS,
        f"With too few good prompts there should be {FEWEST_REQUESTS} to {MOST_REQUESTS} requests in all, but there "
        f"were {len(heard)}.",
    )
    words = {str(len(right)), NUMBERS[len(right)], *(["none"] if not right else [])}
    told = message.replace(query, "")
    for prompt in right:
        told = told.replace(prompt, "")
    expect(
        bool(re.search(rf"\b({'|'.join(words)})\b", told, re.IGNORECASE)),
        f"The error should say how many prompts were found ({len(right)} of {n}); yours says: {message}",
    )


def refuses_less_than_one(fn: Callable) -> None:
    """Raise `CheckFailed` unless n=0 and n=-1 are refused before anything is asked."""
    for n in (0, -1):
        with conversation("a cat", [], "") as heard:
            try:
                result = fn("a cat", n)
            except ValueError:
                result = None
            except NeverEnds:
                raise CheckFailed(
                    f"With n={n} your function asks without end; raise a ValueError at the start."
                ) from None
            else:
                raise CheckFailed(f"n={n} should be refused with a ValueError, but your function returned {result!r}.")
        expect(not heard, f"n={n} should be refused before the chat model is asked anything.")


def lets_errors_out(fn: Callable) -> None:
    """Raise `CheckFailed` unless an error of the chat model itself comes out, at once, whatever its kind."""
    for down in (ConnectionError("the service is down"), ValueError("the service has no such model")):
        _lets_out(fn, down)


def _lets_out(fn: Callable, down: Exception) -> None:
    def fail(heard: Heard) -> str:
        raise down

    with chat_says(fail) as heard:
        try:
            result = fn("a red cat, on a meadow", 4)
        except Exception as error:
            result = error
        except NeverEnds:
            result = None
    expect(
        result is down and len(heard) == 1,
        "When the chat model itself raises an error (no network, no key), that error should come out at once: asking "
        "again in other words won't help.",
    )


# ---------------------------------------------------------------- generate_images


def generate_images(fn: Callable) -> None:
    """Check `generate_images(prompt, n, seed=…)`: one batch, a generator for each picture, provenance that is true."""
    draws(fn, "a red cat", ["a red cat"] * 2, n=2, seed=5)
    texts = ["a red cat, at night", "a blue boat, by the sea", "a box on mars"]
    draws(fn, texts, texts, seed=11)
    draws(fn, texts[:2], [texts[0], texts[0], texts[1], texts[1]], n=2)
    passed("generate_images")


def draws(fn: Callable, prompt, prompts: list[str], *, n: int | None = None, seed: int | None = None) -> None:
    """Raise `CheckFailed` unless the pictures of `prompts` come in one batch, from seed, seed + 1, …, with their provenance."""
    options: dict[str, Any] = {} if n is None else {"n": n}
    options |= {} if seed is None else {"seed": seed}
    call = ", ".join([repr(prompt), *(f"{key}={value}" for key, value in options.items())])
    given = list(prompt)
    with quick_pipeline() as batches:
        images = fn(prompt, **options)
    expect(list(prompt) == given, "generate_images changed the list of prompts that it was given.")
    batch = _drawn(images, batches, prompts, f"generate_images({call})")
    for i, (image, text) in enumerate(zip(images, prompts, strict=True)):
        own = (seed or 0) + i
        expect(
            image.tobytes() == scribbled(text, own, steps=batch.steps, guidance_scale=batch.guidance_scale).tobytes(),
            f"generate_images({call}): picture number {i} is not the one that a generator of its own gives, "
            f"torch.Generator().manual_seed({own}). Hand the pipeline a list of generators, one for each picture.",
        )
        _provenance(image, text, own, batch, f"Picture number {i} of generate_images({call})")


def _drawn(images, batches: Sequence[Batch], prompts: Sequence[str], what: str) -> Batch:
    """The one batch that all pictures came from, with our settings; raises `CheckFailed` where it is not so.

    With the adapter for few steps these are its own steps and guidance; without it, the model's.
    """
    from PIL import Image

    from helpers.models import defaults

    expect(type(images) is list, f"{what} should return a list, but it returned {described(images)}.")
    expect(
        len(images) == len(prompts), f"{what} should give {_times(len(prompts), 'picture')}, but it gave {len(images)}."
    )
    for image in images:
        expect(isinstance(image, Image.Image), f"{what} should give PIL pictures, but it gave {described(image)}.")
    expect(
        len(batches) == 1,
        f"{what} should call the pipeline once, with all prompts in a list; it was called {_times(len(batches), 'time')}.",
    )
    batch = batches[0]
    expect(
        batch.prompts == list(prompts),
        f"{what}: the pipeline should draw {list(prompts)}, in this order, but it drew {batch.prompts}.",
    )
    few, own = defaults("few_step"), defaults()
    took = (batch.steps, batch.guidance_scale)
    expect(
        batch.few_step or took != few,
        f'{what}: in {few.steps} steps load("diffusion") gives only blurs. Draw with few_step(load("diffusion")).',
    )
    steps, guidance_scale = few if batch.few_step else own
    expect(
        took == (steps, guidance_scale),
        f"{what}: the pictures should take {steps} steps (num_inference_steps=STEPS) with guidance {guidance_scale:g} "
        f"(guidance_scale=GUIDANCE), but they took {batch.steps} with {batch.guidance_scale:g}.",
    )
    return batch


def _provenance(image: Image.Image, prompt: str, seed: int, batch: Batch, what: str) -> None:
    from helpers.submission import pixels_sha256, provenance_of

    provenance = provenance_of(image)
    if provenance is None:
        raise CheckFailed(f"{what} has no provenance: attach(image, make_provenance(image, pipe, prompt=…, …)).")
    wanted = {"prompt": prompt, "seed": seed, "steps": batch.steps, "guidance_scale": batch.guidance_scale}
    for name, right in wanted.items():
        found = getattr(provenance, name)
        expect(found == right, f"{what}: its provenance says {name} {found!r}, but it was drawn with {right!r}.")
    with_or_without = "with" if batch.few_step else "without"
    expect(
        (provenance.adapter is not None) == batch.few_step,
        f"{what} was drawn {with_or_without} the adapter for few steps, but its provenance says otherwise: "
        "give make_provenance the pipeline that drew the picture.",
    )
    expect(provenance.sha256 == pixels_sha256(image), f"{what} has the provenance of another picture.")


# ---------------------------------------------------------------- plot_imgs


def plot_imgs(fn: Callable) -> None:
    """Check `plot_imgs(images, r, c, original_image_name, output_dir)`: files with provenance, none ever overwritten."""
    rng = Random(3)
    saves(fn, rng, [4, 3], names=["photos/cat.jpg", "cat.png"])
    saves(fn, rng, [2], names=["dog.png"], grid=(1, 2), folder="some/where", taken=["dog_1.png", "dog_3.png"])
    refuses_too_many(fn, rng)
    passed("plot_imgs")


def saves(
    fn: Callable,
    rng: Random,
    counts: Sequence[int],
    *,
    names: Sequence[str] | None,
    grid: tuple[int, int] = (2, 2),
    folder: str = "generated_images",
    taken: Sequence[str] = (),
) -> None:
    """Raise `CheckFailed` unless so many pictures are saved under the next free names, call after call.

    With `names` None all arguments but the pictures are left to their defaults. `taken` are files that are there before.
    """
    from helpers.submission import provenance_of

    with scratch_folder():
        for name in taken:
            _saved(scribble(name), f"{folder}/{name}")
        before = _files(folder)
        for count, name in zip(counts, names or ["image.png"] * len(counts), strict=True):
            images = [_doodle(rng) for _ in range(count)]
            options = {} if names is None else {"original_image_name": name, "output_dir": folder}
            with shown_things() as shown:
                paths = fn(images, *(() if names is None else grid), **options)
            expect(
                type(paths) is list and all(isinstance(path, (str, Path)) for path in paths),
                f"plot_imgs should return a list of paths, but it returned {described(paths)}.",
            )
            after = _files(folder)
            lost = [file for file, content in before.items() if after.get(file) != content]
            expect(
                not lost,
                f"plot_imgs has overwritten {', '.join(lost)}, which was there before. Take the next number that is free.",
            )
            free = (i for i in range(1, 1000) if f"{Path(name).stem}_{i}.png" not in before)
            wanted = [f"{folder}/{Path(name).stem}_{next(free)}.png" for _ in images]
            expect(
                [Path(path) for path in paths] == [Path(path) for path in wanted],
                f"For {count} pictures made from {name!r}, with {sorted(before) or 'nothing'} in {folder!r} before, the "
                f"paths should be\n{wanted}\nbut plot_imgs returned\n{[str(path) for path in paths]}",
            )
            for path, image in zip(paths, images, strict=True):
                _same_file(Path(path), image)
                expect(
                    provenance_of(path) == provenance_of(image),
                    f"{path} has lost the picture's provenance: save it with save_with_provenance(image, path).",
                )
            expect(bool(shown), "plot_imgs shows nothing. Make a grid with plt.subplots and show.plot(figure, alt=…).")
            before = after


def refuses_too_many(fn: Callable, rng: Random) -> None:
    """Raise `CheckFailed` unless five pictures for a grid of four are refused, with nothing saved."""
    with scratch_folder():
        try:
            result = fn([_doodle(rng) for _ in range(5)], 2, 2, original_image_name="cat.png")
        except ValueError:
            files = _files("generated_images")
            expect(
                not files, f"5 pictures do not fit into 2 × 2, but plot_imgs has saved {sorted(files)} all the same."
            )
        else:
            raise CheckFailed(f"5 pictures do not fit into 2 × 2: raise a ValueError. plot_imgs returned {result!r}.")


def _same_file(path: Path, image: Image.Image) -> None:
    from PIL import Image as PILImage

    expect(path.is_file(), f"There is no file {path}.")
    with PILImage.open(path) as found:
        expect(
            found.format == "PNG" and found.convert("RGB").tobytes() == image.convert("RGB").tobytes(),
            f"{path} does not hold the pixels of its picture.",
        )


# ---------------------------------------------------------------- generate_images_from_image


def generate_images_from_image(fn: Callable) -> None:
    """Check `generate_images_from_image(image_url, num_images)`: each link gets what the one before it gave."""
    rng = Random(5)
    goes_the_whole_way(fn, rng, None, [4])
    goes_the_whole_way(fn, rng, 3, [2, 1])
    passed("generate_images_from_image")


def goes_the_whole_way(
    fn: Callable, rng: Random, n: int | None, per_reply: Sequence[int], *, as_address: bool = False
) -> None:
    """Raise `CheckFailed` unless picture → description → n prompts → one batch of n pictures → n files."""
    from helpers.submission import provenance_of

    number = 4 if n is None else n
    told = script(rng, number, per_reply)
    image = _doodle(rng)
    replies = iter(told.replies)
    name = "image" if as_address else f"photo{rng.randrange(100)}"

    def reply(heard: Heard) -> str:
        return f"{told.query}\n" if heard.pictures else next(replies, told.junk)

    with scratch_folder(), chat_says(reply) as heard, quick_pipeline() as batches, shown_things():
        place = data_url(image) if as_address else _saved(image, f"photos/{name}.png")
        result = fn(place) if n is None else fn(place, n)
        expect(
            isinstance(result, tuple) and len(result) == 3,
            f"generate_images_from_image should return (image_paths, prompts, description), but it returned "
            f"{described(result)}.",
        )
        paths, prompts, description = result
        looks = [each for each in heard if each.pictures]
        expect(
            len(looks) == 1,
            f"The picture should be described once, but the chat model was shown a picture {_times(len(looks), 'time')}.",
        )
        _sees(looks[0], image)
        expect(
            description == told.query,
            f"The third thing returned should be the description, {told.query!r}, but it is {description!r}.",
        )
        expect(
            prompts == told.right,
            f"The second thing returned should be the prompts,\n{told.right}\nbut it is\n{prompts!r}",
        )
        expect(
            len(batches) == 1,
            f"All prompts of a picture should be drawn in one batch, but the pipeline was called "
            f"{_times(len(batches), 'time')}. Give generate_images the list of prompts.",
        )
        expect(
            batches[0].prompts == told.right, f"The pipeline should draw the prompts, but it drew {batches[0].prompts}."
        )
        expect(
            isinstance(paths, list) and len(paths) == number and all(isinstance(path, (str, Path)) for path in paths),
            f"The first thing returned should be a list of {_times(number, 'path')}, but it is {paths!r}.",
        )
        wanted = [Path(f"generated_images/{name}_{i}.png") for i in range(1, number + 1)]
        expect(
            [Path(path) for path in paths] == wanted,
            f"The files should be named after the picture: {[path.as_posix() for path in wanted]}, but the paths are "
            f"{[str(path) for path in paths]}. Hand picture_name(image_url) to plot_imgs.",
        )
        for i, (path, prompt) in enumerate(zip(paths, told.right, strict=True)):
            expect(Path(path).is_file(), f"There is no file {path}.")
            provenance = provenance_of(path)
            expect(
                provenance is not None and provenance.prompt == prompt,
                f"File number {i}, {path}, should be the picture of prompt number {i}, {prompt!r}, with its provenance.",
            )


# ---------------------------------------------------------------- send_metadata


def send_metadata(fn: Callable) -> None:
    """Check `send_metadata(results, sources=…)`: what it returns, and what is in the file."""
    rng = Random(9)
    records(fn, rng, 2)
    records(fn, rng, 2, with_sources=True)
    refuses_other_number_of_sources(fn, rng)
    passed("send_metadata")


def records(
    fn: Callable, rng: Random, results: int, *, with_sources: bool = False, with_provenance: bool = True
) -> None:
    """Raise `CheckFailed` unless so many results become records, returned and written alike."""
    from helpers.submission import provenance_of, read_metadata

    with scratch_folder():
        given = [_result(rng, i, with_provenance=with_provenance) for i in range(results)]
        sources = [_saved(_doodle(rng), f"photos/{i}.png") for i in range(results)] if with_sources else None
        for _ in range(2):  # what is in the file from before has no part in it
            found = fn(list(given)) if sources is None else fn(list(given), sources=list(sources))
        expect(
            type(found) is list and all(type(record) is dict for record in found),
            f"send_metadata should return a list of dicts, but it returned {described(found)}.",
        )
        expect(len(found) == results, f"{results} results should give {results} records, but there are {len(found)}.")
        for i, (record, (paths, prompts, description)) in enumerate(zip(found, given, strict=True)):
            wanted = {"original_description": description, "prompts": prompts, "image_paths": paths}
            if sources is not None:
                wanted["source_image"] = sources[i]
            for key, right in wanted.items():
                expect(key in record, f"Record number {i} has no {key!r}; it has {', '.join(record)}.")
                expect(
                    record[key] == right, f"Record number {i}: {key!r} should be {right!r}, but it is {record[key]!r}."
                )
            if with_provenance:
                # A record may leave fields out that nobody filled in, or say None.
                provenance = [provenance_of(path).model_dump(exclude_none=True) for path in paths]
                expect(
                    _filled(record.get("provenance")) == provenance,
                    f"Record number {i}: 'provenance' should have an entry for each picture, as make_record reads it from the file.",
                )
        file = Path("generated_images/all_metadata.json")
        expect(file.is_file(), f"There is no file {file}: write_metadata(records, 'generated_images').")
        expect(
            json.loads(file.read_text(encoding="utf-8")) == found,
            f"{file} does not hold the records that send_metadata returned.",
        )
        read_metadata(file)


def refuses_other_number_of_sources(fn: Callable, rng: Random) -> None:
    """Raise `CheckFailed` unless two results with no source, with one, and with three are refused."""
    with scratch_folder():
        given = [_result(rng, i) for i in range(2)]
        for sources in ([], ["a.png"], ["a.png", "b.png", "c.png"]):
            try:
                result = fn(list(given), sources=sources)
            except ValueError:
                continue
            raise CheckFailed(
                f"2 results with {_times(len(sources), 'source')} should be refused with a ValueError, but send_metadata "
                f"returned {result!r}."
            )


def _filled(entries: Any) -> Any:
    """Provenances without the fields that nobody filled in; anything else as it is."""
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        return entries
    return [{name: value for name, value in entry.items() if value is not None} for entry in entries]


def _result(rng: Random, i: int, *, with_provenance: bool = True) -> tuple[list[str], list[str], str]:
    """What generate_images_from_image might have given for a picture."""
    from helpers.submission import save_with_provenance

    told = script(rng, 4, [4])
    images = [_doodle(rng, prompt, with_provenance=with_provenance) for prompt in told.right]
    paths = [f"generated_images/picture{i}_{k}.png" for k in range(1, 5)]
    for image, path in zip(images, paths, strict=True):
        save_with_provenance(image, path)
    return paths, told.right, told.query


# ---------------------------------------------------------------- handed_in


def handed_in(folder: str | Path = ".") -> None:
    """Judge `generated_images/all_metadata.json` in a folder, and print what is right and what is not yet.

    Raises `CheckFailed` only where there is nothing to judge: each criterion has points of its own.
    """
    for criterion in criteria(Path(folder)):
        verdict = f"not yet: {criterion.fault}" if criterion.fault else "good"
        print(f"{criterion.name} ({_times(criterion.points, 'point')}): {verdict}")
    print("One more point is for provenance that is true: when it is graded, a picture is drawn again.")


# ---------------------------------------------------------------- post_submission


def post_submission(fn: Callable) -> None:
    """Check `post_submission(metadata_file, url, student=…)` against a small server on this computer."""
    rng = Random(11)
    posts(fn, rng, student="Ada Lovelace")
    tells_refusal(fn, rng, 422)
    tells_refusal(fn, rng, 200)
    tells_that_nobody_is_there(fn, rng)
    tells_that_it_is_slow(fn, rng)
    passed("post_submission")


def _hand_in(rng: Random) -> str:
    """Write a submission of one record into generated_images; the path of its file."""
    from helpers.submission import make_record, write_metadata

    paths, prompts, description = _result(rng, 0)
    return str(write_metadata([make_record(description, prompts, paths)], "generated_images"))


def posts(fn: Callable, rng: Random, *, student: str) -> None:
    """Raise `CheckFailed` unless records, pictures and name arrive, and the runner's answer comes back."""
    from helpers.submission import read_metadata

    answer = {"result": "passed", "messages": [f"Well done, {student}!"], "exceptions": [], "score": rng.random()}
    with scratch_folder(), runner(200, json.dumps(answer).encode()) as (url, received):
        file = _hand_in(rng)
        result = fn(file, url, student=student) if student else fn(file, url)
        wanted = [record.model_dump(exclude_none=True) for record in read_metadata(file)]
    expect(len(received) == 1, f"There should be one POST request with JSON, but there were {len(received)}.")
    path, body = received[0]
    expect(path == "/run_assessment", f"The request should go to <url>/run_assessment, but it went to {path!r}.")
    expect(
        isinstance(body, dict) and "submission" in body,
        "The body should be what pack(records, …) gives, with 'submission'.",
    )
    expect(
        body["submission"] == wanted,
        "The body's 'submission' should be the records of the file, all of them as they are.",
    )
    expect(
        body.get("student", "") == student,
        f"The student's name should be {student!r}, but it is {body.get('student')!r}.",
    )
    members = _members(body)
    missing = [path for record in wanted for path in record["image_paths"] if path not in members]
    expect(
        not missing, f"The pictures should travel in the body (pack does it), but {', '.join(missing)} did not arrive."
    )
    expect(result == answer, f"The runner answered\n{answer}\nbut post_submission returned\n{result!r}")


def _members(body: dict) -> set[str]:
    """The names of the pictures that came along, zipped or one by one."""
    if not body.get("zip"):
        return set(body.get("images") or {})
    with zipfile.ZipFile(io.BytesIO(b64decode(body["zip"]))) as archive:
        return set(archive.namelist())


def tells_refusal(fn: Callable, rng: Random, status: int) -> None:
    """Raise `CheckFailed` unless a refusal (or, with status 200, an answer that is no JSON) is told in a RuntimeError."""
    words = f"sorry, no {rng.randrange(10**6)}"
    reply = words if status == 200 else json.dumps({"detail": words})
    what = "answers, but not in JSON" if status == 200 else f"refuses with status {status}"
    with scratch_folder(), runner(status, reply.encode()) as (url, _):
        message = _runtime_error(fn, _hand_in(rng), url, f"When the runner {what}")
    expect(
        words in message and url in message,
        f"When the runner {what}, the error should name the address, {url}, and what the runner said, {words!r}. "
        f"Yours says: {message}",
    )


def tells_that_nobody_is_there(fn: Callable, rng: Random) -> None:
    """Raise `CheckFailed` unless a closed port is told in a RuntimeError that names the address."""
    with runner(200, b"{}") as (url, _):
        pass  # from here on the port is closed
    with scratch_folder():
        message = _runtime_error(fn, _hand_in(rng), url, "When nobody answers")
    expect(url in message, f"When nobody answers, the error should name the address, {url}. Yours says: {message}")


def tells_that_it_is_slow(fn: Callable, rng: Random) -> None:
    """Raise `CheckFailed` unless a runner that is silent for longer than the timeout is told in a RuntimeError."""
    reply = Reply(b'{"result": "passed"}', wait=3)
    with scratch_folder(), web_server(lambda request: reply) as url:
        message = _runtime_error(fn, _hand_in(rng), url, "When no answer comes within timeout=0.4", timeout=0.4)
    expect(url in message, f"When no answer comes in time, the error should name the address, {url}: {message}")


def _runtime_error(fn: Callable, file: str, url: str, when: str, **options) -> str:
    try:
        result = fn(file, url, **options)
    except RuntimeError as error:
        return str(error)
    except Exception as error:
        raise CheckFailed(
            f"{when}, post_submission should raise a RuntimeError, but it raised {type(error).__name__}: {error}"
        ) from None
    raise CheckFailed(f"{when}, post_submission should raise a RuntimeError, but it returned {result!r}.")


# ---------------------------------------------------------------- small things


def _picture(kind: str) -> Image.Image:
    from helpers.picturebook import Scene, Thing, draw

    return draw(Scene((Thing(kind, "yellow"),), place="sea", layout=3), size=96)


def _doodle(rng: Random, prompt: str = "a doodle", *, with_provenance: bool = True) -> Image.Image:
    """A random picture; with provenance, as one that generate_images has drawn."""
    from helpers.submission import Provenance, attach, pixels_sha256

    image = scribble(rng.random())
    if with_provenance:
        seed = rng.randrange(10**6)
        provenance = {"prompt": prompt, "model": "doodler", "revision": "1", "steps": 25, "guidance_scale": 4.0}
        attach(image, Provenance(seed=seed, sha256=pixels_sha256(image), **provenance))
    return image


def _saved(image: Image.Image, path: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def _files(folder: str) -> dict[str, str]:
    """The files in a folder, with a fingerprint of each."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(folder).glob("*") if file.is_file()
    }


def _times(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
