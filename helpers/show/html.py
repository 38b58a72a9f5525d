"""Pictures as HTML, each with alt text."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["check_same_number", "display_html", "img", "picture_html"]


def display_html(html: str) -> None:
    """Show HTML under the cell."""
    from IPython.display import HTML, display

    display(HTML(html))


def picture_html(image: Image.Image, alt: str, *, width: int = 160, kind: str = "png") -> str:
    """Return a picture as an <img> element that holds its data, to embed in your own HTML."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format=kind)
    return img(buffer.getvalue(), kind, alt, f"width:{width}px;max-width:100%;border-radius:6px;margin:0")


def img(data: bytes, kind: str, alt: str, style: str) -> str:
    """Return an <img> element that holds the bytes of a picture's file."""
    if not alt.strip():
        raise ValueError("every picture needs alt text: a few words that say what it shows")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img src="{source}" alt="{escape(alt)}" style="{style}">'


def check_same_number(items: Sequence, words: Sequence, what: str, of: str = "pictures") -> None:
    """Raise `ValueError` unless there is one of `words` for each of the items."""
    if isinstance(words, str) or len(items) != len(words):
        got = "one string" if isinstance(words, str) else f"{len(words)}"
        raise ValueError(f"expected one of {what} for each of the {len(items)} {of}, but got {got}")
