"""Flashcards: a text file of questions and answers, read into cards and exported as an Anki deck.

The file is plain, readable Markdown: a `# Title` line, then cards, each with a line that starts with `Q:` and a later
line that starts with `A:`. Both parts may have several lines and contain code.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Card", "Deck", "export_anki", "find", "read", "to_html"]

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


class Card(NamedTuple):
    """A question and its answer, both Markdown."""

    question: str
    answer: str


class Deck(NamedTuple):
    """A title and the cards under it."""

    title: str
    cards: list[Card]


def find(notebook: str) -> Path:
    """Find a notebook's card file: beside it, or (on Colab, which opens only the notebook) in the fetched course."""
    beside = Path("flashcards.md")
    return beside if beside.exists() else NOTEBOOKS / notebook / "flashcards.md"


def read(path: str | Path) -> Deck:
    """Read a deck from its text file.

    Raises:
        ValueError: there is no title or no card, or a card is not a question and an answer; the message names it.
    """
    return parse(Path(path).read_text(encoding="utf-8-sig"))


def parse(text: str) -> Deck:
    """Read a deck from text."""
    heading, *blocks = re.split(r"^Q:\s", text, flags=re.MULTILINE)
    title = re.search(r"^# (.+)", heading, flags=re.MULTILINE)
    if title is None:
        raise ValueError("a deck starts with its title, a line such as '# Diffusion basics', before the first 'Q:'")
    cards = []
    for number, block in enumerate(blocks, start=1):
        question, *answer = re.split(r"^A:\s", block, flags=re.MULTILINE)
        if len(answer) != 1 or not question.strip() or not answer[0].strip():
            raise ValueError(
                f"card {number} ('{question.strip()[:40]}') needs a question and exactly one "
                "answer, each on a line that starts with 'Q:' or 'A:'"
            )
        cards.append(Card(question.strip(), answer[0].strip()))
    if not cards:
        raise ValueError("the deck has no cards: a card is a line 'Q: …' and then a line 'A: …'")
    return Deck(title[1].strip(), cards)


def to_html(markdown: str) -> str:
    """Render Markdown as HTML; raw HTML in the text is shown as text, never run."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).render(markdown)


def export_anki(deck: Deck, path: str | Path) -> Path:
    """Write the deck as an Anki package.

    Ids are made from the title and the questions only, so importing a later export updates the cards and keeps your
    progress in Anki.
    """
    import genanki

    model = genanki.Model(
        _stable_id("model"),
        "Question and answer",
        fields=[{"name": "Question"}, {"name": "Answer"}],
        templates=[{"name": "Card", "qfmt": "{{Question}}", "afmt": "{{FrontSide}}<hr id=answer>{{Answer}}"}],
        css=".card { font: 18px sans-serif; text-align: left } pre { background: #f4f4f4; padding: 8px }",
    )
    package = genanki.Deck(_stable_id("deck", deck.title), deck.title)
    for card in deck.cards:
        package.add_note(
            genanki.Note(
                model,
                [to_html(card.question), to_html(card.answer)],
                guid=genanki.guid_for(deck.title, card.question),
            )
        )
    genanki.Package(package).write_to_file(path)
    return Path(path)


def _stable_id(*words: str) -> int:
    """Return a number that is the same for the same words in every run, in the range of Anki's ids."""
    digest = hashlib.sha256("\n".join(("picture this", *words)).encode()).digest()
    return int.from_bytes(digest[:4], "big") % (1 << 30) + (1 << 30)
