"""The dialogues that the talking models learn from: that what they teach is right, and that the scores judge rightly."""

import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from course.evaluate.talk import STRANGE, are_prompts, is_valid_json, question_form, read_scene, same_scene, same_thing
from course.talk.answers import full_answer
from course.talk.chatter import REFUSAL, STRANGE_REQUESTS, small_talk, strange_request
from course.talk.dialogues import ABOUT_A_PICTURE, WITHOUT_A_PICTURE, description, random_dialogue
from course.talk.follow_ups import follow_up
from course.talk.prompts import MOST_PROMPTS, numbered, variations
from course.talk.stories import HITCHES, WISHES, funny_story
from course.talk.wording import plain_caption, reworded
from helpers.picturebook import KINDS, PLACES, Scene, Thing, as_seen, parse, questions, random_scene

SCENES = [random_scene(random.Random(seed)) for seed in range(400)]
CAT = Scene((Thing("cat", "red"),), "meadow")
CAT_AND_HOUSE = Scene((Thing("cat", "red"), Thing("house", "blue")), "meadow", relation="left of")


def test_plain_captions_say_everything_in_the_same_words_each_time():
    for scene in SCENES:
        assert parse(plain_caption(scene)) == scene
    assert plain_caption(CAT_AND_HOUSE) == "a large red cat left of a large blue house, on a meadow"


def test_a_picture_is_told_in_its_own_order_whoever_was_named_first():
    the_other_way = Scene((Thing("house", "blue"), Thing("cat", "red")), "meadow", relation="right of")
    assert as_seen(the_other_way) == as_seen(CAT_AND_HOUSE) == CAT_AND_HOUSE
    assert description(the_other_way) == description(CAT_AND_HOUSE)
    large_below = Scene((Thing("cat", "red", "small"), Thing("house", "blue")), "meadow", relation="below")
    assert as_seen(large_below) == large_below  # no words for a large house above something
    for scene in SCENES:
        assert as_seen(as_seen(scene)) == as_seen(scene)


def test_every_question_of_the_world_has_a_full_answer():
    for seed, scene in enumerate(SCENES):
        for question, answer in questions(scene, random.Random(seed)):
            told = full_answer(question, answer)
            assert told[0].isupper() and told.endswith(".") and "_" not in told
            if answer in ("yes", "no"):
                assert told.startswith(answer.capitalize())
            elif not answer.isdigit() and answer not in (*PLACES, "flat", "pencil sketch", "neon"):
                assert answer in told.lower()


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        ("What colour are the flowers?", "pink", "The flowers are pink."),
        ("How many fish are there?", "2", "There are two fish."),
        ("How many boxes are there?", "1", "There is one box."),
        ("Is there an astronaut in the picture?", "no", "No, there is no astronaut."),
        ("Where is this?", "road at sunset", "It is on a road at sunset."),
        ("Are the dogs left of the box?", "no", "No, the dogs are not left of the box."),
        ("What is on the sofa?", "inkblot", "An inkblot is on the sofa."),
    ],
)
def test_full_answers(question, answer, told):
    assert full_answer(question, answer) == told


def test_a_question_from_elsewhere_has_no_full_answer():
    with pytest.raises(ValueError, match="no question of the picture-book world"):
        full_answer("What is the capital of France?", "Paris")


def test_rewording_keeps_what_is_asked_about():
    changed = 0
    for seed, scene in enumerate(SCENES):
        rng = random.Random(seed)
        for question, _ in questions(scene, rng):
            other = reworded(question, rng)
            changed += other != question
            named = {word.strip("?.,:") for word in question.split()} & {*KINDS}
            assert named <= {word.strip("?.,:") for word in other.split()}
            assert other[0].isupper() and "\\" not in other
    assert changed > len(SCENES)


def test_every_task_gives_dialogues_that_end_with_the_assistant():
    for scene in SCENES[:60]:
        rng = random.Random(scene.layout)
        for tasks, shown in ((ABOUT_A_PICTURE, scene), (WITHOUT_A_PICTURE, None)):
            for task in tasks:
                dialogue = random_dialogue(rng, shown, task=task)
                assert dialogue.turns and all(said and answer for said, answer in dialogue.turns)
                assert not any("{" in said for said, _ in dialogue.turns)


def test_descriptions_and_json_replies_are_what_the_scores_ask_for():
    for scene in SCENES[:100]:
        assert same_thing(description(scene), scene) and same_scene(description(scene), scene)
        (_, reply), *_ = random_dialogue(random.Random(1), scene, task="json").turns
        assert is_valid_json(reply) and json.loads(reply)["description"] == description(scene)


