"""`ask` and `vqa_accuracy`: the specialist's own answers, and how many of them are right."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from helpers.checks.calls import expect_no_load
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_number, expect_raises, expect_tuple, expect_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from PIL import Image

__all__ = ["ask", "vqa_accuracy"]

SCORE_TOLERANCE = 2e-3
"""The largest error of a score: only rounding, for example in batches of another size."""

# -- ask

ask = Exercise("ask")


@ask.given
def asked(rng) -> list[tuple[Image.Image, str]]:
    """Drawings with questions, some of which the specialist is unsure about: their scores are the better test."""
    from helpers.picturebook import KINDS, draw, questions, random_scene

    pairs = []
    for _ in range(3):
        scene = random_scene(rng)
        image = draw(scene, size=rng.choice([96, 128, 200]))
        words = [question for question, _ in rng.sample(questions(scene, rng), 2)]
        words += [f"What colour is the {rng.choice(KINDS)}?", f"Who {rng.choice(['lost', 'drew', 'saw'])} this?"]
        pairs += [(image, question) for question in words]
    return pairs


@ask.core(40)
def answer_in_words(ask, asked) -> None:
    """the specialist's best answer, as a word"""
    for image, question in asked:
        with _expect_no_tensor_as_key():
            result = ask(image, question)
        answer, _ = _pair(result)
        hint = "Look the number up in model.config.id2label."
        expect_type(answer, str, "The answer", hint)
        logits, labels = specialist(image, question)
        best = logits.argmax()
        expect(
            answer in labels and logits[labels.index(answer)] > logits[best] - 1e-3,
            f"The specialist's best answer to {question!r} is {labels[best]!r}, but yours is {answer!r}.",
        )


@ask.core(30)
def score_as_probability(ask, asked) -> None:
    """its score, a probability"""
    for image, question in asked:
        _, score = _pair(ask(image, question))
        expect_type(score, float, "The score", "Use .item().")
        expect(
            0 <= score <= 1,
            f"The score should be from 0 to 1, but it is {score:.2f}. Is it the logit itself? Its sigmoid is a "
            "probability.",
        )
        logits, _ = specialist(image, question)
        right = {"its sigmoid": logits.sigmoid().max().item(), "a softmax": logits.softmax(0).max().item()}
        expect(
            any(abs(score - value) < SCORE_TOLERANCE for value in right.values()),
            f"The score of the best answer to {question!r} should be "
            f"{' or '.join(f'{value:.3f} ({how})' for how, value in right.items())}, but yours is {score:.3f}.",
        )


@ask.edge(15)
def other_modes(ask, asked) -> None:
    """RGBA, greyscale (L) and palette (P) pictures"""
    image, question = asked[0]
    for mode in ("RGBA", "L", "P"):
        answer, _ = _pair(ask(image.convert(mode), question))
        logits, labels = specialist(image.convert(mode), question)
        best = labels[logits.argmax()]
        expect(answer == best, f"For a picture of mode {mode} the best answer is {best!r}, but yours is {answer!r}.")


@ask.edge(15)
def loaded_once(ask, asked) -> None:
    """the model is loaded once, not on each call"""
    _pair(ask(*asked[0]))  # the first call may load the model
    with expect_no_load("vqa"):
        _pair(ask(*asked[1]))


@contextmanager
def _expect_no_tensor_as_key() -> Iterator[None]:
    """Explain the KeyError of a dict that is given a tensor as its key."""
    try:
        yield
    except KeyError as error:
        expect(
            "tensor(" not in str(error),
            "The keys of model.config.id2label are ints, and a tensor is not found among them, even if it holds the right "
            "number. Turn it into an int first: id2label[best.item()].",
        )
        raise


def _pair(result) -> tuple[str, float]:
    expect_tuple(result, ("answer", "score"), "ask")
    return result


def specialist(image: Image.Image, question: str) -> tuple[torch.Tensor, list[str]]:
    """Return (logits, labels) of the VQA model for a question: a tensor (labels,), and the answer that each stands for."""
    import torch

    from helpers.models import load

    model, processor = load("vqa")
    inputs = processor(image.convert("RGB"), question, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
    return logits.float().cpu(), [model.config.id2label[i] for i in range(len(logits))]


# -- vqa_accuracy

vqa_accuracy = Exercise("vqa_accuracy")
WRONG_FORMS = (
    lambda word: f"dark {word}",
    lambda word: word[:-1],
    lambda word: f"{word}s",
    lambda word: "something else",
    lambda word: "",
)
EQUAL_FORMS = (str.upper, str.title, lambda word: f"  {word}\n", lambda word: f"{word.capitalize()} ")


@vqa_accuracy.given
def answered(rng) -> list[tuple[Image.Image, str, str]]:
    """Drawings and questions with the specialist's answers."""
    from helpers.picturebook import draw, questions, random_scene

    found = []
    for _ in range(4):
        scene = random_scene(rng)
        image = draw(scene, size=128)
        for question, _ in questions(scene, rng)[:2]:
            logits, labels = specialist(image, question)
            found.append((image, question, labels[logits.argmax()]))
    return found


@vqa_accuracy.core(45)
def share_of_right_answers(vqa_accuracy, answered, rng) -> None:
    """the share of correct answers"""
    for wrong in (0, 2, rng.randrange(4, 7), len(answered)):
        examples = [(i, q, rng.choice(WRONG_FORMS)(word)) for i, q, word in answered[:wrong]] + answered[wrong:]
        right = 1 - wrong / len(answered)
        result = vqa_accuracy(rng.sample(examples, len(examples)))
        hint = (
            "It is a share from 0 to 1, not a count or a percentage."
            if isinstance(result, float) and result > 1
            else ""
        )
        expect_number(result, right, f"With {wrong} of {len(answered)} answers wrong, the accuracy", hint=hint)


@vqa_accuracy.core(20)
def part_of_a_word_is_wrong(vqa_accuracy, answered) -> None:
    """a different word is wrong, even if one is part of the other"""
    for change in WRONG_FORMS[:3]:
        result = vqa_accuracy([(i, q, change(word)) for i, q, word in answered])
        word = answered[0][2]
        expect_number(result, 0.0, f"With answers such as {word!r} where {change(word)!r} is correct, the accuracy")


@vqa_accuracy.edge(15)
def capitals_and_spaces(vqa_accuracy, answered) -> None:
    """capitals and spaces around the answer don't count"""
    for change in EQUAL_FORMS:
        result = vqa_accuracy([(i, q, change(word)) for i, q, word in answered])
        expect_number(result, 1.0, f"With other capitals and spaces, as in {change(answered[0][2])!r}, the accuracy")


@vqa_accuracy.edge(20)
def no_examples(vqa_accuracy) -> None:
    """a ValueError if there are no examples"""
    expect_raises(
        lambda: vqa_accuracy([]), ValueError, "an empty list", hint="Without examples the accuracy is undefined."
    )
