"""`ready_to_hand_in()`, for a notebook's last cell: says what is still missing before the notebook is handed in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.errors import PlainError

__all__ = ["ready_to_hand_in"]


def ready_to_hand_in() -> None:
    """Print which exercises are not written yet, and which cells are missing or changed in the notebook's file.

    Raises:
        PlainError: this is not a notebook.
    """
    from IPython import get_ipython

    if (shell := get_ipython()) is None:
        raise PlainError("ready_to_hand_in() looks at a notebook: run it in the notebook's last cell.")
    file = _file_of(shell)
    cells = _cells_in(file) if file else []
    missing = [*_unwritten(shell, cells, _functions_of(file)), *_damaged(cells)]
    if not cells:
        missing.append("The notebook's file can't be found or read from here, so its cells were not looked at.")
    print("\n".join(missing) or "Nothing is missing; whether it is right, the checks in the notebook say.")
    if cells:
        print(f"(This is about {file.name} as it was last saved.)")


def _file_of(shell: Any) -> Path | None:
    """The notebook's file: the one that VS Code or Jupyter names, or the one here with most of the cells that have run."""
    named = Path(shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or "")
    for file in (named, Path(named.name)):  # Jupyter's name may be relative to another folder than this one
        if file.suffix == ".ipynb" and file.is_file():
            return file
    ran = {source.strip() for source in shell.history_manager.input_hist_raw} - {""}
    shared = {file: len(ran & {source.strip() for _, source, _ in _cells_in(file)}) for file in Path().glob("*.ipynb")}
    best = [file for file, number in shared.items() if number == max(shared.values()) > 0]
    return best[0] if len(best) == 1 else None


def _cells_in(file: Path) -> list[tuple]:
    """The type, source and marks of each cell of a notebook; [] if it can't be read."""
    try:
        cells = json.loads(file.read_text("utf-8-sig"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("nbgrader")) for cell in cells]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []


def _functions_of(file: Path | None) -> list[str]:
    """The exercises of this notebook that are functions or classes, by its file's name or the checks it has imported."""
    from helpers.checks import borrowing

    known = [key.partition("/") for key in borrowing.unpacked(borrowing.FILE)]
    numbers = {number for number, _, _ in known}
    here = numbers & {file.name[:2] if file else ""} or {n for n in numbers if f"helpers.checks.nb{n}" in sys.modules}
    return [name for number, _, name in known if {number} == here]


def _unwritten(shell: Any, cells: list[tuple], functions: list[str]) -> Iterator[str]:
    """A sentence for each exercise that is not written, has not run or is borrowed."""
    from helpers.checks.borrowing import is_borrowed

    def is_written(name: str, sources: list[str]) -> bool:
        if name not in functions:
            return not any(f"{name}: put your code here" in source for source in sources)
        made = re.compile(rf"^\s*(async def|def|class) {name}\b|^{name} *=[^=]", re.MULTILINE)
        return any(made.search(source) and f"{name}: put your code here" not in source for source in sources)

    ran, saved = shell.user_ns.get("In", []), [source for kind, source, _ in cells if kind == "code"]
    exercises = [name for name, (role, _) in _marked(cells).items() if role == "exercise"]
    for name in dict.fromkeys([*exercises, *functions]):
        if not is_written(name, saved or ran):
            unsaved = name in functions and is_written(name, ran)
            yield f"{name} is {'written, but not in the file: save the notebook' if unsaved else 'not written yet'}."
        elif name in functions and name not in shell.user_ns:
            yield f"{name} is missing here: run its cell, and see whether it raises an error."
        elif is_borrowed(shell.user_ns.get(name)):
            yield f"{name} is the course's own version, which earns no points."


def _damaged(cells: list[tuple]) -> Iterator[str]:
    """A sentence for each question without an answer, and each locked cell that is missing or not as released."""
    marked = _marked(cells)
    if cells and not marked:
        yield "The file has lost the marks of its cells; a grader will have to find them by what they say."
    for name, (role, as_released) in marked.items():
        partner = name + {"exercise": "_tests", "written": "_question"}.get(role, "")
        if partner not in marked:
            yield f"{partner} is missing in the file; a grader puts it back. Did you delete other cells with it?"
        if role == "written" and as_released:
            yield f"{name} is not answered yet."
        elif role == "locked" and not as_released:
            yield f"{name} was changed, but is graded as it was released: move what you wrote to a cell of your own."


def _marked(cells: list[tuple]) -> dict[str, tuple[str, bool]]:
    """The role of each cell that nbgrader knows, by grade id, and whether it is as released."""
    found = {}
    for kind, source, marks in cells:
        if isinstance(marks, dict) and "grade_id" in marks and isinstance(marks.get("points", 0), int | float):
            grade, solution, locked = (bool(marks.get(key)) for key in ("grade", "solution", "locked"))
            locked = not solution and (grade or locked)
            points = float(marks.get("points", 0)) if grade else ""
            parts = [source, kind, grade, solution, locked, marks["grade_id"], points]
            checksum = hashlib.md5("".join(map(str, parts)).encode(errors="replace")).hexdigest()  # as nbgrader's
            role = "locked" if locked else "written" if grade else "exercise"
            found[str(marks["grade_id"])] = role, checksum == marks.get("checksum")
    return found
