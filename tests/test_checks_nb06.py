"""Notebook 06's checks pass right answers and name the mistake in wrong ones; its fakes, stories and records."""

import hashlib
import re
import runpy
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from course.build import read_solution
from helpers import checks, clip, stories
from helpers.checks import CheckFailed
from helpers.checks.answers import NotWritten
from helpers.checks.fakes import (
    FakeGenerator,
    Reply,
    ToolUse,
    as_base64,
    drawn_by_web_ui,
    fake_web_ui,
    recorded_display,
    scripted_chat,
)
from helpers.picturebook import parse
from helpers.records import show_record

ROOT = Path(__file__).parent.parent
ANSWERS = runpy.run_path(str(ROOT / "tests" / "answers" / "nb06.py"))
CELLS = read_solution(ROOT / "solutions" / "06_generation_pipeline.py").cells


def vector(thing):
    """A vector of length 1 that differs for different texts and pictures, in place of CLIP's."""
    data = thing.encode() if isinstance(thing, str) else thing.tobytes()
    seed = int.from_bytes(hashlib.sha256(data).digest()[:4], "big")
    found = np.random.default_rng(seed).normal(size=16).astype(np.float32) + 1
    return found / np.linalg.norm(found)


@pytest.fixture(autouse=True)
def small_clip(monkeypatch):
    for name in ("embed_texts", "embed_images"):
        monkeypatch.setattr(clip, name, lambda things: np.stack([vector(thing) for thing in things]))


def function(exercise, source):
    """The student's function that a cell's text defines, after the notebook's set-up and with the other exercises solved."""
    names = {}
    for cell in CELLS:
        if "exercise" in cell.metadata or cell.metadata.get("locked", "fetch_course") != "fetch_course":
            exec(cell.source, names)
    exec(source, names)
    return names[exercise]


def faulty(exercise, fault):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    return function(exercise, source)


@pytest.mark.parametrize("exercise", checks.nb06.__all__)
def test_the_solution_passes_with_any_seed_and_cases_are_worth_what_they_should(exercise):
    cases = getattr(checks.nb06, exercise).cases
    assert sum(case.share for case in cases) == 100
    assert 60 <= sum(case.share for case in cases if case.core) <= 70
    assert all(case.share >= 20 for case in cases if case.core)
    (source,) = (cell.source for cell in CELLS if cell.metadata.get("exercise") == exercise)
    for seed in ("visible", 1, 2):
        assert getattr(checks.nb06, exercise).run(function(exercise, source), seed).failed == []


