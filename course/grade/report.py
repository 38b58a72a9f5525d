"""The report on one notebook that a student gets from `course grade --serve`, as data and as a page.

It says of hidden inputs no more than whether they passed: each case that failed is shown with the inputs of the check in the
student's notebook.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from course.grade.feedback import ONLY_OTHERS, as_html, hints_for
from course.grade.run import score
from helpers.checks.answers import STUB
from helpers.errors import PlainError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from course.grade.repair import Repaired
    from course.grade.run import Assignment

__all__ = ["page", "report_on"]

SAID = re.compile(r"\w+ is not written yet\b.*|\w+: the course's own version earns no points\.")
"""What a check prints in place of its cases."""
LOST = ("KernelLost", "NameError", "SyntaxError")
"""Errors whose sentence is not about an input."""


def report_on(repaired: Repaired, assignment: Assignment, result: dict) -> dict:
    """Return the report on a graded notebook.

    Args:
        repaired: the notebook that was graded.
        assignment: what it is.
        result: see `Grader.grade`.

    Returns:
        {"assignment", "points", "of", "repaired": [sentences], "exercises": [{"exercise", "points", "of", "says": a sentence
        where there are no cases, "cases": [{"name", "percent", "passed", "says", and perhaps "yours", "expected", "alt"},
        …]}, …]}.

    Raises:
        PlainError: there is no result.
    """
    if "lost" in result:
        raise PlainError(result["lost"])
    cells = repaired.notebook.cells
    outputs = {cells[number].id: shown for number, shown in result["outputs"]}
    feedback = {cells[int(number)].id: found for number, found in result["feedback"].items()}
    exercises = []
    for name, most in assignment.points.items():
        points, _ = score(outputs.get(name, []), most)
        cases = [_case(case) for case in feedback[name]["cases"]] if name in feedback else []
        says = "" if cases or points == most else _says(outputs.get(name, []))
        exercises.append(
            {"exercise": name.removesuffix("_tests"), "points": points, "of": most, "says": says, "cases": cases}
        )
    points, most = (sum(each[key] for each in exercises) for key in ("points", "of"))
    return {
        "assignment": assignment.name,
        "points": round(points, 2),
        "of": most,
        "repaired": repaired.notes,
        "exercises": exercises,
    }


def _case(case: dict) -> dict:
    found = {key: case[key] for key in ("name", "percent", "passed")}
    if case["passed"]:
        return found | {"says": ""}
    return found | case["visible"] | {"says": case["visible"]["says"] or ONLY_OTHERS}


def _says(outputs: list[dict]) -> str:
    """Why tests without cases have not earned all points, as far as it has nothing to do with their inputs."""
    for output in outputs:
        if output["output_type"] == "error":
            if stub := STUB.match(output["evalue"]):
                return f"{stub[1]} is not written yet."
            known = output["ename"] in LOST
            return f"{output['ename']}: {output['evalue']}" if known else f"The tests stopped with {output['ename']}."
        if output.get("name") == "stdout" and (said := SAID.match(output["text"])):
            return said[0]
    return "The tests have not passed."


def page(report: dict, released: NotebookNode) -> str:
    """Return the report as a page in HTML, with the notebook's hints below each exercise that is not right yet."""
    parts = [f"<h1>{escape(report['assignment'])}: {report['points']:g} of {report['of']:g} points</h1>"]
    if report["repaired"]:
        parts.append(f"<p>Your notebook was repaired before it was graded. {escape(' '.join(report['repaired']))}</p>")
    for each in report["exercises"]:
        name = each["exercise"]
        parts.append(f"<h2>{escape(name)}: {each['points']:g} of {each['of']:g} points</h2>")
        if each["cases"]:
            found = {"exercise": name, "percent": round(100 * each["points"] / each["of"])}
            cases = [case | {"visible": case} for case in each["cases"]]
            parts.append(as_html(found | {"cases": cases}, hints_for(name, released)))
        elif each["says"]:
            parts.append(f"<p>{escape(each['says'])}</p>")
    parts.append("<p>Written questions are graded by hand, and not here.</p>")
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{escape(report["assignment"])}</title>\n{body}\n</html>\n'
