"""Notebook 03's checks pass right answers and name the mistake in wrong ones, whatever a chat model says."""

import base64
import io
import json
import re

import pytest
import torch
from langchain_core.messages import HumanMessage
from PIL import Image

from helpers.checks import CheckFailed, nb03

PICTURE = nb03._test_picture()


def tokens(model, pixels, *, layer=None, first=1):
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    states = states[model.config.vision_feature_layer if layer is None else layer][:, first:]
    return model.model.multi_modal_projector(states)[0].detach()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda model, pixels: tokens(model, pixels, layer=-1), "last layer"),
        (lambda model, pixels: tokens(model, pixels, layer=-2), "always take layer -2"),
        (lambda model, pixels: tokens(model, pixels, first=0), "class token, the first one, is still there"),
        (lambda model, pixels: tokens(model, pixels)[None], "batch is still there"),
        (
            lambda model, pixels: model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-3][0, 1:],
            "was left out",
        ),
        (lambda model, pixels: model.get_image_features(pixels).pooler_output[0], "lets the model do it"),
        (lambda model, pixels: model(pixel_values=pixels, input_ids=torch.full((1, 16), 29)), "lets the model do it"),
        (lambda model, pixels: None, "does the function end with `return`"),
    ],
)
def test_image_tokens_mistakes_are_named(answer, says):
    model = nb03.tiny_llava(layer=-3)
    nb03._tokens_of(tokens, model, nb03.noise(model), "x")
    with pytest.raises(CheckFailed, match=says):
        nb03._tokens_of(answer, model, nb03.noise(model), "x")


def test_tiny_models_keep_the_class_token_where_their_config_says_so_and_leave_torch_s_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model = nb03.tiny_llava(strategy="full")
    assert torch.equal(torch.get_rng_state(), before)
    nb03._tokens_of(lambda model, pixels: tokens(model, pixels, first=0), model, nb03.noise(model), "x")
    with pytest.raises(CheckFailed, match="the class token stays"):
        nb03._tokens_of(tokens, model, nb03.noise(model), "x")


def url(image, *, format="PNG", name=None, encode=base64.b64encode):
    buffer = io.BytesIO()
    (image.convert("RGB") if format == "JPEG" else image).save(buffer, format=format)
    return f"data:image/{name or format.lower()};base64,{encode(buffer.getvalue()).decode()}"


def test_a_right_data_url_and_message_pass(capsys):
    nb03.data_url(url)
    nb03.build_message(lambda text, image: message(text, url(image)))
    assert capsys.readouterr().out.count("hidden tests decide") == 2


def message(text, address):
    return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": address}}])


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (b"data:", "the bytes b'data:'"),
        (url(PICTURE, name="PNG"), r"should start with 'data:image/png;base64,'"),
        ("data:image/png;base64,b'iVBO'", r"\.decode\(\)"),
        (url(PICTURE, encode=base64.encodebytes), "line breaks"),
        ("data:image/png;base64," + base64.urlsafe_b64encode(b"\xfb\xff" * 9).decode(), "another alphabet"),
        ("data:image/png;base64,iVBOR", "no whole base64 text"),
        ("data:image/png;base64," + base64.b64encode(PICTURE.tobytes()).decode(), "bare pixels"),
        (url(PICTURE, format="JPEG", name="png"), "says PNG, but it holds a JPEG"),
        (url(PICTURE.resize((9, 9))), r"holds a picture of \(9, 9\) pixels"),
        (url(PICTURE.rotate(90)), "other pixels"),
    ],
)
def test_a_faulty_address_is_explained(address, says):
    with pytest.raises(CheckFailed, match=says):
        nb03.same_pixels(address, PICTURE, "It")


