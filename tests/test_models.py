"""helpers.models: loading both profiles offline, and the sentence for everything that can be missing."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import huggingface_hub.constants
import pytest
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors import safe_open

from helpers import models
from helpers.models import ModelUnavailable, entry, load, roles, status
from helpers.settings import REPOSITORY, settings

ROLES = ("clip", "diffusion", "vqa", "blip2", "chat")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A folder with a model for every role: random weights in the shapes of nothing, saved by the libraries themselves."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DPMSolverMultistepScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
        CLIPProcessor,
        CLIPTextModel,
        CLIPTokenizer,
    )

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    letters = [letter + end for end in ("", "</w>") for letter in sorted(ByteLevel.alphabet())]
    words = {word: number for number, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=words, merges=[], model_max_length=16)
    width = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    config = CLIPConfig(
        text_config={**width, **ends, "vocab_size": len(words), "max_position_embeddings": 16},
        vision_config={**width, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    CLIPModel(config).save_pretrained(folder / "clip")
    CLIPProcessor(image_processor=image_processor, tokenizer=tokenizer).save_pretrained(folder / "clip")
    StableDiffusionPipeline(
        vae=AutoencoderKL(block_out_channels=(4,), norm_num_groups=2, latent_channels=4, layers_per_block=1),
        text_encoder=CLIPTextModel(config.text_config),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(4, 8),
            norm_num_groups=2,
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
        ),
        scheduler=DPMSolverMultistepScheduler(steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "diffusion")
    save_tiny_vqa(folder / "vqa", width)
    save_tiny_talkers(folder, width, config.vision_config, image_processor)
    return folder


def save_tiny_vqa(folder: Path, width: dict):
    from transformers import BertTokenizer, ViltConfig, ViltForQuestionAnswering, ViltImageProcessorPil, ViltProcessor

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "?"]
    answers = {0: "cat", 1: "dog"}
    config = ViltConfig(**width, vocab_size=len(words), image_size=16, patch_size=8, id2label=answers)
    ViltForQuestionAnswering(config).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)}, model_max_length=16)
    image_processor = ViltImageProcessorPil(size={"shortest_edge": 16}, size_divisor=8)
    ViltProcessor(image_processor=image_processor, tokenizer=tokenizer).save_pretrained(folder)


def save_tiny_talkers(folder: Path, width: dict, vision_config, image_processor):
    """blip2/ and chat/, which share a byte-level vocabulary."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        BlipImageProcessorPil,
        GPT2Tokenizer,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        OPTConfig,
    )

    pieces = ["<pad>", "</s>", "<image>", *sorted(ByteLevel.alphabet())]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    special = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "</s>", "unk_token": "</s>"}
    tokenizer = partial(GPT2Tokenizer, vocab=vocab, merges=[], padding_side="left", **special)
    ends = {"vocab_size": len(vocab), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64}
    Blip2ForConditionalGeneration(
        Blip2Config(
            vision_config={**width, "image_size": 16, "patch_size": 8},
            qformer_config={**width, "vocab_size": 8, "encoder_hidden_size": 16, "cross_attention_frequency": 1},
            text_config=OPTConfig(**sizes, **ends, ffn_dim=16, word_embed_proj_dim=16).to_dict(),
            num_query_tokens=2,
            image_token_index=2,
        )
    ).save_pretrained(folder / "blip2")
    Blip2Processor(
        BlipImageProcessorPil(size={"height": 16, "width": 16}), tokenizer(), num_query_tokens=2
    ).save_pretrained(folder / "blip2")
    LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision_config.to_dict(),
            text_config=LlamaConfig(**sizes, **ends, intermediate_size=16).to_dict(),
            image_token_index=2,
            vision_feature_layer=-1,
        )
    ).save_pretrained(folder / "chat")
    LlavaProcessor(
        image_processor,
        tokenizer(extra_special_tokens={"image_token": "<image>"}),  # which Blip2Processor can't do with
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template="{% for message in messages %}{{ message['content'] }}{% endfor %}",
    ).save_pretrained(folder / "chat")


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Nothing loaded, an empty hub cache, no connection, no GPU."""
    import torch

    monkeypatch.setattr(models.loading, "_loaded", {})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name, value in {"profile": "mini", "device_choice": "cpu", "models_dir": tmp_path / "models"}.items():
        monkeypatch.setattr(settings, name, value)


@pytest.fixture
def mini(tiny, monkeypatch):
    monkeypatch.setattr(settings, "models_dir", tiny)


@pytest.fixture
def full(monkeypatch):
    """The profile `full`; the full models' memory needs are not this computer's problem."""
    import psutil

    monkeypatch.setattr(settings, "profile", "full")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100e9}))


def put_in_cache(checkpoint: Path, choice: models.Entry, cache: Path) -> Path:
    """Lays a checkpoint out as the hub's cache does, under the file names that the registry expects."""
    repository = cache / f"models--{choice.id.replace('/', '--')}"
    snapshot = repository / "snapshots" / choice.revision
    shutil.copytree(checkpoint, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(choice.revision)
    if choice.role == "clip":
        # The published checkpoints have merges.txt and pytorch_model.bin, as old versions of the library wrote them.
        import torch
        from safetensors.torch import load_file

        (snapshot / "merges.txt").write_text("#version: 0.2\n")
        torch.save(load_file(snapshot / "model.safetensors"), snapshot / "pytorch_model.bin")
        (snapshot / "model.safetensors").unlink()
    elif choice.role == "diffusion":
        (snapshot / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    elif choice.role in ("blip2", "chat"):  # large checkpoints come in several files
        (snapshot / "model.safetensors").rename(snapshot / "model-00001-of-00001.safetensors")
        names = safe_open(snapshot / "model-00001-of-00001.safetensors", "np").keys()
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
        (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in choice.files:  # vocabularies as old versions of the library wrote them; new ones read tokenizer.json
        if "*" not in name and "/" not in name and not (snapshot / name).exists():
            (snapshot / name).touch()
    return snapshot


def refusal(role: str) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load(role)
    return str(caught.value)


# -- the registry


def test_every_role_has_both_profiles_with_what_the_registry_promises(monkeypatch):
    assert roles() == ROLES
    for role in ROLES:
        small = entry(role)
        assert small.id in (role, f"picture-book-{role}") and small.licence and 0 < small.memory_gb < 1
        assert (REPOSITORY / "models" / role).is_dir()
        monkeypatch.setattr(settings, "profile", "full")
        for choice in (entry(role), *entry(role).fallback):
            assert choice.id.count("/") == 1 and len(choice.revision) == 40 and choice.licence
            assert choice.download_gb >= 0.5 and choice.memory_gb >= 1 and "*.json" in choice.files
        monkeypatch.setattr(settings, "profile", "mini")


def test_a_graphics_card_gets_the_half_precision_files(monkeypatch):
    import torch

    monkeypatch.setattr(settings, "profile", "full")
    assert "unet/diffusion_pytorch_model.safetensors" in entry("diffusion").files
    on_cpu = entry("diffusion").download_gb
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(settings, "device_choice", "cuda")
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in entry("diffusion").files
    assert entry("diffusion").download_gb < on_cpu


def test_an_unknown_role_lists_the_roles():
    assert refusal("difusion") == "There is no role 'difusion'. The roles are: clip, diffusion, vqa, blip2, chat."


# -- the profile mini


def test_mini_models_load_once_ready_to_use(mini, capfd):
    import torch

    clip, pipe = load("clip"), load("diffusion")
    assert clip.model is load("clip").model and pipe is load("diffusion")
    assert not clip.model.training and clip.model.dtype == pipe.unet.dtype == torch.float32
    assert pipe.safety_checker is None
    image = pipe("a cat", num_inference_steps=2, height=8, width=8, output_type="pil").images[0]
    inputs = clip.processor(text=["a cat"], images=[image], return_tensors="pt")
    assert clip.model(**inputs).logits_per_image.shape == (1, 1)
    assert capfd.readouterr() == ("", "")  # a graded cell that writes to stderr scores nothing


def test_threads_that_want_a_model_at_once_share_one(mini, monkeypatch):
    loads = []

    def slowly(folder):
        loads.append(folder.name)
        time.sleep(0.2)  # in which all others come to ask for it
        return object()

    monkeypatch.setitem(models.loading._LOADERS, "clip", slowly)
    monkeypatch.setattr(models.loading, "_loaded", {})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load, ["clip"] * 4))
    assert len(set(map(id, found))) == 1 and loads == ["clip"]


@pytest.mark.parametrize(
    ("role", "text", "model_class"),
    [
        ("vqa", "what?", "ViltForQuestionAnswering"),
        ("blip2", "Question: what? Answer:", "Blip2ForConditionalGeneration"),
        ("chat", "<image>what?", "LlavaForConditionalGeneration"),
    ],
)
def test_the_models_that_see_and_talk(mini, capfd, role, text, model_class):
    import torch
    from PIL import Image

    model, processor = load(role)
    assert type(model).__name__ == model_class and not model.training
    assert model.dtype == torch.float32 and model.device.type == "cpu"
    picture = Image.new("RGB", (16, 16), "red")
    inputs = processor(images=picture, text=text, return_tensors="pt")
    with torch.inference_mode():
        assert torch.isfinite(model(**inputs).logits).all()
    assert capfd.readouterr() == ("", "")


def test_half_precision_weights_on_disk_are_float32_in_memory(tiny, monkeypatch, tmp_path):
    """The committed mini weights are fp16; newer transformers would keep them so."""
    import torch
    from transformers import CLIPModel

    shutil.copytree(tiny / "clip", tmp_path / "models" / "clip")
    CLIPModel.from_pretrained(tiny / "clip").half().save_pretrained(tmp_path / "models" / "clip")
    assert load("clip").model.dtype == torch.float32


def test_a_missing_folder():
    text = refusal("clip")
    assert f"should be in {settings.models_dir / 'clip'}, but there is no such folder" in text
    assert "git checkout -- models" in text and "COURSE_MODELS" in text
    assert status("clip") == (False, text)


def test_an_lfs_pointer(tiny, monkeypatch, tmp_path):
    shutil.copytree(tiny / "clip", tmp_path / "models" / "clip")
    weights = tmp_path / "models" / "clip" / "model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "is a git-LFS pointer" in refusal("clip") and "git lfs pull" in refusal("clip")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_damaged_weights(tiny, monkeypatch, tmp_path, role, damage):
    shutil.copytree(tiny / role, tmp_path / "models" / role)
    weights = sorted((tmp_path / "models" / role).rglob("*.safetensors"))[0]
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000])
    text = refusal(role)
    assert "are damaged or incomplete" in text and "git checkout -- models" in text


