"""Which model plays which role, and ``load(role)``, which gives it ready to use.

The registry is ``models.toml`` beside this file. Under the profile ``mini`` a role's model is a folder of
``models/`` and nothing is ever downloaded; under ``full`` it is a checkpoint of the Hugging Face hub at a
fixed revision, downloaded once. A model is loaded once in a session and kept.

The registry also lists what chat services offer: ``service("groq", "vision")``; `helpers.chat` talks to them.
"""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.errors import PlainError
from helpers.settings import settings

if TYPE_CHECKING:
    from diffusers import SchedulerMixin, StableDiffusionPipeline
    from transformers import PreTrainedModel, ProcessorMixin

__all__ = [
    "ChatChoice",
    "Entry",
    "Loaded",
    "ModelUnavailable",
    "Service",
    "entry",
    "load",
    "quiet",
    "roles",
    "service",
    "status",
    "with_scheduler",
]


class ModelUnavailable(PlainError):
    """A model can't be had here; the message says why and what to do."""


class HubUnreachable(ModelUnavailable):
    """There is no connection to the Hugging Face hub."""


class Loaded(NamedTuple):
    """What ``load`` gives for a model of transformers: the model, in evaluation mode, and the processor of its inputs."""

    model: PreTrainedModel
    processor: ProcessorMixin


@dataclass(frozen=True)
class Entry:
    """One line of the registry, for the profile and device in use. Sizes are in GB (10⁹ bytes)."""

    role: str
    profile: str
    id: str
    licence: str
    memory_gb: float
    revision: str = ""
    files: tuple[str, ...] = ()
    download_gb: float = 0.0
    fallback: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class ChatChoice:
    """A chat model that a service offers, as far as public pages said on the day ``checked``.

    ``parameters`` go with every request. A model that thinks before it answers gets ``thinking_tokens`` on top
    of the tokens that its answer may have. ``max_images`` and ``max_mb`` are what one request with pictures may
    hold (base64 included), 0 where nothing is known.
    """

    id: str
    checked: date | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    thinking_tokens: int = 0
    max_images: int = 0
    max_mb: float = 0


@dataclass(frozen=True)
class Service:
    """A chat service: how it is called, where it is, and its models for one role, the first choice first.

    ``secret`` names the API key (empty: none needed), ``keys`` is the page where one gets it, ``models`` the
    page that lists what is served today.
    """

    name: str
    title: str
    url: str
    choices: tuple[ChatChoice, ...]
    secret: str = ""
    keys: str = ""
    models: str = ""


def roles() -> tuple[str, ...]:
    """The names that ``load`` knows."""
    return tuple(_registry()["roles"])


def entry(role: str) -> Entry:
    """The registry's line for ``role`` under the current profile. Raises ``ModelUnavailable`` for no such role."""
    if role not in roles():
        raise ModelUnavailable(f"There is no role {role!r}. The roles are: {', '.join(roles())}.")
    line = _registry()["roles"][role][settings.profile]
    others = [_entry(role, {**line, **other}) for other in line.get("fallback", [])]
    return replace(_entry(role, line), fallback=tuple(others))


def _entry(role: str, line: dict) -> Entry:
    place = "cpu" if settings.device == "cpu" else "gpu"
    variant = ".fp16" if settings.device == "cuda" else ""
    return Entry(
        role=role,
        profile=settings.profile,
        id=line["id"],
        licence=line["licence"],
        memory_gb=line["memory_gb"][place],
        revision=line.get("revision", ""),
        files=tuple(name.format(variant=variant) for name in line.get("files", [])),
        download_gb=line.get("download_gb", {}).get(place, 0.0),
    )


def service(name: str, role: str) -> Service:
    """What the chat service ``name`` ("groq", "nvidia") offers for ``role``: "vision" (takes pictures) or "text".

    Raises ``ModelUnavailable`` for a service or a role that the registry does not have.
    """
    services = _registry()["services"]
    if name not in services:
        raise ModelUnavailable(
            f"There is no chat service {name!r} in helpers/models.toml, only: {', '.join(services)}."
        )
    lines = {key: value for key, value in services[name].items() if isinstance(value, list)}
    if role not in lines:
        raise ModelUnavailable(f"There is no chat role {role!r}. The roles are: {', '.join(lines)}.")
    choices = tuple(ChatChoice(**line) for line in lines[role])
    rest = {key: value for key, value in services[name].items() if key not in lines}
    return Service(name=name, choices=choices, **rest)


_loaded: dict[tuple, Any] = {}
_loading = threading.Lock()


