"""The web UI's samplers and schedules, and the equivalent schedulers of diffusers."""

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

#: The noise schedules, and the diffusers option for each.
SCHEDULES = {
    "Automatic": {},
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
}


@dataclass(frozen=True)
class Sampler:
    """A sampler of the web UI, and the equivalent scheduler of diffusers.

    Attributes:
        options: what the web UI's list of samplers says about it.
        config: what the scheduler needs in addition to the model's scheduler config.
        schedules: the `SCHEDULES` that it supports.
        max_steps: the most steps that it can take.
        role: the role whose `helpers.models.defaults` suit it.
    """

    name: str
    aliases: tuple[str, ...]
    scheduler: str
    options: dict[str, str] = field(default_factory=dict)
    config: dict[str, bool] = field(default_factory=dict)
    schedules: tuple[str, ...] = tuple(SCHEDULES)
    max_steps: int = MAX_STEPS
    role: str = "diffusion"

    @property
    def steps(self) -> int:
        """The default number of steps."""
        return defaults(self.role).steps

    @property
    def cfg_scale(self) -> float:
        """The default guidance scale."""
        return defaults(self.role).guidance_scale


#: The sampler for the few-step adapter.
LCM = "LCM"

TIMESTEP_BASED = ("Automatic", "SGM Uniform")  # for schedulers defined by timesteps, not by sigmas

#: The first is the default where the few-step adapter is not available.
SAMPLERS = {
    sampler.name: sampler
    for sampler in (
        Sampler("DPM++ 2M", ("k_dpmpp_2m",), "DPMSolverMultistepScheduler"),
        Sampler("Euler", ("k_euler",), "EulerDiscreteScheduler"),
        Sampler(
            "Euler a", ("k_euler_a", "k_euler_ancestral"), "EulerAncestralDiscreteScheduler", schedules=TIMESTEP_BASED
        ),
        Sampler("Heun", ("k_heun",), "HeunDiscreteScheduler", {"second_order": "True"}),
        Sampler("DDIM", ("ddim",), "DDIMScheduler", config={"clip_sample": False}, schedules=TIMESTEP_BASED),
        Sampler("UniPC", ("unipc",), "UniPCMultistepScheduler"),
        Sampler(LCM, ("k_lcm",), "LCMScheduler", schedules=("Automatic",), max_steps=LCM_STEPS, role="few_step"),
    )
}


def find(name: str) -> tuple[str, str]:
    """Return the sampler and the schedule in a name; the web UI once had both in one, as in "DPM++ 2M Karras".

    Raises:
        ValueError: there is no such sampler.
    """
    for ending, schedule in [("", ""), *((f" {schedule}", schedule) for schedule in SCHEDULES)]:
        if name.endswith(ending) and (sampler := name.removesuffix(ending)) in SAMPLERS:
            return sampler, schedule
    raise ValueError(f"there is no sampler {name!r} here; available: {', '.join(SAMPLERS)}")


def find_schedule(name: str) -> str:
    """Return the schedule with this label, "SGM Uniform", or name, "sgm_uniform".

    Raises:
        ValueError: there is no such schedule.
    """
    for schedule in SCHEDULES:
        if name in (schedule, schedule_name(schedule)):
            return schedule
    raise ValueError(f"there is no scheduler {name!r} here; available: {', '.join(SCHEDULES)}")


def schedule_name(label: str) -> str:
    """Return the API's name for the schedule that the web UI's page calls `label`."""
    return label.lower().replace(" ", "_")


def make_scheduler(pipe: StableDiffusionPipeline, sampler: Sampler, schedule: str) -> SchedulerMixin:
    """Create a diffusers scheduler with the noise and prediction type of the pipeline's model."""
    import diffusers

    if sampler.name == LCM:
        return lcm_scheduler(pipe.scheduler)
    options = sampler.config | SCHEDULES[schedule]
    return getattr(diffusers, sampler.scheduler).from_config(pipe.scheduler.config, **options)
