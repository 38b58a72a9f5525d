"""The exercises of notebook 06, A generation pipeline.

Their functions call a chat model, an image server, a generator and raters. The checks replace these with fakes, which
record the calls.
"""

from helpers.checks.nb06.agents import picture_agent
from helpers.checks.nb06.choosing import best_of_n
from helpers.checks.nb06.drawing import txt2img
from helpers.checks.nb06.pipeline import run_pipeline
from helpers.checks.nb06.prompting import image_prompt
from helpers.checks.nb06.rating import rate_image, rate_image_by_caption
from helpers.checks.nb06.retrying import until_accepted
from helpers.checks.nb06.searching import get_text

__all__ = [
    "best_of_n",
    "get_text",
    "image_prompt",
    "picture_agent",
    "rate_image",
    "rate_image_by_caption",
    "run_pipeline",
    "txt2img",
    "until_accepted",
]
