"""`describe_as_json`: a conversation with a scripted chat model, until a reply is good or the tries are used up.

Which replies are good is for the student's own `parse_reply` to say, so that a fault there costs nothing here.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from helpers.checks.borrowing import hint
from helpers.checks.cases import Exercise
from helpers.checks.data_urls import decode, kind_of, looks_like
from helpers.checks.expect import error_of, expect, expect_no_error, expect_propagates, expect_raises
from helpers.checks.fakes import ours, pictures_of, scripted_chat, text_of
from helpers.checks.nb03.replies import KEYS
from helpers.checks.samples import random_drawing
from helpers.checks.words import cut, described

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from PIL import Image

__all__ = ["describe_as_json"]

BAD = (
    '{"description": "A cat."}',
    '{"funny_story": "It left."}',
    "I see a cat.",
    '{"mood": "good"}',
    '{"description": 7, "funny_story": "It left."}',
    '{"description": "A cat.", "funny_story": "It',
    "",
)

describe_as_json = Exercise("describe_as_json")


@describe_as_json.given
def parse_reply(describe_as_json) -> Callable[[str], dict]:
    """The student's parse_reply, found where their describe_as_json finds it."""
    found = getattr(inspect.unwrap(describe_as_json), "__globals__", {}).get("parse_reply")
    expect(callable(found), "describe_as_json needs your function parse_reply, which is not there: run its cell first.")
    return found


@describe_as_json.given
def bad(parse_reply) -> list[str]:
    """Replies that the student's parse_reply refuses in words."""
    refused = [reply for reply in BAD if _words(_fault(parse_reply, reply)).strip()]
    expect(
        len(refused) > 1,
        f"Mend parse_reply first: it should refuse {BAD[2]!r} and {BAD[0]!r} with a ValueError. {hint('parse_reply')}",
    )
    return refused


@describe_as_json.given
def good(parse_reply, rng) -> list[str]:
    """Replies that the student's parse_reply reads, each with other words."""
    records = [
        {"description": f"Cat {n}, {{really}}.", "funny_story": f'"{n}!" it said.'} for n in rng.sample(range(999), 3)
    ]
    forms = ("{}", "```json\n{}\n```", "Here it is:\n{}\nI hope you like it.")
    replies = [form.replace("{}", json.dumps(record)) for form, record in zip(forms, records, strict=True)]
    read = [reply for reply in replies if not isinstance(error_of(lambda reply=reply: parse_reply(reply)), ValueError)]
    expect(bool(read), f"Mend parse_reply first: it should read {replies[0]!r}. {hint('parse_reply')}")
    return read


@describe_as_json.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, rng.randrange(64, 97))


@describe_as_json.core(25)
def first_good_reply(describe_as_json, parse_reply, picture, bad, good, rng) -> None:
    """what parse_reply makes of the first good reply, whether it comes first or last"""
    for max_tries, before in ((1, 0), (3, 0), (3, 2), (4, 3), (5, 3)):
        replies = [*rng.choices(bad, k=before), *rng.sample(good, len(good))]
        chat = scripted_chat(replies)
        asked = f"Reply {before + 1} of the chat model is good, and max_tries is {max_tries}"
        with expect_no_error(
            ValueError, lambda error, asked=asked: f"{asked}, but describe_as_json gives up: {cut(str(error), 200)}"
        ):
            result = describe_as_json(chat, picture, max_tries=max_tries)
        right = parse_reply(replies[before])
        expect(
            type(result) is type(right) and result == right,
            f"describe_as_json should return what parse_reply makes of the first good reply, {right}, but what it returned "
            f"is {described(result)}.",
        )
        _expect_request(chat.requests[0], picture, "The first request")


@describe_as_json.core(25)
def says_what_was_wrong(describe_as_json, parse_reply, picture, bad, good, rng) -> None:
    """after a bad reply the next request says what was wrong, and has the picture again"""
    replies = [*rng.sample(bad, min(3, len(bad))), good[0]]
    chat = scripted_chat(replies)
    with suppress(ValueError):
        describe_as_json(chat, picture, max_tries=len(replies))
    expect(
        len(chat.requests) > 1,
        f"The first reply is bad, and max_tries is {len(replies)}, but the chat model is not asked again.",
    )
    for number, (messages, reply) in enumerate(zip(chat.requests[1:], replies, strict=False), start=2):
        _expect_picture(messages, picture, f"Request {number}")
        fault = _fault(parse_reply, reply)
        expect(
            _words(fault) in _words(text_of(ours(messages))),
            f"Request {number} does not tell the model what was wrong with its reply. parse_reply's error says it: "
            f"{cut(fault, 200)!r}; put it into the message.",
        )


