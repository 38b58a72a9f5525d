"""``GET /v1/models`` and ``POST /v1/chat/completions`` as OpenAI's clients speak them."""

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
    Finish,
    Reply,
    Usage,
)
from course.serve.choice import Sampling
from course.serve.disconnect import CLIENT_CLOSED_REQUEST, when_gone
from course.serve.engine import Engine, Piece, Replies
from course.serve.errors import error_body
from course.serve.images import download, read_picture
from course.serve.prompts import Prompt, Prompter, pictures_of
from course.serve.schema import ChatRequest
from course.serve.tools import CallReader, grammar

__all__ = ["chat_router"]

log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client closed its connection before the answer was there."""


def chat_router(engine: Engine, model_id: str, *, strict_models: bool, allow_image_urls: bool) -> APIRouter:
    """The routes of one chat model, called ``model_id``.

    Programs written for other services name those services' models. It answers them too and says who it is, in the
    reply's ``model`` and once in the log; with ``strict_models`` they get a 404.
    """
    router = APIRouter()
    card = {"id": model_id, "object": "model", "created": int(time.time()), "owned_by": "picture-this"}

    @lru_cache(maxsize=100)  # each stranger's name is logged once, and forgotten for others
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
        log.warning("There is no model %r here: %r answers in its place.", name, model_id)

    @router.get("/models")
    async def models() -> dict:
        """The model that answers."""
        return {"object": "list", "data": [card]}

    @router.get("/models/{name:path}")
    async def model(name: str) -> dict:
        """The model that answers to this name."""
        check(name)
        return card

    @router.post("/chat/completions")
    async def complete(asked: ChatRequest, request: Request) -> Response:
        """Replies to a conversation, whole or as a stream of server-sent events."""
        check(asked.model)
        shown = pictures_of(asked.messages)

        async def fetch() -> dict[str, bytes]:
            return await download(shown) if allow_image_urls else {}

        def write(prompter: Prompter, downloads: dict[str, bytes]) -> tuple[Prompt, Sampling]:
            pictures = [read_picture(*picture, downloads) for picture in shown]
            prompt = prompter.prompt(asked.messages, pictures, asked.offered)
            return prompt, _sampling(asked, prompt)

        replies = await engine.submit(fetch, write)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_id}
        if asked.stream:
            events = _events(replies, head, asked)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await _whole(replies, head, asked, request)

    return router


def _sampling(asked: ChatRequest, prompt: Prompt) -> Sampling:
    """A limit beyond the model's context is no error: some clients ask for 1,024 tokens whatever the model."""
    forced = asked.tool_choice.mode == "required"
    wanted = [limit for limit in (asked.max_tokens, asked.max_completion_tokens) if limit is not None]
    return Sampling(
        n=asked.n,
        max_tokens=min([prompt.room, *wanted]),
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        stop=() if forced else tuple(asked.stop),  # it is for text; a call is whole
        grammar=grammar(asked),
    )


def _usage(replies: Replies) -> Usage:
    prompt, completion = replies.prompt_tokens, replies.completion_tokens
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


class _Part(NamedTuple):
    """What is new in one reply, read for calls."""

    index: int
    text: str
    calls: list[Call]
    finish_reason: Finish | None


async def _parts(replies: Replies, asked: ChatRequest) -> AsyncIterator[_Part]:
    """The replies as they come, with the calls in them where tools are on offer."""
    offered = {tool.function.name for tool in asked.offered}
    limit = {} if asked.parallel_tool_calls else {"most": 1}
    readers = [CallReader(offered, **limit) for _ in range(asked.n)]
    async for piece in replies:
        yield _read(readers[piece.index], piece) if offered else _Part(piece.index, piece.text, [], piece.finish_reason)


def _read(reader: CallReader, piece: Piece) -> _Part:
    text, calls = reader.read(piece.text, ended=piece.finish_reason is not None)
    reason = "tool_calls" if reader.found and piece.finish_reason == "stop" else piece.finish_reason
    return _Part(piece.index, text, calls, reason)


async def _whole(replies: Replies, head: dict, asked: ChatRequest, request: Request) -> Response:
    texts, reasons = [""] * asked.n, [None] * asked.n
    calls: list[list[Call]] = [[] for _ in range(asked.n)]
    try:
        async with when_gone(request, lambda: replies.cancel(ClientGone())):
            async for part in _parts(replies, asked):
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


async def _events(replies: Replies, head: dict, asked: ChatRequest) -> AsyncIterator[str]:
    """The answer as server-sent events; the generation stops when nobody reads them any more."""
    head = {**head, "object": "chat.completion.chunk"}
    with_usage, called = asked.stream_options.include_usage, [0] * asked.n
    if with_usage:
        head["usage"] = None  # each chunk has the field then, and only the last has the figures

    def event(*choices: ChunkChoice, **more) -> str:
        chunk = Chunk(**{**head, **more}, choices=list(choices))
        return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"

    def news(index: int, reason: Finish | None = None, **delta) -> str:
        return event(ChunkChoice(index=index, delta=Delta(**delta), finish_reason=reason))

    try:
        for index in range(asked.n):
            yield news(index, role="assistant", content="")
        async for part in _parts(replies, asked):
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
