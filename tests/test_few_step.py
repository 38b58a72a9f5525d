"""The adapter for few steps: a pipeline with it beside one without, its provenance, and its pictures drawn again."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from adapters import random_adapter
from test_models import put_in_cache
from tiny import tiny_pipeline

from helpers import models
from helpers.assessment import Picture, Spot
from helpers.assessment.provenance_criteria import Drawing, drawn_again
from helpers.errors import PlainError
from helpers.likeness import same_drawing
from helpers.models import ModelUnavailable, adapter_entry, adapter_of, defaults, few_step, has_few_step
from helpers.redraw import redraw, unlike_here
from helpers.settings import REPOSITORY, settings
from helpers.submission import (
    Provenance,
    adapter_used,
    attach,
    checkpoint_of,
    make_provenance,
    provenance_of,
    save_with_provenance,
)

PROMPTS = ["a large red cat, on a meadow", "a small blue boat, by the sea"]


@pytest.fixture
def pipe(tmp_path):
    """A tiny pipeline that came from a folder with an adapter."""
    pipe = tiny_pipeline()
    random_adapter(tmp_path / "tiny", pipe.unet)
    pipe.register_to_config(_name_or_path=str(tmp_path / "tiny"))
    return pipe


def draw(pipe, seed=0, **options):
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(PROMPTS))]
    return pipe(PROMPTS, generator=generators, **options).images


def pixels(images):
    return np.stack([np.asarray(image, dtype=int) for image in images])


def same(one, other):
    """Whether pictures are the same but for rounding."""
    return np.abs(pixels(one) - pixels(other)).max() <= 2


# -- the registry


def test_the_defaults_stand_in_the_registry():
    assert defaults() == defaults("diffusion") == (25, 4.0)
    assert defaults("few_step") == (4, 1.0)
    with pytest.raises(ModelUnavailable, match="for 'fewer', only for: diffusion, few_step"):
        defaults("fewer")


def test_the_adapter_has_both_profiles(monkeypatch):
    assert adapter_entry("few_step").id == "few_step"
    monkeypatch.setattr(settings, "profile", "full")
    wanted = adapter_entry("few_step")
    assert wanted.id.count("/") == 1 and len(wanted.revision) == 40 and wanted.licence and wanted.files


# -- a pipeline with the adapter


def test_it_takes_four_steps_without_guidance_unless_it_is_told_otherwise(pipe):
    few, evaluations = few_step(pipe), []
    few.unet.register_forward_pre_hook(lambda unet, args: evaluations.append(len(args[0])))
    drawn = draw(few)
    assert evaluations == [2] * 4
    assert same(drawn, draw(few, num_inference_steps=4, guidance_scale=1.0))
    evaluations.clear()
    assert not same(drawn, draw(few, num_inference_steps=3, guidance_scale=2.0))
    assert evaluations == [4] * 3


def test_its_scheduler_knows_the_models_noise_and_prediction(pipe):
    config = few_step(pipe).scheduler.config
    assert type(few_step(pipe).scheduler).__name__ == "LCMScheduler"
    for name in ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type"):
        assert config[name] == pipe.scheduler.config[name]
    assert (config.prediction_type, config.timestep_scaling, config.original_inference_steps) == (
        "v_prediction",
        10,
        50,
    )


def test_it_draws_what_diffusers_draws_with_the_same_file(pipe, tmp_path):
    from diffusers import LCMScheduler

    drawn = draw(few_step(pipe))
    plain = tiny_pipeline()
    plain.load_lora_weights(tmp_path / "tiny" / "few_step")
    # Not from_config: where the model's own scheduler has its class's defaults, that takes those of the other class.
    noise = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "steps_offset": 1}
    plain.scheduler = LCMScheduler(**noise, prediction_type="v_prediction")
    assert same(drawn, draw(plain, num_inference_steps=4, guidance_scale=1.0))
    assert not same(drawn, draw(models.with_scheduler(pipe, few_step(pipe).scheduler), num_inference_steps=4))


def test_the_pipeline_that_it_comes_from_stays_as_it_was(pipe):
    before = draw(pipe, num_inference_steps=3)
    weights = {name: value.clone() for name, value in pipe.unet.state_dict().items()}
    trainable = [parameter.requires_grad for parameter in pipe.unet.parameters()]
    draw(few_step(pipe)), draw(few_step(pipe, 0.5))
    assert weights.keys() == pipe.unet.state_dict().keys()
    assert all(torch.equal(value, weights[name]) for name, value in pipe.unet.state_dict().items())
    assert trainable == [parameter.requires_grad for parameter in pipe.unet.parameters()]
    assert type(pipe.scheduler).__name__ == "DPMSolverMultistepScheduler" and adapter_of(pipe) is None
    assert same(before, draw(pipe, num_inference_steps=3))


def test_both_may_draw_at_the_same_time(pipe):
    few = few_step(pipe)
    jobs = [
        lambda: draw(models.with_scheduler(pipe, pipe.scheduler), num_inference_steps=4),
        lambda: draw(few_step(pipe)),
    ]
    alone = [job() for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: job(), jobs * 3))
    assert all(same(drawn, alone[i % 2]) for i, drawn in enumerate(together))
    assert few_step(pipe).unet is few.unet and few_step(pipe).scheduler is not few.scheduler
    assert few.unet.conv_in.weight.data_ptr() == pipe.unet.conv_in.weight.data_ptr()  # not copied


def test_a_weight_is_honoured(pipe):
    base = models.with_scheduler(pipe, few_step(pipe).scheduler)
    nothing, half, whole = (draw(few_step(pipe, weight)) for weight in (0.0, 0.5, 1.0))
    assert same(nothing, draw(base, num_inference_steps=4, guidance_scale=1.0))
    assert not same(nothing, half) and not same(half, whole)
    assert adapter_of(few_step(pipe, 0.5)).weight == 0.5
    few = few_step(pipe)
    assert few_step(few) is few
    with pytest.raises(PlainError, match="has the adapter already"):
        few_step(few, 0.5)


def test_loading_it_prints_nothing(pipe, capfd):
    draw(few_step(pipe))
    assert capfd.readouterr() == ("", "")  # a graded cell that writes to stderr scores nothing


def test_a_pipeline_made_of_its_parts_keeps_the_adapter_and_the_defaults(pipe):
    few = few_step(pipe)
    other = models.with_scheduler(few, few.scheduler)
    assert adapter_of(other) == adapter_of(few) and checkpoint_of(other) == checkpoint_of(pipe)
    assert same(draw(other), draw(few))


# -- what can be missing


def refusal(pipe):
    with pytest.raises(ModelUnavailable) as caught:
        few_step(pipe)
    return str(caught.value)


def test_a_missing_adapter(pipe, tmp_path):
    assert has_few_step(pipe)
    shutil.rmtree(tmp_path / "tiny" / "few_step")
    assert not has_few_step(pipe)
    text = refusal(pipe)
    assert str(tmp_path / "tiny" / "few_step" / "pytorch_lora_weights.safetensors") in text
    assert "git checkout -- models" in text and text.endswith("in 25 steps with guidance 4.")
    assert "not loaded from a folder" in refusal(tiny_pipeline()) and not has_few_step(tiny_pipeline())


@pytest.mark.parametrize(
    "content", ["version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "nonsense", ""]
)
def test_a_damaged_adapter(pipe, tmp_path, content):
    (tmp_path / "tiny" / "few_step" / "pytorch_lora_weights.safetensors").write_text(content)
    assert ("git-LFS pointer" if content.startswith("version") else "is damaged") in refusal(pipe)


def test_an_adapter_of_another_model(pipe, tmp_path):
    random_adapter(tmp_path / "tiny", models.load("diffusion").unet)
    assert "is not one for this model" in refusal(pipe)


def test_an_adapter_of_which_layers_would_be_left_out(pipe, tmp_path):
    """diffusers names attention layers as peft does not; where others are named peft's way, it would skip them."""
    from safetensors.torch import load_file, save_file

    file = tmp_path / "tiny" / "few_step" / "pytorch_lora_weights.safetensors"
    renamed = {
        name.replace("lora_A", "lora.down").replace("lora_B", "lora.up") if "attn" in name else name: value
        for name, value in load_file(file).items()
    }
    save_file(renamed, file, {"format": "pt"})
    assert "is not one for this model" in refusal(pipe)


