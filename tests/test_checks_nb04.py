"""Notebook 04's checks pass right answers and name the mistake in wrong ones, whatever BLIP-2's weights are."""

import runpy
from collections import Counter
from pathlib import Path
from random import Random
from threading import Thread

import pytest
import torch
from PIL import Image
from transformers import TextIteratorStreamer

from helpers import checks, models, picturebook
from helpers.checks import CheckFailed, nb04
from helpers.checks.fakes import only_parts, scripted_blip2, tiny_blip2
from helpers.checks.nb04.asking import ask, expect_loaded_once, expect_picture_and_text, some_words
from helpers.checks.nb04.seeing import own_soft_prompts
from helpers.models import Loaded

ANSWERS = runpy.run_path(str(Path(__file__).parent / "answers" / "nb04.py"))
PROMPT = "Question: What colour is the cat? Answer:"


@pytest.fixture(scope="module")
def blip2():
    """A tiny BLIP-2 with random weights, one token for each byte, and its processor."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Blip2Processor, GPT2Tokenizer
    from transformers.models.blip import BlipImageProcessorPil

    words = [*sorted(ByteLevel.alphabet()), "<pad>", "</s>", "<image>"]
    tokenizer = GPT2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[],
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
    )
    images = BlipImageProcessorPil(size={"height": 16, "width": 16}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    torch.manual_seed(1)
    model = tiny_blip2(max_position_embeddings=1024)  # a conversation of five turns has many bytes
    return Loaded(model, Blip2Processor(images, tokenizer, num_query_tokens=model.config.num_query_tokens))


@pytest.fixture(autouse=True)
def loaded(blip2, monkeypatch):
    monkeypatch.setattr(models, "load", lambda role: blip2)


@pytest.fixture
def function(blip2):
    """Gives the student's function that a cell's text defines, as after the notebook's set-up."""

    def define(exercise, source):
        names = {
            **{name: getattr(picturebook, name) for name in picturebook.__all__},
            **{"torch": torch, "Counter": Counter, "Random": Random, "Thread": Thread, "checks": checks},
            **{"TextIteratorStreamer": TextIteratorStreamer, "load": models.load},
            **{"model": blip2.model, "processor": blip2.processor, "tokenizer": blip2.processor.tokenizer},
        }
        for needed in ("soft_prompts", "caption", "complete", "answer", "chat_prompt"):
            if needed != exercise:
                exec(ANSWERS["RIGHT"][needed][0], names)
        exec(source, names)
        return names[exercise]

    return define


@pytest.fixture
def image():
    return Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 30).convert("RGB")


def write(blip2, image, prompt=None, **options):
    """All that BLIP-2 writes after a picture, or a picture and a prompt, the prompt included."""
    model, processor = blip2
    inputs = processor(images=image, return_tensors="pt", **({"text": prompt} if prompt else {}))
    said = model.generate(**inputs, **{"max_new_tokens": 60, "do_sample": False, **options})
    return processor.decode(said[0], skip_special_tokens=True)


@pytest.mark.parametrize("exercise", ANSWERS["RIGHT"])
def test_right_answers_pass(exercise, function, capsys):
    for source in ANSWERS["RIGHT"][exercise]:
        getattr(nb04, exercise)(function(exercise, source))
        assert "100 % of the points" in capsys.readouterr().out


@pytest.mark.parametrize("exercise", nb04.__all__)
def test_the_core_is_worth_more_than_half(exercise):
    cases = getattr(nb04, exercise).cases
    core = [case.share for case in cases if case.core]
    assert sum(case.share for case in cases) == 100
    assert 60 <= sum(core) <= 70 and min(core) >= 20


SAID = {  # a wrong answer of tests/answers → words of the sentence a student reads
    ("readable", "taken away"): "The token 'Ġ.*' should become '_",
    ("readable", "one string"): "a list with a string for each token",
    ("readable", "changes the list it was given"): "changed one of its inputs",
    ("readable", "prints instead of returning"): r"None \(does the function end with `return`\?\)",
    ("soft_prompts", "before the projection"): "send them through model.language_projection",
    ("soft_prompts", "batch dimension left in"): "There is a batch dimension left",
    ("soft_prompts", "queries that saw nothing"): "The queries have not seen the picture",
    ("soft_prompts", "one vector for the whole picture"): "pooler_output is only one",
    ("soft_prompts", "without the vector of the whole picture"): "values are off",
    ("soft_prompts", "lets the model do it"): "lets the model do all of it",
    ("soft_prompts", "squeezes every dimension of size 1"): r"squeeze\(\) removes every dimension",
    ("without_queries", "zeros"): "are zero",
    ("without_queries", "one number for all"): "This is one number",
    ("without_queries", "the mean of the others"): "over the queries that stay",
    ("without_queries", "the mean of those switched off"): "over the queries that are switched off",
    ("without_queries", "the mean taken again each time"): "once, before you replace",
    ("without_queries", "rows taken out"): "get fewer vectors",
    ("without_queries", "the others switched off"): "not those to keep",
    ("without_queries", "counted from one"): "counted from 0",
    ("without_queries", "before the Q-Former"): "before they have seen the picture",
    ("without_queries", "nothing switched off"): "has changed",
    ("without_queries", "any number is a query"): "-1 would switch the last query off",
    ("without_queries", "eats the list"): "changed one of its inputs",
    ("caption", "sampled"): "picked at random",
    ("caption", "beam search"): "4 texts at once",
    ("caption", "special tokens left in"): "skip_special_tokens=True",
    ("caption", "cut short"): "The text is cut off",
    ("caption", "at most 50 tokens"): "The text is cut off",
    ("caption", "a list of one caption"): "should be a str, but it is the list",
    ("caption", "the same picture each time"): "a different picture",
    ("caption", "knows the world by heart"): "was not called at all",
    (
        "caption",
        "begins the caption itself",
    ): "A caption needs no text, but the language model was given 'a picture of'",
    ("caption", "spaces left in"): r"Use \.strip\(\)",
    ("complete", "prompt echoed"): "The text begins with the prompt",
    ("complete", "cut at Answer:"): "The text begins with the prompt",
    ("complete", "without the picture's places"): "called without the picture",
    ("complete", "a space behind the prompt"): "should be given 'Question: .* Answer:', but .* Answer: '",
    ("complete", "the prompt is trimmed"): "but it was given 'a photo of'",
    ("answer", "no Answer:"): r"Answer:', but it was given 'Question: [^']*\?'",
    ("answer", "the first word only"): "cut off",
    ("chat_prompt", "no full stop"): "followed by one full stop",
    ("chat_prompt", "two full stops"): "two full stops",
    ("chat_prompt", "newest first"): "the oldest turn comes first",
    ("chat_prompt", "only the last turn"): "Not all of the memory",
    ("chat_prompt", "line breaks between turns"): "single spaces",
    ("chat_prompt", "a space at the end"): "right after 'Answer:'",
    ("chat_prompt", "eats the memory"): "changed one of its inputs",
    ("Conversation", "one list for all"): "they share a list",
    ("Conversation", "one default list for all"): "they share a list",
    ("Conversation", "one picture for all"): "a different picture",
    ("Conversation", "remembers nothing"): r"After 1 question the memory should be \[\(",
    ("Conversation", "asks with the last two turns"): "The language model should be given",
    ("Conversation", "reset keeps the list"): r"After reset\(\) the memory should be empty",
}


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault, function):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(nb04, exercise)(function(exercise, source))


