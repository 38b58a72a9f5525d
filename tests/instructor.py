"""An instructor with a course folder of their own, who runs the nbgrader cycle under our nbgrader_config.py."""

from __future__ import annotations

import copy
import csv
import getpass
import logging
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import nbformat
import psutil
from nbgrader.api import Gradebook
from nbgrader.auth import Authenticator
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange.default import (
    ExchangeCollect,
    ExchangeReleaseAssignment,
    ExchangeSubmit,
)
from nbgrader.plugins import CsvExportPlugin
from traitlets.config.loader import PyFileConfigLoader

from course.build import build

ROOT = Path(__file__).resolve().parent.parent


class Instructor:
    """Builds and releases one solution file in `root`; then hand in notebooks, grade them and read the points."""

    def __init__(self, root: Path, solution: Path, *, cell_timeout: int | None = None):
        self.root, self.name = root, solution.stem
        (root / "solutions").mkdir(parents=True)
        for file in [solution, *solution.parent.glob(f"{self.name.split('_')[0]}_flashcards.md")]:
            shutil.copy(file, root / "solutions")
        assert build(root=root) == []
        self.built_bytes = self._student_file.read_bytes()

        self.config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
        self.config.Exchange.root = str(root / "exchange")
        self.config.Exchange.cache = str(root / "cache")
        if cell_timeout:
            self.config.Execute.timeout = self.config.Execute.iopub_timeout = cell_timeout
        self.coursedir = CourseDirectory(config=self.config, root=str(root), assignment_id=self.name)
        GenerateAssignment(coursedir=self.coursedir, config=self.config).start()
        self.released_bytes = self._student_file.read_bytes()

    # ------------------------------------------------------------ notebooks

    @property
    def _student_file(self) -> Path:
        return self.root / "notebooks" / self.name / f"{self.name}.ipynb"

    @property
    def released(self):
        """A fresh copy of the student's notebook."""
        return nbformat.read(self._student_file, as_version=4)

    @property
    def solved(self):
        return nbformat.read(self.root / "build/source" / self.name / f"{self.name}.ipynb", as_version=4)

    @property
    def points(self) -> dict[str, float]:
        """The points of every graded cell, by grade id."""
        cells = (cell.metadata.get("nbgrader", {}) for cell in self.released.cells)
        return {cell["grade_id"]: cell["points"] for cell in cells if "points" in cell}

    @property
    def exercises(self) -> list[str]:
        """The grade ids of the exercises, in the notebook's order."""
        return [i.removesuffix("_tests") for i in self.points if i.endswith("_tests")]

    @property
    def written(self) -> list[str]:
        """The grade ids of the questions that a person grades."""
        return [i for i in self.points if not i.endswith("_tests")]

    def answered(self, answers: dict[str, str]):
        """The student's notebook with these cells' sources, by grade id."""
        notebook, answers = self.released, copy.copy(answers)
        for cell in notebook.cells:
            if cell.id in answers:
                cell.source = answers.pop(cell.id)
        assert not answers, f"no cells {list(answers)} in {self.name}"
        return notebook

    # ------------------------------------------------------------ the cycle

    def hand_in(self, student: str, notebook) -> None:
        folder = self.root / "submitted" / student / self.name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{self.name}.ipynb")

    def hand_in_by_exchange(self, notebook) -> str:
        """Releases, submits and collects through nbgrader's exchange; returns the student's name, the user's."""
        for folder in ("exchange", "cache"):
            (self.root / folder).mkdir()
            (self.root / folder).chmod(0o777)
        home = self.root / "home" / self.name
        shutil.copytree(self._student_file.parent, home)
        nbformat.write(notebook, home / f"{self.name}.ipynb")
        at_home = CourseDirectory(config=self.config, root=str(home.parent), assignment_id=str(home))
        everyone = Authenticator(config=self.config)
        for step, coursedir in (
            (ExchangeReleaseAssignment, self.coursedir),
            (ExchangeSubmit, at_home),
            (ExchangeCollect, self.coursedir),
        ):
            step(coursedir=coursedir, authenticator=everyone, config=self.config).start()
        return getpass.getuser()

    def grade(self) -> None:
        """Autogrades every submission, as many at a time as processors are idle, and writes the feedback."""
        students = sorted(folder.name for folder in (self.root / "submitted").iterdir())
        idle = max(1, round(psutil.cpu_count() * (1 - psutil.cpu_percent(interval=1) / 100)))
        batches = [students[i::idle] for i in range(idle)]
        with ProcessPoolExecutor(len(batches), mp_context=get_context("spawn")) as pool:
            list(pool.map(autograde, batches, [students] * len(batches), [self.coursedir] * len(batches)))
        self.coursedir.student_id = "*"
        GenerateFeedback(coursedir=self.coursedir, config=self.config).start()

    def grade_by_hand(self, student: str, question: str, points: float) -> None:
        """What a person does in formgrader."""
        with self.gradebook() as book:
            grade = book.find_grade(question, self.name, self.name, student)
            grade.manual_score, grade.needs_manual_grade = points, False
            book.db.commit()

    # ------------------------------------------------------------ the outcome

    def gradebook(self) -> Gradebook:
        return Gradebook(self.coursedir.db_url, self.coursedir.course_id)

    def scores(self, student: str) -> dict[str, float | None]:
        """The automatic score of every graded cell; None where a person has to look."""
        with self.gradebook() as book:
            found = book.find_submission_notebook(self.name, self.name, student).grades
            return {grade.name: grade.auto_score for grade in found}

    def feedback(self, student: str) -> str:
        return (self.root / "feedback" / student / self.name / f"{self.name}.html").read_text("utf-8")

    def export(self) -> dict[str, dict[str, str]]:
        """What `nbgrader export` writes, one row a student."""
        plugin = CsvExportPlugin(config=self.config)
        plugin.to = str(self.root / "grades.csv")
        with self.gradebook() as book:
            plugin.export(book)
        with open(plugin.to, newline="") as file:
            return {row["student_id"]: row for row in csv.DictReader(file)}


def autograde(batch: list[str], students: list[str], coursedir: CourseDirectory) -> None:
    """Does what `nbgrader autograde NAME` does, for some of the students, in a process of its own."""
    logging.basicConfig(level=logging.ERROR)
    coursedir.student_id = "*"
    coursedir.student_id_exclude = ",".join(set(students) - set(batch))
    Autograde(coursedir=coursedir, config=coursedir.config).start()
