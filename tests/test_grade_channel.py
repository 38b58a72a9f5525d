"""The channel between judge and student: values arrive as they were, calls behave as if both sides were one process."""

from __future__ import annotations

import math
import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage
from PIL import Image

from course.grade.forms import Unfit
from course.grade.judge_end import Gone, Judge
from course.grade.packing import Packer
from course.grade.student_end import Student
from course.grade.unpacking import Unpacker
from course.grade.wire import Lost, TooSlow, Wire
from helpers.checks.elsewhere import mirrored, runs_elsewhere, with_changes
from helpers.checks.expect import CheckFailed
from helpers.picturebook import random_scene


def crossed(value):
    """What arrives on the other side."""

    def refuse(value):
        raise Unfit(type(value).__name__)

    packer = Packer(lambda packer, value: None, refuse)
    node = packer.pack(value)
    buffers = [bytearray(memoryview(buffer).cast("B")) for buffer in packer.buffers]
    return Unpacker(buffers, lambda unpacker, node: (False, None)).unpack(node)


@pytest.fixture
def connected():
    """A judge, and the namespace of a student's process, which is a thread here."""
    ours, theirs = socket.socketpair()
    names: dict = {}
    judge = Judge(Wire(ours), seconds=10)
    thread = threading.Thread(target=Student(Wire(theirs), names).serve, daemon=True)
    thread.start()
    yield SimpleNamespace(judge=judge, names=names, call=lambda name, *a, **o: judge.function(name)(*a, **o))
    ours.close()
    thread.join(5)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(10**30),
        1.5,
        math.inf,
        "☃ \ud800",
        b"\x00\xff",
        [1, [2, "x"], (3,)],
        {"a": 1, 2: {"b": None}, (1, 2): 3},
        {1},
        frozenset("a"),
        range(2, 10, 3),
        2 + 3j,
        Path("a/b"),
    ],
    ids=repr,
)
def test_plain_values_arrive_as_they_were(value):
    arrived = crossed(value)
    assert arrived == value and type(arrived) in (type(value), type(Path()))


def test_nan_arrives():
    assert math.isnan(crossed(math.nan))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.float64]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_tensors_keep_shape_dtype_and_values(dtype, shape):
    value = (torch.randn(shape) * 3).to(dtype)
    arrived = crossed(value)
    assert arrived.dtype == dtype and arrived.shape == value.shape and torch.equal(arrived, value)


def test_views_and_gradients_of_leaves():
    whole = torch.arange(12.0).reshape(3, 4)
    assert torch.equal(crossed(whole.T), whole.T)
    assert crossed(whole.clone().requires_grad_()).requires_grad


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA", "CMYK", "I;16"])
def test_pictures_keep_every_pixel(mode):
    drawn = Image.effect_noise((17, 9), 80)
    picture = drawn.convert("RGB").convert(mode) if mode not in ("I;16",) else Image.new("I;16", (17, 9), 4000)
    arrived = crossed(picture)
    assert (arrived.mode, arrived.size, arrived.tobytes()) == (picture.mode, picture.size, picture.tobytes())
    assert arrived.convert("RGB").tobytes() == picture.convert("RGB").tobytes()


def test_arrays_tables_messages_and_records_arrive():
    for array in (np.arange(6.0).reshape(2, 3), np.array([], dtype=np.int32), np.array(["a", "bc"])):
        arrived = crossed(array)
        assert arrived.dtype == array.dtype and np.array_equal(arrived, array)
    assert type(crossed(np.float32(1.5))) is np.float32
    table = pd.DataFrame({"prompt": ["a", "b"], "dist": np.array([0.1, 0.2], dtype=np.float32), "n": [1, None]})
    pd.testing.assert_frame_equal(crossed(table), table)
    pd.testing.assert_frame_equal(crossed(table[:0]), table[:0], check_dtype=False)
    messages = [
        HumanMessage([{"type": "text", "text": "?"}]),
        AIMessage("!", tool_calls=[{"name": "f", "args": {}, "id": "1"}]),
    ]
    assert crossed(messages) == messages
    import random

    scene = random_scene(random.Random(0))
    assert crossed(scene) == scene


def test_a_kind_of_str_stays_one():
    class Text(str):
        __slots__ = ()

    arrived = crossed(Text("a"))
    assert arrived == "a" and type(arrived).__name__ == "Text" and isinstance(arrived, str)


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("sample"), ZeroDivisionError(), CheckFailed("Not so.")])
def test_errors_keep_class_and_message(error):
    arrived = crossed(error)
    assert type(arrived) is type(error) and str(arrived) == str(error) and arrived.args == error.args


