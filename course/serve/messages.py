"""What the messages of a chat request may contain: text, pictures, tool calls and their results."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from course.serve.incoming import Incoming, JsonObject, Text, not_served

__all__ = ["MAX_PARTS", "ImagePart", "Message", "TextPart"]

MAX_PARTS = 50  # per message


def _from_json(value: Any) -> Any:
    """Parse arguments, which come as JSON in a string; "" means none."""
    if not isinstance(value, str):
        return value
    try:
        value = json.loads(value or "{}")
    except (ValueError, RecursionError):
        raise ValueError("the string is not valid JSON") from None
    if not isinstance(value, dict):
        raise ValueError("the string is not a JSON object")
    return value


class TextPart(Incoming):
    type: Literal["text"]
    text: Text


class ImageUrl(Incoming):
    """An object, or just its `url` as a string."""

    url: Text

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value


class ImagePart(Incoming):
    type: Literal["image_url"]
    image_url: ImageUrl


class PastFunction(Incoming):
    name: Annotated[Text, Field(min_length=1)]
    arguments: Annotated[JsonObject, BeforeValidator(_from_json)]


class PastCall(Incoming):
    """A tool call that the assistant made in an earlier turn."""

    id: Text
    type: Literal["function"] = "function"
    function: PastFunction


class Message(Incoming):
    """One message; its content, text or parts, always becomes a list of parts."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] = Field([], max_length=MAX_PARTS)
    tool_calls: list[PastCall] = Field([], max_length=MAX_PARTS)
    tool_call_id: Text | None = None
    function_call: not_served("it belongs to the older API, send tool_calls") = None

    @field_validator("role", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value == "function":
            raise ValueError('the older role "function" is not supported: send role "tool" with its tool_call_id')
        return value

    @field_validator("content", mode="before")
    @classmethod
    def _as_parts(cls, value: Any) -> Any:
        return [{"type": "text", "text": value}] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pictures_are_the_users(self) -> Message:
        if self.role != "user" and any(part.type == "image_url" for part in self.content):
            raise ValueError(f"only user messages may contain pictures, this one is from the {self.role}")
        return self

    @model_validator(mode="after")
    def _calls_are_the_assistants(self) -> Message:
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"only assistant messages may contain tool_calls, this one is from the {self.role}")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool message needs tool_call_id, the id of the call that it answers")
        return self
