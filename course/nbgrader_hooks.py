"""What this course adds to nbgrader: each class mends one hole of it, and `nbgrader_config.py` puts them in place.

Releasing (also used by `course build`, so that both make the same notebook):
    `KindStubs`, `ClearTests`, `ClearRubrics`, and the list `RELEASE`.
Autograding:
    `expected_name`                a notebook is graded whatever its name
    `OneOfEach`, `RestoreCells`    damaged, doubled and deleted cells cost nobody points
    `GraderKernel`                 few threads; a kernel that dies costs only what it had not yet graded
    `PartialCredit`                only a plain number is partial credit
Feedback:
    `HideTests`                    students read what failed, not the hidden test
"""

import math
import os
import re
from difflib import SequenceMatcher

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader import utils
from nbgrader.nbgraderformat import (
    MetadataValidator,
    SchemaTooNewError,
    SchemaTooOldError,
    ValidationError,
)
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    DeduplicateIds,
    Execute,
    LockCells,
    NbGraderPreprocessor,
    OverwriteCells,
    SaveCells,
)
from traitlets import List
from traitlets.log import get_logger

GRADER_ENVIRONMENT = {
    # On a busy machine two threads are many times slower than one.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "COURSE_STORE": "chdb://memory",  # graders keep no student's database
}


# nbconvert's HTML exporter sets this on every preprocessor; nbgrader's own would warn that they don't know it.
def unused_display_option():
    return List().tag(config=True)


# ---------------------------------------------------------------- releasing


class KindStubs(ClearSolutions):
    """Puts a sentence that names the exercise where the solution was."""

    text_stub = "*Your answer: double-click here and write, in your own words.*"

    def preprocess_cell(self, cell, resources, index):
        if utils.is_solution(cell):
            exercise = cell.metadata.nbgrader.grade_id
            self.code_stub = {
                "python": f'raise NotImplementedError("{exercise}: put your code here, in place of this line.")'
            }
        return super().preprocess_cell(cell, resources, index)


class ClearRubrics(ClearMarkScheme):
    """Takes the mark scheme out of the locked question of a written answer.

    nbgrader allows mark schemes in task cells only. Ours stand in a locked cell, whose full text nbgrader puts back
    at autograding: so whoever grades by hand sees the rubric right above the student's answer.
    """

    enforce_metadata = False
    display_data_priority = unused_display_option()

    def preprocess_cell(self, cell, resources, index):
        return super().preprocess_cell(cell, resources, index) if utils.is_locked(cell) else (cell, resources)


class ClearTests(ClearHiddenTests):
    """Takes the hidden tests out, and the empty lines that they leave at the cell's end."""

    def preprocess_cell(self, cell, resources, index):
        cell, resources = super().preprocess_cell(cell, resources, index)
        cell.source = cell.source.rstrip()
        return cell, resources


# From the solved notebook to the student's, in nbgrader's own order: the gradebook keeps the cells (SaveCells) while
# the hidden tests and rubrics are still in them.
RELEASE = [
    LockCells,
    KindStubs,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    SaveCells,
    ClearTests,
    ClearRubrics,
    ComputeChecksums,
    CheckCellMetadata,
]


# ---------------------------------------------------------------- autograding: files and cells as the student sent them


def expected_name(assignment, student, notebooks):
    """Gives the notebook of a submission the name that nbgrader expects, where none has it.

    Colab calls a copy "Copy of NAME.ipynb", a browser "NAME (1).ipynb", Jupyter "NAME-Copy1.ipynb", each in its user's
    language, and nbgrader skips names that it does not know. Of several notebooks the one whose name is most like the
    expected one is taken.

    It is nbgrader's `pre_convert_hook`. What is left in `notebooks` is graded; `assignment` and `student` may be
    patterns, so the names come from the folder. The file is renamed in `submitted`, because there nbgrader looks for it
    again, when feedback is released.
    """
    folder = os.path.dirname(notebooks[0])
    name = os.path.basename(folder)
    expected = os.path.join(folder, f"{name}.ipynb")
    if expected in notebooks:
        return
    best = max(notebooks, key=lambda notebook: _likeness(os.path.basename(notebook), name))
    others = ", ".join(os.path.basename(notebook) for notebook in notebooks if notebook != best)
    get_logger().warning(
        "%s: %s is graded as %s.ipynb, which is not there%s",
        folder,
        os.path.basename(best),
        name,
        f"; of these its name fits best, not graded: {others}" if others else "",
    )
    os.replace(best, expected)
    notebooks[:] = [expected]