def test_an_unknown_error_keeps_its_name_and_what_it_is_derived_from():
    class Odd(LookupError):
        def __init__(self, a, b):
            super().__init__(a)

    arrived = crossed(Odd("x", 2))
    assert type(arrived).__name__ == "Odd" and isinstance(arrived, LookupError) and str(arrived) == "x"


def test_what_contains_itself_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(Unfit, match="itself"):
        crossed(value)


@pytest.mark.parametrize(
    "node",
    [
        {"tensor": {"dtype": "float32", "shape": [10**9], "data": 0}},
        {"tensor": {"dtype": "evil", "shape": [1], "data": 0}},
        {"array": ["O", [1], 0]},
        {"picture": {"mode": "RGB", "size": [10**6, 10**6], "data": 0, "info": {"dict": []}}},
        {"record": "os:system", "fields": {"dict": [["command", "true"]]}},
        {"record": "helpers.settings:os", "fields": {"dict": []}},
        {"no such form": 1},
        {"list": 5},
        {"bytes": 7},
        {"kind": "X", "of": "eval", "value": "1"},
        [1],
    ],
    ids=str,
)
def test_nonsense_is_refused(node):
    with pytest.raises(Unfit):
        Unpacker([bytearray(4)], lambda unpacker, node: (False, None)).unpack(node)


def test_deep_nesting_is_refused():
    node: dict = {"list": []}
    for _ in range(5000):
        node = {"list": [node]}
    with pytest.raises(Unfit):
        Unpacker([], lambda unpacker, node: (False, None)).unpack(node)


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 8,
        b"\x05\0\0\0\0\0\0\0{]{]{",
        b"\x04\0\0\0\0\0\0\0null",
        b"\x03\0\0\0\0\0\0\0NaN",
        b"\x02\0\0\0\x01\0\0\0" + b"\xff" * 8 + b"{}",
        b"\x02\0\0",
    ],
    ids=repr,
)
def test_what_is_not_a_message_is_refused(sent):
    ours, theirs = socket.socketpair()
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(Lost):
        Wire(ours).receive(5)


def test_half_a_message_is_not_waited_for_longer_than_allowed():
    ours, theirs = socket.socketpair()
    theirs.sendall(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(TooSlow):
        Wire(ours).receive(0.1)


# ---------------------------------------------------------------- calls


def test_calls_errors_and_the_students_own_lines(connected):
    source = "def double(x):\n    return 2 * x\n\ndef fail(x):\n    raise ValueError(f'no {x}')\n"
    exec(compile(source, "<ipython-input-1-abc>", "exec"), connected.names)
    assert connected.call("double", 21) == 42
    with pytest.raises(ValueError, match="no 3") as raised:
        connected.call("fail", 3)
    assert [number for number, _ in raised.value.own_lines] == [5]
    with pytest.raises(NameError):
        connected.judge.function("missing")


def test_a_changed_argument_is_changed_here_as_well(connected):
    def change(tensor, array, items, picture, by_name):
        tensor.mul_(2)
        array += 1
        items.append("x")
        picture.putpixel((0, 0), (1, 2, 3))
        by_name["k"] = 1

    connected.names["change"] = change
    tensor, array, items, picture, by_name = torch.ones(3), np.zeros(2), ["a"], Image.new("RGB", (2, 2)), {}
    arguments = (tensor, array, items, picture, by_name)
    connected.call("change", *arguments)
    assert tensor.tolist() == [1, 1, 1] and items == ["a"]  # only where a check looks for it
    with with_changes():
        connected.call("change", *arguments)
    assert tensor.tolist() == [2, 2, 2] and array.tolist() == [1, 1] and items == ["a", "x"]
    assert picture.getpixel((0, 0)) == (1, 2, 3) and by_name == {"k": 1}


def test_the_same_object_comes_back(connected):
    connected.names["pick"] = lambda pictures: pictures[1]
    pictures = [Image.new("RGB", (2, 2), colour) for colour in ("red", "red")]
    assert connected.call("pick", pictures) is pictures[1]


def test_functions_are_called_back_also_from_other_threads(connected):
    from concurrent.futures import ThreadPoolExecutor

    def use(rate, items):
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(rate, items))

    seen = []
    connected.names["use"] = use
    assert connected.call("use", lambda x: seen.append(x) or x * 2, [1, 2, 3, 4]) == [2, 4, 6, 8]
    assert sorted(seen) == [1, 2, 3, 4]


def test_an_error_of_a_call_back_is_the_same_error_when_it_comes_through(connected):
    down = ConnectionError("the service is down")

    def fail():
        raise down

    connected.names["ask"] = lambda chat: chat()
    with pytest.raises(ConnectionError) as raised:
        connected.call("ask", fail)
    assert raised.value is down


