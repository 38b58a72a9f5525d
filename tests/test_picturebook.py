"""The picture-book world: what holds for every scene."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from helpers.picturebook import (
    COLOURS,
    KINDS,
    PLACES,
    RELATIONS,
    STYLES,
    Scene,
    Thing,
    as_seen,
    boxes,
    describe,
    draw,
    in_picture_order,
    parse,
    pen,
    pieces,
    questions,
    random_scene,
    read_caption,
    with_article,
)
from helpers.picturebook.kinds import DRAWINGS, SEATS
from helpers.picturebook.pieces import PAINTS

pytestmark = pytest.mark.quick

seeds = st.integers(0, 2**31)


@given(seeds)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_parse_gives_back_what_describe_said(seed):
    scene = random_scene(random.Random(seed))
    assert parse(describe(scene, random.Random(seed + 1))) == scene


@given(seeds)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_same_seed_same_scene_and_picture(seed):
    first, second = (random_scene(np.random.default_rng(seed)) for _ in range(2))
    assert first == second and first.layout == second.layout
    assert draw(first, 64).tobytes() == draw(second, 64).tobytes()
    assert describe(first, random.Random(seed)) == describe(second, random.Random(seed))


@given(seeds)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_every_thing_lies_inside_the_picture(seed):
    scene = random_scene(random.Random(seed))
    placed = boxes(scene)
    assert len(placed) == scene.total
    for box in placed:
        assert box.half <= box.x <= 1 - box.half and box.half <= box.y <= 1 - box.half, (scene, box)


@given(seeds)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_things_stand_in_the_relation_that_the_scene_tells(seed):
    scene = random_scene(random.Random(seed), things=2)
    placed = boxes(scene)
    first = [box for box in placed if box.thing == scene.things[0]]
    (second,) = [box for box in placed if box.thing == scene.things[1]]
    seat = second.y + SEATS.get(second.thing.kind, 0) * second.half
    for box in first:
        dx, dy = box.x - second.x, box.y - second.y
        holds = {
            "left of": dx < -0.15,
            "right of": dx > 0.15,
            "above": dy < -0.2,
            "below": dy > 0.2,
            "on": abs(box.y + box.half - seat) < 1e-6 and abs(dx) < second.half,
        }
        assert holds[scene.relation], (scene, placed)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_changes_the_picture_where_it_stands_and_only_near_there(kind, style):
    """Visible: against the same place with another thing's colour, many pixels of its box change, none far away."""
    for layout in range(3):
        one, other = (
            Scene((Thing(kind, colour, "small"),), "meadow", style, layout=layout) for colour in ("red", "blue")
        )
        change = np.abs(np.asarray(draw(one, 96), int) - np.asarray(draw(other, 96), int)).max(2) > 40
        (box,) = boxes(one)
        rows, columns = np.nonzero(change)
        assert change.sum() > 0.12 * (2 * box.half * 96) ** 2, f"the {kind} hardly shows its colour"
        glow = 10 if style == "neon" else 4
        assert rows.min() >= (box.y - box.half) * 96 - glow and rows.max() <= (box.y + box.half) * 96 + glow
        assert columns.min() >= (box.x - box.half) * 96 - glow and columns.max() <= (box.x + box.half) * 96 + glow


def test_colours_are_told_apart():
    values = [np.array(PAINTS[colour]) for colour in COLOURS]
    distances = [np.abs(a - b).max() for i, a in enumerate(values) for b in values[:i]]
    assert min(distances) > 45


def test_random_scenes_use_the_whole_world():
    rng = random.Random(0)
    scenes = [random_scene(rng) for _ in range(3000)]
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.kind for thing in things} == set(KINDS) and {thing.colour for thing in things} == set(COLOURS)
    assert {scene.place for scene in scenes} == set(PLACES) and {scene.style for scene in scenes} == set(STYLES)
    assert {scene.relation for scene in scenes} == {None, *RELATIONS}
    assert {scene.total for scene in scenes} == {1, 2, 3, 4} == {len(scene.things) for scene in scenes}
    assert {thing.count for thing in things} == {1, 2, 3, 4}


@given(seeds)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_questions_are_answered_by_the_scene(seed):
    scene = random_scene(random.Random(seed))
    pairs = questions(scene, random.Random(seed))
    kinds = {thing.kind for thing in scene.things}
    assert len(pairs) >= 5
    asked = [question for question, _ in pairs]
    assert len(set(asked)) == len(asked)
    for question, answer in pairs:
        if question.startswith("Is there"):
            assert (answer == "yes") == any(kind in question.split() for kind in kinds)
        if question == "How many things are in the picture?":
            assert answer == str(scene.total)
        if question.startswith(("What colour", "What color")):
            assert answer in {thing.colour for thing in scene.things}


