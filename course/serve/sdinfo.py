"""What the web UI's API returns about a job: its progress, the response, its `info`, and the text in each PNG."""

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

from helpers import __version__, models

if TYPE_CHECKING:
    from course.serve.painter import ImageJob
    from course.serve.sdapi import Txt2Img
    from helpers.models import Entry

__all__ = ["finished", "progress", "read_infotext", "short_hash"]

#: The most characters read of a PNG's text, and a setting in its last line.
MAX_INFOTEXT = 50_000
FACT = re.compile(r'(\w[\w \-/]{0,40}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,\s*|$)')


def finished(body: Txt2Img, job: ImageJob, pictures: Sequence[Image.Image]) -> dict:
    """Return the response to `POST /txt2img` and `POST /img2img`; an interrupted job has fewer pictures."""
    entry = models.entry("diffusion")
    texts = [_infotext(body.prompt, job, seed, entry) for seed in job.seeds[: len(pictures)]]
    return {
        "images": [_png(*pair) for pair in zip(pictures, texts, strict=True)] if body.send_images else [],
        "parameters": body.parameters() | _used(job),
        "info": json.dumps(_info(body.prompt, job, texts, entry)),
    }


def short_hash(entry: Entry) -> str | None:
    """Return the first digits of a checkpoint's revision; None for a mini model, which has none."""
    return entry.revision[:10] or None


def _used(job: ImageJob) -> dict[str, Any]:
    """Return the values used for the optional fields."""
    names = ("width", "height", "steps", "cfg_scale")
    sampler = {"sampler_name": job.sampler, "scheduler": job.schedule}
    return {name: getattr(job, name) for name in names} | sampler


def _strength(job: ImageJob) -> float | None:
    return job.strength if job.picture else None


def _lora_facts(job: ImageJob) -> dict[str, str]:
    """Return the adapters' hashes and weights, under the web UI's name and one of our own; empty without adapters."""
    if not job.loras:
        return {}
    return {
        "Lora hashes": ", ".join(f"{name}: {job.lora_hashes[name]}" for name in job.loras),
        "Lora weights": ", ".join(f"{name}: {weight:g}" for name, weight in job.loras.items()),
    }


def _infotext(prompt: str, job: ImageJob, seed: int, entry: Entry) -> str:
    """Return the settings of the picture with this seed, as the web UI writes and reads them in a PNG."""
    facts = {
        "Steps": job.steps,
        "Sampler": job.sampler,
        "Schedule type": None if job.schedule == "Automatic" else job.schedule,
        "CFG scale": f"{job.cfg_scale:g}",
        "Seed": seed,
        "Size": f"{job.width}x{job.height}",
        "Model hash": short_hash(entry),
        "Model": entry.id,
        "Denoising strength": _strength(job),
        **{name: f'"{fact}"' for name, fact in _lora_facts(job).items()},
        "Version": f"picture-this {__version__}",
    }
    last = ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    negative = f"\nNegative prompt: {job.negative_prompt}" if job.negative_prompt else ""
    return f"{prompt}{negative}\n{last}".strip()


def _info(prompt: str, job: ImageJob, texts: list[str], entry: Entry) -> dict[str, Any]:
    """Return the web UI's `info`; fields for unsupported features have its defaults."""
    count, first = len(texts), job.seeds[0]
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * count,
        "negative_prompt": job.negative_prompt,
        "all_negative_prompts": [job.negative_prompt] * count,
        "seed": first,
        "all_seeds": job.seeds[:count],
        "subseed": first,
        "all_subseeds": job.seeds[:count],
        "subseed_strength": 0,
        "width": job.width,
        "height": job.height,
        "sampler_name": job.sampler,
        "cfg_scale": job.cfg_scale,
        "steps": job.steps,
        "batch_size": job.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": entry.id,
        "sd_model_hash": short_hash(entry),
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": _strength(job),
        "extra_generation_params": _lora_facts(job),
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "version": f"picture-this {__version__}",
        "comments": job.comments,  # the web UI shows its own beside the pictures
    }


def _png(picture: Image.Image, parameters: str | None = None) -> str:
    """Return the picture as a base64 PNG, with `parameters` in the text chunk of that name."""
    chunks = PngInfo()
    if parameters is not None:
        chunks.add_text("parameters", parameters)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=chunks)
    return base64.b64encode(file.getvalue()).decode()


def read_infotext(text: str) -> dict[str, str]:
    """Parse the settings in a PNG's text, as written by `_infotext` or the web UI."""
    head, _, last = text[:MAX_INFOTEXT].strip().rpartition("\n")
    prompt, _, negative = f"\n{head}".partition("\nNegative prompt: ")
    facts = {name: fact.strip('"') for name, fact in FACT.findall(last)}
    return {"Prompt": prompt.strip(), "Negative prompt": negative, **facts} if "Steps" in facts else {"Prompt": text}


def progress(job: ImageJob | None, picture: Image.Image | None) -> dict:
    """Return the progress of the running job; all zeros if there is none. `eta_relative` is in seconds."""
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
    if job:
        done = job.progress
        elapsed = time.monotonic() - job.started
        eta = elapsed / done - elapsed if done else 0.0
        state |= {"job": "img2img" if job.picture else "txt2img", "interrupted": job.interrupted}
        state |= {"job_count": job.batches, "job_no": job.batch}
        state |= {"sampling_step": job.step, "sampling_steps": job.steps_planned or job.steps}
    return {
        "progress": done,
        "eta_relative": eta,
        "state": state,
        "current_image": _png(picture) if picture else None,
        "textinfo": None,
    }
