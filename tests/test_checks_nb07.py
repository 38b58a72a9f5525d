"""The checks of notebook 07: its fakes, the sentences that name a mistake, and the judging of a file."""

import json
from fractions import Fraction
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import requests
import torch
from diffusers import StableDiffusionPipeline
from langchain_core.messages import HumanMessage

from helpers import assessment
from helpers.assessment import Fault, Finding
from helpers.chat import chat_model
from helpers.checks import CheckFailed, fakes, nb07
from helpers.checks.answers import NotWritten
from helpers.checks.cases import Exercise
from helpers.checks.fakes import fake_rewriter, recorded_drawings, rewriting_script
from helpers.models import Adapter
from helpers.prompts import distinct, on_subject
from helpers.submission import (
    AdapterUsed,
    Provenance,
    attach,
    pack,
    pixels_sha256,
    read_metadata,
    save_with_provenance,
    write_metadata,
)

EXERCISES = [getattr(nb07, name) for name in nb07.__all__]


def failed(exercise: Exercise, answer, seed="visible") -> dict[str, str]:
    """The sentences of the cases that the answer fails, by name."""
    return {outcome.case.name: outcome.message for outcome in exercise.run(answer, seed).failed}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_the_core_is_worth_most_and_an_edge_little(exercise):
    core = [case.share for case in exercise.cases if case.core]
    assert 60 <= sum(core) <= 70 and min(core) >= 20
    assert sum(case.share for case in exercise.cases) == 100


def prompts_in(reply):
    lines = (line.partition(". ") for line in reply.splitlines())
    return [text for mark, _, text in lines if mark.isdigit()]


def rewrite(query, n=4, *, tries=6, warm=True, sift=distinct, end=ValueError):
    """A student's llm_rewrite_to_image_prompts, with a mistake where the arguments say so."""
    if n < 1:
        raise ValueError("n < 1")
    good = []
    for attempt in range(tries):
        chat = chat_model("text", temperature=0.5 * attempt if warm else 0.0)
        listed = prompts_in(chat.invoke(f"Write {n} distinct prompts about: {query}").text)
        good = sift([*good, *(prompt for prompt in listed if on_subject(prompt, query))])
        if len(good) >= n:
            return good[:n]
    raise end(f"{len(good)} of {n}")


# -- the chat model


def test_models_of_chat_model_answer_as_written_down_and_are_real_afterwards():
    with fakes.fake_chat(lambda heard: f"{heard.text}!") as heard:
        kept = chat_model("text", temperature=0.5)
        assert kept.invoke("one").text == "one!"
        assert "".join(piece.text for piece in chat_model("vision").stream([HumanMessage("two")])) == "two!"
        assert kept.invoke("three", temperature=1.0).text == "three!"
    assert [request.temperature for request in heard] == [0.5, 0.0, 1.0]
    with fakes.fake_chat(lambda heard: "again") as heard:
        assert kept.invoke("four").text == "again"  # a student may keep one
    assert len(heard) == 1
    assert "fake_chat" not in type(kept)._generate.__qualname__


def test_a_model_that_is_asked_the_same_at_temperature_0_says_the_same():
    with fake_rewriter(
        rewriting_script(Random(1), [1, 1])._replace(query="x", replies=["first", "second"], filler="no")
    ):
        cold, warm = chat_model("text"), chat_model("text", temperature=0.8)
        replies = [chat.invoke("x").text for chat in (cold, cold, warm, warm)]
        refusal = warm.invoke("something else").text
    assert replies == ["first", "first", "second", "no"]
    assert refusal == "I only know picture-book scenes."


@pytest.mark.parametrize("per_reply", [[4], [1, 3], [0, 2, 2]])
def test_scripts_hold_just_the_good_prompts_that_they_promise(per_reply):
    for seed in range(10):
        script = rewriting_script(Random(seed), per_reply)
        found = []
        for reply, count in zip([*script.replies, script.filler], [*per_reply, 0], strict=True):
            before = len(found)
            found = distinct([*found, *(p for p in prompts_in(reply) if on_subject(p, script.query))])
            assert len(found) == before + count
        assert found == script.good


def test_the_right_rewriting_passes(capsys):
    nb07.llm_rewrite_to_image_prompts(rewrite)
    assert "100 % of the points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"sift": list}, "only decorated differently"),
        ({"warm": False}, "same words each time with temperature 0"),
        ({"tries": 1}, "gave up after 1 request"),
        ({"tries": 100}, "forever"),
        ({"end": lambda text: ValueError("too few")}, "how many prompts were found"),
    ],
)
def test_the_sentence_names_a_mistake_in_rewriting(mistake, says):
    with pytest.raises(CheckFailed, match=says):
        nb07.llm_rewrite_to_image_prompts(lambda query, n=4: rewrite(query, n, **mistake))


