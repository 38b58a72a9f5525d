"""Pipelines built from another one's parts: with another scheduler, or with the adapter for few steps.

The adapter is a LoRA made by consistency distillation (Luo et al. 2023, LCM-LoRA): with it, the U-Net predicts at once
what otherwise takes many steps, guidance included. So four steps are enough, and each evaluates the U-Net once.
"""

from __future__ import annotations

import threading
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from helpers.errors import PlainError
from helpers.models.files import cached, check_fetched, first_line, full_folder, how_to_restore
from helpers.models.loading import load_errors, quiet
from helpers.models.registry import ModelUnavailable, adapter_entry, defaults
from helpers.settings import settings

if TYPE_CHECKING:
    from diffusers import LCMScheduler, SchedulerMixin, StableDiffusionPipeline, UNet2DConditionModel

__all__ = [
    "ADAPTER_WEIGHTS",
    "LCM_STEPS",
    "Adapter",
    "adapter_of",
    "few_step",
    "has_few_step",
    "lcm_scheduler",
    "with_scheduler",
]

FEW_STEP = "few_step"
ADAPTER_WEIGHTS = "pytorch_lora_weights.safetensors"  # diffusers' name for the file

#: The part of a scheduler's config that describes how the model was trained; the rest is specific to that scheduler.
NOISE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "steps_offset",
)
#: The adapter was distilled on this many timesteps, so there can't be more steps.
LCM_STEPS = 50
LCM = {"original_inference_steps": LCM_STEPS, "timestep_scaling": 10.0}


class Adapter(NamedTuple):
    """The adapter in a pipeline: its name, the folder of its weights, and its weight (1: all of it is added)."""

    name: str
    folder: Path
    weight: float


def with_scheduler(pipe: StableDiffusionPipeline, scheduler: SchedulerMixin) -> StableDiffusionPipeline:
    """Return a pipeline that shares the models of `pipe` but has a copy of `scheduler`, so `pipe` stays unchanged."""
    return _rebuilt(pipe, type(pipe), scheduler=type(scheduler).from_config(scheduler.config))


def few_step(pipe: StableDiffusionPipeline, weight: float = 1.0) -> StableDiffusionPipeline:
    """Return the pipeline with the adapter for few steps: `few_step(load("diffusion"))("a red cat").images`.

    By default it takes 4 steps without guidance. `pipe` stays unchanged, and both may draw at the same time: they share
    the U-Net's weights, and only the new one has the adapter.

    Args:
        pipe: the result of `load("diffusion")`.
        weight: how much of the adapter is added: 1 is all of it, 0 nothing.

    Raises:
        ModelUnavailable: the adapter is missing, damaged or can't be downloaded; the message says what to do.
    """
    adapter = adapter_of(pipe)
    if adapter is None:
        unet = _adapted(pipe, _folder(pipe), weight)
        return _rebuilt(pipe, _with_defaults(), unet=unet, scheduler=lcm_scheduler(pipe.scheduler))
    if adapter.weight != weight:
        raise PlainError(f'This pipeline has the adapter already. Write few_step(load("diffusion"), {weight}).')
    return pipe


def has_few_step(pipe: StableDiffusionPipeline) -> bool:
    """Return whether the files of `few_step(pipe)` are here. Never downloads anything."""
    own = _beside(pipe)
    if own is not None and (own / ADAPTER_WEIGHTS).is_file():
        return True
    return settings.profile == "full" and cached(adapter_entry(FEW_STEP)) is not None


def adapter_of(pipe: StableDiffusionPipeline) -> Adapter | None:
    """Return the adapter that `few_step` has put into a pipeline; None if there is none."""
    return getattr(getattr(pipe, "unet", None), "course_adapter", None)


def lcm_scheduler(scheduler: SchedulerMixin) -> LCMScheduler:
    """Return the adapter's scheduler, with the noise schedule and prediction type of a model's own `scheduler`."""
    from diffusers import LCMScheduler

    noise = {name: scheduler.config[name] for name in NOISE if name in scheduler.config}
    return LCMScheduler(**noise, **LCM)


def _rebuilt(pipe: StableDiffusionPipeline, kind: type, **parts: Any) -> StableDiffusionPipeline:
    """Return a pipeline with the parts of `pipe` except for these; it keeps the checkpoint's name."""
    other = kind(**{**pipe.components, **parts}, requires_safety_checker=False)
    other.register_to_config(_name_or_path=pipe.config.get("_name_or_path"))
    other.set_progress_bar_config(disable=True)
    return other


