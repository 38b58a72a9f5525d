"""Notebook 03's checks pass right answers and name the mistake in wrong ones, whatever the weights are."""

import base64
import io
import json
import math
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from langchain_core.messages import HumanMessage
from PIL import Image
from torch.nn import functional as F

from helpers import checks, models
from helpers.checks import CheckFailed, nb03
from helpers.checks.answers import NotWritten
from helpers.checks.data_urls import close_pixels, same_pixels
from helpers.checks.fakes import scripted_chat, tiny_llava
from helpers.checks.nb03.messages import transparent_at_the_top
from helpers.picturebook import Scene, Thing, draw

ANSWERS = runpy.run_path(str(Path(__file__).parent / "answers" / "nb03.py"))
PICTURE = draw(Scene((Thing("boat", "yellow"),), place="sea", layout=3), size=96)
NEEDED = {"build_message": ["data_url"], "describe_as_json": ["data_url", "build_message", "parse_reply"]}


def names(**scratch):
    """What the notebook's set-up cells define, and more."""
    return {
        **{"base64": base64, "io": io, "json": json, "math": math, "re": re},
        **{"np": np, "pd": pd, "torch": torch, "F": F},
        **{"HumanMessage": HumanMessage, "Image": Image, "Path": Path, "SimpleNamespace": SimpleNamespace},
        "ASK_FOR_JSON": "Answer in JSON with description and funny_story.",
        **scratch,
    }


def function(exercise, source, **instead):
    """The student's function that a cell's text defines; other exercises' functions are right ones, or `instead`."""
    defined = names()
    for needed in NEEDED.get(exercise, ()):
        # The first right answer that takes a str of any class, as LangChain's texts are.
        exec(instead.get(needed, ANSWERS["RIGHT"][needed][0]), defined)
    exec(source, defined)
    return defined[exercise]


@pytest.fixture
def tiny(monkeypatch):
    """A LLaVA of a few random weights in place of the chat model."""

    def prepared(picture, return_tensors):
        return {"pixel_values": torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)[None] / 255}

    both = models.Loaded(tiny_llava(seed=1), SimpleNamespace(image_processor=prepared))
    monkeypatch.setattr(models, "load", lambda role: both)


@pytest.mark.parametrize("exercise", ANSWERS["RIGHT"])
def test_right_answers_pass_with_any_seed(exercise, tiny, capsys):
    check = getattr(nb03, exercise)
    for seed, source in enumerate(ANSWERS["RIGHT"][exercise]):
        answer = function(exercise, source)
        assert check(answer) is None
        assert "100 % of the points" in capsys.readouterr().out
        assert check.run(answer, seed).share == 1, check.run(answer, seed)


