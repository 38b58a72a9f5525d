"""What is handed in: provenance in a PNG and in the JSON, the records' file, the request, and its JSON Schema."""

import base64
import io
import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from PIL import Image
from pydantic import ValidationError

from helpers import submission
from helpers.errors import PlainError
from helpers.submission import (
    Provenance,
    Record,
    Submission,
    attach,
    json_schema,
    make_provenance,
    make_record,
    pack,
    pixels_sha256,
    provenance_of,
    read_metadata,
    save_with_provenance,
    write_metadata,
)

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parent.parent


def picture(colour="red", size=(6, 4)):
    return Image.new("RGB", size, colour)


@pytest.fixture
def pipe(tmp_path):
    """As much of a pipeline as provenance is made from."""
    folder = tmp_path / "models" / "diffusion"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "weights.safetensors").write_bytes(b"weights")
    return SimpleNamespace(config=SimpleNamespace(_name_or_path=str(folder)))


def provenance(pipe, image, prompt="a red cat — 🐈", seed=7):
    return make_provenance(image, pipe, prompt=prompt, seed=seed, steps=25, guidance_scale=4)


def test_a_png_carries_its_provenance(pipe, tmp_path):
    image = picture()
    made = provenance(pipe, image)
    path = save_with_provenance(image, tmp_path / "new" / "cat_1.png", made)
    assert provenance_of(path) == made
    assert (made.model, made.seed, made.steps, made.guidance_scale) == ("diffusion", 7, 25, 4.0)
    assert set(made.libraries) == {"diffusers", "torch", "transformers"}
    with Image.open(path) as opened:
        assert pixels_sha256(opened) == made.sha256


def test_provenance_of_before_there_were_adapters_is_read(pipe):
    early = provenance(pipe, picture()).model_dump(exclude={"adapter", "scheduler"})
    said = Provenance.model_validate_json(json.dumps(early))
    assert said.adapter is None and said.scheduler is None
    adapter = {"name": "few_step", "revision": "sha256:1"}
    assert Provenance(**early, adapter=adapter).adapter.weight == 1
    for wrong in ({"name": "few_step"}, {**adapter, "weight": float("inf")}, "few_step"):
        with pytest.raises(ValidationError):
            Provenance(**early, adapter=wrong)


def test_what_is_attached_is_written(pipe, tmp_path):
    image = picture()
    attach(image, provenance(pipe, image))
    assert provenance_of(image.copy()) == provenance(pipe, image)
    assert provenance_of(save_with_provenance(image, tmp_path / "cat.png")) == provenance(pipe, image)


def test_a_picture_without_provenance_is_saved_and_has_none(tmp_path):
    assert provenance_of(save_with_provenance(picture(), tmp_path / "a.png")) is None


@pytest.mark.parametrize("chunk", ["", "not JSON", "{}", '{"prompt": 3}'])
def test_a_chunk_that_is_no_provenance_counts_as_none(chunk):
    image = picture()
    image.info["provenance"] = chunk
    assert provenance_of(image) is None


