"""The U-Net: noisy latents, a timestep and a caption's token vectors to v (Salimans & Ho 2022, arXiv:2202.00512).

VAE and text encoder are frozen. A tenth of the captions are empty, for classifier-free guidance (Ho & Salimans 2022,
arXiv:2207.12598).

Like REPA (Yu et al. 2024, arXiv:2410.06940), which aligns a diffusion model's hidden states with those of a vision
model to make it learn several times faster, a linear layer on the middle block of the U-Net must predict the kind and
colour of the thing in each of its 8 × 8 cells. It is dropped after training.

Things fill a tenth of a picture but are most of what there is to learn: at noise levels where their positions are
visible, the error on them counts three times.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from course.data import Batch, Batches, Drawing, drawn, mixed_scene, stacked, to_pixels
from course.labels import GRID
from course.train.loop import Plan, Recipe
from course.train.text import WIDTH, tokenize, training_caption
from helpers.picturebook import COLOURS, KINDS, random_scene
from helpers.picturebook.scene import Rng

EMPTY_SHARE = 0.1
LAYOUT_WEIGHT = 0.1
THING_WEIGHT = 3.0
DECIDED = 700
"""Below this timestep the noisy latents show where the things are."""
NOISE_STEPS = 1000
SIMPLE_UNTIL = 0.05
"""The first part of the training sees one-thing scenes only: appearance is learnt before arrangement."""


def new_unet() -> UNet2DConditionModel:
    """Create the untrained U-Net."""
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
    """Create Stable Diffusion's noise schedule with v-prediction and the DPM-Solver++ sampler."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=NOISE_STEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        steps_offset=1,  # no effect with this spacing; without it Stable Diffusion pipelines warn
    )


def sample_timesteps(n: int, device: torch.device) -> torch.Tensor:
    """Sample timesteps (n,): half uniformly, half where a picture's layout and shapes are decided.

    Esser et al. 2024 (arXiv:2403.03206) found that training on the middle of the noise range more often learns faster.
    """
    uniform = torch.rand(n, device=device)
    middle = torch.sigmoid(0.3 + 0.8 * torch.randn(n, device=device))
    fraction = torch.where(torch.arange(n, device=device) % 2 == 0, uniform, middle)
    return (fraction * NOISE_STEPS).long().clamp(0, NOISE_STEPS - 1)


class CaptionedBatches(Batches):
    """Pictures with the token ids of their captions, some empty, and with segmentation labels."""

    def __init__(self, tokenizer: CLIPTokenizer, empty_share: float = EMPTY_SHARE, simple_until: float = SIMPLE_UNTIL):
        self.tokenizer, self.empty_share, self.simple_until = tokenizer, empty_share, simple_until

    def fresh(self, rng: Rng, progress: float) -> Drawing:
        return drawn(random_scene(rng, things=1) if progress < self.simple_until else mixed_scene(rng))

    def make(self, drawings: list[Drawing], size: int, rng: np.random.Generator, progress: float) -> Batch:
        captions = ["" if rng.random() < self.empty_share else training_caption(d.scene, rng)[0] for d in drawings]
        return {
            "pixels": stacked(drawings),
            "ids": tokenize(self.tokenizer, captions, padding="max_length")["input_ids"],
            "covers": stacked(drawings, "covers"),
            "fine_covers": stacked(drawings, "fine_covers"),
        }


class Frozen(nn.ModuleDict):
    """The trained parts of the pipeline that a U-Net's training needs: VAE and text encoder."""

    def __init__(self, diffusion: Path):
        super().__init__(
            {
                "vae": AutoencoderKL.from_pretrained(diffusion / "vae").float(),
                "text_encoder": CLIPTextModel.from_pretrained(diffusion / "text_encoder").float(),
            }
        )
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def latents(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode uint8 pixels as float32 (n, 8, 16, 16): the means of the scaled latents."""
        vae = self["vae"]
        return vae.encode(to_pixels(pixels)).latent_dist.mean.float() * vae.config.scaling_factor

    @torch.no_grad()
    def text_states(self, ids: torch.Tensor) -> torch.Tensor:
        """Encode token ids as float32 (n, length, width): one vector per token."""
        return self["text_encoder"](ids).last_hidden_state.float()


class UNetRecipe(Recipe):
    name = "unet"
    cpu = Plan(batch_size=64, learning_rate=3e-3, samples=1_500_000)
    gpu = Plan(batch_size=256, learning_rate=3e-3, samples=2_000_000)

    def __init__(self, diffusion: Path):
        torch.manual_seed(self.seed)
        self.tokenizer = CLIPTokenizer.from_pretrained(diffusion / "tokenizer")
        self.batches = CaptionedBatches(self.tokenizer)
        self.frozen = Frozen(diffusion)
        self.alphas_cumprod = new_scheduler().alphas_cumprod
        layout = nn.Conv2d(128, len(KINDS) + len(COLOURS) + 2, kernel_size=1)
        self.modules = nn.ModuleDict({"unet": new_unet(), "layout": layout})
        self._hook_middle()

    def _hook_middle(self) -> None:
        def keep(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            self.middle = output

        self.modules["unet"].mid_block.register_forward_hook(keep)

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        latents, text = self.frozen.latents(batch["pixels"]), self.frozen.text_states(batch["ids"])
        noise = torch.randn_like(latents)
        timesteps = sample_timesteps(len(latents), latents.device)
        alphas = self.alphas_cumprod.to(latents.device)[timesteps].view(-1, 1, 1, 1)
        alpha, sigma = alphas.sqrt(), (1 - alphas).sqrt()
        noisy, velocity = alpha * latents + sigma * noise, alpha * noise - sigma * latents
        predicted = self.modules["unet"](noisy, timesteps, encoder_hidden_states=text).sample.float()

        covers = batch["covers"].long().view(-1, 2, GRID, GRID)
        kind, colour = self.modules["layout"](self.middle).float().split([len(KINDS) + 1, len(COLOURS) + 1], dim=1)
        layout = F.cross_entropy(kind, covers[:, 0]) + F.cross_entropy(colour, covers[:, 1])
        error = (predicted - velocity).square().mean(dim=1)
        things = (batch["fine_covers"][:, 0] > 0).view_as(error) & (timesteps < DECIDED).view(-1, 1, 1)
        weights = torch.where(things, THING_WEIGHT, 1.0)
        return (weights * error).sum() / weights.sum() + LAYOUT_WEIGHT * layout

    def export(self, modules: nn.Module, folder: Path) -> None:
        """Save the U-Net, and the scheduler and index that make the parent folder a complete pipeline."""
        pipe = StableDiffusionPipeline(
            vae=self.frozen["vae"],
            text_encoder=self.frozen["text_encoder"],
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
