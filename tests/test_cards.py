"""Model cards and the judge's verdicts: small parts that the scores rest on."""

import json

import numpy as np
import pytest

from course.cards import BARS, write_card
from course.data import fresh_scenes
from course.evaluate.judge import GRID, Reading, Seen, _things, shows_scene, shows_thing
from course.train.labels import IGNORE, cover_labels
from course.train.text import text_labels
from helpers.picturebook import COLOURS, KINDS, RELATIONS, Scene, Thing


def reading_of(scene: Scene) -> Reading:
    """What a judge that makes no mistake sees: the labels themselves."""
    kinds, colours = cover_labels(scene, GRID).reshape(2, GRID, GRID)
    return Reading(_things(kinds, colours), scene.place, scene.style)


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_faultless_judge_finds_every_relation_true_and_its_opposite_false(relation):
    scenes = [s for s in fresh_scenes(600, 5, things=2) if s.relation == relation and s.total == 2]
    assert len(scenes) > 50
    verdicts = [shows_scene(reading_of(scene), scene) for scene in scenes]
    assert np.mean(verdicts) > 0.97
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}.get(relation)
    if opposite:
        for scene in scenes:
            turned = object.__new__(Scene)
            turned.__dict__.update(scene.__dict__, relation=opposite)
            assert not shows_scene(reading_of(scene), turned)


def test_the_judge_wants_kind_colour_and_the_largest_thing():
    cat = Scene((Thing("cat", "red"),), "meadow")
    seen = Seen("cat", "red", 0.5, 0.5, 0.2, 0.8, 90)
    assert shows_thing(Reading((seen,), "meadow", "flat"), cat)
    for wrong in (
        (),
        (Seen("dog", "red", 0.5, 0.5, 0.2, 0.8, 90),),
        (Seen("cat", "blue", 0.5, 0.5, 0.2, 0.8, 90), seen),
    ):
        assert not shows_thing(Reading(wrong, "meadow", "flat"), cat)


def test_cover_labels_show_each_thing_where_it_stands():
    for scene in fresh_scenes(100, 6):
        kinds, colours = cover_labels(scene, GRID)
        wanted = {(KINDS.index(t.kind) + 1, COLOURS.index(t.colour) + 1) for t in scene.things}
        assert set(zip(kinds.tolist(), colours.tolist(), strict=True)) - {(0, 0)} == wanted


def test_text_labels_name_what_is_left_or_above_first_however_the_caption_puts_it():
    cat, house = Thing("cat", "red"), Thing("house", "blue")
    one = text_labels(Scene((cat, house), "sea", relation="left of"), full=True)
    other = text_labels(Scene((house, cat), "sea", relation="right of"), full=True)
    assert one == other and one["0_kind"] == KINDS.index("cat") and one["2_kind"] == IGNORE
    sketchy = text_labels(Scene((cat, house), "sea", relation="left of"), full=False)
    assert sketchy["0_colour"] == sketchy["place"] == IGNORE != sketchy["1_kind"]


def test_a_card_tells_data_recipe_scores_and_that_there_are_none_yet(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    write_card("clip", tmp_path)
    assert "Not measured yet" in (folder / "README.md").read_text()
    record = dict(step=7, total_steps=9, batch_size=3, learning_rate=0.1, parameters=1234, seconds=120)
    (folder / "training.json").write_text(json.dumps(record))
    (folder / "scores.json").write_text(json.dumps({"kind": 0.5, "n": 4, "seed": 1}))
    write_card("clip", tmp_path)
    card = (folder / "README.md").read_text()
    assert "| kind | 0.5 | 0.98 |" in card and "1,234" in card and "72,000 scenes" in card and "loss.png" in card


@pytest.mark.parametrize("model", BARS)
def test_every_model_has_a_card_with_its_scores_beside_its_bars(tmp_path, model):
    folder = tmp_path / model
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "cat", "1": "red"}}))
    (folder / "scores.json").write_text(json.dumps({**dict.fromkeys(BARS[model], 0.5), "n": 4, "seed": 1}))
    write_card(model, tmp_path)
    card = (folder / "README.md").read_text()
    assert f"`course evaluate {model}`" in card and "CC BY 4.0" in card
    for score, bar in BARS[model].items():
        assert f"| {score} | 0.5 | {bar} |" in card
    assert ("cat, red" in card) == (model == "vqa")
