"""`caption`, `complete` and `answer`: what BLIP-2 writes after a picture, and after a picture and a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_type
from helpers.checks.nb04.asking import (
    Asked,
    ask,
    expect_greedy,
    expect_loaded_once,
    expect_picture_and_text,
    expect_said,
    some_words,
)
from helpers.checks.samples import random_drawing

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["answer", "caption", "complete"]

caption, complete, answer = Exercise("caption"), Exercise("complete"), Exercise("answer")


@caption.given
@complete.given
@answer.given
def drawings(rng) -> list[Image.Image]:
    """Three drawings of different sizes: a square one, one that is wider than high, and an inkblot."""
    from helpers.picturebook import Scene, Thing, draw

    blot = Scene((Thing("inkblot", "purple"),), place="desert", layout=rng.randrange(1000))
    square, wide = random_drawing(rng, 128, things=2), random_drawing(rng, 150, things=1).crop((0, 20, 150, 140))
    return [square, wide, draw(blot, size=96)]


@complete.given
@answer.given
def asked_before(rng) -> list[tuple[str, str]]:
    """Questions about a scene with their answers."""
    from helpers.picturebook import questions, random_scene

    scene = random_scene(rng, things=1)
    return rng.sample(questions(scene, rng), 4)


# -- caption


@caption.core(40)
def what_blip2_says(caption, drawings, rng) -> None:
    """what BLIP-2 says of the picture alone"""
    for image in drawings:
        asked = ask(caption, image, says=some_words(rng, 16, least=10))
        expect_picture_and_text(asked, image, "")
        expect_said(asked)


@caption.core(25)
def caption_is_greedy(caption, drawings, rng) -> None:
    """greedy decoding: the likeliest token each time"""
    asked = ask(caption, drawings[1], says=some_words(rng, 6))
    expect_picture_and_text(asked, drawings[1], "")
    expect_greedy(asked)
    expect_type(asked.result, str, "What came back")
    expect(
        asked.says in asked.result, f"In this check BLIP-2 says {asked.says!r}, but that is not in {asked.result!r}."
    )


@caption.edge(15)
def long_captions(caption, drawings, rng) -> None:
    """captions of up to 60 tokens"""
    for least, most in ((53, 59), (22, 30)):
        expect_said(ask(caption, drawings[0], says=some_words(rng, most, least=least)))


@caption.edge(10)
def no_spaces_around_a_caption(caption, drawings, rng) -> None:
    """no spaces around it"""
    _expect_stripped(ask(caption, drawings[2], says=f" {some_words(rng, 8)} "))


@caption.edge(10)
def caption_loads_once(caption, drawings) -> None:
    """the model is loaded once, not at each call"""
    expect_loaded_once(caption, drawings[0])


# -- complete


@complete.core(25)
def after_any_text(complete, drawings, asked_before, rng) -> None:
    """what BLIP-2 adds to a picture and a text of any kind"""
    (first, told), (second, _), *_ = asked_before
    prompts = ("This is", "a picture of", f"Question: {first} Answer: {told}. Question: {second} Answer:")
    for image, prompt in zip(drawings, rng.sample(prompts, 3), strict=True):
        asked = ask(complete, image, prompt, says=f" {some_words(rng, 10)}")
        expect_picture_and_text(asked, image, prompt)
        expect_said(asked, prompt=prompt)


@complete.core(20)
def prompt_as_it_is(complete, drawings, asked_before, rng) -> None:
    """the model is given a question as it stands, with nothing before it or behind it"""
    for (question, _), image in zip(asked_before, drawings[:2], strict=False):
        prompt = f"Question: {question} Answer:"
        asked = ask(complete, image, prompt, says=f" {some_words(rng, 6)}")
        expect_picture_and_text(asked, image, prompt, same_spaces=True)
        expect_said(asked, prompt=prompt)


@complete.core(25)
def completion_is_greedy(complete, drawings, asked_before, rng) -> None:
    """greedy decoding: the likeliest token each time"""
    prompt = f"Question: {asked_before[2][0]} Answer:"
    asked = ask(complete, drawings[1], prompt, says=f" {some_words(rng, 6)}")
    expect_picture_and_text(asked, drawings[1], prompt)
    expect_greedy(asked)
    expect_said(asked, prompt=prompt)


@complete.edge(11)
def long_completions(complete, drawings, rng) -> None:
    """texts of up to 30 new tokens"""
    for prompt, least, most in (("This is", 22, 28), ("a picture of", 13, 19)):
        words = some_words(rng, most, least=least)
        expect_said(ask(complete, drawings[0], prompt, says=f" {words}"), prompt=prompt)


@complete.edge(7)
def no_spaces_around_a_completion(complete, drawings, rng) -> None:
    """no spaces around what comes back"""
    _expect_stripped(ask(complete, drawings[2], "This is", says=f" {some_words(rng, 6)} "))


@complete.edge(6)
def spaces_of_the_prompt(complete, drawings, rng) -> None:
    """a prompt's own spaces, at its start and end, are kept"""
    asked = ask(complete, drawings[0], " a photo of ", says=some_words(rng, 6))
    expect_picture_and_text(asked, drawings[0], " a photo of ", same_spaces=True)


@complete.edge(6)
def complete_loads_once(complete, drawings) -> None:
    """the model is loaded once, not at each call"""
    expect_loaded_once(complete, drawings[0], "This is")


# -- answer


@answer.core(40)
def between_question_and_answer(answer, drawings, asked_before, rng) -> None:
    """BLIP-2's answer to the question, which stands between "Question:" and "Answer:" in the prompt"""
    for (question, _), image in zip(asked_before, drawings, strict=False):
        _expect_answer(ask(answer, image, question, says=f" {_one_word(rng)}"), image, question)


@answer.core(25)
def form_of_the_training(answer, drawings, asked_before, rng) -> None:
    """a space after "Question:" and before "Answer:", and none behind it"""
    for question, image in ((asked_before[3][0], drawings[0]), ("Describe it.", drawings[2])):
        asked = ask(answer, image, question, says=f" {_one_word(rng)}")
        _expect_answer(asked, image, question, same_spaces=True)


@answer.edge(13)
def answers_of_several_words(answer, drawings, asked_before, rng) -> None:
    """an answer of several words, whole"""
    asked = ask(answer, drawings[1], asked_before[0][0], says=f" {some_words(rng, 14, least=8)}")
    expect_said(asked, prompt=_prompt(asked_before[0][0]))


@answer.edge(12)
def no_spaces_around_an_answer(answer, drawings, asked_before, rng) -> None:
    """no spaces around it"""
    _expect_stripped(ask(answer, drawings[0], asked_before[1][0], says=f" {_one_word(rng)} "))


@answer.edge(10)
def answer_loads_once(answer, drawings) -> None:
    """the model is loaded once, not at each call"""
    expect_loaded_once(answer, drawings[0], "What is this?")


def _expect_answer(asked: Asked, image: Image.Image, question: str, *, same_spaces: bool = False) -> None:
    expect_picture_and_text(asked, image, _prompt(question), same_spaces=same_spaces)
    expect_said(asked, prompt=_prompt(question))


def _expect_stripped(asked: Asked) -> None:
    expect_said(asked)
    expect(
        asked.result == asked.result.strip(),
        f"There are spaces or line ends around the text: {asked.result!r}. Use .strip().",
    )


def _prompt(question: str) -> str:
    return f"Question: {question} Answer:"


def _one_word(rng) -> str:
    from helpers.picturebook import COLOURS, KINDS

    return rng.choice(KINDS + COLOURS)
