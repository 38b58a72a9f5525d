"""Measure how long "Run All" takes: run solved notebooks, each in its own kernel, and print their seconds.

    python bench/notebooks.py                    # all seven
    python bench/notebooks.py 01 07 --cells 5    # two of them, with their five slowest cells

A notebook that needs the local endpoint starts its own; that counts towards its time, and so do the hidden tests. The
notebooks are read from solutions/ and run in a temporary folder. The target is at most 60 seconds per notebook on two
cores, and 120 for 01 and 07. Times depend on the machine and its load: compare notebooks with each other, and with an
earlier run on the same machine.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import time
from datetime import datetime
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

from course.build import read_solution, solve

SOLUTIONS = Path(__file__).resolve().parent.parent / "solutions"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    paths = {path.name[:2]: path for path in sorted(SOLUTIONS.glob("[0-9][0-9]_*.py"))}
    arguments.add_argument("notebooks", nargs="*", help=f"some of {', '.join(paths)}; default: all", metavar="NN")
    arguments.add_argument("--cells", type=int, default=3, help="how many of the slowest cells to show")
    chosen = arguments.parse_args()
    if unknown := set(chosen.notebooks) - set(paths):
        arguments.error(f"there is no notebook {', '.join(sorted(unknown))}; choose from {', '.join(paths)}")
    for number in chosen.notebooks or paths:
        notebook = solve(read_solution(paths[number]))
        seconds = run(notebook)
        print(f"{paths[number].stem:26} {seconds:6.1f} s", flush=True)
        for cell_seconds, cell in slowest(notebook, chosen.cells):
            print(f"{cell_seconds:36.1f} s  {cell}")


def run(notebook: NotebookNode) -> float:
    """Run all cells and return the seconds from starting the kernel to the last output."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        os.environ["COURSE_ENDPOINT"] = f"http://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        start = time.perf_counter()
        NotebookClient(
            notebook, timeout=900, kernel_name="python3", record_timing=True, resources={"metadata": {"path": folder}}
        ).execute()
        return time.perf_counter() - start


def slowest(notebook: NotebookNode, n: int) -> list[tuple[float, str]]:
    """Return the seconds and the first words of the n cells that took longest."""
    found = []
    for cell in notebook.cells:
        timing = cell.metadata.get("execution", {})
        if "iopub.execute_input" in timing and "shell.execute_reply" in timing:
            began, ended = (
                datetime.fromisoformat(timing[key]) for key in ("iopub.execute_input", "shell.execute_reply")
            )
            found.append(((ended - began).total_seconds(), " ".join(cell.source.split())[:70]))
    return sorted(found, reverse=True)[:n]


if __name__ == "__main__":
    main()
