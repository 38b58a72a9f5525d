"""The exercises of notebook 08, Train your own.

Models are functions of (x, t, condition) whose calls the checks record, or a small network for points in the plane.
"""

from helpers.checks.nb08.euler import euler_sample
from helpers.checks.nb08.guidance import guided
from helpers.checks.nb08.loss import flow_matching_loss
from helpers.checks.nb08.paths import interpolate
from helpers.checks.nb08.tokens import patchify_tokens, unpatchify
from helpers.checks.nb08.training import train

__all__ = [
    "euler_sample",
    "flow_matching_loss",
    "guided",
    "interpolate",
    "patchify_tokens",
    "train",
    "unpatchify",
]
