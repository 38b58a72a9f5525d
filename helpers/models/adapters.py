"""Pipelines made of another one's parts: with another scheduler, or with the adapter for few steps.

The adapter is a LoRA made by consistency distillation (Luo et al. 2023, LCM-LoRA): with it the U-Net answers at once
what it otherwise comes to in many steps, guidance included. So four steps are enough, and each evaluates it once.
"""

from __future__ import annotations

import threading
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from helpers.errors import PlainError
from helpers.models.files import again, cached, first_line, full_folder, no_pointers
from helpers.models.loading import quiet, unreadable
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
ADAPTER_WEIGHTS = "pytorch_lora_weights.safetensors"  # as diffusers calls the file

#: What of a scheduler's config tells how the model was trained; the rest is how that one scheduler goes its way.
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
#: As the adapter was distilled, it knows this many points of time, so no more steps can be taken.
LCM_STEPS = 50
LCM = {"original_inference_steps": LCM_STEPS, "timestep_scaling": 10.0}


class Adapter(NamedTuple):
    """The adapter that is in a pipeline: its name, the folder of its weights, and how much of it is added (1: all)."""

    name: str
    folder: Path
    weight: float


def with_scheduler(pipe: StableDiffusionPipeline, scheduler: SchedulerMixin) -> StableDiffusionPipeline:
    """The same pipeline, models shared, with a new scheduler made like this one: drawing with it leaves no trace in `pipe`."""
    return _remade(pipe, type(pipe), scheduler=type(scheduler).from_config(scheduler.config))


def few_step(pipe: StableDiffusionPipeline, weight: float = 1.0) -> StableDiffusionPipeline:
    """The same pipeline with the adapter for few steps: ``few_step(load("diffusion"))("a red cat").images``.

    It takes 4 steps without guidance where a call says nothing else. ``pipe`` stays as it was, and both may draw at
    the same time: the U-Net of the new one has the old one's weights, and the adapter beside them.

    Args:
        pipe: what ``load("diffusion")`` gives.
        weight: how much of the adapter is added: 1 is all of it, 0 nothing.

    Raises:
        ModelUnavailable: the adapter is missing, damaged or out of reach; the message says what to do.
    """
    there = adapter_of(pipe)
    if there is None:
        unet = _adapted(pipe, _folder(pipe), weight)
        return _remade(pipe, _with_defaults(), unet=unet, scheduler=lcm_scheduler(pipe.scheduler))
    if there.weight != weight:
        raise PlainError(f'This pipeline has the adapter already. Write few_step(load("diffusion"), {weight}).')
    return pipe


def has_few_step(pipe: StableDiffusionPipeline) -> bool:
    """Whether ``few_step(pipe)`` finds its files here. Never downloads anything."""
    own = _beside(pipe)
    if own is not None and (own / ADAPTER_WEIGHTS).is_file():
        return True
    return settings.profile == "full" and cached(adapter_entry(FEW_STEP)) is not None


def adapter_of(pipe: StableDiffusionPipeline) -> Adapter | None:
    """The adapter that `few_step` has put into a pipeline; None where there is none."""
    return getattr(getattr(pipe, "unet", None), "course_adapter", None)


def lcm_scheduler(scheduler: SchedulerMixin) -> LCMScheduler:
    """The scheduler that goes with the adapter, for the noise and the prediction of a model's own ``scheduler``."""
    from diffusers import LCMScheduler

    noise = {name: scheduler.config[name] for name in NOISE if name in scheduler.config}
    return LCMScheduler(**noise, **LCM)


def _remade(pipe: StableDiffusionPipeline, kind: type, **parts: Any) -> StableDiffusionPipeline:
    """A pipeline of the parts of ``pipe`` but for these; it still tells which checkpoint they came from."""
    other = kind(**{**pipe.components, **parts}, requires_safety_checker=False)
    other.register_to_config(_name_or_path=pipe.config.get("_name_or_path"))
    other.set_progress_bar_config(disable=True)
    return other


