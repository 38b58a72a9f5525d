"""The trainings of the models that talk: each takes CLIP's eyes as they are, and learns what it is shown."""

import numpy as np
import pytest
import torch
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2Processor,
    CLIPConfig,
    CLIPModel,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    ViltForQuestionAnswering,
    ViltProcessor,
)

from course.data import drawn, fresh_scenes, stacked, to_pixels
from course.labels import IGNORE
from course.talk import template
from course.talk.messages import Dialogue
from course.train import blip2, chat, vqa
from course.train.clip import new_processor as clip_processor
from course.train.labels import word_labels
from course.train.language import Tokens, groups, order_by_length, padded, reply_loss
from course.train.tokenizer import train_tokenizer
from course.train.vision import fold_pre_layernorm
from helpers.picturebook import COLOURS, Scene, Thing


@pytest.fixture(scope="module")
def data():
    """Forty drawings."""
    return [drawn(scene) for scene in fresh_scenes(40, 9)]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A CLIP of the mini models' vision width, two layers, random weights."""
    torch.manual_seed(0)
    vision = {
        "hidden_size": 192,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 128,
        "patch_size": 16,
        "hidden_act": "gelu",
    }
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
    text |= {"vocab_size": 600, "bos_token_id": 598, "eos_token_id": 599, "pad_token_id": 599}
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=8))
    with torch.no_grad():  # norms that are not the identity, as trained ones are not
        for norm in (model.vision_model.pre_layrnorm, model.vision_model.post_layernorm):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    clip_processor(train_tokenizer(["a red cat on a meadow"], merges=10)).save_pretrained(folder)
    return folder


@pytest.fixture
def pixels(data):
    return to_pixels(stacked(data[:8]))


def test_a_folded_layer_norm_gives_nearly_what_clip_s_embedding_gives(clip_folder, pixels):
    vision = CLIPModel.from_pretrained(clip_folder).vision_model
    folded = fold_pre_layernorm(vision, pixels)
    wanted = vision.pre_layrnorm(vision.embeddings(pixels))
    patches = torch.nn.functional.conv2d(pixels, folded["patch.weight"], folded["patch.bias"], stride=16).flatten(2).mT
    got = torch.cat([folded["class"].expand(len(pixels), 1, -1), patches], 1) + folded["position"]
    assert torch.nn.functional.cosine_similarity(got, wanted, dim=-1).mean() > 0.95


def test_replies_alone_are_learnt_and_padding_changes_nothing():
    texts = [Tokens([5, 6, 7, 8], [False, False, True, True]), Tokens([5, 9], [False, True])]
    batch = padded(texts, 0)
    assert batch["ids"].tolist() == [[5, 6, 7, 8], [5, 9, 0, 0]] and batch["mask"].sum().item() == 6
    assert batch["labels"].tolist() == [[IGNORE, IGNORE, 7, 8], [IGNORE, 9, IGNORE, IGNORE]]
    hidden, head = torch.randn(2, 4, 3), torch.nn.Linear(3, 10)
    told = head(hidden).log_softmax(-1)
    by_hand = -torch.stack([told[0, 1, 7] + told[0, 2, 8], told[1, 0, 9]])
    assert torch.allclose(reply_loss(hidden, batch["labels"], head), by_hand)


def test_texts_of_like_length_go_together():
    texts = [Tokens([0] * n, [True] * n) for n in (9, 2, 8, 3)]
    order = order_by_length(texts)
    assert order == [1, 3, 2, 0]
    parts = list(groups(padded([texts[i] for i in order], 0), 2))
    assert [part["ids"].shape for part in parts] == [(2, 3), (2, 9)]


