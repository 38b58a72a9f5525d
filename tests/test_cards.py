"""Model cards and the judge's verdicts: small parts that the scores rest on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import course.cards
from course.cards import BARS, Bar, few_step_bars, save_scores, score_rows, write_card
from course.data import fresh_scenes
from course.evaluate import evaluate
from course.evaluate.looking import frechet_distance
from course.labels import FOOT, FOOT_GRID, IGNORE, foot_labels, segmentation_labels
from course.train.judge import JudgeRecipe
from course.train.text import text_labels
from helpers.errors import PlainError
from helpers.judge import Judge, Reading, Seen, load_judge, read, shows_number, shows_scene, shows_thing
from helpers.picturebook import COLOURS, KINDS, PLACES, RELATIONS, STYLES, Scene, Thing, boxes, draw
from helpers.settings import settings

pytestmark = pytest.mark.quick

CARDS = [model for model in BARS if model != "vae"]
RECORD = {
    "step": 7,
    "samples": 5376,
    "progress": 1.0,
    "batch_size": 768,
    "learning_rate": 0.1,
    "parameters": 1234,
    "seconds": 126,
    "device": "NVIDIA H100",
}


def reading_of(scene: Scene) -> Reading:
    """What a judge that makes no mistake sees: the boxes of the drawing."""
    seen = [Seen(box.thing.kind, box.thing.colour, box.x, box.y, box.half) for box in boxes(scene)]
    return Reading(tuple(sorted(seen, key=lambda thing: -thing.half)), scene.place, scene.style)


# -- the judge


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_faultless_judge_finds_every_relation_true_and_its_opposite_false(relation):
    scenes = [s for s in fresh_scenes(600, 5, things=2) if s.relation == relation]
    assert len(scenes) > 50
    assert np.mean([shows_scene(reading_of(scene), scene) for scene in scenes]) == 1
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}.get(relation)
    if opposite:
        for scene in scenes:
            turned = object.__new__(Scene)
            turned.__dict__.update(scene.__dict__, relation=opposite)
            assert not shows_scene(reading_of(scene), turned)


def test_the_judge_wants_kind_colour_and_the_largest_thing():
    cat = Scene((Thing("cat", "red"),), "meadow")
    seen = Seen("cat", "red", 0.5, 0.5, 0.2)
    assert shows_thing(Reading((seen,), "meadow", "flat"), cat)
    for wrong in (
        (),
        (replace(seen, kind="dog"),),
        (replace(seen, colour="blue", half=0.3), seen),
    ):
        assert not shows_thing(Reading(wrong, "meadow", "flat"), cat)


def test_a_number_is_right_when_just_the_scene_s_things_are_seen():
    for scene in fresh_scenes(100, 7):
        reading = reading_of(scene)
        assert shows_number(reading, scene)
        assert not shows_number(replace(reading, things=reading.things[1:]), scene)
        assert not shows_number(replace(reading, things=(*reading.things, reading.things[0])), scene)
        repainted = replace(reading.things[0], colour=next(c for c in COLOURS if c != reading.things[0].colour))
        assert not shows_number(replace(reading, things=(repainted, *reading.things[1:])), scene)


class Faultless(torch.nn.Module):
    """Answers with the labels of the scenes, whatever the pictures."""

    def __init__(self, scenes):
        super().__init__()
        self.scenes, self.weight, self.foot_below = list(scenes), torch.nn.Parameter(torch.zeros(1)), FOOT

    def forward(self, pixels):
        scenes, self.scenes = self.scenes[: len(pixels)], self.scenes[len(pixels) :]
        foot, half, kind, colour = torch.tensor(np.stack([foot_labels(s) for s in scenes])).unbind(1)

        def one_hot(labels, n):
            return torch.nn.functional.one_hot(labels.long().clamp(min=0), n).float()

        return {
            "foot": torch.logit(foot, eps=1e-4),
            "half": half,
            "kind": one_hot(kind, len(KINDS)).permute(0, 3, 1, 2),
            "colour": one_hot(colour, len(COLOURS)).permute(0, 3, 1, 2),
            "place": one_hot(torch.tensor([PLACES.index(s.place) for s in scenes]), len(PLACES)),
            "style": one_hot(torch.tensor([STYLES.index(s.style) for s in scenes]), len(STYLES)),
        }


def test_answers_on_the_grid_are_read_as_the_things_that_are_there():
    scenes = fresh_scenes(60, 8)
    readings = read(Faultless(scenes), [draw(scene) for scene in scenes], batch_size=32)
    assert [(r.place, r.style) for r in readings] == [(s.place, s.style) for s in scenes]
    assert np.mean([shows_number(r, s) for r, s in zip(readings, scenes, strict=True)]) > 0.95
    for reading, scene in zip(readings, scenes, strict=True):
        wanted = reading_of(scene)
        for thing in reading.things:
            near = [w for w in wanted.things if (w.kind, w.colour) == (thing.kind, thing.colour)]
            away = min(max(abs(w.x - thing.x), abs(w.y - thing.y)) for w in near)
            assert away <= 1.01 / FOOT_GRID


def test_an_untrained_judge_reads_any_picture():
    torch.manual_seed(0)
    judge = Judge(channels=8).eval()
    sizes = [draw(fresh_scenes(1, 1)[0], size) for size in (64, 128, 200)]
    assert [type(reading) for reading in read(judge, sizes)] == [Reading] * 3
    assert {name: tuple(a.shape[1:]) for name, a in judge(torch.zeros(1, 3, 128, 128)).items()} == {
        "foot": (FOOT_GRID, FOOT_GRID),
        "half": (FOOT_GRID, FOOT_GRID),
        "kind": (len(KINDS), FOOT_GRID, FOOT_GRID),
        "colour": (len(COLOURS), FOOT_GRID, FOOT_GRID),
        "place": (len(PLACES),),
        "style": (len(STYLES),),
    }


@pytest.mark.parametrize("below", [0.0, 0.8])
def test_a_judge_knows_what_it_has_learnt_to_point_at(tmp_path, below):
    """Where a thing stands in a picture, the judge's own foot decides, which is kept with its weights."""
    Judge(channels=8, foot=below).save_pretrained(tmp_path)
    judge = load_judge(tmp_path)
    with torch.no_grad():  # one peak, at row 9, column 4, of a thing with half a side of 0.2
        for part in (judge.foot, judge.extent):
            part.weight.zero_()
        judge.extent.bias.fill_(0.2)
    answers = judge(torch.zeros(1, 3, 128, 128))
    answers["foot"] = torch.full((1, FOOT_GRID, FOOT_GRID), -5.0)
    answers["foot"][0, 9, 4] = 5.0
    judge.forward = lambda pixels: answers
    (seen,) = read(judge, [draw(fresh_scenes(1, 1)[0])])[0].things
    assert (seen.x, seen.y) == (pytest.approx(4.5 / 16), pytest.approx(9.5 / 16 - below * 0.2))


