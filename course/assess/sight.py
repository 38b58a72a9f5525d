"""What CLIP sees: whether a text fits a picture, and whether pictures are there and differ.

A text fits a picture when it suits it better than nearly all of 200 rivals do, the captions of other scenes, in
CLIP's cosine similarity. So no threshold hangs on the scale of one CLIP's similarities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from course.assess.case import PICTURES, RECORDS, Case, Finding, Picture
from course.assess.words import scene_of, slips
from course.talk.wording import plain_caption
from helpers import clip
from helpers.originals import SCENES
from helpers.picturebook import COLOURS, KINDS, PLACES, Scene, describe, draw, random_scene

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["alike", "descriptions", "fit", "fits", "pictures", "shares_beaten"]

RIVALS = 200
#: The share of the rivals that a text must beat to fit. Measured with the mini CLIP, on 200 drawn scenes: every full
#: caption does, 99.0 % of those that leave out three words of five, and 0.5 % of another scene's captions; of 16
#: pictures of the mini diffusion model all fit their prompts, and none fits a prompt about other things. A caption
#: that is wrong in one word mostly fits as well (place 99.5 %, kind 83 %), hence `MARGIN`.
ENOUGH = 0.98
#: So much nearer, in cosine similarity, a changed caption must be for a description's word to be in doubt. Measured with
#: the mini CLIP on 80 drawn scenes: of true words it doubts none, but for 2 % of the kinds of a second thing; of wrong
#: ones it catches in a scene of one thing every kind and place and 85 % of the colours, in a scene of several 92 % of
#: the places, 60 % of the kinds and a third of the colours.
MARGIN = 0.1
#: The mean difference of two thumbnails, in the 256 steps of a channel, below which they show the same. Measured: a
#: drawing against its JPEG of quality 60 at most 2.1, doubled in size 0.2; the two nearest of 16 of the mini diffusion
#: model's pictures 23, of 100 drawn scenes 6.1.
SAME = 4.0
THUMBNAIL = 32


@cache
def _rivals(checkpoint: str) -> np.ndarray:
    """Captions of other scenes, embedded by the CLIP of this name: float32 array (RIVALS, projection size)."""
    rng = Random(0)
    return clip.embed_texts([describe(random_scene(rng), rng) for _ in range(RIVALS)])


def shares_beaten(texts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of the rivals, 0 to 1, that each text is nearer to its partner than.

    texts, others: unit vectors, float32 arrays (n, projection size); a text's partner has the same row.
    """
    from helpers import models

    own = (texts * others).sum(1, keepdims=True)
    return (own > others @ _rivals(models.entry("clip").id).T).mean(1)


def fits(texts: Sequence[str], images: Sequence[Image.Image]) -> list[bool]:
    """Whether each text fits its picture."""
    if not texts:
        return []
    return list(shares_beaten(clip.embed_texts(texts), clip.embed_images(images)) >= ENOUGH)


# -- criterion: descriptions


def descriptions(case: Case) -> Finding:
    """Each description fits its source picture, also in its details.

    What the course's originals show is known. Of other pictures CLIP tells whether the words of a caption fit.
    """
    points, messages = 0.0, []
    seen: list[Picture] = []
    for name, record, _, source in case.judged():
        if source is None:
            messages.append(
                f"{name} names no source picture, so nobody can tell whether its description is right: add its path "
                "(make_record(…, source_image=…)), and send the picture along."
            )
        elif source.image is None:
            messages.append(f"{source.name} ({source.path[:80]!r}) can't be looked at: {source.problem}.")
        elif twin := _twin(source, seen):
            messages.append(f"{source.name} is the same picture as {twin}: describe four different ones.")
        elif not record.original_description.strip():
            messages.append(f"{name} has an empty description.")
        elif not fits([record.original_description], [source.image])[0]:
            messages.append(f"{name}: the description does not fit the source picture.")
        elif wrong := _wrong(record.original_description, source.image):
            points += 0.5
            details = ", ".join(wrong)
            messages.append(f"{name}: the description does not fit the source picture in every detail: {details}.")
        else:
            points += 1
        seen += [source] if source is not None and source.image is not None else []
    return Finding(points / RECORDS, messages)


