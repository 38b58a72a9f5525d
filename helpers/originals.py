"""The four source pictures of the assessment: well-known subjects of such courses, in the picture-book world."""

from __future__ import annotations

from pathlib import Path

from helpers.picturebook import Scene, Thing, draw

__all__ = ["SCENES", "draw_originals"]

#: What each file shows. The layout is fixed, so everybody starts from the same four pictures.
SCENES = {
    "cats_on_a_sofa.png": Scene(
        (Thing("cat", "orange", "small", 2), Thing("sofa", "blue")), place="room", relation="on", layout=10
    ),
    "astronaut_on_mars.png": Scene((Thing("astronaut", "white"),), place="mars", layout=7),
    "car_at_sunset.png": Scene((Thing("car", "red"),), place="road at sunset", layout=7),
    "tree_frog.png": Scene(
        (Thing("frog", "red", "small"), Thing("tree", "green")), place="meadow", relation="on", layout=7
    ),
}


def draw_originals(folder: str | Path, *, size: int = 128) -> list[Path]:
    """Draw the four pictures, `size` pixels wide and high, into a folder (made if missing), and return their paths.

    The pictures are always the same, so a second call changes nothing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        draw(scene, size=size).save(folder / name)
    return [folder / name for name in SCENES]
