"""course serve's pictures: txt2img and its neighbours, as clients of AUTOMATIC1111's web UI know them."""

import base64
import copy
import hashlib
import io
import json
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from adapters import random_adapter
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import tiny_llava, tiny_pipeline
from waiting import Turnstile, until

from course.serve.app import create_app
from course.serve.engine import Engine
from course.serve.painter import Painter
from course.serve.samplers import LCM, SAMPLERS
from course.serve.sdapi import sdapi
from course.serve.sdinfo import read_infotext
from helpers import models

FEW = {"prompt": "a cat", "steps": 2, "seed": 7}


def app_with(painter):
    app = FastAPI()
    app.mount("/sdapi/v1", sdapi(painter))
    return app


@contextmanager
def client_of(pipe, **options):
    painter = Painter(lambda: pipe, **options)
    with TestClient(app_with(painter), base_url="http://test/sdapi/v1/", raise_server_exceptions=False) as client:
        try:
            yield client, painter
        finally:
            painter.stop()


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def http(pipe):
    with client_of(pipe) as (client, _):
        yield client


def draw(http, **fields):
    answer = http.post("txt2img", json=FEW | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pictures(answer):
    return [Image.open(io.BytesIO(base64.b64decode(image))) for image in answer["images"]]


def pixels(answer):
    return [np.asarray(picture).astype(int) for picture in pictures(answer)]


def told(answer):
    """What the answer says of settings that have no effect, in one line."""
    return " ".join(json.loads(answer["info"])["comments"])


def same(one, other):
    """Whether two pictures are the same but for rounding: a batch of another size rounds differently."""
    return np.abs(one - other).max() <= 2


def refused(answer, status):
    """What an error says in one line; it must have the web UI's shape."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "detail", "body", "errors"} and body["errors"]
    return body["errors"]


# -- what comes back


def test_an_answer_holds_pictures_parameters_and_info_as_the_web_ui_writes_them(http):
    answer = draw(http, negative_prompt="dog", batch_size=2, cfg_scale=3.5, width=72, height=64)
    assert set(answer) == {"images", "parameters", "info"}
    assert answer["parameters"]["prompt"] == "a cat" and answer["parameters"]["seed"] == 7
    assert isinstance(answer["info"], str)
    info = json.loads(answer["info"])
    assert info["all_seeds"] == [7, 8] and info["all_prompts"] == ["a cat", "a cat"] and info["seed"] == 7
    assert (info["width"], info["height"], info["steps"], info["sampler_name"]) == (72, 64, 2, "DPM++ 2M")
    drawn = pictures(answer)
    assert [picture.format for picture in drawn] == ["PNG", "PNG"] and drawn[0].size == (72, 64)
    assert [picture.text["parameters"] for picture in drawn] == info["infotexts"]
    prompt, negative, facts = drawn[1].text["parameters"].split("\n")
    assert (prompt, negative) == ("a cat", "Negative prompt: dog")
    facts = dict(fact.split(": ") for fact in facts.split(", "))
    assert facts["Steps"] == "2" and facts["Seed"] == "8" and facts["Size"] == "72x64" and facts["CFG scale"] == "3.5"


def test_a_request_that_leaves_all_out_gets_a_picture_of_the_models_own_size(http):
    answer = http.post("txt2img", json={}).json()
    (picture,) = pictures(answer)
    assert picture.size == (64, 64) and json.loads(answer["info"])["steps"] == 25
    assert draw(http, send_images=False)["images"] == []


def test_seeds_count_up_over_batches_and_mean_the_same_alone(http):
    answer = draw(http, batch_size=2, n_iter=2, seed=100)
    assert json.loads(answer["info"])["all_seeds"] == [100, 101, 102, 103]
    together = pixels(answer)
    assert not any(same(one, other) for i, one in enumerate(together) for other in together[:i])
    for seed, picture in zip((101, 102), together[1:3], strict=True):
        assert same(pixels(draw(http, seed=seed))[0], picture)


def test_minus_one_draws_a_seed_and_tells_it(http):
    one, other = (draw(http, seed=-1) for _ in range(2))
    seed = json.loads(one["info"])["seed"]
    assert seed >= 0 and seed != json.loads(other["info"])["seed"] and one["parameters"]["seed"] == -1
    assert draw(http, seed=seed)["images"][0] == draw(http, seed=seed)["images"][0]
    assert same(pixels(draw(http, seed=seed))[0], pixels(one)[0])


@pytest.mark.parametrize(
    "fields", [{"prompt": "a dog"}, {"negative_prompt": "a cat"}, {"steps": 3}, {"cfg_scale": 12}, {"seed": 8}]
)
def test_every_field_has_a_say(http, fields):
    assert not same(pixels(draw(http))[0], pixels(draw(http, **fields))[0])


def test_every_sampler_draws_and_leaves_the_next_drawing_alone(http):
    before = draw(http, steps=4)["images"]
    names = [name for name in SAMPLERS if name != LCM]  # that one wants the adapter
    drawn = [pixels(draw(http, steps=4, sampler_name=name))[0] for name in names]
    assert not any(same(one, other) for i, one in enumerate(drawn) for other in drawn[:i])
    assert draw(http, steps=4)["images"] == before
    assert same(pixels(draw(http, steps=4, sampler_index="Euler"))[0], drawn[names.index("Euler")])


def test_unknown_fields_nulls_and_numbers_in_quotes_are_let_pass(http):
    plain = draw(http)["images"]
    extra = {"restore_faces": False, "alwayson_scripts": {}, "override_settings": {}, "styles": None, "subseed": -1}
    answer = draw(http, **extra, negative_prompt=None, steps="2", sampler_name=None)
    assert answer["images"] == plain and told(answer) == ""


def test_what_else_a_client_asks_for(http):
    names = {sampler["name"] for sampler in http.get("samplers").json()}
    assert {"Euler", "Euler a", "DPM++ 2M"} <= names
    (model,) = http.get("sd-models").json()
    assert http.get("options").json()["sd_model_checkpoint"] == model["title"] == models.entry("diffusion").id
    assert http.get("scripts").json()["txt2img"] == []
    assert {"karras", "sgm_uniform"} <= {scheduler["name"] for scheduler in http.get("schedulers").json()}
    for path in ("upscalers", "latent-upscale-modes", "sd-vae", "hypernetworks", "prompt-styles", "script-info"):
        assert http.get(path).json() == []
    assert http.get("embeddings").json()["loaded"] == {}
    for path in ("refresh-checkpoints", "refresh-loras", "refresh-vae"):
        assert http.post(path).status_code == 200


def test_options_may_be_set_to_what_they_are(http):
    options = http.get("options").json()
    assert http.post("options", json=options).status_code == 200
    for wanted, words in (
        (
            {"sd_model_checkpoint": "v1-5-pruned"},
            f"'sd_model_checkpoint' can't be changed: it is '{models.entry('diffusion').id}'",
        ),
        ({"CLIP_stop_at_last_layers": 2}, "'CLIP_stop_at_last_layers' can't be changed: it is 1"),
        ({"face_restoration": True}, "no option 'face_restoration'"),
        ({"\ud83d": True}, "no option"),
    ):
        assert words in refused(post_raw(http, "options", options | wanted), 422)
        assert words in told(post_raw(http, "txt2img", FEW | {"override_settings": wanted}).json())


def post_raw(http, path, body):
    """``httpx`` sends no half of a character."""
    return http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"enable_hr": True, "styles": ["anime"]}, "no effect here: enable_hr, styles."),
        ({"prompt": "a (red:1.3) cat"}, "Weights such as (word:1.2) have no effect"),
        ({"negative_prompt": "dog", "cfg_scale": 1}, "negative_prompt has no effect with a cfg_scale of 1"),
        ({"prompt": "x" * 40}, "prompt has 40 tokens, of which the model reads the first 30."),
        ({"negative_prompt": "x" * 31}, "negative_prompt has 31 tokens, of which the model reads the first 30."),
        ({"prompt": "x" * 30, "negative_prompt": "a (red) dog: 1"}, ""),
    ],
)
def test_what_has_no_effect_is_told(http, fields, words):
    comments = told(draw(http, **fields))
    assert words in comments and bool(words) == bool(comments)


# -- schedules


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != LCM])
def test_a_schedule_is_followed_or_refused(http, sampler):
    for scheduler in ("Karras", "SGM Uniform"):
        answer = http.post("txt2img", json=FEW | {"steps": 4, "sampler_name": sampler, "scheduler": scheduler})
        if scheduler not in SAMPLERS[sampler].schedules:
            assert f"{sampler} does not support 'Karras', only: Automatic, SGM Uniform" in refused(answer, 422)
            continue
        drawn = answer.json()
        assert not same(pixels(drawn)[0], pixels(draw(http, steps=4, sampler_name=sampler))[0])
        assert drawn["parameters"]["scheduler"] == scheduler
        assert f"Sampler: {sampler}, Schedule type: {scheduler}" in pictures(drawn)[0].text["parameters"]


def test_a_schedule_by_every_name_that_it_has_had(http):
    karras = draw(http, sampler_name="DPM++ 2M", scheduler="Karras")["images"]
    assert draw(http, sampler_name="DPM++ 2M", scheduler="karras")["images"] == karras
    assert draw(http, sampler_name="DPM++ 2M Karras")["images"] == karras
    plain = draw(http)["images"]
    assert plain != karras and draw(http, scheduler="Automatic")["images"] == plain
    assert draw(http, sampler_name="DPM++ 2M Karras", scheduler="automatic")["images"] == plain


# -- from a picture


def base64_of(picture, **options):
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return base64.b64encode(file.getvalue()).decode()


RED = Image.new("RGB", (64, 64), "red")


def redraw(http, picture=RED, **fields):
    answer = http.post("img2img", json=FEW | {"init_images": [base64_of(picture)], "steps": 4} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_picture_is_drawn_anew_as_the_pipeline_does_it(http, pipe):
    from diffusers import StableDiffusionImg2ImgPipeline

    answer = redraw(http, denoising_strength=0.5, batch_size=2, cfg_scale=3, sampler_name="Euler")
    own = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    own.scheduler = diffusers_euler(pipe)
    expected = own(
        ["a cat"] * 2,
        image=[RED] * 2,
        strength=0.5,
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(seed) for seed in (7, 8)],
    ).images
    drawn = pixels(answer)
    assert all(same(np.asarray(one).astype(int), other) for one, other in zip(expected, drawn, strict=True))
    info = json.loads(answer["info"])
    assert info["denoising_strength"] == answer["parameters"]["denoising_strength"] == 0.5
    assert info["all_seeds"] == [7, 8] and "init_images" not in answer["parameters"]
    assert "Denoising strength: 0.5" in pictures(answer)[0].text["parameters"]


def diffusers_euler(pipe):
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler.from_config(pipe.scheduler.config)


def test_the_picture_its_strength_and_how_it_is_resized_have_a_say(http):
    blue = Image.new("RGB", (64, 64), "blue")
    answers = (redraw(http, RED, denoising_strength=0.25), redraw(http, blue, denoising_strength=0.25), redraw(http))
    drawn = [pixels(answer)[0] for answer in (*answers, draw(http, steps=4))]
    assert not any(same(one, other) for i, one in enumerate(drawn) for other in drawn[:i])
    wide = Image.new("RGB", (128, 64), "red")
    wide.paste("blue", (80, 0, 128, 64))
    modes = [pixels(redraw(http, wide, denoising_strength=0.25, resize_mode=mode))[0] for mode in (0, 1, 2)]
    assert not any(same(one, other) for i, one in enumerate(modes) for other in modes[:i])


def test_a_picture_comes_in_base64_as_people_send_it(http):
    plain = redraw(http)["images"]
    text = base64_of(RED)
    letters = text.replace("+", "-").replace("/", "_")
    assert letters != text
    for sent in (f"\ufeffdata:image/png;base64,{letters}", f"{text[:76]}\r\n{text[76:]}\n"):
        assert redraw(http, init_images=[sent])["images"] == plain


@pytest.mark.parametrize(
    ("fields", "words", "status"),
    [
        ({"init_images": []}, "init_images", 422),
        ({"init_images": None}, "init_images", 422),
        ({"init_images": [7]}, "init_images.0", 422),
        ({"init_images": ["!!!!"]}, "not valid base64", 400),
        ({"init_images": ["aGVsbG8="]}, "not a picture", 400),
        ({"init_images": ["file:///etc/passwd"]}, "data:image/png;base64", 400),
        ({"init_images": ["http://127.0.0.1/x.png"]}, "does not download pictures", 400),
        ({"denoising_strength": 0}, "denoising_strength", 422),
        ({"denoising_strength": 0.2}, "0.2 of 4 steps is less than one", 422),
        ({"resize_mode": 3}, "resize_mode", 422),
        ({"mask": "aGVsbG8="}, "'mask'", 422),
    ],
)
def test_what_a_picture_can_not_be_drawn_from(http, fields, words, status):
    body = FEW | {"init_images": [base64_of(RED)], "steps": 4} | fields
    assert words in refused(http.post("img2img", json=body), status)


# -- the words in a picture


def test_a_pictures_words_are_read_as_they_were_written(http):
    answer = draw(http, prompt="a cat,\nSteps: on a stair", negative_prompt="dog", scheduler="Karras")
    read = http.post("png-info", json={"image": answer["images"][0]}).json()
    assert read["info"] == read["items"]["parameters"] == json.loads(answer["info"])["infotexts"][0]
    facts = read["parameters"]
    assert (facts["Prompt"], facts["Negative prompt"]) == ("a cat,\nSteps: on a stair", "dog")
    assert (facts["Steps"], facts["Seed"], facts["Schedule type"]) == ("2", "7", "Karras")


def test_a_picture_without_words_has_none(http):
    assert http.post("png-info", json={"image": base64_of(RED)}).json() == {"info": "", "items": {}, "parameters": {}}
    assert "not a picture" in refused(http.post("png-info", json={"image": "aGVsbG8="}), 400)


def test_words_of_the_web_ui_and_of_others():
    text = 'Negative prompt: dog\nSteps: 20, Sampler: Euler a, Lora hashes: "a: 12, b: 34", Size: 512x512'
    assert read_infotext(text) == {
        "Prompt": "",
        "Negative prompt": "dog",
        "Steps": "20",
        "Sampler": "Euler a",
        "Lora hashes": "a: 12, b: 34",
        "Size": "512x512",
    }
    assert read_infotext("just some words, as: these") == {"Prompt": "just some words, as: these"}
    read_infotext('a: "' * 500_000)  # in no time


def test_the_mini_model_draws_what_the_pipeline_draws():
    mini = models.load("diffusion")
    prompt = "a large red cat, on a meadow"
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    expected = mini([prompt] * 2, num_inference_steps=4, guidance_scale=4.0, generator=generators).images
    with client_of(mini) as (http, _):
        drawn = pixels(draw(http, prompt=prompt, steps=4, seed=3, batch_size=2, sampler_name="DPM++ 2M"))
    assert all(same(np.asarray(one).astype(int), other) for one, other in zip(expected, drawn, strict=True))


# -- the adapter for few steps


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A client of a pipeline that came from a folder with the adapter."""
    pipe, folder = tiny_pipeline(), tmp_path_factory.mktemp("tiny")
    random_adapter(folder, pipe.unet)
    pipe.register_to_config(_name_or_path=str(folder))
    with client_of(pipe) as (client, _):
        yield client


def settled(answer):
    info = json.loads(answer["info"])
    return info["sampler_name"], info["steps"], info["cfg_scale"], info["extra_generation_params"].get("Lora weights")


WITHOUT = ("DPM++ 2M", 25, 4.0, None)
WITH = ("LCM", 4, 1.0, "few_step: 1")


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({}, WITH),
        ({"steps": 6}, ("LCM", 6, 1.0, "few_step: 1")),
        ({"sampler_name": "LCM", "cfg_scale": 2}, ("LCM", 4, 2.0, "few_step: 1")),
        ({"prompt": "a cat <lora:few_step:0.5>"}, ("LCM", 4, 1.0, "few_step: 0.5")),
        ({"prompt": "a cat <lora:few_step>", "negative_prompt": "dog"}, WITH),
        ({"prompt": "a cat <lora:few_step:1>", "sampler_name": "Euler"}, ("Euler", 25, 4.0, "few_step: 1")),
        ({"prompt": "a cat <lora:few_step:0>"}, WITHOUT),
        ({"prompt": "a cat <lora:few_step:0>", "sampler_name": "LCM"}, ("LCM", 4, 1.0, None)),
        ({"sampler_index": "DPM++ 2M"}, WITHOUT),
        ({"cfg_scale": 4}, WITHOUT),
        ({"negative_prompt": "dog"}, WITHOUT),
        ({"steps": 51}, ("DPM++ 2M", 51, 4.0, None)),
    ],
)
def test_steps_and_guidance_follow_the_sampler_and_the_sampler_what_is_asked(few, fields, right):
    assert settled(few.post("txt2img", json={"seed": 7} | fields).json()) == right


