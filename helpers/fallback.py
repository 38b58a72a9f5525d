"""A chat model that goes on with the service's next model when one was retired, and says plainly what is wrong.

LangChain's own ``with_fallbacks`` chooses by the class of an exception. Here the class does not tell: a retired
model is a 400 at one service and a bare ``Exception`` in another's client, and so is a picture that is too large.
It also asks the dead model again each time, and says nothing about it.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, Field, PrivateAttr, SecretStr

from helpers.errors import PlainError
from helpers.models import ChatChoice, Service
from helpers.proxies import proxy_of
from helpers.replies import NO_REPLY, code_of, content_of, quoted, status_of
from helpers.settings import settings

__all__ = ["ChatError", "FallbackChat"]

#: What OpenAI-compatible services call a model that they do not serve (any more).
GONE = {"model_decommissioned", "model_not_found"}

#: The clients' errors when there is no connection: of openai and groq, of requests, and of httpx amid a stream.
#: "InvalidSchema" is what requests raises for a proxy that it can't speak to.
UNREACHABLE = {
    "APIConnectionError",
    "ChunkedEncodingError",
    "ConnectionError",
    "InvalidSchema",
    "Timeout",
    "TransportError",
}


class ChatError(PlainError):
    """The chat model can't answer; the message says why and what to do."""


