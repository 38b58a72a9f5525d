"""The one assessment: its rules, with a CLIP that reads captions and a "model" that draws scenes in place of the real ones."""

import io
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from handins import another, painted, papers, png, redrawn, showing, stand_ins
from PIL import Image

from helpers import redraw
from helpers.assessment import CRITERIA, PASS, WEIGHTS, Fault, Finding, OpenedSubmission, Spot, examine, judge
from helpers.assessment import provenance_criteria as provenance
from helpers.assessment.text_criteria import scene_of
from helpers.checks import nb07
from helpers.originals import SCENES
from helpers.picturebook import COLOURS, KINDS, PLACES, draw
from helpers.picturebook.facts import facts
from helpers.picturebook.synonyms import COLOUR_WORDS, KIND_WORDS, in_world_words, listed_words
from helpers.picturebook.words import PLACE_PHRASES, parse, plain_caption
from helpers.prompts import distinct, on_subject, same, subject
from helpers.submission import Record

RUNNER, NOTEBOOK = WEIGHTS["runner"], WEIGHTS["notebook"]


@pytest.fixture(autouse=True)
def without_models():
    with stand_ins():
        yield


def verdict_on(it):
    return judge(it.parcel().opened())


def points(verdict):
    return {score.criterion: score.points for score in verdict.criteria}


def exchange(it, keys, i=0, j=1):
    one, other = it.records[i], it.records[j]
    for key in keys:
        one[key], other[key] = other[key], one[key]


def test_a_good_submission_has_all_points():
    verdict = verdict_on(another())
    assert (verdict.passed, verdict.score, verdict.messages) == (True, 100, [])


# -- 1: padding

CAT = "a large red cat, on a meadow"
PADDINGS = (
    *("{} zorp", "{}, 4k", "{}, cinematic lighting", "{} (variation 2)", "variation 3: {}", "3. {}", "{}!!", "blig {}"),
    *("{}, trending on artstation, octane render", "{}, golden hour", "{}, shallow depth of field", "take 2, {}"),
    *(
        "{} with cinematic lighting",
        "{} {}",
        "{}, bird's-eye view",
        "a masterpiece of {}, ultra detailed",
    ),
)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    "prompt",
    [
        CAT,
        "two small orange cats on a large blue sofa, in a room",
        "a neon picture of a small red frog on a large green tree, at night",
        "a large red car, on a road at sunset",
    ],
)
def test_no_word_pads_a_prompt(prompt, padding):
    assert same(prompt, padding.format(prompt, prompt)) and distinct([prompt, padding.format(prompt, prompt)]) == [
        prompt
    ]


@pytest.mark.parametrize(
    "other",
    [
        "a large zorp red cat, on a meadow",
        "a large red cat, on a zorp meadow",
        "A LARGE RED CAT ON THE GREEN MEADOW",
        "a red red cat cat on a meadow meadow",
        "a big crimson kitty on a grass field",
        "large red kitten meadow",
    ],
)
def test_nor_does_one_in_the_middle_or_another_word_for_the_same(other):
    assert same(CAT, other) and same(other, CAT)


@pytest.mark.parametrize(
    "other",
    [
        "a large red kitten, in a forest",
        "a large black cat, on a meadow",
        "a large red cat, on a meadow, watercolour",
        "a large red cat and a dog, on a meadow",
        "some large red cats, on a meadow",
        "a large red cat, on a meadow at night",
    ],
)
def test_what_a_painter_would_paint_differently_still_counts(other):
    assert not same(CAT, other)


def test_relations_hold_in_any_words():
    assert same("a cat on the left of a dog", "a dog zorp right of a kitten")
    assert not same("a cat in a box", "a cat on a box") and not same("a cat behind a sofa", "a cat on a sofa")
    assert same("2 cats", "two kittens") and not same("2 cats", "3 cats")


def test_outside_of_the_world_praise_makes_no_other_prompt():
    tea = "an axolotl in a glass of tea"
    assert distinct([tea, f"{tea}, 8k, hdr", f"{tea}, with cinematic lighting, trending on artstation"]) == [tea]
    assert distinct([tea, "an axolotl in a cup of coffee"]) == [tea, "an axolotl in a cup of coffee"]
    assert distinct(["4k, hdr, masterpiece"]) == []


