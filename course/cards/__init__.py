"""Model cards: `models/<model>/README.md`, made from the records of training and evaluation.

The text is in the templates beside this file; every figure in a card comes from a `training.json` (written by
`course train`) or a `scores.json` (written by `course evaluate MODEL --save`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from course.evaluate.gallery import draw_gallery
from course.labels import FOOT
from course.train import FOLDERS, MODELS, ROOT
from helpers.picturebook import COLOURS, KINDS, PLACES, STYLES
from helpers.settings import settings


@dataclass(frozen=True)
class Bar:
    """What a score should reach: a minimum, a maximum, or both."""

    least: float | None = None
    most: float | None = None

    def reached(self, score: float) -> bool:
        """Whether the score reaches it; NaN does not."""
        return (self.least is None or score >= self.least) and (self.most is None or score <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"≥ {self.least}"
        return f"≤ {self.most}" if self.least is None else f"{self.least} … {self.most}"


def _least(**scores: float) -> dict[str, Bar]:
    return {name: Bar(least=value) for name, value in scores.items()}


BARS: dict[str, dict[str, Bar]] = {
    "vae": {"l1": Bar(most=0.015), "edge_ratio": Bar(0.9, 1.1), **_least(judge=0.99)},
    "clip": _least(kind=0.99, colour=0.99, retrieval_r1=0.98, prompt_r1=0.95),
    "diffusion": _least(kind_and_colour=0.99, place=0.995, two_things=0.96),
    "judge": _least(kind_and_colour=0.995, place=0.995, two_things=0.995, number=0.995),
    "vqa": _least(accuracy=0.975),
    "blip2": _least(caption=0.99, caption_of_two=0.9, vqa=0.96, follow_up=0.94),
    "chat": _least(
        description=0.98,
        description_of_two=0.9,
        vqa=0.94,
        count=0.97,
        json_valid=0.99,
        json_old_wording=0.99,
        prompts_distinct=0.98,
        tool_calls=0.97,
        refusal=0.98,
        answers_kept=1.0,
    ),
}
"""What each score should reach; where a score is a dict, each number in it."""

FEW_STEP_LOSS = 0.02
"""How much lower a score may be with the few-step adapter than without it."""

PARTS = {"vae": "diffusion"}
"""Parts that are evaluated separately, and the model whose card includes them."""

TRAININGS = {"diffusion": ("text", "vae", "unet", "few_step")}
"""The training runs in a model's card, where they are not just the one with its name."""


def few_step_bars(scores: Mapping) -> dict[str, Bar]:
    """Return the bars of the few-step adapter: `FEW_STEP_LOSS` below the scores without it."""
    return {name: Bar(least=round(scores[name] - FEW_STEP_LOSS, 4)) for name in BARS["diffusion"] if name in scores}


def score_rows(scores: Mapping, bars: Mapping[str, Bar]) -> list[tuple[str, float, str]]:
    """Return name, value and bar of each score; each entry of a dict gets its own row, such as "edge_ratio, neon"."""
    rows = []
    for name, value in scores.items():
        bar = str(bars.get(name, ""))
        if isinstance(value, Mapping):
            rows += [(f"{name}, {key}", inner, bar or below) for key, inner, below in score_rows(value, {})]
        else:
            rows.append((name, value, bar))
    return rows


def save_scores(model: str, scores: dict, models: Path | None = None) -> None:
    """Save the scores beside the model and rewrite its card; for the course's own diffusion model, also the gallery.

    The VAE's scores are saved in its own folder and appear in the diffusion model's card.

    Args:
        model: a key of `course.evaluate.EVALUATIONS`.
        scores: what `evaluate` returned.
        models: the folder of all models; if None, that of the settings, which `evaluate` measures.
    """
    models = settings.models_dir if models is None else models
    text = json.dumps(scores, indent=2) + "\n"
    (models / FOLDERS.get(model, model) / "scores.json").write_text(text, encoding="utf-8")
    if model == "diffusion" and models.resolve() == MODELS.resolve():
        draw_gallery(ROOT / "docs" / "img" / "gallery.png")
    write_card(PARTS.get(model, model), models)


def write_card(model: str, models: Path = MODELS) -> None:
    """Write the model's README.md; without scores, the card says that there are none yet."""
    trainings = {}
    for name in TRAININGS.get(model, (model,)):
        folder = models / FOLDERS[name]
        if record := _read(folder / "training.json"):
            trainings[name] = record | {"curve": (folder / "loss.png").relative_to(models / model).as_posix()}
    config = _read(models / model / "config.json")
    scores = _read(models / model / "scores.json")
    few_step = scores.pop("few_step", {})
    templates = Environment(
        loader=PackageLoader("course", "cards"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = templates.get_template(f"{model}.md.j2").render(
        scores=scores,
        bars=BARS[model],
        few_step=few_step,
        few_step_bars=few_step_bars(scores),
        of_parts={part: _read(models / FOLDERS[part] / "scores.json") for part, of in PARTS.items() if of == model},
        bars_of=BARS,
        score_rows=score_rows,
        trainings=trainings,
        kinds=KINDS,
        colours=COLOURS,
        places=PLACES,
        styles=STYLES,
        answers=list(config.get("id2label", {}).values()),
        below=config.get("foot", FOOT),
    )
    (models / model / "README.md").write_text(text, encoding="utf-8")


def _read(file: Path) -> dict:
    """Return the content of a JSON file; an empty dict where there is no file."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
