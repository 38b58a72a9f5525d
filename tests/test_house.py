"""The repository's own promises: files made from pyproject.toml agree with it, tools have one version, nothing leaks."""

import ast
import codecs
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

from course.sync import sync
from helpers.errors import PlainError

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What Colab ships (August 2026); a lower bound above one of these would replace the library there.
COLAB = {
    "diffusers": "0.39",
    "ipython": "7.34",
    "ipywidgets": "7.7.1",
    "torch": "2.11",
    "transformers": "5.15",
}


@pytest.fixture
def copy(tmp_path):
    """A copy of the files that `course sync` reads and writes."""
    for name in ("pyproject.toml", "requirements.txt", "environment.yml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_what_is_made_from_pyproject_is_up_to_date():
    assert sync(check=True) == []


def test_a_new_dependency_is_noticed_and_written(copy):
    project = copy / "pyproject.toml"
    project.write_text(project.read_text().replace('"pillow>=11"', '"pillow>=12"'))
    assert sync(check=True, root=copy) == [
        "requirements.txt differs from pyproject.toml: run `course sync` and commit it.",
        "environment.yml differs from pyproject.toml: run `course sync` and commit it.",
    ]
    assert sync(check=False, root=copy) == []
    assert "pillow>=12\n" in (copy / "requirements.txt").read_text()
    assert "- pillow>=12\n" in (copy / "environment.yml").read_text()
    assert sync(check=True, root=copy) == []


def test_a_new_address_reaches_badge_and_clone_command(copy):
    project = copy / "pyproject.toml"
    old = PROJECT["urls"]["Repository"].split("/")[-2]
    project.write_text(project.read_text().replace(f"/{old}/", "/new-owner/"))
    sync(check=False, root=copy)
    readme = (copy / "README.md").read_text()
    assert "colab.research.google.com/github/new-owner/picture-this/blob/main/notebooks/" in readme
    assert "git clone --depth 1 https://github.com/new-owner/picture-this" in readme
    assert f"{old}/picture-this" not in readme


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.txt", "README.md"])
def test_a_file_in_another_encoding_is_told_with_its_line(copy, name):
    (copy / name).write_bytes(b"# \n# na\xefve\n" + (copy / name).read_bytes())
    for check in (True, False):
        with pytest.raises(PlainError, match=rf"^{name} should be in UTF-8, but line 2 is not \("):
            sync(check=check, root=copy)


@pytest.mark.parametrize("name", ["pyproject.toml", "README.md"])
def test_a_byte_order_mark_makes_nothing_stale(copy, name):
    (copy / name).write_bytes(codecs.BOM_UTF8 + (copy / name).read_bytes())
    assert sync(check=True, root=copy) == []


def test_the_environment_file_is_one_that_conda_reads():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert set(PROJECT["dependencies"]) < set(pip)


def test_dependencies_are_lower_bounds_that_hold_on_colab():
    from packaging.requirements import Requirement

    requirements = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
    for requirement in requirements.values():
        assert [bound.operator for bound in requirement.specifier] == [">="], requirement
    for name, version in COLAB.items():
        assert requirements[name].specifier.contains(version), f"{requirements[name]} would replace Colab's {version}"


def test_the_tested_versions_are_within_the_bounds():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    tested = {canonicalize_name(name): version for name, version in tested.items()}
    everything = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in map(Requirement, everything):
        version = tested.get(canonicalize_name(requirement.name))
        assert version, f"constraints.txt lacks {requirement.name}"
        assert requirement.specifier.contains(version), f"{requirement} does not allow the tested {version}"
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    for hook in config["repos"][0]["hooks"]:
        for tool in hook["additional_dependencies"]:
            name, version = tool.split("==")
            assert tested[canonicalize_name(name)] == version, f"{hook['id']} uses another {tool} than constraints.txt"


def test_imports_keep_the_contracts_of_pyproject(monkeypatch, capsys):
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


def test_texts_are_read_and_written_in_utf8_whatever_the_platform_prefers():
    first = {"read_text": 0, "write_text": 1}  # the place of the encoding among the arguments
    calls = [
        (file.relative_to(ROOT), node)
        for file in chain.from_iterable((ROOT / folder).rglob("*.py") for folder in ("course", "helpers"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in first
    ]
    assert len(calls) > 15
    bare = [
        f"{file}:{node.lineno}"
        for file, node in calls
        if len(node.args) <= first[node.func.attr] and not any(word.arg == "encoding" for word in node.keywords)
    ]
    assert bare == []


def test_the_readmes_links_lead_somewhere():
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", readme) + re.findall(r'src="(?!https?:)([^"]+)"', readme)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), f"README.md points at {target}, which is not there"


def test_every_picture_of_the_readme_has_alt_text():
    for alt in re.findall(r"!\[([^]]*)\]\((?!https?:)", (ROOT / "README.md").read_text()):
        assert len(alt.split()) >= 8, f"{alt!r} does not tell what the picture shows"


def test_ci_runs_the_readmes_test_command():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\nmake test")
    assert "make test" in (ROOT / "README.md").read_text()
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_no_machines_path_in_what_is_committed():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(?<![\w.])/(?:home|Users|root)/\w")
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".ipynb", ".json", ".txt", ".cfg"} and path.exists():
            found = pattern.search(path.read_text(encoding="utf-8"))
            assert not found, f"{name} names a path of one machine: {found.group()}"


# -- bootstrap.py


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """bootstrap.py in an empty project, with the commands it would run written down instead of run."""
    import bootstrap

    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("")
    venv = tmp_path / ".venv"
    for name, value in {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": venv / "python",
        "STAMP": venv / "installed.json",
    }.items():
        monkeypatch.setattr(bootstrap, name, value)
    ran = []

    def fake_run(command, **options):
        words = [str(word) for word in command]
        if words[-1] not in ("uv", "list"):  # getting uv, and asking pip for its settings
            ran.append(words)
        if "venv" in words:
            venv.mkdir()
            bootstrap.PYTHON.touch()
        return subprocess.CompletedProcess(words, 3 if bootstrap.failing in words else 0)

    monkeypatch.setattr(bootstrap, "failing", "failing", raising=False)
    monkeypatch.setattr(bootstrap.subprocess, "run", fake_run)
    monkeypatch.setattr(bootstrap, "ran", ran, raising=False)
    return bootstrap


def test_setting_up_is_done_once(bootstrap):
    bootstrap.set_up(["lab"])
    assert [words[1:3] for words in bootstrap.ran] == [["-m", "venv"], ["pip", "install"]]
    assert bootstrap.ran[1][-1].endswith("[lab]") and "-c" in bootstrap.ran[1]
    bootstrap.ran.clear()
    bootstrap.set_up(["lab"])
    assert bootstrap.ran == []


def test_it_is_done_again_for_more_and_for_a_changed_recipe(bootstrap):
    bootstrap.set_up(["lab"])
    bootstrap.ran.clear()
    bootstrap.set_up(["dev"])
    assert [words[-1][-9:] for words in bootstrap.ran] == ["[dev,lab]"]
    bootstrap.set_up(["lab"])
    assert len(bootstrap.ran) == 1  # what is there already is enough
    (bootstrap.ROOT / "constraints.txt").write_text("torch==0\n")
    bootstrap.set_up(["lab"])
    assert len(bootstrap.ran) == 2


def test_half_an_environment_is_not_taken_for_a_whole_one(bootstrap, monkeypatch):
    """Where Debian's python3-venv is missing, `python -m venv` fails, and leaves a Python without pip behind."""
    monkeypatch.setattr(bootstrap, "failing", "venv")
    with pytest.raises(SystemExit, match="python3-venv"):
        bootstrap.set_up(["lab"])
    assert not bootstrap.VENV.exists()


def test_ctrl_c_while_the_environment_is_made_leaves_none(bootstrap, monkeypatch):
    def interrupted(command, **options):
        bootstrap.VENV.mkdir()
        bootstrap.PYTHON.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.set_up(["lab"])
    assert not bootstrap.VENV.exists()


def test_arguments_go_to_the_tasks_last_command(bootstrap, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "build", "--check"])
    bootstrap.main()
    assert [words[2:] for words in bootstrap.ran[-2:]] == [["course", "sync"], ["course", "build", "--check"]]


def test_a_failing_command_ends_the_task_with_its_exit_code(bootstrap, monkeypatch):
    monkeypatch.setitem(bootstrap.TASKS, "test", (["dev"], ["failing", "pytest"]))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "test"])
    with pytest.raises(SystemExit) as ended:
        bootstrap.main()
    assert ended.value.code == 3
    assert not any("pytest" in words for words in bootstrap.ran)


def test_an_unknown_task_lists_the_tasks(bootstrap, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "tset"])
    with pytest.raises(SystemExit, match="TASK is one of: setup, demo, lab, doctor, check, test"):
        bootstrap.main()


