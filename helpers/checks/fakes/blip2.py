"""Fakes of BLIP-2: a tiny one with random weights, and the course's own with scripted output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from helpers.checks.elsewhere import mirrored
from helpers.checks.expect import CheckFailed

if TYPE_CHECKING:
    import torch
    from transformers import Blip2ForConditionalGeneration

__all__ = ["Blip2Record", "Blip2Request", "only_parts", "scripted_blip2", "tiny_blip2"]


class Blip2Request(NamedTuple):
    """The language model's input at the start of a text.

    Attributes:
        soft_prompts: the vectors that are not token embeddings, tensor (n, width).
        text: the tokens as text, without special tokens.
        in_front: whether all soft prompts came before the text.
        rows: the number of texts written at once; more than one with beam search.
    """

    soft_prompts: torch.Tensor
    text: str
    in_front: bool
    rows: int


@dataclass
class Blip2Record:
    """The requests to BLIP-2, and whether tokens were sampled."""

    requests: list[Blip2Request] = field(default_factory=list)
    sampled: bool = False


@contextmanager
def scripted_blip2(text: str) -> Iterator[Blip2Record]:
    """Make BLIP-2's language model write `text`, whatever its input; yield the record of its inputs.

    The model itself runs, and only its logits are replaced, so `generate`, a streamer and a hand-written loop work as
    usual. This applies to all models of the class, including one that a student has loaded again.
    """
    from helpers.models import load

    model, processor = load("blip2")
    end = model.language_model.generation_config.eos_token_id
    tokens = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    script, record = _Script([*tokens, end[0] if isinstance(end, list) else end]), Blip2Record()

    def next_token(length: int, request: Blip2Request | None) -> int:
        if request is not None:
            record.requests.append(request)
        return script.next_token(length)

    with _written_by(next_token) as sampled:
        yield record
    record.sampled = bool(sampled)


@mirrored
@contextmanager
def _written_by(next_token: Callable[[int, Blip2Request | None], int]) -> Iterator[list[bool]]:
    """Make BLIP-2's language model write the tokens that a function chooses; yield a list that grows if it samples.

    The function gets the length of the model's input, and the input itself at the start of a text.
    """
    import torch
    from torch.nn.modules.module import register_module_forward_hook

    from helpers.models import load

    model, processor = load("blip2")
    kind, multinomial, sampled = type(model.language_model), torch.multinomial, []

    def write(module, inputs, named, output):
        if not isinstance(module, kind):
            return
        vectors, tokens = named.get("inputs_embeds"), named.get("input_ids", inputs[0] if inputs else None)
        length = (tokens if vectors is None else vectors).shape[1]
        table = module.get_input_embeddings().weight
        request = _request(processor.tokenizer, table, vectors, tokens) if length > 1 else None
        logits, token = output[0], next_token(length, request)
        logits.fill_(-1e4)
        logits[..., token] = 1e4

    def sample(*inputs, **options):
        sampled.append(True)
        return multinomial(*inputs, **options)

    hook = register_module_forward_hook(write, with_kwargs=True)
    try:
        with patch.object(torch, "multinomial", sample):
            yield sampled
    finally:
        hook.remove()


class _Script:
    """The tokens of a text, which starts again whenever the model gets a new prompt."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.at, self.length = tokens, -1, 0

    def next_token(self, length: int) -> int:
        """Return the token to write after an input of `length` vectors: one, or the prompt and all tokens so far."""
        goes_on = length == 1 or length == self.length + 1
        self.at, self.length = self.at + 1 if goes_on else 0, length
        return self.tokens[self.at % len(self.tokens)]


def _request(tokenizer, table: torch.Tensor, vectors: torch.Tensor | None, tokens: torch.Tensor | None) -> Blip2Request:
    import torch

    if vectors is None:
        text = tokenizer.decode(tokens[0].tolist(), skip_special_tokens=True)
        return Blip2Request(table[:0].detach(), text, True, len(tokens))
    row, table = vectors[0].detach().clone(), table.detach()
    nearest = torch.cdist(row.float(), table.float()).argmin(-1)
    is_token = (table[nearest] == row).all(-1)
    soft = row[~is_token]
    text = tokenizer.decode(nearest[is_token].tolist(), skip_special_tokens=True)
    return Blip2Request(soft, text, not is_token[: len(soft)].any(), len(vectors))


@mirrored
@contextmanager
def only_parts(model: Blip2ForConditionalGeneration, message: str) -> Iterator[None]:
    """Allow calls of the model's parts only; a call of the whole model raises `CheckFailed` with this message."""

    def refuse(*args, **kwargs):
        raise CheckFailed(message)

    with patch.multiple(type(model), forward=refuse, generate=refuse, get_image_features=refuse):
        yield


def tiny_blip2(*, queries: int = 5, **sizes) -> Blip2ForConditionalGeneration:
    """Make a BLIP-2 with random weights for 16×16 pictures; its Q-Former is 24 wide, its language model 32.

    Its tokens are the 256 bytes, `<pad>`, `</s>` and `<image>`. `sizes` changes the language model's config.
    """
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        OPTConfig,
    )

    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}
    vision = Blip2VisionConfig(hidden_size=16, intermediate_size=16, image_size=16, patch_size=8, **small)
    qformer = Blip2QFormerConfig(
        vocab_size=1,
        hidden_size=24,
        intermediate_size=24,
        encoder_hidden_size=16,
        max_position_embeddings=queries,
        **small,
    )
    words = {"vocab_size": 259, "pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 257}
    width = {"hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 32, "num_hidden_layers": 2, "init_std": 0.3}
    text = OPTConfig(**{**words, **width, "num_attention_heads": 2, "max_position_embeddings": 256, **sizes})
    config = Blip2Config(
        vision_config=vision, qformer_config=qformer, text_config=text, num_query_tokens=queries, image_token_index=258
    )
    model = Blip2ForConditionalGeneration(config).eval()
    model.query_tokens.data.normal_()  # they start as zeros, all the same
    return model
