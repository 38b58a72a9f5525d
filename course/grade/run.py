"""`course grade`: all submissions of a folder, into nbgrader's gradebook.

Each submission is repaired, graded in a sandbox, and its result kept in a file; one writer records the results. What is
in the files is not graded again, and what is recorded is not recorded again, so a run that was stopped goes on where it
was. A submission, a release or a grader that has changed makes a new result. Equal submissions share one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from course.grade.book import course_folder, record, release_missing
from course.grade.feedback import hints_for
from course.grade.found import Submission, submissions_in
from course.grade.grader import SECONDS
from course.grade.plan import role
from course.grade.repair import Repaired, read_file, repair
from course.grade.sandbox import ROOT
from course.grade.workers import Workers, expect_sandbox, on_dask, on_this_computer, version
from course.sheets import Owners, sheet_of
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

__all__ = ["Assignment", "Row", "assignments_of", "grade_all", "ids_of", "score", "table", "task_for"]

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
    """The points of one exercise of a student, and why they are not all; exercise is "" for a submission as a whole.

    `sheet` is the submission's, "" for that of all, and `remark` what is odd about it: see `course.sheets`.
    """

    student: str
    assignment: str
    exercise: str
    points: float | None
    most: float
    why: str = ""
    sheet: str = ""
    remark: str = ""


def grade_all(
    submitted: Path,
    *,
    root: Path = ROOT,
    jobs: int = 0,
    db: str | None = None,
    sandboxed: bool = True,
    only: set[str] | None = None,
    dask: str | None = None,
) -> list[Row]:
    """Grade all submissions in a folder.

    Args:
        submitted: a folder with a folder for each student.
        root: the course's folder, with nbgrader_config.py and build/source.
        jobs: how many to grade at a time; 0 for as many as there are processors.
        db: the gradebook's URL.
        sandboxed: whether students' code runs in the sandbox.
        only: the assignments to grade; None for all.
        dask: the address of a Dask cluster's scheduler, whose workers grade; None for this computer.

    Returns:
        A row for each exercise.

    Raises:
        PlainError: something is missing: the folder, the configuration, a sandbox, the cluster; or another run is not
            done yet.
    """
    if sandboxed and not dask:
        expect_sandbox()
    assignments = assignments_of(root, only)
    ids = {name: ids_of(assignment) for name, assignment in assignments.items()}
    state = root / STATE
    for name in ("results", "staged"):
        (state / name).mkdir(parents=True, exist_ok=True)
    with _alone(state):
        for half_written in state.rglob("*.tmp"):
            half_written.unlink()
        folder, config = course_folder(root, db=db, submitted=state / "staged")
        release_missing(folder, config, ids)
        found = list(submissions_in(submitted, ids))
        owners = Owners.of(root, {submission.student for submission in found})
        grades = Grades(state, assignments, folder, config, owners)
        where = on_dask(dask, sandboxed=sandboxed) if dask else on_this_computer(jobs, sandboxed=sandboxed)
        with where as workers:
            rows = list(_graded(found, grades, workers))
    return sorted(rows, key=lambda row: (row.assignment, row.student))


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the lock of this folder, which the system takes back when the process ends, however it ends.

    Raises:
        PlainError: another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        held = FileLock(state / "lock").acquire(timeout=0)
    except Timeout as error:
        raise PlainError(
            f"Another `course grade` is running in {state.parent}: wait until it is done, or stop it."
        ) from error
    with held:
        yield


def _graded(found: list[Submission], grades: Grades, workers: Workers) -> Iterator[Row]:
    """Have each submission graded, and record it; yield its rows. A damaged submission must not stop the others."""
    from tqdm.auto import tqdm

    running: dict[Future, str] = {}
    waiting: dict[str, list[tuple[Submission, Repaired]]] = {}  # for each result, the submissions that are equal
    queue = iter(found)
    with tqdm(total=len(found), unit="submission", desc="grading") as bar:
        while True:
            for submission in queue:
                try:
                    repaired, key, task = grades.prepared(submission)
                except Exception as error:
                    yield _not_graded(submission, error)
                    bar.update()
                    continue
                waiting.setdefault(key, []).append((submission, repaired))
                if len(waiting[key]) == 1:
                    running[grades.result(key, task, workers)] = key
                if len(running) >= AHEAD * workers.number():
                    break
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                key = running.pop(done)
                for submission, repaired in waiting.pop(key):
                    try:
                        yield from grades.recorded(submission, repaired, key, done.result())
                    except Exception as error:
                        yield _not_graded(submission, error)
                    bar.update()


def _not_graded(submission: Submission, error: Exception) -> Row:
    why = str(error) or type(error).__name__
    return Row(submission.student, submission.assignment, "", None, 100, one_line(why))


class Grades:
    """The results so far, and which of them the gradebook has.

    Args:
        state: the folder for both.
        assignments: by name.
        folder, config: nbgrader's; see `course_folder`.
        owners: of sheets.
    """

    def __init__(
        self,
        state: Path,
        assignments: dict[str, Assignment],
        folder: CourseDirectory,
        config: Config,
        owners: Owners,
    ) -> None:
        self.state, self.assignments, self.folder, self.config = state, assignments, folder, config
        self.owners = owners
        self.in_the_book = _read_json(state / "recorded.json")

    def prepared(self, submission: Submission) -> tuple[Repaired, str, dict]:
        """Return the repaired notebook, the key of its result, and the task for a worker.

        Raises:
            PlainError: the file is not a notebook that can be graded.
        """
        from helpers.settings import settings

        assignment = self.assignments[submission.assignment]
        repaired = repair(read_file(submission.file), assignment.released)
        task = task_for(repaired, assignment, self.config, settings.grader_seed)
        parts = json.dumps([task, version()], sort_keys=True)
        return repaired, hashlib.sha256(parts.encode()).hexdigest()[:32], task

    def result(self, key: str, task: dict, workers: Workers) -> Future[dict]:
        """Return the future of a result, which is saved as soon as it arrives."""
        file = self.state / "results" / f"{key}.json"
        if file.exists():
            known: Future[dict] = Future()
            known.set_result(_read_json(file))
            return known

        def keep(done: Future[dict]) -> None:
            if not done.cancelled() and not done.exception() and "lost" not in done.result():
                _write_json(file, done.result())

        future = workers.submit(task)
        future.add_done_callback(keep)
        return future

    def recorded(self, submission: Submission, repaired: Repaired, key: str, result: dict) -> Iterator[Row]:
        """Write a result into the gradebook, if it is not there; yield a row for each exercise.

        Raises:
            PlainError: there is no result, or nbgrader can't take it.
        """
        if "lost" in result:
            raise PlainError(result["lost"])
        cells, assignment = repaired.notebook.cells, self.assignments[submission.assignment]
        outputs = {cells[i].id: shown for i, shown in result["outputs"]}
        name = f"{submission.student}/{submission.assignment}"
        if self.in_the_book.get(name) != key:
            _stage(self.state / "staged", submission, repaired)
            pages = {
                cells[int(i)].id: (found, hints_for(found["exercise"], assignment.released))
                for i, found in result["feedback"].items()
            }
            record(self.folder, self.config, submission.student, submission.assignment, outputs, pages)
            self.in_the_book[name] = key
            _write_json(self.state / "recorded.json", self.in_the_book)
        of_all = sheet_of(assignment.released)
        remark = self.owners.remark(submission.student, repaired.sheet, of_all)
        sheet = "" if repaired.sheet == of_all else repaired.sheet
        return (replace(row, sheet=sheet, remark=remark) for row in _rows(submission, assignment, outputs))


def task_for(repaired: Repaired, assignment: Assignment, config: Config, seed: int) -> dict:
    """Return the task that lets a worker grade a repaired notebook; see `Grader.grade`."""
    task = {"submitted": repaired.notebook, "released": assignment.released, "graded": assignment.graded}
    return task | {"seed": seed, "seconds": config.Execute.get("timeout") or SECONDS, "feedback": True}


def assignments_of(root: Path, only: set[str] | None = None) -> dict[str, Assignment]:
    """Return the assignments that `course build` has made, or only some of them, by name.

    Raises:
        PlainError: there is none.
    """
    found = {each.name: each for each in assignments_in(root) if only is None or each.name in only}
    if not found:
        raise PlainError(f"There is no assignment in {root / 'build' / 'source'}: run `course build` first.")
    return found


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
        lines += [f"    sheet  {remark}" for remark in dict.fromkeys(row.remark for row in some) if remark]
    return "\n".join(lines)


def write_csv(rows: list[Row], file: Path) -> None:
    """Write the rows as a table with a header line, and what is known of sheets if any student has one."""
    sheets = any(row.sheet or row.remark for row in rows)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["student", "assignment", "exercise", "points", "of", "why", *["sheet", "remark"] * sheets])
        for row in rows:
            points = "" if row.points is None else f"{row.points:g}"
            texts = [one_line(text) for text in (row.student, row.assignment, row.exercise)]
            about_sheet = [row.sheet, one_line(row.remark)] if sheets else []
            writer.writerow([*texts, points, f"{row.most:g}", row.why, *about_sheet])


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


def ids_of(assignment: Assignment) -> set[str]:
    """Return the grade ids of an assignment's cells."""
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
