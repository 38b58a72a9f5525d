"""`course build`: makes the students' notebooks from the authors' solution files.

    solutions/NN_name.py  →  build/source/NN_name/NN_name.ipynb   solved, for nbgrader and nbval; not committed
                          →  notebooks/NN_name/NN_name.ipynb      the student's: no solutions, no hidden tests
    solutions/NN_flashcards.md  →  flashcards.md beside both
    all of them        →  helpers/checks/borrowed.bin           the reference solutions, for `checks.borrow`
    for each student who gets a sheet of their own (`course.sheets`):
                       →  build/sheets/STUDENT/NN_name/NN_name.ipynb

`course.authoring` describes solution files, and what can be wrong in one. nbgrader's own classes, those named in
`nbgrader_config.py`, do nbgrader's steps (stubs, hidden tests, locks, checksums).
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from course.authoring import (
    MARKER,
    REGIONS,
    authoring_problems,
    grade_ids,
    is_check,
    label,
    role_of,
    with_regions,
)
from course.sheets import FOLDER, own_sheet, with_sheet
from course.utf8 import read_utf8
from helpers.checks.borrowing import packed, unpacked
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["build", "graded_source", "read_solution", "release", "solve"]

ROOT = Path(__file__).resolve().parent.parent
BORROWED = Path("helpers", "checks", "borrowed.bin")
REMEDY = "run `course build` and commit it"


def build(
    *, check: bool = False, seed: int | None = None, students: Iterable[str] = (), root: Path = ROOT
) -> list[str]:
    """Build build/source and notebooks from solutions; return the problems, one sentence each, [] if there are none.

    A fault in a solution file is reported with its notebook and cell; if there is any, nothing is written.

    Args:
        check: only compare notebooks/ with what would be built.
        seed: of the checks that students see, for a course that wants other inputs than the last one.
        students: the ids of those who get a sheet of their own.
        root: the course's folder.

    Raises:
        PlainError: there is no secret to make students' own sheets from.
    """
    sheets = {student: own_sheet(student) for student in students}
    sources = sorted((root / "solutions").glob("*.py"))
    if not sources:
        return [f"There is no solution file (*.py) in {root / 'solutions'}: nothing to build."]

    problems, solved_files, student_files, secrets, borrowable = [], {}, {}, [], {}
    for source in sources:
        name = source.stem
        cards = source.with_name(f"{name.split('_')[0]}_flashcards.md")
        try:
            authored, texts = read_solution(source), [read_utf8(cards)] if cards.exists() else []
        except PlainError as error:
            problems.append(str(error))
            continue
        faults = [f"{name}, {fault}" for fault in authoring_problems(authored)]
        problems += faults
        if faults:
            continue
        solved = solve(authored) if seed is None else with_sheet(solve(authored), str(seed))
        student = release(solved)
        problems += [f"{name}, {fault}" for fault in student_problems(student)]
        solved_files[f"{name}/{name}.ipynb"] = as_text(solved)
        student_files[f"{name}/{name}.ipynb"] = as_text(student)
        secrets += secret_regions(authored)
        borrowable |= {f"{name[:2]}/{exercise}": text for exercise, text in reference_versions(authored)}
        for text in texts:
            solved_files[f"{name}/flashcards.md"] = student_files[f"{name}/flashcards.md"] = text

    if not problems:
        problems += leak_problems(secrets, student_files)
    if problems:
        return problems

    shutil.rmtree(root / "build" / "source", ignore_errors=True)
    write(solved_files, root / "build" / "source")
    if not check:
        write(student_files, root / "notebooks")
        (root / BORROWED).parent.mkdir(parents=True, exist_ok=True)
        (root / BORROWED).write_bytes(packed(borrowable))
        write_sheets(student_files, sheets, root / FOLDER)
    on_disk = text_files(root / "notebooks")
    stale = [] if unpacked(root / BORROWED) == borrowable else [f"{BORROWED} does not match solutions/; {REMEDY}."]
    return stale_problems(student_files, on_disk) + stale + leak_problems(secrets, on_disk)


# ---------------------------------------------------------------- from solution file to solved and student notebook


def read_solution(path: Path) -> NotebookNode:
    """Read a solution file as a notebook, whose cells still have the compact metadata (`exercise=…`)."""
    import jupytext

    notebook = jupytext.reads(read_utf8(path), fmt="py:percent")
    notebook.metadata.pop("jupytext", None)
    for cell in notebook.cells:
        for key in ("lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker"):
            cell.metadata.pop(key, None)
    return notebook


def solve(authored: NotebookNode) -> NotebookNode:
    """Return the solved notebook, with nbgrader's metadata instead of the compact one, and stable cell ids."""
    notebook = deepcopy(authored)
    notebook.cells = [part for cell in notebook.cells for part in graded_parts(cell)]
    name_cells(notebook)
    return notebook


