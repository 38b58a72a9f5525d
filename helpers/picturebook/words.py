"""Scenes in words: captions, captions read back, and questions with their answers.

`describe` and `parse` are inverses of each other: both use the same tables of phrases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from helpers.picturebook.scene import COLOURS, KINDS, OPPOSITES, PLACES, RELATIONS, Rng, Scene, Thing, pick

__all__ = [
    "NUMBERS",
    "PLACE_PHRASES",
    "PLURALS",
    "RELATION_PHRASES",
    "SINGULARS",
    "SIZE_WORDS",
    "STYLE_OPENINGS",
    "describe",
    "parse",
    "plain_caption",
    "questions",
    "read_caption",
    "with_article",
]

NUMBERS = {"two": 2, "three": 3, "four": 4}
SIZE_WORDS = {"large": ("large", "big"), "small": ("small", "little")}
PLACE_PHRASES = {
    "meadow": ("on a meadow", "in a meadow", "on the green meadow"),
    "sea": ("by the sea", "at the sea", "at sea"),
    "desert": ("in the desert", "in a desert", "in the sandy desert"),
    "snow": ("in the snow", "on the snow", "in a snowy land"),
    "night": ("at night", "under the night sky", "in the night"),
    "room": ("in a room", "in the room", "indoors"),
    "road at sunset": ("on a road at sunset", "on the road at sunset", "by a road at sunset"),
    "mars": ("on mars", "on the planet mars", "on red mars"),
}
STYLE_OPENINGS = {
    "flat": ("", "", "a picture of ", "a drawing of "),
    "pencil sketch": ("a pencil sketch of ", "a pencil drawing of "),
    "pixel art": ("a pixel art picture of ", "pixel art of "),
    "neon": ("a neon picture of ", "a neon drawing of "),
}
RELATION_PHRASES = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "on": ("on", "on top of"),
}
IRREGULAR_PLURALS = {"fish": "fish", "box": "boxes"}
PLURALS = {kind: IRREGULAR_PLURALS.get(kind, f"{kind}s") for kind in KINDS}
SINGULARS = {plural: kind for kind, plural in PLURALS.items()} | {kind: kind for kind in KINDS}


def with_article(words: str) -> str:
    """Put "a" or "an" before the words: "an astronaut", "a cat"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _noun_phrase(thing: Thing, rng: Rng, detail: float) -> str:
    words = []
    if rng.random() < detail:
        words.append(pick(rng, SIZE_WORDS[thing.size]))
    if rng.random() < detail:
        words.append(thing.colour)
    words.append(thing.kind if thing.count == 1 else PLURALS[thing.kind])
    if thing.count > 1:
        number = next(word for word, value in NUMBERS.items() if value == thing.count)
        return " ".join([number, *words])
    return with_article(" ".join(words))


def describe(scene: Scene, rng: Rng, *, detail: float = 1.0) -> str:
    """Describe the scene in a randomly worded caption: "a large red cat left of a small blue house, on a meadow".

    Args:
        scene: what to describe.
        rng: chooses the wording; the same seed gives the same caption.
        detail: probability that each size, colour, place and style is mentioned. At 1 the caption is complete and
            `parse` gives the scene back; below, it is as sketchy as people's prompts are.
    """
    nouns = [_noun_phrase(thing, rng, detail) for thing in scene.things]
    if scene.relation:
        body = f"{nouns[0]} {pick(rng, RELATION_PHRASES[scene.relation])} {nouns[1]}"
    elif len(nouns) > 1:
        body = f"{', '.join(nouns[:-1])} and {nouns[-1]}"
    else:
        body = nouns[0]
    opening = pick(rng, STYLE_OPENINGS[scene.style]) if rng.random() < detail else ""
    comma = "," if scene.relation or rng.random() < 0.5 else ""
    place = f"{comma} {pick(rng, PLACE_PHRASES[scene.place])}" if rng.random() < detail else ""
    return f"{opening}{body}{place}"


class First:
    """A "random" generator that always takes the first choice: with it, `describe` words a scene in one way only."""

    def random(self) -> float:
        return 0.0


def plain_caption(scene: Scene) -> str:
    """Return the complete caption of the scene in the plainest words, the same words each time."""
    return describe(scene, First())


def _alternatives(phrases: Iterable[str]) -> str:
    """Return a pattern for any of the phrases, longest first, so that "on top of" is not read as "on"."""
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


_PLACE_OF = {phrase: place for place, phrases in PLACE_PHRASES.items() for phrase in phrases}
_STYLE_OF = {phrase.strip(): style for style, phrases in STYLE_OPENINGS.items() for phrase in phrases if phrase}
_RELATION_OF = {phrase: relation for relation, phrases in RELATION_PHRASES.items() for phrase in phrases}
_SIZE_OF = {word: size for size, words in SIZE_WORDS.items() for word in words}

_OPENING = re.compile(rf"^(?:({_alternatives(_STYLE_OF)}) )?")
_PLACE = re.compile(rf",? ({_alternatives(_PLACE_OF)})$")
_THING = re.compile(
    rf"(?P<number>an?|the|one|{'|'.join(NUMBERS)})"
    rf"(?: (?P<size>{'|'.join(_SIZE_OF)}))?"
    rf"(?: (?P<colour>{'|'.join(COLOURS)}))?"
    rf" (?P<kind>{_alternatives(SINGULARS)})"
)
_JOINT = re.compile(rf"(?:,? and |, | (?P<relation>{_alternatives(_RELATION_OF)}) )")


