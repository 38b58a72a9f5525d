"""Notebook 01's checks pass right answers and name the mistake in wrong ones, and every check shows its sentence alone."""

import copy
import functools
import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_pipeline
from torch.nn import functional as F

from helpers import checks, models
from helpers.checks import CheckFailed
from helpers.checks.answers import NotWritten
from helpers.checks.calls import count_optimizer_steps, expect_asked_once
from helpers.checks.expect import expect_no_error, expect_propagates, expect_raises
from helpers.checks.fakes import scripted_chat
from helpers.checks.words import described_call, with_article

ANSWERS = runpy.run_path(str(Path(__file__).parent / "answers" / "nb01.py"))
OF_TENSORS = ("add_noise", "noise_prediction_loss", "guide")
"""Exercises that need no trained model; the others' answers are judged in test_answers."""


def function(exercise, source):
    """The student's function that a cell's text defines, as after the notebook's set-up."""
    names = {"torch": torch, "F": F}
    if exercise == "sample_latents":
        exec(ANSWERS["RIGHT"]["guide"][0], names)
    exec(source, names)
    return names[exercise]


@pytest.fixture
def tiny(monkeypatch):
    """A pipeline of a few random weights in place of the diffusion model."""
    pipe = tiny_pipeline()
    monkeypatch.setattr(models, "load", lambda role: pipe)


SAID = {  # an answer of tests/answers with a fault → words of the sentence a student reads
    ("add_noise", "square roots forgotten"): "square roots are missing",
    ("add_noise", "picture and noise swapped"): "swapped",
    ("add_noise", "the noise is scaled by 1 - sqrt(a)"): r"scaled by 1 − √ᾱ",
    ("add_noise", "t not reshaped for broadcasting"): r"Give ᾱ the shape \(4, 1, 1, 1\)",
    ("add_noise", "every picture gets the first one's t"): "the timestep of the first one",
    ("add_noise", "changes x0 in place"): "changed one of its inputs",
    ("add_noise", "half precision becomes float32"): "float16 like x0, but it is torch.float32",
    ("noise_prediction_loss", "always compares with the noise"): "prediction_type is v_prediction",
    ("noise_prediction_loss", "always compares with the velocity"): "prediction_type is epsilon",
    ("noise_prediction_loss", "no gradient flows"): "No gradient can flow",
    ("noise_prediction_loss", "shows the U-Net clean latents"): "given the clean latents",
    ("noise_prediction_loss", "velocity with the wrong sign"): "sign of v is wrong",
    ("noise_prediction_loss", "rolls noise of its own"): "Use the noise and the timesteps that are given",
    ("noise_prediction_loss", "a KeyError for any other type"): r"it raised a KeyError \('sample'\)",
    ("guide", "starts from the text"): "starts from the unconditional",
    ("guide", "the two swapped"): "swapped",
    ("guide", "no brackets"): "Without brackets the unconditional prediction cancels out",
    ("guide", "no brackets, and no start"): "multiplies the text alone",
    ("guide", "never goes beyond the text"): "stops at the prediction with text",
    ("guide", "changes its input in place"): "changed one of its inputs",
    ("sample_latents", "lets the pipeline do it"): "Write the loop yourself",
    ("sample_latents", "no init_noise_sigma"): "multiply the first noise by scheduler.init_noise_sigma",
    ("sample_latents", "no scale_model_input"): "needs the U-Net's input scaled",
    ("sample_latents", "neither of the two scalings"): "Both scalings are missing",
    ("sample_latents", "text and empty prompt swapped"): "The two predictions are swapped",
    ("sample_latents", "no guidance"): "The guidance had no effect",
    ("sample_latents", "schedulers draw noise of their own"): "pass the generator to scheduler.step",
    ("sample_latents", "keeps gradients"): r"Keep @torch.no_grad\(\) above the function",
}


@pytest.mark.parametrize("exercise", [*OF_TENSORS, "sample_latents"])
def test_right_answers_pass_with_any_seed(exercise, tiny, capsys):
    check = getattr(checks.nb01, exercise)
    for seed, source in enumerate(ANSWERS["RIGHT"][exercise]):
        answer = function(exercise, source)
        assert check(answer) is None
        assert "100 % of the points" in capsys.readouterr().out
        assert check.run(answer, seed).share == 1, check.run(answer, seed)


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault, tiny):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(checks.nb01, exercise)(function(exercise, source))


def test_a_training_copy_has_nothing_that_a_student_left_in_the_pipeline():
    from peft import LoraConfig

    from helpers.checks.nb01.material import private_copy

    pipe = tiny_pipeline()
    names = set(pipe.unet.state_dict())
    pipe.unet.requires_grad_(False)
    pipe.unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q"]), adapter_name="left")
    copy = private_copy(pipe)
    assert set(copy.unet.state_dict()) == names and copy.get_active_adapters() == []
    assert all(weight.requires_grad for weight in copy.unet.parameters())
    assert pipe.get_active_adapters() == ["left"]
    assert not any(weight.requires_grad for name, weight in pipe.unet.named_parameters() if "lora" not in name)


