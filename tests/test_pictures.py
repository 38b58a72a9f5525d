"""GET /pictures/<id>.png: the url of a made prompt leads to its picture."""

import io
from itertools import islice
from urllib.parse import urlsplit

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from course.serve.app import create_app
from helpers.collection import made_prompts
from helpers.picturebook import draw, parse

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def http():
    app = create_app(engine=None, model_id="none")
    return TestClient(app, base_url="http://127.0.0.1")  # its lifespan, which needs a model, is not entered


def test_a_made_prompts_url_leads_to_its_picture(http):
    for row in islice(made_prompts(seed=3), 5):
        address = urlsplit(row["url"])
        answer = http.get(f"{address.path}?{address.query}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert "max-age" in answer.headers["cache-control"]
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == (row["width"], row["height"])
        assert np.array_equal(np.asarray(picture), np.asarray(draw(parse(row["prompt"]), 128)))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("prompt=a quantum cat", "This prompt can't be drawn: 'a quantum cat' names no place"),
        ("prompt=" + "a red cat, " * 100, "In 'prompt': String should have at most 500 characters"),
        ("", "In 'prompt': Field required"),
        ("prompt=../../etc/passwd", "This prompt can't be drawn"),
    ],
)
def test_what_can_not_be_drawn_is_told(http, query, sentence):
    answer = http.get(f"/pictures/0.png?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"].startswith(sentence) and error["param"] == "prompt"


def test_a_name_can_not_leave_its_folder(http):
    assert http.get("/pictures/a%2Fb.png?prompt=a red cat on a meadow").status_code == 404
