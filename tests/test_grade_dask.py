"""`course grade --dask`: a cluster grades as this computer does, and a worker that is killed loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import psutil
import pytest
import yaml
from judge import FIXTURES, ROOT

from course.bench.classroom import SUBMITTED, make_class
from course.grade import workers
from course.grade.run import STATE, grade_all
from course.grade.sandbox import is_available
from course.grade.workers import grade_there, on_dask, version
from helpers.errors import PlainError

TINY = FIXTURES / "00_tiny.py"
STUDENTS = 8
needs_sandbox = pytest.mark.skipif(not is_available(), reason="there is no sandbox here")
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


# ---------------------------------------------------------------- the unit, without a cluster


class StandIn:
    """In the place of a grader: sends the task back."""

    def grade(self, task):
        return {"graded": task}


def test_the_unit_is_json_to_json(monkeypatch):
    monkeypatch.setitem(workers._graders, False, StandIn())
    answer = grade_there(json.dumps({"seed": 1}), version(), sandboxed=False)
    assert json.loads(answer) == {"graded": {"seed": 1}}


def test_a_worker_with_another_version_of_the_course_says_so():
    lost = json.loads(grade_there("{}", "another", sandboxed=False))["lost"]
    assert "a different version of the course" in lost


def test_a_worker_without_a_sandbox_refuses(monkeypatch):
    monkeypatch.setattr(workers, "is_available", lambda: False)
    monkeypatch.setattr(workers, "_graders", {})
    with pytest.raises(PlainError, match="no working sandbox"):
        grade_there("{}", version(), sandboxed=True)


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(PlainError, match=r"picture-this\[cluster\]"), on_dask("tcp://127.0.0.1:1"):
        pass


class Client:
    """In the place of Dask's: two threads of this process, and the same few methods."""

    has_workers, answers = True, True

    def __init__(self, address, timeout):
        if not self.answers:
            raise OSError(f"Timed out trying to connect to {address}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait_for_workers(self, number, timeout):
        if not self.has_workers:
            raise TimeoutError

    def nthreads(self):
        return {"tcp://127.0.0.1:2": 1, "tcp://127.0.0.1:3": 1}

    def get_executor(self, **options):
        assert options == {"pure": False}
        return ThreadPoolExecutor(2)


@pytest.fixture
def stand_in_for_dask(monkeypatch):
    module = ModuleType("dask.distributed")
    module.Client = type("OwnClient", (Client,), {})
    monkeypatch.setitem(sys.modules, "dask", ModuleType("dask"))
    monkeypatch.setitem(sys.modules, "dask.distributed", module)
    return module.Client


def test_tasks_and_results_cross_as_json(monkeypatch, stand_in_for_dask):
    monkeypatch.setitem(workers._graders, True, StandIn())
    with on_dask("tcp://127.0.0.1:1") as found:
        assert found.number() == 2
        assert found.submit({"seed": 1}).result(5) == {"graded": {"seed": 1}}


def test_an_error_on_a_worker_arrives(monkeypatch, stand_in_for_dask):
    monkeypatch.setattr(workers, "is_available", lambda: False)
    monkeypatch.setattr(workers, "_graders", {})
    with on_dask("tcp://127.0.0.1:1") as found, pytest.raises(PlainError, match="no working sandbox"):
        found.submit({"seed": 1}).result(5)


@pytest.mark.parametrize(("missing", "said"), [("answers", "no Dask scheduler at"), ("has_workers", "has no workers")])
def test_a_cluster_that_is_not_there_is_named(stand_in_for_dask, missing, said):
    setattr(stand_in_for_dask, missing, False)
    with pytest.raises(PlainError, match=f"{said}|tcp://127.0.0.1:1"), on_dask("tcp://127.0.0.1:1"):
        pass


# ---------------------------------------------------------------- the recipe


def test_the_recipe_is_yaml_whose_names_agree():
    page = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (service, scheduler, worker), (cluster,), (ngshare,) = (list(yaml.safe_load_all(block)) for block in blocks)
    assert scheduler["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    for deployment in (scheduler, worker):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert f"deployment/{worker['metadata']['name']}" in page
    pod = worker["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert f"tcp://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}" in container["args"]
    assert pod["hostUsers"] is False and container["securityContext"]["procMount"] == "Unmasked"
    scheduler = cluster["spec"]["scheduler"]
    assert scheduler["service"]["selector"]["dask.org/cluster-name"] == cluster["metadata"]["name"]
    (container,) = scheduler["spec"]["containers"]
    ports = {port["targetPort"] for port in scheduler["service"]["ports"]}
    assert ports == {port["name"] for port in container["ports"]}
    assert {"hub_api_token", "admins"} == ngshare["ngshare"].keys()


# ---------------------------------------------------------------- a real scheduler and two workers


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """Makes the folder of a class that has not been graded."""
    count = iter(range(9))

    def make():
        root = tmp_path_factory.mktemp("class") / str(next(count))
        make_class(root, [TINY], STUDENTS, answers=FIXTURES)
        return root

    return make


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler on loopback, and its two workers' processes."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'picture-this[cluster]'")
    file = tmp_path / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    with contextlib.ExitStack() as ends:

        def start(module, *arguments):
            command = [sys.executable, "-W", "ignore", "-m", module, *options, *arguments]
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
            ends.callback(process.wait)
            ends.callback(process.kill)
            return process

        start("distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        address = address_in(file)
        one = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--local-directory", str(tmp_path)]
        yield address, [start("distributed.cli.dask_worker", address, *one) for _ in range(2)]


def address_in(file) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return json.loads(file.read_text())["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler has not started")


@needs_sandbox
@pytest.mark.cluster
def test_a_cluster_gives_the_same_points_as_this_computer(classroom, cluster):
    address, _ = cluster
    root = classroom()
    there = grade_all(root / SUBMITTED, root=root, dask=address)
    root = classroom()
    assert grade_all(root / SUBMITTED, root=root, jobs=2) == there
    assert len({row.student for row in there}) == STUDENTS and all(row.points is not None for row in there)


@needs_sandbox
@pytest.mark.cluster
def test_a_worker_that_is_killed_in_the_middle_loses_nothing(classroom, cluster):
    address, processes = cluster
    root = classroom()
    killed = []

    def kill_one():
        """Kill a worker once the first result is there."""
        while not list((root / STATE / "results").glob("*.json")):
            time.sleep(0.02)
        children = psutil.Process(processes[0].pid).children(recursive=True)
        processes[0].kill()
        killed.extend(children)

    thread = threading.Thread(target=kill_one, daemon=True)
    thread.start()
    rows = grade_all(root / SUBMITTED, root=root, dask=address)
    thread.join()
    assert len({row.student for row in rows}) == STUDENTS and all(row.points is not None for row in rows)
    _, alive = psutil.wait_procs(killed, timeout=15)
    assert alive == [], "the killed worker's sandbox is still there"
    root = classroom()
    assert grade_all(root / SUBMITTED, root=root, jobs=2) == rows