def test_too_little_memory(mini, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100e6}))
    text = refusal("diffusion")
    assert text.startswith("diffusion needs 0.5 GB of free memory on the cpu, but only 0.1 GB is free.")


# -- the profile full


def test_the_full_profile_from_the_hubs_cache_offline(tiny, tmp_path, monkeypatch):
    """As a student meets it: a new Python, HF_HOME with the checkpoints, no connection."""
    monkeypatch.setattr(settings, "profile", "full")
    for role in ROLES:
        put_in_cache(tiny / role, entry(role), tmp_path / "home" / "hub")
    code = """
import json, psutil
psutil.virtual_memory = lambda: type("Memory", (), {"available": 100e9})
from helpers.models import load
pipe = load("diffusion")
print(json.dumps([type(pipe).__name__, str(pipe.unet.dtype)]))
for role in ("clip", "vqa", "blip2", "chat"):
    print(json.dumps([type(part).__name__ for part in load(role)]))
"""
    environment = {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "COURSE_PROFILE": "full",
        "COURSE_DEVICE": "cpu",
    }
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    slow, *found = ran.stdout.splitlines()
    assert slow == "There is no GPU here, so Stable Diffusion will take minutes per picture."
    assert list(map(json.loads, found)) == [
        ["StableDiffusionPipeline", "torch.float32"],
        ["CLIPModel", "CLIPProcessor"],
        ["ViltForQuestionAnswering", "ViltProcessor"],
        ["Blip2ForConditionalGeneration", "Blip2Processor"],
        ["LlavaForConditionalGeneration", "LlavaProcessor"],
    ]


