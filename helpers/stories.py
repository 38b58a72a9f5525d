"""The course's small collection of texts: very short stories from the picture-book world, written for this course."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["read", "words"]

FILE = Path(__file__).with_name("stories.txt")


def read() -> list[str]:
    """Return the stories, each a few sentences on one line, always in the same order."""
    return FILE.read_text(encoding="utf-8").strip().split("\n\n")


def words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case and in the singular: those of "Two Boxes" are "two" and "box".

    The singular is a rule of thumb for English: it turns "mars" into "mar", which is harmless as long as all the texts
    that are compared go through it.
    """
    return [_singular(word) for word in re.findall(r"[a-z0-9]+", text.lower())]


def _singular(word: str) -> str:
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
