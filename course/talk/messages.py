"""The parts of a dialogue: messages with roles, the tools offered, and tool calls."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helpers.picturebook import Scene

Turn = tuple[str, str]
"""The assistant's input and its reply."""

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Tool:
    """A function that the assistant may call; `str` formats it like the chat template: "draw(prompt)"."""

    name: str
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"

    def schema(self) -> dict[str, Any]:
        """Return the tool in OpenAI's format."""
        properties = {name: {"type": "string"} for name in self.parameters}
        parameters = {"type": "object", "properties": properties, "required": list(self.parameters)}
        return {"type": "function", "function": {"name": self.name, "parameters": parameters}}


@dataclass(frozen=True)
class Call:
    """A tool call; `str` formats it like the assistant: "<tool_call>{"name": …}</tool_call>"."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return f"<tool_call>{json.dumps({'name': self.name, 'arguments': self.arguments})}</tool_call>"


def read_calls(text: str) -> list[Call]:
    """Parse the calls in an assistant's text.

    Raises:
        ValueError: a call is not a JSON object with a name and arguments.
    """
    calls = []
    for written in CALL.findall(text):
        call = json.loads(written)
        if not (
            isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)
        ):
            raise ValueError(f"{written!r} is not a tool call.")
        calls.append(Call(call["name"], call["arguments"]))
    return calls


@dataclass(frozen=True)
class Message:
    """One message; `role` is "user", "assistant" or "tool". Assistant messages may contain calls."""

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def written(self) -> str:
        """The text, followed by the calls."""
        return self.text + "".join(map(str, self.calls))


@dataclass(frozen=True)
class Dialogue:
    """A dialogue; `scene` is the picture, if any, which comes with the user's first message."""

    scene: Scene | None
    messages: tuple[Message, ...]
    system: str = ""
    tools: tuple[Tool, ...] = ()

    @classmethod
    def of(cls, scene: Scene | None, turns: Sequence[Turn], system: str = "", tools: Sequence[Tool] = ()) -> Dialogue:
        """Create a dialogue in which user and assistant take turns."""
        return cls(scene, in_turn(turns), system, tuple(tools))

    @property
    def turns(self) -> list[Turn]:
        """The assistant's inputs (from user or tools) and replies, calls included."""
        turns, inputs = [], []
        for message in self.messages:
            if message.role == "assistant":
                turns.append(("\n".join(inputs), message.written))
                inputs = []
            else:
                inputs.append(message.text)
        return turns


def in_turn(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Return the messages of alternating user and assistant turns."""
    return tuple(Message(role, text) for pair in turns for role, text in zip(("user", "assistant"), pair, strict=True))
