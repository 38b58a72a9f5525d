"""Training dialogues, at random: a scene or none, and what user and assistant say in turn.

Every task of the chat model is here: describe, answer, JSON with a funny story, a story, n image prompts, one prompt
from a story or from a bare idea and its neighbours, small talk, refusal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from course.talk.answers import full_answer
from course.talk.chatter import REFUSAL, small_talk, strange_request
from course.talk.prompts import MOST_PROMPTS, numbered, variations
from course.talk.stories import funny_story
from course.talk.wording import as_typed, asked, plain_caption, reworded
from helpers.picturebook import KINDS, Scene, as_seen, describe, questions, random_scene
from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import NUMBERS, PLACE_PHRASES, STYLE_OPENINGS

Turn = tuple[str, str]
"""What the user says and what the assistant answers."""

DESCRIBE = (
    "Describe the image.",
    "Describe the picture.",
    "Describe this image in one sentence.",
    "What does the picture show?",
    "What is shown in this image?",
    "What do you see in this picture?",
    "What is happening in the picture?",
    "Write a caption for this picture.",
    "Give me a caption.",
    "Tell me what you see.",
    "Explain this picture.",
    "Describe what you see in detail.",
    "What is this a picture of?",
    "Caption this image.",
)
ONE_WORD = (
    "Answer with one word.",
    "Answer in one word.",
    "Answer briefly.",
    "Give a short answer.",
    "One word only.",
    "Answer with a word or a number.",
)
TELL = (
    "Tell me a funny story about this picture.",
    "Write a short story about the image.",
    "Write a funny story.",
    "Make up a story about what you see.",
    "Tell a short, funny story about the picture.",
    "Invent a little story for this picture.",
)
TELL_OF = (
    "Tell me a funny story about {}.",
    "Write a short story about {}.",
    "Write a funny story with {}.",
    "Tell a story of {}.",
    "Write two or three sentences about {}.",
    "Write a short text with these keywords: {}.",
    "A story about {}, please.",
)
AS_JSON = (
    'Describe the image and write a funny story about it. Answer in JSON with the keys "description" and "funny_story".',
    "Return a JSON object with the keys description and funny_story.",
    "Describe the picture and tell a funny story. Reply with JSON only, keys: description, funny_story.",
    "Give me JSON with a description of the picture and a funny_story about it.",
    "Answer only with a JSON object that has two strings, description and funny_story.",
    "Look at the image. Output a JSON dictionary with the fields 'description' and 'funny_story'.",
    "What is in the image? Please answer as JSON: description, funny_story.",
)
JSON_AGAIN = (
    "That was no valid JSON. Answer again with the keys description and funny_story.",
    "Your reply could not be read: {} Answer with one JSON object with description and funny_story.",
    "The key funny_story is missing. Try again, JSON only.",
    "The key description is missing. Reply with JSON, please.",
    "Please give the JSON again, nothing else.",
)
REWRITE = (
    "Rewrite this into {n} different image prompts, as a numbered list: {query}",
    "Write {n} distinct prompts for an image generator about: {query}",
    "Create {n} image prompts about {query}",
    "Give me {n} different prompts for pictures of {query}. Number them.",
    "Make a numbered list of {n} image prompts. Subject: {query}",
    "You write prompts for Stable Diffusion. Write {n} prompts from this description: {query}",
    "I want {n} pictures of this: {query} Write a prompt for each of them.",
    "Turn the text into {n} prompts for text-to-image models, one a line, numbered. Text: {query}",
    "Generate {n} creative variations of this prompt: {query}",
    "Rewrite the following query as {n} image generation prompts. Query: {query}",
    "{query}\nWrite {n} image prompts about this.",
)
ONE_PROMPT = (
    "Write one image prompt for this text: {query}",
    "Turn this story into a prompt for an image generator: {query}",
    "Write an image prompt for: {query}",
    "Summarise this text as one image prompt: {query}",
    "Which picture would fit this text? Write the prompt only. {query}",
    "Write a prompt for a text-to-image model that illustrates this text: {query}",
)
IMPROVE = (
    "Improve this image prompt: {idea}\nHere are good prompts:\n{examples}",
    "Idea: {idea}\nExamples:\n{examples}\nWrite one better prompt for the idea.",
    "Write a full image prompt for this idea: {idea}\nTake these prompts as examples:\n{examples}",
    "Make a better prompt of this: {idea}\nSimilar prompts:\n{examples}",
    "Improve the prompt '{idea}' with details from these:\n{examples}",
)
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a friendly assistant who looks at pictures.",
    "Answer the user's questions.",
    "You are an expert for image prompts.",
    "You are a helpful assistant. Be brief.",
)
COUNTED = {value: word for word, value in NUMBERS.items()} | {1: "one", 5: "five", 6: "six"}


@dataclass(frozen=True)
class Dialogue:
    """`scene` is what the picture shows, None where there is no picture; the picture comes with the first turn."""

    scene: Scene | None
    turns: tuple[Turn, ...]
    system: str = ""


def description(scene: Scene) -> str:
    """What the chat model says of a picture: "The picture shows a large red cat, on a meadow."."""
    return f"The picture shows {plain_caption(as_seen(scene))}."


def as_json(scene: Scene, rng: Rng) -> str:
    """The JSON reply with description and funny story."""
    return json.dumps({"description": description(scene), "funny_story": funny_story(scene, rng)})


def _describe(scene: Scene, rng: Rng) -> list[Turn]:
    return [(asked(pick(rng, DESCRIBE), rng), description(scene))]


def _answer(scene: Scene, rng: Rng) -> list[Turn]:
    """One to four questions in turn."""
    pairs = questions(scene, rng)
    turns = []
    for _ in range(pick(rng, (1, 2, 3, 4))):
        if rng.random() < 0.04:
            turns.append(_ask_about_what_is_not_there(scene, rng))
            continue
        question, answer = pick(rng, pairs)
        if rng.random() < 0.3:
            turns.append((f"{reworded(question, rng)} {pick(rng, ONE_WORD)}", answer))
        else:
            turns.append((reworded(question, rng), full_answer(question, answer)))
    return turns


def _ask_about_what_is_not_there(scene: Scene, rng: Rng) -> Turn:
    """In the same words as questions about what is there: else the wording alone would tell the answer."""
    absent = pick(rng, [kind for kind in KINDS if kind not in {thing.kind for thing in scene.things}])
    colour = pick(rng, ("colour", "color"))
    asked = pick(
        rng, (f"What {colour} is the {absent}?", f"Is the {absent} large or small?", f"Where is the {absent}?")
    )
    return reworded(asked, rng), f"There is no {absent} in the picture."


def _describe_then_answer(scene: Scene, rng: Rng) -> list[Turn]:
    return _describe(scene, rng) + _answer(scene, rng)[:2]


def _story(scene: Scene, rng: Rng) -> list[Turn]:
    return [(asked(pick(rng, TELL), rng), funny_story(scene, rng))]


def _json(scene: Scene, rng: Rng) -> list[Turn]:
    turns = [(asked(pick(rng, AS_JSON), rng), as_json(scene, rng))]
    if rng.random() < 0.25:
        complaint = pick(rng, JSON_AGAIN).format(pick(rng, ("no JSON found.", "a key is missing.", "extra text.")))
        turns.append((complaint, as_json(scene, rng)))
    return turns


def _query(scene: Scene, rng: Rng) -> str:
    """A scene as people put it to a prompt writer: a caption with or without details, or a description."""
    if rng.random() < 0.3:
        return description(scene)
    return describe(scene, rng, detail=pick(rng, (1.0, 1.0, 0.7))) + pick(rng, ("", "."))


def _rewrite(scene: Scene, rng: Rng) -> list[Turn]:
    n = 1 + int(rng.random() * MOST_PROMPTS)
    number = str(n) if rng.random() < 0.7 else COUNTED[n]
    query = _query(scene, rng)
    known = _as_told(scene, query)
    return [(pick(rng, REWRITE).format(n=number, query=query), numbered(variations(known, n, rng)))]


def _as_told(scene: Scene, query: str) -> Scene:
    """The scene with a place and a style of its own only where the query says them; else meadow and flat.

    So the first prompt of a list follows from the query, and needs no guessing.
    """
    told_place = any(query.rstrip(".").endswith(phrase) for phrase in PLACE_PHRASES[scene.place])
    told_style = any(phrase.strip() and phrase.strip() in query for phrase in STYLE_OPENINGS[scene.style])
    return replace(scene, place=scene.place if told_place else "meadow", style=scene.style if told_style else "flat")


def _one_prompt(scene: Scene, rng: Rng) -> list[Turn]:
    scene = replace(scene, things=scene.things[:1], relation=None, style="flat")
    return [(pick(rng, ONE_PROMPT).format(query=funny_story(scene, rng)), plain_caption(scene))]


def _improve(scene: Scene, rng: Rng) -> list[Turn]:
    """The idea names the things; colour, place and style of the better prompt are those of the first example."""
    idea = describe(replace(scene, style="flat"), rng, detail=0.0)
    examples = [random_scene(rng) for _ in range(pick(rng, (1, 2, 3, 5)))]
    first, leading = examples[0], scene.things[0]
    recoloured = (replace(leading, colour=first.things[0].colour), *scene.things[1:])
    if len({(thing.kind, thing.colour) for thing in recoloured}) < len(recoloured):
        recoloured = scene.things
    better = replace(scene, things=recoloured, place=first.place, style=first.style)
    told = "\n".join(f"- {describe(example, rng)}" for example in examples)
    return [(pick(rng, IMPROVE).format(idea=idea, examples=told), plain_caption(better))]


def _story_of(scene: Scene, rng: Rng) -> list[Turn]:
    return [(pick(rng, TELL_OF).format(describe(scene, rng, detail=pick(rng, (1.0, 0.6)))), funny_story(scene, rng))]


def _small_talk(scene: Scene, rng: Rng) -> list[Turn]:
    return [small_talk(rng) for _ in range(pick(rng, (1, 1, 2)))]


def _refuse(scene: Scene, rng: Rng) -> list[Turn]:
    turns = [(strange_request(rng), REFUSAL)]
    if rng.random() < 0.3:
        turns.insert(0, small_talk(rng))
    return turns


Task = Callable[[Scene, Rng], list[Turn]]
ABOUT_A_PICTURE: dict[str, tuple[Task, float]] = {
    "describe": (_describe, 3.0),
    "answer": (_answer, 5.0),
    "describe_then_answer": (_describe_then_answer, 1.0),
    "story": (_story, 1.0),
    "json": (_json, 2.0),
    "refuse": (_refuse, 0.4),
}
WITHOUT_A_PICTURE: dict[str, tuple[Task, float]] = {
    "rewrite": (_rewrite, 4.0),
    "one_prompt": (_one_prompt, 1.0),
    "improve": (_improve, 1.5),
    "story_of": (_story_of, 1.5),
    "small_talk": (_small_talk, 1.5),
    "refuse": (_refuse, 2.5),
}


def random_dialogue(rng: Rng, scene: Scene | None, *, task: str | None = None) -> Dialogue:
    """A dialogue about a picture of the scene, or without a picture where the scene is None; task at random if not given."""
    tasks = ABOUT_A_PICTURE if scene else WITHOUT_A_PICTURE
    task = task or pick(rng, tuple(tasks), [weight for _, weight in tasks.values()])
    turns = tasks[task][0](scene or random_scene(rng), rng)
    system = pick(rng, SYSTEMS) if rng.random() < 0.15 else ""
    return Dialogue(scene, tuple((as_typed(said, rng), answer) for said, answer in turns), system)
