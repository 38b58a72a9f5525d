"""What this course adds to nbgrader: each class works around one of its bugs; `nbgrader_config.py` installs them.

Releasing (also used by `course build`, so that both make the same notebook):
    `KindStubs`, `ClearTests`, `ClearRubrics`, and the list `RELEASE`.
Autograding:
    `expected_name`                a notebook is graded whatever its name, if it ends in .ipynb
    `OneOfEach`, `RestoreCells`    damaged, duplicated and deleted cells cost no points
    `GraderKernel`                 one thread; a kernel that dies costs only the cells not yet graded
    `PartialCredit`                only a plain number is partial credit
Feedback:
    `HideTests`                    shows what failed, not the hidden test
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

from course import sheets

GRADER_ENVIRONMENT = {
    # On a busy machine two threads are many times slower than one.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "COURSE_STORE": "chdb://memory",  # graders keep no student's database
    "COURSE_LONGEST_TRAINING": "2",  # no exercise depends on how long notebook 08 trains
}


# nbconvert's HTML exporter sets this option on every preprocessor; nbgrader's own would warn that it is unknown.
def unused_display_option():
    return List().tag(config=True)


# ---------------------------------------------------------------- releasing


class KindStubs(ClearSolutions):
    """Replace the solution with a stub that names the exercise."""

    text_stub = "*Your answer: double-click here and write, in your own words.*"

    def preprocess_cell(self, cell, resources, index):
        if utils.is_solution(cell):
            exercise = cell.metadata.nbgrader.grade_id
            self.code_stub = {
                "python": f'raise NotImplementedError("{exercise}: put your code here, in place of this line.")'
            }
        return super().preprocess_cell(cell, resources, index)


class ClearRubrics(ClearMarkScheme):
    """Remove the mark scheme from the locked question of a written answer.

    nbgrader allows mark schemes in task cells only. Ours are in a locked cell, whose full text nbgrader restores at
    autograding, so that graders see the rubric right above the student's answer.
    """

    enforce_metadata = False
    display_data_priority = unused_display_option()

    def preprocess_cell(self, cell, resources, index):
        return super().preprocess_cell(cell, resources, index) if utils.is_locked(cell) else (cell, resources)


class ClearTests(ClearHiddenTests):
    """Remove the hidden tests, and the empty lines that they leave at the cell's end."""

    def preprocess_cell(self, cell, resources, index):
        cell, resources = super().preprocess_cell(cell, resources, index)
        cell.source = cell.source.rstrip()
        return cell, resources


# From the solved notebook to the student's, in nbgrader's own order: SaveCells stores the cells in the gradebook while
# they still have the hidden tests and rubrics.
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


# ---------------------------------------------------------------- autograding: repairing files and cells


def expected_name(assignment, student, notebooks):
    """Rename a submission's notebook to the name that nbgrader expects, if none has it.

    Colab names a copy "Copy of NAME.ipynb", a browser "NAME (1).ipynb", Jupyter "NAME-Copy1.ipynb", each in the user's
    language, and nbgrader skips unknown names. If there are several notebooks, the one with the most similar name is
    graded.

    This is nbgrader's `pre_convert_hook`. Whatever remains in `notebooks` is graded; `assignment` and `student` may be
    patterns, so the names come from the folder. The file is renamed in `submitted`, because nbgrader looks for it there
    again when feedback is released.

    nbgrader does not call the hook for a folder without any *.ipynb, such as one with `NAME.ipynb.txt` or `NAME.json`:
    it logs "No notebooks were matched" with the folder's name, and grades the others.
    """
    folder = os.path.dirname(notebooks[0])
    name = os.path.basename(folder)
    expected = os.path.join(folder, f"{name}.ipynb")
    if expected in notebooks:
        return
    best = max(notebooks, key=lambda notebook: _likeness(os.path.basename(notebook), name))
    others = ", ".join(os.path.basename(notebook) for notebook in notebooks if notebook != best)
    get_logger().warning(
        "%s: %s is graded as %s.ipynb, which is missing%s",
        folder,
        os.path.basename(best),
        name,
        f"; its name is the closest; not graded: {others}" if others else "",
    )
    os.replace(best, expected)
    notebooks[:] = [expected]


def _likeness(file, name):
    """Sort key for the similarity of two names: the longest common part, then the ratio of all, then the later number."""
    file, name = file.removesuffix(".ipynb").casefold(), name.casefold()
    matcher = SequenceMatcher(None, file, name, autojunk=False)
    return matcher.find_longest_match().size, matcher.ratio(), file


