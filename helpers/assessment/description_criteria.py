"""Criterion: descriptions, each of which fits its source picture, also in its details, and no other record's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from helpers import clip
from helpers.assessment.clip_fit import Fits, compare
from helpers.assessment.findings import RECORDS, Fault, Finding, Spot
from helpers.assessment.opened import JudgedRecord, OpenedSubmission
from helpers.assessment.originals import original_of
from helpers.assessment.picture_criteria import duplicate_of, unseen
from helpers.assessment.text_criteria import scene_of, wrong_details
from helpers.picturebook import COLOURS, KINDS, PLACES, Scene
from helpers.picturebook.words import plain_caption

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["descriptions", "doubtful_details"]

#: So much nearer, in cosine similarity, a changed caption must be for a description's word to be in doubt. Measured with
#: the mini CLIP on 80 drawn scenes: of true words it doubts none, but for 2 % of the kinds of a second thing; of wrong
#: ones it catches in a scene of one thing every kind and place and 85 % of the colours, in a scene of several 92 % of
#: the places, 60 % of the kinds and a third of the colours.
MARGIN = 0.1

HALF = Fraction(1, 2)


def descriptions(opened: OpenedSubmission) -> Finding:
    """Half of a description's share is for fitting its source picture, half for being right in every detail.

    What the course's originals show is known. Of other pictures CLIP tells whether the words of a caption fit. A
    description that fits another record's source picture instead of its own stops a pass.
    """
    share, faults, seen = Fraction(0), [], []
    able: list[JudgedRecord] = []
    for one in opened.judged():
        if fault := _nothing_to_compare(one, seen):
            faults.append(fault)
        else:
            able.append(one)
        seen += [one.source] if one.source and one.source.image else []
    if able:
        found = compare([one.record.original_description for one in able], [one.source.image for one in able])
        for i in range(len(able)):
            won, fault = _compared(i, able, found)
            share += won
            faults += [fault] if fault else []
    return Finding(share / RECORDS, faults)


def _nothing_to_compare(one: JudgedRecord, seen: Sequence) -> Fault | None:
    """Why a description and its source picture can't be compared."""
    if one.source is None:
        return Fault(
            Spot(one.number), "names no source picture: add source_image", "name no source picture: add source_image"
        )
    if one.source.image is None:
        return unseen(one.source)
    if twin := duplicate_of(one.source, seen):
        which = f"the same as that of record {twin.spot.record}: describe {RECORDS} different pictures"
        return Fault(one.source.spot, f"is {which}", f"are {which}")
    if not one.record.original_description.strip():
        return Fault(Spot(one.number, "description"), "is empty", "are empty")
    return None


def _compared(i: int, able: Sequence[JudgedRecord], found: Fits) -> tuple[Fraction, Fault | None]:
    """What the i-th of these descriptions wins, and its fault."""
    one, spot = able[i], Spot(able[i].number, "description")
    if not found.fits(i, i):
        # From the description's side: each source picture's own text is this one, so pictures and texts change places.
        turned = Fits(found.cosines.T, found.beaten.T)
        for k, other in enumerate(able):
            if k != i and turned.clearly_better(k, [i], i):
                says = f"the source picture of record {other.number} better than its own: put it where it belongs"
                return Fraction(0), Fault(spot, f"fits {says}", f"fit {says}", stops=True)
        if one.record.source_image is None:
            says = (
                "any of the course's four originals. If another picture is meant, name it (make_record(…, "
                "source_image=…)) and send it along"
            )
            return Fraction(0), Fault(spot, f"does not fit {says}", f"do not fit {says}")
        says = "source picture: say what is in it, in which colours, and where"
        return Fraction(0), Fault(spot, f"does not fit the {says}", f"do not fit their {says}")
    if wrong := _wrong(one.record.original_description, one.source.image):
        return HALF, Fault(spot, f"does not fit the source picture in every detail: {', '.join(wrong)}")
    return Fraction(1), None


def _wrong(text: str, image: Image.Image) -> list[str]:
    """What a description that fits by and large says wrong; empty where nothing is found."""
    original = original_of(image)
    return wrong_details(text, original.scene) if original else doubtful_details(text, image)


def doubtful_details(text: str, image: Image.Image) -> list[str]:
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
