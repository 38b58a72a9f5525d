"""Criterion: provenance. What a picture says of how it was drawn is true: a sample is drawn again and compared.

Under the profile ``mini`` whoever judges has the students' own model, so it can tell a picture that the model drew from
one that it did not. Under ``full`` it only compares what the submission says in two places.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from helpers.assessment.findings import PICTURES, Fault, Finding
from helpers.assessment.opened import JudgedRecord, OpenedSubmission, Picture
from helpers.likeness import same_drawing

if TYPE_CHECKING:
    from helpers.submission import Provenance

__all__ = ["checkpoint_here", "drawn_again", "provenance", "sample"]

#: The share of a picture's points that what stands in PNG and JSON can win alone, where a sample is drawn again.
ON_PAPER = Fraction(2, 5)
#: At most so many passes through the U-Net make a picture cheap to draw again: four steps without guidance are 4, the
#: pipeline's own 25 steps, each with and without the prompt, are 50.
CHEAP = 16
#: So many of a record's other pictures are drawn again: with one false seed in each of four records, three of the four
#: are found on average, and all four are overlooked once in 256 times.
OTHERS = 3

HOW = "save each picture with save_with_provenance, and make the record of it with make_record"


class Drawing(NamedTuple):
    """A picture, and what is said of how it was drawn."""

    picture: Picture
    said: Provenance


def provenance(opened: OpenedSubmission, chance: Random) -> Finding:
    """PNG and record agree on how each picture was drawn; a sample, drawn again, comes out the same.

    What the PNG says is enough where the record is silent. Of each record all pictures that are cheap to draw are drawn
    again, and some of the others. If one of them comes out differently, nothing is believed of its record any more: its
    pictures keep only what they won on paper. So one false seed in each record costs 12 of the runner's 20 points.

    Args:
        opened: the submission.
        chance: chooses the sample; an unpredictable source where nobody may know beforehand which pictures are drawn.
    """
    from helpers.settings import settings

    sound: dict[int, list[Drawing]] = {}
    faults = []
    for one in opened.judged():
        sound[one.number] = []
        for k, picture in enumerate(one.pictures):
            if picture.image is None:
                continue
            said, fault = _on_paper(one, k, picture)
            if fault:
                faults.append(fault)
            else:
                sound[one.number].append(Drawing(picture, said))
    if settings.profile != "mini":
        return Finding(Fraction(sum(map(len, sound.values())), PICTURES), faults)
    untrue = drawn_again([drawing for drawings in sound.values() for drawing in sample(drawings, chance)])
    doubted = {fault.spot.record for fault in untrue}
    share = sum(len(drawings) * (ON_PAPER if record in doubted else 1) for record, drawings in sound.items())
    return Finding(Fraction(share) / PICTURES, faults + untrue)


def _on_paper(one: JudgedRecord, k: int, picture: Picture) -> tuple[Provenance | None, Fault | None]:
    """What is said of how a record's picture ``k`` was drawn; and what is wrong with that, before it is drawn again."""
    from helpers.submission import pixels_sha256

    entries = one.record.provenance or []
    in_record, in_png = entries[k] if k < len(entries) else None, picture.provenance
    spot = picture.spot
    if in_png is None and in_record is None:
        return None, Fault(spot, f"does not say how it was drawn: {HOW}", f"do not say how they were drawn: {HOW}")
    if in_png is None:
        where = f"in the record alone, and the PNG does not say it: {HOW}"
        return None, Fault(spot, f"has its provenance {where}", f"have their provenance {where}")
    if in_record is not None and in_record != in_png:
        where = f"in the PNG and another in the record: {HOW}"
        return None, Fault(spot, f"has one provenance {where}", f"have one provenance {where}")
    if in_png.sha256 != pixels_sha256(picture.image):
        why = "the hash in its provenance is not that of its pixels. Hand it in as the model drew it"
        return None, Fault(spot, f"was changed after it was drawn: {why}", f"were changed after they were drawn: {why}")
    if k >= len(one.prompts) or in_png.prompt != one.prompts[k]:
        return None, Fault(
            spot,
            f"was drawn from another prompt than the record's prompt {k + 1}: keep prompts and pictures in the same order",
            "were drawn from other prompts than the record has in their places: keep prompts and pictures in the same order",
        )
    return in_png, None


def sample(drawings: Sequence[Drawing], chance: Random) -> list[Drawing]:
    """Those of a record's pictures that are drawn again: all that are cheap, and `OTHERS` of the others."""
    cheap = [one for one in drawings if one.said.steps * (2 if one.said.guidance_scale > 1 else 1) <= CHEAP]
    dear = [one for one in drawings if one not in cheap]
    return [*cheap, *chance.sample(dear, min(OTHERS, len(dear)))]


def checkpoint_here() -> tuple[str, str]:
    """The name and revision of the diffusion model that is here."""
    from helpers.models import load
    from helpers.submission import checkpoint_of

    return checkpoint_of(load("diffusion"))


def drawn_again(drawings: Sequence[Drawing]) -> list[Fault]:
    """What is wrong with these: drawn again, all at once, another picture comes out, or they can't be drawn here."""
    from helpers.redraw import redraw, unlike_here

    if not drawings:
        return []
    name, revision = checkpoint_here()
    faults, known = [], []
    for one in drawings:
        spot, said = one.picture.spot, one.said
        if (said.model, said.revision) != (name, revision):
            why = (
                f"drawn by {said.model[:80]} ({said.revision[:80]}), and here is {name} ({revision}): get the course's current "
                "models and draw the pictures again"
            )
            faults.append(Fault(spot, f"was {why}", f"were {why}"))
        elif unlike := unlike_here(said):
            why = f"can't be drawn again: {unlike}. Draw with the course's own pipeline"
            faults.append(Fault(spot, why, why))
        else:
            known.append(one)
    for one, image in zip(known, redraw([each.said for each in known]) if known else [], strict=True):
        if not same_drawing(image, one.picture.image):
            faults.append(
                Fault(
                    one.picture.spot,
                    f"does not come out again from its prompt, seed ({one.said.seed}), steps and guidance. Hand in pictures "
                    "as the model drew them, each with a generator of its own",
                    "do not come out again from their prompts, seeds, steps and guidance. Hand in pictures as the model drew "
                    "them, each with a generator of its own",
                )
            )
    return faults
