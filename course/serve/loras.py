"""Adapters named in a prompt, as AUTOMATIC1111's web UI reads them: `a red cat <lora:few_step:1>`.

There is one, `helpers.models.few_step`. The number after its name is its weight, by default 1.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

__all__ = ["LORAS", "MAX_WEIGHT", "ParsedPrompt", "read"]

#: The adapters that a prompt can name.
LORAS = ("few_step",)
MAX_WEIGHT = 10.0

TAG = re.compile(r"[ \t]*<lora:([^<>]*)>")


class ParsedPrompt(NamedTuple):
    """A prompt with its adapter tags removed, and the adapter's weight; None if it has no tag."""

    prompt: str
    weight: float | None


def read(prompt: str) -> ParsedPrompt:
    """Parse the adapter tags of a prompt. If an adapter is named twice, the last weight counts.

    Raises:
        ValueError: unknown adapter, or invalid weight.
    """
    weight = None
    for inside in TAG.findall(prompt):
        name, _, text = inside.partition(":")
        if name not in LORAS:
            raise ValueError(f"there is no LoRA {name!r} here; available: {', '.join(LORAS)}")
        weight = _weight(name, text)
    return ParsedPrompt(TAG.sub("", prompt).strip() if weight is not None else prompt, weight)


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text.strip() or 1)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise ValueError(f"the weight of LoRA {name!r} should be a number up to {MAX_WEIGHT:g}, not {text!r}")
    return weight
