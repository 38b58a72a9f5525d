"""What notebook 01's checks of `img2img` and `inpaint` say about mistakes; test_checks has its other exercises."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from judge import ROOT, cells_of
from PIL import Image

from helpers import checks
from helpers.checks.cases import CasesFailed

ANSWERS = runpy.run_path(str(Path(__file__).parent / "answers" / "nb01.py"))
NOTEBOOK = ROOT / "solutions" / "01_diffusion_basics.py"

SAID = {  # an answer of tests/answers with a fault → words of the sentences a student reads
    ("img2img", "the strength the wrong way round"): "the wrong way round",
    ("img2img", "a sample of the latents"): "Take latent_dist.mean",
    ("img2img", "the picture shines through at strength 1"): "Start from the noise alone",
    ("img2img", "diffusers does it"): "img2img calls a pipeline",
    ("inpaint", "put back without noise"): "has no noise",
    ("inpaint", "put back with the noise of the step before"): "noised to the timestep before",
    ("inpaint", "put back once, before the loop"): "Put it back at every step",
    ("inpaint", "black and white swapped"): "swapped",
    ("inpaint", "the old pixels are not pasted"): "paste them at the end",
}


@pytest.fixture(scope="module")
def notebook():
    """The names that an answer finds: the notebook's functions for latents and pictures, and `guide`."""
    from helpers.models import load

    names = {"torch": torch, "np": np, "Image": Image, "pipe": load("diffusion")}
    (latents,) = (cell.source for cell in cells_of(NOTEBOOK) if cell.metadata.get("locked") == "latents")
    for source in (latents, ANSWERS["RIGHT"]["guide"][0]):
        exec(source, names)
    return names


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault, notebook):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    names = dict(notebook)
    exec(source, names)
    with pytest.raises(CasesFailed, match=SAID[exercise, fault]):
        getattr(checks.nb01, exercise)(names[exercise])