def test_lost_transparency_and_a_changed_picture_are_noticed():
    clear = PICTURE.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    with pytest.raises(CheckFailed, match="lost the transparency"):
        nb03.same_pixels(url(clear.convert("RGB")), clear, "It")

    def shrinking(image, *, format="PNG"):
        image.thumbnail((9, 9))
        return url(image, format=format)

    with pytest.raises(CheckFailed, match="changed the picture"):
        nb03.data_url(shrinking)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"role": "user"}, "returned the dict"),
        (HumanMessage(f"What? {url(PICTURE)}"), "the str 'What"),
        (HumanMessage([{"type": "text", "text": "What?"}]), r"types are \['text'\]"),
        (HumanMessage([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": url(PICTURE)}]), "text part"),
        (
            HumanMessage([{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": url(PICTURE)}]),
            "one level deeper",
        ),
        (message("What?", url(PICTURE.rotate(180))), "another picture"),
    ],
)
def test_a_faulty_message_is_explained(answer, says):
    with pytest.raises(CheckFailed, match=says):
        nb03.message_of(answer, "What?", PICTURE)


def read(text):
    for brace in re.finditer("{", text):
        try:
            found = json.JSONDecoder().raw_decode(text, brace.start())[0]
        except ValueError:
            continue
        missing = [key for key in nb03.KEYS if not isinstance(found.get(key), str)]
        if missing:
            raise ValueError(f"missing: {', '.join(missing)}")
        return {key: found[key] for key in nb03.KEYS}
    raise ValueError("no JSON object")


def static(text):
    try:
        return read(text)
    except ValueError:
        raise ValueError("JSON wants description and funny_story") from None


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (json.loads, "in a fence with the word json"),
        (lambda text: json.loads(text[text.find("{") : text.rfind("}") + 1]), "other braces"),
        (lambda text: {**read(text), "mood": "good"}, "just the keys"),
        (static, "should learn which one it was"),
        (lambda text: read(text or '{"description": "", "funny_story": ""}'), "an empty reply"),
        (lambda text: read(text) and {}, "should give"),
    ],
)
def test_faulty_reading_of_replies_is_explained(answer, says):
    nb03.parse_reply(read)
    with pytest.raises(CheckFailed, match=says):
        nb03.parse_reply(answer)


def asking(chat, image, *, max_tries=3, tell=str, keep=0, extra=0):
    messages, fault = [message("JSON, please: description, funny_story", url(image))], None
    for _ in range(max_tries + extra):
        reply = chat.invoke(messages[-keep:])
        try:
            return read(reply.text)
        except ValueError as error:
            fault = error
        messages += [reply, HumanMessage(tell(fault))]
    raise ValueError(f"At last: {fault}")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *a, **k: asking(*a, **k, tell=lambda fault: "Again."), "does not tell the model what was wrong"),
        (lambda *a, **k: asking(*a, **k, keep=1), "has not got the picture"),
        (lambda *a, **k: asking(*a, **k, extra=1), "should be asked 2 times, but it was asked 3 times"),
        (lambda *a, **k: asking(*a, **k, extra=-1), "gave up after asking 2 times"),
        (lambda *a, **k: asking(*a, **k, extra=10**6 - k["max_tries"]), "^max_tries was 2, but .* would go on: count"),
        (lambda *a, **k: None, "should return what parse_reply makes"),
    ],
)
def test_faulty_asking_is_explained(answer, says):
    nb03.describe_as_json(asking, read)
    with pytest.raises(CheckFailed, match=says):
        nb03.describe_as_json(answer, read)


def test_a_scripted_chat_keeps_what_it_heard_as_it_was_then():
    chat = nb03.scripted_chat(["a", "b", ConnectionError("down")])
    messages = [HumanMessage("one")]
    assert chat.invoke(messages).text == "a"
    messages.append(HumanMessage("two"))
    assert "".join(piece.text for piece in chat.stream(messages)) == "b"
    with pytest.raises(ConnectionError, match="down"):
        chat.invoke(messages)
    assert [len(heard) for heard in chat.heard] == [1, 2, 2]


def safely(model, image, question):
    try:
        return model(image, question)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def table(image, questions, *, specialist, generalist):
    pd = pytest.importorskip("pandas")
    rows = [(q, safely(specialist, image, q), safely(generalist, image, q)) for q in questions]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda i, q, *, specialist, generalist: [specialist(i, each) for each in q[:1]], "returned the list"),
        (lambda i, q, *, specialist, generalist: [specialist(i, each) for each in q], "ended the whole comparison"),
        (lambda i, q, *, specialist, generalist: table(i, q, specialist=generalist, generalist=specialist), "swapped"),
        (lambda i, q, **both: table(i, q[:2], **both), "one row for each of the 3"),
        (lambda i, q, **both: table(i, q[::-1], **both), "order of the questions"),
        (lambda i, q, **both: table(i, q, **both).rename(columns={"question": "asked"}), "columns should be"),
        (lambda i, q, **both: table(i.rotate(90), q, **both), "another picture"),
        (lambda i, q, **both: [table(i, q, **both) for _ in "12"][1], "each question once"),
    ],
)
def test_faulty_tables_are_explained(answer, says):
    nb03.compare(table)
    with pytest.raises(CheckFailed, match=says):
        nb03.compare(answer)
