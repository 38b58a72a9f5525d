"""What every test, and every process a test starts, finds in its environment."""

import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent

# The kernels of graders and of nbval import helpers from this checkout, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
# On a busy machine two threads are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# nbval runs every cell, also those that train for minutes.
os.environ.setdefault("COURSE_LONGEST_TRAINING", "2")

SLOW = ("test_answers", "test_unsolved", "test_grading")
"""Files whose tests take minutes."""
BY_NOTEBOOK = ("test_unsolved", "test_grading")
"""Those that start anew with each notebook."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share out files to the workers, or notebooks; xdist's own groups do not work with pytest 9.2."""
    return Groups(config, log)


class Groups(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        if Path(file).stem not in BY_NOTEBOOK:
            return file
        return f"{file} {test.partition('[')[2]}"


def pytest_collection_modifyitems(items):
    """Put what takes longest first, so that in the end no worker waits for another."""
    items.sort(key=lambda item: _turn(Path(item.nodeid.split("::")[0])))


def _turn(file: Path) -> int:
    if file.stem in SLOW:
        return SLOW.index(file.stem)
    return len(SLOW) + (file.suffix != ".ipynb")