def test_the_distance_of_equal_sets_is_0_and_grows_with_what_sets_them_apart():
    rng = np.random.default_rng(0)
    drawings = rng.normal(size=(400, 6))
    assert frechet_distance(drawings, drawings) == pytest.approx(0, abs=1e-6)
    # Two sets that differ by their mean alone are as far apart as the square of the step between them.
    apart = [frechet_distance(drawings, drawings + step) for step in (0.1, 0.5, 1.0)]
    assert apart == pytest.approx([6 * step**2 for step in (0.1, 0.5, 1.0)], rel=1e-6)
    wider = [frechet_distance(drawings, factor * drawings) for factor in (1.1, 1.5, 2.0)]
    assert 0 < wider[0] < wider[1] < wider[2]
    assert frechet_distance(drawings, 2 * drawings) == pytest.approx(frechet_distance(2 * drawings, drawings))


# -- evaluate


def test_another_profile_than_mini_is_not_measured(monkeypatch):
    monkeypatch.setattr(settings, "profile", "full")
    with pytest.raises(PlainError, match=r"COURSE_PROFILE is full\. Run it with COURSE_PROFILE=mini"):
        evaluate("judge")


def test_evaluate_measures_the_models_of_the_settings_folder(monkeypatch, tmp_path):
    import course.evaluate.talk

    monkeypatch.setattr(settings, "profile", "mini")
    monkeypatch.setattr(settings, "models_dir", tmp_path)
    monkeypatch.setattr(course.evaluate.talk, "vqa", lambda n, seed, models: {"accuracy": (n, seed, models)})
    assert evaluate("vqa", n=5, seed=2) == {"accuracy": (5, 2, tmp_path), "n": 5, "seed": 2}
    assert evaluate("vqa")["n"] == course.evaluate.EVALUATIONS["vqa"][1]


