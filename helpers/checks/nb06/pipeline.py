"""`run_pipeline`: whether the record holds each stage's output, and whether it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.calls import expect_asked_once
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect
from helpers.checks.fakes import FakeGenerator, fake_chat, recorded_display, scripted_chat, text_of
from helpers.checks.nb06.choosing import expect_best
from helpers.checks.samples import random_prompt
from helpers.checks.words import described

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["run_pipeline"]

UNKNOWN = "zyxwv"
"""A keyword that no story has."""

run_pipeline = Exercise("run_pipeline")


@run_pipeline.given
def story(rng) -> str:
    from helpers import stories

    return rng.choice(stories.read())


@run_pipeline.given
def keyword(story) -> str:
    """A word of the story that no other has."""
    from helpers import stories

    others = {word for other in stories.read() if other != story for word in stories.words(other)}
    return next(word for word in stories.words(story) if word not in others)


@run_pipeline.given
def prompt(rng) -> str:
    return random_prompt(rng)


class Run(NamedTuple):
    """A run of the pipeline: its record, the calls of its parts, and the HTML pages that it showed."""

    record: Mapping[str, Any]
    requests: list[str]
    fake: FakeGenerator
    second_calls: list[tuple[str, Image.Image]]
    pages: list[str]

    def part(self, key: str):
        """Return the record's value for this key."""
        expect(key in self.record, f"The record should have {key!r}, but its keys are {list(self.record)}.")
        return self.record[key]


@run_pipeline.core(25)
def text_and_prompt(run_pipeline, keyword, story, prompt) -> None:
    """the text found for the keywords, and the prompt that the chat model wrote for it"""
    run = _run(run_pipeline, [UNKNOWN, keyword], prompt, [0.4, 0.6])
    found = f"the story that get_text finds for {[UNKNOWN, keyword]}, {story!r}"
    expect(run.part("text") == story, f"The record's text should be {found}, but it is {described(run.part('text'))}.")
    _expect_prompt(run, story, prompt)


@run_pipeline.core(20)
def best_of_the_pictures(run_pipeline, keyword, prompt, rng) -> None:
    """the best of n pictures, drawn from the prompt and rated by the prompt"""
    for n in (1, 2, 4):
        scores = [score / 100 for score in rng.sample(range(100), n)]
        run = _run(run_pipeline, [keyword], prompt, scores)
        prompts = {drawn.prompt for drawn in run.fake.drawn}
        expect(
            prompts == {prompt},
            f"The pictures should be drawn from the prompt, {prompt!r}, but they were drawn from {prompts}.",
        )
        expect_best(run.fake, (run.part("image"), run.part("score")), prompt, n)
        expect(
            list(run.part("scores")) == scores,
            f"The record's scores should be those of all {n} pictures, {scores}, but they are {run.part('scores')}.",
        )


@run_pipeline.core(20)
def second_rater(run_pipeline, keyword, prompt) -> None:
    """the second judge's score of the chosen picture, rated by the prompt"""
    run = _run(run_pipeline, [keyword], prompt, [0.3, 0.8, 0.5], second_score=0.25)
    expect(
        len(run.second_calls) == 1,
        f"second should be called once, for the chosen picture, but there were {len(run.second_calls)} calls.",
    )
    ((text, image),) = run.second_calls
    expect(text == prompt, f"second should get the prompt, {prompt!r}, but it got {text!r}.")
    expect(image is run.part("image"), "second should get the chosen picture, but it got a different one.")
    expect(
        run.part("second_score") == 0.25,
        f"The record's second_score should be what second returns, 0.25, but it is {described(run.part('second_score'))}.",
    )


@run_pipeline.edge(12)
def shown_in_one_figure(run_pipeline, keyword, story, prompt) -> None:
    """the record is shown in one figure"""
    run = _run(run_pipeline, [keyword], prompt, [0.5, 0.2])
    figures = [page for page in run.pages if "<img" in page]
    expect(
        len(figures) == 1,
        f"The record should be shown in one figure, with show_record(record), but {len(figures)} figures were shown.",
    )
    for what, text in (("text", story), ("prompt", prompt)):
        expect(text in unescape(figures[0]), f"The figure should show the record's {what}, {text!r}.")


@run_pipeline.edge(11)
def default_chat_model(run_pipeline, keyword, story, prompt) -> None:
    """without chat, chat_model("text") writes the prompt"""
    _expect_prompt(_run(run_pipeline, [keyword], prompt, [0.5], default_chat=True), story, prompt)


@run_pipeline.edge(12)
def keywords_as_given(run_pipeline, keyword, story, prompt) -> None:
    """the record has the keywords as they were given, a list or a string"""
    for keywords in ([UNKNOWN, keyword], f"{UNKNOWN}, {keyword}"):
        run = _run(run_pipeline, keywords, prompt, [0.5])
        expect(
            run.part("keywords") == keywords,
            f"The record's keywords should be {keywords!r}, as they were given, but they are {run.part('keywords')!r}.",
        )
        expect(run.part("text") == story, f"For the keywords {keywords!r} the text should be {story!r}.")


def _run(
    run_pipeline,
    keywords: Sequence[str] | str,
    prompt: str,
    scores: Sequence[float],
    *,
    second_score: float = 0.5,
    default_chat: bool = False,
) -> Run:
    """Run the pipeline with fakes in place of its parts; raise `CheckFailed` unless it returns a dict.

    Args:
        run_pipeline: the student's function.
        keywords: the keywords to search for.
        prompt: what the chat model writes.
        scores: the scores of the pictures to be drawn.
        second_score: the second judge's score.
        default_chat: pass no chat model, so that the function has to use chat_model("text").
    """
    chat, fake = scripted_chat([prompt]), FakeGenerator(scores)
    second_calls: list[tuple[str, Image.Image]] = []

    def second(text, image):
        second_calls.append((text, image))
        return second_score

    parts = {"generate": fake.generate, "rate": fake.rate, "second": second} | ({} if default_chat else {"chat": chat})
    given = list(keywords) if isinstance(keywords, list) else keywords
    with recorded_display() as shown, fake_chat(lambda request: prompt) as requests:
        record = run_pipeline(given, n=len(scores), **parts)
    expect(isinstance(record, Mapping), f"run_pipeline should return a dict, but it returned {described(record)}.")
    texts = (
        [request.text for request in requests] if default_chat else [text_of(messages) for messages in chat.requests]
    )
    return Run(record, texts, fake, second_calls, [getattr(each, "data", None) or repr(each) for each in shown])


def _expect_prompt(run: Run, story: str, prompt: str) -> None:
    expect_asked_once(run.requests)
    expect(
        story in run.requests[0], f"The request to the chat model should have the text, but it is {run.requests[0]!r}."
    )
    expect(
        run.part("prompt") == prompt,
        f"The record's prompt should be what image_prompt finds in the reply, {prompt!r}, but it is "
        f"{described(run.part('prompt'))}.",
    )
