"""The assessment: what a submission of notebook 07 is worth, in the notebook and in the assessment runner.

    >>> from helpers.assessment import OpenedSubmission, judge
    >>> verdict = judge(OpenedSubmission.from_folder("."))
    >>> verdict.passed, verdict.score, verdict.messages

Modules, in reading order: `findings` (what a criterion reports), `opened` (a submission with its pictures opened),
`shape`, `text_criteria` (prompts), `clip_fit` (whether a text fits a picture), `picture_criteria`, `originals` (the
course's own source pictures), `description_criteria`, `provenance_criteria`, `verdict` (points, and when a submission
passes).
"""

from helpers.assessment.findings import PICTURES, RECORDS, Fault, Finding, Spot
from helpers.assessment.opened import OpenedSubmission, Picture
from helpers.assessment.verdict import (
    CRITERIA,
    ENOUGH,
    PASS,
    WEIGHTS,
    Criterion,
    Score,
    Verdict,
    Weight,
    examine,
    judge,
)

__all__ = [
    "CRITERIA",
    "ENOUGH",
    "PASS",
    "PICTURES",
    "RECORDS",
    "WEIGHTS",
    "Criterion",
    "Fault",
    "Finding",
    "OpenedSubmission",
    "Picture",
    "Score",
    "Spot",
    "Verdict",
    "Weight",
    "examine",
    "judge",
]
