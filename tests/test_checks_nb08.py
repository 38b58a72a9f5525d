"""Notebook 08's checks pass right answers and name the mistake in wrong ones; its small world and its gallery."""

import json
import runpy
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from course.assess.certificate import Signer
from course.build import read_solution
from course.cli import app
from course.grade.library import library_node, library_value
from course.grade.packing import Packer
from course.grade.unpacking import Unpacker
from course.speedrun import holds, is_signed, speedrun, train_again
from helpers import checks
from helpers import speedrun as run
from helpers.checks import CheckFailed
from helpers.checks.answers import NotWritten
from helpers.checks.fakes import recorded_display, stepping_clock
from helpers.checks.nb08.counting import CountingNet
from helpers.errors import PlainError
from helpers.judge import load_judge, read
from helpers.speedrun import threads

ROOT = Path(__file__).parent.parent
ANSWERS = runpy.run_path(str(ROOT / "tests" / "answers" / "nb08.py"))
CELLS = read_solution(ROOT / "solutions" / "08_train_your_own.py").cells
SOLUTIONS = {cell.metadata["exercise"]: cell.source for cell in CELLS if "exercise" in cell.metadata}


def function(exercise, source):
    """The student's function that a cell's text defines, with the other exercises solved."""
    names = {"math": __import__("math"), "time": time, "torch": torch, "F": torch.nn.functional}
    for solution in SOLUTIONS.values():
        exec(solution, names)
    exec(source, names)
    return names[exercise]


def faulty(exercise, fault):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    return function(exercise, source)


@pytest.mark.parametrize("exercise", checks.nb08.__all__)
def test_the_solution_passes_with_any_seed_and_cases_are_worth_what_they_should(exercise):
    cases = getattr(checks.nb08, exercise).cases
    assert sum(case.share for case in cases) == 100
    assert 60 <= sum(case.share for case in cases if case.core) <= 70
    assert all(case.share >= 20 for case in cases if case.core)
    for seed in ("visible", 1, 2) if exercise != "train" else ("visible",):
        assert getattr(checks.nb08, exercise).run(function(exercise, SOLUTIONS[exercise]), seed).failed == []


SAID = {  # a wrong answer of tests/answers → words of a sentence that a student reads
    ("interpolate", "the ends are swapped"): "at t = 0 there is only noise",
    ("interpolate", "the noise does not fade"): "with the factor 1 − t",
    ("interpolate", "the square roots of diffusion"): "square roots of diffusion",
    ("interpolate", "half precision becomes single"): "should have dtype torch.float16",
    ("flow_matching_loss", "the velocity has the wrong sign"): "leads from noise to data",
    ("flow_matching_loss", "predicts the data"): "The target is the data",
    ("flow_matching_loss", "predicts what is left of the way"): "the same all along it",
    ("flow_matching_loss", "the model sees the data"): "given the data x1",
    ("flow_matching_loss", "a sum"): "not their sum",
    ("flow_matching_loss", "the condition is lost"): "should reach the model",
    ("flow_matching_loss", "a number, through which no gradient flows"): "No gradient can flow",
    ("flow_matching_loss", "the times are reshaped for the model, too"): "Reshape it for the line only",
    ("euler_sample", "each step is the whole way"): "multiply the velocity by 1 / steps",
    ("euler_sample", "the times of the ends"): "should start at t = 0",
    ("euler_sample", "from 1 to 0, as in notebook 01"): "run from 1 to 0",
    ("euler_sample", "the last step begins at 1"): "asked where the way is over",
    ("euler_sample", "every step from the noise"): "start where the last one ended",
    ("euler_sample", "the gradients are kept"): "@torch.no_grad",
    ("euler_sample", "the time is a number"): "torch.full",
    ("guided", "brackets are missing"): "needs brackets",
    ("guided", "starts from the condition"): "Start from the empty one",
    ("guided", "swapped"): "are swapped",
    ("guided", "a velocity in place of a model"): "return it without calling it",
    ("patchify_tokens", "a plain reshape"): "strip of pixel rows",
    ("patchify_tokens", "column by column"): "row by row",
    ("patchify_tokens", "unfold as it is"): r"shape \(2, 6, 48\)",
    ("patchify_tokens", "what does not fit is cut off"): "whole patches",
    ("unpatchify", "each patch lies on its side"): "rows and columns are swapped",
    ("unpatchify", "any number of tokens"): "don't make a square",
    ("train", "never learns without a condition"): "in about one batch of ten pass None",
    ("train", "a learning rate far too small"): "With AdamW, 2e-3",
    ("train", "the clock counts computing only"): "perf_counter",
    ("train", "losses are tensors"): "plain floats",
}


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault):
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(checks.nb08, exercise)(faulty(exercise, fault))


