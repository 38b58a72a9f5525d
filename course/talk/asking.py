"""Questions about a picture with a short answer and a full sentence: the world's own, and some for chats only.

Questions about absent things have the same wording as others: otherwise the wording would give the answer away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from course.talk.answers import NUMBER_WORDS, full_answer
from course.talk.wording import plain_caption
from helpers.picturebook import COLOURS, KINDS, Scene, Thing, as_seen, questions, with_article
from helpers.picturebook.scene import OPPOSITES, Rng, in_picture_order, pick
from helpers.picturebook.words import PLACE_PHRASES, PLURALS


class QuestionAnswer(NamedTuple):
    """A question, its answer in a word or two, and its answer as a sentence."""

    question: str
    short: str
    sentence: str


def description(scene: Scene) -> str:
    """Describe a picture like the chat model: "The picture shows a large red cat, on a meadow."."""
    return f"The picture shows {plain_caption(as_seen(scene))}."


def ask(scene: Scene, rng: Rng) -> QuestionAnswer:
    """Ask about the scene, in the standard wording (see `course.talk.wording.reworded`)."""
    if rng.random() < 0.55:
        pairs = questions(scene, rng)
        question, answer = pick(rng, pairs, [_weight(question) for question, _ in pairs])
        return QuestionAnswer(question, answer, full_answer(question, answer))
    while True:
        form = pick(rng, tuple(FORMS), tuple(FORMS.values()))
        if asked := form(scene, rng):
            return asked


def _weight(question: str) -> float:
    if question.startswith(("What colo", "How many")):
        return 2.0
    return 1.5 if question.startswith("What is ") else 1.0


def _only(scene: Scene, rng: Rng) -> Thing | None:
    """Pick a thing whose kind occurs only once in the scene."""
    kinds = [thing.kind for thing in scene.things]
    things = [thing for thing in scene.things if kinds.count(thing.kind) == 1]
    return pick(rng, things) if things else None


def _absent(scene: Scene, rng: Rng) -> str:
    kinds = {thing.kind for thing in scene.things}
    return pick(rng, [kind for kind in KINDS if kind not in kinds])


def _noun(thing: Thing) -> tuple[str, str]:
    """Return the thing's noun and verb: "cats", "are"."""
    return (thing.kind, "is") if thing.count == 1 else (PLURALS[thing.kind], "are")


def phrase(thing: Thing) -> str:
    """Name a thing: "a large red cat", "two small red cats"."""
    if thing.count == 1:
        return with_article(f"{thing.size} {thing.colour} {thing.kind}")
    return f"{NUMBER_WORDS[str(thing.count)]} {thing.size} {thing.colour} {PLURALS[thing.kind]}"


def counted(number: int, kind: str, colour: str = "") -> str:
    """State a count: "There are two red cats.", "There is one cat.", "There are no cats."."""
    colour = f"{colour} " if colour else ""
    if number == 1:
        return f"There is one {colour}{kind}."
    return f"There are {NUMBER_WORDS[str(number)] if number else 'no'} {colour}{PLURALS[kind]}."


def _count(scene: Scene, rng: Rng) -> QuestionAnswer:
    """Ask how many of a kind there are, in any colour; a quarter of the time, of an absent kind."""
    kind = _absent(scene, rng) if rng.random() < 0.25 else pick(rng, scene.things).kind
    number = sum(thing.count for thing in scene.things if thing.kind == kind)
    return QuestionAnswer(f"How many {PLURALS[kind]} are there?", str(number), counted(number, kind))


def _count_coloured(scene: Scene, rng: Rng) -> QuestionAnswer:
    thing = pick(rng, scene.things)
    colour = thing.colour if rng.random() < 0.7 else pick(rng, COLOURS)
    number = sum(other.count for other in scene.things if (other.kind, other.colour) == (thing.kind, colour))
    return QuestionAnswer(
        f"How many {colour} {PLURALS[thing.kind]} are there?", str(number), counted(number, thing.kind, colour)
    )


def _total(scene: Scene, rng: Rng) -> QuestionAnswer:
    question, answer = "How many things are in the picture?", str(scene.total)
    return QuestionAnswer(question, answer, full_answer(question, answer))