def _likeness(file, name):
    """How much a file's name is like another: first the longest part that both have, then all parts, then a later number."""
    file, name = file.removesuffix(".ipynb").casefold(), name.casefold()
    matcher = SequenceMatcher(None, file, name, autojunk=False)
    return matcher.find_longest_match().size, matcher.ratio(), file


class OneOfEach(DeduplicateIds):
    """Keeps the last of cells with the same grade id, and makes the others, and damaged ones, ordinary cells.

    nbgrader's own class leaves empty metadata behind, which its schema check then takes for an old notebook: one
    student's copied cell ends the grading of everybody (jupyter/nbgrader#1083; open since 2019, #1753 would mend it).
    """

    def preprocess_cell(self, cell, resources, index):
        try:
            MetadataValidator().validate_cell(cell)
        except (ValidationError, SchemaTooOldError, SchemaTooNewError):
            self.log.warning("Cell %s has damaged nbgrader metadata; taking it as an ordinary cell", index)
            del cell.metadata["nbgrader"]
        cell, resources = super().preprocess_cell(cell, resources, index)
        if cell.metadata.get("nbgrader") == {}:
            del cell.metadata["nbgrader"]
        return cell, resources


class RestoreCells(OverwriteCells):
    """Puts back every test, question and read-only cell that the student changed or deleted.

    nbgrader's own class stops with a KeyError where the neighbour of a deleted cell is gone too, and never brings
    back a read-only cell. Exercise cells are not brought back: the student may have moved the code elsewhere, and
    the stub would overwrite it.
    """

    def preprocess_cell(self, cell, resources, index):
        cell, resources = super().preprocess_cell(cell, resources, index)
        if "nbgrader" in cell.metadata and "grade_id" not in cell.metadata.nbgrader:
            del cell.metadata["nbgrader"]  # an id this notebook does not have: the student's own cell
        return cell, resources

    def add_missing_grade_cells(self, nb, resources):
        """Inserts missing tests as late as their place allows, missing read-only cells as early."""
        source = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        names = [cell.name for cell in source.source_cells]
        points = {cell.name: cell.max_score for cell in source.grade_cells}
        solutions = {cell.name for cell in source.solution_cells}

        for at, cell in enumerate(source.source_cells):
            ours = ((i, c) for i, c in enumerate(nb.cells) if "nbgrader" in c.metadata)
            here = {c.metadata.nbgrader.grade_id: i for i, c in ours}
            if cell.name in here or (cell.name in solutions and cell.name not in points):
                continue
            self.log.warning("Cell %s is missing from the submission; putting it back", cell.name)
            if cell.name in points:
                place = min((here[n] for n in names[at + 1 :] if n in here), default=len(nb.cells))
            else:
                place = max((here[n] for n in names[:at] if n in here), default=-1) + 1
            nb.cells.insert(place, self._restored(cell, points.get(cell.name), cell.name in solutions))
        return nb, resources

    def _restored(self, cell, points, solution):
        new_cell = new_code_cell if cell.cell_type == "code" else new_markdown_cell
        metadata = {
            "schema_version": 3,
            "grade_id": cell.name,
            "grade": points is not None,
            "solution": solution,
            "locked": cell.locked,
            "task": False,
            "cell_type": cell.cell_type,
            "checksum": cell.checksum,
        }
        if points is not None:
            metadata["points"] = points
        # A written answer is put back with this notice, so that it differs from "no answer" and a person looks at it.
        notice = self.missing_cell_notification.format(cell_id=cell.name) if solution else ""
        return new_cell(notice + cell.source, metadata={"nbgrader": metadata, "deletable": False})


