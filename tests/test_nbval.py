"""`pytest --nbval-lax build/source` runs the solved notebooks, and fails where a cell does."""

import subprocess
import sys
from pathlib import Path

import pytest

from course.build import as_text, read_solution, solve

TINY = Path(__file__).parent / "fixtures" / "00_tiny.py"


def run(notebook, folder):
    file = folder / "solved.ipynb"
    file.write_text(as_text(notebook), "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-cell-timeout=60",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run([*command, str(file)], cwd=folder, capture_output=True, text=True)


def test_the_solved_notebook_runs(tmp_path):
    done = run(solve(read_solution(TINY)), tmp_path)
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


@pytest.mark.parametrize("grade_id", ["double", "centre_tests"])
def test_an_error_in_any_cell_fails(tmp_path, grade_id):
    solved = solve(read_solution(TINY))
    next(cell for cell in solved.cells if cell.id == grade_id).source += "\nraise RuntimeError('no')"
    done = run(solved, tmp_path)
    assert done.returncode == 1 and "1 failed, 7 passed" in done.stdout
