"""Repair a submission: every cell that is graded is where it belongs, and every line that the student wrote is kept.

Colab, VS Code and copying lose nbgrader's metadata; cells are deleted, doubled, edited and moved. A cell is recognised
by its grade id, then by its id, then by what it says: a locked cell by its text, an exercise by the function that it
defines, a written answer by the question above it. A notebook on a student's own sheet (`course.sheets`) keeps its sheet.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from course.grade.likeness import Cell, added_lines, most_alike, most_kept
from course.grade.plan import role
from course.grade.reading import read, read_file
from course.sheets import sheet_of, with_sheet
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["Repaired", "read", "read_file", "repair", "repair_files"]

MISSED = "*The cell of this answer was missing from the submission: please look for the answer in other cells.*"
"""Stands above a restored answer: nbgrader gives an unchanged one no points, but shows a changed one to a person."""


@dataclass
class Repaired:
    """A repaired notebook, a sentence for each thing that was done, and the notebook's sheet, "" if it has none."""

    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)
    sheet: str = ""


def repair(submitted: NotebookNode, released: NotebookNode) -> Repaired:
    """Return the submission with every cell of the release that matters, in a form that can be graded.

    Args:
        submitted: what `read` has read.
        released: the notebook that students got.
    """
    if sheet := sheet_of(submitted):
        released = with_sheet(released, sheet)
    work = _Repair(submitted, released)
    work.recognise_by_marks()
    work.recognise_locked()
    work.drop_copies("tests", "locked")
    work.restore_locked()
    work.find_exercises()
    work.insert_missing("locked")
    work.find_answers()
    work.note_lost_marks()
    work.point_to_exercises_in_other_cells()
    work.restore_written()
    work.insert_missing("tests", "exercise", "written")
    work.drop_copies("exercise", "written")
    work.put_in_order()
    work.name_cells()
    notebook = copy.deepcopy(released)
    notebook.cells = [cell.node for cell in work.cells]
    return Repaired(notebook, work.notes, sheet_of(notebook))


def repair_files(files: list[Path], *, root: Path, write: bool) -> Iterator[str]:
    """Repair notebooks by the release in root/notebooks; yield what was done to each, in a sentence a line.

    Raises:
        PlainError: a file can't be read, or belongs to no assignment.
    """
    import nbformat

    from course.grade.found import assignment_of

    releases = {
        file.stem: nbformat.read(file, as_version=4) for file in sorted((root / "notebooks").glob("*/[0-9]*.ipynb"))
    }
    ids = {
        name: {cell.metadata.nbgrader.grade_id for cell in released.cells if role(cell)}
        for name, released in releases.items()
    }
    for file in files:
        if not file.is_file():
            raise PlainError(f"There is no file {file}.")
        name = assignment_of(file, file.parent.parent, ids)
        if not name:
            raise PlainError(
                f"{file} belongs to none of the assignments {', '.join(releases) or '(there are none here)'}."
            )
        try:
            repaired = repair(read_file(file), releases[name])
        except PlainError as error:
            raise PlainError(f"{file}: {error}") from error
        sheet = f", sheet {repaired.sheet}" if repaired.sheet else ""
        yield f"{file} ({name}{sheet}): {' '.join(repaired.notes) or 'nothing to repair.'}"
        if write:
            nbformat.write(repaired.notebook, file.with_name(f"{file.stem}.repaired.ipynb"))


