"""The chat widget, driven as a browser drives it: by the messages that it sends for keys, text and clicks."""

import asyncio
import re

import pytest
from PIL import Image

from helpers import widgets
from helpers.errors import PlainError
from helpers.widgets import Chatbot

PICTURE = Image.new("RGB", (8, 8), "red")


def message(method, **data):
    """A message of the widget protocol, as the kernel gets it from the browser."""
    return {"content": {"data": {"method": method, **data}}, "buffers": []}


def leave(bot, text):
    """The field is left with this text in it: the browser tells the text."""
    bot.field._handle_msg(message("update", state={"value": text}, buffer_paths=[]))


def press_enter(bot):
    bot.field._handle_msg(message("custom", content={"event": "submit"}))


def enter(bot, text):
    """A text is typed and Enter is pressed: the browser tells the key first, the text second."""
    press_enter(bot)
    leave(bot, text)


def click(button):
    button._handle_msg(message("custom", content={"event": "click"}))


def said(bot):
    """(who, words) of every bubble."""
    bubbles = [re.sub(r"<[^>]*>", "", child.value) for child in bot.log.children]
    return [tuple(text.split(": ", 1)) for text in bubbles]


class Parrot:
    """Says what it hears, and how often it was asked."""

    def __init__(self):
        self.heard = []

    def ask(self, question):
        self.heard.append(question)
        return f"{question} ({len(self.heard)})"

    def reset(self):
        self.heard.clear()


def test_a_typed_question_is_answered_at_enter():
    bot = Chatbot(Parrot())
    enter(bot, "What is it?")
    assert said(bot) == [("You", "What is it?"), ("Answer", "What is it? (1)")]
    assert bot.field.value == ""


def test_the_button_sends_too_and_only_once():
    parrot = Parrot()
    bot = Chatbot(parrot)
    leave(bot, "Hello")
    click(bot.send)
    click(bot.send)
    assert parrot.heard == ["Hello"]


def test_leaving_the_field_sends_nothing():
    parrot = Parrot()
    bot = Chatbot(parrot)
    leave(bot, "Hello")
    assert parrot.heard == [] and said(bot) == []


def in_a_kernel(*actions):
    """The actions one after the other as in a kernel's event loop, with time between them where one is None."""

    async def session():
        for action in actions:
            await asyncio.sleep(0) if action else await asyncio.sleep(0.5)
            if action:
                action()

    asyncio.run(session())


def test_enter_on_a_text_that_was_left_before_sends_it():
    parrot = Parrot()
    bot = Chatbot(parrot)
    in_a_kernel(lambda: leave(bot, "Hello"), lambda: press_enter(bot), None)
    assert parrot.heard == ["Hello"]


def test_a_text_changed_after_the_field_was_left_is_sent_as_it_is_now():
    parrot = Parrot()
    bot = Chatbot(parrot)
    in_a_kernel(lambda: leave(bot, "What is"), lambda: enter(bot, "What is it?"), None)
    assert parrot.heard == ["What is it?"]


def test_an_enter_on_the_empty_field_does_not_send_what_is_typed_later():
    parrot = Parrot()
    bot = Chatbot(parrot)
    in_a_kernel(lambda: press_enter(bot), None, lambda: leave(bot, "half a quest"), None)
    assert parrot.heard == []


def test_the_same_question_can_be_asked_twice_and_empty_ones_are_not_sent():
    parrot = Parrot()
    bot = Chatbot(parrot)
    enter(bot, "Hello")
    enter(bot, "Hello")
    press_enter(bot)
    enter(bot, "   ")
    click(bot.send)
    assert parrot.heard == ["Hello", "Hello"]


def test_a_function_will_do():
    bot = Chatbot(lambda question: question.upper())
    enter(bot, "hello")
    assert said(bot)[1] == ("Answer", "HELLO")