class OneOfEach(DeduplicateIds):
    """Keep the last of several cells with the same grade id; make the others, and damaged ones, ordinary cells.

    nbgrader's own class leaves empty metadata behind, which its schema check then takes for an old notebook: one
    student's copied cell stops the grading of the whole class (jupyter/nbgrader#1083, open since 2019; #1753 would fix
    it).
    """

    def preprocess_cell(self, cell, resources, index):
        try:
            MetadataValidator().validate_cell(cell)
        except (ValidationError, SchemaTooOldError, SchemaTooNewError):
            self.log.warning("Cell %s has damaged nbgrader metadata; treating it as an ordinary cell", index)
            del cell.metadata["nbgrader"]
        cell, resources = super().preprocess_cell(cell, resources, index)
        if cell.metadata.get("nbgrader") == {}:
            del cell.metadata["nbgrader"]
        return cell, resources


class RestoreCells(OverwriteCells):
    """Restore every test, question and read-only cell that the student changed or deleted.

    nbgrader's own class stops with a KeyError if the neighbour of a deleted cell is gone too, and never restores
    read-only cells. Exercise cells are not restored: the student may have moved the code elsewhere, and the stub would
    overwrite it.
    """

    def preprocess_cell(self, cell, resources, index):
        before = cell.source
        if utils.is_locked(cell):  # the gradebook knows nothing of students' own sheets
            cell.source = sheets.without_line(before)
        cell, resources = super().preprocess_cell(cell, resources, index)
        cell.source = sheets.restored(cell, before)
        if "nbgrader" in cell.metadata and "grade_id" not in cell.metadata.nbgrader:
            del cell.metadata["nbgrader"]  # an unknown id: the student's own cell
        return cell, resources

    def add_missing_grade_cells(self, nb, resources):
        """Insert missing tests as late as their place allows, and missing read-only cells as early as possible."""
        source = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        names = [cell.name for cell in source.source_cells]
        points = {cell.name: cell.max_score for cell in source.grade_cells}
        solutions = {cell.name for cell in source.solution_cells}

        for at, cell in enumerate(source.source_cells):
            ours = ((i, c) for i, c in enumerate(nb.cells) if "nbgrader" in c.metadata)
            here = {c.metadata.nbgrader.grade_id: i for i, c in ours}
            if cell.name in here or (cell.name in solutions and cell.name not in points):
                continue
            self.log.warning("Cell %s is missing from the submission; restoring it", cell.name)
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
        # A restored written answer gets this notice, so that it differs from "no answer" and a person looks at it.
        notice = self.missing_cell_notification.format(cell_id=cell.name) if solution else ""
        return new_cell(notice + cell.source, metadata={"nbgrader": metadata, "deletable": False})


# ---------------------------------------------------------------- autograding: running and scoring


class GraderKernel(Execute):
    """Run a submission in the grader's environment, and keep what was graded before a kernel was lost.

    nbgrader discards the whole submission if `os._exit`, a crash or the memory limit ends the kernel, or if a cell that
    took too long can't be interrupted.
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
            # With `interrupt_on_timeout`, a CellTimeoutError means that the interrupt had no effect.
            self.log.warning(
                "%s in cell %s; this cell and those after it get no points", type(error).__name__, self._at
            )
            for cell in nb.cells[self._at :]:
                if cell.cell_type == "code":
                    cell.outputs = [_error("KernelLost", "Python stopped in this cell or in one above it.")]
            return nb, resources


class PartialCredit(NbGraderPreprocessor):
    """Give part of a test cell's points if the cell ends with one plain number; accept nothing else.

    nbgrader gives full marks for -1, nan, False, '0.5' and tensor(0.5), stops at a number above the maximum, and
    ignores an error after a number (jupyter/nbgrader#1399 discusses scores as outputs). Here a number above the maximum
    counts as the maximum, an error always counts, and any other value gives no points, with a message for the instructor.
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
        # nbgrader scores the first output.
        cell.outputs.sort(key=lambda output: output.output_type != "error")
        return cell, resources


def plain_number(results):
    """Return the one finite number ≥ 0 that a cell's `execute_result` outputs show, or None."""
    try:
        (result,) = results
        score = float(result.data["text/plain"])
    except (KeyError, ValueError):
        return None
    return score if math.isfinite(score) and score >= 0 else None


# ---------------------------------------------------------------- feedback


class HideTests(ClearHiddenTests):
    """Remove hidden tests from the feedback: their source, and their lines in tracebacks (jupyter/nbgrader#917).

    The next class gets the same course, so tests and rubrics stay secret. The feedback still says what failed: the
    assertion's message stays, and so do the lines of the student's code in the traceback.
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
    """Whether a traceback entry of IPython shows lines of a cell other than this one."""
    found = re.match(r"Cell In\[(\d+)\]", strip_ansi(frame).strip())
    return found is not None and int(found[1]) != cell.execution_count


def _error(name, sentence):
    return new_output("error", ename=name, evalue=sentence, traceback=[f"{name}: {sentence}"])
