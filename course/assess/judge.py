"""The criteria, their points, and when a submission passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from course.assess import redraw, sight, words
from course.assess.case import RECORDS, Case, Finding
from course.assess.parcel import Parcel

__all__ = ["CRITERIA", "PASS", "Criterion", "Score", "Verdict", "judge"]

#: To pass takes so many of the 100 points, and half of each criterion's.
PASS = 70


@dataclass(frozen=True)
class Criterion:
    """One thing that points are for; ``advice`` is how to win the rest of them."""

    name: str
    about: str
    points: int
    find: Callable[[Case], Finding]
    advice: str


class Score(BaseModel):
    """The points of one criterion, what it asks for, and a sentence on how to improve."""

    criterion: str
    about: str = ""
    points: float
    of: int
    advice: str


class Verdict(BaseModel):
    """What the judge says: points, all together and by criterion, and a sentence for each fault."""

    passed: bool
    score: float
    criteria: list[Score]
    messages: list[str]


def shape(case: Case) -> Finding:
    """Four records, each with four prompts and four pictures."""
    count, right, messages = len(case.records), 0, []
    if count != RECORDS:
        messages.append(f"The submission has {count} record{'s' * (count != 1)} instead of {RECORDS}.")
    for i, record in enumerate(case.records, start=1):
        sizes = {"prompts": len(record.prompts), "pictures": len(record.image_paths)}
        wrong = [f"{size} {what}" for what, size in sizes.items() if size != RECORDS]
        right += not wrong and i <= RECORDS
        if wrong:
            messages.append(f"Record {i} has {' and '.join(wrong)} instead of {RECORDS}.")
    return Finding(right / max(RECORDS, count), messages)


CRITERIA = (
    Criterion(
        "shape",
        "four records of four prompts and four pictures",
        10,
        shape,
        "Hand in four records, one for each source picture, each with four prompts and four pictures.",
    ),
    Criterion(
        "descriptions",
        "each names what its source picture shows",
        20,
        sight.descriptions,
        "Read each description beside its source picture: it should name what is there, its colours and the place.",
    ),
    Criterion(
        "prompts",
        "each asks for another picture of the same subject",
        20,
        words.prompts,
        "Let the prompts keep the subject and change what is around it: place, style, light, company.",
    ),
    Criterion(
        "pictures",
        "all are there, and no two are the same",
        15,
        sight.pictures,
        "Send every picture that the records name, each a picture of its own, under the path that the record has.",
    ),
    Criterion(
        "fit",
        "each picture shows what its prompt asks for",
        15,
        sight.fit,
        "Look at each picture beside its prompt; where they differ, draw it again with another seed, or say it plainer.",
    ),
    Criterion(
        "provenance",
        "it is true: drawn again from its seed, a picture comes out the same",
        20,
        redraw.provenance,
        "Save each picture untouched with save_with_provenance, and let make_record read what it carries.",
    ),
)


def judge(parcel: Parcel) -> Verdict:
    """Judge what came in. Needs the registry's CLIP, and under ``mini`` its diffusion model.

    Raises ``helpers.models.ModelUnavailable`` when one of them can't be had.
    """
    case = Case.of(parcel)
    scores, messages = [], []
    for criterion in CRITERIA:
        finding = criterion.find(case)
        points = round(finding.share * criterion.points, 1)
        advice = "Nothing to improve." if points == criterion.points else criterion.advice
        scores.append(
            Score(criterion=criterion.name, about=criterion.about, points=points, of=criterion.points, advice=advice)
        )
        messages += finding.messages
    total = round(sum(score.points for score in scores), 1)
    passed = total >= PASS and all(score.points >= score.of / 2 for score in scores)
    return Verdict(passed=passed, score=total, criteria=scores, messages=messages)
