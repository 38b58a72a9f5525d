"""Everything that differs from one computer to the next, in one object: `settings`.

=====================  ===============  ==========================================================
environment variable   default          meaning
=====================  ===============  ==========================================================
COURSE_PROFILE         mini             `mini`: the small models in `models/`, offline;
                                        `full`: real checkpoints, downloaded once
COURSE_DEVICE          auto             `auto`, `cpu`, `cuda` or `mps`
COURSE_MODELS          <repo>/models    folder of the mini models
COURSE_GRADER_SEED     0                the seed with which hidden tests draw new scenes
COURSE_CHAT            local            the chat provider: `local` (the mini chat model, offline),
                                        `groq`, `nvidia`, or the http(s) address of an
                                        OpenAI-compatible server
COURSE_ENDPOINT        http://          the address of the local chat endpoint; on this computer a
                       127.0.0.1:8765   notebook starts it if it is not running
COURSE_STORE           chdb://          where prompts are stored: `chdb://FOLDER`, a database inside
                       prompt_store     the notebook (FOLDER may be relative to the working folder),
                                        or `clickhouse://USER@HOST:PORT/DATABASE`, a server
COURSE_LONGEST_        inf              the most seconds that notebook 08 trains at a time; graders and
TRAINING                                CI set it to a few
=====================  ===============  ==========================================================

Secrets (API keys) are not settings: `settings.secret("HF_TOKEN")` looks in the environment, then in Colab's secrets,
then asks. It returns a wrapper that prints as stars.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from helpers import proxies
from helpers.errors import PlainError

if TYPE_CHECKING:
    import torch

__all__ = ["SECRETS", "Settings", "settings"]

REPOSITORY = Path(__file__).resolve().parent.parent

#: The secrets that the course knows, each with its purpose. None is needed under the profile `mini`.
SECRETS = {
    "HF_TOKEN": "faster and gated downloads under COURSE_PROFILE=full",
    "GROQ_API_KEY": "chat models served by Groq",
    "NVIDIA_API_KEY": "chat models served by NVIDIA",
    "COURSE_CHAT_KEY": "your own chat server, if it requires a key (COURSE_CHAT=https://…)",
    "COURSE_STORE_PASSWORD": "a database server that requires a password (COURSE_STORE=clickhouse://…)",
}

CHAT_PROVIDERS = ("local", "groq", "nvidia")


def _parts(text: str) -> SplitResult:
    """Split an address; all parts are empty if its host or port is invalid."""
    try:
        parts = urlsplit(text)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:  # from urlsplit for the host, from .port for the port
        return urlsplit("")


def is_http(text: str) -> bool:
    """Return whether `text` is an http(s) address."""
    return _parts(text).scheme in ("http", "https") and bool(_parts(text).hostname)


def _address(text: str) -> str:
    """Return an http(s) address without its trailing slash. Raises pydantic's error for anything else."""
    if not is_http(text):
        raise PydanticCustomError("address", "it should be an address such as http://127.0.0.1:8765")
    return text.rstrip("/")


def _chat_provider(text: str) -> str:
    if text in CHAT_PROVIDERS:
        return text
    try:
        return _address(text)
    except PydanticCustomError:
        raise PydanticCustomError(
            "chat_provider", "it should be 'local', 'groq', 'nvidia' or the http(s) address of a chat server"
        ) from None


def store_address(text: str) -> str:
    """Return the address of a prompt store unchanged. Raises pydantic's error, a ValueError, for anything else."""
    if text.removeprefix("chdb://") not in ("", text):
        return text
    parts = _parts(text)
    if parts.scheme in ("clickhouse", "clickhouses") and parts.hostname and not parts.query:
        return text
    raise PydanticCustomError(
        "store", "it should be chdb://FOLDER or clickhouse://USER@HOST:PORT/DATABASE (clickhouses:// for TLS)"
    )


