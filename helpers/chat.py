"""`chat_model(role)`: one LangChain chat model for every provider: this computer, Groq, NVIDIA or your own server."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from helpers import endpoint, models, proxies
from helpers.errors import PlainError
from helpers.models import ChatChoice, Service
from helpers.replies import content_of, expect_reply, quoted
from helpers.settings import is_http, settings

if TYPE_CHECKING:
    import httpx
    import requests
    from langchain_core.language_models import BaseChatModel

    from helpers.fallback import FallbackChat

__all__ = ["chat_model"]

ROLES = ("vision", "text")


def chat_model(
    role: str = "vision",
    *,
    provider: str | None = None,
    model: str | None = None,
    temperature: float = 0.0,
    max_tokens: int = 256,
) -> FallbackChat:
    """Make a LangChain chat model: `.invoke`, `.stream`, `.batch`, `.bind_tools`, and `prompt | chat | parser`.

    A model that the service has retired is replaced by the registry's next one, and a sentence about that is printed.
    Keys come from the environment, Colab's secrets, or a hidden prompt.

    Args:
        role: "vision" for messages with pictures, "text" for text alone.
        provider: "local" (the endpoint on this computer, started if necessary), "groq", "nvidia", or the http(s)
            address of an OpenAI-compatible server; by default the one in COURSE_CHAT.
        model: the id to try first; by default the service's first one in `helpers/models.toml`, or the first one
            that the server lists.
        temperature: from 0 (always the likeliest token) to 2.
        max_tokens: the maximum length of an answer, in tokens.

    Raises:
        PlainError: there is no key, no such provider or no endpoint; the message says what to do. The model itself
            raises `ChatError`, which is also a `PlainError`.
    """
    provider = settings.chat_provider if provider is None else provider
    if role not in ROLES:
        raise PlainError(f'There is no chat role {role!r}: use "vision" (for messages with pictures) or "text".')
    options = {"temperature": temperature, "max_tokens": max_tokens}
    if provider == "local":
        return _local(model, options)
    if provider in _HOSTED:
        return _hosted(provider, role, model, options)
    if is_http(provider):
        return _own(provider, model, options)
    raise PlainError(
        f"There is no chat provider {provider!r}: use 'local', {', '.join(map(repr, _HOSTED))} or the address of "
        "an OpenAI-compatible server, such as http://127.0.0.1:1234."
    )


def _local(model: str | None, options: dict) -> FallbackChat:
    address = settings.endpoint
    served = endpoint.ensure(address)
    service = Service("local", "The chat endpoint", f"{address}/v1", _with_first(model, map(ChatChoice, served)))

    def restart() -> bool:
        gone = not endpoint.served_at(address)
        endpoint.ensure(address)  # even if another notebook has started one: this one must join it
        return gone

    return _fallback_chat(service, _openai, None, options, restart=restart)


def _hosted(name: str, role: str, model: str | None, options: dict) -> FallbackChat:
    service = models.service(name, role)
    service = replace(service, choices=_with_first(model, service.choices))
    return _fallback_chat(service, _HOSTED[name], settings.secret(service.secret), options)


def _own(address: str, model: str | None, options: dict) -> FallbackChat:
    url = address.rstrip("/") if urlsplit(address).path.strip("/") else f"{address.rstrip('/')}/v1"
    key = settings.find_secret("COURSE_CHAT_KEY")
    service = Service("own", f"The server at {url}", url, (ChatChoice(model or "unnamed"),), secret="COURSE_CHAT_KEY")
    if model is None:
        service = replace(service, choices=(ChatChoice(_first_listed(service, key)),))
    return _fallback_chat(service, _openai, key, options)


def _with_first(model: str | None, choices: object) -> tuple[ChatChoice, ...]:
    """Return the choices, with the one called `model` (in the registry or not) before the others."""
    by_id = {choice.id: choice for choice in choices}
    first = () if model is None else (by_id.pop(model, ChatChoice(model)),)
    return (*first, *by_id.values())


def _first_listed(service: Service, key: SecretStr | None) -> str:
    """Return the first model that an OpenAI-compatible server lists; print a message if there are others."""
    client = _openai(service, key, service.choices[0], {}).root_client
    try:
        names = [listed.id for listed in client.models.list() if listed.id]
    except Exception as error:
        response = getattr(error, "response", None)
        quote = "" if response is None else quoted(content_of(response.content), key)
        raise PlainError(
            f"{service.title} does not list its models ({type(error).__name__}){quote}. Check the address, set "
            'COURSE_CHAT_KEY if it requires a key, or name the model yourself: chat_model(model="…").'
        ) from None
    if not names:
        raise PlainError(f"{service.title} has no model to offer: load one there and run this again.")
    if names[1:]:
        print(f'{service.title} has {", ".join(names)}. Using {names[0]}; choose another with chat_model(model="…").')
    return names[0]


Client = Callable[[Service, "SecretStr | None", ChatChoice, dict], "BaseChatModel"]


def _fallback_chat(
    service: Service,
    client: Client,
    key: SecretStr | None,
    options: dict,
    **further: Callable[[], bool],
) -> FallbackChat:
    from helpers.fallback import FallbackChat

    def build(choice: ChatChoice) -> BaseChatModel:
        max_tokens = options["max_tokens"] + choice.thinking_tokens
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # clients warn about models that are newer than they are
            return client(service, key, choice, options | {"max_tokens": max_tokens})

    return FallbackChat(service=service, build=build, key=key, **further)


def _openai(service: Service, key: SecretStr | None, choice: ChatChoice, options: dict) -> BaseChatModel:
    # Otherwise it would warn that its own HTTP client, which is not used here, ignores the proxy.
    os.environ.setdefault("LANGCHAIN_OPENAI_TCP_KEEPALIVE", "0")
    # It requires a key, and would otherwise send OpenAI's from the environment to this server; the same for the proxy.
    options = {"api_key": key or SecretStr("none"), "openai_proxy": None, **options}
    return _client("openai", service, choice, http_client=_http_client(), **options)


def _groq(service: Service, key: SecretStr | None, choice: ChatChoice, options: dict) -> BaseChatModel:
    options = {"api_key": key, **options, **choice.parameters}
    return _client("groq", service, choice, http_client=_http_client(), **options)


def _nvidia(service: Service, key: SecretStr | None, choice: ChatChoice, options: dict) -> BaseChatModel:
    os.environ.setdefault("NVIDIA_USAGE_TELEMETRY_ENABLED", "false")
    limits = {"temperature": options["temperature"], "max_completion_tokens": options["max_tokens"]}
    model = _client("nvidia", service, choice, api_key=key, **limits, model_kwargs=choice.parameters)
    new_session = model._client.get_session_fn

    def session() -> requests.Session:
        made = new_session()
        # The client's own error would contain the message, or all of the response, as one text.
        made.hooks["response"] += [expect_reply, lambda response, **_: response.raise_for_status()]
        return made

    model._client.get_session_fn = session
    return model


def _http_client() -> httpx.Client:
    import httpx

    return httpx.Client(follow_redirects=True, event_hooks={"response": [expect_reply]})


def _client(provider: str, service: Service, choice: ChatChoice, **options: Any) -> BaseChatModel:
    """Make LangChain's own client for a provider."""
    from langchain.chat_models import init_chat_model

    if fault := proxies.fault(service.url):
        raise PlainError(fault)
    return init_chat_model(choice.id, model_provider=provider, base_url=service.url, **options)


_HOSTED: dict[str, Client] = {"groq": _groq, "nvidia": _nvidia}
