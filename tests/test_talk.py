"""The dialogues that the talking models learn from: that what they teach is right, and that the scores judge rightly."""

import json
import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from course.evaluate.requests import NATIVE_REWRITE, OLD_JSON, STRANGE, UNFAMILIAR
from course.evaluate.talk import (
    are_prompts,
    count_questions,
    is_right_json,
    is_valid_json,
    question_form,
    read_scene,
    same_scene,
    same_thing,
)
from course.evaluate.tool_talk import REQUESTS, tool_trials
from course.talk.answers import full_answer
from course.talk.asking import FORMS, ask
from course.talk.chatter import REFUSAL, small_talk, strange_request
from course.talk.dialogues import ABOUT_A_PICTURE, WITHOUT_A_PICTURE, as_json, description, random_dialogue
from course.talk.follow_ups import follow_up
from course.talk.messages import Call, read_calls
from course.talk.offers import Rating
from course.talk.prompts import MAX_PROMPTS, numbered, variations
from course.talk.requests import describe_request, json_request
from course.talk.stories import HITCHES, WISHES, funny_story
from course.talk.strange import ADJECTIVES, COMPOSED, FILLERS, NOUNS, STRANGE_REQUESTS, VERBS
from course.talk.tools import LOW, accepted, given_up, is_low, tries
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
    with pytest.raises(ValueError, match="not a question of the picture-book world"):
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
                assert dialogue.messages[-1].role == "assistant" and dialogue.messages[-1].text
                assert dialogue.turns and all(said and answer for said, answer in dialogue.turns)
                asked = [message.text for message in dialogue.messages if message.role == "user"]
                assert not any(re.search(r"\{\w*\}|\0", text) for text in (*asked, dialogue.system))
                assert sum(len(message.written) for message in dialogue.messages) < 1400


def test_descriptions_and_json_replies_are_what_the_scores_ask_for():
    for scene in SCENES[:100]:
        assert same_thing(description(scene), scene) and same_scene(description(scene), scene)
        (_, reply), *_ = random_dialogue(random.Random(1), scene, task="json").turns
        assert is_valid_json(reply) and json.loads(reply)["description"] == description(scene)


def test_prompts_are_distinct_and_about_the_same_things():
    for seed, scene in enumerate(SCENES):
        for n in range(1, MAX_PROMPTS + 1):
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
    for i in range(200):
        dialogue = random_dialogue(random.Random(i), None, task="refuse")
        assert REFUSAL in [answer for _, answer in dialogue.turns]
    assert len({strange_request(random.Random(i)) for i in range(300)}) > 250
    assert REFUSAL not in {small_talk(random.Random(i))[1] for i in range(300)}


def said_in_training(n=3000):
    """What users say in so many dialogues, in small letters and without a last sign."""
    said = set()
    for i in range(n):
        dialogue = random_dialogue(random.Random(i), SCENES[i % 400] if i % 2 else None)
        said |= {message.text for message in dialogue.messages if message.role == "user"}
    said |= {describe_request(random.Random(i)) for i in range(n)} | {json_request(random.Random(i)) for i in range(n)}
    return {text.lower().rstrip("?.!:") for text in said}


def test_the_scores_ask_what_the_training_does_not():
    said = said_in_training()
    for request in (*STRANGE, *UNFAMILIAR, *OLD_JSON[1:]):
        assert request.lower().rstrip("?.!:") not in said, request
    for form, _, _ in REQUESTS:
        assert not [
            text for text in said if text.endswith(form.split("{x}")[1].lower().rstrip(".")) and "accept" in text
        ]
    assert len(STRANGE) >= 60 and len(OLD_JSON) == 4
    assert OLD_JSON[0].startswith("Please analyze the following image and respond ONLY") and "…" in OLD_JSON[0]