@pytest.mark.parametrize(
    "absent",
    ["no dog", "without a red dog or any boats", "not at night", "neither a dog nor a house", "isn't by the sea"],
)
def test_what_is_absent_makes_no_other_prompt(absent):
    assert same(CAT, f"{CAT}, {absent}") and same(CAT, f"{absent}: {CAT}")
    assert not on_subject("a red boat, no cat", CAT)


def test_what_follows_the_absent_still_counts():
    assert same("a cat, no dog, in the snow", "a cat in the snow") and not same("a cat, no dog, in the snow", "a cat")
    assert same("a cat without a dog and a boat", "a cat and a boat")
    assert same("a cat, not red, on a meadow", "a cat on a meadow") and same("No. 1: a red cat", "a red cat")


@pytest.mark.parametrize("a", ["а", "ａ", "á", "a\u200b", "\u00ada"], ids=ascii)
def test_a_letter_that_looks_like_another_is_that_one(a):
    assert same(CAT, CAT.replace("a", a)) and on_subject(CAT.replace("a", a), CAT)


def test_a_list_of_everything_is_about_nothing():
    everything = "a cat, a sofa, a car, a frog and a tree, in the snow"
    assert not on_subject(everything, CAT) and on_subject(everything, everything)
    assert on_subject("an astronaut with a dog, a rocket and a moon", "The picture shows an astronaut.")


def test_a_prompt_of_another_record_does_not_count_again():
    it = another()
    prompts = [f"a frog on a tree, a cat on a sofa, {place}" for place in ("in the snow", "at night", "by the sea")]
    for i in (0, 3):
        it.records[i]["prompts"][1:] = prompts
    found = examine(it.parcel().opened(), ["prompts"])["prompts"]
    assert found.share == Fraction(13, 16)
    assert found.messages == [
        "Record 4, prompts 2, 3 and 4 ask for the same pictures as prompts of record 1: write 16 different prompts."
    ]


def test_a_padded_submission_fails():
    it = another()
    for record in it.records:
        first = record["prompts"][0]
        record["prompts"] = [first, *(f"{first} {word}" for word in ("zorp", "blig", "flum"))]
    verdict = verdict_on(it)
    assert points(verdict)["prompts"] == 4 and not verdict.passed


# -- 2: synonyms


def test_there_are_other_words_for_every_kind_colour_and_place():
    assert set(KIND_WORDS) == set(KINDS) and set(COLOUR_WORDS) == set(COLOURS)
    for place in PLACES:
        named = {facts(listed_words(f"a cat {phrase}")).places for phrase in PLACE_PHRASES[place]}
        assert len(named) == 1 and named.pop()
    for word, kind in ((word, kind) for kind, words in KIND_WORDS.items() for word in words.split()):
        assert subject(f"a zorp {word}") == {kind}


def test_kittens_on_a_couch_are_cats_on_a_sofa():
    assert subject("kittens on a couch") == {"cat", "sofa"} and subject("puppies near a cottage") == {"dog", "house"}
    assert on_subject(
        "Kittens on a couch, in the snow", "The picture shows two small orange cats on a large blue sofa."
    )
    told = "two tiny ginger kittens on a huge blue couch, in a room"
    assert parse(in_world_words(told)) == SCENES["cats_on_a_sofa.png"]


def test_a_description_in_other_words_is_right():
    it = another()
    it.records[0]["original_description"] = "Two tiny ginger kittens on a large blue couch, in a room."
    assert verdict_on(it).score == 100
    it.records[0]["original_description"] = "Two tiny ginger kittens on a large red couch, in a room."
    verdict = verdict_on(it)
    assert points(verdict)["descriptions"] == 17.5
    assert "the sofa looks blue rather than red" in " ".join(verdict.messages)


@pytest.mark.parametrize(
    "told",
    [
        "A large red car, on a road at sunset.",
        "Here we see, without a doubt, a large red car, on a road at sunset, as anybody can tell.",
        "On the left there is a big crimson sedan on a road at sunset",
    ],
)
def test_a_caption_is_found_whatever_words_are_around_it(told):
    assert replace(scene_of(told), layout=7) == SCENES["car_at_sunset.png"]


@pytest.mark.parametrize("told", ["A car.", "", "A large red car, on a road at sunset, seen by a dog.", "a " * 4000])
def test_where_there_is_none_or_more_is_named_none_is_made_up(told):
    assert scene_of(told) is None


