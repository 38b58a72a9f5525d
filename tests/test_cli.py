"""The console script: what each command calls, prints and exits with; and JupyterLab really starting."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import types
import urllib.error
import urllib.request

import pytest
from typer.testing import CliRunner

from course import doctor as doctor_module
from course import lab as lab_module
from course.cli import app
from helpers.doctor import Finding, Report
from helpers.errors import PlainError


def run(*words):
    return CliRunner().invoke(app, words)


def put(monkeypatch, module: str, **functions):
    """Makes the sub-command's module one that has only these functions."""
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**functions))


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from course.cli import app; "
        "print(CliRunner().invoke(app, ['--help']).output); "
        "print([name for name in ('torch', 'nbformat', 'pydantic', 'PIL') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("doctor", "lab", "serve", "build", "sync", "train", "evaluate"):
        assert re.search(rf"^\W*{command} ", ran.stdout, re.MULTILINE), command
    assert ran.stdout.strip().endswith("[]")


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["01_x is stale"], 1)])
@pytest.mark.parametrize("command", ["build", "sync"])
def test_build_and_sync_exit_1_with_the_problems(monkeypatch, command, problems, code):
    seen = []
    put(monkeypatch, f"course.{command}", **{command: lambda *, check, **_: seen.append(check) or problems})
    result = run(command, "--check")
    assert (result.exit_code, result.output.splitlines(), seen) == (code, problems, [True])


FOLDERS = {"text": "diffusion/text_encoder", "clip": "clip", "vqa": "vqa"}


def put_training(monkeypatch) -> list:
    """Puts a training that only notes what it is asked for in the place of the real one."""
    seen = []
    put(
        monkeypatch,
        "course.train",
        FOLDERS=FOLDERS,
        train=lambda model, **options: seen.append((model, options)),
        train_all=lambda models, **options: seen.append((models, options)),
    )
    return seen


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), {"device": "auto", "finish": False, "fresh": False, "workers": None}),
        (
            ("--device", "cpu", "--finish", "--fresh", "--workers", "0"),
            {"device": "cpu", "finish": True, "fresh": True, "workers": 0},
        ),
    ],
)
def test_train_passes_model_minutes_and_options(monkeypatch, words, options):
    seen = put_training(monkeypatch)
    assert run("train", "clip", "--minutes", "1.5", *words).exit_code == 0
    assert seen == [("clip", {"minutes": 1.5, **options})]


@pytest.mark.parametrize(("models", "wanted"), [(("all",), list(FOLDERS)), (("clip", "vqa"), ["clip", "vqa"])])
def test_several_models_share_the_minutes(monkeypatch, models, wanted):
    seen = put_training(monkeypatch)
    assert run("train", *models, "--minutes", "30", "--workers", "2").exit_code == 0
    assert seen == [(wanted, {"minutes": 30, "device": "auto", "workers": 2})]


@pytest.mark.parametrize(
    ("words", "named"), [(("--device", "tpu"), "--device"), (("--workers", "-1"), "--workers"), ((), "--minutes")]
)
def test_a_training_that_can_not_be_is_refused(monkeypatch, words, named):
    seen = put_training(monkeypatch)
    minutes = () if named == "--minutes" else ("--minutes", "1")
    result = run("train", "clip", *minutes, *words)
    assert result.exit_code == 2 and named in result.stderr and not seen


def test_the_help_of_train_names_every_model_that_can_be_trained():
    from course.train import FOLDERS

    words = re.sub(r"[│\s]+", " ", run("train", "--help").output)
    assert ", ".join(FOLDERS) in words


@pytest.mark.parametrize(
    ("words", "options"),
    [((), {"n": None, "seed": 0}), (("--n", "5", "--seed", "7"), {"n": 5, "seed": 7})],
)
def test_evaluate_prints_one_json_object(monkeypatch, words, options):
    put(monkeypatch, "course.evaluate", EVALUATIONS=["clip"], evaluate=lambda model, **given: {"model": model, **given})
    result = run("evaluate", "clip", *words)
    assert json.loads(result.stdout) == {"model": "clip", **options}


def test_evaluate_saves_the_scores_when_asked(monkeypatch):
    saved = []
    put(monkeypatch, "course.evaluate", EVALUATIONS=["clip"], evaluate=lambda model, **given: {"kind": 0.5})
    put(monkeypatch, "course.cards", save_scores=lambda model, scores: saved.append((model, scores)))
    run("evaluate", "clip")
    assert not saved
    assert json.loads(run("evaluate", "clip", "--save").stdout) == {"kind": 0.5}
    assert saved == [("clip", {"kind": 0.5})]


def test_evaluate_with_another_profile_is_refused_with_a_sentence(monkeypatch):
    from helpers.settings import settings

    monkeypatch.setattr(settings, "profile", "full")
    result = run("evaluate", "clip")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "COURSE_PROFILE is full" in result.stderr and "Run it with COURSE_PROFILE=mini" in result.stderr


