"""`describe_as_json`: a conversation with a scripted chat model, until a reply is good or the tries run out.

The student's own `parse_reply` decides which replies are good, so a mistake in it costs no points here.
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
from helpers.checks.fakes import pictures_of, scripted_chat, text_of, without_replies
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
    expect(
        callable(found), "describe_as_json needs your function parse_reply, which is not defined: run its cell first."
    )
    return found


@describe_as_json.given
def bad(parse_reply) -> list[str]:
    """Replies that the student's parse_reply rejects with a message."""
    rejected = [reply for reply in BAD if _words(_error_message(parse_reply, reply)).strip()]
    expect(
        len(rejected) > 1,
        f"Fix parse_reply first: it should reject {BAD[2]!r} and {BAD[0]!r} with a ValueError. {hint('parse_reply')}",
    )
    return rejected


@describe_as_json.given
def good(parse_reply, rng) -> list[str]:
    """Replies that the student's parse_reply accepts, all different."""
    records = [
        {"description": f"Cat {n}, {{really}}.", "funny_story": f'"{n}!" it said.'} for n in rng.sample(range(999), 3)
    ]
    forms = ("{}", "```json\n{}\n```", "Here it is:\n{}\nI hope you like it.")
    replies = [form.replace("{}", json.dumps(record)) for form, record in zip(forms, records, strict=True)]
    accepted = [
        reply for reply in replies if not isinstance(error_of(lambda reply=reply: parse_reply(reply)), ValueError)
    ]
    expect(bool(accepted), f"Fix parse_reply first: it should accept {replies[0]!r}. {hint('parse_reply')}")
    return accepted


@describe_as_json.given
def picture(rng) -> Image.Image:
    return random_drawing(rng, rng.randrange(64, 97))


@describe_as_json.core(25)
def first_good_reply(describe_as_json, parse_reply, picture, bad, good, rng) -> None:
    """parse_reply's result for the first good reply, whether it comes first or last"""
    for max_tries, before in ((1, 0), (3, 0), (3, 2), (4, 3), (5, 3)):
        replies = [*rng.choices(bad, k=before), *rng.sample(good, len(good))]
        chat = scripted_chat(replies)
        situation = f"Reply {before + 1} of the chat model is good, and max_tries is {max_tries}"
        with expect_no_error(
            ValueError,
            lambda error, situation=situation: f"{situation}, but describe_as_json gives up: {cut(str(error), 200)}",
        ):
            result = describe_as_json(chat, picture, max_tries=max_tries)
        right = parse_reply(replies[before])
        expect(
            type(result) is type(right) and result == right,
            f"describe_as_json should return parse_reply's result for the first good reply, {right}, but it returned "
            f"{described(result)}.",
        )
        _expect_request(chat.requests[0], picture, "The first request")


@describe_as_json.core(25)
def next_request(describe_as_json, parse_reply, picture, bad, good, rng) -> None:
    """after a bad reply, the next request says what was wrong and has the picture again"""
    replies = [*rng.sample(bad, min(3, len(bad))), good[0]]
    chat = scripted_chat(replies)
    with suppress(ValueError):
        describe_as_json(chat, picture, max_tries=len(replies))
    expect(
        len(chat.requests) > 1,
        f"The first reply is bad, and max_tries is {len(replies)}, but the chat model was not asked again.",
    )
    for number, (messages, reply) in enumerate(zip(chat.requests[1:], replies, strict=False), start=2):
        _expect_picture(messages, picture, f"Request {number}")
        fault = _error_message(parse_reply, reply)
        expect(
            _words(fault) in _words(text_of(without_replies(messages))),
            f"Request {number} does not say what was wrong with the reply. Put the text of parse_reply's error "
            f"into the message: {cut(fault, 200)!r}.",
        )


