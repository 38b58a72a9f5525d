"""A chat model that switches to the service's next model when one is retired, and explains errors in a sentence.

LangChain's own `with_fallbacks` decides by the class of an exception. That is not enough here: a retired model is a 400
from one service and a bare `Exception` in another's client, and so is a picture that is too large. It would also try
the retired model again each time, without a message.
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
from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages
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

#: The error codes of OpenAI-compatible services for a model that they do not serve (any more).
GONE = {"model_decommissioned", "model_not_found"}

#: The clients' errors when there is no connection: of openai and groq, of requests, and of httpx during a stream.
#: "InvalidSchema" is what requests raises for a proxy with an unknown protocol.
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
    """A LangChain chat model that uses the first model of a service that is still served.

    It raises `ChatError`, with what to do, when the service returns no reply.

    Attributes:
        service: the service and its models.
        build: makes the client for one of the models.
        key: redacted from error messages.
        restart: called when the service can't be reached; returns True if it has restarted it.
    """

    service: Service = Field(repr=False)
    build: Callable[[ChatChoice], BaseChatModel] = Field(repr=False, exclude=True)
    key: SecretStr | None = Field(default=None, repr=False, exclude=True)
    restart: Callable[[], bool] = Field(default=lambda: False, repr=False, exclude=True)

    _current: int = PrivateAttr(default=0)  # which of the service's choices is in use
    _clients: dict[int, BaseChatModel] = PrivateAttr(default_factory=dict)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def model(self) -> str:
        """The id of the model in use."""
        return self.service.choices[self._current].id

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
            index = self._current
            try:
                client = self._client(index)
                result = client._generate(_with_tool_calls(messages), stop, run_manager, **_options(client, kwargs))
                for generation in result.generations:
                    self._expect_content(_has_content(generation), _finish_reason(generation))
                return result
            except Exception as error:
                self._fall_back(index, error)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        while True:
            index, started, finish_reason = self._current, False, None
            try:
                client = self._client(index)
                for chunk in client._stream(_with_tool_calls(messages), stop, run_manager, **_options(client, kwargs)):
                    started = started or _has_content(chunk)
                    finish_reason = finish_reason or _finish_reason(chunk)
                    yield chunk
                self._expect_content(started, finish_reason)
                return
            except Exception as error:
                self._fall_back(index, error, started=started)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable | BaseTool],
        *,
        tool_choice: str | dict | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools that the model may call, in the format of the service's own client.

        Args:
            tools: functions, LangChain tools, Pydantic classes or JSON schemas.
            tool_choice: "auto", "any" or the name of a tool; by default the model decides.
            kwargs: other arguments of the client's `bind_tools`.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client does not know whether the model can call tools
            bound = self._client(self._current).bind_tools(tools, tool_choice=tool_choice, **kwargs)
        return self.bind(**bound.kwargs)  # to this model, so that the tools survive a switch to the next one

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["function_calling", "json_schema", "json_mode"] = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Return this model with replies that follow `schema`: instances of a Pydantic class, otherwise dicts.

        Args:
            schema: a Pydantic or TypedDict class, a JSON schema or an OpenAI tool.
            method: how the reply is requested: as a tool call, as JSON that follows the schema, or as any JSON
                ("json_mode"; the question must then describe it).
            include_raw: return {"raw": message, "parsed": object or None, "parsing_error": error or None} instead.
            strict: make the service enforce the schema, if it can.
            kwargs: further parameters of the request.
        """
        of_class = isinstance(schema, type) and is_basemodel_subclass(schema)
        limits = {} if strict is None else {"strict": strict}
        tracing = {"kwargs": {"method": method, **limits}, "schema": schema}
        parser: Runnable = PydanticOutputParser(pydantic_object=schema) if of_class else JsonOutputParser()
        if method == "function_calling":
            name = convert_to_openai_tool(schema)["function"]["name"]
            tracing["schema"] = convert_to_openai_tool(schema)
            chat = self.bind_tools([schema], tool_choice=name, ls_structured_output_format=tracing, **limits, **kwargs)
            if of_class:
                parser = PydanticToolsParser(tools=[schema], first_tool_only=True)
            else:
                parser = JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
        elif method == "json_schema":
            response_format = _json_schema(schema, strict)
            chat = self.bind(response_format=response_format, ls_structured_output_format=tracing, **kwargs)
        elif method == "json_mode":
            response_format = {"type": "json_object"}
            chat = self.bind(response_format=response_format, ls_structured_output_format=tracing, **kwargs)
        else:
            raise ValueError(f'There is no method {method!r}: use "function_calling", "json_schema" or "json_mode".')
        if not include_raw:
            return chat | parser
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=chat) | parsed.with_fallbacks([failed], exception_key="parsing_error")

    def _client(self, index: int) -> BaseChatModel:
        with self._lock:
            if index not in self._clients:
                self._clients[index] = self.build(self.service.choices[index])
            return self._clients[index]

    def _expect_content(self, has_content: bool, finish_reason: str | None) -> None:
        if has_content:
            return
        if finish_reason is None:
            raise _NoReply
        if finish_reason == "length":
            raise ChatError(
                f"{self.model} ran out of tokens before its answer began, as reasoning models may. Allow it more, for "
                "example chat_model(max_tokens=2000)."
            )

    def _fall_back(self, index: int, error: Exception, started: bool = False) -> None:
        """Switch to the next model if the one at `index` is gone or returns no reply; raise for anything else.

        Args:
            index: which of the service's choices caused the error.
            error: the client's.
            started: whether part of the reply has been streamed already, so that no other model can start over.
        """
        if isinstance(error, PlainError):
            raise error
        status, content = _response_of(error)
        gone = status in (404, 410) or code_of(content) in GONE
        if (gone or status == NO_REPLY) and not started:
            with self._lock:
                if index == self._current:  # otherwise another thread has already switched models
                    self._switch(gone, quoted(content, self.key))
            return
        if _is_unreachable(error) and self.restart():
            raise ChatError(f"{self.service.title} had stopped and was restarted: run this again.")
        sentence = self._sentence(error, status, quoted(content, self.key))
        if sentence is None:
            raise error
        # Without a cause: the server's message may repeat the key.
        raise ChatError(sentence) from None

    def _switch(self, gone: bool, quote: str) -> None:
        """Switch to the service's next model, or raise `ChatError` after the last one."""
        service, old = self.service, self.model
        if self._current + 1 < len(service.choices):
            self._current += 1
            why = f"does not serve {old} (any more)" if gone else f"returned no reply from {old}{quote}"
            print(f"{service.title} {why}. Using {self.model} instead.")
            return
        if not gone:
            check = "" if service.models or service.name == "local" else f" Check that {service.url} is its address."
            raise ChatError(f"{service.title} returned no reply{quote}.{check} Try again.{self._local}") from None
        tried = ", ".join(choice.id for choice in service.choices)
        if service.models:
            todo = (
                f"Choose one from {service.models}, and add its id to helpers/models.toml under "
                f'services.{service.name}; or use provider="local".'
            )
        else:
            todo = f"Check the address ({service.url}) and the model's name."
        raise ChatError(f"{service.title} serves none of: {tried}{quote}. {todo}") from None

    @property
    def _local(self) -> str:
        return "" if self.service.name == "local" else ' Or use provider="local", which needs neither internet nor key.'

    def _sentence(self, error: Exception, status: int | None, quote: str) -> str | None:
        """Return the message for `error`; None for one that has nothing to do with the service."""
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
            return f"{service.title} broke off in the middle of its reply{quote}. Run this again.{local}"
        if status in (401, 403):
            settings.forget_secret(service.secret)
            what = "accept" if status == 401 else f"allow {self.model} with"
            source = f" (from {service.keys})" if service.keys else ""
            reason = quote if status == 403 else ""  # a 403 can also be about the country, or the network
            return (
                f"{service.title} does not {what} the key in {service.secret} ({status}){reason}. Put a valid one "
                f"there{source}, then call chat_model again.{local}"
            )
        if status == 413 or (status in (400, 422) and _TOO_LARGE.search(quote)):
            return (
                f"The request is too large for {self.model}{self._limits()}{quote}. Make the picture smaller, "
                "for example with image.thumbnail((512, 512)), send fewer, or ask a shorter question."
            )
        if status == 429:
            return (
                f"{service.title} received too many requests (429){quote}. Wait {_wait(error)} and run this again; "
                'in a batch, send fewer at a time: chat.batch(questions, config={"max_concurrency": 1}).'
                f"{local}"
            )
        if status >= 500:
            return f"{service.title} has an internal error ({status}){quote}. Try again in a few minutes.{local}"
        return f"{service.title} refused the request ({status}){quote}."

    def _limits(self) -> str:
        choice = self.service.choices[self._current]
        pictures = f"at most {choice.max_images} pictures" if choice.max_images else ""
        size = f"at most {choice.max_mb:g} MB" if choice.max_mb else ""
        limits = " and ".join(filter(None, (pictures, size)))
        return f" ({limits} in a request)" if limits else ""


