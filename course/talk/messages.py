"""What a dialogue is made of: messages with their roles, the tools that are offered, and calls of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helpers.picturebook import Scene

Turn = tuple[str, str]
"""What the assistant hears and what it answers."""

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Tool:
    """A function that the assistant may call; `str` writes it as the chat template does: "draw(prompt)"."""

    name: str
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"

    def schema(self) -> dict[str, Any]:
        """The tool in OpenAI's form."""
        properties = {name: {"type": "string"} for name in self.parameters}
        parameters = {"type": "object", "properties": properties, "required": list(self.parameters)}
        return {"type": "function", "function": {"name": self.name, "parameters": parameters}}


@dataclass(frozen=True)
class Call:
    """One call of a tool; `str` writes it as the assistant does: "<tool_call>{"name": …}</tool_call>"."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return f"<tool_call>{json.dumps({'name': self.name, 'arguments': self.arguments})}</tool_call>"


def read_calls(text: str) -> list[Call]:
    """The calls in what an assistant wrote.

    Raises:
        ValueError: a call is no JSON object with a name and arguments.
    """
    calls = []
    for written in CALL.findall(text):
        told = json.loads(written)
        if not (
            isinstance(told, dict) and isinstance(told.get("name"), str) and isinstance(told.get("arguments"), dict)
        ):
            raise ValueError(f"{written!r} is no call of a tool.")
        calls.append(Call(told["name"], told["arguments"]))
    return calls


@dataclass(frozen=True)
class Message:
    """What somebody says; `role` is "user", "assistant" or "tool". An assistant's message may hold calls."""

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def written(self) -> str:
        """The text, and after it the calls."""
        return self.text + "".join(map(str, self.calls))


@dataclass(frozen=True)
class Dialogue:
    """`scene` is what the picture shows, None where there is none; the picture comes with the user's first message."""

    scene: Scene | None
    messages: tuple[Message, ...]
    system: str = ""
    tools: tuple[Tool, ...] = ()

    @classmethod
    def of(cls, scene: Scene | None, turns: Sequence[Turn], system: str = "", tools: Sequence[Tool] = ()) -> Dialogue:
        """A dialogue in which user and assistant take turns."""
        return cls(scene, in_turn(turns), system, tuple(tools))

    @property
    def turns(self) -> list[Turn]:
        """What the assistant hears (from user or tools) and what it answers, calls included."""
        turns, heard = [], []
        for message in self.messages:
            if message.role == "assistant":
                turns.append(("\n".join(heard), message.written))
                heard = []
            else:
                heard.append(message.text)
        return turns


def in_turn(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The messages of user and assistant who take turns."""
    return tuple(Message(role, text) for pair in turns for role, text in zip(("user", "assistant"), pair, strict=True))