def test_two_source_pictures_of_one_scene_are_not_two():
    it = another()
    car = SCENES["car_at_sunset.png"]
    for i, layout in ((1, 3), (2, 4)):
        image = showing(draw(replace(car, layout=layout), size=128), plain_caption(car))
        it.files[it.records[i]["source_image"]] = png(image)
        it.records[i]["original_description"] = (
            "A large red car, on a road at sunset.",
            "A big red sedan, at sunset, on a road",
        )[i - 1]
    found = examine(it.parcel().opened(), ["descriptions"])["descriptions"]
    assert found.share == Fraction(3, 4)
    assert "The description of record 3 says the same as that of record 2" in found.messages[0]


# -- 3: half wrong does not pass


def test_exchanged_pictures_stop_a_pass_whatever_the_points():
    it = another()
    for key in ("image_paths", "provenance"):
        for k in range(4):
            one, other = it.records[0][key], it.records[1][key]
            one[k], other[k] = other[k], one[k]
    verdict = verdict_on(it)
    assert not verdict.passed and verdict.score >= 70 and points(verdict)["fit"] == 8
    assert "All pictures of record 1 show what the prompts of record 2 ask for" in verdict.messages[0]


def test_so_does_a_single_one():
    it = another()
    for key in ("image_paths", "provenance"):
        it.records[0][key][2], it.records[1][key][2] = it.records[1][key][2], it.records[0][key][2]
    verdict = verdict_on(it)
    assert not verdict.passed and verdict.score > 90
    assert (
        verdict.messages[-1] == "A text or picture that belongs to another record prevents a pass, whatever the points."
    )


def test_so_does_a_picture_in_two_records():
    it = another()
    it.records[1]["image_paths"][3] = it.records[0]["image_paths"][0]
    found = examine(it.parcel().opened(), ["pictures"])["pictures"]
    assert found.stops and found.share == Fraction(15, 16)
    assert found.messages == [
        "Record 2, picture 4 is the same picture as record 1, picture 1: hand in 16 different ones."
    ]
    assert not verdict_on(it).passed


def test_a_picture_twice_in_its_record_only_costs_points():
    it = another()
    it.records[1]["image_paths"][3] = it.records[1]["image_paths"][0]
    found = examine(it.parcel().opened(), ["pictures"])["pictures"]
    assert not found.stops and found.share == Fraction(15, 16)


def test_exchanged_descriptions_stop_a_pass():
    it = another()
    exchange(it, ["original_description"])
    found = examine(it.parcel().opened(), ["descriptions"])["descriptions"]
    assert found.stops and found.share == Fraction(1, 2)
    assert "record 1 fits the source picture of record 2 better" in found.messages[0]


def test_a_wrong_description_that_is_nobodys_only_costs_points():
    it = another()
    it.records[0]["original_description"] = "A large green fish, in the desert."
    found = examine(it.parcel().opened(), ["descriptions"])["descriptions"]
    assert not found.stops and found.share == Fraction(3, 4)


@pytest.mark.parametrize("name", list(CRITERIA))
def test_a_pass_takes_two_thirds_of_each_criterion(name, monkeypatch):
    def judged(share):
        findings = dict.fromkeys(CRITERIA, Finding(Fraction(1))) | {name: Finding(share)}
        monkeypatch.setattr("helpers.assessment.verdict.examine", lambda *args: findings)
        return judge(another().parcel().opened())

    assert judged(Fraction(3, 4)).passed and not judged(Fraction(1, 2)).passed
    verdict = judged(Fraction(5, 8))
    assert not verdict.passed and verdict.score >= 70
    assert f"most of each criterion's points: {name} has" in verdict.messages[-1]


# -- points


def test_three_perfect_records_have_75_points():
    it = another()
    del it.records[3]
    verdict = verdict_on(it)
    assert verdict.score == 75 and verdict.passed


def test_what_is_missing_does_not_cost_the_points_for_the_rest():
    prompts, picture = NOTEBOOK["prompts"], NOTEBOOK["pictures"]
    three, of_three = Fraction(12, 16), Fraction(11, 16)
    assert picture.reached(Finding(three, handed_in=three)) and not picture.reached(Finding(of_three, handed_in=three))
    assert not picture.reached(Finding(three)) and not prompts.reached(Finding(three))
    assert not picture.reached(Finding(Fraction(1, 2), handed_in=Fraction(1, 2)))


