"""`prompts_in`: lists with all kinds of markers, with chat around them, and replies without a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect, expect_type
from helpers.checks.samples import random_prompts
from helpers.checks.words import cut

__all__ = ["prompts_in"]

MARKERS = ("{}) {}", "({}) {}", "{}: {}", "- {1}", "* {1}", "• {1}")
"""All but "1. "."""
WRAPPERS = ('"{}"', "“{}”", "**{}**", '**"{}"**', "'{}'", "`{}`", ' "{}" ')
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
def other_markers(prompts_in, rng) -> None:
    """other list markers: 1) (1) 1: - * •"""
    for marker in rng.sample(MARKERS, len(MARKERS)):
        right = random_prompts(rng, 2)
        _expect_prompts(prompts_in, f"Of course:\n{_listed(marker, right)}", right)


@prompts_in.edge(8)
def quotes_and_asterisks(prompts_in, rng) -> None:
    """quotes, asterisks and spaces at both ends are removed"""
    for wrapper in WRAPPERS:
        right = random_prompts(rng, 2)
        _expect_prompts(prompts_in, _listed("{}. {}", [wrapper.format(text) for text in right]), right)


@prompts_in.edge(5)
def inside_of_a_prompt(prompts_in, rng) -> None:
    """the inside of a prompt is left unchanged, and so is a full stop at its end"""
    right = [
        "a box, a ball, etc.",
        'a sign that says "open" on a *very* old house',
        f"{rng.randrange(2, 9)} stars in a 50-50 mix",
        "a box - and a ball",
    ]
    _expect_prompts(prompts_in, _listed("{}. {}", right), right)


@prompts_in.edge(6)
def numbers_that_are_not_markers(prompts_in, rng) -> None:
    """a line that starts with a number but not with a marker is chat"""
    right = [f"{rng.randrange(2, 9)} cats on a sofa", *random_prompts(rng, 1)]
    number = rng.randrange(2, 9)
    chat = f"{number} cats would be nice, too\n{number}.5 of them small\n-{number} degrees, so take a coat"
    _expect_prompts(prompts_in, f"{chat}\n{_listed('{}. {}', right)}", right)


@prompts_in.edge(4)
def repeated_prompts(prompts_in, rng) -> None:
    """a prompt that comes twice is returned twice"""
    right = random_prompts(rng, 2) * 2
    _expect_prompts(prompts_in, _listed("{}. {}", right), right)


@prompts_in.edge(3)
def no_list(prompts_in) -> None:
    """an empty list if the reply has no list"""
    for reply in ("I only know picture-book scenes.", "Sorry!\n\nI have no idea.", ""):
        _expect_prompts(prompts_in, reply, [])


@prompts_in.edge(3)
def empty_lines_of_the_list(prompts_in, rng) -> None:
    """a marker with nothing or only empty quotes after it is left out"""
    right = random_prompts(rng, 2)
    _expect_prompts(prompts_in, f'1. ""\n2. {right[0]}\n3.  \n4. ****\n5. {right[1]}', right)


@prompts_in.edge(3)
def spaces_around_the_marker(prompts_in, rng) -> None:
    """spaces before the marker, and more than one after it"""
    right = random_prompts(rng, 3)
    _expect_prompts(prompts_in, _listed("   {}.  {}", right), right)


def _listed(marker: str, texts: Sequence[str]) -> str:
    return "\n".join(marker.format(i, text) for i, text in enumerate(texts, start=1))


def _expect_prompts(prompts_in, reply: str, right: list[str]) -> None:
    """Raise `CheckFailed` unless the student's function finds these prompts in the reply."""
    result = prompts_in(reply)
    situation = f"For the reply {cut(repr(reply), 200)}"
    expect_type(result, list, f"{situation}, what prompts_in returns")
    if result == right:
        return
    texts = [str(text) for text in result]
    for text in (text for text in texts if text not in right):
        expect(
            not re.match(r"\s*(?:\(?\d+[.):]|[-*•])\s", text),
            f"{situation}, there is a list marker left in {text!r}. Remove it.",
        )
        expect(
            text == text.strip(ENDS),
            f"{situation}, there are quotes, asterisks or spaces left at the ends of {text!r}. Remove them.",
        )
    expect("" not in texts, f"{situation}, prompts_in returned an empty string, which is not a prompt: leave it out.")
    expect(
        len(texts) == len(right) or set(texts) != set(right),
        f"{situation}, prompts_in should return {len(right)} prompts, but it returned {len(texts)}. Keep a "
        "prompt that comes twice.",
    )
    more = [text for text in texts if text not in right]
    less = [text for text in right if text not in texts]
    expect(
        not more or bool(less),
        f"{situation}, prompts_in returned {more[:1]}, which is not a prompt: only lines that start with a list marker are.",
    )
    expect(not less or bool(more), f"{situation}, prompts_in missed the prompt {less[:1]}.")
    raise CheckFailed(f"{situation}, prompts_in should return {right}, but it returned {result}.")
