"""Synonyms of the picture-book world's words, and words for what it lacks but a painter would still paint.

The world's own words are in `scene` and `words`. Chat models and people also write "kitten", "couch" or "crimson": the
tables here map each of them to one of the world's words. The words of `ELSEWHERE` map to themselves: the world has no
forest, but a cat in a forest is a different picture from a cat in a kitchen.
"""

from __future__ import annotations

import re

from helpers.picturebook.scene import COLOURS
from helpers.picturebook.words import PLURALS, SINGULARS, SIZE_WORDS

__all__ = ["FACTS", "PHRASES", "PLURAL_WORDS", "in_world_words", "listed_words"]

KIND_WORDS = {
    "cat": "kitten kitty tomcat feline tabby pussycat",
    "dog": "puppy pup doggy doggie hound canine",
    "horse": "pony foal mare stallion colt",
    "bird": "birdie songbird sparrow robin finch",
    "fish": "goldfish fishes",
    "frog": "toad froggy treefrog",
    "astronaut": "cosmonaut taikonaut spaceman spacewoman spacewalker",
    "car": "automobile sedan convertible hatchback roadster coupe",
    "boat": "ship sailboat rowboat yacht dinghy ferry",
    "rocket": "spaceship spacecraft rocketship",
    "house": "cottage cabin hut villa bungalow mansion",
    "tree": "oak pine fir birch treetop sapling",
    "flower": "blossom tulip daisy sunflower",
    "sofa": "couch settee loveseat divan",
    "star": "starburst pentagram",
    "moon": "crescent halfmoon",
    "ball": "football basketball beachball sphere orb",
    "box": "crate carton package",
    "inkblot": "blot splotch blotch inkspot",
}
COLOUR_WORDS = {
    "red": "crimson scarlet ruby vermilion reddish",
    "orange": "ginger amber tangerine apricot",
    "yellow": "golden gold lemon canary yellowish",
    "green": "emerald olive jade lime greenish",
    "blue": "azure navy cyan turquoise teal cobalt bluish",
    "purple": "violet lilac lavender mauve magenta plum purplish",
    "pink": "rosy salmon fuchsia pinkish",
    "white": "ivory cream pearl whitish",
}
SIZES_TOO = {
    "large": "huge giant enormous gigantic massive",
    "small": "tiny mini miniature wee",
}
#: A place may have several words: "on a road at sunset" names a road and a sunset.
PLACE_WORDS = {
    "meadow": "field grass lawn pasture grassland",
    "sea": "ocean seaside seashore beach shore coast",
    "desert": "dune dunes sahara sand sandy",
    "snow": "snowy snowfall snowfield winter wintry",
    "night": "nighttime midnight starry moonlit moonlight starlight",
    "room": "indoors indoor lounge parlour parlor",
    "road": "highway roadside",
    "sunset": "dusk sundown",
    "mars": "martian",
}
STYLE_WORDS = {
    "pencil sketch": "pencil sketch sketched",
    "pixel art": "pixel pixels pixelated 8bit",
    "neon": "neon",
}
RELATION_WORDS = {
    "left of": "left",
    "right of": "right",
    "above": "above over",
    "below": "below under underneath beneath",
    "on": "on atop",
    "behind": "behind",
    "in front of": "front",
    "inside": "inside in into",
}
NUMBER_WORDS = {
    1: "one single 1",
    2: "two pair couple twin 2",
    3: "three trio triplet 3",
    4: "four quartet 4",
    5: "five 5",
    6: "six 6",
    7: "seven 7",
    8: "eight 8",
    9: "nine 9",
    10: "ten 10",
    12: "twelve dozen 12",
}
#: What the world lacks, by what it changes in a picture.
ELSEWHERE = {
    "place": """
        forest woods jungle mountain mountains hill valley city town village street garden park orchard kitchen bathroom
        bedroom library cafe café restaurant shop market museum school office hospital stadium stage theatre theater
        castle palace temple church cave tunnel bridge rooftop farm barn stable island lake pond river waterfall swamp
        volcano glacier space galaxy underwater rain rainy storm stormy thunderstorm fog foggy mist misty clouds rainbow
        sunrise dawn noon autumn spring summer train station airport harbour harbor playground circus factory
    """,
    "style": """
        watercolour watercolor gouache acrylic oil pastel charcoal crayon chalk ink collage mosaic origami paper papercut
        clay claymation plasticine woodcut linocut engraving embroidery embroidered knitted felt lego graffiti cartoon
        comic manga anime chibi impressionist impressionism expressionist cubist cubism surreal surrealist minimalist
        baroque cyberpunk steampunk vaporwave sepia monochrome silhouette stained lowpoly isometric poster
    """,
    "colour": "black gray brown beige silver bronze",
}
#: Phrases that stand for one word.
PHRASES = {
    "red planet": "mars",
    "snow white": "white",
    "ink blot": "inkblot",
    "living room": "room",
    "under the stars": "at night",
    "8 bit": "8bit",
    "low poly": "lowpoly",
    "grey": "gray",
}


def _plural(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|ch|sh)$", word) else f"{word}s"


def _facts() -> dict[str, tuple[str, str | int]]:
    facts: dict[str, tuple[str, str | int]] = {}
    for part, words in ELSEWHERE.items():
        facts |= {word: (part, word) for word in words.split()}
    for part, table in (
        ("place", PLACE_WORDS),
        ("style", STYLE_WORDS),
        ("relation", RELATION_WORDS),
        ("number", NUMBER_WORDS),
        ("size", SIZES_TOO),
        ("colour", COLOUR_WORDS),
    ):
        facts |= {word: (part, fact) for fact, words in table.items() for word in words.split()}
    facts |= {place: ("place", place) for place in PLACE_WORDS}
    facts |= {word: ("size", size) for size, words in SIZE_WORDS.items() for word in words}
    facts |= {colour: ("colour", colour) for colour in COLOURS}
    for kind, words in KIND_WORDS.items():
        facts |= {form: ("kind", kind) for word in words.split() for form in (word, _plural(word))}
    return facts | {word: ("kind", kind) for word, kind in SINGULARS.items()}


#: word → the fact that it names: ("kind", "cat"), ("number", 2), ("place", "sea").
FACTS = _facts()
#: The plurals; "fish" is also a singular.
PLURAL_WORDS = frozenset(
    {*PLURALS.values(), "fishes", *(_plural(word) for words in KIND_WORDS.values() for word in words.split())}
)

_PHRASE = re.compile("|".join(rf"\b{phrase}\b" for phrase in PHRASES))


def listed_words(text: str) -> list[str]:
    """Return the words of a text in lower case, in order, without punctuation; `PHRASES` are replaced."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return _PHRASE.sub(lambda match: PHRASES[match.group()], words).split()


def in_world_words(text: str) -> str:
    """Replace synonyms of kinds, colours and sizes by the world's own words.

    "two ginger kittens on a couch" becomes "two orange cats on a sofa"; everything else stays.
    """

    def replaced(match: re.Match) -> str:
        part, fact = FACTS.get(match.group().lower(), ("", ""))
        if part == "kind":
            return PLURALS[fact] if match.group().lower() in PLURAL_WORDS else fact
        return fact if part in ("colour", "size") else match.group()

    return re.sub(r"[^\W\d_]+", replaced, text)
