"""Runs a solved notebook, takes away one exercise at a time, and runs whatever hangs on it.

    python tests/unsolved.py solutions/02_vqa_specialist.py

prints a line of JSON per cell that ends in an error: exercise, cell, shown. Cells that hang on an exercise are those
that use its name, or a name that such a cell defines. Each exercise is taken away in a fork of the process that has run
what the notebook's exercises need, so that the others stay as they were, and only what hangs on it costs time.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

from judge import ROOT

from course.grade.warm import LIBRARIES
from helpers.checks.names import names


def dependents(sources: list[str], at: int, exercise: str) -> tuple[list[int], set[str]]:
    """(cells, lost): the cells after the exercise's own to run again, and the names that are not to be had until then.

    These are the cells that use the exercise, or what such a cell defines, and those that define anew what one of these
    uses. What was there before the exercise stays.
    """
    found = [names(source, in_functions=True) for source in sources]
    before = set().union(*(defined for _, defined in found[:at]))
    tainted, lost, hanging = {exercise}, {exercise}, set()
    for i in range(at + 1, len(sources)):
        uses, defines = found[i]
        if tainted.intersection(uses):
            tainted |= defines
            lost |= defines - before
            hanging.add(i)
        else:
            tainted -= defines
    again, needed = [], set()
    for i in range(len(sources) - 1, at, -1):
        uses, defines = found[i]
        if i in hanging or defines & lost & needed:
            again.append(i)
            needed = (needed - defines) | set(uses)
    return again[::-1], lost


def prepared(sources: list[str], exercises: list[tuple[int, str]]) -> list[int]:
    """The cells to run before exercises are taken away: the exercises, and what the cells that hang on them need."""
    found = [names(source, in_functions=True) for source in sources]
    hanging = {i for at, exercise in exercises for i in dependents(sources, at, exercise)[0]}
    kept, needed = {at for at, _ in exercises}, set()
    for i in range(len(sources) - 1, -1, -1):
        uses, defines = found[i]
        if i in kept or defines & needed:
            kept.add(i)
            needed = (needed - defines) | set(uses)
        elif i in hanging:
            needed |= set(uses)
    return sorted(kept)


def own_endpoint() -> str:
    """An address for an endpoint of this process: notebooks leave adapters in it, which others would find."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def remember_pictures() -> None:
    """Answer what the endpoint has drawn once from memory from now on: the same cells run for one exercise after another."""
    import requests

    post, drawn = requests.post, {}

    def posted(url, **request):
        if "2img" not in url:
            return post(url, **request)
        asked = f"{url} {json.dumps(request.get('json'))}"
        if asked not in drawn:
            drawn[asked] = post(url, **request)
        return drawn[asked]

    requests.post = posted


def take_away(shell, sources: list[str], at: int, exercise: str, stub: str) -> list[dict]:
    """What the cells that hang on an exercise show where they end in an error; the exercise is a stub now."""
    from IPython.utils.capture import capture_output

    cells, lost = dependents(sources, at, exercise)
    for name in lost:
        shell.user_ns.pop(name, None)
    ended = []
    for source in [stub, *(sources[i] for i in cells)]:
        with capture_output() as shown:
            outcome = shell.run_cell(source)
        if outcome.error_before_exec or outcome.error_in_exec:
            text = re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout).strip()
            ended.append({"exercise": exercise, "cell": source.strip().splitlines()[0][:80], "shown": text[-600:]})
    return ended


def _in_forks(shell, tasks: list[tuple], folder: Path) -> Iterator[list[dict]]:
    """What each exercise's absence leads to, tried in a fork of its own."""

    def write(task: tuple) -> None:
        (folder / f"{task[2]}.said").write_text(json.dumps(take_away(shell, *task)), "utf-8")

    forks = []
    for task in tasks:
        while len(forks) >= os.cpu_count():
            forks.pop(0).join()
        forks.append(get_context("fork").Process(target=write, args=(task,)))
        forks[-1].start()
    for fork in forks:
        fork.join()
    for task in tasks:
        yield json.loads((folder / f"{task[2]}.said").read_text("utf-8"))


def _one_by_one(shell, tasks: list[tuple]) -> Iterator[list[dict]]:
    """The same in this process, for chDB answers nobody in a fork; afterwards the exercise is put back."""
    from IPython.utils.capture import capture_output

    from helpers.checks.notebook import UNMADE

    for sources, at, name, stub in tasks:
        yield take_away(shell, sources, at, name, stub)
        UNMADE.clear()
        with capture_output():
            for i in (at, *dependents(sources, at, name)[0]):
                shell.run_cell(sources[i])


def main(solution: Path) -> None:
    """Runs what the notebook's exercises need, and then each part that hangs on an exercise, without it."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    from course.build import read_solution, release, solve
    from course.nbgrader_hooks import GRADER_ENVIRONMENT
    from helpers.checks.notebook import watch

    os.environ |= {**GRADER_ENVIRONMENT, "COURSE_ENDPOINT": own_endpoint()}
    for library in LIBRARIES:
        importlib.import_module(library)
    solved = solve(read_solution(solution))
    stubs = {cell.id: cell.source for cell in release(solved).cells}
    code = [cell for cell in solved.cells if cell.cell_type == "code"]
    # Visible checks: what graders add comes out again.
    sources = [stubs[cell.id] if cell.id.endswith("_tests") else cell.source for cell in code]
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    exercises = [(i, cell.id) for i, cell in enumerate(code) if cell.metadata.get("nbgrader", {}).get("solution")]
    watch(shell)  # `helpers.checks` was there before the shell
    remember_pictures()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with capture_output() as shown:
            for i in prepared(sources, exercises):
                outcome = shell.run_cell(sources[i])
                if outcome.error_before_exec or outcome.error_in_exec:
                    break
        if not outcome.success:
            raise SystemExit(
                f"The solved notebook stops at {sources[i].strip().splitlines()[0]!r}:\n{shown.stdout[-3000:]}"
            )
        tasks = [(sources, at, name, stubs[name]) for at, name in exercises]
        for ended in _one_by_one(shell, tasks) if "chdb" in sys.modules else _in_forks(shell, tasks, Path(folder)):
            for one in ended:
                print(json.dumps(one), flush=True)
        os.chdir(ROOT)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