@pytest.mark.parametrize(
    ("caption", "scene"),
    [
        (
            "a large red cat left of a small blue house, on a meadow",
            Scene((Thing("cat", "red"), Thing("house", "blue", "small")), "meadow", relation="left of"),
        ),
        ("two small white cats on a purple sofa, in a room", None),
        ("A pencil sketch of a green frog on top of a green tree, at night.", None),
        ("a white astronaut on mars", Scene((Thing("astronaut", "white"),), "mars")),
        ("a yellow car on a road at sunset", Scene((Thing("car", "yellow"),), "road at sunset")),
        ("a purple inkblot in the snow", Scene((Thing("inkblot", "purple"),), "snow")),
    ],
)
def test_captions_people_write(caption, scene):
    read = parse(caption)
    assert scene is None or read == scene
    assert parse(describe(read, random.Random(0))) == read


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("a red cat", "names no place"),
        ("a cat on a meadow", "colour of 'a cat'"),
        ("a red zebra on a meadow", "a red zebra"),
        ("a red cat beside a blue dog, on a meadow", "beside"),
        ("", "names no place"),
        ("a red cat on a blue moon, on a meadow", "Nothing can be on a moon"),
    ],
)
def test_captions_outside_the_world_are_refused_with_a_reason(caption, told):
    with pytest.raises(ValueError, match=told):
        parse(caption)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Thing("zebra", "red"),
        lambda: Thing("cat", "beige"),
        lambda: Thing("cat", "red", "huge"),
        lambda: Thing("cat", "red", count=5),
        lambda: Scene((), "meadow"),
        lambda: Scene((Thing("cat", "red"),), "moonbase"),
        lambda: Scene((Thing("cat", "red"),), "meadow", relation="on"),
        lambda: Scene((Thing("cat", "red"), Thing("dog", "red")), "meadow"),
        lambda: Scene((Thing("cat", "red", count=3),), "meadow"),
        lambda: draw(Scene((Thing("cat", "red"),), "meadow"), 8),
        lambda: random_scene(random.Random(0), things=5),
    ],
)
def test_scenes_that_cannot_be_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_a_caption_is_read_where_there_is_one():
    assert read_caption("a red cat, on a meadow") == parse("a red cat, on a meadow")
    assert read_caption("I only know picture-book scenes.") is None


@pytest.mark.parametrize("words", ["an astronaut", "a cat", "an orange cat", "a large inkblot"])
def test_the_article_is_that_of_the_first_word(words):
    assert with_article(words.partition(" ")[2]) == words


@given(seeds)
def test_in_picture_order_what_is_left_or_above_comes_first(seed):
    scene = random_scene(random.Random(seed), things=2)
    things, relation = in_picture_order(scene)
    assert relation in ("left of", "above", "on") and set(things) == set(scene.things)
    assert (things == scene.things) == (relation == scene.relation)
    seen = as_seen(scene)
    assert as_seen(seen) == seen and set(seen.things) == set(scene.things)


@pytest.mark.parametrize("width", [2, 6, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_those_that_pillow_draws(kind, width):
    """Shapes keep the angles of their corners, to save time; the pixels are those of Pillow's `joint="curve"`."""
    scene = Scene((Thing(kind, "red"),), "meadow", layout=4)
    for piece in pieces.figure_pieces(pieces.figures(scene)[0], 384):
        ours, theirs = Image.new("L", (384, 384)), Image.new("L", (384, 384))
        points = piece.points if piece.width else piece.points + piece.points[:2]
        pen.line(ImageDraw.Draw(ours), piece, points, 255, width)
        ImageDraw.Draw(theirs).line(points, 255, width, joint="curve")
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("style", STYLES)
def test_what_is_not_outlined_would_not_show(style, monkeypatch):
    scenes = [Scene((Thing(kind, "blue"),), "sea", style, layout=i) for i, kind in enumerate(KINDS)]
    quick = [draw(scene, 96).tobytes() for scene in scenes]
    monkeypatch.setattr(pieces, "_shapes", lambda kind: tuple(DRAWINGS[kind]()))
    assert quick == [draw(scene, 96).tobytes() for scene in scenes]
