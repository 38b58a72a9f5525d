"""Progress bars that stay off the screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

__all__ = ["recorded_bars"]


@contextmanager
def recorded_bars() -> Iterator[list]:
    """Give a list of the progress bars that are made meanwhile, by whichever kind of tqdm; none is shown."""
    from tqdm.std import tqdm

    made, build = [], tqdm.__init__

    def init(self, *args, **options):
        made.append(self)
        build(self, *args, **options | {"disable": True})

    with patch.object(tqdm, "__init__", init):
        yield made
