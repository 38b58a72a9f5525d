"""What tools mean for a reply: the calls in its text, and the grammar that makes it call one.

The chat model calls a tool by writing ``<tool_call>{"name": "draw", "arguments": {"prompt": "a red cat"}}</tool_call>``
in place of an answer, several of them in a row for several calls.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from typing import Any

from course.serve.answer import Call, CalledFunction
from course.serve.schema import ChatRequest, Function

__all__ = ["CallReader", "grammar"]

OPEN, CLOSE = "<tool_call>", "</tool_call>"
#: The most calls of a reply that must have one: a model that may go on for ever sometimes does.
MAX_CALLS = 8

# As json.dumps writes it, which is how the model was taught to. What llguidance does not know of a schema it lets pass.
CALL_STYLE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False, "lenient": True}
# Blanks are as json.dumps puts them, one or a new line's indent, for the same reason as MAX_CALLS.
JSON_STYLE = {"whitespace_pattern": r" |\n {0,8}", "lenient": True}


def grammar(asked: ChatRequest) -> str | None:
    """What a reply to ``asked`` may be, in llguidance's Lark dialect; None where it may be any text."""
    forced = asked.tool_choice.mode == "required"
    schema = None if forced else asked.response_format.schema_of_reply
    if not forced and schema is None:
        return None
    ways, rules = [], []
    if schema is not None:
        ways.append("value")
        rules.append(f"value: {_json(schema, JSON_STYLE)}")
    if offered := asked.offered:
        one = asked.tool_choice.name is not None or not asked.parallel_tool_calls
        ways.append("call" if one else f"call{{1,{MAX_CALLS}}}")
        callable_ones = [tool.function for tool in offered if asked.tool_choice.name in (None, tool.function.name)]
        heads = [f'{OPEN}{{"name": {json.dumps(function.name)}, "arguments": ' for function in callable_ones]
        calls = [f"{json.dumps(head)} arguments_{place}" for place, head in enumerate(heads)]
        rules.append(f"call: ({' | '.join(calls)}) {json.dumps('}' + CLOSE)}")
        for place, function in enumerate(callable_ones):
            rules.append(f"arguments_{place}: {_json(_arguments(function), CALL_STYLE)}")
    # One blank or line break may stand first, since many chat templates lead up to one.
    return "\n".join([rf"start: /[ \n]/? ({' | '.join(ways)})", *rules])


def _json(schema: dict[str, Any], style: dict[str, Any]) -> str:
    return f"%json {json.dumps({**schema, 'x-guidance': style})}"


def _arguments(function: Function) -> dict[str, Any]:
    """The schema of a tool's arguments. One that lists them means that there are no others, though few say so."""
    schema = {**(function.parameters or {"properties": {}}), "type": "object"}
    if not schema.keys() & {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"} and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


class CallReader:
    """Reads one reply as it comes, and parts its calls from its text.

    What names no tool on offer, or holds no whole JSON, stays text.

    Args:
        names: those of the tools on offer.
        most: how many calls are read; what follows the last of them is left out.
    """

    def __init__(self, names: Collection[str], most: int = MAX_CALLS):
        self._names, self._most = tuple(names), most
        self._held = ""
        self.found = 0

    def read(self, text: str, *, ended: bool) -> tuple[str, list[Call]]:
        """What is sure now, text and calls, where ``text`` is the reply's next part; ``ended`` says it is the last.

        The beginning of a call is held back until it is known to be none, and so are blanks, which may lead up to one.
        """
        self._held += text
        shown, calls = "", []
        while self.found < self._most and (start := self._held.find(OPEN)) >= 0:
            end, call = self._call(start + len(OPEN), ended=ended)
            if not end:
                break
            shown += self._held[:start].rstrip() if call else self._held[:end]
            self._held = self._held[end:]
            if call:
                calls.append(call)
                self.found += 1
        if self.found == self._most:
            self._held = ""
        sure = self._sure(ended=ended)
        shown, self._held = shown + self._held[:sure], self._held[sure:]
        return shown, calls

    def _call(self, begin: int, *, ended: bool) -> tuple[int, Call | None]:
        """Where the tag that opens before ``begin`` is over, and the call in it if it is one; 0 where more may come."""
        first, at = 0, begin
        while (close := self._held.find(CLOSE, at)) >= 0:  # the first that closes may also be a part of an argument
            at = close + len(CLOSE)
            first = first or at
            try:
                # Written anew, so that the arguments are JSON for every reader.
                said = json.loads(self._held[begin:close], parse_constant=_no_number)
                arguments = json.dumps(said.get("arguments", {}), allow_nan=False) if isinstance(said, dict) else ""
            except (ValueError, RecursionError):
                continue
            if arguments.startswith("{") and said.get("name") in self._names:
                function = CalledFunction(name=said["name"], arguments=arguments)
                return at, Call(id=f"call_{uuid.uuid4().hex[:24]}", function=function)
            return at, None
        return first if ended else 0, None

    def _sure(self, *, ended: bool) -> int:
        """How much of what is held is text, whatever comes."""
        if ended:
            return len(self._held.rstrip() if self.found else self._held)
        end = self._held.find(OPEN)
        if end < 0:
            longest = min(len(OPEN) - 1, len(self._held))
            begun = next((length for length in range(longest, 0, -1) if self._held.endswith(OPEN[:length])), 0)
            end = len(self._held) - begun
        return len(self._held[:end].rstrip())


def _no_number(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
