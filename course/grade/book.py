"""Write results into nbgrader's gradebook: nbgrader's own autograder runs, with results in place of a kernel.

So the gradebook, late penalties, the autograded notebooks, formgrader, feedback and exports are nbgrader's own.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgrader.preprocessors import NbGraderPreprocessor
from sqlalchemy.exc import SAWarning
from traitlets import Dict

from course.nbgrader_hooks import GraderKernel
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

__all__ = ["TakeOutputs", "course_folder", "record", "release_missing"]


class TakeOutputs(NbGraderPreprocessor):
    """Gives each cell the outputs of a result, where nbgrader would run it."""

    outputs = Dict(help="The outputs of each cell that was run, by its id.").tag(config=True)

    def preprocess_cell(self, cell: Any, resources: dict, index: int) -> tuple[Any, dict]:
        """Set the outputs of a code cell."""
        from nbformat import from_dict

        if cell.cell_type == "code":
            cell.outputs = [from_dict(output) for output in self.outputs.get(cell.id, [])]
            cell.execution_count = index if cell.outputs else None
        return cell, resources


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
    from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

    try:
        config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    except ConfigFileNotFound as error:
        raise PlainError(f"There is no nbgrader_config.py in {root}: run this in the course's folder.") from error
    if db:
        config.CourseDirectory.db_url = db
    if submitted:
        config.CourseDirectory.submitted_directory = str(submitted)
    folder = CourseDirectory(config=config, root=str(root))
    if folder.db_url.startswith("sqlite:///"):
        with sqlite3.connect(folder.db_url.removeprefix("sqlite:///"), timeout=120) as book:
            book.execute("PRAGMA journal_mode=WAL")
    return folder, config


def release_missing(folder: CourseDirectory, config: Config, names: list[str]) -> None:
    """Record in the gradebook the assignments that it does not have yet."""
    from nbgrader.api import Gradebook
    from nbgrader.converters import GenerateAssignment

    with Gradebook(folder.db_url, folder.course_id) as book:
        known = {assignment.name for assignment in book.assignments}
    for name in names:
        if name not in known:
            folder.assignment_id = name
            GenerateAssignment(coursedir=folder, config=config).start()


def record(folder: CourseDirectory, config: Config, student: str, assignment: str, outputs: dict[str, list]) -> None:
    """Write one result into the gradebook, and the graded notebook beside nbgrader's others.

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
    folder.assignment_id, folder.student_id = assignment, student
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries
            Autograde(coursedir=folder, config=config).start()
    except NbGraderException as error:
        raise PlainError(f"nbgrader can't record {assignment} of {student}: {error}") from error
