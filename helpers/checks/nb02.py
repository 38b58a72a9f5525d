"""Visible checks of notebook 02, A VQA specialist: one function an exercise, named like it."""

from __future__ import annotations

import math
import mimetypes
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.checks import CheckFailed, Mistake, call, compare_tensors, count_loads, described, expect, passed
from helpers.checks.nb01 import count_optimizer_steps
from helpers.checks.standins import Reply, Request, data_url, encoded, web_server

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "ask",
    "contrastive_loss",
    "fetch_image",
    "patchify",
    "train_head",
    "vqa_accuracy",
    "zero_shot",
]

# ---------------------------------------------------------------- fetch_image


def fetch_image(fn: Callable) -> None:
    """Check `fetch_image(url, timeout=…)` with a web server on this computer, with files and with data URLs."""
    picture = _test_picture()
    pages = {
        "/picture.png": Reply(encoded(picture)),
        "/clear.png": Reply(encoded(picture.convert("RGBA"))),
        "/palette.gif": Reply(encoded(picture.convert("P"), "GIF")),
        "/page.html": Reply(b"<html><p>Here was a picture once.</p></html>"),
        "/slow.png": Reply(encoded(picture), wait=8),
        "/heavy.png": Reply(encoded(picture) + bytes(24_000_000), says_length=False),
        "/vast.png": Reply(vast_picture()),
    }
    with serve(pages) as address:
        _fetches(fn, f"{address}/picture.png", picture, "a picture on the web")
        _fetches(fn, f"{address}/clear.png", picture, "a picture with transparency (RGBA)")
        _fetches(fn, f"{address}/palette.gif", picture, "a picture with a palette (GIF)", exactly=False)
        _fetches(fn, data_url(picture), picture, "a data URL")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "my picture.png")
            picture.save(file)
            _fetches(fn, file.as_uri(), picture, "a file URL with a space in it (%20)")
        told = []
        for path, what, words, options in (
            ("/nothing.png", "an address where the server answers 404", ("404", "not found"), {}),
            ("/page.html", "a page that is no picture", NO_PICTURE, {}),
            (
                "/slow.png",
                "a server that is silent for longer than timeout=0.5",
                ("tim", "second", "too long", "slow"),
                {"timeout": 0.5},
            ),
            ("/heavy.png", "a file of 24 MB", TOO_LARGE, {}),
            ("/vast.png", "a picture of 42 million pixels", TOO_LARGE, {}),
        ):
            said = refuses(fn, address + path, what, words, **options)
            told.append(said.replace(address + path, ""))
        nothing, no_picture, silent, heavy, _ = told
        expect(
            len({nothing, no_picture, silent, heavy}) == 4,
            f"Whatever goes wrong, your error says the same: {nothing[:200]!r}. Whoever reads it should learn what it was.",
        )
    passed("fetch_image")


NO_PICTURE = ("image", "picture")
TOO_LARGE = ("large", "big", "limit", "size", "heavy", "exceed", "more than", "too many", "pixel", "mb", "byte")


def refuses(fn: Callable, url: str, what: str, words: tuple[str, ...], **options) -> str:
    """Raise `CheckFailed` unless fetching `url` fails with a sentence that has one of the words; gives the sentence."""
    try:
        result = fn(url, **options)
    except (AssertionError, AttributeError, NameError, NotImplementedError, TypeError):
        raise  # a slip in the code, not an answer about the address
    except Exception as error:
        said = str(error)
    else:
        raise CheckFailed(
            f"For {what} fetch_image should raise an error, but what it returned is {described(result)}: whoever calls it would "
            "go on with something that is not the picture."
        )
    unclear = "0x" in said or not any(word in said.lower() for word in words)
    expect(
        not unclear,
        f"For {what} the error should say so in words, but it says {said[:200]!r}. Catch it and raise a ValueError with "
        "a sentence of your own.",
    )
    return said


