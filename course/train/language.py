"""What both language models' trainings share: batches of prompts with their replies, and the loss on the replies.

A language model is first trained alone, on captions in place of pictures. So it can already do its tasks once the
projector or Q-Former passes it the same information.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from course.labels import IGNORE
from course.talk.template import Tokens


def padded(texts: list[Tokens], pad_id: int) -> dict[str, torch.Tensor]:
    """Return ids, mask and labels, each (n, longest), padded on the right; labels are IGNORE outside the replies."""
    longest = max(len(tokens.ids) for tokens in texts)
    ids = torch.full((len(texts), longest), pad_id)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    labels = torch.full((len(texts), longest), IGNORE)
    for row, tokens in enumerate(texts):
        n = len(tokens.ids)
        ids[row, :n] = torch.tensor(tokens.ids)
        mask[row, :n] = 1
        labels[row, :n] = torch.where(torch.tensor(tokens.loss_mask), ids[row, :n], IGNORE)
    return {"ids": ids, "mask": mask, "labels": labels}


def order_by_length(texts: list[Tokens]) -> list[int]:
    """Return the texts' indices, shortest first."""
    return sorted(range(len(texts)), key=lambda i: len(texts[i].ids))


def groups(batch: dict[str, torch.Tensor], size: int) -> Iterator[dict[str, torch.Tensor]]:
    """Split a batch sorted by length into groups of `size` texts, cut to their longest, to save padding."""
    for start in range(0, len(batch["ids"]), size):
        part = {name: values[start : start + size] for name, values in batch.items()}
        longest = int(part["mask"].sum(1).max())
        for name in ("ids", "mask", "labels", "named"):
            if name in part:
                part[name] = part[name][:, :longest]
        yield part


def reply_loss(hidden: torch.Tensor, labels: torch.Tensor, head: torch.nn.Linear) -> torch.Tensor:
    """Return the next-token cross-entropy of each text, (n,), summed over its labelled tokens.

    Args:
        hidden: (n, length, width), the language model's last hidden states.
        labels: (n, length), IGNORE where there is no loss.
        head: width to vocabulary; only evaluated at the few labelled positions.
    """
    targets = labels[:, 1:]
    mask = targets != IGNORE
    losses = F.cross_entropy(head(hidden[:, :-1][mask]).float(), targets[mask], reduction="none")
    return losses.new_zeros(len(labels)).index_add(0, mask.nonzero()[:, 0], losses)