def parse(caption: str) -> Scene:
    """Return the scene that a caption describes; the inverse of `describe`.

    A size that is not mentioned is taken as large where a large thing fits, otherwise as small. The layout is 0.

    Raises:
        ValueError: the caption's words or their order are not those of picture-book captions, or a thing's colour or
            the place is missing. The message says which part could not be read.
    """
    text = " ".join(caption.lower().strip().rstrip(".").split())
    opening = _OPENING.match(text)
    style = _STYLE_OF.get(opening.group(1), "flat")
    text = text[opening.end() :]
    place = _PLACE.search(text)
    if place is None:
        raise ValueError(
            f"{caption!r} names no place of the picture-book world; end it, for example, with 'on a meadow' or "
            f"'at night' (places: {', '.join(PLACES)})."
        )
    text = text[: place.start()]

    found: list[re.Match] = []
    relation = None
    position = 0
    while True:
        thing = _THING.match(text, position)
        if thing is None:
            raise ValueError(
                f"{text[position:]!r} in {caption!r} is not a thing of the picture-book world; write it like "
                f"'a small red cat' or 'two blue boxes' (kinds: {', '.join(KINDS)})."
            )
        if thing["colour"] is None:
            raise ValueError(f"{caption!r} does not say the colour of {thing.group()!r}.")
        found.append(thing)
        if thing.end() == len(text):
            break
        joint = _JOINT.match(text, thing.end())
        if joint is None:
            raise ValueError(
                f"{text[thing.end() :].strip()!r} in {caption!r} can't be read; after a thing comes 'and', a comma "
                f"or a relation ({', '.join(RELATIONS)})."
            )
        relation = _RELATION_OF.get(joint["relation"], relation)
        position = joint.end()

    entries = [(m["kind"], m["colour"], m["size"], NUMBERS.get(m["number"], 1)) for m in found]
    if len(entries) == 2 and relation is None:
        relation = "left of"
    all_small = Scene(
        tuple(Thing(SINGULARS[kind], colour, "small", count) for kind, colour, _, count in entries),
        _PLACE_OF[place.group(1)],
        style,
        relation,
    )
    return Scene(
        tuple(
            Thing(SINGULARS[kind], colour, _SIZE_OF[size] if size else all_small.sizes_for(i)[0], count)
            for i, (kind, colour, size, count) in enumerate(entries)
        ),
        all_small.place,
        style,
        relation,
    )


def read_caption(text: str) -> Scene | None:
    """Return what `parse` does, or None if the text is not a caption of the picture-book world."""
    try:
        return parse(text)
    except ValueError:
        return None


def questions(scene: Scene, rng: Rng) -> list[tuple[str, str]]:
    """Return randomly worded questions about the scene with their answers, each a word or two in lower case.

    Numbers are digits ("2"), places and styles are the words of `PLACES` and `STYLES`; the others are a kind, a
    colour, a size, "yes" or "no". A question never has two right answers: a thing is asked about by its kind only if
    the picture has a single entry of that kind.
    """
    pairs: list[tuple[str, str]] = []
    kinds = [thing.kind for thing in scene.things]
    colour = pick(rng, ("colour", "color"))
    for thing in scene.things:
        if kinds.count(thing.kind) > 1:
            continue
        many = thing.count > 1
        noun = PLURALS[thing.kind] if many else thing.kind
        verb = "are" if many else "is"
        pairs.append((f"What {colour} {verb} the {noun}?", thing.colour))
        pairs.append((f"{verb.capitalize()} the {noun} large or small?", thing.size))
        pairs.append((f"How many {PLURALS[thing.kind]} are there?", str(thing.count)))
    present = pick(rng, kinds)
    absent = pick(rng, [kind for kind in KINDS if kind not in kinds])
    for kind, reply in ((present, "yes"), (absent, "no")):
        pairs.append((f"Is there {with_article(kind)} in the picture?", reply))
    wording = ("Where is this?", "What place is this?", "Where does the picture take place?")
    pairs.append((pick(rng, wording), scene.place))
    pairs.append((pick(rng, ("What style is the picture?", "How is the picture drawn?")), scene.style))
    pairs.append(("How many things are in the picture?", str(scene.total)))
    if len(kinds) == 1:
        pairs.append((pick(rng, ("What is in the picture?", "What do you see?", "What is this?")), kinds[0]))
    if scene.relation and kinds[0] != kinds[1]:
        first, second = scene.things
        pairs.append((f"What is {scene.relation} the {second.kind}?", first.kind))
        if scene.relation in OPPOSITES:
            opposite = OPPOSITES[scene.relation]
            if first.count == 1:
                pairs.append((f"What is {opposite} the {first.kind}?", second.kind))
            relation = pick(rng, (scene.relation, opposite))
            noun, verb = (PLURALS[first.kind], "Are") if first.count > 1 else (first.kind, "Is")
            pairs.append(
                (f"{verb} the {noun} {relation} the {second.kind}?", "yes" if relation == scene.relation else "no")
            )
    return pairs
