"""Visible checks of notebook 06, A generation pipeline: one function an exercise, named like it.

The functions of this notebook talk to others: to a chat model, to a server that draws, to judges. So the checks give them
partners whose part is written down here, and listen to what they are asked.
"""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from helpers.checks import CheckFailed, described, expect, passed
from helpers.checks.standins import Reply, Request, chat_says, data_url, scripted_chat, text_of, web_server

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "best_of_n",
    "get_text",
    "image_prompt",
    "rate_image",
    "rate_image_by_caption",
    "run_pipeline",
    "txt2img",
    "until_accepted",
]

PROMPT = "a small red cat, in a room"

# ---------------------------------------------------------------- txt2img


@dataclass
class Server:
    """A server that plays the web UI; `heard` has the bodies of its requests, as dicts."""

    address: str
    heard: list[dict] = field(default_factory=list)


def txt2img(fn: Callable) -> None:
    """Check `txt2img(prompt, url=…, …)` with a small server that plays the web UI, well and badly, and with the real one."""
    draws(fn, PROMPT, steps=6, seed=40, n=2)
    draws(fn, PROMPT, prefix="data:image/png;base64,", ending="/")
    draws(fn, PROMPT, ending="/sdapi/v1/txt2img")
    picture = encoded(painted("x", 1))
    for reply, what, words in (
        (Reply(b"<html>Not Found</html>", 404), "a server that answers 404", ["404"]),
        (
            Reply(b'{"detail": [{"loc": ["body", "steps"], "msg": "should be at most 150", "type": "x"}]}', 422),
            "a server that answers 422 and says why",
            ["422", "should be at most 150"],
        ),
        (Reply(b'{"error": "OutOfMemoryError"}', 500), "a server that answers 500", ["500"]),
        (Reply(b"<html>Welcome</html>"), "an answer that is not JSON", ["json"]),
        (Reply(b'{"detail": "busy"}'), 'JSON without "images"', ["image"]),
        (Reply(json.dumps({"images": [base64.b64encode(b"no").decode()]}).encode()), "no picture", ["picture|image"]),
        (Reply(json.dumps({"images": ["&&&&"]}).encode()), "a picture that is no base64", ["picture|image"]),
        (Reply(json.dumps({"images": [picture]}).encode()), "one picture where two were asked for", ["1|one"]),
    ):
        refuses(fn, reply, what, words, n=2)
    said = refuses(
        fn,
        Reply(b"", wait=8),
        "a server that is silent for longer than timeout=0.5",
        ["tim|second|too long|slow"],
        timeout=0.5,
    )
    expect(
        "json" not in said.lower(),
        f"When the time is over, the error should say that and nothing else; JSON has no part in it: {said[:200]!r}",
    )
    away(fn)
    _really_draws(fn)
    passed("txt2img")


def draws(fn: Callable, prompt: str, *, prefix: str = "", ending: str = "", n: int = 1, **options) -> None:
    """Raise `CheckFailed` unless the function asks for the right pictures and returns them.

    `prefix` stands before each picture in the answer; `ending` at the end of the server's address.
    """
    from PIL import Image

    options = options | ({"n": n} if n != 1 else {})
    with web_ui(prefix=prefix) as server:
        result = fn(prompt, url=server.address + ending, **options)
    expect(bool(server.heard), "txt2img sent no request to the server.")
    request = server.heard[-1]
    expect(
        request.get("prompt") == prompt,
        f"The request's prompt should be {prompt!r}, but this came: {described(request)}.",
    )
    for name, wanted in (("steps", options.get("steps", 20)), ("seed", options.get("seed", 0))):
        expect(
            type(request.get(name)) is int and request[name] == wanted,
            f"The request should have {name!r}: {wanted}, but it is {described(request)}. What is left out takes the "
            "server's own value.",
        )
    count = request.get("batch_size", 1) * request.get("n_iter", 1)
    expect(count == n, f'n={n} pictures were wanted: the request should have "batch_size": {n}; it asks for {count}.')
    expect(len(server.heard) == 1, f"One request draws all {n} pictures; yours were {len(server.heard)}.")
    kinds = [type(picture).__name__ for picture in result] if isinstance(result, list) else type(result).__name__
    expect(
        isinstance(result, list) and all(isinstance(picture, Image.Image) for picture in result) and len(result) == n,
        f"txt2img should return a list of {n} PIL picture{'s' * (n > 1)}, but it returned {kinds}.",
    )
    for i, picture in enumerate(result):
        right = painted(prompt, request["seed"] + i)
        expect(
            picture.size == right.size and picture.convert("RGB").tobytes() == right.tobytes(),
            f"Picture {i} is not the one that the server sent as number {i}.",
            yours=picture.convert("RGB"),
            expected=right,
            alt=f"the picture that the server sent as number {i}",
        )


