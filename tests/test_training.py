"""The training: what it learns from and how, and that a killed run loses nothing but minutes."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from itertools import islice, pairwise
from multiprocessing import Value
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_pipeline

import course.train
from course.data import Batches, Drawing, Stream, fresh_scenes, mixed_scene, scene_from_json, scene_to_json
from course.labels import FOOT, FOOT_GRID, IGNORE, foot_labels
from course.train.labels import AttributeHead, attribute_labels, word_labels
from course.train.loop import DECAY_SHARE, Plan, Run
from course.train.muon import Muon, matrices, newton_schulz
from helpers.errors import PlainError
from helpers.picturebook import COLOURS, KINDS, Scene, Thing, boxes

TOY = '''
import sys, time
from pathlib import Path
import torch
import course.train.loop as loop
from course.data import Batches

class Numbers(Batches):
    """Numbers and three times as much."""
    pictures = False
    def make(self, drawings, size, rng, progress):
        x = torch.from_numpy(rng.normal(size=(size, 1))).float()
        return {"x": x, "y": 3 * x}

class Toy(loop.Recipe):
    """Learns y = 3x; slow enough to be killed in the middle."""
    name, warmup_steps = "toy", 10
    cpu = gpu = loop.Plan(batch_size=8, learning_rate=0.3, samples=960)
    def __init__(self, pause=0.0):
        torch.manual_seed(0)
        self.batches, self.modules, self.pause = Numbers(), torch.nn.Linear(1, 1), pause
    def loss(self, batch, progress):
        time.sleep(self.pause)
        x = batch["x"] + 0.01 * torch.randn_like(batch["x"])
        return (self.modules(x) - batch["y"]).square().mean()
    def export(self, modules, folder):
        torch.save(modules.state_dict(), folder / "weights.pt")
    def warm_start(self, folder):
        self.modules.load_state_dict(torch.load(folder / "weights.pt"))

if __name__ == "__main__":
    loop.CHECKPOINT_EVERY_SECONDS = 0.05
    run = loop.Run(Toy(pause=0.02), Path(sys.argv[1]), device="cpu", workers=0)
    run.train(minutes=1)
'''
STEPS = 120


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The toy recipe, as a script and as a module."""
    folder = tmp_path_factory.mktemp("toy")
    script = folder / "toy_recipe.py"
    script.write_text(TOY)
    sys.path.insert(0, str(folder))
    import toy_recipe

    yield toy_recipe
    sys.path.remove(str(folder))


def run_of(recipe, folder: Path) -> Run:
    return Run(recipe, folder, device="cpu", workers=0)


def finished_run(toy, folder: Path) -> Run:
    run = run_of(toy.Toy(), folder)
    run.train(minutes=1)
    return run


def averaged(run: Run) -> list[torch.Tensor]:
    return [weight.clone() for weight in run.ema.shadow_params]


def watched(run: Run) -> tuple[list[float], list[float]]:
    """The learning rate and the progress of each step from now on, filled while the run trains."""
    rates, progresses = [], []
    loss = run.recipe.loss

    def noting(batch, progress):
        rates.append(run.optimizers[0].param_groups[0]["lr"])
        progresses.append(progress)
        return loss(batch, progress)

    run.recipe.loss = noting
    return rates, progresses


# -- the loop


@pytest.mark.parametrize("things", [1, 2])
def test_models_that_talk_see_several_equal_things_more_often_than_usual(things):
    def repeated(scenes):
        several = [scene.things[0].count > 1 for scene in scenes if len(scene.things) == things]
        return sum(several) / len(several)

    mixed = [mixed_scene(np.random.default_rng((4, i))) for i in range(400)]
    assert repeated(mixed) > repeated(fresh_scenes(400, 4)) + 0.15


