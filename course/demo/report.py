"""A page that shows a submission: each original with the pictures made from it, the scores, and the certificate.

The file is self-contained, pictures included, so it can be sent or moved, and opened offline.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from course.assess.certificate import read_token
from helpers.submission import Provenance, Record

__all__ = ["Drawn", "clip_scores", "render", "write_report"]

TEMPLATE = Path(__file__).with_name("report.html.j2")


class Drawn(NamedTuple):
    """A generated picture as the page shows it."""

    prompt: str
    src: str
    alt: str
    seed: int | None
    score: float


def write_report(records: Sequence[Record], assessment: dict[str, Any], folder: Path, path: Path) -> Path:
    """Write the page for records, whose paths are relative to `folder`, to `path`, and return `path`."""
    page = render(records, assessment, folder, clip_scores(records, folder))
    path.write_text(page, encoding="utf-8")
    return path


def clip_scores(records: Sequence[Record], folder: Path) -> list[list[float]]:
    """Return the CLIP similarity of each record's pictures with their own prompts, from -1 to 1."""
    from PIL import Image

    from helpers import clip

    scores = []
    for record in records:
        images = [Image.open(folder / path) for path in record.image_paths]
        scores.append([float(score) for score in clip.similarity(record.prompts, images).diagonal()])
    return scores


def render(
    records: Sequence[Record], assessment: dict[str, Any], folder: Path, scores: Sequence[Sequence[float]]
) -> str:
    """Render the page as HTML."""
    from jinja2 import Environment, StrictUndefined

    rows = []
    for record, of_record in zip(records, scores, strict=True):
        origins = record.provenance or [None] * len(record.image_paths)
        pictures = [
            Drawn(prompt, _inline(folder / path), f"drawn from the prompt: {prompt}", origin and origin.seed, score)
            for prompt, path, origin, score in zip(record.prompts, record.image_paths, origins, of_record, strict=True)
        ]
        source = _inline(folder / record.source_image) if record.source_image else None
        rows.append({"description": record.original_description, "source": source, "pictures": pictures})
    template = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    ).from_string(TEMPLATE.read_text(encoding="utf-8"))
    models = sorted({_model(p) for record in records for p in record.provenance or [] if p})
    certificate = assessment.get("certificate")
    claims = read_token(certificate["jwt"]) if certificate else None
    return template.render(rows=rows, assessment=assessment, certificate=certificate, claims=claims, models=models)


def _model(provenance: Provenance) -> str:
    """Describe what drew a picture: the model and, if there was one, the adapter."""
    model = f"{provenance.model} ({provenance.revision})"
    return f"{model} with {provenance.adapter.name} ({provenance.adapter.revision})" if provenance.adapter else model


def _inline(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