SAID = {  # an answer of tests/answers with a fault → words of the sentence a student reads
    ("image_tokens", "the last layer"): "tokens of the vision tower's last layer",
    ("image_tokens", "always layer -2"): "You always take layer -2",
    ("image_tokens", "class token kept"): "the class token, the first one, is still there",
    ("image_tokens", "last patch dropped, class token kept"): "left out the last patch",
    ("image_tokens", "no projector"): "The projector is missing",
    ("image_tokens", "half the projector"): r"\(GELU\) between its two layers is left out",
    ("image_tokens", "the batch is still there"): "the batch dimension is still there",
    ("image_tokens", "class token always dropped"): "the class token stays",
    ("image_tokens", "lets the model do it"): "lets the model do it",
    ("image_tokens", "layers are always counted from the end"): "You count the layers from the end",
    ("image_tokens", "a layer too late: skips the embeddings"): "one layer too late",
    ("merge_image_tokens", "nothing is written"): "still have their own vectors",
    ("merge_image_tokens", "in front of the words"): "take the placeholders' places",
    ("merge_image_tokens", "added to the placeholders"): "They should replace them",
    ("merge_image_tokens", "the first row's picture everywhere"): "Every row has the first row's image",
    ("merge_image_tokens", "the first row's places everywhere"): "first row's places",
    ("merge_image_tokens", "one row only"): "the batch dimension is missing",
    ("merge_image_tokens", "the rows' pictures mixed"): "got mixed up",
    ("merge_image_tokens", "numbers not compared"): "Count the True values of each row",
    ("merge_image_tokens", "only the sum is compared"): "rows with 3 and 5 placeholders",
    ("merge_image_tokens", "written into the words"): "changed one of its inputs",
    ("merge_image_tokens", "from the first placeholder on"): "side by side, beginning at the first placeholder",
    ("merge_image_tokens", "no gradients"): "no projector could learn",
    ("mask_labels", "nothing is masked"): "Nothing is masked",
    ("mask_labels", "the other way round"): "the other way round",
    ("mask_labels", "end inclusive"): "one token too long",
    ("mask_labels", "masked with zero"): "0 is an ordinary token id",
    ("mask_labels", "shifted by one"): "the loss shifts them itself",
    ("mask_labels", "ones for ids"): "not ones and zeros",
    ("mask_labels", "the first row's spans for all"): "Every row has the first row's spans",
    ("mask_labels", "only the first span"): "Only the first span",
    ("mask_labels", "from the first to the last reply"): "the user's words in between",
    ("mask_labels", "int32 stays"): r"convert with \.long\(\)",
    ("mask_labels", "written into the ids"): "changed one of its inputs",
    ("pixel_shuffle", "neighbours in the row only"): "also lie below each other",
    ("pixel_shuffle", "the mean of the neighbours"): "neighbours were averaged",
    ("pixel_shuffle", "parts column by column"): "Inside a block the parts come column by column",
    ("pixel_shuffle", "blocks column by column"): "The blocks come column by column",
    ("pixel_shuffle", "numbers interleaved"): "are interleaved",
    ("pixel_shuffle", "torch's pixel_unshuffle"): "are interleaved",
    ("pixel_shuffle", "tokens from far apart"): "far from each other",
    ("pixel_shuffle", "what does not fit is dropped"): "should raise a ValueError",
    ("pixel_shuffle", "torch's own errors"): "with your own message, but it raised a RuntimeError",
    ("tile", "column by column"): "come column by column",
    ("tile", "the overview last"): "The overview comes last",
    ("tile", "never an overview"): "no overview",
    ("tile", "always an overview"): "overview=False asks for the tiles alone",
    ("tile", "no overview by default"): "By default, overview=True",
    ("tile", "black bars"): "padded with black",
    ("tile", "one colour for the padding"): "padded with one colour",
    ("tile", "stretched to a multiple"): "was stretched",
    ("tile", "the rest is dropped"): "was dropped",
    ("tile", "an overview of the padded picture"): "shows the padded picture",
    ("hallucination_rate", "divided by all"): "You divide by all",
    ("hallucination_rate", "every yes counts"): "You count every yes",
    ("hallucination_rate", "the denied ones"): "Count those that are affirmed",
    ("hallucination_rate", "present ones instead of absent ones"): "Look at the absent ones",
    ("hallucination_rate", "a number instead of a share"): "Divide it by the number of absent ones",
    ("hallucination_rate", "capital letters and spaces"): r"strip\(\) and lower\(\)",
    ("hallucination_rate", "a yes anywhere"): "a yes anywhere in it",
    ("hallucination_rate", "divides by zero"): "with your own message, but it raised a ZeroDivisionError",
    ("hallucination_rate", "asks twice"): "asked more than once",
    ("data_url", "the buffer is not rewound"): "no bytes in it",
    ("data_url", "bare pixels instead of a file"): "bare pixels",
    ("data_url", "always PNG, whatever is asked"): "says JPEG, but it holds a PNG",
    ("data_url", "bytes in the string"): r"\.decode\(\)",
    ("data_url", "transparency lost"): "lost the transparency",
    ("data_url", "JPEG of a picture with transparency fails"): "cannot write mode RGBA as JPEG",
    ("data_url", "line breaks in the address"): "line breaks",
    ("data_url", "the alphabet for file names"): "URL-safe alphabet",
    ("data_url", "everything is converted in place"): "changed one of its inputs",
    ("build_message", "the address stands too high"): "one level deeper",
    ("build_message", "a dict in place of a message"): "but it returned the dict",
    ("build_message", "the address as text"): "the str 'What",
    ("build_message", "a thumbnail"): "a different picture",
    ("parse_reply", "only raw JSON"): "For a reply in a code fence",
    ("parse_reply", "from the first brace to the last"): "other braces",
    ("parse_reply", "other keys stay in"): "only the keys",
    ("parse_reply", "the error does not say which key"): "should learn which one it was",
    ("parse_reply", "no errors of its own"): "None \\(does the function end with `return`",
    ("parse_reply", "the parser's own error where there is no object"): "Expecting value: line 1",
    ("describe_as_json", "asks again without a word"): "does not say what was wrong",
    ("describe_as_json", "the picture only once"): "does not contain the picture",
    ("describe_as_json", "one try too many"): "should be asked once, but it was asked 2 times",
    ("describe_as_json", "always three tries"): "max_tries is 4, but describe_as_json gives up",
    ("describe_as_json", "asks forever"): "would go on forever: limit",
    ("describe_as_json", "gives up with None"): "should raise a ValueError, but it returned None",
    ("describe_as_json", "swallows the service's errors"): "should let that error through",
    ("compare", "the two swapped"): "are the two swapped",
    ("compare", "one error ends it all"): "ended the whole comparison",
    ("compare", "an error loses the row"): "one row for each of the 5 questions",
    ("compare", "sorted by question"): "order of the questions",
    ("compare", "a column a question"): "columns should be",
    ("compare", "the list of questions is emptied"): "changed one of its inputs",
    ("compare", "both models are asked twice"): "each of 5 questions once",
}


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault, tiny):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(nb03, exercise)(function(exercise, source))


