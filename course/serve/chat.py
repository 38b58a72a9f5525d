"""``GET /v1/models`` and ``POST /v1/chat/completions`` as OpenAI's clients speak them."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from course.serve.choice import Sampling
from course.serve.engine import Engine, Replies
from course.serve.errors import ApiError, error_body
from course.serve.images import download, read_picture
from course.serve.prompts import Prompt, Prompter, pictures_of
from course.serve.schema import (
    ChatRequest,
    Chunk,
    ChunkChoice,
    Completion,
    CompletionChoice,
    Delta,
    Reply,
    Usage,
)

__all__ = ["chat_router"]


class ClientGone(Exception):
    """The client closed its connection before the answer was there."""


def chat_router(engine: Engine, model_id: str, *, allow_image_urls: bool) -> APIRouter:
    """The routes of one chat model, called ``model_id``."""
    router = APIRouter()
    started = int(time.time())

    @router.get("/models")
    async def models() -> dict:
        card = {"id": model_id, "object": "model", "created": started, "owned_by": "picture-this"}
        return {"object": "list", "data": [card]}

    @router.post("/chat/completions")
    async def complete(asked: ChatRequest, request: Request) -> Response:
        if asked.model != model_id:
            raise ApiError(
                404,
                f"There is no model {asked.model!r} here; this endpoint serves {model_id!r}.",
                code="model_not_found",
                param="model",
            )

        shown = pictures_of(asked.messages)

        async def fetch() -> dict[str, bytes]:
            return await download(shown) if allow_image_urls else {}

        def write(prompter: Prompter, downloads: dict[str, bytes]) -> tuple[Prompt, Sampling]:
            prompt = prompter.prompt(asked.messages, [read_picture(*picture, downloads) for picture in shown])
            return prompt, _sampling(asked, prompt)

        replies = await engine.submit(fetch, write)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_id}
        if asked.stream:
            events = _events(replies, head, asked.n, with_usage=asked.stream_options.include_usage)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await _whole(replies, head, asked.n, request)

    return router


def _sampling(asked: ChatRequest, prompt: Prompt) -> Sampling:
    """A limit beyond the model's context is no error: some clients ask for 1,024 tokens whatever the model."""
    wanted = [limit for limit in (asked.max_tokens, asked.max_completion_tokens) if limit is not None]
    return Sampling(
        n=asked.n,
        max_tokens=min([prompt.room, *wanted]),
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        stop=tuple(asked.stop),
        json=asked.response_format.type == "json_object",
    )


def _usage(replies: Replies) -> Usage:
    prompt, completion = replies.prompt_tokens, replies.completion_tokens
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


async def _whole(replies: Replies, head: dict, n: int, request: Request) -> Response:
    texts, reasons = [""] * n, [None] * n
    watch = asyncio.create_task(_cancel_when_gone(request, replies))
    try:
        async for piece in replies:
            texts[piece.index] += piece.text
            reasons[piece.index] = piece.finish_reason
    except ClientGone:
        return Response(status_code=499)  # the word for it in servers' logs; nobody is there to read it
    finally:
        watch.cancel()
    choices = [
        CompletionChoice(index=index, message=Reply(content=text), finish_reason=reason)
        for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
    ]
    answer = Completion(**head, choices=choices, usage=_usage(replies))
    return Response(answer.model_dump_json(), media_type="application/json")


async def _cancel_when_gone(request: Request, replies: Replies) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    replies.cancel(ClientGone())


async def _events(replies: Replies, head: dict, n: int, *, with_usage: bool) -> AsyncIterator[str]:
    """The answer as server-sent events; the generation stops when nobody reads them any more."""
    head = {**head, "object": "chat.completion.chunk"}
    if with_usage:
        head["usage"] = None  # each chunk has the field then, and only the last has the figures

    def event(*choices: ChunkChoice, **more) -> str:
        chunk = Chunk(**{**head, **more}, choices=list(choices))
        return f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"

    try:
        for index in range(n):
            yield event(ChunkChoice(index=index, delta=Delta(role="assistant", content=""), finish_reason=None))
        async for piece in replies:
            if piece.text:
                yield event(ChunkChoice(index=piece.index, delta=Delta(content=piece.text), finish_reason=None))
            if piece.finish_reason:
                yield event(ChunkChoice(index=piece.index, delta=Delta(), finish_reason=piece.finish_reason))
        if with_usage:
            yield event(usage=_usage(replies))
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield f"data: {json.dumps(error_body(error))}\n\n"
    finally:
        replies.cancel()