@pytest.mark.parametrize(
    "words", [("evaluate", "cilp"), ("train", "cilp", "--minutes", "1"), ("train", "clip", "cilp", "--minutes", "1")]
)
def test_a_misspelt_model_lists_the_models(words):
    result = run(*words)
    assert result.exit_code == 2
    assert "there is no 'cilp'; choose one of:" in result.stderr and "clip" in result.stderr


def test_the_diffusion_model_is_trained_in_its_parts():
    result = run("train", "diffusion", "--minutes", "1")
    assert result.exit_code == 2
    words = re.sub(r"[│\s]+", " ", result.stderr)
    assert "'diffusion' is trained in parts: text, vae, unet, few_step" in words


def test_an_error_that_says_what_to_do_is_shown_as_that_sentence(monkeypatch):
    def train(model, **options):
        raise PlainError("There is no room for the checkpoint.")

    put(monkeypatch, "course.train", FOLDERS=FOLDERS, train=train, train_all=None)
    result = run("train", "clip", "--minutes", "1")
    assert (result.exit_code, result.stderr) == (1, "There is no room for the checkpoint.\n")


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_the_doctor_exits_1_when_something_needs_fixing(monkeypatch, ok, code):
    put(monkeypatch, "course.doctor", doctor=lambda: Report([Finding("torch", ok, "2.13")]))
    result = run("doctor")
    assert result.exit_code == code
    assert "torch: 2.13" in result.output


WORDY_DOCTOR = """
import sys, types
from helpers.errors import PlainError

def doctor():
    print("\\u540d \\u2192 told")
    raise PlainError("\\u540d \\u2192 refused")

sys.modules["course.doctor"] = types.SimpleNamespace(doctor=doctor)
import course.__main__
"""


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "utf-8"])
def test_what_a_code_page_does_not_hold_is_replaced(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    ran = subprocess.run([sys.executable, "-c", WORDY_DOCTOR, "doctor"], capture_output=True, env=environment)
    shown = [f"\u540d \u2192 {word}".encode(encoding, errors="replace") for word in ("told", "refused")]
    assert (ran.returncode, [ran.stdout.strip(), ran.stderr.strip()]) == (1, shown)


def test_the_doctor_looks_at_notebooks_lab_grading_and_port(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_module, "helpers_doctor", Report)
    monkeypatch.setattr(doctor_module, "NOTEBOOKS", tmp_path)
    report = doctor_module.doctor()
    assert [finding.name for finding in report] == ["notebooks", "JupyterLab", "nbgrader", "port"]
    assert [finding.todo for finding in report if not finding.ok] == ["run `course build`"]


def test_a_port_in_use_gives_the_next():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lab_module.free_port(port) > port


def test_no_port_left_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(lab_module.socket.socket, "connect_ex", lambda self, address: 0)
    with pytest.raises(PlainError, match=r"Ports 8888 to 8937 are all in use: pass another --port\."):
        lab_module.free_port(8888)


def test_no_port_is_sought_beyond_the_last_there_is(monkeypatch):
    monkeypatch.setattr(lab_module.socket.socket, "connect_ex", lambda self, address: 0)
    with pytest.raises(PlainError, match=r"Ports 65530 to 65535 are all in use"):
        lab_module.free_port(65530)


@pytest.mark.parametrize("command", ["lab", "serve"])
@pytest.mark.parametrize("port", ["0", "70000"])
def test_a_port_that_can_not_be_is_refused(command, port):
    result = run(command, "--port", port)
    assert result.exit_code == 2 and "--port" in result.stderr


def test_lab_without_notebooks_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lab_module, "NOTEBOOKS", tmp_path / "notebooks")
    assert lab_module.lab(port=8888, browser=False) == 1
    assert "Run `course build`" in capsys.readouterr().out


def test_lab_prints_a_url_that_answers_and_serves_the_notebooks(monkeypatch, tmp_path):
    """Starts the real server; it must show the notebooks' folder to whoever has the URL, and to nobody else."""
    (tmp_path / "hello.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    code = (
        "import sys; from pathlib import Path; import course.lab; "
        f"course.lab.NOTEBOOKS = Path({str(tmp_path)!r}); sys.exit(course.lab.lab(port=18888, browser=False))"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        url = next(line.split()[-1] for line in server.stdout if "http://" in line)
        base, token = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\S+)", url).groups()
        listing = fetch(f"{base}/api/contents?token={token}")
        assert [entry["name"] for entry in json.loads(listing)["content"]] == ["hello.ipynb"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{base}/api/contents")
        assert "JupyterLab" in fetch(url)
    finally:
        server.terminate()
        server.wait(timeout=20)
    with pytest.raises(urllib.error.URLError):  # JupyterLab ended with the command that started it
        urllib.request.urlopen(url, timeout=5)


def fetch(url: str) -> str:
    for _ in range(50):
        try:
            return urllib.request.urlopen(url, timeout=10).read().decode()
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError):
                raise
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer")
