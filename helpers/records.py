"""One run of a picture pipeline on one page: the texts on the left, the picture and its scores on the right."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from helpers import show

__all__ = ["show_record"]


def show_record(record: Mapping[str, Any]) -> None:
    """Show a record in one figure.

    Args:
        record: its keys are "keywords" (a list or a string), "text", "prompt", "image" (the chosen picture), "score"
            (that picture's), "scores" (of all pictures, in the order of their seeds) and optionally "second_score"
            (another judge's score of the chosen picture).
    """
    show.display_html(_record_html(record))


def _record_html(record: Mapping[str, Any]) -> str:
    keywords = record["keywords"]
    keywords = keywords if isinstance(keywords, str) else ", ".join(keywords)
    texts = "".join(
        f'<p style="margin:0 0 10px 0"><strong>{name}</strong><br>{escape(text)}</p>'
        for name, text in (("keywords", keywords), ("text", record["text"]), ("image prompt", record["prompt"]))
    )
    picture = show.picture_html(record["image"], f"the picture that was drawn for: {record['prompt']}", width=256)
    scores = " · ".join(_score(score, score == record["score"]) for score in record["scores"])
    words = f"score of {'the' if len(record['scores']) == 1 else 'each'} picture: {scores}"
    if "second_score" in record:
        words += f"<br>the second judge gives the chosen one {record['second_score']:.3f}"
    return (
        '<figure style="margin:0;display:flex;flex-wrap:wrap;gap:20px;align-items:flex-start">'
        f'<div style="width:360px;max-width:100%">{texts}</div>'
        f'<div>{picture}<figcaption style="font-size:85%">{words}</figcaption></div></figure>'
    )


def _score(score: float, chosen: bool) -> str:
    return f"<strong>{score:.3f}</strong>" if chosen else f"{score:.3f}"
