"""helpers.settings: what the environment says, what a wrong value answers, and that secrets stay secret."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from helpers import doctor as doctor_module
from helpers import endpoint, models, proxies
from helpers import settings as settings_module
from helpers.doctor import Finding, Report, doctor
from helpers.errors import PlainError
from helpers.settings import REPOSITORY, SECRETS, Settings

HEAVY = ("torch", "transformers", "diffusers", "pandas", "matplotlib", "numpy", "PIL", "pydantic", "IPython")


@pytest.fixture
def bare(monkeypatch):
    """An environment that says nothing about the course."""
    ours = ("PROFILE", "DEVICE", "MODELS", "GRADER_SEED", "CHAT", "ENDPOINT", "STORE")
    for name in (*(f"COURSE_{name}" for name in ours), *SECRETS):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def put_colab(monkeypatch, get):
    """Makes `from google.colab import userdata` give a module as Colab's, whose `get` is this one."""
    userdata = SimpleNamespace(
        get=get,
        SecretNotFoundError=type("SecretNotFoundError", (Exception,), {}),
        NotebookAccessError=type("NotebookAccessError", (Exception,), {}),
        TimeoutException=type("TimeoutException", (Exception,), {}),
    )
    colab = ModuleType("google.colab")
    colab.userdata = userdata
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    return userdata


def test_importing_helpers_imports_nothing_heavy():
    code = f"import sys, helpers; print([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_settings_alone_import_no_torch():
    code = f"import sys, helpers.settings, helpers.models; print([name for name in {HEAVY[:6]} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_defaults(bare):
    settings = Settings()
    assert (settings.profile, settings.grader_seed) == ("mini", 0)
    assert settings.models_dir == REPOSITORY / "models"
    assert (settings.chat_provider, settings.endpoint) == ("local", "http://127.0.0.1:8765")