def _fetches(fn: Callable, url: str, expected: Image.Image, what: str, *, exactly: bool = True) -> None:
    from PIL import Image

    result = fn(url)
    expect(
        isinstance(result, Image.Image),
        f"For {what} fetch_image should return a PIL picture, but what it returned is {described(result)}.",
    )
    expect(
        result.mode == "RGB",
        f"For {what} the mode should be RGB, but it is {result.mode}: models want exactly three channels, so end "
        'with .convert("RGB").',
    )
    same = result.size == expected.size and (not exactly or result.tobytes() == expected.tobytes())
    expect(same, f"For {what} another picture came out than went in.", yours=result, expected=expected, alt=what)


def _test_picture() -> Image.Image:
    from helpers.picturebook import Scene, Thing, draw

    return draw(Scene((Thing("frog", "green"),), "meadow"), size=64)


def vast_picture() -> bytes:
    """A PNG of a few kilobytes that unpacks to 42 million pixels."""
    from PIL import Image

    return encoded(Image.new("1", (7000, 6000)))


@contextmanager
def serve(pages: Mapping[str, Reply]) -> Iterator[str]:
    """Run a web server on this computer that has `pages`, by path, and 404 for all else; gives its address."""

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        kind, _ = mimetypes.guess_type(path)
        return pages[path]._replace(kind=kind) if path in pages else Reply(b"", 404)

    with web_server(answer) as address:
        yield address


# ---------------------------------------------------------------- patchify


def patchify(fn: Callable) -> None:
    """Check `patchify(pixel_values, patch_size)` against a convolution, on a picture that is wider than high."""
    import torch
    from torch.nn import functional as F

    pixels = _pixels(_test_picture().crop((0, 8, 64, 56)))  # 48 high, 64 wide
    size = 16
    expected = F.unfold(pixels[None], size, stride=size)[0].T
    rows, columns = 3, 4
    blocks = pixels.reshape(3, rows, size, columns, size)
    mistakes = (
        Mistake(
            "The patches come column by column; they should come row by row, as one reads: first the top row from left "
            "to right, then the next.",
            lambda: blocks.permute(3, 1, 0, 2, 4).reshape(rows * columns, -1),
        ),
        Mistake(
            "Inside a patch the three colours of each pixel stand together. They should come channel first: all red "
            "values, then all green ones, then all blue ones, as the convolution's weights do.",
            lambda: blocks.permute(1, 3, 2, 4, 0).reshape(rows * columns, -1),
        ),
        Mistake(
            "Inside a patch rows and columns are swapped, so that each patch lies on its side.",
            lambda: blocks.permute(1, 3, 0, 4, 2).reshape(rows * columns, -1),
        ),
        Mistake(
            "A plain reshape keeps the order of the numbers in memory, so that a 'patch' is a strip of pixel rows. Split "
            "height and width in two axes each, move the axes with permute, and only then reshape.",
            lambda: pixels.reshape(rows * columns, -1),
        ),
    )
    result = call(fn, pixels, size)
    pictures = {"yours": _joined(result, size, columns), "expected": _joined(expected, size, columns)}
    compare_tensors(result, expected, "patchify's answer", mistakes, **pictures, alt="the patches of a green frog")
    for pixel_values in (pixels[:, :40], pixels[:, :, :60]):
        try:
            fn(pixel_values, size)
        except ValueError:
            continue
        except RuntimeError as error:
            raise CheckFailed(
                f"For a picture of shape {tuple(pixel_values.shape)} and patches of {size} patchify should raise a "
                f"ValueError that says what does not fit, not torch's own error ({str(error)[:80]})."
            ) from error
        raise CheckFailed(
            f"A picture of shape {tuple(pixel_values.shape)} can't be cut into patches of {size}×{size} without a rest: "
            "raise a ValueError."
        )
    expect(torch.equal(fn(pixels, 8), F.unfold(pixels[None], 8, stride=8)[0].T), "With patches of 8 it goes wrong.")
    passed("patchify")


