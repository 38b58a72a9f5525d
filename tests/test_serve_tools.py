"""Tools at the endpoint: what a request may say of them, what a reply's calls become, and the real clients' bind_tools."""

import json
import re
from types import SimpleNamespace

import httpx
import pytest
from test_serve import MODEL, events, langchain_models, refused, running
from tiny import tiny_llava
from waiting import PATIENCE

from course.serve.schema import ChatRequest
from course.serve.tools import CallReader, grammar
from course.talk.template import CHAT_TEMPLATE
from helpers.chat import chat_model

DRAW = {
    "type": "function",
    "function": {
        "name": "draw",
        "description": "Draws a picture.",
        "parameters": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
    },
}
RATE = {
    "type": "function",
    "function": {
        "name": "rate",
        "parameters": {
            "type": "object",
            "properties": {"picture_id": {"type": "integer"}, "text": {"enum": ["a cat", "a dog"]}},
            "required": ["picture_id", "text"],
        },
    },
}
CALL = '<tool_call>{"name": "draw", "arguments": {"prompt": "a red cat"}}</tool_call>'
RATING = '<tool_call>{"name": "rate", "arguments": {"picture_id": 7, "text": "a cat"}}</tool_call>'
ASKED = [{"role": "user", "content": "Draw a red cat."}]


def scripted_llava():
    """A tiny model whose likeliest tokens spell ``script.reply``; ``script.heard`` is the last prompt it was given."""
    import torch

    model, processor = tiny_llava(context=1500)
    processor.chat_template = CHAT_TEMPLATE
    tokenizer, script = processor.tokenizer, SimpleNamespace(reply="", heard="", place=0)

    def say(module, args, kwargs, output):
        ids = kwargs["input_ids"]
        if ids.shape[1] > 1:
            script.place, script.heard = 0, tokenizer.decode(ids[0])
        letters = [*tokenizer.encode(script.reply), tokenizer.eos_token_id]
        output.logits = 99 * torch.eye(output.logits.shape[-1])[letters[script.place]].expand_as(output.logits)
        script.place = min(script.place + 1, len(letters) - 1)
        return output

    model.register_forward_hook(say, with_kwargs=True)
    return model, processor, script


@pytest.fixture(scope="module")
def endpoint():
    model, processor, script = scripted_llava()
    with running(model, processor) as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        yield SimpleNamespace(url=server.url, script=script, http=client)


@pytest.fixture(scope="module")
def babbling():
    """A model that talks nonsense, as far as it is let."""
    with running(*tiny_llava(context=1500)) as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        yield client


def ask(endpoint, reply="", **fields):
    """The first choice that the endpoint gives where the model says ``reply``."""
    if reply:
        endpoint.script.reply = reply
    http = getattr(endpoint, "http", endpoint)
    request = {"model": MODEL, "messages": ASKED, "temperature": 0, "tools": [DRAW, RATE], **fields}
    answer = http.post("/v1/chat/completions", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def streamed(endpoint, reply, **fields):
    """The deltas of a stream, and its finish reason."""
    endpoint.script.reply = reply
    request = {"model": MODEL, "messages": ASKED, "temperature": 0, "tools": [DRAW, RATE], "stream": True, **fields}
    with endpoint.http.stream("POST", "/v1/chat/completions", json=request) as answer:
        choices = [event["choices"][0] for event in events(answer)]
    return [choice["delta"] for choice in choices], choices[-1]["finish_reason"]


def called(message):
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message["tool_calls"]]


DRAWN = ("draw", {"prompt": "a red cat"})
RATED = ("rate", {"picture_id": 7, "text": "a cat"})

# -- what the model is told


