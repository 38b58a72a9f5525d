"""The training loop: what it learns, and that a killed run loses nothing but minutes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from course.data import Pictures
from course.train.loop import Run, learning_rate_factor
from course.train.muon import Muon, matrices

TOY = '''
import sys, time
from pathlib import Path
import torch
import course.train.loop as loop

class Toy(loop.Recipe):
    """Learns y = 3x; slow enough to be killed in the middle."""
    name, total_steps, batch_size, learning_rate, warmup_steps = "toy", 120, 8, 0.3, 10
    def __init__(self, pause=0.0):
        torch.manual_seed(0)
        self.modules, self.pause = torch.nn.Linear(1, 1), pause
    def loss(self, step, rng):
        time.sleep(self.pause)
        x = torch.from_numpy(rng.normal(size=(self.batch_size, 1))).float() + 0.01 * torch.randn(self.batch_size, 1)
        return (self.modules(x) - 3 * x).square().mean()
    def export(self, modules, folder):
        torch.save(modules.state_dict(), folder / "weights.pt")
    def warm_start(self, folder):
        self.modules.load_state_dict(torch.load(folder / "weights.pt"))

if __name__ == "__main__":
    loop.CHECKPOINT_EVERY_SECONDS = 0.05
    run = loop.Run(Toy(pause=0.02), Path(sys.argv[1]))
    if run.checkpoint.exists():
        run.load()
    run.train(minutes=1)
'''


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


def finished_run(toy, folder: Path) -> Run:
    run = Run(toy.Toy(), folder)
    run.train(minutes=1)
    return run


def test_learns_and_exports_the_averaged_weights(toy, tmp_path):
    run = finished_run(toy, tmp_path / "work")
    assert run.finished and run.recipe.modules.weight.item() == pytest.approx(3, abs=0.2)
    run.export(tmp_path / "out")
    exported = torch.load(tmp_path / "out" / "weights.pt")
    assert torch.equal(exported["weight"], run.ema.weight) and not torch.equal(
        run.ema.weight, run.recipe.modules.weight
    )
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["step"] == record["total_steps"] == 120 and record["losses"][0][1] > record["losses"][-1][1]
    assert (tmp_path / "out" / "loss.png").stat().st_size > 1000


def test_kill_9_costs_nothing_but_the_time_since_the_last_checkpoint(toy, tmp_path):
    script = [sys.executable, toy.__file__, str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(script, env=environment, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = Run(toy.Toy(), tmp_path / "killed")
    resumed.load()
    assert 0 < resumed.step < 120, "the run was not killed in its middle"
    resumed.train(minutes=1)
    undisturbed = finished_run(toy, tmp_path / "undisturbed")
    for a, b in zip(resumed.ema.parameters(), undisturbed.ema.parameters(), strict=True):
        assert torch.equal(a, b)


def test_minutes_end_a_run_and_exported_weights_can_be_taken_up(toy, tmp_path):
    run = Run(toy.Toy(pause=0.02), tmp_path / "short")
    run.train(minutes=0.01)
    assert 0 < run.step < 120 and run.checkpoint.exists()
    run.export(tmp_path / "out")
    other = Run(toy.Toy(), tmp_path / "elsewhere")
    other.start_from(tmp_path / "out")
    assert other.step == run.step
    assert torch.equal(other.recipe.modules.weight, run.ema.weight)
    other.train(minutes=1)
    assert other.finished


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(toy, tmp_path):
    class Broken(toy.Toy):
        def loss(self, step, rng):
            return super().loss(step, rng) * (float("nan") if step == 5 else 1)

    with pytest.raises(FloatingPointError, match="step 5"):
        Run(Broken(), tmp_path).train(minutes=1)


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    factors = [learning_rate_factor(step, 1000, 100) for step in range(1001)]
    assert factors[0] == pytest.approx(0.01) and factors[99:700] == [1.0] * 601
    assert factors[1000] == 0 and factors[850] == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_data_set(tmp_path):
    from course.data import fresh_scenes, pictures

    small = pictures(6, seed=3, folder=tmp_path, size=32)
    assert small.scenes == fresh_scenes(6, seed=3) == fresh_scenes(9, seed=3)[:6]
    again = pictures(6, seed=3, folder=tmp_path, size=32)
    assert np.array_equal(small.pixels, again.pixels) and [s.layout for s in again.scenes] == [
        s.layout for s in small.scenes
    ]


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


def test_matrices_are_the_trained_weights_of_linear_layers_and_convolutions():
    modules = torch.nn.ModuleDict(
        {"a": torch.nn.Linear(2, 3), "b": torch.nn.Conv2d(1, 2, 3), "c": torch.nn.Embedding(4, 2)}
    )
    frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    modules["d"] = frozen
    assert [tuple(w.shape) for w in matrices(modules)] == [(3, 2), (2, 1, 3, 3)]


def test_the_decoder_is_trained_on_and_the_encoder_left_alone(tmp_path):
    from diffusers import AutoencoderKL

    from course.data import pictures
    from course.train.decoder import DecoderRecipe
    from course.train.vae import new_vae

    vae = tmp_path / "vae"
    new_vae().half().save_pretrained(vae)
    before = AutoencoderKL.from_pretrained(vae).state_dict()
    recipe = DecoderRecipe(pictures(6, seed=3, folder=tmp_path, size=32), vae, tmp_path)
    recipe.total_steps = 3
    run = Run(recipe, tmp_path / "work")
    run.train(minutes=1)
    run.export(vae / "decoder")
    after = AutoencoderKL.from_pretrained(vae).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "post_quant_conv"}
    assert str(tmp_path) not in (vae / "config.json").read_text()


def test_latents_are_kept_for_each_encoder_and_never_half(tmp_path, monkeypatch):
    """A VAE that was trained further gives other latents; and a kill while they are written leaves none."""
    from diffusers import AutoencoderKL

    from course.train.unet import all_latents

    size = {"block_out_channels": (8,), "norm_num_groups": 4, "latent_channels": 8}
    data = Pictures(np.zeros((2, 16, 16, 3), dtype=np.uint8), [None, None])
    vae, retrained = (AutoencoderKL(**size).eval() for _ in range(2))
    latents = all_latents(vae, data, tmp_path)
    assert latents.shape == (2, 8, 16, 16)
    assert not torch.equal(latents, all_latents(retrained, data, tmp_path))
    monkeypatch.setattr(AutoencoderKL, "encode", lambda *_: pytest.fail("encoded again"))
    assert torch.equal(latents, all_latents(vae, data, tmp_path))

    def killed(content, file):
        Path(file).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.undo()
    monkeypatch.setattr(torch, "save", killed)
    for parameter in vae.encoder.parameters():
        parameter.data += 1
    with pytest.raises(KeyboardInterrupt):
        all_latents(vae, data, tmp_path)
    monkeypatch.undo()
    assert not torch.equal(latents, all_latents(vae, data, tmp_path))


def test_the_text_encoder_keeps_the_tokenizer_that_all_models_know(tmp_path):
    from course.train.text import TextRecipe
    from course.train.tokenizer import train_tokenizer

    kept = train_tokenizer(["one old word"])
    kept.save_pretrained(tmp_path / "tokenizer")
    assert TextRecipe(tmp_path).tokenizer.get_vocab() == kept.get_vocab()
    assert len(TextRecipe(tmp_path / "new").tokenizer) > len(kept)
