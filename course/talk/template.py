"""How a dialogue is written down for the chat model: its special tokens, the chat template, and the training's own way.

What the model is trained on (`encode`) and what it meets later (`CHAT_TEMPLATE`) are the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from course.data import fresh_scenes
from course.talk.dialogues import random_dialogue
from course.talk.messages import Dialogue
from helpers.picturebook import describe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BOS, EOS, PAD, IMAGE = "<s>", "</s>", "<pad>", "<image>"
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- set written = namespace(tools=not tools) %}
{%- for message in messages %}
{%- if not written.tools and message.role != "system" %}{% set written.tools = true %}TOOLS:
{%- for tool in tools %}
{%- set offered = tool.function if tool.function is defined else tool %}
{%- set names = offered.parameters.properties if offered.parameters and offered.parameters.properties else {} %}
{{- " " }}{{ offered.name }}({{ names | join(", ") }}){{ "" if loop.last else "," }}
{%- endfor %}{{ "\\n" }}
{%- endif %}
{{- message.role | upper }}: {% if message.content is string %}{{ message.content }}
{%- elif message.content %}
{%- for part in message.content if part.type != "text" %}<image>
{%- endfor %}
{%- for part in message.content if part.type == "text" %}{{ part.text }}
{%- endfor %}
{%- endif %}
{%- for call in message.tool_calls or [] %}
{%- set called = call.function if call.function is defined else call %}
{{- '<tool_call>{"name": ' }}{{ called.name | tojson }}, "arguments": {{ called.arguments if called.arguments is string else called.arguments | tojson }}
{{- '}</tool_call>' }}
{%- endfor %}
{%- if message.role == "assistant" %}{{ eos_token }}
{%- endif %}{{ "\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}ASSISTANT:{% endif %}"""
"""Jinja. Takes messages and tools in OpenAI's form; a call's arguments may be an object or the JSON text of one."""


@dataclass(frozen=True)
class Tokens:
    """One training text: token ids, and of each whether the model is to learn to say it."""

    ids: list[int]
    said: list[bool]


def encode(dialogue: Dialogue, tokenizer: PreTrainedTokenizerBase, *, image: str) -> Tokens:
    """The dialogue as the chat template writes it; what the assistant says is to be learnt.

    `image` is what stands for the picture: the image tokens, or a caption; empty where there is no picture.
    """
    ids: list[int] = []
    learnt: list[bool] = []

    def add(text: str, is_answer: bool) -> None:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids.extend(tokens)
        learnt.extend([is_answer] * len(tokens))

    heard = BOS + (f"SYSTEM: {dialogue.system}\n" if dialogue.system else "")
    if dialogue.tools:
        heard += f"TOOLS: {', '.join(map(str, dialogue.tools))}\n"
    for message in dialogue.messages:
        if message.role == "assistant":
            add(f"{heard}ASSISTANT:", False)
            add(f" {message.written}{EOS}", True)
            heard = "\n"
        else:
            shown, image = (image, "") if message.role == "user" else ("", image)
            heard += f"{message.role.upper()}: {shown}{message.text}\n"
    return Tokens(ids, learnt)


def as_messages(dialogue: Dialogue) -> list[dict[str, Any]]:
    """The dialogue's messages as a chat service gets them; a picture, where there is one, is a part without content."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": dialogue.system}] if dialogue.system else []
    shown = dialogue.scene is not None
    for message in dialogue.messages:
        told: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.role == "user" and shown:
            told["content"], shown = [{"type": "image"}, {"type": "text", "text": message.text}], False
        if message.calls:
            told["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.calls
            ]
        messages.append(told)
    return messages


def tokenizer_texts(n: int = 8000) -> Iterator[str]:
    """Texts of all tasks for the tokenizer to learn from.

    Digits stand apart in them, so that it learns no number as one token: digit by digit, a small model can copy a
    picture's id and compare a score that it has never seen.
    """
    for i, scene in enumerate(fresh_scenes(n, seed=3)):
        dialogue = random_dialogue(np.random.default_rng((3, i)), scene if i % 2 else None)
        lines = [f"SYSTEM: {dialogue.system}", f"TOOLS: {', '.join(map(str, dialogue.tools))}"]
        lines += [f"{message.role.upper()}: {message.written}" for message in dialogue.messages]
        lines.append(describe(scene, np.random.default_rng((4, i))))
        yield re.sub(r"(?<=\d)(?=\d)", " ", "\n".join(lines))
