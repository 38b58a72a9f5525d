"""The warm parent: it has imported the libraries and loaded the models, and forks a process for each submission.

    python -m course.grade.zygote FD [--sandboxed]

Importing torch, transformers and diffusers takes longer than most submissions. A fork has them at once. The parent takes
orders from the socket FD; one for a process carries sockets, the last of which ends the process when it is closed. It
stays single-threaded and never runs the student's code, so that every fork starts from the same state.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from course.grade import judge, student
from course.grade.sandbox import Limits, close_shared, drop_privileges, hide_processes, isolate, open_shared
from course.grade.warm import warm_up

__all__ = ["main", "send_order"]

WATCH = 1.0
"""Seconds between two looks at the size of a process's files."""


def send_order(parent: socket.socket, order: dict, ends: Sequence[socket.socket] = ()) -> None:
    """Send an order to a warm parent, with the sockets for a process."""
    numbers = array.array("i", [end.fileno() for end in ends])
    parent.sendmsg([json.dumps(order).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if ends else [])


def main(listening: socket.socket, *, sandboxed: bool) -> None:
    """Warm up, say so, and do what is ordered until the other end is closed.

    An order is a dict. "do" says what: "open" or "close" the folder "shared", or start the "student"'s process or the
    "judge"'s, as the user "user".

    Args:
        listening: the socket with the orders, of the kind SEQPACKET.
        sandboxed: whether this process is in the outer layer of the sandbox.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    warm_up()
    gc.collect()
    gc.freeze()  # so that the forks' garbage collector leaves the parent's pages shared
    listening.send(b"ready")
    while True:
        text, ancillary, *_ = listening.recvmsg(1 << 16, socket.CMSG_SPACE(32))
        if not text:
            return
        numbers = array.array("i")
        for _, _, data in ancillary:
            numbers.frombytes(data[: len(data) // 4 * 4])
        ends = [socket.socket(fileno=number) for number in numbers]
        order = json.loads(text)
        shared = Path(order["shared"])
        if order["do"] == "open":
            open_shared(shared, order["user"], Limits(), mounted=sandboxed)
        elif order["do"] == "close":
            close_shared(shared, mounted=sandboxed)
        elif os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                if order["do"] == "student":
                    _student(order, *ends, isolated=sandboxed)
                else:
                    _watched(judge.work, order, *ends)
            finally:
                os._exit(1)
        for end in ends:
            end.close()


def _student(order: dict, end: socket.socket, control: socket.socket, *, isolated: bool) -> None:
    """Isolate this process, and let a fork of it watch over the student's."""
    limits = Limits()
    if not isolated:
        _watched(student.work, order, end, control, limits=limits)
    isolate(Path(order["shared"]), limits)
    first = os.fork()
    if first == 0:  # process 1 of the new name space: when it ends, the kernel ends all others in it
        hide_processes()
        _watched(student.work, order, end, control, limits=limits)
    end.close()
    control.close()
    os.waitpid(first, 0)
    os._exit(0)


def _watched(work: Callable, order: dict, *ends: socket.socket, limits: Limits | None = None) -> None:
    """Fork a process that does the work, and watch over it until it ends, or the last socket is closed."""
    *ends, control = ends
    pid = os.fork()
    if pid == 0:
        control.close()
        os.setsid()
        _silence()
        drop_privileges(limits or Limits(), order["user"])
        os.chdir(order["shared"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work(order, *ends)
        os._exit(0)
    for end in ends:
        end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch(pid, control, Path(order["shared"]), limits)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os._exit(0)


def _silence() -> None:
    """What is written to standard output and error, past the notebook, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def _watch(pid: int, control: socket.socket, shared: Path, limits: Limits | None) -> None:
    """Interrupt the process when asked to; return when it has ended, uses too much, or at the end."""
    waiting, looked = selectors.DefaultSelector(), time.monotonic()
    waiting.register(control, selectors.EVENT_READ)
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if waiting.select(0.05):
            if not control.recv(1):
                return
            os.kill(pid, signal.SIGINT)
        if limits and time.monotonic() - looked > WATCH:
            if _size(shared) > limits.disk or _memory() > limits.memory:
                return
            looked = time.monotonic()


def _size(folder: Path) -> int:
    """The size of all files below a folder; too many of them, or too deep ones, count as too large."""
    total, files, places = 0, 0, [(str(folder), 0)]
    while places:
        place, depth = places.pop()
        with contextlib.suppress(OSError):
            for entry in os.scandir(place):
                files += 1
                if files > 20_000 or depth > 40:
                    return 1 << 62
                if entry.is_dir(follow_symlinks=False):
                    places.append((entry.path, depth + 1))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _memory() -> int:
    """The bytes that all processes of this name space have for themselves; 0 where /proc is hidden."""
    pages = 0
    for file in Path("/proc").glob("[0-9]*/statm"):
        with contextlib.suppress(OSError, ValueError):
            _, resident, shared, *_ = map(int, file.read_text("ascii").split())
            pages += max(0, resident - shared)
    return pages * 4096 if os.getpid() == 1 else 0


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sandboxed="--sandboxed" in sys.argv)