def test_no_form_of_a_strange_request_gives_one_that_is_scored():
    options = {name: "|".join(map(re.escape, words)) for name, words in FILLERS.items()}
    options |= {"noun": "|".join(NOUNS), "other": "|".join(NOUNS), "verb": "|".join(VERBS), "a": r"\d+", "b": r"\d+"}
    options["adjective"] = "|".join(ADJECTIVES)
    for form in (*STRANGE_REQUESTS, *COMPOSED):
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?:{options[m[1]]})", re.escape(form))
        assert not [request for request in STRANGE if re.fullmatch(pattern, request, re.IGNORECASE)], form


def test_the_rewrite_request_of_old_names_neighbours_and_idea():
    request = NATIVE_REWRITE.format(examples=["a red cat", "a blue dog"], idea="a cat")
    assert "native-sounding rewrite" in request and request.endswith("a cat")
    seen = 0
    for i in range(300):
        dialogue = random_dialogue(random.Random(i), None, task="improve")
        ((_, reply),) = dialogue.turns
        assert parse(reply)
        seen += "native-sounding rewrite" in dialogue.turns[0][0] + dialogue.system
    assert seen > 60


def test_answers_fit_the_picture():
    """What is asked in the plain words of the world has the world's answer; counts are those of the scene."""
    for seed, scene in enumerate(SCENES * 4):
        rng = random.Random(seed)
        question, short, sentence = ask(scene, rng)
        known = dict(questions(scene, random.Random(1)))
        if question in known and short in (*known.values(), "0") and not question.startswith("Is there"):
            assert short == known[question], question
        if match := re.fullmatch(r"How many (?:(\w+) )?(\w+) are there\?", question):
            told = [
                t for t in scene.things if match[1] in (None, t.colour) and match[2] in (f"{t.kind}s", "fish", "boxes")
            ]
            if match[2] not in ("fish", "boxes"):
                assert short == str(sum(thing.count for thing in told))
        assert sentence[0].isupper() and sentence.endswith(".")
    assert len(FORMS) >= 9


def test_every_number_is_counted_and_what_is_absent_too():
    numbers = Counter()
    for seed, scene in enumerate(SCENES * 10):
        question, short, _ = ask(scene, random.Random(seed))
        if question.startswith("How many") and "things" not in question:
            numbers[short] += 1
    assert all(numbers[str(n)] > 15 for n in range(5))
    asked = count_questions(100, 0)
    assert {scene.total for scene, _, _ in asked} == {1, 2, 3, 4}
    assert sum("no " in answer for _, _, answer in asked) == 20


def test_both_of_two_things_are_asked_about_by_their_side():
    asked = {ask(CAT_AND_HOUSE, random.Random(seed)) for seed in range(3000)}
    told = {question: sentence for question, _, sentence in asked}
    assert told["What is on the left?"] == "A large red cat is on the left."
    assert told["What is on the right?"] == "A large blue house is on the right."
    assert told["What colour is the cat on the left?"] == "The cat on the left is red."
    assert told["Where is the house?"] == "The house is right of the cat."
    assert told["How many cats are there?"] == "There is one cat."
    assert told["Is the cat blue?"] == "No, the cat is red."
    assert told["Describe the cat."] == "It is a large red cat."


def test_json_of_another_picture_is_not_right():
    reply = as_json(CAT, random.Random(0))
    assert is_right_json(reply, CAT) and not is_right_json(reply, replace(CAT, place="mars"))


# -- tools


def test_the_rule_when_to_draw_again():
    assert is_low(0.24) and not is_low(0.25) and LOW == 0.25
    assert is_low(0.69, 0.7) and not is_low(0.7, 0.7)
    assert [tries(n) for n in (None, 1, 2, 3, 4, 5, 6, 10)] == [3, 1, 1, 1, 2, 2, 3, 3]


