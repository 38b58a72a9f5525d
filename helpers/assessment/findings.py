"""What a criterion finds: the share that is right, and a sentence for each fault that says where it is.

Equal faults of several records, prompts or pictures become one sentence: "Record 1, pictures 2 and 3; record 4,
picture 1 do not show what their prompts ask for."
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

__all__ = ["PICTURES", "RECORDS", "Fault", "Finding", "Spot", "joined"]

#: A submission has four source pictures, and four prompts and pictures for each; no more than those are judged.
RECORDS = 4
PICTURES = RECORDS * RECORDS


class Spot(NamedTuple):
    """Where a fault is: a record, counted from 1, or a part of it.

    Attributes:
        part: "picture" and "prompt" have a number; "description", "source picture" and "" (the whole record) don't.
    """

    record: int
    part: str = ""
    number: int | None = None

    def __str__(self) -> str:
        return _together([self])


class Fault(NamedTuple):
    """A fault and where it is, None for the submission as a whole.

    Attributes:
        one: the words for a single fault: "is missing".
        many: the words for several: "are missing". Faults with the same `many` become one sentence.
        stops: whether it prevents a pass, whatever the points.
    """

    spot: Spot | None
    one: str
    many: str = ""
    stops: bool = False


@dataclass(frozen=True)
class Finding:
    """What a criterion found.

    Attributes:
        share: how much of what a submission should have is right, 0 to 1.
        faults: what is wrong with the rest.
        handed_in: how much of it was handed in at all, right or wrong.
    """

    share: Fraction
    faults: Sequence[Fault] = ()
    handed_in: Fraction = Fraction(1)

    @property
    def stops(self) -> bool:
        """Whether a fault prevents a pass, whatever the points."""
        return any(fault.stops for fault in self.faults)

    @property
    def messages(self) -> list[str]:
        """One sentence per kind of fault."""
        groups: dict[tuple[str, str], list[Fault]] = defaultdict(list)
        for fault in self.faults:
            groups[fault.spot.part if fault.spot else "", fault.many or fault.one].append(fault)
        return [_sentence(group) for group in groups.values()]


def joined(words: Iterable[object]) -> str:
    """Join words with commas and "and": "1, 2 and 3"."""
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


def _sentence(faults: Sequence[Fault]) -> str:
    if faults[0].spot is None:
        return f"{faults[0].one}."
    words = faults[0].one if len(faults) == 1 else faults[0].many or faults[0].one
    return f"{_together([fault.spot for fault in faults])} {words}."


def _together(spots: Sequence[Spot]) -> str:
    """Name spots of one part, for the beginning of a sentence."""
    part = spots[0].part
    by_record: dict[int, list[int | None]] = defaultdict(list)
    for spot in spots:
        by_record[spot.record].append(spot.number)
    records = sorted(by_record)
    if spots[0].number is None:
        which = f"record{'s' * (len(records) > 1)} {joined(records)}"
        if len(records) == RECORDS:
            which = f"all {RECORDS} records"
        text = f"the {part}{'s' * (len(records) > 1)} of {which}" if part else which
        return text[0].upper() + text[1:]
    if all(len(numbers) == RECORDS for numbers in by_record.values()):
        records_too = f"{'s' * (len(records) > 1)} {joined(records)}"
        return f"All {PICTURES} {part}s" if len(records) == RECORDS else f"All {part}s of record{records_too}"
    named = (
        f"record {record}, {part}{'s' * (len(numbers) > 1)} {joined(sorted(numbers))}"
        for record, numbers in sorted(by_record.items())
    )
    text = "; ".join(named)
    return text[0].upper() + text[1:]
