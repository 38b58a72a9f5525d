"""The judge: a good submission wins all points; each fault loses its own points and gets its own sentence."""

import base64
import io
import json
import re
import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from handins import CHECKPOINT, another, painted, png, redrawn
from PIL import Image

from course.assess.parcel import receive
from course.assess.runner import judge_parcel as judge
from course.talk.prompts import variations
from helpers import clip, redraw
from helpers.assessment import WEIGHTS, provenance_criteria
from helpers.assessment.clip_fit import fits
from helpers.assessment.description_criteria import doubtful_details
from helpers.assessment.text_criteria import wrong_details
from helpers.originals import SCENES
from helpers.picturebook import draw
from helpers.picturebook.words import plain_caption
from helpers.settings import settings
from helpers.submission import Submission, pack, pixels_sha256, read_metadata

FULL = {name: weight.points for name, weight in WEIGHTS["runner"].items()}
ANY = object()


@pytest.fixture(scope="module", autouse=True)
def cheap():
    """CLIP embeds each text and picture once; "the model" is the world's own drawing."""
    memory = {}

    def remembering(embed, key):
        def embed_new(ones):
            keys = [key(one) for one in ones]
            new = {k: one for k, one in zip(keys, ones, strict=True) if k not in memory}
            if new:
                memory.update(zip(new, embed(list(new.values())), strict=True))
            return np.stack([memory[k] for k in keys])

        return embed_new

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "embed_texts", remembering(clip.embed_texts, str))
        patch.setattr(clip, "embed_images", remembering(clip.embed_images, pixels_sha256))
        patch.setattr(redraw, "redraw", redrawn)
        patch.setattr(provenance_criteria, "checkpoint_here", lambda: CHECKPOINT)
        yield


def test_a_good_submission_passes_with_all_points():
    verdict = judge(another().parcel())
    assert verdict.messages == []
    assert verdict.passed and verdict.score == 100
    assert {score.criterion: score.points for score in verdict.criteria} == FULL
    assert {score.advice for score in verdict.criteria} == {"Nothing to improve."}


def sixteenth(points, lost=1):
    """What is left of a criterion's points when so many of the sixteen are lost."""
    return points * (16 - lost) / 16


BAD = {}


def bad(message, **lost):
    """Registers a change that spoils a good submission: the sentence it must get, the points it must leave."""

    def register(spoil):
        BAD[spoil.__name__] = (spoil, message, lost)
        return spoil

    return register


# -- shape


@bad("has 3 records instead of 4", shape=9, descriptions=15, prompts=12, pictures=12, fit=12, provenance=15)
def three_records(it):
    del it.records[3]


@bad("has 5 records instead of 4", shape=9.6)
def five_records(it):
    it.records.append(it.records[0])


@bad("has 0 records", shape=0, descriptions=0, prompts=0, pictures=0, fit=0, provenance=0)
def no_records(it):
    it.records.clear()


@bad(
    "Record 2 has 3 prompts instead of 4",
    shape=9,
    prompts=sixteenth(16),
    fit=sixteenth(16),
    provenance=sixteenth(20),
)
def a_prompt_is_missing(it):
    it.records[1]["prompts"].pop()


@bad("Record 3 has 5 pictures instead of 4", shape=9)
def a_picture_too_many(it):
    it.records[2]["image_paths"].append("generated_images/more.png")


# -- descriptions


@bad("The description of record 1 does not fit the source picture", descriptions=15, prompts=12)
def describes_another_picture(it):
    it.records[0]["original_description"] = "A large green fish swims in the desert."


@bad("description of record 2 fits the source picture of record 3 better than its own", descriptions=10, prompts=8)
def descriptions_of_each_others_pictures(it):
    first, second = it.records[1], it.records[2]
    first["original_description"], second["original_description"] = (
        second["original_description"],
        first["original_description"],
    )


@bad("the car looks red rather than blue", descriptions=17.5)
def describes_another_colour(it):
    it.records[2]["original_description"] = "The picture shows a large blue car, on a road at sunset."


@bad("looks like 'mars' rather than 'room'", descriptions=17.5)
def describes_another_place(it):
    it.records[1]["original_description"] = "A large white astronaut, in a room."


