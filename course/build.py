"""`course build`: makes what students open from what the course's authors write.

    solutions/NN_name.py  →  build/source/NN_name/NN_name.ipynb   solved, for nbgrader and nbval; not committed
                          →  notebooks/NN_name/NN_name.ipynb      the student's: no solutions, no hidden tests
    solutions/NN_flashcards.md  →  flashcards.md beside both
    all of them        →  helpers/checks/borrowed.bin           the course's own versions, for `checks.borrow`

How a solution file is written, and what can be wrong in one, is in `course.authoring`. The steps that nbgrader has
(stubs, hidden tests, locks, checksums) are done by nbgrader's own classes, the same that `nbgrader_config.py` names.
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
from helpers.checks.borrowing import packed, unpacked
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["build", "graded_source", "read_solution", "release", "solve"]

ROOT = Path(__file__).resolve().parent.parent
BORROWED = Path("helpers", "checks", "borrowed.bin")
REMEDY = "run `course build` and commit it"


def build(*, check: bool = False, root: Path = ROOT) -> list[str]:
    """Makes build/source and notebooks from solutions, and returns what is wrong, one sentence each; [] is good.

    With `check`, notebooks/ is left as it is and compared with what would be made. A fault in one solution file is
    named with its notebook and cell; while there is any, nothing is written.
    """
    sources = sorted((root / "solutions").glob("*.py"))
    if not sources:
        return [f"There is no solution file (*.py) in {root / 'solutions'}: nothing to build."]

    problems, solved_files, student_files, secrets, borrowable = [], {}, {}, [], {}
    for source in sources:
        name = source.stem
        cards = source.with_name(f"{name.split('_')[0]}_flashcards.md")
        try:
            authored, texts = read_solution(source), [read(cards)] if cards.exists() else []
        except PlainError as error:
            problems.append(str(error))
            continue
        faults = [f"{name}, {fault}" for fault in authoring_problems(authored)]
        problems += faults
        if faults:
            continue
        solved = solve(authored)
        student = release(solved)
        problems += [f"{name}, {fault}" for fault in student_problems(student)]
        solved_files[f"{name}/{name}.ipynb"] = as_text(solved)
        student_files[f"{name}/{name}.ipynb"] = as_text(student)
        secrets += secret_regions(authored)
        borrowable |= {f"{name[:2]}/{exercise}": text for exercise, text in own_versions(authored)}
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
    on_disk = text_files(root / "notebooks")
    stale = [] if unpacked(root / BORROWED) == borrowable else [f"{BORROWED} is not what solutions/ makes; {REMEDY}."]
    return stale_problems(student_files, on_disk) + stale + leak_problems(secrets, on_disk)


# ---------------------------------------------------------------- from solution file to solved and student notebook


def read_solution(path: Path) -> NotebookNode:
    """The notebook that a solution file describes; cells still carry the compact metadata (`exercise=…`)."""
    import jupytext

    notebook = jupytext.reads(read(path), fmt="py:percent")
    notebook.metadata.pop("jupytext", None)
    for cell in notebook.cells:
        for key in ("lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker"):
            cell.metadata.pop(key, None)
    return notebook


def solve(authored: NotebookNode) -> NotebookNode:
    """The solved notebook: nbgrader's metadata in place of the compact one, and cell ids that never change by chance."""
    notebook = deepcopy(authored)
    notebook.cells = [part for cell in notebook.cells for part in graded_parts(cell)]
    name_cells(notebook)
    return notebook


def release(solved: NotebookNode) -> NotebookNode:
    """The student's notebook, made by the same nbgrader classes that `nbgrader generate_assignment` runs."""
    from nbgrader.preprocessors import SaveCells

    from course.nbgrader_hooks import RELEASE

    notebook, resources = deepcopy(solved), {}
    for preprocessor in RELEASE:
        if preprocessor is not SaveCells:  # it needs a gradebook
            notebook, resources = preprocessor().preprocess(notebook, resources)
    return notebook


def graded_parts(cell: NotebookNode) -> list[NotebookNode]:
    """The cell with nbgrader's metadata. A written question becomes two cells: question with rubric, and answer.

    So a student can't erase the question, and whoever grades by hand sees the rubric: nbgrader puts the full text of
    a locked cell back at autograding.
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
    """What a tests cell runs when it is graded: a check is asked for points, and runs its cases with the grader's seed.

    The import comes first, so that it makes no difference what the student has called `checks`.
    """
    if not is_check(cell):
        return cell.source
    asked = f"from helpers import checks\n\nchecks.for_points({points})"
    return f"### BEGIN HIDDEN TESTS\n{asked}\n### END HIDDEN TESTS\n{cell.source}"


def nbgrader_metadata(grade_id: str, *, grade=False, solution=False, locked=False, points=None) -> dict:
    """Metadata of nbgrader's schema 3; `points` only where there are some."""
    metadata = {"schema_version": 3, "grade_id": grade_id}
    metadata |= {"grade": grade, "solution": solution, "locked": locked, "task": False}
    return metadata if points is None else metadata | {"points": points}


