"""Tools as programs offer them, under many names, and their results: picture ids and scores in many formats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from course.talk.messages import Call, Tool
from course.talk.strange import made_up
from helpers.picturebook.scene import Rng, pick

DRAW_NAMES = (
    *("draw_picture", "generate_picture", "generate_image", "paint", "make_image", "create_image", "text_to_image"),
    *("txt2img", "make_picture", "render", "sketch", "draw_image", "illustrate", "diffusion", "image_generator"),
)
RATE_NAMES = (
    *("rate_picture", "rate_image", "score", "score_picture", "check_picture", "clip_score", "judge", "evaluate"),
    *("compare", "similarity", "check", "rate_fit", "measure_fit", "grade"),
)
RATE_PARAMETERS = (
    ("picture_id", "text"),
    ("text", "picture_id"),
    ("picture_id", "prompt"),
    ("image_id", "text"),
    ("id", "text"),
    ("picture", "caption"),
    ("image", "description"),
)
EXTRA = (
    Tool("get_weather", ("city",)),
    Tool("search", ("query",)),
    Tool("translate", ("text", "language")),
    Tool("calculator", ("expression",)),
    Tool("send_email", ("to", "subject", "body")),
    Tool("list_pictures", ()),
    Tool("delete", ("picture_id",)),
    Tool("resize", ("picture_id", "width", "height")),
    Tool("describe", ("picture_id",)),
    Tool("save", ("picture_id", "path")),
    Tool("get_time", ("timezone",)),
    Tool("read_file", ("path",)),
)
PROMPT_NAMES = ("prompt", "prompt", "prompt", "description", "text", "caption")


@dataclass(frozen=True)
class DrawTool:
    """The tool that draws, and which of its parameters is the prompt; calls omit the others."""

    tool: Tool
    prompt: str

    def call(self, prompt: str) -> Call:
        return Call(self.tool.name, {self.prompt: prompt})


@dataclass(frozen=True)
class RateTool:
    """The tool that rates, and which of its two parameters is the picture; calls keep the schema's order."""

    tool: Tool
    picture: str

    def call(self, picture: str, text: str) -> Call:
        values = {name: picture if name == self.picture else text for name in self.tool.parameters}
        return Call(self.tool.name, values)


def offer(
    rng: Rng, *, drawing: bool = True, rating: bool = True
) -> tuple[tuple[Tool, ...], DrawTool | None, RateTool | None]:
    """Pick the tools to offer, in any order; return them, and those that draw and rate (None if not offered)."""
    standard = rng.random() < 0.6
    draw = rate = None
    tools: list[Tool] = []
    if drawing:
        draw = DrawTool(Tool("draw", ("prompt",)), "prompt") if standard else _draw_tool(rng)
        tools.append(draw.tool)
    if rating:
        rate = RateTool(Tool("rate", ("picture_id", "text")), "picture_id") if standard else _rate_tool(rng)
        tools.append(rate.tool)
    for _ in range(pick(rng, (0, 0, 0, 1, 2))):
        extra = pick(rng, EXTRA) if rng.random() < 0.7 else Tool(made_up(rng).lower(), (made_up(rng).lower(),))
        if extra.name not in {tool.name for tool in tools}:
            tools.insert(int(rng.random() * (len(tools) + 1)), extra)
    if rng.random() < 0.2:
        tools.reverse()
    return tuple(tools), draw, rate


def _draw_tool(rng: Rng) -> DrawTool:
    name = pick(rng, DRAW_NAMES) if rng.random() < 0.85 else f"{made_up(rng).lower()}_picture"
    prompt = pick(rng, PROMPT_NAMES)
    more = pick(rng, ((), (), (), ("seed",), ("steps", "seed"), ("width", "height"), ("style",)))
    return DrawTool(Tool(name, (prompt, *more)), prompt)


def _rate_tool(rng: Rng) -> RateTool:
    name = pick(rng, RATE_NAMES) if rng.random() < 0.85 else f"rate_{made_up(rng).lower()}"
    parameters = pick(rng, RATE_PARAMETERS)
    words = ("text", "prompt", "caption", "description")
    return RateTool(Tool(name, parameters), next(each for each in parameters if each not in words))


def picture_ids(rng: Rng) -> Iterator[str]:
    """Yield picture ids in one style: "p1", "p2", …"""
    style = pick(
        rng, ("p{n}", "p{n}", "p{n}", "img_{n}", "{letter}{n}", "picture{n}", "pic-{n}", "image_{n:03d}", "{hex}")
    )
    n, letter = 1 + int(rng.random() * (3 if rng.random() < 0.5 else 60)), pick(rng, "abcdefghkmnrstuvwx")
    while True:
        code = "".join(pick(rng, "0123456789abcdef") for _ in range(4))
        yield style.format(n=n, letter=letter, hex=f"{letter}{code}")
        n += 1


