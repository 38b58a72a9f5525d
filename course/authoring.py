"""The format of solution files, and what can be wrong in one.

A solution file, solutions/NN_name.py, is in jupytext's percent format. A cell's first line says what the cell is:

    # %% exercise="add_noise"                       the student's function; its body is in a SOLUTION region
    # %% tests="add_noise" points=10                its check, `checks.nb01.add_noise(add_noise)`, or any other visible
                                                    check followed by a HIDDEN TESTS region
    # %% [markdown] written="why" points=6          the question, a MARK SCHEME region, a SOLUTION region
    # %% locked="setup"                             a cell that students can't edit

with regions like the one from the line `### BEGIN SOLUTION` to the line `### END SOLUTION`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "MARKER",
    "REGIONS",
    "ROLES",
    "authoring_problems",
    "grade_ids",
    "is_check",
    "label",
    "role_of",
    "with_regions",
]

POINTS_OF_A_NOTEBOOK = 100

# The roles of cells, with their cell type and required regions.
ROLES = {
    "exercise": ("code", {"SOLUTION"}),
    "tests": ("code", {"HIDDEN TESTS"}),
    "written": ("markdown", {"MARK SCHEME", "SOLUTION"}),
    "locked": (None, set()),
}
REGIONS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
CHECK = re.compile(r"checks\.nb\d\d\.\w+\(\w+\)")
"""A tests cell with only such a call gets points from the check's cases: see `helpers.checks.cases`."""
MARKER = re.compile(r"\s*#+\s*(BEGIN|END)\s+(.*?)\s*$")


def role_of(cell: NotebookNode) -> tuple[str | None, str | None]:
    """Return ("exercise", "add_noise") for a cell with exercise="add_noise", (None, None) for an ordinary cell."""
    return next(((role, cell.metadata[role]) for role in ROLES if role in cell.metadata), (None, None))


def label(cell: NotebookNode) -> str:
    """Return what messages call a cell: its name, or else its first line."""
    role, name = role_of(cell)
    if role:
        return f"{name}_tests" if role == "tests" else str(name)
    return repr(cell.source.strip().split("\n")[0][:60])


def with_regions(source: str) -> list[tuple[str, str | None]]:
    """Return (line, its region or None) of every line; markers belong to their region."""
    lines, region = [], None
    for line in source.splitlines():
        marker = MARKER.match(line)
        marker = marker if marker and marker[2] in REGIONS else None
        if marker and marker[1] == "BEGIN":
            region = marker[2]
        lines.append((line, region))
        if marker and marker[1] == "END":
            region = None
    return lines


def is_check(cell: NotebookNode) -> bool:
    """Whether a tests cell consists only of the call of an exercise's check."""
    return CHECK.fullmatch(cell.source.strip()) is not None


def grade_ids(role: str | None, name: str | None) -> list[str]:
    """Return the nbgrader ids of a cell with this role and name; a written question has another for its answer."""
    if role is None:
        return []
    return {"tests": [f"{name}_tests"], "written": [f"{name}_question", name]}.get(role, [name])


# ---------------------------------------------------------------- what can be wrong in a solution file


def authoring_problems(authored: NotebookNode) -> list[str]:
    """Return every fault of an authored notebook, as 'cell X: sentence'."""
    in_cells = [
        f"cell {label(cell)}: {fault}"
        for cell in authored.cells
        for check in (role_problems, points_problems, region_problems, check_problems)
        for fault in check(cell)
    ]
    return [*in_cells, *id_problems(authored), *pairing_problems(authored), *sum_problems(authored)]


def role_problems(cell: NotebookNode) -> Iterator[str]:
    """A cell has at most one role, the right cell type, and a name that works as an id."""
    roles = [role for role in ROLES if role in cell.metadata]
    if len(roles) > 1:
        yield f"it is both {' and '.join(roles)}; choose one."
    for role in roles:
        needed, name = ROLES[role][0], cell.metadata[role]
        if needed not in (None, cell.cell_type):
            yield f'{role}="{name}" belongs in a {needed} cell, but this is a {cell.cell_type} cell.'
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,55}", str(name)):
            yield f'{role}="{name}" must be a name of at most 55 letters, digits, _ and -.'


