"""The course's own versions of exercises: they earn no points and let everything that needs them run.

`course build` packs the solutions into borrowed.bin, not to hide them, but so that nobody reads one by accident.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.errors import PlainError

__all__ = ["borrow", "hint", "is_borrowed", "packed", "unpacked"]

FILE = Path(__file__).with_name("borrowed.bin")


def borrow(exercise: str, notebook: str = "") -> Any:
    """Return the course's own version of an exercise, to use instead of yours.

    `embed_texts = checks.borrow("embed_texts")` uses what the notebook has defined so far, so run the set-up cells
    first. It earns no points.

    Args:
        exercise: its name.
        notebook: the notebook's number, such as "07"; only needed if two notebooks have an exercise of this name.

    Raises:
        PlainError: there is no such exercise, or more than one.
    """
    found = _versions(exercise)
    if notebook:
        found = {number: source for number, source in found.items() if number == notebook}
    if not found:
        names = sorted({key.partition("/")[2] for key in unpacked(FILE)})
        raise PlainError(f"There is no exercise {exercise!r} to borrow; choose one of: {', '.join(names)}.")
    if len(found) > 1:
        ways = " or ".join(f'checks.borrow("{exercise}", "{number}")' for number in found)
        raise PlainError(f"Notebooks {' and '.join(found)} each have an exercise {exercise}; write {ways}.")
    names = sys._getframe(1).f_globals
    missing = object()
    before = names.get(exercise, missing)
    exec(compile(*found.values(), f"<the course's {exercise}>", "exec"), names)
    made = names.pop(exercise)
    if before is not missing:
        names[exercise] = before
    made.__borrowed__ = True
    return made


def is_borrowed(answer: Any) -> bool:
    """Whether this is the course's own version."""
    return getattr(answer, "__borrowed__", False) is True


def hint(exercise: str) -> str:
    """Say how to continue without the exercise; empty if there is nothing to borrow."""
    found = _versions(exercise)
    if not found:
        return ""
    number = f', "{next(iter(found))}"' if len(_all_versions(exercise)) > 1 and len(found) == 1 else ""
    return (
        f'To continue without it, run {exercise} = checks.borrow("{exercise}"{number}): the course\'s own version, which '
        "earns no points."
    )


def _versions(exercise: str) -> dict[str, str]:
    """The sources of an exercise by notebook; only this notebook's if the imported checks show which one it is."""
    found = _all_versions(exercise)
    here = {number: source for number, source in found.items() if f"helpers.checks.nb{number}" in sys.modules}
    return here if len(here) == 1 else found


def _all_versions(exercise: str) -> dict[str, str]:
    return {key.partition("/")[0]: text for key, text in unpacked(FILE).items() if key.partition("/")[2] == exercise}


def packed(solutions: Mapping[str, str]) -> bytes:
    """Pack the sources of exercises, with keys such as "07/generate_images", into the bytes of borrowed.bin."""
    return zlib.compress(json.dumps(dict(sorted(solutions.items()))).encode(), 9)


def unpacked(file: Path) -> dict[str, str]:
    """Unpack what `packed` has packed; empty if there is no file."""
    return json.loads(zlib.decompress(file.read_bytes())) if file.exists() else {}