def test_an_answer_in_pieces_is_shown_as_it_comes():
    seen = []

    def talk(question):
        for word in ("a red ", "cat"):
            yield word
            seen.append((bot.log.children[-1].value, bot.send.disabled))

    bot = Chatbot(talk)
    enter(bot, "What is it?")
    assert ["a red" in seen[0][0], "a red cat" in seen[0][0], "a red cat" in seen[1][0]] == [True, False, True]
    assert all('aria-busy="true"' in page and disabled for page, disabled in seen)
    assert said(bot)[1] == ("Answer", "a red cat")
    assert 'aria-busy="false"' in bot.log.children[-1].value and not bot.send.disabled


def test_while_the_answer_is_made_there_is_a_busy_sign():
    def talk(question):
        assert 'aria-busy="true"' in bot.log.children[-1].value and bot.clear.disabled
        return "done"

    bot = Chatbot(talk)
    enter(bot, "?")
    assert said(bot) == [("You", "?"), ("Answer", "done")]


def fails_halfway(question):
    yield "a red "
    raise RuntimeError("out of paint\nand more lines")


def interrupted(question):
    raise KeyboardInterrupt


def refuses(question):
    raise PlainError("The model is not there. Do this and that.")


@pytest.mark.parametrize(
    "talk, words",
    [
        (fails_halfway, "RuntimeError: out of paint"),
        (interrupted, "Stopped."),
        (refuses, "The model is not there. Do this and that."),
        (
            lambda question: None,
            "The answer should be a string, but it is NoneType. Does the function end with return?",
        ),
        (lambda question: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_an_error_is_a_bubble_and_the_chat_goes_on(talk, words, capsys):
    bot = Chatbot(talk)
    for _ in range(2):
        enter(bot, "What is it?")
    assert said(bot)[1::2] == [("Error", words)] * 2
    assert not bot.send.disabled
    assert capsys.readouterr() == ("", "")


def test_clear_empties_the_chat_and_the_memory():
    parrot = Parrot()
    bot = Chatbot(parrot)
    enter(bot, "Hello")
    leave(bot, "half a question")
    click(bot.clear)
    assert (said(bot), parrot.heard, bot.field.value) == ([], [], "")
    enter(bot, "Again")
    assert said(bot)[1] == ("Answer", "Again (1)")


def test_clear_works_without_a_memory_and_tells_when_forgetting_fails():
    bot = Chatbot(str.upper)
    enter(bot, "a")
    click(bot.clear)
    assert said(bot) == []

    class Stubborn(Parrot):
        def reset(self):
            raise ValueError("I forget nothing")

    bot = Chatbot(Stubborn())
    click(bot.clear)
    assert said(bot) == [("Error", "ValueError: I forget nothing")]


def test_no_text_becomes_html():
    bot = Chatbot(lambda question: "<img src=x onerror=alert(1)>", PICTURE, alt='"><script>')
    enter(bot, "<b>bold</b>")
    pages = [child.value for child in bot.log.children] + [bot.box.children[0].value]
    assert not any(re.search(r"<(b|script|img src=x)\b", page) for page in pages)
    assert "&lt;b&gt;bold&lt;/b&gt;" in pages[0]


def test_the_picture_is_above_the_chat_with_alt_text():
    bot = Chatbot(str.upper, PICTURE, alt="a red square")
    assert 'alt="a red square"' in bot.box.children[0].value
    assert len(Chatbot(str.upper).box.children) == len(bot.box.children) - 1


def test_answers_are_read_aloud_and_questions_are_not():
    bot = Chatbot(str.upper)
    enter(bot, "hello")
    question, answer = (child.value for child in bot.log.children)
    assert 'aria-live="polite"' in answer and "aria-live" not in question


def test_it_shows_itself_at_the_end_of_a_cell(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    bot = widgets.Chatbot(str.upper)
    bot._ipython_display_()
    assert shown == [bot.box]


@pytest.mark.parametrize("talk, says", [(3, "but got int"), (Parrot, r"the class Parrot itself; .* Parrot\(…\)")])
def test_what_cannot_be_asked_is_refused(talk, says):
    with pytest.raises(PlainError, match=says):
        Chatbot(talk)