@bad("does not fit the source picture in every detail: it does not name the cat", descriptions=17.5)
def describes_one_thing_twice(it):
    it.records[0]["original_description"] = "The picture shows a large blue sofa on a large blue sofa, in a room."


@bad("the number of cats is 2 rather than 1", descriptions=17.5)
def counts_wrong(it):
    it.records[0]["original_description"] = "The picture shows a small orange cat on a large blue sofa, in a room."


@bad("The description of record 4 is empty", descriptions=15, prompts=12)
def describes_nothing(it):
    it.records[3]["original_description"] = " "


@bad("The source picture of record 2 .* can't be opened: it is missing", descriptions=15)
def source_is_missing(it):
    del it.files[it.records[1]["source_image"]]


@bad("The source picture of record 3 is the same as that of record 2", descriptions=15)
def describes_one_picture_twice(it):
    it.files[it.records[2]["source_image"]] = it.files[it.records[1]["source_image"]]


# -- prompts


@bad(
    "Record 2, prompts 2, 3 and 4 ask for the same picture as prompt 1",
    prompts=sixteenth(16, 3),
    fit=ANY,
    provenance=ANY,
)
def pads_prompts(it):
    first = it.records[1]["prompts"][0]
    it.records[1]["prompts"] = [first, *(f"{first}, variation {n}" for n in (2, 3, 4))]


@bad(
    "Record 2, prompts 2, 3 and 4 ask for the same picture as prompt 1",
    prompts=sixteenth(16, 3),
    fit=ANY,
    provenance=ANY,
)
def rewords_prompts_by_a_digit(it):
    first = it.records[1]["prompts"][0]
    it.records[1]["prompts"] = [f"{n}. {first}" for n in (1, 2, 3, 4)]


@bad("Record 3, prompt 2 asks for the same picture", prompts=sixteenth(16), fit=ANY, provenance=ANY)
def says_the_same_in_other_words(it):
    it.records[2]["prompts"][:2] = ["a large red car, at sea", "a drawing of a big red car by the sea"]


@bad("All prompts of record 1 are about something other .* .cat, sofa.", prompts=12, fit=ANY)
def prompts_off_the_subject(it):
    for k, prompt in enumerate(variations(SCENES["car_at_sunset.png"], 4, Random(9))):
        it.records[0]["prompts"][k] = prompt
        it.paint(0, k, prompt, seed=50 + k)


@bad("Record 4, prompt 3 names nothing that could be painted", prompts=sixteenth(16), fit=ANY, provenance=ANY)
def an_empty_prompt(it):
    it.records[3]["prompts"][2] = "12 !!"


# -- pictures


ONE_PICTURE = {"pictures": sixteenth(16), "fit": sixteenth(16), "provenance": sixteenth(20)}


@bad("Record 1, picture 2 .*: it is missing", **ONE_PICTURE)
def a_picture_is_missing(it):
    del it.files[it.records[0]["image_paths"][1]]


@bad("Record 1, picture 3 .*: the file is not a picture in one of the formats PNG, JPEG, WEBP", **ONE_PICTURE)
def a_picture_is_a_text_file(it):
    it.files[it.records[0]["image_paths"][2]] = b"<svg/>"


@bad("Record 1, picture 3 .*: the file is damaged", **ONE_PICTURE)
def a_picture_is_cut_off(it):
    path = it.records[0]["image_paths"][2]
    it.files[path] = it.files[path][:-600]