@describe_as_json.core(20)
def request_limit(describe_as_json, picture, bad, rng) -> None:
    """without a good reply, it stops after max_tries requests"""
    for max_tries in (1, 2, 4):
        chat = scripted_chat(rng.choices(bad, k=max_tries))
        with suppress(ValueError):
            describe_as_json(chat, picture, max_tries=max_tries)
        expect(
            len(chat.requests) == max_tries,
            f"With max_tries={max_tries} and no good reply, the chat model should be asked {_times(max_tries)}, but it was "
            f"asked {_times(len(chat.requests))}.",
        )


@describe_as_json.edge(8)
def message_when_giving_up(describe_as_json, parse_reply, picture, bad, rng) -> None:
    """without a good reply, a ValueError that says how often it asked, or what was wrong the last time"""
    for max_tries in (2, 3):
        replies = rng.choices(bad, k=max_tries)
        message = expect_raises(
            lambda replies=replies: describe_as_json(scripted_chat(replies), picture, max_tries=len(replies)),
            ValueError,
            "a chat model that never gives a good reply",
        )
        expect(
            str(max_tries) in message or _words(_error_message(parse_reply, replies[-1])) in _words(message),
            "The error should say after how many tries it gives up, or what was wrong the last time, but it says: "
            f"{cut(message, 200) or 'nothing'}",
        )


@describe_as_json.edge(6)
def no_extra_requests(describe_as_json, picture, bad, good, rng) -> None:
    """no more requests after a good reply"""
    for before in (0, 1):
        chat = scripted_chat([*rng.sample(bad, before), *good])
        describe_as_json(chat, picture)
        expect(
            len(chat.requests) == before + 1,
            f"Reply {before + 1} is good, but the chat model was asked {_times(len(chat.requests))}. Stop there: each "
            "request costs time and, with some services, money.",
        )


@describe_as_json.edge(6)
def three_tries_by_default(describe_as_json, picture, bad) -> None:
    """three requests by default"""
    chat = scripted_chat(bad[:1])
    with suppress(ValueError):
        describe_as_json(chat, picture)
    expect(
        len(chat.requests) == 3, f"Without max_tries there should be 3 requests, but there were {len(chat.requests)}."
    )


@describe_as_json.edge(10)
def errors_of_the_chat_model(describe_as_json, picture, bad, rng) -> None:
    """errors of the chat model itself are let through, at once"""
    number = rng.randrange(1000)
    for kind in (ConnectionError, ValueError):  # LangChain's own errors are ValueErrors, too
        for before in (0, 1):
            down = kind(f"fault {number} of the service")
            chat = scripted_chat([*bad[:before], down])
            advice = "Put only parse_reply into the try block."
            expect_propagates(lambda chat=chat: describe_as_json(chat, picture), down, "The chat model", advice)
            expect(
                len(chat.requests) == before + 1,
                f"An error of the chat model itself should be let through at once, but the model was asked "
                f"{_times(len(chat.requests))}. {advice}",
            )


def _expect_request(messages: Sequence[BaseMessage], image: Image.Image, what: str) -> None:
    """Raise `CheckFailed` unless a first request has the picture in it and asks for both keys."""
    request = text_of(without_replies(messages))
    for key in KEYS:
        expect(key in request, f"{what} should name the key {key}, but it says: {cut(request, 200)}")
    _expect_picture(messages, image, what)


def _expect_picture(messages: Sequence[BaseMessage], image: Image.Image, what: str) -> None:
    urls = pictures_of(messages)
    expect(
        any(looks_like(decode(url, "A picture of the request", kind=kind_of(url)), image) for url in urls),
        f"{what} does not contain the picture. A chat model remembers nothing between requests: send the picture each time, "
        "for example by sending the first message again before the others.",
    )


def _error_message(parse_reply: Callable[[str], dict], reply: str) -> str:
    """The ValueError's message with which the student's parse_reply rejects a reply; empty if it does not."""
    error = error_of(lambda: parse_reply(reply))
    return str(error) if isinstance(error, ValueError) else ""


def _words(text: str) -> str:
    """The text's words in lower case, one space between them and around them."""
    return f" {' '.join(re.findall(r'[a-z0-9_]+', text.lower()))} "


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
