"""Short funny stories about a scene: a hero wants something, something gets in the way, and it ends well."""

from __future__ import annotations

from helpers.picturebook import Scene, Thing, with_article
from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import NUMBERS, PLACE_PHRASES, PLURALS

WISHES = {
    "cat": ("count all the stars", "learn to swim without getting wet"),
    "dog": ("bake a cake of bones", "dig a hole to the other side of the world"),
    "horse": ("ride a bicycle", "win a game of chess"),
    "bird": ("walk to work", "sing the evening news"),
    "fish": ("buy an umbrella", "learn to whistle"),
    "frog": ("jump over the rainbow", "become a king before lunch"),
    "astronaut": ("order a pizza from the stars", "wash a space suit in the rain"),
    "car": ("take a long bath", "dance on two wheels"),
    "boat": ("climb a mountain", "sail through a bowl of soup"),
    "rocket": ("take the bus for once", "fly to the moon for breakfast"),
    "house": ("go on holiday", "sneeze without losing a window"),
    "tree": ("visit a barber", "run a race"),
    "flower": ("smell like fresh cheese", "grow taller than a house"),
    "sofa": ("stand up for once", "have a seat of its own"),
    "star": ("sleep until noon", "fall down without making a wish"),
    "moon": ("wear sunglasses", "play football with the planets"),
    "ball": ("roll up a hill", "become a square for a day"),
    "box": ("keep a secret", "see what is inside itself"),
    "inkblot": ("become a famous painting", "look like a butterfly"),
}
HITCHES = {
    "meadow": "the grass tickled so much that {they} could only laugh",
    "sea": "a cheeky wave stole the lunch box",
    "desert": "even the sand was asking for lemonade",
    "snow": "{they} slipped and slid all the way back",
    "night": "it was so dark that {they} talked to a stone for an hour",
    "room": "the carpet began to snore",
    "road at sunset": "the sun went to bed in the middle of it",
    "mars": "a green martian asked for a ticket",
}
NEIGHBOURS = (
    "the {other} had the same idea and was faster",
    "the {other} laughed so loudly that nobody could think",
    "the {other} wanted to be paid in cookies",
    "the {other} had hidden the map",
)
ENDINGS = (
    "In the end everybody had a cup of cocoa.",
    "So {they} tried again on Tuesday, and it worked.",
    "Since that day there is always a spare banana.",
    "They still tell this story at every birthday.",
    "It was the best day of the whole week.",
    "And nobody ever found the other shoe.",
)
OPENINGS = ("Once upon a time", "One day", "Last Monday", "Long ago")


def _called(thing: Thing) -> str:
    if thing.count == 1:
        return with_article(f"{thing.size} {thing.colour} {thing.kind}")
    number = next(word for word, value in NUMBERS.items() if value == thing.count)
    return f"{number} {thing.size} {thing.colour} {PLURALS[thing.kind]}"


def funny_story(scene: Scene, rng: Rng) -> str:
    """Tell three sentences about the scene's first thing; a second thing may play a part."""
    hero = scene.things[0]
    they = "it" if hero.count == 1 else "they"
    where = PLACE_PHRASES[scene.place][0]
    if len(scene.things) > 1 and scene.things[1].kind != hero.kind and rng.random() < 0.7:
        hitch = pick(rng, NEIGHBOURS).format(other=scene.things[1].kind)
    else:
        hitch = HITCHES[scene.place].format(they=they)
    ending = pick(rng, ENDINGS).format(they=they)
    return (
        f"{pick(rng, OPENINGS)} {_called(hero)} {where} wanted to {pick(rng, WISHES[hero.kind])}. But {hitch}. {ending}"
    )
