"""The criteria, what they are worth to the assessment runner and to notebook 07, and the verdict on a submission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random, SystemRandom
from typing import NamedTuple

from pydantic import BaseModel

from helpers.assessment.description_criteria import descriptions
from helpers.assessment.findings import Finding
from helpers.assessment.opened import OpenedSubmission
from helpers.assessment.originals import with_originals
from helpers.assessment.picture_criteria import fit, pictures
from helpers.assessment.provenance_criteria import provenance
from helpers.assessment.shape import shape
from helpers.assessment.text_criteria import prompts

__all__ = ["CRITERIA", "ENOUGH", "PASS", "WEIGHTS", "Criterion", "Score", "Verdict", "Weight", "examine", "judge"]

#: To pass takes this share of all points.
PASS = Fraction(7, 10)
#: And this one of each criterion's. With half, two records of four could be anything: their pictures swapped, or their
#: prompts padded. With all, one slip of a small model would be too much. Two thirds let one record of four be missing or
#: wrong, and no second one.
ENOUGH = Fraction(2, 3)


@dataclass(frozen=True)
class Criterion:
    """One thing that points are for; ``advice`` is how to win the rest of them."""

    name: str
    about: str
    find: Callable[[OpenedSubmission, Random], Finding]
    advice: str


CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion(
            "shape",
            "four records of four prompts and four pictures",
            lambda opened, chance: shape(opened),
            "Hand in four records, one for each source picture, each with four prompts and four pictures.",
        ),
        Criterion(
            "descriptions",
            "each names what its source picture shows",
            lambda opened, chance: descriptions(opened),
            "Read each description beside its source picture: it should name what is there, its colours and the place.",
        ),
        Criterion(
            "prompts",
            "each asks for another picture of the same subject",
            lambda opened, chance: prompts(opened),
            "Let the prompts keep the subject and change what is around it: place, style or company.",
        ),
        Criterion(
            "pictures",
            "all are there, and no two are the same",
            lambda opened, chance: pictures(opened),
            "Send every picture that the records name, each a picture of its own, under the path that the record has.",
        ),
        Criterion(
            "fit",
            "each picture shows what its prompt asks for",
            lambda opened, chance: fit(opened),
            "Look at each picture beside its prompt; where they differ, draw it with another seed, or say it more plainly.",
        ),
        Criterion(
            "provenance",
            "it is true: drawn again from its seed, a picture comes out the same",
            provenance,
            "Save each picture untouched with save_with_provenance, and let make_record read what it carries.",
        ),
    )
}


class Weight(NamedTuple):
    """What a criterion is worth, and the share of that which it takes to pass."""

    points: int
    needed: Fraction = ENOUGH

    def reached(self, finding: Finding) -> bool:
        """Whether a finding is good enough to pass."""
        return finding.share >= self.needed and not finding.stops


#: The same criteria, twice. The runner's points are such that each sixteenth and each half of a quarter has at most two
#: decimals. Notebook 07's are per cent of the exercise `handed_in`, and each criterion wins all of its points or none; what
#: the student's code decides has to be right altogether there, and what a small model says and draws as far as the runner
#: asks for. So all points in the notebook mean a pass of the runner.
WEIGHTS: dict[str, dict[str, Weight]] = {
    "runner": {
        "shape": Weight(12),
        "descriptions": Weight(20),
        "prompts": Weight(16),
        "pictures": Weight(16),
        "fit": Weight(16),
        "provenance": Weight(20),
    },
    "notebook": {
        "shape": Weight(10, Fraction(1)),
        "descriptions": Weight(20),
        "prompts": Weight(20, Fraction(1)),
        "pictures": Weight(18, Fraction(1)),
        "fit": Weight(20),
        "provenance": Weight(12, Fraction(1)),
    },
}


class Score(BaseModel):
    """The points of one criterion, what it asks for, and a sentence on how to improve."""

    criterion: str
    about: str = ""
    points: float
    of: int
    advice: str


class Verdict(BaseModel):
    """What the judge says: points, all together and by criterion, and a sentence for each kind of fault."""

    passed: bool
    score: float
    criteria: list[Score]
    messages: list[str]


def examine(
    opened: OpenedSubmission, names: Iterable[str] = tuple(CRITERIA), chance: Random | None = None
) -> dict[str, Finding]:
    """What the criteria of these names find. Needs the registry's CLIP, and "provenance" under ``mini`` its diffusion model.

    Args:
        opened: the submission.
        names: of `CRITERIA`.
        chance: chooses the pictures that are drawn again; by default nobody can know which.

    Raises:
        ModelUnavailable: one of the models can't be had.
    """
    opened = with_originals(opened)
    return {name: CRITERIA[name].find(opened, chance or SystemRandom()) for name in names}


def judge(
    opened: OpenedSubmission, weights: Mapping[str, Weight] = WEIGHTS["runner"], chance: Random | None = None
) -> Verdict:
    """The verdict on a submission; for the arguments and what it raises see `examine`.

    A pass takes `PASS` of all points, the needed share of each criterion's, and no fault that stops one.
    """
    found = examine(opened, weights, chance)
    points = {name: _shown(found[name].share * weight.points) for name, weight in weights.items()}
    total, most = sum(points.values()), sum(weight.points for weight in weights.values())
    enough = total >= PASS * most
    messages = [message for finding in found.values() for message in finding.messages]
    if enough:
        messages += _why_not(found, points, weights)
    return Verdict(
        passed=enough and all(weight.reached(found[name]) for name, weight in weights.items()),
        score=float(total),
        criteria=[
            Score(
                criterion=name,
                about=CRITERIA[name].about,
                points=float(points[name]),
                of=weight.points,
                advice="Nothing to improve." if found[name].share == 1 else CRITERIA[name].advice,
            )
            for name, weight in weights.items()
        ],
        messages=messages,
    )


def _shown(points: Fraction) -> Fraction:
    """With the two decimals that are shown, so that the total is the sum of what is shown."""
    return Fraction(round(points * 100), 100)


def _why_not(
    found: Mapping[str, Finding], points: Mapping[str, Fraction], weights: Mapping[str, Weight]
) -> Iterator[str]:
    """What keeps a submission with enough points from passing."""
    short = [name for name, weight in weights.items() if found[name].share < weight.needed]
    if short:
        has = ", ".join(f"{name} has {float(points[name]):g} of {weights[name].points}" for name in short)
        yield f"The points would do, but to pass takes two thirds of each criterion's, too: {has}."
    if any(finding.stops for finding in found.values()):
        yield "What belongs to another record keeps a submission from passing, whatever its points."
