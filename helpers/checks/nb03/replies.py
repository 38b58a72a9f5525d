"""`parse_reply`: bare JSON, JSON in a code fence and within chat, and replies that should be rejected."""

from __future__ import annotations

import json
import random

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_no_error, expect_raises
from helpers.checks.words import cut, described

__all__ = ["KEYS", "parse_reply"]

KEYS = ("description", "funny_story")
NO_OBJECT_WORDS = ("json", "object", "dict", *KEYS)
"""An error for a reply without any object should contain one of these words."""

PIECES = ("a red cat", "100 %", "'quoted'", "colon: comma, end", "null", "the description", "`code`", "a ☃")
HARD = ('it said "no"', "a back\\slash", "one\ntwo", "a 🙂")
"""Texts that only a JSON parser reads correctly: JSON writes them with backslashes, the last one as two characters."""
BRACES = ("a {small} box", "}{", "[1, 2]", '{"n": 1}', ":-{", "a 🙂")
FENCES = (("", ""), ("```json\n", "\n```"), ("```\n", "\n```"), ("```JSON\n", "```"))

parse_reply = Exercise("parse_reply")


@parse_reply.core(25)
def bare_or_in_a_fence(parse_reply, rng) -> None:
    """replies that are JSON and nothing else, bare or in a code fence"""
    for fence in FENCES:
        for indent in (None, 2):
            right = _record(rng, HARD)
            what = f"a reply {'in a code fence' if fence[0] else 'that is JSON and nothing else'}"
            _expect_reads(parse_reply, _reply(right, rng, fence=fence, indent=indent), right, what)


@parse_reply.core(20)
def within_chat(parse_reply, rng) -> None:
    """chatty replies, and braces inside the strings"""
    before = ("Sure! ", "Here it is:\n\n", 'I am "very" happy to help.\n')
    after = ("", "\nI hope that helps.", "\n\nLet me know if it's too long!")
    for fence in FENCES:
        right = _record(rng, BRACES)
        text = rng.choice(before) + _reply(right, rng, fence=fence) + rng.choice(after)
        _expect_reads(parse_reply, text, right, "a chatty reply")


@parse_reply.core(25)
def missing_key(parse_reply, rng) -> None:
    """a ValueError that names the missing key"""
    number = rng.randrange(1000)
    replies = {
        "funny_story": json.dumps({"description": f"A cat, number {number}."}),
        "description": json.dumps({"funny_story": f"It left at {number}."}),
    }
    errors = [_expect_rejected(parse_reply, text, [key], f"a reply without {key}") for key, text in replies.items()]
    expect(
        errors[0] != errors[1],
        f"Whichever key is missing, your error says: {cut(errors[0], 200)} The model that reads it should learn which one "
        "it was.",
    )


@parse_reply.edge(7)
def braces_in_the_chat(parse_reply, rng) -> None:
    """braces in the chat, before and after"""
    for before in ("Here {is} your JSON:\n", "Of course :-{\n", "As you asked {in JSON}: "):
        for after in ("", "\nWas {that} funny?", "\n:-}"):
            right = _record(rng, BRACES)
            text = before + _reply(right, rng, fence=rng.choice(FENCES)) + after
            _expect_reads(parse_reply, text, right, "a chatty reply with other braces")


@parse_reply.edge(7)
def other_objects_first(parse_reply, rng) -> None:
    """objects that lack a key before the complete one"""
    for before in ('You wrote {"keys": 2}:\n', '{"description": "a draft"}\n', '{"funny_story": null} No: '):
        right = _record(rng, PIECES)
        what = "a reply whose first object lacks a key"
        _expect_reads(parse_reply, before + _reply(right, rng, fence=rng.choice(FENCES)), right, what)


