"""Submissions to judge: one in which all is well, made of drawn scenes, and what tests change in it."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass, field, replace
from random import Random

from PIL import Image

from course.assess.parcel import MISSING, Parcel
from course.talk.prompts import variations
from course.talk.wording import plain_caption
from helpers.originals import SCENES
from helpers.picturebook import Scene, draw, parse
from helpers.submission import Provenance, Record, attach, pixels_sha256

CHECKPOINT = ("diffusion", "sha256:0123456789abcdef")


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
    """What "the model" draws in these tests: the scene of the prompt, with the seed as its layout."""
    return draw(replace(parse(prompt), layout=seed), size=128)


def redrawn(wanted):
    """In the place of `helpers.redraw.redraw`."""
    return [painted(each.prompt, each.seed) for each in wanted]


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
        self.files[f"{name}.png"] = png(draw(scene, size=128))
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