def test_tools_and_turns_are_written_as_the_model_was_taught(endpoint):
    messages = [
        {"role": "system", "content": "Be brief."},
        *ASKED,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "any string",
                    "type": "function",
                    "function": {"name": "draw", "arguments": '{"prompt":"a red cat"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "any string", "content": [{"type": "text", "text": "picture 7"}]},
    ]
    assert ask(endpoint, " Done.", messages=messages)["message"] == {"role": "assistant", "content": "Done."}
    assert endpoint.script.heard == (
        "SYSTEM: Be brief.\nTOOLS: draw(prompt), rate(picture_id, text)\nUSER: Draw a red cat.\n"
        f"ASSISTANT: {CALL}<end>\nTOOL: picture 7\nASSISTANT:"
    )


def test_a_tool_without_parameters_and_a_call_without_arguments(endpoint):
    turn = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "stop", "arguments": ""}}]}
    tools = [{"type": "function", "function": {"name": "stop", "strict": None, "parameters": None}}]
    said = '<tool_call>{"name": "stop"}</tool_call>'
    assert called(ask(endpoint, said, messages=[*ASKED, turn, *ASKED], tools=tools)["message"]) == [("stop", {})]
    assert "TOOLS: stop()\n" in endpoint.script.heard and '{"name": "stop", "arguments": {}}' in endpoint.script.heard


def test_a_chat_template_that_knows_no_tools_is_no_hindrance(babbling):
    turn = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "draw", "arguments": "{}"}}]}
    ask(babbling, messages=[*ASKED, turn, {"role": "tool", "tool_call_id": "1", "content": "x"}], max_tokens=3)


def test_with_the_choice_none_there_are_no_tools(endpoint):
    for fields in ({"tool_choice": "none"}, {"tools": []}, {"tools": None, "tool_choice": "auto"}):
        choice = ask(endpoint, CALL, **fields)
        assert choice["message"] == {"role": "assistant", "content": CALL} and choice["finish_reason"] == "stop"
        assert "TOOLS" not in endpoint.script.heard


# -- what the reply becomes


@pytest.mark.parametrize("fields", [{}, {"tool_choice": "auto"}, {"tool_choice": "required"}])
def test_a_call_comes_back_as_tool_calls(endpoint, fields):
    choice = ask(endpoint, f" {CALL}", **fields)
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    assert re.fullmatch(r"call_\w{24}", call["id"]) and call["type"] == "function"
    assert call["function"] == {"name": "draw", "arguments": '{"prompt": "a red cat"}'}


REPLIES = {  # what the model says: its content, its calls
    "two": (f"{CALL}\n{RATING}", None, [DRAWN, RATED]),
    "text before": (f"Here it is.\n {CALL}", "Here it is.", [DRAWN]),
    "text around": (f"One. {CALL} Two. ", "One. Two.", [DRAWN]),
    "no call": ("I <tool> like < tools. ", "I <tool> like < tools. ", []),
    "broken JSON": (
        '<tool_call>{"name": "draw", "arg</tool_call> Oh',
        '<tool_call>{"name": "draw", "arg</tool_call> Oh',
        [],
    ),
    "not offered": ('<tool_call>{"name": "paint", "arguments": {}}</tool_call>',) * 2 + ([],),
    "no object": ('<tool_call>["draw"]</tool_call>',) * 2 + ([],),
    "arguments are a list": ('<tool_call>{"name": "draw", "arguments": [1]}</tool_call>',) * 2 + ([],),
    "a name that can't be": ('<tool_call>{"name": ["draw"], "arguments": {}}</tool_call>',) * 2 + ([],),
    "no JSON number": ('<tool_call>{"name": "draw", "arguments": {"prompt": NaN}}</tool_call>',) * 2 + ([],),
    "never closed": ("Well, <tool_call>{", "Well, <tool_call>{", []),
    "deep": ("<tool_call>" + "[" * 900 + "</tool_call>",) * 2 + ([],),
    "broken, then whole": (f"<tool_call>{{</tool_call> {CALL}", "<tool_call>{</tool_call>", [DRAWN]),
    "a tag in an argument": (
        '<tool_call>{"name": "draw", "arguments": {"prompt": "</tool_call>"}}</tool_call>',
        None,
        [("draw", {"prompt": "</tool_call>"})],
    ),
    "half a character": (
        r'<tool_call>{"name": "draw", "arguments": {"prompt": "\ud83d"}}</tool_call>',
        None,
        [("draw", {"prompt": "\ud83d"})],
    ),
}


