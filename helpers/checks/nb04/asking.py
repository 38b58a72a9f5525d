"""Call a student's function while BLIP-2 writes a scripted text, and check the model's input and the result.

A small model's text may be wrong, and a right function returns it all the same. So the checks script the model's text,
and look at the input of its language model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.calls import expect_no_load
from helpers.checks.expect import CheckFailed, expect, expect_type
from helpers.checks.fakes import Blip2Request, scripted_blip2
from helpers.checks.nb04.seeing import own_soft_prompts
from helpers.checks.samples import random_prompt
from helpers.checks.words import cut

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "RecordedCall",
    "ask",
    "expect_greedy",
    "expect_loaded_once",
    "expect_picture_and_text",
    "expect_reply",
    "some_words",
]


class RecordedCall(NamedTuple):
    """One call of a student's function.

    Attributes:
        reply: BLIP-2's scripted text.
        result: what the function returned.
        requests: the language model's inputs.
        sampled: whether tokens were sampled.
    """

    reply: str
    result: Any
    requests: list[Blip2Request]
    sampled: bool

    @property
    def request(self) -> Blip2Request:
        """The language model's first input."""
        expect(bool(self.requests), "BLIP-2's language model was not called at all.")
        return self.requests[0]


def ask(fn: Callable, *inputs, reply: str) -> RecordedCall:
    """Call a student's function while BLIP-2 writes this reply."""
    with scripted_blip2(reply) as record:
        result = fn(*inputs)
    return RecordedCall(reply, result, record.requests, record.sampled)


def expect_picture_and_text(call: RecordedCall, image: Image.Image, text: str, *, same_spaces: bool = False) -> None:
    """Raise `CheckFailed` unless the language model was given this picture, and then this text."""
    from helpers.models import load

    model, processor = load("blip2")
    request = call.request
    pixels = processor(images=image, return_tensors="pt")["pixel_values"].to(model.device, model.dtype)
    right = own_soft_prompts(model, pixels)
    expect(
        request.soft_prompts.shape == right.shape and request.in_front,
        "The language model was called without the picture: pass images=… and text=… to the processor in one call, and "
        "everything that it returns to model.generate(**inputs, …).",
    )
    off = (request.soft_prompts - right).abs().max()
    expect(
        bool(off <= 1e-2 * right.abs().max()),
        "The language model was given a different picture from the one that your function was given.",
    )
    given, expected = (request.text, text) if same_spaces else ("".join(request.text.split()), "".join(text.split()))
    expect(
        given == expected,
        f"The language model should be given {text!r}, but it was given {request.text!r}."
        if text
        else f"A caption needs no text, but the language model was given {request.text!r}.",
    )


def expect_reply(call: RecordedCall, *, prompt: str = "") -> None:
    """Raise `CheckFailed` unless the function returned BLIP-2's reply; spaces around it and a final full stop don't count."""
    from helpers.models import load

    expect_type(call.result, str, "The result")
    result, reply = call.result.strip(), call.reply.strip()
    if _words(result) == _words(reply):
        return
    special = load("blip2").processor.tokenizer.all_special_tokens
    expect(
        not any(token in result for token in special),
        f"There are special tokens in the text, {cut(result, 60)!r}: decode with skip_special_tokens=True.",
    )
    expect(
        not prompt or not result.startswith(prompt.strip()),
        f"The text begins with the prompt: {cut(result, 60)!r}. The model's output repeats its input; decode only the new "
        'tokens, generated[:, inputs["input_ids"].shape[1]:].',
    )
    expect(
        not result or not reply.startswith(result),
        f"The text is cut off: the model goes on after {result[-20:]!r}. Is max_new_tokens large enough?",
    )
    raise CheckFailed(f"In this check BLIP-2 writes {cut(reply, 100)!r}, but the result is {cut(result, 100)!r}.")


def _words(text: str) -> list[str]:
    return text.rstrip(".").split()


def expect_greedy(call: RecordedCall) -> None:
    """Raise `CheckFailed` if tokens were sampled, or several texts were tried at once."""
    expect(
        not call.sampled,
        "The tokens were picked at random, so each call may return a different text: generate with do_sample=False.",
    )
    expect(
        call.request.rows == 1,
        f"The model wrote {call.request.rows} texts at once and chose among them: that is beam search. For greedy decoding "
        "use num_beams=1.",
    )


def expect_loaded_once(fn: Callable, *inputs) -> None:
    """Raise `CheckFailed` if a function loads the model again on each call."""
    ask(fn, *inputs, reply="a cat")  # the first call may load the model
    with expect_no_load("blip2"):
        ask(fn, *inputs, reply="a dog")


def some_words(rng, most: int, *, least: int = 1) -> str:
    """Return whole words of captions that are at least `least` tokens long and at most `most`."""
    from helpers.models import load

    tokenizer = load("blip2").processor.tokenizer

    def length(words: list[str]) -> int:
        return len(tokenizer(" ".join(words).rstrip(","), add_special_tokens=False)["input_ids"])

    while True:
        words = ", and ".join(random_prompt(rng, things=2) for _ in range(9)).split()
        while length(words) > most:
            words.pop()
        if length(words) >= least:
            return " ".join(words).rstrip(",")
