"""A chat model that goes on with the service's next model when one was retired, and says plainly what is wrong.

LangChain's own ``with_fallbacks`` chooses by the class of an exception. Here the class does not tell: a retired
model is a 400 at one service and a bare ``Exception`` in another's client, and so is a picture that is too large.
It also asks the dead model again each time, and says nothing about it.
"""

from __future__ import annotations

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
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, Field, PrivateAttr, SecretStr

from helpers.errors import PlainError
from helpers.models import ChatChoice, Service
from helpers.settings import settings

__all__ = ["ChatError", "FallbackChat"]

#: What OpenAI-compatible services call a model that they do not serve (any more).
GONE = {"model_decommissioned", "model_not_found"}


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
                return self._client(place)._generate(messages, stop, run_manager, **kwargs)
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
            place = self._place
            try:
                yield from self._client(place)._stream(messages, stop, run_manager, **kwargs)
                return
            except Exception as error:
                self._go_on(place, error)

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
            of_reply = convert_to_json_schema(schema, strict=strict)
            described = {"name": of_reply.get("title", "reply"), "schema": of_reply, **limits}
            response_format = {"type": "json_schema", "json_schema": described}
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

    def _go_on(self, place: int, error: Exception) -> None:
        """Moves to the next model if ``error`` says that the one at ``place`` is gone; raises for anything else."""
        if isinstance(error, PlainError):
            raise error
        if _status(error) in (404, 410) or _body(error).get("code") in GONE:
            with self._lock:
                if place == self._place:  # else another thread was told the same and has moved on
                    self._to_next(error)
            return
        if _is_unreachable(error) and self.restart():
            raise ChatError(f"{self.service.title} had stopped and has been started again: run this once more.")
        sentence = self._sentence(error)
        if sentence is None:
            raise error
        # Without a cause: a server's own words may repeat the key.
        raise ChatError(sentence) from None

    def _to_next(self, error: Exception) -> None:
        service, gone = self.service, self.model
        if self._place + 1 < len(service.choices):
            self._place += 1
            print(f"{service.title} does not serve {gone} (any more). Taking {self.model} in its place.")
            return
        tried = ", ".join(choice.id for choice in service.choices)
        if service.models:
            todo = (
                f"Look at {service.models} for one that is served, and add its id to helpers/models.toml "
                f'under services.{service.name}; or take provider="local".'
            )
        else:
            todo = f"Check the address ({service.url}) and the model's name."
        raise ChatError(f"{service.title} serves none of: {tried}{self._says(error)}. {todo}") from None

    def _sentence(self, error: Exception) -> str | None:
        """What to tell about ``error``; None for one that has nothing to do with the service."""
        service, status, says = self.service, _status(error), self._says(error)
        local = "" if service.name == "local" else ' Or take provider="local", which needs neither internet nor key.'
        if _is_unreachable(error):
            what = "did not answer in time" if "Timeout" in type(error).__name__ else "can't be reached"
            check = "Try again" if service.name == "local" else "Check the internet connection and try again"
            return f"{service.title} {what} ({service.url}). {check}.{local}"
        if status is None:
            return None
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

    def _says(self, error: Exception) -> str:
        """The service's own words, in one line, without the key."""
        words = _body(error).get("message") or _body(error).get("detail") or ""
        words = " ".join(str(words).split()).rstrip(".")
        if self.key:
            words = words.replace(self.key.get_secret_value(), "***")
        return f'; it says: "{words[:300]}"' if words else ""


_TOO_LARGE = re.compile(r"too (large|big|long|many)|exceed|pixels|reduce the length", re.IGNORECASE)

#: How ChatNVIDIA words the answer to a failed request: the status and title, then the detail.
_NVIDIA = re.compile(r"\[(\d{3})\] ([^\n]*)\n?(.*)", re.DOTALL)


def _status(error: Exception) -> int | None:
    """The HTTP status of the answer that ``error`` tells of, or None."""
    if isinstance(status := getattr(error, "status_code", None), int):
        return status
    found = _NVIDIA.match(str(error)) if type(error) is Exception else None
    return int(found[1]) if found else None


def _body(error: Exception) -> dict[str, Any]:
    """The error object of the service's answer: OpenAI's {"message", "code", …} or NVIDIA's {"detail"}."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else {"message": inner}
    found = _NVIDIA.match(str(error)) if type(error) is Exception else None
    return {"detail": found[3] or found[2]} if found else {}


def _is_unreachable(error: Exception) -> bool:
    """Whether the connection failed: in the words of openai and groq, of requests, and of httpx amid a stream."""
    names = {parent.__name__ for parent in type(error).__mro__}
    return bool(names & {"APIConnectionError", "ConnectionError", "Timeout", "ChunkedEncodingError", "TransportError"})


def _wait(error: Exception) -> str:
    response = getattr(error, "response", None)
    seconds = response.headers.get("retry-after", "") if response is not None else ""
    return f"{seconds} seconds" if seconds.isdecimal() else "a minute"
