"""Mutation testing of the graders: put one small fault at a time into the solutions, and count which lose points.

    python bench/mutants.py --list --notebook 02           # list the mutants without grading them
    python bench/mutants.py --n 25 --skip fine_tune        # 25 random mutants per exercise
    python bench/mutants.py --exercise 02/patchify         # all mutants of one exercise

A mutant is killed if it wins less than full points, crashes the process, or times out (after several times what the
solution itself takes). Each result is saved as a line of JSON in --out and not computed again, so a run can be stopped
and resumed, also with a larger --n. Delete that file when a grader or a solution has changed. Survivors that are
correct are listed in equivalent_mutants.toml, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from random import Random
from typing import Any

import psutil
from mutate import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))
from judge import FIXTURES, SECONDS, Answer, calls, judge, solutions_in, warm_up  # noqa: E402

NOTEBOOKS = {path.name[:2]: path for path in sorted((ROOT / "solutions").glob("[0-9][0-9]_*.py"))}
TINY = {"00": FIXTURES / "00_tiny.py"}
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
TIMEOUT_FACTOR, TIMEOUT_EXTRA = 4, 20
"""A mutant's timeout: this many times the solution's seconds, and this many seconds more."""
MEMORY = 8 << 30
"""How many bytes a mutant may allocate beyond those of the process that it is forked from."""


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook, with the solution that is mutated."""

    name: str  # "02/patchify": exercises of several notebooks may share a name
    notebook: Path
    source: str
    calls: frozenset[str]

    def points(self, source: str) -> tuple[float, float, str]:
        """Return (points, maximum points, what the student reads) for a source in the solution's place."""
        return judge(self.notebook, Answer(self.name.partition("/")[2], "wrong", "mutant", source, self.calls))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and end its children
    chosen = arguments()
    exercises = [
        exercise
        for notebook in chosen.notebook or NOTEBOOKS
        for exercise in exercises_in((NOTEBOOKS | TINY)[notebook])
        if not chosen.exercise or is_named(exercise, chosen.exercise)
        if not is_named(exercise, chosen.skip)
    ]
    if not exercises:
        sys.exit("No exercise in these notebooks has that name; --list prints the names.")
    made = {exercise: mutants(exercise.source) for exercise in exercises}
    sample = {exercise: sampled(made[exercise], chosen.n, f"{chosen.seed} {exercise.name}") for exercise in exercises}
    if chosen.list:
        for exercise, some in sample.items():
            print("\n".join(f"{exercise.name}:{each.line}  {each.operator}  {each.change}" for each in some))
        print(f"{sum(map(len, sample.values()))} of {sum(map(len, made.values()))} mutants")
        return
    known = kept(chosen.out)
    if any(key(exercise, each) not in known for exercise, some in sample.items() for each in [None, *some]):
        warm_up([*{exercise.notebook for exercise in sample}])
        with chosen.out.open("a", encoding="utf-8") as file:
            for line in judged(sample, known, chosen.jobs):
                print(json.dumps(line, ensure_ascii=False), file=file, flush=True)
                if line["outcome"] == "survived":
                    print(f"survived  {line['exercise']}:{line['line']}  {line['change']}", flush=True)
        known = kept(chosen.out)
    print(summary(made, sample, known, equivalents(EQUIVALENT)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notebook", nargs="+", choices=[*TINY, *NOTEBOOKS], help="default: all but 00")
    parser.add_argument("--exercise", nargs="+", default=[], metavar="NAME", help="such as patchify or 02/patchify")
    parser.add_argument("--skip", nargs="+", default=[], metavar="NAME", help="exercises to leave out")
    parser.add_argument("--n", type=int, help="how many mutants per exercise; default: all")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the sample; a larger n extends a smaller n's sample"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many to grade in parallel")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mutants.jsonl", help="file for the results")
    parser.add_argument("--list", action="store_true", help="print the mutants without grading them")
    chosen = parser.parse_args()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    return chosen


# ---------------------------------------------------------------- which mutants


def exercises_in(notebook: Path) -> list[Exercise]:
    solutions = solutions_in(notebook)
    return [
        Exercise(f"{notebook.name[:2]}/{name}", notebook, source, calls(name, source, solutions))
        for name, source in solutions.items()
    ]


def is_named(exercise: Exercise, names: Iterable[str]) -> bool:
    return any(name in (exercise.name, exercise.name.partition("/")[2]) for name in names)


def sampled(some: list[Mutant], n: int | None, seed: str) -> list[Mutant]:
    """Return n random ones, in the order of their lines."""
    places = Random(seed).sample(range(len(some)), len(some))[:n]
    return [some[place] for place in sorted(places)]


# ---------------------------------------------------------------- grading them


def judged(sample: dict[Exercise, list[Mutant]], known: dict[tuple, dict], jobs: int) -> Iterator[dict]:
    """Yield the results that are not known yet, first for the solutions, then for the mutants."""
    solutions = [exercise for exercise in sample if key(exercise) not in known]
    seconds = {exercise: known[key(exercise)]["seconds"] for exercise in sample if key(exercise) in known}
    tasks = [(exercise, partial(exercise.points, exercise.source), SECONDS) for exercise in solutions]
    for exercise, ended, verdict, took in in_forks(tasks, jobs):
        points, most, said = verdict or (0, 0, "")
        if ended != "returned" or points < most:
            sys.exit(f"The solution of {exercise.name} should win full points, but {ended} with {points:g}: {said}")
        seconds[exercise] = took
        yield result(exercise, None, "solved", points, most, took, said)

    tasks = [
        (
            (exercise, mutant),
            partial(exercise.points, mutant.source),
            TIMEOUT_FACTOR * seconds[exercise] + TIMEOUT_EXTRA,
        )
        for exercise, some in sample.items()
        for mutant in some
        if key(exercise, mutant) not in known
    ]
    for done, ((exercise, mutant), ended, verdict, took) in enumerate(in_forks(tasks, jobs), start=1):
        points, most, said = verdict or (0, 0, "")
        outcome = ended if ended != "returned" else "killed" if points < most else "survived"
        yield result(exercise, mutant, outcome, points, most, took, said)
        if done % 50 == 0:
            print(f"{done} of {len(tasks)} mutants graded", flush=True)


Task = tuple[Any, Callable[[], Any], float]
"""A name, a function, and its timeout in seconds."""


def in_forks(tasks: Iterable[Task], jobs: int) -> Iterator[tuple[Any, str, Any, float]]:
    """Call each function in a fork of this process; yields its name, how it ended, its return value, and the seconds.

    It "returned", "crashed" (raised an error or ended its process), or hit its "timeout". Its child processes are killed
    with it, and its temporary files are deleted at the end.
    """
    fork, waiting, running = get_context("fork"), deque(tasks), {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    name, work, limit = waiting.popleft()
                    ours, theirs = fork.Pipe(duplex=False)
                    process = fork.Process(target=_work, args=(theirs, work, folder))
                    process.start()
                    theirs.close()
                    running[ours] = name, process, time.monotonic(), limit
                ready = wait(list(running), timeout=0.5)
                for ours, (name, process, began, limit) in list(running.items()):
                    took = time.monotonic() - began
                    if ours not in ready and took < limit:
                        continue
                    ended, value = _outcome(ours) if ours in ready else ("timeout", None)
                    _end(process)
                    del running[ours]
                    yield name, ended, value, took
        finally:
            for _, process, _, _ in running.values():
                _end(process)


def _work(theirs, work: Callable[[], Any], folder: str) -> None:
    os.setsid()  # so that it can be killed together with its children
    most = psutil.Process().memory_info().vms + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    tempfile.tempdir = folder
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    theirs.send(work())


def _outcome(ours) -> tuple[str, Any]:
    try:
        return "returned", ours.recv()
    except EOFError:
        return "crashed", None
    finally:
        ours.close()


def _end(process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it does not lead its own group yet, or has ended
        process.kill()
    process.join()


# ---------------------------------------------------------------- results


def key(exercise: Exercise, mutant: Mutant | None = None) -> tuple:
    """Return the key of a result; without a mutant, that of the solution itself."""
    return (exercise.name, mutant.line, mutant.change) if mutant else (exercise.name, 0, "")


def result(exercise: Exercise, mutant: Mutant | None, outcome: str, points, most, seconds, said) -> dict:
    name, line, change = key(exercise, mutant)
    operator = mutant.operator if mutant else ""
    return {
        "exercise": name,
        "line": line,
        "operator": operator,
        "change": change,
        "outcome": outcome,
        "points": points,
        "most": most,
        "seconds": round(seconds, 2),
        "said": said[:300],
    }


def kept(file: Path) -> dict[tuple, dict]:
    """Return the results in a file, by their keys."""
    results = map(json.loads, file.read_text("utf-8").splitlines() if file.exists() else [])
    return {(each["exercise"], each["line"], each["change"]): each for each in results}


def equivalents(file: Path) -> list[dict]:
    return tomllib.loads(file.read_text("utf-8")).get("mutant", [])


def equivalent_to(exercise: Exercise, some: list[Mutant], entries: list[dict]) -> set[Mutant]:
    """Return the mutants of the exercise that are listed as equivalent.

    Raises:
        ValueError: an entry matches none of the mutants, or more than one.
    """
    right = set()
    for entry in entries:
        if entry["exercise"] == exercise.name:
            change, line = entry["change"], entry.get("line")
            meant = [each for each in some if each.change == change and line in (None, each.line)]
            if len(meant) != 1:
                lines = ", ".join(str(each.line) for each in meant) or "no line"
                raise ValueError(
                    f"{EQUIVALENT.name}: {exercise.name} should have {change!r} exactly once, but has it on {lines}."
                )
            right |= set(meant)
    return right


COLUMNS = ("mutants", "graded", "killed", "by timeout", "survived", "equivalent")


def summary(
    made: dict[Exercise, list[Mutant]],
    sample: dict[Exercise, list[Mutant]],
    known: dict[tuple, dict],
    entries: list[dict],
) -> str:
    """Return a table with a line per exercise, the mutation score, and the survivors."""
    rows, survivors, contradictions = {}, [], []
    for exercise, some in sample.items():
        right = equivalent_to(exercise, made[exercise], entries)
        row = rows[exercise.name] = Counter(mutants=len(made[exercise]), graded=len(some))
        for mutant in some:
            found = known[key(exercise, mutant)]
            if found["outcome"] != "survived":
                row["killed"] += 1
                row["by timeout"] += found["outcome"] == "timeout"
                if mutant in right:
                    contradictions.append(f"{exercise.name}:{mutant.line}  {mutant.change}  {found['said']}")
            elif mutant in right:
                row["equivalent"] += 1
            else:
                row["survived"] += 1
                survivors.append(f"{exercise.name}:{mutant.line}  {mutant.change}")
    total = sum(rows.values(), Counter())
    share = total["killed"] / max(1, total["killed"] + total["survived"])
    width = max(map(len, rows), default=8)
    table = [
        f"{'exercise':{width}}  {'  '.join(COLUMNS)}",
        *(
            f"{name:{width}}  {'  '.join(f'{row[column]:{len(column)}}' for column in COLUMNS)}"
            for name, row in [*rows.items(), ("all", total)]
        ),
        f"{share:.2%} of {total['killed'] + total['survived']} mutants that are not equivalent lose points.",
    ]
    if survivors:
        table += ["", "Survivors:", *survivors]
    if contradictions:
        table += ["", f"Killed, though {EQUIVALENT.name} calls them right:", *contradictions]
    return "\n".join(table)


if __name__ == "__main__":
    main()
