"""What a chat request may hold and what its answer holds: OpenAI's chat completions, as far as they are served here.

Fields that are not listed are let pass unread, since each client sends some of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "MAX_CHOICES",
    "ChatRequest",
    "Chunk",
    "ChunkChoice",
    "Completion",
    "CompletionChoice",
    "Delta",
    "ImagePart",
    "Incoming",
    "Message",
    "Reply",
    "Text",
    "TextPart",
    "Usage",
]

MAX_CHOICES = 8
# A list is read no further than its limit: pydantic would keep an error for each wrong item of a million.
MAX_MESSAGES = 200
MAX_PARTS = 50  # of one message
MAX_STOPS = 16
MAX_STOP = 200  # characters


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


class TextPart(Incoming):
    type: Literal["text"]
    text: Text


class ImageUrl(Incoming):
    url: Text


class ImagePart(Incoming):
    type: Literal["image_url"]
    image_url: ImageUrl


class Message(Incoming):
    """One turn; its content is always a list of parts here, whichever way it came."""

    role: Literal["system", "developer", "user", "assistant"]
    content: list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] = Field([], max_length=MAX_PARTS)

    @field_validator("content", mode="before")
    @classmethod
    def _as_parts(cls, value: Any) -> Any:
        return [{"type": "text", "text": value}] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pictures_are_the_users(self) -> Message:
        if self.role != "user" and any(part.type == "image_url" for part in self.content):
            raise ValueError(f"only a user's message may hold pictures, this one is the {self.role}'s")
        return self


class StreamOptions(Incoming):
    include_usage: bool = False


class ResponseFormat(Incoming):
    type: Literal["text", "json_object"]


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

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class Usage(BaseModel):
    """Tokens: of the prompt, its pictures among them, and of all replies together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Reply(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class CompletionChoice(BaseModel):
    index: int
    message: Reply
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    """The whole answer to a request that does not stream."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class Delta(BaseModel):
    """What is new in a reply; fields that are not set are not sent."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: Delta
    finish_reason: Literal["stop", "length"] | None


class Chunk(BaseModel):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
