"""Talk without a picture: greetings, facts about the picture book, and the polite refusal of everything else."""

from __future__ import annotations

from course.talk.strange import STRANGE_REQUESTS, strange_request
from helpers.picturebook import COLOURS, KINDS, PLACES, RELATIONS, SIZES, STYLES, with_article
from helpers.picturebook.scene import Rng, pick
from helpers.picturebook.words import PLURALS

__all__ = ["REFUSAL", "STRANGE_REQUESTS", "listed", "small_talk", "strange_request"]

REFUSAL = "I only know picture-book scenes. Ask me about a picture, or about the things and places of the picture book."


def listed(words: tuple[str, ...]) -> str:
    """Join words: "red, green and blue"."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


FACTS = {
    "cat": "A cat has pointed ears and whiskers, and it likes to sit on a sofa.",
    "dog": "A dog has floppy ears and a wagging tail, and it is always glad to see you.",
    "horse": "A horse has four long legs and a mane, and it can carry others on its back.",
    "bird": "A bird has wings and a beak, and it can fly above everything else.",
    "fish": "A fish has fins and a tail, and in the picture book it also swims through the air.",
    "frog": "A frog has big eyes and long hind legs, and it sits in trees.",
    "astronaut": "An astronaut wears a space suit with a round helmet, and often stands on mars.",
    "car": "A car has wheels and windows, and it drives on the road at sunset.",
    "boat": "A boat has a hull and a sail, and it feels at home at the sea.",
    "rocket": "A rocket has a pointed nose and fins, and it flies to the moon.",
    "house": "A house has a roof, a door and windows, and a cat may sit on its roof.",
    "tree": "A tree has a trunk and a round crown, and frogs live in it.",
    "flower": "A flower has petals and a stem, and it grows on the meadow.",
    "sofa": "A sofa has a back and two arms, and two cats can sit on it.",
    "star": "A star has five points, and it shines at night.",
    "moon": "The moon is a crescent, and it hangs in the sky at night.",
    "ball": "A ball is round, and a dog likes to run after it.",
    "box": "A box has a lid, and nobody knows what is in it.",
    "inkblot": "An inkblot is the same on its left and on its right, and everybody sees something else in it.",
}
GREETINGS = ("Hello", "Hi", "Hi there", "Good morning", "Hey", "Hello, how are you", "Good evening")
THANKS = ("Thank you", "Thanks", "Thanks a lot", "That is great", "Very good", "Well done")
BYES = ("Bye", "Goodbye", "See you", "Good night")
ABOUT_ITSELF = ("Who are you?", "What are you?", "What can you do?", "What do you know?", "How can you help me?")

LISTS = (
    (("What colours do you know?", "Which colours are there?", "Which colors exist in the picture book?"), COLOURS),
    (("What places do you know?", "Which places are there?", "Where can a picture take place?"), PLACES),
    (("What things do you know?", "Which things are there?", "Who lives in the picture book?"), KINDS),
    (("What styles do you know?", "Which styles are there?", "How can a picture be drawn?"), STYLES),
    (("Which sizes are there?", "How large can things be?"), tuple(f"{size} things" for size in SIZES)),
    (("How can two things stand?", "Which relations are there?"), RELATIONS),
)


def small_talk(rng: Rng) -> tuple[str, str]:
    """Return something to say, and the reply."""
    kind = pick(rng, ("hello", "thanks", "bye", "self", "list", "list", "fact", "fact"))
    if kind == "hello":
        return pick(rng, GREETINGS) + pick(
            rng, ("", "!", ".")
        ), "Hello! Show me a picture, or ask me about the picture book."
    if kind == "thanks":
        return pick(rng, THANKS) + pick(rng, ("", "!", ".")), "You are welcome!"
    if kind == "bye":
        return pick(rng, BYES) + pick(rng, ("", "!", ".")), "Goodbye!"
    if kind == "self":
        return pick(rng, ABOUT_ITSELF), (
            "I am a small model that knows picture-book scenes. I describe pictures, answer questions about them, "
            "tell stories and write image prompts."
        )
    if kind == "list":
        questions, words = pick(rng, LISTS)
        return pick(rng, questions), f"There are {listed(words)}."
    noun = pick(rng, KINDS)
    asked = (
        f"What is {with_article(noun)}?",
        f"Tell me about {PLURALS[noun]}.",
        f"Tell me something about {with_article(noun)}.",
        f"What do you know about {PLURALS[noun]}?",
        f"Describe {with_article(noun)}.",
    )
    return pick(rng, asked), FACTS[noun]
