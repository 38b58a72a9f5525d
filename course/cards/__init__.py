"""Model cards: `models/<model>/README.md`, made from what the training and the evaluation wrote down.

The words are in the templates beside this file; every figure in a card comes from a `training.json` (written by
`course train`) or the `scores.json` (written by `course evaluate MODEL --save`).
"""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from course.evaluate.gallery import draw_gallery
from course.train import FOLDERS, MODELS, ROOT
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES

BARS = {
    "clip": {"kind": 0.98, "colour": 0.98, "place": 0.98, "retrieval_r1": 0.80},
    "diffusion": {"kind_and_colour": 0.95, "place": 0.95, "two_things": 0.75},
    "judge": {},
    "vqa": {"accuracy": 0.95},
    "blip2": {"caption": 0.95, "vqa": 0.90, "follow_up": 0.85},
    "chat": {"description": 0.95, "json_valid": 0.99, "prompts_distinct": 0.95},
}
"""What each score should reach (the course's design)."""

TRAININGS = {"diffusion": ("text", "vae", "decoder", "unet")}
"""The trainings that a model's card tells of, where it is not just the one of its own name."""


def save_scores(model: str, scores: dict, models: Path = MODELS) -> None:
    """Keeps the scores beside the model and writes its card anew; for the diffusion model also the gallery."""
    (models / model / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    if model == "diffusion":
        draw_gallery(ROOT / "docs" / "img" / "gallery.png")
    write_card(model, models)


def write_card(model: str, models: Path = MODELS) -> None:
    """Writes the model's README.md. Without scores the card says that there are none yet."""
    scores_file = models / model / "scores.json"
    scores = json.loads(scores_file.read_text(encoding="utf-8")) if scores_file.exists() else {}
    trainings = {}
    for name in TRAININGS.get(model, (model,)):
        folder = models / FOLDERS[name]
        if (folder / "training.json").exists():
            record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
            trainings[name] = record | {"curve": (folder / "loss.png").relative_to(models / model).as_posix()}
    templates = Environment(
        loader=PackageLoader("course", "cards"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = templates.get_template(f"{model}.md.j2").render(
        scores=scores,
        bars=BARS[model],
        trainings=trainings,
        kinds=KINDS,
        colours=COLOURS,
        places=PLACES,
        styles=STYLES,
        answers=_answers(models / model),
    )
    (models / model / "README.md").write_text(text, encoding="utf-8")


def _answers(folder: Path) -> list[str]:
    """The closed set of answers of a model that has one."""
    config = folder / "config.json"
    return list(json.loads(config.read_text(encoding="utf-8")).get("id2label", {}).values()) if config.exists() else []
