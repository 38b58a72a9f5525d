"""course serve: the real clients against a running endpoint, its batching, its errors, and its end."""

import base64
import copy
import gzip
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from tiny import tiny_llava
from waiting import PATIENCE, Turnstile, until

from course.api_error import ApiError
from course.serve import images, server
from course.serve.app import create_app
from course.serve.choice import Choice, Sampling
from course.serve.engine import Engine, Replies
from course.serve.notebooks import Notebooks
from course.serve.prompts import PromptEncoder
from course.serve.schema import ChatRequest
from helpers.errors import PlainError

MODEL = "picture-book-chat"
LOCAL = "http://127.0.0.1"


@contextmanager
def running(model, processor, *, rows=8, max_pending=32, **options):
    """The endpoint in a thread, on a free port: its base URL and its engine."""
    engine = Engine(model, processor, rows=rows, max_pending=max_pending)
    app = create_app(engine, MODEL, **options)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=listening.run, args=([listener],))
        thread.start()
        try:
            yield SimpleNamespace(url=f"http://127.0.0.1:{listener.getsockname()[1]}", engine=engine)
        finally:
            listening.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def llava():
    return tiny_llava()


@pytest.fixture(scope="module")
def endpoint(llava):
    with running(*llava) as server:
        yield server


@pytest.fixture(scope="module")
def http(endpoint):
    with httpx.Client(base_url=endpoint.url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def slow(llava):
    """A model of its own behind a turnstile: (model, processor), turnstile."""
    model, processor = copy.deepcopy(llava[0]), llava[1]
    return (model, processor), Turnstile(model)


def picture(colour="red", *, format="PNG", size=(20, 20)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def user(*parts):
    """A user's message: strings are text, data URLs are pictures."""
    content = [
        {"type": "image_url", "image_url": {"url": part}}
        if part.startswith("data:")
        else {"type": "text", "text": part}
        for part in parts
    ]
    return {"role": "user", "content": content}


def body(*parts, **fields):
    return {"model": MODEL, "messages": [user(*parts or ("hello",))], "temperature": 0, "max_tokens": 8, **fields}


def post(http, path="/v1/chat/completions", **request):
    answer = http.post(path, json=body(**request))
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(answer):
    """The JSON objects of a stream, which must end with [DONE]."""
    lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def refused(answer, status):
    """The error object of an answer that must have ``status`` and OpenAI's shape."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return error


# -- the real clients


def test_openai_client_reads_models_replies_and_streams(endpoint):
    import openai

    client = openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [MODEL]
    asked = body("what is this?", picture("blue"), n=2, temperature=0.7, seed=1)
    whole = client.chat.completions.create(**asked)
    assert [choice.finish_reason for choice in whole.choices] == ["length", "length"]
    assert whole.usage.completion_tokens == 16
    streamed = ["", ""]
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == [choice.message.content for choice in whole.choices]
    assert chunk.usage == whole.usage and chunk.choices == []


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
def test_a_model_is_told_of_by_its_name(prefix):
    http = TestClient(create_app(SimpleNamespace(), MODEL), base_url=LOCAL)
    (listed,) = http.get(f"{prefix}/models").json()["data"]
    assert http.get(f"{prefix}/models/{MODEL}").json() == listed and listed["id"] == MODEL


def test_a_request_for_another_model_is_answered_and_told_who_answers(endpoint, http, caplog):
    import openai

    client = openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="none", max_retries=0)
    assert client.models.retrieve("org/some-model").id == MODEL
    expected = post(http)["choices"][0]["message"]["content"]
    for _ in range(2):
        reply = client.chat.completions.create(**body() | {"model": "org/some-model"})
        assert reply.model == MODEL and reply.choices[0].message.content == expected
    for chunk in client.chat.completions.create(**body() | {"model": "org/another-model"}, stream=True):
        assert chunk.model == MODEL
    told = [record.getMessage() for record in caplog.records if record.name == "course.serve.chat"]
    assert [("org/some-model" in line, "org/another-model" in line) for line in told] == [(True, False), (False, True)]
    assert all(MODEL in line for line in told)


def test_it_can_be_strict_with_the_names_of_models():
    http = TestClient(create_app(SimpleNamespace(), MODEL, strict_models=True), base_url=LOCAL)
    answers = [
        http.post("/v1/chat/completions", json=body(model="gpt-\N{SNOWMAN}")),
        http.get("/v1/models/gpt-\N{SNOWMAN}"),
    ]
    for error in (refused(answer, 404) for answer in answers):
        assert error["code"] == "model_not_found" and error["param"] == "model" and MODEL in error["message"]
    assert http.get(f"/v1/models/{MODEL}").json()["id"] == MODEL


def test_its_routes_are_listed_without_the_internet():
    http = TestClient(create_app(SimpleNamespace(), MODEL), base_url=LOCAL)
    for path in ("/", "/docs"):
        assert http.get(path).url.path == "/openapi.json" and http.get(path).json()["openapi"]
    routes, drawing = (http.get(f"{app}/openapi.json").json() for app in ("", "/sdapi/v1"))
    assert {"/v1/models", "/v1/chat/completions", "/pictures/{name}.png"} <= set(routes["paths"])
    asked = routes["components"]["schemas"]["ChatRequest"]["properties"]
    assert {"messages", "temperature", "tools"} <= set(asked)
    assert {"/txt2img", "/img2img", "/png-info"} <= set(drawing["paths"])


def langchain_models(url, model=MODEL):
    from langchain_groq import ChatGroq
    from langchain_nvidia_ai_endpoints import ChatNVIDIA
    from langchain_openai import ChatOpenAI

    common = {"model": model, "temperature": 0, "api_key": "none"}
    yield ChatOpenAI(base_url=f"{url}/v1", max_tokens=8, **common)
    yield ChatGroq(base_url=url, max_tokens=8, **common)
    yield ChatNVIDIA(base_url=f"{url}/v1", max_completion_tokens=8, **common)


def test_langchains_clients_invoke_and_stream_with_pictures(endpoint, http, monkeypatch):
    from langchain_core.messages import HumanMessage, SystemMessage

    monkeypatch.setenv("NVIDIA_USAGE_TELEMETRY_ENABLED", "false")
    system = {"role": "system", "content": "be brief"}
    question = user("what is this?", picture("green"))
    expected = http.post("/v1/chat/completions", json=body() | {"messages": [system, question]}).json()
    expected = expected["choices"][0]["message"]["content"]
    for chat in langchain_models(endpoint.url):
        messages = [SystemMessage(system["content"]), HumanMessage(question["content"])]
        reply = chat.invoke(messages)
        assert reply.content == expected, chat
        assert reply.usage_metadata["output_tokens"] == 8
        assert "".join(chunk.content for chunk in chat.stream(messages)) == expected, chat
        as_json = chat.bind(response_format={"type": "json_object"}, max_tokens=200).invoke(messages)
        assert isinstance(json.loads(as_json.content), dict), chat


@pytest.mark.filterwarnings("ignore:.*is unknown, check `available_models`")
def test_langchains_clients_may_name_a_model_of_another_service(endpoint, monkeypatch):
    monkeypatch.setenv("NVIDIA_USAGE_TELEMETRY_ENABLED", "false")
    expected = [chat.invoke("hello").content for chat in langchain_models(endpoint.url)]
    others = langchain_models(endpoint.url, "meta-llama/llama-4-maverick-17b-128e-instruct")
    assert [chat.invoke("hello").content for chat in others] == expected


# -- what a request can ask for


def test_health_and_models(http):
    assert http.get("/health").json() == {"status": "ok", "course": "picture-this", "models": [MODEL]}
    for prefix in ("/v1", "/openai/v1"):
        (model,) = http.get(f"{prefix}/models").json()["data"]
        assert model["id"] == MODEL and model["object"] == "model"


def test_greedy_replies_are_those_of_generate(llava, http):
    model, processor = llava
    url = picture("navy")
    answer = http.post("/v1/chat/completions", json=body("look", url, max_tokens=20)).json()
    inputs = processor.apply_chat_template(
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image", "image": Image.new("RGB", (20, 20), "navy")},
                ],
            }
        ],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    ids = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0]
    given = inputs["input_ids"].shape[1]
    assert (
        answer["choices"][0]["message"]["content"] == processor.decode(ids[given:], skip_special_tokens=True).lstrip()
    )
    assert answer["usage"] == {"prompt_tokens": given, "completion_tokens": 20, "total_tokens": given + 20}


def test_the_picture_is_seen(http):
    contents = {
        colour: http.post("/v1/chat/completions", json=body("look", picture(colour))).json()["choices"][0]["message"][
            "content"
        ]
        for colour in ("white", "black", "red")
    }
    assert len(set(contents.values())) > 1


def test_a_picture_may_be_a_plain_string_and_have_line_breaks(http):
    url = picture("navy")
    head, _, content = url.partition(",")
    broken = f"{head},{content[:76]}\r\n{content[76:]}\n"
    (expected,) = http.post("/v1/chat/completions", json=body("look", url)).json()["choices"]
    for image_url in (url, {"url": broken}, broken):
        content = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": image_url}]
        answer = http.post("/v1/chat/completions", json=body(messages=[{"role": "user", "content": content}]))
        assert answer.json()["choices"] == [expected]


def test_seeds_repeat_and_differ(http):
    def texts(**fields):
        return [choice["message"]["content"] for choice in post(http, n=3, temperature=1.0, **fields)["choices"]]

    assert texts(seed=5) == texts(seed=5)
    assert len({*texts(seed=5), *texts(seed=6), *texts(), *texts()}) == 12


def test_either_limit_ends_a_reply_and_so_does_the_context(http):
    for fields in ({"max_tokens": 3}, {"max_tokens": 9, "max_completion_tokens": 3}):
        answer = post(http, **fields)
        assert answer["usage"]["completion_tokens"] == 3 and answer["choices"][0]["finish_reason"] == "length"
    answer = post(http, max_tokens=100_000, temperature=2, seed=3, stop=None)
    assert answer["usage"]["total_tokens"] <= 256


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_text_ends_the_reply_before_it(http, stream):
    full = post(http, max_tokens=40, temperature=1.0, seed=2)["choices"][0]["message"]["content"]
    stop = full[12:15]
    cut = full[: full.index(stop)]
    request = body(max_tokens=40, temperature=1.0, seed=2, stop=["never in there", stop], stream=stream)
    with http.stream("POST", "/v1/chat/completions", json=request) as answer:
        if stream:
            chunks = [chunk["choices"][0] for chunk in events(answer)]
            text = "".join(chunk["delta"].get("content", "") for chunk in chunks)
            reason = chunks[-1]["finish_reason"]
        else:
            choice = json.loads(answer.read())["choices"][0]
            text, reason = choice["message"]["content"], choice["finish_reason"]
    assert (text, reason) == (cut, "stop")
    if not stream:
        one = post(http, max_tokens=40, temperature=1.0, seed=2, stop=stop)["choices"][0]["message"]["content"]
        assert one == cut


def test_asked_for_json_it_is_json_or_says_that_it_was_cut(http):
    ended = 0
    for seed in range(6):
        answer = post(
            http, response_format={"type": "json_object"}, n=4, temperature=1.5, seed=seed, max_tokens=60 + 20 * seed
        )
        for choice in answer["choices"]:
            if choice["finish_reason"] == "stop":
                assert isinstance(json.loads(choice["message"]["content"]), dict)
                ended += 1
            else:
                with pytest.raises(ValueError):
                    json.loads(choice["message"]["content"])
    assert ended >= 6


def test_a_stream_is_made_of_chunks(http):
    with http.stream(
        "POST", "/v1/chat/completions", json=body(stream=True, stream_options={"include_usage": True})
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = events(answer)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"} and len(
        {chunk["id"] for chunk in chunks}
    ) == 1
    first, *_, last, usage = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "length"}
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 8
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    with http.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
        assert not any("usage" in chunk for chunk in events(answer))


def test_fields_it_does_not_know_and_nulls_and_settings_that_ask_for_nothing_are_let_pass(http):
    plain = post(http)["choices"]
    extra = {"reasoning_format": "hidden", "user": "x", "stop": None, "n": None, "stream": None, "seed": None}
    extra |= {"logprobs": False, "frequency_penalty": 0.0, "presence_penalty": 0, "logit_bias": {}, "top_k": -1}
    assert post(http, **extra)["choices"] == plain
    answer = http.post(
        "/v1/chat/completions", json=body() | {"messages": [{"role": "user", "content": "hello", "name": "Ada"}]}
    )
    assert answer.json()["choices"] == plain


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_of_every_format_and_size(http, format):
    for size in ((1, 1), (3, 3), (50, 1), (33, 20)):
        answer = http.post("/v1/chat/completions", json=body(picture(format=format, size=size), max_tokens=1))
        assert answer.status_code == 200, answer.text


# -- choosing a token


def scripted(text, **sampling):
    """What a choice shows, piece by piece, when the model's likeliest tokens spell ``text`` byte by byte."""
    end = 256

    def decode(ids, **options):
        return bytes(token for token in ids if token != end).decode(errors="replace")

    choice = Choice(0, Sampling(n=1, max_tokens=99, **sampling), SimpleNamespace(decode=decode), [end], None)
    return [choice.push(np.eye(257)[token]) for token in [*text.encode(), end] if not choice.finish_reason], choice


def test_half_a_character_is_not_shown():
    pieces, choice = scripted("aé…")
    assert pieces == ["a", "", "é", "", "", "…", ""] and choice.finish_reason == "stop"


def test_the_beginning_of_a_stop_text_is_held_back_until_it_is_none():
    pieces, choice = scripted("one two\nENDED\nEND. more", stop=("\nEND.",))
    assert "".join(pieces) == "one two\nENDED" and choice.finish_reason == "stop"
    assert pieces[7:12] == ["", "", "", "", "\nENDE"]
    assert "".join(scripted(" ab", stop=("abc",))[0]) == "ab"


def test_a_stop_text_is_compared_no_further_than_the_reply_goes():
    class Counted(str):
        beginnings = 0

        def __getitem__(self, part):
            Counted.beginnings += 1
            return super().__getitem__(part)

    pieces, _ = scripted("abc", stop=(Counted("ab" * 10_000),))
    assert pieces == ["", "", "abc", ""] and Counted.beginnings <= 2 + 1 + 3


def test_drawing_follows_temperature_and_top_p():
    scores = np.log(np.array([0.5, 0.3, 0.15, 0.05]))

    def shares(**sampling):
        choice = Choice(0, Sampling(n=1, max_tokens=10**6, seed=0, **sampling), None, [], None)
        return np.bincount([choice._pick(scores) for _ in range(4000)], minlength=4) / 4000

    assert shares(temperature=1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert shares(temperature=1.0, top_p=0.7) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert list(shares(temperature=1.0, top_p=0.0)) == [1, 0, 0, 0]
    assert list(shares(temperature=1e-300)) == [1, 0, 0, 0]
    squared = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    assert shares(temperature=0.5) == pytest.approx(squared / squared.sum(), abs=0.03)


# -- batching


REQUESTS = [
    body("hello", max_tokens=25),
    body("a much longer message than the others, so that the padding differs", max_tokens=12),
    body("look", picture("red"), max_tokens=20),
    body("look", picture("blue"), picture("white"), max_tokens=7, temperature=1.0, seed=4),
    body("draw", temperature=1.3, top_p=0.9, seed=11, n=3, max_tokens=15),
    body("json", picture("green"), temperature=1.0, seed=2, response_format={"type": "json_object"}, max_tokens=30),
    body("stop", temperature=0.8, seed=9, stop="\n", max_tokens=30),
    body("one", max_tokens=1),
]


@pytest.mark.parametrize("rows", [8, 20])
def test_a_reply_does_not_depend_on_its_neighbours(slow, http, rows):
    alone = [http.post("/v1/chat/completions", json=request).json() for request in REQUESTS]
    model, turnstile = slow
    with running(*model, rows=rows) as server, ThreadPoolExecutor(len(REQUESTS)) as pool:
        answers = [
            pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=request, timeout=PATIENCE)
            for request in REQUESTS
        ]
        until(lambda: server.engine._pending == len(REQUESTS))
        server.engine._executor.submit(int).result()  # all prompts are written
        httpx.get(f"{server.url}/health", timeout=PATIENCE)  # and handed to the engine
        turnstile.give(1000)
        together = [answer.result().json() for answer in answers]
    for one, other in zip(alone, together, strict=True):
        assert one["choices"] == other["choices"] and one["usage"] == other["usage"]
    # Together they take hardly more steps than the longest alone, where there is room for all of them.
    tokens = [answer["usage"]["completion_tokens"] // len(answer["choices"]) for answer in alone]
    assert turnstile.steps < (max(tokens) + 8 if rows == 20 else sum(tokens))


def test_a_request_joins_a_batch_that_is_running(slow):
    model, turnstile = slow
    with running(*model) as server, ThreadPoolExecutor(2) as pool:
        url = f"{server.url}/v1/chat/completions"
        long = pool.submit(httpx.post, url, json=body(max_tokens=60), timeout=PATIENCE)
        turnstile.give(5)
        until(lambda: turnstile.steps == 5)
        short = pool.submit(httpx.post, url, json=body(max_tokens=2), timeout=PATIENCE)
        until(lambda: server.engine._inbox.qsize() == 1)
        turnstile.give(5)
        assert short.result().status_code == 200
        assert not long.done()
        turnstile.give(100)
        assert long.result().json()["usage"]["completion_tokens"] == 60


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_its_generation(slow, monkeypatch, stream):
    cancelled, cancel = threading.Event(), Replies.cancel
    monkeypatch.setattr(Replies, "cancel", lambda *args: (cancel(*args), cancelled.set()))
    model, turnstile = slow
    with running(*model) as server:
        content = json.dumps(body(max_tokens=200, stream=stream)).encode()
        with socket.create_connection(server.url.removeprefix("http://").split(":")) as client:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
            client.sendall(head.encode() + content)
            turnstile.give(3)
            until(lambda: turnstile.steps == 3)
        assert cancelled.wait(PATIENCE)
        turnstile.give(1000)
        until(lambda: server.engine._pending == 0)
        assert turnstile.steps < 6
        assert httpx.post(f"{server.url}/v1/chat/completions", json=body(), timeout=PATIENCE).status_code == 200


def test_a_full_queue_answers_429_and_has_room_again(slow):
    import openai

    model, turnstile = slow
    with running(*model, max_pending=2) as server, ThreadPoolExecutor(2) as pool:
        url = f"{server.url}/v1/chat/completions"
        taken = [pool.submit(httpx.post, url, json=body(), timeout=PATIENCE) for _ in range(2)]
        until(lambda: server.engine._pending == 2)
        answer = httpx.post(url, json=body(), timeout=PATIENCE)
        assert refused(answer, 429)["code"] == "rate_limit_exceeded" and answer.headers["retry-after"] == "1"
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**body())
        turnstile.give(1000)
        assert [answer.result().status_code for answer in taken] == [200, 200]
        until(lambda: server.engine._pending == 0)
        assert httpx.post(url, json=body(), timeout=PATIENCE).status_code == 200


def test_a_model_that_fails_fails_its_batch_alone(llava, caplog):
    model, processor = copy.deepcopy(llava[0]), llava[1]
    troubles = [RuntimeError("no memory")]
    model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(troubles.pop()) if troubles else None)
    with running(model, processor) as server:
        url = f"{server.url}/v1/chat/completions"
        assert refused(httpx.post(url, json=body(), timeout=PATIENCE), 500)["type"] == "server_error"
        assert "no memory" in caplog.text
        assert httpx.post(url, json=body(), timeout=PATIENCE).status_code == 200
        troubles.append(RuntimeError("again"))
        with httpx.stream("POST", url, json=body(stream=True), timeout=PATIENCE) as answer:
            lines = [line for line in answer.iter_lines() if line]
        assert json.loads(lines[-1].removeprefix("data: "))["error"]["type"] == "server_error"
        until(lambda: server.engine._pending == 0)


# -- what is refused


BAD_FIELDS = [
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.image_url"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages.0.content.0.image_url.url",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 7}}]}]},
        "messages.0.content.0.image_url.url",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:\ud83d"}]}]},
        "messages.0.content.0.image_url",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": {}}]}]}, "messages.0.content.0.text"),
    ({"messages": [{"role": "user", "content": "half a character \ud83d"}]}, "messages.0.content"),
    ({"messages": [{"role": "system", "content": user(picture())["content"]}]}, "messages.0"),
    ({"messages": [{"role": "assistant", "content": "me first"}]}, "messages"),
    ({"messages": [user("an <image> here")]}, "messages"),
    ({"messages": [user("half a character \ud83d")]}, "messages.0.content.0.text"),
    ({"n": 0}, "n"),
    ({"n": 9}, "n"),
    ({"n": "2"}, "n"),
    ({"n": True}, "n"),
    ({"temperature": -1}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"top_p": 1.5}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"seed": "x"}, "seed"),
    ({"stop": [""]}, "stop.0"),
    ({"stop": ["x" * 201]}, "stop.0"),
    ({"stop": 7}, "stop"),
    ({"stop": "x" * 201}, "stop"),
    ({"messages": [user("x")] * 201}, "messages"),
    ({"messages": [user(*["x"] * 51)]}, "messages.0.content"),
    ({"stream": "yes"}, "stream"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"model": None}, "model"),
    ({"model": "x" * 201}, "model"),
    ({"logprobs": True}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logit_bias": {"50256": -100}}, "logit_bias"),
    ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ({"presence_penalty": -1}, "presence_penalty"),
    ({"repetition_penalty": 1.2}, "repetition_penalty"),
    ({"top_k": 40}, "top_k"),
    ({"min_p": 0.1}, "min_p"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "alloy"}}, "audio"),
    ({"web_search_options": {}}, "web_search_options"),
]


