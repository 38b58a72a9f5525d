"""The one thread that runs the model, and the queue before it.

A request waits until there is room for its rows, joins the running batch between two steps, and leaves it when
its replies are done (continuous batching, as in Orca, Yu et al. 2022): nobody waits for a longer reply to end.
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
from course.serve.choice import Choice, Finish, Grammars, Sampling
from course.serve.prompts import Prompt, Prompter
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
    finish_reason: Finish | None


@dataclass(eq=False)
class _Job:
    """A request in the engine. ``publish`` may be called from the engine's thread."""

    prompt: Prompt
    choices: list[Choice]
    publish: Callable[[Piece | Exception], None]
    left: Callable[[], None]
    cancelled: bool = False


class Replies:
    """The replies to one request, as they come: ``async for piece in replies``.

    Raises what ``cancel`` was given, or ``ApiError`` when the model fails.
    """

    def __init__(self, job: _Job, events: asyncio.Queue[Piece | Exception]):
        self._job, self._events = job, events

    @property
    def prompt_tokens(self) -> int:
        """The tokens of the request, those of its pictures among them."""
        return len(self._job.prompt.input_ids)

    @property
    def completion_tokens(self) -> int:
        """The tokens of all replies so far."""
        return sum(len(choice.tokens) for choice in self._job.choices)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        open_ones = len(self._job.choices)
        while open_ones:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            open_ones -= event.finish_reason is not None

    def cancel(self, reason: Exception | None = None) -> None:
        """Tells the engine to stop; whoever reads the replies gets ``reason``. Does nothing when they are done."""
        self._job.cancelled = True
        if reason:
            self._events.put_nowait(reason)


