"""Criterion: prompts, compared by `helpers.prompts` as in the notebook; and descriptions read as scenes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from helpers.assessment.findings import PICTURES, Fault, Finding, Spot, joined
from helpers.assessment.opened import JudgedRecord, OpenedSubmission
from helpers.picturebook import KINDS, Scene, read_caption
from helpers.picturebook.synonyms import in_world_words
from helpers.picturebook.words import PLURALS
from helpers.prompts import distinct, on_subject, same, subject

__all__ = ["prompts", "scene_of", "wrong_details"]

#: How many words of a description are searched for a caption.
MOST_WORDS = 60


def prompts(opened: OpenedSubmission) -> Finding:
    """Check four prompts per record: no two ask for the same picture, and each is about the description's subject."""
    good: list[tuple[Spot, str]] = []
    faults = []
    for one in opened.judged():
        for k, prompt in enumerate(one.prompts):
            if fault := _prompt_fault(one, k, good):
                faults.append(fault)
            else:
                good.append((Spot(one.number, "prompt", k + 1), prompt))
    return Finding(Fraction(len(good), PICTURES), faults)


def _prompt_fault(one: JudgedRecord, k: int, good: Sequence[tuple[Spot, str]]) -> Fault | None:
    """Return what is wrong with a record's prompt `k`, counted from 0; `good` are the good prompts before it."""
    prompt, spot = one.prompts[k], Spot(one.number, "prompt", k + 1)
    earlier = next((i for i in range(k) if same(one.prompts[i], prompt)), None)
    if not distinct([prompt]):
        return Fault(spot, "names nothing that could be painted", "name nothing that could be painted")
    if earlier is not None:
        why = "A number, praise or a synonym does not make a new prompt: change the place, the style or the company"
        first = f"the same picture as prompt {earlier + 1}"
        return Fault(spot, f"asks for {first}. {why}", f"ask for {first} of the same record. {why}")
    if not one.record.original_description.strip():
        return Fault(spot, "cannot be judged, because the record has no description")
    if not on_subject(prompt, one.record.original_description):
        named = ", ".join(sorted(subject(one.record.original_description))[:6])
        about = f"about something other than what the description names ({named})"
        return Fault(spot, f"is {about}", f"are {about}")
    if twin := next((where for where, other in good if same(other, prompt)), None):
        todo = f"write {PICTURES} different prompts"
        return Fault(
            spot,
            f"asks for the same picture as record {twin.record}, prompt {twin.number}: {todo}",
            f"ask for the same pictures as prompts of record {twin.record}: {todo}",
        )
    return None


# -- descriptions


def scene_of(text: str) -> Scene | None:
    """Return the scene that the first sentence describes; None if it has no caption of the picture-book world.

    Words before and after the caption are ignored unless they name more things. Synonyms such as "kitten" and "couch"
    are understood.
    """
    sentence = re.split(r"[.!?\n]", text.strip(), maxsplit=1)[0]
    words = in_world_words(sentence).split()[:MOST_WORDS]
    parts = (words[start:end] for start in range(len(words)) for end in range(len(words), start, -1))
    scene = next(filter(None, (read_caption(" ".join(part).rstrip(",;:")) for part in parts)), None)
    return scene if scene and {thing.kind for thing in scene.things} == subject(sentence) else None


def wrong_details(text: str, scene: Scene) -> list[str]:
    """Return a sentence for each mistake in the description of a picture that is known to show `scene`.

    Kinds are found in any text; colours, numbers and the place only in a caption that `scene_of` can read.
    """
    kinds, named = {thing.kind for thing in scene.things}, subject(text) & set(KINDS)
    wrong = [f"it does not name the {kind}" for kind in sorted(kinds - named)]
    wrong += [f"there is no {kind}" for kind in sorted(named - kinds)]
    if (described := scene_of(text)) is None:
        return wrong
    for thing in scene.things:
        of_kind = [other for other in described.things if other.kind == thing.kind]
        colours = {other.colour for other in of_kind}
        if of_kind and thing.colour not in colours:
            wrong.append(f"the {thing.kind} looks {thing.colour} rather than {joined(sorted(colours))}")
        if of_kind and thing.count != (number := sum(other.count for other in of_kind)):
            wrong.append(f"the number of {PLURALS[thing.kind]} is {thing.count} rather than {number}")
    if described.place != scene.place:
        wrong.append(f"the place looks like {scene.place!r} rather than {described.place!r}")
    return wrong
