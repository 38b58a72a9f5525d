"""Visible checks of notebook 03, Multimodal LLMs: one function an exercise, named like it."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from helpers.checks import CheckFailed, Mistake, call, compare_tensors, described, expect, name_of, passed
from helpers.checks.standins import ENDLESS, NeverEnds, ours, pictures_of, scripted_chat, text_of

if TYPE_CHECKING:
    import torch
    from langchain_core.messages import BaseMessage
    from PIL import Image
    from transformers import LlavaForConditionalGeneration

__all__ = [
    "build_message",
    "compare",
    "data_url",
    "describe_as_json",
    "image_tokens",
    "parse_reply",
]

KEYS = ("description", "funny_story")

# ---------------------------------------------------------------- image_tokens


def image_tokens(fn: Callable) -> None:
    """Check `image_tokens(model, pixel_values)` on two small models of other sizes, then on the course's own."""
    from helpers.models import load
    from helpers.picturebook import Scene, Thing, draw

    for layer, strategy in ((-2, "default"), (-3, "full")):
        model = tiny_llava(layer=layer, strategy=strategy)
        _tokens_of(fn, model, noise(model), "What image_tokens gives for a small model")
    model, processor = load("chat")
    picture = draw(Scene((Thing("cat", "red"),), place="meadow"), size=128)
    pixels = processor.image_processor(picture, return_tensors="pt")["pixel_values"]
    _tokens_of(fn, model, pixels.to(model.device, model.dtype), "What image_tokens gives for the chat model")
    passed("image_tokens")


