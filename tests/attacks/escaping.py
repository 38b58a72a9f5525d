"""Attacks on the sandbox: privileges, name spaces, other processes, the network, and modules planted for others."""

from __future__ import annotations

from functools import partial

from attacks import GUESS, Attack, thief

attack = partial(Attack, "escaping")

PRIVILEGES = [
    attack(
        "becomes root",
        thief("""
            for change in (os.setgid, os.setuid):
                try:
                    change(0)
                except OSError:
                    pass
            return SECRET.exists() or os.access("/usr", os.W_OK)
        """),
    ),
    attack("mounts a file system", thief("return libc.mount(b'none', b'/usr', b'tmpfs', 0, None) == 0")),
    attack(
        "takes away what hides other folders",
        thief("""
            places = ("..", "/tmp", "/proc", "/dev")
            return any(libc.umount2(os.path.abspath(place).encode(), 2) == 0 for place in places)
        """),
    ),
    attack(
        "takes away what hides other folders, as root of a name space of its own",
        thief("""
            hidden = os.path.abspath("..")
            script = f"umount -l '{hidden}' || umount -l /tmp || umount -l /proc"
            run = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, timeout=4)
            return run.returncode == 0
        """),
    ),
    attack(
        "enters the name spaces of another process",
        thief("""
            for process in (1, os.getppid()):
                for name in ("mnt", "net", "pid"):
                    mine, other = os.stat(f"/proc/self/ns/{name}"), os.stat(f"/proc/{process}/ns/{name}")
                    with open(f"/proc/{process}/ns/{name}") as space:
                        if mine.st_ino != other.st_ino and libc.setns(space.fileno(), 0) == 0:
                            return True
        """),
    ),
    attack(
        "asks sudo and su",
        thief("""
            def works(*command):
                try:
                    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=2).returncode == 0
                except FileNotFoundError:
                    return False
            return works("sudo", "-n", "true") or works("su", "-c", "true")
        """),
    ),
    attack(
        "raises its own limits",
        thief("""
            import resource
            for which in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_AS):
                resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return True
        """),
    ),
    attack("traces its parent", thief("return libc.ptrace(16, os.getppid(), 0, 0) == 0")),
    attack("ends its parent", {"double": f"import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n{GUESS}"}),
]

WRITING = [
    attack(
        "changes a grade",
        thief("""
            import sqlite3
            with sqlite3.connect(GRADEBOOK) as book:
                book.execute("UPDATE grade SET auto_score = 30")
            return True
        """),
    ),
    attack(
        "changes another student's submission",
        thief("""
            for file in SUBMITTED.rglob("*.ipynb"):
                file.write_text("{}")
                return True
        """),
    ),
    attack(
        "writes to the course's code",
        thief("""
            import IPython, helpers, course
            files = [module.__file__ for module in (helpers, course, IPython, os)]
            return any(os.access(file, os.W_OK) or os.access(os.path.dirname(file), os.W_OK) for file in files)
        """),
    ),
    attack(
        "puts a link to the folder outside in the place of the judge's temporary folder",
        {"double": f"import os, shutil\nshutil.rmtree('.tmp')\nos.symlink(OUTSIDE, '.tmp')\n{GUESS}"},
    ),
    attack(
        "removes the folder that it shares with its judge",
        {"double": f"import os, shutil\nshutil.rmtree(os.getcwd(), ignore_errors=True)\n{GUESS}"},
    ),
]

NETWORK = [
    attack("calls a port of this machine", thief("return socket.create_connection(('127.0.0.1', PORT), 2).recv(9)")),
    attack("calls a machine in the network", thief("return socket.create_connection((HOST, PORT), 2).recv(9)")),
    attack("looks up a name", thief("return socket.getaddrinfo('example.com', 80)")),
    attack(
        "calls an abstract Unix socket",
        thief("""
            caller = socket.socket(socket.AF_UNIX)
            caller.connect("\\0" + ABSTRACT)
            return caller.recv(9)
        """),
    ),
]


def planting(body: str) -> dict[str, str]:
    """`double`, which is right once somebody has run what this body plants: it has `PLANT`, a source to write to files."""
    mark = "MARK = Path('planted').absolute()\nPLANT = f'open({str(MARK)!r}, \"w\").close()'"
    return {"double": f"{mark}\n{body}\n\n\ndef double(x):\n    return 2 * x if MARK.exists() else 4"}


PLANTING = [
    attack(
        "plants modules with the names of others in its working folder",
        planting(
            "for folder in ('.', '.tmp'):\n"
            "    for name in ('helpers', 'course', 'json', 'random', 'numpy', 'torch', 'nbformat', 'statistics',\n"
            "                 'sitecustomize', 'usercustomize', 'conftest', 'secrets', 'antigravity'):\n"
            "        Path(folder, f'{name}.py').write_text(PLANT)"
        ),
    ),
    attack(
        "plants start-up files in the home folder",
        planting(
            "site = Path.home() / f'.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages'\n"
            "site.mkdir(parents=True)\n"
            "(site / 'usercustomize.py').write_text(PLANT)\n"
            "(site / 'planted.pth').write_text('import sys; ' + PLANT)\n"
            "for home in (Path.home() / '.ipython', Path('.tmp'), Path('.')):\n"
            "    start = home / 'profile_default' / 'startup'\n"
            "    start.mkdir(parents=True, exist_ok=True)\n"
            "    (start / '00.py').write_text(PLANT)\n"
            "    (start.parent / 'ipython_config.py').write_text(PLANT)\n"
            "    (start.parent / 'ipython_kernel_config.py').write_text(PLANT)"
        ),
    ),
    attack(
        "plants a start-up file in the environment",
        planting(
            "Path('start.py').write_text(PLANT)\n"
            "here = os.getcwd()\n"
            "os.environ.update(PYTHONSTARTUP=f'{here}/start.py', PYTHONPATH=here, HOME=here, TMPDIR=here, IPYTHONDIR=here)\n"
            "os.environ.update(LD_PRELOAD=f'{here}/start.so', PYTHONBREAKPOINT='start', COURSE_GRADER_SEED='1')"
        ),
    ),
]

ATTACKS = [*PRIVILEGES, *WRITING, *NETWORK, *PLANTING]
