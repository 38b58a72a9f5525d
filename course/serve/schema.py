"""What a chat request may contain: OpenAI's chat completions, as far as they are supported here.

Unsupported settings that would change a reply are refused by name. Unlisted fields are ignored, because every client
sends some of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from course.serve.incoming import Incoming, JsonObject, Text, not_served
from course.serve.messages import Message

__all__ = ["MAX_CHOICES", "ChatRequest", "Function", "Tool", "ToolChoice"]

MAX_CHOICES = 8
# Lists have limits: pydantic would keep an error for each wrong item of a million.
MAX_MESSAGES = 200
MAX_STOPS = 16
MAX_STOP = 200  # characters
MAX_TOOLS = 64
MAX_NAME = 200  # characters of a model's name

LEAVE_OUT = "leave it out"


class Function(Incoming):
    """A tool's function; `parameters` is the JSON schema of its arguments."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text = ""
    parameters: JsonObject = Field({})

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
    """Whether a reply calls tools: never, if the model chooses to, or always (the one called `name`, if given)."""

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
        """The JSON schema that a reply must match; None if it may be any text."""
        if self.type == "json_schema":
            return self.json_schema.of_reply
        return {"type": "object"} if self.type == "json_object" else None


class ChatRequest(Incoming):
    """The body of `POST /v1/chat/completions`.

    Without `max_tokens` a reply may fill the model's context. With a `seed`, the same request gives the same replies.
    """

    model: Annotated[Text, Field(max_length=MAX_NAME)]
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
    functions: not_served("it belongs to the older API, send tools") = None
    function_call: not_served("it belongs to the older API, send tool_choice") = None
    logprobs: not_served(LEAVE_OUT, False) = None
    top_logprobs: not_served(LEAVE_OUT, 0) = None
    logit_bias: not_served(LEAVE_OUT, {}) = None
    frequency_penalty: not_served(LEAVE_OUT, 0) = None
    presence_penalty: not_served(LEAVE_OUT, 0) = None
    repetition_penalty: not_served(LEAVE_OUT, 1) = None
    top_k: not_served(LEAVE_OUT, 0, -1) = None
    min_p: not_served(LEAVE_OUT, 0) = None
    modalities: not_served(LEAVE_OUT, ["text"]) = None
    audio: not_served(LEAVE_OUT) = None
    web_search_options: not_served(LEAVE_OUT) = None

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("tools")
    @classmethod
    def _with_distinct_names(cls, tools: list[Tool]) -> list[Tool]:
        names = [tool.function.name for tool in tools]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two tools are named {twice!r}")
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
            raise ValueError(f"there is no tool {choice.name!r}; available: {', '.join(names)}")
        return choice

    @property
    def offered(self) -> list[Tool]:
        """The tools offered to the model."""
        return [] if self.tool_choice.mode == "none" else self.tools