def test_without_the_adapter_the_default_is_as_ever_and_lcm_says_what_is_missing(http):
    assert settled(http.post("txt2img", json={}).json()) == WITHOUT
    for fields in ({"sampler_name": "LCM"}, {"prompt": "a cat <lora:few_step:1>"}):
        assert "adapter for few steps" in refused(http.post("txt2img", json=fields), 503)
    assert http.get("loras").json() == []


def test_the_tag_stands_for_the_sampler_and_is_no_part_of_the_prompt(few):
    plain, tagged = (few.post("txt2img", json={"prompt": prompt, "seed": 7}).json() for prompt in TAGGED)
    assert plain["images"][0] != tagged["images"][0] and same(pixels(plain)[0], pixels(tagged)[0])
    info = json.loads(tagged["info"])
    assert info["prompt"] == tagged["parameters"]["prompt"] == TAGGED[1]  # as it was asked
    words = pictures(tagged)[0].text["parameters"]
    assert words.startswith(f"{TAGGED[1]}\nSteps: 4, Sampler: LCM, CFG scale: 1, Seed: 7")
    assert 'Lora hashes: "few_step: ' in words and 'Lora weights: "few_step: 1"' in words


TAGGED = ("a cat, at night", "a cat <lora:few_step:1>, at night")