def release(solved: NotebookNode) -> NotebookNode:
    """Return the student's notebook, made by the nbgrader classes that `nbgrader generate_assignment` runs."""
    from nbgrader.preprocessors import SaveCells

    from course.nbgrader_hooks import RELEASE

    notebook, resources = deepcopy(solved), {}
    for preprocessor in RELEASE:
        if preprocessor is not SaveCells:  # it needs a gradebook
            notebook, resources = preprocessor().preprocess(notebook, resources)
    return notebook


def graded_parts(cell: NotebookNode) -> list[NotebookNode]:
    """Return the cell with nbgrader's metadata. A written question becomes two cells: question with rubric, and answer.

    So a student can't erase the question, and manual graders see the rubric: nbgrader restores the full text of locked
    cells at autograding.
    """
    role, name = role_of(cell)
    ids = grade_ids(role, name)
    points = cell.metadata.pop("points", None)
    cell.metadata.pop(role, None)
    if role == "exercise":
        cell.metadata.nbgrader = nbgrader_metadata(*ids, solution=True)
    elif role == "tests":
        cell.source = graded_source(cell, points)
        cell.metadata.nbgrader = nbgrader_metadata(*ids, grade=True, locked=True, points=points)
    elif role == "locked":
        cell.metadata.nbgrader = nbgrader_metadata(*ids, locked=True)
    elif role == "written":
        lines, question, answer = with_regions(cell.source), deepcopy(cell), deepcopy(cell)
        question.source = "\n".join(line for line, region in lines if region != "SOLUTION").strip()
        question.metadata.nbgrader = nbgrader_metadata(ids[0], locked=True)
        answer.source = "\n".join(line for line, region in lines if region == "SOLUTION")
        answer.metadata.nbgrader = nbgrader_metadata(ids[1], grade=True, solution=True, points=points)
        return [question, answer]
    return [cell]


def graded_source(cell: NotebookNode, points: float) -> str:
    """Return the source of a tests cell for grading: a check returns points, and runs its cases with the grader's seed.

    The import comes first, in case the student has redefined `checks`.
    """
    if not is_check(cell):
        return cell.source
    points_import = f"from helpers import checks\n\nchecks.for_points({points})"
    return f"### BEGIN HIDDEN TESTS\n{points_import}\n### END HIDDEN TESTS\n{cell.source}"


def nbgrader_metadata(grade_id: str, *, grade=False, solution=False, locked=False, points=None) -> dict:
    """Return metadata of nbgrader's schema 3, with `points` only if given."""
    metadata = {"schema_version": 3, "grade_id": grade_id}
    metadata |= {"grade": grade, "solution": solution, "locked": locked, "task": False}
    return metadata if points is None else metadata | {"points": points}


def name_cells(notebook: NotebookNode) -> None:
    """Set each cell's id: its grade id, or else a hash of its text and of how often that text has occurred."""
    seen = Counter()
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.id = cell.metadata.nbgrader.grade_id
        else:
            seen[cell.source] += 1
            cell.id = hashlib.sha256(f"{seen[cell.source]} {cell.source}".encode()).hexdigest()[:12]


def as_text(notebook: NotebookNode) -> str:
    """Serialize the notebook as nbgrader does."""
    import nbformat

    return nbformat.writes(notebook) + "\n"


# ---------------------------------------------------------------- what can be wrong in a student notebook


def student_problems(notebook: NotebookNode) -> Iterator[str]:
    """Check that a notebook is valid, with no outputs or widget state, which students would take for their own."""
    from nbformat import ValidationError, validate

    try:
        validate(notebook)
    except ValidationError as error:
        yield f"not a valid notebook: {error}"
    if "widgets" in notebook.metadata:
        yield "notebook metadata: widget state is stored (metadata.widgets); clear it."
    for cell in notebook.cells:
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"cell {cell.id}: it has outputs or an execution count; clear them."


def stale_problems(expected: dict[str, str], on_disk: dict[str, str]) -> Iterable[str]:
    """Report files in notebooks/ that do not match solutions/."""
    problems = []
    for file, text in expected.items():
        if file not in on_disk:
            problems.append(f"notebooks/{file} is missing; {REMEDY}.")
        elif on_disk[file] != text:
            where = f" ({difference(text, on_disk[file])})" if file.endswith(".ipynb") else ""
            problems.append(f"notebooks/{file} does not match solutions/{where}; {REMEDY}.")
    for file in on_disk:
        if file.endswith(".ipynb") and file not in expected:
            problems.append(f"notebooks/{file} has no source in solutions/; delete it.")
    return problems


