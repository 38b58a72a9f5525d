"""The proxies in the environment: which requests use them, and which proxies the clients can't use."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment

__all__ = ["UNUSABLE", "fault", "proxy_of", "tidy"]

VARIABLES = ("http_proxy", "https_proxy", "all_proxy")

#: The variables that `tidy` removed from this process's environment, with their values.
UNUSABLE: dict[str, str] = {}


def tidy(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Make requests to this computer bypass proxies, and remove proxies that the clients can't use.

    urllib, requests and httpx, and so all clients in the notebooks, send even requests to 127.0.0.1 through a proxy of
    the environment, which would look for that address on its own computer, unless `no_proxy` says otherwise. Some
    clients prefer `no_proxy`, some `NO_PROXY`. Without a proxy neither is set: on Windows and macOS it would hide the
    system's proxy settings.

    A proxy with a protocol that httpx doesn't support (`socks://…`) breaks all its requests, regardless of `no_proxy`.

    Returns:
        The variables that were removed, with their values.
    """
    named = {name: value for name, value in environment.items() if value and name.lower() in VARIABLES}
    unusable = {name: environment.pop(name) for name, value in named.items() if not _usable(value)}
    if named:
        listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        hosts = [host.strip() for host in listed.split(",") if host.strip()]
        if "*" not in hosts:
            hosts += [host for host in ("127.0.0.1", "localhost", "::1") if host not in hosts]
        environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)
    return unusable


def _usable(proxy: str) -> bool:
    try:
        parts = urlsplit(_with_scheme(proxy))
        parts.port  # noqa: B018 - raises for an invalid port
    except ValueError:
        return False
    socks = parts.scheme in ("socks5", "socks5h") and find_spec("socksio") is not None  # httpx needs it for SOCKS
    return bool(parts.hostname) and (parts.scheme in ("http", "https") or socks)


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_of(address: str) -> tuple[str, str] | None:
    """Return the variable that sets the proxy for `address`, and the proxy without its password; None without one."""
    parts = urlsplit(address)
    if proxy_bypass_environment(parts.hostname or ""):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if proxy := os.environ.get(variable) or UNUSABLE.get(variable):
                return variable, re.sub("://.*@", "://…@", _with_scheme(proxy))
    return None


def fault(address: str) -> str:
    """Return why requests to `address` can't use their proxy; empty if they can, or need none."""
    variable, proxy = proxy_of(address) or ("", "")
    if variable not in UNUSABLE:
        return ""
    return (
        f"{variable} is {proxy}, a proxy that the course's clients can't use. Set it to the http:// address that most "
        "proxy programs have as well, or unset the variable, and start again."
    )