@pytest.mark.parametrize("content", [None, b"", b"not a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_a_file_that_is_no_picture_has_none(content, tmp_path):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    assert provenance_of(path) is None


def test_a_changed_picture_is_not_saved_under_its_old_provenance(pipe, tmp_path):
    made = provenance(pipe, picture())
    with pytest.raises(PlainError, match="has changed since it was drawn"):
        save_with_provenance(picture("blue"), tmp_path / "a.png", made)
    with pytest.raises(PlainError, match="writes PNG files, but got"):
        save_with_provenance(picture(), tmp_path / "a.jpg", made)
    assert not list(tmp_path.glob("a.*"))


def test_the_hash_is_of_size_and_pixels():
    assert pixels_sha256(picture()) == pixels_sha256(picture().convert("RGBA"))
    assert len({pixels_sha256(p) for p in (picture(), picture("blue"), picture(size=(4, 6)))}) == 3


def test_a_checkpoint_is_named_by_the_hub_or_by_its_weights(pipe, tmp_path):
    name, revision = submission.checkpoint_of(pipe)
    assert name == "diffusion" and revision.startswith("sha256:")
    other = tmp_path / "diffusion"
    other.mkdir()
    (other / "unet.safetensors").write_bytes(b"other weights")
    assert submission.checkpoint_of(SimpleNamespace(config=SimpleNamespace(_name_or_path=other)))[1] != revision
    hub = tmp_path / "models--group--diffusion-v1" / "snapshots" / "451f4f"
    assert submission.checkpoint_of(SimpleNamespace(config=SimpleNamespace(_name_or_path=hub))) == (
        "group/diffusion-v1",
        "451f4f",
    )


@pytest.fixture
def made(pipe, tmp_path, monkeypatch):
    """A notebook's folder with one source picture and two drawn ones, and the record of them."""
    monkeypatch.chdir(tmp_path)
    Path("generated_images").mkdir()
    picture("green").save("generated_images/source.png")
    paths = []
    for i, colour in enumerate(("red", "blue")):
        image = picture(colour)
        path = f"generated_images/cat_{i}.png"
        paths.append(save_with_provenance(image, path, provenance(pipe, image, seed=i)))
    return make_record("a cat", ["a red cat", "a blue cat"], paths, source_image="generated_images/source.png")


def test_a_record_has_what_its_pictures_carry(made):
    assert made.image_paths == ["generated_images/cat_0.png", "generated_images/cat_1.png"]
    assert [each.seed for each in made.provenance] == [0, 1]
    assert make_record("a cat", [], ["missing.png"]).provenance is None
    picture().save("plain.png")
    some = make_record("a cat", ["a", "b"], ["plain.png", *made.image_paths[:1]])
    assert some.provenance[0] is None and some.provenance[1].seed == 0


def test_the_file_gives_the_records_back(made):
    half = make_record("ein großer Frosch", ["p"], ["plain.png", *made.image_paths[:1]])
    path = write_metadata([made, half], "generated_images")
    assert path == Path("generated_images/all_metadata.json")
    assert read_metadata(path) == [made, half]
    assert "großer" in path.read_text(encoding="utf-8")


def test_an_early_submission_is_read(tmp_path):
    path = tmp_path / "all_metadata.json"
    path.write_text('[{"original_description": "a cat", "prompts": ["a"], "image_paths": ["a.png"], "extra": NaN}]')
    (record,) = read_metadata(path)
    assert record.provenance is None and record.source_image is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "Run the cell with send_metadata first"),
        ("{", "Invalid JSON"),
        ("{}", "should be a valid array"),
        ('[{"prompts": [], "image_paths": []}]', "0.original_description: Field required"),
        ('[{"original_description": 3, "prompts": [], "image_paths": []}]', "0.original_description: Input should be"),
        ('[{"original_description": "a", "prompts": ["b", 4], "image_paths": []}]', "0.prompts.1: Input should be"),
        ('[{"original_description": "\\ud800", "prompts": [], "image_paths": []}]', "Invalid JSON"),
        ("[" * 100_000, "recursion limit"),
    ],
)
def test_a_file_that_is_no_submission_gets_a_sentence(text, sentence, tmp_path):
    path = tmp_path / "all_metadata.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PlainError, match=sentence):
        read_metadata(path)


def test_a_record_of_wrong_values_gets_a_sentence():
    with pytest.raises(PlainError, match=r"prompts\.0: .*unicode"):
        make_record("a cat", ["\ud800"], [])
    with pytest.raises(PlainError, match=r"original_description: .*at most 8000"):
        make_record("cat " * 2_001, [], [])


