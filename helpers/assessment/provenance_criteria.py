"""Criterion: provenance. Pictures were drawn as they claim: a sample is drawn again and compared.

Under the profile `mini` the judge has the students' own model and can recognise pictures that it drew. Under `full` the
judge only compares what PNG and record say.
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

#: The share of a picture's points for consistent entries in PNG and JSON, if a sample is drawn again.
ON_PAPER = Fraction(2, 5)
#: A picture is cheap to draw again if it takes at most this many U-Net evaluations: four steps without guidance are 4,
#: the pipeline's default 25 steps, each with and without the prompt, are 50.
CHEAP = 16
#: How many of a record's other pictures are drawn again: with one false seed in each of four records, three of the four
#: are found on average, and all four are missed once in 256 times.
OTHERS = 3

HOW = "save each picture with save_with_provenance, and make the record of it with make_record"


class Drawing(NamedTuple):
    """A picture and its provenance."""

    picture: Picture
    provenance: Provenance


def provenance(opened: OpenedSubmission, rng: Random) -> Finding:
    """Check that PNG and record agree on how each picture was drawn, and that a sample can be reproduced.

    The PNG's provenance is enough if the record has none. All pictures of a record that are cheap to draw are drawn
    again, and some of the others. If one of them comes out differently, the whole record is distrusted: its pictures
    keep only their points for consistent entries. So one false seed in each record costs 12 of the runner's 20 points.

    Args:
        opened: the submission.
        rng: chooses the sample; an unpredictable generator if students must not know beforehand.
    """
    from helpers.settings import settings

    consistent: dict[int, list[Drawing]] = {}
    faults = []
    for one in opened.judged():
        consistent[one.number] = []
        for k, picture in enumerate(one.pictures):
            if picture.image is None:
                continue
            found, fault = _consistent(one, k, picture)
            if fault:
                faults.append(fault)
            else:
                consistent[one.number].append(Drawing(picture, found))
    if settings.profile != "mini":
        return Finding(Fraction(sum(map(len, consistent.values())), PICTURES), faults, opened.handed_in)
    untrue = drawn_again([drawing for drawings in consistent.values() for drawing in sample(drawings, rng)])
    doubted = {fault.spot.record for fault in untrue}
    share = sum(len(drawings) * (ON_PAPER if record in doubted else 1) for record, drawings in consistent.items())
    return Finding(Fraction(share) / PICTURES, faults + untrue, opened.handed_in)


def _consistent(one: JudgedRecord, k: int, picture: Picture) -> tuple[Provenance | None, Fault | None]:
    """Return the provenance of a record's picture `k`, or what is wrong with it before it is drawn again."""
    from helpers.submission import pixels_sha256

    entries = one.record.provenance or []
    in_record, in_png = entries[k] if k < len(entries) else None, picture.provenance
    spot = picture.spot
    if in_png is None and in_record is None:
        return None, Fault(spot, f"does not say how it was drawn: {HOW}", f"do not say how they were drawn: {HOW}")
    if in_png is None:
        where = f"in the record only, not in the PNG: {HOW}"
        return None, Fault(spot, f"has its provenance {where}", f"have their provenance {where}")
    if in_record is not None and in_record != in_png:
        where = f"in the PNG and another in the record: {HOW}"
        return None, Fault(spot, f"has one provenance {where}", f"have one provenance {where}")
    if in_png.sha256 != pixels_sha256(picture.image):
        why = "the hash in its provenance does not match its pixels. Hand it in as the model drew it"
        return None, Fault(spot, f"was changed after it was drawn: {why}", f"were changed after they were drawn: {why}")
    if k >= len(one.prompts) or in_png.prompt != one.prompts[k]:
        return None, Fault(
            spot,
            f"was not drawn from prompt {k + 1} of the record: keep prompts and pictures in order",
            "were not drawn from the prompts with their numbers: keep prompts and pictures in order",
        )
    return in_png, None


def sample(drawings: Sequence[Drawing], rng: Random) -> list[Drawing]:
    """Choose which of a record's pictures are drawn again: all that are cheap, and `OTHERS` of the others."""
    cheap = [one for one in drawings if _evaluations(one.provenance) <= CHEAP]
    expensive = [one for one in drawings if one not in cheap]
    return [*cheap, *rng.sample(expensive, min(OTHERS, len(expensive)))]


def _evaluations(provenance: Provenance) -> int:
    """Return how often the U-Net was evaluated: with guidance, twice per step."""
    return provenance.steps * (2 if provenance.guidance_scale > 1 else 1)


def checkpoint_here() -> tuple[str, str]:
    """Return the name and revision of the diffusion model that is installed here."""
    from helpers.models import load
    from helpers.submission import checkpoint_of

    return checkpoint_of(load("diffusion"))


def drawn_again(drawings: Sequence[Drawing]) -> list[Fault]:
    """Draw these again, all at once, and return a fault for each that differs or can't be drawn here."""
    from helpers.redraw import redraw, unlike_here

    if not drawings:
        return []
    name, revision = checkpoint_here()
    faults, known = [], []
    for one in drawings:
        spot, claimed = one.picture.spot, one.provenance
        if (claimed.model, claimed.revision) != (name, revision):
            why = (
                f"drawn by {claimed.model[:80]} ({claimed.revision[:80]}), but the model here is {name} ({revision}): "
                "get the course's current models and draw the pictures again"
            )
            faults.append(Fault(spot, f"was {why}", f"were {why}"))
        elif unlike := unlike_here(claimed):
            why = f"can't be drawn again: {unlike}. Draw with the course's own pipeline"
            faults.append(Fault(spot, why, why))
        else:
            known.append(one)
    for one, image in zip(known, redraw([each.provenance for each in known]) if known else [], strict=True):
        if not same_drawing(image, one.picture.image):
            faults.append(
                Fault(
                    one.picture.spot,
                    f"can't be reproduced from its prompt, seed ({one.provenance.seed}), steps and guidance. Hand in "
                    "pictures as the model drew them, each with its own generator",
                    "can't be reproduced from their prompts, seeds, steps and guidance. Hand in pictures as the model "
                    "drew them, each with its own generator",
                )
            )
    return faults
