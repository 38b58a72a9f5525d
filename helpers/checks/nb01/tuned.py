"""A complete fine-tuning run, and how much the model has learned and forgotten.

Forgetting shows in drawings only if it is severe. So it is measured by the training loss, as a paired comparison: on
the same drawings of the old world, with the same noise at the same timesteps, before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.expect import expect
from helpers.checks.nb01.material import picture_size, private_copy
from helpers.checks.samples import random_prompt
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from PIL import Image

__all__ = ["Drawn", "Tuned", "draw_new", "load_adapter", "tune"]

NEW, OLD = 4, 4
"""The number of pictures drawn of new and of old things."""
PROBES, TIMESTEPS = 24, (150, 300, 450, 600, 750)
"""The number of old pictures on which the loss is measured, and the timesteps: very early and late ones show little."""


class Drawn(NamedTuple):
    """What a model draws: the new thing, and things that it knew already."""

    new: list[Image.Image]
    old: list[Image.Image]


class Tuned(NamedTuple):
    """The result of a fine-tuning run.

    Attributes:
        kind: the new thing.
        example: one of its training pictures.
        adapter: what fine_tune returned.
        own_changed: names of the U-Net's own weights that have changed.
        before, after: what the model drew, with the same seeds.
        learned: how far the model's pictures have come from those before (0) to pictures of the new thing (1).
        forgotten: the relative growth of the loss on pictures of the old world (0: none, 1: it has doubled).
    """

    kind: str
    example: Image.Image
    adapter: Any
    own_changed: list[str]
    before: Drawn
    after: Drawn
    learned: float
    forgotten: float


def tune(fine_tune: Callable, rng) -> Tuned:
    """Fine-tune a copy of the real pipeline with a student's function, and compare what it draws before and after."""
    import torch

    from helpers import newthing
    from helpers.models import load

    pipe = private_copy(load("diffusion"))
    own = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    kind = rng.choice(["robot", "snowman"])  # the notebook uses the mushroom
    images, fresh = (newthing.pictures(kind, 16, seed=rng.randrange(10**6), size=picture_size(pipe)) for _ in range(2))
    old_prompts = [random_prompt(rng, things=1) for _ in range(OLD)]
    probe = _Probe.at_random(pipe, rng)

    before, losses = _draw(pipe, kind, old_prompts), probe.losses(pipe.unet)
    adapter = fine_tune(pipe, images, f"a {kind}")
    if not pipe.get_active_adapters():
        load_adapter(pipe, adapter)
    after, grown = _draw(pipe, kind, old_prompts), probe.losses(pipe.unet) / losses - 1
    pipe.unload_lora_weights()
    left = pipe.unet.state_dict()
    return Tuned(
        kind=kind,
        example=images[0],
        adapter=adapter,
        own_changed=[name for name in own if name not in left or not torch.equal(own[name], left[name])],
        before=before,
        after=after,
        learned=_learned(before.new, after.new, images, fresh),
        forgotten=grown.mean().item(),
    )


def load_adapter(pipe: StableDiffusionPipeline, adapter: Any) -> None:
    """Load an adapter, whether its names start with "unet." or not."""
    import torch

    expect(
        isinstance(adapter, dict) and bool(adapter) and all(map(torch.is_tensor, adapter.values())),
        "fine_tune should return the adapter's state dict, names and tensors, as get_peft_model_state_dict returns it, but "
        f"it returned {described(adapter)}.",
    )
    prefix = "unet" if all(str(name).startswith("unet.") for name in adapter) else None
    pipe.unet.load_lora_adapter(adapter, prefix=prefix, adapter_name="tried")


def draw_new(pipe: StableDiffusionPipeline, kind: str) -> list[Image.Image]:
    """Draw the new thing with the same seeds as in `Tuned`."""
    return _draw(pipe, kind, []).new


def _draw(pipe: StableDiffusionPipeline, kind: str, old_prompts: list[str]) -> Drawn:
    import torch

    prompts = [f"a {kind}"] * NEW + old_prompts
    generators = [torch.Generator().manual_seed(i) for i in range(len(prompts))]
    images = pipe(prompts, num_inference_steps=8, guidance_scale=4.0, generator=generators).images
    return Drawn(images[:NEW], images[NEW:])


def _learned(
    before: list[Image.Image], after: list[Image.Image], images: list[Image.Image], fresh: list[Image.Image]
) -> float:
    """`Tuned.learned`, by CLIP's similarity to pictures of the new thing that the student's function has not seen."""
    from helpers.clip import embed_images

    unseen = embed_images(fresh).mean(0)
    first, last, best = (float((embed_images(some) @ unseen).mean()) for some in (before, after, images))
    return (last - first) / (best - first)


class _Probe(NamedTuple):
    """Drawings of the old world with their captions, and noise for each timestep."""

    latents: torch.Tensor
    text_states: torch.Tensor
    noises: torch.Tensor
    scheduler: Any

    @classmethod
    def at_random(cls, pipe: StableDiffusionPipeline, rng) -> _Probe:
        import torch
        from diffusers import DDPMScheduler

        from helpers.picturebook import describe, draw, random_scene

        scenes = [random_scene(rng, things=1) for _ in range(PROBES)]
        captions = [describe(scene, rng) for scene in scenes]
        pictures = [draw(scene, size=picture_size(pipe)) for scene in scenes]
        with torch.no_grad():
            pixels = pipe.image_processor.preprocess(pictures).to(pipe.device, pipe.vae.dtype)
            latents = pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor
            text_states = pipe.encode_prompt(captions, pipe.device, 1, False)[0]
        generator = torch.Generator().manual_seed(rng.randrange(10**6))
        noises = torch.randn(len(TIMESTEPS), *latents.shape, generator=generator).to(latents)
        return cls(latents, text_states, noises, DDPMScheduler.from_config(pipe.scheduler.config))

    def losses(self, unet: UNet2DConditionModel) -> torch.Tensor:
        """The mean squared error at each timestep and for each picture, tensor (timesteps, pictures)."""
        import torch

        found = []
        with torch.no_grad():
            for timestep, noise in zip(TIMESTEPS, self.noises, strict=True):
                t = torch.full((PROBES,), timestep, device=noise.device)
                guess = unet(self.scheduler.add_noise(self.latents, noise, t), t, self.text_states).sample
                is_noise = self.scheduler.config.prediction_type == "epsilon"
                target = noise if is_noise else self.scheduler.get_velocity(self.latents, noise, t)
                found.append((guess - target).float().square().mean((1, 2, 3)))
        return torch.stack(found)
