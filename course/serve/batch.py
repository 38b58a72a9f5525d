"""All unfinished replies, as the rows of one batch: one step of the model gives each its next token.

Rows may join and leave between steps. Their prompts differ in length, so rows are padded on the left, and the
attention mask hides the padding: no row depends on the others.

    mask of three rows after three steps        columns →
    a short prompt and its reply                0 0 0 0 1 1 1 1 1
    a long prompt and its reply                 1 1 1 1 1 1 1 1 1
    a row that joined a step ago                0 0 0 1 1 1 1 1 1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from course.serve.choice import Choice
from course.serve.prompts import EncodedPrompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Batch"]


class Batch:
    """The rows, and the model's keys and values for each (the KV cache).

    Attributes:
        choices: the reply of each row.
    """

    def __init__(self, model: PreTrainedModel, pad_token: int):
        self.choices: list[Choice] = []
        self._model, self._pad_token = model, pad_token
        self._cache = DynamicCache()
        self._mask = torch.zeros(0, 0, dtype=torch.long, device=model.device)

    @torch.inference_mode()
    def add(self, arrivals: Sequence[tuple[EncodedPrompt, Sequence[Choice]]]) -> list[str]:
        """Process new prompts together, and give each of their choices a row and its first token.

        Returns:
            The text that each new row can show, in the rows' order.
        """
        device = self._model.device
        prompts = [prompt for prompt, _ in arrivals]
        ids = pad_sequence([p.input_ids for p in prompts], True, self._pad_token, padding_side="left").to(device)
        mask = pad_sequence([torch.ones_like(p.input_ids) for p in prompts], True, 0, padding_side="left").to(device)
        pictures = [p.pixel_values for p in prompts if p.pixel_values is not None]
        pixel_values = torch.cat(pictures).to(device, self._model.dtype) if pictures else None
        cache = DynamicCache()
        logits = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp(min=0), cache, pixel_values=pixel_values)

        # A prompt is processed once, and its row repeated for each of its choices.
        rows = torch.tensor([row for row, (_, choices) in enumerate(arrivals) for _ in choices], device=device)
        cache.batch_select_indices(rows)
        self._join(cache, mask[rows])
        new = [choice for _, choices in arrivals for choice in choices]
        self.choices += new
        return [choice.push(row) for choice, row in zip(new, logits[rows].cpu().numpy(), strict=True)]

    @torch.inference_mode()
    def step(self) -> list[str]:
        """Generate one more token for every row; return the text that each can show, in the rows' order."""
        self._mask = pad(self._mask, (0, 1), value=1)
        last = torch.tensor([[choice.tokens[-1]] for choice in self.choices], device=self._mask.device)
        logits = self._forward(last, self._mask, self._mask.sum(-1, keepdim=True) - 1, self._cache)
        return [choice.push(row) for choice, row in zip(self.choices, logits.cpu().numpy(), strict=True)]

    @torch.inference_mode()
    def keep(self, wanted: Callable[[Choice], bool]) -> None:
        """Drop the rows whose choice is not `wanted`, and the columns that are padding in all that remain."""
        rows = [row for row, choice in enumerate(self.choices) if wanted(choice)]
        if len(rows) == len(self.choices):
            return
        self.choices = [self.choices[row] for row in rows]
        if not rows:
            self._cache = DynamicCache()
            self._mask = self._mask[:0, :0]
            return
        self._mask = self._mask[rows]
        padding = int(self._mask.argmax(-1).min())
        self._mask = self._mask[:, padding:]
        self._cache.batch_select_indices(torch.tensor(rows, device=self._mask.device))
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[..., padding:, :], layer.values[..., padding:, :]

    def _forward(self, ids, mask, positions, cache, **pictures) -> torch.Tensor:
        """Return the logits of each row's next token, float32, shape (rows, vocabulary); `cache` grows."""
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **pictures,
        )
        return output.logits[:, -1].float()

    def _join(self, cache: DynamicCache, mask: torch.Tensor) -> None:
        """Append new rows below the old ones; the shorter of the two are padded on the left."""
        if not self.choices:
            self._cache, self._mask = cache, mask
            return
        columns = max(self._mask.shape[1], mask.shape[1])

        def append(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
            # keys and values: (rows, heads, columns, size)
            return torch.cat([pad(part, (0, 0, columns - part.shape[-2], 0)) for part in (old, new)])

        for old, new in zip(self._cache.layers, cache.layers, strict=True):
            old.keys, old.values = append(old.keys, new.keys), append(old.values, new.values)
        self._mask = torch.cat([pad(part, (columns - part.shape[1], 0)) for part in (self._mask, mask)])