def _pixels(image: Image.Image) -> torch.Tensor:
    """The picture as a tensor (3, height, width) with values from -1 to 1."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


def _joined(patches, size: int, columns: int) -> Image.Image | None:
    """The patches as one picture, a little apart; None where they are none."""
    import torch

    from helpers import show

    if not torch.is_tensor(patches) or patches.ndim != 2 or patches.shape[1] != 3 * size * size:
        return None
    tiles = [show.to_pil(patch.reshape(3, size, size)) for patch in patches]
    return show.mosaic(tiles, columns, gap=3) if len(tiles) % columns == 0 else None


# ---------------------------------------------------------------- contrastive_loss


def contrastive_loss(fn: Callable) -> None:
    """Check `contrastive_loss(image_embeds, text_embeds, temperature)` on random embeddings of any length."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    random = torch.Generator().manual_seed(4)
    images, texts = 3 * torch.randn(2, 5, 8, generator=random)
    images[:] += texts  # pairs are alike
    images.requires_grad_()
    temperature, pairs = 0.25, torch.arange(5)
    cosines = normalize(images.detach(), dim=-1) @ normalize(texts, dim=-1).T
    logits = cosines / temperature

    def both_ways(logits):
        return (cross_entropy(logits, pairs) + cross_entropy(logits.T, pairs)) / 2

    mistakes = (
        Mistake(
            "Only pictures look for their text here. Add the other direction, texts that look for their picture "
            "(logits.T), and take the mean of the two.",
            lambda: cross_entropy(logits, pairs),
        ),
        Mistake(
            "Only texts look for their picture here. Add the other direction and take the mean of the two.",
            lambda: cross_entropy(logits.T, pairs),
        ),
        Mistake(
            "The embeddings are not brought to length 1 first, so that long ones look alike to everything: use "
            "F.normalize(…, dim=-1).",
            lambda: both_ways(images.detach() @ texts.T / temperature),
        ),
        Mistake(
            "Divide the similarities by the temperature; you multiply. A low temperature should make the choice sharp.",
            lambda: both_ways(cosines * temperature),
        ),
        Mistake("The temperature has no effect.", lambda: both_ways(cosines)),
        Mistake("That is the sum of the two directions; take their mean.", lambda: 2 * both_ways(logits)),
    )
    loss = call(fn, images, texts, temperature)
    compare_tensors(loss, both_ways(logits), "The loss", mistakes)
    expect(
        loss.requires_grad,
        "No gradient can flow from this loss, so nothing could learn: remove torch.no_grad(), .detach() and .item().",
    )
    passed("contrastive_loss")


# ---------------------------------------------------------------- zero_shot


def zero_shot(fn: Callable) -> None:
    """Check `zero_shot(image, labels)` against CLIP's own probabilities."""
    from helpers.picturebook import Scene, Thing, draw

    picture = draw(Scene((Thing("star", "yellow"),), "night"), size=128)
    labels = ["a yellow star, at night", "a blue boat, by the sea", "a red cat, in a room"]
    for some in (labels, ["a star", *labels[1:], "a blue star"]):
        cosines, scale = clip_cosines(picture, some)
        compare_probabilities(
            fn(picture, some),
            dict(zip(some, _softmax(cosines * scale), strict=True)),
            "zero_shot",
            forgotten=dict(zip(some, _softmax(cosines), strict=True)),
        )
    compare_probabilities(fn(picture, labels[:1]), {labels[0]: 1.0}, "zero_shot with one label")
    passed("zero_shot")


def clip_cosines(image: Image.Image, labels: list[str]) -> tuple[torch.Tensor, float]:
    """(cosines, scale): CLIP's cosine of the picture with each label, tensor (labels,), and 1 / its temperature."""
    import torch

    from helpers import clip
    from helpers.models import load

    cosines = torch.from_numpy(clip.similarity(labels, [image])[:, 0])
    return cosines, load("clip").model.logit_scale.exp().item()


