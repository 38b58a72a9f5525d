"""Hostile submissions gain nothing, and harm neither the grader nor others: those of tests/attacks, in one run.

Several are graded at a time; meanwhile an honest submission is graded again and again. Many of them wait for a limit in
seconds, so this takes minutes and needs a quiet machine: `pytest -m hostile tests/test_attacks.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
import pytest
from attacks import Attack, Surroundings, all_attacks

from course.build import read_solution, release, solve
from course.grade import grader as grading
from course.grade.found import submissions_in
from course.grade.grader import Grader
from course.grade.plan import role
from course.grade.repair import read_file, repair
from course.grade.run import score
from course.grade.sandbox import is_available
from helpers.errors import PlainError

TINY = Path(__file__).parent / "fixtures" / "00_tiny.py"
REPORT = Path(__file__).resolve().parent.parent / "build" / "grading" / "attacks.md"
ATTACKS = all_attacks()
EXERCISES = ("double", "mean", "centre")
SEED = 718_281_828_459_045
SECRET = "Nobody may tell you 3f0c7a91."
SECONDS = 3
"""That a cell or a call may take; an honest one takes milliseconds."""
WHOLE = 45
"""Seconds after which a submission is given up; that one needs so long is a fault."""
AT_A_TIME = 6
PATIENCE = 15
"""Seconds until the kernel has ended the last process."""

pytestmark = pytest.mark.hostile
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=str)


@dataclass
class Outcome:
    """What became of a submission.

    Attributes:
        points: of each exercise.
        why: what the student reads if they are not all.
        refused: the reason, if the submission is not graded.
        fault: what was raised, or why there is no result, where there should be one.
        outputs: of each cell that was run.
        recorded: the notebook with these outputs, as it goes into the gradebook.
        meanwhile: which attacks were being graded when it began and when it ended.
    """

    points: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EXERCISES, 0.0))
    why: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    fault: str = ""
    outputs: list = field(default_factory=list)
    recorded: nbformat.NotebookNode | None = None
    timestamp: Path | None = None
    seconds: float = 0
    meanwhile: set[str] = field(default_factory=set)

    @property
    def reads(self) -> str:
        """What the student reads first, in one line of plain text."""
        said = next(filter(None, [self.fault, self.refused, *self.why.values()]), "")
        return "".join(letter if letter.isprintable() else " " for letter in said)


@dataclass
class Class:
    """A notebook, its graders, and a folder for what is handed in."""

    grader: Grader
    around: Surroundings
    folder: Path

    def __post_init__(self) -> None:
        self.solved = solve(read_solution(TINY))
        self.released = release(self.solved)
        tests = [cell for cell in self.solved.cells if role(cell) == "tests"]
        self.graded = {cell.metadata.nbgrader.grade_id: cell.source for cell in tests}
        self.most = {cell.metadata.nbgrader.grade_id: float(cell.metadata.nbgrader.points) for cell in tests}
        self.ids = {TINY.stem: {cell.metadata.nbgrader.grade_id for cell in self.released.cells if role(cell)}}
        self.handed_in, self.lock, self.running = 0, threading.Lock(), set()
        solutions = {cell.id: cell.source for cell in self.solved.cells if cell.id in EXERCISES}
        # What a library in C warns of goes straight to standard error.
        solutions["double"] = f"os.write(2, b'a warning of a library in C\\n')\n\n\n{solutions['double']}"
        self.honest = Attack("honest", "a solution", solutions)

    def grade(self, attack: Attack) -> Outcome:
        """Hand a submission in, and grade it as `course grade` does."""
        with self.lock:
            self.handed_in += 1
            place = self.folder / str(self.handed_in)
            self.running.add(str(attack))
            meanwhile = {*self.running}
        outcome, began = Outcome(), time.monotonic()
        try:
            attack.hand_in(place / "mallory" / TINY.stem, json.loads(nbformat.writes(self.released)), self.around)
            self._grade(place, outcome)
        except PlainError as error:
            outcome.refused = str(error)
        except Exception as error:  # in `course grade` it would end the run
            outcome.fault = f"{type(error).__name__}: {error}"[:500]
        outcome.seconds = time.monotonic() - began
        with self.lock:
            outcome.meanwhile = meanwhile | self.running
            self.running.discard(str(attack))
        return outcome

    def _grade(self, place: Path, outcome: Outcome) -> None:
        found = list(submissions_in(place, self.ids))
        if not found:
            outcome.refused = "Nothing that can be graded was found."
            return
        (submission,) = found
        outcome.timestamp = submission.timestamp
        notebook = repair(read_file(submission.file), self.released).notebook
        task = {"submitted": notebook, "released": self.released, "graded": self.graded}
        result = self.grader.grade(task | {"seed": SEED, "seconds": SECONDS})
        if "lost" in result:
            outcome.fault = result["lost"]
            return
        outcome.outputs, outcome.recorded = result["outputs"], deepcopy(notebook)
        shown = {}
        for number, outputs in result["outputs"]:
            shown[notebook.cells[number].id] = outputs
            outcome.recorded.cells[number].outputs = nbformat.from_dict(outputs)
        for name, most in self.most.items():
            exercise = name.removesuffix("_tests")
            outcome.points[exercise], outcome.why[exercise] = score(shown.get(name, []), most)


@dataclass
class Run:
    """All that the tests look at afterwards."""

    outcomes: dict[str, Outcome]
    honest: list[Outcome]
    untouched: tuple[dict, dict]
    called: list[str]
    memory: tuple[int, int]
    disk: tuple[int, int]
    left: list[str]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    if not is_available():
        pytest.skip("There is no working sandbox here: bubblewrap is not installed, or may not be used.")
    earlier = {*psutil.pids()}
    before = psutil.virtual_memory().available, shutil.disk_usage(tempfile.gettempdir()).free
    left = []
    with (
        pytest.MonkeyPatch.context() as patch,
        _folder("course-handed-in-") as folder,
        _surroundings() as (around, called),
    ):
        patch.setattr(grading, "WHOLE", WHOLE)
        files = _files(around.outside)
        grader = Grader()
        try:
            course = Class(grader, around, folder)
            honest = [course.grade(course.honest)]
            with ThreadPoolExecutor(AT_A_TIME + 1) as pool:
                done = threading.Event()
                meanwhile = pool.submit(_again_and_again, course, done)
                try:
                    outcomes = {
                        str(attack): outcome
                        for attack, outcome in zip(ATTACKS, pool.map(course.grade, ATTACKS), strict=True)
                    }
                finally:
                    done.set()
                honest += meanwhile.result()
            honest.append(course.grade(course.honest))
            left += [f"the folder {place.name}" for place in _shared_folders(grader)]
        finally:
            try:
                grader.close()
            except Exception as error:
                left.append(f"the graders' folder ({type(error).__name__})")
            if grader.folder.exists():
                left.append("the graders' folder")
                subprocess.run(["rm", "-rf", grader.folder])
        left += _processes_left(earlier, around)
        untouched = files, _files(around.outside)
    after = psutil.virtual_memory().available, shutil.disk_usage(tempfile.gettempdir()).free
    memory, disk = zip(before, after, strict=True)
    yield Run(outcomes, honest, untouched, called, memory, disk, left)


def _again_and_again(course: Class, done: threading.Event) -> list[Outcome]:
    found = []
    while not done.wait(2):
        found.append(course.grade(course.honest))
    return found


# ---------------------------------------------------------------- what lies around


@contextlib.contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    """A folder beside the graders' own, whose removal no depth can stop."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        subprocess.run(["rm", "-rf", folder])