def test_a_memory_that_is_no_list_of_pairs_is_named(function):
    for memory, said in ((None, "memory should be a list, but it is None"), (["cat"], "a list of pairs")):
        right = function("Conversation", ANSWERS["RIGHT"]["Conversation"][0])
        strange = type(
            "Conversation", (right,), {"memory": property(lambda self, m=memory: m, lambda self, value: None)}
        )
        strange.ask = lambda self, question: "cat"
        with pytest.raises(CheckFailed, match=said):
            nb04.Conversation(strange)


def test_a_model_loaded_anew_is_noticed_and_says_what_the_check_wants(blip2, image, tmp_path):
    blip2.model.save_pretrained(tmp_path)

    def caption(image):
        return write(Loaded(type(blip2.model).from_pretrained(tmp_path).eval(), blip2.processor), image)

    call = ask(caption, image, reply="a red cat")
    expect_picture_and_text(call, image, "")
    assert call.result == "a red cat"
    with pytest.raises(CheckFailed, match="loaded again on each call"):
        expect_loaded_once(caption, image)


def test_blip2_says_the_text_and_is_left_as_it_was(blip2, image):
    own = write(blip2, image)
    with scripted_blip2(" a red cat") as record:
        assert write(blip2, image, PROMPT) == f"{PROMPT} a red cat"
        assert write(blip2, image, "This is", max_new_tokens=4) == "This is a r"  # cut off by the function
        assert write(blip2, image, "This is", use_cache=False) == "This is a red cat"  # and begun anew
    assert [request.text for request in record.requests[:2]] == [PROMPT, "This is"]
    assert not record.sampled
    with pytest.raises(RuntimeError), scripted_blip2("a cat"):
        raise RuntimeError("a student's error")
    assert write(blip2, image) == own


def test_sampling_and_beam_search_are_recorded(blip2, image):
    with scripted_blip2("a cat") as record:
        write(blip2, image, do_sample=True)
    assert record.sampled and record.requests[0].rows == 1
    with scripted_blip2("a cat") as record:
        write(blip2, image, num_beams=3)
    assert not record.sampled and record.requests[0].rows == 3


def test_picture_and_text_are_recorded_through_the_language_model_alone(blip2, image):
    model, processor = blip2
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    soft = own_soft_prompts(model, pixels)[None]
    ids = processor.tokenizer("a cat", return_tensors="pt")["input_ids"]
    words = model.get_input_embeddings()(ids)
    with scripted_blip2("!") as record, torch.no_grad():
        model.language_model(inputs_embeds=torch.cat([soft, words], dim=1))
        model.language_model(inputs_embeds=torch.cat([words, soft], dim=1))
        model.language_model(ids)
    assert [(each.text, bool(each.in_front), len(each.soft_prompts)) for each in record.requests] == [
        ("a cat", True, 5),
        ("a cat", False, 5),
        ("a cat", True, 0),
    ]
    assert torch.allclose(record.requests[0].soft_prompts, soft[0], atol=1e-5)


def test_only_the_parts_of_a_model_can_be_asked(blip2, image):
    pixels = blip2.processor(images=image, return_tensors="pt")["pixel_values"]
    with only_parts(blip2.model, "take it apart"):
        assert blip2.model.vision_model(pixels).last_hidden_state.shape[0] == 1
        with pytest.raises(CheckFailed, match="take it apart"):
            blip2.model.generate(pixels)
    assert len(blip2.model.generate(pixels, max_new_tokens=1))


def test_words_fit_into_as_many_tokens(blip2):
    for seed in range(5):
        for least, most in ((1, 6), (10, 16), (53, 59)):
            text = some_words(Random(seed), most, least=least)
            assert least <= len(text.encode()) <= most and text == text.strip(" ,")
