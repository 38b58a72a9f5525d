"""`llm_rewrite_to_image_prompts`: with a chat model that pads, goes off topic, and runs out of ideas."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_no_error, expect_propagates, expect_raises, expect_type
from helpers.checks.fakes import ChatRequest, RewritingScript, fake_chat, fake_rewriter, rewriting_script
from helpers.checks.words import described
from helpers.prompts import on_subject, same

__all__ = ["llm_rewrite_to_image_prompts"]

DEFAULT_N = 4
FEWEST_REQUESTS, MOST_REQUESTS = 3, 10
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")

llm_rewrite_to_image_prompts = Exercise("llm_rewrite_to_image_prompts")


@llm_rewrite_to_image_prompts.core(22)
def prompts_from_one_reply(llm_rewrite_to_image_prompts, rng) -> None:
    """exactly n good prompts from one reply: no padding, nothing off topic"""
    for good, n in ((4, None), (1, 1), (6, 6), (6, 4), (5, 3)):
        script = rewriting_script(rng, [good])
        _expect_first(_rewritten(llm_rewrite_to_image_prompts, script, n), script, n)


@llm_rewrite_to_image_prompts.core(24)
def prompts_from_several_replies(llm_rewrite_to_image_prompts, rng) -> None:
    """more requests while there are too few, and the good prompts of earlier replies are kept"""
    for per_reply in ([2, 2], [0, 3, 1], [0, 1], [4, 2], [3, 0, 2]):
        script, n = rewriting_script(rng, per_reply), sum(per_reply)
        _expect_first(_rewritten(llm_rewrite_to_image_prompts, script, n), script, n)


@llm_rewrite_to_image_prompts.core(22)
def too_few_prompts(llm_rewrite_to_image_prompts, rng) -> None:
    """a ValueError if the model has too few good prompts"""
    script = rewriting_script(rng, [3])
    _expect_first(_rewritten(llm_rewrite_to_image_prompts, script, 3), script, 3)  # no error if there are enough
    _expect_gives_up(llm_rewrite_to_image_prompts, script, 4)
    for found, n in ((0, 4), (1, 3), (4, 6)):
        _expect_gives_up(llm_rewrite_to_image_prompts, rewriting_script(rng, [found]), n)


@llm_rewrite_to_image_prompts.edge(7)
def number_in_the_error(llm_rewrite_to_image_prompts, rng) -> None:
    """the error says how many were found"""
    for found, n in ((0, 4), (1, 5), (3, 6)):
        script = rewriting_script(rng, [found])
        message = _expect_gives_up(llm_rewrite_to_image_prompts, script, n)
        rest = message.replace(script.query, "")
        for prompt in script.good:
            rest = rest.replace(prompt, "")
        words = [str(found), NUMBERS[found], *(["none"] if not found else [])]
        expect(
            bool(re.search(rf"\b({'|'.join(words)})\b", rest, re.IGNORECASE)),
            f"The error should say how many prompts were found ({found} of {n}), but it says: {message}",
        )


@llm_rewrite_to_image_prompts.edge(6)
def number_of_requests(llm_rewrite_to_image_prompts, rng) -> None:
    """3 to 10 requests before it gives up"""
    requests = _requests_for(llm_rewrite_to_image_prompts, rewriting_script(rng, [2]), 4)
    expect(
        FEWEST_REQUESTS <= len(requests) <= MOST_REQUESTS,
        f"With too few good prompts there should be {FEWEST_REQUESTS} to {MOST_REQUESTS} requests in all, but there were "
        f"{len(requests)}.",
    )


@llm_rewrite_to_image_prompts.edge(5)
def no_extra_requests(llm_rewrite_to_image_prompts, rng) -> None:
    """no more requests once there are n"""
    for good, n in ((4, 4), (5, 2)):
        requests = _requests_for(llm_rewrite_to_image_prompts, rewriting_script(rng, [good]), n)
        expect(
            len(requests) == 1,
            f"After the first reply there were {good} good prompts for n={n}, but your function made {len(requests)} "
            "requests. Stop as soon as there are enough.",
        )


@llm_rewrite_to_image_prompts.edge(4)
def text_of_the_requests(llm_rewrite_to_image_prompts, rng) -> None:
    """the text is in every request, and n in the first"""
    script, n = rewriting_script(rng, [2, 3]), 5
    requests = _requests_for(llm_rewrite_to_image_prompts, script, n)
    expect(bool(requests), "The chat model was not asked at all; where do the prompts come from?")
    for number, request in enumerate(requests, start=1):
        expect(
            script.query in request.text, f"Request {number} does not contain the text to rewrite: {request.text!r}."
        )
    rest = requests[0].text.replace(script.query, "")
    expect(
        bool(re.search(rf"\b({n}|{NUMBERS[n]})\b", rest, re.IGNORECASE)),
        f"The first request should say how many prompts you want ({n}), but it is: {requests[0].text!r}.",
    )


@llm_rewrite_to_image_prompts.edge(5)
def n_below_1(llm_rewrite_to_image_prompts, rng) -> None:
    """a ValueError for n below 1"""
    script = rewriting_script(rng, [4])
    for n in (0, -1):
        with fake_rewriter(script):
            expect_raises(lambda n=n: llm_rewrite_to_image_prompts(script.query, n), ValueError, f"n={n}")


@llm_rewrite_to_image_prompts.edge(5)
def errors_of_the_chat_model(llm_rewrite_to_image_prompts) -> None:
    """an error of the chat model itself is let through at once"""
    for down in (ConnectionError("the service is down"), ValueError("the service has no such model")):

        def fail(request: ChatRequest, down=down) -> str:
            raise down

        with fake_chat(fail) as requests:
            expect_propagates(lambda: llm_rewrite_to_image_prompts("a red cat, on a meadow", 4), down, "The chat model")
        expect(
            len(requests) == 1,
            f"The chat model raised an error, {down!r}, but your function asked it {len(requests)} times. Let the error "
            "through: asking again does not help without a network or a key.",
        )


def _rewritten(llm_rewrite_to_image_prompts, script: RewritingScript, n: int | None):
    """The function's result for a script that has enough good prompts."""
    count = DEFAULT_N if n is None else n
    with (
        fake_rewriter(script) as requests,
        expect_no_error(
            ValueError,
            lambda error: (
                f"{_replies(len(script.replies))} had {count} good prompts or more, but your function gave up after "
                f"{_requests(len(requests))}: {error}{_why(requests)}"
            ),
        ),
    ):
        return llm_rewrite_to_image_prompts(script.query, *([] if n is None else [n]))