class _NoReply(Exception):
    """The service ended a reply that has no content."""


def _has_content(generation: ChatGeneration) -> bool:
    message = generation.message
    return bool(message.content or message.tool_calls or message.invalid_tool_calls)


def _finish_reason(generation: ChatGeneration) -> str | None:
    """Return the service's reason why the reply ended; None if it gives none."""
    reason = (generation.generation_info or {}).get("finish_reason")
    return reason or generation.message.response_metadata.get("finish_reason")


def _json_schema(schema: dict[str, Any] | type, strict: bool | None = None) -> dict[str, Any]:
    """Return the `response_format` of a reply that follows a schema."""
    described = convert_to_json_schema(schema, strict=strict)
    limits = {} if strict is None else {"strict": strict}
    return {
        "type": "json_schema",
        "json_schema": {"name": described.get("title", "reply"), "schema": described, **limits},
    }


def _with_tool_calls(messages: list[BaseMessage]) -> list[BaseMessage]:
    """Return the messages with their tool calls in the service's own format, too: NVIDIA's client sends only those.

    So calls that were written by hand, changed, or made by another service reach the model. A reply with invalid calls
    stays unchanged.
    """

    def converted(message: BaseMessage) -> BaseMessage:
        if not isinstance(message, AIMessage) or not message.tool_calls or message.invalid_tool_calls:
            return message
        calls = convert_to_openai_messages(AIMessage("", tool_calls=message.tool_calls))["tool_calls"]
        return message.model_copy(update={"additional_kwargs": {**message.additional_kwargs, "tool_calls": calls}})

    return [converted(message) for message in messages]


def _options(client: BaseChatModel, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for a client. OpenAI's would parse a formatted reply, and raise an error if it is cut off."""
    if client._llm_type != "openai-chat" or "response_format" not in options:
        return options
    rest = dict(options)
    wanted = rest.pop("response_format")
    wanted = _json_schema(wanted) if isinstance(wanted, type) else wanted
    return {**rest, "extra_body": {**rest.get("extra_body", {}), "response_format": wanted}}


_TOO_LARGE = re.compile(r"too (large|big|long|many)|exceed|pixels|reduce the length", re.IGNORECASE)


def _response_of(error: Exception) -> tuple[int | None, Any]:
    """Return the status and content of the response behind `error`; no status if the service did not respond."""
    if (response := getattr(error, "response", None)) is not None:
        return response.status_code, content_of(response.content)
    if _is_unreachable(error):
        return None, None
    if isinstance(error, _NoReply):
        return NO_REPLY, None
    # During a stream, whose status was 200: errors of openai and groq, of ChatNVIDIA, and of what is not JSON.
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