def refuses(fn: Callable, reply: Reply, what: str, words: Sequence[str], *, n: int = 1, **options) -> str:
    """Raise `CheckFailed` unless the reply makes the function raise a RuntimeError in whose sentence all words stand.

    A word may give choices, as in "picture|image". Gives the sentence.
    """
    with web_ui(reply) as server:
        said = _complaint(fn, server.address, what, n=n, **options)
    missing = [word for word in words if not re.search(word, said, re.IGNORECASE)]
    expect(
        not missing,
        f"For {what} the error should tell what happened: {' and '.join(map(repr, missing))} should stand in it, "
        f"but it says {said[:200]!r}.",
    )
    return said


def away(fn: Callable) -> None:
    """Raise `CheckFailed` unless the function says, in a RuntimeError, at which address nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = _complaint(fn, f"http://127.0.0.1:{port}", "an address where nobody listens")
    expect(
        str(port) in said,
        f"When nobody answers, the error should name the address that was tried, but it says {said[:200]!r}.",
    )


def _complaint(fn: Callable, address: str, what: str, **options) -> str:
    """What the RuntimeError says that the function must raise."""
    try:
        result = fn(PROMPT, url=address, **options)
    except NotImplementedError:
        raise
    except RuntimeError as error:
        return str(error)
    except (AssertionError, AttributeError, NameError, TypeError, SyntaxError):
        raise  # a slip in the code, not an answer about the server
    except Exception as error:
        raise CheckFailed(
            f"For {what} txt2img should raise a RuntimeError with a sentence of your own, but there came a "
            f"{type(error).__name__}: {str(error)[:150]}"
        ) from None
    raise CheckFailed(f"For {what} txt2img should raise a RuntimeError, but it returned {described(result)}.")


def _really_draws(fn: Callable) -> None:
    """Try the function on the course's endpoint, if it is running."""
    from helpers import endpoint
    from helpers.errors import PlainError
    from helpers.settings import settings

    def is_there() -> bool:
        try:
            return bool(endpoint.served_at(settings.endpoint))
        except PlainError:
            return False

    if not is_there():
        return
    try:
        one, two = fn(PROMPT, url=settings.endpoint, steps=2, seed=1, n=2)
    except RuntimeError:
        if is_there():
            raise
        return  # it ended meanwhile, with the notebook that had started it
    expect(one.size == two.size and one.tobytes() != two.tobytes(), "Two pictures of one request should differ.")


def painted(prompt: str, seed: int) -> Image.Image:
    """The picture that the little server "draws": a field of colours that follow from prompt and seed."""
    from random import Random

    from PIL import Image

    rng = Random(f"{prompt} {seed}")
    return Image.frombytes("RGB", (16, 12), rng.randbytes(16 * 12 * 3))


def encoded(image: Image.Image) -> str:
    """The picture as a PNG file in base64."""
    return data_url(image).partition(",")[2]


@contextmanager
def web_ui(reply: Reply | None = None, *, prefix: str = "") -> Iterator[Server]:
    """Run a server on this computer that plays the web UI's txt2img; with a `reply` it always answers that.

    Else it draws `painted` pictures, and refuses what the web UI would refuse.
    """
    server = Server("")

    def answer(request: Request) -> Reply:
        return reply or _answer(request, server, prefix)

    with web_server(answer) as server.address:
        yield server


