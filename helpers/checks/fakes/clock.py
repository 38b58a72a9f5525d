"""A clock on which every step of an optimizer takes the same time, so that a training ends after a known number of steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored

__all__ = ["stepping_clock"]

CLOCKS = ("perf_counter", "monotonic", "time", "process_time")


@mirrored
@contextmanager
def stepping_clock(step: float) -> Iterator[None]:
    """Let `time`'s clocks go on by `step` seconds with each step of any torch optimizer, and only then."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = []
    hook = register_optimizer_step_post_hook(lambda *args: steps.append(step))
    with ExitStack() as patched:
        patched.callback(hook.remove)
        for name in CLOCKS:
            start = getattr(time, name)()
            patched.enter_context(patch.object(time, name, lambda start=start: start + sum(steps)))
            patched.enter_context(patch.object(time, f"{name}_ns", lambda start=start: int(1e9 * (start + sum(steps)))))
        yield
