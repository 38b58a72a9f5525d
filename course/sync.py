"""``course sync``: what ``pyproject.toml`` decides, written wherever else it has to stand.

The dependency lists become ``requirements.txt`` and ``environment.yml``; the project's address goes into
the README's badge and links and into the notebooks' first cell.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

__all__ = ["sync"]

ROOT = Path(__file__).resolve().parent.parent

#: What a student installs: the notebooks' libraries and JupyterLab.
STUDENT_EXTRA = "lab"

#: GitHub owner/name as it stands in a page's or a clone's address, or in Colab's (…/github/owner/name).
ADDRESS = re.compile(r"(github(?:\.com)?/)[\w-]+/picture-this\b")


def sync(*, check: bool, root: Path = ROOT) -> list[str]:
    """Writes every file that differs from what ``pyproject.toml`` says; with ``check`` only names them.

    Returns one sentence a stale file, none when nothing is stale or everything has been written.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    problems = []
    for path, text in _wanted(project, root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
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
    for path in [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "solutions").glob("*.py"))]:
        if path.exists():
            files[path] = ADDRESS.sub(rf"\g<1>{address}", path.read_text(encoding="utf-8"))
    return files


def _requirements(packages: list[str]) -> str:
    return "\n".join(
        [
            "# Made from pyproject.toml by `course sync`: change it there.",
            "# What the notebooks need, as lower bounds; `pip install -r requirements.txt -c constraints.txt`",
            "# installs the versions that CI runs.",
            *packages,
            "-e .",
            "",
        ]
    )


def _environment(packages: list[str], python: str) -> str:
    return "\n".join(
        [
            "# Made from pyproject.toml by `course sync`: change it there.",
            "# `conda env create -f environment.yml`; torch comes from pip, as everything else.",
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