@pytest.mark.parametrize(
    ("fields", "param"), BAD_FIELDS, ids=[f"{param}-{place}" for place, (_, param) in enumerate(BAD_FIELDS)]
)
def test_a_wrong_field_is_named(http, fields, param):
    answer = http.post(
        "/v1/chat/completions", content=json.dumps(body() | fields), headers={"content-type": "application/json"}
    )
    assert refused(answer, 400)["param"] == param


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b'{"model": "\xff"}', b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}"]
)
def test_a_body_that_is_no_json_object(http, content):
    answer = http.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
    error = refused(answer, 400)
    assert error["type"] == "invalid_request_error" and error["param"] is None


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])  # the first is curl -d's
def test_json_that_is_not_called_json(http, kind):
    for path in ("/v1/chat/completions", "/openai/v1/chat/completions"):
        answer = http.post(path, content=json.dumps(body()), headers={"content-type": kind})
        assert "Content-Type: application/json" in refused(answer, 415)["message"]
    for kind in ("application/json; charset=utf-8", "application/vnd.api+json"):
        answer = http.post("/v1/chat/completions", content=json.dumps(body()), headers={"content-type": kind})
        assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_in_every_encoding_of_unicode_and_no_other(http, encoding):
    asked, headers = json.dumps(body("caf\xe9"), ensure_ascii=False), {"content-type": "application/json"}
    assert http.post("/v1/chat/completions", content=asked.encode(encoding), headers=headers).status_code == 200
    answer = http.post("/v1/chat/completions", content=asked.encode("latin-1"), headers=headers)
    assert "UTF-8" in refused(answer, 400)["message"]