@pytest.mark.parametrize("exercise", checks.nb08.__all__)
def test_an_exercise_that_is_not_written_yet_is_named(exercise):
    def stub(*_, **__):
        raise NotImplementedError(f"{exercise}: put your code here")

    with pytest.raises(NotWritten, match=f"^{exercise} is not written yet"):
        getattr(checks.nb08, exercise)(stub)


def test_time_passes_with_the_optimizers_steps_only():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.grad = torch.ones(2)
    real = time.perf_counter
    with stepping_clock(2.5):
        start = time.perf_counter(), time.monotonic()
        for _ in range(4):
            optimizer.step()
        assert (time.perf_counter() - start[0], time.monotonic() - start[1]) == pytest.approx((10, 10))
        assert time.perf_counter_ns() == pytest.approx(1e9 * time.perf_counter())
    assert time.perf_counter is real


# -- the networks and the small world


def test_the_network_draws_with_the_students_cuts_as_with_its_own():
    torch.manual_seed(0)
    own = run.DiT(width=16, depth=1, heads=2)
    theirs = run.DiT(
        width=16,
        depth=1,
        heads=2,
        cut=function("patchify_tokens", SOLUTIONS["patchify_tokens"]),
        join=function("unpatchify", SOLUTIONS["unpatchify"]),
    )
    for layer in (own.velocity, own.modulation, own.blocks[0].modulation):
        torch.nn.init.normal_(layer.weight)
    theirs.load_state_dict(own.state_dict())
    x, t = torch.randn(2, 3, 32, 32), torch.rand(2)
    for condition in (torch.tensor([[0, 1], [3, 2]]), None):
        assert torch.allclose(own(x, t, condition), theirs(x, t, condition), atol=1e-4)
    assert not torch.allclose(own(x, t, torch.tensor([[0, 1], [3, 2]])), own(x, t, None), atol=1e-2)


def test_an_untrained_network_answers_zero():
    assert not run.DiT(width=16, depth=2, heads=2)(torch.randn(1, 3, 32, 32), torch.rand(1), None).any()


def test_batches_depend_on_the_seed_and_their_pictures_show_their_conditions():
    first, again, other = (run.batches(4, seed, drawings=8)() for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    images, conditions = run.draw_scenes(24, seed=5)
    assert images[0].size == (32, 32) and len({tuple(each) for each in conditions.tolist()}) > 10
    assert sum(run.fits(run.to_pixels(images), conditions)) >= 23
    assert not any(run.fits(run.to_pixels(images), (conditions + 1) % 4))


def test_pixels_become_the_same_pictures_again():
    images, _ = run.draw_scenes(3, seed=0)
    assert [image.tobytes() for image in run.to_images(run.to_pixels(images))] == [image.tobytes() for image in images]


def test_every_condition_comes_equally_often():
    assert sorted(map(tuple, run.every_condition(2).tolist())) == sorted(
        2 * [(i, j) for i in range(4) for j in range(4)]
    )
    assert run.words([0, 3]) == "blue car"


def test_the_course_network_crosses_to_the_student_with_its_weights():
    network = CountingNet(width=8)
    network.calls += 3
    network.point.weight.requires_grad_(False)

    def refuse(value):
        raise AssertionError(value)

    packer = Packer(library_node, refuse)
    node = packer.pack(network)
    buffers = [bytearray(memoryview(buffer).cast("B")) for buffer in packer.buffers]
    other = Unpacker(buffers, library_value).unpack(json.loads(json.dumps(node)))
    x, t = torch.randn(3, 2), torch.rand(3)
    assert type(other) is CountingNet and other.calls.tolist() == [3, 3]
    assert torch.equal(network(x, t, None), other(x, t, None))
    assert not other.point.weight.requires_grad and other.velocity.weight.requires_grad


@pytest.mark.parametrize("slower", [1, 4])
def test_the_faster_of_all_threads_and_one_is_chosen(monkeypatch, slower):
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "ALL", 4)
    monkeypatch.setattr(threads, "_seconds", lambda number: float(number == slower))
    assert run.choose_threads() == torch.get_num_threads() == 5 - slower
    torch.set_num_threads(before)


# -- watching