def points_problems(cell: NotebookNode) -> Iterator[str]:
    """Tests and written questions have points, other cells have none."""
    role, name = role_of(cell)
    points = cell.metadata.get("points")
    if role in ("tests", "written"):
        if points is None:
            yield f'{role}="{name}" has no points; add, for example, points=10.'
        elif isinstance(points, bool) or not isinstance(points, (int, float)) or points <= 0:
            yield f"points={points!r} must be a number above 0."
    elif points is not None:
        yield f"points={points!r} is only for tests and written cells; remove it."


def region_problems(cell: NotebookNode) -> Iterator[str]:
    """Markers are known and paired, and the cell has exactly the regions that its role requires."""
    open_region, found = None, set()
    for line in cell.source.splitlines():
        marker = MARKER.match(line)
        if marker is None:
            continue
        edge, region = marker.groups()
        if region not in REGIONS:
            if line.lstrip().startswith("###"):
                yield f"unknown marker '{line.strip()}'; regions are {', '.join(REGIONS)}."
        elif edge == "BEGIN" and open_region:
            yield f"BEGIN {region} is inside the region {open_region}; end that one first."
        elif edge == "END" and open_region != region:
            yield f"END {region} has no BEGIN {region} before it."
        else:
            open_region = region if edge == "BEGIN" else None
            found.add(region)
    if open_region:
        yield f"BEGIN {open_region} has no END {open_region}."

    role, name = role_of(cell)
    needed = ROLES[role][1] if role and not is_check(cell) else set()
    for region in sorted(needed - found):
        yield f'{role}="{name}" has no {region} region (### BEGIN {region} … ### END {region}).'
    for region in sorted(found - needed):
        homes = " or ".join(f"{role}=…" for role, (_, regions) in ROLES.items() if region in regions)
        yield f"a {region} region belongs in a cell with {homes}; here it would not be removed correctly."


def check_problems(cell: NotebookNode) -> Iterator[str]:
    """The visible part of a tests cell checks something, that of a written one asks something."""
    role, name = role_of(cell)
    seen = [line.strip() for line, region in with_regions(cell.source) if region is None and line.strip()]
    if role == "tests" and all(line.startswith(("#", "import ", "from ")) for line in seen):
        yield f'tests="{name}" has no visible check: add one, e.g. checks.nb01.{name}({name}), above the hidden tests.'
    if role == "written" and not seen:
        yield f'written="{name}" has no question: add it above the mark scheme.'


def id_problems(authored: NotebookNode) -> Iterator[str]:
    """No two cells have the same nbgrader id."""
    ids = Counter(i for cell in authored.cells for i in grade_ids(*role_of(cell)))
    for grade_id, times in ids.items():
        if times > 1:
            yield f"cell {grade_id}: the id is used {times} times; every cell needs its own."


def pairing_problems(authored: NotebookNode) -> Iterator[str]:
    """Every exercise has a tests cell after it, and every tests cell has its exercise before it."""
    roles = [role_of(cell) for cell in authored.cells]
    for at, (role, name) in enumerate(roles):
        if role == "exercise" and ("tests", name) not in roles[at:]:
            yield f'cell {name}: the exercise has no tests cell after it; add # %% tests="{name}" points=….'
        if role == "tests" and ("exercise", name) not in roles[:at]:
            yield f'cell {name}_tests: there is no # %% exercise="{name}" before it.'


def sum_problems(authored: NotebookNode) -> Iterator[str]:
    """The points of a notebook add up to 100."""
    points = [cell.metadata.get("points", 0) for cell in authored.cells]
    total = sum(p for p in points if isinstance(p, (int, float)))
    if total != POINTS_OF_A_NOTEBOOK:
        yield f"all cells: the points add up to {total:g}, not {POINTS_OF_A_NOTEBOOK}."