def compare_probabilities(result, right: dict[str, float], what: str, *, forgotten: dict | None = None) -> None:
    """Raise `CheckFailed` unless `result` is the dict `right`; `forgotten` is what it is without the temperature."""
    expect(type(result) is dict, f"{what} should return a dict, but what it returned is {described(result)}.")
    expect(
        result.keys() == right.keys(),
        f"{what}'s keys should be the labels as they were given, {list(right)}, but they are {list(result)}.",
    )
    wrong = {type(value).__name__ for value in result.values()} - {"float"}
    expect(not wrong, f"The probabilities should be plain floats, but there is {', '.join(wrong)}: use .item().")
    total = sum(result.values())
    expect(
        math.isfinite(total) and abs(total - 1) < 1e-3,
        f"The probabilities should sum to 1, but they sum to {total:.3f}. Is the softmax over the labels?",
    )

    def same(other):
        return all(abs(result[label] - other[label]) < PROBABILITY_TOLERANCE for label in right)

    if forgotten and same(forgotten) and not same(right):
        raise CheckFailed(
            "The cosines go into the softmax as they are, so that all labels look nearly alike. CLIP divides by its "
            "temperature first: multiply by model.logit_scale.exp()."
        )
    label = max(right, key=lambda label: abs(result[label] - right[label]))
    expect(
        same(right),
        f"For {label!r} {what} gives {result[label]:.3f}, but CLIP's probability is {right[label]:.3f}. Are both "
        "embeddings brought to length 1, and is each label used as it is, without words around it?",
    )


PROBABILITY_TOLERANCE = 2e-3
"""How far a probability may be off: only rounding, as from batches of another size."""


def _softmax(logits: torch.Tensor) -> list[float]:
    return logits.double().softmax(0).tolist()


# ---------------------------------------------------------------- ask, vqa_accuracy


def ask(fn: Callable) -> None:
    """Check `ask(image, question)` against the specialist's own logits, and that the model is loaded once."""
    from transformers import PreTrainedModel

    from helpers.picturebook import Scene, Thing, draw

    pictures = [draw(Scene((Thing(*thing),), place), size=128) for thing, place in _ASKED]
    fn(pictures[0], "What is this?")  # the first call may load the model
    with count_loads(PreTrainedModel) as loads:
        for picture in [*pictures, pictures[0].convert("RGBA")]:
            compare_answer(fn(picture, "What is this?"), picture, "What is this?")
            compare_answer(fn(picture, "Where is this?"), picture, "Where is this?")
    expect(not loads, 'ask loads the model again at each call: use load("vqa"), which loads once and keeps it.')
    passed("ask")


_ASKED = [(("cat", "red"), "room"), (("boat", "blue", "small"), "sea")]


def compare_answer(result, image: Image.Image, question: str) -> None:
    """Raise `CheckFailed` unless `result` is the specialist's answer with its probability (sigmoid or softmax)."""
    logits, labels = specialist(image, question)
    expect(
        type(result) is tuple and len(result) == 2,
        f"ask should return a pair (answer, score), but what it returned is {described(result)}.",
    )
    answer, score = result
    expect(
        type(answer) is str,
        f"The answer should be a word, but it is {answer!r}: look the number up in model.config.id2label.",
    )
    expect(type(score) is float, f"The score should be a plain float, but it is {described(score)}: use .item().")
    expect(
        0 <= score <= 1,
        f"The score should be from 0 to 1, but it is {score:.2f}. Is it the logit itself? Its sigmoid is a probability.",
    )
    best = logits.argmax()
    expect(
        answer in labels and logits[labels.index(answer)] > logits[best] - 1e-3,
        f"To {question!r} the specialist's best answer is {labels[best]!r}, but yours is {answer!r}.",
    )
    right = {"its sigmoid": logits.sigmoid()[best].item(), "a softmax": logits.softmax(0)[best].item()}
    expect(
        any(abs(score - value) < PROBABILITY_TOLERANCE for value in right.values()),
        f"The score of {answer!r} should be {' or '.join(f'{v:.3f} ({how})' for how, v in right.items())}, but yours is "
        f"{score:.3f}.",
    )


