"""Numbers and tokens as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from helpers.show.html import check_same_number, display_html, picture_html

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["bars", "matrix", "tokens"]


def matrix(
    values: Sequence[Sequence[float]],
    images: Sequence[Image.Image],
    texts: Sequence[str],
    *,
    alt: Sequence[str],
    width: int = 84,
) -> None:
    """Show a table of numbers, one row per text and one column per picture; the larger, the deeper its blue.

    The largest number of each column, the picture's best text, is bold. `alt` names the pictures.
    """
    check_same_number(images, alt, "alt")
    rows = [[float(value) for value in row] for row in values]
    if [len(row) for row in rows] != [len(images)] * len(texts):
        raise ValueError(
            f"matrix expects {len(texts)} rows, one for each text, of {len(images)} numbers, one for each picture"
        )
    least, most = min(map(min, rows)), max(map(max, rows))
    best = [max(column) for column in zip(*rows, strict=True)]

    def cell(value: float, largest: float) -> str:
        depth = 0.75 * (value - least) / (most - least) if most > least else 0
        weight = "bold" if value == largest else "normal"
        style = f"background:rgba(60,130,240,{depth:.2f});font-weight:{weight};text-align:center;padding:6px"
        return f'<td style="{style}">{value:.2f}</td>'

    head = "".join(
        f'<th scope="col" style="padding:3px">{picture_html(image, words, width=width)}</th>'
        for image, words in zip(images, alt, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row" style="text-align:right;font-weight:normal">{escape(text)}</th>'
        f"{''.join(map(cell, row, best))}</tr>"
        for text, row in zip(texts, rows, strict=True)
    )
    display_html(f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>")


def bars(scores: Mapping[str, float], title: str, *, right: str | None = None) -> None:
    """Show scores from 0 to 1 as labelled bars; the right answer, if there is one, gets a tick."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:right;font-weight:normal">{escape(label)}'
        f"{' ✓' if label == right else ''}</th>"
        f'<td style="width:260px;text-align:left;padding:3px"><div style="background:#3c82f0;height:0.9em;'
        f'width:{min(max(score, 0), 1):.1%}"></div></td><td>{score:.1%}</td></tr>'
        for label, score in scores.items()
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
    display_html(f"<table>{caption}<tbody>{rows}</tbody></table>")


def tokens(
    pieces: Sequence[str],
    ids: Sequence[int] | None = None,
    *,
    marked: Sequence[bool] | None = None,
    meaning: str = "",
) -> None:
    """Show the tokens of a text side by side, each in its own box, with its id below.

    Args:
        pieces: the tokens.
        ids: their ids, if they should be shown.
        marked: which tokens are blue.
        meaning: what blue means, for the line below.
    """
    numbers = [""] * len(pieces)
    if ids is not None:
        check_same_number(pieces, ids, "ids", of="tokens")
        numbers = [f'<div style="font-size:75%">{int(number)}</div>' for number in ids]
    marks, legend = [False] * len(pieces), ""
    if marked is not None:
        check_same_number(pieces, marked, "marked", of="tokens")
        marks = [bool(mark) for mark in marked]
        legend = f"<div>{sum(marks)} of {len(marks)} tokens are blue: {escape(meaning)}.</div>"

    def box(piece: str, number: str, mark: bool) -> str:
        colours = "background:#3c82f0;color:white" if mark else ""
        text = f'<code style="white-space:pre;background:none;color:inherit">{escape(piece)}</code>'
        style = f"border:1px solid #8888;border-radius:4px;padding:2px 5px;text-align:center;{colours}"
        title = f' title="{escape(meaning)}"' if mark else ""
        return f'<div role="listitem"{title} style="{style}">{text}{number}</div>'

    boxes = "".join(map(box, pieces, numbers, marks))
    row = f'<div role="list" aria-label="tokens" style="display:flex;flex-wrap:wrap;gap:3px">{boxes}</div>'
    display_html(row + legend)
