"""The few-step adapter: a LoRA that makes the U-Net draw in four evaluations without guidance.

Latent consistency distillation (Luo et al. 2023, arXiv:2310.04378; as a LoRA: arXiv:2311.05556). From any point of a
trajectory from noise to picture, the adapted U-Net must predict the same clean picture as from the point one step
further on. The original U-Net takes that step with guidance, so the adapter learns guidance, too. Along the trajectory
the adapter only learns this consistency; at its end, where the noise is gone, the true picture.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from diffusers import LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTokenizer

from course.data import Batch
from course.train.loop import Plan, Recipe
from course.train.unet import CaptionedBatches, Frozen, new_scheduler

GUIDANCE_SCALE = 4.0
SOLVER_STEPS = 50
"""Steps of the whole trajectory, as `LCMScheduler` counts them (`original_inference_steps`)."""
RANK = 32
LAYERS = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"),
)
HUBER = 0.001
FILE = "pytorch_lora_weights.safetensors"


def new_adapted(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Return a frozen copy of the U-Net with an untrained adapter that changes nothing yet."""
    adapted = copy.deepcopy(unet).requires_grad_(False)
    adapted.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(LAYERS), init_lora_weights="gaussian"))
    return adapted


class FewStepRecipe(Recipe):
    name = "few_step"
    cpu = Plan(batch_size=32, learning_rate=5e-4, samples=100_000)
    gpu = Plan(batch_size=192, learning_rate=1e-3, samples=500_000)
    weight_decay = 0.0
    warmup_steps = 50

    def __init__(self, diffusion: Path):
        torch.manual_seed(self.seed)
        self.tokenizer = CLIPTokenizer.from_pretrained(diffusion / "tokenizer")
        self.batches = CaptionedBatches(self.tokenizer, empty_share=0.0, simple_until=0.0)
        self.frozen = Frozen(diffusion)
        self.frozen["unet"] = UNet2DConditionModel.from_pretrained(diffusion / "unet").float().requires_grad_(False)
        self.alphas_cumprod = new_scheduler().alphas_cumprod
        self.empty = self.tokenizer("", padding="max_length", max_length=40, return_tensors="pt")["input_ids"]
        self.scheduler = LCMScheduler.from_config(new_scheduler().config)
        self.modules = new_adapted(self.frozen["unet"])

    def _velocity(
        self, unet: nn.Module, noisy: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor
    ) -> torch.Tensor:
        """Return the U-Net's v-prediction."""
        return unet(noisy, timesteps, encoder_hidden_states=text).sample.float()

    def _clean(self, noisy: torch.Tensor, velocity: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return the clean latents predicted by v; at the end of the trajectory (timestep 0) the latents themselves."""
        alpha, sigma = self._noise_level(timesteps)
        skip, out = self.scheduler.get_scalings_for_boundary_condition_discrete(timesteps.view(-1, 1, 1, 1).float())
        return skip * noisy + out * (alpha * noisy - sigma * velocity)

    def _noise_level(self, timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        alphas = self.alphas_cumprod.to(timesteps.device)[timesteps].view(-1, 1, 1, 1)
        return alphas.sqrt(), (1 - alphas).sqrt()

    def loss(self, batch: Batch, progress: float) -> torch.Tensor:
        latents, text = self.frozen.latents(batch["pixels"]), self.frozen.text_states(batch["ids"])
        empty = self.frozen.text_states(self.empty.to(latents.device)).expand_as(text)
        stride = len(self.alphas_cumprod) // SOLVER_STEPS
        timesteps = torch.randint(1, SOLVER_STEPS + 1, (len(latents),), device=latents.device) * stride - 1
        earlier = (timesteps - stride).clamp(min=0)
        alpha, sigma = self._noise_level(timesteps)
        noisy = alpha * latents + sigma * torch.randn_like(latents)

        predicted = self._clean(noisy, self._velocity(self.modules, noisy, timesteps, text), timesteps)
        with torch.no_grad():
            both = self._velocity(
                self.frozen["unet"], *(torch.cat([x, x]) for x in (noisy, timesteps)), torch.cat([text, empty])
            )
            conditional, unconditional = both.chunk(2)
            velocity = unconditional + GUIDANCE_SCALE * (conditional - unconditional)
            clean, noise = alpha * noisy - sigma * velocity, sigma * noisy + alpha * velocity
            alpha, sigma = self._noise_level(earlier)
            closer = alpha * clean + sigma * noise
            target = self._clean(closer, self._velocity(self.modules, closer, earlier, text), earlier)
        return ((predicted - target).square() + HUBER**2).sqrt().mean() - HUBER

    def export(self, modules: UNet2DConditionModel, folder: Path) -> None:
        """Save the adapter in the format of `pipe.load_lora_weights`, with peft's own names."""
        layers = {name: weight.half() for name, weight in get_peft_model_state_dict(modules).items()}
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers)
        (folder / FILE).chmod(0o644)

    def warm_start(self, folder: Path) -> None:
        layers = load_file(folder / FILE)
        set_peft_model_state_dict(
            self.modules, {name.removeprefix("unet."): weight.float() for name, weight in layers.items()}
        )
