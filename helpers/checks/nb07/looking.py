"""`ask_about_image`: the picture and the question reach the chat model, and its answer is returned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.calls import expect_asked_once
from helpers.checks.cases import Exercise
from helpers.checks.data_urls import close_pixels, kind_of
from helpers.checks.expect import expect
from helpers.checks.fakes import ChatRequest, fake_chat, saved_picture, scratch_folder
from helpers.checks.words import described
from helpers.pictures import data_url

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ask_about_image", "expect_picture_in"]

DEFAULT_QUESTION = "Describe the image"

ask_about_image = Exercise("ask_about_image")


class Example(NamedTuple):
    """A picture, a question about it, and the answer that the chat model will give."""

    image: Image.Image
    question: str
    answer: str


@ask_about_image.given
def examples(rng) -> list[Example]:
    """Three drawings of different sizes, with a question about each."""
    from helpers.picturebook import describe, draw, questions, random_scene

    scenes = [random_scene(rng) for _ in range(3)]
    return [
        Example(draw(scene, size=size), rng.choice(questions(scene, rng))[0], f"I see {describe(scene, rng)}.")
        for scene, size in zip(scenes, (48, 64, 96), strict=True)
    ]


@ask_about_image.core(30)
def picture_and_question(ask_about_image, examples) -> None:
    """the picture and the question reach the chat model"""
    for example in examples:
        with scratch_folder():
            _, requests = _ask(ask_about_image, example, saved_picture(example.image, "photos/picture.png"))
        _expect_request(requests, example.image, example.question)


@ask_about_image.core(35)
def answer_as_a_string(ask_about_image, examples) -> None:
    """the model's answer is returned as a string"""
    for example in examples:
        with scratch_folder():
            result, _ = _ask(ask_about_image, example, saved_picture(example.image, "picture.png"))
        expect(
            isinstance(result, str),  # a reply's .text is of a subclass of str
            f"ask_about_image should return a string, but it returned {described(result)}. A reply's text is in .text.",
        )
        expect(
            result.strip() == example.answer,
            f"To {example.question!r} the model answered {example.answer!r}, but ask_about_image returned {result!r}.",
        )


@ask_about_image.edge(8)
def spaces_around_the_answer(ask_about_image, examples) -> None:
    """no spaces or line breaks around the answer"""
    for example, around in zip(examples, ("  {}", "{}\n\n", "\n {} \n"), strict=True):
        with scratch_folder():
            path = saved_picture(example.image, "picture.png")
            result, _ = _ask(ask_about_image, example, path, around=around)
        expect(
            result == example.answer,
            f"The model answered {around.format(example.answer)!r}, but ask_about_image returned {result!r}. Remove the "
            "spaces and line breaks around the text with .strip().",
        )


@ask_about_image.edge(7)
def paths_and_data_urls(ask_about_image, examples) -> None:
    """a Path or a data URL instead of a string with the path"""
    example = examples[0]
    with scratch_folder():
        result, requests = _ask(ask_about_image, example, Path(saved_picture(example.image, "photos/picture.png")))
    _expect_request(requests, example.image, example.question)
    _expect_answer(result, example)
    result, requests = _ask(ask_about_image, example, data_url(example.image))
    _expect_request(requests, example.image, example.question)
    _expect_answer(result, example)


@ask_about_image.edge(6)
def default_question(ask_about_image, examples) -> None:
    """without a question, it asks for a description"""
    example = examples[1]._replace(question=DEFAULT_QUESTION)
    with scratch_folder(), fake_chat(lambda request: example.answer) as requests:
        result = ask_about_image(saved_picture(example.image, "picture.png"))
    _expect_request(requests, example.image, DEFAULT_QUESTION)
    _expect_answer(result, example)


@ask_about_image.edge(8)
def vision_model(ask_about_image, examples) -> None:
    """the vision model, chat_model("vision")"""
    with scratch_folder():
        _, requests = _ask(ask_about_image, examples[2], saved_picture(examples[2].image, "picture.png"))
    expect(bool(requests), "The chat model was not asked at all.")
    expect(
        all(request.role != "text" for request in requests),
        'The request went to chat_model("text"), which with most services can\'t see pictures: use chat_model("vision").',
    )


@ask_about_image.edge(6)
def one_request(ask_about_image, examples) -> None:
    """one request per call"""
    with scratch_folder():
        _, requests = _ask(ask_about_image, examples[0], saved_picture(examples[0].image, "picture.png"))
    expect_asked_once(requests)


def _ask(
    ask_about_image, example: Example, path: str | Path, *, around: str = "{}"
) -> tuple[object, list[ChatRequest]]:
    """The function's result, and its requests to a model that answers only if it gets the picture and the question."""

    def answer(request: ChatRequest) -> str:
        is_complete = example.question in request.text and request.pictures
        return around.format(example.answer if is_complete else "Which picture do you mean, and what is the question?")

    with fake_chat(answer) as requests:
        return ask_about_image(path, example.question), requests


def _expect_answer(result: object, example: Example) -> None:
    """Raise `CheckFailed` unless the result contains the model's answer."""
    expect(
        example.answer in str(result),
        f"To {example.question!r} the model answered {example.answer!r}, but ask_about_image returned {described(result)}.",
    )


def _expect_request(requests: list[ChatRequest], image: Image.Image, question: str) -> None:
    """Raise `CheckFailed` unless the first request has the question and only this picture."""
    expect(bool(requests), "The chat model was not asked at all.")
    expect(
        question in requests[0].text,
        f"The question {question!r} should be in the request, but its text is {requests[0].text!r}.",
    )
    expect_picture_in(requests[0], image)


def expect_picture_in(request: ChatRequest, image: Image.Image) -> None:
    """Raise `CheckFailed` unless the request has only this picture, as a PNG or JPEG file in a data URL."""
    expect(
        len(request.pictures) == 1,
        f"The request should have one picture, but it has {len(request.pictures)}. The message's content should be a list "
        'of two parts, {"type": "text", …} and {"type": "image_url", "image_url": {"url": …}}.',
    )
    (url,) = request.pictures
    close_pixels(url, image, "The url of the picture in the request", kind=kind_of(url))
