"""A real PostgreSQL for tests: Debian's programs, a database of its own in a temporary folder, a socket and no port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import until

USER = "course"


def programs() -> Path | None:
    """The folder of the newest initdb and postgres that are installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def server() -> Iterator[str]:
    """Runs a server while the block lasts: the address of its database, for SQLAlchemy with psycopg."""
    # Not in pytest's tmp_path: only root may enter that, and PostgreSQL refuses to run as root; and a socket's path
    # may have a hundred letters.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(folder, user.pw_uid, user.pw_gid)
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data, bin = folder / "data", programs()
        made = [bin / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, check=True, **options)
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off"}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        process = subprocess.Popen([bin / "postgres", "-D", data, *words], **options)
        try:
            until(lambda: process.poll() is not None or _answers(bin, folder))
            assert process.poll() is None, "PostgreSQL did not start"
            yield f"postgresql+psycopg://{USER}@/postgres?host={folder}"
        finally:
            process.send_signal(signal.SIGINT)  # ends its clients' connections, too
            process.wait()
    finally:
        shutil.rmtree(folder)


def _unprivileged():
    import pwd  # not on Windows

    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _answers(bin: Path, folder: Path) -> bool:
    asked = [bin / "pg_isready", "-q", "-h", folder, "-U", USER]
    return subprocess.run(asked).returncode == 0
