"""Notebook 06's checks pass right answers and name the mistake in wrong ones; its stories and records."""

import base64
import io
import math
import re

import httpx
import pytest
from PIL import Image

from helpers import stories
from helpers.checks import CheckFailed, nb06
from helpers.picturebook import parse
from helpers.records import show_record


def fetch(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    path = "/sdapi/v1/txt2img"
    request = {"prompt": prompt, "steps": steps, "seed": seed, "batch_size": n}
    try:
        answer = httpx.post(url.rstrip("/").removesuffix(path) + path, json=request, timeout=timeout)
        images = answer.json()["images"] if answer.status_code == 200 else []
        images = [Image.open(io.BytesIO(base64.b64decode(each.split(",")[-1]))).convert("RGB") for each in images]
    except httpx.TimeoutException as error:
        raise RuntimeError(f"{url} took longer than {timeout} seconds") from error
    except Exception as error:
        raise RuntimeError(f"{url}: {error} (no JSON or image)") from error
    if len(images) != n:
        raise RuntimeError(f"{answer.status_code}, {len(images)} of {n} images: {answer.text}")
    return images


def test_a_right_txt2img_passes_every_part(capsys):
    nb06.txt2img(fetch)
    assert "hidden tests decide" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *a, **k: fetch(*a, **{**k, "seed": 1}), "'seed': 40"),
        (lambda *a, **k: fetch(*a, **k)[::-1], "Picture 0 is not the one"),
        (lambda *a, **k: fetch(*a, **k)[0], "a list of 2 PIL pictures"),
        (lambda *a, **k: [fetch(*a, **{**k, "n": 1})[0] for _ in "12"], '"batch_size": 2; it asks for 1'),
    ],
)
def test_faulty_drawing_is_explained(answer, says):
    with pytest.raises(CheckFailed, match=says):
        nb06.draws(answer, nb06.PROMPT, steps=6, seed=40, n=2)


def test_a_slash_too_many_in_the_address_is_noticed():
    def sloppy(prompt, *, url):
        raise RuntimeError(httpx.post(f"{url}/sdapi/v1/txt2img", json={"prompt": prompt}).text)

    with pytest.raises(RuntimeError, match="there is nothing at //sdapi"):
        nb06.draws(sloppy, nb06.PROMPT, ending="/")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (None, "should raise a RuntimeError, but it returned"),
        (KeyError("images"), "there came a KeyError"),
        (RuntimeError("It did not work."), "'404' should stand in it"),
    ],
)
def test_an_error_that_helps_nobody_is_explained(error, says):
    def answer(prompt, *, url, n):
        if error:
            raise error
        return []

    with pytest.raises(CheckFailed, match=says):
        nb06.refuses(answer, nb06.Reply(b"", 404), "a server that answers 404", ["404"])


def test_an_unfinished_function_stays_unfinished():
    def stub(prompt, *, url, n):
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        nb06.refuses(stub, nb06.Reply(b"", 404), "x", ["404"])


def search(keywords, *, texts, chat=None, weight=lambda n, total: math.log(1 + total / n)):
    wanted = set(stories.words(keywords if isinstance(keywords, str) else " ".join(keywords)))
    bags = [wanted & set(stories.words(text)) for text in texts]
    if not any(bags):
        raise ValueError("nothing found")
    scores = [sum(weight(sum(word in bag for bag in bags), len(texts)) for word in bag) for bag in bags]
    found = texts[scores.index(max(scores))]
    return chat.invoke(f"{keywords} {found}").text.strip() if chat else found


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *a, **k: search(*a, **k, weight=lambda n, total: n), "the rarer word counts more"),
        (lambda *a, texts, **k: search(*a, texts=texts, **k) and texts[0], "Only one text has this word"),
        (lambda *a, texts, chat=None: search(*a, texts=texts), "should be asked once, but it was asked 0 times"),
        (lambda keywords, *, texts, chat=None: search(keywords or "dog", texts=texts, chat=chat), "occur in no text"),
    ],
)
def test_faulty_search_is_explained(answer, says):
    nb06.get_text(search)
    with pytest.raises(CheckFailed, match=says):
        nb06.get_text(answer)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda chat, text: chat.invoke(f"prompt {text}"), "Of a message, .text is the text"),
        (lambda chat, text: chat.invoke(f"prompt {text}").text, "should be made, but it was"),
        (lambda chat, text: chat.invoke(f"prompt {text[:9]}").text, "The whole text should be in the request"),
        (lambda chat, text: chat.invoke(text).text, "should say that a prompt is wanted"),
    ],
)
def test_faulty_prompts_are_explained(answer, says):
    with pytest.raises(CheckFailed, match=says):
        nb06.image_prompt(answer)


