"""Messages and pictures → the tensors that a LLaVA-style model takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course.serve.errors import ApiError
from course.serve.schema import ImagePart, Message, TextPart

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
        (part.image_url.url, f"messages.{turn}.content.{place}.image_url.url")
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

    def prompt(self, messages: Sequence[Message], pictures: Sequence[Image.Image]) -> Prompt:
        """The prompt for ``messages``, whose picture parts stand for ``pictures`` in their order.

        Raises:
            ApiError: status 400: the messages don't fit the model's context, or its chat template.
        """
        from jinja2 import TemplateError

        length = sum(len(part.text) for message in messages for part in message.content if isinstance(part, TextPart))
        if length > MAX_TEXT:
            raise _too_long(f"The messages are {length:,} characters long; up to {MAX_TEXT:,} are read.")
        try:
            inputs = self.processor.apply_chat_template(
                list(self._turns(messages, iter(pictures))),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        except TemplateError as error:
            raise ApiError(400, f"This model can't take these messages: {error}.", param="messages") from error
        ids = inputs["input_ids"][0]
        room = self.context - len(ids)
        if room < 1:
            raise _too_long(
                f"The messages are {len(ids)} tokens long, pictures included; with the reply they must fit into the "
                f"model's context of {self.context} tokens."
            )
        return Prompt(ids, inputs.get("pixel_values"), room)

    def _turns(self, messages: Sequence[Message], pictures: Iterator[Image.Image]) -> Iterator[dict]:
        for message in messages:
            role = "system" if message.role == "developer" else message.role
            yield {"role": role, "content": [self._part(part, pictures) for part in message.content]}

    def _part(self, part: TextPart | ImagePart, pictures: Iterator[Image.Image]) -> dict:
        if isinstance(part, ImagePart):
            return {"type": "image", "image": next(pictures)}
        if self.processor.image_token in part.text:
            raise ApiError(
                400,
                f"The text may not hold {self.processor.image_token}, which stands for a picture: send the picture "
                "as an image_url part.",
                param="messages",
            )
        return {"type": "text", "text": part.text}


def _too_long(message: str) -> ApiError:
    return ApiError(400, f"{message} Send fewer or shorter messages.", code="context_length_exceeded", param="messages")
