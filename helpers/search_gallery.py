"""A search box with a gallery: type an idea, see the pictures behind the prompts that were found.

Plain ipywidgets, versions 7.7 (Colab) and 8, in JupyterLab and in Colab. Queries, prompts, addresses and errors are
escaped, so no text can become HTML of the page.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from helpers import show
from helpers.errors import PlainError, sentence
from helpers.pictures import open_untrusted

if TYPE_CHECKING:
    from ipywidgets import VBox
    from pandas import DataFrame
    from PIL import Image

__all__ = ["SearchGallery", "picture_of"]

COLUMNS = ("prompt", "url", "dist")
WIDTH = 150  # of a picture in the gallery, in pixels


def picture_of(prompt: str, url: str) -> Image.Image | None:
    """Return the picture behind a row of the prompt store; None if it is on the web, for a browser to fetch, or gone.

    Opens `file:` and `data:` URLs. Pictures of the local endpoint are drawn here, so it need not run.
    """
    from urllib.request import urlopen

    from helpers.picturebook import draw, parse

    if urlsplit(url).scheme in ("file", "data"):
        try:
            with urlopen(url) as file:
                return open_untrusted(file.read())
        except (OSError, ValueError):
            return None
    try:
        return draw(parse(prompt), size=128)
    except ValueError:
        return None  # not a prompt of the picture-book world


class SearchGallery:
    """A search box with a gallery, shown if it is the last line of a cell.

    Enter, leaving the field and the button "Search" start a search. An error becomes a sentence above the gallery.
    Programs can drive the widgets, too: `field`, `button`, `status`, `results` (whose children are the pictures, each
    with its button as the last child), `box`.

    Args:
        search: a function query → DataFrame with the columns prompt, url and dist, nearest first.
        search_by_image: a function picture → such a DataFrame. If given, each picture gets a button "More like this".
        query: the first search; none if it is empty.

    Raises:
        PlainError: `search` or `search_by_image` is not a function.
    """

    def __init__(
        self,
        search: Callable[[str], DataFrame],
        search_by_image: Callable[[Image.Image], DataFrame] | None = None,
        *,
        query: str = "",
    ):
        import ipywidgets as widgets

        for function in (search, search_by_image or search):
            if not callable(function):
                raise PlainError(
                    "SearchGallery expects a function that takes a query and returns a DataFrame, but got "
                    f"{type(function).__name__}. Write for example SearchGallery(lambda query: "
                    'search_by_text(client, "prompts", query, k=8)).'
                )
        self._search, self._search_by_image = search, search_by_image

        # The browser sends the field's text when Enter is pressed or the field is left, not at each key.
        self.field = widgets.Text(
            placeholder="Type an idea and press Enter",
            continuous_update=False,
            layout=widgets.Layout(flex="1 1 auto", width="auto"),
        )
        self.button = widgets.Button(description="Search", tooltip="Search for this text", button_style="primary")
        self.button.layout.width = "80px"
        self.status = widgets.HTML()
        self.results = widgets.Box(layout=widgets.Layout(flex_flow="row wrap"))
        row = widgets.HBox([self.field, self.button])
        self.box = widgets.VBox([row, self.status, self.results], layout=widgets.Layout(max_width="760px"))

        self.field.observe(lambda change: self._find(), "value")
        self.button.on_click(lambda _: self._find())
        self.field.value = query

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)

    def _find(self) -> None:
        """Search for the text in the field; an empty one clears the gallery."""
        query = self.field.value.strip()
        if not query:
            self._say("")
            self.results.children = ()
            return
        self._show(lambda: self._search(query), f"“{query}”")

    def _show(self, search: Callable[[], DataFrame], what: str) -> None:
        """Show the results of a search in the gallery. An error of the search is shown, and the box keeps working."""
        self.button.disabled = True
        self._say(f"Searching for {what} …")
        try:
            found = _checked(search())
            self.results.children = tuple(self._card(*row) for row in found.itertuples(index=False))
            text = f"{len(found)} found for {what}, nearest first" if len(found) else f"Nothing found for {what}"
            self._say(f"{text}.")
        except (Exception, KeyboardInterrupt) as error:
            self.results.children = ()
            self._say(sentence(error), error=True)
        finally:
            self.button.disabled = False

    def _card(self, prompt: str, url: str, dist: float) -> VBox:
        """Make the card of one picture: prompt, distance, and a button if pictures can be searched for."""
        import ipywidgets as widgets

        picture = picture_of(prompt, url)
        children = [widgets.HTML(_figure(prompt, url, dist, picture))]
        if self._search_by_image and picture is not None:
            more = widgets.Button(description="More like this", tooltip=f"Search with the picture of: {prompt}")
            more.layout.width = f"{WIDTH}px"
            more.on_click(lambda _: self._show(lambda: self._search_by_image(picture), f"the picture of “{prompt}”"))
            children.append(more)
        return widgets.VBox(children, layout=widgets.Layout(width=f"{WIDTH + 12}px", margin="0 6px 12px 0"))

    def _say(self, text: str, *, error: bool = False) -> None:
        """Show a line above the gallery, which screen readers read aloud."""
        look = "color:#c0392b" if error else "opacity:0.8"
        self.status.value = f'<div role="{"alert" if error else "status"}" style="{look}">{escape(text)}</div>'


def _checked(found: DataFrame) -> DataFrame:
    """Return the three columns of a search's result. Raises `PlainError` if it lacks any."""
    import pandas as pd

    if isinstance(found, pd.DataFrame) and found.empty:  # the client then returns a table without columns
        return pd.DataFrame(columns=list(COLUMNS))
    columns = list(getattr(found, "columns", []))
    if missing := [column for column in COLUMNS if column not in columns]:
        got = f"the columns {', '.join(map(str, columns))}" if columns else type(found).__name__
        raise PlainError(
            f"The search should return a DataFrame with the columns {', '.join(COLUMNS)}, but it returned {got}; "
            f"missing: {', '.join(missing)}."
        )
    return found[list(COLUMNS)]


def _figure(prompt: str, url: str, dist: float, picture: Image.Image | None) -> str:
    """Return HTML of a picture and its prompt; without `picture`, the browser fetches it if it is on the web."""
    if picture is not None:
        image = show.picture_html(picture, prompt, width=WIDTH)
    elif urlsplit(url).scheme in ("http", "https"):
        style = f"width:{WIDTH}px;border-radius:6px;margin:0"
        image = f'<img src="{escape(url)}" alt="{escape(prompt)}" loading="lazy" style="{style}">'
    else:
        image = (
            f'<div style="width:{WIDTH}px;padding:30px 0;text-align:center;border:1px dashed #8888">no picture</div>'
        )
    return (
        f'<figure style="margin:0;width:{WIDTH}px">{image}<figcaption style="font-size:85%;line-height:1.3">'
        f"{escape(prompt)}<br><span>distance {dist:.3f}</span></figcaption></figure>"
    )
