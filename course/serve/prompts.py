"""Messages and pictures → the input tensors of a LLaVA-style model."""

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

__all__ = ["MAX_IMAGES", "MAX_TEXT", "EncodedPrompt", "PromptEncoder", "pictures_of"]

MAX_IMAGES = 8
#: The most characters per request: many times a model's context, yet tokenized in a tenth of a second.
MAX_TEXT = 50_000


@dataclass(frozen=True)
class EncodedPrompt:
    """A request as model inputs.

    Attributes:
        input_ids: token ids, shape (tokens,), with each picture as its image tokens.
        pixel_values: shape (pictures, 3, height, width), or None without pictures.
        room: how many tokens of the model's context are left for a reply.
    """

    input_ids: torch.Tensor
    pixel_values: torch.Tensor | None
    room: int


def pictures_of(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Return (URL, field name) of each picture, in order. Raises `ApiError` 400 for more than `MAX_IMAGES`."""
    found = [
        (part.image_url.url, f"messages.{turn}.content.{position}.image_url")
        for turn, message in enumerate(messages)
        for position, part in enumerate(message.content)
        if isinstance(part, ImagePart)
    ]
    if len(found) > MAX_IMAGES:
        raise ApiError(
            400,
            f"{len(found)} pictures are too many: send at most {MAX_IMAGES} per request.",
            param=found[MAX_IMAGES][1],
        )
    return found


class PromptEncoder:
    """Encodes messages with the chat template of the model's processor."""

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin):
        self.processor = processor
        self.context = model.config.get_text_config().max_position_embeddings

    def encode(
        self, messages: Sequence[Message], pictures: Sequence[Image.Image], tools: Sequence[Tool] = ()
    ) -> EncodedPrompt:
        """Encode `messages`, whose picture parts stand for `pictures` in order.

        The prompt offers `tools` to the model.

        Raises:
            ApiError: status 400: the messages don't fit the model's context, or its chat template.
        """
        from jinja2 import TemplateError

        length = sum(map(len, _texts(messages, tools)))
        if length > MAX_TEXT:
            raise _too_long(f"The messages are {length:,} characters long; the limit is {MAX_TEXT:,}.")
        if any(self.processor.image_token in text for text in _texts(messages, tools)):
            raise ApiError(
                400,
                f"The text may not contain {self.processor.image_token}, which stands for a picture: send the picture "
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
            raise ApiError(400, f"This model does not accept these messages: {error}.", param="messages") from error
        ids = inputs["input_ids"][0]
        room = self.context - len(ids)
        if room < 1:
            raise _too_long(
                f"The messages are {len(ids)} tokens long, pictures included; with the reply they must fit into the "
                f"model's context of {self.context} tokens."
            )
        return EncodedPrompt(ids, inputs.get("pixel_values"), room)


def _texts(messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[str]:
    """Yield all text that the model would read."""
    for message in messages:
        yield from (part.text for part in message.content if isinstance(part, TextPart))
        yield from (_json(call.function.model_dump()) for call in message.tool_calls)
    yield from (_json(tool.model_dump()) for tool in tools)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _turns(messages: Sequence[Message], pictures: Iterator[Image.Image]) -> Iterator[dict]:
    """Yield the messages as chat templates expect them: calls in OpenAI's form, but with arguments as an object."""
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
    """Return the tool as chat templates expect it, always with `parameters.properties`."""
    function = tool.function
    parameters = {"type": "object", "properties": {}, **function.parameters}
    described = {"name": function.name, "description": function.description, "parameters": parameters}
    return {"type": "function", "function": described}


def _too_long(message: str) -> ApiError:
    return ApiError(400, f"{message} Send fewer or shorter messages.", code="context_length_exceeded", param="messages")
