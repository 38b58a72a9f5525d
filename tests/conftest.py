"""What every test, and every process a test starts, finds in its environment."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The kernels of graders and of nbval import helpers from this checkout, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
# On a busy machine two threads are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SLOW = ("test_answers", "test_unsolved", "test_grading")
"""Files whose tests take minutes for each notebook."""


def pytest_collection_modifyitems(items):
    """Form the groups that pytest-xdist shares out to its workers: a file each, but a notebook each of the slow files.

    What takes longest comes first, so that in the end no worker waits for another.
    """
    for item in items:
        file = Path(item.nodeid.split("::")[0])
        notebook = getattr(item, "callspec", None) if file.stem in SLOW else None
        item.add_marker(pytest.mark.xdist_group(f"{file} {notebook.id}" if notebook else str(file)))
    items.sort(key=lambda item: _turn(Path(item.nodeid.split("::")[0])))


def _turn(file: Path) -> int:
    if file.stem in SLOW:
        return SLOW.index(file.stem)
    return len(SLOW) + (file.suffix != ".ipynb")
