"""The one thread that runs the model, and the queue in front of it.

A request waits until there is room for its rows, joins the running batch between two steps, and leaves it when
its replies are done (continuous batching, as in Orca, Yu et al. 2022): no request waits for a longer one to end.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from course.api_error import ApiError
from course.serve.choice import Choice, FinishReason, Grammars, Sampling
from course.serve.prompts import EncodedPrompt, PromptEncoder
from course.serve.schema import MAX_CHOICES

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from course.serve.batch import Batch

__all__ = ["Engine", "Piece", "Replies"]

log = logging.getLogger(__name__)

Fetched = TypeVar("Fetched")


class Piece(NamedTuple):
    """What is new in one reply of a request; the last piece of a reply has its finish reason."""

    index: int
    text: str
    finish_reason: FinishReason | None


@dataclass(eq=False)
class _Job:
    """A request in the engine. `publish` and `on_finished` may be called from the engine's thread."""

    prompt: EncodedPrompt
    choices: list[Choice]
    publish: Callable[[Piece | Exception], None]
    on_finished: Callable[[], None]
    cancelled: bool = False


class Replies:
    """The replies to one request, as they come: `async for piece in replies`.

    Raises the reason given to `cancel`, or `ApiError` if the model fails.
    """

    def __init__(self, job: _Job, events: asyncio.Queue[Piece | Exception]):
        self._job, self._events = job, events

    @property
    def prompt_tokens(self) -> int:
        """The number of tokens in the prompt, pictures included."""
        return len(self._job.prompt.input_ids)

    @property
    def completion_tokens(self) -> int:
        """The number of tokens in all replies so far."""
        return sum(len(choice.tokens) for choice in self._job.choices)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        unfinished = len(self._job.choices)
        while unfinished:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            unfinished -= event.finish_reason is not None

    def cancel(self, reason: Exception | None = None) -> None:
        """Tell the engine to stop; iterating over the replies raises `reason`. Does nothing once they are done."""
        self._job.cancelled = True
        if reason:
            self._events.put_nowait(reason)