def test_what_a_student_has_called_dict_or_json_disturbs_no_check():
    defined = names(list=["a draft"], str="a draft")
    exec(ANSWERS["RIGHT"]["data_url"][1], defined)
    defined["dict"] = {"description": "a draft"}
    assert nb03.data_url.run(defined["data_url"]).share == 1


def test_whatever_parse_reply_misses_costs_describe_as_json_nothing():
    (describe, *_) = ANSWERS["RIGHT"]["describe_as_json"]
    for fault, parse in ANSWERS["WRONG"]["parse_reply"]:
        report = nb03.describe_as_json.run(function("describe_as_json", describe, parse_reply=parse))
        lets_all_pass = fault in ("always the same", "no errors of its own")
        assert report.share == (0 if lets_all_pass else 1), f"{fault}: {report}"
        assert not lets_all_pass or "Fix parse_reply first" in str(report)


def test_describe_as_json_asks_for_a_parse_reply_that_is_not_written():
    (describe, *_) = ANSWERS["RIGHT"]["describe_as_json"]
    stub = 'def parse_reply(text):\n    raise NotImplementedError("parse_reply: put your code here")'
    with pytest.raises(NotWritten, match="parse_reply is not written yet"):
        nb03.describe_as_json(function("describe_as_json", describe, parse_reply=stub))
    report = nb03.describe_as_json.run(function("describe_as_json", describe, parse_reply="parse_reply = {}"))
    assert report.share == 0 and "run its cell first" in str(report)


def url(image, *, format="PNG", name=None, encode=base64.b64encode):
    buffer = io.BytesIO()
    (image.convert("RGB") if format == "JPEG" else image).save(buffer, format=format)
    return f"data:image/{name or format.lower()};base64,{encode(buffer.getvalue()).decode()}"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (b"data:", "the bytes b'data:'"),
        (url(PICTURE, name="PNG"), r"should start with 'data:image/png;base64,'"),
        ("data:image/png;base64,b'iVBO'", r"\.decode\(\)"),
        (url(PICTURE, encode=base64.encodebytes), "line breaks"),
        ("data:image/png;base64," + base64.urlsafe_b64encode(b"\xfb\xff" * 9).decode(), "URL-safe alphabet"),
        ("data:image/png;base64,iVBOR", "not valid base64"),
        ("data:image/png;base64,", "no bytes in it"),
        ("data:image/png;base64," + base64.b64encode(PICTURE.tobytes()).decode(), "bare pixels"),
        (url(PICTURE, format="JPEG", name="png"), "says PNG, but it holds a JPEG"),
        (url(PICTURE.resize((9, 8))), "holds a picture of 9×8 pixels"),
        (url(PICTURE.rotate(90)), "own pixels"),
    ],
)
def test_a_faulty_data_url_is_explained(address, says):
    with pytest.raises(CheckFailed, match=says):
        same_pixels(address, PICTURE, "It")


def test_lost_transparency_is_noticed_and_a_lossy_file_is_close_enough():
    clear = transparent_at_the_top(PICTURE)
    same_pixels(url(clear), clear, "It")
    with pytest.raises(CheckFailed, match="lost the transparency"):
        same_pixels(url(clear.convert("RGB")), clear, "It")
    close_pixels(url(PICTURE, format="JPEG"), PICTURE, "It", kind="JPEG")
    with pytest.raises(CheckFailed, match="looks different"):
        close_pixels(url(PICTURE.rotate(180), format="JPEG"), PICTURE, "It", kind="JPEG")


def test_tiny_models_leave_torchs_seed_alone_and_differ_by_theirs():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (tiny_llava(strategy="full", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_scripted_chat_keeps_what_it_heard_as_it_was_then():
    chat = scripted_chat(["a", "b", ConnectionError("down")])
    messages = [HumanMessage("one")]
    assert chat.invoke(messages).text == "a"
    messages.append(HumanMessage("two"))
    assert "".join(piece.text for piece in chat.stream(messages)) == "b"
    with pytest.raises(ConnectionError, match="down"):
        chat.invoke(messages)
    assert [len(heard) for heard in chat.requests] == [1, 2, 2]


def test_every_exercise_of_the_notebook_has_a_check():
    assert {*nb03.__all__} == {*ANSWERS["RIGHT"]}
    assert all(checks.nb03 is nb03 and getattr(nb03, exercise).name == exercise for exercise in ANSWERS["RIGHT"])