def test_an_exercise_that_is_not_written_yet_says_so_alone():
    def add_noise(x0, noise, t, alphas_cumprod):
        raise NotImplementedError("add_noise: put your code here")

    with pytest.raises(NotWritten, match="add_noise is not written yet"):
        checks.nb01.add_noise(add_noise)


@pytest.mark.parametrize(
    "result, says",
    [
        (None, r"but it is None \(does the function end with `return`\?\)\.$"),
        ([1.0], r"but it is the list \[1\.0\]\.$"),
        (torch.zeros(2), r"shape \(3,\), but it has \(2,\)"),
        (torch.zeros(3).double(), "dtype torch.float32, but it has torch.float64"),
        (torch.tensor([1.0, 1.0, 1.5]), "off by up to 0.5"),
        (torch.full((3,), float("nan")), "off by up to nan"),
    ],
)
def test_compare_tensors_says_what_is_wrong(result, says):
    with pytest.raises(CheckFailed, match=says):
        checks.compare_tensors(result, torch.ones(3), "x")


def test_a_long_value_is_described_in_one_line_and_cut():
    assert checks.described(torch.zeros(40, 40)) == "a Tensor of shape (40, 40)"
    words = checks.described([0.0] * 400)
    assert words.startswith("the list [0.0, 0.0,") and words.endswith("…")
    assert len(words) < 140 and "\n" not in words


def test_a_function_without_a_name_is_checked_and_named_all_the_same():
    def scale(x, factor):
        return x.mul_(factor)

    double = functools.partial(scale, factor=2)
    with pytest.raises(CheckFailed, match=r"^Your function changed one of its inputs"):
        checks.call(double, torch.ones(1))
    assert checks.call(functools.partial(torch.mul, 2), torch.ones(1)) == 2


def test_an_object_that_claims_to_equal_everything_is_no_tensor():
    class Equal(torch.Tensor):
        def __eq__(self, other):
            return True

    with pytest.raises(CheckFailed):
        checks.compare_tensors(torch.zeros(3).as_subclass(Equal), torch.ones(3), "x")


def test_a_failed_check_shows_its_sentence_and_the_pictures(monkeypatch):
    pages = []
    monkeypatch.setattr("IPython.display.display", lambda html: pages.append(html.data))
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    failed = CheckFailed("The guidance had no effect.", yours=red, expected=blue, alt="a cat")
    assert failed._render_traceback_() == ["Not yet: The guidance had no effect."]
    assert 'alt="yours: a cat"' in pages[0] and 'alt="expected: a cat"' in pages[0]
    assert isinstance(failed, AssertionError)


def test_optimizer_steps_are_counted_and_the_counting_ends():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.sum().backward()
    with count_optimizer_steps() as steps:
        optimizer.step()
        optimizer.step()
    optimizer.step()
    assert len(steps) == 2


def test_modules_of_notebooks_that_are_not_there_say_so():
    with pytest.raises(ModuleNotFoundError):
        _ = checks.nb99
    with pytest.raises(AttributeError, match="no attribute 'bn01'"):
        _ = checks.bn01


def test_a_value_that_can_not_be_shown_is_described_all_the_same():
    class Shy:
        def __repr__(self):
            raise RuntimeError

    assert checks.described(Shy()) == "the Shy that can't be shown"


RED = Image.new("RGB", (4, 3), "red")


class Opaque:
    """Without a repr of its own."""


@pytest.mark.parametrize(
    "value, says",
    [
        ((x for x in "ab"), "a generator (list(…) turns it into a list)"),
        (iter([1]), "a list_iterator (list(…) turns it into a list)"),
        (enumerate([1]), "an enumerate (list(…) turns it into a list)"),
        (RED, "a picture of mode RGB and 4×3 pixels"),
        ([RED, RED.convert("L")], "the list [RGB picture 4×3, L picture 4×3]"),
        ({"image": RED, "next": (RED,)}, "the dict {'image': RGB picture 4×3, 'next': (RGB picture 4×3,)}"),
        ([torch.zeros(2, 3)], "the list [tensor (2, 3)]"),
        (np.zeros((2, 3)), "an ndarray of shape (2, 3)"),
        (Opaque(), "an Opaque"),
        ([Opaque(), SAID.get], "the list [Opaque, get]"),
        (functools.partial(print, 1), "a partial"),
        ("two  spaces\n", r"the str 'two  spaces\n'"),
        (scripted_chat(["a cat"]), "the ScriptedChat chat model with the replies ['a cat']"),
    ],
)
def test_a_value_is_described_by_what_it_is_and_holds(value, says):
    assert checks.described(value) == says


