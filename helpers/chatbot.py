"""A chat in a notebook: bubbles, a text field, and any function that answers.

Plain ipywidgets, versions 7.7 (Colab) and 8, in JupyterLab and in Colab. Questions, answers and errors are escaped, so
no text can become HTML of the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any

from helpers import show
from helpers.errors import PlainError, sentence

if TYPE_CHECKING:
    from ipywidgets import HTML
    from PIL import Image

__all__ = ["Chatbot"]

BUBBLE = "max-width:75%;padding:8px 12px;margin:3px;border-radius:12px;white-space:pre-wrap;line-height:1.4"
STYLES = {  # speaker → position and colours of the bubble, for light and dark pages
    "you": "align-self:flex-end;background:#1f5fbf;color:#fff",
    "bot": "align-self:flex-start;background:rgba(128,128,128,0.2)",
    "error": "align-self:flex-start;background:rgba(200,60,40,0.15);border:1px solid #c0392b",
}
NAMES = {"you": "You", "bot": "Answer", "error": "Error"}


class Chatbot:
    """A chat with `talk`, shown if it is the last line of a cell.

    Enter and the button "Send" send the question. An error becomes a bubble with its message. Programs can drive the
    widgets, too: `field`, `send`, `clear`, `log` (whose children are the bubbles), `box`.

    Args:
        talk: a function question → answer, or an object with such a method `ask`, like the `Conversation` of notebook
            04; if it also has `reset`, the button "Clear" calls it. An answer is a string, or an iterator of strings
            that are shown as they arrive.
        image: a picture that the chat is about, shown above it.
        alt: what the picture shows.
        placeholder: the hint in the empty text field.

    Raises:
        PlainError: `talk` can't answer questions.
    """

    def __init__(
        self,
        talk: Callable[[str], str | Iterator[str]] | Any,
        image: Image.Image | None = None,
        *,
        alt: str = "the picture that this chat is about",
        placeholder: str = "Type a question and press Enter",
    ):
        import ipywidgets as widgets

        self._ask = getattr(talk, "ask", talk)
        if not callable(self._ask):
            raise PlainError(
                f"Chatbot expects a function that answers a question, or an object with a method ask, but got "
                f"{type(talk).__name__}."
            )
        if isinstance(talk, type):
            raise PlainError(
                f"Chatbot got the class {talk.__name__} itself; make an instance of it: {talk.__name__}(…)."
            )
        self._reset = getattr(talk, "reset", None)
        self._entered: object | None = None  # Enter was pressed, and its text has not arrived yet

        self.log = widgets.VBox(layout=widgets.Layout(flex="0 0 auto"))
        # A reversed column starts scrolled to the bottom and stays there, so the newest bubble is visible.
        scroll = widgets.Box([self.log], layout=widgets.Layout(flex_flow="column-reverse", max_height="360px"))
        scroll.layout.overflow = "auto"
        # The browser sends the field's text when Enter is pressed or the field is left, not at each key.
        self.field = widgets.Text(
            placeholder=placeholder, continuous_update=False, layout=widgets.Layout(flex="1 1 auto", width="auto")
        )
        self.send = widgets.Button(description="Send", tooltip="Send the question", button_style="primary")
        self.clear = widgets.Button(description="Clear", tooltip="Clear the chat and forget it")
        for button in (self.send, self.clear):
            button.layout.width = "80px"
        picture = [widgets.HTML(show.picture_html(image, alt, width=200))] if image is not None else []
        row = widgets.HBox([self.field, self.send, self.clear])
        self.box = widgets.VBox([*picture, scroll, row], layout=widgets.Layout(max_width="640px"))

        self.field.on_msg(self._key)
        self.field.observe(self._text, "value")
        self.send.on_click(lambda _: self._submit())
        self.clear.on_click(lambda _: self._forget())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)

    # -- events from the browser

    def _key(self, field, content: dict, buffers) -> None:
        """Handle Enter. The text follows immediately, unless it was already sent when the field was left.

        (In ipywidgets 7 and 8 the key's message comes before the text's. Leaving the field alone does not submit it.)
        """
        if content.get("event") == "submit":
            self._entered = press = object()
            _soon(lambda: self._entered is press and self._submit())

    def _text(self, change) -> None:
        if self._entered:
            self._submit()

    # -- the chat

    def _submit(self) -> None:
        """Show the question and its answer. Does nothing for an empty question."""
        self._entered = None
        question = self.field.value.strip()
        if not question:
            return
        self.field.value = ""
        self._add("you", question)
        bubble = self._add("bot", "…", busy=True)
        self.send.disabled = self.clear.disabled = True
        try:
            bubble.value = _bubble("bot", self._answer(question, bubble))
        except (Exception, KeyboardInterrupt) as error:  # whatever the answering code raises, the chat continues
            bubble.value = _bubble("error", sentence(error))
        finally:
            self.send.disabled = self.clear.disabled = False

    def _answer(self, question: str, bubble: HTML) -> str:
        """Return the whole answer; one that arrives in pieces is shown in the bubble meanwhile."""
        answer = self._ask(question)
        if isinstance(answer, Iterator):
            text = ""
            for piece in answer:
                text += piece
                bubble.value = _bubble("bot", text, busy=True)
            return text
        if not isinstance(answer, str):
            hint = " Does the function end with return?" if answer is None else ""
            raise PlainError(f"The answer should be a string, but it is {type(answer).__name__}.{hint}")
        return answer

    def _forget(self) -> None:
        self.log.children = ()
        self.field.value = ""
        if self._reset:
            try:
                self._reset()
            except Exception as error:
                self._add("error", sentence(error))

    def _add(self, who: str, text: str, *, busy: bool = False) -> HTML:
        from ipywidgets import HTML

        bubble = HTML(_bubble(who, text, busy=busy))
        self.log.children = (*self.log.children, bubble)
        return bubble


def _bubble(who: str, text: str, *, busy: bool = False) -> str:
    """Return a bubble's HTML. Screen readers read answers and errors aloud once they are complete."""
    live = "" if who == "you" else f' role="status" aria-live="polite" aria-busy="{str(busy).lower()}"'
    sign = ' <span aria-label="still answering">▍</span>' if busy else ""
    name = f'<span style="position:absolute;left:-9999px">{NAMES[who]}: </span>'
    return (
        f'<div style="display:flex;flex-direction:column;position:relative">'
        f'<div style="{BUBBLE};{STYLES[who]}"{live}>{name}{escape(text)}{sign}</div></div>'
    )


def _soon(action: Callable[[], object]) -> None:
    """Run the action after the messages that are already on their way. (Widgets' messages arrive in an event loop.)"""
    with suppress(RuntimeError):
        asyncio.get_running_loop().call_later(0.3, action)
