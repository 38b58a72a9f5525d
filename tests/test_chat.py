"""helpers.chat: the real LangChain clients against a stub that answers as Groq and NVIDIA do, and the endpoint's start.

The services' error bodies are copied from what their users reported: Groq's from issues continuedev/continue
#12741 and lobehub/lobehub #3367 and its page "API Error Codes and Responses", NVIDIA's from capocasa/3code #2
and tashfeenahmed/freellmapi #634.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from waiting import until

from helpers import endpoint, models
from helpers.chat import chat_model
from helpers.checks.fakes import Reply, web_server
from helpers.errors import PlainError
from helpers.settings import SECRETS, settings

KEYS = {"groq": "gsk_a_key_that_nobody_may_see", "nvidia": "nvapi-a_key_that_nobody_may_see"}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def groq_error(status, message, code, kind="invalid_request_error"):
    return status, {"error": {"message": message, "type": kind, "code": code}}


def nvidia_error(status, title, detail):
    return status, {"type": "about:blank", "title": title, "status": status, "detail": detail}


GONE = {
    "groq decommissioned": groq_error(
        400,
        "The model `old` has been decommissioned and is no longer supported. Please refer to "
        "https://console.groq.com/docs/deprecations for a recommendation on which model to use instead.",
        "model_decommissioned",
    ),
    "groq not found": groq_error(
        404, "The model `old` does not exist or you do not have access to it.", "model_not_found"
    ),
    "nvidia end of life": nvidia_error(
        410,
        "Gone",
        "The model 'old' has reached its end of life on 2026-05-14T00:00:00Z and is no longer available.",
    ),
    "nvidia not found": (
        404,
        {"status": 404, "title": "Not Found", "detail": "Function '23d4f03a': Not found for account 'BDnmPUMI2eN'"},
    ),
}


CUT = "the connection breaks before the answer has ended"


class Stub(ThreadingHTTPServer):
    """A chat service on this computer: answers "a red cat", or as ``answers`` says for a model."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, tuple[int, object] | list | str] = {}  # status and content, or a stream's events
        self.served = ["picture-book-chat"]
        self.requests: list[tuple[dict, dict]] = []  # (headers, body) of each chat request
        self.joined: list[dict] = []  # what notebooks said that joined
        self.joining = 204
        self.retry_after = "7"

    @property
    def asked(self):
        return [body["model"] for _, body in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/health":
            self.reply(200, {"status": "ok", "course": "picture-this", "models": self.server.served})
        else:
            self.server.requests.append((self.plain_headers(), {"model": self.path}))
            listed = (200, {"object": "list", "data": [{"id": name} for name in self.server.served]})
            self.reply(*self.server.answers.get(self.path, listed))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/notebooks":
            self.server.joined.append(body)
            return self.reply(self.server.joining, {})
        self.server.requests.append((self.plain_headers(), {**body, "path": self.path}))
        if self.server.answers.get(body["model"]) == CUT:
            self.stream(body["model"], ["a "], cut=True)
        elif isinstance(self.server.answers.get(body["model"]), list):
            self.events(self.server.answers[body["model"]])
        elif body["model"] in self.server.answers:
            self.reply(*self.server.answers[body["model"]])
        elif body.get("stream"):
            self.stream(body["model"], ["a ", "red ", "cat"])
        else:
            message = {"role": "assistant", "content": "a red cat"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
            self.reply(200, {**head(body["model"], "chat.completion"), "choices": [choice], "usage": usage})

    def plain_headers(self):
        return {name.lower(): value for name, value in self.headers.items()}

    def stream(self, model, words, cut=False):
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        events = [json.dumps({**head(model, "chat.completion.chunk"), "choices": [choice]}) for choice in choices]
        text = "".join(f"data: {event}\n\n" for event in (events[:2] if cut else [*events, "[DONE]"]))
        self.send(200, text, "text/event-stream", more=100 if cut else 0)
        self.close_connection = cut

    def events(self, events):
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        self.send(200, f"{text}data: [DONE]\n\n", "text/event-stream")

    def reply(self, status, content):
        if isinstance(content, str):
            self.send(status, content, "text/html")
        else:
            self.send(status, json.dumps(content), "application/json")

    def send(self, status, text, kind, more=0):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode()) + more))
        self.send_header("retry-after-ms", "1")  # or the clients wait before they try a 429 or a 500 again
        self.send_header("retry-after", self.server.retry_after)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


def head(model, kind):
    return {"id": "1", "object": kind, "created": 0, "model": model}


@contextmanager
def serving():
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.shutdown()
        thread.join()
        stub.server_close()


