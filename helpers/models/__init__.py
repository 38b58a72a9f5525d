"""Which model plays which role, and `load(role)`, which returns it ready to use.

The registry is `helpers/models.toml`. Under the profile `mini` a role's model is a folder of `models/`, and nothing is
ever downloaded; under `full` it is a checkpoint of the Hugging Face hub at a fixed revision, downloaded once. A model
is loaded once per session and kept.

`few_step(load("diffusion"))` draws in four steps what `load("diffusion")` draws in twenty-five; `defaults` returns the
course's steps and guidance scale with and without it.

The registry also lists what chat services offer: `service("groq", "vision")`; `helpers.chat` calls them.

Modules, in reading order: `registry` (the entries), `files` (folders and downloads), `loading` (`load`), `adapters`
(few steps).
"""

from helpers.models.adapters import (
    ADAPTER_WEIGHTS,
    LCM_STEPS,
    Adapter,
    adapter_of,
    few_step,
    has_few_step,
    lcm_scheduler,
    with_scheduler,
)
from helpers.models.files import HubUnreachable, cached, status
from helpers.models.loading import Loaded, load, quiet
from helpers.models.registry import (
    ChatChoice,
    Defaults,
    Entry,
    ModelUnavailable,
    Service,
    adapter_entry,
    defaults,
    entry,
    roles,
    service,
)

__all__ = [
    "ADAPTER_WEIGHTS",
    "LCM_STEPS",
    "Adapter",
    "ChatChoice",
    "Defaults",
    "Entry",
    "HubUnreachable",
    "Loaded",
    "ModelUnavailable",
    "Service",
    "adapter_entry",
    "adapter_of",
    "cached",
    "defaults",
    "entry",
    "few_step",
    "has_few_step",
    "lcm_scheduler",
    "load",
    "quiet",
    "roles",
    "service",
    "status",
    "with_scheduler",
]
