"""What a text states about a picture, as a set of facts that can be compared with another text's."""

from __future__ import annotations

__all__ = ["facts_of"]


def facts_of(text: str) -> set[str]:
    """Return the facts that a text names, each as a short phrase.

    Each thing gives its kind, and its kind with its colour, size and number. The relation of two things, the place and
    the style are facts, too. Synonyms give the same facts, and words from outside the picture-book world give none. A
    thing whose size is not mentioned counts as large where a large one fits.

        >>> sorted(facts_of("a little red kitten, at night"))
        ['1 cat', 'cat', 'night', 'red cat', 'small cat']

    Args:
        text: a prompt or a description, in anyone's words.
    """
    from helpers.picturebook.facts import facts
    from helpers.picturebook.synonyms import listed_words

    found = facts(listed_words(text))
    said = {*found.places, *found.styles}
    for thing in found.things:
        parts = (thing.colour, thing.size, str(thing.number or "some"))
        said |= {thing.kind, *(f"{part} {thing.kind}" for part in parts if part)}
    if found.relation:
        first, second = (f"{thing.colour or 'any'} {thing.kind}" for thing in found.things[:2])
        said.add(f"{first} {found.relation} {second}")
    return said