@pytest.mark.parametrize(("model", "n", "message"), [("cat", 1, "choose one of: vae, clip"), ("vqa", 0, "at least 1")])
def test_evaluate_refuses_what_it_can_not_measure(monkeypatch, model, n, message):
    monkeypatch.setattr(settings, "profile", "mini")
    with pytest.raises(ValueError, match=message):
        evaluate(model, n=n)


# -- labels


def test_segmentation_labels_show_each_thing_where_it_stands():
    for scene in fresh_scenes(100, 6):
        kinds, colours = segmentation_labels(scene, FOOT_GRID)
        wanted = {(KINDS.index(t.kind) + 1, COLOURS.index(t.colour) + 1) for t in scene.things}
        assert set(zip(kinds.tolist(), colours.tolist(), strict=True)) - {(0, 0)} == wanted


def test_text_labels_name_what_is_left_or_above_first_however_the_caption_puts_it():
    cat, house = Thing("cat", "red"), Thing("house", "blue")
    one = text_labels(Scene((cat, house), "sea", relation="left of"), full=True)
    other = text_labels(Scene((house, cat), "sea", relation="right of"), full=True)
    assert one == other and one["0_kind"] == KINDS.index("cat") and one["2_kind"] == IGNORE
    sketchy = text_labels(Scene((cat, house), "sea", relation="left of"), full=False)
    assert sketchy["0_colour"] == sketchy["place"] == IGNORE != sketchy["1_kind"]


# -- cards


def test_a_bar_is_reached_from_its_own_side_and_by_numbers_only():
    least, most, both = Bar(least=0.99), Bar(most=0.015), Bar(0.9, 1.1)
    assert [str(bar) for bar in (least, most, both)] == ["≥ 0.99", "≤ 0.015", "0.9 … 1.1"]
    assert least.reached(0.99) and not least.reached(0.98) and most.reached(0.01) and not most.reached(0.02)
    assert both.reached(1) and not both.reached(0.8) and not both.reached(1.2)
    assert not any(bar.reached(float("nan")) for bar in (least, most, both))


def test_scores_in_a_dict_get_a_row_each():
    scores = {"l1": 0.01, "edge_ratio": {"flat": 1.0, "neon": 1.2}, "frechet_floor": {"drawings": {"whole": 0.1}}}
    assert score_rows(scores, BARS["vae"]) == [
        ("l1", 0.01, "≤ 0.015"),
        ("edge_ratio, flat", 1.0, "0.9 … 1.1"),
        ("edge_ratio, neon", 1.2, "0.9 … 1.1"),
        ("frechet_floor, drawings, whole", 0.1, ""),
    ]


def test_the_adapter_may_lose_two_hundredths_of_each_score():
    bars = few_step_bars({"kind_and_colour": 1.0, "place": 0.996, "two_things": 0.97, "seconds_for_4": 3})
    assert {name: bar.least for name, bar in bars.items()} == {
        "kind_and_colour": 0.98,
        "place": 0.976,
        "two_things": 0.95,
    }


