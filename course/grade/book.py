"""Write results into nbgrader's gradebook: nbgrader's own autograder runs, with results in place of a kernel.

So the gradebook, late penalties, the autograded notebooks, formgrader, feedback and exports are nbgrader's own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgrader.preprocessors import NbGraderPreprocessor
from sqlalchemy.exc import SAWarning
from traitlets import Bool, Dict

from course.grade.feedback import as_html
from course.nbgrader_hooks import GraderKernel
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

__all__ = ["TakeOutputs", "configuration", "course_folder", "record", "release_missing"]


class TakeOutputs(NbGraderPreprocessor):
    """Gives each cell the outputs of a result, where nbgrader would run it."""

    outputs = Dict(help="The outputs of each cell that was run, by its id.").tag(config=True)
    feedback = Dict(help="The feedback on an exercise, by the id of its tests cell: data and hints.").tag(config=True)
    show_hidden_inputs = Bool(
        False, help="Whether feedback shows what came of the hidden inputs, in place of those in the notebook."
    ).tag(config=True)

    def preprocess_cell(self, cell: Any, resources: dict, index: int) -> tuple[Any, dict]:
        """Set the outputs of a code cell."""
        from nbformat import from_dict

        if cell.cell_type == "code":
            cell.outputs = [from_dict(output) for output in self._shown(cell.id)]
            cell.execution_count = index if cell.outputs else None
        return cell, resources

    def _shown(self, name: str) -> list[dict]:
        """The outputs of a cell, in which a page about the exercise takes the place of what its check printed."""
        outputs = self.outputs.get(name, [])
        if name not in self.feedback:
            return outputs
        found, hints = self.feedback[name]
        html = as_html(found, hints, hidden=self.show_hidden_inputs)
        page = {"output_type": "display_data", "data": {"text/html": html}, "metadata": {}}
        return [page, *(output for output in outputs if output["output_type"] != "stream")]


def configuration(root: Path) -> Config:
    """Return nbgrader's configuration of a course's folder.

    Raises:
        PlainError: there is none.
    """
    from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

    try:
        return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    except ConfigFileNotFound as error:
        raise PlainError(f"There is no nbgrader_config.py in {root}: run this in the course's folder.") from error


def course_folder(
    root: Path, *, db: str | None = None, submitted: Path | None = None
) -> tuple[CourseDirectory, Config]:
    """Return nbgrader's course folder and configuration.

    Args:
        root: the folder with nbgrader_config.py.
        db: the gradebook's URL; by default nbgrader's own, gradebook.db.
        submitted: where the submissions are.

    Raises:
        PlainError: there is no configuration.
    """
    from nbgrader.coursedir import CourseDirectory

    config = configuration(root)
    if db:
        config.CourseDirectory.db_url = db
    if submitted:
        config.CourseDirectory.submitted_directory = str(submitted)
    folder = CourseDirectory(config=config, root=str(root))
    if folder.db_url.startswith("sqlite:///"):
        file = Path(folder.db_url.removeprefix("sqlite:///"))
        if not file.exists():
            _make_gradebook(file, folder.course_id)
        with contextlib.closing(sqlite3.connect(file, timeout=120)) as book:
            book.execute("PRAGMA journal_mode=WAL")
    return folder, config


def _make_gradebook(file: Path, course: str) -> None:
    """Make an empty gradebook, complete or not at all: nbgrader can't use one without its last table."""
    from nbgrader.api import Gradebook

    for half_made in file.parent.glob(f"{file.stem}.*.tmp*"):
        half_made.unlink()
    trial = file.with_suffix(f".{os.getpid()}.tmp")
    Gradebook(f"sqlite:///{trial}", course).close()
    trial.replace(file)


def release_missing(folder: CourseDirectory, config: Config, assignments: dict[str, set[str]]) -> None:
    """Record in the gradebook the assignments that it does not have yet, or has only in part.

    The students' notebooks in the release folder stay as they are: nbgrader's copies go to a scratch folder.

    Args:
        folder, config: nbgrader's.
        assignments: the grade ids of each, by name.
    """
    from nbgrader.api import Gradebook
    from nbgrader.converters import GenerateAssignment

    with Gradebook(folder.db_url, folder.course_id) as book:
        found = {notebook.name: notebook for each in book.assignments for notebook in each.notebooks}
        known = {name: {cell.name for cell in notebook.source_cells} for name, notebook in found.items()}
        handed_in = {name for name, notebook in found.items() if notebook.submissions}
    release = folder.release_directory
    with tempfile.TemporaryDirectory() as scratch:
        folder.release_directory = scratch
        for name, ids in assignments.items():
            if name not in handed_in and not ids <= known.get(name, set()):
                folder.assignment_id = name
                GenerateAssignment(coursedir=folder, config=config).start()
    folder.release_directory = release


def record(
    folder: CourseDirectory,
    config: Config,
    student: str,
    assignment: str,
    outputs: dict[str, list],
    feedback: dict[str, tuple[dict, str]] | None = None,
) -> None:
    """Write one result into the gradebook, and the graded notebook beside nbgrader's others.

    Args:
        folder, config: nbgrader's.
        student, assignment: whose and what it is.
        outputs: of each cell, by its id.
        feedback: about exercises, by the id of the tests cell: see `course.grade.feedback.explained`, and the hints.

    Raises:
        PlainError: nbgrader can't take it; the message has its reason.
    """
    from nbgrader.converters import Autograde
    from nbgrader.converters.base import NbGraderException

    logging.getLogger("traitlets").setLevel(logging.ERROR)
    config = config.copy()
    steps = config.Autograde.autograde_preprocessors
    config.Autograde.autograde_preprocessors = [TakeOutputs if step is GraderKernel else step for step in steps]
    config.Autograde.force = True
    config.TakeOutputs.outputs = outputs
    config.TakeOutputs.feedback = feedback or {}
    folder.assignment_id, folder.student_id = assignment, student
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries
            Autograde(coursedir=folder, config=config).start()
    except NbGraderException as error:
        raise PlainError(f"nbgrader can't record {assignment} of {student}: {error}") from error
