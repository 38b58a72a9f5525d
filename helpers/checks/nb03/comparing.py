"""`compare`: a table of what two models with canned answers say, and of the errors that they raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect
from helpers.checks.fakes import CannedModel
from helpers.checks.samples import random_drawing
from helpers.checks.words import described

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

__all__ = ["compare"]

COLUMNS = ["question", "specialist", "generalist"]
ERRORS = (ValueError, RuntimeError, TimeoutError, ZeroDivisionError)

compare = Exercise("compare")


class Answers(NamedTuple):
    """What the two models say to a question; an exception is raised."""

    specialist: str | Exception
    generalist: str | Exception


@compare.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, 64)


@compare.given
def answers(rng) -> dict[str, Answers]:
    """What the models say to each of five questions, which are not in the order of the alphabet."""
    things = rng.sample(["boat", "cat", "dog", "house", "star"], 5)
    if things == sorted(things):
        things.reverse()
    return {
        f"What colour is the {thing}?": Answers(
            f"red ({rng.random():.2%})", f"It is red, I am {rng.random():.2%} sure."
        )
        for thing in things
    }


@compare.core(40)
def both_answers(compare, picture, answers) -> None:
    """a row for each question, with what both models say"""
    _compare(compare, picture, answers, [*answers])


@compare.core(25)
def errors_fill_their_cell(compare, picture, answers, rng) -> None:
    """a model's error stands in its cell, and everything else goes on"""
    asked = sorted(answers)  # so that nothing hangs on the order here
    told = dict(answers)
    for question, name in zip(rng.sample(asked, 2), COLUMNS[1:], strict=True):  # an error of each model
        told[question] = told[question]._replace(**{name: _error(rng)})
    _compare(compare, picture, told, asked)
    both = rng.choice(asked)
    told[both] = Answers(_error(rng), _error(rng))
    _compare(compare, picture, told, asked)


@compare.edge(10)
def a_question_twice(compare, picture, answers) -> None:
    """a question that comes twice has two rows"""
    first, second, *_ = answers
    _compare(compare, picture, answers, [first, second, first])


@compare.edge(8)
def no_questions(compare, picture, answers) -> None:
    """without questions no rows, but the three columns"""
    _compare(compare, picture, answers, [])


@compare.edge(7)
def questions_stay(compare, picture, answers) -> None:
    """the list of questions stays as it is"""
    specialist, generalist = (CannedModel(_of(answers, i)) for i in (0, 1))
    call(compare, picture, [*answers], specialist=specialist, generalist=generalist)


@compare.edge(10)
def each_is_asked_once(compare, picture, answers) -> None:
    """both models are asked each question once, with the picture that was given"""
    from PIL import ImageChops

    models = {name: CannedModel(_of(answers, i)) for i, name in enumerate(COLUMNS[1:])}
    compare(picture.copy(), [*answers], **models)
    for name, model in models.items():
        asked = [question for _, question in model.asked]
        expect(
            sorted(asked) == sorted(answers),
            f"The {name} should be asked each of {len(answers)} questions once, but it was asked {asked}.",
        )
        expect(
            all(
                image.size == picture.size and ImageChops.difference(image.convert("RGB"), picture).getbbox() is None
                for image, _ in model.asked
            ),
            f"The {name} was shown another picture than the one that was given.",
        )


def _error(rng) -> Exception:
    return rng.choice(ERRORS)(f"fault {rng.randrange(10**6)}")


def _of(answers: Mapping[str, Answers], which: int) -> dict[str, str | Exception]:
    return {question: both[which] for question, both in answers.items()}


def _compare(compare, image: Image.Image, answers: Mapping[str, Answers], questions: Sequence[str]) -> None:
    """Raise `CheckFailed` unless the table of these questions is right."""
    specialist, generalist = (CannedModel(_of(answers, i)) for i in (0, 1))
    try:
        table = compare(image, [*questions], specialist=specialist, generalist=generalist)
    except Exception as error:
        if not any(error is raised for both in answers.values() for raised in both):
            raise
        raise CheckFailed(
            f"One model's error ({type(error).__name__}: {error}) ended the whole comparison. Catch it and write it into "
            "that model's cell; the other model, and the other questions, should still be asked."
        ) from error
    _expect_shape(table, questions)
    for row, question in enumerate(questions):
        for name, right, other in zip(COLUMNS[1:], answers[question], answers[question][::-1], strict=True):
            _expect_cell(table[name].iloc[row], right, other, f"{question!r}: the cell of the {name}")


def _expect_shape(table: pd.DataFrame, questions: Sequence[str]) -> None:
    expect(
        type(table).__name__ == "DataFrame",
        f"compare should return a DataFrame, but what it returned is {described(table)}.",
    )
    expect([*table.columns] == COLUMNS, f"The columns should be {COLUMNS}, but they are {[*table.columns]}.")
    expect(
        len(table) == len(questions),
        f"There should be one row for each of the {len(questions)} questions, but there are {len(table)}.",
    )
    expect(table["question"].tolist() == [*questions], "The rows should be in the order of the questions.")


def _expect_cell(cell, right: str | Exception, other: str | Exception, where: str) -> None:
    if isinstance(right, Exception):
        expect(
            isinstance(cell, str) and str(right) in cell and type(right).__name__ in cell,
            f"{where} should have its error, {type(right).__name__}: {right}, but it holds {cell!r}.",
        )
        return
    expect(cell != other, f"{where} holds the other one's answer, {cell!r}: are the two swapped?")
    expect(
        isinstance(cell, str) and cell == right, f"{where} should hold its answer, {right!r}, but it holds {cell!r}."
    )