@pytest.fixture
def stub():
    with serving() as stub:
        yield stub


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No key but the test's own, and no waiting between the clients' attempts."""
    for name in (*SECRETS, "OPENAI_API_KEY", "GROQ_API_BASE", "NVIDIA_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GROQ_API_KEY", KEYS["groq"])
    monkeypatch.setenv("NVIDIA_API_KEY", KEYS["nvidia"])
    monkeypatch.setattr(settings, "chat_provider", "local")
    monkeypatch.setattr(settings, "endpoint", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0)
    monkeypatch.setattr("groq._base_client.MAX_RETRY_DELAY", 0)
    forget()
    yield
    forget()


def forget():
    for name in SECRETS:
        settings.forget_secret(name)


@pytest.fixture
def services(stub, monkeypatch):
    """Groq and NVIDIA, but at the stub's address and with the models "old" and "new"."""
    registered = models.service

    def service(name, role):
        found = registered(name, role)
        old, new = (replace(choice, id=id) for choice, id in zip(found.choices, ("old", "new"), strict=False))
        return replace(found, url=stub.url + ("/v1" if name == "nvidia" else ""), choices=(old, new))

    monkeypatch.setattr(models, "service", service)
    return stub


@pytest.fixture
def local(stub, monkeypatch):
    monkeypatch.setattr(settings, "endpoint", stub.url)
    return stub


def question(text="What is this?"):
    from langchain_core.messages import HumanMessage

    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    return [HumanMessage(content=parts)]


def refusal(call, *arguments, **options) -> str:
    """What the error says; neither it nor its traceback may show a key."""
    with pytest.raises(PlainError) as caught:
        call(*arguments, **options)
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(key in shown for key in KEYS.values())
    return str(caught.value)


# -- asking


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia", "own"])
def test_every_provider_is_a_chat_model(services, local, provider, capfd):
    from langchain_core.language_models import BaseChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    chat = chat_model(provider=local.url if provider == "own" else provider)
    assert isinstance(chat, BaseChatModel)
    assert chat.invoke(question()).content == "a red cat"
    assert [chunk.content for chunk in chat.stream(question()) if chunk.content] == ["a ", "red ", "cat"]
    assert [reply.content for reply in chat.batch([question()] * 3)] == ["a red cat"] * 3
    assert asyncio.run(chat.ainvoke(question())).content == "a red cat"
    assert (ChatPromptTemplate.from_template("{word}?") | chat | StrOutputParser()).invoke(
        {"word": "cat"}
    ) == "a red cat"
    sent = [body for _, body in services.requests if "messages" in body]
    assert sent[0]["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": PICTURE}}
    assert sent[0]["path"] == ("/openai/v1/chat/completions" if provider == "groq" else "/v1/chat/completions")
    assert capfd.readouterr() == ("", "")  # a graded cell that writes to stderr scores nothing


@pytest.mark.parametrize("provider", ["groq", "nvidia"])
def test_what_the_service_is_sent(services, provider):
    chat = chat_model("text", provider=provider, temperature=0.5, max_tokens=40)
    chat.bind(stop=["."]).invoke("Hello")
    headers, body = services.requests[-1]
    choice = models.service(provider, "text").choices[0]
    tokens = body.get("max_tokens") or body.get("max_completion_tokens")
    assert (body["temperature"], tokens) == (0.5, 40 + choice.thinking_tokens)
    assert body["stop"] == ["."] and choice.parameters.items() <= body.items()
    assert headers["authorization"] == f"Bearer {KEYS[provider]}"
    assert KEYS[provider] not in f"{chat!r} {chat} {vars(chat)} {services.requests[-1][1]}"


