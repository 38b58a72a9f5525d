"""Random training dialogues, with or without a picture.

They cover every task of the chat model: describe, answer, JSON with a funny story, a story, n image prompts, one prompt
from a story or from a bare idea and its neighbours, drawing and rating with tools, small talk, refusal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from course.talk.asking import ask, description
from course.talk.chatter import REFUSAL, small_talk
from course.talk.messages import Call, Dialogue, Message, Tool, Turn, in_turn
from course.talk.prompts import MAX_PROMPTS, numbered, variations
from course.talk.requests import (
    AS_JSON,
    DESCRIBE,
    JSON_AGAIN,
    NEW_SYSTEMS,
    ONE_PROMPT,
    ONE_WORD,
    REWRITE,
    SYSTEMS,
    TELL,
    TELL_OF,
    describe_request,
    improve_request,
    json_request,
    rewrite_of,
    tell_request,
)
from course.talk.stories import funny_story
from course.talk.strange import FILLERS, NOUNS, made_up, strange_request
from course.talk.tools import compare_dialogue, draw_dialogue, like_dialogue, rate_dialogue, some_tools, two_dialogue
from course.talk.wording import as_typed, dressed, plain_caption, reworded
from helpers.picturebook import Scene, describe, random_scene, with_article
from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import NUMBERS, PLACE_PHRASES, PLURALS, STYLE_OPENINGS

__all__ = [
    "ABOUT_A_PICTURE",
    "AS_JSON",
    "DESCRIBE",
    "REWRITE",
    "TELL",
    "WITHOUT_A_PICTURE",
    "Call",
    "Dialogue",
    "Message",
    "Tool",
    "Turn",
    "as_json",
    "description",
    "random_dialogue",
]

COUNTED = {value: word for word, value in NUMBERS.items()} | {1: "one", 5: "five", 6: "six"}
FAULTS = ("no JSON found.", "a key is missing.", "extra text.", "the JSON ends too early.")
"""What a program may say about a reply that it could not parse."""


def as_json(scene: Scene, rng: Rng) -> str:
    """Return the JSON reply with description and funny story."""
    return json.dumps({"description": description(scene), "funny_story": funny_story(scene, rng)})


# -- about a picture


def _describe(scene: Scene, rng: Rng) -> list[Turn]:
    return [(describe_request(rng), description(scene))]


def _answer(scene: Scene, rng: Rng, most: int = 6) -> list[Turn]:
    """Ask one to six questions: a picture costs as many tokens as three of them."""
    turns = []
    for _ in range(1 + int(rng.random() * most)):
        question, short, sentence = ask(scene, rng)
        question = reworded(question, rng)
        if rng.random() < 0.25:
            turns.append((f"{question} {pick(rng, ONE_WORD)}", short))
        else:
            turns.append((dressed(question, rng), sentence))
    return turns


def _describe_then_answer(scene: Scene, rng: Rng) -> list[Turn]:
    return _describe(scene, rng) + _answer(scene, rng, 2)


def _answer_then_describe(scene: Scene, rng: Rng) -> list[Turn]:
    return _answer(scene, rng, 2) + _describe(scene, rng)


def _story(scene: Scene, rng: Rng) -> list[Turn]:
    return [(tell_request(rng), funny_story(scene, rng))]


def _json(scene: Scene, rng: Rng) -> list[Turn]:
    turns = [(json_request(rng), as_json(scene, rng))]
    if rng.random() < 0.2:
        turns.append((pick(rng, JSON_AGAIN).format(pick(rng, FAULTS)), as_json(scene, rng)))
    return turns


# -- prompts and stories


def _query(scene: Scene, rng: Rng) -> str:
    """Describe a scene as to a prompt writer: a caption with or without details, or a description."""
    if rng.random() < 0.3:
        return description(scene)
    return describe(scene, rng, detail=pick(rng, (1.0, 1.0, 0.7))) + pick(rng, ("", "."))


def _rewrite(scene: Scene, rng: Rng) -> list[Turn]:
    n = 1 + int(rng.random() * MAX_PROMPTS)
    number = str(n) if rng.random() < 0.7 else COUNTED[n]
    query = _query(scene, rng)
    known = _as_stated(scene, query)
    request = dressed(pick(rng, REWRITE).format(n=number, query=query), rng, end=False)
    return [(request, numbered(variations(known, n, rng)))]


def _as_stated(scene: Scene, query: str) -> Scene:
    """Return the scene with its place and style only if the query names them; otherwise meadow and flat.

    So the first prompt of a list follows from the query, without guessing.
    """
    names_place = any(query.rstrip(".").endswith(phrase) for phrase in PLACE_PHRASES[scene.place])
    names_style = any(phrase.strip() and phrase.strip() in query for phrase in STYLE_OPENINGS[scene.style])
    return replace(scene, place=scene.place if names_place else "meadow", style=scene.style if names_style else "flat")


def _one_prompt(scene: Scene, rng: Rng) -> list[Turn]:
    scene = replace(scene, things=scene.things[:1], relation=None, style="flat")
    return [(pick(rng, ONE_PROMPT).format(query=funny_story(scene, rng)), plain_caption(scene))]


def _improve(scene: Scene, rng: Rng) -> Dialogue:
    """Improve an idea that names the things; what it omits (colour, place, style) comes from the first example."""
    examples = [random_scene(rng) for _ in range(pick(rng, (1, 2, 3, 3, 5)))]
    captions = [describe(example, rng) for example in examples]
    first = examples[0]
    if rng.random() < 0.06:
        return Dialogue.of(None, [(rewrite_of(captions, rng), plain_caption(first))])
    idea = describe(replace(scene, style="flat"), rng, detail=pick(rng, (0.0, 0.0, 0.5)))
    leading = scene.things[0]
    names_colour = any(f"{leading.colour} {noun}" in idea for noun in (leading.kind, PLURALS[leading.kind]))
    recoloured = (
        replace(leading, colour=leading.colour if names_colour else first.things[0].colour),
        *scene.things[1:],
    )
    if len({(thing.kind, thing.colour) for thing in recoloured}) < len(recoloured):
        recoloured = scene.things
    place = scene.place if any(idea.endswith(phrase) for phrase in PLACE_PHRASES[scene.place]) else first.place
    better = replace(scene, things=recoloured, place=place, style=first.style)
    if rng.random() < 0.15:
        idea = _with_an_unknown_word(idea, rng)
    system, request = improve_request(idea, captions, rng)
    return Dialogue(None, in_turn([(request, plain_caption(better))]), system)


def _with_an_unknown_word(idea: str, rng: Rng) -> str:
    """Add a word before a noun, or a phrase at the end, that is not part of the picture book."""
    word = made_up(rng).lower() if rng.random() < 0.5 else pick(rng, UNKNOWN)
    if rng.random() < 0.4:
        return f"{idea} {pick(rng, ('in', 'with', 'and', 'near'))} {with_article(pick(rng, NOUNS))}"
    article, _, rest = idea.partition(" ")
    if article in ("a", "an"):
        return f"{with_article(word)} {rest}"
    return f"{article} {word} {rest}"


UNKNOWN = (
    "sleepy",
    "happy",
    "lonely",
    "sleeping",
    "brave",
    "old",
    "dancing",
    "hungry",
    "shiny",
    "lazy",
    "angry",
    "wet",
)


def _story_of(scene: Scene, rng: Rng) -> list[Turn]:
    """Tell a story about named things; some requests give a text whose style to imitate, some only keywords."""
    roll = rng.random()
    if roll < 0.25:
        named = ", ".join(word for word in _keywords(scene) if word)
    else:
        named = describe(scene, rng, detail=1.0 if roll < 0.6 else 0.6)
    request = pick(rng, TELL_OF)
    if rng.random() < 0.3:
        request = f"Learn the style from this text: {funny_story(random_scene(rng), rng)}\n{TELL_OF[5]}"
    return [(request.format(named), funny_story(scene, rng))]


def _keywords(scene: Scene) -> list[str]:
    return [scene.things[0].colour, *dict.fromkeys(thing.kind for thing in scene.things), scene.place]


# -- without a task


def _small_talk(scene: Scene, rng: Rng) -> list[Turn]:
    return [small_talk(rng) for _ in range(pick(rng, (1, 1, 2)))]


def _refuse(scene: Scene, rng: Rng) -> list[Turn]:
    turns = [(strange_request(rng), REFUSAL)]
    roll = rng.random()
    if roll < 0.06:
        subject = pick(rng, FILLERS[pick(rng, ("topic", "person", "work", "food"))])
        if rng.random() < 0.4:
            subject = f"the {pick(rng, NOUNS)} of {pick(rng, FILLERS['place'])}"
        n = 1 + int(rng.random() * MAX_PROMPTS)
        return [(pick(rng, REWRITE).format(n=n, query=subject), REFUSAL)]
    if roll < 0.25:
        turns.insert(0, small_talk(rng))
    elif roll < 0.4:
        turns.append(small_talk(rng) if rng.random() < 0.5 else (strange_request(rng), REFUSAL))
    return turns


def _refuse_then_describe(scene: Scene, rng: Rng) -> list[Turn]:
    """Refuse one request but not the next."""
    return [(strange_request(rng), REFUSAL), *(_describe if rng.random() < 0.4 else _answer)(scene, rng)[:2]]


Task = Callable[[Scene, Rng], "list[Turn] | Dialogue"]
ABOUT_A_PICTURE: dict[str, tuple[Task, float]] = {
    "describe": (_describe, 5.0),
    "answer": (_answer, 7.0),
    "describe_then_answer": (_describe_then_answer, 0.5),
    "answer_then_describe": (_answer_then_describe, 1.0),
    "story": (_story, 0.8),
    "json": (_json, 1.8),
    "refuse": (_refuse, 0.5),
    "refuse_then_describe": (_refuse_then_describe, 0.3),
    "draw_like": (like_dialogue, 0.3),
}
WITHOUT_A_PICTURE: dict[str, tuple[Task, float]] = {
    "rewrite": (_rewrite, 2.5),
    "one_prompt": (_one_prompt, 1.0),
    "improve": (_improve, 2.0),
    "story_of": (_story_of, 1.3),
    "small_talk": (_small_talk, 1.3),
    "refuse": (_refuse, 4.0),
    "draw": (draw_dialogue, 5.0),
    "rate": (rate_dialogue, 2.5),
    "compare": (compare_dialogue, 4.0),
    "draw_two": (two_dialogue, 0.4),
}
OF_SEVERAL_THINGS = {"describe": 2.0, "answer_then_describe": 2.0}
"""How much more frequent a task is if the picture shows several different things."""


def random_dialogue(rng: Rng, scene: Scene | None, *, task: str | None = None) -> Dialogue:
    """Make a dialogue about a picture of the scene, or without one if it is None; by default of a random task."""
    tasks = ABOUT_A_PICTURE if scene else WITHOUT_A_PICTURE
    if task is None:
        more = OF_SEVERAL_THINGS if scene and len(scene.things) > 1 else {}
        task = pick(rng, tuple(tasks), [weight * more.get(name, 1.0) for name, (_, weight) in tasks.items()])
    made = tasks[task][0](scene or random_scene(rng), rng)
    if isinstance(made, Dialogue) and made.tools:
        return made
    if not isinstance(made, Dialogue):
        made = Dialogue.of(scene, [(as_typed(said, rng), answer) for said, answer in made])
    if not made.system and rng.random() < 0.15:
        made = replace(made, system=_system(rng))
    return replace(made, tools=some_tools(rng)) if rng.random() < (0.07 if scene else 0.15) else made


def _system(rng: Rng) -> str:
    if rng.random() < 0.7:
        return pick(rng, SYSTEMS)
    return pick(rng, NEW_SYSTEMS).format(pick(rng, NOUNS) if rng.random() < 0.6 else made_up(rng))
