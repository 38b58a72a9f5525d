"""A way on: with any exercise left unwritten, every later cell runs, or stops with a sentence that names the exercise."""

import json
import subprocess
import sys

import pytest
from judge import ROOT
from unsolved import dependents

# chDB answers nobody in a fork, and without forks notebook 05 takes minutes: `python tests/unsolved.py` tries it by hand.
SOLUTIONS = [path for path in sorted((ROOT / "solutions").glob("*.py")) if not path.name.startswith("05")]


def test_what_hangs_on_an_exercise_is_found_through_names():
    sources = [
        "def mean(x): ...",
        "a = mean([1])",
        "b = 2",
        "def centre(x):\n    return mean(x)",
        "a = 5",
        "c = a",
        "centre(b)",
    ]
    lost = {"mean", "a", "centre"}
    assert dependents(sources, 0, "mean") == ([1, 3, 6], lost)  # nothing that runs again needs the new `a`
    assert dependents([*sources, "centre(a)"], 0, "mean") == ([1, 3, 4, 6, 7], lost)


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda solution: solution.stem)
def test_without_an_exercise_later_cells_run_or_name_it_in_a_sentence(solution):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "tests" / "unsolved.py", solution], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    ended = [json.loads(line) for line in run.stdout.splitlines()]
    assert ended, "the exercise's own check should say that it is not written"
    lost = [
        one
        for one in ended
        if f"{one['exercise']} is not written yet." not in one["shown"] or "Traceback" in one["shown"]
    ]
    assert lost == []
