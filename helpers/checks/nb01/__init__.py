"""The exercises of notebook 01, Diffusion basics."""

from helpers.checks.nb01.drawing import generate_images
from helpers.checks.nb01.editing import img2img
from helpers.checks.nb01.guidance import guide
from helpers.checks.nb01.inpainting import inpaint
from helpers.checks.nb01.loss import noise_prediction_loss
from helpers.checks.nb01.noising import add_noise
from helpers.checks.nb01.sampling import sample_latents
from helpers.checks.nb01.sweep import steps_sweep
from helpers.checks.nb01.tuning import fine_tune

__all__ = [
    "add_noise",
    "fine_tune",
    "generate_images",
    "guide",
    "img2img",
    "inpaint",
    "noise_prediction_loss",
    "sample_latents",
    "steps_sweep",
]