def _answer(request: Request, server: Server, prefix: str) -> Reply:
    def refusal(status: int, message: str) -> Reply:
        return Reply(json.dumps({"detail": message}).encode(), status)

    if request.path != "/sdapi/v1/txt2img":
        return refusal(404, f"there is nothing at {request.path}; pictures are drawn at /sdapi/v1/txt2img")
    if request.method != "POST":
        return refusal(405, "pictures are drawn for POST alone")
    try:
        wanted = json.loads(request.body)
    except ValueError:
        return refusal(422, "the request's body is not JSON (send it with json=…)")
    server.heard.append(wanted)
    whole = {name: wanted.get(name, 1) for name in ("seed", "steps", "batch_size", "n_iter")}
    wrong = [name for name, value in whole.items() if type(value) is not int or value < (name != "seed")]
    if wrong or not isinstance(wanted.get("prompt"), str):
        return refusal(422, f"bad value of {', '.join(wrong) or 'prompt'}")
    seeds = range(whole["seed"], whole["seed"] + whole["batch_size"] * whole["n_iter"])
    images = [prefix + encoded(painted(wanted["prompt"], seed)) for seed in seeds]
    return Reply(json.dumps({"images": images, "parameters": wanted, "info": "{}"}).encode())


# ---------------------------------------------------------------- get_text

TEXTS = (
    "In the catalogue there was a dog.",
    "The small cat saw a dog. The dog saw the cat, and the cat saw a cat.",
    "Two boxes by the sea: a dog was in one of them.",
    "A dog on mars.",
    "The dog of the house wears a small hat, and the dog is in a room.",
)


def get_text(fn: Callable) -> None:
    """Check `get_text(keywords, texts=…, chat=…)` on five little texts, and with a chat model whose reply is known."""
    texts = list(TEXTS)
    for keywords, right, hint in (
        (["mars"], 3, "Only one text has this word."),
        (["cat"], 1, "Look for whole words: there is no cat in a catalogue."),
        (
            "Sea, BOX",
            2,
            "Keywords may come in one string, in capital letters, and in the singular: stories.words helps.",
        ),
        (["dog", "small", "mars"], 3, "Two texts have the word small, one has mars: the rarer word counts more."),
        (["dog", "small"], 1, "Two texts have both words; the first of equals wins."),
        (["cat", "room", "house"], 4, "Each keyword counts once for a text, however often it stands there."),
    ):
        finds(fn, keywords, texts, texts[right], hint)
    for keywords in (["giraffe"], [], " , "):
        finds_nothing(fn, keywords, texts)
    writes(fn, ["mars", "dog"], texts, texts[3], "  Rex {the dog} flew to mars.\n")
    passed("get_text")


def finds(fn: Callable, keywords, texts: Sequence[str], right: str, hint: str = "") -> None:
    """Raise `CheckFailed` unless just this text is found."""
    given = list(texts)
    result = fn(keywords, texts=given)
    expect(given == list(texts), "get_text changed the list of texts that it was given.")
    expect(
        result == right,
        f"For the keywords {keywords!r} the text {right!r} should be found, but it was {described(result)}. {hint}",
    )


def finds_nothing(fn: Callable, keywords, texts: Sequence[str]) -> None:
    """Raise `CheckFailed` unless the keywords, none of which is in a text, make a ValueError."""
    try:
        result = fn(keywords, texts=list(texts))
    except ValueError:
        return
    except Exception as error:
        raise CheckFailed(
            f"For the keywords {keywords!r}, none of which occurs in a text, there should be a ValueError, but there "
            f"came a {type(error).__name__}: {error}"
        ) from None
    raise CheckFailed(
        f"The keywords {keywords!r} occur in no text: get_text should raise a ValueError, but it returned {result!r}."
    )