def test_an_unknown_path_or_method(http):
    for method, path, status in (("GET", "/v1/completions", 404), ("GET", "/v1/chat/completions", 405)):
        message = refused(http.request(method, path), status)["message"]
        assert f"{method} {path}" in message and "/openapi.json" in message


def test_too_long_input(http):
    error = refused(http.post("/v1/chat/completions", json=body("word " * 100)), 400)
    assert error["code"] == "context_length_exceeded" and "256" in error["message"]


def test_very_long_input_is_refused_before_it_is_tokenized(llava):
    model, processor = llava
    processor = copy.copy(processor)
    processor.apply_chat_template = None
    long = ChatRequest.model_validate(body(*["word " * 1_000] * 11))
    with pytest.raises(ApiError, match="55,000 characters") as caught:
        PromptEncoder(model, processor).encode(long.messages, [])
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "fields",
    [{"messages": [{}] * 10**6}, {"messages": [{"role": "user", "content": [7] * 10**6}]}, {"stop": [7] * 10**6}],
)
def test_of_a_million_wrong_items_one_fault_is_kept(fields):
    with pytest.raises(ValidationError) as caught:
        ChatRequest.model_validate(body() | fields)
    assert caught.value.error_count() == 1


def png_of(width, height):
    """A PNG that says it is that large and holds next to nothing."""
    content = bytearray(base64.b64decode(picture().partition(",")[2]))
    content[16:24] = width.to_bytes(4) + height.to_bytes(4)
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return "data:image/png;base64," + base64.b64encode(content).decode()


