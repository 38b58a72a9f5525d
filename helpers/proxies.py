"""The proxies that the environment names: what goes through them, what past them, and which of them no client can use."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment

__all__ = ["UNUSABLE", "fault", "proxy_of", "tidy"]

VARIABLES = ("http_proxy", "https_proxy", "all_proxy")

#: The variables that `tidy` took out of this process's environment, with what they named.
UNUSABLE: dict[str, str] = {}


def tidy(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Keeps requests to this computer away from proxies, which would look for them on their own.

    urllib, requests and httpx, and so every client that the notebooks use, send even 127.0.0.1 through the proxy that
    the environment names, unless ``no_proxy`` says otherwise; some read it in small letters first, some in capitals.
    Where no proxy is named it stays as it is: on Windows and macOS it would hide the one of the system's settings.

    A proxy that httpx doesn't know (``socks://…``) stops all its requests, ``no_proxy`` or not: it is taken out of the
    environment, and returned.
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
        parts.port  # noqa: B018 - raises for what is not a port
    except ValueError:
        return False
    socks = parts.scheme in ("socks5", "socks5h") and find_spec("socksio") is not None  # which httpx speaks it with
    return bool(parts.hostname) and (parts.scheme in ("http", "https") or socks)


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_of(address: str) -> tuple[str, str] | None:
    """The variable that names the proxy of requests to ``address``, and the proxy, without a password; None if there is none."""
    parts = urlsplit(address)
    if proxy_bypass_environment(parts.hostname or ""):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if proxy := os.environ.get(variable) or UNUSABLE.get(variable):
                return variable, re.sub("://.*@", "://…@", _with_scheme(proxy))
    return None


def fault(address: str) -> str:
    """Why requests to ``address`` can't go through the proxy that is named for them; empty where all is well."""
    variable, proxy = proxy_of(address) or ("", "")
    if variable not in UNUSABLE:
        return ""
    return (
        f"{variable} is {proxy}, a proxy that the course's clients can't use. Put its http:// address there, which most "
        "proxy programs have too, or unset the variable, and start again."
    )
