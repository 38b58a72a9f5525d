"""Hostile submissions of the tiny notebook, as data; test_attacks.py hands them all in and grades them in one run.

    reading     finds the seed, a hidden test, a solution, the gradebook, other students' work
    escaping    leaves the sandbox: privileges, name spaces, other processes, the network, planted modules
    resources   takes more memory, disk or processes than it may
    ending      ends, crashes or hangs the student's process
    patching    changes Python, libraries or the notebook's shell around the tests
    forging     speaks on the channel to the judge in the place of the student's process
    values      returns or raises something that compares, behaves or crosses strangely
    notebooks   hands in a notebook whose cells, metadata or text are not as they should be
    files       hands in links, pipes and folders
    output      floods the outputs, or shows what looks like points

Each module has a list `ATTACKS`. What an attack answers is wrong, unless the attack works: so points are the proof of it.
Where an attack takes memory or disk, it stops soon after its limit, so that even a broken sandbox harms no machine.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

__all__ = ["GUESS", "RIGHT", "Attack", "Surroundings", "all_attacks", "cell", "code", "during", "thief"]

KINDS = (
    *("ending", "resources", "reading", "escaping", "patching"),
    *("forging", "values", "notebooks", "files", "output"),
)
GUESS = "def double(x):\n    return 4"
"""Passes what the notebook shows of the tests of `double`, and nothing that is hidden."""
RIGHT = "def double(x):\n    return 2 * x"


@dataclass(frozen=True)
class Surroundings:
    """What lies around the graders, and an attacker may know.

    Attributes:
        outside: a folder beside the graders' own that everybody may read and write, with `secret.txt`, `gradebook.db` and
            `submitted/`.
        seed: of the hidden inputs; attackers know only its hash.
        host, port: an accomplice who listens on all addresses of this machine; `host` is one that is not loopback.
        abstract: the abstract name of the accomplice's Unix socket; the one with a path is `outside/socket`.
        sleep: how many seconds left processes sleep, by which they are found.
    """

    outside: Path
    seed: int
    host: str
    port: int
    abstract: str
    sleep: int = 61_735

    def facts(self) -> str:
        """The source of a cell that tells an attack all this."""
        seed = hashlib.sha256(str(self.seed).encode()).hexdigest()
        known = f"SEED_HASH, HOST, PORT, ABSTRACT, SLEEP = {(seed, self.host, self.port, self.abstract, self.sleep)!r}"
        return f"{TOOLS}\n\n{known}\nOUTSIDE = Path({str(self.outside)!r})\n{NAMES}"


TOOLS = r'''
import ctypes, hashlib, os, re, shutil, signal, socket, stat, struct, subprocess, sys, threading, time
from pathlib import Path

HIDDEN = re.compile("is wrong for a large [n]umber")  # so written, it does not find itself
DIGITS = re.compile(r"\b\d{15}\b")
libc = ctypes.CDLL(None, use_errno=True)


def is_seed(value):
    return hashlib.sha256(str(value).encode(errors="replace")).hexdigest() == SEED_HASH


def tells(thing, depth=3):
    """Whether the seed, or a sentence of a hidden test, is in this."""
    if isinstance(thing, int):
        return 10**14 <= thing < 10**15 and is_seed(thing)
    if isinstance(thing, (bytes, bytearray)):
        thing = thing.decode("latin-1")
    if isinstance(thing, str):
        return bool(HIDDEN.search(thing)) or any(map(is_seed, DIGITS.findall(thing)))
    if not depth:
        return False
    if isinstance(thing, dict):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set, frozenset)):
        parts = [*thing]
    else:
        parts = [*getattr(thing, "__dict__", {}).values()]
    return any(tells(part, depth - 1) for part in parts)


def room():
    """How much memory the machine has left, in bytes."""
    return int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1]) << 10
'''
NAMES = "SECRET, GRADEBOOK, SUBMITTED = (OUTSIDE / name for name in ('secret.txt', 'gradebook.db', 'submitted'))"


@dataclass(frozen=True)
class Attack:
    """A hostile submission.

    Attributes:
        kind: the module that it is in.
        name: what it does.
        cells: the sources of exercises; all others stay as they were released.
        change: changes the notebook, which is JSON data, or returns the file's content.
        place: changes the submission's folder, in which the notebook lies by then.
        most: the points of `double`; more than 0 only where it is right, and the attack does damage.
    """

    kind: str
    name: str
    cells: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[dict], dict | str | bytes | None] = lambda notebook: None
    place: Callable[[Path, Surroundings], Any] = lambda folder, around: None
    most: float = 0

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"

    def hand_in(self, folder: Path, released: dict, around: Surroundings) -> None:
        """Write the submission into a folder.

        Args:
            folder: of the student and the assignment, whose name is that of the notebook.
            released: the notebook that students got, as JSON data.
            around: what the attack is told.
        """
        notebook = copy.deepcopy(released)
        notebook["cells"].insert(0, code(around.facts(), "facts"))
        for each in notebook["cells"]:
            each["source"] = self.cells.get(each["id"], each["source"])
        made = self.change(notebook)
        made = notebook if made is None else made
        made = json.dumps(made) if isinstance(made, dict) else made
        folder.mkdir(parents=True)
        file = folder / f"{folder.name}.ipynb"
        file.write_bytes(made if isinstance(made, bytes) else made.encode())
        self.place(folder, around)


def all_attacks() -> list[Attack]:
    """Return all attacks, in the order in which they are graded."""
    return [attack for kind in KINDS for attack in importlib.import_module(f"attacks.{kind}").ATTACKS]


# ---------------------------------------------------------------- how attacks are written


def thief(body: str) -> dict[str, str]:
    """`double`, which is right only if a function with this body returns something true: what it was after."""
    return {
        "double": f"def loot():\n{_within(body)}\n\n\n"
        "try:\n    found = bool(loot())\nexcept Exception:\n    found = False\n\n\n"
        "def double(x):\n    return 2 * x if found else 4"
    }


def during(body: str, before: str = "") -> dict[str, str]:
    """`double`, which does this when it is called, and then makes a guess."""
    return {"double": f"{dedent(before).strip()}\n\n\ndef double(x):\n{_within(body)}\n    return 4".lstrip()}


def _within(body: str) -> str:
    return indent(dedent(body).strip(), "    ")


def cell(notebook: dict, name: str) -> dict:
    """Return the notebook's cell with this id."""
    return next(each for each in notebook["cells"] if each["id"] == name)


def code(source: str, name: str, **metadata: Any) -> dict:
    """Return a code cell."""
    made = {"cell_type": "code", "id": name, "metadata": metadata, "source": source}
    return made | {"outputs": [], "execution_count": None}
