"""The mini models as anyone would load them: plain `from_pretrained`, without this course's helpers."""

import numpy as np
import pytest
import torch
from diffusers import LCMScheduler, StableDiffusionPipeline
from transformers import CLIPModel, CLIPProcessor, CLIPTextModel

from course.train import MODELS
from course.train.loop import save_half
from helpers.judge import load_judge, read, shows_number
from helpers.models import defaults
from helpers.picturebook import Scene, Thing, draw


def test_the_pipeline_loads_plainly_and_draws():
    pipe = StableDiffusionPipeline.from_pretrained(MODELS / "diffusion", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    assert {p.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder) for p in part.parameters()} == {torch.float32}
    once, again = (
        pipe("a large red cat, on a meadow", num_inference_steps=2, generator=torch.Generator().manual_seed(1)).images
        for _ in range(2)
    )
    assert once[0].size == (128, 128) and once[0].tobytes() == again[0].tobytes()


def test_clip_loads_plainly_and_tells_a_meadow_from_the_night():
    model = CLIPModel.from_pretrained(MODELS / "clip").eval()
    processor = CLIPProcessor.from_pretrained(MODELS / "clip")
    assert {p.dtype for p in model.parameters()} == {torch.float32} and model.config.projection_dim == 512
    scenes = [Scene((Thing("cat", "red"),), place, layout=3) for place in ("meadow", "night")]
    texts = ["a large red cat, on a meadow", "a large red cat, at night"]
    with torch.no_grad():
        inputs = processor(text=texts, images=[draw(s) for s in scenes], padding=True, return_tensors="pt")
        logits = model(**inputs).logits_per_image
    assert logits.argmax(1).tolist() == [0, 1]


def test_the_vae_keeps_colours_and_its_scaled_latents_have_unit_spread():
    vae = StableDiffusionPipeline.from_pretrained(MODELS / "diffusion", local_files_only=True).vae
    scenes = [Scene((Thing("ball", colour),), "meadow", layout=i) for i, colour in enumerate(("red", "blue", "white"))]
    pixels = torch.from_numpy(np.stack([np.asarray(draw(s)) for s in scenes])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mean
        error = (vae.decode(latents).sample - pixels).abs().mean().item()
    scaled = latents * vae.config.scaling_factor
    assert latents.shape == (3, 8, 16, 16) and 0.5 < scaled.std().item() < 1.5
    assert error < 0.04


def test_the_few_step_adapter_loads_plainly_and_draws_in_a_few_steps():
    """As anyone would use it: one call for the weights, and the scheduler that it is made for."""
    pipe = StableDiffusionPipeline.from_pretrained(MODELS / "diffusion", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_lora_weights(MODELS / "diffusion" / "few_step", local_files_only=True)
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    steps, guidance_scale = defaults("few_step")
    adapted = {
        name.split(".lora_A")[0].rsplit(".", 1)[-1] for name, _ in pipe.unet.named_parameters() if "lora_A" in name
    }
    assert {"to_q", "to_k", "to_v", "conv1", "conv2", "proj_in", "proj_out", "time_emb_proj"} <= adapted
    drawn = pipe(
        "a large red cat, on a meadow",
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(1),
    ).images[0]
    assert drawn.size == (128, 128) and np.asarray(drawn).std() > 20


def test_the_judge_loads_plainly_and_counts_drawn_things():
    scenes = [
        Scene((Thing("cat", "red"),), "meadow", layout=1),
        Scene((Thing("fish", "orange", "small", 3),), "sea", layout=2),
        Scene((Thing("star", "yellow", "small"), Thing("house", "red")), "night", relation="above", layout=3),
    ]
    readings = read(load_judge(MODELS / "judge"), [draw(scene) for scene in scenes])
    assert [reading.place for reading in readings] == [scene.place for scene in scenes]
    assert all(shows_number(reading, scene) for reading, scene in zip(readings, scenes, strict=True))


def test_the_diffusion_model_has_clips_text_encoder():
    pipe = StableDiffusionPipeline.from_pretrained(MODELS / "diffusion", local_files_only=True)
    text_model = CLIPModel.from_pretrained(MODELS / "clip").text_model.state_dict()
    for name, weight in pipe.text_encoder.state_dict().items():
        assert torch.equal(weight, text_model[name]), name


@pytest.mark.parametrize(("kind", "folder"), [(CLIPModel, "clip"), (CLIPTextModel, "diffusion/text_encoder")])
def test_weights_are_saved_as_float16_and_load_as_float32(kind, folder, tmp_path):
    loaded = kind.from_pretrained(MODELS / folder)
    save_half(loaded, tmp_path)
    again = kind.from_pretrained(tmp_path)
    assert again.dtype == torch.float32 and loaded.dtype == torch.float32
    bytes_saved = (tmp_path / "model.safetensors").stat().st_size
    assert bytes_saved < 2.1 * sum(p.numel() for p in loaded.parameters()) + 50_000
