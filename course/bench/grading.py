"""`course grade` beside `nbgrader autograde`, on the same submissions in one run.

Both use this course's nbgrader_config.py, the same seed and fresh gradebooks, and each is run as an instructor would:
nbgrader's autograder once for each assignment, `course grade` once for all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course.bench.classroom import ANSWERS, SUBMITTED, chosen_solutions, make_class, run_command, scores
from course.grade.run import STATE

__all__ = ["measure", "table"]


def measure(
    students: int = 6, numbers: Sequence[str] = (), *, solutions: Sequence[Path] = (), answers: Path = ANSWERS
) -> dict[str, Any]:
    """Grade a class both ways.

    Args:
        students: how many have handed in each notebook.
        numbers: of the notebooks ("02"); none for all.
        solutions: solution files to use in their place.
        answers: the folder of nbNN.py.

    Returns:
        {"stock_s", "ours_s": seconds of both, "ratio": stock / ours, "same_scores": whether every cell got the same
        points, "sandbox": whether ours used it, "students", "per_notebook": {name: the same for each notebook},
        "differences": [[notebook, student, cell, stock, ours], …]}.

    Raises:
        PlainError: there is no sandbox, or something failed.
    """
    from course.grade.workers import expect_sandbox

    expect_sandbox()
    solutions = solutions or chosen_solutions(numbers)
    names = [file.stem for file in solutions]
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        stock, ours = Path(folder, "stock"), Path(folder, "ours")
        make_class(stock, solutions, students, answers=answers)
        shutil.copytree(stock, ours)
        ours_s = run_command(["course", "grade", SUBMITTED], ours)
        stock_s = {name: run_command(["nbgrader", "autograde", name], stock, may_fail=True) for name in names}
        shares = _shares(ours)
        found = {"stock": scores(stock, names), "ours": scores(ours, names)}
    cells = sorted({*found["stock"], *found["ours"]})
    pairs = [[*cell, found["stock"].get(cell), found["ours"].get(cell)] for cell in cells]
    differences = [pair for pair in pairs if pair[-2] != pair[-1]]
    odd = {name for name, *_ in differences}
    each = {name: _side_by_side(stock_s[name], ours_s * shares.get(name, 0), name not in odd) for name in names}
    whole = _side_by_side(sum(stock_s.values()), ours_s, not odd and len(cells) > 0)
    return {**whole, "sandbox": True, "students": students, "per_notebook": each, "differences": differences}


def _side_by_side(stock: float, ours: float, same: bool) -> dict[str, Any]:
    ratio = round(stock / ours, 2) if ours else None
    return {"stock_s": round(stock, 1), "ours_s": round(ours, 1), "ratio": ratio, "same_scores": same}


def _shares(root: Path) -> dict[str, float]:
    """The share of the whole run that each notebook took, start-up included in proportion."""
    took: dict[str, float] = {}
    for name, key in json.loads((root / STATE / "recorded.json").read_text("utf-8")).items():
        assignment = name.partition("/")[2]
        result = json.loads((root / STATE / "results" / f"{key}.json").read_text("utf-8"))
        took[assignment] = took.get(assignment, 0) + result["took"]
    return {name: seconds / sum(took.values()) for name, seconds in took.items()}


def table(found: dict[str, Any]) -> str:
    """Return the measurement as a table."""
    lines = [f"{'notebook':26} {'nbgrader':>10} {'course':>10} {'ratio':>7}  scores"]
    for name, row in [*found["per_notebook"].items(), ("all", found)]:
        same = "the same" if row["same_scores"] else "different"
        lines.append(f"{name:26} {row['stock_s']:8.1f} s {row['ours_s']:8.1f} s {row['ratio'] or 0:7.1f}  {same}")
    lines += [f"    {' '.join(map(str, cell))}: nbgrader {a}, course {b}" for *cell, a, b in found["differences"]]
    return "\n".join(lines)