def test_no_connection_and_nothing_downloaded(full, capsys):
    text = refusal("diffusion")
    assert text.startswith("stable-diffusion-v1-5/stable-diffusion-v1-5 is not on this computer yet")
    assert "Check the internet connection" in text and text.endswith("set COURSE_PROFILE=mini and restart the kernel.")
    assert capsys.readouterr().out.count("Downloading") == 1  # the fallback would come from the same hub
    assert status("diffusion") == (True, "stable-diffusion-v1-5/stable-diffusion-v1-5: 4.3 GB to download")


def test_no_connection_but_the_fallback_is_here(full, tiny, tmp_path, capsys):
    (second,) = entry("clip").fallback
    put_in_cache(tiny / "clip", second, tmp_path / "hub")
    assert load("clip").model.config.projection_dim == 8
    assert capsys.readouterr().out.endswith(f"Using {second.id} instead.\n")


def test_an_interrupted_download_counts_as_none(full, tiny, tmp_path):
    snapshot = put_in_cache(tiny / "diffusion", entry("diffusion"), tmp_path / "hub")
    assert status("diffusion") == (True, "stable-diffusion-v1-5/stable-diffusion-v1-5 is downloaded")
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert models.cached(entry("diffusion")) is None


def test_a_damaged_download(full, tiny, tmp_path):
    snapshot = put_in_cache(tiny / "diffusion", entry("diffusion"), tmp_path / "hub")
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"not weights")
    text = refusal("diffusion")
    assert str(snapshot) in text and text.endswith("Delete that folder and run this again to download it once more.")


