"""The two ends of the connection between the judge and the student's process.

`Judge` calls the student's functions as if they were its own; `Student` runs them and calls back what it was given.
Torch's random numbers go on where they were, gradients flow through a result to the inputs and weights that were passed
in, and where a check looks for changed inputs, they are changed here as well. What the student's process sends can be
wrong in any way, and then the judge says so in a sentence.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from course.grade.library import adapters_of, library_node, library_value, restore_adapters, weights_of
from course.grade.values import Packer, Unfit, Unpacker, _named, digest
from course.grade.wire import Lost, TooSlow, Wire
from helpers.checks.answers import own_lines
from helpers.checks.elsewhere import changes_wanted
from helpers.checks.expect import CheckFailed
from helpers.checks.fakes import NeverEnds

__all__ = ["Gone", "Judge", "Slow", "Student"]

AFTER_INTERRUPT = 5
"""Seconds in which an interrupted call must end."""


class Gone(CheckFailed):
    """The student's process has ended, hangs, or has sent nonsense; nothing more can be judged."""


class Slow(CheckFailed):
    """A call took too long and was interrupted; the next exercise can still be judged."""


# ---------------------------------------------------------------- the judge's end


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
        """Begin a cell: all its requests together may take so many seconds."""
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

    def _lose(self, sentence: str) -> None:
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
                _update(self.contexts[which], unpacker.unpack(node))
        if "error" in message:
            error = unpacker.unpack(message["error"])
            if not isinstance(error, BaseException):
                raise Unfit("an error that is none")
            if not isinstance(error, Exception | NeverEnds):  # such as a SystemExit, which is not the judge's to obey
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
            _update(value, unpacker.unpack(node))

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
            return _Method(name) if callable(found) else found
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
        if isinstance(value, Stub | StubModule) and value._judge is self:
            return {"yours": value._number}
        if isinstance(value, _Method):
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
        return {"mine": self._number(value), "how": how, "name": name, "shown": _shown(value)}

    def _special(self, unpacker: Unpacker, node: dict, differentiable: list) -> tuple[bool, Any]:
        if "yours" in node:
            if node["yours"] not in self.given:
                raise Unfit("a value that was never there")
            # What the function has changed comes as a copy: what the judge compares with stays as it was.
            return True, unpacker.unpack(node["now"]) if "now" in node else self.given[node["yours"]]
        if "mine" in node:
            return True, _stub(self, node)
        if ("list" in node or "dict" in node) and node.get("is") in self.received:
            known = self.received[node["is"]]  # the same list or dict as before, with what it holds now
            _update(known, unpacker._unpacked(node, 1))
            return True, known
        if "tensor" in node and "graph" in node:
            value = unpacker._tensor(node["tensor"] | {"grad": False})
            inputs = [tensor for _, tensor in differentiable]
            if not inputs or not value.is_floating_point():
                return True, value.requires_grad_()
            return True, _Remote.apply(self, node["graph"], [key for key, _ in differentiable], value, *inputs)
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


class _Method(str):
    """The name of a method, which is called by another question."""


class _Remote(torch.autograd.Function):
    """A result of the student's function, whose gradients are asked for on the other side."""

    @staticmethod
    def forward(ctx, judge, number, keys, value, *inputs):
        ctx.judge, ctx.number, ctx.keys = judge, number, keys
        return value.clone()

    @staticmethod
    def backward(ctx, along):
        grads = ctx.judge.request({"do": "grad", "of": ctx.number, "wrt": ctx.keys}, (along,))
        if not isinstance(grads, list) or len(grads) != len(ctx.keys):
            raise Unfit("gradients that are not one for each input")
        return None, None, None, None, *grads


