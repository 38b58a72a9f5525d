"""What docs/from-older-courses.md says about older courses' code, tried with the real clients and the mini models."""

import json
import re
from pathlib import Path

import pytest
from test_serve import running

from helpers.models import load
from helpers.originals import SCENES
from helpers.picturebook import draw, parse
from helpers.pictures import data_url

PAGE = (Path(__file__).parent.parent / "docs" / "from-older-courses.md").read_text("utf-8")
JSON_REQUEST = (
    'Please analyze the following image and respond ONLY with a JSON object with two fields: 1. "description": a detailed '
    'description of the image. 2. "funny_story": a short funny story about it. Do not include any additional text.'
)
REWRITE = (
    "Please provide a more native-sounding rewrite of the user-input image generation prompt based on the following "
    "description a small red dog in a room, a red dog on a meadow"
)


@pytest.fixture(scope="module")
def endpoint():
    with running(*load("chat")) as server:
        yield server.url


@pytest.fixture(params=["groq", "nvidia"])
def chat(request, endpoint, monkeypatch):
    """A client as an older course makes it, with the name of a model that is not here."""
    from langchain_groq import ChatGroq
    from langchain_nvidia_ai_endpoints import ChatNVIDIA

    monkeypatch.setenv("NVIDIA_USAGE_TELEMETRY_ENABLED", "false")
    if request.param == "groq":
        return ChatGroq(
            model_name="meta-llama/llama-4-maverick-17b-128e-instruct", base_url=endpoint, api_key="x", temperature=0
        )
    return ChatNVIDIA(model="HuggingFaceTB/SmolVLM-Instruct", base_url=f"{endpoint}/v1", api_key="x", temperature=0)


def test_json_requests_in_older_words_get_json(chat):
    for scene in SCENES.values():
        content = [
            {"type": "text", "text": JSON_REQUEST},
            {"type": "image_url", "image_url": {"url": data_url(draw(scene))}},
        ]
        reply = json.loads(chat.invoke([("user", content)]).content)
        assert reply.keys() == {"description", "funny_story"} and scene.things[0].kind in reply["description"]


def test_a_prompt_is_rewritten_after_its_neighbours(chat):
    scene = parse(chat.invoke(REWRITE).content)
    assert scene.things[0].kind == "dog"


def test_the_lines_in_place_of_the_pipeline_answer(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent)
    (lines,) = (code for code in _code_blocks() if "ViltProcessor" in code)
    exec(lines, names := {})
    answer, score = names["answer"](draw(SCENES["car_at_sunset.png"]), "What colour is the car?")
    assert answer == "red" and 0 < score <= 1


def test_cutting_at_question_leaves_nothing_unless_the_prompt_goes_first():
    model, processor = load("blip2")
    (lines,) = (code for code in _code_blocks() if "removeprefix" in code)
    *setup, cut, mended = lines.strip().splitlines()
    names = {"model": model, "processor": processor, "image": draw(SCENES["car_at_sunset.png"])}
    exec("\n".join(setup), names | {"question": "What colour is the car?"}, found := {})
    assert eval(cut, found) == ""
    assert eval(mended, found) == "red"


def _code_blocks():
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
