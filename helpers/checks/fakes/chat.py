"""Fake chat models with scripted replies, which record their requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

__all__ = [
    "ChatRequest",
    "NeverEnds",
    "ToolUse",
    "fake_chat",
    "pictures_of",
    "scripted_chat",
    "text_of",
    "without_replies",
]

MOST_REQUESTS = 20
"""The number of requests to a chat model after which a loop counts as endless."""


class ChatRequest(NamedTuple):
    """A request to the chat model: its text, its pictures as data URLs, the temperature, and the model's role.

    The role is "" for a model made before the check.
    """

    text: str
    pictures: list[str]
    temperature: float
    role: str = ""


class ToolUse(NamedTuple):
    """A call of a tool, as a scripted model replies with it."""

    name: str
    args: dict[str, Any]


class NeverEnds(BaseException):
    """More requests than any right answer makes: an endless loop.

    Not an `Exception`, so that an `except Exception` in the loop can't swallow it. A notebook shows only its message.
    """

    def __str__(self) -> str:
        return f"Your function asked the chat model {MOST_REQUESTS} times and would go on forever: limit the number of requests."

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def scripted_chat(replies: Sequence[str | Exception | list[ToolUse]]) -> BaseChatModel:
    """Make a LangChain chat model that gives these replies in turn and repeats the last one.

    A list of tool calls makes up one reply; an exception is raised. The model's `requests` holds the messages of each
    call, as they were at that time.
    """
    replies, requests = list(replies), []

    def answer(messages: list[BaseMessage]) -> str | BaseMessage:
        requests.append(copy.deepcopy(messages))
        if len(requests) > MOST_REQUESTS:
            raise NeverEnds
        reply = replies[min(len(requests), len(replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return _with_calls(reply, len(requests)) if isinstance(reply, list) else reply

    shown = f"chat model with the replies {replies}"  # failure messages quote calls
    chat = scripted_chat_class()(answer=answer, shown=shown)
    chat.requests = requests
    return chat


def _with_calls(uses: Sequence[ToolUse], request: int) -> BaseMessage:
    """Return a new message each time: LangChain gives each one an id, and takes two with the same id for one."""
    from langchain_core.messages import AIMessage

    calls = [{"name": use.name, "args": dict(use.args), "id": f"call_{request}_{i}"} for i, use in enumerate(uses)]
    return AIMessage("", tool_calls=calls)


@cache
def scripted_chat_class() -> type[BaseChatModel]:
    """Return the class of `scripted_chat`'s models; made at first use, for LangChain takes long to import."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from pydantic import Field

    class ScriptedChat(BaseChatModel):
        answer: Callable[[list], str | AIMessage]
        requests: list = Field(default_factory=list)
        shown: str

        def __repr__(self) -> str:
            return self.shown

        def bind_tools(self, tools, **options):
            return self

        def _generate(self, messages, stop=None, run_manager=None, **options):
            reply = self.answer(messages)
            message = reply if isinstance(reply, AIMessage) else AIMessage(content=reply)
            return ChatResult(generations=[ChatGeneration(message=message)])

        @property
        def _llm_type(self) -> str:
            return "scripted"

    return ScriptedChat


@mirrored
@contextmanager
def fake_chat(reply: Callable[[ChatRequest], str]) -> Iterator[list[ChatRequest]]:
    """Make every model from `helpers.chat.chat_model` answer with `reply`; yield the list of requests.

    The models are real ones whose requests are intercepted, so one that a student keeps still works afterwards.
    """
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    from helpers import chat, models
    from helpers.fallback import FallbackChat

    requests: list[ChatRequest] = []
    made: list[tuple[FallbackChat, float, str]] = []
    make_local = chat._local

    def remember(name, role, model, options) -> FallbackChat:
        made.append((make_local(model, options), options["temperature"], role))
        return made[-1][0]

    def answer(model: FallbackChat, messages: Sequence[BaseMessage], temperature: float | None) -> str:
        known, role = next(((known, role) for each, known, role in made if each is model), (0.0, ""))
        temperature = known if temperature is None else temperature
        text = text_of(without_replies(messages)).strip()
        requests.append(ChatRequest(text, pictures_of(messages), temperature, role))
        if len(requests) > MOST_REQUESTS:
            raise NeverEnds
        return reply(requests[-1])

    def generate(self, messages, stop=None, run_manager=None, *, temperature=None, **options):
        message = AIMessage(answer(self, messages, temperature))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def stream(self, messages, stop=None, run_manager=None, *, temperature=None, **options):
        yield ChatGenerationChunk(message=AIMessageChunk(answer(self, messages, temperature)))

    with (
        patch("helpers.endpoint.ensure", lambda address: [models.entry("chat").id]),
        patch.object(chat.settings, "chat_provider", "groq"),  # where the roles have different models
        patch.object(chat, "_hosted", remember),
        patch.multiple(FallbackChat, _generate=generate, _stream=stream),
    ):
        yield requests


def without_replies(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the messages of a request without the model's own."""
    return [message for message in messages if message.type != "ai"]


def text_of(messages: Sequence[BaseMessage]) -> str:
    """Return the whole text of these messages."""
    return "\n".join(part.get("text", "") for part in _parts(messages))


def pictures_of(messages: Sequence[BaseMessage]) -> list[str]:
    """Return the URLs of all pictures in these messages."""
    urls = [part["image_url"] for part in _parts(messages) if "image_url" in part]
    return [url["url"] if isinstance(url, dict) else url for url in urls]


def _parts(messages: Sequence[BaseMessage]) -> Iterator[dict]:
    for message in messages:
        for part in [message.content] if isinstance(message.content, str) else message.content:
            yield {"text": part} if isinstance(part, str) else part
