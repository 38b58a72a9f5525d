"""Attacks by what lies in the folder that is handed in."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from attacks import GUESS, RIGHT, Attack, Surroundings

attack = partial(Attack, "files", cells={"double": GUESS})


def others(around: Surroundings) -> Path:
    """The folder of a student who has solved everything."""
    return around.outside / "submitted" / "ada"


def notebook_in(folder: Path) -> Path:
    return folder / f"{folder.name}.ipynb"


def linked_file(folder: Path, around: Surroundings) -> None:
    notebook_in(folder).unlink()
    notebook_in(folder).symlink_to(notebook_in(others(around) / folder.name))


def linked_folder(folder: Path, around: Surroundings) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(others(around) / folder.name)


def linked_student(folder: Path, around: Surroundings) -> None:
    shutil.rmtree(folder.parent)
    folder.parent.symlink_to(others(around))


def linked_beside(folder: Path, around: Surroundings) -> None:
    """A link beside the student's own notebook, whose name fits as well, and which is newer."""
    (folder / f"{folder.name} (1).ipynb").symlink_to(notebook_in(others(around) / folder.name))
    (folder / "timestamp.txt").symlink_to(around.outside / "secret.txt")


def pipe(folder: Path, around: Surroundings) -> None:
    notebook_in(folder).unlink()
    os.mkfifo(notebook_in(folder))


def a_folder(folder: Path, around: Surroundings) -> None:
    notebook_in(folder).unlink()
    notebook_in(folder).mkdir()


def in_a_circle(folder: Path, around: Surroundings) -> None:
    (folder / "again").symlink_to(folder)
    (folder / "self.ipynb").symlink_to(folder / "self.ipynb")


def deep(folder: Path, around: Surroundings) -> None:
    """Twelve hundred folders within each other."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)


def many(folder: Path, around: Surroundings) -> None:
    for number in range(3000):
        (folder / f"{folder.name} ({number}).ipynb").write_text("{}")


def huge(folder: Path, around: Surroundings) -> None:
    with notebook_in(folder).open("ab") as file:
        file.truncate(8 << 30)


def named_strangely(folder: Path, around: Surroundings) -> None:
    notebook_in(folder).rename(folder / "\x1b[2J\n00_tiny\tmallory 90 of 90\udcff.ipynb")


def modules(folder: Path, around: Surroundings) -> None:
    """Modules that an instructor's Python would import if it ran in this folder."""
    for name in ("helpers", "json", "sitecustomize", "nbgrader_config", "conftest"):
        (folder / f"{name}.py").write_text(f"open({str(around.outside / 'touched')!r}, 'w')")


ATTACKS = [
    attack("another student's notebook, through a link", place=linked_file),
    attack("another student's folder, through a link", place=linked_folder),
    attack("all of another student's folders, through a link", place=linked_student),
    attack("links beside the notebook", place=linked_beside),
    attack("a pipe in the place of the notebook", place=pipe),
    attack("a folder in the place of the notebook", place=a_folder),
    attack("links in a circle", cells={"double": RIGHT}, place=in_a_circle, most=30),
    attack("twelve hundred folders within each other", cells={"double": RIGHT}, place=deep, most=30),
    attack("three thousand more notebooks", cells={"double": RIGHT}, place=many, most=30),
    attack("a notebook of eight gigabytes", place=huge),
    attack("a name with line breaks and codes for the terminal", place=named_strangely),
    attack("Python modules beside the notebook", place=modules),
]
