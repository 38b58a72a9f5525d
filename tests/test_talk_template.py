"""The chat template writes what the training writes, dialogues with tools included."""

import json
import random

import pytest

from course.talk.dialogues import ABOUT_A_PICTURE, WITHOUT_A_PICTURE, random_dialogue
from course.talk.messages import Call, Dialogue, Message, Tool
from course.talk.template import BOS, CHAT_TEMPLATE, EOS, IMAGE, PAD, as_messages, encode, tokenizer_texts
from course.train.tokenizer import train_byte_level
from helpers.picturebook import random_scene

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer as the chat model's, of a few texts."""
    names = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "unk_token": PAD}
    made = train_byte_level(tokenizer_texts(400), vocab_size=1200, specials=[PAD, BOS, EOS, IMAGE], **names)
    made.add_special_tokens({"additional_special_tokens": [IMAGE]})
    made.chat_template = CHAT_TEMPLATE
    return made


def written(tokenizer, dialogue, **options):
    tools = [tool.schema() for tool in dialogue.tools] or None
    return tokenizer.apply_chat_template(as_messages(dialogue), tools=tools, tokenize=False, **options)


@pytest.mark.parametrize("task", [*ABOUT_A_PICTURE, *WITHOUT_A_PICTURE])
def test_the_template_writes_what_the_training_writes(tokenizer, task):
    for seed in range(25):
        rng = random.Random(seed)
        scene = random_scene(rng) if task in ABOUT_A_PICTURE and (seed % 2 or task not in WITHOUT_A_PICTURE) else None
        dialogue = random_dialogue(rng, scene, task=task)
        trained = encode(dialogue, tokenizer, image=IMAGE if scene else "")
        text = written(tokenizer, dialogue).removesuffix("\n")
        assert tokenizer.decode(trained.ids) == text
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == trained.ids
        said = tokenizer.decode([token for token, learnt in zip(trained.ids, trained.loss_mask, strict=True) if learnt])
        assert said == "".join(f" {m.written}{EOS}" for m in dialogue.messages if m.role == "assistant")
        assert len(trained.ids) < 480


def test_a_dialogue_with_tools_word_for_word(tokenizer):
    draw, rate = Tool("draw", ("prompt",)), Tool("rate", ("picture_id", "text"))
    messages = (
        Message("user", "Draw a large red cat, on a meadow and make sure that it fits."),
        Message("assistant", calls=(Call("draw", {"prompt": "a large red cat, on a meadow"}),)),
        Message("tool", '{"picture_id": "p1"}'),
        Message("assistant", calls=(Call("rate", {"picture_id": "p1", "text": "a large red cat, on a meadow"}),)),
        Message("tool", '{"score": 0.31}'),
    )
    assert written(tokenizer, Dialogue(None, messages, "", (draw, rate)), add_generation_prompt=True) == (
        "<s>TOOLS: draw(prompt), rate(picture_id, text)\n"
        "USER: Draw a large red cat, on a meadow and make sure that it fits.\n"
        'ASSISTANT: <tool_call>{"name": "draw", "arguments": {"prompt": "a large red cat, on a meadow"}}</tool_call></s>\n'
        'TOOL: {"picture_id": "p1"}\n'
        'ASSISTANT: <tool_call>{"name": "rate", "arguments": {"picture_id": "p1", "text": "a large red cat, on a meadow"}}'
        "</tool_call></s>\n"
        'TOOL: {"score": 0.31}\n'
        "ASSISTANT:"
    )


def test_the_template_takes_messages_as_services_send_them(tokenizer):
    """Arguments as JSON text, no content beside calls, tools without parameters, several calls, a system message."""
    calls = [
        {"id": "1", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for n, a in (("draw", {"prompt": "a cat"}), ("draw", {"prompt": "a 'dog' & <more>"}))
    ]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": "p1"},
    ]
    tools = [Tool("draw", ("prompt",)).schema(), {"type": "function", "function": {"name": "list"}}]
    text = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<s>SYSTEM: Be brief.\nTOOLS: draw(prompt), list()\nUSER: Hello\nASSISTANT: "
        '<tool_call>{"name": "draw", "arguments": {"prompt": "a cat"}}</tool_call>'
        '<tool_call>{"name": "draw", "arguments": {"prompt": "a \'dog\' & <more>"}}</tool_call></s>\n'
        "TOOL: p1\nASSISTANT:"
    )
    plain = tokenizer.apply_chat_template(messages[1:2], tokenize=False, add_generation_prompt=True)
    assert plain == "<s>USER: Hello\nASSISTANT:"


def test_no_number_is_one_token(tokenizer):
    vocabulary = [token for token in tokenizer.get_vocab() if token.isascii()]
    assert not [token for token in vocabulary if sum(sign.isdigit() for sign in token) > 1]