class FallbackChat(BaseChatModel):
    """A LangChain chat model made of the models of one service, of which the first that is still served answers.

    ``build`` makes the client for one choice. ``key`` is what must not appear in an error. ``restart`` is called
    when the service can't be reached; True says that it has been started anew. Raises ``ChatError`` where the
    service has no answer, with what to do.
    """

    service: Service = Field(repr=False)
    build: Callable[[ChatChoice], BaseChatModel] = Field(repr=False, exclude=True)
    key: SecretStr | None = Field(default=None, repr=False, exclude=True)
    restart: Callable[[], bool] = Field(default=lambda: False, repr=False, exclude=True)

    _place: int = PrivateAttr(default=0)
    _clients: dict[int, BaseChatModel] = PrivateAttr(default_factory=dict)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def model(self) -> str:
        """The id of the model in use."""
        return self.service.choices[self._place].id

    @property
    def _llm_type(self) -> str:
        return f"picture-this-{self.service.name}"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"service": self.service.name, "model": self.model}

    def __repr_args__(self) -> list[tuple[str, str]]:
        return list(self._identifying_params.items())

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        while True:
            place = self._place
            try:
                client = self._client(place)
                result = client._generate(messages, stop, run_manager, **_options(client, kwargs))
                for generation in result.generations:
                    self._expect_words(_says(generation), _finish_reason(generation))
                return result
            except Exception as error:
                self._go_on(place, error)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        while True:
            place, said, finish_reason = self._place, False, None
            try:
                client = self._client(place)
                for chunk in client._stream(messages, stop, run_manager, **_options(client, kwargs)):
                    said = said or _says(chunk)
                    finish_reason = finish_reason or _finish_reason(chunk)
                    yield chunk
                self._expect_words(said, finish_reason)
                return
            except Exception as error:
                self._go_on(place, error, begun=said)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable | BaseTool],
        *,
        tool_choice: str | dict | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools that it may call, told to the service as its own client tells them.

        Args:
            tools: functions, LangChain tools, Pydantic classes or JSON schemas.
            tool_choice: "auto", "any" or the name of a tool; by default the model decides.
            kwargs: what else the client's ``bind_tools`` takes.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the client does not know whether the model can call tools
            bound = self._client(self._place).bind_tools(tools, tool_choice=tool_choice, **kwargs)
        return self.bind(**bound.kwargs)  # and so each of the service's models is told, when one gives way to the next

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["function_calling", "json_schema", "json_mode"] = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """This model with replies that are objects of ``schema``: of a Pydantic class itself, else dicts.

        Args:
            schema: a Pydantic or TypedDict class, a JSON schema or an OpenAI tool.
            method: how the service is asked for it: as the call of a tool, as JSON that follows the schema, or as
                any JSON ("json_mode"; the question must then say which).
            include_raw: give {"raw": message, "parsed": object or None, "parsing_error": error or None} instead.
            strict: have the service hold the reply to the schema, where it knows both ways.
            kwargs: further parameters of the request.
        """
        of_class = isinstance(schema, type) and is_basemodel_subclass(schema)
        limits = {} if strict is None else {"strict": strict}
        told = {"kwargs": {"method": method, **limits}, "schema": schema}
        parser: Runnable = PydanticOutputParser(pydantic_object=schema) if of_class else JsonOutputParser()
        if method == "function_calling":
            name = convert_to_openai_tool(schema)["function"]["name"]
            told["schema"] = convert_to_openai_tool(schema)
            asked = self.bind_tools([schema], tool_choice=name, ls_structured_output_format=told, **limits, **kwargs)
            if of_class:
                parser = PydanticToolsParser(tools=[schema], first_tool_only=True)
            else:
                parser = JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
        elif method == "json_schema":
            response_format = _json_schema(schema, strict)
            asked = self.bind(response_format=response_format, ls_structured_output_format=told, **kwargs)
        elif method == "json_mode":
            response_format = {"type": "json_object"}
            asked = self.bind(response_format=response_format, ls_structured_output_format=told, **kwargs)
        else:
            raise ValueError(f'There is no method {method!r}: take "function_calling", "json_schema" or "json_mode".')
        if not include_raw:
            return asked | parser
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=asked) | parsed.with_fallbacks([failed], exception_key="parsing_error")

    def _client(self, place: int) -> BaseChatModel:
        with self._lock:
            if place not in self._clients:
                self._clients[place] = self.build(self.service.choices[place])
            return self._clients[place]

    def _expect_words(self, said: bool, finish_reason: str | None) -> None:
        if said:
            return
        if finish_reason is None:
            raise _NoReply
        if finish_reason == "length":
            raise ChatError(
                f"{self.model} had used up its tokens before it said anything, as models may do that think first. "
                "Allow it more, for example chat_model(max_tokens=2000)."
            )

    def _go_on(self, place: int, error: Exception, begun: bool = False) -> None:
        """Moves to the next model if the one at ``place`` is gone or gives no reply; raises for anything else.

        Args:
            begun: whether a part of the reply has been told already, so that none can begin anew.
        """
        if isinstance(error, PlainError):
            raise error
        status, content = _told(error)
        gone = status in (404, 410) or code_of(content) in GONE
        if (gone or status == NO_REPLY) and not begun:
            with self._lock:
                if place == self._place:  # else another thread was told the same and has moved on
                    self._to_next(gone, quoted(content, self.key))
            return
        if _is_unreachable(error) and self.restart():
            raise ChatError(f"{self.service.title} had stopped and has been started again: run this once more.")
        sentence = self._sentence(error, status, quoted(content, self.key))
        if sentence is None:
            raise error
        # Without a cause: a server's own words may repeat the key.
        raise ChatError(sentence) from None

    def _to_next(self, gone: bool, says: str) -> None:
        service, left = self.service, self.model
        if self._place + 1 < len(service.choices):
            self._place += 1
            why = f"does not serve {left} (any more)" if gone else f"gives no reply from {left}{says}"
            print(f"{service.title} {why}. Taking {self.model} in its place.")
            return
        if not gone:
            check = "" if service.models or service.name == "local" else f" Check that {service.url} is its address."
            raise ChatError(
                f"{service.title} answers without a reply{says}.{check} Ask once more.{self._local}"
            ) from None
        tried = ", ".join(choice.id for choice in service.choices)
        if service.models:
            todo = (
                f"Look at {service.models} for one that is served, and add its id to helpers/models.toml "
                f'under services.{service.name}; or take provider="local".'
            )
        else:
            todo = f"Check the address ({service.url}) and the model's name."
        raise ChatError(f"{service.title} serves none of: {tried}{says}. {todo}") from None

    @property
    def _local(self) -> str:
        return (
            "" if self.service.name == "local" else ' Or take provider="local", which needs neither internet nor key.'
        )

    def _sentence(self, error: Exception, status: int | None, says: str) -> str | None:
        """What to tell about ``error``; None for one that has nothing to do with the service."""
        service, local = self.service, self._local
        if _is_unreachable(error):
            what = "did not answer in time" if "Timeout" in type(error).__name__ else "can't be reached"
            check = "Try again" if service.name == "local" else "Check the internet connection and try again"
            if proxy := proxy_of(service.url):
                check = f"Check the proxy that {proxy[0]} names ({proxy[1]}), or unset it and start again"
            return f"{service.title} {what} ({service.url}). {check}.{local}"
        if status is None:
            return None
        if status == NO_REPLY:
            return f"{service.title} broke off in the middle of its reply{says}. Run this again.{local}"
        if status in (401, 403):
            settings.forget_secret(service.secret)
            what = "accept the key" if status == 401 else f"open {self.model} to the key"
            source = f" (from {service.keys})" if service.keys else ""
            reason = says if status == 403 else ""  # a 403 can also mean the country, or the network
            return (
                f"{service.title} does not {what} that is in {service.secret} ({status}){reason}. Put a valid one "
                f"there{source}, then call chat_model again.{local}"
            )
        if status == 413 or (status in (400, 422) and _TOO_LARGE.search(says)):
            return (
                f"The request is too large for {self.model}{self._limits()}{says}. Make the picture smaller, "
                "for example with image.thumbnail((512, 512)), send fewer, or ask a shorter question."
            )
        if status == 429:
            return (
                f"{service.title} has had too many requests (429){says}. Wait {_wait(error)} and run this again; "
                'in a batch ask for fewer at a time: chat.batch(questions, config={"max_concurrency": 1}).'
                f"{local}"
            )
        if status >= 500:
            return f"{service.title} has a fault of its own ({status}){says}. Try again in some minutes.{local}"
        return f"{service.title} refused the request ({status}){says}."

    def _limits(self) -> str:
        choice = self.service.choices[self._place]
        pictures = f"at most {choice.max_images} pictures" if choice.max_images else ""
        size = f"at most {choice.max_mb:g} MB" if choice.max_mb else ""
        limits = " and ".join(filter(None, (pictures, size)))
        return f" ({limits} in a request)" if limits else ""


