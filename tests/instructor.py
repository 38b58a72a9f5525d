"""An instructor with a course folder of their own, who runs the nbgrader cycle under our nbgrader_config.py."""

from __future__ import annotations

import copy
import csv
import getpass
import shutil
from pathlib import Path

import nbformat
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

        config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
        if cell_timeout:
            config.Execute.timeout = cell_timeout
        config.Exchange.root = str(root / "exchange")
        config.Exchange.cache = str(root / "cache")
        self.config = config
        self.coursedir = CourseDirectory(config=config, root=str(root), assignment_id=self.name)
        GenerateAssignment(coursedir=self.coursedir, config=config).start()
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
        """Autogrades every submission and writes the feedback, in one batch each as `nbgrader autograde NAME` does."""
        self.coursedir.student_id = "*"
        Autograde(coursedir=self.coursedir, config=self.config).start()
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
