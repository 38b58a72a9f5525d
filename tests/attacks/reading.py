"""Attacks that look for what a student must not know: the seed, hidden tests, solutions, grades, others' work."""

from __future__ import annotations

from functools import partial

from attacks import Attack, thief

attack = partial(Attack, "reading")

ATTACKS = [
    attack(
        "the environment of its own process",
        thief("return tells(dict(os.environ))"),
    ),
    attack(
        "the course's settings",
        thief("""
            from helpers.settings import settings
            return is_seed(settings.grader_seed)
        """),
    ),
    attack(
        "all objects that the garbage collector knows",
        thief("""
            import gc
            return any(tells(thing, 1) for thing in gc.get_objects())
        """),
    ),
    attack(
        "the frozen objects of the warm parent",
        thief("""
            import gc
            gc.unfreeze()
            ends = time.monotonic() + 3
            for thing in gc.get_objects():
                if isinstance(thing, dict) and tells(thing, 1):
                    return True
                if time.monotonic() > ends:
                    return False
        """),
    ),
    attack(
        "the frames of all callers",
        thief("""
            frame, found = sys._getframe(), False
            while frame is not None:
                found = found or tells(dict(frame.f_locals), 2)
                frame = frame.f_back
            return found
        """),
    ),
    attack(
        "the frames of all threads, when it is called",
        {
            "double": "def double(x):\n"
            "    import inspect\n"
            "    frames = [*sys._current_frames().values(), *(each.frame for each in inspect.stack())]\n"
            "    return 2 * x if any(tells(dict(frame.f_locals), 2) for frame in frames) else 4"
        },
    ),
    attack(
        "environments and command lines in /proc",
        thief("""
            def read(process, name):
                try:
                    return Path("/proc", process, name).read_bytes()
                except OSError:
                    return b""
            processes = [name for name in os.listdir("/proc") if name.isdigit()]
            seeds = any(b"COURSE_GRADER_SEED=" in read(process, "environ") for process in processes)
            return seeds or any(b"zygote\\0judge" in read(process, "cmdline") for process in processes)
        """),
    ),
    attack(
        "the memory of its own process",
        thief("""
            left = 256 << 20
            with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
                for line in maps:
                    place, rights, *rest = line.split()
                    if not rights.startswith("rw") or len(rest) > 3 and rest[3] != "[heap]" or left <= 0:
                        continue
                    start, end = (int(number, 16) for number in place.split("-"))
                    memory.seek(start)
                    data = memory.read(min(end - start, left))
                    left -= len(data)
                    if re.search(b"is wrong for a large [n]umber", data):
                        return True
        """),
    ),
    attack(
        "the memory of other processes",
        thief("""
            own = str(os.getpid())
            for process in os.listdir("/proc"):
                if process.isdigit() and process != own:
                    try:
                        os.close(os.open(f"/proc/{process}/mem", os.O_RDONLY))
                        return True
                    except OSError:
                        continue
        """),
    ),
    attack(
        "open files that it has inherited",
        thief("""
            for number in range(3, 1024):
                try:
                    kind = os.fstat(number).st_mode
                except OSError:
                    continue
                if stat.S_ISDIR(kind) or stat.S_ISREG(kind) and tells(os.pread(number, 1 << 24, 0)):
                    return True
        """),
    ),
    attack(
        "solutions, tests, built notebooks and the gradebook of the course",
        thief("""
            import helpers
            course = Path(helpers.__file__).resolve().parents[1]
            private = ("solutions/*", "tests/*", "build/*", ".git/*", ".course-grade/*", "submitted/*", "*.db")
            return [file for pattern in private for file in course.glob(pattern)]
        """),
    ),
    attack("a secret file that everybody may read", thief("return SECRET.read_text()")),
    attack("the gradebook that everybody may read", thief("return GRADEBOOK.read_bytes()")),
    attack("other students' submissions", thief("return [*SUBMITTED.rglob('*.ipynb')]")),
    attack("the folders that others share with their judges", thief("return len(os.listdir('..')) > 1")),
    attack("the judge's temporary folder", thief("return any(tells(file.read_bytes()) for file in Path().rglob('*'))")),
    attack(
        "the file system of other processes, through /proc",
        thief("""
            ways = [f"/proc/{name}/{link}" for name in os.listdir("/proc") for link in ("root", "cwd") if name.isdigit()]
            return any(Path(way + str(SECRET)).exists() for way in ways)
        """),
    ),
    attack(
        "the whole disk, for a gradebook",
        thief("""
            passed_over, ends = {"proc", "sys", "dev", "site-packages", "dist-packages", "usr"}, time.monotonic() + 4
            for folder, folders, files in os.walk("/"):
                folders[:] = [name for name in folders if name not in passed_over]
                if {"gradebook.db", "secret.txt", "00_tiny.ipynb"} & {*files}:
                    return True
                if time.monotonic() > ends:
                    return False
        """),
    ),
    attack(
        "a secret file, through a link in its own folder",
        thief("""
            os.symlink(SECRET, "notes.txt")
            return Path("notes.txt").read_text()
        """),
    ),
]

NOTE = """
    import helpers
    course = Path(helpers.__file__).resolve().parents[1]
    places = [Path(name, "note-of-a-student") for name in ("/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", "..", course)]
"""
ATTACKS += [
    attack(
        "leaves a note for the next student",
        thief(f"""{NOTE}
    for place in places:
        try:
            place.write_text("double(17) should be 34")
        except OSError:
            continue
    return False"""),
    ),
    attack(
        "finds the note of the student before",
        thief(f"""{NOTE}
    return any(place.exists() for place in places)"""),
    ),
]
