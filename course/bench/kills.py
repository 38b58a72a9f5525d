"""`course grade`, ended with kill -9 at random moments, beside an undisturbed run: the grades must be the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from course.bench.classroom import ANSWERS, SUBMITTED, chosen_solutions, environment, make_class, run_command, scores
from course.grade.run import STATE

__all__ = ["measure", "table"]

GRADE = ["course", "grade", SUBMITTED]


def measure(
    times: int = 10,
    students: int = 3,
    numbers: Sequence[str] = ("02",),
    *,
    solutions: Sequence[Path] = (),
    answers: Path = ANSWERS,
    seed: object = 0,
) -> dict[str, Any]:
    """Grade a class undisturbed, and again with many kills.

    A killed run is started again, and resumes where it stopped. If a run finishes before its moment, everything starts
    again in a fresh folder, so that every kill ends a run that is at work.

    Args:
        times: how often the run is killed.
        students: how many have handed in each notebook.
        numbers: of the notebooks ("02").
        solutions: solution files to use in their place.
        answers: the folder of nbNN.py.
        seed: for the moments.

    Returns:
        {"kills": [[seconds after its start, results that were there, results that were recorded], …], "identical":
        whether gradebook and grades.csv are the same, "scores": how many, "undisturbed_s": seconds of that run,
        "runs_that_were_done_first"}.
    """
    solutions = solutions or chosen_solutions(numbers)
    names = [file.stem for file in solutions]
    rng, kills, done_first = Random(f"{seed}"), [], 0
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        fresh, calm, killed = (Path(folder, name) for name in ("fresh", "calm", "killed"))
        make_class(fresh, solutions, students, answers=answers)
        (fresh / "gradebook.db").unlink()  # `course grade` makes it, and may be killed while it does
        shutil.copytree(fresh, calm)
        seconds = run_command(GRADE, calm)
        shutil.copytree(fresh, killed)
        while len(kills) < times:
            moment = rng.uniform(0, seconds)
            if _killed(killed, moment):
                kills.append([round(moment, 2), *_progress(killed / STATE)])
            else:
                done_first += 1
                shutil.rmtree(killed)
                shutil.copytree(fresh, killed)
        run_command(GRADE, killed)
        expected, found = scores(calm, names), scores(killed, names)
        tables = [(root / "grades.csv").read_text("utf-8") for root in (calm, killed)]
    return {
        "kills": kills,
        "identical": bool(expected) and expected == found and tables[0] == tables[1],
        "scores": len(expected),
        "undisturbed_s": round(seconds, 1),
        "runs_that_were_done_first": done_first,
    }


def _killed(root: Path, moment: float) -> bool:
    """Start a run, kill it after `moment` seconds, and return whether it was still at work."""
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-W", "ignore", "-m", *GRADE]
    run = subprocess.Popen(command, cwd=root, env=environment(), stdout=nowhere, stderr=nowhere)
    began = time.monotonic()
    while run.poll() is None and time.monotonic() - began < moment:
        time.sleep(0.01)
    at_work = run.poll() is None
    run.kill()
    run.wait()
    return at_work


def _progress(state: Path) -> tuple[int, int]:
    """How many results a run has left behind, and how many of them are recorded."""
    recorded = state / "recorded.json"
    in_the_book = len(json.loads(recorded.read_text("utf-8"))) if recorded.exists() else 0
    return len([*(state / "results").glob("*.json")]), in_the_book


def table(found: dict[str, Any]) -> str:
    """Return the measurement as lines of text."""
    lines = [f"undisturbed: {found['undisturbed_s']} s, {found['scores']} scores"]
    lines += [f"killed after {s:6.2f} s, with {n} results, {m} of them recorded" for s, n, m in found["kills"]]
    return "\n".join([*lines, f"grades: {'identical' if found['identical'] else 'DIFFERENT'}"])