def name_cells(notebook: NotebookNode) -> None:
    """Gives each cell an id: its grade id, or else a hash of its text (and of how often that text came before)."""
    seen = Counter()
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.id = cell.metadata.nbgrader.grade_id
        else:
            seen[cell.source] += 1
            cell.id = hashlib.sha256(f"{seen[cell.source]} {cell.source}".encode()).hexdigest()[:12]


def as_text(notebook: NotebookNode) -> str:
    """The notebook as nbgrader writes it to a file."""
    import nbformat

    return nbformat.writes(notebook) + "\n"


# ---------------------------------------------------------------- what can be wrong in a student notebook


def student_problems(notebook: NotebookNode) -> Iterator[str]:
    """Not valid for Jupyter, or with outputs or widget state, which students would take for their own."""
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
    """Where the files in notebooks/ are not the ones that solutions/ makes."""
    problems = []
    for file, text in expected.items():
        if file not in on_disk:
            problems.append(f"notebooks/{file} is missing; {REMEDY}.")
        elif on_disk[file] != text:
            where = f" ({difference(text, on_disk[file])})" if file.endswith(".ipynb") else ""
            problems.append(f"notebooks/{file} is not what solutions/ makes{where}; {REMEDY}.")
    for file in on_disk:
        if file.endswith(".ipynb") and file not in expected:
            problems.append(f"notebooks/{file} is made from no file in solutions/; delete it.")
    return problems


def difference(expected: str, found: str) -> str:
    """In a few words, where two notebook texts differ."""
    import nbformat

    try:
        found = nbformat.reads(found, as_version=4)
    except Exception as error:  # nbformat raises many kinds for a damaged file
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
    """(cell and region, telling lines) of every region that students must not see."""
    secrets = []
    for cell in authored.cells:
        for region, lines in groupby(with_regions(cell.source), key=lambda pair: pair[1]):
            if region:
                secrets.append((f"{label(cell)}'s {region}", telling_lines(line for line, _ in lines)))
    return secrets


def leak_problems(secrets: list[tuple[str, list[str]]], files: dict[str, str]) -> list[str]:
    """Where a student file has a region's marker, or five lines in a row (or all) of a region."""
    problems = []
    for place, lines in (place for file in files.items() for place in places(*file)):
        for line in lines:
            marker = MARKER.match(line)
            if marker and marker[2] in REGIONS:
                problems.append(f"{place} has the marker '{line.strip()}', which students must not see.")
        shown = "\n".join(["", *telling_lines(lines), ""])
        for secret, hidden in secrets:
            runs = ["\n".join(["", *hidden[i : i + 5], ""]) for i in range(max(1, len(hidden) - 4))]
            if any(len(run) > 20 and run in shown for run in runs):
                problems.append(f"{place} shows lines of {secret}, which students must not see.")
    return problems


def own_versions(authored: NotebookNode) -> Iterator[tuple[str, str]]:
    """(exercise, source) of every exercise that is a function or class of that name, the markers left out."""
    for cell in authored.cells:
        role, name = role_of(cell)
        if role == "exercise" and re.search(rf"^(def|class) {name}\b", cell.source, re.MULTILINE):
            yield name, "\n".join(line for line in cell.source.splitlines() if not MARKER.match(line)) + "\n"


def places(file: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """(name, lines) of what can be read in a file of notebooks/: each cell of a notebook, or the whole text."""
    import nbformat

    if not file.endswith(".ipynb"):
        yield f"notebooks/{file}", text.splitlines()
        return
    try:
        cells = nbformat.reads(text, as_version=4).cells
    except Exception:  # stale_problems says that the file is damaged
        return
    for cell in cells:
        yield f"notebooks/{file}, cell {cell.get('id', '?')}:", cell.source.splitlines()


def telling_lines(lines: Iterable[str]) -> list[str]:
    """Lines without spaces and #, so that a commented-out or reformatted copy is found, too.

    Blank lines, markers and imports are left out: they show nothing of a solution.
    """
    kept = (line for line in lines if not MARKER.match(line) and not re.match(r"\s*(import|from) ", line))
    return [bare for line in kept if (bare := re.sub(r"[\s#]", "", line))]


# ---------------------------------------------------------------- small things


def read(path: Path) -> str:
    """The text of a file, with or without a byte order mark. Raises ``PlainError`` for one that is not in UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PlainError(
            f"{path.name} should be in UTF-8, but line {line} is not ({error.reason}): "
            "open it in an editor that shows it right, and save it with the encoding UTF-8."
        ) from None


def write(files: dict[str, str], folder: Path) -> None:
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def text_files(folder: Path) -> dict[str, str]:
    """The text of every file below a folder where a solution could hide; hidden folders (checkpoints) are left out."""
    kinds = {".ipynb", ".py", ".md", ".txt", ".json", ".html"}
    files = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.suffix in kinds]
    seen = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    return {file.as_posix(): (folder / file).read_text("utf-8", errors="replace") for file in seen}
