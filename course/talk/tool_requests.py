"""The phrases in which users ask for pictures to be drawn, rated and compared.

{x} is what to draw, {t} a threshold, {n} a number of calls, {s} a score, and {id} a picture.
"""

from __future__ import annotations

from helpers.picturebook.words import NUMBERS

DRAW = (
    *("Draw {x}", "Draw {x}", "Draw {x}", "Please draw {x}", "Draw me {x}", "Paint {x}", "Make a picture of {x}"),
    *("Create an image of {x}", "Generate an image: {x}", "I want a picture of {x}", "I would like to see {x}"),
    *("Can you draw {x}", 'Draw "{x}"', "Draw this: {x}", "Draw a picture that shows {x}", "Could you paint {x}"),
    *("Show me {x}", "Use your tools to draw {x}", "A picture of {x}, please", "Sketch {x} for me", "Produce {x}"),
)
CHECK = (
    *(" and make sure that it fits", " and make sure that it fits", " and check that it fits", " and rate the result"),
    *(". Check the picture", ". Make sure that it shows that", " and see how well it fits", ". Rate it afterwards"),
    *(" and verify the picture", ". Be sure that the picture fits", ". Draw again if it does not fit", " and test it"),
    *(", then rate it", ". Only give me a picture that fits", ". Please check the result, too", " and control the fit"),
    *(". Repeat until it fits", " and look whether it is right", ". If the rating is low, try again"),
)
THRESHOLD = (
    *(". Accept from {t} on", ". Accept it from {t} on", ". The threshold is {t}", ", with a score of at least {t}"),
    *(". It must score {t} or more", ". Take {t} as the threshold", ". Draw again while the score is below {t}"),
    *(". A score below {t} is too low", " (threshold {t})", ". Good enough is {t}", ". The score has to reach {t}"),
    *(". Scores from {t} on are fine", ". Minimum score: {t}", ". I want at least {t}"),
)
CALLS = (
    *(
        ". Make at most {n} tool calls",
        ". Use at most {n} tool calls",
        ", with at most {n} tool calls",
        ". At most {n} calls",
    ),
    *(". You have {n} tool calls", ". No more than {n} tool calls", " in at most {n} tool calls", ". Limit: {n} calls"),
)
LIMITS = (
    *(". Threshold {t}, limit {n} calls", ". Threshold: {t}. Calls: {n}", " (threshold {t}, at most {n} calls)"),
    *(". Take {t} as the threshold and no more than {n} calls", ". You may call tools {n} times; the threshold is {t}"),
    *(", with a threshold of {t} and up to {n} tool calls", ". Stop at a score of {t}, or after {n} tool calls"),
    *(". It has to score {t}, and {n} tool calls must do", ". Spend at most {n} tool calls to reach {t}"),
    *(
        ". Set the threshold to {t} and the maximum of tool calls to {n}",
        ". Below {t} try again, within {n} tool calls",
    ),
)
"""Threshold and number of calls in one breath."""
SYSTEM = (
    *("You draw pictures with tools. Check each picture{rest}.", "Draw, then rate what you have drawn{rest}."),
    *("You are an illustrator. Rate every picture that you draw{rest}.", "Always check that the picture fits{rest}."),
    *("Use the tools. Each picture must be rated{rest}.", "You have tools to draw and to rate; use both{rest}."),
)
RATE = (
    *("Rate picture {id} for {x}", "How well does picture {id} fit {x}", "Check whether {id} shows {x}"),
    *(
        "Does picture {id} show {x}",
        'Score picture {id} for the text "{x}"',
        "Rate {id}: {x}",
        "Is {x} in picture {id}",
    ),
    *("Compare picture {id} with this text: {x}", "How good is {id} for {x}", "What is the score of {id} for {x}"),
)
COMPARE = (
    *(
        "The threshold is {t}. The score is {s}.",
        "Is a score of {s} enough for a threshold of {t}?",
        "{s}, threshold {t}",
    ),
    *("A picture has a score of {s}. Is that enough, if the threshold is {t}?", "Is {s} too low where {t} is needed?"),
    *("Scores from {t} on are fine. What about {s}?", "Minimum score: {t}\nScore: {s}", "Does {s} reach {t}?"),
)
LIKE_THIS = (
    *("Draw a picture like this one", "Draw the same again", "Draw what you see", "Make a copy of this picture"),
    *("Draw this picture anew", "Paint the same scene", "Use the tool to draw this picture", "Draw this once more"),
)
NUMBER_WORDS = {1: "one", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"} | {
    value: word for word, value in NUMBERS.items()
}
