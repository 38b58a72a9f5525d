"""`caption`, `complete` and `answer`: BLIP-2's text after a picture, and after a picture and a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_type
from helpers.checks.nb04.asking import (
    RecordedCall,
    ask,
    expect_greedy,
    expect_loaded_once,
    expect_picture_and_text,
    expect_reply,
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
def dialogue(rng) -> list[tuple[str, str]]:
    """Questions about a scene with their answers."""
    from helpers.picturebook import questions, random_scene

    scene = random_scene(rng, things=1)
    return rng.sample(questions(scene, rng), 4)


# -- caption


@caption.core(40)
def reply_to_the_picture(caption, drawings, rng) -> None:
    """BLIP-2's text for the picture alone"""
    for image in drawings:
        call = ask(caption, image, reply=some_words(rng, 16, least=10))
        expect_picture_and_text(call, image, "")
        expect_reply(call)


@caption.core(25)
def caption_is_greedy(caption, drawings, rng) -> None:
    """greedy decoding: the most likely token each time"""
    call = ask(caption, drawings[1], reply=some_words(rng, 6))
    expect_picture_and_text(call, drawings[1], "")
    expect_greedy(call)
    expect_type(call.result, str, "The result")
    expect(
        call.reply in call.result,
        f"In this check BLIP-2 writes {call.reply!r}, but the result, {call.result!r}, does not contain it.",
    )


@caption.edge(15)
def long_captions(caption, drawings, rng) -> None:
    """captions of up to 60 tokens"""
    for least, most in ((53, 59), (22, 30)):
        expect_reply(ask(caption, drawings[0], reply=some_words(rng, most, least=least)))


@caption.edge(10)
def no_spaces_around_a_caption(caption, drawings, rng) -> None:
    """no spaces around the caption"""
    _expect_stripped(ask(caption, drawings[2], reply=f" {some_words(rng, 8)} "))


@caption.edge(10)
def caption_loaded_once(caption, drawings) -> None:
    """the model is loaded once, not on each call"""
    expect_loaded_once(caption, drawings[0])


# -- complete


@complete.core(25)
def after_any_text(complete, drawings, dialogue, rng) -> None:
    """BLIP-2's continuation of a picture and any text"""
    (first, reply), (second, _), *_ = dialogue
    prompts = ("This is", "a picture of", f"Question: {first} Answer: {reply}. Question: {second} Answer:")
    for image, prompt in zip(drawings, rng.sample(prompts, 3), strict=True):
        call = ask(complete, image, prompt, reply=f" {some_words(rng, 10)}")
        expect_picture_and_text(call, image, prompt)
        expect_reply(call, prompt=prompt)


@complete.core(20)
def unchanged_prompt(complete, drawings, dialogue, rng) -> None:
    """the model gets a question as it is, with nothing before or after it"""
    for (question, _), image in zip(dialogue, drawings[:2], strict=False):
        prompt = f"Question: {question} Answer:"
        call = ask(complete, image, prompt, reply=f" {some_words(rng, 6)}")
        expect_picture_and_text(call, image, prompt, same_spaces=True)
        expect_reply(call, prompt=prompt)


@complete.core(25)
def completion_is_greedy(complete, drawings, dialogue, rng) -> None:
    """greedy decoding: the most likely token each time"""
    prompt = f"Question: {dialogue[2][0]} Answer:"
    call = ask(complete, drawings[1], prompt, reply=f" {some_words(rng, 6)}")
    expect_picture_and_text(call, drawings[1], prompt)
    expect_greedy(call)
    expect_reply(call, prompt=prompt)


@complete.edge(11)
def long_completions(complete, drawings, rng) -> None:
    """texts of up to 30 new tokens"""
    for prompt, least, most in (("This is", 22, 28), ("a picture of", 13, 19)):
        words = some_words(rng, most, least=least)
        expect_reply(ask(complete, drawings[0], prompt, reply=f" {words}"), prompt=prompt)


@complete.edge(7)
def no_spaces_around_a_completion(complete, drawings, rng) -> None:
    """no spaces around the new text"""
    _expect_stripped(ask(complete, drawings[2], "This is", reply=f" {some_words(rng, 6)} "))


@complete.edge(6)
def spaces_of_the_prompt(complete, drawings, rng) -> None:
    """spaces at a prompt's start and end are kept"""
    call = ask(complete, drawings[0], " a photo of ", reply=some_words(rng, 6))
    expect_picture_and_text(call, drawings[0], " a photo of ", same_spaces=True)


@complete.edge(6)
def complete_loaded_once(complete, drawings) -> None:
    """the model is loaded once, not on each call"""
    expect_loaded_once(complete, drawings[0], "This is")


# -- answer


@answer.core(40)
def between_question_and_answer(answer, drawings, dialogue, rng) -> None:
    """BLIP-2's answer to the question, which is between "Question:" and "Answer:" in the prompt"""
    for (question, _), image in zip(dialogue, drawings, strict=False):
        _expect_answer(ask(answer, image, question, reply=f" {_one_word(rng)}"), image, question)


@answer.core(25)
def form_of_the_training(answer, drawings, dialogue, rng) -> None:
    """a space after "Question:" and before "Answer:", and none at the end"""
    for question, image in ((dialogue[3][0], drawings[0]), ("Describe it.", drawings[2])):
        call = ask(answer, image, question, reply=f" {_one_word(rng)}")
        _expect_answer(call, image, question, same_spaces=True)


@answer.edge(13)
def answers_of_several_words(answer, drawings, dialogue, rng) -> None:
    """the whole of an answer of several words"""
    call = ask(answer, drawings[1], dialogue[0][0], reply=f" {some_words(rng, 14, least=8)}")
    expect_reply(call, prompt=_prompt(dialogue[0][0]))


@answer.edge(12)
def no_spaces_around_an_answer(answer, drawings, dialogue, rng) -> None:
    """no spaces around the answer"""
    _expect_stripped(ask(answer, drawings[0], dialogue[1][0], reply=f" {_one_word(rng)} "))


@answer.edge(10)
def answer_loaded_once(answer, drawings) -> None:
    """the model is loaded once, not on each call"""
    expect_loaded_once(answer, drawings[0], "What is this?")


def _expect_answer(call: RecordedCall, image: Image.Image, question: str, *, same_spaces: bool = False) -> None:
    expect_picture_and_text(call, image, _prompt(question), same_spaces=same_spaces)
    expect_reply(call, prompt=_prompt(question))


def _expect_stripped(call: RecordedCall) -> None:
    expect_reply(call)
    expect(
        call.result == call.result.strip(),
        f"There are spaces or line breaks around the text: {call.result!r}. Use .strip().",
    )


def _prompt(question: str) -> str:
    return f"Question: {question} Answer:"


def _one_word(rng) -> str:
    from helpers.picturebook import COLOURS, KINDS

    return rng.choice(KINDS + COLOURS)
