"""A model that answers questions about pictures with canned answers, and records its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CannedModel"]


class CannedModel:
    """A function (image, question) → answer with a canned answer for each question; an exception is raised.

    Attributes:
        calls: all calls, each as (image, question).
    """

    def __init__(self, answers: Mapping[str, str | Exception]):
        self.answers, self.calls = answers, []

    def __call__(self, image: Image.Image, question: str) -> str:
        self.calls.append((image, question))
        answer = self.answers[question]
        if isinstance(answer, Exception):
            raise answer
        return answer