def specialist(image: Image.Image, question: str) -> tuple[torch.Tensor, list[str]]:
    """(logits, labels) of the model that answers questions: a tensor (labels,), and what each of them says."""
    import torch

    from helpers.models import load

    model, processor = load("vqa")
    inputs = processor(image.convert("RGB"), question, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
    return logits.float().cpu(), [model.config.id2label[i] for i in range(len(logits))]


def own_answer(image: Image.Image, question: str) -> str:
    """What the specialist answers."""
    logits, labels = specialist(image, question)
    return labels[logits.argmax()]


def vqa_accuracy(fn: Callable) -> None:
    """Check `vqa_accuracy(examples)` on examples of which we know how many the specialist gets right."""
    from helpers.picturebook import Scene, Thing, draw

    pictures = [draw(Scene((Thing(*thing),), place), size=128) for thing, place in _ASKED]
    asked = [(picture, question) for picture in pictures for question in ("What is this?", "Where is this?")]
    right = [(*pair, own_answer(*pair)) for pair in asked]
    wrong = [(*pair, f"no {own_answer(*pair)}") for pair in asked]
    for examples, share, what in (
        (right, 1.0, "When every expected answer is what the specialist says"),
        (wrong[:1] + right[1:], 0.75, "With one wrong answer in four"),
        (wrong, 0.0, "When every expected answer is another one, such as 'no red' for 'red',"),
        ([(i, q, f" {a.title()} ") for i, q, a in right], 1.0, "With capitals and spaces around, as in ' Red ',"),
    ):
        result = fn(examples)
        expect(
            type(result) is float,
            f"vqa_accuracy should return a plain float, but what it returned is {described(result)}.",
        )
        hint = " It is a share of 1, not a count or a percentage." if result > 1 else ""
        expect(abs(result - share) < 1e-6, f"{what} the accuracy is {share:g}, but yours is {result:g}.{hint}")
    try:
        fn([])
    except ValueError:
        passed("vqa_accuracy")
    except ZeroDivisionError:
        raise CheckFailed("With no examples there is no accuracy: raise a ValueError that says so.") from None
    else:
        raise CheckFailed("With no examples there is no accuracy: raise a ValueError instead of making a number up.")


# ---------------------------------------------------------------- train_head


def train_head(fn: Callable) -> None:
    """Check `train_head(features, answers, steps=…)` on made-up features, three clouds of points."""
    import torch

    features, answers = clouds(seed=6)
    seen = features[:120].clone(), answers[:120].clone()
    torch.manual_seed(0)
    head = call(fn, *seen)
    with count_optimizer_steps() as steps:
        fn(*seen, steps=2)
    expect(len(steps) <= 2, f"steps=2 allows two steps of the optimizer, but there were {len(steps)}.")
    share = held_out_accuracy(head, features[120:], answers[120:], answers=3)
    expect(
        share > 0.95,
        f"On 60 points that it has not seen the head is right in {share:.0%}; on these easy clouds it should be 95 % or "
        "more. Does the loss fall? Try a larger learning rate (AdamW takes 1e-2 here), or more steps.",
    )
    gaps = fn(features[:120].clone(), 2 * answers[:120], steps=1)  # answers 0, 2, 4: some numbers may not occur
    held_out_accuracy(gaps, features[120:], 2 * answers[120:], answers=5)
    passed("train_head")


def clouds(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(features, answers): 180 points of length 1 in three clouds, tensor (180, 24), and the number of each's cloud."""
    import torch

    random = torch.Generator().manual_seed(seed)
    answers = torch.randint(0, 3, (180,), generator=random)
    centres = torch.randn(3, 24, generator=random)
    features = centres[answers] + 0.6 * torch.randn(180, 24, generator=random)
    return torch.nn.functional.normalize(features, dim=-1), answers


def held_out_accuracy(head, features: torch.Tensor, right: torch.Tensor, *, answers: int) -> float:
    """The share of `right` that the head's largest logit names; raises `CheckFailed` where the head is no linear head.

    answers: how many different ones there are, so how many logits the head should give.
    """
    import torch

    expect(
        isinstance(head, torch.nn.Module),
        f"train_head should return a torch module, such as nn.Linear, but what it returned is {described(head)}.",
    )
    with torch.no_grad():
        logits = head.eval()(features)
        a, b = features[:8], features[8:16]
        between, mean = head((a + b) / 2), (head(a) + head(b)) / 2
    expect(
        logits.shape == (len(features), answers),
        f"For {len(features)} rows of features and {answers} answers the head should give logits of shape "
        f"{(len(features), answers)}, but they have {tuple(logits.shape)}.",
    )
    expect(
        torch.allclose(between, mean, atol=1e-3 * logits.abs().max().item()),
        "The head is not linear: what it says of the middle of two points should be the mean of what it says of them. A "
        "probe asks what is already in the features, so leave hidden layers and the softmax out.",
    )
    return (logits.argmax(1) == right).float().mean().item()
