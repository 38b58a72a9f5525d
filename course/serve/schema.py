"""What a chat request may hold: OpenAI's chat completions, as far as they are served here.

Fields that are not listed are let pass unread, since each client sends some of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

__all__ = [
    "MAX_CHOICES",
    "ChatRequest",
    "Function",
    "ImagePart",
    "Incoming",
    "Message",
    "Text",
    "TextPart",
    "Tool",
    "ToolChoice",
]

MAX_CHOICES = 8
# A list is read no further than its limit: pydantic would keep an error for each wrong item of a million.
MAX_MESSAGES = 200
MAX_PARTS = 50  # of one message
MAX_STOPS = 16
MAX_STOP = 200  # characters
MAX_TOOLS = 64


class Incoming(BaseModel):
    """Takes no "3" for 3, and null for a field that is left out."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def _whole_characters(text: str) -> str:
    """JSON can hold half of a character that UTF-16 writes in two; tokenizers can't read that."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} of the text is only half a character (a lone surrogate)") from None
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]


def _any_reader_can_read(value: dict[str, Any]) -> dict[str, Any]:
    try:
        _whole_characters(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except RecursionError:
        raise ValueError("the object is nested too deeply") from None
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_any_reader_can_read)]


def _from_json(value: Any) -> Any:
    """Arguments come as JSON in a string, "" where there are none."""
    if not isinstance(value, str):
        return value
    try:
        value = json.loads(value or "{}")
    except (ValueError, RecursionError):
        raise ValueError("the string is not valid JSON") from None
    if not isinstance(value, dict):
        raise ValueError("the string holds no JSON object")
    return value


def _refused(instead: str) -> Any:
    """A field of the older API, which is not served: ``instead`` is what to send."""

    def refuse(value: Any) -> Any:
        raise ValueError(f"this field of the older API is not served: send {instead}")

    return Annotated[Any, BeforeValidator(refuse)]


class TextPart(Incoming):
    type: Literal["text"]
    text: Text


class ImageUrl(Incoming):
    url: Text


class ImagePart(Incoming):
    type: Literal["image_url"]
    image_url: ImageUrl


class PastFunction(Incoming):
    name: Annotated[Text, Field(min_length=1)]
    arguments: Annotated[JsonObject, BeforeValidator(_from_json)]


class PastCall(Incoming):
    """A call that the assistant has made in an earlier turn."""

    id: Text
    type: Literal["function"] = "function"
    function: PastFunction


class Message(Incoming):
    """One turn; its content is always a list of parts here, whichever way it came."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] = Field([], max_length=MAX_PARTS)
    tool_calls: list[PastCall] = Field([], max_length=MAX_PARTS)
    tool_call_id: Text | None = None
    function_call: _refused("tool_calls") = None

    @field_validator("role", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value == "function":
            raise ValueError('the older role "function" is not served: send role "tool" with its tool_call_id')
        return value

    @field_validator("content", mode="before")
    @classmethod
    def _as_parts(cls, value: Any) -> Any:
        return [{"type": "text", "text": value}] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pictures_are_the_users(self) -> Message:
        if self.role != "user" and any(part.type == "image_url" for part in self.content):
            raise ValueError(f"only a user's message may hold pictures, this one is the {self.role}'s")
        return self

    @model_validator(mode="after")
    def _calls_are_the_assistants(self) -> Message:
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"only an assistant's message may hold tool_calls, this one is the {self.role}'s")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool's message needs tool_call_id, the id of the call that it answers")
        return self


class Function(Incoming):
    """What a tool does; ``parameters`` is the JSON schema of its arguments."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text = ""
    parameters: JsonObject = {}

    @field_validator("parameters")
    @classmethod
    def _of_an_object(cls, schema: dict[str, Any]) -> dict[str, Any]:
        if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), dict):
            raise ValueError('expected the JSON schema of an object, {"type": "object", "properties": {…}}')
        return schema


class Tool(Incoming):
    type: Literal["function"]
    function: Function


@dataclass(frozen=True)
class ToolChoice:
    """Whether a reply calls tools: never, as the model likes, or always, and then the one called ``name`` if given."""

    mode: Literal["none", "auto", "required"]
    name: str | None = None


class StreamOptions(Incoming):
    include_usage: bool = False


class JsonSchema(Incoming):
    of_reply: JsonObject = Field(alias="schema")


class ResponseFormat(Incoming):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _with_its_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError('the type "json_schema" needs json_schema, {"name": …, "schema": {…}}')
        return self

    @property
    def schema_of_reply(self) -> dict[str, Any] | None:
        """What JSON a reply must be; None where it may be any text."""
        if self.type == "json_schema":
            return self.json_schema.of_reply
        return {"type": "object"} if self.type == "json_object" else None


class ChatRequest(Incoming):
    """The body of ``POST /v1/chat/completions``.

    Without ``max_tokens`` a reply may be as long as the model's context has room for. With a ``seed``, the
    same request gives the same replies again.
    """

    model: str
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    n: int = Field(1, ge=1, le=MAX_CHOICES)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, ge=0, le=1)
    seed: int | None = None
    stop: list[Annotated[str, Field(min_length=1, max_length=MAX_STOP)]] = Field([], max_length=MAX_STOPS)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    response_format: ResponseFormat = ResponseFormat(type="text")
    tools: list[Tool] = Field([], max_length=MAX_TOOLS)
    tool_choice: Any = ToolChoice("auto")
    parallel_tool_calls: bool = True
    functions: _refused("tools") = None
    function_call: _refused("tool_choice") = None

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("tools")
    @classmethod
    def _by_different_names(cls, tools: list[Tool]) -> list[Tool]:
        names = [tool.function.name for tool in tools]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two tools have the name {twice!r}")
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _one_of_the_tools(cls, value: Any, info: ValidationInfo) -> ToolChoice:
        match value:
            case "none" | "auto" | "required":
                choice = ToolChoice(value)
            case {"type": "function", "function": {"name": str(name)}}:
                choice = ToolChoice("required", name)
            case _:
                forms = '"none", "auto", "required" or {"type": "function", "function": {"name": …}}'
                raise ValueError(f"expected {forms}")
        names = [tool.function.name for tool in info.data.get("tools", [])]
        if choice.mode == "required" and not names:
            raise ValueError("there is nothing to choose from: the request has no tools")
        if choice.name not in (None, *names):
            raise ValueError(f"there is no tool {choice.name!r}; there are: {', '.join(names)}")
        return choice

    @property
    def offered(self) -> list[Tool]:
        """The tools that the model is told of."""
        return [] if self.tool_choice.mode == "none" else self.tools