class _NoReply(Exception):
    """The service ended a reply without having said anything."""


def _says(generation: ChatGeneration) -> bool:
    message = generation.message
    return bool(message.content or message.tool_calls or message.invalid_tool_calls)


def _finish_reason(generation: ChatGeneration) -> str | None:
    """Why the reply ended, as the service calls it; None where it does not say."""
    reason = (generation.generation_info or {}).get("finish_reason")
    return reason or generation.message.response_metadata.get("finish_reason")


def _json_schema(schema: dict[str, Any] | type, strict: bool | None = None) -> dict[str, Any]:
    """The ``response_format`` of a reply that follows a schema."""
    described = convert_to_json_schema(schema, strict=strict)
    limits = {} if strict is None else {"strict": strict}
    return {
        "type": "json_schema",
        "json_schema": {"name": described.get("title", "reply"), "schema": described, **limits},
    }


def _options(client: BaseChatModel, options: dict[str, Any]) -> dict[str, Any]:
    """The options as a client is given them. OpenAI's would parse a formatted reply, and raise where it is cut off."""
    if client._llm_type != "openai-chat" or "response_format" not in options:
        return options
    rest = dict(options)
    wanted = rest.pop("response_format")
    wanted = _json_schema(wanted) if isinstance(wanted, type) else wanted
    return {**rest, "extra_body": {**rest.get("extra_body", {}), "response_format": wanted}}


_TOO_LARGE = re.compile(r"too (large|big|long|many)|exceed|pixels|reduce the length", re.IGNORECASE)


def _told(error: Exception) -> tuple[int | None, Any]:
    """The status and content of the answer that ``error`` tells of; no status where the service has not answered."""
    if (response := getattr(error, "response", None)) is not None:
        return response.status_code, content_of(response.content)
    if _is_unreachable(error):
        return None, None
    if isinstance(error, _NoReply):
        return NO_REPLY, None
    # Amid a stream, whose status was 200: as openai and groq say it, and ChatNVIDIA; and what is not JSON at all.
    if body := getattr(error, "body", None):
        return status_of(body), body
    if type(error) is Exception:
        return NO_REPLY, str(error)
    return (NO_REPLY, error.doc) if isinstance(error, json.JSONDecodeError) else (None, None)


def _is_unreachable(error: Exception) -> bool:
    return any(parent.__name__ in UNREACHABLE for parent in type(error).__mro__)


def _wait(error: Exception) -> str:
    response = getattr(error, "response", None)
    seconds = response.headers.get("retry-after", "") if response is not None else ""
    return f"{seconds} seconds" if seconds.isdecimal() else "a minute"
