"""The student's end of the connection: does what the judge asks for, and calls back what the judge has given."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from course.grade.forms import digest, named
from course.grade.library import adapters_of, library_value, weights_of
from course.grade.packing import Packer
from course.grade.stubs import Method, shown
from course.grade.unpacking import Unpacker
from course.grade.wire import Lost, Wire
from helpers.checks.answers import own_lines

__all__ = ["Student"]


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
        self.left: tuple | None = None
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
                weights = self.weights
                wrt = [self.by_number[n] if name is None else weights[n][name] for n, name in message["wrt"]]
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
        make = named(message["maker"])
        if not getattr(make, "__mirrored__", False):
            raise ValueError(f"{message['maker']} is not mirrored")
        manager = make(*args, **options)
        value = manager.__enter__()
        self.contexts[message["context"]] = manager, value, b""
        return value

    def _records(self, packer: Packer) -> list:
        """What the context managers have recorded, if it has changed."""
        found = []
        left = [self.left] if self.left else []
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
        changeable = isinstance(value, (list, dict, torch.Tensor))
        if node and changeable and (now := self._state(value)) != self.known[id(value)][2]:
            self.known[id(value)] = node["yours"], value, now
            node["now"] = packer.contents(value)
        if node is None and torch.is_tensor(value) and value.grad_fn is not None:
            return packer.tensor(value) | {"graph": self._number(value)}
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
        node = {"mine": self._number(value), "how": how, "shown": shown(value)}
        return node | {"type": type(value).__name__}

    def _keep(self, value: Any, number: int) -> tuple[int, Any, Any]:
        """Remember a value of the judge's: it is the same one when it goes back."""
        state = self._state(value)
        self.known[id(value)], self.by_number[number] = (number, value, state), value
        return number, value, state

    def _state(self, value: Any) -> Any:
        """A state that shows later whether the value has been changed."""
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
            return True, Method(node["method"])
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
        if isinstance(found, Method):
            return lambda *args, **options: self._student.ask(self._number, name, args, options)
        return found


def _by_id(value: Any) -> dict:
    return {"other": id(value)}