# ---------------------------------------------------------------- autograding: running and scoring


class GraderKernel(Execute):
    """Runs a submission with the grader's environment, and keeps what was graded before a kernel was lost.

    nbgrader throws the whole submission away when `os._exit`, a crash or the memory limit ends the kernel, or when a
    cell that took too long can't be interrupted.
    """

    def start_new_kernel(self, **kwargs):
        return super().start_new_kernel(env={**os.environ, **GRADER_ENVIRONMENT}, **kwargs)

    def preprocess_cell(self, cell, resources, index):
        self._at = index
        return super().preprocess_cell(cell, resources, index)

    def preprocess(self, nb, resources, *args, **kwargs):
        self._at = 0
        try:
            return super().preprocess(nb, resources, *args, **kwargs)
        except (DeadKernelError, CellTimeoutError) as error:
            # With `interrupt_on_timeout` a CellTimeoutError comes only where the interrupt had no effect.
            self.log.warning("%s in cell %s; what comes after it gets no points", type(error).__name__, self._at)
            for cell in nb.cells[self._at :]:
                if cell.cell_type == "code":
                    cell.outputs = [_error("KernelLost", "Python stopped in this cell, or in one above it.")]
            return nb, resources


class PartialCredit(NbGraderPreprocessor):
    """Lets a test cell give part of its points by ending with one plain number, and nothing else.

    nbgrader gives full marks for -1, nan, False, '0.5' and tensor(0.5), stops half-way at a number above the
    maximum, and believes a number shown before an error (jupyter/nbgrader#1399 discusses the output as the channel). Here a number above the maximum counts as the maximum, an
    error always counts, and any other value gives no points, with a sentence for the instructor.
    """

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type != "code" or not utils.is_grade(cell) or utils.is_solution(cell):
            return cell, resources
        results = [output for output in cell.outputs if output.output_type == "execute_result"]
        if not results:
            return cell, resources

        score = plain_number(results)
        if score is None:
            name = cell.metadata.nbgrader.grade_id
            shown = ", ".join(result.data.get("text/plain", "no text") for result in results)
            sentence = (
                f"The test cell {name} should end with an assert, or with one number from 0 to its points; "
                f"it ended with {shown}. Please tell your instructor."
            )
            self.log.warning(sentence)
            cell.outputs.append(_error("NoScore", sentence))
        else:
            results[0].data["text/plain"] = repr(min(score, float(cell.metadata.nbgrader.points)))
        # nbgrader believes what comes first.
        cell.outputs.sort(key=lambda output: output.output_type != "error")
        return cell, resources


def plain_number(results):
    """The one finite number ≥ 0 that a cell's `execute_result` outputs show, or None."""
    try:
        (result,) = results
        score = float(result.data["text/plain"])
    except (KeyError, ValueError):
        return None
    return score if math.isfinite(score) and score >= 0 else None


# ---------------------------------------------------------------- feedback


class HideTests(ClearHiddenTests):
    """Takes hidden tests out of the feedback: their source, and their lines in error messages (jupyter/nbgrader#917).

    The next class gets the same course, so the tests and rubrics stay with the instructor. What failed is still
    said: the assertion's own sentence stays, and so do the lines of the student's code the error went through.
    """

    display_data_priority = unused_display_option()

    def preprocess_cell(self, cell, resources, index):
        if not utils.is_locked(cell):
            return cell, resources
        self._remove_hidden_test_region(cell)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [
                    *(frame for frame in output.traceback if _is_of_another_cell(frame, cell)),
                    f"{output.ename}: {output.evalue}",
                ]
        return cell, resources


def _is_of_another_cell(frame, cell):
    """True for a traceback entry of IPython that shows lines of a cell other than this one."""
    found = re.match(r"Cell In\[(\d+)\]", strip_ansi(frame).strip())
    return found is not None and int(found[1]) != cell.execution_count


def _error(name, sentence):
    return new_output("error", ename=name, evalue=sentence, traceback=[f"{name}: {sentence}"])
