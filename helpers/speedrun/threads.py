"""How many threads train fastest on this computer, as busy as it is now."""

from __future__ import annotations

import time

import torch

from helpers.speedrun.network import DiT
from helpers.speedrun.world import SIZE

__all__ = ["choose_threads"]

ALL = torch.get_num_threads()
TRIES = 3


def choose_threads() -> int:
    """Let torch use all its threads or one, whichever takes less time for a step of training; return their number.

    Threads that share a processor with other programs wait for each other: then one alone can be many times faster.
    """
    if ALL > 1:
        with torch.random.fork_rng(devices=[]):
            torch.set_num_threads(min((ALL, 1), key=_seconds))
    return torch.get_num_threads()


def _seconds(threads: int) -> float:
    """Return the least time of a few steps with so many threads."""
    torch.set_num_threads(threads)
    network, x, t = DiT(), torch.randn(16, 3, SIZE, SIZE), torch.rand(16)
    times = []
    for _ in range(TRIES + 1):
        start = time.perf_counter()
        network(x, t, None).square().mean().backward()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[TRIES // 2]  # the first one allocates memory