SAID = {  # a wrong answer of tests/answers → words of a sentence that a student reads
    ("txt2img", "the seed is forgotten"): "The request should have 'seed'",
    ("txt2img", "a field called n, which no web UI knows"): '"batch_size": 2, but it asks for 1',
    ("txt2img", "one request a picture, all with the same seed"): '"batch_size": 2, but it asks for 1',
    ("txt2img", "an empty list in place of an error"): "should raise a RuntimeError, but it returned the list",
    ("txt2img", "no look at the status"): "should say what is wrong",
    (
        "txt2img",
        "raise_for_status, whose error is the library's own and without the server's words",
    ): "should repeat what the server says",
    (
        "txt2img",
        "the timeout is not handed on",
    ): "takes three seconds, with timeout=0.4, your function should raise a RuntimeError",
    (
        "txt2img",
        "gives up after half a second, whatever timeout says",
    ): "after 1.2 seconds, but txt2img raised",
    ("txt2img", "one sentence for all that can go wrong"): "it mentions JSON",
    ("txt2img", "a slash too many in the address"): "it answered 404: there is nothing at //sdapi",
    (
        "txt2img",
        "posts to the bare address, and takes what comes for an answer",
    ): "it answered 404: there is nothing at /; pictures are drawn at",
    ("txt2img", "the buffer is not rewound"): r"only after \.seek\(0\)",
    ("txt2img", "the picture's head is read and its pixels never looked at"): "a file that is cut off in place of",
    ("txt2img", "more pictures than asked for are cut off"): "9 pictures where 7 were asked for",
    (
        "txt2img",
        "where too few or too many pictures come, the server's name is told, and no number",
    ): "7 pictures where 9 were asked for, the RuntimeError should say",
    ("txt2img", "not JSON is taken for nobody there"): "which is not JSON, the RuntimeError should say what is wrong",
    ("txt2img", "the dict is sent as a form"): "it answered 415: the header Content-Type should be application/json",
    ("txt2img", "JSON whose header does not say so"): "it answered 415: the header Content-Type",
    ("get_text", "every word counts the same"): "The rarer word counts more",
    ("get_text", "log without the one"): r"is the 1 in log\(1 \+ …\)",
    ("get_text", "the first text, whatever the keywords"): "Only one text has this word",
    ("get_text", "the chat model is never asked"): "should be asked once, but it was asked 0 times",
    (
        "get_text",
        "the first text where nothing is found",
    ): "none of which is in any text, your function should raise a ValueError",
    ("get_text", "the template is filled first, and then its braces are read"): "missing variables",
    ("image_prompt", "the text is cut to what CLIP reads"): "The whole text should be in the request",
    ("image_prompt", "the words of the request are lost"): "should ask for a prompt",
    ("image_prompt", "curly quotes stay, as in an old hint"): "From the reply '“",
    (
        "image_prompt",
        "an empty prompt in place of an error",
    ): "in which there is no prompt, your function should raise a ValueError",
    ("rate_image", "a distance"): "This is a distance",
    ("rate_image", "percent"): "turn it into a percentage",
    ("rate_image", "an array"): "should be a float, but it is an ndarray",
    ("rate_image_by_caption", "the text against the picture"): "compare it with the picture's caption",
    ("rate_image_by_caption", "the caption against the picture"): "compare it with the text",
    ("rate_image_by_caption", "captioned once to see it, once to rate it"): "but there were 2 calls",
    ("best_of_n", "rated by the prompt"): "as the text, but it got",
    ("best_of_n", "seeds from 1"): r"the seeds were \[1\]",
    ("best_of_n", "the same seed each time"): "3 different pictures should be drawn, but there was one",
    ("best_of_n", "the last of equals wins"): "The first of equals wins",
    (
        "best_of_n",
        "max of nothing raises by itself, with words that help nobody",
    ): "your own message, which names n or its value",
    ("until_accepted", "all are drawn before one is looked at"): "Stop after 1 try; you drew 3 pictures",
    ("until_accepted", "nobody is told"): "nothing was printed",
    ("until_accepted", "says that it gives up, but not after how many tries"): "after how many tries it gave up",
    ("until_accepted", "says so also when the last try was good"): "is also printed when none is",
    ("picture_agent", "no limit"): "8 of these calls were carried out. Stop after 6",
    ("picture_agent", "five calls in place of six"): "should be carried out, but there were 5",
    ("picture_agent", "the seventh call is refused, and the model goes on for ever"): "limit the number of requests",
    ("picture_agent", "an error at the seventh call"): "end with a message instead",
    ("picture_agent", "the same seed each time"): "All pictures were drawn with the seed 0",
    (
        "picture_agent",
        "seeds from 1",
    ): r"The seeds should be 0, 1, 2 and 3, in this order, but they were \[1, 2, 3, 4\]",
    ("picture_agent", "the model gets the picture"): "Return the id, not the picture",
    ("picture_agent", "the judge gets the id"): "then the picture itself, not its id",
    ("picture_agent", "always the last picture is rated"): "a rating of p1, but rate got p2",
    ("picture_agent", "pictures of all agents in one place"): "a picture that this agent has not drawn",
    ("picture_agent", "rated by the prompt"): ", the prompt",
    ("picture_agent", "the score stays with the tool"): "should read its score",
    ("picture_agent", "tools of other names"): "rate is not a valid tool",
    ("picture_agent", "a parameter of another name"): "by these names",
    ("picture_agent", "a KeyError for an unknown id"): "which was never drawn. The agent raised a KeyError",
    ("picture_agent", "the number is read while another picture is drawn"): "Take the number before you draw",
    ("picture_agent", "a function in place of an agent"): "should return an agent that create_agent has made",
    ("run_pipeline", "rated by the story"): "as the text, but it got",
    ("run_pipeline", "only the picture is returned"): "should return a dict",
    ("run_pipeline", "nothing is shown"): "but 0 figures were shown",
    ("run_pipeline", "shown twice"): "but 2 figures were shown",
    ("run_pipeline", "nothing is drawn"): "should have 'second_score', but its keys are|pictures should be drawn",
}


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault):
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(checks.nb06, exercise)(faulty(exercise, fault))