def _wrong(text: str, image: Image.Image) -> list[str]:
    """What a description that fits by and large says wrong; empty where nothing is found."""
    scene = next((scene for scene, original in _originals() if alike(original, image)), None)
    return slips(text, scene) if scene else _doubts(text, image)


@cache
def _originals() -> list[tuple[Scene, Image.Image]]:
    return [(scene, draw(scene, size=128)) for scene in SCENES.values()]


def _doubts(text: str, image: Image.Image) -> list[str]:
    """What another word would tell better, "it looks like blue rather than red"; empty where nothing would."""
    scene = scene_of(text)
    if scene is None:
        return []
    seen = clip.embed_images([image])[0]
    caption = plain_caption(scene)
    doubts = []
    for word, others in _changes(scene):
        captions = [caption, *(plain_caption(other) for _, other in others)]
        scores = clip.embed_texts(captions) @ seen
        best = int(scores.argmax())
        if scores[best] > scores[0] + MARGIN:
            doubts.append(f"it looks like {others[best - 1][0]!r} rather than {word!r}")
    return doubts


def _changes(scene: Scene) -> Iterator[tuple[str, list[tuple[str, Scene]]]]:
    """Of the scene's place and each thing's kind and colour: the word, and the scenes with another word for it."""
    yield scene.place, [(place, replace(scene, place=place)) for place in PLACES if place != scene.place]
    for i, thing in enumerate(scene.things):
        for part, words in (("kind", KINDS), ("colour", COLOURS)):
            word = getattr(thing, part)
            yield word, [(w, s) for w in words if w != word and (s := _with(scene, i, {part: w}))]


def _with(scene: Scene, i: int, change: dict[str, str]) -> Scene | None:
    """The scene with its i-th thing changed; None where that can't be drawn."""
    things = list(scene.things)
    things[i] = replace(things[i], **change)
    try:
        return replace(scene, things=tuple(things))
    except ValueError:
        return None


# -- criterion: pictures


def alike(first: Image.Image, second: Image.Image) -> bool:
    """Whether two pictures are the same to the eye, whatever their size, compression and small changes."""
    return bool(abs(_thumbnail(first) - _thumbnail(second)).mean() < SAME)


def _thumbnail(image: Image.Image) -> np.ndarray:
    import numpy as np
    from PIL import Image

    return np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=float)


def pictures(case: Case) -> Finding:
    """Sixteen pictures that are there, can be opened, and differ from each other and from the source pictures."""
    good, messages = 0, []
    seen = [source for source in case.sources if source is not None and source.image is not None]
    for _, _, ones, _ in case.judged():
        for picture in ones:
            if picture.image is None:
                messages.append(f"{picture.name} ({picture.path[:80]!r}): {picture.problem}.")
                continue
            if twin := _twin(picture, seen):
                messages.append(f"{picture.name} is the same picture as {twin}.")
            else:
                good += 1
            seen.append(picture)
    return Finding(good / PICTURES, messages)


def _twin(picture: Picture, others: Sequence[Picture]) -> str:
    """The name of the first of the others that shows the same; empty where none does."""
    twin = next((other for other in others if alike(other.image, picture.image)), None)
    return twin.name[0].lower() + twin.name[1:] if twin else ""


# -- criterion: fit


def fit(case: Case) -> Finding:
    """Each picture fits the prompt it was drawn from, the one with its number."""
    pairs = [
        (picture, prompt)
        for _, record, ones, _ in case.judged()
        for picture, prompt in zip(ones, record.prompts, strict=False)
        if picture.image is not None
    ]
    results = fits([prompt for _, prompt in pairs], [picture.image for picture, _ in pairs])
    messages = [
        f"{picture.name} does not show what its prompt asks for: {prompt[:80]!r}."
        for (picture, prompt), good in zip(pairs, results, strict=True)
        if not good
    ]
    return Finding(sum(results) / PICTURES, messages)