def writes(fn: Callable, keywords: Sequence[str], texts: Sequence[str], found: str, reply: str) -> None:
    """Raise `CheckFailed` unless the chat model is asked once, with keywords and found text, and its reply returned."""
    chat = scripted_chat([reply])
    result = fn(list(keywords), texts=list(texts), chat=chat)
    expect(len(chat.heard) == 1, f"The chat model should be asked once, but it was asked {len(chat.heard)} times.")
    request = text_of(chat.heard[0])
    for keyword in keywords:
        expect(keyword.lower() in request.lower(), f"The keyword {keyword!r} is not in the request: {request!r}")
    expect(found in request, f"The text that was found, {found!r}, should be in the request; it is {request!r}")
    expect(
        result == reply.strip(),
        f"With a chat model get_text should return its reply, {reply.strip()!r}, but it returned {described(result)}.",
    )


# ---------------------------------------------------------------- image_prompt


def image_prompt(fn: Callable) -> None:
    """Check `image_prompt(chat, text)` with a chat model whose replies, plain and chatty, are written down here."""
    text = "One day a small {red} cat in a room wanted to read.\nIt fell asleep."
    for reply in (
        PROMPT,
        f"  {PROMPT}\n",
        f'"{PROMPT}"',
        f"Prompt: {PROMPT}",
        f"1. {PROMPT}\n2. a dog, at night",
        f"Here is your image prompt:\n\n{PROMPT}\n\nI hope you like it!",
        f"```\n{PROMPT}\n```",
    ):
        makes_prompt(fn, text, reply, PROMPT)
    makes_prompt(fn, text, "2 red cats: a portrait", "2 red cats: a portrait")
    says_nothing(fn, text, ' \n""\n')
    passed("image_prompt")


def makes_prompt(fn: Callable, text: str, reply: str, right: str) -> None:
    """Raise `CheckFailed` unless the chat model is given the text, and just this prompt is made of its reply."""
    chat = scripted_chat([reply])
    result = fn(chat, text)
    expect(len(chat.heard) == 1, f"The chat model should be asked once, but it was asked {len(chat.heard)} times.")
    request = text_of(chat.heard[0])
    expect(text in request, f"The whole text should be in the request. The text: {text!r}; the request: {request!r}")
    expect("prompt" in request.lower(), f"The request should say that a prompt is wanted, but it is {request!r}.")
    expect(
        isinstance(result, str),
        f"image_prompt should return a string, but it returned {described(result)}. Of a message, .text is the text.",
    )
    expect(result == right, f"Of the reply {reply!r} the prompt {right!r} should be made, but it was {result!r}.")


def says_nothing(fn: Callable, text: str, reply: str) -> None:
    """Raise `CheckFailed` unless a reply without words makes a ValueError."""
    try:
        result = fn(scripted_chat([reply]), text)
    except ValueError:
        return
    raise CheckFailed(
        f"There is no prompt in the reply {reply!r}: raise a ValueError, before a picture is drawn of {result!r}."
    )


# ---------------------------------------------------------------- the two judges


def rate_image(fn: Callable) -> None:
    """Check `rate_image(text, image)` against CLIP's cosine, for a text that fits and one that doesn't."""
    for text in (PROMPT, "a large blue boat, by the sea"):
        rates(fn, text, picture())
    passed("rate_image")


def rates(fn: Callable, text: str, image: Image.Image) -> None:
    """Raise `CheckFailed` unless the score is the cosine of text and picture."""
    from helpers import clip

    right = float(clip.similarity([text], [image])[0, 0])
    mistakes = ((1 - right, "That is a distance: it grows when they fit less."), (-right, "The sign is turned."))
    _same_score(fn(text, image), right, f"rate_image of {text!r} and its picture", mistakes)


def rate_image_by_caption(fn: Callable) -> None:
    """Check `rate_image_by_caption(text, image, caption=…)` with a captioner whose captions are written down here."""
    for text, words in ((PROMPT, "a small red cat, in a room"), (PROMPT, "a large blue boat, by the sea")):
        rates_by_caption(fn, text, picture(), words)
    passed("rate_image_by_caption")