def test_more_of_the_adapter_draws_another_picture_and_the_next_is_as_before(few):
    fields = {"seed": 7, "sampler_name": "LCM"}
    drawn = [
        pixels(few.post("txt2img", json={"prompt": f"a cat <lora:few_step:{weight}>"} | fields).json())[0]
        for weight in (0, 0.5, 1, -1, 0.5)
    ]
    assert not any(same(one, other) for i, one in enumerate(drawn[:4]) for other in drawn[:i])
    assert same(drawn[1], drawn[4])


def test_requests_of_different_samplers_at_once_come_out_as_alone(few):
    wanted = [{"prompt": "a cat", "sampler_name": name, "steps": 4, "batch_size": 2} for name in ("LCM", "DPM++ 2M")]
    alone = [pixels(draw(few, **fields)) for fields in wanted]
    with ThreadPoolExecutor(4) as pool:
        together = [pixels(answer) for answer in pool.map(lambda fields: draw(few, **fields), wanted * 2)]
    for i, drawn in enumerate(together):
        assert all(same(one, other) for one, other in zip(drawn, alone[i % 2], strict=True))


def test_it_is_listed_as_the_web_ui_lists_adapters(few):
    (lora,) = few.get("loras").json()
    assert lora["name"] == lora["alias"] == "few_step" and set(lora) == {"name", "alias", "path", "metadata"}
    assert {"name": "LCM", "aliases": ["k_lcm"], "options": {}} in few.get("samplers").json()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "a cat <lora:sharp:1>"}, "there is no LoRA 'sharp' here; available: few_step"),
        ({"prompt": "a cat <lora:few_step:lots>"}, "the weight of LoRA 'few_step' should be a number up to 10"),
        ({"prompt": "a cat <lora:few_step:1e9>"}, "the weight of LoRA 'few_step' should be a number up to 10"),
        ({"prompt": "a cat <lora:few_step:nan>"}, "the weight of LoRA 'few_step' should be a number up to 10"),
        ({"sampler_name": "LCM", "steps": 51}, "LCM takes at most 50 steps, not 51"),
    ],
)
def test_what_the_adapter_can_not_do_is_refused_and_named(few, fields, words):
    assert words in refused(few.post("txt2img", json=fields), 422)


