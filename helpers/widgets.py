"""Interactive widgets for JupyterLab and Colab; the flashcards work on exported pages, too."""

from __future__ import annotations

from html import escape
from pathlib import Path
from uuid import uuid4

from helpers import flashcards as _flashcards
from helpers.chatbot import Chatbot
from helpers.search_gallery import SearchGallery

__all__ = ["Chatbot", "SearchGallery", "flashcards"]


def flashcards(path: str | Path) -> None:
    """Show a deck's cards one by one: read the question, flip the card, then put it back or set it aside."""
    from IPython.display import HTML, display

    display(HTML(_flashcards_html(_flashcards.read(path))))


def _flashcards_html(deck: _flashcards.Deck) -> str:
    """Return the HTML. Cards are <details> elements, which work without scripts; the script shows one at a time."""
    name = f"flashcards-{uuid4().hex}"
    cards = "".join(
        f'<details style="border:1px solid #8888;border-radius:8px;padding:12px;margin:6px 0;max-width:42em">'
        f'<summary style="cursor:pointer"><div style="display:inline-block;vertical-align:top;max-width:95%">'
        f"{_flashcards.to_html(card.question)}</div></summary>"
        f"<hr>{_flashcards.to_html(card.answer)}</details>"
        for card in deck.cards
    )
    return f"""<div id="{name}" data-lm-suppress-shortcuts="true"><strong>{escape(deck.title)}</strong>{cards}</div>
<script>(() => {{
  const box = document.getElementById("{name}"), left = [...box.querySelectorAll("details")];
  const total = left.length, count = document.createElement("div");
  count.setAttribute("aria-live", "polite");
  const button = (label, action) => {{
    const it = document.createElement("button");
    it.textContent = label;
    it.style.margin = "4px 8px 4px 0";
    it.addEventListener("click", () => {{ action(); draw(); }});
    return it;
  }};
  const close = card => {{ card.open = false; return card; }};
  const flip = button("Flip", () => left[0].open = !left[0].open);
  const again = button("Again later", () => left.push(close(left.shift())));
  const known = button("I knew it", () => close(left.shift()).style.display = "none");
  const draw = () => {{
    left.forEach((card, i) => card.style.display = i ? "none" : "block");
    [flip, again, known].forEach(it => it.disabled = !left.length);
    count.textContent = left.length ? `${{total - left.length}} of ${{total}} cards known` : "All cards known. Well done!";
  }};
  box.append(flip, again, known, count);
  draw();
}})();</script>"""