class Engine:
    """Answers requests with one model.

    Args:
        model: a LLaVA-style model in evaluation mode.
        processor: its processor, with a chat template.
        rows: the most replies in the making at a time, at least `MAX_CHOICES`.
        places: the most requests taken in at a time, waiting ones included; beyond that they are told to
            come again.
    """

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, *, rows: int = MAX_CHOICES, places: int = 32):
        self.model, self.rows, self.places = model, rows, places
        # Requests are written in one thread and replies read in another; a tokenizer serves only one at a time.
        self._desk = ThreadPoolExecutor(1, "prompts")
        self._prompter = Prompter(model, processor)
        self._tokenizer = deepcopy(processor.tokenizer)
        ends = model.generation_config.eos_token_id
        self._ends = ends if isinstance(ends, list) else [self._tokenizer.eos_token_id if ends is None else ends]
        self._pad = self._ends[0] if self._tokenizer.pad_token_id is None else self._tokenizer.pad_token_id
        self._grammars = Grammars(self._tokenizer, self._ends, model.get_output_embeddings().out_features)
        self._taken = 0  # requests in hand; changed on the event loop only
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the step that it is in."""
        self._inbox.put(None)
        self._thread.join()
        self._desk.shutdown(cancel_futures=True)

    # -- on the event loop

    async def submit(
        self,
        fetch: Callable[[], Awaitable[Fetched]],
        write: Callable[[Prompter, Fetched], tuple[Prompt, Sampling]],
    ) -> Replies:
        """Takes a request in; returns once its prompt is written. What ``fetch`` and ``write`` raise comes out here.

        Args:
            fetch: gets from elsewhere what ``write`` needs; others go on meanwhile.
            write: writes the prompt, in the one thread for that.

        Raises:
            ApiError: status 429 when there is no place, 400 for a grammar that can't be followed.
        """
        if self._taken >= self.places:
            raise ApiError(
                429,
                f"The endpoint has {self.places} requests in hand already: try again in a second.",
                code="rate_limit_exceeded",
                headers={"Retry-After": "1"},
            )
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self._taken += 1
        try:
            fetched = await fetch()
            prompt, choices = await loop.run_in_executor(self._desk, self._open, write, fetched)
            job = _Job(
                prompt,
                choices,
                publish=lambda event: loop.call_soon_threadsafe(events.put_nowait, event),
                left=lambda: loop.call_soon_threadsafe(self._leave),
            )
        except BaseException:
            self._leave()
            raise
        self._inbox.put(job)
        return Replies(job, events)

    def _leave(self) -> None:
        self._taken -= 1

    # -- at the desk

    def _open(
        self, write: Callable[[Prompter, Fetched], tuple[Prompt, Sampling]], fetched: Fetched
    ) -> tuple[Prompt, list[Choice]]:
        """Writes the prompt, and begins its replies."""
        prompt, sampling = write(self._prompter, fetched)
        matchers = [None] * sampling.n
        if sampling.grammar is not None:
            try:
                matchers = self._grammars.matchers(sampling.grammar, sampling.n)
            except ValueError as error:
                raise _no_way(str(error)) from error
        choices = [
            Choice(index, sampling, self._tokenizer, self._ends, matcher) for index, matcher in enumerate(matchers)
        ]
        return prompt, choices

    # -- in the engine's thread

    def _run(self) -> None:
        from course.serve.batch import Batch

        batch = Batch(self.model, self._pad)
        waiting: deque[_Job] = deque()
        running: list[_Job] = []
        while self._listen(waiting, idle=not waiting and not running):
            self._let_go(batch, waiting, running)
            try:
                self._advance(batch, running)
                self._admit(batch, waiting, running)
            except Exception as error:
                log.exception("The model failed; the requests in its batch are lost.")
                for job in running:
                    job.publish(
                        ApiError(500, f"The model failed ({type(error).__name__}); the endpoint's log says more.")
                    )
                    job.cancelled = True
                batch = Batch(self.model, self._pad)

    def _listen(self, waiting: deque[_Job], *, idle: bool) -> bool:
        """Takes in what has arrived, waiting for it when ``idle``; False when the engine is to stop."""
        while idle or not self._inbox.empty():
            job = self._inbox.get()
            if job is None:
                return False
            waiting.append(job)
            idle = False
        return True

    def _let_go(self, batch: Batch, waiting: deque[_Job], running: list[_Job]) -> None:
        """Takes out the rows that are done, and the requests that nobody waits for."""
        gone = {choice for job in running if job.cancelled for choice in job.choices}
        batch.keep(lambda choice: choice.finish_reason is None and choice not in gone)
        for job in [*running, *waiting]:
            if job.cancelled or all(choice.finish_reason for choice in job.choices):
                (running if job in running else waiting).remove(job)
                job.left()

    def _advance(self, batch: Batch, running: Sequence[_Job]) -> None:
        if batch.choices:
            self._publish(running, batch.choices, batch.step())

    def _admit(self, batch: Batch, waiting: deque[_Job], running: list[_Job]) -> None:
        """Lets in, first come, first served, as many requests as there is room for."""
        new: list[_Job] = []
        room = self.rows - len(batch.choices)
        while waiting and len(waiting[0].choices) <= room:
            new.append(waiting.popleft())
            room -= len(new[-1].choices)
        if new:
            running += new
            texts = batch.add([(job.prompt, job.choices) for job in new])
            self._publish(new, [choice for job in new for choice in job.choices], texts)

    def _publish(self, jobs: Sequence[_Job], choices: Sequence[Choice], texts: Sequence[str]) -> None:
        owner = {choice: job for job in jobs for choice in job.choices}
        for choice, text in zip(choices, texts, strict=True):
            if choice.fault:
                log.warning("A reply could not go on within its grammar: %s", choice.fault)
                owner[choice].publish(_no_way(choice.fault))
                owner[choice].cancelled = True
            elif text or choice.finish_reason:
                owner[choice].publish(Piece(choice.index, text, choice.finish_reason))


def _no_way(fault: str) -> ApiError:
    """For a grammar that has no reply; its JSON schemas are the request's own, all else in it is ours."""
    reason = fault.strip().partition("\n")[0].rpartition("JSON schema: ")[2].rstrip(".")
    return ApiError(400, f"No reply can follow the JSON schema in this request's tools or response_format: {reason}.")
