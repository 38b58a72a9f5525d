"""What a chat service answers over HTTP: whether it is a reply, and what the service says where it is not.

Services word their refusals in many shapes, and some send them, or nothing at all, with status 200; their clients then
stumble over the reply that they take for granted. `expect_reply` gives such an answer the status of an error, so that
every client raises for it as for any other refusal.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    import requests
    from pydantic import SecretStr

__all__ = ["NO_REPLY", "code_of", "content_of", "expect_reply", "quoted", "status_of", "words_of"]

#: The status of an answer without a reply: one that no service sends, and after which no client tries again.
NO_REPLY = 444

#: Where services put their words, the most telling place first.
WORDS = ("message", "detail", "error", "errors", "msg", "error_description", "reason", "title")


def expect_reply(answer: httpx.Response | requests.Response, **_: Any) -> None:
    """Gives an answer with status 200 that holds no reply the status that it should have had. A hook for both libraries."""
    lists_models = str(answer.request.url).partition("?")[0].endswith("/models")
    if answer.status_code != 200 or lists_models or "event-stream" in answer.headers.get("content-type", ""):
        return
    if hasattr(answer, "read"):  # httpx calls its hooks before it has read the answer
        answer.read()
    content = content_of(answer.content)
    if not _is_reply(content):
        answer.status_code = status_of(content)


def _is_reply(content: Any) -> bool:
    if isinstance(content, str):  # a stream whose type is not told
        return content.lstrip().startswith(("data:", "event:", ":"))
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list) or not choices or content.get("error"):
        return False
    messages = [choice.get("message") if isinstance(choice, dict) else None for choice in choices]
    return all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages)


def content_of(body: bytes) -> Any:
    """What stands in an answer's body: the value of its JSON, or else its text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def status_of(content: Any) -> int:
    """The status of an error that came with status 200: what its own words say, or else `NO_REPLY`."""
    code = code_of(content)
    return int(code) if re.fullmatch("[45][0-9]{2}", code) else NO_REPLY


def code_of(content: Any) -> str:
    """The code in a service's error, such as ``"model_not_found"``; empty where there is none."""
    error = content.get("error", content) if isinstance(content, dict) else None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def quoted(content: Any, key: SecretStr | None = None) -> str:
    """The end of a sentence that quotes the service, without the key; empty where it says nothing."""
    words = words_of(content)
    if key:
        words = words.replace(key.get_secret_value(), "***")
    return f'; it says: "{words[:300]}"' if words else ""


def words_of(content: Any) -> str:
    """The service's own words, in one line; empty where it says nothing.

    Known are OpenAI's ``{"error": {"message": …}}``, ``{"error": …}``, ``{"message": …}``, ``{"detail": …}``, FastAPI's
    list of faults, lists of any of these, and plain text, be it a web page.
    """
    return " ".join(_words(content).split()).rstrip(".")


def _words(content: Any) -> str:
    if isinstance(content, str):
        is_page = content.lstrip().startswith("<")
        return html.unescape(re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", content)) if is_page else content
    if isinstance(content, list):
        return "; ".join(filter(None, map(_words, content)))
    if isinstance(content, dict):
        place = ".".join(map(str, content["loc"])) if isinstance(content.get("loc"), list) else ""
        said = next(filter(None, (_words(content.get(name)) for name in WORDS)), "")
        return f"{place}: {said}" if place and said else said
    return ""
