"""The screen, and a folder to work in: what a function shows and saves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

__all__ = ["recorded_display", "scratch_folder"]


@contextmanager
def recorded_display() -> Iterator[list]:
    """A list that is filled when something is shown: by IPython's display, by plt.show, or as an open figure."""
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
    """Work in an empty folder for a while, so that a check never touches what the student has made."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)
