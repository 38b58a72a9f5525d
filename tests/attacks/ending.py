"""Attacks that end, crash or hang the student's process."""

from __future__ import annotations

from functools import partial

from attacks import GUESS, RIGHT, Attack, during

attack = partial(Attack, "ending")

HANGING = [
    attack("an endless loop in a cell", {"double": f"{GUESS}\n\n\nwhile True:\n    pass"}),
    attack("an endless loop in a function", during("while True: pass")),
    attack("a long sleep", during("time.sleep(10**6)")),
    attack(
        "an endless loop that swallows every exception",
        during("""
            while True:
                try:
                    time.sleep(1)
                except BaseException:
                    pass
        """),
    ),
    attack(
        "an endless loop that blocks all signals",
        during("while True: pass", before="signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"),
    ),
    attack("an endless loop in C", during("return sum(range(10**15))")),
    attack("a process that stops itself", during("os.kill(os.getpid(), signal.SIGSTOP)")),
    attack(
        "a thread that never lets go of the interpreter",
        during(
            "threading.Thread(target=spin, daemon=True).start()",
            before="""
                sys.setswitchinterval(10**6)


                def spin():
                    while True:
                        pass
            """,
        ),
    ),
]

ENDING = [
    attack("os._exit in a cell", {"double": f"{GUESS}\n\n\nos._exit(0)"}),
    attack("os._exit in a function", during("os._exit(0)")),
    attack("os._exit after a right answer", {"double": RIGHT, "mean": "os._exit(0)"}, most=30),
    attack(
        "errors that end Python",
        {
            "double": "def double(x):\n    raise SystemExit(30)",
            "mean": "def mean(values):\n    raise KeyboardInterrupt",
            "centre": "def centre(values):\n    raise GeneratorExit",
        },
    ),
    attack(
        "errors of own classes that end Python",
        {
            "double": "class Passed(BaseException):\n    pass\n\n\ndef double(x):\n    raise Passed",
            "mean": "class Exit(SystemExit):\n    pass\n\n\ndef mean(values):\n    raise Exit(0)",
            "centre": "class Stop(KeyboardInterrupt):\n    pass\n\n\ndef centre(values):\n    raise Stop",
        },
    ),
    attack(
        "errors that end loops",
        {
            "double": "def double(x):\n    raise StopIteration",
            "mean": "def mean(values):\n    raise StopAsyncIteration",
            "centre": "import bdb\n\n\ndef centre(values):\n    raise bdb.BdbQuit",
        },
    ),
    attack("groups of errors", during("raise BaseExceptionGroup('all passed', [SystemExit(0), ValueError()])")),
    attack("a segmentation fault", during("ctypes.string_at(0)")),
    attack(
        "overflows the stack",
        during("return dive(0)", before="sys.setrecursionlimit(10**9)\n\n\ndef dive(n):\n    return [dive(n + 1)]"),
    ),
    attack("closes all its files", during("os.closerange(3, 4096)")),
    attack(
        "deletes the modules that it runs on",
        {
            "double": f"for name in list(sys.modules):\n    if name != 'sys':\n        del sys.modules[name]\n\n\n{GUESS}"
        },
    ),
]

ATTACKS = [*HANGING, *ENDING]