@pytest.mark.parametrize(
    ("prompts", "paths", "sentence"),
    [
        ("a red cat", ["a.png"], "expects a list of prompts, .* but got str: 'a red cat'. Put it in square brackets"),
        (["a red cat"], "a.png", "expects a list of image_paths, .* but got str: 'a.png'"),
        (["a red cat"], Path("a.png"), "expects a list of image_paths, .* but got"),
        (None, [], "expects a list of prompts, .* but got NoneType"),
        (["a red cat"], [picture()], r"image_paths\.0: Input should be a valid string"),
    ],
)
def test_a_record_takes_lists(prompts, paths, sentence):
    with pytest.raises(PlainError, match=sentence):
        make_record("a cat", prompts, paths)


def test_a_record_takes_whatever_can_be_gone_through(made):
    prompts, paths = made.prompts, made.image_paths
    same = make_record("a cat", iter(prompts), (Path(path) for path in paths), source_image=Path(made.source_image))
    assert same == made


@pytest.mark.parametrize("part", ["images", "libraries"])
def test_a_million_wrong_values_get_one_sentence(part):
    many = dict.fromkeys(map(str, range(10_000)), 1)
    body = {"submission": [], "images": many} if part == "images" else {"libraries": many}
    with pytest.raises(ValidationError) as told:
        (Submission if part == "images" else Provenance).model_validate_json(json.dumps(body))
    (sentence,) = (line for line in submission.faults(told.value) if line.startswith(part))
    assert re.fullmatch(rf"{part}: Dictionary should have at most (16|64) items, not 10000\.", sentence)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"seed": True},
        {"seed": 1.5},
        {"steps": 0},
        {"steps": 10**9},
        {"guidance_scale": float("nan")},
        {"sha256": "A" * 64},
        {"sha256": "0" * 65},
        {"sha256": "0" * 64 + "\n"},
        {"prompt": None},
    ],
)
def test_provenance_is_bounded(pipe, change):
    right = provenance(pipe, picture()).model_dump()
    with pytest.raises(ValidationError):
        Provenance(**{**right, **change})


def test_the_request_holds_records_and_pictures(made, tmp_path):
    body = pack([made, made], student="Åsa", course="Picture This")
    jsonschema.validate(body, json_schema())
    assert Submission.model_validate_json(json.dumps(body)).submission == [made, made]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(body["zip"]))) as archive:
        assert sorted(archive.namelist()) == sorted([made.source_image, *made.image_paths])
        assert archive.read(made.source_image) == Path(made.source_image).read_bytes()
    Path(made.source_image).touch()
    assert pack([made, made], student="Åsa", course="Picture This") == body


def test_absolute_paths_become_relative_and_missing_pictures_stay_out(made, tmp_path):
    far = made.model_copy(update={"image_paths": [str(tmp_path / made.image_paths[0]), "missing.png"]})
    body = pack([far], tmp_path)
    assert body["submission"][0]["image_paths"] == [made.image_paths[0], "missing.png"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(body["zip"]))) as archive:
        assert "missing.png" not in archive.namelist()


def test_a_request_takes_no_picture_from_outside(made, tmp_path):
    for path in ("../secret.png", str(tmp_path.parent / "secret.png")):
        with pytest.raises(PlainError, match="is outside"):
            pack([made.model_copy(update={"image_paths": [path]})])
    with pytest.raises(PlainError, match=r"student: .*at most 200"):
        pack([made], student="A" * 201)


def test_the_published_schema_is_fresh():
    published = (ROOT / "docs" / "submission.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == json_schema(), (
        "run `python -m helpers.submission > docs/submission.schema.json` and commit it"
    )
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_refuses_what_the_model_refuses(made):
    record = made.model_dump(exclude_none=True)
    for change in ({"prompts": "a cat"}, {"image_paths": [None]}, {"provenance": [{}]}, {"source_image": 3}):
        wrong = {"submission": [{**record, **change}]}
        assert not jsonschema.Draft202012Validator(json_schema()).is_valid(wrong), change
        with pytest.raises(ValidationError):
            Record.model_validate({**record, **change})
