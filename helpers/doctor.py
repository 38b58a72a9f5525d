"""The doctor: checks what the notebooks need, and says what to do about problems."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata

from helpers import proxies
from helpers.errors import PlainError
from helpers.settings import SECRETS, settings

__all__ = ["Finding", "Report", "doctor"]


@dataclass(frozen=True)
class Finding:
    """The result of one check; `todo` says what to do if `ok` is False."""

    name: str
    ok: bool
    detail: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'FIX'} {self.name}: {self.detail}" + (f" → {self.todo}" if self.todo else "")


class Report(list[Finding]):
    """The doctor's findings, printed one per line; `ok` is True if nothing needs fixing."""

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self)

    def __str__(self) -> str:
        closing = "All is well." if self.ok else "Something needs fixing: see the lines that start with FIX."
        return "\n".join([*map(str, self), closing])

    __repr__ = __str__


def doctor() -> Report:
    """Check what the notebooks need: Python, library versions, device, models, chat provider, proxy and secrets.

    Secrets are reported as found or not found; their values never appear.
    """
    return Report([_python(), *_libraries(), _device(), *_models(), _chat(), _proxy(), *_secrets()])


def _python() -> Finding:
    version = platform.python_version()
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, version, "" if ok else "install Python 3.11, 3.12 or 3.13 and make a new .venv")


def _libraries() -> list[Finding]:
    from packaging.requirements import Requirement

    try:
        needed = metadata.requires("picture-this") or []
    except metadata.PackageNotFoundError:
        return [Finding("picture-this", False, "not installed", "run `pip install -e .` in the course's folder")]
    findings = []
    for requirement in map(Requirement, needed):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        install = f"run `pip install '{requirement.name}{requirement.specifier}'`"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            findings.append(Finding(requirement.name, False, "not installed", install))
            continue
        ok = requirement.specifier.contains(version, prereleases=True)
        detail = version if ok else f"{version}, but the course needs {requirement.specifier}"
        findings.append(Finding(requirement.name, ok, detail, "" if ok else install))
    return findings


def _device() -> Finding:
    try:
        device = settings.device
    except PlainError as error:
        return Finding("device", False, str(error), "change COURSE_DEVICE")
    if device == "cpu":
        slow = "; real models will be slow here" if settings.profile == "full" else ""
        return Finding("device", True, f"cpu (no GPU found; the mini models don't need one{slow})")
    return Finding("device", True, device)


def _models() -> list[Finding]:
    from helpers import models

    findings = []
    for role in models.roles():
        try:
            ok, detail = models.status(role)
        except PlainError as error:
            ok, detail = False, str(error)
        findings.append(Finding(f"model {role} ({settings.profile})", ok, detail))
    return [*findings, _few_step()]


def _few_step() -> Finding:
    """Check the diffusion model's adapter for few steps, which is beside it or downloaded separately."""
    from helpers import models
    from helpers.models.files import how_to_restore

    name = f"model few_step ({settings.profile})"
    try:
        wanted = models.adapter_entry("few_step")
    except PlainError as error:
        return Finding(name, False, str(error))
    if settings.profile == "full":
        download = f": {wanted.download_gb} GB to download"
        return Finding(name, True, wanted.id + (download if models.cached(wanted) is None else " is downloaded"))
    weights = settings.models_dir / "diffusion" / wanted.id / models.ADAPTER_WEIGHTS
    if weights.is_file():
        return Finding(name, True, str(weights.parent))
    return Finding(name, False, f"there is no file {weights}", how_to_restore(wanted))


def _chat() -> Finding:
    if settings.chat_provider != "local":
        return Finding("chat", True, f"{settings.chat_provider} (COURSE_CHAT)")
    from helpers import endpoint

    try:
        served = endpoint.served_at(settings.endpoint)
    except PlainError as error:
        return Finding("chat", False, str(error))
    if served:
        return Finding("chat", True, f"local, {', '.join(served)} at {settings.endpoint}")
    if endpoint.is_local(settings.endpoint):
        return Finding("chat", True, f"local; a notebook starts it at {settings.endpoint} when it needs it")
    return Finding(
        "chat", False, f"no response from {settings.endpoint}", "unset COURSE_ENDPOINT, or start the endpoint there"
    )


def _proxy() -> Finding:
    for address in ("https://", "http://"):
        if wrong := proxies.fault(address):
            return Finding("proxy", False, wrong)
    variable, proxy = proxies.proxy_of("https://") or proxies.proxy_of("http://") or ("", "")
    bypass = "requests to this computer bypass it"
    return Finding("proxy", True, f"{variable} is {proxy}; {bypass}" if variable else "none in the environment")


def _secrets() -> list[Finding]:
    return [
        Finding(
            f"secret {name}",
            True,
            "found" if settings.find_secret(name) else f"not found; only needed for {purpose}",
        )
        for name, purpose in SECRETS.items()
    ]
