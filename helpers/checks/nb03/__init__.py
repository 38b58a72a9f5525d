"""The exercises of notebook 03, Multimodal LLMs."""

from helpers.checks.nb03.asking import describe_as_json
from helpers.checks.nb03.comparing import compare
from helpers.checks.nb03.hallucinating import hallucination_rate
from helpers.checks.nb03.labels import mask_labels
from helpers.checks.nb03.merging import merge_image_tokens
from helpers.checks.nb03.messages import build_message, data_url
from helpers.checks.nb03.replies import parse_reply
from helpers.checks.nb03.shuffling import pixel_shuffle
from helpers.checks.nb03.tiling import tile
from helpers.checks.nb03.tokens import image_tokens

__all__ = [
    "build_message",
    "compare",
    "data_url",
    "describe_as_json",
    "hallucination_rate",
    "image_tokens",
    "mask_labels",
    "merge_image_tokens",
    "parse_reply",
    "pixel_shuffle",
    "tile",
]
