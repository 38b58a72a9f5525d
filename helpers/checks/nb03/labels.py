"""`mask_labels`: random token ids, with one or several of the assistant's spans per row."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.elsewhere import with_changes
from helpers.checks.expect import Mistake, compare_tensors, expect

if TYPE_CHECKING:
    import torch

__all__ = ["mask_labels"]

IGNORED = -100

Spans = list[list[tuple[int, int]]]

mask_labels = Exercise("mask_labels")


@mask_labels.core(35)
def one_span(mask_labels, rng, generator) -> None:
    """one row with one reply"""
    for length in (9, 14):
        start = rng.randrange(2, length - 4)
        _compare(mask_labels, _ids(1, length, generator), [[(start, start + rng.randrange(2, 4))]])


@mask_labels.core(30)
def several_spans(mask_labels, rng, generator) -> None:
    """several rows, with several replies each"""
    for rows, length in ((3, 16), (2, 20)):
        spans = [_spans(rng, length, 2 + row % 2) for row in range(rows)]
        _compare(mask_labels, _ids(rows, length, generator), spans)


@mask_labels.edge(10)
def no_reply(mask_labels, rng, generator) -> None:
    """a row without a reply, and an empty span"""
    _compare(mask_labels, _ids(3, 12, generator), [[], _spans(rng, 12, 2), [(rng.randrange(3, 9),) * 2]])


@mask_labels.edge(9)
def first_and_last_token(mask_labels, rng, generator) -> None:
    """replies that begin with the first token or end with the last"""
    end, start = rng.randrange(2, 5), rng.randrange(6, 9)
    _compare(mask_labels, _ids(2, 10, generator), [[(0, end), (start, 10)], [(0, 10)]])


@mask_labels.edge(8)
def small_integers(mask_labels, rng, generator) -> None:
    """labels are a LongTensor even if the ids are int32"""
    import torch

    ids = _ids(2, 12, generator)
    spans = [_spans(rng, 12, 2) for _ in ids]
    result = mask_labels(ids.int(), spans)
    expect(
        torch.is_tensor(result) and result.dtype == torch.int64,
        "For int32 ids the labels should still be a LongTensor (int64), because cross_entropy takes no other integers. "
        f"They are {str(getattr(result, 'dtype', type(result).__name__)).removeprefix('torch.')}: convert with .long().",
    )
    compare_tensors(result, _masked(ids, spans), "The labels of int32 ids", tolerance=0)


@mask_labels.edge(8)
def inputs_unchanged(mask_labels, rng, generator) -> None:
    """ids and spans are left unchanged"""
    call(mask_labels, _ids(2, 12, generator), [_spans(rng, 12, 2) for _ in range(2)])


def _ids(rows: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """Random token ids from 4; no row has an id twice, so that a label in the wrong place is noticed."""
    import torch

    return torch.stack([torch.randperm(60, generator=generator)[:length] + 4 for _ in range(rows)])


def _spans(rng: Random, length: int, n: int) -> list[tuple[int, int]]:
    """n spans of a row, in order, with a gap of at least one token before and after each."""
    while True:
        ends = sorted(rng.sample(range(1, length), 2 * n))
        spans = [(ends[i], ends[i + 1]) for i in range(0, 2 * n, 2)]
        if all(later[0] > earlier[1] for earlier, later in pairwise(spans)):
            return spans


def _masked(ids: torch.Tensor, spans: Spans, *, first: int = 0, last: int = 0) -> torch.Tensor:
    """The right labels, or those with each span beginning `first` and ending `last` tokens later."""
    import torch

    kept = torch.zeros(ids.shape, dtype=torch.bool)
    for row, of_row in zip(kept, spans, strict=True):
        for start, end in of_row:
            row[max(start + first, 0) : max(end + last, 0)] = True
    return ids.masked_fill(~kept, IGNORED)


def _compare(mask_labels, ids: torch.Tensor, spans: Spans) -> None:
    """Raise `CheckFailed` unless the labels are right; a known mistake is named."""
    import torch

    with with_changes():  # a result that is one of the inputs, changed in place, is also judged by its values
        result = mask_labels(ids.clone(), [list(of_row) for of_row in spans])
    right = _masked(ids, spans)
    inside = right != IGNORED
    mistakes = (
        Mistake("Nothing is masked: the labels are still all the ids.", lambda: ids),
        Mistake("Everything is masked: each span should keep its ids.", lambda: torch.full_like(ids, IGNORED)),
        Mistake(
            "It is the other way round: the ids inside the spans should stay, all others become -100.",
            lambda: ids.masked_fill(inside, IGNORED),
        ),
        Mistake(
            "Each span is one token too long: its end is exclusive, as in ids[start:end].",
            lambda: _masked(ids, spans, last=1),
        ),
        Mistake("Each span is one token too short at its end.", lambda: _masked(ids, spans, last=-1)),
        Mistake("Each span begins one token too late.", lambda: _masked(ids, spans, first=1)),
        Mistake(
            "The labels are shifted by one place. Leave each one at its own token's place: the loss shifts them itself.",
            lambda: torch.cat([right[:, 1:], torch.full_like(right[:, :1], IGNORED)], dim=1),
        ),
        Mistake(
            "You masked with 0. The number that cross_entropy ignores is -100; 0 is an ordinary token id.",
            lambda: ids.masked_fill(~inside, 0),
        ),
        Mistake("The labels should be the token ids themselves, not ones and zeros.", lambda: inside.to(ids.dtype)),
        Mistake("Only the first span of each row was kept.", lambda: _masked(ids, [of_row[:1] for of_row in spans])),
        Mistake("Only the last span of each row was kept.", lambda: _masked(ids, [of_row[-1:] for of_row in spans])),
        Mistake(
            "Every row has the first row's spans. answer_spans has one list for each row.",
            lambda: _masked(ids, [spans[0]] * len(spans)),
        ),
        Mistake(
            "Every row has all rows' spans. answer_spans has one list for each row.",
            lambda: _masked(ids, [[span for of_row in spans for span in of_row]] * len(spans)),
        ),
        Mistake(
            "Everything from the first span to the end of the last was kept, with the user's words in between.",
            lambda: _masked(ids, [[(of_row[0][0], of_row[-1][1])] if of_row else [] for of_row in spans]),
        ),
    )
    compare_tensors(result, right, "The labels", mistakes, tolerance=0)
