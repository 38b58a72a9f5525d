"""The checks of notebook 07: stand-ins for the chat model, the pipeline and the runner, and the judging of a file."""

import shutil
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from langchain_core.messages import HumanMessage

from helpers import originals
from helpers.chat import chat_model
from helpers.checks import CheckFailed, handin, nb07, standins
from helpers.models import Adapter
from helpers.picturebook import draw
from helpers.prompts import distinct, on_subject
from helpers.submission import (
    AdapterUsed,
    Provenance,
    attach,
    make_record,
    pack,
    pixels_sha256,
    read_metadata,
    save_with_provenance,
    write_metadata,
)


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
    with standins.chat_says(lambda heard: f"{heard.text}!") as heard:
        kept = chat_model("text", temperature=0.5)
        assert kept.invoke("one").text == "one!"
        assert "".join(piece.text for piece in chat_model("vision").stream([HumanMessage("two")])) == "two!"
        assert kept.invoke("three", temperature=1.0).text == "three!"
    assert [request.temperature for request in heard] == [0.5, 0.0, 1.0]
    with standins.chat_says(lambda heard: "again") as heard:
        assert kept.invoke("four").text == "again"  # a student may keep one
    assert len(heard) == 1
    assert "chat_says" not in type(kept)._generate.__qualname__


def test_a_model_that_is_asked_the_same_at_temperature_0_says_the_same():
    with nb07.conversation("a cat", ["first", "second"], "junk"):
        cold, warm = chat_model("text"), chat_model("text", temperature=0.8)
        said = [cold.invoke("x").text, cold.invoke("x").text, warm.invoke("x").text, warm.invoke("x").text]
    assert said == ["first", "first", "second", "junk"]


@pytest.mark.parametrize("per_reply", [[4], [1, 3], [0, 2, 2]])
def test_scripts_hold_just_the_good_prompts_that_they_promise(per_reply):
    for seed in range(10):
        script = nb07.script(Random(seed), 4, per_reply)
        found = []
        for reply, count in zip([*script.replies, script.junk], [*per_reply, 0], strict=True):
            before = len(found)
            found = distinct([*found, *(p for p in prompts_in(reply) if on_subject(p, script.query))])
            assert len(found) == before + count
        assert found == script.right


def test_the_right_rewriting_passes(capsys):
    nb07.llm_rewrite_to_image_prompts(rewrite)
    nb07.lets_errors_out(rewrite)
    assert "hidden tests decide" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"sift": list}, "only decorated differently"),
        ({"warm": False}, "same words each time with temperature 0"),
        ({"tries": 1}, "gave up"),
        ({"tries": 100}, "without end"),
        ({"end": lambda text: ValueError("too few")}, "how many prompts were found"),
    ],
)
def test_the_sentence_names_a_mistake_in_rewriting(mistake, says):
    with pytest.raises(CheckFailed, match=says):
        nb07.llm_rewrite_to_image_prompts(lambda query, n=4: rewrite(query, n, **mistake))


# -- the pipeline


def papers_of(image, prompt, seed, **changes):
    how = {"model": "diffusion", "revision": "1", "steps": 25, "guidance_scale": 4.0, "sha256": pixels_sha256(image)}
    return Provenance(prompt=prompt, seed=seed, **{**how, **changes})


def generate(prompt, n=1, *, seed=0, apart=True, batch=True, papers=True, steps=25, scale=4.0, few=False, named=None):
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
    if papers:
        for i, (image, text) in enumerate(zip(images, prompts, strict=True)):
            attach(image, papers_of(image, text, seed + i, steps=steps, guidance_scale=scale, adapter=adapter))
    return images