def test_prompts_are_distinct_and_about_the_same_things():
    for seed, scene in enumerate(SCENES):
        for n in range(1, MOST_PROMPTS + 1):
            assert are_prompts(numbered(variations(scene, n, random.Random(seed))), n, scene)


def test_the_score_of_prompts_refuses_padding_repeats_and_other_subjects():
    lines = variations(CAT, 4, random.Random(0))
    assert not are_prompts(numbered(lines[:3]), 4, CAT)
    assert not are_prompts(numbered([*lines[:3], lines[0]]), 4, CAT)
    assert not are_prompts(numbered([*lines[:3], lines[0] + " (variation 2)"]), 4, CAT)
    assert not are_prompts(numbered([*lines[:3], "a large blue dog, on mars"]), 4, CAT)
    assert not are_prompts("\n".join(lines), 4, CAT)
    assert not are_prompts("Here you are:\n" + numbered(lines), 4, CAT)


def test_the_score_of_json_refuses_what_is_not_just_the_object():
    good = {"description": "The picture shows a cat.", "funny_story": "It sneezed."}
    assert is_valid_json(json.dumps(good))
    for bad in (
        "Here: " + json.dumps(good),
        json.dumps(good)[:-1],
        json.dumps({"description": "x"}),
        json.dumps(good | {"mood": "fine"}),
        json.dumps(good | {"funny_story": 3}),
        json.dumps(good | {"funny_story": ""}),
        json.dumps([good]),
    ):
        assert not is_valid_json(bad)


def test_the_score_of_descriptions_refuses_the_wrong_thing_colour_place_and_relation():
    assert not same_thing(description(CAT), replace(CAT, place="mars"))
    assert not same_thing(description(CAT), Scene((Thing("dog", "red"),), "meadow"))
    assert not same_thing(description(CAT), Scene((Thing("cat", "blue"),), "meadow"))
    assert not same_scene(description(CAT_AND_HOUSE), replace(CAT_AND_HOUSE, relation="right of"))
    assert same_scene("a large blue house right of a large red cat, on a meadow", CAT_AND_HOUSE)
    assert read_scene("a nice picture") is None


def test_no_wording_of_a_question_tells_that_the_thing_is_not_there():
    asked, absent = Counter(), Counter()
    for seed, scene in enumerate(SCENES * 5):
        for said, answer in random_dialogue(random.Random(seed), scene, task="answer").turns:
            for wording in ("what colour is the", "what color is the"):
                if said.lower().startswith(wording):
                    asked[wording] += 1
                    absent[wording] += answer.startswith("There is no")
    assert all(0 < absent[wording] < 0.3 * asked[wording] for wording in asked) and len(asked) == 2


def test_follow_ups_need_what_was_said_before():
    seen = 0
    for seed, scene in enumerate(SCENES):
        pair = follow_up(scene, random.Random(seed))
        if pair is None:
            continue
        (first, _), (second, answer) = pair
        seen += 1
        assert not set(second.strip("?").split()) & set(KINDS)
        about = [thing for thing in scene.things if answer in (thing.colour, thing.size, str(thing.count))]
        assert about and (first, pair[0][1])
    assert seen > 200


def test_stories_name_their_hero_and_where_it_happens():
    assert set(WISHES) == set(KINDS) and set(HITCHES) == set(PLACES)
    for seed, scene in enumerate(SCENES):
        story = funny_story(scene, random.Random(seed))
        assert scene.things[0].colour in story and scene.things[0].kind in story.replace("boxes", "box")
        assert story.count(".") == 3 and "{" not in story


def test_what_lies_outside_the_world_is_refused_and_small_talk_is_not():
    asked = [random_dialogue(random.Random(i), None, task="refuse").turns[-1] for i in range(200)]
    assert {answer for _, answer in asked} == {REFUSAL}
    assert len({strange_request(random.Random(i)) for i in range(300)}) > 200
    assert REFUSAL not in {small_talk(random.Random(i))[1] for i in range(300)}


def test_the_score_of_refusals_asks_what_the_training_does_not():
    assert not {request.lower() for request in STRANGE} & {request.lower() for request in STRANGE_REQUESTS}


def test_a_question_s_form_hides_the_things():
    assert question_form("What is left of the frog?") == "What is left of the _"
    assert question_form("How many boxes are there?") == "How many _ are there?"