# -- adapters of one's own


@pytest.fixture
def own(tmp_path):
    """A client of a pipeline with the few-step adapter, and the endpoint's folder with another adapter, "a.wave"."""
    pipe, saved = tiny_pipeline(), tmp_path / "saved"
    random_adapter(tmp_path, pipe.unet)
    pipe.register_to_config(_name_or_path=str(tmp_path))
    with client_of(pipe) as (client, _):
        folder = Path(client.get("cmd-flags").json()["lora_dir"])
        shutil.copy(random_adapter(saved, pipe.unet, seed=1), folder / "a.wave.safetensors")
        yield client, folder
    assert not folder.exists()


def test_an_adapter_in_the_folder_is_listed_and_drawn_with_by_its_weight(own):
    http, folder = own
    listed = [(lora["name"], lora["path"]) for lora in http.get("loras").json()]
    assert listed == [("few_step", "few_step"), ("a.wave", str(folder / "a.wave.safetensors"))]
    fields = {"seed": 7, "steps": 3, "sampler_name": "Euler"}
    answers = [
        http.post("txt2img", json={"prompt": f"a cat{tag}"} | fields).json()
        for tag in (
            " <lora:a.wave:0>",
            "",
            " <lora:a.wave:0.5>",
            " <lora:a.wave>",
            " <lora:few_step:1> <lora:a.wave:0.5>",
            "",
        )
    ]
    drawn = [pixels(answer)[0] for answer in answers]
    assert same(drawn[0], drawn[1]) and same(drawn[1], drawn[5])
    assert not any(same(one, other) for i, one in enumerate(drawn[1:5]) for other in drawn[1 : i + 1])
    both = json.loads(answers[4]["info"])["extra_generation_params"]
    assert both["Lora weights"] == "few_step: 1, a.wave: 0.5"
    hashed = hashlib.sha256((folder / "a.wave.safetensors").read_bytes()).hexdigest()[:12]
    assert both["Lora hashes"].endswith(f"a.wave: {hashed}")
    assert 'Lora weights: "few_step: 1, a.wave: 0.5"' in pictures(answers[4])[0].text["parameters"]


