"""The judge: a small network that reads picture-book pictures, and what it finds in them.

    >>> from helpers.judge import load_judge, read
    >>> readings = read(load_judge(), pictures)
    >>> readings[0].things[0].kind, readings[0].things[0].colour
    ('cat', 'red')

It is trained on drawn scenes only and no other model is trained with it, so that its reading of a generated picture is
an independent opinion. `course train judge` trains it, `course evaluate` scores the other models with it.

Modules, in reading order: `network` (from pixels to predictions on a grid), `reading` (from these to things).
"""

from helpers.judge.network import FOOT, Judge
from helpers.judge.reading import Reading, Seen, load_judge, read, shows_number, shows_scene, shows_thing

__all__ = ["FOOT", "Judge", "Reading", "Seen", "load_judge", "read", "shows_number", "shows_scene", "shows_thing"]
