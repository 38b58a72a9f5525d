"""``course serve``: the process. It answers once the model is loaded, and ends with the notebook that started it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import uvicorn

from course.assess.runner import Runner
from course.serve.app import create_app
from course.serve.engine import Engine
from helpers import models
from helpers.errors import PlainError

__all__ = ["serve"]


def serve(
    *,
    host: str,
    port: int,
    allow_image_urls: bool,
    parent_pid: int | None,
    submissions: str | None = None,
    submission_root: Path | None = None,
) -> None:
    """Serves the chat model and the diffusion model until it is told to stop, or until the process ``parent_pid`` ends.

    Args:
        submissions: the database of submissions (`course.assess.ledger`); the one in the user's data folder if None.
        submission_root: the folder whose folders a submission may name.

    Raises:
        PlainError: the port is taken, or the model can't be had.
    """
    with socket.socket() as probe:
        if probe.connect_ex((host, port)) == 0:
            raise PlainError(f"Something else listens on {host}:{port}: pass another --port.")
    model_id = models.entry("chat").id
    app = create_app(
        Engine(*models.load("chat")),
        model_id,
        runner=Runner.at_home(submissions),
        submission_root=submission_root,
        allow_image_urls=allow_image_urls,
    )
    # A connection that is still open must not keep the endpoint alive.
    server = uvicorn.Server(uvicorn.Config(app, host, port, log_level="warning", timeout_graceful_shutdown=2))
    if parent_pid is not None:
        threading.Thread(target=_end_with, args=(parent_pid, server), daemon=True).start()
    address = f"http://{host}:{port}"
    print(f"{model_id} answers at {address}/v1, pictures are drawn at {address}/sdapi/v1; Ctrl+C stops it.", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn shuts down in good order, and then passes the signal on
        server.run()


def _end_with(pid: int, server: uvicorn.Server) -> None:
    """Stops ``server`` when the process ``pid`` ends, or has ended already."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        # A process that nobody has collected yet (a zombie) still runs, as psutil sees it.
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.5)
    server.should_exit = True
