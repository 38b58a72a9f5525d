"""`improve_prompt`: the request to a scripted chat model, and what is returned of its reply."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from helpers.checks.calls import call, expect_asked_once
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_no_error, expect_raises, expect_type
from helpers.checks.fakes import scripted_chat, text_of
from helpers.checks.nb05.rows import fresh_rows
from helpers.checks.samples import random_prompt
from helpers.checks.words import cut, with_article

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["improve_prompt"]

NAMES = ("Momo", "Pippin", "Tilly", "Bruno", "Wanda", "Otis")
"""With a name in it, an idea can't be part of a neighbour by chance."""

improve_prompt = Exercise("improve_prompt")


@improve_prompt.given
def idea(rng) -> str:
    from helpers.picturebook import KINDS

    return f"a {rng.choice(KINDS)} called {rng.choice(NAMES)}"


@improve_prompt.given
def neighbours(rng) -> list[str]:
    return _prompts(7, rng)


@improve_prompt.given
def reply(rng) -> str:
    return random_prompt(rng)


@improve_prompt.core(45)
def idea_and_neighbours(improve_prompt, idea, neighbours, reply) -> None:
    """the request has the idea and the neighbours"""
    _expect_request(improve_prompt, idea, neighbours[:3], reply)


@improve_prompt.core(20)
def text_of_the_reply(improve_prompt, idea, neighbours, reply) -> None:
    """the text of the reply is returned"""
    for each in (reply, neighbours[-1]):
        result = improve_prompt(scripted_chat([each]), idea, neighbours[:2])
        expect_type(result, str, "The improved prompt", "The text of a reply is in reply.text.")
        expect(result == each, f"The model replied {each!r}, but improve_prompt returned {cut(repr(result), 200)}.")


@improve_prompt.edge(8)
def around_the_prompt(improve_prompt, idea, neighbours, reply) -> None:
    """spaces and quotation marks around the reply are removed"""
    for form in ('"{}"', " {}\n", '  "{}"\n', '\n "{}." '):
        whole = form.format(reply)
        clean = whole.strip().strip('"')
        result = improve_prompt(scripted_chat([whole]), idea, neighbours[:2])
        expect(
            result == clean,
            f"The model replied {whole!r}, so improve_prompt should return {clean!r}, without spaces and quotation marks "
            f"around it, but it returned {cut(repr(result), 200)}.",
        )


@improve_prompt.edge(4)
def inside_the_prompt(improve_prompt, idea, neighbours, reply) -> None:
    """the inside of the reply is left unchanged"""
    for whole in (f"{reply}.", f'{reply}, with "OPEN" on it, by night'):
        result = improve_prompt(scripted_chat([whole]), idea, neighbours[:2])
        expect(
            result == whole,
            f"The model replied {whole!r}, which should be returned unchanged, but improve_prompt returned "
            f"{cut(repr(result), 200)}.",
        )


@improve_prompt.edge(7)
def empty_replies(improve_prompt, idea, neighbours) -> None:
    """a ValueError if nothing is left of the reply"""
    for whole in ("  \n", ' ""\n', ""):
        expect_raises(
            lambda whole=whole: improve_prompt(scripted_chat([whole]), idea, neighbours[:2]),
            ValueError,
            f"the reply {whole!r}, of which nothing is left without spaces and quotation marks",
            hint="There is nothing to draw.",
        )


@improve_prompt.edge(3)
def nearest_first(improve_prompt, idea, neighbours, reply) -> None:
    """the request has the neighbours in their order"""
    text = _expect_request(improve_prompt, idea, neighbours[:4], reply)
    places = [text.find(prompt) for prompt in neighbours[:4]]
    expect(
        places == sorted(places),
        "The request should have the neighbours in the order they come in, the nearest first.",
    )


@improve_prompt.edge(3)
def many_or_none(improve_prompt, idea, neighbours, reply) -> None:
    """all of seven neighbours are used, and there may be none"""
    _expect_request(improve_prompt, idea, neighbours, reply)
    _expect_request(improve_prompt, idea, [], reply)


@improve_prompt.edge(3)
def one_request(improve_prompt, idea, neighbours, reply) -> None:
    """the model is asked once"""
    chat = scripted_chat([reply])
    improve_prompt(chat, idea, neighbours[:3])
    expect_asked_once(chat.requests)


@improve_prompt.edge(4)
def braces(improve_prompt, reply) -> None:
    """braces in an idea or a neighbour are left unchanged"""
    idea, neighbours = "a {kind} in {0}", ["100 % {neon}", "{} and {prompt}"]
    with expect_no_error(
        (KeyError, IndexError, ValueError),
        lambda error: (
            f"An idea with braces, {idea!r}, raises {with_article(type(error).__name__)}: the braces were taken for a "
            "template's placeholder. Put ideas and prompts into the finished message (an f-string does), not into the "
            "template itself."
        ),
    ):
        _expect_request(improve_prompt, idea, neighbours, reply)


@improve_prompt.edge(3)
def list_unchanged(improve_prompt, idea, neighbours, reply) -> None:
    """the list of neighbours is left unchanged"""
    call(improve_prompt, scripted_chat([reply]), idea, neighbours[:3])


def _expect_request(improve_prompt: Callable, idea: str, neighbours: Sequence[str], reply: str) -> str:
    """Raise `CheckFailed` unless one request contains the idea and all neighbours; return its text."""
    chat: BaseChatModel = scripted_chat([reply])
    improve_prompt(chat, idea, list(neighbours))
    expect(bool(chat.requests), "The chat model was not asked.")
    text = max(map(text_of, chat.requests), key=lambda text: sum(each in text for each in (idea, *neighbours)))
    expect(idea in text, f"The request should contain the idea, {idea!r}, but it is: {cut(text, 300)!r}")
    count = sum(prompt in text for prompt in neighbours)
    expect(
        count == len(neighbours),
        f"The request should contain all {len(neighbours)} neighbours, but it contains {count}: {cut(text, 300)!r}",
    )
    return text


def _prompts(n: int, rng: random.Random) -> list[str]:
    """n prompts, none part of another, so that each is found in a request only if it was put there."""
    found: list[str] = []
    for row in fresh_rows(5 * n, rng):
        if not any(row["prompt"] in other or other in row["prompt"] for other in found):
            found.append(row["prompt"])
    return found[:n]
