"""`ask_about_image`: the picture and the question reach the chat model, and its answer comes back."""

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


class Look(NamedTuple):
    """A picture, a question about it, and the answer that the chat model will give."""

    image: Image.Image
    question: str
    answer: str


@ask_about_image.given
def looks(rng) -> list[Look]:
    """Three drawings of different sizes, with a question about each."""
    from helpers.picturebook import describe, draw, questions, random_scene

    scenes = [random_scene(rng) for _ in range(3)]
    return [
        Look(draw(scene, size=size), rng.choice(questions(scene, rng))[0], f"I see {describe(scene, rng)}.")
        for scene, size in zip(scenes, (48, 64, 96), strict=True)
    ]


@ask_about_image.core(30)
def picture_and_question_arrive(ask_about_image, looks) -> None:
    """the picture and the question reach the chat model"""
    for look in looks:
        with scratch_folder():
            _, requests = _ask(ask_about_image, look, saved_picture(look.image, "photos/picture.png"))
        _expect_request(requests, look.image, look.question)


@ask_about_image.core(35)
def answer_comes_back(ask_about_image, looks) -> None:
    """the model's answer comes back as a string"""
    for look in looks:
        with scratch_folder():
            result, _ = _ask(ask_about_image, look, saved_picture(look.image, "picture.png"))
        expect(
            isinstance(result, str),  # a reply's .text is of a class made from str
            f"What ask_about_image returns should be a string, but it is {described(result)}. The words of a reply are its "
            ".text.",
        )
        expect(
            result.strip() == look.answer,
            f"Asked {look.question!r}, the model said {look.answer!r}, but ask_about_image returned {result!r}.",
        )


@ask_about_image.edge(8)
def spaces_taken_away(ask_about_image, looks) -> None:
    """no spaces or line ends around the answer"""
    for look, around in zip(looks, ("  {}", "{}\n\n", "\n {} \n"), strict=True):
        with scratch_folder():
            place = saved_picture(look.image, "picture.png")
            result, _ = _ask(ask_about_image, look, place, around=around)
        expect(
            result == look.answer,
            f"The model said {around.format(look.answer)!r}, but ask_about_image returned {result!r}. Take the spaces and "
            "line ends around its words away (.strip()).",
        )


@ask_about_image.edge(7)
def path_objects_and_addresses(ask_about_image, looks) -> None:
    """a Path or a data address in place of a string with the path"""
    look = looks[0]
    with scratch_folder():
        result, requests = _ask(ask_about_image, look, Path(saved_picture(look.image, "photos/picture.png")))
    _expect_request(requests, look.image, look.question)
    _expect_answer(result, look)
    result, requests = _ask(ask_about_image, look, data_url(look.image))
    _expect_request(requests, look.image, look.question)
    _expect_answer(result, look)


@ask_about_image.edge(6)
def default_question(ask_about_image, looks) -> None:
    """without a question it asks for a description"""
    look = looks[1]._replace(question=DEFAULT_QUESTION)
    with scratch_folder(), fake_chat(lambda request: look.answer) as requests:
        result = ask_about_image(saved_picture(look.image, "picture.png"))
    _expect_request(requests, look.image, DEFAULT_QUESTION)
    _expect_answer(result, look)


@ask_about_image.edge(8)
def vision_model(ask_about_image, looks) -> None:
    """the model that sees, chat_model("vision")"""
    with scratch_folder():
        _, requests = _ask(ask_about_image, looks[2], saved_picture(looks[2].image, "picture.png"))
    expect(bool(requests), "The chat model was not asked at all.")
    expect(
        all(request.role != "text" for request in requests),
        'The request went to chat_model("text"), which sees no pictures with most services: take chat_model("vision").',
    )


@ask_about_image.edge(6)
def one_request(ask_about_image, looks) -> None:
    """one request per call"""
    with scratch_folder():
        _, requests = _ask(ask_about_image, looks[0], saved_picture(looks[0].image, "picture.png"))
    expect_asked_once(requests)


def _ask(ask_about_image, look: Look, place: str | Path, *, around: str = "{}") -> tuple[object, list[ChatRequest]]:
    """What the function returns, and the requests that it made of a model that answers only what it was asked."""

    def answer(request: ChatRequest) -> str:
        is_complete = look.question in request.text and request.pictures
        return around.format(look.answer if is_complete else "Which picture do you mean, and what is the question?")

    with fake_chat(answer) as requests:
        return ask_about_image(place, look.question), requests


def _expect_answer(result: object, look: Look) -> None:
    """Raise `CheckFailed` unless the model's answer is somewhere in the result."""
    expect(
        look.answer in str(result),
        f"To {look.question!r} the model said {look.answer!r}, but ask_about_image returned {described(result)}.",
    )


def _expect_request(requests: list[ChatRequest], image: Image.Image, question: str) -> None:
    """Raise `CheckFailed` unless the first request holds the question and just this picture."""
    expect(bool(requests), "The chat model was not asked at all.")
    expect(
        question in requests[0].text,
        f"The question {question!r} should be in the request, but its text is {requests[0].text!r}.",
    )
    expect_picture_in(requests[0], image)


def expect_picture_in(request: ChatRequest, image: Image.Image) -> None:
    """Raise `CheckFailed` unless the request holds just this picture, as a PNG or JPEG file in a data URL."""
    expect(
        len(request.pictures) == 1,
        f"The request should hold one picture, but it holds {len(request.pictures)}. The message's content is a list of "
        'two parts, {"type": "text", …} and {"type": "image_url", "image_url": {"url": …}}.',
    )
    (url,) = request.pictures
    close_pixels(url, image, "The url of the picture in the request", kind=kind_of(url))