def test_iterators_are_read_one_by_one(connected):
    taken = []

    def rows():
        for i in range(5):
            taken.append(i)
            yield i

    connected.names["first"] = lambda rows: next(rows)
    assert connected.call("first", rows()) == 0 and taken == [0]


def test_gradients_flow_to_inputs_and_weights(connected):
    from diffusers import UNet2DConditionModel

    def loss(unet, x):
        return (unet(x, 5, torch.zeros(1, 2, 8)).sample ** 2).mean() + (x**3).sum()

    connected.names["loss"] = loss
    from helpers.checks.nb01.material import tiny_unet

    unet, x = tiny_unet(), torch.randn(1, 4, 8, 8, requires_grad=True)
    assert isinstance(unet, UNet2DConditionModel)
    inputs = [x, unet.conv_in.weight]
    theirs = torch.autograd.grad(connected.call("loss", unet, x), inputs)
    right = torch.autograd.grad(loss(unet, x), inputs)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(theirs, right, strict=True))


def test_a_result_without_gradient_has_none(connected):
    connected.names["detached"] = lambda x: (x * 2).detach()
    assert not connected.call("detached", torch.ones(2, requires_grad=True)).requires_grad


def test_torchs_random_numbers_go_on(connected):
    connected.names["roll"] = lambda: torch.rand(2)
    torch.manual_seed(3)
    theirs = [*connected.call("roll"), *torch.rand(2)]
    torch.manual_seed(3)
    assert theirs == [*torch.rand(2), *torch.rand(2)]


def test_modules_iterators_and_objects_are_used_from_here(connected):
    class Conversation:
        def __init__(self, name):
            self.memory = [name]

        def ask(self, question):
            self.memory.append(question)
            return question.upper()

    connected.names |= {
        "Conversation": Conversation,
        "head": lambda: torch.nn.Linear(2, 3),
        "count": lambda: iter("ab"),
    }
    talk = connected.call("Conversation", "ada")
    assert talk.ask("why?") == "WHY?" and talk.memory == ["ada", "why?"] and type(talk).__name__ == "Conversation"
    head = connected.call("head")
    assert isinstance(head, torch.nn.Module) and head.eval()(torch.zeros(5, 2)).shape == (5, 3)
    assert list(connected.call("count")) == ["a", "b"]


@mirrored
def recorded():
    from contextlib import contextmanager

    @contextmanager
    def made():
        HERE.append([])
        yield HERE[-1]

    return made()


HERE: list[list] = []


def test_only_what_is_marked_is_entered_over_there(connected):
    from helpers.checks.fakes import recorded_display, scratch_folder

    def show():
        import IPython.display

        IPython.display.display("shown")
        Path("file.txt").write_text("here")

    connected.names["show"] = show
    here = os.getcwd()
    with runs_elsewhere(connected.judge), scratch_folder() as folder, recorded_display() as shown:
        connected.call("show")
        assert shown == ["shown"] and (folder / "file.txt").read_text() == "here"
    assert os.getcwd() == here
    with runs_elsewhere(connected.judge), pytest.raises(Exception, match=r"own|mirrored"), recorded():
        pass


# ---------------------------------------------------------------- a process that misbehaves


def forger(reply):
    """A judge whose student sends `reply` to every request."""
    ours, theirs = socket.socketpair()

    def answer():
        wire = Wire(theirs)
        try:
            while True:
                message, _ = wire.receive()
                reply(wire, message)
        except Lost:
            pass

    threading.Thread(target=answer, daemon=True).start()
    return Judge(Wire(ours), seconds=0.5)


@pytest.mark.parametrize(
    "reply",
    [
        lambda wire, message: None,
        lambda wire, message: wire.close(),
        lambda wire, message: wire.send({"done": message["id"] + 1, "value": 1}),
        lambda wire, message: wire.send({"done": message["id"], "value": {"yours": 77}}),
        lambda wire, message: wire.send({"done": message["id"], "value": {"list": 5}}),
        lambda wire, message: wire.send({"done": message["id"], "error": 5}),
        lambda wire, message: wire.send({"ask": 1, "of": 99, "name": None, "args": 3, "options": {"dict": []}}),
        lambda wire, message: wire.end.sendall(b"\xff" * 64),
    ],
)
def test_whatever_comes_the_judge_says_so_and_goes_on(reply):
    judge = forger(reply)
    with pytest.raises(Gone):
        judge.function("double")
    with pytest.raises(Gone):  # at once, and always
        judge.function("double")
