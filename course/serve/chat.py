"""`GET /v1/models` and `POST /v1/chat/completions` as OpenAI's clients expect them."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from course.api_error import ApiError
from course.serve.answer import (
    Call,
    Chunk,
    ChunkChoice,
    Completion,
    CompletionChoice,
    Delta,
    DeltaCall,
    FinishReason,
    Reply,
    Usage,
)
from course.serve.choice import Sampling
from course.serve.disconnect import CLIENT_CLOSED_REQUEST, on_disconnect
from course.serve.engine import Engine, Piece, Replies
from course.serve.errors import error_body
from course.serve.images import download, read_picture
from course.serve.prompts import EncodedPrompt, PromptEncoder, pictures_of
from course.serve.schema import ChatRequest
from course.serve.tools import CallReader, grammar

__all__ = ["chat_router"]

log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client closed its connection before the response was ready."""


def chat_router(engine: Engine, model_id: str, *, strict_models: bool, allow_image_urls: bool) -> APIRouter:
    """Create the routes of one chat model, called `model_id`.

    Programs written for other services name those services' models. It answers them too and gives its own name in the
    reply's `model` and once in the log; with `strict_models` they get a 404.
    """
    router = APIRouter()
    card = {"id": model_id, "object": "model", "created": int(time.time()), "owned_by": "picture-this"}

    @lru_cache(maxsize=100)  # logs each other name once, as long as it is cached
    def check(name: str) -> None:
        if name == model_id:
            return
        if strict_models:
            raise ApiError(
                404,
                f"There is no model {name!r} here; this endpoint serves {model_id!r}.",
                code="model_not_found",
                param="model",
            )
        log.warning("There is no model %r here: %r answers instead.", name, model_id)

    @router.get("/models")
    async def models() -> dict:
        """The available model."""
        return {"object": "list", "data": [card]}

    @router.get("/models/{name:path}")
    async def model(name: str) -> dict:
        """The model that answers requests for this name."""
        check(name)
        return card

    @router.post("/chat/completions")
    async def complete(body: ChatRequest, request: Request) -> Response:
        """Reply to a conversation, whole or as a stream of server-sent events."""
        check(body.model)
        sources = pictures_of(body.messages)

        async def fetch() -> dict[str, bytes]:
            return await download(sources) if allow_image_urls else {}

        def encode(encoder: PromptEncoder, downloads: dict[str, bytes]) -> tuple[EncodedPrompt, Sampling]:
            pictures = [read_picture(*source, downloads) for source in sources]
            prompt = encoder.encode(body.messages, pictures, body.offered)
            return prompt, _sampling(body, prompt)

        replies = await engine.submit(fetch, encode)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_id}
        if body.stream:
            events = _events(replies, head, body)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await _whole(replies, head, body, request)

    return router


def _sampling(body: ChatRequest, prompt: EncodedPrompt) -> Sampling:
    """A limit beyond the model's context is not an error: some clients always ask for 1,024 tokens."""
    forced = body.tool_choice.mode == "required"
    limits = [limit for limit in (body.max_tokens, body.max_completion_tokens) if limit is not None]
    return Sampling(
        n=body.n,
        max_tokens=min([prompt.room, *limits]),
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=() if forced else tuple(body.stop),  # stop texts are for text, and a call must be complete
        grammar=grammar(body),
    )


def _usage(replies: Replies) -> Usage:
    prompt, completion = replies.prompt_tokens, replies.completion_tokens
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


class _Part(NamedTuple):
    """What is new in one reply, with tool calls parsed."""

    index: int
    text: str
    calls: list[Call]
    finish_reason: FinishReason | None


async def _parts(replies: Replies, body: ChatRequest) -> AsyncIterator[_Part]:
    """Yield the replies as they come, with tool calls parsed if the request has tools."""
    offered = {tool.function.name for tool in body.offered}
    limit = {} if body.parallel_tool_calls else {"max_calls": 1}
    readers = [CallReader(offered, **limit) for _ in range(body.n)]
    async for piece in replies:
        yield _read(readers[piece.index], piece) if offered else _Part(piece.index, piece.text, [], piece.finish_reason)


def _read(reader: CallReader, piece: Piece) -> _Part:
    text, calls = reader.read(piece.text, ended=piece.finish_reason is not None)
    reason = "tool_calls" if reader.found and piece.finish_reason == "stop" else piece.finish_reason
    return _Part(piece.index, text, calls, reason)


async def _whole(replies: Replies, head: dict, body: ChatRequest, request: Request) -> Response:
    texts, reasons = [""] * body.n, [None] * body.n
    calls: list[list[Call]] = [[] for _ in range(body.n)]
    try:
        async with on_disconnect(request, lambda: replies.cancel(ClientGone())):
            async for part in _parts(replies, body):
                texts[part.index] += part.text
                calls[part.index] += part.calls
                reasons[part.index] = part.finish_reason
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    choices = [
        CompletionChoice(
            index=index,
            message=Reply(content=text or (None if called else ""), tool_calls=called),
            finish_reason=reason,
        )
        for index, (text, called, reason) in enumerate(zip(texts, calls, reasons, strict=True))
    ]
    answer = Completion(**head, choices=choices, usage=_usage(replies))
    return Response(answer.model_dump_json(), media_type="application/json")


async def _events(replies: Replies, head: dict, body: ChatRequest) -> AsyncIterator[str]:
    """Yield the response as server-sent events; generation stops when the client stops reading."""
    head = {**head, "object": "chat.completion.chunk"}
    with_usage, called = body.stream_options.include_usage, [0] * body.n
    if with_usage:
        head["usage"] = None  # then every chunk has the field, but only the last has numbers

    def event(*choices: ChunkChoice, **more) -> str:
        chunk = Chunk(**{**head, **more}, choices=list(choices))
        return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"

    def news(index: int, reason: FinishReason | None = None, **delta) -> str:
        return event(ChunkChoice(index=index, delta=Delta(**delta), finish_reason=reason))

    try:
        for index in range(body.n):
            yield news(index, role="assistant", content="")
        async for part in _parts(replies, body):
            if part.text:
                yield news(part.index, content=part.text)
            for call in part.calls:
                yield news(part.index, tool_calls=[DeltaCall(index=called[part.index], **call.model_dump())])
                called[part.index] += 1
            if part.finish_reason:
                yield news(part.index, part.finish_reason)
        if with_usage:
            yield event(usage=_usage(replies))
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield f"data: {json.dumps(error_body(error))}\n\n"
    finally:
        replies.cancel()