def choose(text, prompt, n, *, generate, rate):
    if n < 1:
        raise ValueError(f"n={n}")
    images = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], scores


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *a, **k: choose(*a, **k)[0], "three things"),
        (lambda t, p, n, **k: choose(p, p, n, **k), "rate should get the text"),
        (lambda t, p, n, **k: choose(t, p, n + 1, **k), "the seeds are 0 to 2"),
        (lambda t, p, n, **k: choose(t, p, max(n, 1), **k), "should raise a ValueError, but it returned"),
        (lambda t, p, n, *, generate, rate: (generate(p, seed=0), rate(t, generate(p, seed=0)), [0]), "the seeds were"),
    ],
)
def test_faulty_choosing_is_explained(answer, says):
    nb06.best_of_n(choose)
    with pytest.raises(CheckFailed, match=says):
        nb06.best_of_n(answer)


def draw_until(text, prompt, threshold, max_tries, *, generate, rate, tell=print):
    for n in range(1, max_tries + 1):
        image, score, scores = choose(text, prompt, n, generate=generate, rate=rate)
        if score >= threshold:
            return image, score, scores
    tell(f"{max_tries} tries were not enough")
    return image, score, scores


def test_drawing_again_what_was_drawn_before_and_giving_up_in_silence_are_noticed():
    with pytest.raises(CheckFailed, match="it should end there, after 2 tries; yours drew 3"):
        nb06.until_accepted(draw_until)
    with pytest.raises(CheckFailed, match="nobody was told"):
        nb06.runs_out(lambda t, p, _, n, **k: choose(t, p, n, **k), [0.1, 0.2], 0.5)
    with pytest.raises(CheckFailed, match="after how many tries"):
        nb06.runs_out(lambda t, p, _, n, **k: (print("Sorry."), choose(t, p, n, **k))[1], [0.1, 0.2], 0.5)
    nb06.runs_out(lambda t, p, _, n, **k: (print(f"{n} tries"), choose(t, p, n, **k))[1], [0.1, 0.2], 0.5)


def run(keywords, *, n, chat, generate, rate, second, missing=(), show=show_record):
    text = search(keywords, texts=stories.read())
    prompt = chat.invoke(f"prompt {text}").text
    image, score, scores = choose(prompt, prompt, n, generate=generate, rate=rate)
    record = {"keywords": keywords, "text": text, "prompt": prompt, "image": image, "score": score, "scores": scores}
    record["second_score"] = second(prompt, image)
    show(record)
    return {key: value for key, value in record.items() if key not in missing}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"missing": ["scores"]}, "'scores' is missing"),
        ({"show": lambda record: None}, "there were 0 with a picture"),
        ({"show": lambda record: show_record({**record, "text": ""})}, "does not show the record's text"),
    ],
)
def test_a_faulty_record_is_explained(changes, says):
    nb06.run_pipeline(run)
    with pytest.raises(CheckFailed, match=says):
        nb06.run_pipeline(lambda *a, **k: run(*a, **k, **changes))


def test_a_record_is_shown_with_alt_text_and_what_it_holds_stays_text():
    image = Image.new("RGB", (8, 8))
    record = {"keywords": "cat", "text": "<b>a story</b>", "prompt": 'a "cat"', "image": image, "score": 0.5}
    with nb06.displayed() as pages:
        show_record({**record, "scores": [0.25, 0.5]})
    (page,) = pages
    assert "&lt;b&gt;a story" in page and 'alt="the picture that was drawn for: a &quot;cat&quot;"' in page
    assert "0.250 · <strong>0.500</strong>" in page and "second judge" not in page


# -- the stories


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
