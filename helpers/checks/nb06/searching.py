"""`get_text`: the text with the rarest keywords, and what a chat model makes of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from helpers.checks.calls import expect_asked_once
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_raises
from helpers.checks.fakes import scripted_chat, text_of
from helpers.checks.words import described

__all__ = ["get_text"]

WORDS = ("mira", "tolu", "kep", "zand", "ruxo", "blim", "fony", "gadre", "hovel", "wickto", "jund", "parsil")
"""Made-up words: none is part of another, and none ends with the s that makes a plural."""

get_text = Exercise("get_text")


@get_text.given
def words(rng) -> list[str]:
    """The made-up words in an order of their own."""
    return rng.sample(WORDS, len(WORDS))


@get_text.given
def texts(words, rng) -> list[str]:
    """Six texts of two words each; the first of the two is in no other text."""
    return [" ".join(rng.sample([word, "story"], 2)) for word in words[:6]]


@get_text.core(20)
def finds_the_text(get_text, texts, words, rng) -> None:
    """the text that has the keywords, in the course's collection and in others"""
    for i in rng.sample(range(6), 3):
        _expect_found(get_text, [words[i]], texts, texts[i], "Only one text has this word.")
        hint = f"{words[11]!r} is in no text, so that it decides nothing."
        _expect_found(get_text, [words[11], words[i]], texts, texts[i], hint)
    longer = [*texts, f"{texts[0]} {words[1]}", *texts[:1]]
    _expect_found(get_text, [words[0], words[1]], longer, longer[6], "Only one text has both words.")
    story, rare = _story_with_a_rare_word(rng)
    result = get_text([rare])
    expect(
        result == story, f"get_text([{rare!r}]) should find {story!r}, the one story with this word, not {result!r}."
    )


@get_text.core(25)
def weighs_rare_words(get_text, words, rng) -> None:
    """a rare word counts more, by the formula"""
    rare, one, other, filler = words[:4]
    for total, having, wins, hint in (
        (30, 2, False, "Add the weights up: two words that 2 of 30 texts have weigh more than one that 1 of 30 has."),
        (
            10,
            4,
            False,
            "Two words that 4 of 10 texts have weigh a little more than one that 1 of 10 has: is the 1 in log(1 + …)?",
        ),
        (20, 9, True, "The rarer word counts more: one that 1 of 20 texts has weighs more than two that 9 of 20 have."),
        (
            40,
            20,
            True,
            "The rarer word counts more: one that 1 of 40 texts has weighs more than two that half of them have.",
        ),
    ):
        both = f"{one} {other}"
        pool = [rare, both, *[one] * (having - 1), *[other] * (having - 1)]
        pool = rng.sample(pool + [filler] * (total - len(pool)), total)
        _expect_found(get_text, rng.sample([rare, one, other], 3), pool, rare if wins else both, hint)


@get_text.core(20)
def lets_the_chat_model_write(get_text, texts, words, rng) -> None:
    """with a chat model its reply to one request, with the keywords and the text that was found"""
    _expect_written(get_text, [words[7], words[2]], texts, texts[2], f"  Once {{a {rng.choice(WORDS)}}} was lost.\n")


@get_text.edge(7)
def compares_words(get_text, rng) -> None:
    """words as stories.words gives them: from one string with commas, in capitals, in the singular, as whole words"""
    catalogue = "In the catalogue there was a dogma."
    cat, boxes, dog = others = ["The small cat ran.", "Two boxes stood by the sea, and one fell in.", "A dog!"]
    for keywords, right, hint in (
        ("Sea, BOX", boxes, "Keywords may come in one string with commas, in capitals and in the singular."),
        ("CATS", cat, "Keywords may come in capitals and in the plural."),
        (["Boxes"], boxes, "A list may have capitals and plurals, too."),
        (["cat"], cat, "Look for whole words: there is no cat in a catalogue."),
        ("dog,a", dog, "Between keywords in one string there may be a comma alone."),
        ("catalogue", catalogue, "One string may be one keyword."),
    ):
        pool = [catalogue, *rng.sample(others, 3)]  # so that what takes parts of words finds the catalogue first
        _expect_found(get_text, keywords, pool, right, f"{hint} stories.words helps.")