def learns(recipe, data, progress, steps=12):
    """The losses before and after so many steps on one batch."""
    batch = recipe.batches.make(data[:8], 8, np.random.default_rng(0), progress)
    before = recipe.loss(batch, progress).item()
    optimizer = torch.optim.AdamW((p for p in recipe.modules.parameters() if p.requires_grad), lr=2e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        recipe.loss(batch, progress).backward()
        optimizer.step()
    return before, recipe.loss(batch, progress).item()


def test_vilt_learns_and_its_export_sees_what_its_training_saw(data, clip_folder, tmp_path, pixels):
    recipe = vqa.VQARecipe(clip_folder)
    before, after = learns(recipe, data, 0.5)
    assert after < 0.8 * before

    recipe.export(recipe.modules, tmp_path / "out")
    model, processor = (c.from_pretrained(tmp_path / "out") for c in (ViltForQuestionAnswering, ViltProcessor))
    model.eval()
    from PIL import Image

    images = [Image.fromarray(drawing.pixels) for drawing in data[:8]]
    inputs = processor(images=images, text=["What colour is the zebra?"] * 8, return_tensors="pt")
    assert torch.allclose(inputs["pixel_values"], pixels)
    assert processor.tokenizer.unk_token_id not in inputs["input_ids"]
    words = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    own = recipe.modules["vilt"].eval()(
        **words, image_embeds=recipe._image_embeds(pixels), pixel_mask=torch.ones(8, 65)
    )
    assert torch.allclose(model(**inputs).logits, own.logits, atol=0.02)
    assert set(model.config.id2label.values()) == set(vqa.ANSWERS)


def test_questions_without_an_answer_are_rare_and_have_none(data):
    rng = np.random.default_rng(0)
    asked = [vqa.ask_something(data[i % 40].scene, rng) for i in range(2000)]
    unanswered = [question for question, answer in asked if answer is None]
    assert 0.05 < len(unanswered) / len(asked) < 0.12
    assert {answer for _, answer in asked if answer} <= set(vqa.ANSWERS)


def test_a_word_looks_up_what_the_picture_says_of_its_thing():
    cats = (Thing("cat", "red"), Thing("cat", "blue"))
    scenes = [Scene((Thing("cat", "red"),), "meadow"), Scene(cats, "meadow", relation="left of")]
    colours = word_labels(torch.tensor([[7, 3, 5], [3, 5, 7]]), {3: "cat", 5: "dog"}, scenes)[..., 0]
    assert colours.tolist() == [[IGNORE, 1 + COLOURS.index("red"), 0], [IGNORE, 0, IGNORE]]


def test_the_chat_model_learns_in_stages(data, clip_folder):
    recipe = chat.ChatRecipe(clip_folder)
    llava = recipe.modules["llava"]
    eyes = {name: weight.clone() for name, weight in llava.model.vision_tower.state_dict().items()}
    assert chat.stage(0.0) == "language" and chat.stage(chat.LANGUAGE_UNTIL) == "projector"
    for progress, learnt, kept in (
        (0.0, "language_model", "multi_modal_projector"),
        (chat.LANGUAGE_UNTIL, "multi_modal_projector", "language_model"),
    ):
        recipe.modules.zero_grad(set_to_none=True)
        batch = recipe.batches.make(data[:4], 4, np.random.default_rng(0), progress)
        recipe.loss(batch, progress).backward()
        assert all(p.grad is not None for p in getattr(llava.model, learnt).parameters())
        assert all(p.grad is None for p in getattr(llava.model, kept).parameters())
    before, after = learns(recipe, data, 0.5)
    assert after < 0.8 * before
    for name, weight in llava.model.vision_tower.state_dict().items():
        assert torch.equal(weight, eyes[name]), "the vision tower is frozen"


def test_a_training_that_goes_on_keeps_the_tokenizer_of_its_weights(data, clip_folder, tmp_path, monkeypatch):
    first = chat.ChatRecipe(clip_folder)
    first.export(first.modules, tmp_path)
    monkeypatch.setattr(template, "random_dialogue", lambda *_: Dialogue.of(None, [("Moo?", "Moo!")]))
    assert chat.ChatRecipe(clip_folder, tmp_path).tokenizer.get_vocab() == first.tokenizer.get_vocab()
    assert chat.ChatRecipe(clip_folder).tokenizer.get_vocab() != first.tokenizer.get_vocab()


def test_the_chat_template_writes_what_the_chat_model_was_trained_on(data, clip_folder, tmp_path):
    recipe = chat.ChatRecipe(clip_folder)
    recipe.export(recipe.modules, tmp_path)
    processor = LlavaProcessor.from_pretrained(tmp_path)
    from PIL import Image

    picture = Image.fromarray(data[0].pixels)
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Thanks!"},
    ]
    inputs = processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    dialogue = Dialogue.of(None, [("What is it?", "A cat."), ("Thanks!", "You are welcome!")], "Be brief.")
    trained = template.encode(dialogue, recipe.tokenizer, image=template.IMAGE * 64)
    n = inputs["input_ids"].shape[1]
    assert trained.ids[:n] == inputs["input_ids"][0].tolist()
    assert recipe.tokenizer.decode(trained.ids[n:]) == " You are welcome!</s>" and all(trained.loss_mask[n:])

    model = LlavaForConditionalGeneration.from_pretrained(tmp_path).eval()
    made = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert made.shape[1] <= n + 3 and model.dtype == torch.float32


def test_blip2_learns_and_its_export_sees_what_its_training_saw(data, clip_folder, tmp_path, pixels):
    recipe = blip2.Blip2Recipe(clip_folder)
    for progress in (0.0, blip2.LANGUAGE_UNTIL):
        batch = recipe.batches.make(data[:8], 8, np.random.default_rng(0), progress)
        assert torch.isfinite(recipe.loss(batch, progress))
    before, after = learns(recipe, data, 0.5)
    assert after < 0.8 * before

    recipe.export(recipe.modules, tmp_path / "out")
    model, processor = (c.from_pretrained(tmp_path / "out") for c in (Blip2ForConditionalGeneration, Blip2Processor))
    model.eval()
    from PIL import Image

    image = Image.fromarray(data[0].pixels)
    prompt = "Question: What is it? Answer:"
    inputs = processor(images=image, text=prompt, return_tensors="pt")
    own = recipe.tokenizer(blip2.IMAGE * blip2.QUERIES + prompt, add_special_tokens=False)["input_ids"]
    assert inputs["input_ids"][0].tolist() == own
    assert torch.allclose(inputs["pixel_values"], pixels[:1])
    words = recipe.modules["blip"].language_model
    soft = recipe.modules["blip"].language_projection(recipe._queries(pixels[:1]))
    embeds = torch.cat([soft, words.get_input_embeddings()(inputs["input_ids"])[:, blip2.QUERIES :]], 1)
    assert torch.allclose(model(**inputs).logits, words(inputs_embeds=embeds).logits, atol=0.05)
    assert any("Ġ" in token for token in processor.tokenizer.get_vocab())
    said = processor.decode(model.generate(**inputs, max_new_tokens=2)[0], skip_special_tokens=True)
    assert said.startswith(prompt)