@pytest.mark.parametrize(("said", "content", "calls"), REPLIES.values(), ids=REPLIES)
def test_what_is_no_whole_call_is_text(endpoint, said, content, calls):
    choice = ask(endpoint, said)
    assert choice["message"]["content"] == content
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    assert called({"tool_calls": [], **choice["message"]}) == calls

    deltas, reason = streamed(endpoint, said)
    assert "".join(delta.get("content", "") for delta in deltas) == (content or "")
    whole = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert called({"tool_calls": whole}) == calls and reason == choice["finish_reason"]
    assert [call["index"] for call in whole] == list(range(len(calls)))


def test_a_stream_shows_text_at_once_and_a_call_when_it_is_whole(endpoint):
    deltas, _ = streamed(endpoint, f"Yes <3. {CALL}")
    assert deltas[0] == {"role": "assistant", "content": ""} and deltas[-1] == {}
    assert [delta["content"] for delta in deltas[1:-2]] == ["Y", "e", "s", " <3", "."]
    (call,) = deltas[-2]["tool_calls"]
    assert set(call) == {"index", "id", "type", "function"}
    assert call["function"] == {"name": "draw", "arguments": '{"prompt": "a red cat"}'}


def test_one_call_where_no_more_are_wanted(endpoint):
    choice = ask(endpoint, f"{CALL}{RATING}", parallel_tool_calls=False)
    assert called(choice["message"]) == [DRAWN] and choice["message"]["content"] is None
    assert called(ask(endpoint, f"{CALL}{RATING}", parallel_tool_calls=True)["message"]) == [DRAWN, RATED]


def test_a_call_that_the_limit_cuts_says_so(endpoint):
    choice = ask(endpoint, CALL, max_tokens=20)
    assert choice["finish_reason"] == "length" and choice["message"]["content"] == CALL[:20]
    choice = ask(endpoint, f"{CALL}{RATING}", max_tokens=len(CALL) + 5)
    assert choice["finish_reason"] == "length" and called(choice["message"]) == [DRAWN]


def test_a_reader_says_the_same_however_the_reply_is_cut():
    for said, content, calls in REPLIES.values():
        for size in (1, 3, 7, 2000):
            reader, text, found = CallReader({"draw", "rate"}), "", []
            for at in range(0, len(said), size):
                news, more = reader.read(said[at : at + size], ended=at + size >= len(said))
                text, found = text + news, found + more
            assert (text or None, [(c.function.name, json.loads(c.function.arguments)) for c in found]) == (
                content or None,
                calls,
            )


# -- a call by force


NAMED = {"type": "function", "function": {"name": "rate"}}


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_talks_nonsense_calls_by_force(babbling, seed):
    """It is let no way but to a call; that it ends before the limit is up to the model, and a closed set helps."""
    fields = {"temperature": 1.5, "seed": seed, "max_tokens": 200, "stop": ["e"]}
    for how in ({"tool_choice": NAMED}, {"tool_choice": "required", "tools": [RATE], "parallel_tool_calls": False}):
        choice = ask(babbling, **how, **fields)
        if choice["finish_reason"] == "length":  # a number without end
            assert choice["message"]["content"].startswith('<tool_call>{"name": "rate", "arguments": {"picture_id": ')
            continue
        ((name, arguments),) = called(choice["message"])
        assert name == "rate" and set(arguments) == {"picture_id", "text"} and isinstance(arguments["picture_id"], int)
        assert arguments["text"] in ("a cat", "a dog") and choice["finish_reason"] == "tool_calls"


def test_by_force_the_model_still_says_what_it_would(endpoint):
    assert called(ask(endpoint, f" {RATING}", tool_choice=NAMED)["message"]) == [RATED]
    assert called(ask(endpoint, f" {CALL}{RATING}", tool_choice="required")["message"]) == [DRAWN, RATED]
    assert called(ask(endpoint, f"{CALL}{RATING}", tool_choice="required", parallel_tool_calls=False)["message"]) == [
        DRAWN
    ]
    # what the schema does not have is not said
    extra = '<tool_call>{"name": "draw", "arguments": {"prompt": "a", "size": 3}}</tool_call>'
    ((_, arguments),) = called(ask(endpoint, extra, tool_choice="required", max_tokens=200)["message"]) or [(0, {})]
    assert set(arguments) == {"prompt"}
    nothing = '<tool_call>{"name": "stop", "arguments": {}}</tool_call>'
    stop = {"type": "function", "function": {"name": "stop"}}
    assert called(ask(endpoint, nothing, tools=[stop], tool_choice="required")["message"]) == [("stop", {})]
    assert '"additionalProperties": false' in grammar(
        ChatRequest.model_validate({"model": MODEL, "messages": ASKED, "tools": [stop], "tool_choice": "required"})
    )


