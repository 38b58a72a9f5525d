"""Whether prompts are distinct and on the subject is decided by their words; the four originals are always the same."""

from dataclasses import replace
from random import Random

import pytest
from PIL import Image

from helpers.originals import SCENES, draw_originals
from helpers.picturebook import PLACES, STYLES, describe, random_scene
from helpers.prompts import distinct, on_subject, same, subject

pytestmark = pytest.mark.quick

CAT = "a large red cat, on a meadow"


@pytest.mark.parametrize(
    "other",
    [
        "A large red cat on a meadow.",
        "a big red cat in a meadow",
        "a drawing of a red cat on the green meadow",
        "a large red cat, on a meadow (variation 2)",
        "Version three: a beautiful large red cat, on a meadow, highly detailed",
        "  on a meadow: a LARGE red cat!! ",
    ],
)
def test_decoration_makes_no_other_prompt(other):
    assert same(CAT, other) and same(other, CAT)
    assert distinct([CAT, other]) == [CAT]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a red cat left of a blue dog, on a meadow", "a blue dog right of a red cat, on a meadow"),
        ("a small red cat above a small blue dog, at night", "a small blue dog under a little red cat, at night"),
        ("a red cat and a blue dog, on a meadow", "a blue dog to the right of a red cat, on a meadow"),
    ],
)
def test_who_is_named_first_makes_no_other_prompt(one, other):
    assert same(one, other) and same(other, one)
    assert distinct([one, other]) == [one]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CAT, "a small red cat, on a meadow"),
        (CAT, "a neon picture of a large red cat, on a meadow"),
        (CAT, "two large red cats, on a meadow"),
        ("a red cat left of a blue dog, at night", "a blue cat left of a red dog, at night"),
        ("a red cat left of a blue dog, at night", "a red cat right of a blue dog, at night"),
        ("two kittens on a quilt", "three kittens on a quilt"),
        ("another version: two kittens", "another version: three kittens"),
    ],
)
def test_what_a_painter_would_paint_differently_is_different(one, other):
    assert not same(one, other)
    assert distinct([one, other]) == [one, other]


def test_scenes_of_the_world_are_told_apart_as_their_captions_are():
    rng = Random(4)
    for _ in range(20):
        scene = random_scene(rng)
        again, elsewhere = describe(scene, rng), replace(scene, place=PLACES[(PLACES.index(scene.place) + 1) % 8])
        drawn_otherwise = replace(scene, style=STYLES[(STYLES.index(scene.style) + 1) % 4])
        captions = [describe(each, rng) for each in (scene, elsewhere, drawn_otherwise)]
        assert distinct([*captions, again]) == captions


def test_nothing_is_no_prompt():
    assert distinct(["", "2.", "picture", "a cat", "THE CAT"]) == ["a cat"]


def test_a_prompt_on_the_subject_names_every_kind():
    told = "The picture shows two small orange cats on a large blue sofa, in a room."
    assert subject(told) == {"cat", "sofa"}
    assert on_subject("a cat under three sofas, on mars", told)
    assert not on_subject("two small orange cats, in a room", told)
    assert not on_subject("a boat, by the sea", told)


def test_outside_of_the_picture_book_a_shared_word_is_enough():
    assert on_subject("an axolotl drinking tea", "The picture shows an axolotl.")
    assert not on_subject("a fox in the tea", "The picture shows an axolotl in the rain.")


def test_the_originals_are_drawn_once_and_the_same_for_everybody(tmp_path):
    paths = draw_originals(tmp_path / "originals", size=64)
    assert [path.name for path in paths] == list(SCENES)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in draw_originals(tmp_path / "originals", size=64)] == before
    assert len(set(before)) == 4
    assert all(Image.open(path).size == (64, 64) for path in paths)