@cache
def _with_defaults() -> type[StableDiffusionPipeline]:
    from diffusers import StableDiffusionPipeline

    steps, guidance_scale = defaults(FEW_STEP)

    class FewStepPipeline(StableDiffusionPipeline):
        """Draws in few steps and without guidance where a call says nothing else."""

        def __call__(self, *args, num_inference_steps=steps, guidance_scale=guidance_scale, **options):
            return super().__call__(
                *args, num_inference_steps=num_inference_steps, guidance_scale=guidance_scale, **options
            )

    return FewStepPipeline


# -- the adapter's files


def _beside(pipe: StableDiffusionPipeline) -> Path | None:
    """The folder of the adapter that belongs to a checkpoint; None for a pipeline that came from no folder."""
    checkpoint = pipe.config.get("_name_or_path")
    return Path(checkpoint) / FEW_STEP if checkpoint else None


def _folder(pipe: StableDiffusionPipeline) -> Path:
    own, wanted = _beside(pipe), adapter_entry(FEW_STEP)
    if own is not None and (own / ADAPTER_WEIGHTS).is_file():
        no_pointers(own)
        return own
    if wanted.profile == "full":
        return full_folder(wanted)
    if own is None:
        raise ModelUnavailable(
            "This pipeline was not loaded from a folder, so there is no adapter for few steps beside it. "
            'Take load("diffusion"), or draw without the adapter.'
        )
    raise ModelUnavailable(
        f"The adapter for few steps should be {own / ADAPTER_WEIGHTS}, but there is no such file. {again(wanted)} "
        f"Or draw without it, in {defaults().steps} steps with guidance {defaults().guidance_scale:g}."
    )


# -- the adapter in a U-Net


_made: WeakKeyDictionary[UNet2DConditionModel, dict[tuple, UNet2DConditionModel]] = WeakKeyDictionary()
_making = threading.Lock()


def _adapted(pipe: StableDiffusionPipeline, folder: Path, weight: float) -> UNet2DConditionModel:
    """A U-Net with the weights of ``pipe.unet``, not copied, and the adapter; that of weight 1 is made once."""
    key = (folder, pipe.unet.device, pipe.unet.dtype)
    with _making:
        known = _made.setdefault(pipe.unet, {})
        if weight != 1:
            return _with_adapter(pipe, folder, weight)
        if key not in known:
            known[key] = _with_adapter(pipe, folder, weight)
        return known[key]


def _with_adapter(pipe: StableDiffusionPipeline, folder: Path, weight: float) -> UNet2DConditionModel:
    import torch

    carrier = _remade(pipe, type(pipe), unet=_twin(pipe.unet))
    try:
        with quiet(), warnings.catch_warnings():
            # peft only warns of layers for which the file has nothing, or the model no place.
            warnings.simplefilter("error" if settings.profile == "mini" else "ignore", RuntimeWarning)
            carrier.load_lora_weights(folder, weight_name=ADAPTER_WEIGHTS, adapter_name=FEW_STEP, local_files_only=True)
    except (RuntimeError, RuntimeWarning, KeyError, *unreadable()) as error:
        raise ModelUnavailable(
            f"The adapter in {folder} is damaged, or is none for this model ({first_line(error)}). "
            f"{again(adapter_entry(FEW_STEP))}"
        ) from error
    if settings.profile == "mini":
        # Added up beforehand, a step takes a fifth less time. "Safe" makes new tensors for the sums.
        carrier.fuse_lora(components=["unet"], lora_scale=weight, safe_fusing=True, adapter_names=[FEW_STEP])
    else:
        carrier.set_adapters(FEW_STEP, weight)
    # torch's own "to": that of diffusers warns of something that isn't the case here.
    unet = torch.nn.Module.to(carrier.unet, pipe.unet.device, pipe.unet.dtype).requires_grad_(False).eval()
    unet.course_adapter = Adapter(FEW_STEP, folder, weight)
    return unet


def _twin(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """A U-Net whose weights are the same memory; layers can be added to it without the other one's noticing."""
    import torch

    with torch.device("meta"):
        twin = type(unet).from_config(unet.config)
    twin.load_state_dict(unet.state_dict(), assign=True)
    return twin