def test_learns_and_exports_the_averaged_weights(toy, tmp_path):
    run = finished_run(toy, tmp_path / "work")
    assert run.finished and run.recipe.modules.weight.item() == pytest.approx(3, abs=0.2)
    run.export(tmp_path / "out")
    exported = torch.load(tmp_path / "out" / "weights.pt")
    assert all(torch.equal(a, b) for a, b in zip(exported.values(), averaged(run), strict=True))
    assert not torch.equal(exported["weight"], run.recipe.modules.weight), "the run goes on with its own weights"
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert (record["step"], record["samples"], record["batch_size"]) == (STEPS, 8 * STEPS, 8)
    assert record["progress"] > 0.95 and record["device"] == "CPU" and record["parameters"] == 2
    assert record["losses"][0][1] > record["losses"][-1][1]
    assert (tmp_path / "out" / "loss.png").stat().st_size > 1000


def test_kill_9_costs_nothing_but_the_time_since_the_last_checkpoint(toy, tmp_path):
    script = [sys.executable, toy.__file__, str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(script, env=environment, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoint"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = run_of(toy.Toy(), tmp_path / "killed")
    resumed.load()
    assert 0 < resumed.state.step < STEPS, "the run was not killed in its middle"
    assert resumed.state.samples == 8 * resumed.state.step and resumed.state.seconds > 0
    resumed.train(minutes=1)
    assert resumed.finished and resumed.state.step == STEPS
    undisturbed = finished_run(toy, tmp_path / "undisturbed")
    for a, b in zip(averaged(resumed), averaged(undisturbed), strict=True):
        assert torch.equal(a, b)


def test_minutes_end_a_run_and_exported_weights_can_be_taken_up(toy, tmp_path):
    run = run_of(toy.Toy(pause=0.02), tmp_path / "short")
    run.train(minutes=0.01)
    assert 0 < run.state.step < STEPS and run.checkpoint.exists() and not run.finished
    run.export(tmp_path / "out")
    other = run_of(toy.Toy(), tmp_path / "elsewhere")
    other.start_from(tmp_path / "out")
    assert (other.state.step, other.state.samples) == (run.state.step, run.state.samples)
    assert 0 < other.state.progress == pytest.approx(run.state.progress, abs=0.001)
    assert torch.equal(other.recipe.modules.weight, averaged(run)[0])
    other.train(minutes=1)
    assert other.finished and other.state.step == STEPS


def test_no_minutes_are_no_step_and_a_finished_run_trains_no_further(toy, tmp_path):
    run = run_of(toy.Toy(), tmp_path)
    run.train(minutes=0)
    assert run.state.step == 0 and run.checkpoint.exists()
    run.train(minutes=1)
    before = run.recipe.modules.weight.clone()
    run.train(minutes=1)
    assert run.state.step == STEPS and torch.equal(run.recipe.modules.weight, before)


def test_a_run_stops_where_it_is_no_longer_wanted(toy, tmp_path):
    run = run_of(toy.Toy(), tmp_path)
    run.train(minutes=1, keep_going=lambda: run.state.step < 7)
    assert run.state.step == 7 and run.checkpoint.exists()


def test_a_run_that_is_to_finish_ends_within_its_minutes_with_the_rate_decayed(toy, tmp_path):
    recipe = toy.Toy(pause=0.005)
    recipe.cpu = Plan(batch_size=8, learning_rate=0.3, samples=10**6)
    run = run_of(recipe, tmp_path)
    rates, seen = watched(run)
    began = time.monotonic()
    run.train(minutes=2.5 / 60, finish=True)
    assert time.monotonic() - began < 4
    assert 0 < run.state.step < recipe.cpu.steps
    decaying = rates[run.state.decay_from :]
    assert rates[run.state.decay_from - 1] == 0.3 and len(decaying) > 10
    assert all(a >= b for a, b in pairwise(decaying)), "once it falls, it does not rise again"
    assert decaying[-1] < 0.1, "a machine busy with other things may lose the last steps, not the whole decay"
    assert seen == sorted(seen) and seen[0] < 0.05 and seen[-1] > 0.8, "progress is the share of the minutes"


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(toy, tmp_path):
    class Broken(toy.Toy):
        def loss(self, batch, progress):
            return super().loss(batch, progress) * (float("nan") if progress > 0.3 else 1)

    run_of(toy.Toy(), tmp_path).train(minutes=1, keep_going=iter([True] * 5 + [False]).__next__)
    run = run_of(Broken(), tmp_path)
    run.load()
    with pytest.raises(FloatingPointError, match=r"loss of toy is nan before step 50\. .*checkpoint; lower the learn"):
        run.train(minutes=1)
    kept = run_of(toy.Toy(), tmp_path)
    kept.load()
    assert kept.state.step == 5 and kept.recipe.modules.weight.isfinite().all()


def test_the_rate_warms_up_stays_and_decays(toy, tmp_path):
    run = run_of(toy.Toy(), tmp_path)
    rates, _ = watched(run)
    run.train(minutes=1)
    decay = round(DECAY_SHARE * STEPS)
    stay = STEPS - decay
    assert rates[0] == 0 and rates[5] == pytest.approx(0.15)
    assert rates[10 : stay + 1] == pytest.approx([0.3] * (stay - 9))
    falling = [0.3 * (1 - math.sqrt(i / decay)) for i in range(decay)]
    assert rates[stay:] == pytest.approx(falling)


def test_a_device_that_is_not_there_is_an_error_that_says_so(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PlainError, match="no CUDA device here; use --device auto or cpu"):
        Run(toy.Toy(), tmp_path, device="cuda")


# -- which model is trained when, and for how long


def test_train_goes_on_from_the_checkpoint_else_from_the_weights_else_from_nothing(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(course.train, "WORK", tmp_path / "work")
    monkeypatch.setattr(course.train, "MODELS", tmp_path / "models")
    monkeypatch.setattr(course.train, "_recipe", lambda model, *, fresh: toy.Toy(pause=0.01))
    out = tmp_path / "models" / "clip"

    def steps_after(**options) -> int:
        course.train.train("clip", minutes=0.005, device="cpu", workers=0, **options)
        return json.loads((out / "training.json").read_text())["step"]

    first = steps_after()
    assert 0 < first < STEPS
    second = steps_after(fresh=True)
    assert second > first, "a checkpoint goes on even where the weights are left aside"
    (tmp_path / "work" / "clip" / "checkpoint").unlink()
    assert steps_after() > second
    (tmp_path / "work" / "clip" / "checkpoint").unlink()
    assert steps_after(fresh=True) < second


def test_train_all_divides_the_minutes_by_the_shares(monkeypatch):
    given = []

    def train(model, *, minutes, device, finish, fresh, workers):
        assert finish and fresh and (device, workers) == ("cpu", 3)
        given.append((model, minutes))

    monkeypatch.setattr(course.train, "train", train)
    monkeypatch.setattr(course.train.time, "monotonic", lambda: 0.0)
    assert set(course.train.SHARES) == set(course.train.FOLDERS)
    assert sum(course.train.SHARES.values()) == pytest.approx(1)
    course.train.train_all(["text", "clip"], minutes=14, device="cpu", workers=3)
    # Each gets its share of what is left: 4 of 14 parts, then all of the 14 minutes, which on this clock do not pass.
    assert given == [("text", pytest.approx(4)), ("clip", pytest.approx(14))]


def test_minutes_that_one_model_does_not_need_go_to_the_next(monkeypatch):
    clock, given = [0.0], []

    def train(model, *, minutes, **options):
        given.append(minutes)
        clock[0] += 60 * minutes / 2

    monkeypatch.setattr(course.train, "train", train)
    monkeypatch.setattr(course.train.time, "monotonic", lambda: clock[0])
    course.train.train_all(["text", "judge", "clip"], minutes=18)
    shares = [4 / 18, 4 / 14, 1.0]
    left = 18.0
    for minutes, share in zip(given, shares, strict=True):
        assert minutes == pytest.approx(left * share)
        left -= minutes / 2


# -- what is learnt from


def test_a_scene_survives_json_and_the_same_seed_gives_the_same_scenes():
    scenes = fresh_scenes(6, seed=3)
    assert scenes == fresh_scenes(9, seed=3)[:6] != fresh_scenes(6, seed=4)
    again = [scene_from_json(scene_to_json(scene)) for scene in scenes]
    assert again == scenes and [s.layout for s in again] == [s.layout for s in scenes]


class Numbered(Batches):
    """Drawings that are just a number drawn at random."""

    def fresh(self, rng, progress):
        return Drawing(None, rng.integers(10**9, size=1))

    def make(self, drawings, size, rng, progress):
        return {
            "numbers": torch.tensor([int(drawing.pixels[0]) for drawing in drawings]),
            "word": torch.tensor(rng.integers(10**9)),
            "progress": torch.tensor(progress),
        }


def batches_of(n, *, seed=1, first=0, size=80, reuse=8, memory=200, progress=None):
    stream = Stream(
        Numbered(), size=size, seed=seed, first=first, reuse=reuse, memory=memory, progress=progress or Value("d", 0.0)
    )
    return list(islice(stream, n))


def test_the_same_seed_gives_the_same_batches_and_another_seed_others():
    once, again, other = batches_of(5), batches_of(5), batches_of(5, seed=2)
    for a, b, c in zip(once, again, other, strict=True):
        assert torch.equal(a["numbers"], b["numbers"]) and torch.equal(a["word"], b["word"])
        assert not set(a["numbers"].tolist()) & set(c["numbers"].tolist())


def test_a_run_that_goes_on_meets_the_fresh_drawings_of_its_step():
    """What a worker kept is lost with it; what is new at a step depends on seed and step alone."""
    undisturbed, resumed = batches_of(5)[3], batches_of(2, first=3)[0]
    assert undisturbed["numbers"][:10].tolist() == resumed["numbers"][:10].tolist()


def test_each_of_two_workers_makes_every_other_batch():
    from torch.utils.data import DataLoader

    stream = Stream(Numbered(), size=80, seed=1, first=0, reuse=8, memory=200, progress=Value("d", 0.0))
    loader = iter(DataLoader(stream, batch_size=None, num_workers=2))
    of_two = [batch["numbers"][:10].tolist() for batch in islice(loader, 4)]
    assert of_two == [batch["numbers"][:10].tolist() for batch in batches_of(4)]


def test_a_drawing_is_used_so_often_and_forgotten_when_the_memory_is_full():
    rows = [batch["numbers"].tolist() for batch in batches_of(60)]
    assert all(len(row) == 80 for row in rows)
    seen: set[int] = set()
    fresh = []
    for row in rows:
        fresh.append(len(set(row) - seen))
        seen |= set(row)
    assert fresh[0] == 64 and set(fresh[1:]) == {10}, "64 to begin with, then an eighth of each batch"
    late = [number for row in rows[30:50] for number in row]
    assert len(late) / len(set(late)) > 2, "most of a batch was met before"
    assert not set(rows[-1]) & set(rows[0]), "200 are kept, ten of them new at each step"


def test_a_batch_larger_than_the_memory_is_filled_all_the_same():
    for batch in batches_of(3, memory=4, size=30, reuse=1):
        assert len(batch["numbers"]) == 30


def test_batches_know_how_far_the_training_is():
    progress = Value("d", 0.25)
    stream = iter(Stream(Numbered(), size=8, seed=1, first=0, reuse=8, memory=20, progress=progress))
    assert next(stream)["progress"] == 0.25
    progress.value = 0.5
    assert next(stream)["progress"] == 0.5


# -- labels


def test_foot_labels_have_a_peak_at_each_foot_with_what_stands_there():
    for scene in fresh_scenes(40, 6):
        foot, half, kind, colour = foot_labels(scene)
        for box in boxes(scene):
            row, column = int((box.y + FOOT * box.half) * FOOT_GRID), int(box.x * FOOT_GRID)
            if not (row < FOOT_GRID and column < FOOT_GRID):
                continue
            around = np.s_[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            assert foot[around].max() == 1
            assert KINDS.index(box.thing.kind) in kind[around] and COLOURS.index(box.thing.colour) in colour[around]
            assert np.isclose(half[around], box.half).any()
        assert ((kind == IGNORE) == (colour == IGNORE)).all() and (kind[foot < 0.3] == IGNORE).all()


def test_two_things_of_one_kind_have_two_feet():
    scene = Scene((Thing("cat", "red", "small", count=2),), "meadow", layout=1)
    assert (foot_labels(scene)[0] == 1).sum() == 2


def test_words_look_up_colour_and_number():
    three = Scene((Thing("cat", "red", "small", count=3),), "meadow")
    assert attribute_labels(three, "cat") == (1 + COLOURS.index("red"), 3) and attribute_labels(three, "dog") == (0, 0)
    labels = word_labels(torch.tensor([[7, 3], [7, 5]]), {3: "cat", 5: "dog"}, [three, three])
    assert labels.tolist() == [
        [[IGNORE, IGNORE], [1 + COLOURS.index("red"), 3]],
        [[IGNORE, IGNORE], [0, 0]],
    ]


def test_a_batch_that_looks_nothing_up_costs_nothing_and_is_a_number():
    look_up, hidden = AttributeHead(4), torch.randn(2, 3, 4, requires_grad=True)
    nothing = torch.full((2, 3, 2), IGNORE)
    loss = look_up(hidden, nothing)
    loss.backward()
    assert loss.item() == 0 and hidden.grad.isfinite().all()
    two_colours = nothing.clone()
    two_colours[0, 1] = torch.tensor([IGNORE, 2])  # the number is asked, the colour is not
    assert torch.isfinite(look_up(hidden, two_colours)) and look_up(hidden, two_colours) > 0


# -- Muon


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 8, 40)], ids=["square", "wide"])
def test_newton_schulz_keeps_the_directions_and_makes_all_singular_values_about_1(shape):
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = newton_schulz(given)
    sizes = torch.linalg.svdvals(made)
    assert made.shape == given.shape and sizes.min() > 0.5 and sizes.max() < 1.3
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    within = u.mT @ made @ v.mT
    assert torch.allclose(within, torch.diag_embed(within.diagonal(dim1=1, dim2=2)), atol=0.02)
    assert newton_schulz(torch.zeros(shape)).isfinite().all(), "a weight without a gradient stays a number"


@pytest.mark.parametrize("shape", [(2, 8, 32), (2, 32, 8)], ids=["wide", "tall"])
def test_muon_moves_every_direction_alike(shape):
    weights = [torch.nn.Parameter(torch.zeros(shape[1:])) for _ in range(shape[0])]
    optimizer = Muon(weights, lr=1.0, weight_decay=0.0)
    lopsided = torch.diag_embed(torch.logspace(0, -2, 8))
    for weight in weights:
        weight.grad = torch.zeros(shape[1:])
        weight.grad[:8, :8] = lopsided
    optimizer.step()
    for weight in weights:
        sizes = torch.linalg.svdvals(weight / (0.2 * max(shape) ** 0.5))
        assert sizes.min() > 0.5 and sizes.max() < 1.3
        assert (weight.diagonal() < 0).all(), "against the gradient"


def test_muon_reads_a_convolution_as_a_matrix():
    conv = torch.nn.Conv2d(3, 4, 3)
    flat = torch.nn.Parameter(conv.weight.detach().flatten(1).clone())
    conv.weight.grad = torch.randn(conv.weight.shape, generator=torch.Generator().manual_seed(0))
    flat.grad = conv.weight.grad.flatten(1).clone()
    for weight in (conv.weight, flat):
        Muon([weight], lr=0.1, weight_decay=0.1).step()
    assert torch.allclose(conv.weight.flatten(1), flat)


def test_muon_leaves_weights_without_a_gradient_alone():
    used, unused = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    used.grad = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    Muon([used, unused], lr=0.1, weight_decay=0.1).step()
    assert (used != 1).any() and (unused == 1).all()


def test_matrices_are_the_trained_weights_of_linear_layers_and_convolutions():
    modules = torch.nn.ModuleDict(
        {"a": torch.nn.Linear(2, 3), "b": torch.nn.Conv2d(1, 2, 3), "c": torch.nn.Embedding(4, 2)}
    )
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    modules["d"] = frozen
    assert [tuple(w.shape) for w in matrices(modules)] == [(3, 2), (2, 1, 3, 3)]


# -- the VAE


def test_normal_latents_decode_to_the_same_picture_and_have_one_spread():
    from course.train.vae import new_vae, normalize_latents

    torch.manual_seed(0)
    vae = new_vae().eval()
    pixels = torch.rand(4, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist
        decoded = vae.decode(latents.mean).sample
        spread = latents.mean.std((0, 2, 3))
        normalize_latents(vae, latents.mean.mean((0, 2, 3)), spread)
        normal = vae.encode(pixels).latent_dist
        assert torch.allclose(vae.decode(normal.mean).sample, decoded, atol=1e-4)
    assert torch.allclose(normal.mean.mean((0, 2, 3)), torch.zeros(8), atol=1e-4)
    assert torch.allclose(normal.mean.std((0, 2, 3)), spread.mean().expand(8), rtol=1e-3)
    assert torch.allclose(normal.std / normal.mean.std((0, 2, 3))[:, None, None], latents.std / spread[:, None, None])
    assert vae.config.scaling_factor == pytest.approx(1 / spread.mean().item(), rel=1e-4)


@pytest.mark.parametrize(("turn", "mirror", "scale"), [(1, False, 1.0), (0, True, 0.5), (3, True, 0.75), (2, False, 1)])
def test_a_picture_turned_and_shrunk_fits_its_latents_turned_and_shrunk(turn, mirror, scale):
    """Where each latent is the mean of its 8 × 8 pixels, both ways give one result."""
    from course.train.vae import transformed

    slope = torch.linspace(0, 1, 128)
    pixels = (slope + slope[:, None] ** 2)[None, None]
    small = transformed(torch.nn.functional.avg_pool2d(pixels, 8), turn, mirror, scale)
    picture = transformed(pixels, turn, mirror, scale)
    side = int(16 * scale)
    assert small.shape == (1, 1, side, side) and picture.shape == (1, 1, 8 * side, 8 * side)
    a_latent = 3 / 16  # the most that this picture changes from one to the next
    assert (torch.nn.functional.avg_pool2d(picture, 8) - small).abs().max() < a_latent / 3


def test_turned_a_quarter_and_mirrored():
    from course.train.vae import transformed

    picture = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert transformed(picture, 1, False, 1)[0, 0].tolist() == [[2, 4], [1, 3]]
    assert transformed(picture, 0, True, 1)[0, 0].tolist() == [[2, 1], [4, 3]]


def test_only_the_decoder_of_a_trained_vae_goes_on_learning(tmp_path):
    from course.train.vae import VAERecipe, new_vae

    new_vae().save_pretrained(tmp_path)
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for progress, parts in (
        (0.9, {"encoder", "quant_conv", "post_quant_conv", "decoder"}),
        (1.0, {"post_quant_conv", "decoder"}),
    ):
        (tmp_path / "training.json").write_text(json.dumps({"progress": progress}))
        recipe = VAERecipe(tmp_path)
        recipe.loss({"pixels": pixels}, progress).backward()
        assert {
            name.split(".")[0] for name, weight in recipe.modules.named_parameters() if weight.grad is not None
        } == parts


def test_the_vae_alone_sees_things_that_the_world_does_not_know():
    from course.train.vae import NOVEL_SHARE, WHOLE_FROM, VAEBatches

    batches, rng = VAEBatches(), np.random.default_rng(0)
    drawings = [batches.fresh(rng, 0.0) for _ in range(60)]
    novel = [drawing for drawing in drawings if drawing.scene is None]
    assert 0 < len(novel) < 60 * 3 * NOVEL_SHARE and all(d.pixels.shape == (128, 128, 3) for d in novel)
    assert batches.make(drawings[:8], 8, rng, 0.0)["pixels"].shape == (8, 64, 64, 3)
    assert batches.make(drawings[:8], 8, rng, WHOLE_FROM)["pixels"].shape == (2, 128, 128, 3)


# -- the few-step adapter


@pytest.fixture
def checkpoint(tmp_path):
    """The folder of a tiny pipeline, as a few-step recipe wants it."""
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path / "diffusion")
    return tmp_path / "diffusion"


def told(unet, seed=0):
    """What a tiny U-Net tells of noise."""
    generator = torch.Generator().manual_seed(seed)
    noisy, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 5, 16, generator=generator)
    with torch.no_grad():
        return unet(noisy, torch.tensor([300, 700]), encoder_hidden_states=text).sample


