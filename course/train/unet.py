"""The U-Net: noisy latents, a timestep and a caption's token vectors to v (Salimans & Ho 2022, arXiv:2202.00512).

VAE and text encoder are frozen; the latents of all training pictures are computed once. A tenth of the captions is
empty, for classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598).

Like REPA (Yu et al. 2024, arXiv:2410.06940), which aligns a diffusion model's hidden states with those of a vision
model to make it learn several times faster, a linear layer on the middle of the U-Net must tell which kind and colour
of thing covers each of its 8 × 8 places. It is dropped after the training.

Things fill a tenth of a picture and are most of what is to be learnt: where the noise leaves no doubt about where they
are, the error on them counts threefold.
"""

from __future__ import annotations

import copy
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from course.data import Pictures, to_pixels
from course.train.labels import GRID, cover_labels
from course.train.loop import Recipe
from course.train.text import WIDTH, tokenize, training_caption
from helpers.picturebook import COLOURS, KINDS, Scene

EMPTY_SHARE = 0.1
LAYOUT_WEIGHT = 0.1
THING_WEIGHT = 3.0
DECIDED = 700
"""Below this timestep the noisy latents show where the things are."""
NOISE_STEPS = 1000
ENCODED = 72_000
"""So many of the training pictures are encoded and learnt from."""
SIMPLE_STEPS = 1000
"""So many steps see one-thing scenes only."""


def new_unet() -> UNet2DConditionModel:
    """The untrained U-Net."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=WIDTH,
        attention_head_dim=(2, 4),  # diffusers takes this as the *number* of heads
    )


def new_scheduler() -> DPMSolverMultistepScheduler:
    """Stable Diffusion's noise schedule with v-prediction and the DPM-Solver++ sampler."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=NOISE_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        steps_offset=1,  # no effect with this spacing; without it Stable Diffusion pipelines warn
    )


def sample_timesteps(n: int, rng: np.random.Generator) -> torch.Tensor:
    """Timesteps (n,): half of them anywhere, half where a picture's layout and shapes are decided.

    Esser et al. 2024 (arXiv:2403.03206) found that training on the middle of the noise range more often learns faster.
    """
    anywhere = rng.random(n)
    middle = 1 / (1 + np.exp(-rng.normal(0.3, 0.8, n)))
    share = np.where(np.arange(n) % 2 == 0, anywhere, middle)
    return torch.from_numpy((share * NOISE_STEPS).astype(np.int64)).clamp(0, NOISE_STEPS - 1)


@torch.no_grad()
def all_latents(vae: AutoencoderKL, data: Pictures, folder: Path) -> torch.Tensor:
    """float16 (n, 8, 16, 16): the scaled latents' means, computed once for each encoder and kept in `folder`."""
    file = folder / f"latents-{len(data)}-{_fingerprint(vae.encoder, vae.quant_conv)}.pt"
    if not file.exists():
        parts = []
        for start in tqdm(range(0, len(data), 64), desc="encoding pictures", mininterval=5):
            posterior = vae.encode(to_pixels(np.array(data.pixels[start : start + 64]))).latent_dist
            parts.append((posterior.mean * vae.config.scaling_factor).half())
        fresh = file.with_suffix(".new")
        torch.save(torch.cat(parts), fresh)
        fresh.replace(file)
    return torch.load(file, weights_only=True)


def _fingerprint(*modules: nn.Module) -> str:
    """Sixteen hexadecimal digits that tell weights from others."""
    digest = blake2b(digest_size=8)
    for module in modules:
        for name, weight in sorted(module.state_dict().items()):
            digest.update(name.encode() + weight.numpy().tobytes())
    return digest.hexdigest()


def _thing_weights(scenes: list[Scene], timesteps: torch.Tensor, side: int) -> torch.Tensor:
    """float32 (n, side, side): THING_WEIGHT where a thing covers the latents and the timestep is low, else 1."""
    covered = np.stack([cover_labels(scene, side)[0] > 0 for scene in scenes]).reshape(-1, side, side)
    counts = torch.from_numpy(covered) & (timesteps < DECIDED).view(-1, 1, 1)
    return torch.where(counts, THING_WEIGHT, 1.0)


