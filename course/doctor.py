"""`course doctor`: checks what the notebooks need (`helpers.doctor`) and what the course's own commands need."""

from __future__ import annotations

from importlib import metadata, util

from course.lab import NOTEBOOKS, free_port
from helpers.doctor import Finding, Report
from helpers.doctor import doctor as helpers_doctor

__all__ = ["doctor"]

LAB_PORT = 8888


def doctor() -> Report:
    """Check the whole installation; `report.ok` is False if anything needs fixing."""
    return Report([*helpers_doctor(), _notebooks(), _jupyterlab(), _grading(), _port()])


def _notebooks() -> Finding:
    count = len(list(NOTEBOOKS.glob("*/*.ipynb")))
    return Finding("notebooks", count > 0, f"{count} in {NOTEBOOKS}", "" if count else "run `course build`")


def _jupyterlab() -> Finding:
    if util.find_spec("jupyterlab"):
        return Finding("JupyterLab", True, metadata.version("jupyterlab"))
    return Finding("JupyterLab", False, "not installed", "run `make lab`, or `pip install -e '.[lab]'`")


def _grading() -> Finding:
    """Only instructors need nbgrader, so it is fine if it is missing."""
    if util.find_spec("nbgrader"):
        return Finding("nbgrader", True, metadata.version("nbgrader"))
    return Finding("nbgrader", True, "not installed; instructors need it: `pip install -e '.[course]'`")


def _port() -> Finding:
    port = free_port(LAB_PORT)
    if port == LAB_PORT:
        return Finding("port", True, f"{LAB_PORT} is free for JupyterLab")
    return Finding("port", True, f"{LAB_PORT} is in use; `course lab` will take {port}")