def test_a_new_adapter_changes_nothing_and_is_all_that_is_learnt():
    from course.train.few_step import new_adapted

    unet = tiny_pipeline().unet
    adapted = new_adapted(unet)
    assert torch.allclose(told(adapted), told(unet), atol=1e-6)
    assert {("lora" in name) for name, weight in adapted.named_parameters() if weight.requires_grad} == {True}
    assert not any("lora" in name for name, _ in unet.named_parameters()), "the U-Net itself stays as it was"


def test_the_adapter_loads_plainly_with_all_its_layers_and_can_be_trained_on(checkpoint, monkeypatch):
    from diffusers import StableDiffusionPipeline

    from course.train import few_step

    monkeypatch.setattr(few_step, "RANK", 4)
    monkeypatch.setattr(few_step.CLIPTokenizer, "__call__", _short(few_step.CLIPTokenizer.__call__))
    recipe = few_step.FewStepRecipe(checkpoint)
    learnt = {name: w for name, w in recipe.modules.named_parameters() if w.requires_grad}
    with torch.no_grad():
        for weight in learnt.values():  # as after a training: no weight is zero; float16 holds them whole
            weight.copy_((0.2 * torch.randn_like(weight)).half())
    out = checkpoint / "few_step"
    recipe.export(recipe.modules, out)

    pipe = StableDiffusionPipeline.from_pretrained(checkpoint, local_files_only=True)
    before = told(pipe.unet)
    pipe.load_lora_weights(out, weight_name=few_step.FILE)
    loaded = {name for name, _ in pipe.unet.named_parameters() if "lora" in name}
    assert len(loaded) == len(learnt)
    for layer in ("attn1.to_q", "attn2.to_v", "to_out.0", "conv1", "conv2", "ff.net.0.proj", "ff.net.2", "proj_in"):
        assert any(f".{layer}.lora_A" in name for name in loaded), layer
    assert torch.allclose(told(pipe.unet), told(recipe.modules), atol=1e-3)
    assert not torch.allclose(told(pipe.unet), before, atol=1e-2)

    again = few_step.FewStepRecipe(checkpoint)
    again.warm_start(out)
    for name, weight in again.modules.named_parameters():
        if weight.requires_grad:
            assert torch.equal(weight, learnt[name]), name


def _short(call):
    """The tiny text encoder reads 32 tokens, not 40."""
    return lambda self, *texts, **options: call(self, *texts, **(options | {"max_length": 32}))


# -- the text encoder


def test_the_text_encoder_keeps_the_tokenizer_that_all_models_know(tmp_path, monkeypatch):
    from course.train import text
    from course.train.tokenizer import train_tokenizer

    monkeypatch.setattr(text, "new_tokenizer", lambda: train_tokenizer(["many new words and signs"]))
    kept = train_tokenizer(["one old word"])
    kept.save_pretrained(tmp_path / "tokenizer")
    assert text.TextRecipe(tmp_path).tokenizer.get_vocab() == kept.get_vocab()
    assert len(text.TextRecipe(tmp_path / "new").tokenizer) > len(kept)