def test_the_right_drawing_passes():
    nb07.generate_images(generate)
    nb07.generate_images(partial(generate, few=True, steps=4, scale=1.0))


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"apart": False}, "a list of generators, one for each picture"),
        ({"batch": False}, "call the pipeline once"),
        ({"papers": False}, "has no provenance"),
        ({"steps": 24}, "should take 25 steps"),
        ({"steps": 4, "scale": 1.0}, "only blurs"),
        ({"few": True}, "should take 4 steps"),
        ({"few": True, "steps": 4, "scale": 1.0, "named": False}, "was drawn with the adapter"),
        ({"named": True}, "was drawn without the adapter"),
    ],
)
def test_the_sentence_names_a_mistake_in_drawing(mistake, says):
    with pytest.raises(CheckFailed, match=says):
        nb07.generate_images(lambda prompt, n=1, *, seed=0: generate(prompt, n, seed=seed, **mistake))


def test_a_scribble_depends_on_prompt_seed_steps_and_guidance():
    pipe = StableDiffusionPipeline.__new__(StableDiffusionPipeline)

    def drawn(prompt="a cat", seed=1, steps=25, scale=4.0):
        generator = torch.Generator().manual_seed(seed)
        made = pipe(prompt, num_inference_steps=steps, guidance_scale=scale, generator=generator).images[0]
        return made.tobytes()

    with standins.quick_pipeline() as batches:
        assert len({drawn(), drawn("a dog"), drawn(seed=2), drawn(steps=3), drawn(scale=1.0)}) == 5
        assert drawn() == drawn() == standins.scribbled("a cat", 1, steps=25, guidance_scale=4.0).tobytes()
    assert len(batches) == 7


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
    with pytest.raises(CheckFailed, match=r"has overwritten cat_1.png, cat_2.png, cat_3.png"):
        nb07.plot_imgs(lambda *args, **options: plot(*args, **options, first=1))


# -- the submission


@pytest.fixture
def hand_in(tmp_path, monkeypatch):
    """A good submission in tmp_path, as a list of records to be changed; CLIP sees that everything fits."""
    originals.draw_originals(tmp_path / "generated_images/originals", size=64)
    records, monkeypatched = [], "helpers.clip.similarity"
    monkeypatch.setattr(monkeypatched, lambda texts, images: np.eye(len(texts), len(images)))
    with standins.quick_pipeline():
        for name, scene in originals.SCENES.items():
            kinds = " and a ".join(thing.kind for thing in scene.things)
            prompts = [f"a {kinds}, {place}" for place in ("at night", "on mars", "by the sea", "indoors")]
            paths = [f"generated_images/{Path(name).stem}_{i}.png" for i in range(4)]
            for image, path in zip(generate(prompts, seed=len(records) * 10), paths, strict=True):
                save_with_provenance(image, tmp_path / path)
            source = f"generated_images/originals/{name}"
            records.append(make_record(f"It shows a {kinds}.", prompts, paths, source_image=source))
    return records


def scribbled_again(wanted):
    """In the place of `helpers.redraw.redraw`, for pictures of the quick pipeline."""
    return [
        standins.scribbled(one.prompt, one.seed, steps=one.steps, guidance_scale=one.guidance_scale) for one in wanted
    ]


def faults(records, folder):
    write_metadata(records, folder / "generated_images")
    return {each.name: each.fault for each in handin.criteria(folder) if each.fault}


