"""`get_text`: the text with the rarest keywords, and the chat model's text based on it."""

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
    """The made-up words in random order."""
    return rng.sample(WORDS, len(WORDS))


@get_text.given
def texts(words, rng) -> list[str]:
    """Six texts of two words each; the first of the two is in no other text."""
    return [" ".join(rng.sample([word, "story"], 2)) for word in words[:6]]


@get_text.core(20)
def matching_text(get_text, texts, words, rng) -> None:
    """the text that has the keywords, in the course's collection and in others"""
    for i in rng.sample(range(6), 3):
        _expect_found(get_text, [words[i]], texts, texts[i], "Only one text has this word.")
        hint = f"{words[11]!r} is in no text, so it should make no difference."
        _expect_found(get_text, [words[11], words[i]], texts, texts[i], hint)
    longer = [*texts, f"{texts[0]} {words[1]}", *texts[:1]]
    _expect_found(get_text, [words[0], words[1]], longer, longer[6], "Only one text has both words.")
    story, rare = _story_with_a_rare_word(rng)
    result = get_text([rare])
    expect(
        result == story, f"get_text([{rare!r}]) should find {story!r}, the one story with this word, not {result!r}."
    )


@get_text.core(25)
def weight_of_rare_words(get_text, words, rng) -> None:
    """a rare word counts more, by the formula"""
    rare, one, other, filler = words[:4]
    for total, having, wins, hint in (
        (30, 2, False, "Add up the weights: two words in 2 of 30 texts weigh more than one word in 1 of 30."),
        (
            10,
            4,
            False,
            "Two words in 4 of 10 texts weigh a little more than one word in 1 of 10: is the 1 in log(1 + …)?",
        ),
        (20, 9, True, "The rarer word counts more: one word in 1 of 20 texts weighs more than two words in 9 of 20."),
        (40, 20, True, "The rarer word counts more: one word in 1 of 40 texts weighs more than two words in 20 of 40."),
    ):
        both = f"{one} {other}"
        pool = [rare, both, *[one] * (having - 1), *[other] * (having - 1)]
        pool = rng.sample(pool + [filler] * (total - len(pool)), total)
        _expect_found(get_text, rng.sample([rare, one, other], 3), pool, rare if wins else both, hint)


@get_text.core(20)
def text_by_the_chat_model(get_text, texts, words, rng) -> None:
    """with a chat model, its reply to one request that has the keywords and the text found"""
    _expect_written(get_text, [words[7], words[2]], texts, texts[2], f"  Once {{a {rng.choice(WORDS)}}} was lost.\n")


@get_text.edge(7)
def word_forms(get_text, rng) -> None:
    """words as stories.words returns them: from one string with commas, in any case, in the singular, as whole words"""
    catalogue = "In the catalogue there was a dogma."
    cat, boxes, dog = others = ["The small cat ran.", "Two boxes stood by the sea, and one fell in.", "A dog!"]
    for keywords, right, hint in (
        ("Sea, BOX", boxes, "Keywords may come in one string with commas, in capitals and in the singular."),
        ("CATS", cat, "Keywords may come in capitals and in the plural."),
        (["Boxes"], boxes, "A list may have capitals and plurals, too."),
        (["cat"], cat, "Look for whole words: 'cat' is not a word of 'catalogue'."),
        ("dog,a", dog, "Keywords in one string may be separated by a comma without a space."),
        ("catalogue", catalogue, "A string may be a single keyword."),
    ):
        pool = [catalogue, *rng.sample(others, 3)]  # so that a search for parts of words finds the catalogue first
        _expect_found(get_text, keywords, pool, right, f"{hint} stories.words helps.")


@get_text.edge(6)
def repeated_words(get_text, words) -> None:
    """each keyword counts once, however often it occurs in a text or among the keywords"""
    often, rare, filler = words[:3]
    pool = [f"{often} {often} {often} {often}", often, often, rare, filler]
    _expect_found(get_text, [often, rare], pool, rare, "It does not matter how often the word occurs in the text.")
    _expect_found(
        get_text, [often, often, often, rare], pool, rare, "It does not matter how often the keyword is given."
    )


@get_text.edge(6)
def first_of_equals(get_text, words, rng) -> None:
    """of texts with equal scores, the first wins"""
    one, other = words[:2]
    pool = [words[2], f"{one} a", f"{other} b", f"c {one}", f"d {other}"]
    _expect_found(
        get_text, rng.sample([one, other], 2), pool, pool[1], "Four texts have the same score: take the first."
    )
    _expect_found(get_text, [other], pool, pool[2], "Two texts have the same score: take the first.")


@get_text.edge(6)
def no_match(get_text, texts, words) -> None:
    """a ValueError if no text has any of the keywords"""
    for keywords in ([words[10]], words[9:11], f"{words[8]}, {words[9]}", [], " , "):
        expect_raises(
            lambda keywords=keywords: get_text(keywords, texts=list(texts)),
            ValueError,
            f"the keywords {keywords!r}, none of which is in any text",
            hint="That text has nothing to do with the keywords.",
        )


@get_text.edge(5)
def braces_in_a_text(get_text, texts, words) -> None:
    """braces in the text, with a chat model"""
    pool = [f"{text} {{the hat}}" for text in texts]
    _expect_written(get_text, [words[3]], pool, pool[3], "Done.")


@get_text.edge(5)
def unchanged_text(get_text, words) -> None:
    """the text unchanged, with the spaces around it, and the list of texts unchanged"""
    pool = [words[0], f"\n A {words[1]}!  \n", words[2]]
    _expect_found(get_text, [words[1]], pool, pool[1], "Return the text unchanged, with the spaces around it.")


def _expect_found(get_text, keywords: Sequence[str] | str, texts: Sequence[str], right: str, hint: str) -> None:
    given = list(texts)
    result = get_text(keywords, texts=given)
    expect(given == list(texts), "get_text changed the list of texts that it was given.")
    shown = f"the texts {texts}" if len(texts) < 9 else f"{len(texts)} texts"
    expect(
        result == right,
        f"For the keywords {keywords!r} and {shown}, get_text should return {right!r}, but it returned "
        f"{described(result)}. {hint}",
    )


def _expect_written(get_text, keywords: list[str], texts: Sequence[str], found: str, reply: str) -> None:
    """Raise `CheckFailed` unless the chat model gets one request, with keywords and found text, and its reply is returned."""
    chat = scripted_chat([reply])
    result = get_text(list(keywords), texts=list(texts), chat=chat)
    expect_asked_once(chat.requests)
    request = text_of(chat.requests[0])
    for keyword in keywords:
        expect(
            keyword in request.lower(),
            f"The keyword {keyword!r} should be in the request to the chat model, but the request is: {request!r}",
        )
    expect(
        found in request,
        f"The text that was found, {found!r}, should be in the request to the chat model, but the request is: {request!r}",
    )
    expect(
        result == reply.strip(),
        f"With a chat model, get_text should return its reply without the spaces around it, {reply.strip()!r}, but it "
        f"returned {described(result)}.",
    )


def _story_with_a_rare_word(rng) -> tuple[str, str]:
    """A story of the course's collection, and a word that no other story has."""
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