def test_a_server_of_ones_own_never_gets_anothers_key(local, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    chat_model(provider=local.url).invoke("Hello")
    assert "sk-of-openai" not in str(local.requests)
    monkeypatch.setenv("COURSE_CHAT_KEY", "mine")
    chat_model(provider=f"{local.url}/v1", model="picture-book-chat").invoke("Hello")
    assert local.requests[-1][0]["authorization"] == "Bearer mine"


def test_a_server_with_several_models_gets_the_first_and_says_so(local, capsys):
    local.served = ["gemma", "llava"]
    chat_model(provider=local.url).invoke("Hello")
    assert local.asked[-1] == "gemma"
    assert f"The server at {local.url}/v1 has gemma, llava. Using gemma" in capsys.readouterr().out
    local.served = []
    assert "has no model to offer" in refusal(lambda: chat_model(provider=local.url))


def test_a_server_that_is_not_there():
    text = refusal(lambda: chat_model(provider=f"http://127.0.0.1:{free_port()}"))
    assert "does not list its models (APIConnectionError)" in text


def test_wrong_words():
    assert refusal(lambda: chat_model("visoin")).startswith("There is no chat role 'visoin'")
    for wrong in ("openai", "http://", "http://lab:99999", "http://lab:abc", "https://[::1"):
        assert "'local', 'groq', 'nvidia' or the address" in refusal(partial(chat_model, provider=wrong))


def test_importing_chat_imports_no_client():
    code = (
        "import sys, helpers.chat; print([n for n in sys.modules if n.split('.')[0] in ('langchain_core', 'openai')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# -- retired models


@pytest.mark.parametrize("how", GONE)
def test_a_retired_model_gives_way_to_the_next_and_stays_away(services, how, capsys):
    provider = how.split()[0]
    services.answers["old"] = GONE[how]
    chat = chat_model(provider=provider)
    asked = question()
    assert chat.invoke(asked).content == "a red cat"
    title = models.service(provider, "vision").title
    assert capsys.readouterr().out == f"{title} does not serve old (any more). Using new instead.\n"
    chat.invoke(asked)
    assert services.asked == ["old", "new", "new"]
    assert chat.model == "new" and asked == question()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("how", GONE)
def test_a_stream_goes_on_with_the_next_too(services, how):
    services.answers["old"] = GONE[how]
    chat = chat_model(provider=how.split()[0])
    assert "".join(chunk.content for chunk in chat.stream(question())) == "a red cat"
    assert services.asked == ["old", "new"]


def test_many_at_once_move_on_once(services, capsys):
    services.answers["old"] = GONE["groq not found"]
    replies = chat_model(provider="groq").batch([question()] * 8, config={"max_concurrency": 8})
    assert [reply.content for reply in replies] == ["a red cat"] * 8
    assert capsys.readouterr().out.count("Using new") == 1


@pytest.mark.parametrize("how", GONE)
def test_when_all_are_gone(services, how):
    services.answers |= {"old": GONE[how], "new": GONE[how]}
    chat = chat_model(provider=how.split()[0])
    for _ in range(2):
        text = refusal(chat.invoke, question())
        assert "serves none of: old, new; it says:" in text
        assert "helpers/models.toml" in text and 'use provider="local"' in text


def test_a_model_by_name_comes_first(services, capsys):
    chat = chat_model(provider="groq", model="new")
    chat.invoke("Hello")
    services.answers["mine"] = GONE["groq not found"]
    chat_model(provider="groq", model="mine").invoke("Hello")
    assert services.asked == ["new", "mine", "old"]


def test_the_endpoint_has_no_such_model(local, capsys):
    local.answers["llava"] = GONE["groq not found"]
    chat_model(model="llava").invoke("Hello")
    assert local.asked == ["llava", "picture-book-chat"]
    assert capsys.readouterr().out.startswith("The chat endpoint does not serve llava (any more).")


# -- tools and objects


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def called(name, arguments):
    """A tool's call, as a message of a service has it."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return {"tool_calls": [call]}


def call_of(name, arguments):
    """A service's whole answer, which calls a tool."""
    message = {"role": "assistant", "content": None, **called(name, arguments)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    return 200, {**head("any", "chat.completion"), "choices": [choice], "usage": usage}


def text_of(text, finish_reason="stop"):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    return 200, {**head("any", "chat.completion"), "choices": [choice], "usage": usage}


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
def test_tools_are_told_to_every_service_in_its_way(services, local, provider, capfd):
    from langchain_core.messages import HumanMessage, ToolMessage

    for model in ("old", "picture-book-chat"):
        services.answers[model] = call_of("add", {"a": 2})
    chat = chat_model("text", provider=provider)
    reply = chat.bind_tools([add]).invoke("2 and 1?")
    (call,) = reply.tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 2})
    (told,) = services.requests[-1][1]["tools"]
    assert told["type"] == "function" and told["function"]["name"] == "add"
    assert told["function"]["parameters"]["required"] == ["a"]
    assert services.requests[-1][1].get("tool_choice") in (None, "auto")
    chat.bind_tools([add], tool_choice="any").invoke("2 and 1?")
    assert services.requests[-1][1]["tool_choice"] == "required"
    chat.bind_tools([add], tool_choice="add").invoke("2 and 1?")
    assert services.requests[-1][1]["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    turns = [HumanMessage("2 and 1?"), reply, ToolMessage("3", tool_call_id=call["id"])]
    chat.bind_tools([add]).invoke(turns)
    _, asked, result = services.requests[-1][1]["messages"]
    assert asked["tool_calls"][0]["function"]["name"] == "add"
    assert (result["role"], result["content"], result["tool_call_id"]) == ("tool", "3", "call_1")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
def test_calls_that_somebody_has_written_or_changed_are_told(services, local, provider):
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

    chat = chat_model("text", provider=provider)

    def sent(reply):
        turns = [HumanMessage("2 and 1?"), reply, ToolMessage("3", tool_call_id="call_1")]
        chat.invoke(turns)
        told = [services.requests[-1][1]["messages"][1]]
        list(chat.stream(turns))
        told.append(services.requests[-1][1]["messages"][1])
        (first,), (second,) = (message["tool_calls"] for message in told)
        assert first == second and (first["id"], first["type"]) == ("call_1", "function")
        return first["function"]["name"], json.loads(first["function"]["arguments"])

    written = AIMessage("", tool_calls=[{"name": "add", "args": {"a": 2}, "id": "call_1"}])
    assert sent(written) == ("add", {"a": 2}) and written.additional_kwargs == {}
    changed = AIMessage(
        "", tool_calls=[{"name": "add", "args": {"a": 7}, "id": "call_1"}], additional_kwargs=called("add", {"a": 2})
    )
    assert sent(changed) == ("add", {"a": 7})


@pytest.mark.parametrize("how", GONE)
def test_the_next_model_has_the_tools_of_the_retired_one(services, how):
    services.answers |= {"old": GONE[how], "new": call_of("add", {"a": 2})}
    chat = chat_model("text", provider=how.split()[0])
    bound = chat.bind_tools([add], tool_choice="any")
    assert [call["name"] for call in bound.invoke("2 and 1?").tool_calls] == ["add"]
    assert [call["name"] for call in bound.invoke("2 and 1?").tool_calls] == ["add"]
    assert services.asked == ["old", "new", "new"] and chat.model == "new"
    assert services.requests[0][1]["tools"] == services.requests[1][1]["tools"]


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
def test_replies_that_are_objects(services, local, provider, method, capfd):
    from pydantic import BaseModel

    class Sum(BaseModel):
        """A sum."""

        value: int

    good = call_of("Sum", {"value": 3}) if method == "function_calling" else text_of('{"value": 3}')
    services.answers |= {"old": GONE["groq not found"], "new": good, "picture-book-chat": good}
    chat = chat_model("text", provider=provider)
    assert chat.with_structured_output(Sum, method=method).invoke("2 and 1?") == Sum(value=3)
    assert "value" in json.dumps(services.requests[-1][1]) or method == "json_mode"
    assert chat.with_structured_output(Sum.model_json_schema(), method=method).invoke("2 and 1?") == {"value": 3}
    bad = call_of("Sum", {"value": "x"}) if method == "function_calling" else text_of("none")
    services.answers |= {"new": bad, "picture-book-chat": bad}
    raw = chat.with_structured_output(Sum, method=method, include_raw=True).invoke("2 and 1?")
    assert raw["parsed"] is None and raw["parsing_error"] is not None and raw["raw"].type == "ai"
    assert capfd.readouterr().err == ""


def test_there_is_no_such_method(local):
    with pytest.raises(ValueError, match='use "function_calling"'):
        chat_model().with_structured_output({"title": "X", "type": "object", "properties": {}}, method="magic")


# -- answers with status 200 that are no reply, or not a whole one


def stream_of(*words, finish_reason="stop"):
    """A stream's events."""
    choices = [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None} for word in words]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    return [{**head("any", "chat.completion.chunk"), "choices": [choice]} for choice in choices]


def told(chat, question="Hello"):
    return "".join(chunk.content for chunk in chat.stream(question))


NO_REPLY = {
    "no choices": (200, {"choices": []}),
    "null": (200, {"choices": None}),
    "nothing": (200, {}),
    "a list": (200, []),
    "no message": (200, {"choices": [{"index": 0, "finish_reason": "stop"}]}),
    "no role": (200, {"choices": [{"index": 0, "message": {"content": "a cat"}, "finish_reason": "stop"}]}),
    "an error": (200, {"error": {"message": "try again"}}),
    "an error beside it": (200, {"error": "try again", "choices": []}),
    "a page": (200, "<!doctype html><html><style>p {}</style><p>try&nbsp;again</p></html>"),
    "an empty stream": [],
    "a stream that ends at once": stream_of(finish_reason=None),
}
QUOTED = {"an error", "an error beside it", "a page"}


def asked(chat, answer):
    """Asks for a stream where the answer is one."""
    return told(chat) if isinstance(answer, list) else chat.invoke("Hello").content


@pytest.mark.parametrize("provider", ["groq", "nvidia"])
@pytest.mark.parametrize("what", NO_REPLY)
def test_where_there_is_no_reply_the_next_model_is_asked(services, provider, what, capfd):
    services.answers["old"] = NO_REPLY[what]
    assert asked(chat_model("text", provider=provider), NO_REPLY[what]) == "a red cat"
    assert services.asked == ["old", "new"]
    title, says = models.service(provider, "text").title, '; it says: "try again"' if what in QUOTED else ""
    said = f"{title} returned no reply from old{says}. Using new instead.\n"
    assert capfd.readouterr() == (said, "")


@pytest.mark.parametrize("what", NO_REPLY)
def test_no_reply_at_all_is_a_sentence(local, what):
    local.answers["picture-book-chat"] = NO_REPLY[what]
    says = '; it says: "try again"' if what in QUOTED else ""
    sentence = refusal(asked, chat_model(), NO_REPLY[what])
    assert sentence == f"The chat endpoint returned no reply{says}. Try again."
    own = refusal(asked, chat_model(provider=local.url), NO_REPLY[what])
    assert own.startswith(f"The server at {local.url}/v1 returned no reply{says}. Check that {local.url}/v1 is its")


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
def test_a_refusal_with_status_200_is_taken_as_what_it_says(services, local, provider):
    for code, expected in ((429, "too many requests"), ("401", "does not accept the key"), (503, "an internal error")):
        answer = (200, {"error": {"message": "no", "code": code}})
        services.answers |= {"old": answer, "picture-book-chat": answer}
        assert expected in refusal(chat_model("text", provider=provider).invoke, "Hello")
    assert "new" not in services.asked


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
def test_an_error_amid_a_stream_is_a_sentence(services, local, provider):
    error = {"error": {"object": "error", "type": "server_error", "message": "out of memory"}}
    begun = [*stream_of("a red")[:1], error]
    services.answers |= {"old": begun, "picture-book-chat": begun}
    sentence = refusal(told, chat_model("text", provider=provider))
    assert "broke off in the middle of its reply; it says:" in sentence and "out of memory" in sentence
    assert "new" not in services.asked  # what has been told can't be taken back


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
@pytest.mark.parametrize("format", [None, {"type": "json_object"}])
def test_a_reply_that_the_token_limit_cuts_off_is_given_as_far_as_it_goes(services, local, provider, format, capfd):
    cut = text_of('{"description": "a re', finish_reason="length")
    services.answers |= {"old": cut, "picture-book-chat": cut}
    chat = chat_model("text", provider=provider)
    bound = chat.bind(response_format=format) if format else chat
    reply = bound.invoke("Hello")
    assert reply.content == '{"description": "a re'
    assert reply.response_metadata["finish_reason"] == "length"
    assert services.requests[-1][1].get("response_format") == format
    events = stream_of('{"description"', ': "a re', finish_reason="length")
    services.answers |= {"old": events, "picture-book-chat": events}
    assert told(bound) == '{"description": "a re'
    assert services.requests[-1][1].get("response_format") == format
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
def test_tokens_that_run_out_before_the_first_word_are_told(services, local, provider):
    nothing = text_of("", finish_reason="length")
    services.answers |= {"old": nothing, "picture-book-chat": nothing}
    chat = chat_model("text", provider=provider)
    assert "ran out of tokens before its answer began" in refusal(chat.invoke, "Hello")
    nothing = stream_of("", finish_reason="length")
    services.answers |= {"old": nothing, "picture-book-chat": nothing}
    assert "chat_model(max_tokens=2000)" in refusal(told, chat)
    assert "new" not in services.asked


def test_a_class_as_the_format_of_a_reply_is_sent_as_its_schema(local):
    from pydantic import BaseModel

    class Sum(BaseModel):
        """A sum."""

        value: int

    local.answers["picture-book-chat"] = text_of('{"value": ', finish_reason="length")
    assert chat_model().bind(response_format=Sum).invoke("2 and 1?").content == '{"value": '
    sent = local.requests[-1][1]["response_format"]
    assert sent["type"] == "json_schema" and sent["json_schema"]["schema"]["properties"]["value"]["type"] == "integer"


# -- everything else that goes wrong


@pytest.mark.parametrize(
    ("provider", "answer", "expected"),
    [
        ("groq", groq_error(401, "Invalid API Key", "invalid_api_key"), r"the key in GROQ_API_KEY \(401\)"),
        ("nvidia", nvidia_error(401, "Unauthorized", "Authentication failed"), r"in NVIDIA_API_KEY \(401\)"),
        ("nvidia", nvidia_error(403, "Forbidden", "Authorization failed"), r'\(403\); it says: "Authorization failed"'),
        (
            "groq",
            groq_error(429, "Rate limit reached for model `old`", "rate_limit_exceeded", "tokens"),
            r"too many requests \(429\).*Wait 7 seconds .*max_concurrency",
        ),
        ("nvidia", nvidia_error(429, "Too Many Requests", ""), r"too many requests \(429\).*Wait 7 seconds"),
        (
            "groq",
            groq_error(413, "Request Entity Too Large", "request_too_large"),
            r"too large for old \(at most 5 pictures and at most 4 MB in a request\).*thumbnail",
        ),
        (
            "groq",
            groq_error(400, "Too many images provided. This model supports up to 5 images", "invalid_image"),
            "too large for old .*send fewer",
        ),
        (
            "groq",
            groq_error(400, "invalid image data", "x"),
            r'refused the request \(400\); it says: "invalid image data"',
        ),
        ("groq", (503, {"error": {"message": "over capacity"}}), r"an internal error \(503\); it says"),
        ("nvidia", (500, {"title": "Internal Server Error"}), r"an internal error \(500\)"),
    ],
)
def test_every_refusal_is_a_sentence(services, provider, answer, expected):
    services.answers["old"] = answer
    chat = chat_model(provider=provider)
    assert re.search(expected, refusal(chat.invoke, question()))
    assert re.search(expected, refusal(list, chat.stream(question())))
    assert set(services.asked) == {"old"}


@pytest.mark.parametrize("provider", ["local", "groq", "nvidia"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": "some text"}, "some text"),
        ({"error": {"message": "some text", "code": None}}, "some text"),
        ({"error": {"message": {"detail": "some text"}}}, "some text"),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        ({"message": "some text"}, "some text"),
        ({"detail": "some text."}, "some text"),
        ({"title": "Bad Request", "detail": "some text"}, "some text"),
        ({"title": "Bad Request"}, "Bad Request"),
        (
            {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]},
            "body.messages: Field required",
        ),
        ([{"error": {"message": "some text"}}], "some text"),
        ("some\n  text", "some text"),
        ("<html><head><title>Bad Request</title></head><body>some &amp; text</body></html>", "Bad Request some & text"),
        ({}, None),
        ("", None),
    ],
)
def test_a_services_words_are_shown_in_whatever_shape_they_come(services, local, provider, content, words):
    services.answers |= {"old": (400, content), "picture-book-chat": (400, content)}
    chat = chat_model("text", provider=provider)
    expected = "refused the request (400)" + (f'; it says: "{words}".' if words else ".")
    assert refusal(chat.invoke, "Hello").endswith(expected)
    assert refusal(told, chat).endswith(expected)


