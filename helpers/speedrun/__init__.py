"""Notebook 08's small world, its networks, and the gallery of runs.

Modules, in reading order: `points` (two moons), `world` (32 × 32 pictures of four kinds in four colours), `network`
(the networks that learn them), `threads` (how many), `watch` (progress while they learn), `score` (the judge's opinion of the pictures),
`gallery` (runs to compare).
"""

from helpers.speedrun.gallery import Entry, Network, add, contact_sheet, read, show_gallery
from helpers.speedrun.network import DiT, PointNet
from helpers.speedrun.points import moon_batches, moons
from helpers.speedrun.score import fits, standard_error
from helpers.speedrun.threads import choose_threads
from helpers.speedrun.watch import Watch
from helpers.speedrun.world import (
    COLOURS,
    KINDS,
    PLACES,
    SIZE,
    batches,
    draw_scenes,
    every_condition,
    to_images,
    to_pixels,
    words,
)

__all__ = [
    "COLOURS",
    "KINDS",
    "PLACES",
    "SIZE",
    "DiT",
    "Entry",
    "Network",
    "PointNet",
    "Watch",
    "add",
    "batches",
    "choose_threads",
    "contact_sheet",
    "draw_scenes",
    "every_condition",
    "fits",
    "moon_batches",
    "moons",
    "read",
    "show_gallery",
    "standard_error",
    "to_images",
    "to_pixels",
    "words",
]