def test_two_adapters_of_ones_own_draw_as_diffusers_draws_with_them(own):
    from diffusers import DDIMScheduler

    http, folder = own
    other = tiny_pipeline()
    shutil.copy(random_adapter(folder / "more", other.unet, seed=2), folder / "b.safetensors")
    prompt = "a cat <lora:a.wave:0.5> <lora:b:-1> <lora:few_step:0>"
    answer = http.post("txt2img", json={"prompt": prompt, "seed": 7, "steps": 3, "sampler_name": "DDIM"}).json()
    other.load_lora_weights(folder, weight_name="a.wave.safetensors", adapter_name="one")
    other.load_lora_weights(folder, weight_name="b.safetensors", adapter_name="two")
    other.set_adapters(["one", "two"], [0.5, -1.0])
    other.scheduler = DDIMScheduler.from_config(other.scheduler.config, clip_sample=False)
    generator = torch.Generator().manual_seed(7)
    expected = other(
        "a cat", negative_prompt="", num_inference_steps=3, guidance_scale=4.0, generator=generator
    ).images[0]
    assert same(pixels(answer)[0], np.asarray(expected).astype(int))


def test_a_file_that_is_no_adapter_of_this_model_is_refused_and_named(own):
    http, folder = own
    (folder / "bad.safetensors").write_bytes(b"no adapter")
    assert "The LoRA 'bad' can't be used" in refused(http.post("txt2img", json={"prompt": "a <lora:bad:1>"}), 422)
    words = "there is no LoRA 'sharp' here; available: few_step, a.wave, bad."
    assert words in refused(http.post("txt2img", json={"prompt": "a <lora:sharp:1>"}), 422)
    assert "no LoRA '../bad'" in refused(http.post("txt2img", json={"prompt": "a <lora:../bad:1>"}), 422)
    assert pictures(http.post("txt2img", json={"prompt": "a cat"}).json())


