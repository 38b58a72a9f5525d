"""A web server on this computer, and a fake of the assessment runner."""

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

__all__ = ["Received", "Reply", "Request", "fake_runner", "web_server"]


class Request(NamedTuple):
    """A request as a server gets it.

    Attributes:
        kind: the type of its body, as its header Content-Type names it; "text/plain" where that is missing.
    """

    method: str
    path: str
    body: bytes
    kind: str = "text/plain"


class Reply(NamedTuple):
    """What a server answers: it is silent for `wait` seconds first, and need not say how long the body is."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    wait: float = 0
    says_length: bool = True


@contextmanager
def web_server(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """A server on a free port of this computer that answers every GET and POST like this; gives its address."""
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.requestline.split()[1]  # self.path would put the two slashes of //sdapi together
            reply = answer(Request(self.command, path, body, self.headers.get_content_type()))
            over.wait(reply.wait)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            if reply.says_length:
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
        with patch.dict(os.environ, no_proxy="*", NO_PROXY="*"):  # not even a proxy of the system's settings is asked
            yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


class Received(NamedTuple):
    """A request that the fake runner got: its path and its JSON body."""

    path: str
    body: dict


@contextmanager
def fake_runner(status: int, answer: bytes) -> Iterator[tuple[str, list[Received]]]:
    """A server that answers every POST in this way; gives its address and the JSON that it got."""
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
