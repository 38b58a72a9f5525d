"""`send_metadata`: a record for each result, returned and written to the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import CheckFailed, expect, expect_raises, expect_type
from helpers.checks.fakes import drawn_result, fake_image, saved_picture, scratch_folder
from helpers.checks.words import described

__all__ = ["send_metadata"]

FILE = Path("generated_images/all_metadata.json")
RETURNED, IN_FILE = "that send_metadata returns", f"in {FILE}"
"""Which records a message is about."""

Result = tuple[list[str], list[str], str]
"""Paths, prompts and description, as generate_images_from_image returns them."""

send_metadata = Exercise("send_metadata")


@send_metadata.core(25)
def records_returned(send_metadata, rng) -> None:
    """a record for each result, with every value in its place"""
    for n in (4, 1):
        with scratch_folder():
            results = _results(rng, n)
            _expect_records(call(send_metadata, results), results, RETURNED)


@send_metadata.core(20)
def records_in_the_file(send_metadata, rng) -> None:
    """the same records in generated_images/all_metadata.json"""
    for n in (1, 3):
        with scratch_folder():
            results = _results(rng, n)
            send_metadata(results)
            _expect_records(_in_the_file(), results, IN_FILE)


@send_metadata.core(20)
def with_sources(send_metadata, rng) -> None:
    """each original's path as its record's source_image"""
    with scratch_folder():
        results, sources = _results(rng, 3), _sources(rng, 3)
        found = send_metadata(results, sources=sources)
        _expect_records(found, results, RETURNED)
        _expect_sources(found, sources, RETURNED)
        _expect_sources(_in_the_file(), sources, IN_FILE)


@send_metadata.edge(3)
def sources_as_paths(send_metadata, rng) -> None:
    """sources may be Path objects"""
    with scratch_folder():
        sources = _sources(rng, 2)
        found = send_metadata(_results(rng, 2), sources=[Path(source) for source in sources])
        _expect_sources(found, sources, RETURNED)


@send_metadata.edge(10)
def with_provenance(send_metadata, rng) -> None:
    """the provenance of each picture that has one"""
    from helpers.submission import provenance_of

    with scratch_folder():
        results = _results(rng, 2)
        found = send_metadata(results)
        _expect_records(found, results, RETURNED)
        for i, (record, (paths, _, _)) in enumerate(zip(found, results, strict=True)):
            # A record may leave out unset fields, or have None there.
            right = [provenance_of(path).model_dump(exclude_none=True) for path in paths]
            expect(
                _without_none(record.get("provenance")) == right,
                f"Record {i} (from 0): 'provenance' should have an entry for each picture, as make_record reads it from the "
                "file.",
            )
    with scratch_folder():
        results = [drawn_result(rng, "plain", with_provenance=False)]
        _expect_records(send_metadata(results), results, RETURNED)


@send_metadata.edge(8)
def other_number_of_sources(send_metadata, rng) -> None:
    """a ValueError for more or fewer sources than results"""
    for sources in (["a.png"], ["a.png", "b.png", "c.png"]):
        _expect_value_error(send_metadata, rng, sources)


@send_metadata.edge(5)
def empty_list_of_sources(send_metadata, rng) -> None:
    """also for an empty list of sources"""
    _expect_value_error(send_metadata, rng, [])


@send_metadata.edge(4)
def no_results(send_metadata) -> None:
    """no results, no records"""
    with scratch_folder():
        found = send_metadata([])
        expect(
            found == [], f"Without results, send_metadata should return no records, but it returned {described(found)}."
        )
        expect(_in_the_file() == [], f"Without results, {FILE} should hold an empty list.")


@send_metadata.edge(5)
def old_file_replaced(send_metadata, rng) -> None:
    """the file's old content is replaced"""
    with scratch_folder():
        send_metadata(_results(rng, 3))
        results = _results(rng, 2)
        _expect_records(send_metadata(results), results, RETURNED)
        _expect_records(_in_the_file(), results, IN_FILE)


def _results(rng: Random, n: int) -> list[Result]:
    return [drawn_result(rng, f"picture{i}") for i in range(n)]


def _sources(rng: Random, n: int) -> list[str]:
    return [saved_picture(fake_image(rng.random()), f"photos/{i}.png") for i in range(n)]


def _in_the_file() -> list[dict]:
    """The file's content; raise `CheckFailed` if there is no file, or the assessment can't read it."""
    from helpers.errors import PlainError
    from helpers.submission import read_metadata

    expect(FILE.is_file(), f"There is no file {FILE}: call write_metadata(records, 'generated_images').")
    try:
        read_metadata(FILE)
    except PlainError as error:
        raise CheckFailed(str(error)) from error
    return json.loads(FILE.read_text(encoding="utf-8"))


def _expect_records(found: Any, results: Sequence[Result], where: str) -> None:
    """Raise `CheckFailed` unless these are dicts with the results' descriptions, prompts and paths."""
    expect_type(found, list, f"The value {where}")
    for record in found:
        expect_type(record, dict, f"Each record {where}")
    expect(
        len(found) == len(results),
        f"There should be a record for each of the {len(results)} results, but there are {len(found)} {where}.",
    )
    for i, (record, (paths, prompts, description)) in enumerate(zip(found, results, strict=True)):
        what = f"Record {i} (from 0) {where}"
        for key, right in (("original_description", description), ("prompts", prompts), ("image_paths", paths)):
            expect(key in record, f"{what} has no {key!r}; it has {', '.join(record)}.")
            expect(record[key] == right, f"{what} should have the {key} {right!r}, but it has {record[key]!r}.")


def _expect_sources(found: Any, sources: Sequence[str], where: str) -> None:
    expect_type(found, list, f"The value {where}")
    images = [record.get("source_image") if isinstance(record, dict) else None for record in found]
    expect(
        images == list(sources),
        f"The records {where} should have the source_image {', '.join(map(repr, sources))}, but they have "
        f"{', '.join(map(repr, images))}. Pass make_record source_image=….",
    )


def _expect_value_error(send_metadata, rng: Random, sources: Sequence[str]) -> None:
    with scratch_folder():
        results = _results(rng, 2)
        expect_raises(
            lambda: send_metadata(results, sources=list(sources)),
            ValueError,
            f"2 results and {len(sources)} source{'' if len(sources) == 1 else 's'}",
        )


def _without_none(entries: Any) -> Any:
    """Provenances without unset fields; anything else unchanged."""
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        return entries
    return [{name: value for name, value in entry.items() if value is not None} for entry in entries]
