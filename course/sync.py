"""`course sync`: copy what `pyproject.toml` declares to the other files that need it.

The dependency lists become `requirements.txt` and `environment.yml`; the project's address goes into
the notebooks' first cell and into the pages that name it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from course.utf8 import read_utf8

__all__ = ["sync"]

ROOT = Path(__file__).resolve().parent.parent

#: What a student installs: the notebooks' libraries and JupyterLab.
STUDENT_EXTRA = "lab"

PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"]
"""Files with the project's address, besides solutions/."""

#: GitHub owner/name as in the address of a page or a clone, or in Colab's (…/github/owner/name).
ADDRESS = re.compile(r"(github(?:\.com)?/)[\w-]+/picture-this\b")


def sync(*, check: bool, root: Path = ROOT) -> list[str]:
    """Update every file that differs from what `pyproject.toml` says; with `check`, only report them.

    Returns:
        With `check`, one sentence per stale file; otherwise an empty list.
    """
    project = tomllib.loads(read_utf8(root / "pyproject.toml"))["project"]
    problems = []
    for path, text in _wanted(project, root).items():
        if not path.exists() or read_utf8(path) != text:
            if check:
                name = path.relative_to(root).as_posix()
                problems.append(f"{name} differs from pyproject.toml: run `course sync` and commit it.")
            else:
                path.write_text(text, encoding="utf-8", newline="\n")
    return problems


def _wanted(project: dict, root: Path) -> dict[Path, str]:
    packages = sorted({*project["dependencies"], *project["optional-dependencies"][STUDENT_EXTRA]})
    files = {
        root / "requirements.txt": _requirements(packages),
        root / "environment.yml": _environment(packages, project["requires-python"]),
    }
    address = project["urls"]["Repository"].removeprefix("https://github.com/")
    for path in [*(root / page for page in PAGES), *sorted((root / "solutions").glob("*.py"))]:
        if path.exists():
            files[path] = ADDRESS.sub(rf"\g<1>{address}", read_utf8(path))
    return files


def _requirements(packages: list[str]) -> str:
    return "\n".join(
        [
            "# Generated from pyproject.toml by `course sync`: edit that file instead.",
            "# The notebooks' packages, with lower bounds; `pip install -r requirements.txt -c constraints.txt`",
            "# installs the versions that CI runs.",
            *packages,
            "-e .",
            "",
        ]
    )


def _environment(packages: list[str], python: str) -> str:
    return "\n".join(
        [
            "# Generated from pyproject.toml by `course sync`: edit that file instead.",
            "# `conda env create -f environment.yml`; torch comes from pip, like everything else.",
            "name: picture-this",
            "channels:",
            "  - conda-forge",
            "dependencies:",
            f"  - python {python},<3.14",
            "  - pip",
            "  - pip:",
            *(f"      - {package}" for package in packages),
            "      - -e .",
            "",
        ]
    )
