"""Visible checks pass right answers, name the mistake in wrong ones, and show their sentence without a stack trace."""

import functools
import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image

from helpers import checks, show
from helpers.checks import CheckFailed

ANSWERS = runpy.run_path(str(Path(__file__).parent / "answers" / "nb01.py"))


def function(exercise, source):
    """The student's function that a cell's text defines, as after the notebook's set-up."""
    from diffusers import DDPMScheduler
    from torch.nn import functional as F

    names = {"torch": torch, "F": F, "DDPMScheduler": DDPMScheduler}
    exec(source, names)
    return names[exercise]


SAID = {  # a wrong answer of tests/answers → words of the sentence a student reads
    ("add_noise", "square roots forgotten"): "square roots are missing",
    ("add_noise", "picture and noise swapped"): "swapped",
    ("add_noise", "t not reshaped for broadcasting"): r"Give ᾱ the shape \(3, 1, 1, 1\)",
    ("add_noise", "changes x0 in place"): "changed one of its inputs",
    ("add_noise", "half precision becomes float32"): "torch.float16",
    ("noise_prediction_loss", "always compares with the noise"): "prediction_type is v_prediction",
    ("noise_prediction_loss", "always compares with the velocity"): "prediction_type is epsilon",
    ("noise_prediction_loss", "no gradient flows"): "No gradient can flow",
    ("noise_prediction_loss", "shows the U-Net clean latents"): "given the clean latents",
    ("noise_prediction_loss", "velocity with the wrong sign"): "sign of v is turned",
    ("guide", "starts from the text"): "starts from the unconditional",
    ("guide", "the two swapped"): "swapped",
    ("guide", "changes its input in place"): "changed one of its inputs",
    ("guide", "scales everything"): "values are off",
}


@pytest.mark.parametrize("exercise", ["add_noise", "noise_prediction_loss", "guide"])
def test_right_answers_pass_and_are_told_that_it_is_not_the_whole_grade(exercise, capsys):
    for source in ANSWERS["RIGHT"][exercise]:
        getattr(checks.nb01, exercise)(function(exercise, source))
        assert "hidden tests decide" in capsys.readouterr().out


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(checks.nb01, exercise)(function(exercise, source))


def test_an_exercise_that_is_not_written_yet_keeps_its_own_error():
    def add_noise(x0, noise, t, alphas_cumprod):
        raise NotImplementedError("add_noise: put your code here")

    with pytest.raises(NotImplementedError, match="add_noise"):
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
    words = checks.described(torch.zeros(40, 40))
    assert words.startswith("the Tensor tensor([[0., 0.,") and words.endswith("…")
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
    monkeypatch.setattr(show, "display_html", pages.append)
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    failed = CheckFailed("The guidance had no effect.", yours=red, expected=blue, alt="a cat")
    assert failed._render_traceback_() == ["Not yet: The guidance had no effect."]
    assert 'alt="yours: a cat"' in pages[0] and 'alt="expected: a cat"' in pages[0]
    assert isinstance(failed, AssertionError)


def test_optimizer_steps_are_counted_and_the_counting_ends():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.sum().backward()
    with checks.nb01.count_optimizer_steps() as steps:
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
