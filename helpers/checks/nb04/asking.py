"""Asking a student's function while BLIP-2 says what the check wants: what went in, and what came out.

A small model's words may be wrong, and a right function passes them on all the same. So the checks write the model's
words themselves, and look at what its language model is given.
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
    "Asked",
    "ask",
    "expect_greedy",
    "expect_loaded_once",
    "expect_picture_and_text",
    "expect_said",
    "some_words",
]


class Asked(NamedTuple):
    """One call of a student's function.

    Attributes:
        says: what BLIP-2 said.
        result: what the function returned.
        requests: what the language model was given.
        sampled: whether tokens were drawn at random.
    """

    says: str
    result: Any
    requests: list[Blip2Request]
    sampled: bool

    @property
    def request(self) -> Blip2Request:
        """What the language model was given first."""
        expect(bool(self.requests), "BLIP-2's language model was not asked at all.")
        return self.requests[0]


def ask(fn: Callable, *inputs, says: str) -> Asked:
    """Call a student's function while BLIP-2 says this text."""
    with scripted_blip2(says) as record:
        result = fn(*inputs)
    return Asked(says, result, record.requests, record.sampled)


def expect_picture_and_text(asked: Asked, image: Image.Image, text: str, *, same_spaces: bool = False) -> None:
    """Raise `CheckFailed` unless the language model was given this picture, and then this text."""
    from helpers.models import load

    model, processor = load("blip2")
    request = asked.request
    pixels = processor(images=image, return_tensors="pt")["pixel_values"].to(model.device, model.dtype)
    right = own_soft_prompts(model, pixels)
    expect(
        request.soft_prompts.shape == right.shape and request.in_front,
        "The language model was asked without the picture: give the processor images=… and text=… in one call, and all "
        "that it returns to model.generate(**inputs, …).",
    )
    off = (request.soft_prompts - right).abs().max()
    expect(
        bool(off <= 1e-2 * right.abs().max()), "The language model was given another picture than your function was."
    )
    given, wanted = (request.text, text) if same_spaces else ("".join(request.text.split()), "".join(text.split()))
    expect(
        given == wanted,
        f"The language model should be given {text!r}, but it was given {request.text!r}."
        if text
        else f"A caption needs no text, but the language model was given {request.text!r}.",
    )


def expect_said(asked: Asked, *, prompt: str = "") -> None:
    """Raise `CheckFailed` unless the function returned what BLIP-2 said; spaces around it and a last full stop don't count."""
    from helpers.models import load

    expect_type(asked.result, str, "What came back")
    result, says = asked.result.strip(), asked.says.strip()
    if _words(result) == _words(says):
        return
    special = load("blip2").processor.tokenizer.all_special_tokens
    expect(
        not any(token in result for token in special),
        f"There are special tokens in the text, {cut(result, 60)!r}: decode with skip_special_tokens=True.",
    )
    expect(
        not prompt or not result.startswith(prompt.strip()),
        f"The text begins with the prompt: {cut(result, 60)!r}. The model's output repeats what it was given; take only "
        'what is new, generated[:, inputs["input_ids"].shape[1]:].',
    )
    expect(
        not result or not says.startswith(result),
        f"The text is cut off: the model goes on after {result[-20:]!r}. Is max_new_tokens large enough?",
    )
    raise CheckFailed(f"In this check BLIP-2 says {cut(says, 100)!r}, but what came back is {cut(result, 100)!r}.")


def _words(text: str) -> list[str]:
    return text.rstrip(".").split()


def expect_greedy(asked: Asked) -> None:
    """Raise `CheckFailed` where tokens were sampled, or several texts were tried at once."""
    expect(
        not asked.sampled,
        "The words were picked at random, so that each call may say something else: generate with do_sample=False.",
    )
    expect(
        asked.request.rows == 1,
        f"The model wrote {asked.request.rows} texts at once and chose among them: that is beam search. Greedy decoding "
        "has num_beams=1.",
    )


def expect_loaded_once(fn: Callable, *inputs) -> None:
    """Raise `CheckFailed` where a function loads the model again at each call."""
    ask(fn, *inputs, says="a cat")  # the first call may load the model
    with expect_no_load("blip2"):
        ask(fn, *inputs, says="a dog")


def some_words(rng, most: int, *, least: int = 1) -> str:
    """Whole words of captions, as many as fit into `most` tokens, and not fewer than `least` tokens."""
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
