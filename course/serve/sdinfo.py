"""What the web UI's API tells of a drawing: how far it is, the answer, its ``info``, and the words in each PNG."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from course.serve import loras
from helpers import __version__, models

if TYPE_CHECKING:
    from course.serve.painter import Drawing
    from course.serve.sdapi import Txt2Img
    from helpers.models import Entry

__all__ = ["finished", "progress", "read_infotext", "short_hash"]

#: The most characters of a PNG's words that are read, and one of the facts in its last line.
MAX_INFOTEXT = 50_000
FACT = re.compile(r'(\w[\w \-/]{0,40}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,\s*|$)')


def finished(asked: Txt2Img, drawing: Drawing, pictures: Sequence[Image.Image]) -> dict:
    """The answer to ``POST /txt2img`` and ``POST /img2img``; one that was interrupted has fewer pictures."""
    entry = models.entry("diffusion")
    texts = [_infotext(asked.prompt, drawing, seed, entry) for seed in drawing.seeds[: len(pictures)]]
    return {
        "images": [_png(*pair) for pair in zip(pictures, texts, strict=True)] if asked.send_images else [],
        "parameters": asked.parameters() | _settled(drawing),
        "info": json.dumps(_info(asked.prompt, drawing, texts, entry)),
    }


def short_hash(entry: Entry) -> str | None:
    """The first digits of a checkpoint's revision; None for a mini model, which has none."""
    return entry.revision[:10] or None


def _settled(drawing: Drawing) -> dict[str, Any]:
    """What was taken for the fields that may be left out."""
    names = ("width", "height", "steps", "cfg_scale")
    sampler = {"sampler_name": drawing.sampler, "scheduler": drawing.schedule}
    return {name: getattr(drawing, name) for name in names} | sampler


def _strength(drawing: Drawing) -> float | None:
    return drawing.strength if drawing.picture else None


def _lora_facts(drawing: Drawing) -> dict[str, str]:
    """Which adapter was added and how much of it, under the web UI's name and one of ours; empty without one."""
    if not drawing.lora:
        return {}
    (name,) = loras.LORAS
    return {
        "Lora hashes": f"{name}: {drawing.lora_revision.removeprefix('sha256:')[:12]}",
        "Lora weights": f"{name}: {drawing.lora:g}",
    }


def _infotext(prompt: str, drawing: Drawing, seed: int, entry: Entry) -> str:
    """How the picture with this seed was made, as the web UI writes it into a PNG (and reads it from there)."""
    facts = {
        "Steps": drawing.steps,
        "Sampler": drawing.sampler,
        "Schedule type": None if drawing.schedule == "Automatic" else drawing.schedule,
        "CFG scale": f"{drawing.cfg_scale:g}",
        "Seed": seed,
        "Size": f"{drawing.width}x{drawing.height}",
        "Model hash": short_hash(entry),
        "Model": entry.id,
        "Denoising strength": _strength(drawing),
        **{name: f'"{fact}"' for name, fact in _lora_facts(drawing).items()},
        "Version": f"picture-this {__version__}",
    }
    last = ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    negative = f"\nNegative prompt: {drawing.negative_prompt}" if drawing.negative_prompt else ""
    return f"{prompt}{negative}\n{last}".strip()


def _info(prompt: str, drawing: Drawing, texts: list[str], entry: Entry) -> dict[str, Any]:
    """What the web UI tells of its work, field by field; fields of things that are not done here hold its defaults."""
    count, first = len(texts), drawing.seeds[0]
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * count,
        "negative_prompt": drawing.negative_prompt,
        "all_negative_prompts": [drawing.negative_prompt] * count,
        "seed": first,
        "all_seeds": drawing.seeds[:count],
        "subseed": first,
        "all_subseeds": drawing.seeds[:count],
        "subseed_strength": 0,
        "width": drawing.width,
        "height": drawing.height,
        "sampler_name": drawing.sampler,
        "cfg_scale": drawing.cfg_scale,
        "steps": drawing.steps,
        "batch_size": drawing.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": entry.id,
        "sd_model_hash": short_hash(entry),
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": _strength(drawing),
        "extra_generation_params": _lora_facts(drawing),
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "version": f"picture-this {__version__}",
        "comments": drawing.comments,  # the web UI shows its own beside the pictures
    }


def _png(picture: Image.Image, parameters: str | None = None) -> str:
    """The picture as a PNG file in base64, with ``parameters`` in its text chunk of that name."""
    words = PngInfo()
    if parameters is not None:
        words.add_text("parameters", parameters)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=words)
    return base64.b64encode(file.getvalue()).decode()


def read_infotext(text: str) -> dict[str, str]:
    """The facts in a PNG's words, as `_infotext` or the web UI has written them."""
    head, _, last = text[:MAX_INFOTEXT].strip().rpartition("\n")
    prompt, _, negative = f"\n{head}".partition("\nNegative prompt: ")
    facts = {name: fact.strip('"') for name, fact in FACT.findall(last)}
    return {"Prompt": prompt.strip(), "Negative prompt": negative, **facts} if "Steps" in facts else {"Prompt": text}


def progress(drawing: Drawing | None, picture: Image.Image | None) -> dict:
    """How far the drawing in the making is; all zeros when there is none. ``eta_relative`` is in seconds."""
    state = {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }
    done = eta = 0.0
    if drawing:
        done = drawing.progress
        passed = time.monotonic() - drawing.started
        eta = passed / done - passed if done else 0.0
        state |= {"job": "img2img" if drawing.picture else "txt2img", "interrupted": drawing.interrupted}
        state |= {"job_count": drawing.batches, "job_no": drawing.batch}
        state |= {"sampling_step": drawing.step, "sampling_steps": drawing.steps_planned or drawing.steps}
    return {
        "progress": done,
        "eta_relative": eta,
        "state": state,
        "current_image": _png(picture) if picture else None,
        "textinfo": None,
    }
