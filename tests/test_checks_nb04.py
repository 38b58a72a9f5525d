"""The checks of notebook 04 listen to what a language model is given, and name the mistake. Here it is a tiny one."""

import pytest
import torch
from PIL import Image

from helpers import checks
from helpers.checks import CheckFailed, nb04
from helpers.models import Loaded

PROMPT = "Question: What colour is the cat? Answer:"


@pytest.fixture(scope="module")
def blip2():
    """A tiny BLIP-2 with random weights, one token a byte, and its processor."""
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
    model = nb04.tiny_blip2(max_position_embeddings=512)
    return Loaded(model, Blip2Processor(images, tokenizer, num_query_tokens=model.config.num_query_tokens))


@pytest.fixture(autouse=True)
def loaded(blip2, monkeypatch):
    monkeypatch.setattr("helpers.models.load", lambda role: blip2)


@pytest.fixture
def image():
    return Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 30).convert("RGB")


def write(blip2, image, prompt=None, *, new_only=True, picture=True, **generate):
    """A student's caption (prompt None) or completion, with a mistake where the arguments say so."""
    model, processor = blip2
    words = {} if prompt is None else {"text": prompt}
    inputs = processor(images=image, return_tensors="pt", **words)
    if not picture:
        inputs["input_ids"] = processor.tokenizer(prompt, return_tensors="pt")["input_ids"]
        del inputs["attention_mask"]
    said = model.generate(**inputs, **{"max_new_tokens": 60, "do_sample": False, **generate})
    start = inputs["input_ids"].shape[1] if prompt and new_only else 0
    return processor.decode(said[0, start:], skip_special_tokens=True).strip()


def conversation(blip2, **changes):
    """A student's class Conversation, some of it changed."""

    class Conversation:
        def __init__(self, image):
            self.image, self.memory = image, []

        def ask(self, question):
            told = "".join(f"Question: {q} Answer: {a.strip().rstrip('.')}. " for q, a in self.memory)
            said = write(blip2, self.image, f"{told}Question: {question} Answer:")
            self.memory.append((question, said))
            return said

        def reset(self):
            self.memory = []

    return type("Conversation", (Conversation,), changes)


def own(model, pixel_values):
    with torch.no_grad():
        seen = model.vision_model(pixel_values).last_hidden_state
        found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
        return model.language_projection(found)[0]


def test_right_answers_pass_and_are_told_that_it_is_not_the_whole_grade(blip2, capsys):
    nb04.readable(lambda tokens: [token.replace("Ġ", "_") for token in tokens])
    nb04.soft_prompts(own)
    nb04.caption(lambda image: write(blip2, image))
    nb04.complete(lambda image, prompt: write(blip2, image, prompt))
    nb04.answer(lambda image, question: write(blip2, image, f"Question: {question} Answer:"))
    nb04.Conversation(conversation(blip2))
    assert capsys.readouterr().out.count("hidden tests decide") == 6


def test_the_right_chat_prompt_passes():
    def chat_prompt(memory, question):
        turns = [f"Question: {q.strip()} Answer: {a.strip(' .')}." for q, a in memory]
        return " ".join([*turns, f"Question: {question.strip()} Answer:"])

    nb04.chat_prompt(chat_prompt)


@pytest.mark.parametrize(
    "mistake, says",
    [
        ({"prompt": None}, "should be given 'Question: .*', but it was given ''"),
        ({"prompt": PROMPT + " "}, "Answer: '"),
        ({"prompt": PROMPT, "new_only": False}, "begins with the prompt"),
        ({"prompt": PROMPT, "picture": False}, "asked without the picture"),
        ({"prompt": PROMPT, "do_sample": True}, "at random"),
        ({"prompt": PROMPT, "max_new_tokens": 3}, "cut off"),
    ],
)
def test_the_sentence_names_a_mistake_in_asking(blip2, image, mistake, says):
    tried = nb04.trial(lambda image: write(blip2, image, **mistake), image, tokens=9)
    with pytest.raises(CheckFailed, match=says):
        nb04.expect_reply(tried, image, PROMPT, tokens=9)


@pytest.mark.parametrize(
    "result, says",
    [
        (None, r"it is None \(does the function end with `return`\?\)\."),
        (["a cat"], r"it is the list \['a cat'\]\."),
        ("a cat", "Asked directly"),
        ("</s>", "skip_special_tokens"),
    ],
)
def test_the_sentence_names_a_mistake_in_the_result(blip2, image, result, says):
    tried = nb04.trial(lambda image: write(blip2, image, PROMPT), image, tokens=4)
    with pytest.raises(CheckFailed, match=says):
        nb04.expect_reply(tried._replace(result=result), image, PROMPT, tokens=4)


