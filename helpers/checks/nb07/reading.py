"""`prompts_in`: lists with all kinds of marks, with chat around them, and replies that list nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect, expect_type
from helpers.checks.samples import random_prompts
from helpers.checks.words import cut

__all__ = ["prompts_in"]

MARKS = ("{}) {}", "({}) {}", "{}: {}", "- {1}", "* {1}", "• {1}")
"""All but "1. "."""
DRESSES = ('"{}"', "“{}”", "**{}**", '**"{}"**', "'{}'", "`{}`", ' "{}" ')
ENDS = " \t\r\"'“”‘’*`"

prompts_in = Exercise("prompts_in")


@prompts_in.core(38)
def numbered_list(prompts_in, rng) -> None:
    """a numbered list with chat around it"""
    for n in (1, 4, 12):
        right = random_prompts(rng, n)
        listed = _listed("{}. {}", right)
        _expect_prompts(prompts_in, f"Sure! Here they are:\n\n{listed}\n\nLet me know if you need more!", right)


@prompts_in.core(30)
def other_marks(prompts_in, rng) -> None:
    """other marks: 1) (1) 1: - * •"""
    for mark in rng.sample(MARKS, len(MARKS)):
        right = random_prompts(rng, 2)
        _expect_prompts(prompts_in, f"Of course:\n{_listed(mark, right)}", right)


@prompts_in.edge(8)
def quotes_and_asterisks(prompts_in, rng) -> None:
    """quotes, asterisks and spaces at both ends are taken away"""
    for dress in DRESSES:
        right = random_prompts(rng, 2)
        _expect_prompts(prompts_in, _listed("{}. {}", [dress.format(text) for text in right]), right)


@prompts_in.edge(5)
def inside_of_a_prompt(prompts_in, rng) -> None:
    """what stands inside a prompt stays, and so does a full stop at its end"""
    right = [
        "a box, a ball, etc.",
        'a sign that says "open" on a *very* old house',
        f"{rng.randrange(2, 9)} stars in a 50-50 mix",
        "a box - and a ball",
    ]
    _expect_prompts(prompts_in, _listed("{}. {}", right), right)


@prompts_in.edge(6)
def numbers_that_are_not_marks(prompts_in, rng) -> None:
    """a line that starts with a number of things is chat"""
    right = [f"{rng.randrange(2, 9)} cats on a sofa", *random_prompts(rng, 1)]
    number = rng.randrange(2, 9)
    chat = f"{number} cats would be nice, too\n{number}.5 of them small\n-{number} degrees, so take a coat"
    _expect_prompts(prompts_in, f"{chat}\n{_listed('{}. {}', right)}", right)


@prompts_in.edge(4)
def the_same_twice(prompts_in, rng) -> None:
    """a prompt that comes twice stays twice"""
    right = random_prompts(rng, 2) * 2
    _expect_prompts(prompts_in, _listed("{}. {}", right), right)


@prompts_in.edge(3)
def nothing_listed(prompts_in) -> None:
    """an empty list where nothing is listed"""
    for reply in ("I only know picture-book scenes.", "Sorry!\n\nI have no idea.", ""):
        _expect_prompts(prompts_in, reply, [])


@prompts_in.edge(3)
def empty_lines_of_the_list(prompts_in, rng) -> None:
    """a mark with nothing after it, or with empty quotes, is left out"""
    right = random_prompts(rng, 2)
    _expect_prompts(prompts_in, f'1. ""\n2. {right[0]}\n3.  \n4. ****\n5. {right[1]}', right)


@prompts_in.edge(3)
def spaces_around_the_mark(prompts_in, rng) -> None:
    """spaces before the mark, and more than one after it"""
    right = random_prompts(rng, 3)
    _expect_prompts(prompts_in, _listed("   {}.  {}", right), right)


def _listed(mark: str, texts: Sequence[str]) -> str:
    return "\n".join(mark.format(i, text) for i, text in enumerate(texts, start=1))


def _expect_prompts(prompts_in, reply: str, right: list[str]) -> None:
    """Raise `CheckFailed` unless the student's function finds these prompts in the reply."""
    result = prompts_in(reply)
    of_the_reply = f"For the reply {cut(repr(reply), 200)}"
    expect_type(result, list, f"{of_the_reply}, what prompts_in returns")
    if result == right:
        return
    texts = [str(text) for text in result]
    for text in (text for text in texts if text not in right):
        expect(
            not re.match(r"\s*(?:\(?\d+[.):]|[-*•])\s", text),
            f"{of_the_reply}, a mark is still there: {text!r}. Take it away.",
        )
        expect(
            text == text.strip(ENDS),
            f"{of_the_reply}, there are quotes, asterisks or spaces left at the ends of {text!r}.",
        )
    expect(
        "" not in texts, f"{of_the_reply}, prompts_in returned an empty string, which is not a prompt: leave it out."
    )
    expect(
        len(texts) == len(right) or set(texts) != set(right),
        f"{of_the_reply}, prompts_in should return {len(right)} prompts, but it returned {len(texts)}. One that comes twice "
        "stays twice.",
    )
    more = [text for text in texts if text not in right]
    less = [text for text in right if text not in texts]
    expect(
        not more or bool(less),
        f"{of_the_reply}, prompts_in found {more[:1]}, which is not a prompt: only lines that start with a mark are.",
    )
    expect(not less or bool(more), f"{of_the_reply}, prompts_in missed {less[:1]}.")
    raise CheckFailed(f"{of_the_reply}, prompts_in should return {right}, but it returned {result}.")
