"""The samplers and schedules by the web UI's names, and the schedulers of diffusers that do the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from helpers.models import LCM_STEPS, defaults, lcm_scheduler

if TYPE_CHECKING:
    from diffusers import SchedulerMixin, StableDiffusionPipeline

__all__ = [
    "LCM",
    "MAX_STEPS",
    "SAMPLERS",
    "SCHEDULES",
    "Sampler",
    "find",
    "find_schedule",
    "make_scheduler",
    "schedule_name",
]

MAX_STEPS = 150

#: How the noise falls from step to step, and the option of diffusers for it.
SCHEDULES = {
    "Automatic": {},
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
}


@dataclass(frozen=True)
class Sampler:
    """A sampler by the web UI's names, and the scheduler of diffusers that does the same.

    Attributes:
        options: what the web UI tells of it.
        config: what the scheduler needs beside the model's own scheduler config.
        schedules: the `SCHEDULES` that it can follow.
        max_steps: the most steps that it can take.
        way: whose `helpers.models.defaults` suit it.
    """

    name: str
    aliases: tuple[str, ...]
    scheduler: str
    options: dict[str, str] = field(default_factory=dict)
    config: dict[str, bool] = field(default_factory=dict)
    schedules: tuple[str, ...] = tuple(SCHEDULES)
    max_steps: int = MAX_STEPS
    way: str = "diffusion"

    @property
    def steps(self) -> int:
        """How many it takes where a request does not say."""
        return defaults(self.way).steps

    @property
    def cfg_scale(self) -> float:
        """The guidance where a request does not say."""
        return defaults(self.way).guidance_scale


#: The sampler that goes with the adapter for few steps.
LCM = "LCM"

BY_TIME = ("Automatic", "SGM Uniform")  # of those whose schedulers count in timesteps, and not in noise

#: The first is the one to take where a request names none and the adapter for few steps is not there.
SAMPLERS = {
    sampler.name: sampler
    for sampler in (
        Sampler("DPM++ 2M", ("k_dpmpp_2m",), "DPMSolverMultistepScheduler"),
        Sampler("Euler", ("k_euler",), "EulerDiscreteScheduler"),
        Sampler("Euler a", ("k_euler_a", "k_euler_ancestral"), "EulerAncestralDiscreteScheduler", schedules=BY_TIME),
        Sampler("Heun", ("k_heun",), "HeunDiscreteScheduler", {"second_order": "True"}),
        Sampler("DDIM", ("ddim",), "DDIMScheduler", config={"clip_sample": False}, schedules=BY_TIME),
        Sampler("UniPC", ("unipc",), "UniPCMultistepScheduler"),
        Sampler(LCM, ("k_lcm",), "LCMScheduler", schedules=("Automatic",), max_steps=LCM_STEPS, way="few_step"),
    )
}


def find(name: str) -> tuple[str, str]:
    """The sampler and the schedule in a name; the web UI once had both in one, as in "DPM++ 2M Karras".

    Raises:
        ValueError: there is no such sampler.
    """
    for ending, schedule in [("", ""), *((f" {schedule}", schedule) for schedule in SCHEDULES)]:
        if name.endswith(ending) and (sampler := name.removesuffix(ending)) in SAMPLERS:
            return sampler, schedule
    raise ValueError(f"there is no sampler {name!r} here; there are: {', '.join(SAMPLERS)}")


def find_schedule(name: str) -> str:
    """The schedule by its label, "SGM Uniform", or its name, "sgm_uniform".

    Raises:
        ValueError: there is no such schedule.
    """
    for schedule in SCHEDULES:
        if name in (schedule, schedule_name(schedule)):
            return schedule
    raise ValueError(f"there is no scheduler {name!r} here; there are: {', '.join(SCHEDULES)}")


def schedule_name(label: str) -> str:
    """What the web UI's API calls a schedule that its page calls ``label``."""
    return label.lower().replace(" ", "_")


def make_scheduler(pipe: StableDiffusionPipeline, sampler: Sampler, schedule: str) -> SchedulerMixin:
    """A scheduler of diffusers, for the noise and the prediction of the pipeline's model."""
    import diffusers

    if sampler.name == LCM:
        return lcm_scheduler(pipe.scheduler)
    options = sampler.config | SCHEDULES[schedule]
    return getattr(diffusers, sampler.scheduler).from_config(pipe.scheduler.config, **options)
