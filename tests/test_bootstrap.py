"""bootstrap.py on computers that are set up for other things than the course."""

import io
import os
import shutil
import subprocess
import sys

import pytest

import bootstrap

pytestmark = pytest.mark.quick


@pytest.fixture
def pips_environment(tmp_path, monkeypatch):
    """Sets the course up in an empty folder, and gives the environment that pip is run with."""

    def set_up(**variables):
        for name in ("pyproject.toml", "constraints.txt"):
            (tmp_path / name).write_text("")
        monkeypatch.setattr(os, "environ", os.environ | variables)
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", "setup"])
        monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
        monkeypatch.setattr(bootstrap, "VENV", tmp_path / "→")
        monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "→" / "python")
        monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "installed.json")
        seen = {}

        def run(command, **options):
            seen["pip" if "pip" in command else "venv"] = options.get("env", dict(os.environ))
            return subprocess.CompletedProcess(command, 0)

        monkeypatch.setattr(subprocess, "run", run)
        bootstrap.main()
        return seen["pip"]

    return set_up


@pytest.mark.parametrize("name", ["TARGET", "PREFIX", "ROOT", "NO_DEPS", "DRY_RUN", "CONSTRAINT", "REQUIRE_HASHES"])
def test_pip_settings_for_other_installations_are_set_aside(pips_environment, name):
    assert f"PIP_{name}" not in pips_environment(**{f"PIP_{name}": "1"})


@pytest.mark.parametrize("value", ["1", "true", ""])
def test_pip_installs_into_our_environment_and_not_into_the_users(pips_environment, value):
    assert pips_environment(PIP_USER=value)["PIP_USER"] == "0"


def test_how_pip_reaches_its_index_stays(pips_environment):
    reached = {"PIP_INDEX_URL": "https://pip.example.org", "PIP_CERT": "ca.pem", "PIP_PROXY": "http://proxy:3128"}
    assert reached.items() <= pips_environment(**reached).items()


def test_a_folder_that_the_code_page_can_not_show(pips_environment, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    pips_environment()
    assert b"Creating " in out.buffer.getvalue()


@pytest.fixture
def installs(tmp_path, monkeypatch):
    """Sets the course up in an empty folder where some commands fail, and gives the commands that install it."""

    def set_up(settings="", fails=lambda command: False):
        for name in ("pyproject.toml", "constraints.txt"):
            (tmp_path / name).write_text("")
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", "setup"])
        monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
        monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
        monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "venv" / "python")
        monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "installed.json")
        monkeypatch.setattr(shutil, "which", lambda name: sys.executable)
        commands = []

        def run(command, **options):
            command = [str(word) for word in command]
            if "-e" in command:
                commands.append((command, options.get("env", {})))
            return subprocess.CompletedProcess(command, int(fails(command)), stdout=settings)

        monkeypatch.setattr(subprocess, "run", run)
        bootstrap.main()
        return commands

    return set_up


def test_uv_installs_the_cpu_build_of_torch_where_there_is_no_card(installs):
    ((command, _),) = installs()
    assert command[0] == sys.executable and "--torch-backend auto" in " ".join(command)


def test_where_torchs_own_index_is_out_of_reach_uv_takes_what_there_is(installs):
    first, second = installs(fails=lambda command: "--torch-backend" in command)
    assert second[0] == [word for word in first[0] if word not in ("--torch-backend", "auto")]


def test_pip_installs_what_uv_can_not(installs):
    *_, (command, _) = installs(fails=lambda command: "--python" in command)
    assert command[1:4] == ["-m", "pip", "install"]


def test_uv_asks_the_mirror_that_pip_would_ask_and_no_other(installs, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    settings = (
        "global.cert='ca.pem'\nglobal.index-url='https://old.example.org'\n:env:.index-url='https://pip.example.org'"
    )
    ((command, environment),) = installs(settings)
    assert environment["UV_DEFAULT_INDEX"] == "https://pip.example.org" and environment["SSL_CERT_FILE"] == "ca.pem"
    assert "--torch-backend" not in command
