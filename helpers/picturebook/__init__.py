"""The picture-book world: scenes that can be drawn, described, asked about, and read back from a caption.

    >>> import random
    >>> from helpers.picturebook import describe, draw, parse, random_scene
    >>> scene = random_scene(random.Random(7))
    >>> picture = draw(scene, size=128)
    >>> caption = describe(scene, random.Random(7))
    >>> parse(caption) == scene
    True

Because the world is generated, there are always fresh pictures with known answers: the course's mini models are
trained on them, and its hidden tests ask about them.

Modules, in reading order: `scene` (what a scene is), `words` (scene to caption, caption to scene, questions),
`shapes`, `kinds` and `places` (the drawings as vector shapes), `layout` (where things stand), `pieces` (shapes in
pixels), `pen` (fills and outlines), `canvas` (styles). `synonyms` and `facts` read texts in anyone's words.
"""

from helpers.picturebook.canvas import draw
from helpers.picturebook.layout import boxes
from helpers.picturebook.scene import (
    COLOURS,
    KINDS,
    PLACES,
    RELATIONS,
    SIZES,
    STYLES,
    SUPPORTS,
    Scene,
    Thing,
    as_seen,
    in_picture_order,
    random_scene,
)
from helpers.picturebook.words import describe, parse, questions, read_caption, with_article

__all__ = [
    "COLOURS",
    "KINDS",
    "PLACES",
    "RELATIONS",
    "SIZES",
    "STYLES",
    "SUPPORTS",
    "Scene",
    "Thing",
    "as_seen",
    "boxes",
    "describe",
    "draw",
    "in_picture_order",
    "parse",
    "questions",
    "random_scene",
    "read_caption",
    "with_article",
]
