"""`course speedrun`: train the entries of notebook 08's gallery again, and say whether their scores hold.

A run is repeated by what its entry says: seed, network, batch and number of samples. The loop is the course's own, the
solution of notebook 08's `train`, with the learning rate over samples in place of seconds. What holds is signed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from course.assess.certificate import Signer, signed_claims
from helpers.errors import PlainError
from helpers.speedrun.gallery import Entry, read, write
from helpers.speedrun.network import DiT
from helpers.speedrun.score import fits, standard_error
from helpers.speedrun.world import COLOURS, KINDS, SIZE, batches, every_condition

__all__ = ["draw", "holds", "score", "speedrun", "train_again"]

MARGIN = 3.0
"""By how many standard errors of the difference a second run may be worse."""
SEEDS_APART = 0.03
"""By how much runs differ whose clocks and roundings differ (a standard deviation)."""
BATCH = 64


def speedrun(file: Path, signer: Signer, *, key: str | None = None, say: Callable[[str], None] = print) -> bool:
    """Train every entry of a gallery again that was not verified before; sign those whose score holds.

    Args:
        file: the gallery; signatures are written into it.
        signer: signs what holds.
        key: another verifier's public key, whose signatures count as well.
        say: gets a line for each entry.

    Returns:
        Whether all scores hold.

    Raises:
        PlainError: there is no entry, or one can't be trained.
    """
    entries = read(file)
    if not entries:
        raise PlainError(f"{file} has no entry of the gallery: notebook 08 writes them to speedrun.jsonl.")
    all_hold = True
    for number, entry in enumerate(entries):
        name = f"{entry.name}, seed {entry.seed}, {entry.samples:,} samples"
        if any(is_signed(entry, each) for each in (signer.public_key, key) if each):
            say(f"{name}: score {entry.score:.2f}, verified before.")
            continue
        say(f"{name}: training again …")
        hits = score(train_again(entry), entry)
        found, verdict = sum(hits) / len(hits), holds(entry, hits)
        all_hold &= verdict
        say(
            f"{name}: claimed {entry.score:.2f} from {entry.pictures} pictures, found {found:.2f} ± "
            f"{standard_error(hits):.2f} from {len(hits)}. "
            + ("It holds." if verdict else "It does not hold with the course's own loop.")
        )
        token = signer.sign({"entry": entry.claim, "found": round(found, 4)}) if verdict else ""
        entries[number] = entry.model_copy(update={"token": token})
        write(entries, file)
    return all_hold


def is_signed(entry: Entry, key: str) -> bool:
    """Whether the entry is as it was when the owner of this key signed it."""
    claims = signed_claims(entry.token, key) if entry.token else None
    return claims is not None and claims.get("entry") == entry.claim


def holds(entry: Entry, hits: list[bool]) -> bool:
    """Whether a second run is not worse than the entry by more than chance explains."""
    found = sum(hits) / len(hits)
    errors = (standard_error(hits), standard_error(entry.score, entry.pictures), SEEDS_APART)
    return entry.score - found <= MARGIN * math.hypot(*errors)


def train_again(entry: Entry) -> DiT:
    """Train a network by the entry's seed, shape and number of samples."""
    generator = torch.Generator().manual_seed(entry.seed)
    shape = entry.network.model_dump()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entry.seed)
        try:
            model = DiT(**shape)
        except ValueError as error:
            raise PlainError(f"{entry.name}'s network can't be made: {error}.") from None
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)
    draw_batch, steps = batches(entry.batch, entry.seed), max(1, entry.samples // entry.batch)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step / steps)
        x1, condition = draw_batch()
        x0 = torch.randn(x1.shape, generator=generator)
        t = torch.sigmoid(torch.randn(len(x1), generator=generator))
        empty = torch.rand((), generator=generator) < 0.1
        each = t.reshape(-1, 1, 1, 1)
        loss = F.mse_loss(model((1 - each) * x0 + each * x1, t, None if empty else condition), x1 - x0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


RATE = 2e-3


def rate(done: float) -> float:
    """Return the learning rate when this share of the training is done: warm-up, then half a cosine."""
    return RATE * min(1, done / 0.05) * (1 + math.cos(math.pi * done)) / 2


def score(model: DiT, entry: Entry) -> list[bool]:
    """Return for each of the entry's number of pictures whether the judge sees what was asked for."""
    conditions = every_condition(-(-entry.pictures // (len(KINDS) * len(COLOURS))))[: entry.pictures]
    generator = torch.Generator().manual_seed(entry.seed + 1000)
    return [hit for pixels, part in draw(model, conditions, entry, generator) for hit in fits(pixels, part)]


@torch.no_grad()
def draw(
    model: DiT, conditions: torch.Tensor, entry: Entry, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield pictures and their conditions, a batch at a time, drawn with the entry's steps and guidance."""
    for part in conditions.split(BATCH):
        x = torch.randn(len(part), 3, SIZE, SIZE, generator=generator)
        for step in range(entry.steps):
            t = torch.full((len(part),), step / entry.steps)
            empty = model(x, t, None)
            x = x + (empty + entry.guidance * (model(x, t, part) - empty)) / entry.steps
        yield x, part