def test_tools_go_together_with_json_that_follows_a_schema(endpoint):
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}, "required": ["mood"]}
    as_json = {
        "type": "json_schema",
        "json_schema": {"name": "mood", "schema": {**schema, "additionalProperties": False}},
    }
    for said in ('{"mood": "good"}', ' {"mood":\n "good" }'):
        choice = ask(endpoint, said, response_format=as_json)
        assert json.loads(choice["message"]["content"]) == {"mood": "good"} and "tool_calls" not in choice["message"]
    assert called(ask(endpoint, CALL, response_format=as_json)["message"]) == [DRAWN]
    assert (
        json.loads(ask(endpoint, " {}", response_format={"type": "json_object"}, tools=[])["message"]["content"]) == {}
    )


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"properties": {"a": {"type": 7}}, "required": ["a"]}, "type must be a string"),
        ({"properties": {"a": {"type": "string", "minLength": 5, "maxLength": 3}}, "required": ["a"]}, "unsatisfiable"),
        ({"$ref": "https://example.org/x"}, "example.org"),
    ],
)
def test_a_schema_that_nothing_follows_is_refused(endpoint, parameters, reason):
    tool = {"type": "function", "function": {"name": "draw", "parameters": parameters}}
    request = {"model": MODEL, "messages": ASKED, "tools": [tool], "tool_choice": "required"}
    error = refused(endpoint.http.post("/v1/chat/completions", json=request), 400)
    assert "the JSON schema in this request's tools or response_format" in error["message"]
    assert reason in error["message"] and "\n" not in error["message"]
    assert ask(endpoint, "Hello", tools=[tool])["message"]["content"] == "Hello"


def test_a_schema_with_words_that_no_grammar_knows_is_followed_as_far_as_it_goes(endpoint):
    parameters = {"properties": {"path": {"type": "string", "format": "path"}}, "not": {"required": ["x"]}}
    tool = {"type": "function", "function": {"name": "save", "parameters": parameters}}
    said = '<tool_call>{"name": "save", "arguments": {"path": "a.png"}}</tool_call>'
    assert called(ask(endpoint, said, tools=[tool], tool_choice="required")["message"]) == [("save", {"path": "a.png"})]


def test_a_grammar_that_ends_in_a_blind_alley_fails_its_own_request_alone(endpoint, monkeypatch):
    monkeypatch.setattr("course.serve.chat.grammar", lambda asked: 'start: "abc" | "abd"')
    endpoint.script.reply = "abc"
    with monkeypatch.context() as patch:
        patch.setattr("course.serve.choice.Choice._pick", lambda self, scores: 5)
        answer = endpoint.http.post("/v1/chat/completions", json={"model": MODEL, "messages": ASKED, "n": 2})
    assert "No reply can follow" in refused(answer, 400)["message"]
    assert ask(endpoint, "abc", tools=[])["message"]["content"] == "abc"


def test_nothing_is_forced_where_nothing_is_asked_for():
    request = {"model": MODEL, "messages": ASKED, "tools": [DRAW]}
    assert grammar(ChatRequest.model_validate(request)) is None
    assert grammar(ChatRequest.model_validate(request | {"tool_choice": "none"})) is None


# -- what is refused


def tool(**function):
    return [{"type": "function", "function": {"name": "draw", **function}}]


def past(**function):
    call = {"id": "1", "type": "function", "function": {"name": "draw", "arguments": "{}", **function}}
    return {"messages": [*ASKED, {"role": "assistant", "tool_calls": [call]}]}


