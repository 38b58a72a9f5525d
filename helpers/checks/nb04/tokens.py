"""`readable`: tokens with their spaces made visible."""

from __future__ import annotations

import re

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_type
from helpers.checks.samples import random_prompt
from helpers.checks.words import described

__all__ = ["readable"]

SPACE = "\u0120"
"""How byte-level tokens write a space."""

readable = Exercise("readable")


@readable.core(40)
def at_the_start(readable, rng) -> None:
    """_ for the space at the start of a token"""
    for _ in range(3):
        _compare(readable, _tokens(random_prompt(rng, things=2)))


@readable.core(25)
def anywhere(readable, rng) -> None:
    """_ for spaces inside a token, on their own, and several in a row"""
    a, b, c = rng.sample("abcdefghjkmnpqrstuvwxyz", 3)
    tokens = [SPACE, 3 * SPACE + a, a + SPACE + b, c + SPACE, SPACE + b + SPACE + c, f"{a}{2 * SPACE}{c}"]
    _compare(readable, rng.sample(tokens, len(tokens)))


@readable.edge(12)
def other_characters(readable, rng) -> None:
    """all other characters are left unchanged"""
    tokens = ["snow_man", "Ċ", "_", ",", " ", "Ã¼", "ċ", "g", "\n", "ġ"]
    _compare(readable, rng.sample(tokens, len(tokens)))


@readable.edge(12)
def list_unchanged(readable) -> None:
    """the list of tokens is left unchanged"""
    call(readable, ["a", f"{SPACE}large", f"{SPACE}red", f"{SPACE}cat"])


@readable.edge(11)
def a_list(readable) -> None:
    """the result is a list, even without tokens"""
    for tokens in (["a", f"{SPACE}cat"], []):
        expect_type(readable(list(tokens)), list, f"For {len(tokens)} tokens, the result")
    expect(readable([]) == [], f"Without tokens, the result should be an empty list, but it is {readable([])!r}.")


def _tokens(text: str) -> list[str]:
    """The text in byte-level tokens: words and punctuation marks, each with the space before it."""
    return [piece.replace(" ", SPACE) for piece in re.findall(r" ?\w+| ?[^\w\s]", text)]


def _compare(readable, tokens: list[str]) -> None:
    result = readable(list(tokens))
    expect(
        hasattr(result, "__iter__") and not isinstance(result, str),
        f"readable should return a list with a string for each token, but it returned {described(result)}.",
    )
    result = list(result)
    expect(
        len(result) == len(tokens),
        f"readable should return a string for each of the {len(tokens)} tokens, but it returned {len(result)}.",
    )
    for token, yours in zip(tokens, result, strict=True):
        right = "_".join(token.split(SPACE))
        expect(yours == right, f"The token {token!r} should become {right!r}, but it became {yours!r}.")