class _Repair:
    """A submission under repair: its cells, which of them is which of the release, and what was done.

    Its methods are the steps, in order.
    """

    def __init__(self, submitted: NotebookNode, released: NotebookNode) -> None:
        self.cells = [Cell(copy.copy(cell)) for cell in submitted.cells]
        self.wanted = {cell.metadata.nbgrader.grade_id: Cell(cell) for cell in released.cells if role(cell)}
        self.released_texts = {"", *(Cell(cell).text for cell in released.cells)}
        self.found: dict[str, Cell] = {}
        self.notes: list[str] = []
        self.told: set[str] = set()  # which cells have kept their grade id, or have a note already

    # ---------------------------------------------------------------- what the steps share

    def of_role(self, *roles: str) -> list[str]:
        """The grade ids of the release's cells of these roles, in its order."""
        return [name for name, original in self.wanted.items() if role(original.node) in roles]

    def free(self) -> list[Cell]:
        """The cells that have not been recognised."""
        taken = set(self.found.values())
        return [cell for cell in self.cells if cell not in taken]

    def own(self) -> list[Cell]:
        """The cells that have not been recognised and are not as released: what the student made."""
        return [cell for cell in self.free() if cell.text not in self.released_texts]

    def is_unwritten(self, name: str, cell: Cell | None) -> bool:
        """Whether a cell lacks what the student should write in it; None lacks it, too."""
        original = self.wanted[name]
        return cell is None or cell.text in ("", original.text) or (name in original.made and name not in cell.made)

    def take(self, name: str, cell: Cell) -> None:
        """Let this cell be graded, in place of one that has nothing written in it."""
        before = self.found.get(name)
        self.found[name] = cell
        if before and before.text in ("", self.wanted[name].text):
            self.cells.remove(before)

    def insert(self, place: int, node: NotebookNode) -> Cell:
        self.cells.insert(place, Cell(node))
        return self.cells[place]

    # ---------------------------------------------------------------- recognising

    def recognise_by_marks(self) -> None:
        """By grade id, else by a cell's own id if no other cell has it."""
        times = Counter(cell.node.id for cell in self.cells)
        self._recognise_by(lambda cell: cell.node.metadata.get("nbgrader", {}).get("grade_id", ""))
        self.told = {*self.found}
        self._recognise_by(lambda cell: cell.node.id if times[cell.node.id] == 1 else "")

    def _recognise_by(self, mark: Callable[[Cell], str]) -> None:
        marked: dict[str, list[Cell]] = {}
        for cell in self.free():
            marked.setdefault(mark(cell), []).append(cell)
        for name in [name for name in self.wanted if name in marked and name not in self.found]:
            same = marked[name]
            self.found[name] = self._best(name, same)
            if len(same) > 1:
                place = _ordinal(same.index(self.found[name]))
                self.notes.append(f"{name} is there {len(same)} times; the {place} one is graded.")

    def _best(self, name: str, cells: list[Cell]) -> Cell:
        """Of several cells for one, the last that is as it should be: written, or as released."""
        original = self.wanted[name]
        if name in self.of_role("exercise", "written"):
            changed = [cell for cell in cells if cell.text not in ("", original.text)]
            best = [cell for cell in changed if not self.is_unwritten(name, cell)] or changed
        else:
            best = [cell for cell in cells if cell.text == original.text]
        return (best or cells)[-1]

    def recognise_locked(self) -> None:
        """Locked cells that have lost their marks, by their text, or one like it."""
        lost = [name for name in self.of_role("tests", "locked") if name not in self.found]
        for name in lost:
            if same := [cell for cell in self.free() if cell.text == self.wanted[name].text]:
                self.found[name] = same[-1]
        for name in lost:
            if name not in self.found and (cell := most_alike(self.wanted[name], self.own())):
                self.found[name] = cell

    def drop_copies(self, *roles: str) -> None:
        """Delete cells that are as a released one of these roles, which is there anyway; nothing is written in them."""
        names = {self.wanted[name].text: name for name in self.of_role(*roles) if name in self.found}
        for cell in self.free():
            if name := names.get(cell.text):
                self.cells.remove(cell)
                self.notes.append(f"A copy of {name} is left out.")

    # ---------------------------------------------------------------- restoring

    def restore_locked(self) -> None:
        """Restore locked cells; what the student wrote into one is kept in a cell below it."""
        for name in [name for name in self.of_role("tests", "locked") if name in self.found]:
            cell, original = self.found[name], self.wanted[name]
            if cell.text != original.text:
                kept = self._keep_added(name, cell, original)
                self.notes.append(f"{name} was changed; it is restored{', and what was added is kept below' * kept}.")
            elif cell.node.cell_type != original.node.cell_type:
                self.notes.append(f"{name} is a {original.node.cell_type} cell again.")
            cell.node = copy.deepcopy(original.node)

    def _keep_added(self, name: str, cell: Cell, original: Cell) -> bool:
        """Keep what was added to a locked cell in one below it.

        Lines that were only changed do not run, unless they are an exercise that stands nowhere else.
        """
        from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

        added, is_added = added_lines(cell, original)
        if not added:
            return False
        new = new_code_cell if original.node.cell_type == "code" else new_markdown_cell
        kept = Cell(new(added, id=f"{name[:50]}-edited"))
        lacking = [each for each in self.of_role("exercise") if self.is_unwritten(each, self.found.get(each))]
        if new is new_code_cell and not (kept.is_code and (is_added or any(map(kept.made.get, lacking)))):
            kept = Cell(new_raw_cell(added, id=kept.node.id))
        if kept.node.cell_type != "code" and "attachments" in cell.node:
            kept.node.attachments = cell.node.attachments
        self.cells.insert(self._place(name) + 1, kept)
        return True

    def find_exercises(self) -> None:
        """Exercises that are not written in their cell: the student's cell that defines them, or the released one."""
        for name in self.of_role("exercise"):
            marked = self.found.get(name)
            if not self.is_unwritten(name, marked):
                continue
            if made := [cell for cell in self.own() if cell.made.get(name)]:
                self.take(name, max(made, key=lambda cell: (cell.is_code, self.cells.index(cell))))
                if marked:
                    self.notes.append(f"{name} was written in a cell of its own; that one is graded.")
            elif not marked and (same := [cell for cell in self.free() if cell.text == self.wanted[name].text]):
                self.found[name] = same[-1]
            elif not marked and not self._others_with(name) and (cell := most_kept(self.wanted[name], self.own())):
                self.found[name] = cell

    def _others_with(self, name: str) -> list[str]:
        """The exercises in whose cells another one is written."""
        found = [other for other in self.of_role("exercise") if other != name and other in self.found]
        return [other for other in found if self.found[other].made.get(name)]

    def find_answers(self) -> None:
        """Written answers that are not in their cell: the student's longest text right below the question."""
        names = list(self.wanted)
        for name in self.of_role("written"):
            marked, question = self.found.get(name), self.found.get(names[names.index(name) - 1])
            if question is None or not self.is_unwritten(name, marked):
                continue
            own, below = set(self.own()), []
            for cell in self.cells[self.cells.index(question) + 1 :]:
                if cell in own and not cell.is_code:
                    below.append(cell)
                elif cell.text not in ("", self.wanted[name].text):
                    break
                elif cell.text and name not in self.found:
                    self.found[name] = cell
            if below:
                self.take(name, max(below, key=lambda cell: len(cell.text)))
                if marked:
                    self.notes.append(f"{name} was written in a cell of its own; that one is graded.")

    def note_lost_marks(self) -> None:
        """Say which cells were recognised only by what they say."""
        lost = [name for name in self.wanted if name in self.found and name not in self.told]
        if lost:
            self.notes.append(f"{_listed(lost)} had lost {'its' if len(lost) == 1 else 'their'} metadata.")

    def point_to_exercises_in_other_cells(self) -> None:
        """Where an exercise is written in the cell of another, its own cell must not define it again."""
        from nbformat.v4 import new_code_cell

        for name in self.of_role("exercise"):
            cell, others = self.found.get(name), self._others_with(name)
            if others and (cell is None or cell.text in ("", self.wanted[name].text)):
                sentence = f"{name} is written in the cell of {others[0]}."
                self.take(name, self.insert(self._place(others[0]) + 1, new_code_cell(f"# {sentence}")))
                self.notes.append(sentence)

    def restore_written(self) -> None:
        """Give exercises and answers their type and metadata; what the student wrote stays."""
        for name in [name for name in self.of_role("exercise", "written") if name in self.found]:
            cell, original = self.found[name], self.wanted[name].node
            if cell.node.cell_type != original.cell_type:
                self.notes.append(f"{name} is a {original.cell_type} cell again.")
            kept = {"source": cell.node.source}
            if original.cell_type == "markdown" and "attachments" in cell.node:
                kept["attachments"] = cell.node.attachments
            cell.node = copy.deepcopy(original)
            cell.node.update(kept)

    def insert_missing(self, *roles: str) -> None:
        """Insert the cells that are missing: tests as late as their place allows, all others as early as possible."""
        names = list(self.wanted)
        missing = [name for name in self.of_role(*roles) if name not in self.found]
        self.told.update(missing)
        for name in missing:
            at = names.index(name)
            if name in self.of_role("tests"):
                place = min(
                    (self._place(other) for other in names[at + 1 :] if other in self.found), default=len(self.cells)
                )
            else:
                place = max((self._place(other) for other in names[:at] if other in self.found), default=-1) + 1
            self.found[name] = self.insert(place, copy.deepcopy(self.wanted[name].node))
            if name in self.of_role("written"):
                self.found[name].node.source = f"{MISSED}\n\n{self.wanted[name].node.source}"
        if missing:
            verb = "was" if len(missing) == 1 else "were"
            self.notes.append(f"{_listed(missing)} {verb} missing; restored from the release.")

    # ---------------------------------------------------------------- the notebook as a whole

    def put_in_order(self) -> None:
        """Move locked code above, and tests below, what they are released above and below of."""
        code = [name for name, original in self.wanted.items() if original.node.cell_type == "code"]
        for at, name in reversed([*enumerate(code)]):
            later = min(code[at + 1 :], key=self._place, default=name)
            if name in self.of_role("locked") and self._place(later) < self._place(name):
                self._move(name, later)
                self.notes.append(f"{name} stood below {later}; it is above it again.")
        for at, name in enumerate(code):
            tested = [other for other in code[:at] if other not in self.of_role("tests")]
            earlier = max(tested, key=self._place, default=name)
            if name in self.of_role("tests") and self._place(earlier) > self._place(name):
                self._move(name, earlier)
                self.notes.append(f"{name} stood above {earlier}; it is below it again.")

    def _place(self, name: str) -> int:
        return self.cells.index(self.found[name])

    def _move(self, name: str, other: str) -> None:
        """Move a cell to the other side of another one, right beside it."""
        here, there = self._place(name), self._place(other)
        self.cells.insert(there, self.cells.pop(here))

    def name_cells(self) -> None:
        """Give each cell an id of its own, graded ones that of the release; leave metadata only to these."""
        used = {original.node.id for original in self.wanted.values()}
        for cell in self.free():
            cell.node.metadata = type(cell.node)()
            name, times = cell.node.id, 1
            while cell.node.id in used:
                times += 1
                cell.node.id = f"{name[:50]}-{times}"
            used.add(cell.node.id)


def _ordinal(i: int) -> str:
    return ("first", "second", "third", "fourth", "fifth")[i] if i < 5 else f"{i + 1}th"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