def rates_by_caption(fn: Callable, text: str, image: Image.Image, words: str) -> None:
    """Raise `CheckFailed` unless the score is the cosine of the text and the caption `words`."""
    from helpers import clip

    seen = []

    def caption(shown):
        seen.append(shown)
        return words

    result = fn(text, image, caption=caption)
    expect(
        len(seen) == 1 and seen[0] is image,
        f"The picture should be captioned once, with caption(image); there were {len(seen)} calls with it.",
    )
    one, other = clip.embed_texts([text, words])
    with_picture, caption_with_picture = (float(clip.similarity([t], [image])[0, 0]) for t in (text, words))
    mistakes = (
        (with_picture, "That compares the text with the picture; compare it with the picture's caption."),
        (caption_with_picture, "That compares the caption with the picture; compare it with the text."),
    )
    _same_score(result, float(one @ other), f"rate_image_by_caption, for the caption {words!r},", mistakes)


def _same_score(result, right: float, what: str, mistakes: Sequence[tuple[float, str]]) -> None:
    expect(
        type(result) is float,
        f"{what} should be a plain float, but it is of type {type(result).__name__}: take the number out with float(…).",
    )
    if abs(result - right) < 1e-3:
        return
    for value, message in mistakes:
        expect(abs(result - value) >= 1e-3, f"{what} is {result:.3f}, but it should be {right:.3f}. {message}")
    raise CheckFailed(
        f"{what} is {result:.3f}, but it should be {right:.3f}: the cosine, from -1 to 1, of two vectors of length 1."
    )


def picture() -> Image.Image:
    """A drawing of `PROMPT`."""
    from helpers.picturebook import draw, parse

    return draw(parse(PROMPT), size=128)


# ---------------------------------------------------------------- best_of_n and until_accepted


class Studio:
    """A painter and a judge who remember what they were asked; picture number i gets the i-th of these scores."""

    def __init__(self, scores: Sequence[float], text: str, prompt: str):
        self.scores, self.text, self.prompt = list(scores), text, prompt
        self.seeds: list[int] = []
        self.rated: list[int] = []
        self._pictures = [painted(prompt, seed) for seed in range(len(scores))]

    def generate(self, prompt, *, seed):
        expect(prompt == self.prompt, f"generate should get the prompt, {self.prompt!r}, but it got {prompt!r}.")
        expect(
            seed in range(len(self.scores)),
            f"generate was asked for seed {seed!r}, but the seeds are 0 to {len(self.scores) - 1}.",
        )
        self.seeds.append(seed)
        return self._pictures[seed]

    def rate(self, text, image):
        expect(text == self.text, f"rate should get the text, {self.text!r}, but it got {text!r}.")
        places = [i for i, each in enumerate(self._pictures) if each is image]
        expect(bool(places), "rate should get the picture as generate gave it.")
        self.rated.append(places[0])
        return self.scores[places[0]]

    def expect_result(self, result, tries: int, name: str) -> None:
        """Raise `CheckFailed` unless the first `tries` pictures were drawn and rated, and the best is the result."""
        scores = self.scores[:tries]
        expect(
            isinstance(result, tuple) and len(result) == 3,
            f"{name} should return three things, (picture, score, all scores), but it returned {described(result)}.",
        )
        expect(
            self.seeds == list(range(tries)),
            f"{name} should call generate(prompt, seed=i) for i = 0 to {tries - 1}, each once, but the seeds were "
            f"{self.seeds}; the scores are {self.scores}.",
        )
        expect(self.rated == self.seeds, f"Each picture should be rated once, but rated were {self.rated}.")
        image, score, all_scores = result
        expect(
            list(all_scores) == scores, f"All scores, in their order, should be {scores}, but they are {all_scores}."
        )
        best = scores.index(max(scores))
        expect(score == scores[best], f"The best of {scores} is {scores[best]}, but the returned score is {score}.")
        expect(
            image is self._pictures[best],
            f"The scores were {scores}: the picture should be number {best}"
            f"{', the first of the equals' if scores.count(score) > 1 else ''}, but another was returned.",
        )


def best_of_n(fn: Callable) -> None:
    """Check `best_of_n(text, prompt, n, generate=…, rate=…)` with a painter and a judge that remember."""
    for scores in ([0.2, 0.9, 0.4], [0.5], [-0.3, -0.1, -0.2], [0.1, 0.7, 0.3, 0.7]):
        chooses(fn, scores)
    needs_one(fn, "best_of_n", "n", 0)
    passed("best_of_n")


