"""The criteria, their weights in the assessment runner and in notebook 07, and the verdict on a submission."""

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

#: A pass takes this share of all points.
PASS = Fraction(7, 10)
#: And this share of each criterion's. If half were enough, two records of four could be worthless: their pictures
#: swapped, or their prompts padded. If all were required, a single slip of a small model would fail a submission. Two
#: thirds allow one record of four to be missing or wrong, but not two.
ENOUGH = Fraction(2, 3)


@dataclass(frozen=True)
class Criterion:
    """One thing that earns points; `advice` says how to earn the rest of them."""

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
            lambda opened, rng: shape(opened),
            "Hand in four records, one for each source picture, each with four prompts and four pictures.",
        ),
        Criterion(
            "descriptions",
            "each names what its source picture shows",
            lambda opened, rng: descriptions(opened),
            "Read each description beside its source picture: it should name what is there, its colours and the place.",
        ),
        Criterion(
            "prompts",
            "each asks for another picture of the same subject",
            lambda opened, rng: prompts(opened),
            "Write four prompts per record that keep the subject and change what is around it: place, style or company.",
        ),
        Criterion(
            "pictures",
            "all exist, and no two are the same",
            lambda opened, rng: pictures(opened),
            "Send every picture that the records name, each a different one, under the path given in the record.",
        ),
        Criterion(
            "fit",
            "each picture shows what its prompt asks for",
            lambda opened, rng: fit(opened),
            "Look at each picture beside its prompt; if they differ, use another seed or plainer words.",
        ),
        Criterion(
            "provenance",
            "it is true: a picture can be reproduced from its seed",
            provenance,
            "Save each picture unchanged with save_with_provenance, and let make_record read its provenance.",
        ),
    )
}


class Weight(NamedTuple):
    """What a criterion is worth, and the share of it that a pass takes."""

    points: int
    needed: Fraction = ENOUGH

    def least(self, finding: Finding) -> Fraction:
        """Return the share to reach: the needed one of what was handed in, and never less than `ENOUGH` of everything.

        So a picture that is missing costs the points of the shape, not those for the quality of the others, too.
        """
        return max(ENOUGH, self.needed * finding.handed_in)

    def reached(self, finding: Finding) -> bool:
        """Return whether a finding is good enough to pass."""
        return finding.share >= self.least(finding) and not finding.stops


#: The same criteria, weighted twice. The runner's points are chosen so that each sixteenth, and each half of a
#: quarter, has at most two decimals. Notebook 07's are per cent of the exercise `handed_in`, and each criterion earns
#: all of its points or none; what the student's code decides must be entirely right there, what a small model says and
#: draws only as far as the runner requires. So full marks in the notebook mean a pass in the runner.
WEIGHTS: dict[str, dict[str, Weight]] = {
    "runner": {
        "shape": Weight(12),
        "descriptions": Weight(20),
        "prompts": Weight(16),
        "pictures": Weight(16),
        "fit": Weight(16),
        # Two records with false provenance keep 7/10: `provenance_criteria.ON_PAPER`.
        "provenance": Weight(20, Fraction(3, 4)),
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
    """The points of one criterion, what it requires, and a sentence on how to improve."""

    criterion: str
    about: str = ""
    points: float
    of: int
    advice: str


class Verdict(BaseModel):
    """The result: points in total and by criterion, and a sentence for each kind of fault."""

    passed: bool
    score: float
    criteria: list[Score]
    messages: list[str]


def examine(
    opened: OpenedSubmission, names: Iterable[str] = tuple(CRITERIA), rng: Random | None = None
) -> dict[str, Finding]:
    """Apply the criteria of these names.

    This needs the registry's CLIP, and for "provenance" under the profile `mini` its diffusion model.

    Args:
        opened: the submission.
        names: of `CRITERIA`.
        rng: chooses the pictures that are drawn again; by default unpredictably.

    Raises:
        ModelUnavailable: one of the models is unavailable.
    """
    opened = with_originals(opened)
    return {name: CRITERIA[name].find(opened, rng or SystemRandom()) for name in names}


def judge(
    opened: OpenedSubmission, weights: Mapping[str, Weight] = WEIGHTS["runner"], rng: Random | None = None
) -> Verdict:
    """Return the verdict on a submission; see `examine` for the arguments and errors.

    A pass takes `PASS` of all points, the needed share of each criterion's, and no fault that prevents it.
    """
    found = examine(opened, weights, rng)
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
    """Round to the two decimals that are shown, so that the total is the sum of what is shown."""
    return Fraction(round(points * 100), 100)


def _why_not(
    found: Mapping[str, Finding], points: Mapping[str, Fraction], weights: Mapping[str, Weight]
) -> Iterator[str]:
    """Yield what prevents a pass of a submission with enough points."""
    least = {name: weight.least(found[name]) for name, weight in weights.items()}
    short = [name for name in weights if found[name].share < least[name]]
    if short:
        has = ", ".join(
            f"{name} has {float(points[name]):g} of {weights[name].points} and needs "
            f"{weights[name].points * float(least[name]):.4g}"
            for name in short
        )
        yield f"The total is high enough, but a pass also takes most of each criterion's points: {has}."
    if any(finding.stops for finding in found.values()):
        yield "A text or picture that belongs to another record prevents a pass, whatever the points."
