"""`hallucination_rate`: questions about present and absent things, answered by a model with canned answers."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import Mistake, expect, expect_number, expect_raises
from helpers.checks.fakes import CannedModel
from helpers.checks.samples import random_drawing

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["hallucination_rate"]

NO = ("no", "No.", "No, there is none.", "No, I see no such thing.", "There is nothing like that.")
YES = ("yes", "Yes.", "Yes, there is one.", "Yes, in the corner.")
OTHER_YES = ("YES", " yes", "\nYes, it is there. ", "yEs!", "\tYes: one.")
NOT_A_YES = (
    "No, and yes, I am sure.",
    "I would not say yes.",
    "Perhaps yes.",
    "The answer is yes or no.",
    "There is an eyes-only box.",
)
"""Answers with a yes that is not at their start."""

hallucination_rate = Exercise("hallucination_rate")


class Example(NamedTuple):
    """A question, whether the thing is there, and the model's answer."""

    question: str
    there: bool
    answer: str


@hallucination_rate.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, 48)


@hallucination_rate.core(35)
def absent_things(hallucination_rate, picture, rng) -> None:
    """the share of the absent things that are affirmed, if all are absent"""
    for affirmed, denied in ((1, 3), (3, 2), (0, 4), (2, 0)):
        _compare(hallucination_rate, picture, _examples(rng, affirmed, denied, 0, 0))


@hallucination_rate.core(30)
def present_things(hallucination_rate, picture, rng) -> None:
    """questions about things that are there do not count"""
    for affirmed, denied, found, missed in ((1, 2, 4, 1), (2, 3, 1, 3), (0, 3, 2, 0)):
        _compare(hallucination_rate, picture, _examples(rng, affirmed, denied, found, missed))


@hallucination_rate.edge(10)
def yes_written_differently(hallucination_rate, picture, rng) -> None:
    """a yes in any case, with spaces around it"""
    examples = [Example(f"{i}?", False, answer) for i, answer in enumerate([*OTHER_YES, *NO[:3]])]
    _compare(hallucination_rate, picture, rng.sample(examples, len(examples)))


@hallucination_rate.edge(10)
def yes_further_back(hallucination_rate, picture, rng) -> None:
    """only a yes at the start of the answer affirms"""
    examples = [Example(f"{i}?", False, answer) for i, answer in enumerate([*NOT_A_YES, YES[0], *NO[:2]])]
    _compare(hallucination_rate, picture, rng.sample(examples, len(examples)))


@hallucination_rate.edge(8)
def nothing_absent(hallucination_rate, picture, rng) -> None:
    """a ValueError if no example is about an absent thing"""
    for examples in (_examples(rng, 0, 0, 2, 1), []):
        model, given = _inputs(picture, examples)
        what = f"{len(examples)} examples, all about things that are there," if examples else "no examples"
        hint = "There is nothing to divide by."
        expect_raises(lambda model=model, given=given: hallucination_rate(model, given), ValueError, what, hint=hint)


@hallucination_rate.edge(4)
def calls_of_the_model(hallucination_rate, rng) -> None:
    """each question is asked with its own picture, no more than once"""
    from PIL import ImageChops

    examples = _examples(rng, 2, 2, 1, 1)
    pictures = {each.question: random_drawing(rng, 40) for each in examples}
    model = CannedModel({each.question: each.answer for each in examples})
    hallucination_rate(model, [(pictures[each.question].copy(), each.question, each.there) for each in examples])
    asked = [question for _, question in model.calls]
    expect(len(asked) == len({*asked}), "Some questions were asked more than once. Each answer costs time.")
    expect(
        all(
            ImageChops.difference(image.convert("RGB"), pictures[question]).getbbox() is None
            for image, question in model.calls
        ),
        "A question was asked with another example's picture.",
    )


@hallucination_rate.edge(3)
def examples_unchanged(hallucination_rate, picture, rng) -> None:
    """the list of examples is left unchanged"""
    call(hallucination_rate, *_inputs(picture, _examples(rng, 1, 2, 1, 1)))


def _examples(rng: Random, affirmed: int, denied: int, found: int, missed: int) -> list[Example]:
    """Examples in random order: absent things that are affirmed and denied, present ones that are found and missed."""
    kinds = [(False, YES)] * affirmed + [(False, NO)] * denied + [(True, YES)] * found + [(True, NO)] * missed
    numbers = rng.sample(range(100, 1000), len(kinds))
    made = [
        Example(f"Is number {number} in the picture?", there, rng.choice(answers))
        for number, (there, answers) in zip(numbers, kinds, strict=True)
    ]
    return rng.sample(made, len(made))


def _inputs(picture: Image.Image, examples: list[Example]) -> tuple[CannedModel, list[tuple]]:
    """The two inputs."""
    model = CannedModel({each.question: each.answer for each in examples})
    return model, [(picture, each.question, each.there) for each in examples]


def _affirms(answer: str) -> bool:
    return answer.strip().lower().startswith("yes")


def _compare(hallucination_rate, picture: Image.Image, examples: list[Example]) -> None:
    """Raise `CheckFailed` unless the rate is right; a known mistake is named."""
    absent = [each for each in examples if not each.there]
    affirmed = sum(_affirms(each.answer) for each in absent)
    said_yes = sum(_affirms(each.answer) for each in examples)
    right = affirmed / len(absent)
    mistakes = [
        Mistake(
            f"You divide by all {len(examples)} examples. Divide by the {len(absent)} that are about absent things.",
            lambda: affirmed / len(examples),
        ),
        Mistake(
            "You count every yes, and divide by all examples. If the thing is there, a yes is right: leave it out.",
            lambda: said_yes / len(examples),
        ),
        Mistake(
            f"You divide by the {len(absent)} absent things, but count a yes about any thing. Count only theirs.",
            lambda: said_yes / len(absent),
        ),
        Mistake(
            "This is the share of the absent things that are denied. Count those that are affirmed.", lambda: 1 - right
        ),
        Mistake("This is the number of affirmed things. Divide it by the number of absent ones.", lambda: affirmed),
        Mistake("This is in per cent. Return a share from 0 to 1.", lambda: 100 * right),
        Mistake(
            "An answer affirms if it starts with yes in any case, without the spaces around it: use strip() and lower().",
            lambda: sum(each.answer.startswith(("yes", "Yes")) for each in absent) / len(absent),
        ),
        Mistake(
            "An answer affirms if it starts with yes in any case, without the spaces around it: use strip() and lower().",
            lambda: sum(each.answer.lower().startswith("yes") for each in absent) / len(absent),
        ),
        Mistake(
            "An answer affirms only if it starts with yes. You look for a yes anywhere in it.",
            lambda: sum("yes" in each.answer.lower() for each in absent) / len(absent),
        ),
        *_about_the_present(examples),
    ]
    model, given = _inputs(picture, examples)
    what = f"The rate for {len(absent)} absent things, of which {affirmed} are affirmed,"
    expect_number(hallucination_rate(model, given), right, what, mistakes)


def _about_the_present(examples: list[Example]) -> list[Mistake]:
    """The mistake of looking at the present things alone, if there are any."""
    present = [each for each in examples if each.there]
    if not present:
        return []
    message = "This is the share for the things that are there. Look at the absent ones."
    return [Mistake(message, lambda: sum(_affirms(each.answer) for each in present) / len(present))]