def test_a_card_tells_data_recipe_scores_and_that_there_are_none_yet(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    write_card("clip", tmp_path)
    assert "Not measured yet" in (folder / "README.md").read_text()
    (folder / "training.json").write_text(json.dumps(RECORD))
    (folder / "scores.json").write_text(json.dumps({"kind": 0.5, "n": 4, "seed": 1}))
    write_card("clip", tmp_path)
    card = (folder / "README.md").read_text()
    assert "| kind | 0.5 | ≥ 0.99 |" in card and "On 4 fresh scenes of seed 1" in card
    assert "| `course train clip` | 7 | 768 | 5,376 | 0.1 | 1,234 | 2.1 | NVIDIA H100 | 100 % |" in card
    assert "loss.png" in card


@pytest.mark.parametrize("model", CARDS)
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


def test_the_diffusion_card_tells_of_vae_and_adapter_too(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(course.cards, "draw_gallery", drawn.append)
    monkeypatch.setattr(course.cards, "MODELS", tmp_path)
    for part in ("text_encoder", "vae", "unet", "few_step"):
        (tmp_path / "diffusion" / part).mkdir(parents=True)
        (tmp_path / "diffusion" / part / "training.json").write_text(json.dumps(RECORD))
    few_step = {"kind_and_colour": 0.96, "frechet": {"whole": 0.3, "places": 0.4}}
    scores = {"kind_and_colour": 0.97, "frechet": {"whole": 0.1, "places": 0.2}, "few_step": few_step}
    save_scores("diffusion", {**scores, "n": 10, "seed": 0}, tmp_path)
    card = (tmp_path / "diffusion" / "README.md").read_text()
    assert "Not measured yet" in card and len(drawn) == 1

    save_scores("vae", {"l1": 0.011, "edge_ratio": {"neon": 0.95}, "judge": 0.5, "n": 20, "seed": 3}, tmp_path)
    assert json.loads((tmp_path / "diffusion" / "vae" / "scores.json").read_text())["judge"] == 0.5
    assert not (tmp_path / "vae").exists() and len(drawn) == 1, "the VAE's scores need no gallery"
    card = (tmp_path / "diffusion" / "README.md").read_text()
    for row in (
        "| kind_and_colour | 0.97 | ≥ 0.99 |",
        "| frechet, whole | 0.1 |  |",
        "| kind_and_colour | 0.96 | ≥ 0.95 |",
        "| frechet, places | 0.4 |  |",
        "| l1 | 0.011 | ≤ 0.015 |",
        "| edge_ratio, neon | 0.95 | 0.9 … 1.1 |",
        "| judge | 0.5 | ≥ 0.99 |",
    ):
        assert row in card
    assert "On 10 fresh scenes of seed 0" in card and "On 20 fresh scenes of seed 3" in card
    for training in ("text", "vae", "unet", "few_step"):
        assert f"`course train {training}`" in card
    assert "Not measured yet" not in card and "{" not in card


def test_scores_are_kept_where_the_models_are_that_were_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "models_dir", tmp_path)
    monkeypatch.setattr(course.cards, "draw_gallery", lambda file: pytest.fail("another model than the course's own"))
    (tmp_path / "diffusion").mkdir()
    save_scores("diffusion", {"place": 0.5, "n": 4, "seed": 1})
    assert json.loads((tmp_path / "diffusion" / "scores.json").read_text())["place"] == 0.5
    assert "| place | 0.5 |" in (tmp_path / "diffusion" / "README.md").read_text()


def test_the_card_takes_the_place_of_what_the_hub_s_mixin_writes(tmp_path):
    folder = tmp_path / "judge"
    recipe = JudgeRecipe()
    recipe.export(recipe.modules.eval(), folder)
    save_scores("judge", {"number": 0.5, "by_style": {"neon": 0.7}, "n": 4, "seed": 1}, tmp_path)
    card = (folder / "README.md").read_text()
    assert card.startswith("# Judge") and "PytorchModelHubMixin" not in card
    assert "| number | 0.5 | ≥ 0.995 |" in card and "| by_style, neon | 0.7 |  |" in card
