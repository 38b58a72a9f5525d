"""The runner's HTTP API: submit with `POST /run_assessment`, look up an answer, get the public key."""

from __future__ import annotations

import asyncio
import codecs
import re
from concurrent.futures import Future
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from course.api_error import ApiError
from course.assess.parcel import receive
from course.assess.runner import Answer, Busy, Runner, waiting
from helpers.errors import PlainError
from helpers.submission import Submission, faults

__all__ = ["assessment_router"]

#: Seconds until a client is told that its submission is waiting. Redrawing four pictures takes a few.
ANSWER_TIMEOUT = 100

ID = re.compile("[0-9a-f]{32}")


def assessment_router(runner: Runner, *, root: Path | None = None, timeout: float = ANSWER_TIMEOUT) -> APIRouter:
    """Create the routes. Every response is an `Answer`, with one of these statuses:

    200 passed, failed · 202 waiting · 404 no such submission · 413 too large · 415 not sent as JSON ·
    422 not a submission · 429 too many are waiting · 503 the runner could not judge it.

    Args:
        root: the folder inside which a request may name folders; None if it may name none.
        timeout: how long a request waits for its answer, in seconds.
    """
    router = APIRouter()

    @router.post("/run_assessment")
    async def run_assessment(request: Request) -> JSONResponse:
        # Any web page can make a browser post here, but not with this content type, so no page can submit.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            message = "Send the submission as JSON, with the header Content-Type: application/json."
            return _respond(Answer(result="invalid", messages=[message]), 415)
        try:
            body = await request.body()
        except ApiError as error:
            return _respond(Answer(result="invalid", messages=[error.detail]), error.status_code)
        try:
            id, future = await run_in_threadpool(_hand_in, runner, root, body)
            done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=timeout)
            return _respond(done.pop().result() if done else waiting(id))
        except ValidationError as error:
            return _respond(Answer(result="invalid", messages=await run_in_threadpool(_messages, error)), 422)
        except Busy as error:
            return _respond(Answer(result="error", exceptions=[str(error)]), 429, {"Retry-After": "60"})
        except PlainError as error:
            return _respond(Answer(result="error", exceptions=[str(error)]))

    @router.get("/run_assessment/key")
    async def key() -> JSONResponse:
        """Return the key for verifying certificates, in base64 and as a JSON Web Key."""
        signer = runner.signer
        try:
            return JSONResponse(await run_in_threadpool(lambda: {"public_key": signer.public_key, "jwk": signer.jwk}))
        except PlainError as error:
            return _respond(Answer(result="error", exceptions=[str(error)]))

    @router.get("/run_assessment/{id}")
    async def look_up(id: str) -> JSONResponse:
        try:
            answer = await run_in_threadpool(runner.look_up, id) if ID.fullmatch(id) else None
        except PlainError as error:
            return _respond(Answer(result="error", exceptions=[str(error)]))
        if answer is None:
            message = "There is no submission with this id here: send it to /run_assessment first."
            return _respond(Answer(result="invalid", messages=[message]), 404)
        return _respond(answer)

    return router


def _hand_in(runner: Runner, root: Path | None, body: bytes) -> tuple[str, Future[Answer]]:
    """Return the submission's id and its future answer. Raises what `Runner.hand_in` raises, or a ValidationError."""
    parcel = receive(Submission.model_validate_json(body.removeprefix(codecs.BOM_UTF8)), root)
    return parcel.id, runner.hand_in(parcel)


def _messages(error: ValidationError) -> list[str]:
    messages = faults(error)
    more = f"And {len(messages) - 10} more." if len(messages) > 10 else ""
    hint = "docs/submission.schema.json describes a submission; helpers.submission.pack writes one."
    return [*messages[:10], *filter(None, [more]), hint]


_STATUS = {"waiting": 202, "invalid": 422, "error": 503}


def _respond(answer: Answer, status: int | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(answer.model_dump(), status or _STATUS.get(answer.result, 200), headers)