def test_the_full_profile_takes_it_from_the_hub(pipe, tmp_path, monkeypatch):
    import psutil

    monkeypatch.setattr(settings, "profile", "full")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100e9}))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    mine = draw(few_step(pipe))
    (tmp_path / "tiny" / "few_step").rename(tmp_path / "lora")
    assert not has_few_step(pipe) and "is not on this computer yet" in refusal(pipe)
    put_in_cache(tmp_path / "lora", adapter_entry("few_step"), tmp_path / "hub")
    assert has_few_step(pipe)
    assert same(draw(few_step(pipe)), mine)
    assert not same(draw(few_step(pipe, 0.5)), mine)
    used = adapter_used(few_step(pipe))
    assert (used.name, used.revision) == (adapter_entry("few_step").id, adapter_entry("few_step").revision)


# -- provenance, and drawing again


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The course's models, the diffusion model with a random adapter."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(
        REPOSITORY / "models" / "diffusion", folder / "diffusion", ignore=shutil.ignore_patterns("few_step")
    )
    return folder


@pytest.fixture
def mini(folder, monkeypatch):
    """The course's diffusion model, from that folder; before the adapter is there it is without."""
    monkeypatch.setattr(settings, "models_dir", folder)
    return models.load("diffusion")


def papers_of(pipe, seed=3, weight=None, **how):
    """Pictures drawn just now, with their provenance."""
    steps, guidance_scale = how.get("steps", 4), how.get("guidance_scale", 1.0)
    images = draw(pipe, seed, num_inference_steps=steps, guidance_scale=guidance_scale)
    settled = {"steps": steps, "guidance_scale": guidance_scale}
    return [
        (image, make_provenance(image, pipe, prompt=prompt, seed=seed + i, **settled))
        for i, (prompt, image) in enumerate(zip(PROMPTS, images, strict=True))
    ]