def test_too_little_memory_for_a_full_model(full, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2e9}))
    text = refusal("diffusion")
    assert "needs 7.0 GB of free memory on the cpu, but only 2.0 GB is free" in text and "COURSE_PROFILE=mini" in text


def test_a_model_that_left_the_hub_gives_way_to_its_fallback(full, tiny, tmp_path, monkeypatch, capsys):
    wanted = entry("clip")
    (second,) = wanted.fallback

    def hub(id, *, revision, allow_patterns, local_files_only=False, token=None):
        """The hub on a day when the first choice is gone: 404 for it, the files for its fallback."""
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError(id)
        if id == wanted.id:
            response = httpx.Response(404, request=httpx.Request("GET", "http://localhost/"))
            raise RepositoryNotFoundError("404", response=response)
        assert (id, revision, list(allow_patterns)) == (second.id, second.revision, list(second.files))
        return str(put_in_cache(tiny / "clip", second, tmp_path / "hub"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert load("clip").model.config.projection_dim == 8
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "Downloading openai/clip-vit-base-patch32 (MIT): about 0.6 GB, once; "
        "an interrupted download resumes where it stopped.",
        "openai/clip-vit-base-patch32 is no longer public on the hub. "
        "Trying laion/CLIP-ViT-B-32-laion2B-s34B-b79K instead.",
        "Downloading laion/CLIP-ViT-B-32-laion2B-s34B-b79K (MIT): about 0.6 GB, once; "
        "an interrupted download resumes where it stopped.",
    ]


@pytest.mark.parametrize(("version", "keyword"), [("0.39.0", "torch_dtype"), ("0.42.1", "dtype"), ("0.50.0", "dtype")])
def test_half_precision_on_a_graphics_card(full, tmp_path, monkeypatch, capsys, version, keyword):
    """No test machine has a graphics card: what reaches diffusers is what can be tested."""
    import diffusers
    import torch

    given = {}

    class Pipe:
        def set_progress_bar_config(self, *, disable):
            given["bar"] = not disable

        def to(self, device):
            given["device"] = device
            return self

    def from_pretrained(folder, **options):
        given.update(options)
        return Pipe()

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (15e9, 16e9))
    monkeypatch.setattr(settings, "device_choice", "auto")
    monkeypatch.setattr(diffusers, "__version__", version)
    monkeypatch.setattr(diffusers.StableDiffusionPipeline, "from_pretrained", from_pretrained)
    snapshot = tmp_path / "hub" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5" / "snapshots"
    for name in entry("diffusion").files:
        file = snapshot / entry("diffusion").revision / name.replace("*", "model_index")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    load("diffusion")
    assert given == {
        keyword: torch.float16,
        "variant": "fp16",
        "safety_checker": None,
        "requires_safety_checker": False,
        "local_files_only": True,
        "bar": False,
        "device": "cuda",
    }
    assert capsys.readouterr().out == ""
