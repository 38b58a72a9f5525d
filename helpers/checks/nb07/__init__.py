"""The exercises of notebook 07, Synthetic prompts.

What a model writes or draws is a matter of luck; what a function does with it is not. So fakes replace the chat model
and the pipeline. Only `handed_in` looks at real pictures: it judges the file that is handed in.
"""

from helpers.checks.nb07.chaining import generate_images_from_image
from helpers.checks.nb07.drawing import generate_images
from helpers.checks.nb07.handing_in import handed_in
from helpers.checks.nb07.looking import ask_about_image
from helpers.checks.nb07.metadata import send_metadata
from helpers.checks.nb07.posting import post_submission
from helpers.checks.nb07.reading import prompts_in
from helpers.checks.nb07.rewriting import llm_rewrite_to_image_prompts
from helpers.checks.nb07.saving import plot_imgs

__all__ = [
    "ask_about_image",
    "generate_images",
    "generate_images_from_image",
    "handed_in",
    "llm_rewrite_to_image_prompts",
    "plot_imgs",
    "post_submission",
    "prompts_in",
    "send_metadata",
]
