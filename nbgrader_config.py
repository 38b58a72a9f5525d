"""nbgrader's configuration for this course. Run `nbgrader` in this folder; the README shows how to release and grade.

Run `course build` first: it makes the solved notebooks in build/source. `nbgrader generate_assignment NAME` then writes
the same student notebook as `course build`, and records its cells in the gradebook.
"""

import os
import sysconfig

from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    GetGrades,
    IgnorePattern,
    LimitOutput,
    OverwriteKernelspec,
    SaveAutoGrades,
)

from course import nbgrader_hooks as hooks

# nbgrader runs `alembic` from the PATH, where only an activated environment has it.
os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])

c = get_config()  # noqa: F821  (defined by nbgrader)

c.CourseDirectory.course_id = "picture-this"
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "*.pyc*",
    ".DS_Store",
    "*.apkg",  # written by the solved notebook when nbval runs it
    "generated_images",
    "prompts.csv",
    "prompt_store",
]

# Releasing. `course build` has already made the student notebooks: without `force`, nbgrader would skip them, and its
# gradebook would stay empty.
c.GenerateAssignment.force = True
c.GenerateAssignment.preprocessors = hooks.RELEASE

# Autograding.
c.Autograde.pre_convert_hook = hooks.expected_name
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    hooks.OneOfEach,
    OverwriteKernelspec,
    hooks.RestoreCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    hooks.GraderKernel,
    IgnorePattern,
    hooks.PartialCredit,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.OverwriteCells.add_missing_cells = True
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"\A"  # everything on stderr: a warning or a progress bar is not a mistake
c.Execute.timeout = 300
c.Execute.startup_timeout = 120
c.Execute.iopub_timeout = 60
c.Execute.shutdown_kernel = "immediate"
c.Execute.error_on_timeout = {
    "ename": "CellTimeoutError",
    "evalue": "This cell was stopped after 300 seconds. Is there a loop that never ends?",
    "traceback": ["This cell was stopped after 300 seconds. Is there a loop that never ends?"],
}

# Feedback: what failed and why, without the hidden tests and rubrics.
c.GenerateFeedback.preprocessors = [GetGrades, hooks.HideTests, hooks.ClearRubrics, CSSHTMLHeaderPreprocessor]