def _why(requests: Sequence[ChatRequest]) -> str:
    if len(requests) > 1 and len({request.text for request in requests}) == 1 and not requests[-1].temperature:
        return " It asked in the same words each time with temperature 0, so it got the same reply each time."
    return ""


def _requests_for(llm_rewrite_to_image_prompts, script: RewritingScript, n: int) -> list[ChatRequest]:
    """The requests that the function makes, whether it gives up or not."""
    with fake_rewriter(script) as requests, contextlib.suppress(ValueError):
        llm_rewrite_to_image_prompts(script.query, n)
    return requests


def _expect_first(result, script: RewritingScript, n: int | None) -> None:
    """Raise `CheckFailed` unless the result is the first n good prompts of the script."""
    n = DEFAULT_N if n is None else n
    expect_type(result, list, "What llm_rewrite_to_image_prompts returns")
    for prompt in result:
        expect(isinstance(prompt, str), f"Each prompt should be a string, but there is {described(prompt)}.")
    for i, prompt in enumerate(result):
        for other in result[:i]:
            expect(
                not same(prompt, other),
                f"These two prompts ask for the same picture, only decorated differently: {other!r} and {prompt!r}. Filter "
                "all prompts with distinct(…).",
            )
        expect(
            on_subject(prompt, script.query),
            f"The prompt {prompt!r} is not about the subject of {script.query!r}. Keep only prompts for which "
            "on_subject(prompt, user_query) is true.",
        )
    expect(len(result) == n, f"There should be exactly {n} prompts, but there are {len(result)}.")
    expect(
        result == script.good[:n],
        f"The good prompts of all replies together, as the model wrote them and in the order in which they came, are "
        f"{script.good[:n]}, but your function returned {result}. Keep the prompts of earlier replies.",
    )


def _expect_gives_up(llm_rewrite_to_image_prompts, script: RewritingScript, n: int) -> str:
    """Return the ValueError's message; raise `CheckFailed` if there is no ValueError."""
    with fake_rewriter(script):
        return expect_raises(
            lambda: llm_rewrite_to_image_prompts(script.query, n),
            ValueError,
            f"a model that has only {len(script.good)} good prompts for n={n}",
            hint="Padding and off-topic prompts don't count, and fewer than n are not enough.",
        )


def _replies(n: int) -> str:
    return "The reply" if n == 1 else f"The {n} replies together"


def _requests(n: int) -> str:
    return f"{n} request{'' if n == 1 else 's'}"
