"""What a warm process has loaded and a cold one needs seconds for: the libraries, and the mini models."""

from __future__ import annotations

import importlib

__all__ = ["LIBRARIES", "warm_up"]

LIBRARIES = (
    "diffusers",
    "IPython.core.interactiveshell",
    "langchain_openai",
    "matplotlib.pyplot",
    "pandas",
    "peft",
    "torch",
    "transformers",
)


def warm_up() -> None:
    """Import the libraries and load the mini models."""
    for library in LIBRARIES:
        importlib.import_module(library)
    from helpers import checks  # noqa: F401
    from helpers.models import load, roles

    for role in roles():
        load(role)
