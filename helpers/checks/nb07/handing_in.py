"""`handed_in`: the file that is handed in and its real pictures, judged by the criteria of the assessment runner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect

if TYPE_CHECKING:
    from helpers.assessment import Finding

__all__ = ["handed_in"]

handed_in = Exercise("handed_in")
"""The answer is the folder of all_metadata.json. Each criterion is a case, with the points of `helpers.assessment.WEIGHTS`."""


@handed_in.given
def findings(handed_in, rng) -> dict[str, Finding]:
    """What the assessment finds, by criterion; `rng` chooses the pictures that are drawn again."""
    from helpers.assessment import WEIGHTS, OpenedSubmission, examine
    from helpers.errors import PlainError

    try:
        opened = OpenedSubmission.from_folder(Path(handed_in).parent)
    except PlainError as error:
        raise CheckFailed(str(error)) from error
    return examine(opened, WEIGHTS["notebook"], rng)


@handed_in.edge(10)
def records(findings) -> None:
    """four records of four prompts and four pictures"""
    _expect_reached("shape", findings)


@handed_in.core(20)
def descriptions(findings) -> None:
    """descriptions that fit their originals"""
    _expect_reached("descriptions", findings)


@handed_in.core(20)
def distinct_prompts(findings) -> None:
    """prompts that are distinct and about the subject of their description"""
    _expect_reached("prompts", findings)


@handed_in.edge(18)
def different_pictures(findings) -> None:
    """pictures that exist and are all different"""
    _expect_reached("pictures", findings)


@handed_in.core(20)
def pictures_fit_their_prompts(findings) -> None:
    """pictures that show what their prompts ask for"""
    _expect_reached("fit", findings)


@handed_in.edge(12)
def true_provenance(findings) -> None:
    """true provenance: drawn again from it, the pictures are the same"""
    _expect_reached("provenance", findings)


def _expect_reached(name: str, findings: dict[str, Finding]) -> None:
    """Raise `CheckFailed` unless the finding is good enough for the criterion of this name."""
    from helpers.assessment import CRITERIA, WEIGHTS

    finding = findings[name]
    expect(WEIGHTS["notebook"][name].reached(finding), " ".join(finding.messages) or CRITERIA[name].advice)