def difference(expected: str, found: str) -> str:
    """Say in a few words where two notebook texts differ."""
    import nbformat

    try:
        found = nbformat.reads(found, as_version=4)
    except Exception as error:  # nbformat raises many kinds of error for a damaged file
        return f"it can't be read as a notebook: {type(error).__name__}"
    faults = list(student_problems(found))
    if faults:
        return "; ".join(fault.rstrip(".") for fault in faults[:3])
    expected = nbformat.reads(expected, as_version=4)
    old, new = ({cell.id: cell for cell in notebook.cells} for notebook in (found, expected))
    cells = [i for i in [*new, *(i for i in old if i not in new)] if old.get(i) != new.get(i)]
    if cells:
        return f"cells {', '.join(cells[:5])}{' and more' if len(cells) > 5 else ''} differ"
    return "the order of its cells or its metadata differs"


def secret_regions(authored: NotebookNode) -> list[tuple[str, list[str]]]:
    """Return (cell and region, distinctive lines) of every region that students must not see."""
    secrets = []
    for cell in authored.cells:
        for region, lines in groupby(with_regions(cell.source), key=lambda pair: pair[1]):
            if region:
                secrets.append((f"{label(cell)}'s {region}", distinctive_lines(line for line, _ in lines)))
    return secrets


def leak_problems(secrets: list[tuple[str, list[str]]], files: dict[str, str]) -> list[str]:
    """Report student files that contain a region's marker, or five lines in a row (or all) of a region."""
    problems = []
    for location, lines in (part for file in files.items() for part in readable_parts(*file)):
        for line in lines:
            marker = MARKER.match(line)
            if marker and marker[2] in REGIONS:
                problems.append(f"{location} has the marker '{line.strip()}', which students must not see.")
        shown = "\n".join(["", *distinctive_lines(lines), ""])
        for secret, hidden in secrets:
            runs = ["\n".join(["", *hidden[i : i + 5], ""]) for i in range(max(1, len(hidden) - 4))]
            if any(len(run) > 20 and run in shown for run in runs):
                problems.append(f"{location} shows lines of {secret}, which students must not see.")
    return problems


def reference_versions(authored: NotebookNode) -> Iterator[tuple[str, str]]:
    """Yield (exercise, source without markers) of every exercise that is a function or class of that name."""
    for cell in authored.cells:
        role, name = role_of(cell)
        if role == "exercise" and re.search(rf"^(def|class) {name}\b", cell.source, re.MULTILINE):
            yield name, "\n".join(line for line in cell.source.splitlines() if not MARKER.match(line)) + "\n"


def readable_parts(file: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, lines) of the readable parts of a file in notebooks/: each cell of a notebook, or the whole text."""
    import nbformat

    if not file.endswith(".ipynb"):
        yield f"notebooks/{file}", text.splitlines()
        return
    try:
        cells = nbformat.reads(text, as_version=4).cells
    except Exception:  # stale_problems reports that the file is damaged
        return
    for cell in cells:
        yield f"notebooks/{file}, cell {cell.get('id', '?')}:", cell.source.splitlines()


def distinctive_lines(lines: Iterable[str]) -> list[str]:
    """Return the lines without spaces and #, so that commented-out or reformatted copies are found, too.

    Blank lines, markers and imports are left out: they reveal nothing about a solution.
    """
    kept = (line for line in lines if not MARKER.match(line) and not re.match(r"\s*(import|from) ", line))
    return [bare for line in kept if (bare := re.sub(r"[\s#]", "", line))]


# ---------------------------------------------------------------- files


def write_sheets(student_files: dict[str, str], sheets: dict[str, str], folder: Path) -> None:
    """Write each student's own notebooks, and what belongs to them, into a folder with the student's name."""
    import nbformat

    notebooks = {file: nbformat.reads(text, as_version=4) for file, text in student_files.items() if ".ipynb" in file}
    for student, sheet in sheets.items():
        own = {file: as_text(with_sheet(notebook, sheet)) for file, notebook in notebooks.items()}
        write(student_files | own, folder / student)


def write(files: dict[str, str], folder: Path) -> None:
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def text_files(folder: Path) -> dict[str, str]:
    """Read every file below a folder that could contain a solution, except in hidden folders (checkpoints)."""
    kinds = {".ipynb", ".py", ".md", ".txt", ".json", ".html"}
    files = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.suffix in kinds]
    seen = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    return {file.as_posix(): (folder / file).read_text("utf-8", errors="replace") for file in seen}