@pytest.mark.parametrize("exercise", checks.nb06.__all__)
def test_an_exercise_that_is_not_written_yet_is_named(exercise):
    def stub(*_, **__):
        raise NotImplementedError(f"{exercise}: put your code here")

    with pytest.raises(NotWritten, match=f"^{exercise} is not written yet"):
        getattr(checks.nb06, exercise)(stub)


# -- the fakes


def test_the_fake_web_ui_draws_as_asked_and_refuses_what_the_web_ui_refuses():
    with fake_web_ui(prefix="data:image/png;base64,") as ui:
        path = f"{ui.address}/sdapi/v1/txt2img"
        found = httpx.post(path, json={"prompt": "x", "seed": 4, "batch_size": 2, "n_iter": 2}).json()
        assert found["images"] == [
            f"data:image/png;base64,{as_base64(drawn_by_web_ui('x', seed))}" for seed in (4, 5, 6, 7)
        ]
        assert httpx.post(path, json={"prompt": "x", "steps": "20"}).status_code == 422
        assert httpx.post(path, json=["x"]).status_code == 422
        assert httpx.post(path, content=b"x", headers={"Content-Type": "application/json"}).status_code == 422
        assert httpx.post(path, content=b'{"prompt": "x"}').status_code == 415
        assert httpx.get(path).status_code == 405
        assert httpx.post(f"{ui.address}//sdapi/v1/txt2img", json={"prompt": "x"}).status_code == 404
    assert [request["prompt"] for request in ui.requests] == ["x", "x"]
    assert [refusal[:4] for refusal in ui.refusals] == ["422:", "422:", "422:", "415:", "405:", "404:"]
    with fake_web_ui(Reply(b"busy", 503)) as ui:
        assert httpx.get(ui.address).text == "busy"


def test_the_fake_generator_gives_scores_in_the_order_in_which_pictures_are_drawn():
    fake = FakeGenerator([0.5, 0.25])
    one, other = fake.generate("x", seed=7), fake.generate("x", seed=1)
    assert fake.generate("x", seed=7) is one
    assert fake.images == [one, other]
    assert [fake.rate("y", image) for image in (other, one, one.copy())] == [0.25, 0.5, 0.25]
    assert [drawn.seed for drawn in fake.drawn] == [7, 1, 7]
    assert [(rated.text, rated.score) for rated in fake.rated] == [("y", 0.25), ("y", 0.5), ("y", 0.25)]


def test_the_scripted_model_calls_tools_with_a_message_of_its_own_each_time():
    calls = [ToolUse("draw", {"prompt": "x"}), ToolUse("rate", {"picture_id": "p1", "text": "y"})]
    chat = scripted_chat(["Yes?", calls]).bind_tools([])
    said = [chat.invoke("Draw.") for _ in range(3)]
    assert said[0].text == "Yes?" and not said[0].tool_calls
    assert [[call["name"] for call in message.tool_calls] for message in said[1:]] == [["draw", "rate"]] * 2
    assert said[1].id != said[2].id and len({call["id"] for message in said for call in message.tool_calls}) == 4


# -- records and stories


def test_a_record_is_shown_with_alt_text_and_what_it_holds_stays_text():
    image = Image.new("RGB", (8, 8))
    record = {"keywords": "cat", "text": "<b>a story</b>", "prompt": 'a "cat"', "image": image, "score": 0.5}
    with recorded_display() as shown:
        show_record({**record, "scores": [0.25, 0.5]})
    (page,) = (each.data for each in shown)
    assert "&lt;b&gt;a story" in page and 'alt="the picture that was drawn for: a &quot;cat&quot;"' in page
    assert "0.250 · <strong>0.500</strong>" in page and "second judge" not in page


def test_every_story_begins_with_something_that_can_be_drawn():
    read = stories.read()
    assert len(read) == len(set(read)) == 46
    for story in read:
        subject = re.search(r"(?:time|day|Monday|ago) (.*?) wanted", story)[1]
        assert parse(subject).total, story
        assert "\n" not in story and 100 < len(story) < 200


def test_words_are_small_single_and_without_signs():
    assert stories.words("Two Boxes, by the SEA; cats' brushes!") == ["two", "box", "by", "the", "sea", "cat", "brush"]
    assert stories.words("the grass is his") == ["the", "grass", "is", "his"]
