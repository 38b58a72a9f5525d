"""``helpers/models.toml`` as objects: the roles, the adapter, the drawing defaults, the chat services."""

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
    """A model can't be had here; the message says why and what to do."""


class Defaults(NamedTuple):
    """How many steps a picture takes, and with how much guidance: ``steps, guidance_scale = defaults("few_step")``."""

    steps: int
    guidance_scale: float


@dataclass(frozen=True)
class Entry:
    """One line of the registry, for the profile and device in use. Sizes are in GB (10⁹ bytes)."""

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
    """A chat model that a service offers, as far as public pages said on the day ``checked``.

    ``parameters`` go with every request. A model that thinks before it answers gets ``thinking_tokens`` on top
    of the tokens that its answer may have. ``max_images`` and ``max_mb`` are what one request with pictures may
    hold (base64 included), 0 where nothing is known.
    """

    id: str
    checked: date | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    thinking_tokens: int = 0
    max_images: int = 0
    max_mb: float = 0


@dataclass(frozen=True)
class Service:
    """A chat service: how it is called, where it is, and its models for one role, the first choice first.

    ``secret`` names the API key (empty: none needed), ``keys`` is the page where one gets it, ``models`` the
    page that lists what is served today.
    """

    name: str
    title: str
    url: str
    choices: tuple[ChatChoice, ...]
    secret: str = ""
    keys: str = ""
    models: str = ""


def roles() -> tuple[str, ...]:
    """The names that ``load`` knows."""
    return tuple(_registry()["roles"])


def entry(role: str) -> Entry:
    """The registry's line for ``role`` under the current profile. Raises ``ModelUnavailable`` for no such role."""
    if role not in roles():
        raise ModelUnavailable(f"There is no role {role!r}. The roles are: {', '.join(roles())}.")
    return _of_the_profile(role, _registry()["roles"][role])


def adapter_entry(name: str) -> Entry:
    """The registry's line for the adapter ``name`` of the diffusion model: there is ``"few_step"``."""
    return _of_the_profile(name, _registry()["adapters"][name])


def defaults(name: str = "diffusion") -> Defaults:
    """What the course draws with: ``"diffusion"`` without an adapter, ``"few_step"`` with that one.

    Raises ``ModelUnavailable`` for another name.
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
    """What the chat service ``name`` ("groq", "nvidia") offers for ``role``: "vision" (takes pictures) or "text".

    Raises ``ModelUnavailable`` for a service or a role that the registry does not have.
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