@get_text.edge(6)
def counts_once(get_text, words) -> None:
    """each keyword counts once, however often it stands in a text or among the keywords"""
    often, rare, filler = words[:3]
    pool = [f"{often} {often} {often} {often}", often, often, rare, filler]
    _expect_found(get_text, [often, rare], pool, rare, "It does not matter how often the word stands in the text.")
    _expect_found(
        get_text, [often, often, often, rare], pool, rare, "It does not matter how often the keyword is given."
    )


@get_text.edge(6)
def first_of_equals(get_text, words, rng) -> None:
    """the first of equals wins"""
    one, other = words[:2]
    pool = [words[2], f"{one} a", f"{other} b", f"c {one}", f"d {other}"]
    _expect_found(get_text, rng.sample([one, other], 2), pool, pool[1], "Four texts have the same score.")
    _expect_found(get_text, [other], pool, pool[2], "Two texts have the same score.")


@get_text.edge(6)
def finds_nothing(get_text, texts, words) -> None:
    """a ValueError where no text has any of the keywords"""
    for keywords in ([words[10]], words[9:11], f"{words[8]}, {words[9]}", [], " , "):
        expect_raises(
            lambda keywords=keywords: get_text(keywords, texts=list(texts)),
            ValueError,
            f"the keywords {keywords!r}, none of which is in any text,",
            instead="That text has nothing to do with the keywords.",
        )


@get_text.edge(5)
def braces_in_a_text(get_text, texts, words) -> None:
    """with a chat model, and braces in the text"""
    pool = [f"{text} {{the hat}}" for text in texts]
    _expect_written(get_text, [words[3]], pool, pool[3], "Done.")


@get_text.edge(5)
def text_as_it_is(get_text, words) -> None:
    """the text as it is, with its blanks, and the list of texts unchanged"""
    pool = [words[0], f"\n A {words[1]}!  \n", words[2]]
    _expect_found(get_text, [words[1]], pool, pool[1], "Return the text as it is, with the blanks around it.")


def _expect_found(get_text, keywords: Sequence[str] | str, texts: Sequence[str], right: str, hint: str) -> None:
    given = list(texts)
    result = get_text(keywords, texts=given)
    expect(given == list(texts), "get_text changed the list of texts that it was given.")
    shown = f"the texts {texts}" if len(texts) < 9 else f"{len(texts)} texts"
    expect(
        result == right,
        f"For the keywords {keywords!r} and {shown} the text {right!r} should be found, but what came back is "
        f"{described(result)}. {hint}",
    )


def _expect_written(get_text, keywords: list[str], texts: Sequence[str], found: str, reply: str) -> None:
    """Raise `CheckFailed` unless the chat model is asked once, with keywords and found text, and its reply returned."""
    chat = scripted_chat([reply])
    result = get_text(list(keywords), texts=list(texts), chat=chat)
    expect_asked_once(chat.requests)
    request = text_of(chat.requests[0])
    for keyword in keywords:
        expect(
            keyword in request.lower(), f"The keyword {keyword!r} should be in the request, but this is it: {request!r}"
        )
    expect(
        found in request, f"The text that was found, {found!r}, should be in the request, but this is it: {request!r}"
    )
    expect(
        result == reply.strip(),
        f"With a chat model get_text should return its reply without the blanks around it, {reply.strip()!r}, but what came "
        f"back is {described(result)}.",
    )


def _story_with_a_rare_word(rng) -> tuple[str, str]:
    """A story of the course's collection, and a word that no other has."""
    from helpers import stories

    collection = stories.read()
    having = Counter(word for story in collection for word in set(stories.words(story)))
    pairs = [
        (story, word)
        for story in collection
        for word in re.findall(r"[a-z]+", story.lower())
        if stories.words(word) == [word] and having[word] == 1
    ]
    return rng.choice(pairs)