def test_a_server_that_lists_no_models_is_quoted(local, monkeypatch):
    monkeypatch.setenv("COURSE_CHAT_KEY", "a_key_that_nobody_may_see")
    local.answers["/v1/models"] = (401, {"error": "a_key_that_nobody_may_see is not known here"})
    assert '(AuthenticationError); it says: "*** is not known here".' in refusal(chat_model, provider=local.url)


@pytest.mark.parametrize("provider", KEYS)
def test_a_proxy_that_no_client_can_use_is_named(provider, monkeypatch):
    monkeypatch.setattr("helpers.proxies.UNUSABLE", {"ALL_PROXY": "socks://ada:secret@127.0.0.1:7891/"})
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    sentence = refusal(chat_model(provider=provider).invoke, "Hello")
    assert sentence.startswith("ALL_PROXY is socks://…@127.0.0.1:7891/, a proxy that")
    assert "unset the variable" in sentence


@pytest.mark.parametrize("provider", KEYS)
def test_a_proxy_that_is_not_there_is_named(provider, monkeypatch):
    for name in ("https_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert "Check the proxy that HTTPS_PROXY names (http://127.0.0.1:" in refusal(
        chat_model(provider=provider).invoke, "Hello"
    )


def test_behind_a_proxy_the_endpoint_is_asked_directly_and_in_silence(local, monkeypatch, caplog):
    for name in ("http_proxy", "HTTPS_PROXY", "OPENAI_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    chat = chat_model()
    assert chat.invoke("Hello").content == told(chat) == "a red cat"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("provider", KEYS)
def test_how_long_to_wait_where_the_service_does_not_say(services, provider):
    services.answers["old"], services.retry_after = (429, {}), "soon"
    assert "Wait a minute" in refusal(chat_model(provider=provider).invoke, "Hello")


@pytest.mark.parametrize("provider", KEYS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_service_that_repeats_the_key(services, provider, status, capfd):
    words = f"the key {KEYS[provider]} is wrong"
    answer = groq_error(status, words, "x") if provider == "groq" else nvidia_error(status, "Error", words)
    services.answers |= {"old": answer, "new": answer}
    refusal(chat_model(provider=provider).invoke, "Hello")
    assert KEYS[provider] not in "".join(capfd.readouterr())


def test_a_wrong_key_that_was_typed_is_asked_for_again(services, monkeypatch):
    monkeypatch.delenv("GROQ_API_KEY")
    typed = iter(["wrong", "right"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    services.answers["old"] = groq_error(401, "Invalid API Key", "invalid_api_key")
    refusal(chat_model(provider="groq").invoke, "Hello")
    services.answers.clear()
    chat_model(provider="groq").invoke("Hello")
    assert [headers["authorization"] for headers, _ in services.requests] == ["Bearer wrong", "Bearer right"]


@pytest.mark.parametrize("provider", KEYS)
def test_no_connection(provider, monkeypatch):
    registered = models.service
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    monkeypatch.setattr(models, "service", lambda name, role: replace(registered(name, role), url=nowhere))
    text = refusal(chat_model(provider=provider).invoke, "Hello")
    assert "can't be reached" in text and "Check the internet connection" in text and 'provider="local"' in text


@pytest.mark.parametrize("provider", ["local", *KEYS])
def test_a_connection_that_breaks_in_the_middle(services, local, provider):
    services.answers |= {"old": CUT, "picture-book-chat": CUT}
    chat = chat_model(provider=provider)
    assert "can't be reached" in refusal(list, chat.stream("Hello"))


def test_an_error_in_the_message_is_no_fault_of_the_service(services):
    from langchain_core.messages import HumanMessage

    message = HumanMessage(content=[{"type": "image_url", "image_url": {"url": PICTURE, "detail": "huge"}}])
    with pytest.raises(ValueError, match="Invalid detail value"):
        chat_model(provider="nvidia", model="meta/llama-3.2-90b-vision-instruct").invoke([message])


# -- the registry


@pytest.mark.parametrize("name", ["groq", "nvidia"])
@pytest.mark.parametrize("role", ["vision", "text"])
def test_every_service_has_a_second_choice_and_says_when_it_was_looked_up(name, role):
    service = models.service(name, role)
    assert service.url.startswith("https://") and service.secret in SECRETS and service.keys and service.models
    assert len({choice.id for choice in service.choices}) == len(service.choices) >= 2
    for choice in service.choices:
        assert choice.checked.year >= 2026
        assert role == "text" or choice.max_mb > 0


def test_the_registry_has_no_such_service():
    assert "only: groq, nvidia" in refusal(models.service, "openai", "vision")
    assert "The roles are: vision, text" in refusal(models.service, "groq", "sound")


# -- the endpoint on this computer

STAND_IN = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "ok", "course": "picture-this", "models": ["picture-book-chat"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):  # a notebook joins
        self.send_response(204)
        self.end_headers()

open(sys.argv[2], "a").write("started ")
HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """In place of `course serve`, which needs weights: a script that serves /health. Gives the file of its starts."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    started, processes = tmp_path / "started", []
    monkeypatch.setattr(
        endpoint, "_command", lambda port: [sys.executable, "-S", str(tmp_path / "stand_in.py"), str(port), started]
    )
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: processes.append(popen(*a, **k)) or processes[-1])
    yield started
    for process in processes:
        process.kill()
        process.wait()


def test_the_command_that_starts_it():
    command = endpoint._command(8765)
    assert command[:4] == [sys.executable, "-m", "course", "serve"]
    assert command[4:] == ["--port", "8765", "--parent-pid", str(os.getpid())]


def test_it_is_started_once_for_many_callers(stand_in, capsys):
    chats = []
    threads = [threading.Thread(target=lambda: chats.append(chat_model())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [chat.model for chat in chats] == ["picture-book-chat"] * 4
    assert stand_in.read_text() == "started "
    said = f"Starting the chat endpoint at {settings.endpoint}; the first time takes a few seconds.\n"
    assert capsys.readouterr().out == said


def test_one_that_runs_already_is_taken(local, stand_in):
    chat_model()
    assert not stand_in.exists()


def test_one_that_dies_at_its_start_shows_its_last_words(monkeypatch):
    monkeypatch.setattr(
        endpoint,
        "_command",
        lambda port: [sys.executable, "-S", "-c", "print('loading'); raise SystemExit('no weights')"],
    )
    text = refusal(chat_model)
    assert text.startswith("The chat endpoint stopped while it was starting.")
    assert "loading" in text and "no weights" in text
    monkeypatch.setattr(endpoint, "_command", lambda port: [sys.executable, "-S", "-c", ""])
    assert "It wrote nothing" in refusal(chat_model)


def test_one_that_is_never_ready_is_stopped(monkeypatch, tmp_path):
    code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); print('loading', flush=True); time.sleep(60)"
    monkeypatch.setattr(endpoint, "_command", lambda port: [sys.executable, "-S", "-c", code, str(tmp_path / "pid")])
    monkeypatch.setattr(endpoint, "START_SECONDS", 1)
    assert "was not ready after 1 seconds" in refusal(chat_model)
    pid = tmp_path / "pid"
    assert not pid.exists() or not psutil.pid_exists(int(pid.read_text()))


def test_the_port_belongs_to_another_program(monkeypatch, stand_in):
    """A web server that is not the course's, and a program that does not even speak HTTP."""
    with serving() as other:
        monkeypatch.setattr(settings, "endpoint", f"{other.url}/v1")  # there /v1/health is a list of models
        assert "in use by something other than the course's chat endpoint" in refusal(chat_model)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        port = listener.getsockname()[1]
        monkeypatch.setattr(settings, "endpoint", f"http://127.0.0.1:{port}")
        text = refusal(chat_model)
    assert "in use by something other" in text and f"http://127.0.0.1:{port + 1}" in text
    assert not stand_in.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"not by this name",
        b'{"error": {"message": "not by this name", "type": "x"}}',
        b'{"detail": "not by this name"}',
    ],
)
def test_an_endpoint_that_refuses_is_quoted(body):
    with (
        web_server(lambda request: Reply(body, 403)) as address,
        pytest.raises(PlainError, match=r"refuses the request: not by this name$"),
    ):
        endpoint.served_at(address)


def test_another_notebook_was_quicker(monkeypatch, local):
    """Two notebooks start one at the same moment: ours finds the port taken and ends, and the other's serves both."""
    answers = iter([[]])
    served_at = endpoint.served_at
    monkeypatch.setattr(endpoint, "served_at", lambda address: next(answers, None) or served_at(address))
    monkeypatch.setattr(endpoint, "_command", lambda port: [sys.executable, "-S", "-c", "raise SystemExit('taken')"])
    assert chat_model().model == "picture-book-chat"


def test_an_endpoint_elsewhere_is_not_started(monkeypatch, stand_in):
    monkeypatch.setattr(endpoint, "is_local", lambda address: False)
    assert refusal(chat_model).startswith(
        f"There is no response from {settings.endpoint}. Ask the administrator of that"
    )
    assert not stand_in.exists()


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8765", True),
        ("http://localhost:80", True),
        ("http://[::1]:8765", True),
        ("http://192.168.0.7:8765", False),
        ("https://chat.example.org", False),
    ],
)
def test_which_addresses_are_this_computer(address, local):
    assert endpoint.is_local(address) is local


def test_one_that_stopped_is_started_again(monkeypatch, stand_in):
    with serving() as stub:
        monkeypatch.setattr(settings, "endpoint", stub.url)
        chat = chat_model()
    assert refusal(chat.invoke, "Hello") == "The chat endpoint had stopped and was restarted: run this again."
    assert endpoint.served_at(settings.endpoint) == ["picture-book-chat"]


def test_a_notebook_joins_the_endpoint_that_it_finds(local, stand_in):
    """Or the endpoint would end with the notebook that started it, while this one still uses it."""
    chat_model()
    assert local.joined == [{"pid": os.getpid()}]
    assert not stand_in.exists()


def test_where_the_endpoint_is_just_ending_another_is_started(monkeypatch, stand_in):
    with serving() as stub:
        stub.joining = 409
        monkeypatch.setattr(settings, "endpoint", stub.url)
        chats = []
        notebook = threading.Thread(target=lambda: chats.append(chat_model()))
        notebook.start()
        until(lambda: len(stub.joined) > 2)
        assert not stand_in.exists()
    notebook.join()
    assert chats[0].model == "picture-book-chat" and stand_in.read_text() == "started "


def test_one_that_was_started_by_hand_needs_no_joining(monkeypatch, stand_in):
    with serving() as stub:
        stub.joining = 404
        monkeypatch.setattr(settings, "endpoint", stub.url)
        assert chat_model().model == "picture-book-chat"
    assert not stand_in.exists()


def test_one_that_another_notebook_has_started_again_is_joined(monkeypatch, stand_in):
    with serving() as stub:
        monkeypatch.setattr(settings, "endpoint", stub.url)
        chat = chat_model()
        stub.joined.clear()
        stub.answers["picture-book-chat"] = CUT
        assert "can't be reached" in refusal(chat.invoke, "Hello")
        assert stub.joined == [{"pid": os.getpid()}]


@pytest.mark.parametrize("status", [409, 500])
def test_one_that_lets_nobody_join_is_said_and_not_started_again_and_again(monkeypatch, stand_in, status):
    monkeypatch.setattr(endpoint, "ENDING_SECONDS", 0.5)
    with serving() as stub:
        stub.joining = status
        monkeypatch.setattr(settings, "endpoint", stub.url)
        assert "is running but rejects new notebooks" in refusal(chat_model)
    assert not stand_in.exists()


def test_one_that_ends_as_soon_as_it_is_there_is_not_started_for_ever(monkeypatch, stand_in):
    monkeypatch.setattr(endpoint, "_join", lambda address: False)
    assert "exits right after starting" in refusal(chat_model)
    assert 1 <= stand_in.read_text().count("started") <= endpoint.ROUNDS
