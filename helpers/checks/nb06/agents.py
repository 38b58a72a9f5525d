"""`picture_agent`: what its two tools do, what the chat model reads of them, and when it stops."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.checks.cases import Exercise
from helpers.checks.expect import error_of, expect, expect_no_error
from helpers.checks.fakes import FakeGenerator, ToolUse, scripted_chat, text_of
from helpers.checks.samples import random_prompts
from helpers.checks.words import cut, described, on_one_line, with_article

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

__all__ = ["picture_agent"]

MOST_CALLS = 6
END = "That is my last picture."
NUMBER = re.compile(r"-?\d+\.\d+")

picture_agent = Exercise("picture_agent")


@picture_agent.given
def prompts(rng) -> list[str]:
    """Three prompts, each of which could be drawn again."""
    return random_prompts(rng, 3)


@picture_agent.given
def texts(rng) -> list[str]:
    """Three texts to rate by, which are not prompts."""
    return [f"{text} ({rng.randrange(100, 1000)})" for text in random_prompts(rng, 3)]


@picture_agent.given
def scores(rng) -> list[float]:
    """Three scores that differ by more than rounding."""
    return [score / 100 for score in rng.sample(range(11, 95, 3), 3)]


# -- the tools


@picture_agent.core(25)
def drawing(picture_agent, prompts, scores) -> None:
    """draw(prompt): a new picture each time, and the model reads its id"""
    wanted = [*prompts, prompts[0]]
    run = _run(picture_agent, [*map(_draw, wanted), END], scores)
    _expect_calls(run, "draw", "generate", len(run.fake.drawn), len(wanted))
    for drawn, prompt in zip(run.fake.drawn, wanted, strict=True):
        expect(
            drawn.prompt == prompt,
            f"generate should get the prompt that the model passes to draw, {prompt!r}, but it got {drawn.prompt!r}.",
        )
    seeds = [drawn.seed for drawn in run.fake.drawn]
    expect(
        len(set(seeds)) > 1,
        f"All pictures were drawn with the seed {seeds[0]}: drawing the same prompt again would give the same picture. "
        "Use 0 for the first picture, 1 for the second, and so on.",
    )
    expect(
        seeds == list(range(len(wanted))), f"The seeds should be 0, 1, 2 and 3, in this order, but they were {seeds}."
    )
    for i, result in enumerate(run.results, 1):
        expect(
            _names(result, f"p{i}"),
            f"After drawing, the model should read the picture's id, 'p{i}' for number {i} (from 1), but it read "
            f"{cut(result, 150)!r}. Return the id, not the picture: a chat model that reads text can't use it.",
        )


@picture_agent.core(20)
def rating(picture_agent, prompts, texts, scores) -> None:
    """rate(picture_id, text): that picture is rated by that text, and the model reads the score"""
    order = ("p1", "p2", "p1")  # not always the last one
    uses = [_rate(picture, text) for picture, text in zip(order, texts, strict=True)]
    run = _run(picture_agent, [_draw(prompts[0]), _draw(prompts[1]), *uses, END], scores)
    _expect_calls(run, "rate", "rate", len(run.fake.rated), len(uses))
    for rated, picture, text in zip(run.fake.rated, order, texts, strict=True):
        _expect_rated(run, rated, picture, text)
    for result, picture in zip(run.results[2:], order, strict=True):
        score = scores[int(picture[1:]) - 1]
        read = [float(number) for number in NUMBER.findall(result)]
        expect(
            any(abs(number - score) < 0.006 for number in read),
            f"After rating {picture!r} the model should read its score, {score:.2f}, but it read {cut(result, 150)!r}.",
        )


@picture_agent.core(20)
def six_calls(picture_agent, prompts, texts, scores) -> None:
    """at most six tool calls for a request"""
    more = [use for i in range(4) for use in (_draw(prompts[i % 3]), _rate(f"p{i + 1}", texts[i % 3]))]
    chat, fake = scripted_chat([*more, END]), FakeGenerator(scores)
    agent = _agent(picture_agent, chat, fake)
    error = error_of(lambda: _ask(agent))  # whether it may raise one is another case
    done = len(fake.drawn) + len(fake.rated)
    expect(
        done <= MOST_CALLS,
        f"The model called tools eight times, and {done} of these calls were carried out. Stop after {MOST_CALLS}: "
        "LangChain's ToolCallLimitMiddleware counts them.",
    )
    expect(
        done == MOST_CALLS,
        f"Six calls of draw and rate, in turn, should be carried out, but there were {done}. "
        f"{_raised(error) if error else _last_result(chat)}",
    )


# -- edges


@picture_agent.edge(10)
def ends_with_a_message(picture_agent, prompts, scores) -> None:
    """it then ends with a message, even if the model would never stop"""
    chat, fake = scripted_chat([_draw(prompts[0])]), FakeGenerator(scores)
    agent = _agent(picture_agent, chat, fake)
    with expect_no_error(
        Exception,
        lambda error: (
            f"The model wanted a seventh tool call. {_raised(error)} So all messages are lost, and with them the pictures' ids: "
            'end with a message instead (exit_behavior="end").'
        ),
    ):
        last = _ask(agent)[-1]
    expect(
        last.type == "ai" and not last.tool_calls,
        f"The last message should come from the model and call no tool, but it is {described(last)}.",
    )


@picture_agent.edge(8)
def unknown_picture(picture_agent, prompts, texts, scores) -> None:
    """for an unknown id the model reads which ids there are, and goes on"""
    replies = [_draw(prompts[0]), _draw(prompts[1]), _rate("p7", texts[0]), _rate("p2", texts[1]), END]
    fake = FakeGenerator(scores)
    agent = _agent(picture_agent, scripted_chat(replies), fake)
    with expect_no_error(
        Exception,
        lambda error: (
            f"The model asked for a rating of 'p7', which was never drawn. {_raised(error)} Return a sentence instead: models "
            "make such mistakes, and can correct them if they read what is wrong."
        ),
    ):
        answer = _ask(agent)
    result = _results(answer)[2]
    expect(
        _names(result, "p1") and _names(result, "p2"),
        f"For the unknown id 'p7' the model should read which ids there are, 'p1' and 'p2', but it read {cut(result, 150)!r}.",
    )
    expect(len(fake.rated) == 1, f"rate should be called once, for 'p2', but it was called {len(fake.rated)} times.")


@picture_agent.edge(6)
def pictures_of_its_own(picture_agent, prompts, scores) -> None:
    """each agent has its own pictures"""
    first = _run(picture_agent, [_draw(prompts[0]), _draw(prompts[1]), END], scores)
    second = _run(picture_agent, [_draw(prompts[2]), END], scores)
    seeds = [[drawn.seed for drawn in run.fake.drawn] for run in (first, second)]
    expect(
        len(seeds[0]) == 2 and seeds[0][:1] == seeds[1] and first.results[0] == second.results[0],
        f"A second agent should start afresh, as the first one did with the seeds {seeds[0]} and the result "
        f"{cut(first.results[0], 100)!r}, but it had {seeds[1]}, and its model read {cut(second.results[0], 100)!r}. Keep the "
        "pictures inside picture_agent.",
    )


@picture_agent.edge(5)
def two_requests(picture_agent, prompts, scores) -> None:
    """a second request may use six tool calls again"""
    chat = scripted_chat(2 * [*[_draw(prompts[i % 3]) for i in range(4)], END])
    fake = FakeGenerator(scores)
    agent = _agent(picture_agent, chat, fake)
    counts = []
    for _ in range(2):
        _ask(agent)
        counts.append(len(fake.drawn))
    expect(
        counts == [4, 8],
        f"Two requests to one agent made four drawings each, but after them {counts[0]} and {counts[1]} pictures were drawn: "
        "count the calls of each request separately.",
    )


@picture_agent.edge(6)
def two_at_once(picture_agent, prompts, scores) -> None:
    """two drawings in one message are two pictures"""
    fake = FakeGenerator(scores)

    def slow(prompt, *, seed):
        time.sleep(0.05)
        return fake.generate(prompt, seed=seed)

    chat = scripted_chat([[*_draw(prompts[0]), *_draw(prompts[1])], END])
    results = _results(_ask(_agent(picture_agent, chat, fake, generate=slow)))
    seeds = [drawn.seed for drawn in fake.drawn]
    expect(
        len(set(seeds)) == len(set(results)) == 2,
        f"The model called draw twice in one message, so both calls ran at the same time. The two pictures should have different "
        f"seeds and ids, but the seeds were {seeds}, and the model read {cut(' and '.join(results), 150)!r}. Take the number "
        "before you draw: next(numbers) of an itertools.count() gives each call a number that no other call gets.",
    )


# -- helpers


class Run(NamedTuple):
    """A request to an agent: the calls of its generator and rater, and what the model read of each tool call."""

    fake: FakeGenerator
    results: list[str]


def _draw(prompt: str) -> list[ToolUse]:
    return [ToolUse("draw", {"prompt": prompt})]


def _rate(picture: str, text: str) -> list[ToolUse]:
    return [ToolUse("rate", {"picture_id": picture, "text": text})]


def _agent(picture_agent, chat: BaseChatModel, fake: FakeGenerator, **parts) -> Any:
    """Make an agent with fakes; raise `CheckFailed` unless it can be asked."""
    agent = picture_agent(chat, **{"generate": fake.generate, "rate": fake.rate, **parts})
    expect(
        hasattr(agent, "invoke"),
        f"picture_agent should return an agent that create_agent has made, but it returned {described(agent)}.",
    )
    return agent


def _ask(agent: Any) -> list[BaseMessage]:
    """Return the messages with which an agent answers."""
    request = "Draw a picture and make sure that it fits."
    answer = agent.invoke({"messages": [{"role": "user", "content": request}]})
    expect(
        isinstance(answer, dict) and isinstance(answer.get("messages"), list) and bool(answer["messages"]),
        "The agent should answer with a dict with 'messages', as agents from create_agent do, but it returned "
        f"{described(answer)}.",
    )
    return answer["messages"]


def _run(picture_agent, replies: Sequence, scores: Sequence[float]) -> Run:
    fake = FakeGenerator(scores)
    return Run(fake, _results(_ask(_agent(picture_agent, scripted_chat(replies), fake))))


def _results(messages: Sequence[BaseMessage]) -> list[str]:
    """What the tools returned, as the model reads it."""
    return [on_one_line(text_of([message])) for message in messages if message.type == "tool"]


def _expect_calls(run: Run, tool: str, function: str, calls: int, right: int) -> None:
    read = f" The model read: {cut(run.results[0], 200)!r}." if run.results else ""
    expect(
        calls == right,
        f"The model called {tool} {right} times, but {function} was called {calls} times.{read} The tools should be "
        "draw(prompt) and rate(picture_id, text), by these names.",
    )


def _expect_rated(run: Run, rated: Any, picture: str, text: str) -> None:
    """Raise `CheckFailed` unless this call of `rate` had the text and the picture that the model had named."""
    ids = {id(drawn.image): f"p{i}" for i, drawn in enumerate(run.fake.drawn, 1)}
    expect(
        isinstance(rated.text, str) and not isinstance(rated.image, str),
        f"rate(text, picture) takes the text first and then the picture itself, not its id; it got "
        f"{described(rated.text)} and {described(rated.image)}.",
    )
    expect(
        rated.text == text,
        f"The picture should be rated by the text that the model passes, {text!r}, but rate got {rated.text!r}"
        f"{', the prompt' if rated.text in {drawn.prompt for drawn in run.fake.drawn} else ''}.",
    )
    found = ids.get(id(rated.image), "a picture that this agent has not drawn")
    expect(found == picture, f"The model asked for a rating of {picture}, but rate got {found}.")


def _names(result: str, picture: str) -> bool:
    return bool(re.search(rf"(?<![a-zA-Z0-9]){picture}(?![a-zA-Z0-9])", result))


def _raised(error: Exception) -> str:
    return f"The agent raised {with_article(type(error).__name__)}: {cut(on_one_line(str(error)), 200).rstrip('.')}."


def _last_result(chat: BaseChatModel) -> str:
    results = _results(chat.requests[-1]) if chat.requests else []
    return f"The last thing that the model read: {cut(results[-1], 200)!r}." if results else ""
