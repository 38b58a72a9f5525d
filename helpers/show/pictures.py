"""Several pictures at once: side by side, in a table, or one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING
from uuid import uuid4

from helpers.show.html import check_same_number, display_html, picture_html

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["compare", "gallery", "grid", "scrubber"]


def gallery(
    images: Sequence[Image.Image],
    captions: Sequence[str],
    *,
    alt: Sequence[str] | None = None,
    width: int = 160,
) -> None:
    """Show pictures in a row that wraps, each with a caption; `alt` says more if the captions are short."""
    alt = captions if alt is None else alt
    check_same_number(images, captions, "captions")
    check_same_number(images, alt, "alt")
    figures = "".join(
        f'<figure style="margin:0;width:{width}px">{picture_html(image, words, width=width)}'
        f'<figcaption style="font-size:85%;text-align:center">{escape(caption)}</figcaption></figure>'
        for image, caption, words in zip(images, captions, alt, strict=True)
    )
    display_html(f'<div style="display:flex;flex-wrap:wrap;gap:10px">{figures}</div>')


def compare(yours: Image.Image, expected: Image.Image, *, alt: str, width: int = 200) -> None:
    """Show a picture of yours beside the expected one; `alt` names what both should show."""
    alts = [f"yours: {alt}", f"expected: {alt}"]
    gallery([yours, expected], ["yours", "expected"], alt=alts, width=width)


def grid(
    images: Sequence[Sequence[Image.Image]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    alt: str,
    width: int = 110,
) -> None:
    """Show rows of pictures as a table with a label for each row and column; `alt` names what they all show."""
    check_same_number(images, row_labels, "row_labels")
    head = "".join(f'<th scope="col" style="text-align:center">{escape(label)}</th>' for label in column_labels)
    body = ""
    for row, label in zip(images, row_labels, strict=True):
        check_same_number(row, column_labels, "column_labels")
        cells = "".join(
            f'<td style="padding:3px">{picture_html(image, f"{alt}; {label}, {column}", width=width)}</td>'
            for image, column in zip(row, column_labels, strict=True)
        )
        body += f'<tr><th scope="row" style="text-align:right">{escape(label)}</th>{cells}</tr>'
    display_html(f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>")


def scrubber(images: Sequence[Image.Image], captions: Sequence[str], *, alt: str, width: int = 280) -> None:
    """Show pictures one at a time, chosen with a slider (mouse or arrow keys); starts at the last one."""
    display_html(_scrubber_html(images, captions, alt, width))


def _scrubber_html(images: Sequence[Image.Image], captions: Sequence[str], alt: str, width: int) -> str:
    """Return the HTML of the pictures, the slider and its script.

    All pictures are in the page; the script hides all but one, so without scripts they form a film strip. JupyterLab
    listens for keys on the document and would take the arrow keys for itself; so the script listens on the window,
    which gets each key first, and stops those that are meant for the slider.
    """
    check_same_number(images, captions, "captions")
    if not images:
        raise ValueError("a scrubber needs at least one picture")
    name, last = f"scrubber-{uuid4().hex}", len(images) - 1
    frames = "".join(
        f'<figure class="frame" style="margin:0">{picture_html(image, f"{alt}; {caption}", width=width, kind="jpeg")}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for image, caption in zip(images, captions, strict=True)
    )
    return f"""<div id="{name}"><div style="display:flex;flex-wrap:wrap;gap:10px">{frames}</div></div>
<script>(() => {{
  const box = document.getElementById("{name}"), frames = box.querySelectorAll(".frame");
  const slider = Object.assign(document.createElement("input"), {{type: "range", min: 0, max: {last}, value: {last}}});
  slider.setAttribute("aria-label", "step");
  slider.style.width = "{width}px";
  const choose = () => frames.forEach((frame, i) => frame.style.display = i == slider.value ? "block" : "none");
  slider.addEventListener("input", choose);
  const mine = event => event.target === slider && event.stopPropagation();
  addEventListener("keydown", mine, true);
  box.append(slider);
  choose();
}})();</script>"""
