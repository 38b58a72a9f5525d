"""A chat model that says what the check wants, and records what it was asked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

__all__ = ["ChatRequest", "NeverEnds", "fake_chat", "ours", "pictures_of", "scripted_chat", "text_of"]

ENDLESS = 20
"""Requests to a chat model after which a loop is taken for endless."""


class ChatRequest(NamedTuple):
    """A request that the chat model got: its text, its pictures as data URLs, the temperature, and the model's role.

    The role is "" of a model that is no longer known.
    """

    text: str
    pictures: list[str]
    temperature: float
    role: str = ""


class NeverEnds(BaseException):
    """More requests than any right answer makes: a loop without an end.

    No Exception, so that an `except Exception` in the loop can't swallow it. A notebook shows its sentence alone.
    """

    def __str__(self) -> str:
        return (
            f"Your function has asked the chat model {ENDLESS} times and would go on without end: count the requests."
        )

    def _render_traceback_(self) -> list[str]:
        return [f"Not yet: {self}"]


def scripted_chat(replies: Sequence[str | Exception]) -> BaseChatModel:
    """A LangChain chat model that gives these replies in turn, the last one again and again; an exception is raised.

    Its `requests` are what it was sent: for each call the messages as they were then.
    """
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class ScriptedChat(BaseChatModel):
        replies: list
        requests: list

        def __repr__(self) -> str:
            return f"chat model with the replies {self.replies}"  # sentences quote calls

        def _generate(self, messages, stop=None, run_manager=None, **options):
            self.requests.append(copy.deepcopy(messages))
            if len(self.requests) > ENDLESS:
                raise NeverEnds
            reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
            if isinstance(reply, Exception):
                raise reply
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=reply))])

        @property
        def _llm_type(self) -> str:
            return "scripted"

    return ScriptedChat(replies=list(replies), requests=[])


@contextmanager
def fake_chat(reply: Callable[[ChatRequest], str]) -> Iterator[list[ChatRequest]]:
    """While it lasts, every model of `helpers.chat.chat_model` answers with `reply`; gives the list of requests.

    The models are real ones that are kept from asking anybody. So one that a student keeps works afterwards, too.
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
        requests.append(ChatRequest(text_of(ours(messages)).strip(), pictures_of(messages), temperature, role))
        if len(requests) > ENDLESS:
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


def ours(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages of a request that are not the model's own."""
    return [message for message in messages if message.type != "ai"]


def text_of(messages: Sequence[BaseMessage]) -> str:
    """All text of these messages."""
    return "\n".join(part.get("text", "") for part in _parts(messages))


def pictures_of(messages: Sequence[BaseMessage]) -> list[str]:
    """The addresses of all pictures of these messages."""
    places = [part["image_url"] for part in _parts(messages) if "image_url" in part]
    return [place["url"] if isinstance(place, dict) else place for place in places]


def _parts(messages: Sequence[BaseMessage]) -> Iterator[dict]:
    for message in messages:
        for part in [message.content] if isinstance(message.content, str) else message.content:
            yield {"text": part} if isinstance(part, str) else part
