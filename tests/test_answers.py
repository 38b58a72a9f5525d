"""Graders are code too: right answers in tests/answers win all points, partial ones at least half, wrong ones less."""

import json
import subprocess
import sys

import pytest
from judge import FIXTURES, ROOT, answers_to, just

TINY = FIXTURES / "00_tiny.py"
SOLUTIONS = [TINY, *sorted((ROOT / "solutions").glob("*.py"))]


@pytest.fixture(scope="module")
def judged() -> dict[str, list[dict]]:
    """The verdicts on the answers to each notebook: one process judges them all, since loading the models takes long."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "tests" / "judge.py", *SOLUTIONS], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    verdicts = {solution.stem: [] for solution in SOLUTIONS}
    for line in run.stdout.splitlines():
        verdict = json.loads(line)
        verdicts[verdict["notebook"]].append(verdict)
    return verdicts


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda solution: solution.stem)
def test_right_answers_win_all_points_partial_ones_half_and_wrong_ones_less(solution, judged, capsys):
    verdicts = judged[solution.stem]
    given = [(answer.exercise, answer.kind, answer.fault) for some in answers_to(solution) for answer in some]
    assert [(verdict["exercise"], verdict["kind"], verdict["fault"]) for verdict in verdicts] == given

    table = "\n".join(
        [
            "| exercise | answer | points | of | what the student reads |",
            "|---|---|---|---|---|",
            *(
                f"| {v['exercise']} | {v['kind']}{v['fault'] and ': '}{v['fault']} | {v['points']:g} | {v['most']:g} | {v['said'].replace('|', '¦')} |"
                for v in verdicts
            ),
        ]
    )
    report = ROOT / "build" / "grading" / f"{solution.stem}.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(table + "\n", "utf-8")
    with capsys.disabled():
        print(f"\n\n{table}\n")

    assert [v for v in verdicts if not just(v["points"], v["most"], v["kind"])] == []
