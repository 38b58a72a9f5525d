"""Criterion: descriptions, each of which fits its source picture in every detail, and no other record's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from helpers import clip
from helpers.assessment.clip_fit import Fits, compare
from helpers.assessment.findings import RECORDS, Fault, Finding, Spot
from helpers.assessment.opened import JudgedRecord, OpenedSubmission, Picture
from helpers.assessment.originals import original_of
from helpers.assessment.picture_criteria import duplicate_of, unopened
from helpers.assessment.text_criteria import scene_of, wrong_details
from helpers.picturebook import COLOURS, KINDS, PLACES, Scene
from helpers.picturebook.words import plain_caption
from helpers.prompts import same

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["descriptions", "doubtful_details"]

#: A word of a description is in doubt if changing it raises the caption's cosine similarity by more than this.
#: Measured with the mini CLIP on 80 drawn scenes: true words are not doubted, except for 2 % of the kinds of a second
#: thing. Of wrong words it catches every kind and place and 85 % of the colours in scenes of one thing; in scenes of
#: several things 92 % of the places, 60 % of the kinds and a third of the colours.
MARGIN = 0.1

HALF = Fraction(1, 2)


def descriptions(opened: OpenedSubmission) -> Finding:
    """Give half of a description's share for fitting its source picture, half for being right in every detail.

    What the course's originals show is known. For other pictures, CLIP decides whether the words of a caption fit. A
    description that fits another record's source picture instead of its own prevents a pass.
    """
    share, faults, seen = Fraction(0), [], []
    drawn = [
        picture
        for one in opened.judged()
        for picture in one.pictures
        if picture.image is not None and picture.provenance
    ]
    comparable: list[JudgedRecord] = []
    for one in opened.judged():
        if fault := _nothing_to_compare(one, seen, drawn):
            faults.append(fault)
        else:
            comparable.append(one)
        seen += [one.source] if one.source and one.source.image else []
    if comparable:
        texts = [one.record.original_description for one in comparable]
        found = compare(texts, [one.source.image for one in comparable])
        for i in range(len(comparable)):
            earned, fault = _compared(i, comparable, found)
            share += earned
            faults += [fault] if fault else []
    return Finding(share / RECORDS, faults)


def _nothing_to_compare(one: JudgedRecord, seen: Sequence[Picture], drawn: Sequence[Picture]) -> Fault | None:
    """Return why a description and its source picture can't be compared; None if they can."""
    if one.source is None:
        return Fault(
            Spot(one.number), "names no source picture: add source_image", "name no source picture: add source_image"
        )
    if one.source.image is None:
        return unopened(one.source)
    if twin := duplicate_of(one.source, seen):
        which = f"the same as that of record {twin.spot.record}: describe {RECORDS} different pictures"
        return Fault(one.source.spot, f"is {which}", f"are {which}")
    if twin := duplicate_of(one.source, drawn):
        todo = "describe one that you did not draw from these prompts"
        return Fault(
            one.source.spot,
            f"is record {twin.spot.record}, picture {twin.spot.number}: {todo}",
            f"are among the generated pictures: {todo}",
        )
    if not one.record.original_description.strip():
        return Fault(Spot(one.number, "description"), "is empty", "are empty")
    return None


def _compared(i: int, records: Sequence[JudgedRecord], found: Fits) -> tuple[Fraction, Fault | None]:
    """Return the share that the i-th description earns, and its fault."""
    one, spot = records[i], Spot(records[i].number, "description")
    if not found.fits(i, i):
        # Compare pictures for this text, not texts for a picture: swap their roles.
        transposed = Fits(found.cosines.T, found.beaten.T)
        for k, other in enumerate(records):
            if k != i and transposed.clearly_better(k, [i], i):
                what = f"the source picture of record {other.number} better than its own: put it where it belongs"
                return Fraction(0), Fault(spot, f"fits {what}", f"fit {what}", stops=True)
        if one.record.source_image is None:
            what = (
                "any of the course's four originals. If another picture is meant, name it (make_record(…, "
                "source_image=…)) and send it along"
            )
            return Fraction(0), Fault(spot, f"does not fit {what}", f"do not fit {what}")
        what = "source picture: say what is in it, in which colours, and where"
        return Fraction(0), Fault(spot, f"does not fit the {what}", f"do not fit their {what}")
    for earlier in records[:i]:
        if same(earlier.record.original_description, one.record.original_description):
            what = f"the same as that of record {earlier.number}: describe {RECORDS} different pictures"
            return Fraction(0), Fault(spot, f"says {what}", f"say {what}")
    if wrong := _mistakes(one.record.original_description, one.source.image):
        return HALF, Fault(spot, f"does not fit the source picture in every detail: {', '.join(wrong)}")
    return Fraction(1), None


def _mistakes(text: str, image: Image.Image) -> list[str]:
    """Return the mistakes of a description that fits on the whole."""
    original = original_of(image)
    return wrong_details(text, original.scene) if original else doubtful_details(text, image)


def doubtful_details(text: str, image: Image.Image) -> list[str]:
    """Return where another word would fit better: "it looks like 'blue' rather than 'red'"."""
    scene = scene_of(text)
    if scene is None:
        return []
    embedding = clip.embed_images([image])[0]
    caption = plain_caption(scene)
    doubts = []
    for word, others in _changes(scene):
        captions = [caption, *(plain_caption(other) for _, other in others)]
        scores = clip.embed_texts(captions) @ embedding
        best = int(scores.argmax())
        if scores[best] > scores[0] + MARGIN:
            doubts.append(f"it looks like {others[best - 1][0]!r} rather than {word!r}")
    return doubts


def _changes(scene: Scene) -> Iterator[tuple[str, list[tuple[str, Scene]]]]:
    """Yield the scene's place and each thing's kind and colour, each with the scenes that have another word for it."""
    yield scene.place, [(place, replace(scene, place=place)) for place in PLACES if place != scene.place]
    for i, thing in enumerate(scene.things):
        for part, words in (("kind", KINDS), ("colour", COLOURS)):
            word = getattr(thing, part)
            yield word, [(w, s) for w in words if w != word and (s := _with(scene, i, {part: w}))]


def _with(scene: Scene, i: int, change: dict[str, str]) -> Scene | None:
    """Return the scene with its i-th thing changed; None if that can't be drawn."""
    things = list(scene.things)
    things[i] = replace(things[i], **change)
    try:
        return replace(scene, things=tuple(things))
    except ValueError:
        return None
