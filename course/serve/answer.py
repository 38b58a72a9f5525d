"""The response to a chat request, whole or as a stream of chunks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

__all__ = [
    "Call",
    "CalledFunction",
    "Chunk",
    "ChunkChoice",
    "Completion",
    "CompletionChoice",
    "Delta",
    "DeltaCall",
    "FinishReason",
    "Reply",
    "Usage",
]

FinishReason = Literal["stop", "length", "tool_calls"]


class Usage(BaseModel):
    """Token counts: of the prompt, pictures included, and of all replies together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CalledFunction(BaseModel):
    """`arguments` is a JSON object, as a string."""

    name: str
    arguments: str


class Call(BaseModel):
    """A tool call in the reply."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Reply(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[Call] = []

    @model_serializer(mode="wrap")
    def _without_empty_list(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name != "tool_calls" or value}


class CompletionChoice(BaseModel):
    index: int
    message: Reply
    logprobs: None = None
    finish_reason: FinishReason


class Completion(BaseModel):
    """The response to a request that does not stream."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class DeltaCall(BaseModel):
    """Tool call number `index` of a reply, complete in one delta."""

    index: int
    id: str
    type: Literal["function"]
    function: CalledFunction


class Delta(BaseModel):
    """What is new in a reply; fields that are not set are not sent."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[DeltaCall] | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: Delta
    finish_reason: FinishReason | None


class Chunk(BaseModel):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