def test_a_good_submission_has_no_faults_and_all_points(hand_in, tmp_path, monkeypatch, capsys):
    assert faults(hand_in, tmp_path) == {}
    monkeypatch.setattr("helpers.redraw.redraw", scribbled_again)
    assert handin.points_of_hand_in(points=12, seed=5, folder=tmp_path) == 12
    nb07.handed_in(tmp_path)
    assert capsys.readouterr().out.count(": good") == 5


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        (lambda r, f: r.pop(), "records", "there should be 4 records"),
        (lambda r, f: r[1].prompts.pop(), "records", "should have 4 prompts"),
        (lambda r, f: r[1].image_paths.append("x.png"), "records", "should have 4 image_paths, but it has 5"),
        (lambda r, f: setattr(r[2], "source_image", None), "records", "names '', which is no file"),
        (lambda r, f: setattr(r[2], "source_image", r[0].source_image), "records", "each original should have one"),
        (lambda r, f: (f / r[3].image_paths[0]).unlink(), "records", "which is no file"),
        (lambda r, f: r[3].image_paths.__setitem__(0, "../secret.png"), "records", "which is no file"),
        (lambda r, f: setattr(r[0], "original_description", " "), "records", "no description"),
        (lambda r, f: r[0].prompts.__setitem__(1, f"{r[0].prompts[0]} (variation 2)"), "prompts", "says nothing that"),
        (lambda r, f: r[0].prompts.__setitem__(1, "a boat, at night"), "prompts", "not about the subject"),
        (lambda r, f: r[1].image_paths.__setitem__(1, r[1].image_paths[0]), "pictures", "named more than once"),
        (lambda r, f: shutil.copy(f / r[1].image_paths[0], f / r[1].image_paths[1]), "pictures", "the same picture as"),
        (lambda r, f: (f / r[1].image_paths[1]).write_text("no"), "pictures", "can't be opened"),
    ],
)
def test_each_fault_of_a_submission_is_found_where_it_is(hand_in, tmp_path, change, where, says):
    (tmp_path.parent / "secret.png").write_bytes(b"")
    change(hand_in, tmp_path)
    assert says in faults(hand_in, tmp_path)[where]


def test_descriptions_and_pictures_that_clip_finds_mixed_up_lose_points(hand_in, tmp_path, monkeypatch):
    def rolled(texts, images):
        return np.roll(np.eye(len(texts), len(images)), len(texts) // 4, axis=1)

    monkeypatch.setattr("helpers.clip.similarity", rolled)
    found = faults(hand_in, tmp_path)
    assert set(found) == {"descriptions", "pictures and prompts"}
    assert "Have they been mixed up?" in found["descriptions"]


def test_provenance_that_lies_are_found_by_drawing_again(hand_in, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.redraw.redraw", scribbled_again)
    write_metadata(hand_in, tmp_path / "generated_images")
    for record in hand_in:
        for path, prompt in zip(record.image_paths, record.prompts, strict=True):
            image = standins.scribbled(prompt, 1, steps=25, guidance_scale=4.0)
            save_with_provenance(image, tmp_path / path, papers_of(image, prompt, seed=2))
    assert "does not come out again" in handin.false_provenance(tmp_path, seed=0)
    save_with_provenance(draw(originals.SCENES["tree_frog.png"], size=64), tmp_path / hand_in[0].image_paths[2])
    assert "has none" in handin.false_provenance(tmp_path, seed=0)


def test_without_a_file_the_sentence_says_what_to_do(tmp_path):
    with pytest.raises(CheckFailed, match="Run the cell with send_metadata first"):
        nb07.handed_in(tmp_path)


# -- the runner


def post(metadata_file, url, *, student="", timeout=600, status=True, read=lambda answer: answer.json()):
    """A student's post_submission; with `status` False a refusal is not looked at."""
    body = pack(read_metadata(metadata_file), student=student)
    try:
        answer = httpx.post(f"{url}/run_assessment", json=body, timeout=timeout)
        if status and answer.is_error:
            raise ValueError
        return read(answer)
    except (httpx.HTTPError, ValueError):
        raise RuntimeError(f"{url}: {answer.text if 'answer' in locals() else 'away'}") from None


def test_the_right_posting_passes():
    nb07.post_submission(post)


def test_a_refusal_that_is_taken_for_an_answer_is_found():
    def careless(*args, **options):
        return post(*args, **options, status=False, read=lambda answer: answer.json())

    with pytest.raises(CheckFailed, match="should raise a RuntimeError, but it returned"):
        nb07.tells_refusal(careless, Random(1), 503)