def test_the_environment_decides(bare, tmp_path):
    bare.setenv("COURSE_PROFILE", "full")
    bare.setenv("COURSE_DEVICE", "cpu")
    bare.setenv("COURSE_MODELS", str(tmp_path))
    bare.setenv("COURSE_GRADER_SEED", "17")
    bare.setenv("COURSE_CHAT", "https://chat.example.org/v1/")
    bare.setenv("COURSE_ENDPOINT", "http://127.0.0.1:9000/")
    settings = Settings()
    assert (settings.profile, settings.device, settings.grader_seed) == ("full", "cpu", 17)
    assert settings.models_dir == tmp_path
    assert (settings.chat_provider, settings.endpoint) == ("https://chat.example.org/v1", "http://127.0.0.1:9000")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("COURSE_PROFILE", "large", "COURSE_PROFILE is 'large', but it should be 'mini' or 'full'"),
        ("COURSE_GRADER_SEED", "seven", "COURSE_GRADER_SEED is 'seven', but it should be a valid integer"),
        ("COURSE_DEVICE", "tpu", "COURSE_DEVICE is 'tpu', but it should be 'auto', 'cpu', 'cuda' or 'mps'"),
        (
            "COURSE_CHAT",
            "openai",
            "COURSE_CHAT is 'openai', but it should be 'local', 'groq', 'nvidia' or the http(s) addr",
        ),
        (
            "COURSE_ENDPOINT",
            "8765",
            "COURSE_ENDPOINT is '8765', but it should be an address such as http://127.0.0.1:8765",
        ),
        *(
            ("COURSE_ENDPOINT", address, f"COURSE_ENDPOINT is '{address}', but it should be an address such as")
            for address in ("http://127.0.0.1:87650", "http://127.0.0.1:abc", "http://127.0.0.1:0", "https://[::1")
        ),
        ("COURSE_CHAT", "http://lab:99999", "COURSE_CHAT is 'http://lab:99999', but it should be 'local', 'groq'"),
        (
            "COURSE_STORE",
            "clickhouse://u@h:99999/d",
            "COURSE_STORE is 'clickhouse://…@h:99999/d', but it should be chdb",
        ),
        ("COURSE_STORE", "clickhouse://u@h:abc/d", "COURSE_STORE is 'clickhouse://…@h:abc/d', but it should be chdb"),
    ],
)
def test_a_wrong_value_is_named(bare, variable, value, expected):
    bare.setenv(variable, value)
    with pytest.raises(PlainError) as caught:
        Settings()
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, None),
        ({"HTTP_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "127.0.0.1,localhost,::1"),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "lab, 127.0.0.1"}, "lab,127.0.0.1,localhost,::1"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "lab", "NO_PROXY": "other"}, "lab,127.0.0.1,localhost,::1"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_names_this_computer_where_there_is_a_proxy(before, after):
    environment = dict(before)
    for _ in range(2):  # a process that this one starts does it again
        assert proxies.tidy(environment) == {}
        assert (environment.get("no_proxy"), environment.get("NO_PROXY")) == (after, after)


@pytest.mark.parametrize(
    "proxy", ["socks://127.0.0.1:7891/", "socks4://127.0.0.1:7891", "ftp://proxy:21", "http://proxy:port", "http://"]
)
def test_a_proxy_that_no_client_can_use_is_set_aside(proxy):
    environment = {"ALL_PROXY": proxy, "https_proxy": "http://proxy:3128", "PATH": "x"}
    assert proxies.tidy(environment) == {"ALL_PROXY": proxy}
    assert environment.keys() == {"https_proxy", "PATH", "no_proxy", "NO_PROXY"}


@pytest.mark.parametrize("there", [True, False])
def test_a_socks_proxy_is_used_where_httpx_can(bare, there):
    bare.setattr(proxies, "find_spec", lambda name: "socksio" if there else None)
    unusable = {} if there else {"all_proxy": "socks5h://ada:secret@proxy:1080"}
    assert proxies.tidy({"all_proxy": "socks5h://ada:secret@proxy:1080"}) == unusable


@pytest.fixture
def proxied(bare):
    """Sets the variables of proxies; those whose proxy no client can use are set aside as when a notebook starts."""

    def name(**variables):
        for variable in (*proxies.VARIABLES, "no_proxy"):
            bare.delenv(variable, raising=False)
            bare.delenv(variable.upper(), raising=False)
        unusable = proxies.tidy(variables)
        bare.setattr(proxies, "UNUSABLE", unusable)
        for variable, value in variables.items():
            bare.setenv(variable, value)

    return name


SOCKS = "socks://ada:secret@127.0.0.1:7891/"


@pytest.mark.parametrize(
    ("variables", "address", "named"),
    [
        ({}, "https://chat.example.org", None),
        ({"ALL_PROXY": SOCKS}, "https://chat.example.org", "ALL_PROXY is socks://…@127.0.0.1:7891/"),
        ({"https_proxy": SOCKS}, "https://chat.example.org", "https_proxy is socks://…@127.0.0.1:7891/"),
        ({"https_proxy": SOCKS}, "http://chat.example.org", None),
        ({"ALL_PROXY": SOCKS, "HTTPS_PROXY": "http://proxy:3128"}, "https://chat.example.org", None),
        ({"ALL_PROXY": SOCKS, "no_proxy": "example.org"}, "https://chat.example.org", None),
        ({"ALL_PROXY": SOCKS}, "http://127.0.0.1:8765", None),
        ({"ALL_PROXY": SOCKS}, "http://localhost:8765/v1", None),
    ],
)
def test_an_address_that_needs_the_proxy_is_told_of_it(proxied, variables, address, named):
    proxied(**variables)
    wrong = proxies.fault(address)
    assert wrong.startswith(f"{named}, a proxy that the course's clients can't use") if named else wrong == ""


def test_an_endpoint_elsewhere_that_needs_the_proxy_is_told_of_it(proxied):
    proxied(http_proxy=SOCKS)
    proxied_address = "http://lab.invalid:8765"
    with pytest.raises(PlainError, match=r"^http_proxy is socks://…@127\.0\.0\.1:7891/, a proxy"):
        endpoint.ensure(proxied_address)


@pytest.mark.parametrize(
    ("variables", "ok", "detail"),
    [
        ({}, True, "none in the environment"),
        (
            {"http_proxy": "ada:secret@proxy:3128"},
            True,
            "http_proxy is http://…@proxy:3128; requests to this computer bypass",
        ),
        ({"ALL_PROXY": SOCKS}, False, "ALL_PROXY is socks://…@127.0.0.1:7891/, a proxy"),
        ({"HTTP_PROXY": SOCKS, "HTTPS_PROXY": "http://proxy:3128"}, False, "HTTP_PROXY is socks://…@127.0.0.1:7891/"),
        ({"ALL_PROXY": SOCKS, "http_proxy": "http://p", "https_proxy": "http://p"}, True, "https_proxy is http://p; "),
    ],
)
def test_the_doctor_looks_at_the_proxy(proxied, variables, ok, detail):
    proxied(**variables)
    finding = doctor_module._proxy()
    assert finding.ok is ok and finding.detail.startswith(detail) and "secret" not in str(finding)


@pytest.mark.parametrize("all_proxy", ["http://127.0.0.1:1", "socks://127.0.0.1:1/"])
def test_behind_a_proxy_this_computer_is_asked_directly(all_proxy):
    code = """
import os, httpx, requests
from helpers.checks.fakes import Reply, web_server
from helpers.settings import settings

named = {name: os.environ[name] for name in ("no_proxy", "NO_PROXY")}
with web_server(lambda request: Reply(b'{"course": "picture-this", "models": ["chat"]}')) as url:
    os.environ.update(named)  # the server has put its own there
    print(httpx.get(url).status_code, requests.get(url).status_code)
    from helpers.endpoint import served_at

    print(served_at(url))
"""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:1")  # nobody is there
    environment["ALL_PROXY"] = all_proxy
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert ran.stdout.split("\n")[:2] == ["200 200", "['chat']"], ran.stderr


def test_a_device_that_is_not_there(bare):
    import torch

    bare.setattr(torch.cuda, "is_available", lambda: False)
    bare.setenv("COURSE_DEVICE", "cuda")
    with pytest.raises(PlainError, match=r"sees no such device here\. Set COURSE_DEVICE=auto"):
        _ = Settings().device


@pytest.mark.parametrize(
    ("profile", "cuda", "device", "dtype"),
    [
        ("mini", False, "cpu", "float32"),
        ("full", False, "cpu", "float32"),
        ("mini", True, "cuda", "float32"),
        ("full", True, "cuda", "float16"),
    ],
)
def test_device_and_dtype(bare, profile, cuda, device, dtype):
    import torch

    bare.setattr(torch.cuda, "is_available", lambda: cuda)
    bare.setattr(torch.backends.mps, "is_available", lambda: False)
    bare.setenv("COURSE_PROFILE", profile)
    settings = Settings()
    assert (settings.device, settings.dtype) == (device, getattr(torch, dtype))


def test_a_secret_from_the_environment_shows_as_stars(bare):
    bare.setenv("HF_TOKEN", "hf_very_secret")
    settings = Settings()
    secret = settings.secret("HF_TOKEN")
    assert secret.get_secret_value() == "hf_very_secret"
    assert "very_secret" not in f"{secret} {secret!r} {settings!r} {settings.model_dump()}"


def test_a_secret_from_colab(bare):
    put_colab(bare, lambda name: f"value of {name}")
    assert Settings().secret("GROQ_API_KEY").get_secret_value() == "value of GROQ_API_KEY"


@pytest.mark.parametrize("error", ["SecretNotFoundError", "NotebookAccessError", "TimeoutException"])
def test_colab_without_the_secret_asks(bare, error):
    userdata = put_colab(bare, lambda name: raise_(getattr(userdata, error)("no")))
    bare.setattr("getpass.getpass", lambda prompt: " typed ")
    settings = Settings()
    assert settings.find_secret("HF_TOKEN") is None
    assert settings.secret("HF_TOKEN").get_secret_value() == "typed"
    assert settings.find_secret("HF_TOKEN").get_secret_value() == "typed"  # asked once, then known


def raise_(error):
    raise error


def test_a_secret_that_turned_out_wrong_is_looked_for_again(bare):
    settings = Settings()
    bare.setenv("GROQ_API_KEY", "wrong")
    settings.secret("GROQ_API_KEY")
    bare.setenv("GROQ_API_KEY", "right")
    settings.forget_secret("GROQ_API_KEY")
    assert settings.secret("GROQ_API_KEY").get_secret_value() == "right"


@pytest.mark.parametrize("error", [EOFError, NotImplementedError, OSError])
def test_a_secret_that_nobody_can_type(bare, error):
    bare.setattr("getpass.getpass", lambda prompt: raise_(error()))
    with pytest.raises(PlainError, match=r"No NVIDIA_API_KEY was found\. Set the environment variable"):
        Settings().secret("NVIDIA_API_KEY")


def test_a_plain_error_shows_one_sentence_in_a_notebook(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell().run_cell("from helpers.errors import PlainError\nraise PlainError('Do this.')")
    shown = capsys.readouterr().out
    assert shown.strip() == "PlainError: Do this."


def test_the_report_tells_what_to_do():
    report = Report([Finding("a", True, "fine"), Finding("b", False, "missing", "fetch it")])
    assert not report.ok
    assert str(report).splitlines() == [
        "ok  a: fine",
        "FIX b: missing → fetch it",
        "Something needs fixing: see the lines that start with FIX.",
    ]


def test_the_doctor_finds_secrets_without_showing_them(bare):
    bare.setenv("HF_TOKEN", "hf_very_secret")
    text = str(doctor())
    assert "secret HF_TOKEN: found" in text
    assert "very_secret" not in text


def test_the_doctor_survives_a_device_that_is_not_there(bare):
    import torch

    bare.setattr(torch.cuda, "is_available", lambda: False)
    bare.setattr(settings_module.settings, "device_choice", "cuda")
    wrong = {finding.name for finding in doctor() if not finding.ok}
    assert {"device", "model clip (mini)", "model diffusion (mini)"} <= wrong


def few_step_finding(monkeypatch, **values):
    for name, value in values.items():
        monkeypatch.setattr(settings_module.settings, name, value)
    (finding,) = [finding for finding in doctor() if finding.name.startswith("model few_step")]
    return finding


def test_the_doctor_looks_at_the_adapter_for_few_steps(bare, tmp_path):
    there = few_step_finding(bare)
    assert (there.name, there.ok) == ("model few_step (mini)", True) and there.detail.endswith("few_step")
    missing = few_step_finding(bare, models_dir=tmp_path)
    assert not missing.ok and models.ADAPTER_WEIGHTS in missing.detail and "git checkout" in missing.todo
    bare.setattr(models, "cached", lambda wanted: None)
    assert few_step_finding(bare, profile="full").detail == "latent-consistency/lcm-lora-sdv1-5: 0.1 GB to download"
    bare.setattr(models, "cached", lambda wanted: tmp_path)
    assert few_step_finding(bare).detail == "latent-consistency/lcm-lora-sdv1-5 is downloaded"


def chat_finding(monkeypatch, served=None, **values):
    def served_at(address):
        if isinstance(served, Exception):
            raise served
        return served

    monkeypatch.setattr(endpoint, "served_at", served_at)
    for name, value in values.items():
        monkeypatch.setattr(settings_module.settings, name, value)
    (finding,) = [finding for finding in doctor() if finding.name == "chat"]
    return finding.ok, finding.detail


def test_the_doctor_tells_who_answers_chats(bare):
    here = "http://127.0.0.1:8765"
    assert chat_finding(bare, [], endpoint=here) == (True, f"local; a notebook starts it at {here} when it needs it")
    assert chat_finding(bare, ["picture-book-chat"]) == (True, f"local, picture-book-chat at {here}")
    assert chat_finding(bare, PlainError("taken")) == (False, "taken")
    assert chat_finding(bare, [], endpoint="http://lab.example.org") == (
        False,
        "no response from http://lab.example.org",
    )
    assert chat_finding(bare, chat_provider="groq") == (True, "groq (COURSE_CHAT)")


def test_the_doctor_names_an_old_library(bare):
    def version(name):
        return "0.1" if name == "torch" else "999"

    bare.setattr(doctor_module.metadata, "requires", lambda name: ["torch>=2.8", "pytest>=8; extra == 'dev'"])
    bare.setattr(doctor_module.metadata, "version", version)
    torch = next(finding for finding in doctor() if finding.name == "torch")
    assert not torch.ok
    assert torch.detail == "0.1, but the course needs >=2.8"
    assert torch.todo == "run `pip install 'torch>=2.8'`"
    assert not any(finding.name == "pytest" for finding in doctor())
