"""`helpers/models.toml` as objects: the roles, the adapter, the drawing defaults, the chat services."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from helpers.errors import PlainError
from helpers.settings import settings

__all__ = [
    "ChatChoice",
    "Defaults",
    "Entry",
    "ModelUnavailable",
    "Service",
    "adapter_entry",
    "defaults",
    "entry",
    "roles",
    "service",
]


class ModelUnavailable(PlainError):
    """A model is unavailable here; the message says why and what to do."""


class Defaults(NamedTuple):
    """Number of steps and guidance scale for a picture: `steps, guidance_scale = defaults("few_step")`."""

    steps: int
    guidance_scale: float


@dataclass(frozen=True)
class Entry:
    """One entry of the registry, for the current profile and device. Sizes are in GB (10⁹ bytes)."""

    role: str
    profile: str
    id: str
    licence: str
    memory_gb: float
    revision: str = ""
    files: tuple[str, ...] = ()
    download_gb: float = 0.0
    fallback: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class ChatChoice:
    """A chat model that a service offers.

    Attributes:
        id: the model's name at the service.
        checked: the date on which a public page of the service listed it.
        parameters: sent with every request.
        thinking_tokens: what a model that reasons before it answers may spend on that, on top of its answer's tokens.
        max_images: the most pictures in one request; 0 if unknown.
        max_mb: the most megabytes (10⁶ bytes, base64 included) in one request with pictures; 0 if unknown.
    """

    id: str
    checked: date | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    thinking_tokens: int = 0
    max_images: int = 0
    max_mb: float = 0


@dataclass(frozen=True)
class Service:
    """A chat service and its models for one role.

    Attributes:
        name: its name in the registry.
        title: its name in messages.
        url: the address of its API.
        choices: its models, the preferred one first.
        secret: the name of its API key; empty if it needs none.
        keys: the page where you get a key.
        models: the page that lists the models that it serves today.
    """

    name: str
    title: str
    url: str
    choices: tuple[ChatChoice, ...]
    secret: str = ""
    keys: str = ""
    models: str = ""


def roles() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return tuple(_registry()["roles"])


def entry(role: str) -> Entry:
    """Return the registry's entry for `role` under the current profile.

    Raises:
        ModelUnavailable: there is no such role.
    """
    if role not in roles():
        raise ModelUnavailable(f"There is no role {role!r}. The roles are: {', '.join(roles())}.")
    return _of_the_profile(role, _registry()["roles"][role])


def adapter_entry(name: str) -> Entry:
    """Return the registry's entry for an adapter of the diffusion model; the only one is "few_step"."""
    return _of_the_profile(name, _registry()["adapters"][name])


def defaults(name: str = "diffusion") -> Defaults:
    """Return the course's steps and guidance scale: "diffusion" without an adapter, "few_step" with that one.

    Raises:
        ModelUnavailable: there is no such name.
    """
    known = _registry()["defaults"]
    if name not in known:
        raise ModelUnavailable(f"There are no drawing defaults for {name!r}, only for: {', '.join(known)}.")
    return Defaults(**known[name])


def _of_the_profile(role: str, profiles: dict[str, dict]) -> Entry:
    line = profiles[settings.profile]
    others = [_entry(role, {**line, **other}) for other in line.get("fallback", [])]
    return replace(_entry(role, line), fallback=tuple(others))


def _entry(role: str, line: dict) -> Entry:
    place = "cpu" if settings.device == "cpu" else "gpu"
    variant = ".fp16" if settings.device == "cuda" else ""
    return Entry(
        role=role,
        profile=settings.profile,
        id=line["id"],
        licence=line["licence"],
        memory_gb=line["memory_gb"][place],
        revision=line.get("revision", ""),
        files=tuple(name.format(variant=variant) for name in line.get("files", [])),
        download_gb=line.get("download_gb", {}).get(place, 0.0),
    )


def service(name: str, role: str) -> Service:
    """Return what the chat service `name` ("groq", "nvidia") offers for `role`: "vision" (accepts pictures) or "text".

    Raises:
        ModelUnavailable: the registry has no such service or role.
    """
    services = _registry()["services"]
    if name not in services:
        raise ModelUnavailable(
            f"There is no chat service {name!r} in helpers/models.toml, only: {', '.join(services)}."
        )
    lines = {key: value for key, value in services[name].items() if isinstance(value, list)}
    if role not in lines:
        raise ModelUnavailable(f"There is no chat role {role!r}. The roles are: {', '.join(lines)}.")
    choices = tuple(ChatChoice(**line) for line in lines[role])
    rest = {key: value for key, value in services[name].items() if key not in lines}
    return Service(name=name, choices=choices, **rest)


@cache
def _registry() -> dict[str, dict]:
    return tomllib.loads((Path(__file__).parents[1] / "models.toml").read_text(encoding="utf-8"))