class Settings(BaseSettings):
    """The settings, read once from the environment. Raises `PlainError` for an invalid value."""

    model_config = SettingsConfigDict(env_prefix="COURSE_", validate_assignment=True)

    profile: Literal["mini", "full"] = "mini"
    device_choice: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", validation_alias="COURSE_DEVICE")
    models_dir: Path = Field(REPOSITORY / "models", validation_alias="COURSE_MODELS")
    grader_seed: int = 0
    longest_training: float = Field(float("inf"), gt=0)
    chat_provider: Annotated[str, AfterValidator(_chat_provider)] = Field("local", validation_alias="COURSE_CHAT")
    endpoint: Annotated[str, AfterValidator(_address)] = "http://127.0.0.1:8765"
    # It may contain a password, which must not be printed with the settings.
    store: Annotated[str, AfterValidator(store_address)] = Field("chdb://prompt_store", repr=False)

    _secrets: dict[str, SecretStr] = PrivateAttr(default_factory=dict)

    def __init__(self, **values):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise PlainError(" ".join(map(_setting_sentence, error.errors()))) from None

    @property
    def device(self) -> str:
        """Where models run: "cuda", "mps" or "cpu"; the best available, unless COURSE_DEVICE names one."""
        import torch

        usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        if self.device_choice == "auto":
            return next(name for name, works in usable.items() if works)
        if not usable[self.device_choice]:
            raise PlainError(
                f"COURSE_DEVICE is {self.device_choice}, but torch {torch.__version__} sees no such device here. "
                "Set COURSE_DEVICE=auto, or on Colab choose Runtime → Change runtime type → GPU."
            )
        return self.device_choice

    @property
    def dtype(self) -> torch.dtype:
        """Number format of model weights: half precision for full models on an NVIDIA GPU, otherwise float32.

        The mini models stay in float32 everywhere: they are tiny, and the results agree across machines.
        """
        import torch

        return torch.float16 if self.profile == "full" and self.device == "cuda" else torch.float32

    def training_seconds(self, seconds: float) -> float:
        """Return how long a notebook should train: so many seconds, unless COURSE_LONGEST_TRAINING is less."""
        return min(seconds, self.longest_training)

    def find_secret(self, name: str) -> SecretStr | None:
        """Return the secret called `name` from the environment or Colab's secrets, or None. Never asks."""
        if name in self._secrets:
            return self._secrets[name]
        value = os.environ.get(name) or _colab_secret(name)
        if value:
            self._secrets[name] = SecretStr(value)
        return self._secrets.get(name)

    def secret(self, name: str) -> SecretStr:
        """Return the secret called `name`; ask for it, with hidden typing, if it is not found.

        Call `.get_secret_value()` on the result for a library that needs the text itself.

        Raises:
            PlainError: there is none, and no user to ask (in a grader or a script).
        """
        if found := self.find_secret(name):
            return found
        import getpass

        try:
            value = getpass.getpass(f"{name} (typing stays hidden): ").strip()
        except (EOFError, OSError, RuntimeError):  # no terminal; IPython's StdinNotImplementedError is a RuntimeError
            value = ""
        if not value:
            raise PlainError(
                f"No {name} was found. Set the environment variable {name} before starting Jupyter, or on Colab "
                f"add {name} under the key icon on the left and allow this notebook to read it."
            )
        self._secrets[name] = SecretStr(value)
        return self._secrets[name]

    def forget_secret(self, name: str) -> None:
        """Forget what was found or typed for `name`, so that a wrong key is looked up, or asked for, again."""
        self._secrets.pop(name, None)


def _setting_sentence(error: dict) -> str:
    name = str(error["loc"][0])
    variable = name if name.isupper() else f"COURSE_{name.upper()}"
    expected = error["msg"].replace("Input", "it", 1)
    given = re.sub("://.*@", "://…@", repr(error["input"]))  # it may contain a password
    return f"{variable} is {given}, but {expected}. Change or unset that environment variable and start again."


def _colab_secret(name: str) -> str | None:
    """Return the secret from Colab's key panel; None elsewhere, or if it is missing or access is not granted."""
    try:
        from google.colab import userdata
    except ImportError:
        return None
    unanswered = ("SecretNotFoundError", "NotebookAccessError", "TimeoutException")
    errors = tuple(getattr(userdata, error) for error in unanswered if hasattr(userdata, error))
    try:
        return userdata.get(name)
    except (*errors, TimeoutError):
        return None


proxies.UNUSABLE.update(proxies.tidy(os.environ))
settings = Settings()
