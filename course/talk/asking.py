"""Questions about a picture with a short answer and a whole sentence: those of the world, and some that only chats ask.

What is absent is asked about in the same words as what is there: else the wording alone would tell the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from course.talk.answers import NUMBER_WORDS, full_answer
from course.talk.wording import plain_caption
from helpers.picturebook import COLOURS, KINDS, Scene, Thing, as_seen, questions, with_article
from helpers.picturebook.scene import OPPOSITES, Rng, in_picture_order, pick
from helpers.picturebook.words import PLACE_PHRASES, PLURALS


class Asked(NamedTuple):
    """A question, its answer in a word or two, and its answer as a sentence."""

    question: str
    short: str
    sentence: str


def description(scene: Scene) -> str:
    """What the chat model says of a picture: "The picture shows a large red cat, on a meadow."."""
    return f"The picture shows {plain_caption(as_seen(scene))}."


def ask(scene: Scene, rng: Rng) -> Asked:
    """A question about the scene, in plain words (`course.talk.wording.reworded` puts it in others)."""
    if rng.random() < 0.55:
        pairs = questions(scene, rng)
        question, answer = pick(rng, pairs, [_weight(question) for question, _ in pairs])
        return Asked(question, answer, full_answer(question, answer))
    while True:
        form = pick(rng, tuple(FORMS), tuple(FORMS.values()))
        if asked := form(scene, rng):
            return asked


def _weight(question: str) -> float:
    if question.startswith(("What colo", "How many")):
        return 2.0
    return 1.5 if question.startswith("What is ") else 1.0


def _only(scene: Scene, rng: Rng) -> Thing | None:
    """A thing whose kind no other entry of the scene has."""
    kinds = [thing.kind for thing in scene.things]
    things = [thing for thing in scene.things if kinds.count(thing.kind) == 1]
    return pick(rng, things) if things else None


def _absent(scene: Scene, rng: Rng) -> str:
    kinds = {thing.kind for thing in scene.things}
    return pick(rng, [kind for kind in KINDS if kind not in kinds])


def _noun(thing: Thing) -> tuple[str, str]:
    """The thing's noun and its verb: "cats", "are"."""
    return (thing.kind, "is") if thing.count == 1 else (PLURALS[thing.kind], "are")


def phrase(thing: Thing) -> str:
    """ "a large red cat", "two small red cats"."""
    if thing.count == 1:
        return with_article(f"{thing.size} {thing.colour} {thing.kind}")
    return f"{NUMBER_WORDS[str(thing.count)]} {thing.size} {thing.colour} {PLURALS[thing.kind]}"


def counted(number: int, kind: str, colour: str = "") -> str:
    """ "There are two red cats.", "There is one cat.", "There are no cats."."""
    colour = f"{colour} " if colour else ""
    if number == 1:
        return f"There is one {colour}{kind}."
    return f"There are {NUMBER_WORDS[str(number)] if number else 'no'} {colour}{PLURALS[kind]}."


def _count(scene: Scene, rng: Rng) -> Asked:
    """How many of a kind: all that are in the picture, whatever their colours; one time in four a kind that is absent."""
    kind = _absent(scene, rng) if rng.random() < 0.25 else pick(rng, scene.things).kind
    number = sum(thing.count for thing in scene.things if thing.kind == kind)
    return Asked(f"How many {PLURALS[kind]} are there?", str(number), counted(number, kind))


def _count_coloured(scene: Scene, rng: Rng) -> Asked:
    thing = pick(rng, scene.things)
    colour = thing.colour if rng.random() < 0.7 else pick(rng, COLOURS)
    number = sum(other.count for other in scene.things if (other.kind, other.colour) == (thing.kind, colour))
    return Asked(
        f"How many {colour} {PLURALS[thing.kind]} are there?", str(number), counted(number, thing.kind, colour)
    )


def _total(scene: Scene, rng: Rng) -> Asked:
    question, answer = "How many things are in the picture?", str(scene.total)
    return Asked(question, answer, full_answer(question, answer))


def _what_is_absent(scene: Scene, rng: Rng) -> Asked:
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
    return Asked(question, "none", f"There is no {kind} in the picture.")


def _where(scene: Scene, rng: Rng) -> Asked | None:
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
    return Asked(f"Where {verb} the {noun}?", where, f"The {noun} {verb} {where}.")


def _is_it_of_that_colour(scene: Scene, rng: Rng) -> Asked | None:
    thing = _only(scene, rng)
    if thing is None:
        return None
    noun, verb = _noun(thing)
    # The wrong colour is, where it can be, that of another thing.
    others = [other.colour for other in scene.things if other.colour != thing.colour] or [
        colour for colour in COLOURS if colour != thing.colour
    ]
    named = thing.colour if rng.random() < 0.5 else pick(rng, others)
    yes = named == thing.colour
    return Asked(
        f"{verb.capitalize()} the {noun} {named}?",
        "yes" if yes else "no",
        f"{'Yes' if yes else 'No'}, the {noun} {verb} {thing.colour}.",
    )


def _about_one(scene: Scene, rng: Rng) -> Asked | None:
    thing = _only(scene, rng)
    if thing is None:
        return None
    noun, _ = _noun(thing)
    said = f"{'It is' if thing.count == 1 else 'They are'} {phrase(thing)}."
    return Asked(f"Describe the {noun}.", phrase(thing), said)


SIDES = {"left of": ("on the left", "on the right"), "above": ("at the top", "at the bottom")}


def _side(scene: Scene, rng: Rng) -> Asked | None:
    """What is on the left? Of two things of one kind: what colour is the left one?"""
    things, relation = in_picture_order(scene)
    if relation not in SIDES:
        return None
    i = int(rng.random() * 2)
    thing, side = things[i], SIDES[relation][i]
    noun, verb = _noun(thing)
    if rng.random() < 0.4:
        colour = pick(rng, ("colour", "color"))
        return Asked(
            f"What {colour} {verb} the {noun} {side}?", thing.colour, f"The {noun} {side} {verb} {thing.colour}."
        )
    said = phrase(thing)
    return Asked(f"What is {side}?", said, f"{said[0].upper()}{said[1:]} {verb} {side}.")


def _what_is_there(scene: Scene, rng: Rng) -> Asked | None:
    if len(scene.things) == 1:
        return None  # `questions` asks that
    question = pick(rng, ("What is in the picture?", "What do you see?", "What is this?"))
    return Asked(question, " and ".join(phrase(thing) for thing in as_seen(scene).things), description(scene))


FORMS: dict[Callable[[Scene, Rng], Asked | None], float] = {
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