def test_dialogues_with_tools_call_what_is_offered_and_follow_the_rule():
    ends = Counter()
    for seed in range(600):
        dialogue = random_dialogue(random.Random(seed), None, task="draw")
        offered = {tool.name: tool.parameters for tool in dialogue.tools}
        rated = drawn = 0
        for message in dialogue.messages:
            for call in message.calls:
                assert set(call.arguments) <= set(offered[call.name]) and all(call.arguments.values())
                assert read_calls(str(call)) == [call]
                drawn, rated = drawn + (len(call.arguments) == 1), rated + (len(call.arguments) == 2)
        assert rated <= drawn <= 4
        last = dialogue.messages[-1].text
        ends["accepted" if "is enough" in last else "given up" if "last try" in last else "other"] += 1
        score = re.search(r"([\d.]+\d) is (?:enough|too low)", last)
        if score:
            assert score[1] in dialogue.messages[-2].text
    assert ends["accepted"] > 250 and ends["given up"] > 20 and ends["other"] > 30


def test_plain_scores_are_judged_by_what_the_user_has_said():
    judged = 0
    for seed in range(1500):
        dialogue = random_dialogue(random.Random(seed), None, task="draw")
        asked = f"{dialogue.system} {dialogue.messages[0].text}"
        numbers = re.findall(r"\b[01]\.\d+", asked)
        threshold = float(numbers[0]) if numbers else None
        for result, answer in zip(dialogue.messages, dialogue.messages[1:], strict=False):
            if result.role == "tool" and (score := re.fullmatch(r'\{"score": ([\d.]+)\}', result.text)):
                low = bool(answer.calls) or "too low" in answer.text
                assert low == is_low(float(score[1]), threshold), (asked, result.text, answer)
                judged += 1
    assert judged > 150


def perfect(talks, tools):
    """Replies by the rule."""
    replies = []
    for talk in talks:
        request = talk[0].text
        form = next(form for form in REQUESTS if re.fullmatch(re.escape(form[0]).replace(r"\{x\}", "[^.;]+?"), request))
        before, after = form[0].split("{x}")
        wanted = request.removeprefix(before).removesuffix(after)
        pictures = [message.text.split('"')[3] for message in talk if "picture_id" in message.text]
        if talk[-1].role == "user":
            replies.append(str(Call("draw", {"prompt": wanted})))
        elif "picture_id" in talk[-1].text:
            replies.append(str(Call("rate", {"picture_id": pictures[-1], "text": wanted})))
        else:
            score = talk[-1].text.split(": ")[1].strip("}")
            if not is_low(float(score), form[1]):
                replies.append(accepted(pictures[-1], Rating(score, False, form[1])))
            elif len(pictures) == tries(form[2]):
                replies.append(given_up(pictures[-1], Rating(score, True, form[1])))
            else:
                replies.append(str(Call("draw", {"prompt": f"a picture of {wanted}"})))
    return replies


def test_the_score_of_tool_calls_takes_right_dialogues_alone():
    scenes = [replace(scene, style="flat") for scene in SCENES[:60]]
    assert all(tool_trials(scenes, perfect, (1,)))

    def spoilt(change):
        return tool_trials(scenes, lambda talks, tools: [change(reply) for reply in perfect(talks, tools)], (1,))

    assert not any(spoilt(lambda reply: reply.replace('"rate"', '"judge"')))
    assert not any(spoilt(lambda reply: reply.replace('"p1"', '"p9"')))
    assert not any(spoilt(lambda reply: reply.replace("}}</tool_call>", "}</tool_call>")))
    assert not any(spoilt(lambda reply: reply.replace('{"prompt": "', '{"prompt": "a blue horse and ')))
    assert not all(spoilt(lambda reply: re.sub(r"0(\.\d+ is (enough|too))", r"9\1", reply)))
    assert not any(spoilt(lambda reply: "Picture p1 is drawn."))


def test_other_requests_need_no_tool_though_some_are_offered():
    offered = 0
    for seed in range(600):
        dialogue = random_dialogue(random.Random(seed), None, task="small_talk")
        offered += bool(dialogue.tools)
        assert not any(message.calls for message in dialogue.messages)
    assert 50 < offered < 150


def test_a_question_s_form_hides_the_things():
    assert question_form("What is left of the frog?") == "What is left of the _"
    assert question_form("How many boxes are there?") == "How many _ are there?"