DRAW_RESULTS = (
    *('{{"picture_id": "{id}"}}', '{{"picture_id": "{id}"}}', '{{"picture_id": "{id}"}}', "{id}", "{id}"),
    *("picture {id} drawn", "Picture {id} is ready.", "Drawn: {id}", "The picture is stored as {id}.", "id: {id}"),
    *('{{"id": "{id}"}}', '{{"image_id": "{id}"}}', '{{"picture": "{id}"}}', '{{"result": "{id}"}}', "Done, {id}."),
    *(
        '{{"status": "ok", "picture_id": "{id}"}}',
        '{{"picture_id": "{id}", "seed": {seed}}}',
        '{{"picture_id":"{id}"}}',
    ),
    *("picture_id={id}", "New picture: {id} (128x128)", '["{id}"]', '{{"picture_id": "{id}", "width": 128}}'),
)


def draw_result(picture: str, rng: Rng) -> str:
    """Return a result of the drawing tool."""
    return pick(rng, DRAW_RESULTS).format(id=picture, seed=int(rng.random() * 100))


PLAIN = (
    *('{{"score": {s}}}', '{{"score": {s}}}', '{{"score": {s}}}', "{s}", "{s}", "score: {s}", "The score is {s}."),
    *('{{"picture_id": "{id}", "score": {s}}}', '{{"similarity": {s}}}', "CLIP score {s}", '{{"rating": {s}}}'),
    *("{id}: {s}", "Picture {id} scores {s}.", "Score = {s}", '{{"result": {s}}}', '{{"score":{s}}}'),
)
WITH_THRESHOLD = (
    *('{{"score": {s}, "threshold": {t}}}', "score {s}, threshold {t}", "{s} (threshold {t})"),
    *('{{"threshold": {t}, "score": {s}}}', "The score is {s}; {t} is needed."),
)
LOW_WORDS = ("too low", "not good enough", "does not fit", "below the threshold", "rejected", "poor fit", "bad")
HIGH_WORDS = ("good enough", "fits well", "accepted", "above the threshold", "good fit", "fine", "passed")
IN_WORDS = (
    *('{{"score": {s}, "verdict": "{w}"}}', "{s} ({w})", "score {s}, {w}", "{w}: {s}", "The score is {s}, {w}."),
    *('{{"score": {s}, "comment": "{w}"}}', '{{"verdict": "{w}", "score": {s}}}'),
)
AS_A_FLAG = ('{{"score": {s}, "fits": {f}}}', '{{"score": {s}, "ok": {f}}}', '{{"accepted": {f}, "score": {s}}}')


@dataclass(frozen=True)
class Rating:
    """A score as the tool formats it, whether it is low, and the limit (None if the result itself judges the score)."""

    score: str
    low: bool
    limit: float | None


def rate_result(
    picture: str, threshold: float | None, low: bool, rng: Rng, *, default: float, words: bool = True
) -> tuple[str, Rating]:
    """Return a result of the rating tool, and the rating it expresses.

    Args:
        picture: the rated picture's id.
        threshold: the user's threshold, None if there is none.
        low: whether the score should be low.
        rng: source of format and score.
        default: the threshold if none is given.
        words: whether the result may judge the score, or name its own threshold.
    """
    form = pick(rng, ("plain", "threshold", "words", "flag"), (0.72, 0.1, 0.12, 0.06)) if words else "plain"
    limit = default if threshold is None else threshold
    if form == "threshold":
        limit = limit if threshold is not None else pick(rng, (0.2, 0.25, 0.3, 0.5, 0.7, 0.8))
    elif form != "plain" and threshold is None:
        limit = 0.1 + rng.random() * 0.8
    score = _score(limit, low, rng)
    if form == "threshold":
        result = pick(rng, WITH_THRESHOLD).format(s=score, t=f"{limit:g}")
    elif form == "words":
        result = pick(rng, IN_WORDS).format(s=score, w=pick(rng, LOW_WORDS if low else HIGH_WORDS))
    elif form == "flag":
        result = pick(rng, AS_A_FLAG).format(s=score, f=json.dumps(not low))
    else:
        result = pick(rng, PLAIN).format(s=score, id=picture)
    return result, Rating(score, low, limit if form in ("plain", "threshold") else None)


def _score(limit: float, low: bool, rng: Rng) -> str:
    """Return a score on the right side of the limit, usually near it and with two decimals."""
    cents = round(limit * 100)
    room = cents if low else 100 - cents  # a low score is 0 … cents - 1, a high one cents … 100
    step = int(rng.random() * min(room + (not low), pick(rng, (4, 8, 12, 101, 101))))
    value = cents - 1 - step if low else cents + step
    value = min(max(value, 0), 100)
    decimals = pick(rng, (2, 2, 2, 2, 2, 2, 3, 4))
    if decimals == 2 or value == 100:
        return f"{value / 100:.2f}" if rng.random() < 0.85 else str(value / 100)
    return f"{value / 100:.2f}" + "".join(pick(rng, "0123456789") for _ in range(decimals - 2))