def test_the_makefile_knows_every_task():
    import bootstrap

    tasks = re.search(r"^TASKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert tasks == list(bootstrap.TASKS)


def test_every_module_of_helpers_says_what_is_public():
    modules = set((ROOT / "helpers").rglob("*.py")) - {ROOT / "helpers/__init__.py"}
    assert [path.name for path in modules if not re.search(r"^__all__ = ", path.read_text(), re.MULTILINE)] == []


# -- the notebooks' first cell, which fetches the course on Colab


SOURCES = sorted((ROOT / "solutions").glob("*.py"))


@pytest.fixture(params=SOURCES, ids=[path.stem for path in SOURCES])
def cell(request):
    text = request.param.read_text()
    found = re.search(r'^# %% locked="fetch_course"\n(.*?)(?=^# %%)', text, re.MULTILINE | re.DOTALL)
    assert found, f'{request.param.name} has no cell marked locked="fetch_course"'
    return found[1]


def test_the_first_cell_fetches_the_course_where_it_is_missing(cell, monkeypatch, tmp_path):
    ran = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda command, check: ran.append(command))
    monkeypatch.setattr(sys, "path", [])
    exec(cell, {})
    clone, install = ran
    assert clone[:2] == ["git", "clone"] and clone[-1] == PROJECT["urls"]["Repository"]
    assert install == [sys.executable, "-m", "pip", "install", "--quiet", "-e", "picture-this"]
    assert sys.path == [str(tmp_path / "picture-this")]


def test_the_first_cell_does_nothing_where_the_course_is(cell, monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("it ran something"))
    exec(cell, {})
