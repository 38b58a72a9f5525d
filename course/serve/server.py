"""The process of `course serve`. It answers once the model is loaded, and ends with the notebooks that use it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import uvicorn

from course.assess.runner import Runner
from course.serve.app import create_app
from course.serve.engine import Engine
from course.serve.notebooks import Notebooks
from helpers import models
from helpers.errors import PlainError

__all__ = ["serve"]


def serve(
    *,
    host: str,
    port: int,
    allow_image_urls: bool,
    parent_pid: int | None,
    strict_models: bool = False,
    submissions: str | None = None,
    submission_root: Path | None = None,
) -> None:
    """Serve the chat model and the diffusion model until stopped.

    Args:
        parent_pid: if given, also stop when this process and all notebooks that have joined have ended.
        strict_models: as for `create_app`.
        submissions: the submission database (`course.assess.submissions`); by default in the user's data folder.
        submission_root: the folder inside which a submission may name folders.

    Raises:
        PlainError: the port is taken, or the model is unavailable.
    """
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        raise PlainError(f"Something else is listening at {address}: pass another --port.")
    notebooks = None if parent_pid is None else Notebooks(parent_pid)
    model_id = models.entry("chat").id
    app = create_app(
        Engine(*models.load("chat")),
        model_id,
        host=host,
        runner=Runner.at_home(submissions),
        notebooks=notebooks,
        submission_root=submission_root,
        strict_models=strict_models,
        allow_image_urls=allow_image_urls,
    )
    # An open connection must not keep the endpoint alive.
    server = uvicorn.Server(uvicorn.Config(app, host, port, log_level="warning", timeout_graceful_shutdown=2))
    if notebooks:
        threading.Thread(target=_stop_with, args=(notebooks, server), daemon=True).start()
    print(
        f"{model_id} answers at {address}/v1, pictures are drawn at {address}/sdapi/v1; {address}/openapi.json lists all "
        "routes. Ctrl+C stops it.",
        flush=True,
    )
    with suppress(KeyboardInterrupt):  # uvicorn shuts down gracefully, then re-raises the signal
        server.run()


def _stop_with(notebooks: Notebooks, server: uvicorn.Server) -> None:
    notebooks.wait()
    server.should_exit = True