def chooses(fn: Callable, scores: Sequence[float], text: str = "a story of a cat", prompt: str = PROMPT) -> None:
    """Raise `CheckFailed` unless the best of these is chosen."""
    studio = Studio(scores, text, prompt)
    result = fn(text, prompt, len(scores), generate=studio.generate, rate=studio.rate)
    studio.expect_result(result, len(scores), "best_of_n")


def needs_one(fn: Callable, name: str, parameter: str, value: int, *more: Any) -> None:
    """Raise `CheckFailed` unless fewer than one try make a ValueError, with nothing drawn."""
    studio = Studio([0.5] * 3, "a story", PROMPT)
    try:
        result = fn("a story", PROMPT, *more, value, generate=studio.generate, rate=studio.rate)
    except ValueError as error:
        expect(
            bool(re.search(rf"\b{parameter}\b|{value}", str(error))),
            f"The ValueError should have a sentence that names {parameter} or its value, {value}, but it says "
            f"{str(error)!r}.",
        )
        expect(not studio.seeds, f"With {parameter}={value} nothing should be drawn.")
        return
    raise CheckFailed(
        f"With {parameter}={value} {name} should raise a ValueError, but it returned {described(result)}."
    )


def until_accepted(fn: Callable) -> None:
    """Check `until_accepted(text, prompt, threshold, max_tries, …)` where a picture is good enough, and where none is."""
    accepts(fn, [0.2, 0.6, 0.9, 0.7], 0.55, tries=2)
    accepts(fn, [0.8, 0.9], 0.5, tries=1)
    accepts(fn, [0.1, 0.5, 0.9], 0.5, tries=2)
    runs_out(fn, [0.1, 0.4, 0.3], 0.5)
    runs_out(fn, [-0.4, -0.2, -0.2], 0.0)
    tells_apart(fn, [0.1, 0.3, 0.5])
    needs_one(fn, "until_accepted", "max_tries", 0, 0.5)
    passed("until_accepted")


def accepts(fn: Callable, scores: Sequence[float], threshold: float, *, tries: int) -> None:
    """Raise `CheckFailed` unless it ends after `tries` pictures, with the first that has the threshold."""
    studio = Studio(scores, "a story", PROMPT)
    with heard_in_notebook():
        result = fn("a story", PROMPT, threshold, len(scores), generate=studio.generate, rate=studio.rate)
    expect(
        len(studio.seeds) == tries,
        f"With the scores {scores} and the threshold {threshold}, picture {tries - 1} is the first with at least "
        f"{threshold}: it should end there, after {tries} tr{'y' if tries == 1 else 'ies'}; yours drew {len(studio.seeds)}.",
    )
    studio.expect_result(result, tries, "until_accepted")


def runs_out(fn: Callable, scores: Sequence[float], threshold: float) -> None:
    """Raise `CheckFailed` unless the best so far comes back, with a sentence, when no picture is good enough."""
    studio = Studio(scores, "a story", PROMPT)
    try:
        with heard_in_notebook() as words:
            result = fn("a story", PROMPT, threshold, len(scores), generate=studio.generate, rate=studio.rate)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, NotImplementedError):
            raise
        raise CheckFailed(
            f"When the tries run out, the best picture so far should come back, but there came a "
            f"{type(error).__name__}: {error}"
        ) from None
    studio.expect_result(result, len(scores), "until_accepted")
    printed = "".join(words)
    expect(
        bool(printed.strip()),
        "No picture reached the threshold, and nobody was told. Print a sentence: what comes back is not what was asked for.",
    )
    expect(
        str(len(scores)) in printed,
        f"The sentence should say after how many tries it gave up ({len(scores)}), but it is {printed.strip()[:150]!r}.",
    )


