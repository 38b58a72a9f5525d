"""`embed_texts` and `embed_images`: compared with CLIP's own vectors, with the same cases for both."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.elsewhere import mirrored
from helpers.checks.expect import CheckFailed, compare_tensors, expect
from helpers.checks.nb05.rows import TOLERANCE, same_direction
from helpers.checks.samples import random_drawing, random_prompts
from helpers.checks.words import described, name_of

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["embed_images", "embed_texts"]

embed_texts = Exercise("embed_texts")
embed_images = Exercise("embed_images")


def _texts(rng) -> list[str]:
    return random_prompts(rng, 8)


def _pictures(rng) -> list[Image.Image]:
    return [random_drawing(rng, rng.choice((64, 128, 160))) for _ in range(8)]


embed_texts.givens |= {"embed": lambda embed_texts: embed_texts, "items": _texts}
embed_images.givens |= {"embed": lambda embed_images: embed_images, "items": _pictures}


@embed_texts.given
@embed_images.given
def right(items) -> np.ndarray:
    """CLIP's vectors of the items, float32 (n, 512)."""
    return _clip(items)


@embed_texts.core(40)
@embed_images.core(40)
def directions(embed, items, right) -> None:
    """one row for each, in the direction of CLIP's vector"""
    for n, batch_size in ((7, 3), (8, 4)):
        _expect_directions(embed(items[:n], batch_size=batch_size), right[:n], _words(items[:n], batch_size))


@embed_texts.core(25)
@embed_images.core(25)
def unit_length(embed, items, right) -> None:
    """each row has length 1 and CLIP's numbers"""
    import numpy as np
    import torch

    what = _words(items[:6], 3)
    result = _rows(embed(items[:6], batch_size=3), what)
    _expect_shape(result, right[:6], what)
    lengths = np.linalg.norm(result, axis=1)
    expect(
        bool(np.allclose(lengths, 1, atol=TOLERANCE)),
        f"Each row should have length 1, but the first has length {lengths[0]:.2f}. Divide each row by its norm; with "
        "torch: torch.nn.functional.normalize(features, dim=-1).",
    )
    yours, wanted = torch.from_numpy(result).double(), torch.from_numpy(right[:6]).double()
    compare_tensors(yours, wanted, f"The array of {name_of(embed)}", tolerance=TOLERANCE)


@embed_texts.edge(8)
@embed_images.edge(7)
def float32_array(embed, items) -> None:
    """a numpy array of float32"""
    import numpy as np

    result = embed(items[:3], batch_size=2)
    expect(
        isinstance(result, np.ndarray),
        f"{name_of(embed)} should return a numpy array, but it returned {described(result)}. Convert a tensor with "
        ".cpu().numpy(), a list of arrays with np.concatenate.",
    )
    expect(
        result.dtype == np.float32,
        f"The array should be float32, but it is {result.dtype}: the model may compute in another precision, so convert it "
        "with .float() or .astype(np.float32).",
    )


@embed_texts.edge(8)
@embed_images.edge(6)
def batch_size_limit(embed, items) -> None:
    """no more than batch_size go through the model at a time"""
    for batch_size in (3, 4):
        with _batches(items) as sizes:
            embed(list(items), batch_size=batch_size)
        expect(
            max(sizes, default=0) <= batch_size,
            f"With batch_size={batch_size} the model got {max(sizes, default=0)} at a time. Give it only the next batch_size "
            "on each call: 900,000 at once don't fit into memory.",
        )