FUNCTION = "messages.1.tool_calls.0.function"
BAD = {
    "no list": ({"tools": "draw"}, "tools", "valid list"),
    "no type": ({"tools": [{"function": {"name": "draw"}}]}, "tools.0.type", "required"),
    "other type": ({"tools": [{"type": "web_search"}]}, "tools.0.type", "'function'"),
    "no function": ({"tools": [{"type": "function"}]}, "tools.0.function", "required"),
    "name": ({"tools": tool(name="draw it")}, "tools.0.function.name", "pattern"),
    "parameters": ({"tools": tool(parameters=[])}, "tools.0.function.parameters", "dictionary"),
    "of no object": ({"tools": tool(parameters={"type": "string"})}, "tools.0.function.parameters", "of an object"),
    "properties": ({"tools": tool(parameters={"properties": 7})}, "tools.0.function.parameters", "of an object"),
    "half": ({"tools": tool(parameters={"title": "\ud83d"})}, "tools.0.function.parameters", "half a character"),
    "no number": ({"tools": tool(parameters={"default": float("nan")})}, "tools.0.function.parameters", ""),
    "twice": ({"tools": [DRAW, DRAW]}, "tools", "two tools are named 'draw'"),
    "many": ({"tools": [DRAW] * 65}, "tools", "at most 64"),
    "picture": ({"tools": tool(parameters={"properties": {"<image>": {}}})}, "messages", "stands for a picture"),
    "choice": ({"tools": [DRAW], "tool_choice": "any"}, "tool_choice", '"required" or'),
    "choice's form": ({"tools": [DRAW], "tool_choice": {"name": "draw"}}, "tool_choice", '"required" or'),
    "choice of none": ({"tool_choice": "required"}, "tool_choice", "the request has no tools"),
    "choice of another": ({"tools": [DRAW], "tool_choice": NAMED}, "tool_choice", "no tool 'rate'; available: draw"),
    "parallel": ({"tools": [DRAW], "parallel_tool_calls": "yes"}, "parallel_tool_calls", "boolean"),
    "functions": ({"functions": [{"name": "draw"}]}, "functions", "older API, send tools"),
    "function_call": ({"function_call": "auto"}, "function_call", "send tool_choice"),
    "role": ({"messages": [{"role": "function", "content": "x"}]}, "messages.0.role", 'send role "tool"'),
    "past function_call": (
        {"messages": [{"role": "assistant", "function_call": {"name": "x"}}]},
        "messages.0.function_call",
        "send tool_calls",
    ),
    "no id": ({"messages": [*ASKED, {"role": "tool", "content": "x"}]}, "messages.1", "needs tool_call_id"),
    "picture of a tool": (
        {
            "messages": [
                {"role": "tool", "tool_call_id": "1", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
            ]
        },
        "messages.0",
        "this one is from the tool",
    ),
    "user's calls": (
        {"messages": [{"role": "user", "tool_calls": past()["messages"][1]["tool_calls"]}]},
        "messages.0",
        "only assistant messages may contain tool_calls",
    ),
    "arguments": (past(arguments="{"), f"{FUNCTION}.arguments", "not valid JSON"),
    "deep arguments": (past(arguments="[" * 100_000), f"{FUNCTION}.arguments", "not valid JSON"),
    "list of arguments": (past(arguments="[]"), f"{FUNCTION}.arguments", "not a JSON object"),
    "half an argument": (past(arguments=r'{"x": "\ud83d"}'), f"{FUNCTION}.arguments", "half a character"),
    "picture in a call": (past(arguments='{"x": "<image>"}'), "messages", "stands for a picture"),
    "schema": ({"response_format": {"type": "json_schema"}}, "response_format", "needs json_schema"),
    "empty schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        "response_format.json_schema.schema",
        "required",
    ),
}


@pytest.mark.parametrize(("fields", "param", "message"), BAD.values(), ids=BAD)
def test_a_wrong_field_is_named(endpoint, fields, param, message):
    request = {"model": MODEL, "messages": ASKED} | fields
    answer = endpoint.http.post(
        "/v1/chat/completions", content=json.dumps(request), headers={"content-type": "application/json"}
    )
    error = refused(answer, 400)
    assert error["param"] == param and message in error["message"]


def test_tools_count_as_text(endpoint):
    long = tool(parameters={"description": "x" * 60_000})
    error = refused(
        endpoint.http.post("/v1/chat/completions", json={"model": MODEL, "messages": ASKED, "tools": long}), 400
    )
    assert error["code"] == "context_length_exceeded"


# -- the real clients


def draw(prompt: str) -> str:
    """Draws a picture.

    Args:
        prompt: what it shows.
    """
    return f"drew {prompt}"


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setenv("NVIDIA_USAGE_TELEMETRY_ENABLED", "false")