def test_no_address_in_memory_is_shown_however_deep_it_lies():
    @dataclass
    class Record:
        image: object

    assert "0x" in repr(Record(RED)) and "0x" not in checks.described([Record(RED), {"by": lambda: None}])
    call = described_call("draw", [[RED, RED], iter([]), Opaque()], {"chat": scripted_chat(["a cat"])})
    assert call == (
        "draw([RGB picture 4×3, RGB picture 4×3], list_iterator, Opaque, chat=chat model with the replies ['a cat'])"
    )
    assert len(described_call("draw", [[RED] * 1000], {})) < 100


@pytest.mark.parametrize(
    "name", ["AttributeError", "IndexError", "OSError", "UnidentifiedImageError", "ndarray", "int"]
)
def test_names_that_begin_with_a_vowel_have_an(name):
    assert with_article(name) == f"an {name}"


@pytest.mark.parametrize("name", ["ValueError", "KeyError", "UnicodeError", "URLError", "Tensor"])
def test_other_names_have_a(name):
    assert with_article(name) == f"a {name}"


# -- calls


@pytest.mark.parametrize(
    "change, given",
    [
        (lambda x: x[0][1].append("new"), [("a", ["b"])]),
        (lambda x: x["a"].update(b=2), {"a": {"b": 1}}),
        (lambda x: x.update(a=x.pop("a")), {"a": 1, "b": 2}),
        (lambda x: x[1].append(1), ("a", [])),
        (lambda x: x[0].putpixel((0, 0), (1, 2, 3)), [RED.copy()]),
        (lambda x: x.putpixel((0, 0), (1, 2, 3)), RED.copy()),
        (lambda x: x.fill(1), np.zeros(3)),
        (lambda x: x["a"].add_(1), {"a": torch.zeros(2)}),
    ],
)
def test_inputs_are_compared_with_all_that_is_in_them(change, given):
    with pytest.raises(CheckFailed, match="changed one of its inputs"):
        checks.call(lambda x: change(x), copy.deepcopy(given))
    with pytest.raises(CheckFailed, match="changed one of its inputs"):
        checks.call(lambda *, x: change(x), x=copy.deepcopy(given))
    assert checks.call(repr, given) == repr(given)


def test_what_is_no_data_may_change():
    chat = scripted_chat(["a cat"])
    assert checks.call(lambda chat: chat.invoke("what is it?").text, chat) == "a cat"


def test_a_request_too_many_and_none_at_all_are_said():
    expect_asked_once(["one"])
    for requests in ([], ["one", "two"]):
        with pytest.raises(CheckFailed, match=f"asked once, but it was asked {len(requests)} times"):
            expect_asked_once(requests)


# -- errors


def raising(error):
    def call():
        raise error

    return call


@pytest.mark.parametrize(
    "call, says",
    [
        (
            raising(IndexError("1")),
            r"should raise a ValueError with your own message, but it raised an IndexError \(1\)",
        ),
        (raising(KeyError(RED)), r"KeyError \(<PIL.Image.Image image mode=RGB size=4x3>\)"),
        (lambda: iter([]), "but it returned a list_iterator"),
        (raising(ValueError("no")), "Mention 'grid' or 'size' in it"),
        (raising(ValueError("http://grid:80 is away")), "Mention 'grid' or 'size' in it"),
    ],
)
def test_another_error_or_another_sentence_is_named(call, says):
    with pytest.raises(CheckFailed, match=says):
        expect_raises(call, ValueError, "a grid", mentions=["grid", "size"], ignoring=["HTTP://grid"])


def test_the_article_fits_the_error_that_is_wanted():
    with pytest.raises(CheckFailed, match="should raise an AttributeError, but"):
        expect_raises(lambda: 1, AttributeError, "a typo")


def test_what_a_check_says_itself_is_no_error_of_the_answer():
    def without_error(call):
        with expect_no_error(Exception, str):
            call()

    for said in (CheckFailed("Look closer."), NotImplementedError("double: put your code here")):
        for attempt in (
            lambda said=said: expect_raises(raising(said), ValueError, "a grid"),
            lambda said=said: expect_propagates(raising(said), ValueError(), "The chat model"),
            lambda said=said: without_error(raising(said)),
        ):
            with pytest.raises(type(said)) as raised:
                attempt()
            assert raised.value is said


def test_the_very_error_should_come_out():
    down = ConnectionError("the service is down")
    expect_propagates(raising(down), down, "The chat model")
    for call, says in (
        (raising(ConnectionError("the service is down")), "but it raised a ConnectionError"),
        (raising(OSError("no")), r"but it raised an OSError \(no\)\. Catch less\.$"),
        (lambda: None, r"but it returned None"),
    ):
        with pytest.raises(CheckFailed, match=says) as failed:
            expect_propagates(call, down, "The chat model", "Catch less.")
        assert str(failed.value).startswith("The chat model raised a ConnectionError (the service is down), and your")


def test_an_error_where_there_should_be_none_becomes_a_sentence():
    with (
        pytest.raises(CheckFailed, match="It gives up: no"),
        expect_no_error(ValueError, lambda e: f"It gives up: {e}"),
    ):
        raise ValueError("no")
    with pytest.raises(KeyError), expect_no_error(ValueError, str):
        raise KeyError("another")
