"""The fakes that checks of several notebooks share: a chat that follows a script, a request read, a server."""

import contextlib
import importlib
import pkgutil
import urllib.error
import urllib.request

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from helpers.checks import fakes
from helpers.checks.fakes import (
    NeverEnds,
    Reply,
    Request,
    fake_runner,
    pictures_of,
    scripted_chat,
    text_of,
    web_server,
    without_replies,
)

pytestmark = pytest.mark.quick


def test_a_loop_without_an_end_is_stopped_with_a_sentence_alone():
    chat = scripted_chat(["no"])
    with pytest.raises(NeverEnds) as stopped:
        while True:
            with contextlib.suppress(Exception):  # as students' loops swallow whatever comes
                chat.invoke("again")
    assert len(chat.requests) < 30
    (sentence,) = stopped.value._render_traceback_()
    assert sentence.startswith("Not yet: Your function asked the chat model")


def test_a_request_is_read_whatever_form_its_parts_have():
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    bare = {"type": "image_url", "image_url": "data:image/png;base64,BB"}
    messages = [
        SystemMessage("be brief"),
        HumanMessage([{"type": "text", "text": "what?"}, url, bare]),
        AIMessage("no"),
    ]
    assert text_of(messages).split("\n") == ["be brief", "what?", "", "", "no"]
    assert text_of(without_replies(messages)).split() == ["be", "brief", "what?"]
    assert pictures_of(messages) == ["data:image/png;base64,AA", "data:image/png;base64,BB"]


def test_the_server_hears_path_and_type_as_they_were_sent():
    heard = []

    def answer(request: Request) -> Reply:
        heard.append(request)
        return Reply(b"{}")

    with web_server(answer) as address:
        urllib.request.urlopen(f"{address}//sdapi", data=b"1").close()
        urllib.request.urlopen(f"{address}/x?y=1").close()
    form = "application/x-www-form-urlencoded"  # what urllib says where the caller says nothing
    assert heard == [Request("POST", "//sdapi", b"1", form), Request("GET", "/x?y=1", b"")]


def test_the_runner_takes_nothing_but_posts_of_json():
    with fake_runner(200, b'{"result": "passed"}') as (address, received):
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(f"{address}/run_assessment")
        urllib.request.urlopen(f"{address}/run_assessment", data=b'{"b": 1}').close()
        header = {"Content-Type": "application/json; charset=utf-8"}
        urllib.request.urlopen(urllib.request.Request(f"{address}/run_assessment", b'{"a": 1}', header)).close()
    assert received == [("/run_assessment", {"a": 1})]


def test_whatever_a_module_of_fakes_makes_public_is_imported_from_the_package():
    modules = [
        importlib.import_module(f"{fakes.__name__}.{each.name}") for each in pkgutil.iter_modules(fakes.__path__)
    ]
    public = {name: getattr(module, name) for module in modules for name in module.__all__}
    assert public == {name: getattr(fakes, name) for name in fakes.__all__}
