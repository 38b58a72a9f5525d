"""Training data: picture-book scenes drawn once, kept on disk, read as arrays.

Drawing 64,000 pictures takes minutes, reading them none: a data set is drawn by worker processes into one
memory-mapped array beside the list of its scenes, and used by every training after that.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from helpers.picturebook import Scene, Thing, draw, random_scene

if TYPE_CHECKING:
    import torch

CHUNK = 250


@dataclass(frozen=True)
class Pictures:
    """`pixels`: uint8 (n, size, size, 3), memory-mapped; `scenes`: the n scenes they show."""

    pixels: np.ndarray
    scenes: list[Scene]

    def __len__(self) -> int:
        return len(self.scenes)


def to_pixels(batch: np.ndarray) -> torch.Tensor:
    """uint8 (n, h, w, 3) → float32 (n, 3, h, w) in -1 … 1."""
    import torch

    return torch.from_numpy(batch).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def scene_to_json(scene: Scene) -> str:
    """One line of JSON with all of the scene, its layout included."""
    return json.dumps(asdict(scene))


def scene_from_json(text: str) -> Scene:
    """The inverse of `scene_to_json`."""
    record = json.loads(text)
    record["things"] = tuple(Thing(**thing) for thing in record["things"])
    return Scene(**record)


def fresh_scenes(n: int, seed: int, *, things: int | None = None) -> list[Scene]:
    """n scenes, each from a generator of its own, so that a data set of any size begins with the same scenes."""
    return [random_scene(np.random.default_rng((seed, i)), things=things) for i in range(n)]


def _draw_chunk(task: tuple[int, int, int, int]) -> tuple[int, np.ndarray, list[str]]:
    start, stop, seed, size = task
    scenes = [random_scene(np.random.default_rng((seed, i))) for i in range(start, stop)]
    pixels = np.stack([np.asarray(draw(scene, size)) for scene in scenes])
    return start, pixels, [scene_to_json(scene) for scene in scenes]


def pictures(n: int, seed: int, folder: Path, *, size: int = 128) -> Pictures:
    """The data set of n scenes of this seed, drawn by all cores where it is not yet in `folder`."""
    name = f"scenes-{size}px-{n}-seed{seed}"
    pixel_file, scene_file = folder / f"{name}.npy", folder / f"{name}.jsonl"
    if not scene_file.exists():  # written last: a data set with its scene list is complete
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.lib.format.open_memmap(pixel_file, mode="w+", dtype=np.uint8, shape=(n, size, size, 3))
        lines = [""] * n
        tasks = [(start, min(start + CHUNK, n), seed, size) for start in range(0, n, CHUNK)]
        with get_context("spawn").Pool(os.cpu_count()) as pool, tqdm(total=n, desc="drawing scenes") as bar:
            for start, drawn, texts in pool.imap_unordered(_draw_chunk, tasks):
                pixels[start : start + len(drawn)] = drawn
                lines[start : start + len(drawn)] = texts
                bar.update(len(drawn))
        pixels.flush()
        fresh = scene_file.with_suffix(".new")
        fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
        fresh.replace(scene_file)
    scenes = [scene_from_json(line) for line in scene_file.read_text(encoding="utf-8").splitlines()]
    return Pictures(np.load(pixel_file, mmap_mode="r"), scenes)
