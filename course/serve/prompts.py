"""Messages and pictures → the tensors that a LLaVA-style model takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course.api_error import ApiError
from course.serve.messages import ImagePart, Message, TextPart
from course.serve.schema import Tool

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin

__all__ = ["MAX_IMAGES", "MAX_TEXT", "Prompt", "Prompter", "pictures_of"]

MAX_IMAGES = 8
#: The most characters of a request: many times a model's context, and tokenized in a tenth of a second.
MAX_TEXT = 50_000


@dataclass(frozen=True)
class Prompt:
    """A request's input.

    Attributes:
        input_ids: token ids, shape (tokens,); each picture stands there as its many image tokens.
        pixel_values: shape (pictures, 3, height, width), or None where there is no picture.
        room: how many tokens of the model's context are left for a reply.
    """

    input_ids: torch.Tensor
    pixel_values: torch.Tensor | None
    room: int


def pictures_of(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """The pictures' (URL, name of its field), in order. Raises ``ApiError`` 400 for more than ``MAX_IMAGES``."""
    found = [
        (part.image_url.url, f"messages.{turn}.content.{place}.image_url")
        for turn, message in enumerate(messages)
        for place, part in enumerate(message.content)
        if isinstance(part, ImagePart)
    ]
    if len(found) > MAX_IMAGES:
        raise ApiError(
            400, f"{len(found)} pictures are too many: at most {MAX_IMAGES} in a request.", param=found[MAX_IMAGES][1]
        )
    return found


class Prompter:
    """Writes messages the way the model was taught them, by its processor's chat template."""

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin):
        self.processor = processor
        self.context = model.config.get_text_config().max_position_embeddings

    def prompt(
        self, messages: Sequence[Message], pictures: Sequence[Image.Image], tools: Sequence[Tool] = ()
    ) -> Prompt:
        """The prompt for ``messages``, whose picture parts stand for ``pictures`` in their order.

        The model is told that it may call ``tools``.

        Raises:
            ApiError: status 400: the messages don't fit the model's context, or its chat template.
        """
        from jinja2 import TemplateError

        length = sum(map(len, _texts(messages, tools)))
        if length > MAX_TEXT:
            raise _too_long(f"The messages are {length:,} characters long; up to {MAX_TEXT:,} are read.")
        if any(self.processor.image_token in text for text in _texts(messages, tools)):
            raise ApiError(
                400,
                f"The text may not hold {self.processor.image_token}, which stands for a picture: send the picture "
                "as an image_url part.",
                param="messages",
            )
        try:
            inputs = self.processor.apply_chat_template(
                list(_turns(messages, iter(pictures))),
                tools=[_described(tool) for tool in tools] or None,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        except (TemplateError, RecursionError) as error:
            raise ApiError(400, f"This model can't take these messages: {error}.", param="messages") from error
        ids = inputs["input_ids"][0]
        room = self.context - len(ids)
        if room < 1:
            raise _too_long(
                f"The messages are {len(ids)} tokens long, pictures included; with the reply they must fit into the "
                f"model's context of {self.context} tokens."
            )
        return Prompt(ids, inputs.get("pixel_values"), room)


def _texts(messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[str]:
    """All that a request has for the model to read."""
    for message in messages:
        yield from (part.text for part in message.content if isinstance(part, TextPart))
        yield from (_json(call.function.model_dump()) for call in message.tool_calls)
    yield from (_json(tool.model_dump()) for tool in tools)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _turns(messages: Sequence[Message], pictures: Iterator[Image.Image]) -> Iterator[dict]:
    """The messages as chat templates take them: calls in OpenAI's form, but with arguments that are an object."""
    for message in messages:
        role = "system" if message.role == "developer" else message.role
        turn = {"role": role, "content": [_part(part, pictures) for part in message.content]}
        if message.tool_calls:
            turn["tool_calls"] = [call.model_dump() for call in message.tool_calls]
        if message.tool_call_id is not None:
            turn["tool_call_id"] = message.tool_call_id
        yield turn


def _part(part: TextPart | ImagePart, pictures: Iterator[Image.Image]) -> dict:
    if isinstance(part, ImagePart):
        return {"type": "image", "image": next(pictures)}
    return {"type": "text", "text": part.text}


def _described(tool: Tool) -> dict[str, Any]:
    """The tool as chat templates take it; it always has ``parameters.properties``."""
    function = tool.function
    parameters = {"type": "object", "properties": {}, **function.parameters}
    described = {"name": function.name, "description": function.description, "parameters": parameters}
    return {"type": "function", "function": described}


def _too_long(message: str) -> ApiError:
    return ApiError(400, f"{message} Send fewer or shorter messages.", code="context_length_exceeded", param="messages")
