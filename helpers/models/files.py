"""Where a model's files are: a folder of `models/`, or the hub's cache, into which they are downloaded once."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from helpers.models.registry import Entry, ModelUnavailable, entry
from helpers.settings import settings

__all__ = [
    "HubUnreachable",
    "cached",
    "check_fetched",
    "first_line",
    "folder_of",
    "full_folder",
    "how_to_restore",
    "status",
]


class HubUnreachable(ModelUnavailable):
    """The Hugging Face hub can't be reached."""


def folder_of(wanted: Entry) -> Path:
    """Return the folder with the files of `wanted`, downloaded if necessary. Raises `ModelUnavailable`."""
    return _mini_folder(wanted) if wanted.profile == "mini" else full_folder(wanted)


def status(role: str) -> tuple[bool, str]:
    """Return whether `load(role)` would find its files, and a sentence about it. Never downloads anything."""
    wanted = entry(role)
    if wanted.profile == "full":
        choice = next(filter(cached, (wanted, *wanted.fallback)), None)
        download = f"{wanted.id}: {wanted.download_gb} GB to download"
        return True, f"{choice.id} is downloaded" if choice else download
    try:
        return True, str(_mini_folder(wanted))
    except ModelUnavailable as error:
        return False, str(error)


def _mini_folder(wanted: Entry) -> Path:
    folder = settings.models_dir / wanted.role
    if not folder.is_dir():
        raise ModelUnavailable(
            f"The model for {wanted.role!r} should be in {folder}, but there is no such folder. "
            f"{how_to_restore(wanted)}"
        )
    check_fetched(folder)
    return folder


def check_fetched(folder: Path) -> None:
    """Raise `ModelUnavailable` if the weights in `folder` are git-LFS pointers, never fetched."""
    for weights in folder.rglob("*.safetensors"):
        with weights.open("rb") as file:
            if file.read(23) == b"version https://git-lfs":
                raise ModelUnavailable(
                    f"{weights} is a git-LFS pointer, not the weights themselves. "
                    "Run `git lfs install` and then `git lfs pull` in the course's folder."
                )


def full_folder(wanted: Entry) -> Path:
    """Return the folder of the first of `wanted` and its fallbacks that is on this computer or can be downloaded."""
    reasons, connected = [], True
    for choice in (wanted, *wanted.fallback):
        if folder := cached(choice):
            if reasons:
                print(f"{reasons[-1]} Using {choice.id} instead.")
            return folder
        if connected:
            if reasons:
                print(f"{reasons[-1]} Trying {choice.id} instead.")
            try:
                return _download(choice)
            except ModelUnavailable as error:
                reasons.append(str(error))
                connected = not isinstance(error, HubUnreachable)
    raise ModelUnavailable(
        f"{' '.join(reasons)} Or use the small models: set COURSE_PROFILE=mini and restart the kernel."
    )


def cached(choice: Entry) -> Path | None:
    """Return the folder of a hub checkpoint that is complete on this computer, or None. Never goes online."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(choice.id, revision=choice.revision, allow_patterns=choice.files, local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None
    # An interrupted download leaves a folder with some of the files.
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    complete = all(any(fnmatch(name, pattern) for name in names) for pattern in choice.files)
    return folder if complete else None


def _download(choice: Entry) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    print(
        f"Downloading {choice.id} ({choice.licence}): about {choice.download_gb:.1f} GB, once; "
        "an interrupted download resumes where it stopped."
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
        raise ModelUnavailable(f"The hub refused {choice.id} ({first_line(error)}); try again later.") from error
    except Exception as error:  # each version of the hub's client has different errors for "no connection"
        raise HubUnreachable(
            f"{choice.id} is not on this computer yet, and the hub can't be reached ({first_line(error)}). "
            "Check the internet connection and run this again."
        ) from error


def how_to_restore(wanted: Entry) -> str:
    """Say how to get the files of `wanted` again."""
    if wanted.profile == "full":
        return "Delete that folder and run this again to download it once more."
    return (
        "Run `git checkout -- models` in the course's folder, or clone the course again; "
        "if your models are somewhere else, set COURSE_MODELS to their folder."
    )


def first_line(error: Exception) -> str:
    """Return an error on one line: its class, and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no details'}"