def _tokens_of(fn: Callable, model: LlavaForConditionalGeneration, pixels: torch.Tensor, what: str) -> None:
    import torch

    config, parts = model.config, model.model
    layer = config.vision_feature_layer
    with torch.no_grad():
        right = model.get_image_features(pixels).pooler_output[0]
        eyes = parts.vision_tower(pixels, output_hidden_states=True)
    with by_hand():
        result = call(fn, model, pixels)

    def through(states: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return parts.multi_modal_projector(states)

    kept = slice(1 if config.vision_feature_select_strategy == "default" else 0, None)
    mistakes = (
        Mistake(
            "These are the tokens of the vision tower's last layer. model.config.vision_feature_layer says which of "
            f"its hidden_states the projector has learned to read: here number {layer}.",
            lambda: through(eyes.hidden_states[-1][0, kept]),
        ),
        Mistake(
            "last_hidden_state is the vision tower's last layer; the projector wants hidden_states"
            "[model.config.vision_feature_layer].",
            lambda: through(eyes.last_hidden_state[0, kept]),
        ),
        Mistake(
            f"You always take layer -2, but this model's config.vision_feature_layer is {layer}: read it there.",
            lambda: through(eyes.hidden_states[-2][0, kept]),
        ),
        Mistake(
            f"You count the layers from the other end: hidden_states[{layer}], as config.vision_feature_layer says.",
            lambda: through(eyes.hidden_states[-layer][0, kept]),
        ),
        Mistake(
            "You left out the last patch and kept the class token, which is the first: states[:, 1:], not states[:, :-1].",
            lambda: through(eyes.hidden_states[layer][0, :-1]),
        ),
    )
    _shape_of_tokens(result, right, config, eyes)
    compare_tensors(result, right, what, mistakes)


def _shape_of_tokens(result, right: torch.Tensor, config, eyes) -> None:
    """Say what a wrong shape comes from; other faults are left to `compare_tensors`."""
    shape = tuple(getattr(result, "shape", ()))
    tokens, width = right.shape
    expect(
        shape != (1, tokens, width),
        f"The shape is {shape}: the batch is still there. One picture has {tokens} tokens, so take [0] at the end.",
    )
    expect(
        width == config.vision_config.hidden_size or shape[-1:] != (config.vision_config.hidden_size,),
        f"The vectors are {shape[-1] if shape else 0} numbers long, as the vision tower made them; the projector, which makes them "
        f"{width} long like the language model's, was left out.",
    )
    with_class = eyes.last_hidden_state.shape[1]
    expect(
        tokens == with_class or shape[-2:-1] != (with_class,),
        f"There are {with_class} tokens where {tokens} belong: the class token, the first one, is still there. "
        'vision_feature_select_strategy="default" says that it is dropped.',
    )
    expect(
        tokens != with_class or shape[-2:-1] != (with_class - 1,),
        f"There are {with_class - 1} tokens where {tokens} belong. This model's vision_feature_select_strategy is "
        '"full": the class token stays. Only "default" drops it.',
    )


@contextmanager
def by_hand():
    """While it lasts, the models' own `get_image_features` is out of reach."""
    from transformers import LlavaForConditionalGeneration, LlavaModel

    refusal = CheckFailed(
        "image_tokens lets the model do it (get_image_features, or a call of the whole model). Do it yourself: "
        "model.model.vision_tower first, then model.model.multi_modal_projector."
    )
    with (
        patch.object(LlavaModel, "get_image_features", side_effect=refusal),
        patch.object(LlavaForConditionalGeneration, "get_image_features", side_effect=refusal),
    ):
        yield


def tiny_llava(*, layer: int = -2, strategy: str = "default", seed: int = 0) -> LlavaForConditionalGeneration:
    """A LLaVA with random weights: 16 patches of 8×8 pixels; the vision tower 24 wide, the language model 40."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    small = {"intermediate_size": 48, "num_attention_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(
            LlavaConfig(
                vision_config=CLIPVisionConfig(
                    hidden_size=24, num_hidden_layers=4, image_size=32, patch_size=8, initializer_factor=4.0, **small
                ),
                text_config=LlamaConfig(hidden_size=40, num_hidden_layers=1, vocab_size=30, **small),
                image_token_index=29,
                image_seq_length=16,
                vision_feature_layer=layer,
                vision_feature_select_strategy=strategy,
            )
        )
        with torch.no_grad():  # a projector that uses all it has: random weights alone leave its biases at 0
            for name, weight in model.model.multi_modal_projector.named_parameters():
                weight.normal_(std=0.5 if "bias" in name else 0.3)
    return model.eval()


def noise(model: LlavaForConditionalGeneration, seed: int = 0) -> torch.Tensor:
    """A picture of noise as the model's processor would give it, (1, 3, height, width)."""
    import torch

    side = model.config.vision_config.image_size
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- data_url and build_message


def data_url(fn: Callable) -> None:
    """Check `data_url(image, format=…)`: PNG keeps every pixel of every mode, JPEG is close."""
    picture = _test_picture()
    clear = picture.copy().convert("RGBA")
    clear.putalpha(clear.getchannel("R"))
    for image, name in ((picture, "an RGB picture"), (clear, "a picture with transparency (RGBA)")):
        same_pixels(_encoded(fn, image), image, f"data_url of {name}")
    same_pixels(_encoded(fn, picture.convert("P")), picture.convert("P"), "data_url of a picture with a palette (P)")
    close_pixels(_encoded(fn, picture, format="JPEG"), picture, 'data_url(…, format="JPEG")', kind="JPEG")
    close_pixels(
        _encoded(fn, picture.convert("RGBA"), format="JPEG"), picture, 'data_url(…, format="JPEG") of RGBA', kind="JPEG"
    )
    passed("data_url")


def _encoded(fn: Callable, image: Image.Image, **options) -> Any:
    """What the student's function makes of a picture; raises `CheckFailed` where the picture was changed."""
    before = image.copy()
    try:
        result = fn(image, **options)
    except (OSError, KeyError) as error:
        if options and ("JPEG" in str(error) or "image/jp" in str(error)):
            raise CheckFailed(
                f"A JPEG knows red, green and blue only, so Pillow refuses a picture of mode {image.mode} "
                f'({error}): image.convert("RGB") first.'
            ) from None
        raise
    unchanged = image.mode == before.mode and image.size == before.size and image.tobytes() == before.tobytes()
    expect(unchanged, f"{name_of(fn)} changed the picture that it was given; work on a copy.")
    return result


def decode(url, what: str, *, kind: str = "PNG") -> Image.Image:
    """The picture in a data URL. Raises `CheckFailed`, with the likely reason, where there is none."""
    from PIL import Image

    expect(isinstance(url, str), f"{what} should be a string, but it is {described(url)}.")
    start = f"data:image/{kind.lower()};base64,"
    expect(url.startswith(start), f"{what} should start with {start!r}, but it starts with {url[: len(start)]!r}.")
    letters = url[len(start) :]
    expect(
        not letters.startswith(("b'", 'b"')),
        f"{what} has b'…' in it: b64encode gives bytes; .decode() makes a string of them.",
    )
    expect(
        not re.search(r"\s", letters),
        f"{what} has line breaks in it, which do not belong in an address: take base64.b64encode, not encodebytes.",
    )
    expect(
        not re.search(r"[-_]", letters),
        f"{what} is written in another alphabet (with - and _): take base64.b64encode, not urlsafe_b64encode.",
    )
    try:
        data = base64.b64decode(letters, validate=True)
    except binascii.Error as error:
        raise CheckFailed(f"{what} is no whole base64 text: {error}.") from None
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except OSError:
        raise CheckFailed(
            f"{what} holds {len(data):,} bytes that are no picture file. Image.tobytes() gives bare pixels, without "
            "size and format: save the picture into an io.BytesIO() and take its getvalue()."
        ) from None
    expect(image.format == kind, f"{what} says {kind}, but it holds a {image.format}.")
    return image


def same_pixels(url, image: Image.Image, what: str) -> None:
    """Raise `CheckFailed` unless the data URL holds a PNG with just the picture's pixels, transparency too."""
    found = decode(url, what)
    expect(found.size == image.size, f"{what} holds a picture of {found.size} pixels, not {image.size}.")
    expect(
        found.convert("RGB").tobytes() == image.convert("RGB").tobytes(),
        f"{what} holds other pixels than the picture. PNG keeps every pixel: save the picture as it is.",
        yours=found.convert("RGB"),
        expected=image.convert("RGB"),
        alt="the test picture",
    )
    expect(
        found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes(),
        f"{what} has lost the transparency. PNG can keep it: save the picture as it is, without convert.",
    )


def close_pixels(url, image: Image.Image, what: str, *, kind: str) -> None:
    """Raise `CheckFailed` unless the data URL holds a file of this kind that looks like the picture."""
    found = decode(url, what, kind=kind)
    expect(found.size == image.size, f"{what} holds a picture of {found.size} pixels, not {image.size}.")
    expect(
        _distance(found, image) < LOSSY,
        f"{what} holds a picture that looks different.",
        yours=found.convert("RGB"),
        expected=image.convert("RGB"),
        alt="the test picture",
    )


LOSSY = 12
"""How far a lossy file's values, 0 to 255, may be off on average."""


def _distance(a: Image.Image, b: Image.Image) -> float:
    """The mean difference of two pictures' values, 0 to 255; 255 where the sizes differ."""
    from PIL import ImageChops, ImageStat

    if a.size != b.size:
        return 255.0
    difference = ImageChops.difference(a.convert("RGB"), b.convert("RGB"))
    return sum(ImageStat.Stat(difference).mean) / 3


def build_message(fn: Callable) -> None:
    """Check `build_message(text, image)`: one text part and one image_url part, with the picture in it."""
    picture = _test_picture()
    message_of(fn("What is this?", picture), "What is this?", picture)
    passed("build_message")


def message_of(message, text: str, image: Image.Image) -> None:
    """Raise `CheckFailed` unless the message is a user's, with this text and this picture as its two parts."""
    from langchain_core.messages import HumanMessage

    expect(
        isinstance(message, HumanMessage),
        f"build_message should return a HumanMessage, but it returned {described(message)}.",
    )
    content = message.content
    expect(
        isinstance(content, list) and all(isinstance(part, dict) for part in content),
        "The message's content should be a list of two dicts, the text part and the image_url part, but it is "
        f"{described(content)}.",
    )
    kinds = sorted(str(part.get("type")) for part in content)
    expect(
        kinds == ["image_url", "text"],
        f'The parts should be one of type "text" and one of type "image_url", but their types are {kinds}.',
    )
    texts = [part.get("text") for part in content if part["type"] == "text"]
    expect(texts == [text], f'The text part should be {{"type": "text", "text": {text!r}}}; its text is {texts[0]!r}.')
    (inner,) = (part.get("image_url") for part in content if part["type"] == "image_url")
    expect(
        isinstance(inner, dict) and "url" in inner and not set(inner) - {"url", "detail"},
        'The address stands one level deeper: {"type": "image_url", "image_url": {"url": data_url(image)}}.',
    )
    kind = "JPEG" if str(inner["url"]).startswith("data:image/jpeg") else "PNG"
    found = decode(inner["url"], "The url of the image_url part", kind=kind)
    expect(
        _distance(found, image) < LOSSY,
        "The message holds another picture than the one that was given.",
        yours=found.convert("RGB"),
        expected=image.convert("RGB"),
        alt="the picture of the message",
    )


def _test_picture() -> Image.Image:
    from helpers.picturebook import Scene, Thing, draw

    return draw(Scene((Thing("boat", "yellow"),), place="sea", layout=3), size=96)


# ---------------------------------------------------------------- parse_reply

EXAMPLE = {"description": "The picture shows a cat.", "funny_story": 'It said: "I {love} fish", and left.'}


def parse_reply(fn: Callable) -> None:
    """Check `parse_reply(text)` on raw, fenced and chatty replies, and on some that are no good."""
    import json

    raw = json.dumps(EXAMPLE)
    for text, what in (
        (raw, "a reply that is JSON and nothing else"),
        (f"```json\n{raw}\n```", "a reply in a fence with the word json"),
        (f"```\n{json.dumps(EXAMPLE, indent=2)}\n```", "a reply in a fence, over several lines"),
        (f"Sure, here it is!\n\n{raw}\n\nI hope you like it.", "a chatty reply"),
        (f"As you asked {{in JSON}}:\n```json\n{raw}\n```\nWas that {{funny}}?", "a chatty reply with other braces"),
        (json.dumps({"mood": "good", **EXAMPLE}), "a reply with a key more"),
    ):
        parses(fn, text, EXAMPLE, what)
    names_the_missing(fn, '{"description": "A cat."}', '{"funny_story": "It left."}')
    for text, missing, what in (
        ('{"description": ["a", "cat"], "funny_story": "It left."}', ["description"], "a description that is a list"),
        ("I see a cat.", [], "a reply without JSON"),
        ("", [], "an empty reply"),
    ):
        refuses(fn, text, missing, what)
    passed("parse_reply")


def parses(fn: Callable, text: str, right: dict[str, str], what: str) -> None:
    """Raise `CheckFailed` unless the student's function reads this dict from the text; `what` names the text."""
    shown = f"For {what},\n{text}\n"
    try:
        result = fn(text)
    except ValueError as error:
        raise CheckFailed(f"{shown}parse_reply raised {type(error).__name__}: {error}") from None
    expect(type(result) is dict, f"{shown}parse_reply should return a dict, but it returned {described(result)}.")
    more = [key for key in result if key not in KEYS]
    expect(not more, f"{shown}the dict should have just the keys {' and '.join(KEYS)}, but it also has {more}.")
    expect(
        result == right and all(type(value) is str for value in result.values()),
        f"{shown}parse_reply should give\n{right}\nbut it gave\n{result}",
    )


def refuses(fn: Callable, text, missing: Sequence[str], what: str) -> str:
    """Raise `CheckFailed` unless the text is refused with a ValueError that names what is missing; gives its message.

    With nothing in `missing` there is no object at all, and the message should say that it wants JSON or those keys.
    """
    try:
        result = fn(text)
    except ValueError as error:
        message = str(error)
    except Exception as error:
        raise CheckFailed(
            f"For {what} parse_reply should raise a ValueError, but it raised {type(error).__name__}: {error}"
        ) from None
    else:
        raise CheckFailed(f"For {what} parse_reply should raise a ValueError, but it returned {result!r}.")
    for key in missing:
        expect(
            key in message,
            f"For {what} the error should name the key {key}, for the model will read it; yours says: {message}",
        )
    if not missing:
        expect(
            any(word in message.lower() for word in ("json", "object", "dict", *KEYS)),
            f"For {what} the error should say that no JSON object was found, for the model will read it; yours says: "
            f"{message or 'nothing'}",
        )
    return message


def names_the_missing(fn: Callable, no_story: str, no_description: str) -> None:
    """Raise `CheckFailed` unless each of these replies is refused with an error that names the key it lacks."""
    first = refuses(fn, no_story, ["funny_story"], "a reply without funny_story")
    second = refuses(fn, no_description, ["description"], "a reply without description")
    expect(
        first != second,
        f"Whichever key is missing, your error says: {first} The model that reads it should learn which one it was.",
    )


# ---------------------------------------------------------------- describe_as_json


def describe_as_json(fn: Callable, parse_reply: Callable) -> None:
    """Check `describe_as_json(chat, image, max_tries=…)` with chat models whose replies are written down here.

    `parse_reply` is the student's: its errors are what the model has to be told.
    """
    import json

    picture, good = _test_picture(), json.dumps(EXAMPLE)
    half = '{"description": "A boat."}'
    asks(fn, parse_reply, picture, [good], EXAMPLE)
    asks(fn, parse_reply, picture, ["I see a boat.", half, f"```json\n{good}\n```"], EXAMPLE)
    gives_up(fn, parse_reply, picture, [half], max_tries=2)
    passed("describe_as_json")


def asks(
    fn: Callable,
    parse_reply: Callable,
    image: Image.Image,
    replies: Sequence[str],
    right: dict[str, str],
    *,
    max_tries: int = 3,
) -> None:
    """Raise `CheckFailed` unless the dict of the last reply, the only good one, is found with so many requests."""
    chat = scripted_chat(replies)
    try:
        result = _run(fn, chat, image, max_tries)
    except ValueError as error:
        raise CheckFailed(
            f"Reply {len(replies)} of the chat model was good, and max_tries was {max_tries}, but describe_as_json "
            f"gave up after asking {_times(len(chat.heard))}: {error}"
        ) from None
    expect(
        result == right and type(result) is dict,
        f"describe_as_json should return what parse_reply makes of the good reply,\n{right}\nbut it returned\n{result}",
    )
    expect(
        len(chat.heard) == len(replies),
        f"Reply {len(replies)} was the first good one, but the chat model was asked {_times(len(chat.heard))}. A good "
        "reply ends it; each request costs time, and with some services money.",
    )
    _requests(chat.heard, parse_reply, image, replies)


def gives_up(
    fn: Callable, parse_reply: Callable, image: Image.Image, replies: Sequence[str], *, max_tries: int
) -> None:
    """Raise `CheckFailed` unless, with no good reply, a clear ValueError comes after exactly `max_tries` requests."""
    chat = scripted_chat(replies)
    try:
        result = _run(fn, chat, image, max_tries)
    except ValueError as error:
        message = str(error)
    except CheckFailed:
        raise
    except Exception as error:
        raise CheckFailed(
            f"When no reply is good, describe_as_json should raise a ValueError, but it raised {type(error).__name__}: "
            f"{error}"
        ) from None
    else:
        raise CheckFailed(f"No reply was good, but describe_as_json returned {result!r}; it should raise a ValueError.")
    expect(
        len(chat.heard) == max_tries,
        f"With max_tries={max_tries} and no good reply the chat model should be asked {_times(max_tries)}, but it "
        f"was asked {_times(len(chat.heard))}.",
    )
    last = replies[min(max_tries, len(replies)) - 1]
    expect(
        _words(_fault(parse_reply, last)) in _words(message) or str(max_tries) in message,
        f"The error should tell after how many tries it gave up, or what was wrong at last; yours says: {message}",
    )
    _requests(chat.heard, parse_reply, image, replies)


def _run(fn: Callable, chat, image: Image.Image, max_tries: int):
    try:
        return fn(chat, image, max_tries=max_tries)
    except NeverEnds:
        raise CheckFailed(
            f"max_tries was {max_tries}, but describe_as_json has asked {ENDLESS} times and would go on: count."
        ) from None


def _requests(heard: Sequence[Sequence[BaseMessage]], parse_reply: Callable, image: Image.Image, replies) -> None:
    """Raise `CheckFailed` unless each request has the picture and, after the first, the error of the last reply."""
    first = text_of(ours(heard[0]))
    for key in KEYS:
        expect(key in first, f"The first request should name the key {key}, but it says: {first}")
    for number, messages in enumerate(heard, start=1):
        expect(
            any(_distance(picture, image) < LOSSY for picture in _pictures(messages)),
            f"Request {number} has not got the picture in it. A chat model remembers nothing between requests: send "
            "the picture each time, for example by sending the first message again before the others.",
        )
        if number > 1:
            fault = _fault(parse_reply, replies[min(number - 1, len(replies)) - 1])
            expect(
                _words(fault) in _words(text_of(ours(messages))),
                f"Request {number} does not tell the model what was wrong with its reply. parse_reply's error says it: "
                f"{fault!r}; put it into the message.",
            )


def _fault(parse_reply: Callable, reply: str) -> str:
    """What the student's parse_reply says of a bad reply."""
    try:
        parse_reply(reply)
    except ValueError as error:
        return str(error)
    raise CheckFailed(f"parse_reply should raise a ValueError for {reply!r}: finish it first.")


def _pictures(messages: Sequence[BaseMessage]) -> list[Image.Image]:
    urls = pictures_of(messages)
    kinds = ("JPEG" if url.startswith("data:image/jpeg") else "PNG" for url in urls)
    return [decode(url, "A picture of the request", kind=kind) for url, kind in zip(urls, kinds, strict=True)]


def _words(text: str) -> str:
    """The text's words in lower case, one space between them and around them."""
    return f" {' '.join(re.findall(r'[a-z0-9_]+', text.lower()))} "


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


# ---------------------------------------------------------------- compare


class Witness:
    """A model for `compare` that knows its answers by heart, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, str | Exception]):
        self.answers, self.asked = answers, []

    def __call__(self, image, question):
        self.asked.append((image, question))
        answer = self.answers[question]
        if isinstance(answer, Exception):
            raise answer
        return answer


def compare(fn: Callable) -> None:
    """Check `compare(image, questions, specialist=…, generalist=…)` with two models that know their answers by heart."""
    picture = _test_picture()
    told = {
        "What is this?": ("boat", "It is a boat."),
        "What colour is the boat?": ("yellow", "The boat is yellow."),
        "Is it a nice boat?": (ValueError("no such word: nice"), "I only know picture-book scenes."),
    }
    compares(fn, picture, told, list(told))
    passed("compare")


def compares(
    fn: Callable,
    image: Image.Image,
    told: Mapping[str, tuple[str | Exception, str | Exception]],
    questions: Sequence[str],
) -> None:
    """Raise `CheckFailed` unless the student's table of these questions is right.

    `told` has, for each question, what the specialist and what the generalist say of it, or the error they raise.
    """
    specialist, generalist = (Witness({q: answers[i] for q, answers in told.items()}) for i in (0, 1))
    given = list(questions)
    try:
        table = fn(image, given, specialist=specialist, generalist=generalist)
    except Exception as error:
        expected = [e for answers in told.values() for e in answers if isinstance(e, Exception)]
        expect(
            not any(error is e for e in expected),
            f"One model's error ({type(error).__name__}: {error}) ended the whole comparison. Catch it and write it "
            "into that model's cell; the other model, and the other questions, should still be asked.",
        )
        raise
    expect(given == list(questions), "compare changed the list of questions that it was given.")
    expect(
        type(table).__name__ == "DataFrame", f"compare should return a DataFrame, but it returned {described(table)}."
    )
    columns = ["question", "specialist", "generalist"]
    expect(list(table.columns) == columns, f"The columns should be {columns}, but they are {list(table.columns)}.")
    expect(
        len(table) == len(questions),
        f"There should be one row for each of the {len(questions)} questions, but there are {len(table)}.",
    )
    expect(table["question"].tolist() == list(questions), "The rows should be in the order of the questions.")
    for name, witness, side in (("specialist", specialist, 0), ("generalist", generalist, 1)):
        for question, cell in zip(questions, table[name], strict=True):
            _cell(cell, told[question][side], told[question][1 - side], name, question)
        asked = [question for _, question in witness.asked]
        expect(
            sorted(asked) == sorted(questions),
            f"The {name} should be asked each question once, but it was asked {asked}.",
        )
        expect(
            all(picture is image or _distance(picture, image) == 0 for picture, _ in witness.asked),
            f"The {name} was shown another picture than the one that was given.",
        )


def _cell(cell, right: str | Exception, other: str | Exception, name: str, question: str) -> None:
    where = f"{question!r}: the cell of the {name}"
    if isinstance(right, Exception):
        expect(
            isinstance(cell, str) and str(right.args[0]) in cell and type(right).__name__ in cell,
            f"{where} should tell its error, {type(right).__name__}: {right.args[0]}, but it holds {cell!r}.",
        )
        return
    expect(cell != other or cell == right, f"{where} holds the other one's answer, {cell!r}: are the two swapped?")
    expect(
        isinstance(cell, str) and cell == right, f"{where} should hold its answer, {right!r}, but it holds {cell!r}."
    )
