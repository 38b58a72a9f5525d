"""`compare`: a table of two models' answers and errors; the models have canned answers."""

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
    """The two models' answers to a question; an exception is raised."""

    specialist: str | Exception
    generalist: str | Exception


@compare.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, 64)


@compare.given
def answers(rng) -> dict[str, Answers]:
    """The models' answers to each of five questions, which are not in alphabetical order."""
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
    """a row for each question, with both models' answers"""
    _compare(compare, picture, answers, [*answers])


@compare.core(25)
def errors(compare, picture, answers, rng) -> None:
    """a model's error goes into its cell, and the comparison continues"""
    questions = sorted(answers)  # so that the order does not matter here
    with_errors = dict(answers)
    for question, name in zip(rng.sample(questions, 2), COLUMNS[1:], strict=True):  # an error of each model
        with_errors[question] = with_errors[question]._replace(**{name: _error(rng)})
    _compare(compare, picture, with_errors, questions)
    with_errors[rng.choice(questions)] = Answers(_error(rng), _error(rng))
    _compare(compare, picture, with_errors, questions)


@compare.edge(10)
def repeated_question(compare, picture, answers) -> None:
    """a question that comes twice has two rows"""
    first, second, *_ = answers
    _compare(compare, picture, answers, [first, second, first])


@compare.edge(8)
def no_questions(compare, picture, answers) -> None:
    """without questions there are no rows, but still the three columns"""
    _compare(compare, picture, answers, [])


@compare.edge(7)
def questions_unchanged(compare, picture, answers) -> None:
    """the list of questions is left unchanged"""
    specialist, generalist = (CannedModel(_answers_of(i, answers)) for i in (0, 1))
    call(compare, picture, [*answers], specialist=specialist, generalist=generalist)


@compare.edge(10)
def calls_of_the_models(compare, picture, answers) -> None:
    """both models are asked each question once, with the picture that was given"""
    from PIL import ImageChops

    models = {name: CannedModel(_answers_of(i, answers)) for i, name in enumerate(COLUMNS[1:])}
    compare(picture.copy(), [*answers], **models)
    for name, model in models.items():
        questions = [question for _, question in model.calls]
        expect(
            sorted(questions) == sorted(answers),
            f"The {name} should be asked each of {len(answers)} questions once, but it was asked {questions}.",
        )
        expect(
            all(
                image.size == picture.size and ImageChops.difference(image.convert("RGB"), picture).getbbox() is None
                for image, _ in model.calls
            ),
            f"The {name} was shown a different picture from the one that compare was given.",
        )


def _error(rng) -> Exception:
    return rng.choice(ERRORS)(f"fault {rng.randrange(10**6)}")


def _answers_of(model: int, answers: Mapping[str, Answers]) -> dict[str, str | Exception]:
    return {question: both[model] for question, both in answers.items()}


def _compare(compare, image: Image.Image, answers: Mapping[str, Answers], questions: Sequence[str]) -> None:
    """Raise `CheckFailed` unless the table of these questions is right."""
    specialist, generalist = (CannedModel(_answers_of(i, answers)) for i in (0, 1))
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
            _expect_cell(table[name].iloc[row], right, other, f"In the row of {question!r}, the cell of the {name}")


def _expect_shape(table: pd.DataFrame, questions: Sequence[str]) -> None:
    expect(
        type(table).__name__ == "DataFrame",
        f"compare should return a DataFrame, but it returned {described(table)}.",
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
            f"{where} should hold that model's error, {type(right).__name__}: {right}, but it holds {cell!r}.",
        )
        return
    expect(cell != other, f"{where} holds the other model's answer, {cell!r}: are the two swapped?")
    expect(
        isinstance(cell, str) and cell == right,
        f"{where} should hold that model's answer, {right!r}, but it holds {cell!r}.",
    )
