"""helpers.shorten: what errors say, in a line."""

from base64 import b64encode, encodebytes

import numpy as np
import pytest

from helpers.checks.answers import message_for
from helpers.shorten import in_short

pytestmark = pytest.mark.quick

VECTOR = np.random.default_rng(0).normal(size=512)
PICTURE = np.random.default_rng(0).bytes(3000)


@pytest.mark.parametrize(
    "written",
    [
        str(VECTOR.tolist()),
        str(VECTOR.tolist()).replace(" ", ""),
        str([np.float32(number) for number in VECTOR]),
        str([np.float64(number) for number in VECTOR]),
        str(list(VECTOR.astype(int))),
        str(VECTOR),
        repr(VECTOR),
        str([float("nan"), -np.inf, *VECTOR.tolist()]),
        str([VECTOR[:9].tolist()]),
    ],
)
def test_vectors_are_cut_to_three_numbers(written):
    said = in_short(f"This vector {written} is none, and this one {written} neither.")
    assert said.startswith("This vector ") and said.endswith(" neither") and len(said) < 300
    assert "…" in said and "..." not in said


@pytest.mark.parametrize("text", ["f(1, 2, 3) takes 4", "[1, 2, 3, 4, 5, 6]", "step 10 of 20, 12:00 on 2026-11-01"])
def test_few_numbers_stay(text):
    assert in_short(text) == text


@pytest.mark.parametrize(
    "said",
    [
        "Code: 62. DB::Exception: Syntax error: failed at position 3 (FORM). (SYNTAX_ERROR)",
        "Received ClickHouse exception, code: 62, server response: Code: 62. DB::Exception: Syntax error: failed at "
        "position 3 (FORM). (SYNTAX_ERROR)",
    ],
)
def test_what_a_database_puts_before_its_message_is_left_out(said):
    assert in_short(said) == "Syntax error: failed at position 3 (FORM). (SYNTAX_ERROR)"


def test_data_urls_are_cut_to_their_type():
    url = f"data:image/png;base64,{b64encode(PICTURE).decode()}"
    assert in_short(f"'{url}' is no picture.") == "'data:image/png;base64,…' is no picture"


@pytest.mark.parametrize("encode", [b64encode, encodebytes])
def test_base64_is_cut_to_its_beginning(encode):
    code = encode(PICTURE).decode()
    said = in_short(f"There is {code}")
    assert said.startswith(f"There is {code[:16]}…") and len(said) < 110  # the last line may stay


def test_hashes_and_paths_stay():
    text = f"{'0f' * 32} in /srv/ada/courses/picture-this/notebooks/generated_images/picture_1.png is not {'1e' * 32}"
    assert in_short(text) == text


def test_a_line_has_300_characters_at_most():
    assert len(in_short("many words\n" * 1000)) == 300


def test_a_check_says_what_a_library_said_in_short():
    error = ValueError(f"Code: 46. DB::Exception: no function f({[np.float32(number) for number in VECTOR]}).")
    assert "no function f([np.float32(" in message_for(error, len) and "DB::" not in message_for(error, len)
    assert len(message_for(error, len)) < 200
