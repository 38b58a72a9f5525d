"""Turn a short answer ("red") into a full sentence ("The cat is red.") for the chat model."""

from __future__ import annotations

import re

from helpers.picturebook import with_article
from helpers.picturebook.words import NUMBERS, PLACE_PHRASES, SINGULARS

NUMBER_WORDS = {str(value): word for word, value in NUMBERS.items()} | {"1": "one"}
STYLE_SENTENCES = {
    "flat": "It is a flat drawing.",
    "pencil sketch": "It is a pencil sketch.",
    "pixel art": "It is pixel art.",
    "neon": "It is a neon drawing.",
}


def _how_many(kinds: str, number: str) -> str:
    kind = SINGULARS[kinds]
    if number == "1":
        return f"There is one {kind}."
    return f"There are {NUMBER_WORDS[number]} {kinds}."


def _yes_or_no(answer: str, yes: str, no: str) -> str:
    return f"Yes, {yes}." if answer == "yes" else f"No, {no}."


def full_answer(question: str, answer: str) -> str:
    """Return the sentence for a question and an answer of `helpers.picturebook.questions`.

    Raises:
        ValueError: it is not one of those questions.
    """
    forms = (
        (r"What colou?r (is|are) the (.+)\?", lambda m: f"The {m[2]} {m[1]} {answer}."),
        (r"(Is|Are) the (.+) large or small\?", lambda m: f"The {m[2]} {m[1].lower()} {answer}."),
        (r"How many things are in the picture\?", lambda m: _things(answer)),
        (r"How many (.+) are there\?", lambda m: _how_many(m[1], answer)),
        (r"Is there an? (.+) in the picture\?", lambda m: _is_there(m[1], answer)),
        (r"(Where is this|What place is this|Where does .+)\?", lambda m: f"It is {PLACE_PHRASES[answer][0]}."),
        (r"(What style is the picture|How is the picture drawn)\?", lambda m: STYLE_SENTENCES[answer]),
        (r"What is (left of|right of|above|below|on) the (.+)\?", lambda m: _what_is(m[1], m[2], answer)),
        (r"(What is in the picture|What do you see|What is this)\?", lambda m: f"It is {with_article(answer)}."),
        (
            r"(Is|Are) the (.+) (left of|right of|above|below) the (.+)\?",
            lambda m: _yes_or_no(
                answer,
                f"the {m[2]} {m[1].lower()} {m[3]} the {m[4]}",
                f"the {m[2]} {m[1].lower()} not {m[3]} the {m[4]}",
            ),
        ),
    )
    for pattern, say in forms:
        if match := re.fullmatch(pattern, question):
            return say(match)
    raise ValueError(f"{question!r} is not a question of the picture-book world.")


def _things(number: str) -> str:
    return "There is one thing." if number == "1" else f"There are {NUMBER_WORDS[number]} things."


def _is_there(kind: str, answer: str) -> str:
    return _yes_or_no(answer, f"there is {with_article(kind)}", f"there is no {kind}")


def _what_is(relation: str, of: str, kind: str) -> str:
    return f"{with_article(kind).capitalize()} is {relation} the {of}."