class Stub:
    """Stands for something on the student's side that can't cross by value."""

    def __init__(self, judge: Judge, number: int, shown: str) -> None:
        self.__dict__.update(_judge=judge, _number=number, _repr=shown)

    def __repr__(self) -> str:
        return self._repr

    def __call__(self, *args, **options) -> Any:
        return self._judge.request({"do": "call", "of": self._number}, args, options, traced=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in ("__name__", "__globals__", "__borrowed__"):
            raise AttributeError(name)
        return self._judge.request({"do": "attribute", "of": self._number, "name": name})

    def __setattr__(self, name: str, value: Any) -> None:
        self._judge.request({"do": "set", "of": self._number, "name": name}, (value,))


class StubIterator(Stub, Iterator):
    """Stands for an iterator on the student's side."""

    def __next__(self) -> Any:
        found = self._judge.request({"do": "next", "of": self._number})
        if not found:
            raise StopIteration
        return found[0]


class StubModule(torch.nn.Module):
    """Stands for a torch module on the student's side."""

    def __init__(self, judge: Judge, number: int, shown: str) -> None:
        super().__init__()
        self._judge, self._number, self._repr = judge, number, shown

    def __repr__(self) -> str:
        return self._repr

    def forward(self, *args, **options) -> Any:
        """Call the module in the mode, training or evaluation, that this one is in."""
        message = {"do": "call", "of": self._number, "training": self.training}
        return self._judge.request(message, args, options, traced=torch.is_grad_enabled())


def _stub(judge: Judge, node: dict) -> Any:
    bases = {"iterator": (StubIterator,), "module": (StubModule,)}.get(node["how"], (Stub,))
    kind = type(str(node["type"])[:100], bases, {})
    return kind(judge, int(node["mine"]), str(node["shown"])[:2000])


def _pairs(found: Any) -> list:
    if not isinstance(found, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in found):
        return []
    return [pair for pair in found if type(pair[0]) is int]


def _frames(found: Any) -> list[tuple[int, str]]:
    """The student's own lines in an error's traceback: (number, text)."""
    return [(int(number), str(line)[:500]) for number, line in _pairs(found)]


def _shown(value: Any) -> str:
    try:
        return repr(value)[:2000]
    except Exception:
        return type(value).__name__


def _update(old: Any, new: Any) -> None:
    """Make a value equal to another one of its kind, in place."""
    from PIL import Image

    if isinstance(old, list) and isinstance(new, list):
        old[:] = new
    elif isinstance(old, dict) and isinstance(new, dict):
        old.clear()
        old.update(new)
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for mine, other in zip(old, new, strict=False):
            _update(mine, other)
    elif torch.is_tensor(old) and torch.is_tensor(new):
        with torch.no_grad():
            old.set_(new.detach()) if old.is_leaf and old.shape != new.shape else old.data.copy_(new)
    elif isinstance(old, torch.Generator) and isinstance(new, torch.Generator):
        old.set_state(new.get_state())
    elif isinstance(old, Image.Image) and isinstance(new, Image.Image):
        old.im, old._mode, old._size, old.palette, old.info = new.im, new.mode, new.size, new.palette, new.info
    elif type(old).__module__ == "numpy" and type(new) is type(old) and old.shape == new.shape:
        old[...] = new
    elif type(old) is type(new) and hasattr(old, "__dict__"):
        old.__dict__.update(new.__dict__)


# ---------------------------------------------------------------- the student's end


class Student:
    """Runs the judge's requests in the student's process, one after the other, in the thread that calls `serve`.

    Args:
        wire: the connection.
        namespace: the names of the notebook.
        run: runs a cell and returns its outputs.
    """

    def __init__(self, wire: Wire, namespace: dict, run: Callable[[str], list] = lambda source: []) -> None:
        self.wire, self.namespace, self.run = wire, namespace, run
        self.inbox: queue.SimpleQueue = queue.SimpleQueue()
        self.waiting: dict[int, queue.SimpleQueue] = {}
        self.made: dict[int, Any] = {}
        self.known: dict[int, tuple[int, Any, Any]] = {}
        self.by_number: dict[int, Any] = {}
        self.own: dict[int, tuple[int, Any]] = {}
        self.contexts: dict[int, tuple[Any, Any, bytes]] = {}
        self._count = itertools.count(1)

    def serve(self) -> None:
        """Do what the judge asks for until the connection is closed."""
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            try:
                if (arrived := self.inbox.get()) is None:
                    return
                self._do(*arrived)
            except KeyboardInterrupt:  # one that came too late
                continue

    def _read(self) -> None:
        try:
            while True:
                message, buffers = self.wire.receive()
                waits = message["told"] if "told" in message else message.get("during")
                self.waiting.get(waits, self.inbox).put((message, buffers))
        except Lost:
            for box in (self.inbox, *self.waiting.values()):
                box.put(None)

    def _do(self, message: dict, buffers: list) -> None:
        answer: dict = {"done": message["id"]}
        arrived: list[tuple[int, Any, Any]] = []
        packer = self._packer()
        try:
            unpacker = Unpacker(buffers, self._special, lambda value, number: arrived.append(self._keep(value, number)))
            args, options = unpacker.unpack(message["args"]), unpacker.unpack(message["options"])
            if "random" in message:
                torch.set_rng_state(torch.frombuffer(unpacker.buffer(message["random"]), dtype=torch.uint8).clone())
            answer["value"] = packer.pack(self._done(message, args, options))
        except BaseException as error:
            packer = self._packer()
            answer |= {"value": None, "error": packer.pack(error), "frames": list(map(list, own_lines(error)))}
        if "random" in message:
            answer["random"] = packer.buffer(torch.get_rng_state().numpy())
        answer["changes"] = [pair for each in arrived if (pair := self._changed(packer, *each))]
        answer["records"] = self._records(packer)
        self.wire.send(answer, packer.buffers)

    def _done(self, message: dict, args: list, options: dict) -> Any:
        match message["do"]:
            case "find":
                if message["name"] not in self.namespace:
                    raise NameError(f"name {message['name']!r} is not defined", name=message["name"])
                return self.namespace[message["name"]]
            case "run":
                return self.run(message["source"])
            case "forget":
                for values in (self.made, self.known, self.by_number, self.own):
                    values.clear()
                return None
            case "enter":
                return self._enter(message, args, options)
            case "leave":
                manager, _, _ = self.contexts[message["context"]]
                self.left = message["context"], self.contexts.pop(message["context"])
                manager.__exit__(None, None, None)
                return None
            case "grad":
                wrt = [self.by_number[n] if name is None else self.weights[n][name] for n, name in message["wrt"]]
                along = args[0]
                result = self.made[message["of"]]
                return list(torch.autograd.grad(result, wrt, along, retain_graph=True, allow_unused=True))
        target = self.made[message["of"]]
        match message["do"]:
            case "call":
                if "training" in message:
                    target.train(message["training"])
                with torch.set_grad_enabled("random" in message or "training" not in message):
                    return target(*args, **options)
            case "attribute":
                found = getattr(target, message["name"])
                return Names(found) if message["name"] == "__globals__" else found
            case "set":
                return setattr(target, message["name"], args[0])
            case "next":
                return list(itertools.islice(target, 1))
        raise ValueError(f"unknown request {message['do']!r}")

    def _enter(self, message: dict, args: list, options: dict) -> Any:
        make = _named(message["maker"])
        if not getattr(make, "__mirrored__", False):
            raise ValueError(f"{message['maker']} is not mirrored")
        manager = make(*args, **options)
        value = manager.__enter__()
        self.contexts[message["context"]] = manager, value, b""
        return value

    def _records(self, packer: Packer) -> list:
        """What the context managers have recorded, if it has changed."""
        found = []
        left = [self.left] if getattr(self, "left", None) else []
        self.left = None
        for number, (manager, value, before) in [*self.contexts.items(), *left]:
            if isinstance(value, (str, int, float, type(None))):
                continue
            trial = Packer(self._node, _by_id)
            now = digest(trial.contents(value) if isinstance(value, (list, dict)) else trial.pack(value), trial.buffers)
            if now != before:
                found.append([number, packer.pack(value)])
                if number in self.contexts:
                    self.contexts[number] = manager, value, now
        return found

    # -- questions to the judge

    def ask(self, number: int, name: str | None = None, args: tuple = (), options: dict | None = None, how="") -> Any:
        """Call what the judge has given, and return its value or raise its error."""
        packer, question, box = self._packer(), next(self._count), queue.SimpleQueue()
        self.waiting[question] = box
        message = {"ask": question, "of": number, "name": name, "how": how}
        message |= {"args": packer.pack(list(args)), "options": packer.pack(dict(options or {}))}
        self.wire.send(message, packer.buffers)
        try:
            while True:
                arrived = box.get()
                if arrived is None:
                    raise SystemExit("the judge is gone")
                answer, buffers = arrived
                if "do" in answer:
                    self._do(answer, buffers)
                    continue
                unpacker = Unpacker(buffers, self._special, self._keep)
                if "error" in answer:
                    raise unpacker.unpack(answer["error"])
                return unpacker.unpack(answer["value"])
        finally:
            del self.waiting[question]

    # -- values

    def _packer(self) -> Packer:
        return Packer(self._node, self._refer, self._track)

    def _track(self, value: Any) -> int | None:
        """Number a list or dict, so that the judge knows it again."""
        if type(value) not in (list, dict):
            return None
        if id(value) not in self.own:
            self.own[id(value)] = next(self._count), value  # kept, so that its id stays its own
        return self.own[id(value)][0]

    def _node(self, packer: Packer, value: Any) -> dict | None:
        if isinstance(value, Given):
            return {"yours": value._number}
        node = self._reference(packer, value)
        if node and isinstance(value, (list, dict)) and (now := self._state(value)) != self.known[id(value)][2]:
            self.known[id(value)] = node["yours"], value, now
            node["now"] = packer.contents(value)
        if node is None and torch.is_tensor(value) and value.grad_fn is not None:
            return packer._tensor(value) | {"graph": self._number(value)}
        return node

    def _reference(self, packer: Packer, value: Any) -> dict | None:
        """The node of a value that the judge has given, or None."""
        known = self.known.get(id(value))
        return {"yours": known[0]} if known is not None and known[1] is value else None

    def _number(self, value: Any) -> int:
        number = next(self._count)
        self.made[number] = value
        return number

    def _refer(self, value: Any) -> dict:
        how = "iterator" if isinstance(value, Iterator) else "module" if isinstance(value, torch.nn.Module) else ""
        node = {"mine": self._number(value), "how": how, "shown": _shown(value)}
        return node | {"type": type(value).__name__}

    def _keep(self, value: Any, number: int) -> tuple[int, Any, Any]:
        """Remember a value of the judge's: it is the same one when it goes back."""
        state = self._state(value)
        self.known[id(value)], self.by_number[number] = (number, value, state), value
        return number, value, state

    def _state(self, value: Any) -> Any:
        """What shows later whether the value has been changed."""
        if isinstance(value, torch.nn.Module):
            return {name: (weight, weight._version) for name, weight in weights_of(value)}
        trial = Packer(self._reference, _by_id)
        return digest(trial.contents(value), trial.buffers) if not isinstance(value, BaseException) else None

    def _changed(self, packer: Packer, number: int, value: Any, before: Any) -> list | None:
        if isinstance(value, BaseException) or before is None:
            return None
        if isinstance(before, dict):
            changed = {name: weight for name, (weight, version) in before.items() if weight._version != version}
            adapters = adapters_of(value)
            if not changed and not adapters:
                return None
            return [number, {"weights": packer.pack(changed), "adapters": packer.pack(adapters)}]
        if (now := self._state(value)) == before:
            return None
        self.known[id(value)] = number, value, now
        return [number, packer.contents(value)]

    @property
    def weights(self) -> dict[int, dict]:
        """The weights of each module that was given, by name."""
        return {n: dict(weights_of(each)) for n, each in self.by_number.items() if isinstance(each, torch.nn.Module)}

    def _special(self, unpacker: Unpacker, node: dict) -> tuple[bool, Any]:
        if "yours" in node:
            return True, self.made[node["yours"]]
        if "mine" in node:
            kind = {"iterator": GivenIterator, "function": GivenFunction}.get(node["how"], GivenObject)
            return True, kind(self, node["mine"], node["name"], node["shown"])
        if "method" in node:
            return True, _Method(node["method"])
        return library_value(unpacker, node)


class Names:
    """Access to a function's globals by name."""

    def __init__(self, names: dict) -> None:
        self._names = names

    def get(self, name: str) -> Any:
        """Return what has this name, or None."""
        return self._names.get(name)


class Given:
    """Stands for something of the judge's that can't cross by value."""

    def __init__(self, student: Student, number: int, name: str, shown: str) -> None:
        self.__dict__.update(_student=student, _number=number, _shown=shown, __name__=name)

    def __repr__(self) -> str:
        return self._shown

    def __deepcopy__(self, memo: dict) -> Given:
        return self


class GivenFunction(Given):
    """Stands for a function of the judge's."""

    def __call__(self, *args, **options) -> Any:
        return self._student.ask(self._number, None, args, options)


class GivenIterator(Given, Iterator):
    """Stands for an iterator of the judge's."""

    def __next__(self) -> Any:
        found = self._student.ask(self._number, None, how="next")
        if not found:
            raise StopIteration
        return found[0]


class GivenObject(Given):
    """Stands for an object of the judge's with its methods."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self._student.ask(self._number, name, how="attribute")
        if isinstance(found, _Method):
            return lambda *args, **options: self._student.ask(self._number, name, args, options)
        return found


def _by_id(value: Any) -> dict:
    return {"other": id(value)}
