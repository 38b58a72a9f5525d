"""Attacks that take more than a student's process may have: processes, memory, disk, time of the processor."""

from __future__ import annotations

from functools import partial

from attacks import RIGHT, Attack, thief

attack = partial(Attack, "resources")

PROCESSES = [
    attack(
        "a fork bomb",
        thief("""
            first = os.getpid()
            for _ in range(9):
                try:
                    os.fork()
                except OSError:
                    pass
            if os.getpid() != first:
                time.sleep(12)
                os._exit(0)
            time.sleep(2)
            return sum(name.isdigit() for name in os.listdir("/proc")) > 300
        """),
    ),
    attack(
        "three hundred processes",
        thief("""
            started = 0
            for _ in range(300):
                try:
                    os.posix_spawn("/bin/sleep", ["sleep", str(SLEEP)], {})
                    started += 1
                except OSError:
                    break
            time.sleep(2)
            return started == 300
        """),
    ),
    attack(
        "processes that stay when it is done",
        {
            "double": f"{RIGHT}\n\n\n"
            "for _ in range(3):\n"
            "    if os.fork() == 0:\n"
            "        os.setsid()\n"
            "        if os.fork() == 0:\n"
            "            for number in range(1, 32):\n"
            "                try:\n"
            "                    signal.signal(number, signal.SIG_IGN)\n"
            "                except (OSError, ValueError):\n"
            "                    pass\n"
            "            os.execv('/bin/sleep', ['sleep', str(SLEEP)])\n"
            "        os._exit(0)"
        },
        most=30,
    ),
    attack(
        "threads that stay when it is done",
        {"double": f"{RIGHT}\n\n\nfor _ in range(20):\n    threading.Thread(target=time.sleep, args=[SLEEP]).start()"},
        most=30,
    ),
    attack(
        "eight processes that compute without end",
        {"double": f"{RIGHT}\n\n\nfor _ in range(8):\n    if os.fork() == 0:\n        while True:\n            pass"},
        most=30,
    ),
    attack(
        "ten thousand open files",
        thief("""
            kept = [open("/dev/null") for _ in range(10_000)]
            return kept
        """),
    ),
]

MEMORY = [
    attack(
        "nine gigabytes in one process",
        thief("""
            kept = [bytearray(512 << 20) for _ in range(18)]  # zeros that are never touched take no real memory
            return kept
        """),
    ),
    attack(
        "seven gigabytes in seven processes",
        thief("""
            import mmap
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0)
            ready = 0
            for _ in range(7):
                if room() < 6 << 30:
                    return False
                said, say = os.pipe()
                if os.fork() == 0:
                    try:
                        kept = mmap.mmap(-1, 1 << 30, flags=flags)
                        os.write(say, b"!")
                        time.sleep(12)
                    finally:
                        os._exit(0)
                os.close(say)
                ready += len(os.read(said, 1))
            return ready == 7
        """),
    ),
    attack(
        "seven gigabytes in files without a name",
        thief("""
            for number in range(14):
                if room() < 6 << 30:
                    return False
                os.posix_fallocate(os.memfd_create(str(number)), 0, 500 << 20)
            return True
        """),
    ),
    attack(
        "a gigabyte in a file system of its own",
        thief("""
            script = "mount -t tmpfs -o size=2g none /tmp; for n in 1 2; do head -c 400M /dev/zero > /tmp/$n || exit 1; done"
            run = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, timeout=5)
            return run.returncode == 0
        """),
    ),
]

SURVIVES = "    time.sleep(3)\n    return True  # and nobody has stopped it"


def filler(body: str) -> dict[str, str]:
    """`double`, which is right if the process still runs three seconds after it has filled the disk."""
    return thief(f"{body}\n{SURVIVES}")


DISK = [
    attack(
        "one file of two gigabytes",
        thief("""
            with open("big", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, 2 << 30)
            return True
        """),
    ),
    attack(
        "a sparse file of a terabyte",
        thief("""
            with open("sparse", "wb") as file:
                file.truncate(1 << 40)
            return True
        """),
    ),
    attack(
        "a gigabyte in three files",
        filler(
            "    for name in 'abc':\n"
            "        with open(name, 'wb') as file:\n"
            "            os.posix_fallocate(file.fileno(), 0, 400 << 20)"
        ),
    ),
    attack(
        "a gigabyte in files that are deleted and still open",
        filler(
            "    kept = []\n"
            "    for name in 'abc':\n"
            "        kept.append(open(name, 'wb'))\n"
            "        os.unlink(name)\n"
            "        os.posix_fallocate(kept[-1].fileno(), 0, 400 << 20)"
        ),
    ),
    attack(
        "a gigabyte in a folder whose path is too long to name",
        filler(
            "    here = os.getcwd()\n"
            "    for _ in range(25):\n"
            "        os.mkdir('d' * 200)\n"
            "        os.chdir('d' * 200)\n"
            "    for name in 'abc':\n"
            "        with open(name, 'wb') as file:\n"
            "            os.posix_fallocate(file.fileno(), 0, 400 << 20)\n"
            "    os.chdir(here)"
        ),
    ),
    attack(
        "thirty thousand files",
        filler("    for number in range(30_000):\n        os.close(os.open(str(number), os.O_CREAT))"),
    ),
    attack("thirty thousand folders", filler("    for number in range(30_000):\n        os.mkdir(str(number))")),
    attack(
        "a gigabyte in /tmp",
        thief("""
            for name in "abc":
                with open(f"/tmp/{name}", "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, 400 << 20)
            return True
        """),
    ),
    attack(
        "a file anywhere else",
        thief("""
            import helpers
            course = Path(helpers.__file__).resolve().parents[1]
            for place in ("/", "/dev", "/run", "/var", "/var/tmp", "/home", "/root", "..", course):
                try:
                    with open(Path(place, "a-student-was-here"), "wb") as file:
                        os.unlink(file.name)
                    return True
                except OSError:
                    continue
        """),
    ),
    attack(
        "fifteen hundred folders within each other",
        {
            "double": "here = os.getcwd()\n"
            "for _ in range(1500):\n"
            "    os.mkdir('d')\n"
            "    os.chdir('d')\n"
            "os.chdir(here)\n\n\n"
            "def double(x):\n    return 4"
        },
    ),
    attack(
        "folders that nobody may open",
        {"double": "os.makedirs('locked/inner')\nos.chmod('locked/inner', 0)\nos.chmod('locked', 0)\n\n\n" + RIGHT},
        most=30,
    ),
]

ATTACKS = [*PROCESSES, *MEMORY, *DISK]