@pytest.mark.filterwarnings("ignore:.*not known to support tools")
def test_langchains_clients_bind_tools(endpoint, quiet):
    from langchain_core.messages import HumanMessage
    from langchain_core.tools import tool as as_tool

    for chat in langchain_models(endpoint.url):
        chat = chat.model_copy(
            update={"max_completion_tokens" if hasattr(chat, "max_completion_tokens") else "max_tokens": 200}
        )
        for choice in (None, "auto", "any", "draw"):
            endpoint.script.reply = f" {CALL}"
            bound = chat.bind_tools([as_tool(draw)], **({} if choice is None else {"tool_choice": choice}))
            messages = [HumanMessage("Draw a red cat.")]
            reply = bound.invoke(messages)
            assert [(call["name"], call["args"]) for call in reply.tool_calls] == [DRAWN], (chat, choice)
            assert reply.content == "" and reply.response_metadata["finish_reason"] == "tool_calls"
            whole = None
            for chunk in bound.stream(messages):
                whole = chunk if whole is None else whole + chunk
            assert [(call["name"], call["args"]) for call in whole.tool_calls] == [DRAWN], (chat, choice)
            assert whole.content == ""

        messages += [reply, as_tool(draw).invoke(reply.tool_calls[0])]
        endpoint.script.reply = " There it is."
        bound = chat.bind_tools([as_tool(draw)])
        assert bound.invoke(messages).content == "There it is."
        assert f"ASSISTANT: {CALL}<end>\nTOOL: drew a red cat\nASSISTANT:" in endpoint.script.heard
        assert "".join(chunk.content for chunk in bound.stream(messages)) == "There it is."
        assert chat.bind_tools([draw], tool_choice="none").invoke("Hello").tool_calls == []


def test_openais_client_reads_calls(endpoint):
    import openai

    client = openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="none", max_retries=0)
    endpoint.script.reply = CALL
    reply = client.chat.completions.create(model=MODEL, messages=ASKED, tools=[DRAW]).choices[0].message
    assert reply.content is None and reply.tool_calls[0].function.name == "draw"
    endpoint.script.reply = "Done."
    answer = {"role": "tool", "tool_call_id": reply.tool_calls[0].id, "content": "picture 7"}
    again = client.chat.completions.create(model=MODEL, messages=[*ASKED, reply, answer], tools=[DRAW])
    assert again.choices[0].message.content == "Done." and again.choices[0].message.tool_calls is None


def test_the_courses_own_chat_model_binds_tools(endpoint, quiet, capfd):
    from pydantic import BaseModel

    class Picture(BaseModel):
        """A picture."""

        prompt: str

    chat = chat_model(provider=f"{endpoint.url}/v1", model=MODEL)
    endpoint.script.reply = f" {CALL}"
    assert [(call["name"], call["args"]) for call in chat.bind_tools([draw]).invoke("Hello").tool_calls] == [DRAWN]
    for reply, method in (
        (CALL.replace("draw", "Picture"), "function_calling"),
        ('{"prompt": "a red cat"}', "json_schema"),
    ):
        endpoint.script.reply = reply
        assert chat.with_structured_output(Picture, method=method).invoke("Hello") == Picture(prompt="a red cat")
        as_dict = chat.with_structured_output(Picture.model_json_schema(), method=method, include_raw=True)
        assert as_dict.invoke("Hello")["parsed"] == {"prompt": "a red cat"}
    assert capfd.readouterr() == ("", "")


def test_the_clients_own_structured_output(endpoint, quiet):
    from pydantic import BaseModel

    class Picture(BaseModel):
        """A picture."""

        prompt: str

    openai, groq, nvidia = langchain_models(endpoint.url)
    for chat, reply in (
        (openai, '{"prompt": "x"}'),
        (groq, CALL.replace("draw", "Picture")),
        (nvidia, '{"prompt": "x"}'),
    ):
        endpoint.script.reply = reply
        limit = "max_completion_tokens" if hasattr(chat, "max_completion_tokens") else "max_tokens"
        assert isinstance(chat.model_copy(update={limit: 200}).with_structured_output(Picture).invoke("Hello"), Picture)