@parse_reply.edge(4)
def first_of_two(parse_reply, rng) -> None:
    """of two objects with both keys, the first counts"""
    right, second = _record(rng, PIECES), _record(rng, PIECES)
    for after in (json.dumps(second), '{"funny_story": "another"}'):
        text = f"{json.dumps(right)}\nOr rather:\n{after}"
        _expect_reads(parse_reply, text, right, "a reply with a second object")


@parse_reply.edge(4)
def only_the_two_keys(parse_reply, rng) -> None:
    """other keys are left out, and the strings are unchanged"""
    for more in ({"mood": "good"}, {"things": [{"kind": "cat"}, 2], "mood": None}):
        right = {key: f" {value}\n" for key, value in _record(rng, PIECES).items()}
        _expect_reads(parse_reply, json.dumps({**more, **right}), right, "a reply with another key")


@parse_reply.edge(4)
def values_that_are_not_strings(parse_reply, rng) -> None:
    """a ValueError that names a key whose value is not a string, or both keys if both are missing"""
    for i, value in enumerate((None, 7, 1.5, True, ["a"], {"text": "a"})):
        key, other = KEYS if i % 2 else KEYS[::-1]
        text = f"```json\n{json.dumps({other: f'number {rng.randrange(1000)}', key: value})}\n```"
        _expect_rejected(parse_reply, text, [key], f"a reply whose {key} is {value!r}")
    _expect_rejected(parse_reply, f'Here: {{"mood": {rng.randrange(1000)}}}', KEYS, "a reply without either key")


@parse_reply.edge(4)
def no_object_at_all(parse_reply, rng) -> None:
    """a ValueError that says so if there is no JSON object, or only half of one"""
    whole = json.dumps(_record(rng, PIECES))
    code = '{"description": str(6 * 7), "funny_story": "x"}'
    for text in ("", "  ", "null", "[1, 2]", "I see a cat. It is {red}.", whole[: -rng.randrange(1, 8)], code):
        expect_raises(lambda text=text: parse_reply(text), ValueError, f"the reply {text!r}", mentions=NO_OBJECT_WORDS)


def _record(rng: random.Random, pieces: tuple[str, ...]) -> dict[str, str]:
    """A record with both keys, whose texts contain each of these pieces."""
    return {key: " ".join([str(rng.randrange(1000)), *rng.sample(pieces, len(pieces))]) for key in KEYS}


def _reply(right: dict[str, str], rng: random.Random, *, fence: tuple[str, str], indent: int | None = None) -> str:
    """The record as JSON in a fence, with its keys in random order."""
    return fence[0] + json.dumps(dict(rng.sample([*right.items()], len(right))), indent=indent) + fence[1]


def _expect_reads(parse_reply, text: str, right: dict[str, str], what: str) -> None:
    """Raise `CheckFailed` unless exactly this record is read from the text; `what` names the text."""
    shown = f"For {what},\n{cut(text, 400)}\n"
    with expect_no_error(
        ValueError,
        lambda error: f"{shown}parse_reply should return a dict, but it raised a ValueError: {cut(str(error), 200)}",
    ):
        result = parse_reply(text)
    expect(type(result) is dict, f"{shown}parse_reply should return a dict, but it returned {described(result)}.")
    more = [key for key in result if key not in KEYS]
    expect(not more, f"{shown}the dict should have only the keys {' and '.join(KEYS)}, but it also has {more}.")
    expect(
        result == right and all(type(value) is str for value in result.values()),
        f"{shown}parse_reply should return\n{right}\nbut it returned\n{cut(repr(result), 400)}",
    )


def _expect_rejected(parse_reply, text: str, missing, what: str) -> str:
    """Raise `CheckFailed` unless the text is rejected with a ValueError that names these keys; return its message."""
    message = expect_raises(lambda: parse_reply(text), ValueError, what)
    for key in missing:
        expect(
            key in message,
            f"For {what}, the error should name the key {key}, because the model will read it, but it says: "
            f"{cut(message, 200) or 'nothing'}",
        )
    return message
