"""Criterion: provenance. What a picture says of how it was drawn is true: a sample is drawn again and compared.

Under the profile ``mini`` the runner has the students' own model, so it can tell a picture that the model drew from
one that it did not. Under ``full`` it only compares what the submission says in two places.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

from course.assess.case import PICTURES, RECORDS, Case, Finding, Picture
from helpers import models
from helpers.redraw import alike, redraw, unlike_here
from helpers.settings import settings
from helpers.submission import Provenance, Record, checkpoint_of, pixels_sha256

__all__ = ["provenance"]

#: The share of the criterion's points that what stands in JSON and PNG can win, where a sample is drawn again.
ON_PAPER = 0.4

HOW = "save each picture with save_with_provenance, and make the record of it with make_record"


def provenance(case: Case) -> Finding:
    """Every picture says how it was drawn, in the PNG and in its record alike; a sample, drawn again, comes out the same."""
    sound: dict[int, list[tuple[Picture, Provenance]]] = defaultdict(list)
    messages = [
        f"{name} does not say how its pictures were drawn: add it ({HOW})."
        for name, record, _, _ in case.judged()
        if record.provenance is None
    ]
    for i, picture, said, fault in _looked_through(case):
        if not fault:
            sound[i].append((picture, said))
        elif case.records[i].provenance is not None:
            messages.append(f"{picture.name}: {fault}.")
    share = sum(map(len, sound.values())) / PICTURES
    if settings.profile != "mini":
        return Finding(share, messages)
    sample = [random.SystemRandom().choice(ones) for ones in sound.values()]
    right, faults = _drawn_again(sample)
    return Finding(ON_PAPER * share + (1 - ON_PAPER) * right / RECORDS, messages + faults)


def _looked_through(case: Case) -> Iterator[tuple[int, Picture, Provenance | None, str]]:
    """Of each picture that is there: its record's number, itself, its provenance in the record, what is wrong with it."""
    for i, (_, record, pictures, _) in enumerate(case.judged()):
        for k, picture in enumerate(pictures):
            said = record.provenance[k] if k < len(record.provenance or []) else None
            if picture.image is not None:
                yield i, picture, said, _fault(record, k, picture, said)


def _fault(record: Record, k: int, picture: Picture, said: Provenance | None) -> str:
    if said is None:
        return f"its record does not say how it was drawn: add it ({HOW})"
    if said.sha256 != pixels_sha256(picture.image):
        return "its hash is not that of the picture: it was changed after it was drawn, or is another one"
    if picture.provenance != said:
        return "the PNG and the record say different things of how it was drawn"
    if k >= len(record.prompts) or said.prompt != record.prompts[k]:
        return f"it was drawn from another prompt than the record's prompt {k + 1}"
    return ""


def _checkpoint() -> tuple[str, str]:
    """The name and revision of this runner's model."""
    return checkpoint_of(models.load("diffusion"))


def _drawn_again(sample: Sequence[tuple[Picture, Provenance]]) -> tuple[int, list[str]]:
    """How many of the sample came out the same, and a sentence on each that did not."""
    checkpoint = _checkpoint()
    faults, known = [], []
    for picture, said in sample:
        if (said.model, said.revision) == checkpoint:
            if unlike := unlike_here(said):
                faults.append(f"{picture.name} can't be drawn again: {unlike}. Draw it with the course's own pipeline.")
            else:
                known.append((picture, said))
        else:
            faults.append(
                f"{picture.name} was drawn by {said.model[:80]} ({said.revision[:80]}), and this runner has "
                f"{checkpoint[0]} ({checkpoint[1]}): get the course's current models and draw the pictures again."
            )
    right = 0
    for (picture, said), image in zip(known, redraw([said for _, said in known]), strict=True):
        if alike(image, picture.image):
            right += 1
        else:
            faults.append(
                f"{picture.name}: drawn again from its prompt, seed {said.seed}, steps and guidance, another picture "
                "comes out. Hand in the pictures as the model drew them, each with a generator of its own."
            )
    return right, faults
