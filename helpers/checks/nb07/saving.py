"""`plot_imgs`: files that are named after the original, carry their provenance, and are never overwritten."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_raises, expect_type
from helpers.checks.fakes import fake_drawing, recorded_display, saved_picture, scratch_folder

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["plot_imgs"]

FOLDER = "generated_images"

plot_imgs = Exercise("plot_imgs")


@plot_imgs.given
def name(rng) -> str:
    """The name of an original, without its suffix."""
    return f"photo{rng.randrange(1000)}"


@plot_imgs.core(22)
def named_after_the_original(plot_imgs, rng, name) -> None:
    """files in output_dir that are named after the original, and their paths in the order of the pictures"""
    for original, grid, folder, n in (
        (f"{name}.png", (2, 2), FOLDER, 4),
        (f"photos/{name}.jpg", (2, 2), "some/where", 3),
        (f"../{name}.tiff", (2, 3), "x/y z", 6),
    ):
        images = _drawings(rng, n)
        with scratch_folder():
            paths = _saved(plot_imgs, images, *grid, original_image_name=original, output_dir=folder)
            _expect_paths(paths, [f"{folder}/{name}_{i}.png" for i in range(1, n + 1)], original)
            _expect_pixels(paths, images)


@plot_imgs.core(27)
def never_overwrites(plot_imgs, rng, name) -> None:
    """no file is ever overwritten, call after call"""
    with scratch_folder() as folder:
        _expect_new_files(plot_imgs, _drawings(rng, 4), f"{name}.png", folder)
        _expect_new_files(plot_imgs, _drawings(rng, 3), f"other/{name}.jpg", folder)
        files = sorted(file for file in folder.rglob("*.png"))
        files[rng.randrange(3)].unlink()  # a gap: the numbers after the next free one are taken
        _expect_new_files(plot_imgs, _drawings(rng, 4), f"{name}.png", folder)


@plot_imgs.core(21)
def provenance(plot_imgs, rng, name) -> None:
    """each file carries the provenance of its picture"""
    from helpers.submission import provenance_of

    images = _drawings(rng, 4)
    with scratch_folder():
        paths = _saved(plot_imgs, images, 2, 2, original_image_name=f"{name}.png", output_dir=FOLDER)
        expect(len(paths) == len(images), f"There should be {len(images)} paths, but there are {len(paths)}.")
        for path, image in zip(paths, images, strict=True):
            expect(Path(path).is_file(), f"There is no file {path}.")
            expect(
                provenance_of(path) == provenance_of(image),
                f"{path} has lost its picture's provenance: save it with save_with_provenance(image, path).",
            )


@plot_imgs.edge(4)
def next_free_number(plot_imgs, rng, name) -> None:
    """numbers from 1 upwards, without those already taken"""
    images = _drawings(rng, 4)
    with scratch_folder():
        for number in (2, 3, 5):
            saved_picture(fake_drawing(rng), f"{FOLDER}/{name}_{number}.png")
        paths = _saved(plot_imgs, images, 2, 2, original_image_name=f"{name}.png", output_dir=FOLDER)
        _expect_paths(paths, [f"{FOLDER}/{name}_{i}.png" for i in (1, 4, 6, 7)], f"{name}.png")


@plot_imgs.edge(3)
def dots_in_the_name(plot_imgs, rng, name) -> None:
    """only the last suffix of a name is removed"""
    with scratch_folder():
        original = f"../{name}.v2.png"
        paths = _saved(plot_imgs, _drawings(rng, 2), 2, 2, original_image_name=original, output_dir=FOLDER)
        _expect_paths(paths, [f"{FOLDER}/{name}.v2_{i}.png" for i in (1, 2)], original)


@plot_imgs.edge(3)
def default_arguments(plot_imgs, rng) -> None:
    """by default: generated_images/image_1.png, …"""
    with scratch_folder():
        _expect_paths(_saved(plot_imgs, _drawings(rng, 2)), [f"{FOLDER}/image_{i}.png" for i in (1, 2)], "image.png")


@plot_imgs.edge(6)
def shown_pictures(plot_imgs, rng, name) -> None:
    """the pictures are shown"""
    with scratch_folder(), recorded_display() as shown:
        plot_imgs(_drawings(rng, 4), 2, 2, original_image_name=f"{name}.png")
    expect(bool(shown), "plot_imgs shows nothing. Make a grid with plt.subplots and show.plot(figure, alt=…).")


@plot_imgs.edge(4)
def small_grids(plot_imgs, rng, name) -> None:
    """a single picture in a grid of one, and a row of two"""
    for grid in ((1, 1), (1, 2)):
        images = _drawings(rng, grid[1])
        with scratch_folder():
            paths = _saved(plot_imgs, images, *grid, original_image_name=f"{name}.png")
            _expect_pixels(paths, images)


@plot_imgs.edge(6)
def too_many(plot_imgs, rng, name) -> None:
    """a ValueError for more pictures than fit into the grid"""
    for grid in ((2, 2), (1, 3)):
        images = _drawings(rng, grid[0] * grid[1] + 1)
        with scratch_folder():
            expect_raises(
                lambda images=images, grid=grid: _saved(plot_imgs, images, *grid, original_image_name=f"{name}.png"),
                ValueError,
                f"{len(images)} pictures and a grid of {grid[0]}×{grid[1]}",
            )


@plot_imgs.edge(4)
def too_many_before_saving(plot_imgs, rng, name) -> None:
    """nothing is saved if there are too many"""
    with scratch_folder() as folder:
        with contextlib.suppress(ValueError):
            _saved(plot_imgs, _drawings(rng, 5), 2, 2, original_image_name=f"{name}.png")
        files = sorted(file.name for file in folder.rglob("*.png"))
    expect(
        not files, f"5 pictures don't fit into 2×2, but plot_imgs saved {', '.join(files)}. Check their number first."
    )


def _drawings(rng: Random, n: int) -> list[Image.Image]:
    return [fake_drawing(rng, f"prompt {i}") for i in range(n)]


def _saved(plot_imgs, images: list[Image.Image], *grid: int, **options) -> list[str | Path]:
    """The paths that the function returns; raise `CheckFailed` unless they are a list of paths."""
    with recorded_display():
        paths = plot_imgs(images, *grid, **options)
    expect_type(paths, list, "What plot_imgs returns")
    for path in paths:
        expect(isinstance(path, (str, Path)), f"plot_imgs should return a list of paths, but it contains {path!r}.")
    return paths


def _expect_paths(paths: list[str | Path], right: Sequence[str], original: str) -> None:
    expect(
        [Path(path) for path in paths] == [Path(path) for path in right],
        f"For {len(right)} pictures made from {original!r}, the paths should be {right}, but plot_imgs returned "
        f"{[str(path) for path in paths]}.",
    )


def _expect_pixels(paths: Sequence[str | Path], images: Sequence[Image.Image]) -> None:
    """Raise `CheckFailed` unless each path names a PNG file with the pixels of its picture."""
    from PIL import Image

    expect(len(paths) == len(images), f"There should be {len(images)} paths, but there are {len(paths)}.")
    for path, image in zip(paths, images, strict=True):
        expect(Path(path).is_file(), f"There is no file {path}.")
        with Image.open(path) as found:
            expect(
                found.format == "PNG" and found.convert("RGB").tobytes() == image.convert("RGB").tobytes(),
                f"{path} is not a PNG file with the pixels of its picture.",
            )


def _expect_new_files(plot_imgs, images: list[Image.Image], original: str, folder: Path) -> None:
    """Raise `CheckFailed` unless the pictures are in new files, whatever their names, and the old files stay."""
    before = _fingerprints(folder)
    paths = _saved(plot_imgs, images, 2, 2, original_image_name=original)
    after = _fingerprints(folder)
    lost = [Path(file).name for file, content in before.items() if after.get(file) != content]
    expect(
        not lost,
        f"plot_imgs has overwritten {', '.join(lost)}, which was there before. Use the next free number.",
    )
    _expect_pixels(paths, images)


def _fingerprints(folder: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*.png"))}
