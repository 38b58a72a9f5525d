"""Criterion: prompts, which `helpers.prompts` compares as in the notebook; and descriptions read as scenes."""

from __future__ import annotations

import re

from course.assess.case import PICTURES, RECORDS, Case, Finding
from helpers.picturebook import Scene, parse
from helpers.prompts import distinct, on_subject, same, subject

__all__ = ["prompts", "scene_of"]

#: How a chat model opens a description.
OPENING = re.compile(
    r"^(?:(?:the|this) (?:picture|image) (?:shows|is)|there (?:is|are)|it (?:shows|is))(?: of)? ", re.I
)


def scene_of(text: str) -> Scene | None:
    """The scene that the first sentence tells of; None where it is no caption of the picture-book world."""
    sentence = re.split(r"[.!?\n]", text.strip(), maxsplit=1)[0]
    try:
        return parse(OPENING.sub("", sentence))
    except ValueError:
        return None


def prompts(case: Case) -> Finding:
    """Four prompts a record, no two of which ask for the same picture, each about what the description tells of."""
    good, messages = 0, []
    for name, record, _, _ in case.judged():
        ones = record.prompts[:RECORDS]
        for i, prompt in enumerate(ones):
            twin = next((k for k in range(i) if same(ones[k], prompt)), None)
            if not distinct([prompt]):
                fault = "says nothing that could be painted"
            elif twin is not None:
                fault = (
                    f"asks for the same picture as prompt {twin + 1}: a number, filler or another word for the same "
                    "thing makes no new prompt"
                )
            elif not on_subject(prompt, record.original_description):
                about = ", ".join(sorted(subject(record.original_description))[:6])
                fault = f"is not about what the description tells of ({about})"
            else:
                good += 1
                continue
            messages.append(f"{name}, prompt {i + 1} {fault}.")
    return Finding(good / PICTURES, messages)