class Engine:
    """Answers requests with one model.

    Args:
        model: a LLaVA-style model in evaluation mode.
        processor: its processor, with a chat template.
        rows: the most replies generated at a time, at least `MAX_CHOICES`.
        max_pending: the most requests accepted at a time, waiting ones included; further ones are asked to retry.
    """

    def __init__(
        self, model: PreTrainedModel, processor: ProcessorMixin, *, rows: int = MAX_CHOICES, max_pending: int = 32
    ):
        self.model, self.rows, self.max_pending = model, rows, max_pending
        # Prompts are encoded in one thread and replies decoded in another; a tokenizer is not thread-safe.
        self._executor = ThreadPoolExecutor(1, "prompts")
        self._prompt_encoder = PromptEncoder(model, processor)
        self._tokenizer = deepcopy(processor.tokenizer)
        eos = model.generation_config.eos_token_id
        self._eos_token_ids = eos if isinstance(eos, list) else [self._tokenizer.eos_token_id if eos is None else eos]
        self._pad = self._eos_token_ids[0] if self._tokenizer.pad_token_id is None else self._tokenizer.pad_token_id
        self._grammars = Grammars(self._tokenizer, self._eos_token_ids, model.get_output_embeddings().out_features)
        self._pending = 0  # accepted, unfinished requests; changed on the event loop only
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after the current step."""
        self._inbox.put(None)
        self._thread.join()
        self._executor.shutdown(cancel_futures=True)

    # -- on the event loop

    async def submit(
        self,
        fetch: Callable[[], Awaitable[Fetched]],
        encode: Callable[[PromptEncoder, Fetched], tuple[EncodedPrompt, Sampling]],
    ) -> Replies:
        """Accept a request; return once its prompt is encoded. Errors of `fetch` and `encode` are raised here.

        Args:
            fetch: downloads what `encode` needs, while other requests continue.
            encode: encodes the prompt, in the one thread for that.

        Raises:
            ApiError: status 429 when too many requests are pending, 400 for a grammar that can't be satisfied.
        """
        if self._pending >= self.max_pending:
            raise ApiError(
                429,
                f"The endpoint is already handling {self.max_pending} requests: try again in a second.",
                code="rate_limit_exceeded",
                headers={"Retry-After": "1"},
            )
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self._pending += 1
        try:
            fetched = await fetch()
            prompt, choices = await loop.run_in_executor(self._executor, self._prepare, encode, fetched)
            job = _Job(
                prompt,
                choices,
                publish=lambda event: loop.call_soon_threadsafe(events.put_nowait, event),
                on_finished=lambda: loop.call_soon_threadsafe(self._release),
            )
        except BaseException:
            self._release()
            raise
        self._inbox.put(job)
        return Replies(job, events)

    def _release(self) -> None:
        self._pending -= 1

    # -- in the prompt encoder's thread

    def _prepare(
        self, encode: Callable[[PromptEncoder, Fetched], tuple[EncodedPrompt, Sampling]], fetched: Fetched
    ) -> tuple[EncodedPrompt, list[Choice]]:
        """Encode the prompt and create its replies."""
        prompt, sampling = encode(self._prompt_encoder, fetched)
        matchers = [None] * sampling.n
        if sampling.grammar is not None:
            try:
                matchers = self._grammars.matchers(sampling.grammar, sampling.n)
            except ValueError as error:
                raise _no_valid_reply(str(error)) from error
        choices = [
            Choice(index, sampling, self._tokenizer, self._eos_token_ids, matcher)
            for index, matcher in enumerate(matchers)
        ]
        return prompt, choices

    # -- in the engine's thread

    def _run(self) -> None:
        from course.serve.batch import Batch

        batch = Batch(self.model, self._pad)
        waiting: deque[_Job] = deque()
        running: list[_Job] = []
        while self._receive(waiting, idle=not waiting and not running):
            self._remove_finished(batch, waiting, running)
            try:
                self._advance(batch, running)
                self._admit(batch, waiting, running)
            except Exception as error:
                log.exception("The model failed; the requests in its batch are lost.")
                for job in running:
                    job.publish(ApiError(500, f"The model failed ({type(error).__name__}); see the endpoint's log."))
                    job.cancelled = True
                batch = Batch(self.model, self._pad)

    def _receive(self, waiting: deque[_Job], *, idle: bool) -> bool:
        """Queue new jobs, waiting for one if `idle`; return False when the engine is to stop."""
        while idle or not self._inbox.empty():
            job = self._inbox.get()
            if job is None:
                return False
            waiting.append(job)
            idle = False
        return True

    def _remove_finished(self, batch: Batch, waiting: deque[_Job], running: list[_Job]) -> None:
        """Remove finished rows and cancelled requests."""
        cancelled_choices = {choice for job in running if job.cancelled for choice in job.choices}
        batch.keep(lambda choice: choice.finish_reason is None and choice not in cancelled_choices)
        for job in [*running, *waiting]:
            if job.cancelled or all(choice.finish_reason for choice in job.choices):
                (running if job in running else waiting).remove(job)
                job.on_finished()

    def _advance(self, batch: Batch, running: Sequence[_Job]) -> None:
        if batch.choices:
            self._publish(running, batch.choices, batch.step())

    def _admit(self, batch: Batch, waiting: deque[_Job], running: list[_Job]) -> None:
        """Admit as many requests as there is room for, first come, first served."""
        admitted: list[_Job] = []
        room = self.rows - len(batch.choices)
        while waiting and len(waiting[0].choices) <= room:
            admitted.append(waiting.popleft())
            room -= len(admitted[-1].choices)
        if admitted:
            running += admitted
            texts = batch.add([(job.prompt, job.choices) for job in admitted])
            self._publish(admitted, [choice for job in admitted for choice in job.choices], texts)

    def _publish(self, jobs: Sequence[_Job], choices: Sequence[Choice], texts: Sequence[str]) -> None:
        owner = {choice: job for job in jobs for choice in job.choices}
        for choice, text in zip(choices, texts, strict=True):
            if choice.grammar_error:
                log.warning("A reply could not continue within its grammar: %s", choice.grammar_error)
                owner[choice].publish(_no_valid_reply(choice.grammar_error))
                owner[choice].cancelled = True
            elif text or choice.finish_reason:
                owner[choice].publish(Piece(choice.index, text, choice.finish_reason))


def _no_valid_reply(grammar_error: str) -> ApiError:
    """Return the error for a grammar that no reply matches; only its JSON schemas come from the request."""
    reason = grammar_error.strip().partition("\n")[0].rpartition("JSON schema: ")[2].rstrip(".")
    return ApiError(400, f"No reply can follow the JSON schema in this request's tools or response_format: {reason}.")