def test_padding_loses_the_points_of_the_exercise():
    padded = lambda query, n=4: [f"{query} (variation {i})" for i in range(n)]  # noqa: E731
    assert nb07.llm_rewrite_to_image_prompts.run(padded).share == 0
    assert nb07.llm_rewrite_to_image_prompts.run(lambda query, n=4: rewrite(query, n, sift=list)).share == 0


def test_what_is_not_written_yet_is_named():
    def unwritten(reply):
        raise NotImplementedError("prompts_in: put your code here")

    def rewriting(query, n=4):
        return unwritten(chat_model("text").invoke(f"{n} prompts about: {query}").text)

    with pytest.raises(NotWritten, match="prompts_in is not written yet"):
        nb07.llm_rewrite_to_image_prompts(rewriting)


# -- the pipeline


def provenance_for(image, prompt, seed, **changes):
    how = {"model": "diffusion", "revision": "1", "steps": 25, "guidance_scale": 4.0, "sha256": pixels_sha256(image)}
    return Provenance(prompt=prompt, seed=seed, **{**how, **changes})


def generate(
    prompt, n=1, *, seed=0, apart=True, batch=True, with_provenance=True, steps=25, scale=4.0, few=False, named=None
):
    """A student's generate_images, with a mistake where the arguments say so."""
    pipe = StableDiffusionPipeline.__new__(StableDiffusionPipeline)
    if few:
        pipe.unet = SimpleNamespace(course_adapter=Adapter("few_step", Path(), 1.0))
    named = few if named is None else named
    adapter = AdapterUsed(name="few_step", revision="1") if named else None
    prompts = [prompt] * n if isinstance(prompt, str) else [text for text in prompt for _ in range(n)]
    options = {"num_inference_steps": steps, "guidance_scale": scale}
    seeds = [torch.Generator().manual_seed(seed + i * apart) for i in range(len(prompts))]
    if batch:
        images = pipe(prompts, generator=seeds, **options).images
    else:
        images = [pipe(text, generator=each, **options).images[0] for text, each in zip(prompts, seeds, strict=True)]
    if with_provenance:
        for i, (image, text) in enumerate(zip(images, prompts, strict=True)):
            attach(image, provenance_for(image, text, seed + i, steps=steps, guidance_scale=scale, adapter=adapter))
    return images


@pytest.fixture
def nothing_is_drawn(monkeypatch):
    """The real model's part is left to the fake pipeline."""
    monkeypatch.setattr("helpers.redraw.redraw", drawn_again)
    with fakes.fake_pipeline():
        yield


def drawn_again(wanted):
    """In the place of `helpers.redraw.redraw`, for pictures of the fake pipeline."""
    return [
        fakes.fake_picture(one.prompt, one.seed, steps=one.steps, guidance_scale=one.guidance_scale) for one in wanted
    ]


def test_the_right_drawing_passes(nothing_is_drawn):
    nb07.generate_images(generate)
    nb07.generate_images(partial(generate, few=True, steps=4, scale=1.0))


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"apart": False}, "a list of generators, one for each picture"),
        ({"batch": False}, "call the pipeline once"),
        ({"with_provenance": False}, "a picture has no provenance"),
        ({"steps": 24}, "should take 25 steps"),
        ({"steps": 4, "scale": 1.0}, "only blurs"),
        ({"few": True}, "should take 4 steps"),
        ({"few": True, "steps": 4, "scale": 1.0, "named": False}, "were drawn with the adapter"),
        ({"named": True}, "were drawn without the adapter"),
    ],
)
def test_the_sentence_names_a_mistake_in_drawing(nothing_is_drawn, mistake, says):
    with pytest.raises(CheckFailed, match=says):
        nb07.generate_images(lambda prompt, n=1, *, seed=0: generate(prompt, n, seed=seed, **mistake))


def test_a_fake_picture_depends_on_prompt_seed_steps_and_guidance():
    pipe = StableDiffusionPipeline.__new__(StableDiffusionPipeline)

    def drawn(prompt="a cat", seed=1, steps=25, scale=4.0):
        generator = torch.Generator().manual_seed(seed)
        made = pipe(prompt, num_inference_steps=steps, guidance_scale=scale, generator=generator).images[0]
        return made.tobytes()

    with fakes.fake_pipeline() as batches:
        assert len({drawn(), drawn("a dog"), drawn(seed=2), drawn(steps=3), drawn(scale=1.0)}) == 5
        assert drawn() == drawn() == fakes.fake_picture("a cat", 1, steps=25, guidance_scale=4.0).tobytes()
    assert len(batches) == 7


def test_the_pictures_that_are_drawn_are_kept_with_their_prompts():
    with recorded_drawings() as (batches, drawings):
        images = generate(["a cat", "a dog"], 2)
    assert [drawing.prompt for drawing in drawings] == batches[0].prompts == ["a cat", "a cat", "a dog", "a dog"]
    assert [drawing.image for drawing in drawings] == images


# -- files


