"""When are two image prompts truly different, and when is one about a given subject? Only their words decide.

So anyone can check the verdict by reading, and it is the same in a notebook's check and in the assessment.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helpers.picturebook.facts import Facts

__all__ = ["BOOSTERS", "FILLERS", "distinct", "on_subject", "same", "subject"]

#: Words that change nothing in a picture: adding one does not make a new prompt.
FILLERS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the this that of and is are it please very really quite more another other different new again once
        picture pictures image images drawing photo photograph illustration art artwork artistic creative prompt prompts
        variation variations version versions variant alternative alternate option number attempt copy remix
        beautiful nice stunning amazing great lovely gorgeous high quality detailed details highly best masterpiece
        hd uhd hdr ultra hyper realistic photorealistic hyperrealistic photorealism aesthetic trending artstation
        deviantart behance pixiv cgsociety cinematic volumetric intricate elaborate masterful professional bokeh
        raytracing raytraced perfect epic awesome incredible
        """,
    )
)

#: Phrases of prompt lists that should improve a picture but name nothing in it. Their single words may name something.
BOOSTERS = (
    "trending on artstation",
    "award winning",
    "octane render",
    "unreal engine",
    "3d render",
    "digital art",
    "digital painting",
    "concept art",
    "street photography",
    "sharp focus",
    "soft focus",
    "in focus",
    "depth of field",
    "shallow depth of field",
    "wide angle",
    "bird s eye view",
    "fish eye lens",
    "fish eye",
    "golden hour",
    "blue hour",
    "golden ratio",
    "white balance",
    "rule of thirds",
    "global illumination",
    "ray tracing",
    "high resolution",
    "high definition",
    "high dynamic range",
    "super resolution",
    "studio quality",
    *(
        f"{kind} {light}"
        for kind in (
            "cinematic",
            "dramatic",
            "studio",
            "soft",
            "volumetric",
            "natural",
            "ambient",
            "beautiful",
            "moody",
        )
        for light in ("lighting", "light", "lights")
    ),
)

#: The most kinds of things in a picture of the picture-book world.
MOST_KINDS = 4

_BOOSTER = re.compile(
    rf"\b(?:(?:with|without|no|in|by|at|and|under) )?(?:{'|'.join(sorted(BOOSTERS, key=len, reverse=True))})\b"
)
_NUMBER = r"(?:one|two|three|four|five|six|i|ii|iii|iv|v|vi|[a-f]|\d+)"
#: "variation two" and "second version": numbers that count prompts, not things in a picture.
_COUNT = re.compile(
    rf"\b(?:variation|version|variant|option|number|attempt|prompt|take)\s+{_NUMBER}\b"
    r"|\b(?:first|second|third|fourth|fifth|sixth)\s+(?:variation|version|variant|option|attempt|prompt|take)\b"
)
#: Letters of other alphabets that look like Latin ones: a reader can't tell them apart.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһӏԛԝкмтвнАЕОРСУХІЈЅԀҺӀԚԜКМТВНαοριυνκτχεηΑΟΡΙΥΝΚΤΧΕΗΒΜΖɑɡıøł",
    "aeopcyxijsdhlqwkmtbhAEOPCYXIJSDHIQWKMTBHaopiuvktxenAOPIYNKTXEHBMZagiol",
)
#: The mark of a list: "2. a cat".
_MARK = re.compile(r"^\s*\(?\d+\s*[.):]\s*")


def same(a: str, b: str) -> bool:
    """Return whether two prompts ask for the same picture.

    If both name things of the picture-book world, they do if they name the same kinds with the same colours, sizes,
    numbers and relations, the same places and the same styles, whatever other words surround them: "a big red cat left
    of a blue dog, in the snow" and "a blue dog right of a large red kitten, on the snow, 4k". Other texts are compared
    by their words without `FILLERS` and `BOOSTERS`, in any order.
    """
    first, second = _facts(a), _facts(b)
    if first.things and second.things:
        return first == second
    return _words(a) == _words(b)


def distinct(prompts: Iterable[str]) -> list[str]:
    """Return the prompts without those that ask for the same picture as an earlier one, or for none at all."""
    kept: list[str] = []
    for prompt in prompts:
        if _words(prompt) and not any(same(prompt, other) for other in kept):
            kept.append(prompt)
    return kept


def subject(text: str) -> frozenset[str]:
    """Return what a text is about: the kinds of the picture-book world that it names ("kittens" counts as "cat").

    If it names none, all its words except `FILLERS` and `BOOSTERS`.
    """
    return _facts(text).kinds or _words(text)


def on_subject(prompt: str, text: str) -> bool:
    """Return whether a prompt is about the subject of a text: it names every kind that the text names.

    It may name others too, but not more than `MOST_KINDS` in all: a list of everything is about nothing. If the text
    names no kind of the picture-book world, the prompt must share a word of at least four letters with it.
    """
    if kinds := _facts(text).kinds:
        named = _facts(prompt).kinds
        return kinds <= named and len(named) <= max(MOST_KINDS, len(kinds))
    return any(len(word) > 3 for word in _words(prompt) & _words(text))


def _facts(text: str) -> Facts:
    from helpers.picturebook.facts import facts

    return facts(_listed(text))


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in _listed(text) if not word[0].isdigit()) - FILLERS


def _listed(text: str) -> list[str]:
    """Return the words of a text in order, without those that count, praise or name what is absent."""
    from helpers.picturebook.synonyms import listed_words

    words = listed_words(_COUNT.sub(" ", _MARK.sub("", _as_read(text))))
    return _absent().sub(" ", _BOOSTER.sub(" ", " ".join(words))).split()


def _as_read(text: str) -> str:
    """Return the lower-case letters that a reader sees: no accents, no invisible characters, no `_LOOK_ALIKES`."""
    seen = (char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in ("Mn", "Cf"))
    return "".join(seen).translate(_LOOK_ALIKES).lower()


@cache
def _absent() -> re.Pattern:
    """Return a pattern for what is absent from a picture: "no dog", "without a red hat", "not in the snow"."""
    from helpers.picturebook.synonyms import FACTS

    adjectives = "|".join(word for word, (part, _) in FACTS.items() if part in ("colour", "size"))
    little = "a|an|any|the|at|by|in|into|of|on|with"
    thing = rf"(?: (?:{little}))*(?: (?:{adjectives}))*(?! (?:{little}|and|but)\b) \w+"
    negation = (
        r"no|not|never|neither|nor|without|minus|except|lacking|instead of|rather than|free of"
        r"|(?:is|are|was|were|has|have|do|does)n t"
    )
    return re.compile(rf"\b(?:{negation}){thing}(?: (?:or|nor){thing})*")