def test_the_parts_add_up_whatever_is_lost():
    assert sum(weight.points for weight in RUNNER.values()) == sum(weight.points for weight in NOTEBOOK.values()) == 100
    for name, weight in RUNNER.items():
        for parts in range(17) if name != "shape" else range(0, 17, 4):
            won = Fraction(parts, 16) * weight.points
            assert won * 100 == int(won * 100)
    it = another()
    it.records.append(it.records[0])
    del it.files[it.records[0]["image_paths"][0]]
    verdict = verdict_on(it)
    assert verdict.score == float(sum(Fraction(str(each)) for each in points(verdict).values()))


def test_all_points_in_the_notebook_mean_a_pass():
    least = sum(weight.needed * RUNNER[name].points for name, weight in NOTEBOOK.items())
    assert least >= PASS * 100
    assert all(NOTEBOOK[name].needed >= weight.needed for name, weight in RUNNER.items())


def test_the_notebooks_weights_are_those_of_its_cases():
    assert [case.share for case in nb07.handed_in.cases] == [weight.points for weight in NOTEBOOK.values()]


# -- 4: provenance


def one_false_seed(it, steps=4, guidance_scale=1.0):
    for i, record in enumerate(it.records):
        for k, prompt in enumerate(record["prompts"]):
            image = painted(prompt, 55) if k == 1 else None
            it.paint(i, k, prompt, seed=k, image=image, steps=steps, guidance_scale=guidance_scale)


def test_one_false_seed_in_each_record_costs_all_that_is_drawn_again():
    it = another()
    one_false_seed(it)
    found = examine(it.parcel().opened(), ["provenance"])["provenance"]
    assert found.share == provenance.ON_PAPER
    assert found.messages == [
        "Record 1, picture 2; record 2, picture 2; record 3, picture 2; record 4, picture 2 can't be reproduced from their "
        "prompts, seeds, steps and guidance. Hand in pictures as the model drew them, each with its own generator."
    ]
    assert not verdict_on(it).passed


@pytest.mark.parametrize(("steps", "scale", "drawn"), [(4, 1.0, 16), (25, 4.0, 12)])
def test_cheap_pictures_are_all_drawn_again_and_of_others_some(monkeypatch, steps, scale, drawn):
    batches = []
    monkeypatch.setattr(redraw, "redraw", lambda wanted: batches.append(len(wanted)) or redrawn(wanted))
    it = another()
    for i, record in enumerate(it.records):
        for k, prompt in enumerate(record["prompts"]):
            it.paint(i, k, prompt, seed=k, steps=steps, guidance_scale=scale)
    assert verdict_on(it).score == 100
    assert batches == [drawn]


def test_the_seed_chooses_in_the_notebook_and_nobody_knows_in_the_runner():
    drawings = [provenance.Drawing(k, papers(Image.new("RGB", (9, 9)), "a cat", k)) for k in range(4)]
    chosen = {tuple(d.picture for d in provenance.sample(drawings, Random(seed))) for seed in range(40)}
    assert len({frozenset(each) for each in chosen}) == 4 and {len(each) for each in chosen} == {provenance.OTHERS}
    assert provenance.sample(drawings, Random(5)) == provenance.sample(drawings, Random(5))


def test_one_true_picture_in_each_record_is_not_enough():
    it = another()
    for record in it.records:
        for said in record["provenance"][1:]:
            said["sha256"] = "0" * 64
    assert points(verdict_on(it))["provenance"] == 5


def test_what_the_pngs_say_is_enough():
    it = another()
    for record in it.records:
        del record["provenance"]
    assert verdict_on(it).score == 100


def test_where_both_speak_they_agree_and_the_record_alone_does_not_count():
    it = another()
    it.records[0]["provenance"][0]["seed"] += 1
    path = it.records[1]["image_paths"][0]
    plain = Image.open(io.BytesIO(it.files[path])).convert("RGB")
    plain.info.clear()
    it.files[path] = png(plain)
    verdict = verdict_on(it)
    assert points(verdict)["provenance"] == 17.5
    told = " ".join(verdict.messages)
    assert "Record 1, picture 1 has one provenance in the PNG and another in the record" in told
    assert "Record 2, picture 1 has its provenance in the record only" in told


# -- 5: no source pictures


def early():
    it = another()
    for record in it.records:
        del record["provenance"]
        it.files.pop(record.pop("source_image"))
    return it


def test_a_submission_of_the_old_three_fields_can_pass():
    it = early()
    it.records.reverse()
    verdict = verdict_on(it)
    assert (verdict.passed, verdict.score, verdict.messages) == (True, 100, [])


