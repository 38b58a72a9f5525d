"""When are two image prompts truly different, and when is one about a given subject? Decided by their words alone.

So anyone can check the verdict by reading, and it is the same in a notebook's check and in the assessment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["FILLERS", "distinct", "on_subject", "same", "subject"]

#: Words that change nothing in a picture: who adds one of them has not written another prompt.
FILLERS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the this that of and is are it please very really quite more another other different new again once
        picture pictures image images drawing photo photograph illustration art artwork artistic creative prompt prompts
        variation variations version versions variant alternative alternate option number attempt copy remix
        beautiful nice stunning amazing great lovely gorgeous high quality detailed highly best masterpiece
        """,
    )
)

#: "variation two" and "second version": numbers that count prompts, not things in a picture.
_COUNT = re.compile(
    r"\b(variation|version|variant|option|number|attempt|prompt)\s+(one|two|three|four|five|six|i|ii|iii|iv|v|vi|[a-f])\b"
    r"|\b(first|second|third|fourth|fifth|sixth)\s+(variation|version|variant|option|attempt|prompt)\b"
)


def same(a: str, b: str) -> bool:
    """Whether two prompts ask for the same picture.

    Picture-book captions are compared by the picture that they tell of ("a big red cat left of a blue dog, in the snow"
    and "a blue dog right of a large red cat, on the snow" are the same), all other texts by their words without
    `FILLERS`, in any order.
    """
    from helpers.picturebook import as_seen, read_caption

    scenes = read_caption(a), read_caption(b)
    if None not in scenes:
        return as_seen(scenes[0]) == as_seen(scenes[1])
    return _words(a) == _words(b)


def distinct(prompts: Iterable[str]) -> list[str]:
    """The prompts without those that ask for the same picture as an earlier one, or for none at all."""
    kept: list[str] = []
    for prompt in prompts:
        if _words(prompt) and not any(same(prompt, other) for other in kept):
            kept.append(prompt)
    return kept


def subject(text: str) -> frozenset[str]:
    """What a text is about: the kinds of the picture-book world that it names ("cats" counts as "cat").

    Where it names none, all its words but `FILLERS`.
    """
    return _kinds(text) or _words(text)


def on_subject(prompt: str, text: str) -> bool:
    """Whether a prompt is about the subject of a text: it names every kind that the text names.

    Where the text names no kind of the picture-book world, the prompt has to share a word of four letters or more
    with it.
    """
    if _kinds(text):
        return _kinds(text) <= _kinds(prompt)
    return any(len(word) > 3 for word in _words(prompt) & _words(text))


def _words(text: str) -> frozenset[str]:
    return frozenset(_listed(_COUNT.sub(" ", text.lower()))) - FILLERS


def _kinds(text: str) -> frozenset[str]:
    from helpers.picturebook.words import SINGULARS

    return frozenset(SINGULARS[word] for word in _listed(text.lower()) if word in SINGULARS)


def _listed(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)
