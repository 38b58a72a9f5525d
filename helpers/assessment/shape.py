"""Criterion: four records, each with four prompts and four pictures."""

from __future__ import annotations

from fractions import Fraction

from helpers.assessment.findings import RECORDS, Fault, Finding, Spot
from helpers.assessment.opened import OpenedSubmission

__all__ = ["shape"]


def shape(opened: OpenedSubmission) -> Finding:
    """Check for four records, each with four prompts and four pictures. More than four records lower the share, too."""
    count, right, faults = len(opened.records), 0, []
    if count != RECORDS:
        faults.append(Fault(None, f"The submission has {count} record{'s' * (count != 1)} instead of {RECORDS}"))
    for i, record in enumerate(opened.records, start=1):
        sizes = {"prompt": len(record.prompts), "picture": len(record.image_paths)}
        wrong = [f"{size} {part}{'s' * (size != 1)}" for part, size in sizes.items() if size != RECORDS]
        right += not wrong and i <= RECORDS
        if wrong:
            has = f"{' and '.join(wrong)} instead of {RECORDS}"
            faults.append(Fault(Spot(i), f"has {has}", f"have {has} each"))
    return Finding(Fraction(right, max(RECORDS, count)), faults)
