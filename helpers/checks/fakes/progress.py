"""Progress bars, recorded instead of shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored

__all__ = ["recorded_bars"]


@mirrored
@contextmanager
def recorded_bars() -> Iterator[list]:
    """Yield a list of the progress bars created meanwhile, by any kind of tqdm; none is shown."""
    from tqdm.std import tqdm

    made, build = [], tqdm.__init__

    def init(self, *args, **options):
        made.append(self)
        build(self, *args, **options | {"disable": True})

    with patch.object(tqdm, "__init__", init):
        yield made