@describe_as_json.core(20)
def stops(describe_as_json, picture, bad, rng) -> None:
    """without a good reply it stops after max_tries requests"""
    for max_tries in (1, 2, 4):
        chat = scripted_chat(rng.choices(bad, k=max_tries))
        with suppress(ValueError):
            describe_as_json(chat, picture, max_tries=max_tries)
        expect(
            len(chat.requests) == max_tries,
            f"With max_tries={max_tries} and no good reply the chat model should be asked {_times(max_tries)}, but it is "
            f"asked {_times(len(chat.requests))}.",
        )


@describe_as_json.edge(8)
def gives_up_in_words(describe_as_json, parse_reply, picture, bad, rng) -> None:
    """without a good reply a ValueError that says how often it asked, or what was wrong at last"""
    for max_tries in (2, 3):
        replies = rng.choices(bad, k=max_tries)
        said = expect_raises(
            lambda replies=replies: describe_as_json(scripted_chat(replies), picture, max_tries=len(replies)),
            ValueError,
            "a chat model that never gives a good reply",
        )
        expect(
            str(max_tries) in said or _words(_fault(parse_reply, replies[-1])) in _words(said),
            "The error should say after how many tries it gives up, or what was wrong at last, but it says: "
            f"{cut(said, 200) or 'nothing'}",
        )


@describe_as_json.edge(6)
def a_good_reply_ends_it(describe_as_json, picture, bad, good, rng) -> None:
    """no more requests after a good reply"""
    for before in (0, 1):
        chat = scripted_chat([*rng.sample(bad, before), *good])
        describe_as_json(chat, picture)
        expect(
            len(chat.requests) == before + 1,
            f"Reply {before + 1} is good, but the chat model is asked {_times(len(chat.requests))}. Each request costs time, "
            "and with some services money.",
        )


@describe_as_json.edge(6)
def three_by_default(describe_as_json, picture, bad) -> None:
    """three requests where max_tries is not given"""
    chat = scripted_chat(bad[:1])
    with suppress(ValueError):
        describe_as_json(chat, picture)
    expect(
        len(chat.requests) == 3, f"Without max_tries there should be 3 requests, but there are {len(chat.requests)}."
    )


@describe_as_json.edge(10)
def errors_of_the_chat_model(describe_as_json, picture, bad, rng) -> None:
    """errors of the chat model itself come out, at once"""
    number = rng.randrange(1000)
    for kind in (ConnectionError, ValueError):  # LangChain's own errors are ValueErrors, too
        for before in (0, 1):
            down = kind(f"fault {number} of the service")
            chat = scripted_chat([*bad[:before], down])
            advice = "Put parse_reply alone into the try block."
            expect_propagates(lambda chat=chat: describe_as_json(chat, picture), down, "The chat model", advice)
            expect(
                len(chat.requests) == before + 1,
                f"An error of the chat model itself should come out at once, but the model is asked "
                f"{_times(len(chat.requests))}. {advice}",
            )


def _expect_request(messages: Sequence[BaseMessage], image: Image.Image, what: str) -> None:
    """Raise `CheckFailed` unless a first request has the picture in it and asks for both keys."""
    asked = text_of(ours(messages))
    for key in KEYS:
        expect(key in asked, f"{what} should name the key {key}, but it says: {cut(asked, 200)}")
    _expect_picture(messages, image, what)


def _expect_picture(messages: Sequence[BaseMessage], image: Image.Image, what: str) -> None:
    urls = pictures_of(messages)
    expect(
        any(looks_like(decode(url, "A picture of the request", kind=kind_of(url)), image) for url in urls),
        f"{what} has not got the picture in it. A chat model remembers nothing between requests: send the picture each "
        "time, for example by sending the first message again before the others.",
    )


def _fault(parse_reply: Callable[[str], dict], reply: str) -> str:
    """What the student's parse_reply says of a reply; empty where it does not refuse it with a ValueError."""
    error = error_of(lambda: parse_reply(reply))
    return str(error) if isinstance(error, ValueError) else ""


def _words(text: str) -> str:
    """The text's words in lower case, one space between them and around them."""
    return f" {' '.join(re.findall(r'[a-z0-9_]+', text.lower()))} "


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
