"""The judge's end of the connection: calls the student's functions as if they were its own.

Torch's random numbers go on where they were, gradients flow through a result to the inputs and weights that were passed
in, and where a check looks for changed inputs, they are changed here as well. What the student's process sends can be
wrong in any way, and then the judge says so in a sentence.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch

from course.grade.forms import Unfit
from course.grade.library import library_node, restore_adapters, weights_of
from course.grade.packing import Packer
from course.grade.stubs import Method, Remote, Stub, StubModule, shown, stub, update
from course.grade.unpacking import Unpacker
from course.grade.wire import Lost, TooSlow, Wire
from helpers.checks.elsewhere import changes_wanted
from helpers.checks.expect import CheckFailed
from helpers.checks.fakes import NeverEnds

__all__ = ["Gone", "Judge", "Slow"]

AFTER_INTERRUPT = 5
"""Seconds in which an interrupted call must end."""


class Gone(CheckFailed):
    """The student's process has ended, hangs, or has sent nonsense; nothing more can be judged."""


class Slow(CheckFailed):
    """A call took too long and was interrupted; the next exercise can still be judged."""


class Judge:
    """Calls the functions of a student's process.

    Args:
        wire: the connection.
        seconds: how long a call may take.
        interrupt: called when one takes longer; it should interrupt the student's process.
    """

    def __init__(self, wire: Wire, *, seconds: float = 300, interrupt: Callable[[], None] = lambda: None) -> None:
        self.wire, self.seconds, self.interrupt = wire, seconds, interrupt
        self.given: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.received: dict[int, Any] = {}
        self.contexts: dict[int, Any] = {}
        self.asking: list[int] = []
        self.gone = ""
        self.until = float("inf")
        self._count = itertools.count(1)

    def begin(self, seconds: float) -> None:
        """Begin a cell: all its requests together may take this many seconds."""
        self.until = time.monotonic() + seconds

    def function(self, name: str) -> Any:
        """Return the student's function or class of this name.

        Raises:
            Gone: there is no connection any more.
            NameError: there is nothing of this name.
        """
        return self.request({"do": "find", "name": name})

    def forget(self) -> None:
        """Forget, on both sides, the values of earlier exercises."""
        self.request({"do": "forget"})
        for values in (self.given, self.numbers, self.received):
            values.clear()

    # -- requests

    def request(self, message: dict, args: tuple = (), options: dict | None = None, *, traced: bool = False) -> Any:
        """Send a request, answer calls back while it runs, and return its value or raise its error."""
        if self.gone:
            raise Gone(self.gone)
        if time.monotonic() > self.until and message["do"] not in ("leave", "forget"):
            raise Slow(self._too_slow)
        packer, number = self._packer(), next(self._count)
        message |= {"id": number, "during": self.asking[-1] if self.asking else None}
        message |= {"args": packer.pack(list(args)), "options": packer.pack(dict(options or {}))}
        if traced:
            message["random"] = packer.buffer(torch.get_rng_state().numpy())
        try:
            self.wire.send(message, packer.buffers)
            return self._answer(number, self._differentiable([*args, *(options or {}).values()]) if traced else [])
        except TooSlow:
            self._lose(f"{self._too_slow} It could not be interrupted, so nothing after it could be checked.")
        except Lost:
            self._lose("Python stopped while your function ran, so nothing after that could be checked.")
        except Unfit as error:
            self._lose(f"Your function's process sent {error}.")

    @property
    def _too_slow(self) -> str:
        return f"It took longer than {self.seconds:g} seconds, and was stopped."

    def _lose(self, sentence: str) -> NoReturn:
        self.gone = sentence
        self.wire.close()
        raise Gone(sentence)

    def _answer(self, number: int, differentiable: list) -> Any:
        deadline, interrupted = min(time.monotonic() + self.seconds, max(self.until, time.monotonic() + 5)), False
        while True:
            try:
                message, buffers = self.wire.receive(max(0, deadline - time.monotonic()))
            except TooSlow:
                if interrupted:
                    raise
                self.interrupt()
                deadline, interrupted = time.monotonic() + AFTER_INTERRUPT, True
                continue
            special = partial(self._special, differentiable=differentiable)
            unpacker = Unpacker(buffers, special, lambda value, number: self.received.setdefault(number, value))
            if "ask" in message:
                self._told(message, unpacker)
            elif message.get("done") == number:
                if interrupted:
                    raise Slow(self._too_slow)
                return self._done(message, unpacker)
            else:
                raise Unfit("an answer to a question that was not asked")

    def _done(self, message: dict, unpacker: Unpacker) -> Any:
        if "random" in message:
            state = unpacker.buffer(message["random"])
            if len(state) == len(torch.get_rng_state()):
                torch.set_rng_state(torch.frombuffer(state, dtype=torch.uint8).clone())
        for which, node in _pairs(message.get("changes")):
            if which in self.given and (changes_wanted() or (isinstance(node, dict) and "weights" in node)):
                self._change(self.given[which], node, unpacker)
        for which, node in _pairs(message.get("records")):
            if which in self.contexts:
                update(self.contexts[which], unpacker.unpack(node))
        if "error" in message:
            error = unpacker.unpack(message["error"])
            if not isinstance(error, BaseException):
                raise Unfit("an error that is not one")
            if not isinstance(error, Exception | NeverEnds):  # such as a SystemExit, which the judge must not obey
                error = type(type(error).__name__, (Exception,), {})(str(error))
            error.own_lines = _frames(message.get("frames"))
            raise error
        return unpacker.unpack(message.get("value"))

    def _change(self, value: Any, node: Any, unpacker: Unpacker) -> None:
        if isinstance(node, dict) and "weights" in node:
            own = dict(weights_of(value))
            for name, weight in unpacker.unpack(node["weights"]).items():
                if name in own and torch.is_tensor(weight) and weight.shape == own[name].shape:
                    with torch.no_grad():
                        own[name].copy_(weight)
            restore_adapters(value, unpacker.unpack(node["adapters"]))
        else:
            update(value, unpacker.unpack(node))

    # -- calls back

    def _told(self, message: dict, unpacker: Unpacker) -> None:
        packer, answer = self._packer(), {"told": message["ask"]}
        self.asking.append(message["ask"])
        try:
            answer["value"] = packer.pack(self._asked(message, unpacker))
        except (Gone, Slow, Lost, TooSlow, Unfit):
            raise
        except (Exception, NeverEnds) as error:
            packer = self._packer()
            answer = {"told": message["ask"], "error": packer.pack(error)}
        finally:
            self.asking.pop()
        self.wire.send(answer, packer.buffers)

    def _asked(self, message: dict, unpacker: Unpacker) -> Any:
        target, name = self.given.get(message.get("of")), message.get("name")
        args, options = unpacker.unpack(message["args"]), unpacker.unpack(message["options"])
        if message.get("how") == "next" and isinstance(target, Iterator):
            return [item for item in itertools.islice(target, 1)]
        if name is None and callable(target):
            return target(*args, **options)
        allowed = getattr(type(target), "__elsewhere__", None)
        if allowed is None or not isinstance(name, str) or name.startswith("_") or not allowed(name):
            raise AttributeError(f"{type(target).__name__!r} object has no attribute {name!r}")
        found = getattr(target, name)
        if message.get("how") == "attribute":
            return Method(name) if callable(found) else found
        return found(*args, **options)

    # -- values

    def _packer(self) -> Packer:
        return Packer(self._node, self._refer, self._number)

    def _number(self, value: Any) -> int:
        if id(value) not in self.numbers:
            number = next(self._count)
            self.numbers[id(value)], self.given[number] = number, value  # kept, so that its id stays its own
        return self.numbers[id(value)]

    def _node(self, packer: Packer, value: Any) -> dict | None:
        if isinstance(value, Stub | StubModule):
            return {"yours": value._number}
        if isinstance(value, Method):
            return {"method": value}
        node = library_node(packer, value)
        if node is not None and ("module" in node or "pipeline" in node):
            node["is"] = self._number(value)
        return node

    def _refer(self, value: Any) -> dict:
        kind = type(value)
        if isinstance(value, Iterator):
            how = "iterator"
        elif hasattr(kind, "__elsewhere__"):
            how = "object"
        elif callable(value):
            how = "function"
        else:
            raise TypeError(f"A check gives a student's function a {kind.__name__}, which can't cross to its process.")
        name = getattr(value, "__name__", kind.__name__)
        return {"mine": self._number(value), "how": how, "name": name, "shown": shown(value)}

    def _special(self, unpacker: Unpacker, node: dict, differentiable: list) -> tuple[bool, Any]:
        if "yours" in node:
            if node["yours"] not in self.given:
                raise Unfit("a value that was never there")
            # What the function has changed comes as a copy: what the judge compares with stays as it was.
            return True, unpacker.unpack(node["now"]) if "now" in node else self.given[node["yours"]]
        if "mine" in node:
            return True, stub(self.request, node)
        if ("list" in node or "dict" in node) and node.get("is") in self.received:
            known = self.received[node["is"]]  # the same list or dict as before, with what it holds now
            update(known, unpacker.contents(node))
            return True, known
        if "tensor" in node and "graph" in node:
            value = unpacker.tensor(node["tensor"] | {"grad": False})
            inputs = [tensor for _, tensor in differentiable]
            if not inputs or not value.is_floating_point():
                return True, value.requires_grad_()
            return True, Remote.apply(self.request, node["graph"], [key for key, _ in differentiable], value, *inputs)
        return False, None

    def _differentiable(self, values: list) -> list[tuple[list, torch.Tensor]]:
        """The inputs and the weights to which gradients may flow, each with its key for the other side."""
        found = []
        for value in values:
            number = self.numbers.get(id(value))
            if torch.is_tensor(value) and value.requires_grad:
                found.append(([number, None], value))
            elif isinstance(value, torch.nn.Module) and number is not None:
                found += [([number, name], weight) for name, weight in value.named_parameters() if weight.requires_grad]
        return found

    # -- `helpers.checks.elsewhere`

    @contextmanager
    def entered(self, make: Callable, args: tuple, options: dict) -> Iterator[Any]:
        """Enter a `mirrored` context manager on the student's side."""
        number = next(self._count)
        where = f"{make.__module__}:{make.__qualname__}"
        value = self.request({"do": "enter", "maker": where, "context": number}, args, options)
        self.contexts[number] = value
        try:
            yield value
        finally:
            if not self.gone:
                self.request({"do": "leave", "context": number})
            self.contexts.pop(number)


def _pairs(found: Any) -> list:
    if not isinstance(found, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in found):
        return []
    return [pair for pair in found if type(pair[0]) is int]


def _frames(found: Any) -> list[tuple[int, str]]:
    """The student's own lines in an error's traceback: (number, text)."""
    return [(int(number), str(line)[:500]) for number, line in _pairs(found)]
