"""Adapters named in a prompt, as AUTOMATIC1111's web UI reads them: ``a red cat <lora:few_step:1>``.

There is one, `helpers.models.few_step`. After its name stands how much of it is added, 1 where nothing stands.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

__all__ = ["LORAS", "MAX_WEIGHT", "Asked", "read"]

#: The adapters that a prompt can name.
LORAS = ("few_step",)
MAX_WEIGHT = 10.0

TAG = re.compile(r"[ \t]*<lora:([^<>]*)>")


class Asked(NamedTuple):
    """A prompt without the adapters named in it, and the weight of the one that is here; None where it is not named."""

    prompt: str
    weight: float | None


def read(prompt: str) -> Asked:
    """What a prompt asks for. Of an adapter that is named twice the last weight counts.

    Raises:
        ValueError: an adapter that is not here, or a weight that is none.
    """
    weight = None
    for inside in TAG.findall(prompt):
        name, _, text = inside.partition(":")
        if name not in LORAS:
            raise ValueError(f"there is no lora {name!r} here; there are: {', '.join(LORAS)}")
        weight = _weight(name, text)
    return Asked(TAG.sub("", prompt).strip() if weight is not None else prompt, weight)


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text.strip() or 1)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise ValueError(f"the weight of lora {name!r} should be a number up to {MAX_WEIGHT:g}, not {text!r}")
    return weight
