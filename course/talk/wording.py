"""Paraphrases, and the ways people type."""

from __future__ import annotations

import re

from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import plain_caption

__all__ = [
    "COURTESIES",
    "GREETED",
    "REWORDINGS",
    "THANKED",
    "as_typed",
    "asked",
    "dressed",
    "plain_caption",
    "reworded",
    "sentence",
]

REWORDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"What (colou?r) (is|are) the (.+)\?",
        (
            r"Which \1 \2 the \3?",
            r"What is the \1 of the \3?",
            r"What \1 \2 the \3 in the picture?",
            r"Tell me the \1 of the \3.",
            r"The \3: what \1?",
            r"What \1 does the \3 have?",
            r"In what \1 \2 the \3 drawn?",
        ),
    ),
    (
        r"(Is|Are) the (.+) large or small\?",
        (r"What size \1 the \2?", r"\1 the \2 small or large?", r"How large \1 the \2?", r"How big \1 the \2?"),
    ),
    (
        r"How many (?!things)(.+) are there\?",
        (
            r"How many \1 can you see?",
            r"How many \1 do you see?",
            r"How many \1 are in the picture?",
            r"Count the \1.",
            r"What is the number of \1?",
            r"How many \1?",
            r"How many \1 does the picture show?",
            r"How many \1 are in this image?",
            r"Tell me how many \1 there are.",
            r"What number of \1 do you see?",
            r"Can you count the \1?",
            r"Are there any \1, and how many?",
            r"The \1: how many?",
        ),
    ),
    (
        r"Is there (.+) in the picture\?",
        (
            r"Is there \1?",
            r"Do you see \1?",
            r"Can you see \1?",
            r"Does the picture show \1?",
            r"Is \1 in this picture?",
            r"Is there \1 in this image?",
            r"Does the image contain \1?",
            r"Any sign of \1?",
        ),
    ),
    (
        r"Where is this\?",
        (
            "Where are we?",
            "Which place is this?",
            "What is the place?",
            "Where was this drawn?",
            "Where does it happen?",
        ),
    ),
    (
        r"What style is the picture\?",
        ("In what style is it drawn?", "Which style is this?", "What is the style?", "What kind of drawing is this?"),
    ),
    (
        r"How many things are in the picture\?",
        (
            "How many things are there?",
            "How many things do you see?",
            "Count the things.",
            "How many objects are there?",
            "How many things does the picture show?",
            "How many objects can you see?",
            "How many things are there in all?",
            "How many items are in the picture?",
            "What is the number of things?",
            "Count everything in the picture.",
            "How many things in total?",
            "Tell me how many things there are.",
        ),
    ),
    (
        r"What is (left of|right of|above|below|on) the (.+)\?",
        (r"Which thing is \1 the \2?", r"What do you see \1 the \2?", r"What can you see \1 the \2?"),
    ),
    (
        r"What is (on the left|on the right|at the top|at the bottom)\?",
        (r"What do you see \1?", r"What stands \1?", r"Which thing is \1?", r"What is \1 of the picture?"),
    ),
    (
        r"Where (is|are) the (.+)\?",
        (r"Where \1 the \2 in the picture?", r"Where do you see the \2?", r"Where can I find the \2?"),
    ),
    (
        r"Describe the (.+)\.",
        (r"Tell me about the \1.", r"What does the \1 look like?", r"What can you say about the \1?"),
    ),
    (r"What is in the picture\?", ("Which thing is in the picture?", "What thing do you see?", "What is it?")),
)
"""Patterns of `helpers.picturebook.questions` and their paraphrases."""

COURTESIES = ("Please ", "Can you ", "Could you ", "I want you to ", "Now ")


def reworded(question: str, rng: Rng) -> str:
    """Paraphrase the question, more often than not."""
    for pattern, others in REWORDINGS:
        if (match := re.fullmatch(pattern, question)) and rng.random() < 0.6:
            text = match.expand(pick(rng, others))
            return text[0].upper() + text[1:].replace(" Is the ", " is the ").replace(" Are the ", " are the ")
    return question


def as_typed(text: str, rng: Rng) -> str:
    """Return the text as typed in a hurry: sometimes in lower case, sometimes without final punctuation."""
    if rng.random() < 0.25:
        text = text.lower()
    if rng.random() < 0.15:
        text = text.rstrip("?.!:")
    return text


def asked(instruction: str, rng: Rng) -> str:
    """Make an instruction polite, sometimes."""
    if rng.random() < 0.25:
        polite = pick(rng, COURTESIES)
        end = "?" if polite.startswith("C") and "\n" not in instruction and ":" not in instruction else instruction[-1]
        return polite + instruction[0].lower() + instruction[1:-1] + end
    return instruction


GREETED = (
    *(
        "Hi! ",
        "Hello. ",
        "Hello! ",
        "Hey, ",
        "Good morning. ",
        "Dear assistant, ",
        "Excuse me, ",
        "Okay. ",
        "So: ",
        "Well, ",
    ),
    *("Quick question: ", "I have a request. ", "Here is a picture. ", "Next: ", "One more: ", "Task: ", "Question: "),
)
THANKED = (
    *(
        " Thanks!",
        " Thank you.",
        " Please.",
        " Thank you very much!",
        " Be brief.",
        " Take your time.",
        " I am curious.",
    ),
    *(" It is for my homework.", " English, please.", " I cannot see it well.", " Cheers!", " Don't make things up."),
)


def dressed(text: str, rng: Rng, *, end: bool = True) -> str:
    """Add a greeting before the request, sometimes, and (if `end`) sometimes thanks after it."""
    if rng.random() < 0.12:
        text = pick(rng, GREETED) + text
    if end and rng.random() < 0.1:
        text += pick(rng, THANKED)
    return text


def sentence(text: str) -> str:
    """Return the text with a capital letter and a full stop."""
    return text[0].upper() + text[1:].rstrip(".") + "."
