"""Messages between the judge and the student's process: JSON with binary buffers beside it, over a socket.

A message is a header (the length of the JSON, the number of buffers, the length of each), the JSON, and the buffers.
Nothing in it is ever executed or unpickled, and its size is bounded before it is read.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["Lost", "TooSlow", "Wire"]

MOST_JSON = 32 << 20
MOST_BYTES = 512 << 20
MOST_BUFFERS = 20_000
"""The longest JSON, the most bytes in buffers, and the most buffers of a message."""
MOST_SECONDS = 60
"""How long the other process may leave a message unread."""


class Lost(Exception):
    """The other process is gone, or has sent something that is not a message."""


class TooSlow(Exception):
    """No message came in time."""


class Wire:
    """One end of the connection.

    Args:
        end: a connected stream socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.end.settimeout(MOST_SECONDS)  # for sending; reading waits for as long as `receive` is told
        self._readable = select.poll()
        self._readable.register(end, select.POLLIN)
        self._sending = threading.Lock()

    def send(self, message: dict, buffers: Sequence = ()) -> None:
        """Send a message; several threads may do so.

        Raises:
            Lost: the other process is gone.
        """
        text = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
        parts = [memoryview(buffer).cast("B") for buffer in buffers]
        header = struct.pack(f"<II{len(parts)}Q", len(text), len(parts), *map(len, parts))
        try:
            with self._sending:
                self.end.sendall(header + text)
                for part in parts:
                    self.end.sendall(part)
        except OSError as error:
            raise Lost(str(error)) from error

    def receive(self, seconds: float | None = None) -> tuple[dict, list[bytearray]]:
        """Return the next message and its buffers.

        Args:
            seconds: how long to wait for all of it; None waits forever.

        Raises:
            Lost: the other process is gone, or what came is not a message.
            TooSlow: not all of it came in time.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        length, count = struct.unpack("<II", self._read(8, deadline))
        if length > MOST_JSON or count > MOST_BUFFERS:
            self._refuse(f"a message of {length} bytes with {count} buffers")
        sizes = struct.unpack(f"<{count}Q", self._read(8 * count, deadline))
        if sum(sizes) > MOST_BYTES:
            self._refuse(f"buffers of {sum(sizes)} bytes")
        text = self._read(length, deadline)
        buffers = [self._read(size, deadline) for size in sizes]
        try:
            message = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Lost(f"a message that is not JSON: {error}") from error
        if not isinstance(message, dict):
            raise Lost("a message that is not a JSON object")
        return message, buffers

    def _read(self, size: int, deadline: float | None) -> bytearray:
        data = bytearray(size)
        view, at = memoryview(data), 0
        while at < size:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                if not self._readable.poll(None if left is None else 1000 * left):
                    raise TooSlow
                got = self.end.recv_into(view[at:], min(size - at, 1 << 20))
            except OSError as error:
                raise Lost(str(error)) from error
            if not got:
                raise Lost("the connection was closed")
            at += got
        return data

    def _refuse(self, what: str) -> NoReturn:
        self.end.close()
        raise Lost(f"more than a message may have: {what}")

    def close(self) -> None:
        """Close the connection."""
        self.end.close()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
