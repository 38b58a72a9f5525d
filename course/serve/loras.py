"""LoRA adapters by name, as AUTOMATIC1111's web UI has them: `a red cat <lora:snowman:0.8>`.

`few_step` is the course's own (`helpers.models.few_step`). Any other is a file NAME.safetensors in the endpoint's folder,
as diffusers saves it. The number after a name is its weight, by default 1.
"""

from __future__ import annotations

import copy
import hashlib
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from course.api_error import ApiError
from helpers.models import ADAPTER_WEIGHTS, adapter_of, few_step, quiet
from helpers.provenance import adapter_used

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

__all__ = ["FEW_STEP", "MAX_WEIGHT", "LoraFolder", "ParsedPrompt", "adapted", "read"]

FEW_STEP = "few_step"
MAX_WEIGHT = 10.0

TAG = re.compile(r"[ \t]*<lora:([^<>]*)>")
#: The digits of an adapter's hash that are told.
HASH_LENGTH = 12


class ParsedPrompt(NamedTuple):
    """A prompt with its adapter tags removed, and the weight of each adapter that they name."""

    prompt: str
    weights: dict[str, float]


def read(prompt: str) -> ParsedPrompt:
    """Parse the adapter tags of a prompt. If an adapter is named twice, the last weight counts.

    Raises:
        ValueError: invalid weight.
    """
    weights = {}
    for inside in TAG.findall(prompt):
        name, _, text = inside.partition(":")
        weights[name] = _weight(name, text)
    return ParsedPrompt(TAG.sub("", prompt).strip() if weights else prompt, weights)


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text.strip() or 1)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise ValueError(f"the weight of LoRA {name!r} should be a number up to {MAX_WEIGHT:g}, not {text!r}")
    return weight


class LoraFolder:
    """The endpoint's folder of adapters; it is made when it is first asked for, and removed when the endpoint stops."""

    def __init__(self) -> None:
        self._made: TemporaryDirectory | None = None

    @property
    def path(self) -> Path:
        """Where to put files."""
        if self._made is None:
            self._made = TemporaryDirectory(prefix="loras-")
        return Path(self._made.name)

    def files(self) -> dict[str, Path]:
        """Return the file of each adapter that is in the folder now, by its name."""
        if self._made is None:
            return {}
        return {file.stem: file for file in sorted(self.path.glob("*.safetensors")) if file.stem != FEW_STEP}

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        if self._made is not None:
            self._made.cleanup()
            self._made = None


def adapted(
    pipe: StableDiffusionPipeline, weights: Mapping[str, float], files: Mapping[str, Path]
) -> tuple[StableDiffusionPipeline, dict[str, str]]:
    """Return a pipeline with these adapters, and the first digits of each one's SHA-256.

    `pipe` stays as it is; both share the weights of its models.

    Args:
        pipe: the model's own pipeline.
        weights: how much of each adapter is added, by its name.
        files: the files of all but `few_step`.

    Raises:
        PlainError: the adapter for few steps is missing.
        ApiError: status 422 for an adapter that is not one for this model.
    """
    hashes = {}
    if FEW_STEP in weights:
        quick = few_step(pipe, weights[FEW_STEP])
        hashes[FEW_STEP] = adapter_used(quick).revision.removeprefix("sha256:")[:HASH_LENGTH]
        files = {**files, FEW_STEP: adapter_of(quick).folder / ADAPTER_WEIGHTS}
        if len(weights) == 1:  # its layers are fused, which is faster
            return quick, hashes
    if not weights:
        return pipe, hashes
    shared = {id(weight): weight for weight in (*pipe.unet.parameters(), *pipe.unet.buffers())}
    unet = copy.deepcopy(pipe.unet, shared)  # new layers around the same weights
    carrier = type(pipe)(**{**pipe.components, "unet": unet}, requires_safety_checker=False)
    carrier.set_progress_bar_config(disable=True)
    for i, name in enumerate(weights):
        _load(carrier, files[name], f"adapter_{i}", name)
        hashes.setdefault(name, hashlib.sha256(files[name].read_bytes()).hexdigest()[:HASH_LENGTH])
    carrier.set_adapters([f"adapter_{i}" for i in range(len(weights))], [*weights.values()])
    return carrier, hashes


def _load(carrier: StableDiffusionPipeline, file: Path, adapter_name: str, name: str) -> None:
    """Load an adapter's file; `adapter_name` is peft's for it, which may not have every character of a file's name."""
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about a second adapter
            warnings.simplefilter("error", RuntimeWarning)  # about layers that are missing in the file or in the model
            carrier.load_lora_weights(
                file.parent, weight_name=file.name, adapter_name=adapter_name, local_files_only=True
            )
    except Exception as error:  # anything may be in the file
        raise ApiError(422, f"The LoRA {name!r} can't be used with this model ({type(error).__name__}).") from error