def tells_apart(fn: Callable, scores: Sequence[float]) -> None:
    """Raise `CheckFailed` where the last try is good enough, and the same is said as where it isn't.

    scores: the last is the best.
    """
    said = []
    for threshold in (scores[-1], scores[-1] + 1):
        studio = Studio(scores, "a story", PROMPT)
        with heard_in_notebook() as words:
            fn("a story", PROMPT, threshold, len(scores), generate=studio.generate, rate=studio.rate)
        said.append("".join(words).replace(str(threshold), ""))
    expect(
        said[0] != said[1],
        f"With the scores {scores} and the threshold {scores[-1]} the last picture is accepted, but what is printed then, "
        f"{said[0].strip()[:150]!r}, is also printed when none is. Say that the tries ran out only when they did.",
    )


@contextmanager
def heard_in_notebook() -> Iterator[list[str]]:
    """Give a list that gets, at the end, what was printed and what was warned of."""
    words: list[str] = []
    out = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(out), redirect_stderr(out):
        warnings.simplefilter("always")
        yield words
    words += [out.getvalue(), *(str(each.message) for each in warned)]


# ---------------------------------------------------------------- run_pipeline

RECORD = ("keywords", "text", "prompt", "image", "score", "scores", "second_score")


def run_pipeline(fn: Callable) -> None:
    """Check `run_pipeline(keywords, n=…, …)` with a chat model, a painter and judges whose parts are written down here."""
    runs(fn, ["cat", "newspaper"], PROMPT, [0.2, 0.7, 0.4], 0.5)
    passed("run_pipeline")


def runs(
    fn: Callable,
    keywords: Sequence[str],
    prompt: str,
    scores: Sequence[float],
    second: float,
    *,
    own_chat: bool = False,
) -> None:
    """Raise `CheckFailed` unless the record holds each stage's output, and all of it was shown in one figure.

    With `own_chat` no chat model is handed over, so that the function has to take chat_model("text").
    """
    from helpers import stories

    chat, studio = scripted_chat([prompt]), Studio(scores, prompt, prompt)
    asked = []

    def second_judge(text, image):
        asked.append((text, image))
        return second

    partners = {"generate": studio.generate, "rate": studio.rate, "second": second_judge}
    with displayed() as pages, chat_says(lambda heard: prompt) as heard:
        try:
            record = fn(list(keywords), n=len(scores), **partners, **({} if own_chat else {"chat": chat}))
        except (AttributeError, TypeError) as error:
            expect(not own_chat, f'Without chat run_pipeline should take chat_model("text"); there came {error!r}')
            raise
    requests = [each.text for each in heard] if own_chat else [text_of(messages) for messages in chat.heard]
    expect(isinstance(record, Mapping), f"run_pipeline should return a dict, but it returned {described(record)}.")
    missing = [key for key in RECORD if key not in record]
    expect(not missing, f"In the record {', '.join(map(repr, missing))} is missing; it should have {RECORD}.")
    expect(list(record["keywords"]) == list(keywords), f"The record's keywords should be {keywords}.")
    expect(record["text"] in stories.read(), f"The record's text should be one of the collection: {record['text']!r}.")
    expect(
        any(word in stories.words(record["text"]) for word in keywords),
        f"The record's text has none of the keywords {keywords}: {record['text']!r}.",
    )
    expect(bool(requests) and record["text"].strip() in requests[0], "The chat model was not given the text.")
    expect(record["prompt"] == prompt, f"The record's prompt should be {prompt!r}, but it is {record['prompt']!r}.")
    studio.expect_result((record["image"], record["score"], record["scores"]), len(scores), "run_pipeline's best_of_n")
    expect(
        len(asked) == 1
        and asked[0][0] == prompt
        and asked[0][1] is record["image"]
        and record["second_score"] == second,
        "second_score should be second(prompt, image) of the chosen picture alone.",
    )
    figures = [page for page in pages if "<img" in page]
    expect(
        len(figures) == 1,
        f"The record should be shown in one figure, with show_record(record); there were {len(figures)} with a picture.",
    )
    expect(record["text"] in unescape(figures[0]), "The figure does not show the record's text.")


@contextmanager
def displayed() -> Iterator[list[str]]:
    """Give a list that gets the HTML of all that is displayed meanwhile, in place of the notebook."""
    pages: list[str] = []

    def keep(*shown, **_):
        pages.extend(getattr(each, "data", None) or repr(each) for each in shown)

    with patch("IPython.display.display", keep):
        yield pages