class UNetRecipe(Recipe):
    name = "unet"
    total_steps = 5200
    batch_size = 32
    learning_rate = 3e-3

    def __init__(self, data: Pictures, diffusion: Path, work: Path):
        torch.manual_seed(self.seed)
        self.vae = AutoencoderKL.from_pretrained(diffusion / "vae").float().eval()
        self.data = data = Pictures(data.pixels[:ENCODED], data.scenes[:ENCODED])
        self.latents = all_latents(self.vae, data, work)
        self.tokenizer = CLIPTokenizer.from_pretrained(diffusion / "tokenizer")
        self.text_encoder = CLIPTextModel.from_pretrained(diffusion / "text_encoder").float().eval()
        self.alphas_cumprod = new_scheduler().alphas_cumprod
        layout = nn.Conv2d(128, len(KINDS) + len(COLOURS) + 2, kernel_size=1)
        self.modules = nn.ModuleDict({"unet": new_unet(), "layout": layout})
        self.simple = np.array([i for i, scene in enumerate(data.scenes) if scene.total == 1])
        self._watch_middle()

    def _watch_middle(self) -> None:
        def keep(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            self.middle = output

        self.modules["unet"].mid_block.register_forward_hook(keep)

    def _rows(self, step: int, rng: np.random.Generator) -> np.ndarray:
        """One-thing scenes only at first: what things look like is learnt before how they stand together."""
        if step < SIMPLE_STEPS:
            return rng.choice(self.simple, self.batch_size)
        return rng.integers(len(self.data), size=self.batch_size)

    def loss(self, step: int, rng: np.random.Generator) -> torch.Tensor:
        rows = self._rows(step, rng)
        scenes = [self.data.scenes[row] for row in rows]
        captions = ["" if rng.random() < EMPTY_SHARE else training_caption(scene, rng)[0] for scene in scenes]
        tokens = tokenize(self.tokenizer, captions, padding="max_length")
        with torch.no_grad():
            text = self.text_encoder(tokens["input_ids"]).last_hidden_state

        latents = self.latents[torch.from_numpy(rows)].float()
        noise = torch.randn_like(latents)
        timesteps = sample_timesteps(len(rows), rng)
        signal = self.alphas_cumprod[timesteps].sqrt().view(-1, 1, 1, 1)
        spread = (1 - self.alphas_cumprod[timesteps]).sqrt().view(-1, 1, 1, 1)
        noisy, velocity = signal * latents + spread * noise, signal * noise - spread * latents
        predicted = self.modules["unet"](noisy, timesteps, encoder_hidden_states=text).sample

        covers = torch.from_numpy(np.stack([cover_labels(scene) for scene in scenes])).view(-1, 2, GRID, GRID)
        kind, colour = self.modules["layout"](self.middle).split([len(KINDS) + 1, len(COLOURS) + 1], dim=1)
        layout = F.cross_entropy(kind, covers[:, 0]) + F.cross_entropy(colour, covers[:, 1])
        error = (predicted - velocity).square().mean(dim=1)
        weights = _thing_weights(scenes, timesteps, error.shape[-1])
        return (weights * error).sum() / weights.sum() + LAYOUT_WEIGHT * layout

    def export(self, modules: nn.Module, folder: Path) -> None:
        """Saves the U-Net and what makes its folder's parent a whole pipeline: the scheduler and the index."""
        pipe = StableDiffusionPipeline(
            vae=self.vae,
            text_encoder=self.text_encoder,
            tokenizer=self.tokenizer,
            unet=copy.deepcopy(modules["unet"]).half(),
            scheduler=new_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipe.unet.save_pretrained(folder)
        pipe.scheduler.save_pretrained(folder.parent / "scheduler")
        pipe.save_config(folder.parent)

    def warm_start(self, folder: Path) -> None:
        self.modules["unet"].load_state_dict(UNet2DConditionModel.from_pretrained(folder).float().state_dict())