def plot(images, r=2, c=2, original_image_name="image.png", output_dir="generated_images", *, first=None):
    """A student's plot_imgs; with `first` it always starts at that number."""
    from helpers import show

    if len(images) > r * c:
        raise ValueError("too many")
    folder, stem, paths = Path(output_dir), Path(original_image_name).stem, []
    for image in images:
        number = first + len(paths) if first else 1
        while not first and (folder / f"{stem}_{number}.png").exists():
            number += 1
        paths.append(str(save_with_provenance(image, folder / f"{stem}_{number}.png")))
    show.gallery(images, paths)
    return paths


def test_the_right_saving_passes_and_the_students_folder_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nb07.plot_imgs(plot)
    assert Path.cwd() == tmp_path and not list(tmp_path.iterdir())


def test_overwriting_is_named_with_the_files_that_are_lost():
    sentences = failed(nb07.plot_imgs, lambda *args, **options: plot(*args, **options, first=1))
    assert "photo" in sentences["no file is ever overwritten, call after call"]
    assert "has overwritten" in sentences["no file is ever overwritten, call after call"]
    assert (
        "files in output_dir that are named after the original, and their paths in the order of the pictures"
        not in sentences
    )


def test_files_count_however_they_are_numbered_where_overwriting_is_asked_for():
    def renamed(images, r=2, c=2, original_image_name="image.png", output_dir="generated_images"):
        return plot(images, r, c, f"new_{Path(original_image_name).name}", output_dir)

    assert "no file is ever overwritten, call after call" not in failed(nb07.plot_imgs, renamed)


# -- the submission


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """Gives the report on a hand-in of no records of which the assessment finds that all is right, but for these findings."""
    found = {name: Finding(Fraction(1)) for name in assessment.CRITERIA}
    monkeypatch.setattr(assessment, "examine", lambda opened, names, rng: {name: found[name] for name in names})

    def report(**findings):
        found.update(findings)
        file = write_metadata([], tmp_path / "generated_images")
        return nb07.handed_in.run(str(file.parent))

    return report


def test_each_criterion_of_the_assessment_is_a_case_with_its_weight(judged):
    assert judged().share == 1
    for name, weight in assessment.WEIGHTS["notebook"].items():
        report = judged(**{name: Finding(Fraction(0), [Fault(None, f"The {name} could be better")])})
        (outcome,) = report.failed
        assert (outcome.case.share, outcome.message) == (weight.points, f"The {name} could be better.")
        judged(**{name: Finding(Fraction(1))})


def test_what_a_small_model_says_and_draws_need_not_be_perfect(judged):
    most = Finding(Fraction(3, 4), [Fault(None, "One of four is wrong")])
    assert judged(descriptions=most, fit=most).share == 1
    assert judged(prompts=most).share == pytest.approx(0.8)


def test_a_criterion_that_finds_nothing_to_judge_says_what_to_do(judged):
    report = judged(fit=Finding(Fraction(0)))
    assert [outcome.message for outcome in report.failed] == [assessment.CRITERIA["fit"].advice]


def test_a_hand_in_of_no_records_wins_nothing(tmp_path):
    write_metadata([], tmp_path / "generated_images")
    assert nb07.handed_in.run(tmp_path / "generated_images").share == 0


def test_without_a_file_the_sentence_says_what_to_do(tmp_path):
    with pytest.raises(CheckFailed, match="Run the cell with send_metadata first"):
        nb07.handed_in(tmp_path / "generated_images")
    assert nb07.handed_in.run(tmp_path / "generated_images").share == 0


# -- the runner


def post(metadata_file, url, *, student="", timeout=600, status=True, read=lambda answer: answer.json()):
    """A student's post_submission; with `status` False a refusal is not looked at."""
    body = pack(read_metadata(metadata_file), student=student)
    try:
        answer = requests.post(f"{url}/run_assessment", json=body, timeout=timeout)
        if status and not answer.ok:
            raise ValueError
        return read(answer)
    except (requests.RequestException, ValueError):
        raise RuntimeError(f"{url}: {answer.text if 'answer' in locals() else 'away'}") from None


def test_the_right_posting_passes():
    nb07.post_submission(post)


def test_a_refusal_that_is_taken_for_an_answer_is_found():
    careless = partial(post, status=False)
    assert "but it returned the dict" in failed(nb07.post_submission, careless)["a RuntimeError if the runner refuses"]


def test_json_whose_header_does_not_say_so_is_named():
    def unlabelled(metadata_file, url, *, student="", timeout=600):
        body = json.dumps(pack(read_metadata(metadata_file), student=student))
        return requests.post(f"{url}/run_assessment", data=body, timeout=timeout).json()

    sentences = failed(nb07.post_submission, unlabelled)
    assert "Content-Type: application/json" in sentences["the student's name arrives, whatever its letters"]


def test_the_checks_leave_the_folder_that_they_were_called_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nb07.post_submission.run(lambda *inputs, **options: None)
    assert Path.cwd() == tmp_path and not list(tmp_path.iterdir())