def test_the_adapter_does_not_change_the_checkpoints_revision(mini, folder, monkeypatch):
    before = checkpoint_of(mini)
    from helpers import provenance

    random_adapter(folder / "diffusion", mini.unet)
    provenance._checkpoint.cache_clear()
    assert checkpoint_of(mini) == checkpoint_of(few_step(mini)) == before


def test_provenance_names_adapter_and_scheduler(mini, folder, tmp_path):
    random_adapter(folder / "diffusion", mini.unet)
    (image, said), _ = papers_of(few_step(mini))
    assert said.adapter == adapter_used(few_step(mini)) and said.adapter.name == "few_step"
    assert said.adapter.revision.startswith("sha256:") and said.adapter.weight == 1
    assert said.adapter.revision != said.revision == checkpoint_of(mini)[1]
    assert said.scheduler == "LCMScheduler"
    assert provenance_of(save_with_provenance(attach(image, said), tmp_path / "a.png")) == said
    plain = make_provenance(image, mini, prompt="a cat", seed=0, steps=25, guidance_scale=4.0)
    assert plain.adapter is None and plain.scheduler == "DPMSolverMultistepScheduler"


def test_pictures_come_out_the_same_whatever_they_were_drawn_with(mini, folder):
    random_adapter(folder / "diffusion", mini.unet)
    other = models.with_scheduler(few_step(mini), mini.scheduler)
    drawn = [
        *papers_of(few_step(mini)),
        *papers_of(few_step(mini, 0.5)),
        *papers_of(mini, steps=3, guidance_scale=4.0),
        *papers_of(other, steps=3),
    ]
    early = drawn[4][1].model_copy(update={"scheduler": None})
    wanted = [said for _, said in drawn]
    assert not any(map(unlike_here, [*wanted, early]))
    again = redraw([*reversed(wanted), early])
    assert same_drawing(again.pop(), drawn[4][0])
    assert all(same_drawing(image, mine) for image, (mine, _) in zip(reversed(again), drawn, strict=True))
    plain = [said.model_copy(update={"adapter": None}) for said in wanted[:2]]
    assert not any(same_drawing(image, mine) for image, (mine, _) in zip(redraw(plain), drawn[:2], strict=True))


def test_what_the_runner_has_not_is_said_and_not_drawn(mini, folder, monkeypatch):
    random_adapter(folder / "diffusion", mini.unet)
    ((image, said), _) = papers_of(few_step(mini))
    faulty = {
        "the adapter few_step (sha256:0)": {"adapter": said.adapter.model_copy(update={"revision": "sha256:0"})},
        "it was drawn with EulerDiscreteScheduler, not with": {"scheduler": "EulerDiscreteScheduler"},
        "takes at most 50 steps": {"steps": 51},
    }
    picture = Picture(Spot(1, "picture", 1), "p.png", image)
    monkeypatch.setattr("helpers.redraw.redraw", lambda wanted: [] if not wanted else pytest.fail("it drew"))
    for words, change in faulty.items():
        (fault,) = drawn_again([Drawing(picture, said.model_copy(update=change))])
        assert words in fault.one
    monkeypatch.undo()
    monkeypatch.setattr(settings, "models_dir", folder)
    assert drawn_again([Drawing(picture, said)]) == []


def test_a_runner_without_the_adapter_says_so(tmp_path, monkeypatch):
    shutil.copytree(
        REPOSITORY / "models" / "diffusion", tmp_path / "diffusion", ignore=shutil.ignore_patterns("few_step")
    )
    monkeypatch.setattr(settings, "models_dir", tmp_path)
    mini = models.load("diffusion")
    random_adapter(tmp_path / "diffusion", mini.unet)
    ((_, said), _) = papers_of(few_step(mini))
    shutil.rmtree(tmp_path / "diffusion" / "few_step")
    assert unlike_here(said) == "it was drawn with the adapter few_step, which is unavailable here"


def test_the_report_names_the_adapter():
    from course.demo.report import _model

    papers = {"prompt": "a cat", "model": "diffusion", "revision": "r1", "seed": 1, "steps": 4, "guidance_scale": 1.0}
    said = Provenance(**papers, sha256="0" * 64)
    assert _model(said) == "diffusion (r1)"
    adapter = {"name": "few_step", "revision": "r2"}
    assert _model(Provenance(**papers, sha256="0" * 64, adapter=adapter)) == "diffusion (r1) with few_step (r2)"
