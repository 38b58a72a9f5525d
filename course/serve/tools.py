"""Tool calls: parsing them out of a reply, and the grammar that forces one.

The chat model calls a tool by writing `<tool_call>{"name": "draw", "arguments": {"prompt": "a red cat"}}</tool_call>`
instead of an answer, several in a row for several calls.
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
#: The most calls in a reply that must have one: without a limit, the model sometimes never stops.
MAX_CALLS = 8

# As json.dumps writes it, because the model was trained so. llguidance ignores what it does not know of a schema.
CALL_STYLE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False, "lenient": True}
# White space is as json.dumps writes it, one space or an indented line, for the same reason as MAX_CALLS.
JSON_STYLE = {"whitespace_pattern": r" |\n {0,8}", "lenient": True}


def grammar(body: ChatRequest) -> str | None:
    """Return the grammar of a reply to `body`, in llguidance's Lark dialect; None if it may be any text."""
    forced = body.tool_choice.mode == "required"
    schema = None if forced else body.response_format.schema_of_reply
    if not forced and schema is None:
        return None
    alternatives, rules = [], []
    if schema is not None:
        alternatives.append("value")
        rules.append(f"value: {_json(schema, JSON_STYLE)}")
    if offered := body.offered:
        single = body.tool_choice.name is not None or not body.parallel_tool_calls
        alternatives.append("call" if single else f"call{{1,{MAX_CALLS}}}")
        functions = [tool.function for tool in offered if body.tool_choice.name in (None, tool.function.name)]
        heads = [f'{OPEN}{{"name": {json.dumps(function.name)}, "arguments": ' for function in functions]
        calls = [f"{json.dumps(head)} arguments_{number}" for number, head in enumerate(heads)]
        rules.append(f"call: ({' | '.join(calls)}) {json.dumps('}' + CLOSE)}")
        for number, function in enumerate(functions):
            rules.append(f"arguments_{number}: {_json(_arguments(function), CALL_STYLE)}")
    # A reply may start with one space or line break, because many chat templates end before one.
    return "\n".join([rf"start: /[ \n]/? ({' | '.join(alternatives)})", *rules])


def _json(schema: dict[str, Any], guidance: dict[str, Any]) -> str:
    return f"%json {json.dumps({**schema, 'x-guidance': guidance})}"


def _arguments(function: Function) -> dict[str, Any]:
    """Return the schema of a tool's arguments. If it lists properties, it allows no others, though few say so."""
    schema = {**(function.parameters or {"properties": {}}), "type": "object"}
    if not schema.keys() & {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"} and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


class CallReader:
    """Reads one reply as it comes, and separates its calls from its text.

    A call that names none of the tools, or is not complete JSON, remains text.

    Args:
        names: the names of the tools.
        max_calls: how many calls are read; what follows the last one is dropped.
    """

    def __init__(self, names: Collection[str], max_calls: int = MAX_CALLS):
        self._names, self._max_calls = tuple(names), max_calls
        self._held = ""
        self.found = 0

    def read(self, text: str, *, ended: bool) -> tuple[str, list[Call]]:
        """Read the reply's next part, the last one if `ended`; return the text and calls that are certain by now.

        What may be the start of a call is held back, and so is white space, which may precede one.
        """
        self._held += text
        shown, calls = "", []
        while self.found < self._max_calls and (start := self._held.find(OPEN)) >= 0:
            end, call = self._call(start + len(OPEN), ended=ended)
            if not end:
                break
            shown += self._held[:start].rstrip() if call else self._held[:end]
            self._held = self._held[end:]
            if call:
                calls.append(call)
                self.found += 1
        if self.found == self._max_calls:
            self._held = ""
        stable = self._stable_length(ended=ended)
        shown, self._held = shown + self._held[:stable], self._held[stable:]
        return shown, calls

    def _call(self, begin: int, *, ended: bool) -> tuple[int, Call | None]:
        """Return where the call that starts at `begin` ends, and the call if valid; (0, None) if more may come."""
        first, at = 0, begin
        while (close := self._held.find(CLOSE, at)) >= 0:  # the first closing tag may be part of an argument
            at = close + len(CLOSE)
            first = first or at
            try:
                # Serialized again, so that every parser accepts the arguments.
                parsed = json.loads(self._held[begin:close], parse_constant=_reject_constant)
                arguments = json.dumps(parsed.get("arguments", {}), allow_nan=False) if isinstance(parsed, dict) else ""
            except (ValueError, RecursionError):
                continue
            if arguments.startswith("{") and parsed.get("name") in self._names:
                function = CalledFunction(name=parsed["name"], arguments=arguments)
                return at, Call(id=f"call_{uuid.uuid4().hex[:24]}", function=function)
            return at, None
        return first if ended else 0, None

    def _stable_length(self, *, ended: bool) -> int:
        """Return how much of the held text is certainly not part of a call."""
        if ended:
            return len(self._held.rstrip() if self.found else self._held)
        end = self._held.find(OPEN)
        if end < 0:
            longest = min(len(OPEN) - 1, len(self._held))
            started = next((length for length in range(longest, 0, -1) if self._held.endswith(OPEN[:length])), 0)
            end = len(self._held) - started
        return len(self._held[:end].rstrip())


def _reject_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
