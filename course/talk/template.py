"""The chat model's text format: special tokens, the chat template, and the encoding for training.

Training (`encode`) and inference (`CHAT_TEMPLATE`) use the same text.
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
"""Jinja. Takes messages and tools in OpenAI's format; a call's arguments may be an object or its JSON text."""


@dataclass(frozen=True)
class Tokens:
    """One training text: token ids, and whether each contributes to the loss."""

    ids: list[int]
    loss_mask: list[bool]


def encode(dialogue: Dialogue, tokenizer: PreTrainedTokenizerBase, *, image: str) -> Tokens:
    """Encode the dialogue in the chat template's format; the loss is on the assistant's tokens.

    `image` stands for the picture: its image tokens, or a caption; empty without a picture.
    """
    ids: list[int] = []
    loss_mask: list[bool] = []

    def add(text: str, is_answer: bool) -> None:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids.extend(tokens)
        loss_mask.extend([is_answer] * len(tokens))

    context = BOS + (f"SYSTEM: {dialogue.system}\n" if dialogue.system else "")
    if dialogue.tools:
        context += f"TOOLS: {', '.join(map(str, dialogue.tools))}\n"
    for message in dialogue.messages:
        if message.role == "assistant":
            add(f"{context}ASSISTANT:", False)
            add(f" {message.written}{EOS}", True)
            context = "\n"
        else:
            shown, image = (image, "") if message.role == "user" else ("", image)
            context += f"{message.role.upper()}: {shown}{message.text}\n"
    return Tokens(ids, loss_mask)


def as_messages(dialogue: Dialogue) -> list[dict[str, Any]]:
    """Return the dialogue's messages in OpenAI's format; the picture, if any, is an empty image part."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": dialogue.system}] if dialogue.system else []
    shown = dialogue.scene is not None
    for message in dialogue.messages:
        converted: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.role == "user" and shown:
            converted["content"], shown = [{"type": "image"}, {"type": "text", "text": message.text}], False
        if message.calls:
            converted["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.calls
            ]
        messages.append(converted)
    return messages


def tokenizer_texts(n: int = 8000) -> Iterator[str]:
    """Yield texts of all tasks for training the tokenizer.

    Digits are separated, so that no number becomes a single token: digit by digit, a small model can copy a picture's
    id and compare a score that it has never seen.
    """
    for i, scene in enumerate(fresh_scenes(n, seed=3)):
        dialogue = random_dialogue(np.random.default_rng((3, i)), scene if i % 2 else None)
        lines = [f"SYSTEM: {dialogue.system}", f"TOOLS: {', '.join(map(str, dialogue.tools))}"]
        lines += [f"{message.role.upper()}: {message.written}" for message in dialogue.messages]
        lines.append(describe(scene, np.random.default_rng((4, i))))
        yield re.sub(r"(?<=\d)(?=\d)", " ", "\n".join(lines))