def test_another_picture_is_noticed(blip2, image):
    other = image.rotate(180)
    tried = nb04.trial(lambda image: write(blip2, other, PROMPT), image, tokens=4)
    with pytest.raises(CheckFailed, match="as the language model got it"):
        nb04.expect_reply(tried, image, PROMPT, tokens=4)


def test_an_answer_by_heart_and_a_model_loaded_anew_are_noticed(image):
    tried = nb04.trial(lambda image: "a cat", image, tokens=4)
    with pytest.raises(CheckFailed, match="not asked at all"):
        nb04.expect_reply(tried, image, None, tokens=4)
    with pytest.raises(CheckFailed, match="loaded again"):
        nb04.expect_reply(tried._replace(loads=["blip2"]), image, None, tokens=4)


def stretched(model, pixel_values):
    return own(model, pixel_values) * 1.5


@pytest.mark.parametrize(
    "soft_prompts, says",
    [
        (lambda model, pixels: own(model, pixels)[None], "batch dimension"),
        (lambda model, pixels: model.language_projection(model.query_tokens)[0], "not seen the picture"),
        (lambda model, pixels: model.query_tokens[0], "model.language_projection"),
        (lambda model, pixels: model.get_image_features(pixels), "lets the model do all of it"),
        (stretched, "values are off"),
    ],
)
def test_the_sentence_names_a_mistake_in_the_soft_prompts(soft_prompts, says):
    with pytest.raises(CheckFailed, match=says):
        nb04.soft_prompts(soft_prompts)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"reset": lambda self: None}, r"After reset\(\) the memory should be empty"),
        ({"ask": lambda self, question: ""}, "not asked at all"),
        ({"memory": (), "__init__": lambda self, image: None}, "memory should be a list"),
    ],
)
def test_the_sentence_names_a_mistake_in_the_conversation(blip2, changes, says):
    with pytest.raises(CheckFailed, match=says):
        nb04.Conversation(conversation(blip2, **changes))


def test_a_memory_shared_by_all_conversations_is_noticed(blip2):
    shared = []

    def start(self, image):
        self.image, self.memory = image, shared

    with pytest.raises(CheckFailed, match="the two share a list"):
        nb04.Conversation(conversation(blip2, __init__=start))


@pytest.mark.parametrize(
    "join, says",
    [
        (lambda turns, last: " ".join([*(turn + "." for turn in turns), last]), "two full stops"),
        (lambda turns, last: " ".join([*turns, last]), "followed by one full stop"),
        (lambda turns, last: " ".join([*(turn.rstrip(". ") + "." for turn in turns[::-1]), last]), "oldest turn comes"),
        (lambda turns, last: " ".join([*(turn.rstrip(". ") + "." for turn in turns[1:]), last]), "Not all"),
        (lambda turns, last: "\n".join([*(turn.rstrip(". ") + "." for turn in turns), last]), "single spaces"),
        (
            lambda turns, last: " ".join([*(turn.rstrip(". ") + "." for turn in turns), last]) + " ",
            "right after 'Answer:'",
        ),
    ],
)
def test_the_sentence_names_a_mistake_in_the_prompt(join, says):
    def chat_prompt(memory, question):
        turns = [f"Question: {q} Answer: {a.strip()}" for q, a in memory]
        return join(turns, f"Question: {question.strip()} Answer:")

    with pytest.raises(CheckFailed, match=says):
        nb04.chat_prompt(chat_prompt)


def test_the_model_ends_where_it_is_told_and_is_left_as_it_was(blip2, image):
    model, processor = blip2
    inputs = processor(images=image, text=PROMPT, return_tensors="pt")
    before = inputs["input_ids"].shape[1]
    for tokens in (2, 7, 7):
        with nb04.ends_after(tokens):
            said = model.generate(**inputs, max_new_tokens=50, do_sample=False)[0, before:]
        assert len(said) == tokens and said[-1] == processor.tokenizer.eos_token_id
    with pytest.raises(RuntimeError), nb04.ends_after(3), nb04.listen():
        raise RuntimeError("a student's error")
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_it_hears_picture_and_text_through_the_language_model_alone(blip2, image):
    model, processor = blip2
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    words = model.get_input_embeddings()(processor.tokenizer("a cat", return_tensors="pt")["input_ids"])
    with nb04.listen() as heard, torch.no_grad():
        model.language_model(inputs_embeds=torch.cat([own(model, pixels)[None], words], dim=1))
        model.language_model(inputs_embeds=torch.cat([words, own(model, pixels)[None]], dim=1))
    assert [(each.text, each.in_front) for each in heard] == [("a cat", True), ("a cat", False)]
    assert torch.allclose(heard[0].soft_prompts, nb04.own_soft_prompts(model, pixels), atol=1e-5)


def test_the_module_is_found_by_its_name():
    assert checks.nb04 is nb04