def load(role: str) -> StableDiffusionPipeline | Loaded:
    """The model for ``role``, on ``settings.device``; loaded at the first call and kept.

    ``"diffusion"`` gives a ``StableDiffusionPipeline``, every other role a ``Loaded(model, processor)``. Says
    the size before a download, and says so when it has to take a fallback. Raises ``ModelUnavailable``, with
    what to do, when the model is missing, damaged, out of reach or too large for the memory that is free.
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
    folder = _mini_folder(wanted) if wanted.profile == "mini" else _full_folder(wanted)
    import torch

    try:
        with quiet():
            return _LOADERS[wanted.role](folder)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(_memory_sentence(wanted, "there is less")) from error
    except _unreadable() as error:
        raise ModelUnavailable(
            f"The files of {wanted.id} in {folder} are damaged or incomplete ({_first_line(error)}). {_again(wanted)}"
        ) from error


def with_scheduler(pipe: StableDiffusionPipeline, scheduler: SchedulerMixin) -> StableDiffusionPipeline:
    """The same pipeline, models shared, with a new scheduler made like this one: drawing with it leaves no trace in `pipe`."""
    parts = {**pipe.components, "scheduler": type(scheduler).from_config(scheduler.config)}
    other = type(pipe)(**parts, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


def status(role: str) -> tuple[bool, str]:
    """Whether ``load(role)`` would find its files, and a sentence about it. Never downloads anything."""
    wanted = entry(role)
    if wanted.profile == "full":
        choice = next(filter(cached, (wanted, *wanted.fallback)), None)
        download = f"{wanted.id}: {wanted.download_gb} GB to download"
        return True, f"{choice.id} is downloaded" if choice else download
    try:
        return True, str(_mini_folder(wanted))
    except ModelUnavailable as error:
        return False, str(error)


# -- finding the files


def _mini_folder(wanted: Entry) -> Path:
    folder = settings.models_dir / wanted.role
    if not folder.is_dir():
        raise ModelUnavailable(
            f"The model for {wanted.role!r} should be in {folder}, but there is no such folder. {_again(wanted)}"
        )
    for weights in folder.rglob("*.safetensors"):
        with weights.open("rb") as file:
            if file.read(23) == b"version https://git-lfs":
                raise ModelUnavailable(
                    f"{weights} is a git-LFS pointer, not the weights themselves. "
                    "Run `git lfs install` and then `git lfs pull` in the course's folder."
                )
    return folder


def _full_folder(wanted: Entry) -> Path:
    """The folder of the first of ``wanted`` and its fallbacks that is on this computer or can be downloaded."""
    reasons, connected = [], True
    for choice in (wanted, *wanted.fallback):
        if folder := cached(choice):
            if reasons:
                print(f"{reasons[-1]} Taking {choice.id} in its place.")
            return folder
        if connected:
            if reasons:
                print(f"{reasons[-1]} Trying {choice.id} in its place.")
            try:
                return _download(choice)
            except ModelUnavailable as error:
                reasons.append(str(error))
                connected = not isinstance(error, HubUnreachable)
    raise ModelUnavailable(
        f"{' '.join(reasons)} Or work with the small models: set COURSE_PROFILE=mini and restart the kernel."
    )


def cached(choice: Entry) -> Path | None:
    """The folder of a hub checkpoint that is complete on this computer, or None. Never goes online."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(choice.id, revision=choice.revision, allow_patterns=choice.files, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None
    # A download that was interrupted leaves a folder with some of the files.
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    complete = all(any(fnmatch(name, pattern) for name in names) for pattern in choice.files)
    return folder if complete else None


def _download(choice: Entry) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    print(
        f"Downloading {choice.id} ({choice.licence}): about {choice.download_gb:.1f} GB, once; "
        "an interrupted download goes on where it stopped."
    )
    token = settings.find_secret("HF_TOKEN")
    try:
        return Path(
            snapshot_download(
                choice.id,
                revision=choice.revision,
                allow_patterns=choice.files,
                token=token.get_secret_value() if token else None,
            )
        )
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403, 404, 410):
            raise ModelUnavailable(f"{choice.id} is no longer public on the hub.") from error
        raise ModelUnavailable(f"The hub refused {choice.id} ({_first_line(error)}); try again later.") from error
    except Exception as error:  # each version of the hub's client has other names for "no connection"
        raise HubUnreachable(
            f"{choice.id} is not on this computer yet, and the hub can't be reached ({_first_line(error)}). "
            "Check the internet connection and run this again."
        ) from error


# -- loading them


def _load_with_processor(model_class: str, processor_class: str, folder: Path) -> Loaded:
    import transformers

    # Straight to the device: a full model on a graphics card can be larger than the computer's own memory.
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
        print("There is no GPU here, so Stable Diffusion will take minutes for each picture.")
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
    """Hides what the libraries write about loading local files: bars of a second, and hints about torchvision."""
    from transformers.utils import logging as transformers_logging

    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    from diffusers.utils import logging as diffusers_logging

    diffusers_bar = diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
        if diffusers_bar:
            diffusers_logging.enable_progress_bar()


# -- saying what is wrong


def _check_memory(wanted: Entry) -> None:
    """Raises ``ModelUnavailable`` when less than ``wanted.memory_gb`` is free."""
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


def _unreadable() -> tuple[type[Exception], ...]:
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    return (OSError, EOFError, ValueError, SafetensorError, UnpicklingError)


def _again(wanted: Entry) -> str:
    if wanted.profile == "full":
        return "Delete that folder and run this again to download it afresh."
    return (
        "Run `git checkout -- models` in the course's folder, or clone the course again; "
        "if your models are elsewhere, set COURSE_MODELS to their folder."
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no details'}"


@cache
def _registry() -> dict[str, dict]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