def _what_is_absent(scene: Scene, rng: Rng) -> QuestionAnswer:
    kind = _absent(scene, rng)
    colour = pick(rng, ("colour", "color"))
    question = pick(
        rng,
        (
            f"What {colour} is the {kind}?",
            f"What {colour} is the {kind}?",
            f"Is the {kind} large or small?",
            f"Where is the {kind}?",
            f"Is the {kind} {pick(rng, COLOURS)}?",
            f"Describe the {kind}.",
        ),
    )
    return QuestionAnswer(question, "none", f"There is no {kind} in the picture.")


def _where(scene: Scene, rng: Rng) -> QuestionAnswer | None:
    thing = _only(scene, rng)
    if thing is None:
        return None
    noun, verb = _noun(thing)
    where = PLACE_PHRASES[scene.place][0]
    if scene.relation and len({other.kind for other in scene.things}) == 2:
        first, second = scene.things
        if thing == first:
            where = f"{scene.relation} the {second.kind}"
        elif scene.relation in OPPOSITES:
            where = f"{OPPOSITES[scene.relation]} the {_noun(first)[0]}"
        else:
            where = f"under the {_noun(first)[0]}"
    return QuestionAnswer(f"Where {verb} the {noun}?", where, f"The {noun} {verb} {where}.")


def _is_it_of_that_colour(scene: Scene, rng: Rng) -> QuestionAnswer | None:
    thing = _only(scene, rng)
    if thing is None:
        return None
    noun, verb = _noun(thing)
    # If possible, the wrong colour is that of another thing.
    others = [other.colour for other in scene.things if other.colour != thing.colour] or [
        colour for colour in COLOURS if colour != thing.colour
    ]
    named = thing.colour if rng.random() < 0.5 else pick(rng, others)
    yes = named == thing.colour
    return QuestionAnswer(
        f"{verb.capitalize()} the {noun} {named}?",
        "yes" if yes else "no",
        f"{'Yes' if yes else 'No'}, the {noun} {verb} {thing.colour}.",
    )


def _about_one(scene: Scene, rng: Rng) -> QuestionAnswer | None:
    thing = _only(scene, rng)
    if thing is None:
        return None
    noun, _ = _noun(thing)
    said = f"{'It is' if thing.count == 1 else 'They are'} {phrase(thing)}."
    return QuestionAnswer(f"Describe the {noun}.", phrase(thing), said)


SIDES = {"left of": ("on the left", "on the right"), "above": ("at the top", "at the bottom")}


def _side(scene: Scene, rng: Rng) -> QuestionAnswer | None:
    """Ask what is on one side, or for the colour of the thing there."""
    things, relation = in_picture_order(scene)
    if relation not in SIDES:
        return None
    i = int(rng.random() * 2)
    thing, side = things[i], SIDES[relation][i]
    noun, verb = _noun(thing)
    if rng.random() < 0.4:
        colour = pick(rng, ("colour", "color"))
        return QuestionAnswer(
            f"What {colour} {verb} the {noun} {side}?", thing.colour, f"The {noun} {side} {verb} {thing.colour}."
        )
    said = phrase(thing)
    return QuestionAnswer(f"What is {side}?", said, f"{said[0].upper()}{said[1:]} {verb} {side}.")


def _what_is_there(scene: Scene, rng: Rng) -> QuestionAnswer | None:
    if len(scene.things) == 1:
        return None  # `questions` covers that
    question = pick(rng, ("What is in the picture?", "What do you see?", "What is this?"))
    return QuestionAnswer(question, " and ".join(phrase(thing) for thing in as_seen(scene).things), description(scene))


FORMS: dict[Callable[[Scene, Rng], QuestionAnswer | None], float] = {
    _count: 4.0,
    _count_coloured: 0.8,
    _total: 1.2,
    _what_is_absent: 1.2,
    _where: 0.8,
    _is_it_of_that_colour: 1.0,
    _about_one: 1.2,
    _side: 2.0,
    _what_is_there: 1.0,
}
