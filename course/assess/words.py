"""Criterion: prompts, which `helpers.prompts` compares as in the notebook; and descriptions read as scenes."""

from __future__ import annotations

import re

from course.assess.case import PICTURES, RECORDS, Case, Finding
from helpers.picturebook import KINDS, Scene, read_caption
from helpers.picturebook.words import PLURALS
from helpers.prompts import distinct, on_subject, same, subject

__all__ = ["prompts", "scene_of", "slips"]

#: How a chat model opens a description.
OPENING = re.compile(
    r"^(?:(?:the|this) (?:picture|image) (?:shows|is)|there (?:is|are)|it (?:shows|is))(?: of)? ", re.I
)


def scene_of(text: str) -> Scene | None:
    """The scene that the first sentence tells of; None where it is no caption of the picture-book world."""
    sentence = re.split(r"[.!?\n]", text.strip(), maxsplit=1)[0]
    return read_caption(OPENING.sub("", sentence))


def slips(text: str, scene: Scene) -> list[str]:
    """What a description says wrong of a picture that is known to show ``scene``, a sentence each.

    Kinds are looked for among the words of any text; colours, numbers and the place only in a caption that the
    picture-book world can read.
    """
    kinds, named = {thing.kind for thing in scene.things}, subject(text) & set(KINDS)
    wrong = [f"it does not name the {kind}" for kind in sorted(kinds - named)]
    wrong += [f"there is no {kind}" for kind in sorted(named - kinds)]
    if (told := scene_of(text)) is None:
        return wrong
    for thing in scene.things:
        of_kind = [other for other in told.things if other.kind == thing.kind]
        if of_kind and thing.colour not in {other.colour for other in of_kind}:
            wrong.append(f"the {thing.kind} looks like {thing.colour!r} rather than {of_kind[0].colour!r}")
        if of_kind and thing.count != (number := sum(other.count for other in of_kind)):
            wrong.append(f"the number of {PLURALS[thing.kind]} is {thing.count} rather than {number}")
    if told.place != scene.place:
        wrong.append(f"it looks like {scene.place!r} rather than {told.place!r}")
    return wrong


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
