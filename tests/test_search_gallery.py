"""The search box with its gallery, driven as a browser drives it: by the messages that it sends for text and clicks."""

import re
from html import unescape

import pandas as pd
import pytest
from PIL import Image

from helpers import widgets
from helpers.errors import PlainError
from helpers.search_gallery import SearchGallery, picture_of

CAT, BOAT = "a large red cat, on a meadow", "a small blue boat, at sea"


def message(method, **data):
    """A message of the widget protocol, as the kernel gets it from the browser."""
    return {"content": {"data": {"method": method, **data}}, "buffers": []}


def enter(box, text):
    """Enter is pressed with this text in the field, or the field is left: the browser tells the text."""
    box.field._handle_msg(message("update", state={"value": text}, buffer_paths=[]))


def click(button):
    button._handle_msg(message("custom", content={"event": "click"}))


def table(*rows):
    return pd.DataFrame(rows, columns=["prompt", "url", "dist"])


def html(box):
    """The HTML of each result."""
    return [card.children[0].value for card in box.results.children]


def said(box):
    return unescape(re.sub(r"<[^>]*>", "", box.status.value))


def alts(page):
    return [unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page)]


class Searches:
    """Finds the cat for texts and the boat for pictures, and keeps what it was asked."""

    def __init__(self):
        self.texts, self.pictures = [], []

    def by_text(self, query):
        self.texts.append(query)
        return table((CAT, "http://127.0.0.1:8765/pictures/1.png", 0.25))

    def by_image(self, image):
        self.pictures.append(image)
        return table((BOAT, "http://127.0.0.1:8765/pictures/2.png", 0.5))


def test_a_typed_text_is_searched_for_and_its_pictures_have_alt_text():
    searches = Searches()
    box = SearchGallery(searches.by_text)
    assert searches.texts == [] and box.results.children == ()
    enter(box, "  a cat ")
    assert searches.texts == ["a cat"]
    (page,) = html(box)
    assert alts(page) == [CAT] and "data:image/png;base64," in page and "distance 0.250" in page
    assert said(box) == "1 found for “a cat”, nearest first."
    assert 'role="status"' in box.status.value


def test_the_button_searches_again_for_the_same_text():
    searches = Searches()
    box = SearchGallery(searches.by_text, query="a cat")
    assert searches.texts == ["a cat"], "the query of the start is searched for at once"
    click(box.button)
    assert searches.texts == ["a cat", "a cat"] and not box.button.disabled


def test_an_emptied_field_empties_the_gallery():
    searches = Searches()
    box = SearchGallery(searches.by_text, query="a cat")
    enter(box, "   ")
    assert box.results.children == () and said(box) == "" and searches.texts == ["a cat"]


def test_more_like_this_searches_with_the_picture_itself():
    searches = Searches()
    box = SearchGallery(searches.by_text, searches.by_image, query="a cat")
    click(box.results.children[0].children[-1])
    (picture,) = searches.pictures
    assert isinstance(picture, Image.Image) and picture.tobytes() == picture_of(CAT, "").tobytes()
    assert alts(html(box)[0]) == [BOAT]
    assert said(box) == f"1 found for the picture of “{CAT}”, nearest first."


def test_without_a_picture_search_there_is_no_such_button():
    box = SearchGallery(Searches().by_text, query="a cat")
    assert len(box.results.children[0].children) == 1


@pytest.mark.parametrize(
    "search, says",
    [
        (lambda query: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda query: None, "should return a DataFrame with the columns prompt, url, dist, but it returned NoneType"),
        (lambda query: table((CAT, "", 0.1))[["prompt"]], "but it returned the columns prompt; missing: url, dist."),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_the_box_goes_on(search, says):
    box = SearchGallery(Searches().by_text, query="a cat")
    box._search = search
    enter(box, "a dog")
    assert says in said(box) and 'role="alert"' in box.status.value
    assert box.results.children == () and not box.button.disabled


@pytest.mark.parametrize("nothing", [table(), pd.DataFrame()])
def test_nothing_found_is_said(nothing):
    box = SearchGallery(lambda query: nothing, query="a unicorn")
    assert said(box) == "Nothing found for “a unicorn”."


def test_texts_from_outside_cannot_become_html():
    evil = '<script>alert("1")</script>'
    box = SearchGallery(lambda query: table((evil, f'https://example.org/"><script>x</script>{evil}', 0.1)), query=evil)
    everything = box.status.value + html(box)[0]
    assert "<script" not in everything
    assert alts(html(box)[0]) == [evil], "the prompt is the picture's alt text"


def test_a_picture_on_the_web_is_left_to_the_browser():
    prompt = "trending on artstation, a dragon"
    box = SearchGallery(
        lambda query: table((prompt, "https://example.org/d.png", 0.1)), lambda image: table(), query="x"
    )
    (page,) = html(box)
    assert 'src="https://example.org/d.png"' in page and alts(page) == [prompt]
    assert len(box.results.children[0].children) == 1, "no button: the picture is not here to be searched with"


def test_a_stored_picture_is_shown_from_its_file_or_from_its_address(tmp_path):
    Image.new("RGB", (6, 4), "lime").save(tmp_path / "a b.png")
    for url in (
        (tmp_path / "a b.png").as_uri(),
        "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
    ):
        assert picture_of(CAT, url).width in (6, 1)


@pytest.mark.parametrize("url", ["file:///nowhere/at/all.png", "data:image/png;base64,AAAA", "", "ftp://x/y.png"])
def test_where_nobody_can_show_a_picture_its_prompt_is_there(url):
    box = SearchGallery(lambda query: table(("a dragon", url, 0.1)), query="x")
    (page,) = html(box)
    assert "no picture" in page and "a dragon" in page and "<img" not in page


def test_a_search_that_is_no_function_is_refused():
    with pytest.raises(PlainError, match="expects a function that takes a query and returns a DataFrame, but got str"):
        SearchGallery("search_by_text")


def test_students_find_it_among_the_widgets():
    assert widgets.SearchGallery is SearchGallery
