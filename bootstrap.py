"""Set the course up in .venv and run one of its tasks: `python bootstrap.py lab`, `python bootstrap.py test` …

The Makefile calls this script, so both do the same. Setting up takes some minutes the first time, and is repeated only
when pyproject.toml or constraints.txt has changed. Arguments after the task's name are passed to its last command, as
in `python bootstrap.py lab --no-browser --port 8899`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "installed.json"

ALL = ["cluster", "course", "dev", "lab"]

# Style, declared dependencies, and whether generated files are up to date.
LINT = [
    "ruff check",
    "ruff format --check",
    "deptry .",
    "course sync --check",
    "course build --check",
]

GROUPS = "-n 3 --dist loadscope --no-loadscope-reorder"  # tests/conftest.py forms the groups and their order

# PIP_… variables that change what pip installs, or where; not those for reaching its index.
PIP_SETTINGS = ["TARGET", "PREFIX", "ROOT", "PYTHON", "DRY_RUN", "NO_DEPS", "REQUIREMENT", "EDITABLE", "CONSTRAINT"]
PIP_SETTINGS += ["REQUIRE_HASHES", "NO_BUILD_ISOLATION", "NO_BINARY"]

# How uv calls pip's settings for reaching indexes.
UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "HTTPS_PROXY",
}

# task: (the optional dependencies of pyproject.toml that it needs, its commands, each run as `python -m …`)
TASKS = {
    "setup": (ALL, []),
    "demo": (["course"], ["course demo"]),
    "lab": (["lab"], ["course lab"]),
    "doctor": (["lab"], ["course doctor"]),
    "check": (ALL, [*LINT, "pytest -n 2 -m quick tests"]),
    "test": (ALL, [*LINT, f"pytest {GROUPS} --nbval-lax --nbval-current-env tests build/source"]),
    "smoke": (
        ALL,
        ["course doctor", "course build", "pytest --nbval-lax --nbval-current-env build/source/02_vqa_specialist"],
    ),
    "build": (ALL, ["course sync", "course build"]),
    "lint": (ALL, ["pre_commit run --all-files"]),
    "hooks": (ALL, ["pre_commit install"]),
    "train": (ALL, ["course train"]),
    "evaluate": (ALL, ["course evaluate"]),
}


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # the folder's name may have characters that the code page lacks
    if len(sys.argv) < 2 or sys.argv[1] not in TASKS:
        sys.exit(f"Usage: python bootstrap.py TASK, where TASK is one of: {', '.join(TASKS)}")
    task, more = sys.argv[1], sys.argv[2:]
    extras, commands = TASKS[task]
    set_aside_pip_settings()
    set_up(extras)
    # So that programs started by these commands (nbgrader, jupyter) are found in .venv first.
    os.environ["PATH"] = str(SCRIPTS) + os.pathsep + os.environ["PATH"]
    for number, command in enumerate(commands, start=1):
        words = command.split() + (more if number == len(commands) else [])
        print("$ " + " ".join(words), flush=True)
        run(PYTHON, "-m", *words)


def set_aside_pip_settings():
    """Keep pip settings that are meant for other installations from affecting .venv."""
    for name in PIP_SETTINGS:
        os.environ.pop(f"PIP_{name}", None)
    os.environ["PIP_USER"] = "0"  # not just unset: pip's config file may set it, too


def set_up(extras):
    """Create .venv and install the course with these optional dependencies, unless that has been done."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may run this script
        sys.exit(
            f"The course needs Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}. Run it with a newer one."
        )
    recipe = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    digest = hashlib.sha256(recipe).hexdigest()
    done = json.loads(STAMP.read_text()) if STAMP.exists() and PYTHON.exists() else {}
    if done.get("recipe") == digest and set(extras) <= set(done["extras"]):
        return
    if not PYTHON.exists():
        print(f"Creating {VENV}", flush=True)
        made = False
        try:
            made = subprocess.run([sys.executable, "-m", "venv", VENV]).returncode == 0
        finally:
            if not made:  # a half-made one can have a Python without pip, and would look complete next time
                shutil.rmtree(VENV, ignore_errors=True)
        if not made:
            sys.exit(
                "Python could not create .venv. On Debian or Ubuntu: `sudo apt install python3-venv`, then try again."
            )
    extras = sorted(set(extras) | set(done.get("extras", [])))
    print(
        f"Installing the course and its libraries ({', '.join(extras)}); this takes some minutes the first time",
        flush=True,
    )
    wanted = ["-c", ROOT / "constraints.txt", "-e", f"{ROOT}[{','.join(extras)}]"]
    if not installed_by_uv(wanted):
        run(PYTHON, "-m", "pip", "install", "-q", *wanted)
    STAMP.write_text(json.dumps({"recipe": digest, "extras": extras}))


def installed_by_uv(wanted):
    """Install with uv, which is several times as fast as pip; return whether it could."""
    uv = shutil.which("uv") or SCRIPTS / ("uv.exe" if os.name == "nt" else "uv")
    if not Path(uv).exists() and subprocess.run([PYTHON, "-m", "pip", "install", "-q", "uv"]).returncode:
        return False
    settings = pip_settings()
    environment = uv_environment(settings) | os.environ
    install = [uv, "pip", "install", "--python", PYTHON, *([] if sys.stderr.isatty() else ["-q"])]
    # Without a graphics card, the CPU build of torch, which PyPI lacks, saves gigabytes. A mirror may be all there is.
    has_mirror = {"index-url", "extra-index-url", "find-links"} & settings.keys()
    ways = [[]] if has_mirror else [["--torch-backend", "auto"], []]
    for way in ways:
        if subprocess.run([*install, *way, *wanted], cwd=ROOT, env=environment).returncode == 0:
            return True
    print("uv could not install them, so pip does", flush=True)
    return False


def pip_settings():
    """Return pip's settings from its files and variables, as {"index-url": …}."""
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True)
    found = {}
    for scope in ("global", "install", ":env:"):  # the last one wins
        found |= dict(re.findall(rf"^{scope}\.([\w-]+)='(.*)'$", listed.stdout or "", re.MULTILINE))
    return found


def uv_environment(settings):
    """Return the variables that make uv reach the same indexes in the same way as pip."""
    environment = {uv: settings[pip] for pip, uv in UV_SETTINGS.items() if pip in settings}
    if "extra-index-url" in settings:
        environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip, too, takes the newest version of any index
    return environment


def run(*command):
    """Run a command in the course's folder; if it fails, exit with its exit code."""
    try:
        code = subprocess.run([str(word) for word in command], cwd=ROOT).returncode
    except KeyboardInterrupt:
        code = 130
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
