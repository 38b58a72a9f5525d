"""The cards of every notebook: read, shown, exported with ids that never change."""

import sqlite3
import zipfile
from pathlib import Path

import pytest

from helpers import flashcards, widgets

pytestmark = pytest.mark.quick

SOLUTIONS = Path(__file__).parent.parent / "solutions"
TEXT = "# A deck\n\nQ: What is 1 < 2?\nA: True\n\nQ: Code?\nA:\n```python\nx = 1\n```\n"


@pytest.mark.parametrize("path", sorted(SOLUTIONS.glob("*_flashcards.md")), ids=lambda path: path.stem)
def test_the_course_s_decks_have_10_to_15_cards_some_with_code(path):
    deck = flashcards.read(path)
    assert 10 <= len(deck.cards) <= 15
    assert len({card.question for card in deck.cards}) == len(deck.cards)
    assert any("```python" in card.answer for card in deck.cards)


def test_a_deck_is_read_with_its_code():
    deck = flashcards.parse(TEXT)
    assert deck.title == "A deck"
    assert deck.cards[0] == ("What is 1 < 2?", "True")
    assert deck.cards[1].answer == "```python\nx = 1\n```"


@pytest.mark.parametrize(
    "text, says",
    [
        ("Q: a\nA: b", "starts with its title"),
        ("# T\n", "no cards"),
        ("# T\nQ: alone\n", r"card 1 \('alone'\)"),
        ("# T\nQ: a\nA: b\nQ: c\nA: d\nA: e", "card 2"),
    ],
)
def test_a_malformed_deck_is_refused_with_the_card_s_number(text, says):
    with pytest.raises(ValueError, match=says):
        flashcards.parse(text)


def test_cards_are_found_beside_the_notebook_and_else_in_the_course(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert flashcards.find("01_x") == flashcards.NOTEBOOKS / "01_x" / "flashcards.md"
    (tmp_path / "flashcards.md").write_text(TEXT)
    assert flashcards.read(flashcards.find("01_x")).title == "A deck"


def test_html_in_a_card_is_shown_and_not_run():
    assert "&lt;script&gt;" in flashcards.to_html("<script>alert(1)</script>")


def notes(package, folder):
    with zipfile.ZipFile(package) as archive:
        archive.extract("collection.anki2", folder)
    with sqlite3.connect(folder / "collection.anki2") as base:
        return base.execute("select guid, mid, flds from notes order by id").fetchall()


def test_the_anki_deck_keeps_its_ids_when_it_is_exported_again(tmp_path):
    deck = flashcards.parse(TEXT)
    first = notes(flashcards.export_anki(deck, tmp_path / "a.apkg"), tmp_path)
    mended = deck._replace(cards=[deck.cards[0]._replace(answer="Yes"), deck.cards[1]])
    second = notes(flashcards.export_anki(mended, tmp_path / "b.apkg"), tmp_path)
    assert [note[:2] for note in first] == [note[:2] for note in second]
    assert "1 &lt; 2" in first[0][2] and "Yes" in second[0][2]
    assert "<code" in first[1][2]


def test_the_widget_has_every_card_also_without_scripts():
    html = widgets._flashcards_html(flashcards.parse(TEXT))
    assert html.count("<details") == 2 and html.count("<summary") == 2
    assert "1 &lt; 2" in html.split("<script>")[0]
