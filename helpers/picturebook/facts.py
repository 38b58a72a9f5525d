"""What a text names from the picture-book world, whatever other words surround it.

`parse` reads captions of the world and nothing else; `facts` picks the known words out of any text. So "a big red cat,
on a meadow", "RED CAT (large), meadow, 4k" and "a large zorp red cat on a meadow" name the same facts, and adding a
word that names none does not ask for another picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from helpers.picturebook.scene import COLOURS, OPPOSITES, Scene, Thing
from helpers.picturebook.synonyms import FACTS, PLURAL_WORDS

__all__ = ["Facts", "NamedThing", "facts"]

#: Words that begin a new part of the sentence and so end the description of the thing before them.
BREAKS = frozenset(("a", "an", "the", "and", "with", "while"))
#: The number of things that a plural without a number names: "cats".
SOME = 0

_OPPOSITES = {**OPPOSITES, "in front of": "behind"}


@dataclass(frozen=True)
class NamedThing:
    """A thing that a text names. A colour that it does not mention is None; a size and a number have defaults."""

    kind: str
    colour: str | None
    size: str
    number: int


@dataclass(frozen=True)
class Facts:
    """What a text names.

    Attributes:
        things: in the order of the picture, left or above first, if the text mentions an order.
        relation: of the first thing to the second one.
        places: "night", "sea"; the world's "road at sunset" is "road" and "sunset".
        styles: without the world's "flat", which no caption needs to mention.
    """

    things: tuple[NamedThing, ...]
    relation: str | None
    places: frozenset[str]
    styles: frozenset[str]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(thing.kind for thing in self.things)


def facts(words: list[str]) -> Facts:
    """Return the facts that a text's words name (its `helpers.picturebook.synonyms.listed_words`)."""
    reader = _Reader()
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        reader.read(before, word, after)
    reader.end_of_thing()
    return reader.facts()


@dataclass
class _Mention:
    kind: str
    colour: str | None = None
    size: str | None = None
    number: int | None = None
    plural: bool = False

    def adds_nothing_to(self, other: _Mention) -> bool:
        """Return whether it may be the other one, named again: none of its attributes contradicts that."""
        pairs = ((self.colour, other.colour), (self.size, other.size), (self.number, other.number))
        return self.kind == other.kind and all(None in pair or pair[0] == pair[1] for pair in pairs)


@dataclass
class _Reader:
    """Reads a text word by word.

    Attributes:
        pending: number, size and colour of the next thing, as far as they have been read.
        link: a relation that still needs its second thing.
    """

    mentions: list[_Mention] = field(default_factory=list)
    pending: dict[str, str | int] = field(default_factory=dict)
    link: str | None = None
    relation: str | None = None
    places: set[str] = field(default_factory=set)
    styles: set[str] = field(default_factory=set)

    def read(self, before: str, word: str, after: str) -> None:
        part, fact = FACTS.get(word, ("", ""))
        if word in BREAKS:
            self.end_of_thing()
            self.link = None if word == "and" else self.link
        elif part == "kind":
            self._name(_Mention(fact, **self.pending, plural=word in PLURAL_WORDS))
        elif part in ("colour", "size"):
            self.pending.setdefault(part, fact)
        elif part == "number":
            if not word.isdigit() or FACTS.get(after, ("",))[0] in ("colour", "size", "kind"):
                self.pending.setdefault(part, fact)
        elif part == "relation":
            self.link = fact if self.mentions else None
        elif part:
            if FACTS.get(before, ("",))[0] == "colour":  # "the green meadow" is the meadow
                self.pending.pop("colour", None)
            self.end_of_thing()
            self.link = None
            (self.places if part == "place" else self.styles).add(fact)

    def _name(self, mention: _Mention) -> None:
        if not mention.plural and mention.number != 1 and mention.kind != "fish":
            mention.number = None  # "version three red cat" counts no cats
        again = next((other for other in self.mentions if mention.adds_nothing_to(other)), None)
        if again and self.link in (None, self.relation):
            for part in ("colour", "size", "number"):
                setattr(again, part, getattr(again, part) or getattr(mention, part))
        else:
            self.relation = self.relation or self.link
            self.mentions.append(mention)
        self.pending, self.link = {}, None

    def end_of_thing(self) -> None:
        """Give attributes that no thing followed to the last thing: "a cat, red and small"."""
        if self.mentions:
            for part in ("colour", "size"):
                if getattr(self.mentions[-1], part) is None:
                    setattr(self.mentions[-1], part, self.pending.get(part))
            self.pending = {}

    def facts(self) -> Facts:
        relation = (self.relation or "left of") if len(self.mentions) == 2 else None
        things = tuple(
            NamedThing(
                mention.kind,
                mention.colour,
                mention.size or self._usual_size(i, relation),
                mention.number or (SOME if mention.plural and mention.kind != "fish" else 1),
            )
            for i, mention in enumerate(self.mentions)
        )
        if relation in ("right of", "below", "in front of"):  # a picture does not show which was named first
            things, relation = things[::-1], _OPPOSITES[relation]
        return Facts(things, relation, frozenset(self.places), frozenset(self.styles))

    def _usual_size(self, i: int, relation: str | None) -> str:
        """Return the size that `parse` assumes: large where a large thing fits."""
        try:
            things = [
                Thing(mention.kind, colour, "small", mention.number or 1)
                for mention, colour in zip(self.mentions, COLOURS, strict=False)
            ]
            return Scene(tuple(things), "meadow", "flat", relation).sizes_for(i)[0]
        except ValueError:  # not a scene of the world
            return "large"