def test_a_watched_training_is_the_same_and_shows_pictures_and_time():
    network, batches = run.DiT(width=8, depth=1, heads=1), run.batches(2, 0, drawings=4)
    expected = run.batches(2, 0, drawings=4)
    state = torch.random.get_rng_state()
    with recorded_display() as shown:
        watch = run.Watch(
            network,
            batches,
            seconds=10,
            sample=lambda model: torch.randn(4, 3, 32, 32),
            loss=lambda model: torch.tensor(0.5),
        )
        for _ in range(3):
            assert torch.equal(watch()[0], expected()[0])
        watch.close()
    assert torch.equal(state, torch.random.get_rng_state())
    assert watch.samples == 6 and [loss for _, loss in watch.losses] == [0.5, 0.5]
    page = shown[-1].data
    assert "s left; 6 samples" in page and 'alt="4 pictures that the network draws' in page
    assert 'aria-label="The loss on new pictures' in page


# -- the gallery


def entry(**changes):
    network = run.Network(width=8, depth=1, heads=1, patch=8)
    values = {"name": "us", "seed": 3, "samples": 16, "batch": 8, "network": network, "steps": 1, "guidance": 2.0}
    return run.Entry(**values | {"score": 0.0, "pictures": 16, "minutes": 0.1} | changes)


def test_the_gallery_keeps_every_run_once_and_shows_the_best_first(tmp_path):
    file = tmp_path / "speedrun.jsonl"
    sheet = run.contact_sheet(torch.zeros(16, 3, 32, 32))
    for one in (entry(score=0.5, sheet=sheet), entry(seed=4, score=0.75), entry(score=0.25)):
        run.add(one, file)
    assert [each.score for each in run.read(file)] == [0.75, 0.25]
    with recorded_display() as shown:
        run.show_gallery([entry(score=0.5, sheet=sheet, name="<b>"), entry(score=0.75)])
    page = shown[-1].data
    assert page.index("0.75 ± 0.1") < page.index("0.50 ± 0.1") and "&lt;b&gt;" in page and 'alt="16 pictures of' in page
    file.write_text('{"name": "us"}\n', "utf-8")
    with pytest.raises(PlainError, match="line 1, is not an entry of the gallery"):
        run.read(file)


@pytest.fixture
def few_drawings(monkeypatch):
    """Drawing thousands of scenes takes longer than these trainings."""
    monkeypatch.setattr("course.speedrun.batches", partial(run.batches, drawings=32))


def test_a_run_is_trained_again_to_the_last_digit_and_other_seeds_give_others(few_drawings):
    one, again, other = (train_again(entry(seed=seed)).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(weight, again[name]) for name, weight in one.items())
    assert not all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_a_score_holds_unless_the_second_run_is_worse_than_chance_explains():
    claimed = entry(score=0.9, pictures=100)
    assert holds(claimed, [True] * 95 + [False] * 5) and holds(claimed, [True] * 80 + [False] * 20)
    assert not holds(claimed, [True] * 60 + [False] * 40)


def test_course_speedrun_signs_what_holds_and_notices_what_was_changed(tmp_path, few_drawings):
    file, signer, said = tmp_path / "speedrun.jsonl", Signer(tmp_path / "key.pem"), []
    run.add(entry(), file)
    run.add(entry(seed=5, score=1.0), file)
    assert not speedrun(file, signer, say=said.append)
    good, bad = run.read(file)
    assert is_signed(good, signer.public_key) and not bad.token
    assert any("does not hold" in line for line in said)

    good = good.model_copy(update={"score": 0.01})
    assert not is_signed(good, signer.public_key)
    assert not is_signed(run.read(file)[0], Signer(tmp_path / "other.pem").public_key)
    said.clear()
    run.gallery.write(run.read(file)[:1], file)
    assert speedrun(file, signer, say=said.append)
    assert said == ["us, seed 3, 16 samples: score 0.00, verified before."]
    with pytest.raises(PlainError, match="has no entry"):
        speedrun(tmp_path / "none.jsonl", signer)


def test_the_command_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("course.assess.certificate.home", lambda: tmp_path)
    ran = CliRunner().invoke(app, ["speedrun", str(tmp_path / "none.jsonl")])
    assert ran.exit_code == 1 and "has no entry of the gallery" in ran.output


def test_the_judge_comes_from_helpers_and_says_nothing(capsys):
    image = run.draw_scenes(1, seed=0)[0]
    assert read(load_judge(), image)[0].things
    assert capsys.readouterr().out == ""