def test_a_record_without_source_is_judged_by_the_original_that_it_fits():
    it = early()
    it.records[3]["original_description"] = "A large green fish, in the desert."
    verdict = verdict_on(it)
    assert points(verdict)["descriptions"] == 15
    assert "The description of record 4 does not fit any of the course's four originals" in verdict.messages[0]


def test_each_original_is_taken_once():
    it = another()
    del it.records[2]["source_image"]
    it.records[3]["original_description"] = it.records[2]["original_description"]
    assert verdict_on(it).score < 100
    it = early()
    for key in ("original_description", "prompts", "image_paths"):
        it.records[1][key] = it.records[0][key]
    assert not verdict_on(it).passed


# -- 6, 7: messages


def test_equal_messages_are_one_with_a_list():
    it = another()
    it.files = {path: content for path, content in it.files.items() if "generated" not in path}
    verdict = verdict_on(it)
    assert verdict.messages == ["All 16 pictures can't be opened: they are missing."]


@pytest.mark.parametrize(
    ("spots", "said"),
    [
        ([Spot(1, "picture", 2)], "Record 1, picture 2 is bad."),
        ([Spot(1, "picture", 2), Spot(1, "picture", 1)], "Record 1, pictures 1 and 2 are bad."),
        ([Spot(1, "picture", 2), Spot(4, "picture", 1)], "Record 1, picture 2; record 4, picture 1 are bad."),
        ([Spot(i, "prompt", k) for i in (1, 3) for k in (1, 2, 3, 4)], "All prompts of records 1 and 3 are bad."),
        ([Spot(i, "picture", k) for i in (1, 2, 3, 4) for k in (1, 2, 3, 4)], "All 16 pictures are bad."),
        ([Spot(2, "description")], "The description of record 2 is bad."),
        ([Spot(i, "description") for i in (1, 2, 3, 4)], "The descriptions of all 4 records are bad."),
        ([Spot(i) for i in (1, 2)], "Records 1 and 2 are bad."),
        ([None], "is bad."),
    ],
)
def test_a_sentence_names_what_it_holds_for(spots, said):
    assert Finding(Fraction(0), [Fault(spot, "is bad", "are bad") for spot in spots]).messages == [said]


def test_a_single_picture_is_named_with_its_path():
    it = another()
    del it.files["generated_images/0_1.png"]
    (message,) = verdict_on(it).messages
    assert message == "Record 1, picture 2 ('generated_images/0_1.png') can't be opened: it is missing."


def test_nothing_at_all_gets_a_verdict():
    verdict = judge(OpenedSubmission.from_files([], {}, {}))
    assert verdict.score == 0 and verdict.messages == ["The submission has 0 records instead of 4."]
    record = Record(original_description=" ", prompts=["a cat"], image_paths=["../a.png"])
    assert judge(OpenedSubmission.from_files([record], {}, {})).messages


# -- the notebook's hand-in


@pytest.fixture
def folder(tmp_path):
    def write(it):
        import json

        for path, content in it.files.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(content)
        (tmp_path / "generated_images").mkdir(exist_ok=True)
        (tmp_path / "generated_images/all_metadata.json").write_text(json.dumps(it.records), encoding="utf-8")
        return tmp_path

    return write


def test_the_hand_in_is_judged_by_the_same_criteria(folder):
    assert nb07.handed_in.run(str(folder(another()) / "generated_images"), seed=5).share == 1


def test_a_fault_costs_the_points_of_its_criterion(folder):
    it = another()
    it.records[0]["prompts"][1] = f"{it.records[0]['prompts'][0]} zorp"
    report = nb07.handed_in.run(str(folder(it) / "generated_images"), seed=0)
    prompts, origin = (outcome.message for outcome in report.failed)
    assert "same picture as prompt 1" in prompts
    assert origin.startswith("Record 1, picture 2 was not drawn from prompt 2")
    assert report.share == pytest.approx(1 - 0.20 - 0.12)


def test_a_folder_opens_only_what_is_inside(folder, tmp_path):
    it = another()
    (tmp_path.parent / "secret.png").write_bytes(png(Image.new("RGB", (64, 64))))
    it.records[0]["image_paths"][0] = "../secret.png"
    pictures = OpenedSubmission.from_folder(folder(it)).pictures
    assert pictures[0][0].problem == "its path leads out of the submission's folder" and pictures[0][1].image
