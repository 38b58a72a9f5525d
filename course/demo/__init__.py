"""`course demo`: the course's main task from end to end, unattended.

It executes the solved notebook 07, the source of the students' notebook, without its tests: four pictures are
described, the descriptions rewritten into prompts, drawn, submitted and judged. `report` renders the results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.authoring import role_of
from course.build import ROOT, read_solution, solve
from course.demo.report import write_report
from helpers.errors import PlainError
from helpers.submission import METADATA, read_metadata

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["capstone", "demo", "execute", "score_table"]

NOTEBOOK = "07_synthetic_prompts.py"
RESULTS = "generated_images"
CELL_TIMEOUT = 1200  # seconds, enough to draw sixteen pictures on a slow computer


def demo(folder: Path) -> dict[str, Any]:
    """Run the capstone in `folder`, write `generated_images/report.html` there, and return the runner's answer.

    Files from earlier runs in `folder/generated_images` are kept: new pictures get new numbers.

    Raises:
        PlainError: a cell failed; the message says in which part, and the error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / RESULTS
    answer = results / "assessment.json"
    answer.unlink(missing_ok=True)
    execute(capstone(), folder)
    assessment = json.loads(answer.read_text(encoding="utf-8"))
    write_report(read_metadata(results / METADATA), assessment, folder, results / "report.html")
    return assessment


def capstone() -> NotebookNode:
    """Return the solved notebook 07 without its tests, which would double the time."""
    path = next(iter(sorted((ROOT / "solutions").rglob(NOTEBOOK))), None)
    if path is None:
        raise PlainError(f"There is no {NOTEBOOK} in {ROOT / 'solutions'}. Clone the course again.")
    authored = read_solution(path)
    authored.cells = [cell for cell in authored.cells if role_of(cell)[0] != "tests"]
    return solve(authored)


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run a notebook's cells in a kernel whose working directory is `folder`, with a progress bar.

    The bar shows the part of the notebook, and the progress of the cell's own bar.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from tqdm import tqdm

    parts = list(_parts(notebook))
    code = sum(cell.cell_type == "code" for cell in notebook.cells)

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] == "stream" and (done := re.findall(r"(\w+): .*?(\d+/\d+)", msg["content"]["text"])):
                bar.set_postfix_str(" ".join(done[-1]))
            return super().process_message(msg, cell, cell_index)

    at = 0

    def on_start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal at
        at = cell_index
        bar.set_description(parts[cell_index])

    def on_finish(cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        bar.set_postfix_str("")
        bar.update()

    client = Client(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # or the kernel would warn about an open port
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=on_start,
        on_cell_executed=on_finish,
    )
    with tqdm(total=code, unit="cell", bar_format="{desc} {percentage:3.0f}% |{bar:30}| {elapsed} {postfix}") as bar:
        try:
            client.execute()
        except CellExecutionError as error:
            raise PlainError(f"The notebook stopped in '{parts[at]}': {error.ename}: {error.evalue}") from None
        except CellTimeoutError:
            raise PlainError(f"A cell in '{parts[at]}' took more than {CELL_TIMEOUT} seconds.") from None
        except DeadKernelError:
            raise PlainError(
                f"The kernel died in '{parts[at]}'. Is there enough memory? Close other programs."
            ) from None


def _parts(notebook: NotebookNode) -> Iterator[str]:
    """Yield, for each cell, the heading of its part."""
    part = "Set-up"
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := re.search(r"^## (.+)$", cell.source, re.MULTILINE)):
            part = heading[1]
        yield part


def score_table(assessment: dict[str, Any]) -> str:
    """Format the runner's answer as text: points and description of each criterion, the total, what to improve."""
    criteria = assessment["criteria"]
    width = max(len(each["criterion"]) for each in [*criteria, {"criterion": "all together"}])
    lines = [
        f"{each['criterion']:{width}}  {each['points']:5g} of {each['of']:3g}  {each['about']}" for each in criteria
    ]
    lines += [f"{'all together':{width}}  {assessment['score']:5g} of 100  {assessment['result']}"]
    return "\n".join([*lines, *(f"- {text}" for text in assessment["messages"] + assessment["exceptions"])])