@contextlib.contextmanager
def _surroundings() -> Iterator[tuple[Surroundings, list[str]]]:
    """Files that only the sandbox protects, and an accomplice of the attackers; yields the list of who has called it."""
    with _folder("course-outside-") as outside, contextlib.ExitStack() as ends:
        (outside / "secret.txt").write_text(f"{SECRET}\n")
        with contextlib.closing(sqlite3.connect(outside / "gradebook.db")) as book, book:
            book.execute("CREATE TABLE grade (student TEXT, auto_score REAL)")
            book.execute("INSERT INTO grade VALUES ('ada', 90), ('mallory', 0)")
        solved = outside / "submitted" / "ada" / TINY.stem
        solved.mkdir(parents=True)
        nbformat.write(solve(read_solution(TINY)), solved / f"{TINY.stem}.ipynb")
        for path in (outside, *outside.rglob("*")):
            path.chmod(0o777)
        abstract, called, finished = f"course-accomplice-{os.getpid()}", [], threading.Event()
        port = 0
        for family, address in (
            (socket.AF_INET, ("0.0.0.0", 0)),
            (socket.AF_UNIX, str(outside / "socket")),
            (socket.AF_UNIX, f"\0{abstract}"),
        ):
            end = ends.enter_context(socket.socket(family))
            end.bind(address)
            end.listen()
            end.settimeout(0.2)
            port = port or end.getsockname()[1]
            listener = threading.Thread(target=_listen, args=(end, str(address), called, finished))
            listener.start()
            ends.callback(listener.join)
        ends.callback(finished.set)
        (outside / "socket").chmod(0o777)
        yield Surroundings(outside, SEED, _own_address(), port, abstract), called


def _listen(end: socket.socket, address: str, called: list[str], finished: threading.Event) -> None:
    while not finished.is_set():
        with contextlib.suppress(TimeoutError):
            caller, _ = end.accept()
            called.append(address)
            with caller, contextlib.suppress(OSError):
                caller.sendall(b"welcome")