@embed_texts.edge(5)
@embed_images.edge(4)
def whole_batches(embed, items) -> None:
    """no more calls of the model than needed"""
    for batch_size in (3, 4):
        with _batches(items) as sizes:
            embed(list(items), batch_size=batch_size)
        rounds = -(-len(items) // batch_size)
        expect(
            len(sizes) <= rounds,
            f"{len(items)} inputs in batches of {batch_size} need {rounds} calls of the model, but there were {len(sizes)}. "
            "Give it a whole batch each time: that is many times faster.",
        )


@embed_texts.edge(5)
@embed_images.edge(3)
def single_item(embed, items, right) -> None:
    """a list with a single item gives an array with one row"""
    _expect_directions(embed(items[:1]), right[:1], _words(items[:1]))


@embed_texts.edge(4)
@embed_images.edge(3)
def list_unchanged(embed, items) -> None:
    """the list is left unchanged"""
    call(embed, list(items), batch_size=3)


@embed_texts.edge(5)
def longer_than_clip_reads(embed_texts, items) -> None:
    """a text that is longer than CLIP can read"""
    texts = [items[0], " and ".join(items * 3)]
    right = _clip(texts)
    _expect_directions(embed_texts(texts), right, "2 texts, one of which is very long")


@embed_images.edge(8)
def other_modes(embed_images, items, rng: random.Random) -> None:
    """RGBA, greyscale (L) and palette (P) pictures"""
    for mode in ("RGBA", "L", "P"):
        pictures = [items[0], rng.choice(items[1:]).convert(mode)]
        right = _clip(pictures)
        _expect_directions(embed_images(pictures), right, f"2 pictures, one of which has mode {mode}")


@embed_images.edge(4)
def transparent_pixels(embed_images, items, rng: random.Random) -> None:
    """transparent pixels are white, as viewers show them"""
    picture = rng.choice(items[1:]).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, picture.width, picture.height // 2))
    what, right = "2 pictures, one of which has transparent pixels", _clip([items[0], picture])
    result = _rows(embed_images([items[0], picture]), what)
    _expect_shape(result, right, what)
    expect(
        bool(same_direction(result, right).all()),
        f"For {what}, not every row has the direction of CLIP's vector. Transparent pixels should become white, as viewers "
        "show them: .convert('RGB') puts the picture on black, helpers.pictures.as_rgb on white.",
    )


def _clip(items: Sequence) -> np.ndarray:
    from helpers import clip

    return (clip.embed_texts if isinstance(items[0], str) else clip.embed_images)(items)


def _words(items: Sequence, batch_size: int | None = None) -> str:
    """ "7 texts in batches of 3"."""
    noun = "text" if isinstance(items[0], str) else "picture"
    batches = f" in batches of {batch_size}" if batch_size else ""
    return f"{len(items)} {noun}{'s' if len(items) > 1 else ''}{batches}"


def _rows(result, what: str) -> np.ndarray:
    """The result as an array, even if it is a tensor or a list of rows: another case checks its type."""
    import numpy as np
    import torch

    try:
        rows = result.detach().cpu().double().numpy() if torch.is_tensor(result) else np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        rows = np.zeros(())
    expect(rows.ndim > 0, f"For {what}, the result should be an array of numbers, but it is {described(result)}.")
    return rows


def _expect_shape(result: np.ndarray, right: np.ndarray, what: str) -> None:
    expect(
        result.shape != right.shape[::-1] or len(right) == right.shape[1],
        f"For {what}, the array should have one row for each, but it has one column for each.",
    )
    hint = " Are they CLIP's features, from get_text_features or get_image_features?"
    expect(
        result.shape == right.shape,
        f"For {what}, the array should have shape {right.shape}, one row for each, but it has {result.shape}."
        f"{hint if result.ndim == 2 and len(result) == len(right) else ''}",
    )


def _expect_directions(result, right: np.ndarray, what: str) -> None:
    """Raise `CheckFailed` unless the rows have the directions of CLIP's vectors; another case checks their length."""
    result = _rows(result, what)
    _expect_shape(result, right, what)
    good = same_direction(result, right)
    if good.all():
        return
    bad = int((~good).argmax())
    others = [i for i in range(len(right)) if i != bad and same_direction(result[bad : bad + 1], right[i : i + 1])[0]]
    if others:
        raise CheckFailed(
            f"For {what}, row {bad} holds the vector of input {others[0]} (both counted from 0): keep the order, and use "
            "each input once."
        )
    raise CheckFailed(
        f"For {what}, row {bad} (counted from 0) does not have the direction of CLIP's vector. Does the model get the inputs "
        "unchanged, and is each row normalised on its own (dim=-1)?"
    )


@mirrored
@contextmanager
def _batches(items: Sequence) -> Iterator[list[int]]:
    """Yield a list with the number of inputs of each call of CLIP's text or vision model."""
    from helpers import models

    sizes: list[int] = []
    tower = "text_model" if isinstance(items[0], str) else "vision_model"

    def count(module, args, options):
        sizes.append(len(args[0] if args else next(iter(options.values()))))

    hook = getattr(models.load("clip").model, tower).register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield sizes
    finally:
        hook.remove()