# -- while it draws


@pytest.fixture
def slow(pipe):
    """A client of a pipeline behind a turnstile, and the turnstile."""
    own = type(pipe)(**{**pipe.components, "unet": copy.deepcopy(pipe.unet)}, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    turnstile = Turnstile(own.unet)
    with client_of(own, max_pending=2) as (client, painter), ThreadPoolExecutor(3) as pool:
        yield client, painter, turnstile, pool
        turnstile.give(1000)


def test_progress_tells_how_far_it_is_and_shows_the_picture_so_far(slow):
    http, _, turnstile, pool = slow
    idle = http.get("progress").json()
    assert idle["progress"] == 0 and idle["state"]["job_count"] == 0 and idle["current_image"] is None
    drawing = pool.submit(draw, http, steps=4, n_iter=2)
    turnstile.give(3)
    until(lambda: http.get("progress").json()["state"]["sampling_step"] == 3)
    halfway = http.get("progress").json()
    assert halfway["progress"] == pytest.approx(3 / 8) and halfway["eta_relative"] > 0
    assert halfway["state"]["sampling_steps"] == 4 and halfway["state"]["job_no"] == 0
    assert Image.open(io.BytesIO(base64.b64decode(halfway["current_image"]))).size == (64, 64)
    assert http.get("progress", params={"skip_current_image": True}).json()["current_image"] is None
    turnstile.give(2)
    until(lambda: http.get("progress").json()["progress"] == pytest.approx(5 / 8))
    assert http.get("progress").json()["state"]["job_no"] == 1
    turnstile.give(100)
    assert len(drawing.result()["images"]) == 2
    assert http.get("progress").json() == idle


def test_a_drawing_that_is_interrupted_comes_as_it_is(slow):
    http, _, turnstile, pool = slow
    assert http.post("interrupt").status_code == 200  # there is none
    drawing = pool.submit(draw, http, steps=50, n_iter=3, batch_size=2)
    turnstile.give(2)
    until(lambda: http.get("progress").json()["state"]["sampling_step"] == 2)
    http.post("interrupt")
    assert http.get("progress").json()["state"]["interrupted"]
    turnstile.give(1)
    answer = drawing.result()
    assert turnstile.steps <= 3 and len(answer["images"]) == 2
    assert json.loads(answer["info"])["all_seeds"] == [7, 8]
    turnstile.give(100)
    assert len(draw(http)["images"]) == 1


def test_a_full_queue_is_told_to_come_again(slow):
    http, painter, turnstile, pool = slow
    taken = [pool.submit(draw, http) for _ in range(2)]
    until(lambda: painter._pending == 2)
    answer = http.post("txt2img", json=FEW)
    assert "2 drawings" in refused(answer, 429) and answer.headers["retry-after"]
    turnstile.give(100)
    assert [len(drawing.result()["images"]) for drawing in taken] == [1, 1]
    assert draw(http)["images"]


def test_a_client_that_goes_away_stops_its_drawing(slow):
    _, painter, turnstile, _ = slow
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = uvicorn.Server(uvicorn.Config(app_with(painter), log_level="critical", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=serving.run, args=([listener],))
        thread.start()
        try:
            content = json.dumps(FEW | {"steps": 100}).encode()
            with socket.create_connection(listener.getsockname()) as client:
                head = f"POST /sdapi/v1/txt2img HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
                client.sendall(head.encode() + content)
                turnstile.give(2)
                until(lambda: turnstile.steps == 2)
                drawing = painter.current_job
            until(lambda: drawing.cancelled)
            turnstile.give(1000)
            until(lambda: painter._pending == 0)
            assert turnstile.steps < 5
        finally:
            serving.should_exit = True
            thread.join()


def test_a_drawing_that_fails_fails_alone(pipe, caplog):
    own = type(pipe)(**{**pipe.components, "unet": copy.deepcopy(pipe.unet)}, requires_safety_checker=False)
    troubles = [RuntimeError("no memory")]
    own.unet.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(troubles.pop()) if troubles else None)
    with client_of(own) as (http, _):
        assert "RuntimeError" in refused(http.post("txt2img", json=FEW), 500)
        assert "no memory" in caplog.text
        assert draw(http)["images"]


def test_a_model_that_is_not_there_is_said(monkeypatch):
    def load():
        raise models.ModelUnavailable("The model should be in the folder x.")

    with TestClient(app_with(Painter(load)), base_url="http://test/sdapi/v1/") as http:
        assert refused(http.post("txt2img", json=FEW), 503) == "The model should be in the folder x."


# -- what is refused


BAD_FIELDS = [
    ({"steps": 0}, "steps"),
    ({"steps": 151}, "steps"),
    ({"steps": "many"}, "steps"),
    ({"steps": 2.5}, "steps"),
    ({"cfg_scale": 0}, "cfg_scale"),
    ({"cfg_scale": float("nan")}, "cfg_scale"),
    ({"width": 100}, "width"),
    ({"height": 8}, "height"),
    ({"width": 4096}, "width"),
    ({"batch_size": 0}, "batch_size"),
    ({"n_iter": 65}, "n_iter"),
    ({"seed": -2}, "seed"),
    ({"seed": 10**30}, "seed"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": "x" * 10_001}, "prompt"),
    ({"prompt": "half a character \ud83d"}, "prompt"),
    ({"sampler_name": "Euler b"}, "available: DPM++ 2M, Euler,"),
    ({"sampler_name": "\ud83d"}, "sampler_name"),
    ({"sampler_name": "Euler b Karras"}, "available: DPM++ 2M, Euler,"),
    ({"scheduler": "Cubic"}, "there is no scheduler 'Cubic' here; available: Automatic, Karras,"),
    ({"sampler_name": "LCM", "scheduler": "Karras"}, "LCM does not support 'Karras', only: Automatic"),
    ({"prompt": "a cat <lora:snowman:0.8>"}, "there is no LoRA 'snowman' here"),
    ({"override_settings": 7}, "override_settings"),
    ({"batch_size": 64, "n_iter": 64}, "at most 256 of that size"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_FIELDS, ids=[f"{w}-{i}" for i, (_, w) in enumerate(BAD_FIELDS)])
def test_a_bad_value_is_refused_and_named(http, fields, words):
    answer = http.post("txt2img", content=json.dumps(FEW | fields), headers={"content-type": "application/json"})
    assert words in refused(answer, 422)


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 422), (b"{", 422), (b"[]", 422), (b"7", 422), (b"[" * 100_000, 400)]
)
def test_a_body_that_is_no_json_object(http, content, status):
    refused(http.post("txt2img", content=content, headers={"content-type": "application/json"}), status)


