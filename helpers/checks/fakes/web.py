"""A local web server, and a fake assessment runner."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import NamedTuple
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored

__all__ = ["Received", "Reply", "Request", "fake_runner", "web_server"]


class Request(NamedTuple):
    """A request as a server gets it.

    Attributes:
        kind: the type of its body, from the header Content-Type; "text/plain" if that is missing.
    """

    method: str
    path: str
    body: bytes
    kind: str = "text/plain"


class Reply(NamedTuple):
    """A server's reply, sent after `wait` seconds, with or without the header Content-Length."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    wait: float = 0
    with_length: bool = True


@mirrored
@contextmanager
def web_server(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """Run a local server on a free port that answers every GET and POST with `answer`; yield its address."""
    closing = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.requestline.split()[1]  # self.path would merge the two slashes of //sdapi
            reply = answer(Request(self.command, path, body, self.headers.get_content_type()))
            closing.wait(reply.wait)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            if reply.with_length:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, *_):
            pass  # clients may disconnect early

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with patch.dict(os.environ, no_proxy="*", NO_PROXY="*"):  # bypass a proxy in the system's settings, too
            yield f"http://127.0.0.1:{server.server_port}"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


class Received(NamedTuple):
    """A request to the fake runner: its path and its JSON body."""

    path: str
    body: dict


@contextmanager
def fake_runner(status: int, answer: bytes) -> Iterator[tuple[str, list[Received]]]:
    """Run a server that answers every POST in this way; yield its address and the requests with JSON."""
    received: list[Received] = []
    kind = "application/json" if answer.startswith(b"{") else "text/plain"

    def reply(request: Request) -> Reply:
        if request.method != "POST":
            return Reply(b"{}", 405)
        with contextlib.suppress(ValueError):
            if request.kind == "application/json":
                received.append(Received(request.path, json.loads(request.body)))
        return Reply(answer, status, kind)

    with web_server(reply) as address:
        yield address, received
