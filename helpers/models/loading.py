"""`load(role)`: a model from its files, once per session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.models.files import first_line, folder_of, how_to_restore
from helpers.models.registry import Entry, ModelUnavailable, entry
from helpers.settings import settings

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from transformers import PreTrainedModel, ProcessorMixin

__all__ = ["Loaded", "load", "load_errors", "quiet"]


class Loaded(NamedTuple):
    """What `load` returns for a transformers model: the model, in evaluation mode, and its processor."""

    model: PreTrainedModel
    processor: ProcessorMixin


_loaded: dict[tuple, Any] = {}
_loading = threading.Lock()


def load(role: str) -> StableDiffusionPipeline | Loaded:
    """Load the model for `role` onto `settings.device`, at the first call; later calls return the same one.

    It prints the size before a download, and which model it uses if it has to fall back to another one.

    Returns:
        A `StableDiffusionPipeline` for "diffusion", a `Loaded(model, processor)` for every other role.

    Raises:
        ModelUnavailable: the model is missing, damaged, can't be downloaded or needs more memory than is free; the
            message says what to do.
    """
    wanted = entry(role)
    key = (wanted.id, wanted.profile, str(settings.models_dir), settings.device)
    if key not in _loaded:
        with _loading:
            if key not in _loaded:  # another thread may have loaded it meanwhile
                _loaded[key] = _load(wanted)
    return _loaded[key]


def _load(wanted: Entry) -> Any:
    _check_memory(wanted)
    folder = folder_of(wanted)
    import torch

    try:
        with quiet():
            return _LOADERS[wanted.role](folder)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(_memory_sentence(wanted, "there is less")) from error
    except load_errors() as error:
        raise ModelUnavailable(
            f"The files of {wanted.id} in {folder} are damaged or incomplete ({first_line(error)}). "
            f"{how_to_restore(wanted)}"
        ) from error


# -- by kind of model


def _load_with_processor(model_class: str, processor_class: str, folder: Path) -> Loaded:
    import transformers

    # Straight to the device: a full model may fit into the GPU's memory, but not into the computer's.
    model = getattr(transformers, model_class).from_pretrained(
        folder, dtype=settings.dtype, device_map=settings.device, local_files_only=True
    )
    processor = getattr(transformers, processor_class).from_pretrained(folder, backend="pil", local_files_only=True)
    return Loaded(model.eval(), processor)


def _load_diffusion(folder: Path) -> StableDiffusionPipeline:
    import diffusers
    from packaging.version import Version

    # Before 0.42 diffusers ignores "dtype" and loads float32; from then on "torch_dtype" warns.
    dtype = "dtype" if Version(diffusers.__version__) >= Version("0.42") else "torch_dtype"
    if settings.profile == "full" and settings.device == "cpu":
        print("There is no GPU here, so Stable Diffusion will take minutes per picture.")
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(
        folder,
        variant="fp16" if any(folder.glob("unet/*.fp16.safetensors")) and settings.device == "cuda" else None,
        safety_checker=None,
        requires_safety_checker=False,
        local_files_only=True,
        **{dtype: settings.dtype},
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(settings.device)


_LOADERS = {
    "clip": partial(_load_with_processor, "CLIPModel", "CLIPProcessor"),
    "diffusion": _load_diffusion,
    "vqa": partial(_load_with_processor, "ViltForQuestionAnswering", "ViltProcessor"),
    "blip2": partial(_load_with_processor, "Blip2ForConditionalGeneration", "Blip2Processor"),
    "chat": partial(_load_with_processor, "LlavaForConditionalGeneration", "LlavaProcessor"),
}


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what the libraries print while loading local files: progress bars and hints about torchvision."""
    from transformers.utils import logging as transformers_logging

    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    from diffusers.utils import logging as diffusers_logging

    diffusers_verbosity, diffusers_bar = diffusers_logging.get_verbosity(), diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        diffusers_logging.set_verbosity(diffusers_verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
        if diffusers_bar:
            diffusers_logging.enable_progress_bar()


# -- what can go wrong


def _check_memory(wanted: Entry) -> None:
    """Raise `ModelUnavailable` if less than `wanted.memory_gb` is free."""
    import psutil
    import torch

    free = torch.cuda.mem_get_info()[0] if settings.device == "cuda" else psutil.virtual_memory().available
    if free < wanted.memory_gb * 1e9:
        raise ModelUnavailable(_memory_sentence(wanted, f"only {free / 1e9:.1f} GB is free"))


def _memory_sentence(wanted: Entry, but: str) -> str:
    small = " or set COURSE_PROFILE=mini" if wanted.profile == "full" else ""
    return (
        f"{wanted.id} needs {wanted.memory_gb:.1f} GB of free memory on the {settings.device}, but {but}. "
        f"Shut down other notebooks (Kernel → Shut Down All Kernels){small}, then run this again."
    )


def load_errors() -> tuple[type[Exception], ...]:
    """Return the errors that damaged or missing files of a model cause."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    return (OSError, EOFError, ValueError, SafetensorError, UnpicklingError)