BAD_PICTURES = {
    "file": ("file:///etc/passwd", "data:image/png;base64,"),
    "path": ("/etc/passwd", "data:image/png;base64,"),
    "http": ("http://127.0.0.1:1/cat.png", "does not download pictures"),
    "https": ("https://example.org/cat.png", "does not download pictures"),
    "no base64": ("data:image/png,abc", "Expected a picture, such as data:image/png;base64,"),
    "other data": ("data:text/plain;base64,aGVsbG8=", "not a picture"),
    "wrong letters": ("data:image/png;base64,!!!!", "not valid base64"),
    "cut base64": (picture()[:-3], "not valid base64"),
    "cut file": (picture(size=(200, 200))[:-200], "damaged"),
    "empty": ("data:image/png;base64,", "not a picture"),
    "not a picture": ("data:image/png;base64," + base64.b64encode(b"hello").decode(), "not a picture"),
    "other format": ("data:image/png;base64," + picture(format="BMP").partition(",")[2], "not a picture"),
    "bomb": (png_of(20_000, 20_000), "too large"),
    "small bomb": (png_of(6_000, 6_000), "too large"),
    "thread": (picture(size=(51, 1)), "too narrow"),
}


@pytest.mark.parametrize(("url", "message"), BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_a_bad_picture_is_refused(http, url, message):
    content = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": url}}]
    error = refused(http.post("/v1/chat/completions", json=body(messages=[{"role": "user", "content": content}])), 400)
    assert error["code"] == "invalid_image" and error["param"] == "messages.0.content.1.image_url"
    assert message in error["message"]


def test_a_picture_that_is_reduced_is_as_long_as_it_came():
    assert images.read_picture(picture(size=(2000, 40)), "url", {}).size == (1024, 20)  # 50 times as long as wide


def test_too_many_pictures(http):
    assert "at most 8" in refused(http.post("/v1/chat/completions", json=body(*[picture()] * 9)), 400)["message"]


def test_too_large_a_body(llava):
    with running(*llava, max_body=2_000) as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        long = json.dumps(body("x" * 5_000_000)).encode()
        for content in (long, iter([long[:1_000_000], long[1_000_000:]])):  # with its length announced, and without
            answer = client.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
            assert "0.002 MB" in refused(answer, 413)["message"]
        assert client.post("/v1/chat/completions", json=body()).status_code == 200


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_of_a_large_picture_no_more_is_kept_than_models_see(format):
    shown = images.read_picture(picture("navy", format=format, size=(6000, 4000)), "url", {})
    assert shown.size[0] == 1024 and shown.size[1] in (682, 683)
    assert shown.mode == "RGB" and np.allclose(shown.getpixel((500, 300)), (0, 0, 128), atol=2)
    assert images.read_picture(picture(format=format, size=(1000, 600)), "url", {}).size == (1000, 600)


# -- pictures behind URLs


@contextmanager
def web_of(pages):
    """A web server whose ``pages`` are path → (status, headers, pieces of the body): its address, and who asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["accept-encoding"]))
            status, headers, pieces = pages.get(self.path, (404, {}, []))
            self.send_response(status)
            for header in headers.items():
                self.send_header(*header)
            self.end_headers()
            with suppress(OSError):  # who has waited long enough hangs up
                for piece in pieces:
                    self.wfile.write(piece)

        def log_message(self, *_):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{web.server_port}", asked
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def drip(over):
    """A body whose bytes never end, and never keep one waiting for long."""
    while not over.wait(0.05):
        yield b"."


def test_http_urls_are_fetched_only_when_allowed(llava, monkeypatch):
    monkeypatch.setattr(images, "MAX_DOWNLOAD", 8_000)
    content = base64.b64decode(picture("red").partition(",")[2])
    zeros = gzip.compress(bytes(1_000_000))
    pages = {
        "/cat.png": (200, {}, [content]),
        "/huge.png": (200, {}, [bytes(9_000)]),
        "/half.png": (200, {}, [bytes(5_000)]),
        "/half-too.png": (200, {}, [bytes(5_000)]),
        "/moved.png": (302, {"location": "/cat.png"}, []),
        "/bomb.png": (200, {"content-encoding": "gzip"}, [zeros]),
    }
    assert len(zeros) < 8_000

    def ask(*paths):
        parts = [{"type": "image_url", "image_url": {"url": path}} for path in paths]
        return client.post("/v1/chat/completions", json=body(messages=[{"role": "user", "content": parts}]))

    with (
        web_of(pages) as (web, asked),
        running(*llava, allow_image_urls=True) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE) as client,
    ):
        shown = client.post("/v1/chat/completions", json=body(picture("red"))).json()["choices"]
        assert ask(f"{web}/cat.png").json()["choices"] == shown
        assert asked == [("/cat.png", "identity")]
        assert "404" in refused(ask(f"{web}/dog.png"), 400)["message"]
        assert "302" in refused(ask(f"{web}/moved.png"), 400)["message"] and asked[-1][0] == "/moved.png"
        assert "larger than 0.008 MB" in refused(ask(f"{web}/huge.png"), 400)["message"]
        assert "larger than 0.008 MB" in refused(ask(f"{web}/half.png", f"{web}/half-too.png"), 400)["message"]
        assert "not a picture" in refused(ask(f"{web}/bomb.png"), 400)["message"]  # it was not unfolded
        assert "data:image" in refused(ask("file:///etc/passwd"), 400)["message"]


def test_a_url_that_drips_keeps_nobody_waiting_and_is_given_up(llava, monkeypatch):
    over = threading.Event()
    with (
        web_of({"/drip.png": (200, {}, drip(over)), "/long.png": (200, {}, drip(over))}) as (web, asked),
        running(*llava, allow_image_urls=True) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        url = f"{server.url}/v1/chat/completions"

        def ask(path):
            content = [{"type": "image_url", "image_url": {"url": f"{web}{path}"}}]
            return httpx.post(url, json=body(messages=[{"role": "user", "content": content}]), timeout=PATIENCE)

        try:
            monkeypatch.setattr(images, "TIMEOUT", PATIENCE)
            dripping = pool.submit(ask, "/drip.png")
            until(lambda: asked)
            assert httpx.post(url, json=body(), timeout=PATIENCE).status_code == 200 and not dripping.done()
            monkeypatch.setattr(images, "TIMEOUT", 0.5)
            assert "within 0.5 seconds" in refused(ask("/long.png"), 400)["message"]
        finally:
            over.set()
        refused(dripping.result(), 400)
    assert server.engine._pending == 0


NAMED = {"type": "function", "function": {"name": "draw"}}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
parts = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(st.characters(codec=None), max_size=12)})
    | st.fixed_dictionaries(
        {
            "type": st.just("image_url"),
            "image_url": st.fixed_dictionaries(
                {"url": st.sampled_from([picture(), picture()[:-9], "data:,", "file:///x"])}
            ),
        }
    )
    | anything,
    max_size=3,
)
past_call = st.fixed_dictionaries(
    {
        "id": st.text(max_size=3),
        "function": st.fixed_dictionaries(
            {"name": st.text(max_size=4), "arguments": st.sampled_from(["", "{}", "[]", "{", '{"a": NaN}']) | anything}
        ),
    }
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool"]), "content": st.text(max_size=9) | parts},
        optional={"tool_calls": st.lists(past_call, max_size=2) | anything, "tool_call_id": st.text(max_size=3)},
    )
    | anything,
    max_size=3,
)
fields = {
    "n": st.integers(-1, 3),
    "max_tokens": st.integers(-1, 6),
    "temperature": st.floats(-1, 3),
    "top_p": st.floats(),
    "seed": st.integers(),
    "stop": st.text(max_size=2) | st.lists(st.text(max_size=2), max_size=3),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({}, optional={"include_usage": st.booleans()}),
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}, {"type": "xml"}])
    | st.fixed_dictionaries(
        {"type": st.just("json_schema"), "json_schema": st.fixed_dictionaries({"schema": anything})}
    ),
    "tools": st.lists(
        st.fixed_dictionaries(
            {
                "type": st.just("function"),
                "function": st.fixed_dictionaries(
                    {"name": st.sampled_from(["draw", "rate"])},
                    optional={
                        "parameters": st.fixed_dictionaries(
                            {}, optional={"properties": st.dictionaries(st.text(max_size=4), anything, max_size=2)}
                        )
                        | anything
                    },
                ),
            }
        ),
        max_size=2,
    ),
    "tool_choice": st.sampled_from(["none", "auto", "required", NAMED]),
}
bodies = st.fixed_dictionaries(
    {"model": st.just(MODEL) | anything, "messages": messages | anything, "max_completion_tokens": st.just(6)},
    optional={name: strategy | anything for name, strategy in fields.items()},
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies | anything)
def test_no_body_brings_the_endpoint_down(http, request_body):
    answer = http.post(
        "/v1/chat/completions", content=json.dumps(request_body), headers={"content-type": "application/json"}
    )
    if answer.status_code != 200:
        assert answer.status_code in (400, 404)
        refused(answer, answer.status_code)
    assert "server_error" not in answer.text


# -- who is answered


ANY_PORT = ["", ":8765"]


@pytest.mark.parametrize("port", ANY_PORT)
@pytest.mark.parametrize(
    ("listens", "names"),
    [
        ("127.0.0.1", ["127.0.0.1", "localhost", "LocalHost", "[::1]"]),
        ("Lab.example", ["lab.example", "lab.example.", "127.0.0.1", "localhost."]),
        ("2001:0db8::1", ["[2001:db8::1]"]),
        ("0.0.0.0", ["lab.example", "192.168.0.7", "evil.example"]),
        ("::", ["[fe80::1]", "evil.example"]),
    ],
)
def test_it_answers_to_its_own_names(listens, names, port):
    client = TestClient(create_app(SimpleNamespace(), MODEL, host=listens), base_url=LOCAL)
    for name in names:
        page = {"origin": f"http://{name}:8888"}  # a page that this computer serves, such as JupyterLab
        assert client.get("/health", headers={"host": f"{name}{port}", **page}).status_code == 200, name


@pytest.mark.parametrize("port", ANY_PORT)
@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7", "[::1", "localhost@evil", ""]
)
def test_a_page_whose_name_was_led_to_this_computer_is_refused(name, port):
    client = TestClient(create_app(SimpleNamespace(), MODEL), base_url=LOCAL)
    for path in ("/health", "/sdapi/v1/samplers", "/openapi.json"):
        assert (
            f"http://{name}{port} may not use this endpoint"
            in refused(client.get(path, headers={"host": name + port}), 403)["message"]
        )


@pytest.mark.parametrize("page", ["https://evil.example", "null", "http://[::1"])
def test_a_page_from_elsewhere_is_refused(page):
    client = TestClient(create_app(SimpleNamespace(), MODEL), base_url=LOCAL)
    answer = client.post("/sdapi/v1/txt2img", json={"prompt": "a cat"}, headers={"origin": page})
    assert page in refused(answer, 403)["message"]


# -- the process


def test_the_command_hands_its_options_on(monkeypatch):
    from typer.testing import CliRunner

    from course.cli import app

    calls = []
    monkeypatch.setitem(
        sys.modules, "course.serve.server", SimpleNamespace(serve=lambda **options: calls.append(options))
    )
    options = ["--port", "9999", "--parent-pid", "7", "--allow-image-urls", "--strict-models"]
    options += ["--submissions", "sqlite://"]
    assert CliRunner().invoke(app, ["serve"]).exit_code == 0
    assert CliRunner().invoke(app, ["serve", *options]).exit_code == 0
    usual = {"host": "127.0.0.1", "allow_image_urls": False, "strict_models": False}
    usual |= {"parent_pid": None, "submission_root": None}
    assert calls == [
        {**usual, "port": 8765, "submissions": None},
        {
            **usual,
            "port": 9999,
            "allow_image_urls": True,
            "strict_models": True,
            "parent_pid": 7,
            "submissions": "sqlite://",
        },
    ]


@pytest.mark.parametrize(
    ("host", "name"), [("127.0.0.1", "127.0.0.1"), ("::1", r"\[::1\]"), ("localhost", "localhost")]
)
def test_a_port_in_use_is_said_before_a_model_is_loaded(host, name):
    try:
        taken = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        pytest.skip(f"this computer has no {host}")
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(PlainError, match=f"is listening at http://{name}:{port}: pass another --port"):
            server.serve(host=host, port=port, allow_image_urls=False, parent_pid=None)


def sleeper():
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_it_ends_with_the_last_notebook_that_joined():
    first, second = sleeper(), sleeper()
    notebooks = Notebooks(first.pid)
    client = TestClient(create_app(SimpleNamespace(), MODEL, notebooks=notebooks), base_url=LOCAL)
    ending = SimpleNamespace(should_exit=False)
    watch = threading.Thread(target=server._stop_with, args=(notebooks, ending))
    watch.start()
    assert client.post("/notebooks", json={"pid": second.pid}).status_code == 204
    first.kill()
    first.communicate()
    assert client.post("/notebooks", json={"pid": first.pid}).status_code == 204  # gone, and counts for nothing
    watch.join(1.5)
    assert not ending.should_exit
    second.kill()  # and not waited for: a zombie, as under a parent that does not collect its children
    watch.join(PATIENCE)
    assert ending.should_exit
    late = client.post("/notebooks", json={"pid": os.getpid()})
    assert late.status_code == 409 and "shutting down" in late.json()["error"]["message"]
    second.communicate()


def test_it_ends_at_once_when_its_starter_has_gone_already():
    gone = sleeper()
    gone.kill()
    gone.communicate()
    Notebooks(gone.pid).wait()


def test_one_started_by_hand_is_joined_by_no_notebook():
    client = TestClient(create_app(SimpleNamespace(), MODEL), base_url=LOCAL)
    assert client.post("/notebooks", json={"pid": os.getpid()}).status_code == 404


def test_the_command_serves_a_models_folder_until_its_notebooks_end(llava, tmp_path):
    for part in llava:
        part.save_pretrained(tmp_path / "chat")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    parent, other = sleeper(), sleeper()
    command = [sys.executable, "-m", "course", "serve", "--port", str(port), "--parent-pid", str(parent.pid)]
    serving = subprocess.Popen(command, env={**os.environ, "COURSE_MODELS": str(tmp_path)})

    def ready():
        assert serving.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").json()["models"] == [MODEL]
        except httpx.ConnectError:
            return False

    try:
        until(ready)
        answer = httpx.post(f"http://127.0.0.1:{port}/openai/v1/chat/completions", json=body(), timeout=PATIENCE)
        assert answer.json()["usage"]["completion_tokens"] == 8
        assert httpx.post(f"http://127.0.0.1:{port}/notebooks", json={"pid": other.pid}).status_code == 204
        parent.kill()
        time.sleep(1.5)
        assert ready()
        other.kill()
        assert serving.wait(PATIENCE) == 0
    finally:
        for process in (serving, parent, other):
            process.kill()
            process.communicate()
