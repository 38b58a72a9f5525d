"""Criteria: pictures that exist and differ; pictures that show what their own prompts ask for."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from helpers.assessment.clip_fit import Fits, compare
from helpers.assessment.findings import PICTURES, Fault, Finding
from helpers.assessment.opened import OpenedSubmission, Picture
from helpers.likeness import near_duplicate

__all__ = ["duplicate_of", "fit", "pictures", "unopened"]

#: Singular and plural of a problem with a file: "it is missing", "they are missing".
_PLURALS = (
    ("it is ", "they are "),
    ("it has ", "they have "),
    ("its file is ", "their files are "),
    ("its path leads ", "their paths lead "),
    ("the file is not a picture ", "the files are not pictures "),
    ("the file is ", "the files are "),
)


def pictures(opened: OpenedSubmission) -> Finding:
    """Check for sixteen pictures that can be opened and differ from each other and from the source pictures.

    A picture that is in two records prevents a pass: in one of them it was not drawn from the record's prompts.
    """
    good, faults = 0, []
    seen = [source for source in opened.sources if source is not None and source.image is not None]
    for one in opened.judged():
        for picture in one.pictures:
            if picture.image is None:
                faults.append(unopened(picture))
                continue
            if twin := duplicate_of(picture, seen):
                elsewhere = twin.spot.part == "picture" and twin.spot.record != picture.spot.record
                name = str(twin.spot)
                which = f"the same picture as {name[0].lower()}{name[1:]}: hand in {PICTURES} different ones"
                faults.append(Fault(picture.spot, f"is {which}", f"are {which}", stops=elsewhere))
            else:
                good += 1
            seen.append(picture)
    return Finding(Fraction(good, PICTURES), faults, opened.handed_in)


def duplicate_of(picture: Picture, others: Sequence[Picture]) -> Picture | None:
    """Return the first of the others that shows the same; None if none does."""
    return next((other for other in others if near_duplicate(other.image, picture.image)), None)


def unopened(picture: Picture) -> Fault:
    """Return the fault of a picture that can't be opened."""
    many = next(
        (picture.problem.replace(one, more, 1) for one, more in _PLURALS if picture.problem.startswith(one)), ""
    )
    return Fault(
        picture.spot,
        f"({picture.path[:80]!r}) can't be opened: {picture.problem}",
        f"can't be opened: {many or picture.problem}",
    )


def fit(opened: OpenedSubmission) -> Finding:
    """Check that each picture fits the prompt with its number, from which it was drawn.

    One that fits a prompt of another record clearly better than all of its own record's prevents a pass.
    """
    drawn = [
        (picture, prompt)
        for one in opened.judged()
        for picture, prompt in zip(one.pictures, one.prompts, strict=False)
        if picture.image is not None
    ]
    if not drawn:
        return Finding(Fraction(0))
    found = compare([prompt for _, prompt in drawn], [picture.image for picture, _ in drawn])
    faults = [_does_not_fit(i, drawn, found) for i in range(len(drawn)) if not found.fits(i, i)]
    return Finding(Fraction(len(drawn) - len(faults), PICTURES), faults)


def _does_not_fit(i: int, drawn: Sequence[tuple[Picture, str]], found: Fits) -> Fault:
    """Return the fault of the i-th picture, which does not show what its prompt asks for."""
    picture, prompt = drawn[i]
    records = [other.spot.record for other, _ in drawn]
    own = [i, *(k for k, record in enumerate(records) if record == picture.spot.record and k != i)]
    others = [k for k, record in enumerate(records) if record != picture.spot.record]
    foreign = [k for k in others if found.clearly_better(k, own, i)]
    if foreign:
        nearest = max(foreign, key=lambda k: found.cosines[k, i])
        where = f"what the prompts of record {records[nearest]} ask for"
        return Fault(
            picture.spot,
            f"shows {where}, not what its own prompt asks for: put each picture into the record that it was drawn for",
            f"show {where}, not what their own prompts ask for: put each picture into the record that it was drawn for",
            stops=True,
        )
    return Fault(
        picture.spot,
        f"does not show what its prompt asks for: {prompt[:80]!r}",
        "do not show what their prompts ask for",
    )
