"""What the trainings of both language models share: batches of prompts with their replies, and the loss on the replies.

A language model first learns to read and write alone. In the place of a picture it gets the picture's caption: what it
has to do with a picture it can then already do, once projector or Q-Former hand it something that says as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from course.train.labels import IGNORE


@dataclass(frozen=True)
class Tokens:
    """One training text: token ids, and of each whether the model is to learn to say it."""

    ids: list[int]
    said: list[bool]


def pad(batch: list[Tokens], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and labels, each (n, longest), padded on the right; labels are IGNORE where nothing is said."""
    longest = max(len(tokens.ids) for tokens in batch)
    ids = torch.full((len(batch), longest), pad_id)
    mask = torch.zeros(len(batch), longest, dtype=torch.long)
    labels = torch.full((len(batch), longest), IGNORE)
    for row, tokens in enumerate(batch):
        n = len(tokens.ids)
        ids[row, :n] = torch.tensor(tokens.ids)
        mask[row, :n] = 1
        labels[row, :n] = torch.where(torch.tensor(tokens.said), ids[row, :n], IGNORE)
    return ids, mask, labels


def by_length(batch: list[Tokens], size: int) -> list[list[int]]:
    """The batch's indices in groups of about `size` texts of like length: on a CPU, padding costs as much as text."""
    order = sorted(range(len(batch)), key=lambda i: len(batch[i].ids))
    return [order[start : start + size] for start in range(0, len(order), size)]


def reply_loss(hidden: torch.Tensor, labels: torch.Tensor, head: torch.nn.Linear) -> torch.Tensor:
    """The next-token cross-entropies of each text, (n,), summed over the tokens that are to be said.

    Args:
        hidden: (n, length, width), the language model's last hidden states.
        labels: (n, length), IGNORE where nothing is to be learnt.
        head: width to vocabulary. It is asked at those places alone, which are few.
    """
    following = labels[:, 1:]
    said = following != IGNORE
    losses = F.cross_entropy(head(hidden[:, :-1][said]), following[said], reduction="none")
    return losses.new_zeros(len(labels)).index_add(0, said.nonzero()[:, 0], losses)
