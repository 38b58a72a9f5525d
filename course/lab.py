"""`course lab`: JupyterLab on the course's notebooks."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from helpers.errors import PlainError

__all__ = ["free_port", "lab"]

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def lab(*, port: int, browser: bool) -> int:
    """Start JupyterLab on `notebooks/`, print its URL once it answers, and wait until it ends.

    Takes the next free port if `port` is in use. Returns JupyterLab's exit code.
    """
    if not NOTEBOOKS.is_dir():
        print(f"There is no folder {NOTEBOOKS}. Run `course build` to make the notebooks, or clone the course again.")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ending this command ends JupyterLab, too
    port = free_port(port)
    token = secrets.token_urlsafe(24)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={NOTEBOOKS}"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            *(() if browser else ("--no-browser",)),
            # Containers run as root; the server only listens on this computer and requires the token.
            *(("--allow-root",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
            "--log-level=WARN",
        ],
        # The token goes through the environment, where a list of processes doesn't show it.
        env={**os.environ, "JUPYTER_TOKEN": token},
    )
    try:
        if _answers(port, server):
            print(f"\nPicture This is open at http://127.0.0.1:{port}/lab?token={token}", flush=True)
            print("Ctrl+C stops it.", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        return server.wait()


def free_port(wanted: int) -> int:
    """Return the first free port of 127.0.0.1, starting at `wanted`. Raises `PlainError` after 50."""
    ports = range(wanted, min(wanted + 50, 65536))
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise PlainError(f"Ports {wanted} to {ports[-1]} are all in use: pass another --port.")


def _answers(port: int, server: subprocess.Popen) -> bool:
    """Wait until the server listens; return False if it ends before."""
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False
