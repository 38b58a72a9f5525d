"""Submissions to judge: one in which all is well, made of drawn scenes, and what tests change in it; and stand-ins for
the models that judging takes.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

import numpy as np
import pytest
from PIL import Image

from course.assess.parcel import MISSING, Parcel
from course.talk.prompts import variations
from course.talk.wording import plain_caption
from helpers import clip, redraw
from helpers.assessment import clip_fit, provenance_criteria
from helpers.originals import SCENES
from helpers.picturebook import COLOURS, KINDS, STYLES, Scene, draw, random_scene, read_caption
from helpers.picturebook.facts import facts
from helpers.picturebook.synonyms import PLACE_WORDS, listed_words
from helpers.submission import Provenance, Record, attach, pixels_sha256

CHECKPOINT = ("diffusion", "sha256:0123456789abcdef")
WORDS = (*KINDS, *COLOURS, *PLACE_WORDS, *STYLES)

#: What the stand-in for CLIP sees in a picture, by the hash of its pixels.
SHOWN: dict[str, str] = {}


def showing(image: Image.Image, text: str) -> Image.Image:
    """The picture, in which the stand-in for CLIP now sees what the text says."""
    SHOWN[pixels_sha256(image)] = text
    return image


def png(image: Image.Image) -> bytes:
    """The picture's file, with the provenance that is attached to it."""
    from PIL.PngImagePlugin import PngInfo

    from helpers.submission import CHUNK

    chunks = PngInfo()
    if CHUNK in image.info:
        chunks.add_text(CHUNK, image.info[CHUNK])
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def painted(prompt: str, seed: int) -> Image.Image:
    """What "the model" draws in these tests: the scene of the prompt, with the seed as its layout.

    Of a prompt that is no caption it draws something, in which CLIP sees the prompt.
    """
    return _painted(prompt, seed).copy()


@cache
def _painted(prompt: str, seed: int) -> Image.Image:
    scene = read_caption(prompt) or random_scene(Random(prompt))
    return showing(draw(replace(scene, layout=seed), size=128), prompt)


def redrawn(wanted):
    """In the place of `helpers.redraw.redraw`; with an adapter another picture comes out."""
    return [painted(each.prompt, each.seed + 1000 * bool(each.adapter)) for each in wanted]


def as_vector(text: str) -> np.ndarray:
    """A unit vector of what a text names."""
    named = facts(listed_words(text))
    vector = np.full(len(WORDS), 0.01, np.float32)
    for thing in named.things:
        vector[WORDS.index(thing.kind)] += 1.0
        vector[WORDS.index(thing.colour if thing.colour in COLOURS else "white")] += 0.5
    for word in named.places & set(WORDS) | named.styles & set(WORDS):
        vector[WORDS.index(word)] += 0.5
    return vector / np.linalg.norm(vector)


@contextmanager
def stand_ins() -> Iterator[None]:
    """In the place of the models: a CLIP that knows what pictures show, and one that draws scenes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "embed_texts", lambda texts: np.stack([as_vector(text) for text in texts]))
        patch.setattr(
            clip,
            "embed_images",
            lambda images: np.stack([as_vector(SHOWN.get(pixels_sha256(image), "an inkblot")) for image in images]),
        )
        patch.setattr(redraw, "redraw", redrawn)
        patch.setattr(provenance_criteria, "checkpoint_here", lambda: CHECKPOINT)
        clip_fit._rivals.cache_clear()
        yield
        clip_fit._rivals.cache_clear()


def papers(image, prompt, seed, **changes) -> Provenance:
    facts = {"prompt": prompt, "seed": seed, "steps": 25, "guidance_scale": 4.0, "sha256": pixels_sha256(image)}
    return Provenance(**{**facts, "model": CHECKPOINT[0], "revision": CHECKPOINT[1], **changes})


@dataclass
class HandIn:
    """Records as dicts, and the pictures' files, both to be changed at will."""

    records: list[dict] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, scene: Scene, description: str, prompts: list[str]) -> None:
        """A record of prompts, and what is drawn from them."""
        record = {"original_description": description, "prompts": prompts, "source_image": f"{name}.png"}
        self.files[f"{name}.png"] = png(showing(draw(scene, size=128), plain_caption(scene)))
        self.records.append({**record, "image_paths": [], "provenance": []})
        for k, prompt in enumerate(prompts):
            self.paint(len(self.records) - 1, k, prompt, seed=k)

    def paint(self, i: int, k: int, prompt: str, seed: int, image: Image.Image | None = None, **changes) -> None:
        """Puts what is drawn from a prompt (or ``image``) in the place of record i's picture k, with its papers."""
        record = self.records[i]
        image = image or painted(prompt, seed)
        said = papers(image, prompt, seed, **changes)
        path = f"generated_images/{i}_{k}.png"
        self.files[path] = png(attach(image, said))
        for key, value in (("image_paths", path), ("provenance", said.model_dump())):
            record[key][k : k + 1] = [value]

    def parcel(self, **names: str) -> Parcel:
        records = [Record(**record) for record in self.records]
        paths = {path for record in records for path in (record.source_image, *record.image_paths) if path}
        problems = {path: MISSING for path in paths - set(self.files)}
        return Parcel(records, files=dict(self.files), problems=problems, **names)


def good() -> HandIn:
    """Four records of four, in which nothing is wrong."""
    made, rng = HandIn(), Random(2)
    for name, scene in SCENES.items():
        description = f"The picture shows {plain_caption(scene)}."
        made.add(name.removesuffix(".png"), scene, description, variations(scene, 4, rng))
    return made


_good = good()


def another() -> HandIn:
    """A copy of the good one."""
    return copy.deepcopy(_good)
