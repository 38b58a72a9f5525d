"""The screen and a scratch folder, for what a function shows and saves."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored

__all__ = ["recorded_display", "scratch_folder"]


@mirrored
@contextmanager
def recorded_display() -> Iterator[list]:
    """Yield a list of what is shown: by IPython's display, by plt.show, or as an open figure."""
    import IPython.display
    import matplotlib.pyplot as plt

    shown: list = []
    figures = set(plt.get_fignums())
    with (
        patch.object(IPython.display, "display", lambda *things, **options: shown.extend(things)),
        patch.object(plt, "show", lambda *args, **options: shown.append("plt.show")),
    ):
        yield shown
    left = set(plt.get_fignums()) - figures
    shown.extend(left)
    for number in left:
        plt.close(number)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Work in an empty temporary folder, so that a check never touches the student's files."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _working_in(folder):
        yield Path(folder)


@mirrored
def _working_in(folder: str) -> contextlib.AbstractContextManager:
    return contextlib.chdir(folder)
