"""Notebook 07's hand-in, `generated_images/all_metadata.json` and its pictures, judged as `helpers.assessment` judges it.

Each criterion has points of its own, so a fault of the prompts leaves the pictures theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from helpers.checks import CheckFailed

__all__ = ["NAMES", "Criterion", "criteria", "false_provenance", "points_of_hand_in"]

#: What the notebook calls the criteria that need no drawing.
NAMES = {
    "shape": "records",
    "descriptions": "descriptions",
    "prompts": "prompts",
    "pictures": "pictures",
    "fit": "pictures and prompts",
}


class Criterion(NamedTuple):
    """One thing that a submission is judged by: its points, in per cent, and what is wrong ("" where it is good enough)."""

    name: str
    points: int
    fault: str


def points_of_hand_in(*, points: int, seed: int, folder: str | Path = ".") -> float:
    """The points of a submission: those of `criteria`, and those for pictures that come out again when they are redrawn."""
    judged = _judged(Path(folder), [*NAMES, "provenance"], seed)
    for each in judged:
        if each.fault:
            print(f"{each.name}: {each.fault}")
    won = sum(each.points for each in judged if not each.fault)
    return points * won / sum(each.points for each in judged)


def criteria(folder: Path) -> list[Criterion]:
    """What the records in `folder`/generated_images/all_metadata.json are worth. Raises `CheckFailed` for no file."""
    return _judged(folder, NAMES)


def false_provenance(folder: Path, seed: int) -> str:
    """What is wrong with the provenance of the pictures; those that the seed chooses are drawn again."""
    (found,) = _judged(folder, ["provenance"], seed)
    return found.fault and f"provenance: {found.fault}"


def _judged(folder: Path, names: Iterable[str], seed: int = 0) -> list[Criterion]:
    """What these criteria say of the hand-in."""
    from helpers.assessment import WEIGHTS, OpenedSubmission, examine
    from helpers.errors import PlainError

    try:
        opened = OpenedSubmission.from_folder(folder)
    except PlainError as error:
        raise CheckFailed(str(error)) from None
    found, weights = examine(opened, names, Random(seed)), WEIGHTS["notebook"]
    return [
        Criterion(
            NAMES.get(name, name),
            weights[name].points,
            "" if weights[name].reached(finding) else " ".join(finding.messages),
        )
        for name, finding in found.items()
    ]
