"""bootstrap.py on computers that are set up for other things than the course."""

import io
import os
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