def _own_address() -> str:
    with contextlib.suppress(OSError):
        return socket.gethostbyname(socket.gethostname())
    return "127.0.0.1"


def _files(folder: Path) -> dict[str, bytes | str]:
    """The content of all files below a folder, and where links lead."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def _shared_folders(grader: Grader) -> list[Path]:
    """The folders that students share with their judges, which only the sandbox's own processes see."""
    inside = psutil.Process(grader._parent.process.pid).children(recursive=True)
    roots = [Path(f"/proc/{each.pid}/root{grader.folder}") for each in inside]
    return [place for root in roots[:1] if root.exists() for place in root.iterdir()]


def _processes_left(earlier: set[int], around: Surroundings) -> list[str]:
    """New processes of graders and students that do not end."""

    def found() -> list[str]:
        new = [each for each in psutil.process_iter(["cmdline"]) if each.pid not in earlier]
        lines = [" ".join(each.info["cmdline"] or []) for each in new]
        return [line for line in lines if "course.grade.zygote" in line or str(around.sleep) in line]

    ends = time.monotonic() + PATIENCE
    while (left := found()) and time.monotonic() < ends:
        time.sleep(0.2)
    return left


# ---------------------------------------------------------------- the corpus itself


def test_there_are_many_attacks_each_by_its_own_name():
    names = [str(attack) for attack in ATTACKS]
    assert len(names) == len({*names}) >= 65


# ---------------------------------------------------------------- attack by attack


@each_attack
def test_an_attack_gains_nothing(run, attack):
    outcome = run.outcomes[str(attack)]
    assert outcome.points == {"double": attack.most, "mean": 0, "centre": 0}, outcome.reads


@each_attack
def test_an_attack_keeps_the_grader_neither_from_going_on_nor_waiting(run, attack):
    outcome = run.outcomes[str(attack)]
    assert not outcome.fault, f"{outcome.fault} (after {outcome.seconds:.0f} s)"
    assert outcome.timestamp is None


@each_attack
def test_what_an_attack_leaves_can_be_recorded(run, attack):
    outcome = run.outcomes[str(attack)]
    if outcome.recorded is not None:
        nbformat.validate(outcome.recorded)
        nbformat.writes(outcome.recorded).encode("utf-8")


@each_attack
def test_what_an_instructor_reads_is_a_line_of_plain_text(run, attack):
    for why in [run.outcomes[str(attack)].refused, *run.outcomes[str(attack)].why.values()]:
        assert why.isprintable(), "it could forge lines of the table, or write over the terminal"
        assert not why.startswith(("=", "+", "-", "@")), "a spreadsheet would take it for a formula"


@each_attack
def test_an_attack_learns_no_secret(run, attack):
    said = json.dumps(run.outcomes[str(attack)].outputs)
    assert SECRET not in said and str(SEED) not in said


# ---------------------------------------------------------------- the harm to others


def test_an_honest_submission_has_all_points_before_meanwhile_and_after(run):
    lost = [
        f"{outcome.points}: {outcome.reads} (meanwhile: {'; '.join(sorted(outcome.meanwhile))})"
        for outcome in run.honest
        if outcome.points != dict.fromkeys(EXERCISES, 30.0)
    ]
    assert not lost, "\n".join([f"{len(lost)} of {len(run.honest)}", *lost])
    assert len(run.honest) >= 5


def test_files_outside_are_as_they_were(run):
    before, after = run.untouched
    assert after == before


def test_nobody_outside_was_called(run):
    assert run.called == []


def test_neither_processes_nor_folders_are_left(run):
    assert run.left == []


def test_the_machine_has_its_memory_and_its_disk_back(run):
    for (before, after), allowed in ((run.memory, 1 << 30), (run.disk, 256 << 20)):
        assert after > before - allowed, f"{(before - after) / 2**20:.0f} MB are gone"


def test_the_table_is_kept(run, capsys):
    lines = ["| attack | kind | points, of 90 | seconds | what the student reads |", "|---|---|---|---|---|"]
    for attack in ATTACKS:
        outcome = run.outcomes[str(attack)]
        reads = outcome.reads[:160].replace("|", "¦").encode("utf-8", "replace").decode()
        points = sum(outcome.points.values())
        lines.append(f"| {attack.name} | {attack.kind} | {points:g} | {outcome.seconds:.1f} | {reads} |")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n", "utf-8")
    gained = sum(sum(outcome.points.values()) for outcome in run.outcomes.values()) - sum(each.most for each in ATTACKS)
    with capsys.disabled():
        print(f"\n{len(ATTACKS)} attacks gained {gained:g} points; {REPORT}")
