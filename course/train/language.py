"""What the trainings of both language models share: batches of prompts with their replies, and the loss on the replies.

A language model first learns to read and write alone. In the place of a picture it gets the picture's caption: what it
has to do with a picture it can then already do, once projector or Q-Former hand it something that says as much.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from course.labels import IGNORE
from course.talk.template import Tokens


def padded(texts: list[Tokens], pad_id: int) -> dict[str, torch.Tensor]:
    """ids, mask and labels, each (n, longest), padded on the right; labels are IGNORE where nothing is said."""
    longest = max(len(tokens.ids) for tokens in texts)
    ids = torch.full((len(texts), longest), pad_id)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    labels = torch.full((len(texts), longest), IGNORE)
    for row, tokens in enumerate(texts):
        n = len(tokens.ids)
        ids[row, :n] = torch.tensor(tokens.ids)
        mask[row, :n] = 1
        labels[row, :n] = torch.where(torch.tensor(tokens.said), ids[row, :n], IGNORE)
    return {"ids": ids, "mask": mask, "labels": labels}


def by_length(texts: list[Tokens]) -> list[int]:
    """The texts' indices, the shortest first."""
    return sorted(range(len(texts)), key=lambda i: len(texts[i].ids))


def groups(batch: dict[str, torch.Tensor], size: int) -> Iterator[dict[str, torch.Tensor]]:
    """A batch sorted by length in groups of `size` texts, cut to the longest: padding costs as much as text."""
    for start in range(0, len(batch["ids"]), size):
        part = {name: values[start : start + size] for name, values in batch.items()}
        longest = int(part["mask"].sum(1).max())
        for name in ("ids", "mask", "labels", "named"):
            if name in part:
                part[name] = part[name][:, :longest]
        yield part


def reply_loss(hidden: torch.Tensor, labels: torch.Tensor, head: torch.nn.Linear) -> torch.Tensor:
    """The next-token cross-entropies of each text, (n,), summed over the tokens that are to be said.

    Args:
        hidden: (n, length, width), the language model's last hidden states.
        labels: (n, length), IGNORE where nothing is to be learnt.
        head: width to vocabulary. It is asked at those places alone, which are few.
    """
    following = labels[:, 1:]
    said = following != IGNORE
    losses = F.cross_entropy(head(hidden[:, :-1][said]).float(), following[said], reduction="none")
    return losses.new_zeros(len(labels)).index_add(0, said.nonzero()[:, 0], losses)