@cache
def _with_defaults() -> type[StableDiffusionPipeline]:
    from diffusers import StableDiffusionPipeline

    steps, guidance_scale = defaults(FEW_STEP)

    class FewStepPipeline(StableDiffusionPipeline):
        """Draws in few steps and without guidance by default."""

        def __call__(self, *args, num_inference_steps=steps, guidance_scale=guidance_scale, **options):
            return super().__call__(
                *args, num_inference_steps=num_inference_steps, guidance_scale=guidance_scale, **options
            )

    return FewStepPipeline


# -- the adapter's files


def _beside(pipe: StableDiffusionPipeline) -> Path | None:
    """Return the folder of a checkpoint's adapter; None for a pipeline that was not loaded from a folder."""
    checkpoint = pipe.config.get("_name_or_path")
    return Path(checkpoint) / FEW_STEP if checkpoint else None


def _folder(pipe: StableDiffusionPipeline) -> Path:
    own, wanted = _beside(pipe), adapter_entry(FEW_STEP)
    if own is not None and (own / ADAPTER_WEIGHTS).is_file():
        check_fetched(own)
        return own
    if wanted.profile == "full":
        return full_folder(wanted)
    if own is None:
        raise ModelUnavailable(
            "This pipeline was not loaded from a folder, so there is no adapter for few steps beside it. "
            'Use load("diffusion"), or draw without the adapter.'
        )
    raise ModelUnavailable(
        f"The adapter for few steps should be {own / ADAPTER_WEIGHTS}, but there is no such file. "
        f"{how_to_restore(wanted)} Or draw without it, in {defaults().steps} steps with guidance "
        f"{defaults().guidance_scale:g}."
    )


# -- the adapter in a U-Net


_adapted_unets: WeakKeyDictionary[UNet2DConditionModel, dict[tuple, UNet2DConditionModel]] = WeakKeyDictionary()
_lock = threading.Lock()


def _adapted(pipe: StableDiffusionPipeline, folder: Path, weight: float) -> UNet2DConditionModel:
    """Return a U-Net that shares the weights of `pipe.unet` and has the adapter; the one of weight 1 is made once."""
    key = (folder, pipe.unet.device, pipe.unet.dtype)
    with _lock:
        known = _adapted_unets.setdefault(pipe.unet, {})
        if weight != 1:
            return _with_adapter(pipe, folder, weight)
        if key not in known:
            known[key] = _with_adapter(pipe, folder, weight)
        return known[key]


def _with_adapter(pipe: StableDiffusionPipeline, folder: Path, weight: float) -> UNet2DConditionModel:
    import torch

    carrier = _rebuilt(pipe, type(pipe), unet=_shared_copy(pipe.unet))
    try:
        with quiet(), warnings.catch_warnings():
            # peft only warns about layers that are missing in the file or in the model.
            warnings.simplefilter("error" if settings.profile == "mini" else "ignore", RuntimeWarning)
            carrier.load_lora_weights(folder, weight_name=ADAPTER_WEIGHTS, adapter_name=FEW_STEP, local_files_only=True)
    except (RuntimeError, RuntimeWarning, KeyError, *load_errors()) as error:
        raise ModelUnavailable(
            f"The adapter in {folder} is damaged, or is not one for this model ({first_line(error)}). "
            f"{how_to_restore(adapter_entry(FEW_STEP))}"
        ) from error
    if settings.profile == "mini":
        # Fused into the weights, a step takes a fifth less time. "Safe" makes new tensors, so the shared ones stay.
        carrier.fuse_lora(components=["unet"], lora_scale=weight, safe_fusing=True, adapter_names=[FEW_STEP])
    else:
        carrier.set_adapters(FEW_STEP, weight)
    # torch's own "to": the one of diffusers gives a warning that doesn't apply here.
    unet = torch.nn.Module.to(carrier.unet, pipe.unet.device, pipe.unet.dtype).requires_grad_(False).eval()
    unet.course_adapter = Adapter(FEW_STEP, folder, weight)
    return unet


def _shared_copy(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Return a U-Net that shares the memory of the weights; layers added to it don't affect the original."""
    import torch

    with torch.device("meta"):
        copy = type(unet).from_config(unet.config)
    copy.load_state_dict(unet.state_dict(), assign=True)
    return copy
