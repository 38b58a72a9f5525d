"""Graders are code too: every right answer in tests/answers wins its points, every wrong one loses them."""

import json
import subprocess
import sys

import pytest
from judge import FIXTURES, ROOT, answers_to, just

from course.build import read_solution

TINY = FIXTURES / "00_tiny.py"
SOLUTIONS = [TINY, *sorted((ROOT / "solutions").glob("*.py"))]


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda solution: solution.stem)
def test_right_answers_win_their_points_and_wrong_ones_lose_theirs(solution, capsys):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "tests" / "judge.py", solution], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    verdicts = [json.loads(line) for line in run.stdout.splitlines()]
    given = [(answer.exercise, answer.fault) for some in answers_to(solution) for answer in some]
    assert [(verdict["exercise"], verdict["fault"]) for verdict in verdicts] == given

    table = "\n".join(
        [
            "| exercise | answer | points | of | what the student reads |",
            "|---|---|---|---|---|",
            *(
                f"| {v['exercise']} | {v['fault'] or 'right'} | {v['points']:g} | {v['most']:g} | {v['said'].replace('|', '¦')} |"
                for v in verdicts
            ),
        ]
    )
    report = ROOT / "build" / "grading" / f"{solution.stem}.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(table + "\n", "utf-8")
    with capsys.disabled():
        print(f"\n\n{table}\n")

    tests = {cell.metadata.tests: cell.source for cell in read_solution(solution).cells if "tests" in cell.metadata}
    assert [v for v in verdicts if not just(v["points"], v["most"], v["fault"], tests[v["exercise"]])] == []
