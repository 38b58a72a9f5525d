"""HTTP responses of chat services: whether one holds a reply, and otherwise the service's error message.

Services format errors in many ways, and some send them, or nothing at all, with status 200; their clients then fail on
the reply that they take for granted. `expect_reply` gives such a response the status of an error, so that every client
raises an error for it.
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

__all__ = ["NO_REPLY", "code_of", "content_of", "expect_reply", "message_of", "quoted", "status_of"]

#: The status of a response without a reply: no service sends it, and no client retries after it.
NO_REPLY = 444

#: The fields in which services put their messages, the most specific first.
FIELDS = ("message", "detail", "error", "errors", "msg", "error_description", "reason", "title")


def expect_reply(response: httpx.Response | requests.Response, **_: Any) -> None:
    """Set the status of an error on a response with status 200 that holds no reply. A hook for both libraries."""
    lists_models = str(response.request.url).partition("?")[0].endswith("/models")
    if response.status_code != 200 or lists_models or "event-stream" in response.headers.get("content-type", ""):
        return
    if hasattr(response, "read"):  # httpx calls its hooks before it has read the response
        response.read()
    content = content_of(response.content)
    if not _is_reply(content):
        response.status_code = status_of(content)


def _is_reply(content: Any) -> bool:
    if isinstance(content, str):  # a stream without its content type
        return content.lstrip().startswith(("data:", "event:", ":"))
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list) or not choices or content.get("error"):
        return False
    messages = [choice.get("message") if isinstance(choice, dict) else None for choice in choices]
    return all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages)


def content_of(body: bytes) -> Any:
    """Return the value of a JSON body, or otherwise its text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def status_of(content: Any) -> int:
    """Return the status of an error that came with status 200: the one in its body, or otherwise `NO_REPLY`."""
    code = code_of(content)
    return int(code) if re.fullmatch("[45][0-9]{2}", code) else NO_REPLY


def code_of(content: Any) -> str:
    """Return the code in a service's error, such as "model_not_found"; empty if there is none."""
    error = content.get("error", content) if isinstance(content, dict) else None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def quoted(content: Any, key: SecretStr | None = None) -> str:
    """Return the end of a sentence that quotes the service, without the key; empty if there is no message."""
    message = message_of(content)
    if key:
        message = message.replace(key.get_secret_value(), "***")
    return f'; it says: "{message[:300]}"' if message else ""


def message_of(content: Any) -> str:
    """Return the service's message on one line; empty if there is none.

    It may be in OpenAI's `{"error": {"message": …}}`, in `{"error": …}`, `{"message": …}`, `{"detail": …}`, FastAPI's
    list of errors, a list of any of these, plain text or a web page.
    """
    return " ".join(_text(content).split()).rstrip(".")


def _text(content: Any) -> str:
    if isinstance(content, str):
        is_page = content.lstrip().startswith("<")
        return html.unescape(re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", content)) if is_page else content
    if isinstance(content, list):
        return "; ".join(filter(None, map(_text, content)))
    if isinstance(content, dict):
        place = ".".join(map(str, content["loc"])) if isinstance(content.get("loc"), list) else ""
        text = next(filter(None, (_text(content.get(name)) for name in FIELDS)), "")
        return f"{place}: {text}" if place and text else text
    return ""