@pytest.mark.parametrize("path", ["txt2img", "img2img", "png-info", "options"])
def test_json_that_is_not_called_json(http, path):
    headers = {"content-type": "application/x-www-form-urlencoded"}  # which is curl -d's
    assert "Content-Type: application/json" in refused(http.post(path, content=json.dumps(FEW), headers=headers), 415)


def test_a_body_that_is_cut_has_no_field(http):
    answer = http.post("txt2img", content=b'{"prompt": ', headers={"content-type": "application/json"})
    assert "not valid JSON" in refused(answer, 422) and answer.json()["detail"][0]["loc"] == ["body"]


def test_other_paths_and_methods(http):
    assert "GET /sdapi/v1/interrogate here: see /sdapi/v1/openapi.json" in refused(http.get("interrogate"), 404)
    assert refused(http.get("txt2img"), 405)


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8)
anything |= st.lists(anything, max_size=2) | st.dictionaries(st.text(max_size=4), anything, max_size=2)
fields = {
    "prompt": st.text(st.characters(codec=None), max_size=9),
    "negative_prompt": st.text(max_size=9),
    "seed": st.integers(-3, 10**20),
    "cfg_scale": st.floats(),
    "width": st.sampled_from([64, 72, 80, 81]),
    "batch_size": st.integers(-1, 2),
    "sampler_name": st.sampled_from([*SAMPLERS, "k_euler", ""]),
}
bodies = st.fixed_dictionaries(
    {"steps": st.just(1)}, optional={name: strategy | anything for name, strategy in fields.items()}
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies | anything)
def test_no_body_brings_it_down(http, body):
    answer = http.post("txt2img", content=json.dumps(body), headers={"content-type": "application/json"})
    if answer.status_code != 200:
        refused(answer, 422)


# -- in the endpoint


def test_the_endpoint_draws_beside_its_chat_and_limits_bodies_in_the_web_uis_words(pipe):
    app = create_app(Engine(*tiny_llava()), "chat", painter=Painter(lambda: pipe), max_body=2_000)
    with TestClient(app, base_url="http://127.0.0.1") as http:
        assert http.get("/health").json()["models"] == ["chat"]
        answer = http.post("/sdapi/v1/txt2img", json=FEW)
        assert len(pictures(answer.json())) == 1
        assert "0.002 MB" in refused(http.post("/sdapi/v1/txt2img", json={"prompt": "x" * 5_000}), 413)


def test_the_endpoint_draws_with_the_registrys_model_when_none_is_given(monkeypatch, pipe):
    monkeypatch.setattr(models, "load", {"diffusion": pipe}.__getitem__)
    with TestClient(create_app(Engine(*tiny_llava()), "chat"), base_url="http://127.0.0.1") as http:
        answer = http.post("/sdapi/v1/txt2img", json=FEW)
        assert httpx.codes.is_success(answer.status_code) and len(pictures(answer.json())) == 1
