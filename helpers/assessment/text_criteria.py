"""Criterion: prompts, which `helpers.prompts` compares as in the notebook; and descriptions read as scenes."""

from __future__ import annotations

import re
from fractions import Fraction

from helpers.assessment.findings import PICTURES, Fault, Finding, Spot, joined
from helpers.assessment.opened import JudgedRecord, OpenedSubmission
from helpers.picturebook import KINDS, Scene, read_caption
from helpers.picturebook.synonyms import in_world_words
from helpers.picturebook.words import PLURALS
from helpers.prompts import distinct, on_subject, same, subject

__all__ = ["prompts", "scene_of", "wrong_details"]

#: How a chat model opens a description.
OPENING = re.compile(
    r"^(?:(?:the|this) (?:picture|image) (?:shows|is)|there (?:is|are)|it (?:shows|is))(?: of)? ", re.I
)


def prompts(opened: OpenedSubmission) -> Finding:
    """Four prompts per record, no two of which ask for the same picture, each about what the description tells of."""
    good, faults = 0, []
    for one in opened.judged():
        for k in range(len(one.prompts)):
            if fault := _prompt_fault(one, k):
                faults.append(fault)
            else:
                good += 1
    return Finding(Fraction(good, PICTURES), faults)


def _prompt_fault(one: JudgedRecord, k: int) -> Fault | None:
    """What is wrong with a record's prompt ``k``, counted from 0."""
    prompt, spot = one.prompts[k], Spot(one.number, "prompt", k + 1)
    earlier = next((i for i in range(k) if same(one.prompts[i], prompt)), None)
    if not distinct([prompt]):
        return Fault(spot, "names nothing that could be painted", "name nothing that could be painted")
    if earlier is not None:
        why = (
            "A number, praise or another word for the same thing does not make a new prompt: change the place, the style "
            "or the company"
        )
        first = f"the same picture as prompt {earlier + 1}"
        return Fault(spot, f"asks for {first}. {why}", f"ask for {first} of the same record. {why}")
    if not one.record.original_description.strip():
        return Fault(spot, "cannot be judged, because the record has no description")
    if not on_subject(prompt, one.record.original_description):
        named = ", ".join(sorted(subject(one.record.original_description))[:6])
        about = f"about something other than what the description names ({named})"
        return Fault(spot, f"is {about}", f"are {about}")
    return None


# -- descriptions


def scene_of(text: str) -> Scene | None:
    """The scene that the first sentence tells of; None where it is not a caption of the picture-book world.

    Words such as "kitten" and "couch" are read as the world's own.
    """
    sentence = re.split(r"[.!?\n]", text.strip(), maxsplit=1)[0]
    return read_caption(in_world_words(OPENING.sub("", sentence)))


def wrong_details(text: str, scene: Scene) -> list[str]:
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
        colours = {other.colour for other in of_kind}
        if of_kind and thing.colour not in colours:
            wrong.append(f"the {thing.kind} looks {thing.colour} rather than {joined(sorted(colours))}")
        if of_kind and thing.count != (number := sum(other.count for other in of_kind)):
            wrong.append(f"the number of {PLURALS[thing.kind]} is {thing.count} rather than {number}")
    if told.place != scene.place:
        wrong.append(f"the place looks like {scene.place!r} rather than {told.place!r}")
    return wrong