def unfolding(side):
    """A PNG of a few hundred bytes that says it has side × side pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@bad("Record 1, picture 3 .*: it has more than 4,200,000 pixels", **ONE_PICTURE)
def a_small_file_that_unfolds(it):
    it.files[it.records[0]["image_paths"][2]] = unfolding(3_000)


@bad("Record 1, picture 3 .*: it has more than 4,200,000 pixels", **ONE_PICTURE)
def a_small_file_that_unfolds_to_gigabytes(it):
    it.files[it.records[0]["image_paths"][2]] = unfolding(30_000)


@bad("Record 1, picture 3 .*: it has 8×8 pixels, too few", **ONE_PICTURE)
def a_picture_of_a_few_pixels(it):
    it.files[it.records[0]["image_paths"][2]] = png(Image.new("RGB", (8, 8)))


@bad(
    "Record 2, pictures 2, 3 and 4 are the same picture as record 2, picture 1",
    pictures=sixteenth(16, 3),
    fit=ANY,
    provenance=sixteenth(20, 3),
)
def one_picture_four_times(it):
    it.records[1]["image_paths"] = it.records[1]["image_paths"][:1] * 4


@bad(
    "Record 2, picture 4 is the same picture as record 2, picture 1",
    pictures=sixteenth(16),
    fit=ANY,
    provenance=sixteenth(20),
)
def a_picture_again_as_jpeg(it):
    paths, file = it.records[1]["image_paths"], io.BytesIO()
    with Image.open(io.BytesIO(it.files[paths[0]])) as image:
        image.resize((200, 200)).save(file, "JPEG", quality=70)
    it.files[paths[3]] = file.getvalue()


@bad(
    "Record 2, picture 1 is the same picture as the source picture of record 2",
    pictures=sixteenth(16),
    fit=ANY,
    provenance=sixteenth(20),
)
def the_source_picture_as_a_new_one(it):
    it.files[it.records[1]["image_paths"][0]] = it.files[it.records[1]["source_image"]]


# -- fit


@bad("Record 3, picture 4 shows what the prompts of record 4 ask for", fit=sixteenth(16), provenance=ANY)
def a_picture_of_something_else(it):
    scene = replace(SCENES["tree_frog.png"], place="desert", style="neon", layout=3)
    it.paint(2, 3, it.records[2]["prompts"][3], seed=3, image=draw(scene, size=128))


@bad("All pictures of record 3 do not show what their prompts ask for", fit=12, provenance=17)
def pictures_of_noise(it):
    rng = np.random.default_rng(0)
    for k, prompt in enumerate(it.records[2]["prompts"]):
        noise = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((128, 128))
        it.paint(2, k, prompt, seed=k, image=noise)


# -- provenance


@bad("Record 1, picture 1 has one provenance in the PNG and another in the record", provenance=sixteenth(20))
def a_made_up_hash(it):
    it.records[0]["provenance"][0]["sha256"] = "0" * 64


@bad("Record 1, picture 1 has one provenance in the PNG and another in the record", provenance=sixteenth(20))
def a_seed_that_the_png_does_not_have(it):
    it.records[0]["provenance"][0]["seed"] += 1


@bad("Record 2, picture 3 was changed after it was drawn", provenance=sixteenth(20), fit=ANY, pictures=ANY)
def a_retouched_picture(it):
    path = it.records[1]["image_paths"][2]
    with Image.open(io.BytesIO(it.files[path])) as image:
        said = image.info
        retouched = image.convert("RGB")
    retouched.putpixel((0, 0), (1, 2, 3))
    retouched.info = said
    it.files[path] = png(retouched)


@bad("Record 2, picture 3 has its provenance in the record only", provenance=sixteenth(20))
def a_png_without_provenance(it):
    path = it.records[1]["image_paths"][2]
    with Image.open(io.BytesIO(it.files[path])) as image:
        image.info.clear()
        it.files[path] = png(image.convert("RGB"))


@bad("Record 2, picture 3 does not say how it was drawn", provenance=sixteenth(20))
def no_provenance_of_one(it):
    a_png_without_provenance(it)
    it.records[1]["provenance"][2] = None


@bad("Record 4, pictures .* were drawn by diffusion .sha256:old., but the model here is", provenance=17)
def drawn_by_another_model(it):
    for k, prompt in enumerate(it.records[3]["prompts"]):
        it.paint(3, k, prompt, seed=k, revision="sha256:old")


@bad("Record 4, pictures .* can't be reproduced from their prompts, seeds, steps", provenance=17)
def made_up_provenance(it):
    for k, prompt in enumerate(it.records[3]["prompts"]):
        it.paint(3, k, prompt, seed=100 + k, image=painted(prompt, 200 + k))


@pytest.mark.parametrize("name", BAD)
def test_a_fault_loses_its_points_and_gets_its_sentence(name):
    spoil, message, lost = BAD[name]
    hand_in = another()
    spoil(hand_in)
    verdict = judge(hand_in.parcel())
    told = "\n".join(verdict.messages)
    assert re.search(message, told), told
    left = {score.criterion: score.points for score in verdict.criteria}
    wanted = {name: left[name] if lost.get(name) is ANY else lost.get(name, FULL[name]) for name in FULL}
    assert left == wanted, told
    assert verdict.score == pytest.approx(sum(left.values())) and verdict.score < 100
    for score in verdict.criteria:
        assert (score.advice == "Nothing to improve.") == (score.points == score.of)


def test_there_are_enough_faults():
    assert len(BAD) >= 25


def test_made_up_provenance_fails_whatever_the_rest():
    made_up = another()
    for i, record in enumerate(made_up.records):
        for k, prompt in enumerate(record["prompts"]):
            made_up.paint(i, k, prompt, seed=k, image=painted(prompt, 300 + k))
    verdict = judge(made_up.parcel())
    assert {s.criterion: s.points for s in verdict.criteria} == {**FULL, "provenance": 8}
    assert not verdict.passed


@pytest.mark.parametrize("way", ["zip", "images"])
def test_an_early_submission_passes_where_its_pictures_tell_how_they_were_drawn(way, tmp_path):
    """One of the three fields that records had at first, as the early notebook wrote it, and as a client sends it."""
    it = another()
    for record in it.records:
        it.files.pop(record.pop("source_image"))
        del record["provenance"]
    assert all(set(record) == {"original_description", "prompts", "image_paths"} for record in it.records)
    for path, content in it.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "all_metadata.json").write_text(json.dumps(it.records))
    body = pack(read_metadata(tmp_path / "all_metadata.json"), tmp_path)
    if way == "images":
        images = {path: base64.b64encode(content).decode() for path, content in it.files.items()}
        body = {"submission": it.records, "images": images}
    verdict = judge(receive(Submission.model_validate_json(json.dumps(body)), None))
    assert (verdict.passed, verdict.score, verdict.messages) == (True, 100, [])


def test_a_few_slips_still_pass():
    it = another()
    a_picture_is_missing(it)
    describes_another_colour(it)
    verdict = judge(it.parcel())
    assert verdict.passed and 70 <= verdict.score < 100


def test_nothing_is_drawn_again_where_there_is_another_model(monkeypatch):
    monkeypatch.setattr(settings, "profile", "full")
    monkeypatch.setattr(redraw, "redraw", lambda wanted: pytest.fail("it drew"))
    it = another()
    made_up_provenance(it)
    assert provenance_criteria.provenance(it.parcel().opened(), Random(0)).share == 1
    a_made_up_hash(it)
    assert provenance_criteria.provenance(it.parcel().opened(), Random(0)).share == Fraction(15, 16)


def test_true_texts_fit_their_pictures_and_others_do_not():
    scenes = list(SCENES.values())
    images = [draw(scene, size=128) for scene in scenes]
    texts = [plain_caption(scene) for scene in scenes]
    assert fits(texts, images) == [True] * 4
    assert not any(fits([*texts[1:], texts[0]], images))


def test_what_a_description_says_wrong_of_a_known_picture():
    frog = SCENES["tree_frog.png"]
    assert wrong_details(f"The picture shows {plain_caption(frog)}.", frog) == []
    assert wrong_details("A red frog is sitting in a green tree.", frog) == []  # no caption, but it names both
    assert wrong_details("A small red tree on a large green tree, on a meadow.", frog) == [
        "it does not name the frog",
        "the number of trees is 1 rather than 2",
    ]
    assert wrong_details("A blue frog on a green tree, at night.", frog) == [
        "the frog looks red rather than blue",
        "the place looks like 'meadow' rather than 'night'",
    ]
    assert wrong_details("A red frog and a dog, a tree too.", frog) == ["there is no dog"]


def test_of_other_pictures_clip_tells_what_a_description_says_wrong():
    car = replace(SCENES["car_at_sunset.png"], place="snow", layout=3)
    image, caption = draw(car, size=128), plain_caption(car)
    assert doubtful_details(caption, image) == []
    assert doubtful_details(caption.replace("car", "horse"), image) == ["it looks like 'car' rather than 'horse'"]
