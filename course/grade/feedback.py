"""What a student reads about an exercise: each of its cases, what came out and what was expected, and the hints.

Hidden inputs stay hidden. What failed with them is tried again with the inputs of the check in the notebook, and what
comes of these is shown, unless the instructor wants to show what came of the hidden ones.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from helpers.checks.cases import ONLY_EDGES, Exercise, Outcome, Report
from helpers.pictures import encoded

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from PIL import Image

__all__ = ["Kept", "as_html", "explained", "hints_for", "reports_kept"]

MOST_PIXELS = 256
"""The longest side of a picture."""
MOST_TEXT = 4000
"""The longest sentence."""
ONLY_OTHERS = (
    "This works for the inputs of the check in your notebook, but not for others. Did you write it for those only?"
)
LEFT = 'style="text-align: left; vertical-align: top"'


class Kept(NamedTuple):
    """A report of the cases of an exercise, and what it is about."""

    exercise: Exercise
    answer: Any
    report: Report


@contextmanager
def reports_kept() -> Iterator[list[Kept]]:
    """Yield a list to which the report of every exercise that is run meanwhile is added."""
    kept, run = [], Exercise.run

    def keep(exercise: Exercise, answer: Any, *seed: Any) -> Report:
        report = run(exercise, answer, *seed)
        kept.append(Kept(exercise, answer, report))
        return report

    with patch.object(Exercise, "run", keep):
        yield kept


def explained(kept: Kept) -> dict:
    """Return a report as data; the cases that failed are run again, with the inputs of the check in the notebook.

    Returns:
        {"exercise", "percent": of its points, "cases": [{"name", "percent", "passed", "hidden": what came of the
        hidden inputs, "visible": what came of those in the notebook}, …]}. What came is {"says": a sentence or ""}, with
        "yours", "expected" (PNG files in base64) and "alt" where there are pictures.
    """
    failed = {outcome.case for outcome in kept.report.failed}
    again = copy.copy(kept.exercise)
    again.cases = [case for case in again.cases if case in failed]
    seen = {outcome.case: outcome for outcome in again.run(kept.answer).outcomes}
    cases = [
        {
            "name": outcome.case.name,
            "percent": outcome.case.share,
            "passed": outcome.passed,
            "hidden": _what_came(outcome),
            "visible": _what_came(seen.get(outcome.case, outcome)),
        }
        for outcome in kept.report.outcomes
    ]
    return {"exercise": kept.exercise.name, "percent": round(100 * kept.report.share), "cases": cases}


def _what_came(outcome: Outcome) -> dict:
    found = {"says": (outcome.message or "")[:MOST_TEXT].encode("utf-8", "replace").decode()}
    yours, expected, alt = outcome.pictures
    if yours is None or expected is None:
        return found
    return found | {"yours": _png(yours), "expected": _png(expected), "alt": alt}


def _png(picture: Image.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return base64.b64encode(encoded(small)).decode("ascii")


# ---------------------------------------------------------------- in the student's language


def hints_for(exercise: str, released: NotebookNode) -> str:
    """Return the hints that stand above an exercise in the notebook, as Markdown; "" if there are none."""
    above: list[str] = []
    for cell in released.cells:
        if cell.cell_type == "markdown":
            above += re.findall(r"<details>.*?</details>", cell.source, re.DOTALL)
        elif cell.metadata.get("nbgrader", {}).get("grade_id") == exercise:
            return "\n\n".join(above)
        else:
            above = []
    return ""


def as_html(found: dict, hints: str = "", *, hidden: bool = False) -> str:
    """Return the page about an exercise.

    Args:
        found: see `explained`.
        hints: in Markdown.
        hidden: whether to show what came of the hidden inputs, in place of those in the notebook.
    """
    from markdown_it import MarkdownIt

    rows = "".join(_row(case, "hidden" if hidden else "visible") for case in found["cases"])
    heads = "".join(f"<th {LEFT}>{head}</th>" for head in ("", "case", "worth", "what came out"))
    only_edges = found["percent"] == 0 and any(case["passed"] for case in found["cases"])
    parts = [
        f"<p><b>{escape(found['exercise'])}</b>: {found['percent']} % of the points.{f' {ONLY_EDGES}' if only_edges else ''}</p>",
        f"<table><tr>{heads}</tr>{rows}</table>",
    ]
    if hints and found["percent"] < 100:
        parts += ["<p>The hints from the notebook:</p>", MarkdownIt().render(hints)]
    return "\n".join(parts)


def _row(case: dict, which: str) -> str:
    came = case[which]
    says = "" if case["passed"] else came["says"] or ONLY_OTHERS
    parts = [f'<p style="white-space: pre-wrap">{escape(says)}</p>' if says else ""]
    if not case["passed"] and "yours" in came:
        parts += [_figure(whose, came[whose], came["alt"]) for whose in ("yours", "expected")]
    mark, word = ("✓", "passed") if case["passed"] else ("✗", "failed")
    mark = f'<span role="img" aria-label="{word}">{mark}</span>'
    cells = [mark, escape(case["name"]), f"{case['percent']} %", "".join(parts)]
    return f"<tr>{''.join(f'<td {LEFT}>{cell}</td>' for cell in cells)}</tr>"


def _figure(whose: str, png: str, alt: str) -> str:
    picture = f'<img src="data:image/png;base64,{png}" alt="{escape(f"{whose}: {alt}")}">'
    return f'<figure style="display: inline-block; margin: 4px">{picture}<figcaption>{whose}</figcaption></figure>'
